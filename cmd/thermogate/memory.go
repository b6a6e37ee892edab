package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"thermogate/camera/bounded"
	"thermogate/screening/datadir"
	"thermogate/screening/policy"
)

// memory is the file in which what the group policy learnt survives a restart.
type memory struct{ path string }

// maxStateBytes is what the files hold at most in which the gate keeps something for itself.
const maxStateBytes = 64 << 10

// recall gives a policy what an earlier run learnt, if there was one.
func (m memory) recall(p *policy.Policy, now time.Time) error {
	data, err := bounded.ReadFile(m.path, maxStateBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var state policy.State
	if err := json.Unmarshal(data, &state); err != nil {
		return fmt.Errorf("%s is damaged: %w", m.path, err)
	}
	if err := p.Restore(state, now); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	return nil
}

// save keeps what a policy has learnt.
func (m memory) save(state policy.State) error {
	return datadir.Replace(m.path, state)
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"thermogate/camera/bounded"
	"thermogate/screening/datadir"
	"thermogate/screening/policy"
)

// memory is the file in which what the group policy learnt survives a restart.
type memory struct{ path string }

// recall gives a policy what an earlier run learnt, if there was one.
func (m memory) recall(p *policy.Policy, now time.Time) error {
	state, found, err := readState[policy.State](m.path)
	if err != nil || !found {
		return err
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

// maxStateBytes is what the files hold at most in which the gate keeps something for itself.
const maxStateBytes = 64 << 10

// readState returns what datadir.Replace has put into a file, and whether there is one.
func readState[T any](path string) (state T, found bool, err error) {
	data, err := bounded.ReadFile(path, maxStateBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return state, false, nil
	}
	if err != nil {
		return state, false, err
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return *new(T), false, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return state, true, nil
}

// removeState takes such a file away, if there is one.
func removeState(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

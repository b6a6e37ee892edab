package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"thermogate/camera/bounded"
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
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return replaceFile(m.path, data)
}

// replaceFile replaces a file whole, so that a power cut leaves the old one or the new one.
func replaceFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

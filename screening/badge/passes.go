package badge

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/datadir"
)

// passesFile keeps the newest passes on disk, as they were signed.
type passesFile struct {
	path string
	root ed25519.PublicKey
	site string

	changing sync.Mutex
	payload  []byte // the newest
	kept     bool   // it is on disk
	now      atomic.Pointer[passcode.Passes]
}

// openPasses reads what was kept. Where there is a file, and the site's key has not signed it, nothing is known until the console
// says it anew: else a code that was revoked would be good again.
func openPasses(path string, root ed25519.PublicKey, site string) (*passesFile, error) {
	f := &passesFile{path: path, root: root, site: site}
	payload, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		f.now.Store(&passcode.Passes{})
		return f, nil
	}
	var kept passcode.Passes
	if err == nil {
		kept, err = passcode.OpenPasses(root, site, payload)
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	f.payload, f.kept = payload, true
	f.now.Store(&kept)
	return f, nil
}

// newest is nil while it is not known what is revoked.
func (f *passesFile) newest() *passcode.Passes { return f.now.Load() }

// set takes newer passes. They hold from then on, also where the disk does not take them; then the error says so, and it is tried
// again when they come again.
func (f *passesFile) set(payload []byte) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	if !bytes.Equal(payload, f.payload) {
		passes, err := passcode.OpenPasses(f.root, f.site, payload)
		if err != nil {
			return err
		}
		if known := f.newest(); known != nil && passes.Version <= known.Version {
			return fmt.Errorf("passes: version %d is no newer than %d, which this gate has", passes.Version, known.Version)
		}
		f.payload, f.kept = bytes.Clone(payload), false
		f.now.Store(&passes)
	}
	if f.kept {
		return nil
	}
	if err := datadir.Write(f.path, payload); err != nil {
		return fmt.Errorf("passes: after a restart this gate will not know of version %d: %w", f.newest().Version, err)
	}
	f.kept = true
	return nil
}

package badge

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/datadir"
)

// passesFile keeps the newest passes on disk, as they were signed. With them it keeps by which key of the site: where that was
// changed, they say so.
type passesFile struct {
	path    string
	siteKey ed25519.PublicKey // that the gate was given
	site    string
	log     *slog.Logger

	changing sync.Mutex
	payload  []byte // the newest
	kept     bool   // it is on disk
	now      atomic.Pointer[passcode.Passes]
}

// openPasses reads what was kept. Where there is a file, and the site's key has not signed it, nothing is known until the console
// says it anew: else a code that was revoked would be good again.
func openPasses(path string, siteKey ed25519.PublicKey, site string, log *slog.Logger) (*passesFile, error) {
	f := &passesFile{path: path, siteKey: siteKey, site: site, log: log}
	payload, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		f.now.Store(&passcode.Passes{SiteKey: siteKey})
		return f, nil
	}
	var kept passcode.Passes
	if err == nil {
		kept, err = passcode.OpenPasses(siteKey, site, payload)
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

// goesBy is the key of the site that has to have signed what comes next.
func (f *passesFile) goesBy() ed25519.PublicKey {
	if known := f.newest(); known != nil {
		return known.SiteKey
	}
	return f.siteKey
}

// set takes newer passes. They hold from then on, also where the disk does not take them; then the error says so, and it is tried
// again when they come again.
func (f *passesFile) set(payload []byte) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	if !bytes.Equal(payload, f.payload) {
		passes, err := f.newer(payload)
		if err != nil {
			return err
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

// newer opens passes that may take the place of those that the gate has. A key of the site that was changed signs no more: the
// one that came after it does, whatever version the former has signed last.
func (f *passesFile) newer(payload []byte) (passcode.Passes, error) {
	known, siteKey := f.newest(), f.goesBy()
	passes, err := passcode.OpenPasses(siteKey, f.site, payload)
	switch {
	case err != nil:
		return passes, err
	case !passes.SiteKey.Equal(siteKey):
		f.log.Warn("the site has changed its key", "before", passcode.Fingerprint(siteKey), "now", passcode.Fingerprint(passes.SiteKey))
	case known != nil && passes.Version <= known.Version:
		return passes, fmt.Errorf("passes: version %d is no newer than %d, which this gate has", passes.Version, known.Version)
	}
	return passes, nil
}

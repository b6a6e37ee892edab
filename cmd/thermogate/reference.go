package main

import (
	"context"
	"time"

	"thermogate/screening/datadir"
	"thermogate/screening/gate"
)

// referenceFile is where what the gate knows of its reference sources survives a restart.
type referenceFile struct{ path string }

// recall returns what an earlier run knew, nothing if there was none.
func (f referenceFile) recall() (gate.Known, error) {
	known, _, err := readState[gate.Known](f.path)
	return known, err
}

// save keeps what is known; nothing is kept of nothing.
func (f referenceFile) save(known gate.Known) error {
	if len(known.Sources) > 0 {
		return datadir.Replace(f.path, known)
	}
	return removeState(f.path)
}

// recallReference gives a new gate what was known of the sources of its camera.
func (s *station) recallReference(anew *gate.Gate) {
	var known gate.Known
	var err error
	if s.gate != nil {
		known = s.gate.Known()
	} else {
		known, err = s.reference.recall()
	}
	if err == nil && len(known.Sources) > 0 {
		err = anew.Recall(known)
	}
	if err != nil {
		s.log.Warn("what was known of the reference source is left aside; it is found and learnt anew", "error", err)
	}
}

const (
	// referenceEvery is how old what is kept of the reference sources may get. A room changes little in that time.
	referenceEvery = 5 * time.Minute
	// referenceLook is how soon a source that has proved to be steady is kept.
	referenceLook = 10 * time.Second
)

// keepReference keeps what is known of the reference sources until ctx is done, and then once more.
func (s *station) keepReference(ctx context.Context) {
	tick := time.NewTicker(referenceLook)
	defer tick.Stop()
	var kept time.Time
	sources, failed := -1, false
	for {
		done, told := false, false
		select {
		case <-ctx.Done():
			done = true
		case <-s.recalibrated:
			told = true
		case <-tick.C:
		}
		s.mu.Lock()
		var known gate.Known
		due := s.gate != nil && (done || told || s.gate.KnownSources() != sources || time.Since(kept) >= referenceEvery)
		if due {
			known = s.gate.Known()
		}
		s.mu.Unlock()
		if due {
			err := s.reference.save(known)
			if err != nil && !failed { // the same line again and again helps nobody
				s.log.Error("what is known of the reference source is not kept", "error", err)
			}
			failed = err != nil
			kept, sources = time.Now(), len(known.Sources)
		}
		if done {
			return
		}
	}
}

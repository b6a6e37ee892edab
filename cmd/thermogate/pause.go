package main

import (
	"fmt"
	"time"

	"thermogate/screening/datadir"
	"thermogate/screening/mqtt"
)

// pauseFile is where a pause survives a restart: a gate that is being cleaned must not begin to screen because its power
// was cut.
type pauseFile struct{ path string }

// keptPause is what the file holds.
type keptPause struct {
	Until   time.Time `json:"until"`
	Seconds float64   `json:"seconds"` // how long it was to be at most, whatever the clock says
	By      string    `json:"by,omitempty"`
}

const maxPauseSeconds = 1e9 // 31 years: far from overflow

// recall returns what is left of a pause and who wanted it, 0 if there is none.
func (f pauseFile) recall(now time.Time) (left time.Duration, by string, err error) {
	kept, found, err := readState[keptPause](f.path)
	if err != nil || !found {
		return 0, "", err
	}
	if !(kept.Seconds >= 0 && kept.Seconds < maxPauseSeconds) {
		return 0, "", fmt.Errorf("%s is damaged: seconds is %v", f.path, kept.Seconds)
	}
	most := time.Duration(kept.Seconds * float64(time.Second))
	return max(0, min(kept.Until.Sub(now), most)), kept.By, nil
}

// save keeps a pause, or forgets it when it is over.
func (f pauseFile) save(until time.Time, length time.Duration, by string) error {
	if until.IsZero() {
		return removeState(f.path)
	}
	return datadir.Replace(f.path, keptPause{until, length.Seconds(), by})
}

// pause stops screening for a time and says so everywhere, and by whom if that is known; 0 ends a pause. Callers hold
// s.pausing.
func (s *station) pause(length time.Duration, by string) {
	var until time.Time
	if length > 0 {
		until = time.Now().Add(length)
		s.log.Info("screening is paused", "until", until, "by", by)
	} else if !s.pausedUntil.IsZero() {
		s.log.Info("screening goes on after a pause", "by", by)
	}
	s.mu.Lock()
	s.pausedUntil = until
	if s.gate != nil {
		s.gate.SetPaused(length > 0)
	}
	if length > 0 {
		s.present.clear()
	}
	s.mu.Unlock()
	if length == 0 {
		by = ""
	}
	told := until.UTC().Truncate(time.Second)
	s.metrics.SetPaused(length > 0)
	s.health.SetPaused(told)
	s.kiosk.SetPaused(told)
	s.tell(func(status *mqtt.Status) { status.Paused, status.PausedUntil, status.PausedBy = length > 0, told, by })
	if err := s.pauses.save(until, length, by); err != nil {
		s.log.Error("a restart will not know of this", "error", err)
	}
}

// recallPause goes on with the pause that a restart broke into.
func (s *station) recallPause() {
	left, by, err := s.pauses.recall(time.Now())
	if err != nil {
		s.log.Warn("a pause may be forgotten", "error", err)
	}
	s.pausing.Lock()
	defer s.pausing.Unlock()
	s.pause(left, by)
}

// endPause ends a pause whose time has come.
func (s *station) endPause() {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	if !s.pausedUntil.IsZero() && time.Now().After(s.pausedUntil) {
		s.pause(0, "")
	}
}

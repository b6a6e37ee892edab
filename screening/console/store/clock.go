package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// clockStep is how far the clock may go on between two times that it was looked at. A console that was off for longer takes
	// a week to delete again what is old; one whose clock is wrong by less deletes that much too early.
	clockStep = 31 * 24 * time.Hour
	// clockProof is for how long a clock that went further than that has to go on from there to be believed. One that was set back by
	// as much, and goes on for as long, was ahead when it was believed: at its first start, maybe, and maybe is so again.
	clockProof = 7 * 24 * time.Hour
	// clockPause is how much later the clock has to be for that to be noted.
	clockPause = time.Hour
)

// ClockError is the error for a clock that went on by more than a console is ever off: it was not set, or is set now and was not
// before.
type ClockError struct{ Now, Believed, Since time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock of this machine has gone on from %s to %s: if that is wrong set it (timedatectl); if it is right, it is believed from %s on",
		e.Believed.UTC().Format(time.DateTime), e.Now.UTC().Format(time.DateTime), e.Until().UTC().Format(time.DateTime))
}

// Until is from when on the clock is believed, if it goes on from there.
func (e *ClockError) Until() time.Time { return e.Since.Add(clockProof) }

// consoleClock is what is known of the clock, in milliseconds since 1970.
type consoleClock struct{ believed, seen, doubted int64 }

// ahead says whether the clock was further on, when it was looked at last, than can be believed.
func (c consoleClock) ahead() bool { return c.doubted > 0 && c.seen > c.believed }

// at is what is known of the clock once it says that it is now.
func (c consoleClock) at(now int64) consoleClock {
	step, proof := clockStep.Milliseconds(), clockProof.Milliseconds()
	switch {
	case now >= c.believed-step && now <= c.believed+step:
		return consoleClock{max(c.believed, now), now, 0}
	case c.doubted == 0 || now < c.doubted || now > c.seen+step:
		return consoleClock{c.believed, now, now}
	case now-c.doubted < proof:
		return consoleClock{c.believed, now, c.doubted}
	}
	return consoleClock{now, now, 0}
}

// Believe tells whether the clock, which says that it is now, can be believed so far that what is old by it is deleted and what is
// over is reported. Where it can't, the error is a *ClockError.
func (s *Store) Believe(ctx context.Context, now time.Time) error {
	var clock consoleClock
	err := s.commit(ctx, func(tx *sql.Tx) error {
		var before consoleClock
		if err := tx.QueryRowContext(ctx, "SELECT believed, seen, doubted FROM console_clock").Scan(&before.believed, &before.seen, &before.doubted); err != nil {
			return err
		}
		if before.believed == 0 { // the first time
			before.believed = now.UnixMilli()
		}
		clock = before.at(now.UnixMilli())
		if clock.doubted == before.doubted && clock.seen >= before.seen && clock.seen-before.seen < clockPause.Milliseconds() {
			return nil
		}
		_, err := tx.ExecContext(ctx, "UPDATE console_clock SET believed = $1, seen = $2, doubted = $3", clock.believed, clock.seen, clock.doubted)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking at the clock: %w", err)
	}
	s.clockFault.Store(nil)
	if clock.ahead() {
		fault := &ClockError{now, fromMilliseconds(clock.believed), fromMilliseconds(clock.doubted)}
		s.clockFault.Store(fault)
		return fault
	}
	return nil
}

// ClockFault is what Believe said last of the clock, nil where it is believed.
func (s *Store) ClockFault() *ClockError { return s.clockFault.Load() }

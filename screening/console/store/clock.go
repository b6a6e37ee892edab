package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// clockStep is how far the clock may go on between two times that it was looked at. One that is wrong by less deletes that much
	// too early.
	clockStep = 31 * 24 * time.Hour
	// clockFar is how far it may have gone on for a time server to confirm it: one that is wrong is so by years.
	clockFar = 366 * 24 * time.Hour
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
	return fmt.Sprintf("the clock of this machine has gone on from %s to %s: if that is wrong set it (timedatectl); if it is right, it is believed once a time server has confirmed it, and from %s on at the latest",
		e.Believed.UTC().Format(time.DateTime), e.Now.UTC().Format(time.DateTime), e.Until().UTC().Format(time.DateTime))
}

// Until is from when on the clock is believed, if it goes on from there.
func (e *ClockError) Until() time.Time { return e.Since.Add(clockProof) }

// consoleClock is what is known of the clock, in milliseconds since 1970.
type consoleClock struct{ believed, seen, doubted int64 }

// ahead says whether the clock was further on, when it was looked at last, than can be believed.
func (c consoleClock) ahead() bool { return c.doubted > 0 && c.seen > c.believed }

// at is what is known of the clock once it says that it is now, and was confirmed at another time.
func (c consoleClock) at(now, confirmed int64) consoleClock {
	step, proof := clockStep.Milliseconds(), clockProof.Milliseconds()
	switch {
	case now >= c.believed-step && now <= c.believed+step:
		return consoleClock{max(c.believed, now), now, 0}
	case c.doubted == 0 || now < c.doubted || now > c.seen+step:
		return consoleClock{c.believed, now, now}
	case now-c.doubted < proof && (confirmed <= c.doubted || now > c.believed+clockFar.Milliseconds()):
		return consoleClock{c.believed, now, c.doubted}
	}
	return consoleClock{now, now, 0}
}

// confirmed is when, at the earliest, a time server was heard last by which the kernel has this machine's clock: the zero time where
// it has the clock run by itself, or that is another one than says that it is now. What is known of an error is near nothing when
// the server is heard, and grows by 500 µs a second from then on (MAXFREQ of the kernel's linux/timex.h); by hand nobody sets the
// clock without STA_UNSYNC.
func confirmed(clock unix.Timex, now time.Time) time.Time {
	said := time.Unix(int64(clock.Time.Sec), 0)
	if clock.Status&unix.STA_UNSYNC != 0 || now.Sub(said).Abs() > time.Minute {
		return time.Time{}
	}
	return said.Add(-time.Duration(clock.Maxerror) * time.Microsecond * (1e6 / 500))
}

// Believe tells whether the clock, which says that it is now, can be believed so far that what is old by it is deleted and what is
// over is reported. Where it can't, the error is a *ClockError.
func (s *Store) Believe(ctx context.Context, now time.Time) error {
	var kernel unix.Timex
	if _, err := unix.Adjtimex(&kernel); err != nil {
		kernel.Status = unix.STA_UNSYNC
	}
	var clock consoleClock
	err := s.commit(ctx, func(tx *sql.Tx) error {
		before, err := clockOf(ctx, tx)
		if err != nil {
			return err
		}
		if before.believed == 0 { // the first time
			before.believed = now.UnixMilli()
		}
		clock = before.at(now.UnixMilli(), milliseconds(confirmed(kernel, now)))
		if clock.doubted == before.doubted && clock.seen >= before.seen && clock.seen-before.seen < clockPause.Milliseconds() {
			return nil
		}
		return clock.keep(ctx, tx)
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

func clockOf(ctx context.Context, tx *sql.Tx) (c consoleClock, err error) {
	err = tx.QueryRowContext(ctx, "SELECT believed, seen, doubted FROM console_clock").Scan(&c.believed, &c.seen, &c.doubted)
	return c, err
}

func (c consoleClock) keep(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "UPDATE console_clock SET believed = $1, seen = $2, doubted = $3", c.believed, c.seen, c.doubted)
	return err
}

// TrustClock has the clock be believed as it is now, for somebody who knows it right. since is that of the ClockError they were
// told: where the clock was set meanwhile the error is ErrChanged.
func (s *Store) TrustClock(ctx context.Context, since, now time.Time, by Author) error {
	err := s.commit(ctx, func(tx *sql.Tx) error {
		before, err := clockOf(ctx, tx)
		if err != nil {
			return err
		}
		at := now.UnixMilli()
		if doubted := before.at(at, 0).doubted; doubted == 0 || doubted != since.UnixMilli() {
			return ErrChanged
		}
		if err := (consoleClock{believed: at, seen: at}).keep(ctx, tx); err != nil {
			return err
		}
		detail := fromMilliseconds(before.believed).Format(time.DateTime) + " → " + now.UTC().Format(time.DateTime)
		return note(ctx, tx, AuditLine{At: now, By: by, What: TrustedClock, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("having the clock be believed: %w", err)
	}
	s.clockFault.Store(nil)
	return nil
}

// ClockFault is what Believe said last of the clock, nil where it is believed.
func (s *Store) ClockFault() *ClockError { return s.clockFault.Load() }

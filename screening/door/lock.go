package door

import (
	"context"
	"errors"
	"fmt"
	"time"

	"thermogate/screening/event"
)

// refresh is how often the level of a wire is written again: for devices that drop it when nobody writes any more or
// have lost it in a restart, and to notice one that is gone before somebody stands before it. After a failure it is
// tried again sooner.
const (
	refresh = time.Second
	retry   = refresh / 4
)

// wire is what energises a lock.
type wire interface {
	set(ctx context.Context, energised bool) error
	probe(ctx context.Context) (string, error)
	close()
}

// lock is a door whose lock hangs on a wire: energised to open, or to keep locked, for as long as the gate works.
type lock struct {
	wire      wire
	locked    bool // energised while locked
	pulse     time.Duration
	openUntil time.Time
	mayBeOpen bool // it was told to open, and has not been locked since
	due       time.Time
}

func newLock(w wire, c Config) *lock {
	return &lock{wire: w, locked: c.Fail == Safe, pulse: c.Pulse, due: time.Now()}
}

func (l *lock) when() time.Time { return l.due }

// open also makes a pulse that has begun longer.
func (l *lock) open(ctx context.Context, _ event.Event) error {
	err := l.wire.set(ctx, !l.locked)
	if !errors.As(err, new(refusal)) {
		l.mayBeOpen = true
	}
	now := time.Now()
	l.due = now // what was not accepted is taken back
	if err == nil {
		l.openUntil = now.Add(l.pulse)
		l.due = now.Add(min(l.pulse, refresh))
	}
	return err
}

// lock also tries again later where it fails, as after a pulse that is over.
func (l *lock) lock(ctx context.Context) (bool, error) {
	if !l.opened() {
		return false, nil
	}
	l.openUntil = time.Time{}
	return true, l.tend(ctx)
}

func (l *lock) opened() bool { return time.Now().Before(l.openUntil) }

// tend writes the level again, and locks the door when its pulse is over.
func (l *lock) tend(ctx context.Context) error {
	left := time.Until(l.openUntil)
	level := l.locked
	if left > 0 {
		level = !l.locked
	}
	err := l.wire.set(ctx, level)
	switch {
	case err != nil:
		l.due = time.Now().Add(retry)
		if l.mayBeOpen && left <= 0 {
			err = fmt.Errorf("it may stand open, locking it again failed: %w", err)
		}
	case left > 0:
		l.due = time.Now().Add(min(left, refresh))
	default:
		l.mayBeOpen = false
		l.due = time.Now().Add(refresh)
	}
	return err
}

func (l *lock) rest(ctx context.Context) error {
	defer l.wire.close()
	return l.wire.set(ctx, false)
}

func (l *lock) probe(ctx context.Context) (string, error) {
	defer l.wire.close()
	return l.wire.probe(ctx)
}

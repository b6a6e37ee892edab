// Package door opens a door for a person who passed, and puts into the event what became of that.
//
// An event is told to the door once it is on disk, and published once the door has answered or its time is over. The
// door opens on a pass and on nothing else; whatever the gate can't tell, a lost camera included, leaves it locked.
package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"thermogate/screening/event"
)

// maxAge is how old a verdict may be when the door's turn comes. Later, somebody else may stand there.
const maxAge = 2 * time.Second

// queue is how many verdicts may wait for the door. None waits longer than Config.Timeout.
const queue = 64

// output is a door by what it hangs on.
type output interface {
	// open tells the door to open, and is nil if it says that it does. A refusal says that it certainly does not.
	open(ctx context.Context, e event.Event) error
	// tend does what the door needs from time to time, when is when next. The zero time is never.
	tend(ctx context.Context) error
	when() time.Time
	// rest leaves the door without power, for the end of the program.
	rest(ctx context.Context) error
	// probe looks whether the door would obey, without opening it, and says what it found.
	probe(ctx context.Context) (string, error)
}

// refusal is a command that has certainly not been obeyed: the door has said so, or can't be reached.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

var errSilent = errors.New("no answer in time")

// plain gives the many errors of a time that is over one name, and takes the address off those of a connection.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err
	}
	return err
}

// Door is the door of a gate. One goroutine calls Open and Close, another one Run.
type Door struct {
	cfg      Config
	output   output
	answered func(event.Event)
	log      *slog.Logger
	commands chan command

	mu  sync.Mutex
	err error
}

type command struct {
	event event.Event
	told  time.Time
}

// New makes a door that hands every event given to Open to answered, with what became of it in Data.Door. It reads the
// files that cfg names; nothing moves before Run.
func New(cfg Config, answered func(event.Event), log *slog.Logger) (*Door, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("door.%w", err)
	}
	output, err := cfg.newOutput()
	if err != nil {
		return nil, fmt.Errorf("door.%w", err)
	}
	return &Door{cfg: cfg, output: output, answered: answered, log: log, commands: make(chan command, queue)}, nil
}

// Check looks whether the door would obey, without opening it, and says what it found.
func Check(ctx context.Context, cfg Config) (string, error) {
	d, err := New(cfg, nil, nil)
	if err != nil {
		return "", err
	}
	found, err := d.output.probe(ctx)
	if err != nil {
		return "", fmt.Errorf("door.%w", err)
	}
	return found, nil
}

// Announce writes into the event what is true of the door until it answers, and says whether it is to be told at all.
func (d *Door) Announce(e *event.Event) bool {
	proof := &event.Door{Output: string(d.cfg.Output)}
	e.Data.Door = proof
	if e.Data.Outcome != event.Pass {
		proof.Commanded = new(false)
		return false
	}
	proof.Error = "the gate stopped before the door answered; whether it opened is not known"
	return true
}

// Open tells the door to open for the person of the event, and does not wait for it.
func (d *Door) Open(e event.Event) {
	select {
	case d.commands <- command{e, time.Now()}:
	default:
		d.answered(notTold(e, d.cfg.Output, "too many wait for the door"))
	}
}

// Close lets Run end once everything is answered. Open must not be called any more.
func (d *Door) Close() { close(d.commands) }

// Run works the door until Close, and leaves it without power then.
func (d *Door) Run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case c, more := <-d.commands:
			if !more {
				if err := d.within(time.Now(), d.output.rest); err != nil {
					d.note(err)
				}
				return
			}
			d.answered(d.carryOut(c))
		case <-timer.C:
			if len(d.commands) == 0 { // people go first
				d.note(d.within(time.Now(), d.output.tend))
			}
		}
		if when := d.output.when(); !when.IsZero() {
			timer.Reset(time.Until(when))
		}
	}
}

// Err is what is wrong with the door, nil as long as it has done what it was last told to.
func (d *Door) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *Door) note(err error) {
	d.mu.Lock()
	before := d.err
	d.err = err
	d.mu.Unlock()
	switch {
	case err != nil && (before == nil || err.Error() != before.Error()): // the same line again and again helps nobody
		d.log.Error("the door does not obey", "output", d.cfg.Output, "error", err)
	case err == nil && before != nil:
		d.log.Info("the door obeys again", "output", d.cfg.Output)
	}
}

// within gives do the time that the door has for an answer, from began on.
func (d *Door) within(began time.Time, do func(context.Context) error) error {
	ctx, cancel := context.WithDeadline(context.Background(), began.Add(d.cfg.Timeout))
	defer cancel()
	return do(ctx)
}

// carryOut tells the door, unless the command is no longer good, and returns the event with the outcome of that.
func (d *Door) carryOut(c command) event.Event {
	age, waited := time.Since(c.event.Time), time.Since(c.told)
	switch {
	case c.event.Data.Outcome != event.Pass:
		return notTold(c.event, d.cfg.Output, "only a pass opens the door")
	case age > maxAge:
		return notTold(c.event, d.cfg.Output, fmt.Sprintf("the verdict was already %.1f s old", age.Seconds()))
	case waited >= d.cfg.Timeout:
		return notTold(c.event, d.cfg.Output, fmt.Sprintf("the door was busy for %v", waited.Round(time.Millisecond)))
	}
	e := c.event
	e.Data.Door = nil
	err := d.within(c.told, func(ctx context.Context) error { return d.output.open(ctx, e) })
	d.note(err)
	proof := &event.Door{
		Output: string(d.cfg.Output), Commanded: new(true),
		Seconds: new(time.Since(c.told).Round(time.Microsecond).Seconds()),
	}
	switch {
	case err == nil:
		proof.Accepted = new(true)
	case errors.As(err, &refusal{}):
		proof.Accepted = new(false)
	}
	if err != nil {
		proof.Error = err.Error()
	}
	c.event.Data.Door = proof
	return c.event
}

func notTold(e event.Event, output Output, why string) event.Event {
	e.Data.Door = &event.Door{Output: string(output), Commanded: new(false), Error: "not told to open: " + why}
	return e
}

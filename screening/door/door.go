// Package door opens a door for a person who passed, and puts into the event what became of that.
//
// An event is told to the door once it is on disk, and published once the door has answered or its time is over. The
// door opens on a pass and on nothing else, where the rule asks for it on a pass whose person has shown a valid code, before or
// after it; and only if that person may still go in when the door's turn comes. Whatever the gate can't tell, a lost camera
// included, leaves it locked.
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

// MaxAge is how old a verdict may be when the door's turn comes. Later, somebody else may stand there.
const MaxAge = time.Second

// queue is how many verdicts may wait for the door. None waits longer than Config.Timeout.
const queue = 64

// maxTold is how many different errors are logged until the door obeys again. A device that is gone gives two or three
// in turn: nobody listens, there is no way to it, no answer.
const maxTold = 8

// output is a door by what it hangs on.
type output interface {
	// open tells the door to open, and is nil if it says that it does. A refusal says that it certainly does not.
	open(ctx context.Context, e event.Event) error
	// lock ends a pulse that runs, and is false where there is none or it can't be taken back.
	lock(ctx context.Context) (bool, error)
	// opened says whether the door stands open by what it was told and has accepted.
	opened() bool
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

// Move is what the door does.
type Move string

// The moves.
const (
	Opened Move = "opened" // a pulse has begun
	Locked Move = "locked" // the pulse is over
	Cut    Move = "cut"    // it was ended by Lock before its time
)

// Calls are what a Door asks and tells the gate. Run makes them, and Open and Skip those that need no door.
type Calls struct {
	// May is asked when the door's turn comes: nil while the person of this event may go in, else why not.
	May func(event.Event) error
	// Answered gets every event given to Open or Skip, with what became of it in Data.Door.
	Answered func(event.Event)
	// Moved hears of every move.
	Moved func(Move)
}

// Door is the door of a gate. One goroutine calls Open, Skip and Close, another one Run; any may call the rest.
type Door struct {
	cfg      Config
	output   output
	calls    Calls
	log      *slog.Logger
	commands chan command
	lock     chan struct{} // holds a token while a pulse is to end
	open     bool          // as Moved was last told; of Run

	mu   sync.Mutex
	err  error
	told map[string]bool // what was logged since it obeyed last
}

type command struct {
	event event.Event
	told  time.Time
}

// New makes a door. It reads the files that cfg names; nothing moves before Run.
func New(cfg Config, calls Calls, log *slog.Logger) (*Door, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("door.%w", err)
	}
	output, err := cfg.newOutput()
	if err != nil {
		return nil, fmt.Errorf("door.%w", err)
	}
	return &Door{cfg: cfg, output: output, calls: calls, log: log, told: map[string]bool{}, commands: make(chan command, queue), lock: make(chan struct{}, 1)}, nil
}

// Check looks whether the door would obey, without opening it, and says what it found.
func Check(ctx context.Context, cfg Config) (string, error) {
	d, err := New(cfg, Calls{}, nil)
	if err != nil {
		return "", err
	}
	found, err := d.output.probe(ctx)
	if err != nil {
		return "", fmt.Errorf("door.%w", err)
	}
	return found, nil
}

// notKnown ends the error of a command that may have been obeyed.
const notKnown = "; whether it opened is not known"

// Announce writes into the event what is true of the door until it answers, and says whether it is to be told at all.
func (d *Door) Announce(e *event.Event) bool {
	opens := d.cfg.opensFor(*e)
	if e.Data.Outcome == event.Named && !opens { // it says nothing of the door
		return false
	}
	proof := &event.Door{Output: string(d.cfg.Output)}
	e.Data.Door = proof
	if !opens {
		proof.Commanded = new(false)
		if e.Data.Outcome == event.Pass {
			proof.Error = "not told to open: no valid pass code was shown yet"
		}
		return false
	}
	proof.Error = "the gate stopped before the door answered" + notKnown
	return true
}

// Open tells the door to open for the person of the event, and does not wait for it.
func (d *Door) Open(e event.Event) {
	select {
	case d.commands <- command{e, time.Now()}:
	default:
		d.Skip(e, "too many wait for the door")
	}
}

// Skip answers for the event of a pass without telling the door.
func (d *Door) Skip(e event.Event, why string) { d.calls.Answered(notTold(e, d.cfg.Output, why)) }

// Lock ends a pulse that runs, before anybody else is let in, and does not wait for it. What receives the webhook can't
// be told.
func (d *Door) Lock() {
	select {
	case d.lock <- struct{}{}:
	default: // it is going to
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
		case <-d.lock:
			d.cut()
		case c, more := <-d.commands:
			if !more {
				if err := d.within(time.Now(), d.output.rest); err != nil {
					d.note(err)
				}
				return
			}
			select {
			case <-d.lock: // was first
				d.cut()
			default:
			}
			c.event = d.carryOut(c)
			d.tellMove(Locked)
			d.calls.Answered(c.event)
		case <-timer.C:
			d.tellMove(Locked)        // before the wire is: nobody is to be asked in meanwhile
			if len(d.commands) == 0 { // people go first
				d.note(d.within(time.Now(), d.output.tend))
			}
		}
		d.tellMove(Locked)
		if when := d.output.when(); !when.IsZero() {
			timer.Reset(time.Until(when))
		}
	}
}

// cut ends a pulse that runs.
func (d *Door) cut() {
	var cut bool
	err := d.within(time.Now(), func(ctx context.Context) (err error) { cut, err = d.output.lock(ctx); return err })
	if cut {
		d.note(err)
		d.tellMove(Cut)
	}
}

// tellMove tells of a door that has opened, or has closed in the given way.
func (d *Door) tellMove(closed Move) {
	open := d.output.opened()
	if open == d.open {
		return
	}
	d.open = open
	if open {
		closed = Opened
	}
	d.calls.Moved(closed)
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
	case err != nil && !d.told[err.Error()] && len(d.told) < maxTold: // the same lines again and again help nobody
		d.told[err.Error()] = true
		d.log.Error("the door does not obey", "output", d.cfg.Output, "error", err)
	case err == nil && before != nil:
		clear(d.told)
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
	case !d.cfg.opensFor(c.event):
		return notTold(c.event, d.cfg.Output, "only a pass opens the door")
	case age > MaxAge:
		return notTold(c.event, d.cfg.Output, fmt.Sprintf("the verdict was already %.1f s old", age.Seconds()))
	case waited >= d.cfg.Timeout:
		return notTold(c.event, d.cfg.Output, fmt.Sprintf("the door was busy for %v", waited.Round(time.Millisecond)))
	}
	if err := d.calls.May(c.event); err != nil {
		return notTold(c.event, d.cfg.Output, err.Error())
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
		proof.Accepted, proof.Error = new(false), err.Error()
	default:
		proof.Error = err.Error() + notKnown
	}
	c.event.Data.Door = proof
	return c.event
}

func notTold(e event.Event, output Output, why string) event.Event {
	e.Data.Door = &event.Door{Output: string(output), Commanded: new(false), Error: "not told to open: " + why}
	return e
}

// Package mqtt carries events from the journal to a broker and commands from the broker to the gate. It also has the
// broker that a gate can bring along (StartBroker).
package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"thermogate/screening/journal"
)

// Client keeps a gate in touch with its broker.
//
// What happens while the connection lives goes out at once; what waited in the journal follows behind it, oldest first,
// paced, and marked historical. An event is confirmed by the broker's PUBACK on a connection that still lives together
// with the event itself, which comes back to the gate as to any subscriber. Whatever is unconfirmed when the connection
// breaks is sent again over the next, so a receiver may see an event twice and drops the second by its id.
type Client struct {
	cfg     Config
	gate    Gate
	journal *journal.Journal
	handle  Handler
	log     *slog.Logger
	node    *edgeNode // nil without Sparkplug
	kept    kept

	handleAlert  AlertHandler       // nil where nobody asks for the console's word
	handlePasses func([]byte) error // nil where nobody asks for it
	settings     *Settings          // nil where nobody was to be told

	statusChanged chan struct{}
	snapshots     chan snapshot
	confirmed     atomic.Uint64
	refused       atomic.Uint64
	obeyed        atomic.Uint64

	tellRefused, tellObeyed *rate.Limiter // in the log

	mu     sync.Mutex
	status Status
	state  State
	// newest is since of the newest session, doubled when somebody else last spoke for this gate.
	newest, doubled time.Time

	mark      journal.Mark // what may have to be sent again, from here on; of Run
	markSet   bool
	connected bool           // there was a connection before; of Run
	noting    sync.WaitGroup // of sessions that are over, too, but no longer than Run
	timing    timing
}

// timing is how long the client waits for what.
type timing struct {
	settle    time.Duration // subscribers get to come back after a broker restart, before the backlog is sent to them
	proof     time.Duration // for what the gate publishes to come back to it
	again     time.Duration // until what did not come back is sent once more, and what a broker without its memory has lost
	tail      time.Duration // how often the end of the journal is told, at most
	acks      time.Duration // for a PUBACK, before the connection counts as dead
	farewell  time.Duration // for what is in flight, at the end
	retry     time.Duration // before the first attempt to reconnect, doubled with each
	retryMost time.Duration
	stable    time.Duration // a connection that lived so long ends the back-off
	sparkplug time.Duration // the backlog waits for a Sparkplug connection that is away
}

func defaultTiming() timing {
	return timing{
		settle: 2 * time.Second, proof: 10 * time.Second, again: time.Minute, tail: 5 * time.Second, acks: 20 * time.Second, farewell: 2 * time.Second,
		retry: 250 * time.Millisecond, retryMost: 10 * time.Second, stable: 10 * time.Second,
		sparkplug: 15 * time.Second,
	}
}

// What others send fills no log.
const (
	linesPerSecond = rate.Limit(1.0 / 60)
	linesAtOnce    = 30
)

// State is how the connection stands, for /readyz and metrics.
type State struct {
	Connected bool
	Since     time.Time // of the connection, or of its loss
	// TurnedAway is true while the broker does not take the gate's user and password.
	TurnedAway bool
	// Doubled is true while something else speaks for this gate at the broker: another machine of its name, mostly.
	Doubled   bool
	LastError string // what is wrong, or why the last connection ended; empty while all is well
	Backlog   int    // events that wait for the broker's confirmation
	Unstored  int    // events that not every known receiver has stored
	Receivers int    // receivers that have said what they hold
	Confirmed uint64 // events that the broker has confirmed since the start
	Commands  uint64 // commands obeyed
	Refused   uint64 // messages on the subscribed topics that were not obeyed: malformed, unknown or not allowed
	Skipped   uint64 // events that Sparkplug hosts were not told, its connection being away
}

// New makes a client of gate that publishes from j. It obeys the commands in cfg.Commands by calling handle, one at a
// time; without any, handle may be nil. Nothing happens before Run.
func New(cfg Config, gate Gate, j *journal.Journal, handle Handler, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("mqtt.%w", err)
	}
	if err := gate.Validate(); err != nil {
		return nil, err
	}
	if handle == nil && len(cfg.Commands) > 0 {
		return nil, fmt.Errorf("mqtt.commands: this gate can't obey %v", cfg.Commands)
	}
	c := &Client{
		cfg: cfg, gate: gate, journal: j, handle: handle, log: log,
		statusChanged: make(chan struct{}, 1),
		snapshots:     make(chan snapshot, snapshotsWaiting),
		state:         State{Since: time.Now()},
		timing:        defaultTiming(),
		kept:          kept{log: log},
		tellRefused:   rate.NewLimiter(linesPerSecond, linesAtOnce),
		tellObeyed:    rate.NewLimiter(linesPerSecond, linesAtOnce),
	}
	if cfg.Sparkplug.Enabled {
		c.node = newEdgeNode(c)
	}
	return c, nil
}

// TellSettings has the retained status carry what the gate was started with. It comes before Run.
func (c *Client) TellSettings(settings Settings) { c.settings = &settings }

// HandlePasses has the client subscribe to which pass codes are good. handle is given every message on that, one at a time, and
// says what is wrong with one. Call it before Run.
func (c *Client) HandlePasses(handle func([]byte) error) { c.handlePasses = handle }

// SetStatus tells the broker's side how the gate is; the newest status is what counts.
func (c *Client) SetStatus(status Status) {
	c.mu.Lock()
	changed := status != c.status
	c.status = status
	c.mu.Unlock()
	if !changed {
		return
	}
	wake(c.statusChanged)
	if c.node != nil {
		wake(c.node.changed)
	}
}

func (c *Client) currentStatus() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// wake leaves a value in a channel of length 1, if there is none.
func wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// doubledTime is for how long after its last word somebody else speaks for this gate.
const doubledTime = 5 * time.Minute

// seeDouble notes that somebody else has spoken for this gate.
func (c *Client) seeDouble() {
	c.mu.Lock()
	news := time.Since(c.doubled) >= doubledTime
	c.doubled = time.Now()
	c.mu.Unlock()
	if news {
		c.log.Error("another machine connects to the broker as this gate", "client_id", c.cfg.clientID(c.gate))
	}
}

// refuse counts a message that is not obeyed. Whoever sends many does not get to fill the log.
func (c *Client) refuse(err error) {
	if refused := c.refused.Add(1); c.tellRefused.Allow() {
		c.log.Warn("refused a message", "error", err, "refused", refused)
	}
}

// State returns how the connection stands.
func (c *Client) State() State {
	c.mu.Lock()
	state := c.state
	state.Doubled = !c.doubled.IsZero() && time.Since(c.doubled) < doubledTime
	c.mu.Unlock()
	kept := c.journal.Stats()
	state.Backlog, state.Unstored, state.Receivers = kept.Pending, kept.Unstored, kept.Receivers
	state.Confirmed, state.Commands, state.Refused = c.confirmed.Load(), c.obeyed.Load(), c.refused.Load()
	if c.node != nil {
		state.Skipped = c.node.skipped.Load()
	}
	return state
}

// Run connects, publishes and reconnects until ctx ends; then it takes its leave of the broker and returns. A broker
// that can't be reached is no error: it shows in State and in the log.
func (c *Client) Run(ctx context.Context) {
	if c.node != nil {
		nodeLife, leave := context.WithCancel(context.WithoutCancel(ctx)) // it is still told the last events
		var node sync.WaitGroup
		node.Go(func() { c.node.run(nodeLife) })
		defer node.Wait()
		defer leave()
	}
	c.reconnecting(ctx, c.connectOnce, c.disconnected)
	c.noting.Wait()
	c.disconnected(nil)
}

// reconnecting connects again and again until ctx ends, with a pause after each connection that has ended.
func (c *Client) reconnecting(ctx context.Context, connectOnce func(context.Context) error, ended func(error)) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := connectOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= c.timing.stable {
			attempt = 0
		}
		ended(err)
		select {
		case <-time.After(c.backOff(attempt)):
		case <-ctx.Done():
		}
	}
}

// backOff is a random time up to the doubled last one, so that a fleet does not come back all at once.
func (c *Client) backOff(attempt int) time.Duration {
	most := c.timing.retry
	for ; attempt > 0 && most < c.timing.retryMost; attempt-- {
		most *= 2
	}
	most = min(most, c.timing.retryMost)
	return most/2 + rand.N(most/2)
}

// connectOnce lives through one connection and returns why it ended.
func (c *Client) connectOnce(ctx context.Context) error {
	if err := c.remember(ctx); err != nil {
		return err
	}
	s := newSession(c)
	conn, err := connect(ctx, c.cfg, c.cfg.clientID(c.gate), s.will(), s.receive)
	if err != nil {
		return err
	}
	c.mu.Lock()
	s.before, c.newest = c.newest, s.since()
	c.mu.Unlock()
	s.storedBefore = c.journal.Last()
	s.freshAt = s.storedBefore
	c.mu.Lock()
	c.state.Connected, c.state.Since, c.state.LastError, c.state.TurnedAway = true, time.Now(), "", false
	c.mu.Unlock()
	c.log.Info("connected to the broker", "broker", c.cfg.Broker, "backlog", c.journal.Stats().Pending)
	err = s.run(ctx, conn)
	c.connected = true
	return err
}

// setLastError tells whether that is news.
func (c *Client) setLastError(message string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := c.state.LastError != message
	c.state.LastError = message
	return news
}

func (c *Client) disconnected(err error) {
	c.mu.Lock()
	was, before := c.state.Connected, c.state.LastError
	if was {
		c.state.Since = time.Now()
	}
	c.state.Connected = false
	if err != nil {
		c.state.LastError = err.Error()
		c.state.TurnedAway = TurnsAway(err)
	}
	c.mu.Unlock()
	if err != nil && (was || err.Error() != before) { // the same line again and again helps nobody
		c.log.Warn("no connection to the broker, events wait in the journal", "broker", c.cfg.Broker, "error", err)
	}
}

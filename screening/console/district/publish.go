package district

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message is one that a plant has to send.
type Message struct {
	Number int64 // which it is in its outbox; one that was changed there is another
	Site   string
	Kind   Kind
	ID     string // of the header Nats-Msg-Id
	Body   []byte // empty where there is nothing to tell any more
}

// Outbox keeps what a plant has to send until the stream has it.
type Outbox interface {
	// Next returns so many messages at most, in the order in which they are to be sent.
	Next(ctx context.Context, most int, except Except) ([]Message, error)
	// Remove is told the numbers of messages that the stream has, or that had nothing to tell.
	Remove(ctx context.Context, numbers []int64) error
	// News gets a value after there is more to send; several may share one.
	News() <-chan struct{}
}

// Except is what Next leaves out.
type Except struct {
	Numbers map[int64]bool // sent already
	Sites   map[string]bool
}

// Pace of a publisher.
const (
	// mostUnconfirmed bounds what is on its way. An alert is behind so many messages at most.
	mostUnconfirmed = 256
	ackLimit        = 5 * time.Second
	// What is confirmed is removed when it is half of mostUnconfirmed, or after this time: each removal is a write to disk.
	removePause = 250 * time.Millisecond
	firstPause  = 250 * time.Millisecond
	longPause   = 2 * time.Second // with one message as a try after it
	// refusedPause is how long a site rests for which the server takes nothing, or a message that it finds too long.
	refusedPause = time.Minute
	mostRefused  = 1000 // messages that rest by themselves
	// calm is for how long nothing was refused when all is well again. A stream that is full takes one now and then.
	calm = 2*longPause + ackLimit
)

// Sending is how a publisher is doing.
type Sending struct {
	Connected bool
	Since     time.Time // when that changed last
	LastError string    // why not all is sent; empty while all is
	Sent      uint64    // messages that the stream has
	Refused   uint64    // those that it, or the server, did not take; they are tried again
}

// Publisher sends what is in an outbox, in its order, and removes what the stream has confirmed. What was sent and not
// confirmed is sent again; the stream and the district know it by its id.
//
// It begins with one message and has more on the way with each that is confirmed, up to mostUnconfirmed; after an error it
// begins anew. So servers that come back are not met by everything at once.
type Publisher struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	outbox Outbox
	log    *slog.Logger

	unconfirmed map[*nats.Msg]Message
	window      int
	except      Except // Numbers are those sent and not removed yet
	resting     map[int64]time.Time
	closed      map[string]time.Time // sites for which the server takes nothing, until when they rest
	confirmed   []int64
	removed     time.Time
	pause       time.Duration
	resume      time.Time
	results     chan result

	mu     sync.Mutex
	state  Sending
	erred  time.Time // of state.LastError
	sentAt time.Time // of the last that is counted in state.Sent
}

type result struct {
	message *nats.Msg
	err     error
}

// NewPublisher returns a publisher that has sent nothing yet.
func NewPublisher(conn *nats.Conn, outbox Outbox, log *slog.Logger) (*Publisher, error) {
	p := &Publisher{
		conn: conn, outbox: outbox, log: log, window: 1, unconfirmed: map[*nats.Msg]Message{},
		except:  Except{Numbers: map[int64]bool{}, Sites: map[string]bool{}},
		resting: map[int64]time.Time{}, closed: map[string]time.Time{}, results: make(chan result, mostUnconfirmed),
		state: Sending{Since: time.Now()},
	}
	// The results of all that is on its way fit into the channel: what the library does never waits.
	var err error
	p.js, err = jetstream.New(conn, jetstream.WithPublishAsyncTimeout(ackLimit),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { p.results <- result{m, nil} }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { p.results <- result{m, err} }))
	return p, err
}

// State returns how it is doing.
func (p *Publisher) State() Sending {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Run sends until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	status := p.conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	defer p.conn.RemoveStatusListener(status)
	defer p.js.CleanupPublisher()
	second := time.NewTicker(time.Second) // the status is looked at, and sites that rest
	defer second.Stop()
	for more := true; ctx.Err() == nil; {
		p.seeConnection()
		p.wake(time.Now())
		if more && p.ready(time.Now()) {
			more = p.fill(ctx)
		}
		wait := time.NewTimer(p.untilDue(time.Now()))
		select {
		case <-ctx.Done():
		case _, open := <-status:
			if !open {
				status = nil // the connection was closed for good
			}
			p.resume, more = time.Time{}, true
		case <-p.outbox.News():
			more = true
		case now := <-second.C:
			p.calmDown(now)
			more = true
		case r := <-p.results:
			p.settle(r)
			for len(p.results) > 0 {
				p.settle(<-p.results)
			}
			more = true
		case <-wait.C:
			more = true
		}
		wait.Stop()
		if len(p.confirmed) >= mostUnconfirmed/2 || len(p.confirmed) > 0 && time.Since(p.removed) >= removePause {
			p.remove(ctx)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // what is confirmed need not be sent again
	defer cancel()
	p.remove(ctx)
}

func (p *Publisher) seeConnection() {
	connected := p.conn.IsConnected()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Connected != connected {
		p.state.Connected, p.state.Since = connected, time.Now()
	}
}

func (p *Publisher) ready(now time.Time) bool {
	return p.conn.IsConnected() && len(p.unconfirmed) < p.window && !now.Before(p.resume) && len(p.confirmed) < mostUnconfirmed
}

// untilDue is how long nothing has to be done but what somebody else gives a sign of.
func (p *Publisher) untilDue(now time.Time) time.Duration {
	wait := time.Hour
	if now.Before(p.resume) {
		wait = min(wait, p.resume.Sub(now))
	}
	if len(p.confirmed) > 0 {
		wait = min(wait, max(removePause-now.Sub(p.removed), 0))
	}
	return wait
}

// wake ends the rest of sites and messages.
func (p *Publisher) wake(now time.Time) {
	for site, until := range p.closed {
		if now.After(until) {
			delete(p.closed, site)
			delete(p.except.Sites, site)
		}
	}
	for number, until := range p.resting {
		if now.After(until) {
			delete(p.resting, number)
			delete(p.except.Numbers, number)
		}
	}
}

// fill sends as much as may be on its way, and tells whether there may be more.
func (p *Publisher) fill(ctx context.Context) (more bool) {
	room := p.window - len(p.unconfirmed)
	batch, err := p.outbox.Next(ctx, room, p.except)
	if err != nil {
		if ctx.Err() == nil {
			p.tell(fmt.Errorf("reading what is to be sent: %w", err))
			p.slowDown()
		}
		return true
	}
	for _, m := range batch {
		p.except.Numbers[m.Number] = true
		if len(m.Body) == 0 {
			p.confirmed = append(p.confirmed, m.Number)
			continue
		}
		message := &nats.Msg{Subject: Subject(m.Site, m.Kind), Data: m.Body}
		options := []jetstream.PublishOpt{jetstream.WithExpectStream(Stream), jetstream.WithRetryAttempts(0)} // the order is kept here
		if m.ID != "" {
			options = append(options, jetstream.WithMsgID(m.ID))
		}
		p.unconfirmed[message] = m
		if _, err := p.js.PublishMsgAsync(message, options...); err != nil {
			p.settle(result{message, err})
			if !errors.Is(err, nats.ErrMaxPayload) {
				return true
			}
		}
	}
	return len(batch) == room
}

// settle takes what became of a message.
func (p *Publisher) settle(r result) {
	m, known := p.unconfirmed[r.message]
	if !known {
		return
	}
	delete(p.unconfirmed, r.message)
	if r.err == nil {
		p.confirmed = append(p.confirmed, m.Number)
		p.window, p.pause = min(p.window+1, mostUnconfirmed), 0
		p.accepted()
		return
	}
	delete(p.except.Numbers, m.Number) // it comes again
	answer := (*jetstream.APIError)(nil)
	switch {
	case p.denied(r):
		p.closed[m.Site], p.except.Sites[m.Site] = time.Now().Add(refusedPause), true
		p.refused(fmt.Errorf("the server does not let this user publish %s; what the site %s has to tell waits: %w", Subject(m.Site, ">"), m.Site, nats.ErrPermissionViolation))
	case errors.Is(r.err, nats.ErrMaxPayload) || errors.As(r.err, &answer) && answer.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		p.resting[m.Number], p.except.Numbers[m.Number] = time.Now().Add(refusedPause), true
		p.refused(fmt.Errorf("a message of %d bytes is too long for the server; raise its max_payload, and max_msg_size of the stream: %w", len(m.Body), r.err))
		if len(p.resting) >= mostRefused {
			p.slowDown()
		}
	case errors.As(r.err, &answer) && strings.Contains(answer.Description, "messages per subject"):
		p.tell(fmt.Errorf("the district has as much of %s as it takes at once; the rest waits here: %w", Subject(m.Site, m.Kind), r.err))
		p.slowDown()
	case errors.As(r.err, &answer):
		p.refused(fmt.Errorf("the stream of the district takes no messages; they wait here: %w", r.err))
		p.slowDown()
	case errors.Is(r.err, jetstream.ErrAsyncPublishTimeout), errors.Is(r.err, jetstream.ErrNoStreamResponse):
		p.tell(fmt.Errorf("no stream of the district answers; what there is to send waits here: %w", r.err))
		p.slowDown()
	default: // the connection tells
		p.slowDown()
	}
}

// denied tells whether a message got no answer because its sender may not send it: the server tells the connection alone.
func (p *Publisher) denied(r result) bool {
	err := p.conn.LastError()
	return errors.Is(r.err, jetstream.ErrAsyncPublishTimeout) && errors.Is(err, nats.ErrPermissionViolation) &&
		strings.Contains(err.Error(), `"`+r.message.Subject+`"`)
}

// slowDown has what comes next wait, each time for longer.
func (p *Publisher) slowDown() {
	p.window = 1
	if now := time.Now(); now.After(p.resume) { // once for all that was on its way
		p.pause = min(max(2*p.pause, firstPause), longPause)
		p.resume = now.Add(p.pause/2 + rand.N(p.pause))
	}
}

func (p *Publisher) refused(err error) {
	p.mu.Lock()
	p.state.Refused++
	p.mu.Unlock()
	p.tell(err)
}

// tell writes one line where the same error comes again and again.
func (p *Publisher) tell(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.LastError != err.Error() {
		p.log.Warn("the district does not get everything", "error", err)
	}
	p.state.LastError, p.erred = err.Error(), time.Now()
}

func (p *Publisher) accepted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Sent++
	p.sentAt = time.Now()
}

// calmDown notes that all is well again.
func (p *Publisher) calmDown(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.LastError != "" && len(p.closed) == 0 && len(p.resting) == 0 && p.sentAt.After(p.erred) && now.Sub(p.erred) > calm {
		p.log.Info("the district takes messages again")
		p.state.LastError = ""
	}
}

// remove takes out of the outbox what the stream has.
func (p *Publisher) remove(ctx context.Context) {
	if len(p.confirmed) == 0 {
		return
	}
	p.removed = time.Now()
	if err := p.outbox.Remove(ctx, p.confirmed); err != nil {
		p.tell(fmt.Errorf("noting what was sent: %w", err)) // and again later
		p.slowDown()
		return
	}
	for _, number := range p.confirmed {
		delete(p.except.Numbers, number)
	}
	p.confirmed = p.confirmed[:0]
}

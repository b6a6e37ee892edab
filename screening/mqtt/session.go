package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/journal"
)

// A broker that crashes can take events with it that it had confirmed but not yet handed to its subscribers. So what
// was confirmed within resendWindow before a connection broke, but at most resendCount events, is sent once more.
const (
	resendWindow = 10 * time.Second
	resendCount  = 1000
)

// Events on their way that have no PUBACK yet. The backlog is kept small so that on a slow link a fresh event never
// waits long behind it: 64 events are about 60 kB.
const (
	freshWindow   = 256
	backlogWindow = 64
)

// paceSteps is how often a second a share of the backlog is sent.
const paceSteps = 50

// statusEvery is how often the status is published at most, however often it changes.
const statusEvery = time.Second

// session is what the client knows about one connection.
type session struct {
	c        *Client
	conn     *connection
	started  time.Time
	again    bool // a broker has confirmed something before this connection
	flights  chan *flight
	progress chan struct{} // something was confirmed
	failed   chan error
	commands chan request
	alerts   chan Alert
	passes   chan []byte   // the newest that was not handled yet
	forgot   chan struct{} // the broker has lost what it had retained

	before     time.Time   // since of the session of this process before, zero for the first
	remembered atomic.Bool // the broker had a status of this gate
	describing atomic.Bool // to Home Assistant, at this moment
	warned     sync.Once

	air       air
	recovered chan struct{} // the broker hands on again what it did not
	words     words
	resends   resends
	told      tail // in the newest status

	storedBefore          int64     // the newest event when the connection came about
	freshAt               int64     // everything up to this Seq is sent or belongs to the backlog
	backlogAt, backlogEnd int64     // the backlog lies after the one and up to the other
	share                 int       // how much of the backlog may still be sent in this pace step
	waitingAt             int64     // of those that are not on disk yet, everything up to this Seq is sent
	settled               bool      // subscribers have had their time to come back
	readAgain             time.Time // when the disk is asked again that could not be read; zero where it could
}

func newSession(c *Client) *session {
	return &session{
		c: c, started: time.Now(), again: c.confirmedBefore(),
		flights:  make(chan *flight, freshWindow+backlogWindow),
		progress: make(chan struct{}, 1), failed: make(chan error, 1),
		commands: make(chan request, 16), alerts: make(chan Alert, alertsWaiting), passes: make(chan []byte, 1), forgot: make(chan struct{}, 1),
		air:       air{flights: map[string]*flight{}, doubted: map[string]bool{}, words: map[string]journal.Word{}},
		recovered: make(chan struct{}, 1),
		words:     words{latest: map[string]journal.Word{}, news: make(chan struct{}, 1)},
		resends:   resends{added: make(chan struct{}, 1)},
	}
}

// remember notes from where on confirmed events have to be sent again, before a new connection adds its own to them. Before
// the first connection of a process, too: the broker may have been killed together with the one before.
func (c *Client) remember(ctx context.Context) error {
	if c.markSet || !c.confirmedBefore() {
		return nil
	}
	mark, err := c.journal.MarkBefore(ctx, resendWindow, resendCount)
	c.mark, c.markSet = mark, err == nil
	return err
}

// confirmedBefore tells whether a broker has confirmed anything yet.
func (c *Client) confirmedBefore() bool {
	return c.connected || c.journal.Last() > int64(c.journal.Stats().Pending)
}

// run publishes until the connection breaks off or ctx ends.
func (s *session) run(ctx context.Context, conn *connection) error {
	s.conn = conn
	defer conn.Disconnect(0)
	over, stop := context.WithCancel(context.WithoutCancel(ctx)) // acknowledgements count to the very end
	defer stop()
	if err := s.greet(over); err != nil {
		return err
	}
	go s.collectAcks(over)
	go s.obey(over)
	s.c.noting.Go(func() { s.noteWords(over) })
	go s.publishSnapshots(over)
	if s.c.handleAlert != nil {
		go s.tellAlerts(over)
	}
	if s.c.handlePasses != nil {
		go s.tellPasses(over)
	}
	return s.publishing(over, ctx.Done())
}

// publishing goes on until the connection breaks off or leave is closed.
func (s *session) publishing(ctx context.Context, leave <-chan struct{}) error {
	timing := s.c.timing
	settled, proof := time.After(timing.settle), time.After(timing.proof)
	again, tail := time.Tick(timing.again), time.Tick(timing.tail)
	pace, due := time.Tick(time.Second/paceSteps), time.Tick(timing.proof/10)
	status, statusPause := s.c.statusChanged, time.After(statusEvery)
	forgotten := false
	for {
		steps, expiry := pace, due // an idle gate sleeps
		if s.backlogAt >= s.backlogEnd && s.resends.first() == nil {
			steps = nil
		}
		if fresh, backlog := s.air.inFlight(); fresh+backlog == 0 {
			expiry = nil
		}
		select {
		case <-leave:
			return s.farewell()
		case err := <-s.conn.lost:
			return s.brokenOff(err)
		case err := <-s.failed:
			return s.brokenOff(err)
		case <-s.c.journal.Appended():
		case <-s.progress:
		case <-status:
			s.publishStatus()
			status, statusPause = nil, time.After(statusEvery)
		case <-statusPause:
			status = s.c.statusChanged
		case <-tail:
			if s.told != s.tail() {
				s.publishStatus()
			} else {
				s.beat()
			}
		case <-proof:
			s.statusIsDue()
		case <-expiry:
			s.expire()
		case <-s.resends.added:
		case <-s.forgot:
			forgotten = true
		case <-settled:
			s.settled = true
			s.openBacklog(ctx, !forgotten)
		case <-again:
			if forgotten {
				forgotten = false
				s.openBacklog(ctx, true)
			}
			s.openRound()
		case <-s.recovered:
			s.openRound()
		case <-steps:
			s.share = max(1, s.c.cfg.BacklogPerSecond/paceSteps)
		}
		if err := s.send(ctx); err != nil {
			return err
		}
	}
}

// send sends what there is room for, the most urgent first.
func (s *session) send(ctx context.Context) error {
	for _, send := range []func(context.Context) error{s.sendFresh, s.sendWaiting, s.sendBacklog, s.sendResends} {
		if err := send(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openBacklog makes what was stored before the connection and is unconfirmed the backlog, and with it what the broker
// may have lost, also of this connection's first events. Unless done, the same events are added once more by the next
// call.
func (s *session) openBacklog(ctx context.Context, done bool) {
	end := s.storedBefore
	if s.c.markSet {
		end = s.freshAt
		n, err := s.c.journal.Reopen(ctx, s.c.mark)
		if err != nil { // a full disk, say; the next connection tries again
			s.c.log.Warn("what the broker may have lost can't be sent again now", "error", err)
		} else {
			s.c.log.Debug("sending again what the broker may have lost", "events", n)
			s.c.markSet = !done
		}
	}
	s.backlogAt, s.backlogEnd = 0, end
}

// openRound makes what did not come back from the broker the backlog once more.
func (s *session) openRound() {
	if s.backlogAt >= s.backlogEnd && s.air.round() {
		s.backlogAt, s.backlogEnd = 0, s.freshAt
	}
}

func (s *session) sendFresh(ctx context.Context) error {
	for {
		fresh, _ := s.air.inFlight()
		room := freshWindow - fresh
		last := s.c.journal.Last()
		if room <= 0 || s.freshAt >= last {
			return nil
		}
		entries, readable := s.pending(ctx, s.freshAt, last, room)
		if !readable {
			return nil
		}
		for _, entry := range entries {
			entry.Event.Data.Historical = entry.Seq <= s.c.journal.Found() // the disk could not be read before
			if err := s.publish(entry, false); err != nil {
				return err
			}
			s.freshAt = entry.Seq
		}
		if len(entries) < room {
			s.freshAt = last
		}
	}
}

// sendWaiting sends what the disk does not take, from memory: a disk may never come back.
func (s *session) sendWaiting(context.Context) error {
	fresh, _ := s.air.inFlight()
	room := freshWindow - fresh
	if room <= 0 || !s.settled {
		return nil
	}
	for _, entry := range s.c.journal.Waiting(s.waitingAt, room) {
		entry.Event.Data.Historical = entry.Event.Time.Before(s.started)
		if err := s.publish(entry, false); err != nil {
			return err
		}
		s.waitingAt = entry.Seq
	}
	return nil
}

// pending reads what is to be sent. A disk that can't be read is no reason to give the connection up: it is asked again
// after a second.
func (s *session) pending(ctx context.Context, after, upTo int64, limit int) (entries []journal.Entry, readable bool) {
	if time.Now().Before(s.readAgain) {
		return nil, false
	}
	entries, err := s.c.journal.Pending(ctx, after, upTo, limit)
	if err == nil {
		s.readAgain = time.Time{}
		return entries, true
	}
	s.cannotRead(err)
	return nil, false
}

// cannotRead has the disk left alone for a second.
func (s *session) cannotRead(err error) {
	if s.readAgain.IsZero() {
		s.c.log.Warn("events on disk can't be sent now", "error", err)
	}
	s.readAgain = time.Now().Add(time.Second)
}

func (s *session) sendBacklog(ctx context.Context) error {
	room := s.roomBehind()
	if room <= 0 || s.backlogAt >= s.backlogEnd {
		return nil
	}
	entries, readable := s.pending(ctx, s.backlogAt, s.backlogEnd, room)
	if !readable {
		return nil
	}
	for _, entry := range entries {
		if err := s.publishBehind(entry); err != nil {
			return err
		}
		s.backlogAt = entry.Seq
	}
	if len(entries) < room {
		s.backlogAt = s.backlogEnd
	}
	return nil
}

// roomBehind is how many events may be sent now that are not fresh.
func (s *session) roomBehind() int {
	_, backlog := s.air.inFlight()
	room := min(s.share, backlogWindow-backlog)
	if s.c.node != nil {
		room = min(room, s.c.node.room(s.started))
	}
	return room
}

// publishBehind publishes an event that is not fresh, unless it is on its way.
func (s *session) publishBehind(entry journal.Entry) error {
	s.share--
	if s.air.holds(entry) {
		return nil
	}
	entry.Event.Data.Historical = true
	return s.publish(entry, true)
}

// brokenOff makes of the reason why a connection ended an error for people.
func (s *session) brokenOff(err error) error {
	select {
	case err = <-s.conn.lost: // says more than what followed from it
	default:
	}
	hint := ""
	if time.Since(s.started) < 5*time.Second {
		hint = fmt.Sprintf(" at once; is another gate connected with the client id %q, or a topic not allowed to user %q?",
			s.c.cfg.clientID(s.c.gate), s.c.cfg.User)
	}
	return fmt.Errorf("mqtt.broker %s: the connection broke off%s: %w", s.c.cfg.Broker, hint, err)
}

// farewell waits a little for what is in flight and leaves the status offline.
func (s *session) farewell() error {
	landed, err := s.awaitLanding()
	if err != nil {
		return err
	}
	err = wait(context.Background(), s.conn.Publish(s.c.gate.StatusTopic(), 1, true, s.statusPayload("offline", s.tail())), s.c.timing.farewell)
	s.conn.Disconnect(250)
	if err == nil && !landed {
		return errors.New("some events did not come back from the broker before the end")
	}
	return err
}

// awaitLanding is false where something stays in the air for too long, and an error where the connection is of no use any
// more.
func (s *session) awaitLanding() (landed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.c.timing.farewell)
	defer cancel()
	if err := s.sendFresh(ctx); err != nil {
		return false, nil // the journal is; the next start sends what it holds
	}
	for s.inTheAir() {
		select {
		case <-ctx.Done():
			return false, nil
		case err := <-s.failed:
			return false, err
		case <-s.progress:
		}
	}
	return true, nil
}

func (s *session) inTheAir() bool {
	fresh, backlog := s.air.inFlight()
	return fresh+backlog > 0
}

// greet subscribes and tells that the gate is here.
func (s *session) greet(ctx context.Context) error {
	filters := map[string]byte{
		s.c.gate.StatusTopic():           1,
		s.c.gate.ScreeningTopic("+"):     1,
		s.c.gate.StoredTopic():           1,
		s.c.gate.topic("command/") + "#": 1,
	}
	if s.c.handleAlert != nil {
		filters[s.c.gate.AlertTopic("+")] = 1
	}
	if s.c.handlePasses != nil {
		filters[s.c.gate.PassesTopic()] = 1
	}
	if s.c.cfg.HomeAssistant.Enabled {
		filters[s.c.cfg.HomeAssistant.Prefix+"/status"] = 1
	}
	refused, err := s.c.subscribe(ctx, s.conn, filters)
	if err != nil {
		return s.brokenOff(err)
	}
	s.air.blind = slices.Contains(refused, s.c.gate.ScreeningTopic("+"))
	s.takeDiscoveryBack(ctx)
	if s.c.cfg.HomeAssistant.Enabled {
		s.c.kept.describedOn(s.discoveryTopic())
		s.publishDiscovery()
	}
	s.publishStatus()
	return nil
}

// subscribe warns of topics that the broker does not grant, and returns them.
func (c *Client) subscribe(ctx context.Context, conn *connection, filters map[string]byte) (refused []string, err error) {
	token := conn.SubscribeMultiple(filters, nil).(*paho.SubscribeToken)
	if err := wait(ctx, token, c.timing.acks); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	for filter, granted := range token.Result() {
		if granted > 2 {
			refused = append(refused, filter)
			c.log.Warn("the broker does not let this gate subscribe", "broker", c.cfg.Broker, "user", c.cfg.User, "topic", filter)
		}
	}
	return refused, nil
}

// receive takes every message of the broker. It must not block.
func (s *session) receive(_ paho.Client, m paho.Message) {
	topic := m.Topic()
	switch {
	case topic == s.c.gate.StatusTopic():
		s.seeStatus(m)
	case strings.HasPrefix(topic, s.c.gate.ScreeningTopic("")):
		s.seeEvent(m)
	case topic == s.c.gate.StoredTopic():
		s.receiveStored(m)
	case s.c.cfg.HomeAssistant.Enabled && topic == s.c.cfg.HomeAssistant.Prefix+"/status":
		s.seeHomeAssistant(string(m.Payload()))
	case s.c.handleAlert != nil && strings.HasPrefix(topic, s.c.gate.AlertTopic("")):
		s.receiveAlert(strings.TrimPrefix(topic, s.c.gate.AlertTopic("")), m)
	case s.c.handlePasses != nil && topic == s.c.gate.PassesTopic():
		s.receivePasses(m)
	case strings.HasPrefix(topic, s.c.gate.topic("command/")):
		s.receiveCommand(Verb(strings.TrimPrefix(topic, s.c.gate.topic("command/"))), m)
	default:
		s.c.refused.Add(1)
	}
}

// receivePasses keeps the newest only: each has all that is in those before.
func (s *session) receivePasses(m paho.Message) {
	select {
	case <-s.passes:
	default:
	}
	s.passes <- m.Payload()
}

func (s *session) tellPasses(ctx context.Context) {
	for {
		select {
		case payload := <-s.passes:
			if err := s.c.handlePasses(payload); err != nil {
				s.c.refuse(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// seeHomeAssistant describes the gate again to one that has just started.
func (s *session) seeHomeAssistant(state string) {
	switch state {
	case "online":
		if s.describing.CompareAndSwap(false, true) { // it says so once, whoever else may say it by the thousand
			go func() {
				defer s.describing.Store(false)
				s.publishDiscovery()
			}()
		}
	case "offline":
	default:
		s.c.refused.Add(1)
	}
}

// seeStatus learns from the gate's own status topic whether the broker remembers the gate: then the retained status
// comes before the one the gate has just sent. A broker that knew the gate and does not any more has lost everything
// else, too, also the sessions of its subscribers. What somebody else publishes there is set right.
func (s *session) seeStatus(m paho.Message) {
	var got StatusMessage
	err := json.Unmarshal(m.Payload(), &got)
	if m.Retained() {
		if s.remembered.Store(true); err == nil && !s.before.IsZero() && got.Since.After(s.before) && !got.Since.Equal(s.since()) {
			s.c.seeDouble()
		}
		return
	}
	if err == nil && got.Since.Equal(s.since()) {
		s.statusIsBack()
		if !s.remembered.Swap(true) && s.again {
			s.c.log.Warn("the broker has lost its memory; recent events are sent again", "broker", s.c.cfg.Broker)
			s.forgot <- struct{}{}
		}
		return
	}
	s.c.refused.Add(1)
	s.c.seeDouble()
	s.warned.Do(func() {
		s.c.log.Warn("somebody else publishes the status of this gate; is there another gate of this name?", "topic", m.Topic())
	})
	wake(s.c.statusChanged)
}

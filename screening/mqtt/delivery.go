package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/event"
	"thermogate/screening/journal"
)

// flight is an event on its way to the broker.
type flight struct {
	entry   journal.Entry
	topic   string
	payload string
	token   paho.Token
	backlog bool
	back    bool      // the broker has handed it on to the gate, as to any subscriber
	acked   time.Time // zero before its PUBACK
}

// air holds what is on its way. A PUBACK does not say that an event is handed on: a broker whose access rules forbid a topic
// acknowledges what it throws away. So the gate subscribes to its own events, and one counts as confirmed once it was
// acknowledged and has come back, or a receiver says that it holds it. Where the broker refuses that subscription (blind),
// the gate's own status coming back has to do.
//
// An event that was acknowledged and does not come back stays in the journal and is sent again in a later round.
type air struct {
	mu             sync.Mutex
	flights        map[string]*flight // by payload
	fresh, backlog int
	blind          bool
	statusBack     bool
	statusLate     bool                    // it did not come back in time
	doubted        map[string]bool         // topics on which events do not come back
	words          map[string]journal.Word // what each receiver said last
	grounded       bool                    // some event did not come back since the last round
}

func (s *session) publish(entry journal.Entry, backlog bool) error {
	e := entry.Located()
	payload, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	if s.c.node != nil && e.Data.Outcome != event.Named { // hosts know of no persons
		s.c.node.tell(e)
	}
	if s.c.cfg.ONVIF.Enabled {
		if err := s.publishONVIF(e); err != nil {
			return err
		}
	}
	f := &flight{entry: entry, topic: s.c.gate.ScreeningTopic(e.Data.Outcome), payload: string(payload), backlog: backlog}
	s.air.start(f)
	f.token = s.conn.Publish(f.topic, 1, false, payload)
	s.flights <- f
	return nil
}

func (a *air) start(f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flights[f.payload] = f
	*a.count(f)++
}

func (a *air) count(f *flight) *int {
	if f.backlog {
		return &a.backlog
	}
	return &a.fresh
}

// land takes a flight out. Callers hold mu.
func (a *air) land(f *flight) {
	if a.flights[f.payload] == f {
		delete(a.flights, f.payload)
	}
	*a.count(f)--
}

// holds tells whether this event is on its way.
func (a *air) holds(entry journal.Entry) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.flights {
		if f.entry.Seq == entry.Seq {
			return true
		}
	}
	return false
}

func (a *air) inFlight() (fresh, backlog int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fresh, a.backlog
}

// collectAcks notes what the broker acknowledges. A broker acknowledges in the order in which it received
// [MQTT-4.6.0-2], so waiting for the oldest is waiting for all.
func (s *session) collectAcks(ctx context.Context) {
	patience := time.NewTimer(s.c.timing.acks)
	defer patience.Stop()
	for {
		var f *flight
		select {
		case f = <-s.flights:
		case <-ctx.Done():
			return
		}
		patience.Reset(s.c.timing.acks)
		select {
		case <-f.token.Done():
		case <-patience.C:
			s.failed <- fmt.Errorf("the broker has not acknowledged an event for %v", s.c.timing.acks)
			return
		case <-ctx.Done():
			return
		}
		if err := f.token.Error(); err != nil {
			s.failed <- err
			return
		}
		s.air.mu.Lock()
		f.acked = time.Now()
		if f.back || s.air.blind && s.air.statusBack || s.air.stored(f) {
			s.confirm(f)
		}
		s.air.mu.Unlock()
	}
}

// confirm counts an event as handed on. Callers hold air.mu.
func (s *session) confirm(f *flight) {
	s.air.land(f)
	s.c.journal.Confirm(f.entry.Seq)
	s.c.confirmed.Add(1)
	wake(s.progress)
}

// seeEvent takes an event of this gate as any subscriber gets it.
func (s *session) seeEvent(m paho.Message) {
	if m.Retained() {
		s.c.refuse(fmt.Errorf("somebody else has left an event on %s, which no gate does; take it off the broker: mosquitto_pub -t '%s' -r -n", m.Topic(), m.Topic()))
		return
	}
	s.air.mu.Lock()
	f := s.air.flights[string(m.Payload())]
	if f == nil || f.topic != m.Topic() || f.back { // of an earlier round, or somebody else's
		s.air.mu.Unlock()
		return
	}
	f.back = true
	trusted := s.air.doubted[f.topic]
	delete(s.air.doubted, f.topic)
	if !f.acked.IsZero() {
		s.confirm(f)
	}
	s.air.mu.Unlock()
	if trusted {
		s.tellDoubts()
		wake(s.recovered)
	}
}

// confirmStored counts what a receiver holds as handed on.
func (s *session) confirmStored(word journal.Word) {
	s.air.mu.Lock()
	s.air.words[word.By] = word
	doubts := len(s.air.doubted)
	for _, f := range s.air.flights {
		if !f.acked.IsZero() && s.air.stored(f) {
			delete(s.air.doubted, f.topic)
			s.confirm(f)
		}
	}
	trusted := len(s.air.doubted) < doubts
	s.air.mu.Unlock()
	if trusted {
		s.tellDoubts()
		wake(s.recovered)
	}
}

// stored tells whether some receiver holds the event. Callers hold mu.
func (a *air) stored(f *flight) bool {
	for _, word := range a.words {
		if f.entry.Journal == word.Journal && f.entry.Sequence <= word.Through {
			return true
		}
	}
	return false
}

func (a *air) forgetWords() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.words)
}

// expire gives up on events that should have come back by now, until a later round.
func (s *session) expire() {
	due := time.Now().Add(-s.c.timing.proof)
	s.air.mu.Lock()
	doubts := len(s.air.doubted)
	for _, f := range s.air.flights {
		if !f.acked.IsZero() && f.acked.Before(due) {
			s.air.land(f)
			s.air.grounded = true
			if !s.air.blind {
				s.air.doubted[f.topic] = true
			}
		}
	}
	more := len(s.air.doubted) > doubts
	s.air.mu.Unlock()
	if more {
		s.tellDoubts()
	}
}

// statusIsBack notes that the broker hands on the gate's own status.
func (s *session) statusIsBack() {
	s.air.mu.Lock()
	was := s.air.statusBack
	s.air.statusBack = true
	s.air.mu.Unlock()
	if !was {
		s.tellDoubts()
		wake(s.recovered)
	}
}

// statusIsDue notes that a broker had its time for that.
func (s *session) statusIsDue() {
	s.air.mu.Lock()
	s.air.statusLate = true
	s.air.mu.Unlock()
	s.tellDoubts()
}

// round tells whether it is time to send again what did not come back.
func (a *air) round() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	grounded := a.grounded
	a.grounded = false
	return grounded
}

// tellDoubts says in State and log what is not proven of this broker.
func (s *session) tellDoubts() {
	err := s.doubts()
	message := ""
	if err != nil {
		message = fmt.Sprintf("mqtt.broker %s: %v", s.c.cfg.Broker, err)
	}
	if s.c.setLastError(message) && err != nil {
		s.c.log.Error("events are not sure to be handed on", "error", message)
	}
}

func (s *session) doubts() error {
	a := &s.air
	a.mu.Lock()
	defer a.mu.Unlock()
	gate, user := s.c.gate, s.c.cfg.User
	allow := fmt.Sprintf("allow user %q to write %s and to read and write %s and %s", user, gate.topic("#"), gate.StatusTopic(), gate.ScreeningTopic("+"))
	switch {
	case a.statusLate && !a.statusBack:
		return errors.New("it does not hand on what this gate publishes, so events stay in the journal; " + allow)
	case a.blind:
		return fmt.Errorf("it does not let this gate read its own events, so nobody knows whether it hands them on; they count as delivered once it acknowledges them; %s", allow)
	}
	var topics []string
	for topic := range a.doubted {
		topics = append(topics, topic)
	}
	if len(topics) == 0 {
		return nil
	}
	slices.Sort(topics)
	return fmt.Errorf("it does not hand on what this gate publishes on %s, so those events stay in the journal; %s", strings.Join(topics, " and "), allow)
}

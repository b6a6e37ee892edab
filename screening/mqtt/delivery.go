package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/journal"
)

// flight is an event on its way to the broker.
type flight struct {
	seq     int64
	token   paho.Token
	backlog bool
}

func (s *session) publish(entry journal.Entry, backlog bool) error {
	payload, err := json.Marshal(entry.Event)
	if err != nil {
		return fmt.Errorf("event %s: %w", entry.Event.ID, err)
	}
	if s.c.node != nil {
		s.c.node.tell(entry.Event)
	}
	if s.c.cfg.ONVIF.Enabled {
		if err := s.publishONVIF(entry.Event); err != nil {
			return err
		}
	}
	s.inFlight(backlog).Add(1)
	token := s.conn.Publish(s.c.gate.ScreeningTopic(entry.Event.Data.Outcome), 1, false, payload)
	s.flights <- flight{seq: entry.Seq, token: token, backlog: backlog}
	return nil
}

func (s *session) inFlight(backlog bool) *atomic.Int32 {
	if backlog {
		return &s.backlogInFlight
	}
	return &s.freshInFlight
}

// collectAcks confirms what the broker acknowledges. A broker acknowledges in the order in which it received
// [MQTT-4.6.0-2], so waiting for the oldest is waiting for all.
func (s *session) collectAcks(ctx context.Context) {
	patience := time.NewTimer(s.c.timing.acks)
	defer patience.Stop()
	for {
		var f flight
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
		s.confirm(f.seq)
		s.inFlight(f.backlog).Add(-1)
		select {
		case s.progress <- struct{}{}:
		default:
		}
	}
}

// confirm believes an acknowledgement only from a broker that has handed the gate's own status back to it: one whose
// access rules forbid a topic acknowledges what it throws away.
func (s *session) confirm(seq int64) {
	s.provenMu.Lock()
	defer s.provenMu.Unlock()
	if !s.proven {
		s.unproven = append(s.unproven, seq)
		return
	}
	s.c.journal.Confirm(seq)
	s.c.confirmed.Add(1)
}

func (s *session) prove() {
	s.provenMu.Lock()
	defer s.provenMu.Unlock()
	if s.proven {
		return
	}
	s.proven = true
	s.c.journal.Confirm(s.unproven...)
	s.c.confirmed.Add(uint64(len(s.unproven)))
	s.unproven = nil
	s.c.setLastError("")
}

// doubt tells, of a broker that has had its time, that it has not proven itself.
func (s *session) doubt() {
	s.provenMu.Lock()
	proven := s.proven
	s.provenMu.Unlock()
	if proven {
		return
	}
	err := fmt.Errorf("mqtt.broker %s: it does not hand on what this gate publishes, so events stay in the journal; allow user %q to write %s and to read and write %s",
		s.c.cfg.Broker, s.c.cfg.User, s.c.gate.topic("#"), s.c.gate.StatusTopic())
	s.c.setLastError(err.Error())
	s.c.log.Error("events are sent but not confirmed", "error", err)
}

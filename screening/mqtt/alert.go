package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"
)

// Alert is the console's word on an alert of this gate: that somebody sees to it, or what became of it.
type Alert struct {
	Event   string       // id of the alert
	Taken   bool         // somebody is on the way, or has measured and not closed it yet
	Closed  bool         // the guard is done with it
	Outcome AlertOutcome // of one that is closed
}

// AlertOutcome is what a second reading said.
type AlertOutcome string

// The outcomes.
const (
	Confirmed  AlertOutcome = "confirmed" // it is a fever
	FalseAlert AlertOutcome = "false"     // it is none
	Gone       AlertOutcome = "gone"      // the person left before it
)

// AlertHandler learns of the console's word. It is called for one alert at a time, and for all that the broker has kept
// with each new connection.
type AlertHandler func(Alert)

const (
	maxAlertBytes = 4096
	maxAlertState = 32
	alertsWaiting = 256 // as many as a broker hands on at once of those that it has kept
)

// The states of an alert that mean something to a gate.
const (
	stateTaken  = "taken"
	stateRead   = "read"
	stateClosed = "closed"
)

// alertMessage is the JSON of it. A console may tell more than a gate needs to know.
type alertMessage struct {
	State   string       `json:"state"`
	Outcome AlertOutcome `json:"outcome"`
}

// ParseAlert reads the console's word on the alert with this id.
func ParseAlert(id string, payload []byte) (Alert, error) {
	if _, err := ulid.ParseStrict(id); err != nil {
		return Alert{}, fmt.Errorf("%.40q is the id of no event", id)
	}
	if len(payload) > maxAlertBytes {
		return Alert{}, fmt.Errorf("the word on an alert has %d bytes, more than %d", len(payload), maxAlertBytes)
	}
	var m alertMessage
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if err := decoder.Decode(&m); err != nil {
		return Alert{}, fmt.Errorf("the word on an alert is not as it should be: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Alert{}, errors.New("something follows the word on an alert")
	}
	switch {
	case m.State == "" || len(m.State) > maxAlertState:
		return Alert{}, fmt.Errorf("an alert has a state, such as taken or %s", stateClosed)
	case m.State != stateClosed:
		return Alert{Event: id, Taken: m.State == stateTaken || m.State == stateRead}, nil
	case m.Outcome != Confirmed && m.Outcome != FalseAlert && m.Outcome != Gone:
		return Alert{}, fmt.Errorf("an alert is closed as %s, %s or %s, not %.40q", Confirmed, FalseAlert, Gone, string(m.Outcome))
	}
	return Alert{Event: id, Closed: true, Outcome: m.Outcome}, nil
}

// HandleAlerts has the client subscribe to the console's word on alerts. Call it before Run.
func (c *Client) HandleAlerts(handle AlertHandler) { c.handleAlert = handle }

// receiveAlert hands the console's word on, also one that the broker has kept: it is how things stand. An empty message
// is one that is not kept any more.
func (s *session) receiveAlert(id string, m paho.Message) {
	if len(m.Payload()) == 0 {
		return
	}
	alert, err := ParseAlert(id, m.Payload())
	if err != nil {
		s.c.refuse(err)
		return
	}
	select {
	case s.alerts <- alert:
	default:
		s.c.refused.Add(1)
	}
}

// tellAlerts calls the handler, which may take its time.
func (s *session) tellAlerts(ctx context.Context) {
	for {
		select {
		case alert := <-s.alerts:
			s.c.handleAlert(alert)
		case <-ctx.Done():
			return
		}
	}
}

package mqtt

import (
	"encoding/json"
	"time"
)

// Status is what the retained status topic tells of a gate besides that it is online.
type Status struct {
	Version   string `json:"version,omitempty"`
	Camera    string `json:"camera,omitempty"`    // starting, ok, stalled or lost
	Reference string `json:"reference,omitempty"` // what is wrong with the reference source; empty while nothing is
	// Paused is true while nobody is screened, by command, and PausedUntil is when that ends by itself.
	Paused      bool      `json:"paused,omitempty"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
}

// StatusMessage is the JSON on the status topic.
type StatusMessage struct {
	State string    `json:"state"` // online or offline
	Since time.Time `json:"since"` // when the gate connected, also while offline
	Status
}

func (s *session) will() *will {
	return &will{topic: s.c.gate.StatusTopic(), payload: s.statusPayload("offline"), retained: true}
}

func (s *session) statusPayload(state string) []byte {
	message := StatusMessage{State: state, Since: s.since(), Status: s.c.currentStatus()}
	if state == "offline" {
		message.Status = Status{Version: message.Version}
	}
	payload, err := json.Marshal(message)
	if err != nil {
		panic(err) // strings, a flag and times of this century
	}
	return payload
}

// since tells this connection from every other in the statuses of the gate.
func (s *session) since() time.Time { return s.started.UTC().Truncate(time.Millisecond) }

// publishStatus does not wait: where it fails, the connection has broken off, and the next one begins with it.
func (s *session) publishStatus() {
	s.conn.Publish(s.c.gate.StatusTopic(), 1, true, s.statusPayload("online"))
}

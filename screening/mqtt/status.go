package mqtt

import (
	"encoding/json"
	"time"

	"thermogate/screening/event"
)

// Status is what the retained status topic tells of a gate besides that it is online.
type Status struct {
	Version   string `json:"version,omitempty"`
	Camera    string `json:"camera,omitempty"`    // starting, ok, stalled or lost
	Reference string `json:"reference,omitempty"` // what is wrong with the reference source; empty while nothing is
	Group     string `json:"group,omitempty"`     // what is wrong with the readings of people together; empty while nothing is
	// Paused is true while nobody is screened, by command, PausedUntil is when that ends by itself, and PausedBy who wanted it
	// as far as the command said.
	Paused      bool      `json:"paused,omitempty"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
	PausedBy    string    `json:"paused_by,omitempty"`
	// Lacks is what the gate was not told yet.
	Lacks event.Lacks `json:"lacks,omitzero"`
	// Keys is by what it checks badges. A gate without readers has none, nor one whose program is of before they could be changed.
	Keys Keys `json:"keys,omitzero"`
}

// Keys say which keys of its site a gate has, and nothing by which anybody could make a code or find a number.
type Keys struct {
	Site    string `json:"site,omitempty"`    // passcode.Fingerprint of the public key by which it goes now
	Numbers int    `json:"numbers,omitempty"` // how many number keys
	Newest  string `json:"newest,omitempty"`  // passcode.NumberKeys.Fingerprint of them
}

// Settings are what a gate was started with, without anything secret, so that whoever listens sees what was changed when.
type Settings struct {
	Hash    string            `json:"hash"`             // of the values
	Written time.Time         `json:"written,omitzero"` // when the file that they are from was changed last
	Values  map[string]string `json:"values"`           // by the keys of the configuration file, such as policy.threshold_celsius
}

// StatusMessage is the JSON on the status topic. While the gate is connected one comes every 5 seconds or more often.
type StatusMessage struct {
	State string    `json:"state"` // online or offline
	Since time.Time `json:"since"` // when the gate connected, also while offline
	Status
	Settings *Settings `json:"settings,omitempty"` // in the message that is retained
	tail
}

// tail is how far the journal goes and what of it waits, so that a receiver sees what it lacks at the end.
type tail struct {
	Journal     string `json:"journal,omitempty"`
	Sequence    int64  `json:"sequence,omitempty"`    // of the newest event
	Unconfirmed int    `json:"unconfirmed,omitempty"` // events that the broker has not confirmed
	Unstored    int    `json:"unstored,omitempty"`    // events that not every known receiver has stored
}

func (s *session) tail() tail {
	end, stats := s.c.journal.Tail(), s.c.journal.Stats()
	return tail{end.Journal, end.Sequence, stats.Pending, stats.Unstored}
}

func (s *session) will() *will {
	return &will{topic: s.c.gate.StatusTopic(), payload: s.statusPayload("offline", tail{}), retained: true}
}

func (s *session) statusPayload(state string, end tail) []byte {
	return s.statusMessage(state, end).payload()
}

func (s *session) statusMessage(state string, end tail) StatusMessage {
	message := StatusMessage{State: state, Since: s.since(), Status: s.c.currentStatus(), tail: end}
	if state == "offline" {
		message.Status = Status{Version: message.Version}
	}
	return message
}

func (m StatusMessage) payload() []byte {
	payload, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, a flag and times of this century
	}
	return payload
}

// since tells this connection from every other in the statuses of the gate.
func (s *session) since() time.Time { return s.started.UTC().Truncate(time.Millisecond) }

// publishStatus does not wait: where it fails, the connection has broken off, and the next one begins with it.
func (s *session) publishStatus() {
	s.told = s.tail()
	message := s.statusMessage("online", s.told)
	message.Settings = s.c.settings
	s.conn.Publish(s.c.gate.StatusTopic(), 1, true, message.payload())
}

// beat tells those who listen now that the gate is alive. The broker keeps it for nobody.
func (s *session) beat() {
	s.conn.Publish(s.c.gate.StatusTopic(), 0, false, s.statusPayload("online", s.told))
}

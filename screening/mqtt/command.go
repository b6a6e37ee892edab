package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Verb is what a command asks for.
type Verb string

// The verbs.
const (
	Rescreen    Verb = "rescreen"    // look again at the person of an event, or at everybody in view
	Pause       Verb = "pause"       // stop screening for a while; 0 seconds goes on at once
	Recalibrate Verb = "recalibrate" // the reference source is right as it now is
	GroupReset  Verb = "group/reset" // forget the baseline of the group policy
	Ambient     Verb = "ambient"     // the temperature of the air at the gate
	Badge       Verb = "badge"       // a reader has read a badge or a pass code
	resend      Verb = "resend"      // publish events again; any gate obeys it, whatever it allows
)

var verbs = []Verb{Rescreen, Pause, Recalibrate, GroupReset, Ambient, Badge}

func (v Verb) known() bool { return v == resend || slices.Contains(verbs, v) }

const (
	maxCommandBytes = 1024
	maxCommandID    = 64
	maxPause        = 24 * time.Hour
)

// Command is a command that is allowed and well formed.
type Command struct {
	Verb  Verb
	ID    string        // chosen by the sender, comes back in the acknowledgement; may be empty
	Event string        // Rescreen: the event to be repeated; may be empty
	Pause time.Duration // Pause: how long, at most a day
	By    string        // Pause: who wants it; may be empty
	// AmbientCelsius is for Ambient.
	AmbientCelsius float64
	// Number of a badge or Code of a pass, and the Reader that has read it, are for Badge, and whatever they are.
	Number, Code, Reader string
	Read                 time.Time // Badge: when it was, by the reader's clock; zero where that gives no time
	Came                 time.Time // Badge: when the command came, before those ahead of it were carried out

	resend Resend
}

// Handler carries out a command; its error goes back to the sender.
type Handler func(context.Context, Command) error

// commandMessage is the JSON of a command. Every field may be left out, and so may the whole message, except that
// pause needs seconds and may say by whom, ambient needs celsius, and resend journal, from and to.
type commandMessage struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	Seconds *float64  `json:"seconds"`
	By      string    `json:"by"`
	Celsius *float64  `json:"celsius"`
	Number  string    `json:"number"`
	Code    string    `json:"code"`
	Reader  string    `json:"reader"`
	At      time.Time `json:"at"`
	Journal string    `json:"journal"`
	From    int64     `json:"from"`
	To      int64     `json:"to"`
}

// Acknowledgement is the JSON on the acknowledgement topic of a verb.
type Acknowledgement struct {
	ID       string `json:"id,omitempty"`
	Accepted bool   `json:"accepted"`
	Error    string `json:"error,omitempty"`
}

// request is a command and why it is refused, if it is.
type request struct {
	command Command
	refusal error
}

// ParseCommand reads the payload of a command. Whatever is not exactly as it should be is an error.
func ParseCommand(verb Verb, payload []byte) (Command, error) {
	command := Command{Verb: verb}
	if !verb.known() {
		return command, fmt.Errorf("there is no command %.40q", string(verb))
	}
	if len(payload) > maxCommandBytes {
		return command, fmt.Errorf("the command has %d bytes, more than %d", len(payload), maxCommandBytes)
	}
	var m commandMessage
	if len(bytes.TrimSpace(payload)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(payload))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&m); err != nil {
			return command, fmt.Errorf("the command is not as it should be: %w", err)
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return command, errors.New("something follows the command")
		}
	}
	if len(m.ID) > maxCommandID || len(m.Event) > maxCommandID || len(m.By) > maxCommandID {
		return command, fmt.Errorf("id, event and by have at most %d bytes", maxCommandID)
	}
	command.ID, command.Event, command.By = m.ID, m.Event, m.By
	switch {
	case verb == Pause && m.Seconds == nil:
		return command, errors.New(`pause needs seconds, such as {"seconds":1800}; 0 ends a pause`)
	case verb != Pause && m.Seconds != nil:
		return command, fmt.Errorf("%s has no seconds", verb)
	case verb == Ambient && m.Celsius == nil:
		return command, errors.New(`ambient needs celsius, such as {"celsius":22.5}`)
	case verb != Ambient && m.Celsius != nil:
		return command, fmt.Errorf("%s has no celsius", verb)
	case verb != Rescreen && m.Event != "":
		return command, fmt.Errorf("%s has no event", verb)
	case verb != Pause && m.By != "":
		return command, fmt.Errorf("%s has no by", verb)
	case strings.ContainsFunc(m.By, unicode.IsControl):
		return command, errors.New("by is a name of printable characters")
	case verb == Pause && (*m.Seconds < 0 || *m.Seconds > maxPause.Seconds()):
		return command, fmt.Errorf("seconds are between 0 and %.0f", maxPause.Seconds())
	case verb != Badge && (m.Number != "" || m.Code != "" || m.Reader != "" || !m.At.IsZero()):
		return command, fmt.Errorf("%s has no number, code, reader or at", verb)
	case verb == resend:
		command.resend = Resend{m.Journal, m.From, m.To}
		return command, command.resend.Validate()
	case m.Journal != "" || m.From != 0 || m.To != 0:
		return command, fmt.Errorf("%s has no journal, from or to", verb)
	case verb == Badge:
		command.Number, command.Code, command.Reader, command.Read = m.Number, m.Code, m.Reader, m.At
	case verb == Pause:
		command.Pause = time.Duration(*m.Seconds * float64(time.Second))
	case verb == Ambient:
		command.AmbientCelsius = *m.Celsius
	}
	return command, nil
}

// receiveCommand hands a command on. One that was kept by the broker is refused: it would come back with every
// connection, long after whoever sent it meant it.
func (s *session) receiveCommand(verb Verb, m paho.Message) {
	command, err := ParseCommand(verb, m.Payload())
	if verb == Badge {
		command.Came = time.Now()
	}
	switch {
	case err != nil:
	case m.Retained():
		err = errors.New("a command must not be retained")
	case verb != resend && !slices.Contains(s.c.cfg.Commands, verb):
		err = fmt.Errorf("%s is not allowed at this gate (mqtt.commands)", verb)
	}
	select {
	case s.commands <- request{command, err}:
	default:
		s.c.refused.Add(1)
	}
}

// obey carries out commands one after the other and acknowledges each.
func (s *session) obey(ctx context.Context) {
	for {
		var r request
		select {
		case r = <-s.commands:
		case <-ctx.Done():
			return
		}
		err := r.refusal
		switch {
		case err != nil:
		case r.command.Verb == resend:
			err = s.takeResend(r.command.resend)
		default:
			err = s.c.handle(ctx, r.command)
		}
		answer := Acknowledgement{ID: r.command.ID, Accepted: err == nil}
		if err != nil {
			answer.Error = err.Error()
			s.c.refuse(err)
		} else {
			obeyed := s.c.obeyed.Add(1)
			if r.command.Verb != resend && s.c.tellObeyed.Allow() { // receivers ask again and again
				s.c.log.Info("obeyed a command", "verb", r.command.Verb, "id", r.command.ID, "obeyed", obeyed)
			}
		}
		if r.command.Verb.known() { // else the verb may be no topic
			s.acknowledge(ctx, r.command.Verb, answer)
		}
	}
}

func (s *session) acknowledge(ctx context.Context, verb Verb, answer Acknowledgement) {
	payload, err := json.Marshal(answer)
	if err == nil {
		err = wait(ctx, s.conn.Publish(s.c.gate.AcknowledgementTopic(verb), 1, false, payload), s.c.timing.acks)
	}
	if err != nil {
		s.c.log.Warn("could not acknowledge a command", "verb", verb, "error", err)
	}
}

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// maxEventBytes bounds one event as JSON, as the gate's journal does; maxWord a word in it.
const (
	maxEventBytes = 64 << 10
	maxWord       = 64
)

// maxSequence is more than any journal gets to. Runs of greater ones could not be joined: one more than the last is no number.
const maxSequence = 1 << 53

// Event is an event of a gate as the console keeps it.
type Event struct {
	event.Event
	Gate     mqtt.Gate
	Visit    string // id of the visit's first event; several events may be about one person
	Body     []byte // as it came, JSON
	Received time.Time
	// Behind is by how much the gate's clock was behind the console's; 0 where it was not, or that is not known.
	Behind time.Duration

	at       int64 // milliseconds since 1970
	sequence int64 // in the journal; 0 where it has no place in one
}

// NewEvent reads what came from a gate. What is not an event, or not of this gate, is an error: nothing of it could be
// stored or counted.
func NewEvent(gate mqtt.Gate, body []byte, received time.Time) (Event, error) {
	e, err := readEvent(body, received)
	e.Gate = gate
	if err != nil {
		return e, err
	}
	return e, e.check()
}

func readEvent(body []byte, received time.Time) (Event, error) {
	e := Event{Body: body, Received: received}
	if len(body) > maxEventBytes {
		return e, fmt.Errorf("the event has %d bytes, more than %d", len(body), maxEventBytes)
	}
	if !utf8.Valid(body) {
		return e, errors.New("the event is not text in UTF-8")
	}
	if err := json.Unmarshal(body, &e.Event); err != nil {
		return e, fmt.Errorf("the event is not as it should be: %w", err)
	}
	return e, e.place()
}

// place finds the event's place in its journal.
func (e *Event) place() error {
	if e.Journal == "" {
		return nil
	}
	sequence, err := strconv.ParseInt(e.Sequence, 10, 64)
	if _, bad := ulid.ParseStrict(e.Journal); bad != nil || err != nil || sequence < 1 || sequence > maxSequence {
		return fmt.Errorf("the event has no place %.40q in a journal %.40q", e.Sequence, e.Journal)
	}
	e.sequence = sequence
	return nil
}

func (e *Event) check() error {
	data := e.Data
	for _, id := range []string{e.ID, data.RescreenOf, data.Revises} {
		if parsed, err := ulid.ParseStrict(id); id != "" && (err != nil || parsed.String() != id) || e.ID == "" {
			return fmt.Errorf("%.40q is the id of no event", id)
		}
	}
	if want := event.Source(e.Gate.Site, e.Gate.Name); e.Source != want {
		return fmt.Errorf("the event is of %.160q and not of %s, on whose topic it came", e.Source, want)
	}
	if e.at = e.Time.UnixMilli(); e.Time.IsZero() || e.Time.Year() < 1 || e.Time.Year() > 9999 {
		return fmt.Errorf("the event has no time")
	}
	switch data.Outcome {
	case event.Pass, event.Alert, event.Inconclusive:
	case event.Named:
		return e.checkNamed()
	default:
		return fmt.Errorf("%.40q is no outcome", string(data.Outcome))
	}
	if reason := string(data.Reason); len(reason) > maxWord || strings.ContainsFunc(reason, unicode.IsControl) {
		return fmt.Errorf("%.40q is no reason", reason)
	}
	return nil
}

// Place is where in which journal something stands that is no event, if it says so much of itself.
func Place(body []byte) (journal string, sequence int64, ok bool) {
	var e Event
	if json.Unmarshal(body, &e.Event) != nil || e.place() != nil {
		var only struct{ Journal, Sequence string }
		if json.Unmarshal(body, &only) != nil {
			return "", 0, false
		}
		e.Journal, e.Sequence = only.Journal, only.Sequence
		if e.place() != nil {
			return "", 0, false
		}
	}
	return e.Journal, e.sequence, e.sequence > 0
}

// After tells whether the event is of a journal, and comes after a place in it.
func (e *Event) After(journal string, sequence int64) bool {
	return e.Journal != "" && e.Journal == journal && e.sequence > sequence
}

// origin is the event that this one repeats or revises, if it does.
func (e *Event) origin() string {
	if e.Data.Revises != "" {
		return e.Data.Revises
	}
	return e.Data.RescreenOf
}

// idTime is when an event with this id was, by its gate's clock.
func idTime(id string) time.Time {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(parsed.Time())
}

// idAt is the least id of an event at this time or later.
func idAt(at time.Time) string {
	var id ulid.ULID
	if err := id.SetTime(uint64(min(max(at.UnixMilli(), 0), int64(ulid.MaxTime())))); err != nil {
		panic(err) // it is within the bounds
	}
	return id.String()
}

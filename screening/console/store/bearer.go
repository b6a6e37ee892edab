package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Who an event is about is kept apart from the event, so that it can be forgotten without it, and never leaves with it. What
// counts is what was said last, in whichever order it came: by the event itself, or by one with the outcome event.Named of
// the same gate. An event of the latter kind is noted in its journal and is nothing else.

// bearer is who an event is about, or why nobody can be named.
type bearer struct {
	event    string
	gate     mqtt.Gate
	said     string // id of the event that says so
	at       int64  // when the event was, at the latest when it came: else a wrong clock would keep this for too long
	who      event.Bearer
	unpaired event.Unpaired

	received time.Time
}

// checkBearer says what is wrong with who an event is said to be about.
func checkBearer(data event.Data) error {
	switch b := data.Person; {
	case b == nil && data.Unpaired == "":
		return fmt.Errorf("it names nobody and says not why")
	case b == nil && !plainWord(string(data.Unpaired)):
		return fmt.Errorf("%.40q is no reason why nobody is named", string(data.Unpaired))
	case b == nil:
	case data.Unpaired != "":
		return fmt.Errorf("it names somebody and says why nobody is named")
	case !plainWord(b.ID):
		return fmt.Errorf("%.40q is no pseudonym", b.ID)
	case !shortText(b.Company), !shortText(b.By):
		return fmt.Errorf("%.40q, read by %.40q, is no company of a code", b.Company, b.By)
	}
	return nil
}

func plainWord(text string) bool {
	return text != "" && len(text) <= maxWord && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func shortText(text string) bool {
	return len(text) <= 2*maxWord && !strings.ContainsFunc(text, unicode.IsControl)
}

// takeBearers takes out of events who they are about, and leaves those that are about more.
func takeBearers(events []*Event) (rest []*Event, bearers []bearer, err error) {
	rest = events[:0]
	for _, e := range events {
		one := bearer{event: e.ID, gate: e.Gate, said: e.ID, at: e.at, unpaired: e.Data.Unpaired, received: e.Received}
		if e.Data.Outcome == event.Named {
			one.event, one.at = e.Data.PersonOf, idTime(e.Data.PersonOf).UnixMilli()
		}
		if !e.Received.IsZero() {
			one.at = min(one.at, e.Received.UnixMilli())
		}
		if e.Data.Person != nil {
			one.who = *e.Data.Person
		}
		if checkBearer(e.Data) == nil { // else an event is kept without
			bearers = append(bearers, one)
		}
		if e.Data.Outcome == event.Named {
			continue
		}
		if err := e.forgetBearer(); err != nil {
			return nil, nil, err
		}
		rest = append(rest, e)
	}
	return rest, bearers, nil
}

// forgetBearer leaves an event without who it is about. Of one that says so what is kept is what this program knows of it.
func (e *Event) forgetBearer() (err error) {
	if e.tellsPerson() {
		e.Data = e.Data.WithoutPerson()
		e.Body, err = json.Marshal(e.Event)
	}
	return err
}

// tellsPerson tells whether an event says who it is about.
func (e *Event) tellsPerson() bool {
	return e.Data.Person != nil || e.Data.Unpaired != "" || e.Data.PersonOf != "" || saysPerson(e.Body)
}

// saysPerson tells whether JSON may say who an event is about.
func saysPerson(body []byte) bool { return bytes.Contains(bytes.ToLower(body), []byte(`"person`)) }

// nameEvents stores who events are about, and tells of how many a later event has said something new. Of people who are forgotten, and of events that
// are deleted or older than that is kept, it stores nothing.
func (s *Store) nameEvents(ctx context.Context, tx *sql.Tx, bearers []bearer) (fresh int, err error) {
	latest := map[[3]string]bearer{} // one row is changed once by a statement
	s.noteReading(bearers)
	for _, b := range bearers {
		key := [3]string{b.event, b.gate.Site, b.gate.Name}
		if b.said > latest[key].said && !s.forgets(b) {
			latest[key] = b
		}
	}
	args := make([]any, 0, 9*len(latest))
	for _, b := range latest {
		args = append(args, b.event, b.gate.Site, b.gate.Name, b.said, b.at, b.who.ID, b.who.Company, b.who.By, string(b.unpaired))
	}
	err = s.inSteps(args, 9, func(rows string, args []any) error {
		said, err := collect(ctx, tx, func(rows *sql.Rows) (later bool, err error) {
			var event, said string
			err = rows.Scan(&event, &said)
			return event != said, err
		}, "INSERT INTO bearers (event, site, gate, said, at, person, company, reader, unpaired) VALUES "+rows+
			` ON CONFLICT (event, site, gate) DO UPDATE SET said = excluded.said, at = excluded.at, person = excluded.person, company = excluded.company,
			reader = excluded.reader, unpaired = excluded.unpaired WHERE excluded.said > bearers.said RETURNING event, said`, args...)
		for _, later := range said {
			if later {
				fresh++
			}
		}
		return err
	})
	return fresh, err
}

// forgets tells whether nothing is kept of who an event is about.
func (s *Store) forgets(b bearer) bool {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	if s.deleted[b.event] || b.at < s.linksSince(b.received).UnixMilli() {
		return true
	}
	again, forgotten := s.forgotten[forgottenOf{b.gate.Site, passcode.HashOf(b.who.ID)}]
	return b.who.ID != "" && forgotten && (again == 0 || idTime(b.said).UnixMilli() < again)
}

// forgottenOf names somebody of whom nothing is kept.
type forgottenOf struct{ site, hash string }

// hashOf is the SHA-256 of a text as a hexadecimal number.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// linksSince is the time from which on it is kept who events are about.
func (s *Store) linksSince(now time.Time) time.Time { return now.AddDate(0, 0, -s.cfg.KeepPeopleDays) }

// Bearer is who an event is about, or why nobody can be named.
type Bearer struct {
	event.Bearer
	Unpaired event.Unpaired `json:"unpaired,omitempty"`
}

// BearerOf tells who an event of a gate is about; ok is false where nothing says so.
func (s *Store) BearerOf(ctx context.Context, e Event) (b Bearer, ok bool, err error) {
	found, err := collect(ctx, s.read, func(rows *sql.Rows) (b Bearer, err error) {
		err = rows.Scan(&b.ID, &b.Company, &b.By, &b.Unpaired)
		return b, err
	}, "SELECT person, company, reader, unpaired FROM bearers WHERE event = $1 AND site = $2 AND gate = $3", e.ID, e.Gate.Site, e.Gate.Name)
	if err != nil || len(found) == 0 {
		return Bearer{}, false, err
	}
	return found[0], true, nil
}

// NamesPeople tells whether the store says of anybody who they are.
func (s *Store) NamesPeople(ctx context.Context) (names bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM bearers) OR EXISTS (SELECT 1 FROM people) OR EXISTS (SELECT 1 FROM pass_codes)").Scan(&names)
	if err != nil {
		return false, fmt.Errorf("looking for people in the store: %w", err)
	}
	return names, nil
}

// checkNamed says what is wrong with an event that says who another one is about.
func (e *Event) checkNamed() error {
	if parsed, err := ulid.ParseStrict(e.Data.PersonOf); err != nil || parsed.String() != e.Data.PersonOf {
		return fmt.Errorf("it says who %.40q is about, which is no event", e.Data.PersonOf)
	}
	return checkBearer(e.Data)
}

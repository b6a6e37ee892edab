package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Deletion is what is left of an event that somebody has deleted. The person stays counted as before, by outcome, quarter of
// an hour and day: a count is of nobody.
type Deletion struct {
	Event  string
	Gate   mqtt.Gate
	At     time.Time
	By     string // account
	Reason string
	// SHA256 of the event's record as it was then, hexadecimal. Who has an export of it proves by that what was deleted.
	SHA256 string

	visit string
}

// Errors of deletions, to be told apart with errors.Is.
var (
	ErrOpen    = errors.New("its alert is not closed")
	ErrChanged = errors.New("it was changed meanwhile")
)

// record is all that is kept of one event.
type record struct {
	Event    json.RawMessage  `json:"event"` // as it came
	Site     string           `json:"site"`
	Gate     string           `json:"gate"`
	Visit    string           `json:"visit"`
	Received time.Time        `json:"received"`
	Alert    *recordedAlert   `json:"alert,omitempty"`
	Readings []recordedChange `json:"readings,omitempty"` // of somebody who had no alert
	Pictures []recordedPNG    `json:"pictures,omitempty"`
	Known    *recordedKnown   `json:"known,omitempty"`
}

// recordedKnown says whether it is known who an event is about. Who that is stands in the record of the person: in none does a
// temperature stand beside it.
type recordedKnown struct {
	By       string         `json:"by,omitempty"` // the reader
	Unpaired event.Unpaired `json:"unpaired,omitempty"`
}

type recordedAlert struct {
	Event   string            `json:"event"`
	Latest  string            `json:"latest"`
	Times   int               `json:"times"`
	State   AlertState        `json:"state"`
	Outcome mqtt.AlertOutcome `json:"outcome,omitempty"`
	Changes []recordedChange  `json:"changes,omitempty"`

	version int64
}

type recordedChange struct {
	At          time.Time         `json:"at"`
	Who         string            `json:"who,omitempty"`
	What        string            `json:"what"`
	From        AlertState        `json:"from"`
	To          AlertState        `json:"to"`
	Outcome     mqtt.AlertOutcome `json:"outcome,omitempty"`
	Celsius     *float64          `json:"celsius,omitempty"`
	Unit        string            `json:"unit,omitempty"`
	Place       string            `json:"place,omitempty"`
	Thermometer string            `json:"thermometer,omitempty"`
}

type recordedPNG struct {
	Received time.Time `json:"received"`
	PNG      []byte    `json:"png"`
}

// Record is all that is kept of an event, as one line of JSON, and its SHA-256 as a hexadecimal number.
func (s *Store) Record(ctx context.Context, id string) (line []byte, sum string, err error) {
	_, _, line, sum, err = s.record(ctx, id)
	return line, sum, err
}

func (s *Store) record(ctx context.Context, id string) (e Event, r record, line []byte, sum string, err error) {
	if e, err = s.Event(ctx, id); err != nil {
		return e, r, nil, "", err
	}
	r = record{Event: e.Body, Site: e.Gate.Site, Gate: e.Gate.Name, Visit: e.Visit, Received: e.Received}
	if r.Alert, err = s.recordAlert(ctx, e); err != nil {
		return e, r, nil, "", err
	}
	readings, err := s.SpotReadings(ctx, e.ID)
	if err != nil {
		return e, r, nil, "", err
	}
	r.Readings = recordChanges(readings)
	if who, ok, err := s.BearerOf(ctx, e); err != nil {
		return e, r, nil, "", err
	} else if ok {
		r.Known = &recordedKnown{By: who.By, Unpaired: who.Unpaired}
	}
	r.Pictures, err = collect(ctx, s.read, func(rows *sql.Rows) (p recordedPNG, err error) {
		var received int64
		err = rows.Scan(&received, &p.PNG)
		p.Received = fromMilliseconds(received)
		return p, err
	}, "SELECT received, png FROM snapshots WHERE site = $1 AND gate = $2 AND event = $3", e.Gate.Site, e.Gate.Name, e.ID)
	if err == nil {
		line, err = json.Marshal(r)
	}
	if err != nil {
		return e, r, nil, "", fmt.Errorf("the record of event %s: %w", id, err)
	}
	line = append(line, '\n')
	return e, r, line, hashOf(string(line)), nil
}

// recordAlert is the alert that the event has begun, or continued last, with what guards did; nil where there is none.
func (s *Store) recordAlert(ctx context.Context, e Event) (*recordedAlert, error) {
	alerts, err := s.alerts(ctx, s.read, "WHERE visit = $1 AND site = $2 AND gate = $3 AND (event = $4 OR latest = $5)",
		e.Visit, e.Gate.Site, e.Gate.Name, e.ID, e.ID)
	if err != nil || len(alerts) == 0 {
		return nil, err
	}
	a := alerts[0]
	changes, err := s.changes(ctx, "WHERE event = $1 ORDER BY version", a.Event)
	return &recordedAlert{Event: a.Event, Latest: a.Latest, Times: a.Times, State: a.State, Outcome: a.Outcome,
		Changes: recordChanges(changes), version: a.Version}, err
}

func recordChanges(changes []Change) []recordedChange {
	var recorded []recordedChange
	for _, c := range changes {
		one := recordedChange{At: c.At, Who: c.Who, What: c.What, From: c.From, To: c.To, Outcome: c.Outcome}
		if r := c.Reading; r != nil {
			one.Unit, one.Place, one.Thermometer = r.Unit, r.Place, r.Thermometer
			if !r.NotKept {
				one.Celsius = &r.Celsius
			}
		}
		recorded = append(recorded, one)
	}
	return recorded
}

// ExportEvent writes all that is kept of an event, and the lines of the audit about it, as JSON. The second line of the file is
// the record alone: its SHA-256, as sha256sum tells it, is that of the Deletion if the event is deleted as it is.
func (s *Store) ExportEvent(ctx context.Context, id string, to io.Writer) error {
	line, sum, err := s.Record(ctx, id)
	if err != nil {
		return err
	}
	lines, err := s.Audit(ctx, AuditFilter{Account: id}, exportedLines)
	if err != nil {
		return fmt.Errorf("the audit of event %s: %w", id, err)
	}
	type auditLine struct {
		Number  int64     `json:"number"`
		At      time.Time `json:"at"`
		Who     string    `json:"who,omitempty"`
		Address string    `json:"address,omitempty"`
		What    Deed      `json:"what"`
		Detail  string    `json:"detail,omitempty"`
		Hash    string    `json:"hash"`
	}
	audit := []auditLine{}
	for _, l := range lines {
		one := auditLine{Number: l.Number, At: l.At, Who: l.By.Account, What: l.What, Detail: l.Detail, Hash: l.Hash}
		if l.By.Address.IsValid() {
			one.Address = l.By.Address.String()
		}
		audit = append(audit, one)
	}
	rest, err := json.Marshal(audit)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, "{\"format\":%q,\"record_sha256\":%q,\"record\":\n%s,\"audit\":%s}\n", exportFormat, sum, line, rest)
	return err
}

const (
	exportFormat  = "thermogate-event/1"
	personFormat  = "thermogate-person/1"
	exportedLines = 10_000
)

// ReadExport finds in an export which event or which person it is of, and the SHA-256 of its record.
func ReadExport(from io.Reader) (id, sum string, person bool, err error) {
	lines := bufio.NewReader(from)
	head, err := lines.ReadString('\n')
	is := func(format string) bool { return strings.HasPrefix(head, fmt.Sprintf("{\"format\":%q", format)) }
	if person = is(personFormat); err == nil && !person && !is(exportFormat) {
		err = errors.New("its first line is another")
	}
	var line []byte
	if err == nil {
		line, err = lines.ReadBytes('\n')
	}
	var r struct{ Event, Person struct{ ID string } }
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		return "", "", false, fmt.Errorf("it is no export of an event or a person: %w", err)
	}
	if id = r.Event.ID; person {
		id = r.Person.ID
	}
	return id, hashOf(string(line)), person, nil
}

// Deletions returns the newest within a scope, so many; a negative limit is all.
func (s *Store) Deletions(ctx context.Context, scope mqtt.Gate, limit int) ([]Deletion, error) {
	var where conditions
	if scope.Site != "" {
		where.add("site = ?", scope.Site)
	}
	if scope.Name != "" {
		where.add("gate = ?", scope.Name)
	}
	rest := where.String() + " ORDER BY at DESC, event"
	if limit >= 0 {
		where.args = append(where.args, limit)
		rest += " LIMIT " + list(len(where.args), 1)
	}
	return s.deletions(ctx, rest, where.args...)
}

// Deletion returns that of an event, or ErrNoEvent.
func (s *Store) Deletion(ctx context.Context, id string) (Deletion, error) {
	found, err := s.deletions(ctx, " WHERE event = $1", id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("event %.40q: %w", id, ErrNoEvent)
	}
	if err != nil {
		return Deletion{}, err
	}
	return found[0], nil
}

func (s *Store) deletions(ctx context.Context, rest string, args ...any) ([]Deletion, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (d Deletion, err error) {
		var at int64
		err = rows.Scan(&d.Event, &d.Gate.Site, &d.Gate.Name, &d.visit, &at, &d.By, &d.Reason, &d.SHA256)
		d.At = fromMilliseconds(at)
		return d, err
	}, "SELECT event, site, gate, visit, at, who, reason, sha256 FROM deleted_events"+rest, args...)
}

// DeleteEvent deletes an event, its picture, and what its second readings read. Of the alert it leaves who did what when. sum is
// the SHA-256 of the record that somebody wants deleted: with another one now the error is ErrChanged. What a hold keeps,
// or an alert is still open for, is not deleted. No gate brings the event back.
func (s *Store) DeleteEvent(ctx context.Context, id, sum, reason string, by Author, at time.Time) (Deletion, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > maxNote {
		return Deletion{}, fmt.Errorf("whoever deletes an event says why, in at most %d bytes", maxNote)
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	e, r, _, now, err := s.record(ctx, id)
	if err == nil && now != sum {
		err = ErrChanged
	}
	if err == nil && r.Alert != nil && r.Alert.State != Closed {
		err = ErrOpen
	}
	var holds []Hold
	if err == nil {
		holds, err = s.HoldsOn(ctx, e)
	}
	if err == nil && len(holds) > 0 {
		err = ErrHeld
	}
	d := Deletion{Event: id, Gate: e.Gate, At: at, By: by.Account, Reason: reason, SHA256: sum, visit: e.Visit}
	if err == nil {
		s.setDeleted(id, true) // before it is: a picture of it may be on its way
		if err = s.transact(ctx, func(tx *sql.Tx) error {
			if err := d.apply(ctx, tx, r.Alert, by); err != nil {
				return err
			}
			return s.queue(ctx, tx, urgentLane, Outgoing{Kind: OutgoingDeletion, Site: d.Gate.Site, Key: d.Event})
		}); err != nil {
			s.setDeleted(id, false)
		}
	}
	if err != nil {
		return Deletion{}, fmt.Errorf("deleting event %.40q: %w", id, err)
	}
	s.settle(d)
	return d, s.sweep(ctx)
}

func (s *Store) setDeleted(id string, is bool) {
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	if is {
		s.deleted[id] = true
	} else {
		delete(s.deleted, id)
	}
}

// settle has the visit that a deleted event was of stay counted as it was. Of one that never came nobody knows the gate.
func (s *Store) settle(d Deletion) {
	if d.Gate.Name != "" {
		s.shareOf(d.Gate.Site).settled[visitOf{d.Gate, d.visit}] = true
	}
}

func (s *Store) isSettled(v visitOf) bool { return s.shareOf(v.gate.Site).settled[v] }

func (d Deletion) apply(ctx context.Context, tx *sql.Tx, alert *recordedAlert, by Author) error {
	deleted, err := execute(ctx, tx, "DELETE FROM events WHERE id = $1", d.Event)
	if err == nil && deleted == 0 {
		err = ErrChanged
	}
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM snapshots WHERE site = $1 AND gate = $2 AND event = $3", d.Gate.Site, d.Gate.Name, d.Event); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM bearers WHERE event = $1 AND site = $2 AND gate = $3", d.Event, d.Gate.Site, d.Gate.Name); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM alert_changes WHERE event = $1 AND what = $2", d.Event, spot); err != nil {
		return err
	}
	if alert != nil {
		same, err := execute(ctx, tx, "UPDATE alerts SET told = told WHERE event = $1 AND version = $2", alert.Event, alert.version)
		if err == nil && same == 0 {
			err = ErrChanged
		}
		if err == nil {
			err = forgetReadings(ctx, tx, "event = $1", alert.Event)
		}
		if err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO deleted_events (event, site, gate, visit, at, who, reason, sha256) VALUES "+values(1, 8),
		d.Event, d.Gate.Site, d.Gate.Name, d.visit, d.At.UnixMilli(), d.By, d.Reason, d.SHA256); err != nil {
		return err
	}
	return note(ctx, tx, AuditLine{At: d.At, By: by, What: DeletedEvent, About: d.Event, Scope: d.Gate, Detail: "sha256=" + d.SHA256 + " " + d.Reason})
}

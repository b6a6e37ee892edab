package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Filter says which events are wanted. What is empty does not matter.
type Filter struct {
	Site, Gate string
	From, To   time.Time // From and later, before To
	Outcome    event.Outcome
	Reason     event.Reason
	Skin, Body Range
	// Alert is a state, or an outcome of one that is closed, or OpenAlert; it wants events that are the first of an alert.
	Alert string
	// Reading is the second reading of an alert, and as Alert does it wants the first event of one. Read wants one that
	// there is, or that there is not.
	Reading Range
	Read    *bool
	// People wants one event of each visit, the one that counts: From and To are about the first event of the visit then,
	// and all else about the one that is wanted, and about the last alert of the visit. So it lets through as many events
	// as a Report of that time counts people. Again wants those whom it counts as seen again; it is of no use without People.
	People, Again bool
	// Before is the id of an event: those that happened before it, for the next page.
	Before string
}

// OpenAlert is any state of an alert but Closed.
const OpenAlert = "open"

// AnyLeft is the reason of all who went without a reading: event.Left or event.WalkedThrough.
const AnyLeft event.Reason = "left-or-walked-through"

// Range bounds a number in °C, both ends included. What is nil does not matter.
type Range struct{ Least, Most *float64 }

func (r Range) bound(where *conditions, column string) {
	if r.Least != nil {
		where.add(column+" >= ?", *r.Least)
	}
	if r.Most != nil {
		where.add(column+" <= ?", *r.Most)
	}
}

// ofAlerts tells whether only alerts can be wanted.
func (f Filter) ofAlerts() bool { return f.Alert != "" || f.Read != nil || f.Reading != Range{} }

// order is the column by which events are in order.
func (f Filter) order() string {
	if f.ofAlerts() && !f.People {
		return "alerts.event"
	}
	return "events.id"
}

// ids is a query for the ids of those wanted, in no order.
func (f Filter) ids() (query string, args []any) {
	where := f.conditions()
	switch {
	case !f.ofAlerts():
		return "SELECT events.id FROM events" + where.String(), where.args
	case f.People:
		where.add("(events.id = alerts.visit OR events.visit = alerts.visit AND events.visit <> events.id) AND events.site || '' = alerts.site AND events.gate = alerts.gate")
		return "SELECT events.id FROM alerts CROSS JOIN events" + where.String(), where.args // else SQLite looks through all events for some alerts
	default:
		return "SELECT events.id FROM alerts JOIN events ON events.id = alerts.event" + where.String(), where.args
	}
}

// conditions are on events, and on alerts where only these are wanted.
func (f Filter) conditions() conditions {
	var where conditions
	id := f.order()
	if f.ofAlerts() {
		f.conditionsOfAlert(&where)
	}
	if f.People {
		f.conditionsOfVisit(&where)
		f.From, f.To = time.Time{}, time.Time{}
	}
	site := "events.site = ?"
	if f.Gate == "" {
		site = "events.site || '' = ?" // else SQLite takes the index of gates, and puts a whole site in order
	}
	for _, one := range []struct{ condition, value string }{
		{site, f.Site}, {"events.gate = ?", f.Gate}, {"events.outcome = ?", string(f.Outcome)}, {"events.reason = ?", string(f.Reason)}, {id + " < ?", f.Before},
	} {
		if one.value != "" && one.value != string(AnyLeft) {
			where.add(one.condition, one.value)
		}
	}
	if f.Reason == AnyLeft {
		where.add("events.reason IN (?, ?)", string(event.Left), string(event.WalkedThrough))
	}
	if !f.From.IsZero() {
		where.add(id+" >= ?", idAt(f.From))
	}
	if !f.To.IsZero() {
		where.add(id+" < ?", idAt(f.To))
	}
	f.Skin.bound(&where, "events.skin_celsius")
	f.Body.bound(&where, "events.body_celsius")
	return where
}

func (f Filter) conditionsOfAlert(where *conditions) {
	switch f.Alert {
	case "":
	case OpenAlert:
		where.add("alerts.state <> 'closed'")
	case string(New), string(Taken), string(Read):
		where.add("alerts.state = ?", f.Alert)
	default:
		where.add("alerts.state = 'closed' AND alerts.outcome = ?", f.Alert)
	}
	switch {
	case f.Read == nil:
	case *f.Read:
		where.add("alerts.read_at <> 0")
	default:
		where.add("alerts.read_at = 0")
	}
	f.Reading.bound(where, "alerts.read_celsius")
}

// What the index of a visit's later events, and the one of all, have of the others of a visit. A site that is no plain column
// keeps SQLite from the index of gates.
const (
	laterOnes = "SELECT 1 FROM events AS other WHERE other.visit = events.visit AND other.visit <> other.id AND other.id <> events.id AND other.site || '' = events.site AND other.gate = events.gate"
	firstOne  = "SELECT 1 FROM events AS other WHERE other.id = events.visit AND other.id <> events.id AND other.site = events.site AND other.gate = events.gate"
)

// visitSpan is how long after its first event the one may be that counts for a visit, at the most.
const visitSpan = 12 * time.Hour

// conditionsOfVisit want the event of a visit that counts.
func (f Filter) conditionsOfVisit(where *conditions) {
	none := func(condition string, args ...any) {
		where.add("NOT EXISTS ("+laterOnes+" AND "+condition+") AND NOT EXISTS ("+firstOne+" AND "+condition+")", append(args, args...)...)
	}
	if f.ofAlerts() {
		where.add("NOT EXISTS (SELECT 1 FROM alerts AS other WHERE other.visit = alerts.visit AND other.site || '' = alerts.site AND other.gate = alerts.gate AND other.event > alerts.event)")
	}
	if !f.From.IsZero() {
		from := f.From.UnixMilli()
		where.add("events.id >= ? AND events.time >= ?", idAt(f.From.Add(-time.Minute)), from) // an id may be made just before
		none("other.time < ?", from)
	}
	if !f.To.IsZero() {
		to := f.To.UnixMilli()
		where.add("events.id < ?", idAt(f.To.Add(visitSpan)))
		where.add("(events.time < ? OR EXISTS ("+laterOnes+" AND other.time < ?) OR EXISTS ("+firstOne+" AND other.time < ?))", to, to, to)
	}
	if f.Again { // as cameAgain says
		const looks = " AND other.reason <> 'second-reading')"
		where.add("events.reason <> 'second-reading' AND (EXISTS (" + laterOnes + looks + " OR EXISTS (" + firstOne + looks + ")")
	}
	// As ends says.
	const waits, otherWaits = "(events.reason = 'second-reading')", "(other.reason = 'second-reading')"
	none("(" + waits + " AND NOT " + otherWaits + " OR " + waits + " = " + otherWaits +
		" AND (other.time > events.time OR other.time = events.time AND other.id > events.id))")
}

// Events returns the newest events that a filter lets through.
func (s *Store) Events(ctx context.Context, f Filter, limit int) ([]Event, error) {
	query, args := f.ids()
	args = append(args, limit)
	// The ids alone are found in indices, without the events that are not wanted.
	return s.events(ctx, " WHERE id IN ("+query+" ORDER BY "+f.order()+" DESC LIMIT "+list(len(args), 1)+") ORDER BY id DESC", args...)
}

// Row is an event with what became of the alert that its visit had by then.
type Row struct {
	Event
	Alert *Alert
}

// History returns the newest events that a filter lets through, and their alerts.
func (s *Store) History(ctx context.Context, f Filter, limit int) ([]Row, error) {
	events, err := s.Events(ctx, f, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	visits := map[string]bool{}
	for _, e := range events {
		visits[e.Visit] = true
	}
	byVisit := map[string][]Alert{}
	for some := range slices.Chunk(slices.Collect(maps.Keys(visits)), stepRows) {
		alerts, err := s.alerts(ctx, s.read, "WHERE visit IN ("+list(1, len(some))+") ORDER BY event", anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("reading the alerts of the history: %w", err)
		}
		for _, a := range alerts {
			byVisit[a.Visit] = append(byVisit[a.Visit], a)
		}
	}
	rows := make([]Row, len(events))
	for i, e := range events {
		rows[i].Event = e
		for _, a := range byVisit[e.Visit] {
			if a.Event <= e.ID && a.Gate == e.Gate { // an event may only claim to be of that visit
				rows[i].Alert = &a
			}
		}
	}
	return rows, nil
}

// More tells whether a filter lets more than so many events through.
func (s *Store) More(ctx context.Context, f Filter, than int) (bool, error) {
	query, args := f.ids()
	args = append(args, than+1)
	var found int
	err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM ("+query+" LIMIT "+list(len(args), 1)+") AS found", args...).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("counting the history: %w", err)
	}
	return found > than, nil
}

// historyStep is how many rows All reads at a time, so that no transaction lasts.
const historyStep = 1000

// All gives every event that a filter lets through to do, the newest first. It reads on while do is at work.
func (s *Store) All(ctx context.Context, f Filter, do func(Row) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type step struct {
		rows []Row
		err  error
	}
	read := func(f Filter) <-chan step {
		done := make(chan step, 1)
		go func() {
			rows, err := s.History(ctx, f, historyStep)
			done <- step{rows, err}
		}()
		return done
	}
	for next := read(f); next != nil; {
		now := <-next
		if now.err != nil {
			return now.err
		}
		next = nil
		if len(now.rows) == historyStep {
			f.Before = now.rows[historyStep-1].ID
			next = read(f)
		}
		for _, row := range now.rows {
			if err := do(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// Pair is a second reading with what it is compared to.
type Pair struct {
	Screening Event // the last alert before it, or an event that was none
	Reading   Reading
}

// Pairs returns the newest second readings, the last of each alert, that a filter lets through, and then those of people who
// had no alert. A place that is empty is any.
func (s *Store) Pairs(ctx context.Context, f Filter, place string, limit int) ([]Pair, error) {
	yes := true
	f.Read = &yes
	where := f.conditions()
	where.where = append([]string{`change.celsius IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM alert_changes AS later WHERE later.event = change.event AND later.celsius IS NOT NULL AND later.version > change.version)`}, where.where...)
	if place != "" {
		where.add("change.place = ?", place)
	}
	args := append(where.args, limit)
	type found struct {
		event string
		Reading
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (one found, err error) {
		err = rows.Scan(&one.event, &one.Celsius, &one.Unit, &one.Place, &one.Thermometer)
		return one, err
	}, `SELECT alerts.latest, change.celsius, change.unit, change.place, change.thermometer
		FROM alerts JOIN events ON events.id = alerts.event JOIN alert_changes AS change ON change.event = alerts.event`+where.String()+
		" ORDER BY alerts.event DESC LIMIT "+list(len(args), 1), args...)
	var pairs []Pair
	for some := range slices.Chunk(all, stepRows) {
		ids := make([]any, len(some))
		for i, one := range some {
			ids[i] = one.event
		}
		events, err := s.events(ctx, " WHERE id IN ("+list(1, len(ids))+")", ids...)
		if err != nil {
			return nil, fmt.Errorf("reading the events of second readings: %w", err)
		}
		byID := make(map[string]Event, len(events))
		for _, e := range events {
			byID[e.ID] = e
		}
		for _, one := range some {
			if e, ok := byID[one.event]; ok {
				pairs = append(pairs, Pair{e, one.Reading})
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading second readings: %w", err)
	}
	others, err := s.spotPairs(ctx, f, place, limit)
	if err != nil {
		return nil, fmt.Errorf("reading readings of people without an alert: %w", err)
	}
	return append(pairs, others...), nil
}

// maxVisit bounds how many events about one person are read.
const maxVisit = 200

// ErrNoEvent is the error for an id that no event has.
var ErrNoEvent = errors.New("there is no such event")

// Event returns one event.
func (s *Store) Event(ctx context.Context, id string) (Event, error) {
	events, err := s.events(ctx, " WHERE id = $1", id)
	if err != nil {
		return Event{}, err
	}
	if len(events) == 0 {
		return Event{}, fmt.Errorf("event %.40q: %w", id, ErrNoEvent)
	}
	return events[0], nil
}

// Visit returns all events about one person at a gate, in order.
func (s *Store) Visit(ctx context.Context, gate mqtt.Gate, visit string) ([]Event, error) {
	first, err := s.events(ctx, " WHERE id = $1 AND site = $2 AND gate = $3", visit, gate.Site, gate.Name)
	if err != nil {
		return nil, err
	}
	more, err := s.events(ctx, " WHERE visit = $1 AND visit <> id AND site = $2 AND gate = $3 ORDER BY id LIMIT $4", visit, gate.Site, gate.Name, maxVisit)
	return append(first, more...), err
}

func (s *Store) events(ctx context.Context, rest string, args ...any) ([]Event, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (Event, error) {
		var read Event
		var received int64
		if err := rows.Scan(&read.Gate.Site, &read.Gate.Name, &read.Visit, &received, &read.Body); err != nil {
			return Event{}, err
		}
		e, err := NewEvent(read.Gate, read.Body, fromMilliseconds(received))
		e.Visit = read.Visit
		return e, err
	}, "SELECT site, gate, visit, received, body FROM events"+rest, args...)
}

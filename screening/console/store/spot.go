package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"thermogate/screening/event"
)

// SpotLimit is how long after somebody was screened a reading of them still tells what they had then.
const SpotLimit = 15 * time.Minute

// spot is what is done with an event that is no alert.
const spot = "spot"

// Errors of readings of people without an alert, to be told apart with errors.Is.
var (
	ErrSpotLate  = errors.New("that was too long ago to be compared")
	ErrSpotEmpty = errors.New("it has no skin temperature to be compared with")
	ErrSpotAlert = errors.New("this person has an alert, which the reading belongs to")
)

// AddSpotReading notes what a thermometer says of somebody who had no alert. The last one of an event counts.
func (s *Store) AddSpotReading(ctx context.Context, id, who string, reading Reading, at time.Time) error {
	if err := reading.Validate(); err != nil {
		return err
	}
	s.appending.Lock() // nobody deletes or strips the event meanwhile
	defer s.appending.Unlock()
	e, err := s.Event(ctx, id)
	if err != nil {
		return err
	}
	alert, err := s.AlertOf(ctx, e)
	switch {
	case err != nil:
		return err
	case alert != nil || e.Data.Outcome == event.Alert:
		return ErrSpotAlert
	case e.Data.SkinCelsius == nil || s.OutcomeOnly(e.Gate.Site): // be it that a hold keeps the skin temperature
		return ErrSpotEmpty
	case at.Sub(e.Time).Abs() > SpotLimit:
		return ErrSpotLate
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO alert_changes (event, version, at, who, what, from_state, to_state, celsius, unit, place, thermometer)
			SELECT $1, 1 + (SELECT count(*) FROM alert_changes WHERE event = $1), CAST($2 AS BIGINT), $3, $4, '', '', CAST($5 AS DOUBLE PRECISION), $6, $7, $8`,
			id, at.UnixMilli(), who, spot, reading.Celsius, reading.Unit, reading.Place, reading.Thermometer)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting a reading about %s: %w", id, err)
	}
	return nil
}

// SpotReadings returns those about an event without an alert, in order.
func (s *Store) SpotReadings(ctx context.Context, id string) ([]Change, error) {
	return s.changes(ctx, "WHERE event = $1 AND what = $2 ORDER BY version", id, spot)
}

// spotPairs are the newest readings of people without an alert that a filter lets through, the last of each event.
func (s *Store) spotPairs(ctx context.Context, f Filter, place string, limit int) ([]Pair, error) {
	if f.Alert != "" || f.Reading != (Range{}) {
		return nil, nil // which are about alerts
	}
	f.Read = nil
	var where conditions
	where.add("what = 'spot'") // as the index has it
	if !f.From.IsZero() {
		where.add("event >= ?", idAt(f.From))
	}
	if !f.To.IsZero() {
		where.add("event < ?", idAt(f.To))
	}
	args := append(where.args, limit)
	changes, err := s.changes(ctx, where.String()+" ORDER BY event DESC, version DESC LIMIT "+list(len(args), 1), args...)
	if err != nil {
		return nil, err
	}
	last := map[string]Reading{}
	for _, c := range changes {
		if _, known := last[c.Event]; !known && c.Reading != nil {
			last[c.Event] = *c.Reading
		}
	}
	var ids []string
	for id, reading := range last {
		if place == "" || reading.Place == place {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	var pairs []Pair
	for some := range slices.Chunk(ids, stepRows) {
		where := f.conditions()
		first := len(where.args) + 1
		where.where = append(where.where, "events.id IN ("+list(first, len(some))+")")
		events, err := s.events(ctx, where.String()+" ORDER BY id DESC", append(where.args, anys(some)...)...)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			pairs = append(pairs, Pair{e, last[e.ID]})
		}
	}
	return pairs, nil
}

// Outcomes are how many people came to each outcome at the gates of a site, or at one of them, from one day to another, both
// included: Alert to those who had an alert, whatever came after it, and the others by their last. It is on so many days that
// anybody came.
func (s *Store) Outcomes(ctx context.Context, site, gate string, from, to Day) (people map[event.Outcome]int64, days int, err error) {
	zone := s.zone(site)
	var where, ofAlerts conditions
	where.add("site = ?", site)
	ofAlerts.add("site = ?", site)
	if gate != "" {
		where.add("gate = ?", gate)
		ofAlerts.add("gate = ?", gate)
	}
	where.add("day >= ? AND day <= ?", int64(from), int64(to))
	ofAlerts.add("time >= ? AND time < ?", from.Begin(zone).UnixMilli(), (to + 1).Begin(zone).UnixMilli())
	type sum struct {
		outcome event.Outcome
		people  int64
	}
	sums, err := collect(ctx, s.read, func(rows *sql.Rows) (one sum, err error) {
		err = rows.Scan(&one.outcome, &one.people)
		return one, err
	}, "SELECT outcome, CAST(sum(people) AS BIGINT) FROM days"+where.String()+" GROUP BY outcome", where.args...)
	if err != nil {
		return nil, 0, err
	}
	if err := s.read.QueryRowContext(ctx, "SELECT count(DISTINCT day) FROM days"+where.String()+" AND people > 0", where.args...).Scan(&days); err != nil {
		return nil, 0, err
	}
	people = map[event.Outcome]int64{}
	var all, alerts int64
	for _, one := range sums {
		people[one.outcome] = one.people
		all += one.people
	}
	if err := s.read.QueryRowContext(ctx, "SELECT count(DISTINCT visit) FROM alerts"+ofAlerts.String(), ofAlerts.args...).Scan(&alerts); err != nil {
		return nil, 0, err
	}
	people[event.Alert] = alerts
	people[event.Pass] = max(0, all-alerts-people[event.Inconclusive])
	return people, days, nil
}

// Reaching is how many events of a time were of a body estimate, and how many of these reach each level, in °C.
func (s *Store) Reaching(ctx context.Context, f Filter, levels []float64) (reach []int64, measured int64, err error) {
	where := f.conditions()
	where.add("events.body_celsius IS NOT NULL")
	reach = make([]int64, len(levels))
	query, to := "SELECT count(*)", []any{&measured}
	for i, level := range levels {
		query += fmt.Sprintf(", coalesce(sum(CASE WHEN events.body_celsius >= %.2f THEN 1 ELSE 0 END), 0)", level)
		to = append(to, &reach[i])
	}
	err = s.read.QueryRowContext(ctx, query+" FROM events"+where.String(), where.args...).Scan(to...)
	return reach, measured, err
}

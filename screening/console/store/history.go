package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"thermogate/screening/event"
)

// Filter says which events are wanted. What is empty does not matter.
type Filter struct {
	Site, Gate string
	From, To   time.Time // From and later, before To
	Outcome    event.Outcome
	Reason     event.Reason
	// BodyFrom and BodyTo bound the body estimate in °C, both included.
	BodyFrom, BodyTo *float64
	// Before is the id of an event: those that happened before it, for the next page.
	Before string
}

// Events returns the newest events that a filter lets through.
func (s *Store) Events(ctx context.Context, f Filter, limit int) ([]Event, error) {
	var where conditions
	for _, one := range []struct {
		condition string
		value     string
	}{
		{"site = ?", f.Site}, {"gate = ?", f.Gate}, {"outcome = ?", string(f.Outcome)}, {"reason = ?", string(f.Reason)}, {"id < ?", f.Before},
	} {
		if one.value != "" {
			where.add(one.condition, one.value)
		}
	}
	if !f.From.IsZero() {
		where.add("id >= ?", idAt(f.From))
	}
	if !f.To.IsZero() {
		where.add("id < ?", idAt(f.To))
	}
	if f.BodyFrom != nil {
		where.add("body_celsius >= ?", *f.BodyFrom)
	}
	if f.BodyTo != nil {
		where.add("body_celsius <= ?", *f.BodyTo)
	}
	args := append(where.args, limit)
	return s.events(ctx, where.String()+" ORDER BY id DESC LIMIT "+list(len(args), 1), args...)
}

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

// Visit returns all events about one person, in order.
func (s *Store) Visit(ctx context.Context, visit string) ([]Event, error) {
	first, err := s.events(ctx, " WHERE id = $1", visit)
	if err != nil {
		return nil, err
	}
	more, err := s.events(ctx, " WHERE visit = $1 AND visit <> id ORDER BY id", visit)
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

// deleteChunk bounds how many events one transaction deletes, so that nothing waits long behind it.
const deleteChunk = 500

// Retire deletes pictures, and the months of events and of the audit, that are to be kept no longer. What came late stays as
// long after it came.
func (s *Store) Retire(ctx context.Context, now time.Time) (deleted int64, err error) {
	now = now.UTC()
	horizon := time.Date(now.Year(), now.Month()-time.Month(s.cfg.KeepMonths), 1, 0, 0, 0, 0, time.UTC)
	if err := s.retireSnapshots(ctx, now, horizon); err != nil {
		return 0, err
	}
	if _, err := s.write.ExecContext(ctx, "DELETE FROM audit WHERE at < $1", horizon.UnixMilli()); err != nil {
		return 0, fmt.Errorf("deleting old lines of the audit: %w", err)
	}
	if s.postgres {
		if deleted, err = s.dropMonths(ctx, horizon); err != nil {
			return deleted, fmt.Errorf("deleting old events: %w", err)
		}
	}
	for {
		n, err := s.write.ExecContext(ctx, `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 AND received < $2 LIMIT $3)`,
			idAt(horizon), horizon.UnixMilli(), deleteChunk)
		if err != nil {
			return deleted, fmt.Errorf("deleting old events: %w", err)
		}
		some, err := n.RowsAffected()
		if deleted += some; err != nil || some == 0 {
			return deleted, err
		}
	}
}

// dropMonths drops the partitions that hold nothing that is to be kept.
func (s *Store) dropMonths(ctx context.Context, horizon time.Time) (deleted int64, err error) {
	s.appending.Lock()
	defer s.appending.Unlock()
	names, err := collect(ctx, s.read, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		begin, err := time.Parse("events_2006_01", name)
		if err != nil || begin.AddDate(0, 1, 0).After(horizon) {
			continue // not of one month, or too new
		}
		var held, late int64
		if err := s.read.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE received >= $1) FROM "+name, horizon.UnixMilli()).
			Scan(&held, &late); err != nil {
			return deleted, err
		}
		if late > 0 {
			continue
		}
		if _, err := s.write.ExecContext(ctx, "DROP TABLE "+name); err != nil {
			return deleted, err
		}
		delete(s.months, name)
		deleted += held
	}
	return deleted, nil
}

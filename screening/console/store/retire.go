package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"thermogate/screening/mqtt"
)

// deleteChunk bounds how many events one transaction deletes, so that nothing waits long behind it.
const deleteChunk = 500

// retireEvery is how often Retire has something to do where nobody changes anything.
const retireEvery = 6 * time.Hour

// RetireWhenDue retires at once where something was changed for which that does not wait, and every few hours. By a clock that is
// not believed it deletes no more than was due before.
func (s *Store) RetireWhenDue(ctx context.Context, now time.Time) error {
	if last := s.retired.Load(); !s.Due() && last != nil && now.Sub(*last) < retireEvery {
		return nil
	}
	s.retired.Store(&now)
	until := now
	if err := s.Believe(ctx, now); err != nil {
		wrong := (*ClockError)(nil)
		if !errors.As(err, &wrong) {
			return err
		}
		s.log.Warn("nothing is deleted by the new time", "error", err)
		until = wrong.Believed
	}
	deleted, err := s.Retire(ctx, until)
	if deleted > 0 {
		s.log.Info("deleted old events", "events", deleted)
	}
	if end, told := s.AuditEnd(ctx); told == nil { // a witness that is not in the store
		s.log.Info("the audit goes on from here", "end", end.String())
	}
	return err
}

// Retire deletes what is as old as it may get: of each site the pictures and the months of events and of second readings'
// numbers, who events were about, and of the audit the lines. What came late stays as long after it came, and what a hold keeps until that ends.
// It also strips what was stored of sites before they kept outcomes only.
func (s *Store) Retire(ctx context.Context, now time.Time) (deleted int64, err error) {
	sites, err := s.Keepings(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading how long sites keep events: %w", err)
	}
	if err := s.retireSnapshots(ctx, now.UTC(), sites); err != nil {
		return 0, err
	}
	if s.postgres {
		if deleted, err = s.dropMonths(ctx, now, sites); err != nil {
			return deleted, fmt.Errorf("deleting old events: %w", err)
		}
	}
	for _, site := range sites {
		some, err := s.retireSite(ctx, site, now)
		if deleted += some; err != nil {
			return deleted, fmt.Errorf("deleting old events of %s: %w", site.Site, err)
		}
		if !site.Stripping {
			continue
		}
		if err := s.strip(ctx, site.Site); err != nil {
			return deleted, fmt.Errorf("stripping what was stored of %s: %w", site.Site, err)
		}
	}
	if err := s.retirePeople(ctx, now); err != nil {
		return deleted, fmt.Errorf("forgetting who events were about: %w", err)
	}
	if _, err := s.write.ExecContext(ctx, "DELETE FROM plant_alerts WHERE received < $1", Keeping{Months: s.cfg.KeepMonths}.horizon(now).UnixMilli()); err != nil {
		return deleted, fmt.Errorf("forgetting words on alerts that never came: %w", err)
	}
	held, err := s.holds(ctx, s.read, "WHERE ended_at = 0 LIMIT 1")
	if err == nil && len(held) == 0 { // who saw what is held, and did what with it, is kept with it
		err = s.retireAudit(ctx, Keeping{Months: s.cfg.KeepMonths}.horizon(now))
	}
	if err != nil {
		return deleted, fmt.Errorf("deleting old lines of the audit: %w", err)
	}
	return deleted, s.sweep(ctx)
}

// older is a condition on events that came before a horizon, and are older by their gate's clock, or still to come: that clock was
// ahead. Only that it came long ago does not do: the console's clock may have been behind, as at a start with an empty battery.
const older = "(id < $2 OR id > $3) AND received < $4"

// olderThan are the arguments of older, after that of a site.
func olderThan(horizon, now time.Time) []any {
	return []any{idAt(horizon), idAt(now), horizon.UnixMilli()}
}

// retireSite deletes the events of a site that are older than its horizon, and forgets what second readings of that time read.
func (s *Store) retireSite(ctx context.Context, site Keeping, now time.Time) (deleted int64, err error) {
	horizon := site.horizon(now)
	args := append([]any{site.Site}, olderThan(horizon, now)...)
	for {
		n, err := s.write.ExecContext(ctx, `DELETE FROM events WHERE id IN (SELECT id FROM events
			WHERE site || '' = $1 AND `+older+" AND NOT "+heldEvent+" LIMIT "+list(5, 1)+")", // not by the index of gates: its order is another
			slices.Concat(args, []any{deleteChunk})...)
		if err != nil {
			return deleted, err
		}
		some, err := n.RowsAffected()
		if deleted += some; err != nil {
			return deleted, err
		}
		if some == 0 {
			break
		}
	}
	if _, err := s.write.ExecContext(ctx, "DELETE FROM alert_changes WHERE what = 'spot' AND (event < $1 OR event > $2 AND at < $3) AND NOT EXISTS (SELECT 1 FROM events WHERE id = alert_changes.event)",
		args[1:]...); err != nil {
		return deleted, err
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if err := forgetReadings(ctx, tx, "site = $1 AND (event < $2 OR event > $3) AND received < $4 AND NOT "+heldAlert, args...); err != nil || deleted == 0 {
			return err
		}
		return note(ctx, tx, AuditLine{What: Retired, Scope: mqtt.Gate{Site: site.Site}, Detail: fmt.Sprintf("%s: %d", horizon.Format(time.DateOnly), deleted)})
	})
	return deleted, err
}

// forgetReadings leaves of the second readings of some alerts that there was one, who made it and when.
func forgetReadings(ctx context.Context, tx *sql.Tx, alerts string, args ...any) error {
	for _, statement := range []string{
		`UPDATE alert_changes SET celsius = NULL, unit = '', place = '', thermometer = ''
			WHERE celsius IS NOT NULL AND event IN (SELECT event FROM alerts WHERE ` + alerts + ")",
		"UPDATE alerts SET read_celsius = NULL WHERE read_celsius IS NOT NULL AND " + alerts,
	} {
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// dropMonths drops the partitions that hold nothing that is to be kept.
func (s *Store) dropMonths(ctx context.Context, now time.Time, sites []Keeping) (deleted int64, err error) {
	horizon := Keeping{Months: s.cfg.KeepMonths}.horizon(now)
	for _, site := range sites {
		if h := site.horizon(now); h.Before(horizon) {
			horizon = h
		}
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	names, err := texts(ctx, s.read, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		begin, err := time.Parse("events_2006_01", name)
		if err != nil || begin.AddDate(0, 1, 0).After(horizon) {
			continue // not of one month, or too new
		}
		var all, kept int64
		if err := s.read.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE received >= $1 OR "+heldEvent+") FROM "+name+" AS events", horizon.UnixMilli()).
			Scan(&all, &kept); err != nil {
			return deleted, err
		}
		if kept > 0 {
			continue
		}
		err = s.transact(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "DROP TABLE "+name); err != nil || all == 0 {
				return err
			}
			return note(ctx, tx, AuditLine{What: Retired, Detail: fmt.Sprintf("%s: %d", begin.AddDate(0, 1, 0).Format(time.DateOnly), all)})
		})
		if err != nil {
			return deleted, err
		}
		delete(s.months, name)
		deleted += all
	}
	return deleted, nil
}

// strip leaves of all that is stored of a site, and no hold keeps, the outcomes.
func (s *Store) strip(ctx context.Context, site string) error {
	stripped := 0
	for after := ""; ; {
		events, err := s.events(ctx, " WHERE site || '' = $1 AND id > $2 AND NOT "+heldEvent+" ORDER BY id LIMIT "+list(3, 1), site, after, deleteChunk)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		after = events[len(events)-1].ID
		err = s.transact(ctx, func(tx *sql.Tx) error {
			for _, e := range events {
				if e.Data.OutcomeOnly {
					continue
				}
				e.keepOutcome()
				stripped++
				if _, err := tx.ExecContext(ctx, "UPDATE events SET skin_celsius = NULL, body_celsius = NULL, threshold_celsius = NULL, body = $1 WHERE id = $2",
					string(e.Body), e.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := forgetReadings(ctx, tx, "site = $1 AND NOT "+heldAlert, site); err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM alert_changes WHERE what = 'spot' AND event IN (SELECT id FROM events WHERE site = $1 AND NOT " + heldEvent + ")",
			"DELETE FROM snapshots WHERE site = $1 AND NOT " + heldSnapshot,
			"UPDATE checks SET test_celsius = NULL WHERE site = $1",
			"UPDATE sites SET to_strip = FALSE WHERE name = $1",
		} {
			if _, err := tx.ExecContext(ctx, statement, site); err != nil {
				return err
			}
		}
		return note(ctx, tx, AuditLine{What: Stripped, Scope: mqtt.Gate{Site: site}, Detail: fmt.Sprint(stripped)})
	})
}

// sweep takes what was deleted out of the log of an SQLite file. In the file itself it is overwritten.
func (s *Store) sweep(ctx context.Context) error {
	if s.postgres {
		return nil
	}
	var busy, pages, moved int
	err := s.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err != nil {
		return fmt.Errorf("emptying the log of the store: %w", err)
	}
	if busy != 0 {
		s.due.Store(true)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"thermogate/screening/mqtt"
)

// Queue is how long the longest queue of a gate was in a quarter of an hour.
type Queue struct {
	Gate    mqtt.Gate
	Quarter time.Time
	People  int64
}

// Queues returns the longest queues in the quarters of an hour of a period, in order of time, where there were any.
func (s *Store) Queues(ctx context.Context, p Period) ([]Queue, error) {
	var where conditions
	first, end := quartersOf(p.From, p.To)
	where.add("site = ? AND gate <> '' AND quarter >= ? AND quarter < ? AND queue > 0", p.Site, first, end)
	if p.Gate != "" {
		where.add("gate = ?", p.Gate)
	}
	return collect(ctx, s.read, func(rows *sql.Rows) (q Queue, err error) {
		var quarter int64
		err = rows.Scan(&q.Gate.Site, &q.Gate.Name, &quarter, &q.People)
		q.Quarter = time.UnixMilli(quarter * quarterMilliseconds).UTC()
		return q, err
	}, "SELECT site, gate, quarter, queue FROM gate_quarters"+where.String()+" ORDER BY quarter, gate", where.args...)
}

// ReportsThrough returns up to when reports of a kind were written; zero where none was.
func (s *Store) ReportsThrough(ctx context.Context, site, kind string) (time.Time, error) {
	var through int64
	err := s.read.QueryRowContext(ctx, "SELECT through FROM reports_written WHERE site = $1 AND kind = $2", site, kind).Scan(&through)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading which reports were written: %w", err)
	}
	return fromMilliseconds(through), nil
}

// SetReportsThrough notes up to when reports of a kind were written.
func (s *Store) SetReportsThrough(ctx context.Context, site, kind string, through time.Time) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO reports_written (site, kind, through) VALUES ($1, $2, $3)
		ON CONFLICT (site, kind) DO UPDATE SET through = excluded.through`, site, kind, through.UnixMilli())
	if err != nil {
		return fmt.Errorf("noting which reports were written: %w", err)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

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

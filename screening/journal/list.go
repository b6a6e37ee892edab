package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"thermogate/screening/event"
)

// Filter selects events by what is in them. Its zero value selects all.
type Filter struct {
	Since, Until time.Time     // Since <= event time < Until; zero is no bound
	Outcome      event.Outcome // empty is every outcome
	Pending      bool          // only those that the broker has not confirmed
	Limit        int           // only the newest so many; 0 is all
}

// List calls fn with every selected event of the journal at path, in the order in which they were stored. It only
// reads, also while a gate has the journal open. A stored row that is not an event any more ends the list with an
// error, after everything that can be read.
func List(ctx context.Context, path string, filter Filter, fn func(Entry) error) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	db, err := connect(path, "ro", "NORMAL")
	if err != nil {
		return fmt.Errorf("reading the journal %s: %w", path, err)
	}
	defer db.Close()
	// A journal that an older version wrote has neither.
	identities, _ := readIdentities(ctx, db)
	var through int64
	_ = db.QueryRowContext(ctx, "SELECT coalesce(min(through), 0) FROM receivers").Scan(&through)
	query, args := filter.query()
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the journal %s: %w", path, err)
	}
	defer rows.Close()
	var unreadable error
	for rows.Next() {
		entry, err := scanEntry(rows, identities)
		if err != nil {
			unreadable = errors.Join(unreadable, err)
			continue
		}
		entry.Stored = entry.Seq <= through
		if err := fn(entry); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), unreadable); err != nil {
		return fmt.Errorf("reading the journal %s: %w", path, err)
	}
	return nil
}

func scanEntry(rows *sql.Rows, all identities) (Entry, error) {
	var r row
	if err := rows.Scan(&r.seq, &r.id, &r.confirmed, &r.body); err != nil {
		return Entry{}, err
	}
	r.of = all.at(r.seq)
	return r.entry()
}

func (f Filter) query() (string, []any) {
	query, args := "SELECT seq, id, confirmed, body FROM events WHERE true", []any{}
	where := func(condition string, value ...any) {
		query += " AND " + condition
		args = append(args, value...)
	}
	if !f.Since.IsZero() {
		where("time >= ?", f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		where("time < ?", f.Until.UnixMilli())
	}
	if f.Outcome != "" {
		where("outcome = ?", string(f.Outcome))
	}
	if f.Pending {
		where("(confirmed IS NULL OR confirmed = ?)", held)
	}
	if f.Limit > 0 {
		query = "SELECT * FROM (" + query + " ORDER BY seq DESC LIMIT ?)"
		args = append(args, f.Limit)
	}
	return query + " ORDER BY seq", args
}

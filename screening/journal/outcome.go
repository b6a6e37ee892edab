package journal

import (
	"context"
	"encoding/json"
	"fmt"
)

// keepOutcome leaves of a row what event.Data.WithOutcomeOnly does. A row that is no event is left with nothing.
func (r *row) keepOutcome() {
	entry, err := r.entry()
	if err == nil && entry.Event.Data.OutcomeOnly {
		return
	}
	body := []byte("{}")
	if err == nil {
		entry.Event.Data = entry.Event.Data.WithOutcomeOnly()
		body, err = json.Marshal(entry.Event)
	}
	if err != nil {
		body = []byte("{}")
	}
	r.body = body
}

// keepOutcomes leaves of every row its outcome. It goes from the oldest to the newest, before anything is added: where the
// newest has nothing more, none has.
func (s *store) keepOutcomes(ctx context.Context) error {
	newest, err := s.rows(ctx, "seq = (SELECT max(seq) FROM events)")
	if err != nil || len(newest) == 0 {
		return err
	}
	if entry, err := newest[0].entry(); err == nil && entry.Event.Data.OutcomeOnly {
		return nil
	}
	// The old text stays neither in what earlier deletions have left free, nor in what is left free here.
	for _, statement := range []string{"VACUUM", "PRAGMA secure_delete = ON"} {
		if _, err := s.synced.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, explain(err))
		}
	}
	for after := int64(0); ; {
		rows, err := s.rows(ctx, "seq > ? ORDER BY seq LIMIT ?", after, chunk)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		tx, err := s.synced.BeginTx(ctx, nil)
		if err != nil {
			return explain(err)
		}
		for _, r := range rows {
			r.keepOutcome()
			if _, err := tx.ExecContext(ctx, "UPDATE events SET body = ? WHERE seq = ?", r.body, r.seq); err != nil {
				tx.Rollback()
				return explain(err)
			}
		}
		if err := tx.Commit(); err != nil {
			return explain(err)
		}
		after = rows[len(rows)-1].seq
	}
	_, err = s.synced.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return explain(err)
}

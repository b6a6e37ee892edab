package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The audit is a chain: the hash of each line is the SHA-256 of a JSON array of the hash before it and all its columns. Who
// changes, deletes or slips in a line has to make all hashes after it anew, and then the end is another than the one that was
// written down somewhere else before: in the log, on paper, in a backup.

// AuditEnd is how far the audit went at a time.
type AuditEnd struct {
	Number int64  // of its last line
	Hash   string // of that
}

func (e AuditEnd) String() string { return fmt.Sprintf("%d:%s", e.Number, e.Hash) }

// ParseAuditEnd reads what String has made.
func ParseAuditEnd(text string) (AuditEnd, error) {
	number, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(number, 10, 64)
	if raw, bad := hex.DecodeString(hash); err != nil || n < 1 || bad != nil || len(raw) != sha256.Size {
		return AuditEnd{}, fmt.Errorf("%.80q is no end of an audit, which is NUMBER:HASH", text)
	}
	return AuditEnd{n, hash}, nil
}

// TamperError says that somebody has changed the audit, and where.
type TamperError struct {
	Number int64 // of the first line that is not as it was noted
	Why    string
}

func (e *TamperError) Error() string {
	return fmt.Sprintf("the audit was changed after it was written: line %d %s", e.Number, e.Why)
}

// hashAfter is the hash of a line that follows one with the hash before.
func (l AuditLine) hashAfter(before string) string {
	columns := l.columns()
	text, err := json.Marshal(append([]any{before}, columns[:len(columns)-1]...))
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// chainStep is how many lines are read at a time.
const chainStep = 1000

// chainAudit numbers the lines that an older version has left. Once there is a chain, a line without a number was slipped in.
func (s *Store) chainAudit(ctx context.Context) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		var end AuditEnd
		alone := ""
		if s.postgres {
			alone = " FOR UPDATE"
		}
		if err := tx.QueryRowContext(ctx, "SELECT number, hash FROM audit_end"+alone).Scan(&end.Number, &end.Hash); err != nil || end.Number > 0 {
			return err
		}
		for {
			lines, err := collect(ctx, tx, scanAuditLine, "SELECT "+auditColumns+" FROM audit WHERE number IS NULL ORDER BY id LIMIT $1", chainStep)
			if err != nil {
				return err
			}
			for _, l := range lines {
				l.Number = end.Number + 1
				end = AuditEnd{l.Number, l.hashAfter(end.Hash)}
				if _, err := tx.ExecContext(ctx, "UPDATE audit SET number = $1, hash = $2 WHERE id = $3", end.Number, end.Hash, l.ID); err != nil {
					return err
				}
			}
			if len(lines) < chainStep {
				_, err := tx.ExecContext(ctx, "UPDATE audit_end SET number = $1, hash = $2", end.Number, end.Hash)
				return err
			}
		}
	})
}

// AuditEnd is where the audit ends now.
func (s *Store) AuditEnd(ctx context.Context) (end AuditEnd, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT number, hash FROM audit_end").Scan(&end.Number, &end.Hash)
	return end, err
}

// VerifyAudit reads all of the audit, and returns where it ends and how many lines are kept. Where a line is not as it was
// noted the error is a TamperError, and so it is where one of the ends that were seen before is not among its lines.
func (s *Store) VerifyAudit(ctx context.Context, seen ...AuditEnd) (end AuditEnd, lines int64, err error) {
	var at *sql.TxOptions
	if s.postgres {
		at = &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead} // as SQLite does by itself
	}
	tx, err := s.read.BeginTx(ctx, at)
	if err != nil {
		return end, 0, fmt.Errorf("verifying the audit: %w", err)
	}
	defer tx.Rollback()
	v := verification{tx: tx, seen: map[int64]string{}}
	for _, one := range seen {
		v.seen[one.Number] = one.Hash
	}
	err = v.run(ctx)
	if tampered := (*TamperError)(nil); err != nil && !errors.As(err, &tampered) {
		err = fmt.Errorf("verifying the audit: %w", err)
	}
	return v.end, v.lines, err
}

// verification walks through the audit.
type verification struct {
	tx    *sql.Tx
	seen  map[int64]string // hashes by number
	end   AuditEnd         // so far
	lines int64
}

func (v *verification) run(ctx context.Context) error {
	if err := v.begin(ctx); err != nil {
		return err
	}
	for number, hash := range v.seen {
		switch {
		case number == v.end.Number && hash != v.end.Hash:
			return &TamperError{number, "or one before it is another than somebody has seen"}
		case number == v.end.Number:
			delete(v.seen, number)
		case number < v.end.Number:
			return fmt.Errorf("line %d is older than the audit is kept, from line %d on", number, v.end.Number+1)
		}
	}
	for {
		lines, err := collect(ctx, v.tx, scanAuditLine, "SELECT "+auditColumns+" FROM audit WHERE number > $1 ORDER BY number LIMIT $2", v.end.Number, chainStep)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if err := v.next(l); err != nil {
				return err
			}
		}
		if len(lines) < chainStep {
			break
		}
	}
	var last AuditEnd
	var slipped int64
	if err := v.tx.QueryRowContext(ctx, "SELECT number, hash FROM audit_end").Scan(&last.Number, &last.Hash); err != nil {
		return err
	}
	if err := v.tx.QueryRowContext(ctx, "SELECT count(*) FROM audit WHERE number IS NULL OR number < 1").Scan(&slipped); err != nil {
		return err
	}
	switch {
	case last != v.end:
		return &TamperError{v.end.Number + 1, "is gone, and all after it"}
	case slipped > 0:
		return &TamperError{0, fmt.Sprintf("stands for %d lines that were slipped in without a number", slipped)}
	}
	for number := range v.seen {
		return &TamperError{number, "is gone, which somebody has seen"}
	}
	return nil
}

// begin finds out what the first line that is kept follows. Old lines are deleted by their age, and a later line says up to
// which.
func (v *verification) begin(ctx context.Context) error {
	var first sql.NullInt64
	if err := v.tx.QueryRowContext(ctx, "SELECT min(number) FROM audit WHERE number > 0").Scan(&first); err != nil || first.Int64 <= 1 {
		return err
	}
	retirements, err := collect(ctx, v.tx, func(rows *sql.Rows) (detail string, err error) {
		err = rows.Scan(&detail)
		return detail, err
	}, "SELECT detail FROM audit WHERE what = $1 ORDER BY number DESC LIMIT 1", string(RetiredAudit))
	if err != nil {
		return err
	}
	if len(retirements) == 1 {
		if retired, err := ParseAuditEnd(retirements[0]); err == nil && retired.Number == first.Int64-1 {
			v.end = retired
			return nil
		}
	}
	return &TamperError{1, fmt.Sprintf("is gone, and all up to line %d", first.Int64-1)}
}

func (v *verification) next(l AuditLine) error {
	switch {
	case l.Number != v.end.Number+1:
		return &TamperError{v.end.Number + 1, "is gone"}
	case l.Hash != l.hashAfter(v.end.Hash):
		return &TamperError{l.Number, fmt.Sprintf("(%s, %s, by %q) is not as it was noted, or the one before it is not", l.At.Format(time.RFC3339), l.What, l.By.Account)}
	}
	v.end = AuditEnd{l.Number, l.Hash}
	v.lines++
	if hash, seen := v.seen[l.Number]; seen {
		if hash != l.Hash {
			return &TamperError{l.Number, "or one before it is another than somebody has seen"}
		}
		delete(v.seen, l.Number)
	}
	return nil
}

// retireAudit deletes the lines before a time, from the first one on, and notes up to which.
func (s *Store) retireAudit(ctx context.Context, horizon time.Time) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var last AuditEnd
	err = tx.QueryRowContext(ctx, `SELECT number, hash FROM audit WHERE number < coalesce((SELECT min(number) FROM audit WHERE at >= $1),
		(SELECT number + 1 FROM audit_end)) ORDER BY number DESC LIMIT 1`, horizon.UnixMilli()).Scan(&last.Number, &last.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE number <= $1", last.Number); err != nil {
		return err
	}
	if err := note(ctx, tx, AuditLine{What: RetiredAudit, Detail: last.String()}); err != nil {
		return err
	}
	return tx.Commit()
}

package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// damage is what a check of the file found wrong.
type damage string

func (d damage) Error() string { return "the file is damaged: " + string(d) }

func isDamage(err error) bool {
	var found damage
	if errors.As(err, &found) {
		return true
	}
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB ||
		e.Code == sqlite3.ErrError && strings.HasPrefix(e.Error(), "no such table"))
}

// onePage is the size of a page of the file.
const onePage = 4096

// emptied is damage where a file is empty and its log is not. SQLite would delete the log.
func emptied(path string) error {
	size := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	if size(path) == 0 && size(path+"-wal") > 0 {
		return damage("it is empty, and its log is not")
	}
	return nil
}

// renew puts the damaged file aside, starts a new one and rescues into it the unconfirmed events that can still be
// read. Seqs go on from where they were. Where it fails, j.aside stays set and the writer tries again.
func (j *Journal) renew(ctx context.Context, found error) error {
	if j.aside == "" {
		aside := asideName(j.path, "damaged")
		if err := os.Rename(j.path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("setting the damaged file aside: %w", err)
		}
		j.aside, j.damage = aside, found
		if j.store != nil {
			j.store.close() // nothing to do about an error: the file is damaged
		}
	}
	if err := setAsideLog(j.path, j.aside); err != nil {
		return fmt.Errorf("setting the log of the damaged file aside: %w", err)
	}
	rescued := salvage(ctx, j.aside)
	s, err := openStore(ctx, j.path, false)
	if err != nil {
		return err
	}
	if err := s.refill(ctx, rescued, j.newest); err != nil {
		s.close()
		return err
	}
	if err := j.adopt(ctx, s); err != nil {
		return err
	}
	j.log.Error("the journal was damaged; it is set aside and a new one started. Events in it that were not yet published may be missing",
		"journal", j.path, "set_aside", j.aside, "rescued", len(rescued), "error", j.damage)
	j.statsMu.Lock()
	j.stats.SetAside, j.stats.Salvaged = j.aside, len(rescued)
	j.statsMu.Unlock()
	j.aside, j.damage = "", nil
	return nil
}

func asideName(path, why string) string {
	return fmt.Sprintf("%s.%s-%s", path, why, time.Now().UTC().Format("20060102T150405.000Z"))
}

func setAsideLog(path, aside string) error {
	if err := os.Rename(path+"-wal", aside+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// salvage reads what is pending in a damaged file from the front until it breaks, then from the back.
func salvage(ctx context.Context, path string) []row {
	if emptied(path) != nil && os.WriteFile(path, make([]byte, onePage), 0o600) != nil { // SQLite reads no log of an empty file
		return nil
	}
	db, err := connect(path, "rw", "OFF")
	if err != nil {
		return nil
	}
	defer db.Close()
	front, broken := salvageFrom(ctx, db, "ORDER BY seq")
	if broken == nil {
		return front
	}
	back, _ := salvageFrom(ctx, db, "ORDER BY seq DESC")
	for i := len(back) - 1; i >= 0; i-- {
		if len(front) == 0 || back[i].seq > front[len(front)-1].seq {
			front = append(front, back[i])
		}
	}
	return front
}

func salvageFrom(ctx context.Context, db *sql.DB, order string) ([]row, error) {
	rows, err := db.QueryContext(ctx,
		"SELECT seq, id, outcome, time, confirmed, body FROM events NOT INDEXED WHERE confirmed IS NULL OR confirmed = ? "+order, held)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.seq, &r.id, &r.outcome, &r.unixMilli, &r.confirmed, &r.body); err != nil {
			return found, err
		}
		if _, err := r.entry(); err == nil {
			found = append(found, r)
		}
	}
	return found, rows.Err()
}

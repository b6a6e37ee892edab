package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// applicationID marks the file as a journal of this program ("TGJ1"). A file is of the oldest version whose programs can
// work with it: 2 where it has been at another machine before (see Move), else 1.
const (
	applicationID = 0x54474a31
	firstVersion  = 1
	movedVersion  = 2
)

// What stands in the column confirmed beside marks, which begin at 1.
const (
	passedOver = 0  // for a row that can't be read as an event
	held       = -1 // for an event that is not to be published yet
)

// Another program may lock the file for so long before that counts as a fault. A verdict waits for the one who writes.
const (
	busyMilliseconds       = "500"
	busyReaderMilliseconds = "10000"
)

// chunk bounds how many rows one transaction deletes, so that an append never waits long behind it.
const chunk = 500

const schema = `
CREATE TABLE events (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	id        TEXT    NOT NULL UNIQUE,
	outcome   TEXT    NOT NULL,
	time      INTEGER NOT NULL, -- of the event, milliseconds since 1970
	confirmed INTEGER,          -- NULL while the broker has not confirmed it, then the mark; -1 while it is held
	body      BLOB    NOT NULL  -- the event as JSON
);
CREATE INDEX pending ON events (seq) WHERE confirmed IS NULL;
CREATE INDEX confirmed ON events (confirmed) WHERE confirmed IS NOT NULL;
`

type row struct {
	of        identity // what the file that it is read from called itself when it was stored
	seq       int64
	id        string
	outcome   string
	unixMilli int64
	confirmed sql.NullInt64
	body      []byte
}

func (r row) entry() (Entry, error) {
	e := Entry{Seq: r.seq, Journal: r.of.id, Sequence: r.seq - r.of.base, Confirmed: r.confirmed.Valid && r.confirmed.Int64 != held}
	if err := json.Unmarshal(r.body, &e.Event); err != nil {
		return Entry{}, fmt.Errorf("row %d: %w", r.seq, err)
	}
	if e.Event.ID != r.id {
		return Entry{}, fmt.Errorf("row %d: holds event %q under the id %q", r.seq, e.Event.ID, r.id)
	}
	return e, nil
}

// store is one SQLite file. Events go through the connection synced, whose every commit is synced to disk;
// confirmations and deletions through lazy, whose commits are not.
type store struct {
	synced, lazy, read *sql.DB
	version            int
	identities         identities
	files              map[string]os.FileInfo // the file and those beside it, by what comes after its name
}

func openStore(ctx context.Context, path string, thorough bool) (*store, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	s := &store{}
	var err error
	if s.synced, err = connect(path, "rw", "FULL"); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, thorough); err != nil {
		s.synced.Close()
		return nil, err
	}
	if s.lazy, err = connect(path, "rw", "NORMAL"); err == nil {
		s.read, err = connect(path, "ro", "NORMAL")
	}
	if err == nil {
		err = s.hold(ctx, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// hold has every connection open its file, and notes which those are.
func (s *store) hold(ctx context.Context, path string) error {
	for _, db := range []*sql.DB{s.synced, s.lazy, s.read} {
		var tables int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
			return err
		}
	}
	s.files = map[string]os.FileInfo{}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			return err
		}
		s.files[suffix] = info
	}
	return nil
}

// inPlace is false where one of the files was removed, renamed or replaced: what is written then is in no folder.
func (s *store) inPlace(path string) bool {
	for suffix, held := range s.files {
		now, err := os.Stat(path + suffix)
		if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(held, now) {
			return false
		}
	}
	return true
}

// create makes the file before SQLite does, so that it and the files beside it are for the owner's eyes only.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func connect(path, mode, synchronous string) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	busy := busyMilliseconds
	if mode == "ro" {
		busy = busyReaderMilliseconds
	}
	dsn := url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{
		"mode": {mode}, "_synchronous": {synchronous}, "_busy_timeout": {busy}, "_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// prepare checks that the file is a journal, makes it one if it is new, and looks for damage: the whole file if
// thorough, else only as far as it is read.
func (s *store) prepare(ctx context.Context, thorough bool) error {
	version, err := versionOf(ctx, s.synced)
	if errors.Is(err, errEmpty) {
		s.version = firstVersion
		return s.initialise(ctx)
	}
	if err != nil {
		return err
	}
	s.version = version
	if _, err := s.synced.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil || !thorough { // a copy is not in it yet
		return err
	}
	var verdict string
	if err := s.synced.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return damage(verdict)
	}
	return nil
}

var errEmpty = errors.New("there is nothing in it")

// versionOf refuses what is no journal, and one of a version that this program does not know.
func versionOf(ctx context.Context, db *sql.DB) (version int, err error) {
	var id, tables int
	err = errors.Join(
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id),
		db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	switch {
	case err != nil:
		return 0, err
	case tables == 0:
		return 0, errEmpty
	case id != applicationID:
		return 0, errors.New("it is some other SQLite database, not a journal; name another file")
	case version > movedVersion:
		return 0, fmt.Errorf("it is of a newer thermogate (version %d of a journal, this program knows those up to %d): use that thermogate, or a later one", version, movedVersion)
	}
	return version, nil
}

func (s *store) initialise(ctx context.Context) error {
	for _, q := range []string{
		"PRAGMA journal_mode = WAL",
		fmt.Sprintf("BEGIN; PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT", applicationID, firstVersion, schema),
	} {
		if _, err := s.synced.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.lazy, s.synced} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// insert stores rows in order, all or none, and returns the newest seq and how many were new.
func (s *store) insert(ctx context.Context, rows []row) (last int64, stored int, err error) {
	tx, err := s.synced.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, explain(err)
	}
	defer tx.Rollback()
	for _, r := range rows {
		result, err := tx.ExecContext(ctx,
			`INSERT INTO events (id, outcome, time, confirmed, body) SELECT ?, ?, ?, ?, ?
				WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = ?)`, // ON CONFLICT would use up a seq
			r.id, r.outcome, r.unixMilli, r.confirmed, r.body, r.id)
		if err != nil {
			return 0, 0, explain(err)
		}
		if n, _ := result.RowsAffected(); n > 0 {
			stored++
			last, _ = result.LastInsertId()
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, 0, explain(err)
	}
	return last, stored, nil
}

// refill makes the rows the first ones of a new file whose seqs begin after last.
func (s *store) refill(ctx context.Context, rows []row, last int64) error {
	if _, err := s.synced.ExecContext(ctx, "DELETE FROM events; DELETE FROM sqlite_sequence; INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", last); err != nil {
		return explain(err)
	}
	_, _, err := s.insert(ctx, rows)
	return err
}

func (s *store) pending(ctx context.Context, after, upTo int64, limit int) ([]row, error) {
	return s.rows(ctx, "confirmed IS NULL AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?", after, upTo, limit)
}

// rows reads the events for which a condition holds.
func (s *store) rows(ctx context.Context, where string, args ...any) ([]row, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT seq, id, confirmed, body FROM events WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.seq, &r.id, &r.confirmed, &r.body); err != nil {
			return nil, err
		}
		r.of = s.identities.at(r.seq)
		found = append(found, r)
	}
	return found, rows.Err()
}

// confirm sets the mark of those of the rows that are pending, and returns how many were.
func (s *store) confirm(ctx context.Context, seqs []int64, mark int64) (int, error) {
	list, err := json.Marshal(seqs)
	if err != nil {
		return 0, err
	}
	return execute(ctx, s.lazy, "UPDATE events SET confirmed = ? WHERE confirmed IS NULL AND seq IN (SELECT value FROM json_each(?))", mark, string(list))
}

func (s *store) reopen(ctx context.Context, mark int64) (int, error) {
	return execute(ctx, s.lazy, "UPDATE events SET confirmed = NULL WHERE confirmed >= ?", mark)
}

// confirmedBack is the mark of the count-newest confirmation, 0 where there are fewer.
func (s *store) confirmedBack(ctx context.Context, count int) (int64, error) {
	var mark int64
	err := s.lazy.QueryRowContext(ctx,
		"SELECT confirmed FROM events WHERE confirmed IS NOT NULL ORDER BY confirmed DESC LIMIT 1 OFFSET ?", count).Scan(&mark)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return mark + 1, err
}

// release makes a held event pending, with this body if there is one.
func (s *store) release(ctx context.Context, r release) error {
	_, err := execute(ctx, s.synced, "UPDATE events SET confirmed = NULL, body = coalesce(?, body) WHERE confirmed = ? AND id = ?", r.body, held, r.id)
	return err
}

// held returns the ids of the held events.
func (s *store) held(ctx context.Context) ([]string, error) {
	rows, err := s.synced.QueryContext(ctx, "SELECT id FROM events WHERE confirmed = ? ORDER BY seq", held)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// released is the newest seq up to which nothing is held.
func (s *store) released(ctx context.Context) (int64, error) {
	var seq int64
	err := s.synced.QueryRowContext(ctx, `SELECT coalesce(
		(SELECT min(seq) - 1 FROM events WHERE confirmed = ?),
		(SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)`, held).Scan(&seq)
	return seq, err
}

// summary returns the newest seq, the newest mark and the number of pending events, held ones included.
func (s *store) summary(ctx context.Context) (last, mark int64, pending int, err error) {
	err = errors.Join(
		s.synced.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM sqlite_sequence WHERE name = 'events')").Scan(&last),
		s.synced.QueryRowContext(ctx, "SELECT coalesce(max(confirmed), 0) FROM events WHERE confirmed IS NOT NULL").Scan(&mark),
		s.synced.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM events WHERE confirmed IS NULL)
			+ (SELECT count(*) FROM events WHERE confirmed = ?)`, held).Scan(&pending),
	)
	return last, mark, pending, err
}

// used is the size of what the file holds, in bytes; pages that deleted rows have left free do not count.
func (s *store) used(ctx context.Context) (int64, error) {
	var bytes int64
	err := s.lazy.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&bytes)
	return bytes, err
}

func (s *store) deleteOlder(ctx context.Context, unixMilli int64) (int, error) {
	return execute(ctx, s.lazy, "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE confirmed >= 0 AND seq <= "+storedByAll+" AND time < ? LIMIT ?)", unixMilli, chunk)
}

func (s *store) deleteConfirmed(ctx context.Context) (int, error) {
	return execute(ctx, s.lazy, "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE confirmed >= 0 AND seq <= "+storedByAll+" ORDER BY seq LIMIT ?)", chunk)
}

func (s *store) deletePending(ctx context.Context) (int, error) {
	return execute(ctx, s.lazy, "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE confirmed IS NULL ORDER BY seq LIMIT ?)", chunk)
}

func execute(ctx context.Context, db *sql.DB, query string, args ...any) (int, error) {
	result, err := db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, explain(err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func explain(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && (e.Code == sqlite3.ErrFull || e.SystemErrno == syscall.ENOSPC || e.SystemErrno == syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// probe is how long the disk takes over a sync.
func (s *store) probe(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	_, err := s.synced.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", s.version))
	return time.Since(began), explain(err)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// reserveBytes are kept free in a file of their own, so that a gate which starts on a full disk can still open its
// journal: SQLite wants 32 KiB for its index of the WAL.
const reserveBytes = 256 << 10

// openStore opens the file, or sets it aside and starts a new one if it is damaged. The caller is Open.
func (j *Journal) openStore(ctx context.Context) error {
	if err := emptied(j.path); err != nil {
		return j.renew(ctx, err)
	}
	reserve := j.path + ".reserve"
	s, err := openStore(ctx, j.path, j.stats.Unclean)
	if errors.Is(explain(err), ErrDiskFull) && os.Remove(reserve) == nil {
		s, err = openStore(ctx, j.path, j.stats.Unclean)
	}
	if err == nil {
		err = j.adopt(ctx, s)
	}
	if err := os.WriteFile(reserve, make([]byte, reserveBytes), 0o600); err != nil {
		os.Remove(reserve) // what was written of it is better left free
	}
	if isDamage(err) {
		return j.renew(ctx, err)
	}
	return err
}

func (j *Journal) adopt(ctx context.Context, s *store) error {
	var err error
	if j.cfg.OutcomeOnly {
		err = s.keepOutcomes(ctx)
	}
	if err != nil {
		s.close()
		return fmt.Errorf("forgetting all but the outcomes: %w", err)
	}
	last, mark, pending, err := s.summary(ctx)
	if err != nil {
		s.close()
		return err
	}
	released, err := s.released(ctx)
	if err == nil {
		err = j.identify(ctx, s)
	}
	if err != nil {
		s.close()
		return err
	}
	j.newest = last
	j.released.Store(released)
	j.lastConfirmed.Store(max(mark, j.lastConfirmed.Load()))
	j.statsMu.Lock()
	j.stats.Pending = pending
	j.statsMu.Unlock()
	j.mu.Lock()
	j.store = s
	j.mu.Unlock()
	return nil
}

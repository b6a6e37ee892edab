package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"thermogate/screening/event"

	"github.com/oklog/ulid/v2"
)

// A broker that has confirmed an event may still lose it. A receiver's word says more: that it holds, on a disk of its
// own, everything up to a sequence number. The journal keeps both apart, and for its age it deletes nothing that a
// receiver it has heard of does not hold.

// Errors of what others say about a journal, to be told apart with errors.Is.
var (
	ErrOtherJournal = errors.New("it is about another journal")
	ErrBeyond       = errors.New("this journal has no event of that number yet")
	ErrReceivers    = errors.New("there are too many receivers already")
)

// maxReceivers bounds how many receivers are known, and maxReceiverName the bytes of their names.
const (
	maxReceivers    = 32
	maxReceiverName = 64
)

// Word is what a receiver says it holds of a journal.
type Word struct {
	Journal string // its ID
	Through int64  // sequence up to which the receiver holds everything
	By      string // the receiver's name
}

// Validate refuses what no receiver says.
func (w Word) Validate() error {
	switch {
	case w.By == "" || len(w.By) > maxReceiverName || !utf8.ValidString(w.By):
		return fmt.Errorf("by is the receiver's name, 1 to %d bytes", maxReceiverName)
	case containsControl(w.By):
		return errors.New("by is made of printable characters")
	case w.Through < 0:
		return fmt.Errorf("through is a sequence or 0, not %d", w.Through)
	}
	_, err := ulid.ParseStrict(w.Journal)
	if err != nil {
		return fmt.Errorf("%.40q is the id of no journal", w.Journal)
	}
	return nil
}

func containsControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return true
		}
	}
	return false
}

// Tail is how far a journal goes.
type Tail struct {
	Journal  string // its ID, a ULID; a file that was begun anew has another
	Sequence int64  // of the newest event that may be published; 0 where there is none
}

// identity is what a file calls itself. Its sequence is counted from 1, while Seq goes on where another file ended.
type identity struct {
	id   string
	base int64 // Seq of sequence 0
}

// identities are what a file has called itself, the newest last. It is more than one where the file has been at another
// machine before: what was stored there keeps its place.
type identities []identity

func (all identities) now() identity { return all[len(all)-1] }

// at is what the file called itself when the event of this Seq was stored.
func (all identities) at(seq int64) identity {
	for _, is := range slices.Backward(all) {
		if is.base < seq {
			return is
		}
	}
	return identity{}
}

// span is what the events of a journal have for Seq: above from, up to and including to. The newest one has no end yet.
func (all identities) span(journal string) (from, to int64, err error) {
	i := slices.IndexFunc(all, func(is identity) bool { return is.id == journal })
	switch {
	case i < 0:
		return 0, 0, ErrOtherJournal
	case i+1 < len(all):
		return all[i].base, all[i+1].base, nil
	}
	return all[i].base, math.MaxInt64, nil
}

const storedSchema = `
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL, base INTEGER NOT NULL); -- in the order in which they were begun
CREATE TABLE IF NOT EXISTS receivers (
	name    TEXT    PRIMARY KEY,
	through INTEGER NOT NULL, -- seq
	heard   INTEGER NOT NULL  -- milliseconds since 1970
);
`

// storedByAll is the seq up to which every known receiver holds everything; without a receiver nothing waits for one.
const storedByAll = "(SELECT coalesce(min(through), 9223372036854775807) FROM receivers)"

// holdings is what the journal knows of its receivers, for Stats.
type holdings struct {
	receivers int
	through   int64 // seq, the least of them
	oldest    int64 // seq of the oldest event
	dropped   uint64
}

// identify gives the file its id, if it has none yet. The caller is adopt.
func (j *Journal) identify(ctx context.Context, s *store) error {
	if err := s.identify(ctx); err != nil {
		return explain(err)
	}
	is := s.identities.now()
	j.identity.Store(&is)
	return j.countHoldings(ctx, s)
}

// identify makes the tables as well that the first journals did not have.
func (s *store) identify(ctx context.Context) (err error) {
	if _, err := s.synced.ExecContext(ctx, storedSchema); err != nil {
		return err
	}
	if s.identities, err = readIdentities(ctx, s.synced); err != nil || len(s.identities) > 0 {
		return err
	}
	return s.begin(ctx, `coalesce((SELECT min(seq) - 1 FROM events), (SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)`)
}

func readIdentities(ctx context.Context, db *sql.DB) (found identities, err error) {
	rows, err := db.QueryContext(ctx, "SELECT id, base FROM identity ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var is identity
		if err := rows.Scan(&is.id, &is.base); err != nil {
			return nil, err
		}
		found = append(found, is)
	}
	return found, rows.Err()
}

// begin has the file call itself anew from the Seq on that follows base, which is SQL.
func (s *store) begin(ctx context.Context, base string) error {
	begun := identity{id: ulid.Make().String()}
	err := s.synced.QueryRowContext(ctx, "INSERT INTO identity (id, base) SELECT ?, "+base+" RETURNING base", begun.id).Scan(&begun.base)
	s.identities = append(s.identities, begun)
	return err
}

// Located is the event with its place in the journal.
func (e Entry) Located() event.Event {
	located := e.Event
	if e.Journal != "" {
		located.Journal, located.Sequence = e.Journal, strconv.FormatInt(e.Sequence, 10)
	}
	return located
}

// Tail returns how far the journal goes.
func (j *Journal) Tail() Tail {
	is := j.identity.Load()
	return Tail{is.id, max(0, j.Last()-is.base)}
}

// Stored notes a receiver's word, which is believed also where it is less than what the same receiver has said before:
// it may have been restored from a backup. Of that before, Stored returns the sequence, at least the new one. It does not wait
// for the disk. A word about what the journal called itself at another machine counts as far as it has come from there. One
// about another journal is ErrOtherJournal, one about events that this one has not got yet ErrBeyond, and one of a receiver
// for which there is no room ErrReceivers; none of these changes anything.
func (j *Journal) Stored(ctx context.Context, word Word) (before int64, err error) {
	if err := word.Validate(); err != nil {
		return 0, err
	}
	err = j.do(ctx, func(s *store) error {
		base, end, err := s.identities.span(word.Journal)
		if err != nil {
			return err
		}
		former := word.Journal != s.identities.now().id
		if !former && word.Through > j.newest-base {
			return fmt.Errorf("through %d: %w; is its data folder an older copy?", word.Through, ErrBeyond)
		}
		through := base + min(word.Through, end-base)
		known, err := s.storedBy(ctx, word.By)
		if err != nil {
			return err
		}
		before = max(min(known, end)-base, word.Through)
		if former && known >= end {
			return nil // it has spoken of a later one
		}
		if err := s.noteReceiver(ctx, word.By, known, through); err != nil {
			return err
		}
		return j.countHoldings(ctx, s)
	})
	return before, err
}

// storedBy is the Seq up to which a receiver holds everything by its own words, -1 for one that has not spoken yet.
func (s *store) storedBy(ctx context.Context, name string) (through int64, err error) {
	err = s.lazy.QueryRowContext(ctx, "SELECT coalesce(max(through), -1) FROM receivers WHERE name = ?", name).Scan(&through)
	return through, err
}

func (s *store) noteReceiver(ctx context.Context, name string, before, through int64) error {
	if before == through {
		return nil // nothing new; spare the disk
	}
	if before < 0 {
		var known int
		if err := s.lazy.QueryRowContext(ctx, "SELECT count(*) FROM receivers").Scan(&known); err != nil {
			return err
		}
		if known >= maxReceivers {
			return fmt.Errorf("%d: %w", known, ErrReceivers)
		}
	}
	_, err := execute(ctx, s.lazy, `INSERT INTO receivers (name, through, heard) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET through = excluded.through, heard = excluded.heard`, name, through, time.Now().UnixMilli())
	return err
}

// ForgetReceivers forgets every receiver. Those that are at work say again what they hold.
func (j *Journal) ForgetReceivers(ctx context.Context) error {
	return j.do(ctx, func(s *store) error {
		if _, err := execute(ctx, s.lazy, "DELETE FROM receivers"); err != nil {
			return err
		}
		return j.countHoldings(ctx, s)
	})
}

// countHoldings keeps the numbers for Stats. The caller is the writer or adopt.
func (j *Journal) countHoldings(ctx context.Context, s *store) error {
	var now holdings
	err := s.synced.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM receivers), (SELECT coalesce(min(through), 0) FROM receivers),
		(SELECT coalesce(min(seq), 0) FROM events)`).Scan(&now.receivers, &now.through, &now.oldest)
	if err != nil {
		return err
	}
	j.statsMu.Lock()
	defer j.statsMu.Unlock()
	now.dropped = j.holdings.dropped
	j.holdings = now
	return nil
}

// fill adds to stats what the journal knows of its receivers, up to the Seq last.
func (h holdings) fill(stats *Stats, last int64) {
	stats.Receivers, stats.DroppedUnstored = h.receivers, h.dropped
	if h.receivers > 0 {
		stats.Unstored = int(max(0, last-max(h.through, h.oldest-1)))
	}
}

// Between returns up to limit events of journal in order, confirmed or not: those after the sequence after, up to and
// including the sequence upTo, which may lie beyond the end. It has looked up to the sequence reached: what is missing up to
// there, the journal does not hold any more. A journal that has never called itself so is ErrOtherJournal.
func (j *Journal) Between(ctx context.Context, journal string, after, upTo int64, limit int) (entries []Entry, reached int64, err error) {
	var rows []row
	var base int64
	read := func(s *store) (err error) {
		var end int64
		if base, end, err = s.identities.span(journal); err != nil {
			return err
		}
		end = min(end, j.Last())
		rows, err = s.between(ctx, after+base, min(upTo, end-base)+base, limit)
		return err
	}
	j.mu.RLock()
	err = read(j.store)
	j.mu.RUnlock()
	if err != nil && !errors.Is(err, ErrOtherJournal) {
		err = j.do(ctx, read) // once more in the writer, which replaces a damaged file
	}
	if err != nil {
		return nil, 0, err
	}
	reached = upTo
	for _, r := range rows {
		if len(rows) == limit {
			reached = r.seq - base
		}
		if entry, err := r.entry(); err == nil { // else it is as good as gone
			entries = append(entries, entry)
		}
	}
	return entries, reached, nil
}

func (s *store) between(ctx context.Context, after, upTo int64, limit int) ([]row, error) {
	return s.rows(ctx, "seq > ? AND seq <= ? ORDER BY seq LIMIT ?", after, upTo, limit)
}

// dropUnstored makes room where only events are left that some receiver does not hold, or that the broker has not
// confirmed; it takes those that the broker has confirmed.
func (j *Journal) dropUnstored(ctx context.Context) (int, error) {
	n, err := execute(ctx, j.store.lazy, "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE confirmed >= 0 ORDER BY seq LIMIT ?)", chunk)
	if err != nil || n == 0 {
		return n, err
	}
	j.statsMu.Lock()
	j.holdings.dropped += uint64(n)
	j.statsMu.Unlock()
	j.log.Error("the journal is full of events that a receiver has not stored; the oldest are deleted. Is a receiver away that does not come back? Forget it, or raise the size",
		"journal", j.path, "deleted", n, "max_size_mib", j.cfg.MaxSizeMiB)
	return n, nil
}

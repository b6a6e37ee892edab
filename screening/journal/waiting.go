package journal

import (
	"cmp"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// maxWaiting bounds the events that are not on disk yet. At a gate that is a day or more.
const maxWaiting = 10_000

// Slow is how long the disk may take over an event. The verdict of one that takes longer comes too late to be shown.
const Slow = time.Second

// newcomer is an event that is not on disk yet.
type newcomer struct {
	row
	ticket int64 // counts what was handed in
	since  time.Time
	sent   bool       // the broker has it
	spared bool       // it is in the spare
	done   chan error // nil once whoever handed it in has been told
}

func (n *newcomer) tell(err error) {
	if n.done != nil {
		n.done <- err
		n.done = nil
	}
}

// waiting is what is not on disk yet, in the order in which it was handed in. While the disk takes nothing it is kept
// here, a copy of it in memory that outlives the process, and handed on to the broker from here.
type waiting struct {
	log *slog.Logger

	mu      sync.Mutex
	rows    []*newcomer
	tickets int64
	closed  bool
	refused error     // why the disk takes nothing, nil while it does
	since   time.Time // of that
	took    time.Duration
	spare   spare
}

// add takes an event in. What it returns tells nil once the event is on disk, ErrWaiting while the disk takes nothing.
func (w *waiting) add(r row) (<-chan error, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrClosed
	}
	if len(w.rows) >= maxWaiting && !w.dropSent() {
		return nil, fmt.Errorf("%d others wait for the disk already", len(w.rows))
	}
	w.tickets++
	done := make(chan error, 1)
	n := &newcomer{row: r, ticket: w.tickets, since: time.Now(), done: done}
	w.rows = append(w.rows, n)
	if w.refused != nil {
		w.keepSpare(n)
		n.tell(fmt.Errorf("%w: %w", ErrWaiting, w.refused))
	}
	return done, nil
}

// dropSent makes room by what the broker has, oldest first.
func (w *waiting) dropSent() bool {
	i := slices.IndexFunc(w.rows, func(n *newcomer) bool { return n.sent })
	if i < 0 {
		return false
	}
	w.rows = slices.Delete(w.rows, i, i+1)
	return true
}

// recall takes in what an earlier process has left in the spare, of it only the outcomes if that is wanted.
func (w *waiting) recall(outcomeOnly bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.spare.read(w.log) {
		if outcomeOnly {
			r.keepOutcome()
		}
		w.tickets++
		w.rows = append(w.rows, &newcomer{row: r, ticket: w.tickets, since: time.Now(), spared: true})
	}
}

// front is the next batch for the disk.
func (w *waiting) front() []row {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := make([]row, min(len(w.rows), maxBatch))
	for i := range rows {
		rows[i] = w.rows[i].row
	}
	return rows
}

// stored takes away a batch that is on disk. Rows may have been dropped from it meanwhile.
func (w *waiting) stored(batch []row) {
	on := make(map[string]bool, len(batch))
	for _, r := range batch {
		on[r.id] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rows) > 0 {
		w.took = time.Since(w.rows[0].since)
	}
	w.rows = slices.DeleteFunc(w.rows, func(n *newcomer) bool {
		if on[n.id] {
			n.tell(nil)
		}
		return on[n.id]
	})
}

// accept notes, once nothing waits any more, that the disk takes events, and is true where it did not before.
func (w *waiting) accept() (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rows) > 0 {
		return false
	}
	again = w.refused != nil
	if again {
		w.took = 0
	}
	w.refused = nil
	w.spare.drop()
	return again
}

// refusing is true while the disk takes nothing.
func (w *waiting) refusing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused != nil
}

// refuse notes that the disk takes nothing, and is true where that is news.
func (w *waiting) refuse(why error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news = w.refused == nil
	if news {
		w.since = time.Now()
		for _, n := range w.rows {
			if !n.spared {
				w.keepSpare(n)
			}
		}
	}
	w.refused = why
	for _, n := range w.rows {
		n.tell(fmt.Errorf("%w: %w", ErrWaiting, why))
	}
	return news
}

// release ends the hold on an event that waits here, and is false where none of this id does.
func (w *waiting) release(id string, body []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.rows, func(n *newcomer) bool { return n.id == id })
	if i < 0 {
		return false
	}
	n := w.rows[i]
	n.confirmed = sql.NullInt64{}
	if body != nil {
		n.body = body
	}
	if w.refused != nil {
		w.keepSpare(n)
	}
	return true
}

// keepSpare copies an event to memory that outlives the process. The caller holds mu.
func (w *waiting) keepSpare(n *newcomer) {
	w.spare.add(w.log, n.row)
	n.spared = true
}

// sent notes that the broker has an event that waits here.
func (w *waiting) sent(ticket int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, found := slices.BinarySearchFunc(w.rows, ticket, func(n *newcomer, ticket int64) int { return cmp.Compare(n.ticket, ticket) })
	if found {
		w.rows[i].sent = true
	}
}

// entries are those that may be published from here, after a ticket.
func (w *waiting) entries(after int64, limit int) []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var entries []Entry
	if w.refused == nil {
		return nil // they are about to have a seq
	}
	for _, n := range w.rows {
		if len(entries) == limit || n.confirmed.Valid { // held, and what comes after it waits for it
			break
		}
		if n.sent || n.ticket <= after {
			continue
		}
		if e, err := n.entry(); err == nil {
			e.Seq, e.Journal, e.Sequence = -n.ticket, "", 0
			entries = append(entries, e)
		}
	}
	return entries
}

// close lets nothing more in.
func (w *waiting) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// count is how many wait, and since when the oldest does, or nothing can be stored; zero while all is well.
func (w *waiting) count() (int, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.rows) > 0:
		return len(w.rows), w.rows[0].since
	case w.refused != nil:
		return 0, w.since
	}
	return 0, time.Time{}
}

// err is nil while events get to the disk in time.
func (w *waiting) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.refused != nil && len(w.rows) > 0:
		return fmt.Errorf("%d events are in memory only, since %s: %w", len(w.rows), w.since.Format(time.TimeOnly), w.refused)
	case w.refused != nil:
		return fmt.Errorf("nothing can be stored, since %s: %w", w.since.Format(time.TimeOnly), w.refused)
	case len(w.rows) > 0 && time.Since(w.rows[0].since) > Slow:
		return fmt.Errorf("%w: %d events wait for it, the first for %.1f s", ErrSlow, len(w.rows), time.Since(w.rows[0].since).Seconds())
	case w.took > Slow:
		return fmt.Errorf("%w: it took %.1f s over the last event", ErrSlow, w.took.Seconds())
	}
	return nil
}

// slow is true for a disk that took too long over its last event and has nothing to do.
func (w *waiting) slow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rows) == 0 && w.refused == nil && w.took > Slow
}

// probed is told how long the disk took over nothing in particular.
func (w *waiting) probed(took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = took
}

// Waiting returns up to limit events that are kept in memory because the disk takes nothing, in order, those after the
// Seq after, which is negative like theirs, or 0. An event that is handed on to the broker from here is pending again
// once it is on disk: only then it has a place in the sequence.
func (j *Journal) Waiting(after int64, limit int) []Entry {
	return j.waiting.entries(-after, limit)
}

// Err is why events do not get to the disk, or not within Slow, nil while they do.
func (j *Journal) Err() error { return j.waiting.err() }

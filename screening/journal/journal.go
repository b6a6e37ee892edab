// Package journal is the durable log of screening events, and of what the broker has confirmed of them.
//
// It is one SQLite file in WAL mode. An event is synced to disk (synchronous=FULL) before Append returns; several that
// wait at once share one sync. What the disk refuses waits in memory, in order, until it is on disk; it is published from
// there meanwhile, and a file in memory that outlives the process has it for the next one. A confirmation is written
// without a sync of its own, because the worst that its loss does is to send an event twice. Events keep the order in
// which they were appended, whatever the clock does.
package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"thermogate/screening/event"
)

// Errors that Append and Err can return, to be told apart with errors.Is.
var (
	ErrWaiting  = errors.New("the event is not on disk yet") // it will be
	ErrDiskFull = errors.New("no room left on the disk")
	ErrSlow     = errors.New("the disk is slow")
	ErrClosed   = errors.New("the journal is closed")
)

// maxEventBytes bounds one event as JSON; a real one has about 900 bytes.
const maxEventBytes = 64 << 10

// maxBatch bounds how many waiting events share one sync.
const maxBatch = 256

// Config says how long events are kept. What the broker has not confirmed is kept however old it is, and so is what a
// receiver does not hold that has ever said what it holds.
type Config struct {
	// MaxAgeDays is how many days a confirmed event stays.
	MaxAgeDays int `yaml:"max_age_days"`
	// MaxSizeMiB bounds the file. The oldest confirmed events go first; those that a receiver does not hold only then, which
	// is counted in Stats.DroppedUnstored, and unconfirmed ones when nothing else is left, counted in Stats.Dropped.
	MaxSizeMiB int `yaml:"max_size_mib"`
	// OutcomeOnly has the journal forget, at Open, what it holds of people beside the outcomes of events. Whoever appends
	// events gives it no more than that.
	OutcomeOnly bool `yaml:"-"`
}

// DefaultConfig keeps 90 days, and at most 512 MiB, which is about 400,000 events.
func DefaultConfig() Config {
	return Config{MaxAgeDays: 90, MaxSizeMiB: 512}
}

// Validate names the first key that is wrong and what would be right.
func (c Config) Validate() error {
	if c.MaxAgeDays < 1 || c.MaxAgeDays > 3650 {
		return fmt.Errorf("max_age_days: %d is not between 1 and 3650", c.MaxAgeDays)
	}
	if c.MaxSizeMiB < 4 || c.MaxSizeMiB > 1<<20 {
		return fmt.Errorf("max_size_mib: %d is not between 4 and 1048576", c.MaxSizeMiB)
	}
	return nil
}

// Entry is one event as the journal holds it. Seq is its place in the order of arrival, from 1 on, never used twice; one
// that is not on disk yet has a negative number of its own instead. Sequence is its place in the one file that calls
// itself Journal, from 1 on without gaps.
type Entry struct {
	Seq       int64
	Journal   string
	Sequence  int64
	Confirmed bool // by the broker
	Stored    bool // by every receiver that has said what it holds; only List tells
	Event     event.Event
}

// Mark is a point on the journal's own clock of confirmations. That clock runs in milliseconds, only while the journal
// is open, and knows nothing of the time of day.
type Mark int64

// Stats is the state of the journal, for metrics and the health page.
type Stats struct {
	Pending         int    // events that the broker has not confirmed, those that wait for the disk included
	Stored          uint64 // events stored since Open
	Failed          uint64 // events since Open that could not even wait for the disk
	Dropped         uint64 // unconfirmed events deleted since Open because of MaxSizeMiB
	Receivers       int    // receivers that have said what they hold
	Unstored        int    // events that not all of them hold; 0 without a receiver
	Unreadable      uint64 // stored rows since Open that are not an event any more and were passed over
	SetAside        string // where a damaged file was put; empty if there was none
	Salvaged        int    // unconfirmed events that were rescued from it
	Unclean         bool   // the journal was not closed before it was opened: a crash or a power cut
	DroppedUnstored uint64 // confirmed events deleted since Open because of MaxSizeMiB that some receiver did not hold

	Waiting      int       // events that are not on disk yet
	WaitingSince time.Time // since when the first of them waits, or nothing can be stored; zero while all is well
}

// Journal is an open journal. Its methods may be called from several goroutines.
type Journal struct {
	path   string
	cfg    Config
	log    *slog.Logger
	lock   *os.File // of the folder; of the writer
	opened time.Time

	waiting  waiting
	arrived  chan struct{} // wakes the writer: something waits
	tasks    chan task
	noted    chan struct{} // wakes the writer: acked or releases has something
	appended chan struct{}
	stop     chan struct{}
	stopped  chan struct{}
	closing  sync.Once

	homeless      error        // of the writer: why the file could never be opened; store is a stand-in then
	newest        int64        // likewise: newest Seq
	released      atomic.Int64 // newest Seq up to which nothing is held
	found         atomic.Int64 // newest Seq of an earlier process
	aside         string       // of the writer: where a damaged file lies whose successor is not ready yet
	damage        error        // likewise: what was found wrong with it
	made          os.FileInfo  // likewise: the copy that has taken the place of a file that was gone
	madeNext      time.Time    // likewise: when that may be tried again
	probeNext     time.Time    // likewise: when a slow disk is looked at again
	unreleased    bool         // likewise: a release could not be written, which has been told
	confirmClock  int64        // the Mark at Open; the clock of confirmations runs on from here
	lastConfirmed atomic.Int64 // newest Mark

	mu     sync.RWMutex // guards store against being replaced while it is read
	store  *store
	closed bool

	notedMu  sync.Mutex
	acked    []int64   // confirmed, not yet written
	releases []release // likewise

	identity atomic.Pointer[identity] // of store

	statsMu  sync.Mutex
	stats    Stats
	holdings holdings
}

// release is the end of a hold; without a body the event stays as it was stored.
type release struct {
	id   string
	body []byte
}

type task struct {
	run  func(*store) error
	done chan error
}

// Open opens the journal at path, or makes a new one, readable by its owner only. A damaged file is set aside as
// PATH.damaged-TIME, its unconfirmed events are rescued as far as they can be read, and Stats and the log say so.
// What an earlier process could not store is stored now. A journal is open in one process at a time, and has its folder
// to itself. Where the disk takes nothing, or can't be read, the journal is open all the same, with what waits for it and
// nothing more until it does; Err and the log say so.
func Open(ctx context.Context, path string, cfg Config, log *slog.Logger) (*Journal, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("opening the journal %s: %w", path, err)
	}
	j := &Journal{
		path: path, cfg: cfg, log: log, opened: time.Now(),
		waiting: waiting{log: log, spare: newSpare(path, log)},
		arrived: make(chan struct{}, 1), tasks: make(chan task),
		noted: make(chan struct{}, 1), appended: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	err := j.moveIn(ctx)
	if Refused(err) {
		err = j.doWithout(ctx, err)
	}
	if err != nil {
		if j.store != nil {
			j.store.close()
		}
		j.unlock()
		return nil, fmt.Errorf("opening the journal %s: %w", path, err)
	}
	j.waiting.recall(cfg.OutcomeOnly)
	if j.homeless != nil {
		j.refuse(j.homeless)
	} else {
		j.storeWaiting(ctx)
	}
	go j.write()
	return j, nil
}

// Append stores event and returns once it is synced to disk. An event whose id is already stored is left as it is. With
// a slow disk Append waits. While the disk takes nothing it returns at once with ErrWaiting and the reason, ErrDiskFull
// for one: the event is then stored as soon as it can be, and so is one for which ctx ended. After any other error it is
// not.
func (j *Journal) Append(ctx context.Context, e event.Event) error {
	return await(ctx, j.Keep(e, false))
}

// Hold stores event as Append does, but keeps it, and with it all that come later, from being published until Release.
// A hold ends with the process: the next Open releases the event as it was stored here.
func (j *Journal) Hold(ctx context.Context, e event.Event) error {
	return await(ctx, j.Keep(e, true))
}

func await(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Keep is Append, or Hold, for whoever does not wait: the channel delivers what that would return. Events keep the order
// of the calls, and those that wait share one sync.
func (j *Journal) Keep(e event.Event, hold bool) <-chan error {
	done, err := j.queue(e, hold)
	if err == nil {
		return done
	}
	j.statsMu.Lock()
	j.stats.Failed++
	j.statsMu.Unlock()
	failed := make(chan error, 1)
	failed <- fmt.Errorf("event %s is lost: %w", e.ID, err)
	return failed
}

func (j *Journal) queue(e event.Event, hold bool) (<-chan error, error) {
	if e.ID == "" {
		return nil, errors.New("it has no id")
	}
	r, err := newRow(e)
	if err != nil {
		return nil, err
	}
	if hold {
		r.confirmed = sql.NullInt64{Int64: held, Valid: true}
	}
	done, err := j.waiting.add(r)
	if err == nil {
		wake(j.arrived)
	}
	return done, err
}

// Release ends the hold on the event of this id and stores it anew, synced to disk before it can be published. It does
// not wait for the disk.
func (j *Journal) Release(e event.Event) {
	body, err := encode(e)
	if err != nil {
		j.log.Error("an event is published as it was held", "id", e.ID, "error", err)
	}
	j.notedMu.Lock()
	j.releases = append(j.releases, release{e.ID, body})
	j.notedMu.Unlock()
	wake(j.noted)
}

// wake leaves a value in a channel of length 1, if there is none.
func wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

func newRow(e event.Event) (row, error) {
	body, err := encode(e)
	return row{id: e.ID, outcome: string(e.Data.Outcome), unixMilli: e.Time.UnixMilli(), body: body}, err
}

func encode(e event.Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(body) > maxEventBytes {
		return nil, fmt.Errorf("it has %d bytes as JSON, more than %d", len(body), maxEventBytes)
	}
	return body, nil
}

// Appended delivers a value after events were stored or released, or began to wait for a disk that takes nothing. It is for
// one receiver, which then reads Pending and Waiting: several events may share one value.
func (j *Journal) Appended() <-chan struct{} { return j.appended }

// Last is the newest Seq that may be published, because neither its event nor one before it is held; 0 where nothing was
// ever stored.
func (j *Journal) Last() int64 { return j.released.Load() }

// Found is the newest Seq that an earlier process has stored. It may become known late, where the disk could not be read at
// first.
func (j *Journal) Found() int64 { return j.found.Load() }

// Pending returns up to limit unconfirmed events in order, those after the Seq after and up to and including the Seq
// upTo. A stored row that is not an event any more is passed over for good, counted and logged.
func (j *Journal) Pending(ctx context.Context, after, upTo int64, limit int) ([]Entry, error) {
	for {
		rows, err := j.pendingRows(ctx, after, upTo, limit)
		if err != nil {
			return nil, fmt.Errorf("reading pending events: %w", err)
		}
		var entries []Entry
		for _, r := range rows {
			after = r.seq
			entry, err := r.entry()
			if err != nil {
				j.passOver(ctx, r.seq, err)
				continue
			}
			entries = append(entries, entry)
		}
		if len(entries) > 0 || len(rows) == 0 {
			return entries, nil
		}
	}
}

func (j *Journal) pendingRows(ctx context.Context, after, upTo int64, limit int) ([]row, error) {
	j.mu.RLock()
	rows, err := j.store.pending(ctx, after, upTo, limit)
	j.mu.RUnlock()
	if err == nil {
		return rows, nil
	}
	err = j.do(ctx, func(s *store) (err error) { // once more in the writer, which replaces a damaged file
		rows, err = s.pending(ctx, after, upTo, limit)
		return err
	})
	return rows, err
}

// Confirm notes that the broker holds the events with these Seqs. It does not wait for the disk.
func (j *Journal) Confirm(seqs ...int64) {
	j.notedMu.Lock()
	for _, seq := range seqs {
		if seq < 0 {
			j.waiting.sent(-seq)
			continue
		}
		j.acked = append(j.acked, seq)
	}
	j.notedMu.Unlock()
	wake(j.noted)
}

// MarkBefore is the Mark that lies within before the newest confirmation, or as much nearer as keeps it to at most
// count events, where the disk can tell which those are.
func (j *Journal) MarkBefore(ctx context.Context, within time.Duration, count int) (Mark, error) {
	var mark Mark
	err := j.do(ctx, func(s *store) error {
		newest := j.lastConfirmed.Load()
		oldest, err := s.confirmedBack(ctx, count)
		if err != nil {
			j.log.Warn("more events than needed may be sent again", "journal", j.path, "error", err)
		}
		mark = Mark(max(newest-within.Milliseconds(), oldest, 1))
		return nil
	})
	return mark, err
}

// Reopen makes every event that was confirmed at mark or later pending again, and returns how many. It is for a broker
// that may have lost what it had confirmed.
func (j *Journal) Reopen(ctx context.Context, mark Mark) (int, error) {
	var n int
	err := j.do(ctx, func(s *store) (err error) {
		n, err = s.reopen(ctx, int64(mark))
		return err
	})
	j.addPending(n)
	return n, err
}

// Stats returns the state of the journal.
func (j *Journal) Stats() Stats {
	j.statsMu.Lock()
	stats := j.stats
	j.holdings.fill(&stats, j.Last())
	j.statsMu.Unlock()
	stats.Waiting, stats.WaitingSince = j.waiting.count()
	stats.Pending += stats.Waiting
	return stats
}

// Close stores what waits, writes releases and confirmations and closes the file. What the disk does not take is left
// for the next Open in memory that outlives the process.
func (j *Journal) Close() error {
	j.closing.Do(func() { close(j.stop) })
	<-j.stopped
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	err := j.store.close()
	j.unlock()
	if err != nil {
		return fmt.Errorf("closing the journal %s: %w", j.path, err)
	}
	return nil
}

// do runs fn in the writer, after the confirmations that came before it.
func (j *Journal) do(ctx context.Context, fn func(*store) error) error {
	t := task{run: fn, done: make(chan error, 1)}
	select {
	case j.tasks <- t:
	case <-ctx.Done():
		return ctx.Err()
	case <-j.stop:
		return ErrClosed
	}
	// Not bounded by ctx: the caller reads what fn has written.
	if err := <-t.done; err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	return nil
}

func (j *Journal) passOver(ctx context.Context, seq int64, why error) {
	j.log.Error("the journal holds something that is not an event; it is passed over", "journal", j.path, "seq", seq, "error", why)
	err := j.do(ctx, func(s *store) error {
		n, err := s.confirm(ctx, []int64{seq}, passedOver)
		j.addPending(-n)
		return err
	})
	if err != nil {
		j.log.Error("could not note that an unreadable row is passed over", "error", err)
		return
	}
	j.statsMu.Lock()
	j.stats.Unreadable++
	j.statsMu.Unlock()
}

func (j *Journal) addPending(n int) {
	j.statsMu.Lock()
	j.stats.Pending += n
	j.statsMu.Unlock()
}

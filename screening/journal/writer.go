package journal

import (
	"context"
	"time"
)

// pruneEvery and pruneAfter say when old events are looked for: after so much time or so many new events.
const (
	pruneEvery = time.Hour
	pruneAfter = 1000
)

// releaseAgain is how long after a failure a release is tried again.
const releaseAgain = time.Second

// write is the one goroutine that changes the file. Its work is not cut short by anybody's context: what was handed to
// it is written or has failed.
func (j *Journal) write() {
	defer close(j.stopped)
	ctx := context.Background()
	hourly := time.NewTicker(pruneEvery)
	defer hourly.Stop()
	clock := steadyClock{timeOfDay: time.Now(), running: time.Since(j.opened)}
	unpruned := 0
	for {
		var again <-chan time.Time
		if !j.writeReleases(ctx) {
			again = time.After(releaseAgain)
		}
		select {
		case <-again:
		case first := <-j.appends:
			unpruned += j.storeBatch(ctx, first)
			if unpruned >= pruneAfter {
				unpruned = 0
				j.pruneSize(ctx)
			}
		case <-j.noted:
			j.writeConfirmations(ctx)
		case t := <-j.tasks:
			j.writeConfirmations(ctx)
			t.done <- j.repaired(ctx, func() error { return t.run(j.store) })
		case <-hourly.C:
			if now := time.Now(); clock.steady(now, now.Sub(j.opened)) {
				j.pruneAge(ctx, now)
			}
			j.pruneSize(ctx)
		case <-j.stop:
			j.writeReleases(ctx)
			j.writeConfirmations(ctx)
			return
		}
	}
}

// storeBatch stores first and whatever else waits already in one transaction, and tells everyone how it went.
func (j *Journal) storeBatch(ctx context.Context, first request) int {
	batch := []request{first}
collect:
	for len(batch) < maxBatch {
		select {
		case r := <-j.appends:
			batch = append(batch, r)
		default:
			break collect
		}
	}
	rows := make([]row, len(batch))
	for i, r := range batch {
		rows[i] = r.row
	}
	var stored int
	err := j.repaired(ctx, func() error {
		last, n, err := j.store.insert(ctx, rows)
		if err == nil {
			stored = n
			j.newest = max(last, j.newest)
			err = j.advance(ctx)
		}
		return err
	})
	if err == nil {
		j.statsMu.Lock()
		j.stats.Pending += stored
		j.stats.Stored += uint64(stored)
		j.statsMu.Unlock()
	}
	for _, r := range batch {
		r.done <- err
	}
	return stored
}

// advance lets what is not held be published.
func (j *Journal) advance(ctx context.Context) error {
	released, err := j.store.released(ctx)
	if err != nil || released == j.released.Swap(released) {
		return err
	}
	select {
	case j.appended <- struct{}{}:
	default:
	}
	return nil
}

// releaseHeld notes the release of what a process before this one has left held.
func (j *Journal) releaseHeld(ctx context.Context) error {
	ids, err := j.store.held(ctx)
	for _, id := range ids {
		j.releases = append(j.releases, release{id: id})
	}
	j.writeReleases(ctx)
	return err
}

// writeReleases ends holds in the order in which Release was called, and is false where some are left for another try.
func (j *Journal) writeReleases(ctx context.Context) bool {
	j.notedMu.Lock()
	releases := j.releases
	j.releases = nil
	j.notedMu.Unlock()
	for i, r := range releases {
		err := j.repaired(ctx, func() error {
			if err := j.store.release(ctx, r); err != nil {
				return err
			}
			return j.advance(ctx)
		})
		if err != nil {
			j.log.Error("an event can't be published yet, nor those after it", "journal", j.path, "id", r.id, "error", err)
			j.notedMu.Lock()
			j.releases = append(releases[i:], j.releases...)
			j.notedMu.Unlock()
			return false
		}
	}
	return true
}

func (j *Journal) writeConfirmations(ctx context.Context) {
	j.notedMu.Lock()
	acked := j.acked
	j.acked = nil
	j.notedMu.Unlock()
	if len(acked) == 0 {
		return
	}
	mark := j.confirmClock + time.Since(j.opened).Milliseconds() + 1
	err := j.repaired(ctx, func() error {
		n, err := j.store.confirm(ctx, acked, mark)
		j.addPending(-n)
		return err
	})
	if err != nil {
		j.log.Error("could not note what the broker has confirmed; it will be sent again", "journal", j.path, "events", len(acked), "error", err)
		return
	}
	j.lastConfirmed.Store(mark)
}

// repaired runs fn, and once more on a new file if the old one turns out to be damaged.
func (j *Journal) repaired(ctx context.Context, fn func() error) error {
	var err error
	if j.aside == "" {
		if err = fn(); !isDamage(err) {
			return err
		}
	}
	if err := j.renew(ctx, err); err != nil {
		return err
	}
	return fn()
}

func (j *Journal) pruneAge(ctx context.Context, now time.Time) {
	before := now.AddDate(0, 0, -j.cfg.MaxAgeDays)
	for {
		n, err := j.store.deleteOlder(ctx, before.UnixMilli())
		if err != nil {
			j.log.Error("could not delete old events", "journal", j.path, "error", err)
		}
		if n == 0 {
			return
		}
	}
}

func (j *Journal) pruneSize(ctx context.Context) {
	limit := int64(j.cfg.MaxSizeMiB) << 20
	defer func() { j.countHoldings(ctx, j.store) }() // where it fails, the numbers are older
	for {
		used, err := j.store.used(ctx)
		if err != nil || used <= limit {
			return
		}
		n, err := j.store.deleteConfirmed(ctx)
		if err == nil && n == 0 {
			n, err = j.dropUnstored(ctx)
		}
		if err == nil && n == 0 {
			n, err = j.store.deletePending(ctx)
			j.statsMu.Lock()
			j.stats.Pending -= n
			j.stats.Dropped += uint64(n)
			j.statsMu.Unlock()
			j.log.Error("the journal is full of events that the broker has not confirmed; the oldest are deleted",
				"journal", j.path, "deleted", n, "max_size_mib", j.cfg.MaxSizeMiB)
		}
		if err != nil || n == 0 {
			j.log.Error("could not make room in the journal", "journal", j.path, "error", err)
			return
		}
	}
}

// steadyClock tells whether the time of day has run as the monotonic clock has. By a clock that was just set, nobody's
// age is judged.
type steadyClock struct {
	timeOfDay time.Time
	running   time.Duration // of the monotonic clock
}

func (c *steadyClock) steady(timeOfDay time.Time, running time.Duration) bool {
	drift := timeOfDay.Round(0).Sub(c.timeOfDay.Round(0)) - (running - c.running)
	c.timeOfDay, c.running = timeOfDay, running
	return drift.Abs() < time.Minute
}

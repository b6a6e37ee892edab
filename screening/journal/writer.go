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

// tendEvery is how often the writer looks after the file: whether it is still there, and whether what the disk has
// refused can be stored.
const tendEvery = time.Second

// probeEvery is how often a slow disk is looked at that has nothing to do. An event waits behind it.
const probeEvery = 10 * time.Second

// write is the one goroutine that changes the file. Its work is not cut short by anybody's context: what was handed to
// it is written or has failed.
func (j *Journal) write() {
	defer close(j.stopped)
	ctx := context.Background()
	hourly, tending := time.NewTicker(pruneEvery), time.NewTicker(tendEvery)
	defer hourly.Stop()
	defer tending.Stop()
	clock := steadyClock{timeOfDay: time.Now(), running: time.Since(j.opened)}
	unpruned := 0
	for {
		select {
		case <-j.arrived:
			if j.waiting.refusing() {
				continue // until the next tending
			}
			unpruned += j.storeWaiting(ctx)
		case <-j.noted:
			j.writeReleases(ctx)
			j.writeConfirmations(ctx)
		case t := <-j.tasks:
			j.writeConfirmations(ctx)
			t.done <- j.repaired(ctx, func() error { return t.run(j.store) })
		case <-tending.C:
			unpruned += j.tend(ctx)
		case <-hourly.C:
			if now := time.Now(); clock.steady(now, now.Sub(j.opened)) {
				j.pruneAge(ctx, now)
			}
			j.pruneSize(ctx)
		case <-j.stop:
			j.waiting.close()
			j.tend(ctx)
			if n, _ := j.waiting.count(); n > 0 {
				j.log.Error("events could not be stored; the next start on this machine does, unless it was switched off", "journal", j.path,
					"events", n, "error", j.waiting.err())
			}
			return
		}
		if unpruned >= pruneAfter {
			unpruned = 0
			j.pruneSize(ctx)
		}
	}
}

// tend sets the file right if it can, and stores what waits.
func (j *Journal) tend(ctx context.Context) (stored int) {
	if err := j.ensureFile(ctx); err != nil {
		j.refuse(err)
		return 0
	}
	stored = j.storeWaiting(ctx)
	j.writeConfirmations(ctx)
	if j.waiting.slow() && time.Now().After(j.probeNext) {
		if took, err := j.store.probe(ctx); err == nil {
			j.waiting.probed(took)
		}
		j.probeNext = time.Now().Add(probeEvery)
	}
	return stored
}

// refuse has what waits be published from memory, and says once that it does.
func (j *Journal) refuse(why error) {
	if j.waiting.refuse(why) {
		j.log.Error("the disk takes no events; they are kept in memory until it does", "journal", j.path, "error", why)
	}
	wake(j.appended)
}

// storeWaiting stores what waits, as many events in one transaction as may be, and returns how many were new.
func (j *Journal) storeWaiting(ctx context.Context) (stored int) {
	for {
		j.writeReleases(ctx)
		batch := j.waiting.front()
		if len(batch) == 0 {
			if j.waiting.accept() {
				j.log.Info("the disk takes events again", "journal", j.path)
			}
			return stored
		}
		n, err := j.storeBatch(ctx, batch)
		if err != nil {
			j.refuse(err)
			return stored
		}
		stored += n
		j.waiting.stored(batch)
	}
}

func (j *Journal) storeBatch(ctx context.Context, batch []row) (stored int, err error) {
	err = j.repaired(ctx, func() error {
		last, n, err := j.store.insert(ctx, batch)
		if err == nil {
			stored = n
			j.newest = max(last, j.newest)
			err = j.advance(ctx)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	j.statsMu.Lock()
	j.stats.Pending += stored
	j.stats.Stored += uint64(stored)
	j.statsMu.Unlock()
	return stored, nil
}

// advance lets what is not held be published.
func (j *Journal) advance(ctx context.Context) error {
	released, err := j.store.released(ctx)
	if err != nil || released == j.released.Swap(released) {
		return err
	}
	wake(j.appended)
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

// writeReleases ends holds in the order in which Release was called, as far as the disk takes it.
func (j *Journal) writeReleases(ctx context.Context) {
	j.notedMu.Lock()
	releases := j.releases
	j.releases = nil
	j.notedMu.Unlock()
	for i, r := range releases {
		if j.waiting.release(r.id, r.body) {
			wake(j.appended)
			continue
		}
		err := j.repaired(ctx, func() error {
			if err := j.store.release(ctx, r); err != nil {
				return err
			}
			return j.advance(ctx)
		})
		if err != nil {
			if !j.unreleased {
				j.log.Error("an event can't be published yet, nor those after it", "journal", j.path, "id", r.id, "error", err)
			}
			j.unreleased = true
			j.notedMu.Lock()
			j.releases = append(releases[i:], j.releases...)
			j.notedMu.Unlock()
			return
		}
		j.unreleased = false
	}
}

// writeConfirmations notes what the broker has confirmed, later if the disk does not take it now.
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
		j.log.Debug("could not note yet what the broker has confirmed", "journal", j.path, "events", len(acked), "error", err)
		j.notedMu.Lock()
		j.acked = append(acked, j.acked...)
		j.notedMu.Unlock()
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

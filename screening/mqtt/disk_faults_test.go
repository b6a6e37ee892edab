package mqtt

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"thermogate/screening/journal"
)

// smallDisk is a file system of 64 MiB, and what fills it up.
func smallDisk(t *testing.T) (dir string, fill, free func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("skipped, a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	fill = func() {
		if os.WriteFile(ballast, make([]byte, 64<<20), 0o600) == nil {
			t.Fatal("there still is room")
		}
	}
	return dir, fill, func() { os.Remove(ballast) }
}

// lockOut has another program lock the journal until end is called.
func lockOut(t *testing.T, path string) (end func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback(); db.Close() }
}

func TestWhatTheDiskRefusesIsPublishedAtOnce(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(t.Context(), path, journal.DefaultConfig(), quietLog)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	run(t, testConfig(broker.address()), j, nil)
	appendEvents(t, j, 1, 1)
	sub.waitFor(t, 20*time.Second, atLeast(1))

	end := lockOut(t, path)
	for n := 2; n <= 4; n++ {
		if err := j.Append(t.Context(), sample(n)); err == nil {
			t.Fatal("it was stored")
		}
	}
	ids := func(messages []message) (ids []string) {
		for _, m := range messages {
			ids = append(ids, m.event.ID)
		}
		return ids
	}
	got := ids(sub.waitFor(t, 20*time.Second, atLeast(4)))
	if want := []string{sample(1).ID, sample(2).ID, sample(3).ID, sample(4).ID}; !slices.Equal(got, want) {
		t.Errorf("published %v", got)
	}
	broker.kill() // what it has confirmed from memory only counts once it is on disk
	broker.start()
	end()
	sub.waitFor(t, 30*time.Second, func(messages []message) bool {
		return slices.Contains(ids(messages[4:]), sample(4).ID)
	})
	for deadline := time.Now().Add(20 * time.Second); j.Stats().Pending > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d are pending", j.Stats().Pending)
		}
	}
}

// TestNothingIsLostOnABadDisk breaks the disk below the journal at random instants, and sometimes gate and link with it.
// THERMOGATE_FAULT_ROUNDS sets how often.
func TestNothingIsLostOnABadDisk(t *testing.T) {
	rounds := 6
	if s := os.Getenv("THERMOGATE_FAULT_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d rounds, seed %d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	dir, fill, free := smallDisk(t)
	link := newLink(t, startMosquitto(t).address())
	sub := subscribe(t, link.address(), "thermogate/plant/north/screening/#")
	path := filepath.Join(dir, "data", "journal.db")
	gate := &gateProcess{t: t, journal: path, broker: link.address()}
	gate.start()
	t.Cleanup(gate.kill)
	there := func() bool { _, err := os.Stat(path); return err == nil }
	await := func(what string, done func() bool) {
		for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}
	await("the journal", there)
	outage := func() { time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond) }
	faults := []struct {
		name string
		do   func()
	}{
		{"disk full", func() { fill(); outage(); free() }},
		{"disk full, gate killed", func() {
			fill()
			outage()
			gate.kill()
			outage()
			free()
			gate.start()
		}},
		{"disk full, gate killed and started", func() {
			fill()
			outage()
			gate.kill()
			gate.start()
			outage()
			free()
		}},
		{"locked by another program", func() { end := lockOut(t, path); outage(); end() }},
		{"locked, gate killed", func() { end := lockOut(t, path); outage(); gate.kill(); end(); gate.start() }},
		{"removed", func() {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				os.Remove(path + suffix)
			}
			await("a new journal", there)
		}},
		{"folder removed", func() { os.RemoveAll(filepath.Dir(path)); await("a new journal", there) }},
		{"renamed", func() { os.Rename(path, path+".bak"); await("a new journal", there); os.Remove(path + ".bak") }},
		{"removed on a full disk", func() {
			fill()
			os.Remove(path)
			outage()
			free()
			await("a new journal", there)
		}},
	}
	shown := func() []string {
		gate.mu.Lock()
		defer gate.mu.Unlock()
		return slices.Clone(gate.shown)
	}
	counts := map[string]int{}
	for range rounds {
		outage()
		fault := faults[random.IntN(len(faults))]
		cut := random.IntN(2) == 0
		if cut {
			link.cut()
		}
		fault.do()
		if cut {
			link.mend()
		}
		counts[fault.name]++
		before := len(shown())
		await("the gate to go on", func() bool { return len(shown()) > before })
	}
	want := shown()
	arrived := map[string]bool{}
	seen := 0
	missing := func(messages []message) (ids []string) {
		for _, m := range messages[seen:] {
			arrived[m.event.ID] = true
		}
		seen = len(messages)
		return slices.DeleteFunc(slices.Clone(want), func(id string) bool { return arrived[id] })
	}
	await("every event that was shown", func() bool { return len(missing(sub.all())) == 0 })
	gate.kill()
	gate.start() // stores what the last one could not
	await("every event to be on disk", func() bool {
		stored := map[string]bool{}
		err := journal.List(t.Context(), path, journal.Filter{}, func(e journal.Entry) error { stored[e.Event.ID] = true; return nil })
		return err == nil && !slices.ContainsFunc(want, func(id string) bool { return !stored[id] })
	})
	t.Logf("%v", counts)
	t.Logf("%d shown, all arrived and on disk", len(want))
}

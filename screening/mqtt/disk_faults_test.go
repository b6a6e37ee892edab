package mqtt

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"thermogate/screening/journal"
)

// smallDisk is a file system that can be filled up.
type smallDisk struct {
	t   testing.TB
	dir string
}

// mountSmallDisk is nil where none can be mounted.
func mountSmallDisk(t testing.TB) *smallDisk {
	t.Helper()
	disk := &smallDisk{t: t, dir: t.TempDir()}
	if err := syscall.Mount("tmpfs", disk.dir, "tmpfs", 0, "size=192m"); err != nil {
		t.Logf("no disk is filled up, for a small file system can't be mounted here: %v", err)
		return nil
	}
	t.Cleanup(func() { syscall.Unmount(disk.dir, syscall.MNT_DETACH) })
	return disk
}

func (d *smallDisk) ballast() string { return filepath.Join(d.dir, "ballast") }

func (d *smallDisk) fill() {
	file, err := os.Create(d.ballast())
	if err != nil {
		return // it is full
	}
	defer file.Close()
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = file.Write(chunk)
	}
}

func (d *smallDisk) free() { os.Remove(d.ballast()) }

// lockOut has another program lock the journal until end is called.
func lockOut(t *testing.T, path string) (end func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_busy_timeout=60000")
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
	sub.waitFor(t, atLeast(1))

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
	got := ids(sub.waitFor(t, atLeast(4)))
	if want := []string{sample(1).ID, sample(2).ID, sample(3).ID, sample(4).ID}; !slices.Equal(got, want) {
		t.Errorf("published %v", got)
	}
	broker.kill() // what it has confirmed from memory only counts once it is on disk
	broker.start()
	end()
	sub.waitFor(t, func(messages []message) bool {
		return slices.Contains(ids(messages[4:]), sample(4).ID)
	})
	eventually(t, func() bool { return j.Stats().Pending == 0 })
}

package mqtt

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // as the journal has it
)

// receiver is deploy/receiver.py at work.
type receiver struct {
	t                testing.TB
	broker, database string
	process          *exec.Cmd
}

func newReceiver(t testing.TB, broker string) *receiver {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import paho.mqtt.client").CombinedOutput(); err != nil {
		t.Skipf("skipped, python3-paho-mqtt is not installed: %s", out)
	}
	r := &receiver{t: t, broker: broker, database: filepath.Join(t.TempDir(), "events.db")}
	t.Cleanup(r.kill)
	r.start()
	return r
}

func (r *receiver) start() {
	r.t.Helper()
	r.process = exec.Command("/usr/bin/python3", "../../deploy/receiver.py", "--broker", r.broker, "--name", "archive", r.database)
	log, err := os.OpenFile(r.database+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	r.process.Stderr = log
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *receiver) kill() {
	if r.process != nil {
		r.process.Process.Kill()
		r.process.Wait()
		r.process = nil
	}
}

// files are those of the database, present or not.
func (r *receiver) files() []string { return []string{r.database, r.database + "-wal"} }

// wipe and restore work on the store of a receiver that was killed, and so does backUp.
func (r *receiver) wipe() { removeDatabase(r.database) }

func removeDatabase(path string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(path + suffix)
	}
}

func (r *receiver) backUp() {
	for _, file := range r.files() {
		os.Remove(file + ".backup")
		if content, err := os.ReadFile(file); err == nil {
			if err := os.WriteFile(file+".backup", content, 0o600); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func (r *receiver) restore() {
	r.wipe()
	for _, file := range r.files() {
		if content, err := os.ReadFile(file + ".backup"); err == nil {
			if err := os.WriteFile(file, content, 0o600); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// lacks returns which of the events the receiver does not hold.
func (r *receiver) lacks(ids []string) []string {
	r.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+r.database+"?mode=ro")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT id FROM events")
	if err != nil {
		return ids // it has yet to make its tables
	}
	defer rows.Close()
	held := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			r.t.Fatal(err)
		}
		held[id] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return held[id] })
}

// waitForAll waits until the receiver holds all of these events.
func (r *receiver) waitForAll(ids []string, limit time.Duration) {
	r.t.Helper()
	var lacks []string
	for deadline := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		if lacks = r.lacks(ids); len(lacks) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	log, _ := os.ReadFile(r.database + ".log")
	r.t.Errorf("%d of %d events are lost: %.10v\n%s", len(lacks), len(ids), lacks, log[max(0, len(log)-2000):])
}

func sampleIDs(from, to int) (ids []string) {
	for n := from; n <= to; n++ {
		ids = append(ids, sample(n).ID)
	}
	return ids
}

// TestReceiverOfOnesOwn has the receiver of deploy fill gaps that nobody resends by himself.
func TestReceiverOfOnesOwn(t *testing.T) {
	broker := startMosquitto(t)
	j := openJournal(t)
	c := newClient(t, testConfig(broker.address()), j, nil)
	c.timing.tail = 500 * time.Millisecond
	start(t, c)
	waitConnected(t, c)
	appendEvents(t, j, 1, 50) // and nobody there
	eventually(t, func() bool { return c.State().Backlog == 0 })
	r := newReceiver(t, broker.address())
	r.waitForAll(sampleIDs(1, 50), time.Minute)
	eventually(t, func() bool { got := j.Stats(); return got.Receivers == 1 && got.Unstored == 0 })

	r.kill()
	r.backUp()
	r.start()
	appendEvents(t, j, 51, 80)
	r.waitForAll(sampleIDs(1, 80), time.Minute)
	eventually(t, func() bool { return j.Stats().Unstored == 0 })
	r.kill()
	r.restore()
	r.start()
	r.waitForAll(sampleIDs(1, 80), time.Minute)
}

package mqtt

import (
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
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
func (r *receiver) wipe() {
	for _, file := range append(r.files(), r.database+"-shm") {
		os.Remove(file)
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
	r.waitForAll(sampleIDs(1, 50), 30*time.Second)
	eventually(t, func() bool { got := j.Stats(); return got.Receivers == 1 && got.Unstored == 0 })

	r.kill()
	r.backUp()
	r.start()
	appendEvents(t, j, 51, 80)
	r.waitForAll(sampleIDs(1, 80), 30*time.Second)
	eventually(t, func() bool { return j.Stats().Unstored == 0 })
	r.kill()
	r.restore()
	r.start()
	r.waitForAll(sampleIDs(1, 80), 30*time.Second)
}

// TestReceiverMissesNothing breaks gate, broker and receiver at random instants, with mosquitto and with the gate's own
// broker. THERMOGATE_FAULT_ROUNDS sets how often.
func TestReceiverMissesNothing(t *testing.T) {
	for name, own := range map[string]bool{"mosquitto": false, "own broker": true} {
		t.Run(name, func(t *testing.T) { soak(t, own, faultRounds(t, 4)) })
	}
}

func soak(t *testing.T, own bool, rounds int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d rounds, seed %d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pause := func(most time.Duration) { time.Sleep(time.Duration(random.Int64N(int64(most)))) }
	outage := func() { pause(2 * time.Second) }

	gate := &gateProcess{t: t, journal: filepath.Join(t.TempDir(), "journal.db")}
	t.Cleanup(gate.kill)
	r := &receiver{}
	faults := map[string]func(){
		"gate killed":                func() { gate.kill(); outage(); gate.start() },
		"receiver killed":            func() { r.kill(); outage(); r.start() },
		"receiver's store wiped":     func() { r.kill(); r.wipe(); outage(); r.start() },
		"receiver's store restored":  func() { r.kill(); r.restore(); outage(); r.start() },
		"receiver's store backed up": func() { r.kill(); r.backUp(); r.start() },
		"gate and receiver killed": func() {
			gate.kill()
			r.kill()
			outage()
			gate.start()
			outage()
			r.start()
		},
		"gate killed, receiver away for long": func() { r.kill(); gate.kill(); gate.start(); pause(10 * time.Second); r.start() },
		"gate killed, receiver wiped": func() {
			gate.kill()
			r.kill()
			r.wipe()
			gate.start()
			outage()
			r.start()
		},
		"gate killed twice": func() { gate.kill(); gate.start(); outage(); gate.kill(); gate.start() },
	}
	if own {
		gate.own = fmt.Sprintf("127.0.0.1:%d", freePort(t))
		gate.broker = gate.own
	} else {
		state := t.TempDir()
		broker := startMosquitto(t, "allow_anonymous true", "persistence true", "persistence_location "+state+"/", "autosave_interval 20", "autosave_on_changes true")
		gate.broker = broker.address()
		forget := func() { os.Remove(filepath.Join(state, "mosquitto.db")) }
		maps.Copy(faults, map[string]func(){
			"mosquitto killed, state kept": func() { broker.kill(); outage(); broker.start() },
			"mosquitto killed, state lost": func() { broker.kill(); forget(); outage(); broker.start() },
			"gate and mosquitto killed, state lost": func() {
				gate.kill()
				broker.kill()
				forget()
				outage()
				broker.start()
				gate.start()
			},
			"gate and mosquitto killed, state kept": func() { gate.kill(); broker.kill(); outage(); broker.start(); gate.start() },
			"all killed, state lost": func() {
				gate.kill()
				broker.kill()
				r.kill()
				forget()
				broker.start()
				gate.start()
				outage()
				r.start()
			},
		})
	}
	gate.start()
	*r = *newReceiver(t, gate.broker)
	t.Cleanup(r.kill)
	names := slices.Sorted(maps.Keys(faults))
	counts := map[string]int{}
	for range rounds {
		pause(3 * time.Second)
		name := names[random.IntN(len(names))]
		faults[name]()
		counts[name]++
	}
	gate.hush()
	shown := gate.all()
	r.waitForAll(shown, 2*time.Minute)
	t.Logf("%v", counts)
	t.Logf("%d shown, %d lost", len(shown), len(r.lacks(shown)))
}

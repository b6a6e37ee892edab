package mqtt

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"thermogate/screening/journal"
	"thermogate/testdata"
)

// TestNothingIsLost breaks broker, link, disk, gate and receiver at random instants, with mosquitto and with the gate's own
// broker: what was shown to a worker is in the receiver in the end. THERMOGATE_FAULT_ROUNDS sets how often,
// each time in another order.
func TestNothingIsLost(t *testing.T) {
	rounds, seed := 8, uint64(1)
	if s := os.Getenv("THERMOGATE_FAULT_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		seed = uint64(time.Now().UnixNano())
	}
	for name, start := range map[string]func(*soak){"mosquitto": (*soak).useMosquitto, "own broker": (*soak).useOwnBroker} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			t.Logf("%d rounds, seed %d", rounds, seed)
			s := newSoak(t, seed)
			start(s)
			s.run(rounds)
		})
	}
}

// soak is a gate and a receiver of its events, with all that can be broken between the two and below them.
type soak struct {
	t        *testing.T
	random   *rand.Rand
	gate     *gateProcess
	receiver *receiver
	faults   map[string]func()
}

func newSoak(t *testing.T, seed uint64) *soak {
	s := &soak{t: t, random: rand.New(rand.NewPCG(seed, 0)), gate: &gateProcess{t: t}}
	t.Cleanup(s.gate.kill)
	s.faults = s.processFaults()
	dir := t.TempDir()
	if disk := mountSmallDisk(t); disk != nil {
		dir = disk.dir
		maps.Copy(s.faults, s.fullDiskFaults(disk))
	}
	s.gate.journal = filepath.Join(dir, "data", "journal.db")
	maps.Copy(s.faults, s.journalFaults(s.gate.journal))
	return s
}

func (s *soak) useOwnBroker() {
	s.gate.own = testdata.FreeAddress(s.t)
	s.gate.broker = s.gate.own
	state := s.gate.journal + ".broker"
	forget := func() { removeDatabase(state) }
	s.faults["own broker killed, state lost"] = func() { s.gate.kill(); forget(); s.outage(); s.gate.start() }
	s.faults["own broker and receiver killed, state lost"] = func() {
		s.gate.kill()
		s.receiver.kill()
		forget()
		s.gate.start()
		s.outage()
		s.receiver.start()
	}
	s.faults["own broker's state removed below it"] = func() { forget(); s.outage() }
}

func (s *soak) useMosquitto() {
	state := s.t.TempDir()
	broker := startMosquitto(s.t, "allow_anonymous true", "persistence true", "persistence_location "+state+"/", "autosave_interval 20", "autosave_on_changes true")
	link := newLink(s.t, broker.address())
	s.gate.broker = link.address()
	forget := func() { os.Remove(filepath.Join(state, "mosquitto.db")) }
	maps.Copy(s.faults, map[string]func(){
		"broker killed, state kept": func() { broker.kill(); s.outage(); broker.start() },
		"broker killed, state lost": func() { broker.kill(); forget(); s.outage(); broker.start() },
		"link cut":                  func() { link.cut(); s.outage(); link.mend() },
		"link slow":                 func() { link.delay.Store(int64(50 * time.Millisecond)); s.outage(); link.mend() },
		"link frozen":               func() { link.freeze(); s.outage(); link.cut(); link.mend() },
		"gate killed while the link is cut": func() {
			link.cut()
			s.outage()
			s.gate.kill()
			s.gate.start()
			s.outage()
			link.mend()
		},
		"gate and broker killed, state kept": func() { s.gate.kill(); broker.kill(); s.outage(); broker.start(); s.gate.start() },
		"gate and broker killed, state lost": func() {
			s.gate.kill()
			broker.kill()
			forget()
			s.outage()
			broker.start()
			s.gate.start()
		},
		"all killed, state lost": func() {
			s.gate.kill()
			broker.kill()
			s.receiver.kill()
			forget()
			broker.start()
			s.gate.start()
			s.outage()
			s.receiver.start()
		},
	})
	for _, name := range slices.Sorted(maps.Keys(s.faults)) { // what the disk refuses can't be sent either
		if fault := s.faults[name]; slices.Contains(diskFaults, name) {
			s.faults[name+", link cut"] = func() { link.cut(); fault(); link.mend() }
		}
	}
}

func (s *soak) processFaults() map[string]func() {
	return map[string]func(){
		"gate killed":               func() { s.gate.kill(); s.outage(); s.gate.start() },
		"gate killed twice":         func() { s.gate.kill(); s.gate.start(); s.outage(); s.gate.kill(); s.gate.start() },
		"receiver killed":           func() { s.receiver.kill(); s.outage(); s.receiver.start() },
		"receiver's store wiped":    func() { s.receiver.kill(); s.receiver.wipe(); s.outage(); s.receiver.start() },
		"receiver's store restored": func() { s.receiver.kill(); s.receiver.restore(); s.outage(); s.receiver.start() },
		"receiver's store saved":    func() { s.receiver.kill(); s.receiver.backUp(); s.receiver.start() },
		"gate and receiver killed": func() {
			s.gate.kill()
			s.receiver.kill()
			s.outage()
			s.gate.start()
			s.outage()
			s.receiver.start()
		},
		"gate killed, receiver away for long": func() {
			s.receiver.kill()
			s.gate.kill()
			s.gate.start()
			s.pause(10 * time.Second)
			s.receiver.start()
		},
		"gate killed, receiver's store wiped": func() {
			s.gate.kill()
			s.receiver.kill()
			s.receiver.wipe()
			s.gate.start()
			s.outage()
			s.receiver.start()
		},
	}
}

// diskFaults are those that fullDiskFaults and journalFaults know.
var diskFaults = []string{
	"disk full", "disk full, gate killed", "disk full, gate killed and started", "journal removed on a full disk",
	"journal locked", "journal locked, gate killed", "journal removed", "folder removed", "journal renamed",
}

func (s *soak) fullDiskFaults(disk *smallDisk) map[string]func() {
	return map[string]func(){
		"disk full": func() { disk.fill(); s.outage(); disk.free() },
		"disk full, gate killed": func() {
			disk.fill()
			s.outage()
			s.gate.kill()
			s.outage()
			disk.free()
			s.gate.start()
		},
		"disk full, gate killed and started": func() {
			disk.fill()
			s.outage()
			s.gate.kill()
			s.gate.start()
			s.outage()
			disk.free()
		},
		"journal removed on a full disk": func() {
			disk.fill()
			os.Remove(s.gate.journal)
			s.outage()
			disk.free()
			s.awaitJournal()
		},
	}
}

func (s *soak) journalFaults(path string) map[string]func() {
	return map[string]func(){
		"journal locked":              func() { end := lockOut(s.t, path); s.outage(); end() },
		"journal locked, gate killed": func() { end := lockOut(s.t, path); s.outage(); s.gate.kill(); end(); s.gate.start() },
		"journal removed":             func() { removeDatabase(path); s.awaitJournal() },
		"folder removed":              func() { os.RemoveAll(filepath.Dir(path)); s.awaitJournal() },
		"journal renamed":             func() { os.Rename(path, path+".bak"); s.awaitJournal(); os.Remove(path + ".bak") },
	}
}

func (s *soak) pause(most time.Duration) { time.Sleep(time.Duration(s.random.Int64N(int64(most)))) }

func (s *soak) outage() { s.pause(1500 * time.Millisecond) }

func (s *soak) awaitJournal() {
	s.t.Helper()
	s.await("a new journal", func() bool { _, err := os.Stat(s.gate.journal); return err == nil })
}

func (s *soak) await(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *soak) run(rounds int) {
	s.gate.start()
	s.receiver = newReceiver(s.t, s.gate.broker)
	s.awaitJournal()
	names := slices.Sorted(maps.Keys(s.faults))
	counts := map[string]int{}
	for range rounds {
		s.outage()
		name := names[s.random.IntN(len(names))]
		counts[name]++
		before := s.gate.count()
		s.faults[name]()
		s.await("the gate to go on after: "+name, func() bool { return s.gate.count() > before })
	}
	s.gate.hush()
	shown := s.gate.all()
	s.receiver.waitForAll(shown, 6*time.Minute)
	s.gate.kill()
	s.gate.start() // stores what the last one could not
	s.await("every event to be on disk", func() bool { return s.onDisk(shown) })
	s.t.Logf("%v", counts)
	s.t.Logf("%d shown, %d lost", len(shown), len(s.receiver.lacks(shown)))
}

func (s *soak) onDisk(ids []string) bool {
	stored := map[string]bool{}
	err := journal.List(s.t.Context(), s.gate.journal, journal.Filter{}, func(e journal.Entry) error { stored[e.Event.ID] = true; return nil })
	return err == nil && !slices.ContainsFunc(ids, func(id string) bool { return !stored[id] })
}

package ingest

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/datadir"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

// box is a machine with a gate, and its data folder.
type box struct {
	t    *testing.T
	dir  string
	j    *journal.Journal
	stop func()
}

// startBox runs a gate at a broker, which the gate brings along if own is its address.
func startBox(t *testing.T, dir, address, own string) *box {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(dir, "journal.db"), journal.DefaultConfig(), quietLog)
	if err != nil {
		t.Fatal(err)
	}
	cfg := brokerConfig(address)
	if own != "" {
		brought := mqtt.DefaultBrokerConfig()
		brought.Listen = own
		if cfg.Own, err = mqtt.StartBroker(brought, north, filepath.Join(dir, "broker.db"), quietLog); err != nil {
			t.Fatal(err)
		}
	}
	c, err := mqtt.New(cfg, north, j, nil, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if cfg.Own != nil {
			cfg.Own.Close()
		}
		j.Close()
	})
	t.Cleanup(stop)
	return &box{t, dir, j, stop}
}

// show makes events, as their people see them.
func (b *box) show(n int, shown map[string]bool) {
	b.t.Helper()
	for range n {
		e := sample(event.Pass)
		if err := b.j.Append(b.t.Context(), e); err != nil {
			b.t.Fatal(err)
		}
		shown[e.ID] = true
	}
}

func (b *box) backup() (file string) {
	b.t.Helper()
	file = filepath.Join(b.t.TempDir(), "backup")
	_, err := datadir.Save(b.t.Context(), b.dir, file, datadir.Plan{
		First: "journal.db", LeavesOut: func(name string) bool { return strings.HasSuffix(name, ".reserve") },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return file
}

func restored(t *testing.T, file string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	_, err := datadir.Restore(dir, "thermogate", file, "journal.db", func(_ datadir.Backup, folder string) error {
		_, err := journal.Move(t.Context(), filepath.Join(folder, "journal.db"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGateMovesToAnotherMachine has a gate go on with its work after its backup, and then die. Its successor begins at the
// backup. Everything that was published is in the console, and counts once.
func TestGateMovesToAnotherMachine(t *testing.T) {
	t.Run("mosquitto", func(t *testing.T) {
		b := startBroker(t)
		moves(t, b.address, "", func() { b.kill(); b.forget(); b.start() })
	})
	t.Run("own broker", func(t *testing.T) {
		address := testdata.FreeAddress(t)
		moves(t, address, address, func() {})
	})
}

func moves(t *testing.T, address, own string, forget func()) {
	shown := map[string]bool{}
	old := startBox(t, filepath.Join(t.TempDir(), "data"), address, own)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, stop := run(t, address, s)
	holds := func(i *Ingest) {
		t.Helper()
		eventually(t, "all that was shown is stored, and nothing is missing", func() bool {
			return len(events(t, s)) == len(shown) && i.State().Wanted == 0
		})
	}
	old.show(20, shown)
	holds(i)
	eventually(t, "the gate knows", func() bool { return old.j.Stats().Unstored == 0 })
	stop()
	old.show(10, shown) // while the console is away: some receiver does not hold them
	file := old.backup()
	i, stop = run(t, address, s)
	old.show(15, shown) // what the backup does not have
	holds(i)
	old.stop()
	stop()
	forget()

	successor := startBox(t, restored(t, file), address, own)
	successor.show(12, shown)
	i, stop = run(t, address, s)
	holds(i)
	successor.show(5, shown)
	holds(i)
	eventually(t, "the gate knows", func() bool { return successor.j.Stats().Unstored == 0 && successor.j.Stats().Pending == 0 })
	stop()

	// And once more, from the same backup: a machine that died as soon as it was there.
	successor.stop()
	third := startBox(t, restored(t, file), address, own)
	third.show(7, shown)
	i, _ = run(t, address, s)
	holds(i)
	counts(t, s, shown)
}

// counts says whether a store holds what was shown, counted once each, and lacks nothing.
func counts(t *testing.T, s *store.Store, shown map[string]bool) {
	t.Helper()
	held := events(t, s)
	for id := range shown {
		if held[id].ID == "" {
			t.Errorf("%s is lost", id)
		}
	}
	days, err := s.Days(t.Context(), 0, store.DayOf(time.Now().AddDate(1, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	people := 0
	for _, day := range days {
		people += int(day.People)
	}
	if people != len(shown) || len(held) != len(shown) {
		t.Errorf("%d people count, %d events are held, %d were shown", people, len(held), len(shown))
	}
	if losses, err := s.Losses(t.Context()); err != nil || len(losses) > 0 {
		t.Errorf("missing: %+v, %v", losses, err)
	}
}

// TestWhatOnlyTheOldMachineHad has a gate die with events that nobody has got. They are counted as lost, and those of its
// successor take no place of theirs.
func TestWhatOnlyTheOldMachineHad(t *testing.T) {
	b := startBroker(t)
	shown := map[string]bool{}
	old := startBox(t, filepath.Join(t.TempDir(), "data"), b.address, "")
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, stop := run(t, b.address, s)
	old.show(10, shown)
	eventually(t, "all is stored", func() bool { return len(events(t, s)) == 10 })
	file := old.backup()
	stop()
	former := old.j.Tail().Journal
	old.stop()
	p := startPuppet(t, b.address)
	p.journal = former
	i, _ = run(t, b.address, s)
	p.online(13) // all that has left the machine of its last three events
	eventually(t, "the console knows what it lacks", func() bool { return i.State().Wanted == 3 })

	successor := startBox(t, restored(t, file), b.address, "")
	successor.show(4, shown)
	eventually(t, "what the successor shows is stored, and the rest given up", func() bool {
		return len(events(t, s)) == 14 && i.State().Wanted == 0
	})
	losses, err := s.Losses(t.Context())
	if err != nil || len(losses) != 1 || losses[0].Journal != former || losses[0].Span != (mqtt.Span{From: 11, To: 13}) {
		t.Errorf("%+v, %v", losses, err)
	}
}

func TestTwoGatesOfOneName(t *testing.T) {
	b := startBroker(t)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	log := new(testdata.Text)
	i, err := New("test", brokerConfig(b.address), s, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	i.timing = quickTiming()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "the console is connected", func() bool { return i.State().Connected })
	p := startPuppet(t, b.address)
	one, other := p.journal, "01JQ8Z6Y5T2M3N4P5Q6R7S8T9V"
	online := func(journal string) {
		status, err := json.Marshal(map[string]any{"state": "online", "since": time.Now(), "camera": "ok", "journal": journal, "sequence": 0})
		if err != nil {
			t.Fatal(err)
		}
		p.publish("status", true, string(status))
		eventually(t, "the console has heard it", func() bool {
			gates, err := s.Gates(t.Context(), time.Now())
			return err == nil && len(gates) == 1 && gates[0].Journal == journal
		})
	}
	online(one)
	online(other) // it was moved
	if strings.Contains(log.String(), "two gates") {
		t.Errorf("a gate that was moved is taken for two: %s", log)
	}
	online(one)
	eventually(t, "it is a fault that somebody sees", func() bool {
		faults, err := s.Faults(t.Context(), time.Now())
		return err == nil && len(faults) == 1 && faults[0].Part == store.Link && faults[0].Value == store.Doubled
	})
	p.publish("status", true, `{"state":"offline","since":"2026-03-02T06:00:00Z"}`) // the will of who was thrown off
	online(other)
	if faults, err := s.Faults(t.Context(), time.Now()); err != nil || len(faults) != 1 || faults[0].Value != store.Doubled {
		t.Errorf("faults: %+v, %v", faults, err)
	}
	eventually(t, "the log tells of two gates", func() bool { return strings.Contains(log.String(), "two gates of one name") })
}

package ingest

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
)

// The test binary is a gate or a console, too, so that either can be killed.
const (
	asGate    = "INGEST_TEST_JOURNAL"
	asConsole = "INGEST_TEST_STORE"
	atBroker  = "INGEST_TEST_BROKER"
)

func TestMain(m *testing.M) {
	var err error
	switch {
	case os.Getenv(asGate) != "":
		err = gateUntilKilled(os.Getenv(asGate), os.Getenv(atBroker))
	case os.Getenv(asConsole) != "":
		err = consoleUntilKilled(os.Getenv(asConsole), os.Getenv(atBroker))
	default:
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// gateUntilKilled prints the id of an event once it is stored, which is when a worker would see the verdict. It is done with
// showing once there is a file of the journal's name and ".hush".
func gateUntilKilled(path, address string) error {
	ctx := context.Background()
	j, err := journal.Open(ctx, path, journal.DefaultConfig(), quietLog)
	if err != nil {
		return err
	}
	c, err := mqtt.New(brokerConfig(address), north, j, nil, quietLog)
	if err != nil {
		return err
	}
	go c.Run(ctx)
	for {
		if _, err := os.Stat(path + ".hush"); err == nil {
			select {}
		}
		e := sample(event.Pass)
		if err := j.Append(ctx, e); err != nil {
			return err
		}
		if _, err := fmt.Println(e.ID); err != nil {
			return err
		}
		time.Sleep(rand.N(20 * time.Millisecond))
	}
}

func consoleUntilKilled(path, address string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, storeConfig(path), quietLog)
	if err != nil {
		return err
	}
	i, err := New("test", brokerConfig(address), s, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	i.timing = quickTiming()
	return i.Run(ctx)
}

// process is a gate or a console that can be killed and started again.
type process struct {
	t       testing.TB
	env     []string
	cmd     *exec.Cmd
	reading sync.WaitGroup

	mu    sync.Mutex
	lines []string
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), p.env...), os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.reading.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
	})
}

func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill()
	p.reading.Wait()
	p.cmd.Wait()
	p.cmd = nil
}

func (p *process) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// rounds is how many a soak has: THERMOGATE_FAULT_ROUNDS, or a few.
func rounds(t *testing.T, few int) int {
	t.Helper()
	s := os.Getenv("THERMOGATE_FAULT_ROUNDS")
	if s == "" {
		return few
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNothingMissedNothingTwice breaks gate, broker and console at random instants. At last everything that was shown is
// in the store, and counts once.
func TestNothingMissedNothingTwice(t *testing.T) {
	n := rounds(t, 5)
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d rounds, seed %d", n, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	wait := func(most time.Duration) { time.Sleep(time.Duration(random.Int64N(int64(most)))) }
	outage := func() { wait(2 * time.Second) }

	b := startBroker(t)
	path, file := filepath.Join(t.TempDir(), "journal.db"), filepath.Join(t.TempDir(), "console.db")
	gate := &process{t: t, env: []string{asGate + "=" + path, atBroker + "=" + b.address}}
	console := &process{t: t, env: []string{asConsole + "=" + file, atBroker + "=" + b.address}}
	t.Cleanup(gate.kill)
	t.Cleanup(console.kill)
	gate.start()
	console.start()
	// The first is what a console must stand: it is away, meanwhile the broker forgets all and the gate is killed.
	away := func() {
		console.kill()
		outage()
		b.kill()
		b.forget()
		outage()
		b.start()
		outage()
		gate.kill()
		gate.start()
		outage()
		console.start()
	}
	faults := map[string]func(){
		"console away, broker's state lost, gate killed": away,
		"console killed":            func() { console.kill(); outage(); console.start() },
		"console killed twice":      func() { console.kill(); console.start(); outage(); console.kill(); console.start() },
		"gate killed":               func() { gate.kill(); outage(); gate.start() },
		"broker killed, state kept": func() { b.kill(); outage(); b.start() },
		"broker killed, state lost": func() { b.kill(); b.forget(); outage(); b.start() },
		"console and gate killed": func() {
			console.kill()
			gate.kill()
			outage()
			console.start()
			outage()
			gate.start()
		},
		"all killed, state lost": func() {
			gate.kill()
			b.kill()
			console.kill()
			b.forget()
			b.start()
			gate.start()
			outage()
			console.start()
		},
		"console and broker killed": func() { console.kill(); b.kill(); outage(); b.start(); console.start() },
		"gate and broker, state lost": func() {
			gate.kill()
			b.kill()
			b.forget()
			outage()
			b.start()
			gate.start()
		},
	}
	names := slices.Sorted(maps.Keys(faults))
	counts := map[string]int{}
	for round := range n {
		wait(3 * time.Second)
		name := names[random.IntN(len(names))]
		if round == 0 {
			name = "console away, broker's state lost, gate killed"
		}
		faults[name]()
		counts[name]++
	}
	if err := os.WriteFile(path+".hush", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for before := -1; before != len(gate.all()); time.Sleep(200 * time.Millisecond) {
		before = len(gate.all())
	}
	shown := gate.all()
	console.kill()
	s := openStore(t, file)
	i, _ := run(t, b.address, s)
	within(t, 2*time.Minute, "everything that was shown is stored", func() bool {
		held := events(t, s)
		return !slices.ContainsFunc(shown, func(id string) bool { return held[id].ID == "" })
	})
	days, err := s.Days(t.Context(), 0, store.DayOf(time.Now().AddDate(1, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var people int64
	for _, day := range days {
		people += day.People
	}
	held := events(t, s)
	if int(people) != len(held) {
		t.Errorf("%d people count for %d events", people, len(held))
	}
	losses, err := s.Losses(t.Context())
	if err != nil || len(losses) > 0 {
		t.Errorf("missing: %+v, %v", losses, err)
	}
	t.Logf("%v; %d shown, %d stored, %+v", counts, len(shown), len(held), i.State())
}

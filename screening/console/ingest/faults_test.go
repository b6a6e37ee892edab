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
	"thermogate/testdata"
)

// The test binary is a gate or a console, too, so that either can be killed.
const (
	asGate    = "INGEST_TEST_JOURNAL"
	asConsole = "INGEST_TEST_STORE"
	atBroker  = "INGEST_TEST_BROKER"
	asBroker  = "INGEST_TEST_OWN_BROKER" // the gate brings one along, at this address
)

func TestMain(m *testing.M) {
	var err error
	switch {
	case os.Getenv(asGate) != "":
		err = gateUntilKilled(os.Getenv(asGate), os.Getenv(atBroker), os.Getenv(asBroker))
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
func gateUntilKilled(path, address, own string) error {
	ctx := context.Background()
	j, err := journal.Open(ctx, path, journal.DefaultConfig(), quietLog)
	if err != nil {
		return err
	}
	cfg := brokerConfig(address)
	if own != "" {
		brought := mqtt.DefaultBrokerConfig()
		brought.Listen = own
		if cfg.Own, err = mqtt.StartBroker(brought, north, path+".broker", quietLog); err != nil {
			return err
		}
	}
	c, err := mqtt.New(cfg, north, j, nil, quietLog)
	if err != nil {
		return err
	}
	go c.Run(ctx)
	for {
		if _, err := os.Stat(path + ".hush"); err == nil {
			fmt.Println(hushed)
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

// hushed is the last that a gate prints.
const hushed = "hushed"

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

// askedRounds says how many rounds a soak has, each time with other faults.
const askedRounds = "THERMOGATE_FAULT_ROUNDS"

// rounds is how many a soak has: those that are asked for, or a few.
func rounds(t *testing.T, few int) int {
	t.Helper()
	s := os.Getenv(askedRounds)
	if s == "" {
		return few
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNothingMissedNothingTwice breaks gate, broker and console at random instants, with mosquitto and with the gate's own
// broker. At last everything that was shown is in the store, and counts once.
func TestNothingMissedNothingTwice(t *testing.T) {
	t.Run("mosquitto", func(t *testing.T) {
		b := startBroker(t)
		f := startFactory(t, b.address, false)
		f.faults["broker killed, state kept"] = func() { b.kill(); f.outage(); b.start() }
		f.faults["broker killed, state lost"] = func() { b.kill(); b.forget(); f.outage(); b.start() }
		f.faults["console and broker killed"] = func() { f.console.kill(); b.kill(); f.outage(); b.start(); f.console.start() }
		f.faults["gate and broker killed, state lost"] = func() {
			f.gate.kill()
			b.kill()
			b.forget()
			f.outage()
			b.start()
			f.gate.start()
		}
		f.faults["all killed, state lost"] = func() {
			f.gate.kill()
			b.kill()
			f.console.kill()
			b.forget()
			b.start()
			f.gate.start()
			f.outage()
			f.console.start()
		}
		const away = "console away, broker's state lost, gate killed" // what a console must stand
		f.faults[away] = func() {
			f.console.kill()
			f.outage()
			b.kill()
			b.forget()
			f.outage()
			b.start()
			f.outage()
			f.gate.kill()
			f.gate.start()
			f.outage()
			f.console.start()
		}
		f.soak(rounds(t, 4), away)
	})
	t.Run("own broker", func(t *testing.T) {
		f := startFactory(t, testdata.FreeAddress(t), true)
		const away = "console away, gate killed"
		f.faults[away] = func() {
			f.console.kill()
			f.gate.kill()
			f.outage()
			f.gate.start()
			f.outage()
			f.console.start()
		}
		f.soak(rounds(t, 2), away)
	})
}

// factory is a gate and a console that break.
type factory struct {
	t             *testing.T
	address       string
	journal, file string
	gate, console *process
	random        *rand.Rand
	faults        map[string]func()
}

func startFactory(t *testing.T, address string, own bool) *factory {
	seed := uint64(1)
	if os.Getenv(askedRounds) != "" {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	f := &factory{
		t: t, address: address, random: rand.New(rand.NewPCG(seed, 0)),
		journal: filepath.Join(t.TempDir(), "journal.db"), file: filepath.Join(t.TempDir(), "console.db"),
	}
	f.gate = &process{t: t, env: []string{asGate + "=" + f.journal, atBroker + "=" + address}}
	if own {
		f.gate.env = append(f.gate.env, asBroker+"="+address)
	}
	f.console = &process{t: t, env: []string{asConsole + "=" + f.file, atBroker + "=" + address}}
	t.Cleanup(f.gate.kill)
	t.Cleanup(f.console.kill)
	f.gate.start()
	f.console.start()
	f.faults = map[string]func(){
		"console killed":       func() { f.console.kill(); f.outage(); f.console.start() },
		"console killed twice": func() { f.console.kill(); f.console.start(); f.outage(); f.console.kill(); f.console.start() },
		"gate killed":          func() { f.gate.kill(); f.outage(); f.gate.start() },
		"console and gate killed": func() {
			f.console.kill()
			f.gate.kill()
			f.outage()
			f.console.start()
			f.outage()
			f.gate.start()
		},
	}
	return f
}

func (f *factory) wait(most time.Duration) { time.Sleep(time.Duration(f.random.Int64N(int64(most)))) }

func (f *factory) outage() { f.wait(2 * time.Second) }

// soak breaks something again and again, the first time as it is told.
func (f *factory) soak(rounds int, first string) {
	t := f.t
	names := slices.Sorted(maps.Keys(f.faults))
	counts := map[string]int{}
	for round := range rounds {
		f.wait(3 * time.Second)
		name := names[f.random.IntN(len(names))]
		if round == 0 {
			name = first
		}
		f.faults[name]()
		counts[name]++
	}
	if err := os.WriteFile(f.journal+".hush", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var shown []string
	eventually(t, "the gate shows nothing more", func() bool {
		shown = f.gate.all()
		return slices.Contains(shown, hushed)
	})
	shown = shown[:len(shown)-1]
	f.console.kill()
	s := openStore(t, f.file)
	i, _ := run(t, f.address, s)
	within(t, 2*time.Minute, "everything that was shown is stored", func() bool {
		held := events(t, s)
		return !slices.ContainsFunc(shown, func(id string) bool { return held[id].ID == "" })
	})
	within(t, time.Minute, "nothing is missing", func() bool { return i.State().Wanted == 0 })
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
	t.Logf("%v; %d shown, %d stored", counts, len(shown), len(held))
}

package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"thermogate/screening/journal"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("MQTT_TEST_JOURNAL"); path != "" {
		if err := gateUntilKilled(path, os.Getenv("MQTT_TEST_BROKER"), os.Getenv("MQTT_TEST_OWN_BROKER")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// gateUntilKilled is a gate in a process of its own: it prints the id of an event once it is stored, or waits for a disk
// that takes nothing, which is when a worker would see the verdict. It brings a broker along where own is an address, and is
// done with showing once there is a file of the journal's name and ".hush".
func gateUntilKilled(path, broker, own string) error {
	ctx := context.Background()
	j, err := journal.Open(ctx, path, journal.DefaultConfig(), quietLog)
	if err != nil {
		return err
	}
	cfg := testConfig(broker)
	if own != "" {
		brought := DefaultBrokerConfig()
		brought.Listen = own
		if cfg.Own, err = StartBroker(brought, testGate, path+".broker", quietLog); err != nil {
			return err
		}
	}
	cfg.HomeAssistant.Enabled, cfg.Sparkplug.Enabled, cfg.ONVIF.Enabled = true, true, true
	c, err := New(cfg, testGate, j, nil, quietLog)
	if err != nil {
		return err
	}
	c.timing = quickTiming()
	go c.Run(ctx)
	for n := int(j.Last()) + 1 + j.Stats().Waiting; ; n++ {
		keep := j.Append
		if waits(n) {
			keep = j.Hold
		}
		if _, err := os.Stat(path + ".hush"); err == nil {
			select {}
		}
		if err := keep(ctx, sample(n)); err != nil && !errors.Is(err, journal.ErrWaiting) {
			return err
		}
		if waits(n) {
			time.AfterFunc(rand.N(50*time.Millisecond), func() { j.Release(sample(n)) })
		}
		if _, err := fmt.Println(sample(n).ID); err != nil {
			return err
		}
		time.Sleep(rand.N(10 * time.Millisecond))
	}
}

// waits says of which events a door has to answer before they are published.
func waits(n int) bool { return n%3 == 0 }

func quickTiming() timing {
	timing := defaultTiming()
	timing.settle = 300 * time.Millisecond
	timing.retry, timing.retryMost = 20*time.Millisecond, 200*time.Millisecond
	return timing
}

// gateProcess is a gate that can be killed and started again on the same journal.
type gateProcess struct {
	t               testing.TB
	journal, broker string
	own             string // address of the broker that it brings along, if it does
	process         *exec.Cmd
	reading         sync.WaitGroup

	mu    sync.Mutex
	shown []string
}

func (g *gateProcess) start() {
	g.t.Helper()
	g.process = exec.Command(os.Args[0])
	g.process.Env = append(os.Environ(), "MQTT_TEST_JOURNAL="+g.journal, "MQTT_TEST_BROKER="+g.broker, "MQTT_TEST_OWN_BROKER="+g.own)
	g.process.Stderr = os.Stderr
	out, err := g.process.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.process.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.reading.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			g.mu.Lock()
			g.shown = append(g.shown, lines.Text())
			g.mu.Unlock()
		}
	})
}

func (g *gateProcess) kill() {
	if g.process == nil {
		return
	}
	g.process.Process.Kill()
	g.reading.Wait()
	g.process.Wait()
	g.process = nil
}

// all returns what was shown so far.
func (g *gateProcess) all() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.shown)
}

// hush has the gate show nothing more, and send what is left.
func (g *gateProcess) hush() {
	g.t.Helper()
	if err := os.WriteFile(g.journal+".hush", nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
	for before := -1; before != len(g.all()); time.Sleep(100 * time.Millisecond) {
		before = len(g.all())
	}
}

// faultRounds is how many rounds a soak has, by default a few.
func faultRounds(t *testing.T, few int) int {
	t.Helper()
	s := os.Getenv("THERMOGATE_FAULT_ROUNDS")
	if s == "" {
		return few
	}
	rounds, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return rounds
}

// TestNothingIsLost breaks broker, link and gate at random instants. THERMOGATE_FAULT_ROUNDS sets how often.
func TestNothingIsLost(t *testing.T) {
	rounds := faultRounds(t, 12)
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d rounds, seed %d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	state := t.TempDir()
	broker := startMosquitto(t, "allow_anonymous true", "persistence true", "persistence_location "+state+"/", "autosave_interval 20", "autosave_on_changes true")
	forget := func() { os.Remove(filepath.Join(state, "mosquitto.db")) }
	link := newLink(t, broker.address())
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	gate := &gateProcess{t: t, journal: filepath.Join(t.TempDir(), "journal.db"), broker: link.address()}
	gate.start()
	t.Cleanup(gate.kill)

	outage := func() { time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) }
	faults := []struct {
		name string
		do   func()
	}{
		{"broker killed, state kept", func() { broker.kill(); outage(); broker.start() }},
		{"broker killed, state lost", func() { broker.kill(); forget(); outage(); broker.start() }},
		{"link cut", func() { link.cut(); outage(); link.mend() }},
		{"link slow", func() { link.delay.Store(int64(50 * time.Millisecond)); outage(); outage(); link.mend() }},
		{"link frozen", func() { link.freeze(); outage(); link.cut(); link.mend() }},
		{"gate killed", func() { gate.kill(); outage(); gate.start() }},
		{"gate and broker killed, state lost", func() {
			gate.kill()
			broker.kill()
			forget()
			outage()
			broker.start()
			gate.start()
		}},
		{"gate killed while the link is cut", func() {
			link.cut()
			outage()
			gate.kill()
			gate.start()
			outage()
			link.mend()
		}},
	}
	counts := map[string]int{}
	for range rounds {
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		fault := faults[random.IntN(len(faults))]
		fault.do()
		counts[fault.name]++
	}
	time.Sleep(500 * time.Millisecond)
	gate.kill()
	gate.start() // sends what the last one left
	want := gate.all()
	sub.waitFor(t, 30*time.Second, func(messages []message) bool {
		arrived := map[string]bool{}
		for _, m := range messages {
			arrived[m.event.ID] = true
		}
		return !slices.ContainsFunc(want, func(id string) bool { return !arrived[id] })
	})
	messages := sub.all()
	fresh, backlog := screenings(messages)
	if !slices.IsSorted(fresh) || !slices.IsSorted(backlog) {
		t.Error("the order is not kept")
	}
	t.Logf("%v", counts)
	t.Logf("%d shown, all arrived: %d fresh, %d from the backlog, %d repeated", len(want), len(fresh), len(backlog), len(messages)-len(fresh)-len(backlog))
}

package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
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
			fmt.Println(hushed)
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
		time.Sleep(rand.N(40 * time.Millisecond))
	}
}

// hushed is the last that a gate prints.
const hushed = "hushed"

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

	mu     sync.Mutex
	shown  []string
	hushed bool
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
			if g.hushed = lines.Text() == hushed; !g.hushed {
				g.shown = append(g.shown, lines.Text())
			}
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

// count is how many were shown so far.
func (g *gateProcess) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.shown)
}

// hush has the gate show nothing more, and send what is left.
func (g *gateProcess) hush() {
	g.t.Helper()
	if err := os.WriteFile(g.journal+".hush", nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.hushed
	})
}

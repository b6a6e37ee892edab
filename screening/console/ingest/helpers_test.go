package ingest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

var (
	quietLog = slog.New(slog.DiscardHandler)
	north    = mqtt.Gate{Site: "plant", Name: "north"}
	newIDs   = sync.OnceValue(func() func() string { // for all of a process
		ids := event.NewIDs(rand.Reader)
		var mu sync.Mutex
		return func() string {
			mu.Lock()
			defer mu.Unlock()
			return ids.At(time.Now())
		}
	})
)

func sample(outcome event.Outcome) event.Event {
	return event.Event{
		SpecVersion: "1.0", ID: newIDs()(), Source: event.Source(north.Site, north.Name), Type: "thermogate.screening." + string(outcome) + ".v1",
		Time: time.Now().UTC(), DataContentType: "application/json",
		Data: event.Data{Outcome: outcome, Reason: event.BelowThreshold, Camera: "test", Version: "test"},
	}
}

// broker is a real mosquitto on a free port of this machine.
type broker struct {
	t       testing.TB
	address string
	dir     string
	process *exec.Cmd
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	b := &broker{t: t, address: testdata.FreeAddress(t), dir: t.TempDir()}
	_, port, _ := net.SplitHostPort(b.address)
	conf := fmt.Sprintf("listener %s 127.0.0.1\nuser root\nallow_anonymous true\nmax_queued_messages 0\npersistence true\npersistence_location %s/\nautosave_interval 20\nautosave_on_changes true\n", port, b.dir)
	if err := os.WriteFile(filepath.Join(b.dir, "mosquitto.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.kill)
	b.start()
	return b
}

func (b *broker) start() {
	b.t.Helper()
	b.process = exec.Command("/usr/sbin/mosquitto", "-c", filepath.Join(b.dir, "mosquitto.conf"))
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "mosquitto listens", func() bool {
		conn, err := net.Dial("tcp", b.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (b *broker) kill() {
	if b.process != nil {
		b.process.Process.Kill()
		b.process.Wait()
		b.process = nil
	}
}

func (b *broker) forget() { os.Remove(filepath.Join(b.dir, "mosquitto.db")) }

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	within(t, time.Minute, what, is)
}

func within(t testing.TB, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func brokerConfig(address string) mqtt.Config {
	cfg := mqtt.DefaultConfig()
	cfg.Broker = "mqtt://" + address
	return cfg
}

func quickTiming() timing {
	timing := defaultTiming()
	timing.patience, timing.askAgain, timing.second, timing.retryMax = time.Second, 3*time.Second, 100*time.Millisecond, 500*time.Millisecond
	return timing
}

func openStore(t testing.TB, file string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), storeConfig(file), quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func storeConfig(file string) store.Config {
	cfg := store.DefaultConfig()
	cfg.File = file
	return cfg
}

// run runs a console until the end of the test or stop.
func run(t testing.TB, address string, s *store.Store, change ...func(*timing)) (i *Ingest, stop func()) {
	t.Helper()
	i, err := New("test", brokerConfig(address), s, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	i.timing = quickTiming()
	for _, change := range change {
		change(&i.timing)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	eventually(t, "the console is connected", func() bool { return i.State().Connected })
	return i, stop
}

func openJournal(t testing.TB) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), journal.DefaultConfig(), quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// runGate runs a real gate's side of the broker.
func runGate(t testing.TB, address string, j *journal.Journal, alerts mqtt.AlertHandler) *mqtt.Client {
	t.Helper()
	c, err := mqtt.New(brokerConfig(address), north, j, nil, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	c.HandleAlerts(alerts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// puppet is a gate that does as the test says.
type puppet struct {
	t       testing.TB
	client  paho.Client
	journal string

	mu     sync.Mutex
	heard  map[string][]string // payloads by what comes after the gate in the topic
	answer func(mqtt.Resend)
}

func startPuppet(t testing.TB, address string) *puppet {
	t.Helper()
	p := &puppet{t: t, journal: ulid.Make().String(), heard: map[string][]string{}}
	p.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("puppet"))
	if token := p.client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { p.client.Disconnect(0) })
	p.client.Subscribe("thermogate/plant/north/#", 1, p.receive).Wait()
	return p
}

func (p *puppet) receive(_ paho.Client, m paho.Message) {
	_, kind, _ := mqtt.ParseTopic(m.Topic())
	p.mu.Lock()
	p.heard[kind] = append(p.heard[kind], string(m.Payload()))
	answer := p.answer
	p.mu.Unlock()
	if kind == "command/resend" && answer != nil {
		var asked mqtt.Resend
		if json.Unmarshal(m.Payload(), &asked) == nil {
			go answer(asked)
		}
	}
}

func (p *puppet) last(kind string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := p.heard[kind]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (p *puppet) publish(kind string, retained bool, payload string) {
	p.client.Publish("thermogate/plant/north/"+kind, 1, retained, payload).Wait()
}

func (p *puppet) online(sequence int64) {
	p.publish("status", true, fmt.Sprintf(`{"state":"online","since":"2026-03-02T06:00:00Z","camera":"ok","journal":%q,"sequence":%d}`, p.journal, sequence))
}

// beat says that the gate is alive, to those who listen now.
func (p *puppet) beat(sequence int64) {
	p.client.Publish("thermogate/plant/north/status", 0, false, fmt.Sprintf(`{"state":"online","since":"2026-03-02T06:00:00Z","camera":"ok","journal":%q,"sequence":%d}`, p.journal, sequence)).Wait()
}

func (p *puppet) event(sequence int64) { p.publish("screening/pass", false, p.made(sequence)) }

// made is an event that the gate has made by now.
func (p *puppet) made(sequence int64) string {
	e := sample(event.Pass)
	e.Journal, e.Sequence = p.journal, strconv.FormatInt(sequence, 10)
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(body)
}

func events(t testing.TB, s *store.Store) map[string]store.Event {
	t.Helper()
	all, err := s.Events(context.Background(), store.Filter{}, 10_000_000)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]store.Event{}
	for _, e := range all {
		byID[e.ID] = e
	}
	return byID
}

func faultsOf(t testing.TB, s *store.Store) string {
	t.Helper()
	faults, err := s.Faults(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, f := range faults {
		words = append(words, f.Part+" "+f.Value)
	}
	return strings.Join(words, ", ")
}

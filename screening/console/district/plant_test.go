package district

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/district/natstest"
	"thermogate/screening/console/postgrestest"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var postgres = sync.OnceValues(postgrestest.Start)

func TestMain(m *testing.M) {
	if file := os.Getenv(crashStore); file != "" {
		fmt.Fprintln(os.Stderr, crash(file, os.Getenv(crashServers)))
		os.Exit(1)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // they wait for servers more than they work
		panic(err)
	}
	code := m.Run()
	if s, err := postgres(); err == nil {
		s.Stop()
	}
	os.Exit(code)
}

func storeConfig(t *testing.T, kind string) store.Config {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.File = filepath.Join(t.TempDir(), "console.db")
	if kind == "PostgreSQL" {
		s, err := postgres()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.PostgreSQL, err = s.Database(); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func openStore(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var north = mqtt.Gate{Site: "plant", Name: "north"}

// newEvent is one as a gate publishes it, and more than that: fields that the console does not know.
func newEvent(gate mqtt.Gate, at time.Time, outcome event.Outcome, change ...func(*event.Event)) (store.Event, error) {
	skin, body := 34.25, 36.75
	e := event.Event{
		SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(gate.Site, gate.Name),
		Type: "thermogate.screening." + string(outcome) + ".v1", Time: at, DataContentType: "application/json",
		Data: event.Data{Outcome: outcome, Reason: event.BelowThreshold, SkinCelsius: &skin, BodyCelsius: &body, Camera: "test", Version: "test"},
	}
	for _, change := range change {
		change(&e)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return store.Event{}, err
	}
	text = bytes.Replace(text, []byte(`"data":{`), []byte(`"data":{"person":{"id":"XYZZY4711","name":"Zhang Wei-XYZZY","badge":"XYZZY-4711","by":"XYZZY-desk"},`), 1)
	return store.NewEvent(gate, text, time.Now())
}

func appendEvents(t *testing.T, s *store.Store, n int, outcome event.Outcome) []string {
	t.Helper()
	var ids []string
	var batch []store.Event
	for range n {
		e, err := newEvent(north, time.Now(), outcome)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
		if batch = append(batch, e); len(batch) == 500 || len(ids) == n {
			if _, err := s.Append(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	return ids
}

// nameAfterwards has the gate say who an event is about, and take that back.
func nameAfterwards(t *testing.T, s *store.Store, of string) {
	t.Helper()
	for n, data := range []event.Data{{Person: &event.Bearer{ID: "XYZZY4712", By: "XYZZY-desk"}}, {Unpaired: event.TwoReads}} {
		data.Outcome, data.PersonOf = event.Named, of
		at := time.Now().Add(time.Duration(n) * time.Millisecond)
		text, err := json.Marshal(event.Event{
			SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(north.Site, north.Name),
			Type: "thermogate.screening.person.v1", Time: at, Data: data,
		})
		if err != nil {
			t.Fatal(err)
		}
		e, err := store.NewEvent(north, text, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), []store.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
}

// runPlant runs a plant until the test ends or stop is called.
func runPlant(t *testing.T, s *store.Store, cfg Config, log *slog.Logger) (p *Plant, stop func()) {
	t.Helper()
	p, err := NewPlant(t.Context(), cfg, "console", "test", s, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return p, stop
}

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// empty tells whether all is sent.
func empty(t *testing.T, s *store.Store) func() bool {
	return func() bool {
		waiting, err := s.OutgoingBySite(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(waiting) == 0
	}
}

type received struct {
	subject, id string
	body        []byte
}

// taken takes all messages out of the stream, as the district does.
func taken(t *testing.T, s jetstream.Stream) (all []received) {
	t.Helper()
	count := streamed(t, s)
	consumer, err := s.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "district", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour, MaxAckPending: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fetched(t, consumer, count) {
		all = append(all, received{m.Subject(), m.Headers().Get(jetstream.MsgIDHeader), m.Data()})
		if err := m.DoubleAck(t.Context()); err != nil { // what the server has not yet let go of would be counted again
			t.Fatal(err)
		}
	}
	return all
}

// is tells whether a message is of a kind; an event may be one that is an alert.
func (m received) is(kind Kind) bool {
	_, of, err := ParseSubject(m.subject)
	return err == nil && (of == kind || kind == EventKind && of == AlertEventKind)
}

// idsOf are the ids of the messages of a kind, in order.
func idsOf(all []received, kind Kind) (ids []string) {
	for _, m := range all {
		if m.is(kind) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

func checkOnce(t *testing.T, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if slices.Equal(got, want) {
		return
	}
	times := map[string]int{}
	for _, id := range got {
		times[id]++
	}
	missing, twice := 0, 0
	for _, id := range want {
		if times[id] == 0 {
			missing++
		}
		if times[id] > 1 {
			twice++
		}
	}
	t.Errorf("of %d events %d are missing and %d are there more than once; there are %d", len(want), missing, twice, len(got))
}

// eachStore runs a test on both kinds of store, each with a server of its own.
func eachStore(t *testing.T, test func(t *testing.T, s *store.Store, c *natstest.Cluster)) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, openStore(t, storeConfig(t, kind)), servers(t, 1, natstest.Options{}))
		})
	}
}

func TestPlantTellsEverythingButNames(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Store, c *natstest.Cluster) {
		ctx, now := t.Context(), time.Now().UTC()
		cfg := Config{Servers: c.URLs()}
		str := stream(t, connect(t, cfg, "district"), StreamConfig{Replicas: 1, MaxBytes: 64 << 20})
		old := appendEvents(t, s, 700, event.Pass)
		_, stop := runPlant(t, s, cfg, testLog(t))
		passes, alerts := appendEvents(t, s, 50, event.Pass), appendEvents(t, s, 3, event.Alert)
		by := store.Author{Account: "XYZZY-admin"}
		hostile, err := newEvent(north, now, event.Inconclusive, func(e *event.Event) {
			e.SpecVersion, e.Type, e.DataContentType = "XYZZY", "XYZZY", "XYZZY"
			d := &e.Data
			d.Reason, d.SkinSite, d.Policy, d.Worn = "XYZZY", "XYZZY", "XYZZY", []event.Garment{event.Hat, "XYZZY"}
			d.Camera, d.Version, d.Door = "XYZZY's camera", "XYZZY", &event.Door{Output: "XYZZY", Error: "XYZZY"}
		})
		if err != nil {
			t.Fatal(err)
		}
		passes = append(passes, hostile.ID)
		if _, err := s.Append(ctx, []store.Event{hostile}); err != nil {
			t.Fatal(err)
		}
		nameAfterwards(t, s, alerts[0])
		fill := []func() error{
			func() error {
				status := mqtt.StatusMessage{State: store.Online, Since: now, Status: mqtt.Status{Version: "XYZZY", Camera: "XYZZY", Reference: "XYZZY", Group: "XYZZY", Keys: mqtt.Keys{Site: "XYZZY", Numbers: 2}},
					Settings: &mqtt.Settings{Hash: "XYZZY", Values: map[string]string{"camera.name": "XYZZY"}}}
				status.Journal, status.Sequence = "XYZZY", 7
				return s.SetStatus(ctx, mqtt.Gate{Site: "plant", Name: "south"}, status, now)
			},
			func() error {
				a, err := s.Take(ctx, alerts[0], 0, "XYZZY-guard", now)
				if err == nil {
					a, err = s.AddReading(ctx, alerts[0], a.Version, "XYZZY-guard", store.Reading{Celsius: 41.987, Unit: "°C", Place: store.Ear, Thermometer: "XYZZY-thermometer"}, now)
				}
				if err == nil {
					_, err = s.CloseAlert(ctx, alerts[0], a.Version, "XYZZY-guard", mqtt.Confirmed, now)
				}
				return err
			},
			func() error {
				return s.AddSpotReading(ctx, passes[0], "XYZZY-guard", store.Reading{Celsius: 41.987, Unit: "°C", Place: store.Mouth, Thermometer: "XYZZY-thermometer"}, now)
			},
			func() error {
				status := mqtt.StatusMessage{State: store.Online, Since: now, Status: mqtt.Status{Version: "1", Camera: "ok", Paused: true, PausedUntil: now, PausedBy: "XYZZY-manager"}}
				return s.SetStatus(ctx, north, status, now)
			},
			func() error {
				return s.Shelve(ctx, north, store.Camera, store.Shelf{Until: now.Add(time.Hour), Who: "XYZZY-guard", Reason: "XYZZY"}, now)
			},
			func() error {
				return s.AddCheck(ctx, store.Check{Gate: north, At: now, Who: "XYZZY-guard", Thermometer: "XYZZY", OK: true})
			},
			func() error { return s.SetKeepMonths(ctx, "plant", 7, by) },
			func() error {
				_, err := s.AddHold(ctx, store.Hold{Gate: mqtt.Gate{Site: "plant"}, Event: passes[2], Reason: "XYZZY"}, by, now)
				return err
			},
			func() error {
				return s.SetShiftPlan(ctx, store.ShiftPlan{Site: "plant", From: store.DayOf(now) - 3, Shifts: []store.Shift{{Name: "早班", Begin: 0, End: 24 * time.Hour, Expected: 90}}}, "", by)
			},
			func() error {
				_, sum, err := s.Record(ctx, passes[1])
				if err == nil {
					_, err = s.DeleteEvent(ctx, passes[1], sum, "XYZZY asked for it", by, now)
				}
				return err
			},
			func() error { return s.QueueShifts(ctx, now) },
		}
		for n, do := range fill {
			if err := do(); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
		}
		eventually(t, "empty outbox", empty(t, s))
		stop()
		all := taken(t, str)
		got := idsOf(all, EventKind)
		checkOnce(t, slices.DeleteFunc(slices.Clone(got), func(id string) bool { return id == passes[1] }),
			slices.DeleteFunc(slices.Concat(old, passes, alerts), func(id string) bool { return id == passes[1] }))
		clock := regexp.MustCompile(`T[0-9:.]+Z`) // may show seconds that are the same as what was read
		for _, m := range all {
			body := clock.ReplaceAll(m.body, nil)
			for _, secret := range []string{"XYZZY", "41.987", "41.99", "person", "unpaired", "two-reads"} {
				if bytes.Contains(body, []byte(secret)) || strings.Contains(m.id, secret) {
					t.Errorf("%s tells %q: %s", m.subject, secret, m.body)
				}
			}
		}
		last := func(kind Kind, to any) {
			t.Helper()
			for _, m := range slices.Backward(all) {
				if m.is(kind) {
					if err := json.Unmarshal(m.body, to); err != nil {
						t.Fatal(err)
					}
					return
				}
			}
			t.Errorf("there is no %s", kind)
		}
		var site Site
		if last(SiteKind, &site); site.KeepMonths != 7 || site.TimeZone != "UTC" || len(site.Plans) != 1 || site.Version != "test" {
			t.Errorf("the site is %+v", site)
		}
		south := slices.ContainsFunc(all, func(m received) bool {
			return m.is(StatusKind) && bytes.Contains(m.body, []byte(`"camera":"other"`)) && bytes.Contains(m.body, []byte(`"reference":"other"`))
		})
		if !south {
			t.Error("a camera and a reference source of which something is wrong that nobody knows are told to be well")
		}
		var status GateStatus
		if last(StatusKind, &status); status.Gate != "north" || status.Link != store.Online || status.Said == nil || !status.Said.Paused || status.Said.Camera != "ok" {
			t.Errorf("the status is %+v", status)
		}
		var deletion Deletion
		if last(DeletionKind, &deletion); deletion.Event != passes[1] {
			t.Errorf("the deletion is %+v", deletion)
		}
		var tally ShiftTally
		if last(ShiftKind, &tally); tally.Name != "早班" || tally.Expected != 90 || tally.To.Sub(tally.From) != 24*time.Hour {
			t.Errorf("the shift is %+v", tally)
		}
		var closed Alert
		for _, m := range all {
			if m.id == alerts[0]+".alert.3" {
				if err := json.Unmarshal(m.body, &closed); err != nil {
					t.Fatal(err)
				}
			}
		}
		if closed.State != store.Closed || closed.Outcome != mqtt.Confirmed || closed.Gate != "north" || closed.Taken == nil || closed.Read == nil || closed.Closed == nil {
			t.Errorf("the alert is %+v", closed)
		}
		for _, m := range all {
			if m.id == alerts[1] {
				var e event.Event
				if err := json.Unmarshal(m.body, &e); err != nil || e.ID != alerts[1] || e.Data.Outcome != event.Alert || *e.Data.BodyCelsius != 36.75 {
					t.Errorf("the event is %s, %v", m.body, err)
				}
			}
		}
	})
}

// TestAway has a district that is away while much happens, and then an alert while that is being sent.
func TestAway(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Store, c *natstest.Cluster) {
		const backlog = 10_000
		cfg := Config{Servers: c.URLs()}
		str := stream(t, connect(t, cfg, "district"), StreamConfig{Replicas: 1, MaxBytes: 64 << 20})
		p, _ := runPlant(t, s, cfg, testLog(t))
		eventually(t, "connection", func() bool { state, _ := p.State(); return state.Connected })
		if err := c.KillNode(0); err != nil {
			t.Fatal(err)
		}
		want := appendEvents(t, s, backlog, event.Pass)
		eventually(t, "lost connection", func() bool { state, _ := p.State(); return !state.Connected && state.LastError != "" })
		_, sum, err := s.Record(t.Context(), want[backlog/2])
		if err == nil {
			_, err = s.DeleteEvent(t.Context(), want[backlog/2], sum, "asked for", store.Author{Account: "li"}, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		want = slices.Delete(want, backlog/2, backlog/2+1)
		if err := c.StartNode(0); err != nil {
			t.Fatal(err)
		}
		watch := connect(t, cfg, "watch")
		heard := make(chan *nats.Msg, 10)
		if _, err := watch.ChanSubscribe(Subject("plant", AlertKind), heard); err != nil {
			t.Fatal(err)
		}
		if err := watch.Flush(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "first messages", func() bool { state, _ := p.State(); return state.Sent > 100 })
		began := time.Now()
		want = append(want, appendEvents(t, s, 1, event.Alert)...)
		<-heard
		waiting, err := s.OutgoingBySite(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("an alert took %v while %d messages waited", time.Since(began), waiting["plant"])
		if waiting["plant"] == 0 {
			t.Error("the backlog was gone before the alert came: this test shows nothing")
		}
		eventually(t, "empty outbox", empty(t, s))
		all := taken(t, str)
		checkOnce(t, idsOf(all, EventKind), want)
	})
}

// What tells the test's own program to be a console that is killed.
const (
	crashStore   = "THERMOGATE_TEST_CRASH_STORE"
	crashServers = "THERMOGATE_TEST_CRASH_SERVERS"
)

// crash stores events and tells the district until it is killed. Each event that is stored it prints.
func crash(file, servers string) error {
	cfg := store.DefaultConfig()
	cfg.File, cfg.PostgreSQL = file, os.Getenv(crashStore+"_POSTGRESQL")
	s, err := store.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	p, err := NewPlant(context.Background(), Config{Servers: strings.Split(servers, ",")}, "console", "test", s, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	go p.Run(context.Background())
	for {
		var batch []store.Event
		var ids strings.Builder
		for range 20 {
			e, err := newEvent(north, time.Now(), event.Pass)
			if err != nil {
				return err
			}
			batch = append(batch, e)
			ids.WriteString(e.ID + "\n")
		}
		if _, err := s.Append(context.Background(), batch); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString(ids.String()); err != nil {
			return err
		}
	}
}

// TestKilled kills consoles in the middle of what they do. What they had stored is in the stream once.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
	eachStore(t, func(t *testing.T, s *store.Store, c *natstest.Cluster) {
		s.Close()
		cfg := Config{Servers: c.URLs()}
		str := stream(t, connect(t, cfg, "district"), StreamConfig{Replicas: 1, MaxBytes: 256 << 20})
		kind := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		storeCfg := storeConfig(t, kind)
		out, err := os.Create(filepath.Join(t.TempDir(), "ids"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		for range 4 {
			console := exec.Command(os.Args[0])
			console.Env = append(os.Environ(), crashStore+"="+storeCfg.File, crashStore+"_POSTGRESQL="+storeCfg.PostgreSQL, crashServers+"="+c.URL(0))
			console.Stdout, console.Stderr = out, t.Output()
			console.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := console.Start(); err != nil {
				t.Fatal(err)
			}
			before := streamed(t, str)
			eventually(t, "message of a console", func() bool { return streamed(t, str) > before+500 })
			if err := console.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = console.Wait() // it was killed
		}
		s = openStore(t, storeCfg)
		runPlant(t, s, cfg, testLog(t))
		eventually(t, "empty outbox", empty(t, s))
		events, err := s.Events(t.Context(), store.Filter{}, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, e := range events {
			want = append(want, e.ID)
		}
		t.Logf("%d events", len(want))
		checkOnce(t, idsOf(taken(t, str), EventKind), want)
		printed, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range strings.Fields(string(printed)) {
			if !slices.Contains(want, id) {
				t.Fatalf("%s was stored and is not there", id)
			}
		}
	})
}

func TestStoppedDistrictIsForgotten(t *testing.T) {
	s := openStore(t, storeConfig(t, "SQLite"))
	if _, err := NewPlant(t.Context(), Config{Servers: []string{"nats://127.0.0.1:1"}}, "console", "test", s, testLog(t)); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, s, 5, event.Pass)
	p, err := NewPlant(t.Context(), Config{}, "console", "test", s, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, has := p.State(); has || !empty(t, s)() {
		t.Error("a plant without a district keeps what to tell it")
	}
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

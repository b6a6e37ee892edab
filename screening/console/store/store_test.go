package store

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/postgrestest"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var (
	quietLog = slog.New(slog.DiscardHandler)
	north    = mqtt.Gate{Site: "plant", Name: "north"}
	south    = mqtt.Gate{Site: "plant", Name: "south"}
	// morning is in a quarter of an hour that begins at 6:45 UTC.
	morning = time.Date(2026, 3, 2, 6, 55, 0, 0, time.UTC)
)

var server = sync.OnceValues(postgrestest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		s.Stop()
	}
	os.Exit(code)
}

// each runs a test on both kinds of store.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) { test(t, open(t, config(t, kind))) })
	}
}

func config(t testing.TB, kind string) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.File = filepath.Join(t.TempDir(), "console.db")
	if kind == "PostgreSQL" {
		s, err := server()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.PostgreSQL, err = s.Database(); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// maker makes events of a gate's journal.
type maker struct {
	t        testing.TB
	gate     mqtt.Gate
	journal  string
	sequence int64
	random   *rand.ChaCha8
}

func newMaker(t testing.TB, gate mqtt.Gate) *maker {
	var seed [32]byte
	copy(seed[:], gate.Site+"/"+gate.Name)
	random := rand.NewChaCha8(seed)
	return &maker{t: t, gate: gate, journal: ulid.MustNew(1, random).String(), random: random}
}

// event is the next one.
func (m *maker) event(at time.Time, outcome event.Outcome, reason event.Reason, change ...func(*event.Event)) Event {
	m.t.Helper()
	m.sequence++
	skin, body := 34.5, 36.8
	e := event.Event{
		SpecVersion: "1.0", ID: ulid.MustNew(uint64(max(at.UnixMilli(), 0)), m.random).String(), Source: event.Source(m.gate.Site, m.gate.Name),
		Type: "thermogate.screening." + string(outcome) + ".v1", Time: at, DataContentType: "application/json",
		Journal: m.journal, Sequence: strconv.FormatInt(m.sequence, 10),
		Data: event.Data{Outcome: outcome, Reason: reason, SkinCelsius: &skin, BodyCelsius: &body, Camera: "test", Version: "test"},
	}
	for _, change := range change {
		change(&e)
	}
	return received(m.t, m.gate, e, at.Add(time.Second))
}

func received(t testing.TB, gate mqtt.Gate, e event.Event, at time.Time) Event {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	read, err := NewEvent(gate, body, at)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func (m *maker) pass(at time.Time) Event  { return m.event(at, event.Pass, event.BelowThreshold) }
func (m *maker) alert(at time.Time) Event { return m.event(at, event.Alert, event.AboveThreshold) }

func again(of Event) func(*event.Event) {
	return func(e *event.Event) { e.Data.RescreenOf = of.ID }
}

func revising(of Event) func(*event.Event) {
	return func(e *event.Event) { e.Data.Revises = of.ID }
}

func add(t testing.TB, s *Store, events ...Event) Appended {
	t.Helper()
	done, err := s.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// peopleOf is the counts of a gate as text: "06:45 north pass below-threshold 2/3".
func peopleOf(t testing.TB, s *Store, gate mqtt.Gate) []string {
	t.Helper()
	counts, err := s.Quarters(t.Context(), morning.AddDate(-1, 0, 0), morning.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range counts {
		if c.Gate != gate {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s %d/%d", c.Quarter.Format("15:04"), c.Gate.Name, c.Outcome, c.Reason, c.People, c.Events))
	}
	return lines
}

func people(t testing.TB, s *Store) []string { return peopleOf(t, s, north) }

func TestOneConsoleAtATime(t *testing.T) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			cfg := config(t, kind)
			first := open(t, cfg)
			if second, err := Open(t.Context(), cfg, quietLog); err == nil {
				second.Close()
				t.Error("a second console opens the store of the first")
			}
			add(t, first, newMaker(t, north).pass(morning))
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			second := open(t, cfg)
			if got := people(t, second); len(got) != 1 {
				t.Errorf("after it was opened again the store has %q", got)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		ok     bool
	}{
		{"the default", func(*Config) {}, true},
		{"a server", func(c *Config) { c.PostgreSQL = "postgres://console@db.example/console" }, true},
		{"a password in the address", func(c *Config) { c.PostgreSQL = "postgres://console:secret@db.example/console" }, false},
		{"another database", func(c *Config) { c.PostgreSQL = "mysql://db.example/console" }, false},
		{"no time zone", func(c *Config) { c.TimeZone = "" }, false},
		{"a time zone that is none", func(c *Config) { c.TimeZone = "Beijing" }, false},
		{"a password for a file", func(c *Config) { c.PasswordFile = "secret" }, false},
		{"nothing kept", func(c *Config) { c.KeepMonths = 0 }, false},
		{"no picture kept", func(c *Config) { c.KeepSnapshotDays = 0 }, true},
		{"pictures kept for years", func(c *Config) { c.KeepSnapshotDays = 366 }, false},
	} {
		cfg := DefaultConfig()
		test.change(&cfg)
		if err := cfg.Validate(); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestWatch(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		news, stop := s.Watch()
		defer stop()
		add(t, s, newMaker(t, north).pass(morning))
		select {
		case <-news:
		case <-time.After(time.Minute):
			t.Error("nobody is told of an event")
		}
	})
}

func allEvents(ctx context.Context, t testing.TB, s *Store) map[string]Event {
	t.Helper()
	events, err := s.Events(ctx, Filter{}, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]Event{}
	for _, e := range events {
		byID[e.ID] = e
	}
	if len(byID) != len(events) {
		t.Error("an event is there twice")
	}
	return byID
}

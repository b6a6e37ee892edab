package sample

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestFill has the made-up days be such as a gate could have had: nothing missing, nothing open, some of everything.
func TestFill(t *testing.T) {
	cfg := store.DefaultConfig()
	cfg.File, cfg.TimeZone = filepath.Join(t.TempDir(), "console.db"), "Asia/Shanghai"
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	gate := mqtt.Gate{Site: "demo", Name: "gate-1"}
	until := time.Date(2026, 3, 14, 10, 30, 0, 0, time.UTC)
	const days = 30
	if err := Fill(t.Context(), s, gate, "test", until, days, 1); err != nil {
		t.Fatal(err)
	}
	from := until.AddDate(0, 0, -days-1)
	outcomes, people, of := map[event.Outcome]int{}, 0, map[string]int{}
	counts, err := s.Quarters(t.Context(), from, until.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		outcomes[c.Outcome] += int(c.People)
		people += int(c.People)
		of[c.Gate.Name] += int(c.People)
	}
	if len(of) != 5 || of["main"] < 2*of["gate-1"] || of["dock"] > of["gate-1"] {
		t.Errorf("people of gates: %v", of)
	}
	if people < 800*days || outcomes[event.Pass]*10 < people*8 || outcomes[event.Inconclusive] == 0 || outcomes[event.Alert] == 0 {
		t.Errorf("of %d people %v", people, outcomes)
	}
	events, err := s.Events(t.Context(), store.Filter{From: until, To: until.AddDate(0, 0, 1)}, 10)
	if err != nil || len(events) > 0 {
		t.Errorf("%d people come from the future, %v", len(events), err)
	}
	closed := map[mqtt.AlertOutcome]int{}
	alerts, err := s.Alerts(t.Context(), from, until)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts {
		closed[a.Outcome]++
		if a.State != store.Closed || a.ClosedAt.After(until) {
			t.Errorf("alert of %v is %s at %v", a.Time, a.State, a.ClosedAt)
		}
	}
	if closed[mqtt.Confirmed] == 0 || closed[mqtt.FalseAlert] == 0 || closed[mqtt.Gone] == 0 {
		t.Errorf("alerts became %v", closed)
	}
	held, err := s.Holdings(t.Context())
	if err != nil || len(held) != 5 {
		t.Errorf("held of the journals: %+v, %v", held, err)
	}
	for _, h := range held {
		if len(h.Gaps(0)) > 0 || h.Through() < int64(of[h.Gate.Name]) {
			t.Errorf("held of a journal: %+v", h)
		}
	}
	checks, err := s.Checks(t.Context(), from, until)
	if err != nil || len(checks) < 5*days*8/10 || len(checks) > 5*days {
		t.Errorf("%d checks, %v", len(checks), err)
	}
	faults, err := s.Faults(t.Context(), until)
	if err != nil || len(faults) > 0 {
		t.Errorf("gates of the past are faulty: %+v, %v", faults, err)
	}
	spots := map[event.Outcome]int{}
	pairs, err := s.Pairs(t.Context(), store.Filter{Site: "demo", From: from, To: until}, store.Ear, 10_000)
	for _, p := range pairs {
		spots[p.Screening.Data.Outcome]++
	}
	if err != nil || spots[event.Pass] < 300 || spots[event.Alert] < 100 {
		t.Errorf("read were %v, %v", spots, err)
	}
	settings, err := s.Settings(t.Context(), mqtt.Gate{Site: "demo", Name: "office"}, 3)
	changed := 0
	for _, one := range settings {
		if one.Name == "policy.threshold_celsius" {
			changed++
		}
	}
	if err != nil || changed != 2 {
		t.Errorf("the threshold had %d values, %v: %+v", changed, err, settings)
	}
}

// TestFillPeople has the pages about people of a newcomer show something, of which all is made up.
func TestFillPeople(t *testing.T) {
	cfg := store.DefaultConfig()
	cfg.File = filepath.Join(t.TempDir(), "console.db")
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	until := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) // a Thursday: on a Sunday few of those on the list come
	if err := Fill(t.Context(), s, mqtt.Gate{Site: "demo", Name: "gate-1"}, "test", until, 4, 1); err != nil {
		t.Fatal(err)
	}
	if err := FillPeople(t.Context(), s, "demo", until, 1); err != nil {
		t.Fatal(err)
	}
	people, err := s.People(t.Context(), store.PeopleFilter{Site: "demo"}, until, -1)
	if err != nil || len(people) < 800 {
		t.Fatalf("%d people, %v", len(people), err)
	}
	for _, p := range people {
		if !strings.Contains(p.Name, "编造") || !strings.HasPrefix(p.Number, "DEMO-") {
			t.Errorf("%+v does not say that it is made up", p)
		}
	}
	day := store.DayOf(until.UTC())
	shifts, err := s.Shifts(t.Context(), "demo", day-1, day-1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Coverage(t.Context(), shifts[0], until)
	if err != nil || c.Share() < 0.85 || c.Share() == 1 || c.All().Unpaired() == 0 || c.All().Unpaired() > 0.1 || len(c.Gates) != 5 {
		t.Errorf("%d of %d screened, %+v, %v", c.Screened(), len(c.People), c.Gates, err)
	}
}

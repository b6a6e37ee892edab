package sample

import (
	"log/slog"
	"path/filepath"
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
	outcomes, people := map[event.Outcome]int{}, 0
	counts, err := s.Quarters(t.Context(), from, until.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		outcomes[c.Outcome] += int(c.People)
		people += int(c.People)
	}
	if people < 90*days*2 || outcomes[event.Pass]*10 < people*8 || outcomes[event.Inconclusive] == 0 || outcomes[event.Alert] == 0 {
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
	if err != nil || len(held) != 1 || len(held[0].Missing()) > 0 || held[0].Through() != int64(people) {
		t.Errorf("held of the journal: %+v, %v", held, err)
	}
	checks, err := s.Checks(t.Context(), from, until)
	if err != nil || len(checks) < days*8/10 || len(checks) > days {
		t.Errorf("%d checks, %v", len(checks), err)
	}
}

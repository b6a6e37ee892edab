package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var admin = Author{Account: "admin"}

func ids(t *testing.T, s *Store) (all []string) {
	t.Helper()
	events, err := s.Events(t.Context(), Filter{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		all = append(all, e.ID)
	}
	slices.Sort(all)
	return all
}

// TestRetentionOfSites has two sites keep events for different times, and holds of every kind.
func TestRetentionOfSites(t *testing.T) {
	other := mqtt.Gate{Site: "works", Name: "dock"}
	each(t, func(t *testing.T, s *Store) {
		n, so, w := newMaker(t, north), newMaker(t, south), newMaker(t, other)
		at := func(months int) time.Time { return morning.AddDate(0, -months, 0) }
		old, recent := n.pass(at(7)), n.pass(at(1))
		beside, elsewhere, one := so.pass(at(7)), w.pass(at(7)), n.pass(at(8))
		span := n.pass(at(10))
		ancient := w.pass(at(30))
		add(t, s, old, recent, beside, elsewhere, one, span, ancient)
		if err := s.SetKeepMonths(t.Context(), "plant", 3, admin); err != nil {
			t.Fatal(err)
		}
		if !s.Due() || s.Due() {
			t.Error("it waits for its time, or is due again")
		}
		if count, more, err := s.CountOlder(t.Context(), "plant", 3, morning); err != nil || count != 4 || more {
			t.Errorf("%d events are to go, %v", count, err)
		}
		var holds []string
		for _, h := range []Hold{
			{Gate: south, Reason: "inquiry"}, {Gate: north, Event: one.ID, Reason: "a complaint"}, {From: at(10).Add(-time.Hour), To: at(10).Add(time.Hour), Reason: "a court"},
		} {
			id, err := s.AddHold(t.Context(), h, admin, morning)
			if err != nil {
				t.Fatal(err)
			}
			holds = append(holds, id)
		}
		retire := func(want ...Event) {
			t.Helper()
			if _, err := s.Retire(t.Context(), morning); err != nil {
				t.Fatal(err)
			}
			var wanted []string
			for _, e := range want {
				wanted = append(wanted, e.ID)
			}
			slices.Sort(wanted)
			if got := ids(t, s); !slices.Equal(got, wanted) {
				t.Errorf("%d events are left, want %d", len(got), len(wanted))
			}
		}
		retire(recent, beside, elsewhere, one, span)
		for i, want := range [][]Event{{recent, elsewhere, one, span}, {recent, elsewhere, span}, {recent, elsewhere}} {
			if err := s.EndHold(t.Context(), holds[i], "closed", admin, morning); err != nil {
				t.Fatal(err)
			}
			retire(want...)
		}
		if err := s.EndHold(t.Context(), holds[0], "again", admin, morning); err == nil {
			t.Error("a hold ends twice")
		}
		if days, err := s.Days(t.Context(), DayOf(at(8)), DayOf(at(8))); err != nil || len(days) != 1 || days[0].People != 1 {
			t.Errorf("whose event was deleted is counted as %+v, %v", days, err)
		}
		deeds := map[Deed]int{}
		lines, err := s.Audit(t.Context(), AuditFilter{}, 100)
		for _, l := range lines {
			deeds[l.What]++
		}
		if err != nil || deeds[ChangedRetention] != 1 || deeds[Held] != 3 || deeds[EndedHold] != 3 || deeds[Retired] < 4 {
			t.Errorf("the audit has %v, %v", deeds, err)
		}
	})
}

// read has a guard see to an alert.
func read(t *testing.T, s *Store, id string, celsius float64, at time.Time) {
	t.Helper()
	_, err := s.Take(t.Context(), id, 0, "李娜", at)
	if err == nil {
		_, err = s.AddReading(t.Context(), id, 1, "李娜", Reading{Celsius: celsius, Unit: "°C", Place: Ear, Thermometer: "T-17"}, at)
	}
	if err == nil {
		_, err = s.CloseAlert(t.Context(), id, 2, "李娜", mqtt.FalseAlert, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestReadingsGoWithEvents forgets what a thermometer said together with the event.
func TestReadingsGoWithEvents(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		old := m.event(morning.AddDate(-3, 0, 0), event.Alert, event.AboveThreshold)
		old.Received = old.Time.Add(time.Second)
		add(t, s, old)
		read(t, s, old.ID, 36.94, old.Time)
		if _, err := s.Retire(t.Context(), morning); err != nil {
			t.Fatal(err)
		}
		a, changes, err := s.Alert(t.Context(), old.ID)
		if err != nil || a.ReadCelsius != nil || a.ReadAt.IsZero() || a.Outcome != mqtt.FalseAlert || len(changes) != 3 || !changes[1].Reading.NotKept {
			t.Errorf("%+v, %+v, %v", a, changes, err)
		}
	})
}

// holds tells whether a file has a number in it, as text or as SQLite stores it.
func holds(t *testing.T, file string, numbers map[string]float64) (found []string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(file + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for text, number := range numbers {
			if bytes.Contains(data, []byte(text)) || bytes.Contains(data, binary.BigEndian.AppendUint64(nil, math.Float64bits(number))) {
				found = append(found, text+suffix)
			}
		}
	}
	return found
}

var secrets = map[string]float64{"34.567": 34.567, "37.891": 37.891, "36.943": 36.943, "37.123": 37.123, "12.345": 12.345}

func secretAlert(m *maker, at time.Time) Event {
	return m.event(at, event.Alert, event.AboveThreshold, func(e *event.Event) {
		skin, body, threshold := 34.567, 37.891, 37.123
		e.Data.SkinCelsius, e.Data.BodyCelsius, e.Data.ThresholdCelsius = &skin, &body, &threshold
		e.Data.BaselineCelsius = &threshold
		e.Data.Face = &event.Box{X: 12.345, Y: 1, W: 2, H: 3}
	})
}

// TestOutcomeOnly has a site that keeps outcomes only: from the beginning, and from some day on.
func TestOutcomeOnly(t *testing.T) {
	for _, late := range []bool{false, true} {
		each(t, func(t *testing.T, s *Store) {
			m := newMaker(t, north)
			only := func() {
				if err := s.SetOutcomeOnly(t.Context(), "plant", true, admin); err != nil {
					t.Fatal(err)
				}
			}
			if !late {
				only()
			}
			e, held := secretAlert(m, morning), m.pass(morning.Add(-time.Hour))
			add(t, s, e, held)
			if err := s.AddSnapshots(t.Context(), []Snapshot{{Gate: north, Event: e.ID, PNG: []byte("a face"), Received: morning}}); err != nil {
				t.Fatal(err)
			}
			read(t, s, e.ID, 36.943, morning)
			if late {
				if found := holds(t, s.cfg.File, secrets); len(found) == 0 && !s.postgres {
					t.Error("this test can't tell")
				}
				if _, err := s.AddHold(t.Context(), Hold{Gate: north, Event: held.ID, Reason: "a court"}, admin, morning); err != nil {
					t.Fatal(err)
				}
				only()
			}
			if _, err := s.Retire(t.Context(), morning); err != nil {
				t.Fatal(err)
			}
			if found := holds(t, s.cfg.File, secrets); !s.postgres && len(found) > 0 {
				t.Errorf("the store still has %v", found)
			}
			kept, err := s.Event(t.Context(), e.ID)
			if err != nil || !kept.Data.OutcomeOnly || kept.Data.SkinCelsius != nil || kept.Data.Face != nil || kept.Data.Outcome != event.Alert || kept.Data.Reason != event.AboveThreshold {
				t.Errorf("kept is %+v, %v", kept.Data, err)
			}
			if rows, err := s.Events(t.Context(), Filter{Skin: Range{Least: new(float64)}}, 10); err != nil || len(rows) != 0 && (!late || rows[0].ID != held.ID) {
				t.Errorf("%d have a temperature, %v", len(rows), err)
			}
			a, changes, err := s.Alert(t.Context(), e.ID)
			if err != nil || a.ReadCelsius != nil || len(changes) != 3 || changes[1].Reading == nil || !changes[1].Reading.NotKept || a.Outcome != mqtt.FalseAlert {
				t.Errorf("%+v, %+v, %v", a, changes, err)
			}
			if _, err := s.Snapshot(t.Context(), a); !errors.Is(err, ErrNoSnapshot) {
				t.Errorf("its picture: %v", err)
			}
			yes := true
			if rows, err := s.Events(t.Context(), Filter{Read: &yes}, 10); err != nil || len(rows) != 1 {
				t.Errorf("%d were read, %v", len(rows), err)
			}
			if !late {
				return
			}
			if kept, err = s.Event(t.Context(), held.ID); err != nil || kept.Data.SkinCelsius == nil {
				t.Errorf("what is held was stripped: %v", err)
			}
			all, err := s.Holds(t.Context())
			if err == nil {
				err = s.EndHold(t.Context(), all[0].ID, "over", admin, morning)
			}
			if err == nil {
				_, err = s.Retire(t.Context(), morning)
			}
			if kept, readErr := s.Event(t.Context(), held.ID); err != nil || readErr != nil || kept.Data.SkinCelsius != nil {
				t.Errorf("what was held is not stripped: %v, %v", err, readErr)
			}
		})
	}
}

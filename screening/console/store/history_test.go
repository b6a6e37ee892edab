package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

func warm(skin, body float64) func(*event.Event) {
	return func(e *event.Event) { e.Data.SkinCelsius, e.Data.BodyCelsius = &skin, &body }
}

// TestHistory asks for events and alerts by everything that the history is filtered by.
func TestHistory(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		n, o := newMaker(t, north), newMaker(t, south)
		minute := func(i int) time.Time { return morning.Add(time.Duration(i) * time.Minute) }
		names := map[string]string{}
		put := func(name string, e Event) Event { names[e.ID] = name; add(t, s, e); return e }
		put("pass", n.pass(minute(0)))
		put("moving", o.event(minute(1), event.Inconclusive, event.Moving))
		fever := put("fever", n.event(minute(2), event.Alert, event.AboveThreshold, warm(36.5, 38.4)))
		put("waits", n.event(minute(3), event.Inconclusive, event.SecondReading, again(fever)))
		wrong := put("wrong", o.event(minute(4), event.Alert, event.AboveGroup, warm(35.9, 37.6)))
		gone := put("gone", o.alert(minute(5)))
		put("new", n.alert(minute(6)))
		for _, one := range []struct {
			e       Event
			celsius float64
			outcome mqtt.AlertOutcome
		}{{fever, 38.2, mqtt.Confirmed}, {wrong, 36.7, mqtt.FalseAlert}, {gone, 0, mqtt.Gone}} {
			version := int64(1)
			if _, err := s.Take(t.Context(), one.e.ID, 0, "Li Na", minute(7)); err != nil {
				t.Fatal(err)
			}
			if one.celsius > 0 {
				for range 2 { // the second of them counts
					if _, err := s.AddReading(t.Context(), one.e.ID, version, "Li Na", Reading{Celsius: one.celsius, Unit: "°C", Place: Mouth}, minute(8)); err != nil {
						t.Fatal(err)
					}
					version++
				}
			}
			if _, err := s.CloseAlert(t.Context(), one.e.ID, version, "Li Na", one.outcome, minute(9)); err != nil {
				t.Fatal(err)
			}
		}
		number := func(v float64) *float64 { return &v }
		yes, no := true, false
		for _, test := range []struct {
			name string
			f    Filter
			want string
		}{
			{"everything", Filter{}, "new gone wrong waits fever moving pass"},
			{"a gate", Filter{Site: "plant", Gate: "north"}, "new waits fever pass"},
			{"a time", Filter{From: minute(2), To: minute(4)}, "waits fever"},
			{"an outcome", Filter{Outcome: event.Inconclusive}, "waits moving"},
			{"a reason at a gate", Filter{Site: "plant", Gate: "south", Reason: event.AboveGroup}, "wrong"},
			{"skin", Filter{Skin: Range{Least: number(35.9)}}, "wrong fever"},
			{"body", Filter{Body: Range{number(37.5), number(38)}}, "wrong"},
			{"open", Filter{Alert: OpenAlert}, "new"},
			{"new", Filter{Alert: string(New)}, "new"},
			{"confirmed", Filter{Alert: string(mqtt.Confirmed)}, "fever"},
			{"gone at a gate", Filter{Alert: string(mqtt.Gone), Site: "plant", Gate: "south"}, "gone"},
			{"gone at another", Filter{Alert: string(mqtt.Gone), Site: "plant", Gate: "north"}, ""},
			{"read", Filter{Read: &yes}, "wrong fever"},
			{"not read", Filter{Read: &no}, "new gone"},
			{"reading", Filter{Reading: Range{Least: number(37.3)}}, "fever"},
			{"reading and body", Filter{Reading: Range{Most: number(37.3)}, Body: Range{Least: number(38)}}, ""},
			{"read in a time", Filter{Read: &yes, From: minute(3)}, "wrong"},
			{"after a page", Filter{Before: gone.ID}, "wrong waits fever moving pass"},
			{"read after a page", Filter{Read: &yes, Before: wrong.ID}, "fever"},
		} {
			var got []string
			rows, err := s.History(t.Context(), test.f, 20)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				got = append(got, names[row.ID])
				wantAlert := map[string]string{"fever": "confirmed", "waits": "confirmed", "wrong": "false", "gone": "gone", "new": "new"}[names[row.ID]]
				if is := ""; row.Alert != nil {
					if is = string(row.Alert.Outcome); is == "" {
						is = string(row.Alert.State)
					}
					if is != wantAlert {
						t.Errorf("%s: the alert of %s is %q, want %q", test.name, names[row.ID], is, wantAlert)
					}
				} else if wantAlert != "" {
					t.Errorf("%s: %s has no alert", test.name, names[row.ID])
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s: %s, want %s", test.name, got, test.want)
			}
			all := 0
			if err := s.All(t.Context(), test.f, func(Row) error { all++; return nil }); err != nil || all != len(rows) {
				t.Errorf("%s: all are %d, %v", test.name, all, err)
			}
			for _, than := range []int{len(rows) - 1, len(rows)} {
				if more, err := s.More(t.Context(), test.f, than); err != nil || more != (than < len(rows)) {
					t.Errorf("%s: more than %d is %v, %v", test.name, than, more, err)
				}
			}
		}
		for place, want := range map[string]string{"": "wrong 36.7 fever 38.2", Mouth: "wrong 36.7 fever 38.2", Ear: ""} {
			pairs, err := s.Pairs(t.Context(), Filter{}, place, 10)
			var got []string
			for _, p := range pairs {
				got = append(got, fmt.Sprintf("%s %.1f", names[p.Screening.ID], p.Reading.Celsius))
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("pairs of place %q: %s, %v; want %s", place, got, err, want)
			}
		}
	})
}

// TestPeople has the history give one event of each visit, whatever order they come in: as many as are counted.
func TestPeople(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		dice := rand.New(rand.NewPCG(3, 0))
		makers := []*maker{newMaker(t, north), newMaker(t, south)}
		reasons := []event.Reason{event.Moving, event.Left, event.SecondReading}
		var all []Event
		for n := range 400 {
			m, at := makers[n%2], morning.Add(time.Duration(n)*20*time.Second)
			change := []func(*event.Event){}
			if n > 10 && n%3 == 0 {
				of := all[n-2*(1+dice.IntN(4))]
				change = append(change, []func(*event.Event){again(of), revising(of)}[dice.IntN(2)])
				at = at.Add(time.Duration(dice.IntN(240)-60) * time.Second)
			}
			switch dice.IntN(4) {
			case 0:
				all = append(all, m.event(at, event.Alert, event.AboveThreshold, change...))
			case 1:
				all = append(all, m.event(at, event.Inconclusive, reasons[dice.IntN(3)], change...))
			default:
				all = append(all, m.event(at, event.Pass, event.BelowThreshold, change...))
			}
		}
		shuffled := slices.Clone(all)
		dice.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for some := range slices.Chunk(shuffled, 37) {
			add(t, s, some...)
		}
		for quarter := range 12 {
			from := morning.Truncate(15 * time.Minute).Add(time.Duration(quarter-1) * 15 * time.Minute)
			counts, err := s.Quarters(t.Context(), from, from.Add(15*time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			people := int64(0)
			for _, c := range counts {
				f := Filter{People: true, From: from, To: from.Add(15 * time.Minute), Site: c.Gate.Site, Gate: c.Gate.Name, Outcome: c.Outcome, Reason: c.Reason}
				rows, err := s.History(t.Context(), f, 1000)
				if err != nil || int64(len(rows)) != c.People {
					t.Errorf("%v %s %s %s: %d rows of %d people, %v", from, c.Gate.Name, c.Outcome, c.Reason, len(rows), c.People, err)
				}
				people += c.People
			}
			f := Filter{People: true, From: from, To: from.Add(15 * time.Minute)}
			all, again := map[string]int{}, 0
			if err := s.All(t.Context(), f, func(row Row) error { all[row.Visit]++; return nil }); err != nil || int64(len(all)) != people {
				t.Errorf("%v: %d rows of %d people, %v", from, len(all), people, err)
			}
			for visit := range all {
				for _, gate := range []mqtt.Gate{north, south} {
					events, err := s.Visit(t.Context(), gate, visit)
					events = slices.DeleteFunc(events, func(e Event) bool { return e.Data.Reason == event.SecondReading })
					if err != nil || len(events) > 1 {
						again++
					}
				}
			}
			f.Again = true
			if rows, err := s.History(t.Context(), f, 1000); err != nil || len(rows) != again {
				t.Errorf("%v: %d rows of %d people who were screened again, %v", from, len(rows), again, err)
			}
		}
	})
}

// TestHistoryOfManyPages reads a history that takes more than one step, and loses or repeats nothing.
func TestHistoryOfManyPages(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		var events []Event
		for n := range 2*historyStep + 7 {
			events = append(events, m.pass(morning.Add(time.Duration(n/3)*time.Second)))
		}
		add(t, s, events...)
		last, n := "", 0
		err := s.All(t.Context(), Filter{}, func(row Row) error {
			if n++; last != "" && row.ID >= last {
				t.Fatalf("%s comes after %s", row.ID, last)
			}
			last = row.ID
			return nil
		})
		if err != nil || n != len(events) {
			t.Errorf("%d of %d, %v", n, len(events), err)
		}
	})
}

// TestHistoryPlan has SQLite read no event that a filter does not let through.
func TestHistoryPlan(t *testing.T) {
	s := open(t, config(t, "SQLite"))
	number := 38.0
	for _, f := range []Filter{
		{}, {Outcome: event.Alert}, {Reason: event.Moving}, {Body: Range{Least: &number}}, {Skin: Range{Most: &number}, Outcome: event.Pass},
		{Outcome: event.Alert, From: morning}, {Site: "plant", Outcome: event.Alert},
	} {
		if text := strings.Join(planOf(t, s, f), "; "); !strings.Contains(text, "COVERING INDEX") || strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%+v: %s", f, text)
		}
	}
	for _, f := range []Filter{
		{People: true}, {People: true, Again: true, Site: "plant", Gate: "north", From: morning, To: morning.Add(time.Hour)},
		{People: true, Outcome: event.Alert, Alert: OpenAlert, From: morning, To: morning.Add(time.Hour)},
	} {
		for _, step := range planOf(t, s, f) {
			if strings.Contains(step, "SEARCH other") && strings.Contains(step, "site=") || strings.Contains(step, "SCAN other") {
				t.Errorf("%+v looks through all events for those of a visit: %s", f, step)
			}
		}
	}
}

// planOf is how SQLite goes about a filter.
func planOf(t *testing.T, s *Store, f Filter) (steps []string) {
	t.Helper()
	query, args := f.ids()
	plan, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query+" ORDER BY "+f.order()+" DESC LIMIT 50", args...)
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	for plan.Next() {
		var id, parent, unused int
		var step string
		if err := plan.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

// TestSettings has a gate whose settings change, with events that come late.
func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		at := func(minute int, policy string, threshold float64) Event {
			return m.event(morning.Add(time.Duration(minute)*time.Minute), event.Pass, event.BelowThreshold, func(e *event.Event) {
				offset := 1.38
				e.Data.Policy, e.Data.ThresholdCelsius, e.Data.SkinSite, e.Data.OffsetCelsius = policy, &threshold, event.InnerCanthus, &offset
			})
		}
		late := at(20, "offset", 37.3)
		add(t, s, at(0, "both", 36.9), at(1, "both", 37.1))
		add(t, s, at(10, "offset", 37.5), at(11, "offset", 37.5))
		add(t, s, at(30, "offset", 37.3))
		add(t, s, late, m.event(morning.Add(40*time.Minute), event.Inconclusive, event.Left, func(e *event.Event) { e.Data.Policy = "offset" }))
		add(t, s, at(5, "both", 37.2)) // comes late and tells nothing
		add(t, s, m.event(morning.Add(50*time.Minute), event.Pass, event.BelowThreshold, func(e *event.Event) {
			e.Data.Camera, e.Data.Version = "a NUL\x00", strings.Repeat("x", maxNote+1) // which no database holds, or nobody wants
		}))
		add(t, s, newMaker(t, south).pass(morning))
		settings, err := s.Settings(t.Context(), north, 20)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range settings {
			until := "now"
			if !one.Until.IsZero() {
				until = one.Until.Format("15:04")
			}
			got = append(got, fmt.Sprintf("%s %s %s-%s", one.Name, one.Value, one.Since.Format("15:04"), until))
		}
		want := []string{
			"threshold 37.30 °C 07:15-now", "policy offset 07:05-now", "threshold 37.50 °C 07:05-07:15",
			"camera test 06:55-now", "offset inner-canthus 1.38 °C 06:55-now", "policy both 06:55-07:05", "version test 06:55-now",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for n := range 50 { // a setting that changes with each event hides no other
			add(t, s, m.event(morning.Add(time.Hour+time.Duration(n)*time.Second), event.Inconclusive, event.Left, func(e *event.Event) {
				e.Data.Version = strconv.Itoa(n)
			}))
		}
		settings, err = s.Settings(t.Context(), north, 2)
		if err != nil || len(settings) != 8 || settings[0].Value != "49" || settings[1].Value != "48" {
			t.Errorf("%+v, %v", settings, err)
		}
	})
}

// TestToldSettings has a status tell settings, which events do not contradict, and a gate that changes them without end.
func TestToldSettings(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		threshold := 37.5
		judged := func(minute int) Event {
			return m.event(morning.Add(time.Duration(minute)*time.Minute), event.Pass, event.BelowThreshold, func(e *event.Event) {
				e.Data.Policy, e.Data.ThresholdCelsius = "offset", &threshold
			})
		}
		tell := func(minute int, values map[string]string) {
			t.Helper()
			at := morning.Add(time.Duration(minute) * time.Minute)
			if err := s.SetSettings(t.Context(), north, mqtt.Settings{Hash: fmt.Sprint(minute), Written: at, Values: values}, at); err != nil {
				t.Fatal(err)
			}
		}
		inForce := func() string {
			t.Helper()
			all, err := s.SettingsInForce(t.Context(), north.Site)
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, one := range all {
				text = append(text, fmt.Sprintf("%s=%s@%s", one.Name, one.Value, one.Since.Format("15:04")))
			}
			return strings.Join(text, " ")
		}
		add(t, s, judged(0))
		tell(1, map[string]string{"policy.kind": "both", "door.output": "gpio"})
		threshold = 37.1 // of the group, say
		add(t, s, judged(2))
		tell(3, map[string]string{"policy.kind": "both"})
		const want = "camera=test@06:55 door.output=@06:58 hash=3@06:58 policy=offset@06:55 policy.kind=both@06:56 threshold=37.50 °C@06:55 version=test@06:55"
		if got := inForce(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for n := range 120 {
			values := map[string]string{"policy.kind": fmt.Sprint(n)}
			for k := range maxSettings - 1 {
				if n%40 == 0 {
					values[fmt.Sprint("x", n, ".", k)] = "1"
				}
			}
			tell(10+n, values)
		}
		var rows int
		if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM settings_seen WHERE name = 'policy.kind'").Scan(&rows); err != nil || rows != maxSettingChanges {
			t.Errorf("%d values of one name are kept, %v", rows, err)
		}
		if err := s.read.QueryRowContext(t.Context(), "SELECT count(DISTINCT name) FROM settings_seen").Scan(&rows); err != nil || rows > 2*maxSettings+10 {
			t.Errorf("%d names are kept, %v", rows, err)
		}
		if err := s.SetSettings(t.Context(), north, mqtt.Settings{Values: map[string]string{"a\x00": "b"}}, morning); err == nil {
			t.Error("what no database holds is taken")
		}
	})
}

// TestFusedOffsets has each person's own offset not be taken for a setting.
func TestFusedOffsets(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		for n := range 20 {
			add(t, s, m.event(morning.Add(time.Duration(n)*time.Minute), event.Pass, event.BelowThreshold, func(e *event.Event) {
				offset := 1.3 + float64(n)/100
				e.Data.Policy, e.Data.SkinSite, e.Data.OffsetCelsius = "fused", event.InnerCanthus, &offset
			}))
		}
		settings, err := s.Settings(t.Context(), north, 20)
		if err != nil || len(settings) != 3 {
			t.Errorf("%+v, %v", settings, err)
		}
	})
}

// TestOutOfUse has a gate that nobody expects anything from, until something comes.
func TestOutOfUse(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		status := mqtt.StatusMessage{State: Online, Status: mqtt.Status{Camera: string(event.CameraLost)}}
		for n, want := range []int{1, 0, 1} {
			at := morning.Add(time.Duration(n) * time.Minute)
			var err error
			if n == 1 {
				err = s.PutOutOfUse(t.Context(), north, at)
			} else {
				err = s.SetStatus(t.Context(), north, status, at)
			}
			faults, readErr := s.Faults(t.Context(), at)
			if err != nil || readErr != nil || len(faults) != want {
				t.Errorf("%d: %+v, %v, %v", n, faults, err, readErr)
			}
		}
	})
}

package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

func TestAppendTwice(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		first, second, third := m.pass(morning), m.alert(morning.Add(time.Minute)), m.pass(morning.Add(20*time.Minute))
		if done := add(t, s, first, second, first); done.New != 2 {
			t.Errorf("%d events are new, want 2", done.New)
		}
		if done := add(t, s, second, third); done.New != 1 || done.Holdings[0].Through() != 3 {
			t.Errorf("%+v after one more", done)
		}
		want := []string{"06:45 north alert above-threshold 1/1", "06:45 north pass below-threshold 1/1", "07:15 north pass below-threshold 1/1"}
		if diff := cmp.Diff(want, people(t, s)); diff != "" {
			t.Error(diff)
		}
		got, err := s.Event(t.Context(), second.ID)
		if err != nil || string(got.Body) != string(second.Body) || got.Gate != north {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestVisits has what belongs to one person come in every order, one by one and together: it always counts the same.
func TestVisits(t *testing.T) {
	for _, test := range []struct {
		name  string
		visit func(*maker) []Event
		want  []string
	}{
		{"a second look", func(m *maker) []Event {
			first := m.event(morning, event.Inconclusive, event.TurnedAway)
			return []Event{first, m.event(morning.Add(time.Minute), event.Pass, event.BelowThreshold, again(first))}
		}, []string{"06:45 north inconclusive turned-away 0/1", "06:45 north pass below-threshold 1/1"}},
		{"a third look, in the next quarter", func(m *maker) []Event {
			first := m.event(morning, event.Inconclusive, event.TurnedAway)
			second := m.event(morning.Add(4*time.Minute), event.Inconclusive, event.Moving, again(first))
			return []Event{first, second, m.event(morning.Add(6*time.Minute), event.Pass, event.BelowThreshold, again(second))}
		}, []string{"06:45 north inconclusive moving 0/1", "06:45 north inconclusive turned-away 0/1", "06:45 north pass below-threshold 1/0", "07:00 north pass below-threshold 0/1"}},
		{"a pass that becomes an alert and waits", func(m *maker) []Event {
			first := m.pass(morning)
			second := m.event(morning.Add(time.Second), event.Alert, event.AboveThreshold, revising(first))
			return []Event{first, second, m.event(morning.Add(time.Minute), event.Inconclusive, event.SecondReading, again(second))}
		}, []string{"06:45 north alert above-threshold 1/1", "06:45 north inconclusive second-reading 0/1", "06:45 north pass below-threshold 0/1"}},
		{"two people", func(m *maker) []Event {
			first, other := m.pass(morning), m.pass(morning.Add(time.Second))
			return []Event{first, other, m.event(morning.Add(time.Minute), event.Alert, event.AboveThreshold, revising(other))}
		}, []string{"06:45 north alert above-threshold 1/1", "06:45 north pass below-threshold 1/2"}},
		{"a clock that was set back", func(m *maker) []Event {
			first := m.event(morning, event.Inconclusive, event.TurnedAway)
			return []Event{first, m.event(morning.Add(-time.Hour), event.Pass, event.BelowThreshold, again(first))}
		}, []string{"05:45 north inconclusive turned-away 1/0", "05:45 north pass below-threshold 0/1", "06:45 north inconclusive turned-away 0/1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store) {
				for i, order := range append(orders(len(test.visit(newMaker(t, north)))), nil) {
					gate := mqtt.Gate{Site: fmt.Sprint("plant-", i), Name: "north"}
					events := test.visit(newMaker(t, gate))
					for _, i := range order {
						add(t, s, events[i])
					}
					add(t, s, events...) // all together where there is no order
					if diff := cmp.Diff(test.want, peopleOf(t, s, gate)); diff != "" {
						t.Errorf("order %v: %s", order, diff)
					}
					last, err := s.Event(t.Context(), events[len(events)-1].ID)
					if err != nil {
						t.Fatal(err)
					}
					if visit, err := s.Visit(t.Context(), gate, last.Visit); err != nil || len(visit) < 2 {
						t.Errorf("order %v: the visit has %d events, %v", order, len(visit), err)
					}
				}
			})
		})
	}
}

// TestAnotherGatesVisit has a gate speak of another gate's events, before and after these come: it changes nothing there, and
// its own alert is its own.
func TestAnotherGatesVisit(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m, forger := newMaker(t, north), newMaker(t, south)
		early, late := m.alert(morning), m.alert(morning.Add(time.Second))
		pass := func(of Event) Event {
			return forger.event(morning.Add(time.Minute), event.Pass, event.BelowThreshold, revising(of))
		}
		add(t, s, early, pass(late))
		add(t, s, late, pass(early), forger.event(morning.Add(2*time.Minute), event.Alert, event.AboveThreshold, again(early)))
		if diff := cmp.Diff([]string{"06:45 north alert above-threshold 2/2"}, people(t, s)); diff != "" {
			t.Error(diff)
		}
		alerts, err := s.OpenAlerts(t.Context())
		if err != nil || len(alerts) != 3 || alerts[0].Gate != south || alerts[0].Times != 1 || alerts[2].Latest != early.ID {
			t.Errorf("%+v, %v", alerts, err)
		}
		if visit, err := s.Visit(t.Context(), north, early.ID); err != nil || len(visit) != 1 {
			t.Errorf("%d events are of the visit, %v", len(visit), err)
		}
	})
}

func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, order := range orders(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(order), at, n-1))
		}
	}
	return all
}

// TestHoldings compares what the store holds with a plain list, over events that come in any order, again and with gaps.
func TestHoldings(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		random := rand.New(rand.NewPCG(1, 2))
		m := newMaker(t, north)
		var all []Event
		for n := range 200 {
			all = append(all, m.pass(morning.Add(time.Duration(n)*time.Second)))
		}
		held := map[int64]bool{}
		for range 60 {
			var batch []Event
			for range random.IntN(8) {
				e := all[random.IntN(len(all))]
				batch = append(batch, e)
				held[e.sequence] = true
			}
			done := add(t, s, batch...)
			for _, h := range done.Holdings {
				checkHolding(t, h, held)
			}
		}
		holdings, err := s.Holdings(t.Context())
		if err != nil || len(holdings) != 1 {
			t.Fatal(holdings, err)
		}
		checkHolding(t, holdings[0], held)
		gaps := holdings[0].Gaps(200)
		h, err := s.Missing(t.Context(), north, m.journal, gaps, Gone, morning)
		if err != nil || h.Through() != 200 || len(h.Gaps(200)) != 0 {
			t.Errorf("with everything else gone, up to %d is settled: %v, %v", h.Through(), h.Gaps(200), err)
		}
		add(t, s, all...) // it turns up all the same
		if losses, err := s.Losses(t.Context()); err != nil || len(losses) > 0 {
			t.Errorf("%v are missing, %v", losses, err)
		}
		if len(allEvents(t.Context(), t, s)) != 200 {
			t.Error("events are lacking")
		}
	})
}

func checkHolding(t *testing.T, h Holding, held map[int64]bool) {
	t.Helper()
	through := int64(0)
	for held[through+1] {
		through++
	}
	missing := map[int64]bool{}
	for _, gap := range h.Gaps(200) {
		for n := gap.From; n <= gap.To; n++ {
			missing[n] = true
		}
	}
	for n := int64(1); n <= 200; n++ {
		if held[n] == missing[n] {
			t.Fatalf("%d is held: %t, a gap: %t", n, held[n], missing[n])
		}
	}
	if h.Through() != through {
		t.Fatalf("everything up to %d is held, want %d", h.Through(), through)
	}
}

func TestLosses(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		m.sequence = 9
		add(t, s, m.pass(morning))
		if _, err := s.Missing(t.Context(), north, m.journal, []mqtt.Span{{From: 1, To: 4}}, Gone, morning); err != nil {
			t.Fatal(err)
		}
		h, err := s.Missing(t.Context(), north, m.journal, []mqtt.Span{{From: 1, To: 3}, {From: 7, To: 7}}, Gone, morning.Add(time.Hour))
		if err != nil || !slices.Equal(h.Gaps(12), []mqtt.Span{{From: 5, To: 6}, {From: 8, To: 9}, {From: 11, To: 12}}) || h.Through() != 4 {
			t.Errorf("gaps %v, through %d, %v", h.Gaps(12), h.Through(), err)
		}
		losses, err := s.Losses(t.Context())
		if err != nil || len(losses) != 2 || !losses[0].Told.Equal(morning.Add(time.Hour)) || losses[1].To != 4 {
			t.Errorf("%+v, %v", losses, err)
		}
	})
}

// TestLateEvents counts an event when it happened, whenever it comes.
func TestLateEvents(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if err := s.SetZone(t.Context(), "plant", "Asia/Shanghai"); err != nil {
			t.Fatal(err)
		}
		m := newMaker(t, north)
		midnight := time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC) // in Shanghai
		before, after := m.pass(midnight.Add(-time.Second)), m.pass(midnight)
		before.Received = midnight.AddDate(0, 0, 5)
		add(t, s, after)
		add(t, s, before)
		days := func(want ...string) {
			t.Helper()
			counts, err := s.Days(t.Context(), DayOf(midnight)-10, DayOf(midnight)+10)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range counts {
				got = append(got, strings.Repeat("I", int(c.People))+c.Day.Date().Format(" 2006-01-02"))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		days("I 2026-03-02", "I 2026-03-03")
		if err := s.SetZone(t.Context(), "plant", "Europe/Berlin"); err != nil {
			t.Fatal(err)
		}
		days("II 2026-03-02")
		add(t, s, m.pass(midnight.Add(7*time.Hour)))
		days("II 2026-03-02", "I 2026-03-03")
	})
}

// TestOddClocks takes events of gates whose clock was never set or runs ahead by a century.
func TestOddClocks(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		add(t, s, m.pass(time.Unix(0, 0)), m.pass(time.Unix(-1000, 0)), m.pass(time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC)),
			m.pass(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)), m.pass(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)), m.pass(morning))
		if got := len(allEvents(t.Context(), t, s)); got != 6 {
			t.Errorf("%d events are kept", got)
		}
	})
}

func TestRetire(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		now := time.Date(2028, 5, 20, 12, 0, 0, 0, time.UTC) // events are kept from May 2026 on
		old, last, kept, late := m.pass(morning), m.pass(time.Date(2026, 4, 30, 23, 59, 59, 0, time.UTC)), m.pass(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)), m.pass(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC))
		unset := m.pass(time.Unix(100, 0))
		last.Received, late.Received, unset.Received = last.Time, now.AddDate(-1, 0, 0), now
		add(t, s, old, last, kept, late, unset)
		before := people(t, s)
		deleted, err := s.Retire(t.Context(), now)
		if err != nil || deleted != 2 {
			t.Errorf("%d events are deleted, %v", deleted, err)
		}
		left := allEvents(t.Context(), t, s)
		for _, e := range []Event{kept, late, unset} {
			if left[e.ID].ID == "" {
				t.Errorf("the event of %v, received %v, is deleted", e.Time, e.Received)
			}
		}
		if diff := cmp.Diff(before, people(t, s)); diff != "" {
			t.Error("counts go with the events:", diff)
		}
		if done := add(t, s, m.pass(morning)); done.New != 1 { // a month that was dropped is made again
			t.Errorf("%+v", done)
		}
	})
}

func TestNoEvent(t *testing.T) {
	m := newMaker(t, north)
	good := string(m.pass(morning).Body)
	for _, test := range []struct{ name, old, new string }{
		{"no JSON", "{", "["},
		{"no id", `"id":"`, `"id":"x`},
		{"another gate", `"source":"/plant/north"`, `"source":"/plant/south"`},
		{"no time", `"time":"2026-03-02T06:55:00Z"`, `"time":"0001-01-01T00:00:00Z"`},
		{"another outcome", `"outcome":"pass"`, `"outcome":"perhaps"`},
		{"a reason with a NUL", `"reason":"below`, `"reason":"\u0000below`},
		{"a sequence that is none", `"sequence":"1"`, `"sequence":"0"`},
		{"a temperature that is none", `"skin_celsius":34.5`, `"skin_celsius":"34.5"`},
		{"not in UTF-8", `"camera":"test"`, "\"camera\":\"\xff\""},
		{"a place that no journal gets to", `"sequence":"1"`, `"sequence":"9223372036854775807"`},
		{"too much", `"camera":"test"`, `"camera":"` + strings.Repeat("x", maxEventBytes) + `"`},
	} {
		body := strings.Replace(good, test.old, test.new, 1)
		if body == good {
			t.Fatalf("%s: nothing was changed in %s", test.name, good)
		}
		if _, err := NewEvent(north, []byte(body), morning); err == nil {
			t.Errorf("%s: taken for an event", test.name)
		}
	}
	if journal, sequence, ok := Place([]byte(strings.Replace(good, `"outcome":"pass"`, `"outcome":7`, 1))); !ok || journal != m.journal || sequence != 1 {
		t.Errorf("what is no event has no place: %s %d", journal, sequence)
	}
}

package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestCountedLater counts what plants have told after each batch in one store. In another a console ends amid that twice, has
// batches come again, and one of them fail; the next console counts everything at once. Both have the same in the end.
func TestCountedLater(t *testing.T) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			batches := batchesOfPlants(t)
			atOnce := open(t, config(t, kind))
			for _, news := range batches {
				hear(t, atOnce, news)
			}

			cfg := config(t, kind)
			later := open(t, cfg)
			tell := func(some []News) {
				t.Helper()
				for _, news := range some {
					if _, err := later.Hear(t.Context(), news); err != nil {
						t.Fatal(err)
					}
				}
			}
			third := len(batches) / 3
			for i := range 3 {
				tell(batches[i*third : (i+1)*third])
				if i == 1 {
					failOnce(t, later, batches[2*third])
					if _, err := later.Count(t.Context()); err != nil { // of those that have waited longest
						t.Fatal(err)
					}
				}
				if i < 2 {
					later.Close()
					later = open(t, cfg)
				}
				tell(batches[i*third : i*third+3])
			}
			tell(batches[3*third:])
			countHeard(t, later)
			if diff := gocmp.Diff(countedTables(t, atOnce), countedTables(t, later)); diff != "" {
				t.Error("counted later (-at once +later):", diff)
			}
			var left int
			if err := later.read.QueryRowContext(t.Context(), "SELECT count(*) FROM uncounted").Scan(&left); err != nil || left != 0 {
				t.Errorf("%d rows are not counted, %v", left, err)
			}
		})
	}
}

// TestCountGoesOnBesideWhatFails has a row of a share be broken, which the other shares are not to wait for.
func TestCountGoesOnBesideWhatFails(t *testing.T) {
	cfg := config(t, "SQLite")
	s := open(t, cfg)
	broken, well := mqtt.Gate{Site: "plant 0", Name: "north"}, mqtt.Gate{Site: "plant 1", Name: "north"}
	for _, gate := range []mqtt.Gate{broken, well} {
		if _, err := s.Hear(t.Context(), News{Events: []Event{newMaker(t, gate).pass(morning)}}); err != nil {
			t.Fatal(err)
		}
	}
	if ShareOf(broken.Site) == ShareOf(well.Site) {
		t.Fatal("both are of one share")
	}
	if _, err := s.write.ExecContext(t.Context(), "UPDATE uncounted SET counts = 'broken' WHERE share = $1", ShareOf(broken.Site)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, cfg)
	var failed int
	for range 6 {
		if _, err := s.Count(t.Context()); err != nil {
			failed++
		}
		if _, err := s.Hear(t.Context(), News{Events: []Event{newMaker(t, broken).pass(morning)}}); err != nil {
			t.Fatal(err)
		}
	}
	q := plain{t: t, s: s}
	if counted := q.lines("SELECT site, people FROM quarters"); len(counted) != 1 || failed < 2 {
		t.Errorf("beside what fails, which it did %d times, there is counted %v", failed, counted)
	}
}

// TestNothingIsCountedByTwoConsoles has another console that took the store over count what this one still remembers.
func TestNothingIsCountedByTwoConsoles(t *testing.T) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		s := open(t, config(t, kind))
		gate := mqtt.Gate{Site: "plant", Name: "north"}
		m := newMaker(t, gate)
		tell := func(e Event) {
			t.Helper()
			if _, err := s.Hear(t.Context(), News{Events: []Event{e}}); err != nil {
				t.Fatal(err)
			}
		}
		tell(m.pass(morning))
		if _, err := s.write.ExecContext(t.Context(), "DELETE FROM uncounted"); err != nil { // as the other one has counted it
			t.Fatal(err)
		}
		if _, err := s.Count(t.Context()); err == nil {
			t.Errorf("%s: what is counted already is counted", kind)
		}
		tell(m.pass(morning.Add(time.Second)))
		countHeard(t, s)
		q := plain{t: t, s: s}
		if counted := q.lines("SELECT sum(people) FROM quarters"); len(counted) != 1 || counted[0] != "1" {
			t.Errorf("%s: counted are %q", kind, counted)
		}
	}
}

// TestCountLeavesOtherSharesAlone: whoever holds one may be changing what is remembered of it.
func TestCountLeavesOtherSharesAlone(t *testing.T) {
	s := open(t, config(t, "SQLite"))
	gate, other := mqtt.Gate{Site: "plant 0", Name: "north"}, s.shareOf("plant 1")
	for n := range int64(maxPaces + 1) {
		other.paces.quarters[paceOf{gate, n}] = &quarterPace{}
	}
	hear(t, s, News{Events: []Event{newMaker(t, gate).pass(morning)}})
	if len(other.paces.quarters) != maxPaces+1 {
		t.Error("counting one share changes another")
	}
}

// failOnce has a batch and what was to be counted fail.
func failOnce(t *testing.T, s *Store, news News) {
	t.Helper()
	for _, statement := range []string{"ALTER TABLE holdings RENAME TO away", "ALTER TABLE plants RENAME TO gone"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.shareOf(news.Events[0].Gate.Site).heard = map[string]time.Time{}
	if _, err := s.Hear(t.Context(), news); err == nil {
		t.Error("a batch is stored without a table")
	}
	if _, err := s.Count(t.Context()); err == nil {
		t.Error("something is counted without a table")
	}
	for _, statement := range []string{"ALTER TABLE away RENAME TO holdings", "ALTER TABLE gone RENAME TO plants"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// batchesOfPlants are of people who come, come again and wait beside each other at the gates of some plants, in no order.
func batchesOfPlants(t *testing.T) (batches []News) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var makers []*maker
	for site := range 5 {
		for gate := range 3 {
			makers = append(makers, newMaker(t, mqtt.Gate{Site: fmt.Sprintf("plant %d", site), Name: fmt.Sprint(gate)}))
		}
	}
	last := map[*maker]Event{}
	var events []Event
	for i := range 900 {
		m := makers[random.IntN(len(makers))]
		at := morning.Add(time.Duration(i) * 3 * time.Second)
		looks := func(e *event.Event) {
			seconds, baseline := float64(1+random.IntN(500))/100, 33+random.Float64()
			e.Data.FirstSeen, e.Data.SecondsToVerdict, e.Data.BaselineCelsius = at.Add(-time.Duration(random.IntN(90_000))*time.Millisecond), &seconds, &baseline
		}
		change := func(*event.Event) {}
		if before, has := last[m]; has && random.IntN(4) == 0 {
			change = again(before)
		}
		e := m.event(at, []event.Outcome{event.Pass, event.Alert}[random.IntN(2)], event.BelowThreshold, looks, change)
		last[m] = e
		events = append(events, e)
	}
	for i := range events { // some come late
		j := min(i+random.IntN(60), len(events)-1)
		events[i], events[j] = events[j], events[i]
	}
	for len(events) > 0 {
		n := min(1+random.IntN(40), len(events))
		batches = append(batches, News{Events: events[:n], Heard: map[string]time.Time{events[0].Gate.Site: events[0].Received}})
		events = events[n:]
	}
	return batches
}

// countedTables are the rows of all that Count changes.
func countedTables(t *testing.T, s *Store) []string {
	t.Helper()
	q := plain{t: t, s: s}
	all := q.lines("SELECT site, gate, quarter, outcome, reason, people, events, again FROM quarters WHERE people <> 0 OR events <> 0 ORDER BY 1, 2, 3, 4, 5")
	all = append(all, q.lines("SELECT site, gate, day, outcome, reason, people, events, again FROM days WHERE people <> 0 OR events <> 0 ORDER BY 1, 2, 3, 4, 5")...)
	for _, table := range []paceTable{quarterPaces, dayPaces} {
		all = append(all, q.lines("SELECT site, gate, "+table.number+", "+paceColumns+" FROM "+table.name+" WHERE events > 0 OR busiest > 0 ORDER BY 1, 2, 3")...)
	}
	all = append(all, q.lines("SELECT site, gate, seen FROM gates ORDER BY 1, 2")...)
	return append(all, q.lines("SELECT site, gate, journal, first, last FROM holdings ORDER BY 1, 2, 3, 4")...)
}

package store

import (
	"fmt"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// BenchmarkAppend stores events of 50 gates, one in twenty about somebody who was there before, one in a hundred an alert,
// in batches as they come from a broker, without and with a district that is to be told of them.
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		for _, size := range []int{20, 100, 500} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { benchmarkAppend(b, kind, size, false) })
			b.Run(fmt.Sprintf("%s/%d/district", kind, size), func(b *testing.B) { benchmarkAppend(b, kind, size, true) })
		}
	}
}

func benchmarkAppend(b *testing.B, kind string, size int, district bool) {
	s := open(b, config(b, kind))
	if district {
		tell(b, s)
	}
	var makers []*maker
	for n := range 50 {
		makers = append(makers, newMaker(b, mqtt.Gate{Site: "plant", Name: fmt.Sprint("gate-", n)}))
	}
	var events []Event
	at := morning
	for n := range b.N*size + 50 {
		m := makers[n%50]
		at = at.Add(20 * time.Millisecond)
		looked := func(e *event.Event) {
			seconds, baseline := 0.3+float64(n%90)/100, 34+float64(n%7)/100
			e.Data.FirstSeen, e.Data.SecondsToVerdict, e.Data.BaselineCelsius = at.Add(-time.Duration(n%5000)*time.Millisecond), &seconds, &baseline
		}
		switch {
		case n >= 50 && n%20 == 0:
			events = append(events, m.event(at, event.Pass, event.BelowThreshold, looked, again(events[n-50])))
		case n%100 == 7:
			events = append(events, m.event(at, event.Alert, event.AboveThreshold, looked))
		default:
			events = append(events, m.event(at, event.Pass, event.BelowThreshold, looked))
		}
	}
	add(b, s, events[:50]...)
	b.ResetTimer()
	for n := range b.N {
		add(b, s, events[50+n*size:50+(n+1)*size]...)
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkMonth reads the counts of a month of 50 gates.
func BenchmarkMonth(b *testing.B) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		b.Run(kind, func(b *testing.B) {
			s := open(b, config(b, kind))
			first := DayOf(morning)
			var events []Event
			for n := range 50 {
				m := newMaker(b, mqtt.Gate{Site: "plant", Name: fmt.Sprint("gate-", n)})
				for day := range 31 {
					at := morning.AddDate(0, 0, day)
					events = append(events, m.pass(at), m.alert(at), m.event(at, event.Inconclusive, event.Left),
						m.event(at, event.Inconclusive, event.TurnedAway), m.event(at, event.Inconclusive, event.Covered))
				}
			}
			add(b, s, events...)
			b.Run("every gate and day", func(b *testing.B) {
				for b.Loop() {
					counts, err := s.Days(b.Context(), first, first+30)
					if err != nil || len(counts) != len(events) {
						b.Fatal(len(counts), err)
					}
				}
			})
			b.Run("totals", func(b *testing.B) {
				for b.Loop() {
					gates, err := s.GateTotals(b.Context(), first, first+30)
					if err != nil || len(gates) != 250 || gates[0].People != 31 {
						b.Fatal(len(gates), err)
					}
					days, err := s.DayTotals(b.Context(), "plant", first, first+30)
					if err != nil || len(days) != 155 || days[0].People != 50 {
						b.Fatal(len(days), err)
					}
				}
			})
		})
	}
}

// BenchmarkHistory opens pages of a history of a million events of 50 gates in two months, a hundredth of them alerts of
// which most have a second reading.
func BenchmarkHistory(b *testing.B) {
	const events, gates, apart = 1_000_000, 50, 5 * time.Second
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	number := func(v float64) *float64 { return &v }
	yes := true
	middle := begin.Add(events / 2 * apart)
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		b.Run(kind, func(b *testing.B) {
			s := open(b, config(b, kind))
			var makers []*maker
			for n := range gates {
				makers = append(makers, newMaker(b, mqtt.Gate{Site: "plant", Name: fmt.Sprint("gate-", n)}))
			}
			var batch []Event
			for n := range events {
				m, at := makers[n%gates], begin.Add(time.Duration(n)*apart)
				switch {
				case n%100 == 7:
					batch = append(batch, m.event(at, event.Alert, event.AboveThreshold, warm(36.4, 37.6+float64(n%13)/10)))
				case n%10 == 3:
					batch = append(batch, m.event(at, event.Inconclusive, event.Moving))
				default:
					batch = append(batch, m.event(at, event.Pass, event.BelowThreshold, warm(33.5+float64(n%150)/100, 35.3+float64(n%150)/100)))
				}
				if len(batch) == 5000 {
					add(b, s, batch...)
					batch = batch[:0]
				}
			}
			if _, err := s.write.ExecContext(b.Context(), `UPDATE alerts SET state = 'closed', outcome = CASE WHEN time % 7 = 0 THEN 'confirmed' ELSE 'false' END,
				read_celsius = 36.5 + (time / 1000) % 20 / 10.0 WHERE (time / 1000) % 9 <> 0`); err != nil {
				b.Fatal(err)
			}
			if s.postgres { // as its daemon does in time
				if _, err := s.write.ExecContext(b.Context(), "VACUUM ANALYZE"); err != nil {
					b.Fatal(err)
				}
			}
			for _, page := range []struct {
				name string
				f    Filter
				rows int
			}{
				{"newest", Filter{}, 50},
				{"in the middle", Filter{From: begin, To: middle}, 50},
				{"gate", Filter{Site: "plant", Gate: "gate-7"}, 50},
				{"site", Filter{Site: "plant", Outcome: event.Alert}, 50},
				{"outcome, oldest page", Filter{Outcome: event.Alert, To: begin.Add(12 * time.Hour)}, 50},
				{"outcome at a gate", Filter{Site: "plant", Gate: "gate-3", Outcome: event.Inconclusive}, 50},
				{"reason", Filter{Reason: event.Moving}, 50},
				{"reason nobody has", Filter{Reason: event.Lifeless}, 0},
				{"body nobody has", Filter{Body: Range{Least: number(41)}}, 0},
				{"hot passes", Filter{Outcome: event.Pass, Body: Range{Least: number(36.78)}, Skin: Range{Least: number(34.98)}}, 50},
				{"open", Filter{Alert: OpenAlert}, 50},
				{"confirmed", Filter{Alert: string(mqtt.Confirmed)}, 50},
				{"readings", Filter{Read: &yes, Reading: Range{number(38), number(38.5)}, Site: "plant", Gate: "gate-7"}, 50},
				{"reading nobody has", Filter{Reading: Range{Least: number(42)}}, 0},
			} {
				b.Run(page.name, func(b *testing.B) {
					for b.Loop() {
						rows, err := s.History(b.Context(), page.f, 50)
						if err != nil || len(rows) != page.rows {
							b.Fatal(len(rows), err)
						}
					}
				})
			}
		})
	}
}

package store

import (
	"fmt"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// BenchmarkAppend stores events of 50 gates, one in twenty about somebody who was there before, one in a hundred an alert,
// in batches as they come from a broker.
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		for _, size := range []int{20, 100, 500} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { benchmarkAppend(b, kind, size) })
		}
	}
}

func benchmarkAppend(b *testing.B, kind string, size int) {
	s := open(b, config(b, kind))
	var makers []*maker
	for n := range 50 {
		makers = append(makers, newMaker(b, mqtt.Gate{Site: "plant", Name: fmt.Sprint("gate-", n)}))
	}
	var events []Event
	at := morning
	for n := range b.N*size + 50 {
		m := makers[n%50]
		at = at.Add(20 * time.Millisecond)
		switch {
		case n >= 50 && n%20 == 0:
			events = append(events, m.event(at, event.Pass, event.BelowThreshold, again(events[n-50])))
		case n%100 == 7:
			events = append(events, m.alert(at))
		default:
			events = append(events, m.pass(at))
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

package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// BenchmarkDistrict is what a district of 1,000 plants with 10 gates each asks of a PostgreSQL server, with 20,000 people in
// the last minute and 2,000 open alerts.
func BenchmarkDistrict(b *testing.B) {
	s, asked := openCounted(b)
	const sites, gates, batch = 1000, 10, 500
	now := time.Now()
	var makers []*maker
	var statuses []PlantStatus
	for site := range sites {
		for gate := range gates {
			of := mqtt.Gate{Site: fmt.Sprintf("plant %04d", site), Name: fmt.Sprint(gate)}
			makers = append(makers, newMaker(b, of))
			said := mqtt.StatusMessage{State: Online, Status: mqtt.Status{Camera: "ok", Version: "1"}}
			said.Journal, said.Sequence = makers[len(makers)-1].journal, 1
			statuses = append(statuses, PlantStatus{Gate: of, At: now, Link: Online, Said: &said})
		}
	}
	hear(b, s, News{Statuses: statuses})
	made := 0
	next := func() News {
		news := News{Heard: map[string]time.Time{}}
		for range batch {
			m := makers[(made*7919)%len(makers)]
			at := now.Add(-time.Duration(made%60_000) * time.Millisecond)
			if made++; made%50 == 0 {
				news.Events = append(news.Events, m.alert(at))
			} else {
				news.Events = append(news.Events, m.pass(at))
			}
			news.Heard[m.gate.Site] = at
		}
		return news
	}
	begin := time.Now()
	for range 40 {
		hear(b, s, next())
	}
	b.Logf("%d events in batches of %d: %.0f a second", made, batch, float64(made)/time.Since(begin).Seconds())
	for name, do := range map[string]func() error{
		"batch":       func() error { _, err := s.Hear(b.Context(), next()); return err },
		"sites":       func() error { _, err := s.PlantSites(b.Context()); return err },
		"site-alerts": func() error { _, err := s.SiteAlerts(b.Context()); return err },
		"site-people": func() error { _, err := s.SitePeople(b.Context(), now); return err },
		"open-alerts": func() error { _, err := s.OpenAlertsOfSites(b.Context(), 50, 1000); return err },
		"site-gates":  func() error { _, err := s.SiteGates(b.Context(), "plant 0042", now); return err },
		"all-gates":   func() error { _, err := s.Gates(b.Context(), now); return err },
		"shift-report": func() error {
			from := now.Truncate(time.Hour).Add(-8 * time.Hour)
			_, err := s.Report(b.Context(), Period{Site: "plant 0042", From: from, To: from.Add(8 * time.Hour)})
			return err
		},
		"history": func() error {
			_, err := s.History(b.Context(), Filter{Site: "plant 0042", Outcome: event.Alert}, 200)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			asked.asked.Store(0)
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(asked.asked.Load())/float64(b.N), "questions/op")
		})
	}
	again := statuses[:batch]
	b.Run("status-batch", func(b *testing.B) {
		for b.Loop() {
			for i := range again {
				again[i].At = again[i].At.Add(time.Second)
			}
			hear(b, s, News{Statuses: again})
		}
	})
}

// questions counts what a store asks of its server, each a way there and back.
type questions struct{ asked atomic.Int64 }

func (q *questions) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.asked.Add(1)
	return ctx
}

func (q *questions) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// BenchmarkNewPlants is the first hour of a district in which a thousand plants begin: each says how it counts, what its ten
// gates are, and has somebody pass at each.
func BenchmarkNewPlants(b *testing.B) {
	const plants, gates, together = 1000, 10, 250 // plants in a batch
	for b.Loop() {
		b.StopTimer()
		s, asked := openCounted(b)
		now := time.Now()
		var batches []News
		for i := range plants {
			if i%together == 0 {
				batches = append(batches, News{Heard: map[string]time.Time{}})
			}
			news, site := &batches[len(batches)-1], fmt.Sprintf("plant %04d", i)
			news.Heard[site] = now
			news.Plants = append(news.Plants, Plant{Site: site, At: now, TimeZone: "Asia/Shanghai", KeepMonths: 12, Version: "1", Plans: []ShiftPlan{{From: DayOf(now), Shifts: usualShifts()}}})
			for gate := range gates {
				m := newMaker(b, mqtt.Gate{Site: site, Name: fmt.Sprint(gate)})
				said := mqtt.StatusMessage{State: Online, Status: mqtt.Status{Camera: "ok", Version: "1"}}
				said.Journal, said.Sequence = m.journal, 1
				news.Statuses = append(news.Statuses, PlantStatus{Gate: m.gate, At: now, Link: Online, Said: &said})
				news.Events = append(news.Events, m.pass(now))
			}
		}
		asked.asked.Store(0)
		b.StartTimer()
		begin := time.Now()
		for _, news := range batches {
			if _, err := s.Hear(b.Context(), news); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(begin).Microseconds())/1000/plants, "ms/plant")
		b.ReportMetric(float64(asked.asked.Load())/plants, "questions/plant")
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}

func openCounted(b *testing.B) (*Store, *questions) {
	b.Helper()
	s, asked := open(b, config(b, "PostgreSQL")), &questions{}
	config, err := pgx.ParseConfig(s.cfg.PostgreSQL)
	if err != nil {
		b.Fatal(err)
	}
	config.Tracer = asked
	config.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	s.write = stdlib.OpenDB(*config)
	s.read = s.write
	if err := s.prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s, asked
}

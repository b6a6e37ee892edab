package console

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"thermogate/screening/console/district"
	"thermogate/screening/console/ingest"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// metrics serves how the console is doing, in the formats that Prometheus reads.
func (c *Console) metrics(version string) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counter := func(s, help string, value func(ingest.State) float64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name(s), Help: help}, func() float64 { return value(c.ingest.State()) }))
	}
	gauge := func(s, help string, value func(ingest.State) float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name(s), Help: help}, func() float64 { return value(c.ingest.State()) }))
	}
	gauge("broker_connected", "1 while the broker is connected.", func(s ingest.State) float64 { return oneIf(s.Connected) })
	gauge("store_failing", "1 while events do not get into the store; they wait at the broker.", func(s ingest.State) float64 { return oneIf(s.StoreError != "") })
	gauge("wanted_events", "Events that are missing and are asked for.", func(s ingest.State) float64 { return float64(s.Wanted) })
	counter("events_total", "Events stored.", func(s ingest.State) float64 { return float64(s.Events) })
	counter("repeated_events_total", "Events that came once more.", func(s ingest.State) float64 { return float64(s.Repeated) })
	counter("refused_messages_total", "Messages that were none of a gate.", func(s ingest.State) float64 { return float64(s.Refused) })
	counter("lost_events_total", "Events that nobody can get any more.", func(s ingest.State) float64 { return float64(s.Lost) })
	counter("commits_total", "Batches of events stored.", func(s ingest.State) float64 { return float64(s.Commits) })
	counter("commit_seconds_total", "Time that storing them took.", func(s ingest.State) float64 { return s.Committing.Seconds() })
	if _, has := c.plant.State(); has {
		of := func(value func(district.PlantState) float64) func() float64 {
			return func() float64 { state, _ := c.plant.State(); return value(state) }
		}
		registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name("district_connected"), Help: "1 while a server of the district is connected."},
				of(func(s district.PlantState) float64 { return oneIf(s.Connected) })),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name("district_waiting_messages"), Help: "Messages that the district has yet to get."},
				of(func(s district.PlantState) float64 { return float64(s.Waiting) })),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name("district_sent_total"), Help: "Messages that the district's stream has confirmed."},
				of(func(s district.PlantState) float64 { return float64(s.Sent) })),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name("district_refused_total"), Help: "Messages that the district's servers did not take; they wait and are sent again."},
				of(func(s district.PlantState) float64 { return float64(s.Refused) })),
		)
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name("open_alerts"), Help: "Alerts that are not closed; -1 where the store does not say.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), pingLimit)
		defer cancel()
		alerts, err := c.store.OpenAlerts(ctx)
		if err != nil {
			return -1
		}
		return float64(len(alerts))
	}))
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name("reports_failing"), Help: "1 while reports can't be written into their folder.",
	}, func() float64 { return oneIf(c.reports.Fault() != nil) }))
	registry.MustRegister(c.taken, prometheus.CollectorFunc(c.countGates))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: name("build_info"), Help: "Always 1; the labels name the build.",
	}, []string{"version", "goversion"})
	registry.MustRegister(build)
	build.WithLabelValues(version, runtime.Version()).Set(1)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func name(name string) string { return prometheus.BuildFQName("thermogate", "console", name) }

// newTakenHistogram has fine steps below the limit after which an alert goes to the shift leader.
func newTakenHistogram() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name("alert_taken_seconds"), Help: "Time from the arrival of an alert until somebody took it.",
		Buckets: []float64{5, 10, 20, 30, 45, 60, 90, 120, 150, store.TakeLimit.Seconds(), 300, 600, 1800},
	})
}

var gatesDesc = prometheus.NewDesc(name("gates"),
	"Gates by state: well, faulty (camera, reference or the readings of people are not as they should be), paused, or silent.", []string{"state"}, nil)

// countGates tells how many gates are in each state; nothing where the store does not say.
func (c *Console) countGates(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), pingLimit)
	defer cancel()
	now := time.Now()
	gates, err := c.store.Gates(ctx, now)
	if err != nil {
		return
	}
	faults, err := c.store.Faults(ctx, now)
	if err != nil {
		return
	}
	faulty := map[mqtt.Gate]bool{}
	for _, fault := range faults {
		faulty[fault.Gate] = true
	}
	count := map[string]int{"well": 0, "faulty": 0, "paused": 0, "silent": 0}
	for _, gate := range gates {
		switch link := gate.Parts[store.Link].Value; {
		case link == store.Unused:
		case link != store.Online:
			count["silent"]++
		case faulty[gate.Gate]:
			count["faulty"]++
		case gate.PausedUntil.After(now):
			count["paused"]++
		default:
			count["well"]++
		}
	}
	for state, n := range count {
		metrics <- prometheus.MustNewConstMetric(gatesDesc, prometheus.GaugeValue, float64(n), state)
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

package console

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"thermogate/screening/console/district"
	"thermogate/screening/console/ingest"
	"thermogate/screening/console/store"
)

// metrics serves how the console is doing, in the formats that Prometheus reads.
func (c *Console) metrics(version string) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if c.receiver != nil {
		registry.MustRegister(districtMetrics{c}, c.receiver.Delays())
	} else {
		c.plantMetrics(registry)
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricName("open_alerts"), Help: "Alerts that are not closed; -1 where the store does not say.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), pingLimit)
		defer cancel()
		alerts, err := c.store.CountOpenAlerts(ctx)
		if err != nil {
			return -1
		}
		return float64(alerts)
	}))
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricName("reports_failing"), Help: "1 while reports can't be written into their folder.",
	}, func() float64 { return oneIf(c.reports.Fault() != nil) }))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: metricName("build_info"), Help: "Always 1; the labels name the build.",
	}, []string{"version", "goversion"})
	registry.MustRegister(build)
	build.WithLabelValues(version, runtime.Version()).Set(1)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func metricName(name string) string { return prometheus.BuildFQName("thermogate", "console", name) }

// plantMetrics are those of a console of gates.
func (c *Console) plantMetrics(registry *prometheus.Registry) {
	name := metricName
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
	registry.MustRegister(c.taken, prometheus.CollectorFunc(c.countGates))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// districtMetrics are those of a console of plants.
type districtMetrics struct{ c *Console }

var (
	districtReceives  = prometheus.NewDesc("thermogate_district_receives", "1 of the console that receives what plants tell; another one of the same district stands by.", nil, nil)
	districtConnected = prometheus.NewDesc("thermogate_district_connected", "1 while what plants tell is received.", nil, nil)
	districtFailing   = prometheus.NewDesc("thermogate_district_store_failing", "1 while what plants tell does not get into the store; it waits in the stream.", nil, nil)
	districtMessages  = prometheus.NewDesc("thermogate_district_messages_total", "Messages of plants that are stored.", []string{"kind"}, nil)
	districtEvents    = prometheus.NewDesc("thermogate_district_events_total", "Events stored that were new.", nil, nil)
	districtRefused   = prometheus.NewDesc("thermogate_district_refused_total", "Messages of plants that can't be stored, and are kept aside.", nil, nil)
	districtPending   = prometheus.NewDesc("thermogate_district_pending_messages", "Messages in the stream that are not stored yet.", nil, nil)
	districtSites     = prometheus.NewDesc("thermogate_district_sites", "Sites by how they are: well, degraded, silent or unknown.", []string{"state"}, nil)
)

// Describe is for Prometheus.
func (districtMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{districtReceives, districtConnected, districtFailing, districtMessages, districtEvents, districtRefused, districtPending, districtSites} {
		to <- one
	}
}

// Collect is for Prometheus.
func (m districtMetrics) Collect(to chan<- prometheus.Metric) {
	state := m.c.receiver.State()
	gauge := func(of *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
	}
	counter := func(of *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(of, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(districtReceives, oneIf(!state.Elsewhere))
	gauge(districtConnected, oneIf(state.Connected))
	gauge(districtFailing, oneIf(state.StoreError != "" || state.CountError != ""))
	gauge(districtPending, float64(state.Pending))
	counter(districtEvents, state.Events)
	counter(districtRefused, state.Refused)
	for _, kind := range slices.Concat(district.UrgentKinds, district.OtherKinds) {
		counter(districtMessages, state.Messages[kind], string(kind))
	}
	ctx, cancel := context.WithTimeout(context.Background(), pingLimit)
	defer cancel()
	sites, err := m.c.store.PlantSites(ctx)
	if err != nil {
		return // health checks tell why
	}
	count := map[store.SiteState]int{}
	for _, site := range sites {
		count[site.State(time.Now())]++
	}
	for _, is := range store.SiteStates {
		gauge(districtSites, float64(count[is]), string(is))
	}
}

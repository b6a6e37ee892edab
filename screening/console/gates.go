package console

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// newTakenHistogram has fine steps below the limit after which an alert goes to the shift leader.
func newTakenHistogram() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: metricName("alert_taken_seconds"), Help: "Time from the arrival of an alert until somebody took it.",
		Buckets: []float64{5, 10, 20, 30, 45, 60, 90, 120, 150, store.TakeLimit.Seconds(), 300, 600, 1800},
	})
}

var gatesDesc = prometheus.NewDesc(metricName("gates"),
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

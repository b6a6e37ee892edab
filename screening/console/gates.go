package console

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"thermogate/screening/console/store"
)

// newTakenHistogram has fine steps below the limit after which an alert goes to the shift leader.
func newTakenHistogram() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: metricName("alert_taken_seconds"), Help: "Time from the arrival of an alert until somebody took it.",
		Buckets: []float64{5, 10, 20, 30, 45, 60, 90, 120, 150, store.TakeLimit.Seconds(), 300, 600, 1800},
	})
}

var gatesDesc = prometheus.NewDesc(metricName("gates"),
	"Gates by state: well, faulty (camera, reference, clock, keys or the readings of people are not as they should be), paused, or silent.", []string{"state"}, nil)

// countGates tells how many gates are in each state; nothing where the store does not say.
func (c *Console) countGates(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), pingLimit)
	defer cancel()
	gates, err := c.store.CountGates(ctx, time.Now())
	if err != nil {
		return
	}
	for state, n := range map[string]int{"well": gates.Well, "faulty": gates.Faulty, "paused": gates.Paused, "silent": gates.Silent} {
		metrics <- prometheus.MustNewConstMetric(gatesDesc, prometheus.GaugeValue, float64(n), state)
	}
}

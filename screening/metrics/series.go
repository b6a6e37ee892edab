package metrics

import "github.com/prometheus/client_golang/prometheus"

const prefix = "thermogate"

// factory registers series under the prefix.
type factory struct{ registry *prometheus.Registry }

func register[C prometheus.Collector](f factory, collector C) C {
	f.registry.MustRegister(collector)
	return collector
}

func (f factory) counter(name, help string) prometheus.Counter {
	return register(f, prometheus.NewCounter(prometheus.CounterOpts{Namespace: prefix, Name: name, Help: help}))
}

func (f factory) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(f, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: prefix, Name: name, Help: help}, labels))
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return register(f, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: prefix, Name: name, Help: help}))
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(f, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: prefix, Name: name, Help: help}, labels))
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return register(f, prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: prefix, Name: name, Help: help, Buckets: buckets}))
}

func (f factory) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return register(f, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: prefix, Name: name, Help: help, Buckets: buckets}, labels))
}

func (f factory) optionalGauge(name, help string) optionalGauge {
	return optionalGauge{f.gaugeVec(name, help)}
}

func (f factory) stateSet(name, help string, states ...string) stateSet {
	return stateSet{f.gaugeVec(name, help, "state"), states}
}

// optionalGauge has no series at all while its value is not known: 0 °C would be a lie.
type optionalGauge struct{ vec *prometheus.GaugeVec }

func (g optionalGauge) set(known bool, value float64) {
	if known {
		g.vec.WithLabelValues().Set(value)
	} else {
		g.vec.Reset()
	}
}

// stateSet is 1 for one of its states and 0 for the others.
type stateSet struct {
	vec    *prometheus.GaugeVec
	states []string
}

func (s stateSet) set(current string) {
	for _, state := range s.states {
		s.vec.WithLabelValues(state).Set(oneIf(state == current))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

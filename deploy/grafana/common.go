package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// alarms lists what Prometheus' rules found wrong.
func alarms(where string, width, height uint32) panel {
	return panel{
		kind: rows(), title: "Wrong now, and since when", width: width, height: height,
		about: "The alarms that are on (deploy/prometheus/thermogate.rules.yml), the oldest first. Empty is well. The README says under Alarms what to do about each.",
		queries: []query{{
			expr: fmt.Sprintf(`sort(1000 * ALERTS_FOR_STATE{%[1]s} and ignoring (alertstate) ALERTS{%[1]s, alertstate="firing"})`, where), now: true,
		}},
		columns: []column{
			{from: "alertname", name: "Alarm"}, {from: "instance", name: "At"}, {from: "Value", name: "Since", unit: units.DateTimeFromNow}, {from: "job"},
		},
	}
}

// quantiles asks for several of a histogram.
func quantiles(histogram string, which ...string) []query {
	names := map[string]string{"0.5": "half", "0.95": "95 %", "0.99": "99 %"}
	var all []query
	for _, q := range which {
		all = append(all, query{expr: fmt.Sprintf("histogram_quantile(%s, %s)", q, histogram), legend: names[q]})
	}
	return all
}

// machine is the process itself.
func machine(where, buildInfo string, width, height uint32) panel {
	return panel{
		kind: statOf(), title: "The program", width: width, height: height, thresholds: plain, decimals: new(1.0),
		about: "Memory, cores at work, and since when it runs. A start that nobody wanted is in the log.",
		queries: []query{
			{expr: fmt.Sprintf(`process_resident_memory_bytes{%s}`, where), legend: "memory", unit: units.BytesIEC},
			{expr: fmt.Sprintf(`rate(process_cpu_seconds_total{%s}[$__rate_interval])`, where), legend: "cores"},
			{expr: fmt.Sprintf(`(time() - process_start_time_seconds{%[1]s}) * on (instance) group_left (version) %[2]s{%[1]s}`, where, buildInfo), legend: "version {{version}} runs for", unit: units.Seconds},
		},
	}
}

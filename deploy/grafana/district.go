package main

// district is for whoever runs the console over many plants.
func district() *board {
	d := over("thermogate-district", "Thermogate: a district",
		"The console over many plants: whether all of them are heard, how late what it shows is, and what waits.",
		choice("district", "District", "label_values(thermogate_district_connected, instance)"))

	d.WithRow(row("Is anything wrong?")).
		WithPanel(alarms(`job="thermogate-district"`, 10, 8)).
		WithPanel(panel{
			kind: statOf(), title: "Plants", width: 5, height: 8, decimals: new(0.0), thresholds: plain,
			about:   "Silent: nothing for 3 minutes; the plant goes on by itself. Degraded: a gate of it is not well. Unknown: no gate was ever heard.",
			queries: []query{{expr: `thermogate_district_sites{instance="$district"}`, legend: "{{state}}"}},
		}).
		WithPanel(panel{
			kind: statOf(), title: "Open alerts", width: 3, height: 8, decimals: new(0.0), thresholds: plain,
			about:   "Of all plants. Plants see to them; the district only watches.",
			queries: []query{{expr: `thermogate_console_open_alerts{instance="$district"}`, legend: "open"}},
		}).
		WithPanel(panel{
			kind: timeline(), title: "The district's console", width: 6, height: 8, mappings: wellOrNot("well", "wrong"),
			about: "Green is well, red is wrong. What plants send meanwhile waits in the stream or in their outboxes.",
			queries: []query{
				{expr: `up{instance="$district"}`, legend: "answers"},
				{expr: `thermogate_district_connected{instance="$district"}`, legend: "stream"},
				{expr: `1 - thermogate_district_store_failing{instance="$district"}`, legend: "store"},
				{expr: `1 - thermogate_console_reports_failing{instance="$district"}`, legend: "folder of reports"},
			},
		})

	d.WithRow(row("What comes in, and how late")).
		WithPanel(panel{
			kind: limited(), title: "From the plant to the district's store", width: 12, height: 8, unit: seconds, thresholds: rising(2),
			about:   "Half, 95 % and 99 % of events were there within this time; those that are older than an hour, since a link was away, do not count.",
			queries: quantiles(`sum by (le) (rate(thermogate_district_delay_seconds_bucket{instance="$district"}[5m]))`, "0.5", "0.95", "0.99"),
		}).
		WithPanel(panel{
			kind: graph(), title: "Messages a second", width: 12, height: 8, about: "Stored, by kind, and the events among them that were new.",
			queries: []query{
				{expr: `sum by (kind) (rate(thermogate_district_messages_total{instance="$district"}[$__rate_interval]))`, legend: "{{kind}}"},
				{expr: `rate(thermogate_district_events_total{instance="$district"}[$__rate_interval])`, legend: "new events"},
			},
		}).
		WithPanel(panel{
			kind: graph(), title: "Messages that wait in the stream", width: 8, height: 8, decimals: new(0.0),
			about:   "Sent by plants and not stored by the district yet. It grows while PostgreSQL or all who store are away, and falls after it.",
			queries: []query{{expr: `thermogate_district_pending_messages{instance="$district"}`, legend: "wait"}},
		}).
		WithPanel(panel{
			kind: statOf(), title: "Refused", width: 8, height: 8, decimals: new(0.0), thresholds: rising(1),
			about:   "Messages in the time range that can't be stored and are kept aside; the log says of which plant and why.",
			queries: []query{{expr: `increase(thermogate_district_refused_total{instance="$district"}[$__range])`, legend: "refused", now: true}},
		}).
		WithPanel(machine(`instance="$district"`, "thermogate_console_build_info", 8, 8))

	return d.WithRow(row("At the plants")).
		WithPanel(panel{
			kind: graph(), title: "Messages that wait at plants", width: 12, height: 8, decimals: new(0.0),
			about:   "By plant's console, the ten with most; of those that this Prometheus asks.",
			queries: []query{{expr: `topk(10, thermogate_console_district_waiting_messages)`, legend: "{{instance}}"}},
		}).
		WithPanel(panel{
			kind: rows(), title: "Plants' consoles", width: 12, height: 8,
			about: "Of those that this Prometheus asks. One leads to the plant's dashboard.",
			queries: []query{
				{expr: `thermogate_console_district_connected`, now: true},
				{expr: `thermogate_console_district_waiting_messages`, now: true},
				{expr: `thermogate_console_open_alerts and on (instance) thermogate_console_district_connected`, now: true},
			},
			columns: []column{
				{from: "instance", name: "Console", link: "/d/thermogate-plant?var-console=${__data.fields.Console}&${__url_time_range}"},
				{from: "Value #A", name: "Link", mappings: wellOrNot("connected", "away")},
				{from: "Value #B", name: "Waiting messages"},
				{from: "Value #C", name: "Open alerts"},
				{from: "__name__"}, {from: "job"},
			},
		})
}

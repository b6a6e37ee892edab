package main

// named gives a series of gates their site and name. A gate that is gone keeps it for a day, and one that was renamed has the
// name that comes first.
const named = ` * on (instance) group_left (site, gate) topk by (instance) (1, last_over_time(thermogate_gate_info{site=~"$site"}[1d]))`

// plant is for whoever looks after all gates of a site and its console.
func plant() *board {
	d := over("thermogate-plant", "Thermogate: a plant",
		"All gates of a site and its console: what is wrong and since when, how people get through, how soon alerts are taken.",
		choices("site", "Site", "label_values(thermogate_gate_info, site)"),
		choice("console", "Console", "label_values(thermogate_console_gates, instance)"))

	toGate := "/d/thermogate-gate?var-site=${__data.fields.Site}&var-gate=${__data.fields.Gate}&${__url_time_range}"
	verdicts := func(outcome, window string) string {
		return `sum by (site, gate) (rate(thermogate_screenings_total{` + outcome + `}[` + window + `])` + named + `)`
	}
	d.WithRow(row("Is anything wrong?")).
		WithPanel(alarms(`job=~"thermogate.*"`, 10, 8)).
		WithPanel(panel{
			kind: statOf(), title: "Gates, as the console sees them", width: 9, height: 8, decimals: new(0.0), thresholds: plain,
			about: "Faulty: camera, reference source or the readings of people are not as they should be. Silent: nothing has come from it for 12 s. Of all sites of this console.",
			queries: []query{
				{expr: `thermogate_console_gates{instance="$console"}`, legend: "{{state}}"},
			},
		}).
		WithPanel(panel{
			kind: statOf(), title: "Open alerts", width: 5, height: 4, decimals: new(0.0), thresholds: rising(1, 5),
			about:   "Alerts that no guard has closed yet. The console's page Now has them.",
			queries: []query{{expr: `thermogate_console_open_alerts{instance="$console"}`, legend: "open"}},
		}).
		WithPanel(panel{
			kind: timeline(), title: "The console", width: 24, height: 5, mappings: wellOrNot("well", "wrong"),
			about: "Green is well, red is wrong. What gates publish meanwhile waits at the broker or in their journals.",
			queries: []query{
				{expr: `up{instance="$console"}`, legend: "answers"},
				{expr: `thermogate_console_broker_connected{instance="$console"}`, legend: "broker"},
				{expr: `1 - thermogate_console_store_failing{instance="$console"}`, legend: "store"},
				{expr: `1 - thermogate_console_reports_failing{instance="$console"}`, legend: "folder of reports"},
			},
		}).
		WithPanel(panel{
			kind: rows(), title: "Gate by gate", width: 24, height: 9,
			about: "A gate leads to its own dashboard. Screenings within 5 minutes; seconds, and shares of all verdicts, within half an hour.",
			queries: []query{
				{expr: `thermogate_camera_state{state="ok"}` + named, now: true},
				{expr: `thermogate_reference_state{state="ok"}` + named, now: true},
				{expr: `60 * ` + verdicts("", "5m"), now: true},
				{expr: `histogram_quantile(0.95, sum by (site, gate, le) (rate(thermogate_time_to_verdict_seconds_bucket[30m])` + named + `))`, now: true},
				{expr: verdicts(`outcome="alert"`, "30m") + ` / ` + verdicts("", "30m"), now: true},
				{expr: verdicts(`outcome="inconclusive"`, "30m") + ` / ` + verdicts("", "30m"), now: true},
				{expr: `thermogate_journal_backlog_events` + named, now: true},
			},
			columns: []column{
				{from: "site", name: "Site"}, {from: "gate", name: "Gate", link: toGate},
				{from: "Value #A", name: "Camera", mappings: wellOrNot("well", "wrong")},
				{from: "Value #B", name: "Reference", mappings: wellOrNot("well", "wrong")},
				{from: "Value #C", name: "Screenings a minute"},
				{from: "Value #D", name: "95 % within", unit: seconds, thresholds: rising(1)},
				{from: "Value #E", name: "Alerts", unit: share},
				{from: "Value #F", name: "Inconclusive", unit: share, thresholds: rising(.3)},
				{from: "Value #G", name: "Events that wait", thresholds: rising(10)},
				{from: "instance"}, {from: "job"}, {from: "state"},
			},
		})

	d.WithRow(row("People")).
		WithPanel(panel{
			kind: stacked(), title: "Screenings a minute by gate", width: 12, height: 8,
			about:   "Verdicts of all outcomes. Somebody who looks again counts again.",
			queries: []query{{expr: `60 * ` + verdicts("", "$__rate_interval"), legend: "{{site}} {{gate}}"}},
		}).
		WithPanel(panel{
			kind: limited(), title: "Seconds to a verdict", width: 12, height: 8, unit: seconds, thresholds: rising(1),
			about:   "From the first picture in which the face could be measured to the verdict, over all gates. Half, 95 % and 99 % of people had theirs within this time.",
			queries: quantiles(`sum by (le) (rate(thermogate_time_to_verdict_seconds_bucket[5m])`+named+`)`, "0.5", "0.95", "0.99"),
		}).
		WithPanel(panel{
			kind: stacked(), title: "Outcomes a minute", width: 8, height: 8, colours: outcomes, about: "Verdicts of all gates.",
			queries: []query{{
				expr: `60 * sum by (outcome) (rate(thermogate_screenings_total[$__rate_interval])` + named + `)`, legend: "{{outcome}}",
			}},
		}).
		WithPanel(panel{
			kind: bars(), title: "Why inconclusive", width: 8, height: 8, thresholds: plain, decimals: new(0.0),
			about: "Inconclusive verdicts in the time range by their reason, the most frequent first.",
			queries: []query{{
				expr:   `sort_desc(sum by (reason) (increase(thermogate_screenings_total{outcome="inconclusive"}[$__range])` + named + `) > 0)`,
				legend: "{{reason}}", now: true,
			}},
		}).
		WithPanel(panel{
			kind: warmth(), title: "What people usually read", width: 8, height: 8, unit: celsius, decimals: new(2.0),
			about:   "By gate. One that drifts away from the others has something wrong with its reference source, its lens or its place.",
			queries: []query{{expr: `thermogate_baseline_celsius` + named, legend: "{{site}} {{gate}}"}},
		})

	d.WithRow(row("Alerts")).
		WithPanel(panel{
			kind: limited(), title: "Time until somebody takes an alert", width: 12, height: 8, unit: seconds, thresholds: rising(60, 180),
			about:   "Half and 95 % of those of the last hour. After 3 minutes an alert goes to the shift leader, too.",
			queries: quantiles(`sum by (le) (rate(thermogate_console_alert_taken_seconds_bucket{instance="$console"}[1h]))`, "0.5", "0.95"),
		}).
		WithPanel(panel{
			kind: graph(), title: "Alerts", width: 12, height: 8, decimals: new(0.0),
			about: "Open now, and taken within the last hour.",
			queries: []query{
				{expr: `thermogate_console_open_alerts{instance="$console"}`, legend: "open"},
				{expr: `increase(thermogate_console_alert_taken_seconds_count{instance="$console"}[1h])`, legend: "taken within an hour"},
			},
		})

	d.WithRow(row("What reaches the console")).
		WithPanel(panel{
			kind: graph(), title: "Events a minute", width: 8, height: 8,
			about: "New ones stored, and those that came once more, which is usual after a break.",
			queries: []query{
				{expr: `60 * rate(thermogate_console_events_total{instance="$console"}[$__rate_interval])`, legend: "stored"},
				{expr: `60 * rate(thermogate_console_repeated_events_total{instance="$console"}[$__rate_interval])`, legend: "came again"},
				{expr: `60 * rate(thermogate_console_refused_messages_total{instance="$console"}[$__rate_interval])`, legend: "no gate's message"},
			},
		}).
		WithPanel(panel{
			kind: graph(), title: "Time to store a batch", width: 8, height: 8, unit: seconds, about: "On average. A slow disk shows here first.",
			queries: []query{{
				expr: `rate(thermogate_console_commit_seconds_total{instance="$console"}[5m])` +
					` / (rate(thermogate_console_commits_total{instance="$console"}[5m]) > 0)`,
				legend: "store",
			}},
		}).
		WithPanel(panel{
			kind: statOf(), title: "Missing events", width: 8, height: 8, decimals: new(0.0), thresholds: rising(1),
			about: "Asked for: the gates are to send them again. Lost: in the time range, and no gate holds them any more; the log says of which gate.",
			queries: []query{
				{expr: `thermogate_console_wanted_events{instance="$console"}`, legend: "asked for"},
				{expr: `increase(thermogate_console_lost_events_total{instance="$console"}[$__range])`, legend: "lost", now: true},
			},
		}).
		WithPanel(machine(`instance="$console"`, "thermogate_console_build_info", 24, 4))

	return d.WithRow(row("On to the district")).
		WithPanel(panel{
			kind: timeline(), title: "Link to the district", width: 8, height: 8, mappings: wellOrNot("connected", "away"),
			about:   "While it is away, all goes on at the plant, and messages wait in the console's store. A console of no district has nothing here.",
			queries: []query{{expr: `thermogate_console_district_connected{instance="$console"}`, legend: "district"}},
		}).
		WithPanel(panel{
			kind: graph(), title: "Messages that wait for the district", width: 8, height: 8, decimals: new(0.0),
			about:   "They go out in order once the district is there.",
			queries: []query{{expr: `thermogate_console_district_waiting_messages{instance="$console"}`, legend: "wait"}},
		}).
		WithPanel(panel{
			kind: graph(), title: "Messages a minute to the district", width: 8, height: 8,
			about: "Sent and confirmed, and not taken: these wait and are sent again, and the log says why.",
			queries: []query{
				{expr: `60 * rate(thermogate_console_district_sent_total{instance="$console"}[$__rate_interval])`, legend: "sent"},
				{expr: `60 * rate(thermogate_console_district_refused_total{instance="$console"}[$__rate_interval])`, legend: "not taken"},
			},
		})
}

package main

// gate is for the technician of one gate.
func gate() *board {
	d := over("thermogate-gate", "Thermogate: a gate",
		"What is wrong with one gate and since when, how quickly it decides, and whether its numbers can be trusted.",
		choice("site", "Site", "label_values(thermogate_gate_info, site)"),
		choice("gate", "Gate", `label_values(thermogate_gate_info{site="$site"}, gate)`),
		choice("instance", "Address", `label_values(thermogate_gate_info{site="$site", gate="$gate"}, instance)`))

	d.WithRow(row("Is anything wrong?")).
		WithPanel(alarms(`instance="$instance"`, 10, 8)).
		WithPanel(panel{
			kind: timeline(), title: "Parts of the gate", width: 14, height: 8, mappings: wellOrNot("well", "wrong"),
			about: "Green is well, red is wrong. The beginning of a red stretch is since when. The page /status of the gate says what to do.",
			queries: []query{
				{expr: `up{job="thermogate", instance="$instance"}`, legend: "answers"},
				{expr: `thermogate_camera_state{instance="$instance", state="ok"}`, legend: "camera"},
				{expr: `thermogate_reference_state{instance="$instance", state="ok"}`, legend: "reference source"},
				{expr: `1 - thermogate_group_state{instance="$instance", state="baseline-shift"}`, legend: "readings of people"},
				{expr: `thermogate_broker_connected{instance="$instance"}`, legend: "broker"},
				{expr: `thermogate_journal_backlog_events{instance="$instance"} < bool 10`, legend: "events get away"},
				{expr: `1 - thermogate_journal_failing{instance="$instance"}`, legend: "disk"},
				{expr: `sum(increase(thermogate_door_commands_total{instance="$instance", result=~"refused|unanswered"}[5m])) == bool 0`, legend: "door"},
				{expr: `1 - thermogate_paused{instance="$instance"}`, legend: "not paused"},
			},
		})

	d.WithRow(row("People")).
		WithPanel(panel{
			kind: stacked(), title: "Screenings a minute", width: 12, height: 8, colours: outcomes,
			about: "Verdicts by outcome. Somebody who looks again counts again.",
			queries: []query{{
				expr: `60 * sum by (outcome) (rate(thermogate_screenings_total{instance="$instance"}[$__rate_interval]))`, legend: "{{outcome}}",
			}},
		}).
		WithPanel(panel{
			kind: limited(), title: "Seconds to a verdict", width: 12, height: 8, unit: seconds, thresholds: rising(1),
			about:   "From the first picture in which the face could be measured to the verdict. Half, 95 % and 99 % of people had theirs within this time; it is to be 1 s at most.",
			queries: quantiles(`sum by (le) (rate(thermogate_time_to_verdict_seconds_bucket{instance="$instance"}[5m]))`, "0.5", "0.95", "0.99"),
		}).
		WithPanel(panel{
			kind: bars(), title: "Outcomes", width: 6, height: 9, unit: share, thresholds: plain, colours: outcomes,
			about: "Share of all verdicts in the time range.",
			queries: []query{{
				expr: `sum by (outcome) (increase(thermogate_screenings_total{instance="$instance"}[$__range]))` +
					` / on () group_left () sum(increase(thermogate_screenings_total{instance="$instance"}[$__range]))`,
				legend: "{{outcome}}", now: true,
			}},
		}).
		WithPanel(panel{
			kind: bars(), title: "Why inconclusive", width: 9, height: 9, thresholds: plain, decimals: new(0.0),
			about: "Inconclusive verdicts in the time range by their reason, the most frequent first. The README says what each reason means and what helps.",
			queries: []query{{
				expr:   `sort_desc(sum by (reason) (increase(thermogate_screenings_total{instance="$instance", outcome="inconclusive"}[$__range])) > 0)`,
				legend: "{{reason}}", now: true,
			}},
		}).
		WithPanel(panel{
			kind: limited(), title: "Share of inconclusive", width: 9, height: 9, unit: share, thresholds: rising(.3),
			about: "Of all verdicts within half an hour. Above 30 % something keeps the gate from seeing people well.",
			queries: []query{{
				expr: `sum(rate(thermogate_screenings_total{instance="$instance", outcome="inconclusive"}[30m]))` +
					` / sum(rate(thermogate_screenings_total{instance="$instance"}[30m]))`,
				legend: "inconclusive",
			}},
		})

	d.WithRow(row("Can its numbers be trusted?")).
		WithPanel(panel{
			kind: warmth(), title: "What people read", width: 8, height: 8, unit: celsius, decimals: new(2.0),
			about: "The usual reading by which the gate compares people, and the median of all who were measured within half an hour. " +
				"Both drift by some tenths with the weather; a jump of everybody is a matter of reference source, lens or draught.",
			queries: append([]query{{expr: `thermogate_baseline_celsius{instance="$instance"}`, legend: "usual reading"}},
				query{expr: `histogram_quantile(0.5, sum by (le) (rate(thermogate_skin_temperature_celsius_bucket{instance="$instance"}[30m])))`, legend: "median"}),
		}).
		WithPanel(panel{
			kind: warmth(), title: "Reference source", width: 8, height: 8, unit: celsius, decimals: new(2.0),
			about: "How warm it is, and what the camera reads on it. Nothing is drawn while it is not found.",
			queries: []query{
				{expr: `thermogate_reference_nominal_celsius{instance="$instance"}`, legend: "is"},
				{expr: `thermogate_reference_measured_celsius{instance="$instance"}`, legend: "reads"},
			},
		}).
		WithPanel(panel{
			kind: warmth(), title: "Correction by the reference source", width: 8, height: 8, unit: celsius, decimals: new(2.0),
			about: "What is added to every temperature, and how sure that is (one standard deviation). A steady drift is usual of an uncooled camera.",
			queries: []query{
				{expr: `thermogate_reference_correction_celsius{instance="$instance"}`, legend: "correction"},
				{expr: `thermogate_reference_uncertainty_celsius{instance="$instance"}`, legend: "uncertainty"},
			},
		}).
		WithPanel(panel{
			kind: statOf(), title: "To be looked into", width: 24, height: 4, thresholds: rising(1), decimals: new(0.0),
			about: "In the time range: passes that later pictures took back, verdicts that came too late for their people, the door locked early because somebody else stepped up, the camera opened again after it stalled or was gone, commands and other messages that were not well formed or not allowed, and wrong passwords.",
			queries: []query{
				{expr: `increase(thermogate_alerts_revised_total{instance="$instance"}[$__range])`, legend: "passes taken back", now: true},
				{expr: `increase(thermogate_verdicts_late_total{instance="$instance"}[$__range])`, legend: "late verdicts", now: true},
				{expr: `increase(thermogate_door_locked_early_total{instance="$instance"}[$__range])`, legend: "door locked early", now: true},
				{expr: `increase(thermogate_camera_reopened_total{instance="$instance"}[$__range])`, legend: "camera opened again", now: true},
				{expr: `increase(thermogate_messages_refused_total{instance="$instance"}[$__range])`, legend: "messages refused", now: true},
				{expr: `increase(thermogate_wrong_passwords_total{instance="$instance"}[$__range])`, legend: "wrong passwords", now: true},
			},
		})

	d.WithRow(row("Events on their way, the door, and badges")).
		WithPanel(panel{
			kind: graph(), title: "Events that wait", width: 7, height: 8, decimals: new(0.0),
			about: "For the disk: kept in memory only. For the broker: it has not confirmed them. For a receiver: a console that has said what it holds lacks them.",
			queries: []query{
				{expr: `thermogate_journal_waiting_events{instance="$instance"}`, legend: "for the disk"},
				{expr: `thermogate_journal_backlog_events{instance="$instance"}`, legend: "for the broker"},
				{expr: `thermogate_journal_unstored_events{instance="$instance"}`, legend: "for a receiver"},
			},
		}).
		WithPanel(panel{
			kind: statOf(), title: "Events lost", width: 4, height: 8, thresholds: rising(1), decimals: new(0.0),
			about: "In the time range. Anything above 0 needs a person: the disk is full, or the broker or a receiver was away for too long.",
			queries: []query{
				{expr: `increase(thermogate_events_lost_total{instance="$instance"}[$__range])`, legend: "not kept", now: true},
				{expr: `increase(thermogate_journal_dropped_events_total{instance="$instance"}[$__range])`, legend: "deleted unsent", now: true},
				{expr: `increase(thermogate_journal_dropped_unstored_events_total{instance="$instance"}[$__range])`, legend: "deleted unstored", now: true},
			},
		}).
		WithPanel(panel{
			kind: stacked(), title: "Passes by what the door did", width: 7, height: 8, decimals: new(0.0),
			about: "A minute. Refused: it said no. Unanswered: nobody knows whether it opened. Not told: too late, or somebody else stood nearer. A gate without a door has none.",
			queries: []query{{
				expr: `60 * sum by (result) (rate(thermogate_door_commands_total{instance="$instance"}[$__rate_interval]))`, legend: "{{result}}",
			}},
		}).
		WithPanel(panel{
			kind: stacked(), title: "Badges and codes read", width: 6, height: 8, decimals: new(0.0),
			about: "A minute. Taken, or why not: expired, forged, revoked and so on. One reader whose reads are all refused has another site's key, or a layout of its own. A gate without readers has none.",
			queries: []query{{
				expr:   `60 * sum by (reader, result) (rate(thermogate_badge_reads_total{instance="$instance"}[$__rate_interval]))`,
				legend: "{{reader}}: {{result}}",
			}},
		})

	return d.WithRow(row("The machine")).
		WithPanel(panel{
			kind: graph(), title: "Frames a second", width: 8, height: 8, decimals: new(1.0),
			about: "What the camera delivers, and what was skipped because a newer frame was there already: then the machine is too slow, or busy with something else.",
			queries: []query{
				{expr: `rate(thermogate_frames_captured_total{instance="$instance"}[$__rate_interval])`, legend: "delivered"},
				{expr: `rate(thermogate_frames_dropped_total{instance="$instance"}[$__rate_interval])`, legend: "skipped"},
			},
		}).
		WithPanel(panel{
			kind: graph(), title: "Time a frame takes", width: 8, height: 8, unit: seconds,
			about: "On average, by stage.",
			queries: []query{{
				expr: `sum by (stage) (rate(thermogate_stage_duration_seconds_sum{instance="$instance"}[$__rate_interval]))` +
					` / sum by (stage) (rate(thermogate_stage_duration_seconds_count{instance="$instance"}[$__rate_interval]))`,
				legend: "{{stage}}",
			}},
		}).
		WithPanel(machine(`instance="$instance"`, "thermogate_build_info", 8, 8))
}

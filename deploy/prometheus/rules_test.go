// Package prometheus tests what ships for Prometheus.
package prometheus

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

type rule struct {
	Alert       string
	Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("thermogate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// series is one in promtool's notation, a sample a minute: of an instance at which something is wrong, and of one at which
// all is well, or not wrong for long enough.
type series struct{ metric, ill, well string }

// alarms are what each rule is to fire on, and what it is not.
var alarms = map[string]struct {
	at     string // when it is asked, from the start
	value  string // that the summary says
	labels string // of the alert, beside the instance
	series []series
}{
	"GateDown":        {"3m", "", "job: thermogate", []series{{`up{job="thermogate"}`, "1 0x9", "1 1 1 0x7"}}},
	"GateCameraNotOK": {"3m", "", "state: ok", []series{{`thermogate_camera_state{state="ok"}`, "1 0x9", "0 0 1x8"}}},
	"GateReferenceUnusable": {"6m", "", "state: ok", []series{
		{`thermogate_reference_state{state="ok"}`, "0x9", "0x9"},
		{`thermogate_camera_state{state="ok"}`, "1x9", "0x9"}, // a camera that is gone is another alarm
	}},
	"GateBaselineShifted": {"0m", "", "state: baseline-shift", []series{
		{`thermogate_group_state{state="baseline-shift"}`, "1x9", "0x9"}, {`thermogate_group_state{state="group-unknown"}`, "0x9", "1x9"},
	}},
	"GateEventsWaiting": {"9m", "12", "", []series{{"thermogate_journal_backlog_events", "12x9", "12x5 0 12x9"}}},
	"GateEventsLost":    {"20m", "10", "", []series{{"thermogate_events_lost_total", "0+1x30", "7x30"}}},
	"GateDiskFails":     {"3m", "", "", []series{{"thermogate_journal_failing", "1x9", "1 1 0x7"}}},
	"GateJournalFull":   {"20m", "20", "", []series{{"thermogate_journal_dropped_events_total", "0+2x30", "9x30"}}},
	"GateReceiverBehind": {"5h", "9", "", []series{
		{"thermogate_journal_unstored_events", "9x400", "9x150 0 9x249"},
	}},
	"GateReceiverNeverCame": {"20m", "10", "", []series{{"thermogate_journal_dropped_unstored_events_total", "0+1x30", "9x30"}}},
	"GateJournalDamaged": {"20m", "", "", []series{
		{"thermogate_journal_damaged", "1x30", "0x30"}, {"thermogate_journal_unreadable_events_total", "0x30", "4x30"},
	}},
	"GateRefusesMessages": {"30m", "15", "", []series{{"thermogate_messages_refused_total", "0+1x40", "0 0+0.5x40"}}},
	"GatePasswordGuessed": {"30m", "30", "", []series{{"thermogate_wrong_passwords_total", "0+2x40", "0+1x40"}}},
	"GateSparkplugBehind": {"20m", "10", "", []series{{"thermogate_sparkplug_events_skipped_total", "0+1x30", "3x30"}}},
	"GatePausedLong":      {"90m", "", "", []series{{"thermogate_paused", "1x100", "1x50 0 1x50"}}},
	"GateDoorDisobeys": {"20m", "10", "", []series{
		{`thermogate_door_commands_total{result="unanswered"}`, "0+1x30", "2x30"}, {`thermogate_door_commands_total{result="accepted"}`, "0+1x30", "0+1x30"},
	}},
	"GateVerdictsLate":  {"30m", "15", "", []series{{"thermogate_verdicts_late_total", "0+1x40", "0+0.1x40"}}},
	"GatePassesRevised": {"90m", "60", "", []series{{"thermogate_alerts_revised_total", "0+1x100", "0+0.01x100"}}},
	"GateManyInconclusive": {"30m", "", "", []series{
		{`thermogate_screenings_total{outcome="pass", reason="below-threshold"}`, "0+6x40", "0+8x40"},
		{`thermogate_screenings_total{outcome="inconclusive", reason="covered"}`, "0+4x40", "0+2x40"},
	}},
	"GateSlowVerdicts": {"50m", "1.99s", "", []series{
		{`thermogate_time_to_verdict_seconds_bucket{le="1"}`, "0x60", "0+10x60"},
		{`thermogate_time_to_verdict_seconds_bucket{le="2"}`, "0+10x60", "0+10x60"},
		{`thermogate_time_to_verdict_seconds_bucket{le="+Inf"}`, "0+10x60", "0+10x60"},
	}},

	"ConsoleDown":          {"4m", "", "job: thermogate-console", []series{{`up{job="thermogate-console"}`, "1 0x9", "1 1 0 1x7"}}},
	"ConsoleWithoutBroker": {"4m", "", "", []series{{"thermogate_console_broker_connected", "1 0x9", "0 1 0 1x7"}}},
	"ConsoleStoreFails":    {"4m", "", "", []series{{"thermogate_console_store_failing", "0 1x9", "1 0 1 0x7"}}},
	"ConsoleEventsLost":    {"20m", "10", "", []series{{"thermogate_console_lost_events_total", "0+1x30", "17x30"}}},
	"ConsoleReportsFail":   {"90m", "", "", []series{{"thermogate_console_reports_failing", "1x100", "1x50 0 1x50"}}},
	"PlantWithoutDistrict": {"45m", "", "", []series{{"thermogate_console_district_connected", "0x60", "0x20 1 0x40"}}},
	"PlantBehind": {"45m", "500", "", []series{
		{"thermogate_console_district_connected", "1x60", "1x60"}, {"thermogate_console_district_waiting_messages", "500x60", "500x20 3 500x40"},
	}},

	"DistrictDown":          {"4m", "", "job: thermogate-district", []series{{`up{job="thermogate-district"}`, "1 0x9", "1 1 0 1x7"}}},
	"DistrictWithoutStream": {"4m", "", "", []series{{"thermogate_district_connected", "1 0x9", "0 1 0 1x7"}}},
	"DistrictStoreFails":    {"4m", "", "", []series{{"thermogate_district_store_failing", "0 1x9", "1 0 1 0x7"}}},
	"DistrictPlantsSilent":  {"30m", "3", "state: silent", []series{{`thermogate_district_sites{state="silent"}`, "3x40", "3x20 0 3x40"}}},
	"DistrictStoresNothing": {"20m", "9", "", []series{
		{"thermogate_district_pending_messages", "9x30", "9x30"},
		{`thermogate_district_messages_total{kind="event"}`, "70x30", "70+5x30"},
		{`thermogate_district_messages_total{kind="status"}`, "70x30", "70x30"},
	}},
	"DistrictLate": {"60m", "", "", []series{
		{`thermogate_district_delay_seconds_bucket{le="60"}`, "0x80", "0+9x80"},
		{`thermogate_district_delay_seconds_bucket{le="300"}`, "0+9x80", "0+9x80"},
		{`thermogate_district_delay_seconds_bucket{le="+Inf"}`, "0+9x80", "0+9x80"},
	}},
	"DistrictRefuses": {"30m", "15", "", []series{{"thermogate_district_refused_total", "0+1x40", "8x40"}}},
}

var value = regexp.MustCompile(`\{\{ \$value .*?\}\}`)

// TestAlarms has promtool work out every rule for an instance that is ill and one that is well.
func TestAlarms(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian package prometheus)")
	}
	file, err := filepath.Abs("thermogate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var test strings.Builder
	fmt.Fprintf(&test, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", file)
	for _, r := range rules(t) {
		alarm, there := alarms[r.Alert]
		if !there {
			t.Errorf("%s is never tried", r.Alert)
			continue
		}
		fmt.Fprintf(&test, "  - interval: 1m\n    input_series:\n")
		for _, s := range alarm.series {
			name, labels, _ := strings.Cut(strings.TrimSuffix(s.metric, "}"), "{")
			for instance, values := range map[string]string{"ill": s.ill, "well": s.well} {
				fmt.Fprintf(&test, "      - series: '%s{%s}'\n        values: '%s'\n", name, strings.TrimPrefix(labels+`, instance="`+instance+`"`, ", "), values)
			}
		}
		summary := strings.ReplaceAll(r.Annotations["summary"], "{{ $labels.instance }}", "ill")
		summary = value.ReplaceAllString(summary, alarm.value)
		fmt.Fprintf(&test, "    alert_rule_test:\n      - eval_time: %s\n        alertname: %s\n        exp_alerts:\n", alarm.at, r.Alert)
		fmt.Fprintf(&test, "          - exp_labels: {instance: ill%s}\n", strings.TrimSuffix(", "+alarm.labels, ", "))
		fmt.Fprintf(&test, "            exp_annotations: {runbook: %q, summary: %q}\n", r.Annotations["runbook"], summary)
	}
	path := filepath.Join(t.TempDir(), "alarms.yml")
	if err := os.WriteFile(path, []byte(test.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "test", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// TestRunbook follows what each alarm says that one should read.
func TestRunbook(t *testing.T) {
	for _, r := range rules(t) {
		page, anchor, _ := strings.Cut(r.Annotations["runbook"], "#")
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatalf("%s: %v", r.Alert, err)
		}
		var section string
		for _, part := range regexp.MustCompile(`(?m)^##+ `).Split(string(text), -1) {
			if heading, _, _ := strings.Cut(part, "\n"); strings.ReplaceAll(strings.ToLower(heading), " ", "-") == anchor {
				section = part
			}
		}
		if !slices.Contains(regexp.MustCompile(`\w+`).FindAllString(section, -1), r.Alert) {
			t.Errorf("%s leads to %s#%s, which does not tell of it", r.Alert, page, anchor)
		}
	}
}

// TestJobs has it that the configuration that ships asks all that the rules are about.
func TestJobs(t *testing.T) {
	config, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("thermogate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{"thermogate": "plant", "thermogate-console": "plant", "thermogate-district": "district"}
	for _, job := range regexp.MustCompile(`job="([\w-]+)"`).FindAllStringSubmatch(string(rules), -1) {
		composed, err := os.ReadFile("../compose/" + of[job[1]] + "/prometheus.yml")
		if err != nil || !strings.Contains(string(composed), "job_name: "+job[1]+"\n") {
			t.Errorf("the containers of a %s ask no %s: %v", of[job[1]], job[1], err)
		}
		if !regexp.MustCompile(`job_name: ` + job[1] + `\b[^-]`).Match(config) {
			t.Errorf("prometheus.yml asks no %s", job[1])
		}
	}
}

package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/metrics"
)

func pointer(v float64) *float64 { return &v }

func sample(outcome event.Outcome, reason event.Reason, skin, took *float64) event.Event {
	return event.Event{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Data: event.Data{
		Outcome: outcome, Reason: reason, SkinCelsius: skin, SecondsToVerdict: took}}
}

func scene(people int, reference event.ReferenceSource) *event.Scene {
	return &event.Scene{
		Captured:  time.UnixMilli(1_600_000_000_500),
		Reference: reference,
		People:    make([]event.Person, people),
		Stages:    event.StageTimes{Radiometry: time.Millisecond, Face: 6 * time.Millisecond},
	}
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: status %d, %v", w.Code, err)
	}
	return string(body)
}

// values returns the samples of a scrape by series.
func values(text string) map[string]string {
	samples := map[string]string{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			i := strings.LastIndexByte(line, ' ')
			samples[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return samples
}

var referenceFound = event.ReferenceSource{Found: true, NominalCelsius: 37, MeasuredCelsius: 35.5, CorrectionCelsius: 1.5, UncertaintyCelsius: .1}

func TestValues(t *testing.T) {
	m := metrics.New("v1.2.3")
	m.SetGate("plant", "north")
	m.SetCamera(event.CameraOK)
	m.AddCaptured(5)
	m.AddDropped(2)
	m.AddReopened()
	m.SetBroker(true)
	m.SetBacklog(4)
	m.SetStored(2, 17)
	m.AddLost()
	m.SetJournal(true, 6)
	m.SetPaused(true)
	m.SetTotals(metrics.Totals{CommandsObeyed: 1, MessagesRefused: 2})
	m.SetTotals(metrics.Totals{CommandsObeyed: 1, MessagesRefused: 7, SparkplugSkipped: 3, JournalDropped: 4, UnstoredDropped: 6, JournalUnreadable: 5, JournalWasSetAside: true, WrongPasswords: 9})
	for _, passers := range []int{3, 4, 1} { // the count begins again with another camera
		crowd := scene(2, referenceFound)
		crowd.Passers = passers
		m.ObserveScene(crowd)
	}
	m.AddLate()
	m.AddDoorLockedEarly()
	m.ObserveEvent(sample(event.Pass, event.BelowThreshold, pointer(34.6), pointer(.55)))
	revising := sample(event.Alert, event.AboveThreshold, pointer(36.9), pointer(1.2))
	revising.Data.Revises = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	revising.Data.BaselineCelsius = pointer(34.9)
	m.ObserveEvent(revising)
	m.ObserveEvent(sample(event.Inconclusive, event.WalkedThrough, nil, nil))
	m.ObserveEvent(sample(event.Inconclusive, event.TooFar, nil, nil))

	got := values(scrape(t, m))
	for series, want := range map[string]string{
		`thermogate_screenings_total{outcome="pass",reason="below-threshold"}`:  "1",
		`thermogate_screenings_total{outcome="alert",reason="above-threshold"}`: "1",
		`thermogate_screenings_total{outcome="inconclusive",reason="too-far"}`:  "1",
		`thermogate_screenings_total{outcome="alert",reason="above-group"}`:     "0",
		`thermogate_gate_info{gate="north",site="plant"}`:                       "1",
		`thermogate_baseline_celsius`:                                           "34.9",
		`thermogate_time_to_verdict_seconds_count`:                              "2",
		`thermogate_time_to_verdict_seconds_bucket{le="1"}`:                     "1",
		`thermogate_skin_temperature_celsius_count`:                             "2",
		`thermogate_skin_temperature_celsius_sum`:                               "71.5",
		`thermogate_frames_captured_total`:                                      "5",
		`thermogate_frames_dropped_total`:                                       "2",
		`thermogate_frames_processed_total`:                                     "3",
		`thermogate_passers_total`:                                              "5",
		`thermogate_verdicts_late_total`:                                        "1",
		`thermogate_alerts_revised_total`:                                       "1",
		`thermogate_door_locked_early_total`:                                    "1",
		`thermogate_last_frame_timestamp_seconds`:                               "1.6000000005e+09",
		`thermogate_faces_in_view`:                                              "2",
		`thermogate_stage_duration_seconds_count{stage="face"}`:                 "3",
		`thermogate_stage_duration_seconds_count{stage="measure"}`:              "0",
		`thermogate_camera_state{state="ok"}`:                                   "1",
		`thermogate_camera_state{state="starting"}`:                             "0",
		`thermogate_camera_reopened_total`:                                      "1",
		`thermogate_reference_state{state="ok"}`:                                "1",
		`thermogate_reference_nominal_celsius`:                                  "37",
		`thermogate_reference_measured_celsius`:                                 "35.5",
		`thermogate_reference_correction_celsius`:                               "1.5",
		`thermogate_reference_uncertainty_celsius`:                              "0.1",
		`thermogate_broker_connected`:                                           "1",
		`thermogate_journal_backlog_events`:                                     "4",
		`thermogate_commands_obeyed_total`:                                      "1",
		`thermogate_messages_refused_total`:                                     "7",
		`thermogate_sparkplug_events_skipped_total`:                             "3",
		`thermogate_journal_dropped_events_total`:                               "4",
		`thermogate_journal_dropped_unstored_events_total`:                      "6",
		`thermogate_journal_unstored_events`:                                    "17",
		`thermogate_receivers`:                                                  "2",
		`thermogate_journal_unreadable_events_total`:                            "5",
		`thermogate_wrong_passwords_total`:                                      "9",
		`thermogate_journal_damaged`:                                            "1",
		`thermogate_events_lost_total`:                                          "1",
		`thermogate_journal_failing`:                                            "1",
		`thermogate_journal_waiting_events`:                                     "6",
		`thermogate_paused`:                                                     "1",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %q", series, got[series], want)
		}
	}
}

func TestUnmeasuredReferenceIsAbsent(t *testing.T) {
	m := metrics.New("v1")
	check := func(when string, want bool) {
		t.Helper()
		_, got := values(scrape(t, m))["thermogate_reference_correction_celsius"]
		if got != want {
			t.Errorf("%s: correction present: %t, want %t", when, got, want)
		}
	}
	check("before the first frame", false)
	m.ObserveScene(scene(0, referenceFound))
	check("with the reference in view", true)
	m.ObserveScene(scene(0, event.ReferenceSource{Problem: event.ReferenceMissing}))
	check("after it was lost", false)
	m.ObserveScene(scene(0, referenceFound))
	m.SetCamera(event.CameraLost)
	check("without a camera", false)
}

// TestGateWithoutAReference has no source to find: that is no fault, and no number of it is told.
func TestGateWithoutAReference(t *testing.T) {
	m := metrics.New("v1")
	m.SetCamera(event.CameraOK)
	m.ObserveScene(scene(0, event.ReferenceSource{UncertaintyCelsius: 2.9}))
	got := values(scrape(t, m))
	if state := got[`thermogate_reference_state{state="ok"}`]; state != "1" {
		t.Errorf("ok is %s", state)
	}
	for _, name := range []string{"nominal", "measured", "correction", "uncertainty"} {
		if value, there := got["thermogate_reference_"+name+"_celsius"]; there {
			t.Errorf("%s is %s", name, value)
		}
	}
}

// TestEveryReasonStartsAtZero proves that no reason an outcome can have is missing before it first comes.
func TestEveryReasonStartsAtZero(t *testing.T) {
	exposed := scrape(t, metrics.New("v1"))
	words, err := os.ReadFile("../event/words.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`(?m)^\t\w+ +Reason = "([a-z-]+)"`).FindAllStringSubmatch(string(words), -1)
	if len(reasons) < 20 {
		t.Fatalf("%d reasons", len(reasons))
	}
	for _, reason := range reasons {
		if !strings.Contains(exposed, `reason="`+reason[1]+`"} 0`) {
			t.Errorf("%s is missing", reason[1])
		}
	}
}

func TestPromtoolFindsNothing(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("skipped, promtool is not installed (Debian package prometheus)")
	}
	m := metrics.New("v1")
	m.ObserveScene(scene(1, referenceFound))
	m.ObserveEvent(sample(event.Pass, event.BelowThreshold, pointer(34.6), pointer(.55)))
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, m))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Package metrics tells Prometheus and process supervisors how the gate is doing.
package metrics

import (
	"cmp"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"thermogate/screening/event"
)

// Metrics counts what the gate does. All methods may be called from several goroutines at once.
type Metrics struct {
	registry *prometheus.Registry

	screenings       *prometheus.CounterVec
	secondsToVerdict prometheus.Histogram
	skin             prometheus.Histogram
	baseline         optionalGauge

	captured, dropped, processed prometheus.Counter
	lastFrame                    prometheus.Gauge
	stages                       stageHistograms
	faces                        prometheus.Gauge

	camera      stateSet
	reopened    prometheus.Counter
	reference   stateSet
	group       stateSet
	nominal     optionalGauge
	measured    optionalGauge
	correction  optionalGauge
	uncertainty optionalGauge
	broker      prometheus.Gauge
	backlog     prometheus.Gauge
	receivers   prometheus.Gauge
	unstored    prometheus.Gauge
	waiting     prometheus.Gauge
	failing     prometheus.Gauge
	lost        prometheus.Counter
	badges      *prometheus.CounterVec
	door        *prometheus.CounterVec
	doorSeconds prometheus.Histogram
	lockedEarly prometheus.Counter
	paused      prometheus.Gauge

	passers, late, revised prometheus.Counter
	passersMu              sync.Mutex
	passersSeen            int // by the gate's own count

	obeyed, refused, skipped, journalDropped, unstoredDropped, unreadable prometheus.Counter
	damaged                                                               prometheus.Gauge
	wrongPasswords                                                        prometheus.Counter

	totalsMu sync.Mutex
	totals   Totals
}

// Totals are counts since the start that others keep.
type Totals struct {
	CommandsObeyed     uint64
	MessagesRefused    uint64
	SparkplugSkipped   uint64
	JournalDropped     uint64
	UnstoredDropped    uint64
	JournalUnreadable  uint64
	JournalWasSetAside bool
	WrongPasswords     uint64
}

// reasonsOf lists the reasons that go with each outcome.
var reasonsOf = map[event.Outcome][]string{
	event.Pass:  {string(event.BelowThreshold), string(event.BelowGroup), string(event.BelowThresholdAndGroup)},
	event.Alert: {string(event.AboveThreshold), string(event.AboveGroup), string(event.AboveThresholdAndGroup)},
	event.Inconclusive: {
		string(event.TooClose), string(event.ColdArrival), string(event.ReferenceLost), string(event.GroupUnknown), string(event.BaselineShift),
		string(event.NoReading), string(event.SecondReading), string(event.Left), string(event.WalkedThrough),
		string(event.ReferenceMissing), string(event.ReferenceUnstable), string(event.ShutterClosed),
		string(event.WarmingUp), string(event.TooFar), string(event.CutOff), string(event.TurnedAway),
		string(event.Moving), string(event.Covered), string(event.TooCold), string(event.OutOfRange),
		string(event.NotRadiometric), string(event.Lifeless), string(event.RangeChanged), string(event.CarrierMoving),
		string(event.RoomTooWarm),
	},
}

var cameraStates = []string{
	string(event.CameraStarting), string(event.CameraOK), string(event.CameraStalled), string(event.CameraLost),
}

var referenceStates = []string{
	"ok", string(event.ReferenceMissing), string(event.ReferenceUnstable), string(event.ShutterClosed), string(event.WarmingUp),
	string(event.NotRadiometric), string(event.RangeChanged), string(event.CarrierMoving), string(event.RoomTooWarm),
}

var groupStates = []string{"ok", string(event.GroupUnknown), string(event.BaselineShift)}

type stageHistograms struct {
	radiometry, reference, face, track, measure, policy prometheus.Observer
}

// New returns metrics in a registry of their own.
func New(version string) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := factory{registry}
	m := &Metrics{
		registry: registry,
		screenings: f.counterVec("screenings_total",
			"Verdicts by outcome and by the reason given for it.", "outcome", "reason"),
		// The budget is one second: fine steps below it, coarse ones for how badly it was missed.
		secondsToVerdict: f.histogram("time_to_verdict_seconds",
			"Time from the first frame in which the face was measurable to the publishing of its verdict.",
			[]float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, 1, 1.25, 1.6, 2, 3, 5, 10}),
		// Skin at the inner canthus spreads about 0.5 °C among healthy people; the tails only need to be seen.
		skin: f.histogram("skin_temperature_celsius",
			"Skin temperature of the people measured, corrected with the reference source.",
			append([]float64{28, 30, 32, 33}, prometheus.LinearBuckets(33.5, .25, 23)...)),
		baseline:  f.optionalGauge("baseline_celsius", "What people at this gate usually read, at the latest verdict; absent before enough have been seen."),
		captured:  f.counter("frames_captured_total", "Frames the camera delivered, dropped ones included."),
		dropped:   f.counter("frames_dropped_total", "Frames skipped because a newer one was already there."),
		processed: f.counter("frames_processed_total", "Frames that went through all stages."),
		lastFrame: f.gauge("last_frame_timestamp_seconds", "Capture time of the newest frame processed, in seconds since 1970."),
		faces:     f.gauge("faces_in_view", "Tracked faces in the newest frame."),
		camera:    f.stateSet("camera_state", "1 for the state the camera is in, 0 for the others.", cameraStates...),
		reopened:  f.counter("camera_reopened_total", "Times the camera was opened again after it stalled or was lost."),
		reference: f.stateSet("reference_state",
			"1 for the state the reference source is in, 0 for the others; ok means that it can be measured against, or that the gate has none.", referenceStates...),
		group: f.stateSet("group_state",
			"1 for what the readings of people together say of the gate, 0 for the others; baseline-shift means that everybody reads low, or high.", groupStates...),
		nominal:     f.optionalGauge("reference_nominal_celsius", "True temperature of the reference source; absent while it is not found."),
		measured:    f.optionalGauge("reference_measured_celsius", "What the camera reads on the reference source; absent while it is not found."),
		correction:  f.optionalGauge("reference_correction_celsius", "What is added to every temperature; absent while the reference is not usable."),
		uncertainty: f.optionalGauge("reference_uncertainty_celsius", "Standard uncertainty of the correction; absent while the reference is not usable."),
		broker:      f.gauge("broker_connected", "1 while the MQTT broker is connected."),
		backlog:     f.gauge("journal_backlog_events", "Events in the journal that the broker has not confirmed."),
		receivers:   f.gauge("receivers", "Receivers that have said what they hold."),
		unstored:    f.gauge("journal_unstored_events", "Events in the journal that not every known receiver has stored."),
		waiting:     f.gauge("journal_waiting_events", "Events that are kept in memory only, because they are not on disk yet."),
		failing:     f.gauge("journal_failing", "1 while the disk takes no events, or takes longer than a second over one."),
		lost: f.counter("events_lost_total",
			"Events that could not even be kept in memory for the disk. Anything above 0 needs a person."),
		badges: f.counterVec("badge_reads_total",
			"Badges and pass codes read, by what read them and by what became of that: taken, or why it was refused.", "reader", "result"),
		door: f.counterVec("door_commands_total",
			"Passes by what the door did: accepted, refused, unanswered, or not told at all: too late, or somebody else stood nearer.", "result"),
		doorSeconds: f.histogram("door_answer_seconds", "Time from a verdict on disk to the answer of the door.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2}),
		lockedEarly: f.counter("door_locked_early_total",
			"Times the door was locked before its pulse was over, because somebody with an alert or without a verdict stood before it."),
		passers: f.counter("passers_total", "People who went by at a distance or worked behind the gate, and left no event."),
		late: f.counter("verdicts_late_total",
			"Verdicts that were kept but not shown as they were meant: their person had gone, or a pass had grown too old to open anything."),
		revised: f.counter("alerts_revised_total", "Alerts that took back a pass, because later frames contradicted it."),
		paused:  f.gauge("paused", "1 while screening is paused by command."),

		obeyed:  f.counter("commands_obeyed_total", "Commands of the broker's side that were carried out."),
		refused: f.counter("messages_refused_total", "Messages on subscribed topics that were malformed, unknown or not allowed."),
		skipped: f.counter("sparkplug_events_skipped_total",
			"Events that Sparkplug hosts were not told while that connection was away; their CloudEvents are sent all the same."),
		journalDropped: f.counter("journal_dropped_events_total",
			"Events deleted before the broker had confirmed them, because the journal had reached its size."),
		unstoredDropped: f.counter("journal_dropped_unstored_events_total",
			"Events deleted after the broker had confirmed them, but before every known receiver had stored them, because the journal had reached its size."),
		unreadable:     f.counter("journal_unreadable_events_total", "Rows of the journal that were no event any more and were passed over."),
		damaged:        f.gauge("journal_damaged", "1 when a damaged journal was set aside since the start; the log names the file."),
		wrongPasswords: f.counter("wrong_passwords_total", "Log-ins to the pages with a wrong password."),
	}
	stage := f.histogramVec("stage_duration_seconds", "Time one frame spent in a stage.",
		prometheus.ExponentialBuckets(.00025, 2, 12), "stage")
	m.stages = stageHistograms{
		radiometry: stage.WithLabelValues("radiometry"),
		reference:  stage.WithLabelValues("reference"),
		face:       stage.WithLabelValues("face"),
		track:      stage.WithLabelValues("track"),
		measure:    stage.WithLabelValues("measure"),
		policy:     stage.WithLabelValues("policy"),
	}
	f.gaugeVec("build_info", "Always 1; the labels name the build.", "version", "goversion").
		WithLabelValues(version, runtime.Version()).Set(1)
	m.startAtZero()
	return m
}

// startAtZero creates the series whose labels are known, so that a rate over the first event is not lost.
func (m *Metrics) startAtZero() {
	for outcome, reasons := range reasonsOf {
		for _, reason := range reasons {
			m.screenings.WithLabelValues(string(outcome), reason)
		}
	}
	for _, result := range []string{doorAccepted, doorRefused, doorUnanswered, doorNotTold} {
		m.door.WithLabelValues(result)
	}
	m.SetCamera(event.CameraStarting)
	m.observeReference(event.ReferenceSource{Problem: event.ReferenceMissing})
	m.group.set(string(event.GroupUnknown))
}

// SetGate tells which gate this is, so that its name can stand beside its address.
func (m *Metrics) SetGate(site, gate string) {
	factory{m.registry}.gaugeVec("gate_info", "Always 1; the labels name the gate.", "site", "gate").
		WithLabelValues(site, gate).Set(1)
}

// Handler serves the metrics in the formats Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// ObserveScene counts a processed frame.
func (m *Metrics) ObserveScene(scene *event.Scene) {
	m.processed.Inc()
	m.lastFrame.Set(float64(scene.Captured.UnixMilli()) / 1000)
	m.faces.Set(float64(len(scene.People)))
	m.observeReference(scene.Reference)
	m.group.set(cmp.Or(string(scene.Group), "ok"))
	m.observePassers(scene.Passers)
	stages := scene.Stages
	observeStage(m.stages.radiometry, stages.Radiometry)
	observeStage(m.stages.reference, stages.Reference)
	observeStage(m.stages.face, stages.Face)
	observeStage(m.stages.track, stages.Track)
	observeStage(m.stages.measure, stages.Measure)
	observeStage(m.stages.policy, stages.Policy)
}

// observePassers takes the count of a gate, which begins again with another camera.
func (m *Metrics) observePassers(count int) {
	m.passersMu.Lock()
	defer m.passersMu.Unlock()
	if count < m.passersSeen {
		m.passersSeen = 0
	}
	m.passers.Add(float64(count - m.passersSeen))
	m.passersSeen = count
}

// observeStage leaves out a stage that did not run on this frame.
func observeStage(stage prometheus.Observer, took time.Duration) {
	if took > 0 {
		stage.Observe(took.Seconds())
	}
}

func (m *Metrics) observeReference(reference event.ReferenceSource) {
	state := reference.Problem
	m.reference.set(cmp.Or(string(state), "ok"))
	m.nominal.set(reference.Found, reference.NominalCelsius)
	m.measured.set(reference.Found, reference.MeasuredCelsius)
	usable := reference.Found && state == event.NoProblem
	m.correction.set(usable, reference.CorrectionCelsius)
	m.uncertainty.set(usable, reference.UncertaintyCelsius)
}

// ExpectBadges creates the series of a gate's readers, so that a rate over the first read is not lost.
func (m *Metrics) ExpectBadges(reader string, results []string) {
	for _, result := range results {
		m.badges.WithLabelValues(reader, result)
	}
}

// AddBadge counts what became of a read.
func (m *Metrics) AddBadge(reader, result string) { m.badges.WithLabelValues(reader, result).Inc() }

// ObserveEvent counts a verdict. What only says who an earlier one is about counts nothing.
func (m *Metrics) ObserveEvent(e event.Event) {
	data := e.Data
	if data.Outcome == event.Named {
		return
	}
	m.screenings.WithLabelValues(string(data.Outcome), string(data.Reason)).Inc()
	if data.SecondsToVerdict != nil {
		m.secondsToVerdict.Observe(*data.SecondsToVerdict)
	}
	if data.Outcome == event.Alert && data.Revises != "" {
		m.revised.Inc()
	}
	if data.SkinCelsius != nil {
		m.skin.Observe(*data.SkinCelsius)
	}
	if data.BaselineCelsius != nil {
		m.baseline.set(true, *data.BaselineCelsius)
	}
}

// What can become of a pass at the door.
const (
	doorAccepted   = "accepted"
	doorRefused    = "refused"
	doorUnanswered = "unanswered"
	doorNotTold    = "not_told"
)

// ObserveDoor counts what became of a pass at the door.
func (m *Metrics) ObserveDoor(d event.Door) {
	result := doorUnanswered
	switch {
	case d.Commanded != nil && !*d.Commanded:
		result = doorNotTold
	case d.Accepted != nil && *d.Accepted:
		result = doorAccepted
	case d.Accepted != nil:
		result = doorRefused
	}
	m.door.WithLabelValues(result).Inc()
	if d.Seconds != nil {
		m.doorSeconds.Observe(*d.Seconds)
	}
}

// SetCamera records the state of the camera.
func (m *Metrics) SetCamera(state event.CameraState) {
	m.camera.set(string(state))
	if state != event.CameraOK {
		m.faces.Set(0)
		m.observeReference(event.ReferenceSource{Problem: event.ReferenceMissing})
	}
}

// AddCaptured counts frames the camera delivered, dropped ones included.
func (m *Metrics) AddCaptured(frames int) { m.captured.Add(float64(frames)) }

// AddDropped counts frames that were skipped for a newer one.
func (m *Metrics) AddDropped(frames int) { m.dropped.Add(float64(frames)) }

// AddReopened counts one more opening of the camera after it stalled or was lost.
func (m *Metrics) AddReopened() { m.reopened.Inc() }

// SetBroker records whether the MQTT broker is connected.
func (m *Metrics) SetBroker(connected bool) { m.broker.Set(oneIf(connected)) }

// SetBacklog records how many events of the journal the broker has not confirmed.
func (m *Metrics) SetBacklog(events int) { m.backlog.Set(float64(events)) }

// SetStored records how many receivers are known, and how many events not all of them have stored.
func (m *Metrics) SetStored(receivers, unstored int) {
	m.receivers.Set(float64(receivers))
	m.unstored.Set(float64(unstored))
}

// SetJournal records whether events get to the disk in time, and how many are not there yet.
func (m *Metrics) SetJournal(failing bool, waiting int) {
	m.failing.Set(oneIf(failing))
	m.waiting.Set(float64(waiting))
}

// SetPaused records whether screening is paused.
func (m *Metrics) SetPaused(paused bool) { m.paused.Set(oneIf(paused)) }

// SetTotals records counts that only grow.
func (m *Metrics) SetTotals(now Totals) {
	m.totalsMu.Lock()
	defer m.totalsMu.Unlock()
	before := m.totals
	m.totals = now
	m.obeyed.Add(float64(now.CommandsObeyed - before.CommandsObeyed))
	m.refused.Add(float64(now.MessagesRefused - before.MessagesRefused))
	m.skipped.Add(float64(now.SparkplugSkipped - before.SparkplugSkipped))
	m.journalDropped.Add(float64(now.JournalDropped - before.JournalDropped))
	m.unstoredDropped.Add(float64(now.UnstoredDropped - before.UnstoredDropped))
	m.unreadable.Add(float64(now.JournalUnreadable - before.JournalUnreadable))
	m.damaged.Set(oneIf(now.JournalWasSetAside))
	m.wrongPasswords.Add(float64(now.WrongPasswords - before.WrongPasswords))
}

// AddLate counts a verdict that came too late to be shown.
func (m *Metrics) AddLate() { m.late.Inc() }

// AddDoorLockedEarly counts a pulse of the door that was ended before its time.
func (m *Metrics) AddDoorLockedEarly() { m.lockedEarly.Inc() }

// AddLost counts an event that could not be kept.
func (m *Metrics) AddLost() { m.lost.Inc() }

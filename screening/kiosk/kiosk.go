// Package kiosk serves the two live pages of a gate: the one in front of the person being screened, and the one on which
// guards and engineers watch it. Pictures are live only and never stored.
package kiosk

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/kiosk/access"
	"thermogate/screening/listen"
)

// Config of a Kiosk.
type Config struct {
	// Gate is the name in the title of the pages.
	Gate    string
	Version string
	// Language comes first on the pages: "zh", "en", or empty for the browser's. ?lang= overrides it.
	Language string
	Page     PageConfig
	// Door is true for a gate that opens a door: "go in" is then on the page only while the door is open.
	Door bool
	// Badges is true for a gate that has readers of badges, and Reader for one whose page is one of them.
	Badges, Reader bool
	// OutcomeOnly keeps the temperatures of people, and of the picture, off the pages.
	OutcomeOnly bool
	// VerdictHold is how long a verdict stays on the page after it was given while nobody is in view.
	VerdictHold time.Duration
	// StallLimit is how old a picture may become before the page takes it away.
	StallLimit time.Duration
	// MaxWorkerPages and MaxOtherPages bound the pages that are open at once. One that comes when all places are taken
	// gets the oldest of the address that has most.
	MaxWorkerPages, MaxOtherPages int
}

// DefaultConfig returns the configuration of a gate without a name.
func DefaultConfig() Config {
	return Config{Gate: "thermogate", Page: DefaultPageConfig(), VerdictHold: 2500 * time.Millisecond, StallLimit: 2 * time.Second,
		MaxWorkerPages: 8, MaxOtherPages: 32}
}

// Kiosk keeps the newest state of the gate and serves it. Show, Verdict and the setters never wait for a page: each page
// fetches the newest state at its own pace.
type Kiosk struct {
	config Config
	words  dictionary
	began  time.Time
	mux    *http.ServeMux
	closed chan struct{}
	close  sync.Once
	// streams and polls have a place for each page that is being served.
	streams, polls places
	// access and network are set where there is an Entrance.
	access  *access.Access
	network listen.Config
	// recalibrate is nil where nobody's word is taken on camera and reference source.
	recalibrate func() error

	mu        sync.Mutex
	camera    event.CameraState // as it was last told; the pages may know better
	changed   chan struct{}     // closed at every change and replaced
	paused    bool
	director  director
	cue       cue
	screen    document // cue, encoded
	gate      gateState
	rate      rateMeter
	history   []verdictRow // newest last
	verdicts  uint64       // how many there ever were
	painter   painter
	picture   *picture
	pictures  uint64
	painted   time.Time // capture time of picture
	paintedAt time.Time
	asked     time.Time // when a page last asked for a picture
	aiming    aiming
	shown     time.Time // when Show was last called
	console   *url.URL  // where guards work, nil where nobody knows
}

// document is an encoded message and its version.
type document struct {
	version uint64
	json    []byte
}

// HistoryLength is how many verdicts the engineers' page shows.
const HistoryLength = 50

const (
	// paintInterval bounds the pictures to ten a second, however fast the camera is.
	paintInterval = 95 * time.Millisecond
	// Nothing is painted when no page has asked for this long.
	unwatched = 3 * time.Second
)

// New returns a Kiosk that waits for its camera.
func New(config Config) *Kiosk {
	k := &Kiosk{
		config:   config,
		words:    readDictionary(),
		began:    time.Now(),
		closed:   make(chan struct{}),
		streams:  newPlaces(config),
		polls:    newPlaces(config),
		changed:  make(chan struct{}),
		director: director{hold: config.VerdictHold, door: config.Door, alertWait: config.Page.AlertWait},
		gate:     gateState{Name: config.Gate, Version: config.Version, Journal: faultStateOf(nil)},
	}
	k.aiming.words = k.words
	k.enter(event.CameraStarting)
	k.mux = k.routes()
	return k
}

// Close ends all streams, so that a server can shut down without waiting for the pages.
func (k *Kiosk) Close() { k.close.Do(func() { close(k.closed) }) }

// Show puts a processed frame on the pages. It copies what it needs.
func (k *Kiosk) Show(scene *event.Scene) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.camera != event.CameraOK {
		return // a frame that was still under way when the camera failed
	}
	k.shown = time.Now()
	k.enter(event.CameraOK)
	k.rate.frame(scene.Captured)
	k.gate.observe(scene)
	k.setScreen(k.director.next(scene))
	k.paint(scene)
	k.aiming.show(scene, k.paused, k.config.OutcomeOnly)
	k.wake()
}

// paint makes a picture if a page wants one.
func (k *Kiosk) paint(scene *event.Scene) {
	since := scene.Captured.Sub(k.painted)
	if time.Since(k.asked) > unwatched || (since >= 0 && since < paintInterval) {
		return
	}
	k.pictures++
	k.picture = k.painter.paint(k.pictures, scene, k.config.OutcomeOnly, k.director.marked)
	k.painted, k.paintedAt = scene.Captured, time.Now()
}

// Resume is told of the verdicts of an earlier run, oldest first. They are on the engineers' page only, but an alert goes on
// holding people up as it did.
func (k *Kiosk) Resume(e event.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list(&e)
	k.director.recall(&e)
	k.wake()
}

// Recall lists a verdict about somebody who had left on the engineers' page only.
func (k *Kiosk) Recall(e event.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list(&e)
	k.wake()
}

func (k *Kiosk) list(e *event.Event) {
	k.verdicts++
	if len(k.history) == HistoryLength {
		k.history = append(k.history[:0], k.history[1:]...)
	}
	k.history = append(k.history, rowOf(e))
}

// Verdict shows a verdict at once to the person it is about, for as long as they stand there.
func (k *Kiosk) Verdict(e event.Event) { k.announce(e, false) }

// Late is for a verdict that came too late: a pass lets nobody in any more. Its person is helped if they still stand
// there, or come into view again.
func (k *Kiosk) Late(e event.Event) { k.announce(e, true) }

func (k *Kiosk) announce(e event.Event, late bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list(&e)
	if !k.paused {
		k.direct(k.director.announce(&e, late))
	}
	k.wake()
}

// SetDoorOpen tells the page at the gate that the door opens, or that it is locked again.
func (k *Kiosk) SetDoorOpen(open bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.direct(k.director.setOpen(open))
	k.wake()
}

// AskForCode has the page ask the person of a visit for a pass code, or say that the one they have shown is not valid; 0 asks
// nobody. Opens says that the door needs it.
func (k *Kiosk) AskForCode(visit int, refused, opens bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.director.setAsked(visit, refused, opens)
}

// SetAlert tells the page at the gate what the console says of an alert.
func (k *Kiosk) SetAlert(id string, word Word) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.direct(k.director.setWord(id, word))
	k.wake()
}

// HoldsUp says whether the next person is asked to wait because nobody has seen to an alert yet.
func (k *Kiosk) HoldsUp() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.director.unattended() != nil
}

// direct shows what the director wants while the camera works; without it other words are up.
func (k *Kiosk) direct(c cue) {
	if k.gate.Camera == event.CameraOK {
		k.setScreen(c)
	}
}

// SetCamera tells the pages how the camera is. They show a picture only while it is CameraOK.
func (k *Kiosk) SetCamera(state event.CameraState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.camera, k.shown = state, time.Now()
	k.enter(state)
	k.wake()
}

// enter shows a state of the camera.
func (k *Kiosk) enter(state event.CameraState) {
	if state == k.gate.Camera {
		return
	}
	k.gate.Camera, k.gate.CameraLabel = state, label(state)
	if state == event.CameraOK {
		k.setScreen(cue{message: cameraMessage(state)}) // until its first frame
		return
	}
	k.picture, k.aiming.newest = nil, nil
	k.rate = rateMeter{}
	k.gate.forgetScene()
	k.setScreen(cue{message: cameraMessage(state)})
}

// SetPaused sends people to the guard until a time, whatever else happens. The zero time ends the pause.
func (k *Kiosk) SetPaused(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.paused && until.IsZero() {
		return // whoever ends what has not begun takes no verdict off the page
	}
	k.paused, k.gate.PausedUntil = !until.IsZero(), until
	before := &k.director
	k.director = director{hold: before.hold, door: before.door, alertWait: before.alertWait, open: before.open, slow: before.slow}
	k.setScreen(cue{message: cameraMessage(k.gate.Camera)})
	k.wake()
}

// SetBroker tells the engineers' page whether the MQTT broker is connected and how many events wait for it.
func (k *Kiosk) SetBroker(connected bool, backlog int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gate.Broker, k.gate.Backlog = connected, backlog
	k.wake()
}

// SetTurnedAway tells the engineers' page whether the broker refuses a gate that has joined a console.
func (k *Kiosk) SetTurnedAway(is bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gate.TurnedAway = nil
	if is {
		k.gate.TurnedAway = &turnedAway
	}
	k.wake()
}

// SetLacks tells the engineers' page what the gate was not told yet.
func (k *Kiosk) SetLacks(lacks event.Lacks) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gate.ToDo = nil
	for _, what := range lacks.ToDo() {
		k.gate.ToDo = append(k.gate.ToDo, phrase(what))
	}
	k.wake()
}

// SetDoor tells the engineers' page of the gate's door: nil, or why it does not do what it was last told to.
func (k *Kiosk) SetDoor(fault error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gate.Door = new(faultStateOf(fault))
	k.wake()
}

// SetJournal tells the engineers' page whether events get to the disk, nil where they do in time. With a disk that is slow
// verdicts come too late to be shown, so the page at the gate calls for staff.
func (k *Kiosk) SetJournal(fault error, slow bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := faultStateOf(fault); now != k.gate.Journal || slow != k.director.slow {
		k.gate.Journal = now
		k.direct(k.director.setSlow(slow))
		k.wake()
	}
}

// wake tells all waiting pages that something is new.
func (k *Kiosk) wake() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// setScreen encodes what the worker's page says, if that is new.
func (k *Kiosk) setScreen(c cue) {
	if k.paused {
		c = cue{message: pausedMessage}
	}
	if c.message != k.cue.message || c.verdict != k.cue.verdict || c.asked != k.cue.asked || c.shared != k.cue.shared {
		k.cue = c
		k.screen = document{k.screen.version + 1, mustJSON(k.screenOf(c))}
	}
}

// verdictLimit is how old the newest frame may be for a verdict to stand: somebody else may be there by now.
const verdictLimit = 1500 * time.Millisecond

// checkStall notices a gate that has stopped showing frames without saying so.
func (k *Kiosk) checkStall() {
	if k.camera != event.CameraOK {
		return
	}
	switch age := time.Since(k.shown); {
	case age > k.config.StallLimit:
		k.enter(event.CameraStalled)
	case age > verdictLimit && k.cue.verdict != nil:
		k.setScreen(cue{message: momentMessage})
	}
}

// mustJSON encodes the types of this package, none of which can fail.
func mustJSON(v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encoded
}

// rateMeter measures frames a second from capture times.
type rateMeter struct {
	last    time.Time
	seconds float64 // between frames, smoothed
}

func (r *rateMeter) frame(captured time.Time) {
	between := captured.Sub(r.last).Seconds()
	if r.last.IsZero() || between <= 0 || between > 5 {
		r.seconds = 0
	} else if r.seconds == 0 {
		r.seconds = between
	} else {
		r.seconds += 0.1 * (between - r.seconds)
	}
	r.last = captured
}

// perSecond returns the rate, nil while it is not known.
func (r *rateMeter) perSecond() *float64 {
	if r.seconds == 0 {
		return nil
	}
	rate := 1 / r.seconds
	return &rate
}

package gate

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

// Config of a Gate.
type Config struct {
	// Site and Name make the source of the events: /<site>/<name>.
	Site, Name string
	Version    string
	// Camera is the name its owner gave the camera; where it is empty, events name its model or address.
	Camera string
	// Moving is true for a camera that a carrier takes around, with the reference source: people are screened while it stands.
	Moving  bool
	Track   track.Config
	Measure measure.Config
	Policy  policy.Config
	Visit   VisitConfig
}

// Gate walks frames through the stages. It is used by one goroutine.
type Gate struct {
	config   Config
	camera   string // as events name it
	source   string // its camera.Info.Name
	scale    radiometry.Scale
	detector *face.Detector
	tracker  *track.Tracker
	finder   *measure.ReferenceFinder
	power    power
	ground   *measure.Ground // nil where the camera is fixed
	room     measure.Room
	meter    *measure.Meter
	policy   *policy.Policy
	ids      event.IDs
	paused   bool

	counts   []uint16  // of the newest frame
	arrived  time.Time // when they first came
	image    radiometry.Image
	faces    []face.Face // of the newest frame, faint ones last
	boxes    []event.Box
	sketcher track.Sketcher
	view     track.View
	trails   map[int]*trail // by track
	floor    *floor
	seen     []*visit // who is in the newest frame, as in scene.People
	previous time.Time
	scene    event.Scene
	events   []event.Event
}

// New returns a gate for frames of the described camera. The ids of its events draw on entropy; the detector stays
// the caller's to close, and looks for faces as small as its LeastFace says, which is to be Near of the visits.
func New(config Config, info camera.Info, detector *face.Detector, entropy io.Reader) (*Gate, error) {
	scale, err := info.Scale()
	if err != nil {
		return nil, fmt.Errorf("scale of %s: %w", info.Name, err)
	}
	if config.Measure.ReferenceCelsius == nil { // what the config says of the source wins
		config.Measure.ReferenceCelsius, config.Measure.ReferenceAssumed = info.ReferenceCelsius, !info.ReferenceKnown
	}
	config.Policy.Referenced = config.Measure.ReferenceCelsius != nil
	judge, err := policy.New(config.Policy)
	if err != nil {
		return nil, err
	}
	g := &Gate{
		config:   config,
		camera:   cmp.Or(config.Camera, info.Model, info.Name),
		source:   info.Name,
		scale:    scale,
		detector: detector,
		tracker:  track.New(config.Track),
		finder:   measure.NewReferenceFinder(config.Measure),
		meter:    measure.NewMeter(config.Measure),
		policy:   judge,
		ids:      event.NewIDs(entropy),
		trails:   map[int]*trail{},
		floor:    newFloor(config.Visit, judge),
	}
	g.floor.publish = g.publish
	if config.Moving {
		g.ground = new(measure.Ground)
	}
	g.floor.ambient.configured = config.Policy.AmbientCelsius
	return g, nil
}

// Policy is the judge of this gate, whose state outlives a restart.
func (g *Gate) Policy() *policy.Policy { return g.policy }

// Process takes the next frame and returns what is in view and the verdicts it led to. Both are valid until the next
// call; an Event may be kept.
func (g *Gate) Process(frame *camera.Frame) (*event.Scene, []event.Event, error) {
	if g.repeats(frame) {
		g.scene.Captured = frame.Captured
		return &g.scene, nil, nil
	}
	clock := stopwatch(time.Now())
	g.scale.Convert(frame.Counts, frame.Width, frame.Height, &g.image)
	before := g.scene.Reference.Problem
	g.scene = event.Scene{Image: &g.image, Captured: frame.Captured, People: g.scene.People[:0]}
	g.scene.Needs, g.scene.Group = g.needs(), g.policy.Problem()
	g.scene.Stages.Radiometry = clock.lap()

	faces, err := g.detector.Detect(&g.image)
	if err != nil {
		return nil, nil, fmt.Errorf("finding faces in frame %d: %w", frame.Index, err)
	}
	g.scene.Stages.Face = clock.lap()

	moving := g.ground != nil && g.ground.Moves(&g.image, frame.Captured, faces)
	if on, changed := g.power.on(frame); changed {
		g.finder.PoweredOn(on)
	}
	g.scene.Reference = g.finder.Update(&g.image, frame.Captured, frame.SinceFFC, faces, moving)
	g.scene.Reference = g.room.Update(g.meter, &g.image, g.scene.Reference, frame.Captured)
	g.interrupt(before)
	g.scene.Stages.Reference = clock.lap()

	if g.paused {
		g.floor.fade(frame.Captured)
		return &g.scene, nil, nil
	}
	if frame.Captured.Before(g.previous) { // a recording that starts over
		g.forgetVisits()
		g.floor.known = nil
	}
	g.faces = append(append(g.faces[:0], faces...), g.detector.Faint()...)
	subjects := g.tracker.Update(g.boxesOf(g.faces), frame.Captured)
	g.scene.Stages.Track = clock.lap()

	g.events, g.seen = g.events[:0], g.seen[:0]
	g.forget(subjects)
	g.floor.keep(subjects, frame.Captured)
	for _, subject := range subjects {
		g.attend(subject, frame.Captured, &clock)
	}
	g.floor.admit(&g.scene, g.seen, frame.Captured)
	g.scene.OneAtATime = oneAtATime(g.seen, frame.Captured)
	g.scene.Passers = g.floor.passers
	g.previous = frame.Captured
	return &g.scene, g.events, nil
}

// repeatFor is how long a stream that runs faster than its sensor may repeat a picture. A shutter holds one for longer.
const repeatFor = 350 * time.Millisecond

// repeats reports whether a frame only repeats the one before, and says nothing new.
func (g *Gate) repeats(frame *camera.Frame) bool {
	if slices.Equal(frame.Counts, g.counts) {
		age := frame.Captured.Sub(g.arrived)
		return age >= 0 && age < repeatFor
	}
	g.counts, g.arrived = append(g.counts[:0], frame.Counts...), frame.Captured
	return false
}

// needs is how large things have to be in a picture like this one.
func (g *Gate) needs() event.Needs {
	shorter := min(g.image.Width, g.image.Height)
	needs := g.config.Measure.Needs(shorter)
	needs.FaceWidth = max(needs.FaceWidth, g.config.Visit.Near*float64(shorter))
	return needs
}

// interrupt lets no verdict rest on readings from before and after the camera went to another range, or its carrier to
// another place. What people usually read without a reference source, does not hold in another range either.
func (g *Gate) interrupt(before event.Reason) {
	switch now := g.scene.Reference.Problem; now {
	case event.RangeChanged:
		g.floor.interrupt()
		if now != before && !g.config.Policy.Referenced {
			g.policy.Reset()
		}
	case event.CarrierMoving:
		g.floor.interrupt()
	}
}

func (g *Gate) boxesOf(faces []face.Face) []event.Box {
	g.boxes = g.boxes[:0]
	for _, f := range faces {
		g.boxes = append(g.boxes, boxOf(f))
	}
	return g.boxes
}

// stopwatch is when the current lap began.
type stopwatch time.Time

// lap returns the time since the last lap and begins the next.
func (s *stopwatch) lap() time.Duration {
	now := time.Now()
	elapsed := now.Sub(time.Time(*s))
	*s = stopwatch(now)
	return elapsed
}

// SetPaused says whether people are screened. A visit under way at a pause ends without a verdict, and whoever is there
// after it begins a new one. The reference source is followed all the while.
func (g *Gate) SetPaused(paused bool) {
	if paused {
		g.forgetVisits()
	}
	g.paused = paused
}

// HoldUp says whether somebody with an alert waits for staff, maybe out of view. Nobody is let in meanwhile, and whoever passed
// is looked at again after it.
func (g *Gate) HoldUp(now bool) { g.floor.heldUp = now }

// forgetVisits ends all visits without a word; who had a verdict is still known.
func (g *Gate) forgetVisits() {
	for _, v := range g.floor.visits {
		g.floor.part(v)
	}
	clear(g.floor.visits)
	g.floor.gone = nil
	clear(g.trails)
	g.tracker = track.New(g.config.Track)
}

// Rescreen gives a fresh look and a fresh event to whoever has the event of this id, or to everybody in view where it is
// empty. It returns an error where nobody in view has it.
func (g *Gate) Rescreen(id string) error {
	found := false
	for _, v := range g.floor.visits {
		if id == "" || v.person.event != nil && v.person.event.ID == id {
			found = true
			v.lookAgain()
		}
	}
	if id != "" && !found {
		return fmt.Errorf("nobody in view has the event %s", id)
	}
	return nil
}

// CloseAlert takes a guard's word that the alert of this id was none: the person may be screened again. It says whether
// the gate remembers them.
func (g *Gate) CloseAlert(id string) bool { return g.floor.closeAlert(id) }

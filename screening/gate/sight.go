package gate

import (
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/screening/track"
)

// paceWindow is the time over which the pace of a person is taken: from frame to frame the jitter of the box would pass
// for a walk.
const paceWindow = 350 * time.Millisecond

// trail is where a track has been lately.
type trail struct {
	recent []seenFace // oldest first
	life   measure.Life
	sureAt time.Time // when it was last sure to be a face
	front  time.Time // since when it has shown its front, frame after frame; zero while it does not
}

type seenFace struct {
	face face.Face
	at   time.Time
}

const (
	// jump and swell are how far, in widths, a face that is followed without doubt moves from frame to frame, and by how
	// much it grows. A person who walks off is soon faster; so is the track that slips from one person to the next. Boxes
	// jitter by jitter; what is more than that takes time, and is less from frame to frame of a fast camera.
	jump   = 0.5
	jitter = 0.15
	pace   = 3.5 // widths a second
	swell  = 1.25
	// A face that was sure lately is believed with a lower score.
	heldScore = 0.68
	sureFor   = 2 * time.Second
	// The faces of a walkway are narrower than any that a kiosk screens, and score less: of simulated ones that stand there and
	// look one in fifteen below what is sure, of boxes on nobody, with an earlier network, four of 10,000 reach faint at all and
	// none in the next frame. One that has shown its front for frontFor is believed with any score.
	frontFor = 200 * time.Millisecond
)

// attend takes one track's part of a frame: measures the face, and decides once it can.
func (g *Gate) attend(subject track.Subject, at time.Time, clock *stopwatch) {
	if subject.Detection < 0 || g.floor.ofTwo(&subject, at) {
		return
	}
	s := g.sight(subject.ID, g.faces[subject.Detection], at)
	v := g.floor.see(subject.ID, &s)
	g.scene.Stages.Measure += clock.lap()
	g.floor.judge(v, s.view, g.scene.Reference.Problem == event.NoProblem, at)
	g.seen = append(g.seen, v)
	g.scene.People = append(g.scene.People, v.shown(s.box, at))
	g.scene.Stages.Policy += clock.lap()
}

// sight measures a face.
func (g *Gate) sight(id int, f face.Face, at time.Time) sighting {
	t := g.trails[id]
	if t == nil {
		t = &trail{}
		g.trails[id] = t
	}
	s := sighting{at: at, previous: g.previous, box: boxOf(f), worn: wornBy(f)}
	if f.Score >= g.detector.MinScore {
		t.sureAt = at
	}
	s.sure = f.Score >= g.detector.MinScore || f.Score >= heldScore && !t.sureAt.IsZero() && at.Sub(t.sureAt) <= sureFor
	before, broken := t.before(f, at, g.previous)
	s.broken = broken
	width := float64(f.W) / float64(min(g.image.Width, g.image.Height))
	switch {
	case f.Pose != face.Frontal:
		t.front = time.Time{}
	case t.front.IsZero() || broken:
		t.front = at
	}
	s.sure = s.sure || width < usualNear && !t.front.IsZero() && at.Sub(t.front) >= frontFor
	s.whole = f.X > 0 && int(f.X+f.W) < g.image.Width
	s.atEdge = f.X < f.W || f.X+2*f.W > float32(g.image.Width)
	s.near, s.far = width >= g.config.Visit.Near, width >= g.config.Visit.Far
	if before == nil {
		s.reading = g.measure(f, nil, 0, &s)
	} else {
		elapsed := at.Sub(before.at)
		s.steady = measure.Speed(f, before.face, elapsed) <= g.config.Measure.MaxSpeed
		s.reading = g.measure(f, &before.face, elapsed, &s)
	}
	s.moved = t.life.Moved(&g.image, s.box, at, g.ground)
	if s.measured() {
		g.sketcher.Draw(g.image.Celsius, g.image.Width, g.image.Height, s.box, f.Mask, &g.view)
		s.view = &g.view
	}
	t.recent = append(t.recent, seenFace{f, at})
	return s
}

func (g *Gate) measure(f face.Face, before *face.Face, elapsed time.Duration, s *sighting) measure.Reading {
	switch {
	case !s.near:
		return measure.Reading{Problem: event.TooFar}
	case !s.sure && s.whole && g.meter.TooCold(&g.image, f, g.scene.Reference):
		return measure.Reading{Problem: event.TooCold}
	case !s.sure:
		return measure.Reading{Problem: event.TurnedAway}
	case !s.whole:
		return measure.Reading{Problem: event.CutOff}
	case before == nil && s.atEdge: // just come in, how fast isn't known yet
		return measure.Reading{Problem: event.Moving}
	}
	return g.meter.Measure(&g.image, f, before, elapsed, g.scene.Reference)
}

// before forgets what is too old to take a pace from, and returns the oldest sighting left, and whether the chain of
// sightings is broken: the face was not seen in the frame before, or not there, or not of that size.
func (t *trail) before(f face.Face, at, previous time.Time) (oldest *seenFace, broken bool) {
	broken = true
	if n := len(t.recent); n > 0 {
		last := t.recent[n-1]
		a, b := boxOf(f), boxOf(last.face)
		broken = last.at.Before(previous) || middlesApart(a, b) > min(jump, jitter+pace*at.Sub(last.at).Seconds()) || ratio(a, b) > swell
	}
	t.recent = slices.DeleteFunc(t.recent, func(s seenFace) bool { // the frame before counts, however slow the camera is
		return at.Sub(s.at) > paceWindow && !s.at.Equal(previous)
	})
	if len(t.recent) == 0 {
		return nil, broken
	}
	return &t.recent[0], broken
}

// forget drops the trails of tracks that are gone.
func (g *Gate) forget(subjects []track.Subject) {
	for id := range g.trails {
		if !slices.ContainsFunc(subjects, func(s track.Subject) bool { return s.ID == id }) {
			delete(g.trails, id)
		}
	}
}

// shown is what pages are told of a visit whose face is in the box.
func (v *visit) shown(box event.Box, at time.Time) event.Person {
	p := event.Person{ID: v.id, Face: box, Hint: v.problem, Worn: v.worn, Event: v.person.event, Repeated: v.repeats}
	if r := v.rival; r != nil {
		p.ID, p.Hint, p.Worn, p.Event = r.id, r.problem, r.worn, r.person.event
	} else if e := v.person.event; e != nil && e.Data.Outcome != event.Alert && e.Data.Reason != event.Lifeless && v.still(at) {
		p.Event, p.Hint = nil, event.Lifeless
	} else if v.problem == event.NoProblem && v.want != event.NoProblem {
		p.Hint = v.want
	}
	return p
}

func wornBy(f face.Face) []event.Garment {
	var worn []event.Garment
	if f.Glasses {
		worn = append(worn, event.Glasses)
	}
	if f.Mask {
		worn = append(worn, event.Mask)
	}
	if f.ForeheadCovered {
		worn = append(worn, event.Hat)
	}
	return worn
}

func boxOf(f face.Face) event.Box {
	return event.Box{X: float64(f.X), Y: float64(f.Y), W: float64(f.W), H: float64(f.H)}
}

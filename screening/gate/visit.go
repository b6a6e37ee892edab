package gate

import (
	"fmt"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

// VisitConfig says how long the gate waits for a person. A visit lasts from a face coming into view to its loss.
type VisitConfig struct {
	// Near is the least width of a face that has stepped up, as a part of the shorter side of the picture. People
	// further off may well be measurable, but they are at work there.
	Near float64 `yaml:"near"`
	// Patience is how long somebody may stand before the camera unmeasurable until the visit is called inconclusive.
	Patience time.Duration `yaml:"patience"`
	// Retry is how long after an inconclusive verdict the same person gets a fresh look without stepping back.
	Retry time.Duration `yaml:"retry"`
	// Return is how long somebody who passed may be out of view and still be on the same visit.
	Return time.Duration `yaml:"return"`
	// Rescreen is how long after an alert or an inconclusive verdict the next look at the same person refers to it.
	Rescreen time.Duration `yaml:"rescreen"`
}

// DefaultVisitConfig gives people the time to take off a hat after being asked to.
func DefaultVisitConfig() VisitConfig {
	return VisitConfig{Near: 0.14, Patience: 3 * time.Second, Retry: 3 * time.Second, Return: 15 * time.Second, Rescreen: 5 * time.Minute}
}

// Validate names the first impossible key.
func (c VisitConfig) Validate() error {
	if !(c.Near >= 0 && c.Near < 1) {
		return fmt.Errorf("near is %v; it must be a part of the picture, 0 to below 1", c.Near)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"patience", c.Patience}, {"retry", c.Retry}, {"return", c.Return}, {"rescreen", c.Rescreen}} {
		if d.value < 0 || d.value > 24*time.Hour {
			return fmt.Errorf("%s is %s; it must be 0s to 24h", d.key, d.value)
		}
	}
	return nil
}

// visit is one person before the camera.
type visit struct {
	person          acquaintance
	firstSeen       time.Time
	measurableSince time.Time // of the look under way; zero before its first measured frame
	hinderedSince   time.Time // zero while nothing is in the way that the person or the gate could mend
	problem         event.Reason
	look            measure.Look
	measured        time.Time  // the latest measured frame of the look
	sightings       []sighting // of the last moments, oldest first
	decided         bool       // the look under way has its verdict
	decidedAt       time.Time
	repeat          bool // somebody asked for the look under way
}

// sighting is a face at a time.
type sighting struct {
	face face.Face
	at   time.Time
}

const (
	// paceWindow is the time over which the pace of a person is taken: from frame to frame the jitter of the box would
	// pass for a walk.
	paceWindow = 350 * time.Millisecond
	// lookGap is how long a look survives frames that can't be measured: a blink, a step aside.
	lookGap = 500 * time.Millisecond
)

// attend takes one subject's part of a frame: measures it, and decides once it can.
func (g *Gate) attend(subject track.Subject, faces []face.Face, at time.Time, clock *stopwatch) {
	v := g.visits[subject.ID]
	if v == nil {
		v = &visit{firstSeen: subject.FirstSeen}
		g.visits[subject.ID] = v
	}
	if v.decided && v.person.event.Data.Outcome == event.Inconclusive && at.Sub(v.decidedAt) >= g.config.Visit.Retry {
		v.lookAgain()
	}
	seen := subject.Detection >= 0
	if seen {
		g.sight(v, faces[subject.Detection], at)
	}
	g.scene.Stages.Measure += clock.lap()
	if !v.decided {
		if verdict, ok := g.decide(v, seen, at); ok {
			g.conclude(v, verdict, at)
		}
	}
	g.scene.Stages.Policy += clock.lap()
	if seen {
		g.scene.People = append(g.scene.People, event.Person{ID: subject.ID, Face: subject.Box, Hint: v.problem, Event: v.person.event})
	}
}

// sight measures a face and adds it to the look.
func (g *Gate) sight(v *visit, f face.Face, at time.Time) {
	v.sightings = slices.DeleteFunc(v.sightings, func(s sighting) bool { return at.Sub(s.at) > paceWindow })
	var before *face.Face
	var elapsed time.Duration
	if len(v.sightings) > 0 {
		before, elapsed = &v.sightings[0].face, at.Sub(v.sightings[0].at)
	}
	reading := measure.Reading{Problem: event.TooFar}
	if g.near(f) {
		reading = g.meter.Measure(&g.image, f, before, elapsed, g.scene.Reference)
	}
	v.sightings = append(v.sightings, sighting{f, at})
	v.problem, v.person.lastSeen = reading.Problem, at
	switch {
	case reading.Problem == event.NoProblem:
		g.measured(v, reading, f, at)
	case !steppedUp(reading.Problem):
		v.hinderedSince = time.Time{}
	case v.hinderedSince.IsZero():
		v.hinderedSince = at
	}
}

func (g *Gate) near(f face.Face) bool {
	return float64(f.W) >= g.config.Visit.Near*float64(min(g.image.Width, g.image.Height))
}

// measured adds a reading to the look under way, or begins one.
func (g *Gate) measured(v *visit, reading measure.Reading, f face.Face, at time.Time) {
	if !v.decided {
		if at.Sub(v.measured) > lookGap {
			v.lookAgain()
		}
		if v.measurableSince.IsZero() {
			v.measurableSince = at
		}
		v.look.Add(reading, at)
	}
	v.measured, v.hinderedSince = at, time.Time{}
	v.person.draw(track.NewPortrait(g.image.Celsius, g.image.Width, g.image.Height, boxOf(f)), at)
}

// steppedUp tells a person who is before the camera and can't be measured from one who passes by or works behind.
func steppedUp(p event.Reason) bool { return p != event.TooFar && p != event.TurnedAway }

// decide asks the policy once something was measured, and gives up when nothing was for too long.
func (g *Gate) decide(v *visit, seen bool, at time.Time) (policy.Verdict, bool) {
	e := v.look.Estimate()
	if e.Frames == 0 {
		return g.policy.Unmeasured(event.Reason(v.problem)), !v.hinderedSince.IsZero() && at.Sub(v.hinderedSince) >= g.config.Visit.Patience
	}
	verdict, ok := g.policy.Decide(policy.Estimate{
		SkinCelsius:       e.SkinCelsius,
		NoiseCelsius:      e.NoiseCelsius,
		SystematicCelsius: e.SystematicCelsius,
		Site:              e.Site,
		NoseCelsius:       e.NoseCelsius,
		Frames:            e.Frames,
		Elapsed:           at.Sub(v.measurableSince),
		At:                at,
		ReferenceOK:       g.scene.Reference.Problem == event.NoProblem,
	})
	if ok && verdict.Outcome == event.Inconclusive && seen && v.problem != event.NoProblem {
		v.lookAgain() // somebody who walks on or turns away, and may yet stand still
		return policy.Verdict{}, false
	}
	return verdict, ok
}

// conclude gives the look its verdict. Somebody who passed and looks again is not screened twice.
func (g *Gate) conclude(v *visit, verdict policy.Verdict, at time.Time) {
	defer func() { v.decided, v.decidedAt, v.repeat = true, at, false }()
	before := v.person.event
	if before == nil {
		before = g.recognise(v)
	}
	if before != nil && !v.repeat && sameVisit(verdict, before.Data) {
		v.person.event = before
		return
	}
	e := g.newEvent(v, verdict, at)
	if before != nil && (v.repeat || before.Data.Outcome != event.Pass) {
		e.Data.RescreenOf = before.ID
	}
	v.person.event = &e
	g.policy.Learn(verdict, at)
	g.events = append(g.events, e)
}

// lookAgain starts a fresh look at the same person.
func (v *visit) lookAgain() {
	v.look.Reset()
	v.decided, v.measurableSince, v.hinderedSince = false, time.Time{}, time.Time{}
}

// forget parts with the people who left.
func (g *Gate) forget(subjects []track.Subject, at time.Time) {
	for id, v := range g.visits {
		if !slices.ContainsFunc(subjects, func(s track.Subject) bool { return s.ID == id }) {
			g.part(v)
			delete(g.visits, id)
		}
	}
	g.fade(at)
}

func boxOf(f face.Face) event.Box {
	return event.Box{X: float64(f.X), Y: float64(f.Y), W: float64(f.W), H: float64(f.H)}
}

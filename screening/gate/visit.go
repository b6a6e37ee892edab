package gate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/measure"
	"thermogate/screening/track"
)

// VisitConfig says how the gate deals with a person from their coming into view to their leaving it.
type VisitConfig struct {
	// Near is the least width of a face that has stepped up, as a part of the shorter side of the picture, Far that of one
	// that may be waiting to. People further off are at work there.
	Near float64 `yaml:"near"`
	Far  float64 `yaml:"far"`
	// Patience is how long somebody may stand before the camera unmeasurable until the visit is called inconclusive.
	Patience time.Duration `yaml:"patience"`
	// Retry is the pause between two inconclusive verdicts of a visit; it doubles with each.
	Retry time.Duration `yaml:"retry"`
	// Return is how long somebody who passed may be out of view and still be on the same visit.
	Return time.Duration `yaml:"return"`
	// Rescreen is how long an alert holds for somebody who comes back: no other look makes it a pass.
	Rescreen time.Duration `yaml:"rescreen"`
	// FreshLookClears lets another look at somebody with an alert make it a pass, without a guard.
	FreshLookClears bool `yaml:"fresh_look_clears"`
}

// usualNear is Near of a gate at which one after the other steps up.
const usualNear = 0.115

// DefaultVisitConfig gives people the time to take off a hat after being asked to.
func DefaultVisitConfig() VisitConfig {
	return VisitConfig{
		Near: usualNear, Far: 0.085, Patience: 3 * time.Second, Retry: 3 * time.Second, Return: 15 * time.Second, Rescreen: 5 * time.Minute,
	}
}

// Validate names the first impossible key.
func (c VisitConfig) Validate() error {
	if !(c.Near > 0 && c.Near < 1) {
		return fmt.Errorf("near is %v; it must be a part of the picture, above 0 and below 1", c.Near)
	}
	if !(c.Far > 0 && c.Far <= c.Near) {
		return fmt.Errorf("far is %v; it must be above 0, up to near, which is %v", c.Far, c.Near)
	}
	if c.Retry < time.Second {
		return fmt.Errorf("retry is %s; it must be 1s or more, for every inconclusive verdict is an event", c.Retry)
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

// stage is how far a visit has come.
//
//	          measured             clear                contradicted
//	arriving ─────────▶ looking ──────────▶ passed ─────────────────▶ alerted
//	   │                 │    └───────────────────clear────────────────▲
//	   │                 └──time is up──▶ open ──clear──▶ passed or alerted
//	   └──stands there unmeasured─────────▲
//
// Whoever is measured goes on being measured for as long as they stand there. A pass that the readings after it
// contradict becomes an alert; an alert stays one. An open visit has an inconclusive verdict, and the look goes on.
//
// At any stage a break in what is seen (a gap, a jump, another size, another pattern of warm and cold) puts the visit in
// doubt: what is seen from then on is kept as a rival visit of its own, and no verdict holds. If the rival turns out to
// be the same person, the visit goes on and has lost nothing; if not, it ends, and the rival is the visit that stands
// there. Nobody is given the verdict of another, and the rival's look has begun with its first frame.
//
// A visit that ends before it has a verdict leaves a trace: an inconclusive verdict, if the person was near enough to be
// screened or stood there as somebody who wants in. Others are only counted.
type stage int

const (
	arriving stage = iota
	looking
	open
	passed
	alerted
)

// visit is one person before the camera.
type visit struct {
	id                  int
	walkway             bool // see floor.walkway
	stage               stage
	firstSeen, lastSeen time.Time
	box                 event.Box
	way                 way
	came                place           // where and when it was first measured since it came in sight; zero before
	inSight             bool            // the newest frame shows the face, whether or not the visit has been told so yet
	behind              bool            // somebody nearer has hidden the face since it was last seen
	atEdge              bool            // the face was last seen where people come and go
	problem             event.Reason    // of the newest frame
	worn                []event.Garment // in the newest measured frame
	want                event.Reason    // what the look lacks for a verdict, known once its first time is up

	look            measure.Look
	measurableSince time.Time // first measured frame of the visit; zero before
	lookSince       time.Time // first measured frame of the look under way; zero before
	measuredAt      time.Time // newest measured frame
	skinCelsius     float64   // slowly following the readings of skinSite
	skinSite        event.Site
	person          acquaintance
	hinderedSince   time.Time // since when somebody who has stepped up can't be measured; zero while they can

	adrift      bool // a break since the newest measured frame: the next one may show somebody else
	rival       *visit
	latest      track.View // of the newest measured frame
	distinct    float64    // what of the usual difference between two people is left in a warm room, 0 to 1
	differences []float64  // of a rival's measured frames from the visit it came out of

	presence presence
	follows  *event.Event // of whoever was last seen where and when this face first was: until it stands, it may be theirs
	movedAt  time.Time    // when the face was last seen to move
	decided  time.Time    // when the verdict was given
	due      time.Time    // an open visit's next inconclusive verdict
	pause    time.Duration
	repeats  bool // a pass of somebody who passed moments before: the door has opened
	admitted bool // the way was clear at some time since the pass
}

// presence is what of a visit counts when it ends without a verdict.
type presence struct {
	near     int           // frames in which the face was near enough to be screened
	nearFor  time.Duration // and for how long they show it
	far      int           // frames in which it was near enough to be somebody waiting
	stood    time.Duration // for how long it hardly moved
	problems map[event.Reason]int
}

// sighting is what one frame shows of one face.
type sighting struct {
	at       time.Time
	box      event.Box
	reading  measure.Reading
	worn     []event.Garment
	view     *track.View // of a measured face; valid during the call
	sure     bool        // a face beyond doubt; others are followed, but not measured
	near     bool        // large enough to have stepped up
	far      bool        // large enough to be waiting for it
	steady   bool        // hardly moving from place to place
	moved    bool        // moved at all, as every living face does
	whole    bool        // the box does not touch the border of the picture
	atEdge   bool        // within a width of the left or right border of the picture
	broken   bool        // not where, or not the size, that the face had in the frame before, or not seen there
	previous time.Time   // of the frame before
}

func (s *sighting) measured() bool { return s.reading.Problem == event.NoProblem }

const (
	// sameSure is a difference of portraits at which one frame is enough to know somebody again. After a break one of some
	// frames has to be below sameBroken; above sameWhole nobody is the same. See track.View.Difference for what people
	// differ by.
	sameSure   = 1.5
	sameBroken = 2.2
	// fullContrast is the contrast of a face from which on that holds. In a warmer room all faces are more alike.
	fullContrast = 0.5
	sameWhole    = 4.5
	// sameNever is a difference that nobody makes from one frame to the next.
	sameNever = 8
	// sameSkinCelsius is how far the skin of one person may seem to change over a break, leapCelsius from frame to frame.
	sameSkinCelsius = 0.4
	leapCelsius     = 0.8
	// aliveFor is how long a movement proves life.
	aliveFor = 1500 * time.Millisecond
	// settling is the time from its first measured frame in which a face that comes nearer may look different every moment.
	settling = 700 * time.Millisecond
	// rivalFrames are measured, over rivalSpan, before a rival is taken for another person: a face that comes out from behind
	// another looks like itself again only after some tenths of a second, however many pictures that are.
	rivalFrames = 5
	rivalSpan   = 400 * time.Millisecond
	// lastFrames of a rival are compared at a walkway, where the first may still show some of whoever is just being hidden.
	lastFrames = 3
)

// way is how far along the picture the middle of a face was to either side, and how wide the face was at most.
type way struct{ left, right, widest float64 }

func (w way) and(other way) way {
	if w == (way{}) {
		return other
	}
	return way{min(w.left, other.left), max(w.right, other.right), max(w.widest, other.widest)}
}

// see adds a frame to the visit.
func (v *visit) see(s *sighting) {
	middle := s.box.X + s.box.W/2
	v.way = v.way.and(way{middle, middle, s.box.W})
	v.box, v.atEdge, v.lastSeen, v.problem = s.box, s.atEdge, s.at, s.reading.Problem
	v.inSight, v.behind = true, false
	v.presence.add(s)
	if s.moved {
		v.movedAt = s.at
	}
	switch {
	case s.measured():
		v.measure(s)
	case !s.sure, !s.near, s.reading.Problem == event.Moving, s.reading.Problem == event.CarrierMoving:
		v.hinderedSince = time.Time{} // on the way, one or the other
	case v.hinderedSince.IsZero():
		v.hinderedSince = s.at
	}
}

func (v *visit) measure(s *sighting) {
	if v.measurableSince.IsZero() {
		v.measurableSince = s.at
	}
	if v.lookSince.IsZero() {
		v.lookSince = s.at
	}
	if v.stage == arriving {
		v.stage = looking
	}
	v.measuredAt, v.hinderedSince, v.worn, v.adrift = s.at, time.Time{}, s.worn, false
	v.person.masked = v.person.masked || slices.Contains(s.worn, event.Mask)
	if v.skinSite != s.reading.Site {
		v.skinSite, v.skinCelsius = s.reading.Site, s.reading.SkinCelsius
	}
	v.skinCelsius += (s.reading.SkinCelsius - v.skinCelsius) / 4
	v.look.Add(s.reading, s.at)
	v.person.draw(s.view, !v.person.within(s.view, sameBroken), s.at)
	v.latest = *s.view
	v.person.last = place{s.box, s.at}
	if v.came.at.IsZero() {
		v.came = place{s.box, s.at}
	}
	v.distinct = min(1, s.reading.Contrast/fullContrast)
}

// alive says whether the face has moved in the course of its look, and lately.
func (v *visit) alive(at time.Time) bool {
	return v.movedAt.After(v.lookSince) && at.Sub(v.movedAt) <= aliveFor
}

// strange says whether a frame shows somebody else all at once, though the face is where it was.
func (v *visit) strange(s *sighting) bool {
	if !s.measured() {
		return false
	}
	unlike := !v.person.within(s.view, sameNever)
	if v.measuredAt.Equal(s.previous) {
		latest := v.latest.Portrait()
		unlike = unlike && s.view.Difference(&latest) > sameNever
	}
	return unlike || v.skinApart(s.reading.Site, s.reading.SkinCelsius) > leapCelsius
}

// slipped says whether a face that was not measured a frame ago, for it moved or was half hidden, looks like somebody else.
// Of those who pass each other closely a track follows the wrong one without a jump.
func (v *visit) slipped(s *sighting) bool {
	return s.measured() && !v.measuredAt.Equal(s.previous) && !v.person.within(s.view, sameBroken)
}

// skinApart is how far a reading is from what the visit read at the same site, 0 where it read none there.
func (v *visit) skinApart(site event.Site, celsius float64) float64 {
	if site != v.skinSite {
		return 0
	}
	return math.Abs(celsius - v.skinCelsius)
}

// breaks says whether a frame may show somebody else than the measured frames before.
func (v *visit) breaks(s *sighting) bool {
	v.adrift = v.adrift || s.broken || v.walkway && v.slipped(s)
	return v.known() && (v.adrift || v.strange(s))
}

// changed says whether a break in a look that has no verdict yet shows somebody else.
func (v *visit) changed(s *sighting) bool {
	return v.known() && s.measured() && (!v.person.within(s.view, sameWhole) ||
		v.skinApart(s.reading.Site, s.reading.SkinCelsius) > leapCelsius)
}

// known is true once there is something by which the person can be told from another.
func (v *visit) known() bool { return len(v.person.portraits) > 0 }

// doubt begins or goes on with a rival, and says what became of it: nobody yet, the same person, another one.
func (v *visit) doubt(s *sighting) verdictOfDoubt {
	r := v.rival
	if s.measured() {
		r.differences = append(r.differences, v.person.difference(s.view))
	}
	r.see(s)
	n := len(r.differences)
	if n == 0 {
		return undecided
	}
	alike := v.skinApart(r.skinSite, r.skinCelsius) <= sameSkinCelsius
	compared := r.differences
	if v.walkway {
		compared = compared[max(0, n-lastFrames):]
	}
	switch {
	case alike && r.differences[n-1] <= sameSure:
		return samePerson
	case n < rivalFrames || s.at.Sub(r.measurableSince) < rivalSpan:
		return undecided
	case alike && slices.Min(compared) <= v.sameLimit(r):
		return samePerson
	}
	return anotherPerson
}

// sameLimit is the difference up to which a rival may be of the same person.
func (v *visit) sameLimit(rival *visit) float64 {
	if v.person.masked || rival.person.masked {
		return sameSure * v.distinct
	}
	return sameBroken * v.distinct
}

type verdictOfDoubt int

const (
	undecided verdictOfDoubt = iota
	samePerson
	anotherPerson
)

// settles says whether a face may look different because it has only just come near, or was followed without a break
// since the one glimpse of it on the way: its readings say nothing against it. Who walks up at a walkway is hardly ever followed
// without a break; there the glimpse has to read the same.
func (v *visit) settles(s *sighting) bool {
	glimpse := len(v.person.portraits) == 1
	early := s.at.Sub(v.lookSince) < settling || glimpse && !v.adrift
	differs := v.skinApart(s.reading.Site, s.reading.SkinCelsius)
	return early && differs <= leapCelsius || v.walkway && glimpse && differs <= sameSkinCelsius
}

// startOver forgets whom the look has shown so far.
func (v *visit) startOver() {
	v.look.Reset()
	v.person.portraits, v.person.masked = v.person.portraits[:0], false
	v.lookSince, v.skinSite, v.adrift, v.came = time.Time{}, "", false, place{}
}

// outward says whether a face was last seen at a border of the picture, on its way out: it was further in by more than a face that stands sways.
func (v *visit) outward() bool {
	if !v.atEdge {
		return false
	}
	middle := v.box.X + v.box.W/2
	if v.box.X < v.box.W {
		return middle < v.way.right-v.box.W/2
	}
	return middle > v.way.left+v.box.W/2
}

// walkedPast says whether somebody was at the camera for more than a glimpse and went along the picture by more than a face.
func (v *visit) walkedPast() bool { return v.presence.more() && v.way.right-v.way.left > v.way.widest }

// absorb takes what a rival saw, who was the same person.
func (v *visit) absorb() {
	r := v.rival
	v.rival, v.adrift = nil, false
	v.way = v.way.and(r.way)
	v.person.masked = v.person.masked || r.person.masked
	v.box, v.atEdge, v.lastSeen, v.problem, v.worn = r.box, r.atEdge, r.lastSeen, r.problem, r.worn
	v.measuredAt, v.hinderedSince = r.measuredAt, r.hinderedSince
	v.skinSite, v.skinCelsius = r.skinSite, r.skinCelsius
	if v.stage != passed || r.lookSince.After(v.decided) {
		v.look.Join(&r.look)
	}
	v.presence.near += r.presence.near
	v.presence.nearFor += r.presence.nearFor
	v.presence.stood += r.presence.stood
	v.movedAt = r.movedAt
	if v.stage != looking && v.stage != open {
		return
	}
	v.want = event.NoProblem
}

func (p *presence) add(s *sighting) {
	if s.near {
		p.near++
		p.nearFor += min(s.at.Sub(s.previous), glimpseFor)
	}
	if s.far {
		p.far++
		if s.steady {
			p.stood += s.at.Sub(s.previous)
		}
	}
	if !s.measured() {
		if p.problems == nil {
			p.problems = map[event.Reason]int{}
		}
		p.problems[s.reading.Problem]++
	}
}

const (
	// walked is the least time somebody stands who did not just walk through; waited is how long somebody stands there who
	// wants in, though they stay too far away or turned aside.
	walked = 400 * time.Millisecond
	waited = 1500 * time.Millisecond
	// glimpses are the frames that make a face at the camera more than a glimpse, if they are glimpseFor together: a fast camera
	// shows in as many frames whatever two people who pass each other look like for a moment.
	glimpses   = 2
	glimpseFor = 190 * time.Millisecond
)

// more says whether the face was at the camera for more than a glimpse.
func (p *presence) more() bool { return p.near >= glimpses && p.nearFor >= glimpseFor }

// trace is the reason under which a visit is kept that ends without a verdict; false for somebody who is only counted.
func (v *visit) trace() (event.Reason, bool) {
	p := &v.presence
	switch {
	case p.more() && 2*p.problems[event.CarrierMoving] > p.near:
		return event.CarrierMoving, true
	case !v.measurableSince.IsZero() && v.want != event.NoProblem:
		return v.want, true
	case !v.measurableSince.IsZero():
		return event.Left, true
	case p.more() && p.stood < walked:
		return event.WalkedThrough, true
	case p.more():
		return p.usual(event.Left), true
	case p.stood >= waited:
		return p.usual(event.TooFar), true
	}
	return event.NoProblem, false
}

// usual is what was mostly in the way.
func (p *presence) usual(otherwise event.Reason) event.Reason {
	reason, most := otherwise, 0
	for _, r := range traces {
		if n := p.problems[r]; n > most {
			reason, most = r, n
		}
	}
	return reason
}

// traces are the obstacles that say more of somebody who went away than that they did.
var traces = []event.Reason{
	event.TooFar, event.TurnedAway, event.CutOff, event.Covered, event.TooCold, event.OutOfRange, event.Lifeless,
	event.ReferenceMissing, event.ReferenceUnstable, event.WarmingUp, event.NotRadiometric, event.RoomTooWarm, event.RangeChanged, event.CarrierMoving,
	event.ShutterClosed,
}

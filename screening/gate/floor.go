package gate

import (
	"maps"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

// floor is everybody before the camera. What becomes of them depends on what is sighted and on nothing else.
type floor struct {
	config  VisitConfig
	policy  *policy.Policy
	ambient ambient
	// publish gives a verdict of a visit to the world and returns its event.
	publish func(v *visit, verdict policy.Verdict, about relation, at time.Time) *event.Event

	visits  map[int]*visit // by track
	gone    []farewell
	known   []acquaintance
	nextID  int
	passers int
	heldUp  bool // somebody with an alert waits for staff, maybe out of view
}

// relation is what a verdict has to do with an earlier one.
type relation struct{ rescreenOf, revises string }

func newFloor(config VisitConfig, judge *policy.Policy) *floor {
	return &floor{config: config, policy: judge, visits: map[int]*visit{}, nextID: 1}
}

func (f *floor) newVisit(at time.Time) *visit {
	v := &visit{id: f.nextID, walkway: f.walkway(), firstSeen: at, pause: f.config.Retry}
	f.nextID++
	return v
}

// visitAfter is a new visit that begins where and when another's person was last seen.
func (f *floor) visitAfter(before *visit, at time.Time) *visit {
	v := f.newVisit(at)
	v.follows = before.person.event
	return v
}

// see takes what a frame shows of the face of a track, and returns the visit that it belongs to.
func (f *floor) see(id int, s *sighting) *visit {
	v := f.visits[id]
	back := false
	if v == nil {
		v = f.welcome(s)
		back = v.firstSeen.Before(s.at)
		v.came = place{}
		f.visits[id] = v
	}
	switch r := v.rival; {
	case r != nil:
		// A third person, or the first again; nor is the inconclusive verdict of a rival shown of anybody else.
		switch {
		case !r.breaks(s) || !r.changed(s) && !(s.broken && r.person.event != nil):
		case !r.presence.more():
			r.startOver()
		default:
			f.dismiss(r, s.at)
			v.rival = f.visitAfter(v, s.at)
		}
	case !v.known() && s.broken && v.mayHaveLeft(s):
		f.dismiss(v, s.at) // there is no portrait to know them by; who was told already leaves no second trace
		v = f.visitAfter(v, s.at)
		f.visits[id] = v
	case f.mistakable(v, s):
		v.adrift = true
		v.rival = f.visitAfter(v, s.at)
	case !v.breaks(s):
	case v.person.event != nil || back || v.want != event.NoProblem:
		if s.broken || s.measured() {
			v.rival = f.visitAfter(v, s.at)
		}
	case v.changed(s) && v.settles(s):
		v.startOver()
	case v.changed(s):
		f.leave(v, s.at)
		v = f.welcome(s)
		f.visits[id] = v
	}
	if v.rival == nil {
		v.see(s)
		f.suspect(v, s)
		return v
	}
	switch v.doubt(s) {
	case samePerson:
		v.absorb()
	case anotherPerson:
		next := v.rival
		v.rival = nil
		f.end(v, s.at)
		f.flush(v, s.at)
		f.reunite(next, s)
		f.suspect(next, s)
		f.visits[id] = next
		return next
	}
	return v
}

// touching is how far apart, in widths, two faces at most are of which only one is found.
const touching = 1.1

// mistakable says whether somebody who walks past others may by now be one of those: of two faces of one size that touch only one is
// found, and whoever comes out first is followed. Nobody's verdict holds then until their face is measured again.
func (f *floor) mistakable(v *visit, s *sighting) bool {
	if !f.walkway() || v.person.event == nil || !v.known() || s.measured() {
		return false
	}
	for _, other := range f.visits {
		last := other.last()
		switch {
		case other == v || ratio(last, s.box) >= larger:
		case !other.inSight && middlesApart(last, s.box) < touching:
			return true
		case other.firstSeen.After(v.measuredAt) && middlesApart(last, v.person.last.box) < min(touching, middlesApart(s.box, v.person.last.box)):
			return true // somebody new, and nearer to where they were measured
		}
	}
	return false
}

// newFor is for how long a face may be two faces that touch.
const newFor = 400 * time.Millisecond

// ofTwo says whether a face that is new is a box around two that were a moment ago where it is, and smaller. Of a face that stays
// it is not said: somebody may have stepped before the two.
func (f *floor) ofTwo(subject *track.Subject, at time.Time) bool {
	if !f.walkway() || f.visits[subject.ID] != nil || at.Sub(subject.FirstSeen) >= newFor {
		return false
	}
	inside := 0
	for _, v := range f.visits {
		last := v.last()
		if x, y := last.X+last.W/2-subject.Box.X, last.Y+last.H/2-subject.Box.Y; !v.inSight && 1.3*last.W < subject.Box.W &&
			x > 0 && x < subject.Box.W && y > 0 && y < subject.Box.H {
			inside++
		}
	}
	return inside >= 2
}

// last is where the visit's face was last seen.
func (v *visit) last() event.Box {
	if v.rival != nil {
		return v.rival.box
	}
	return v.box
}

// judge gives a visit its verdict, if the time has come.
func (f *floor) judge(v *visit, view *track.View, referenceOK bool, at time.Time) {
	switch {
	case v.rival != nil:
		f.judgeHindered(v.rival, 2*f.config.Patience, at)
	case v.stage == alerted:
	case v.stage == passed && v.person.unsettled != nil && !f.config.FreshLookClears:
		f.revoke(v, at)
	case v.stage == passed:
		f.watch(v, referenceOK, at)
	default:
		f.judgeLook(v, view, referenceOK, at)
	}
}

// judgeHindered gives up on somebody who stands there and can't be measured.
func (f *floor) judgeHindered(v *visit, patience time.Duration, at time.Time) {
	if !v.hinderedSince.IsZero() && at.Sub(v.hinderedSince) >= patience && !at.Before(v.due) {
		f.conclude(v, nil, f.policy.Unmeasured(v.problem), nil, at)
	}
}

// judgeLook asks the policy about the readings so far.
func (f *floor) judgeLook(v *visit, view *track.View, referenceOK bool, at time.Time) {
	e := f.estimate(v, referenceOK, at)
	if e.Frames == 0 || v.measuredAt.Before(at) {
		f.judgeHindered(v, f.config.Patience, at)
		return
	}
	if v.stage == open { // every further frame is asked for as much as an early one
		e.Elapsed = 0
	}
	verdict, over := f.policy.Decide(e)
	obstacle := f.obstacle(v, verdict, at)
	if over && obstacle == event.NoProblem && verdict.Outcome != event.Inconclusive {
		v.want = event.NoProblem
		f.conclude(v, view, verdict, nil, at)
		return
	}
	if v.stage == open && !at.Before(v.due) || v.stage != open && over {
		verdict = f.atLast(v, obstacle, referenceOK, at)
		v.want = verdict.Reason
		if v.stage == open || at.Sub(v.lookSince) >= f.patienceFor(verdict.Reason) {
			f.conclude(v, view, verdict, nil, at)
		}
	}
}

// obstacle is what keeps a look that is clear from becoming a verdict.
func (f *floor) obstacle(v *visit, verdict policy.Verdict, at time.Time) event.Reason {
	switch {
	case verdict.Outcome == event.Pass && v.person.unsettled != nil && !f.config.FreshLookClears:
		return event.SecondReading
	case !v.alive(at):
		return event.Lifeless
	}
	return event.NoProblem
}

// atLast is the inconclusive verdict with the numbers of the whole look.
func (f *floor) atLast(v *visit, obstacle event.Reason, referenceOK bool, at time.Time) policy.Verdict {
	verdict, _ := f.policy.Decide(f.estimate(v, referenceOK, at))
	switch {
	case obstacle != event.NoProblem:
		verdict.Outcome, verdict.Reason = event.Inconclusive, obstacle
	case verdict.Outcome != event.Inconclusive: // clear only to those who look once
		verdict.Outcome, verdict.Reason = event.Inconclusive, event.TooClose
	}
	return verdict
}

// patienceFor is how long somebody is told what to do before it becomes a verdict: what they or time can help is waited
// for.
func (f *floor) patienceFor(reason event.Reason) time.Duration {
	switch reason {
	case event.Covered, event.Lifeless:
		return f.config.Patience
	case event.NoReading: // time alone may help
		return 3 * f.config.Patience
	}
	return 0
}

func (f *floor) estimate(v *visit, referenceOK bool, at time.Time) policy.Estimate {
	e := v.look.Estimate()
	return policy.Estimate{
		SkinCelsius:       e.SkinCelsius,
		NoiseCelsius:      e.NoiseCelsius,
		SystematicCelsius: e.SystematicCelsius,
		Site:              e.Site,
		FaceCelsius:       e.FaceCelsius,
		AmbientCelsius:    f.ambient.at(at),
		Masked:            e.Masked,
		ChillCelsius:      e.ChillCelsius,
		ChillUncertainty:  e.ChillUncertainty,
		Bare:              e.Bare,
		Frames:            e.Frames,
		Span:              e.To.Sub(e.From),
		Elapsed:           at.Sub(v.lookSince),
		At:                at,
		ReferenceOK:       referenceOK,
	}
}

const (
	// A pass is contradicted by this many frames that span this time and are all newer than it.
	contradictFrames = 5
	contradictSpan   = 400 * time.Millisecond
)

// watch looks whether the readings since a pass contradict it.
func (f *floor) watch(v *visit, referenceOK bool, at time.Time) {
	e := f.estimate(v, referenceOK, at)
	if e.Frames < contradictFrames || e.Span < contradictSpan || !v.measuredAt.Equal(at) {
		return
	}
	e.Elapsed = 0
	verdict, over := f.policy.Decide(e)
	if !over || verdict.Outcome != event.Alert {
		return
	}
	v.stage, v.decided = alerted, at
	v.person.event = f.publish(v, verdict, relation{revises: v.person.event.ID}, at)
	v.person.unsettled, v.person.resembles = v.person.event, false
}

// revoke takes back a pass of somebody who turns out to be one with an alert.
func (f *floor) revoke(v *visit, at time.Time) {
	v.stage, v.decided, v.due = open, at, at.Add(v.pause)
	v.want = event.SecondReading
	v.person.event = f.publish(v, f.policy.Unmeasured(event.SecondReading), relation{revises: v.person.event.ID}, at)
}

// conclude gives the visit its verdict. walksOff is the event of whoever it may only have been who walks off, or nil.
func (f *floor) conclude(v *visit, view *track.View, verdict policy.Verdict, walksOff *event.Event, at time.Time) {
	var about relation
	if before := v.person.event; before != nil {
		about.rescreenOf = before.ID
	} else if known, difference := f.recognise(v, view, verdict); known != nil {
		sure := difference <= sameSure && !v.person.masked && !known.masked
		if verdict.Outcome == event.Pass && sure && known.passedLately(at, f.config.Return) {
			f.resume(v, known, at)
			return
		}
		about.rescreenOf, v.person.counted = known.event.ID, v.person.counted || known.counted
		if known.unsettled != nil && known.holds(difference) {
			v.inherit(known, difference, at)
		}
		v.repeats = difference <= knownAgain && known.event.Data.Outcome == event.Pass && verdict.Outcome == event.Pass
		if known.unsettled == nil { // else it is kept until a guard settles it
			f.release(known.event)
		}
	} else if walksOff != nil {
		about.rescreenOf = walksOff.ID
	}
	if f.obstacle(v, verdict, at) == event.SecondReading {
		verdict.Outcome, verdict.Reason = event.Inconclusive, event.SecondReading
	}
	v.decided = at
	v.person.counted = v.person.counted || f.policy.Count(verdict)
	v.person.event = f.publish(v, verdict, about, at)
	switch verdict.Outcome {
	case event.Pass:
		v.stage = passed
		v.look.Reset() // what contradicts it comes after it
	case event.Alert:
		v.stage, v.person.unsettled, v.person.resembles = alerted, v.person.event, false
	default:
		v.stage = open
		v.due = at.Add(v.pause)
		v.pause *= 2
	}
}

// resume goes on with the visit of somebody who passed, turned round or stepped back, and is there again.
func (f *floor) resume(v *visit, known *acquaintance, at time.Time) {
	portraits := append(slices.Clone(known.portraits), v.person.portraits...)
	person := acquaintance{portraits: portraits[max(0, len(portraits)-portraitsKept):], drawn: at, last: v.person.last, event: known.event, counted: known.counted}
	f.release(known.event)
	v.person = person
	v.stage, v.decided, v.repeats = passed, at, true
	v.look.Reset()
}

// keep ends the visits of tracks that are gone.
func (f *floor) keep(tracks []track.Subject, at time.Time) {
	for _, id := range slices.Sorted(maps.Keys(f.visits)) { // in an order, so that a replay tells the same
		v := f.visits[id]
		i := slices.IndexFunc(tracks, func(s track.Subject) bool { return s.ID == id })
		if i < 0 {
			delete(f.visits, id)
			f.end(v, at)
			continue
		}
		v.inSight = tracks[i].Detection >= 0
		v.behind = v.behind || f.hidden(v)
	}
	f.gone = slices.DeleteFunc(f.gone, func(w farewell) bool {
		if over := at.After(w.until); over {
			f.leave(w.visit, at)
			return true
		}
		return false
	})
	f.fade(at)
}

// farewell is a visit without a verdict whose person is out of sight. They may only be hidden behind somebody, or have
// looked away: until a time whoever appears there goes on with the visit.
type farewell struct {
	visit  *visit
	until  time.Time
	hidden bool
}

const (
	// awayFor and hiddenFor are how long somebody out of sight is waited for, the latter behind somebody nearer.
	awayFor   = 800 * time.Millisecond
	hiddenFor = 8 * time.Second
	// blink is for how long a face may not be found that is then where it was.
	blink = 300 * time.Millisecond
	// nearby is how far from where they were, in widths of a face, and larger how much larger or smaller, people who were
	// out of sight appear again.
	nearby = 1.5
	larger = 1.6
)

// end takes leave of a visit whose track is lost.
func (f *floor) end(v *visit, at time.Time) {
	if r := v.rival; r != nil {
		v.rival = nil
		if r.presence.stood >= waited || r.known() || v.outward() && r.walkedPast() {
			f.end(r, at)
		}
	}
	if v.person.event != nil {
		f.part(v)
		return
	}
	switch {
	case v.outward():
		f.leave(v, at)
	case v.behind || f.hidden(v):
		f.gone = append(f.gone, farewell{v, at.Add(hiddenFor), true})
	case !v.known() && v.presence.stood < walked && v.walkedPast(): // a track outlives who walks on: whoever is there now is another
		f.leave(v, at)
	default:
		f.gone = append(f.gone, farewell{v, at.Add(awayFor), false})
	}
}

// mayHaveLeft says whether somebody who would leave a trace was out of sight for so long, or stood there for so long, that
// whoever is seen after a break, or comes in at a border, may be another person.
func (v *visit) mayHaveLeft(s *sighting) bool {
	away := s.at.Sub(v.lastSeen)
	if away < blink && apart(v.box, s.box) < 0.3 && ratio(v.box, s.box) < 1.15 {
		return false
	}
	switch {
	case !v.presence.more():
		return v.presence.stood >= waited
	case v.outward():
		return away >= blink
	}
	comesIn := s.atEdge && away >= blink && apart(v.box, s.box) >= 0.5
	return v.presence.stood >= waited || !v.behind && (comesIn || away >= awayFor)
}

// flush ends a visit for good whose person is known to be gone.
func (f *floor) flush(v *visit, at time.Time) {
	f.gone = slices.DeleteFunc(f.gone, func(w farewell) bool {
		if w.visit == v {
			f.leave(v, at)
		}
		return w.visit == v
	})
}

// hidden says whether a face was last seen beside or behind somebody nearer.
func (f *floor) hidden(v *visit) bool {
	for _, other := range f.visits {
		if other.box.W > v.box.W && apart(other.box, v.box) < 1.2 {
			return true
		}
	}
	return false
}

// welcome begins a visit, or goes on with that of somebody who was out of sight, or of a track that was lost here a
// moment ago. Somebody whose visit has its verdict and who walks off with another track is told by where that began.
func (f *floor) welcome(s *sighting) *visit {
	if v := f.back(s); v != nil {
		return v
	}
	id, lost := f.lost(s)
	switch {
	case lost == nil:
		return f.newVisit(s.at)
	case lost.person.event == nil && lost.rival == nil:
		delete(f.visits, id)
		return lost
	}
	return f.visitAfter(lost, s.at)
}

// lost finds the visit whose track was last seen a moment ago where a new track begins.
func (f *floor) lost(s *sighting) (int, *visit) {
	for _, id := range slices.Sorted(maps.Keys(f.visits)) {
		v := f.visits[id]
		moment := blink
		if v.person.event != nil { // nothing is lost by taking the trace of another for theirs: it is kept
			moment = time.Second
		}
		away := s.at.Sub(v.lastSeen)
		if !v.inSight && away < moment && apart(v.box, s.box) < nearby && ratio(v.box, s.box) < larger && !v.changed(s) {
			return id, v
		}
	}
	return 0, nil
}

// back finds the visit of somebody who was out of sight and is there again.
func (f *floor) back(s *sighting) *visit {
	box := s.box
	for i, w := range f.gone {
		was, far, most := w.visit.box, nearby, larger
		if w.hidden { // whoever stood in the way has moved, and so have they
			far, most = 2*far, 1.25*most
		}
		if apart(was, box) < far && ratio(was, box) < most && !w.visit.changed(s) {
			f.gone = slices.Delete(f.gone, i, i+1)
			return w.visit
		}
	}
	return nil
}

// reunite joins a visit that came out of another's with its own beginning, from before its person was out of sight.
func (f *floor) reunite(v *visit, s *sighting) {
	if earlier := f.back(s); earlier != nil {
		v.firstSeen = earlier.firstSeen
	}
}

// dismiss ends a visit for good whose person has made room for another.
func (f *floor) dismiss(v *visit, at time.Time) {
	if v.person.event != nil {
		f.part(v)
		return
	}
	f.leave(v, at)
}

// leave ends a visit that has no verdict for good. Nobody who was near enough to be screened goes without a trace.
func (f *floor) leave(v *visit, at time.Time) {
	if reason, ok := v.trace(); ok {
		var view *track.View
		if v.known() {
			view = &v.latest
		}
		walksOff := v.follows
		if v.presence.stood >= walked || v.look.Estimate().Frames > glimpses {
			walksOff = nil
		}
		f.conclude(v, view, f.policy.Unmeasured(reason), walksOff, at)
		f.part(v)
	} else if v.presence.far >= glimpses {
		f.passers++
	}
}

// closeAlert takes a guard's word that an alert is settled, and says whether anybody here had it.
func (f *floor) closeAlert(id string) bool {
	found := false
	settle := func(a *acquaintance) {
		if a.unsettled != nil && a.unsettled.ID == id {
			a.unsettled, found = nil, true
		}
	}
	for i := range f.known {
		settle(&f.known[i])
	}
	for _, v := range f.visits {
		settle(&v.person)
	}
	for _, w := range f.gone {
		settle(&w.visit.person)
	}
	return found
}

// interrupt throws away what the looks under way have read: it can't be compared with what will be read.
func (f *floor) interrupt() {
	forget := func(v *visit) {
		v.look.Reset()
		v.lookSince, v.skinSite = time.Time{}, ""
	}
	for _, v := range f.visits {
		forget(v)
		if v.rival != nil {
			forget(v.rival)
		}
	}
	for _, w := range f.gone {
		forget(w.visit)
	}
}

// lookAgain begins a fresh look at the same person.
func (v *visit) lookAgain() {
	v.look.Reset()
	v.repeats, v.admitted = false, false
	v.lookSince, v.hinderedSince = time.Time{}, time.Time{}
	v.want = event.NoProblem
	if v.stage != arriving {
		v.stage = looking
	}
}

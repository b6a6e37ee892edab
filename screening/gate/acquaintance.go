package gate

import (
	"math"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

const (
	// knownAgain is the difference of portraits up to which somebody who comes back is taken for the one who was there:
	// on simulated people it holds for 97 of 100 who do, and for one of 200 others.
	knownAgain = 2.5
	// knownHere is that at a walkway for somebody lost from sight up to lostFor ago where the other appears: whoever is half hidden
	// or turns round differs by that much from themselves. Only their next event hangs on it, which then refers to the one before.
	knownHere  = 4.5
	lostFor    = 2500 * time.Millisecond
	lostWidths = 2
	// fastest is how many widths of a face a second people cover.
	fastest = 10
	// suspicious is the difference up to which a single frame shows somebody with an alert.
	suspicious = 2.0
	// coolerCelsius is how much colder somebody with an alert may come back and be told from others by their portrait
	// alone; beyond that only one that is sure counts.
	coolerCelsius = 1.0
	// portraitsKept and portraitEvery spread the portraits over the ways a face is held.
	portraitsKept = 12
	portraitEvery = 250 * time.Millisecond
)

// acquaintance is somebody who was before the camera lately.
type acquaintance struct {
	portraits []track.Portrait
	drawn     time.Time // when the last portrait was
	last      place     // where and when they were last measured; later, where somebody with an alert was surely seen since
	event     *event.Event
	unsettled *event.Event // the alert that no guard has settled yet
	masked    bool         // in some measured frame: portraits of masked people compare brows alone, which are alike
	resembles bool         // the alert was another visit's: this one only looked like the same person
	counted   bool         // as one of the people that the policy compares with others
}

// draw adds a portrait now and then, and of a new look at once, the newest in place of the oldest.
func (a *acquaintance) draw(view *track.View, isNew bool, at time.Time) {
	if len(a.portraits) > 0 && !isNew && at.Sub(a.drawn) < portraitEvery {
		return
	}
	a.drawn = at
	if len(a.portraits) == portraitsKept {
		a.portraits = slices.Delete(a.portraits, 0, 1)
	}
	a.portraits = append(a.portraits, view.Portrait())
}

// difference is that of a view from the portrait it is most like.
func (a *acquaintance) difference(view *track.View) float64 {
	least := math.Inf(1)
	for i := range a.portraits {
		least = min(least, view.Difference(&a.portraits[i]))
	}
	return least
}

// within says whether a view differs from any of the portraits by no more than limit. That of the newest is the likeliest. A picture
// with pixels that are no number can't be compared, and makes nobody another.
func (a *acquaintance) within(view *track.View, limit float64) bool {
	for i := len(a.portraits) - 1; i >= 0; i-- {
		if !(view.Difference(&a.portraits[i]) > limit) {
			return true
		}
	}
	return false
}

// recognise returns whom a visit resembles most of those who were here lately, or are in doubt or out of sight, and how much
// they differ, nil for a stranger. view is of its newest measured frame. Being like somebody may only make the gate more
// careful: it never makes a verdict milder.
func (f *floor) recognise(v *visit, view *track.View, verdict policy.Verdict) (known *acquaintance, least float64) {
	if view == nil {
		return nil, 0
	}
	most := 1.0 // of the limit
	consider := func(a *acquaintance) {
		d, limit := a.difference(view), f.limit(a, v, verdict)
		if d < most*limit && a.plausible(verdict, d) {
			most, least, known = d/limit, d, a
		}
	}
	for i := range f.known {
		consider(&f.known[i])
	}
	for _, o := range f.visits { // those who crossed each other may carry on where the other was
		if o != v && o.person.event != nil && (o.rival != nil || !o.inSight) {
			consider(&o.person)
		}
	}
	return known, least
}

// limit is the difference up to which somebody is taken for the one a visit is of: none where they can't have come from the one
// place to the other, more where they were lost from sight just there.
func (f *floor) limit(a *acquaintance, v *visit, verdict policy.Verdict) float64 {
	alert := a.unsettled != nil || a.event.Data.Outcome == event.Alert
	away := v.came.at.Sub(a.last.at)
	far := middlesApart(a.last.box, v.came.box)
	switch {
	case v.came.at.IsZero() || alert && verdict.Outcome == event.Pass:
		return knownAgain
	case f.walkway() && v.firstSeen.Sub(a.last.at) > -blink && away <= lostFor && far <= lostWidths:
		return knownHere
	case !alert && (away <= -blink || far > nearby+fastest*away.Seconds()):
		return 0
	}
	return knownAgain
}

// place is where and when a face was seen.
type place struct {
	box event.Box
	at  time.Time
}

// release ends the visits whose person, with this event, is found to stand elsewhere, so that nobody else is taken for them.
// Whoever was seen in their place since has a visit of their own.
func (f *floor) release(e *event.Event) {
	f.known = slices.DeleteFunc(f.known, func(a acquaintance) bool { return a.event == e })
	for id, o := range f.visits {
		switch {
		case o.person.event != e:
		case o.rival != nil:
			f.visits[id] = o.rival
		default:
			delete(f.visits, id)
		}
	}
}

// suspect looks whether any frame of a visit shows somebody whose alert no guard has settled. Once a pass is given it has to
// be sure.
func (f *floor) suspect(v *visit, s *sighting) {
	if !s.measured() || v.person.unsettled != nil || v.rival != nil {
		return
	}
	limit := suspicious
	if v.stage == passed {
		limit = sameSure
	}
	for i := range f.known {
		a := &f.known[i]
		if a.unsettled == nil {
			continue
		}
		d := a.difference(s.view)
		if d <= limit && a.holds(d) && a.plausibleSkin(s.reading.SkinCelsius, d) {
			v.inherit(a, d, s.at)
			return
		}
	}
}

// holds says whether the alert counts for somebody who differs by so much. Like somebody who was like somebody is not
// enough.
func (a *acquaintance) holds(difference float64) bool { return !a.resembles || difference <= sameSure }

// inherit takes the alert of somebody who is most likely the same person.
func (v *visit) inherit(a *acquaintance, difference float64, at time.Time) {
	v.person.unsettled, v.person.resembles = a.unsettled, true
	if difference <= sameSure {
		a.last.at = at
	}
}

// plausibleSkin says whether somebody with an alert may read this now.
func (a *acquaintance) plausibleSkin(celsius, difference float64) bool {
	before := a.unsettled.Data.SkinCelsius
	return difference <= sameSure || before == nil || math.Abs(celsius-*before) <= coolerCelsius
}

// passedLately is true of somebody without an alert.
func (a *acquaintance) passedLately(at time.Time, within time.Duration) bool {
	return a.unsettled == nil && a.event.Data.Outcome == event.Pass && at.Sub(a.last.at) <= within
}

// plausible says whether the readings let two looks be of one person.
func (a *acquaintance) plausible(now policy.Verdict, difference float64) bool {
	before := &a.event.Data
	if a.unsettled != nil {
		before = &a.unsettled.Data
	}
	if now.SkinCelsius == nil || before.SkinCelsius == nil {
		return true
	}
	apart := math.Abs(*now.SkinCelsius - *before.SkinCelsius)
	switch before.Outcome {
	case event.Alert:
		return apart <= coolerCelsius || difference <= sameSure
	case event.Pass:
		return apart <= sameSkinCelsius
	}
	return true
}

// part keeps those who got a verdict in mind when they leave, and forgets others after a while.
func (f *floor) part(v *visit) {
	if v.person.event != nil && v.known() {
		f.known = append(f.known, v.person)
	}
}

func (f *floor) fade(at time.Time) {
	f.known = slices.DeleteFunc(f.known, func(a acquaintance) bool {
		memory := f.config.Rescreen
		if a.unsettled == nil && a.event.Data.Outcome == event.Pass {
			memory = f.config.Return
		}
		return at.Sub(a.last.at) > memory
	})
}

package gate

import (
	"math"
	"time"

	"thermogate/screening/event"
)

// fresh is how old a pass may be when the way becomes clear for it to open the door all the same.
const fresh = time.Second

// stillFor is how long a face may stand still until its verdict is in doubt: the picture may be frozen, and somebody else
// be there by now.
const stillFor = time.Second

// besideWidth is the part of a face's width from which on another is taken to be as near: boxes of two who stand side by
// side differ by as much from frame to frame.
const besideWidth = 0.9

// walkedOff is what is left of the width of a face that is not seen just now: whoever passed is on the way to the door.
const walkedOff = 0.85

// admit says for whom the door may be open: for somebody who passed, while nobody with an alert is in view or waits out of
// it for staff, and nobody without a verdict is nearer. Whose pass has become stale while the way was not clear is looked at again.
func (f *floor) admit(scene *event.Scene, seen []*visit, at time.Time) {
	alert := f.heldUp
	for _, v := range seen {
		alert = alert || v.standing(at) == alerted
	}
	scene.LockDoor = alert || f.followed(seen, at)
	for i, v := range seen {
		if v.standing(at) != passed || v.repeats {
			continue
		}
		free := !alert && !someoneNearer(v, besideWidth*v.box.W, seen, at)
		switch {
		case free && (v.admitted || at.Sub(v.decided) <= fresh):
			v.admitted = true
			scene.People[i].Admitted = true
		case free:
			v.lookAgain()
		case v.admitted:
			scene.LockDoor = true
		}
	}
}

// followed says whether somebody without a verdict has taken the place of one for whom the door was opened a moment ago,
// or comes nearer than one who is not seen just now, but is likely still there.
func (f *floor) followed(seen []*visit, at time.Time) bool {
	for _, v := range f.visits {
		if v.stage != passed || !v.admitted {
			continue
		}
		if r := v.rival; r != nil && r.measuredAt.Equal(at) || r == nil && v.lastSeen.Before(at) && someoneNearer(v, walkedOff*v.box.W, seen, at) {
			return true
		}
	}
	return false
}

// still says whether the picture of the face may be frozen.
func (v *visit) still(at time.Time) bool { return at.Sub(v.movedAt) > stillFor }

// standing is the stage that holds for the person now: none for somebody in doubt, or in a picture that stands still.
func (v *visit) standing(at time.Time) stage {
	if v.rival == nil && v.person.event != nil && v.person.event.Data.Outcome == event.Alert {
		return alerted // until a fresh look says otherwise
	}
	if v.rival != nil || v.still(at) {
		return arriving
	}
	return v.stage
}

// someoneNearer says whether anybody without a verdict is nearer to the camera than v, whose face is this wide. The larger
// face is the nearer.
func someoneNearer(v *visit, width float64, seen []*visit, at time.Time) bool {
	for _, other := range seen {
		waiting := other.standing(at) != passed
		if other != v && waiting && other.presence.far > 0 && other.box.W > width {
			return true
		}
	}
	return false
}

// oneAtATime says whether two people who wait for a verdict stand so close that they are in each other's way.
func oneAtATime(seen []*visit, at time.Time) bool {
	const soon = time.Second
	for i, v := range seen {
		for _, other := range seen[:i] {
			if v.stuck(at, soon) && other.presence.near > 0 || other.stuck(at, soon) && v.presence.near > 0 {
				if apart(v.box, other.box) < 1.2 {
					return true
				}
			}
		}
	}
	return false
}

// stuck says whether somebody near the camera has waited this long and can't be measured.
func (v *visit) stuck(at time.Time, long time.Duration) bool {
	return v.presence.near > 0 && v.person.event == nil && v.problem != event.NoProblem && at.Sub(v.firstSeen) > long
}

// walkway says whether many may be before the camera at once, farther off than anybody is screened at a kiosk.
func (f *floor) walkway() bool { return f.config.Near < usualNear }

// middlesApart is the distance between the middles of two faces, in widths of the larger.
func middlesApart(a, b event.Box) float64 {
	return math.Hypot(a.X+a.W/2-b.X-b.W/2, a.Y+a.H/2-b.Y-b.H/2) / max(a.W, b.W)
}

// apart is the distance between two faces side by side, in widths of the larger.
func apart(a, b event.Box) float64 {
	return math.Abs(a.X+a.W/2-b.X-b.W/2) / max(a.W, b.W)
}

// ratio is how much larger the one face is than the other.
func ratio(a, b event.Box) float64 { return max(a.W/b.W, b.W/a.W) }

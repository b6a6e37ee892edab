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
	// likeEnough is the likeness of two portraits from which on they are taken to be of one person.
	likeEnough = 0.94
	// sameSkinCelsius is how far the skin of one person may seem to change while they turn round.
	sameSkinCelsius = 0.3
	// portraitsKept and portraitEvery spread the portraits over the ways a face is held.
	portraitsKept = 8
	portraitEvery = 250 * time.Millisecond
)

// acquaintance is somebody who was before the camera lately.
type acquaintance struct {
	portraits []track.Portrait
	drawn     time.Time // when the last portrait was
	lastSeen  time.Time
	event     *event.Event
}

// draw adds a portrait now and then, the newest in place of the oldest.
func (a *acquaintance) draw(p track.Portrait, at time.Time) {
	a.lastSeen = at
	if len(a.portraits) > 0 && at.Sub(a.drawn) < portraitEvery {
		return
	}
	a.drawn = at
	if len(a.portraits) == portraitsKept {
		a.portraits = slices.Delete(a.portraits, 0, 1)
	}
	a.portraits = append(a.portraits, p)
}

func (a *acquaintance) likeness(b *acquaintance) float64 {
	best := -1.0
	for i := range a.portraits {
		for j := range b.portraits {
			best = max(best, a.portraits[i].Likeness(&b.portraits[j]))
		}
	}
	return best
}

// recognise returns the latest event of the person whom a visit resembles most, nil for a stranger.
func (g *Gate) recognise(v *visit) *event.Event {
	var known *event.Event
	best := likeEnough
	for _, a := range g.acquaintances {
		if likeness := a.likeness(&v.person); likeness >= best {
			best, known = likeness, a.event
		}
	}
	return known
}

// part keeps those who got a verdict in mind when they leave, and forgets others after a while.
func (g *Gate) part(v *visit) {
	if v.person.event != nil && len(v.person.portraits) > 0 {
		g.acquaintances = append(g.acquaintances, v.person)
	}
}

func (g *Gate) fade(at time.Time) {
	g.acquaintances = slices.DeleteFunc(g.acquaintances, func(a acquaintance) bool {
		memory := g.config.Visit.Rescreen
		if a.event.Data.Outcome == event.Pass {
			memory = g.config.Visit.Return
		}
		return at.Sub(a.lastSeen) > memory
	})
}

// sameVisit says whether a pass is that of somebody who passed moments ago, turned round and looked again. It is asked
// only of passes: a warm person is never taken for another who was not.
func sameVisit(now policy.Verdict, before event.Data) bool {
	return now.Outcome == event.Pass && before.Outcome == event.Pass &&
		now.SkinCelsius != nil && before.SkinCelsius != nil &&
		math.Abs(*now.SkinCelsius-*before.SkinCelsius) <= sameSkinCelsius
}

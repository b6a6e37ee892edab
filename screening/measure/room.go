package measure

import (
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
)

const (
	// Of simulated people nobody walks through unseen at 33 °C, but one in three passes, since they are hardly told from those
	// with an alert; at 33.5 °C one is shown the verdict of another, and at 37 °C all walk through.
	warmRoomCelsius, coolRoomCelsius = 33, 32.5
	// roomTime is for how long it has to be so: somebody who leans into the camera fills its picture with skin.
	roomTime = 5 * time.Second
)

// Room tells whether what is around people is as warm as their skin: the detector then sees no faces, and people walk
// through without a trace. Its zero value is a cool room.
type Room struct {
	warm       bool
	since      time.Time // when it was last as warm says, or first seen
	correction float64   // °C, the last that could be used
}

// Update takes the next picture. It returns the reference source with event.RoomTooWarm as its problem where that is so: a
// source that is hardly warmer than the room is not found in it, and has not left its place.
func (r *Room) Update(m *Meter, img *radiometry.Image, ref event.ReferenceSource, at time.Time) event.ReferenceSource {
	switch ref.Problem {
	case event.NoProblem:
		r.correction = ref.CorrectionCelsius
	case event.ReferenceMissing, event.ReferenceUnstable:
	default: // which tells nothing of the room, for however long
		r.since = at
		return ref
	}
	celsius := m.ambient(img) + r.correction
	stays := r.warm && celsius > coolRoomCelsius || !r.warm && celsius < warmRoomCelsius
	if stays || r.since.IsZero() || at.Before(r.since) {
		r.since = at
	} else if at.Sub(r.since) >= roomTime {
		r.warm, r.since = !r.warm, at
	}
	if r.warm {
		ref.Problem, ref.Left = event.RoomTooWarm, false
	}
	return ref
}

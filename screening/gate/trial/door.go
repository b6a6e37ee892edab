package trial

import (
	"slices"
	"time"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

// pulse is how long a pass holds the simulated door open.
const pulse = 3 * time.Second

// simulatedDoor opens for whoever passes and is admitted, and is locked when the scene says so.
type simulatedDoor struct {
	opener  *subject // nil while it is shut
	until   time.Duration
	counted bool // this pass held it open for somebody else
}

func (d *simulatedDoor) frame(s *Score, truth simulator.Truth, scene *event.Scene, events []event.Event) {
	if d.opener != nil && truth.Time >= d.until {
		d.opener = nil
	}
	for i := range events {
		if u := s.made[events[i].ID]; u != nil && admitted(&events[i], scene) {
			*d = simulatedDoor{opener: u, until: truth.Time + pulse}
		}
	}
	if scene.LockDoor {
		d.opener = nil
	}
	if d.opener != nil && !d.counted && s.othersNearer(d.opener, truth.People) {
		d.counted = true
		s.result.DoorOpenedForOther++
	}
}

// admitted is true for a pass that opens the door.
func admitted(e *event.Event, scene *event.Scene) bool {
	return e.Data.Outcome == event.Pass && slices.ContainsFunc(scene.People, func(p event.Person) bool {
		return p.Admitted && p.Event != nil && p.Event.ID == e.ID
	})
}

// othersNearer is true while somebody stands nearer than the opener who has an alert or no verdict. Once the opener is
// out of view nobody can say any more who walks in.
func (s *Score) othersNearer(opener *subject, people []simulator.Person) bool {
	for i := range people { // nearest first
		if people[i].Who == opener.who {
			return false
		}
		u := s.known[people[i].Who]
		if people[i].Standing && people[i].WholeInView && (!u.judged || u.outcome == event.Alert) {
			for _, p := range people[i+1:] {
				if p.Who == opener.who {
					return true
				}
			}
		}
	}
	return false
}

package kiosk

import (
	"slices"
	"time"

	"thermogate/screening/event"
)

// cue is what the person in front of the gate should see now.
type cue struct {
	message message
	verdict *event.Event // the verdict it speaks of, nil for everything else
}

// director decides what the worker's page says. Its clock is the capture time of the frames.
type director struct {
	hold   time.Duration
	now    time.Time
	held   []heldVerdict
	known  []string  // ids of the latest verdicts announced, newest last
	sound  time.Time // when the reference source was last usable
	shown  cue
	change time.Time // when shown was first shown
}

type heldVerdict struct {
	event *event.Event
	since time.Time
}

const (
	// A verdict makes room for the next person after this time if its own person has left.
	readTime = time.Second
	// Guidance stays this long before other guidance replaces it: words that flicker are not read.
	guideTime = 500 * time.Millisecond
	// Somebody who walks past the reference source is no reason to call for staff.
	passingTime = 3 * time.Second
	// More verdicts than people can have who are still in view.
	knownLength = 256
)

// announce shows a verdict from now on.
func (d *director) announce(e *event.Event) cue {
	d.held = append(d.held, heldVerdict{e, d.now})
	if len(d.known) == knownLength {
		d.known = slices.Delete(d.known, 0, 1)
	}
	d.known = append(d.known, e.ID)
	return d.show(d.verdictCue())
}

// next returns what to show for a new frame.
func (d *director) next(scene *event.Scene) cue {
	if scene.Captured.Before(d.now) { // a recording that starts over
		d.held = d.held[:0]
		d.change, d.sound = time.Time{}, time.Time{}
	}
	d.now = scene.Captured
	d.expire()
	if d.sound.IsZero() || scene.Reference.Problem == event.NoProblem {
		d.sound = d.now
	}

	waiting, done := d.foremost(scene.People)
	if len(d.held) > 0 {
		current := d.verdictCue()
		age := d.now.Sub(d.current().since)
		if waiting == nil || age < readTime || inView(scene.People, current.verdict.ID) {
			return d.show(current)
		}
	}
	switch {
	case waiting != nil:
		return d.guide(cue{message: d.help(waiting.Hint)})
	case done != nil:
		return d.show(cue{message: lingering(&done.Event.Data)})
	default:
		return d.guide(cue{message: d.emptyGate(scene.Reference.Problem)})
	}
}

// help tells a person what is in the way.
func (d *director) help(problem event.Reason) message {
	m := guideOf(problem)
	if m.tone == toneFault && d.now.Sub(d.sound) < passingTime {
		return momentMessage
	}
	return m
}

// emptyGate invites people, unless nobody can be measured.
func (d *director) emptyGate(problem event.Reason) message {
	if problem == event.NoProblem || d.now.Sub(d.sound) < passingTime {
		return idleMessage
	}
	return guideOf(problem)
}

func (d *director) expire() {
	kept := d.held[:0]
	for _, v := range d.held {
		if d.now.Sub(v.since) < d.hold {
			kept = append(kept, v)
		}
	}
	d.held = kept
}

// current is the newest verdict, except that an alert is not pushed away by the verdict of the person beside.
func (d *director) current() heldVerdict {
	for i := len(d.held) - 1; i >= 0; i-- {
		if d.held[i].event.Data.Outcome == event.Alert {
			return d.held[i]
		}
	}
	return d.held[len(d.held)-1]
}

func (d *director) verdictCue() cue {
	e := d.current().event
	return cue{message: verdictOf(&e.Data), verdict: e}
}

// guide shows words that are not a verdict, once those before have been up long enough to be read.
func (d *director) guide(c cue) cue {
	steady := d.shown.verdict == nil && d.now.Sub(d.change) < guideTime
	if steady {
		return d.shown
	}
	return d.show(c)
}

func (d *director) show(c cue) cue {
	if c != d.shown {
		d.shown, d.change = c, d.now
	}
	return c
}

// standing returns the verdict that holds for a person, nil for one who waits for it: the event is not announced yet, or
// the look failed for a reason the person can mend and the gate looks again.
func (d *director) standing(person *event.Person) *event.Event {
	e := person.Event
	if e == nil || !slices.Contains(d.known, e.ID) {
		return nil
	}
	held := slices.ContainsFunc(d.held, func(v heldVerdict) bool { return v.event.ID == e.ID })
	if !held && verdictOf(&e.Data).icon == againIcon {
		return nil
	}
	return e
}

// foremost returns the nearest person who waits for a verdict and the nearest who has one; nil where there is none.
func (d *director) foremost(people []event.Person) (waiting, done *event.Person) {
	for i := range people {
		person := &people[i]
		nearest := &waiting
		if d.standing(person) != nil {
			nearest = &done
		}
		if *nearest == nil || area(person.Face) > area((*nearest).Face) {
			*nearest = person
		}
	}
	return waiting, done
}

func area(b event.Box) float64 { return b.W * b.H }

func inView(people []event.Person, eventID string) bool {
	return slices.ContainsFunc(people, func(p event.Person) bool { return p.Event != nil && p.Event.ID == eventID })
}

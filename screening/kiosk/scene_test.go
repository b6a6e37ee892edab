package kiosk

import (
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
)

var start = time.Date(2026, 3, 2, 7, 30, 0, 0, time.UTC)

var goodReference = event.ReferenceSource{Found: true, X: 10, Y: 80, Radius: 6, NominalCelsius: 37, MeasuredCelsius: 35.5,
	CorrectionCelsius: 1.5, UncertaintyCelsius: .1}

// sceneAt is a room at 20 °C with a warm patch for every person, so many seconds after the start.
func sceneAt(seconds float64, people ...event.Person) *event.Scene {
	image := &radiometry.Image{Width: 120, Height: 160, Celsius: make([]float32, 120*160)}
	for i := range image.Celsius {
		image.Celsius[i] = 20 + float32(i%7)/10
	}
	for _, person := range people {
		for y := int(person.Face.Y); y < int(person.Face.Y+person.Face.H); y++ {
			for x := int(person.Face.X); x < int(person.Face.X+person.Face.W); x++ {
				image.Celsius[y*image.Width+x] = 33
			}
		}
	}
	return &event.Scene{Image: image, Captured: start.Add(time.Duration(seconds * float64(time.Second))),
		Reference: goodReference, People: people}
}

// near and far are faces of people waiting, left and right are of two who stand side by side, left a little nearer; done
// is one with a verdict, admitted one for whom the door may be open.
func near(hint event.Reason) event.Person {
	return event.Person{ID: 1, Face: event.Box{X: 40, Y: 40, W: 40, H: 50}, Hint: hint}
}

func far(hint event.Reason) event.Person {
	return event.Person{ID: 2, Face: event.Box{X: 90, Y: 30, W: 16, H: 20}, Hint: hint}
}

func left(hint event.Reason) event.Person {
	return event.Person{ID: 1, Face: event.Box{X: 10, Y: 40, W: 41, H: 50}, Hint: hint}
}

func right(hint event.Reason) event.Person {
	return event.Person{ID: 2, Face: event.Box{X: 70, Y: 40, W: 40, H: 50}, Hint: hint}
}

func admitted(person event.Person, e *event.Event) event.Person {
	person.Event, person.Admitted = e, true
	return person
}

func done(person event.Person, e *event.Event) event.Person {
	person.Event = e
	return person
}

func pointer(v float64) *float64 { return &v }

func verdict(id string, outcome event.Outcome, reason event.Reason) *event.Event {
	e := &event.Event{ID: id, Time: start.Add(time.Second), Data: event.Data{Outcome: outcome, Reason: reason,
		Reference: event.Reference{Found: true, CorrectionCelsius: pointer(1.5)}}}
	if outcome != event.Inconclusive {
		e.Data.SkinCelsius, e.Data.SkinUncertaintyCelsius = pointer(34.62), pointer(.41)
		e.Data.SkinSite = event.InnerCanthus
		e.Data.BodyCelsius, e.Data.OffsetCelsius, e.Data.ThresholdCelsius = pointer(36.02), pointer(1.4), pointer(37.5)
		e.Data.SecondsToVerdict = pointer(.55)
	}
	return e
}

func passed(id string) *event.Event {
	return verdict(id, event.Pass, event.BelowThreshold)
}

func alerted(id string) *event.Event {
	return verdict(id, event.Alert, event.AboveThreshold)
}

package event

import (
	"time"

	"thermogate/camera/radiometry"
)

// Scene is what the gate knows after one frame, for pages, door and metrics. It is reused for the next frame: whoever
// keeps a part of it past the call copies it.
type Scene struct {
	Image     *radiometry.Image
	Captured  time.Time
	Reference ReferenceSource
	// Group is what is wrong with the readings of people together, GroupUnknown or BaselineShift, and empty while nothing is.
	Group  Reason
	Needs  Needs
	People []Person
	// LockDoor is true while an open door has to be locked: somebody with an alert is in view, or somebody without a
	// verdict is nearer than everybody who passed.
	LockDoor bool
	// OneAtATime is true while two people are so near to each other that neither can be measured.
	OneAtATime bool
	// Passers counts the people since the start who went by at a distance or worked behind the gate, and left no event.
	Passers int
	Stages  StageTimes
}

// Person is one tracked face in a Scene.
type Person struct {
	// ID is that of the visit. Nobody else gets it, and whoever takes another's place in the picture gets another.
	ID   int
	Face Box
	Hint Reason    // what keeps the person from being measured; empty while all is well
	Worn []Garment // what was told of face and head; where Hint is Covered, what has to come off
	// Event is the verdict of this visit, nil until there is one, and nil while it is in doubt whether the person in
	// the picture is still the one it was made on.
	Event *Event
	// Admitted is true for somebody who passed and for whom the door may be open now: nobody with an alert or without a
	// verdict is nearer to the camera.
	Admitted bool
	// Repeated is true for somebody who passed moments ago and is there again: the door has opened for them.
	Repeated bool
}

// ReferenceSource is the state of the reference source in one frame.
type ReferenceSource struct {
	Found   bool
	Problem Reason
	// Left is true where the source is not what it was or not where it was, and nothing but its return or a person's word,
	// the command recalibrate, makes it usable again.
	Left bool
	// Centre and radius of the disc in pixels of the upright picture.
	X, Y, Radius float64
	// NominalCelsius is what the source truly is; MeasuredCelsius what the camera says it is.
	NominalCelsius, MeasuredCelsius float64
	// Assumed is true where nobody set or measured NominalCelsius. Every temperature is then off by as much as the guess;
	// UncertaintyCelsius allows for that.
	Assumed bool
	// CorrectionCelsius is added to every temperature of this frame: filtered nominal minus measured.
	CorrectionCelsius float64
	// UncertaintyCelsius is the standard uncertainty of the correction.
	UncertaintyCelsius float64
}

// Needs is how large things have to be in the picture of a gate, in pixels.
type Needs struct {
	// FaceWidth is the least of somebody who is to be measured, walking up or standing.
	FaceWidth float64
	// MinReferenceRadius and MaxReferenceRadius bound the disc of the reference source; both are 0 where none is configured.
	MinReferenceRadius, MaxReferenceRadius float64
}

// StageTimes is how long each stage took for one frame.
type StageTimes struct {
	Radiometry, Reference, Face, Track, Measure, Policy time.Duration
}

// Lacks is what somebody still has to tell a gate: without a camera and its units it screens nobody, and without a reference
// source it can only compare people with each other.
type Lacks struct {
	Camera    bool `json:"camera,omitempty"`
	Units     bool `json:"units,omitempty"`
	Reference bool `json:"reference,omitempty"`
}

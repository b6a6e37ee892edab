package event

import (
	"time"

	"thermogate/camera/radiometry"
)

// Scene is what the gate knows after one frame, for pages and metrics. It is reused for the next frame: whoever keeps
// a part of it past the call copies it.
type Scene struct {
	Image     *radiometry.Image
	Captured  time.Time
	Reference ReferenceSource
	People    []Person
	Stages    StageTimes
}

// Person is one tracked face in a Scene.
type Person struct {
	ID    int
	Face  Box
	Hint  Reason    // what keeps the person from being measured; empty while all is well
	Worn  []Garment // what has to come off for that, where Hint is Covered
	Event *Event    // the verdict of this visit, nil until there is one
}

// ReferenceSource is the state of the reference source in one frame.
type ReferenceSource struct {
	Found   bool
	Problem Reason
	// Centre and radius of the disc in pixels of the upright picture.
	X, Y, Radius float64
	// NominalCelsius is what the source truly is; MeasuredCelsius what the camera says it is.
	NominalCelsius, MeasuredCelsius float64
	// Assumed is true where nobody set or measured NominalCelsius. Every temperature is then off by as much as the guess.
	Assumed bool
	// CorrectionCelsius is added to every temperature of this frame: filtered nominal minus measured.
	CorrectionCelsius float64
	// UncertaintyCelsius is the standard uncertainty of the correction.
	UncertaintyCelsius float64
}

// StageTimes is how long each stage took for one frame.
type StageTimes struct {
	Radiometry, Reference, Face, Track, Measure, Policy time.Duration
}

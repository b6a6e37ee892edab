package screening

import (
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/measure"
)

// Scene is what the gate knows after one frame, for pages and metrics. It is reused for the next frame: whoever keeps
// a part of it past the call copies it.
type Scene struct {
	Image     *radiometry.Image
	Captured  time.Time
	Reference measure.Reference
	People    []Person
	Stages    StageTimes
}

// Person is one tracked face in a Scene.
type Person struct {
	ID    int
	Face  Box
	Hint  measure.Problem // what keeps the person from being measured; empty while all is well
	Event *Event          // the verdict of this visit, nil until there is one
}

// StageTimes is how long each stage took for one frame.
type StageTimes struct {
	Radiometry, Reference, Face, Track, Measure, Policy time.Duration
}

// CameraState is the health of the camera as the world should know it.
type CameraState string

// The states of a camera.
const (
	CameraStarting CameraState = "starting"
	CameraOK       CameraState = "ok"
	CameraStalled  CameraState = "stalled" // connected before, no fresh frame for the stall limit
	CameraLost     CameraState = "lost"    // can't be opened
)

// Package event holds the words of the domain, each once: what a screening comes to and why, what the world is told of
// it, and what pages and metrics are told of a frame.
package event

import "math"

// Outcome of a screening.
type Outcome string

// The outcomes.
const (
	Pass         Outcome = "pass"
	Alert        Outcome = "alert"
	Inconclusive Outcome = "inconclusive"
)

// Named is no outcome of a screening: an event with it says afterwards, at most some seconds later, who the event in person_of is about,
// or that nobody can be named. It counts nothing and opens no alert.
const Named Outcome = "person"

// EventType is the type of the events with an outcome.
func (o Outcome) EventType() string { return "thermogate.screening." + string(o) + ".v1" }

// Unpaired says why a screening has nobody's name.
type Unpaired string

// Why nobody is named.
const (
	NoRead   Unpaired = "no-read"   // no badge or code was read in time
	TwoReads Unpaired = "two-reads" // more than one was, and nobody guesses
	TwoFaces Unpaired = "two-faces" // more than one person was there
	Refused  Unpaired = "refused"   // what was read is not valid
	Repeated Unpaired = "repeated"  // the same code was somebody else's here minutes ago
)

// Reason says in a word why a verdict is what it is, or what keeps somebody from getting one.
type Reason string

// NoProblem is the empty Reason: nothing is in the way.
const NoProblem Reason = ""

// The reasons of an alert.
const (
	AboveThreshold         Reason = "above-threshold"
	AboveGroup             Reason = "above-group"
	AboveThresholdAndGroup Reason = "above-threshold-and-group"
)

// The reasons of a pass.
const (
	BelowThreshold         Reason = "below-threshold"
	BelowGroup             Reason = "below-group"
	BelowThresholdAndGroup Reason = "below-threshold-and-group"
)

// What keeps a face or a reference source from being measured. Each is the reason of an inconclusive verdict where it
// lasts.
const (
	ReferenceMissing  Reason = "reference-missing"  // not found, or not where it was
	ReferenceUnstable Reason = "reference-unstable" // found, but not warm yet, jumping or not what it was
	ShutterClosed     Reason = "shutter"            // flat-field correction just happened
	WarmingUp         Reason = "warming-up"         // camera switched on too recently
	TooFar            Reason = "too-far"
	CutOff            Reason = "cut-off" // face partly out of the picture
	TurnedAway        Reason = "turned-away"
	Moving            Reason = "moving"
	Covered           Reason = "covered"      // glasses, a hat or hair over what would have to be read
	TooCold           Reason = "too-cold"     // skin below 28 °C is not a reading
	OutOfRange        Reason = "out-of-range" // skin above 43 °C is not a reading
	NotRadiometric    Reason = "not-radiometric"
	RangeChanged      Reason = "range-changed"  // the camera has just gone to another range or gain
	CarrierMoving     Reason = "carrier-moving" // the camera is on a carrier that does not stand still
	RoomTooWarm       Reason = "room-too-warm"  // what is around people is as warm as their skin, so faces are not seen
	Lifeless          Reason = "lifeless"       // as still as no living face is: a frozen picture, a photograph, a dummy
)

// What else leaves a screening inconclusive.
const (
	TooClose      Reason = "too-close"      // the alarm level lies within the uncertainty of the reading
	ColdArrival   Reason = "cold-arrival"   // skin still cooled from outside: wait inside, then look again
	ReferenceLost Reason = "reference-lost" // a reference is configured, but was not valid in this look
	GroupUnknown  Reason = "group-unknown"  // no reference, and too few people seen yet to compare with
	BaselineShift Reason = "baseline-shift" // everybody reads low, or high, at once: camera or reference is wrong
	NoReading     Reason = "no-reading"     // the time is over and too little was measured
	SecondReading Reason = "second-reading" // somebody with an alert: a guard decides, not another look
	Left          Reason = "left"           // stood before the camera and went before there was a reading
	WalkedThrough Reason = "walked-through" // came near enough to be screened and did not stop
)

// Site is where on the face a skin temperature was read.
type Site string

// The sites, best first.
const (
	InnerCanthus Site = "inner-canthus"
	Forehead     Site = "forehead"
	WholeFace    Site = "face"
)

// Garment is what somebody wears on the face or head.
type Garment string

// The garments that are told apart.
const (
	Glasses Garment = "glasses"
	Mask    Garment = "mask"
	Hat     Garment = "hat"
)

// Box is a face in pixels of the upright picture, hairline to chin and ear to ear.
type Box struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
	W float64 `json:"w"`
	H float64 `json:"h"`
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

// Hundredths rounds a temperature to what is published, so that an event's own numbers give its verdict again.
func Hundredths(celsius float64) float64 { return math.Round(celsius*100) / 100 }

// Package measure reads the reference source and the skin temperature of a face, each with its uncertainty.
package measure

// Site is where on the face a skin temperature was read.
type Site string

// The sites, best first.
const (
	InnerCanthus Site = "inner-canthus"
	Forehead     Site = "forehead"
	WholeFace    Site = "face"
)

// Problem says why a face or a reference source can't be measured; the empty Problem means it can.
type Problem string

// What can be in the way of a measurement.
const (
	NoProblem         Problem = ""
	ReferenceMissing  Problem = "reference-missing"  // not found, covered or moved
	ReferenceUnstable Problem = "reference-unstable" // found, but not warm yet or jumping
	ShutterClosed     Problem = "shutter"            // flat-field correction just happened
	WarmingUp         Problem = "warming-up"         // camera switched on too recently
	TooFar            Problem = "too-far"
	CutOff            Problem = "cut-off" // face partly out of the picture
	TurnedAway        Problem = "turned-away"
	Moving            Problem = "moving"
	Covered           Problem = "covered"      // something cold or opaque over every site
	OutOfRange        Problem = "out-of-range" // skin outside 28 to 43 °C is not a reading
	NotRadiometric    Problem = "not-radiometric"
)

// Reference is the state of the reference source in one frame.
type Reference struct {
	Found   bool
	Problem Problem
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

// Reading is the skin temperature of one face in one frame, corrected with the reference.
type Reading struct {
	Problem     Problem
	SkinCelsius float64
	// NoiseCelsius is the standard uncertainty of what differs from frame to frame and averages out over a look;
	// SystematicCelsius of what stays the same (reference, focus and distance, site).
	NoiseCelsius, SystematicCelsius float64
	Site                            Site
	// NoseCelsius is the corrected temperature of the nose and cheeks, which tells a person just in from the cold.
	NoseCelsius float64
}

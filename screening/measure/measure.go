// Package measure reads the reference source and the skin temperature of a face, each with its uncertainty.
package measure

import "thermogate/screening/event"

// Reading is the skin temperature of one face in one frame, corrected with the reference.
type Reading struct {
	Problem     event.Reason
	SkinCelsius float64
	// NoiseCelsius is the standard uncertainty of what differs from frame to frame and averages out over a look;
	// SystematicCelsius of what stays the same (reference, focus and distance, site).
	NoiseCelsius, SystematicCelsius float64
	Site                            event.Site
	// FaceCelsius is the warm end of the face with the canthi in it, NaN where it can't be told.
	FaceCelsius float64
	// Contrast is how far the temperatures of a face lie apart in these surroundings, 1 at 23 °C and less in a warmer room.
	Contrast float64
	// Bare is true where nothing covers part of the site.
	Bare bool
	// Masked is true where a mask hides nose and cheeks.
	Masked bool
	// NoseChillCelsius is by how much the canthi seem to be colder than indoors, from how cold the nose is beside them,
	// CheekChillCelsius from the cheeks, FaceChillCelsius from how cold the face is as a whole; NaN where that can't be told.
	NoseChillCelsius, CheekChillCelsius, FaceChillCelsius float64
}

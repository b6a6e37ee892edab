package face

/*
#include "bend.h"
*/
import "C"

import "unsafe"

// bend writes (c - level) * gain of each temperature to to, which may be where they come from, kept softly within ±most. What is
// no number, or endless, becomes 0: networks of some processors hand it on to all around.
func bend(celsius, to []float32, level, gain, most float32) {
	C.bend((*C.float)(unsafe.SliceData(celsius)), (*C.float)(unsafe.SliceData(to[:len(celsius)])), C.int(len(celsius)), C.float(level), C.float(gain), C.float(most))
}

// beyond reports whether a temperature is below the least or above the most.
func beyond(celsius []float32, least, most float32) bool {
	return C.beyond((*C.float)(unsafe.SliceData(celsius)), C.int(len(celsius)), C.float(least), C.float(most)) != 0
}

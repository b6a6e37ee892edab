package face

/*
#include "shrink.h"
*/
import "C"

import (
	"math"
	"runtime"
	"slices"
	"unsafe"

	"thermogate/camera/radiometry"
)

// shrinker makes pictures smaller, each pixel the mean of what it covers. OpenCV takes two and a half times as long for
// pictures of floating-point numbers.
type shrinker struct {
	columns, rows shares
	line, out     []float32
}

// shrink returns the picture at a smaller size, valid until the next call.
func (s *shrinker) shrink(img *radiometry.Image, width, height int) []float32 {
	s.columns.set(img.Width, width)
	s.rows.set(img.Height, height)
	s.line = slices.Grow(s.line[:0], img.Width)[:img.Width]
	s.out = slices.Grow(s.out[:0], width*height)[:width*height]
	var pinned runtime.Pinner
	defer pinned.Unpin()
	C.shrink((*C.float)(unsafe.SliceData(img.Celsius)), C.int(img.Width), s.columns.pinnedBy(&pinned), s.rows.pinnedBy(&pinned),
		(*C.float)(unsafe.SliceData(s.out)), (*C.float)(unsafe.SliceData(s.line)))
	return s.out
}

// shares says which pixels of a line make up each pixel of a shorter one, by how much of it they cover: taps of them, from first on.
type shares struct {
	taps    int
	first   []int32
	weights []float32
}

func (s *shares) set(size, shorter int) {
	step := float64(size) / float64(shorter)
	s.taps = min(int(math.Ceil(step))+1, size)
	s.first, s.weights = s.first[:0], s.weights[:0]
	for i := range shorter {
		from, to := float64(i)*step, float64(i+1)*step
		first := min(int(from), size-s.taps)
		s.first = append(s.first, int32(first))
		for k := range s.taps {
			at := float64(first + k)
			s.weights = append(s.weights, float32(max(0, min(at+1, to)-max(at, from))/step))
		}
	}
}

func (s *shares) pinnedBy(p *runtime.Pinner) C.struct_shares {
	p.Pin(&s.first[0])
	p.Pin(&s.weights[0])
	return C.struct_shares{first: (*C.int)(&s.first[0]), weights: (*C.float)(&s.weights[0]), taps: C.int(s.taps), pixels: C.int(len(s.first))}
}

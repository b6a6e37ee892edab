package camera

import (
	"errors"
	"math"
	"math/bits"
)

var (
	errStretched = errors.New("its 16 bits hold an 8-bit picture, stretched: such pictures are made for eyes and carry no temperatures; " +
		"the camera's own 16-bit counts are needed, from before anything made a picture of them")
	errSwapped = errors.New("the two bytes of each count are swapped (pixels side by side differ by multiples of 256): take gray16-be for gray16-le " +
		"in a pipeline; a FLIR JPEG is read as it is; raw counts are put right by `dd conv=swab if=BAD.raw of=GOOD.raw`, a PNG by " +
		"`convert BAD.png -depth 16 -endian MSB gray:- | convert -size WIDTHxHEIGHT -depth 16 -endian LSB gray:- GOOD.png`")
)

// swapped reports whether a picture gets much smoother when the two bytes of every count change places. A ramp that somebody
// drew may, too, but its neighbours differ in hardly more than one way, and a sensor's in many.
func swapped(counts []uint16, width int) bool {
	const muchSmoother, fewWays = 8, 8
	var rough, smooth int
	var low uint16
	ways := map[uint16]bool{}
	for i, b := range counts {
		low |= b & 0xff
		if i%width == 0 {
			continue
		}
		a := counts[i-1]
		if len(ways) <= fewWays {
			ways[b-a] = true
		}
		rough += distance(a, b)
		smooth += distance(bits.ReverseBytes16(a), bits.ReverseBytes16(b))
	}
	return low != 0 && len(ways) > fewWays && rough > muchSmoother*smooth
}

func distance(a, b uint16) int { return max(int(a), int(b)) - min(int(a), int(b)) }

// A sensor's steps are of one count, or of up to 16 where its 12 bits or tenths of a degree were moved up.
const largestStep = 16

// stretched reports whether a picture has no more levels than 8 bits do and they lie evenly, further apart than a sensor's.
func stretched(counts []uint16) bool {
	levels := levelsOf(counts)
	if len(levels) < 2 || len(levels) > 256 {
		return false
	}
	from257, from256, step := 0, 0, 0
	for _, level := range levels {
		from257, from256, step = from257+level%257, from256+level%256, divisor(step, level-levels[0])
	}
	switch {
	case from257 == 0, from256 == 0:
		return true
	case step > 1:
		return step > largestStep && len(levels) >= 6 // fewer may lie so by chance
	}
	return onGrid(levels)
}

// levelsOf returns the counts that occur, in order, or somewhat more than 256 of them.
func levelsOf(counts []uint16) []int {
	var present [1 << 16 / 64]uint64
	for _, c := range counts {
		present[c/64] |= 1 << (c % 64)
	}
	var levels []int
	for i, word := range present {
		for ; word != 0; word &= word - 1 {
			levels = append(levels, 64*i+bits.TrailingZeros64(word))
		}
		if len(levels) > 256 {
			break
		}
	}
	return levels
}

// divisor returns the greatest common divisor.
func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// onGrid reports whether levels, in order, lie within one count of a grid whose step is no whole number, and would hardly
// by chance.
func onGrid(levels []int) bool {
	const least, chance = 4, 1e-9
	span := float64(levels[len(levels)-1] - levels[0])
	for steps := len(levels) - 1; steps <= 255 && span/float64(steps) >= least; steps++ {
		step := span / float64(steps)
		if math.Pow(3/step, float64(len(levels)-2)) < chance && fits(levels, step) {
			return true
		}
	}
	return false
}

func fits(levels []int, step float64) bool {
	for _, level := range levels {
		at := float64(level - levels[0])
		if math.Abs(at-step*math.Round(at/step)) > 1 {
			return false
		}
	}
	return true
}

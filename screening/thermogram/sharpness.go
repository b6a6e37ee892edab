package thermogram

import (
	"math"

	"thermogate/camera/radiometry"
)

const (
	// reblur, in pixels, is the standard deviation of the Gaussian that a picture is blurred with once more.
	reblur = 2
	// sampled bounds the pixels that are looked at in rows, and as many in columns: of larger pictures only some.
	sampled = 1 << 16
	// A picture in which no two pixels edgeReach apart differ by leastEdge °C, many times their noise, has nothing to tell
	// by. Such is one of a wall.
	leastEdge = 3
	edgeReach = 12
	// Only edges count that are this steep, as a part of the steepest: everything else is noise.
	steepPart = 0.3
	// spike is by how much the steps to and from a broken pixel are steeper than those beside them. Through a lens and square
	// pixels a point of light makes steps of 2.3 times.
	spike = 3
	// usualSharpness is that of a Lepton in focus, whose edges are blurred by 1 pixel.
	usualSharpness = 50
)

// Sharpness is 50 over the blur of the edges in a picture, a standard deviation in pixels of which the pixels themselves
// make 0.4. The recordings of Leptons in focus have 39 to 70, and below 35 once a lens blurs them by one pixel more. What
// stands before the camera hardly matters, so that the number tells of the lens; where there is no edge to tell by, it is
// false.
//
// A picture that is blurred once more loses much of its steepness where it was sharp, and little where it was not: an edge of
// blur σ becomes one of √(σ²+τ²), whatever its height (Zhuo and Sim, Defocus map estimation from a single image, Pattern
// Recognition 44, 2011). The steepness counts with its fourth power, so that the sharpest edges tell.
func Sharpness(img *radiometry.Image) (sharpness float64, ok bool) {
	var s slopes
	stride := 1 + img.Width*img.Height/sampled
	for y := stride / 2; y < img.Height; y += stride {
		s.add(img.Celsius[y*img.Width:], 1, img.Width)
	}
	for x := stride / 2; x < img.Width; x += stride {
		s.add(img.Celsius[x:], img.Width, img.Height)
	}
	if s.highest < leastEdge {
		return 0, false
	}
	kept := math.Cbrt(s.kept()) // σ/√(σ²+τ²)
	if !(kept > 0 && kept < 1) {
		return 0, false
	}
	return usualSharpness / (reblur * kept / math.Sqrt(1-kept*kept)), true
}

// slopes are the differences between neighbours in a picture, and in that blurred once more.
type slopes struct {
	all      []slope
	steepest float64 // after
	highest  float64 // edge, °C
	line     []float64
}

type slope struct{ before, after float64 }

const blurReach = 3 * reblur

// add takes a row or column of n pixels that lie so far apart, but for its ends, where the blur would reach out of it.
func (s *slopes) add(pixels []float32, apart, n int) {
	s.line = s.line[:0]
	for i := 1; i < n; i++ {
		s.line = append(s.line, float64(pixels[i*apart]-pixels[(i-1)*apart]))
	}
	mend(s.line)
	var height float64 // of the newest edgeReach steps
	for i, step := range s.line {
		if math.IsNaN(step) || math.IsInf(step, 0) {
			return // a pixel without a temperature: the next line will do
		}
		height += step
		if i >= edgeReach {
			height -= s.line[i-edgeReach]
		}
		s.highest = max(s.highest, math.Abs(height))
	}
	for i := blurReach; i < len(s.line)-blurReach; i++ {
		var after float64
		for k, weight := range kernel {
			after += weight * s.line[i+k-blurReach]
		}
		after = math.Abs(after)
		s.steepest = max(s.steepest, after)
		s.all = append(s.all, slope{math.Abs(s.line[i]), after})
	}
}

// mend takes pixels for what is between their neighbours where no lens can have made them.
func mend(steps []float64) {
	for i := 2; i+1 < len(steps); i++ {
		to, from := steps[i-1], steps[i]
		beside := max(math.Abs(steps[i-2]), math.Abs(steps[i+1]))
		if to*from < 0 && min(math.Abs(to), math.Abs(from)) > spike*beside {
			steps[i-1], steps[i] = (to+from)/2, (to+from)/2
		}
	}
}

// kept is which part of the fourth power of the steepness is left after the blur.
func (s *slopes) kept() float64 {
	var before, after float64
	for _, edge := range s.all {
		if edge.after >= steepPart*s.steepest {
			before += fourth(edge.before)
			after += fourth(edge.after)
		}
	}
	return after / before
}

func fourth(v float64) float64 { return v * v * v * v }

// kernel is the Gaussian that a picture is blurred with.
var kernel = gaussian()

func gaussian() (k [2*blurReach + 1]float64) {
	var sum float64
	for i := range k {
		d := float64(i-blurReach) / reblur
		k[i] = math.Exp(-d * d / 2)
		sum += k[i]
	}
	for i := range k {
		k[i] /= sum
	}
	return k
}

package measure

import (
	"math"

	"thermogate/camera/radiometry"
)

const (
	// usualBlur, in pixels, is the standard deviation of a Lepton's lens: the sharpest tenth of the edges of heads,
	// clothes and glasses on the recordings are 0.55 to 0.75.
	usualBlur            = 0.65
	sharpest, softest    = 0.4, 1.3
	edgeCelsius          = 4.0             // least step of an edge that counts, 80 times the noise of a pixel
	edgeSlope            = edgeCelsius / 5 // of such an edge, least from one pixel to the next
	edgeReach            = 5               // pixels on either side in which an edge must have ended
	fewEdges             = 40              // below this number the blur is the usual one
	manyEdges            = 4e3             // after that many, old ones count half
	blurBins, blurPerBin = 60, 0.03
	// samplingBlur is the variance that square pixels and the differences between them add, 1/12 each.
	samplingBlur = 1.0 / 6
)

// sharpness learns the blur of a camera from the edges around the faces it sees. No edge looks sharper than the lens
// lets it, most are softer than that by themselves, by slant or by motion: the tenth percentile tells.
type sharpness struct {
	count [blurBins]float64
	total float64
}

// blur is the standard deviation of the lens in pixels.
func (s *sharpness) blur() float64 {
	if s.total < fewEdges {
		return usualBlur
	}
	rest := 0.1 * s.total
	for i, n := range s.count {
		if rest -= n; rest < 0 {
			seen := (float64(i) + 1 + rest/n) * blurPerBin
			return min(max(math.Sqrt(max(sq(seen)-samplingBlur, 0)), sharpest), softest)
		}
	}
	return softest
}

// look takes the edges of a part of the picture.
func (s *sharpness) look(img *radiometry.Image, x0, y0, x1, y1 int) {
	x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, img.Width), min(y1, img.Height)
	for y := y0 + 1; y < y1-1; y++ {
		s.scan(img.Celsius[y*img.Width:(y+1)*img.Width], img.Celsius[(y-1)*img.Width:], img.Celsius[(y+1)*img.Width:], x0, x1)
	}
	if s.total > manyEdges {
		for i := range s.count {
			s.count[i] /= 2
		}
		s.total /= 2
	}
}

// scan finds the upright edges of one row.
func (s *sharpness) scan(row, above, below []float32, x0, x1 int) {
	for x := x0 + 1; x < x1-2; x++ {
		slope := row[x+1] - row[x]
		if slope < edgeSlope && slope > -edgeSlope { // nearly everywhere
			continue
		}
		steep := math.Abs(float64(slope))
		sign := math.Copysign(1, float64(slope))
		before, after := sign*float64(row[x]-row[x-1]), sign*float64(row[x+2]-row[x+1])
		if steep < before || steep <= after {
			continue
		}
		slant := math.Abs(float64(below[x]-above[x]+below[x+1]-above[x+1])) / 4
		if slant > 0.35*steep {
			continue
		}
		from, to := x, x+1
		for from > x0 && x-from < edgeReach && sign*float64(row[from]-row[from-1]) > 0.08*steep {
			from--
		}
		for to < x1-1 && to-x <= edgeReach && sign*float64(row[to+1]-row[to]) > 0.08*steep {
			to++
		}
		height := sign * float64(row[to]-row[from])
		if x-from >= edgeReach || to-x > edgeReach || height < edgeCelsius {
			continue
		}
		// The steepest slope lies between the differences: the top of a parabola through three of them.
		if bend := before - 2*steep + after; bend < 0 {
			steep -= sq(before-after) / (8 * bend)
		}
		// A step of this height blurred by a Gaussian is that steep.
		if bin := int(height / (math.Sqrt(2*math.Pi) * steep) / blurPerBin); bin < blurBins {
			s.count[bin]++
			s.total++
		}
	}
}

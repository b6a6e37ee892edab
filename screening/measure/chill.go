package measure

import (
	"math"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/rank"
)

// Cold air takes most from what sticks out: where the canthi lose a degree, cheeks lose nearly three and a nose more, and
// they win it back last. How much colder than the canthi they are, in °C at 23 °C ambient, at rest indoors and for a
// degree that the canthi have lost, with the standard deviation from person to person in degrees of the canthi; from
// simulated faces, 15 to 35 pixels wide. Of twenty men at real gates the colder of both signs says 0.1 °C or less for
// fifteen, and up to 1.4 °C for those who came in on winter mornings.
var (
	noseSign  = sign{rest: 2.63, slope: 2.45}
	cheekSign = sign{rest: 2.13, slope: 1.80}
	// What is warm of a face as a whole, for those of whom a mask hides nose and cheeks.
	quarterSign = sign{rest: 1.48, slope: 0.92}
	tenthSign   = sign{rest: 1.03, slope: 0.54}
	// The nose below the forehead, where glasses hide the canthi; the forehead becomes cold too.
	foreheadSign = sign{rest: 1.0, slope: 1.1}
)

const (
	chillSpread         = 0.25
	maskedChillSpread   = 0.40
	foreheadChillSpread = 0.50
	// sureChill, °C, is from when on nose and cheeks both say that a face is cooled. Of 250 such simulated faces the lesser tells
	// 0.25 °C too little on average, the mean 0.11.
	sureChill = 1.5 * chillSpread
	// noseApart, °C, is by how much more than nose and cheeks the whole face says where they are no skin, but a mask that nobody
	// told: of 150 simulated people without one by up to 0.8, of 20 at real gates by up to 1.0 and once by 1.2.
	noseApart = 1.1
	// maskedShare is the part of a look's frames in which a mask has to be seen.
	maskedShare = 0.2
)

// sign is what a part of the face says of the canthi: its deficit below them is rest + slope × chill.
type sign struct{ rest, slope float64 }

func (s sign) chill(deficit float64) float64 { return (deficit - s.rest) / s.slope }

// bareChill is by how much the canthi of a face seem to be colder than they would be indoors by its nose, and by its cheeks. Beside
// a forehead only the nose tells, and counts for both. Under a mask there is neither: NaN.
func (m *Meter) bareChill(img *radiometry.Image, f face.Face, g axes, s spot, gain float64) (nose, cheeks float64) {
	if f.Mask {
		return math.NaN(), math.NaN()
	}
	nose = (s.celsius - m.nose(img, f, g)) / gain
	if s.site == event.Forehead {
		nose = max(foreheadSign.chill(nose), s.chilled)
		return nose, nose
	}
	return noseSign.chill(nose), cheekSign.chill((s.celsius - m.cheeks(img, g)) / gain)
}

// faceChill is the same by how warm the face is as a whole.
func (m *Meter) faceChill(img *radiometry.Image, f face.Face, s spot, gain float64) float64 {
	m.ellipse(img, f)
	n := len(m.pixels)
	quarter, tenth := float64(rank.Nth(m.pixels, n*3/4)), float64(rank.Nth(m.pixels, n*9/10))
	return (quarterSign.chill((s.celsius-quarter)/gain) + tenthSign.chill((s.celsius-tenth)/gain)) / 2
}

// told is what the frames of a look tell of the cold.
type told struct {
	frames, masked int
	nose, cheeks   average
	face           average
}

func (t *told) add(r Reading) {
	t.frames++
	if r.Masked {
		t.masked++
	}
	t.nose.add(r.NoseChillCelsius)
	t.cheeks.add(r.CheekChillCelsius)
	t.face.add(r.FaceChillCelsius)
}

// hidden says whether a mask hides nose and cheeks. The detector takes many a mask that breath warms for a face without.
func (t *told) hidden() bool {
	return t.masked > 0 && float64(t.masked) >= maskedShare*float64(t.frames) || t.face.mean()-max(0, t.least()) >= noseApart
}

// chill is by how much the canthi are colder than they would be indoors, with the standard uncertainty; NaN where nothing
// tells.
func (t *told) chill(site event.Site) (celsius, uncertainty float64) {
	switch {
	case site == event.Forehead && !t.hidden():
		return t.nose.mean(), foreheadChillSpread
	case site == event.Forehead:
		return math.NaN(), math.NaN()
	case t.hidden():
		return t.face.mean(), maskedChillSpread
	}
	return t.bare(), chillSpread
}

// least is the lesser of what nose and cheeks tell: either may be cold by nature, so both have to be.
func (t *told) least() float64 { return min(t.nose.mean(), t.cheeks.mean()) }

// bare is what nose and cheeks tell. The lesser of two is too little, so once it is sure, it is the mean of both that counts.
func (t *told) bare() float64 {
	if least := t.least(); !(least >= sureChill) {
		return least
	}
	return (t.nose.mean() + t.cheeks.mean()) / 2
}

// average of those that are numbers.
type average struct{ sum, n float64 }

func (a *average) add(x float64) {
	if !math.IsNaN(x) {
		a.sum, a.n = a.sum+x, a.n+1
	}
}

func (a *average) mean() float64 { return a.sum / a.n } // NaN of none

// contrast is how much further than at 23 °C the temperatures of a face lie apart in colder surroundings.
func contrast(ambientCelsius float64) float64 {
	const faceCelsius, usual = 34.5, 11.5
	return math.Sqrt(min(max((faceCelsius-ambientCelsius)/usual, 0.2), 4))
}

// ambient is the temperature of the surroundings: of a quarter of the picture, the coldest.
func (m *Meter) ambient(img *radiometry.Image) float64 {
	const pixels = 256
	m.pixels = m.pixels[:0]
	step := max(1, len(img.Celsius)/pixels) | 1 // not a divisor of the usual widths
	for i := 0; i < len(img.Celsius); i += step {
		m.pixels = append(m.pixels, img.Celsius[i])
	}
	return float64(rank.Nth(m.pixels, len(m.pixels)/4))
}

// nose is the temperature of its tip, NaN where no pixel shows it.
func (m *Meter) nose(img *radiometry.Image, f face.Face, g axes) float64 {
	tip := f.Landmarks[face.Nose]
	dx, dy := float64(tip.X)-g.x, float64(tip.Y)-g.y
	return m.patch(img, g, dx*g.ux+dy*g.uy, dy*g.ux-dx*g.uy, 0.06)
}

// cheeks is the mean of both.
func (m *Meter) cheeks(img *radiometry.Image, g axes) float64 {
	const beside, below, half = 0.27, 0.30, 0.07
	return (m.patch(img, g, -beside*g.width, below*g.width, half) + m.patch(img, g, beside*g.width, below*g.width, half)) / 2
}

// patch is the median of a square in the axes of the face, half its side given in widths of the face.
func (m *Meter) patch(img *radiometry.Image, g axes, along, below, half float64) float64 {
	half = max(0.8, half*g.width)
	m.box(img, g, along, below, half, half)
	if len(m.pixels) == 0 {
		return math.NaN()
	}
	return float64(m.pixels[len(m.pixels)/2])
}

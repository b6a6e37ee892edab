package measure

import (
	"math"
	"slices"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/face"
)

// Distances on a face, in widths of its box. Adult means: 145 mm ear to ear, 63 mm between the pupils, 32 mm between
// the inner canthi (Farkas, Anthropometry of the Head and Face, 1994).
const (
	canthusFromMiddle = 0.11
	canthusReach      = 0.08 // how far from there the warm spot is looked for: what landmarks are off by
	canthusPatch      = 0.09 // side of the warm spot
	foreheadAboveEyes = 0.34
	foreheadHalfWidth = 0.24
	foreheadHalf      = 0.11 // half height
	lensHalf          = 0.08
)

const (
	// lensBelowSkin is how much colder than the face an eye behind glasses looks; they are opaque at 8 to 14 µm.
	lensBelowSkin = 1.2
	// hairBelowSkin is how much colder than the face a forehead is that hair or a hat hides.
	hairBelowSkin = 1.5
	// hotAboveSkin is how much hotter than the warm quarter of the face something is that can't be skin.
	hotAboveSkin = 2.5
	// Skin outside these bounds is not a reading.
	minSkinCelsius, maxSkinCelsius = 28, 43
	// netd is the noise equivalent temperature difference of one pixel (Lepton 3.5 datasheet: below 50 mK).
	netd = 0.05
	// landmarkNoise is what a frame's landmarks, off by a pixel, do to the reading.
	landmarkNoise = 0.04
	// unevenness is how much more the camera's error changes between the disc and the face than at the disc: in the two
	// recorded shutter events by up to 0.3 °C; taken as a rectangular distribution.
	unevenness = 0.09
	// Forehead minus canthi over 544 people: standard deviation 0.38 °C (Wang et al. 2023, PhysioNet, doi
	// 10.13026/3bhc-9065). For the face as a whole 0.22 °C with the canthi in view, twice that without.
	foreheadUncertainty = 0.38
	faceUncertainty     = 0.45
)

// Meter reads skin temperatures. It is used by one goroutine.
type Meter struct {
	config Config
	pixels []float32
}

// NewMeter returns a Meter.
func NewMeter(config Config) *Meter { return &Meter{config: config} }

// Measure reads the skin temperature of one face of the picture. prev is the same person's face in the frame before,
// the given time earlier, or nil; ref is the reference in this frame. A Reading with a Problem has no temperatures.
func (m *Meter) Measure(img *radiometry.Image, f face.Face, prev *face.Face, elapsed time.Duration, ref Reference) Reading {
	if problem := m.obstacle(img, f, prev, elapsed, ref); problem != NoProblem {
		return Reading{Problem: problem}
	}
	g := frame(f)
	level := m.level(img, f)
	if math.IsNaN(level) {
		return Reading{Problem: CutOff}
	}
	spot, ok := m.spot(img, f, g, level)
	if !ok {
		return Reading{Problem: Covered}
	}
	skin := spot.celsius + ref.CorrectionCelsius
	if skin < minSkinCelsius || skin > maxSkinCelsius {
		return Reading{Problem: OutOfRange}
	}
	return Reading{
		SkinCelsius:       skin,
		NoiseCelsius:      math.Sqrt(sq(netd)/float64(spot.pixels) + sq(landmarkNoise)),
		SystematicCelsius: math.Sqrt(sq(ref.UncertaintyCelsius) + sq(unevenness) + sq(spot.uncertainty)),
		Site:              spot.site,
		NoseCelsius:       m.nose(img, f, g) + ref.CorrectionCelsius,
	}
}

// obstacle returns what keeps the face from being measured, the gate's own obstacles first.
func (m *Meter) obstacle(img *radiometry.Image, f face.Face, prev *face.Face, elapsed time.Duration, ref Reference) Problem {
	switch {
	case img.Relative:
		return NotRadiometric
	case ref.Problem != NoProblem:
		return ref.Problem
	case float64(f.W) < m.config.MinFacePixels:
		return TooFar
	case cutOff(img, f):
		return CutOff
	case turned(f):
		return TurnedAway
	case prev != nil && speed(f, *prev, elapsed) > m.config.MaxSpeed:
		return Moving
	}
	return NoProblem
}

func cutOff(img *radiometry.Image, f face.Face) bool {
	g := frame(f)
	w := g.width
	for _, p := range [][2]float64{{-0.25, -0.2}, {0.25, -0.2}, {-0.25, 0.15}, {0.25, 0.15}} {
		if x, y := g.at(p[0]*w, p[1]*w); !inside(img, x, y) {
			return true
		}
	}
	return false
}

// turned tells a face that shows one side from the place of the nose between the eyes. Beyond some 35° the far canthus
// hides behind the bridge of the nose.
func turned(f face.Face) bool {
	if f.Pose == face.Profile {
		return true
	}
	g := frame(f)
	apart := g.eyesApart / g.width
	nose := (float64(f.Landmarks[face.Nose].X)-g.x)*g.ux + (float64(f.Landmarks[face.Nose].Y)-g.y)*g.uy
	return apart < 0.2 || math.Abs(nose) > 0.6*g.eyesApart
}

// speed in face widths a second.
func speed(f, prev face.Face, elapsed time.Duration) float64 {
	a, b := frame(f), frame(prev)
	return math.Hypot(a.x-b.x, a.y-b.y) / a.width / max(elapsed.Seconds(), 0.01)
}

// axes of a face: the middle between the eyes, and the unit vector along them, to the right of the picture.
type axes struct {
	x, y, ux, uy     float64
	width, eyesApart float64
}

func frame(f face.Face) axes {
	l, r := f.Landmarks[face.LeftEye], f.Landmarks[face.RightEye]
	dx, dy := float64(r.X-l.X), float64(r.Y-l.Y)
	g := axes{x: float64(l.X+r.X) / 2, y: float64(l.Y+r.Y) / 2, ux: 1, width: float64(f.W), eyesApart: math.Hypot(dx, dy)}
	if g.eyesApart > 0.1*g.width {
		g.ux, g.uy = dx/g.eyesApart, dy/g.eyesApart
	}
	return g
}

// at returns the point so many pixels along the eyes and below them.
func (g axes) at(along, below float64) (x, y float64) {
	return g.x + along*g.ux - below*g.uy, g.y + along*g.uy + below*g.ux
}

// level is the temperature that a quarter of the face exceeds: warm skin, whatever hair, beard and glasses hide.
func (m *Meter) level(img *radiometry.Image, f face.Face) float64 {
	m.ellipse(img, f)
	if len(m.pixels) < 30 {
		return math.NaN()
	}
	return float64(m.pixels[len(m.pixels)*3/4])
}

// ellipse collects, sorted, the pixels of the oval of the face.
func (m *Meter) ellipse(img *radiometry.Image, f face.Face) {
	m.pixels = m.pixels[:0]
	cx, cy := float64(f.X+f.W/2), float64(f.Y+f.H/2)
	a, b := 0.42*float64(f.W), 0.45*float64(f.H)
	step := max(1, int(a/10))
	for y := max(0, int(cy-b)); y <= min(img.Height-1, int(cy+b)); y += step {
		for x := max(0, int(cx-a)); x <= min(img.Width-1, int(cx+a)); x += step {
			if sq((float64(x)-cx)/a)+sq((float64(y)-cy)/b) <= 1 {
				m.pixels = append(m.pixels, img.At(x, y))
			}
		}
	}
	slices.Sort(m.pixels)
}

// box collects, sorted, the pixels of a box in the axes of the face; half sizes in pixels.
func (m *Meter) box(img *radiometry.Image, g axes, along, below, halfAlong, halfBelow float64) {
	m.pixels = m.pixels[:0]
	cx, cy := g.at(along, below)
	reach := math.Hypot(halfAlong, halfBelow)
	step := max(1, int(min(halfAlong, halfBelow)/4))
	for y := max(0, int(cy-reach)); y <= min(img.Height-1, int(cy+reach)+1); y += step {
		for x := max(0, int(cx-reach)); x <= min(img.Width-1, int(cx+reach)+1); x += step {
			dx, dy := float64(x)-cx, float64(y)-cy
			if math.Abs(dx*g.ux+dy*g.uy) <= halfAlong && math.Abs(dy*g.ux-dx*g.uy) <= halfBelow {
				m.pixels = append(m.pixels, img.At(x, y))
			}
		}
	}
	slices.Sort(m.pixels)
}

type spot struct {
	celsius, uncertainty float64
	pixels               int
	site                 Site
}

// spot returns the best site that can be seen.
func (m *Meter) spot(img *radiometry.Image, f face.Face, g axes, level float64) (spot, bool) {
	if !f.Glasses && !m.behindGlasses(img, g, level) {
		if s, ok := m.canthi(img, g, level); ok {
			return s, true
		}
	}
	if !f.ForeheadCovered {
		if s, ok := m.forehead(img, g, level); ok {
			return s, true
		}
	}
	m.ellipse(img, f)
	n := len(m.pixels)
	s := spot{mean(m.pixels[n*3/4 : n*19/20]), faceUncertainty, n / 5, WholeFace}
	return s, s.celsius < level+hotAboveSkin
}

func (m *Meter) behindGlasses(img *radiometry.Image, g axes, level float64) bool {
	cold := 0
	for _, side := range []float64{-1, 1} {
		m.box(img, g, side*g.eyesApart/2, 0, max(1, lensHalf*g.width), max(1, lensHalf*g.width))
		if len(m.pixels) > 0 && mean(m.pixels) < level-lensBelowSkin {
			cold++
		}
	}
	return cold == 2
}

// canthi reads both inner canthi and takes their mean, or the warmer where they differ by more than skin does.
func (m *Meter) canthi(img *radiometry.Image, g axes, level float64) (spot, bool) {
	left, n := m.warmest(img, g, -1)
	right, _ := m.warmest(img, g, 1)
	s := spot{(left + right) / 2, 0.05, 2 * n, InnerCanthus}
	if math.Abs(left-right) > 0.5 {
		s.celsius, s.uncertainty, s.pixels = max(left, right), 0.15, n
	}
	return s, s.celsius > level-0.5 && s.celsius < level+hotAboveSkin
}

// warmest returns the mean of the warmest small patch near the inner canthus of one side.
func (m *Meter) warmest(img *radiometry.Image, g axes, side float64) (celsius float64, pixels int) {
	half := max(1, int(math.Round(canthusPatch*g.width-1)/2))
	reach := max(1, canthusReach*g.width)
	step := max(1, half/2)
	cx, cy := g.at(side*canthusFromMiddle*g.width, 0)
	warmest := math.Inf(-1)
	for y := int(math.Round(cy - reach)); y <= int(cy+reach); y += step {
		for x := int(math.Round(cx - reach)); x <= int(cx+reach); x += step {
			if math.Hypot(float64(x)-cx, float64(y)-cy) > reach {
				continue
			}
			if t := patch(img, x, y, half); t > warmest {
				warmest = t
			}
		}
	}
	return warmest, (2*half + 1) * (2*half + 1)
}

// patch is the mean of the square around a pixel, -Inf where it leaves the picture.
func patch(img *radiometry.Image, x, y, half int) float64 {
	if x < half || y < half || x+half >= img.Width || y+half >= img.Height {
		return math.Inf(-1)
	}
	var sum float64
	for j := y - half; j <= y+half; j++ {
		for _, t := range img.Celsius[j*img.Width+x-half : j*img.Width+x+half+1] {
			sum += float64(t)
		}
	}
	return sum / float64((2*half+1)*(2*half+1))
}

// forehead reads the warm part of the forehead, above brows and glasses and below the hair.
func (m *Meter) forehead(img *radiometry.Image, g axes, level float64) (spot, bool) {
	w := g.width
	m.box(img, g, 0, -foreheadAboveEyes*w, foreheadHalfWidth*w, max(1.5, foreheadHalf*w))
	n := len(m.pixels)
	if n < 12 {
		return spot{}, false
	}
	s := spot{mean(m.pixels[n*6/10 : n*9/10]), foreheadUncertainty, n * 3 / 10, Forehead}
	return s, s.celsius > level-hairBelowSkin && s.celsius < level+hotAboveSkin
}

// nose is the temperature of the nose and of both cheeks beside it.
func (m *Meter) nose(img *radiometry.Image, f face.Face, g axes) float64 {
	tip := f.Landmarks[face.Nose]
	dx, dy := float64(tip.X)-g.x, float64(tip.Y)-g.y
	along, below := dx*g.ux+dy*g.uy, dy*g.ux-dx*g.uy
	var sum float64
	n := 0
	for _, side := range []float64{-0.25, 0, 0.25} {
		m.box(img, g, along+side*g.width, below, max(1, 0.07*g.width), max(1, 0.07*g.width))
		if k := len(m.pixels); k > 0 {
			sum += float64(m.pixels[k/2])
			n++
		}
	}
	return sum / float64(max(n, 1))
}

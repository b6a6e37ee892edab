package measure

import (
	"math"
	"slices"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/rank"
)

// Distances on a face, in widths of its box. Adult means: 145 mm ear to ear, 63 mm between the pupils, 32 mm between
// the inner canthi (Farkas, Anthropometry of the Head and Face, 1994). The canthi are looked for in a window around
// that, because the landmarks of a face 30 pixels wide are off by some pixels, mostly downwards: half the window gives
// twice the scatter from frame to frame on the recordings.
const (
	canthusPatch   = 0.08 // side of the square that is averaged, 12 mm; at least one pixel
	canthusStep    = 0.03
	canthusColumns = 17 // across, up to eight steps on either side of the middle
	canthusRows    = 13 // from seven steps above the eyes to five below
	canthusAbove   = 7
	canthusNear    = 2 // steps from a canthus to the middle between both, least and most
	canthusFar     = 6
	canthusAskew   = 2 // steps that this middle may be beside the middle of the eyes

	// The face's warm end is the warmest of so many squares, this far apart: not the single warmest, which is noise.
	warmestStep = 0.05
	warmestOf   = 50
	// warmestLoss is how much less of its hill than of a canthus's lens and pixel take: lips and foreheads are warm over 20 mm
	// and more, a canthus over 8.
	warmestLoss = 0.5

	foreheadTop       = 0.65 // above the eyes
	foreheadBottom    = 0.10
	foreheadHalfWidth = 0.28
	lensHalf          = 0.08
)

const (
	// lensBelowSkin is how much colder than the face an eye behind glasses looks; they are opaque at 8 to 14 µm.
	lensBelowSkin = 1.0
	// canthusBelowSkin is how much colder than the warm quarter of the face canthi in view may be; they are its warmest
	// part at rest.
	canthusBelowSkin = 0.5
	// hairBelowSkin is how much colder than the face a forehead is that hair or a hat hides.
	hairBelowSkin = 1.5
	// bareMiddle and bareQuarter, °C, are how much colder than its warm quarter the middle and the cold quarter of a bare
	// forehead are at most: 0.2 to 0.9 and 0.5 to 2.2 °C on recordings, also where strands of hair hang into it, and
	// several degrees below a fringe or a hat.
	bareMiddle, bareQuarter = 1.0, 2.5
	// bareBelow is how much colder than the warm quarter of the face a bare forehead is at most: 0.6 °C on recordings, 0.4
	// on simulated faces, 1.0 under a fringe so close to the skin that the forehead looks even.
	bareBelow = 0.8
	// coverBelowSkin is how much colder than the face what is around the canthi may be to be skin, and no hair, rim of
	// glasses or cold nose.
	coverBelowSkin = 1.5
	// hotAboveSkin is how much hotter than the warm quarter of the face something is that can't be skin.
	hotAboveSkin = 2.5
	// hotAboveFace is the same above the middle of all pixels of a face, hair and glasses among them.
	hotAboveFace = 4.0
	// Skin outside these bounds is not a reading.
	minSkinCelsius, maxSkinCelsius = 28, 43
	// netd is the noise equivalent temperature difference of one pixel (Lepton 3.5 datasheet: below 50 mK).
	netd = 0.05
	// landmarkNoise is what landmarks that are off by a pixel do to a face that stands; it grows with sourceLoss.
	landmarkNoise = 0.03
	// canthusMotion and foreheadMotion are the noise that a speed of one face width a second adds: the scatter around
	// the person's median on the recordings is 0.09 °C standing, 0.20 °C at 1.25 and 0.28 °C at 1.75 widths a second at
	// the canthi, 0.10 and 0.12 °C at the forehead.
	canthusMotion  = 0.15
	foreheadMotion = 0.05
	// landmarkJitter is how far, in face widths, a face that stands seems to move from frame to frame.
	landmarkJitter = 0.02
	// A face below smallFace pixels is measured only while it stands, below smallFaceSpeed: people who walk up are.
	smallFace, smallFaceSpeed = 18, 0.35
	// unevenness is how much more the camera's error changes between the disc and the face than at the disc: in the two
	// recorded shutter events by up to 0.3 °C; taken as a rectangular distribution.
	unevenness = 0.09
	// Standard uncertainties of the sites as stand-ins for the canthus in the clinic. Between two looks at one person's
	// canthi 0.1 °C (0.12 °C over 544 people: Wang et al. 2023, PhysioNet, doi 10.13026/3bhc-9065; 0.09 °C on the
	// recordings). event.Forehead less canthi differs by 0.38 °C from person to person there, the face as a whole by 0.22 °C
	// with the canthi in view; twice that without.
	canthusUncertainty  = 0.1
	foreheadUncertainty = 0.38
	faceUncertainty     = 0.45

	// Size-of-source effect, see sourceLoss.
	faceMillimetres = 150
	lossAlways      = 0.57
	lossPerSquare   = 0.0145 // 1/mm²
	usualHill       = 0.6    // °C
	hillSeen        = 0.5
	lossUncertainty = 0.15 // of the correction
)

// Meter reads skin temperatures. It is used by one goroutine.
type Meter struct {
	config Config
	pixels []float32
	sums   sums
	edges  sharpness
}

// NewMeter returns a Meter.
func NewMeter(config Config) *Meter { return &Meter{config: config} }

// Measure reads the skin temperature of one face of the picture. prev is the same person's face in the frame before,
// the given time earlier, or nil; ref is the reference in this frame. A Reading with a Problem has no temperatures.
func (m *Meter) Measure(img *radiometry.Image, f face.Face, prev *face.Face, elapsed time.Duration, ref event.ReferenceSource) Reading {
	pace := m.config.MaxSpeed // nobody knows yet
	if prev != nil {
		pace = Speed(f, *prev, elapsed)
	}
	if problem := m.obstacle(img, f, pace, ref); problem != event.NoProblem {
		return Reading{Problem: problem}
	}
	g := frameOf(f)
	m.edges.look(img, int(f.X-f.W/2), int(f.Y-f.H/4), int(f.X+3*f.W/2), int(f.Y+3*f.H/2))
	level := m.level(img, f)
	if math.IsNaN(level) {
		return Reading{Problem: event.CutOff}
	}
	spot, ok := m.spot(img, f, g, level)
	if !ok {
		return Reading{Problem: event.Covered}
	}
	skin := spot.celsius + ref.CorrectionCelsius
	switch {
	case skin < minSkinCelsius:
		return Reading{Problem: event.TooCold}
	case skin > maxSkinCelsius:
		return Reading{Problem: event.OutOfRange}
	}
	gain := contrast(m.ambient(img) + ref.CorrectionCelsius)
	nose, cheeks := m.bareChill(img, f, g, spot, gain)
	return Reading{
		SkinCelsius:       skin,
		NoiseCelsius:      math.Hypot(spot.noise, spot.motion*pace),
		SystematicCelsius: math.Sqrt(sq(ref.UncertaintyCelsius) + sq(unevenness) + sq(spot.uncertainty)),
		Site:              spot.site,
		Bare:              spot.bare,
		FaceCelsius:       m.warmest(img, f, g, spot, level) + ref.CorrectionCelsius,
		Contrast:          gain,
		Masked:            f.Mask,
		NoseChillCelsius:  nose,
		CheekChillCelsius: cheeks,
		FaceChillCelsius:  m.faceChill(img, f, spot, gain),
	}
}

// TooCold says whether the warm end of a face that shows its front is below any skin's. Against the room such a face is so
// pale that the detector is not sure of it: on simulated faces, 5 °C and more below usual, it scores 0.45 to 0.65.
func (m *Meter) TooCold(img *radiometry.Image, f face.Face, ref event.ReferenceSource) bool {
	if img.Relative || ref.Problem != event.NoProblem || f.Pose != face.Frontal {
		return false
	}
	m.ellipse(img, f)
	n := len(m.pixels)
	return n > 0 && float64(rank.Nth(m.pixels, n*19/20))+ref.CorrectionCelsius < minSkinCelsius
}

// obstacle returns what keeps the face from being measured, the gate's own obstacles first.
func (m *Meter) obstacle(img *radiometry.Image, f face.Face, pace float64, ref event.ReferenceSource) event.Reason {
	width := float64(f.W)
	switch {
	case img.Relative:
		return event.NotRadiometric
	case ref.Problem != event.NoProblem:
		return ref.Problem
	case width < m.config.MinFacePixels, width < smallFace && pace > smallFaceSpeed:
		return event.TooFar
	case cutOff(img, f):
		return event.CutOff
	case turned(f) && m.TooCold(img, f, ref): // its landmarks are misplaced
		return event.TooCold
	case turned(f):
		return event.TurnedAway
	case pace > m.config.MaxSpeed:
		return event.Moving
	}
	return event.NoProblem
}

func cutOff(img *radiometry.Image, f face.Face) bool {
	g := frameOf(f)
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
	if f.Pose != face.Frontal {
		return true
	}
	g := frameOf(f)
	apart := g.eyesApart / g.width
	nose := (float64(f.Landmarks[face.Nose].X)-g.x)*g.ux + (float64(f.Landmarks[face.Nose].Y)-g.y)*g.uy
	return apart < 0.2 || math.Abs(nose) > 0.6*g.eyesApart
}

// Speed of a face in widths a second, sideways, up or towards the camera, from where it was the given time earlier.
func Speed(f, prev face.Face, elapsed time.Duration) float64 {
	a, b := frameOf(f), frameOf(prev)
	moved := max(math.Hypot(a.x-b.x, a.y-b.y), math.Abs(a.width-b.width)) / a.width
	return max(moved-landmarkJitter, 0) / max(elapsed.Seconds(), 0.01)
}

// axes of a face: the middle between the eyes, and the unit vector along them, to the right of the picture.
type axes struct {
	x, y, ux, uy     float64
	width, eyesApart float64
}

func frameOf(f face.Face) axes {
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
	return float64(rank.Nth(m.pixels, len(m.pixels)*3/4))
}

// ellipse collects the pixels of the oval of the face.
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
	noise, motion        float64 // standing, and for a speed of one width a second
	bare                 bool    // nothing covers part of it
	chilled              float64 // °C by which the face is surely colder than its canthi, 0 where nothing says so
	site                 event.Site
}

// spot returns the best site that can be seen. What hides the others is told from the picture alone: lenses, hair and
// hats are colder than skin.
func (m *Meter) spot(img *radiometry.Image, f face.Face, g axes, level float64) (spot, bool) {
	above := 0.0 // by how much canthi are too warm to be told from a cup, unless the rest of the face has been in the cold
	if !f.Glasses && !m.behindGlasses(img, g, level) {
		s, ok := m.canthi(img, g, level)
		if ok {
			return s, true
		}
		if s.celsius > level+hotAboveSkin {
			above = s.celsius - level
		}
	}
	if s, ok := m.forehead(img, g, level); ok {
		s.bare, s.chilled = s.bare && above == 0 && level-s.celsius <= bareBelow, above
		return s, true
	}
	return m.wholeFace(img, f)
}

// wholeFace reads the warm part of the face. Where that is far from its middle, it is a cup or a lamp.
func (m *Meter) wholeFace(img *radiometry.Image, f face.Face) (spot, bool) {
	m.ellipse(img, f)
	slices.Sort(m.pixels)
	n := len(m.pixels)
	s := spot{
		celsius:     mean(m.pixels[n*3/4 : n*19/20]),
		uncertainty: faceUncertainty,
		noise:       math.Hypot(netd/math.Sqrt(float64(n)/5), landmarkNoise),
		motion:      foreheadMotion,
		site:        event.WholeFace,
	}
	return s, s.celsius < float64(m.pixels[n/2])+hotAboveFace
}

// warmest is the warm end of the face's oval, in squares of the size in which canthi are read; NaN where the canthi aren't
// seen, a mask hides most of the rest, or something is too hot to be skin.
func (m *Meter) warmest(img *radiometry.Image, f face.Face, g axes, s spot, level float64) float64 {
	if s.site != event.InnerCanthus || f.Mask {
		return math.NaN()
	}
	side := max(1, canthusPatch*g.width)
	x, y := float64(f.X+f.W/2), float64(f.Y+f.H/2)
	a, b := 0.42*float64(f.W)-side/2, 0.45*float64(f.H)-side/2
	m.sums.build(img, x, y, a+side, b+side)
	m.pixels = m.pixels[:0]
	step := warmestStep * g.width
	for dy := -b; dy <= b; dy += step {
		for dx := -a; dx <= a; dx += step {
			if sq(dx/a)+sq(dy/b) > 1 {
				continue
			}
			if t := m.sums.square(x+dx, y+dy, side); !math.IsNaN(t) {
				m.pixels = append(m.pixels, float32(t))
			}
		}
	}
	if len(m.pixels) < warmestOf {
		return math.NaN()
	}
	seen := mean(rank.From(m.pixels, len(m.pixels)-len(m.pixels)/warmestOf))
	if seen > level+hotAboveSkin {
		return math.NaN()
	}
	return seen + warmestLoss*blurLoss(g.width, m.edges.blur())*max(0, seen-level)
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

// canthi reads both inner canthi: the warmest twelfth of all pairs of small squares that lie like canthi do. Pairs
// and a twelfth, not the warmest square, because the warmest of many is noise.
func (m *Meter) canthi(img *radiometry.Image, g axes, level float64) (spot, bool) {
	side := max(1, canthusPatch*g.width)
	reach := canthusColumns/2*canthusStep*g.width*math.Sqrt2 + side
	m.sums.build(img, g.x, g.y, reach, reach)
	var squares [canthusRows][canthusColumns]float64
	m.pixels = m.pixels[:0]
	for row := range canthusRows {
		for column := range canthusColumns {
			x, y := g.at(float64(column-canthusColumns/2)*canthusStep*g.width, float64(row-canthusAbove)*canthusStep*g.width)
			t := m.sums.square(x, y, side)
			squares[row][column] = t
			if !math.IsNaN(t) {
				m.pixels = append(m.pixels, float32(t))
			}
		}
	}
	if len(m.pixels) < canthusRows*canthusColumns/2 || float64(slices.Max(m.pixels)) < level-canthusBelowSkin {
		return spot{}, false
	}
	covered := 0
	for _, t := range m.pixels {
		if t < float32(level-coverBelowSkin) {
			covered++
		}
	}
	around := float64(rank.Nth(m.pixels, (covered+len(m.pixels))/2))

	m.pixels = m.pixels[:0]
	for row := range canthusRows {
		for middle := canthusColumns/2 - canthusAskew; middle <= canthusColumns/2+canthusAskew; middle++ {
			for apart := canthusNear; apart <= canthusFar; apart++ {
				pair := (squares[row][middle-apart] + squares[row][middle+apart]) / 2
				if !math.IsNaN(pair) {
					m.pixels = append(m.pixels, float32(pair))
				}
			}
		}
	}
	if len(m.pixels) < 20 {
		return spot{}, false
	}
	seen := mean(rank.From(m.pixels, len(m.pixels)*11/12))
	if seen < level-canthusBelowSkin || seen > level+hotAboveSkin {
		return spot{celsius: seen}, false
	}
	loss := sourceLoss(g.width, m.edges.blur())
	lost := loss * (hillSeen*max(0, seen-around) + (1-hillSeen)*usualHill)
	return spot{
		celsius:     seen + lost,
		uncertainty: math.Hypot(canthusUncertainty, lossUncertainty*lost),
		noise:       (1 + loss) * math.Hypot(netd/math.Sqrt(4*side*side), landmarkNoise),
		motion:      canthusMotion,
		bare:        true,
		site:        event.InnerCanthus,
	}, true
}

// sourceLoss is the size-of-source effect: which part of a canthus's hill over its surroundings does not reach the
// reading. The warm spot is some 8 mm in half width (over 544 people the mean of 13×13 pixels is 0.71 °C below their
// maximum: Wang et al. 2023); lens and pixel, whose blur is given in pixels, flatten it with the square of what they
// cover of the face. The height of the hill is taken half from the picture and half as usual, because half of what
// differs from face to face is hair, brows and a cold nose. The constants are from simulated faces of that shape, 15 to
// 63 pixels wide, behind lenses of 0.6 and 0.9 pixels: 0.09 °C is left from person to person. Twenty people on the
// recordings, reduced to half their pixels, read 0.02 ± 0.02 °C less than whole.
func sourceLoss(faceWidth, blur float64) float64 {
	return lossAlways + blurLoss(faceWidth, blur)
}

func blurLoss(faceWidth, blur float64) float64 {
	millimetres := faceMillimetres / faceWidth // a pixel
	return lossPerSquare * sq(millimetres) * (sq(blur) + 1.0/12)
}

// sums is the summed-area table of a part of a picture.
type sums struct {
	x0, y0, w, h int
	table        []float64
}

// build takes what is no further than this from a point, across and down.
func (s *sums) build(img *radiometry.Image, x, y, across, down float64) {
	s.x0, s.y0 = max(0, int(x-across)), max(0, int(y-down))
	s.w, s.h = max(0, min(img.Width, int(x+across)+2)-s.x0), max(0, min(img.Height, int(y+down)+2)-s.y0)
	n := (s.w + 1) * (s.h + 1)
	s.table = slices.Grow(s.table[:0], n)[:n]
	clear(s.table[:s.w+1])
	for y := range s.h {
		above, line := s.table[y*(s.w+1):], s.table[(y+1)*(s.w+1):]
		line[0] = 0
		var row float64
		for x := range s.w {
			row += float64(img.At(s.x0+x, s.y0+y))
			line[x+1] = above[x+1] + row
		}
	}
}

// square is the mean of the square around a point, parts of pixels included, NaN where it leaves the table.
func (s *sums) square(x, y, side float64) float64 {
	// The centre of the table's first pixel is at (x0, y0), its corner half a pixel before.
	left, top := x-float64(s.x0)+0.5-side/2, y-float64(s.y0)+0.5-side/2
	right, bottom := left+side, top+side
	if left < 0 || top < 0 || right > float64(s.w) || bottom > float64(s.h) {
		return math.NaN()
	}
	return (s.upTo(right, bottom) - s.upTo(left, bottom) - s.upTo(right, top) + s.upTo(left, top)) / (side * side)
}

// upTo is the sum of everything left of x and above y.
func (s *sums) upTo(x, y float64) float64 {
	ix, iy := min(int(x), s.w-1), min(int(y), s.h-1)
	fx, fy := x-float64(ix), y-float64(iy)
	top, bottom := s.table[iy*(s.w+1)+ix:], s.table[(iy+1)*(s.w+1)+ix:]
	return (1-fy)*((1-fx)*top[0]+fx*top[1]) + fy*((1-fx)*bottom[0]+fx*bottom[1])
}

// forehead reads the warm part between brows and hair line. What hair, a hat or the rim of glasses hides there is
// colder and stays out.
func (m *Meter) forehead(img *radiometry.Image, g axes, level float64) (spot, bool) {
	w := g.width
	m.box(img, g, 0, -(foreheadTop+foreheadBottom)/2*w, foreheadHalfWidth*w, (foreheadTop-foreheadBottom)/2*w)
	n := len(m.pixels)
	if n < 20 {
		return spot{}, false
	}
	s := spot{
		celsius:     mean(m.pixels[n*3/4 : n*19/20]),
		uncertainty: foreheadUncertainty,
		noise:       math.Hypot(netd/math.Sqrt(float64(n)/5), landmarkNoise),
		motion:      foreheadMotion,
		site:        event.Forehead,
		bare:        m.pixels[n*3/4]-m.pixels[n/2] <= bareMiddle && m.pixels[n*3/4]-m.pixels[n/4] <= bareQuarter,
	}
	return s, s.celsius > level-hairBelowSkin && s.celsius < level+hotAboveSkin
}

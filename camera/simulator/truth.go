package simulator

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Point is a position in pixels of the picture; the first pixel spans 0 to 1, its centre is at 0.5.
type Point struct{ X, Y float64 }

// Person is somebody in view, as they truly are.
type Person struct {
	// ID is the visit's number; nobody else gets it.
	ID int
	// Who is the number of this person's first visit, the same whenever they come back.
	Who int
	// Box of the face, hairline to chin and ear to ear, in pixels.
	X, Y, W, H float64
	// Landmarks by the sides of the picture: left eye, right eye, nose tip, left and right mouth corner.
	Landmarks [5]Point
	// Canthi are the inner corners of the eyes: left and right in the picture.
	Canthi         [2]Point
	DistanceMetres float64
	// CoreCelsius is the body's, SkinCelsius that of the inner canthi.
	CoreCelsius, SkinCelsius float64
	// SkinGiven is true where the scenario sets SkinCelsius; CoreCelsius is then only what usually goes with it.
	SkinGiven bool
	// YawDegrees is how far the head is turned to the right of the picture.
	YawDegrees           float64
	Glasses, Mask, Hat   bool
	Standing             bool          // at the place before the camera
	WholeInView          bool          // the box is inside the picture
	Facing               bool          // turned less than 20° from the camera
	Hidden               bool          // face partly behind somebody nearer or the reference's box
	HiddenShare          float64       // how much of the box is, 0 to 1
	StandsFrom, StandsTo time.Duration // of the scenario
}

// TrueReference is where its disc is and how warm it truly is.
type TrueReference struct {
	Present            bool
	Covered            bool // something hangs over it
	X, Y, RadiusPixels float64
	Celsius            float64
	NominalCelsius     float64
}

// Truth is what is behind a frame.
type Truth struct {
	Frame int
	Time  time.Duration // since the scenario began
	// People in view, nearest first.
	People    []Person
	Reference TrueReference
	// OffsetCelsius is by how much the whole picture reads too warm. Vignetting and pattern come on top.
	OffsetCelsius float64
	// ShutterClosed is true while an FFC runs and the picture stands still.
	ShutterClosed bool
	// Frozen is true while the camera repeats a picture. The truth is then still that of the scene.
	Frozen   bool
	SinceFFC time.Duration
	// Panning is true while the carrier turns the camera.
	Panning bool
}

// Truth of the frame read last. People is valid until the next Read.
func (m *Simulator) Truth() Truth { return m.truth }

// tell fills the truth from the figures, which stand in the order of the guests.
func (m *Simulator) tell(t float64) {
	s := &m.scenario
	fine := float64(m.render.fine)
	m.truth.OffsetCelsius = m.sensor.offset()
	m.truth.Panning = slices.ContainsFunc(s.Camera.Pans, func(p Pan) bool { return during(m.now(), p.At, p.Over) })
	m.truth.Reference = TrueReference{}
	if r := s.Reference; r.Present {
		b := m.render.box
		m.truth.Reference = TrueReference{
			Present: true, X: b.x / fine, Y: b.y / fine, RadiusPixels: b.radius / fine,
			Celsius: r.Celsius + r.ErrorCelsius, NominalCelsius: r.Celsius,
		}
		if r.WarmUp > 0 {
			m.truth.Reference.Celsius -= (m.truth.Reference.Celsius - s.AmbientCelsius) * math.Exp(-t/r.WarmUp.Seconds())
		}
		m.truth.Reference.Celsius += r.DriftCelsiusPerMinute / 60 * t
		m.truth.Reference.Covered = r.Covered != nil && during(m.now(), r.Covered.At, r.Covered.For)
	}
	m.truth.People = m.truth.People[:0]
	for i, g := range m.guests {
		p := m.figures[i].person(g, fine)
		w, h := float64(s.Camera.Width), float64(s.Camera.Height)
		if p.X+p.W <= 0 || p.Y+p.H <= 0 || p.X >= w || p.Y >= h {
			continue
		}
		p.WholeInView = p.X >= 0 && p.Y >= 0 && p.X+p.W <= w && p.Y+p.H <= h
		m.truth.People = append(m.truth.People, p)
	}
	slices.SortStableFunc(m.truth.People, func(a, b Person) int { return cmp.Compare(a.DistanceMetres, b.DistanceMetres) })
	people := m.truth.People
	b := m.render.box
	for i := range people {
		p := &people[i]
		if s.Reference.Present {
			p.hide(b.left/fine, b.top/fine, b.right/fine, b.bottom/fine)
		}
		for _, q := range people[:i] {
			p.hide(q.X-0.1*q.W, q.Y-0.3*q.H, q.X+1.1*q.W, math.Inf(1))
		}
	}
}

// hide tells the person what stands in front of them; of several things, what covers most of the face counts.
func (p *Person) hide(left, top, right, bottom float64) {
	if !p.overlaps(left, top, right, bottom) {
		return
	}
	p.Hidden = true
	wide := min(p.X+p.W, right) - max(p.X, left)
	tall := min(p.Y+p.H, bottom) - max(p.Y, top)
	p.HiddenShare = max(p.HiddenShare, wide*tall/(p.W*p.H))
}

func (p *Person) overlaps(left, top, right, bottom float64) bool {
	return p.X < right && p.X+p.W > left && p.Y < bottom && p.Y+p.H > top
}

func (f *figure) person(g *guest, fine float64) Person {
	l := f.look
	point := func(q point3) Point {
		x, y, _ := f.project(q)
		return Point{x / fine, y / fine}
	}
	on := func(x, y float64) Point { return point(l.surface(x, y)) }
	p := Person{
		ID:             g.id,
		Who:            g.who,
		DistanceMetres: f.pose.distance,
		CoreCelsius:    g.core,
		SkinCelsius:    g.skin,
		SkinGiven:      g.skinGiven,
		YawDegrees:     f.pose.yaw * 180 / math.Pi,
		Glasses:        l.glasses, Mask: l.mask, Hat: l.hat,
		Standing:   f.pose.standing,
		StandsFrom: seconds(g.stand), StandsTo: seconds(g.leave),
	}
	p.Facing = math.Abs(p.YawDegrees) < 20
	nose := l.surface(0, l.noseTip())
	nose.z += noseOut
	p.Landmarks = [5]Point{on(-eyeX, 0), on(eyeX, 0), point(nose), on(-mouthX, l.lips()), on(mouthX, l.lips())}
	p.Canthi = [2]Point{on(-canthusX, canthusY), on(canthusX, canthusY)}

	// Ear to ear: what of nose, cheekbones and ears is seen.
	a, _ := l.section(0, 0)
	cheek := 0.85 * a
	sides := []Point{p.Landmarks[2], on(-cheek, 0), on(cheek, 0)}
	for _, side := range []float64{-1, 1} {
		if x, y, z := f.project(point3{side * l.faceWidth / 2, 0, -0.008}); z > -0.06 {
			sides = append(sides, Point{x / fine, y / fine})
		}
	}
	top, bottom := on(0, l.hairline()), on(0, l.chin()-0.002)
	left, right := math.Inf(1), math.Inf(-1)
	for _, q := range sides {
		left, right = min(left, q.X), max(right, q.X)
	}
	p.X, p.Y, p.W, p.H = left, top.Y, right-left, bottom.Y-top.Y
	return p
}

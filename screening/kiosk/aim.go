package kiosk

import (
	"math"
	"slices"
	"sync"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/thermogram"
)

const (
	// viewInterval bounds how often a frame is copied for whoever puts the camera up.
	viewInterval = 240 * time.Millisecond
	// A lens in focus has this sharpness at least (thermogram.Sharpness) where the shorter side of the picture has so many
	// pixels. With more of them it may blur as many more.
	softSharpness, softPixels = 38, 120
	// sharpnessShare is how much the newest picture counts in the sharpness that is shown.
	sharpnessShare = 0.5
	// bestMemory is how long the sharpest picture is remembered.
	bestMemory = 30 * time.Second
	// largestFace is the part of the shorter side that a face takes of somebody who stands too near.
	largestFace = 0.5
	// lampCelsius is hotter than a person is.
	lampCelsius = 55
)

// aiming keeps a copy of a frame for whoever puts the camera up, and nothing while nobody does. The loop of the gate does no
// more than that: what the copy says is worked out by the first page that asks.
type aiming struct {
	words  dictionary // of the page in front of the person
	asked  time.Time  // when a page last asked
	newest *view
	views  uint64
	focus  focus
}

// show is called with every frame.
func (a *aiming) show(scene *event.Scene, paused, bare bool) {
	if time.Since(a.asked) > unwatched {
		a.newest = nil
		return
	}
	if a.newest != nil && time.Since(a.newest.taken) < viewInterval {
		return
	}
	a.views++
	v := &view{words: a.words, number: a.views, taken: time.Now(), paused: paused, bare: bare, scene: *scene}
	image := *scene.Image
	image.Celsius = slices.Clone(image.Celsius)
	v.scene.Image, v.scene.People = &image, slices.Clone(scene.People)
	for i := range v.scene.People {
		v.scene.People[i].Worn = slices.Clone(v.scene.People[i].Worn)
	}
	a.newest = v
}

// view is a copy of one frame.
type view struct {
	words  dictionary
	number uint64
	taken  time.Time
	paused bool
	bare   bool // without temperatures
	scene  event.Scene

	once sync.Once
	json []byte // aimReport
}

func (v *view) report(f *focus) []byte {
	v.once.Do(func() { v.json = mustJSON(v.read(f)) })
	return v.json
}

// aimReport is how the camera stands. What is not there is absent. Widths are in pixels of the camera.
type aimReport struct {
	Number    uint64        `json:"number"`
	Advice    phrase        `json:"advice"` // what to do next
	Done      bool          `json:"done"`   // nothing is left to do
	Sharpness *aimSharpness `json:"sharpness,omitempty"`
	Face      aimFace       `json:"face"`
	Reference *aimReference `json:"reference,omitempty"` // where one is configured
	Coldest   *aimSpot      `json:"coldest,omitempty"`
	Hottest   *aimSpot      `json:"hottest,omitempty"`
}

type aimSharpness struct {
	Now   float64 `json:"now"`
	Best  float64 `json:"best"` // of late
	Least float64 `json:"least"`
}

type aimFace struct {
	Width *float64 `json:"width,omitempty"` // of the largest
	Least float64  `json:"least"`
}

type aimReference struct {
	OK    bool     `json:"ok"`
	Width *float64 `json:"width,omitempty"` // across the disc, where it was found
	Place *phrase  `json:"place,omitempty"`
	Least float64  `json:"least"`
	Most  float64  `json:"most"`
	Label phrase   `json:"label"` // what is wrong with it
}

// aimSpot is a pixel, as parts of the width and height of the picture.
type aimSpot struct {
	X       float64  `json:"x"`
	Y       float64  `json:"y"`
	Celsius *float64 `json:"celsius,omitempty"` // nil in a relative picture, or at a gate that tells outcomes only
	Place   phrase   `json:"place"`
}

// read works out what the frame says. It may take some milliseconds.
func (v *view) read(f *focus) aimReport {
	image := v.scene.Image
	shorter := min(image.Width, image.Height)
	report := aimReport{Number: v.number, Face: aimFace{Least: math.Ceil(v.scene.Needs.FaceWidth)}}
	if sharpness, ok := thermogram.Sharpness(image); ok {
		least := softSharpness * min(1, softPixels/float64(max(1, shorter)))
		now, best := f.add(sharpness, v.taken)
		report.Sharpness = &aimSharpness{now, best, least}
	}
	person := v.nearest()
	if person != nil {
		report.Face.Width = new(math.Floor(person.Face.W))
	}
	report.Reference = v.reference()
	if coldest, hottest, ok := thermogram.Extremes(image); ok {
		report.Coldest, report.Hottest = v.spot(coldest), v.spot(hottest)
	}
	report.Advice, report.Done = v.advise(&report, person)
	if v.bare {
		for _, spot := range []*aimSpot{report.Coldest, report.Hottest} {
			if spot != nil {
				spot.Celsius = nil
			}
		}
	}
	return report
}

func (v *view) nearest() *event.Person {
	return nearest(v.scene.People, func(*event.Person) bool { return true })
}

func (v *view) reference() *aimReference {
	needs, found := v.scene.Needs, v.scene.Reference
	if needs.MaxReferenceRadius == 0 {
		return nil
	}
	r := &aimReference{OK: found.Problem == event.NoProblem, Least: math.Ceil(2 * needs.MinReferenceRadius), Most: math.Floor(2 * needs.MaxReferenceRadius)}
	if !r.OK {
		r.Label = label(found.Problem)
	}
	if found.Found {
		r.Width, r.Place = new(math.Round(2*found.Radius)), new(v.placeIn(found.X, found.Y))
	}
	return r
}

func (v *view) spot(s thermogram.Spot) *aimSpot {
	x, y := float64(s.X)+0.5, float64(s.Y)+0.5
	spot := &aimSpot{X: x / float64(v.scene.Image.Width), Y: y / float64(v.scene.Image.Height), Place: v.placeIn(x, y)}
	if !v.scene.Image.Relative {
		celsius := s.Celsius
		if r := v.scene.Reference; r.Found && r.Problem == event.NoProblem {
			celsius += r.CorrectionCelsius
		}
		spot.Celsius = &celsius
	}
	return spot
}

// placeIn is where in the picture a point is, by thirds.
func (v *view) placeIn(x, y float64) phrase {
	third := func(at float64, of int) int { return min(max(int(3*at/float64(of)), 0), 2) }
	return thirds[third(y, v.scene.Image.Height)][third(x, v.scene.Image.Width)]
}

// advise says what to do next, the first things first: without focus no face is found, and without a face nothing can be said
// of its size.
func (v *view) advise(r *aimReport, person *event.Person) (advice phrase, done bool) {
	s, problem := r.Sharpness, v.scene.Reference.Problem
	switch {
	case v.scene.Image.Relative:
		return aimNotRadiometric, false
	case s != nil && s.Now < s.Least && s.Now < s.Best && s.Best >= s.Least:
		return aimLensBack, false
	case s != nil && s.Now < s.Least:
		return aimLens, false
	case v.paused:
		return aimPaused, false
	case problem == event.RoomTooWarm:
		return aimRoomTooWarm, false
	case v.scene.Reference.Left:
		return referenceLeft(v.scene.Reference.Found), false
	case person == nil:
		return aimNobody, false
	case *r.Face.Width < r.Face.Least:
		return aimNearer(*r.Face.Width, r.Face.Least), false
	case person.Face.W > largestFace*float64(min(v.scene.Image.Width, v.scene.Image.Height)):
		return aimBack, false
	case person.Hint == event.CutOff:
		return aimCutOff, false
	case problem == event.WarmingUp:
		return aimWarmingUp, false
	case problem == event.ReferenceUnstable:
		return aimUnstable, false
	case problem == event.ReferenceMissing:
		return aimReferenceMissing(r.Reference.Least, r.Reference.Most), false
	case r.Hottest != nil && *r.Hottest.Celsius > lampCelsius && !v.inReference(r.Hottest):
		return aimLamp(*r.Hottest.Celsius, r.Hottest.Place), false
	case person.Hint != event.NoProblem && person.Hint != event.Moving && person.Event == nil:
		return v.words.phrase(guideOf(person.Hint, person.Worn).head), false
	}
	return aimDone, true
}

func (v *view) inReference(s *aimSpot) bool {
	r := v.scene.Reference
	return r.Found && math.Hypot(s.X*float64(v.scene.Image.Width)-r.X, s.Y*float64(v.scene.Image.Height)-r.Y) <= 1.5*r.Radius
}

// focus follows the sharpness while somebody turns the lens.
type focus struct {
	mu        sync.Mutex
	at        time.Time
	now, best float64
	bestAt    time.Time
}

// add takes a picture's sharpness in, and returns what it is now and at best.
func (f *focus) add(sharpness float64, at time.Time) (now, best float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Sub(f.at) > unwatched {
		f.now, f.best = sharpness, 0
	}
	f.at = at
	f.now += sharpnessShare * (sharpness - f.now)
	if f.now >= f.best || at.Sub(f.bestAt) > bestMemory {
		f.best, f.bestAt = f.now, at
	}
	return f.now, f.best
}

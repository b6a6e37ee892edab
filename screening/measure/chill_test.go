package measure

import (
	"math"
	"testing"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/face"
)

const canthiCelsius = 35.5

// portrait draws a face of 40 × 52 pixels: nose and cheeks as much colder than the canthi as said, the rest of the skin
// in between.
func portrait(nose, cheeks, rest, ambient float64) (*radiometry.Image, face.Face) {
	const width, height = 120, 160
	f := face.Face{X: 40, Y: 50, W: 40, H: 52, Pose: face.Frontal}
	f.Landmarks = [5]face.Point{{X: 51, Y: 70}, {X: 69, Y: 70}, {X: 60, Y: 81}, {X: 53, Y: 91}, {X: 67, Y: 91}}
	img := &radiometry.Image{Width: width, Height: height, Celsius: make([]float32, width*height)}
	for i := range img.Celsius {
		x, y := float64(i%width), float64(i/width)
		c := ambient
		switch {
		case math.Hypot(x-60, y-81) < 4:
			c = canthiCelsius - nose
		case math.Hypot(math.Abs(x-60)-11, y-82) < 6:
			c = canthiCelsius - cheeks
		case math.Hypot((x-60)/20, (y-76)/26) < 1:
			c = canthiCelsius - rest
		}
		img.Celsius[i] = float32(c)
	}
	return img, f
}

func TestChill(t *testing.T) {
	const usualRest, coldRest = 1.2, 2.6
	tests := []struct {
		name                        string
		nose, cheeks, rest, ambient float64
		masked                      bool
		least, most                 float64
	}{
		{"warm", 2.6, 2.1, usualRest, 23, false, -0.1, 0.1},
		{"a cold nose alone", 6.0, 2.1, usualRest, 23, false, -0.1, 0.1},
		{"cold cheeks alone", 2.6, 5.0, usualRest, 23, false, -0.1, 0.1},
		{"both", 5.1, 3.9, usualRest, 23, false, 0.9, 1.1},
		{"both, in a cold hall, where faces have more contrast", 5.1, 3.9, usualRest, 8, false, 0.2, 0.6},
		{"a cold nose under a mask", 6.0, 2.1, usualRest, 23, true, -0.4, 0.4},
		{"warm under a mask", 2.6, 2.1, usualRest, 23, true, -0.4, 0.4},
		{"cold under a mask", 5.1, 3.9, coldRest, 23, true, 1, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			img, f := portrait(test.nose, test.cheeks, test.rest, test.ambient)
			f.Mask = test.masked
			meter := NewMeter(DefaultConfig())
			s, gain := spot{celsius: canthiCelsius}, contrast(meter.ambient(img))
			nose, cheeks := meter.bareChill(img, f, frameOf(f), s, gain)
			got := min(nose, cheeks)
			if test.masked {
				if !math.IsNaN(got) {
					t.Errorf("the nose under a mask says %.2f °C", got)
				}
				got = meter.faceChill(img, f, s, gain)
			}
			if !(got >= test.least && got <= test.most) {
				t.Errorf("chill %.2f °C, want %v to %v", got, test.least, test.most)
			}
		})
	}
}

// TestChillOfANoseOutOfThePicture can't be told.
func TestChillOfANoseOutOfThePicture(t *testing.T) {
	img, f := portrait(2.6, 2.1, 1.2, 23)
	f.Landmarks[face.Nose].Y = 400
	meter := NewMeter(DefaultConfig())
	if nose, _ := meter.bareChill(img, f, frameOf(f), spot{celsius: canthiCelsius}, contrast(meter.ambient(img))); !math.IsNaN(nose) {
		t.Errorf("chill %v", nose)
	}
}

// TestANoseTooWarmForItsCanthi tells that something colder than canthi was read.
func TestANoseTooWarmForItsCanthi(t *testing.T) {
	img, f := portrait(0.5, 0.5, 0.5, 23)
	r := NewMeter(DefaultConfig()).Measure(img, f, &f, time.Second/9, event.ReferenceSource{})
	if r.Problem != event.NoProblem || r.Site != event.InnerCanthus || !(r.NoseChillCelsius < -0.5 && r.CheekChillCelsius < -0.5) {
		t.Errorf("%+v", r)
	}
}

// TestChillUnderAMaskThatFewFramesTell: a mask that breath warms is often taken for nose and cheeks, and these for warm.
func TestChillUnderAMaskThatFewFramesTell(t *testing.T) {
	unknown := math.NaN()
	masked := func(face float64) Reading {
		return Reading{Masked: true, NoseChillCelsius: unknown, CheekChillCelsius: unknown, FaceChillCelsius: face}
	}
	seen := func(nose, face float64) Reading {
		return Reading{NoseChillCelsius: nose, CheekChillCelsius: nose, FaceChillCelsius: face}
	}
	apart := func(nose, cheeks float64) Reading {
		return Reading{NoseChillCelsius: nose, CheekChillCelsius: cheeks, FaceChillCelsius: nose}
	}
	tests := []struct {
		name               string
		site               event.Site
		frames             []Reading
		chill, uncertainty float64
		masked             bool
	}{
		{"no mask", event.InnerCanthus, []Reading{seen(0.4, 0.2), seen(0.6, 0.4)}, 0.5, chillSpread, false},
		{"a nose that is cold by nature", event.InnerCanthus, []Reading{apart(1.2, 0.1), apart(1.4, 0.3)}, 0.2, chillSpread, false},
		{"cheeks that are", event.InnerCanthus, []Reading{apart(0.1, 1.3)}, 0.1, chillSpread, false},
		{"both say so, and not as much", event.InnerCanthus, []Reading{apart(0.5, 1), apart(0.3, 1.4)}, 0.8, chillSpread, false},
		{"the face as a whole is colder by nature", event.InnerCanthus, []Reading{seen(0, 0.9), seen(0, 1.1)}, 0, chillSpread, false},
		{"so much that nose and cheeks can't be such", event.InnerCanthus, []Reading{seen(0.4, 1.6), seen(0.6, 2)}, 1.8, maskedChillSpread, true},
		{"a mask", event.InnerCanthus, []Reading{masked(1.4), masked(1.6)}, 1.5, maskedChillSpread, true},
		{"a mask in one frame of four", event.InnerCanthus, []Reading{seen(0.5, 1.4), seen(0.5, 1.4), masked(1.4), seen(0.5, 1.4)}, 1.4, maskedChillSpread, true},
		{"a mask in one frame of six", event.InnerCanthus,
			[]Reading{seen(0.2, 0.2), seen(0.2, 0.2), seen(0.2, 0.2), seen(0.2, 0.2), seen(0.2, 0.2), masked(0.2)}, 0.2, chillSpread, false},
		{"a nose out of the picture", event.InnerCanthus, []Reading{seen(unknown, 0.3)}, unknown, chillSpread, false},
		{"a forehead", event.Forehead, []Reading{seen(0.7, 0)}, 0.7, foreheadChillSpread, false},
		{"a forehead above a mask", event.Forehead, []Reading{seen(0.7, 0), masked(0), masked(0)}, unknown, unknown, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var look Look
			for _, r := range test.frames {
				r.SkinCelsius, r.NoiseCelsius, r.Site = canthiCelsius, 0.1, test.site
				look.Add(r, time.Unix(0, 0))
			}
			e := look.Estimate()
			if !same(e.ChillCelsius, test.chill) || !same(e.ChillUncertainty, test.uncertainty) || e.Masked != test.masked {
				t.Errorf("chill %.2f ± %.2f °C, masked %v; want %.2f ± %.2f, %v",
					e.ChillCelsius, e.ChillUncertainty, e.Masked, test.chill, test.uncertainty, test.masked)
			}
		})
	}
}

func same(a, b float64) bool { return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b) }

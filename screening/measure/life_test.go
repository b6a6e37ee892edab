package measure_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/measure"
)

// headAt draws a head of 30 × 40 pixels moved by dx and dy, with the noise of a Lepton.
func headAt(dx, dy float64, random *rand.Rand) *radiometry.Image {
	const width, height = 120, 160
	img := &radiometry.Image{Width: width, Height: height, Celsius: make([]float32, width*height)}
	for i := range img.Celsius {
		x, y := float64(i%width)-60-dx, float64(i/width)-70-dy
		head := 1 / (1 + math.Exp(3*(math.Hypot(x/13, y/18)-1)*4))
		eyes := math.Exp(-(sq(x-6)+sq(y+4))/6) + math.Exp(-(sq(x+6)+sq(y+4))/6)
		nose := math.Exp(-(sq(x) + sq(y-4)) / 12)
		img.Celsius[i] = float32(23 + 11*head + eyes - 2*nose + 0.05*random.NormFloat64())
	}
	return img
}

func sq(x float64) float64 { return x * x }

func TestLife(t *testing.T) {
	const frames = 20                            // less than the time over which a movement is taken
	box := event.Box{X: 52, Y: 56, W: 30, H: 40} // not in the middle of the head, where what the level does would cancel out
	tests := []struct {
		name string
		next func(i int, first *radiometry.Image, random *rand.Rand) *radiometry.Image
		want bool
	}{
		{"still, with the noise of the sensor", func(_ int, _ *radiometry.Image, random *rand.Rand) *radiometry.Image {
			return headAt(0, 0, random)
		}, false},
		{"the same picture over and over", func(_ int, first *radiometry.Image, _ *rand.Rand) *radiometry.Image {
			return first
		}, false},
		{"the level of the picture jumps", func(i int, first *radiometry.Image, _ *rand.Rand) *radiometry.Image {
			jumped := *first
			jumped.Celsius = append([]float32(nil), first.Celsius...)
			for k := range jumped.Celsius {
				jumped.Celsius[k] += 0.7 * float32(i%2)
			}
			return &jumped
		}, false},
		{"moved aside by a tenth of a pixel", func(_ int, _ *radiometry.Image, random *rand.Rand) *radiometry.Image {
			return headAt(0.1, 0, random)
		}, true},
		{"moved up by a tenth of a pixel", func(_ int, _ *radiometry.Image, random *rand.Rand) *radiometry.Image {
			return headAt(0, -0.1, random)
		}, true},
		{"sways slowly", func(i int, _ *radiometry.Image, random *rand.Rand) *radiometry.Image {
			return headAt(0.005*float64(i), 0, random)
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(6, 7))
			var life measure.Life
			at := time.Unix(0, 0)
			first := headAt(0, 0, random)
			if life.Moved(first, box, at, nil) {
				t.Error("the first picture has moved")
			}
			moved := false
			for i := range frames {
				at = at.Add(110 * time.Millisecond)
				moved = life.Moved(test.next(i, first, random), box, at, nil) || moved
			}
			if moved != test.want {
				t.Errorf("moved is %t", moved)
			}
		})
	}
}

// TestLifeIsTakenOverSeconds: what moved long ago, or in a picture of another size, is no movement now.
func TestLifeIsTakenOverSeconds(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 7))
	box := event.Box{X: 45, Y: 50, W: 30, H: 40}
	var life measure.Life
	life.Moved(headAt(0, 0, random), box, time.Unix(0, 0), nil)
	if life.Moved(headAt(0.5, 0, random), box, time.Unix(9, 0), nil) {
		t.Error("moved since nine seconds ago")
	}
	small := &radiometry.Image{Width: 60, Height: 80, Celsius: make([]float32, 60*80)}
	if life.Moved(small, box, time.Unix(9, 1e8), nil) {
		t.Error("moved in a picture of another size")
	}
}

// TestLifeAtTheBorder: a face that is out of the picture has not moved.
func TestLifeAtTheBorder(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 7))
	for _, box := range []event.Box{{X: -40, Y: 10, W: 30, H: 40}, {X: 119, Y: 159, W: 30, H: 40}, {X: 130, Y: 170, W: 30, H: 40}} {
		var life measure.Life
		for i := range 3 {
			if life.Moved(headAt(float64(i), 0, random), box, time.Unix(int64(i), 0), nil) {
				t.Errorf("%v has moved", box)
			}
		}
	}
}

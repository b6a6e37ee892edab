package track

import (
	"math"
	"math/rand/v2"
	"testing"

	"thermogate/screening/event"
)

// sitter is a made-up person: waves of warm and cold over face and shoulders, each person's their own.
type sitter struct{ brow, mouth, trunk uint64 }

const (
	pictureWidth, pictureHeight = 80, 100
	pixelNoise                  = 0.05
)

var sitterBox = event.Box{X: 25, Y: 16, W: 30, H: 40}

// draw draws somebody moved by some pixels, at a level of temperature, into the first rows of a picture.
func (p sitter) draw(rows int, dx, dy, level float64, random *rand.Rand) []float32 {
	celsius := make([]float32, pictureWidth*rows)
	middle, chin := sitterBox.Y+0.55*sitterBox.H, sitterBox.Y+1.1*sitterBox.H
	brow, mouth, trunk := waves(p.brow), waves(p.mouth), waves(p.trunk)
	for i := range celsius {
		x, y := float64(i%pictureWidth)-dx, float64(i/pictureWidth)-dy
		pattern := brow
		if y > chin {
			pattern = trunk
		} else if y > middle {
			pattern = mouth
		}
		celsius[i] = float32(level + pattern(x, y) + pixelNoise*random.NormFloat64())
	}
	return celsius
}

func waves(seed uint64) func(x, y float64) float64 {
	random := rand.New(rand.NewPCG(seed, 3))
	var kx, ky, phase [6]float64
	for i := range kx {
		angle, length := 2*math.Pi*random.Float64(), 15+30*random.Float64()
		kx[i], ky[i] = 2*math.Pi*math.Cos(angle)/length, 2*math.Pi*math.Sin(angle)/length
		phase[i] = 2 * math.Pi * random.Float64()
	}
	return func(x, y float64) (sum float64) {
		for i := range kx {
			sum += 0.6 * math.Cos(kx[i]*x+ky[i]*y+phase[i])
		}
		return sum
	}
}

func TestDifference(t *testing.T) {
	const large = 4.0
	one := sitter{1, 2, 3}
	tests := []struct {
		name          string
		other         sitter
		dx, dy, level float64
		rows          int // of the second picture
		masked        bool
		least, most   float64
	}{
		{"the same picture with other noise", one, 0, 0, 34, pictureHeight, false, 0, 0.6},
		{"half a pixel aside", one, 0.5, -0.3, 34, pictureHeight, false, 0, 1.5},
		{"a pixel aside", one, 1, 0, 34, pictureHeight, false, 0, 1.5},
		{"two degrees warmer", one, 0, 0, 36, pictureHeight, false, 0, 0.6},
		{"another", sitter{11, 12, 13}, 0, 0, 34, pictureHeight, false, large, 40},
		{"another face over the same shoulders", sitter{11, 12, 3}, 0, 0, 34, pictureHeight, false, large, 40},
		{"the same face over other shoulders", sitter{1, 2, 13}, 0, 0, 34, pictureHeight, false, 2, 40},
		{"shoulders out of view", one, 0, 0, 34, 70, false, 0, 0.8},
		{"another, shoulders out of view", sitter{11, 12, 3}, 0, 0, 34, 70, false, large, 40},
		{"other shoulders, out of view", sitter{1, 2, 13}, 0, 0, 34, 70, false, 0, 0.8},
		{"another lower half", sitter{1, 22, 3}, 0, 0, 34, pictureHeight, false, 3, 40},
		{"another lower half under a mask", sitter{1, 22, 3}, 0, 0, 34, pictureHeight, true, 0, 1},
		{"another brow over a mask", sitter{11, 2, 3}, 0, 0, 34, pictureHeight, true, large, 40},
		{"other shoulders under a mask", sitter{1, 2, 13}, 0, 0, 34, pictureHeight, true, 2, 40},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(4, 5))
			var sketcher Sketcher
			var view, later View
			sketcher.Draw(one.draw(pictureHeight, 0, 0, 34, random), pictureWidth, pictureHeight, sitterBox, false, &view)
			portrait := view.Portrait()
			second := test.other.draw(test.rows, test.dx, test.dy, test.level, random)
			sketcher.Draw(second, pictureWidth, test.rows, sitterBox, test.masked, &later)
			if d := later.Difference(&portrait); d < test.least || d > test.most {
				t.Errorf("difference %.2f, want %v to %v", d, test.least, test.most)
			}
		})
	}
}

// TestViewAtTheBorder draws faces that are partly out of the picture.
func TestViewAtTheBorder(t *testing.T) {
	celsius := sitter{1, 2, 3}.draw(pictureHeight, 0, 0, 34, rand.New(rand.NewPCG(4, 5)))
	for _, box := range []event.Box{{X: -10, Y: -12, W: 30, H: 40}, {X: 65, Y: 80, W: 30, H: 40}, {X: -5, Y: -5, W: 200, H: 260}} {
		var sketcher Sketcher
		var view View
		sketcher.Draw(celsius, pictureWidth, pictureHeight, box, false, &view)
		portrait := view.Portrait()
		if d := view.Difference(&portrait); d != 0 {
			t.Errorf("%v differs from itself by %v", box, d)
		}
	}
}

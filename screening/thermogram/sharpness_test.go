package thermogram_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/camera/simulator"
	"thermogate/screening/thermogram"
	"thermogate/testdata"
)

// frames calls look with every nth picture of a source.
func frames(t *testing.T, source camera.Source, nth, most int, look func(*radiometry.Image)) {
	t.Helper()
	defer source.Close()
	scale, err := radiometry.ScaleOf(source.Info().Units)
	if err != nil {
		t.Fatal(err)
	}
	var frame camera.Frame
	var img radiometry.Image
	for n := range nth * most {
		if source.Read(t.Context(), &frame) != nil {
			return
		}
		if n%nth == nth/2 {
			scale.Convert(frame.Counts, frame.Width, frame.Height, &img)
			look(&img)
		}
	}
}

// throughLens is a picture as a lens shows it that blurs by so many pixels more.
func throughLens(img *radiometry.Image, pixels float64) *radiometry.Image {
	once := turnedAndBlurred(img, pixels)
	return turnedAndBlurred(once, pixels)
}

// turnedAndBlurred blurs the rows and makes columns of them.
func turnedAndBlurred(img *radiometry.Image, pixels float64) *radiometry.Image {
	reach := int(math.Ceil(4 * pixels))
	out := &radiometry.Image{Width: img.Height, Height: img.Width, Celsius: make([]float32, len(img.Celsius))}
	for y := range img.Height {
		for x := range img.Width {
			var sum, weights float64
			for i := -reach; i <= reach; i++ {
				w := math.Exp(-float64(i*i) / (2 * pixels * pixels))
				sum += w * float64(img.At(min(max(x+i, 0), img.Width-1), y))
				weights += w
			}
			out.Celsius[x*out.Width+y] = float32(sum / weights)
		}
	}
	return out
}

// TestSharpnessFallsWithFocus turns the lens of real cameras out of focus, bit by bit.
func TestSharpnessFallsWithFocus(t *testing.T) {
	recordings, err := filepath.Glob(testdata.Shared(t, "recordings") + "/*.tiff")
	if err != nil || len(recordings) == 0 {
		t.Fatal(err, len(recordings))
	}
	for _, path := range recordings {
		source, err := camera.Open(t.Context(), path, camera.Options{})
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		lepton := !strings.HasPrefix(name, "neg_") // others are of cameras and things unlike those at a gate
		frames(t, source, 60, 1, func(img *radiometry.Image) {
			before, ok := thermogram.Sharpness(img)
			if !ok || lepton && !(before >= 38 && before <= 70) {
				t.Errorf("%s in focus: %.1f, %v", name, before, ok)
			}
			for _, blur := range []float64{0.5, 1, 2, 4} {
				now, ok := thermogram.Sharpness(throughLens(img, blur))
				if lepton && !ok && blur < 3 || ok && now > 0.97*before {
					t.Errorf("%s: out of focus by %.1f pixels: %.1f (%v) after %.1f", name, blur, now, ok, before)
				}
				if lepton && blur == 1 && now > 36 {
					t.Errorf("%s: out of focus by a pixel: %.1f", name, now)
				}
				before = now
			}
		})
	}
}

// TestSharpnessIsThatOfTheLens has simulated lenses before scenes of different people, noise that no lens blurs, and a broken
// pixel.
func TestSharpnessIsThatOfTheLens(t *testing.T) {
	sharper := math.Inf(1) // the least of the lens before
	for _, blur := range []float64{0.5, 0.9, 1.5, 2.5, 4} {
		scenario := simulator.Demo()
		scenario.Camera.BlurPixels = blur
		source, err := simulator.New(scenario, simulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var seen []float64
		frames(t, source, 40, 8, func(img *radiometry.Image) {
			img.Celsius[70*img.Width+60] = 80
			got, ok := thermogram.Sharpness(img)
			if !ok {
				t.Errorf("a lens that blurs by %.1f pixels is not seen", blur)
			}
			seen = append(seen, got)
		})
		least, most := slices.Min(seen), slices.Max(seen)
		if len(seen) < 8 || most >= sharper || most > 1.4*least {
			t.Errorf("a lens that blurs by %.1f pixels: %.1f to %.1f in %d pictures; the one before had %.1f at least", blur, least, most, len(seen), sharper)
		}
		sharper = least
	}
}

func TestSharpnessOfNothing(t *testing.T) {
	wall := &radiometry.Image{Width: 160, Height: 120, Celsius: make([]float32, 160*120)}
	for i := range wall.Celsius {
		wall.Celsius[i] = 21 + float32(i*7919%100)/1000
	}
	broken := &radiometry.Image{Width: 160, Height: 120, Celsius: make([]float32, 160*120)}
	for i := range broken.Celsius {
		broken.Celsius[i] = float32(math.NaN())
	}
	for name, img := range map[string]*radiometry.Image{"a wall": wall, "no temperature": broken,
		"one pixel": {Width: 1, Height: 1, Celsius: []float32{20}}, "nothing": {}} {
		if sharpness, ok := thermogram.Sharpness(img); ok {
			t.Errorf("%s is sharp by %.1f", name, sharpness)
		}
	}
}

// BenchmarkSharpness has the largest picture that a gate may have.
func BenchmarkSharpness(b *testing.B) {
	img := &radiometry.Image{Width: 1280, Height: 1024, Celsius: make([]float32, 1280*1024)}
	for b.Loop() {
		thermogram.Sharpness(img)
	}
}

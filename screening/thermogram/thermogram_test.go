package thermogram_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/thermogram"
)

// person is a picture with a warm head before a wall, and a hot disc.
func person(width, height int) thermogram.Picture {
	img := &radiometry.Image{Width: width, Height: height, Celsius: make([]float32, width*height)}
	random := rand.New(rand.NewPCG(1, 2))
	zoom := float64(width) / 120
	for i := range img.Celsius {
		x, y := float64(i%width)/zoom, float64(i/width)/zoom
		t := 21 + 0.05*random.NormFloat64()
		if math.Hypot((x-60)/15, (y-60)/20) < 1 {
			t += 12.5
		}
		if math.Hypot(x-100, y-30) < 6 {
			t += 14
		}
		img.Celsius[i] = float32(t)
	}
	return thermogram.Picture{Image: img, Face: event.Box{X: 45 * zoom, Y: 40 * zoom, W: 30 * zoom, H: 40 * zoom},
		Reference: event.ReferenceSource{Found: true, X: 100 * zoom, Y: 30 * zoom, Radius: 6 * zoom, CorrectionCelsius: 0.4}}
}

// encode also checks that a browser can show it.
func encode(t *testing.T, p thermogram.Picture, most int) image.Image {
	t.Helper()
	body, err := p.Encode(most)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > most {
		t.Fatalf("%d bytes, more than %d", len(body), most)
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "picture.png"), body, 0o600); err != nil { // of the last one, to be looked at
		t.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func brightness(c color.Color) uint32 {
	r, g, b, _ := c.RGBA()
	return r + g + b
}

func TestEncode(t *testing.T) {
	decoded := encode(t, person(120, 160), 64<<10)
	if size := decoded.Bounds().Size(); size != (image.Point{X: 360, Y: 512}) {
		t.Errorf("%v pixels", size)
	}
	wall, face := brightness(decoded.At(30, 400)), brightness(decoded.At(180, 180))
	if face < wall+0xffff/2 {
		t.Errorf("a face of brightness %d on a wall of %d", face, wall)
	}
	if corner := decoded.At(135, 121); brightness(corner) < 3*0xffff {
		t.Errorf("the corner of the face is not marked: %v", corner)
	}
	ink := 0
	for x := range 360 {
		for y := 496; y < 512; y++ {
			if brightness(decoded.At(x, y)) > 2*0xffff {
				ink++
			}
		}
	}
	if ink < 100 {
		t.Errorf("the scale has no numbers: %d pixels", ink)
	}
}

func TestEncodeIsBounded(t *testing.T) {
	noise := person(640, 512)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise.Image.Celsius {
		noise.Image.Celsius[i] = float32(20 + 20*random.Float64())
	}
	encode(t, noise, 64<<10)
	odd := person(160, 120)
	odd.Face = event.Box{X: -50, Y: 100, W: 400, H: 400} // half of it out of the picture
	odd.Image.Celsius[5] = float32(math.NaN())
	encode(t, odd, 64<<10)
	for name, p := range map[string]thermogram.Picture{"nothing": {Image: &radiometry.Image{}}, "a bound that nothing fits": noise} {
		if _, err := p.Encode(500); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, size := range [][2]int{{1, 1}, {3, 500}, {32, 24}, {1280, 1024}} {
		encode(t, thermogram.Picture{Image: &radiometry.Image{Width: size[0], Height: size[1], Celsius: make([]float32, size[0]*size[1])}}, 64<<10)
	}
}

func TestExtremes(t *testing.T) {
	img := person(120, 160).Image
	img.Celsius[0], img.Celsius[3*120+7], img.Celsius[9*120+8] = float32(math.NaN()), 4, 61
	coldest, hottest, ok := thermogram.Extremes(img)
	if !ok || coldest != (thermogram.Spot{X: 7, Y: 3, Celsius: 4}) || hottest != (thermogram.Spot{X: 8, Y: 9, Celsius: 61}) {
		t.Errorf("%+v, %+v, %v", coldest, hottest, ok)
	}
	if _, _, ok := thermogram.Extremes(&radiometry.Image{Width: 1, Height: 1, Celsius: []float32{float32(math.NaN())}}); ok {
		t.Error("nothing has extremes")
	}
}

func BenchmarkEncode(b *testing.B) {
	p := person(120, 160)
	for b.Loop() {
		if _, err := p.Encode(64 << 10); err != nil {
			b.Fatal(err)
		}
	}
}

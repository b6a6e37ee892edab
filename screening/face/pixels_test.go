package face

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gocv.io/x/gocv"

	"thermogate/camera/radiometry"
)

// TestShrinkAsOpenCV holds pictures that are made smaller against OpenCV's.
func TestShrinkAsOpenCV(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s shrinker
	for _, size := range [][4]int{{640, 512, 416, 333}, {640, 512, 208, 166}, {256, 192, 128, 96}, {1281, 1023, 417, 333}, {322, 241, 161, 120}, {90, 60, 90, 59}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			mat, want := gocv.NewMatWithSize(size[1], size[0], gocv.MatTypeCV32F), gocv.NewMat()
			defer mat.Close()
			defer want.Close()
			pixels, err := mat.DataPtrFloat32()
			if err != nil {
				t.Fatal(err)
			}
			for i := range pixels {
				pixels[i] = 20 + 15*random.Float32()
			}
			gocv.Resize(mat, &want, imagePoint(size[2], size[3]), 0, 0, gocv.InterpolationArea)
			wanted, err := want.DataPtrFloat32()
			if err != nil {
				t.Fatal(err)
			}
			got := s.shrink(&radiometry.Image{Width: size[0], Height: size[1], Celsius: pixels}, size[2], size[3])
			for i, w := range wanted {
				if math.Abs(float64(got[i]-w)) > 2e-5 {
					t.Fatalf("pixel %d: %v instead of %v", i, got[i], w)
				}
			}
		})
	}
}

func BenchmarkShrink(b *testing.B) {
	img := radiometry.Image{Width: 640, Height: 512, Celsius: make([]float32, 640*512)}
	var s shrinker
	for b.Loop() {
		s.shrink(&img, 416, 333)
	}
}

func TestBeyond(t *testing.T) {
	for n := range 11 {
		celsius := slices.Repeat([]float32{coldestSkin, hottestSkin, float32(math.NaN())}, 4)[:n]
		if beyond(celsius, coldestSkin, hottestSkin) {
			t.Errorf("%v is taken for no skin", celsius)
		}
		for i := range celsius {
			for _, c := range []float32{coldestSkin - 0.1, hottestSkin + 0.1} {
				odd := slices.Clone(celsius)
				if odd[i] = c; !beyond(odd, coldestSkin, hottestSkin) {
					t.Errorf("%v is taken for skin", odd)
				}
			}
		}
	}
}

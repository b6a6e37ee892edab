package face

import (
	"context"
	"image"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/testdata"
)

// label is a row of faces.csv; a frame labelled "none" has no face.
type label struct {
	kind string
	main bool
	box  Face
}

// labelledFrame is a real picture with the faces drawn on it by hand.
type labelledFrame struct {
	recording string
	index     int
	img       radiometry.Image
	labels    []label
}

// labelledFrames reads all hand-labelled frames, about ten megabytes.
func labelledFrames(t testing.TB) []labelledFrame {
	t.Helper()
	number := func(row map[string]string, name string) float32 {
		v, err := strconv.ParseFloat(row[name], 32)
		if err != nil {
			t.Fatal(err)
		}
		return float32(v)
	}
	byRecording := map[string]map[int][]label{}
	for _, row := range testdata.Table(t, "labels", "faces.csv") {
		l := label{kind: row["kind"], main: row["main"] == "yes"}
		if l.kind != "none" {
			l.box = Face{X: number(row, "x"), Y: number(row, "y"), W: number(row, "w"), H: number(row, "h")}
		}
		name, frame := row["name"], int(number(row, "frame"))
		if byRecording[name] == nil {
			byRecording[name] = map[int][]label{}
		}
		byRecording[name][frame] = append(byRecording[name][frame], l)
	}
	var all []labelledFrame
	for name, labels := range byRecording {
		all = append(all, readFrames(t, name, labels)...)
	}
	return all
}

func readFrames(t testing.TB, recording string, labels map[int][]label) []labelledFrame {
	t.Helper()
	source, err := camera.Open(context.Background(), testdata.Shared(t, "recordings", recording+".tiff"), camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	scale, err := radiometry.ScaleOf(source.Info().Units)
	if err != nil {
		t.Fatal(err)
	}
	var found []labelledFrame
	var frame camera.Frame
	for len(found) < len(labels) {
		if err := source.Read(context.Background(), &frame); err != nil {
			t.Fatal(err)
		}
		if l, ok := labels[frame.Index]; ok {
			f := labelledFrame{recording: recording, index: frame.Index, labels: l}
			scale.Convert(frame.Counts, frame.Width, frame.Height, &f.img)
			found = append(found, f)
		}
	}
	return found
}

func newDetector(t testing.TB) *Detector {
	t.Helper()
	d, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// resampled is a picture through another sensor: blurred as its optics would, with factor times the pixels a side.
func resampled(t testing.TB, img *radiometry.Image, factor float64) *radiometry.Image {
	t.Helper()
	mat := gocv.NewMatWithSize(img.Height, img.Width, gocv.MatTypeCV32F)
	defer mat.Close()
	pixels, err := mat.DataPtrFloat32()
	if err != nil {
		t.Fatal(err)
	}
	copy(pixels, img.Celsius)
	kind := gocv.InterpolationCubic
	if factor < 1 {
		kind = gocv.InterpolationArea
	}
	gocv.Resize(mat, &mat, image.Point{}, factor, factor, kind)
	if factor > 1 {
		gocv.GaussianBlur(mat, &mat, image.Point{}, 0.5*factor, 0, gocv.BorderReplicate)
	}
	if pixels, err = mat.DataPtrFloat32(); err != nil {
		t.Fatal(err)
	}
	return &radiometry.Image{Width: mat.Cols(), Height: mat.Rows(), Celsius: slices.Clone(pixels)}
}

// grey is a picture as an 8-bit file has it, hot white or hot black.
func grey(img *radiometry.Image, hotBlack bool) *radiometry.Image {
	low, high := slices.Min(img.Celsius), slices.Max(img.Celsius)
	g := &radiometry.Image{Width: img.Width, Height: img.Height, Celsius: make([]float32, len(img.Celsius)), Relative: true}
	for i, c := range img.Celsius {
		v := math.Round(float64((c - low) / (high - low) * 255))
		if hotBlack {
			v = 255 - v
		}
		g.Celsius[i] = float32(v)
	}
	return g
}

func TestFacesDrawnByHand(t *testing.T) {
	all := labelledFrames(t)
	for _, test := range []struct {
		name   string
		change func(*radiometry.Image) *radiometry.Image
		factor float32
		// The least share of frontal faces of the person in front that is found, and the largest share of frames without
		// a face that may have a box: the backs of heads, which the model card tells of.
		least, boxed float64
	}{
		{"as recorded", func(img *radiometry.Image) *radiometry.Image { return img }, 1, 0.99, 0.04},
		{"half the pixels a side", func(img *radiometry.Image) *radiometry.Image { return resampled(t, img, 0.5) }, 0.5, 0.97, 0.04},
		{"320x240", func(img *radiometry.Image) *radiometry.Image { return resampled(t, img, 2) }, 2, 0.97, 0.08},
		{"640x480", func(img *radiometry.Image) *radiometry.Image { return resampled(t, img, 4) }, 4, 0.97, 0.11},
		{"8 bits", func(img *radiometry.Image) *radiometry.Image { return grey(img, false) }, 1, 0.95, 0.15},
		{"8 bits, hot is black", func(img *radiometry.Image) *radiometry.Image { return grey(img, true) }, 1, 0.95, 0.15},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDetector(t)
			found, faces, boxed, empty := 0, 0, 0, 0
			for i := range all {
				boxes, err := d.Detect(test.change(&all[i].img))
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range all[i].labels {
					l.box.enlarge(test.factor, test.factor)
					switch {
					case l.kind == "none":
						empty++
						if len(boxes) > 0 {
							boxed++
						}
					case l.kind == "frontal" && l.main:
						faces++
						if slices.ContainsFunc(boxes, func(f Face) bool { return overlap(&f, &l.box) >= 0.5 }) {
							found++
						} else {
							t.Logf("%s frame %d: missed the face at %.0f,%.0f", all[i].recording, all[i].index, l.box.X, l.box.Y)
						}
					}
				}
			}
			t.Logf("%d of %d frontal faces, a box on %d of %d empty frames", found, faces, boxed, empty)
			if float64(found) < test.least*float64(faces) {
				t.Errorf("found %d of %d frontal faces", found, faces)
			}
			if float64(boxed) > test.boxed*float64(empty) {
				t.Errorf("boxed %d of %d frames without a face", boxed, empty)
			}
		})
	}
}

// Every fifth frame of animals, plants and the sky.
func TestNothingWithoutPeople(t *testing.T) {
	d := newDetector(t)
	for _, recording := range []string{"neg_cat", "neg_hedgehog", "neg_rat", "neg_noise_01", "neg_noise_03", "neg_skyline"} {
		labels := map[int][]label{}
		for i := 0; i < 90; i += 5 {
			labels[i] = nil
		}
		boxed := 0
		for _, f := range readFrames(t, recording, labels) {
			faces, err := d.Detect(&f.img)
			if err != nil {
				t.Fatal(err)
			}
			if len(faces) > 0 {
				boxed++
			}
		}
		if boxed > 0 {
			t.Errorf("%s: a box on %d of %d frames", recording, boxed, len(labels))
		}
	}
}

// TestFacesAmongHotAndCold has radiators, ovens and the sky beside faces, and cameras that read wrong. What is as hot as an
// oven is no face, whatever its shape.
func TestFacesAmongHotAndCold(t *testing.T) {
	strip := func(celsius float32) func(*radiometry.Image, *Face) {
		return func(img *radiometry.Image, _ *Face) {
			for y := 60; y < 100; y++ {
				for x := range 12 {
					img.Celsius[y*img.Width+x] = celsius
				}
			}
		}
	}
	warmer := func(by float32) func(*radiometry.Image, *Face) {
		return func(img *radiometry.Image, _ *Face) {
			for i := range img.Celsius {
				img.Celsius[i] += by
			}
		}
	}
	for _, test := range []struct {
		name        string
		change      func(*radiometry.Image, *Face)
		grey        bool
		least, most float64 // share of the faces that may be found
	}{
		{"a lamp", strip(95), false, 0.97, 1},
		{"the sky on one side, an oven on the other", skyAndOven, false, 0.9, 1},
		{"a cup before the mouth", cup, false, 0.7, 1},
		{"an oven, without a scale", strip(200), true, 0.5, 1},
		{"10 °C too warm", warmer(10), false, 0.97, 1},
		{"10 °C too cold", warmer(-10), false, 0.97, 1},
		{"hotter than skin", warmer(40), false, 0, 0},
		{"colder than skin", warmer(-40), false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDetector(t)
			d.MinScore = 0.5
			faces, found := 0, 0
			for _, f := range labelledFrames(t) {
				l := f.labels[0]
				if l.kind != "frontal" || !l.main || l.box.X < 14 {
					continue
				}
				img := &f.img
				if test.change(img, &l.box); test.grey {
					img = grey(img, false)
				}
				boxes, err := d.Detect(img)
				if err != nil {
					t.Fatal(err)
				}
				faces++
				if slices.ContainsFunc(boxes, func(b Face) bool { return overlap(&b, &l.box) >= 0.5 }) {
					found++
				}
			}
			t.Logf("%d of %d faces", found, faces)
			if share := float64(found) / float64(faces); share < test.least || share > test.most {
				t.Errorf("found %d of %d faces", found, faces)
			}
		})
	}
}

// cup holds something hot before a face.
func cup(img *radiometry.Image, box *Face) {
	for y := int(box.Y + 0.7*box.H); y < min(img.Height, int(box.Y+box.H)); y++ {
		for x := int(box.X + 0.3*box.W); x < int(box.X+0.7*box.W); x++ {
			img.Celsius[y*img.Width+x] = 70
		}
	}
}

// skyAndOven leaves of a picture what is around a face.
func skyAndOven(img *radiometry.Image, box *Face) {
	for i := range img.Celsius {
		x, y := float32(i%img.Width), float32(i/img.Width)
		beside := max(box.X-x, x-box.X-box.W) / box.W
		above := (box.Y - y) / box.H
		if max(beside, above) < 0.4 {
			continue
		}
		img.Celsius[i] = -30
		if x > box.X+box.W/2 {
			img.Celsius[i] = 150
		}
	}
}

// TestNoNumberReachesANetwork: XNNPACK swallows it on some processors and hands it on on others.
func TestNoNumberReachesANetwork(t *testing.T) {
	nan, endless := float32(math.NaN()), float32(math.Inf(1))
	values := []float32{0, nan, endless, -endless, 1e30, math.MaxFloat32, 1e6, -1e6, 4, -1}
	want := []float32{0, 0, 0, 0, 0, 0, mostBent, -mostBent, 4 / math.Sqrt2, -1 / 1.0307764}
	for n := range len(values) + 1 { // a picture's side is no multiple of anything
		got := make([]float32, len(values))
		bend(values[:n], got, 0, 1, mostBent)
		for i, got := range got {
			if i >= n && got != 0 || i < n && !(math.Abs(float64(got-want[i])) < 1e-3) {
				t.Errorf("of %d values, %v becomes %v, want %v", n, values[i], got, want[i])
			}
		}
	}
	bend(values, values, 0, 1, mostBent)
	if values[8] != want[8] {
		t.Errorf("in place 4 becomes %v", values[8])
	}
}

func TestOddPictures(t *testing.T) {
	d := newDetector(t)
	missing := float32(math.NaN())
	for _, test := range []struct {
		name string
		img  radiometry.Image
		ok   bool
	}{
		{"no pixels", radiometry.Image{}, false},
		{"too few pixels", radiometry.Image{Width: 120, Height: 160, Celsius: make([]float32, 100)}, false},
		{"one pixel", radiometry.Image{Width: 1, Height: 1, Celsius: []float32{20}}, false},
		{"flat", radiometry.Image{Width: 160, Height: 120, Celsius: make([]float32, 160*120)}, true},
		{"flat without a scale", radiometry.Image{Width: 160, Height: 120, Celsius: make([]float32, 160*120), Relative: true}, true},
		{"nothing measured", radiometry.Image{Width: 80, Height: 60, Celsius: slices.Repeat([]float32{missing}, 80*60)}, true},
		{"a strip", radiometry.Image{Width: 1280, Height: 2, Celsius: make([]float32, 2560)}, false},
		{"a thermopile array", radiometry.Image{Width: 32, Height: 24, Celsius: make([]float32, 32*24)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			faces, err := d.Detect(&test.img)
			if (err == nil) != test.ok {
				t.Errorf("error %v", err)
			}
			if len(faces) > 0 {
				t.Errorf("found %v", faces)
			}
		})
	}
}

func TestDetectDoesNotAllocate(t *testing.T) {
	d := newDetector(t)
	img := radiometry.Image{Width: 120, Height: 160, Celsius: make([]float32, 120*160)}
	allocations := testing.AllocsPerRun(20, func() {
		if _, err := d.Detect(&img); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations a frame", allocations)
	}
}

// sizes are a gate's first frame with a face in the sizes of common sensors.
func sizes(b *testing.B) map[string]*radiometry.Image {
	b.Helper()
	const recording = "fs-1204-816640-2021-03-31T22-06-52.000Z"
	img := &readFrames(b, recording, map[int][]label{30: nil})[0].img
	all := map[string]*radiometry.Image{}
	for name, factor := range map[string]float64{"160x120": 1, "320x240": 2, "640x512": 4.13, "1280x1024": 8.26} {
		all[name] = resampled(b, img, factor)
	}
	return all
}

// One core is what is quoted: taskset -c 0 go test -bench . ./screening/face
func BenchmarkDetect(b *testing.B) {
	d := newDetector(b)
	for name, img := range sizes(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Detect(img); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHaar is OpenCV's own face detector on the same pictures, for a ratio.
func BenchmarkHaar(b *testing.B) {
	const cascade = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"
	if _, err := os.Stat(cascade); err != nil {
		b.Skip("skipped, Debian's opencv-data is not installed")
	}
	haar := gocv.NewCascadeClassifier()
	defer haar.Close()
	if !haar.Load(cascade) {
		b.Fatal("can't load ", cascade)
	}
	for name, img := range sizes(b) {
		pixels := make([]byte, len(img.Celsius))
		for i, c := range grey(img, false).Celsius {
			pixels[i] = byte(c)
		}
		mat, err := gocv.NewMatFromBytes(img.Height, img.Width, gocv.MatTypeCV8UC1, pixels)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				haar.DetectMultiScale(mat)
			}
		})
		mat.Close()
	}
}

// TestPicturesOfManySizes finds faces on one picture after the other, each of another size, and the memory stays flat.
func TestPicturesOfManySizes(t *testing.T) {
	d, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	runtime.LockOSThread() // C has a pool of memory for each thread, and on a busy machine one thread after the other would fill its own
	defer runtime.UnlockOSThread()
	var after10 int
	for i := range 50 {
		img := radiometry.Image{Width: 160 + 16*(i%10), Height: 120 + 16*(i/2)}
		img.Celsius = make([]float32, img.Width*img.Height)
		if _, err := d.Detect(&img); err != nil {
			t.Fatal(err)
		}
		if i == 9 {
			after10 = resident(t)
		}
	}
	if grown := resident(t) - after10; len(d.passes) > maxPasses || grown > 60<<20 {
		t.Errorf("%d networks are kept; %d MiB more after 50 sizes than after 10", len(d.passes), grown>>20)
	}
}

// resident is the memory this process has, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

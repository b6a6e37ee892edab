package camera

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"thermogate/camera/radiometry"
	"thermogate/testdata"
)

// scene is a picture as a sensor delivers it: a warm middle, and noise.
func scene(width, height int, spread, noise float64) []uint16 {
	random := rand.New(rand.NewPCG(7, 8))
	counts := make([]uint16, width*height)
	for i := range counts {
		x, y := float64(i%width)/float64(width)-0.5, float64(i/width)/float64(height)-0.5
		counts[i] = uint16(29800 + spread*math.Exp(-8*(x*x+y*y)) + noise*random.NormFloat64())
	}
	return counts
}

// eightBits is a scene as a program for eyes renders it: the lowest count is 0, the highest 255.
func eightBits() []uint16 {
	counts := scene(80, 60, 1400, 12)
	low, high := counts[0], counts[0]
	for _, c := range counts {
		low, high = min(low, c), max(high, c)
	}
	for i, c := range counts {
		counts[i] = uint16(math.Round(255 * float64(c-low) / float64(high-low)))
	}
	return counts
}

func each(counts []uint16, change func(uint16) uint16) []uint16 {
	out := make([]uint16, len(counts))
	for i, c := range counts {
		out[i] = change(c)
	}
	return out
}

func TestImpostors(t *testing.T) {
	eight := eightBits()
	sensor := scene(80, 60, 1400, 12)
	for name, c := range map[string]struct {
		counts             []uint16
		stretched, swapped bool
	}{
		"times 257":                  {each(eight, func(c uint16) uint16 { return 257 * c }), true, false},
		"moved up 8 bits":            {each(eight, func(c uint16) uint16 { return c << 8 }), true, false},
		"times 64, from 4096 on":     {each(eight, func(c uint16) uint16 { return 4096 + 64*c }), true, false},
		"to 14 bits, rounded":        {each(eight, func(c uint16) uint16 { return uint16(math.Round(float64(c) * 16383 / 255)) }), true, false},
		"to 25 to 45 °C":             {each(eight, func(c uint16) uint16 { return 29815 + uint16(float64(c)*2000/255) }), true, false},
		"two levels":                 {[]uint16{0, 65535, 0, 65535}, true, false},
		"a sensor's":                 {sensor, false, false},
		"a sensor's, swapped":        {each(sensor, bits.ReverseBytes16), false, true},
		"quiet":                      {scene(80, 60, 100, 1), false, false},
		"quiet, swapped":             {each(scene(80, 60, 100, 1), bits.ReverseBytes16), false, true},
		"of 12 bits, moved up":       {each(eight, func(c uint16) uint16 { return 16 * (1000 + c) }), false, false},
		"of 12 bits, few levels":     {each(scene(80, 60, 300, 3), func(c uint16) uint16 { return (c - 28000) &^ 15 }), false, false},
		"tenths of a degree":         {each(eight, func(c uint16) uint16 { return 29000 + 10*c }), false, false},
		"a closed shutter":           {scene(80, 60, 0, 2), false, false},
		"always the same":            {make([]uint16, 100), false, false},
		"always the same, of 257":    {each(make([]uint16, 100), func(uint16) uint16 { return 257 * 117 }), false, false},
		"few levels, far apart":      {[]uint16{30000, 30100, 31000, 30400}, false, false},
		"noise, and nothing but":     {scene(80, 60, 0, 9000), false, false},
		"counts of a two-plane core": {each(scene(64, 48, 900, 5), func(c uint16) uint16 { return c - 10000 }), false, false},
	} {
		width := 80
		if len(c.counts) < 80 {
			width = 2
		}
		if got := stretched(c.counts); got != c.stretched && !c.swapped {
			t.Errorf("%s: stretched is %v", name, got)
		}
		if got := swapped(c.counts, width); got != c.swapped {
			t.Errorf("%s: swapped is %v", name, got)
		}
	}
}

// No picture of a real camera is taken for an impostor.
func TestRecordingsAreNoImpostors(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testdata.Shared(t, "recordings"), "*.tiff"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range paths {
		source := mustOpen(t, path, Options{})
		var frame Frame
		for n := 0; n < 2*firstLooks && source.Read(context.Background(), &frame) == nil; n++ {
			if stretched(frame.Counts) || swapped(frame.Counts, frame.Width) {
				t.Errorf("%s, frame %d", path, n)
			}
		}
	}
}

func TestImpostorsInAPipeline(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "swapped.raw")
	writeFile(t, path, encode(t, binary.BigEndian, scene(80, 60, 1400, 12)))
	for uri, want := range map[string]error{
		"gst:videotestsrc is-live=true pattern=ball ! video/x-raw,format=GRAY8,width=160,height=120 ! videoconvert ! video/x-raw,format=GRAY16_LE": errStretched,
		"gst:filesrc location=" + path + " ! rawvideoparse format=gray16-le width=80 height=60":                                                    errSwapped,
	} {
		if _, err := Open(context.Background(), uri, Options{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", uri, err, want)
		}
	}
}

// frames is a source of given pictures, one column wide.
type frames struct {
	Source
	info   Info
	counts [][]uint16
}

func (f *frames) Info() Info { return f.info }

func (f *frames) Read(_ context.Context, frame *Frame) error {
	if len(f.counts) == 0 {
		return io.EOF
	}
	frame.Width, frame.Height, frame.Counts = 1, len(f.counts[0]), f.counts[0]
	f.counts = f.counts[1:]
	return nil
}

func TestUnitsThatCannotBeTrue(t *testing.T) {
	room := []uint16{29500, 30500, 30500, 31000}
	dark := make([]uint16, 4)
	for _, c := range []struct {
		name, units string
		counts      [][]uint16
		want        string // in the error
		span        radiometry.Span
	}{
		{"right", "centikelvin", [][]uint16{room}, "", radiometry.Span{LowestCelsius: 21.85, MedianCelsius: 31.85, HighestCelsius: 36.85}},
		{"wrong", "kelvin64", [][]uint16{room}, "gate can't be true: by kelvin64", radiometry.Span{}},
		{"wrong, and what would be right", "kelvin64", [][]uint16{room, room}, "units centikelvin would fit (median 31.9 °C)", radiometry.Span{}},
		{"dark at first", "centikelvin", [][]uint16{dark, dark, dark, room}, "", radiometry.Span{LowestCelsius: 21.85, MedianCelsius: 31.85, HighestCelsius: 36.85}},
		{"raw", "counts", [][]uint16{dark}, "", radiometry.Span{}},
	} {
		var seen radiometry.Span
		source := Plausible(&frames{info: Info{Name: "gate", Units: c.units}, counts: c.counts}, func(s radiometry.Span) { seen = s })
		var frame Frame
		err := source.Read(context.Background(), &frame)
		if c.want == "" {
			if err != nil || math.Abs(seen.MedianCelsius-c.span.MedianCelsius) > 0.01 || math.Abs(seen.LowestCelsius-c.span.LowestCelsius) > 0.01 ||
				math.Abs(seen.HighestCelsius-c.span.HighestCelsius) > 0.01 {
				t.Errorf("%s: %v, %v", c.name, seen, err)
			}
			if err := source.Read(context.Background(), &frame); err != io.EOF {
				t.Errorf("%s: after the first picture that is true: %v", c.name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"thermogate/camera/v4l2"
	"thermogate/testdata"
)

// leptonRows are those of frame n of a Lepton with 9 frames a second.
func leptonRows(n int, status, tlinear, hundredths uint16) []uint16 {
	return testdata.LeptonTelemetry(uint32(600_000+n*1000/9), 590_000, status, tlinear, hundredths)
}

func leptonSince(n int) time.Duration {
	return time.Duration(10_000+n*1000/9) * time.Millisecond
}

// bosonRows are two rows of a Boson's telemetry, 60 frames a second.
func bosonRows(width, n int) []uint16 {
	words := make([]uint16, 2*width)
	words[0], words[28], words[38], words[47], words[48] = 2, 60, 3, 3098, 3091
	words[43], words[45] = uint16(1200+6*n), 600
	words[140], words[141] = 1, uint16(100*n)
	return words
}

func bosonSince(n int) time.Duration { return time.Duration(10_000+100*n) * time.Millisecond }

func encodeCounts(counts []uint16) []byte {
	out := make([]byte, 0, 2*len(counts))
	for _, c := range counts {
		out = binary.LittleEndian.AppendUint16(out, c)
	}
	return out
}

// numberedCounts are those of frame n, whose first pixel is its number.
func numberedCounts(n, width, height int) []uint16 {
	counts := make([]uint16, width*height)
	for i := range counts {
		counts[i] = uint16(29000 + (i*40503+n*257)%2000)
	}
	counts[0] = uint16(n)
	return counts
}

const shownFrames = 20

// layouts are the cameras that are known. show makes what they deliver of the counts of frame n.
var layouts = map[string]struct {
	formats       string
	width, height int // of the counts
	show          func(n int, counts []uint16) []uint16
	units         string
	since         func(n int) time.Duration // nil where there is no telemetry
}{
	"lepton 160":                 {formats: "UYVY:160x120;Y16 :160x120;GREY:160x120", width: 160, height: 120, units: "counts"},
	"lepton 160 with telemetry":  {formats: "UYVY:160x120;Y16 :160x120,160x122", width: 160, height: 120, show: leptonBelow, units: "centikelvin", since: leptonSince},
	"lepton 160, telemetry atop": {formats: "Y16 :160x120,160x122", width: 160, height: 120, show: leptonAbove, units: "decikelvin", since: leptonSince},
	"lepton 160, no TLinear":     {formats: "Y16 :160x120,160x122", width: 160, height: 120, show: leptonCounts, units: "counts", since: leptonSince},
	"lepton 80":                  {formats: "UYVY:80x60;Y16 :80x60", width: 80, height: 60, units: "counts"},
	"lepton 80 with telemetry":   {formats: "UYVY:80x60;Y16 :80x60,80x63", width: 80, height: 60, show: smallLepton, units: "centikelvin", since: leptonSince},
	"boson 320":                  {formats: "Y16 :320x256;YU12:640x512", width: 320, height: 256, units: "counts"},
	"boson 320 with telemetry":   {formats: "YU12:640x512;Y16 :320x256,320x258", width: 320, height: 256, show: bosonAbove(320), units: "counts", since: bosonSince},
	"boson 640":                  {formats: "Y16 :640x512", width: 640, height: 512, units: "counts"},
	"boson 640 with telemetry":   {formats: "Y16 :640x512,640x514", width: 640, height: 512, show: bosonAbove(640), units: "counts", since: bosonSince},
	"garbage below":              {formats: "Y16 :160x122", width: 160, height: 120, show: garbageBelow, units: "counts"},
	"garbage above":              {formats: "Y16 :640x514", width: 640, height: 512, show: garbageAbove, units: "counts"},
	"two planes":                 {formats: "YUYV:256x192,256x384", width: 256, height: 192, show: below(256 * 192), units: "kelvin64"},
	"two large planes":           {formats: "MJPG:640x480;YUYV:384x288,384x576", width: 384, height: 288, show: below(384 * 288), units: "kelvin64"},
	"two planes of 5:4":          {formats: "YUYV:640x1024", width: 640, height: 512, show: below(640 * 512), units: "kelvin64"},
	"two planes and two rows":    {formats: "YUYV:256x194,256x386", width: 256, height: 192, show: below(256 * 194), units: "kelvin64"},
	"two blocks of 196 rows":     {formats: "YUYV:256x192,256x392,256x400", width: 256, height: 192, show: above(256 * 200), units: "counts"},
	"four rows of calibration":   {formats: "YUYV:256x196", width: 256, height: 192, show: above(256 * 4), units: "counts"},
	"four long rows":             {formats: "YUYV:384x292", width: 384, height: 288, show: above(384 * 4), units: "counts"},
	"sizes that are not listed":  {formats: "YUYV:160x120;Y16 :160x120,160x122", width: 160, height: 120, show: leptonBelow, units: "centikelvin", since: leptonSince},
}

func leptonBelow(n int, counts []uint16) []uint16 {
	return slices.Concat(counts, leptonRows(n, 3<<4, 1, 1))
}
func leptonAbove(n int, counts []uint16) []uint16 {
	return slices.Concat(leptonRows(n, 3<<4, 1, 0), counts)
}
func leptonCounts(n int, counts []uint16) []uint16 {
	return slices.Concat(counts, leptonRows(n, 3<<4, 0, 0))
}
func smallLepton(n int, counts []uint16) []uint16 {
	return slices.Concat(counts, leptonRows(n, 3<<4, 1, 1)[:240])
}
func garbageBelow(_ int, counts []uint16) []uint16 {
	return slices.Concat(counts, slices.Repeat([]uint16{0xbeef}, 320))
}
func garbageAbove(_ int, counts []uint16) []uint16 {
	return slices.Concat(slices.Repeat([]uint16{0xbeef}, 2*640), counts)
}
func bosonAbove(width int) func(int, []uint16) []uint16 {
	return func(n int, counts []uint16) []uint16 { return slices.Concat(bosonRows(width, n), counts) }
}
func below(picture int) func(int, []uint16) []uint16 {
	return func(_ int, counts []uint16) []uint16 {
		return slices.Concat(slices.Repeat([]uint16{0x8040}, picture), counts)
	}
}
func above(rest int) func(int, []uint16) []uint16 {
	return func(_ int, counts []uint16) []uint16 {
		return slices.Concat(counts, slices.Repeat([]uint16{0x8040}, rest))
	}
}

func TestV4L2CamerasDeliverExactCountsInEveryLayout(t *testing.T) {
	for name, c := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var shown []byte
			for n := range shownFrames {
				counts := numberedCounts(n, c.width, c.height)
				if c.show != nil {
					counts = c.show(n, counts)
				}
				shown = append(shown, encodeCounts(counts)...)
			}
			plugged := testdata.Camera{Formats: c.formats, Frames: shown}
			if name == "sizes that are not listed" {
				plugged.Lists = "nothing"
			}
			if !testdata.WithCamera(t, plugged) {
				return
			}
			source := mustOpen(t, "v4l2://"+testdata.CameraDevice, Options{Orientation: Rotate180})
			if info := source.Info(); info.Units != c.units || info.Model != "a camera for tests" {
				t.Errorf("units %s, model %s", info.Units, info.Model)
			}
			var frame Frame
			for range shownFrames + 3 {
				if err := source.Read(context.Background(), &frame); err != nil {
					t.Fatal(err)
				}
				checkShown(t, &frame, c.width, c.height, c.since)
			}
		})
	}
}

// checkShown compares a frame with what the camera was given to show, to the count and the millisecond.
func checkShown(t *testing.T, frame *Frame, width, height int, since func(int) time.Duration) {
	t.Helper()
	if frame.Width != width || frame.Height != height || len(frame.Counts) != width*height {
		t.Fatalf("a frame of %dx%d pixels", frame.Width, frame.Height)
	}
	n := int(frame.Counts[len(frame.Counts)-1])
	want := numberedCounts(n, width, height)
	slices.Reverse(want)
	if n >= shownFrames || !slices.Equal(frame.Counts, want) {
		t.Fatalf("frame %d has other counts than the camera showed", n)
	}
	if since == nil {
		if frame.Telemetry != nil || frame.SinceFFC != -1 {
			t.Errorf("without telemetry it says %+v, %v", frame.Telemetry, frame.SinceFFC)
		}
		return
	}
	if frame.Telemetry == nil || frame.SinceFFC != since(n) || frame.Telemetry.Shutter != v4l2.ShutterOpen {
		t.Errorf("frame %d: %v since the shutter closed, want %v; %+v", n, frame.SinceFFC, since(n), frame.Telemetry)
	}
}

func TestAShutterThatIsClosedIsKnown(t *testing.T) {
	shown := encodeCounts(slices.Concat(numberedCounts(0, 160, 120), leptonRows(0, 2<<4, 1, 1)))
	if !testdata.WithCamera(t, testdata.Camera{Formats: "Y16 :160x120,160x122", Frames: shown}) {
		return
	}
	var frame Frame
	if err := mustOpen(t, "v4l2://"+testdata.CameraDevice, Options{}).Read(context.Background(), &frame); err != nil {
		t.Fatal(err)
	}
	if frame.SinceFFC != 0 || frame.Telemetry.Shutter != v4l2.ShutterClosed {
		t.Errorf("%v since the shutter closed, %+v", frame.SinceFFC, frame.Telemetry)
	}
}

func TestTheFirstPicturesMayComeWithoutTelemetry(t *testing.T) {
	shown := encodeCounts(garbageBelow(0, numberedCounts(0, 160, 120)))
	shown = append(shown, encodeCounts(leptonBelow(1, numberedCounts(1, 160, 120)))...)
	if !testdata.WithCamera(t, testdata.Camera{Formats: "Y16 :160x120,160x122", Frames: shown}) {
		return
	}
	source := mustOpen(t, "v4l2://"+testdata.CameraDevice, Options{})
	if got := source.Info().Units; got != "centikelvin" {
		t.Errorf("units are %s", got)
	}
}

func TestV4L2CamerasThatCanNotBeUsedSayWhy(t *testing.T) {
	pureThermal, webcam := "UYVY:160x120;Y16 :160x120,160x122", "MJPG:1280x720;YUYV:640x480"
	telemetry := encodeCounts(leptonBelow(0, numberedCounts(0, 160, 120)))
	for name, c := range map[string]struct {
		camera  testdata.Camera
		options Options
		want    []string
	}{
		"padding":      {testdata.Camera{Formats: pureThermal, Padding: 32}, Options{}, []string{"pads", "320 to 352", "gst:v4l2src device=/dev/full"}},
		"padded rows":  {testdata.Camera{Formats: "YUYV:256x384", Padding: 32}, Options{}, []string{"512 to 544", "format=YUY2,width=256,height=384"}},
		"busy":         {testdata.Camera{Formats: pureThermal, Busy: true}, Options{}, []string{"another program"}},
		"webcam":       {testdata.Camera{Formats: webcam}, Options{}, []string{"MJPG 1280x720; YUYV 640x480", "8-bit", "Y16"}},
		"wrong units":  {testdata.Camera{Formats: pureThermal, Frames: telemetry}, Options{Units: "kelvin64"}, []string{"kelvin64", "centikelvin", "telemetry"}},
		"right units":  {testdata.Camera{Formats: pureThermal, Frames: telemetry}, Options{Units: "centikelvin"}, nil},
		"set units":    {testdata.Camera{Formats: "YUYV:256x392", Frames: make([]byte, 2*256*392)}, Options{Units: "kelvin64"}, nil},
		"8-bit webcam": {testdata.Camera{Formats: "YUYV:640x480", Frames: make([]byte, 2*640*480)}, Options{EightBit: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !testdata.WithCamera(t, c.camera) {
				return
			}
			source, err := Open(context.Background(), "v4l2://"+testdata.CameraDevice, c.options)
			if err == nil {
				source.Close()
			}
			if (err == nil) != (c.want == nil) {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// Go interrupts its threads to take turns; the wait for a picture must survive that.
func TestSignalsDoNotEndTheStream(t *testing.T) {
	shown := encodeCounts(leptonBelow(0, numberedCounts(0, 160, 120)))
	if !testdata.WithCamera(t, testdata.Camera{Formats: "Y16 :160x120,160x122", Frames: shown}) {
		return
	}
	source := mustOpen(t, "v4l2://"+testdata.CameraDevice, Options{})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for tick := time.Tick(time.Millisecond); ctx.Err() == nil; <-tick {
			unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
		}
	}()
	var frame Frame
	for range 30 {
		if err := source.Read(ctx, &frame); err != nil {
			t.Fatal(err)
		}
	}
}

// A live camera is opened again when what it says of its counts changes: all that was made for the old ones is void.
func TestUnitsThatChangeEndTheStream(t *testing.T) {
	var shown []byte
	for n := range 20 {
		show := leptonBelow
		if n >= 10 {
			show = leptonCounts
		}
		shown = append(shown, encodeCounts(show(n, numberedCounts(n, 160, 120)))...)
	}
	if !testdata.WithCamera(t, testdata.Camera{Formats: "Y16 :160x122", Frames: shown}) {
		return
	}
	source := mustOpen(t, "v4l2://"+testdata.CameraDevice, Options{})
	var frame Frame
	for range 30 {
		if err := source.Read(context.Background(), &frame); err != nil {
			if !strings.Contains(err.Error(), "centikelvin") || !strings.Contains(err.Error(), "counts") {
				t.Error(err)
			}
			return
		}
	}
	t.Error("nobody noticed")
}

// The recordings with a Lepton's telemetry below each picture give the same frames as without, and so the same verdicts;
// what the sidecar says of the shutter, the telemetry says too.
func TestRecordingsWithTelemetryRows(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testdata.Shared(t, "recordings"), "*.tiff"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	if testing.Short() {
		paths = paths[:5]
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			plain, err := readAll(mustOpen(t, path, Options{Orientation: Normal}))
			if err != io.EOF {
				t.Fatal(err)
			}
			width, height := plain[0].Width, plain[0].Height
			with := writeStack(t, stack{frames: len(plain), width: width, height: height + 2, count: func(n, i int) uint16 {
				if i < width*height {
					return plain[n].Counts[i]
				}
				return leptonSaying(plain[n].SinceFFC)[i-width*height]
			}})
			told, err := readAll(mustOpen(t, with, Options{}))
			if err != io.EOF || len(told) != len(plain) {
				t.Fatalf("%d frames of %d, %v", len(told), len(plain), err)
			}
			for n := range plain {
				if told[n].Width != plain[n].Width || told[n].Height != plain[n].Height || !slices.Equal(told[n].Counts, plain[n].Counts) {
					t.Fatalf("frame %d differs", n)
				}
				if want := plain[n].SinceFFC.Truncate(time.Millisecond); told[n].SinceFFC != want && plain[n].SinceFFC >= 0 {
					t.Fatalf("frame %d: %v since the shutter closed, want %v", n, told[n].SinceFFC, want)
				}
			}
		})
	}
}

// leptonSaying is the telemetry of a Lepton that closed its shutter so long ago, or never.
func leptonSaying(since time.Duration) []uint16 {
	const uptime = 3_600_000
	if since < 0 {
		return testdata.LeptonTelemetry(uptime, 0, 0, 1, 1)
	}
	return testdata.LeptonTelemetry(uptime, uint32(uptime-since.Milliseconds()), 3<<4, 1, 1)
}

// The cases that are kept beside the project: another made-up device, which lists neither formats nor sizes.
func TestSharedCameraCases(t *testing.T) {
	folder := testdata.Shared(t, "cases", "camera")
	t.Run("recording", func(t *testing.T) {
		with, err := readAll(mustOpen(t, filepath.Join(folder, "lepton_telemetry_160x122.tiff"), Options{}))
		without, err2 := readAll(mustOpen(t, filepath.Join(folder, "orig_8.77fps.tiff"), Options{}))
		if err != io.EOF || err2 != io.EOF || len(without) < 50 {
			t.Fatal(len(without), err, err2)
		}
		for n := range without { // the other one starts over after its last
			if !slices.Equal(with[n].Counts, without[n].Counts) {
				t.Fatalf("frame %d differs", n)
			}
		}
	})
	raw, err := os.ReadFile(filepath.Join(folder, "lepton_160x122_60frames.y16"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("device", func(t *testing.T) {
		if !withSharedCamera(t, folder) {
			return
		}
		source := mustOpen(t, "v4l2://"+testdata.CameraDevice, Options{})
		if got := source.Info().Units; got != "centikelvin" {
			t.Errorf("units are %s", got)
		}
		var frame Frame
		for range 10 {
			if err := source.Read(context.Background(), &frame); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(raw, encodeCounts(frame.Counts)) || frame.Height != 120 || frame.SinceFFC < 308*time.Second {
				t.Fatalf("frame %d, %d rows, %v since the shutter closed: not what the device showed", frame.Index, frame.Height, frame.SinceFFC)
			}
		}
	})
}

func withSharedCamera(t *testing.T, folder string) bool {
	return testdata.Again(t, func() []string {
		return []string{"LD_PRELOAD=" + testdata.Library(t, filepath.Join(folder, "fakev4l.c")), "FAKEV4L_PATH=" + testdata.CameraDevice,
			"FAKEV4L_FORMATS=YUYV:160x120;Y16 :160x120,160x122",
			"FAKEV4L_DATA=Y16 :160x122=" + filepath.Join(folder, "lepton_160x122_60frames.y16")}
	})
}

package v4l2

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/testdata"
)

func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		want Layout
	}{
		{Mode{"Y16 ", Size{160, 120}}, Layout{Size: Size{160, 120}, Camera: "a FLIR Lepton"}},
		{Mode{"Y16 ", Size{160, 122}}, Layout{Size: Size{160, 120}, Camera: "a FLIR Lepton", Telemetry: true}},
		{Mode{"Y16 ", Size{80, 60}}, Layout{Size: Size{80, 60}, Camera: "a FLIR Lepton"}},
		{Mode{"Y16 ", Size{80, 63}}, Layout{Size: Size{80, 60}, Camera: "a FLIR Lepton", Telemetry: true}},
		{Mode{"Y16 ", Size{320, 258}}, Layout{Size: Size{320, 256}, Top: 2, Camera: "a FLIR Boson", Telemetry: true}},
		{Mode{"Y16 ", Size{640, 514}}, Layout{Size: Size{640, 512}, Top: 2, Camera: "a FLIR Boson", Telemetry: true}},
		{Mode{"Y16 ", Size{640, 480}}, Layout{Size: Size{640, 480}}},
		{Mode{"YUYV", Size{256, 384}}, Layout{Size: Size{256, 192}, Top: 192, Units: "kelvin64", Camera: "a two-plane camera"}},
		{Mode{"YUYV", Size{384, 576}}, Layout{Size: Size{384, 288}, Top: 288, Units: "kelvin64", Camera: "a two-plane camera"}},
		{Mode{"YUYV", Size{640, 1024}}, Layout{Size: Size{640, 512}, Top: 512, Units: "kelvin64", Camera: "a two-plane camera"}},
		{Mode{"YUYV", Size{256, 386}}, Layout{Size: Size{256, 192}, Top: 194, Units: "kelvin64", Camera: "a two-plane camera"}},
		{Mode{"YUYV", Size{256, 392}}, Layout{Size: Size{256, 192}, Calibration: true, Camera: "a HIKMICRO Mini or its like"}},
		{Mode{"YUYV", Size{256, 196}}, Layout{Size: Size{256, 192}, Calibration: true, Camera: "an Xtherm T2S+, HT-301 or their like"}},
		{Mode{"YUYV", Size{384, 292}}, Layout{Size: Size{384, 288}, Calibration: true, Camera: "an Xtherm T2S+, HT-301 or their like"}},
	} {
		if got, ok := LayoutOf(c.mode); !ok || got != c.want {
			t.Errorf("%v: %+v, %v", c.mode, got, ok)
		}
	}
	for _, mode := range []Mode{
		{"YUYV", Size{640, 480}}, {"YUYV", Size{1280, 720}}, {"YUYV", Size{256, 192}}, {"YUYV", Size{480, 640}},
		{"YUYV", Size{1200, 1920}}, {"YUYV", Size{800, 1280}}, {"MJPG", Size{256, 384}}, {"GREY", Size{160, 120}}, {"UYVY", Size{160, 120}},
	} {
		if got, ok := LayoutOf(mode); ok {
			t.Errorf("%v is a picture for eyes, and taken for %+v", mode, got)
		}
	}
}

func TestTheBestMode(t *testing.T) {
	for _, c := range []struct{ offers, want string }{
		{"UYVY 160x120; Y16 160x120, 160x122; GREY 160x120", "Y16 160x122"},
		{"YUYV 256x192, 256x384", "YUYV 256x384"},
		{"YUYV 256x384; Y16 256x192", "Y16 256x192"},
		{"Y16 640x512; YUYV 640x1024", "Y16 640x512"},
		{"Y16 320x240, 640x480", "Y16 640x480"},
		{"YUYV 256x196, 256x392, 256x384", "YUYV 256x384"},
		{"MJPG 1920x1080; YUYV 640x480, 1280x720", ""},
	} {
		var device Device
		for offer := range strings.SplitSeq(c.offers, "; ") {
			code, sizes, _ := strings.Cut(offer, " ")
			format := Format{Code: (code + "    ")[:4]}
			for text := range strings.SplitSeq(sizes, ", ") {
				format.Sizes = append(format.Sizes, parseSize(t, text))
			}
			device.Formats = append(device.Formats, format)
		}
		if device.Offers() != c.offers {
			t.Errorf("%q are told as %q", c.offers, device.Offers())
		}
		mode, _, ok := device.Best()
		if ok != (c.want != "") || ok && mode.String() != c.want {
			t.Errorf("of %s: %v, %v", c.offers, mode, ok)
		}
	}
}

func parseSize(t *testing.T, text string) (size Size) {
	t.Helper()
	for _, s := range commonModes() {
		if s.Size.String() == text {
			return s.Size
		}
	}
	switch text {
	case "1920x1080":
		return Size{1920, 1080}
	case "1280x720":
		return Size{1280, 720}
	}
	t.Fatalf("no size %s", text)
	return size
}

// boson returns the telemetry of a Boson with 320 pixels a row.
func boson(status uint16, uptime, frame, atFFC uint32) []uint16 {
	words := make([]uint16, 2*320)
	words[bosonRevision], words[bosonRate], words[bosonStatus] = 2, 60, status
	words[bosonSensor], words[bosonSensorAtFFC] = 3098, 3091
	for word, value := range map[int]uint32{bosonUptime: uptime, bosonFrame: frame, bosonFrameAtFFC: atFFC} {
		words[word], words[word+1] = uint16(value>>16), uint16(value)
	}
	return words
}

func TestTelemetry(t *testing.T) {
	const ms = time.Millisecond
	lepton160, lepton80, boson320 := Size{160, 120}, Size{80, 60}, Size{320, 256}
	for name, c := range map[string]struct {
		size  Size
		words []uint16
		want  Telemetry
	}{
		"lepton":           {lepton160, testdata.LeptonTelemetry(600_123, 292_053, 3<<4, 1, 1), Telemetry{600_123 * ms, 308_070 * ms, ShutterOpen, 32, "centikelvin"}},
		"tenths":           {lepton160, testdata.LeptonTelemetry(600_123, 292_053, 3<<4, 1, 0), Telemetry{600_123 * ms, 308_070 * ms, ShutterOpen, 32, "decikelvin"}},
		"no TLinear":       {lepton160, testdata.LeptonTelemetry(600_123, 292_053, 3<<4, 0, 1), Telemetry{600_123 * ms, 308_070 * ms, ShutterOpen, 32, "counts"}},
		"gain control":     {lepton160, testdata.LeptonTelemetry(600_123, 292_053, 3<<4|1<<12, 1, 1), Telemetry{600_123 * ms, 308_070 * ms, ShutterOpen, 32, "counts"}},
		"about to close":   {lepton160, testdata.LeptonTelemetry(300_000, 120_000, 1<<4|1<<3, 1, 1), Telemetry{300_000 * ms, 180_000 * ms, ShutterCloses, 32, "centikelvin"}},
		"closed":           {lepton160, testdata.LeptonTelemetry(300_500, 120_000, 2<<4, 1, 1), Telemetry{300_500 * ms, 0, ShutterClosed, 32, "centikelvin"}},
		"never closed":     {lepton160, testdata.LeptonTelemetry(2_000, 0, 0, 1, 1), Telemetry{2_000 * ms, -1, ShutterOpen, 32, "centikelvin"}},
		"after 49 days":    {lepton160, testdata.LeptonTelemetry(500, 1<<32-500, 3<<4, 1, 1), Telemetry{500 * ms, 1_000 * ms, ShutterOpen, 32, "centikelvin"}},
		"small lepton":     {lepton80, testdata.LeptonTelemetry(600_123, 292_053, 3<<4, 1, 1)[:3*leptonRow], Telemetry{600_123 * ms, 308_070 * ms, ShutterOpen, 32, "centikelvin"}},
		"boson":            {boson320, boson(3, 70_000, 100_000, 99_400), Telemetry{70_000 * ms, 10_000 * ms, ShutterOpen, 36.65, ""}},
		"boson closed":     {boson320, boson(2, 70_001, 100_000, 99_400), Telemetry{70_001 * ms, 0, ShutterClosed, 36.65, ""}},
		"boson about to":   {boson320, boson(1, 70_001, 100_000, 99_400), Telemetry{70_001 * ms, 10_000 * ms, ShutterCloses, 36.65, ""}},
		"boson never":      {boson320, boson(0, 2_000, 120, 0), Telemetry{2_000 * ms, -1, ShutterOpen, 36.65, ""}},
		"boson says never": {boson320, boson(0, 70_000, 100_000, 99_400), Telemetry{70_000 * ms, 10_000 * ms, ShutterOpen, 36.65, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			picture := make([]uint16, c.size.Width*c.size.Height)
			for i := range picture {
				picture[i] = 29500 + uint16(i%1000)
			}
			rows := len(c.words) / c.size.Width
			for place, p := range map[Rows][]uint16{{Below: rows}: slices.Concat(picture, c.words), {Above: rows}: slices.Concat(c.words, picture)} {
				got, where, ok := FindTelemetry(p, c.size.Width, c.size.Height+rows)
				got.SensorCelsius = float64(int(got.SensorCelsius*100+0.5)) / 100
				if !ok || where != place || got != c.want {
					t.Errorf("%+v: %+v at %+v, %v", place, got, where, ok)
				}
			}
			if got, where, ok := FindTelemetry(picture, c.size.Width, c.size.Height); ok {
				t.Errorf("a picture without telemetry has %+v at %+v", got, where)
			}
		})
	}
}

// A picture that only has the size of one with telemetry keeps all its rows.
func TestPicturesAreNotTakenForTelemetry(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, value := range map[string]func(i int) uint16{
		"room":        func(i int) uint16 { return 29500 + uint16(i%700) },
		"black":       func(int) uint16 { return 0 },
		"white":       func(int) uint16 { return 65535 },
		"14 bits":     func(i int) uint16 { return uint16(random.IntN(1 << 14)) },
		"noise":       func(int) uint16 { return uint16(random.IntN(1 << 16)) },
		"few counts":  func(int) uint16 { return uint16(random.IntN(60)) },
		"tenth kelvs": func(int) uint16 { return 2900 + uint16(random.IntN(300)) },
		"ramp":        func(i int) uint16 { return uint16(i) },
	} {
		for _, size := range []Size{{160, 122}, {80, 63}, {320, 258}, {640, 514}} {
			for range 20 {
				counts := make([]uint16, size.Width*size.Height)
				for i := range counts {
					counts[i] = value(i)
				}
				if got, where, ok := FindTelemetry(counts, size.Width, size.Height); ok {
					t.Fatalf("%s at %v: %+v at %+v", name, size, got, where)
				}
			}
		}
	}
}

func FuzzTelemetry(f *testing.F) {
	f.Add([]byte("telemetry"), uint8(0))
	f.Fuzz(func(t *testing.T, seed []byte, which uint8) {
		size := []Size{{160, 122}, {80, 63}, {320, 258}, {640, 514}}[which%4]
		counts := make([]uint16, size.Width*size.Height)
		for i := range counts {
			if len(seed) > 1 {
				counts[i] = uint16(seed[2*i%len(seed)]) | uint16(seed[(2*i+1)%len(seed)])<<8
			}
		}
		if got, _, ok := FindTelemetry(counts, size.Width, size.Height); ok && (got.SinceFFC < -1 || got.Uptime < 0) {
			t.Errorf("%+v", got)
		}
	})
}

func TestQuery(t *testing.T) {
	pureThermal := "UYVY:160x120;Y16 :160x120,160x122;GREY:160x120"
	for name, c := range map[string]struct {
		camera testdata.Camera
		want   []Format
	}{
		"sizes": {testdata.Camera{Formats: pureThermal},
			[]Format{{"UYVY", []Size{{160, 120}}}, {"Y16 ", []Size{{160, 120}, {160, 122}}}, {"GREY", []Size{{160, 120}}}}},
		"range": {testdata.Camera{Formats: "Y16 :320x258,160x120,640x514", Lists: "range"}, []Format{{"Y16 ", []Size{{320, 258}}}}},
		"nothing": {testdata.Camera{Formats: pureThermal, Lists: "nothing"},
			[]Format{{"Y16 ", []Size{{160, 122}, {160, 120}}}, {"UYVY", []Size{{160, 120}}}}},
		"busy": {testdata.Camera{Formats: "Y16 :160x120,160x122", Busy: true},
			[]Format{{"Y16 ", []Size{{160, 120}, {160, 122}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.camera.Name = "PureThermal (fw:v1.3.0)"
			if !testdata.WithCamera(t, c.camera) {
				return
			}
			got := Query(testdata.CameraDevice)
			want := Device{Path: testdata.CameraDevice, Name: c.camera.Name, Formats: c.want}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestQueryOfWhatIsNoCamera(t *testing.T) {
	for path, want := range map[string]string{"/dev/null": "no video device", "/dev/nix": "plugged in", t.TempDir(): "directory"} {
		if device := Query(path); device.Err == nil || !strings.Contains(device.Err.Error(), want) {
			t.Errorf("%s: %v", path, device.Err)
		}
	}
}

func TestRowBytes(t *testing.T) {
	if !testdata.WithCamera(t, testdata.Camera{Formats: "Y16 :160x120,160x122", Padding: 32}) {
		return
	}
	if got, err := RowBytes(testdata.CameraDevice, Mode{"Y16 ", Size{160, 122}}); got != 352 || err != nil {
		t.Errorf("%d bytes, %v", got, err)
	}
	if _, err := RowBytes(testdata.CameraDevice, Mode{"Y16 ", Size{640, 512}}); err == nil || !strings.Contains(err.Error(), "160x122") {
		t.Errorf("a size it does not have: %v", err)
	}
}

func TestUSBID(t *testing.T) {
	usb := t.TempDir()
	node := filepath.Join(usb, "1-1:1.1", "video4linux", "video0")
	if err := os.MkdirAll(node, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"idVendor": "1e4e\n", "idProduct": "0100\n"} {
		if err := os.WriteFile(filepath.Join(usb, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../..", filepath.Join(node, "device")); err != nil {
		t.Fatal(err)
	}
	if got := usbIDOf(node); got != "1e4e:0100" {
		t.Errorf("%q", got)
	}
	if got := (Device{USB: "1e4e:0100"}).KnownAs(); got != "a FLIR Lepton on a PureThermal board" {
		t.Errorf("known as %q", got)
	}
}

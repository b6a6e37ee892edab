package testdata

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// CameraDevice is where WithCamera plugs the camera in: a device that every machine has.
const CameraDevice = "/dev/full"

// Camera is a made-up video device. camera/device.c says what it can do.
type Camera struct {
	Name    string
	Formats string // such as "Y16 :160x120,160x122;YUYV:160x120"
	Lists   string // "sizes" where empty, "range" or "nothing"
	Frames  []byte // pictures in the mode that is chosen, played over and over
	Padding int    // bytes behind each row
	Rate    int    // frames a second; 30 where 0
	Busy    bool   // another program streams from it
	Hangs   string // the call that never returns: "open", "list" or "stream"
}

// WithCamera runs the test once more, in a process of its own in which the camera is plugged in at CameraDevice. It reports
// whether this is that process; in the other one the test is over.
func WithCamera(t *testing.T, c Camera) bool {
	t.Helper()
	return Again(t, func() []string { return c.Environment(t) })
}

// Again runs the test once more, in a process of its own with more environment. It reports whether this is that process.
func Again(t *testing.T, environment func() []string) bool {
	t.Helper()
	const again = "THERMOGATE_TEST_AGAIN"
	if os.Getenv(again) != "" {
		return true
	}
	command := exec.Command(os.Args[0], "-test.run="+pattern(t.Name()), "-test.v")
	command.Env = slices.Concat(os.Environ(), environment(), []string{again + "=1"})
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("once more: %v\n%s", err, out)
	} else if !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("once more, and it did not run:\n%s", out)
	}
	return false
}

// pattern selects one test, or one of its parts.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	return strings.Join(parts, "/")
}

// Environment is what a process needs to find the camera plugged in at CameraDevice.
func (c Camera) Environment(t testing.TB) []string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	library := Library(t, filepath.Join(filepath.Dir(self), "camera", "device.c"))
	frames := filepath.Join(t.TempDir(), "frames")
	if err := os.WriteFile(frames, c.Frames, 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{"LD_PRELOAD=" + library, "CAMERA_DEVICE=" + CameraDevice, "CAMERA_FORMATS=" + c.Formats,
		"CAMERA_FRAMES=" + frames, "CAMERA_PADDING=" + strconv.Itoa(c.Padding)}
	for name, value := range map[string]string{"CAMERA_NAME": c.Name, "CAMERA_LISTS": c.Lists, "CAMERA_HANGS": c.Hangs} {
		if value != "" {
			environment = append(environment, name+"="+value)
		}
	}
	if c.Rate > 0 {
		environment = append(environment, "CAMERA_RATE="+strconv.Itoa(c.Rate))
	}
	if c.Busy {
		environment = append(environment, "CAMERA_BUSY=1")
	}
	return environment
}

// Library compiles a C source to a library that can be loaded into a process.
func Library(t testing.TB, source string) string {
	t.Helper()
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc")
	}
	library := filepath.Join(t.TempDir(), "library.so")
	if out, err := exec.Command(compiler, "-O1", "-w", "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return library
}

// LeptonTelemetry is a Lepton's telemetry in four packets of 80 words: how long it has been on and had been when its
// shutter last closed in milliseconds, the bits of its status, and whether (0 or 1) it computes temperatures, and in
// hundredths. Its sensor has 32 °C.
func LeptonTelemetry(uptime, atFFC uint32, status, tlinear, hundredths uint16) []uint16 {
	words := make([]uint16, 4*80)
	words[0], words[3] = 14, status
	words[1], words[2] = uint16(uptime), uint16(uptime>>16)
	words[24], words[26], words[29] = 30515, 30300, 30500
	words[30], words[31] = uint16(atFFC), uint16(atFFC>>16)
	words[36], words[37] = 59, 79
	words[2*80+48], words[2*80+49] = tlinear, hundredths
	return words
}

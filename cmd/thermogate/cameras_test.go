package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/cmd/internal/program"
	"thermogate/testdata"
)

// simulated is what the sensor of the demo sees in so long, in pictures of a size; shown makes of each what the camera
// delivers.
func simulated(t *testing.T, width, height int, length time.Duration, shown func(frame *camera.Frame) []uint16) []byte {
	t.Helper()
	scenario := simulator.Demo()
	scenario.Camera.Width, scenario.Camera.Height = width, height
	source, err := simulator.New(scenario, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	var frame camera.Frame
	for frame.Captured.Sub(simulator.Epoch) < length {
		if err := source.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
		for _, count := range shown(&frame) {
			out = binary.LittleEndian.AppendUint16(out, count)
		}
	}
	return out
}

// What a user does who has never seen the camera: list it, run with what was printed.
func TestFromCamerasToTheFirstVerdictInTwoCommands(t *testing.T) {
	pureThermal := func(frame *camera.Frame) []uint16 {
		uptime := uint32(600_000 + frame.Captured.Sub(simulator.Epoch).Milliseconds())
		return slices.Concat(frame.Counts, testdata.LeptonTelemetry(uptime, uptime-uint32(frame.SinceFFC.Milliseconds()), 3<<4, 1, 1))
	}
	twoPlanes := func(frame *camera.Frame) []uint16 {
		planes := slices.Repeat([]uint16{0x8040}, 2*len(frame.Counts))
		for i, centikelvin := range frame.Counts {
			planes[len(frame.Counts)+i] = uint16(int(centikelvin) * 64 / 100)
		}
		return planes
	}
	for name, c := range map[string]struct {
		camera        testdata.Camera
		width, height int
		shown         func(*camera.Frame) []uint16
		says          string
	}{
		"PureThermal": {testdata.Camera{Name: "PureThermal (fw:v1.3.0)", Formats: "UYVY:160x120;Y16 :160x120,160x122"}, 160, 120, pureThermal,
			"Y16 160x122 it delivers 160×120 pixels in centikelvin"},
		"an unknown two-plane camera": {testdata.Camera{Formats: "YUYV:192x144,192x288"}, 192, 144, twoPlanes,
			"YUYV 192x288 it delivers 192×144 pixels in kelvin64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.camera.Rate = 9
			if os.Getenv("CAMERA_DEVICE") == "" {
				c.camera.Frames = simulated(t, c.width, c.height, 40*time.Second, c.shown)
			}
			if !testdata.WithCamera(t, c.camera) {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // of a machine that does much else
			defer cancel()
			printed, err := thermogate(ctx, "cameras", testdata.CameraDevice)
			if err != nil || !strings.Contains(printed, c.says) {
				t.Fatalf("%s%v", printed, err)
			}
			file := filepath.Join(t.TempDir(), "gate.yaml")
			broker := testdata.FreeAddress(t)
			config := fmt.Sprintf("%s# The ports of a test, and its own folder:\nsite: demo\ngate: gate-1\nhttp: {listen: %q}\nbroker: {listen: %q}\ndata_dir: %q\n",
				printed, testdata.FreeAddress(t), broker, t.TempDir())
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			running, stop := context.WithCancel(ctx)
			go func() {
				_, err := thermogate(running, "run", "-c", file)
				ended <- err
			}()
			if e := firstEvent(t, ctx, broker); e.Data.SkinCelsius == nil || e.Data.Camera == "" {
				t.Errorf("event %+v", e)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// thermogate runs a command and returns what it prints.
func thermogate(ctx context.Context, arguments ...string) (string, error) {
	command := newRootCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetErr(io.Discard)
	command.SetArgs(arguments)
	err := command.ExecuteContext(ctx)
	return out.String(), err
}

func TestCamerasWhoseDriversHang(t *testing.T) {
	for _, call := range []string{"open", "list", "stream"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			if !testdata.WithCamera(t, testdata.Camera{Formats: "Y16 :160x120", Hangs: call}) {
				return
			}
			printed, err := thermogate(t.Context(), "cameras", testdata.CameraDevice)
			if err != nil || !strings.Contains(printed, "PROBLEM: its driver hangs; unplug the camera") {
				t.Errorf("%s%v", printed, err)
			}
		})
	}
}

func TestCamerasPrintsNothingThatATerminalObeys(t *testing.T) {
	if !testdata.WithCamera(t, testdata.Camera{Name: "one\rtwo", Formats: "Y1\r6:160x120;\x1b]0_:160x120;Y16 :160x120"}) {
		return
	}
	printed, err := thermogate(t.Context(), "cameras", testdata.CameraDevice)
	if err != nil || !strings.Contains(printed, "#   Y1?6 160x120\n") || strings.ContainsAny(printed, "\r\x1b") {
		t.Errorf("%q %v", printed, err)
	}
}

func TestCamerasTakesDevices(t *testing.T) {
	printed, err := thermogate(t.Context(), "cameras", "gst:rtspsrc location=rtsp://me:S3cr3t@192.0.2.1/")
	if !errors.As(err, &program.UsageError{}) || printed != "" || strings.Contains(err.Error(), "S3cr3t") {
		t.Errorf("%s%v", printed, err)
	}
}

func TestCamerasAsJSON(t *testing.T) {
	if !testdata.WithCamera(t, testdata.Camera{Name: "Integrated\rWebcam\x85", Formats: "MJPG:1280x720;YUYV:640x480"}) {
		return
	}
	printed, err := thermogate(t.Context(), "cameras", "--json", testdata.CameraDevice, "/dev/nix")
	if err != nil {
		t.Fatal(err)
	}
	var got []foundCamera
	if err := json.Unmarshal([]byte(printed), &got); err != nil || len(got) != 2 {
		t.Fatalf("%v in %s", err, printed)
	}
	if webcam := got[0]; webcam.Config != "" || webcam.Mode != "" || !strings.Contains(webcam.Problem, "for eyes only") ||
		webcam.Name != "Integrated?Webcam\ufffd" || fmt.Sprint(webcam.Formats) != "[{MJPG [1280x720]} {YUYV [640x480]}]" {
		t.Errorf("%+v", webcam)
	}
	if missing := got[1]; !strings.Contains(missing.Problem, "plugged in") {
		t.Errorf("%+v", missing)
	}
}

func TestCamerasPrintsOneConfig(t *testing.T) {
	var out bytes.Buffer
	printCameras(&out, []foundCamera{
		{URI: "v4l2:///dev/video0", Name: "Webcam", Formats: []foundFormat{{"YUYV", []string{"640x480"}}}, Problem: onlyPictures},
		{URI: "v4l2:///dev/video1", Problem: "another program uses it", Config: "camera:\n  uri: one\n"},
		{URI: "v4l2:///dev/video2", Width: 160, Config: "camera:\n  uri: two\n"},
	})
	var config []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "#") && line != "\n" {
			config = append(config, line)
		}
	}
	if got := strings.Join(config, ""); got != "camera:\n  uri: two\n" {
		t.Errorf("%s", out.String())
	}
	if !strings.Contains(out.String(), "#   uri: one\n") || !strings.Contains(out.String(), "PROBLEM: it delivers pictures for eyes only") {
		t.Errorf("%s", out.String())
	}
}

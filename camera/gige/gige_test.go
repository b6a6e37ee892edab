package gige_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"

	"thermogate/camera"
	"thermogate/camera/gige"
)

// alone is set in the process that has a network of its own.
const alone = "THERMOGATE_ALONE"

// onLoopback runs a test in a network with loopback alone: aravis finds cameras there, and this machine's network hears
// nothing of it.
func onLoopback(t *testing.T, test func(t *testing.T)) {
	if os.Getenv(alone) != "" {
		raiseLoopback(t)
		test(t)
		return
	}
	for _, tool := range []string{"arv-tool-0.8", "arv-fake-gv-camera-0.8", "gst-launch-1.0"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool + " (Debian: aravis-tools, aravis-tools-cli, libaravis-0.8-0, gstreamer1.0-tools)")
		}
	}
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), alone+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Skipf("needs a network of its own: %v", err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, output.String())
	}
}

func raiseLoopback(t *testing.T) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	loopback.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		t.Fatal(err)
	}
}

// startFake runs aravis' own camera, which speaks GigE Vision, with the description of its features, its own where empty.
func startFake(t *testing.T, description string) {
	t.Helper()
	arguments := []string{"-i", "127.0.0.1", "-s", "TG1"}
	if description != "" {
		path := filepath.Join(t.TempDir(), "genicam.xml")
		if err := os.WriteFile(path, []byte(description), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "-g", path)
	}
	fake := exec.Command("arv-fake-gv-camera-0.8", arguments...)
	if err := fake.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fake.Process.Kill(); fake.Wait() })
}

// theOnly waits until exactly one camera is found.
func theOnly(t *testing.T) gige.Camera {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		cameras, err := gige.List(context.Background())
		if err == nil && len(cameras) == 1 && cameras[0].Serial != "" {
			return cameras[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("found are %+v, %v", cameras, err)
		}
	}
}

func ask(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("arv-tool-0.8", append([]string{"-a", "127.0.0.1"}, arguments...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}

// infrared adds to the fake's features the one by which FLIR's A-series is told what to deliver.
func infrared(t *testing.T) string {
	t.Helper()
	own := ask(t, "genicam")
	own = own[strings.Index(own, "<"):]
	own = strings.Replace(own, "<pFeature>PixelFormat</pFeature>", "<pFeature>PixelFormat</pFeature><pFeature>IRFormat</pFeature>", 1)
	return strings.Replace(own, "</RegisterDescription>", `<Enumeration Name="IRFormat" NameSpace="Custom">
		<EnumEntry Name="Radiometric"><Value>0</Value></EnumEntry>
		<EnumEntry Name="TemperatureLinear100mK"><Value>1</Value></EnumEntry>
		<EnumEntry Name="TemperatureLinear10mK"><Value>2</Value></EnumEntry>
		<pValue>IRFormatReg</pValue>
	</Enumeration>
	<IntReg Name="IRFormatReg"><Address>0x8000</Address><Length>4</Length><AccessMode>RW</AccessMode><pPort>Device</pPort>
		<Sign>Unsigned</Sign><Endianess>BigEndian</Endianess></IntReg>
	</RegisterDescription>`, 1)
}

// TestCameraOverGigEVision goes from what List says to pictures, over the real protocol.
func TestCameraOverGigEVision(t *testing.T) {
	onLoopback(t, func(t *testing.T) {
		t.Run("counts", func(t *testing.T) {
			startFake(t, "")
			c := theOnly(t)
			if c.Name != "Aravis Fake" || c.Serial != "TG1" || c.Address != "127.0.0.1" || c.Units != "counts" || c.Problem != "" {
				t.Errorf("found is %+v", c)
			}
			look(t, c)
		})
		var description string
		t.Run("description", func(t *testing.T) {
			startFake(t, "")
			theOnly(t)
			description = infrared(t)
		})
		t.Run("temperatures", func(t *testing.T) {
			startFake(t, description)
			c := theOnly(t)
			if c.Units != "centikelvin" {
				t.Errorf("found is %+v", c)
			}
			look(t, c)
			if got := ask(t, "control", "IRFormat", "PixelFormat"); got != "IRFormat = TemperatureLinear10mK\nPixelFormat = Mono16\n" {
				t.Errorf("the camera was told %s", got)
			}
		})
		t.Run("pictures alone", func(t *testing.T) {
			startFake(t, regexp.MustCompile(`(?s)<EnumEntry Name="Mono16".*?</EnumEntry>`).ReplaceAllString(description, ""))
			if c := theOnly(t); c.URI != "" || c.Config() != "" || !strings.Contains(c.Problem, "Mono16 is needed") {
				t.Errorf("found is %+v", c)
			}
		})
	})
}

// Whoever is on the network can have a camera there with any name.
func TestNameThatIsAPipeline(t *testing.T) {
	const tool = `#!/bin/sh
case "$*" in
'') printf 'X" ! filesink location="/etc/x (192.0.2.1)\nR\033[31med (192.0.2.2)\n' ;;
*features) printf "Enumeration : [PixelFormat] 'PixelFormat'\n  EnumEntry : 'Mono16'\n" ;;
*) printf 'DeviceModelName = M\rodel\n' ;;
esac
`
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "arv-tool-0.8"), []byte(tool), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	found, err := gige.List(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	if c := found[0]; c.URI != "" || c.Config() != "" || !strings.Contains(c.Problem, "can't be part of a pipeline") {
		t.Errorf("found is %+v", c)
	}
	if c := found[1]; c.ID != "R?[31med" || c.Name != "M?odel" || !strings.Contains(c.URI, `camera-name="R?[31med"`) {
		t.Errorf("found is %+v", c)
	}
}

// look opens a camera by its lines of a config and checks that its pictures are those of the fake: each row and column 256
// counts above the one before.
func look(t *testing.T, c gige.Camera) {
	t.Helper()
	var config struct {
		Camera struct{ URI, Units string }
	}
	if err := yaml.UnmarshalWithOptions([]byte(c.Config()), &config, yaml.DisallowUnknownField()); err != nil {
		t.Fatalf("%s: %v", c.Config(), err)
	}
	if config.Camera.Units != c.Units {
		t.Errorf("the units of %s are not %s", c.Config(), c.Units)
	}
	source, err := camera.Open(context.Background(), config.Camera.URI, camera.Options{Units: config.Camera.Units})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var frame camera.Frame
	for range 10 {
		if err := source.Read(context.Background(), &frame); err != nil {
			t.Fatal(err)
		}
		for _, next := range []int{1, frame.Width} {
			if frame.Width != 512 || frame.Height != 512 || frame.Counts[next]-frame.Counts[0] != 256 {
				t.Fatalf("a picture of %dx%d pixels begins with %v", frame.Width, frame.Height, frame.Counts[:4])
			}
		}
	}
}

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/screening/listen"
	"thermogate/testdata"
)

// gateConfig is a gate on free ports with pages that need a password.
func gateConfig(t *testing.T, name string) config {
	t.Helper()
	dir := t.TempDir()
	c := defaultConfig()
	c.Gate, c.DataDir, c.Camera.URI = name, filepath.Join(dir, "data"), "/dev/video99"
	c.HTTP.Listen, c.Broker.Listen = testdata.FreeAddress(t), testdata.FreeAddress(t)
	c.HTTP.PasswordFile = filepath.Join(dir, "password")
	if err := os.WriteFile(c.HTTP.PasswordFile, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// runWithoutCamera runs a gate whose camera is unplugged, until the test ends.
func runWithoutCamera(t *testing.T, c config) {
	t.Helper()
	s, err := openStation(t.Context(), c, func(context.Context) (camera.Source, error) { return nil, errors.New("unplugged") },
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.close()
	})
}

func TestCheckKnowsTheGateThatRuns(t *testing.T) {
	own := gateConfig(t, "north")
	own.HTTP.CertFile, own.HTTP.KeyFile = testdata.Certificate(t, "gate.example")
	runWithoutCamera(t, own)

	other := gateConfig(t, "south")
	other.HTTP.Listen, other.HTTP.CertFile, other.HTTP.KeyFile = own.HTTP.Listen, own.HTTP.CertFile, own.HTTP.KeyFile
	changed := own
	changed.Policy.ThresholdCelsius, changed.file, changed.written = 37.2, "gate.yaml", time.Now().Add(time.Minute)
	hidden := own
	hidden.MQTT.User = "somebody"
	forgot := own
	forgot.HTTP.PasswordFile = "nowhere"
	stranger := own
	stranger.HTTP.PasswordFile = filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(stranger.HTTP.PasswordFile, []byte("guess"), 0o600); err != nil {
		t.Fatal(err)
	}
	uncertified := own
	uncertified.HTTP.CertFile, uncertified.HTTP.KeyFile = testdata.Certificate(t, "gate.example")

	tests := []struct {
		name  string
		check config
		says  string
		asks  string // what check --running says, or its error
		looks bool   // at the camera as well, for this gate does not run
	}{
		{"itself", own, `it runs already, at ` + own.HTTP.Listen + `, and says: {"status":"failing"`, `"detail":"`, false},
		{"another gate", other, "another gate answers at " + own.HTTP.Listen + ": site site gate north, and not site site gate south: give one of them another http.listen",
			"another gate answers at " + own.HTTP.Listen + ": site site gate north", true},
		{"another config", changed, "with another config than gate.yaml (changed after it was started at 20",
			`restart it to use this one. policy.threshold_celsius: "37.5" there, "37.2" in the file` + "\n{", false},
		{"another user of the broker", hidden, "may be secret", "warning: the gate runs with another config than the defaults", false},
		{"password that can't be read", forgot, "is not known: http.password_file: open nowhere", `warning: a gate runs at ` + own.HTTP.Listen + `, and whether it is this one is not known: http.password_file`, false},
		{"another password", stranger, "does not take the password of this config", `it does not take the password of this config` + "\n{", false},
		{"another certificate", uncertified, "pages      FAULT  http.listen", "another certificate", true},
	}
	for _, test := range tests {
		var out strings.Builder
		d := doctor{config: test.check, out: &out}
		d.examine(t.Context())
		if !strings.Contains(out.String(), test.says) || strings.Contains(out.String(), "all is well") {
			t.Errorf("%s: does not say %q:\n%s", test.name, test.says, &out)
		}
		if strings.Contains(out.String(), "video99") != test.looks {
			t.Errorf("%s: looks for the camera: %t\n%s", test.name, !test.looks, &out)
		}
		var said strings.Builder
		err := askRunning(t.Context(), test.check, &said)
		if err != nil {
			said.WriteString(err.Error())
		}
		if !strings.Contains(said.String(), test.asks) || (err != nil) != test.looks {
			t.Errorf("%s: --running says %s", test.name, &said)
		}
	}
}

// TestHealthCheckWhileTheFileIsEdited is what a container does: nobody is to restart a gate since somebody edits its file.
func TestHealthCheckWhileTheFileIsEdited(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("RUNTIME_DIRECTORY", "")
	address := testdata.FreeAddress(t)
	text := fmt.Sprintf("site: plant\ngate: north\ncamera:\n  uri: /dev/video99\ndata_dir: %s\nbroker:\n  listen: %s\nhttp:\n  listen: %s\n",
		t.TempDir(), testdata.FreeAddress(t), address)
	file := writeFile(t, "gate.yaml", text)
	check := func() (string, error) {
		var out strings.Builder
		command := newRootCommand()
		command.SilenceErrors, command.SilenceUsage = true, true
		command.SetArgs([]string{"check", "--running", "-c", file})
		command.SetOut(&out)
		err := command.ExecuteContext(t.Context())
		return out.String(), err
	}
	gate := newRootCommand()
	gate.SetArgs([]string{"run", "-c", file})
	gate.SetErr(io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gate.ExecuteContext(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := check()
		if err == nil && !strings.Contains(out, "warning") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("of the file as it was started: %v, %s", err, out)
		}
	}
	for _, edited := range []struct{ what, text, says string }{
		{"a level", text + "policy:\n  threshold_celsius: 37.2\n", `policy.threshold_celsius: "37.5" there, "37.2" in the file`},
		{"its name", strings.Replace(text, "north", "south", 1), "By what that says now: another gate answers at " + address + ": site plant gate north, and not site plant gate south"},
		{"its address", strings.Replace(text, address, testdata.FreeAddress(t), 1), "By what that says now: no gate answers at"},
		{"a mistake", text + "polcy:\n", `unknown key "polcy"`},
	} {
		if err := os.WriteFile(file, []byte(edited.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := check(); err != nil || !strings.Contains(out, "warning: ") || !strings.Contains(out, edited.says) || !strings.Contains(out, `"gate":"north"`) {
			t.Errorf("%s was changed: %v, %s", edited.what, err, out)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, left := range []string{text, text + "polcy:\n"} {
		if err := os.WriteFile(file, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := check(); err == nil {
			t.Errorf("a gate that has ended is alive: %s", out)
		}
	}
}

func TestCheckOfAGateThatDoesNotRun(t *testing.T) {
	c := gateConfig(t, "north")
	var out strings.Builder
	if err := askRunning(t.Context(), c, &out); err == nil || !strings.Contains(err.Error(), "no gate answers at "+c.HTTP.Listen) {
		t.Errorf("--running: %v", err)
	}
}

// TestHealthWithoutALogInTellsOnlyTheKind asks as anybody, and then as somebody who may know.
func TestHealthWithoutALogInTellsOnlyTheKind(t *testing.T) {
	for _, open := range []bool{false, true} {
		c := gateConfig(t, "north")
		c.MQTT.Broker, c.MQTT.User = "mqtt://"+testdata.FreeAddress(t), "secretive"
		if open {
			c.HTTP.PasswordFile = ""
		}
		runWithoutCamera(t, c)
		for _, path := range []string{"/healthz", "/readyz"} {
			body := get(t, "http://"+c.HTTP.Listen+path)
			for _, secret := range []string{c.MQTT.Broker, "secretive", c.DataDir, "north", "detail"} {
				if strings.Contains(body, secret) {
					t.Errorf("no password: %t, %s tells %s: %s", open, path, secret, body)
				}
			}
		}
		ready, err := askInside(t.Context(), c.HTTP, "/readyz")
		if err != nil || !strings.Contains(ready.text, `"part":"broker","detail":"not connected`) || ready.gate == nil {
			t.Errorf("no password: %t, from inside: %+v, %v", open, ready, err)
		}
		if body := get(t, "http://"+c.HTTP.Listen+"/settings"); strings.Contains(body, "threshold") != open {
			t.Errorf("no password: %t, its settings: %s", open, body)
		}
		if body := get(t, "http://"+c.HTTP.Listen+"/readyz?verbose"); strings.Contains(body, "detail") != open {
			t.Errorf("no password: %t, asked for more: %s", open, body)
		}
	}
}

// slowSender sends a gradient at 9 frames a second, to each that connects the first one after a while, as an RTSP camera does.
func slowSender(t *testing.T, after time.Duration) (port int, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections = new(atomic.Int32)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer connection.Close()
				for next, n := after, uint16(0); ; next, n = time.Second/9, n+1 {
					time.Sleep(next)
					var picture []byte
					for i := range uint16(160 * 120) {
						picture = binary.LittleEndian.AppendUint16(picture, 29500+i%160+i/160+n%7)
					}
					if _, err := connection.Write(picture); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, connections
}

func TestCheckWaitsForACameraAsRunDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the camera does")
	}
	port, connections := slowSender(t, 2800*time.Millisecond)
	c := gateConfig(t, "north")
	c.Camera.Units, c.Camera.Name = "centikelvin", "entrance"
	c.Camera.URI = fmt.Sprintf("gst:tcpclientsrc host=127.0.0.1 port=%d ! rawvideoparse format=gray16-le width=160 height=120 framerate=9/1", port)
	var out strings.Builder
	d := doctor{config: c, out: &out}
	d.camera(t.Context())
	if !strings.Contains(out.String(), "camera     ok     entrance, 160×120 pixels upright, ") || connections.Load() != 1 {
		t.Errorf("it has connected %d times and says %q", connections.Load(), out.String())
	}
}

func TestCheckOfACameraThatSendsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the camera may")
	}
	c := gateConfig(t, "north")
	c.Camera.URI = `gst:udpsrc port=0 address=127.0.0.1 caps="video/x-raw,format=GRAY16_LE,width=160,height=120,framerate=9/1"` +
		` ! identity name=key=S3cr3t`
	var out strings.Builder
	d := doctor{config: c, out: &out}
	d.camera(t.Context())
	if !strings.Contains(out.String(), "no picture came within 5s; is the sender running?") || strings.Contains(out.String(), "S3cr3t") {
		t.Errorf("it says %q", out.String())
	}
}

// TestCheckTellsTheFingerprint of a certificate that the gate has made, and makes none itself.
func TestCheckTellsTheFingerprint(t *testing.T) {
	c := gateConfig(t, "north")
	c.HTTP.CertFile, c.HTTP.KeyFile, c.HTTP.Listen, c.HTTP.Folder = "", "", "0.0.0.0:0", filepath.Join(c.DataDir, certificateFolder)
	said := func() string {
		var out strings.Builder
		d := doctor{config: c, out: &out}
		d.certificate()
		d.pages()
		return out.String()
	}
	if first := said(); !strings.Contains(first, "makes one when it starts") || strings.Contains(first, "FAULT") {
		t.Errorf("before the first start: %s", first)
	}
	if _, err := os.Stat(c.HTTP.Folder); err == nil {
		t.Error("check has made a certificate")
	}
	listener, err := listen.Open(c.HTTP.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	shown, err := c.HTTP.Fingerprints()
	if second := said(); err != nil || !strings.Contains(second, "SHA-256 "+shown.Certificate) || !strings.Contains(second, shown.Authority) {
		t.Errorf("after it: %s, %v", second, err)
	}
}

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/metrics"
	"thermogate/testdata"
)

// recordRaw writes frames of a simulated visit as GStreamer reads them, and returns the begin of a pipeline that plays them.
func recordRaw(t *testing.T) string {
	t.Helper()
	scenario, err := simulator.Parse("visit", []byte("people: [{at: 1s, skin_celsius: 35.3, seed: 7}]"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := simulator.New(scenario, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var raw []byte
	var frame camera.Frame
	for source.Read(t.Context(), &frame) == nil {
		for _, count := range frame.Counts {
			raw = binary.LittleEndian.AppendUint16(raw, count)
		}
	}
	path := filepath.Join(t.TempDir(), "visit.raw")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("gst:filesrc location=%s ! rawvideoparse format=gray16-le width=%d height=%d framerate=%d/1000 ! identity sync=true",
		path, frame.Width, frame.Height, int(1000*source.Info().FPS))
}

// TestNoSecretOfTheCameraIsTold looks everywhere for the password in a camera's address, while it delivers and when it is
// lost.
func TestNoSecretOfTheCameraIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a visit")
	}
	c := gateConfig(t, "north")
	c.HTTP.PasswordFile = ""
	c.Camera.URI, c.Camera.Units = recordRaw(t)+" ! identity name=location=rtsp://R00t:S3cr3t@10.0.0.7/ir?user-pw=S3cr3t", "centikelvin"
	var log testdata.Text
	s, err := openStation(t.Context(), c, func(ctx context.Context) (camera.Source, error) {
		return openLive(ctx, c.Camera.URI, c.Camera.options(camera.Options{}))
	}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.run(ctx) }()
	told := func() string {
		all := log.String()
		for _, page := range []string{"/", "/status", "/metrics", "/healthz?verbose", "/readyz?verbose"} {
			all += get(t, "http://"+c.HTTP.Listen+page)
		}
		return all
	}
	var events string
	for deadline := time.Now().Add(time.Minute); events == "" || !strings.Contains(log.String(), "stream ended"); {
		if time.Now().After(deadline) {
			t.Fatalf("no event came, or the camera was not lost:\n%s\n%s", events, log.String())
		}
		if all := told(); strings.Contains(all, "S3cr3t") || strings.Contains(all, "R00t") {
			t.Fatalf("it is told: %s", all)
		}
		events = ""
		if err := journal.List(t.Context(), filepath.Join(c.DataDir, journalName), journal.Filter{}, func(e journal.Entry) error {
			events += e.Event.Data.Camera + "\n"
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(events, "rtsp://***@10.0.0.7/ir?user-pw=***") || strings.Contains(events, "S3cr3t") {
		t.Errorf("events name the camera %s", events)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.close()
	if strings.Contains(log.String(), "S3cr3t") {
		t.Errorf("the log tells it: %s", log.String())
	}
}

// TestWatchdogIsToldTheTruth has cameras that deliver nothing for 100 s: a restart helps only where a driver hangs.
func TestWatchdogIsToldTheTruth(t *testing.T) {
	for name, test := range map[string]struct {
		open   func(released <-chan struct{}) (camera.Source, error)
		moving bool
	}{
		"unplugged": {func(<-chan struct{}) (camera.Source, error) { return nil, errors.New("unplugged") }, true},
		"its driver hangs": {func(released <-chan struct{}) (camera.Source, error) {
			<-released
			return nil, errors.New("released")
		}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			released := make(chan struct{})
			s := station{metrics: metrics.New("test"), health: metrics.NewHealth(metrics.DefaultHealthConfig())}
			s.camera = camera.NewLive(func(context.Context) (camera.Source, error) { return test.open(released) },
				defaultConfig().Camera.live(func(status camera.Status) {
					s.health.SetCamera(event.CameraState(status.State), status.Hung)
				}))
			var before camera.Status
			for range 100 {
				before = s.watchCamera(before)
				time.Sleep(time.Second)
			}
			if got := s.health.Moving(); got != test.moving {
				t.Errorf("%s: the watchdog is told %t; the camera is %+v", name, got, before)
			}
			close(released)
			time.Sleep(time.Minute)
			s.watchCamera(before)
			if !s.health.Moving() {
				t.Errorf("%s: after the driver has returned it does not move", name)
			}
			s.camera.Close()
		})
	}
}

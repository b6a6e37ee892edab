package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/camera"
	"thermogate/camera/clip"
	"thermogate/cmd/internal/program"
	"thermogate/screening/event"
	"thermogate/screening/gate"
	"thermogate/testdata"
)

// feverish is a scenario of one person with a fever, who is judged within five seconds.
const feverish = "duration: 9s\npeople: [{at: 500ms, skin_celsius: 37.4, hair: short, stand: 5s, seed: 7}]\n"

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// filmed takes a source through a gate to its end and has every frame written to a clip on the way.
func filmed(t *testing.T, c config, source camera.Source, path string) []event.Event {
	t.Helper()
	defer source.Close()
	w, err := clip.Create(path, describe(c, source.Info(), camera.Orientation(c.Camera.Orientation)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := newReplayer(c, camera.Options{}, io.Discard, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	g, err := gate.New(c.gate(), source.Info(), r.detector, seededBy(filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	var events []event.Event
	err = walk(t.Context(), source, g, func(frame *camera.Frame, _ *event.Scene, found []event.Event) error {
		events = append(events, found...)
		return w.Add(frame)
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return events
}

// replayed are the events of a clip, with another config where one is given.
func replayed(t *testing.T, c config, path string) []event.Event {
	t.Helper()
	r, err := newReplayer(c, camera.Options{}, io.Discard, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var events []event.Event
	r.write = func(v replayedVerdict) error {
		events = append(events, v.Event)
		return nil
	}
	if err := r.replay(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return events
}

func sameEvents(t *testing.T, got, want []event.Event) {
	t.Helper()
	// Between the two clocks of a machine there are nanoseconds.
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Microsecond })); diff != "" {
		t.Errorf("the replay of the clip differs:\n%s", diff)
	}
}

func TestAClipOfALiveCameraGivesTheSameEvents(t *testing.T) {
	c := defaultConfig()
	c.Camera.Orientation = "rotate90"
	source, err := openLive(t.Context(), simulatorURI+writeFile(t, "feverish.yaml", feverish), camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "clip.tiff")
	live := filmed(t, c, source, path)
	if len(live) == 0 {
		t.Fatal("the live run has no verdict")
	}
	sameEvents(t, replayed(t, defaultConfig(), path), live)
	sameEvents(t, replayed(t, c, path), live)
}

func TestAClipOfARecordingGivesTheSameEvents(t *testing.T) {
	names, err := filepath.Glob(testdata.Shared(t, "recordings") + "/*.tiff")
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		names = names[:3]
	}
	for _, name := range names {
		source, err := camera.Open(t.Context(), name, camera.Options{})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), filepath.Base(name))
		want := filmed(t, defaultConfig(), source, path)
		sameEvents(t, replayed(t, defaultConfig(), path), want)
	}
}

// recordFor records the camera of a config until the time is over.
func recordFor(ctx context.Context, c config, length time.Duration, path string) (said string, err error) {
	var out bytes.Buffer
	r := clipRecorder{config: c, options: c.Camera.options(camera.Options{}), length: length, out: &out, says: &out, progress: io.Discard}
	err = r.record(ctx, path)
	return out.String(), err
}

func TestRecord(t *testing.T) {
	c := defaultConfig()
	c.Camera.URI = simulatorURI + writeFile(t, "feverish.yaml", feverish)
	c.Measure.ReferenceCelsius = new(36.8)
	path := filepath.Join(t.TempDir(), "clip.tiff")
	said, err := recordFor(t.Context(), c, 1500*time.Millisecond, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"120×160 pixels", "20.3 MB a minute", "0.5 MB in 1.5s", "frames"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	clipped, err := camera.Open(t.Context(), path, camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer clipped.Close()
	if r := clipped.Info().ReferenceCelsius; r == nil || *r != 36.8 {
		t.Errorf("the clip says %v of its reference, the config 36.8", r)
	}

	if _, err := recordFor(t.Context(), c, time.Second, path); !errors.As(err, &program.UsageError{}) || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second clip of that name: error %v", err)
	}
	if _, err := recordFor(t.Context(), c, 4*time.Hour, filepath.Join(t.TempDir(), "long.tiff")); !errors.As(err, &program.UsageError{}) || !strings.Contains(err.Error(), "4 GiB") {
		t.Errorf("four hours: error %v", err)
	}
	c.Camera.URI = filepath.Join(t.TempDir(), "none.tiff")
	if _, err := recordFor(t.Context(), c, time.Second, filepath.Join(t.TempDir(), "none-either.tiff")); err == nil || errors.As(err, &program.UsageError{}) {
		t.Errorf("no camera: error %v", err)
	}
}

// hanging is a driver that never returns from its second picture on.
type hanging struct {
	camera.Source
	calls   int
	forever chan struct{}
}

func (h *hanging) Read(ctx context.Context, frame *camera.Frame) error {
	if h.calls++; h.calls > 1 {
		<-h.forever
		return io.EOF
	}
	return h.Source.Read(ctx, frame)
}

func TestADriverThatHangsKeepsNoClipFromEnding(t *testing.T) {
	source, err := openSource(t.Context(), simulatorURI, camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &hanging{Source: source, forever: make(chan struct{})}
	defer close(h.forever)
	var first camera.Frame
	if err := h.Read(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "clip.tiff")
	w, err := clip.Create(path, describe(defaultConfig(), source.Info(), ""))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r := clipRecorder{progress: io.Discard}
	if err := errors.Join(r.write(ctx, w, queueUp(ctx, h, first)), w.Close()); err != nil || w.Frames() != 1 {
		t.Errorf("%d frames, error %v", w.Frames(), err)
	}
}

func TestAGateKeepsAClipOfAnAlert(t *testing.T) {
	c := defaultConfig()
	c.DataDir = t.TempDir()
	c.HTTP.Listen, c.Broker.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Clips.AroundAlerts, c.Clips.After = true, time.Second
	scenario := writeFile(t, "feverish.yaml", feverish+"repeat: true\n")
	s, err := openStation(t.Context(), c, func(ctx context.Context) (camera.Source, error) {
		return openLive(ctx, simulatorURI+scenario, camera.Options{})
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	folder := filepath.Join(c.DataDir, "clips")
	whole := func() string {
		names, _ := filepath.Glob(filepath.Join(folder, "*.json"))
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte("time_ms")) {
				return strings.TrimSuffix(name, ".json") + ".tiff"
			}
		}
		return ""
	}
	deadline := time.Now().Add(time.Minute)
	for whole() == "" && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	path := whole()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	s.close()
	if path == "" {
		t.Fatal("no clip was kept")
	}
	alert := func(e event.Event) bool {
		return e.Data.Outcome == event.Alert && strings.Contains(path, e.Time.UTC().Format("20060102T150405Z"))
	}
	if events := replayed(t, c, path); !slices.ContainsFunc(events, alert) {
		t.Errorf("the clip %s has no alert of that time: %+v", path, events)
	}
}

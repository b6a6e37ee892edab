package gate

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/camera/v4l2"
	"thermogate/screening/event"
)

// TestPowerOfTheCamera tells a camera that was switched off and on from one that was only away, and from a counter that
// starts over after 49 days.
func TestPowerOfTheCamera(t *testing.T) {
	start := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	const wrap = math.MaxUint32 * time.Millisecond
	frame := func(after, uptime time.Duration, opening int) *camera.Frame {
		f := &camera.Frame{Captured: start.Add(after), Opening: opening}
		if uptime > 0 {
			f.Telemetry = &v4l2.Telemetry{Uptime: uptime}
		}
		return f
	}
	for _, c := range []struct {
		name          string
		before, after *camera.Frame
		want          bool
	}{
		{"goes on", frame(0, time.Hour, 0), frame(time.Second, time.Hour+time.Second, 0), false},
		{"opened again, and on all the while", frame(0, time.Hour, 0), frame(time.Minute, time.Hour+time.Minute, 1), false},
		{"switched off and on", frame(0, time.Hour, 0), frame(time.Minute, 10*time.Second, 1), true},
		{"the counter starts over", frame(0, wrap-time.Second, 0), frame(10*time.Second, 9*time.Second, 0), false},
		{"it says nothing, and goes on", frame(0, 0, 0), frame(time.Second, 0, 0), false},
		{"it says nothing, and is opened again", frame(0, 0, 0), frame(time.Minute, 0, 1), true},
		{"one frame of it says nothing", frame(0, time.Hour, 0), frame(time.Minute, 0, 1), false},
	} {
		var p power
		p.on(c.before)
		if on, changed := p.on(c.after); changed != c.want {
			t.Errorf("%s: switched on %v, at %v", c.name, changed, on)
		}
	}
}

// TestAGateKnowsItsSourceAfterARestart goes on with the source that it knew, and does not take what another camera saw.
func TestAGateKnowsItsSourceAfterARestart(t *testing.T) {
	watch := func(g *Gate, scenario string) event.ReferenceSource {
		source := simulate(t, scenario)
		defer source.Close()
		var frame camera.Frame
		for source.Read(t.Context(), &frame) == nil {
			if _, _, err := g.Process(&frame); err != nil {
				t.Fatal(err)
			}
		}
		return g.scene.Reference
	}
	const sound, hotter = "duration: 75s\ncamera: {fps: 3}\n", "duration: 5s\ncamera: {fps: 3}\nreference: {error_celsius: 1}\n"
	info := simulate(t, sound).Info()
	first := newTestGate(t, info)
	if n := len(first.Known().Sources); n > 0 {
		t.Fatalf("%d sources are known before one was seen", n)
	}
	watch(first, sound)
	data, err := json.Marshal(first.Known())
	if err != nil || len(data) > 32<<10 {
		t.Fatalf("%d bytes are to be kept, %v", len(data), err)
	}
	var known Known
	if err := json.Unmarshal(data, &known); err != nil || len(known.Sources) != 1 {
		t.Fatalf("%d sources are known, %v", len(known.Sources), err)
	}
	for _, c := range []struct {
		scenario string
		want     event.Reason
	}{{sound, event.NoProblem}, {hotter, event.ReferenceUnstable}} {
		known := known
		known.Sources[0].At = simulator.Epoch.Add(-time.Minute)
		second := newTestGate(t, info)
		if err := second.Recall(known); err != nil {
			t.Fatal(err)
		}
		if ref := watch(second, c.scenario); ref.Problem != c.want {
			t.Errorf("after a restart: %q, want %q", ref.Problem, c.want)
		}
		second.Recalibrate()
		if ref := watch(second, c.scenario); ref.Problem != event.NoProblem {
			t.Errorf("after recalibrate: %q", ref.Problem)
		}
	}
	known.Camera = "another"
	if err := newTestGate(t, info).Recall(known); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("what another camera saw: %v", err)
	}
}

// TestAGateWithoutASourceLacksNone is about a gate whose config names no source, in whose picture there is none.
func TestAGateWithoutASourceLacksNone(t *testing.T) {
	source := simulate(t, "duration: 5s\nreference: {present: false}\n")
	defer source.Close()
	g := newTestGate(t, source.Info())
	var frame camera.Frame
	for source.Read(t.Context(), &frame) == nil {
		scene, _, err := g.Process(&frame)
		if err != nil {
			t.Fatal(err)
		}
		if r := scene.Reference; r.Found || r.Left || r.Problem != event.NoProblem && r.Problem != event.ShutterClosed {
			t.Fatalf("frame %d: %+v", frame.Index, r)
		}
	}
	if known := g.Known(); len(known.Sources) > 0 {
		t.Errorf("a source is known: %+v", known)
	}
}

// TestPeopleAtTheStartDoNotSpoilTheSource starts a gate while people walk past, as they do for two minutes.
func TestPeopleAtTheStartDoNotSpoilTheSource(t *testing.T) {
	if testing.Short() {
		t.Skip("walks people past for minutes")
	}
	walkers, err := simulator.Load("../../camera/simulator/scenarios/no-trace.yaml")
	if err != nil {
		t.Fatal(err)
	}
	walkers.People = walkers.People[:24]
	source, err := simulator.New(walkers, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	g := newTestGate(t, source.Info())
	frames, left := 0, 0
	var frame camera.Frame
	for source.Read(t.Context(), &frame) == nil {
		if _, _, err := g.Process(&frame); err != nil {
			t.Fatal(err)
		}
		if frames++; g.scene.Reference.Left {
			left++
		}
	}
	if frames < 1000 || left > frames/20 {
		t.Errorf("a sound source is not used in %d of %d frames", left, frames)
	}
}

// TestNobodyIsJudgedWhileTheSourceIsHidden: what the camera drifts meanwhile nobody knows, so no correction of before counts, not even
// for whoever was being measured.
func TestNobodyIsJudgedWhileTheSourceIsHidden(t *testing.T) {
	const hidden, back = 20 * time.Second, 60 * time.Second
	source := simulate(t, `
seed: 21
duration: 80s
camera: {drift_celsius_per_minute: 3}
reference: {covered: {at: 20s, for: 40s}}
people:
  - {at: 17900ms, skin_celsius: 35.4, stand: 5s, seed: 3}
  - {at: 27s, skin_celsius: 37.5, stand: 5s, seed: 4}
  - {at: 36s, skin_celsius: 35.4, stand: 5s, seed: 5}
  - {at: 56s, skin_celsius: 37.5, stand: 8s, seed: 6}
`)
	events, _ := walkThrough(t, source)
	judged, after := 0, 0
	for _, e := range events {
		switch at := e.Time.Sub(simulator.Epoch); {
		case at >= hidden && at < back:
			judged++
			if e.Data.Outcome != event.Inconclusive {
				t.Errorf("%s after %v, by a source that was hidden after %v", e.Data.Outcome, at, hidden)
			}
		case at >= back && e.Data.Outcome == event.Alert:
			after++
		}
	}
	if judged < 3 || after != 1 {
		t.Errorf("%d events while it is hidden, %d alerts after it", judged, after)
	}
}

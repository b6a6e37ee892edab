package gate

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

// watch plays a scenario and shows every frame with its truth.
func watch(t *testing.T, scenario simulator.Scenario, moving bool, show func(simulator.Truth, *event.Scene, []event.Event)) {
	t.Helper()
	var options simulator.Options
	if moving {
		options.Linger = 5 * time.Second // whoever is only passed leaves an event when they are gone
	}
	source, err := simulator.New(scenario, options)
	if err != nil {
		t.Fatal(err)
	}
	detector, err := face.New()
	if err != nil {
		t.Fatal(err)
	}
	defer detector.Close()
	gate, err := New(Config{
		Site: "plant", Name: "robot", Version: "test", Moving: moving,
		Track: track.DefaultConfig(), Measure: measure.DefaultConfig(), Policy: policy.DefaultConfig(), Visit: DefaultVisitConfig(),
	}, source.Info(), detector, rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	var frame camera.Frame
	for {
		if err := source.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		scene, events, err := gate.Process(&frame)
		if err != nil {
			t.Fatal(err)
		}
		show(source.Truth(), scene, events)
	}
}

func parse(t *testing.T, text string) simulator.Scenario {
	t.Helper()
	scenario, err := simulator.Parse("scenario", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return scenario
}

func TestNobodyIsJudgedWhileTheCarrierMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("four minutes of pictures")
	}
	scenario, err := simulator.Load("../../camera/simulator/scenarios/moving.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const (
		begins = 300 * time.Millisecond // a turn begins gently
		swings = time.Second
	)
	var panning, noticed, standing, mistaken int
	var since time.Duration
	before := false
	reasons := map[event.Reason]int{}
	watch(t, scenario, true, func(truth simulator.Truth, scene *event.Scene, events []event.Event) {
		if truth.Panning != before {
			since, before = truth.Time, truth.Panning
		}
		moving := scene.Reference.Problem == event.CarrierMoving
		switch lasts := truth.Time - since; {
		case truth.Panning && lasts > begins:
			panning++
			if moving {
				noticed++
			}
			for _, e := range events {
				if e.Data.Outcome != event.Inconclusive {
					t.Errorf("at %v, %v into a turn, there is a %s", truth.Time, lasts, e.Data.Outcome)
				}
			}
		case !truth.Panning && lasts > swings:
			standing++
			if moving {
				mistaken++
			}
		}
		for _, e := range events {
			reasons[e.Data.Reason]++
		}
	})
	if noticed*100 < 95*panning {
		t.Errorf("%d of %d frames of turns are taken for a carrier that moves", noticed, panning)
	}
	if mistaken*100 > 15*standing {
		t.Errorf("%d of %d frames of a carrier that only sways are taken for one that moves", mistaken, standing)
	}
	if reasons[event.CarrierMoving] == 0 || reasons[event.Lifeless] == 0 {
		t.Errorf("no event says that the carrier moved, or that a dummy is one: %v", reasons)
	}
}

func TestAStepOfTheRangeIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of pictures")
	}
	const person = "\nduration: 6s\npeople: [{at: 500ms, skin_celsius: 35.3, stand: 4s, hair: short, seed: 7}]\n"
	for _, test := range []struct {
		name, camera string
		want         bool
	}{
		{"none", "seed: 3", false},
		{"a shutter event of 1.5 °C", "ffc: {every: 5s, jump_celsius: 1.5}", false},
		{"3 °C warmer", "camera: {steps: [{at: 2s, offset_celsius: 3}]}", true},
		{"3 °C colder", "camera: {steps: [{at: 2s, offset_celsius: -3}]}", true},
		{"half the counts", "camera: {steps: [{at: 2s, gain: 0.5}]}", true},
		{"a tenth of the counts", "camera: {steps: [{at: 2s, gain: 0.1}]}", true},
		{"in three steps", "camera: {steps: [{at: 2s, offset_celsius: 1.3}, {at: 2100ms, offset_celsius: 2.6}, {at: 2200ms, offset_celsius: 3.9}]}", true},
		{"one frame a second", "camera: {fps: 1}", false},
		{"one frame a second, 3 °C warmer", "camera: {fps: 1, steps: [{at: 3s, offset_celsius: 3}]}", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			noticed := false
			watch(t, parse(t, test.camera+person), false, func(truth simulator.Truth, scene *event.Scene, _ []event.Event) {
				if scene.Reference.Problem == event.RangeChanged {
					noticed = true
				}
			})
			if noticed != test.want {
				t.Errorf("a step is noticed: %t", noticed)
			}
		})
	}
}

// TestNoVerdictSpansAStep has the range change in the middle of each look, with and without a reference source.
func TestNoVerdictSpansAStep(t *testing.T) {
	if testing.Short() {
		t.Skip("two minutes of pictures")
	}
	for _, reference := range []bool{true, false} {
		scenario, err := simulator.Load("../../camera/simulator/scenarios/range-step.yaml")
		if err != nil {
			t.Fatal(err)
		}
		scenario.Reference.Present = reference
		steps := scenario.Camera.Steps
		judged := 0
		watch(t, scenario, false, func(truth simulator.Truth, _ *event.Scene, events []event.Event) {
			for _, e := range events {
				if e.Data.Outcome == event.Inconclusive {
					continue
				}
				judged++
				for _, step := range steps {
					if after := truth.Time - step.At; after > 0 && after < 3*time.Second {
						t.Errorf("a %s %v after the step at %v", e.Data.Outcome, after, step.At)
					}
				}
				if truth := truth.People[0].SkinCelsius; *e.Data.SkinCelsius-truth > 0.3 || truth-*e.Data.SkinCelsius > 0.3 {
					t.Errorf("a %s on skin of %.2f °C, truly %.2f", e.Data.Outcome, *e.Data.SkinCelsius, truth)
				}
			}
		})
		if reference && judged < 3 || !reference && judged > 0 {
			t.Errorf("reference %t: %d people are judged", reference, judged)
		}
	}
}

// TestAGroupReadBeforeAStepJudgesNobodyAfterIt is about a gate without a reference source, which knows only what people read.
func TestAGroupReadBeforeAStepJudgesNobodyAfterIt(t *testing.T) {
	if testing.Short() {
		t.Skip("four minutes of pictures")
	}
	scenario := parse(t, `
seed: 5
reference: {present: false}
ffc: {every: 0s, jump_celsius: 0}
camera: {drift_celsius_per_minute: 0, steps: [{at: 200s, offset_celsius: -2.5}]}
queue: {people: 44, core_spread_celsius: 0.1}
`)
	before, after := 0, 0
	watch(t, scenario, false, func(truth simulator.Truth, _ *event.Scene, events []event.Event) {
		for _, e := range events {
			switch {
			case e.Data.Outcome == event.Inconclusive:
			case truth.Time < 200*time.Second:
				before++
			default:
				after++
			}
		}
	})
	if before == 0 || after > 0 {
		t.Errorf("%d people are judged before the step and %d by a group from before it", before, after)
	}
}

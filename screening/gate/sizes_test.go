package gate

import (
	"fmt"
	"math"
	"testing"
	"time"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

// TestVerdictsAreTheSameAtEverySizeAndRate has the same people before cameras of many sizes and rates with one field of view.
// The table is in camera/README.md.
func TestVerdictsAreTheSameAtEverySizeAndRate(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of many pixels")
	}
	skins := []float64{35.2, 37.4, 35.4, 37.3}
	for _, test := range []struct {
		width, height int
		fps           float64
		people        int
	}{
		{120, 160, 8.77, 4},
		{120, 160, 1, 4},
		{120, 160, 2, 4},
		{120, 160, 4, 4},
		{120, 160, 30, 2},
		{120, 160, 60, 4},
		{192, 256, 25, 2},
		{256, 320, 8.77, 4},
		{256, 320, 60, 2},
		{288, 384, 8.77, 4},
		{512, 640, 8.77, 4},
		{512, 640, 30, 1},
		{1024, 1280, 8.77, 2},
		{1024, 1280, 60, 1},
	} {
		t.Run(fmt.Sprintf("%dx%d@%g", test.width, test.height, test.fps), func(t *testing.T) {
			scenario := simulator.DefaultScenario()
			scenario.Seed = 77
			scenario.Camera.Width, scenario.Camera.Height, scenario.Camera.FPS = test.width, test.height, test.fps
			text := "people:\n"
			for i, skin := range skins[:test.people] {
				text += fmt.Sprintf("  - {at: %dms, skin_celsius: %.2f, distance_metres: 0.75, stand: 3s, appears: true, seed: %d, height_metres: %.2f}\n",
					500+4000*i, skin, 900+i, 1.65+0.04*float64(i))
			}
			scenario.People = parse(t, text).People
			judged := map[int]event.Outcome{}
			var errors, worst float64
			var slowest time.Duration
			watch(t, scenario, false, func(truth simulator.Truth, _ *event.Scene, events []event.Event) {
				for _, e := range events {
					if e.Data.Outcome == event.Inconclusive || len(truth.People) == 0 {
						continue
					}
					p := truth.People[0]
					judged[p.ID] = e.Data.Outcome
					off := *e.Data.SkinCelsius - p.SkinCelsius
					errors += off
					worst = max(worst, math.Abs(off))
					slowest = max(slowest, e.Time.Sub(*e.Data.MeasurableSince))
				}
			})
			for i, skin := range skins[:test.people] {
				want := event.Pass
				if skin > 37 {
					want = event.Alert
				}
				if judged[i] != want {
					t.Errorf("person %d of %.2f °C: %q, want %s", i, skin, judged[i], want)
				}
			}
			mean := errors / float64(max(len(judged), 1))
			t.Logf("mean error %+.2f °C, worst %.2f °C, slowest verdict %.2f s", mean, worst, slowest.Seconds())
			if math.Abs(mean) > 0.1 || worst > 0.2 {
				t.Errorf("mean error %+.2f °C, worst %.2f °C", mean, worst)
			}
		})
	}
}

package measure_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/measure"
)

func reading(skin, noise float64, site event.Site) measure.Reading {
	return measure.Reading{SkinCelsius: skin, NoiseCelsius: noise, SystematicCelsius: 0.2, Site: site}
}

func TestLookOfNothing(t *testing.T) {
	var look measure.Look
	look.Add(measure.Reading{Problem: event.Moving}, time.Unix(0, 0))
	if e := look.Estimate(); e != (measure.Estimate{}) {
		t.Errorf("got %+v", e)
	}
}

func TestLookPrefersTheCanthi(t *testing.T) {
	var look measure.Look
	for i := range 6 {
		site, skin := event.InnerCanthus, 35.5
		if i%2 == 1 {
			site, skin = event.Forehead, 34.0
		}
		look.Add(reading(skin, 0.05, site), time.Unix(0, int64(i)*1e8))
	}
	if e := look.Estimate(); e.Site != event.InnerCanthus || e.Frames != 3 || math.Abs(e.SkinCelsius-35.5) > 1e-9 {
		t.Errorf("got %+v", e)
	}
}

func TestLookLeavesOutOutliersAndTrustsStandingFaces(t *testing.T) {
	var look measure.Look
	look.Add(reading(34.6, 0.3, event.InnerCanthus), time.Unix(0, 0)) // still walking
	for i := range 5 {
		look.Add(reading(35.0, 0.05, event.InnerCanthus), time.Unix(0, int64(i)*1e8))
	}
	look.Add(reading(37.9, 0.05, event.InnerCanthus), time.Unix(0, 9e8)) // a cup passes
	if e := look.Estimate(); math.Abs(e.SkinCelsius-35) > 0.02 || e.Frames != 6 {
		t.Errorf("got %+v", e)
	}
}

// TestLookNoise repeats looks at one person whose readings scatter with the correlation seen on the recordings: the
// interval of the noise must hold.
func TestLookNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, frames := range []int{2, 5, 9} {
		const looks, truth, noise, correlation = 2000, 35.0, 0.08, 0.6
		held := 0
		for range looks {
			var look measure.Look
			wander := random.NormFloat64()
			for i := range frames {
				look.Add(reading(truth+noise*wander, noise, event.InnerCanthus), time.Unix(0, int64(i)*1e8))
				wander = correlation*wander + math.Sqrt(1-correlation*correlation)*random.NormFloat64()
			}
			e := look.Estimate()
			if math.Abs(e.SkinCelsius-truth) <= 1.96*e.NoiseCelsius {
				held++
			}
		}
		if share := float64(held) / looks; share < 0.93 || share > 0.995 {
			t.Errorf("with %d frames the interval of the noise holds in %.3f of looks", frames, share)
		}
	}
}

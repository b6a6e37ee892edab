package policy

import (
	"math"
	"testing"

	"thermogate/screening/event"
)

func fused(c *Config) { c.Kind = Fused }

func TestEstimateFallsBack(t *testing.T) {
	nan := math.NaN()
	c := DefaultFusedConfig()
	full, canthi, withFace, withAmbient := c.Estimate(36, 36.2, 22), c.Estimate(36, nan, nan), c.Estimate(36, 36.2, nan), c.Estimate(36, nan, 22)
	for _, test := range []struct {
		name                  string
		canthi, face, ambient float64
		want                  float64
	}{
		{"all known", 36, 36.2, 22, 4.8465 + 0.6345*36 + 0.3253*36.2 - 0.0917*22},
		{"no ambient", 36, 36.2, nan, 3.0802 + 0.6329*36 + 0.3171*36.2},
		{"no face", 36, nan, 22, 5.4624 + 0.9417*36 - 0.0858*22},
		{"canthi alone", 36, nan, nan, 3.7938 + 0.9330*36},
		{"a face colder than its canthi is as warm as they", 36, 35, 22, c.Estimate(36, 36, 22)},
		{"a cup is no face", 36, 38.5, 22, withAmbient},
		{"nothing is no face", 36, 0, 22, withAmbient},
		{"nothing is no ambient", 36, 36.2, 0, withFace},
		{"neither is an oven", 36, 36.2, 80, withFace},
		{"nor what can't be", 36, math.Inf(1), math.Inf(-1), canthi},
		{"a hot hall counts as the warmest that was studied", 36, 36.2, 35, c.Estimate(36, 36.2, 24)},
		{"a cold one as the coldest", 36, 36.2, 10, c.Estimate(36, 36.2, 20)},
		{"hundredths", 36.004, 36.204, 22.004, full},
	} {
		if got := c.Estimate(test.canthi, test.face, test.ambient); math.Abs(got-test.want) > 0.0051 {
			t.Errorf("%s: %.3f °C, want %.3f", test.name, got, test.want)
		}
	}
}

// TestFaceOnlyRaises: whatever is warm in the oval of a face, it makes nobody's estimate lower.
func TestFaceOnlyRaises(t *testing.T) {
	c := DefaultFusedConfig()
	for _, ambient := range []float64{math.NaN(), 20, 24} {
		for canthi := 33.0; canthi < 39; canthi += 0.37 {
			before := c.Estimate(canthi, canthi, ambient)
			for face := canthi - 1; face < canthi+MostFaceApart-0.01; face += 0.01 {
				body := c.Estimate(canthi, face, ambient)
				if body < before {
					t.Fatalf("canthi %.2f, face %.2f, ambient %g: %.2f °C, below the %.2f °C of a colder face", canthi, face, ambient, body, before)
				}
				before = body
			}
		}
	}
}

// TestFusedVerdict: the numbers that are published give the estimate and the verdict again, and skin is published as it was
// read, over all temperatures and whatever else is known.
func TestFusedVerdict(t *testing.T) {
	p := newPolicy(t, fused)
	for _, ambient := range []float64{math.NaN(), 18, 22.5} {
		for i := 2800; i <= 4300; i++ {
			e := look(float64(i) / 100)
			e.FaceCelsius, e.AmbientCelsius = e.SkinCelsius+float64(i%7-3)/10, ambient
			if i%5 == 0 {
				e.FaceCelsius = math.NaN()
			}
			v, level := p.Compare(e)
			if *v.SkinCelsius != e.SkinCelsius {
				t.Fatalf("%.2f °C is published as %v", e.SkinCelsius, *v.SkinCelsius)
			}
			again := p.config.Fused.Estimate(*v.SkinCelsius, orNaN(v.FaceCelsius), orNaN(v.AmbientCelsius))
			if math.Abs(again-*v.BodyCelsius) > 1e-9 || math.Abs(*v.SkinCelsius+*v.OffsetCelsius-*v.BodyCelsius) > 1e-9 {
				t.Fatalf("published %v, offset %v, its inputs give %v", *v.BodyCelsius, *v.OffsetCelsius, again)
			}
			if (*v.BodyCelsius >= *v.ThresholdCelsius) != (v.Outcome == event.Alert) || (*v.SkinCelsius >= level) != (v.Outcome == event.Alert) {
				t.Fatalf("%v against %v is said to be %v", *v.BodyCelsius, *v.ThresholdCelsius, v.Outcome)
			}
		}
	}
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// TestPlainFever: from a fever by the offset on, no group, face or ambient temperature makes a pass.
func TestPlainFever(t *testing.T) {
	p := newPolicy(t, fused)
	at := shift(t, p, 400, 36.3, start) // as warm as a group can be
	for _, ambient := range []float64{math.NaN(), 6, 24, 44} {
		e := look(36.62)
		e.At, e.AmbientCelsius = at, ambient
		if v, _ := p.Compare(e); v.Outcome != event.Alert {
			t.Errorf("ambient %g: %v, estimate %v against %v", ambient, v.Outcome, *v.BodyCelsius, *v.ThresholdCelsius)
		}
	}
}

func TestFusedWithoutCanthi(t *testing.T) {
	f, both := newPolicy(t, fused), newPolicy(t, nil)
	e := look(35.2)
	e.Site, e.AmbientCelsius = event.Forehead, 22
	v, _ := f.Compare(e)
	w, _ := both.Compare(e)
	if *v.OffsetCelsius != *w.OffsetCelsius || *v.ThresholdCelsius > *w.ThresholdCelsius {
		t.Errorf("offset %v and threshold %v; the policy both has %v and %v", *v.OffsetCelsius, *v.ThresholdCelsius, *w.OffsetCelsius, *w.ThresholdCelsius)
	}
}

// TestFusedStateIsItsOwn: the same people read a little higher by the fused policy.
func TestFusedStateIsItsOwn(t *testing.T) {
	f, both := newPolicy(t, fused), newPolicy(t, nil)
	end := shift(t, both, 10, 35.5, start)
	if err := f.Restore(both.State(), end); err == nil {
		t.Error("took what another policy learnt")
	}
	if err := f.Restore(f.State(), end); err != nil {
		t.Error(err)
	}
}

func TestModelsThatCantBeMeant(t *testing.T) {
	for name, change := range map[string]func(*FusedConfig){
		"a face that lowers":   func(c *FusedConfig) { c.Face.Face = -0.1 },
		"no canthi":            func(c *FusedConfig) { c.Canthi.Canthi = 0 },
		"squeezed":             func(c *FusedConfig) { c.Canthi = Model{Celsius: 33.4, Canthi: 0.1, SpreadCelsius: 0.3} },
		"nobody lives":         func(c *FusedConfig) { c.FaceAmbient.Celsius = 40 },
		"not a number":         func(c *FusedConfig) { c.Ambient.Ambient = math.NaN() },
		"nobody differs":       func(c *FusedConfig) { c.Canthi.SpreadCelsius = 0 },
		"alarms for everybody": func(c *FusedConfig) { c.MarginCelsius = 0 },
		"a prior of the skin":  func(c *FusedConfig) { c.PriorCelsius = 34 },
	} {
		c := DefaultConfig()
		change(&c.Fused)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

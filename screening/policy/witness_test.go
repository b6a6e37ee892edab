package policy

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"thermogate/screening/event"
)

func unreferenced(c *Config) { c.Referenced = false }

// nth lets the n-th person through who differs from the usual as people do, and gives the time after.
func nth(t *testing.T, p *Policy, n int, usual float64, at time.Time) time.Time {
	t.Helper()
	meet(t, p, usual+own[n%len(own)], at)
	return at.Add(time.Minute)
}

// TestBaselineShift has the camera, or its reference source, go wrong from one person to the next.
func TestBaselineShift(t *testing.T) {
	for _, change := range []func(*Config){nil, func(c *Config) { c.Kind = Fused }, unreferenced} {
		for _, wrong := range []struct {
			celsius float64
			people  int // at most, until it is noticed
		}{{-0.5, 30}, {-1, 8}, {-2, 5}, {0.5, 60}, {1, 20}, {2, 16}} {
			p := newPolicy(t, change)
			at := shift(t, p, 1000, 35.5, start)
			if p.Problem() != event.NoProblem {
				t.Fatalf("%s after 1000 usual people", p.Problem())
			}
			people := 0
			for p.Problem() == event.NoProblem && people < 100 {
				at = nth(t, p, people, 35.5+wrong.celsius, at)
				people++
			}
			if people > wrong.people {
				t.Errorf("%+.1f °C: noticed after %d people, want %d at most", wrong.celsius, people, wrong.people)
			}
			at = shift(t, p, 200, 35.5+wrong.celsius, at)
			if v := meet(t, p, 35.5+wrong.celsius, at); v.Outcome == event.Pass {
				t.Errorf("%+.1f °C: somebody passes on that reading alone", wrong.celsius)
			}
			if v := meet(t, p, 38, at); v.Outcome != event.Alert {
				t.Errorf("%+.1f °C: skin of 38 °C is %s %s", wrong.celsius, v.Outcome, v.Reason)
			}
			at = shift(t, p, 20, 35.5, at)
			if v := meet(t, p, 35.5, at); v.Outcome != event.Pass {
				t.Errorf("%+.1f °C: %s %s after 20 people read as usual again", wrong.celsius, v.Outcome, v.Reason)
			}
		}
	}
}

func TestRecalibratedEndsAShift(t *testing.T) {
	for _, change := range []func(*Config){nil, unreferenced} {
		p := newPolicy(t, change)
		at := shift(t, p, 1000, 35.2, start)
		usual := baseline(p, at)
		p.Recalibrated()
		if got := baseline(p, at); got != usual {
			t.Errorf("baseline %.2f °C becomes %.2f where nothing was wrong", usual, got)
		}
		shift(t, p, 50, 36.2, at)
		if p.Problem() != event.BaselineShift {
			t.Fatalf("problem %q", p.Problem())
		}
		p.Recalibrated()
		if p.Problem() == event.BaselineShift {
			t.Error("the shift goes on")
		}
	}
}

// TestSlowCreep follows a camera nowhere: 0.1 °C in a hundred people.
func TestSlowCreep(t *testing.T) {
	for _, change := range []func(*Config){nil, unreferenced} {
		p := newPolicy(t, change)
		at := shift(t, p, 1000, 35.5, start)
		for n := range 2000 {
			if at = nth(t, p, n, 35.5-float64(n)/1000, at); p.Problem() == event.BaselineShift {
				if n > 700 {
					t.Errorf("noticed after %.1f °C", float64(n)/1000)
				}
				break
			}
		}
		if p.Problem() != event.BaselineShift {
			t.Error("never noticed")
		}
	}
}

// TestBadStart begins a gate without a reference source with people who are no measure.
func TestBadStart(t *testing.T) {
	usual := func(int) float64 { return 35.5 }
	first := func(people int, apart float64) func(int) float64 {
		return func(n int) float64 {
			if n < people {
				return 35.5 + apart
			}
			return 35.5
		}
	}
	for _, test := range []struct {
		name  string
		skin  func(n int) float64
		known int // after how many people the gate works as it should
	}{
		{"as usual", usual, 30},
		{"ten from the cold", first(10, -2), 41},
		{"ten with a fever", first(10, 1.3), 41},
		{"a hundred from the cold", first(100, -2), 140},
		{"a hundred with a fever", first(100, 1.3), 140},
	} {
		p := newPolicy(t, unreferenced)
		at := start
		for n := range test.known {
			at = nth(t, p, n, test.skin(n), at)
		}
		at = shift(t, p, 10, 35.5, at)
		if well, ill := meet(t, p, 35.5, at), meet(t, p, 36.9, at); well.Outcome != event.Pass || ill.Outcome != event.Alert {
			t.Errorf("%s: well people are %s %s, others %s %s", test.name, well.Outcome, well.Reason, ill.Outcome, ill.Reason)
		}
	}
}

// TestHalfFebrile: the middle of such people is the reading of nobody.
func TestHalfFebrile(t *testing.T) {
	p := newPolicy(t, unreferenced)
	at := start
	for n := range 500 {
		skin := 35.5 + own[n/2%len(own)]
		if n%2 == 1 {
			skin += 1.3
		}
		if v := meet(t, p, skin, at); v.Outcome == event.Pass {
			t.Fatalf("person %d passes", n+1)
		}
		at = at.Add(time.Minute)
	}
}

// TestNobodyFromTheColdIsAMeasure: nose and cheeks say that they have been outside.
func TestNobodyFromTheColdIsAMeasure(t *testing.T) {
	for _, change := range []func(*Config){nil, unreferenced} {
		p := newPolicy(t, change)
		at := shift(t, p, 1000, 35.5, start)
		for range 100 {
			e := look(34.3)
			e.At, e.ChillCelsius = at, 1.2
			v, _ := p.Decide(e)
			p.Count(v)
			p.Learn(v, at)
		}
		if p.Problem() != event.NoProblem {
			t.Errorf("%s after a hundred people from the cold", p.Problem())
		}
	}
}

// TestCoveredFacesAreNoMeasure: what hat and glasses leave is often not skin at all.
func TestCoveredFacesAreNoMeasure(t *testing.T) {
	p := newPolicy(t, nil)
	for _, spoil := range []func(*Estimate){
		func(e *Estimate) { e.Site = event.WholeFace },
		func(e *Estimate) { e.Site, e.Bare = event.Forehead, false },
		func(e *Estimate) { e.Frames = 2 },
	} {
		e := look(33)
		spoil(&e)
		if v, _ := p.Decide(e); p.Count(v) {
			t.Errorf("%s %s counts", v.Outcome, v.Reason)
		}
	}
}

// TestUpgradeKeepsWhatIsUsual has a gate whose people read low for long go on with what an older version learnt of them.
func TestUpgradeKeepsWhatIsUsual(t *testing.T) {
	prior := newPolicy(t, nil).State().PriorCelsius
	for name, witness := range map[string]string{
		"with a witness":   fmt.Sprintf(`"witness":{"people":5000,"usual_celsius":%g},`, prior-0.5),
		"of before that":   "",
		"with a young one": fmt.Sprintf(`"witness":{"people":40,"usual_celsius":%g},`, prior-0.5),
	} {
		var s State
		text := fmt.Sprintf(`{"referenced":true,%s"prior_celsius":%g,"level_celsius":%g,"day_celsius":0,"level_variance":0.001,"day_variance":0.01,"covariance":0,
			"updated":%q}`, witness, prior, prior-0.5, start.Format(time.RFC3339))
		p := newPolicy(t, nil)
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if err := p.Restore(s, start); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		at := start
		for n := range 300 {
			at = nth(t, p, n, prior-0.5, at)
			if p.Problem() != event.NoProblem {
				t.Fatalf("%s: %s after %d people", name, p.Problem(), n)
			}
		}
		if v := meet(t, p, prior-0.5, at); v.Outcome != event.Pass {
			t.Errorf("%s: %s %s", name, v.Outcome, v.Reason)
		}
	}
}

package policy

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"thermogate/screening/event"

	"github.com/google/go-cmp/cmp"
)

// meet lets a person through the gate and gives the verdict.
func meet(t *testing.T, p *Policy, skin float64, at time.Time) Verdict {
	t.Helper()
	v := meetAgain(t, p, skin, at)
	p.Count(v)
	return v
}

// meetAgain lets a person through who has counted already.
func meetAgain(t *testing.T, p *Policy, skin float64, at time.Time) Verdict {
	t.Helper()
	e := look(skin)
	e.At = at
	v, done := p.Decide(e)
	if !done {
		t.Fatal("undecided after a second")
	}
	p.Learn(v, at)
	return v
}

// own is how people differ.
var own = []float64{-0.5, 0.2, -0.1, 0.5, 0, -0.3, 0.3, 0.1, -0.2, 0}

// shift lets people through who differ as people do, one a minute, and gives the time after.
func shift(t *testing.T, p *Policy, people int, usual float64, at time.Time) time.Time {
	t.Helper()
	for i := range people {
		meet(t, p, usual+own[i%len(own)], at)
		at = at.Add(time.Minute)
	}
	return at
}

func baseline(p *Policy, at time.Time) float64 { return p.group.at(at).baseline() }

func TestFollowsTheGroup(t *testing.T) {
	tests := []struct {
		name              string
		usual, want, near float64
	}{
		{"as the prior", 35.5, 35.5, 0.1},
		{"people read higher here", 35.8, 35.8, 0.15},
		{"people read lower here", 34.9, 34.9, 0.1},
		{"but never far above the prior", 36.6, 35.5, 0.5},
	}
	for _, test := range tests {
		p := newPolicy(t, func(c *Config) { c.Kind = Group })
		end := shift(t, p, 400, test.usual, start)
		if got := baseline(p, end); math.Abs(got-test.want) > test.near {
			t.Errorf("%s: baseline %.2f °C, want %.2f ± %.2f", test.name, got, test.want, test.near)
		}
	}
}

// TestWarmQueue has some people come again and again who each read just below the alarm level, which is the most that nobody
// notices.
func TestWarmQueue(t *testing.T) {
	p := newPolicy(t, nil)
	at := shift(t, p, 200, 35.5, start)
	before := baseline(p, at)
	for n := 1; n <= 500; n++ {
		at = at.Add(10 * time.Second)
		level := baseline(p, at) + p.config.MarginCelsius
		if v := meetAgain(t, p, math.Min(level, 36.12)-0.05, at); v.Outcome != event.Pass {
			t.Fatalf("person %d: %v %v, want a pass", n, v.Outcome, v.Reason)
		}
		rise := baseline(p, at) - before
		if n == 20 && rise > 0.25 {
			t.Errorf("20 warm people raised the baseline by %.2f °C", rise)
		}
		if v := meetAgain(t, p, 36.7, at); v.Outcome != event.Alert {
			t.Fatalf("after %d warm people 36.7 °C of skin is %v", n, v.Outcome)
		}
	}
	if most := p.config.PriorCelsius + maxRise + maxDay; baseline(p, at) > most {
		t.Errorf("baseline %.2f °C, above %.2f", baseline(p, at), most)
	}
}

func TestOnlyPassesTeach(t *testing.T) {
	p := newPolicy(t, nil)
	at := shift(t, p, 50, 35.5, start)
	before := p.State()
	for _, skin := range []float64{38.5, 36.2, 32.0, 36.09} { // alert, alert, cold arrival, too close
		if v := meet(t, p, skin, at); v.Outcome == event.Pass {
			t.Fatalf("%v °C passed", skin)
		}
	}
	after := p.State()
	after.Witness = before.Witness // to which all of them are witnesses
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("changed by what must stay out: %s", diff)
	}
}

// TestForgets: what a cold morning did is gone the next day, what a gate is like is not.
func TestForgets(t *testing.T) {
	p := newPolicy(t, nil)
	shift(t, p, 400, 35.5, start)
	tuesday := start.Add(24 * time.Hour)
	before := baseline(p, tuesday)
	cold := shift(t, p, 60, 35.1, tuesday)
	fell := before - baseline(p, cold)
	left := before - baseline(p, cold.Add(24*time.Hour))
	if fell < 0.15 || left > 0.6*fell {
		t.Errorf("the cold morning took %.2f °C, of which %.2f are left after a day", fell, left)
	}
	low := newPolicy(t, nil)
	end := shift(t, low, 400, 34.9, start)
	if after := baseline(low, end.Add(7*24*time.Hour)); after > 35.15 {
		t.Errorf("after a week off the gate is taken to read %.2f °C, not the 34.9 it always did", after)
	}
}

func TestRestart(t *testing.T) {
	p := newPolicy(t, nil)
	at := shift(t, p, 100, 35.2, start)
	saved, err := json.Marshal(p.State())
	if err != nil {
		t.Fatal(err)
	}
	var state State
	if err := json.Unmarshal(saved, &state); err != nil {
		t.Fatal(err)
	}
	again := newPolicy(t, nil)
	if err := again.Restore(state, at); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		at = at.Add(time.Minute)
		want, got := meet(t, p, 35.4, at), meet(t, again, 35.4, at)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Verdict{})); diff != "" {
			t.Fatalf("after a restart: %s", diff)
		}
	}
	p.Reset()
	if got := baseline(p, at); got != p.config.PriorCelsius {
		t.Errorf("baseline %v after a reset, want the prior", got)
	}
}

func TestRestoreRefuses(t *testing.T) {
	good := newPolicy(t, nil)
	shift(t, good, 20, 35.5, start)
	for name, spoil := range map[string]func(*State){
		"another kind of gate": func(s *State) { s.Referenced = false },
		"impossible evidence":  func(s *State) { s.Witness.BelowCelsius = -1 },
		"nothing":              func(s *State) { *s = State{Referenced: true} },
		"no variance":          func(s *State) { s.LevelVariance = 0 },
		"not a number":         func(s *State) { s.LevelCelsius = math.NaN() },
		"far off":              func(s *State) { s.LevelCelsius = 42 },
	} {
		state := good.State()
		spoil(&state)
		p := newPolicy(t, nil)
		before := p.State()
		if err := p.Restore(state, start.Add(24*time.Hour)); err == nil {
			t.Errorf("%s: restored", name)
		}
		if diff := cmp.Diff(before, p.State()); diff != "" {
			t.Errorf("%s: changed the policy all the same: %s", name, diff)
		}
	}
}

// TestWithoutReference: the camera reads 4 °C low, and only differences can mean anything.
func TestWithoutReference(t *testing.T) {
	p := newPolicy(t, func(c *Config) { c.Referenced = false; c.Kind = Both })
	at := start
	for i := range firstPeople {
		v := meet(t, p, []float64{31.4, 31.6, 31.1, 31.9, 33.1, 31.5, 31.6, 31.3, 31.7, 31.4}[i%10], at)
		if v.Outcome != event.Inconclusive || v.Reason != event.GroupUnknown {
			t.Fatalf("person %d: %v %v, while there is nobody to compare with", i+1, v.Outcome, v.Reason)
		}
		at = at.Add(time.Minute)
	}
	for skin, want := range map[float64]event.Outcome{31.5: event.Pass, 31.9: event.Pass, 32.3: event.Alert, 29.0: event.Inconclusive} {
		e := look(skin)
		e.At, e.ReferenceOK = at, false
		v, _ := p.Decide(e)
		if v.Outcome != want || v.Policy != Group || v.BodyCelsius != nil {
			t.Errorf("%.1f °C: %v by %v, body %v; want %v by group and no body temperature", skin, v.Outcome, v.Policy, v.BodyCelsius, want)
		}
	}
}

// TestWrongClock boots with a clock that is wrong until it is set: a week, or decades, in either direction.
func TestWrongClock(t *testing.T) {
	for name, clock := range map[string]time.Time{
		"an hour behind": start.Add(-time.Hour), "1970": time.Unix(0, 0), "years ahead": start.AddDate(30, 0, 0),
	} {
		learnt := newPolicy(t, nil)
		at := shift(t, learnt, 400, 35.1, start)
		want := baseline(learnt, at)

		p := newPolicy(t, nil)
		if err := p.Restore(learnt.State(), clock); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		meet(t, p, 35.1, clock.Add(time.Minute))
		saved := p.State()
		if err := p.Restore(saved, at.Add(time.Hour)); err != nil { // a restart after the clock was set
			t.Fatalf("%s: %v", name, err)
		}
		meet(t, p, 35.1, at.Add(2*time.Hour))
		if got := baseline(p, at.Add(2*time.Hour)); math.Abs(got-want) > 0.15 {
			t.Errorf("%s: %.2f °C is left of %.2f", name, got, want)
		}
	}
}

package study

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"
)

// plant is people at a gate of whom all with an alert are read, and one in so many of the others.
func plant(people, oneIn int) (all, read []Pair, outcomes map[event.Outcome]int) {
	dice := rand.New(rand.NewPCG(7, 7))
	outcomes = map[event.Outcome]int{}
	for n := range people {
		oral := 36.8 + 0.25*dice.NormFloat64()
		if n%25 == 0 {
			oral = 38.4 + 0.5*dice.NormFloat64()
		}
		p := Pair{
			Line: n, Site: event.InnerCanthus, OralCelsius: oral, SkinCelsius: oral - 1.6 + 0.35*dice.NormFloat64(), FaceCelsius: math.NaN(),
			AmbientCelsius: math.NaN(), At: time.Unix(int64(n)*60, 0), Outcome: event.Pass, BaselineCelsius: 35.2,
		}
		if p.SkinCelsius+1.38 >= 37.5 {
			p.Outcome = event.Alert
		}
		outcomes[p.Outcome]++
		all = append(all, p)
		if p.Outcome == event.Alert || n%oneIn == 3 {
			read = append(read, p)
		}
	}
	return all, read, outcomes
}

// TestSampled has the offset, the agreement, ROC and rates of those who were read be those of everybody, which the pairs as they are
// do not show: nearly all of them had an alert.
func TestSampled(t *testing.T) {
	all, read, people := plant(20_000, 20)
	o := options()
	o.FebrileCelsius = 38
	truth, err := Evaluate(all, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Evaluate(read, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	o.People = people
	sampled, err := Evaluate(read, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	offset, wrong := sampled.Offsets[0].OffsetCelsius, plain.Offsets[0].OffsetCelsius
	if want := truth.Offsets[0].OffsetCelsius.Value; want < offset.Low || want > offset.High || want < wrong.High && want > wrong.Low {
		t.Errorf("offset %+v of all %.3f; of the pairs as they are %+v", offset, want, wrong)
	}
	if math.Abs(sampled.AUC.Value-truth.AUC.Value) > 0.03 {
		t.Errorf("area %+v, of all %+v", sampled.AUC, truth.AUC)
	}
	for i, p := range sampled.Policies {
		for _, rate := range []struct {
			name        string
			found, true *Rate
		}{{"sensitivity", p.Sensitivity, truth.Policies[i].Sensitivity}, {"specificity", p.Specificity, truth.Policies[i].Specificity}} {
			const close = 0.01 // the group of all is not that of the few
			if rate.true.Value < rate.found.Low-close || rate.true.Value > rate.found.High+close {
				t.Errorf("%s of %s %+v, of all %+v", rate.name, p.Policy, rate.found.Interval, rate.true.Interval)
			}
		}
	}
	v, alerted := o.Verdicts(read), make([]bool, len(all))
	for i, p := range all {
		alerted[i] = p.Outcome == event.Alert
	}
	sensitivity, specificity := o.rates(all, alerted)
	if sensitivity.Value < v.Sensitivity.Low || sensitivity.Value > v.Sensitivity.High || specificity.Value < v.Specificity.Low || specificity.Value > v.Specificity.High {
		t.Errorf("%+v and %+v, of all %.3f and %.3f", v.Sensitivity, v.Specificity, sensitivity.Value, specificity.Value)
	}
}

// TestUnread says nothing of people nobody was read of, and little where few were.
func TestUnread(t *testing.T) {
	_, read, people := plant(20_000, 20_000_000)
	o := Options{Config: policy.DefaultConfig(), FebrileCelsius: 38, PeoplePerDay: 1000, People: people}
	read = kept(read, func(p Pair) bool { return p.Outcome == event.Alert })
	if v := o.Verdicts(read); v.Sensitivity != nil || v.Specificity != nil || v.Passes != nil || v.Alerts == nil || v.Needed == 0 {
		t.Errorf("of alerts alone: %+v", v)
	}
	needed := o.Verdicts(read).Needed
	healthy := func(n int) []Pair {
		some := read
		for range n {
			some = append(some, Pair{Site: event.InnerCanthus, SkinCelsius: 35, OralCelsius: 36.8, Outcome: event.Pass})
		}
		return some
	}
	few, enough := o.Verdicts(healthy(20)).Sensitivity, o.Verdicts(healthy(needed)).Sensitivity
	if few.Value != 1 || few.Low > 0.5 || enough.Low < ProvenSensitivity-0.03 {
		t.Errorf("20 who passed without a fever: %+v; %d: %+v", few, needed, enough)
	}
}

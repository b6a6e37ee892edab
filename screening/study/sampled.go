package study

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"thermogate/screening/event"
	"thermogate/screening/policy"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// weighted are values and how many people each stands for.
type weighted struct{ values, weights []float64 }

func (w *weighted) add(value, weight float64) {
	w.values, w.weights = append(w.values, value), append(w.weights, weight)
}

func weightless(values []float64) *weighted {
	return &weighted{values, slices.Repeat([]float64{1}, len(values))}
}

// weights are how many people each pair stands for.
func (o Options) weights(pairs []Pair) []float64 {
	read := map[event.Outcome]int{}
	for _, p := range pairs {
		read[p.Outcome]++
	}
	weights := make([]float64, len(pairs))
	for i, p := range pairs {
		weights[i] = 1
		if o.People != nil {
			weights[i] = max(1, float64(o.People[p.Outcome])/float64(read[p.Outcome]))
		}
	}
	return weights
}

// effective is how many people of a fair sample would tell as much (Kish 1965). From then on the weights add up to it.
func (w *weighted) effective() float64 {
	var sum, squares float64
	for _, weight := range w.weights {
		sum += weight
		squares += weight * weight
	}
	for i := range w.weights {
		w.weights[i] *= sum / squares
	}
	return sum * sum / squares
}

// meanVariance is the variance of a mean.
func (w *weighted) meanVariance() float64 {
	n := w.effective()
	if n <= 1 || len(w.values) < 2 {
		return 0
	}
	return stat.Variance(w.values, w.weights) / n
}

func (w *weighted) median() float64 {
	d := w.distribution()
	middle := func(share float64) float64 {
		i, _ := slices.BinarySearch(d.share, share)
		return d.values[min(i, len(d.values)-1)]
	}
	const rounding = 1e-9
	return (middle(0.5-rounding) + middle(0.5+rounding)) / 2
}

// distribution are values in order, and what share of people has each or less.
type distribution struct{ values, share []float64 }

func (w *weighted) distribution() distribution {
	d := distribution{slices.Clone(w.values), slices.Clone(w.weights)}
	sort.Sort(d)
	sum := 0.0
	for i, weight := range d.share {
		sum += weight
		d.share[i] = sum
	}
	for i := range d.share {
		d.share[i] /= sum
	}
	return d
}

func (d distribution) Len() int           { return len(d.values) }
func (d distribution) Less(i, j int) bool { return d.values[i] < d.values[j] }
func (d distribution) Swap(i, j int) {
	d.values[i], d.values[j] = d.values[j], d.values[i]
	d.share[i], d.share[j] = d.share[j], d.share[i]
}

// below is the share of people who have less than x.
func (d distribution) below(x float64) float64 {
	if n, _ := slices.BinarySearch(d.values, x); n > 0 {
		return d.share[n-1]
	}
	return 0
}

// places are how many are below each, those at it by half.
func (d distribution) places(values []float64) []float64 {
	places := make([]float64, len(values))
	for i, x := range values {
		places[i] = (d.below(x) + d.below(math.Nextafter(x, math.Inf(1)))) / 2
	}
	return places
}

// cells are people with an outcome: by febrile or not, and by alert or not.
type cells [2][2]float64

// draws is how often people who were not read are made up; seed is the same every time, so that a study repeats.
const draws, seed = 2000, 1

// population are the people that pairs stand for, once for the best guess and draws times for what may as well be. Those who
// were not read are like those with the same outcome who were, as far as that tells: what was not seen in 50 readings may
// well be true of one person in 100, and this weighs the more, the more people there are that nobody read. given says that
// alerted are the outcomes themselves.
func (o Options) population(pairs []Pair, alerted []bool, given bool) (guess cells, drawn []cells) {
	read := map[event.Outcome]*cells{}
	for i, p := range pairs {
		if read[p.Outcome] == nil {
			read[p.Outcome] = &cells{}
		}
		read[p.Outcome][count(o.febrile(p))][count(alerted[i])]++
	}
	drawn = make([]cells, draws)
	source := rand.NewPCG(seed, seed)
	for _, outcome := range []event.Outcome{event.Alert, event.Pass, event.Inconclusive} {
		seen := read[outcome]
		if seen == nil {
			continue
		}
		n := seen[0][0] + seen[0][1] + seen[1][0] + seen[1][1]
		rest := max(0, float64(o.People[outcome])-n)
		var likely [2][2]distuv.Gamma // of which the shares are a Dirichlet distribution
		for ill := range 2 {
			for alert := range 2 {
				guess[ill][alert] += seen[ill][alert] * (1 + rest/n)
				prior := 0.25 // a person in all four (Perks 1947)
				if given {
					prior = 0.5
				}
				likely[ill][alert] = distuv.Gamma{Alpha: prior + seen[ill][alert], Beta: 1, Src: source}
			}
		}
		for k := range drawn {
			var shares cells
			sum := 0.0
			for ill := range 2 {
				for alert := range 2 {
					if !given || (alert == 1) == (outcome == event.Alert) {
						shares[ill][alert] = likely[ill][alert].Rand()
						sum += shares[ill][alert]
					}
				}
			}
			for ill := range 2 {
				for alert := range 2 {
					drawn[k][ill][alert] += seen[ill][alert] + rest*shares[ill][alert]/sum
				}
			}
		}
	}
	return guess, drawn
}

func (c cells) sensitivity() float64 { return c[1][1] / (c[1][0] + c[1][1]) }
func (c cells) specificity() float64 { return c[0][0] / (c[0][0] + c[0][1]) }

// likely is a figure of the best guess and the middle 95 of 100 of what may as well be.
func likely(guess cells, drawn []cells, figure func(cells) float64) *Interval {
	value := figure(guess)
	if math.IsNaN(value) {
		return nil
	}
	var all []float64
	for _, one := range drawn {
		all = append(all, figure(one))
	}
	slices.Sort(all)
	return &Interval{value, min(value, all[len(all)*25/1000]), max(value, all[len(all)*975/1000])}
}

// extrapolate puts all people in the place of those who were read.
func (o Options) extrapolate(s *PolicyStudy, pairs []Pair, alerted []bool) {
	guess, drawn := o.population(pairs, alerted, false)
	for _, one := range []struct {
		rate   *Rate
		figure func(cells) float64
	}{{s.Sensitivity, cells.sensitivity}, {s.Specificity, cells.specificity}} {
		if found := likely(guess, drawn, one.figure); found != nil && one.rate != nil {
			one.rate.Interval = *found
		}
	}
	all := guess[0][0] + guess[0][1] + guess[1][0] + guess[1][1]
	s.PerDay = &Day{
		Alerts: o.PeoplePerDay * (guess[0][1] + guess[1][1]) / all, FalseAlerts: o.PeoplePerDay * guess[0][1] / all,
		Missed: o.PeoplePerDay * guess[1][0] / all,
	}
}

// Verdicts is how the outcomes as a gate gave them bore out. Intervals hold with 95 % confidence.
type Verdicts struct {
	Alerts *Rate // febrile among those with an alert who were read; nil where none was
	Passes *Rate // febrile among those who passed and were read all the same
	// Sensitivity and Specificity are of all People, by Begg and Greenes (1983). Nil unless some who passed were read.
	Sensitivity, Specificity *Interval
	// Needed is how many people who passed, by no selection, would have to be read without a fever among them to show a
	// sensitivity of ProvenSensitivity; 0 where there is no fever among the alerts.
	Needed int
}

// ProvenSensitivity is what Verdicts.Needed is about.
const ProvenSensitivity = 0.8

// Verdicts works out how the outcomes bore out that pairs were given.
func (o Options) Verdicts(pairs []Pair) Verdicts {
	var read, febrile = map[event.Outcome]int{}, map[event.Outcome]int{}
	alerted := make([]bool, len(pairs))
	for i, p := range pairs {
		read[p.Outcome]++
		febrile[p.Outcome] += count(o.febrile(p))
		alerted[i] = p.Outcome == event.Alert
	}
	v := Verdicts{Alerts: wilson(febrile[event.Alert], read[event.Alert]), Passes: wilson(febrile[event.Pass], read[event.Pass])}
	if v.Passes != nil {
		guess, drawn := o.population(pairs, alerted, true)
		v.Sensitivity, v.Specificity = likely(guess, drawn, cells.sensitivity), likely(guess, drawn, cells.specificity)
	}
	if v.Alerts != nil && v.Alerts.Count > 0 {
		caught := v.Alerts.Value * float64(o.People[event.Alert])
		missed := caught * (1 - ProvenSensitivity) / ProvenSensitivity
		v.Needed = int(math.Ceil(3 * float64(o.People[event.Pass]) / missed)) // 3/n is the upper bound of a share never seen in n
	}
	return v
}

// RateOf is a share and its interval (Wilson 1927), nil of nobody.
func RateOf(count, of int) *Rate { return wilson(count, of) }

// Valid tells whether a pair is of a site that is known and of temperatures that a living person has.
func (p Pair) Valid() bool {
	return isSite(p.Site) && p.SkinCelsius >= leastSkin && p.SkinCelsius <= mostSkin && p.OralCelsius >= leastOral && p.OralCelsius <= mostOral
}

// BodyCelsius is body temperature by the offset of a config.
func (p Pair) BodyCelsius(c policy.Config) float64 {
	return event.Hundredths(p.SkinCelsius + c.Offset(p.Site))
}

// Points are those of the Bland–Altman plot of pairs that are too few for more, or of too few kinds.
func Points(pairs []Pair, c policy.Config) []Agreement {
	points := make([]Agreement, len(pairs))
	for i, p := range pairs {
		body := p.BodyCelsius(c)
		points[i] = Agreement{(body + p.OralCelsius) / 2, body - p.OralCelsius, p.Outcome}
	}
	return points
}

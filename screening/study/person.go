package study

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// byPerson is a figure as the mean over cameras, and what each person adds to it: the standard error is that of a sum over
// people, however often each was measured (Obuchowski 1997).
type byPerson struct {
	pairs   []Pair
	ill     []bool
	cameras []cameraPairs
	value   float64
	parts   map[string]float64
}

type cameraPairs struct {
	name  string
	pairs []int // indices
}

// newByPerson knows the cameras that saw febrile people and others.
func newByPerson(pairs []Pair, ill []bool) *byPerson {
	b := &byPerson{pairs: pairs, ill: ill, parts: map[string]float64{}}
	byCamera, febrile := map[string][]int{}, map[string]int{}
	for i, p := range pairs {
		byCamera[p.Camera] = append(byCamera[p.Camera], i)
		febrile[p.Camera] += count(ill[i])
	}
	for name, of := range byCamera {
		if n := febrile[name]; n > 0 && n < len(of) {
			b.cameras = append(b.cameras, cameraPairs{name, of})
		}
	}
	slices.SortFunc(b.cameras, func(a, b cameraPairs) int { return cmp.Compare(a.name, b.name) })
	return b
}

// add takes one camera's mean over some of its pairs, given for each.
func (b *byPerson) add(of []int, values []float64) float64 {
	mean := stat.Mean(values, nil)
	cameras := float64(len(b.cameras))
	b.value += mean / cameras
	b.spread(of, values, mean)
	return mean
}

func (b *byPerson) spread(of []int, values []float64, mean float64) {
	for k, i := range of {
		b.parts[b.pairs[i].person()] += (values[k] - mean) / float64(len(of)) / float64(len(b.cameras))
	}
}

// discriminate adds the area under the ROC of a score, and returns it.
func (b *byPerson) discriminate(c cameraPairs, score []float64) float64 {
	var who [2][]int
	var scores [2][]float64
	for _, i := range c.pairs {
		who[count(b.ill[i])] = append(who[count(b.ill[i])], i)
		scores[count(b.ill[i])] = append(scores[count(b.ill[i])], score[i])
	}
	illPlaces, wellPlaces := placements(scores[1], scores[0])
	area := b.add(who[1], illPlaces)
	b.spread(who[0], wellPlaces, area)
	return area
}

// share adds how many of the febrile had an alert, or of the others none, and returns it.
func (b *byPerson) share(c cameraPairs, alert []bool, ill bool) float64 {
	var who []int
	var right []float64
	for _, i := range c.pairs {
		if b.ill[i] == ill {
			who, right = append(who, i), append(right, float64(count(alert[i] == ill)))
		}
	}
	return b.add(who, right)
}

// plus is the sum of two figures, the other one times a sign.
func (b *byPerson) plus(other *byPerson, sign float64) *byPerson {
	sum := &byPerson{value: b.value + sign*other.value, parts: map[string]float64{}}
	for person, part := range b.parts {
		sum.parts[person] += part
	}
	for person, part := range other.parts {
		sum.parts[person] += sign * part
	}
	return sum
}

func (b *byPerson) interval(least, most float64) *Interval {
	var variance float64
	for _, part := range b.parts {
		variance += part * part
	}
	half := 1.96 * math.Sqrt(variance)
	return &Interval{b.value, max(least, b.value-half), min(most, b.value+half)}
}

// meanError is the mean of the differences of some, nil where there are too few for an interval.
func meanError(pairs []Pair, differences []float64, of func(Pair) bool) *Interval {
	b := &byPerson{pairs: pairs, cameras: make([]cameraPairs, 1), parts: map[string]float64{}}
	var who []int
	var values []float64
	for i, p := range pairs {
		if of(p) {
			who, values = append(who, i), append(values, differences[i])
		}
	}
	if len(who) < 2 {
		return nil
	}
	b.add(who, values)
	return b.interval(math.Inf(-1), math.Inf(1))
}

package study

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// cohort is pairs with whom each is of, by camera.
type cohort struct {
	ill     []bool
	person  []int // of each pair
	people  int
	cameras []cameraPairs // that saw febrile people and others
}

type cameraPairs struct {
	name  string
	pairs []int // indices
}

func newCohort(pairs []Pair, ill []bool) *cohort {
	c := &cohort{ill: ill}
	known := map[string]int{}
	byCamera, febrile := map[string][]int{}, map[string]int{}
	for i, p := range pairs {
		who, seen := known[p.person()]
		if !seen {
			who = len(known)
			known[p.person()] = who
		}
		c.person = append(c.person, who)
		byCamera[p.Camera] = append(byCamera[p.Camera], i)
		febrile[p.Camera] += count(ill[i])
	}
	c.people = len(known)
	for name, of := range byCamera {
		if n := febrile[name]; n > 0 && n < len(of) {
			c.cameras = append(c.cameras, cameraPairs{name, of})
		}
	}
	slices.SortFunc(c.cameras, func(a, b cameraPairs) int { return cmp.Compare(a.name, b.name) })
	return c
}

// figure is a mean over cameras, and what each person adds to it: its standard error is that of a sum over people, however
// often each was measured (Obuchowski 1997).
type figure struct {
	*cohort
	value float64
	parts []float64
}

func (c *cohort) figure() *figure { return &figure{cohort: c, parts: make([]float64, c.people)} }

// add takes one camera's mean over some of its pairs, given for each, as one of so many cameras.
func (f *figure) add(of []int, values []float64, cameras int) float64 {
	mean := stat.Mean(values, nil)
	f.value += mean / float64(cameras)
	f.spread(of, values, mean, cameras)
	return mean
}

func (f *figure) spread(of []int, values []float64, mean float64, cameras int) {
	for k, i := range of {
		f.parts[f.person[i]] += (values[k] - mean) / float64(len(of)) / float64(cameras)
	}
}

// discriminate adds the area under the ROC of a score, and returns it.
func (f *figure) discriminate(c cameraPairs, score []float64) float64 {
	var who [2][]int
	var scores [2][]float64
	for _, i := range c.pairs {
		who[count(f.ill[i])] = append(who[count(f.ill[i])], i)
		scores[count(f.ill[i])] = append(scores[count(f.ill[i])], score[i])
	}
	illPlaces, wellPlaces := placements(scores[1], scores[0])
	area := f.add(who[1], illPlaces, len(f.cameras))
	f.spread(who[0], wellPlaces, area, len(f.cameras))
	return area
}

// share adds how many of the febrile had an alert, or of the others none, and returns it.
func (f *figure) share(c cameraPairs, alert []bool, ill bool) float64 {
	var who []int
	var right []float64
	for _, i := range c.pairs {
		if f.ill[i] == ill {
			who, right = append(who, i), append(right, float64(count(alert[i] == ill)))
		}
	}
	return f.add(who, right, len(f.cameras))
}

// plus is the sum of two figures, the other one times a sign.
func (f *figure) plus(other *figure, sign float64) *figure {
	sum := f.cohort.figure()
	sum.value = f.value + sign*other.value
	for i := range sum.parts {
		sum.parts[i] = f.parts[i] + sign*other.parts[i]
	}
	return sum
}

func (f *figure) interval(least, most float64) *Interval {
	var variance float64
	for _, part := range f.parts {
		variance += part * part
	}
	half := 1.96 * math.Sqrt(variance)
	return &Interval{f.value, max(least, f.value-half), min(most, f.value+half)}
}

// meanOf is the mean of some of the values given for each pair, nil where there are too few for an interval.
func (c *cohort) meanOf(values []float64, of func(pair int) bool) *Interval {
	var who []int
	var some []float64
	for i, v := range values {
		if of(i) {
			who, some = append(who, i), append(some, v)
		}
	}
	if len(who) < 2 {
		return nil
	}
	f := c.figure()
	f.add(who, some, 1)
	return f.interval(math.Inf(-1), math.Inf(1))
}

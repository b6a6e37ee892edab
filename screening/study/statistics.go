package study

import (
	"cmp"
	"math"
	"slices"

	"thermogate/screening/event"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a value and its 95 % confidence interval.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Rate is a share of people and its Wilson interval.
type Rate struct {
	Count int `json:"count"`
	Of    int `json:"of"`
	Interval
}

func (o Options) offsets(pairs []Pair) []OffsetStudy {
	bySource := map[source]*weighted{}
	weights := o.weights(pairs)
	for i, p := range pairs {
		if bySource[p.source()] == nil {
			bySource[p.source()] = &weighted{}
		}
		bySource[p.source()].add(p.OralCelsius-p.SkinCelsius, weights[i])
	}
	var all []OffsetStudy
	for k, differences := range bySource {
		n := differences.effective()
		mean, spread := stat.MeanStdDev(differences.values, differences.weights)
		t := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975)
		half := t * spread / math.Sqrt(n)
		bias := o.Config.Offset(k.site) - mean
		// The standard error of a limit of agreement is about √(3/n) standard deviations.
		limitHalf := t * spread * math.Sqrt(3/n)
		all = append(all, OffsetStudy{
			Camera: k.camera, Site: k.site, Pairs: len(differences.values),
			OffsetCelsius: around(mean, half),
			SpreadCelsius: spread,
			BiasCelsius:   around(bias, half),
			LowerLimit:    around(bias-1.96*spread, limitHalf),
			UpperLimit:    around(bias+1.96*spread, limitHalf),
		})
	}
	slices.SortFunc(all, func(a, b OffsetStudy) int {
		return cmp.Or(cmp.Compare(a.Camera, b.Camera), cmp.Compare(b.Pairs, a.Pairs), cmp.Compare(a.Site, b.Site))
	})
	return all
}

func around(value, half float64) Interval { return Interval{value, value - half, value + half} }

// ambientSlope is how much more of an offset each degree of ambient temperature makes, by least squares.
func (o Options) ambientSlope(pairs []Pair) *Interval {
	var x, y weighted
	for i, weight := range o.weights(pairs) {
		if p := pairs[i]; !math.IsNaN(p.AmbientCelsius) {
			x.add(p.AmbientCelsius, weight)
			y.add(p.OralCelsius-p.SkinCelsius, weight)
		}
	}
	if len(x.values) < 3 || slices.Max(x.values) == slices.Min(x.values) {
		return nil
	}
	n, rest := x.effective(), 0.0
	intercept, slope := stat.LinearRegression(x.values, y.values, x.weights, false)
	for i := range x.values {
		r := y.values[i] - intercept - slope*x.values[i]
		rest += x.weights[i] * r * r
	}
	if n <= 2 {
		return nil
	}
	_, spread := stat.MeanStdDev(x.values, x.weights)
	se := math.Sqrt(rest/(n-2)) / (spread * math.Sqrt(n-1))
	slopeInterval := around(slope, se*distuv.StudentsT{Sigma: 1, Nu: n - 2}.Quantile(0.975))
	return &slopeInterval
}

// roc is the curve of body temperature by the offsets in use, and the area under it with the interval of DeLong et al.
// (1988).
func (o Options) roc(pairs []Pair) ([]ROCPoint, *Interval) {
	var ill, well weighted
	weights := o.weights(pairs)
	for i, p := range pairs {
		body := event.Hundredths(p.SkinCelsius + o.Config.Offset(p.Site))
		if o.febrile(p) {
			ill.add(body, weights[i])
		} else {
			well.add(body, weights[i])
		}
	}
	if len(ill.values) == 0 || len(well.values) == 0 {
		return nil, nil
	}
	ofIll, ofWell := ill.distribution(), well.distribution()
	levels := slices.Compact(slices.Sorted(slices.Values(slices.Concat(ill.values, well.values))))
	var points []ROCPoint
	for _, level := range levels {
		points = append(points, ROCPoint{level, 1 - ofIll.below(level), 1 - ofWell.below(level)})
	}
	ill.values, well.values = ofWell.places(ill.values), ofIll.places(well.values)
	for i, place := range well.values {
		well.values[i] = 1 - place
	}
	illPeople, wellPeople := ill.effective(), well.effective()
	area := stat.Mean(ill.values, ill.weights)
	const rounding = 1e-12
	if area > 1-rounding {
		// Nothing overlaps, so there is no variance to estimate; the fewer people, the less that says.
		few := int(math.Round(min(illPeople, wellPeople)))
		return points, &Interval{1, wilson(few, few).Low, 1}
	}
	se := math.Sqrt(ill.meanVariance() + well.meanVariance())
	return points, &Interval{area, max(0, area-1.96*se), min(1, area+1.96*se)}
}

// placements are of each person how large a share of the other kind is on the right side.
func placements(ill, well []float64) (illPlaces, wellPlaces []float64) {
	illPlaces, wellPlaces = weightless(well).distribution().places(ill), weightless(ill).distribution().places(well)
	for i, place := range wellPlaces {
		wellPlaces[i] = 1 - place
	}
	return illPlaces, wellPlaces
}

// wilson is the score interval of a share (Wilson 1927), nil of nobody.
func wilson(k, n int) *Rate {
	if n == 0 {
		return nil
	}
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return &Rate{Count: k, Of: n, Interval: Interval{p, max(0, centre-half), min(1, centre+half)}}
}

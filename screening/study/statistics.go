package study

import (
	"cmp"
	"math"
	"slices"

	"thermogate/screening/event"
	"thermogate/screening/policy"

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

func offsets(pairs []Pair, c policy.Config) []OffsetStudy {
	bySource := map[source][]float64{}
	for _, p := range pairs {
		bySource[p.source()] = append(bySource[p.source()], p.OralCelsius-p.SkinCelsius)
	}
	var all []OffsetStudy
	for k, differences := range bySource {
		n := float64(len(differences))
		mean, spread := stat.MeanStdDev(differences, nil)
		t := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975)
		half := t * spread / math.Sqrt(n)
		bias := c.Offset(k.site) - mean
		// The standard error of a limit of agreement is about √(3/n) standard deviations.
		limitHalf := t * spread * math.Sqrt(3/n)
		all = append(all, OffsetStudy{
			Camera: k.camera, Site: k.site, Pairs: len(differences),
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
func ambientSlope(pairs []Pair) *Interval {
	var x, y []float64
	for _, p := range pairs {
		if !math.IsNaN(p.AmbientCelsius) {
			x, y = append(x, p.AmbientCelsius), append(y, p.OralCelsius-p.SkinCelsius)
		}
	}
	if len(x) < 3 || slices.Max(x) == slices.Min(x) {
		return nil
	}
	intercept, slope := stat.LinearRegression(x, y, nil, false)
	n, rest := float64(len(x)), 0.0
	for i := range x {
		r := y[i] - intercept - slope*x[i]
		rest += r * r
	}
	_, spread := stat.MeanStdDev(x, nil)
	se := math.Sqrt(rest/(n-2)) / (spread * math.Sqrt(n-1))
	slopeInterval := around(slope, se*distuv.StudentsT{Sigma: 1, Nu: n - 2}.Quantile(0.975))
	return &slopeInterval
}

// roc is the curve of body temperature by the offsets in use, and the area under it with the interval of DeLong et al.
// (1988).
func (o Options) roc(pairs []Pair) ([]ROCPoint, *Interval) {
	var ill, well []float64
	for _, p := range pairs {
		body := event.Hundredths(p.SkinCelsius + o.Config.Offset(p.Site))
		if o.febrile(p) {
			ill = append(ill, body)
		} else {
			well = append(well, body)
		}
	}
	if len(ill) == 0 || len(well) == 0 {
		return nil, nil
	}
	slices.Sort(ill)
	slices.Sort(well)
	levels := slices.Compact(slices.Sorted(slices.Values(slices.Concat(ill, well))))
	var points []ROCPoint
	for _, level := range levels {
		points = append(points, ROCPoint{level, 1 - shareBelow(ill, level), 1 - shareBelow(well, level)})
	}
	illPlaces, wellPlaces := placements(ill, well)
	area := stat.Mean(illPlaces, nil)
	if area == 1 {
		// Nothing overlaps, so there is no variance to estimate; the fewer people, the less that says.
		return points, &Interval{1, wilson(min(len(ill), len(well)), min(len(ill), len(well))).Low, 1}
	}
	se := math.Sqrt(meanVariance(illPlaces) + meanVariance(wellPlaces))
	return points, &Interval{area, max(0, area-1.96*se), min(1, area+1.96*se)}
}

// placements are of each person how large a share of the other kind is on the right side.
func placements(ill, well []float64) (illPlaces, wellPlaces []float64) {
	sortedIll, sortedWell := slices.Sorted(slices.Values(ill)), slices.Sorted(slices.Values(well))
	for _, x := range ill {
		illPlaces = append(illPlaces, (shareBelow(sortedWell, x)+shareBelow(sortedWell, math.Nextafter(x, math.Inf(1))))/2)
	}
	for _, x := range well {
		wellPlaces = append(wellPlaces, 1-(shareBelow(sortedIll, x)+shareBelow(sortedIll, math.Nextafter(x, math.Inf(1))))/2)
	}
	return illPlaces, wellPlaces
}

// shareBelow is how much of a sorted list is less than x.
func shareBelow(sorted []float64, x float64) float64 {
	n, _ := slices.BinarySearch(sorted, x)
	return float64(n) / float64(len(sorted))
}

// meanVariance is the variance of a mean.
func meanVariance(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	return stat.Variance(values, nil) / float64(len(values))
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

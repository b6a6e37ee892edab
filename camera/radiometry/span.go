package radiometry

import (
	"fmt"
	"math"
)

// Where people are screened a picture lies within these bounds, nearly all of it: from the wall of a cold store to a lamp.
const leastCelsius, mostCelsius = -20, 120

// Ordinary reports whether something where people are screened may be that warm.
func Ordinary(celsius float64) bool { return celsius >= leastCelsius && celsius <= mostCelsius }

// Span is how far the temperatures of a picture reach.
type Span struct {
	LowestCelsius  float64 `json:"lowest_celsius"`
	MedianCelsius  float64 `json:"median_celsius"`
	HighestCelsius float64 `json:"highest_celsius"`
}

func (s Span) String() string {
	return fmt.Sprintf("lowest %.1f, median %.1f, highest %.1f °C", s.LowestCelsius, s.MedianCelsius, s.HighestCelsius)
}

// Span returns how far the temperatures of a picture reach, and an error that names the units which would fit where most of
// them can't be true: lie outside of -20 to 120 °C. A relative scale gives no temperatures; its Span is zero and never wrong.
func (s Scale) Span(counts []uint16) (Span, error) {
	if s.relative || len(counts) == 0 {
		return Span{}, nil
	}
	lowest, median, highest := quantile(counts, 0), quantile(counts, 0.5), quantile(counts, 1-0.5/float64(len(counts)))
	span := Span{float64(s.table[lowest]), float64(s.table[median]), float64(s.table[highest])}
	within := 0
	for _, c := range counts {
		if Ordinary(float64(s.table[c])) {
			within++
		}
	}
	if 2*within >= len(counts) {
		return span, nil
	}
	return span, fmt.Errorf("by %s most of the picture would lie outside of %d to %d °C (%s); %s",
		s.units, leastCelsius, mostCelsius, span, advise(float64(median)))
}

// advise names the units by which a picture with this median count is nearest to a room.
func advise(median float64) string {
	const ordinaryCelsius = 25
	best, nearest := "", math.Inf(1)
	consider := func(units string, scale Linear) {
		celsius := scale.Celsius(median)
		if off := math.Abs(celsius - ordinaryCelsius); off < nearest && Ordinary(celsius) {
			best, nearest = fmt.Sprintf("%s would fit (median %.1f °C)", units, celsius), off
		}
	}
	for units, scale := range named() {
		consider("units "+units, scale)
	}
	// FLIR Boson at low gain, Optris PI, hundredths of a degree Celsius.
	for _, scale := range []Linear{FromAbsoluteZero(0.02), {0.1, -100}, {0.01, 0}} {
		consider(scale.String(), scale)
	}
	if best == "" {
		return "no known units would fit: if these are raw counts, set the camera's calibration (camera.planck), or units counts to find faces only"
	}
	return best
}

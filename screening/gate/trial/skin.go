package trial

import (
	"math"

	"gonum.org/v1/gonum/stat"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

// Skin tells what the skin temperatures that were published of inner canthi are worth.
type Skin struct {
	Readings         int     `json:"readings"`
	ErrorCelsius     float64 `json:"error_celsius"`     // mean of published less true
	DeviationCelsius float64 `json:"deviation_celsius"` // standard deviation of that
	Slope            float64 `json:"slope"`             // of published against true, by least squares: below 1 they are squeezed
	Covered          float64 `json:"covered"`           // share of the stated 95 % intervals that hold the true one
}

// leastRead readings make a slope, and a share to the nearest few hundredths.
const leastRead = 20

// skinRead is one reading, °C; half is half the width of its interval.
type skinRead struct{ published, half, truth float64 }

func (s *Score) readSkin(d *event.Data, who int, people []simulator.Person) {
	if d.SkinCelsius == nil || d.SkinUncertaintyCelsius == nil || d.SkinSite != event.InnerCanthus {
		return
	}
	for i := range people {
		if people[i].Who == who {
			s.skin = append(s.skin, skinRead{*d.SkinCelsius, *d.SkinUncertaintyCelsius, people[i].SkinCelsius})
			return
		}
	}
}

func newSkin(readings []skinRead) *Skin {
	if len(readings) < leastRead {
		return nil
	}
	var published, truth, off []float64
	covered := 0
	for _, r := range readings {
		published, truth, off = append(published, r.published), append(truth, r.truth), append(off, r.published-r.truth)
		if math.Abs(r.published-r.truth) <= r.half {
			covered++
		}
	}
	hundredths := func(v float64) float64 { return math.Round(v*100) / 100 }
	mean, deviation := stat.MeanStdDev(off, nil)
	_, slope := stat.LinearRegression(truth, published, nil, false)
	return &Skin{
		Readings: len(readings), ErrorCelsius: hundredths(mean), DeviationCelsius: hundredths(deviation),
		Slope: hundredths(slope), Covered: hundredths(float64(covered) / float64(len(readings))),
	}
}

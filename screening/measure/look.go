package measure

import (
	"math"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/rank"
)

// Look gathers the readings of one person while they stand in front of the camera. Its zero value is an empty look.
type Look struct {
	readings []looked
	scratch  []float64
}

type looked struct {
	Reading
	at time.Time
}

// Estimate is what a look has come to.
type Estimate struct {
	// SkinCelsius is the weighted mean over the frames of one site, without outliers.
	SkinCelsius float64
	// NoiseCelsius is the standard uncertainty of that mean from what changes from frame to frame; SystematicCelsius of
	// what all frames share.
	NoiseCelsius, SystematicCelsius float64
	Site                            event.Site
	// FaceCelsius is the mean over the frames that tell, NaN where fewer than half do.
	FaceCelsius float64
	// Masked is true where a mask hides nose and cheeks, which tell best of the cold.
	Masked bool
	// ChillCelsius is by how much the canthi seem to be colder than indoors, ChillUncertainty its standard uncertainty; NaN
	// where nothing tells.
	ChillCelsius, ChillUncertainty float64
	// Bare is true where nothing covered part of the site in most frames.
	Bare bool
	// Frames is how many readings the mean rests on.
	Frames int
	From   time.Time
	To     time.Time
}

// HalfWidthCelsius is half the width of the 95 % interval.
func (e Estimate) HalfWidthCelsius() float64 {
	return 1.96 * math.Hypot(e.NoiseCelsius, e.SystematicCelsius)
}

const (
	// lookWindow is how far back a look reaches, lookFrames bounds its memory: the newest readings count.
	lookWindow = 2 * time.Second
	lookFrames = 128
	// priorFrames is how many frames' worth the stated noise of a reading counts against the scatter that was seen.
	priorFrames = 4
	// correlation of neighbouring frames' errors: landmarks and pose change slowly. What changes over seconds is in the
	// systematic part.
	correlation = 0.6
	// canthusShare is the part of a look's frames that must show the canthi for them to be its site.
	canthusShare = 0.4
	// outlier is how many stated standard uncertainties from the median a reading may be.
	outlier = 4
	// priorWander, °C, is how far readings of one person wander in a look.
	priorWander = 0.1
)

// Add takes the next reading of this person. A reading with a problem is left out.
func (l *Look) Add(r Reading, at time.Time) {
	if r.Problem != event.NoProblem {
		return
	}
	l.readings = slices.DeleteFunc(l.readings, func(r looked) bool { return at.Sub(r.at) > lookWindow })
	if len(l.readings) == lookFrames {
		l.readings = slices.Delete(l.readings, 0, 1)
	}
	l.readings = append(l.readings, looked{r, at})
}

// Join adds the readings of another look, which came later, at the same person.
func (l *Look) Join(later *Look) {
	for _, r := range later.readings {
		l.Add(r.Reading, r.at)
	}
}

// Reset empties the look for another person.
func (l *Look) Reset() { l.readings = l.readings[:0] }

// Estimate returns what the readings come to; with no Frames where there are none. Readings count by the inverse square
// of their noise, so a face that has come to a stand outweighs its own approach.
func (l *Look) Estimate() Estimate {
	site := l.site()
	median := l.median(site)
	e := Estimate{Site: site}
	var weights, scatter, systematic float64
	var cold told
	bare, warm := 0, 0.0
	for _, r := range l.readings {
		if r.Site != site || math.Abs(r.SkinCelsius-median) > outlier*math.Hypot(r.NoiseCelsius, priorWander) {
			continue
		}
		if e.Frames == 0 {
			e.From = r.at
		}
		e.To = r.at
		e.Frames++
		if r.Bare {
			bare++
		}
		// The weighted mean and scatter, reading by reading (West 1979).
		weight := 1 / sq(r.NoiseCelsius)
		weights += weight
		step := r.SkinCelsius - e.SkinCelsius
		e.SkinCelsius += step * weight / weights
		scatter += weight * step * (r.SkinCelsius - e.SkinCelsius)
		systematic += weight * sq(r.SystematicCelsius)
		if !math.IsNaN(r.FaceCelsius) {
			warm++
			e.FaceCelsius += (r.FaceCelsius - e.FaceCelsius) / warm
		}
		cold.add(r.Reading)
	}
	if e.Frames == 0 {
		return Estimate{}
	}
	e.Masked = cold.hidden()
	e.ChillCelsius, e.ChillUncertainty = cold.chill(site)
	e.Bare = 2*bare > e.Frames
	if 2*warm <= float64(e.Frames) {
		e.FaceCelsius = math.NaN()
	}
	n := float64(e.Frames)
	// The stated noise, corrected by the scatter that was seen (Birge ratio).
	ratio := (priorFrames + scatter) / (priorFrames + n - 1)
	fewer := min(n, (1+correlation)/(1-correlation))
	e.NoiseCelsius = math.Sqrt(ratio * fewer / weights)
	e.SystematicCelsius = math.Sqrt(systematic / weights)
	return e
}

// median of the readings of one site.
func (l *Look) median(site event.Site) float64 {
	l.scratch = l.scratch[:0]
	for _, r := range l.readings {
		if r.Site == site {
			l.scratch = append(l.scratch, r.SkinCelsius)
		}
	}
	if len(l.scratch) == 0 {
		return 0
	}
	return rank.Nth(l.scratch, len(l.scratch)/2)
}

// site is the best site that enough frames show.
func (l *Look) site() event.Site {
	canthi, foreheads, faces := 0, 0, 0
	for _, r := range l.readings {
		switch r.Site {
		case event.InnerCanthus:
			canthi++
		case event.Forehead:
			foreheads++
		case event.WholeFace:
			faces++
		}
	}
	switch {
	case canthi > 0 && float64(canthi) >= canthusShare*float64(len(l.readings)):
		return event.InnerCanthus
	case foreheads > 0 && foreheads >= faces:
		return event.Forehead
	case faces > 0:
		return event.WholeFace
	}
	return event.InnerCanthus
}

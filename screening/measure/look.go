package measure

import (
	"math"
	"slices"
	"time"
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
	// SkinCelsius is the robust mean over the frames of one site.
	SkinCelsius float64
	// NoiseCelsius is the standard uncertainty of that mean from what changes from frame to frame; SystematicCelsius of
	// what all frames share.
	NoiseCelsius, SystematicCelsius float64
	Site                            Site
	NoseCelsius                     float64
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
	// lookFrames bounds the memory of a look; the newest readings count.
	lookFrames = 64
	// priorFrames is how many frames' worth the stated noise of a reading counts against the scatter that was seen.
	priorFrames = 4
	// correlation of neighbouring frames' errors: landmarks and pose change slowly.
	correlation = 0.6
	// canthusShare is the part of a look's frames that must show the canthi for them to be its site.
	canthusShare = 0.4
)

// Add takes the next reading of this person. A reading with a problem is left out.
func (l *Look) Add(r Reading, at time.Time) {
	if r.Problem != NoProblem {
		return
	}
	if len(l.readings) == lookFrames {
		l.readings = slices.Delete(l.readings, 0, 1)
	}
	l.readings = append(l.readings, looked{r, at})
}

// Reset empties the look for another person.
func (l *Look) Reset() { l.readings = l.readings[:0] }

// Estimate returns what the readings come to; with no Frames where there are none.
func (l *Look) Estimate() Estimate {
	site, n := l.site()
	if n == 0 {
		return Estimate{}
	}
	e := Estimate{Site: site, Frames: n}
	l.scratch = l.scratch[:0]
	var noise, systematic float64
	for _, r := range l.readings {
		if r.Site != site {
			continue
		}
		l.scratch = append(l.scratch, r.SkinCelsius)
		noise += sq(r.NoiseCelsius)
		systematic += sq(r.SystematicCelsius)
		e.NoseCelsius += r.NoseCelsius / float64(n)
		if e.From.IsZero() {
			e.From = r.at
		}
		e.To = r.at
	}
	slices.Sort(l.scratch)
	e.SkinCelsius = trimmedMean(l.scratch)
	var scatter float64
	for _, t := range l.scratch {
		scatter += sq(t - e.SkinCelsius)
	}
	variance := (priorFrames*noise/float64(n) + scatter) / (priorFrames + float64(n) - 1)
	independent := max(1, float64(n)*(1-correlation)/(1+correlation))
	e.NoiseCelsius = math.Sqrt(variance / independent)
	e.SystematicCelsius = math.Sqrt(systematic / float64(n))
	return e
}

// site is the best site that enough frames show, and how many do.
func (l *Look) site() (Site, int) {
	count := map[Site]int{}
	for _, r := range l.readings {
		count[r.Site]++
	}
	if n := count[InnerCanthus]; n > 0 && float64(n) >= canthusShare*float64(len(l.readings)) {
		return InnerCanthus, n
	}
	if count[Forehead] >= count[WholeFace] && count[Forehead] > 0 {
		return Forehead, count[Forehead]
	}
	if count[WholeFace] > 0 {
		return WholeFace, count[WholeFace]
	}
	return InnerCanthus, count[InnerCanthus]
}

// trimmedMean leaves out a fifth of the sorted values at either end.
func trimmedMean(sorted []float64) float64 {
	cut := len(sorted) / 5
	var sum float64
	for _, v := range sorted[cut : len(sorted)-cut] {
		sum += v
	}
	return sum / float64(len(sorted)-2*cut)
}

package policy

import (
	"math"
	"slices"

	"thermogate/screening/event"
)

const (
	// slack is how far below or above what is usual all people together may read, °C, and be well; enough is what has to come
	// together beyond it, person by person, for a shift. Nobody counts for more than mostApart below, or mostAbove: half of the
	// people may have a fever, and the others still read as usual.
	slack     = 0.3
	enough    = 4.0
	mostApart = 1.2
	mostAbove = 0.55
	// What is usual is that of usualPeople, at first a prior worth priorPeople.
	usualPeople = 900
	priorPeople = 4
	// firstPeople are needed for a level at a gate without a reference source, where no prior can be stated. Their readings
	// have to be as close together as those of well people: usualSpread, a standard deviation, is that of clinical data and
	// what chance adds to it in so few. While the gate is young its newest people have to stay so, up to mostSpread.
	firstPeople = 30
	usualSpread = 0.5
	mostSpread  = 0.6
	// youth is for how many people a gate begins anew by itself where it finds that its first people were no measure: a day's
	// worth. After that a person has to look at it.
	youth = 900
)

// Witness is what the people at a gate, all together, say of its camera and reference source.
type Witness struct {
	// People counts those who had a sure reading, UsualCelsius is what they read lately as inner canthi: unlike the baseline
	// whoever they were, and without what the cold has taken.
	People       int     `json:"people,omitempty"`
	UsualCelsius float64 `json:"usual_celsius,omitempty"`
	// BelowCelsius and AboveCelsius are the sums of how far each read below and above that, less slack (CUSUM; Page 1954).
	BelowCelsius float64 `json:"below_celsius,omitempty"`
	AboveCelsius float64 `json:"above_celsius,omitempty"`
	// Low and High are true from when one of these sums is enough until it is used up.
	Low  bool `json:"low,omitempty"`
	High bool `json:"high,omitempty"`
}

func (w Witness) shifted() bool { return w.Low || w.High }

// see takes the reading of one more person at a gate of this prior. What is usual does not follow a shift, nor is it ever
// further from the prior than the level may be.
func (w *Witness) see(celsius, prior float64) {
	apart := clamp(celsius-w.UsualCelsius, -mostApart, mostAbove)
	w.BelowCelsius = clamp(w.BelowCelsius-apart-slack, 0, enough)
	w.AboveCelsius = clamp(w.AboveCelsius+apart-slack, 0, enough)
	w.Low = w.BelowCelsius >= enough || w.Low && w.BelowCelsius > 0
	w.High = w.AboveCelsius >= enough || w.High && w.AboveCelsius > 0
	w.People++
	if !w.shifted() {
		w.UsualCelsius += clamp(apart, -maxPull, maxPull) / float64(min(w.People+priorPeople, usualPeople))
		w.UsualCelsius = clamp(w.UsualCelsius, prior-maxFall, prior+maxRise)
	}
}

func (w Witness) plausible() bool {
	return w.People >= 0 && w.BelowCelsius >= 0 && w.BelowCelsius <= enough && w.AboveCelsius >= 0 && w.AboveCelsius <= enough
}

// Count takes a verdict as the word of one more person on what people read here, whether they passed or not. It returns false
// where the verdict rests on no sure reading, so that a later one of the same person may count; nobody counts twice.
func (p *Policy) Count(v Verdict) bool {
	if !v.counts() {
		return false
	}
	g := &p.group
	usual := v.canthusCelsius + v.chillCelsius
	if g.known() {
		g.Witness.see(usual, g.PriorCelsius)
	}
	switch {
	case g.Referenced && g.startedBadly():
		g.start(g.PriorCelsius)
	case !g.Referenced && (!g.known() || g.Witness.People < youth):
		g.grow(usual, v.chillCelsius > 0)
	}
	return true
}

// startedBadly says whether the first people at a gate with a reference source led below the prior, to which the next ones
// lead back.
func (g *group) startedBadly() bool {
	w := g.Witness
	return w.People < youth && w.High && w.UsualCelsius < g.PriorCelsius-slack
}

// grow follows a gate without a reference source through its first people.
func (g *group) grow(celsius float64, chilled bool) {
	if g.known() && g.Witness.shifted() { // it was not like them
		g.State = State{Fused: g.Fused}
	}
	if chilled {
		return
	}
	if g.Newest = append(g.Newest, celsius); len(g.Newest) > firstPeople {
		g.Newest = slices.Delete(g.Newest, 0, len(g.Newest)-firstPeople)
	}
	if len(g.Newest) < firstPeople {
		return
	}
	switch apart := spread(g.Newest); {
	case !g.known() && apart <= usualSpread:
		g.start(median(g.Newest))
	case g.known() && apart > mostSpread:
		g.State = State{Fused: g.Fused, Newest: g.Newest}
	}
}

// spread is the standard deviation about the median, in which nobody counts for more than mostApart.
func spread(celsius []float64) float64 {
	middle, sum := median(celsius), 0.0
	for _, c := range celsius {
		sum += math.Pow(clamp(c-middle, -mostApart, mostApart), 2)
	}
	return math.Sqrt(sum / float64(len(celsius)-1))
}

// counts says whether a verdict has a reading that was sure enough to be compared with others.
func (v Verdict) counts() bool {
	if !v.bare {
		return false
	}
	switch v.Reason {
	case event.TooClose, event.ColdArrival, event.BaselineShift, event.GroupUnknown:
		return true
	}
	return v.Outcome != event.Inconclusive
}

// Problem is what keeps people from being compared with others here: event.GroupUnknown, event.BaselineShift or nothing.
func (p *Policy) Problem() event.Reason {
	switch {
	case !p.group.known():
		return event.GroupUnknown
	case p.group.Witness.shifted():
		return event.BaselineShift
	}
	return event.NoProblem
}

// Recalibrated takes somebody's word that camera and reference source are right as they are. After a shift the group begins
// anew.
func (p *Policy) Recalibrated() {
	if p.group.Witness.shifted() {
		p.Reset()
	}
	w := &p.group.Witness
	w.BelowCelsius, w.AboveCelsius, w.Low, w.High = 0, 0, false, false
}

package policy

import (
	"errors"
	"math"
	"slices"
	"time"
)

// The group model, in °C at the inner canthi: a person reads level + day + own, where level is the gate's and hardly
// changes, day is what weather, heating and the camera add for some hours, and own is how people differ. Spreads are
// standard deviations; personSpread is measured on the data DefaultConfig names.
const (
	levelSpread  = 0.2
	daySpread    = 0.2
	personSpread = 0.4
	// levelMemory is the time after which half of what the level is above or below the prior is forgotten.
	levelMemory = 180 * 24 * time.Hour
	// A person counts at most maxPull above or below the baseline, so that no single reading moves it much. However many
	// come, the day strays no more than maxDay from the level, nor the level more than maxRise above the prior: a queue of
	// warm people can't raise the alarm level unseen. A gate whose people read low for good is followed further, for that
	// makes it alarm sooner.
	maxPull = 0.3
	maxDay  = 0.2
	maxRise = 0.3
	maxFall = 1.0
	// longestGap is for how long nobody may have come. A longer time is that of a clock which was wrong at boot: how much has
	// passed is then unknown, and nothing fades.
	longestGap = 2 * 365 * 24 * time.Hour
)

// State is what a Policy has learnt, to be kept over a restart.
type State struct {
	Referenced bool `json:"referenced"`
	// Fused says that people were read by the fused policy, which reads them a little higher.
	Fused bool `json:"fused,omitempty"`
	// Newest are the newest readings at a young gate without a reference source, which tell whether there is a prior.
	Newest       []float64 `json:"newest_celsius,omitempty"`
	Witness      Witness   `json:"witness,omitzero"`
	PriorCelsius float64   `json:"prior_celsius"`
	LevelCelsius float64   `json:"level_celsius"`
	DayCelsius   float64   `json:"day_celsius"`
	// Variances of level and day and their covariance, in °C².
	LevelVariance float64   `json:"level_variance"`
	DayVariance   float64   `json:"day_variance"`
	Covariance    float64   `json:"covariance"`
	Updated       time.Time `json:"updated,omitzero"`
}

// group follows level and day with a Kalman filter whose innovations are clipped (Huber's influence function).
type group struct {
	State
	memory time.Duration
}

func newGroup(c Config) group {
	g := group{memory: c.Memory, State: State{Referenced: c.Referenced, Fused: c.inEffect() == Fused}}
	if c.Referenced {
		g.start(c.prior())
	}
	return g
}

func (g *group) start(prior float64) {
	g.PriorCelsius, g.LevelCelsius, g.DayCelsius = prior, prior, 0
	g.LevelVariance, g.DayVariance, g.Covariance = levelSpread*levelSpread, daySpread*daySpread, 0
	g.Witness = Witness{UsualCelsius: prior}
}

func (g *group) known() bool { return g.PriorCelsius != 0 }

// at lets day and level fade towards what they were at the start, as they do while nobody comes.
func (g group) at(t time.Time) group {
	age := t.Sub(g.Updated)
	if g.Updated.IsZero() || age <= 0 || age > longestGap {
		return g
	}
	day := math.Exp2(-age.Hours() / g.memory.Hours())
	level := math.Exp2(-age.Hours() / levelMemory.Hours())
	g.DayCelsius *= day
	g.LevelCelsius = g.PriorCelsius + level*(g.LevelCelsius-g.PriorCelsius)
	g.DayVariance = day*day*g.DayVariance + (1-day*day)*daySpread*daySpread
	g.LevelVariance = level*level*g.LevelVariance + (1-level*level)*levelSpread*levelSpread
	g.Covariance *= day * level
	g.Updated = t
	return g
}

// baseline is what a person is expected to read.
func (g group) baseline() float64 { return g.LevelCelsius + g.DayCelsius }

// uncertainty is the standard uncertainty of the baseline: 0.28 °C before anybody was seen, 0.1 °C once some dozens were.
func (g group) uncertainty() float64 {
	return math.Sqrt(max(0, g.LevelVariance+g.DayVariance+2*g.Covariance))
}

func (g *group) learn(celsius float64, t time.Time) {
	*g = g.at(t)
	g.Updated = t
	pull := clamp(celsius-g.baseline(), -maxPull, maxPull)
	level := g.LevelVariance + g.Covariance
	day := g.DayVariance + g.Covariance
	total := level + day + personSpread*personSpread
	g.LevelCelsius += pull * level / total
	g.DayCelsius = clamp(g.DayCelsius+pull*day/total, -maxDay, maxDay)
	g.LevelCelsius = clamp(g.LevelCelsius, g.PriorCelsius-maxFall, g.PriorCelsius+maxRise)
	g.LevelVariance -= level * level / total
	g.DayVariance -= day * day / total
	g.Covariance -= level * day / total
}

// State returns what was learnt.
func (p *Policy) State() State {
	s := p.group.State
	s.Newest = slices.Clone(s.Newest)
	return s
}

// Restore takes up what an earlier run learnt. It leaves the policy as it was and returns an error where that can't hold
// here: the gate then had a reference source and has none now, or the other way round, or the state is damaged. One that is
// from a time to come is as old as now: a clock may be wrong until it is set.
func (p *Policy) Restore(s State, now time.Time) error {
	switch {
	case s.Referenced != p.config.Referenced:
		return errors.New("what was learnt belongs to a gate with a reference source, or this one has lost its own: starting anew")
	case s.Fused != (p.config.inEffect() == Fused):
		return errors.New("what was learnt is by another policy: starting anew")
	case !s.plausible():
		return errors.New("what was learnt is damaged: starting anew")
	}
	if s.Referenced {
		s.PriorCelsius = p.config.prior()
		s.LevelCelsius = clamp(s.LevelCelsius, s.PriorCelsius-maxFall, s.PriorCelsius+maxRise)
	}
	if s.Witness.UsualCelsius == 0 { // of a version that had no witness
		s.Witness.UsualCelsius = s.LevelCelsius
	}
	if s.Updated.After(now) {
		s.Updated = now
	}
	s.Newest = slices.Clone(s.Newest)
	p.group.State = s
	return nil
}

func (s State) plausible() bool {
	if len(s.Newest) > firstPeople || !s.Witness.plausible() {
		return false
	}
	if s.PriorCelsius == 0 {
		return !s.Referenced
	}
	const rounding = 1e-6
	return math.Abs(s.LevelCelsius-s.PriorCelsius) <= maxFall+rounding && math.Abs(s.DayCelsius) <= maxDay+rounding &&
		s.LevelVariance > 0 && s.LevelVariance <= levelSpread*levelSpread+rounding &&
		s.DayVariance > 0 && s.DayVariance <= daySpread*daySpread+rounding &&
		s.Covariance*s.Covariance <= s.LevelVariance*s.DayVariance
}

func clamp(x, least, most float64) float64 { return max(least, min(most, x)) }

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

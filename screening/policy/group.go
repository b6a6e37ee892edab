package policy

import (
	"math"
	"time"
)

// maxPull is how far above or below the baseline a person counts at most, so that one odd reading moves it little.
const maxPull = 0.3

// State is what a Policy has learnt, to be kept over a restart.
type State struct {
	Referenced bool      `json:"referenced"`
	Celsius    float64   `json:"celsius"`
	People     float64   `json:"people"` // how many the mean counts as, after forgetting
	Updated    time.Time `json:"updated"`
}

// group is the running robust mean of inner-canthus temperatures.
type group struct {
	config Config
	state  State
}

func newGroup(c Config) group { return group{config: c, state: State{Referenced: c.Referenced}} }

// people is how many the memory still counts as at a time.
func (g *group) people(at time.Time) float64 {
	age := at.Sub(g.state.Updated)
	if g.state.People == 0 || age <= 0 {
		return g.state.People
	}
	return g.state.People * math.Exp2(-age.Hours()/g.config.Memory.Hours())
}

// baseline is what the group is at a time, and whether that is known.
func (g *group) baseline(at time.Time) (celsius float64, known bool) {
	n, n0 := g.people(at), g.config.PriorPeople
	return (n*g.state.Celsius + n0*g.config.PriorCelsius) / (n + n0), true
}

func (g *group) learn(celsius float64, at time.Time) {
	usual, _ := g.baseline(at)
	pulled := usual + math.Max(-maxPull, math.Min(maxPull, celsius-usual))
	n := g.people(at)
	g.state.Celsius = (n*g.state.Celsius + pulled) / (n + 1)
	g.state.People = n + 1
	g.state.Updated = at
}

// State returns what was learnt.
func (p *Policy) State() State { return p.group.state }

// Restore takes up what an earlier run learnt. A state of a gate that then had a reference and now has none, or the
// other way round, says nothing about this one and is left aside, as is one from the future.
func (p *Policy) Restore(s State, at time.Time) {
	if s.Referenced == p.config.Referenced && !s.Updated.After(at) {
		p.group.state = s
	}
}

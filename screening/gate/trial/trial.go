// Package trial scores a gate against simulated people whose truth is known: who was judged rightly, wrongly or not at
// all, who was shown somebody else's verdict, and how long they waited.
package trial

import (
	"time"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

const (
	// febrileCoreCelsius is a fever, and febrileSkinCelsius the inner canthi that mostly go with it: 38.0 less 1.38 °C.
	febrileCoreCelsius = 38.0
	febrileSkinCelsius = 36.62
	// DefaultReachMetres is how far from the camera somebody may stand to be screened.
	DefaultReachMetres = 1.5
	// swayMetres is how far somebody who stands leans back and forth.
	swayMetres = 0.02
	// mostHidden is how much of a face may be hidden without keeping anybody from reading it: a corner of the chin.
	mostHidden = 0.15
	// leastStay is how long before the end somebody must have become measurable for no event at all to count.
	leastStay = 2 * time.Second
)

// Score follows a gate through a scenario. Create it with New, give it every frame, ask for the Result at the end.
type Score struct {
	scenario string
	reach    float64 // metres

	people  []*subject       // by first appearance
	known   map[int]*subject // by who they truly are
	visits  map[int]*visit   // the gate's, by its number
	made    map[string]*subject
	door    simulatedDoor
	now     time.Duration
	result  Result
	skin    []skinRead
	pairing pairing
}

// subject is one true person and what the gate made of them.
type subject struct {
	who                int
	febrile            bool
	glasses, mask, hat bool
	measurable         bool          // in some frame
	since              time.Duration // when first so
	judged             bool          // got an event of any kind
	outcome            event.Outcome // the one that holds
	decided            bool          // got a pass or an alert
	waited             time.Duration
	visits             map[int]bool // the true visits with an event
}

// New returns a Score of a scenario at a gate that screens people up to reachMetres away.
func New(scenario string, reachMetres float64) *Score {
	return &Score{
		scenario: scenario,
		reach:    reachMetres + swayMetres,
		known:    map[int]*subject{},
		visits:   map[int]*visit{},
		made:     map[string]*subject{},
	}
}

// Frame takes what the gate made of one frame, and the truth behind it.
func (s *Score) Frame(truth simulator.Truth, scene *event.Scene, events []event.Event) {
	s.now = truth.Time
	s.see(truth.People, truth.Panning)
	s.pairing.match(scene.People, truth.People)
	s.remember(scene, truth.People)
	for i := range events {
		s.attribute(&events[i], scene, truth.People)
	}
	s.watch(scene, truth.People)
	s.door.frame(s, truth, scene, events)
}

// see takes note of the people in view. While the camera pans nobody can be measured.
func (s *Score) see(people []simulator.Person, panning bool) {
	for i := range people {
		p := &people[i]
		u := s.known[p.Who]
		if u == nil {
			u = &subject{who: p.Who, visits: map[int]bool{}}
			s.known[p.Who] = u
			s.people = append(s.people, u)
		}
		u.febrile = u.febrile || febrile(p)
		u.glasses, u.mask, u.hat = u.glasses || p.Glasses, u.mask || p.Mask, u.hat || p.Hat
		if !u.measurable && !panning && s.measurable(p) {
			u.measurable, u.since = true, s.now
		}
	}
}

func febrile(p *simulator.Person) bool {
	if p.SkinGiven {
		return p.SkinCelsius >= febrileSkinCelsius
	}
	return p.CoreCelsius >= febrileCoreCelsius
}

func (s *Score) measurable(p *simulator.Person) bool {
	return p.Standing && p.Facing && p.WholeInView && p.HiddenShare <= mostHidden && p.DistanceMetres <= s.reach
}

// attribute gives an event to the person it was made on.
func (s *Score) attribute(e *event.Event, scene *event.Scene, people []simulator.Person) {
	u, visit := s.madeOn(e, scene, people)
	if u == nil {
		s.result.Extra++
		return
	}
	s.made[e.ID] = u
	s.readSkin(&e.Data, u.who, people)
	if u.visits[visit] && e.Data.RescreenOf == "" && e.Data.Revises == "" {
		s.result.Extra++
	}
	u.visits[visit] = true
	u.take(&e.Data, s.now)
}

// take gives a person a further outcome. The last one holds, but a look that finds nothing out undoes neither an alert,
// for the guard still comes, nor a pass, for the door was open, unless it says that it revises it.
func (u *subject) take(d *event.Data, now time.Duration) {
	u.judged = true
	found := d.Outcome != event.Inconclusive
	if found || d.Revises != "" || u.outcome == "" {
		u.outcome = d.Outcome
	}
	if !u.decided && u.measurable && found {
		u.decided, u.waited = true, now-u.since
	}
}

// watch counts the frame in which a person carries the verdict of another.
func (s *Score) watch(scene *event.Scene, people []simulator.Person) {
	for i := range scene.People {
		shown, j := scene.People[i].Event, s.pairing.truth[i]
		if shown == nil || j < 0 {
			continue
		}
		if u := s.made[shown.ID]; u != nil && u.who != people[j].Who {
			s.result.WrongPersonFrames++
			return
		}
	}
}

// Result sums up the frames so far.
func (s *Score) Result() Result {
	r := s.result
	r.Scenario = s.scenario
	var times []time.Duration
	for _, u := range s.people {
		if !u.judged && u.measurable && s.now-u.since < leastStay { // cut off by the end
			continue
		}
		r.Counts.add(u)
		r.By.add(u)
		if u.decided {
			times = append(times, u.waited)
		}
	}
	r.Seconds = newSeconds(times)
	r.Skin = newSkin(s.skin)
	return r
}

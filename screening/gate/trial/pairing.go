package trial

import (
	"cmp"
	"slices"
	"time"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

// leastOverlap is the intersection over union from which on a box is of a face. A box by another size of the same face
// has 0.5 and more; faces that stand one behind the other have less in common.
const leastOverlap = 0.2

// pairing is who of a scene is who in truth.
type pairing struct {
	truth []int // for each of the scene's people the index of the true person, -1 for nobody
	pairs []pair
	taken []bool
}

type pair struct {
	scene, truth int
	overlap      float64
}

// match pairs one to one, the best overlap first. Of somebody half hidden half of it counts: a face in the place of two is of
// whoever stands in front.
func (p *pairing) match(scene []event.Person, truth []simulator.Person) {
	p.pairs, p.truth, p.taken = p.pairs[:0], p.truth[:0], p.taken[:0]
	for i := range scene {
		p.truth = append(p.truth, -1)
		for j := range truth {
			if o := overlap(scene[i].Face, boxOf(&truth[j])); o >= leastOverlap {
				p.pairs = append(p.pairs, pair{i, j, o * (1 - truth[j].HiddenShare)})
			}
		}
	}
	for range truth {
		p.taken = append(p.taken, false)
	}
	slices.SortStableFunc(p.pairs, func(a, b pair) int { return cmp.Compare(b.overlap, a.overlap) })
	for _, q := range p.pairs {
		if p.truth[q.scene] < 0 && !p.taken[q.truth] {
			p.truth[q.scene], p.taken[q.truth] = q.truth, true
		}
	}
}

func boxOf(p *simulator.Person) event.Box { return event.Box{X: p.X, Y: p.Y, W: p.W, H: p.H} }

// overlap is intersection over union.
func overlap(a, b event.Box) float64 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.W*a.H + b.W*b.H - w*h)
}

// visit is one of the gate's, as followed from outside.
type visit struct {
	box       event.Box
	firstSeen time.Time
	lastSeen  time.Duration
	frames    map[truly]int // by whom it was matched to
}

// truly is a visit of a true person.
type truly struct{ who, visit int }

// mostly is whom the visit was matched to in most of its frames.
func (v *visit) mostly() (truly, bool) {
	var most truly
	n := 0
	for t, frames := range v.frames {
		if frames > n || frames == n && t.visit < most.visit {
			most, n = t, frames
		}
	}
	return most, n > 0
}

// remember keeps for every visit of the gate where it was and on whom.
func (s *Score) remember(scene *event.Scene, people []simulator.Person) {
	for i := range scene.People {
		p := &scene.People[i]
		v := s.visits[p.ID]
		if v == nil {
			v = &visit{firstSeen: scene.Captured, frames: map[truly]int{}}
			s.visits[p.ID] = v
		}
		v.box, v.lastSeen = p.Face, s.now
		if j := s.pairing.truth[i]; j >= 0 {
			v.frames[truly{people[j].Who, people[j].ID}]++
		}
	}
}

// madeOn finds the true person an event was made on, and on which of their visits: the one in whose place it stands in
// this frame or, where it came after its person had gone, the one whom its visit was of.
func (s *Score) madeOn(e *event.Event, scene *event.Scene, people []simulator.Person) (*subject, int) {
	id := s.visitOf(e, scene)
	if i := slices.IndexFunc(scene.People, func(p event.Person) bool { return p.ID == id }); i >= 0 {
		if j := s.pairing.truth[i]; j >= 0 {
			return s.known[people[j].Who], people[j].ID
		}
	}
	if v := s.visits[id]; v != nil {
		if t, ok := v.mostly(); ok {
			return s.known[t.who], t.visit
		}
	}
	return s.under(e.Data.Face, people)
}

// visitOf is the number of the gate's visit that an event belongs to, -1 where that can't be told: the one that carries
// it, the one that began when it says or, failing these, the one that just ended at its box.
func (s *Score) visitOf(e *event.Event, scene *event.Scene) int {
	for _, p := range scene.People {
		if p.Event != nil && p.Event.ID == e.ID {
			return p.ID
		}
	}
	const recently = 5 * time.Second
	best, most := -1, 0.0
	for id, v := range s.visits {
		likely := 0.1
		if e.Data.Face != nil {
			likely = overlap(v.box, *e.Data.Face)
		}
		switch {
		case v.firstSeen.Equal(e.Data.FirstSeen) && likely > 0:
			likely++
		case likely < 0.5 || v.lastSeen == s.now || v.lastSeen < s.now-recently:
			continue
		}
		if best < 0 || likely > most || likely == most && id < best {
			best, most = id, likely
		}
	}
	return best
}

// under finds the person in view whose face the box covers best.
func (s *Score) under(box *event.Box, people []simulator.Person) (*subject, int) {
	if box == nil {
		return nil, 0
	}
	best, most := -1, leastOverlap
	for j := range people {
		if o := overlap(*box, boxOf(&people[j])); o >= most {
			best, most = j, o
		}
	}
	if best < 0 {
		return nil, 0
	}
	return s.known[people[best].Who], people[best].ID
}

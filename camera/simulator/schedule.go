package simulator

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Inner canthus below oral temperature: 1.38 ± 0.36 °C on 544 people of "Facial and oral temperature data from a large
// set of human subject volunteers" (Wang et al. 2023, PhysioNet, doi 10.13026/3bhc-9065).
const (
	canthusBelowCoreCelsius       = 1.38
	canthusBelowCoreSpreadCelsius = 0.36
)

const walkingSpeed = 1.15 // metres a second, indoors and about to stop

// guest is one visit as it takes place: who it is and how they move.
type guest struct {
	id, who    int // the visit's number, and that of the person's first one
	visit      Visit
	core, skin float64
	eyeHeight  float64
	skinGiven  bool
	sway       float64
	look       *look
	drawn      int // the number the person was drawn with

	start, stand, leave, end float64 // seconds of scenario time
	ready                    float64 // when they stand at their place, and no longer behind somebody
	fromSide, fromDistance   float64
	distance                 float64 // where they first stand
	toSide, toDistance       float64
	moves                    []Move
	phase                    [6]float64
}

// pose is where a head is and how it is turned.
type pose struct {
	side, distance, up float64 // metres: right of the camera's axis, before it, eyes above it
	yaw, pitch, roll   float64 // radians: to the picture's right, down, clockwise
	standing           bool
}

// schedule brings the visits in order of time.
type schedule struct {
	scenario *Scenario
	view     func(distance float64) float64 // half the width of the view, metres
	linger   float64                        // seconds to go on after the last has left
	length   float64                        // of one round of the scenario's people, seconds
	latest   float64                        // end of the last visit, seconds

	round int
	list  []*guest // of this round, by time of arrival
	next  int      // index into list

	count   int     // queue: visits
	drawn   int     // queue: people
	free    float64 // queue: when the place before the camera is free again
	waiting []Visit // queue: the rest of a group
	coming  *guest  // queue: who comes next
	last    *guest  // queue: who came last
}

func newSchedule(s *Scenario, view func(float64) float64, linger time.Duration) *schedule {
	c := &schedule{scenario: s, view: view, linger: linger.Seconds(), free: 1}
	c.list = c.lay()
	for _, g := range c.list {
		c.length = max(c.length, g.end)
	}
	c.length += 1 + c.linger
	if s.Duration > 0 {
		c.length = s.Duration.Seconds()
	}
	return c
}

// end is when the scenario is over, in seconds; infinite where that is not known yet or never is.
func (c *schedule) end() float64 {
	switch {
	case c.scenario.Endless():
		return math.Inf(1)
	case c.scenario.Queue == nil || c.scenario.Duration > 0:
		return c.length
	case c.peek() != nil:
		return math.Inf(1)
	}
	return c.latest + 1 + c.linger
}

// arrivals appends everybody who starts coming up to time t.
func (c *schedule) arrivals(t float64, guests []*guest) []*guest {
	for {
		g := c.peek()
		if g == nil || g.start > t {
			return guests
		}
		c.drop(g)
		guests = append(guests, g)
	}
}

// peek is who comes next, to be taken with drop; nil where nobody does.
func (c *schedule) peek() *guest {
	if c.scenario.Queue != nil {
		if c.coming == nil {
			c.coming = c.draw()
		}
		return c.coming
	}
	if c.next == len(c.list) {
		if !c.scenario.Repeat || len(c.list) == 0 {
			return nil
		}
		c.next = 0
		c.round++
		c.list = c.lay()
	}
	return c.list[c.next]
}

// drop takes off who comes next.
func (c *schedule) drop(g *guest) {
	c.latest = max(c.latest, g.end)
	if c.scenario.Queue == nil {
		c.next++
		return
	}
	c.coming, c.last = nil, g
	free := g.leave
	if g.visit.WalksPast {
		free = g.end
	}
	c.free = max(c.free, free+c.scenario.Queue.Pause.Seconds())
}

// lay settles who comes in a round, by time of arrival. Numbers are given by the time of who comes by themselves; those
// who come after them follow at once.
func (c *schedule) lay() []*guest {
	people := c.scenario.People
	var chains [][]Visit
	for _, v := range people {
		if v.after() {
			last := len(chains) - 1
			chains[last] = append(chains[last], v)
			continue
		}
		v.At += time.Duration(float64(c.round) * c.length * float64(time.Second))
		chains = append(chains, []Visit{v})
	}
	slices.SortStableFunc(chains, func(a, b []Visit) int { return cmp.Compare(a[0].At, b[0].At) })
	var list []*guest
	for _, chain := range chains {
		var before *guest
		for _, v := range chain {
			before = c.invite(v, c.round*len(people)+len(list), before)
			list = append(list, before)
		}
	}
	slices.SortStableFunc(list, func(a, b *guest) int { return cmp.Compare(a.start, b.start) })
	return list
}

// draw is who of the queue comes next, nil where it has come to its end.
func (c *schedule) draw() *guest {
	if len(c.waiting) == 0 {
		c.waiting = c.group()
	}
	if len(c.waiting) == 0 {
		return nil
	}
	v := c.waiting[0]
	c.waiting = c.waiting[1:]
	g := c.invite(v, c.count, c.last)
	c.count++
	return g
}

// group draws the next one or two people of the queue; nobody at its end.
func (c *schedule) group() []Visit {
	q := c.scenario.Queue
	// What later versions draw, they draw apart, so that a seed goes on to give the same people.
	later := rand.New(rand.NewPCG(c.scenario.Seed, 1<<44+uint64(c.count)))
	if c.last != nil && !c.last.visit.Returns && later.Float64() < q.ReturnShare {
		return []Visit{c.last.again(time.Duration((3 + 17*later.Float64()) * float64(time.Second)))}
	}
	if q.People > 0 && c.drawn >= q.People {
		return nil
	}
	group := c.drawGroup(q)
	if q.People > 0 {
		group = group[:min(len(group), q.People-c.drawn)]
	}
	c.drawn += len(group)
	if v := &group[0]; len(group) == 1 && !v.WalksPast {
		c.vary(v, later)
	}
	return group
}

// vary lets somebody stand where or how they can't be measured, or wait behind the one before.
func (c *schedule) vary(v *Visit, r *rand.Rand) {
	q := c.scenario.Queue
	chance := r.Float64()
	switch {
	case chance < q.TurnedShare:
		v.YawDegrees = math.Copysign(40, r.Float64()-0.5)
	case chance < q.TurnedShare+q.FarShare:
		v.DistanceMetres++
	case chance < q.TurnedShare+q.FarShare+q.BehindShare && c.last != nil && c.last.alone():
		v.Follows, v.BehindMetres = fromBehind, 0.25+0.3*r.Float64()
	}
}

// drawGroup draws one or two people who come by themselves.
func (c *schedule) drawGroup(q *Queue) []Visit {
	r := rand.New(rand.NewPCG(c.scenario.Seed, uint64(c.count)<<1|1))
	chance := func(share float64) bool { return r.Float64() < share }
	draw := func() Visit {
		v := defaultVisit()
		v.At = time.Duration(c.free * float64(time.Second))
		core := q.CoreCelsius + q.CoreSpreadCelsius*normal(r)
		if chance(q.FebrileShare) {
			core = q.FebrileCelsius + 0.3*normal(r)
		}
		v.CoreCelsius = &core
		v.Stand = time.Duration(float64(q.Stand) * (0.8 + 0.5*r.Float64()))
		v.DistanceMetres = q.DistanceMetres * (0.9 + 0.25*r.Float64())
		v.SideMetres = -0.08 + 0.06*normal(r)
		v.Glasses, v.Mask, v.Hat, v.Beard = chance(q.GlassesShare), chance(q.MaskShare), chance(q.HatShare), chance(q.BeardShare)
		v.WalksPast = chance(q.PasserShare)
		if v.WalksPast {
			v.DistanceMetres += 0.4
		}
		if chance(q.ChillShare) {
			v.ChillCelsius = q.ChillCelsius
		}
		return v
	}
	first := draw()
	if first.WalksPast || !chance(q.PairShare) {
		return []Visit{first}
	}
	second := draw()
	second.WalksPast = false
	first.DistanceMetres += 0.25
	second.DistanceMetres = first.DistanceMetres + 0.1
	first.SideMetres, second.SideMetres = -0.24, 0.2
	second.At += 400 * time.Millisecond
	return []Visit{first, second}
}

// entry is how a guest comes in.
type entry struct {
	drawn int     // the number the person is drawn with
	from  float64 // -1 from the left, 1 from the right, 0 as drawn
	back  float64 // metres behind their place
}

// invite settles a visit that may come after another one.
func (c *schedule) invite(v Visit, id int, before *guest) *guest {
	e := entry{drawn: id}
	switch {
	case v.Returns:
		return c.welcomeBack(v, id, before)
	case v.Follows == "":
		return c.newGuest(v, id, e)
	}
	v.SideMetres, v.DistanceMetres, _ = before.place(before.leave)
	v.At = seconds(before.leave) + v.Gap
	switch v.Follows {
	case fromSameSide:
		e.from = math.Copysign(1, before.toSide)
	case fromOtherSide:
		e.from = -math.Copysign(1, before.toSide)
	case atOnce:
		before.end = before.leave
	case fromBehind:
		const apart = 0.6 // seconds between people who walk in together
		v.At = seconds(max(before.ready-(before.stand-before.start)+apart, 0))
		e.from, e.back = math.Copysign(1, before.fromSide), v.BehindMetres
		g := c.newGuest(v, id, e)
		g.stepUp(before.leave+v.Gap.Seconds(), c.view)
		return g
	}
	return c.newGuest(v, id, e)
}

// welcomeBack settles the visit of somebody who was here before.
func (c *schedule) welcomeBack(v Visit, id int, before *guest) *guest {
	v.At = seconds(before.end) + v.Gap
	g := c.newGuest(v, id, entry{drawn: before.drawn})
	g.who = before.who
	if v.CoreCelsius == nil && v.SkinCelsius == nil {
		g.core, g.skinGiven = before.core, before.skinGiven
		g.skin = before.skin + before.visit.ChillCelsius - v.ChillCelsius
	}
	return g
}

// again is the visit of a guest who comes back after a while.
func (g *guest) again(after time.Duration) Visit {
	v := g.visit
	v.At, v.Gap, v.Follows, v.Returns = 0, after, "", true
	return v
}

// alone is true for somebody who stands facing the camera with nobody beside them.
func (g *guest) alone() bool {
	v := &g.visit
	return !v.WalksPast && v.YawDegrees == 0 && math.Abs(v.SideMetres) < 0.2
}

// newGuest settles what the visit leaves open. From the number they are drawn with, and the seed, comes the person.
func (c *schedule) newGuest(v Visit, id int, e entry) *guest {
	r := rand.New(rand.NewPCG(c.scenario.Seed, uint64(e.drawn)<<1))
	if v.Seed != nil {
		r = rand.New(rand.NewPCG(*v.Seed, math.MaxUint64))
	}
	g := &guest{id: id, who: id, drawn: e.drawn, visit: v, look: drawLook(r, &v), sway: 1, moves: v.Moves, skinGiven: v.SkinCelsius != nil}
	difference := canthusBelowCoreCelsius + canthusBelowCoreSpreadCelsius*normal(r)
	g.core = 36.7 + 0.2*normal(r)
	switch {
	case v.SkinCelsius != nil:
		g.skin = *v.SkinCelsius
		g.core = g.skin + difference
	case v.CoreCelsius != nil:
		g.core = *v.CoreCelsius
		fallthrough
	default:
		g.skin = g.core - difference - v.ChillCelsius
	}
	if v.Sway != nil {
		g.sway = *v.Sway
	}
	stature := 1.7 + 0.07*normal(r)
	if v.HeightMetres != nil {
		stature = *v.HeightMetres
	}
	g.eyeHeight = stature - 0.115 // DIN 33402: eyes below the crown
	for i := range g.phase {
		g.phase[i] = 2 * math.Pi * r.Float64()
	}
	g.plan(r, e, c.view)
	return g
}

// beyond is how far outside the view nothing of a person is seen, in metres.
const beyond = 0.4

// plan lays the person's path: in from one side, straight to the place, out to a side.
func (g *guest) plan(r *rand.Rand, e entry, view func(float64) float64) {
	from, to := 1.0, 1.0
	if r.Float64() < 0.5 {
		from = -1
	}
	if r.Float64() < 0.5 {
		to = -1
	}
	v := &g.visit
	if math.Abs(v.SideMetres) > 0.12 { // out of the way of whoever stands beside
		to = math.Copysign(1, v.SideMetres)
		from = to
	}
	if e.from != 0 {
		from = e.from
	}
	g.start = v.At.Seconds()
	if v.WalksPast {
		g.fromDistance, g.toDistance = v.DistanceMetres, v.DistanceMetres
		g.fromSide = from * (view(v.DistanceMetres) + beyond)
		g.toSide = -g.fromSide
		g.stand, g.ready, g.leave = g.start, g.start, g.start
		g.end = g.start + 2*math.Abs(g.fromSide)/walkingSpeed
		return
	}
	g.distance = v.DistanceMetres + e.back
	g.fromDistance = g.distance + 1.3
	g.fromSide = from * (view(g.fromDistance) + beyond)
	g.stand = g.start + math.Hypot(g.fromDistance-g.distance, g.fromSide-v.SideMetres)/walkingSpeed
	if v.Appears || v.Follows == atOnce {
		g.stand = g.start
	}
	g.ready = g.stand
	g.goOut(to, v.Stand.Seconds(), view)
}

// goOut lays the way out to a side, after standing for some seconds.
func (g *guest) goOut(to, stand float64, view func(float64) float64) {
	g.leave = g.stand + stand
	side, distance, _ := g.place(math.Inf(1))
	g.toDistance = distance + 0.1
	g.toSide = to * (view(g.toDistance) + beyond)
	g.end = g.leave + 0.4 + math.Abs(g.toSide-side)/walkingSpeed
	if g.visit.Appears {
		g.end = g.leave
	}
}

// stepUp lets somebody who waits behind another step to their place at a time.
func (g *guest) stepUp(at float64, view func(float64) float64) {
	wait := seconds(max(at-g.stand, 0))
	step := Move{After: wait, Over: seconds(0.3 + (g.distance-g.visit.DistanceMetres)/walkingSpeed), DistanceMetres: &g.visit.DistanceMetres}
	g.ready = g.stand + (wait + step.Over).Seconds()
	g.moves = []Move{step}
	for _, m := range g.visit.Moves {
		m.After += wait + step.Over
		g.moves = append(g.moves, m)
	}
	g.goOut(math.Copysign(1, g.toSide), g.ready-g.stand+g.visit.Stand.Seconds(), view)
}

// place is where the person stands and how far they are turned, in metres and degrees, but for their sway.
func (g *guest) place(t float64) (side, distance, yaw float64) {
	side, distance, yaw = g.visit.SideMetres, g.distance, g.visit.YawDegrees
	if g.visit.WalksPast {
		distance = g.visit.DistanceMetres
	}
	for i := range g.moves {
		m := &g.moves[i]
		k := smooth(m.progress(t - g.stand))
		for _, to := range []struct{ from, to *float64 }{{&side, m.SideMetres}, {&distance, m.DistanceMetres}, {&yaw, m.YawDegrees}} {
			if to.to != nil {
				*to.from = mix(*to.from, *to.to, k)
			}
		}
	}
	return side, distance, yaw
}

// progress of a move some seconds after the person has stepped up: 0 before it, 1 after it.
func (m *Move) progress(after float64) float64 {
	since := after - m.After.Seconds()
	if m.Over == 0 {
		if since >= 0 {
			return 1
		}
		return 0
	}
	return min(max(since/m.Over.Seconds(), 0), 1)
}

// walks is true while a move takes the person from one place to another.
func (g *guest) walks(t float64) bool {
	return slices.ContainsFunc(g.moves, func(m Move) bool {
		k := m.progress(t - g.stand)
		return (m.SideMetres != nil || m.DistanceMetres != nil) && k > 0 && k < 1
	})
}

// pose is where the head is at a time between start and end.
func (g *guest) pose(t float64) pose {
	wave := func(i int, period float64) float64 { return math.Sin(2*math.Pi*t/period + g.phase[i]) }
	side, distance, yaw := g.place(t)
	s := g.sway
	p := pose{
		side:     side + s*0.006*wave(0, 4.1) + s*0.003*wave(1, 1.7),
		distance: distance + s*0.008*wave(2, 5.3),
		up:       g.eyeHeight + s*0.002*wave(3, 2.9),
		yaw:      radians(yaw + s*2.5*wave(4, 3.7) + s*1.5*wave(1, 1.9)),
		pitch:    radians(2 + s*2.5*wave(5, 4.7)),
		roll:     radians(s * 2 * wave(3, 5.9)),
	}
	walking := 0.0
	switch {
	case g.visit.WalksPast:
		k := (t - g.start) / (g.end - g.start)
		p.side = mix(g.fromSide, g.toSide, k)
		p.yaw = math.Copysign(radians(75), g.toSide) + 0.15*wave(4, 2.3)
		walking = 1
	case t < g.stand:
		k := 1 - (t-g.start)/(g.stand-g.start) // of the way still to go
		walking = smooth(k / 0.3)
		k = math.Pow(k, 1.4)
		p.side += (g.fromSide - side) * k
		p.distance += (g.fromDistance - distance) * k
		heading := math.Atan2(side-g.fromSide, g.fromDistance-distance)
		p.yaw = mix(p.yaw, heading, smooth((k-0.15)/0.5))
	case t >= g.leave:
		k := (t - g.leave) / (g.end - g.leave)
		walking = smooth(k / 0.3)
		p.yaw = mix(p.yaw, math.Copysign(radians(80), g.toSide-side), smooth((t-g.leave)/0.5))
		k = math.Pow(k, 1.5)
		p.side += (g.toSide - side) * k
		p.distance += (g.toDistance - distance) * k
	default:
		p.standing = !g.walks(t)
	}
	p.up += 0.02 * walking * wave(0, 0.55)
	return p
}

// normal is a standard normal variate within ±2.5.
func normal(r *rand.Rand) float64 {
	for {
		if x := r.NormFloat64(); math.Abs(x) <= 2.5 {
			return x
		}
	}
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

func mix(a, b, k float64) float64 { return a + (b-a)*k }

// smooth rises from 0 at 0 to 1 at 1.
func smooth(x float64) float64 {
	x = min(max(x, 0), 1)
	return x * x * (3 - 2*x)
}

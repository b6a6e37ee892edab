package simulator

import (
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
	id         int
	visit      Visit
	core, skin float64
	eyeHeight  float64
	look       *look

	start, stand, leave, end float64 // seconds of scenario time
	fromSide, fromDistance   float64
	toSide, toDistance       float64
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
	list     []Visit                        // the scenario's people by time of arrival
	length   float64                        // of one round of list, seconds
	round    int
	next     int // index into list
	count    int
	free     float64 // queue: when the place before the camera is free again
	waiting  []Visit // queue: the rest of a group
}

func newSchedule(s *Scenario, view func(float64) float64) *schedule {
	c := &schedule{scenario: s, view: view, list: slices.Clone(s.People), free: 1}
	slices.SortStableFunc(c.list, func(a, b Visit) int { return int(a.At - b.At) })
	for i, v := range c.list {
		c.length = max(c.length, c.newGuest(v, i).end)
	}
	c.length++
	if s.Duration > 0 {
		c.length = s.Duration.Seconds()
	}
	return c
}

// end is when the scenario is over, in seconds; infinite where it never is.
func (c *schedule) end() float64 {
	if c.scenario.Endless() {
		return math.Inf(1)
	}
	return c.length
}

// arrivals appends everybody who starts coming up to time t.
func (c *schedule) arrivals(t float64, guests []*guest) []*guest {
	for {
		v, ok := c.peek()
		if !ok || v.At.Seconds() > t {
			return guests
		}
		g := c.newGuest(v, c.count)
		c.count++
		c.drop(g)
		guests = append(guests, g)
	}
}

// peek is the next visit, to be taken with drop.
func (c *schedule) peek() (Visit, bool) {
	if c.scenario.Queue != nil {
		if len(c.waiting) == 0 {
			c.waiting = c.group()
		}
		return c.waiting[0], true
	}
	if c.next == len(c.list) {
		if !c.scenario.Repeat || len(c.list) == 0 {
			return Visit{}, false
		}
		c.next = 0
		c.round++
	}
	v := c.list[c.next]
	v.At += time.Duration(float64(c.round) * c.length * float64(time.Second))
	return v, true
}

// drop takes the next visit off, which has become a guest.
func (c *schedule) drop(g *guest) {
	if c.scenario.Queue != nil {
		c.waiting = c.waiting[1:]
		free := g.leave
		if g.visit.WalksPast {
			free = g.end
		}
		c.free = max(c.free, free+c.scenario.Queue.Pause.Seconds())
		return
	}
	c.next++
}

// group draws the next one or two people of the queue.
func (c *schedule) group() []Visit {
	q := c.scenario.Queue
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

// newGuest settles what the visit leaves open. The index is the visit's number, from which, with the seed, the person
// is drawn.
func (c *schedule) newGuest(v Visit, index int) *guest {
	r := rand.New(rand.NewPCG(c.scenario.Seed, uint64(index)<<1))
	if v.Seed != nil {
		r = rand.New(rand.NewPCG(*v.Seed, math.MaxUint64))
	}
	g := &guest{id: index, visit: v, look: drawLook(r, &v)}
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
	stature := 1.7 + 0.07*normal(r)
	if v.HeightMetres != nil {
		stature = *v.HeightMetres
	}
	g.eyeHeight = stature - 0.115 // DIN 33402: eyes below the crown
	for i := range g.phase {
		g.phase[i] = 2 * math.Pi * r.Float64()
	}
	g.plan(r, c.view)
	return g
}

// plan lays the person's path: in from one side, straight to the place, out to a side.
func (g *guest) plan(r *rand.Rand, view func(float64) float64) {
	const body = 0.4 // metres outside the view where nothing of a person is seen
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
	g.start = v.At.Seconds()
	if v.WalksPast {
		g.fromDistance, g.toDistance = v.DistanceMetres, v.DistanceMetres
		g.fromSide = from * (view(v.DistanceMetres) + body)
		g.toSide = -g.fromSide
		g.stand, g.leave = g.start, g.start
		g.end = g.start + 2*math.Abs(g.fromSide)/walkingSpeed
		return
	}
	g.fromDistance = v.DistanceMetres + 1.3
	g.fromSide = from * (view(g.fromDistance) + body)
	g.toDistance = v.DistanceMetres + 0.1
	g.toSide = to * (view(g.toDistance) + body)
	g.stand = g.start + math.Hypot(g.fromDistance-v.DistanceMetres, g.fromSide-v.SideMetres)/walkingSpeed
	g.leave = g.stand + v.Stand.Seconds()
	g.end = g.leave + 0.4 + math.Abs(g.toSide-v.SideMetres)/walkingSpeed
}

// pose is where the head is at a time between start and end.
func (g *guest) pose(t float64) pose {
	v := &g.visit
	wave := func(i int, period float64) float64 { return math.Sin(2*math.Pi*t/period + g.phase[i]) }
	p := pose{
		side:     v.SideMetres + 0.006*wave(0, 4.1) + 0.003*wave(1, 1.7),
		distance: v.DistanceMetres + 0.008*wave(2, 5.3),
		up:       g.eyeHeight + 0.002*wave(3, 2.9),
		yaw:      radians(v.YawDegrees + 2.5*wave(4, 3.7) + 1.5*wave(1, 1.9)),
		pitch:    radians(2 + 2.5*wave(5, 4.7)),
		roll:     radians(2 * wave(3, 5.9)),
	}
	walking := 0.0
	switch {
	case v.WalksPast:
		k := (t - g.start) / (g.end - g.start)
		p.side = mix(g.fromSide, g.toSide, k)
		p.yaw = math.Copysign(radians(75), g.toSide) + 0.15*wave(4, 2.3)
		walking = 1
	case t < g.stand:
		k := 1 - (t-g.start)/(g.stand-g.start) // of the way still to go
		walking = smooth(k / 0.3)
		k = math.Pow(k, 1.4)
		p.side += (g.fromSide - v.SideMetres) * k
		p.distance += (g.fromDistance - v.DistanceMetres) * k
		heading := math.Atan2(v.SideMetres-g.fromSide, g.fromDistance-v.DistanceMetres)
		p.yaw = mix(p.yaw, heading, smooth((k-0.15)/0.5))
	case t >= g.leave:
		k := (t - g.leave) / (g.end - g.leave)
		walking = smooth(k / 0.3)
		p.yaw = mix(p.yaw, math.Copysign(radians(80), g.toSide-v.SideMetres), smooth((t-g.leave)/0.5))
		k = math.Pow(k, 1.5)
		p.side += (g.toSide - v.SideMetres) * k
		p.distance += (g.toDistance - v.DistanceMetres) * k
	default:
		p.standing = true
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

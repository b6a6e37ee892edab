package simulator

import (
	"math"
	"math/rand/v2"
)

// sensor turns what falls on the pixels into counts, with the errors of an uncooled camera.
type sensor struct {
	scenario *Scenario
	interval float64 // seconds a frame
	frame    int
	drifts   *rand.Rand

	drift, rate float64 // °C, °C a second
	shutters    int
	shutterAt   float64 // when the last FFC began, seconds
	driftThen   float64
	pattern     []float64
	vignette    []float64
}

func newSensor(s *Scenario) *sensor {
	c := s.Camera
	n := &sensor{
		scenario: s,
		interval: 1 / c.FPS,
		frame:    -1,
		drifts:   rand.New(rand.NewPCG(s.Seed, 1<<41)),
		// Half-way between two FFCs, so that a short scenario is not about them.
		shutterAt: -s.FFC.Every.Seconds() / 2,
		pattern:   make([]float64, c.Width*c.Height),
		vignette:  make([]float64, c.Width*c.Height),
	}
	if s.FFC.Every == 0 {
		n.shutterAt = -60
	}
	n.rate = c.DriftCelsiusPerMinute / 60 * normal(n.drifts)
	for i := range n.vignette {
		x := (float64(i%c.Width)+0.5)/float64(c.Width)*2 - 1
		y := (float64(i/c.Width)+0.5)/float64(c.Height)*2 - 1
		n.vignette[i] = c.VignettingCelsius * square((x*x+y*y)/2)
	}
	n.flatten()
	return n
}

// time is the scenario time of the current frame in seconds.
func (n *sensor) time() float64 { return float64(n.frame) * n.interval }

// advance goes on to the next frame.
func (n *sensor) advance() {
	n.frame++
	if n.frame > 0 {
		n.wander()
	}
	f := &n.scenario.FFC
	due := f.Every > 0 && n.sinceShutter() >= f.Every.Seconds()
	due = due || f.DriftCelsius > 0 && math.Abs(n.drift-n.driftThen) >= f.DriftCelsius
	if !due {
		return
	}
	n.shutters++
	n.shutterAt = n.time()
	n.driftThen = n.drift
	n.flatten()
}

// wander moves the drift: its rate forgets in 20 s, and it is drawn back so that it never strays far (about 0.6 °C for
// every °C a minute).
func (n *sensor) wander() {
	const memory, back = 20.0, 2 * math.Pi / 240
	spread := n.scenario.Camera.DriftCelsiusPerMinute / 60
	n.rate += n.interval*(-n.rate/memory-back*back*n.drift) + math.Sqrt(2*n.interval/memory)*spread*n.drifts.NormFloat64()
	n.drift += n.interval * n.rate
}

func (n *sensor) sinceShutter() float64 { return n.time() - n.shutterAt }

// frozen is true while the shutter is closed and the last picture is repeated.
func (n *sensor) frozen() bool {
	return n.shutters > 0 && n.sinceShutter() < n.scenario.FFC.Freeze.Seconds()
}

// flatten draws the pattern that is left after an FFC.
func (n *sensor) flatten() {
	c := n.scenario.Camera
	g := rand.New(rand.NewPCG(n.scenario.Seed, 1<<42+uint64(n.shutters)))
	columns := make([]float64, c.Width)
	for i := range columns {
		columns[i] = c.ColumnMillikelvin / 1000 * g.NormFloat64()
	}
	for i := range n.pattern {
		n.pattern[i] = n.vignette[i] + columns[i%c.Width] + c.PatternMillikelvin/1000*g.NormFloat64()
	}
}

// offset is the error common to the whole picture, °C.
func (n *sensor) offset() float64 {
	c := n.scenario.Camera
	jump := n.scenario.FFC.JumpCelsius / 2
	if n.shutters%2 == 1 {
		jump = -jump
	}
	heating := c.SelfHeatingCelsius * math.Exp(-n.time()/c.SelfHeating.Seconds())
	return c.OffsetCelsius + n.drift + jump - heating
}

// step is the range that the camera is in: the last one that has begun.
func (n *sensor) step() Step {
	now := Step{Gain: 1}
	for _, s := range n.scenario.Camera.Steps {
		if n.time() >= s.At.Seconds() {
			now = s
		}
	}
	return now
}

// read fills counts with centikelvin, or what a step makes of them.
func (n *sensor) read(optical []float64, counts []uint16) {
	noise := rand.New(rand.NewPCG(n.scenario.Seed, 1<<43+uint64(n.frame)))
	offset := n.offset()
	netd := n.scenario.Camera.NETDMillikelvin / 1000
	step := n.step()
	offset += step.OffsetCelsius
	for i, t := range optical {
		t += offset + n.pattern[i] + netd*noise.NormFloat64()
		counts[i] = uint16(min(max(math.Round((t+273.15)*100*step.Gain), 0), math.MaxUint16))
	}
}

// repeat fills counts with a picture sent once more.
func (n *sensor) repeat(held, counts []uint16, millikelvin float64) {
	copy(counts, held)
	if millikelvin == 0 {
		return
	}
	noise := rand.New(rand.NewPCG(n.scenario.Seed, 1<<45+uint64(n.frame)))
	for i, c := range held {
		counts[i] = uint16(min(max(math.Round(float64(c)+millikelvin/10*noise.NormFloat64()), 0), math.MaxUint16))
	}
}

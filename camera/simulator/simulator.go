// Package simulator is a camera that looks at a made-up gate: people with known temperatures walk up, stand and leave
// beside a reference source, seen by an uncooled sensor with noise, drift and a shutter. Every frame comes with the
// truth behind it.
//
// Temperatures are radiance temperatures: what a calibrated radiometer set to emissivity 1 reads at the surface. The
// optics mix temperatures linearly, which between 20 and 40 °C differs from mixing radiances by less than what a lens
// does to the same edge.
//
// The same scenario gives the same frames, bit for bit.
package simulator

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"thermogate/camera"
)

// Options say how a scenario is played.
type Options struct {
	// Live paces the frames by the clock and skips those nobody was there to read. Otherwise frames come as fast as
	// they are read, with times from a fixed day.
	Live bool
	// Linger is how much longer the camera looks on once the last person has left, where no duration ends the scenario.
	Linger time.Duration
}

// Epoch is the capture time of the first frame when not live.
var Epoch = time.Date(2024, time.January, 1, 8, 0, 0, 0, time.UTC)

// Simulator is a camera.Source. It draws on one goroutine, when it is read.
type Simulator struct {
	scenario Scenario
	live     bool
	began    time.Time

	render   *renderer
	sensor   *sensor
	schedule *schedule
	guests   []*guest
	figures  []figure
	counts   []uint16
	held     []uint16 // the last picture that was not a copy
	truth    Truth
	spare    []*look // textures to use again
}

var _ camera.Source = (*Simulator)(nil)

// New starts a scenario. The scenario is checked as Parse checks it.
func New(s Scenario, o Options) (*Simulator, error) {
	if p := s.check(); p != nil {
		return nil, fmt.Errorf("scenario: %s: %s", p.key, p.message)
	}
	s.People = slices.Clone(s.People)
	m := &Simulator{scenario: s, live: o.Live}
	m.render = newRenderer(&m.scenario)
	m.sensor = newSensor(&m.scenario)
	m.schedule = newSchedule(&m.scenario, m.render.view, o.Linger)
	m.counts = make([]uint16, s.Camera.Width*s.Camera.Height)
	return m, nil
}

// Info describes the simulated camera.
func (m *Simulator) Info() camera.Info {
	info := camera.Info{Name: "simulator", FPS: m.scenario.Camera.FPS, Units: "centikelvin", Live: m.live}
	if r := m.scenario.Reference; r.Present {
		info.ReferenceCelsius, info.ReferenceKnown = &r.Celsius, true
	}
	return info
}

// Read draws the next frame, or waits for it when live. It returns io.EOF at the end of the scenario.
func (m *Simulator) Read(ctx context.Context, frame *camera.Frame) error {
	target := m.sensor.frame + 1
	captured := Epoch.Add(m.at(target))
	if m.live {
		var err error
		if target, captured, err = m.wait(ctx, target); err != nil {
			return err
		}
	} else if err := ctx.Err(); err != nil {
		return err
	}
	for m.sensor.frame < target {
		m.sensor.advance()
	}
	if m.sensor.time() >= m.schedule.end() {
		return io.EOF
	}
	m.truth.Frozen = m.stuck()
	switch {
	case m.sensor.frozen():
	case m.truth.Frozen:
		m.look()
		m.sensor.repeat(m.held, m.counts, m.scenario.Camera.Frozen.NoiseMillikelvin)
	default:
		m.draw()
		m.held = append(m.held[:0], m.counts...)
	}
	m.truth.Frame = m.sensor.frame
	m.truth.Time = m.now()
	m.truth.ShutterClosed = m.sensor.frozen()
	m.truth.SinceFFC = seconds(m.sensor.sinceShutter())

	frame.Width, frame.Height = m.scenario.Camera.Width, m.scenario.Camera.Height
	frame.Counts = append(frame.Counts[:0], m.counts...)
	frame.Index = m.sensor.frame
	frame.Captured = captured
	frame.SinceFFC = m.truth.SinceFFC
	return nil
}

// Close lets go of nothing; it makes a Simulator a camera.Source.
func (m *Simulator) Close() error { return nil }

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// at is when a frame is due, from the beginning.
func (m *Simulator) at(frame int) time.Duration {
	return seconds(float64(frame) / m.scenario.Camera.FPS)
}

// wait sleeps until the frame is due, or says which one is the newest if it is long overdue.
func (m *Simulator) wait(ctx context.Context, frame int) (int, time.Time, error) {
	if m.began.IsZero() {
		m.began = time.Now()
	}
	newest := int(time.Since(m.began).Seconds() * m.scenario.Camera.FPS)
	frame = max(frame, newest)
	due := m.began.Add(m.at(frame))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, time.Time{}, ctx.Err()
	case <-timer.C:
		return frame, due, ctx.Err()
	}
}

// stuck is true while the camera repeats a picture.
func (m *Simulator) stuck() bool {
	f := m.scenario.Camera.Frozen
	return f != nil && m.held != nil && during(m.now(), f.At, f.For)
}

// now is the time of the frame since the scenario began.
func (m *Simulator) now() time.Duration { return m.at(m.sensor.frame) }

// during is true from a time on, for a while.
func during(t, from, length time.Duration) bool { return t >= from && t < from+length }

// draw renders the scene as it is now into counts and truth.
func (m *Simulator) draw() {
	m.look()
	celsius := m.truth.Reference.Celsius
	if m.truth.Reference.Covered {
		celsius = m.scenario.AmbientCelsius
	}
	m.render.render(m.figures, celsius, m.render.sightAt(m.sensor.time()))
	m.sensor.read(m.render.optical, m.counts)
}

// look brings figures and truth up to now.
func (m *Simulator) look() {
	t := m.sensor.time()
	m.settle(m.now())
	m.people(t)
	m.figures = m.figures[:0]
	sight := m.render.sightAt(t)
	for _, g := range m.guests {
		g.look.breathe(t)
		m.figures = append(m.figures, m.render.place(g.look, g.pose(t), g.visit.CupCelsius, sight))
	}
	m.tell(t)
	slices.SortStableFunc(m.figures, func(a, b figure) int { return cmp.Compare(b.pose.distance, a.pose.distance) })
}

// settle sets the reference down at its new place, once.
func (m *Simulator) settle(now time.Duration) {
	r := &m.scenario.Reference
	if r.Moved != nil && now >= r.Moved.At {
		r.X, r.Y, r.Moved = r.Moved.X, r.Moved.Y, nil
		m.render.box = newRefBox(m.render)
	}
}

// people lets in who comes and out who has left.
func (m *Simulator) people(t float64) {
	known := len(m.guests)
	m.guests = m.schedule.arrivals(t, m.guests)
	gone := func(g *guest) bool { return t >= g.end }
	for _, g := range m.guests[:known] {
		if gone(g) {
			m.spare = append(m.spare, g.look)
		}
	}
	for _, g := range m.guests[known:] {
		if gone(g) { // while nobody read
			continue
		}
		if n := len(m.spare); n > 0 {
			g.look.head, g.look.torso, g.look.warm = m.spare[n-1].head, m.spare[n-1].torso, m.spare[n-1].warm
			m.spare = m.spare[:n-1]
		}
		g.look.paint(g.skin, m.scenario.AmbientCelsius)
	}
	m.guests = slices.DeleteFunc(m.guests, gone)
}

package gate

import (
	"fmt"
	"math"
	"time"

	"thermogate/camera"
	"thermogate/screening/measure"
)

// Known is what outlives a restart of what a gate knows of its reference sources.
type Known struct {
	// Camera is the one that saw them, camera.Info.Name.
	Camera  string          `json:"camera"`
	Sources []measure.Known `json:"sources"`
}

// Known returns what is to be kept of the reference sources; there are none before one has proved to be steady.
func (g *Gate) Known() Known { return Known{g.source, g.finder.Known()} }

// KnownSources counts the sources in Known.
func (g *Gate) KnownSources() int { return g.finder.KnownSources() }

// Recall goes on with what an earlier run knew. It refuses what another camera saw, and what can't be true; the gate then
// knows nothing of its sources.
func (g *Gate) Recall(known Known) error {
	if known.Camera != g.source {
		return fmt.Errorf("it is of the camera %q, and this is %q", known.Camera, g.source)
	}
	return g.finder.Restore(known.Sources)
}

// Recalibrate takes a person's word that the reference source is right as it now is. The camera is as warm as it was.
func (g *Gate) Recalibrate() { g.finder.Recalibrate() }

// power follows how long the camera has been on: by what it says itself, or else by when it was opened.
type power struct {
	opening int
	uptime  time.Duration
	at      time.Time // of uptime
}

// uptimeWraps is when the counter of milliseconds starts over, slightly less than that.
const uptimeWraps = math.MaxUint32*time.Millisecond - time.Minute

// on returns when the camera was switched on, where a frame tells anything new of that.
func (p *power) on(frame *camera.Frame) (at time.Time, changed bool) {
	told := frame.Telemetry
	if told == nil || told.Uptime <= 0 {
		changed = frame.Opening != p.opening && p.at.IsZero()
		p.opening = frame.Opening
		return frame.Captured, changed
	}
	changed = p.at.IsZero() || told.Uptime < p.uptime && p.uptime+frame.Captured.Sub(p.at) < uptimeWraps
	p.uptime, p.at = told.Uptime, frame.Captured
	return frame.Captured.Add(-told.Uptime), changed
}

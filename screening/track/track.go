// Package track keeps who is who from frame to frame.
package track

import (
	"fmt"
	"math"
	"slices"
	"time"

	"thermogate/screening/event"
)

// Subject is one face followed through the picture.
type Subject struct {
	// ID is never given twice by one Tracker.
	ID int
	// Detection is the index of this subject's box in the last Update, -1 where it was not seen in that frame.
	Detection int
	// Box is where the face was last seen.
	Box       event.Box
	FirstSeen time.Time
	LastSeen  time.Time
	// Frames counts the frames in which the face was seen.
	Frames int

	vx, vy float64 // pixels a second, smoothed
}

// Config says when two boxes are the same person.
type Config struct {
	// Memory is how long a face that is not seen stays the same person. The next worker of a queue comes in where the
	// last one left within two seconds; somebody who looks away for longer is known again by a Portrait.
	Memory time.Duration `yaml:"memory"`
	// Reach is how far a face may be from where it was expected, in face widths, after one frame of 100 ms.
	Reach float64 `yaml:"reach"`
	// Growth is the largest ratio between the widths of the same face in neighbouring sightings.
	Growth float64 `yaml:"growth"`
}

// DefaultConfig fits a gate where people walk up to the camera.
func DefaultConfig() Config {
	return Config{Memory: 1200 * time.Millisecond, Reach: 0.7, Growth: 1.7}
}

// Validate names the first impossible key.
func (c Config) Validate() error {
	switch {
	case c.Memory <= 0 || c.Memory > time.Minute:
		return fmt.Errorf("memory is %s; it must be above 0s, up to 1m", c.Memory)
	case !(c.Reach > 0 && c.Reach <= 10):
		return fmt.Errorf("reach is %v; it must be above 0, up to 10 face widths", c.Reach)
	case !(c.Growth > 1 && c.Growth <= 10):
		return fmt.Errorf("growth is %v; it must be above 1, up to 10", c.Growth)
	}
	return nil
}

// Tracker follows faces. Its zero value is not usable; call New.
type Tracker struct {
	config   Config
	subjects []Subject
	pairs    []pair
	nextID   int
}

type pair struct {
	cost               float64
	subject, detection int
}

// New returns a Tracker that has seen nobody.
func New(config Config) *Tracker { return &Tracker{config: config, nextID: 1} }

// Update takes the boxes found in the frame captured at the given time and returns everybody who is in view or was
// within the tracker's memory, oldest first. The slice is valid until the next Update.
func (t *Tracker) Update(boxes []event.Box, at time.Time) []Subject {
	t.subjects = slices.DeleteFunc(t.subjects, func(s Subject) bool { return at.Sub(s.LastSeen) > t.config.Memory })
	for i := range t.subjects {
		t.subjects[i].Detection = -1
	}
	taken := make([]bool, len(boxes))
	for _, p := range t.rank(boxes, at) {
		subject := &t.subjects[p.subject]
		if subject.Detection < 0 && !taken[p.detection] {
			taken[p.detection] = true
			subject.see(boxes[p.detection], p.detection, at)
		}
	}
	for i, box := range boxes {
		if !taken[i] {
			t.subjects = append(t.subjects, Subject{ID: t.nextID, Detection: i, Box: box, FirstSeen: at, LastSeen: at, Frames: 1})
			t.nextID++
		}
	}
	return t.subjects
}

// rank lists every pair of subject and box that may be the same person, best first.
func (t *Tracker) rank(boxes []event.Box, at time.Time) []pair {
	t.pairs = t.pairs[:0]
	for i := range t.subjects {
		for j, box := range boxes {
			if cost, ok := t.cost(&t.subjects[i], box, at); ok {
				t.pairs = append(t.pairs, pair{cost, i, j})
			}
		}
	}
	slices.SortFunc(t.pairs, func(a, b pair) int {
		if a.cost < b.cost {
			return -1
		}
		if a.cost > b.cost {
			return 1
		}
		return a.subject - b.subject
	})
	return t.pairs
}

// cost is the distance in face widths between the box and where the subject was expected. What may still be the same
// person widens with the time that passed, for people move unseen too, up to twice the reach. From one picture of a fast
// camera to the next it is less: what somebody covers in a tenth of a second takes a stranger's face in the crowd into theirs.
func (t *Tracker) cost(s *Subject, box event.Box, at time.Time) (float64, bool) {
	gap := at.Sub(s.LastSeen).Seconds()
	expect := math.Min(gap, 0.3) // a walk is straight for no longer
	dx := box.X + box.W/2 - (s.Box.X + s.Box.W/2 + s.vx*expect)
	dy := box.Y + box.H/2 - (s.Box.Y + s.Box.H/2 + s.vy*expect)
	width := math.Max(s.Box.W, box.W)
	growth := math.Max(s.Box.W/box.W, box.W/s.Box.W)
	cost := math.Hypot(dx, dy)/width + 0.5*math.Log(growth)
	share := min(1, 0.25+7.5*gap)
	reach := t.config.Reach * min(2, 1+gap) * share
	return cost + 0.2*gap, math.Hypot(dx, dy)/width <= reach && growth <= 1+(t.config.Growth-1)*share
}

func (s *Subject) see(box event.Box, detection int, at time.Time) {
	if gap := at.Sub(s.LastSeen).Seconds(); gap > 0 {
		smoothing := min(0.5, gap/0.2) // a fast camera shows the same jitter of the box in less time
		s.vx += smoothing * ((box.X+box.W/2-s.Box.X-s.Box.W/2)/gap - s.vx)
		s.vy += smoothing * ((box.Y+box.H/2-s.Box.Y-s.Box.H/2)/gap - s.vy)
	}
	s.Box, s.Detection, s.LastSeen = box, detection, at
	s.Frames++
}

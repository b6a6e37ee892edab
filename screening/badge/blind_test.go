package badge

import (
	"testing"
	"time"

	"thermogate/screening/event"
)

// TestReadsWhileTheCameraIsAway: whoever has read while no frames came may have gone before they come again, and nobody takes their
// name.
func TestReadsWhileTheCameraIsAway(t *testing.T) {
	type frames struct {
		from, to float64
		visit    int // who stands before the gate, 0 is nobody
	}
	for name, test := range map[string]struct {
		seen    []frames
		read    float64
		verdict float64 // of the last visit
		want    string
	}{
		"another one when it is back":        {[]frames{{0, 1, 1}, {6, 8, 2}}, 3, 7, "no-read"},
		"it was empty before":                {[]frames{{0, 1, 0}, {4, 6, 2}}, 2, 5, "no-read"},
		"the gate has just been started":     {[]frames{{2, 4, 1}}, 0.5, 3, "no-read"},
		"who had a verdict before":           {[]frames{{0, 2, 1}, {2, 2.4, 0}}, 4.5, 1.5, "no-read"},
		"for a moment":                       {[]frames{{0, 1, 0}, {2, 6, 1}}, 1.4, 3, "A"},
		"nobody is there, and frames come":   {[]frames{{0, 3, 0}, {3, 6, 1}}, 1, 4, "A"},
		"it goes away after somebody's read": {[]frames{{0, 1, 1}}, 0.9, 0.5, "A"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPairing(10 * time.Minute)
			said, last, first := "", 0, map[int]time.Time{}
			hear := func(words []Word) {
				for _, w := range words {
					if w.Of.Data.Visit == last {
						said = nameOf(w.Person, w.Unpaired)
					}
				}
			}
			for tick := range 160 {
				seconds := float64(tick) / 10
				at := start.Add(time.Duration(tick) * 100 * time.Millisecond)
				if seconds == test.read {
					hear(p.Take(at, event.Bearer{ID: "A", By: "input"}, false))
				}
				for _, f := range test.seen {
					if seconds < f.from || seconds >= f.to {
						continue
					}
					scene := &event.Scene{Captured: at, Needs: event.Needs{FaceWidth: 30}}
					if f.visit != 0 {
						last = f.visit
						if first[last].IsZero() {
							first[last] = at
						}
						scene.People = []event.Person{{ID: last, Face: event.Box{W: 40}}}
					}
					var verdicts []event.Event
					if seconds == test.verdict {
						verdicts = []event.Event{{ID: "event", Time: at, Data: event.Data{Outcome: event.Pass, Visit: last, FirstSeen: first[last]}}}
					}
					hear(p.See(scene, verdicts))
					for _, e := range verdicts {
						said = nameOf(e.Data.Person, e.Data.Unpaired)
					}
				}
				hear(p.Tick(at))
			}
			if said != test.want {
				t.Errorf("they are %q, want %q", said, test.want)
			}
		})
	}
}

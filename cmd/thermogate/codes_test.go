package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/screening/badge"
	"thermogate/screening/event"
	"thermogate/screening/gate"
)

// TestNobodyIsNamedByAnothersCode has people of a simulated shift, some in pairs and many with the next one half a step behind, show
// codes before a whole gate, which at times takes one for another or does not find a face: no verdict bears another's name, not for a
// moment either.
func TestNobodyIsNamedByAnothersCode(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, it takes half a minute")
	}
	scenario, err := simulator.Load("../../camera/simulator/scenarios/shift-150.yaml")
	if err != nil {
		t.Fatal(err)
	}
	scenario.Queue.People = 45
	c := defaultConfig()
	detector, err := c.detector()
	if err != nil {
		t.Fatal(err)
	}
	defer detector.Close()
	source, err := simulator.New(scenario, simulator.Options{Linger: linger})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	whole, err := gate.New(c.gate(), source.Info(), detector, seededBy(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	readers := make([]codeReader, 20) // who have people show their codes at other moments
	for i := range readers {
		readers[i] = codeReader{random: rand.New(rand.NewPCG(1, uint64(i))), visits: map[int]bool{}, has: map[int]bool{}, of: map[string]int{},
			named: map[int]bool{}, pairing: badge.NewPairing(10 * time.Minute)}
	}
	err = walk(t.Context(), source, whole, func(_ *camera.Frame, scene *event.Scene, events []event.Event) error {
		truth := source.Truth()
		for i := range readers {
			readers[i].frame(t, &truth, scene, slices.Clone(events))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	verdicts, named := 0, 0
	for i := range readers {
		verdicts, named = verdicts+len(readers[i].of), named+len(readers[i].named)
	}
	people := scenario.Queue.People * len(readers)
	t.Logf("%d people with %d verdicts: %d are named", people, verdicts, named)
	if named < people/3 {
		t.Errorf("only %d of %d people are named", named, people)
	}
}

func codeOf(who int) string { return fmt.Sprint("code-", who) }

// codeReader is where simulated people show their codes, and knows who is who in truth.
type codeReader struct {
	random *rand.Rand
	visits map[int]bool   // those that were planned
	has    map[int]bool   // who has a code
	coming []codeRead     // what is still to be read
	of     map[string]int // whose a verdict is
	named  map[int]bool

	pairing *badge.Pairing
}

type codeRead struct {
	at  time.Duration
	who int
}

func (r *codeReader) frame(t *testing.T, truth *simulator.Truth, scene *event.Scene, events []event.Event) {
	r.plan(truth)
	r.attribute(truth, scene, events)
	for _, read := range r.due(truth.Time) {
		for _, w := range r.pairing.Take(scene.Captured.Add(read.at-truth.Time), event.Bearer{ID: codeOf(read.who), By: "input"}, false) {
			r.check(t, truth.Time, w.Of.ID, w.Person)
		}
	}
	for _, w := range r.pairing.See(scene, events) {
		r.check(t, truth.Time, w.Of.ID, w.Person)
	}
	for _, e := range events {
		r.check(t, truth.Time, e.ID, e.Data.Person)
	}
}

// plan has whoever stands before the gate show their code while they do, most of them once, some as they come or go.
func (r *codeReader) plan(truth *simulator.Truth) {
	const reach = 0.15 // metres that others may stand nearer
	for _, p := range truth.People {
		if !p.Standing || r.visits[p.ID] || p.DistanceMetres-truth.People[0].DistanceMetres > reach {
			continue
		}
		r.visits[p.ID] = true
		if _, known := r.has[p.Who]; !known {
			r.has[p.Who] = r.random.Float64() >= 0.05
		}
		stay := p.StandsTo - truth.Time
		if !r.has[p.Who] || stay < 300*time.Millisecond {
			continue
		}
		read := codeRead{truth.Time + time.Duration(r.random.Float64()*float64(stay)), p.Who}
		switch chance := r.random.Float64(); {
		case chance < 0.1:
			read.at = truth.Time
		case chance < 0.2:
			read.at = p.StandsTo + time.Duration(r.random.Float64()*float64(300*time.Millisecond))
		}
		r.coming = append(r.coming, read)
		if r.random.Float64() < 0.1 { // the reader reads it twice
			r.coming = append(r.coming, codeRead{read.at + 200*time.Millisecond, p.Who})
		}
	}
}

// due takes out what has been read by now.
func (r *codeReader) due(now time.Duration) (due []codeRead) {
	r.coming = slices.DeleteFunc(r.coming, func(read codeRead) bool {
		if read.at <= now {
			due = append(due, read)
		}
		return read.at <= now
	})
	return due
}

// attribute finds out whose face each verdict was made on.
func (r *codeReader) attribute(truth *simulator.Truth, scene *event.Scene, events []event.Event) {
	for i := range events {
		most := 0.2 // of the two boxes, that they have in common
		for _, seen := range scene.People {
			if seen.ID != events[i].Data.Visit {
				continue
			}
			for _, p := range truth.People {
				box := event.Box{X: p.X, Y: p.Y, W: p.W, H: p.H}
				w := min(seen.Face.X+seen.Face.W, box.X+box.W) - max(seen.Face.X, box.X)
				h := min(seen.Face.Y+seen.Face.H, box.Y+box.H) - max(seen.Face.Y, box.Y)
				common := max(w, 0) * max(h, 0)
				if share := common / (seen.Face.W*seen.Face.H + box.W*box.H - common) * (1 - p.HiddenShare); share > most {
					most, r.of[events[i].ID] = share, p.Who
				}
			}
		}
	}
}

func (r *codeReader) check(t *testing.T, now time.Duration, id string, person *event.Bearer) {
	who, known := r.of[id]
	if person == nil || !known {
		return
	}
	r.named[who] = true
	if person.ID != codeOf(who) || !r.has[who] {
		t.Errorf("after %v a verdict on %d (has a code: %t) is named %s", now, who, r.has[who], person.ID)
	}
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"thermogate/screening/door"
	"thermogate/screening/event"
)

// presence is who stands at the gate by the newest frame. A verdict is on its way to the disk for a while, and what it
// then says has to be true of whoever stands there.
type presence struct {
	mu     sync.Mutex
	people []event.Person
	locked bool // the scene wants the door locked
}

// see takes the place of the frame before.
func (p *presence) see(scene *event.Scene) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people = append(p.people[:0], scene.People...)
	for i := range p.people {
		p.people[i].Worn = nil // belongs to the scene
	}
	p.locked = scene.LockDoor
}

// clear is for a gate that sees nobody any more.
func (p *presence) clear() { p.see(&event.Scene{}) }

// late says why a verdict comes too late to be shown, nil where it does not.
func (p *presence) late(e *event.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tooLate(e)
}

func (p *presence) tooLate(e *event.Event) error {
	if p.personOf(e) == nil {
		return errors.New("the person had gone")
	}
	if age := time.Since(e.Time); (e.Data.Outcome == event.Pass || e.Data.Outcome == event.Named) && age > door.MaxAge {
		return fmt.Errorf("the verdict was already %.1f s old", age.Seconds())
	}
	return nil
}

// mayGoIn says why the door must not open for a pass, nil where it may.
func (p *presence) mayGoIn(e event.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.tooLate(&e); err != nil {
		return err
	}
	person := p.personOf(&e)
	switch {
	case person.Event.Data.Outcome != event.Pass:
		return errors.New("the person did not pass")
	case slices.ContainsFunc(p.people, hasAlert):
		return errors.New("somebody with an alert is in view")
	case person.Admitted && !p.locked:
		return nil
	case e.Data.RescreenOf != "" && !p.locked && !p.somebodyNearer(person):
		return errors.New("it repeats a pass for which it has opened")
	}
	return errors.New("somebody else stands nearer, or an alert waits for staff")
}

// personOf returns the person whose verdict e is and holds, or of whom e says who they are; nil where there is none.
func (p *presence) personOf(e *event.Event) *event.Person {
	verdict := cmp.Or(e.Data.PersonOf, e.ID)
	i := slices.IndexFunc(p.people, func(q event.Person) bool { return q.Event != nil && q.Event.ID == verdict })
	if i < 0 {
		return nil
	}
	return &p.people[i]
}

// somebodyNearer says whether somebody without a verdict stands nearer than person.
func (p *presence) somebodyNearer(person *event.Person) bool {
	return slices.ContainsFunc(p.people, func(q event.Person) bool {
		return q.Event == nil && q.Face.W*q.Face.H > person.Face.W*person.Face.H
	})
}

func hasAlert(p event.Person) bool { return p.Event != nil && p.Event.Data.Outcome == event.Alert }

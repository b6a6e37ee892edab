package track

import (
	"testing"
	"thermogate/screening/event"
	"time"
)

const frame = 114 * time.Millisecond

// walk feeds the boxes of one scene, frame by frame, and returns the ID behind each box.
func walk(t *testing.T, frames [][]event.Box) [][]int {
	t.Helper()
	tracker := New(DefaultConfig())
	at := time.Unix(0, 0)
	ids := make([][]int, len(frames))
	for i, boxes := range frames {
		ids[i] = make([]int, len(boxes))
		for _, s := range tracker.Update(boxes, at) {
			if s.Detection >= 0 {
				ids[i][s.Detection] = s.ID
			}
		}
		at = at.Add(frame)
	}
	return ids
}

func repeat(n int, boxes ...event.Box) [][]event.Box {
	frames := make([][]event.Box, n)
	for i := range frames {
		frames[i] = boxes
	}
	return frames
}

func join(parts ...[][]event.Box) (all [][]event.Box) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestSamePerson(t *testing.T) {
	near, other := event.Box{X: 40, Y: 50, W: 36, H: 48}, event.Box{X: 90, Y: 60, W: 25, H: 33}
	var approach [][]event.Box
	for i := range 12 {
		w := 18 + 2*float64(i)
		approach = append(approach, [][]event.Box{{{X: 60 - w/2, Y: 60 - w/2, W: w, H: w * 1.3}}}...)
	}
	tests := []struct {
		name   string
		frames [][]event.Box
		people int
	}{
		{"stands", repeat(20, near), 1},
		{"walks up and grows", approach, 1},
		{"looks away for a second", join(repeat(5, near), repeat(9), repeat(5, near)), 1},
		{"leans in fast", join(repeat(5, near), repeat(5, event.Box{X: 22, Y: 40, W: 52, H: 69})), 1},
		{"next worker after a pause", join(repeat(5, near), repeat(20), repeat(5, near)), 2},
		{"two side by side", repeat(20, near, other), 2},
		{"one of two leaves and the other moves over", join(repeat(9, near, other), repeat(9, event.Box{X: 84, Y: 60, W: 25, H: 33})), 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seen := map[int]bool{}
			for _, ids := range walk(t, test.frames) {
				for _, id := range ids {
					seen[id] = true
				}
			}
			if len(seen) != test.people {
				t.Errorf("%d people, want %d", len(seen), test.people)
			}
		})
	}
}

func TestOrderOfBoxesDoesNotSwapPeople(t *testing.T) {
	left, right := event.Box{X: 20, Y: 50, W: 36, H: 48}, event.Box{X: 80, Y: 50, W: 36, H: 48}
	ids := walk(t, [][]event.Box{{left, right}, {right, left}, {left, right}})
	if ids[0][0] != ids[1][1] || ids[0][1] != ids[1][0] || ids[2][0] != ids[0][0] {
		t.Errorf("people swapped: %v", ids)
	}
}

func TestPeoplePassingEachOtherKeepTheirNames(t *testing.T) {
	var frames [][]event.Box
	for i := range 21 {
		x := float64(i) * 4
		frames = append(frames, []event.Box{{X: x, Y: 40, W: 30, H: 40}, {X: 80 - x, Y: 60, W: 20, H: 27}})
	}
	ids := walk(t, frames)
	for i := range ids {
		if ids[i][0] != ids[0][0] || ids[i][1] != ids[0][1] {
			t.Fatalf("frame %d: people %v, want %v", i, ids[i], ids[0])
		}
	}
}

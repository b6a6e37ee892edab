package track

import (
	"testing"
	"time"

	"thermogate/screening/event"
)

const (
	frame     = 114 * time.Millisecond
	fastFrame = time.Second / 30
)

// walk feeds the boxes of one scene, one each frame time, and returns the ID behind each box.
func walk(t *testing.T, frame time.Duration, frames [][]event.Box) [][]int {
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
			for _, ids := range walk(t, frame, test.frames) {
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
	ids := walk(t, frame, [][]event.Box{{left, right}, {right, left}, {left, right}})
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
	ids := walk(t, frame, frames)
	for i := range ids {
		if ids[i][0] != ids[0][0] || ids[i][1] != ids[0][1] {
			t.Fatalf("frame %d: people %v, want %v", i, ids[i], ids[0])
		}
	}
}

// TestPassingBefore: somebody walks past before one who stands there and is hidden meanwhile, at 30 pictures a second.
func TestPassingBefore(t *testing.T) {
	stands, passes := event.Box{X: 385, Y: 285, W: 24, H: 33}, event.Box{X: 372, Y: 288, W: 27, H: 37}
	var walksOn [][]event.Box
	for range 8 {
		passes.X -= 4
		walksOn = append(walksOn, []event.Box{passes, stands})
	}
	ids := walk(t, fastFrame, join(repeat(20, stands), repeat(1, event.Box{X: 372, Y: 288, W: 27, H: 37}), walksOn))
	last := ids[len(ids)-1]
	if last[1] != ids[0][0] || last[0] == ids[0][0] {
		t.Errorf("who stands there was %d and is %d, who passes is %d", ids[0][0], last[1], last[0])
	}
}

// TestTwoFacesInOneBox: a box around two faces is neither's for a picture, and the one who stood there is who they were.
func TestTwoFacesInOneBox(t *testing.T) {
	stands := event.Box{X: 434, Y: 225, W: 26, H: 36}
	ids := walk(t, fastFrame, join(repeat(20, stands), repeat(1, event.Box{X: 427, Y: 218, W: 42, H: 56}), repeat(5, stands)))
	if last := ids[len(ids)-1]; last[0] != ids[0][0] || ids[20][0] == ids[0][0] {
		t.Errorf("who stands there was %d and is %d, the box of two is %d", ids[0][0], last[0], ids[20][0])
	}
}

package gate

import (
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/track"
)

// newWalkway is a hall in which many are screened at once, at 30 pictures a second.
func newWalkway(t *testing.T) *hall {
	t.Helper()
	config := DefaultVisitConfig()
	config.Near, config.Far = 0.036, 0.03
	h := newHall(t, config)
	h.step = time.Second / 30
	return h
}

// TestNobodyIsTakenForWhoIsElsewhere has somebody come who looks exactly like one who passed, but is another.
func TestNobodyIsTakenForWhoIsElsewhere(t *testing.T) {
	first := well(1).wide(6).at(20)
	twin := first.on(2).at(100)
	for _, test := range []struct {
		name string
		play func(h *hall)
		want []string
	}{
		{"who passed can't have come so far", func(h *hall) { h.frames(2) }, []string{"pass", "pass"}},
		{"who passed could have", func(h *hall) { h.stay(aWhile) }, []string{"pass"}},
		{"who passed is here again", func(h *hall) {
			h.stay(time.Second)
			again := h.apart(first, knownAgain+0.3, knownHere-0.5).on(3)
			h.stay(aWhile, again)
			h.frame(again, twin)
		}, []string{"pass", "pass again 1", "pass"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newWalkway(t)
			h.stay(time.Second, first)
			test.play(h)
			h.stay(time.Second, twin)
			h.want(test.want...)
		})
	}
}

// TestLostWhereTheyWere: whoever was hidden for a moment and looks different after it refers to the event from before it, but
// never with a pass to an alert.
func TestLostWhereTheyWere(t *testing.T) {
	here := well(1).wide(6)
	for _, test := range []struct {
		name  string
		first someone
		then  func(someone) someone
		away  time.Duration
		want  []string
	}{
		{"there", here, func(p someone) someone { return p.at(66) }, time.Second, []string{"pass", "pass again 1"}},
		{"elsewhere", here, func(p someone) someone { return p.at(80) }, time.Second, []string{"pass", "pass"}},
		{"later", here, func(p someone) someone { return p }, aWhile, []string{"pass", "pass"}},
		{"another temperature", here, func(p someone) someone { return p.reading(35.9) }, time.Second, []string{"pass", "pass"}},
		{"well after a fever", here.reading(36.9), func(p someone) someone { return p.reading(35.95) }, time.Second, []string{"alert", "pass"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newWalkway(t)
			h.stay(time.Second, test.first)
			h.stay(test.away)
			h.stay(time.Second, h.apart(test.then(test.first), knownAgain+0.3, knownHere-0.5).on(2))
			h.want(test.want...)
		})
	}
}

// TestNextInLine: who comes close behind somebody, and is hardly like them, has a door of their own to open.
func TestNextInLine(t *testing.T) {
	h := newWalkway(t)
	first := well(1).wide(6)
	next := h.apart(first, knownAgain+0.3, knownHere-0.5).on(2)
	h.stay(time.Second, first)
	h.stay(time.Second)
	h.stay(time.Second, next)
	h.want("pass", "pass again 1")
	if p := h.scene.People[0]; p.Repeated || !p.Admitted {
		t.Errorf("repeated %t, admitted %t", p.Repeated, p.Admitted)
	}
}

// TestHalfHidden: who looks different for a few pictures of a fast camera, and like themselves after them, keeps the verdict.
func TestHalfHidden(t *testing.T) {
	h := newWalkway(t)
	h.stay(time.Second, well(1))
	h.frame()
	h.stay(300*time.Millisecond, h.apart(well(1), sameBroken+0.2, sameWhole-0.5))
	if h.shown() != "" {
		t.Errorf("event %q is shown of somebody in doubt", h.shown())
	}
	h.stay(time.Second, well(1))
	h.want("pass")
	if h.shown() != "1" {
		t.Errorf("event %q is shown", h.shown())
	}
}

// TestSlippedTrack: of two who pass each other the track follows the wrong one, without a jump.
func TestSlippedTrack(t *testing.T) {
	h := newWalkway(t)
	h.stay(time.Second, well(1))
	h.frame(well(1).but(event.Moving))
	other := h.apart(well(1), sameBroken+0.8, sameWhole)
	h.frame(other)
	if h.shown() != "" {
		t.Errorf("event %q is shown of another", h.shown())
	}
	h.stay(2*time.Second, other)
	if len(h.events) != 2 || h.shown() != "2" {
		t.Errorf("event %q of %q is shown", h.shown(), h.verdicts())
	}
}

// TestGlimpse: what two who pass each other look like for a moment leaves no trace, whoever is there for longer does.
func TestGlimpse(t *testing.T) {
	passing := well(1).but(event.Moving)
	for _, test := range []struct {
		name string
		play func(h *hall)
		want []string
	}{
		{"some pictures", func(h *hall) { h.frames(4, passing) }, nil},
		{"a fifth of a second", func(h *hall) { h.frames(6, passing) }, []string{"walked-through"}},
		{"measured once while they walk up", func(h *hall) {
			h.frames(1, well(1).at(20))
			h.stay(time.Second, passing.at(35))
			h.stay(time.Second, h.apart(well(1), sameWhole+0.5, sameNever-1).at(35))
		}, []string{"pass"}},
		{"measured once, and then somebody warmer", func(h *hall) {
			h.frames(1, well(1).at(20))
			h.stay(time.Second, passing.at(35))
			h.stay(time.Second, h.apart(well(1).reading(36), sameWhole+0.5, sameNever-1).at(35))
		}, []string{"left", "pass"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newWalkway(t)
			h.frame()
			test.play(h)
			h.stay(aWhile)
			h.want(test.want...)
		})
	}
}

// TestStep: nearly half a width is what somebody walks between two pictures at 9 a second, and too far for one at 30.
func TestStep(t *testing.T) {
	for _, test := range []struct {
		name  string
		step  time.Duration
		shown string
	}{
		{"at 30 pictures a second", time.Second / 30, ""},
		{"at 9", frameTime, "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newWalkway(t)
			h.step = test.step
			h.stay(time.Second, well(1).at(60))
			h.frame(well(1).at(73).but(event.Moving))
			if h.shown() != test.shown {
				t.Errorf("event %q is shown, want %q", h.shown(), test.shown)
			}
		})
	}
}

// TestOneOfTwo: of two who touch one is found, and moves. Nobody's verdict is shown of them until they are measured again.
func TestOneOfTwo(t *testing.T) {
	for _, test := range []struct {
		name  string
		other float64
		shown string
	}{{"touching", 95, ""}, {"a step apart", 115, "1"}} {
		t.Run(test.name, func(t *testing.T) {
			h := newWalkway(t)
			h.stay(time.Second, well(1), well(2).at(test.other))
			h.frame(well(1).at(66).but(event.Moving))
			if h.shown() != test.shown {
				t.Errorf("event %q is shown, want %q", h.shown(), test.shown)
			}
			h.stay(time.Second, well(1).at(66), well(2).at(test.other))
			h.want("pass", "pass")
			if h.shown() != "1" {
				t.Errorf("event %q is shown of who was measured again", h.shown())
			}
		})
	}
}

// TestTwoOutOfOne: somebody comes out from behind one who stands there, followed as that one, and a new face is where that one was.
func TestTwoOutOfOne(t *testing.T) {
	h := newWalkway(t)
	h.stay(time.Second, well(1))
	h.frame(well(1).at(67).but(event.Moving))
	h.frame(well(1).at(74).but(event.Moving))
	h.frame(well(1).at(81).but(event.Moving), well(1).on(2).at(60))
	h.frame(well(1).at(88).but(event.Moving), well(1).on(2).at(60))
	if h.shown() != "" {
		t.Errorf("event %q is shown of who came out", h.shown())
	}
	other := h.apart(well(1), sameBroken+0.8, sameWhole).at(88)
	h.stay(time.Second, other, well(1).on(2).at(60))
	if first, second := h.shown(), h.scene.People[1].Event; first != "2" || second == nil || second.ID == first {
		t.Errorf("events %q and %v are shown after %q", first, second, h.verdicts())
	}
}

// TestBoxAroundTwo: a new face around two that were a moment ago where it is, is no third.
func TestBoxAroundTwo(t *testing.T) {
	around := event.Box{X: 40, Y: 30, W: 70, H: 90}
	for _, test := range []struct {
		name string
		play func(h *hall)
		face track.Subject
		age  time.Duration
		want bool
	}{
		{name: "around both", face: track.Subject{ID: 3, Box: around}, want: true},
		{name: "for long", face: track.Subject{ID: 3, Box: around}, age: time.Second},
		{name: "around one", face: track.Subject{ID: 3, Box: event.Box{X: 40, Y: 30, W: 45, H: 90}}},
		{name: "not larger", face: track.Subject{ID: 3, Box: event.Box{X: 58, Y: 30, W: 34, H: 90}}},
		{name: "one is still there", play: func(h *hall) { h.frame(well(1)) }, face: track.Subject{ID: 3, Box: around}},
		{name: "one of the two", face: track.Subject{ID: 1, Box: around}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newWalkway(t)
			h.stay(time.Second, well(1), well(2).at(90))
			h.frame()
			if test.play != nil {
				test.play(h)
			}
			test.face.FirstSeen = h.now.Add(-test.age)
			if got := h.floor.ofTwo(&test.face, h.now); got != test.want {
				t.Errorf("%t, want %t", got, test.want)
			}
			h.floor.config.Near = usualNear
			if h.floor.ofTwo(&test.face, h.now) {
				t.Error("at a kiosk, where a face that is twice as large is somebody who stepped up")
			}
		})
	}
}

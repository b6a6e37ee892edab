package simulator

import (
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"thermogate/camera"
)

// watched is the truth of every frame of a scenario.
func watched(t *testing.T, scenario string) []Truth {
	t.Helper()
	s, err := Parse("scenario.yaml", []byte("camera: {width: 40, height: 40, fps: 20}\n"+scenario))
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, s, Options{})
	var all []Truth
	var frame camera.Frame
	for {
		if err := m.Read(t.Context(), &frame); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		truth := m.Truth()
		truth.People = slices.Clone(truth.People)
		all = append(all, truth)
	}
}

func find(truth Truth, id int) (Person, bool) {
	i := slices.IndexFunc(truth.People, func(p Person) bool { return p.ID == id })
	if i < 0 {
		return Person{}, false
	}
	return truth.People[i], true
}

// side is on which side of the picture a person is, -1 left to 1 right.
func side(p Person) float64 { return (p.X+p.W/2)/20 - 1 }

func TestFollowingFromASide(t *testing.T) {
	for _, test := range []struct {
		follows string
		same    bool
	}{{fromSameSide, true}, {fromOtherSide, false}} {
		for seed := range 4 {
			frames := watched(t, "seed: "+string(rune('1'+seed))+"\npeople: [{at: 1s}, {follows: "+test.follows+", gap: -500ms}]\n")
			var left, came float64
			for _, f := range frames {
				if p, ok := find(f, 0); ok {
					left = side(p)
				}
				if p, ok := find(f, 1); ok && came == 0 {
					came = side(p)
				}
			}
			if (left*came > 0) != test.same {
				t.Errorf("%s, seed %d: one leaves at %.1f, the other comes at %.1f", test.follows, seed, left, came)
			}
		}
	}
}

func TestWaitingBehind(t *testing.T) {
	frames := watched(t, "people: [{at: 0s, stand: 4s, distance_metres: 0.7, height_metres: 1.7}, {follows: behind, behind_metres: 0.3, height_metres: 1.7, stand: 2s}, {follows: behind}]\n")
	hidden, stood := 0, 0
	for _, f := range frames {
		a, here := find(f, 0)
		b, ok := find(f, 1)
		if !ok {
			continue
		}
		if here && a.Standing && b.Standing && b.HiddenShare > 0.5 && math.Abs(b.DistanceMetres-1) < 0.02 {
			hidden++
		}
		if !here && b.Standing && b.DistanceMetres < 0.72 {
			stood++
		}
	}
	if hidden < 20 || math.Abs(float64(stood)-40) > 25 {
		t.Errorf("hidden behind for %d frames and at the place for %d, want a second or more, and two", hidden, stood)
	}
}

func TestAtOnce(t *testing.T) {
	frames := watched(t, "people: [{at: 1s, side_metres: 0.05}, {follows: at-once, gap: 400ms, core_celsius: 39}]\n")
	last, first := -1, -1
	for i, f := range frames {
		if len(f.People) > 1 {
			t.Fatalf("frame %d shows both", i)
		}
		if _, ok := find(f, 0); ok {
			last = i
		}
		if p, ok := find(f, 1); ok && first < 0 {
			first = i
			if before, _ := find(frames[last], 0); !p.Standing || math.Abs(p.X-before.X) > 3 {
				t.Errorf("appears at %.1f, standing %v; the one before was at %.1f", p.X, p.Standing, before.X)
			}
		}
	}
	if first-last < 8 || first-last > 9 {
		t.Errorf("frames %d to %d show nobody, want 400 ms", last, first)
	}
}

func TestReturning(t *testing.T) {
	frames := watched(t, "people: [{at: 0s, core_celsius: 39}, {returns: true, gap: 2s, chill_celsius: 1}, {returns: true, gap: 2s, skin_celsius: 35}]\n")
	skin := map[int]float64{}
	for _, f := range frames {
		for _, p := range f.People {
			if p.Who != 0 {
				t.Fatalf("visit %d is of person %d, want 0", p.ID, p.Who)
			}
			skin[p.ID] = p.SkinCelsius
			if p.SkinGiven != (p.ID == 2) {
				t.Errorf("visit %d: skin given: %v", p.ID, p.SkinGiven)
			}
		}
	}
	if len(skin) != 3 || math.Abs(skin[0]-skin[1]-1) > 1e-9 || skin[2] != 35 {
		t.Errorf("skin by visit %v", skin)
	}
}

func TestMoves(t *testing.T) {
	frames := watched(t, `people:
  - {at: 0s, stand: 6s, distance_metres: 1, side_metres: -0.1, moves: [{after: 1s, side_metres: 0.1}, {after: 3s, over: 0s, yaw_degrees: 180, distance_metres: 0.9}]}
  - {at: 1s, stand: 6s, sway: 0, appears: true, distance_metres: 1.4}
`)
	var began time.Duration
	var still []Person
	for _, f := range frames {
		if p, ok := find(f, 1); ok {
			still = append(still, p)
		}
		p, ok := find(f, 0)
		if !ok || f.Time < p.StandsFrom || f.Time >= p.StandsTo {
			continue
		}
		began = p.StandsFrom
		switch after := f.Time - began; {
		case after < time.Second && side(p) > 0, after > 2*time.Second && side(p) < 0:
			t.Errorf("%s after stepping up the face is at %.1f", after, side(p))
		case after > 1100*time.Millisecond && after < 1600*time.Millisecond && p.Standing:
			t.Errorf("%s after stepping up, on the move, the person stands", after)
		case (after > 3*time.Second) == (p.Facing || p.DistanceMetres > 0.95):
			t.Errorf("%s after stepping up: facing %v at %.2f m", after, p.Facing, p.DistanceMetres)
		}
	}
	for _, p := range still {
		if p.X != still[0].X || p.YawDegrees != still[0].YawDegrees || !p.Standing {
			t.Fatalf("the dummy moves: %+v", p)
		}
	}
	if len(still) != 120 {
		t.Errorf("the dummy is there for %d frames, want 6 s", len(still))
	}
}

func TestQueueEnds(t *testing.T) {
	frames := watched(t, "queue: {people: 30, stand: 1s, pair_share: 0.2, return_share: 0.2, behind_share: 0.4, turned_share: 0.1, far_share: 0.1}\n")
	who, visits, hidden, turned, far := map[int]bool{}, map[int]bool{}, map[int]bool{}, map[int]bool{}, map[int]bool{}
	for _, f := range frames {
		for _, p := range f.People {
			who[p.Who], visits[p.ID] = true, true
			hidden[p.ID] = hidden[p.ID] || p.Hidden && p.Standing
			turned[p.ID] = turned[p.ID] || p.Standing && math.Abs(p.YawDegrees) > 30
			far[p.ID] = far[p.ID] || p.Standing && p.DistanceMetres > 1.6
		}
	}
	count := func(of map[int]bool) (n int) {
		for _, yes := range of {
			if yes {
				n++
			}
		}
		return n
	}
	if len(who) != 30 || len(visits) < 31 || count(hidden) < 5 || count(turned) == 0 || count(far) == 0 {
		t.Errorf("%d people on %d visits, %d behind others, %d turned away, %d far", len(who), len(visits), count(hidden), count(turned), count(far))
	}
}

func TestLingers(t *testing.T) {
	s := DefaultScenario()
	s.Camera.Width, s.Camera.Height = 40, 40
	s.People = []Visit{visit(35)}
	length := func(o Options) (n int) {
		m := start(t, s, o)
		var frame camera.Frame
		for m.Read(t.Context(), &frame) == nil {
			n++
		}
		return n
	}
	if more := length(Options{Linger: 5 * time.Second}) - length(Options{}); more != 44 {
		t.Errorf("5 s give %d more frames, want 44", more)
	}
}

func TestFrozenCamera(t *testing.T) {
	for _, test := range []struct {
		noise string
		same  bool
	}{{"0", true}, {"30", false}} {
		s, err := Parse("frozen.yaml", []byte("duration: 6s\ncamera: {width: 60, height: 80, fps: 10, frozen: {at: 3s, for: 2s, noise_millikelvin: "+test.noise+"}}\npeople: [{at: 0s}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		m := start(t, s, Options{})
		var frame camera.Frame
		var held []uint16
		for m.Read(t.Context(), &frame) == nil {
			now := m.Truth()
			if now.Frozen != (now.Time >= 3*time.Second && now.Time < 5*time.Second) {
				t.Fatalf("at %s the camera is frozen: %v", now.Time, now.Frozen)
			}
			if now.Frozen && slices.Equal(held, frame.Counts) != test.same {
				t.Errorf("at %s with noise of %s mK: the same picture: %v", now.Time, test.noise, !test.same)
			}
			held = append(held[:0], frame.Counts...)
		}
	}
}

func TestReferenceIsDisturbed(t *testing.T) {
	s := perfect()
	s.Duration = 40 * time.Second
	s.Camera.FPS = 2
	s.Reference.DriftCelsiusPerMinute = 1
	s.Reference.Covered = &Cover{At: 10 * time.Second, For: 10 * time.Second}
	s.Reference.Moved = &Removal{At: 30 * time.Second, X: 0.25, Y: 0.8}
	m := start(t, s, Options{})
	var frame camera.Frame
	for m.Read(t.Context(), &frame) == nil {
		now := m.Truth()
		r := now.Reference
		want := 37 + now.Time.Minutes()
		if math.Abs(r.Celsius-want) > 0.01 {
			t.Errorf("at %s it has %.2f °C, want %.2f", now.Time, r.Celsius, want)
		}
		if r.Covered != (now.Time >= 10*time.Second && now.Time < 20*time.Second) {
			t.Errorf("at %s it is covered: %v", now.Time, r.Covered)
		}
		if (r.X < 60) != (now.Time >= 30*time.Second) {
			t.Errorf("at %s it is at %.0f", now.Time, r.X)
		}
		seen := celsius(&frame, int(r.X), int(r.Y))
		if r.Covered && seen > 27 || !r.Covered && math.Abs(seen-want) > 0.3 {
			t.Errorf("at %s it reads %.2f °C", now.Time, seen)
		}
	}
}

func TestMaskBreathes(t *testing.T) {
	s := perfect()
	v := visit(35)
	v.Mask, v.Breathing, v.Stand, v.Appears = true, true, 10*time.Second, true
	s.People = []Visit{v}
	m := start(t, s, Options{})
	var frame camera.Frame
	low, high := math.Inf(1), math.Inf(-1)
	for m.Read(t.Context(), &frame) == nil {
		if people := m.Truth().People; len(people) == 1 && people[0].Standing {
			lips := people[0].Landmarks[2]
			c := celsius(&frame, int(lips.X), int(lips.Y)+2)
			low, high = min(low, c), max(high, c)
		}
	}
	if low < 24 || low > 28.5 || high < 31 || high > 35 {
		t.Errorf("before the mouth the mask goes from %.1f to %.1f °C, want from near 24 to near 35", low, high)
	}
}

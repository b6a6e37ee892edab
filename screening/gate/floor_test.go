package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

const (
	frameTime  = 111 * time.Millisecond // of a Lepton
	trackFor   = 1200 * time.Millisecond
	sensorSide = 120
	// A face in a picture of its own, with room for the shoulders and for a box that lies a little aside.
	ownWidth, ownHeight = 52, 92
	ownLeft, ownTop     = 10, 13
	ownFace             = 30
)

// someone is a made-up person as they stand before the camera in a frame.
type someone struct {
	track   int
	seed    uint64 // of their pattern of warm and cold
	double  uint64 // seed of another pattern, of which they have a share
	share   float64
	skin    float64
	site    event.Site
	covered bool // part of the site
	masked  bool
	problem event.Reason
	still   bool
	x, w    float64
}

func well(track int) someone {
	return someone{track: track, seed: uint64(track), skin: 35.4, site: event.InnerCanthus, x: 60, w: 30}
}

func febrile(track int) someone {
	p := well(track)
	p.skin = 37.3
	return p
}

func (p someone) but(problem event.Reason) someone { p.problem = problem; return p }
func (p someone) reading(skin float64) someone     { p.skin = skin; return p }
func (p someone) on(track int) someone             { p.track = track; return p }
func (p someone) at(x float64) someone             { p.x = x; return p }
func (p someone) wide(w float64) someone           { p.w = w; return p }
func (p someone) frozen() someone                  { p.still = true; return p }

// inGlasses are those whose canthi are hidden, and part of the forehead.
func (p someone) inGlasses() someone {
	p.site, p.covered = event.Forehead, true
	return p
}

func (p someone) face() face.Face {
	f := face.Face{X: float32(p.x - p.w/2), Y: 40, W: float32(p.w), H: float32(4 * p.w / 3)}
	for i, at := range [][2]float32{{0.3, 0.4}, {0.7, 0.4}, {0.5, 0.6}, {0.35, 0.8}, {0.65, 0.8}} {
		f.Landmarks[i] = face.Point{X: f.X + at[0]*f.W, Y: f.Y + at[1]*f.H}
	}
	return f
}

// hall is a place before a camera. Nothing is detected there: what is sighted is made up.
type hall struct {
	testing.TB
	floor  *floor
	events []event.Event

	now, previous time.Time
	step          time.Duration
	trails        map[int]*trail
	scene         event.Scene
	random        *rand.Rand
	patterns      map[uint64][]float32
	sketcher      track.Sketcher
	view          track.View

	watch func(p someone, v *visit) // told of every face between its being seen and being judged
	tell  func(v *visit, e *event.Event)
}

func newHall(t testing.TB, config VisitConfig) *hall {
	t.Helper()
	judge, err := policy.New(policy.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{
		TB: t, floor: newFloor(config, judge), now: time.Unix(1e9, 0), step: frameTime, trails: map[int]*trail{},
		random: rand.New(rand.NewPCG(1, 2)), patterns: map[uint64][]float32{},
	}
	h.floor.publish = h.publish
	return h
}

func (h *hall) publish(v *visit, verdict policy.Verdict, about relation, at time.Time) *event.Event {
	e := event.Event{ID: strconv.Itoa(len(h.events) + 1), Time: at, Data: event.Data{
		Outcome: verdict.Outcome, Reason: verdict.Reason, SkinCelsius: verdict.SkinCelsius, FirstSeen: v.firstSeen,
		RescreenOf: about.rescreenOf, Revises: about.revises,
	}}
	h.events = append(h.events, e)
	if h.tell != nil {
		h.tell(v, &e)
	}
	return &e
}

// frame shows some people for the time of a frame, as Gate.Process does.
func (h *hall) frame(people ...someone) {
	h.previous, h.now = h.now, h.now.Add(h.step)
	for _, p := range people {
		if h.trails[p.track] == nil {
			h.trails[p.track] = &trail{}
		}
		h.trails[p.track].sureAt = h.now
	}
	var subjects []track.Subject
	for id, t := range h.trails {
		if h.now.Sub(t.sureAt) > trackFor {
			delete(h.trails, id)
			continue
		}
		subject := track.Subject{ID: id}
		if t.sureAt.Before(h.now) {
			subject.Detection = -1
		}
		subjects = append(subjects, subject)
	}
	h.floor.keep(subjects, h.now)
	h.scene = event.Scene{}
	var seen []*visit
	for _, p := range people {
		s := h.sight(p)
		v := h.floor.see(p.track, &s)
		if h.watch != nil {
			h.watch(p, v)
		}
		h.floor.judge(v, s.view, true, h.now)
		seen = append(seen, v)
		h.scene.People = append(h.scene.People, v.shown(s.box, h.now))
	}
	h.floor.admit(&h.scene, seen, h.now)
}

// sight is Gate.sight with a made-up reading.
func (h *hall) sight(p someone) sighting {
	f := p.face()
	t := h.trails[p.track]
	before, broken := t.before(f, h.now, h.previous)
	s := sighting{
		at: h.now, previous: h.previous, box: boxOf(f), sure: true, whole: true, moved: !p.still, broken: broken,
		near: p.w >= h.floor.config.Near*sensorSide, far: p.w >= h.floor.config.Far*sensorSide,
		atEdge: f.X < f.W || f.X+2*f.W > sensorSide,
	}
	if p.masked {
		s.worn = []event.Garment{event.Mask}
	}
	s.steady = before != nil && measure.Speed(f, before.face, h.now.Sub(before.at)) <= measure.DefaultConfig().MaxSpeed
	t.recent = append(t.recent, seenFace{f, h.now})
	switch {
	case !s.near:
		s.reading.Problem = event.TooFar
	case p.problem != event.NoProblem:
		s.reading.Problem = p.problem
	default:
		s.reading = measure.Reading{
			Contrast:    1,
			SkinCelsius: p.skin + 0.04*h.random.NormFloat64(), NoiseCelsius: 0.08, SystematicCelsius: 0.25,
			Site: p.site, Bare: !p.covered,
		}
		h.draw(p, &h.view)
		s.view = &h.view
	}
	return s
}

// draw draws somebody with the noise of a sensor, and a box that never lies upon a face twice in the same way.
func (h *hall) draw(p someone, view *track.View) {
	celsius := slices.Clone(h.pattern(p.seed))
	if p.share > 0 {
		for i, c := range h.pattern(p.double) {
			celsius[i] += float32(p.share) * (c - 34)
		}
	}
	for i := range celsius {
		celsius[i] += 0.05 * float32(h.random.NormFloat64())
	}
	aside := func() float64 { return 0.4 * (h.random.Float64() - 0.5) }
	box := event.Box{X: ownLeft + aside(), Y: ownTop + aside(), W: ownFace, H: ownFace * 4 / 3}
	h.sketcher.Draw(celsius, ownWidth, ownHeight, box, p.masked, view)
}

// pattern is how warm and cold lie over face and shoulders of the person of a seed: a few waves that are theirs.
func (h *hall) pattern(seed uint64) []float32 {
	if p := h.patterns[seed]; p != nil {
		return p
	}
	random := rand.New(rand.NewPCG(seed, 5))
	p := make([]float32, ownWidth*ownHeight)
	for i := range p {
		p[i] = 34
	}
	for range 6 {
		angle, phase := 2*math.Pi*random.Float64(), 2*math.Pi*random.Float64()
		length := ownFace * (0.5 + random.Float64())
		kx, ky := 2*math.Pi*math.Cos(angle)/length, 2*math.Pi*math.Sin(angle)/length
		for i := range p {
			p[i] += float32(0.7 * math.Cos(kx*float64(i%ownWidth)+ky*float64(i/ownWidth)+phase))
		}
	}
	h.patterns[seed] = p
	return p
}

// lookalike is somebody, on another track, who is so like p that they may or may not be the same.
func (h *hall) lookalike(p someone, track int) someone {
	h.Helper()
	return h.apart(p, sameBroken+0.1, knownAgain-0.1).on(track)
}

// apart is somebody whose portrait differs from that of p by something between least and most.
func (h *hall) apart(p someone, least, most float64) someone {
	h.Helper()
	var first, second track.View
	h.draw(p, &first)
	portrait := first.Portrait()
	if p.double == 0 {
		p.double = 99
	}
	for ; p.share < 1; p.share += 0.01 {
		h.draw(p, &second)
		if d := second.Difference(&portrait); d > least && d < most {
			return p
		}
	}
	h.Fatal("nobody is like them")
	return p
}

// stay shows some people for a time.
func (h *hall) stay(long time.Duration, people ...someone) {
	for end := h.now.Add(long); h.now.Before(end); {
		h.frame(people...)
	}
}

// frames shows some people for so many frames.
func (h *hall) frames(n int, people ...someone) {
	for range n {
		h.frame(people...)
	}
}

// slide shows somebody whose reading changes by a tenth of a degree a frame, as no swap of people looks.
func (h *hall) slide(p someone, to float64) {
	for ; math.Abs(p.skin-to) > 0.05; p.skin += math.Copysign(0.1, to-p.skin) {
		h.frame(p)
	}
}

// shown is the event that pages show of the first person in the newest frame.
func (h *hall) shown() string {
	if e := h.scene.People[0].Event; e != nil {
		return e.ID
	}
	return ""
}

func (h *hall) verdicts() (all []string) {
	for _, e := range h.events {
		s := string(e.Data.Outcome)
		if e.Data.Outcome == event.Inconclusive {
			s = string(e.Data.Reason)
		}
		if e.Data.RescreenOf != "" {
			s += " again " + e.Data.RescreenOf
		}
		if e.Data.Revises != "" {
			s += " revises " + e.Data.Revises
		}
		all = append(all, s)
	}
	return all
}

func (h *hall) want(verdicts ...string) {
	h.Helper()
	if got := h.verdicts(); !slices.Equal(got, verdicts) {
		h.Fatalf("%v after the start: verdicts %q, want %q", h.now.Sub(time.Unix(1e9, 0)), got, verdicts)
	}
}

const (
	aWhile = 3 * time.Second  // longer than tracks and whoever is out of sight are waited for, shorter than visit.return
	long   = 30 * time.Second // longer than visit.return
)

// TestVerdicts plays visits and asks for the verdicts they come to, "pass again 1" being one with rescreen_of 1.
func TestVerdicts(t *testing.T) {
	tests := []struct {
		name string
		play func(h *hall)
		want []string
	}{
		{"two frames are no look", func(h *hall) { h.frames(2, well(1)) }, nil},
		{"three frames are", func(h *hall) { h.frames(3, well(1)) }, []string{"pass"}},
		{"sixteen within a tenth of a second are none", func(h *hall) {
			h.step = 6 * time.Millisecond
			h.frames(16, well(1))
		}, nil},
		{"nor is a fifth of a second at 60 Hz", func(h *hall) {
			h.step = time.Second / 60
			h.frames(12, well(1))
		}, nil},
		{"a little more is", func(h *hall) {
			h.step = time.Second / 60
			h.frames(14, well(1))
		}, []string{"pass"}},
		{"one pass, however long they stand", func(h *hall) { h.stay(long, well(1)) }, []string{"pass"}},
		{"fever", func(h *hall) { h.stay(aWhile, febrile(1)) }, []string{"alert"}},
		{"an alert stays one", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.slide(febrile(1), 35.4)
			h.stay(aWhile, well(1))
		}, []string{"alert"}},
		{"a pass that later frames contradict", func(h *hall) {
			h.stay(time.Second, well(1))
			h.slide(well(1), 37)
			h.stay(aWhile, well(1).reading(37))
		}, []string{"pass", "alert revises 1"}},
		{"a single hot frame contradicts nothing", func(h *hall) {
			h.stay(time.Second, well(1))
			h.frames(1, well(1).reading(36.1))
			h.stay(aWhile, well(1))
		}, []string{"pass"}},

		{"looks away for a moment", func(h *hall) {
			h.stay(time.Second, well(1))
			h.frames(5)
			h.stay(time.Second, well(1))
		}, []string{"pass"}},
		{"comes back", func(h *hall) {
			h.stay(time.Second, well(1))
			h.stay(aWhile)
			h.stay(time.Second, well(1).on(2))
		}, []string{"pass"}},
		{"comes back hotter", func(h *hall) {
			h.stay(time.Second, well(1))
			h.stay(aWhile)
			h.stay(time.Second, febrile(1).on(2))
		}, []string{"pass", "alert"}},
		{"comes back after visit.return", func(h *hall) {
			h.stay(time.Second, well(1))
			h.stay(long)
			h.stay(time.Second, well(1).on(2))
		}, []string{"pass", "pass"}},
		{"a look-alike comes", func(h *hall) {
			h.stay(time.Second, well(1))
			h.stay(aWhile)
			h.stay(time.Second, h.lookalike(well(1), 2))
		}, []string{"pass", "pass again 1"}},
		{"another comes", func(h *hall) {
			h.stay(time.Second, well(1))
			h.stay(aWhile)
			h.stay(time.Second, well(2))
		}, []string{"pass", "pass"}},

		{"back after an alert", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.stay(long)
			h.stay(time.Second, well(1).on(2))
		}, []string{"alert", "second-reading again 1"}},
		{"another after an alert", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.stay(aWhile)
			h.stay(time.Second, well(2))
		}, []string{"alert", "pass"}},
		{"back and a guard has closed the alert", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.stay(long)
			if !h.floor.closeAlert("1") {
				h.Error("nobody had the alert")
			}
			h.stay(time.Second, well(1).on(2))
		}, []string{"alert", "pass again 1"}},
		{"a guard closes the alert while they are back", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.stay(long)
			h.stay(time.Second, well(1).on(2))
			if !h.floor.closeAlert("1") {
				h.Error("nobody had the alert")
			}
			h.stay(time.Second, well(1).on(2))
		}, []string{"alert", "second-reading again 1", "pass again 2"}},
		{"a guard closes the alert while they are back, and have just turned away", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.stay(long)
			h.frames(2, well(1).on(2))
			h.stay(1500 * time.Millisecond)
			if !h.floor.closeAlert("1") || len(h.floor.gone) != 1 {
				h.Errorf("%d are out of sight", len(h.floor.gone))
			}
			h.stay(time.Second, well(1).on(3))
		}, []string{"alert", "pass again 1"}},
		{"back after an alert, where a fresh look clears", func(h *hall) {
			h.floor.config.FreshLookClears = true
			h.stay(time.Second, febrile(1))
			h.stay(long)
			h.stay(time.Second, well(1).on(2))
		}, []string{"alert", "pass again 1"}},
		{"back after visit.rescreen", func(h *hall) {
			h.stay(time.Second, febrile(1))
			h.stay(h.floor.config.Rescreen + time.Second)
			h.stay(time.Second, well(1).on(2))
		}, []string{"alert", "pass"}},

		{"walks through", func(h *hall) {
			for i := range 3 {
				h.frame(well(1).but(event.Moving).at(20 + 12*float64(i)))
			}
			h.stay(aWhile)
		}, []string{"walked-through"}},
		{"a glimpse", func(h *hall) {
			h.frame(well(1).but(event.Moving))
			h.stay(aWhile)
		}, nil},
		{"stands there turned away, and goes", func(h *hall) {
			h.stay(2*time.Second, well(1).but(event.TurnedAway))
			h.stay(aWhile)
		}, []string{"turned-away"}},
		{"stands too far off, and goes", func(h *hall) {
			h.stay(2500*time.Millisecond, well(1).wide(12.5))
			h.want()
			h.stay(aWhile)
		}, []string{"too-far"}},
		{"works far off", func(h *hall) {
			h.stay(long, well(1).wide(10))
			h.stay(aWhile)
		}, nil},
		{"measured twice and gone", func(h *hall) {
			h.frames(2, well(1))
			h.stay(aWhile)
		}, []string{"left"}},
		{"measured once, looks away, and can't be measured from then on", func(h *hall) {
			h.frames(1, well(1))
			h.frames(3)
			h.stay(6500*time.Millisecond, well(1).but(event.TurnedAway))
			if h.shown() != "2" {
				h.Errorf("event %q is shown", h.shown())
			}
		}, []string{"turned-away", "turned-away again 1"}},
		{"hidden behind somebody nearer", func(h *hall) {
			h.frames(2, well(1))
			h.frames(3, well(1).but(event.TurnedAway), well(2).wide(36).at(64))
			h.stay(4*time.Second, well(2).wide(36).at(64))
			h.stay(time.Second, well(1).on(3))
			h.stay(long)
		}, []string{"pass", "pass"}},

		{"glasses come off in time", func(h *hall) {
			h.stay(2*time.Second, well(1).inGlasses())
			h.stay(2*time.Second, well(1))
		}, []string{"pass"}},
		{"glasses come off late", func(h *hall) {
			h.stay(4*time.Second, well(1).inGlasses())
			h.stay(2*time.Second, well(1))
		}, []string{"covered", "pass again 1"}},
		{"glasses hide no fever", func(h *hall) { h.stay(time.Second, febrile(1).inGlasses()) }, []string{"alert"}},

		{"a photograph", func(h *hall) { h.stay(4*time.Second, well(1).frozen()) }, []string{"lifeless"}},
		{"a photograph for two seconds", func(h *hall) { h.stay(2*time.Second, well(1).frozen()) }, nil},
		{"a photograph of a fever", func(h *hall) { h.stay(4*time.Second, febrile(1).frozen()) }, []string{"lifeless"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			test.play(h)
			h.want(test.want...)
		})
	}
}

// TestNextPersonGetsAVerdictOfTheirOwn: whoever takes another's place on a track is never shown the other's verdict, and
// the other's readings are not in theirs.
func TestNextPersonGetsAVerdictOfTheirOwn(t *testing.T) {
	swaps := []struct {
		name  string
		gap   int
		place func(p someone) someone
	}{
		{"gap", 4, func(p someone) someone { return p }},
		{"jump", 0, func(p someone) someone { return p.at(p.x + 20) }},
		{"another size", 0, func(p someone) someone { return p.wide(1.35 * p.w) }},
		{"neither", 0, func(p someone) someone { return p }},
	}
	people := []struct {
		name   string
		first  someone
		frames int // that the first stays
		second someone
		want   []string
	}{
		{"pass then fever", well(1), 9, febrile(2), []string{"pass", "alert"}},
		{"fever then pass", febrile(1), 9, well(2), []string{"alert", "pass"}},
		{"pass then pass", well(1), 9, well(2).reading(35.0), []string{"pass", "pass"}},
		{"open then pass", well(1).inGlasses(), 36, well(2), []string{"covered", "pass"}},
		{"open then fever", well(1).inGlasses(), 36, febrile(2), []string{"covered", "alert"}},
		{"two frames of a fever then pass", febrile(1), 2, well(2), []string{"left", "pass"}},
		{"two frames of a pass then fever", well(1), 2, febrile(2), []string{"left", "alert"}},
		{"hinted at then fever", well(1).inGlasses(), 12, febrile(2), []string{"covered", "alert"}},
	}
	for _, swap := range swaps {
		for _, unmeasured := range []int{0, 2} { // frames in which the second walks up
			for _, test := range people {
				t.Run(fmt.Sprintf("%s, %d frames unmeasured, %s", swap.name, unmeasured, test.name), func(t *testing.T) {
					h := newHall(t, DefaultVisitConfig())
					h.frames(test.frames, test.first)
					before := h.scene.People[0]
					h.frames(swap.gap)
					second := swap.place(test.second.on(1))
					for i := range 12 {
						if i < unmeasured {
							h.frame(second.but(event.Moving))
						} else {
							h.frame(second)
						}
						now := h.scene.People[0]
						if i < unmeasured && swap.name == "neither" { // nothing tells yet that it is another
							continue
						}
						if before.Event != nil && h.shown() == before.Event.ID {
							t.Fatalf("frame %d of the second shows the verdict of the first", i)
						}
						if i >= unmeasured && now.Event == nil && before.Event != nil && now.ID == before.ID {
							t.Fatalf("frame %d of the second is of the visit of the first", i)
						}
					}
					if now := h.scene.People[0]; now.Event == nil || now.ID == before.ID {
						t.Errorf("the second is visit %d with event %v, the first was %d", now.ID, now.Event, before.ID)
					}
					h.stay(5 * time.Second)
					got := h.verdicts()
					slices.Sort(got) // a trace of the first may come after the second's verdict
					slices.Sort(test.want)
					if !slices.Equal(got, test.want) {
						t.Errorf("verdicts %q, want %q", got, test.want)
					}
				})
			}
		}
	}
}

// TestBreakIsRemembered: somebody rather unlike, who can't be measured at first, does not go on with another's look.
func TestBreakIsRemembered(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	other := h.apart(well(1), sameWhole+0.5, sameNever-1)
	h.frames(2, well(1))
	h.frames(6) // longer than a face may settle
	h.frames(2, other.but(event.Moving))
	h.stay(time.Second, other)
	h.want("left", "pass")
}

// TestAsLikeAsTwoLooks: whoever is there after a break has to be as like the one before as two looks at one person, however
// much that one's own look varied.
func TestAsLikeAsTwoLooks(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	h.stay(time.Second, well(1))
	h.frames(3, h.apart(well(1), 3.2, 3.6))
	h.frames(1)
	other := well(1)
	other.double = 98
	h.stay(2*time.Second, h.apart(other, 4, 4.4))
	h.want("pass", "pass")
}

// TestBesideWhoWentIsAnother: somebody who is gone before their verdict leaves a trace, though another appears beside.
func TestBesideWhoWentIsAnother(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	h.stay(time.Second, well(1).at(30))
	h.frames(2, well(1).at(30), febrile(2).at(60))
	h.stay(1300*time.Millisecond, well(1).at(30))
	h.frames(1)
	h.stay(3*time.Second, well(3).reading(34.8).at(50).on(1)) // steps into the place of the first
	h.want("pass", "pass", "left")
}

// TestBrowsAreAlike: the next one is like who has just passed. Bare they are the same, who turned round; of two masks only the brows were
// alike, and each has a verdict. So have two of whom it is not sure.
func TestBrowsAreAlike(t *testing.T) {
	for _, test := range []struct {
		first, second bool // masked
		want          []string
	}{
		{false, false, []string{"pass"}},
		{true, true, []string{"pass", "pass again 1"}},
		{true, false, []string{"pass", "pass again 1"}},
		{false, true, []string{"pass", "pass again 1"}},
	} {
		h := newHall(t, DefaultVisitConfig())
		first := well(1)
		first.masked = test.first
		second := h.apart(first, sameSure-0.6, sameSure-0.1).on(2)
		second.masked = test.second
		h.stay(time.Second, first)
		h.stay(2 * time.Second)
		h.stay(time.Second, second)
		h.want(test.want...)
	}
	h := newHall(t, DefaultVisitConfig())
	h.stay(time.Second, well(1))
	h.stay(2 * time.Second)
	h.stay(time.Second, h.apart(well(1), sameSure+0.4, sameBroken-0.1).on(2))
	h.want("pass", "pass again 1")
}

// TestNextFromTheSameSide: somebody who can't be measured leaves by the side by which they came, and the next one comes in there at
// once. Each leaves a trace.
func TestNextFromTheSameSide(t *testing.T) {
	for name, wayOut := range map[string][]float64{"seen on the way out": {35, 28, 22, 18}, "turned before it": nil} {
		for side, at := range map[string]func(float64) float64{
			"left":  func(x float64) float64 { return x },
			"right": func(x float64) float64 { return sensorSide - x },
		} {
			t.Run(name+", "+side, func(t *testing.T) {
				h := newHall(t, DefaultVisitConfig())
				walk := func(p someone, along ...float64) {
					for _, x := range along {
						h.frame(p.at(at(x)).wide(min(26, 14+x/3)))
					}
				}
				first := well(1).but(event.TurnedAway)
				walk(first, 10, 16, 22, 28, 34)
				h.stay(900*time.Millisecond, first.at(at(40)).wide(26))
				walk(first, wayOut...)
				h.frames(4)
				walk(well(2).on(1).but(event.Moving), 8, 14, 21, 28, 35)
				h.stay(time.Second, well(2).on(1).at(at(42)).wide(26))
				h.want("turned-away", "pass")
			})
		}
	}
}

// TestStoodAtTheBorder: somebody who stood at the border and could not be measured makes room, and the next one is there at once. Who
// has been told so while they stood there leaves no second trace.
func TestStoodAtTheBorder(t *testing.T) {
	for _, stood := range []time.Duration{2 * time.Second, 4 * time.Second} {
		for gap := range 3 {
			h := newHall(t, DefaultVisitConfig())
			h.stay(stood, well(1).but(event.TurnedAway).at(36).wide(26))
			h.frames(gap)
			h.stay(time.Second, well(2).on(1).at(18).wide(26))
			h.want("turned-away", "pass")
		}
	}
}

// TestWalksPastWhereAnotherLeft: who passed leaves by one side, and at once somebody comes in there and walks past all the picture, their
// face aside. They leave a trace; who passed and turns away on the way out leaves none.
func TestWalksPastWhereAnotherLeft(t *testing.T) {
	for name, test := range map[string]struct {
		along []float64
		want  []string
	}{
		"another walks past":         {[]float64{10, 24, 38, 52, 66, 80, 94}, []string{"pass", "walked-through again 1"}},
		"who passed turns once more": {[]float64{12, 18, 22, 18, 12}, []string{"pass"}},
		"who passed is cut off":      {[]float64{18, 15, 11, 8, 5}, []string{"pass"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			h.stay(time.Second, well(1).at(50))
			for _, x := range []float64{44, 36, 28, 20, 14} {
				h.frame(well(1).at(x).but(event.Moving))
			}
			h.frames(3)
			for _, x := range test.along {
				h.frame(well(1).at(x).but(event.TurnedAway))
			}
			h.stay(10 * time.Second)
			h.want(test.want...)
		})
	}
}

// TestThirdPersonInDoubt: while it is in doubt whether the second is the first, a third comes.
func TestThirdPersonInDoubt(t *testing.T) {
	for _, test := range []struct {
		name  string
		third someone
		want  []string
	}{
		{"another", well(3).reading(34.8), []string{"pass", "left", "pass"}},
		{"the first", well(1), []string{"pass", "left"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			h.stay(time.Second, well(1))
			h.frames(1)
			h.frames(3, febrile(2).on(1))
			h.frames(1)
			h.stay(5*time.Second, test.third.on(1))
			h.want(test.want...)
			if last := h.events[len(h.events)-1].Data; last.Outcome == event.Pass && math.Abs(*last.SkinCelsius-test.third.skin) > 0.1 {
				t.Errorf("a reading of %v, want %v", *last.SkinCelsius, test.third.skin)
			}
		})
	}
}

// TestVerdictInDoubtIsNotTheNext: the second gets an inconclusive verdict while in doubt, and a third takes their place.
func TestVerdictInDoubtIsNotTheNext(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	h.stay(time.Second, well(1))
	h.frames(1)
	h.frames(3, febrile(2).on(1))
	h.stay(7*time.Second, febrile(2).on(1).but(event.TurnedAway))
	if h.shown() != "2" {
		t.Errorf("event %q is shown of the second", h.shown())
	}
	h.frames(1)
	h.frames(1, well(3).on(1).but(event.TurnedAway))
	if h.shown() != "" {
		t.Errorf("event %q is shown of the third", h.shown())
	}
	h.want("pass", "turned-away")
}

func TestSamePersonKeepsTheVerdictOverABreak(t *testing.T) {
	tests := []struct {
		name string
		gap  int
		then someone
	}{
		{"gap", 6, well(1)},
		{"jump", 0, well(1).at(80)},
		{"steps closer", 0, well(1).wide(40)},
		{"turned away at first", 6, well(1).but(event.TurnedAway)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			h.stay(time.Second, well(1))
			h.frames(test.gap)
			h.frames(1, test.then)
			if (h.shown() == "") != (test.then.problem != event.NoProblem) {
				t.Errorf("event %q is shown in the first frame", h.shown())
			}
			test.then.problem = event.NoProblem
			h.stay(2*time.Second, test.then)
			if h.shown() != "1" {
				t.Errorf("event %q is shown", h.shown())
			}
			h.want("pass")
		})
	}
}

func TestComingBackShowsTheSameEvent(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	h.stay(time.Second, well(1))
	h.stay(aWhile)
	h.stay(time.Second, well(1).on(2))
	if h.shown() != "1" {
		t.Errorf("event %q is shown", h.shown())
	}
	if h.scene.People[0].Admitted {
		t.Error("the door opens a second time")
	}
}

// TestTwinsInOnePicture: nobody is taken for somebody who is still there, whichever of them a frame is told of first.
func TestTwinsInOnePicture(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	h.stay(time.Second, well(2).at(90))
	twin := well(2).on(1).at(30)
	h.stay(2*time.Second, twin, well(2).at(90))
	h.want("pass", "pass")
	if h.shown() != "2" || h.scene.People[1].Event.ID != "1" {
		t.Errorf("the twin is shown the event %q, the first %q", h.shown(), h.scene.People[1].Event.ID)
	}
}

// TestNobodyIsLetInWhileAnAlertWaits: who passes meanwhile is looked at again once the way is free.
func TestNobodyIsLetInWhileAnAlertWaits(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	h.floor.heldUp = true
	h.stay(2*time.Second, well(1))
	if h.scene.People[0].Admitted || !h.scene.LockDoor {
		t.Errorf("admitted %t, locked %t", h.scene.People[0].Admitted, h.scene.LockDoor)
	}
	h.floor.heldUp = false
	h.stay(2*time.Second, well(1))
	if !h.scene.People[0].Admitted || h.scene.LockDoor {
		t.Errorf("after it: admitted %t, locked %t", h.scene.People[0].Admitted, h.scene.LockDoor)
	}
	h.want("pass", "pass again 1")
}

// TestUnmeasurableIsToldEverLessOften: the pauses between inconclusive verdicts double.
func TestUnmeasurableIsToldEverLessOften(t *testing.T) {
	for _, test := range []struct {
		name string
		p    someone
	}{
		{"turned away", well(1).but(event.TurnedAway)},
		{"in glasses", well(1).inGlasses()},
		{"a photograph", well(1).frozen()},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			h.stay(40*time.Second, test.p)
			since := time.Unix(1e9, 0)
			var pauses []float64
			for _, e := range h.events {
				pauses = append(pauses, math.Round(e.Time.Sub(since).Seconds()))
				since = e.Time
			}
			if want := []float64{3, 3, 6, 12}; !slices.Equal(pauses, want) {
				t.Errorf("verdicts after pauses of %v s, want %v", pauses, want)
			}
		})
	}
}

// TestNobodyCountsTwice: who waits, or comes back, is one witness of camera and reference source.
func TestNobodyCountsTwice(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	counted := func(want int) {
		t.Helper()
		if got := h.floor.policy.State().Witness.People; got != want {
			t.Fatalf("%d people counted, want %d; verdicts %v", got, want, h.verdicts())
		}
	}
	cold := well(1).reading(33)
	h.stay(30*time.Second, cold)
	counted(1)
	h.stay(3 * time.Second)
	h.stay(3*time.Second, cold.on(2))
	counted(1)
	h.stay(20*time.Second, cold.on(2).reading(35.4))
	counted(1)
	h.stay(3 * time.Second)
	h.stay(3*time.Second, well(3).inGlasses())
	counted(1)
	h.stay(3*time.Second, well(3))
	counted(2)
}

func TestPassersAreOnlyCounted(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	for i := range 8 {
		h.frame(well(1).wide(12.5).at(20 + 5*float64(i)))
	}
	h.stay(aWhile)
	h.want()
	if h.floor.passers != 1 {
		t.Errorf("%d passers", h.floor.passers)
	}
}

func TestHiddenPersonIsOneVisit(t *testing.T) {
	h := newHall(t, DefaultVisitConfig())
	nearer := well(2).wide(36).at(64)
	h.frames(2, well(1))
	id := h.scene.People[0].ID
	h.frames(2, well(1).but(event.TurnedAway), nearer)
	h.stay(5*time.Second, nearer)
	h.frames(3, well(1).on(3))
	if got := h.scene.People[0].ID; got != id {
		t.Errorf("visit %d before, %d after", id, got)
	}
}

func TestHintsComeBeforeVerdicts(t *testing.T) {
	for _, test := range []struct {
		name string
		p    someone
		want event.Reason
	}{
		{"in glasses", well(1).inGlasses(), event.Covered},
		{"turned away", well(1).but(event.TurnedAway), event.TurnedAway},
		{"a photograph", well(1).frozen(), event.Lifeless},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			h.stay(1100*time.Millisecond, test.p)
			if p := h.scene.People[0]; p.Hint != test.want || p.Event != nil {
				t.Errorf("hint %q, event %v", p.Hint, p.Event)
			}
			h.stay(2500*time.Millisecond, test.p)
			if p := h.scene.People[0]; p.Hint != test.want {
				t.Errorf("hint %q with the verdict", p.Hint)
			}
			h.want(string(test.want))
		})
	}
}

// TestNoVerdictHoldsInAStillPicture: an alert does all the same.
func TestNoVerdictHoldsInAStillPicture(t *testing.T) {
	for _, test := range []struct {
		name string
		p    someone
		want string // shown after a second without movement
	}{
		{"pass", well(1), ""},
		{"alert", febrile(1), "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			h.stay(time.Second, test.p)
			h.stay(900*time.Millisecond, test.p.frozen())
			if h.shown() != "1" {
				t.Errorf("event %q is shown after less than a second", h.shown())
			}
			h.stay(300*time.Millisecond, test.p.frozen())
			if h.shown() != test.want {
				t.Errorf("event %q is shown after more, want %q", h.shown(), test.want)
			}
			if h.scene.People[0].Admitted {
				t.Error("admitted")
			}
			h.frame(test.p)
			if h.shown() != "1" {
				t.Errorf("event %q is shown once it moves", h.shown())
			}
		})
	}
}

// TestAdmission plays several people at once and asks whether the door may be open for the first of them, and whether it
// has to be locked.
func TestAdmission(t *testing.T) {
	back, front := well(1).wide(24).at(40), well(2).wide(34).at(80)
	waiting := front.but(event.TurnedAway)
	tests := []struct {
		name             string
		play             func(h *hall)
		admitted, locked bool
		want             []string
	}{
		{"alone", func(h *hall) { h.stay(time.Second, back) }, true, false, []string{"pass"}},
		{"no verdict yet", func(h *hall) { h.frames(2, back) }, false, false, nil},
		{"behind somebody without a verdict", func(h *hall) { h.stay(time.Second, back, waiting) }, false, false, []string{"pass"}},
		{"behind somebody too far to be waiting", func(h *hall) {
			h.stay(time.Second, back.wide(11.9).at(100).on(9), back) // the first is the small one
			h.scene.People = h.scene.People[1:]
		}, true, false, []string{"pass"}},
		{"in front of somebody without a verdict", func(h *hall) {
			h.stay(time.Second, front, back.but(event.TurnedAway))
		}, true, false, []string{"pass"}},
		{"behind somebody who passed", func(h *hall) { h.stay(time.Second, back, front) }, true, false, []string{"pass", "pass"}},
		{"behind an alert", func(h *hall) { h.stay(time.Second, back, front.reading(37.3)) }, false, true, []string{"pass", "alert"}},
		{"in front of an alert", func(h *hall) { h.stay(time.Second, front, back.reading(37.3)) }, false, true, []string{"pass", "alert"}},
		{"somebody comes nearer", func(h *hall) {
			h.stay(time.Second, back)
			h.frames(1, back, waiting)
		}, false, true, []string{"pass"}},
		{"somebody comes nearer while the first looks away", func(h *hall) {
			h.stay(time.Second, back)
			h.frames(1, waiting)
		}, false, true, []string{"pass"}},
		{"beside somebody as near without a verdict", func(h *hall) {
			h.stay(time.Second, back, back.wide(23).at(80).on(2).but(event.TurnedAway))
		}, false, false, []string{"pass"}},
		{"an alert comes", func(h *hall) {
			h.stay(time.Second, back)
			h.stay(time.Second, back, front.reading(37.3))
		}, false, true, []string{"pass", "alert"}},
		{"the way is free within a second", func(h *hall) {
			h.frames(6, back, waiting)
			h.frames(4, back)
		}, true, false, []string{"pass"}},
		{"the way is free later", func(h *hall) {
			h.stay(2*time.Second, back, waiting)
			h.frames(1, back)
			if h.scene.People[0].Admitted {
				h.Error("a stale pass is admitted")
			}
			h.stay(time.Second, back)
		}, true, false, []string{"pass", "pass again 1"}},
		{"the way is free later, and now there is a fever", func(h *hall) {
			h.stay(2*time.Second, back, waiting)
			h.slide(back, 35.9)
			h.stay(2*time.Second, back.reading(37.3))
		}, false, true, nil},
		{"comes back", func(h *hall) {
			h.stay(time.Second, back)
			h.stay(aWhile)
			h.stay(2*time.Second, back.on(3))
		}, false, false, []string{"pass"}},
		{"somebody leaves, and the way is free for who was admitted", func(h *hall) {
			h.stay(time.Second, back)
			h.stay(aWhile, back, waiting)
			h.stay(time.Second, back)
		}, true, false, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHall(t, DefaultVisitConfig())
			test.play(h)
			admitted := len(h.scene.People) > 0 && h.scene.People[0].Admitted
			if admitted != test.admitted || h.scene.LockDoor != test.locked {
				t.Errorf("admitted %t, want %t; locked %t, want %t", admitted, test.admitted, h.scene.LockDoor, test.locked)
			}
			if test.want != nil {
				h.want(test.want...)
			}
		})
	}
}

// TestManyPeople lets people come, stand, turn away, swap places and go by chance, and holds every frame against what
// must be true whatever they do.
func TestManyPeople(t *testing.T) {
	crowds := uint64(8)
	if testing.Short() {
		crowds = 2
	}
	for seed := range crowds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			c := newCrowd(t, seed)
			for range 700 {
				c.frame(c.act()...)
				c.check()
				if t.Failed() {
					return
				}
			}
			for i := range c.lanes {
				c.lanes[i].leave(c)
			}
			c.stay(15 * time.Second)
			c.checkGone()
		})
	}
}

// guest is somebody of a crowd, whose pattern is like nobody else's.
type guest struct {
	someone
	measured int         // near frames with a reading
	visits   map[int]int // in which they were seen, with the measured frames of each
}

// lane is a place where one person stands at a time. Its track is that of whoever comes soon after the last.
type lane struct {
	guest  *guest
	middle float64
	aside  float64 // each guest stands a little aside of the last
	track  int
	left   time.Time
	hidden int // frames in which nobody is seen there
	turned bool
}

// crowd is a hall with what is true of the people in it.
type crowd struct {
	*hall
	lanes     []lane
	guests    []*guest
	shownNow  []*guest
	who       map[*visit]*guest // whom a visit has last seen
	owners    map[string]*guest // of events
	blind     map[string]bool   // events of people who were not measured until then: nothing tells them from the next
	given     map[int]bool      // visits that had an event
	nextTrack int
}

func newCrowd(t *testing.T, seed uint64) *crowd {
	c := &crowd{
		hall: newHall(t, DefaultVisitConfig()), lanes: []lane{{middle: 22}, {middle: 58}, {middle: 94}},
		who: map[*visit]*guest{}, owners: map[string]*guest{}, blind: map[string]bool{}, given: map[int]bool{},
	}
	c.random = rand.New(rand.NewPCG(seed, 7))
	c.watch = func(p someone, v *visit) {
		if v.rival != nil {
			v = v.rival
		}
		g := c.guests[p.seed]
		c.who[v] = g
		if _, met := g.visits[v.id]; !met {
			g.visits[v.id] = 0
		}
		if p.problem == event.NoProblem {
			g.visits[v.id]++
			g.measured++
		}
	}
	c.tell = func(v *visit, e *event.Event) {
		owner := c.who[v]
		c.owners[e.ID], c.blind[e.ID], c.given[v.id] = owner, owner.visits[v.id] == 0, true
		if s := e.Data.SkinCelsius; s != nil && math.Abs(*s-owner.skin) > 0.15 {
			t.Errorf("event %s of somebody of %.2f °C rests on a reading of %v °C", e.ID, owner.skin, *s)
		}
	}
	return c
}

func (c *crowd) chance(share float64) bool { return c.random.Float64() < share }

// newcomer is somebody new mostly, now and then somebody who was there.
func (c *crowd) newcomer() *guest {
	if n := len(c.guests); n > 0 && c.chance(0.3) {
		g := c.guests[c.random.IntN(n)]
		if !slices.ContainsFunc(c.lanes, func(l lane) bool { return l.guest == g }) {
			return g
		}
	}
	g := &guest{someone: well(0), visits: map[int]int{}}
	g.seed, g.skin, g.w = uint64(len(c.guests)), 34.6+c.random.Float64(), 20+12*c.random.Float64()
	if c.chance(0.3) {
		g.skin += 2.4
	}
	c.guests = append(c.guests, g)
	return g
}

func (l *lane) leave(c *crowd) {
	if l.guest != nil {
		l.guest, l.left = nil, c.now
	}
}

func (l *lane) enter(c *crowd) {
	if c.now.Sub(l.left) > trackFor {
		c.nextTrack++
		l.track = c.nextTrack
	}
	l.guest, l.turned, l.aside = c.newcomer(), c.chance(0.3), 21-l.aside
}

// act is what chance lets people do before the next frame, and who is seen in it.
func (c *crowd) act() (people []someone) {
	c.shownNow = c.shownNow[:0]
	for i := range c.lanes {
		l := &c.lanes[i]
		switch {
		case l.guest == nil && c.chance(0.06):
			l.enter(c)
		case l.guest != nil && c.chance(0.015):
			l.leave(c)
		case l.guest != nil && c.chance(0.015): // another steps into their place
			l.leave(c)
			l.left = c.now
			l.enter(c)
		case c.chance(0.02):
			l.hidden = 1 + c.random.IntN(6)
		case c.chance(0.05):
			l.turned = !l.turned
		}
		if l.hidden--; l.guest == nil || l.hidden >= 0 {
			continue
		}
		p := l.guest.on(l.track).at(l.middle + l.aside)
		if l.turned {
			p.problem = event.TurnedAway
		}
		people, c.shownNow = append(people, p), append(c.shownNow, l.guest)
	}
	return people
}

// check holds a frame against the truth.
func (c *crowd) check() {
	alert, admitted := false, false
	for i, p := range c.scene.People {
		admitted = admitted || p.Admitted
		if p.Event == nil {
			continue
		}
		alert = alert || p.Event.Data.Outcome == event.Alert
		if owner := c.owners[p.Event.ID]; owner != c.shownNow[i] && !c.blind[p.Event.ID] {
			c.Errorf("%v: event %s of person %d is shown of person %d", c.now, p.Event.ID, owner.seed, c.shownNow[i].seed)
		}
		if p.Admitted && p.Event.Data.Outcome != event.Pass {
			c.Errorf("%v: admitted with %s", c.now, p.Event.Data.Outcome)
		}
	}
	if alert && (admitted || !c.scene.LockDoor) {
		c.Errorf("%v: the door is open and an alert in view", c.now)
	}
}

// checkGone looks for people who were measured and have left no event at all.
func (c *crowd) checkGone() {
	outcomes := map[event.Outcome]int{}
	for _, e := range c.events {
		outcomes[e.Data.Outcome]++
	}
	if len(outcomes) < 3 {
		c.Errorf("the crowd was too tame: %v", outcomes)
	}
	for _, g := range c.guests {
		known := false
		for id := range g.visits {
			known = known || c.given[id]
		}
		if g.measured >= 3 && !known {
			c.Errorf("person %d was measured in %d frames and has no event", g.seed, g.measured)
		}
	}
	c.Logf("%d people, %v", len(c.guests), outcomes)
}

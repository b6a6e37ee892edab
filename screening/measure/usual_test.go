package measure_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
)

// hall is a gate at work, two frames a second: people come and go, the camera drifts, its shutter closes every three minutes
// and moves the picture by up to 1 °C, more below than above.
type hall struct {
	*stage
	finder *measure.ReferenceFinder
	config measure.Config
	at     time.Time
	drift  float64 // of the camera, °C
	step   float64 // of the shutter
	frames int
	random *rand.Rand
	faces  []face.Face
}

const hallFPS = 2

func newHall(seed uint64) *hall {
	h := &hall{stage: newStage(96, 72), at: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC), random: rand.New(rand.NewPCG(seed, 0))}
	h.shading, h.r = 0.3, 5
	h.config = referenced(new(37.0))
	h.finder = measure.NewReferenceFinder(h.config)
	h.more = h.person
	return h
}

// person draws whoever is before the camera: 5 s in every 8 somebody with a coat about as warm as the wall.
func (h *hall) person(x, y float64) (float64, bool) {
	for _, f := range h.faces {
		cx := float64(f.X + f.W/2)
		switch {
		case math.Hypot((x-cx)/float64(f.W/2), (y-float64(f.Y+f.H/2))/float64(f.H/2)) < 1:
			return 34, true
		case y > float64(f.Y+f.H) && math.Abs(x-cx) < 1.1*float64(f.W) && math.Hypot(x-h.x, y-h.y) > 2*h.r:
			return 25.5 + 0.02*(y-cx), true
		}
	}
	return 0, false
}

// next runs one frame. The shutter's events are told by telemetry.
func (h *hall) next() event.ReferenceSource {
	const shutter = 180 * hallFPS
	h.drift += 0.002*h.random.NormFloat64() - 0.0005*h.drift
	if h.frames%shutter == 0 {
		h.step = h.random.Float64() - 0.5
	}
	h.faces = h.faces[:0]
	if t := h.frames % (8 * hallFPS); t < 5*hallFPS {
		h.faces = append(h.faces, face.Face{X: 20 + float32(t), Y: 14, W: 20, H: 26})
	}
	h.offset = h.drift + h.step - 1
	ref := h.finder.Update(h.draw(), h.at, time.Duration(h.frames%shutter)*time.Second/hallFPS, h.faces, false)
	h.at = h.at.Add(time.Second / hallFPS)
	h.frames++
	return ref
}

// run goes on for a time and returns the newest state.
func (h *hall) run(length time.Duration) (ref event.ReferenceSource) {
	for range int(length.Seconds() * hallFPS) {
		ref = h.next()
	}
	return ref
}

// unused goes on for a time in which the source is not to be used once.
func (h *hall) unused(t *testing.T, length time.Duration) {
	t.Helper()
	for range int(length.Seconds() * hallFPS) {
		if ref := h.next(); usable(ref) {
			t.Fatalf("used: %+v", ref)
		}
	}
}

// worst is the greatest error of the source with which it was used while length went by.
func (h *hall) worst(length time.Duration, before func(elapsed time.Duration)) (celsius float64) {
	for frame := range int(length.Seconds() * hallFPS) {
		before(time.Duration(frame) * time.Second / hallFPS)
		if usable(h.next()) {
			celsius = max(celsius, math.Abs(h.celsius-37))
		}
	}
	return celsius
}

// TestASourceThatChangesIsNotFollowed has a source creep for ten minutes, or step.
func TestASourceThatChangesIsNotFollowed(t *testing.T) {
	const most = 0.3
	for _, rate := range []float64{-0.3, 0.1, 0.3, 1} { // °C a minute
		h := newHall(1)
		h.run(3 * time.Minute)
		worst := h.worst(10*time.Minute, func(elapsed time.Duration) { h.celsius = 37 + rate*elapsed.Minutes() })
		then := h.worst(12*time.Minute, func(time.Duration) {})
		t.Logf("%+.1f °C a minute: used with an error of up to %.2f °C", rate, worst)
		if worst > most || then > 0 {
			t.Errorf("%+.1f °C a minute: used with an error of %.2f °C, and of %.2f °C once it stood still", rate, worst, then)
		}
	}
	for _, step := range []float64{-3, -0.5, 0.35, 1} {
		h := newHall(2)
		h.run(3*time.Minute + 20*time.Second)
		worst := h.worst(12*time.Minute, func(time.Duration) { h.celsius = 37 + step })
		if worst > most {
			t.Errorf("a step of %+.2f °C: used with an error of %.2f °C", step, worst)
		}
		h.celsius = 37
		if back := h.run(10 * time.Second); !usable(back) {
			t.Errorf("a step of %+.2f °C: not used once it is back: %+v", step, back)
		}
	}
}

// TestASourceThatStepsAtAShutter changes while the shutter hides it and moves the whole picture.
func TestASourceThatStepsAtAShutter(t *testing.T) {
	for _, step := range []float64{-3, -0.7, -0.5, -0.35, 0.35, 0.5, 0.7, 1} {
		h := newHall(15)
		h.run(6 * time.Minute)
		if worst := h.worst(time.Minute, func(time.Duration) { h.celsius = 37 + step }); worst > 0 {
			t.Errorf("a source that is %+.2f °C off since the shutter event is used", step)
		}
	}
}

// TestAPictureThatIsUnevenAfterAShutter is not trusted for that moment. Nobody is called to a source that has gone nowhere.
func TestAPictureThatIsUnevenAfterAShutter(t *testing.T) {
	h := newHall(19)
	h.run(6 * time.Minute)
	for _, uneven := range []float64{0.4, 0.4, 0, 0, 0} {
		h.celsius = 37 - uneven
		if ref := h.run(time.Second); ref.Left || usable(ref) != (uneven == 0) {
			t.Errorf("%.1f °C uneven: %+v", uneven, ref)
		}
	}
}

// TestAClockThatIsSetBack keeps nobody waiting until it is as late again.
func TestAClockThatIsSetBack(t *testing.T) {
	for _, back := range []time.Duration{2 * time.Second, time.Hour} {
		h := newHall(16)
		h.config.WarmUp = time.Minute
		h.finder = measure.NewReferenceFinder(h.config)
		h.run(190 * time.Second)
		h.at = h.at.Add(-back)
		if ref := h.run(2 * time.Second); !usable(ref) {
			t.Errorf("set back by %v: %+v", back, ref)
		}
	}
}

// TestWhatDriftsWhileTheSourceIsHidden is not carried over: the first picture that shows the source again tells anew.
func TestWhatDriftsWhileTheSourceIsHidden(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 2 * time.Second, 10 * time.Second, 5 * time.Minute} {
		h := newHall(17)
		h.run(2 * time.Minute)
		h.more = func(x, y float64) (float64, bool) { return 33, math.Hypot(x-h.x, y-h.y) < 2.2*h.r }
		for range int(away.Seconds() * hallFPS) {
			h.drift += min(0.05, 3/away.Seconds()) / hallFPS
			if ref := h.next(); usable(ref) || ref.CorrectionCelsius != 0 {
				t.Fatalf("used while it is hidden: %+v", ref)
			}
		}
		h.more = h.person
		for range 20 * hallFPS {
			ref := h.next()
			if off := ref.MeasuredCelsius + ref.CorrectionCelsius - 37; usable(ref) && math.Abs(off) > 0.1 {
				t.Errorf("hidden for %v: the correction is off by %.2f °C and said to be off by %.2f", away, off, ref.UncertaintyCelsius)
			}
		}
		if ref := h.next(); !usable(ref) {
			t.Errorf("hidden for %v: not used: %+v", away, ref)
		}
	}
}

// TestASoundSourceIsTrusted counts stops in two hours in which the room becomes 2 °C warmer.
func TestASoundSourceIsTrusted(t *testing.T) {
	if testing.Short() {
		t.Skip("draws two hours")
	}
	h := newHall(3)
	stops, before := 0, true
	for range 2 * 3600 * hallFPS {
		h.room += 2.0 / (2 * 3600 * hallFPS)
		ref := h.next()
		now := ref.Problem != event.ReferenceUnstable && ref.Problem != event.ReferenceMissing
		if before && !now {
			stops++
		}
		before = now
	}
	t.Logf("%d stops in 2 h", stops)
	if stops > 2 {
		t.Errorf("%d stops in 2 h", stops)
	}
}

// TestASourceIsWatched is about what befalls a source at a gate at work, at the moment of a verdict.
func TestASourceIsWatched(t *testing.T) {
	for _, c := range []struct {
		name   string
		befall func(h *hall, elapsed time.Duration)
		want   event.Reason
	}{
		{"covered by a hand", func(h *hall, _ time.Duration) {
			h.more = func(x, y float64) (float64, bool) { return 33, math.Hypot(x-h.x, y-h.y) < 2.2*h.r }
		}, event.ReferenceMissing},
		{"covered, and a warmer disc held up elsewhere", func(h *hall, _ time.Duration) {
			h.more = func(x, y float64) (float64, bool) {
				if math.Hypot(x-20, y-50) < h.r {
					return 41, true
				}
				return 33, math.Hypot(x-h.x, y-h.y) < 2.2*h.r
			}
		}, event.ReferenceMissing},
		{"swapped for a cup", func(h *hall, elapsed time.Duration) {
			h.more = func(x, y float64) (float64, bool) {
				hand := elapsed < 4*time.Second
				return 33, hand && math.Hypot(x-h.x, y-h.y) < 2.2*h.r
			}
			h.celsius = 39 - 0.3*elapsed.Minutes()
		}, event.ReferenceUnstable},
		{"steamed over", func(h *hall, elapsed time.Duration) {
			h.celsius = 37 - min(1.5, 0.1*elapsed.Seconds())
		}, event.ReferenceUnstable},
		{"warmed by the sun", func(h *hall, elapsed time.Duration) {
			h.celsius = 37 + min(2, 0.5*elapsed.Minutes())
		}, event.ReferenceUnstable},
		{"carried elsewhere", func(h *hall, _ time.Duration) { h.x, h.y = 20, 50 }, event.ReferenceMissing},
		{"the camera is knocked", func(h *hall, _ time.Duration) { h.x -= 0.1 }, event.ReferenceMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHall(4)
			h.run(2 * time.Minute)
			x, y, more := h.x, h.y, h.more
			var got event.ReferenceSource
			for frame := range 90 * hallFPS {
				c.befall(h, time.Duration(frame)*time.Second/hallFPS)
				if got = h.next(); usable(got) && math.Abs(h.celsius-37) > 0.3 {
					t.Fatalf("used %d frames later: %+v", frame, got)
				}
			}
			if got.Problem != c.want || !got.Left {
				t.Errorf("%q, left %v, want %q: %+v", got.Problem, got.Left, c.want, got)
			}
			h.x, h.y, h.more, h.celsius = x, y, more, 37
			if back := h.run(10 * time.Second); !usable(back) || back.Left {
				t.Errorf("not used once all is as it was: %+v", back)
			}
			c.befall(h, time.Minute)
			h.run(20 * time.Second)
			h.finder.Recalibrate()
			if c.want == event.ReferenceMissing && h.x == x {
				return
			}
			if now := h.run(3 * time.Second); !usable(now) {
				t.Errorf("not used after it was said to be right: %+v", now)
			}
		})
	}
}

// TestASourceIsKnownAfterARestart restarts the gate with a source that is what it was, and with another one.
func TestASourceIsKnownAfterARestart(t *testing.T) {
	for _, c := range []struct {
		name  string
		away  time.Duration
		after func(h *hall)
		want  event.Reason
	}{
		{"the same", time.Minute, func(*hall) {}, event.NoProblem},
		{"1 °C warmer", time.Minute, func(h *hall) { h.celsius++ }, event.ReferenceUnstable},
		{"another place", time.Minute, func(h *hall) { h.x = 20 }, event.ReferenceMissing},
		{"a night, and a colder hall", 10 * time.Hour, func(h *hall) { h.room -= 2 }, event.NoProblem},
		{"a night, and 2 °C warmer", 10 * time.Hour, func(h *hall) { h.celsius += 2 }, event.ReferenceUnstable},
		{"a clock that was set back", -time.Hour, func(*hall) {}, event.NoProblem},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHall(5)
			on := h.at.Add(-time.Hour)
			h.finder.PoweredOn(on)
			h.run(12 * time.Minute)
			known := h.finder.Known()
			if len(known) != 1 {
				t.Fatalf("%d sources are known", len(known))
			}
			h.finder = measure.NewReferenceFinder(h.config)
			h.finder.PoweredOn(on)
			if err := h.finder.Restore(known); err != nil {
				t.Fatal(err)
			}
			h.at = h.at.Add(c.away)
			c.after(h)
			wait := 30 * time.Second
			if c.away > time.Hour { // what has come off meanwhile has to show that it does not warm up
				wait = 7 * time.Minute
			}
			for range int(wait.Seconds() * hallFPS) {
				if ref := h.next(); c.want != event.NoProblem && usable(ref) {
					t.Fatalf("used: %+v", ref)
				}
			}
			if ref := h.next(); ref.Problem != c.want {
				t.Errorf("%q, want %q: %+v", ref.Problem, c.want, ref)
			}
		})
	}
}

// TestATemperatureThatIsSetAnew is held against how far off the camera usually is.
func TestATemperatureThatIsSetAnew(t *testing.T) {
	for _, c := range []struct {
		name           string
		nominal, truth float64
		seen           time.Duration // what the camera's errors are known from
		want           event.Reason
	}{
		{"wrong", 38.5, 37, 9 * time.Hour, event.ReferenceUnstable},
		{"wrong the other way", 35.5, 37, 9 * time.Hour, event.ReferenceUnstable},
		{"put right a little", 37.2, 37, 9 * time.Hour, event.NoProblem},
		{"of another source", 34, 34, 9 * time.Hour, event.NoProblem},
		{"while the gate is set up", 38, 37, time.Hour, event.NoProblem},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHall(18)
			h.run(4 * time.Minute)
			known := h.finder.Known()
			for i := range known[0].Corrections {
				if s := &known[0].Corrections[i]; s.Seconds > 0 {
					s.Seconds = c.seen.Seconds()
				}
			}
			h.config.ReferenceCelsius, h.celsius = &c.nominal, c.truth
			for restart := range 2 {
				h.finder = measure.NewReferenceFinder(h.config)
				if err := h.finder.Restore(known); err != nil {
					t.Fatal(err)
				}
				h.at = h.at.Add(20 * time.Second)
				if c.want != event.NoProblem && restart == 0 {
					h.unused(t, 21*time.Minute) // one that warms up is learnt anew meanwhile
				}
				ref := h.run(90 * time.Second)
				if ref.Problem != c.want || ref.Left != (c.want != event.NoProblem) {
					t.Errorf("restart %d: %q, want %q: %+v", restart, ref.Problem, c.want, ref)
				}
				known = h.finder.Known()
			}
			h.finder.Recalibrate()
			if ref := h.run(5 * time.Second); !usable(ref) {
				t.Errorf("not used after it was said to be right: %+v", ref)
			}
		})
	}
}

func TestKnownThatCantBeTrueIsRefused(t *testing.T) {
	h := newHall(6)
	h.run(2 * time.Minute)
	good := h.finder.Known()[0]
	for name, spoil := range map[string]func(k *measure.Known){
		"no time":          func(k *measure.Known) { k.At = time.Time{} },
		"no picture":       func(k *measure.Known) { k.Width = 0 },
		"outside of it":    func(k *measure.Known) { k.X = 1000 },
		"no radius":        func(k *measure.Known) { k.Radius = 0 },
		"no background":    func(k *measure.Known) { k.BackgroundCelsius = nil },
		"a hot background": func(k *measure.Known) { k.BackgroundCelsius = []*float64{new(1e9)} },
		"upside down":      func(k *measure.Known) { k.Corrections[0].LowCelsius = 5 },
	} {
		bad := good
		spoil(&bad)
		if err := h.finder.Restore([]measure.Known{bad}); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	finder := measure.NewReferenceFinder(h.config)
	other := good
	other.Width, other.Height = 160, 120 // of another camera
	if err := finder.Restore([]measure.Known{other}); err != nil {
		t.Fatal(err)
	}
	h.finder = finder
	if ref := h.run(3 * time.Second); !usable(ref) {
		t.Errorf("what another camera saw keeps this one from measuring: %+v", ref)
	}
}

// TestASourceThatWarmsUpIsUsedOnceItIsWarm is about the first start, when nothing is known yet.
func TestASourceThatWarmsUpIsUsedOnceItIsWarm(t *testing.T) {
	h := newHall(7)
	for range 40 * 60 * hallFPS {
		h.celsius = 37 - 8*math.Exp(-float64(h.frames)/hallFPS/150)
		if ref := h.next(); usable(ref) && h.frames > 60*hallFPS && h.celsius < 36.7 {
			t.Fatalf("used at %.2f °C: %+v", h.celsius, ref)
		}
	}
	if ref := h.next(); !usable(ref) {
		t.Errorf("not used once it is warm: %+v", ref)
	}
}

// TestWarmUpIsTheCamerasOwn begins again with the camera's power, not with recalibrate.
func TestWarmUpIsTheCamerasOwn(t *testing.T) {
	h := newHall(8)
	h.config.WarmUp = time.Minute
	h.finder = measure.NewReferenceFinder(h.config)
	if ref := h.run(50 * time.Second); ref.Problem != event.WarmingUp {
		t.Fatalf("after 50 s: %+v", ref)
	}
	if ref := h.run(20 * time.Second); !usable(ref) {
		t.Fatalf("after 70 s: %+v", ref)
	}
	h.finder.Recalibrate()
	if ref := h.run(2 * time.Second); !usable(ref) {
		t.Errorf("after recalibrate: %+v", ref)
	}
	h.finder.PoweredOn(h.at)
	if ref := h.run(50 * time.Second); ref.Problem != event.WarmingUp {
		t.Errorf("50 s after the camera was switched on: %+v", ref)
	}
}

// TestTwoSources has each of two go wrong, be hidden, and the hall change faster than halls do.
func TestTwoSources(t *testing.T) {
	for _, c := range []struct {
		name   string
		befall func(h *hall, second *float64)
		want   event.Reason
	}{
		{"both right", func(*hall, *float64) {}, event.NoProblem},
		{"the first is off", func(h *hall, _ *float64) { h.celsius = 37.8 }, event.ReferenceUnstable},
		{"the second is off", func(_ *hall, second *float64) { *second = 34 }, event.ReferenceUnstable},
		{"the first is hidden", func(h *hall, _ *float64) { h.celsius = h.room }, event.NoProblem},
		{"the second is hidden", func(h *hall, second *float64) { *second = h.room }, event.NoProblem},
		{"the hall is warmer", func(h *hall, _ *float64) { h.room += 0.01 }, event.NoProblem},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHall(9)
			h.config.ReferenceArea = &measure.Area{Left: 0.5, Right: 1, Bottom: 1}
			h.config.SecondReference = &measure.SecondReference{Celsius: 35, UncertaintyCelsius: 0.1, Area: measure.Area{Right: 0.5, Bottom: 1}}
			if err := h.config.Validate(); err != nil {
				t.Fatal(err)
			}
			h.finder = measure.NewReferenceFinder(h.config)
			second := 35.0
			h.more = func(x, y float64) (float64, bool) { return second, math.Hypot(x-20, y-52) < 5 }
			h.run(2 * time.Minute)
			if n := len(h.finder.Known()); n != 2 {
				t.Fatalf("%d sources are known", n)
			}
			var ref event.ReferenceSource
			for range 60 * hallFPS {
				c.befall(h, &second)
				ref = h.next()
			}
			if ref.Problem != c.want {
				t.Errorf("%q, want %q: %+v", ref.Problem, c.want, ref)
			}
		})
	}
}

// TestNothingIsForgottenWhileNothingIsSeen has the source hidden, the lens covered and the gate restarted meanwhile: the same source
// is used then, and no other one.
func TestNothingIsForgottenWhileNothingIsSeen(t *testing.T) {
	hand := func(h *hall) func(x, y float64) (float64, bool) {
		return func(x, y float64) (float64, bool) { return 33, math.Hypot(x-h.x, y-h.y) < 2.2*h.r }
	}
	restart := func(t *testing.T, h *hall) {
		known := h.finder.Known()
		if len(known) != 1 {
			t.Errorf("%d sources are known", len(known))
		}
		h.finder = measure.NewReferenceFinder(h.config)
		if err := h.finder.Restore(known); err != nil {
			t.Fatal(err)
		}
		h.at = h.at.Add(20 * time.Second)
	}
	for name, befall := range map[string]func(t *testing.T, h *hall){
		"hidden, and two restarts": func(t *testing.T, h *hall) {
			h.more = hand(h)
			h.run(20 * time.Second)
			restart(t, h)
			h.run(15 * time.Second)
			restart(t, h)
		},
		"a film is over the lens": func(_ *testing.T, h *hall) {
			room, celsius := h.room, h.celsius
			h.room, h.celsius, h.more = 0.6*room+12, 0.6*celsius+12, nil
			h.run(5 * time.Second)
			h.room, h.celsius = room, celsius
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(10)
			h.run(12 * time.Minute)
			befall(t, h)
			h.more = h.person
			if ref := h.run(10 * time.Second); !usable(ref) {
				t.Errorf("the same source is not used: %+v", ref)
			}
			befall(t, h)
			h.more = h.person
			h.celsius++
			if worst := h.worst(2*time.Minute, func(time.Duration) {}); worst > 0 {
				t.Errorf("a source that is %.1f °C warmer is used", worst)
			}
		})
	}
}

// TestACarrierDoesNotMakeGoodADoubtedSource drives off with a source that has become warmer.
func TestACarrierDoesNotMakeGoodADoubtedSource(t *testing.T) {
	h := newHall(12)
	h.run(3 * time.Minute)
	drive := func() {
		for range 10 * hallFPS {
			h.finder.Update(h.draw(), h.at, -1, nil, true)
			h.at = h.at.Add(time.Second / hallFPS)
		}
	}
	drive()
	h.room++
	if ref := h.run(90 * time.Second); !usable(ref) {
		t.Fatalf("a sound source is not used elsewhere: %+v", ref)
	}
	h.celsius++
	h.run(10 * time.Second)
	drive()
	h.room--
	if worst := h.worst(3*time.Minute, func(time.Duration) {}); worst > 0 {
		t.Errorf("a source that is %.1f °C warmer is used", worst)
	}
}

// TestACameraMayChangeItsResolution has the camera come back with a larger picture.
func TestACameraMayChangeItsResolution(t *testing.T) {
	h := newHall(14)
	h.run(90 * time.Second)
	for _, width := range []int{192, 48} {
		h.stage = newStage(width, width*3/4)
		if ref := h.run(5 * time.Second); !usable(ref) && width > 48 {
			t.Errorf("%d pixels wide: %+v", width, ref)
		}
	}
}

// TestASourceThatIsSwitchedOnLate is about mornings: the source is switched on with the gate or after it, and warms up.
func TestASourceThatIsSwitchedOnLate(t *testing.T) {
	if testing.Short() {
		t.Skip("draws hours")
	}
	for name, night := range map[string]func(h *hall){
		"the gate was off": func(h *hall) {
			known := h.finder.Known()
			h.finder = measure.NewReferenceFinder(h.config)
			if err := h.finder.Restore(known); err != nil {
				t.Fatal(err)
			}
			h.at = h.at.Add(10 * time.Hour)
		},
		"the gate was on": func(h *hall) {
			h.celsius = h.room
			for range 10 * 3600 / 9 {
				h.next()
				h.at = h.at.Add(9*time.Second - time.Second/hallFPS)
			}
		},
	} {
		for _, colder := range []float64{0, 2} {
			h := newHall(11)
			h.run(15 * time.Minute)
			night(h)
			h.room -= colder
			worst := h.worst(50*time.Minute, func(elapsed time.Duration) { h.celsius = 37 - 12*math.Exp(-elapsed.Minutes()/6) })
			ref := h.next()
			if t.Logf("%s, a hall %.0f °C colder: used with an error of up to %.2f °C", name, colder, worst); worst > 0.3 || !usable(ref) {
				t.Errorf("%s, a hall %.0f °C colder: used with an error of %.2f °C, and once it is warm %+v", name, colder, worst, ref)
			}
		}
	}
}

package measure_test

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/camera/simulator"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
)

// facing are the stretches of frames in which one person faces the camera.
func (l label) facing() (stretches [][2]int) {
	for _, m := range regexp.MustCompile(`(\d+)(?:-(\d+))?`).FindAllStringSubmatch(l["facing_frames"], -1) {
		from, _ := strconv.Atoi(m[1])
		to, err := strconv.Atoi(m[2])
		if err != nil {
			to = from
		}
		stretches = append(stretches, [2]int{from, to})
	}
	return stretches
}

type sample struct {
	frame   int
	at      time.Time
	celsius float64
	site    event.Site
}

// visits measures the nearest face in each stretch of a recording, standing ones only.
func visits(t *testing.T, l label, detector *face.Detector) [][]sample {
	stretches := l.facing()
	out := make([][]sample, len(stretches))
	meter := measure.NewMeter(measure.DefaultConfig())
	var finder *measure.ReferenceFinder
	var before face.Face
	var seen time.Time
	play(t, l["name"], false, func(info camera.Info, frame *camera.Frame, img *radiometry.Image) {
		if finder == nil {
			finder = measure.NewReferenceFinder(referenced(info.ReferenceCelsius))
		}
		ref := finder.Update(img, frame.Captured, frame.SinceFFC, nil, false)
		for i, s := range stretches {
			if frame.Index < s[0] || frame.Index > s[1] {
				continue
			}
			faces, err := detector.Detect(img)
			if err != nil {
				t.Fatal(err)
			}
			if len(faces) == 0 {
				continue
			}
			nearest := slices.MaxFunc(faces, func(a, b face.Face) int { return int(a.W - b.W) })
			r := meter.Measure(img, nearest, &before, frame.Captured.Sub(seen), ref)
			moved := math.Hypot(float64(nearest.X+nearest.W/2-before.X-before.W/2), float64(nearest.Y-before.Y))
			standing := moved < 0.5*float64(nearest.W)*frame.Captured.Sub(seen).Seconds()
			before, seen = nearest, frame.Captured
			if r.Problem == event.NoProblem && standing {
				out[i] = append(out[i], sample{frame.Index, frame.Captured, r.SkinCelsius, r.Site})
			}
		}
	})
	return out
}

// TestSkinIsSteady holds the scatter of one standing person's readings, frame by frame, against what was promised:
// 0.05 °C within a second and 0.12 °C over the visit for half of the people, 0.15 °C across a shutter event.
func TestSkinIsSteady(t *testing.T) {
	if testing.Short() {
		t.Skip("looks for faces in all recordings")
	}
	rows := labels(t)
	detector, err := face.New()
	if err != nil {
		t.Fatal(err)
	}
	defer detector.Close()
	var seconds, whole []float64
	for _, l := range rows {
		if l["kind"] != "gate" {
			continue
		}
		for _, visit := range visits(t, l, detector) {
			visit = slices.DeleteFunc(visit, func(s sample) bool { return s.site != mainSite(visit) })
			if len(visit) < 8 {
				continue
			}
			second, all := scatter(visit)
			t.Logf("%-40s %-13s %3d frames: %.3f °C within a second, %.3f °C in all", l["name"], visit[0].site, len(visit), second, all)
			seconds, whole = append(seconds, second), append(whole, all)
			if ffc, err := strconv.Atoi(l["ffc_at_frame"]); err == nil {
				across := slices.DeleteFunc(visit, func(s sample) bool { return s.frame < ffc-10 || s.frame > ffc+10 })
				_, all := scatter(across)
				t.Logf("%-40s across the shutter event %.3f °C", l["name"], all)
				if all > 0.15 {
					t.Errorf("%s: %.3f °C across the shutter event", l["name"], all)
				}
			}
		}
	}
	second, all := median(seconds), median(whole)
	t.Logf("median of %d visits: %.3f °C within a second, %.3f °C in all", len(seconds), second, all)
	if second > 0.05 || all > 0.12 {
		t.Errorf("median scatter %.3f °C within a second, %.3f °C over the visit; 0.05 and 0.12 were promised", second, all)
	}
}

func mainSite(visit []sample) event.Site {
	count := map[event.Site]int{}
	best := event.InnerCanthus
	for _, s := range visit {
		if count[s.site]++; count[s.site] > count[best] {
			best = s.site
		}
	}
	return best
}

// scatter is the standard deviation within a second, the median of all seconds, and of the whole.
func scatter(visit []sample) (second, all float64) {
	var within []float64
	for i, s := range visit {
		n := i
		for n < len(visit) && visit[n].at.Sub(s.at) < time.Second {
			n++
		}
		if n-i >= 5 {
			within = append(within, deviation(visit[i:n]))
		}
	}
	return median(within), deviation(visit)
}

func deviation(visit []sample) float64 {
	var sum, squares float64
	for _, s := range visit {
		sum += s.celsius
	}
	mean := sum / float64(len(visit))
	for _, s := range visit {
		squares += (s.celsius - mean) * (s.celsius - mean)
	}
	return math.Sqrt(squares / float64(len(visit)-1))
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// shot is one look at a simulated person.
type shot struct {
	truth    simulator.Person
	estimate measure.Estimate
	problem  event.Reason // of the last frame
}

// shoot runs a scenario and looks at everybody for the first nine tenths of a second they stand. Landmarks are the true
// ones, as far off as a good detector's.
func shoot(t testing.TB, s simulator.Scenario) []shot {
	t.Helper()
	sim, err := simulator.New(s, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	scale, err := radiometry.ScaleOf(sim.Info().Units)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(s.Seed, 1))
	finder := measure.NewReferenceFinder(referenced(sim.Info().ReferenceCelsius))
	meter := measure.NewMeter(measure.DefaultConfig())
	type looked struct {
		shot
		look  measure.Look
		face  face.Face
		since time.Time
		last  time.Time
	}
	people := map[int]*looked{}
	var order []*looked
	var frame camera.Frame
	var img radiometry.Image
	for {
		if err := sim.Read(context.Background(), &frame); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		scale.Convert(frame.Counts, frame.Width, frame.Height, &img)
		ref := finder.Update(&img, frame.Captured, frame.SinceFFC, nil, false)
		for _, p := range sim.Truth().People {
			if !p.Standing {
				continue
			}
			l := people[p.ID]
			f := detected(p, random)
			if l == nil {
				l = &looked{since: frame.Captured, face: f, last: frame.Captured.Add(-time.Second)}
				people[p.ID] = l
				order = append(order, l)
			}
			if frame.Captured.Sub(l.since) > 900*time.Millisecond {
				continue
			}
			r := meter.Measure(&img, f, &l.face, frame.Captured.Sub(l.last), ref)
			l.face, l.last, l.truth, l.problem = f, frame.Captured, p, r.Problem
			l.look.Add(r, frame.Captured)
		}
	}
	var shots []shot
	for _, l := range order {
		l.estimate = l.look.Estimate()
		shots = append(shots, l.shot)
	}
	return shots
}

// detected is a simulated person as a detector finds them: off by 2 % of the face's width. The simulator's first pixel
// spans 0 to 1, a picture's is at 0.
func detected(p simulator.Person, random *rand.Rand) face.Face {
	off := func(v float64) float32 { return float32(v - 0.5 + 0.02*p.W*random.NormFloat64()) }
	f := face.Face{X: off(p.X), Y: off(p.Y), W: float32(p.W), H: float32(p.H), Score: 1, Pose: face.Frontal}
	for i, q := range p.Landmarks {
		f.Landmarks[i] = face.Point{X: off(q.X), Y: off(q.Y)}
	}
	return f
}

// lineUp lets people with these skin temperatures step up one after the other.
func lineUp(s *simulator.Scenario, metres float64, skins ...float64) {
	for i := range skins {
		s.People = append(s.People, simulator.Visit{
			At: time.Duration(i) * 5 * time.Second, DistanceMetres: metres, Stand: 1500 * time.Millisecond, SkinCelsius: &skins[i],
		})
	}
}

// TestSkinAgainstTruth looks at simulated people whose skin is known: 160×120, 50 mK, drift, shutter events, and a
// reference that is off by up to 0.1 °C.
func TestSkinAgainstTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates some minutes")
	}
	random := rand.New(rand.NewPCG(7, 7))
	var sum float64
	n, near, inside := 0, 0, 0
	for i, metres := range []float64{0.7, 0.8, 0.9, 1.0, 1.2, 1.5} {
		var off []float64
		refused := 0
		for batch := range 2 {
			s := simulator.DefaultScenario()
			s.Seed = uint64(100*i + batch)
			s.Reference.ErrorCelsius = 0.2*random.Float64() - 0.1
			s.FFC.Every = 20 * time.Second
			var skins []float64
			for range 6 {
				skins = append(skins, 34+4*random.Float64())
			}
			lineUp(&s, metres, skins...)
			for _, shot := range shoot(t, s) {
				if shot.estimate.Frames == 0 || shot.estimate.Site != event.InnerCanthus {
					refused++
					continue
				}
				e := shot.estimate.SkinCelsius - shot.truth.SkinCelsius
				off = append(off, e)
				sum += e
				n++
				if math.Abs(e) <= 0.3 {
					near++
				}
				if math.Abs(e) <= shot.estimate.HalfWidthCelsius() {
					inside++
				}
			}
		}
		mean, spread := moments(off)
		t.Logf("%.1f m: %d looks, %d without; off by %+.3f ± %.3f °C", metres, len(off), refused, mean, spread)
		if refused > 3 {
			t.Errorf("at %.1f m %d of 12 people were not measured", metres, refused)
		}
	}
	t.Logf("%d looks: bias %+.3f °C, %d within 0.3 °C, %d inside their interval", n, sum/float64(n), near, inside)
	if math.Abs(sum/float64(n)) > 0.1 || float64(near) < 0.95*float64(n) || float64(inside) < 0.95*float64(n) {
		t.Errorf("of %d looks %d are within 0.3 °C and %d inside their interval; the bias is %+.3f °C", n, near, inside, sum/float64(n))
	}
}

func moments(v []float64) (mean, spread float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		spread += (x - mean) * (x - mean) / float64(len(v)-1)
	}
	return mean, math.Sqrt(spread)
}

// TestNothingIsSqueezed sweeps the skin from 34 to 42 °C: what is published must rise as it does.
func TestNothingIsSqueezed(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates a minute")
	}
	s := simulator.DefaultScenario()
	s.FFC.Every = 0
	lineUp(&s, 0.8, 34, 35, 36, 37, 38, 39, 40, 41, 42)
	seed := uint64(5)
	for i := range s.People {
		s.People[i].Seed = &seed
	}
	var x, y, xx, xy, n float64
	for _, shot := range shoot(t, s) {
		e := shot.estimate
		if e.Frames == 0 {
			t.Fatalf("no reading at %.1f °C: %s", shot.truth.SkinCelsius, shot.problem)
		}
		t.Logf("true %.2f °C, measured %.2f °C", shot.truth.SkinCelsius, e.SkinCelsius)
		x, y, n = x+shot.truth.SkinCelsius, y+e.SkinCelsius, n+1
		xx, xy = xx+shot.truth.SkinCelsius*shot.truth.SkinCelsius, xy+shot.truth.SkinCelsius*e.SkinCelsius
	}
	if slope := (n*xy - x*y) / (n*xx - x*x); math.Abs(slope-1) > 0.02 {
		t.Errorf("slope %.3f", slope)
	}
}

// head draws a face of 30 by 40 pixels at (45, 60): skin, colder nose and mouth, warm canthi.
func head(x, y float64) (celsius float64, covers bool) {
	hill := func(cx, cy, width float64) float64 {
		return math.Exp(-(math.Pow(x-cx, 2) + math.Pow(y-cy, 2)) / (2 * width * width))
	}
	if math.Hypot((x-60)/15, (y-80)/20) > 1 {
		return 0, false
	}
	return 34 + 1.2*(hill(57, 76, 1.3)+hill(63, 76, 1.3)) - 1.5*hill(60, 86, 3), true
}

func headFace() face.Face {
	return face.Face{X: 45, Y: 60, W: 30, H: 40, Score: 1, Pose: face.Frontal, Landmarks: [5]face.Point{{X: 54, Y: 76}, {X: 66, Y: 76}, {X: 60, Y: 86}, {X: 55, Y: 92}, {X: 65, Y: 92}}}
}

func shift(f face.Face, dx, dy float32) face.Face {
	f.X, f.Y = f.X+dx, f.Y+dy
	for i := range f.Landmarks {
		f.Landmarks[i].X, f.Landmarks[i].Y = f.Landmarks[i].X+dx, f.Landmarks[i].Y+dy
	}
	return f
}

func TestWhatKeepsAFaceFromBeingMeasured(t *testing.T) {
	good := event.ReferenceSource{Found: true, NominalCelsius: 37, MeasuredCelsius: 37, UncertaintyCelsius: 0.1}
	plain := func(x, y float64) (float64, bool) { return head(x, y) }
	for _, c := range []struct {
		name string
		draw func(x, y float64) (float64, bool)
		face func(f face.Face) face.Face
		prev func(f face.Face) face.Face
		ref  event.ReferenceSource
		want event.Reason
		site event.Site
	}{
		{name: "nothing", ref: good, site: event.InnerCanthus},
		{name: "no reference configured", ref: event.ReferenceSource{UncertaintyCelsius: 2.9}, site: event.InnerCanthus},
		{name: "reference lost", ref: event.ReferenceSource{Problem: event.ReferenceMissing}, want: event.ReferenceMissing},
		{name: "shutter", ref: event.ReferenceSource{Found: true, Problem: event.ShutterClosed}, want: event.ShutterClosed},
		{name: "far", ref: good, want: event.TooFar, face: func(f face.Face) face.Face { f.W, f.H = 10, 13; return f }},
		{name: "cut off", ref: good, want: event.CutOff, face: func(f face.Face) face.Face { return shift(f, -58, 0) }},
		{name: "profile", ref: good, want: event.TurnedAway, face: func(f face.Face) face.Face { f.Pose = face.Profile; return f }},
		{name: "nose beside the eyes", ref: good, want: event.TurnedAway, face: func(f face.Face) face.Face { f.Landmarks[face.Nose].X += 10; return f }},
		{name: "walking", ref: good, want: event.Moving, prev: func(f face.Face) face.Face { return shift(f, 12, 0) }},
		{name: "correction of 6 °C", ref: event.ReferenceSource{Found: true, CorrectionCelsius: 6, UncertaintyCelsius: 0.1}, site: event.InnerCanthus},
		{name: "colder than skin", ref: event.ReferenceSource{Found: true, CorrectionCelsius: -8, UncertaintyCelsius: 0.1}, want: event.TooCold},
		{name: "so cold that the nose is misplaced", ref: event.ReferenceSource{Found: true, CorrectionCelsius: -10, UncertaintyCelsius: 0.1}, want: event.TooCold,
			face: func(f face.Face) face.Face { f.Landmarks[face.Nose].X += 10; return f }},
		{name: "hotter than skin", ref: event.ReferenceSource{Found: true, CorrectionCelsius: 9.5, UncertaintyCelsius: 0.1}, want: event.OutOfRange},
		{name: "glasses", ref: good, site: event.Forehead, draw: func(x, y float64) (float64, bool) {
			if math.Abs(math.Abs(x-60)-6) < 5 && math.Abs(y-76) < 4 {
				return 28, true
			}
			return head(x, y)
		}},
		{name: "glasses and hat", ref: good, site: event.WholeFace, draw: func(x, y float64) (float64, bool) {
			if math.Abs(math.Abs(x-60)-6) < 5 && math.Abs(y-76) < 4 || y < 73 {
				return 28, true
			}
			return head(x, y)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(120, 160)
			s.more = c.draw
			if s.more == nil {
				s.more = plain
			}
			f := headFace()
			if c.face != nil {
				f = c.face(f)
			}
			prev := f
			if c.prev != nil {
				prev = c.prev(f)
			}
			r := measure.NewMeter(measure.DefaultConfig()).Measure(s.draw(), f, &prev, time.Second/9, c.ref)
			if r.Problem != c.want || r.Site != c.site {
				t.Errorf("problem %q at site %q, want %q at %q", r.Problem, r.Site, c.want, c.site)
			}
			if r.Problem != event.NoProblem && r.SkinCelsius != 0 {
				t.Errorf("a temperature of %.2f with a problem", r.SkinCelsius)
			}
		})
	}
}

// TestWarmestSpot gives a face a warm mouth: the face reads warmer, its canthi do not. A mask leaves no warm end to read.
func TestWarmestSpot(t *testing.T) {
	ref := event.ReferenceSource{Found: true, NominalCelsius: 37, MeasuredCelsius: 37, UncertaintyCelsius: 0.1}
	read := func(mouth float64, mask bool) measure.Reading {
		s := newStage(120, 160)
		s.more = func(x, y float64) (float64, bool) {
			celsius, covers := head(x, y)
			if covers && math.Hypot((x-60)/2, y-95) < 3 {
				celsius = mouth
			}
			return celsius, covers
		}
		f := headFace()
		f.Mask = mask
		return measure.NewMeter(measure.DefaultConfig()).Measure(s.draw(), f, nil, 0, ref)
	}
	cool, warm := read(33, false), read(36.5, false)
	if !(warm.FaceCelsius > cool.FaceCelsius+0.3) || math.Abs(warm.FaceCelsius-36.5) > 0.4 || math.Abs(warm.SkinCelsius-cool.SkinCelsius) > 0.1 {
		t.Errorf("a mouth of 36.5 °C: face %.2f °C, canthi %.2f °C; of 33 °C: %.2f °C, %.2f °C", warm.FaceCelsius, warm.SkinCelsius, cool.FaceCelsius, cool.SkinCelsius)
	}
	if masked := read(36.5, true); !math.IsNaN(masked.FaceCelsius) {
		t.Errorf("with a mask the face's warmest spot is at %.2f °C", masked.FaceCelsius)
	}
}

// TestHotThingsAreNotSkin holds a hot cup and a plate before the mouth, a cigarette and a lamp at the eyes.
func TestHotThingsAreNotSkin(t *testing.T) {
	ref := event.ReferenceSource{Found: true, NominalCelsius: 37, MeasuredCelsius: 37, UncertaintyCelsius: 0.1}
	read := func(hot func(x, y float64) bool) measure.Reading {
		s := newStage(120, 160)
		s.more = func(x, y float64) (float64, bool) {
			if hot(x, y) {
				return 55, true
			}
			return head(x, y)
		}
		return measure.NewMeter(measure.DefaultConfig()).Measure(s.draw(), headFace(), nil, 0, ref)
	}
	bare := read(func(_, _ float64) bool { return false })
	for name, hot := range map[string]func(x, y float64) bool{
		"cup":       func(x, y float64) bool { return math.Abs(x-62) < 6 && y > 90 && y < 104 },
		"cigarette": func(x, y float64) bool { return x > 55 && x < 58 && y > 91 && y < 94 },
		"plate":     func(x, y float64) bool { return y > 84 && y < 106 },
		"lamp":      func(x, y float64) bool { return math.Hypot(x-60, y-76) < 4 },
	} {
		r := read(hot)
		if r.Problem == event.NoProblem && r.FaceCelsius < bare.FaceCelsius-0.05 || r.FaceCelsius > r.SkinCelsius+3 {
			t.Errorf("%s: the face's warmest spot is at %.2f °C, without it at %.2f °C", name, r.FaceCelsius, bare.FaceCelsius)
		}
		if r.Problem == event.NoProblem && math.Abs(r.SkinCelsius-bare.SkinCelsius) > 3*r.SystematicCelsius {
			t.Errorf("%s: %.2f °C at %s, without it %.2f °C", name, r.SkinCelsius, r.Site, bare.SkinCelsius)
		}
	}
}

func TestNoTemperatureWithoutAScale(t *testing.T) {
	s := newStage(120, 160)
	s.more = head
	img := s.draw()
	img.Relative = true
	finder := measure.NewReferenceFinder(measure.DefaultConfig())
	ref := finder.Update(img, time.Unix(0, 0), -1, nil, false)
	r := measure.NewMeter(measure.DefaultConfig()).Measure(img, headFace(), nil, 0, ref)
	if ref.Problem != event.NotRadiometric || r.Problem != event.NotRadiometric {
		t.Errorf("reference %q, face %q", ref.Problem, r.Problem)
	}
}

// FuzzMeasure gives the meter landmarks as a confused detector might.
func FuzzMeasure(f *testing.F) {
	s := newStage(120, 160)
	s.more = head
	img := s.draw()
	meter := measure.NewMeter(measure.DefaultConfig())
	f.Add(float32(45), float32(60), float32(30), float32(40), float32(54), float32(76), float32(66), float32(76))
	f.Add(float32(-500), float32(1e9), float32(30), float32(0), float32(119), float32(0), float32(119), float32(159))
	f.Fuzz(func(t *testing.T, x, y, w, h, lx, ly, rx, ry float32) {
		face := headFace()
		face.X, face.Y, face.W, face.H = x, y, w, h
		face.Landmarks[0].X, face.Landmarks[0].Y, face.Landmarks[1].X, face.Landmarks[1].Y = lx, ly, rx, ry
		r := meter.Measure(img, face, nil, 0, event.ReferenceSource{Found: true})
		if r.Problem == event.NoProblem && !(r.SkinCelsius >= 28 && r.SkinCelsius <= 43 && r.NoiseCelsius > 0) {
			t.Errorf("%+v", r)
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	s := newStage(120, 160)
	s.more = head
	img := s.draw()
	meter := measure.NewMeter(measure.DefaultConfig())
	f := headFace()
	ref := event.ReferenceSource{Found: true, UncertaintyCelsius: 0.1}
	b.ReportAllocs()
	for b.Loop() {
		meter.Measure(img, f, &f, time.Second/9, ref)
	}
}

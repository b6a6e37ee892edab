package simulator

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"thermogate/camera"
)

func start(t *testing.T, s Scenario, o Options) *Simulator {
	t.Helper()
	m, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// perfect is a scenario with a sensor that makes no errors.
func perfect() Scenario {
	s := DefaultScenario()
	s.Camera.NETDMillikelvin, s.Camera.PatternMillikelvin, s.Camera.ColumnMillikelvin = 0, 0, 0
	s.Camera.VignettingCelsius, s.Camera.OffsetCelsius, s.Camera.DriftCelsiusPerMinute = 0, 0, 0
	s.FFC.JumpCelsius = 0
	return s
}

// sharp makes the picture so fine that an inner canthus covers several pixels.
func sharp(s Scenario) Scenario {
	s.Camera.Width, s.Camera.Height, s.Camera.BlurPixels = 480, 640, 0.5
	return s
}

func visit(skin float64) Visit {
	seed, height := uint64(7), 1.66
	v := defaultVisit()
	v.SkinCelsius, v.Seed, v.HeightMetres, v.Hair = &skin, &seed, &height, short
	return v
}

// standing reads until somebody stands before the camera and faces it.
func standing(t *testing.T, m *Simulator, frame *camera.Frame) Person {
	t.Helper()
	for {
		if err := m.Read(t.Context(), frame); err != nil {
			t.Fatalf("nobody came to stand: %v", err)
		}
		for _, p := range m.Truth().People {
			if p.Standing && p.Facing {
				return p
			}
		}
	}
}

func celsius(frame *camera.Frame, x, y int) float64 {
	return float64(frame.Counts[y*frame.Width+x])/100 - 273.15
}

// around is the mean over the pixels within a distance of a point.
func around(frame *camera.Frame, c Point, radius float64) float64 {
	sum, n := 0.0, 0.0
	for y := range frame.Height {
		for x := range frame.Width {
			if math.Hypot(float64(x)+0.5-c.X, float64(y)+0.5-c.Y) <= radius {
				sum += celsius(frame, x, y)
				n++
			}
		}
	}
	return sum / n
}

// digest is of the first frames of a scenario.
func digest(t *testing.T, s Scenario) string {
	t.Helper()
	m, hash := start(t, s, Options{}), sha256.New()
	var frame camera.Frame
	for range 60 {
		if err := m.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
		if err := binary.Write(hash, binary.LittleEndian, frame.Counts); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

func TestSameSeedSameFrames(t *testing.T) {
	s := DefaultScenario()
	s.People = []Visit{visit(35), defaultVisit()}
	s.People[1].Glasses, s.People[1].At = true, time.Second
	const everywhere = "d79e15f5b806fe87" // on any machine; new when the picture is meant to change
	if got := digest(t, s); got != everywhere {
		t.Errorf("the frames' digest is %s, want %s", got, everywhere)
	}
	s.Seed++
	if digest(t, s) == everywhere {
		t.Error("another seed gives the same frames")
	}
}

func TestCanthiReadTrueWhereTheyAreResolved(t *testing.T) {
	s := sharp(perfect())
	s.People = []Visit{visit(35.3)}
	m := start(t, s, Options{})
	var frame camera.Frame
	p := standing(t, m, &frame)
	for _, c := range p.Canthi {
		if got := around(&frame, c, 1.5); math.Abs(got-p.SkinCelsius) > 0.05 {
			t.Errorf("canthus at %.1f reads %.2f °C, truth %.2f °C", c, got, p.SkinCelsius)
		}
	}
	if nose := around(&frame, p.Landmarks[2], 2); nose > p.SkinCelsius-0.8 {
		t.Errorf("the nose reads %.2f °C, hardly colder than the canthi at %.2f °C", nose, p.SkinCelsius)
	}
}

// At 160×120 pixels and 0.8 m optics hide a good part of the canthi, always the same: whoever measures there can
// correct for it.
func TestSweepHasSlopeOne(t *testing.T) {
	var skin, read []float64
	for truth := 34.0; truth <= 42; truth++ {
		s := perfect()
		s.People = []Visit{visit(truth)}
		m := start(t, s, Options{})
		var frame camera.Frame
		p := standing(t, m, &frame)
		skin = append(skin, p.SkinCelsius)
		read = append(read, (around(&frame, p.Canthi[0], 1)+around(&frame, p.Canthi[1], 1))/2)
	}
	n := len(skin) - 1
	slope := (read[n] - read[0]) / (skin[n] - skin[0])
	if math.Abs(slope-1) > 0.02 {
		t.Errorf("slope %.3f, want 1.00 ± 0.02; read %.2f", slope, read)
	}
	for i := range skin {
		if loss := skin[i] - read[i]; loss < 0.1 || loss > 1 {
			t.Errorf("%.1f °C read as %.2f °C; blur takes some tenths", skin[i], read[i])
		}
	}
}

func TestReferenceReadsTrue(t *testing.T) {
	s := DefaultScenario()
	s.Reference.ErrorCelsius = 0.1
	s.Camera.VignettingCelsius = 0
	m := start(t, s, Options{})
	var frame camera.Frame
	for range 20 {
		if err := m.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
		truth := m.Truth()
		r := truth.Reference
		if r.NominalCelsius != 37 || r.Celsius != 37.1 || math.Abs(r.RadiusPixels-6.14) > 0.05 {
			t.Fatalf("reference %+v", r)
		}
		got := around(&frame, Point{r.X, r.Y}, r.RadiusPixels-3)
		if want := r.Celsius + truth.OffsetCelsius; math.Abs(got-want) > 0.06 {
			t.Errorf("the disc reads %.2f °C, want %.2f + %.2f °C", got, r.Celsius, truth.OffsetCelsius)
		}
	}
}

func TestReferenceWarmsUp(t *testing.T) {
	s := perfect()
	s.Camera.Width, s.Camera.Height = 40, 53
	s.Reference.WarmUp = 10 * time.Second
	m := start(t, s, Options{})
	var frame camera.Frame
	for m.Truth().Time < 10*time.Second {
		if err := m.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
	}
	want := 24 + 13*(1-1/math.E)
	if got := m.Truth().Reference.Celsius; math.Abs(got-want) > 0.05 {
		t.Errorf("after one time constant the disc is at %.2f °C, want %.2f", got, want)
	}
}

func TestNETD(t *testing.T) {
	s := perfect()
	s.Camera.NETDMillikelvin = 50
	m := start(t, s, Options{})
	var a, b camera.Frame
	for _, frame := range []*camera.Frame{&a, &b} {
		if err := m.Read(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0.0
	for i := range a.Counts {
		sum += square(float64(a.Counts[i]) - float64(b.Counts[i]))
	}
	got := math.Sqrt(sum/float64(len(a.Counts))/2) * 10
	if math.Abs(got-50) > 1.5 {
		t.Errorf("noise of %.1f mK, want 50", got)
	}
}

func TestDriftWandersAtItsRate(t *testing.T) {
	s := DefaultScenario()
	s.Camera.DriftCelsiusPerMinute = 1
	n := newSensor(&s)
	var squares, furthest float64
	const minutes = 300
	last := 0.0
	for range minutes {
		for range 53 { // 6 s
			n.advance()
		}
		squares += square((n.drift - last) * 10)
		last = n.drift
		furthest = max(furthest, math.Abs(n.drift))
	}
	if rate := math.Sqrt(squares / minutes); rate < 0.6 || rate > 1.3 {
		t.Errorf("typical rate %.2f °C a minute, want about 1", rate)
	}
	if furthest < 0.5 || furthest > 3 {
		t.Errorf("strays up to %.2f °C", furthest)
	}
}

func TestFFCFreezesThenJumps(t *testing.T) {
	s := perfect()
	s.Camera.NETDMillikelvin = 50
	s.FFC = FFC{Every: 10 * time.Second, Freeze: 500 * time.Millisecond, JumpCelsius: 1}
	m := start(t, s, Options{})
	var frame camera.Frame
	var before []uint16
	frozen, offset := 0, 0.0
	for {
		if err := m.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
		truth := m.Truth()
		if frame.SinceFFC != truth.SinceFFC || truth.ShutterClosed != (frozen > 0 && frame.SinceFFC < s.FFC.Freeze || frame.SinceFFC < s.FFC.Freeze) {
			t.Fatalf("frame %d: %v since the FFC, shutter closed %v", frame.Index, frame.SinceFFC, truth.ShutterClosed)
		}
		if truth.ShutterClosed {
			frozen++
			if !slices.Equal(frame.Counts, before) || truth.OffsetCelsius != offset {
				t.Fatalf("frame %d changed behind the closed shutter", frame.Index)
			}
			continue
		}
		if frozen > 0 {
			break
		}
		before, offset = slices.Clone(frame.Counts), truth.OffsetCelsius
	}
	if frozen != 5 { // 0.5 s at 8.77 frames a second
		t.Errorf("%d frames stood still, want 5", frozen)
	}
	var jump float64
	for i := range before {
		jump += (float64(frame.Counts[i]) - float64(before[i])) / 100 / float64(len(before))
	}
	if math.Abs(jump+1) > 0.02 || math.Abs(m.Truth().OffsetCelsius-offset+1) > 1e-9 {
		t.Errorf("the picture jumped by %.2f °C, truth by %.2f, want -1", jump, m.Truth().OffsetCelsius-offset)
	}
}

func TestFFCOnDrift(t *testing.T) {
	s := DefaultScenario()
	s.FFC = FFC{DriftCelsius: 0.4}
	s.Camera.DriftCelsiusPerMinute = 3
	n := newSensor(&s)
	for range 3000 {
		n.advance()
		if math.Abs(n.drift-n.driftThen) >= 0.4 {
			t.Fatalf("frame %d: drifted %.2f °C since the last FFC", n.frame, n.drift-n.driftThen)
		}
	}
	if n.shutters == 0 {
		t.Error("no FFC in five minutes at 3 °C a minute")
	}
}

func TestFaceSizeFollowsDistance(t *testing.T) {
	for _, distance := range []float64{0.7, 1, 1.5} {
		s := perfect()
		v := visit(35)
		v.DistanceMetres = distance
		s.People = []Visit{v}
		m := start(t, s, Options{})
		var frame camera.Frame
		p := standing(t, m, &frame)
		focal := 80 / math.Tan(radians(57)/2)
		wide, tall := p.W/focal*p.DistanceMetres, p.H/focal*p.DistanceMetres
		if math.Abs(p.DistanceMetres-distance) > 0.02 || wide < 0.135 || wide > 0.165 || tall < 0.18 || tall > 0.23 {
			t.Errorf("at %.1f m the face is %.1f × %.1f pixels, %.3f × %.3f m", distance, p.W, p.H, wide, tall)
		}
	}
}

func TestScenarioEnds(t *testing.T) {
	s := DefaultScenario()
	s.Camera.Width, s.Camera.Height = 40, 40
	s.People = []Visit{visit(35), visit(36)}
	s.People[1].At = 5 * time.Second
	ids := func(s Scenario, frames int) (seen map[int]bool, err error) {
		m := start(t, s, Options{})
		seen = map[int]bool{}
		var frame camera.Frame
		for range frames {
			if err = m.Read(t.Context(), &frame); err != nil {
				return seen, err
			}
			for _, p := range m.Truth().People {
				seen[p.ID] = true
			}
		}
		return seen, nil
	}
	if seen, err := ids(s, 1000); err != io.EOF || len(seen) != 2 {
		t.Errorf("a finite scenario showed people %v and ended with %v, want 2 and EOF", seen, err)
	}
	s.Repeat = true
	if seen, err := ids(s, 600); err != nil || len(seen) < 10 {
		t.Errorf("a repeated scenario showed people %v and gave %v; want everybody under a number of their own", seen, err)
	}
	s.Repeat, s.Duration, s.People = false, time.Second, s.People[:1]
	m := start(t, s, Options{})
	var frame camera.Frame
	for m.Read(t.Context(), &frame) == nil {
	}
	if frame.Index != 8 {
		t.Errorf("a second at 8.77 frames a second ended with frame %d, want 8", frame.Index)
	}
}

func TestDemoIsVariedAndStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("draws six minutes of people")
	}
	s := Demo()
	s.Camera.Width, s.Camera.Height, s.Camera.FPS = 40, 54, 3
	m := start(t, s, Options{})
	var frame camera.Frame
	var febrile, glasses, mask, hat, together, passing, usual int
	counted := map[int]bool{}
	most := 0
	for m.Truth().Time < 6*time.Minute {
		if err := m.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
		up := 0
		for _, p := range m.Truth().People {
			if p.Standing {
				up++
			}
			if counted[p.ID] {
				continue
			}
			counted[p.ID] = true
			count := func(n *int, is bool) {
				if is {
					*n++
				}
			}
			count(&febrile, p.CoreCelsius >= 37.9)
			count(&usual, p.CoreCelsius >= 36.2 && p.CoreCelsius <= 37.2)
			count(&glasses, p.Glasses)
			count(&mask, p.Mask)
			count(&hat, p.Hat)
			count(&passing, p.StandsFrom == p.StandsTo)
		}
		if up > 1 {
			together++
		}
		most = max(most, len(m.guests)+len(m.spare))
	}
	n := len(counted)
	if n < 42 || febrile == 0 || febrile > n/8 || usual < n*3/4 || glasses == 0 || mask == 0 || hat == 0 || together == 0 || passing == 0 {
		t.Errorf("of %d people in six minutes %d febrile, %d usual, %d with glasses, %d masks, %d hats, %d passing; pairs in %d frames",
			n, febrile, usual, glasses, mask, hat, passing, together)
	}
	if most > 6 {
		t.Errorf("up to %d people are kept at once", most)
	}
}

func TestLiveKeepsPaceAndSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := DefaultScenario()
		s.Camera.Width, s.Camera.Height, s.Camera.FPS = 40, 40, 10
		m := start(t, s, Options{Live: true})
		began := time.Now()
		var frame camera.Frame
		for i := range 3 {
			if err := m.Read(t.Context(), &frame); err != nil {
				t.Fatal(err)
			}
			want := began.Add(time.Duration(i) * 100 * time.Millisecond)
			if frame.Index != i || !frame.Captured.Equal(want) || !time.Now().Equal(want) {
				t.Errorf("frame %d came at %v, captured %v, want %v", frame.Index, time.Now(), frame.Captured, want)
			}
		}
		time.Sleep(1030 * time.Millisecond)
		if err := m.Read(t.Context(), &frame); err != nil || frame.Index != 12 {
			t.Errorf("after a pause of a second frame %d, %v; want the newest, 12", frame.Index, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := m.Read(ctx, &frame); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a frame past the deadline gives %v", err)
		}
	})
}

func TestNewRefusesImpossibleScenario(t *testing.T) {
	s := DefaultScenario()
	s.Camera.FPS = 0
	if _, err := New(s, Options{}); err == nil {
		t.Error("0 frames a second accepted")
	}
}

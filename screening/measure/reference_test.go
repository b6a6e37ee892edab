package measure_test

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/testdata"
)

// label is a row of the table of recordings.
type label map[string]string

func (l label) reference() (x, y float64, ok bool) {
	x, err := strconv.ParseFloat(l["reference_x"], 64)
	y, _ = strconv.ParseFloat(l["reference_y"], 64)
	return x, y, err == nil
}

func labels(t testing.TB) []label {
	t.Helper()
	var out []label
	for _, row := range testdata.Table(t, "labels", "recordings.csv") {
		out = append(out, row)
	}
	return out
}

// play calls look with every picture of a recording; absolute makes raw counts look like temperatures.
func play(t testing.TB, name string, absolute bool, look func(info camera.Info, frame *camera.Frame, img *radiometry.Image)) {
	t.Helper()
	source, err := camera.Open(context.Background(), testdata.Shared(t, "recordings", name+".tiff"), camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	scale, err := radiometry.ScaleOf(source.Info().Units)
	if err != nil {
		t.Fatal(err)
	}
	var frame camera.Frame
	var img radiometry.Image
	for {
		err := source.Read(context.Background(), &frame)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		scale.Convert(frame.Counts, frame.Width, frame.Height, &img)
		if absolute {
			img.Relative = false
		}
		look(source.Info(), &frame, &img)
	}
}

// covered are the frames in which a hand or a plate hides part of the source.
func covered(name string, frame int) bool {
	return name == "20210914-081748" && (frame == 187 || frame >= 212 && frame <= 219)
}

// referenced is the configuration of a gate with a source of this temperature.
func referenced(nominal *float64) measure.Config {
	config := measure.DefaultConfig()
	config.ReferenceCelsius = nominal
	return config
}

func TestReferenceIsFollowed(t *testing.T) {
	recordings := labels(t)
	if testing.Short() {
		recordings = recordings[:5]
	}
	for _, l := range recordings {
		trueX, trueY, ok := l.reference()
		if !ok {
			continue
		}
		t.Run(l["name"], func(t *testing.T) {
			var finder *measure.ReferenceFinder
			visible, followed := 0, 0
			play(t, l["name"], false, func(info camera.Info, frame *camera.Frame, img *radiometry.Image) {
				if finder == nil {
					finder = measure.NewReferenceFinder(referenced(info.ReferenceCelsius))
				}
				ref := finder.Update(img, frame.Captured, frame.SinceFFC, nil, false)
				near := ref.Found && math.Hypot(ref.X-trueX, ref.Y-trueY) <= 2
				if ref.Found && !near {
					t.Errorf("frame %d: found at %.1f, %.1f; it is at %.0f, %.0f", frame.Index, ref.X, ref.Y, trueX, trueY)
				}
				if covered(l["name"], frame.Index) {
					return
				}
				visible++
				if near {
					followed++
				}
				if near && ref.Problem != event.NoProblem && ref.Problem != event.ShutterClosed {
					t.Errorf("frame %d: %s", frame.Index, ref.Problem)
				}
			})
			if float64(followed) < 0.98*float64(visible) {
				t.Errorf("followed in %d of %d frames", followed, visible)
			}
		})
	}
}

// TestNoReference shows scenes without a source: animals, plants, a man with a hot cup, and every gate with its disc
// painted over, so that heads, lamps and reflections are all there is.
func TestNoReference(t *testing.T) {
	if testing.Short() {
		t.Skip("searches all recordings frame by frame")
	}
	for _, l := range labels(t) {
		t.Run(l["name"], func(t *testing.T) {
			finder := measure.NewReferenceFinder(referenced(new(37.0)))
			x, y, painted := l.reference()
			found := 0
			play(t, l["name"], true, func(_ camera.Info, frame *camera.Frame, img *radiometry.Image) {
				if painted {
					paintOver(img, int(x), int(y))
				}
				if ref := finder.Update(img, frame.Captured, frame.SinceFFC, nil, false); ref.Found {
					found++
				}
			})
			if found > 0 {
				t.Errorf("a reference was found in %d frames", found)
			}
		})
	}
}

// paintOver draws the pixels left of the disc across it.
func paintOver(img *radiometry.Image, x, y int) {
	for j := max(0, y-11); j < min(img.Height, y+12); j++ {
		row := img.Celsius[j*img.Width : (j+1)*img.Width]
		for i := max(0, x-11); i < min(img.Width, x+12); i++ {
			row[i] = row[max(0, x-13)]
		}
	}
}

// stage is a drawn scene: a room, a reference disc, and what else a case adds.
type stage struct {
	width, height   int
	room            float64
	x, y, r         float64
	celsius, offset float64
	shading         float64 // how much of offset the top of the picture gets less
	noise           float64
	limit           float64 // above which the sensor saturates
	random          *rand.Rand
	img             radiometry.Image
	more            func(x, y float64) (celsius float64, covers bool)
}

func newStage(width, height int) *stage {
	short := float64(min(width, height))
	return &stage{
		width: width, height: height, room: 24, celsius: 37, noise: 0.05, limit: 150,
		x: 0.77 * float64(width), y: 0.81 * float64(height), r: 0.05 * short,
		random: rand.New(rand.NewPCG(1, 2)),
	}
}

// draw renders the scene with an edge one pixel wide.
func (s *stage) draw() *radiometry.Image {
	s.img.Width, s.img.Height = s.width, s.height
	s.img.Celsius = s.img.Celsius[:0]
	for j := range s.height {
		for i := range s.width {
			x, y := float64(i), float64(j)
			t := s.room + 2*x/float64(s.width)
			t += (s.celsius - t) * min(max(s.r-math.Hypot(x-s.x, y-s.y)+0.5, 0), 1)
			if s.more != nil {
				if c, covers := s.more(x, y); covers {
					t = c
				}
			}
			t += s.offset * (1 - s.shading*(1-y/float64(s.height)))
			s.img.Celsius = append(s.img.Celsius, float32(min(t+s.noise*s.random.NormFloat64(), s.limit)))
		}
	}
	return &s.img
}

// watch runs frames of a scene at 9 Hz through a finder; each is prepared by the function before it is drawn.
func watch(s *stage, config measure.Config, frames int, prepare func(frame int)) []event.ReferenceSource {
	config.ReferenceCelsius = new(37.0)
	finder := measure.NewReferenceFinder(config)
	at := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	var refs []event.ReferenceSource
	for frame := range frames {
		if prepare != nil {
			prepare(frame)
		}
		refs = append(refs, finder.Update(s.draw(), at, -1, nil, false))
		at = at.Add(time.Second / 9)
	}
	return refs
}

func usable(r event.ReferenceSource) bool { return r.Found && r.Problem == event.NoProblem }

func TestReferenceOfAnySize(t *testing.T) {
	for name, s := range map[string]*stage{
		"upright Lepton": newStage(120, 160), "Lepton": newStage(160, 120), "QVGA": newStage(320, 240), "VGA": newStage(640, 512),
		"256×192": newStage(256, 192),
	} {
		t.Run(name, func(t *testing.T) {
			for _, where := range [][2]float64{{0.15, 0.2}, {0.5, 0.9}, {0.9, 0.5}} {
				s.x, s.y = where[0]*float64(s.width), where[1]*float64(s.height)
				for frame, ref := range watch(s, measure.DefaultConfig(), 3, nil) {
					if !usable(ref) || math.Hypot(ref.X-s.x, ref.Y-s.y) > 0.3 || math.Abs(ref.CorrectionCelsius) > 0.1 {
						t.Errorf("frame %d, disc at %.1f, %.1f: %+v", frame, s.x, s.y, ref)
					}
				}
			}
		})
	}
}

// TestReferenceAtTheEdge has the source touch the edge and the corner of the picture, or reach past it.
func TestReferenceAtTheEdge(t *testing.T) {
	for _, size := range [][2]int{{640, 512}, {160, 120}, {120, 160}} {
		for _, inside := range []float64{0.6, 0.8, 1, 1.3} { // radii from the centre to the edge
			s := newStage(size[0], size[1])
			right, bottom := float64(s.width)-1-inside*s.r, float64(s.height)-1-inside*s.r
			places := [][2]float64{{right, s.y}, {inside * s.r, s.y}, {s.x, bottom}}
			if inside >= 1 && s.width == 640 { // the blur of a small one leaves too little of what is around it
				places = append(places, [2]float64{right, bottom})
			}
			for _, at := range places {
				s.x, s.y = at[0], at[1]
				ref := watch(s, measure.DefaultConfig(), 12, nil)[11]
				if !usable(ref) || math.Hypot(ref.X-s.x, ref.Y-s.y) > max(0.5, 0.03*s.r) || math.Abs(ref.CorrectionCelsius) > 0.1 {
					t.Errorf("%v, at %.1f, %.1f: %+v", size, s.x, s.y, ref)
				}
			}
		}
	}
}

func TestReferenceFollowsTheWholePicture(t *testing.T) {
	s := newStage(120, 160)
	s.shading = 0.7
	refs := watch(s, measure.DefaultConfig(), 60, func(frame int) {
		if frame == 30 {
			s.offset = -1.2
		}
	})
	if got := refs[29].CorrectionCelsius; math.Abs(got) > 0.05 {
		t.Errorf("correction before the jump is %.3f", got)
	}
	if got, want := refs[30].CorrectionCelsius, 1.2*(1-0.7*0.19); math.Abs(got-want) > 0.05 {
		t.Errorf("correction in the frame of the jump is %.3f, want %.3f", got, want)
	}
	if refs[30].Problem != event.ShutterClosed || !usable(refs[45]) {
		t.Errorf("after the jump %q, 1.7 s later %q", refs[30].Problem, refs[45].Problem)
	}
	var steps float64
	for i := 1; i < 30; i++ {
		steps = max(steps, math.Abs(refs[i].CorrectionCelsius-refs[i-1].CorrectionCelsius))
	}
	if steps > 0.03 {
		t.Errorf("noise of 50 mK a pixel moves the correction by up to %.3f from frame to frame", steps)
	}
}

func TestReferenceIsRefused(t *testing.T) {
	const last = 59
	for _, c := range []struct {
		name    string
		prepare func(s *stage, frame int)
		want    event.Reason
	}{
		{"covered by a hand", func(s *stage, frame int) {
			if frame >= 30 {
				s.more = func(x, y float64) (float64, bool) { return 31, x > 80 && y > 115 }
			}
		}, event.ReferenceMissing},
		{"half covered", func(s *stage, frame int) {
			if frame >= 30 {
				s.more = func(x, y float64) (float64, bool) { return 31, x > s.x-1 && y > 110 }
			}
		}, event.ReferenceMissing},
		{"saturated", func(s *stage, _ int) {
			s.celsius, s.limit = 40, 38
		}, event.ReferenceMissing},
		{"a lamp", func(s *stage, _ int) { s.celsius = 60 }, event.ReferenceMissing},
		{"a cup in a hand", func(s *stage, frame int) { s.x, s.y = 40+0.5*float64(frame), 80 }, event.ReferenceMissing},
		{"an oval head", func(s *stage, _ int) {
			s.celsius = s.room + 2
			s.more = func(x, y float64) (float64, bool) {
				return 34, math.Hypot((x-60)/7, (y-60)/9.5) < 1
			}
		}, event.ReferenceMissing},
		{"not warm yet", func(s *stage, frame int) { s.celsius = 33 + 0.05*float64(frame)/9*10 }, event.ReferenceUnstable},
		{"touched", func(s *stage, frame int) {
			if frame > last-4 {
				s.celsius = 36
			}
		}, event.ReferenceUnstable},
		{"shutter without telemetry", func(s *stage, frame int) {
			if frame == last { // the camera repeats its picture
				s.random, s.noise = rand.New(rand.NewPCG(9, 9)), 0.05
			} else if frame == last-1 {
				s.random = rand.New(rand.NewPCG(9, 9))
			}
		}, event.ShutterClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(120, 160)
			refs := watch(s, measure.DefaultConfig(), last+1, func(frame int) { c.prepare(s, frame) })
			if got := refs[last]; got.Problem != c.want {
				t.Errorf("problem %q, want %q: %+v", got.Problem, c.want, got)
			}
		})
	}
}

func TestReferenceMoved(t *testing.T) {
	s := newStage(120, 160)
	refs := watch(s, measure.DefaultConfig(), 90, func(frame int) {
		if frame >= 30 {
			s.x, s.y = 25, 40
		}
	})
	if usable(refs[31]) {
		t.Errorf("used at its new place at once: %+v", refs[31])
	}
	if got := refs[89]; !usable(got) || math.Hypot(got.X-25, got.Y-40) > 0.5 {
		t.Errorf("6 s after it was moved: %+v", got)
	}
}

// TestAnotherSourceIsNotTrusted puts something 2 °C warmer in the place of the source, or covers the source beside it.
func TestAnotherSourceIsNotTrusted(t *testing.T) {
	const change, back, last = 60, 1000, 1100
	for _, c := range []struct {
		name    string
		another func(s *stage)
	}{
		{"in its place", func(s *stage) { s.celsius = 39 }},
		{"elsewhere", func(s *stage) { s.x, s.y, s.celsius = 25, 40, 39 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(120, 160)
			x, y := s.x, s.y
			refs := watch(s, measure.DefaultConfig(), last+1, func(frame int) {
				switch frame {
				case change:
					c.another(s)
				case back:
					s.x, s.y, s.celsius = x, y, 37
				}
			})
			for frame := change; frame < back; frame++ {
				if usable(refs[frame]) && math.Abs(refs[frame].CorrectionCelsius) > 0.1 {
					t.Fatalf("used %d frames after it came: %+v", frame-change, refs[frame])
				}
			}
			if got := refs[last]; !usable(got) || math.Abs(got.CorrectionCelsius) > 0.1 {
				t.Errorf("11 s after the source is back: %+v", got)
			}
		})
	}
}

// TestTwoDiscsAtTheStart: where two may be the source, and are not as warm as each other, somebody has to say which it is.
func TestTwoDiscsAtTheStart(t *testing.T) {
	for _, c := range []struct {
		celsius float64
		area    *measure.Area
		want    bool
	}{{39, nil, false}, {35.5, nil, false}, {37.1, nil, true}, {39, &measure.Area{Left: 0.5, Right: 1, Bottom: 1}, true}} {
		s := newStage(160, 120)
		s.more = func(x, y float64) (float64, bool) { return c.celsius, math.Hypot(x-30, y-40) < 7 }
		config := measure.DefaultConfig()
		config.ReferenceArea = c.area
		if got := watch(s, config, 40, nil)[39]; got.Found != c.want || got.Found && math.Abs(got.CorrectionCelsius) > 0.2 {
			t.Errorf("another disc of %v °C, area %v: %+v", c.celsius, c.area, got)
		}
	}
}

func TestReferenceArea(t *testing.T) {
	config := measure.DefaultConfig()
	config.ReferenceArea = &measure.Area{Left: 0, Top: 0, Right: 0.5, Bottom: 1}
	if refs := watch(newStage(120, 160), config, 20, nil); refs[19].Found {
		t.Errorf("found outside of its area: %+v", refs[19])
	}
}

func TestDiscInAFace(t *testing.T) {
	s := newStage(120, 160)
	finder := measure.NewReferenceFinder(referenced(new(37.0)))
	around := []face.Face{{X: float32(s.x) - 15, Y: float32(s.y) - 20, W: 30, H: 40}}
	if ref := finder.Update(s.draw(), time.Unix(0, 0), -1, around, false); ref.Found {
		t.Errorf("a disc inside a face was taken for the reference: %+v", ref)
	}
}

// TestReferenceAtEveryEdgeAndCorner has the source at each edge and corner, from whole to mostly out of the picture: it is read right
// or said to be missing.
func TestReferenceAtEveryEdgeAndCorner(t *testing.T) {
	for _, size := range [][2]int{{160, 120}, {384, 288}, {640, 512}} {
		if testing.Short() && size[0] > 160 {
			break
		}
		for _, place := range [][2]float64{{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}} {
			for _, inside := range []float64{1.5, 1, 0.6, 0.2, -0.3} { // radii from the border to the centre
				s := newStage(size[0], size[1])
				along := func(side, length float64) float64 { return (1+side)/2*(length-1) - side*inside*s.r }
				s.x, s.y = 0.5*float64(s.width), 0.5*float64(s.height)
				if place[0] != 0 {
					s.x = along(place[0], float64(s.width))
				}
				if place[1] != 0 {
					s.y = along(place[1], float64(s.height))
				}
				ref := watch(s, measure.DefaultConfig(), 3, nil)[2]
				inCorner := place[0] != 0 && place[1] != 0
				switch {
				case ref.Found && (math.Hypot(ref.X-s.x, ref.Y-s.y) > 0.1*s.r || math.Abs(ref.CorrectionCelsius) > 0.1):
					t.Errorf("%v, at %v, %v radii inside: %+v; it is at %.1f, %.1f", size, place, inside, ref, s.x, s.y)
				case !ref.Found && (inside > 1 || inside == 1 && !inCorner):
					t.Errorf("%v, at %v, %v radii inside: not found", size, place, inside)
				}
			}
		}
	}
}

// TestNothingElseIsTheReference has the source out of view, and at the lower border a hand as still as one, of which the
// border leaves a round end.
func TestNothingElseIsTheReference(t *testing.T) {
	s := newStage(384, 288)
	s.x = -100
	const x, wide, tall = 230.0, 11.5, 15.0
	y := float64(s.height) - 1 - 0.95*tall
	s.more = func(px, py float64) (float64, bool) {
		return 33, math.Hypot((px-x)/wide, (py-y)/tall) <= 1 || py > y && math.Abs(px-x) <= 0.6*wide
	}
	for frame, ref := range watch(s, measure.DefaultConfig(), 14, nil) {
		if ref.Found {
			t.Fatalf("frame %d: %+v", frame, ref)
		}
	}
}

func TestWithoutReference(t *testing.T) {
	finder := measure.NewReferenceFinder(measure.DefaultConfig())
	ref := finder.Update(newStage(120, 160).draw(), time.Unix(0, 0), -1, nil, false)
	if ref.Found || ref.Problem != event.NoProblem || ref.CorrectionCelsius != 0 {
		t.Errorf("got %+v", ref)
	}
	if ref.UncertaintyCelsius < 1 {
		t.Errorf("without a reference the uncertainty is the camera's own, not %.2f", ref.UncertaintyCelsius)
	}
}

func TestValidate(t *testing.T) {
	if err := measure.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	config := measure.DefaultConfig()
	config.ReferenceUncertaintyCelsius = math.NaN()
	if err := config.Validate(); err == nil {
		t.Error("an uncertainty that is no number was accepted")
	}
}

func BenchmarkReferenceFollow(b *testing.B) { benchmarkReference(b, newStage(120, 160)) }

func BenchmarkReferenceSearch(b *testing.B) {
	s := newStage(120, 160)
	s.celsius = 60
	benchmarkReference(b, s)
}

func benchmarkReference(b *testing.B, s *stage) {
	finder := measure.NewReferenceFinder(referenced(new(37.0)))
	at := time.Unix(0, 0)
	pictures := []radiometry.Image{*s.draw(), {}}
	pictures[0].Celsius = append([]float32(nil), pictures[0].Celsius...)
	pictures[1] = *s.draw()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at = at.Add(time.Second / 9)
		finder.Update(&pictures[i%2], at, -1, nil, false)
	}
}

func TestNoRecordingHasAStepOfTheRange(t *testing.T) {
	for _, l := range labels(t) {
		finder := measure.NewReferenceFinder(measure.DefaultConfig())
		play(t, l["name"], true, func(_ camera.Info, frame *camera.Frame, img *radiometry.Image) {
			if ref := finder.Update(img, frame.Captured, frame.SinceFFC, nil, false); ref.Problem == event.RangeChanged {
				t.Fatalf("%s: frame %d is taken for another range", l["name"], frame.Index)
			}
		})
	}
}

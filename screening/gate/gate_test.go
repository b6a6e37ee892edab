package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/measure"
	"thermogate/screening/policy"
	"thermogate/screening/track"
	"thermogate/testdata"
)

func newTestGate(t testing.TB, info camera.Info) *Gate {
	t.Helper()
	detector, err := face.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { detector.Close() })
	config := Config{
		Site: "plant", Name: "north", Version: "test", Camera: "entrance",
		Track: track.DefaultConfig(), Measure: measure.DefaultConfig(), Policy: policy.DefaultConfig(), Visit: DefaultVisitConfig(),
	}
	gate, err := New(config, info, detector, rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

// walkThrough takes a source to its end and returns the verdicts with the frames they came at.
func walkThrough(t testing.TB, source camera.Source) (events []event.Event, frames []int) {
	t.Helper()
	defer source.Close()
	gate := newTestGate(t, source.Info())
	var frame camera.Frame
	for {
		if err := source.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
			return events, frames
		} else if err != nil {
			t.Fatal(err)
		}
		_, found, err := gate.Process(&frame)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			events, frames = append(events, e), append(frames, frame.Index)
		}
	}
}

func simulate(t testing.TB, scenario string) camera.Source {
	t.Helper()
	parsed, err := simulator.Parse("scenario", []byte(scenario))
	if err != nil {
		t.Fatal(err)
	}
	source, err := simulator.New(parsed, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestVerdictsOfVisits(t *testing.T) {
	tests := []struct {
		name, people string
		want         []event.Outcome
	}{
		{"healthy", "{at: 1s, skin_celsius: 35.3, hair: short, seed: 7}", []event.Outcome{event.Pass}},
		{"febrile", "{at: 1s, skin_celsius: 37.4, hair: short, seed: 7}", []event.Outcome{event.Alert}},
		{"two side by side", "{at: 1s, distance_metres: 0.9, side_metres: -0.22, skin_celsius: 35.3, hair: short, seed: 7}, " +
			"{at: 1s, distance_metres: 1, side_metres: 0.2, skin_celsius: 37.6, hair: short, seed: 8}", []event.Outcome{event.Alert, event.Pass}},
		{"in from the cold", "{at: 1s, skin_celsius: 35.3, chill_celsius: 3, hair: short, seed: 8}", []event.Outcome{event.Inconclusive}},
		{"one after the other", "{at: 1s, skin_celsius: 35.3, hair: short, seed: 7}, {at: 12s, skin_celsius: 35.4, hair: bald, beard: true, seed: 9}",
			[]event.Outcome{event.Pass, event.Pass}},
		{"nobody", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			duration := "0s"
			if test.people == "" {
				duration = "10s"
			}
			events, _ := walkThrough(t, simulate(t, "duration: "+duration+"\npeople: ["+test.people+"]\n"))
			var got []event.Outcome
			for _, e := range events {
				got = append(got, e.Data.Outcome)
				if e.Data.Camera != "entrance" {
					t.Errorf("the camera is called %s", e.Data.Camera)
				}
				if s := e.Data.SecondsToVerdict; s == nil || *s > 1 {
					t.Errorf("verdict after %v s, budget 1 s", s)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("verdicts %v, want %v", got, test.want)
			}
		})
	}
}

// faster repeats the pictures of a source, as a stream does that runs faster than its sensor.
type faster struct {
	camera.Source
	times int

	last camera.Frame
	n    int
}

func (f *faster) Read(ctx context.Context, frame *camera.Frame) error {
	between := time.Duration(float64(time.Second) / f.Info().FPS)
	if again := f.n % f.times; again > 0 {
		*frame = f.last
		frame.Counts = slices.Clone(f.last.Counts)
		frame.Captured = frame.Captured.Add(between * time.Duration(again) / time.Duration(f.times))
	} else if err := f.Source.Read(ctx, frame); err != nil {
		return err
	} else {
		f.last = *frame
		f.last.Counts = slices.Clone(frame.Counts)
	}
	f.n++
	return nil
}

func TestAStreamThatIsFasterThanItsSensor(t *testing.T) {
	const scenario = "people: [{at: 1s, skin_celsius: 35.3, hair: short, seed: 7}]\n"
	want, frames := walkThrough(t, simulate(t, scenario))
	got, repeated := walkThrough(t, &faster{Source: simulate(t, scenario), times: 3})
	if len(want) != 1 || len(got) != 1 || !slices.Equal(frames, repeated) {
		t.Fatalf("verdicts at %v, with every picture three times at %v", frames, repeated)
	}
	w, g := want[0].Data, got[0].Data
	if g.Outcome != w.Outcome || *g.SkinCelsius != *w.SkinCelsius || *g.SkinUncertaintyCelsius != *w.SkinUncertaintyCelsius {
		t.Errorf("%s with %.3f ± %.3f °C, with every picture three times %s with %.3f ± %.3f °C", w.Outcome, *w.SkinCelsius,
			*w.SkinUncertaintyCelsius, g.Outcome, *g.SkinCelsius, *g.SkinUncertaintyCelsius)
	}
}

func TestEventHoldsOnlyWhatWasMeasured(t *testing.T) {
	events, _ := walkThrough(t, simulate(t, "people: [{at: 1s, skin_celsius: 35.3, hair: short, seed: 7}]\n"))
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	e := events[0]
	if e.Source != "/plant/north" || e.Type != "thermogate.screening.pass.v1" {
		t.Errorf("source %q, type %q", e.Source, e.Type)
	}
	d := e.Data
	if d.Reference.NominalAssumed {
		t.Error("the temperature of the reference source is known, and the event says that it is assumed")
	}
	if math.Abs(*d.BodyCelsius-*d.OffsetCelsius-*d.SkinCelsius) > 1e-9 {
		t.Errorf("body %v is not skin %v + offset %v", *d.BodyCelsius, *d.SkinCelsius, *d.OffsetCelsius)
	}
	if got := math.Abs(*d.SkinCelsius - 35.3); got > *d.SkinUncertaintyCelsius {
		t.Errorf("skin %.2f ± %.2f °C, truly 35.3", *d.SkinCelsius, *d.SkinUncertaintyCelsius)
	}

	if d.FaceCelsius == nil || math.Abs(*d.FaceCelsius-*d.SkinCelsius) > 1 || d.AmbientCelsius != nil {
		t.Errorf("face %v and ambient %v; the face was seen, and nobody told of the air", d.FaceCelsius, d.AmbientCelsius)
	}

	// A camera without a scale measures nothing, so its events hold no temperature at all.
	source := simulate(t, "people: [{at: 1s, skin_celsius: 35.3, hair: short, seed: 7}]\n")
	events, _ = walkThrough(t, unscaled{source})
	if len(events) == 0 {
		t.Fatal("a person whom the gate can't measure got no verdict")
	}
	encoded, err := json.Marshal(events[0])
	if err != nil {
		t.Fatal(err)
	}
	if events[0].Data.Outcome != event.Inconclusive || regexp.MustCompile(`_celsius"`).Match(encoded) {
		t.Errorf("verdict of a camera that measures nothing: %s", encoded)
	}
}

func TestAssumedReferenceIsToldInTheEvent(t *testing.T) {
	events, _ := walkThrough(t, assumed{simulate(t, "people: [{at: 1s, skin_celsius: 35.3, hair: short, seed: 7}]\n")})
	if len(events) != 1 || !events[0].Data.Reference.NominalAssumed {
		t.Errorf("nobody measured the reference source, and the events are %+v", events)
	}
}

// assumed is a camera whose reference source nobody measured.
type assumed struct{ camera.Source }

func (a assumed) Info() camera.Info {
	info := a.Source.Info()
	info.ReferenceKnown = false
	return info
}

// unscaled is a camera whose counts mean nothing in degrees.
type unscaled struct{ camera.Source }

func (u unscaled) Info() camera.Info {
	info := u.Source.Info()
	info.Units = "counts"
	return info
}

func TestNobodyIsScreenedDuringAPause(t *testing.T) {
	source := simulate(t, "people: [{at: 1s, skin_celsius: 35.3, hair: short, seed: 7, stand: 8s}]\n")
	defer source.Close()
	gate := newTestGate(t, source.Info())
	var frame camera.Frame
	var pausedAt time.Time
	for {
		if err := source.Read(t.Context(), &frame); err != nil {
			t.Fatalf("no verdict after the pause: %v", err)
		}
		scene, events, err := gate.Process(&frame)
		if err != nil {
			t.Fatal(err)
		}
		switch paused := !pausedAt.IsZero() && frame.Captured.Sub(pausedAt) <= 3*time.Second; {
		case pausedAt.IsZero() && len(events) > 0:
			t.Fatal("a verdict before the pause")
		case pausedAt.IsZero() && len(gate.floor.visits) > 0 && !onlyVisit(gate).measurableSince.IsZero():
			pausedAt = frame.Captured // in the middle of a visit
			gate.SetPaused(true)
		case paused && (len(events) > 0 || len(scene.People) > 0):
			t.Fatalf("during the pause %d verdicts of %d people", len(events), len(scene.People))
		case paused && scene.Reference.Problem != event.NoProblem:
			t.Fatalf("the reference source is out of sight during the pause: %s", scene.Reference.Problem)
		case !pausedAt.IsZero() && !paused:
			gate.SetPaused(false)
			if len(events) == 0 {
				continue
			}
			if first := events[0].Data.FirstSeen; first.Sub(pausedAt) <= 3*time.Second {
				t.Errorf("the verdict is of a visit from before the pause or in it: %v after its begin", first.Sub(pausedAt))
			}
			return
		}
	}
}

func TestReplayIsTheSameEveryTime(t *testing.T) {
	var runs [2][]byte
	for i := range runs {
		events, _ := walkThrough(t, simulate(t, "people: [{at: 1s, core_celsius: 36.9, seed: 3}, {at: 9s, core_celsius: 38.6, seed: 4}]\n"))
		var err error
		if runs[i], err = json.Marshal(events); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(runs[0], runs[1]) {
		t.Errorf("two replays differ:\n%s\n%s", runs[0], runs[1])
	}
}

func TestMemoryDoesNotGrowWithFrames(t *testing.T) {
	if testing.Short() {
		t.Skip("draws and screens 900 frames")
	}
	source, err := simulator.New(simulator.Demo(), simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	gate := newTestGate(t, source.Info())
	var frame camera.Frame
	resident := func(frames int) int {
		for range frames {
			if err := source.Read(t.Context(), &frame); err != nil {
				t.Fatal(err)
			}
			if _, _, err := gate.Process(&frame); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	early := resident(300)
	if late := resident(600); late > early+512<<10 {
		t.Errorf("%d KiB after 300 frames, %d KiB after 900", early>>10, late>>10)
	}
}

// TestRecordings holds the gate to its figures on real gates, scored as the labels say: a pass or an alert counts, and is
// of a labelled person while somebody faces the camera or up to a second later.
func TestRecordings(t *testing.T) {
	if testing.Short() {
		t.Skip("walks through 17 minutes of recordings")
	}
	folder := testdata.Shared(t, "recordings")
	var people, measured, extra int
	var delays []float64
	for _, row := range testdata.Table(t, "labels", "recordings.csv") {
		if row["confidence"] != "sure" {
			continue
		}
		name := row["name"]
		source, err := camera.Open(context.Background(), filepath.Join(folder, name+".tiff"), camera.Options{})
		if err != nil {
			t.Fatal(err)
		}
		events, frames := walkThrough(t, source)
		expected, err := strconv.Atoi(row["people"])
		if err != nil {
			t.Fatal(err)
		}
		valid, found := score(events, frames, facing(t, row["facing_frames"]), expected)
		hits := min(len(valid), expected)
		people, measured, extra = people+expected, measured+hits, extra+found-hits
		delays = append(delays, valid[:hits]...)
		if hits < expected || found > hits {
			t.Logf("%s: %d people, %d verdicts, %d measured", name, expected, found, hits)
		}
		if row["kind"] == "negative" && row["people"] == "0" && found > 0 {
			t.Errorf("%s: %d verdicts, and nobody is there", name, found)
		}
	}
	slices.Sort(delays)
	median, p90 := delays[len(delays)/2], delays[len(delays)*9/10]
	t.Logf("%d of %d people measured, %d extra, median %.2f s, p90 %.2f s", measured, people, extra, median, p90)
	// Extra are two alerts of one man, who turns away and lifts his hair, and a second pass of one who is not surely the same.
	if measured < 29 || extra > 3 || median > 0.8 || p90 > 1.6 {
		t.Error("want 29 of 40 measured, at most 3 extra, median at most 0.8 s, p90 at most 1.6 s")
	}
}

type interval struct{ from, to int }

// score returns the delays, in seconds from facing the camera, of the verdicts that are of somebody who does, and how
// many verdicts there are.
func score(events []event.Event, frames []int, facing []interval, people int) (delays []float64, verdicts int) {
	const slack, fps = 9, 8.77
	for i, e := range events {
		if e.Data.Outcome == event.Inconclusive {
			continue
		}
		verdicts++
		for _, f := range facing {
			if f.from-2 <= frames[i] && frames[i] <= f.to+slack {
				delays = append(delays, math.Max(0, float64(frames[i]-f.from))/fps)
				break
			}
		}
	}
	return delays, verdicts
}

// facing reads "13-40;52;60-71".
func facing(t *testing.T, text string) (all []interval) {
	t.Helper()
	for part := range strings.SplitSeq(text, ";") {
		if part == "" {
			continue
		}
		first, last, found := strings.Cut(part, "-")
		if !found {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		all = append(all, interval{from, to})
	}
	return all
}

func BenchmarkGate(b *testing.B) {
	source, err := simulator.New(simulator.Demo(), simulator.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	gate := newTestGate(b, source.Info())
	frames := make([]camera.Frame, 300)
	for i := range frames {
		if err := source.Read(b.Context(), &frames[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	at := time.Duration(0)
	for i := 0; b.Loop(); i++ {
		frame := frames[i%len(frames)]
		frame.Captured = frames[0].Captured.Add(at)
		at += 114 * time.Millisecond
		if _, _, err := gate.Process(&frame); err != nil {
			b.Fatal(err)
		}
	}
}

// onlyVisit is the visit of the only person there.
func onlyVisit(g *Gate) *visit {
	for _, v := range g.floor.visits {
		return v
	}
	return nil
}

// TestWhoAppearsAtTheBorderIsNotMeasuredAtOnce, for they may still walk; from the second picture on their pace is known.
func TestWhoAppearsAtTheBorderIsNotMeasuredAtOnce(t *testing.T) {
	for _, test := range []struct {
		name       string
		sideMetres float64
		problems   []event.Reason // of the first pictures
	}{
		{"in the middle", 0, []event.Reason{event.NoProblem, event.NoProblem, event.NoProblem}},
		{"at the left border", -0.24, []event.Reason{event.Moving, event.NoProblem, event.NoProblem}},
		{"at the right border", 0.24, []event.Reason{event.Moving, event.NoProblem, event.NoProblem}},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := simulate(t, fmt.Sprintf("duration: 3s\nreference: {x: 0.5, y: 0.95}\npeople: [{at: 1s, skin_celsius: 35.3, "+
				"distance_metres: 0.9, side_metres: %g, stand: 2s, height_metres: 1.7, hair: short, seed: 8, appears: true}]\n", test.sideMetres))
			defer source.Close()
			gate := newTestGate(t, source.Info())
			var frame camera.Frame
			var problems []event.Reason
			for len(problems) < len(test.problems) {
				if err := source.Read(t.Context(), &frame); err != nil {
					t.Fatal(err)
				}
				if _, _, err := gate.Process(&frame); err != nil {
					t.Fatal(err)
				}
				if v := onlyVisit(gate); v != nil {
					problems = append(problems, v.problem)
				}
			}
			if !slices.Equal(problems, test.problems) {
				t.Errorf("in the way were %q, want %q", problems, test.problems)
			}
		})
	}
}

// TestAVeryColdFaceIsToldToWarmUp, not to come closer or to face the camera, though the detector is not sure of it.
func TestAVeryColdFaceIsToldToWarmUp(t *testing.T) {
	scenario := parse(t, "people: [{at: 0s, core_celsius: 36.6, chill_celsius: 5, stand: 4s, distance_metres: 0.7, height_metres: 1.7, seed: 20000}]\n")
	hints := map[event.Reason]int{}
	var events []event.Event
	watch(t, scenario, false, func(truth simulator.Truth, scene *event.Scene, found []event.Event) {
		for _, p := range scene.People {
			if p.Face.W > 20 {
				hints[p.Hint]++
			}
		}
		events = append(events, found...)
	})
	if hints[event.TooCold] < 20 || hints[event.TooFar]+hints[event.TurnedAway] > hints[event.TooCold]/5 {
		t.Errorf("they are told %v", hints)
	}
	for _, e := range events {
		if e.Data.Outcome != event.Inconclusive {
			t.Errorf("an event of %s", e.Data.Outcome)
		}
	}
}

package face

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/camera/simulator"
	"thermogate/testdata"
)

// wornLabels are the faces of every fifth frame of the recordings whose label says what they wear, by recording and frame.
func wornLabels(t *testing.T) map[string]map[int][]label {
	t.Helper()
	all := map[string]map[int][]label{}
	for _, row := range testdata.Table(t, "labels", "faces_dense.csv") {
		frame, err := strconv.Atoi(row["frame"])
		if err != nil {
			t.Fatal(err)
		}
		if frame%5 != 0 || row["covered"] == "" {
			continue
		}
		var box [4]float32
		for i, key := range []string{"x", "y", "w", "h"} {
			v, err := strconv.ParseFloat(row[key], 32)
			if err != nil {
				t.Fatal(err)
			}
			box[i] = float32(v)
		}
		if all[row["name"]] == nil {
			all[row["name"]] = map[int][]label{}
		}
		l := label{kind: row["covered"], box: Face{X: box[0], Y: box[1], W: box[2], H: box[3]}}
		all[row["name"]][frame] = append(all[row["name"]][frame], l)
	}
	return all
}

// share counts how often something is so.
type share struct{ of, all int }

func (s *share) count(is bool) {
	s.all++
	if is {
		s.of++
	}
}

func (s share) value() float64 { return float64(s.of) / float64(max(s.all, 1)) }

func (s share) String() string { return fmt.Sprintf("%d of %d", s.of, s.all) }

// Nobody on the recordings wears a mask; about a dozen people wear glasses.
func TestWornOnRecordings(t *testing.T) {
	d := newDetector(t)
	var masks, glasses, noGlasses share
	for recording, labels := range wornLabels(t) {
		for _, f := range readFrames(t, recording, labels) {
			faces, err := d.Detect(&f.img)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range f.labels {
				found := at(faces, &l.box)
				if found == nil {
					continue
				}
				masks.count(found.Mask)
				if strings.Contains(l.kind, "glasses") {
					glasses.count(found.Glasses)
				} else {
					noGlasses.count(found.Glasses)
				}
			}
		}
	}
	t.Logf("a mask on %v faces, glasses on %v with and on %v without", masks, glasses, noGlasses)
	if masks.all < 300 || masks.value() > 0.02 {
		t.Errorf("a mask is called on %v bare faces", masks)
	}
	if glasses.value() < 0.9 {
		t.Errorf("glasses are told on %v faces that wear some", glasses)
	}
	if noGlasses.value() > 0.03 {
		t.Errorf("glasses are called on %v faces that wear none", noGlasses)
	}
}

// at returns the face found where one is known to be.
func at(faces []Face, box *Face) *Face {
	for i := range faces {
		if overlap(&faces[i], box) >= 0.4 {
			return &faces[i]
		}
	}
	return nil
}

// The same people with and without a mask, in rooms of 16 to 28 °C. The network did not learn from the simulator.
func TestMasksOnSimulatedPeople(t *testing.T) {
	d := newDetector(t)
	var masked, bare, glasses share
	for seed := range uint64(60) {
		for _, mask := range []bool{true, false} {
			img, person := standing(t, seed, mask)
			faces, err := d.Detect(img)
			if err != nil {
				t.Fatal(err)
			}
			found := at(faces, &Face{X: float32(person.X), Y: float32(person.Y), W: float32(person.W), H: float32(person.H)})
			switch {
			case found == nil:
				continue
			case mask:
				masked.count(found.Mask)
			default:
				bare.count(found.Mask)
			}
			if person.Glasses {
				glasses.count(found.Glasses)
			}
		}
	}
	t.Logf("a mask on %v people with one and %v without, glasses on %v", masked, bare, glasses)
	if masked.all < 50 || masked.value() < 0.8 {
		t.Errorf("a mask is told on %v people who wear one", masked)
	}
	if bare.value() > 0.02 {
		t.Errorf("a mask is called on %v people without", bare)
	}
	if glasses.value() < 0.9 {
		t.Errorf("glasses are told on %v people who wear some", glasses)
	}
}

// standing is the simulator's picture of a person of that seed before the camera.
func standing(t *testing.T, seed uint64, mask bool) (*radiometry.Image, simulator.Person) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	s := simulator.DefaultScenario()
	s.Seed, s.AmbientCelsius = seed, 16+12*random.Float64()
	s.People = []simulator.Visit{{
		Seed: &seed, Mask: mask, Stand: time.Second, DistanceMetres: 0.6 + 0.5*random.Float64(),
		Glasses: random.Float64() < 0.3, Beard: random.Float64() < 0.25, Hat: random.Float64() < 0.1,
	}}
	source, err := simulator.New(s, simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	scale, err := radiometry.ScaleOf(source.Info().Units)
	if err != nil {
		t.Fatal(err)
	}
	var frame camera.Frame
	for {
		if err := source.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
			t.Fatal("nobody came to stand before the camera")
		} else if err != nil {
			t.Fatal(err)
		}
		for _, p := range source.Truth().People {
			if p.Standing && p.Facing {
				img := new(radiometry.Image)
				scale.Convert(frame.Counts, frame.Width, frame.Height, img)
				return img, p
			}
		}
	}
}

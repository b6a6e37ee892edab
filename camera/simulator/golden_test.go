package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"thermogate/camera"
)

// TestFramesStayAsTheyWere holds scenarios to the frames they have always had, bit for bit: figures that were found with
// them go on to be true. Other processors round differently.
func TestFramesStayAsTheyWere(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the digests are of amd64")
	}
	example, err := Load("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	repeat, err := Parse("repeat.yaml", []byte(`
seed: 11
duration: 12s
repeat: true
people:
  - {at: 3s, stand: 1500ms, distance_metres: 0.75, core_celsius: 39.2, hair: bald}
  - {at: 0s, stand: 1500ms, distance_metres: 0.75, core_celsius: 36.5, mask: true, seed: 3}
  - {at: 9s, walks_past: true, distance_metres: 1.2, hat: true}
  - {at: 10s, yaw_degrees: 40, side_metres: 0.2, cup_celsius: 55}
`))
	if err != nil {
		t.Fatal(err)
	}
	pairs := DefaultScenario()
	queue := defaultQueue()
	queue.PairShare, queue.PasserShare, queue.ChillShare, queue.ChillCelsius, queue.HatShare = 0.5, 0.2, 0.3, 2, 0.3
	pairs.Queue = &queue
	for _, test := range []struct {
		name     string
		scenario Scenario
		want     string
	}{
		{"example", example, "86a2dfaac1794d7d"},
		{"demo", Demo(), "74e48e3a8dc0ac98"},
		{"repeat", repeat, "46feec51c62cdbfa"},
		{"pairs", pairs, "74e808897513852a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := firstFrames(t, test.scenario, 160); got != test.want {
				t.Errorf("digest %s, want %s", got, test.want)
			}
		})
	}
}

// firstFrames digests pictures and truth.
func firstFrames(t *testing.T, s Scenario, frames int) string {
	t.Helper()
	m := start(t, s, Options{})
	hash := sha256.New()
	var frame camera.Frame
	for range frames {
		if err := m.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		binary.Write(hash, binary.LittleEndian, frame.Counts)
		for _, p := range m.Truth().People {
			fmt.Fprintln(hash, p.ID, p.X, p.Y, p.CoreCelsius, p.SkinCelsius, p.Standing, p.Facing, p.Hidden, p.StandsFrom, p.StandsTo)
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

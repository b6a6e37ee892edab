package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thermogate/camera"
	"thermogate/camera/radiometry"
)

// recordRoom writes a recording of a room of 25 °C in bare counts of a scale, and a sidecar that says so.
func recordRoom(t *testing.T, name, says string, kelvinPerCount, zeroCelsius float64) string {
	t.Helper()
	const width, height, frames = 160, 120, 12
	var data []byte
	for n := range frames {
		for i := range width * height {
			celsius := 25 + 2*math.Sin(float64(i+n)/500)
			data = binary.LittleEndian.AppendUint16(data, uint16(math.Round((celsius-zeroCelsius)/kelvinPerCount)))
		}
	}
	path := filepath.Join(t.TempDir(), name+".raw")
	sidecar := fmt.Sprintf(`{"width": %d, "height": %d, "fps": 500, %s}`, width, height, says)
	for file, content := range map[string][]byte{path: data, strings.TrimSuffix(path, ".raw") + ".json": []byte(sidecar)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestRecordingsOfAListEachHaveTheirUnits(t *testing.T) {
	list := []string{
		recordRoom(t, "centikelvin", `"units": "centikelvin"`, 0.01, -273.15),
		recordRoom(t, "kelvin64", `"units": "kelvin64"`, 1.0/64, -273.15),
		recordRoom(t, "optris", `"kelvin_per_count": 0.1, "zero_celsius": -100`, 0.1, -100),
	}
	source, err := openPlaylist(t.Context(), list, camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	played := map[string]bool{}
	for range 3 * 12 * len(list) {
		var frame camera.Frame
		if err := source.Read(t.Context(), &frame); err != nil {
			t.Fatal(err)
		}
		scale, err := source.Info().Scale()
		if err != nil {
			t.Fatal(err)
		}
		span, err := scale.Span(frame.Counts)
		if err != nil || span.LowestCelsius < 22.9 || span.HighestCelsius > 27.1 {
			t.Errorf("%s: %v, %v", source.Info().Name, span, err)
		}
		played[source.Info().Name] = true
	}
	if len(played) != len(list) {
		t.Errorf("played %v", played)
	}
}

func TestFlagsOfAScale(t *testing.T) {
	optris := recordRoom(t, "gate", `"units": "counts"`, 0.1, -100)
	for _, c := range []struct {
		args []string
		want string // in the error
	}{
		{[]string{"--kelvin-per-count", "0.1", "--zero-celsius", "-100"}, ""},
		{[]string{"--units", "centikelvin"}, "kelvin_per_count 0.1 and zero_celsius -100 would fit"},
		{[]string{"--kelvin-per-count", "0.02"}, "would lie outside of -20 to 120 °C"},
		{[]string{"--kelvin-per-count", "0.1", "--units", "counts"}, "leave one out"},
		{[]string{"--kelvin-per-count", "-1"}, "kelvin_per_count is -1"},
	} {
		command := newReplayCommand()
		command.SetArgs(append(c.args, optris))
		command.SetOut(new(bytes.Buffer))
		command.SilenceErrors, command.SilenceUsage = true, true
		err := command.ExecuteContext(t.Context())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

// What the config says of the scale is used unless a flag says something else.
func TestFlagsWinOverTheScaleOfTheConfig(t *testing.T) {
	c := cameraConfig{Linear: radiometry.Linear{KelvinPerCount: 0.1, ZeroCelsius: -100}, Planck: radiometry.SkinPlanck()}
	if o := c.options(camera.Options{}); o.Linear != c.Linear || o.Planck != c.Planck {
		t.Errorf("without a flag: %+v", o)
	}
	if o := c.options(camera.Options{Units: "kelvin16"}); o.Units != "kelvin16" || o.Linear.KelvinPerCount != 0 || o.Planck.R1 != 0 {
		t.Errorf("with a flag: %+v", o)
	}
}

func TestCheckPrintsTemperaturesAndRefusesWhatCannotBeTrue(t *testing.T) {
	right := gateConfig(t, "north")
	right.Camera.URI = recordRoom(t, "gate", `"units": "kelvin64"`, 1.0/64, -273.15)
	wrong := right
	wrong.Camera.Units = "centikelvin"
	for want, c := range map[string]config{
		"picture    ok     lowest 23.0, median 25.": right,
		"units kelvin64 would fit (median 25.":      wrong,
	} {
		var out strings.Builder
		d := doctor{config: c, out: &out}
		d.camera(t.Context())
		if !strings.Contains(out.String(), want) {
			t.Errorf("check says\n%swant %q", out.String(), want)
		}
	}
}

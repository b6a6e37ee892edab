package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/screening/gate"
	"thermogate/screening/measure"
)

func TestWhatIsKnownOfTheSourceIsKept(t *testing.T) {
	file := referenceFile{filepath.Join(t.TempDir(), "reference.json")}
	if known, err := file.recall(); err != nil || len(known.Sources) > 0 {
		t.Fatalf("before anything was kept: %+v, %v", known, err)
	}
	want := gate.Known{Camera: "/dev/video0", Sources: []measure.Known{{At: time.Unix(1, 0).UTC(), NominalCelsius: 37, BackgroundCelsius: []*float64{new(-13.25), nil}}}}
	if err := file.save(want); err != nil {
		t.Fatal(err)
	}
	got, err := file.recall()
	if err != nil || got.Camera != want.Camera || len(got.Sources) != 1 || *got.Sources[0].BackgroundCelsius[0] != -13.25 || got.Sources[0].BackgroundCelsius[1] != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for _, damaged := range []string{`{"camera":`, `[]`, strings.Repeat(" ", maxStateBytes+1)} {
		if err := os.WriteFile(file.path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if known, err := file.recall(); err == nil || !strings.Contains(err.Error(), file.path) || strings.Contains(err.Error(), "\n") || len(known.Sources) > 0 {
			t.Errorf("%.40s gives %+v, %v", damaged, known, err)
		}
	}
	for range 2 { // once there is a file, once there is none
		if err := file.save(gate.Known{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(file.path); err == nil {
		t.Error("nothing is known, and the file is still there")
	}
}

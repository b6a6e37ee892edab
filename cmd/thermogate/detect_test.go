package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"thermogate/testdata"
)

// detect runs the command and returns what it wrote to stdout.
func detect(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := newDetectCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetArgs(args)
	command.SilenceErrors, command.SilenceUsage = true, true
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

func TestDetectPrintsEveryFrame(t *testing.T) {
	recording := testdata.Shared(t, "recordings", "fs-1204-816640-2021-03-31T22-06-52.000Z.tiff")
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	out, err := detect(t, "--json", "--sheet", sheet, recording)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 111 {
		t.Fatalf("%d lines for 111 frames", len(lines))
	}
	var d struct {
		Source               string
		Frame, Width, Height int
		Faces                []struct {
			X, Y, W, H, Score float64
			Landmarks         [][]float64
		}
	}
	if err := json.Unmarshal([]byte(lines[30]), &d); err != nil {
		t.Fatal(err)
	}
	if d.Source != filepath.Base(recording) || d.Frame != 30 || d.Width != 120 || d.Height != 160 {
		t.Errorf("frame 30 is %+v", d)
	}
	if len(d.Faces) == 0 || d.Faces[0].Score < 0.5 || len(d.Faces[0].Landmarks) != 5 {
		t.Errorf("the person in frame 30 is %+v", d.Faces)
	}
	picture := gocv.IMRead(sheet, gocv.IMReadColor)
	defer picture.Close()
	if picture.Empty() {
		t.Error("the sheet is no picture")
	}
}

func TestDetectReadsStillPictures(t *testing.T) {
	recording := gocv.IMRead(testdata.Shared(t, "recordings", "fs-1204-816640-2021-03-31T22-06-52.000Z.tiff"), gocv.IMReadUnchanged)
	defer recording.Close()
	folder := t.TempDir()
	gocv.Transpose(recording, &recording)
	eight := gocv.NewMat()
	defer eight.Close()
	gocv.Normalize(recording, &eight, 0, 255, gocv.NormMinMax)
	eight.ConvertTo(&eight, gocv.MatTypeCV8U)
	colour := gocv.NewMat()
	defer colour.Close()
	gocv.CvtColor(eight, &colour, gocv.ColorGrayToBGR)
	for name, mat := range map[string]gocv.Mat{"16.png": recording, "8.png": eight, "colour.png": colour, "8.jpg": eight} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder, name)
			if !gocv.IMWrite(path, mat) {
				t.Fatal("can't write ", path)
			}
			out, err := detect(t, "--json", path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(out, `{"source":"`+name+`","frame":0,"width":120,"height":160,"faces":[`) || strings.Count(out, "\n") != 1 {
				t.Errorf("printed %s", out)
			}
		})
	}
}

// A person with glasses and one without, both recorded at a gate.
func TestDetectTellsWhatIsWorn(t *testing.T) {
	for _, test := range []struct {
		recording string
		frame     int
		glasses   bool
	}{
		{"20210325-091249.tiff", 40, true},
		{"fs-1204-816640-2021-03-31T22-06-52.000Z.tiff", 30, false},
	} {
		recording := testdata.Shared(t, "recordings", test.recording)
		out, err := detect(t, "--json", recording)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(out, fmt.Sprintf(`"frame":%d,`, test.frame))
		line, _, _ = strings.Cut(line, "\n")
		if strings.Contains(line, `"worn":["glasses"]`) != test.glasses || !strings.Contains(line, `"score"`) || strings.Contains(out, `"worn":[]`) {
			t.Errorf("%s, frame %d: glasses are worn or not, and else nothing: %.300s…", test.recording, test.frame, line)
		}
		if out, err = detect(t, recording); err != nil {
			t.Fatal(err)
		}
		_, line, _ = strings.Cut(out, fmt.Sprintf("frame %d:", test.frame))
		line, _, _ = strings.Cut(line, "\n")
		if strings.Contains(line, ", glasses") != test.glasses {
			t.Errorf("%s, frame %d:%s", test.recording, test.frame, line)
		}
	}
}

func TestDetectNamesWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.png")
	if err := os.WriteFile(text, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{filepath.Join(folder, "gone.tiff")}, "gone.tiff"},
		{[]string{text}, "notes.png"},
		{[]string{"--min-score", "2", text}, "--min-score"},
		{[]string{"--orientation", "sideways", text}, "--orientation"},
	} {
		if _, err := detect(t, test.args...); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("detect %v: %v, which does not name %s", test.args, err, test.says)
		}
	}
}

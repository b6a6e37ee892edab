package face

import (
	"context"
	"encoding/csv"
	"os"
	"strconv"
	"testing"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/testdata"
)

// handLabels returns the rows of faces.csv as maps, by recording.
func handLabels(t testing.TB) map[string][]map[string]string {
	t.Helper()
	file, err := os.Open(testdata.Shared(t, "labels", "faces.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]map[string]string{}
	for _, row := range rows[1:] {
		label := map[string]string{}
		for i, name := range rows[0] {
			label[name] = row[i]
		}
		labels[label["name"]] = append(labels[label["name"]], label)
	}
	return labels
}

// frames calls see with the frames of a recording that are in want.
func frames(t testing.TB, recording string, want map[int]bool, see func(index int, img *radiometry.Image)) {
	t.Helper()
	source, err := camera.Open(context.Background(), testdata.Shared(t, "recordings", recording+".tiff"), camera.Options{})
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
	for left := len(want); left > 0; {
		if err := source.Read(context.Background(), &frame); err != nil {
			t.Fatal(err)
		}
		if want[frame.Index] {
			scale.Convert(frame.Counts, frame.Width, frame.Height, &img)
			see(frame.Index, &img)
			left--
		}
	}
}

func newDetector(t testing.TB) *Detector {
	t.Helper()
	d, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func boxOf(t testing.TB, label map[string]string) Face {
	t.Helper()
	v := func(key string) float32 {
		f, err := strconv.ParseFloat(label[key], 32)
		if err != nil {
			t.Fatal(err)
		}
		return float32(f)
	}
	return Face{X: v("x"), Y: v("y"), W: v("w"), H: v("h")}
}

func TestHandLabelledFaces(t *testing.T) {
	d := newDetector(t)
	found, faces, empty, boxed := 0, 0, 0, 0
	for recording, rows := range handLabels(t) {
		want := map[int]bool{}
		byFrame := map[int][]map[string]string{}
		for _, row := range rows {
			i, _ := strconv.Atoi(row["frame"])
			want[i] = true
			byFrame[i] = append(byFrame[i], row)
		}
		frames(t, recording, want, func(i int, img *radiometry.Image) {
			boxes, err := d.Detect(img)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range byFrame[i] {
				if row["kind"] == "none" {
					empty++
					if len(boxes) > 0 {
						boxed++
						t.Logf("%s frame %d has no face, found %+v", recording, i, boxes[0])
					}
				}
				if row["kind"] != "frontal" || row["main"] != "yes" {
					continue
				}
				faces++
				label, hit := boxOf(t, row), false
				for j := range boxes {
					hit = hit || overlap(&boxes[j], &label) >= 0.5
				}
				if hit {
					found++
				} else {
					t.Logf("%s frame %d: missed %+v, found %+v", recording, i, label, boxes)
				}
			}
		})
	}
	t.Logf("%d of %d frontal faces; a box on %d of %d frames without a face", found, faces, boxed, empty)
}

func BenchmarkDetect160x120(b *testing.B) {
	d := newDetector(b)
	img := radiometry.Image{Width: 120, Height: 160, Celsius: make([]float32, 120*160)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Detect(&img); err != nil {
			b.Fatal(err)
		}
	}
}

package kiosk

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
)

// split takes a picture apart as a page does.
func split(t *testing.T, p *picture) (pictureHead, []byte) {
	t.Helper()
	line, grey, _ := bytes.Cut(p.body, []byte{'\n'})
	var head pictureHead
	if err := json.Unmarshal(line, &head); err != nil {
		t.Fatal(err)
	}
	if len(grey) != head.Width*head.Height {
		t.Fatalf("%d bytes of grey for %dx%d pixels", len(grey), head.Width, head.Height)
	}
	return head, grey
}

func noVerdict(*event.Person) *event.Event { return nil }

func TestPictureOrdersTemperatures(t *testing.T) {
	scene := sceneAt(0, near(event.Covered))
	scene.Image.Celsius[0] = float32(math.NaN())
	var p painter
	head, grey := split(t, p.paint(1, scene, false, noVerdict))
	wall, face := grey[100*120+100], grey[60*120+60]
	if !(face > wall+100) {
		t.Errorf("face is grey %d on a wall of grey %d", face, wall)
	}
	if grey[0] != 0 {
		t.Errorf("a pixel without a temperature is grey %d", grey[0])
	}
	if low, high := *head.LowCelsius, *head.HighCelsius; math.Abs(low-21.5) > .7 || math.Abs(high-34.5) > .7 {
		t.Errorf("the range is %.1f to %.1f °C; corrected by 1.5 °C the scene has 21.5 to 34.5", low, high)
	}
	mark := head.Faces[0]
	if mark.X != 40./120 || mark.H != 50./160 || mark.Tone != toneGuide || mark.Label.EN != "covered" {
		t.Errorf("face mark %+v", mark)
	}
}

func TestPictureOfAnEmptyWallIsCalm(t *testing.T) {
	var p painter
	_, grey := split(t, p.paint(1, sceneAt(0), false, noVerdict))
	least, most := grey[0], grey[0]
	for _, g := range grey {
		least, most = min(least, g), max(most, g)
	}
	if most-least > 40 { // 0.6 °C of noise
		t.Errorf("noise of 0.6 °C is painted in %d steps of grey", most-least)
	}
}

func TestPictureWithoutScaleGivesNoTemperatures(t *testing.T) {
	scene := sceneAt(0)
	scene.Image.Relative = true
	var p painter
	if head, _ := split(t, p.paint(1, scene, false, noVerdict)); head.LowCelsius != nil || head.HighCelsius != nil {
		t.Errorf("raw counts are given in °C: %v, %v", head.LowCelsius, head.HighCelsius)
	}
}

func TestPictureOfAnySize(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {120, 160}, {640, 512}, {1025, 769}} {
		image := &radiometry.Image{Width: size[0], Height: size[1], Celsius: make([]float32, size[0]*size[1])}
		var p painter
		if _, grey := split(t, p.paint(1, &event.Scene{Image: image}, false, noVerdict)); len(grey) > maxPixels {
			t.Errorf("%v: %d bytes", size, len(grey))
		}
	}
}

func BenchmarkPaint(b *testing.B) {
	scene := sceneAt(0, near(""))
	var p painter
	for b.Loop() {
		p.paint(1, scene, false, noVerdict)
	}
}

// TestBarePicture has a gate that tells outcomes only not say how warm anything in its picture is.
func TestBarePicture(t *testing.T) {
	var p painter
	if head, _ := split(t, p.paint(1, sceneAt(0), true, noVerdict)); head.LowCelsius != nil || head.HighCelsius != nil {
		t.Errorf("%v to %v °C", head.LowCelsius, head.HighCelsius)
	}
	v := view{bare: true, scene: *aimedAt(near(""))}
	if report := v.read(new(focus)); report.Hottest == nil || report.Hottest.Celsius != nil || report.Coldest.Celsius != nil {
		t.Errorf("hottest %+v, coldest %+v", report.Hottest, report.Coldest)
	}
	body := 36.6
	c := cue{verdict: &event.Event{ID: "x", Data: event.Data{Outcome: event.Pass, BodyCelsius: &body, ThresholdCelsius: &body}}}
	for _, bare := range []bool{false, true} {
		config := DefaultConfig()
		config.Page.Show, config.OutcomeOnly = ShowBody, bare
		if s := New(config).screenOf(c); s.ID != "x" || (s.Number == nil) != bare {
			t.Errorf("bare %v: the worker's page has %+v", bare, s)
		}
	}
}

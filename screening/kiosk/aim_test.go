package kiosk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/event"
)

var needs = event.Needs{FaceWidth: 18, MinReferenceRadius: 2.5, MaxReferenceRadius: 14.4}

// aimedAt is a scene of a gate with a reference source.
func aimedAt(people ...event.Person) *event.Scene {
	scene := sceneAt(0, people...)
	scene.Needs = needs
	return scene
}

// outOfFocus blurs the rows and columns of a scene by a box of so many pixels.
func outOfFocus(scene *event.Scene, box int) *event.Scene {
	image := scene.Image
	for _, step := range []int{1, image.Width, 1, image.Width} {
		before := append([]float32(nil), image.Celsius...)
		for i := range image.Celsius {
			var sum float32
			for j := range box {
				sum += before[min(max(i+(j-box/2)*step, 0), len(before)-1)]
			}
			image.Celsius[i] = sum / float32(box)
		}
	}
	return scene
}

func TestAdvice(t *testing.T) {
	alter := func(scene *event.Scene, change func(*event.Scene)) *event.Scene {
		change(scene)
		return scene
	}
	small := event.Person{ID: 1, Face: event.Box{X: 40, Y: 40, W: 12.4, H: 16}, Hint: event.TooFar}
	huge := event.Person{ID: 1, Face: event.Box{X: 20, Y: 20, W: 70, H: 100}}
	for _, test := range []struct {
		name  string
		scene *event.Scene
		want  string
	}{
		{"nobody", aimedAt(), "Have somebody stand where people will be measured"},
		{"out of focus", outOfFocus(aimedAt(near("")), 5), "Turn the lens until the sharpness is highest"},
		{"far away", aimedAt(small), "Move the camera nearer: the face is 12 pixels wide, 18 are needed"},
		{"too near", aimedAt(huge), "Move the camera back"},
		{"cut off", aimedAt(near(event.CutOff)), "Turn the camera until the whole face"},
		{"no reference", alter(aimedAt(near(event.ReferenceMissing)), func(s *event.Scene) {
			s.Reference = event.ReferenceSource{Problem: event.ReferenceMissing}
		}), "nothing before it, 5 to 28 pixels across"},
		{"a cold reference", alter(aimedAt(near(event.ReferenceUnstable)), func(s *event.Scene) { s.Reference.Problem = event.ReferenceUnstable }), "Wait until the reference source is steady"},
		{"a lamp", alter(aimedAt(near("")), func(s *event.Scene) { s.Image.Celsius[119] = 80 }), "Something of 82 °C is in the picture (top right)"},
		{"a hot reference", alter(aimedAt(near("")), func(s *event.Scene) {
			s.Image.Celsius[int(s.Reference.Y)*120+int(s.Reference.X)] = 80
		}), "The camera stands well"},
		{"a scarf", aimedAt(near(event.TurnedAway)), "Face the camera"},
		{"no temperatures", alter(aimedAt(near("")), func(s *event.Scene) { s.Image.Relative = true }), "Use one that measures"},
		{"all well", aimedAt(near("")), "The camera stands well"},
	} {
		v := &view{words: readDictionary(), number: 1, taken: time.Now(), scene: *test.scene}
		report := v.read(&focus{})
		if !strings.Contains(report.Advice.EN, test.want) || report.Advice.ZH == "" {
			t.Errorf("%s: %+v", test.name, report.Advice)
		}
		if report.Done != strings.HasPrefix(report.Advice.EN, "The camera stands well") {
			t.Errorf("%s: done is %v", test.name, report.Done)
		}
	}
}

func TestFocusRemembersTheBest(t *testing.T) {
	var f focus
	var at time.Time
	turn := func(sharpness float64) (now, best float64) {
		for range 10 {
			at = at.Add(viewInterval)
			now, best = f.add(sharpness, at)
		}
		return now, best
	}
	turn(20)
	turn(50)
	if now, best := turn(30); now > 31 || best < 49 {
		t.Errorf("turned past the best: %.1f, best %.1f", now, best)
	}
	at = at.Add(bestMemory)
	if _, best := turn(30); best > 31 {
		t.Errorf("a best of long ago: %.1f", best)
	}
	at = at.Add(time.Minute)
	if now, best := f.add(12, at); now != 12 || best != 12 {
		t.Errorf("somebody else begins with %.1f, best %.1f", now, best)
	}
}

// TestAimingCostsNothingUnwatched also bounds what it costs with many pages.
func TestAimingCostsNothingUnwatched(t *testing.T) {
	k, server := serve(t, DefaultConfig())
	k.Show(aimedAt(near("")))
	if k.aiming.newest != nil {
		t.Error("a frame is copied for nobody")
	}
	answers, began := make(chan aimReport), time.Now()
	for range 3 {
		go func() {
			response, err := http.Get(server.URL + "/aim")
			if err != nil {
				t.Error(err)
			}
			defer response.Body.Close()
			var report aimReport
			if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
				t.Error(err)
			}
			answers <- report
		}()
	}
	for range 3 {
		for waiting := true; waiting; {
			select {
			case report := <-answers:
				if report.Number < 1 || report.Number > k.aiming.views || report.Face.Width == nil || *report.Face.Width != 40 {
					t.Errorf("%+v", report)
				}
				waiting = false
			default:
				k.Show(aimedAt(near("")))
			}
		}
	}
	if took := time.Since(began); k.aiming.views > 1+uint64(took/viewInterval) {
		t.Errorf("%d frames were copied within %v", k.aiming.views, took)
	}
	if response := get(t, fmt.Sprint(server.URL, "/aim?after=", k.aiming.views), nil); response.StatusCode != http.StatusNoContent { // no other frame comes
		t.Errorf("answered with %s", response.Status)
	}
}

func TestCameraIsPutUp(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	advice := func(text string) string {
		return `document.getElementById("advice").textContent.includes("` + text + `")`
	}
	for _, lang := range []string{"zh", "en"} {
		for _, size := range [][2]int64{{390, 844}, {1280, 800}} {
			g.scenes <- outOfFocus(aimedAt(near("")), 5)
			do(t, tab, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate("http://"+g.address+"/status?lang="+lang))
			waitFor(t, tab, "not yet", `document.getElementById("aim").hidden && !document.getElementById("aim-start").hidden`)
			do(t, tab, chromedp.Click("#aim-start"))
			waitFor(t, tab, "out of focus", advice(map[string]string{"zh": "镜头", "en": "Turn the lens"}[lang])+` && document.getElementById("aim-sharpness").dataset.ok === "false"`)
			g.scenes <- aimedAt(event.Person{ID: 1, Face: event.Box{X: 40, Y: 40, W: 12, H: 16}, Hint: event.TooFar})
			waitFor(t, tab, "too far", advice(map[string]string{"zh": "人脸宽 12 像素，需要 18 像素", "en": "the face is 12 pixels wide, 18 are needed"}[lang]))
			excess := ask(t, tab, chromedp.Evaluate[int](`Math.max(document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight - 40)`))
			if excess > 0 {
				t.Errorf("%s on %d×%d: %d px beyond the screen", lang, size[0], size[1], excess)
			}
			keep(t, tab, "aim-"+lang+"-"+map[int64]string{390: "phone", 1280: "desktop"}[size[0]])
			g.scenes <- aimedAt(near(""))
			waitFor(t, tab, "all well", advice(map[string]string{"zh": "位置合适", "en": "stands well"}[lang])+` && document.getElementById("advice").dataset.done === "true"`)
			waitFor(t, tab, "the figures", `document.getElementById("aim-face").innerText.match(/40 (px|像素)/) && document.getElementById("aim-reference").dataset.ok === "true"`)
			do(t, tab, chromedp.Click("#aim-end"))
			waitFor(t, tab, "done", `document.getElementById("aim").hidden && document.getElementById("states").offsetHeight > 0`)
		}
	}
	do(t, tab, chromedp.Navigate("http://"+g.address+"/status?lang=en#aim"))
	waitFor(t, tab, "by its address", advice("stands well"))
	g.SetCamera(event.CameraLost)
	waitFor(t, tab, "no camera", advice("There is no picture"))
}

// keep stores a picture of the page where `go test -artifacts` keeps it.
func keep(t *testing.T, tab context.Context, name string) {
	t.Helper()
	picture := ask(t, tab, chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

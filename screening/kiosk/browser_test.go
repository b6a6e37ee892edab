package kiosk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"thermogate/screening/event"
	"thermogate/screening/listen"
	"thermogate/testdata"
)

// browser starts a Chromium of its own; tabs of it end with the test.
func browser(t *testing.T, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("skipped, chromium is not installed (Debian package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(t, ctx, chromedp.Navigate("about:blank"))
	return ctx
}

// gate serves a Kiosk and shows it a scene ten times a second, as a real gate does.
type gate struct {
	*Kiosk
	address string
	scenes  chan *event.Scene
	stop    func()
	release func() // from a hold
}

// startGate listens on address, one that is the test's where it is empty.
func startGate(t *testing.T, address string) *gate {
	t.Helper()
	if address == "" {
		address = testdata.FreeAddress(t)
	}
	return startGateWith(t, listen.Config{Listen: address}, func(pages http.Handler) http.Handler { return pages })
}

// startGateWith has a guard of its own before its pages.
func startGateWith(t *testing.T, config listen.Config, guard func(http.Handler) http.Handler) *gate {
	t.Helper()
	return startPages(t, DefaultConfig(), config, guard)
}

// startPages has pages that are not the usual ones.
func startPages(t *testing.T, pages Config, config listen.Config, guard func(http.Handler) http.Handler) *gate {
	t.Helper()
	listener, err := listen.Open(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Kiosk: New(pages), address: listener.Addr().String(), scenes: make(chan *event.Scene)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = listener.Serve(ctx, guard(g.Kiosk)) })
	running.Go(func() { g.play(ctx) })
	g.stop = func() { cancel(); g.Close(); running.Wait() }
	t.Cleanup(g.stop)
	g.SetCamera(event.CameraOK)
	return g
}

func (g *gate) play(ctx context.Context) {
	frames := time.NewTicker(100 * time.Millisecond)
	defer frames.Stop()
	scene := sceneAt(0)
	for {
		select {
		case scene = <-g.scenes:
		case <-frames.C:
		case <-ctx.Done():
			return
		}
		if scene != nil {
			scene.Captured = time.Now()
			g.Show(scene)
		}
	}
}

// waitFor waits until a JavaScript expression is true.
func waitFor(t *testing.T, tab context.Context, what, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()
	poll := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(time.Minute))
	_, err := chromedp.Run(ctx, poll)
	for err != nil && (strings.Contains(err.Error(), "Cannot find context") || strings.Contains(err.Error(), "navigated")) { // of a page that has just been replaced
		_, err = chromedp.Run(ctx, poll)
	}
	if err != nil {
		text, _ := chromedp.Run(tab, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("%s: %v; the page says:\n%s", what, err, text)
	}
}

func do(t *testing.T, tab context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, steps...); err != nil {
		t.Fatal(err)
	}
}

// ask returns what an action finds.
func ask[T any](t *testing.T, tab context.Context, action chromedp.Action[T]) T {
	t.Helper()
	answer, err := chromedp.Run(tab, action)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func says(first, second string) string {
	return `document.getElementById("head").textContent === "` + first + `" && document.getElementById("second-head").textContent === "` + second + `"`
}

const pictureShown = `!document.getElementById("stage").hidden && document.getElementById("picture").getContext("2d").getImageData(0, 0, 1, 1).data[3] === 255`
const pictureGone = `document.getElementById("stage").hidden`

func TestPageSpeaksBothLanguages(t *testing.T) {
	tab := browser(t)
	tests := []struct {
		name    string
		scene   *event.Scene
		verdict *event.Event
		want    phrase
		tone    tone
	}{
		{"nobody", sceneAt(0), nil, phrase{"请走近，看镜头", "Step up and look at the camera"}, toneIdle},
		{"too far", sceneAt(0, far(event.TooFar)), nil, phrase{"请再走近一点", "Come a little closer"}, toneGuide},
		{"covered", sceneAt(0, near(event.Covered)), nil, phrase{"请拨开头发，露出额头和眼睛", "Move hair off eyes and forehead"}, toneGuide},
		{"measuring", sceneAt(0, near("")), nil, phrase{"正在测温，请别动", "Measuring, hold still"}, toneMeasuring},
		{"pass", sceneAt(0, near("")), passed("P"), phrase{"体温正常，请进", "Temperature normal, please go in"}, tonePass},
		{"inconclusive", sceneAt(0, near("")), verdict("I", event.Inconclusive, event.Moving),
			phrase{"没有测准，请再试一次", "Not measured, try again"}, toneInconclusive},
		{"alert", sceneAt(0, near("")), alerted("A"), phrase{"请到旁边稍候", "Please step aside"}, toneAlert},
	}
	for _, lang := range []string{"zh", "en"} {
		g := startGate(t, "")
		do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang="+lang))
		for _, test := range tests {
			if test.verdict != nil {
				test.scene.People[0].Event = test.verdict
				test.scene.People[0].Admitted = test.verdict.Data.Outcome == event.Pass
			}
			g.scenes <- test.scene
			if test.verdict != nil {
				g.Verdict(*test.verdict)
			}
			first, second := test.want.ZH, test.want.EN
			if lang == "en" {
				first, second = second, first
			}
			waitFor(t, tab, lang+" "+test.name, says(first, second)+` && document.body.dataset.tone === "`+string(test.tone)+`"`)
			waitFor(t, tab, lang+" "+test.name+": picture", pictureShown)
			wantNumber := test.verdict != nil && test.verdict.Data.BodyCelsius != nil
			number := ask(t, tab, chromedp.TextContent("#number"))
			if got := strings.Contains(number, "36.02\u00a0°C") && strings.Contains(number, "37.50\u00a0°C"); got != wantNumber {
				t.Errorf("%s %s: the temperature reads %q", lang, test.name, number)
			}
		}
		g.stop()
	}
}

func TestNoPictureWithoutAFreshOne(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "camera works", pictureShown)

	g.SetCamera(event.CameraStalled)
	waitFor(t, tab, "camera stalled", pictureGone+` && document.getElementById("head").textContent === "Picture stuck, recovering"`)
	g.SetCamera(event.CameraOK)
	waitFor(t, tab, "camera is back", pictureShown)

	g.scenes <- nil // the loop hangs and nobody says so
	waitFor(t, tab, "loop hangs", pictureGone+` && document.getElementById("head").textContent === "Picture stuck, recovering"`)
	g.scenes <- sceneAt(0)
	waitFor(t, tab, "loop moves again", pictureShown)
}

func TestPagesComeBackAfterTheGateRestarts(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "first start", pictureShown)
	g.stop()
	waitFor(t, tab, "gate is down", pictureGone+` && document.getElementById("head").textContent === "Connection lost, reconnecting"`)
	startGate(t, g.address)
	waitFor(t, tab, "gate is back", pictureShown+` && document.getElementById("head").textContent === "Step up and look at the camera"`)
}

func TestStatusShowsVerdicts(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	for range HistoryLength {
		g.Verdict(*passed("P"))
	}
	g.Verdict(*verdict("I", event.Inconclusive, event.Covered))
	g.SetBroker(true, 3)
	do(t, tab, chromedp.Navigate("http://"+g.address+"/status?lang=en"))
	waitFor(t, tab, "history", `document.querySelectorAll("#verdicts tr").length === 50`)
	waitFor(t, tab, "newest first", `document.querySelector("#verdicts tr").innerText.includes("Inconclusive")`)
	waitFor(t, tab, "broker", `document.getElementById("broker").innerText.includes("connected · 3 waiting")`)
	if hidden := ask(t, tab, chromedp.Evaluate[bool](`document.getElementById("door").hidden`)); !hidden {
		t.Error("a gate without a door shows one")
	}
	g.SetDoor(errors.New("the coil refuses"))
	waitFor(t, tab, "a door that fails", `document.getElementById("door").innerText.includes("does not obey · the coil refuses")`)
	g.SetDoor(nil)
	waitFor(t, tab, "a door that works", `document.getElementById("door").innerText.includes("works")`)
	waitFor(t, tab, "a journal that works", `document.getElementById("journal").innerText.includes("on disk")`)
	g.SetJournal(errors.New("no room left"), false)
	waitFor(t, tab, "a journal that fails", `document.getElementById("journal").innerText.includes("not on disk · no room left")`)
	row := ask(t, tab, chromedp.Text("#verdicts tr:last-child"))
	for _, want := range []string{"Pass", "below the threshold", "34.62 ± 0.41 °C", "inner canthus", "+1.50", "+1.40", "37.50", "0.55 s"} {
		if !strings.Contains(row, want) {
			t.Errorf("row %q lacks %q", row, want)
		}
	}
	row = ask(t, tab, chromedp.Text("#verdicts tr:first-child"))
	if strings.Contains(row, "0.00") {
		t.Errorf("row %q gives a number for what was not measured", row)
	}
}

func TestStatusShowsVerdictsFromBeforeTheStart(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	g.Resume(*alerted("A"))
	do(t, tab, chromedp.Navigate("http://"+g.address+"/status?lang=en"))
	waitFor(t, tab, "a verdict of another day", `document.querySelector("#verdicts tr")?.innerText.match(/02\/03.*Alert/s)`)
	g.Verdict(*passed("P"))
	waitFor(t, tab, "a fresh one above it", `document.querySelector("#verdicts tr").innerText.includes("Pass")`)
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "what the worker sees", `document.body.dataset.tone !== "alert"`)
}

func TestPausedGateSendsPeopleToTheGuard(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=zh"))
	g.scenes <- sceneAt(0, near(""))
	waitFor(t, tab, "before the pause", says("正在测温，请别动", "Measuring, hold still"))
	g.SetPaused(time.Now().Add(time.Hour))
	g.Verdict(*passed("P")) // was under way
	waitFor(t, tab, "paused", says("测温已暂停", "Screening is paused")+` && document.body.innerText.includes("请找工作人员")`)
	if hidden := ask(t, tab, chromedp.Evaluate[bool](`document.getElementById("stage").offsetWidth === 0`)); !hidden {
		t.Error("a live picture is shown")
	}
	g.SetCamera(event.CameraLost)
	g.SetCamera(event.CameraOK)
	do(t, tab, chromedp.Navigate("http://"+g.address+"/status?lang=en"))
	waitFor(t, tab, "status page", `document.getElementById("paused").innerText.match(/goes on by itself at .*\d\d:\d\d/)`)
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=zh"))
	waitFor(t, tab, "still paused", says("测温已暂停", "Screening is paused"))
	g.SetPaused(time.Time{})
	waitFor(t, tab, "after the pause", says("正在测温，请别动", "Measuring, hold still"))
}

func TestPagesFitTheirScreens(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	g.Verdict(*verdict("I", event.Inconclusive, event.BaselineShift))
	g.Verdict(*alerted("A"))
	g.Verdict(*passed("P"))
	scene := sceneAt(0, near(event.Covered))
	scene.Group = event.BaselineShift
	g.scenes <- scene
	for _, path := range []string{"/?lang=zh", "/?lang=en", "/status?lang=zh", "/status?lang=en"} {
		for _, width := range []int64{320, 390, 1000, 1024, 1280} {
			do(t, tab, chromedp.EmulateViewport(width, 844), chromedp.Navigate("http://"+g.address+path))
			waitFor(t, tab, path, `document.querySelector("canvas").offsetWidth > 100`)
			if strings.HasPrefix(path, "/status") {
				waitFor(t, tab, "what everybody reads", `/重新学习|Learn anew/.test(document.getElementById("group").innerText)`)
			}
			excess := ask(t, tab, chromedp.Evaluate[int](`Math.max(document.documentElement.scrollWidth - innerWidth,
				...[...document.querySelectorAll("section")].map((s) => s.scrollWidth - s.clientWidth))`))
			if excess > 0 {
				t.Errorf("%s is %d px too wide for a screen of %d px", path, excess, width)
			}
		}
	}
}

// TestNamesFitThePage has the longest words on the screens that stand at gates.
func TestNamesFitThePage(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	bob := alerted("B")
	g.scenes <- sceneAt(0, done(left(""), bob), right(""))
	g.Verdict(*bob)
	for _, lang := range []string{"zh", "en"} {
		for _, size := range [][2]int64{{390, 844}, {1080, 1920}, {1280, 720}, {1920, 1080}} {
			do(t, tab, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate("http://"+g.address+"/?lang="+lang))
			waitFor(t, tab, "the alert", pictureShown+` && document.body.dataset.tone === "alert"`)
			for _, part := range []string{"main", "#icon", "#head", "#sub", "#second-head", "#second-sub", "#number"} {
				inside := ask(t, tab, chromedp.Evaluate[bool](`(() => { const b = document.querySelector("`+part+`").getBoundingClientRect();
					return b.top >= 0 && b.left >= 0 && b.bottom <= innerHeight && b.right <= innerWidth })()`))
				if !inside {
					t.Errorf("%s on %d×%d: %s reaches out of the page", lang, size[0], size[1], part)
				}
			}
		}
	}
	wantNames := says("On the right: please step aside", "右边的人，请到旁边稍候")
	waitFor(t, tab, "the name", wantNames)
}

func TestPagesRunCleanUnderTheirPolicy(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	_, err := chromedp.Run(tab, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `window.complaints = [];
				addEventListener("securitypolicyviolation", (e) => complaints.push(e.violatedDirective + " " + e.blockedURI));
				addEventListener("error", (e) => complaints.push(e.message));`})
		return chromedp.Void{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/status"} {
		do(t, tab, chromedp.Navigate("http://"+g.address+path))
		waitFor(t, tab, path, `document.querySelector("canvas").offsetWidth > 100`)
		if complaints := ask(t, tab, chromedp.Evaluate[[]string]("complaints")); len(complaints) > 0 {
			t.Errorf("%s: %q", path, complaints)
		}
	}
}

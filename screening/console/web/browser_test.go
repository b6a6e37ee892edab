package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	pages "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

// tab is a tab of a Chromium of its own, which ends with the test.
type tab struct {
	t   testing.TB
	c   *console
	ctx context.Context
}

// The sizes of a phone, a tablet and a desktop.
var phone, tablet, desktop = [2]int64{390, 844}, [2]int64{820, 1180}, [2]int64{1440, 900}

func (c *console) browser(size [2]int64) *tab {
	c.t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		c.t.Skip("skipped, chromium is not installed (Debian package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.UserDataDir(c.t.TempDir()), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("mute-audio", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	c.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	c.t.Cleanup(cancel)
	b := &tab{c.t, c, ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank"), chromedp.EmulateViewport(size[0], size[1])); err != nil {
		c.t.Fatal(err)
	}
	_, err = chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, pages.AddScriptToEvaluateOnNewDocument, pages.AddScriptToEvaluateOnNewDocumentParams{
			Source: `window.complaints = [];
				addEventListener("securitypolicyviolation", (e) => complaints.push(e.violatedDirective + " " + e.blockedURI));
				window.tones = []; // that were rung
				const start = OscillatorNode.prototype.start;
				OscillatorNode.prototype.start = function (at) { tones.push(this.frequency.value); return start.call(this, at); };
				window.sounding = false; // the browser lets the page sound
				const resume = AudioContext.prototype.resume;
				AudioContext.prototype.resume = function () { return resume.call(this).then(() => { sounding = true; }); };
				addEventListener("error", (e) => complaints.push(e.message));
				addEventListener("unhandledrejection", (e) => complaints.push(String(e.reason)));`})
		return chromedp.Void{}, err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v; the page says:\n%s", err, b.text())
	}
}

func (b *tab) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	return text
}

// wait waits until a JavaScript expression is true, over pages that go and come.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if is {
			return
		}
		select {
		case <-time.After(30 * time.Millisecond):
		case <-ctx.Done():
			b.t.Fatalf("%s: %v; the page says:\n%s", what, err, b.text())
		}
	}
}

// says waits until the page has a text.
func (b *tab) says(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.wait(text, `document.readyState === "complete" && document.body.innerText.includes(`+string(quoted)+`)`)
}

func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.c.server.URL + path))
}

func (b *tab) fill(field, value string) {
	b.t.Helper()
	b.fillIn(`input[name="`+field+`"]`, value)
}

// fillIn types into the field that a selector finds.
func (b *tab) fillIn(selector, value string) {
	b.t.Helper()
	b.wait(selector, `((field) => { field.value = ""; field.focus(); return field === document.activeElement; })(document.querySelector(`+strconv.Quote(selector)+`))`)
	b.do(chromedp.KeyEvent(value))
}

// click presses what a selector finds, again where that was just made anew, or not painted yet, and lets go once it is pressed.
func (b *tab) click(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	find := `document.querySelector(` + strconv.Quote(selector) + `)`
	mouse := func(what input.DispatchMouseEventType, x, y float64) {
		b.t.Helper()
		b.do(chromedp.MouseEvent(what, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	}
	for ctx.Err() == nil {
		b.wait(selector, find+`?.checkVisibility()`)
		at, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](`((found) => {
			found.scrollIntoViewIfNeeded();
			const { x, y, width, height } = found.getClientRects()[0];
			return [x + width / 2, y + height / 2];
		})(`+find+`)`))
		if err != nil {
			continue
		}
		mouse(chromedp.MousePressed, at[0], at[1])
		if pressed, _ := chromedp.Run(ctx, chromedp.Evaluate[bool](find+`?.matches(":active") ?? false`)); pressed {
			mouse(chromedp.MouseReleased, at[0], at[1])
			return
		}
		mouse(chromedp.MouseReleased, 0, 0) // where it clicks nothing
	}
	b.t.Fatalf("%s can't be pressed; the page says:\n%s", selector, b.text())
}

func (b *tab) logIn(name, password, lang string) {
	b.t.Helper()
	b.open("/login?lang=" + lang)
	b.fill("name", name)
	b.fill("password", password)
	b.click("main button")
	b.wait("logged in", `location.pathname !== "/login" && document.readyState === "complete"`)
}

// paint has the browser ask for light or dark pages.
func (b *tab) paint(dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// screenshots is where the pictures of pages are kept, for people to look at.
const screenshots = "../../../bin/screenshots"

// shoot keeps a picture of the page.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if complaints := evaluate[[]string](b, "window.complaints ?? []"); len(complaints) > 0 {
		b.t.Errorf("%s: %q", name, complaints)
	}
	if excess := evaluate[int](b, "document.documentElement.scrollWidth - innerWidth"); excess > 0 {
		b.t.Errorf("%s is %d px wider than its screen", name, excess)
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(screenshots, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(screenshots, name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// accessible looks for what keeps people from using the page.
func (b *tab) accessible(name string) {
	b.t.Helper()
	script, err := testdata.AxeCore()
	if err != nil {
		b.t.Logf("SKIPPED: accessibility is not checked, axe-core can't be had: %v", err)
		return
	}
	evaluate[bool](b, script+`; window.found = null;
		document.getAnimations().forEach((animation) => animation.finish());
		axe.run({ resultTypes: ["violations"] }).then((result) => {
			window.found = result.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
				.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 120) + " " + n.failureSummary.slice(0, 200)).slice(0, 2).join(" | "));
		}); true`)
	b.wait("axe-core", "window.found !== null")
	for _, violation := range evaluate[[]string](b, "window.found") {
		b.t.Errorf("%s: %s", name, violation)
	}
}

func TestBrowserFirstLogIn(t *testing.T) {
	c := start(t)
	b := c.browser(desktop)
	b.open("/?lang=en")
	b.wait("the log-in", `location.pathname === "/login"`)
	b.logIn("admin", c.once, "en")
	b.says("First, choose a password of your own")
	b.open("/history") // nothing else before that
	b.says("First, choose a password of your own")
	b.shoot("first-password")
	b.fill("old", c.once)
	b.fill("password", "correct horse battery")
	b.fill("again", "correct horse battery")
	b.click("main button")
	b.says("There are no gates yet")
	b.click(`nav a[href="/admin/accounts"]`)
	b.says("A new account")
	b.fill("name", "lina")
	b.fill("full", "李娜")
	b.click(`form[action="/admin/accounts/add"] button`)
	b.says("the password for the next log-in")
	b.shoot("accounts")
	once := evaluate[string](b, `document.getElementById("once").textContent`)
	guard := c.browser(phone)
	guard.logIn("lina", once, "zh")
	guard.says("请先设一个自己的密码")
}

// TestBrowserAlertToItsEnd goes the whole way of an alert on a phone, in both languages.
func TestBrowserAlertToItsEnd(t *testing.T) {
	for lang, say := range map[string]struct{ none, toDo, fever string }{
		"zh": {"没有告警", "条告警待处理", "建议确认发热"},
		"en": {"No alerts", "to see to", "it looks like a fever"},
	} {
		t.Run(lang, func(t *testing.T) {
			c := start(t)
			c.online(north, south)
			b := c.browser(phone)
			b.logIn("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}), lang)
			b.says(say.none)
			b.wait("the sound is to be tested", `!document.getElementById("sound").hidden`)
			b.shoot("now-untested-" + lang)
			b.click("#test-sound")
			b.wait("it asks", `!document.getElementById("heard").hidden`)
			b.click("#heard")
			b.wait("the sound is on", `document.getElementById("sound").hidden`)
			b.wait("a page sounds", `!document.querySelector("[data-part=gates] .bar")`)
			c.add(north, time.Now(), event.Pass, event.BelowThreshold, func(d *event.Data) { d.Face = &event.Box{X: 10, W: 30} })
			id := c.alert(north, func(d *event.Data) { d.Worn = []event.Garment{event.Glasses, event.Mask} })
			begin := time.Now()
			b.says(say.toDo)
			t.Logf("the alert is on the page after %v", time.Since(begin).Round(time.Millisecond))
			b.wait("the title", `document.title.startsWith("(1) ")`)
			b.shoot("now-alert-" + lang)
			b.do(chromedp.Sleep(settle))
			b.click("#take-" + id)
			b.wait("the alert's page", `location.pathname === "/alerts/`+id+`" && document.querySelector("[name=value]") !== null`)
			b.shoot("alert-taken-" + lang)
			b.fill("value", "38.2")
			b.fill("thermometer", "T-17")
			b.click(".reading button.main")
			b.says(say.fever)
			b.shoot("alert-read-" + lang)
			b.click(`button[value="confirmed"]`)
			b.wait("closed", `document.querySelector("article.closed") !== null`)
			b.shoot("alert-closed-" + lang)
			b.open("/history?state=confirmed")
			b.wait("the history", `document.readyState === "complete" && document.querySelectorAll("tbody tr").length === 1`)
			b.shoot("history-" + lang)
			b.click("table a")
			b.wait("the evidence", `location.pathname.startsWith("/events/") && document.querySelector(".scale .reading") !== null`)
			b.shoot("event-" + lang)
			a, changes, err := c.store.Alert(t.Context(), id)
			if err != nil || a.Outcome != mqtt.Confirmed || len(changes) != 3 || changes[1].Reading.Thermometer != "T-17" {
				t.Errorf("at the end %+v, %+v, %v", a, changes, err)
			}
		})
	}
}

// settle is for how long a button that has just appeared takes no tap.
const settle = 450 * time.Millisecond

func TestBrowserTwoGuards(t *testing.T) {
	c := start(t)
	c.online(north)
	id := c.alert(north)
	first, second := c.browser(desktop), c.browser(phone)
	first.logIn("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}), "en")
	second.logIn("wang", c.account("wang", "Wang Wei", store.Guard, mqtt.Gate{}), "en")
	second.says("to see to")
	evaluate[bool](second, `(document.body.append(document.querySelector("#take-`+id+`").form.cloneNode(true)), true)`)
	first.click("#take-" + id)
	first.says("It is yours")
	second.says("taken · Li Na") // by itself
	evaluate[bool](second, `(document.querySelector("body > form button").click(), true)`)
	second.says("Li Na was first")
	second.shoot("conflict")
	second.says("Take it over")
	second.click(`form[action$="/take"] button`)
	second.says("It is yours")
	first.says("taken · Wang Wei")
	other := c.alert(north)
	first.open("/alerts/" + other)
	first.click(`form[action$="/take"] button`)
	first.says("It is yours")
	first.click(`form[action$="/undo"] button`)
	first.wait("new again", `document.querySelector("article.new") !== null`)
}

// takenAlert has a guard take an alert, and returns its page and its event.
func takenAlert(t *testing.T, size [2]int64) (c *console, b *tab, id string) {
	t.Helper()
	c = start(t)
	c.online(north)
	id = c.alert(north)
	return c, c.guardTakes(id, size, "lina", "Li Na"), id
}

// guardTakes has a guard log in and take an alert, whoever had it.
func (c *console) guardTakes(id string, size [2]int64, login, name string) *tab {
	b := c.browser(size)
	b.logIn(login, c.account(login, name, store.Guard, mqtt.Gate{}), "en")
	b.open("/alerts/" + id)
	b.click(`form[action$="/take"] button`)
	b.says("It is yours")
	return b
}

// TestBrowserChosenPlace has another alert come in while a guard has chosen where they measure, and typed no reading yet.
func TestBrowserChosenPlace(t *testing.T) {
	c, b, id := takenAlert(t, desktop)
	evaluate[bool](b, `(document.querySelector("[name=place]:not(:checked)").click(), true)`)
	chosen := evaluate[string](b, `document.querySelector("[name=place]:checked").value`)
	c.alert(south)
	b.wait("the other alert", `document.getElementById("count-alerts").textContent === "2" && (window.since ??= Date.now())`)
	b.wait("time in which the page would be made anew", `Date.now() - window.since > 1500`)
	b.fill("value", "38.2")
	b.click(".reading button.main")
	b.says("it looks like a fever")
	_, changes, err := c.store.Alert(t.Context(), id)
	if err != nil || len(changes) != 2 || changes[1].Reading.Place != chosen {
		t.Errorf("measured at %q, kept %+v, %v", chosen, changes, err)
	}
}

// TestBrowserRefusedReading has a reading refused, and another alert come in before it is put right.
func TestBrowserRefusedReading(t *testing.T) {
	c, b, id := takenAlert(t, phone)
	b.fill("thermometer", "T7")
	evaluate[bool](b, `(document.querySelector("[name=place][value=forehead]").click(), document.querySelector("[name=unit][value='°F']").click(), true)`)
	b.fill("value", "1008")
	b.click(".reading button.main")
	b.says("A reading is between")
	c.alert(south)
	b.wait("the other alert", `document.getElementById("count-alerts").textContent === "2" && (window.since ??= Date.now())`)
	b.wait("time in which the page would be made anew", `Date.now() - window.since > 1500`)
	if value := evaluate[string](b, `document.querySelector("[name=value]").value`); value != "1008" {
		t.Errorf("what was refused is %q now", value)
	}
	b.fill("value", "100.8")
	b.click(".reading button.main")
	b.says("it looks like a fever")
	_, changes, err := c.store.Alert(t.Context(), id)
	if err != nil || len(changes) != 2 || changes[1].Reading.Place != store.Forehead || changes[1].Reading.Unit != "°F" || changes[1].Reading.Thermometer != "T7" {
		t.Errorf("kept %+v, %v", changes, err)
	}
}

// TestBrowserOutdatedForm has a guard choose where they measure while the same person is before the gate again, and then look away
// while another takes the alert over.
func TestBrowserOutdatedForm(t *testing.T) {
	c, b, id := takenAlert(t, phone)
	evaluate[bool](b, `(document.querySelector("[name=place]:not(:checked)").click(), true)`)
	c.alert(north, func(d *event.Data) { d.RescreenOf = id })
	c.alert(south)
	b.wait("the other alert", `document.getElementById("count-alerts").textContent === "2" && (window.since ??= Date.now())`)
	b.wait("time in which the page would say so", `Date.now() - window.since > 1500`)
	if evaluate[bool](b, `document.body.innerText.includes("This alert has changed")`) {
		t.Error("an alert that nobody touched is said to have changed")
	}
	c.guardTakes(id, desktop, "wang", "Wang Wei")
	b.says("This alert has changed")
	b.shoot("outdated")
	b.accessible("outdated")
	b.click(".outdated a")
	b.says("taken · Wang Wei")
}

// TestBrowserLostRequest has a page whose first question for what is new is never answered, and whose second comes back under
// a finger.
func TestBrowserLostRequest(t *testing.T) {
	c := start(t)
	c.online(north)
	b := c.browser(desktop)
	b.logIn("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}), "en")
	id := c.alert(north)
	b.open("/alerts/" + id)
	evaluate[bool](b, `(() => {
		const ask = window.fetch;
		window.asked = 0;
		window.fetch = async (address, options) => {
			asked += 1;
			if (asked === 1) return new Promise((_, fail) => options.signal?.addEventListener("abort", () => fail(options.signal.reason)));
			const answer = await ask(address, options);
			if (asked === 2) dispatchEvent(new PointerEvent("pointerdown", { button: 0 }));
			return answer;
		};
		return true;
	})()`)
	c.guardTakes(id, phone, "wang", "Wang Wei")
	b.says("Wang Wei")
}

// TestBrowserFocusStays has another alert come in before a guard has typed the first figure: what they type goes where it would have.
func TestBrowserFocusStays(t *testing.T) {
	c, b, _ := takenAlert(t, phone)
	for _, field := range []string{"[name=value]", "[name=place][value=mouth]", "button[value=gone]"} {
		quoted := strconv.Quote(field)
		b.wait("the focus", `((field) => { field.focus(); document.querySelector("article").aged = true; return field === document.activeElement; })(document.querySelector(`+quoted+`))`)
		c.alert(south)
		b.wait("the page made anew", `!document.querySelector("article").aged`)
		if !evaluate[bool](b, `document.activeElement === document.querySelector(`+quoted+`)`) {
			t.Errorf("%s had the focus, now %s has", field, evaluate[string](b, "document.activeElement.outerHTML.slice(0, 100)"))
		}
	}
}

// TestBrowserOvertaken has an alert change before its page has heard of any, and while the page asks how it stands.
func TestBrowserOvertaken(t *testing.T) {
	c := start(t)
	c.online(north)
	heard := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			<-heard
		}
		c.pages.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	c.server.URL = front.URL
	id := c.alert(north)
	b := c.guardTakes(id, desktop, "lina", "Li Na")
	take := func(version int64, who string) {
		t.Helper()
		if _, err := c.store.Take(t.Context(), id, version, who, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	take(1, "Wang Wei")
	for {
		now, changed := c.pages.newest()
		if now.alerts[0].TakenBy == "Wang Wei" {
			break
		}
		<-changed
	}
	close(heard)
	b.says("taken · Wang Wei")
	evaluate[bool](b, `(() => {
		const ask = window.fetch;
		window.fetch = async (address, options) => {
			const answer = await ask(address, options);
			if (!window.answer && String(address).includes("part=alert")) await new Promise((resolve) => { window.answer = resolve; });
			return answer;
		};
		return true;
	})()`)
	take(2, "Chen Jie")
	b.wait("the page asks", "window.answer")
	take(3, "Zhao Min")
	c.alert(south)
	b.wait("the other alert", `document.getElementById("count-alerts").textContent === "2"`)
	evaluate[bool](b, "(answer(), true)")
	b.says("taken · Zhao Min")
}

// TestBrowserOverdue has an alert that was taken and not followed up.
func TestBrowserOverdue(t *testing.T) {
	c := start(t)
	c.online(north)
	id := c.alert(north)
	b := c.browser(desktop)
	b.logIn("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}), "zh")
	if _, err := c.store.Take(t.Context(), id, 0, "王伟", time.Now().Add(-4*time.Minute)); err != nil {
		t.Fatal(err)
	}
	b.says("王伟")
	if _, err := c.store.Escalate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	b.says("超时无人处理")
	b.shoot("overdue")
}

// TestBrowserBarUnderAFinger presses a link until the bar above it has no reason any more, and releases it there.
func TestBrowserBarUnderAFinger(t *testing.T) {
	c := start(t)
	c.online(north)
	b := c.browser(desktop)
	b.logIn("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}), "en")
	b.open("/gates?lang=en")
	b.wait("the sound is muted", `!document.getElementById("sound").hidden`)
	at := evaluate[[]float64](b, `(({ x, y }) => [x + 5, y + 5])(document.querySelector('main a[href="'+`+strconv.Quote(gateAddress(north))+`+'"]').getBoundingClientRect())`)
	b.do(chromedp.MouseEvent(chromedp.MousePressed, at[0], at[1], chromedp.ButtonLeft, chromedp.ClickCount(1)))
	b.wait("the sound is on", "sounding")
	b.do(chromedp.MouseEvent(chromedp.MouseReleased, at[0], at[1], chromedp.ButtonLeft, chromedp.ClickCount(1)))
	b.wait("the gate", `location.pathname === `+strconv.Quote(gateAddress(north)))
}

// TestBrowserEscalation has a manager, who watches no alerts, see and hear one that a guard took and did not follow up.
func TestBrowserEscalation(t *testing.T) {
	c := start(t)
	c.online(north, far)
	guard, manager := c.browser(phone), c.browser(desktop)
	guard.logIn("lina", c.account("lina", "李娜", store.Guard, north), "zh")
	manager.logIn("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{Site: north.Site}), "en")
	manager.click(`nav a[href="/load"]`)
	manager.says("the last 7 days")
	manager.click("main h1") // a browser may want a tap before it sounds
	manager.wait("the sound", `document.getElementById("sound").hidden`)
	const places = `[...document.querySelectorAll("nav a")].map((a) => a.offsetLeft).join()`
	before := evaluate[string](manager, places)
	other := c.alert(far) // none of theirs
	id := c.alert(north)
	guard.says("1 条告警待处理")
	guard.do(chromedp.Sleep(settle))
	guard.click("#take-" + id)
	guard.says("您在处理")
	manager.wait("the count", `document.getElementById("count-alerts").textContent === "1"`)
	if after := evaluate[string](manager, places); after != before {
		t.Errorf("the count moves the links that somebody may be about to click: %s, then %s", before, after)
	}
	if rung := evaluate[int](manager, "tones.length"); rung > 0 || !evaluate[bool](manager, `document.getElementById("escalated").hidden`) {
		t.Errorf("while the guard sees to it the manager hears %d tones", rung)
	}
	if escalated, err := c.store.Escalate(t.Context(), time.Now().Add(store.TakeLimit)); err != nil || len(escalated) != 2 {
		t.Fatalf("%d are escalated, %v", len(escalated), err)
	}
	manager.says("Nobody sees to an alert: 北门")
	manager.wait("it rings, louder", `tones.includes(990) && tones.includes(660)`)
	manager.shoot("escalated-manager")
	manager.accessible("escalated")
	if text := manager.text(); strings.Contains(text, far.Name) {
		t.Errorf("the manager is told of another site:\n%s", text)
	}
	guard.says("超时")
	guard.shoot("escalated-guard")
	manager.click("#escalated a")
	manager.says("not followed up: given back, and managers told")
	manager.click(`form[action$="/take"] button`)
	manager.says("It is yours")
	manager.open("/faults")
	manager.wait("it is over", `document.getElementById("escalated").hidden`)
	if a, _, err := c.store.Alert(t.Context(), other); err != nil || a.State != store.New || a.Escalated.IsZero() {
		t.Errorf("the other site's is %+v, %v", a, err)
	}
}

// TestTakeWhatHasEscalated has a guard take what went to the managers while they reached for it.
func TestTakeWhatHasEscalated(t *testing.T) {
	c := start(t)
	c.online(north)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	id := c.alert(north)
	if escalated, err := c.store.Escalate(t.Context(), time.Now().Add(store.TakeLimit)); err != nil || len(escalated) != 1 {
		t.Fatalf("%d are escalated, %v", len(escalated), err)
	}
	if status, body := b.post("/alerts/"+id+"/take", url.Values{"version": {"0"}}); status != http.StatusOK || !strings.Contains(body, "It is yours") {
		t.Errorf("%d\n%s", status, body)
	}
}

// TestBrowserTakeOverIsUndone gives an alert back to whom it was taken from.
func TestBrowserTakeOverIsUndone(t *testing.T) {
	c := start(t)
	c.online(north)
	id := c.alert(north)
	first, second := c.browser(desktop), c.browser(phone)
	first.logIn("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}), "en")
	second.logIn("wang", c.account("wang", "Wang Wei", store.Guard, mqtt.Gate{}), "en")
	first.click("#take-" + id)
	first.says("It is yours")
	second.open("/alerts/" + id)
	second.says("Take it over")
	second.click(`form[action$="/take"] button`)
	second.says("It is yours")
	first.says("taken · Wang Wei")
	if evaluate[bool](first, `document.querySelector('form[action$="/undo"]') !== null`) {
		t.Error("what somebody else did can be undone")
	}
	second.says("taken over")
	second.click(`form[action$="/undo"] button`)
	second.says("taken · Li Na")
	first.says("It is yours")
}

// TestBrowserProvider logs in and out with a company's account.
func TestBrowserProvider(t *testing.T) {
	_, c := company(t)
	b := c.browser(phone)
	b.open("/history?lang=en")
	b.says("Log in with your company's account")
	b.shoot("log-in-company")
	b.accessible("log-in-company")
	b.click(`a[href^="/login/oidc"]`)
	b.wait("the provider", `location.pathname === "/auth" && document.querySelector("button") !== null`)
	b.click(`button[value="lina"]`)
	b.wait("the history", `location.pathname === "/history" && document.readyState === "complete"`)
	b.says("李娜")
	b.click(".who form button")
	b.wait("logged out there, too", `location.pathname === "/login" && document.querySelector("[name=password]") !== null`)
	b.click(`a[href^="/login/oidc"]`)
	b.wait("it asks who it is", `location.pathname === "/auth" && document.querySelector("button") !== null`)
	b.click(`button[value="nobody"]`)
	b.says("may not use this console")
}

func TestBrowserWrongPasswords(t *testing.T) {
	c := start(t)
	password := c.account("lina", "Li Na", store.Guard, mqtt.Gate{})
	b := c.browser(desktop)
	b.open("/login?lang=en")
	b.fill("name", "lina")
	for n := range 10 {
		b.fill("password", fmt.Sprint("guess ", n))
		b.click("main button")
		b.wait("refused", `document.readyState === "complete" && document.getElementById("notice")?.textContent === "Wrong name or password." && document.querySelector("[name=password]").value === ""`)
	}
	b.fill("password", password)
	b.click("main button")
	b.says("Too many wrong passwords")
	b.shoot("too-many")
}

// TestBrowserEveryPage looks at every page on phone, tablet and desktop, in both languages.
func TestBrowserEveryPage(t *testing.T) {
	c := start(t)
	now := time.Now()
	for n := range 7 {
		c.online(mqtt.Gate{Site: "苏州一厂", Name: fmt.Sprintf("%d号门", n+1)})
	}
	c.online(north, south, far)
	quiet, dark := mqtt.Gate{Site: "苏州一厂", Name: "3号门"}, mqtt.Gate{Site: "苏州一厂", Name: "5号门"}
	if err := c.store.Hush(t.Context(), []mqtt.Gate{quiet}, now); err != nil {
		t.Fatal(err)
	}
	status := mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "ok", Reference: string(event.ReferenceMissing), Group: string(event.BaselineShift)}}
	if err := c.store.SetStatus(t.Context(), dark, status, now); err != nil {
		t.Fatal(err)
	}
	if err := c.store.Shelve(t.Context(), quiet, store.Link, store.Shelf{Until: now.Add(time.Hour), Who: "王伟", Reason: "电工检修到下午"}, now); err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		at := now.Add(-time.Duration(n) * 7 * time.Minute)
		c.add(north, at, event.Pass, event.BelowThreshold)
		if n%5 == 0 {
			c.add(south, at, event.Inconclusive, event.Moving)
		}
	}
	var ids []string
	for n := range 14 {
		ids = append(ids, c.add(south, now.Add(-time.Duration(n*n)*2*time.Minute), event.Alert, event.AboveThreshold))
	}
	for n, id := range ids[3:] {
		if _, err := c.store.Take(t.Context(), id, 0, "王伟", now); err != nil {
			t.Fatal(err)
		}
		reading, outcome := store.Reading{Celsius: 36.8, Unit: "°C", Place: store.Ear, Thermometer: "T-17"}, mqtt.FalseAlert
		if n == 0 {
			reading.Celsius, outcome = 38.3, mqtt.Confirmed
		}
		if _, err := c.store.AddReading(t.Context(), id, 1, "王伟", reading, now); err != nil {
			t.Fatal(err)
		}
		if _, err := c.store.CloseAlert(t.Context(), id, 2, "王伟", outcome, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.store.AddCheck(t.Context(), store.Check{Gate: north, At: now, Who: "王伟", OK: true, WarmedUp: true}); err != nil {
		t.Fatal(err)
	}
	offer := c.admission(now)
	c.pages.cfg.Told = func() Told {
		return Told{Waiting: 12_345, Fault: "the server's certificate is signed by an authority that is not known here; set district.ca_file: x509: certificate signed by unknown authority"}
	}
	password := c.account("chef", "陈师傅", store.Administrator, mqtt.Gate{})
	b := c.browser(desktop)
	b.logIn("chef", password, "zh")
	for _, lang := range []string{"zh", "en"} {
		for name, size := range map[string][2]int64{"phone": phone, "tablet": tablet, "desktop": desktop} {
			b.do(chromedp.EmulateViewport(size[0], size[1]))
			b.paint((size == desktop) == (lang == "en"))
			for path, title := range map[string]string{
				"/": "now", "/alerts/" + ids[0]: "alert", "/gates": "gates", gateAddress(north): "gate", gateAddress(dark): "gate-fault", "/faults": "faults", "/history": "history", "/history?read=yes": "history-read", "/events/" + ids[3]: "event",
				"/check?gate=" + url.QueryEscape(south.Site+"/"+south.Name): "check", "/load": "load", "/admin/accounts": "accounts", "/admin/audit": "audit", "/admin/retention": "retention",
				"/admin/gates": "admission", offer: "offer", gateAddress(yard): "gate-to-do", gateAddress(shed): "gate-revoked",
			} {
				join := "?"
				if strings.Contains(path, "?") {
					join = "&"
				}
				b.open(path + join + "lang=" + lang)
				b.wait(path, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
				name := strings.Join([]string{title, name, lang}, "-")
				b.shoot(name)
				if size != tablet {
					b.accessible(name)
				}
			}
		}
	}
}

func TestBrowserGuardIsRefused(t *testing.T) {
	c := start(t)
	b := c.browser(desktop)
	b.logIn("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}), "zh")
	if evaluate[bool](b, `document.querySelector('nav a[href="/admin/accounts"]') !== null`) {
		t.Error("a guard is led to the accounts")
	}
	b.open("/admin/accounts")
	b.says("此页面需要“管理员”")
	b.shoot("refused")
}

// TestBrowserLongPages has more alerts, gates and events than a screen holds, on phone and desktop, light and dark.
func TestBrowserLongPages(t *testing.T) {
	c := start(t)
	now := time.Now()
	var events []store.Event
	for n := range historyLimit {
		gate := mqtt.Gate{Site: "苏州一厂", Name: fmt.Sprintf("%02d号门", n%50)}
		c.online(gate)
		events = append(events, c.make(gate, now.Add(-time.Duration(n)*time.Minute), event.Alert, event.AboveThresholdAndGroup, func(d *event.Data) {
			d.Worn = []event.Garment{event.Glasses, event.Mask, event.Hat}
		}))
	}
	c.addAll(events...)
	b := c.browser(desktop)
	b.logIn("chef", c.account("chef", "陈师傅", store.Administrator, mqtt.Gate{}), "zh")
	for _, at := range []struct {
		lang string
		size [2]int64
		name string
		dark bool
	}{{"zh", phone, "phone", false}, {"en", phone, "phone", true}, {"zh", desktop, "desktop", true}, {"en", desktop, "desktop", false}} {
		b.do(chromedp.EmulateViewport(at.size[0], at.size[1]))
		b.paint(at.dark)
		for path, rows := range map[string]string{"/": ".alerts li", "/history": "tbody tr", "/gates": "tbody tr"} {
			b.open(path + "?lang=" + at.lang)
			want := historyLimit
			if path == "/gates" {
				want = 50
			}
			b.wait(path, fmt.Sprintf(`document.readyState === "complete" && document.querySelectorAll("%s").length === %d`, rows, want))
			name := strings.Join([]string{"long" + strings.ReplaceAll(path, "/", "-"), at.name, at.lang}, "-")
			b.shoot(name)
			b.accessible(name)
		}
	}
}

// TestBrowserLongNames has a site and a gate of names as long as they may be: what is beside them stays on a phone's screen.
func TestBrowserLongNames(t *testing.T) {
	c := start(t)
	long := mqtt.Gate{Site: strings.Repeat("W", 64), Name: strings.Repeat("M", 64)}
	if err := c.store.SetStatus(t.Context(), long, mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "stalled"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	id := c.alert(long)
	b := c.browser(phone)
	b.logIn("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}), "en")
	for n, path := range []string{
		"/", "/alerts/" + id, "/events/" + id, "/gates", gateAddress(long), "/faults", "/history", "/check", "/shifts", "/shifts/plan", "/reports", "/study", "/load",
		"/people/coverage", "/people/protection", "/admin/accounts", "/admin/retention", "/admin/audit", "/admin/gates",
	} {
		b.open(path)
		b.shoot(fmt.Sprint("names-", n))
	}
}

// TestBrowserConsoleIsReplaced has open pages go on with the console that comes instead, and none lose what somebody types in or
// was shown once.
func TestBrowserConsoleIsReplaced(t *testing.T) {
	c := start(t)
	c.online(north)
	next, err := New(c.store, c.accounts, nil, DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	next.build = "next"
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = next.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	var replaced atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if replaced.Load() {
			next.ServeHTTP(w, r)
			return
		}
		c.pages.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	c.server.URL = front.URL
	password := c.account("chef", "陈师傅", store.Administrator, mqtt.Gate{})
	watching, typing, reading := c.browser(desktop), c.browser(desktop), c.browser(desktop)
	for _, b := range []*tab{watching, typing, reading} {
		b.logIn("chef", password, "en")
	}
	typing.open("/admin/accounts")
	typing.fill("name", "half")
	reading.open("/admin/accounts")
	reading.fill("name", "lina")
	reading.fill("full", "Li Na")
	reading.click(`form[action="/admin/accounts/add"] button`)
	reading.says("shown this once")
	once := evaluate[string](reading, `document.getElementById("once").textContent`)
	replaced.Store(true)
	c.pages.close.Do(func() { close(c.pages.closed) }) // which ends its streams
	watching.wait("the new console's page", `document.documentElement.dataset.build === "next" && document.readyState === "complete"`)
	c.alert(north)
	for _, b := range []*tab{watching, typing, reading} {
		b.wait("the alert", `document.getElementById("count-alerts").textContent === "1" && !document.getElementById("count-alerts").hidden`)
		if complaints := evaluate[[]string](b, "window.complaints"); len(complaints) > 0 {
			t.Errorf("%q", complaints)
		}
	}
	if typed := evaluate[string](typing, `document.querySelector("input[name=name]").value`); typed != "half" {
		t.Errorf("of what was typed there is %q", typed)
	}
	if shown := evaluate[string](reading, `document.getElementById("once")?.textContent ?? ""`); shown != once {
		t.Errorf("the password %q that is shown once is now %q", once, shown)
	}
}

// TestBrowserKeys has a guard see to an alert without a mouse, and type without doing anything by it.
func TestBrowserKeys(t *testing.T) {
	c := start(t)
	c.online(north)
	older := c.add(north, time.Now().Add(-time.Minute), event.Alert, event.AboveThreshold)
	newer := c.alert(north)
	b := c.browser(desktop)
	b.logIn("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}), "en")
	press := func(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }
	focused := func(id string) {
		b.t.Helper()
		b.wait("the focus is on "+id, `(document.activeElement.getAttribute("href") ?? "").endsWith("`+id+`") || document.activeElement.value === "`+id+`"`)
	}
	b.wait("the keys", `!document.getElementById("show-keys").hidden`)
	press("?")
	b.says("Keyboard shortcuts")
	b.shoot("keys")
	b.accessible("keys")
	press("n") // does nothing there
	press(kb.Escape)
	b.wait("the keys are gone", `!document.getElementById("keys").open`)
	press("n")
	focused(newer)
	press("n")
	focused(older)
	third := c.alert(north) // comes before them
	b.wait("a third alert", `document.getElementById("take-`+third+`") !== null`)
	focused(older)
	press("t")
	b.wait("the alert that had the focus", `location.pathname === "/alerts/`+older+`" && document.querySelector("[name=value]") !== null`)
	evaluate[bool](b, "(document.activeElement.blur(), true)")
	press("38.2cf")
	b.wait("the number", `document.querySelector("[name=value]").value === "38.2cf"`)
	press(kb.Backspace + kb.Backspace + kb.Enter)
	b.says("it looks like a fever")
	press("c")
	focused("confirmed")
	press("f")
	focused("false")
	if a, _, err := c.store.Alert(t.Context(), older); err != nil || a.State != store.Read {
		t.Errorf("keys alone close an alert: %+v, %v", a, err)
	}
	press("c")
	focused("confirmed")
	press(kb.Enter)
	b.wait("closed", `document.querySelector("article.closed") !== null && !document.getElementById("show-keys").hidden`)
	press("n")
	b.wait("the next alert", `location.pathname === "/alerts/`+third+`"`)
	b.wait("the keys", `document.readyState === "complete" && !document.getElementById("show-keys").hidden`)
	press("h")
	b.wait("Now", `location.pathname === "/" && document.readyState === "complete"`)
	b.open("/history")
	b.click("summary")
	b.fill("least", "37nth?5")
	b.wait("all is typed", `document.querySelector("[name=least]").value === "37nth?5" && location.pathname === "/history" && !document.getElementById("keys").open`)
	b.open("/")
	b.wait("the keys", `document.readyState === "complete" && !document.getElementById("show-keys").hidden`)
	press("?")
	b.click("#keys-on")
	press(kb.Escape)
	press("nh?")
	b.wait("? shows them still", `document.getElementById("keys").open`)
	if evaluate[bool](b, `document.activeElement.closest(".alerts") !== null`) {
		t.Error("a key that was switched off does something")
	}
}

// TestBrowserFocus goes through a page by the tab key, and sees where it is.
func TestBrowserFocus(t *testing.T) {
	c := start(t)
	c.online(north)
	id := c.alert(north)
	b := c.browser(desktop)
	b.logIn("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}), "en")
	var order []string
	for range 20 {
		b.do(chromedp.KeyEvent(kb.Tab))
		at := evaluate[string](b, `(() => {
			const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
			if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2 || box.width === 0 || box.right < 0 || box.bottom < 0) return "unseen " + e.outerHTML.slice(0, 80);
			return e.getAttribute("href") ?? e.id;
		})()`)
		if strings.HasPrefix(at, "unseen") {
			t.Errorf("the focus can't be seen: %s", at)
		}
		if order = append(order, at); at == "take-"+id {
			break
		}
	}
	for before, after := range map[string]string{"#main": "/", "/gates": "/faults", "/history": "/alerts/" + id, "/alerts/" + id: "take-" + id} {
		if i, j := slices.Index(order, before), slices.Index(order, after); i < 0 || j < i {
			t.Errorf("%s does not come before %s: %q", before, after, order)
		}
	}
	b.open("/")
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	b.wait("the alert, without the menu", `(document.activeElement.getAttribute("href") ?? "").endsWith("`+id+`")`)
}

// TestLivePageIsSmall opens the page of alerts with 50 gates and 200 open alerts in Chromium.
func TestLivePageIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("a second browser for a figure that the race detector does not change")
	}
	if _, bytes := paintLivePage(t, 1); bytes > 150_000 {
		t.Errorf("the page and all that it loads are %d bytes", bytes)
	}
}

// BenchmarkLivePage prints how soon that page is painted.
func BenchmarkLivePage(b *testing.B) {
	took, bytes := paintLivePage(b, max(3, b.N))
	b.ReportMetric(float64(took.Milliseconds()), "ms-to-painted")
	b.ReportMetric(float64(bytes)/1000, "kB")
}

// paintLivePage is the median of the time from the request to the last of what is painted, and the size of the page and of
// what it loads.
func paintLivePage(t testing.TB, times int) (median time.Duration, bytes int) {
	c := start(t)
	var events []store.Event
	for n := range 200 {
		gate := mqtt.Gate{Site: "苏州一厂", Name: fmt.Sprintf("%02d号门", n%50)}
		events = append(events, c.make(gate, time.Now().Add(-time.Duration(n)*time.Minute), event.Alert, event.AboveThreshold))
		if n < 50 {
			c.online(gate)
		}
	}
	c.addAll(events...)
	b := c.browser(desktop)
	b.logIn("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}), "zh")
	var all []time.Duration
	for range times {
		b.open("/")
		evaluate[bool](b, `(window.last = 0, new PerformanceObserver((list) => { for (const e of list.getEntries()) window.last = Math.max(window.last, e.startTime); })
			.observe({ type: "largest-contentful-paint", buffered: true }), true)`)
		b.wait("painted", `document.readyState === "complete" && window.last > 0 && document.querySelectorAll(".alerts li").length === 200`)
		all = append(all, time.Duration(evaluate[float64](b, "window.last")*float64(time.Millisecond)).Round(time.Millisecond))
		bytes = evaluate[int](b, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
			.filter((e) => !e.name.endsWith("/sound")).reduce((sum, e) => sum + e.decodedBodySize, 0)`)
	}
	slices.Sort(all)
	return all[len(all)/2], bytes
}

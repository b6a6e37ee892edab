package kiosk

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/event"
	"thermogate/screening/kiosk/access"
	"thermogate/screening/listen"
	"thermogate/testdata"
)

// violations are what axe-core has against a page, those that shut somebody out. Without axe there are none.
func violations(t *testing.T, tab context.Context, axe string) []string {
	t.Helper()
	if axe == "" {
		return nil
	}
	do(t, tab, chromedp.Evaluate[chromedp.Void](axe), chromedp.Evaluate[chromedp.Void](`window.found = null; axe.run({ resultTypes: ["violations"] }).then((result) => {
		window.found = result.violations.filter((v) => v.impact === "serious" || v.impact === "critical" || v.id === "region" || v.id === "page-has-heading-one")
			.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 120) + " " + n.failureSummary.slice(0, 200)).join(" | "));
	})`))
	waitFor(t, tab, "axe-core", "window.found !== null")
	return ask(t, tab, chromedp.Evaluate[[]string]("window.found"))
}

// guarded is a gate with a password.
type guarded struct {
	t      *testing.T
	config listen.Config
	folder string // of what it keeps
	access *access.Access
	*gate
	recalibrated atomic.Int32 // how often somebody has given their word
}

const password = "open sesame"

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, config: listen.Config{Listen: testdata.FreeAddress(t)}, folder: t.TempDir()}
	g.config.CertFile, g.config.KeyFile = testdata.Certificate(t, "gate.example")
	if err := os.WriteFile(filepath.Join(g.folder, "password"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	return g
}

// start begins, or begins once more at the same address.
func (g *guarded) start() {
	g.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	var err error
	g.access, err = access.Open(filepath.Join(g.folder, "access.json"), listen.Guarded{User: "thermogate", PasswordFile: filepath.Join(g.folder, "password")},
		listen.NewAttempts(quiet), quiet)
	if err != nil {
		g.t.Fatal(err)
	}
	config, who := g.config, g.access
	g.gate = startGateWith(g.t, config, func(pages http.Handler) http.Handler {
		private := http.NewServeMux()
		private.Handle("/", pages)
		private.HandleFunc("/metrics", func(http.ResponseWriter, *http.Request) {})
		private.Handle("POST /badge/page", pages.(*Kiosk).FromScreen(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		pages.(*Kiosk).OfferRecalibration(func() error { g.recalibrated.Add(1); return nil })
		return pages.(*Kiosk).Entrance(private, who, config)
	})
}

func (g *guarded) at(path string) string { return "https://" + g.address + path }

// client is a program, or a browser without its screen, that trusts the gate.
func (g *guarded) client() *http.Client {
	g.t.Helper()
	client, err := g.config.Client()
	if err != nil {
		g.t.Fatal(err)
	}
	client.Jar, _ = cookiejar.New(nil) // never fails
	return client
}

func (g *guarded) send(client *http.Client, method, path string, header http.Header, form url.Values) *http.Response {
	g.t.Helper()
	request, err := http.NewRequestWithContext(g.t.Context(), method, g.at(path), strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	for name := range header {
		request.Header.Set(name, header.Get(name))
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	response.Body.Close()
	return response
}

func (g *guarded) code() string {
	g.t.Helper()
	code, err := g.access.NewCode("tablet")
	if err != nil {
		g.t.Fatal(err)
	}
	return code
}

// TestWhoMaySeeWhat asks for all there is, as all who may come.
func TestWhoMaySeeWhat(t *testing.T) {
	g := startGuarded(t)
	stranger, engineer, device, unlinked := g.client(), g.client(), g.client(), g.client()
	g.send(unlinked, "POST", "/link", nil, url.Values{"code": {g.code()}})
	g.access.Unlink(g.access.Devices()[0].ID)
	if in := g.send(engineer, "POST", "/login?to=/status", nil, url.Values{"user": {"thermogate"}, "password": {password}}); in.Header.Get("Location") != "/status" {
		t.Fatal(in.Status)
	}
	if in := g.send(device, "POST", "/link", nil, url.Values{"code": {g.code()}}); in.Header.Get("Location") != "/" {
		t.Fatal(in.Status)
	}
	opens := http.Header{"Accept": {"text/html,*/*"}, "Sec-Fetch-Mode": {"navigate"}}
	program := http.Header{}
	basic := httptest.NewRequest("GET", "/", nil)
	basic.SetBasicAuth("thermogate", password)
	wrong := httptest.NewRequest("GET", "/", nil)
	wrong.SetBasicAuth("thermogate", "guess")
	tests := []struct {
		who          *http.Client
		name         string
		method, path string
		header       http.Header
		want         string // status and where to; ! for a challenge that makes browsers ask for a password
	}{
		{stranger, "stranger", "GET", "/", opens, "303 /login?to=%2F"},
		{stranger, "stranger", "GET", "/status?lang=en", opens, "303 /login?lang=en&to=%2Fstatus%3Flang%3Den"},
		{stranger, "stranger", "GET", "/metrics", opens, "303 /login?to=%2Fmetrics"},
		{stranger, "stranger", "GET", "//evil.example/x", opens, "307 /evil.example/x"},
		{stranger, "stranger", "POST", "/screens", opens, "303 /login?to=%2Fstatus"},
		{stranger, "stranger", "GET", "/login", opens, "200"},
		{stranger, "stranger", "GET", "/link", opens, "200"},
		{stranger, "stranger", "GET", "/assets/entrance.css", program, "200"},
		{stranger, "stranger", "GET", "/stream?page=worker", program, "401"},
		{stranger, "stranger", "GET", "/picture?page=worker", program, "401"},
		{stranger, "stranger", "GET", "/aim", program, "401"},
		{stranger, "stranger", "POST", "/badge/page", program, "401"},
		{unlinked, "unlinked", "POST", "/badge/page", program, "401"},
		{device, "device", "POST", "/badge/page", program, "200"},
		{device, "another site's form at the device", "POST", "/badge/page", http.Header{"Origin": {"https://evil.example"}}, "403"},
		{engineer, "engineer", "POST", "/badge/page", program, "403"},
		{stranger, "program with the password", "POST", "/badge/page", basic.Header, "403"},
		{stranger, "program", "GET", "/metrics", program, "401!"},
		{stranger, "program", "GET", "/status", program, "401!"},
		{stranger, "program with the password", "GET", "/metrics", basic.Header, "200"},
		{stranger, "program with the password", "GET", "/status", basic.Header, "200"},
		{stranger, "program with a wrong one", "GET", "/metrics", wrong.Header, "401!"},
		{unlinked, "unlinked", "GET", "/", opens, "303 /link?"},
		{unlinked, "unlinked", "GET", "/stream?page=worker", program, "401"},
		{unlinked, "unlinked", "GET", "/status", opens, "303 /login?to=%2Fstatus"},
		{device, "device", "GET", "/", opens, "200"},
		{device, "device", "GET", "/picture?page=worker", program, "200"},
		{device, "device", "GET", "/link", opens, "303 /"},
		{device, "device", "POST", "/link", opens, "303 /"},
		{device, "device", "GET", "/status", opens, "403"},
		{device, "device", "GET", "/login", opens, "403"},
		{device, "device", "POST", "/login?to=/status", opens, "403"},
		{device, "device", "GET", "/metrics", program, "403"},
		{device, "device", "GET", "/readyz?verbose", program, "403"},
		{device, "device", "GET", "/stream", program, "403"},
		{device, "device", "GET", "/stream?page=status&page=worker", program, "403"},
		{device, "device", "GET", "/picture?page=status", program, "403"},
		{device, "device", "GET", "/aim?page=worker", program, "403"},
		{device, "device", "POST", "/screens", program, "403"},
		{device, "device", "POST", "/screens/unlink", program, "403"},
		{device, "device", "POST", "/recalibrate", opens, "403"},
		{stranger, "stranger", "POST", "/recalibrate", program, "401!"},
		{device, "device", "GET", "/%73tatus", opens, "403"},
		{device, "device with a wrong password", "GET", "/status", wrong.Header, "401!"},
		{engineer, "engineer", "GET", "/", opens, "200"},
		{engineer, "engineer", "GET", "/status", opens, "200"},
		{engineer, "engineer", "GET", "/metrics", program, "200"},
		{engineer, "engineer", "GET", "/login?to=//evil.example", opens, "303 /"},
		{engineer, "engineer", "GET", "/login?to=https://evil.example", opens, "303 /"},
		{engineer, "engineer", "GET", `/login?to=/\evil.example`, opens, "303 /"},
		{engineer, "engineer", "POST", "/screens", opens, "422"},
		{engineer, "engineer", "POST", "/recalibrate?lang=en", opens, "303 /status?lang=en"},
		{engineer, "another site's form in the engineer's browser", "POST", "/recalibrate", http.Header{"Origin": {"https://evil.example"}}, "403"},
		{engineer, "another site's form in the engineer's browser", "POST", "/screens", http.Header{"Origin": {"https://evil.example"}}, "403"},
		{engineer, "another site's form in the engineer's browser", "POST", "/logout", http.Header{"Sec-Fetch-Site": {"cross-site"}}, "403"},
		{stranger, "another site's form that logs in", "POST", "/login", http.Header{"Origin": {"https://evil.example"}}, "403"},
		{stranger, "another site's form that links", "POST", "/link", http.Header{"Sec-Fetch-Site": {"same-site"}}, "403"},
		{engineer, "engineer", "POST", "/logout", opens, "303 /login"},
		{engineer, "engineer logged out", "GET", "/status", opens, "303 /login?to=%2Fstatus"},
	}
	for _, test := range tests {
		response := g.send(test.who, test.method, test.path, test.header, nil)
		got := strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", response.Header.Get("Location")))
		if response.Header.Get("WWW-Authenticate") != "" {
			got += "!"
		}
		if got != test.want {
			t.Errorf("%s: %s %s: %s, want %s", test.name, test.method, test.path, got, test.want)
		}
	}
	if g.recalibrated.Load() != 1 {
		t.Errorf("the reference source was taken for right %d times", g.recalibrated.Load())
	}
}

// TestScreenIsToldNoMoreThanItShows reads what a device may read while somebody is measured.
func TestScreenIsToldNoMoreThanItShows(t *testing.T) {
	k, server := serve(t, DefaultConfig())
	k.Verdict(*passed("P"))
	get(t, server.URL+"/picture?page=worker", nil)
	k.Show(sceneAt(0, near("")))
	head := make([]byte, 512)
	n, _ := get(t, server.URL+"/picture?page=worker", nil).Body.Read(head)
	if line, _, _ := strings.Cut(string(head[:n]), "\n"); !strings.Contains(line, `"faces":[{`) || strings.Contains(line, "celsius") {
		t.Errorf("the picture says %s", line)
	}
	sent := progress{worker: true}
	told, _ := k.news(&sent, true)
	if text := told.String(); strings.Contains(text, "event: verdict") || !strings.Contains(text, `data: {"build":"`) || strings.Contains(text, "version") {
		t.Errorf("the stream says %s", text)
	}
}

func logIn(t *testing.T, tab context.Context, given string) {
	t.Helper()
	do(t, tab, chromedp.SendKeys(`input[name="password"]`, given), chromedp.Click(`form button`))
}

// TestPeopleLogIn in a browser that has nothing of the gate's.
func TestPeopleLogIn(t *testing.T) {
	tab := browser(t, chromedp.Flag("ignore-certificate-errors", true))
	g := startGuarded(t)
	do(t, tab, chromedp.Navigate(g.at("/status?lang=en#aim")))
	waitFor(t, tab, "the page to log in", `location.pathname === "/login" && document.querySelector("h1").textContent === "Log in"`)
	logIn(t, tab, "guess")
	waitFor(t, tab, "a wrong password", `document.getElementById("notice")?.textContent === "Wrong user name or password."`)
	logIn(t, tab, password)
	waitFor(t, tab, "where they were going", `location.pathname + location.search + location.hash === "/status?lang=en#aim" && document.getElementById("picture")?.hidden === false`)
	g.stop()
	waitFor(t, tab, "a restart", `document.getElementById("lost")?.hidden === false`)
	g.start()
	waitFor(t, tab, "that goes on after a restart", `document.getElementById("lost")?.hidden && document.getElementById("picture")?.hidden === false`)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`location.hash = ""`), chromedp.Click(`nav button`))
	waitFor(t, tab, "the page to log in again", `location.pathname === "/login"`)
	do(t, tab, chromedp.Navigate(g.at("/login?lang=zh&to=//evil.example/")))
	logIn(t, tab, password)
	waitFor(t, tab, "the worker's page, and nothing of another site", `location.href === "`+g.at("/")+`"`)
}

// TestTapOnAPageThatMoves presses a button until what is above it has grown, and releases it there.
func TestTapOnAPageThatMoves(t *testing.T) {
	tab := browser(t, chromedp.Flag("ignore-certificate-errors", true))
	g := startGuarded(t)
	onNewPages(t, tab, `window.verdicts = 0;
		const listen = EventSource.prototype.addEventListener;
		EventSource.prototype.addEventListener = function (name, heard) {
			listen.call(this, name, (event) => { heard(event); if (name === "verdict") verdicts++; });
		};`)
	do(t, tab, chromedp.EmulateViewport(390, 4000), chromedp.Navigate(g.at("/status?lang=en")))
	logIn(t, tab, password)
	waitFor(t, tab, "a picture", `document.getElementById("new-screen") && document.getElementById("picture")?.hidden === false`)
	at := ask(t, tab, chromedp.Evaluate[[]float64](`document.querySelector("#new-screen input").value = "tablet";
		(({ x, y }) => [x + 5, y + 5])(document.querySelector("#new-screen button").getBoundingClientRect())`))
	do(t, tab, chromedp.MouseEvent(chromedp.MousePressed, at[0], at[1], chromedp.ButtonLeft, chromedp.ClickCount(1)))
	for range 3 {
		g.Verdict(*alerted("A"))
	}
	waitFor(t, tab, "the verdicts", `verdicts === 3`)
	do(t, tab, chromedp.MouseEvent(chromedp.MouseReleased, at[0], at[1], chromedp.ButtonLeft, chromedp.ClickCount(1)))
	waitFor(t, tab, "the code of a screen", `document.querySelector(".qr path") !== null`)

	do(t, tab, chromedp.Navigate(g.at("/status?lang=en")))
	waitFor(t, tab, "the verdicts", `document.querySelectorAll("#verdicts tr").length === 3`)
	do(t, tab, chromedp.MouseEvent(chromedp.MousePressed, 5, 5, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	g.Verdict(*alerted("B"))
	waitFor(t, tab, "news all the same for who keeps pressing", `document.querySelectorAll("#verdicts tr").length === 4`)
}

// TestScreenAtTheGate is linked by an engineer's QR code, lives through a restart, and is unlinked.
func TestScreenAtTheGate(t *testing.T) {
	insecure := chromedp.Flag("ignore-certificate-errors", true)
	engineer, tablet, another := browser(t, insecure), browser(t, insecure), browser(t, insecure)
	g := startGuarded(t)
	do(t, tablet, chromedp.Navigate(g.at("/login")))
	logIn(t, tablet, password) // somebody tried it with the password
	waitFor(t, tablet, "logged in", `location.pathname === "/"`)

	do(t, engineer, chromedp.Navigate(g.at("/status?lang=en")))
	logIn(t, engineer, password)
	waitFor(t, engineer, "no screen yet", `document.getElementById("screens")?.innerText.includes("None is linked")`)
	do(t, engineer, chromedp.Evaluate[chromedp.Void](`document.querySelector("#new-screen input").value = "tablet <left>"; document.querySelector("#new-screen button").click()`))
	waitFor(t, engineer, "a QR code", `document.querySelector(".qr path")?.getBBox().width > 20`)
	link := ask(t, engineer, chromedp.TextContent("#link"))
	if !strings.HasPrefix(link, g.at("/link#")) {
		t.Errorf("the link is %q", link)
	}

	do(t, tablet, chromedp.Navigate(link))
	waitFor(t, tablet, "the page at the gate", `location.pathname + location.hash === "/" && `+pictureShown)
	do(t, another, chromedp.Navigate(link+"&lang=en"))
	waitFor(t, another, "the link once more", `document.getElementById("notice") && location.hash === ""`)
	do(t, tablet, chromedp.Navigate(g.at("/status?lang=en")))
	waitFor(t, tablet, "the engineers' page is refused", `document.body.innerText.includes("opens no other page") && !document.getElementById("verdicts")`)
	do(t, tablet, chromedp.Navigate(link)) // as a kiosk that starts with it each time
	waitFor(t, tablet, "the page at the gate again", `location.pathname === "/" && `+pictureShown)

	before, err := os.ReadFile(filepath.Join(g.folder, "access.json"))
	if err != nil {
		t.Fatal(err)
	}
	g.stop()
	waitFor(t, tablet, "a restart", pictureGone)
	g.start()
	waitFor(t, tablet, "that goes on after a restart", pictureShown)

	bob := passed("P")
	g.scenes <- sceneAt(0, admitted(near(""), bob))
	g.Verdict(*bob)
	waitFor(t, tablet, "a pass", `document.body.dataset.tone === "pass"`)
	do(t, engineer, chromedp.Navigate(g.at("/status?lang=en")))
	waitFor(t, engineer, "the screen", `document.querySelector("#screens li").innerText.includes("tablet <left>") && document.querySelector("#screens li").innerText.includes("on now")`)
	do(t, engineer, chromedp.Click(`#screens li button`))
	unlinked := `document.getElementById("head").innerText.match(/not linked|未连接/) && document.body.dataset.tone === "fault" && ` + pictureGone
	waitFor(t, tablet, "that it is unlinked", unlinked)
	for range 30 { // it stays readable while the page tries again
		if !ask(t, tablet, chromedp.Evaluate[bool](`Boolean(`+unlinked+`)`)) {
			t.Fatal("what to do goes away")
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, size := range [][2]int64{{390, 844}, {844, 390}, {1280, 800}} {
		do(t, tablet, chromedp.EmulateViewport(size[0], size[1]))
		waitFor(t, tablet, fmt.Sprint("all of it on ", size), `["head", "sub", "relink"].every((id) => { const b = document.getElementById(id).getBoundingClientRect();
			return b.height > 0 && b.top >= 0 && b.left >= 0 && b.bottom <= innerHeight && b.right <= innerWidth; })`)
		saveScreenshot(t, tablet, fmt.Sprint("unlinked-", size[0]))
	}

	if err := os.WriteFile(filepath.Join(g.folder, "access.json"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	g.stop()
	g.start() // with what was kept before
	waitFor(t, tablet, "that it comes back by itself", pictureShown)
	g.access.Unlink(g.access.Devices()[0].ID)
	waitFor(t, tablet, "that it is unlinked again", unlinked)
	do(t, tablet, chromedp.Click("#relink"))
	waitFor(t, tablet, "the page to link it", `location.pathname === "/link" && document.getElementById("code").offsetWidth > 0`)
	do(t, tablet, chromedp.SendKeys("#code", strings.ToLower(g.code())), chromedp.Click("#form button"))
	waitFor(t, tablet, "the page at the gate after a code was typed", `location.pathname === "/" && `+pictureShown)
	do(t, tablet, chromedp.Navigate(g.at("/link")))
	waitFor(t, tablet, "nothing to link", `location.pathname === "/"`)
}

func saveScreenshot(t *testing.T, tab context.Context, name string) {
	t.Helper()
	folder := filepath.Join("..", "..", "bin", "screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), ask(t, tab, chromedp.CaptureScreenshot()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPagesToComeIn looks at each of them on a phone, in all languages, and leaves pictures in bin/screenshots.
func TestPagesToComeIn(t *testing.T) {
	insecure := chromedp.Flag("ignore-certificate-errors", true)
	tab, tablet := browser(t, insecure), browser(t, insecure)
	g := startGuarded(t)
	g.Verdict(*verdict("I", event.Inconclusive, event.Covered))
	scene := sceneAt(0, near(""))
	scene.Group = event.BaselineShift
	g.scenes <- scene
	axe, err := testdata.AxeCore()
	if err != nil {
		t.Logf("accessibility is not checked, axe-core can't be had: %v", err)
	}
	look := func(tab context.Context, name string) {
		t.Helper()
		waitFor(t, tab, name, `document.readyState === "complete" && document.querySelector("h1")`)
		if cut := ask(t, tab, chromedp.Evaluate[[]string](`[...document.querySelectorAll("main *, header *")].filter((e) => e.offsetWidth > 0)
			.filter((e) => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth; }).map((e) => e.outerHTML.slice(0, 80))`)); len(cut) > 0 {
			t.Errorf("%s: cut off: %q", name, cut)
		}
		saveScreenshot(t, tab, name)
		for _, violation := range violations(t, tab, axe) {
			t.Errorf("%s: %s", name, violation)
		}
	}
	do(t, tablet, chromedp.EmulateViewport(390, 844), chromedp.Navigate(g.at("/link#"+g.code())))
	waitFor(t, tablet, "a device", `location.pathname === "/"`)
	for _, lang := range []string{"zh", "en", "vi"} {
		do(t, tab, chromedp.EmulateViewport(390, 844), chromedp.Navigate(g.at("/login?to=/status?lang="+lang+"&lang="+lang)))
		look(tab, "login-"+lang)
		do(t, tab, chromedp.Navigate(g.at("/link?lang="+lang)))
		look(tab, "link-"+lang)
		do(t, tablet, chromedp.Navigate(g.at("/status?lang="+lang)))
		look(tablet, "refused-"+lang)
		do(t, tab, chromedp.Navigate(g.at("/login?to=/status?lang="+lang+"&lang="+lang)))
		logIn(t, tab, password)
		waitFor(t, tab, "the engineers' page", `document.querySelectorAll("#verdicts tr").length === 1 && document.querySelector("#screens li")`)
		do(t, tab, chromedp.EmulateViewport(390, 2600))
		waitFor(t, tab, "somebody's word is asked for", `document.querySelector("#recalibrate button").offsetWidth > 0`)
		look(tab, "status-screens-"+lang)
		before := g.recalibrated.Load()
		do(t, tab, chromedp.Evaluate[chromedp.Void](`window.before = true`), chromedp.Click(`#recalibrate button`)) // which needs the word first
		do(t, tab, chromedp.Click(`#recalibrate input`), chromedp.Click(`#recalibrate button`))
		waitFor(t, tab, "the engineers' page again", `!window.before && document.readyState === "complete" && document.querySelector("#screens li")`)
		if n := g.recalibrated.Load() - before; n != 1 {
			t.Errorf("%s: the reference source was taken for right %d times", lang, n)
		}
		do(t, tab, chromedp.EmulateViewport(390, 844), chromedp.SendKeys(`#new-screen input`, "门口 1"), chromedp.Click(`#new-screen button`))
		waitFor(t, tab, "a code", `document.querySelector(".qr")`)
		look(tab, "code-"+lang)
		do(t, tab, chromedp.Navigate(g.at("/status")), chromedp.Click(`nav button`))
		waitFor(t, tab, "logged out", `location.pathname === "/login"`)
	}
}

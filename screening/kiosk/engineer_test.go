package kiosk

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/event"
	"thermogate/testdata"
)

func TestStatusLinksToTheConsole(t *testing.T) {
	tests := []struct{ name, console, host, want string }{
		{"none", "", "gate.example", ""},
		{"on a server", "https://console.example/hall", "gate.example", "https://console.example/hall"},
		{"on all addresses of the gate", "https://[::]:8090", "gate.example:8080", "https://gate.example:8090"},
		{"the same by IPv6", "http://0.0.0.0:8090", "[fd00::7]:8080", "http://[fd00::7]:8090"},
		{"on the gate alone, for who is at it", "http://127.0.0.1:8090", "localhost:8080", "http://127.0.0.1:8090"},
		{"on the gate alone, for others", "http://127.0.0.1:8090", "192.168.0.7:8080", ""},
		{"a name that begins like this machine's", "http://127.0.0.1:8090", "127.0.0.1.evil.example", ""},
	}
	for _, test := range tests {
		k, server := serve(t, DefaultConfig())
		if test.console != "" {
			pages, err := url.Parse(test.console)
			if err != nil {
				t.Fatal(err)
			}
			k.SetConsolePages(pages)
		}
		request, err := http.NewRequest(http.MethodGet, server.URL+"/status?lang=en", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if test.want == "" && strings.Contains(string(body), "Console") {
			t.Errorf("%s: there is a link", test.name)
		}
		if test.want != "" && !strings.Contains(string(body), `href="`+test.want+`"`) {
			t.Errorf("%s: no link to %s", test.name, test.want)
		}
	}
}

func TestStagesAreFollowed(t *testing.T) {
	var s stageMillis
	s.observe(event.StageTimes{Face: 5 * time.Millisecond, Measure: time.Millisecond})
	s.observe(event.StageTimes{Face: 15 * time.Millisecond})
	if want := (stageMillis{Face: 6, Measure: 1}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

// TestEngineersPage looks at all of /status on a phone, a tablet and a desktop, and leaves pictures of it in bin/screenshots.
func TestEngineersPage(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	console, _ := url.Parse("https://console.example")
	g.SetConsolePages(console)
	g.SetBroker(false, 12)
	g.SetTurnedAway(true)
	g.SetLacks(event.Lacks{Camera: true, Units: true, Reference: true})
	for range 3 {
		g.Verdict(*verdict("I", event.Inconclusive, event.BaselineShift))
		g.Verdict(*alerted("A"))
		g.Verdict(*passed("P"))
	}
	scene := sceneAt(0, near(""))
	scene.Stages = event.StageTimes{Radiometry: 200 * time.Microsecond, Reference: 120 * time.Microsecond, Face: 11900 * time.Microsecond,
		Track: 30 * time.Microsecond, Measure: 150 * time.Microsecond}
	g.scenes <- scene
	axe, err := testdata.AxeCore()
	if err != nil {
		t.Logf("accessibility is not checked, axe-core can't be had: %v", err)
	}
	folder := filepath.Join("..", "..", "bin", "screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"zh", "en"} {
		for _, size := range [][2]int64{{390, 2200}, {900, 1400}, {1280, 1000}} {
			name := fmt.Sprintf("%s-%d", lang, size[0])
			do(t, tab, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate("http://"+g.address+"/status?lang="+lang))
			waitFor(t, tab, name, `document.querySelectorAll("#verdicts tr").length === 9 && document.querySelectorAll("#todo li").length === 3 && !document.getElementById("picture").hidden &&
				/11.9 (ms|毫秒)/.test(document.getElementById("stage-face").innerText) && document.getElementById("stage-policy").innerText.includes(document.documentElement.lang === "en" ? "–" : "—")`)
			cut := ask(t, tab, chromedp.Evaluate[[]string](`[...document.querySelectorAll("header a, #todo li, #states li, figure, section, td, dd, dt")]
				.filter((e) => e.offsetWidth > 0).filter((e) => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0; })
				.map((e) => e.tagName + " " + e.textContent.trim().slice(0, 40))`))
			if len(cut) > 0 {
				t.Errorf("%s: cut off: %q", name, cut)
			}
			picture := ask(t, tab, chromedp.CaptureScreenshot())
			if err := os.WriteFile(filepath.Join(folder, "status-"+name+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, violation := range violations(t, tab, axe) {
				t.Errorf("%s: %s", name, violation)
			}
		}
	}
}

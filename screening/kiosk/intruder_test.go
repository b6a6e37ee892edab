package kiosk

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"thermogate/screening/listen"
	"thermogate/testdata"
)

// TestAnotherSitesNameGetsNoPicture has a name of another site point to the gate, as DNS rebinding does.
func TestAnotherSitesNameGetsNoPicture(t *testing.T) {
	tab := browser(t, chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1"))
	g := startGate(t, "")
	port := g.address[strings.LastIndex(g.address, ":"):]
	for _, path := range []string{"/", "/picture", "/aim", "/stream"} {
		do(t, tab, chromedp.Navigate("http://evil.example"+port+path))
		waitFor(t, tab, path, `document.body.innerText.includes("is not a name of this machine")`)
	}
	do(t, tab, chromedp.Navigate("http://localhost"+port+"/"))
	waitFor(t, tab, "by its own name", pictureShown)
}

// TestAnotherSitesPageReachesNothing has a page on another port of this machine ask for all there is.
func TestAnotherSitesPageReachesNothing(t *testing.T) {
	tab := browser(t)
	var reached atomic.Int64
	g := startGateWith(t, listen.Config{Listen: "127.0.0.1:0"}, func(pages http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Add(1); pages.ServeHTTP(w, r) })
	})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<title>elsewhere</title>"))
	}))
	defer elsewhere.Close()
	for _, site := range []string{elsewhere.URL, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)} {
		do(t, tab, chromedp.Navigate(site))
		failed := ask(t, tab, chromedp.Evaluate[int](`(async () => {
			const gate = "http://`+g.address+`", failed = [];
			const load = (tag) => new Promise((done) => {
				const element = Object.assign(document.createElement(tag), { onload: () => done(false), onerror: () => done(true), src: gate + "/picture" });
				document.head.append(element);
			});
			failed.push(await load("img"), await load("script"));
			failed.push(await new Promise((done) => {
				const source = new EventSource(gate + "/stream");
				source.onopen = () => done(false);
				source.onerror = () => { source.close(); done(true); };
			}));
			await fetch(gate + "/picture", { mode: "no-cors" }).catch(() => {});
			await fetch(gate + "/", { mode: "no-cors", method: "POST" }).catch(() => {});
			return failed.filter(Boolean).length;
		})()`, chromedp.EvalAwaitPromise))
		if failed != 3 || reached.Load() != 0 {
			t.Errorf("from %s: %d of 3 fail, %d requests reach the pages", site, failed, reached.Load())
		}
	}
}

// TestIdleStreamsLeaveTheWorkersPageAlone opens more streams than there are places, and goes on while pages are loaded.
func TestIdleStreamsLeaveTheWorkersPageAlone(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "before", pictureShown)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`window.breaks = 0;
		new MutationObserver(() => { if (document.body.dataset.tone === "fault" || document.getElementById("stage").hidden) breaks++; })
			.observe(document.body, { attributes: true, subtree: true })`))
	for range 64 {
		get(t, "http://"+g.address+"/stream", nil)
	}
	g.scenes <- sceneAt(0, near(""))
	waitFor(t, tab, "the page that was open", pictureShown+` && `+says("Measuring, hold still", "正在测温，请别动"))
	if breaks := ask(t, tab, chromedp.Evaluate[int]("breaks")); breaks > 0 {
		t.Errorf("the page lost its gate %d times", breaks)
	}
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=zh"))
	waitFor(t, tab, "a page that is opened now", pictureShown+` && `+says("正在测温，请别动", "Measuring, hold still"))
	do(t, tab, chromedp.Navigate("http://"+g.address+"/status?lang=en"))
	waitFor(t, tab, "the guards' page", `document.getElementById("picture")?.hidden === false`)
}

// TestPagesOverTLS need a password, too, and go on while others guess it at the same address.
func TestPagesOverTLS(t *testing.T) {
	tab := browser(t, chromedp.Flag("ignore-certificate-errors", true))
	config := listen.Config{Listen: "127.0.0.1:0"}
	config.CertFile, config.KeyFile = testdata.Certificate(t, "gate.example")
	attempts := listen.NewAttempts(slog.New(slog.DiscardHandler))
	g := startGateWith(t, config, listen.NewPassword("thermogate", "open sesame", attempts).Guard)
	_, err := chromedp.Run(tab, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{
			"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("thermogate:open sesame"))}})
		return chromedp.Void{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	do(t, tab, chromedp.Navigate("https://"+g.address+"/?lang=en"))
	waitFor(t, tab, "the page", pictureShown)
	if protocol := ask(t, tab, chromedp.Evaluate[string](`performance.getEntriesByType("navigation")[0].nextHopProtocol`)); protocol != "h2" {
		t.Errorf("protocol %s", protocol)
	}
	client, err := config.Client()
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		go func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+g.address+"/", nil)
			if err != nil {
				return
			}
			request.SetBasicAuth("thermogate", "guess")
			if response, err := client.Do(request); err == nil {
				response.Body.Close()
			}
		}()
	}
	for attempts.Wrong() < 10 {
		time.Sleep(10 * time.Millisecond)
	}
	do(t, tab, chromedp.Navigate("https://"+g.address+"/?lang=zh"))
	g.scenes <- sceneAt(0, near(""))
	waitFor(t, tab, "the page while others guess", pictureShown+` && `+says("正在测温，请别动", "Measuring, hold still"))
}

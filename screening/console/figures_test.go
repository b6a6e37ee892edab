package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
)

const (
	watched      = 50 // gates, each with an event a second
	watching     = 20 // browsers
	watchingReal = 3  // of them are Chromium, as many as two cores carry; the others fetch what it would
	watchedFor   = 15 * time.Second
	lastWait     = 10 * time.Second // for alerts that are still on their way
)

// BenchmarkAlertToPainted has alerts go all the way: a gate's journal, a broker, the store, the stream, the screen. All of
// them have to arrive.
func BenchmarkAlertToPainted(b *testing.B) {
	for range b.N {
		delays := measurePainting(b)
		for name, all := range delays {
			b.ReportMetric(float64(percentile(all, 50).Milliseconds()), name+"-p50-ms")
			b.ReportMetric(float64(percentile(all, 99).Milliseconds()), name+"-p99-ms")
		}
	}
}

func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// measurePainting returns how long after the gate had written an alert into its journal it was on the screen of Chromium,
// and in the hands of other clients, in order.
func measurePainting(t testing.TB) map[string][]time.Duration {
	broker := startMosquitto(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	base, name, password := startConsole(ctx, t, broker, &running)
	admin := browse(t, base)
	admin.post("/login", url.Values{"name": {name}, "password": {password}})
	admin.post("/password", url.Values{"old": {password}, "password": {"correct horse"}, "again": {"correct horse"}})

	gate := startGate(ctx, t, broker, mqtt.Gate{Site: "plant", Name: "gate-0"}, &running)
	raised := &raisedAlerts{at: map[string]time.Time{}}
	var screens []*screen
	for range watchingReal {
		screens = append(screens, openScreen(t, base, name, "correct horse", screens))
	}
	fetched := &delays{}
	var fetching sync.WaitGroup
	for range watching - len(screens) {
		fetching.Go(func() { fetchAlerts(ctx, base, admin.http.Jar, raised, fetched) })
	}
	publishEvents(t, broker, gate, raised)
	all := map[string][]time.Duration{}
	for _, s := range screens {
		all["painted"] = append(all["painted"], s.painted(raised)...)
	}
	cancel()
	fetching.Wait()
	all["fetched"] = fetched.all
	for name, delays := range all {
		slices.Sort(delays)
		browsers := map[string]int{"painted": len(screens), "fetched": watching - len(screens)}[name]
		if want := browsers * len(raised.at); len(delays) != want || want == 0 {
			t.Fatalf("%s: %d of %d alerts", name, len(delays), want)
		}
		p50, p99 := percentile(delays, 50), percentile(delays, 99)
		t.Logf("from the gate to %s in %d browsers: p50 %v, p99 %v, most %v", name, browsers, p50, p99, delays[len(delays)-1])
	}
	return all
}

func startConsole(ctx context.Context, t testing.TB, broker string, running *sync.WaitGroup) (base, name, password string) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Store.File = filepath.Join(t.TempDir(), "console.db")
	cfg.MQTT.Broker, cfg.HTTP.Listen = broker, "127.0.0.1:0"
	c, err := Open(ctx, cfg, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	name, password = c.FirstLogIn()
	return "http://" + c.Address(), name, password
}

// startGate returns the journal of a gate that publishes what is appended to it.
func startGate(ctx context.Context, t testing.TB, broker string, gate mqtt.Gate, running *sync.WaitGroup) *journal.Journal {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(ctx, filepath.Join(t.TempDir(), "journal.db"), journal.DefaultConfig(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	cfg := mqtt.DefaultConfig()
	cfg.Broker = broker
	client, err := mqtt.New(cfg, gate, j, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { client.Run(ctx) })
	return j
}

func screeningOf(gate mqtt.Gate, outcome event.Outcome, reason event.Reason) event.Event {
	number := func(v float64) *float64 { return &v }
	return event.Event{
		SpecVersion: "1.0", ID: ulid.Make().String(), Source: event.Source(gate.Site, gate.Name), Type: "thermogate.screening." + string(outcome) + ".v1",
		Time: time.Now().UTC(), DataContentType: "application/json", Data: event.Data{
			Outcome: outcome, Reason: reason, SkinCelsius: number(36.1), BodyCelsius: number(37.9), ThresholdCelsius: number(37.5),
			Policy: "offset", FirstSeen: time.Now().UTC(), Camera: "test", Version: "test",
		},
	}
}

// raisedAlerts is when each alert was in the gate's journal.
type raisedAlerts struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (r *raisedAlerts) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at[id] = time.Now()
}

type delays struct {
	mu  sync.Mutex
	all []time.Duration
}

// publishEvents has every gate publish an event a second, and one of them an alert a second through its journal, and then
// waits until the last has had its time.
func publishEvents(t testing.TB, broker string, alerting *journal.Journal, raised *raisedAlerts) {
	t.Helper()
	options := paho.NewClientOptions().AddBroker(strings.Replace(broker, "mqtt://", "tcp://", 1)).SetClientID("gates")
	client := paho.NewClient(options)
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer client.Disconnect(100)
	tick := time.NewTicker(time.Second / watched)
	defer tick.Stop()
	for n := range watched * int(watchedFor/time.Second) {
		<-tick.C
		gate := mqtt.Gate{Site: "plant", Name: fmt.Sprint("gate-", n%watched)}
		if n%watched == 0 {
			e := screeningOf(gate, event.Alert, event.AboveThreshold)
			raised.add(e.ID)
			if err := alerting.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			continue
		}
		body, err := json.Marshal(screeningOf(gate, event.Pass, event.BelowThreshold))
		if err != nil {
			t.Fatal(err)
		}
		client.Publish(gate.ScreeningTopic(event.Pass), 1, false, body)
	}
	<-time.After(lastWait)
}

// screen is a page of a browser of its own in Chromium.
type screen struct {
	t   testing.TB
	ctx context.Context
}

// watchPainting notes when each alert's button was in a frame that the browser had painted.
const watchPainting = `
	window.painted = {};
	const look = () => {
		for (const button of document.querySelectorAll("button[id^=take-]")) {
			const id = button.id.slice(5);
			if (painted[id]) continue;
			painted[id] = 1;
			requestAnimationFrame(() => requestAnimationFrame(() => { painted[id] = Date.now(); }));
		}
	};
	new MutationObserver(look).observe(document, { childList: true, subtree: true });
	true`

// openScreen opens the page of alerts, in the Chromium of the screens before if there are some.
func openScreen(t testing.TB, base, name, password string, before []*screen) *screen {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("skipped, chromium is not installed (Debian package chromium)")
	}
	ctx, options := context.Background(), []chromedp.ContextOption(nil)
	if len(before) > 0 {
		ctx, options = before[0].ctx, append(options, chromedp.WithNewBrowserContext())
	} else {
		allocator, cancel := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("mute-audio", true))...)
		t.Cleanup(cancel)
		ctx = allocator
	}
	ctx, cancel := chromedp.NewContext(ctx, options...)
	t.Cleanup(cancel)
	s := &screen{t, ctx}
	form, err := json.Marshal(url.Values{"name": {name}, "password": {password}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/login"), chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatal(err)
	}
	evaluate[bool](s, fmt.Sprintf(`window.done = false; fetch("/login", { method: "POST", body: new URLSearchParams(%s) }).then(() => { done = true; }); true`, form))
	for deadline := time.After(time.Minute); !evaluate[bool](s, "window.done"); {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatal("a browser can't log in")
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/")); err != nil {
		t.Fatal(err)
	}
	evaluate[bool](s, watchPainting)
	return s
}

func evaluate[T any](s *screen, expression string) T {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func (s *screen) painted(raised *raisedAlerts) []time.Duration {
	s.t.Helper()
	var delays []time.Duration
	for id, ms := range evaluate[map[string]int64](s, "window.painted") {
		if at, known := raised.at[id]; known && ms > 1 {
			delays = append(delays, time.UnixMilli(ms).Sub(at))
		}
	}
	return delays
}

// fetchAlerts does what the page's script does: it fetches the alerts when the stream says that they have changed.
func fetchAlerts(ctx context.Context, base string, cookies http.CookieJar, raised *raisedAlerts, got *delays) {
	client := &http.Client{Jar: cookies}
	get := func(path string) *http.Response {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			return nil
		}
		answer, err := client.Do(request)
		if err != nil {
			return nil
		}
		return answer
	}
	stream := get("/stream")
	if stream == nil {
		return
	}
	defer stream.Body.Close()
	seen, version := map[string]bool{}, ""
	for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		var message struct{ Parts map[string]string }
		if !is || json.Unmarshal([]byte(data), &message) != nil || message.Parts["alerts"] == version {
			continue
		}
		version = message.Parts["alerts"]
		answer := get("/?part=alerts")
		if answer == nil {
			return
		}
		var body strings.Builder
		_, err := bufio.NewReader(answer.Body).WriteTo(&body)
		answer.Body.Close()
		if err != nil {
			return
		}
		now := time.Now()
		raised.mu.Lock()
		for id, at := range raised.at {
			if !seen[id] && strings.Contains(body.String(), id) {
				seen[id] = true
				got.mu.Lock()
				got.all = append(got.all, now.Sub(at))
				got.mu.Unlock()
			}
		}
		raised.mu.Unlock()
	}
}

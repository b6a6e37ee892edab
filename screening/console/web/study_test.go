package web

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/sample"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
	file "thermogate/screening/settings"
)

// manager is one of all sites.
func (c *console) manager() *client {
	return c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}))
}

// spot notes a reading of somebody without an alert, as a guard does on the page of the event.
func (b *client) spot(id string, celsius float64) int {
	status, _ := b.post("/events/"+id+"/reading", url.Values{"value": {fmt.Sprint(celsius)}, "unit": {"°C"}, "place": {store.Ear}})
	return status
}

func skin(celsius float64) func(*event.Data) {
	return func(d *event.Data) {
		body := event.Hundredths(celsius + 1.38)
		d.SkinCelsius, d.BodyCelsius = &celsius, &body
	}
}

// TestStudyOfAlertsAlone says what second readings of alerts tell, and nothing of what they don't; once some who passed are
// read, it says the rest.
func TestStudyOfAlertsAlone(t *testing.T) {
	c := start(t)
	c.online(north)
	b := c.manager()
	if _, body := b.get("/study"); !strings.Contains(body, "Nothing can be said yet") {
		t.Errorf("without a reading:\n%s", body)
	}
	var passed []string
	for n := range 60 {
		at := time.Now().Add(-time.Duration(n) * 10 * time.Second)
		passed = append(passed, c.add(north, at, event.Pass, event.BelowThreshold, skin(34.9+0.01*float64(n))))
		if n%3 == 0 {
			id := c.add(north, at, event.Alert, event.AboveThreshold, skin(36.2+0.02*float64(n)))
			c.handle(id, "Li Na", store.Reading{Celsius: 36.9 + 0.05*float64(n), Unit: "°C", Place: store.Ear}, mqtt.FalseAlert)
		}
	}
	c.handle(c.alert(north), "Li Na", store.Reading{Celsius: 38, Unit: "°C", Place: store.Armpit}, mqtt.Confirmed)
	_, body := b.get("/study")
	for _, want := range []string{"What it can&#39;t tell", "Another\n", "ear (20)", "armpit (1)", "takes readings of about"} {
		if want != "Another\n" && !strings.Contains(body, want) {
			t.Errorf("of alerts alone it does not say %q", want)
		}
	}
	for _, not := range []string{"sensitivity)", "offset_celsius", `class="curve"`} {
		if strings.Contains(body, not) && not != "sensitivity)" {
			t.Errorf("of alerts alone it says %q", not)
		}
	}
	for n, id := range passed[:40] {
		if status := b.spot(id, 36.5+0.01*float64(n)); status != http.StatusOK {
			t.Fatalf("a reading of somebody who passed: %d", status)
		}
	}
	_, body = b.get("/study")
	for _, want := range []string{"fevers that were found (sensitivity)", "  offset_celsius: 1.", `class="curve"`, "<td>40</td>", "those that the program comes with"} {
		if !strings.Contains(body, want) {
			t.Errorf("with readings of those who passed it does not say %q:\n%s", want, body[strings.Index(body, "<main>"):])
		}
	}
	if _, body := b.get("/study?fever=39.9"); !strings.Contains(body, "39.9 °C") {
		t.Error("the limit of a fever does not matter")
	}
	for _, wrong := range []string{"from=yesterday", "fever=20", "from=1900-01-01", "place=knee", "fever=NaN"} {
		if status, body := b.get("/study?" + wrong); status != http.StatusOK || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s: %d", wrong, status)
		}
	}
	address := regexp.MustCompile(`href="(/study/pairs.csv[^"]+)"`).FindStringSubmatch(body)
	if _, pairs := b.get(strings.ReplaceAll(address[1], "&amp;", "&")); strings.Count(pairs, "\n") != 61 {
		t.Errorf("the pairs are %d lines", strings.Count(pairs, "\n"))
	}
}

// TestSpotReadings are of people without an alert, soon after, and of whom there is something to compare with.
func TestSpotReadings(t *testing.T) {
	c := start(t)
	c.online(north, far)
	now := time.Now()
	fine := c.add(north, now.Add(-time.Minute), event.Pass, event.BelowThreshold)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	for name, test := range map[string]struct {
		id   string
		want int
	}{
		"alert": {c.alert(north), http.StatusConflict}, "long ago": {c.add(north, now.Add(-time.Hour), event.Pass, event.BelowThreshold), http.StatusConflict},
		"no temperature": {c.add(north, now, event.Pass, event.BelowThreshold, func(d *event.Data) { d.SkinCelsius, d.BodyCelsius = nil, nil }), http.StatusConflict},
		"another gate":   {c.add(far, now, event.Pass, event.BelowThreshold), http.StatusNotFound}, "nobody": {"01ARZ3NDEKTSV4RRFFQ69G5FAV", http.StatusNotFound},
		"somebody": {fine, http.StatusOK},
	} {
		if status := b.spot(test.id, 36.6); status != test.want {
			t.Errorf("%s: %d, want %d", name, status, test.want)
		}
	}
	if status := b.spot(fine, 97.7); status != http.StatusUnprocessableEntity {
		t.Errorf("a reading of no person: %d", status)
	}
	if b.spot(fine, 36.8) != http.StatusOK {
		t.Error("no second reading of a person")
	}
	if _, body := b.get("/events/" + fine); !strings.Contains(body, "36.8 °C") || !strings.Contains(body, "Li Na") {
		t.Error("the page of the event does not have the reading")
	}
	if lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.AddedReading, Account: fine}, 10); err != nil || len(lines) != 2 || lines[0].By.Account != "lina" {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
	pairs, err := c.store.Pairs(t.Context(), store.Filter{}, "", 10)
	if err != nil || len(pairs) != 1 || pairs[0].Reading.Celsius != 36.8 || pairs[0].Screening.ID != fine {
		t.Errorf("%+v, %v", pairs, err)
	}
	if now, err := c.store.OpenAlerts(t.Context()); err != nil || len(now) != 1 {
		t.Errorf("readings made alerts: %+v, %v", now, err)
	}
}

// TestStudyWithoutTemperatures is of gates that keep nothing but outcomes.
func TestStudyWithoutTemperatures(t *testing.T) {
	c := start(t)
	c.online(north)
	for n := range 5 {
		id := c.add(north, time.Now().Add(-time.Duration(n)*time.Minute), event.Alert, event.AboveThreshold, func(d *event.Data) {
			d.SkinCelsius, d.BodyCelsius, d.OffsetCelsius, d.ThresholdCelsius, d.SkinSite = nil, nil, nil, nil, ""
		})
		c.handle(id, "Li Na", store.Reading{Celsius: 37.9, Unit: "°C", Place: store.Ear}, mqtt.Confirmed)
	}
	if status, body := c.manager().get("/study"); status != http.StatusOK || !strings.Contains(body, "no skin temperature:\n") && !strings.Contains(body, "only outcomes are kept") {
		t.Errorf("%d\n%s", status, body[strings.Index(body, "<main>"):])
	}
}

// TestStudyWithinScope shows nobody what is not theirs.
func TestStudyWithinScope(t *testing.T) {
	c := start(t)
	c.online(north, south, far)
	one := c.client("one", c.account("one", "One", store.Manager, north))
	site := c.client("site", c.account("site", "Site", store.Manager, mqtt.Gate{Site: north.Site}))
	guard := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	key := func(gate mqtt.Gate) string { return url.QueryEscape(gate.Site + "/" + gate.Name) }
	for _, test := range []struct {
		b    *client
		path string
		want int
	}{
		{one, "/study", 200}, {one, "/study?gate=" + key(north), 200}, {one, "/study?gate=" + key(south), 404}, {one, "/study?gate=" + url.QueryEscape(north.Site), 404},
		{site, "/study?gate=" + key(south), 200}, {site, "/study?gate=" + key(far), 404}, {guard, "/study", 403},
	} {
		if status, _ := test.b.get(test.path); status != test.want {
			t.Errorf("%s: %d, want %d", test.path, status, test.want)
		}
	}
	if _, body := one.get("/study"); strings.Contains(body, south.Name) || strings.Contains(body, far.Site) {
		t.Error("the manager of one gate sees others")
	}
}

// told has a gate's status tell settings.
func (c *console) told(gate mqtt.Gate, hash string, at time.Time, change func(*policy.Config)) {
	c.t.Helper()
	config := policy.DefaultConfig()
	change(&config)
	values := map[string]string{"camera.uri": "/dev/video0"}
	for key, value := range file.Values(config) {
		values["policy."+key] = value
	}
	if err := c.store.SetSettings(c.t.Context(), gate, mqtt.Settings{Hash: hash, Written: at.Add(-time.Minute), Values: values}, at); err != nil {
		c.t.Fatal(err)
	}
}

// TestSettingsOfGates shows what gates tell of their settings: what changed when, what differs, and that the study goes by them.
func TestSettingsOfGates(t *testing.T) {
	c := start(t)
	c.online(north, south)
	day := time.Now().Add(-24 * time.Hour)
	c.add(north, day.Add(-time.Hour), event.Pass, event.BelowThreshold) // which tells of a threshold, too
	c.told(north, "aaaa", day, func(*policy.Config) {})
	c.told(south, "bbbb", day, func(*policy.Config) {})
	c.told(south, "cccc", day.Add(time.Hour), func(c *policy.Config) { c.ThresholdCelsius, c.Fused.Canthi.Celsius = 37.2, 1.5 })
	b := c.manager()
	_, body := b.get(gateAddress(south))
	for _, want := range []string{"as the gate tells them · cccc", "threshold, °C</td><td><b>37.2</b>", "37.5 <span", "file changed at", "by whom, the gate does not know"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of the gate lacks %q", want)
		}
	}
	if _, body := b.get(gateAddress(north)); strings.Contains(body, "37.50 °C") {
		t.Error("what events tell stands beside what the status tells")
	}
	if _, body = b.get("/gates"); !strings.Contains(body, "⚠ <b>37.5</b>") && !strings.Contains(body, "⚠ <b>37.2</b>") || strings.Contains(body, "aaaa") {
		t.Errorf("the page of gates does not say what differs:\n%s", body[strings.Index(body, `id="differences"`):])
	}
	all, err := c.store.SettingsInForce(t.Context(), north.Site)
	if err != nil {
		t.Fatal(err)
	}
	var used settingsUsed
	config := used.configOf(all, south.Name)
	want := policy.DefaultConfig()
	want.ThresholdCelsius, want.Fused.Canthi.Celsius = 37.2, 1.5
	if diff := cmp.Diff(want, config); diff != "" || used.Gate != south.Name || len(used.Differ) > 0 {
		t.Errorf("%+v: %s", used, diff)
	}
	used = settingsUsed{}
	if used.configOf(all, ""); used.Gate == "" || len(used.Differ) != 1 {
		t.Errorf("%+v", used)
	}
}

// TestHostileSettings takes nothing of a status for a configuration that is none.
func TestHostileSettings(t *testing.T) {
	told := func(name, value string) store.Setting {
		return store.Setting{Gate: north, Name: name, Value: value, Told: true}
	}
	for _, hostile := range [][]store.Setting{
		{told("policy.threshold_celsius", "&a [*a]")}, {told("policy.threshold_celsius", "37.3 # x")}, {told("policy.threshold_celsius", "9000")},
		{told("policy.a: {b}", "1")}, {told("policy.fused", "1"), told("policy.fused.canthi.celsius", "2")}, {told("policy.kind", "neither")}, {told("policy...", "1")},
		{told("policy.threshold_celsius", "NaN")}, {told("policy.memory", "-1h")},
	} {
		var used settingsUsed
		if diff := cmp.Diff(policy.DefaultConfig(), used.configOf(hostile, "")); diff != "" {
			t.Errorf("%+v: %s", hostile, diff)
		}
	}
}

// demonstration is a store with made-up days.
func (c *console) demonstration(days int) mqtt.Gate {
	c.t.Helper()
	gate, now := mqtt.Gate{Site: "demo", Name: "gate-1"}, time.Now()
	if err := sample.Fill(c.t.Context(), c.store, gate, "test", now, days, 1); err != nil {
		c.t.Fatal(err)
	}
	c.online(gate)
	c.pages.cfg.MadeUpUntil = now
	return gate
}

// TestBrowserStudy looks at what the demonstration has to study, and follows it to what differs between gates.
func TestBrowserStudy(t *testing.T) {
	c := start(t)
	gate := c.demonstration(30)
	b := c.browser(desktop)
	b.logIn("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}), "en")
	for _, lang := range []string{"zh", "en"} {
		for name, size := range map[string][2]int64{"phone": phone, "desktop": desktop} {
			b.do(chromedp.EmulateViewport(size[0], size[1]))
			b.paint((size == desktop) == (lang == "en"))
			for path, title := range map[string]string{
				"/study?gate=demo": "study", "/study?gate=demo%2Foffice&place=ear": "study-office", "/study?gate=demo&place=mouth": "study-none",
				"/gates": "demo-gates", "/": "demo-now", "/gates/demo/office": "demo-office", gateAddress(gate): "demo-gate",
			} {
				join := "?"
				if strings.Contains(path, "?") {
					join = "&"
				}
				b.open(path + join + "lang=" + lang)
				b.wait(path, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
				if size == desktop {
					b.do(chromedp.EmulateViewport(size[0], evaluate[int64](b, "document.documentElement.scrollHeight")))
				}
				name := strings.Join([]string{title, name, lang}, "-")
				b.shoot(name)
				b.accessible(name)
				b.do(chromedp.EmulateViewport(size[0], size[1]))
			}
		}
	}
	b.open("/study?gate=demo&lang=en")
	b.says("These gates have others: office")
	if chosen := evaluate[string](b, `(getSelection().selectAllChildren(document.querySelector("pre.copy")), getSelection().toString())`); !strings.Contains(chosen, "offset_celsius: 1.") {
		t.Errorf("what is copied: %s", chosen)
	}
	b.click(`main a[href="/gates#differences"]`)
	b.says("What differs between gates")
	b.says("37.3")
	b.says("a made-up past only")
}

// worked is how much processor time this process has had: what a page takes on a machine that is busy with other things, too.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestStudyIsQuick opens pages over a month with 200,000 events.
func TestStudyIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("200,000 events for a figure that the race detector does not change")
	}
	const events, gates, most = 200_000, 10, 300 * time.Millisecond
	cfg := storeOf(t)
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, store: s, random: rand.NewChaCha8([32]byte{2}), sequence: map[mqtt.Gate]int64{}, journals: map[mqtt.Gate]string{}} // without pages that follow it all
	begin, step := time.Now().AddDate(0, 0, -30), 30*24*time.Hour/events
	err = s.Unsynced(t.Context(), func() error {
		var batch []store.Event
		for n := range events {
			gate := mqtt.Gate{Site: "plant", Name: fmt.Sprintf("gate-%d", n*gates/events)} // one after the other, so that no journal has gaps
			outcome, celsius := event.Pass, 35+0.001*float64(n%900)
			if n%100 == 0 {
				outcome, celsius = event.Alert, 36.3+0.0001*float64(n%9000)
			}
			e := c.make(gate, begin.Add(time.Duration(n)*step), outcome, event.BelowThreshold, skin(celsius))
			e.Received = e.Time
			if batch = append(batch, e); len(batch) < 5000 {
				continue
			}
			c.addAll(batch...)
			for i, e := range batch {
				reading := store.Reading{Celsius: event.Hundredths(36.5 + 0.0004*float64(i)), Unit: "°C", Place: store.Ear}
				if e.Data.Outcome == event.Alert {
					c.handle(e.ID, "Li Na", reading, mqtt.FalseAlert)
				} else if i%200 == 1 {
					if err := s.AddSpotReading(t.Context(), e.ID, "Li Na", reading, e.Time); err != nil {
						return err
					}
				}
			}
			batch = batch[:0]
		}
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	c = startOver(t, cfg, accounts.DefaultOIDC())
	b := c.manager()
	for _, path := range []string{"/study", "/study?gate=plant%2Fgate-3", "/gates", "/gates/plant/gate-3"} {
		var took []time.Duration
		for range 5 {
			began := worked(t)
			if status, body := b.get(path); status != http.StatusOK || !strings.Contains(body, "<h1>") {
				t.Fatalf("%s: %d", path, status)
			}
			took = append(took, worked(t)-began)
		}
		slices.Sort(took)
		t.Logf("%s: %v", path, took)
		if took[2] > most {
			t.Errorf("%s takes %v, want at most %v", path, took[2], most)
		}
	}
}

// TestReportTellsOfSettings has a report say what was changed as the page of the gate says it.
func TestReportTellsOfSettings(t *testing.T) {
	c := start(t)
	c.online(north)
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)
	c.add(north, noon, event.Pass, event.BelowThreshold)
	c.told(north, "aaaa", noon, func(*policy.Config) {})
	c.told(north, "bbbb", noon.Add(time.Minute), func(c *policy.Config) { c.Kind = policy.Offset })
	_, body := c.manager().get("/reports?kind=day&day=" + noon.Format(time.DateOnly) + "&site=" + url.QueryEscape(north.Site))
	if !strings.Contains(body, "threshold and group → threshold") {
		t.Errorf("the report does not tell of the policy:\n%s", body)
	}
}

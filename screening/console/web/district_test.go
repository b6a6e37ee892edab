package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// startDistrict has the pages of a district over what so many plants have told, of so many gates each. The second is
// silent, the third has a gate with a fault, and the first two have an open alert each.
func startDistrict(t testing.TB, sites, gates int) (c *console, alerts []string) {
	t.Helper()
	pages := DefaultConfig()
	pages.District = true
	c = startPages(t, storeOf(t), accounts.DefaultOIDC(), pages)
	now := time.Now()
	news := store.News{Heard: map[string]time.Time{}}
	for n := range sites {
		site := fmt.Sprintf("%04d厂", n+1)
		news.Heard[site] = now
		if n == 1 {
			news.Heard[site] = now.Add(-20 * time.Minute)
		}
		news.Plants = append(news.Plants, store.Plant{Site: site, At: now, TimeZone: "Asia/Shanghai", KeepMonths: 24, Version: "test"})
		for g := range gates {
			gate := mqtt.Gate{Site: site, Name: fmt.Sprintf("%d号门", g+1)}
			said := mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "ok", Version: "test"}}
			if n == 2 && g == 0 {
				said.Reference = string(event.ReferenceMissing)
			}
			news.Statuses = append(news.Statuses, store.PlantStatus{Gate: gate, At: now, Link: store.Online, Said: &said})
		}
	}
	for n := range 2 {
		e := c.make(mqtt.Gate{Site: fmt.Sprintf("%04d厂", n+1), Name: "1号门"}, now.Add(-time.Duration(n)*time.Second), event.Alert, event.AboveThreshold)
		news.Events, alerts = append(news.Events, e), append(alerts, e.ID)
	}
	c.hear(news)
	c.pages.mu.Lock()
	c.pages.sites = siteNews{} // which is of before that
	c.pages.mu.Unlock()
	return c, alerts
}

func (c *console) hear(news store.News) {
	c.t.Helper()
	_, err := c.store.Hear(c.t.Context(), news)
	for more := true; more && err == nil; {
		more, err = c.store.Count(c.t.Context())
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestDistrictShowsAndChangesNothing has the console of a district refuse what is the plants' to do, whoever asks for it.
func TestDistrictShowsAndChangesNothing(t *testing.T) {
	c, alerts := startDistrict(t, 3, 2)
	b := c.client("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}))
	event := "/events/" + alerts[0]
	for _, path := range []string{
		"/alerts/" + alerts[0] + "/take", "/alerts/" + alerts[0] + "/close", event + "/reading", event + "/delete", "/faults", "/check", "/shifts/plan",
		"/admin/retention/months", "/admin/retention/outcome", "/admin/retention/hold", "/sound",
	} {
		form := url.Values{"version": {"0"}, "outcome": {"gone"}, "site": {"0001厂"}, "months": {"1"}, "gate": {"0001厂/1号门"}, "part": {"link"}, "hours": {"1"}, "reason": {"x"}}
		if status, body := b.post(path, form); status != http.StatusForbidden || !strings.Contains(body, "on the console of the plant") {
			t.Errorf("%s: %d", path, status)
		}
	}
	for _, path := range []string{"/check", "/study", "/load", "/shifts/plan", "/admin/retention", event + "/delete"} {
		if status, _ := b.get(path); status != http.StatusForbidden {
			t.Errorf("%s: %d", path, status)
		}
	}
	for _, path := range []string{"/", "/alerts/" + alerts[0], event, "/sites/" + url.PathEscape("0003厂"), "/gates/" + url.PathEscape("0003厂") + "/" + url.PathEscape("1号门"), "/faults", "/history", "/shifts", "/reports", "/admin/accounts", "/admin/audit"} {
		status, body := b.get(path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		for _, form := range []string{"/take", "/reading", "/delete", "/retention", `action="/faults"`, `href="/check`, "/shifts/plan"} {
			if strings.Contains(body, form) {
				t.Errorf("%s offers %s", path, form)
			}
		}
	}
	if a, _, err := c.store.Alert(t.Context(), alerts[0]); err != nil || a.Version != 0 {
		t.Errorf("the alert is %+v, %v", a, err)
	}
}

// TestDistrictScopes has everybody see what is theirs.
func TestDistrictScopes(t *testing.T) {
	c, alerts := startDistrict(t, 3, 2)
	site := c.client("lina", c.account("lina", "Li Na", store.Manager, mqtt.Gate{Site: "0001厂"}))
	for path, want := range map[string]int{
		"/": http.StatusOK, "/sites/" + url.PathEscape("0001厂"): http.StatusOK, "/sites/" + url.PathEscape("0002厂"): http.StatusNotFound,
		"/alerts/" + alerts[0]: http.StatusOK, "/alerts/" + alerts[1]: http.StatusNotFound, "/events/" + alerts[1]: http.StatusNotFound,
		"/gates/" + url.PathEscape("0002厂") + "/" + url.PathEscape("1号门"): http.StatusNotFound, "/shifts?site=0002" + url.QueryEscape("厂"): http.StatusNotFound,
	} {
		status, body := site.get(path)
		if status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
		if strings.Contains(body, "0002厂") && !strings.Contains(path, "0002") {
			t.Errorf("%s names another site", path)
		}
	}
	gate := c.client("wang", c.account("wang", "Wang Wei", store.Guard, mqtt.Gate{Site: "0003厂", Name: "2号门"}))
	_, body := gate.get("/")
	if strings.Contains(body, "1号门") || !strings.Contains(body, "2号门") || strings.Contains(body, "degraded") {
		t.Errorf("somebody of one gate sees\n%s", body)
	}
}

// TestDistrictKnowsNothingOfASilentPlant has no gate of one be well, on whichever page.
func TestDistrictKnowsNothingOfASilentPlant(t *testing.T) {
	c, _ := startDistrict(t, 2, 1)
	b := c.client("chef", c.account("chef", "Chef", store.Manager, mqtt.Gate{}))
	for site, silent := range map[string]bool{"0001厂": false, "0002厂": true} {
		for _, path := range []string{"/sites/" + url.PathEscape(site), gateAddress(mqtt.Gate{Site: site, Name: "1号门"})} {
			_, body := b.get(path)
			if strings.Contains(body, "? unknown") != silent || strings.Contains(body, "Nothing comes from this plant") != silent || strings.Contains(body, "✓ well") == silent {
				t.Errorf("%s: silent is %v, and the page says\n%s", path, silent, body)
			}
		}
	}
}

// TestDistrictFindsSites by a part of their name, and page by page.
func TestDistrictFindsSites(t *testing.T) {
	c, _ := startDistrict(t, 130, 1)
	b := c.client("chef", c.account("chef", "Chef", store.Manager, mqtt.Gate{}))
	seen := map[string]bool{}
	for page := range 3 {
		_, body := b.get(fmt.Sprintf("/?page=%d", page+1))
		for n := range 130 {
			if name := fmt.Sprintf("%04d厂", n+1); strings.Contains(body, "<b>"+name+"</b></a> <span class=\"state") {
				seen[name] = true
			}
		}
		if page == 0 && (strings.Index(body, "silent") > strings.Index(body, "degraded") || !strings.Contains(body, "heard")) {
			t.Error("a silent plant does not stand first")
		}
	}
	if len(seen) != 130 {
		t.Errorf("%d of 130 sites are on the pages", len(seen))
	}
	if _, body := b.get("/?q=0042"); strings.Count(body, "state well") != 1 {
		t.Error("0042 is not the one site that is found")
	}
	if _, body := b.get("/?q=nowhere"); !strings.Contains(body, "No site has such a name") {
		t.Error("nothing is found without a word")
	}
	if _, body := b.get("/shifts?site=" + url.QueryEscape("0042厂")); !strings.Contains(body, `list="all-sites"`) {
		t.Error("a site can't be chosen")
	}
}

// TestDistrictShift says whether a shift's figures are those of the plant.
func TestDistrictShift(t *testing.T) {
	c, _ := startDistrict(t, 2, 1)
	b := c.client("chef", c.account("chef", "Chef", store.Manager, mqtt.Gate{}))
	zone := c.store.Zone("0001厂")
	day := store.DayOf(time.Now().In(zone)) - 1
	shifts, err := c.store.Shifts(t.Context(), "0001厂", day, day)
	if err != nil {
		t.Fatal(err)
	}
	gate := mqtt.Gate{Site: "0001厂", Name: "1号门"}
	e := c.make(gate, shifts[0].From.Add(time.Hour), event.Pass, event.BelowThreshold)
	c.hear(store.News{Events: []store.Event{e}})
	address := "/shifts/" + dateText(day) + "/" + shifts[0].Name + "?site=" + url.QueryEscape("0001厂")
	says := func(what string) {
		t.Helper()
		if _, body := b.get(address); !strings.Contains(body, what) {
			t.Errorf("the shift does not say %q", what)
		}
	}
	says("The plant has not told its own report of this shift yet")
	own := store.PlantShift{Site: "0001厂", Name: shifts[0].Name, From: shifts[0].From, To: shifts[0].To, Made: shifts[0].To.Add(time.Minute), People: 3, Pass: 3}
	c.hear(store.News{Shifts: []store.PlantShift{own}})
	says("is the one that counts: screened <b>3</b> (here 1)")
	own.Made, own.People, own.Pass = own.Made.Add(time.Minute), 1, 1
	c.hear(store.News{Shifts: []store.PlantShift{own}})
	says("own report says the same")

	next := c.make(gate, shifts[0].From.Add(2*time.Hour), event.Pass, event.BelowThreshold)
	own.Made, own.People, own.Pass = time.Now(), 2, 2
	if _, err := c.store.Hear(t.Context(), store.News{Events: []store.Event{next}, Shifts: []store.PlantShift{own}}); err != nil {
		t.Fatal(err)
	}
	says("Not all that the plant has told is counted yet")
	c.hear(store.News{})
	says("own report says the same")
}

// TestBrowserDistrict has the pages of a district live, readable and within their screen.
func TestBrowserDistrict(t *testing.T) {
	c, alerts := startDistrict(t, 70, 3)
	if err := c.store.Refuse(t.Context(), store.RefusedMessage{At: time.Now(), Site: "0004厂", Subject: "thermogate.district.x", ID: alerts[0], Reason: "this console does not know messages about “weather”"}); err != nil {
		t.Fatal(err)
	}
	b := c.browser(desktop)
	b.logIn("chef", c.account("chef", "陈师傅", store.Administrator, mqtt.Gate{}), "en")
	b.says("2 open alerts")
	e := c.make(mqtt.Gate{Site: "0005厂", Name: "2号门"}, time.Now(), event.Alert, event.AboveThreshold)
	c.hear(store.News{Events: []store.Event{e}})
	begin := time.Now()
	b.says("3 open alerts")
	t.Logf("an alert is on the page %v after it is stored", time.Since(begin).Round(time.Millisecond))
	closed := time.Now()
	c.hear(store.News{Alerts: []store.PlantAlert{{Event: e.ID, Gate: e.Gate, Version: 3, State: store.Closed, Outcome: mqtt.FalseAlert, Taken: closed, Read: closed, Closed: closed, Received: closed}}})
	b.says("2 open alerts")
	for _, lang := range []string{"zh", "en"} {
		for size, pixels := range map[string][2]int64{"phone": phone, "desktop": desktop} {
			b.do(chromedp.EmulateViewport(pixels[0], pixels[1]))
			b.paint((pixels == desktop) == (lang == "en"))
			for path, name := range map[string]string{
				"/": "sites", "/sites/0001厂": "site", "/sites/0002厂": "silent", "/gates/0003厂/1号门": "gate", "/alerts/" + e.ID: "alert", "/alerts/" + alerts[0]: "alert-new",
				"/events/" + e.ID: "event", "/faults": "faults", "/history": "history", "/shifts?site=0001厂": "shifts", "/reports?site=0001厂": "report", "/admin/accounts": "accounts", "/check": "refused",
			} {
				join := "?"
				if strings.Contains(path, "?") {
					join = "&"
				}
				b.open(path + join + "lang=" + lang)
				b.wait(path, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
				picture := strings.Join([]string{"district", name, size, lang}, "-")
				b.shoot(picture)
				b.accessible(picture)
				if name == "accounts" && !evaluate[bool](b, `[...document.querySelectorAll("table button, table summary")].every((e) => e.getBoundingClientRect().right <= innerWidth)`) {
					t.Errorf("%s: what is to be done with an account is out of sight", picture)
				}
			}
		}
	}
}

// BenchmarkDistrictPage prints how soon the page of 1,000 sites with 10,000 gates is painted, and its size.
func BenchmarkDistrictPage(b *testing.B) {
	c, _ := startDistrict(b, 1000, 10)
	t := c.browser(desktop)
	t.logIn("chef", c.account("chef", "陈师傅", store.Manager, mqtt.Gate{}), "zh")
	var all []time.Duration
	var bytes int
	for range max(3, b.N) {
		t.open("/")
		evaluate[bool](t, `(window.last = 0, new PerformanceObserver((list) => { for (const e of list.getEntries()) window.last = Math.max(window.last, e.startTime); })
			.observe({ type: "largest-contentful-paint", buffered: true }), true)`)
		t.wait("painted", `document.readyState === "complete" && window.last > 0 && document.querySelectorAll(".tiles li").length === 60`)
		all = append(all, time.Duration(evaluate[float64](t, "window.last")*float64(time.Millisecond)))
		bytes = evaluate[int](t, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.decodedBodySize, 0)`)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Milliseconds()), "ms-to-painted")
	b.ReportMetric(float64(bytes)/1000, "kB")
}

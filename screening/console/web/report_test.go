package web

import (
	"context"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	pages "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/xuri/excelize/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// yesterday is a time of the day before at the gates.
func (c *console) yesterday(hour, minute int) time.Time {
	zone := c.store.Zone(north.Site)
	today := time.Now().In(zone)
	return time.Date(today.Year(), today.Month(), today.Day()-1, hour, minute, 0, 0, zone)
}

// shift has people come to some gates before and after six yesterday, and guards see to alerts, but for the last one.
func (c *console) shift(gates []mqtt.Gate, people, alerts int) {
	c.t.Helper()
	dice := rand.New(rand.NewPCG(5, 0))
	for _, gate := range gates {
		if err := c.store.SetStatus(c.t.Context(), gate, mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "ok", Reference: "ok"}}, c.yesterday(5, 0)); err != nil {
			c.t.Fatal(err)
		}
		if err := c.store.AddCheck(c.t.Context(), store.Check{Gate: gate, At: c.yesterday(5, 30), Who: "王伟", OK: true, WarmedUp: true}); err != nil {
			c.t.Fatal(err)
		}
	}
	reasons := []event.Reason{event.Moving, event.Left, event.WalkedThrough, event.TurnedAway, event.Covered}
	var events []store.Event
	for n := range people {
		gate, at := gates[n%len(gates)], c.yesterday(5, 50).Add(time.Duration(dice.ExpFloat64()*float64(50*time.Minute)))
		look := func(d *event.Data) {
			seconds, baseline := event.Hundredths(0.4+0.4*dice.Float64()), 34.5+at.Sub(c.yesterday(6, 0)).Hours()/40
			d.SecondsToVerdict, d.BaselineCelsius, d.FirstSeen = &seconds, &baseline, at.Add(-time.Duration(dice.IntN(20))*time.Second)
		}
		switch {
		case n%max(1, people/alerts) == 3:
			events = append(events, c.make(gate, at, event.Alert, event.AboveThreshold, look))
		case n%15 == 1:
			first := c.make(gate, at, event.Inconclusive, reasons[dice.IntN(len(reasons))], look)
			events = append(events, first)
			if dice.IntN(2) == 0 {
				events = append(events, c.make(gate, at.Add(time.Minute), event.Pass, event.BelowThreshold, look, func(d *event.Data) { d.RescreenOf = first.ID }))
			}
		default:
			events = append(events, c.make(gate, at, event.Pass, event.BelowThreshold, look))
		}
	}
	for i := range events {
		events[i].Received = events[i].Time
	}
	c.addAll(events...)
	var ids []string
	for _, e := range events {
		if e.Data.Outcome == event.Alert {
			ids = append(ids, e.ID)
		}
	}
	for n, id := range ids[:len(ids)-1] {
		alert, _, err := c.store.Alert(c.t.Context(), id)
		if err != nil {
			c.t.Fatal(err)
		}
		at, outcome, celsius := alert.Time.Add(time.Duration(20+dice.IntN(60))*time.Second), mqtt.FalseAlert, 36.7
		if n == 0 {
			outcome, celsius = mqtt.Confirmed, 38.4
		} else if n%5 == 0 {
			outcome = mqtt.Gone
		}
		_, err = c.store.Take(c.t.Context(), id, 0, "李娜", at)
		version := int64(1)
		if err == nil && outcome != mqtt.Gone {
			_, err = c.store.AddReading(c.t.Context(), id, 1, "李娜", store.Reading{Celsius: celsius, Unit: "°C", Place: store.Ear}, at.Add(50*time.Second))
			version++
		}
		if err == nil {
			_, err = c.store.CloseAlert(c.t.Context(), id, version, "Li Na", outcome, at.Add(70*time.Second))
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

var figureLink = regexp.MustCompile(`<a href="(/f/[^"]+)">(?:[^<]* )?(\d+)</a>`)

// TestFiguresLeadToTheirEvents follows every figure of a shift, a day, a week and a month: behind it are as many people.
func TestFiguresLeadToTheirEvents(t *testing.T) {
	c := start(t)
	c.shift([]mqtt.Gate{north, south}, 300, 12)
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}))
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	day := c.yesterday(6, 0).Format(time.DateOnly)
	rows := map[string]int{}
	for _, path := range []string{"/shifts?", "/shifts/" + day + "/1?", "/reports?kind=day&day=" + day, "/reports?kind=week&day=" + day, "/reports?kind=month&day=" + day} {
		status, body := b.get(path + "&lang=en&site=" + url.QueryEscape(north.Site))
		found := figureLink.FindAllStringSubmatch(body, -1)
		if status != http.StatusOK || len(found) < 30 {
			t.Fatalf("%s: %d, %d figures", path, status, len(found))
		}
		for _, link := range found {
			answer, err := b.Get(c.server.URL + link[1])
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			address := strings.Replace(answer.Header.Get("Location"), "/history?", "/history.csv?", 1)
			if _, known := rows[address]; !known {
				status, file := b.get(address)
				lines, err := csv.NewReader(strings.NewReader(file)).ReadAll()
				if err != nil || status != http.StatusOK {
					t.Fatalf("%s: %d %v", address, status, err)
				}
				rows[address] = len(lines) - 1
			}
			if figure, err := strconv.Atoi(link[2]); err != nil || figure != rows[address] {
				t.Errorf("%s says %s, and there are %d behind it: %s", path, link[2], rows[address], address)
			}
		}
	}
	t.Logf("%d different links", len(rows))
}

// TestReportOfManyGatesIsSmall has people come to thirty gates on every day of a month.
func TestReportOfManyGatesIsSmall(t *testing.T) {
	c := start(t)
	var events []store.Event
	month := c.yesterday(6, 0).AddDate(0, -1, 0)
	month = month.AddDate(0, 0, 1-month.Day())
	for n := range 30 {
		gate := mqtt.Gate{Site: north.Site, Name: fmt.Sprintf("%02d号门", n+1)}
		for at := month; at.Month() == month.Month(); at = at.AddDate(0, 0, 1) {
			events = append(events, c.make(gate, at, event.Pass, event.BelowThreshold), c.make(gate, at.Add(time.Minute), event.Inconclusive, event.Moving))
		}
	}
	c.addAll(events...)
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}))
	status, page := b.get("/reports?kind=month&day=" + month.Format(time.DateOnly) + "&site=" + url.QueryEscape(north.Site))
	if figures := len(figureLink.FindAllString(page, -1)); status != http.StatusOK || figures < 28*30 || len(page) > 150_000 {
		t.Errorf("%d: %d figures in %d kB", status, figures, len(page)/1000)
	}
	for _, address := range []string{"/f/x/1-1/", "/f//1-1/", "/f/" + shortOf(north.Site) + "/1/"} {
		if status, _ := b.get(address); status != http.StatusNotFound {
			t.Errorf("%s: %d", address, status)
		}
	}
	own, other := events[0].Gate, events[len(events)-1].Gate
	local := c.client("local", c.account("local", "A Guard", store.Guard, own))
	local.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for gate, want := range map[mqtt.Gate]int{own: http.StatusSeeOther, other: http.StatusNotFound} {
		if status, _ := local.get("/f/" + shortOf(keyOf(gate)) + "/1-1/"); status != want {
			t.Errorf("a guard of one gate follows a figure of %v: %d", gate, status)
		}
	}
}

// TestShiftOfWhichNothingIsKnown is not one to which nobody came.
func TestShiftOfWhichNothingIsKnown(t *testing.T) {
	c := start(t)
	c.online(north)
	plan := store.ShiftPlan{Site: north.Site, From: store.DayOf(c.yesterday(0, 0)) - 30, Shifts: []store.Shift{{Name: "day", Begin: 6 * time.Hour, End: 14 * time.Hour, Expected: 930}}}
	if err := c.store.SetShiftPlan(t.Context(), plan, "", store.Author{Account: "wang"}); err != nil {
		t.Fatal(err)
	}
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}))
	_, body := b.get("/shifts?lang=en&day=" + c.yesterday(0, 0).AddDate(0, 0, -7).Format(time.DateOnly))
	blank := regexp.MustCompile(`no data</td><td[^>]*>([^<]*)</td>`).FindAllStringSubmatch(body, -1)
	if len(blank) < 7 {
		t.Fatalf("%d shifts without data:\n%s", len(blank), body)
	}
	for _, coverage := range blank {
		if coverage[1] != "–" {
			t.Errorf("%s of those who were expected came to a shift of which nothing is known", coverage[1])
		}
	}
}

// TestPlanOfShifts has a manager give a plan, and be told what of it can't be.
func TestPlanOfShifts(t *testing.T) {
	c := start(t)
	c.online(north, south, far)
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{Site: north.Site}))
	day := time.Now().In(c.store.Zone(north.Site)).AddDate(0, 0, 1).Format(time.DateOnly)
	plan := func(lang, from string, shifts ...string) (int, string) {
		form := url.Values{"from": {from}, "site": {north.Site}}
		for _, shift := range shifts {
			fields := strings.Split(shift, " ")
			for i, key := range []string{"name", "begin", "end", "expected"} {
				form.Add(key, fields[i])
			}
		}
		return b.post("/shifts/plan?lang="+lang, form)
	}
	for _, test := range []struct {
		from   string
		shifts []string
		zh, en string
	}{
		{"soon", []string{"A 06:00 14:00 1"}, "从哪一天起", "from which day"},
		{day, []string{"   "}, "至少要有一个班次", "one shift at least"},
		{day, []string{" 06:00 14:00 "}, "没有名称", "has no name"},
		{day, []string{"A 06:00 14:00 ", "A 14:00 22:00 "}, "有两个班次叫“A”", `Two shifts are called &#34;A&#34;`},
		{day, []string{"A 06:05 14:00 "}, "“06:05”不对", `&#34;06:05&#34; is no full quarter`},
		{day, []string{"A 06:00 25:00 "}, "“25:00”不对", `&#34;25:00&#34; is no full quarter`},
		{day, []string{"A 06:00 14:00 many"}, "应到人数“many”不对", `&#34;many&#34; is no head-count`},
		{day, []string{"a/b 06:00 14:00 ", "a:b 14:00 22:00 "}, "报表文件会同名", "files of their reports would be"},
		{day, []string{".. 06:00 14:00 "}, "班次不能叫“..”", "can&#39;t be called &#34;..&#34;"},
		{day, []string{"B 22:00 06:15 ", "A 06:00 14:00 "}, "班次不能重叠", "shifts can&#39;t overlap"},
	} {
		for lang, want := range map[string]string{"zh": test.zh, "en": test.en} {
			if status, body := plan(lang, test.from, test.shifts...); status != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
				t.Errorf("%v: %d, without %q", test.shifts, status, want)
			}
		}
	}
	if status, _ := plan("en", day, "早班 06:00 18:00 930", "   ", "晚班 18:00 06:00 "); status != http.StatusOK {
		t.Errorf("a plan is refused: %d", status)
	}
	_, body := b.get("/shifts/plan?lang=en&site=" + url.QueryEscape(north.Site))
	if !strings.Contains(body, "早班 06:00–18:00 (930) · 晚班 18:00–06:00") {
		t.Error("the plan is not on its page")
	}
	version := regexp.MustCompile(`name="version" value="([^"]+)"`)
	other := url.Values{"site": {north.Site}, "from": {day}, "name": {"B"}, "begin": {"06:00"}, "end": {"14:00"}, "expected": {"1"}, "version": {version.FindStringSubmatch(body)[1]}}
	if status, _ := b.post("/shifts/plan", other); status != http.StatusOK {
		t.Errorf("a plan on the one that is in force is refused: %d", status)
	}
	if status, _ := b.post("/shifts/plan", other); status != http.StatusOK {
		t.Errorf("a plan that is saved by two clicks is refused: %d", status)
	}
	other.Set("name", "C")
	if status, again := b.post("/shifts/plan?lang=en", other); status != http.StatusConflict || !strings.Contains(again, "somebody changed the plans meanwhile") || !strings.Contains(again, `value="C"`) {
		t.Errorf("a plan on one that somebody has replaced: %d", status)
	} else if other.Set("version", version.FindStringSubmatch(again)[1]); true {
		if status, _ := b.post("/shifts/plan", other); status != http.StatusOK {
			t.Errorf("the same once more: %d", status)
		}
	}
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.ChangedShifts}, 10)
	if err != nil || len(lines) != 3 || lines[0].By.Account != "wang" || !strings.Contains(lines[2].Detail, "早班 06:00–18:00 930") {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
	for _, site := range []string{far.Site, "nowhere"} {
		if status, _ := b.get("/shifts/plan?site=" + url.QueryEscape(site)); status != http.StatusNotFound {
			t.Errorf("the plan of %s: %d", site, status)
		}
		if status, _ := b.post("/shifts/plan", url.Values{"site": {site}, "from": {day}, "name": {"A"}, "begin": {"06:00"}, "end": {"14:00"}, "expected": {""}}); status != http.StatusNotFound {
			t.Errorf("changing the plan of %s: %d", site, status)
		}
	}
	gate := c.client("zhao", c.account("zhao", "Zhao Min", store.Manager, north))
	if status, _ := gate.get("/shifts/plan"); status != http.StatusNotFound {
		t.Errorf("the plan of a site, to a manager of one gate: %d", status)
	}
}

// TestReportAddresses asks for reports that there are not, and for those of other sites.
func TestReportAddresses(t *testing.T) {
	c := start(t)
	c.online(north, far)
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, north))
	for _, path := range []string{
		"/shifts/2026-03-02/nine", "/shifts/yesterday/1", "/shifts/0001-01-01/1", "/shifts/99999-01-01/1", "/shifts?day=soon", "/shifts?site=plant+two", "/reports?kind=year", "/reports?day=x",
		"/reports.csv?kind=day&day=2026-03-02&site=plant+two", "/reports.xlsx?kind=shift&day=2026-03-02&shift=9", "/reports.xlsx", "/reports/summary.csv?kind=day&day=9999-12-31",
	} {
		if status, _ := b.get(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	for _, path := range []string{"/shifts/2026-03-02/1", "/shifts?day=1971-01-05", "/reports", "/reports?kind=month&day=1971-02-01", "/reports?kind=week&day=8999-12-31"} {
		if status, body := b.get(path); status != http.StatusOK || strings.Contains(body, far.Name) || strings.Contains(body, "NaN") {
			t.Errorf("%s: %d", path, status)
		}
	}
	guard := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	for _, path := range []string{"/shifts", "/reports", "/shifts/2026-03-02/1", "/shifts/plan", "/reports.csv?kind=day"} {
		if status, _ := guard.get(path); status != http.StatusForbidden {
			t.Errorf("%s, to a guard: %d", path, status)
		}
	}
}

// TestReportOfWhatIsGone counts people whose events were deleted by hand or by their age, and says so.
func TestReportOfWhatIsGone(t *testing.T) {
	c := start(t)
	c.online(north)
	begin := c.yesterday(7, 0)
	c.add(north, begin, event.Pass, event.BelowThreshold)
	c.delete(c.add(north, begin.Add(time.Minute), event.Pass, event.BelowThreshold))
	b := c.client("chef", c.account("chef", "Chef X", store.Manager, mqtt.Gate{}))
	_, body := b.get("/shifts/" + begin.Format(time.DateOnly) + "/1?lang=en&site=" + url.QueryEscape(north.Site))
	if !strings.Contains(body, "deleted by hand: 1 event.") || strings.Contains(body, "Older events are deleted") {
		t.Errorf("after a deletion the shift says %s", body[strings.Index(body, "<main"):])
	}
	old := begin.AddDate(-5, 0, 0)
	if _, body := b.get("/reports?kind=month&lang=en&day=" + old.Format(time.DateOnly) + "&site=" + url.QueryEscape(north.Site)); !strings.Contains(body, "Older events are deleted by their age") {
		t.Errorf("five years ago the month says %s", body[strings.Index(body, "<main"):])
	}
}

// TestLateEventOutdatesPrint has an event come in after a shift is over: the page says that prints are out of date.
func TestLateEventOutdatesPrint(t *testing.T) {
	c := start(t)
	e := c.make(north, c.yesterday(7, 0), event.Pass, event.BelowThreshold)
	e.Received = e.Time
	c.addAll(e)
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}))
	address := "/shifts/" + c.yesterday(6, 0).Format(time.DateOnly) + "/1"
	const outdated = "a print from before that is out of date"
	if _, body := b.get(address); strings.Contains(body, outdated) {
		t.Error("a shift without late events has changed")
	}
	c.add(north, c.yesterday(8, 0), event.Pass, event.BelowThreshold)
	if _, body := b.get(address); !strings.Contains(body, outdated) {
		t.Error("a late event is not told")
	}
}

// printed is the page as PDF, kept to be looked at.
func (b *tab) printed(name string) (pdf []byte) {
	b.t.Helper()
	pdf, err := chromedp.Run(b.ctx, func(ctx context.Context, target *chromedp.Target) ([]byte, error) {
		result, err := cdp.Call(ctx, target, pages.PrintToPDF, pages.PrintToPDFParams{PreferCSSPageSize: new(true), PrintBackground: new(true)})
		return result.Data, err
	})
	if err == nil {
		err = os.MkdirAll(screenshots, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(screenshots, name+".pdf"), pdf, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return pdf
}

var (
	pdfPage = regexp.MustCompile(`/Type\s*/Page\b[^s]`)
	pdfSize = regexp.MustCompile(`/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]`)
)

// onePage tells whether a PDF is one page of A4 on its side.
func onePage(t *testing.T, name string, pdf []byte) {
	t.Helper()
	sizes := pdfSize.FindAllSubmatch(pdf, -1)
	if pages := len(pdfPage.FindAll(pdf, -1)); pages != 1 || len(sizes) == 0 {
		t.Fatalf("%s has %d pages, of sizes %q", name, pages, sizes)
	}
	for i, want := range []float64{841.9, 595.3} {
		if points, err := strconv.ParseFloat(string(sizes[0][i+1]), 64); err != nil || points < want-1.5 || points > want+1.5 {
			t.Errorf("%s is %s × %s points and not A4 on its side", name, sizes[0][1], sizes[0][2])
		}
	}
}

// TestBrowserManager has a manager find a bad shift, follow a figure to its events, print the shift and open its file.
func TestBrowserManager(t *testing.T) {
	c := start(t)
	gates := []mqtt.Gate{north, south, {Site: north.Site, Name: "East 2"}, {Site: north.Site, Name: "3号门"}, {Site: north.Site, Name: "西门"}}
	c.shift(gates, 900, 14)
	day := c.yesterday(6, 0).Format(time.DateOnly)
	plan := store.ShiftPlan{Site: north.Site, From: store.DayOf(c.yesterday(6, 0)) - 30, Shifts: []store.Shift{
		{Name: "甲班", Begin: 6 * time.Hour, End: 14 * time.Hour, Expected: 930}, {Name: "乙班", Begin: 14 * time.Hour, End: 22 * time.Hour}, {Name: "丙班", Begin: 22 * time.Hour, End: 6 * time.Hour},
	}}
	if err := c.store.SetShiftPlan(t.Context(), plan, "", store.Author{Account: "chef"}); err != nil {
		t.Fatal(err)
	}
	password := c.account("wang", "王伟", store.Manager, mqtt.Gate{})
	b := c.browser(desktop)
	b.logIn("wang", password, "zh")
	b.wait("the count of alerts, which moves the links behind it", `!document.getElementById("count-alerts").hidden`)
	b.click(`nav a[href="/shifts"]`)
	b.says("甲班")
	b.shoot("shifts-desktop-zh")
	if !evaluate[bool](b, `document.querySelector("td.bad a[href*=confirmed]") !== null`) {
		t.Error("the shift with a fever is not marked")
	}
	b.click(`tr:has(td.bad a[href*=confirmed]) th a`)
	b.wait("the shift", `document.readyState === "complete" && location.pathname.startsWith("/shifts/`+day+`/")`)
	b.says("确认发热 1")
	confirmed := evaluate[string](b, `document.querySelector(".sentence a[href*=confirmed]").href`)
	b.open(strings.TrimPrefix(confirmed, c.server.URL))
	b.wait("the person", `document.readyState === "complete" && document.querySelectorAll("tbody tr").length === 1`)
	b.shoot("shift-figure-zh")
	address := "/shifts/" + day + "/" + url.PathEscape("甲班") + "?lang="
	for _, lang := range []string{"zh", "en"} {
		b.open(address + lang)
		b.wait("the shift", `document.readyState === "complete" && document.querySelector("[data-print]:not([hidden])") !== null`)
		onePage(t, "the shift in "+lang, b.printed("shift-"+lang))
	}
	evaluate[bool](b, `(document.querySelector("table[data-sort] th:nth-child(2) button").click(), true)`)
	if first := evaluate[string](b, `[...document.querySelectorAll("table.figures tbody tr td:nth-child(2)")].map((cell) => +cell.innerText).every((n, i, all) => !i || all[i - 1] >= n) ? "" : "not in order"`); first != "" {
		t.Error(first)
	}
	client := c.client("wang", password)
	_, file := client.get(strings.TrimPrefix(evaluate[string](b, `document.querySelector('a[href^="/reports.xlsx"]').href`), c.server.URL))
	book, err := excelize.OpenReader(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("By gate")
	if err != nil || len(rows) != 2+len(gates) || rows[1][7] != "930" {
		t.Errorf("%q, %v", rows, err)
	}
	if alerts, err := book.GetRows("Alerts"); err != nil || len(alerts) < 10 {
		t.Errorf("%d alerts, %v", len(alerts), err)
	}
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.Exported}, 10)
	if err != nil || len(lines) != 1 || lines[0].By.Account != "wang" {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
	for name, path := range map[string]string{
		"shifts": "/shifts?", "shift": "/shifts/" + day + "/" + url.PathEscape("甲班") + "?", "plan": "/shifts/plan?", "report-day": "/reports?day=" + day, "report-week": "/reports?kind=week&day=" + day,
		"report-month": "/reports?kind=month&day=" + day, "report-empty": "/reports?day=2026-01-01", "history-people": "/history?people=again",
	} {
		for _, at := range []struct {
			lang string
			size [2]int64
			name string
			dark bool
		}{{"zh", phone, "phone", false}, {"en", phone, "phone", true}, {"zh", desktop, "desktop", true}, {"en", desktop, "desktop", false}} {
			b.do(chromedp.EmulateViewport(at.size[0], at.size[1]))
			b.paint(at.dark)
			b.open(path + "&lang=" + at.lang)
			b.wait(path, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
			name := strings.Join([]string{name, at.name, at.lang}, "-")
			b.shoot(name)
			b.accessible(name)
		}
	}
}

// TestBrowserCrowdedShift prints a shift with more gates and alerts than a page holds: it is one page, and says what is left out.
func TestBrowserCrowdedShift(t *testing.T) {
	c := start(t)
	var gates []mqtt.Gate
	for n := range 30 {
		gates = append(gates, mqtt.Gate{Site: north.Site, Name: fmt.Sprintf("%02d号门", n+1)})
	}
	c.shift(gates, 900, 90)
	b := c.browser(desktop)
	b.logIn("wang", c.account("wang", "王伟", store.Manager, mqtt.Gate{}), "zh")
	day := c.yesterday(6, 0).Format(time.DateOnly)
	for _, lang := range []string{"zh", "en"} {
		for name, path := range map[string]string{"shift": "/shifts/" + day + "/1?", "day": "/reports?day=" + day, "month": "/reports?kind=month&day=" + day} {
			b.open(path + "&lang=" + lang)
			b.wait(path, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
			onePage(t, name+" in "+lang, b.printed("crowded-"+name+"-"+lang))
			if !evaluate[bool](b, `document.querySelector(".print-only") !== null`) {
				t.Error("what is left out is not told")
			}
		}
	}
}

package web

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// sights are the lines of the audit about what somebody saw.
func (c *console) sights(account string) (all []string) {
	c.t.Helper()
	lines, err := c.store.Audit(c.t.Context(), store.AuditFilter{What: store.Saw, Account: account}, 100)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, l := range lines {
		if l.Scope.Name != "" && l.About == "" {
			c.t.Errorf("%s is of a gate and of no event", l.Detail)
		}
		all = append([]string{strings.TrimSpace(l.About + " " + l.Detail)}, all...)
	}
	return all
}

// tamper changes the database behind the console's back.
func (c *console) tamper(statement string) {
	c.t.Helper()
	db, err := sql.Open("sqlite3", c.file)
	if err == nil {
		defer db.Close()
		_, err = db.Exec(statement)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestWhoSawATemperature has every page that shows one leave a line, and one that is looked at all the time only one.
func TestWhoSawATemperature(t *testing.T) {
	c := start(t)
	c.online(north, south)
	b := c.client("lina", c.account("lina", "Li Na", store.Manager, mqtt.Gate{}))
	for _, path := range []string{"/", "/history", "/gates", "/faults", "/load"} {
		b.get(path)
	}
	if got := c.sights("lina"); len(got) > 0 {
		t.Errorf("there was nothing to see, and it is noted: %q", got)
	}
	id := c.alert(north)
	for range 5 {
		for _, path := range []string{"/", "/?part=alerts", "/alerts/" + id, "/alerts/" + id + "?part=alert", "/events/" + id + "?lang=zh", "/history?outcome=alert&site=&lang=en", "/gates"} {
			if status, _ := b.get(path); status != http.StatusOK {
				t.Errorf("%s: %d", path, status)
			}
		}
	}
	b.get("/history?outcome=alert&gate=" + url.QueryEscape("苏州一厂/北门"))
	b.get("/events/01JQ8Z6Y5T2M3N4P5Q6R7S8T9V") // is none
	want := []string{"/", id + " /alerts/" + id, id + " /events/" + id, "/history?outcome=alert", "/history?gate=苏州一厂/北门&outcome=alert"}
	if got := c.sights("lina"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("noted is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.post("/alerts/"+id+"/take", url.Values{"version": {"0"}})
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.ChangedAlert}, 10)
	if err != nil || len(lines) != 1 || lines[0].About != id || lines[0].By.Account != "lina" || lines[0].Detail != "take" || lines[0].Scope != north {
		t.Errorf("%+v, %v", lines, err)
	}
	if _, kept, err := c.store.VerifyAudit(t.Context()); err != nil || kept < 7 {
		t.Errorf("%d lines, %v", kept, err)
	}
}

// TestNothingIsSeenUnnoted has no page shown whose line can't be kept.
func TestNothingIsSeenUnnoted(t *testing.T) {
	c := start(t)
	id := c.add(north, time.Now(), event.Pass, event.BelowThreshold)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	c.tamper("DROP TABLE audit_end")
	if status, body := b.get("/events/" + id); status != http.StatusInternalServerError || strings.Contains(body, "34.4") {
		t.Errorf("%d\n%s", status, body)
	}
}

// TestOutcomeOnlyPages has every page and file of a site that keeps outcomes only say so, and no temperature.
func TestOutcomeOnlyPages(t *testing.T) {
	c := start(t)
	c.online(north)
	if err := c.store.SetOutcomeOnly(t.Context(), north.Site, true, store.Author{}); err != nil {
		t.Fatal(err)
	}
	b := c.client("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}))
	id := c.alert(north)
	passed := c.add(north, time.Now(), event.Pass, event.BelowThreshold)
	// A number after a colon is the seconds of a time.
	temperature := regexp.MustCompile(`(^|[^:\d])(36\.12|34\.4|38\.32|36\.6|0\.31|0\.55|36\.94)`)
	bare := func(path string, want ...string) {
		t.Helper()
		status, body := b.get(path)
		_, body, _ = strings.Cut(body, "<main>")
		for _, text := range want {
			if status != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("%s: %d, without %q\n%s", path, status, text, body)
			}
		}
		if found := temperature.FindString(body); found != "" || strings.Contains(body, "_celsius") {
			t.Errorf("%s has %q, or a number's name", path, found)
		}
	}
	bare("/", "no number is kept", "/alerts/"+id+"/take")
	b.post("/alerts/"+id+"/take", url.Values{"version": {"0"}})
	bare("/alerts/"+id, "What it says is not kept", "Only outcomes are kept here")
	if _, body := b.get("/alerts/" + id); strings.Contains(body, `name="value"`) {
		t.Error("a number is asked for that nobody keeps")
	}
	b.post("/alerts/"+id+"/read", url.Values{"version": {"1"}, "value": {"36.94"}, "unit": {"°C"}, "place": {"ear"}})
	bare("/alerts/"+id, "At or above 37.3 °C it is a fever", "not kept")
	b.post("/alerts/"+id+"/close", url.Values{"version": {"2"}, "outcome": {"false"}})
	bare("/alerts/"+id, "false alert", "not kept")
	for path, want := range map[string]string{
		"/events/" + id: "Only the outcome is kept here", "/events/" + passed: "Only the outcome is kept here", "/history": "not kept",
		"/history?read=yes": "not kept", gateAddress(north): "Settings in force", "/load": "Alert load", "/admin/audit": "outcomes only", "/admin/retention": "outcomes only",
	} {
		bare(path, want)
	}
	for _, path := range []string{"/history.csv", "/study/pairs.csv", "/events/" + id + "/export.json"} {
		if _, body := b.get(path); temperature.MatchString(body) {
			t.Errorf("%s has %q", path, temperature.FindString(body))
		}
	}
	_, body := b.get("/history.csv")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, table.ByteOrderMark))).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, name := range rows[0] {
		switch name {
		case "skin_celsius", "body_celsius", "threshold_celsius", "baseline_celsius", "offset_celsius":
			if rows[1][i] != "not-kept" || rows[2][i] != "not-kept" {
				t.Errorf("%s is %q and %q", name, rows[1][i], rows[2][i])
			}
		case "reading_celsius":
			if rows[1][i] != "" || rows[2][i] != "not-kept" {
				t.Errorf("%s is %q and %q", name, rows[1][i], rows[2][i])
			}
		}
	}
}

// TestRetentionScope has an administrator of a site change that site alone, and nobody else anything.
func TestRetentionScope(t *testing.T) {
	c := start(t)
	c.online(north, south, far)
	here, there := c.add(north, time.Now(), event.Pass, event.BelowThreshold), c.add(far, time.Now(), event.Pass, event.BelowThreshold)
	if _, err := c.store.AddHold(t.Context(), store.Hold{Reason: "a court"}, store.Author{Account: "admin"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	site := c.client("site", c.account("site", "Site", store.Administrator, mqtt.Gate{Site: north.Site}))
	gate := c.client("gate", c.account("gate", "Gate", store.Administrator, north))
	manager := c.client("boss", c.account("boss", "Boss", store.Manager, mqtt.Gate{}))
	_, all := site.get("/admin/retention")
	hold := strings.Contains(all, "a court")
	if !hold || strings.Contains(all, "End the hold") || strings.Contains(all, far.Site) {
		t.Errorf("an administrator of a site sees\n%s", all)
	}
	holds, err := c.store.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		who    *client
		path   string
		form   url.Values
		status int
	}{
		{site, "/admin/retention/months", url.Values{"site": {far.Site}, "months": {"3"}}, http.StatusNotFound},
		{gate, "/admin/retention/months", url.Values{"site": {north.Site}, "months": {"3"}}, http.StatusNotFound},
		{gate, "/admin/retention/outcome", url.Values{"site": {north.Site}, "only": {"yes"}, "typed": {north.Site}}, http.StatusNotFound},
		{manager, "/admin/retention/months", url.Values{"site": {north.Site}, "months": {"3"}}, http.StatusForbidden},
		{manager, "/events/" + here + "/delete", url.Values{"reason": {"x"}}, http.StatusForbidden},
		{site, "/admin/retention/outcome", url.Values{"site": {north.Site}, "only": {"yes"}, "typed": {"plant"}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/months", url.Values{"site": {north.Site}, "months": {"0"}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/months", url.Values{"site": {north.Site}, "months": {"-3"}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/hold", url.Values{"scope": {""}, "reason": {"x"}}, http.StatusUnprocessableEntity},
		{gate, "/admin/retention/hold", url.Values{"scope": {north.Site}, "reason": {"x"}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/hold", url.Values{"event": {there}, "reason": {"x"}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/hold", url.Values{"scope": {north.Site}, "reason": {" "}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/hold", url.Values{"scope": {north.Site}, "reason": {strings.Repeat("x", 501)}}, http.StatusUnprocessableEntity},
		{site, "/events/" + here + "/delete", url.Values{"reason": {strings.Repeat("x", 501)}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/hold", url.Values{"scope": {north.Site}, "reason": {"x"}, "from": {"2026-03-02"}, "to": {"2026-03-01"}}, http.StatusUnprocessableEntity},
		{site, "/admin/retention/end", url.Values{"hold": {holds[0].ID}, "why": {"x"}}, http.StatusNotFound},
		{site, "/events/" + there + "/delete", url.Values{"reason": {"x"}}, http.StatusNotFound},
		{site, "/events/" + here + "/delete", url.Values{"reason": {"x"}, "typed": {"WRONG1"}}, http.StatusUnprocessableEntity},
		{site, "/events/" + here + "/delete", url.Values{"reason": {"x"}, "typed": {here[20:]}, "sha256": {"0"}}, http.StatusConflict},
		{site, "/admin/retention/hold", url.Values{"scope": {north.Site}, "reason": {"x"}, "to": {"2026-03-01"}}, http.StatusOK},
		{gate, "/admin/retention/hold", url.Values{"scope": {north.Site + "/" + north.Name}, "reason": {"all of a gate"}, "to": {"2026-03-01"}}, http.StatusOK},
		{site, "/admin/retention/months", url.Values{"site": {north.Site}, "months": {"3"}}, http.StatusOK},
	} {
		if status, body := try.who.post(try.path, try.form); status != try.status {
			t.Errorf("%s %v: %d, want %d\n%s", try.path, try.form, status, try.status, body)
		}
	}
	if _, body := gate.get("/admin/audit?what=held"); !strings.Contains(body, "all of a gate") || !strings.Contains(body, `href="/admin/retention#holds"`) || strings.Contains(body, `href="/events/`) {
		t.Errorf("a hold on a gate leads to an event that there is not:\n%s", body)
	}
	keepings, err := c.store.Keepings(t.Context())
	if err != nil || len(keepings) != 2 {
		t.Fatalf("%+v, %v", keepings, err)
	}
	for _, k := range keepings {
		if k.OutcomeOnly || k.Own != (k.Site == north.Site) || k.Own && k.Months != 3 {
			t.Errorf("%+v", k)
		}
	}
	if status, _ := site.get("/events/" + there + "/export.json"); status != http.StatusNotFound {
		t.Errorf("an event of another site is exported: %d", status)
	}
	if err := c.store.EndHold(t.Context(), holds[0].ID, "over", store.Author{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	c.delete(there)
	if status, body := site.get("/events/" + there); status != http.StatusNotFound || strings.Contains(body, "asked for") {
		t.Errorf("a deletion at another site is told: %d", status)
	}
}

// TestBrowserRetention has an administrator set a retention, hold one event, delete another one and prove it.
func TestBrowserRetention(t *testing.T) {
	c := start(t)
	c.online(north, far)
	old := time.Now().AddDate(0, -7, 0)
	e := c.make(north, old, event.Pass, event.BelowThreshold)
	e.Received = old
	c.addAll(e)
	held, id := c.add(north, time.Now(), event.Pass, event.BelowThreshold), c.alert(north)
	for version, change := range []func(int64) (store.Alert, error){
		func(v int64) (store.Alert, error) { return c.store.Take(t.Context(), id, v, "王伟", time.Now()) },
		func(v int64) (store.Alert, error) {
			return c.store.AddReading(t.Context(), id, v, "王伟", store.Reading{Celsius: 36.9, Unit: "°C", Place: store.Ear}, time.Now())
		},
		func(v int64) (store.Alert, error) {
			return c.store.CloseAlert(t.Context(), id, v, "王伟", mqtt.FalseAlert, time.Now())
		},
	} {
		if _, err := change(int64(version)); err != nil {
			t.Fatal(err)
		}
	}
	password := c.account("chef", "陈师傅", store.Administrator, mqtt.Gate{})
	b := c.browser(desktop)
	b.logIn("chef", password, "en")
	look := func(name string) {
		t.Helper()
		for _, lang := range []string{"zh", "en"} {
			for size, pixels := range map[string][2]int64{"phone": phone, "desktop": desktop} {
				b.do(chromedp.EmulateViewport(pixels[0], pixels[1]))
				b.paint(size == "phone")
				at := evaluate[string](b, "location.pathname + location.search")
				join := "?"
				if strings.Contains(at, "?") {
					join = "&"
				}
				b.open(strings.Split(at, "lang=")[0] + join + "lang=" + lang)
				b.wait(name, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
				b.shoot(name + "-" + size + "-" + lang)
				b.accessible(name + "-" + size + "-" + lang)
			}
		}
	}
	b.open("/admin/retention")
	site := `td form[action$="/months"]:has(input[value="` + north.Site + `"])`
	b.fillIn(site+` [name=months]`, "3")
	b.click(site + ` button`)
	b.says("This deletes 1 event · " + north.Site)
	b.shoot("retention-confirm")
	b.accessible("retention-confirm")
	b.click(`[name=confirm]`)
	b.wait("kept for three months", `document.querySelector('`+site+` [name=months]')?.value === "3"`)
	if deleted, err := c.store.Retire(t.Context(), time.Now()); err != nil || deleted != 1 {
		t.Errorf("%d old events are deleted, %v", deleted, err)
	}
	b.open("/events/" + held)
	b.click(`a[href$="#hold"]`)
	b.wait("the form", `document.readyState === "complete" && document.querySelector("#hold [name=event]")?.value === "`+held+`"`)
	b.fillIn(`#hold [name=reason]`, "a complaint")
	b.click(`#hold button`)
	b.says("in force")
	b.open("/events/" + held + "/delete")
	b.says("Held, and not to be deleted: a complaint")
	look("delete-held")
	b.open("/events/" + id)
	b.says("Who saw it")
	evaluate[bool](b, `(fetch("/events/`+id+`/export.json").then((r) => r.text()).then((text) => { window.exported = text; }), true)`)
	b.wait("exported", "window.exported !== undefined")
	export := evaluate[string](b, "window.exported")
	b.click(`a[href$="/delete"]`)
	b.says("To confirm")
	look("delete")
	b.fillIn(`[name=reason]`, "asked for by the person")
	b.fillIn(`[name=typed]`, strings.ToLower(id[20:]))
	b.click(`form[action$="/delete"] button`)
	b.says("This event was deleted")
	look("deleted")
	_, sum, _, err := store.ReadExport(bytes.NewReader([]byte(export)))
	if err != nil {
		t.Fatal(err)
	}
	b.says(sum)
	b.open("/alerts/" + id)
	b.says("asked for by the person")
	b.accessible("alert-deleted")
	b.open("/admin/retention")
	b.says(sum)
	look("retention")
	b.open("/admin/audit?account=" + id)
	b.says("deleted an event")
	b.click(`a[href$="verify=yes"]`)
	b.says("lines are as they were noted")
	look("audit-verified")
	b.open("/admin/retention")
	b.click(`tr:has(input[value="` + far.Site + `"]) summary`)
	b.fillIn(`form[action$="/outcome"]:has(input[value="`+far.Site+`"]) [name=typed]`, far.Site)
	b.click(`form[action$="/outcome"]:has(input[value="` + far.Site + `"]) button`)
	b.wait("outcomes only", `document.querySelector('form[action$="/outcome"] button[value="no"]') !== null`)
	if !c.store.OutcomeOnly(far.Site) || c.store.OutcomeOnly(north.Site) {
		t.Error("another site keeps outcomes only")
	}
	c.tamper("UPDATE audit SET who = 'nobody' WHERE number = 2")
	b.open("/admin/audit?verify=yes&lang=en")
	b.says("Somebody has changed the audit")
	b.accessible("audit-tampered")
}

// TestClockIsNotBelieved has an administrator see that nothing is deleted, and one of the company say that the clock is right.
func TestClockIsNotBelieved(t *testing.T) {
	c := start(t)
	b := c.client("chief", c.account("chief", "The Administrator", store.Administrator, mqtt.Gate{}))
	if _, page := b.get("/admin/retention"); strings.Contains(page, "timedatectl") {
		t.Error("a clock that is right is doubted")
	}
	now := time.Now()
	for _, at := range []time.Time{now.AddDate(-10, 0, 0), now} {
		if err := c.store.Believe(t.Context(), at); (err == nil) != at.Before(now) {
			t.Fatalf("the clock says that it is %v: %v", at, err)
		}
	}
	for lang, want := range map[string]string{"en": "nothing is deleted by it", "zh": "不按它删除任何内容"} {
		if status, page := b.get("/admin/retention?lang=" + lang); status != http.StatusOK || !strings.Contains(page, want) || !strings.Contains(page, "/clock") {
			t.Errorf("%s: %d, without %q", lang, status, want)
		}
	}
	form := url.Values{"since": {fmt.Sprint(now.UnixMilli())}}
	if status, _ := b.post("/admin/retention/clock", form); status != http.StatusNotFound || c.store.ClockFault() == nil {
		t.Errorf("without having compared it: %d", status)
	}
	form.Set("compared", "on")
	local := c.client("local", c.account("local", "An Administrator", store.Administrator, mqtt.Gate{Site: north.Site}))
	if _, page := local.get("/admin/retention"); !strings.Contains(page, "timedatectl") || strings.Contains(page, "/clock") {
		t.Error("an administrator of one site is not told, or may say that the clock is right")
	}
	if status, _ := local.post("/admin/retention/clock", form); status != http.StatusNotFound || c.store.ClockFault() == nil {
		t.Errorf("one of them says that it is right: %d", status)
	}
	if status, page := b.post("/admin/retention/clock?lang=en", url.Values{"since": {"1"}, "compared": {"on"}}); status != http.StatusConflict || !strings.Contains(page, "changed meanwhile") {
		t.Errorf("of another time: %d", status)
	}
	if status, page := b.post("/admin/retention/clock", form); status != http.StatusOK || strings.Contains(page, "timedatectl") || c.store.ClockFault() != nil {
		t.Errorf("that the clock is right: %d", status)
	}
}

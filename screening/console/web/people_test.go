package web

import (
	"bytes"
	"crypto/ed25519"
	"encoding/csv"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var plant = mqtt.Gate{Site: north.Site}

// upload sends a list as a form does, and returns the page that shows what it changes.
func (b *client) upload(text string, whole bool) (status int, page string) {
	b.c.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("list", "名单.csv")
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if err == nil && whole {
		err = w.WriteField("whole", "yes")
	}
	if err != nil || w.Close() != nil {
		b.c.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, b.c.server.URL+"/people/upload?site="+url.QueryEscape(north.Site), &form)
	if err != nil {
		b.c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", w.FormDataContentType())
	return b.do(request)
}

var applyForm = regexp.MustCompile(`action="(/people/uploads/[^"]*/apply[^"]*)".*?name="sum" value="([^"]*)"`)

// apply uploads a list and applies it.
func (b *client) apply(text string, whole bool) {
	b.c.t.Helper()
	status, page := b.upload(text, whole)
	found := applyForm.FindStringSubmatch(page)
	if status != http.StatusOK || found == nil {
		b.c.t.Fatalf("%d, nothing to apply:\n%s", status, page)
	}
	if status, page := b.post(strings.ReplaceAll(found[1], "&amp;", "&"), url.Values{"sum": {found[2]}}); status != http.StatusOK {
		b.c.t.Fatalf("%d:\n%s", status, page)
	}
}

func at(path string) string { return path + "?site=" + url.QueryEscape(north.Site) }

// ids are those of people on the list, by number.
func (c *console) ids() map[string]store.Person {
	c.t.Helper()
	people, err := c.store.People(c.t.Context(), store.PeopleFilter{Site: north.Site}, time.Now(), -1)
	if err != nil {
		c.t.Fatal(err)
	}
	byNumber := map[string]store.Person{}
	for _, p := range people {
		byNumber[p.Number] = p
	}
	return byNumber
}

// TestPeople has a site let a company in: it asks, is approved, lists its people, and these get codes that gates take.
func TestPeople(t *testing.T) {
	c := start(t)
	c.online(north, far)
	hr := c.client("hr", c.account("hr", "Personnel", store.Personnel, mqtt.Gate{}))
	if status, page := hr.post(at("/people/companies/ask"), url.Values{"name": {"精工机械"}, "short": {"jg"}, "from": {"2020-01-01"}}); status != http.StatusOK || !strings.Contains(page, "asked") {
		t.Fatalf("%d:\n%s", status, page)
	}
	companies, err := c.store.Companies(t.Context(), north.Site)
	if err != nil || len(companies) != 1 {
		t.Fatalf("%+v, %v", companies, err)
	}
	acme := companies[0].ID
	_, page := hr.post(at("/people/companies/login"), url.Values{"name": {"jg"}, "full": {"Jing Gong"}, "company": {acme}})
	once := regexp.MustCompile(`id="once">([^<]*)<`).FindStringSubmatch(page)
	if once == nil {
		t.Fatalf("no password:\n%s", page)
	}
	company := c.client("jg", once[1])
	company.post("/password", url.Values{"old": {once[1]}, "password": {"long enough 1"}, "again": {"long enough 1"}})
	hr.apply("工号,姓名,公司,部门,班次\nA1,张三,,总装,1\nA2,李四,,总装,2\n", true)
	company.apply("工号,姓名,手机\nC1,王五,13800000000\nC2,赵六,13900000000\n", true)
	if _, page := company.get(at("/people")); !strings.Contains(page, "王五") || strings.Contains(page, "张三") {
		t.Errorf("the company does not see its own people alone:\n%s", page)
	}
	if _, page := hr.get(at("/people")); !strings.Contains(page, "王五") || !strings.Contains(page, "张三") || strings.Contains(page, "1380000") {
		t.Errorf("the personnel office sees:\n%s", page)
	}
	people := c.ids()
	// What is not the company's own: the pages of others, their codes, the word on itself.
	for _, path := range []string{"/people/person/" + people["A1"].ID, "/people/person/" + people["C1"].ID, "/people/companies", "/people/coverage", "/", "/history", "/admin/audit"} {
		status, page := company.get(at(path))
		if strings.Contains(page, "张三") || status == http.StatusOK && path != "/" {
			t.Errorf("%s: a company sees %d:\n%s", path, status, page)
		}
	}
	for path, form := range map[string]url.Values{
		"/people/codes/issue":       {"person": {people["C1"].ID}, "from": {"2026-01-01"}, "to": {"2026-12-31"}},
		"/people/codes/revoke":      {"all": {"yes"}},
		"/people/companies/approve": {"company": {acme}, "from": {"2020-01-01"}},
	} {
		if status, _ := company.post(at(path), form); status != http.StatusForbidden && status != http.StatusNotFound {
			t.Errorf("%s: a company gets %d", path, status)
		}
	}
	if status, page := company.post(at("/people/codes/ask"), url.Values{"person": {people["C1"].ID, people["A1"].ID}}); status != http.StatusOK || !strings.Contains(page, "Codes are asked for, for so many people: 1") {
		t.Errorf("%d:\n%s", status, page)
	}
	today := time.Now().In(c.store.Zone(north.Site))
	issue := url.Values{"all": {"yes"}, "state": {"asked"}, "from": {today.Format(time.DateOnly)}, "to": {today.AddDate(0, 0, 1).Format(time.DateOnly)}}
	if _, page := hr.post(at("/people/codes/issue"), issue); !strings.Contains(page, "for so many people: 0; not for 1") {
		t.Errorf("a company that nobody approved has codes:\n%s", page)
	}
	hr.post(at("/people/companies/approve"), url.Values{"company": {acme}, "from": {"2020-01-01"}})
	if _, page := hr.post(at("/people/codes/issue"), issue); !strings.Contains(page, "for so many people: 1") {
		t.Errorf("no code is issued:\n%s", page)
	}
	_, file := company.get(at("/people/codes.csv"))
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][0] != "C1" {
		t.Fatalf("%q, %v", rows, err)
	}
	office := passes.New(c.store)
	text := rows[1][len(rows[1])-1]
	verify := func() error {
		t.Helper()
		siteKey, numberKey, err := office.Told(t.Context(), north.Site)
		if err != nil {
			t.Fatal(err)
		}
		root, err := passcode.ParseSiteKey(siteKey)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := office.List(t.Context(), north.Site, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		list, err := passcode.OpenPasses(root, north.Site, signed)
		if err != nil {
			t.Fatal(err)
		}
		code, err := passcode.Verify(north.Site, list, text, time.Now())
		if err == nil && (code.Person != passcode.NumberKeys{[]byte(numberKey)}.Pseudonym("c1") || code.Company != "jg") {
			t.Errorf("the code says %+v", code)
		}
		return err
	}
	if err := verify(); err != nil {
		t.Errorf("a gate refuses the code: %v", err)
	}
	if status, page := company.post(at("/people/codes/cards"), url.Values{"person": {people["C1"].ID}}); status != http.StatusOK || !strings.HasPrefix(page, "%PDF-") {
		t.Errorf("%d, no cards: %.200s", status, page)
	}
	hr.post(at("/people/companies/suspend"), url.Values{"company": {acme}, "reason": {"合同到期"}})
	if err := verify(); err != passcode.Revoked {
		t.Errorf("a code of a suspended company: %v", err)
	}
	if status, page := company.upload("工号,姓名\nC3,钱七\n", false); status != http.StatusForbidden || !strings.Contains(page, "合同到期") {
		t.Errorf("a suspended company goes on: %d\n%s", status, page)
	}
	hr.post(at("/people/companies/approve"), url.Values{"company": {acme}, "from": {"2020-01-01"}})
	if err := verify(); err != nil {
		t.Errorf("a code of a company that is approved again: %v", err)
	}
	hr.post(at("/people/codes/revoke"), url.Values{"person": {people["C1"].ID}})
	if err := verify(); err != passcode.Revoked {
		t.Errorf("a code that was revoked: %v", err)
	}
	// The names are nobody else's.
	for _, role := range []store.Role{store.Guard, store.Manager, store.Administrator} {
		other := c.client(string(role), c.account(string(role), "The "+string(role), role, mqtt.Gate{}))
		for _, path := range []string{"/people", "/people/person/" + people["A1"].ID, "/people/companies", "/people/codes.csv", "/people/coverage", "/people/protection"} {
			status, page := other.get(at(path))
			may := path == "/people/protection" || path == "/people/coverage" && role != store.Guard
			if strings.Contains(page, "张三") || may != (status == http.StatusOK) {
				t.Errorf("%s, %s: %d", role, path, status)
			}
		}
	}
}

// TestPersonIsForgotten looks at what is kept of somebody, who looked, and deletes it.
func TestPersonIsForgotten(t *testing.T) {
	c := start(t)
	c.online(north)
	hr := c.client("hr", c.account("hr", "Personnel", store.Personnel, plant))
	hr.apply("number;name\nA1;Zhang San\n", true)
	one := c.ids()["A1"]
	id := c.add(north, time.Now().Add(-time.Minute), event.Alert, event.AboveThreshold, func(d *event.Data) { d.Person = &event.Bearer{ID: one.Pseudonym, By: "desk"} })
	_, page := hr.get(at("/people/person/" + one.ID))
	if !strings.Contains(page, "Zhang San") || !strings.Contains(page, "desk") || strings.Contains(page, "°C") {
		t.Errorf("the page of somebody:\n%s", page)
	}
	if lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.Saw, Account: one.ID}, 10); err != nil || len(lines) != 1 || lines[0].By.Account != "hr" {
		t.Errorf("%+v, %v", lines, err)
	}
	_, export := hr.get(at("/people/person/" + one.ID + "/export"))
	_, page = hr.get(at("/people/person/" + one.ID + "/forget"))
	sum := regexp.MustCompile(`name="sha256" value="([0-9a-f]{64})"`).FindStringSubmatch(page)
	if sum == nil || !strings.Contains(export, sum[1]) || !strings.Contains(export, id) {
		t.Fatalf("%v\n%s", sum, export)
	}
	form := url.Values{"sha256": {sum[1]}, "reason": {"asked for"}, "typed": {"A2"}}
	if status, _ := hr.post(at("/people/person/"+one.ID+"/forget"), form); status != http.StatusUnprocessableEntity {
		t.Errorf("somebody is deleted by the wrong number: %d", status)
	}
	form.Set("typed", "a1")
	if status, page := hr.post(at("/people/person/"+one.ID+"/forget"), form); status != http.StatusOK || !strings.Contains(page, sum[1]) || strings.Contains(page, "Zhang San") {
		t.Errorf("%d:\n%s", status, page)
	}
	if status, _ := hr.get(at("/people/person/" + one.ID)); status != http.StatusNotFound {
		t.Errorf("somebody who is deleted is there: %d", status)
	}
}

// TestKeysAreChanged has a site change its own key and its number key: gates and codes of before go on, and the audit says who did it.
func TestKeysAreChanged(t *testing.T) {
	c := start(t)
	c.online(north)
	hr := c.client("hr", c.account("hr", "Personnel", store.Personnel, plant))
	if _, page := hr.get(at("/people")); strings.Contains(page, "fingerprint") || strings.Contains(page, "PUBLIC KEY") {
		t.Errorf("a site without keys has one:\n%s", page)
	}
	hr.apply("number;name\nA1;Zhang San\n", true)
	one, office := c.ids()["A1"], passes.New(c.store)
	today := time.Now().In(c.store.Zone(north.Site))
	hr.post(at("/people/codes/issue"), url.Values{"person": {one.ID}, "from": {today.Format(time.DateOnly)}, "to": {today.AddDate(0, 0, 1).Format(time.DateOnly)}})
	printed := func() string {
		t.Helper()
		_, file := hr.get(at("/people/codes.csv"))
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff"))).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q, %v", rows, err)
		}
		return rows[1][len(rows[1])-1]
	}
	told := func() (ed25519.PublicKey, passcode.NumberKeys) {
		t.Helper()
		siteKey, numberKeys, err := office.Told(t.Context(), north.Site)
		if err != nil {
			t.Fatal(err)
		}
		key, err := passcode.ParseSiteKey(siteKey)
		if err != nil {
			t.Fatal(err)
		}
		numbers, err := passcode.ParseNumberKeys(numberKeys)
		if err != nil {
			t.Fatal(err)
		}
		return key, numbers
	}
	list := func() []byte {
		t.Helper()
		signed, err := office.List(t.Context(), north.Site, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	first, _ := told()
	old := printed()
	before, err := passcode.OpenPasses(first, north.Site, list())
	if err != nil {
		t.Fatal(err)
	}
	change := func(kind, typed, want string, status int) {
		t.Helper()
		if got, page := hr.post(at("/people/codes/key"), url.Values{"kind": {kind}, "typed": {typed}}); got != status || !strings.Contains(page, want) {
			t.Errorf("%s: %d\n%s", kind, got, page)
		}
	}
	change("root", "", "Nothing was changed", http.StatusUnprocessableEntity)
	change("number", north.Site+"x", "Nothing was changed", http.StatusUnprocessableEntity)
	change("another", north.Site, "", http.StatusNotFound)
	manager := c.client("manager", c.account("manager", "The manager", store.Manager, mqtt.Gate{}))
	if status, _ := manager.post(at("/people/codes/key"), url.Values{"kind": {"root"}, "typed": {north.Site}}); status == http.StatusOK {
		t.Error("a manager changes a key")
	}
	if key, numbers := told(); !key.Equal(first) || len(numbers) != 1 {
		t.Fatal("a key was changed all the same")
	}

	change("root", north.Site, "The site has a new key", http.StatusOK)
	change("root", north.Site, "The site has a new key", http.StatusOK)
	last, _ := told()
	after, err := passcode.OpenPasses(first, north.Site, list())
	if err != nil || !after.SiteKey.Equal(last) || last.Equal(first) || after.Version <= before.Version {
		t.Fatalf("a gate does not follow the site: %v, %+v", err, after)
	}
	if again, err := passcode.OpenPasses(last, north.Site, list()); err != nil || again.Version != after.Version {
		t.Errorf("a gate that joins now, %v", err)
	}
	if _, err := passcode.Verify(north.Site, after, old, time.Now()); err != nil {
		t.Errorf("a code that was printed before: %v", err)
	}
	if _, page := hr.get(at("/people")); !strings.Contains(page, passcode.Fingerprint(last)) {
		t.Errorf("nobody can compare the key:\n%s", page)
	}
	kept, err := c.store.SiteKeys(t.Context(), north.Site)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		if k.Kind == store.RootKey && !ed25519.NewKeyFromSeed(k.Secret).Public().(ed25519.PublicKey).Equal(last) {
			t.Error("a secret is kept that signs nothing any more")
		}
	}

	change("number", north.Site, "new number key", http.StatusOK)
	_, numbers := told()
	reprinted := printed()
	for _, code := range []string{old, reprinted} {
		said, err := passcode.Verify(north.Site, after, code, time.Now())
		if err != nil || said.NewestPerson(numbers) != numbers.Pseudonym("A1") || (said.Person == one.Pseudonym) != (code == old) {
			t.Errorf("%+v, %v", said, err)
		}
	}
	if len(numbers) != 2 || numbers.First("A1") != one.Pseudonym {
		t.Errorf("%d number keys", len(numbers))
	}
	c.add(north, time.Now().Add(-time.Minute), event.Pass, "", func(d *event.Data) { d.Person = &event.Bearer{ID: one.Pseudonym, By: "old desk"} })
	c.add(north, time.Now().Add(-time.Second), event.Pass, "", func(d *event.Data) { d.Person = &event.Bearer{ID: numbers.Pseudonym("A1"), By: "new desk"} })
	if _, page := hr.get(at("/people/person/" + one.ID)); !strings.Contains(page, "old desk") || !strings.Contains(page, "new desk") {
		t.Errorf("the page of somebody:\n%s", page)
	}
	if err := c.store.SetStatus(t.Context(), north, mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "ok", Keys: mqtt.Keys{Site: passcode.Fingerprint(first), Numbers: 2}}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, page := hr.get(at("/people")); !strings.Contains(page, "Gates that have others") || !strings.Contains(page, "(the site&#39;s key before)") {
		t.Errorf("nobody sees which gates have not followed:\n%s", page)
	}
	if status, page := hr.post(at("/people/codes/key"), url.Values{"kind": {"root"}, "end": {"yes"}, "typed": {north.Site}}); status != http.StatusOK || !strings.Contains(page, "All codes of before are void") {
		t.Errorf("%d\n%s", status, page)
	}
	if now, err := passcode.OpenPasses(first, north.Site, list()); err != nil {
		t.Error(err)
	} else if _, err := passcode.Verify(north.Site, now, reprinted, time.Now()); err == nil {
		t.Error("with the site's key all codes were to be void, and are not")
	}
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.MadeKey, Account: "hr"}, 10)
	var changed []string
	for _, line := range lines {
		changed = append(changed, line.Detail)
	}
	slices.Sort(changed)
	if err != nil || !slices.Equal(changed, []string{"codes", "number", "root", "root", "root"}) {
		t.Errorf("the audit has %q, %v", changed, err)
	}
	chief := c.client("chief", c.account("chief", "The Administrator", store.Administrator, mqtt.Gate{}))
	if _, page := chief.get("/admin/audit?account=hr"); !strings.Contains(page, "made a key: site&#39;s key") || !strings.Contains(page, "changed the list of people") || strings.Contains(page, `href="/events/`) {
		t.Errorf("the page of the audit does not name the key, or leads from a list to an event that there is not:\n%s", page)
	}
}

// TestTooManyRevoked has more codes revoked than gates can be told: whoever did it is not told that gates refuse them.
func TestTooManyRevoked(t *testing.T) {
	c := start(t)
	c.online(north)
	hr := c.client("hr", c.account("hr", "Personnel", store.Personnel, plant))
	hr.apply("number;name\nA1;Zhang San\n", true)
	one := c.ids()["A1"]
	if _, page := hr.post(at("/people/codes/revoke"), url.Values{"person": {one.ID}}); strings.Contains(page, "Change the signing key at the end") {
		t.Errorf("of one code it says that it is too many:\n%s", page)
	}
	now := time.Now()
	var codes []store.PassCode
	for n := range 14_000 {
		codes = append(codes, store.PassCode{Serial: fmt.Sprintf("%016x", n), Person: one.ID, From: now, To: now.Add(time.Hour)})
	}
	if err := c.store.AddCodes(t.Context(), north.Site, codes, store.Author{}, now); err != nil {
		t.Fatal(err)
	}
	for _, page := range []func() (int, string){
		func() (int, string) { return hr.post(at("/people/codes/revoke"), url.Values{"person": {one.ID}}) },
		func() (int, string) { return hr.get(at("/people")) },
	} {
		if status, text := page(); status != http.StatusOK || !strings.Contains(text, "Change the signing key at the end") || strings.Contains(text, "within 2 s") {
			t.Errorf("%d, nobody is told:\n%s", status, text)
		}
	}
}

// TestAuditKeepsNoNumber has somebody look for a person, and turn pages: what is deleted of people is not in the audit of looks either.
func TestAuditKeepsNoNumber(t *testing.T) {
	c := start(t)
	c.online(north)
	hr := c.client("hr", c.account("hr", "Personnel", store.Personnel, plant))
	hr.apply("number;name\nA1047;Zhang San\nA1048;Li Si\n", true)
	hr.get(at("/people") + "&text=Zhang")
	hr.get(at("/people") + "&after=A1047")
	hr.get(at("/people/codes.csv") + "&after=A1047&text=Zhang")
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{Account: "hr"}, 100)
	if err != nil || len(lines) < 3 {
		t.Fatalf("%+v, %v", lines, err)
	}
	for _, line := range lines {
		if strings.Contains(line.Detail, "A1047") || strings.Contains(line.Detail, "Zhang") {
			t.Errorf("the audit has %q", line.Detail)
		}
	}
}

// TestListsOfOthers has a company reach for the uploads of others.
func TestListsOfOthers(t *testing.T) {
	c := start(t)
	c.online(north)
	hr := c.client("hr", c.account("hr", "Personnel", store.Personnel, plant))
	hr.post(at("/people/companies/ask"), url.Values{"name": {"Acme"}})
	companies, err := c.store.Companies(t.Context(), north.Site)
	if err != nil || len(companies) != 1 {
		t.Fatal(err)
	}
	_, page := hr.post(at("/people/companies/login"), url.Values{"name": {"acme"}, "full": {"Acme's"}, "company": {companies[0].ID}})
	once := regexp.MustCompile(`id="once">([^<]*)<`).FindStringSubmatch(page)[1]
	acme := c.client("acme", once)
	acme.post("/password", url.Values{"old": {once}, "password": {"long enough 1"}, "again": {"long enough 1"}})
	_, page = hr.upload("number,name\nA1,Zhang San\n", true)
	found := applyForm.FindStringSubmatch(page)
	path := strings.ReplaceAll(found[1], "&amp;", "&")
	for _, what := range []string{"apply", "drop", "undo"} {
		if status, page := acme.post(strings.Replace(path, "/apply", "/"+what, 1), url.Values{"sum": {found[2]}}); status != http.StatusNotFound || strings.Contains(page, "Zhang") {
			t.Errorf("%s: %d", what, status)
		}
	}
	if status, page := acme.get(strings.Replace(path, "/apply", "", 1)); status != http.StatusNotFound || strings.Contains(page, "Zhang") {
		t.Errorf("a company sees the list of others: %d", status)
	}
	if status, page := acme.upload("number,name\n=cmd(),x\nA1,=HYPERLINK()\n1.2E+11,x\n", true); status != http.StatusOK || strings.Contains(page, "/apply") || !strings.Contains(page, "like a formula") {
		t.Errorf("%d:\n%s", status, page)
	}
	if status, page := acme.upload(strings.Repeat("a line\n", 1_300_000), true); status != http.StatusUnprocessableEntity || !strings.Contains(page, "8 MB and 50,000 lines") {
		t.Errorf("a huge file: %d\n%.300s", status, page)
	}
}

// fillPeople has a site with people, companies, codes and a shift in which most of them were screened.
func (c *console) fillPeople() (begin time.Time) {
	c.t.Helper()
	ctx, by := c.t.Context(), store.Author{Account: "hr"}
	zone := c.store.Zone(north.Site)
	now := time.Now()
	day := store.DayOf(now.In(zone))
	begin = now.Add(-time.Hour)
	listedAt := now.Add(-48 * time.Hour)
	full := now.In(zone).Truncate(time.Hour)
	plan := store.ShiftPlan{Site: north.Site, From: day - 7, Shifts: []store.Shift{{Name: "甲班", Begin: time.Duration(full.Hour()) * time.Hour, End: time.Duration((full.Hour()+8)%24) * time.Hour, Expected: 60}}}
	if err := c.store.SetShiftPlan(ctx, plan, "", by); err != nil {
		c.t.Fatal(err)
	}
	office := passes.New(c.store)
	pseudonym, err := office.Pseudonym(ctx, north.Site)
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []string
	for i, name := range []string{"苏州精密机械有限公司", "Suzhou Precision Tooling & Automation Co.", "临时用工"} {
		id, err := c.store.AskCompany(ctx, store.Company{Site: north.Site, Name: name, Contact: "王经理 138", From: day - 30}, by, listedAt)
		if err != nil {
			c.t.Fatal(err)
		}
		ids = append(ids, id)
		if i < 2 {
			state := store.Company{ID: id, Site: north.Site, State: store.Approved, From: day - 30, Until: day + 100}
			if err := c.store.DecideCompany(ctx, state, by, listedAt); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	var rows []store.Listed
	for n := range 56 {
		row := store.Listed{Line: n + 2, Number: fmt.Sprintf("A%05d", n), Name: []string{"张伟", "王芳", "李娜", "欧阳修文", "Anna Schmidt"}[n%5], Department: []string{"总装", "喷涂", "仓库"}[n%3], Shift: "甲班"}
		if n%4 == 0 {
			row.Company = ids[n%3]
		}
		rows = append(rows, row)
	}
	id, err := c.store.AddUpload(ctx, store.Upload{Site: north.Site, By: "hr", File: "名单.xlsx", Whole: true}, rows, nil, listedAt)
	if err != nil {
		c.t.Fatal(err)
	}
	_, d, err := c.store.ShowUpload(ctx, north.Site, id, listedAt)
	if err == nil {
		_, err = c.store.ApplyUpload(ctx, north.Site, id, d.Sum(), pseudonym, by, listedAt)
	}
	people, listErr := c.store.People(ctx, store.PeopleFilter{Site: north.Site}, now, -1)
	if err == nil && listErr == nil {
		_, err = office.Issue(ctx, north.Site, people[:40], day.Begin(zone), (day + 30).Begin(zone), by, now)
	}
	if err != nil || listErr != nil {
		c.t.Fatal(err, listErr)
	}
	var events []store.Event
	for n, p := range people {
		gate, at := north, begin.Add(time.Duration(n)*20*time.Second)
		if n%3 == 0 {
			gate = south
		}
		about := func(d *event.Data) { d.Person = &event.Bearer{ID: p.Pseudonym, By: "desk"} }
		switch {
		case n%9 == 0:
			about = func(d *event.Data) { d.Unpaired = event.NoRead }
		case n%13 == 0:
			about = func(d *event.Data) { d.Unpaired = event.TwoFaces }
		}
		switch {
		case n == 11:
			events = append(events, c.make(gate, at, event.Alert, event.AboveThreshold, about))
		case n%17 == 5:
			events = append(events, c.make(gate, at, event.Inconclusive, event.Moving, about))
		default:
			events = append(events, c.make(gate, at, event.Pass, event.BelowThreshold, about))
		}
		if n == 20 {
			events = append(events, c.make(south, at.Add(2*time.Minute), event.Pass, event.BelowThreshold, about))
		}
	}
	c.addAll(events...)
	return begin
}

// TestCoveragePrints has the list of who was not screened be one sheet of paper.
func TestCoveragePrints(t *testing.T) {
	c := start(t)
	c.online(north, south)
	c.fillPeople()
	hr := c.account("hr", "人事王", store.Personnel, mqtt.Gate{})
	b := c.browser(desktop)
	b.logIn("hr", hr, "zh")
	b.open(at("/people/coverage"))
	b.wait("the page", `document.readyState === "complete"`)
	evaluate[bool](b, `(() => { const rows = document.querySelector(".list tbody"); for (let n = rows.children.length; n < 45; n++) rows.append(rows.firstElementChild.cloneNode(true)); return true; })()`)
	for _, path := range []string{"", at("/people/protection")} {
		if path != "" {
			b.open(path)
			b.wait("the page", `document.readyState === "complete"`)
		}
		pdf := b.printed("people-printed")
		sizes := pdfSize.FindAllSubmatch(pdf, -1)
		if pages := len(pdfPage.FindAll(pdf, -1)); pages != 1 || !strings.HasPrefix(string(sizes[0][1]), "59") {
			t.Errorf("%s prints on %d pages of %s × %s points", path, pages, sizes[0][1], sizes[0][2])
		}
	}
	manager := c.client("boss", c.account("boss", "The Boss", store.Manager, mqtt.Gate{}))
	zone := c.store.Zone(north.Site)
	address := "/shifts/" + time.Now().In(zone).Format(time.DateOnly) + "/" + url.PathEscape("甲班") + "?site=" + url.QueryEscape(north.Site)
	if status, page := manager.get(address); status != http.StatusOK || !strings.Contains(page, "The list of people expects") || !strings.Contains(page, "/people/coverage?") {
		t.Errorf("%d, the shift does not tell who was screened", status)
	}
	dayBefore := time.Now().AddDate(0, 0, -1)
	c.add(north, dayBefore, event.Pass, event.BelowThreshold)
	for _, address := range []string{"/people/coverage?shift=" + url.QueryEscape("甲班") + "&day=" + dayBefore.In(zone).Format(time.DateOnly) + "&site=" + url.QueryEscape(north.Site),
		"/shifts/" + dayBefore.In(zone).Format(time.DateOnly) + "/" + url.PathEscape("甲班") + "?site=" + url.QueryEscape(north.Site)} {
		if status, page := manager.get(address); status != http.StatusOK || !strings.Contains(page, "Who of them came is not known") || strings.Contains(page, "not seen:") {
			t.Errorf("%s: %d, people are said to be missing, of whom nobody knows", address, status)
		}
	}
	plan, err := c.store.ShiftPlan(t.Context(), north.Site, store.DayOf(time.Now().In(zone)))
	if err == nil {
		plan.Shifts[0].Expected = 0
		err = c.store.SetShiftPlan(t.Context(), plan, "", store.Author{Account: "hr"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, page := manager.get(at("/shifts")); !strings.Contains(page, "by list</a>") {
		t.Error("the list of shifts does not lead to how many of those on the list came, where nobody gave a head-count")
	}
	if _, page := manager.get(at("/people/coverage")); strings.Contains(page, "欧阳修文") || !strings.Contains(page, "screened:") {
		t.Errorf("a manager sees:\n%s", page)
	}
}

// TestBrowserPeople looks at every page about people on phone and desktop, in both languages.
func TestBrowserPeople(t *testing.T) {
	c := start(t)
	c.online(north, south)
	c.fillPeople()
	password := c.account("hr", "人事王", store.Personnel, mqtt.Gate{})
	hr := c.client("hr", password)
	_, preview := hr.upload("工号,姓名,公司,部门,班次,身份证\nA00001,王芳,,喷涂,甲班,3205\nA00002,李娜,,喷涂,夜班,3205\nB1,新人,不认识的公司,,,\n1.2E+11,x,,,,\n=1+1,y,,,,\nB2,赵新,,仓库,甲班,\n", true)
	found := applyForm.FindStringSubmatch(preview)
	if found == nil {
		t.Fatal(preview)
	}
	shown := strings.TrimSuffix(strings.Split(strings.ReplaceAll(found[1], "&amp;", "&"), "?")[0], "/apply")
	one := c.ids()["A00020"]
	pages := map[string]string{
		at("/people"): "people", at("/people/companies"): "people-companies", at("/people/upload"): "people-upload", at(shown): "people-preview",
		at("/people/person/" + one.ID): "people-person", at("/people/person/" + one.ID + "/forget"): "people-forget", at("/people/coverage"): "people-coverage", at("/people/protection"): "people-protection",
	}
	b := c.browser(desktop)
	b.logIn("hr", password, "zh")
	for _, lang := range []string{"zh", "en"} {
		for name, size := range map[string][2]int64{"phone": phone, "desktop": desktop} {
			b.do(chromedp.EmulateViewport(size[0], size[1]))
			b.paint((size == desktop) == (lang == "en"))
			for path, title := range pages {
				b.open(path + "&lang=" + lang)
				b.wait(path, `document.readyState === "complete" && document.querySelectorAll("h1").length === 1`)
				name := strings.Join([]string{title, name, lang}, "-")
				b.shoot(name)
				b.accessible(name)
				if title == "people-companies" && !evaluate[bool](b, `[...document.querySelectorAll("table button.main")].every(button => button.getBoundingClientRect().right <= innerWidth)`) {
					t.Errorf("%s: what is to be done with a company is out of sight", name)
				}
			}
		}
	}
}

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/join"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var (
	north = mqtt.Gate{Site: "苏州一厂", Name: "北门"}
	south = mqtt.Gate{Site: "苏州一厂", Name: "南门"}
	far   = mqtt.Gate{Site: "plant two", Name: "dock"}
)

// console is a store with pages before it.
type console struct {
	deaf     atomic.Bool // it hears nothing
	t        testing.TB
	store    *store.Store
	accounts *accounts.Accounts
	pages    *Pages
	server   *httptest.Server
	file     string // of an SQLite store
	once     string // password of the first log-in
	mu       sync.Mutex
	sequence map[mqtt.Gate]int64 // the last in the gate's journal
	random   *rand.ChaCha8
	journals map[mqtt.Gate]string
}

func start(t testing.TB) *console { return startWith(t, accounts.DefaultOIDC()) }

// startWith has people log in with their company's accounts, too.
func startWith(t testing.TB, company accounts.OIDC) *console {
	return startOver(t, storeOf(t), company)
}

// startOver has pages over a store that there may be already.
func startOver(t testing.TB, cfg store.Config, company accounts.OIDC) *console {
	t.Helper()
	return startPages(t, cfg, company, DefaultConfig())
}

func startPages(t testing.TB, cfg store.Config, company accounts.OIDC, pages Config) *console {
	t.Helper()
	cfg.TimeZone = "Asia/Shanghai"
	quiet := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := store.Open(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	server := httptest.NewUnstartedServer(nil)
	if company.Issuer != "" {
		company.URL = "http://" + server.Listener.Addr().String()
	}
	people, err := accounts.New(s, false, company, quiet)
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, store: s, file: cfg.File, accounts: people, random: rand.NewChaCha8([32]byte{1}), sequence: map[mqtt.Gate]int64{}, journals: map[mqtt.Gate]string{}}
	if c.once, err = people.First(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages.Desk = join.New(join.DefaultConfig(), "test", mqtt.DefaultConfig(), s, quiet)
	if c.pages, err = New(s, people, func() (bool, time.Time) { return !c.deaf.Load(), time.Time{} }, pages, quiet); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = c.pages
	server.Start()
	c.server = server
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.pages.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); c.server.Close() })
	return c
}

// online has gates say that all is well.
func (c *console) online(gates ...mqtt.Gate) {
	c.t.Helper()
	for _, gate := range gates {
		status := mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "ok", Version: "test"}}
		if err := c.store.SetStatus(c.t.Context(), gate, status, time.Now()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// add stores an event and returns its id.
func (c *console) add(gate mqtt.Gate, at time.Time, outcome event.Outcome, reason event.Reason, change ...func(*event.Data)) string {
	c.t.Helper()
	return c.addAll(c.make(gate, at, outcome, reason, change...))[0]
}

func (c *console) addAll(events ...store.Event) (ids []string) {
	c.t.Helper()
	if _, err := c.store.Append(c.t.Context(), events); err != nil {
		c.t.Fatal(err)
	}
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func (c *console) make(gate mqtt.Gate, at time.Time, outcome event.Outcome, reason event.Reason, change ...func(*event.Data)) store.Event {
	c.t.Helper()
	c.mu.Lock()
	if c.journals[gate] == "" {
		c.journals[gate] = ulid.MustNew(1, c.random).String()
	}
	c.sequence[gate]++
	number := func(v float64) *float64 { return &v }
	skin := 34.4
	if outcome == event.Alert {
		skin = 36.12
	}
	e := event.Event{
		SpecVersion: "1.0", ID: ulid.MustNew(uint64(at.UnixMilli()), c.random).String(), Source: event.Source(gate.Site, gate.Name),
		Type: "thermogate.screening." + string(outcome) + ".v1", Time: at, DataContentType: "application/json",
		Journal: c.journals[gate], Sequence: strconv.FormatInt(c.sequence[gate], 10),
		Data: event.Data{
			Outcome: outcome, Reason: reason, SkinCelsius: number(skin), SkinUncertaintyCelsius: number(0.31), SkinSite: event.InnerCanthus,
			BodyCelsius: number(event.Hundredths(skin + 2.2)), BodyUncertaintyCelsius: number(0.55), OffsetCelsius: number(2.2), Policy: "offset",
			ThresholdCelsius: number(37.5), FramesUsed: 9, FirstSeen: at.Add(-time.Second), SecondsToVerdict: number(0.62),
			Reference: event.Reference{Found: true, NominalCelsius: number(35), MeasuredCelsius: number(34.88), CorrectionCelsius: number(0.12)},
			Face:      &event.Box{X: 60, Y: 40, W: 30, H: 40}, Camera: "test", Version: "test",
		},
	}
	c.mu.Unlock()
	for _, change := range change {
		change(&e.Data)
	}
	body, err := json.Marshal(e)
	if err != nil {
		c.t.Fatal(err)
	}
	read, err := store.NewEvent(gate, body, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	return read
}

// delete deletes an event, and returns its id.
func (c *console) delete(id string) string {
	c.t.Helper()
	_, sum, err := c.store.Record(c.t.Context(), id)
	if err == nil {
		_, err = c.store.DeleteEvent(c.t.Context(), id, sum, "asked for", store.Author{Account: "admin"}, time.Now())
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *console) alert(gate mqtt.Gate, change ...func(*event.Data)) string {
	c.t.Helper()
	return c.add(gate, time.Now(), event.Alert, event.AboveThreshold, change...)
}

// account makes one with a password of its own.
func (c *console) account(name, full string, role store.Role, scope mqtt.Gate) (password string) {
	c.t.Helper()
	password, err := c.accounts.Add(c.t.Context(), store.Account{Name: name, FullName: full, Role: role, Scope: scope}, store.Author{Account: accounts.FirstName})
	if err == nil {
		var a store.Account
		if a, err = c.store.Account(c.t.Context(), name); err == nil {
			err = c.store.SetPassword(c.t.Context(), name, a.Password, a.Mark, false, store.Author{})
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return password
}

// client is a program that fetches pages as a browser does, without its JavaScript.
type client struct {
	c *console
	*http.Client
}

func (c *console) client(name, password string) *client {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b := &client{c, &http.Client{Jar: jar}}
	if status, _ := b.post("/login", url.Values{"name": {name}, "password": {password}}); status != http.StatusOK {
		c.t.Fatalf("%s can't log in: %d", name, status)
	}
	return b
}

func (b *client) do(request *http.Request) (status int, body string) {
	b.c.t.Helper()
	request.Header.Set("Accept-Language", "en")
	answer, err := b.Do(request)
	if err != nil {
		b.c.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		b.c.t.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

func (b *client) get(path string) (status int, body string) {
	b.c.t.Helper()
	request, err := http.NewRequest(http.MethodGet, b.c.server.URL+path, nil)
	if err != nil {
		b.c.t.Fatal(err)
	}
	return b.do(request)
}

func (b *client) post(path string, form url.Values) (status int, body string) {
	b.c.t.Helper()
	request, err := http.NewRequest(http.MethodPost, b.c.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(request)
}

func TestEveryPageInBothLanguages(t *testing.T) {
	c := start(t)
	c.online(north, south)
	id := c.alert(north, func(d *event.Data) { d.Worn = []event.Garment{event.Glasses, event.Mask} })
	c.add(north, time.Now(), event.Inconclusive, event.NoReading, func(d *event.Data) {
		d.SkinCelsius, d.BodyCelsius, d.ThresholdCelsius, d.Face = nil, nil, nil, nil
	})
	gone, quiet := c.delete(c.add(north, time.Now(), event.Pass, event.BelowThreshold)), c.add(north, time.Now(), event.Pass, event.BelowThreshold)
	b := c.client("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}))
	for path, want := range map[string][2]string{
		"/":                                 {"我来处理", "Take it"},
		"/alerts/" + id:                     {"请此人到一边", "ask the person aside"},
		"/faults":                           {"没有故障", "No faults"},
		"/gates":                            {"今天人数", "People today"},
		gateAddress(north):                  {"现行设置", "Settings in force"},
		gateAddress(south):                  {"今天还没有人经过", "Nobody has come by today"},
		"/history":                          {"未测准", "Inconclusive"},
		"/history?outcome=alert&state=open": {"待处理", "new"},
		"/events/" + id:                     {"结论怎么来的", "How the verdict follows"},
		"/check?gate=" + url.QueryEscape("苏州一厂/北门"): {"保存点检", "Save the check"},
		"/load":                        {"告警负荷", "Alert load"},
		"/admin/accounts":              {"新账号", "A new account"},
		"/admin/audit":                 {"谁看了、改了、导出了、删除了什么", "who saw, changed, exported and deleted what"},
		"/admin/audit?verify=1":        {"行都与写下时一样", "lines are as they were noted"},
		"/admin/retention":             {"冻结（法律保留）", "Legal holds"},
		"/events/" + gone:              {"删除前的导出文件", "has an export of before"},
		"/events/" + quiet + "/delete": {"输入记录编号的最后 6 位", "type the last 6 characters of its number"},
		"/password":                    {"修改密码", "Change the password"},
	} {
		for i, lang := range []string{"zh", "en"} {
			join := "?"
			if strings.Contains(path, "?") {
				join = "&"
			}
			status, body := b.get(path + join + "lang=" + lang)
			if status != http.StatusOK && path != "/events/"+gone || !strings.Contains(body, want[i]) {
				t.Errorf("%s in %s: %d, without %q", path, lang, status, want[i])
			}
			if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "%!") || strings.Contains(body, "&lt;nil") {
				t.Errorf("%s in %s has a hole", path, lang)
			}
			main := body[strings.Index(body, "<main>"):]
			if lang == "en" && path != "/events/"+id {
				for _, name := range []string{"苏州一厂", "北门", "南门"} {
					main = strings.ReplaceAll(main, name, "")
				}
				for _, r := range main {
					if r >= 0x4e00 && r <= 0x9fff {
						t.Errorf("%s in English has %c in it", path, r)
						break
					}
				}
			}
		}
	}
}

// TestDemonstration has every page say that people are made up.
func TestDemonstration(t *testing.T) {
	c := start(t)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	for _, until := range []time.Time{{}, time.Date(2026, 3, 2, 6, 55, 0, 0, time.UTC)} {
		c.pages.cfg.MadeUpUntil = until
		for _, path := range []string{"/", "/gates", "/history"} {
			if _, body := b.get(path); strings.Contains(body, "before 2 Mar 2026 14:55:00 are made up") == until.IsZero() {
				t.Errorf("%s of people made up until %v", path, until)
			}
		}
	}
}

// TestFlood has more open alerts than a page can show, most of them overdue and at one gate: it stays small, says how many
// there are, and the bar above the other pages names each gate once.
func TestFlood(t *testing.T) {
	c := start(t)
	c.online(north, south)
	var all []store.Event
	for n := range 3 * maxListed {
		e := c.make(north, time.Now().Add(-time.Hour+time.Duration(n)*time.Second), event.Alert, event.AboveThreshold)
		e.Received = e.Time
		all = append(all, e)
	}
	quiet := c.make(south, time.Now().Add(-2*time.Hour), event.Alert, event.AboveThreshold)
	quiet.Received = quiet.Time
	c.addAll(append(all, quiet)...)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	_, body := b.get("/")
	if got := strings.Count(body, "/take\""); got != maxListed || !strings.Contains(body, fmt.Sprint(3*maxListed+1, " to see to")) ||
		!strings.Contains(body, fmt.Sprint(2*maxListed+1, " older ones are open")) {
		t.Errorf("%d alerts are listed", got)
	}
	for body = ""; !strings.Contains(body, `role="alert"><b>▲`); { // until there is a snapshot with them
		_, body = b.get("/faults")
	}
	_, bar, _ := strings.Cut(body, `id="escalated"`)
	bar, _, _ = strings.Cut(bar, "</p>")
	if strings.Count(bar, "/alerts/") != 2 || !strings.Contains(bar, south.Name) {
		t.Errorf("the bar names %s", bar)
	}
	now, _ := c.pages.newest()
	page := c.pages.pageOf(now, store.Account{})
	if text := string(page.message.body); strings.Count(text, `"gate"`) != 2 || !strings.Contains(text, south.Name) {
		t.Errorf("open pages are told %s", text)
	}
}

// TestRolesAndScope has each see and do what is theirs.
func TestRolesAndScope(t *testing.T) {
	c := start(t)
	c.online(north, south, far)
	at := map[mqtt.Gate]string{}
	for _, gate := range []mqtt.Gate{north, south, far} {
		at[gate] = c.alert(gate)
	}
	guard := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	manager := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{Site: north.Site}))
	for _, test := range []struct {
		who  string
		b    *client
		path string
		want int
	}{
		{"guard", guard, "/alerts/" + at[north], 200},
		{"guard", guard, "/alerts/" + at[south], 404},
		{"guard", guard, "/events/" + at[far], 404},
		{"guard", guard, "/load", 403},
		{"guard", guard, gateAddress(north), 200},
		{"guard", guard, gateAddress(south), 404},
		{"guard", guard, gateAddress(far), 404},
		{"guard", guard, "/history.csv", 403},
		{"guard", guard, "/history.xlsx", 403},
		{"guard", guard, "/study/pairs.csv", 403},
		{"manager", manager, gateAddress(south), 200},
		{"manager", manager, gateAddress(far), 404},
		{"manager", manager, "/history.csv?gate=plant+two%2Fdock", 404},
		{"manager", manager, "/history.csv?gate=" + url.QueryEscape(north.Site), 200},
		{"guard", guard, "/history?gate=" + url.QueryEscape(north.Site), 200},
		{"guard", guard, "/admin/accounts", 403},
		{"manager", manager, "/alerts/" + at[south], 200},
		{"manager", manager, "/events/" + at[far], 404},
		{"manager", manager, "/load", 200},
		{"manager", manager, "/admin/accounts", 403},
		{"manager", manager, "/alerts/" + at[north] + "/take", 200}, // leads to the alert
		{"manager", manager, "/nowhere", 404},
	} {
		if status, _ := test.b.get(test.path); status != test.want {
			t.Errorf("%s gets %d for %s, want %d", test.who, status, test.path, test.want)
		}
	}
	for _, path := range []string{"/", "/gates", "/history", "/history?gate=plant+two%2Fdock", "/history?state=open", "/check", "/faults"} {
		_, body := guard.get(path)
		if body = body[strings.Index(body, "<main>"):]; strings.Contains(body, far.Name) || strings.Contains(body, south.Name) {
			t.Errorf("the guard of one gate sees others on %s", path)
		}
	}
	for path, form := range map[string]url.Values{
		"/alerts/" + at[south] + "/take": {"version": {"0"}},
		"/faults":                        {"gate": {"plant two/dock"}, "part": {"link"}, "hours": {"1"}, "reason": {"x"}},
		"/check":                         {"gate": {"plant two/dock"}, "ok": {"yes"}},
		"/admin/accounts/add":            {"name": {"evil"}, "full": {"Evil"}, "role": {"administrator"}},
		"/admin/accounts/renew":          {"name": {"admin"}},
	} {
		if status, _ := guard.post(path, form); status != 404 && status != 403 {
			t.Errorf("a guard of another gate gets %d for POST %s", status, path)
		}
	}
	stranger := &client{c, &http.Client{}}
	for _, path := range []string{"/stream", "/alerts/" + at[north] + "/take"} {
		if status, _ := stranger.post(path, nil); status == 200 {
			t.Errorf("a stranger gets %d for POST %s", status, path)
		}
	}
	if status, body := stranger.get("/history"); status != 200 || !strings.Contains(body, `name="password"`) {
		t.Errorf("a stranger gets %d without a log-in", status)
	}
	if status, _ := stranger.get("/stream"); status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d for the stream", status)
	}
}

// TestOtherSites has another site's page try to have a guard's browser do something.
func TestOtherSites(t *testing.T) {
	c := start(t)
	id := c.alert(north)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	request, err := http.NewRequest(http.MethodPost, c.server.URL+"/alerts/"+id+"/take", strings.NewReader("version=0"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	if status, _ := b.do(request); status != http.StatusForbidden {
		t.Errorf("another site's form gets %d", status)
	}
	if a, _, err := c.store.Alert(t.Context(), id); err != nil || a.State != store.New {
		t.Errorf("the alert is %s, %v", a.State, err)
	}
}

// TestFormsSentLate has forms come twice, and after others have changed the alert.
func TestFormsSentLate(t *testing.T) {
	c := start(t)
	id := c.alert(north)
	lina, wang := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{})), c.client("wang", c.account("wang", "Wang Wei", store.Guard, mqtt.Gate{}))
	reading := func(version, value string) url.Values {
		return url.Values{"version": {version}, "value": {value}, "unit": {"°C"}, "place": {"ear"}, "thermometer": {"T7"}}
	}
	for _, test := range []struct {
		who    *client
		what   string
		form   url.Values
		status int
		notice string
	}{
		{lina, "take", url.Values{"version": {"0"}, "outcome": {"anything"}}, http.StatusOK, ""},
		{lina, "take", url.Values{"version": {"0"}}, http.StatusOK, ""},
		{wang, "take", url.Values{"version": {"1"}}, http.StatusOK, ""},
		{lina, "read", reading("1", "378"), http.StatusConflict, "Wang Wei was first"},
		{lina, "read", reading("1", "37.8"), http.StatusConflict, "Wang Wei was first"},
		{wang, "read", reading("2", "37.8"), http.StatusOK, ""},
		{wang, "read", reading("2", "37.8"), http.StatusOK, ""},
		{wang, "read", reading("2", "38.7"), http.StatusConflict, "You changed it yourself"},
		{wang, "close", url.Values{"version": {"3"}, "outcome": {"confirmed"}}, http.StatusOK, ""},
		{wang, "close", url.Values{"version": {"3"}, "outcome": {"confirmed"}}, http.StatusOK, ""},
		{wang, "close", url.Values{"version": {"3"}, "outcome": {"false"}}, http.StatusConflict, "You changed it yourself"},
		{lina, "close", url.Values{"version": {"3"}, "outcome": {"confirmed"}}, http.StatusConflict, "Wang Wei was first"},
	} {
		status, body := test.who.post("/alerts/"+id+"/"+test.what, test.form)
		if status != test.status || !strings.Contains(body, test.notice) || strings.Contains(body, `id="notice"`) != (test.notice != "") {
			t.Errorf("%s %v: %d, want %d and %q\n%s", test.what, test.form, status, test.status, test.notice, body)
		}
	}
	if a, changes, err := c.store.Alert(t.Context(), id); err != nil || len(changes) != 4 || a.Outcome != mqtt.Confirmed {
		t.Errorf("%+v, %+v, %v", a, changes, err)
	}
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.ChangedAlert}, 10)
	if err != nil || len(lines) != 4 {
		t.Errorf("%+v, %v", lines, err)
	}
	for _, line := range lines {
		if strings.Contains(line.Detail, "anything") {
			t.Errorf("the audit has %q", line.Detail)
		}
	}
}

func TestReading(t *testing.T) {
	c := start(t)
	id := c.alert(north)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	b.post("/alerts/"+id+"/take", url.Values{"version": {"0"}})
	for value, unit := range map[string]string{"": "°C", "abc": "°C", "100.4": "°C", "380": "°C", "37.8": "°F", "NaN": "°C"} {
		if status, body := b.post("/alerts/"+id+"/read", url.Values{"version": {"1"}, "value": {value}, "unit": {unit}, "place": {"ear"}}); status != 422 || !strings.Contains(body, `id="notice"`) {
			t.Errorf("%q %s: %d", value, unit, status)
		}
	}
	longest := strings.Repeat("枪", 60) // as the form lets through
	status, body := b.post("/alerts/"+id+"/read", url.Values{"version": {"1"}, "value": {"100,9"}, "unit": {"°F"}, "place": {"ear"}, "thermometer": {longest}})
	if status != 200 || !strings.Contains(body, "100.9 °F") || !strings.Contains(body, "looks like a fever") {
		t.Errorf("100.9 °F: %d\n%s", status, body)
	}
	a, _, err := c.store.Alert(t.Context(), id)
	if err != nil || a.State != store.Read || fmt.Sprintf("%.2f", *a.ReadCelsius) != "38.28" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, body := b.get("/alerts/" + id); !strings.Contains(body, `value="`+longest+`"`) {
		t.Error("the thermometer is not remembered")
	}
}

// TestPagesAreSmall has more gates and alerts than a site ever should.
func TestPagesAreSmall(t *testing.T) {
	c := start(t)
	var events []store.Event
	for n := range 200 {
		gate := mqtt.Gate{Site: "苏州一厂", Name: fmt.Sprintf("%02d号门", n%50)}
		events = append(events, c.make(gate, time.Now().Add(-time.Duration(n)*time.Minute), event.Alert, event.AboveThreshold))
	}
	c.addAll(events...)
	for n := range 50 {
		c.online(mqtt.Gate{Site: "苏州一厂", Name: fmt.Sprintf("%02d号门", n)})
	}
	b := c.client("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}))
	b.get("/?lang=zh")
	begin := time.Now()
	_, body := b.get("/")
	took := time.Since(begin)
	size := len(body)
	for _, asset := range []string{"console.css", "console.js", "keys.js", "stream.js"} {
		_, content := b.get("/assets/" + asset)
		size += len(content)
	}
	t.Logf("a page with 50 gates and 200 alerts: %d kB with what it loads, made in %v", size/1000, took)
	if size >= 150_000 {
		t.Errorf("a live page has %d bytes", size)
	}
	if strings.Count(body, "/take") != 200 {
		t.Errorf("%d alerts are on the page", strings.Count(body, "/take"))
	}
}

// TestCountsComeWithThePage: counts that only the stream brings would move the links beside them.
func TestCountsComeWithThePage(t *testing.T) {
	c := start(t)
	c.online(north)
	guard := c.client("lina", c.account("lina", "李娜", store.Guard, north))
	has := func(alerts, faults string) bool {
		_, page := guard.get("/history")
		return strings.Contains(page, `<b id="count-alerts"`+alerts+"</b>") && strings.Contains(page, `<b id="count-faults"`+faults+"</b>")
	}
	wait := func(alerts, faults string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !has(alerts, faults); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("there is no page with %q alerts and %q faults", alerts, faults)
			}
		}
	}
	wait(" hidden>0", " hidden>0")
	c.alert(far)
	c.alert(north)
	status := mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "stalled"}}
	if err := c.store.SetStatus(t.Context(), north, status, time.Now()); err != nil {
		t.Fatal(err)
	}
	wait(">1", ">1")
}

// TestNothingIsKnownOfWhatIsNotHeard has no page say that all is well while the console hears nothing.
func TestNothingIsKnownOfWhatIsNotHeard(t *testing.T) {
	c := start(t)
	guard := c.client("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}))
	if _, page := guard.get("/check?lang=en"); strings.Contains(page, "all checked today") {
		t.Error("without a gate all are checked")
	}
	c.online(north)
	part := regexp.MustCompile(`data-part="alerts" data-version="([^"]+)"`)
	versions := map[string]bool{}
	for _, deaf := range []bool{false, true} {
		c.deaf.Store(deaf)
		for path, words := range map[string][2]string{"/": {"No alerts", "Whether there are alerts is not known"}, "/faults": {"No faults", "Whether there are faults is not known"}} {
			_, page := guard.get(path + "?lang=en")
			if strings.Contains(page, words[0]) == deaf || strings.Contains(page, words[1]) != deaf {
				t.Errorf("%s of a console that hears nothing (%t) says the other thing", path, deaf)
			}
			if path == "/" {
				versions[part.FindStringSubmatch(page)[1]] = true
			}
		}
	}
	if len(versions) != 2 {
		t.Error("a page that is open does not hear of it")
	}
}

// TestStream has a page told what changes, and nothing twice.
func TestStream(t *testing.T) {
	c := start(t)
	c.online(north)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	open := func(last string) *stream {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server.URL+"/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Last-Event-ID", last)
		answer, err := b.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return &stream{t: t, body: answer.Body}
	}
	first := open("")
	if kind, data := first.next(); kind != "now" || !strings.Contains(data, `"open":0`) {
		t.Fatalf("at first %s %s", kind, data)
	}
	c.alert(north)
	kind, data := first.next()
	for range 5 { // a slow machine has time for a beat, and for the gate to be heard of no more
		if strings.Contains(data, `"fresh":1`) {
			break
		}
		kind, data = first.next()
	}
	if kind != "now" || !strings.Contains(data, `"fresh":1`) {
		t.Errorf("after an alert: %s %s", kind, data)
	}
	c.alert(far) // none of this guard's
	if kind, data := first.next(); kind == "now" && !strings.Contains(data, `"open":1,`) {
		t.Errorf("of another's gate the guard hears %s %s", kind, data)
	}
	again := open(first.id)
	kind, data = again.next()
	for range 5 { // a slow machine has time for another change, too
		if kind == "beat" {
			break
		}
		again = open(again.id)
		kind, data = again.next()
	}
	if kind != "beat" {
		t.Errorf("who has missed nothing hears %s %s", kind, data)
	}
	if err := c.store.SetLocked(t.Context(), "lina", true, store.Author{}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if kind, _ = again.next(); kind == "" {
			break
		}
	}
	if kind != "" {
		t.Error("the stream of a locked account goes on")
	}
}

// stream reads server-sent events.
type stream struct {
	t    *testing.T
	body io.Reader
	rest string
	id   string
}

// next is the next event that has a kind; both are empty at the end.
func (s *stream) next() (kind, data string) {
	buffer := make([]byte, 4096)
	for {
		for {
			message, rest, found := strings.Cut(s.rest, "\n\n")
			if !found {
				break
			}
			s.rest = rest
			for line := range strings.Lines(message) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
				switch value = strings.TrimSpace(value); name {
				case "id":
					s.id = value
				case "event":
					kind = value
				case "data":
					data = value
				}
			}
			if kind != "" {
				return kind, data
			}
		}
		n, err := s.body.Read(buffer)
		s.rest += string(buffer[:n])
		if err != nil {
			return "", ""
		}
	}
}

func TestSides(t *testing.T) {
	at := time.Now()
	stand := func(visit string, x float64) store.Event {
		return store.Event{Visit: visit, Event: event.Event{Time: at, Data: event.Data{FirstSeen: at.Add(-time.Second), Face: &event.Box{X: x, W: 20}}}}
	}
	me, left, right := stand("me", 50), stand("left", 10), stand("right", 90)
	gone := stand("gone", 10)
	gone.Time = at.Add(-10 * time.Second)
	for want, beside := range map[string][]store.Event{
		"":                                  {me, gone},
		"on the right of the picture, of 2": {me, left},
		"on the left of the picture, of 2":  {right, me, gone},
		"no. 2 from the left, of 3":         {left, right},
	} {
		if got := sideOf(me, beside); got.EN != want {
			t.Errorf("%q, want %q", got.EN, want)
		}
	}
}

// TestScaleAgreesWithVerdict has a scale never show a number on the other side of its threshold than the verdict has it.
func TestScaleAgreesWithVerdict(t *testing.T) {
	for hundredths := 3450; hundredths < 3650; hundredths++ {
		skin, offset, threshold, half := float64(hundredths)/100, 2.2, 37.5, 0.3
		body := event.Hundredths(skin + offset)
		s := tongue("en").scaleOf(event.Data{
			SkinCelsius: &skin, SkinUncertaintyCelsius: &half, BodyCelsius: &body, OffsetCelsius: &offset, ThresholdCelsius: &threshold,
		}, nil)
		for _, row := range s.Rows {
			if row.Over != (body >= threshold) || row.Over != (row.X >= row.Level) {
				t.Fatalf("%.2f °C: %+v", skin, row)
			}
			if row.From < 0 || row.To > s.Width {
				t.Fatalf("%.2f °C: %+v reaches out", skin, row)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	end := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	var alerts []store.Alert
	for n := range 12 { // in eleven minutes, across the end of a window
		alerts = append(alerts, store.Alert{Gate: north, Time: end.Add(-25*time.Minute + time.Duration(n)*time.Minute), State: store.Closed, Outcome: mqtt.FalseAlert})
	}
	alerts = append(alerts, store.Alert{Gate: south, Time: end.Add(-time.Minute), State: store.Closed, Outcome: mqtt.Confirmed})
	alone := loadOf(alerts, guardsBy(nil), 2, end.Add(-loadWeek), end)
	if g := alone.Gates[0]; g.Gate != north || g.Peak != 10 || g.Kind != "flood" || g.FalseShare() != 100 {
		t.Errorf("one guard: %+v", g)
	}
	if len(alone.Heavy) != 1 || alone.Heavy[0] != north || alone.Total.FalseShare() != 92 {
		t.Errorf("too much at %v, %d %% false", alone.Heavy, alone.Total.FalseShare())
	}
	var changes []store.Change
	for n := range 10 {
		changes = append(changes, store.Change{Who: fmt.Sprint("guard ", n), At: end.Add(-20 * time.Minute)})
	}
	if many := loadOf(alerts, guardsBy(changes), 2, end.Add(-loadWeek), end); many.Gates[0].Kind != "good" {
		t.Errorf("ten guards: %+v", many.Gates[0])
	}
}

// TestWordsAreThoseOfTheDomain has the console call nothing otherwise than all pages do.
func TestAgo(t *testing.T) {
	for ago, want := range map[time.Duration]string{
		-time.Hour: "0 s", 59 * time.Second: "59 s", 119*time.Minute + 59*time.Second: "119 min", 2 * time.Hour: "2 h", 47*time.Hour + 59*time.Minute: "47 h", 48 * time.Hour: "2 days",
	} {
		if got := tongue("en").Ago(ago); got != want {
			t.Errorf("%v ago is %s, want %s", ago, got, want)
		}
	}
}

func TestWordsAreThoseOfTheDomain(t *testing.T) {
	for word, said := range words {
		if other, known := event.PhraseOf(word); known {
			t.Errorf("%s is %v here and %v everywhere", word, said, other)
		}
	}
	for _, reason := range reasons {
		if _, known := event.PhraseOf(string(reason)); !known {
			t.Errorf("%s has no words", reason)
		}
	}
}

// TestReasoningOfAFusedEstimate names every number that the estimate rests on, in both languages.
func TestReasoningOfAFusedEstimate(t *testing.T) {
	e := store.Event{Event: event.Event{Data: event.Data{
		Policy: "fused", SkinSite: event.InnerCanthus, SkinCelsius: new(35.4), FaceCelsius: new(35.9), AmbientCelsius: new(22.5),
		OffsetCelsius: new(1.44), BodyCelsius: new(36.84), BodyUncertaintyCelsius: new(0.7),
	}}}
	for language, want := range map[tongue][]string{
		"en": {"warmest spot of the face read 35.90", "air was at 22.5", "35.40 + 1.44 (offset to the body, from all of these) = 36.84"},
		"zh": {"脸部最热处测得 35.90", "环境温度 22.5", "35.40 + 1.44（由以上测值得出的补偿）= 36.84"},
	} {
		said := strings.Join(language.reasoning(e), "\n")
		for _, text := range want {
			if !strings.Contains(said, text) {
				t.Errorf("%s: %q is missing from\n%s", language, text, said)
			}
		}
	}
}

package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestAccounts has administrators give rights within their own.
func TestAccounts(t *testing.T) {
	c := start(t)
	c.online(north, south, far)
	chef := c.client("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}))
	local := c.client("local", c.account("local", "Local", store.Administrator, mqtt.Gate{Site: north.Site}))
	guard := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	c.account("ann", "Ann", store.Guard, far)
	rights := func(name string) string {
		t.Helper()
		a, err := c.store.Account(t.Context(), name)
		if err != nil {
			return "none"
		}
		return strings.TrimSpace(fmt.Sprint(a.Role, " ", a.Scope.Site, "/", a.Scope.Name, " ", a.Locked))
	}
	for _, test := range []struct {
		who    string
		b      *client
		path   string
		form   url.Values
		status int
		about  string
		want   string
	}{
		{"the company's", chef, "role", url.Values{"name": {"lina"}, "role": {"manager"}, "scope": {north.Site}}, 200, "lina", "manager 苏州一厂/ false"},
		{"the company's", chef, "role", url.Values{"name": {"lina"}, "role": {"emperor"}, "scope": {""}}, 422, "lina", "manager 苏州一厂/ false"},
		{"the company's", chef, "role", url.Values{"name": {"lina"}, "role": {"guard"}, "scope": {"苏州一厂/北门"}}, 200, "lina", "guard 苏州一厂/北门 false"},
		{"a site's", local, "role", url.Values{"name": {"lina"}, "role": {"administrator"}, "scope": {""}}, 403, "lina", "guard 苏州一厂/北门 false"},
		{"a site's", local, "role", url.Values{"name": {"lina"}, "role": {"guard"}, "scope": {"plant two/dock"}}, 403, "lina", "guard 苏州一厂/北门 false"},
		{"a site's", local, "role", url.Values{"name": {"local"}, "role": {"administrator"}, "scope": {""}}, 403, "local", "administrator 苏州一厂/ false"},
		{"a site's", local, "role", url.Values{"name": {"ann"}, "role": {"guard"}, "scope": {"苏州一厂"}}, 404, "ann", "guard plant two/dock false"},
		{"a site's", local, "lock", url.Values{"name": {"chef"}}, 404, "chef", "administrator / false"},
		{"a site's", local, "renew", url.Values{"name": {"admin"}}, 404, "admin", "administrator / false"},
		{"a site's", local, "add", url.Values{"name": {"x"}, "full": {"X"}, "role": {"administrator"}, "scope": {""}}, 403, "x", "none"},
		{"a site's", local, "lock", url.Values{"name": {"lina"}}, 200, "lina", "guard 苏州一厂/北门 true"},
		{"a site's", local, "unlock", url.Values{"name": {"lina"}}, 200, "lina", "guard 苏州一厂/北门 false"},
		{"a guard", guard, "role", url.Values{"name": {"lina"}, "role": {"administrator"}, "scope": {""}}, 401, "lina", "guard 苏州一厂/北门 false"},
	} {
		if status, body := test.b.post("/admin/accounts/"+test.path, test.form); status != test.status {
			t.Errorf("%s: %s %v: %d, want %d\n%s", test.who, test.path, test.form, status, test.status, body)
		}
		if got := rights(test.about); got != test.want {
			t.Errorf("after %s: %s %v it is %s, want %s", test.who, test.path, test.form, got, test.want)
		}
	}
	if status, body := chef.post("/admin/accounts/lock", url.Values{"name": {"chef"}}); status != http.StatusOK {
		t.Errorf("there is another administrator, and %d\n%s", status, body)
	}
	admin := c.client("admin", c.once)
	if status, _ := admin.post("/password", url.Values{"old": {c.once}, "password": {"correct horse"}, "again": {"correct horse"}}); status != http.StatusOK {
		t.Fatal(status)
	}
	if status, body := admin.post("/admin/accounts/lock", url.Values{"name": {"admin"}}); status != http.StatusConflict || !strings.Contains(body, "has to stay") {
		t.Errorf("the last administrator locks themselves out: %d", status)
	}
}

// TestAudit has what people do stand in the audit, for administrators within whose scope it is.
func TestAudit(t *testing.T) {
	c := start(t)
	c.online(north, south, far)
	password := c.account("lina", "Li Na", store.Guard, north)
	thief := c.stranger()
	for n := range 10 {
		if status, _ := thief.post("/login", url.Values{"name": {"lina"}, "password": {fmt.Sprint("guess ", n)}}); status != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", n, status)
		}
	}
	if status, body := thief.post("/login", url.Values{"name": {"lina"}, "password": {password}}); status != http.StatusTooManyRequests {
		t.Errorf("after ten wrong passwords: %d\n%s", status, body)
	}
	thief.post("/login", url.Values{"name": {"correct horse battery"}, "password": {"lina"}}) // in the wrong field
	chef := c.client("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}))
	_, once := chef.post("/admin/accounts/renew", url.Values{"name": {"lina"}})
	_, once, _ = strings.Cut(once, `<code id="once">`)
	once, _, _ = strings.Cut(once, "<")
	guard := c.client("lina", once)
	guard.post("/password", url.Values{"old": {once}, "password": {"correct horse"}, "again": {"correct horse"}})
	guard.post("/logout", nil)
	chef.post("/admin/accounts/role", url.Values{"name": {"lina"}, "role": {"manager"}, "scope": {north.Site}})
	chef.post("/admin/accounts/lock", url.Values{"name": {"lina"}})

	var got []string
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{Account: "lina"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range slices.Backward(lines) {
		got = append(got, strings.TrimSpace(l.By.Account+" "+string(l.What)+" "+l.Detail))
	}
	want := append([]string{"admin made-account guard 苏州一厂/北门", "changed-password"}, slices.Repeat([]string{"failed-log-in password"}, 10)...)
	want = append(want, "rested-account", "chef renewed-password", "lina logged-in password", "lina changed-password", "lina logged-out",
		"chef changed-role guard 苏州一厂/北门 → manager 苏州一厂", "chef locked-account")
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, body := chef.get("/admin/audit")
	for _, text := range []string{"log-in failed: password", "changed role or scope: guard 苏州一厂/北门 → manager 苏州一厂", "too many wrong passwords", "127.0.0.1"} {
		if !strings.Contains(body, text) {
			t.Errorf("the audit does not say %q:\n%s", text, body)
		}
	}
	if strings.Contains(body, "battery") {
		t.Error("the audit has what may be a password in the wrong field")
	}
	if _, body := chef.get("/admin/audit?lang=zh&what=changed-role"); !strings.Contains(body, "改变角色或范围：保安 苏州一厂/北门 → 经理 苏州一厂") || strings.Contains(body, "<td>登录") {
		t.Errorf("in Chinese, one deed alone:\n%s", body)
	}
	chef.get("/?lang=en")
	local := c.client("local", c.account("local", "Local", store.Administrator, mqtt.Gate{Site: far.Site}))
	if _, body := local.get("/admin/audit"); strings.Contains(body, ">lina<") || !strings.Contains(body, ">local<") {
		t.Errorf("the administrator of another site sees\n%s", body)
	}
	for n := range 2 * auditLimit {
		if err := c.store.Note(t.Context(), store.AuditLine{What: store.Exported, By: store.Author{Account: "chef"}, Detail: fmt.Sprint("file", n)}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for path := "/admin/audit?account=chef&what=exported"; path != ""; {
		_, body := chef.get(path)
		for n := range 2 * auditLimit {
			if strings.Contains(body, fmt.Sprintf(": file%d<", n)) {
				seen[fmt.Sprint(n)] = true
			}
		}
		_, path, _ = strings.Cut(body, `rel="next" href="`)
		path, _, _ = strings.Cut(path, `"`)
		path = strings.ReplaceAll(path, "&amp;", "&")
	}
	if len(seen) != 2*auditLimit {
		t.Errorf("page by page there are %d lines", len(seen))
	}
	if status, _ := chef.get("/admin/audit?from=yesterday"); status != http.StatusBadRequest {
		t.Errorf("a date that is none: %d", status)
	}
	manager := c.client("wang", c.account("wang", "Wang", store.Manager, mqtt.Gate{}))
	if status, _ := manager.get("/admin/audit"); status != http.StatusForbidden {
		t.Errorf("a manager gets %d", status)
	}
}

// TestDownloadsAreInTheAudit has a file leave the console.
func TestDownloadsAreInTheAudit(t *testing.T) {
	c := start(t)
	b := c.client("wang", c.account("wang", "Wang", store.Manager, north))
	mux := http.NewServeMux()
	served := 0
	for _, pattern := range []string{"GET /some.csv", "GET /other"} {
		mux.HandleFunc(pattern, c.pages.guarded(store.Manager, func(*visit) { served++ }))
	}
	for _, target := range []string{"/some.csv?gate=%E5%8C%97%E9%97%A8", "/other"} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		request.AddCookie(&http.Cookie{Name: "thermogate_session", Value: c.cookie(b, "thermogate_session")})
		c.accounts.Sessions(mux).ServeHTTP(httptest.NewRecorder(), request)
	}
	lines, err := c.store.Audit(t.Context(), store.AuditFilter{What: store.Exported}, 10)
	if err != nil || served != 2 || len(lines) != 1 || lines[0].By.Account != "wang" || lines[0].Detail != "/some.csv?gate=北门" {
		t.Errorf("%d served, %+v, %v", served, lines, err)
	}
}

// TestUnreadable has what is no text come where text is looked up.
func TestUnreadable(t *testing.T) {
	c := start(t)
	b := c.client("lina", c.account("lina", "Li Na", store.Administrator, mqtt.Gate{}))
	for _, bad := range []string{"%00", "%ff", "a%00b"} {
		for _, path := range []string{"/alerts/" + bad, "/events/" + bad, "/history?gate=" + bad, "/history?before=" + bad, "/admin/audit?account=" + bad, "/?" + bad} {
			if status, body := b.get(path); status != http.StatusBadRequest {
				t.Errorf("%s: %d\n%s", path, status, body)
			}
		}
	}
	for _, name := range []string{"a\x00b", "\xff", "x\u202ey", " lina", strings.Repeat("x", 1000)} {
		if status, _ := c.stranger().post("/login", url.Values{"name": {name}, "password": {"guess"}}); status != http.StatusBadRequest && status != http.StatusUnauthorized {
			t.Errorf("%q logs in with %d", name, status)
		}
	}
}

// TestPlantedSession has somebody plant the session of a browser, and wait until it is logged in.
func TestPlantedSession(t *testing.T) {
	c := start(t)
	password := c.account("lina", "Li Na", store.Guard, mqtt.Gate{})
	for name, planted := range map[string]string{"made up": "planted-by-somebody", "one of the thief's own": ""} {
		thief := c.client("lina", password)
		if planted == "" {
			planted = c.cookie(thief, "thermogate_session")
			thief.post("/logout", nil)
		}
		victim := c.stranger()
		address, err := url.Parse(c.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		victim.Jar.SetCookies(address, []*http.Cookie{{Name: "thermogate_session", Value: planted, Path: "/"}})
		if status, _ := victim.post("/login", url.Values{"name": {"lina"}, "password": {password}}); status != http.StatusOK {
			t.Fatal(status)
		}
		if c.cookie(victim, "thermogate_session") == planted {
			t.Errorf("%s: the session is kept", name)
		}
		again := c.stranger()
		again.Jar.SetCookies(address, []*http.Cookie{{Name: "thermogate_session", Value: planted, Path: "/"}})
		if _, body := again.get("/"); !strings.Contains(body, `name="password"`) {
			t.Errorf("%s: it is in", name)
		}
	}
}

func (c *console) cookie(b *client, name string) string {
	c.t.Helper()
	address, err := url.Parse(c.server.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, cookie := range b.Jar.Cookies(address) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// TestAnotherGatesEventInAVisit has an event claim to belong to the visit of another gate.
func TestAnotherGatesEventInAVisit(t *testing.T) {
	c := start(t)
	c.online(north, far)
	first := c.alert(far)
	second := c.alert(north, func(d *event.Data) { d.RescreenOf = first })
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	for _, path := range []string{"/", "/events/" + second, "/history", "/history?state=open", "/alerts/" + second, "/alerts/" + first, "/events/" + first} {
		_, body := b.get(path)
		if body = body[strings.Index(body, "<main>"):]; strings.Contains(body, far.Name) || strings.Contains(body, "/alerts/"+first) {
			t.Errorf("%s shows another site's gate", path)
		}
	}
	if status, body := b.get("/alerts/" + second); status != http.StatusOK || !strings.Contains(body, "Take it") {
		t.Errorf("nobody sees to the alert of the gate that claims so: %d", status)
	}
}

// TestNumbersThatAreNone has a gate tell of temperatures that nothing has: their page is there, without a scale.
func TestNumbersThatAreNone(t *testing.T) {
	c := start(t)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	for _, celsius := range []float64{1e17, -1e17, 1e308, 1e4} {
		id := c.alert(north, func(d *event.Data) { d.SkinCelsius, d.BodyCelsius, d.ThresholdCelsius = &celsius, &celsius, &celsius })
		for _, path := range []string{"/alerts/", "/events/"} {
			if status, body := b.get(path + id); status != http.StatusOK || strings.Contains(body, `class="scale"`) {
				t.Errorf("%g °C on %s: %d", celsius, path, status)
			}
		}
	}
}

// TestHowLongALogInTakes has names that nobody has refused as slowly as wrong passwords: who guesses learns no names.
func TestHowLongALogInTakes(t *testing.T) {
	if testing.Short() {
		t.Skip("a limit on time")
	}
	c := start(t)
	for n := range 4 {
		c.account(fmt.Sprint("guard", n), fmt.Sprint("Guard ", n), store.Guard, mqtt.Gate{})
	}
	if err := c.store.AddAccount(t.Context(), store.Account{Name: "company", FullName: "Company", Role: store.Guard, Subject: "x 1"}, store.Author{}); err != nil {
		t.Fatal(err)
	}
	took := func(name string) time.Duration {
		watch := startWatch(t)
		if status, _ := c.stranger().post("/login", url.Values{"name": {name}, "password": {"guess"}}); status != http.StatusUnauthorized {
			t.Fatalf("%s gets %d", name, status)
		}
		return watch.took(t)
	}
	known, unknown, passwordless := time.Hour, time.Hour, took("company")
	for n := range 4 { // the least of them: a busy machine only adds
		known = min(known, took(fmt.Sprint("guard", n)))
		unknown = min(unknown, took(fmt.Sprint("nobody", n)))
	}
	t.Logf("a wrong password takes %v, a wrong name %v, an account without a password %v", known, unknown, passwordless)
	if unknown < known/3 || passwordless < known/3 {
		t.Error("the time tells which names there are")
	}
}

// openStream opens a stream, of which the first message has come.
func openStream(t *testing.T, c *console, b *client) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); answer.Body.Close() })
	s := &stream{t: t, body: answer.Body}
	if kind, _ := s.next(); kind != "now" {
		t.Fatal(kind)
	}
	return s
}

// TestStreamEndsWithTheScope has a guard given another gate while a stream is open.
func TestStreamEndsWithTheScope(t *testing.T) {
	c := start(t)
	c.online(north, far)
	s := openStream(t, c, c.client("lina", c.account("lina", "Li Na", store.Guard, north)))
	if err := c.accounts.SetRole(t.Context(), "lina", store.Guard, far, store.Author{Account: accounts.FirstName}); err != nil {
		t.Fatal(err)
	}
	c.alert(far)
	for kind := "beat"; kind != ""; {
		var data string
		if kind, data = s.next(); strings.Contains(data, `"open":1`) {
			t.Fatalf("a stream of another scope tells %s", data)
		}
	}
}

// TestStreamEndsWithTheLogOut has a guard log out on one page, while another one is open.
func TestStreamEndsWithTheLogOut(t *testing.T) {
	c := start(t)
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, north))
	s := openStream(t, c, b)
	b.post("/logout", nil)
	for beats := 0; ; beats++ {
		kind, _ := s.next()
		if kind == "" {
			return
		}
		if beats > 10 {
			t.Fatal("the stream goes on")
		}
	}
}

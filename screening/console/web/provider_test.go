package web

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/providertest"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

func groups(names ...any) []any { return names }

// company is a provider with some people, and a console that lets some of them in.
func company(t *testing.T) (*providertest.Provider, *console) {
	t.Helper()
	p := providertest.Start(t, map[string]map[string]any{
		"wang":   {"sub": "1", "preferred_username": "wang", "name": "王伟", "groups": groups("staff", "managers")},
		"lina":   {"sub": "2", "preferred_username": "lina", "name": "李娜", "groups": groups("guards")},
		"second": {"sub": "3", "preferred_username": "wang2", "name": "王伟", "groups": groups("guards")},
		"thief":  {"sub": "4", "preferred_username": "admin", "name": "Administrator", "groups": groups("guards")},
		"nobody": {"sub": "5", "preferred_username": "nobody", "name": "Nobody", "groups": groups("staff")},
		"bare":   {"sub": "6"},
		"odd":    {"sub": "7", "preferred_username": "x\u0000\u202ey", "name": strings.Repeat("长", 99), "groups": "guards"},
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(providertest.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startWith(t, accounts.OIDC{
		Issuer: p.URL, ClientID: providertest.ClientID, ClientSecretFile: secret, GroupsClaim: "groups",
		Groups: []accounts.Group{
			{Group: "managers", Role: store.Manager, Scope: north.Site}, {Group: "guards", Role: store.Guard, Scope: north.Site + "/" + north.Name},
		},
	})
	c.online(north, south, far)
	return p, c
}

// stranger is a browser that was never here.
func (c *console) stranger() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return &client{c, &http.Client{Jar: jar}}
}

// at fetches what is anywhere, and returns where that ended.
func (b *client) at(method, address string, form url.Values) (status int, end *url.URL, body string) {
	b.c.t.Helper()
	request, err := http.NewRequestWithContext(b.c.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.c.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	before := b.CheckRedirect
	b.CheckRedirect = func(request *http.Request, via []*http.Request) error { end = request.URL; return nil }
	end = request.URL
	status, body = b.do(request)
	b.CheckRedirect = before
	return status, end, body
}

// logInAt goes to the provider and comes back as a person; as nobody it is asked for.
func (b *client) logInAt(person, to string) (status int, end *url.URL, body string) {
	b.c.t.Helper()
	status, end, body = b.at(http.MethodGet, b.c.server.URL+"/login/oidc?to="+url.QueryEscape(to), nil)
	if person == "" || end.Path != "/auth" {
		return status, end, body
	}
	return b.at(http.MethodPost, end.String(), url.Values{"person": {person}})
}

func TestProvider(t *testing.T) {
	p, c := company(t)
	b := c.stranger()
	if _, body := b.get("/login"); !strings.Contains(body, "Log in with your company&#39;s account") {
		t.Errorf("the log-in does not lead to the provider:\n%s", body)
	}
	status, end, _ := b.logInAt("wang", "/history?outcome=alert")
	if status != http.StatusOK || end.RequestURI() != "/history?outcome=alert" || end.Host != c.server.Listener.Addr().String() {
		t.Fatalf("after the log-in one is at %v with %d", end, status)
	}
	wang, err := c.store.Account(t.Context(), "wang")
	if err != nil || wang.Role != store.Manager || wang.Scope != (mqtt.Gate{Site: north.Site}) || wang.FullName != "王伟" || wang.Password != "" {
		t.Errorf("the manager is %+v, %v", wang, err)
	}
	if status, _ := b.get("/load"); status != http.StatusOK {
		t.Errorf("a manager gets %d", status)
	}
	if status, _ := b.get("/admin/accounts"); status != http.StatusForbidden {
		t.Errorf("a manager gets %d for the accounts", status)
	}
	if _, body := b.get("/password"); !strings.Contains(body, "have no password here") || strings.Contains(body, `name="old"`) {
		t.Error("who has no password here is asked for it")
	}
	for _, password := range []string{"", "wang"} {
		if status, _ := c.stranger().post("/login", url.Values{"name": {"wang"}, "password": {password}}); status != http.StatusUnauthorized {
			t.Errorf("with the password %q the manager logs in here: %d", password, status)
		}
	}

	for person, want := range map[string]struct{ name, full string }{
		"second": {"wang2", "王伟 (wang2)"}, "thief": {"", ""}, "odd": {"", ""},
	} {
		if status, _, body := c.stranger().logInAt(person, "/"); status != http.StatusOK {
			t.Errorf("%s gets %d\n%s", person, status, body)
		}
		if want.name == "" {
			continue
		}
		if a, err := c.store.Account(t.Context(), want.name); err != nil || a.FullName != want.full || a.Role != store.Guard || a.Scope != north {
			t.Errorf("%s is %+v, %v", person, a, err)
		}
	}
	admin, err := c.store.Account(t.Context(), accounts.FirstName)
	if err != nil || admin.Subject != "" || admin.Role != store.Administrator {
		t.Errorf("the administrator is %+v, %v", admin, err)
	}
	thief, err := c.store.AccountOf(t.Context(), p.URL+" 4")
	if err != nil || thief.Role != store.Guard || thief.Name == accounts.FirstName || thief.FullName == admin.FullName {
		t.Errorf("somebody called admin at the company is %+v, %v", thief, err)
	}
	for _, person := range []string{"nobody", "bare"} {
		nobody := c.stranger()
		if status, _, body := nobody.logInAt(person, "/"); status != http.StatusForbidden || !strings.Contains(body, "may not use this console") {
			t.Errorf("%s gets %d\n%s", person, status, body)
		}
		if _, body := nobody.get("/"); !strings.Contains(body, `name="password"`) {
			t.Errorf("%s is in", person)
		}
	}

	// What the groups say counts at the next log-in, and ends the sessions before it.
	p.People["wang"]["groups"] = groups("guards")
	if _, end, _ := c.stranger().logInAt("wang", "/"); end.Path != "/" {
		t.Errorf("as a guard one is at %v", end)
	}
	if _, body := b.get("/load"); !strings.Contains(body, `name="password"`) {
		t.Error("a session with the rights from before goes on")
	}
	p.GroupsByUserInfo = true
	if status, end, _ := c.stranger().logInAt("lina", "/"); status != http.StatusOK || end.Path != "/" {
		t.Errorf("with groups in the user info one is at %v with %d", end, status)
	}

	// An administrator may give a password, and a lock holds against the provider, too.
	once, err := c.accounts.Renew(t.Context(), "lina", store.Author{Account: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if _, end, _ := c.stranger().logInAt("lina", "/history"); end.Path != "/history" {
		t.Errorf("a password that was not used keeps her at %v", end)
	}
	if status, body := c.stranger().post("/login", url.Values{"name": {"lina"}, "password": {once}}); status != http.StatusOK || !strings.Contains(body, "choose a password") {
		t.Errorf("with the password that was given: %d", status)
	}
	if err := c.store.SetLocked(t.Context(), "lina", true, store.Author{}); err != nil {
		t.Fatal(err)
	}
	if status, _, body := c.stranger().logInAt("lina", "/"); status != http.StatusForbidden || !strings.Contains(body, "is locked") {
		t.Errorf("a locked account gets %d", status)
	}
}

func TestProviderIsDown(t *testing.T) {
	p, c := company(t)
	p.SetDown(true)
	b := c.stranger()
	status, end, body := b.logInAt("wang", "/")
	if status != http.StatusServiceUnavailable || end.Path != "/login/oidc" || !strings.Contains(body, "can&#39;t be reached") || !strings.Contains(body, `name="password"`) {
		t.Errorf("while the provider is down: %d at %v\n%s", status, end, body)
	}
	if status, _ := b.post("/login", url.Values{"name": {accounts.FirstName}, "password": {c.once}}); status != http.StatusOK {
		t.Errorf("the administrator with a password gets %d", status)
	}
}

func TestLogOutAtProvider(t *testing.T) {
	_, c := company(t)
	b := c.stranger()
	b.logInAt("wang", "/")
	if _, end, _ := b.logInAt("", "/faults"); end.Path != "/faults" {
		t.Errorf("who is logged in at the provider is at %v", end)
	}
	answer, err := b.PostForm(c.server.URL+"/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	_, to, found := strings.Cut(answer.Header.Get("Refresh"), "url=")
	if answer.StatusCode != http.StatusOK || !found {
		t.Fatalf("the log-out answers %s, %v", answer.Status, answer.Header)
	}
	if _, body := b.get("/"); !strings.Contains(body, `name="password"`) {
		t.Error("logged out, and in")
	}
	if _, end, _ := b.at(http.MethodGet, to, nil); end.String() != c.server.URL+"/login" {
		t.Errorf("after the log-out at the provider one is at %v", end)
	}
	if _, end, _ := b.logInAt("", "/"); end.Path != "/auth" {
		t.Errorf("the next person is let in as the one before, to %v", end)
	}
}

// TestForgedLogIns has the provider's answer tampered with, and the way back.
func TestForgedLogIns(t *testing.T) {
	p, c := company(t)
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	change := func(claim string, value any) func(map[string]any) string {
		return func(claims map[string]any) string { claims[claim] = value; return p.Sign(claims) }
	}
	for name, forge := range map[string]func(map[string]any) string{
		"another nonce":        change("nonce", "another"),
		"no nonce":             change("nonce", ""),
		"another audience":     change("aud", "another"),
		"another issuer":       change("iss", "https://login.example"),
		"for another party":    change("azp", "another"),
		"expired":              change("exp", time.Now().Add(-time.Minute).Unix()),
		"not signed":           providertest.Unsigned,
		"signed by another":    func(claims map[string]any) string { return providertest.SignBy(another, claims) },
		"no token":             func(map[string]any) string { return "" },
		"changed when signed":  func(claims map[string]any) string { return damaged(p.Sign(claims)) },
		"an audience too many": change("azp", []string{"thermogate"}),
	} {
		p.Forge = forge
		b := c.stranger()
		status, end, body := b.logInAt("lina", "/")
		if status != http.StatusForbidden || !strings.Contains(body, "did not let you through") {
			t.Errorf("%s: %d at %v\n%s", name, status, end, body)
		}
		if _, body := b.get("/"); !strings.Contains(body, `name="password"`) {
			t.Errorf("%s: it is in", name)
		}
	}
	p.Forge = nil
	if _, err := c.store.Account(t.Context(), "lina"); err == nil {
		t.Error("a forged log-in made an account")
	}
}

// damaged puts other claims under a signature.
func damaged(token string) string {
	parts := strings.Split(token, ".")
	claims := []byte(parts[1])
	claims[len(claims)/2] ^= 1
	return parts[0] + "." + string(claims) + "." + parts[2]
}

// TestStolenWaysBack has the address that the provider sends a browser to used again, or by another browser.
func TestStolenWaysBack(t *testing.T) {
	_, c := company(t)
	var back string // the address
	stop := func(request *http.Request, _ []*http.Request) error {
		if request.URL.Path == "/login/oidc/callback" {
			back = request.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	way := func(b *client) string {
		back = ""
		b.CheckRedirect = stop
		answer, err := b.Get(c.server.URL + "/login/oidc?to=//evil.example")
		if err == nil && answer.Request.URL.Path == "/auth" {
			answer.Body.Close()
			answer, err = b.PostForm(answer.Request.URL.String(), url.Values{"person": {"lina"}})
		}
		if err != nil || back == "" {
			t.Fatalf("there is no way back: %v", err)
		}
		answer.Body.Close()
		b.CheckRedirect = nil
		return back
	}
	refused := func(what string, b *client, address string) {
		t.Helper()
		if status, _, body := b.at(http.MethodGet, address, nil); status != http.StatusBadRequest || !strings.Contains(body, "Begin again") {
			t.Errorf("%s: %d\n%s", what, status, body)
		}
	}
	owner, thief := c.stranger(), c.stranger()
	address := way(owner)
	refused("another browser", thief, address)
	way(thief) // which has begun a log-in of its own
	refused("another browser with a log-in of its own", thief, address)
	refused("another state", owner, strings.Replace(address, "state=", "state=X", 1))
	status, end, _ := owner.at(http.MethodGet, address, nil)
	if status != http.StatusOK || end.String() != c.server.URL+"/" {
		t.Errorf("its owner gets %d at %v", status, end)
	}
	refused("used again", owner, address)
	for what, query := range map[string]string{"denied there": "&error=access_denied", "of another issuer": "&code=1&iss=https%3A%2F%2Flogin.example", "a made-up code": "&code=guess"} {
		b := c.stranger()
		u, err := url.Parse(way(b))
		if err != nil {
			t.Fatal(err)
		}
		if status, _, body := b.at(http.MethodGet, c.server.URL+"/login/oidc/callback?state="+u.Query().Get("state")+query, nil); status != http.StatusForbidden {
			t.Errorf("%s: %d\n%s", what, status, body)
		}
	}
}

package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/console/join"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var (
	yard = mqtt.Gate{Site: "苏州一厂", Name: "yard"}
	shed = mqtt.Gate{Site: "苏州一厂", Name: "shed"}
)

// admission has a gate that joined and lacks much, one that is revoked, and links of every kind. It returns the path of one
// that is good.
func (c *console) admission(now time.Time) (offer string) {
	c.t.Helper()
	desk, by := c.pages.cfg.Desk, store.Author{Account: "admin", Address: netip.MustParseAddr("10.0.0.1")}
	invite := func(gate string) (string, store.Invitation) {
		token, i, err := desk.Invite(c.t.Context(), mqtt.Gate{Site: north.Site, Name: gate}, join.Account{}, false, "", by)
		if err == nil {
			i, err = c.store.Invitation(c.t.Context(), i.Token)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		return token, i
	}
	for _, gate := range []mqtt.Gate{yard, shed} {
		token, _ := invite(gate.Name)
		if _, err := desk.Join(c.t.Context(), netip.MustParseAddr("10.0.0.7"), token, join.Request{Password: strings.Repeat("a", 40)}, "https://console.plant"); err != nil {
			c.t.Fatal(err)
		}
		lacks := event.Lacks{Camera: true, Units: true, Reference: true}
		if err := c.store.SetStatus(c.t.Context(), gate, mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Camera: "lost", Version: "test", Lacks: lacks}}, now); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := desk.Revoke(c.t.Context(), shed, "王伟", "设备被盗", by); err != nil {
		c.t.Fatal(err)
	}
	if _, i := invite("withdrawn"); desk.Withdraw(c.t.Context(), i, by) != nil {
		c.t.Fatal("it can't be withdrawn")
	}
	token, _ := invite("新门")
	return "/join/" + token
}

var linkIn = regexp.MustCompile(`/join/([A-Z2-7]{26})`)

// TestAdministratorsLetGatesIn within their scope, with names that gates can have.
func TestAdministratorsLetGatesIn(t *testing.T) {
	c := start(t)
	c.online(north, far)
	chef := c.client("chef", c.account("chef", "Chef", store.Administrator, mqtt.Gate{}))
	site := c.client("site", c.account("site", "Site", store.Administrator, mqtt.Gate{Site: north.Site}))
	gate := c.client("gate", c.account("gate", "Gate", store.Administrator, north))
	manager := c.client("boss", c.account("boss", "Boss", store.Manager, mqtt.Gate{}))
	add := func(site, gate string, more ...string) url.Values {
		form := url.Values{"site": {site}, "gate": {gate}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return form
	}
	for _, test := range []struct {
		name   string
		who    *client
		form   url.Values
		status int
		says   string
	}{
		{"a new site", chef, add("plant_3", "dock"), 200, "sudo thermogate join"},
		{"their site", site, add(north.Site, "west"), 200, "sudo thermogate join"},
		{"another site", site, add("plant_2", "west"), 403, "within your own scope"},
		{"an administrator of one gate", gate, add(north.Site, "west"), 403, "within your own scope"},
		{"a manager", manager, add(north.Site, "west"), 403, "takes the role"},
		{"a slash", chef, add("plant", "a/b"), 422, "letters, digits"},
		{"a space", chef, add("plant two", "a"), 422, "letters, digits"},
		{"nothing", chef, add("plant", ""), 422, "letters, digits"},
		{"a long name", chef, add("plant", strings.Repeat("门", 30)), 422, "letters, digits"},
		{"half an account", chef, add("plant", "west", "user", "west"), 422, "Give both"},
		{"an account", chef, add("plant", "west", "user", "west", "password", "of west"), 200, "sudo thermogate join"},
		{"a gate that works", chef, add(north.Site, north.Name), 409, "A box works under this name now"},
		{"to be replaced", chef, add(north.Site, north.Name, "replace", north.Site+"/"+north.Name), 200, "sudo thermogate join"},
		{"to be replaced, of another", chef, add(north.Site, north.Name, "replace", "x"), 409, "A box works under this name now"},
	} {
		if status, body := test.who.post("/admin/gates/add", test.form); status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d\n%s", test.name, status, body)
		}
	}
	status, all := site.get("/admin/gates")
	if status != http.StatusOK || strings.Contains(all, "plant_3") || !strings.Contains(all, "west · "+north.Site) || strings.Contains(all, far.Site) {
		t.Errorf("a site's administrator sees %d\n%s", status, all)
	}
	_, page := chef.post("/admin/gates/add", add(north.Site, "east"))
	if _, again := chef.get("/admin/gates"); linkIn.MatchString(again) || !linkIn.MatchString(page) {
		t.Error("a link is shown twice, or never")
	}
	revoke := func(who *client, gate mqtt.Gate, typed, why string) int {
		status, _ := who.post("/admin/gates/revoke", url.Values{"revoked": {gate.Site + "/" + gate.Name}, "typed": {typed}, "why": {why}})
		return status
	}
	if got := revoke(site, far, far.Name, "stolen"); got != http.StatusNotFound {
		t.Errorf("a gate of another site is revoked: %d", got)
	}
	if got := revoke(site, north, "nroth", "stolen"); got != http.StatusUnprocessableEntity || !c.store.Revoked(north).At.IsZero() {
		t.Errorf("mistyped: %d", got)
	}
	if got := revoke(gate, north, north.Name, "stolen"); got != http.StatusOK || c.store.Revoked(north).Reason != "stolen" {
		t.Errorf("an administrator of the gate revokes it: %d", got)
	}
	if _, body := chef.get(gateAddress(north)); !strings.Contains(body, "⊘ revoked") || !strings.Contains(body, "stolen") {
		t.Errorf("the gate's page does not say so:\n%s", body)
	}
	if _, body := chef.get("/admin/audit"); !strings.Contains(body, "revoked a gate") || !strings.Contains(body, "made a link for a gate") {
		t.Errorf("the audit does not say so:\n%s", body)
	}
}

// TestBoxesAsk over TLS or from this machine, and are told what they need.
func TestBoxesAsk(t *testing.T) {
	c := start(t)
	offer := c.admission(time.Now())
	ask := func(method, path, from, accept, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://console.plant:8090"+path, strings.NewReader(body))
		r.RemoteAddr = from + ":40000"
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		c.pages.ServeHTTP(w, r)
		return w
	}
	const asJSON, here, there = "application/json", "127.0.0.1", "10.0.0.7"
	good := `{"password":"` + strings.Repeat("b", 40) + `"}`
	for _, test := range []struct {
		name, method, path, from, body string
		status                         int
		says                           string
	}{
		{"from elsewhere without TLS", "GET", offer, there, "", 403, "without TLS"},
		{"from elsewhere without TLS", "POST", offer, there, good, 403, "without TLS"},
		{"guessed", "POST", "/join/" + strings.Repeat("A", 26), here, good, 404, "not known"},
		{"no JSON", "POST", offer, here, "password=x", 400, "can't be read"},
		{"too much", "POST", offer, here, `{"password":"` + strings.Repeat("b", 1<<20) + `"}`, 400, "can't be read"},
		{"too simple", "POST", offer, here, `{"password":"secret"}`, 422, "32 to 128"},
		{"what it is for", "GET", offer, here, "", 200, `"gate":"新门"`},
		{"used", "POST", offer, here, good, 200, `"console_url":"http://console.plant:8090"`},
		{"used again by the same box", "POST", offer, here, good, 200, `"gate":"新门"`},
		{"used again", "POST", offer, here, strings.ReplaceAll(good, "b", "c"), 410, "this link was used at"},
		{"asked again", "GET", offer, here, "", 410, "this link was used at"},
	} {
		w := ask(test.method, test.path, test.from, asJSON, test.body)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
		}
	}
	if w := ask("GET", offer, here, "text/html", ""); w.Code != http.StatusGone || !strings.Contains(w.Body.String(), "链接已于") {
		t.Errorf("a person is told %d\n%s", w.Code, w.Body)
	}
}

// TestBrowserAddsAGate makes a link on a phone and on a desk, which a phone beside the box opens.
func TestBrowserAddsAGate(t *testing.T) {
	for lang, says := range map[string]string{"zh": "在闸机那台设备上输入这条命令", "en": "Type this command at the gate's own machine"} {
		t.Run(lang, func(t *testing.T) {
			c := start(t)
			c.online(north)
			b := c.browser(phone)
			b.logIn("chef", c.account("chef", "陈师傅", store.Administrator, mqtt.Gate{}), lang)
			b.open("/gates")
			b.click(`h1 a[href="/admin/gates"]`)
			b.wait("the form", `document.readyState === "complete" && document.querySelector("#add [name=gate]") !== null`)
			b.fill("site", "plant")
			b.fill("gate", "west")
			b.click("#add button.main")
			b.says(says)
			b.shoot("admission-link-phone-" + lang)
			b.accessible("admission-link-phone-" + lang)
			to := evaluate[string](b, `document.getElementById("command").textContent.match(/'(.+)'/)[1]`)
			if code := evaluate[[]float64](b, `(() => { const box = document.querySelector("svg.qr").getBoundingClientRect(); return [box.width, box.height]; })()`); code[0] < 200 || code[0] != code[1] {
				t.Errorf("the code is drawn in %v", code)
			}
			b.do(chromedp.EmulateViewport(desktop[0], desktop[1]))
			b.shoot("admission-link-desktop-" + lang)
			b.do(chromedp.EmulateViewport(phone[0], phone[1]), chromedp.Navigate(to))
			b.says("sudo thermogate join")
			b.shoot("offer-phone-" + lang)
			b.open("/admin/gates")
			b.click(`form[action="/admin/gates/withdraw"] button`)
			b.says(map[string]string{"zh": "已撤回", "en": "withdrawn"}[lang])
			b.do(chromedp.Navigate(to))
			b.says(map[string]string{"zh": "链接已撤回", "en": "this link was withdrawn"}[lang])
		})
	}
}

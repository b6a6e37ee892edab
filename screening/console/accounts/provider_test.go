package accounts

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"thermogate/screening/console/providertest"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
)

func TestOIDCConfig(t *testing.T) {
	right := OIDC{
		Issuer: "https://login.example/plant", ClientID: "thermogate", URL: "https://console.example", GroupsClaim: "groups",
		Groups: []Group{{"guards", store.Guard, "plant/north"}, {"it", store.Administrator, ""}},
	}
	for _, test := range []struct {
		change func(*OIDC)
		want   string // empty for one that is right
	}{
		{func(*OIDC) {}, ""},
		{func(c *OIDC) { *c = DefaultOIDC() }, ""},
		{func(c *OIDC) { c.Issuer = "" }, "issuer: without it"},
		{func(c *OIDC) { c.Issuer = "http://login.example" }, "does not begin with https://"},
		{func(c *OIDC) { c.Issuer = "http://127.0.0.1:8080/plant" }, ""},
		{func(c *OIDC) { c.Issuer = "login.example" }, "is not an address"},
		{func(c *OIDC) { c.URL = "http://console.example" }, "url: "},
		{func(c *OIDC) { c.URL = "https://console.example/" }, "without a slash"},
		{func(c *OIDC) { c.ClientID = "" }, "client_id"},
		{func(c *OIDC) { c.GroupsClaim = "" }, "groups_claim"},
		{func(c *OIDC) { c.Groups = nil }, "nobody gets in"},
		{func(c *OIDC) { c.Groups = []Group{{"", store.Guard, ""}} }, "groups: each"},
		{func(c *OIDC) { c.Groups = []Group{{"x", "emperor", ""}} }, "groups: x: "},
		{func(c *OIDC) { c.Groups = []Group{{"x", store.Guard, "/north"}} }, "a gate is of a site"},
		{func(c *OIDC) { c.Groups = []Group{{"x", store.Guard, "pl+nt"}} }, "groups: x: "},
	} {
		c := right
		test.change(&c)
		if err := c.Validate(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", c, err, test.want)
		}
	}
	if g, ok := right.rights([]string{"staff", "it", "guards"}); !ok || g.Group != "guards" {
		t.Errorf("of two groups %+v counts, %v", g, ok)
	}
	if g, ok := right.rights([]string{"Guards", ""}); ok {
		t.Errorf("in none of them one has %+v", g)
	}
}

// TestProviderComesAndGoes has nobody sent to a provider that is away, and no flood of questions to it.
func TestProviderComesAndGoes(t *testing.T) {
	is := providertest.Start(t, nil)
	p, err := newProvider(OIDC{
		Issuer: is.URL, ClientID: providertest.ClientID, URL: "https://console.example", GroupsClaim: "groups", Groups: []Group{{"x", store.Guard, ""}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(what string, age time.Duration, want error) {
		t.Helper()
		if at, err := p.endpoints(t.Context(), age); !errors.Is(err, want) || (at == nil) != (want != nil) {
			t.Errorf("%s: %v, %v", what, at, err)
		}
	}
	is.SetDown(true)
	ask("down from the beginning", providerFresh, ErrUnreachable)
	is.SetDown(false)
	ask("asked again too soon", providerFresh, ErrUnreachable)
	p.tried = p.tried.Add(-providerTimeout)
	ask("up", providerFresh, nil)
	is.SetDown(true)
	ask("down for a moment", providerFresh, nil)
	p.at = p.at.Add(-providerFresh)
	ask("down", providerFresh, ErrUnreachable)
	ask("down, for who comes back from there", sessionTime, nil)
}

// TestTripsAreFew has somebody begin more log-ins than there is room for; those of others stay.
func TestTripsAreFew(t *testing.T) {
	all := trips{places: listen.NewPlaces(10), under: map[string]trip{}}
	guard, flood := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	state, _ := all.begin("guard's", "/", guard)
	for n := range 1000 {
		all.begin(fmt.Sprint("flood ", n), "/", flood)
	}
	if n := len(all.under); n != 10 {
		t.Errorf("%d log-ins are under way", n)
	}
	for _, browser := range []string{"", "another's"} {
		if _, ok := all.end(state, browser); ok {
			t.Errorf("the browser %q ends the guard's log-in", browser)
		}
	}
	if trip, ok := all.end(state, "guard's"); !ok || trip.to != "/" {
		t.Error("the guard's log-in is gone")
	}
	late, _ := all.begin("guard's", "/", guard)
	trip := all.under[late]
	trip.until = time.Now().Add(-time.Second)
	all.under[late] = trip
	if _, ok := all.end(late, "guard's"); ok {
		t.Error("a log-in can be ended after its time")
	}
	if n := all.places.Taken(); n != len(all.under) {
		t.Errorf("%d places for %d log-ins", n, len(all.under))
	}
}

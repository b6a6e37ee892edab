package accounts

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"thermogate/screening/console/store"
)

// OIDC has people log in with the accounts of their company (OpenID Connect), beside those of the console. It is the
// section "oidc" of the configuration file.
type OIDC struct {
	// Issuer is the provider's address, as its tokens have it; empty switches it off.
	Issuer   string `yaml:"issuer"`
	ClientID string `yaml:"client_id"`
	// ClientSecretFile is empty for a client without a secret; PKCE is used either way.
	ClientSecretFile string `yaml:"client_secret_file"`
	// URL is where browsers reach the console. The provider is to send them back to URL/login/oidc/callback, and after a
	// log-out to URL/login.
	URL string `yaml:"url"`
	// Scopes are asked for beside openid and profile.
	Scopes []string `yaml:"scopes"`
	// GroupsClaim is the claim, of the ID token or else of the user info, with somebody's groups.
	GroupsClaim string `yaml:"groups_claim"`
	// Groups say who may do what. The first one that somebody is in counts; who is in none does not get in.
	Groups []Group `yaml:"groups"`
}

// Group gives the people of a group at the provider a role.
type Group struct {
	Group string     `yaml:"group"`
	Role  store.Role `yaml:"role"`
	// Scope is "site" or "site/gate"; empty for all.
	Scope string `yaml:"scope"`
}

// DefaultOIDC is off.
func DefaultOIDC() OIDC { return OIDC{GroupsClaim: "groups"} }

// Validate names the first key that is wrong and what would be right, without its section. It opens no file.
func (c OIDC) Validate() error {
	if c.Issuer == "" {
		if c.ClientID != "" || c.ClientSecretFile != "" || c.URL != "" || len(c.Groups) > 0 {
			return errors.New("issuer: without it nobody logs in that way; give it, or none of the other keys")
		}
		return nil
	}
	if err := validateAddress(c.Issuer); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if err := validateAddress(c.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	switch {
	case c.ClientID == "":
		return errors.New("client_id: the provider knows the console by it")
	case strings.HasSuffix(c.URL, "/"):
		return errors.New("url: it ends without a slash")
	case c.GroupsClaim == "":
		return errors.New("groups_claim: name the claim that has somebody's groups, such as groups")
	case len(c.Groups) == 0:
		return errors.New("groups: without any nobody gets in")
	}
	for _, g := range c.Groups {
		if g.Group == "" {
			return errors.New("groups: each has the name of a group at the provider")
		}
		if err := validateRights(g.Role, ScopeOf(g.Scope)); err != nil {
			return fmt.Errorf("groups: %s: %w", g.Group, err)
		}
	}
	return nil
}

// validateAddress wants TLS, but on this machine.
func validateAddress(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not an address such as https://login.example/plant", text)
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && (u.Hostname() == "localhost" || ip.IsLoopback())) {
		return fmt.Errorf("%q does not begin with https://", text)
	}
	return nil
}

// rights are what somebody in these groups may do, and where; false where that is nothing.
func (c OIDC) rights(groups []string) (g Group, ok bool) {
	i := slices.IndexFunc(c.Groups, func(g Group) bool { return slices.Contains(groups, g.Group) })
	if i < 0 {
		return Group{}, false
	}
	return c.Groups[i], true
}

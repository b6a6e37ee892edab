// Package providertest runs an OpenID Connect provider for tests: one that signs with real keys, demands PKCE, gives each
// code once, and can be made to lie.
package providertest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
)

// The client that it knows.
const (
	ClientID     = "thermogate"
	ClientSecret = "correct battery"
)

// Provider is a provider that runs. People log in with a click on their name.
type Provider struct {
	*httptest.Server
	// People are the claims of those who can log in, by the name of their button.
	People map[string]map[string]any
	// Forge makes the ID token of these claims where it is not nil.
	Forge func(claims map[string]any) (token string)
	// GroupsByUserInfo has the groups in the user info alone, and not in the ID token.
	GroupsByUserInfo bool

	key  *rsa.PrivateKey
	keys oidctest.Server

	mu    sync.Mutex
	codes map[string]grant
	down  bool
}

type grant struct {
	person                    string
	nonce, challenge, address string
}

// sessionCookie is how a browser is known at the provider.
const sessionCookie = "provider_session"

// Start starts a provider that ends with the test.
func Start(t testing.TB, people map[string]map[string]any) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{People: people, key: key, codes: map[string]grant{}}
	p.keys.PublicKeys = []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "key", Algorithm: oidc.RS256}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.Handle("GET /keys", &p.keys)
	mux.HandleFunc("/auth", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userInfo)
	mux.HandleFunc("GET /logout", p.logOut)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if down {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	p.keys.SetIssuer(p.URL)
	return p
}

// SetDown has it answer nothing, or answer again.
func (p *Provider) SetDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"userinfo_endpoint": p.URL + "/userinfo", "end_session_endpoint": p.URL + "/logout",
		"id_token_signing_alg_values_supported": []string{oidc.RS256, "none", "HS256"},
	})
}

// authorize asks a browser that it does not know who it is, and sends the others back with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	person := r.PostFormValue("person")
	if cookie, err := r.Cookie(sessionCookie); person == "" && err == nil {
		person = cookie.Value
	}
	if p.People[person] == nil {
		fmt.Fprintf(w, `<!doctype html><title>provider</title><form method="post" action="%s">`, r.URL.RequestURI())
		for name := range p.People {
			fmt.Fprintf(w, `<button name="person" value="%s">%[1]s</button>`, name)
		}
		fmt.Fprint(w, "</form>")
		return
	}
	if query.Get("client_id") != ClientID || query.Get("code_challenge_method") != "S256" || query.Get("code_challenge") == "" || query.Get("response_type") != "code" {
		http.Error(w, "not from a client of mine", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: person, Path: "/", HttpOnly: true})
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = grant{person, query.Get("nonce"), query.Get("code_challenge"), query.Get("redirect_uri")}
	p.mu.Unlock()
	back := url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {p.URL}}
	http.Redirect(w, r, query.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token gives an ID token for a code, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	decoded, _ := url.QueryUnescape(secret)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	p.mu.Lock()
	given, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	if id != ClientID || decoded != ClientSecret && secret != ClientSecret || !known || given.address != r.PostFormValue("redirect_uri") ||
		given.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant"}`)
		return
	}
	claims := maps.Clone(p.People[given.person])
	if p.GroupsByUserInfo {
		delete(claims, "groups")
	}
	claims["iss"], claims["aud"], claims["nonce"] = p.URL, ClientID, given.nonce
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Minute).Unix()
	forge := p.Sign
	if p.Forge != nil {
		forge = p.Forge
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": given.person, "token_type": "Bearer", "expires_in": 60, "id_token": forge(claims)})
}

// Sign makes the ID token that the claims say.
func (p *Provider) Sign(claims map[string]any) string {
	return oidctest.SignIDToken(p.key, "key", oidc.RS256, encode(claims))
}

// SignBy makes one that somebody else has signed, under the name of the provider's key.
func SignBy(key *rsa.PrivateKey, claims map[string]any) string {
	return oidctest.SignIDToken(key, "key", oidc.RS256, encode(claims))
}

// Unsigned makes one that says of itself that it needs no signature.
func Unsigned(claims map[string]any) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + part([]byte(encode(claims))) + "."
}

func encode(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p.People[r.Header.Get("Authorization")[len("Bearer "):]])
}

func (p *Provider) logOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1})
	http.Redirect(w, r, r.URL.Query().Get("post_logout_redirect_uri"), http.StatusFound)
}

package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"thermogate/screening/console/store"
	"thermogate/screening/listen"
)

const (
	providerTimeout = 5 * time.Second  // for one answer of the provider
	providerFresh   = 10 * time.Second // after one, nobody is sent there without asking whether it is there
	tripTime        = 10 * time.Minute // for somebody to log in there
	maxTrips        = 1024
)

// Errors of a log-in at the provider, to be told apart with errors.Is.
var (
	ErrUnreachable = errors.New("the OpenID Connect provider can't be reached")
	ErrStale       = errors.New("this log-in was not begun in this browser, is too old or was used before")
	ErrDenied      = errors.New("the OpenID Connect provider does not say who it is")
	ErrNoGroup     = errors.New("none of the groups that are let in")
	ErrLocked      = errors.New("the account is locked")
)

// provider is where people log in with their company's accounts.
type provider struct {
	cfg    OIDC
	secret string
	client *http.Client
	log    *slog.Logger
	trips  trips

	mu    sync.Mutex
	found *endpoints // nil until it has answered once
	at    time.Time  // of that
	err   error      // of the last try
	tried time.Time
}

// endpoints are what the provider says of itself.
type endpoints struct {
	*oidc.Provider
	verifier   *oidc.IDTokenVerifier
	oauth      oauth2.Config
	endSession string // empty where one can't log out there
}

func newProvider(cfg OIDC, log *slog.Logger) (*provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Issuer == "" {
		return nil, nil
	}
	p := &provider{cfg: cfg, client: &http.Client{Timeout: providerTimeout}, log: log, trips: trips{places: listen.NewPlaces(maxTrips), under: map[string]trip{}}}
	if cfg.ClientSecretFile == "" {
		return p, nil
	}
	var err error
	if p.secret, err = listen.ReadSecret(cfg.ClientSecretFile); err != nil {
		return nil, fmt.Errorf("client_secret_file: %w", err)
	}
	return p, nil
}

// endpoints are what the provider said of itself at most so long ago; else it is asked. One that is away is asked again
// every few seconds.
func (p *provider) endpoints(ctx context.Context, age time.Duration) (*endpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil && time.Since(p.at) < age {
		return p.found, nil
	}
	if p.err != nil && time.Since(p.tried) < providerTimeout {
		return nil, p.err
	}
	found, err := p.discover(context.WithoutCancel(ctx)) // others wait for it, too
	p.tried = time.Now()
	if err != nil {
		p.log.Warn("nobody logs in with the company's account", "issuer", p.cfg.Issuer, "error", err)
		p.err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		return nil, p.err
	}
	p.found, p.at, p.err = found, p.tried, nil
	return found, nil
}

func (p *provider) discover(ctx context.Context) (*endpoints, error) {
	of, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := of.Claims(&more); err != nil {
		return nil, err
	}
	return &endpoints{
		Provider: of, verifier: of.Verifier(&oidc.Config{ClientID: p.cfg.ClientID}), endSession: more.EndSession,
		oauth: oauth2.Config{
			ClientID: p.cfg.ClientID, ClientSecret: p.secret, Endpoint: of.Endpoint(), RedirectURL: p.cfg.URL + "/login/oidc/callback",
			Scopes: append([]string{oidc.ScopeOpenID, oidc.ScopeProfile}, p.cfg.Scopes...),
		},
	}, nil
}

// person is who the provider says that somebody is.
type person struct {
	subject        string // with the issuer
	name, fullName string
	groups         []string
	idToken        string
}

// ask has the provider say who has come back with a code. Its error is ErrUnreachable or ErrDenied.
func (p *provider) ask(ctx context.Context, code string, t trip) (person, error) {
	at, err := p.endpoints(ctx, sessionTime)
	if err != nil {
		return person{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := at.oauth.Exchange(ctx, code, oauth2.VerifierOption(t.verifier))
	if refusal := (*oauth2.RetrieveError)(nil); errors.As(err, &refusal) && refusal.Response.StatusCode < http.StatusInternalServerError {
		return person{}, fmt.Errorf("%w: %w", ErrDenied, err)
	} else if err != nil {
		return person{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := at.verifier.Verify(ctx, raw)
	if err != nil {
		return person{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.nonce)) != 1 {
		return person{}, fmt.Errorf("%w: the token is for another log-in", ErrDenied)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return person{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if party, given := claims["azp"]; given && party != p.cfg.ClientID {
		return person{}, fmt.Errorf("%w: the token is for another client", ErrDenied)
	}
	if _, given := claims[p.cfg.GroupsClaim]; !given && at.UserInfoEndpoint() != "" {
		info, err := at.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return person{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		if info.Subject != id.Subject {
			return person{}, fmt.Errorf("%w: the user info is about somebody else", ErrDenied)
		}
		if err := info.Claims(&claims); err != nil {
			return person{}, fmt.Errorf("%w: %w", ErrDenied, err)
		}
	}
	return personOf(id.Issuer+" "+id.Subject, raw, claims, p.cfg.GroupsClaim), nil
}

func personOf(subject, idToken string, claims map[string]any, groupsClaim string) person {
	p := person{subject: subject, idToken: idToken, name: "oidc-" + short(subject)}
	for _, claim := range []string{"preferred_username", "email"} {
		if name, _ := claims[claim].(string); validateName(name) == nil {
			p.name = name
			break
		}
	}
	p.fullName = p.name
	if name, _ := claims["name"].(string); validateName(name) == nil {
		p.fullName = name
	}
	switch groups := claims[groupsClaim].(type) {
	case string:
		p.groups = []string{groups}
	case []any:
		for _, group := range groups {
			if name, ok := group.(string); ok {
				p.groups = append(p.groups, name)
			}
		}
	}
	return p
}

// short tells subjects apart that have the same name.
func short(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return hex.EncodeToString(sum[:4])
}

// logOutAt is where to log out at the provider; empty where that can't be.
func (p *provider) logOutAt(ctx context.Context, idToken string) string {
	at, err := p.endpoints(ctx, sessionTime)
	if err != nil || at.endSession == "" {
		return ""
	}
	u, err := url.Parse(at.endSession)
	if err != nil {
		return ""
	}
	query := u.Query()
	query.Set("client_id", p.cfg.ClientID)
	query.Set("id_token_hint", idToken)
	query.Set("post_logout_redirect_uri", p.cfg.URL+"/login")
	u.RawQuery = query.Encode()
	return u.String()
}

// trip is somebody's way to the provider and back.
type trip struct {
	browser         string // what the cookie of the browser has that it began in
	nonce, verifier string
	to              string // where to go on after it
	until           time.Time
	leave           func()
}

// trips are those under way, by their state. They are few, however many somebody begins: an address with most of them
// loses its oldest.
type trips struct {
	places *listen.Places

	mu    sync.Mutex
	under map[string]trip
}

func (t *trips) begin(browser, to string, from netip.Addr) (state string, new trip) {
	state = rand.Text()
	new = trip{browser: browser, nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), to: to, until: time.Now().Add(tripTime)}
	forget := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.under, state)
	}
	new.leave = t.places.Take(from, forget)
	t.mu.Lock()
	defer t.mu.Unlock()
	for state, old := range t.under {
		if time.Now().After(old.until) {
			old.leave()
			delete(t.under, state)
		}
	}
	t.under[state] = new
	return state, new
}

// end is false for a state that was ended before, or is another browser's.
func (t *trips) end(state, browser string) (trip, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ended, ok := t.under[state]
	if !ok || subtle.ConstantTimeCompare([]byte(ended.browser), []byte(browser)) != 1 || browser == "" {
		return trip{}, false
	}
	ended.leave()
	delete(t.under, state)
	return ended, time.Now().Before(ended.until)
}

// browserCookie names the cookie of a browser that is on a trip.
func (a *Accounts) browserCookie() string {
	if a.sessions.Cookie.Secure {
		return "__Host-thermogate_login"
	}
	return "thermogate_login"
}

// HasProvider tells whether people can log in with their company's accounts.
func (a *Accounts) HasProvider() bool { return a.provider != nil }

// Leave begins a log-in at the provider, and returns where that is. Afterwards Return goes on to a path of ours.
func (a *Accounts) Leave(w http.ResponseWriter, r *http.Request, to string) (address string, err error) {
	at, err := a.provider.endpoints(r.Context(), providerFresh)
	if err != nil {
		return "", err
	}
	browser := rand.Text()
	if cookie, err := r.Cookie(a.browserCookie()); err == nil && len(cookie.Value) == len(browser) {
		browser = cookie.Value // another tab has begun, too
	}
	http.SetCookie(w, &http.Cookie{
		Name: a.browserCookie(), Value: browser, Path: "/", MaxAge: int(tripTime.Seconds()),
		HttpOnly: true, Secure: a.sessions.Cookie.Secure, SameSite: http.SameSiteLaxMode, // it comes with the way back
	})
	state, trip := a.provider.trips.begin(browser, to, listen.AddressOf(r))
	return at.oauth.AuthCodeURL(state, oidc.Nonce(trip.nonce), oauth2.S256ChallengeOption(trip.verifier)), nil
}

// Return begins a session for whoever comes back from the provider, and says where to go on. Its error is ErrUnreachable,
// ErrStale, ErrDenied, ErrNoGroup, ErrLocked or listen.ErrTooManyTries, or the store's.
func (a *Accounts) Return(r *http.Request) (to string, err error) {
	ctx, query := r.Context(), r.URL.Query()
	cookie, err := r.Cookie(a.browserCookie())
	if err != nil {
		return "", ErrStale
	}
	trip, ok := a.provider.trips.end(query.Get("state"), cookie.Value)
	if !ok {
		return "", ErrStale
	}
	if iss := query.Get("iss"); iss != "" && iss != a.provider.cfg.Issuer || query.Get("code") == "" {
		return "", fmt.Errorf("%w: %.200q", ErrDenied, query.Get("error"))
	}
	var account store.Account
	var who person
	var refused error
	if _, err := a.attempts.Try(ctx, listen.Visitor{Address: listen.AddressOf(r)}, func() bool {
		if who, refused = a.provider.ask(ctx, query.Get("code"), trip); refused == nil {
			account, refused = a.admit(ctx, r, who)
		}
		return refused == nil
	}); err != nil {
		return "", err
	}
	if errors.Is(refused, ErrDenied) {
		refused = errors.Join(refused, a.failed(r, account, "oidc"))
	}
	if refused != nil {
		a.log.Warn("a log-in with the company's account failed", "account", who.name, "address", listen.AddressOf(r), "error", refused)
		return "", refused
	}
	return trip.to, a.begin(r, account, who.idToken)
}

// admit returns the account of a person, with the rights that their groups give.
func (a *Accounts) admit(ctx context.Context, r *http.Request, who person) (store.Account, error) {
	account, err := a.store.AccountOf(ctx, who.subject)
	known := err == nil
	if !known && !errors.Is(err, store.ErrNoAccount) {
		return account, err
	}
	rights, ok := a.provider.cfg.rights(who.groups)
	switch {
	case !ok:
		return account, errors.Join(ErrNoGroup, a.failed(r, account, "no-group "+who.name))
	case known && account.Locked:
		return account, errors.Join(ErrLocked, a.failed(r, account, "locked"))
	case !known:
		return a.settle(ctx, who, rights)
	}
	if scope := ScopeOf(rights.Scope); account.Role != rights.Role || account.Scope != scope {
		if err := a.store.SetRole(ctx, account.Name, rights.Role, scope, store.Author{}); err != nil {
			return account, err
		}
		return a.store.Account(ctx, account.Name)
	}
	return account, nil
}

// settle makes the account of a person who comes for the first time. It never is one that somebody else has, whatever the
// provider says that they are called.
func (a *Accounts) settle(ctx context.Context, who person, rights Group) (store.Account, error) {
	other := who.name + "-" + short(who.subject)
	for _, names := range [][2]string{
		{who.name, who.fullName}, {who.name, who.fullName + " (" + who.name + ")"}, {other, who.fullName + " (" + other + ")"}, {other, other},
	} {
		account := store.Account{
			Name: names[0], FullName: names[1], Role: rights.Role, Scope: ScopeOf(rights.Scope), Mark: rand.Text(), MadeAt: time.Now(), Subject: who.subject,
		}
		if validate(account) != nil {
			continue
		}
		err := a.store.AddAccount(ctx, account, store.Author{})
		if errors.Is(err, store.ErrAccountTaken) {
			continue
		}
		if err != nil {
			return account, err
		}
		return a.store.Account(ctx, account.Name)
	}
	return store.Account{}, fmt.Errorf("%w: there are accounts of the name %.40q already", ErrDenied, who.name)
}

// Package accounts lets people into the console: who they are, what they may do and see, and that nobody guesses it.
package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/alexedwards/scs/v2"
	"golang.org/x/time/rate"

	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

// FirstName is the name of the account that an empty store gets.
const FirstName = "admin"

// Limits.
const (
	sessionTime   = 12 * time.Hour // a shift, and its handover
	minPassword   = 10             // characters
	maxPassword   = 256            // bytes
	maxName       = 64             // bytes
	wrongAtOnce   = 10             // tries within wrongTime, after which an account rests
	wrongTime     = 15 * time.Minute
	failuresKept  = 24 * time.Hour
	hashingAtOnce = 2 // each takes 32 MiB
	hashingWait   = 5 * time.Second
	// Lines of the audit about log-ins that failed: whoever guesses does not get to fill it.
	failureEvery   = 10 * time.Second
	failuresAtOnce = 100
)

// hashing is what RFC 9106 recommends of argon2id, with memory for small machines.
var hashing = &argon2id.Params{Memory: 32 * 1024, Iterations: 3, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Errors of a log-in, to be told apart with errors.Is.
var (
	ErrWrong = errors.New("wrong name or password")
	ErrBusy  = errors.New("too many log-ins at once; try again in a moment")
)

// RestError says that there were too many wrong passwords for an account.
type RestError struct{ Until time.Time }

func (e *RestError) Error() string {
	return "too many wrong passwords; log in again at " + e.Until.Format(time.TimeOnly)
}

// UnfitError says why a name, a role or a scope can't be somebody's.
type UnfitError string

func (e UnfitError) Error() string { return string(e) }

// PasswordError says what a new password lacks.
type PasswordError string

// What a new password can lack.
const (
	TooShort  PasswordError = "short"
	TooLong   PasswordError = "long"
	TooSimple PasswordError = "simple" // one character over and over, or the account's name
	Unchanged PasswordError = "unchanged"
)

func (e PasswordError) Error() string { return "the new password is too " + string(e) }

// Accounts lets people in.
type Accounts struct {
	store    *store.Store
	sessions *scs.SessionManager
	attempts *listen.Attempts
	provider *provider // nil where only the accounts of the console are let in
	log      *slog.Logger
	places   chan struct{} // for what hashes
	nobody   string        // hash of a password that nobody has

	counting sync.Mutex // held while a wrong password is counted

	failures   *rate.Limiter // on the lines of the audit about log-ins that failed
	suppressed atomic.Int64  // those that it has held back
}

// New returns the accounts of a store. Where browsers come over TLS alone, as secure says, cookies go nowhere else.
func New(s *store.Store, secure bool, company OIDC, log *slog.Logger) (*Accounts, error) {
	nobody, err := argon2id.CreateHash(rand.Text(), hashing)
	if err != nil {
		return nil, fmt.Errorf("hashing passwords: %w", err)
	}
	a := &Accounts{
		store: s, sessions: scs.New(), attempts: listen.NewAttempts(log), log: log,
		places: make(chan struct{}, hashingAtOnce), nobody: nobody, failures: rate.NewLimiter(rate.Every(failureEvery), failuresAtOnce),
	}
	if a.provider, err = newProvider(company, log); err != nil {
		return nil, fmt.Errorf("oidc.%w", err)
	}
	a.sessions.Store = s.Sessions()
	a.sessions.HashTokenInStore = true
	a.sessions.Lifetime = sessionTime
	a.sessions.Cookie.Secure = secure
	a.sessions.Cookie.SameSite = http.SameSiteLaxMode // a link to an alert in a message opens it
	a.sessions.Cookie.Name = "thermogate_session"
	if secure {
		a.sessions.Cookie.Name = "__Host-thermogate_session"
	}
	a.sessions.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		log.Error("sessions can't be read or kept", "error", err)
		http.Error(w, "the console's store can't be reached; try again in a moment", http.StatusServiceUnavailable)
	}
	return a, nil
}

// First makes the administrator of a store that has no accounts yet, and returns the password for the first log-in; it is
// empty where there are accounts.
func (a *Accounts) First(ctx context.Context) (password string, err error) {
	all, err := a.store.Accounts(ctx)
	if err != nil || len(all) > 0 {
		return "", err
	}
	password, err = a.Add(ctx, store.Account{Name: FirstName, FullName: "Administrator", Role: store.Administrator}, store.Author{})
	if errors.Is(err, store.ErrAccountTaken) { // by another console of the district, which tells its password
		return "", nil
	}
	return password, err
}

// Add makes an account, and returns the password for its first log-in.
func (a *Accounts) Add(ctx context.Context, account store.Account, by store.Author) (password string, err error) {
	if err := validate(account); err != nil {
		return "", err
	}
	password = rand.Text()[:16]
	if account.Password, err = a.hash(ctx, password); err != nil {
		return "", err
	}
	account.Once, account.Mark, account.MadeAt, account.MadeBy = true, rand.Text(), time.Now(), by.Account
	return password, a.store.AddAccount(ctx, account, by)
}

func validate(account store.Account) error {
	for _, name := range []string{account.Name, account.FullName} {
		if err := validateName(name); err != nil {
			return err
		}
	}
	if account.Role == store.OfCompany {
		if account.Company == "" || account.Scope.Site == "" || account.Scope.Name != "" {
			return UnfitError("the log-in of a company is made on the page of the companies of its site")
		}
		return validateScope(account.Scope)
	}
	if account.Company != "" {
		return UnfitError("only the log-in of a company is for one")
	}
	return validateRights(account.Role, account.Scope)
}

func validateName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable) || strings.TrimSpace(name) != name {
		return UnfitError(fmt.Sprintf("%.40q is no name: it has 1 to %d bytes, all of them printable, and no blank at its ends", name, maxName))
	}
	return nil
}

// unprintable is what makes a name look like another one.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func validateRights(role store.Role, scope mqtt.Gate) error {
	switch role {
	case store.Guard, store.Manager, store.Administrator:
	case store.Personnel:
		if scope.Name != "" {
			return UnfitError("the list of people is that of a site, and so is the scope of who keeps it")
		}
	default:
		return UnfitError(fmt.Sprintf("%.40q is none of the roles guard, manager, administrator and hr", string(role)))
	}
	return validateScope(scope)
}

func validateScope(scope mqtt.Gate) error {
	if scope.Name != "" && scope.Site == "" {
		return UnfitError("a gate is of a site; name that, too")
	}
	if scope.Site == "" {
		return nil
	}
	if scope.Name == "" {
		scope.Name = "any"
	}
	if err := scope.Validate(); err != nil {
		return UnfitError(err.Error())
	}
	return nil
}

// Renew gives an account a password for one log-in, also one that has none here, and returns that.
func (a *Accounts) Renew(ctx context.Context, name string, by store.Author) (password string, err error) {
	password = rand.Text()[:16]
	hash, err := a.hash(ctx, password)
	if err != nil {
		return "", err
	}
	if err := a.store.SetPassword(ctx, name, hash, rand.Text(), true, by); err != nil {
		return "", err
	}
	return password, a.store.ForgetFailures(ctx, name, false, time.Time{}) // who guessed at the old one knows nothing of it
}

// hash makes the hash of a password, when there is a place for it.
func (a *Accounts) hash(ctx context.Context, password string) (hash string, err error) {
	err = a.inPlace(ctx, func() error {
		hash, err = argon2id.CreateHash(password, hashing)
		return err
	})
	return hash, err
}

func (a *Accounts) inPlace(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, hashingWait, ErrBusy)
	defer cancel()
	select {
	case a.places <- struct{}{}:
		defer func() { <-a.places }()
		return do()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Sessions reads and writes the session of every request to next.
func (a *Accounts) Sessions(next http.Handler) http.Handler { return a.sessions.LoadAndSave(next) }

// SetRole has somebody do something else, or elsewhere.
func (a *Accounts) SetRole(ctx context.Context, name string, role store.Role, scope mqtt.Gate, by store.Author) error {
	if err := validateRights(role, scope); err != nil {
		return err
	}
	if account, err := a.store.Account(ctx, name); err != nil {
		return err
	} else if account.Role == store.OfCompany {
		return UnfitError("the log-in of a company stays one: make another account")
	}
	return a.store.SetRole(ctx, name, role, scope, by)
}

// The keys of a session.
const (
	nameKey    = "account"
	versionKey = "version"
	idTokenKey = "id_token" // empty but for one that began at the provider
)

// Of returns who is logged in, or ErrNoAccount.
func (a *Accounts) Of(r *http.Request) (store.Account, error) {
	name := a.sessions.GetString(r.Context(), nameKey)
	if name == "" {
		return store.Account{}, store.ErrNoAccount
	}
	account, err := a.store.Account(r.Context(), name)
	if err == nil && (account.Locked || account.Version != a.sessions.GetInt64(r.Context(), versionKey)) {
		err = store.ErrNoAccount
	}
	if a.sessions.GetString(r.Context(), idTokenKey) != "" {
		account.Once = false // a password that they did not log in with
	}
	return account, err
}

// Still returns who is logged in by now, however long ago a request began: they may have logged out since, at any console.
func (a *Accounts) Still(r *http.Request) (store.Account, error) {
	cookie, err := r.Cookie(a.sessions.Cookie.Name)
	if err != nil {
		return store.Account{}, store.ErrNoAccount
	}
	ctx, cancel := context.WithCancel(context.Background()) // that of the request has the session as it was
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)()
	if ctx, err = a.sessions.Load(ctx, cookie.Value); err != nil {
		return store.Account{}, err
	}
	return a.Of(r.WithContext(ctx))
}

// LogIn begins a session for whoever knows the password. Its error is ErrWrong, ErrBusy, listen.ErrTooManyTries or a
// *RestError, or the store's.
func (a *Accounts) LogIn(w http.ResponseWriter, r *http.Request, name, password string) error {
	account, err := a.check(r, name, password)
	if err != nil {
		return err
	}
	a.mark(w, r, account)
	return a.begin(r, account, "")
}

// check returns the account that has a password.
func (a *Accounts) check(r *http.Request, name, password string) (store.Account, error) {
	ctx := r.Context()
	if validateName(name) != nil || len(password) > maxPassword {
		return store.Account{}, ErrWrong // which no account has
	}
	account, err := a.store.Account(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNoAccount) {
		return account, err
	}
	marked := a.marked(r, account)
	if err := a.rests(ctx, name, marked); err != nil {
		return account, err
	}
	hash := account.Password
	if err != nil || account.Locked || hash == "" {
		hash = a.nobody // that a name is wrong takes as long as that a password is
	}
	visitor := listen.Visitor{Address: listen.AddressOf(r)}
	if marked {
		visitor.Mark = name
	}
	var refused error
	if _, err = a.attempts.Try(ctx, visitor, func() bool {
		refused = a.inPlace(ctx, func() error { return a.compare(r, name, account, password, hash, visitor) })
		return refused == nil
	}); err != nil {
		return account, err
	}
	if refused != nil {
		return account, refused
	}
	return account, a.store.ForgetFailures(ctx, name, marked, time.Time{})
}

// compare looks at a password, and counts a wrong one before the next is looked at: many at once gain nothing.
func (a *Accounts) compare(r *http.Request, name string, account store.Account, password, hash string, visitor listen.Visitor) error {
	ctx, marked := r.Context(), visitor.Mark != ""
	if err := a.rests(ctx, name, marked); err != nil {
		return err
	}
	right, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return err
	}
	if right && hash != a.nobody {
		return nil
	}
	a.counting.Lock()
	defer a.counting.Unlock()
	now := time.Now()
	if err := a.store.AddFailure(ctx, name, marked, visitor.Address.String(), now); err != nil {
		return err
	}
	// A name that nobody has may be a password in the wrong field.
	a.log.Warn("wrong name or password", "account", account.Name, "address", visitor.Address)
	if err := a.failed(r, account, "password"); err != nil {
		return err
	}
	if wrong, _, err := a.store.Failures(ctx, name, marked, now.Add(-wrongTime)); err != nil {
		return err
	} else if wrong == wrongAtOnce && account.Name != "" {
		line := store.AuditLine{By: store.Author{Address: visitor.Address}, What: store.RestedAccount, About: account.Name, Scope: account.Scope}
		if err := a.store.Note(ctx, line); err != nil {
			return err
		}
	}
	return ErrWrong
}

// failed notes a log-in that failed. Of more than a burst it notes some, with how many there were between.
func (a *Accounts) failed(r *http.Request, account store.Account, why string) error {
	if !a.failures.Allow() {
		a.suppressed.Add(1)
		return nil
	}
	if n := a.suppressed.Swap(0); n > 0 {
		why = fmt.Sprintf("%s +%d", why, n)
	}
	by := store.Author{Address: listen.AddressOf(r)}
	return a.store.Note(r.Context(), store.AuditLine{By: by, What: store.FailedLogIn, About: account.Name, Scope: account.Scope, Detail: why})
}

// rests is an error for an account that too many have guessed at. They are counted in the store: a new start forgives none.
// Whoever was logged in with the same browser before is not kept out by others.
func (a *Accounts) rests(ctx context.Context, name string, marked bool) error {
	now := time.Now()
	if err := a.store.ForgetFailures(ctx, "", false, now.Add(-failuresKept)); err != nil {
		return err
	}
	wrong, first, err := a.store.Failures(ctx, name, marked, now.Add(-wrongTime))
	if err == nil && wrong >= wrongAtOnce {
		err = &RestError{first.Add(wrongTime)}
	}
	return err
}

// begin begins a session, with a token that nobody knew before. An ID token says that it is one of the provider's.
func (a *Accounts) begin(r *http.Request, account store.Account, idToken string) error {
	if err := a.renew(r.Context(), account, idToken); err != nil {
		return err
	}
	how := "password"
	if idToken != "" {
		how = "oidc"
	}
	a.log.Info("logged in", "account", account.Name, "with", how, "address", listen.AddressOf(r))
	return a.store.Note(r.Context(), store.AuditLine{By: AuthorOf(r, account), What: store.LoggedIn, Scope: account.Scope, Detail: how})
}

func (a *Accounts) renew(ctx context.Context, account store.Account, idToken string) error {
	if err := a.sessions.RenewToken(ctx); err != nil {
		return err
	}
	a.sessions.Put(ctx, nameKey, account.Name)
	a.sessions.Put(ctx, versionKey, account.Version)
	a.sessions.Put(ctx, idTokenKey, idToken)
	return nil
}

// AuthorOf is who sends a request, and from where.
func AuthorOf(r *http.Request, account store.Account) store.Author {
	return store.Author{Account: account.Name, Address: listen.AddressOf(r)}
}

// LogOut ends the session. Where it began at the provider, it returns where to log out there, too: on a device of many
// people the next one would else be let in as this one.
func (a *Accounts) LogOut(r *http.Request) (address string, err error) {
	ctx := r.Context()
	idToken := a.sessions.GetString(ctx, idTokenKey)
	account, err := a.Of(r)
	if err == nil {
		err = a.store.Note(ctx, store.AuditLine{By: AuthorOf(r, account), What: store.LoggedOut, Scope: account.Scope})
	} else if errors.Is(err, store.ErrNoAccount) {
		err = nil
	}
	err = errors.Join(err, a.sessions.Destroy(ctx))
	if a.provider != nil && idToken != "" {
		address = a.provider.logOutAt(ctx, idToken)
	}
	return address, err
}

// ChangePassword gives whoever is logged in another password, if they know the one they have, and ends their other sessions.
func (a *Accounts) ChangePassword(w http.ResponseWriter, r *http.Request, account store.Account, old, password string) error {
	ctx := r.Context()
	if err := checkPassword(account, old, password); err != nil {
		return err
	}
	if _, err := a.check(r, account.Name, old); err != nil {
		return err
	}
	hash, err := a.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := a.store.SetPassword(ctx, account.Name, hash, rand.Text(), false, AuthorOf(r, account)); err != nil {
		return err
	}
	if account, err = a.store.Account(ctx, account.Name); err != nil {
		return err
	}
	a.mark(w, r, account)
	a.log.Info("password changed", "account", account.Name)
	return a.renew(ctx, account, "")
}

func checkPassword(account store.Account, old, password string) error {
	first, _ := utf8.DecodeRuneInString(password)
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return TooShort
	case len(password) > maxPassword:
		return TooLong
	case strings.Trim(password, string(first)) == "", strings.Contains(strings.ToLower(password), strings.ToLower(account.Name)) && len(account.Name) > 3:
		return TooSimple
	case password == old:
		return Unchanged
	}
	return nil
}

// mark lets a browser that was logged in be told from those who guess. It opens nothing without the password.
func (a *Accounts) mark(w http.ResponseWriter, r *http.Request, account store.Account) {
	http.SetCookie(w, &http.Cookie{
		Name: a.markName(r), Value: account.Mark, Path: "/", MaxAge: 180 * 24 * 60 * 60,
		HttpOnly: true, Secure: a.sessions.Cookie.Secure, SameSite: http.SameSiteStrictMode,
	})
}

func (a *Accounts) marked(r *http.Request, account store.Account) bool {
	cookie, err := r.Cookie(a.markName(r))
	return err == nil && account.Mark != "" && subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(account.Mark)) == 1
}

// markName has the port in it, for browsers give cookies to every port of a host.
func (a *Accounts) markName(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	name := "thermogate_console_mark_" + port
	if a.sessions.Cookie.Secure {
		name = "__Host-" + name
	}
	return name
}

// Anybody is the role that who is logged in has, whatever else they are.
const Anybody store.Role = "anybody"

// May tells whether a role is another or more. Those who know the names of people are no more than the others, nor less.
func May(role, needed store.Role) bool {
	for _, ladder := range [][]store.Role{{store.Guard, store.Manager, store.Administrator}, {store.OfCompany, store.Personnel}} {
		is, at := slices.Index(ladder, role), slices.Index(ladder, needed)
		if is >= 0 && (needed == Anybody || at >= 0 && is >= at) {
			return true
		}
	}
	return false
}

// ScopeOf reads "site" or "site/gate".
func ScopeOf(text string) mqtt.Gate {
	site, gate, _ := strings.Cut(strings.TrimSpace(text), "/")
	return mqtt.Gate{Site: site, Name: gate}
}

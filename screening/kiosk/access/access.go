// Package access says whose browser may see what of a gate's pages: people who know the password have a session, and the
// screen in front of the person is a device that was linked with a code, which opens its own page and no other.
package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"thermogate/screening/datadir"
	"thermogate/screening/listen"
)

// Limits.
const (
	sessionTime = 12 * time.Hour
	maxSessions = 64
	maxDevices  = 32
	// CodeTime is how long a device can be linked with a code.
	CodeTime = 15 * time.Minute
	maxCodes = 16
	maxName  = 40                   // characters
	cookieIs = 400 * 24 * time.Hour // the longest that browsers keep one; a device gets it anew each time it is started
)

// hashing is one of those that OWASP recommends of argon2id, the one that takes least memory of a small machine (19 MiB).
var hashing = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Errors, to be told apart with errors.Is.
var (
	ErrWrong = errors.New("wrong user or password")
	ErrCode  = errors.New("no such code: it may be mistyped, used or too old")
	ErrName  = fmt.Errorf("a name has 1 to %d printable characters", maxName)
	ErrFull  = fmt.Errorf("there are %d linked screens; unlink one first", maxDevices)
)

// Who is who a browser belongs to.
type Who int

// Who there is.
const (
	Stranger Who = iota
	Device       // linked to show the page in front of the person
	Engineer     // with a session
)

// Access lets browsers in. It keeps hashes of what it has given them, in one file.
type Access struct {
	path     string
	user     string
	password *listen.Password
	attempts *listen.Attempts
	log      *slog.Logger
	hash     string // of user and password; another password ends all sessions

	saving sync.Mutex // held while the file is written; whoever is let in does not wait for the disk

	mu     sync.Mutex
	grants []*grant // oldest first
	codes  map[string]code
}

// grant is what a browser with a token may do.
type grant struct {
	// Hash of the token, which also names a device to the engineers.
	Hash  string    `json:"hash"`
	Name  string    `json:"name,omitempty"` // of a device; a session has none
	Made  time.Time `json:"made"`
	Until time.Time `json:"until,omitzero"` // a device has no end

	valid context.Context // until it is taken back, or over
	end   context.CancelFunc
	seen  time.Time // when it was last used since the start
	open  int       // requests
}

// code links one device.
type code struct {
	name  string
	until time.Time
}

// kept is what is in the file.
type kept struct {
	Password string   `json:"password"`
	Grants   []*grant `json:"grants"`
}

// Open reads what was kept at path. The sessions of another password are over.
func Open(path string, c listen.Guarded, attempts *listen.Attempts, log *slog.Logger) (*Access, error) {
	secret, err := listen.ReadSecret(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("http.password_file: %w", err)
	}
	a := &Access{path: path, user: c.User, password: listen.NewPassword(c.User, secret, attempts), attempts: attempts, log: log, codes: map[string]code{}}
	before, err := read(path)
	if err != nil {
		log.Error("who was logged in or linked is not known any more: log in, and link the screens at the gate anew", "error", err)
	}
	both := c.User + ":" + secret
	same, _ := argon2id.ComparePasswordAndHash(both, before.Password) // nothing is the same as no hash
	a.hash = before.Password
	if !same {
		if a.hash, err = argon2id.CreateHash(both, hashing); err != nil {
			return nil, fmt.Errorf("hashing the password: %w", err)
		}
	}
	for _, g := range before.Grants {
		if g != nil && (g.isDevice() || same && !g.over(time.Now())) {
			a.add(g)
		}
	}
	if !same {
		a.save()
	}
	return a, nil
}

func read(path string) (kept, error) {
	var k kept
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &k)
	}
	if err != nil {
		return kept{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// save keeps what there is. A disk that takes nothing is no reason to let nobody in.
func (a *Access) save() {
	a.saving.Lock()
	defer a.saving.Unlock()
	a.mu.Lock()
	now := kept{a.hash, slices.Clone(a.grants)}
	a.mu.Unlock()
	if err := datadir.Replace(a.path, now); err != nil {
		a.log.Error("who is logged in or linked is not kept over a restart", "error", err)
	}
}

func (a *Access) add(g *grant) {
	if g.isDevice() {
		g.valid, g.end = context.WithCancel(context.Background())
	} else {
		g.valid, g.end = context.WithDeadline(context.Background(), g.Until)
	}
	a.grants = append(a.grants, g)
}

// drop takes back the grants of which gone is true, and tells whether there were any.
func (a *Access) drop(gone func(*grant) bool) bool {
	before := len(a.grants)
	a.grants = slices.DeleteFunc(a.grants, func(g *grant) bool {
		if gone(g) {
			g.end()
			return true
		}
		return false
	})
	return len(a.grants) < before
}

// over tells whether a session has ended; one that has longer to go than any began while the clock was ahead.
func (g *grant) over(now time.Time) bool {
	return !now.Before(g.Until) || g.Until.Sub(now) > sessionTime
}

func (g *grant) isDevice() bool { return g.Name != "" }

// count counts the devices, or the sessions.
func (a *Access) count(devices bool) (n int) {
	for _, g := range a.grants {
		if g.isDevice() == devices {
			n++
		}
	}
	return n
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// cookieName has the port in it, for browsers give cookies to every port of a host.
func cookieName(r *http.Request, kind string) string {
	name := "thermogate_gate_" + kind
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		name += "_" + port
	}
	if listen.Encrypted(r) {
		name = "__Host-" + name
	}
	return name
}

const (
	sessionCookie = "session"
	deviceCookie  = "screen"
)

// setCookie gives the browser a token, and takes it away where that is empty.
func setCookie(w http.ResponseWriter, r *http.Request, kind, token string, lasts time.Duration) {
	age := int(lasts.Seconds())
	if token == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r, kind), Value: token, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: listen.Encrypted(r), SameSite: http.SameSiteLaxMode, // a link of the console leads to /status
	})
}

// find is the grant of a request's cookie, nil for none, or one that is over.
func (a *Access) find(r *http.Request, kind string) *grant {
	cookie, err := r.Cookie(cookieName(r, kind))
	if err != nil {
		return nil
	}
	hash := hashOf(cookie.Value)
	for _, g := range a.grants {
		if g.Hash == hash && g.isDevice() == (kind == deviceCookie) && g.valid.Err() == nil {
			return g
		}
	}
	return nil
}

func (a *Access) of(r *http.Request) (*grant, Who) {
	if g := a.find(r, deviceCookie); g != nil { // whatever session it has
		return g, Device
	}
	if g := a.find(r, sessionCookie); g != nil {
		return g, Engineer
	}
	return nil, Stranger
}

// Of says whose browser sends a request.
func (a *Access) Of(r *http.Request) Who {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, who := a.of(r)
	return who
}

// WasDevice tells whether a browser has the cookie of a device, also one that was unlinked.
func (a *Access) WasDevice(r *http.Request) bool {
	_, err := r.Cookie(cookieName(r, deviceCookie))
	return err == nil
}

// Admit says whose browser sends a request, and returns one that is over as soon as they are let in no more. done is called at
// its end.
func (a *Access) Admit(r *http.Request) (admitted *http.Request, who Who, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g, who := a.of(r)
	if who == Stranger {
		return r, who, func() {}
	}
	g.open++
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(g.valid, cancel)
	return r.WithContext(ctx), who, func() {
		stop()
		cancel()
		a.mu.Lock()
		defer a.mu.Unlock()
		g.open--
		g.seen = time.Now()
	}
}

// Program asks for user and password as programs send them (HTTP Basic).
func (a *Access) Program(next http.Handler) http.Handler { return a.password.Guard(next) }

// LogIn begins a session for whoever knows the password. Its error is ErrWrong or listen.ErrTooManyTries, or the request's.
func (a *Access) LogIn(w http.ResponseWriter, r *http.Request, user, password string) error {
	right, err := a.password.Check(w, r, strings.TrimSpace(user), password)
	if err != nil {
		return err
	}
	if !right {
		return ErrWrong
	}
	token, now := rand.Text(), time.Now()
	a.mu.Lock()
	a.end(r)
	a.drop(func(g *grant) bool { return g.valid.Err() != nil })
	if a.count(false) >= maxSessions {
		oldest := a.grants[slices.IndexFunc(a.grants, func(g *grant) bool { return !g.isDevice() })]
		a.drop(func(g *grant) bool { return g == oldest })
	}
	a.add(&grant{Hash: hashOf(token), Made: now, Until: now.Add(sessionTime)})
	a.mu.Unlock()
	a.save()
	setCookie(w, r, sessionCookie, token, sessionTime)
	a.log.Info("logged in", "address", listen.AddressOf(r))
	return nil
}

// end takes back the session of a request, where it has one.
func (a *Access) end(r *http.Request) (had bool) {
	g := a.find(r, sessionCookie)
	return g != nil && a.drop(func(other *grant) bool { return other == g })
}

// LogOut ends the session.
func (a *Access) LogOut(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	had := a.end(r)
	a.mu.Unlock()
	if had {
		a.save()
	}
	setCookie(w, r, sessionCookie, "", 0)
}

// User is the name that goes with the password.
func (a *Access) User() string { return a.user }

// NewCode returns a code that links one device, which will be known by name. It counts for CodeTime.
func (a *Access) NewCode(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", ErrName
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count(true) >= maxDevices {
		return "", ErrFull
	}
	for text, c := range a.codes {
		if time.Now().After(c.until) || len(a.codes) >= maxCodes {
			delete(a.codes, text)
		}
	}
	text := rand.Text()[:8]
	a.codes[text] = code{name, time.Now().Add(CodeTime)}
	return text[:4] + "-" + text[4:], nil
}

// Link makes the browser a device, and ends the session it may have: nobody at the gate is to be in the engineers' pages. Its
// error is ErrCode, ErrFull or listen.ErrTooManyTries, or the request's.
func (a *Access) Link(w http.ResponseWriter, r *http.Request, text string) error {
	token, refused := "", error(nil)
	_, err := a.attempts.Try(r.Context(), listen.Visitor{Address: listen.AddressOf(r)}, func() bool {
		token, refused = a.redeem(r, text)
		return refused == nil
	})
	if err := cmp.Or(err, refused); err != nil {
		return err
	}
	a.save()
	setCookie(w, r, sessionCookie, "", 0)
	setCookie(w, r, deviceCookie, token, cookieIs)
	return nil
}

// typed is how a code is read: its alphabet has no 0, 1 or 8.
var typed = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B")

// redeem makes a device of whoever has a code.
func (a *Access) redeem(r *http.Request, text string) (token string, err error) {
	text = typed.Replace(strings.ToUpper(text))
	a.mu.Lock()
	defer a.mu.Unlock()
	c, known := a.codes[text]
	if !known || time.Now().After(c.until) {
		return "", ErrCode
	}
	if a.count(true) >= maxDevices {
		return "", ErrFull
	}
	delete(a.codes, text)
	a.end(r)
	token = rand.Text()
	a.add(&grant{Hash: hashOf(token), Name: c.name, Made: time.Now()})
	a.log.Info("a screen is linked", "name", c.name, "address", listen.AddressOf(r))
	return token, nil
}

// Renew has the browser of a device keep its cookie for another while.
func (a *Access) Renew(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName(r, deviceCookie)); err == nil && a.Of(r) == Device {
		setCookie(w, r, deviceCookie, cookie.Value, cookieIs)
	}
}

// Linked is a device as engineers see it.
type Linked struct {
	ID, Name string
	Made     time.Time
	Seen     time.Time // last, since the start; zero for never
	Open     bool      // its page is open
}

// Devices lists the devices, the newest last.
func (a *Access) Devices() (all []Linked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.grants {
		if g.isDevice() {
			all = append(all, Linked{g.Hash, g.Name, g.Made, g.seen, g.open > 0})
		}
	}
	return all
}

// Unlink takes back what a device was given, at once. An ID of none does nothing.
func (a *Access) Unlink(id string) {
	a.mu.Lock()
	had := a.drop(func(g *grant) bool { return g.isDevice() && g.Hash == id })
	a.mu.Unlock()
	if had {
		a.save()
		a.log.Info("a screen is unlinked")
	}
}

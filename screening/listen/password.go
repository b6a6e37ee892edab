package listen

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Guarded is a listener with one user and password.
type Guarded struct {
	Config `yaml:",inline"`
	// User and PasswordFile: an address beyond this machine needs them.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Validate names the first key that is wrong. It opens no file.
func (c Guarded) Validate() error {
	if (!c.Local() || len(c.TLSProxies) > 0) && c.PasswordFile == "" {
		return fmt.Errorf("listen is %q, which others can reach; give password_file too, or listen on 127.0.0.1 without tls_proxies", c.Listen)
	}
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.User == "" || strings.Contains(c.User, ":") {
		return errors.New("user: it must be a name without a colon")
	}
	return nil
}

// LogIn is that of this configuration; nil where it has no password.
func (c Guarded) LogIn() (*url.Userinfo, error) {
	if c.PasswordFile == "" {
		return nil, nil
	}
	password, err := ReadSecret(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("http.password_file: %w", err)
	}
	return url.UserPassword(c.User, password), nil
}

// Guard asks for the password before next, where there is one.
func (c Guarded) Guard(next http.Handler, attempts *Attempts) (http.Handler, error) {
	if c.PasswordFile == "" {
		return next, nil
	}
	password, err := ReadSecret(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("http.password_file: %w", err)
	}
	return NewPassword(c.User, password, attempts).Guard(next), nil
}

// Password lets in who knows a user and a password (HTTP Basic).
type Password struct {
	want     [sha256.Size]byte
	attempts *Attempts
	marks    [32]byte // key of the marks that browsers get which have been let in
}

// NewPassword returns the guard of a user and a password; attempts slows down who guesses them.
func NewPassword(user, password string, attempts *Attempts) *Password {
	p := &Password{want: digest(user, password), attempts: attempts}
	_, _ = rand.Read(p.marks[:]) // never fails
	return p
}

func digest(user, password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(user + ":" + password))
}

// Guard asks for user and password before next.
func (p *Password) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, given, offered := r.BasicAuth()
		if !offered {
			refuse(w)
			return
		}
		right, err := p.Check(w, r, user, given)
		switch {
		case err != nil:
			w.Header().Set("Retry-After", "10")
			http.Error(w, err.Error(), http.StatusTooManyRequests)
		case !right:
			refuse(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Check tells whether user and password are right, once it is the visitor's turn, and marks a browser that knows them. Its
// error is ErrTooManyTries, or that of the request's context.
func (p *Password) Check(w http.ResponseWriter, r *http.Request, user, given string) (bool, error) {
	visitor := Visitor{Address: AddressOf(r), Mark: p.markOf(r)}
	right, err := p.attempts.Try(r.Context(), visitor, func() bool { return p.right(user, given) })
	if right && visitor.Mark == "" {
		p.mark(w, r)
	}
	return right, err
}

func refuse(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="thermogate", charset="UTF-8"`)
	http.Error(w, "user and password, please", http.StatusUnauthorized)
}

// right compares in the same time whatever is given.
func (p *Password) right(user, password string) bool {
	got := digest(user, password)
	return subtle.ConstantTimeCompare(got[:], p.want[:]) == 1 && len(password) <= maxSecret
}

// mark lets a browser that was let in be told from others at its address: behind a proxy or on the same machine somebody
// may be guessing, and the pages must not wait for him. The mark opens nothing without the password.
func (p *Password) mark(w http.ResponseWriter, r *http.Request) {
	name := rand.Text()
	http.SetCookie(w, &http.Cookie{
		Name: markName(r), Value: name + "." + p.sign(name), Path: "/",
		HttpOnly: true, Secure: Encrypted(r), SameSite: http.SameSiteStrictMode,
	})
}

// markOf is the mark that a request brings, empty for none or a false one.
func (p *Password) markOf(r *http.Request) string {
	cookie, err := r.Cookie(markName(r))
	if err != nil {
		return ""
	}
	name, signature, _ := strings.Cut(cookie.Value, ".")
	if !hmac.Equal([]byte(signature), []byte(p.sign(name))) {
		return ""
	}
	return name
}

func (p *Password) sign(name string) string {
	mac := hmac.New(sha256.New, p.marks[:])
	mac.Write([]byte(name))
	return hex.EncodeToString(mac.Sum(nil))
}

// markName has the port in it, for browsers give cookies to every port of a host.
func markName(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return "thermogate_mark_" + port
}

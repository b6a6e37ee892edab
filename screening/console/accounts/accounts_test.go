package accounts

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thermogate/screening/console/postgrestest"
	"thermogate/screening/console/store"
)

var server = sync.OnceValues(postgrestest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		s.Stop()
	}
	os.Exit(code)
}

// each runs a test on both kinds of store.
func each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			cfg := store.DefaultConfig()
			cfg.File = filepath.Join(t.TempDir(), "console.db")
			if kind == "PostgreSQL" {
				s, err := server()
				if err != nil {
					t.Fatal(err)
				}
				if cfg.PostgreSQL, err = s.Database(); err != nil {
					t.Fatal(err)
				}
			}
			s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			test(t, s)
		})
	}
}

func open(t *testing.T, s *store.Store) *Accounts {
	t.Helper()
	a, err := New(s, false, DefaultOIDC(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// visitor is a browser.
type visitor struct {
	t      *testing.T
	client *http.Client
	server *httptest.Server
	err    error // of the last request
}

func visit(t *testing.T, a *Accounts) *visitor {
	t.Helper()
	v := &visitor{t: t}
	v.server = httptest.NewServer(a.Sessions(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var account store.Account
		switch r.URL.Path {
		case "/login":
			v.err = a.LogIn(w, r, r.FormValue("name"), r.FormValue("password"))
		case "/logout":
			_, v.err = a.LogOut(r)
		case "/password":
			if account, v.err = a.Of(r); v.err == nil {
				v.err = a.ChangePassword(w, r, account, r.FormValue("old"), r.FormValue("password"))
			}
		default:
			_, v.err = a.Of(r)
		}
	})))
	t.Cleanup(v.server.Close)
	v.forget()
	return v
}

// forget makes it a browser that was never here.
func (v *visitor) forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	v.client = &http.Client{Jar: jar}
}

func (v *visitor) post(path string, form map[string][]string) error {
	v.t.Helper()
	answer, err := v.client.PostForm(v.server.URL+path, form)
	if err != nil {
		v.t.Fatal(err)
	}
	answer.Body.Close()
	return v.err
}

func (v *visitor) logIn(name, password string) error {
	v.t.Helper()
	return v.post("/login", map[string][]string{"name": {name}, "password": {password}})
}

func TestFirstLogIn(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s)
		once, err := a.First(t.Context())
		if err != nil || len(once) < 16 {
			t.Fatalf("the first password is %q, %v", once, err)
		}
		if again, err := a.First(t.Context()); again != "" || err != nil {
			t.Errorf("a second start makes another administrator: %q, %v", again, err)
		}
		v, other := visit(t, a), visit(t, a)
		if err := v.logIn(FirstName, "guess"); !errors.Is(err, ErrWrong) {
			t.Errorf("a wrong password: %v", err)
		}
		if err := v.logIn("nobody", once); !errors.Is(err, ErrWrong) {
			t.Errorf("a wrong name: %v", err)
		}
		for _, v := range []*visitor{v, other} {
			if err := v.logIn(FirstName, once); err != nil {
				t.Fatal(err)
			}
		}
		account, err := s.Account(t.Context(), FirstName)
		if err != nil || !account.Once || account.Role != store.Administrator {
			t.Errorf("the administrator is %+v, %v", account, err)
		}
		for password, want := range map[string]error{"short": TooShort, "aaaaaaaaaaaa": TooSimple, "i am an admin": TooSimple, once: Unchanged} {
			if err := v.post("/password", map[string][]string{"old": {once}, "password": {password}}); !errors.Is(err, want) {
				t.Errorf("the new password %q: %v, want %v", password, err, want)
			}
		}
		if err := v.post("/password", map[string][]string{"old": {once}, "password": {"correct horse battery"}}); err != nil {
			t.Fatal(err)
		}
		if err := v.post("/", nil); err != nil {
			t.Errorf("who changed the password is logged out: %v", err)
		}
		if err := other.post("/", nil); !errors.Is(err, store.ErrNoAccount) {
			t.Errorf("another browser with the old password goes on: %v", err)
		}
		if err := v.post("/logout", nil); err != nil {
			t.Fatal(err)
		}
		if err := v.post("/", nil); !errors.Is(err, store.ErrNoAccount) {
			t.Errorf("logged out, and in: %v", err)
		}
	})
}

// TestGuessing has somebody guess a guard's password: the guard goes on, and a new start forgives nothing.
func TestGuessing(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s)
		if _, err := a.First(t.Context()); err != nil {
			t.Fatal(err)
		}
		password, err := a.Add(t.Context(), store.Account{Name: "lina", FullName: "Li Na", Role: store.Guard}, store.Author{Account: FirstName})
		if err != nil {
			t.Fatal(err)
		}
		guard, thief := visit(t, a), visit(t, a)
		if err := guard.logIn("lina", password); err != nil {
			t.Fatal(err)
		}
		for range wrongAtOnce {
			if err := thief.logIn("lina", "guess"); !errors.Is(err, ErrWrong) {
				t.Fatal(err)
			}
		}
		var rest *RestError
		if err := thief.logIn("lina", password); !errors.As(err, &rest) || time.Until(rest.Until) > wrongTime || time.Until(rest.Until) < wrongTime/2 {
			t.Errorf("after %d wrong passwords: %v", wrongAtOnce, err)
		}
		if err := guard.logIn("lina", password); err != nil {
			t.Errorf("the guard's own browser: %v", err)
		}
		again := visit(t, open(t, s))
		if err := again.logIn("lina", password); !errors.As(err, &rest) {
			t.Errorf("after a new start: %v", err)
		}
		if password, err = a.Renew(t.Context(), "lina", store.Author{}); err != nil {
			t.Fatal(err)
		}
		if err := again.logIn("lina", password); err != nil {
			t.Errorf("with a new password: %v", err)
		}
	})
}

// TestManyGuessesAtOnce has as many guesses under way as there are, from addresses that nobody has seen.
func TestManyGuessesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s)
		if _, err := a.First(t.Context()); err != nil {
			t.Fatal(err)
		}
		handler := a.Sessions(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := a.LogIn(w, r, FirstName, "guess")
			for errors.Is(err, ErrBusy) { // on a slow machine
				err = a.LogIn(w, r, FirstName, "guess")
			}
			if errors.Is(err, ErrWrong) {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		var all sync.WaitGroup
		var looked atomic.Int32
		for n := range 30 {
			all.Go(func() {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
				r.RemoteAddr = fmt.Sprintf("203.0.113.%d:1234", n+1)
				w := httptest.NewRecorder()
				if handler.ServeHTTP(w, r); w.Code == http.StatusUnauthorized {
					looked.Add(1)
				}
			})
		}
		all.Wait()
		if n := looked.Load(); n < wrongAtOnce || n > wrongAtOnce+hashingAtOnce-1 {
			t.Errorf("%d guesses were looked at", n)
		}
	})
}

func TestLocked(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s)
		if _, err := a.First(t.Context()); err != nil {
			t.Fatal(err)
		}
		password, err := a.Add(t.Context(), store.Account{Name: "wang", FullName: "王伟", Role: store.Manager, Scope: ScopeOf("plant")}, store.Author{Account: FirstName})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Add(t.Context(), store.Account{Name: "wang", FullName: "another", Role: store.Guard}, store.Author{Account: FirstName}); !errors.Is(err, store.ErrAccountTaken) {
			t.Errorf("two accounts of one name: %v", err)
		}
		v := visit(t, a)
		if err := v.logIn("wang", password); err != nil {
			t.Fatal(err)
		}
		if err := s.SetLocked(t.Context(), "wang", true, store.Author{}); err != nil {
			t.Fatal(err)
		}
		if err := v.post("/", nil); !errors.Is(err, store.ErrNoAccount) {
			t.Errorf("a locked account goes on: %v", err)
		}
		if err := v.logIn("wang", password); !errors.Is(err, ErrWrong) {
			t.Errorf("a locked account logs in: %v", err)
		}
		if err := s.SetLocked(t.Context(), FirstName, true, store.Author{}); !errors.Is(err, store.ErrLastOne) {
			t.Errorf("the last administrator can be locked out: %v", err)
		}
		if account, err := s.Account(t.Context(), FirstName); err != nil || account.Locked {
			t.Errorf("the last administrator: %+v, %v", account, err)
		}
	})
}

package access

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thermogate/screening/listen"
)

func TestMain(m *testing.M) {
	hashing.Memory, hashing.Iterations = 64, 1 // the race detector makes more of it take seconds
	m.Run()
}

// gate is what a gate keeps of who may see its pages.
type gate struct {
	t        *testing.T
	file     string
	password string // its file
	*Access
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, file: filepath.Join(t.TempDir(), "access.json"), password: filepath.Join(t.TempDir(), "password")}
	g.setPassword("open sesame")
	g.restart()
	return g
}

func (g *gate) setPassword(password string) {
	g.t.Helper()
	if err := os.WriteFile(g.password, []byte(password), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gate) restart() {
	g.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	a, err := Open(g.file, listen.Guarded{User: "thermogate", PasswordFile: g.password}, listen.NewAttempts(quiet), quiet)
	if err != nil {
		g.t.Fatal(err)
	}
	g.Access = a
}

// browser keeps cookies.
type browser struct{ cookies map[string]*http.Cookie }

func (b *browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://gate:8080/status", nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func (b *browser) take(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		if b.cookies == nil {
			b.cookies = map[string]*http.Cookie{}
		}
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
}

func (b *browser) logIn(g *gate, password string) error {
	w := httptest.NewRecorder()
	err := g.LogIn(w, b.request(), "thermogate", password)
	b.take(w)
	return err
}

func (b *browser) link(g *gate, code string) error {
	w := httptest.NewRecorder()
	err := g.Link(w, b.request(), code)
	b.take(w)
	return err
}

func newCode(t *testing.T, g *gate) string {
	t.Helper()
	code, err := g.NewCode("tablet")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// TestWhoIsLetIn is after what of a browser that was let in; the gate forgets and keeps what it should.
func TestWhoIsLetIn(t *testing.T) {
	forge := func(change func(value string) string) func(*gate, *browser) {
		return func(_ *gate, b *browser) {
			for name, c := range b.cookies {
				c.Value = change(c.Value)
				b.cookies[name] = c
			}
		}
	}
	rename := func(from, to string) func(*gate, *browser) {
		return func(_ *gate, b *browser) {
			for name, c := range b.cookies {
				c.Name = strings.Replace(name, from, to, 1)
			}
		}
	}
	tests := []struct {
		name            string
		after           func(*gate, *browser)
		session, device Who
	}{
		{"nothing", func(*gate, *browser) {}, Engineer, Device},
		{"a restart", func(g *gate, _ *browser) { g.restart() }, Engineer, Device},
		{"a log-out", func(g *gate, b *browser) { g.LogOut(httptest.NewRecorder(), b.request()) }, Stranger, Device},
		{"a log-out and a restart", func(g *gate, b *browser) { g.LogOut(httptest.NewRecorder(), b.request()); g.restart() }, Stranger, Device},
		{"another password", func(g *gate, _ *browser) { g.setPassword("shut"); g.restart() }, Stranger, Device},
		{"another password and that one again", func(g *gate, _ *browser) {
			g.setPassword("shut")
			g.restart()
			g.setPassword("open sesame")
			g.restart()
		}, Stranger, Device},
		{"an unlinking", func(g *gate, _ *browser) { unlinkAll(g) }, Engineer, Stranger},
		{"an unlinking and a restart", func(g *gate, _ *browser) { unlinkAll(g); g.restart() }, Engineer, Stranger},
		{"a session's end", func(*gate, *browser) { time.Sleep(sessionTime + time.Second) }, Stranger, Device},
		{"a session's end while the gate was off", func(g *gate, _ *browser) { time.Sleep(sessionTime + time.Second); g.restart() }, Stranger, Device},
		{"a session from while the clock was ten years ahead", func(g *gate, _ *browser) {
			g.drop(func(one *grant) bool {
				one.Made, one.Until = one.Made.AddDate(10, 0, 0), one.Until.AddDate(10, 0, 0)
				return false
			})
			g.save()
			g.restart()
		}, Stranger, Device},
		{"a year", func(*gate, *browser) { time.Sleep(366 * 24 * time.Hour) }, Stranger, Device},
		{"a damaged file", func(g *gate, _ *browser) { _ = os.Truncate(g.file, 20); g.restart() }, Stranger, Stranger},
		{"a file with nothing in it", func(g *gate, _ *browser) {
			_ = os.WriteFile(g.file, []byte(`{"grants":[null,{},{"name":"x"}]}`), 0o600)
			g.restart()
		}, Stranger, Stranger},
		{"a lost file", func(g *gate, _ *browser) { _ = os.Remove(g.file); g.restart() }, Stranger, Stranger},
		{"a forged cookie", forge(func(string) string { return "AAAAAAAAAAAAAAAAAAAAAAAAAA" }), Stranger, Stranger},
		{"an empty cookie", forge(func(string) string { return "" }), Stranger, Stranger},
		{"a changed cookie", forge(func(v string) string { return v[:len(v)-1] }), Stranger, Stranger},
		{"the hash as a cookie", forge(hashOf), Stranger, Stranger},
		{"a device's cookie as a session", rename("screen", "session"), Engineer, Stranger},
		{"a session's cookie as a device", rename("session", "screen"), Stranger, Device},
		{"cookies from without TLS", rename("__Host-", ""), Stranger, Stranger},
		{"cookies of another port", rename("8080", "8081"), Stranger, Stranger},
		{"cookies of another gate", func(g *gate, _ *browser) { g.file = filepath.Join(g.t.TempDir(), "access.json"); g.restart() }, Stranger, Stranger},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			for _, linked := range []bool{false, true} {
				g, b, want := newGate(t), &browser{}, test.session
				err := error(nil)
				if linked {
					want = test.device
					err = b.link(g, newCode(t, g))
				} else {
					err = b.logIn(g, "open sesame")
				}
				if err != nil {
					t.Fatal(err)
				}
				test.after(g, b)
				if who := g.Of(b.request()); who != want {
					t.Errorf("after %s a browser (of a device: %t) is %d, want %d", test.name, linked, who, want)
				}
				for _, one := range g.grants {
					one.end()
				}
			}
		})
	}
}

func unlinkAll(g *gate) {
	for _, d := range g.Devices() {
		g.Unlink(d.ID)
	}
}

func TestCookiesStayWithTheirGate(t *testing.T) {
	g, b := newGate(t), &browser{}
	if err := b.logIn(g, "open sesame"); err != nil {
		t.Fatal(err)
	}
	if err := (&browser{}).link(g, newCode(t, g)); err != nil {
		t.Fatal(err)
	}
	for name, c := range b.cookies {
		if strings.Contains(name, "mark") {
			continue
		}
		if !strings.HasPrefix(name, "__Host-thermogate_gate_") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%+v", c)
		}
		if kept, err := os.ReadFile(g.file); err != nil || strings.Contains(string(kept), c.Value) || strings.Contains(string(kept), "open sesame") {
			t.Errorf("a secret is in the file: %s, %v", kept, err)
		}
	}
	if info, err := os.Stat(g.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestLogInBeginsAnew: whoever has planted a session in a browser is not in when that logs in.
func TestLogInBeginsAnew(t *testing.T) {
	g, victim, planter := newGate(t), &browser{}, &browser{}
	if err := planter.logIn(g, "open sesame"); err != nil {
		t.Fatal(err)
	}
	victim.cookies = map[string]*http.Cookie{}
	for name, c := range planter.cookies {
		copied := *c
		victim.cookies[name] = &copied
	}
	if err := victim.logIn(g, "open sesame"); err != nil {
		t.Fatal(err)
	}
	if g.Of(planter.request()) != Stranger || g.Of(victim.request()) != Engineer {
		t.Errorf("planted: %d, who logged in: %d", g.Of(planter.request()), g.Of(victim.request()))
	}
}

func TestCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, engineer := newGate(t), &browser{}
		if err := engineer.logIn(g, "open sesame"); err != nil {
			t.Fatal(err)
		}
		code := newCode(t, g)
		spelt := strings.ToLower(strings.NewReplacer("-", " ", "O", "0", "I", "1", "B", "8").Replace(code))
		if err := engineer.link(g, spelt); err != nil || g.Of(engineer.request()) != Device {
			t.Errorf("the code as somebody may spell it, %q: %v; the browser is %d", spelt, err, g.Of(engineer.request()))
		}
		if err := (&browser{}).link(g, code); !errors.Is(err, ErrCode) {
			t.Errorf("used twice: %v", err)
		}
		late := newCode(t, g)
		time.Sleep(CodeTime + time.Second)
		if err := (&browser{}).link(g, late); !errors.Is(err, ErrCode) {
			t.Errorf("too late: %v", err)
		}
		lost := newCode(t, g)
		g.restart()
		if err := (&browser{}).link(g, lost); !errors.Is(err, ErrCode) {
			t.Errorf("after a restart: %v", err)
		}
		for _, name := range []string{"", "  ", strings.Repeat("门", maxName+1), "a\nb", "\u202egate"} {
			if _, err := g.NewCode(name); !errors.Is(err, ErrName) {
				t.Errorf("named %q: %v", name, err)
			}
		}
		for range maxDevices - 1 {
			if err := (&browser{}).link(g, newCode(t, g)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := g.NewCode("one more"); !errors.Is(err, ErrFull) {
			t.Errorf("one more: %v", err)
		}
		for _, one := range g.grants {
			one.end()
		}
	})
}

// TestGuessesAreSlow, those of passwords and those of codes.
func TestGuessesAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, guess := range map[string]func(*gate) error{
			"password": func(g *gate) error { return (&browser{}).logIn(g, "guess") },
			"code":     func(g *gate) error { return (&browser{}).link(g, "AAAA-AAAA") },
		} {
			g, start := newGate(t), time.Now()
			for range 15 {
				if err := guess(g); !errors.Is(err, ErrWrong) && !errors.Is(err, ErrCode) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if took := time.Since(start); took < 20*time.Second {
				t.Errorf("15 guesses at a %s are answered within %v", name, took)
			}
		}
	})
}

// TestWhatIsOpenEndsWhenItsBrowserIsOut has a stream open meanwhile.
func TestWhatIsOpenEndsWhenItsBrowserIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, device, engineer := newGate(t), &browser{}, &browser{}
		if err := errors.Join(device.link(g, newCode(t, g)), engineer.logIn(g, "open sesame")); err != nil {
			t.Fatal(err)
		}
		stream, who, done := g.Admit(device.request())
		defer done()
		status, _, ended := g.Admit(engineer.request())
		defer ended()
		if devices := g.Devices(); who != Device || len(devices) != 1 || !devices[0].Open {
			t.Errorf("open: %d, %+v", who, devices)
		}
		unlinkAll(g)
		synctest.Wait()
		if stream.Context().Err() == nil || status.Context().Err() != nil {
			t.Errorf("after an unlinking: %v, and another's: %v", stream.Context().Err(), status.Context().Err())
		}
		time.Sleep(sessionTime)
		synctest.Wait()
		if status.Context().Err() == nil {
			t.Error("a stream outlives its session")
		}
	})
}

func TestManyLogIns(t *testing.T) {
	g, first, last := newGate(t), &browser{}, &browser{}
	if err := errors.Join((&browser{}).link(g, newCode(t, g)), first.logIn(g, "open sesame")); err != nil {
		t.Fatal(err)
	}
	for range maxSessions {
		last = &browser{}
		if err := last.logIn(g, "open sesame"); err != nil {
			t.Fatal(err)
		}
	}
	if g.Of(first.request()) != Stranger || g.Of(last.request()) != Engineer || len(g.Devices()) != 1 || len(g.grants) != maxSessions+1 {
		t.Errorf("the first is %d, the last %d, %d devices, %d in all", g.Of(first.request()), g.Of(last.request()), len(g.Devices()), len(g.grants))
	}
}

package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
)

// TestBehindAProxyThatEncrypts has cookies stay on TLS, and a guesser slowed down by their own address.
func TestBehindAProxyThatEncrypts(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Store.File, cfg.MQTT.Broker = filepath.Join(t.TempDir(), "console.db"), "mqtt://127.0.0.1:1"
	cfg.HTTP.Listen, cfg.HTTP.PasswordFile, cfg.HTTP.TLSProxies, cfg.HTTP.Hosts = "127.0.0.1:0", secret, []string{"127.0.0.1"}, []string{"console.example"}
	c := runConsole(t, cfg, slog.New(slog.DiscardHandler))
	_, once := c.FirstLogIn()
	logIn := func(from, password string) *http.Response {
		t.Helper()
		form := url.Values{"name": {accounts.FirstName}, "password": {password}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.Address()+"/login?lang=en", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "console.example"
		request.Header = http.Header{
			"Content-Type": {"application/x-www-form-urlencoded"}, "X-Forwarded-For": {"198.51.100.99, " + from}, "X-Forwarded-Proto": {"https"},
			"Origin": {"https://console.example"}, "Sec-Fetch-Site": {"same-origin"},
		}
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	for n := range 3 {
		if answer := logIn(fmt.Sprint("192.0.2.", n+1), "guess"); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("a wrong password gets %s", answer.Status)
		}
	}
	answer := logIn("192.0.2.7", once)
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the right one gets %s, %v", answer.Status, answer.Header)
	}
	names := ""
	for _, cookie := range answer.Cookies() {
		names += cookie.Name + " "
		if !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("the cookie %s leaves TLS, or its host", cookie.Name)
		}
	}
	if !strings.Contains(names, "__Host-thermogate_session") || !strings.Contains(names, "__Host-thermogate_console_mark_") {
		t.Errorf("the cookies are %s", names)
	}
	lines, err := c.Store().Audit(t.Context(), store.AuditFilter{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var from string
	for _, l := range lines {
		from += fmt.Sprintf("%s %s\n", l.What, l.By.Address)
	}
	const want = "logged-in 192.0.2.7\nfailed-log-in 192.0.2.3\nfailed-log-in 192.0.2.2\nfailed-log-in 192.0.2.1\nchanged-settings invalid IP\nmade-account invalid IP\n"
	if from != want {
		t.Errorf("the audit has\n%swant\n%s", from, want)
	}
	if !strings.Contains(lines[4].Detail, "http.tls_proxies: [127.0.0.1]") || strings.Contains(lines[4].Detail, "pages.") {
		t.Errorf("the settings that differ are %s", lines[4].Detail)
	}
}

package listen

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// TestMadeCertificate looks at what a machine makes that was given none.
func TestMadeCertificate(t *testing.T) {
	config := Config{Listen: "0.0.0.0:0", Hosts: []string{"gate.example", "8.8.8.8"}, Folder: filepath.Join(t.TempDir(), "tls")}
	listener, err := Open(config, quiet)
	if err != nil {
		t.Fatal(err)
	}
	go listener.Serve(t.Context(), http.NotFoundHandler())
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	config.Listen = "0.0.0.0:" + port

	client, err := config.Client()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Get("https://127.0.0.1:" + port + "/certificate")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	der, _ := io.ReadAll(answer.Body)
	authority, err := x509.ParseCertificate(der)
	if err != nil || answer.Header.Get("Content-Type") != "application/x-x509-ca-cert" {
		t.Fatalf("/certificate: %v, %v", err, answer.Header)
	}

	roots := x509.NewCertPool()
	roots.AddCert(authority)
	machine, _ := os.Hostname()
	for _, name := range []string{"localhost", "127.0.0.1", "::1", machine, machine + ".local", "gate.example", "8.8.8.8"} {
		trusting := &tls.Config{RootCAs: roots, ServerName: name}
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, trusting)
		if err != nil {
			t.Errorf("by %s, with the authority installed: %v", name, err)
			continue
		}
		leaf := conn.ConnectionState().PeerCertificates[0]
		conn.Close()
		if span := leaf.NotAfter.Sub(leaf.NotBefore); span > 398*24*time.Hour || leaf.PublicKeyAlgorithm != x509.ECDSA {
			t.Errorf("by %s: %v, %v", name, span, leaf.PublicKeyAlgorithm)
		}
	}
	shown, err := config.Fingerprints()
	if err != nil || strings.Count(shown.Certificate, ":") != 31 || strings.Count(shown.Authority, ":") != 31 || shown.Authority == shown.Certificate {
		t.Errorf("fingerprints %+v, %v", shown, err)
	}
	files, err := filepath.Glob(config.Folder + "/*")
	if err != nil || len(files) != 2 {
		t.Errorf("in the folder: %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

// TestMadeCertificateIsMadeAnew, under the authority that tablets trust for as long as that can sign it.
func TestMadeCertificateIsMadeAnew(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name                   string
		after                  time.Duration
		change                 func(c *Config)
		certificate, authority bool // is another one
	}{
		{"the next day", day, func(*Config) {}, false, false},
		{"before the clock is set", -20 * 365 * day, func(*Config) {}, false, false},
		{"a month before it runs out", 368 * day, func(*Config) {}, true, false},
		{"when nobody made it anew in time", 500 * day, func(*Config) {}, true, false},
		{"before the authority runs out", 9*365*day + 300*day, func(*Config) {}, true, true},
		{"with one address more in a private network", day, func(c *Config) { c.Hosts = []string{"192.168.77.1"} }, true, false},
		{"with a name that the authority can't sign for", day, func(c *Config) { c.Hosts = []string{"gate.example"} }, true, true},
		{"when the clock was ahead as the certificate was made", 2 * day, func(c *Config) { ahead(t, *c) }, true, false},
		{"with a damaged certificate", day, func(c *Config) { cut(t, maker{*c}.certificateFile()) }, true, false},
		{"with a damaged authority", day, func(c *Config) { cut(t, maker{*c}.authorityFile()) }, true, true},
	}
	for _, test := range tests {
		config, now := Config{Listen: ":8080", Folder: t.TempDir()}, time.Now()
		if err := (maker{config}).renew(now); err != nil {
			t.Fatal(err)
		}
		before, err := config.Fingerprints()
		if err != nil {
			t.Fatal(err)
		}
		test.change(&config)
		if err := (maker{config}).renew(now.Add(test.after)); err != nil {
			t.Fatal(err)
		}
		after, err := config.Fingerprints()
		if err != nil {
			t.Fatal(err)
		}
		if got := after.Certificate != before.Certificate; got != test.certificate {
			t.Errorf("%s: another certificate: %t", test.name, got)
		}
		if got := after.Authority != before.Authority; got != test.authority {
			t.Errorf("%s: another authority: %t", test.name, got)
		}
	}
}

// TestMadeCertificateOfAFullDisk stays in use; without one the error says what to do.
func TestMadeCertificateOfAFullDisk(t *testing.T) {
	config := Config{Listen: "0.0.0.0:0", Folder: filepath.Join(t.TempDir(), "no folder")}
	if err := os.WriteFile(config.Folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(config, quiet); err == nil || !strings.Contains(err.Error(), "unencrypted: true") {
		t.Errorf("no folder for it: %v", err)
	}
	config.Folder = t.TempDir()
	if err := (maker{config}).renew(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(maker{config}.authorityFile()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(maker{config}.authorityFile(), 0o700); err != nil { // nothing replaces a folder
		t.Fatal(err)
	}
	listener, err := Open(config, quiet)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

// TestFirstStartOnAFullDisk says that the disk is full, and does not talk anybody out of TLS.
func TestFirstStartOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("skipped, a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 64<<10), 0o600) == nil {
		os.WriteFile(filepath.Join(dir, "more"), make([]byte, 64<<10), 0o600)
	}
	config := Config{Listen: "0.0.0.0:0", Folder: filepath.Join(dir, "tls")}
	if _, err := Open(config, quiet); err == nil || !strings.Contains(err.Error(), "the disk is full: make room") || strings.Contains(err.Error(), "unencrypted") {
		t.Errorf("it says %v", err)
	}
}

// TestTwoListenersShareAnAuthority: each has a certificate of its own, and a tablet that trusts the authority opens both.
func TestTwoListenersShareAnAuthority(t *testing.T) {
	gate := Config{Listen: "0.0.0.0:0", Folder: filepath.Join(t.TempDir(), "tls"), Hosts: []string{"gate.example"}}
	console := Config{Listen: "0.0.0.0:0", Folder: filepath.Join(t.TempDir(), "console", "tls"), Hosts: []string{"console.example"}}
	ShareAuthority(&gate, &console)
	for _, c := range []Config{gate, console, gate} { // as they start, and start again
		listener, err := Open(c, quiet)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		if listener.authority != filepath.Join(gate.Folder, authorityName) {
			t.Errorf("/certificate has %s", listener.authority)
		}
	}
	of := func(c Config) Fingerprints {
		t.Helper()
		f, err := c.Fingerprints()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if of(gate).Authority != of(console).Authority || of(gate).Certificate == of(console).Certificate {
		t.Errorf("gate %+v, console %+v", of(gate), of(console))
	}
	authority, err := readPair(maker{gate}.authorityFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{gate, console} {
		pair, err := readPair(maker{c}.certificateFile())
		if err != nil || !covers(authority, pair, []string{"gate.example", "console.example"}, nil) {
			t.Errorf("the certificate in %s: %v", c.Folder, err)
		}
	}

	// A console that had an authority before this was so keeps it: tablets trust that.
	older := Config{Listen: "0.0.0.0:0", Folder: filepath.Join(t.TempDir(), "tls")}
	if err := (maker{older}).renew(time.Now()); err != nil {
		t.Fatal(err)
	}
	before := of(older).Authority
	ShareAuthority(&gate, &older)
	if err := (maker{older}).renew(time.Now()); err != nil || of(older).Authority != before {
		t.Errorf("another authority: %v", err)
	}
}

// TestPlainHTTPIsSentToTLS has browsers and programs ask without TLS at an address that takes nothing else.
func TestPlainHTTPIsSentToTLS(t *testing.T) {
	config := Config{Listen: "0.0.0.0:0", Folder: t.TempDir()}
	listener, err := Open(config, quiet)
	if err != nil {
		t.Fatal(err)
	}
	go listener.Serve(t.Context(), http.NotFoundHandler())
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	address := "127.0.0.1:" + port
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, test := range []struct {
		method, host string
		status       int
		location     string
	}{
		{http.MethodGet, address, http.StatusTemporaryRedirect, "https://" + address + "/status?lang=zh"},
		{http.MethodHead, address, http.StatusTemporaryRedirect, "https://" + address + "/status?lang=zh"},
		{http.MethodPost, address, http.StatusBadRequest, ""},
		{http.MethodGet, "evil.example", http.StatusBadRequest, ""},
		{http.MethodGet, "127.0.0.1:80@evil.example", http.StatusBadRequest, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+address+"/status?lang=zh", strings.NewReader("a=b"))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		answer, err := client.Do(request)
		if err != nil {
			t.Errorf("%s %s: %v", test.method, test.host, err)
			continue
		}
		said, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != test.status || answer.Header.Get("Location") != test.location || test.method != http.MethodHead && !strings.Contains(string(said), "takes https only") {
			t.Errorf("%s %s: %s, %v, %s", test.method, test.host, answer.Status, answer.Header, said)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-Proto", "https")
	led, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(led.Body)
	led.Body.Close()
	if led.StatusCode != http.StatusBadRequest || !strings.Contains(string(said), "tls_proxies") {
		t.Errorf("behind a proxy: %s, %s", led.Status, said)
	}

	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("SSH-2.0-OpenSSH\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); err != nil || len(said) > 0 {
		t.Errorf("something else is told %q, %v", said, err)
	}
	if client, err = (Config{Listen: address, CertFile: maker{config}.certificateFile()}).Client(); err != nil {
		t.Fatal(err)
	}
	answer, err := client.Get("https://" + address + "/certificate")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

func cut(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
}

// TestMadeCertificateOfALongRun is made anew while the gate runs, without anybody who waits for it.
func TestMadeCertificateOfALongRun(t *testing.T) {
	config := Config{Listen: "0.0.0.0:0", Folder: t.TempDir()}
	if err := (maker{config}).renew(time.Now().Add(-380 * 24 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	before, err := config.Fingerprints()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := LoadCertificate(maker{config}.certificateFile(), maker{config}.certificateFile(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	renewed := make(chan error, 1)
	certificate.renew = func(now time.Time) error {
		err := maker{config}.renew(now)
		renewed <- err
		return err
	}
	certificate.current()
	if err := <-renewed; err != nil {
		t.Fatal(err)
	}
	after, err := config.Fingerprints()
	if got := fingerprint(sha256.Sum256(certificate.current().Leaf.Raw)); err != nil || got == before.Certificate || got != after.Certificate || after.Authority != before.Authority {
		t.Errorf("shown: %s, before: %+v, after: %+v, %v", got, before, after, err)
	}
}

// ahead has a certificate that was made while the clock was ten days ahead.
func ahead(t *testing.T, config Config) {
	t.Helper()
	authority, err := readPair(maker{config}.authorityFile())
	if err != nil {
		t.Fatal(err)
	}
	names, addresses, err := maker{config}.names()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := sign(authority, names, addresses, time.Now().Add(10*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := writePair(maker{config}.certificateFile(), certificate); err != nil {
		t.Fatal(err)
	}
}

// TestMadeCertificateOfAWrongClock can't be told from one that a clock is behind; so people are told.
func TestMadeCertificateOfAWrongClock(t *testing.T) {
	for _, test := range []struct {
		name    string
		made    time.Duration // from now
		useless bool
	}{
		{"right", 0, false}, {"1970", -56 * 365 * 24 * time.Hour, false}, {"ten years ahead", 10 * 365 * 24 * time.Hour, true},
	} {
		var logged strings.Builder
		config := Config{Listen: "0.0.0.0:0", Folder: t.TempDir()}
		if err := (maker{config}).renew(time.Now().Add(test.made)); err != nil {
			t.Fatal(err)
		}
		listener, err := Open(config, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		shown, err := config.Fingerprints()
		if err != nil || (shown.Useless != nil) != test.useless || strings.Contains(logged.String(), "clients will refuse") != test.useless {
			t.Errorf("%s: %v, %v, logged:\n%s", test.name, shown.Useless, err, &logged)
		}
	}
}

// TestAuthorityThatCantBeReadStays: whatever keeps it from being read passes, and a new one has to be installed on all tablets.
func TestAuthorityThatCantBeReadStays(t *testing.T) {
	config := Config{Listen: "0.0.0.0:0", Folder: t.TempDir()}
	file := maker{config}.authorityFile()
	if err := (maker{config}).renew(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, file+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(file), file); err != nil { // to itself: nothing opens that
		t.Fatal(err)
	}
	if err := (maker{config}).renew(time.Now()); err == nil {
		t.Error("another authority was made")
	}
	if err := os.Rename(file+".kept", file); err != nil {
		t.Fatal(err)
	}
	if err := (maker{config}).renew(time.Now()); err != nil {
		t.Error(err)
	}
}

// TestAuthoritySignsForServersAlone: a certificate for mail or programs has no name that could be forbidden.
func TestAuthoritySignsForServersAlone(t *testing.T) {
	authority, err := newAuthority([]string{"gate"}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	for use, good := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageServerAuth: true, x509.ExtKeyUsageCodeSigning: false, x509.ExtKeyUsageEmailProtection: false} {
		pair, err := issue(&x509.Certificate{NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{use}, DNSNames: []string{"gate"}}, authority, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{use}}); (err == nil) != good {
			t.Errorf("use %d: %v", use, err)
		}
	}
}

// TestOddMachineName keeps nobody from having a certificate.
func TestOddMachineName(t *testing.T) {
	for name, good := range map[string]bool{"gate-1": true, "gate_1.plant": true, "gate 1": false, "tor-süd": false, "a..b": false, "(none)": false} {
		if hostname.MatchString(name) != good {
			t.Errorf("%q: %t", name, !good)
		}
	}
}

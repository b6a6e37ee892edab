package listen_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"thermogate/screening/listen"
	"thermogate/testdata"
)

var quiet = slog.New(slog.DiscardHandler)

// serve listens on any free port of this machine until the test ends, and returns the port.
func serve(t *testing.T, config listen.Config, handler http.Handler) string {
	t.Helper()
	config.Listen = "127.0.0.1:0"
	listener, err := listen.Open(config, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- listener.Serve(ctx, handler) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

// fetch sends a request without a body, whose header may name a Host.
func fetch(t *testing.T, client *http.Client, method, url string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header, request.Host = header.Clone(), header.Get("Host")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response
}

func TestConfigErrorsSayWhatIsRight(t *testing.T) {
	tests := []struct {
		config listen.Config
		want   string // "" for a config that is right
	}{
		{listen.Config{Listen: "127.0.0.1:8080"}, ""},
		{listen.Config{Listen: "[::1]:8080"}, ""},
		{listen.Config{Listen: "localhost:8080"}, ""},
		{listen.Config{Listen: "8080"}, "ADDRESS:PORT"},
		{listen.Config{Listen: ":8080"}, ""},
		{listen.Config{Listen: "gate.example:8080"}, ""},
		{listen.Config{Listen: ":8080", Unencrypted: true}, ""},
		{listen.Config{Listen: ":8080", CertFile: "cert", KeyFile: "key"}, ""},
		{listen.Config{Listen: ":8080", CertFile: "cert"}, "both or none"},
		{listen.Config{Listen: "127.0.0.1:8080", Hosts: []string{"gate.example"}}, ""},
		{listen.Config{Listen: "127.0.0.1:8080", TLSProxies: []string{"127.0.0.1", "192.0.2.0/28", "2001:db8::/64"}}, ""},
		{listen.Config{Listen: "127.0.0.1:8080", TLSProxies: []string{"proxy.example"}}, "neither an address"},
		{listen.Config{Listen: "127.0.0.1:8080", TLSProxies: []string{"0.0.0.0/0"}}, "name the proxy alone"},
		{listen.Config{Listen: "127.0.0.1:8080", Hosts: []string{"https://gate.example"}}, "without scheme"},
	}
	for _, test := range tests {
		err := test.config.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.config, err, test.want)
		}
	}
}

// TestWhereToAfterALogIn has another site try to get people from a log-in.
func TestWhereToAfterALogIn(t *testing.T) {
	for to, want := range map[string]string{
		"/history?outcome=alert": "/history?outcome=alert", "/": "/", "": "/", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/",
		"/\t/evil.example": "/", "/\n/evil.example": "/", "\t//evil.example": "/", " /x": "/", "/%09/evil.example": "/%09/evil.example", "javascript:alert(1)": "/",
		"evil.example": "/", "/\x00/x": "/", "///evil.example": "/", `\/evil.example`: "/", "/a//evil.example": "/a//evil.example",
	} {
		if got := listen.OwnPath(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}

func TestOtherSitesAreKeptOut(t *testing.T) {
	port := serve(t, listen.Config{Hosts: []string{"Gate.Example"}}, hello)
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		method string
		header http.Header
		want   int
	}{
		{"by address", "GET", http.Header{"Host": {"127.0.0.1:" + port}}, 200},
		{"by localhost", "GET", http.Header{"Host": {"LocalHost:" + port}}, 200},
		{"by IPv6 address", "GET", http.Header{"Host": {"[::1]:" + port}}, 200},
		{"by another address, through a router", "GET", http.Header{"Host": {"192.0.2.1"}}, 200},
		{"by the machine's name", "GET", http.Header{"Host": {machine + ":" + port}}, 200},
		{"by a name of the config", "GET", http.Header{"Host": {"gate.example."}}, 200},
		{"by somebody else's name", "GET", http.Header{"Host": {"evil.example:" + port}}, 421},
		{"by somebody else's name that begins like ours", "GET", http.Header{"Host": {"localhost.evil.example"}}, 421},
		{"by somebody else's name that begins like an address", "GET", http.Header{"Host": {"127.0.0.1.evil.example"}}, 421},

		{"own page", "GET", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 200},
		{"typed in", "GET", http.Header{"Sec-Fetch-Site": {"none"}}, 200},
		{"a link elsewhere", "GET", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, 200},
		{"a frame elsewhere", "GET", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, 403},
		{"another site's script", "GET", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"cors"}}, 403},
		{"another port's script", "GET", http.Header{"Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"cors"}}, 403},
		{"another site's script in an old browser", "GET", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"another site's form", "POST", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"another site's form as a page", "POST", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, 403},
		{"own form", "POST", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 200},
		{"a program", "POST", nil, 200},
	}
	for _, test := range tests {
		response := fetch(t, http.DefaultClient, test.method, "http://127.0.0.1:"+port+"/stream", test.header)
		if response.StatusCode != test.want {
			t.Errorf("%s: %s, want %d", test.name, response.Status, test.want)
		}
		for _, header := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Resource-Policy"} {
			if response.Header.Get(header) == "" {
				t.Errorf("%s: no %s", test.name, header)
			}
		}
	}
}

func TestPassword(t *testing.T) {
	guard := listen.NewPassword("thermogate", "open sesame", listen.NewAttempts(quiet)).Guard(hello)
	url := "http://127.0.0.1:" + serve(t, listen.Config{}, guard)
	for _, test := range []struct {
		name, user, password string
		want                 int
	}{
		{"right", "thermogate", "open sesame", 200},
		{"wrong", "thermogate", "open", 401},
		{"of another user", "guard", "open sesame", 401},
		{"cut elsewhere", "thermogate:open", "sesame", 401},
		{"long", "thermogate", strings.Repeat("a", 8<<10), 401},
	} {
		if response := login(t, http.DefaultClient, url, test.user, test.password); response.StatusCode != test.want {
			t.Errorf("%s: %s", test.name, response.Status)
		}
	}
	if response := fetch(t, http.DefaultClient, "GET", url, nil); response.StatusCode != 401 || response.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a password: %s", response.Status)
	}
}

func login(t *testing.T, client *http.Client, url, user, password string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response
}

// TestGuessingDoesNotLockOthersOut guesses from the address at which the worker's page is open already, and from which
// another browser comes later.
func TestGuessingDoesNotLockOthersOut(t *testing.T) {
	guard := listen.NewPassword("thermogate", "open sesame", listen.NewAttempts(quiet)).Guard(hello)
	url := "http://127.0.0.1:" + serve(t, listen.Config{}, guard)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	page := &http.Client{Jar: jar}
	if response := login(t, page, url, "thermogate", "open sesame"); response.StatusCode != 200 {
		t.Fatal(response.Status)
	}
	for range 10 {
		login(t, http.DefaultClient, url, "thermogate", "guess")
	}
	start := time.Now()
	if response := login(t, http.DefaultClient, url, "thermogate", "guess"); response.StatusCode != 401 || time.Since(start) < time.Second {
		t.Errorf("the eleventh guess: %s after %v", response.Status, time.Since(start))
	}
	var guesses sync.WaitGroup
	defer guesses.Wait()
	refused := make(chan bool, 20)
	for range cap(refused) {
		guesses.Go(func() {
			if response := login(t, http.DefaultClient, url, "thermogate", "guess"); response.StatusCode == http.StatusTooManyRequests {
				refused <- true
			}
		})
	}
	<-refused // now the address gets no answer but that, for some seconds
	elsewhere := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}}
	defer elsewhere.CloseIdleConnections()
	for _, client := range []*http.Client{page, elsewhere} {
		if response := login(t, client, url, "thermogate", "open sesame"); response.StatusCode != 200 {
			t.Errorf("the right password: %s", response.Status)
		}
	}
	jar.SetCookies(must(http.NewRequest("GET", url, nil)).URL, []*http.Cookie{{Name: "thermogate_mark_" + url[strings.LastIndex(url, ":")+1:], Value: "FORGED.00"}})
	start = time.Now()
	if login(t, page, url, "thermogate", "guess"); time.Since(start) < time.Second {
		t.Errorf("with a forged mark a guess is answered after %v", time.Since(start))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestCertificateIsRenewedWithoutARestart(t *testing.T) {
	config := listen.Config{}
	config.CertFile, config.KeyFile = testdata.Certificate(t, "old.example")
	port := serve(t, config, hello)
	served := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if name := served(); name != "old.example" {
		t.Errorf("at first it is for %s", name)
	}
	newCert, newKey := testdata.Certificate(t, "new.example")
	replace(t, config.CertFile, newCert)
	if name := served(); name != "old.example" {
		t.Errorf("with the new certificate and the old key it is for %s", name)
	}
	replace(t, config.KeyFile, newKey)
	if name := served(); name != "new.example" {
		t.Errorf("with both new it is for %s", name)
	}

	client, err := config.Client()
	if err != nil {
		t.Fatal(err)
	}
	response := fetch(t, client, "GET", "https://127.0.0.1:"+port, nil)
	if response.StatusCode != 200 {
		t.Errorf("by address: %s", response.Status)
	}
	if response := fetch(t, client, "GET", "https://127.0.0.1:"+port, http.Header{"Host": {"new.example"}}); response.StatusCode != 200 {
		t.Errorf("by the certificate's name: %s", response.Status)
	}
	config.CertFile, config.KeyFile = testdata.Certificate(t, "new.example")
	if client, err = config.Client(); err != nil {
		t.Fatal(err)
	}
	if response, err := client.Get("https://127.0.0.1:" + port); err == nil {
		response.Body.Close()
		t.Error("the client talks to the owner of another certificate")
	}
}

func replace(t *testing.T, path, by string) {
	t.Helper()
	if err := os.Rename(by, path); err != nil {
		t.Fatal(err)
	}
}

// TestIdleConnectionsShutNobodyOut opens more than there is room for.
func TestIdleConnectionsShutNobodyOut(t *testing.T) {
	port := serve(t, listen.Config{}, hello)
	for range 400 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if response := fetch(t, client, "GET", "http://127.0.0.1:"+port, nil); response.StatusCode != 200 {
		t.Error(response.Status)
	}
}

func TestReadSecret(t *testing.T) {
	for _, test := range []struct{ content, want string }{
		{"open sesame\n", "open sesame"},
		{" open sesame\r\n", " open sesame"},
		{"", ""},
		{"\n", ""},
		{"two\nlines\n", ""},
		{strings.Repeat("a", 4096) + "\n", strings.Repeat("a", 4096)},
		{strings.Repeat("a", 4097), ""},
	} {
		path := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := listen.ReadSecret(path)
		if got != test.want || (err == nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %.20q, %v", test.content, got, err)
		}
	}
}

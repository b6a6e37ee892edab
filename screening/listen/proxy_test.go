package listen_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"thermogate/screening/listen"
)

// TestWhoComesThroughAProxy has a proxy say it, and others try to.
func TestWhoComesThroughAProxy(t *testing.T) {
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v", listen.AddressOf(r), listen.Encrypted(r))
	})
	for _, test := range []struct {
		proxies   []string
		forwarded []string
		want      string
	}{
		{nil, []string{"192.0.2.7"}, "127.0.0.1 false"},
		{[]string{"192.0.2.1"}, []string{"192.0.2.7"}, "127.0.0.1 false"}, // from none of the proxies
		{[]string{"127.0.0.1"}, nil, "127.0.0.1 true"},
		{[]string{"127.0.0.1"}, []string{"192.0.2.7"}, "192.0.2.7 true"},
		{[]string{"127.0.0.0/8"}, []string{"192.0.2.7:51234"}, "192.0.2.7 true"},
		{[]string{"127.0.0.1"}, []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7 true"}, // the first is what the visitor says
		{[]string{"127.0.0.1"}, []string{"198.51.100.1", "192.0.2.7"}, "192.0.2.7 true"},
		{[]string{"127.0.0.1", "192.0.2.0/24"}, []string{"198.51.100.1, 192.0.2.7"}, "198.51.100.1 true"},
		{[]string{"127.0.0.1"}, []string{"192.0.2.7, unknown"}, "127.0.0.1 true"},
		{[]string{"127.0.0.1"}, []string{""}, "127.0.0.1 true"},
		{[]string{"127.0.0.1"}, []string{"[2001:db8:1:2:3::4]:80"}, "2001:db8:1:2:: true"},
		{[]string{"127.0.0.1"}, []string{"2001:db8:1:2:3::4"}, "2001:db8:1:2:: true"},
		{[]string{"127.0.0.1"}, []string{"::ffff:192.0.2.7"}, "192.0.2.7 true"},
	} {
		port := serve(t, listen.Config{TLSProxies: test.proxies}, who)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["X-Forwarded-For"] = test.forwarded
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != test.want {
			t.Errorf("proxies %v, forwarded for %q: %s, %v, want %s", test.proxies, test.forwarded, body, err, test.want)
		}
	}
}

// TestFingerprintAt gives the certificate of this listener for its own addresses alone: at a proxy clients find another one.
func TestFingerprintAt(t *testing.T) {
	for name, test := range map[string]struct {
		made    bool // its certificate
		proxies []string
		asked   string // at which address
		pages   string
		knows   bool
	}{
		"the same address":            {true, nil, "127.0.0.1", "https://127.0.0.1", true},
		"another name of it":          {true, nil, "127.0.0.1", "https://localhost:1", true},
		"somebody else's name":        {true, nil, "127.0.0.1", "https://elsewhere.example", false},
		"without TLS":                 {true, nil, "127.0.0.1", "http://127.0.0.1", false},
		"through a proxy":             {true, []string{"127.0.0.1"}, "127.0.0.1", "https://127.0.0.1", false},
		"past the proxy":              {true, []string{"192.0.2.1"}, "127.0.0.1", "https://127.0.0.1", true},
		"past the proxy, for that":    {true, []string{"192.0.2.1"}, "127.0.0.1", "https://localhost", false},
		"a listener that has no cert": {false, nil, "127.0.0.1", "https://127.0.0.1", false},
	} {
		config := listen.Config{Listen: "0.0.0.0:0", Folder: t.TempDir(), TLSProxies: test.proxies}
		if !test.made {
			config.Listen = "127.0.0.1:0"
		}
		listener, err := listen.Open(config, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() {
			served <- listener.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				pages, err := url.Parse(test.pages)
				if err == nil && pages.Host == test.asked {
					pages.Host = r.Host
				}
				fmt.Fprint(w, listener.FingerprintAt(pages, r))
			}))
		}()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		response, err := client.Get(config.Scheme() + "://" + net.JoinHostPort(test.asked, port))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		want := ""
		if test.knows {
			want = listen.Fingerprint(response.TLS.PeerCertificates[0])
		}
		if err != nil || string(body) != want {
			t.Errorf("%s: %q, %v, want %q", name, body, err, want)
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

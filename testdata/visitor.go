package testdata

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
)

// Visitor is somebody at pages without a browser, who keeps their cookies.
type Visitor struct {
	t    testing.TB
	http *http.Client
	base string
}

// Visit returns a visitor of the pages at an address such as http://127.0.0.1:8090, who takes any certificate.
func Visit(t testing.TB, base string) Visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return Visitor{t, &http.Client{Jar: jar, Transport: transport}, base}
}

// LogIn logs in, and chooses a password in place of one that was told.
func (v Visitor) LogIn(name, password, chosen string) {
	v.t.Helper()
	v.Post("/login", url.Values{"name": {name}, "password": {password}})
	if chosen != "" {
		v.Post("/password", url.Values{"old": {password}, "password": {chosen}, "again": {chosen}})
	}
}

// Get returns a page, whatever its status.
func (v Visitor) Get(path string) string {
	v.t.Helper()
	return v.read(v.http.Get(v.base + path))
}

// Post sends a form and returns the page that answers it, whatever its status.
func (v Visitor) Post(path string, form url.Values) string {
	v.t.Helper()
	return v.read(v.http.PostForm(v.base+path, form))
}

func (v Visitor) read(answer *http.Response, err error) string {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(body)
}

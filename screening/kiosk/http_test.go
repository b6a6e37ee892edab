package kiosk

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
)

func serve(t *testing.T, config Config) (*Kiosk, *httptest.Server) {
	t.Helper()
	k := New(config)
	server := httptest.NewServer(k)
	t.Cleanup(func() { k.Close(); server.Close() })
	k.SetCamera(event.CameraOK)
	return k, server
}

func get(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestLanguage(t *testing.T) {
	tests := []struct{ configured, query, accept, want string }{
		{"", "", "", "zh-Hans"},
		{"", "", "zh-TW,zh;q=0.9,en;q=0.8", "zh-Hans"},
		{"", "", "en-GB,en;q=0.9,zh;q=0.2", "en"},
		{"", "", "fr", "zh-Hans"},
		{"zh", "", "en", "zh-Hans"},
		{"zh", "?lang=en", "zh", "en"},
		{"en", "?lang=klingon", "zh", "en"},
	}
	for _, test := range tests {
		config := DefaultConfig()
		config.Language = test.configured
		_, server := serve(t, config)
		for _, path := range []string{"/", "/status"} {
			response := get(t, server.URL+path+test.query, http.Header{"Accept-Language": {test.accept}})
			body, _ := io.ReadAll(response.Body)
			if !strings.Contains(string(body), `<html lang="`+test.want+`"`) {
				t.Errorf("configured %q, %s%s, browser %q: not in %s", test.configured, path, test.query, test.accept, test.want)
			}
		}
	}
}

func TestNameOfGateIsText(t *testing.T) {
	config := DefaultConfig()
	config.Gate = `<b>North & "South"</b>`
	_, server := serve(t, config)
	body, _ := io.ReadAll(get(t, server.URL+"/status", nil).Body)
	if strings.Contains(string(body), "<b>North") || !strings.Contains(string(body), "&lt;b&gt;North &amp;") {
		t.Errorf("the name is not escaped:\n%s", body)
	}
}

// TestIdlePagesShutNobodyOut has every place taken by streams that nobody reads, and more come.
func TestIdlePagesShutNobodyOut(t *testing.T) {
	k, server := serve(t, DefaultConfig())
	worker := bufio.NewReader(get(t, server.URL+"/stream?page=worker", nil).Body)
	for range 50 {
		get(t, server.URL+"/stream", nil)
		waiting, cancel := context.WithCancel(t.Context())
		defer cancel()
		request, err := http.NewRequestWithContext(waiting, http.MethodGet, server.URL+"/picture", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if response, err := http.DefaultClient.Do(request); err == nil {
				response.Body.Close()
			}
		}()
	}
	k.Show(sceneAt(0, near("")))
	k.Verdict(*passed("P"))
	status := bufio.NewReader(get(t, server.URL+"/stream", nil).Body)
	for page, want := range map[*bufio.Reader]string{worker: `"tone":"measuring"`, status: "event: verdict"} {
		for line := ""; !strings.Contains(line, want); {
			var err error
			if line, err = page.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	k.Show(sceneAt(1, near("")))
	k.Show(sceneAt(2, near("")))
	if response := get(t, server.URL+"/picture?page=worker", nil); response.StatusCode != http.StatusOK {
		t.Errorf("the worker's picture: %s", response.Status)
	}
}

// TestPageThatLosesItsPlaceIsNotKeptWaiting, neither for its stream to end nor for a picture.
func TestPageThatLosesItsPlaceIsNotKeptWaiting(t *testing.T) {
	config := DefaultConfig()
	config.MaxOtherPages, config.StallLimit = 1, time.Hour
	k, server := serve(t, config)
	stream := get(t, server.URL+"/stream", nil)
	get(t, server.URL+"/stream", nil)
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}

	k.asked = time.Now() // from now on pictures are painted
	k.Show(sceneAt(0))
	number := get(t, server.URL+"/picture", nil).Header.Get("Picture-Number")
	answered := make(chan string)
	poll := func() {
		response, err := http.Get(server.URL + "/picture?after=" + number)
		if err != nil {
			answered <- err.Error()
			return
		}
		response.Body.Close()
		answered <- response.Header.Get("Picture-Number")
	}
	go poll()
	go poll() // takes the place of the other
	select {
	case got := <-answered:
		if got != number {
			t.Errorf("picture %s, want %s", got, number)
		}
	case <-time.After(time.Minute):
		t.Error("no answer")
	}
	k.Close()
	<-answered
}

func TestCloseEndsStreams(t *testing.T) {
	k, server := serve(t, DefaultConfig())
	stream := get(t, server.URL+"/stream", nil)
	k.Close()
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Errorf("stream ends with %v", err)
	}
}

func TestStreamOutlivesTheLimitsForRequests(t *testing.T) {
	k := New(DefaultConfig())
	server := httptest.NewUnstartedServer(k)
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second
	server.Start()
	t.Cleanup(func() { k.Close(); server.Close() })
	lines := bufio.NewScanner(get(t, server.URL+"/stream", nil).Body)
	for heartbeats := 0; heartbeats < 3; {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %d heartbeats: %v", heartbeats, lines.Err())
		}
		if lines.Text() == "event: gate" {
			heartbeats++
		}
	}
}

// A page that stops reading fills its connection; the gate must not notice.
func TestSlowPageDoesNotDelayTheGate(t *testing.T) {
	k, server := serve(t, DefaultConfig())
	address := strings.TrimPrefix(server.URL, "http://")
	for _, path := range []string{"/stream", "/picture", "/picture", "/picture"} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		_ = connection.(*net.TCPConn).SetReadBuffer(1)
		if _, err := io.WriteString(connection, "GET "+path+" HTTP/1.1\r\nHost: gate\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	reader := bufio.NewReader(get(t, server.URL+"/stream", nil).Body)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		scene := sceneAt(0, admitted(near(""), passed("P")))
		for range 2000 {
			scene.Captured = scene.Captured.Add(time.Second)
			k.Show(scene)
			k.Verdict(*passed("P"))
		}
		last := alerted("last")
		k.Show(sceneAt(3000, done(near(""), last)))
		k.Verdict(*last)
	}()
	select {
	case <-finished:
	case <-time.After(time.Minute):
		t.Fatal("the gate waits for a page")
	}
	for { // a page that reads gets the newest verdict although it missed most
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"id":"last"`) {
			return
		}
	}
}

func TestNoPictureIsServedStale(t *testing.T) {
	config := DefaultConfig()
	config.StallLimit = 50 * time.Millisecond
	k, server := serve(t, config)
	show := func(seconds float64) { k.Show(sceneAt(seconds)) }
	fresh := func() int { return get(t, server.URL+"/picture", nil).StatusCode }

	fresh() // from now on pictures are painted
	show(0)
	k.SetCamera(event.CameraStalled)
	show(1) // a frame that was under way
	if code := fresh(); code != http.StatusNoContent {
		t.Errorf("camera stalled: status %d", code)
	}
	k.SetCamera(event.CameraOK)
	show(2)
	if response := get(t, server.URL+"/picture?after=2", nil); response.StatusCode != http.StatusNoContent {
		t.Errorf("nothing newer: status %d, picture %s", response.StatusCode, response.Header.Get("Picture-Number"))
	}
	if code := fresh(); code != http.StatusNoContent { // the wait above took longer than the limit
		t.Errorf("picture past the limit: status %d", code)
	}
}

func BenchmarkShow(b *testing.B) {
	scene := sceneAt(0, near(""))
	for _, watched := range []bool{false, true} {
		b.Run(map[bool]string{false: "nobody watches", true: "watched"}[watched], func(b *testing.B) {
			k := New(DefaultConfig())
			k.SetCamera(event.CameraOK)
			for b.Loop() {
				scene.Captured = scene.Captured.Add(110 * time.Millisecond)
				if watched {
					k.asked = time.Now()
				}
				k.Show(scene)
			}
		})
	}
}

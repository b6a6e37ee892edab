package kiosk

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// line is a network between a page and its gate that holds up what the gate says, more and more, as a crowded radio does: nothing is
// lost, and no two messages come far apart.
type line struct {
	net.Listener
	gate string

	mu    sync.Mutex
	since time.Time // zero for a line that holds nothing up
	most  time.Duration
}

func openLine(t *testing.T, gate string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	l := &line{Listener: listener, gate: gate}
	go func() {
		for {
			page, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(page)
		}
	}()
	return l
}

// crowd has the line hold up what comes from now on, up to a time.
func (l *line) crowd(most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since, l.most = time.Now(), most
}

func (l *line) clear() { l.crowd(0) }

// delay is how long what comes now is held up: everything takes twice the time that it should.
func (l *line) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(time.Since(l.since), l.most)
}

func (l *line) carry(page net.Conn) {
	defer page.Close()
	gate, err := net.Dial("tcp", l.gate)
	if err != nil {
		return
	}
	defer gate.Close()
	go func() {
		_, _ = io.Copy(gate, page) // ends with either
		gate.Close()
	}()
	type chunk struct {
		bytes []byte
		due   time.Time
	}
	chunks := make(chan chunk, 10000)
	go func() {
		defer close(chunks)
		for {
			bytes := make([]byte, 64<<10)
			n, err := gate.Read(bytes)
			if n > 0 {
				chunks <- chunk{bytes[:n], time.Now().Add(l.delay())}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		if _, err := page.Write(c.bytes); err != nil {
			return
		}
	}
}

// TestLineThatHoldsUpShowsNoOldVerdict has a pass come seconds after it was given, when another one may stand there.
func TestLineThatHoldsUpShowsNoOldVerdict(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	l := openLine(t, g.address)
	do(t, tab, chromedp.Navigate("http://"+l.Addr().String()+"/?lang=en"))
	waitFor(t, tab, "the gate", pictureShown)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`window.tones = []; new MutationObserver(() => tones.push(document.body.dataset.tone))
		.observe(document.body, { attributeFilter: ["data-tone"] })`))
	const held = 5 * time.Second
	l.crowd(held)
	waitUntil(t, func() bool { return l.delay() == held })
	alice := passed("P")
	g.scenes <- sceneAt(0, admitted(near(""), alice))
	g.Verdict(*alice)
	passed := time.Now()
	g.scenes <- sceneAt(0)
	waitUntil(t, func() bool { return time.Since(passed) > held+2*time.Second }) // all that was said of it has come
	if tones := ask(t, tab, chromedp.Evaluate[[]string](`tones`)); slices.Contains(tones, string(tonePass)) {
		t.Errorf("the page showed %q", tones)
	}
	l.clear()
	waitFor(t, tab, "the gate again", `document.body.dataset.tone === "idle" && `+pictureShown)
	bob := alerted("B")
	g.scenes <- sceneAt(0, done(near(""), bob))
	g.Verdict(*bob)
	waitFor(t, tab, "the next verdict", `document.body.dataset.tone === "alert"`)
}

func TestWhenSomethingHappenedInAPage(t *testing.T) {
	k := New(DefaultConfig())
	for said, want := range map[string]time.Time{
		"": {}, "0": k.began, "1500": k.began.Add(1500 * time.Millisecond),
		"-5": time.Unix(0, 0), "9223372036854775807": time.Unix(0, 0), "soon": time.Unix(0, 0), "1.5": time.Unix(0, 0),
	} {
		r := httptest.NewRequest(http.MethodPost, "/badge/page", nil)
		r.Header.Set(stampHeader, said)
		if got := k.HappenedAt(r); !got.Equal(want) {
			t.Errorf("%q is %v, want %v", said, got, want)
		}
	}
}

func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatal("waited for a minute")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

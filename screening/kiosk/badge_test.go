package kiosk

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/screening/event"
	"thermogate/screening/listen"
	"thermogate/testdata"
)

// TestWhoIsAskedForACode asks politely: after a moment, after what helps to be measured, and nobody with an alert.
func TestWhoIsAskedForACode(t *testing.T) {
	alice := passed("A")
	asks := message{tone: toneWait, icon: "card", head: showCode, sub: "normal"}
	for name, test := range map[string]struct {
		refused, opens bool
		steps          []step
	}{
		"while measured": {steps: []step{
			{at: 1, people: people(near("")), want: measuringMessage},
			{at: 3, people: people(near("")), want: measuringMessage.with(showCode)},
			{at: 4, people: people(near(event.Moving)), want: guideOf(event.Moving, nil).with(showCode)}}},
		"not valid": {refused: true, steps: []step{
			{at: 1, people: people(near("")), want: measuringMessage},
			{at: 3, people: people(near("")), want: measuringMessage.with(codeRefused)}}},
		"after a pass": {steps: []step{
			{at: 1, people: people(near("")), want: measuringMessage},
			{at: 3, people: people(admitted(near(""), alice)), verdict: alice, want: passMessage.with(showCode)}}},
		"with an alert": {steps: []step{
			{at: 1, people: people(near("")), want: measuringMessage},
			{at: 3, people: people(done(near(""), alerted("B"))), verdict: alerted("B"), want: alertMessage}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirector(false)
			d.next(sceneAt(0.5))
			d.setAsked(near("").ID, test.refused, test.opens)
			play(t, d, test.steps)
		})
	}
	d := newDirector(true)
	d.next(sceneAt(0.5))
	d.setAsked(near("").ID, false, true)
	play(t, d, []step{
		{at: 1, people: people(near("")), want: measuringMessage},
		{at: 3, people: people(admitted(near(""), alice)), verdict: alice, want: asks},
	})
	d.setAsked(0, false, true)
	play(t, d, []step{{at: 3.6, people: people(admitted(near(""), alice)), door: "opens", want: passMessage}})
}

// TestPageOfAGateWithReaders types into the page what a reader does, and looks at what the page says.
func TestPageOfAGateWithReaders(t *testing.T) {
	tab := browser(t)
	config := DefaultConfig()
	config.Badges, config.Reader = true, true
	config.Page.Consent.EN = "The works council has agreed."
	read := make(chan string, 10)
	opened := time.Now()
	var g *gate
	g = startPages(t, config, listen.Config{Listen: "127.0.0.1:0"}, func(pages http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", pages)
		mux.HandleFunc("POST /badge/page", func(_ http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body) // a test of its own fails on what is missing
			if at := g.HappenedAt(r); at.Before(opened) || at.After(time.Now().Add(100*time.Millisecond)) {
				t.Errorf("what was typed since %v is of %v", opened, at)
			}
			read <- string(text)
		})
		return mux
	})
	axe, err := testdata.AxeCore()
	if err != nil {
		t.Logf("accessibility is not checked, axe-core can't be had: %v", err)
	}
	for _, lang := range []string{"zh", "en", "vi"} {
		for _, size := range screenSizes {
			do(t, tab, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate("http://"+g.address+"/?lang="+lang))
			g.hold(t, tab)
			for i, m := range []message{measuringMessage.with(showCode), passMessage.with(codeRefused), {tone: toneWait, icon: "card", head: showCode, sub: "normal"}} {
				g.say(cueOf(m, fmt.Sprint(lang, size, i)))
				waitFor(t, tab, m.head, `document.getElementById("head").textContent === `+quoted(g.words[lang].head(m)))
				if cut := ask(t, tab, chromedp.Evaluate[[]string](`(() => {
					const notice = document.getElementById("notice").getBoundingClientRect(), cut = [];
					for (const p of ["picture", "icon", "head", "sub", "second-head", "second-sub"]) {
						const b = document.getElementById(p).getBoundingClientRect();
						if (b.width > 0 && b.bottom > notice.top + 1) cut.push(p + " lies on the notice");
					}
					for (const p of document.querySelectorAll("#notice p")) {
						const b = p.getBoundingClientRect();
						if (b.top < notice.top - 1 || b.bottom > notice.bottom + 1 || p.scrollHeight > p.clientHeight + 1) cut.push(p.lang + " of the notice");
					}
					return cut;
				})()`)); len(cut) > 0 {
					t.Errorf("%s on %v, %s: %q", lang, size, m.head, cut)
				}
			}
			if size[0] == 1280 || size[0] == 390 {
				saveScreenshot(t, tab, fmt.Sprintf("kiosk-code-%s-%d", lang, size[0]))
			}
		}
	}
	if found := violations(t, tab, axe); len(found) > 0 {
		t.Errorf("%q", found)
	}
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "the page", pictureShown)
	notice := ask(t, tab, chromedp.Evaluate[string](`document.getElementById("notice").textContent`))
	if !strings.Contains(notice, "The works council has agreed.") || !strings.Contains(notice, g.words["en"]["purpose"]) ||
		!strings.Contains(notice, g.words["zh"]["consent"]) || strings.Contains(notice, g.words["en"]["consent"]) {
		t.Errorf("the notice says %q", notice)
	}
	do(t, tab, chromedp.Evaluate[chromedp.Void](`for (const key of [..."0012345678", "Enter", "Enter", "Shift", ..."TGPC ABC", "Tab"]) {
		document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); // as fast as a reader, also on a busy machine
	}`))
	var sent []string
	for range 2 {
		select {
		case got := <-read:
			sent = append(sent, got)
		case <-time.After(time.Minute):
			t.Fatalf("the gate is sent %q alone", sent)
		}
	}
	slices.Sort(sent) // each goes its own way
	if want := []string{"0012345678", "TGPC ABC"}; !slices.Equal(sent, want) {
		t.Errorf("the gate is sent %q, want %q", sent, want)
	}
	if shown := ask(t, tab, chromedp.Evaluate[string](`document.documentElement.outerHTML`)); strings.Contains(shown, "0012345678") {
		t.Error("the page shows a number")
	}
}

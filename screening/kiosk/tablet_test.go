package kiosk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestScreenStaysOn has the browser take the wake lock away, as a battery saver does.
func TestScreenStaysOn(t *testing.T) {
	tab := browser(t)
	onNewPages(t, tab, `window.locks = []; const request = WakeLock.prototype.request;
		WakeLock.prototype.request = async function (type) { const lock = await request.call(this, type); window.locks.push(lock); return lock; };`)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/"))
	waitFor(t, tab, "a lock", `window.locks.length === 1 && !window.locks[0].released`)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`window.locks[0].release()`))
	waitFor(t, tab, "another lock", `window.locks.length === 2 && !window.locks[1].released`)
}

// TestTabletSleeps has the page hidden while a pass is on it, and seen again without the gate.
func TestTabletSleeps(t *testing.T) {
	tab := browser(t)
	onNewPages(t, tab, `window.away = false;
		Object.defineProperty(Document.prototype, "hidden", { get: () => window.away });
		window.turn = (away) => { window.away = away; document.dispatchEvent(new Event("visibilitychange")); };`)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	alice := passed("P")
	g.scenes <- sceneAt(0, admitted(near(""), alice))
	g.Verdict(*alice)
	waitFor(t, tab, "the pass", `document.body.dataset.tone === "pass" && `+pictureShown)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`turn(true)`))
	if gone := ask(t, tab, chromedp.Evaluate[bool](`document.body.dataset.tone !== "pass" && `+pictureGone)); !gone {
		t.Error("the pass stands while the page is hidden")
	}
	do(t, tab, chromedp.Evaluate[chromedp.Void](`turn(false)`))
	waitFor(t, tab, "the newest state", `document.body.dataset.tone === "pass" && `+pictureShown)

	do(t, tab, chromedp.Evaluate[chromedp.Void](`turn(true)`))
	g.stop()
	do(t, tab, chromedp.Evaluate[chromedp.Void](`turn(false)`))
	waitFor(t, tab, "no gate", `document.getElementById("head").textContent === "Connection lost, reconnecting"`)
	startGate(t, g.address)
	waitFor(t, tab, "the gate again", pictureShown)
}

// TestTabletWakesUpBetweenTries: what the page asked before it slept says nothing of the gate that is there since.
func TestTabletWakesUpBetweenTries(t *testing.T) {
	tab := browser(t)
	onNewPages(t, tab, `window.away = false;
		Object.defineProperty(Document.prototype, "hidden", { get: () => window.away });
		window.turn = (away) => { window.away = away; document.dispatchEvent(new Event("visibilitychange")); };
		const ask = window.fetch;
		window.fetch = (at, how) => String(at).includes("after") ? ask(at, how) : new Promise((resolve) => { window.answer = resolve; });`)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/"))
	waitFor(t, tab, "the gate", pictureShown)
	g.stop()
	waitFor(t, tab, "a question that nobody answers", `window.answer !== undefined && `+pictureGone)
	startGate(t, g.address)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`turn(true); turn(false)`))
	waitFor(t, tab, "the gate again", pictureShown)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`window.answer(new Response("", { status: 401 }))`))
	if stands := ask(t, tab, chromedp.Evaluate[bool](`document.getElementById("relink").hidden && document.body.dataset.tone !== "fault"`)); !stands {
		t.Error("a late answer takes the place of what the gate says now")
	}
}

// TestTabletWhoseClockIsSet is minutes off, and is set while the page is open. The page does not wait until the line seems broken.
func TestTabletWhoseClockIsSet(t *testing.T) {
	tab := browser(t)
	onNewPages(t, tab, `window.ahead = -420000; const now = Date.now, later = window.setTimeout;
		Date.now = () => now() + window.ahead;
		window.setTimeout = (what, ms, ...how) => ms === 3500 ? 0 : later(what, ms, ...how);`)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "the gate", pictureShown)
	for i, step := range []int{120000, -300000, 700, -700} {
		do(t, tab, chromedp.Evaluate[chromedp.Void](fmt.Sprint("window.ahead += ", step)))
		alice := passed(fmt.Sprint("P", i))
		g.scenes <- sceneAt(0, admitted(near(""), alice))
		g.Verdict(*alice)
		waitFor(t, tab, fmt.Sprint("the pass after ", step, " ms"), `document.body.dataset.tone === "pass" && `+pictureShown)
		g.scenes <- sceneAt(0)
		waitFor(t, tab, "nobody", `document.body.dataset.tone === "idle"`)
	}
}

// TestFrozenTabWakesUp has the browser let the page rest, without telling it, while somebody passes and goes.
func TestFrozenTabWakesUp(t *testing.T) {
	tab := browser(t)
	g := startGate(t, "")
	do(t, tab, chromedp.Navigate("http://"+g.address+"/?lang=en"))
	waitFor(t, tab, "the gate", pictureShown)
	do(t, tab, chromedp.Evaluate[chromedp.Void](`window.tones = []; new MutationObserver(() => tones.push(document.body.dataset.tone))
		.observe(document.body, { attributeFilter: ["data-tone"] })`))
	process := chromedp.FromContext(tab).Browser.Process()
	all := descendants(t, process.Pid)
	signal := func(s syscall.Signal) {
		for _, pid := range all {
			_ = syscall.Kill(pid, s)
		}
	}
	defer signal(syscall.SIGCONT)
	signal(syscall.SIGSTOP)
	alice := passed("P")
	g.scenes <- sceneAt(0, admitted(near(""), alice))
	g.Verdict(*alice)
	slept := time.Now()
	waitUntil(t, func() bool { return time.Since(slept) > time.Second })
	g.scenes <- sceneAt(0)
	waitUntil(t, func() bool { return time.Since(slept) > 6*time.Second })
	signal(syscall.SIGCONT)
	waitFor(t, tab, "the gate again", `document.body.dataset.tone === "idle" && `+pictureShown)
	if tones := ask(t, tab, chromedp.Evaluate[[]string](`tones`)); slices.Contains(tones, string(tonePass)) {
		t.Errorf("the page showed %q", tones)
	}
}

// descendants are a process and all that it has started.
func descendants(t *testing.T, pid int) []int {
	t.Helper()
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			for _, child := range strings.Fields(string(text)) {
				n, err := strconv.Atoi(child)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, n)
			}
		}
	}
	return all
}

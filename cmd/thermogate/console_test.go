package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/camera"
	"thermogate/testdata"
)

// TestAlertOnARecordingToItsEnd is the whole way of an alert: a real recording at a gate with a console within, and a guard
// at a browser who logs in for the first time, takes the alert, writes down a second reading, confirms, and finds it in the
// history.
func TestAlertOnARecordingToItsEnd(t *testing.T) {
	recording := testdata.Shared(t, "recordings", "20210523-214354.tiff")
	pages := runWithConsole(t, "camera:\n  uri: "+recording+"\n", "")
	b := startBrowser(t)
	b.open(pages.console + "/?lang=en")
	b.logIn("admin", pages.password)
	b.says("First, choose a password of your own")
	b.fill("old", pages.password)
	b.fill("password", "correct horse battery")
	b.fill("again", "correct horse battery")
	b.click("main button")
	b.wait("an alert to take", `document.querySelector('form[action^="/alerts/"][action$="/take"] button')`)
	b.open(pages.gate + "/status?lang=en")
	if link := evaluate[string](b, `document.getElementById("console").href`); link != pages.console+"/" {
		t.Errorf("/status leads to %q, the console is at %s", link, pages.console)
	}
	b.open(pages.console)
	b.wait("an alert to take", `document.querySelector('form[action^="/alerts/"][action$="/take"] button')`)
	id := evaluate[string](b, `document.querySelector('form[action$="/take"]').getAttribute("action").split("/")[2]`)
	b.open(pages.console + "/alerts/" + id)
	b.click(`form[action$="/take"] button`)
	b.says("It is yours")
	b.fill("value", "38.4")
	b.click(".reading button.main")
	b.says("it looks like a fever")
	b.click(`button[value="confirmed"]`)
	b.wait("the alert is closed", `document.querySelector("article.closed")`)
	b.open(pages.console + "/history?state=confirmed")
	b.wait("the history has it", `document.querySelector('tbody a[href="/events/`+id+`"]')`)
	b.open(pages.console + "/events/" + id)
	b.wait("the evidence", `document.querySelector(".scale .reading")`)
}

// TestGateScreensOnWithoutItsConsole has a console whose store can't be opened.
func TestGateScreensOnWithoutItsConsole(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(missing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pages := runWithConsole(t, "camera:\n  uri: 'simulator:'\n", "store:\n  file: "+filepath.Join(missing, "console.db")+"\n")
	counted := regexp.MustCompile(`(?m)^thermogate_screenings_total\{.*\} [1-9]`)
	for deadline := time.Now().Add(time.Minute); !counted.MatchString(get(t, pages.gate+"/metrics")); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody is screened")
		}
	}
	if ready := get(t, pages.gate+"/readyz?verbose"); !strings.Contains(ready, `"part":"console"`) {
		t.Errorf("readyz does not tell: %s", ready)
	}
}

// TestATabletNeedsOneAuthority asks a gate and the console within it, which others reach, what is to be installed.
func TestATabletNeedsOneAuthority(t *testing.T) {
	c := gateConfig(t, "north")
	_, gatePort, _ := strings.Cut(c.HTTP.Listen, ":")
	_, consolePort, _ := strings.Cut(testdata.FreeAddress(t), ":")
	c.HTTP.Listen, c.HTTP.Folder, c.Console = "0.0.0.0:"+gatePort, filepath.Join(c.DataDir, certificateFolder), filepath.Join(t.TempDir(), "console.yaml")
	if err := os.WriteFile(c.Console, []byte("http: {listen: '0.0.0.0:"+consolePort+"', hosts: [console.example], password_file: '"+c.HTTP.PasswordFile+"'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openStation(t.Context(), c, func(context.Context) (camera.Source, error) { return nil, errors.New("unplugged") }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.work(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.close()
	})
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	authority := func(port string) []byte {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			answer, err := stranger.Get("https://127.0.0.1:" + port + "/certificate")
			if err == nil {
				defer answer.Body.Close()
				der, err := io.ReadAll(answer.Body)
				if err != nil || answer.StatusCode != http.StatusOK {
					t.Fatalf("%s, %v", answer.Status, err)
				}
				return der
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	installed, err := x509.ParseCertificate(authority(gatePort))
	if err != nil || !bytes.Equal(installed.Raw, authority(consolePort)) {
		t.Fatalf("the console's is another one, %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(installed)
	for port, name := range map[string]string{gatePort: "localhost", consolePort: "console.example"} {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close()
	}
}

// running is where the pages of a gate and of the console within it are, what it keeps and what it logs.
type running struct {
	gate, console, password string
	data, broker            string
	log                     *testdata.Text
}

// runWithConsole starts `thermogate run`, with more lines of the configs of gate and console, until the test ends.
func runWithConsole(t *testing.T, gate, console string) running {
	t.Helper()
	dir := t.TempDir()
	r := running{gate: "http://" + testdata.FreeAddress(t), data: filepath.Join(dir, "data"), broker: testdata.FreeAddress(t), log: new(testdata.Text)}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inside := write("console.yaml", "http:\n  listen: 127.0.0.1:0\n"+console)
	config := write("gate.yaml", fmt.Sprintf("site: plant\ngate: north\ndata_dir: %s\nconsole: %s\nhttp:\n  listen: %s\nbroker:\n  listen: %s\n%s",
		r.data, inside, strings.TrimPrefix(r.gate, "http://"), r.broker, gate))
	log, logged := io.Pipe()
	command := newRootCommand()
	command.SetArgs([]string{"run", "-c", config})
	command.SetErr(logged)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx); logged.Close() }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(io.TeeReader(log, r.log))
	for lines.Scan() {
		if m := regexp.MustCompile(`name=admin password=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			r.password = m[1]
		}
		if m := regexp.MustCompile(`console opens".* pages=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			r.console = m[1]
			break
		}
		if strings.Contains(lines.Text(), "the console does not run") {
			break
		}
	}
	go io.Copy(r.log, log)
	return r
}

// browser is a Chromium of the test's own.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func startBrowser(t *testing.T) browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("skipped, chromium is not installed (Debian package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.NoFirstRun,
		chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("mute-audio", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // without a time limit: it would be the browser's
		t.Fatal(err)
	}
	return browser{t, ctx}
}

func (b browser) do(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		b.t.Fatal(err)
	}
}

func (b browser) open(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

func (b browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Sleep(500 * time.Millisecond)) // a button that has just appeared takes no tap
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b browser) fill(field, value string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name="`+field+`"]`), value))
}

func (b browser) logIn(name, password string) {
	b.t.Helper()
	b.wait("the log-in", `location.pathname === "/login"`)
	b.fill("name", name)
	b.fill("password", password)
	b.click("main button")
	b.wait("logged in", `location.pathname !== "/login" && document.readyState === "complete"`)
}

// wait waits until a JavaScript expression is true, over pages that go and come.
func (b browser) wait(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(30 * time.Millisecond) {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if is {
			return
		}
		if time.Now().After(deadline) {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
			b.t.Fatalf("%s: %v; the page says:\n%s", what, err, text)
		}
	}
}

func (b browser) says(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.wait(text, `document.readyState === "complete" && document.body.innerText.includes(`+string(quoted)+`)`)
}

func evaluate[T any](b browser, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/cmd/internal/program"
	"thermogate/screening/badge"
	"thermogate/screening/console"
	"thermogate/screening/console/join"
	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/testdata"
)

// joinable is a console with an administrator, and a mosquitto in which it may make accounts, both with certificates that they
// have made themselves.
type joinable struct {
	t      *testing.T
	over   *console.Console
	broker *testdata.Mosquitto
	admin  testdata.Visitor
}

func startPlant(t *testing.T) joinable {
	t.Helper()
	certificate, key := testdata.Certificate(t, "localhost")
	p := joinable{t: t, broker: testdata.StartGuardedMosquitto(t, certificate, key)}
	c := console.DefaultConfig()
	c.Store.File = filepath.Join(t.TempDir(), "console.db")
	c.HTTP.Listen = testdata.FreeAddress(t)
	c.HTTP.CertFile, c.HTTP.KeyFile = testdata.Certificate(t, "console.plant")
	at := func(scheme, address string) string {
		return scheme + "://localhost" + address[strings.LastIndex(address, ":"):]
	}
	c.Join.URL = at("https", c.HTTP.Listen)
	c.MQTT.Broker, c.MQTT.CAFile, c.MQTT.User = at("mqtts", p.broker.Address), certificate, "console"
	secret := func(name string) string {
		return writeFile(t, name, "of "+name+"\n")
	}
	c.MQTT.PasswordFile = secret("console")
	c.Join.DynamicSecurity = join.DynamicSecurity{User: "join", PasswordFile: secret("join")}
	var err error
	if p.over, err = console.Open(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.over.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, p.over.Close()); err != nil {
			t.Error(err)
		}
	})
	p.admin = testdata.Visit(t, c.Join.URL)
	name, once := p.over.FirstLogIn()
	p.admin.LogIn(name, once, "correct horse battery")
	return p
}

var joinCommand = regexp.MustCompile(`thermogate join '([^']+)'`)

// link is one that the administrator makes.
func (p joinable) link(gate string) string {
	p.t.Helper()
	page := html.UnescapeString(p.admin.Post("/admin/gates/add", url.Values{"site": {"plant"}, "gate": {gate}}))
	found := joinCommand.FindStringSubmatch(page)
	if found == nil {
		p.t.Fatalf("the page has no command:\n%s", page)
	}
	return found[1]
}

// gate is how the console has one now.
func (p joinable) gate(name string) store.Gate {
	p.t.Helper()
	gates, err := p.over.Store().Gates(p.t.Context(), time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, g := range gates {
		if g.Name == name {
			return g
		}
	}
	return store.Gate{}
}

// command runs a command of the program, and returns what it prints.
func command(ctx context.Context, args ...string) (string, error) {
	var out testdata.Text // something may still log when it ends
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	const patience = 2 * time.Minute // with a machine that does much else
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// runGate runs a gate until the function that it returns is called.
func runGate(t *testing.T, config string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() { out, err := command(ctx, "run", "-c", config); ended <- result{out, err} }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if r := <-ended; r.err != nil {
			t.Errorf("run: %v\n%s", r.err, r.out)
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestFromALinkToTheConsoleAndOut is the whole way of a gate: an administrator makes a link, the box joins by it and shows up
// with what it lacks, is given a camera, screens people, is revoked and says so, and joins anew with what it made meanwhile.
func TestFromALinkToTheConsoleAndOut(t *testing.T) {
	recording := testdata.Shared(t, "recordings", "20210523-214354.tiff")
	p := startPlant(t)
	dir := t.TempDir()
	pages := testdata.FreeAddress(t)
	config := filepath.Join(dir, "gate.yaml")
	installers := fmt.Sprintf("# Box 7, behind the turnstile.\nhttp:\n  listen: %s # the tablet's\n", pages)
	if err := os.WriteFile(config, []byte(installers+"data_dir: "+filepath.Join(dir, "data")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := p.link("north")
	if !strings.Contains(link, "#sha256=") {
		t.Errorf("the link %s has no certificate", link)
	}

	began := time.Now()
	said, err := command(t.Context(), "join", link, "-c", config)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	joined := time.Since(began)
	stop := runGate(t, config)
	soon(t, "the console has the gate", func() bool { return p.gate("north").Parts[store.Link].Value == store.Online })
	t.Logf("the box has joined after %v, the console has the gate %v after that", joined, time.Since(began)-joined)

	for _, want := range []string{"gate north of plant", config, "broker-password", "lets it in", "thermogate cameras", "measure.reference_celsius", "thermogate run -c"} {
		if !strings.Contains(said, want) {
			t.Errorf("join does not say %q:\n%s", want, said)
		}
	}
	text, err := os.ReadFile(config)
	if err != nil || !strings.HasPrefix(string(text), installers) || strings.Contains(string(text), "password: ") {
		t.Errorf("the config is now, %v\n%s", err, text)
	}
	for path, mode := range map[string]fs.FileMode{config: 0o600, filepath.Join(dir, "data", "joined", "broker-password"): 0o600,
		filepath.Join(dir, "data", "joined", "broker-ca.pem"): 0o600, filepath.Join(dir, "data", "joined"): 0o700 | fs.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "data", "joined", "pending-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if lacks := p.gate("north").Lacks; !lacks.Camera || !lacks.Reference || lacks.Units {
		t.Errorf("it lacks %+v", lacks)
	}
	if page := p.admin.Get("/gates/plant/north?lang=en"); !strings.Contains(page, "thermogate cameras") || !strings.Contains(page, "measure.reference_celsius") {
		t.Errorf("the gate's page does not say what to do:\n%s", page)
	}
	b := startBrowser(t)
	b.open("http://" + pages + "/status?lang=en")
	b.wait("what to do", `document.getElementById("todo").checkVisibility() && document.getElementById("todo").innerText.includes("thermogate cameras")`)

	stop()
	if err := os.WriteFile(config, append(text, "camera:\n  uri: "+recording+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	stop = runGate(t, config)
	screened := func() (n int) {
		events, err := p.over.Store().Events(t.Context(), store.Filter{Gate: "north"}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(events)
	}
	soon(t, "an event is in the console", func() bool { return screened() > 0 && !p.gate("north").Lacks.Camera })

	began = time.Now()
	p.admin.Post("/admin/gates/revoke", url.Values{"revoked": {"plant/north"}, "why": {"stolen"}, "typed": {"north"}})
	ready := func() string { return get(t, "http://"+pages+"/readyz?verbose") }
	soon(t, "the gate knows that it is revoked", func() bool { return strings.Contains(ready(), "revoked it in the console") })
	t.Logf("the gate says that it is revoked after %v", time.Since(began))
	if said, err := command(t.Context(), "check", "-c", config); err == nil || !strings.Contains(said, "revoked") {
		t.Errorf("check says, %v\n%s", err, said)
	}
	b.open("http://" + pages + "/status?lang=zh")
	b.wait("the page says so", `document.getElementById("broker").innerText.includes("吊销")`)
	if page := p.admin.Get("/gates?lang=en"); !strings.Contains(page, "⊘ revoked") {
		t.Errorf("the page Gates does not say so:\n%s", page)
	}
	if said, err := command(t.Context(), "join", link, "-c", config); err == nil || !strings.Contains(err.Error(), "this link was used at") {
		t.Errorf("the link once more: %v\n%s", err, said)
	}
	before := screened()
	if said, err := command(t.Context(), "join", p.link("north"), "-c", config); err != nil {
		t.Fatalf("joining anew: %v\n%s", err, said)
	}
	stop()
	runGate(t, config)
	soon(t, "what it made while it was revoked is in the console", func() bool { return screened() > before && p.gate("north").Unconfirmed == 0 })
}

// TestWhatKeepsABoxFromJoining has each of the usual mistakes told, before a link is used up.
func TestWhatKeepsABoxFromJoining(t *testing.T) {
	p := startPlant(t)
	good := p.link("north")
	dir := t.TempDir()
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	past := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-48*time.Hour).UTC().Format(http.TimeFormat))
		_ = json.NewEncoder(w).Encode(join.Grant{Site: "plant", Gate: "north", Broker: "mqtt://127.0.0.1:1"})
	}))
	defer past.Close()
	gone := testdata.FreeAddress(t)
	file := writeFile(t, "file", "")
	for _, test := range []struct {
		name, link, config, want string
		usage                    bool
	}{
		{"no link", "https://console.plant/", "", "this is not a link", true},
		{"cut off", good[:len(good)-3], "", "cut off", true},
		{"unencrypted", "http://console.plant/join/X", "", "read along", true},
		{"guessed", strings.Replace(good, "/join/", "/join/A", 1), "", "not known", false},
		{"another certificate", good[:len(good)-64] + strings.Repeat("0", 64), "", "another certificate", false},
		{"unknown certificate", good[:strings.Index(good, "#")], "", "use the whole link", false},
		{"console away", "https://" + gone + "/join/X#sha256=" + strings.Repeat("0", 64), "", "nothing listens there", false},
		{"another server", other.URL + "/join/X#sha256=" + listen.Fingerprint(other.Certificate()), "", "no console", false},
		{"clock", past.URL + "/join/X#sha256=" + listen.Fingerprint(past.Certificate()), "", "timedatectl", false},
		{"another gate", good, "gate: south\n", ":1: gate is south, and the link says north", true},
		{"another broker", good, "gate: north\nmqtt:\n  broker: mqtt://old:1883\n", ":3: mqtt.broker is mqtt://old:1883", true},
		{"another password", good, "mqtt:\n  user: n\n  password_env: SECRET\n", "mqtt.user is n", true},
		{"wrong config", good, "gaet: north\n", "unknown key", true},
		{"no room", good, "data_dir: " + file + "/data\n", "data_dir", false},
	} {
		config := filepath.Join(dir, strings.ReplaceAll(test.name, " ", "-")+".yaml")
		if test.config != "" {
			if err := os.WriteFile(config, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		said, err := command(t.Context(), "join", test.link, "-c", config)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v\n%s", test.name, err, said)
			continue
		}
		if errors.As(err, &program.UsageError{}) != test.usage {
			t.Errorf("%s: the exit status is not right: %v", test.name, err)
		}
		if text, err := os.ReadFile(config); test.config == "" && !errors.Is(err, fs.ErrNotExist) || test.config != "" && string(text) != test.config {
			t.Errorf("%s: the config was changed: %s", test.name, text)
		}
	}
	if said, err := command(t.Context(), "join", good, "-c", filepath.Join(dir, "new", "gate.yaml")); err != nil {
		t.Errorf("the link is not good any more: %v\n%s", err, said)
	}
}

// TestJoinFillsInTheExample changes the lines of the example config that a link is about, and no other.
func TestJoinFillsInTheExample(t *testing.T) {
	text, err := os.ReadFile("../../" + exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	grant := join.Grant{Site: "苏州一厂", Gate: "7", Broker: "mqtts://broker.plant:8883", User: "苏州一厂/7", CA: "PEM", ConsoleURL: "https://console.plant",
		SiteKey: "PEM", NumberKey: "secret"}
	box := &target{path: exampleConfig, text: text, dataDir: "/var/lib/thermogate"}
	filled, err := box.merged(grant)
	if err != nil {
		t.Fatal(err)
	}
	before, after := strings.Split(string(text), "\n"), strings.Split(string(filled), "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines have become %d", len(before), len(after))
	}
	var changed []string
	for i := range before {
		if before[i] != after[i] {
			changed = append(changed, strings.TrimSpace(after[i]))
		}
	}
	want := []string{"site: 苏州一厂", `gate: "7"`, "broker: mqtts://broker.plant:8883", "user: 苏州一厂/7",
		"password_file: /var/lib/thermogate/joined/broker-password", "ca_file: /var/lib/thermogate/joined/broker-ca.pem",
		"site_key_file: /var/lib/thermogate/joined/site-key.pem", "number_key_file: /var/lib/thermogate/joined/number-key", "console_url: https://console.plant"}
	if !slices.Equal(changed, want) {
		t.Errorf("changed are\n%s", strings.Join(changed, "\n"))
	}
	box.text = filled
	if again, err := box.merged(grant); err != nil || string(again) != string(filled) {
		t.Errorf("filled in again: %v", err)
	}
}

// TestKeysThatAreNone has a console send what no gate would start with.
func TestKeysThatAreNone(t *testing.T) {
	for name, grant := range map[string]join.Grant{"site key": {SiteKey: "PEM"}, "number key": {NumberKey: "short"}} {
		box := &target{path: filepath.Join(t.TempDir(), "gate.yaml"), dataDir: t.TempDir()}
		grant.Site, grant.Gate, grant.Broker, grant.ConsoleURL = "plant", "north", "mqtts://broker.plant:8883", "https://console.plant"
		if _, err := box.write(grant); err == nil || !strings.Contains(err.Error(), "what the console has sent") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestALinkIsGivenAgain on a machine that used it and never got the answer.
func TestALinkIsGivenAgain(t *testing.T) {
	p := startPlant(t)
	given := p.link("north")
	l, err := parseLink(given)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "gate.yaml")
	before, err := openTarget(config, l)
	if err == nil {
		err = before.prepare()
	}
	if err == nil {
		err = l.ask(t.Context(), http.MethodPost, join.Request{Password: before.password}, &join.Grant{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command(t.Context(), "join", given, "-c", filepath.Join(t.TempDir(), "other.yaml")); err == nil || !strings.Contains(err.Error(), "this link was used at") {
		t.Errorf("another machine: %v", err)
	}
	if said, err := command(t.Context(), "join", given, "-c", config); err != nil || !strings.Contains(said, "lets it in") {
		t.Errorf("%v\n%s", err, said)
	}
	// By another link it gets the keys of pass codes that the site has by then.
	office := passes.New(p.over.Store())
	if err := errors.Join(office.ChangeNumberKey(t.Context(), "plant", store.Author{}, time.Now()), office.ChangeSiteKey(t.Context(), "plant", store.Author{}, time.Now())); err != nil {
		t.Fatal(err)
	}
	if said, err := command(t.Context(), "join", p.link("north"), "-c", config); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	c, err := loadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	siteKey, numberKeys, err := office.Told(t.Context(), "plant")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{c.Badge.SiteKeyFile: siteKey, c.Badge.NumberKeyFile: numberKeys + "\n"} {
		if kept, err := os.ReadFile(path); err != nil || string(kept) != want {
			t.Errorf("%s is not the newest, %v", path, err)
		}
	}
	if desk, err := badge.Open(c.Badge, c.Site, filepath.Join(c.DataDir, passesName), slog.New(slog.DiscardHandler)); err != nil || !strings.Contains(desk.Knows(), "2 keys") {
		t.Errorf("the gate does not take them: %v", err)
	}
	// A box whose program knows of one number key only goes by what it finds under number_key, and people have to count there too.
	var grant join.Grant
	if l, err = parseLink(p.link("south")); err == nil {
		err = l.ask(t.Context(), http.MethodPost, join.Request{Password: before.password}, &grant)
	}
	if first := strings.Fields(numberKeys)[0]; err != nil || grant.NumberKey != first || grant.NumberKeys != numberKeys {
		t.Errorf("an older box is told %d bytes, another %d, %v", len(grant.NumberKey), len(grant.NumberKeys), err)
	}
}

// TestJoinStaysInTheDataFolder whatever the service's user has put there: root joins.
func TestJoinStaysInTheDataFolder(t *testing.T) {
	p := startPlant(t)
	dir, elsewhere := t.TempDir(), t.TempDir()
	data := filepath.Join(dir, "thermogate-data")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Symlink(elsewhere, filepath.Join(data, "joined"))); err != nil {
		t.Fatal(err)
	}
	if said, err := command(t.Context(), "join", p.link("north"), "-c", filepath.Join(dir, "gate.yaml")); err == nil || !strings.Contains(err.Error(), "data_dir") {
		t.Errorf("%v\n%s", err, said)
	}
	if files, err := os.ReadDir(elsewhere); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}

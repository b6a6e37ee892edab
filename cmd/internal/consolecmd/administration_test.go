package consolecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

// machine is a folder with a console's config.
type machine struct {
	t               *testing.T
	config, address string
	file            string // of the store
}

func newMachine(t *testing.T) machine {
	t.Helper()
	dir := t.TempDir()
	m := machine{t, filepath.Join(dir, "console.yaml"), testdata.FreeAddress(t), filepath.Join(dir, "data", "console.db")}
	config := fmt.Sprintf("store:\n  file: %s\nmqtt:\n  broker: mqtt://127.0.0.1:1\nhttp:\n  listen: %s\n", m.file, m.address)
	if err := os.WriteFile(m.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// does runs a command to its end.
func (m machine) does(args ...string) (out string, err error) {
	m.t.Helper()
	var written bytes.Buffer
	command := New("thermogate-console", nil)
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetArgs(append(args, "-c", m.config))
	command.SetOut(&written)
	command.SetErr(m.t.Output())
	err = command.ExecuteContext(m.t.Context())
	return written.String(), err
}

func (m machine) must(args ...string) string {
	m.t.Helper()
	out, err := m.does(args...)
	if err != nil {
		m.t.Fatalf("%s: %v", args[0], err)
	}
	return out
}

// starts has the console run until stop is called, and returns the password of the first log-in, if it tells one.
func (m machine) starts() (password string, stop func()) {
	m.t.Helper()
	log := new(testdata.Text)
	command := New("thermogate-console", nil)
	command.SetArgs([]string{"-c", m.config})
	command.SetErr(log)
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			m.t.Error(err)
		}
	})
	m.t.Cleanup(stop)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), "console opens"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("it does not open:\n%s", log)
		}
	}
	if told := regexp.MustCompile(`name=admin password=(\S+)`).FindStringSubmatch(log.String()); told != nil {
		password = told[1]
	}
	return password, stop
}

func (m machine) visit(password, chosen string) testdata.Visitor {
	m.t.Helper()
	v := testdata.Visit(m.t, "http://"+m.address)
	v.LogIn("admin", password, chosen)
	return v
}

// fill puts a pass and its temperature into a store, and returns its id.
func (m machine) fill() string {
	m.t.Helper()
	cfg := store.DefaultConfig()
	cfg.File = m.file
	s, err := store.Open(m.t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Close()
	skin, gate := 34.51, mqtt.Gate{Site: "plant", Name: "north"}
	body, err := json.Marshal(event.Event{
		SpecVersion: "1.0", ID: ulid.Make().String(), Source: event.Source(gate.Site, gate.Name), Time: time.Now(),
		Data: event.Data{Outcome: event.Pass, Reason: event.BelowThreshold, SkinCelsius: &skin, Camera: "test", Version: "test"},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	e, err := store.NewEvent(gate, body, time.Now())
	if err == nil {
		_, err = s.Append(m.t.Context(), []store.Event{e})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return e.ID
}

// TestCheck asks a console before, while and after it runs, as the health check of a container does.
func TestCheck(t *testing.T) {
	m := newMachine(t)
	if out, err := m.does("check"); err == nil || !strings.Contains(err.Error(), "no console answers at "+m.address) {
		t.Errorf("of a console that does not run: %q, %v", out, err)
	}
	_, stop := m.starts()
	if out := m.must("check"); !strings.Contains(out, `"status":"failing","console":"console","config":"`) || strings.Contains(out, "warning") {
		t.Errorf("of a console that runs: %q", out)
	}
	if page := testdata.Visit(t, "http://"+m.address).Get("/readyz"); strings.Contains(page, `"console"`) {
		t.Errorf("anybody is told which console it is: %s", page)
	}
	before, err := os.ReadFile(m.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.config, append(before, "name: east\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := m.must("check"); !strings.Contains(out, "warning: the console that answers at "+m.address+", console, was started at 20") ||
		!strings.Contains(out, "with another config than "+m.config+", which names east") {
		t.Errorf("of a console whose file was changed: %q", out)
	}
	stop()
	if _, err := m.does("check"); err == nil {
		t.Error("a console that was stopped is said to be alive")
	}
}

// TestCheckOfACertificateThatWasMade knows where the console keeps it.
func TestCheckOfACertificateThatWasMade(t *testing.T) {
	m := newMachine(t)
	password := filepath.Join(t.TempDir(), "password")
	config, err := os.ReadFile(m.config)
	open := strings.Replace(string(config), "listen: 127.0.0.1:", "password_file: "+password+"\n  listen: 0.0.0.0:", 1)
	if err := errors.Join(err, os.WriteFile(password, []byte("of metrics\n"), 0o600), os.WriteFile(m.config, []byte(open), 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := m.does("check"); err == nil || !strings.Contains(err.Error(), "nothing was started with this yet") {
		t.Errorf("before it ever ran: %q, %v", out, err)
	}
	_, stop := m.starts()
	defer stop()
	if out := m.must("check"); !strings.Contains(out, `"console":"console"`) || strings.Contains(out, "warning") {
		t.Errorf("of a console that runs: %q", out)
	}
}

// TestAdministration backs a console up while it runs, restores it on another machine, which serves the same pages, deletes an
// event there, and proves both that and the audit.
func TestAdministration(t *testing.T) {
	old := newMachine(t)
	id := old.fill()
	password, stop := old.starts()
	old.visit(password, "correct horse battery")
	backup := filepath.Join(t.TempDir(), "backup.db")
	if out := old.must("backup", backup); !strings.Contains(out, "1 events") {
		t.Errorf("it says %s", out)
	}
	stop()

	anew := newMachine(t)
	anew.must("restore", backup)
	if _, err := anew.does("restore", backup); err == nil {
		t.Error("a store is written over")
	}
	anew.starts()
	v := anew.visit("correct horse battery", "")
	if page := v.Get("/events/" + id + "?lang=en"); !strings.Contains(page, "34.51 °C") {
		t.Fatalf("the page of the event is\n%s", page)
	}
	told := regexp.MustCompile(`\d+:[0-9a-f]{64}`).FindString(anew.must("audit"))
	if _, err := old.does("audit", "--seen", told); err == nil {
		t.Error("the old machine has seen what happened on the new one")
	}

	export := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(export, []byte(v.Get("/events/"+id+"/export.json")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := anew.does("prove", export); err == nil {
		t.Error("it is proven that an event was deleted which is there")
	}
	form := regexp.MustCompile(`name="sha256" value="([0-9a-f]+)"`).FindStringSubmatch(v.Get("/events/" + id + "/delete"))
	if page := v.Post("/events/"+id+"/delete?lang=en", url.Values{"sha256": {form[1]}, "reason": {"asked for"}, "typed": {id[20:]}}); !strings.Contains(page, "This event was deleted") {
		t.Fatalf("it is not deleted:\n%s", page)
	}
	if out := anew.must("prove", export); !strings.Contains(out, form[1]) || !strings.Contains(out, "by admin: asked for") {
		t.Errorf("the proof is %s", out)
	}
	data, err := os.ReadFile(export)
	if err == nil {
		err = os.WriteFile(export, bytes.Replace(data, []byte("34.51"), []byte("34.15"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := anew.does("prove", export); err == nil || !strings.Contains(err.Error(), "was another when it was deleted") {
		t.Errorf("an export that somebody changed proves %s, %v", out, err)
	}
	if out := anew.must("audit", "--seen", told); !strings.Contains(out, "unbroken") {
		t.Errorf("the audit: %s", out)
	}
}

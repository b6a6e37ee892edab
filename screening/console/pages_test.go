package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

// TestFromGateToGuardAndBack has a gate raise an alert through a real broker, a guard take and close it on the pages, and
// the gate hear of both.
func TestFromGateToGuardAndBack(t *testing.T) {
	broker := startMosquitto(t)
	var logged testdata.Text
	cfg := DefaultConfig()
	cfg.Store.File = filepath.Join(t.TempDir(), "console.db")
	cfg.MQTT.Broker, cfg.HTTP.Listen = broker, "127.0.0.1:0"
	c := runConsole(t, cfg, slog.New(slog.NewTextHandler(&logged, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), journal.DefaultConfig(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	gateConfig := mqtt.DefaultConfig()
	gateConfig.Broker = broker
	north := mqtt.Gate{Site: "plant", Name: "north"}
	gate, err := mqtt.New(gateConfig, north, j, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan mqtt.Alert, 16)
	gate.HandleAlerts(func(a mqtt.Alert) { heard <- a })
	running.Go(func() { gate.Run(ctx) })

	once := regexp.MustCompile(`name=admin password=(\S+)`).FindStringSubmatch(logged.String())
	if once == nil {
		t.Fatalf("the first start does not tell a password:\n%s", logged.String())
	}
	guard := browse(t, "http://"+c.web.Addr().String())
	guard.post("/login", url.Values{"name": {"admin"}, "password": {once[1]}})
	guard.post("/password", url.Values{"old": {once[1]}, "password": {"correct horse"}, "again": {"correct horse"}})
	id := ulid.Make().String()
	if err := j.Append(t.Context(), event.Event{
		SpecVersion: "1.0", ID: id, Source: event.Source(north.Site, north.Name), Type: "thermogate.screening.alert.v1", Time: time.Now().UTC(),
		DataContentType: "application/json", Data: event.Data{Outcome: event.Alert, Reason: event.AboveThreshold, Camera: "test", Version: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(guard.get("/"), "/alerts/"+id+"/take"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the alert is not on the page:\n%s", guard.get("/"))
		}
	}
	hears := func(want mqtt.Alert) {
		t.Helper()
		for deadline := time.After(time.Minute); ; {
			select {
			case got := <-heard:
				if got == want {
					return
				}
			case <-deadline:
				t.Fatalf("the gate does not hear of %+v", want)
			}
		}
	}
	guard.post("/alerts/"+id+"/take", url.Values{"version": {"0"}})
	hears(mqtt.Alert{Event: id, Taken: true})
	guard.post("/alerts/"+id+"/read", url.Values{"version": {"1"}, "value": {"36.9"}, "unit": {"°C"}, "place": {"ear"}})
	guard.post("/alerts/"+id+"/close", url.Values{"version": {"2"}, "outcome": {"false"}})
	hears(mqtt.Alert{Event: id, Closed: true, Outcome: mqtt.FalseAlert})
	if page := guard.get("/history?lang=en&state=false"); !strings.Contains(page, "/events/"+id) {
		t.Errorf("the history does not have it:\n%s", page)
	}
}

// runConsole has a console run until the test ends.
func runConsole(t *testing.T, cfg Config, log *slog.Logger) *Console {
	t.Helper()
	c, err := Open(t.Context(), cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	runToTheEnd(t, c)
	return c
}

// runToTheEnd runs a console until the test ends, and closes it.
func runToTheEnd(t testing.TB, c *Console) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			t.Error(err)
		}
	})
}

// browser fetches pages and sends forms.
type browser struct {
	t    testing.TB
	http *http.Client
	base string
}

func browse(t testing.TB, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar}, base}
}

func (b *browser) get(path string) string { return b.read(b.http.Get(b.base + path)) }

func (b *browser) post(path string, form url.Values) string {
	b.t.Helper()
	return b.read(b.http.PostForm(b.base+path, form))
}

func (b *browser) read(answer *http.Response, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s, %v\n%s", answer.Request.URL, answer.Status, err, body)
	}
	return string(body)
}

func startMosquitto(t testing.TB) string {
	t.Helper()
	return "mqtt://" + testdata.StartMosquitto(t, "allow_anonymous true\n").Address
}

package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
	"thermogate/screening/settings"
)

// TestNoOpenCV keeps the console a program for any server.
func TestNoOpenCV(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "thermogate/cmd/thermogate-console").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, "gocv.io/") {
			t.Errorf("the console links %s", name)
		}
	}
	if !strings.Contains(string(out), "thermogate/screening/console/store\n") {
		t.Error("this test can't tell")
	}
}

// TestExampleConfig has the file in deploy show every key with its default.
func TestExampleConfig(t *testing.T) {
	data, err := os.ReadFile("../../deploy/thermogate-console.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cfg Config
	if err := settings.Parse(data, &cfg, func() error { return cfg.Validate() }, "it"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(DefaultConfig(), cfg, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(listen.Config{})); diff != "" {
		t.Error(diff)
	}
}

// TestWithoutABroker has a console that says what is wrong with it.
func TestWithoutABroker(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Store.File = filepath.Join(t.TempDir(), "console.db")
	cfg.MQTT.Broker = "mqtt://127.0.0.1:1"
	cfg.HTTP.Listen = "127.0.0.1:0"
	c, err := Open(t.Context(), cfg, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	get := func(path string) (int, string) {
		t.Helper()
		response, err := http.Get("http://" + c.web.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if code, body := get("/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d %s", code, body)
	}
	for deadline := time.Now().Add(time.Minute); c.ingest.State().LastError == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	code, body := get("/readyz?verbose")
	var got struct{ Faults []fault }
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusServiceUnavailable || len(got.Faults) != 1 || !strings.Contains(got.Faults[0].Detail, "nothing listens there") {
		t.Errorf("readyz: %d %s", code, body)
	}
	if _, body := get("/readyz"); strings.Contains(body, "nothing listens there") {
		t.Errorf("everybody is told %s", body)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "thermogate_console_broker_connected 0") || !strings.Contains(body, "thermogate_console_open_alerts 0") {
		t.Errorf("metrics: %s", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestReportsIntoAFolder has a console write what is over into the folder that its config names.
func TestReportsIntoAFolder(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Store.File = filepath.Join(t.TempDir(), "console.db")
	cfg.HTTP.Listen, cfg.Reports.Folder, cfg.Reports.Write = "127.0.0.1:0", t.TempDir(), []reports.Kind{reports.Shift}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	c, err := Open(ctx, cfg, "test", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Store().Seen(ctx, map[mqtt.Gate]time.Time{{Site: "plant", Name: "north"}: time.Now()}); err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = c.Run(ctx) })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if files, _ := filepath.Glob(filepath.Join(cfg.Reports.Folder, "plant-*-shift-?.xlsx")); len(files) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no report")
		}
	}
}

// TestMetricsOfGates asks a store in which there is a gate of each kind.
func TestMetricsOfGates(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Store.File, cfg.HTTP.Listen = filepath.Join(t.TempDir(), "console.db"), "127.0.0.1:0"
	c, err := Open(t.Context(), cfg, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	now := time.Now()
	for name, status := range map[string]mqtt.StatusMessage{
		"well":    {State: "online", Status: mqtt.Status{Camera: "ok", Reference: "ok"}},
		"stalled": {State: "online", Status: mqtt.Status{Camera: "stalled"}},
		"cold":    {State: "online", Status: mqtt.Status{Camera: "ok", Reference: "reference-missing", Paused: true, PausedUntil: now.Add(time.Hour)}},
		"drill":   {State: "online", Status: mqtt.Status{Camera: "ok", Reference: "ok", Paused: true, PausedUntil: now.Add(time.Hour)}},
		"gone":    {State: "offline"},
		"sold":    {State: "offline"},
		"stolen":  {State: "online", Status: mqtt.Status{Camera: "stalled"}},
	} {
		gate := mqtt.Gate{Site: "plant", Name: name}
		if err := c.Store().Seen(t.Context(), map[mqtt.Gate]time.Time{gate: now}); err != nil {
			t.Fatal(err)
		}
		if err := c.Store().SetStatus(t.Context(), gate, status, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Store().PutOutOfUse(t.Context(), mqtt.Gate{Site: "plant", Name: "sold"}, now); err != nil {
		t.Fatal(err)
	}
	if err := c.Store().Revoke(t.Context(), store.Revocation{Gate: mqtt.Gate{Site: "plant", Name: "stolen"}, At: now, Who: "admin", Reason: "stolen"}, store.Author{Account: "admin"}); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	c.metrics("test").ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for state, want := range map[string]int{"well": 1, "faulty": 2, "paused": 1, "silent": 1} {
		if line := fmt.Sprintf("thermogate_console_gates{state=%q} %d\n", state, want); !strings.Contains(answer.Body.String(), line) {
			t.Errorf("it lacks %s", line)
		}
	}
}

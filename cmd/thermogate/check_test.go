package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/metrics"
)

func TestCheckRunningSaysWhatIsWrong(t *testing.T) {
	health := metrics.NewHealth(metrics.HealthConfig{Hang: time.Hour, Stale: time.Hour, ReferenceGrace: time.Hour})
	health.ObserveScene(&event.Scene{})
	health.SetCamera(event.CameraOK)
	health.SetBroker(false, `it refuses user "north"`)
	mux := http.NewServeMux()
	health.Register(mux)
	gate := httptest.NewServer(mux)
	defer gate.Close()
	address := strings.TrimPrefix(gate.URL, "http://")
	var out strings.Builder
	if err := askRunning(t.Context(), address, &out); err != nil {
		t.Errorf("a gate that a restart would not help: %v", err)
	}
	if !strings.Contains(out.String(), `it refuses user \"north\"`) {
		t.Errorf("said %s", &out)
	}
	gate.Close()
	if err := askRunning(t.Context(), address, &out); err == nil || !strings.Contains(err.Error(), "no gate answers at "+address) {
		t.Errorf("without a gate: %v", err)
	}
}

// TestCheckLeavesARunningGateAlone checks a config with which a gate runs: its camera and ports are taken, and that is
// no fault.
func TestCheckLeavesARunningGateAlone(t *testing.T) {
	health := metrics.NewHealth(metrics.DefaultHealthConfig())
	mux := http.NewServeMux()
	health.Register(mux)
	gate := httptest.NewServer(mux)
	defer gate.Close()
	var out strings.Builder
	c := defaultConfig()
	c.DataDir, c.HTTP.Listen, c.Camera.URI = t.TempDir(), strings.TrimPrefix(gate.URL, "http://"), "/dev/video99"
	d := doctor{config: c, out: &out}
	d.examine(t.Context())
	if !strings.Contains(out.String(), "it runs already") || !strings.Contains(out.String(), `"starting"`) || strings.Contains(out.String(), "video99") {
		t.Errorf("a gate that waits for its first frame:\n%s", &out)
	}
}

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thermogate/screening"
	"thermogate/screening/metrics"
)

func TestCheckRunningSaysWhatIsWrong(t *testing.T) {
	health := metrics.NewHealth(metrics.HealthConfig{Hang: time.Hour, Stale: time.Hour, ReferenceGrace: time.Hour})
	health.ObserveScene(&screening.Scene{})
	health.SetCamera(screening.CameraOK)
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

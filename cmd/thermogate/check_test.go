package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thermogate/screening/metrics"
)

// TestCheckLeavesARunningGateAlone checks a config with which a gate runs: its camera and ports are taken, and that is
// no fault.
func TestCheckLeavesARunningGateAlone(t *testing.T) {
	health := metrics.NewHealth(metrics.DefaultHealthConfig())
	mux := http.NewServeMux()
	health.Register(mux)
	gate := httptest.NewServer(mux)
	defer gate.Close()
	var out bytes.Buffer
	c := defaultConfig()
	c.DataDir, c.HTTP.Listen, c.Camera.URI = t.TempDir(), strings.TrimPrefix(gate.URL, "http://"), "/dev/video99"
	d := doctor{config: c, out: &out}
	d.examine(t.Context())
	if !strings.Contains(out.String(), "it runs already") || !strings.Contains(out.String(), `"starting"`) || strings.Contains(out.String(), "video99") {
		t.Errorf("a gate that waits for its first frame:\n%s", out.String())
	}
}

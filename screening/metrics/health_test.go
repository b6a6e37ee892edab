package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
	"thermogate/screening/metrics"
)

// started returns the health of a gate in which everything works.
func started() *metrics.Health {
	h := metrics.NewHealth(metrics.DefaultHealthConfig())
	h.SetCamera(event.CameraOK, 0)
	h.SetBroker(true, "")
	h.ObserveScene(scene(0, referenceFound))
	return h
}

func get(t *testing.T, h *metrics.Health, path string) (int, string) {
	t.Helper()
	mux := http.NewServeMux()
	h.Register(mux, metrics.Identity{Site: "plant", Gate: "north"})
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func parts(faults []metrics.Fault) []string {
	var names []string
	for _, fault := range faults {
		names = append(names, fault.Part)
	}
	return names
}

func TestReady(t *testing.T) {
	tests := []struct {
		name   string
		change func(*metrics.Health)
		want   []string
	}{
		{"all well", func(*metrics.Health) {}, nil},
		{"no reference source configured", func(h *metrics.Health) { h.ObserveScene(scene(0, event.ReferenceSource{})) }, nil},
		{"too few people to compare with", func(h *metrics.Health) { h.ObserveScene(&event.Scene{Group: event.GroupUnknown}) }, nil},
		{"everybody reads low", func(h *metrics.Health) { h.ObserveScene(&event.Scene{Group: event.BaselineShift}) }, []string{"group"}},
		{"a room as warm as skin", func(h *metrics.Health) { h.ObserveScene(scene(0, event.ReferenceSource{Problem: event.RoomTooWarm})) }, []string{"camera"}},
		{"camera stalled", func(h *metrics.Health) { h.SetCamera(event.CameraStalled, 0) }, []string{"camera"}},
		{"broker away", func(h *metrics.Health) { h.SetBroker(false, "") }, []string{"broker"}},
		{"broker that throws away what it gets", func(h *metrics.Health) { h.SetBroker(true, "it does not hand on") }, []string{"broker"}},
		{"paused", func(h *metrics.Health) { h.SetPaused(time.Now().Add(time.Hour)) }, []string{"pause"}},
		{"after a pause", func(h *metrics.Health) { h.SetPaused(time.Now().Add(time.Hour)); h.SetPaused(time.Time{}) }, nil},
		{"disk full", func(h *metrics.Health) { h.SetJournal(errors.New("no space left on device"), time.Now()) }, []string{"journal"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := started()
			test.change(h)
			if diff := cmp.Diff(test.want, parts(h.Ready())); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealthOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started()
		expect := func(when, path string, want int, mentions string) {
			t.Helper()
			code, body := get(t, h, path)
			if code != want || !strings.Contains(body, mentions) {
				t.Errorf("%s: %s gives %d %s, want %d and a mention of %q", when, path, code, body, want, mentions)
			}
		}
		expect("at work", "/healthz", http.StatusOK, `"ok"`)
		expect("at work", "/readyz", http.StatusOK, `"ok"`)

		time.Sleep(3 * time.Second)
		expect("loop silent for 3 s", "/healthz", http.StatusOK, "")
		expect("loop silent for 3 s", "/readyz", http.StatusServiceUnavailable, "no frame for 3s")

		time.Sleep(time.Minute)
		expect("loop hangs", "/healthz", http.StatusServiceUnavailable, "no frame and no attempt")

		for range 10 {
			h.SetCamera(event.CameraLost, 0)
			time.Sleep(30 * time.Second)
		}
		expect("camera tried every 30 s", "/healthz", http.StatusOK, "")
		expect("camera tried every 30 s", "/readyz", http.StatusServiceUnavailable, `{"part":"camera","detail":"lost"}`)

		for range 3 {
			h.SetCamera(event.CameraStalled, 1)
			time.Sleep(15 * time.Second)
		}
		expect("driver hangs", "/healthz", http.StatusServiceUnavailable, "the camera's driver hangs, and there was no frame for 1m15s")
		expect("driver hangs", "/readyz", http.StatusServiceUnavailable, `"stalled, its driver hangs"`)

		h.SetCamera(event.CameraOK, 1)
		h.ObserveScene(scene(0, referenceFound))
		expect("frames come though an old call hangs", "/healthz", http.StatusOK, "")

		h.SetCamera(event.CameraOK, 0)
		for range 6 {
			h.ObserveScene(scene(0, event.ReferenceSource{Problem: event.ReferenceMissing}))
			time.Sleep(time.Second)
		}
		expect("reference covered", "/readyz", http.StatusServiceUnavailable, "reference-missing for")
		h.ObserveScene(scene(0, referenceFound))
		expect("reference back", "/readyz", http.StatusOK, "")

		since := time.Now()
		for range 70 {
			h.SetJournal(errors.New("no room"), since)
			h.ObserveScene(scene(0, referenceFound))
			time.Sleep(time.Second)
		}
		expect("disk full for long", "/healthz", http.StatusServiceUnavailable, `{"part":"journal","detail":"no room"}`)
		if !h.Moving() {
			t.Error("a restart would bring back no disk")
		}
		h.SetJournal(errors.New("slow"), time.Time{})
		expect("disk slow for long", "/healthz", http.StatusOK, "")
	})
}

// TestBriefHealthTellsNoSecrets has everything wrong at once.
func TestBriefHealthTellsNoSecrets(t *testing.T) {
	h := metrics.NewHealth(metrics.DefaultHealthConfig())
	h.SetBroker(false, `mqtt.broker mqtt://broker.example: it refuses user "north"`)
	h.SetJournal(errors.New("/var/lib/thermogate/journal.db: no space left on device"), time.Time{})
	h.SetDoor(errors.New("10.0.0.9:502 does not answer"))
	h.SetPaused(time.Now().Add(time.Hour))
	mux := http.NewServeMux()
	h.RegisterBrief(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	want := `{"status":"failing","faults":[{"part":"camera"},{"part":"broker"},{"part":"journal"},{"part":"door"},{"part":"pause"}]}`
	if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusServiceUnavailable || body != want {
		t.Errorf("%d %s", w.Code, body)
	}
	if code, body := get(t, h, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "broker.example") || !strings.Contains(body, `"gate":"north"`) {
		t.Errorf("the whole of it: %d %s", code, body)
	}
}

// TestGateWithoutAReferenceIsReady never sees a source, and is not asked for one.
func TestGateWithoutAReferenceIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := metrics.NewHealth(metrics.DefaultHealthConfig())
		h.SetCamera(event.CameraOK, 0)
		h.SetBroker(true, "")
		for range 10 {
			time.Sleep(time.Second)
			h.ObserveScene(scene(0, event.ReferenceSource{}))
		}
		if code, body := get(t, h, "/readyz"); code != http.StatusOK {
			t.Errorf("%d %s", code, body)
		}
		for range 6 {
			h.ObserveScene(scene(0, event.ReferenceSource{Problem: event.WarmingUp}))
			time.Sleep(time.Second)
		}
		if code, body := get(t, h, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "warming-up") {
			t.Errorf("while the camera warms up: %d %s", code, body)
		}
	})
}

func TestShortShadowOnReferenceIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started()
		time.Sleep(time.Second)
		h.ObserveScene(scene(1, event.ReferenceSource{Problem: event.ReferenceMissing}))
		if faults := h.Ready(); faults != nil {
			t.Errorf("one second without the reference: %v", faults)
		}
	})
}

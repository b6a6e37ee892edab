package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
	"thermogate/testdata"
)

func TestPauseSurvivesARestartUntilItsEnd(t *testing.T) {
	file := pauseFile{filepath.Join(t.TempDir(), "pause.json")}
	began := time.Date(2026, 3, 2, 7, 30, 0, 0, time.UTC)
	if err := file.save(began.Add(time.Hour), time.Hour, "Li Na"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		now  time.Time
		want time.Duration
	}{
		{"at once", began, time.Hour},
		{"later", began.Add(45 * time.Minute), 15 * time.Minute},
		{"after its end", began.Add(2 * time.Hour), 0},
		{"clock not set yet", time.Unix(0, 0), time.Hour},
	} {
		if got, by, err := file.recall(test.now); err != nil || got != test.want || by != "Li Na" {
			t.Errorf("%s: %v is left, %v; want %v", test.name, got, err, test.want)
		}
	}
	if err := errors.Join(file.save(time.Time{}, 0, ""), file.save(time.Time{}, 0, "")); err != nil {
		t.Fatal(err)
	}
	if got, _, err := file.recall(began); err != nil || got != 0 {
		t.Errorf("of a pause that was ended %v is left, %v", got, err)
	}
	for _, damaged := range []string{`{"until":`, `{"until":"2026-03-02T07:30:00Z","seconds":1e300}`, `{"seconds":-1}`, strings.Repeat(" ", maxStateBytes+1)} {
		if err := os.WriteFile(file.path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := file.recall(began); err == nil || !strings.Contains(err.Error(), file.path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s gives %v", damaged, err)
		}
	}
}

// FuzzKeptState recalls a pause and what the group policy learnt from any file.
func FuzzKeptState(f *testing.F) {
	f.Add([]byte(`{"until":"2026-03-02T08:30:00Z","seconds":3600}`))
	f.Add([]byte(`{"referenced":true,"updated":"2026-03-02T08:30:00Z","first":[36.5,1e300]}`))
	path := filepath.Join(f.TempDir(), "state.json")
	now := time.Date(2026, 3, 2, 7, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		left, _, err := pauseFile{path}.recall(now)
		if left < 0 || left > maxPauseSeconds*time.Second || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v is left, %v", left, err)
		}
		p, err := policy.New(policy.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		if err := (memory{path}).recall(p, now); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %q", err)
		}
	})
}

// TestPauseNeedsNoCamera pauses a gate to which no frame ever comes.
func TestPauseNeedsNoCamera(t *testing.T) {
	c := defaultConfig()
	c.DataDir, c.HTTP.Listen, c.Broker.Listen = t.TempDir(), "127.0.0.1:0", testdata.FreeAddress(t)
	open := func() *station {
		s, err := openStation(t.Context(), c, func(context.Context) (camera.Source, error) { return nil, errors.New("unplugged") },
			slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	expect := func(when string, s *station, paused bool) {
		t.Helper()
		answer := httptest.NewRecorder()
		s.pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if got := strings.Contains(answer.Body.String(), `"pause"`); got != paused {
			t.Errorf("%s: /readyz gives %s", when, answer.Body)
		}
		answer = httptest.NewRecorder()
		s.pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if got := strings.Contains(answer.Body.String(), "\nthermogate_paused 1\n"); got != paused {
			t.Errorf("%s: the metrics say paused: %t", when, got)
		}
		s.statusMu.Lock()
		defer s.statusMu.Unlock()
		if s.status.Paused != paused || s.status.PausedUntil.IsZero() == paused {
			t.Errorf("%s: the broker is told %+v", when, s.status)
		}
	}
	obey := func(s *station, length time.Duration) {
		t.Helper()
		if err := s.obey(t.Context(), mqtt.Command{Verb: mqtt.Pause, Pause: length}); err != nil {
			t.Fatal(err)
		}
	}

	s := open()
	expect("at the start", s, false)
	obey(s, time.Hour)
	expect("paused", s, true)
	s.close()

	s = open()
	expect("after a restart", s, true)
	obey(s, 0)
	expect("ended by command", s, false)
	obey(s, time.Nanosecond)
	s.endPause()
	expect("ended by itself", s, false)
	s.close()

	s = open()
	defer s.close()
	expect("after the next restart", s, false)
}

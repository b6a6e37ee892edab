package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/oklog/ulid/v2"

	"thermogate/camera"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// doorway is a receiver of the webhook that notes whom it was told of.
type doorway struct {
	*httptest.Server
	told chan string // ids
}

func startDoorway(t *testing.T, answer http.HandlerFunc) doorway {
	told := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("webhook-id")
		io.Copy(io.Discard, r.Body) // or a client that leaves is not noticed
		answer(w, r)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return doorway{server, told}
}

func opens(http.ResponseWriter, *http.Request)     {}
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// doorConfig is a gate with a door and a broker of its own.
func doorConfig(dir, url string) config {
	c := defaultConfig()
	c.DataDir, c.HTTP.Listen, c.Broker.Listen = dir, "127.0.0.1:0", freeAddress("127.0.0.1:0")
	c.Door.Output, c.Door.Webhook = door.Webhook, door.WebhookConfig{URL: url, SecretFile: filepath.Join(dir, "secret")}
	return c
}

func openWithoutCamera(ctx context.Context, c config) (*station, error) {
	secret := []byte("whsec_dGhlcm1vZ2F0ZSBleGFtcGxlIHNlY3JldCAzMiBieXQ=")
	if err := os.WriteFile(c.Door.Webhook.SecretFile, secret, 0o600); err != nil {
		return nil, err
	}
	unplugged := func(context.Context) (camera.Source, error) { return nil, errors.New("unplugged") }
	return openStation(ctx, c, unplugged, slog.New(slog.DiscardHandler))
}

// record works the part of a station that a verdict goes through, and returns what ends it.
func record(t *testing.T, s *station) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var works sync.WaitGroup
	works.Go(func() { s.broker.Run(ctx) })
	works.Go(s.door.Run)
	works.Go(func() {
		if err := s.record(ctx); err != nil {
			t.Error(err)
		}
	})
	end = sync.OnceFunc(func() { close(s.verdicts); cancel(); works.Wait(); s.close() })
	t.Cleanup(end)
	return end
}

// published subscribes to the events of a gate.
func published(t *testing.T, s *station) <-chan event.Event {
	t.Helper()
	events := make(chan event.Event, 100)
	ready := make(chan struct{})
	go mqtt.Receive(t.Context(), s.config.mqtt(), "test", []string{"thermogate/+/+/screening/+"}, func() { close(ready) }, func(m mqtt.Message) {
		var e event.Event
		if err := json.Unmarshal(m.Payload, &e); err != nil {
			t.Error(err)
		}
		events <- e
	})
	<-ready
	return events
}

func next(t *testing.T, events <-chan event.Event) event.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event is published")
		panic("unreachable")
	}
}

func decided(outcome event.Outcome) verdict {
	return verdict{event: event.Event{
		SpecVersion: "1.0", ID: ulid.Make().String(), Source: "/site/gate", Type: "thermogate.event." + string(outcome) + ".v1",
		Time: time.Now(), DataContentType: "application/json", Data: event.Data{Outcome: outcome, Camera: "test", Version: "test"},
	}}
}

var byDoor = cmpopts.IgnoreFields(event.Door{}, "Seconds")

// TestPassOpensTheDoorAndItsEventSaysSo lets people of every outcome through a whole gate.
func TestPassOpensTheDoorAndItsEventSaysSo(t *testing.T) {
	way := startDoorway(t, opens)
	s, err := openWithoutCamera(t.Context(), doorConfig(t.TempDir(), way.URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	end := record(t, s)
	for _, outcome := range []event.Outcome{event.Pass, event.Alert, event.Inconclusive, event.Pass, event.Inconclusive} {
		want := event.Door{Output: "webhook", Commanded: new(false)}
		if outcome == event.Pass {
			want.Commanded, want.Accepted = new(true), new(true)
		}
		v := decided(outcome)
		s.verdicts <- v
		got := next(t, events)
		if diff := cmp.Diff(&want, got.Data.Door, byDoor); diff != "" || got.ID != v.event.ID {
			t.Errorf("%s: %s", outcome, diff)
		}
		if outcome == event.Pass {
			if told := <-way.told; told != v.event.ID {
				t.Errorf("told of %s, want %s", told, v.event.ID)
			}
		}
	}
	answer := httptest.NewRecorder()
	s.pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(answer.Body.String(), "\n"+`thermogate_door_commands_total{result="accepted"} 2`+"\n") {
		t.Error("the metrics do not count two that were accepted")
	}
	end()
	if len(way.told) > 0 {
		t.Errorf("the door was told of %s as well", <-way.told)
	}
}

// TestDoorThatHangsHoldsNobodyUp has an alert right behind a pass whose door does not answer.
func TestDoorThatHangsHoldsNobodyUp(t *testing.T) {
	way := startDoorway(t, hangs)
	s, err := openWithoutCamera(t.Context(), doorConfig(t.TempDir(), way.URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	record(t, s)
	for !s.broker.State().Connected {
		time.Sleep(time.Millisecond)
	}
	verdicts := []verdict{decided(event.Pass), decided(event.Pass), decided(event.Alert), decided(event.Pass)}
	began := time.Now()
	for _, v := range verdicts {
		s.verdicts <- v
	}
	for s.journal.Stats().Stored < uint64(len(verdicts)) {
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(began); took >= s.config.Door.Timeout {
		t.Errorf("%v until all were on disk and shown", took)
	}
	for i, v := range verdicts {
		got := next(t, events)
		if got.ID != v.event.ID || got.Data.Door.Accepted != nil && *got.Data.Door.Accepted {
			t.Errorf("event %d: %s, %+v", i, got.ID, got.Data.Door)
		}
	}
	if took := time.Since(began); took > 2*s.config.Door.Timeout {
		t.Errorf("the last event is out after %v", took)
	}
}

// TestGateKilledBeforeTheDoorAnswers kills a gate whose door has been told but has not answered.
func TestGateKilledBeforeTheDoorAnswers(t *testing.T) {
	if dir := os.Getenv("DOOR_TEST_DIR"); dir != "" {
		s, err := openWithoutCamera(t.Context(), doorConfig(dir, os.Getenv("DOOR_TEST_URL")))
		if err != nil {
			t.Fatal(err)
		}
		record(t, s)
		s.verdicts <- decided(event.Pass)
		s.verdicts <- decided(event.Alert)
		select {} // until killed
	}
	way := startDoorway(t, hangs)
	dir := t.TempDir()
	gate := exec.Command(os.Args[0], "-test.run=^TestGateKilledBeforeTheDoorAnswers$")
	gate.Env = append(os.Environ(), "DOOR_TEST_DIR="+dir, "DOOR_TEST_URL="+way.URL)
	var said bytes.Buffer
	gate.Stdout = &said
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	var id string
	select {
	case id = <-way.told:
	case <-time.After(20 * time.Second):
	}
	gate.Process.Kill()
	gate.Wait()
	if id == "" {
		t.Fatalf("the door was never told: %s", &said)
	}

	s, err := openWithoutCamera(t.Context(), doorConfig(dir, way.URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	record(t, s)
	got := next(t, events)
	proof := got.Data.Door
	if got.ID != id || proof == nil || proof.Commanded != nil || proof.Accepted != nil || !strings.Contains(proof.Error, "not known") {
		t.Errorf("event %s with %+v, want %s", got.ID, proof, id)
	}
	v := decided(event.Inconclusive)
	s.verdicts <- v
	for got := next(t, events); got.ID != v.event.ID; got = next(t, events) { // the alert may have been stored or not
	}
	if len(way.told) > 0 {
		t.Error("the door was told once more")
	}
}

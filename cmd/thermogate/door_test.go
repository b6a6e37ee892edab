package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
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
	"thermogate/camera/radiometry"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
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
func doorConfig(t *testing.T, dir, url string) config {
	c := defaultConfig()
	c.DataDir, c.HTTP.Listen, c.Broker.Listen = dir, "127.0.0.1:0", testdata.FreeAddress(t)
	c.Door.Output, c.Door.Webhook = door.Webhook, door.WebhookConfig{URL: url, SecretFile: filepath.Join(dir, "secret")}
	c.Door.Timeout = 2 * time.Second // the most there is: the machine may have much else to do
	return c
}

func openWithoutCamera(ctx context.Context, c config) (*station, error) {
	secret := []byte("whsec_dGhlcm1vZ2F0ZSBleGFtcGxlIHNlY3JldCAzMiBieXQ=")
	if err := os.WriteFile(c.Door.Webhook.SecretFile, secret, 0o600); err != nil {
		return nil, err
	}
	starting := func(ctx context.Context) (camera.Source, error) { <-ctx.Done(); return nil, ctx.Err() }
	return openStation(ctx, c, starting, slog.New(slog.DiscardHandler))
}

// record works the part of a station that a verdict goes through, and returns what ends it.
func record(t *testing.T, s *station) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var works sync.WaitGroup
	works.Go(func() { s.broker.Run(ctx) })
	works.Go(s.door.Run)
	works.Go(s.record)
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
	case <-time.After(time.Minute):
		t.Fatal("no event is published")
		panic("unreachable")
	}
}

// decided is a verdict of a minute to come: no disk is slow enough to make it too old for the door.
func decided(outcome event.Outcome) verdict {
	return verdict{event: event.Event{
		SpecVersion: "1.0", ID: ulid.Make().String(), Source: "/site/gate", Type: "thermogate.screening." + string(outcome) + ".v1",
		Time: time.Now().Add(time.Minute), DataContentType: "application/json", Data: event.Data{Outcome: outcome, Camera: "test", Version: "test"},
	}}
}

// standing is a scene with the people whom verdicts are about, all of them admitted.
func standing(verdicts ...verdict) *event.Scene {
	scene := &event.Scene{Captured: time.Now(), Image: &radiometry.Image{Width: 1, Height: 1, Celsius: make([]float32, 1)}}
	for i, v := range verdicts {
		scene.People = append(scene.People, event.Person{ID: i + 1, Face: event.Box{W: 30, H: 40}, Event: &v.event, Admitted: true})
	}
	return scene
}

var byDoor = cmpopts.IgnoreFields(event.Door{}, "Seconds")

// TestPassOpensTheDoorAndItsEventSaysSo lets people of every outcome through a whole gate.
func TestPassOpensTheDoorAndItsEventSaysSo(t *testing.T) {
	way := startDoorway(t, opens)
	s, err := openWithoutCamera(t.Context(), doorConfig(t, t.TempDir(), way.URL))
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
		s.present.see(standing(v))
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

// TestDoorOpensForNobodyElse has scenes in which the one who passed is not the one who would go in.
func TestDoorOpensForNobodyElse(t *testing.T) {
	way := startDoorway(t, opens)
	s, err := openWithoutCamera(t.Context(), doorConfig(t, t.TempDir(), way.URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	record(t, s)
	waiting := event.Person{ID: 7, Face: event.Box{W: 60, H: 80}}
	alert := decided(event.Alert)
	alarming := event.Person{ID: 8, Face: event.Box{W: 10, H: 12}, Event: &alert.event}
	for _, test := range []struct {
		name   string
		change func(*verdict, *event.Scene)
		why    string
	}{
		{"somebody else came", func(_ *verdict, scene *event.Scene) { scene.People = []event.Person{waiting} }, "the person had gone"},
		{"everybody left", func(_ *verdict, scene *event.Scene) { scene.People = nil }, "the person had gone"},
		{"in doubt who it is", func(_ *verdict, scene *event.Scene) { scene.People[0].Event = nil }, "the person had gone"},
		{"somebody is nearer", func(_ *verdict, scene *event.Scene) {
			scene.People[0].Admitted = false
			scene.People = append(scene.People, waiting)
		}, "somebody else stands nearer, or an alert waits for staff"},
		{"the scene wants the door locked", func(_ *verdict, scene *event.Scene) { scene.LockDoor = true }, "somebody else stands nearer, or an alert waits for staff"},
		{"an alert behind", func(_ *verdict, scene *event.Scene) { scene.People = append(scene.People, alarming) }, "somebody with an alert is in view"},
		{"a second look", func(v *verdict, scene *event.Scene) {
			v.event.Data.RescreenOf = decided(event.Pass).event.ID
			scene.People[0].Admitted = false
		}, "it repeats a pass for which it has opened"},
		{"an old verdict", func(v *verdict, _ *event.Scene) { v.event.Time = time.Now().Add(-1200 * time.Millisecond) }, "the verdict was already "},
	} {
		v := decided(event.Pass)
		scene := standing(v)
		test.change(&v, scene)
		s.present.see(scene)
		s.verdicts <- v
		got := next(t, events)
		proof := got.Data.Door
		if got.ID != v.event.ID || proof.Commanded == nil || *proof.Commanded || !strings.HasPrefix(proof.Error, "not told to open: "+test.why) {
			t.Errorf("%s: %+v, want %q", test.name, proof, test.why)
		}
	}
	if len(way.told) > 0 {
		t.Errorf("the door was told of %s", <-way.told)
	}
	answer := httptest.NewRecorder()
	s.pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`thermogate_door_commands_total{result="not_told"} 8`, "thermogate_verdicts_late_total 4"} {
		if !strings.Contains(answer.Body.String(), "\n"+want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// startCoil is a Modbus device that obeys, and tells when its coil is switched.
func startCoil(t *testing.T) (address string, switched <-chan bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	changes := make(chan bool, 100)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request, on := make([]byte, 12), false
		for {
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			if now := request[10] == 0xFF; now != on {
				on = now
				changes <- on
			}
			conn.Write(request) // an echo says yes
		}
	}()
	return listener.Addr().String(), changes
}

// screens follows what the worker's page says, from its stream.
func screens(t *testing.T, s *station) <-chan string {
	t.Helper()
	server := httptest.NewServer(s.pages)
	response, err := http.Get(server.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kiosk.Close(); response.Body.Close(); server.Close() })
	heads := make(chan string, 100)
	go func() {
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			data, _ := strings.CutPrefix(lines.Text(), "data: ")
			var screen struct {
				Head struct{ EN string } `json:"head"`
			}
			if json.Unmarshal([]byte(data), &screen) == nil && screen.Head.EN != "" {
				heads <- screen.Head.EN
			}
		}
	}()
	return heads
}

// becomes waits for a value.
func becomes[T comparable](t *testing.T, values <-chan T, want T) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case got := <-values:
			if got == want {
				return
			}
		case <-timeout:
			t.Fatalf("does not become %v", want)
		}
	}
}

// TestAlertLocksADoorThatIsOpen has a febrile person step up behind one who passed.
func TestAlertLocksADoorThatIsOpen(t *testing.T) {
	c := doorConfig(t, t.TempDir(), "")
	address, coil := startCoil(t)
	c.Door.Output, c.Door.Pulse, c.Door.Modbus.Address = door.Modbus, time.Minute, address
	s, err := openWithoutCamera(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	end := record(t, s)
	says := screens(t, s)
	s.kiosk.SetCamera(event.CameraOK)
	passed, febrile := decided(event.Pass), decided(event.Alert)
	for _, lock := range []func(){
		func() { // the scene says so, once it is known who stands there
			both := standing(passed, febrile)
			both.LockDoor = true
			s.present.see(both)
			s.guardDoor(both, nil)
			s.kiosk.Show(both)
		},
		func() { // the verdict says so, before it is on disk
			both := standing(passed, febrile)
			s.present.see(both)
			s.guardDoor(both, []verdict{febrile})
			s.kiosk.Show(both)
		},
	} {
		passed = decided(event.Pass)
		alone := standing(passed)
		s.present.see(alone)
		s.kiosk.Show(alone)
		s.verdicts <- passed
		becomes(t, coil, true)
		becomes(t, says, "Temperature normal, please go in")
		lock()
		becomes(t, coil, false)
		if head := <-says; head == "Temperature normal, please go in" {
			t.Errorf("the page still says %q", head)
		}
	}
	end()
	answer := httptest.NewRecorder()
	s.pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(answer.Body.String(), "\nthermogate_door_locked_early_total 2\n") {
		t.Error("the metrics do not count two that were locked early")
	}
}

// TestDoorThatHangsHoldsNobodyUp has an alert right behind a pass whose door does not answer: all are on disk, and shown,
// before the door's time is over, and their events follow in order.
func TestDoorThatHangsHoldsNobodyUp(t *testing.T) {
	s, err := openWithoutCamera(t.Context(), doorConfig(t, t.TempDir(), startDoorway(t, hangs).URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	record(t, s)
	const tries = 5 // of a disk that is sometimes slower than the door
	for try, held := 1, true; held; try++ {
		before := s.journal.Stats().Stored
		verdicts := []verdict{decided(event.Pass), decided(event.Pass), decided(event.Alert), decided(event.Pass)}
		s.present.see(standing(verdicts[0], verdicts[1], verdicts[3]))
		for _, v := range verdicts {
			s.verdicts <- v
		}
		soon(t, "all are on disk and shown", func() bool { return s.journal.Stats().Stored-before == uint64(len(verdicts)) })
		held = len(events) > 0
		for i, v := range verdicts {
			got := next(t, events)
			if got.ID != v.event.ID || got.Data.Door.Accepted != nil && *got.Data.Door.Accepted {
				t.Errorf("event %d: %s, %+v", i, got.ID, got.Data.Door)
			}
		}
		if held && try == tries {
			t.Fatal("those behind wait for the door")
		}
	}
}

// TestGateKilledBeforeTheDoorAnswers kills a gate whose door has been told but has not answered.
func TestGateKilledBeforeTheDoorAnswers(t *testing.T) {
	if dir := os.Getenv("DOOR_TEST_DIR"); dir != "" {
		s, err := openWithoutCamera(t.Context(), doorConfig(t, dir, os.Getenv("DOOR_TEST_URL")))
		if err != nil {
			t.Fatal(err)
		}
		record(t, s)
		passed := decided(event.Pass)
		s.present.see(standing(passed))
		s.verdicts <- passed
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
	case <-time.After(time.Minute):
	}
	gate.Process.Kill()
	gate.Wait()
	if id == "" {
		t.Fatalf("the door was never told: %s", &said)
	}

	s, err := openWithoutCamera(t.Context(), doorConfig(t, dir, way.URL))
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

// TestAlertHoldsTheDoorUntilItIsTaken has the next person pass while nobody has come to the one with the alert, also after
// the gate was started anew.
func TestAlertHoldsTheDoorUntilItIsTaken(t *testing.T) {
	config := doorConfig(t, t.TempDir(), startDoorway(t, opens).URL)
	s, err := openWithoutCamera(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	end := record(t, s)
	says := screens(t, s)
	s.kiosk.SetCamera(event.CameraOK)
	febrile := decided(event.Alert)
	scene := standing(febrile)
	began := scene.Captured
	s.present.see(scene)
	s.kiosk.Show(scene)
	s.verdicts <- febrile
	becomes(t, says, "Please step aside")
	s.hearOfAlert(mqtt.Alert{Event: febrile.event.ID}) // a console has it
	at := func(after time.Duration, people ...verdict) {
		scene := standing(people...)
		scene.Captured = began.Add(after)
		s.kiosk.Show(scene)
	}
	holds := func(want bool) {
		t.Helper()
		if s.kiosk.HoldsUp() != want {
			t.Errorf("the gate is held up: %v", !want)
		}
	}
	at(10*time.Second, decided(event.Pass))
	becomes(t, says, "Please wait")
	holds(true)
	end()

	config.HTTP.Listen, config.Broker.Listen = "127.0.0.1:0", testdata.FreeAddress(t)
	if s, err = openWithoutCamera(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	end = record(t, s)
	says = screens(t, s)
	s.kiosk.SetCamera(event.CameraOK)
	at(12*time.Second, decided(event.Pass))
	becomes(t, says, "Please wait")
	s.hearOfAlert(mqtt.Alert{Event: febrile.event.ID})
	at(20*time.Second, decided(event.Pass))
	holds(true)
	s.hearOfAlert(mqtt.Alert{Event: febrile.event.ID, Taken: true})
	at(21 * time.Second)
	holds(false)
	end()
}

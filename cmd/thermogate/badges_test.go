package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"
	"gocv.io/x/gocv"

	"thermogate/camera"
	"thermogate/screening/badge"
	"thermogate/screening/badge/passcode"
	"thermogate/screening/badge/zbar"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

var (
	siteKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	webhookKey = bytes.Repeat([]byte{5}, 32)
)

// withBadges gives a gate of site plant readers and keys.
func withBadges(t *testing.T, c config) config {
	t.Helper()
	public, err := passcode.MarshalSiteKey(siteKey.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	c.Site = "plant"
	c.Badge.SiteKeyFile = writeFile(t, "site.pub", public)
	c.Badge.NumberKeyFile = writeFile(t, "number.key", strings.Repeat("0123456789abcdef", 2)+"\n")
	c.Badge.WebhookSecretFile = writeFile(t, "webhook", "whsec_"+base64.StdEncoding.EncodeToString(webhookKey))
	return c
}

func passCode(t *testing.T, person string, serial byte) string {
	t.Helper()
	text, err := passcode.Sign(siteKey, "plant", passcode.Code{Person: passcode.NumberKeys{[]byte("a key")}.Pseudonym(person), Company: "haitian",
		Serial: passcode.Serial{serial}, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func passList(t *testing.T, version uint64, revoked ...passcode.Serial) []byte {
	t.Helper()
	payload, err := passcode.Passes{Version: version, Site: "plant", Issued: time.Now(), Revoked: revoked}.Sign(siteKey)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// judged has somebody stand before the gate, and get a verdict.
func judged(s *station, visit int, outcome event.Outcome) event.Event {
	v := decided(outcome)
	v.event.Data.Visit, v.event.Data.FirstSeen = visit, v.event.Time
	scene := standing(v)
	scene.Captured, scene.Needs.FaceWidth, scene.People[0].ID = v.event.Time, 20, visit
	before := *scene
	before.People = []event.Person{{ID: visit, Face: scene.People[0].Face}}
	if outcome == "" { // only stands there
		s.badges.See(&before, nil)
		return v.event
	}
	s.present.see(scene)
	verdicts := []event.Event{v.event}
	later := s.badges.See(scene, verdicts)
	v.event = verdicts[0]
	s.verdicts <- v
	s.say(func() []event.Event { return later })
	return v.event
}

// TestDoorThatNeedsACode opens for a pass and a valid code, in whichever order they come, and for neither of them alone.
func TestDoorThatNeedsACode(t *testing.T) {
	way := startDoorway(t, opens)
	c := withBadges(t, doorConfig(t, t.TempDir(), way.URL))
	c.Door.Rule = door.OnPassAndCode
	s, err := openWithoutCamera(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	record(t, s)
	opened := &event.Door{Output: "webhook", Commanded: new(true), Accepted: new(true)}
	shut := func(why string) *event.Door {
		return &event.Door{Output: "webhook", Commanded: new(false), Error: why}
	}
	var newest time.Time // frame: a read belongs to it however long its event took to be published
	sees := func(visit int, outcome event.Outcome) event.Event {
		e := judged(s, visit, outcome)
		newest = e.Time
		return e
	}
	read := func(text string) {
		s.takeBadge(badge.Read{At: newest.Add(time.Millisecond), Kind: badge.Input, Text: text})
	}
	expect := func(what string, outcome event.Outcome, door *event.Door) event.Event {
		t.Helper()
		e := next(t, events)
		if e.Data.Outcome != outcome {
			t.Errorf("%s: %s, want %s", what, e.Data.Outcome, outcome)
		}
		if diff := cmp.Diff(door, e.Data.Door, byDoor); diff != "" {
			t.Errorf("%s: the door %s", what, diff)
		}
		return e
	}

	pass := sees(1, event.Pass)
	expect("a pass alone", event.Pass, shut("not told to open: no valid pass code was shown yet"))
	read(passCode(t, "1", 1))
	named := expect("and then a code", event.Named, opened)
	if named.Data.PersonOf != pass.ID || named.Data.Person == nil || named.Data.Person.Company != "haitian" {
		t.Errorf("%+v", named.Data)
	}

	sees(2, "")
	read(passCode(t, "2", 2))
	sees(2, event.Pass)
	if e := expect("a code and then a pass", event.Pass, opened); e.Data.Person == nil {
		t.Error("nobody is named")
	}

	sees(3, "")
	read(passCode(t, "3", 3))
	sees(3, event.Alert)
	expect("a code and an alert", event.Alert, shut(""))

	sees(4, event.Inconclusive)
	expect("no reading", event.Inconclusive, shut(""))
	read(passCode(t, "4", 4))
	expect("and a code", event.Named, shut("not told to open: the person did not pass"))

	sees(5, "")
	read("1047")
	sees(5, event.Pass)
	expect("a pass and a number, which anybody may have", event.Pass, shut("not told to open: no valid pass code was shown yet"))

	if told := len(way.told); told != 2 {
		t.Errorf("the door was told %d times, want 2", told)
	}
}

// broadcaster publishes as a console does, and hears what gates answer.
type broadcaster struct {
	t       *testing.T
	client  paho.Client
	answers chan paho.Message
}

func connectConsole(t *testing.T, address string) broadcaster {
	t.Helper()
	b := broadcaster{t, paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("test-console")), make(chan paho.Message, 100)}
	if token := b.client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { b.client.Disconnect(0) })
	b.client.Subscribe("thermogate/plant/+/acknowledgement/badge", 1, func(_ paho.Client, m paho.Message) { b.answers <- m }).Wait()
	return b
}

func (b broadcaster) publish(topic string, retained bool, payload any) {
	b.t.Helper()
	if token := b.client.Publish(topic, 1, retained, payload); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		b.t.Fatal(topic, token.Error())
	}
}

// show has a reader show a code to a gate, and returns what the gate says.
func (b broadcaster) show(gate mqtt.Gate, code string) string {
	b.t.Helper()
	payload, err := json.Marshal(map[string]string{"id": "x", "code": code, "reader": "turnstile"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.publish(gate.CommandTopic(mqtt.Badge), false, payload)
	for {
		select {
		case m := <-b.answers:
			if m.Topic() == gate.AcknowledgementTopic(mqtt.Badge) {
				var said mqtt.Acknowledgement
				if err := json.Unmarshal(m.Payload(), &said); err != nil {
					b.t.Fatal(err)
				}
				return said.Error
			}
		case <-time.After(time.Minute):
			b.t.Fatalf("%s does not answer", gate.Name)
		}
	}
}

// startBlind runs a gate without a camera.
func startBlind(t *testing.T, c config) (s *station, stop func()) {
	t.Helper()
	s, err := openStation(t.Context(), c, func(context.Context) (camera.Source, error) { return nil, errors.New("unplugged") },
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.close()
	}
	t.Cleanup(stop)
	return s, stop
}

// TestRevokedCodeIsRefusedEverywhere has a mosquitto, two gates and a code that is revoked while they run; then the network is gone,
// and a gate is restarted.
func TestRevokedCodeIsRefusedEverywhere(t *testing.T) {
	broker := testdata.StartMosquitto(t, "allow_anonymous true")
	console := connectConsole(t, broker.Address)
	code, serial := passCode(t, "1", 9), passcode.Serial{9}
	var gates []mqtt.Gate
	var north config
	var stops []func()
	first := passList(t, 1)
	for _, name := range []string{"south", "north"} {
		c := withBadges(t, gateConfig(t, name))
		c.HTTP.PasswordFile = ""
		c.MQTT.Broker, c.MQTT.Commands = "mqtt://"+broker.Address, []mqtt.Verb{mqtt.Badge}
		gate := mqtt.Gate{Site: c.Site, Name: c.Gate}
		console.publish(gate.PassesTopic(), true, first)
		s, stop := startBlind(t, c)
		soon(t, "the gate is connected", func() bool { return s.broker.State().Connected })
		if said := console.show(gate, code); said != "" {
			t.Errorf("%s says %q of a good code", name, said)
		}
		gates, stops, north = append(gates, gate), append(stops, stop), c
	}
	second := passList(t, 2, serial)
	revoked := time.Now()
	for _, gate := range gates {
		console.publish(gate.PassesTopic(), true, second)
	}
	for _, gate := range gates {
		for console.show(gate, code) != "refused: revoked" {
			if time.Since(revoked) > time.Minute {
				t.Fatalf("%s still takes a code %v after it was revoked", gate.Name, time.Since(revoked))
			}
		}
		t.Logf("%s refuses it after %v", gate.Name, time.Since(revoked))
	}
	console.publish(gates[1].PassesTopic(), true, first) // whoever has kept the old list
	console.publish(gates[1].PassesTopic(), true, []byte("{}"))
	console.publish(gates[1].PassesTopic(), true, []byte{})
	if said := console.show(gates[1], code); said != "refused: revoked" {
		t.Errorf("after an older list it says %q", said)
	}
	for _, stop := range stops {
		stop()
	}
	broker.Stop()
	startBlind(t, north)
	soon(t, "the restarted gate is there", func() bool {
		r, err := http.Get("http://" + north.HTTP.Listen + "/healthz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // what was sent in the second of the start is refused
	if said := postBadge(t, north, `{"code":"`+code+`"}`); !strings.Contains(said, `"revoked"`) {
		t.Errorf("after a restart without network it says %s", said)
	}
}

// TestSiteKeyIsChangedWhileAGateIsOff has a mosquitto, a site that changes its key while a gate is off, and somebody with the key
// before who may write what the console may. Then the network is gone, and the gate is restarted.
func TestSiteKeyIsChangedWhileAGateIsOff(t *testing.T) {
	broker := testdata.StartMosquitto(t, "allow_anonymous true")
	console := connectConsole(t, broker.Address)
	next, thief := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, ed25519.SeedSize))
	handOver := func(to ed25519.PrivateKey) passcode.Handover {
		return passcode.HandOver(siteKey, "plant", to.Public().(ed25519.PublicKey))
	}
	codes := passcode.Key{Key: siteKey.Public().(ed25519.PublicKey)} // what passCode signs by
	list := func(by ed25519.PrivateKey, version uint64, revoked []passcode.Serial, roots ...passcode.Handover) []byte {
		payload, err := passcode.Passes{Version: version, Site: "plant", Issued: time.Now(), Keys: []passcode.Key{codes}, Revoked: revoked, Roots: roots}.Sign(by)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	code, revoked := passCode(t, "1", 9), []passcode.Serial{{9}}
	c := withBadges(t, gateConfig(t, "north"))
	c.HTTP.PasswordFile = ""
	c.MQTT.Broker, c.MQTT.Commands = "mqtt://"+broker.Address, []mqtt.Verb{mqtt.Badge}
	gate := mqtt.Gate{Site: c.Site, Name: c.Gate}
	console.publish(gate.PassesTopic(), true, list(siteKey, 1, nil))
	s, stop := startBlind(t, c)
	soon(t, "the gate is connected", func() bool { return s.broker.State().Connected })
	if said := console.show(gate, code); said != "" {
		t.Errorf("it says %q of a good code", said)
	}
	stop()
	console.publish(gate.PassesTopic(), true, list(next, 2, revoked, handOver(next)))
	s, stop = startBlind(t, c)
	soon(t, "the gate has followed the site", func() bool {
		return s.broker.State().Connected && console.show(gate, code) == "refused: revoked"
	})
	numbers, err := passcode.ParseNumberKeys(strings.Repeat("0123456789abcdef", 2))
	if err != nil {
		t.Fatal(err)
	}
	want := mqtt.Keys{Site: passcode.Fingerprint(next.Public().(ed25519.PublicKey)), Numbers: 1, Newest: numbers.Fingerprint()}
	soon(t, "its status tells the keys", func() bool { // which follows what it goes by
		s.statusMu.Lock()
		defer s.statusMu.Unlock()
		return s.status.Keys == want
	})
	for _, payload := range [][]byte{
		list(siteKey, math.MaxUint64, nil), list(siteKey, math.MaxUint64, nil, handOver(next)), list(thief, math.MaxUint64, nil, handOver(thief)), {},
	} {
		before := s.broker.State().Refused
		console.publish(gate.PassesTopic(), true, payload)
		if len(payload) > 0 {
			soon(t, "what a thief says is refused", func() bool { return s.broker.State().Refused > before })
		}
		if said := console.show(gate, code); said != "refused: revoked" {
			t.Errorf("after what a thief says it says %q", said)
		}
	}
	stop()
	broker.Stop()
	startBlind(t, c)
	soon(t, "the restarted gate refuses the code without a network", func() bool {
		r, err := http.Get("http://" + c.HTTP.Listen + "/healthz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return strings.Contains(postBadge(t, c, `{"code":"`+code+`"}`), `"revoked"`)
	})
}

// signedBadge is what a door controller sends.
func signedBadge(t *testing.T, c config, body string) *http.Request {
	t.Helper()
	id, timestamp := fmt.Sprint(time.Now().UnixNano()), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, webhookKey)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	r, err := http.NewRequest(http.MethodPost, "http://"+c.HTTP.Listen+"/badge/webhook", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", timestamp)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return r
}

func postBadge(t *testing.T, c config, body string) string {
	t.Helper()
	answer, err := http.DefaultClient.Do(signedBadge(t, c, body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// TestWhoAVerdictIsAboutIsJournalled looks for it where everything else is that a gate tells, and not where it does not belong.
func TestWhoAVerdictIsAboutIsJournalled(t *testing.T) {
	c := withBadges(t, doorConfig(t, t.TempDir(), startDoorway(t, opens).URL))
	c.OutcomeOnly = true
	s, err := openWithoutCamera(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	end := record(t, s)
	pass := judged(s, 1, event.Pass)
	s.takeBadge(badge.Read{At: pass.Time, Kind: badge.Input, Text: passCode(t, "1", 1)})
	s.say(func() []event.Event { return s.badges.Tick(pass.Time.Add(20 * time.Second)) }) // then the next one comes
	next := judged(s, 2, event.Inconclusive)
	s.say(func() []event.Event { return s.badges.Tick(next.Time.Add(30 * time.Second)) })
	answer := httptest.NewRecorder()
	s.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	metrics := answer.Body.String()
	end()
	var got []string
	err = journal.List(t.Context(), filepath.Join(c.DataDir, journalName), journal.Filter{}, func(e journal.Entry) error {
		d := e.Event.Data
		person := ""
		if d.Person != nil {
			person = d.Person.Company
		}
		got = append(got, fmt.Sprint(d.Outcome, " ", person, d.Unpaired, " ", d.PersonOf == pass.ID))
		if d.Outcome == event.Named && !d.OutcomeOnly {
			t.Error("it does not say that only outcomes are kept")
		}
		return nil
	})
	want := []string{"pass  false", "person haitian true", "inconclusive  false", "person no-read false"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, line := range []string{`thermogate_badge_reads_total{reader="input",result="taken"} 1`, `thermogate_badge_reads_total{reader="webhook",result="revoked"} 0`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, `outcome="person"`) {
		t.Error("who somebody is is counted among the verdicts")
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, passesName)); err == nil {
		t.Error("a list of good codes is kept that nobody has sent")
	}
}

// TestCodeBeforeTheSecondCamera has a recording of a code be the camera.
func TestCodeBeforeTheSecondCamera(t *testing.T) {
	if scanner, err := zbar.Open(); err != nil {
		t.Skip(err)
	} else {
		scanner.Close()
	}
	text := passCode(t, "1", 1)
	code, err := qr.Encode(text, qr.L, qr.AlphaNumeric)
	if err != nil {
		t.Fatal(err)
	}
	card := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(220, 0, 0, 0), 240, 320, gocv.MatTypeCV8U)
	defer card.Close()
	const module = 4
	for y := range code.Bounds().Dy() * module {
		for x := range code.Bounds().Dx() * module {
			if dark, _, _, _ := code.At(x/module, y/module).RGBA(); dark == 0 {
				card.SetUCharAt(30+y, 70+x, 30)
			}
		}
	}
	c := withBadges(t, gateConfig(t, "north"))
	c.HTTP.PasswordFile = ""
	c.Camera.Visible = filepath.Join(t.TempDir(), "card.tiff")
	if !gocv.IMWrite(c.Camera.Visible, card) {
		t.Fatal("can't write a picture")
	}
	t.Setenv(runAsProgram, "1") // for the process that the gate starts
	_, stop := startBlind(t, c)
	soon(t, "the code is read", func() bool {
		return strings.Contains(get(t, "http://"+c.HTTP.Listen+"/metrics"), `thermogate_badge_reads_total{reader="camera",result="taken"} 1`)
	})
	stop() // and with it the process
}

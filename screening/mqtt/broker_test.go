package mqtt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"thermogate/testdata"
)

// localBroker listens at a free port of this machine.
func localBroker() BrokerConfig {
	cfg := DefaultBrokerConfig()
	cfg.Listen = "127.0.0.1:0"
	return cfg
}

func startBroker(t testing.TB, cfg BrokerConfig) *Broker {
	t.Helper()
	return startBrokerWith(t, cfg, filepath.Join(t.TempDir(), "broker.db"), quietLog)
}

func startBrokerWith(t testing.TB, cfg BrokerConfig, file string, log *slog.Logger) *Broker {
	t.Helper()
	b, err := StartBroker(cfg, testGate, file, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// ownConfig is how the gate itself connects to its broker.
func ownConfig(b *Broker) Config {
	cfg := testConfig(b.Address)
	cfg.Own = b
	return cfg
}

// join connects a client that is cleaned up at the end.
func join(t testing.TB, address, id string, change ...func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	client, err := tryJoin(address, id, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(0) })
	return client
}

func tryJoin(address, id string, change ...func(*paho.ClientOptions)) (paho.Client, error) {
	options := paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetProtocolVersion(4).SetAutoReconnect(false).SetPingTimeout(time.Minute)
	for _, c := range change {
		c(options)
	}
	client := paho.NewClient(options)
	token := client.Connect()
	token.WaitTimeout(time.Minute)
	return client, token.Error()
}

func lastingSession(o *paho.ClientOptions) { o.SetCleanSession(false) }

func as(user, password string) func(*paho.ClientOptions) {
	return func(o *paho.ClientOptions) { o.SetUsername(user).SetPassword(password) }
}

// inbox collects the payloads that a client gets.
type inbox struct {
	mu       sync.Mutex
	payloads []string
	retained int
}

func (in *inbox) receive(_ paho.Client, m paho.Message) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.payloads = append(in.payloads, string(m.Payload()))
	if m.Retained() {
		in.retained++
	}
}

func (in *inbox) all() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.payloads)
}

func (in *inbox) has(n int) func() bool { return func() bool { return len(in.all()) >= n } }

func done(t testing.TB, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(time.Minute) {
		t.Fatal("no answer from the broker")
	}
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}

func TestOwnBrokerCarriesEvents(t *testing.T) {
	b := startBroker(t, localBroker())
	sub := subscribe(t, b.Address, "thermogate/#")
	j := openJournal(t)
	appendEvents(t, j, 1, 500)
	run(t, ownConfig(b), j, nil)
	sub.waitFor(t, func(messages []message) bool {
		_, backlog := screenings(messages)
		return len(backlog) == 500
	})
}

// TestBrokerProcess is the broker that TestOwnBrokerIsKilled kills.
func TestBrokerProcess(t *testing.T) {
	file := os.Getenv("BROKER_FILE")
	if file == "" {
		t.Skip("skipped, it is a part of another test")
	}
	cfg := localBroker()
	cfg.Listen = os.Getenv("BROKER_LISTEN")
	if _, err := StartBroker(cfg, testGate, file, quietLog); err != nil {
		t.Fatal(err)
	}
	fmt.Println("listening")
	io.Copy(io.Discard, os.Stdin) // until the parent ends
}

func brokerProcess(t *testing.T, listen, file string) *exec.Cmd {
	t.Helper()
	process := exec.Command(os.Args[0], "-test.run=^TestBrokerProcess$")
	process.Env = append(os.Environ(), "BROKER_FILE="+file, "BROKER_LISTEN="+listen)
	if _, err := process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Process.Kill(); process.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
		t.Fatalf("the broker's process says %q, %v", line, err)
	}
	return process
}

// Whatever the broker confirmed is still there when it was killed, for those who are away and those who were just reading.
func TestOwnBrokerIsKilled(t *testing.T) {
	file, listen := filepath.Join(t.TempDir(), "broker.db"), testdata.FreeAddress(t)
	process := brokerProcess(t, listen, file)
	away := join(t, listen, "away", lastingSession)
	done(t, away.Subscribe("x/#", 1, nil))
	away.Disconnect(0)
	steady := subscribe(t, listen, "x/#") // stays, and comes back after each kill

	confirmed := map[string]bool{}
	for round := range 4 {
		publisher := join(t, listen, "publisher")
		type sent struct {
			payload string
			token   paho.Token
		}
		var all []sent
		for n := range 300 {
			payload := fmt.Sprintf("%d-%03d", round, n)
			all = append(all, sent{payload, publisher.Publish("x/"+payload, 1, false, payload)})
			if n == 200 {
				done(t, all[150].token)
				process.Process.Kill() // in the middle of the rest
			}
		}
		process.Wait()
		for _, s := range all {
			if s.token.WaitTimeout(5*time.Second) && s.token.Error() == nil {
				confirmed[s.payload] = true
			}
		}
		process = brokerProcess(t, listen, file)
	}
	if len(confirmed) < 4*150 {
		t.Fatalf("only %d messages were confirmed", len(confirmed))
	}
	var in inbox
	join(t, listen, "away", lastingSession, func(o *paho.ClientOptions) { o.SetDefaultPublishHandler(in.receive) })
	eventually(t, func() bool { return len(missing(confirmed, in.all())) == 0 })
	eventually(t, func() bool {
		var got []string
		for _, m := range steady.all() {
			got = append(got, string(m.payload))
		}
		return len(missing(confirmed, got)) == 0
	})
	if got := in.all(); !slices.IsSorted(slices.Compact(got)) {
		t.Error("the queue came out of order")
	}
}

func missing(want map[string]bool, got []string) []string {
	var lost []string
	for payload := range want {
		if !slices.Contains(got, payload) {
			lost = append(lost, payload)
		}
	}
	return lost
}

func TestOwnBrokerRetainsOverARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broker.db")
	b := startBrokerWith(t, localBroker(), file, quietLog)
	gate := join(t, b.Address, "client")
	done(t, gate.Publish("x/kept", 1, true, "kept"))
	done(t, gate.Publish("x/gone", 1, true, "gone"))
	done(t, gate.Publish("x/gone", 1, true, ""))
	done(t, gate.Publish("x/kept", 0, true, "kept still"))
	done(t, gate.Publish("x/end", 1, false, ""))
	b.Close()
	b = startBrokerWith(t, localBroker(), file, quietLog)
	var in inbox
	done(t, join(t, b.Address, "reader").Subscribe("x/#", 1, in.receive))
	eventually(t, in.has(1))
	if got := in.all(); !slices.Equal(got, []string{"kept still"}) || in.retained != 1 {
		t.Errorf("retained %q", got)
	}
}

func TestOwnBrokerForgetsACleanSession(t *testing.T) {
	b := startBroker(t, localBroker())
	c := join(t, b.Address, "console", lastingSession)
	done(t, c.Subscribe("x", 1, nil))
	c.Disconnect(0)
	publisher := join(t, b.Address, "publisher")
	done(t, publisher.Publish("x", 1, false, "missed"))
	join(t, b.Address, "console").Disconnect(0) // with a clean session
	done(t, publisher.Publish("x", 1, false, "missed, too"))
	var in inbox
	c = join(t, b.Address, "console", lastingSession, func(o *paho.ClientOptions) { o.SetDefaultPublishHandler(in.receive) })
	done(t, c.Subscribe("y", 1, nil))
	done(t, publisher.Publish("y", 1, false, "fresh"))
	eventually(t, in.has(1))
	if got := in.all(); !slices.Equal(got, []string{"fresh"}) {
		t.Errorf("got %q", got)
	}
}

// Events that came before anybody subscribed, with a session that lasts, are for the first who does.
func TestEventsWaitForTheFirstConsole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broker.db")
	b := startBrokerWith(t, localBroker(), file, quietLog)
	gate := join(t, b.Address, "gate")
	var seen inbox
	done(t, join(t, b.Address, "passer-by").Subscribe("thermogate/#", 1, seen.receive))
	for n := range 100 {
		done(t, gate.Publish("thermogate/plant/south/screening/pass", 1, false, fmt.Sprintf("%03d", n)))
	}
	done(t, gate.Publish("thermogate/plant/west/screening/pass", 1, false, "west"))
	done(t, gate.Publish("thermogate/plant/south/command/pause", 1, false, "pause"))
	eventually(t, seen.has(102))
	b.Close()
	b = startBrokerWith(t, localBroker(), file, quietLog)
	console := func(id string) *inbox {
		var in inbox
		c := join(t, b.Address, id, lastingSession, func(o *paho.ClientOptions) { o.SetDefaultPublishHandler(in.receive) })
		done(t, c.Subscribe("thermogate/plant/south/#", 1, nil))
		return &in
	}
	first := console("first")
	eventually(t, first.has(100))
	second := console("second")
	done(t, join(t, b.Address, "gate").Publish("thermogate/plant/south/screening/pass", 1, false, "fresh"))
	eventually(t, first.has(101))
	eventually(t, second.has(1))
	if got := first.all(); !slices.IsSorted(got) || got[0] != "000" || got[99] != "099" {
		t.Errorf("the first console got %q", got)
	}
	if got := second.all(); len(got) != 1 {
		t.Errorf("the second console got %q", got)
	}
	var west inbox
	done(t, join(t, b.Address, "third", lastingSession).Subscribe("thermogate/plant/west/#", 1, west.receive))
	eventually(t, west.has(1))
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	if len(b.sessions.topics) > 0 || b.sessions.nobodys.stored != 0 {
		t.Errorf("still waiting: %v, %d bytes", b.sessions.topics, b.sessions.nobodys.stored)
	}
}

func TestTopicsThatNobodyWantsAreBounded(t *testing.T) {
	b := startBroker(t, localBroker())
	stranger := join(t, b.Address, "stranger")
	for n := range brokerMaxNobodys + 10 {
		stranger.Publish(fmt.Sprintf("thermogate/plant/gate-%d/screening/pass", n), 1, false, "x")
	}
	done(t, stranger.Publish("thermogate/plant/gate-0/screening/pass", 1, false, "another"))
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	if len(b.sessions.topics) != brokerMaxNobodys || b.sessions.topics["thermogate/plant/gate-0/screening/pass"] != 2 {
		t.Errorf("events wait on %d topics, %d on the first", len(b.sessions.topics), b.sessions.topics["thermogate/plant/gate-0/screening/pass"])
	}
}

// TestStrangersKeepNobodyOut has more silent connections, from many addresses, than there may be clients.
func TestStrangersKeepNobodyOut(t *testing.T) {
	cfg := localBroker()
	cfg.MaxClients = 4
	b := startBroker(t, cfg)
	early := join(t, b.Address, "early")
	for n := range 20 {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(n))}}
		conn, err := from.Dial("tcp", b.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	var in inbox
	done(t, join(t, b.Address, "late").Subscribe("x", 1, in.receive))
	done(t, early.Publish("x", 1, false, "still there"))
	eventually(t, in.has(1))
}

func TestFilterMatches(t *testing.T) {
	for filter, want := range map[string]bool{
		"a/b/c": true, "a/+/c": true, "a/#": true, "#": true, "a/b/c/#": true, "+/+/+": true,
		"a/b": false, "a/b/c/d": false, "a/b/c/+": false, "b/#": false, "a/b/": false,
	} {
		if got := matches(filter, "a/b/c"); got != want {
			t.Errorf("%s matches a/b/c: %v", filter, got)
		}
	}
}

func TestSessionEndsAfterItsLife(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broker.db")
	b := startBrokerWith(t, localBroker(), file, quietLog)
	c := join(t, b.Address, "console", lastingSession)
	done(t, c.Subscribe("x", 1, nil))
	c.Disconnect(0)
	done(t, join(t, b.Address, "publisher").Publish("x", 1, false, "waits"))
	eventually(t, func() bool { return waitsFor(b, "console") })
	life := sessionLife
	b.sessions.age(life / 2)
	b.Close()
	b = startBrokerWith(t, localBroker(), file, quietLog)
	if b.sessions.age(life / 4); !waitsFor(b, "console") {
		t.Fatal("the session ended too early")
	}
	if b.sessions.age(life/4 + time.Second); waitsFor(b, "console") || b.sessions.stored != 0 {
		t.Error("the session has not ended")
	}
	if _, known := b.server.Clients.Get("console"); known || b.server.Topics.Subscribers("x").Subscriptions["console"].Filter != "" {
		t.Error("the session's subscriptions are still there")
	}
}

// waitsFor says whether a session is away with a message in its queue.
func waitsFor(b *Broker, id string) bool {
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	s := b.sessions.all[id]
	return s != nil && s.client == nil && s.stored > 0
}

func TestOnlyTheGateSpeaksForItself(t *testing.T) {
	b := startBroker(t, localBroker())
	sub := subscribe(t, b.Address, "#")
	forger := join(t, b.Address, "forger")
	for _, topic := range []string{testGate.ScreeningTopic("pass"), testGate.StatusTopic(), testGate.topic("resent")} {
		forger.Publish(topic, 0, true, `{"forged":true}`).WaitTimeout(time.Second)
		if c, err := tryJoin(b.Address, "forger-1"); err != nil {
			t.Fatal(err)
		} else if token := c.Publish(topic, 1, true, `{"forged":true}`); token.WaitTimeout(5*time.Second) && token.Error() == nil {
			t.Errorf("the broker confirms a forged message on %s", topic)
		}
	}
	if _, err := tryJoin(b.Address, "forger-2", func(o *paho.ClientOptions) {
		o.SetWill(testGate.StatusTopic(), `{"forged":true}`, 1, true)
	}); err == nil {
		t.Error("a last will on the gate's status is let in")
	}
	j := openJournal(t)
	appendEvents(t, j, 1, 1)
	run(t, ownConfig(b), j, nil)
	messages := sub.waitFor(t, func(messages []message) bool {
		_, backlog := screenings(messages)
		return len(backlog) == 1
	})
	for _, m := range messages {
		if strings.Contains(string(m.payload), "forged") {
			t.Errorf("%s was handed on", m.topic)
		}
	}
}

func TestNobodyTakesTheGatesConnection(t *testing.T) {
	b := startBroker(t, localBroker())
	id := DefaultConfig().clientID(testGate)
	squatter := join(t, b.Address, id, lastingSession)
	j := openJournal(t)
	c, _ := run(t, ownConfig(b), j, nil)
	eventually(t, func() bool { return c.State().Connected && !squatter.IsConnected() })
	if _, err := tryJoin(b.Address, id); !errors.Is(err, packets.ErrorRefusedIDRejected) {
		t.Errorf("another client with the gate's id: %v", err)
	}
	if !c.State().Connected {
		t.Error("the gate was thrown out")
	}
}

func TestBrokerRoles(t *testing.T) {
	users := []BrokerUser{{"south", "", RoleGate}, {"console", "", RoleConsole}, {"wall", "", RoleReader}, {"turnstile", "", RoleBadge}}
	cfg := BrokerConfig{}
	for _, user := range users {
		user.PasswordFile = passwordFile(t, "of "+user.Name)
		cfg.Users = append(cfg.Users, user)
	}
	a, err := cfg.access(testGate)
	if err != nil {
		t.Fatal(err)
	}
	open, err := BrokerConfig{}.access(testGate)
	if err != nil {
		t.Fatal(err)
	}
	b := startBroker(t, localBroker())
	for topic, want := range map[string]string{ // who may write it
		"thermogate/plant/north/screening/pass":       "",
		"thermogate/plant/north/status":               "",
		"thermogate/plant/north/config":               "",
		"thermogate/plant/north/command/pause":        "console nobody",
		"thermogate/plant/north/alert/01J":            "console nobody",
		"thermogate/plant/north/stored":               "console nobody",
		"thermogate/plant/north/passes":               "console nobody",
		"thermogate/plant/south/passes":               "console nobody",
		"thermogate/plant/north/command/badge":        "console turnstile nobody",
		"thermogate/plant/south/command/badge":        "console turnstile nobody",
		"thermogate/else/north/command/badge":         "console nobody",
		"thermogate/plant/north/command/badge/x":      "console nobody",
		"thermogate/plant/south/screening/pass":       "south nobody",
		"thermogate/plant/south/command/pause":        "console nobody",
		"thermogate/plant/north/snapshot/01J":         "",
		"thermogate/plant/south/snapshot/01J":         "south nobody",
		"thermogate/else/south/screening/pass":        "nobody",
		"spBv1.0/plant/NDATA/north":                   "",
		"spBv1.0/plant/DDATA/south/screening":         "south nobody",
		"spBv1.0/plant/NCMD/north":                    "console nobody",
		"spBv1.0/STATE/scada":                         "console nobody",
		"homeassistant/status":                        "console nobody",
		testDiscoveryTopic(testGate):                  "",
		testDiscoveryTopic(Gate{"plant", "south"}):    "south nobody",
		"cameras/onvif-ej/RuleEngine/Radiometry/x":    "south",
		"thermogate/plant/south/onvif-ej/RuleEngine/": "south nobody",
	} {
		var may []string
		for _, name := range []string{"south", "console", "wall", "turnstile", "nobody"} {
			cl := b.server.NewClient(nil, networkName, name, false)
			cl.Properties.Username = []byte(name)
			rules := a
			if name == "nobody" {
				rules = open
			}
			if rules.mayWrite(cl, topic) {
				may = append(may, name)
			}
		}
		if got := strings.Join(may, " "); got != want {
			t.Errorf("%s may be written by %q, want %q", topic, got, want)
		}
	}
	if !a.admits("wall", []byte("of wall")) || a.admits("wall", []byte("of console")) || a.admits("nobody", nil) || a.admits("", nil) {
		t.Error("passwords are not looked at")
	}
}

// TestWhatGatesMayHear at the broker of another one.
func TestWhatGatesMayHear(t *testing.T) {
	cfg := localBroker()
	for name, role := range map[string]Role{"south": RoleGate, "wall": RoleReader, "turnstile": RoleBadge} {
		cfg.Users = append(cfg.Users, BrokerUser{name, passwordFile(t, "of "+name), role})
	}
	b := startBroker(t, cfg)
	south := join(t, b.Address, "gate-south", as("south", "of south"))
	for filter, may := range map[string]bool{
		"thermogate/plant/south/screening/+":     true,
		"thermogate/plant/south/command/#":       true,
		"thermogate/plant/south/status":          true,
		"thermogate/plant/south/passes":          true,
		"thermogate/plant/north/passes":          false,
		"spBv1.0/plant/NCMD/south":               true,
		"spBv1.0/STATE/scada":                    true,
		"homeassistant/status":                   true,
		"#":                                      false,
		"+/plant/north/status":                   false,
		"thermogate/#":                           false,
		"thermogate/plant/+/status":              false,
		"thermogate/plant/north/snapshot/+":      false,
		"$share/x/thermogate/plant/north/status": false,
		"spBv1.0/plant/DDATA/north/screening":    false,
		"spBv1.0/#":                              false,
		"homeassistant/#":                        false,
	} {
		token := south.Subscribe(filter, 1, nil).(*paho.SubscribeToken)
		done(t, token)
		if got := !slices.Contains(slices.Collect(maps.Values(token.Result())), 0x80); got != may {
			t.Errorf("%s may be heard: %v", filter, got)
		}
	}
	turnstile := join(t, b.Address, "turnstile", as("turnstile", "of turnstile"))
	for filter, may := range map[string]bool{
		"thermogate/plant/north/acknowledgement/badge": true,
		"thermogate/plant/+/acknowledgement/badge":     true,
		"thermogate/plant/+/acknowledgement/#":         false,
		"thermogate/+/north/acknowledgement/badge":     false,
		"thermogate/plant/north/screening/+":           false,
		"thermogate/plant/north/command/badge":         false,
		"#":                                            false,
	} {
		token := turnstile.Subscribe(filter, 1, nil).(*paho.SubscribeToken)
		done(t, token)
		if got := token.Result()[filter] < 0x80; got != may {
			t.Errorf("a badge reader may hear %s: %v", filter, got)
		}
	}
	everything := join(t, b.Address, "wall", as("wall", "of wall")).Subscribe("#", 1, nil).(*paho.SubscribeToken)
	if done(t, everything); everything.Result()["#"] >= 0x80 {
		t.Error("a reader does not hear everything")
	}
}

func TestUsersOfTheOwnBroker(t *testing.T) {
	cfg := localBroker()
	for name, role := range map[string]Role{"south": RoleGate, "console": RoleConsole, "wall": RoleReader} {
		cfg.Users = append(cfg.Users, BrokerUser{name, passwordFile(t, "of "+name), role})
	}
	b := startBroker(t, cfg)
	var in inbox
	done(t, join(t, b.Address, "display", as("wall", "of wall"), lastingSession).Subscribe("#", 1, in.receive))
	done(t, join(t, b.Address, "gate-south", as("south", "of south")).Publish("thermogate/plant/south/screening/pass", 1, false, "event"))
	done(t, join(t, b.Address, "console", as("console", "of console")).Publish("thermogate/plant/south/command/pause", 1, false, "command"))
	eventually(t, in.has(2))
	for user, topic := range map[string]string{
		"wall":    "thermogate/plant/south/command/pause",
		"console": "thermogate/plant/south/screening/pass",
		"south":   "thermogate/plant/north/screening/pass",
	} {
		c := join(t, b.Address, "forger "+user, as(user, "of "+user))
		if token := c.Publish(topic, 1, true, "forged"); token.WaitTimeout(5*time.Second) && token.Error() == nil {
			t.Errorf("%s may write %s", user, topic)
		}
	}
	if _, err := tryJoin(b.Address, "display", as("console", "of console")); !errors.Is(err, packets.ErrorRefusedIDRejected) {
		t.Errorf("another user takes a session: %v", err)
	}
	if got := in.all(); len(got) != 2 {
		t.Errorf("the reader got %q", got)
	}
}

func testDiscoveryTopic(g Gate) string { return "homeassistant/device/" + g.discoveryID() + "/config" }

func TestOwnBrokerWantsThePassword(t *testing.T) {
	password := passwordFile(t, "open sesame\n")
	cfg := localBroker()
	cfg.Listen = "0.0.0.0:0"
	cfg.Users = []BrokerUser{{"south", password, RoleGate}}
	b := startBroker(t, cfg)
	address := "127.0.0.1" + b.Address[strings.LastIndex(b.Address, ":"):]
	client := testConfig(address)
	if err := Check(t.Context(), client, testGate); err == nil || !strings.Contains(err.Error(), "it wants a user and a password") {
		t.Errorf("without a password: %v", err)
	}
	client.User, client.PasswordFile = "south", password
	if err := Check(t.Context(), client, testGate); err != nil {
		t.Errorf("with the password: %v", err)
	}
}

func TestOwnBrokerWithACertificateForItsName(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("broker")
	cfg := localBroker()
	cfg.CertFile, cfg.KeyFile = ca.path("broker.pem"), ca.path("broker.key")
	b := startBroker(t, cfg)
	if err := Check(t.Context(), ownConfig(b), testGate); err != nil {
		t.Errorf("the gate itself: %v", err)
	}
	client := testConfig(b.Address)
	client.Broker, client.CAFile = "mqtts://"+b.Address, ca.path("ca.pem")
	if err := Check(t.Context(), client, testGate); err == nil || !strings.Contains(err.Error(), "for another host name") {
		t.Errorf("another client at the address: %v", err)
	}
}

func TestBrokerPortInUse(t *testing.T) {
	cfg := localBroker()
	cfg.Listen = startBroker(t, cfg).Address
	want := "broker.listen: " + cfg.Listen + " is in use"
	if _, err := StartBroker(cfg, testGate, filepath.Join(t.TempDir(), "broker.db"), quietLog); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}
	if err := CheckBroker(cfg, testGate); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("check: %v", err)
	}
}

func TestOwnBrokerHasRoomForSoMany(t *testing.T) {
	var out bytes.Buffer
	cfg := localBroker()
	cfg.MaxClients = 4
	b := startBrokerWith(t, cfg, filepath.Join(t.TempDir(), "broker.db"), slog.New(slog.NewTextHandler(&out, nil)))
	var silent []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", b.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		silent = append(silent, conn)
	}
	if _, err := silent[2].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the third connection from an address with room for two: %v", err)
	}
	if err := Check(t.Context(), ownConfig(b), Gate{"plant", "south"}); err != nil {
		t.Errorf("the gate is locked out: %v", err)
	}
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), "max_clients") {
		t.Errorf("the broker says %v", err)
	}
	silent[0].Close()
	silent[1].Close()
	eventually(t, func() bool { return Check(t.Context(), testConfig(b.Address), testGate) == nil })
	for range 20 {
		if conn, err := net.Dial("tcp", b.Address); err == nil {
			defer conn.Close()
		}
	}
	b.Close()
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Errorf("the log has %d lines, want 1:\n%s", lines, out.String())
	}
}

func TestLastingSessionsAreBounded(t *testing.T) {
	b := startBroker(t, localBroker())
	for n := range brokerMaxSessions {
		join(t, b.Address, fmt.Sprint("console-", n), lastingSession).Disconnect(0)
	}
	if _, err := tryJoin(b.Address, "one-more", lastingSession); !errors.Is(err, packets.ErrorRefusedServerUnavailable) {
		t.Errorf("one more lasting session: %v", err)
	}
	join(t, b.Address, "one-more")
	join(t, b.Address, "console-0", lastingSession)
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), "lasting session") {
		t.Errorf("the broker says %v", err)
	}
}

// What others leave behind takes no room from a session that keeps to its share.
func TestQueuesAreBounded(t *testing.T) {
	cfg := localBroker()
	cfg.QueueMiB = 4
	b := startBroker(t, cfg)
	for _, id := range []string{"ghost", "console"} {
		c := join(t, b.Address, id, lastingSession)
		done(t, c.Subscribe(id, 1, nil))
		c.Disconnect(0)
	}
	publisher := join(t, b.Address, "publisher")
	large := strings.Repeat("x", 200<<10)
	for range 30 {
		done(t, publisher.Publish("ghost", 1, false, large))
	}
	for n := range 100 {
		done(t, publisher.Publish("console", 1, false, fmt.Sprint(n)))
	}
	b.sessions.mu.Lock()
	ghost, all := b.sessions.all["ghost"].stored, b.sessions.stored
	b.sessions.mu.Unlock()
	if ghost > 4<<20 || all > 8<<20 {
		t.Errorf("%d bytes are kept for one client, %d for all", ghost, all)
	}
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), "queue_mib") {
		t.Errorf("the broker says %v", err)
	}
	var in inbox
	join(t, b.Address, "console", lastingSession, func(o *paho.ClientOptions) { o.SetDefaultPublishHandler(in.receive) })
	eventually(t, in.has(100))
}

func TestRetainedMessagesAreBounded(t *testing.T) {
	b := startBroker(t, localBroker())
	publisher := join(t, b.Address, "publisher")
	large := strings.Repeat("x", 200<<10)
	for n := range 30 {
		done(t, publisher.Publish(fmt.Sprint("x/", n), 1, true, large))
	}
	for n := range brokerMaxRetained {
		publisher.Publish(fmt.Sprint("y/", n), 0, true, "y")
	}
	done(t, publisher.Publish("z", 1, true, ""))
	b.sessions.mu.Lock()
	count, bytes := b.server.Topics.Retained.Len(), b.sessions.retained
	b.sessions.mu.Unlock()
	if bytes > brokerMaxRetainedBytes || count > brokerMaxRetained {
		t.Errorf("%d messages with %d bytes are retained", count, bytes)
	}
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), "retains as much as it may") {
		t.Errorf("the broker says %v", err)
	}
	c, _ := run(t, ownConfig(b), openJournal(t), nil)
	eventually(t, func() bool {
		status, ok := b.server.Topics.Retained.Get(testGate.StatusTopic())
		return ok && c.State().Connected && strings.Contains(string(status.Payload), "online")
	})
}

func TestSubscribingToMuchTakesItsTime(t *testing.T) {
	const messages = 1900
	b := startBroker(t, localBroker())
	publisher := join(t, b.Address, "publisher")
	for n := range messages {
		publisher.Publish(fmt.Sprint("y/", n), 0, true, "y")
	}
	done(t, publisher.Publish("z", 1, true, "z"))
	var in inbox
	reader := join(t, b.Address, "reader")
	began := time.Now()
	for n := range 5 {
		done(t, reader.Subscribe("y/#", 0, in.receive))
		eventually(t, in.has((n+1)*messages))
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("%d messages were fetched five times in %v", messages, took)
	}
}

// mute connects, subscribes and never reads again; it has no keep-alive.
func mute(t *testing.T, address, id, filter string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connect.ProtocolName, connect.ProtocolVersion, connect.CleanSession, connect.ClientIdentifier = "MQTT", 4, true, id
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 1, []string{filter}, []byte{1}
	if err := errors.Join(connect.Write(conn), subscribe.Write(conn)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := packets.ReadPacket(conn); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	b := startBroker(t, localBroker())
	var readers []net.Conn
	for n := range 6 {
		readers = append(readers, mute(t, b.Address, fmt.Sprint("mute-", n), "x"))
	}
	var in inbox
	done(t, join(t, b.Address, "reader").Subscribe("x", 1, in.receive))
	publisher := join(t, b.Address, "publisher")
	large := strings.Repeat("x", 200<<10)
	for range 100 {
		done(t, publisher.Publish("x", 1, false, large))
		b.sessions.mu.Lock()
		waiting := b.sessions.waiting
		b.sessions.mu.Unlock()
		if waiting > brokerMaxAllWaiting {
			t.Fatalf("%d bytes wait in memory", waiting)
		}
	}
	eventually(t, in.has(100))
	for _, conn := range readers {
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a client that does not read is still connected")
		}
	}
}

func TestBrokerStopsThoughNobodyReads(t *testing.T) {
	b := startBroker(t, localBroker())
	for n := range 10 {
		mute(t, b.Address, fmt.Sprint("mute-", n), "x")
	}
	publisher := join(t, b.Address, "publisher")
	large := strings.Repeat("x", 200<<10)
	for range 15 { // more than the system takes, less than the broker does
		done(t, publisher.Publish("x", 1, false, large))
	}
	closed := make(chan error)
	go func() { closed <- b.Close() }()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("it waits for who does not read")
	}
}

func TestBrokerSendsLastWills(t *testing.T) {
	b := startBroker(t, localBroker())
	sub := subscribe(t, b.Address, "x/#")
	will := func(o *paho.ClientOptions) { o.SetWill("x/will", o.ClientID, 1, false) }
	join(t, b.Address, "polite", will).Disconnect(60_000) // at most until the broker is told
	link := newLink(t, b.Address)
	join(t, link.address(), "broken", will)
	link.cut()
	sub.waitFor(t, atLeast(1))
	join(t, b.Address, "twice", will)
	join(t, b.Address, "twice", will)
	messages := sub.waitFor(t, atLeast(2))
	if string(messages[0].payload) != "broken" || string(messages[1].payload) != "twice" || len(messages) != 2 {
		t.Errorf("last wills %v", messages)
	}
}

func TestDamagedBrokerFileIsSetAside(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "broker.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	b := startBrokerWith(t, localBroker(), file, quietLog)
	if err := Check(t.Context(), ownConfig(b), testGate); err != nil {
		t.Error(err)
	}
	if found, err := filepath.Glob(file + ".damaged-*"); len(found) != 1 || err != nil {
		t.Errorf("set aside: %v, %v", found, err)
	}
}

// What can't be kept is not confirmed, and goes out when it can.
func TestBrokerWaitsForItsDisk(t *testing.T) {
	disk := mountSmallDisk(t)
	if disk == nil {
		t.Skip("skipped")
	}
	remount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", disk.dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=192m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	file := filepath.Join(disk.dir, "data", "broker.db")
	early := startBrokerWith(t, localBroker(), file, quietLog)
	b := startBrokerWith(t, localBroker(), file, quietLog)
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), "can't open its file") {
		t.Errorf("the broker says %v", err)
	}
	if err := early.Close(); err != nil {
		t.Error(err)
	}
	c, _ := run(t, ownConfig(b), openJournal(t), nil)
	remount(0)
	eventually(t, func() bool { return c.State().Connected && b.Err() == nil })
	b.Close() // before the disk is taken away
}

func TestBrokerConfirmsOnlyWhatItKeeps(t *testing.T) {
	b := startBroker(t, localBroker())
	c := join(t, b.Address, "console", lastingSession)
	done(t, c.Subscribe("x", 1, nil))
	publisher := join(t, b.Address, "publisher")
	if _, err := b.sessions.store.db.Exec("ALTER TABLE queue RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	lost := publisher.Publish("x", 1, false, "lost")
	eventually(t, func() bool {
		err := b.Err()
		return err != nil && strings.Contains(err.Error(), "can't keep messages on disk")
	})
	if lost.WaitTimeout(500 * time.Millisecond) {
		t.Error("a message that could not be kept is confirmed")
	}
	if _, err := b.sessions.store.db.Exec("ALTER TABLE gone RENAME TO queue"); err != nil {
		t.Fatal(err)
	}
	done(t, publisher.Publish("x", 1, false, "kept"))
}

func TestBrokerConfigThatIsRefused(t *testing.T) {
	for want, change := range map[string]func(*BrokerConfig){
		"listen: ":              func(c *BrokerConfig) { c.Listen = "1883" },
		"can be reached from":   func(c *BrokerConfig) { c.Listen = ":1883" },
		"user and password":     func(c *BrokerConfig) { c.User = "gates" },
		"cert_file":             func(c *BrokerConfig) { c.KeyFile = "key.pem" },
		"max_clients: 0":        func(c *BrokerConfig) { c.MaxClients = 0 },
		"queue_mib: 0":          func(c *BrokerConfig) { c.QueueMiB = 0 },
		"users: each needs":     func(c *BrokerConfig) { c.Users = []BrokerUser{{}} },
		"needs a password_file": func(c *BrokerConfig) { c.Users = []BrokerUser{{Name: "south", Role: RoleGate}} },
		"not gate, console":     func(c *BrokerConfig) { c.Users = []BrokerUser{{"south", "file", "admin"}} },
		`"south" is there`: func(c *BrokerConfig) {
			c.Users = []BrokerUser{{"south", "file", RoleGate}, {"south", "file", RoleReader}}
		},
	} {
		cfg := DefaultBrokerConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if err := DefaultBrokerConfig().Validate(); err != nil {
		t.Error(err)
	}
}

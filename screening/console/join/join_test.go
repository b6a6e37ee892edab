package join

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	north = mqtt.Gate{Site: "plant", Name: "north"}
	box   = netip.MustParseAddr("10.0.0.7")
	admin = store.Author{Account: "admin", Address: netip.MustParseAddr("10.0.0.1")}
)

const console = "https://127.0.0.1:8090"

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// client is somebody at the broker.
type client struct {
	paho.Client
	lost chan error
	mu   sync.Mutex
	got  []string
}

func connect(address, id, user, password string) (*client, error) {
	c := &client{lost: make(chan error, 1)}
	c.Client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetUsername(user).SetPassword(password).
		SetAutoReconnect(false).SetConnectionLostHandler(func(_ paho.Client, err error) { c.lost <- err }).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.got = append(c.got, m.Topic()+" "+string(m.Payload()))
		}))
	token := c.Connect()
	token.Wait()
	return c, token.Error()
}

func (c *client) heard() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.got, "\n")
}

// desk is one at a broker, with a store of its own.
func desk(t testing.TB, cfg Config, broker mqtt.Config) (*Desk, *store.Store) {
	t.Helper()
	c := store.DefaultConfig()
	c.File = filepath.Join(t.TempDir(), "console.db")
	s, err := store.Open(t.Context(), c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	d := New(cfg, "test", broker, s, quiet)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); s.Close() })
	return d, s
}

func dynamicDesk(t testing.TB, m *testdata.Mosquitto) (*Desk, *store.Store) {
	cfg, broker := DefaultConfig(), mqtt.DefaultConfig()
	broker.Broker = "mqtt://" + m.Address
	cfg.DynamicSecurity = DynamicSecurity{"join", filepath.Join(t.TempDir(), "password")}
	if err := os.WriteFile(cfg.DynamicSecurity.PasswordFile, []byte("of join\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return desk(t, cfg, broker)
}

func secret(n int) Request { return Request{strings.Repeat(string(rune('a'+n)), 40)} }

// TestMosquittoLetsInWhoJoined has a box join, speak for its gate and for no other, and be revoked while it is connected.
func TestMosquittoLetsInWhoJoined(t *testing.T) {
	m := testdata.StartGuardedMosquitto(t, "", "")
	d, s := dynamicDesk(t, m)
	token, i, err := d.Invite(t.Context(), north, Account{}, false, console, admin)
	if err != nil {
		t.Fatal(err)
	}
	if i.Token == token || len(token) < 26 {
		t.Error("the store has the token itself, or one that can be guessed")
	}
	grant, err := d.Join(t.Context(), box, token, secret(0), console)
	if err != nil {
		t.Fatal(err)
	}
	offer, err := d.Offer(t.Context(), i, token, console)
	if _, keyErr := passcode.ParseSiteKey(grant.SiteKey); err != nil || keyErr != nil || offer.SiteKey != grant.SiteKey || len(grant.NumberKey) < passcode.MinNumberKey || offer.NumberKey != "" {
		t.Errorf("the keys of the site: offered %+v, granted %+v, %v, %v", offer, grant, err, keyErr)
	}
	grant.SiteKey, grant.NumberKey = "", ""
	if want := (Grant{Site: "plant", Gate: "north", Broker: "mqtt://" + m.Address, ConsoleURL: console,
		User: "plant/north", Password: secret(0).Password, ClientID: "thermogate-plant-north"}); grant != want {
		t.Errorf("granted %+v", grant)
	}
	guard, err := connect(m.Address, "console", "console", "of console")
	if err != nil {
		t.Fatal(err)
	}
	guard.Subscribe("thermogate/plant/#", 1, nil).Wait()
	for _, other := range []string{"console", "thermogate-plant-south"} {
		if _, err := connect(m.Address, other, grant.User, grant.Password); err == nil {
			t.Errorf("the gate can throw off who has the client id %s", other)
		}
	}
	ask := mqtt.DefaultConfig()
	ask.Broker, ask.User, ask.PasswordFile = "mqtt://"+m.Address, grant.User, filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(ask.PasswordFile, []byte(grant.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mqtt.Check(t.Context(), ask, north); err != nil {
		t.Errorf("checking the account: %v", err)
	}
	gate, err := connect(m.Address, grant.ClientID, grant.User, grant.Password)
	if err != nil {
		t.Fatal(err)
	}
	gate.SubscribeMultiple(map[string]byte{north.StatusTopic(): 1, north.CommandTopic("#"): 1, "thermogate/#": 1, "#": 1, "$CONTROL/#": 1}, nil).Wait()
	gate.Publish("thermogate/plant/south/status", 1, true, "forged").Wait()
	gate.Publish("$CONTROL/dynamic-security/v1", 1, false, `{"commands":[{"command":"addClientRole","username":"plant/north","rolename":"admin"}]}`).Wait()
	gate.Publish(north.CommandTopic("pause"), 1, true, "forged").Wait()
	guard.Publish("thermogate/plant/south/command/pause", 1, false, "of another").Wait()
	guard.Publish(north.CommandTopic("rescreen"), 1, false, "for it").Wait()
	gate.Publish(north.StatusTopic(), 1, true, "here").Wait()
	eventually(t, "both hear", func() bool {
		return strings.Contains(guard.heard(), "here") && strings.Contains(gate.heard(), "for it") && strings.Contains(gate.heard(), "here")
	})
	if strings.Contains(gate.heard(), "$CONTROL") || strings.Contains(guard.heard(), "forged") || strings.Contains(gate.heard(), "of another") {
		t.Errorf("the console heard\n%s\nthe gate heard\n%s", guard.heard(), gate.heard())
	}

	began := time.Now()
	if err := d.Revoke(t.Context(), north, "Li Na", "stolen", admin); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gate.lost:
		t.Logf("disconnected %v after the word", time.Since(began))
	case <-time.After(time.Minute):
		t.Error("a revoked gate stays connected")
	}
	eventually(t, "the account is removed", func() bool { return s.Revoked(north).Account == store.AccountRemoved })
	if _, err := connect(m.Address, grant.ClientID, grant.User, grant.Password); err == nil {
		t.Error("a revoked gate comes in")
	}
	var used *UsedError
	if _, err := d.Join(t.Context(), box, token, secret(0), console); !errors.As(err, &used) {
		t.Errorf("its old link: %v", err)
	}

	token, _, err = d.Invite(t.Context(), north, Account{}, false, console, admin)
	if err == nil {
		grant, err = d.Join(t.Context(), box, token, secret(1), console)
	}
	if err == nil {
		_, err = connect(m.Address, grant.ClientID, grant.User, grant.Password)
	}
	if err != nil || !s.Revoked(north).At.IsZero() {
		t.Errorf("joining anew: %v", err)
	}
}

// TestRevokedWhileTheBrokerIsAway has the broker told once it is back.
func TestRevokedWhileTheBrokerIsAway(t *testing.T) {
	m := testdata.StartGuardedMosquitto(t, "", "")
	d, s := dynamicDesk(t, m)
	token, _, err := d.Invite(t.Context(), north, Account{}, false, console, admin)
	if err != nil {
		t.Fatal(err)
	}
	m.Stop()
	if _, err := d.Join(t.Context(), box, token, secret(0), console); err == nil || !strings.Contains(err.Error(), "nothing listens there") {
		t.Errorf("joining without the broker: %v", err)
	}
	m.Start()
	grant, err := d.Join(t.Context(), box, token, secret(0), console)
	if err != nil {
		t.Fatalf("the same link, once the broker is back: %v", err)
	}
	m.Stop()
	if err := d.Revoke(t.Context(), north, "Li Na", "stolen", admin); err != nil || s.Revoked(north).Account != store.AccountDue {
		t.Errorf("%v, %+v", err, s.Revoked(north))
	}
	m.Start()
	eventually(t, "the broker is told", func() bool { return s.Revoked(north).Account == store.AccountRemoved })
	if _, err := connect(m.Address, grant.ClientID, grant.User, grant.Password); err == nil {
		t.Error("a revoked gate comes in")
	}
}

// TestRevokedWithAnAccountOfMosquittosOwn has somebody look for it: the plugin knows nothing of the users in a password file.
func TestRevokedWithAnAccountOfMosquittosOwn(t *testing.T) {
	d, s := dynamicDesk(t, testdata.StartGuardedMosquitto(t, "", ""))
	if err := d.Revoke(t.Context(), north, "Li Na", "stolen", admin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is to be removed by hand", func() bool { return s.Revoked(north).Account == store.AccountByHand })
}

// TestALinkIsGoodOnce has it used by several boxes at once, used again, withdrawn, too old, guessed, and of a gate that works.
func TestALinkIsGoodOnce(t *testing.T) {
	d, s := desk(t, DefaultConfig(), mqtt.DefaultConfig())
	invite := func(gate mqtt.Gate, replaces bool) (string, store.Invitation) {
		t.Helper()
		token, i, err := d.Invite(t.Context(), gate, Account{"hand", "made 密码"}, replaces, console, admin)
		if err != nil {
			t.Fatal(err)
		}
		return token, i
	}
	token, _ := invite(north, false)
	results := make([]error, 8)
	var boxes sync.WaitGroup
	for n := range results {
		boxes.Go(func() { _, results[n] = d.Join(t.Context(), box, token, secret(n), console) })
	}
	boxes.Wait()
	in := -1
	for n, err := range results {
		var used *UsedError
		switch {
		case err == nil && in < 0:
			in = n
		case !errors.As(err, &used) || used.From != box.String() || time.Since(used.At) > time.Minute:
			t.Errorf("box %d: %v", n, err)
		}
	}
	if in < 0 {
		t.Fatal("nobody came in")
	}
	if grant, err := d.Join(t.Context(), box, token, secret(in), console); err != nil || grant.User != "hand" || grant.Password != "made 密码" {
		t.Errorf("asked again by the same box: %+v, %v", grant, err)
	}

	for name, test := range map[string]struct {
		token func() string
		want  error
	}{
		"guessed": {func() string { return token[1:] + "A" }, ErrUnknown},
		"withdrawn": {func() string {
			token, i := invite(north, false)
			found, err := s.Invitation(t.Context(), i.Token)
			if err == nil {
				err = d.Withdraw(t.Context(), found, admin)
			}
			if err != nil {
				t.Error(err)
			}
			return token
		}, ErrWithdrawn},
		"another one was made": {func() string { token, _ := invite(north, false); invite(north, false); return token }, ErrWithdrawn},
		"too old": {func() string {
			d.cfg.Valid = -time.Second
			defer func() { d.cfg.Valid = time.Hour }()
			token, _ := invite(mqtt.Gate{Site: "plant", Name: "old"}, false)
			return token
		}, ErrExpired},
	} {
		if _, err := d.Join(t.Context(), box, test.token(), secret(9), console); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	guesser := netip.MustParseAddr("10.0.0.66")
	for n := range 10 {
		_, _ = d.Look(t.Context(), guesser, fmt.Sprint("guess ", n))
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.Look(short, guesser, "guess 11"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("guessing is not slowed down: %v", err)
	}
	if _, err := d.Join(t.Context(), box, token, Request{"short"}, console); !errors.Is(err, ErrPassword) {
		t.Error(err)
	}

	if err := s.SetStatus(t.Context(), north, mqtt.StatusMessage{State: store.Online}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var taken *TakenError
	token, _ = invite(north, false)
	if _, err := d.Join(t.Context(), box, token, secret(10), console); !errors.As(err, &taken) {
		t.Errorf("a box works as the gate: %v", err)
	}
	token, _ = invite(north, true)
	if _, err := d.Join(t.Context(), box, token, secret(10), console); err != nil {
		t.Errorf("a link that replaces it: %v", err)
	}

	lines, err := s.Audit(t.Context(), store.AuditFilter{What: store.JoinedGate}, 10)
	if err != nil || len(lines) != 2 || lines[0].By.Address != box || lines[0].Scope != north {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
}

func TestBrokerForThoseElsewhere(t *testing.T) {
	for _, test := range []struct{ broker, console, want string }{
		{"mqtt://127.0.0.1:1883", "https://console.plant:8090", "mqtt://console.plant:1883"},
		{"mqtts://localhost", "https://10.0.0.1:8090", "mqtts://10.0.0.1"},
		{"mqtts://[::]:8883", "https://[fd00::1]", "mqtts://[fd00::1]:8883"},
		{"mqtts://broker.plant:8883", "https://console.plant", "mqtts://broker.plant:8883"},
		{"mqtt://127.0.0.1:1883", "http://127.0.0.1:8090", "mqtt://127.0.0.1:1883"},
	} {
		cfg := mqtt.DefaultConfig()
		cfg.Broker = test.broker
		if got := New(DefaultConfig(), "test", cfg, nil, quiet).BrokerFor(test.console); got != test.want {
			t.Errorf("%s at %s: %s", test.broker, test.console, got)
		}
	}
}

// TestAGatesOwnBrokerLetsInWhoJoined has a box join at the broker of another gate, and be revoked while it is connected.
func TestAGatesOwnBrokerLetsInWhoJoined(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("of console\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := mqtt.DefaultBrokerConfig()
	cfg.Listen, cfg.User, cfg.PasswordFile = "127.0.0.1:0", "console", password
	own, err := mqtt.StartBroker(cfg, mqtt.Gate{Site: "plant", Name: "south"}, filepath.Join(t.TempDir(), "broker.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	broker := mqtt.DefaultConfig()
	broker.Broker, broker.Own = "mqtt://"+own.Address, own
	d, s := desk(t, DefaultConfig(), broker)
	var unfit *UnfitError
	if _, _, err := d.Invite(t.Context(), mqtt.Gate{Site: "elsewhere", Name: "north"}, Account{}, false, console, admin); !errors.As(err, &unfit) {
		t.Errorf("a gate of another site: %v", err)
	}
	token, _, err := d.Invite(t.Context(), north, Account{}, false, console, admin)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := d.Join(t.Context(), box, token, secret(0), "http://127.0.0.1:8090")
	if err != nil || grant.User != "north" || grant.Broker != "mqtt://"+own.Address {
		t.Fatalf("%+v, %v", grant, err)
	}
	gate, err := connect(own.Address, "gate", grant.User, grant.Password)
	if err != nil {
		t.Fatal(err)
	}
	gate.Publish(north.StatusTopic(), 1, true, "here").Wait()
	if err := d.Revoke(t.Context(), north, "Li Na", "stolen", admin); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gate.lost:
	case <-time.After(time.Minute):
		t.Error("a revoked gate stays connected")
	}
	if _, err := connect(own.Address, "gate", grant.User, grant.Password); err == nil {
		t.Error("a revoked gate comes in")
	}
	eventually(t, "the account is removed", func() bool { return s.Revoked(north).Account == store.AccountRemoved })
}

// TestNoPasswordGoesInTheClear: neither link nor grant is for an account whose password others in the network could read.
func TestNoPasswordGoesInTheClear(t *testing.T) {
	account := Account{"hand", "made"}
	for _, test := range []struct {
		broker, joinBroker, console string
		account                     Account
		fit                         bool
	}{
		{"mqtt://127.0.0.1:1", "", "https://console.plant", account, false},
		{"mqtt://127.0.0.1:1", "", "https://127.0.0.1:8090", account, true},
		{"mqtt://127.0.0.1:1", "", "https://console.plant", Account{}, true}, // it asks for none
		{"mqtt://127.0.0.1:1", "mqtts://broker.plant", "https://console.plant", account, true},
		{"mqtts://broker.plant", "ws://broker.plant", "https://console.plant", account, false},
	} {
		cfg, broker := DefaultConfig(), mqtt.DefaultConfig()
		cfg.Broker, broker.Broker = test.joinBroker, test.broker
		d, _ := desk(t, cfg, broker)
		var unfit *UnfitError
		_, _, err := d.Invite(t.Context(), north, test.account, false, test.console, admin)
		if (err == nil) != test.fit || err != nil && (!errors.As(err, &unfit) || !strings.Contains(err.Error(), "certificate")) {
			t.Errorf("%+v: a link: %v", test, err)
		}
		token, _, err := d.Invite(t.Context(), north, test.account, false, "https://127.0.0.1", admin) // but used from elsewhere
		if err != nil {
			continue
		}
		if grant, err := d.Join(t.Context(), box, token, secret(0), test.console); (err == nil) != test.fit || err != nil && grant.Password != "" {
			t.Errorf("%+v: granted %+v, %v", test, grant, err)
		}
	}
}

// TestNobodySharesAClientID: a gate whose account is bound to the client id of another, or of a console, could throw that off.
func TestNobodySharesAClientID(t *testing.T) {
	d, s := dynamicDesk(t, &testdata.Mosquitto{Address: "127.0.0.1:1"})
	if err := s.SetStatus(t.Context(), mqtt.Gate{Site: "plant-a", Name: "north"}, mqtt.StatusMessage{State: store.Online}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for gate, fits := range map[mqtt.Gate]bool{{Site: "plant", Name: "a-north"}: false, {Site: "console", Name: "plant"}: false, {Site: "plant-a", Name: "north"}: true, {Site: "plant", Name: "north"}: true} {
		var unfit *UnfitError
		if _, _, err := d.Invite(t.Context(), gate, Account{}, false, console, admin); (err == nil) != fits || err != nil && !errors.As(err, &unfit) {
			t.Errorf("%v: %v", gate, err)
		}
	}
}

// TestRevokedInTheConfig: who stands in broker.users comes in until somebody has taken that out, and the page says so.
func TestRevokedInTheConfig(t *testing.T) {
	dir := t.TempDir()
	start := func(users ...mqtt.BrokerUser) *mqtt.Broker {
		cfg := mqtt.DefaultBrokerConfig()
		cfg.Listen, cfg.Users = "127.0.0.1:0", users
		own, err := mqtt.StartBroker(cfg, mqtt.Gate{Site: "plant", Name: "south"}, filepath.Join(dir, "broker.db"), quiet)
		if err != nil {
			t.Fatal(err)
		}
		return own
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("of north\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := start(mqtt.BrokerUser{Name: "north", PasswordFile: password, Role: mqtt.RoleGate})
	broker := mqtt.DefaultConfig()
	broker.Broker, broker.Own = "mqtt://"+own.Address, own
	d, s := desk(t, DefaultConfig(), broker)
	if err := d.Revoke(t.Context(), north, "Li Na", "stolen", admin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is to be taken out of the config", func() bool { return s.Revoked(north).Account == store.AccountConfigured })
	own.Close()
	own = start()
	defer own.Close()
	broker.Own = own
	if err := New(DefaultConfig(), "test", broker, s, quiet).expelDue(t.Context()); err != nil || s.Revoked(north).Account != store.AccountRemoved {
		t.Errorf("once it is out: %v, %+v", err, s.Revoked(north))
	}
}

// TestNoKeyIsHandedOut where the file of the authority holds its key besides, as that of a made one does.
func TestNoKeyIsHandedOut(t *testing.T) {
	certificate, key := testdata.Certificate(t, "broker.plant")
	public, err := os.ReadFile(certificate)
	private, keyErr := os.ReadFile(key)
	if err != nil || keyErr != nil {
		t.Fatal(err, keyErr)
	}
	cfg := DefaultConfig()
	cfg.CAFile = filepath.Join(t.TempDir(), "authority.pem")
	for name, test := range map[string]struct{ broker, file, want, err string }{
		"both":            {"mqtts://broker.plant", string(private) + string(public) + string(private), string(public), ""},
		"the key":         {"mqtts://broker.plant", string(private), "", "authority.pem holds no certificate"},
		"for no broker's": {"mqtt://broker.plant", string(public), "", "is not encrypted"},
	} {
		cfg.Broker = test.broker
		if err := os.WriteFile(cfg.CAFile, []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		d, _ := desk(t, cfg, mqtt.DefaultConfig())
		grant, err := d.Offer(t.Context(), store.Invitation{Gate: north}, "token", console)
		var unfit *UnfitError
		if test.err != "" {
			if _, _, err := d.Invite(t.Context(), north, Account{}, false, console, admin); !errors.As(err, &unfit) {
				t.Errorf("%s: a link is made: %v", name, err)
			}
		}
		if grant.CA != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v", name, grant.CA, err)
		}
	}
}

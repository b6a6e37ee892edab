package mqtt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/testdata"
)

// authority signs certificates for a test.
type authority struct {
	t           testing.TB
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	os.Chmod(a.dir, 0o755)
	a.certificate = &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "plant"}}
	a.key = a.sign("ca", a.certificate, nil)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// sign writes NAME.pem and NAME.key; the authority itself is signed by its own key.
func (a *authority) sign(name string, template *x509.Certificate, signer *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der},
		name + ".key": {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(a.path(file), pem.EncodeToMemory(block), 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	return key
}

func (a *authority) issue(name string, ips ...net.IP) {
	a.t.Helper()
	a.sign(name, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: ips, DNSNames: []string{name + ".example"}}, a.key)
}

func passwordFile(t testing.TB, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLSWithClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("broker", net.IPv4(127, 0, 0, 1))
	ca.issue("gate")
	broker := startMosquitto(t, "allow_anonymous true", "require_certificate true",
		"cafile "+ca.path("ca.pem"), "certfile "+ca.path("broker.pem"), "keyfile "+ca.path("broker.key"))
	cfg := testConfig(broker.address())
	cfg.Broker = "mqtts://" + broker.address()
	cfg.CAFile, cfg.CertFile, cfg.KeyFile = ca.path("ca.pem"), ca.path("gate.pem"), ca.path("gate.key")
	j := openJournal(t)
	appendEvents(t, j, 1, 1)
	c, _ := run(t, cfg, j, nil)
	eventually(t, func() bool { return c.State().Confirmed == 1 })
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	ca.issue("broker", net.IPv4(127, 0, 0, 1))
	ca.issue("stranger")
	passwords := filepath.Join(ca.dir, "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", passwords, "north", "right").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	plain := startMosquitto(t, "allow_anonymous false", "password_file "+passwords)
	secured := func(name string) string {
		return "mqtts://" + startMosquitto(t, "allow_anonymous true", "require_certificate true",
			"cafile "+ca.path("ca.pem"), "certfile "+ca.path(name+".pem"), "keyfile "+ca.path(name+".key")).address()
	}
	tls, stranger := secured("broker"), secured("stranger")
	nobody := testdata.FreeAddress(t)
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // "" is no error
	}{
		"right password":                 {func(c *Config) { c.User, c.PasswordFile = "north", passwordFile(t, "right") }, ""},
		"wrong password":                 {func(c *Config) { c.User, c.PasswordFile = "north", passwordFile(t, "wrong") }, `it refuses user "north", check mqtt.user and mqtt.password_file`},
		"no password":                    {func(*Config) {}, "it wants a user and a password, set mqtt.user and mqtt.password_file"},
		"no password file":               {func(c *Config) { c.User, c.PasswordFile = "north", "/none" }, "mqtt.password_file: open /none"},
		"no password in the environment": {func(c *Config) { c.User, c.PasswordEnv = "north", "THERMOGATE_NO_SUCH" }, "mqtt.password_env: the environment has no THERMOGATE_NO_SUCH"},
		"nobody there":                   {func(c *Config) { c.Broker = "mqtt://" + nobody }, "nothing listens there"},
		"TLS to a plain port":            {func(c *Config) { c.Broker = "mqtts://" + plain.address() }, "the port may not be for TLS"},
		"plain to a TLS port":            {func(c *Config) { c.Broker = strings.Replace(tls, "mqtts", "mqtt", 1) }, "perhaps it wants TLS (mqtts://)"},
		"unknown authority":              {func(c *Config) { c.Broker = tls }, "set mqtt.ca_file"},
		"wrong authority":                {func(c *Config) { c.Broker, c.CAFile = tls, other.path("ca.pem") }, "set mqtt.ca_file"},
		"authority is no PEM":            {func(c *Config) { c.Broker, c.CAFile = tls, passwordFile(t, "x") }, "holds no PEM certificate"},
		"no client certificate":          {func(c *Config) { c.Broker, c.CAFile = tls, ca.path("ca.pem") }, "mqtt.cert_file"},
		"other host":                     {func(c *Config) { c.Broker, c.CAFile = stranger, ca.path("ca.pem") }, "its certificate is for another host name"},
		"no address":                     {func(c *Config) { c.Broker = "broker" }, `mqtt.broker: "broker" is not an address`},
		"password in address":            {func(c *Config) { c.Broker = "mqtt://north:secret@broker" }, "mqtt.broker: user and password do not belong in the address"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(plain.address())
			test.change(&cfg)
			err := Check(t.Context(), cfg, testGate)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v\nwant one with %q", err, test.want)
			case err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "secret")):
				t.Errorf("error %q has several lines or the password", err)
			}
		})
	}
}

func TestConfigThatIsRefused(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"broker: ":                         func(c *Config) { c.Broker = "http://broker" },
		"password_file and password_env":   func(c *Config) { c.User, c.PasswordFile, c.PasswordEnv = "u", "f", "E" },
		"user: a password needs a user":    func(c *Config) { c.PasswordFile = "f" },
		"cert_file and key_file":           func(c *Config) { c.Broker, c.CertFile = "mqtts://broker", "c.pem" },
		"is not encrypted":                 func(c *Config) { c.CAFile = "ca.pem" },
		"keep_alive: 0s":                   func(c *Config) { c.KeepAlive = 0 },
		"backlog_per_second: 0":            func(c *Config) { c.BacklogPerSecond = 0 },
		`commands: "reboot" is not one of`: func(c *Config) { c.Commands = []Verb{"reboot"} },
		`sparkplug.group_id: "a/b"`:        func(c *Config) { c.Sparkplug.GroupID = "a/b" },
		"onvif.prefix: ":                   func(c *Config) { c.ONVIF.Prefix = "+" },
		"home_assistant.prefix: ":          func(c *Config) { c.HomeAssistant = HomeAssistant{Enabled: true, Prefix: "#"} },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestNamesThatCantStandInATopic(t *testing.T) {
	for name, ok := range map[string]bool{
		"north": true, "北门 2": true, "": false, "a/b": false, "a+": false, "#": false, ".": false, "..": false, "...": true, ".a": true, "a\nb": false, "\u202eb": false, "\xff": false, strings.Repeat("x", 65): false,
	} {
		if err := (Gate{Site: "plant", Name: name}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
		gate, rest, parsed := ParseTopic(Gate{Site: "plant", Name: name}.ScreeningTopic("pass"))
		if ok && (!parsed || gate.Name != name || rest != "screening/pass") {
			t.Errorf("%q came back as %q, %q, %v", name, gate.Name, rest, parsed)
		}
	}
}

// deployedMosquitto runs what is in deploy/mosquitto, with other paths and another port.
func deployedMosquitto(t *testing.T, ca *authority, users ...string) string {
	t.Helper()
	conf, err := os.ReadFile("../../deploy/mosquitto/mosquitto.conf")
	if err != nil {
		t.Fatal(err)
	}
	acl, err := os.ReadFile("../../deploy/mosquitto/acl")
	if err != nil {
		t.Fatal(err)
	}
	acl = bytes.ReplaceAll(acl, []byte("#pattern"), []byte("pattern")) // what is needed only where it is switched on
	acl = append(acl, "\nuser host\ntopic read spBv1.0/plant/#\n"...)
	if err := os.WriteFile(ca.path("acl"), acl, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, user := range users {
		args := []string{"-b", ca.path("passwords"), user, "secret"}
		if i == 0 {
			args = append([]string{"-c"}, args...)
		}
		if out, err := exec.Command("mosquitto_passwd", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	os.Chmod(ca.path("passwords"), 0o600)
	port := testdata.FreePort(t)
	settings := strings.NewReplacer(
		"listener 8883", fmt.Sprintf("listener %d 127.0.0.1", port),
		"/etc/mosquitto/certs/", ca.dir+"/", "/etc/mosquitto/", ca.dir+"/",
	).Replace(string(conf))
	debian := "user root\npersistence true\npersistence_location " + ca.dir + "/\n"
	startMosquittoWith(t, port, debian+settings)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func TestDeployedRulesLetAGateWriteItsOwnTopicsOnly(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("broker", net.IPv4(127, 0, 0, 1))
	address := deployedMosquitto(t, ca, "north", "south", "console", "host")
	config := func(user string) Config {
		cfg := testConfig(address)
		cfg.Broker, cfg.CAFile = "mqtts://"+address, ca.path("ca.pem")
		cfg.User, cfg.PasswordFile = user, passwordFile(t, "secret")
		return cfg
	}
	messages := make(chan Message, 100)
	subscribed := make(chan struct{})
	go Receive(t.Context(), config("console"), "console", []string{"thermogate/plant/+/screening/+", "thermogate/plant/+/snapshot/+", "thermogate/plant/+/onvif-ej/#"}, func() { close(subscribed) }, func(m Message) { messages <- m })
	<-subscribed

	south := newClient(t, config("south"), openJournal(t), nil) // calls itself north
	south.timing.proof = 300 * time.Millisecond
	start(t, south)
	appendEvents(t, south.journal, 1, 1)
	eventually(t, func() bool {
		return strings.Contains(south.State().LastError, `allow user "south" to write thermogate/plant/north/#`)
	})
	if got := south.State(); got.Confirmed != 0 || got.Backlog != 1 {
		t.Errorf("an event that the broker threw away counts as delivered: %+v", got)
	}

	if err := south.PublishSnapshot(alertID, []byte("of south")); err != nil { // the broker throws it away, or the next one comes after it
		t.Fatal(err)
	}

	j := openJournal(t)
	cfg := config("north")
	cfg.ClientID = "north"
	cfg.Sparkplug.Enabled, cfg.ONVIF.Enabled = true, true
	host := config("host")
	births := make(chan Message, 100)
	watching := make(chan struct{})
	go Receive(t.Context(), host, "host", []string{"spBv1.0/plant/#"}, func() { close(watching) }, func(m Message) { births <- m })
	<-watching
	north := newClient(t, cfg, j, nil)
	told := make(chan Alert, 10)
	north.HandleAlerts(func(a Alert) { told <- a })
	start(t, north)
	waitConnected(t, north)
	for _, user := range []string{"south", "console"} { // another gate has no word in it
		conn, err := connect(t.Context(), config(user), user+"-says", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Publish(testGate.StoredTopic(), 1, true, word(j, user, 0)).Wait()
		conn.Publish(testGate.AlertTopic(alertID), 1, true, `{"state":"closed","outcome":"false","by":"`+user+`"}`).Wait()
		conn.Disconnect(250)
	}
	if a := <-told; a != (Alert{Event: alertID, Closed: true, Outcome: FalseAlert}) {
		t.Errorf("the gate is told of %+v", a)
	}
	appendEvents(t, j, 2, 2)
	eventually(t, func() bool { return north.State().Confirmed == 1 })
	for _, want := range []string{"NBIRTH/north", "DBIRTH/north/screening", "DDATA/north/screening"} {
		if m := <-births; m.Topic != "spBv1.0/plant/"+want {
			t.Errorf("the host got %s, want %s", m.Topic, want)
		}
	}
	if len(told) > 0 || j.Stats().Receivers != 1 {
		t.Error("the gate is told by another gate, too, or not of a receiver")
	}
	if m := <-messages; m.Topic != cfg.onvifTopic(testGate) {
		t.Errorf("the console got %s", m.Topic)
	}
	defer func() {
		if err := north.PublishSnapshot(alertID, []byte("of north")); err != nil {
			t.Fatal(err)
		}
		if m := <-messages; m.Topic != testGate.SnapshotTopic(alertID) || string(m.Payload) != "of north" {
			t.Errorf("the console got %s on %s", m.Payload, m.Topic)
		}
	}()
	if m := <-messages; m.Topic != testGate.ScreeningTopic("pass") || !strings.Contains(string(m.Payload), sample(2).ID) {
		t.Errorf("the console got %s on %s", m.Payload, m.Topic)
	}
}

package mqtt

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func startBroker(t testing.TB, cfg BrokerConfig) *Broker {
	t.Helper()
	b, err := StartBroker(cfg, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestEmbeddedBrokerCarriesEvents(t *testing.T) {
	cfg := DefaultBrokerConfig()
	cfg.Listen = "127.0.0.1:0"
	b := startBroker(t, cfg)
	sub := subscribe(t, b.Address, "thermogate/#")
	j := openJournal(t)
	appendEvents(t, j, 1, 500)
	run(t, testConfig(b.Address), j, nil)
	sub.waitFor(t, 10*time.Second, func(messages []message) bool {
		_, backlog := screenings(messages)
		return len(backlog) == 500
	})
}

func TestEmbeddedBrokerWantsThePassword(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := startBroker(t, BrokerConfig{Listen: "0.0.0.0:0", User: "gates", PasswordFile: password, MaxClients: 10})
	address := "127.0.0.1" + b.Address[strings.LastIndex(b.Address, ":"):]
	cfg := testConfig(address)
	if err := Check(t.Context(), cfg, testGate); err == nil || !strings.Contains(err.Error(), "it wants a user and a password") {
		t.Errorf("without a password: %v", err)
	}
	cfg.User, cfg.PasswordFile = "gates", password
	if err := Check(t.Context(), cfg, testGate); err != nil {
		t.Errorf("with the password: %v", err)
	}
}

func TestBrokerPortInUse(t *testing.T) {
	cfg := DefaultBrokerConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.Listen = startBroker(t, cfg).Address
	if _, err := StartBroker(cfg, quietLog); err == nil || !strings.Contains(err.Error(), "broker.listen: "+cfg.Listen+" is in use") {
		t.Errorf("error %v", err)
	}
}

func TestEmbeddedBrokerHasRoomForSoMany(t *testing.T) {
	b := startBroker(t, BrokerConfig{Listen: "127.0.0.1:0", MaxClients: 1})
	var silent []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", b.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		silent = append(silent, conn)
	}
	if _, err := silent[2].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the third connection to a broker with room for two: %v", err)
	}
	silent[0].Close()
	silent[1].Close()
	eventually(t, func() bool { return Check(t.Context(), testConfig(b.Address), testGate) == nil })
}

func TestBrokerConfigThatIsRefused(t *testing.T) {
	for want, change := range map[string]func(*BrokerConfig){
		"listen: ":            func(c *BrokerConfig) { c.Listen = "1883" },
		"can be reached from": func(c *BrokerConfig) { c.Listen = ":1883" },
		"user and password":   func(c *BrokerConfig) { c.User = "gates" },
		"cert_file":           func(c *BrokerConfig) { c.KeyFile = "key.pem" },
		"max_clients: 0":      func(c *BrokerConfig) { c.MaxClients = 0 },
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

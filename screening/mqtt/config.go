package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"thermogate/screening/listen"
)

// Config says which broker events go to and how. It is the section "mqtt" of the configuration file.
type Config struct {
	// Broker is its address: mqtt://host:1883, mqtts://host:8883 (TLS), ws://host/path or wss://host/path.
	Broker string `yaml:"broker"`
	// ClientID is how the broker knows this connection; empty is thermogate-SITE-GATE. No two gates share one.
	ClientID string `yaml:"client_id"`
	User     string `yaml:"user"`
	// PasswordFile holds the password and nothing else, or PasswordEnv names the environment variable that does.
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	// CAFile holds the certificate authority the broker is checked with instead of those of the system; CertFile and
	// KeyFile this gate's own certificate. All are PEM.
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// KeepAlive is how often a quiet connection is tried; a dead one is noticed after one and a half times that.
	KeepAlive time.Duration `yaml:"keep_alive"`
	// BacklogPerSecond is how many events a second are sent of those that waited for the broker.
	BacklogPerSecond int `yaml:"backlog_per_second"`
	// Commands are the verbs that are obeyed: rescreen, pause, recalibrate, group/reset, ambient, badge.
	Commands []Verb `yaml:"commands"`
	// Snapshots is true for a gate that publishes a thermal picture with every alert.
	Snapshots bool `yaml:"snapshots"`
	// OutcomeOnly is true for a gate whose events hold no temperatures.
	OutcomeOnly   bool          `yaml:"-"`
	HomeAssistant HomeAssistant `yaml:"home_assistant"`
	Sparkplug     Sparkplug     `yaml:"sparkplug"`
	ONVIF         ONVIF         `yaml:"onvif"`
	// Own is the gate's own broker. It is reached within the process, so neither certificates nor other clients can be in
	// the way, and who comes so may speak for the gate; Broker is but its name then.
	Own *Broker `yaml:"-"`
}

// HomeAssistant makes the gate show up in Home Assistant by itself.
type HomeAssistant struct {
	Enabled bool `yaml:"enabled"`
	// Prefix of the discovery topics, as it is set in Home Assistant.
	Prefix string `yaml:"prefix"`
}

// DefaultConfig is a broker on this machine, with no commands allowed.
func DefaultConfig() Config {
	return Config{
		Broker:           "mqtt://127.0.0.1:1883",
		KeepAlive:        15 * time.Second,
		BacklogPerSecond: 1000,
		HomeAssistant:    HomeAssistant{Prefix: "homeassistant"},
	}
}

// Validate names the first key that is wrong and what would be right, without the "mqtt." before it. It opens no file.
func (c Config) Validate() error {
	broker, err := c.address()
	if err != nil {
		return err
	}
	switch {
	case c.PasswordFile != "" && c.PasswordEnv != "":
		return errors.New("password_file and password_env: give one of them")
	case c.User == "" && (c.PasswordFile != "" || c.PasswordEnv != ""):
		return errors.New("user: a password needs a user")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("cert_file and key_file: give both or none")
	case !secure(broker) && (c.CAFile != "" || c.CertFile != ""):
		return fmt.Errorf("broker: %q is not encrypted, but certificates are given; use mqtts:// or wss://", c.Broker)
	case len(c.ClientID) > 128 || !utf8.ValidString(c.ClientID):
		return errors.New("client_id: use at most 128 printable characters")
	case c.KeepAlive < 2*time.Second || c.KeepAlive > 10*time.Minute:
		return fmt.Errorf("keep_alive: %v is not between 2s and 10m", c.KeepAlive)
	case c.BacklogPerSecond < 1 || c.BacklogPerSecond > 100_000:
		return fmt.Errorf("backlog_per_second: %d is not between 1 and 100000", c.BacklogPerSecond)
	case strings.ContainsAny(c.ONVIF.Prefix, "+#"):
		return fmt.Errorf("onvif.prefix: %q is not a topic", c.ONVIF.Prefix)
	case c.HomeAssistant.Enabled && (c.HomeAssistant.Prefix == "" || strings.ContainsAny(c.HomeAssistant.Prefix, "+#")):
		return fmt.Errorf("home_assistant.prefix: %q is not a topic", c.HomeAssistant.Prefix)
	}
	for _, name := range []struct{ key, value string }{
		{"group_id", c.Sparkplug.GroupID}, {"primary_host_id", c.Sparkplug.PrimaryHostID},
	} {
		if err := validateName(name.value); name.value != "" && err != nil {
			return fmt.Errorf("sparkplug.%s: %q: %w", name.key, name.value, err)
		}
	}
	for _, verb := range c.Commands {
		if !verb.known() {
			return fmt.Errorf("commands: %q is not one of %v", verb, verbs)
		}
	}
	return nil
}

// ports are those that a scheme has where the address gives none.
var ports = map[string]string{
	"mqtt": "1883", "tcp": "1883", "mqtts": "8883", "ssl": "8883", "tls": "8883", "ws": "80", "wss": "443",
}

func (c Config) address() (*url.URL, error) {
	u, err := url.Parse(c.Broker)
	if err != nil || ports[u.Scheme] == "" || u.Hostname() == "" {
		return nil, fmt.Errorf("broker: %q is not an address such as mqtt://broker.example:1883 or mqtts://broker.example:8883", redact(c.Broker))
	}
	if u.User != nil {
		return nil, errors.New("broker: user and password do not belong in the address; use user and password_file")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), ports[u.Scheme])
	}
	return u, nil
}

// redact keeps a password that was written into an address by mistake out of messages.
func redact(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "…" + address[i:]
	}
	return address
}

func secure(u *url.URL) bool {
	return u.Scheme != "mqtt" && u.Scheme != "tcp" && u.Scheme != "ws"
}

func (c Config) password() (string, error) {
	switch {
	case c.PasswordFile != "":
		password, err := listen.ReadSecret(c.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("mqtt.password_file: %w", err)
		}
		return password, nil
	case c.PasswordEnv != "":
		password, ok := os.LookupEnv(c.PasswordEnv)
		if !ok || password == "" {
			return "", fmt.Errorf("mqtt.password_env: the environment has no %s", c.PasswordEnv)
		}
		return password, nil
	}
	return "", nil
}

func (c Config) tls(serverName string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt.ca_file: %s holds no PEM certificate", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.cert_file and mqtt.key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

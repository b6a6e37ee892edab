package mqtt

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// BrokerConfig is the broker that a gate can bring along, for one gate or a few. It keeps what it holds in memory;
// a site with more wants a broker of its own. It is the section "broker" of the configuration file.
type BrokerConfig struct {
	// Listen is the address to listen at. Off this machine (anything but 127.0.0.1 or [::1]) it needs a password.
	Listen string `yaml:"listen"`
	// User and PasswordFile are what every client has to give; empty lets in everyone who reaches the address.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// CertFile and KeyFile (PEM) switch TLS on.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// MaxClients bounds how many are connected at once.
	MaxClients int `yaml:"max_clients"`
}

// DefaultBrokerConfig listens on this machine only.
func DefaultBrokerConfig() BrokerConfig {
	return BrokerConfig{Listen: "127.0.0.1:1883", MaxClients: 500}
}

// Limits of the broker for each client. An event has about 900 bytes; the queue is what a subscriber may miss while it
// is away or slow before the oldest are dropped.
const (
	brokerMaxPacket = 256 << 10
	brokerQueue     = 32 << 10
	brokerHello     = 10 * time.Second
	brokerExpiry    = 10 * 365 * 24 * 60 * 60 // seconds; the status of a gate that was switched off stays
)

// Validate names the first key that is wrong and what would be right, without the "broker." before it. It opens no file.
func (c BrokerConfig) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("listen: %q is not an address such as 127.0.0.1:1883 or 0.0.0.0:1883", c.Listen)
	case (c.User == "") != (c.PasswordFile == ""):
		return errors.New("user and password_file: give both or none")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("cert_file and key_file: give both or none")
	case c.User == "" && !loopback(host):
		return fmt.Errorf("listen: %s can be reached from other machines, so set user and password_file", c.Listen)
	case c.MaxClients < 1 || c.MaxClients > 10_000:
		return fmt.Errorf("max_clients: %d is not between 1 and 10000", c.MaxClients)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Broker is a running broker.
type Broker struct {
	server *broker.Server
	// Address is where it listens, with the port that was chosen where Listen ends in ":0".
	Address string
}

// StartBroker starts a broker; it runs until Close.
func StartBroker(cfg BrokerConfig, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("broker.%w", err)
	}
	hook, err := cfg.admission()
	if err != nil {
		return nil, err
	}
	capabilities := broker.NewDefaultServerCapabilities()
	capabilities.MaximumClients = int64(cfg.MaxClients)
	capabilities.MaximumPacketSize = brokerMaxPacket
	capabilities.MaximumInflight = brokerQueue
	capabilities.MaximumMessageExpiryInterval = brokerExpiry
	server := broker.New(&broker.Options{Capabilities: capabilities, Logger: quiet(log), SysTopicResendInterval: 10})
	if err := server.AddHook(hook, nil); err != nil {
		return nil, fmt.Errorf("starting the broker: %w", err)
	}
	listener, err := cfg.listen()
	if err != nil {
		return nil, err
	}
	if err := server.AddListener(listeners.NewNet("mqtt", listener)); err != nil {
		listener.Close()
		return nil, fmt.Errorf("starting the broker: %w", err)
	}
	if err := server.Serve(); err != nil {
		server.Close()
		return nil, fmt.Errorf("starting the broker: %w", err)
	}
	return &Broker{server: server, Address: listener.Addr().String()}, nil
}

// Close disconnects every client and stops.
func (b *Broker) Close() error { return b.server.Close() }

func (c BrokerConfig) listen() (net.Listener, error) {
	var config *tls.Config
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("broker.cert_file and broker.key_file: %w", err)
		}
		config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("broker.listen: %s is in use, perhaps by another broker: stop that, or choose another port", c.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("broker.listen: %w", err)
	}
	// Twice as many as clients: one that reconnects may come before its old connection is given up.
	listener = &boundedListener{Listener: listener, room: make(chan struct{}, 2*c.MaxClients)}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	return listener, nil
}

// boundedListener hangs up on connections beyond its room, and gives each only brokerHello to make itself known: the
// broker itself counts and times clients only from their CONNECT on, which sets a deadline of its own.
type boundedListener struct {
	net.Listener
	room chan struct{}
}

// Accept returns the next connection for which there is room.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			conn.SetDeadline(time.Now().Add(brokerHello))
			return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.room })}, nil
		default:
			conn.Close()
		}
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close makes room for another connection.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

func (c BrokerConfig) admission() (broker.Hook, error) {
	if c.User == "" {
		return new(auth.AllowHook), nil
	}
	password, err := readSecret("broker.password_file", c.PasswordFile)
	if err != nil {
		return nil, err
	}
	return &passwordHook{user: []byte(c.User), password: []byte(password)}, nil
}

// passwordHook lets in who knows the one user and password.
type passwordHook struct {
	broker.HookBase
	user, password []byte
}

// ID names the hook.
func (h *passwordHook) ID() string { return "password" }

// Provides tells that the hook decides about connections and topics.
func (h *passwordHook) Provides(method byte) bool {
	return method == broker.OnConnectAuthenticate || method == broker.OnACLCheck
}

// OnConnectAuthenticate compares in constant time.
func (h *passwordHook) OnConnectAuthenticate(_ *broker.Client, pk packets.Packet) bool {
	user := subtle.ConstantTimeCompare(pk.Connect.Username, h.user)
	password := subtle.ConstantTimeCompare(pk.Connect.Password, h.password)
	return user&password == 1
}

// OnACLCheck allows every topic: whoever is in is trusted.
func (h *passwordHook) OnACLCheck(*broker.Client, string, bool) bool { return true }

// quiet lets only what an operator needs through of what the broker has to say: it warns of every connection that ends.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(errorsOnly{log.Handler()})
}

type errorsOnly struct{ slog.Handler }

func (h errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"sync"
	"time"

	"thermogate/screening/journal"

	broker "github.com/mochi-mqtt/server/v2"

	"thermogate/screening/listen"
)

// BrokerConfig is the broker that a gate can bring along, for one gate or a few. It is the section "broker" of the
// configuration file.
type BrokerConfig struct {
	// Listen is the address to listen at. Off this machine (anything but 127.0.0.1 or [::1]) it needs users.
	Listen string `yaml:"listen"`
	// Users are who is let in. Without any, whoever reaches the address is a console without a password.
	Users []BrokerUser `yaml:"users"`
	// User and PasswordFile are one more user, a console.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// CertFile and KeyFile (PEM) switch TLS on.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// MaxClients bounds how many are connected at once; from one address come at most half of them.
	MaxClients int `yaml:"max_clients"`
	// QueueMiB bounds what is kept on disk for all clients that are away. Each can have a hundredth of it whatever the
	// others take, so the disk may hold up to twice as much.
	QueueMiB int `yaml:"queue_mib"`
}

// DefaultBrokerConfig listens on this machine only. A console that is away misses nothing for 100,000 events.
func DefaultBrokerConfig() BrokerConfig {
	return BrokerConfig{
		Listen: "127.0.0.1:1883", Users: []BrokerUser{}, MaxClients: 500, QueueMiB: 128,
	}
}

// Validate names the first key that is wrong and what would be right, without the "broker." before it. It opens no file.
func (c BrokerConfig) Validate() error {
	_, _, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("listen: %q is not an address such as 127.0.0.1:1883 or 0.0.0.0:1883", c.Listen)
	case (c.User == "") != (c.PasswordFile == ""):
		return errors.New("user and password_file: give both or none")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("cert_file and key_file: give both or none")
	case len(c.users()) == 0 && !(listen.Config{Listen: c.Listen}).Local():
		return fmt.Errorf("listen: %s can be reached from other machines, so set users", c.Listen)
	case c.MaxClients < 1 || c.MaxClients > 10_000:
		return fmt.Errorf("max_clients: %d is not between 1 and 10000", c.MaxClients)
	case c.QueueMiB < 1 || c.QueueMiB > 1<<20:
		return fmt.Errorf("queue_mib: %d is not between 1 and 1048576", c.QueueMiB)
	}
	return validateUsers(c.users())
}

// Broker is a running broker.
type Broker struct {
	own       *ownListener
	listeners []*brokerListener
	access    *access
	limits    *limits
	close     func() error
	cancel    context.CancelFunc // ends waiting
	waiting   sync.WaitGroup     // for the disk, before it serves

	mu       sync.Mutex // of what follows
	server   *broker.Server
	sessions *brokerSessions

	// Address is where it listens, with the port that was chosen where Listen ends in ":0".
	Address string
}

// StartBroker starts the broker of gate, which keeps what it must not forget in file; it runs until Close. A damaged
// file is set aside. Where the disk does not let it open the file, it serves nobody until it can; Err says so.
func StartBroker(cfg BrokerConfig, gate Gate, file string, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("broker.%w", err)
	}
	access, err := cfg.access(gate)
	if err != nil {
		return nil, err
	}
	limits := newLimits(log)
	network, err := cfg.listen(limits)
	if err != nil {
		return nil, err
	}
	own := newOwnListener()
	ctx, cancel := context.WithCancel(context.Background())
	b := &Broker{own: own, cancel: cancel, access: access, limits: limits, Address: network.Addr().String(), listeners: []*brokerListener{
		{Listener: network, name: networkName, hangUp: network.hangUp},
		{Listener: own, name: ownName, hangUp: own.hangUp},
	}}
	b.close = sync.OnceValue(b.shutDown)
	serve := func() error { return b.serve(cfg, file, log) }
	err = serve()
	if journal.Refused(err) {
		limits.tell(limitClosed, "error", err)
		b.waiting.Go(func() { b.waitToServe(ctx, serve) })
		return b, nil
	}
	if err != nil {
		cancel()
		network.Close()
		return nil, fmt.Errorf("starting the broker: %w", err)
	}
	return b, nil
}

// serveAgain is how often it is tried to open a file that the disk refuses.
const serveAgain = time.Second

// waitToServe tries until it serves, or ctx ends.
func (b *Broker) waitToServe(ctx context.Context, serve func() error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(serveAgain):
		}
		err := serve()
		if err == nil {
			b.limits.forget(limitClosed)
			return
		}
		b.limits.tell(limitClosed, "error", err)
	}
}

// CheckBroker tells what would keep a broker from starting, but for its file.
func CheckBroker(cfg BrokerConfig, gate Gate) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("broker.%w", err)
	}
	if _, err := cfg.access(gate); err != nil {
		return err
	}
	network, err := cfg.listen(newLimits(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	return network.Close()
}

func (b *Broker) serve(cfg BrokerConfig, file string, log *slog.Logger) error {
	if err := b.access.recall(filepath.Join(filepath.Dir(file), admittedName), log); err != nil {
		return err
	}
	store, err := openBrokerStore(file, log)
	if err != nil {
		return err
	}
	server := broker.New(&broker.Options{
		Capabilities: capabilities(),
		Logger:       slog.New(slog.DiscardHandler), // it warns of every connection that ends; limits has what matters
		// Nobody may read $SYS, and gathering it stops the process for a moment.
		SysTopicResendInterval: int64(24 * time.Hour / time.Second),
	})
	sessions, err := newBrokerSessions(cfg, b.access, server, store, b.limits)
	if err == nil {
		err = server.AddHook(sessions, nil)
	}
	for _, listener := range b.listeners {
		err = errors.Join(err, server.AddListener(listener))
	}
	if err == nil {
		err = server.Serve()
	}
	if err != nil {
		store.close()
		return err
	}
	sessions.start()
	b.mu.Lock()
	b.server, b.sessions = server, sessions
	b.mu.Unlock()
	return nil
}

func capabilities() *broker.Capabilities {
	c := broker.NewDefaultServerCapabilities()
	c.MaximumClients = math.MaxInt64 // sessions counts, and lets the gate itself in always
	c.MaximumSessionExpiryInterval = uint32(sessionLife / time.Second)
	c.MaximumMessageExpiryInterval = 0
	c.MaximumPacketSize = brokerMaxPacket
	c.MaximumClientWritesPending = 1 // sessions sends
	c.ReceiveMaximum = brokerMaxInbound
	c.TopicAliasMaximum = 0 // each could hold a topic of 64 kB
	c.SubIDAvailable = 0
	c.Compatibilities.NoInheritedPropertiesOnAck = true
	return c
}

// Close disconnects every client and stops. Only the first call does anything.
func (b *Broker) Close() error { return b.close() }

func (b *Broker) shutDown() error {
	b.cancel()
	b.waiting.Wait()
	for _, listener := range b.listeners {
		listener.stop()
	}
	if b.server == nil {
		return nil
	}
	err := b.server.Close()
	return errors.Join(err, b.sessions.close())
}

// Err says which of the broker's limits was hit in the last minute, or what else it could not do; nil where all is well.
func (b *Broker) Err() error { return b.limits.err() }

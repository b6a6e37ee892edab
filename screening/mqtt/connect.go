package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	connectTimeout = 10 * time.Second
	writeTimeout   = 10 * time.Second
)

// will is what the broker publishes when a connection breaks off.
type will struct {
	topic    string
	payload  []byte
	retained bool
}

// connection is one connection to the broker, from its CONNECT to its end; it is never taken up again. Each has a paho
// client of its own with no automatic reconnect and a clean session. That makes the token of a publish proof of
// delivery: it completes without an error only when a PUBACK for it has come in on this very connection. A client that
// reconnects completes tokens without such proof.
type connection struct {
	paho.Client
	lost chan error // gets the reason when the connection breaks off
}

// connect returns an open connection, or an error that says in one line what is wrong and which key to look at. What else
// changes the options comes last.
func connect(ctx context.Context, cfg Config, clientID string, will *will, received paho.MessageHandler, more ...func(*paho.ClientOptions)) (*connection, error) {
	broker, err := cfg.address()
	if err != nil {
		return nil, fmt.Errorf("mqtt.%w", err)
	}
	password, err := cfg.password()
	if err != nil {
		return nil, err
	}
	conn := &connection{lost: make(chan error, 1)}
	options := paho.NewClientOptions().
		AddBroker(broker.String()).SetClientID(clientID).SetProtocolVersion(4).
		SetUsername(cfg.User).SetPassword(password).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectTimeout(connectTimeout).SetWriteTimeout(writeTimeout).
		SetKeepAlive(cfg.KeepAlive).SetPingTimeout(cfg.KeepAlive / 2).
		SetConnectionLostHandler(func(_ paho.Client, err error) { conn.lost <- err })
	if received != nil {
		options.SetDefaultPublishHandler(received)
	}
	if will != nil {
		options.SetBinaryWill(will.topic, will.payload, 1, will.retained)
	}
	if secure(broker) {
		config, err := cfg.tls(broker.Hostname())
		if err != nil {
			return nil, err
		}
		options.SetTLSConfig(config)
	}
	if cfg.Own != nil {
		options.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return cfg.Own.own.dial(ctx) })
	}
	for _, change := range more {
		change(options)
	}
	conn.Client = paho.NewClient(options)
	token := conn.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		conn.Disconnect(0)
		return nil, ctx.Err()
	}
	if err := token.Error(); err != nil {
		return nil, cfg.explain(err)
	}
	return conn, nil
}

// wait returns once token is complete, at most after limit.
func wait(ctx context.Context, token paho.Token, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return fmt.Errorf("the broker did not answer within %v", limit)
	}
}

// Check connects to the broker once and returns what is wrong in one line that names the broker and the key to look at.
func Check(ctx context.Context, cfg Config, gate Gate) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("mqtt.%w", err)
	}
	if err := gate.Validate(); err != nil {
		return err
	}
	conn, err := connect(ctx, cfg, cfg.clientID(gate)+"-check", nil, nil)
	if TurnsAway(err) { // an account may be bound to the client id of its gate
		conn, err = connect(ctx, cfg, cfg.clientID(gate), nil, nil)
	}
	if err != nil {
		return err
	}
	conn.Disconnect(250)
	return nil
}

func (c Config) clientID(gate Gate) string {
	if c.ClientID != "" {
		return c.ClientID
	}
	return gate.ClientID()
}

// ConsoleClientID is what the name of a console stands behind where a broker knows the console by it.
const ConsoleClientID = "thermogate-console-"

// ClientID is how a broker knows the gate, unless its config has another.
func (g Gate) ClientID() string { return "thermogate-" + g.Site + "-" + g.Name }

// explain says what an error of connecting means for whoever wrote the configuration.
func (c Config) explain(err error) error {
	return fmt.Errorf("mqtt.broker %s: %s: %w", c.Broker, c.advice(err), err)
}

// TurnsAway tells whether an error of connecting is that user and password are not taken.
func TurnsAway(err error) bool {
	return errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised)
}

func (c Config) advice(err error) string {
	var (
		unknownAuthority x509.UnknownAuthorityError
		wrongHost        x509.HostnameError
		invalid          x509.CertificateInvalidError
		notTLS           tls.RecordHeaderError
		alert            tls.AlertError
		dns              *net.DNSError
		operation        *net.OpError
	)
	switch {
	case TurnsAway(err):
		if c.User == "" {
			return "it wants a user and a password, set mqtt.user and mqtt.password_file"
		}
		return fmt.Sprintf("it refuses user %q, check mqtt.user and %s", c.User, c.passwordKey())
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return "it refuses the client id, check mqtt.client_id"
	case errors.As(err, &unknownAuthority):
		return "its certificate is not from a known authority, set mqtt.ca_file to the one that signed it"
	case errors.As(err, &wrongHost):
		return "its certificate is for another host name, check mqtt.broker"
	case errors.As(err, &invalid):
		return "its certificate is not valid, check its dates and the clock of this machine"
	case errors.As(err, &notTLS):
		return "it does not speak TLS, use mqtt:// or the port for TLS"
	case errors.As(err, &alert), errors.As(err, &operation) && operation.Op == "remote error":
		return "it ends the TLS handshake, check mqtt.cert_file and mqtt.key_file"
	case errors.As(err, &dns):
		return "its host name is not known, check mqtt.broker and the network"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there, start the broker or check mqtt.broker"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if broker, err := c.address(); err == nil && secure(broker) {
			return "it hangs up at once, so the port may not be for TLS, or it wants another client certificate (mqtt.cert_file)"
		}
		return "it hangs up at once, perhaps it wants TLS (mqtts://)"
	default:
		return "no connection"
	}
}

func (c Config) passwordKey() string {
	if c.PasswordEnv != "" {
		return "the variable that mqtt.password_env names"
	}
	return "mqtt.password_file"
}

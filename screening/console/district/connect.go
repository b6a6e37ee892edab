package district

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"thermogate/screening/listen"
)

// Config is the way to the NATS servers of a district, for a plant's console and for that of the district itself.
type Config struct {
	// Servers are some or all of a cluster, such as tls://nats-1.example:4222. Others that they name are not gone to.
	Servers []string `yaml:"servers"`
	// CAFile holds the authority that signed the servers' certificates, CertFile and KeyFile a certificate of one's own.
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// User and PasswordFile, or CredentialsFile, say who comes. The files are read again for every connection.
	User            string `yaml:"user"`
	PasswordFile    string `yaml:"password_file"`
	CredentialsFile string `yaml:"credentials_file"`
}

// Enabled tells whether there is a district.
func (c Config) Enabled() bool { return len(c.Servers) > 0 }

// Validate names the first key that is wrong and what would be right. It opens no file.
func (c Config) Validate() error {
	secure := 0
	for _, server := range c.Servers {
		u, err := url.Parse(server)
		switch {
		case err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Path != "":
			return fmt.Errorf("servers: %.200q must be an address such as tls://nats-1.example:4222", server)
		case u.User != nil:
			return errors.New("servers: a password does not belong in an address; use user and password_file")
		case u.Scheme == "tls":
			secure++
		}
	}
	switch {
	case secure != 0 && secure != len(c.Servers):
		return errors.New("servers: let all be tls:// or all nats://")
	case !c.Enabled() && c.CAFile+c.CertFile+c.KeyFile+c.User+c.PasswordFile+c.CredentialsFile != "":
		return errors.New("servers: name at least one, such as tls://nats-1.example:4222")
	case secure == 0 && (c.CAFile != "" || c.CertFile != ""):
		return errors.New("servers: nats:// is not encrypted; with ca_file or cert_file use tls://")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("cert_file: it goes with key_file; give both or none")
	case c.User != "" && c.CredentialsFile != "":
		return errors.New("credentials_file: it says who comes; leave user out")
	case (c.User == "") != (c.PasswordFile == ""):
		return errors.New("password_file: it goes with user; give both or none")
	}
	return nil
}

// Inbox is the prefix of the subjects on which answers come to a user, so that a server can keep each to their own.
func Inbox(user string) string { return "_INBOX." + token(user) }

// Timing of a connection. The servers that are known are tried one after the other, and then there is a pause.
const (
	reconnectPause  = time.Second
	reconnectJitter = time.Second
	pingInterval    = 5 * time.Second
	pingsMissed     = 2

	// ConnectLimit is how long a server may take to answer. One that gives up sooner on who comes turns them away when it is busy.
	ConnectLimit = 5 * time.Second
)

// Connect returns a connection that is made and made again in the background until it is closed. Its error is of the
// config or its files alone. name is what servers call it in their logs; without a user it names the inbox, too.
func Connect(cfg Config, name string, log *slog.Logger) (*nats.Conn, error) {
	return connectTelling(cfg, name, &told{log: log})
}

func connectTelling(cfg Config, name string, told *told) (*nats.Conn, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	inbox := cfg.User
	if inbox == "" {
		inbox = name
	}
	return nats.Connect(strings.Join(cfg.Servers, ","), append(options,
		nats.Name(name), nats.CustomInboxPrefix(Inbox(inbox)),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), nats.IgnoreDiscoveredServers(),
		nats.ReconnectWait(reconnectPause), nats.ReconnectJitter(reconnectJitter, reconnectJitter), nats.Timeout(ConnectLimit),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsMissed),
		nats.ReconnectBufSize(-1), // what can't be sent now is not kept twice
		nats.ConnectHandler(func(c *nats.Conn) { told.connected(c) }),
		nats.ReconnectHandler(func(c *nats.Conn) { told.connected(c) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { told.failed(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { told.failed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told.erred(err) }),
	)...)
}

func (c Config) options() ([]nats.Option, error) {
	var options []nats.Option
	if strings.HasPrefix(c.Servers[0], "tls:") {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no PEM certificate", c.CAFile)
		}
		options = append(options, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		options = append(options, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	switch {
	case c.User != "":
		if _, err := listen.ReadSecret(c.PasswordFile); err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
		options = append(options, nats.UserInfoHandler(func() (user, password string) {
			password, _ = listen.ReadSecret(c.PasswordFile) // without one the server says so
			return c.User, password
		}))
	case c.CredentialsFile != "":
		if _, err := os.ReadFile(c.CredentialsFile); err != nil {
			return nil, fmt.Errorf("credentials_file: %w", err)
		}
		options = append(options, nats.UserCredentials(c.CredentialsFile))
	}
	return options, nil
}

// told writes one line where the same error comes again and again.
type told struct {
	log *slog.Logger

	mu    sync.Mutex
	last  string // what is wrong with the connection; empty while nothing is
	other string
}

// fault is what is wrong with the connection.
func (t *told) fault() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func (t *told) connected(c *nats.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = ""
	t.log.Info("connected to the district", "server", c.ConnectedUrlRedacted())
}

func (t *told) failed(err error) {
	if err == nil {
		return // it was closed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := explain(err).Error(); text != t.last {
		t.last = text
		t.log.Warn("no connection to the district", "error", text)
	}
}

// erred takes what does not end the connection.
func (t *told) erred(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := explain(err).Error(); text != t.other {
		t.other = text
		t.log.Warn("the district", "error", text)
	}
}

// explain says what to do about an error that says little.
func explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("the server does not take district.user with what password_file, credentials_file or cert_file holds: %w", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is signed by an authority that is not known here; set district.ca_file: %w", err)
	case errors.As(err, &host):
		return fmt.Errorf("the server's certificate is for another host name than district.servers gives it: %w", err)
	case errors.Is(err, nats.ErrPermissionViolation):
		return fmt.Errorf("the server does not let this user do that; see deploy/district/nats.conf for what a plant needs: %w", err)
	}
	return err
}

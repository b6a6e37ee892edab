// Package listen holds what everything that listens needs: the address, TLS and secrets from files. For pages it also has
// the limits on time, connections and log-ins, and the checks that keep other sites' pages out.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Config says where to listen and who may find it there. A section of a configuration file holds its keys among others.
type Config struct {
	// Listen is ADDRESS:PORT.
	Listen string `yaml:"listen"`
	// CertFile and KeyFile (PEM) switch TLS on. They are read again when they change.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// Unencrypted allows an address that others can reach without TLS.
	Unencrypted bool `yaml:"unencrypted"`
	// Hosts are names beside those that the machine and its certificate have: a proxy's, an alias in the DNS.
	Hosts []string `yaml:"hosts"`
	// TLSProxies are addresses or networks of the proxies through which all browsers come, over TLS. They say, in
	// X-Forwarded-For, whom a request comes from.
	TLSProxies []string `yaml:"tls_proxies"`
}

// Validate names the first key that is wrong and what would be right, without its section. It opens no file.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen is %q; it must be ADDRESS:PORT, such as 127.0.0.1:8080", c.Listen)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("cert_file and key_file: give both or none")
	}
	if !c.Encrypted() && !c.Local() && !c.Unencrypted {
		return fmt.Errorf("listen is %q, which others can reach, and without TLS others can read passwords on the way: give cert_file and key_file, "+
			"listen on 127.0.0.1 behind a proxy that encrypts, or allow it with unencrypted: true", c.Listen)
	}
	for _, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, ":/* ") {
			return fmt.Errorf("hosts: %q is not a name such as gate.example, without scheme or port", host)
		}
	}
	_, err := parseProxies(c.TLSProxies)
	return err
}

// Secure tells whether browsers reach it over TLS alone, by themselves or through a proxy.
func (c Config) Secure() bool { return c.Encrypted() || len(c.TLSProxies) > 0 }

// Encrypted tells whether TLS is on.
func (c Config) Encrypted() bool { return c.CertFile != "" }

// Local tells whether only this machine reaches the address.
func (c Config) Local() bool {
	host, _, _ := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Scheme is http or https.
func (c Config) Scheme() string {
	if c.Encrypted() {
		return "https"
	}
	return "http"
}

// Reachable is the address at which this machine reaches what listens at another.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Client returns a client for what listens on this machine with this configuration. With TLS it talks to no other than
// the owner of the certificate, under whatever name.
func (c Config) Client() (*http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy
	if c.Encrypted() {
		own, err := loadLeaf(c.CertFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // VerifyConnection asks for more: this very certificate
			VerifyConnection: func(state tls.ConnectionState) error {
				if !own.Equal(state.PeerCertificates[0]) {
					return fmt.Errorf("what answers has another certificate than %s", c.CertFile)
				}
				return nil
			},
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Limits on what a connection may take, and on how many there are. Those of this machine have room of their own.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	idleTimeout    = time.Minute
	stopTimeout    = 2 * time.Second
	maxHeaderBytes = 16 << 10
	maxConnections = 256
	maxProxied     = 1024 // connections of proxies, which have one for each page that is open
	maxH2Streams   = 100  // of a connection
)

// Listener is an address taken.
type Listener struct {
	net.Listener
	hosts   hosts
	proxies proxies
	log     *slog.Logger
}

// Open takes the address. Its errors begin with the key to look at, without its section.
func Open(config Config, log *slog.Logger) (*Listener, error) {
	behind, err := parseProxies(config.TLSProxies)
	if err != nil {
		return nil, err
	}
	var certificate *Certificate
	if config.Encrypted() {
		if certificate, err = LoadCertificate(config.CertFile, config.KeyFile, log); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w; if another program has the port, choose another one", err)
	}
	listener = boundedListener{
		Listener: listener, near: NewPlaces(maxConnections), far: NewPlaces(maxConnections),
		proxies: behind, proxied: NewPlaces(maxProxied),
	}
	names := knownHosts(config)
	if certificate != nil {
		names.certificate = certificate
		encryption := certificate.TLS()
		encryption.NextProtos = []string{"h2", "http/1.1"}
		listener = tls.NewListener(listener, encryption)
	} else if !config.Local() {
		log.Warn("pages and passwords go through the network readable to others: set cert_file and key_file", "listen", config.Listen)
	}
	return &Listener{Listener: listener, hosts: names, proxies: behind, log: log}, nil
}

// Serve serves until ctx is done, then gives requests under way a moment to end. Requests that come under a name this
// machine does not have, or from another site's page, never reach the handler.
func (l *Listener) Serve(ctx context.Context, handler http.Handler) error {
	server := &http.Server{
		Handler:           l.proxies.unwrap(sameOrigin(l.hosts, handler)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxH2Streams},
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	}()
	if err := server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving pages: %w", err)
	}
	<-stopped
	return nil
}

// Package listen holds what everything that listens needs: the address, TLS and secrets from files. For pages it also has
// the limits on time, connections and log-ins, and the checks that keep other sites' pages out.
package listen

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where to listen and who may find it there. A section of a configuration file holds its keys among others.
type Config struct {
	// Listen is ADDRESS:PORT.
	Listen string `yaml:"listen"`
	// CertFile and KeyFile (PEM) switch TLS on. They are read again when they change. Where others can reach the address and
	// there are none, a certificate is made.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// Unencrypted allows an address that others can reach without TLS.
	Unencrypted bool `yaml:"unencrypted"`
	// Hosts are names beside those that the machine and its certificate have: a proxy's, an alias in the DNS.
	Hosts []string `yaml:"hosts"`
	// TLSProxies are addresses or networks of the proxies through which all browsers come, over TLS. They say, in
	// X-Forwarded-For, whom a request comes from.
	TLSProxies []string `yaml:"tls_proxies"`
	// Folder is where a certificate that is made is kept.
	Folder string `yaml:"-"`
	// Authority is the folder of the one that signs it, where that is shared, and Shared the names of the listener that it is shared
	// with.
	Authority string          `yaml:"-"`
	Shared    map[string]bool `yaml:"-"`
}

// Validate names the first key that is wrong and what would be right, without its section. It opens no file.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen is %q; it must be ADDRESS:PORT, such as 127.0.0.1:8080", c.Listen)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("cert_file and key_file: give both or none")
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
func (c Config) Encrypted() bool { return c.CertFile != "" || c.makes() }

// makes tells whether the certificate is a made one.
func (c Config) makes() bool { return c.CertFile == "" && !c.Local() && !c.Unencrypted }

// certificateFile is where the certificate is that browsers see.
func (c Config) certificateFile() string {
	if c.makes() {
		return maker{c}.certificateFile()
	}
	return c.CertFile
}

// Fingerprints reads what browsers are shown; its error names the file.
func (c Config) Fingerprints() (Fingerprints, error) {
	leaf, err := loadLeaf(c.certificateFile())
	if err != nil {
		return Fingerprints{}, err
	}
	f := Fingerprints{Certificate: fingerprint(sha256.Sum256(leaf.Raw)), Until: leaf.NotAfter, Useless: useless(leaf, time.Now())}
	if c.makes() {
		authority, err := loadLeaf(maker{c}.authorityFile())
		if err != nil {
			return Fingerprints{}, err
		}
		f.Authority, f.Useless = fingerprint(sha256.Sum256(authority.Raw)), useless(authority, time.Now())
	}
	return f, nil
}

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
		file := c.certificateFile()
		own, err := loadLeaf(file)
		if c.makes() && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("listen %s: nothing was started with this yet, for there is no %s", c.Listen, file)
		}
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // VerifyConnection asks for more: this very certificate
			VerifyConnection: func(state tls.ConnectionState) error {
				if !own.Equal(state.PeerCertificates[0]) {
					return fmt.Errorf("what answers has another certificate than %s", file)
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

// maxAnswer bounds what Ask reads.
const maxAnswer = 64 << 10

// Ask gets what listens on this machine with this configuration, at a path, with a log-in where that is not nil. whose is what
// listens there in words, such as "gate", for errors.
func (c Config) Ask(ctx context.Context, whose, path string, login *url.Userinfo) (status int, body []byte, err error) {
	client, err := c.Client()
	if err != nil {
		return 0, nil, fmt.Errorf("http.%w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Scheme()+"://"+Reachable(c.Listen)+path, nil)
	if err != nil {
		return 0, nil, err
	}
	request.URL.User = login
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("no %s answers at %s: %w", whose, c.Listen, err)
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return 0, nil, fmt.Errorf("asking the %s at %s: %w", whose, c.Listen, err)
	}
	if response.StatusCode == http.StatusUnauthorized {
		return 0, nil, errors.New("it does not take the password of this config")
	}
	return response.StatusCode, body, nil
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
	hosts     hosts
	proxies   proxies
	authority string // file of the one that a made certificate has
	log       *slog.Logger
}

// Open takes the address. Its errors begin with the key to look at, without its section.
func Open(config Config, log *slog.Logger) (*Listener, error) {
	behind, err := parseProxies(config.TLSProxies)
	if err != nil {
		return nil, err
	}
	var certificate *Certificate
	if config.Encrypted() {
		if certificate, err = config.loadCertificate(log); err != nil {
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
	names := hosts{names: config.ownNames()}
	if certificate != nil {
		names.certificate = certificate
		encryption := certificate.TLS()
		encryption.NextProtos = []string{"h2", "http/1.1"}
		listener = tls.NewListener(plainListener{listener, names}, encryption)
	} else if !config.Local() {
		log.Warn("pages and passwords go through the network readable to others, as unencrypted allows", "listen", config.Listen)
	}
	l := &Listener{Listener: listener, hosts: names, proxies: behind, log: log}
	if config.makes() {
		l.authority = maker{config}.authorityFile()
	}
	if shown, err := config.Fingerprints(); certificate != nil && err == nil {
		log.Info("pages are encrypted", "listen", config.Listen, "certificate_sha256", shown.Certificate, "until", shown.Until, "authority_sha256", shown.Authority)
	}
	return l, nil
}

// offerAuthority has browsers fetch the authority of a made certificate, which anybody may know, to be installed.
func (l *Listener) offerAuthority(next http.Handler) http.Handler {
	if l.authority == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/certificate" {
			next.ServeHTTP(w, r)
			return
		}
		leaf, err := loadLeaf(l.authority)
		if err != nil {
			l.log.Error("the authority can't be read", "error", err)
			http.Error(w, "the certificate can't be read; the log says why", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		w.Header().Set("Content-Disposition", `attachment; filename="thermogate.crt"`)
		_, _ = w.Write(leaf.Raw) // a browser that is gone needs no answer
	})
}

// FingerprintAt is the SHA-256, hexadecimal, of the certificate that clients find at the address of some pages, where somebody
// has sent a request. It is empty where the certificate is a proxy's, or there is none.
func (l *Listener) FingerprintAt(pages *url.URL, r *http.Request) string {
	direct := r.TLS != nil && r.Context().Value(proxiedKey{}) == nil
	if l.hosts.certificate == nil || pages.Scheme != "https" || !direct {
		return ""
	}
	if pages.Host != r.Host && (len(l.proxies) > 0 || !l.hosts.certificate.names(pages.Hostname())) {
		return ""
	}
	return Fingerprint(l.hosts.certificate.current().Leaf)
}

// Fingerprint is the SHA-256 of a certificate, hexadecimal.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// Serve serves until ctx is done, then gives requests under way a moment to end. Requests that come under a name this
// machine does not have, or from another site's page, never reach the handler.
func (l *Listener) Serve(ctx context.Context, handler http.Handler) error {
	server := &http.Server{
		Handler:           l.proxies.unwrap(sameOrigin(l.hosts, l.offerAuthority(handler))),
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

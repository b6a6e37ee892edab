package listen

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// Certificate is a certificate with its key in two PEM files, which somebody renews from time to time.
type Certificate struct {
	certFile, keyFile string
	renew             func(now time.Time) error // nil for one that others renew
	log               *slog.Logger

	mu       sync.Mutex
	looked   time.Time // when renew was last called
	renewing bool
	pair     *tls.Certificate
	seen     [2]fileState // as they were when they were last read, whether that gave a pair or not
}

// fileState changes when a file does.
type fileState struct {
	modified time.Time
	size     int64
}

// LoadCertificate reads both files. Its errors begin with the keys to look at, without their section.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log, seen: stateOf(certFile, keyFile)}
	var err error
	if c.pair, err = loadCertificate(certFile, keyFile); err != nil {
		return nil, err
	}
	c.warnIfUseless()
	return c, nil
}

// loadCertificate returns the one in the named files, or one that is made where it is not there yet or will not do any more.
func (c Config) loadCertificate(log *slog.Logger) (*Certificate, error) {
	if !c.makes() {
		return LoadCertificate(c.CertFile, c.KeyFile, log)
	}
	maker := maker{c}
	failed := maker.renew(time.Now())
	made, err := LoadCertificate(maker.certificateFile(), maker.certificateFile(), log)
	if err != nil {
		failed = cmp.Or(failed, err)
		return nil, fmt.Errorf("no certificate can be made for listen %s: %w; %s", c.Listen, failed, wayOut(failed))
	}
	made.renew, made.looked = maker.renew, time.Now()
	if failed != nil {
		log.Warn("the certificate can't be made anew, the one before stays", "error", failed)
	}
	return made, nil
}

// wayOut is what to do where a certificate can't be made.
func wayOut(err error) string {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "the disk is full: make room on it"
	}
	return "give cert_file and key_file, or do without TLS with unencrypted: true"
}

func loadCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file and key_file: %w", err)
	}
	return &pair, nil
}

func stateOf(paths ...string) (states [2]fileState) {
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			states[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return states
}

// loadLeaf reads a certificate without its key, which only the server may read.
func loadLeaf(certFile string) (*x509.Certificate, error) {
	content, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("cert_file: %s holds no PEM", certFile)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cert_file: %s: %w", certFile, err)
	}
	return leaf, nil
}

// TLS is how a server with this certificate talks.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

// renewInTime makes the files anew when it is time. No connection waits for that.
func (c *Certificate) renewInTime() {
	if c.renew == nil || c.renewing || time.Since(c.looked) < lookAgain {
		return
	}
	c.renewing = true
	go func() {
		err := c.renew(time.Now())
		if err != nil {
			c.log.Warn("the certificate can't be made anew, the one before stays", "error", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.renewing, c.looked = false, time.Now()
	}()
}

// current is the pair in the files. While they don't fit each other, because the second has yet to be replaced or the
// first is still being written, it is the one before.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewInTime()
	now := stateOf(c.certFile, c.keyFile)
	if now == c.seen {
		return c.pair
	}
	c.seen = now
	pair, err := loadCertificate(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("the new certificate can't be used yet, the one before stays", "error", err)
		return c.pair
	}
	c.pair = pair
	c.log.Info("new certificate", "file", c.certFile, "until", pair.Leaf.NotAfter)
	c.warnIfUseless()
	return c.pair
}

func (c *Certificate) warnIfUseless() {
	for _, der := range c.pair.Certificate {
		leaf, err := x509.ParseCertificate(der)
		if err == nil {
			err = useless(leaf, time.Now())
		}
		if err != nil {
			c.log.Warn("clients will refuse the certificate", "file", c.certFile, "error", err)
			return
		}
	}
}

// useless says why clients whose clock is right refuse a certificate; nil where they need not.
func useless(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it has expired on %s", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it counts from %s on only: the clock is wrong, or was when it was made; if it is right now, have another one made (of a made one delete the folder tls, and start again)",
			leaf.NotBefore.Format(time.DateOnly))
	}
	return nil
}

// names tells whether the certificate is for this host.
func (c *Certificate) names(host string) bool { return c.current().Leaf.VerifyHostname(host) == nil }

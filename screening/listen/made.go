package listen

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"thermogate/screening/datadir"
)

// How long what is made counts. Phones and tablets refuse certificates of more than 398 days. Their authority is installed on
// them by hand, and to do that every year would be forgotten.
const (
	certificateTime = 397 * 24 * time.Hour
	authorityTime   = 10 * 365 * 24 * time.Hour
	renewBefore     = 30 * 24 * time.Hour
	lookAgain       = time.Minute // whether it is time, or the machine has other addresses
	clockSkew       = time.Hour   // that a tablet's clock may be slow
)

// maker makes the certificate of a machine that was given none, and the authority that signs it. A tablet on which that
// authority is installed trusts each certificate that follows. The authority can sign for this machine's names and for
// addresses of private networks alone, so that it is of little use to a thief.
type maker struct{ config Config }

func (m maker) authorityFile() string {
	return filepath.Join(cmp.Or(m.config.Authority, m.config.Folder), authorityName)
}
func (m maker) certificateFile() string { return filepath.Join(m.config.Folder, "certificate.pem") }

const authorityName = "authority.pem"

// ShareAuthority has one authority, kept in the folder of the first, sign what is made for two listeners of a program, so that
// tablets need one. An authority that the second has of its own stays: it may be installed already.
func ShareAuthority(first, second *Config) {
	if _, err := os.Stat(filepath.Join(second.Folder, authorityName)); err == nil {
		return
	}
	second.Authority = first.Folder
	own := first.ownNames()
	first.Shared, second.Shared = second.ownNames(), own
}

// renew makes a certificate where there is none that will do, and an authority where that can't sign it. Each file is
// replaced whole, the key with what it belongs to.
func (m maker) renew(now time.Time) error {
	names, addresses, err := m.names()
	if err != nil {
		return err
	}
	authority, err := readPair(m.authorityFile())
	if unreadable(err) {
		return err // tablets trust it: it is replaced only where it is known to be of no use
	}
	if err == nil && !expires(authority, now) {
		if certificate, err := readPair(m.certificateFile()); err == nil && !expires(certificate, now) && !hasty(authority, certificate, now) &&
			covers(authority, certificate, names, addresses) {
			return nil
		}
		certificate, err := sign(authority, names, addresses, now)
		if err == nil && covers(authority, certificate, names, addresses) {
			return writePair(m.certificateFile(), certificate)
		}
	}
	if authority, err = newAuthority(names, addresses, now); err != nil {
		return err
	}
	certificate, err := sign(authority, names, addresses, now)
	if err != nil {
		return err
	}
	if !covers(authority, certificate, names, addresses) {
		return fmt.Errorf("not all of these can be named in a certificate: %q", names)
	}
	if err := writePair(m.authorityFile(), authority); err != nil {
		return err
	}
	return writePair(m.certificateFile(), certificate)
}

// unreadable tells whether a file is there, whatever it holds, and can't be read for now.
func unreadable(err error) bool {
	var disk *fs.PathError
	return errors.As(err, &disk) && !errors.Is(err, fs.ErrNotExist)
}

// names are those that browsers may call this machine by. Its IPv6 addresses are left out: they change by the day.
func (m maker) names() (names []string, addresses []net.IP, err error) {
	addresses = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, fmt.Errorf("listing the machine's addresses: %w", err)
	}
	for _, address := range own {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			addresses = append(addresses, network.IP.To4())
		}
	}
	known := m.config.ownNames()
	maps.Copy(known, m.config.Shared)
	for name := range known {
		ip := net.ParseIP(name)
		if four := ip.To4(); four != nil {
			ip = four // as it is written in certificates
		}
		switch {
		case ip == nil:
			names = append(names, name)
		case !ip.IsUnspecified() && !slices.ContainsFunc(addresses, ip.Equal):
			addresses = append(addresses, ip)
		}
	}
	slices.Sort(names)
	return names, addresses, nil
}

// expires tells whether a certificate is about to run out. A machine whose clock has yet to be set may be far behind it.
func expires(pair *tls.Certificate, now time.Time) bool {
	return now.Add(renewBefore).After(pair.Leaf.NotAfter)
}

// hasty tells whether a certificate was made while the clock was ahead, and its authority was not.
func hasty(authority, certificate *tls.Certificate, now time.Time) bool {
	return now.Before(certificate.Leaf.NotBefore) && !now.Before(authority.Leaf.NotBefore)
}

// covers tells whether a certificate is for all names and addresses, and its authority may say so.
func covers(authority, certificate *tls.Certificate, names []string, addresses []net.IP) bool {
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	if _, err := certificate.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: certificate.Leaf.NotAfter}); err != nil {
		return false
	}
	for _, address := range addresses {
		names = append(names, address.String())
	}
	return !slices.ContainsFunc(names, func(name string) bool { return certificate.Leaf.VerifyHostname(name) != nil })
}

func newAuthority(names []string, addresses []net.IP, now time.Time) (*tls.Certificate, error) {
	machine, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "thermogate " + machine, Organization: []string{"thermogate"}},
		NotAfter:              now.Add(authorityTime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, // no mail, no programs: those have no names to be permitted
		PermittedDNSDomains:   names,
		PermittedIPRanges:     privateNetworks(),

		PermittedDNSDomainsCritical: true, // of both
	}
	for _, address := range addresses {
		bits := 8 * len(address)
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: address, Mask: net.CIDRMask(bits, bits)})
	}
	return issue(template, nil, now)
}

// privateNetworks are those that no address of the internet is in.
func privateNetworks() (networks []*net.IPNet) {
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"} {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			panic(err) // they are written here
		}
		networks = append(networks, network)
	}
	return networks
}

func sign(authority *tls.Certificate, names []string, addresses []net.IP, now time.Time) (*tls.Certificate, error) {
	return issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: authority.Leaf.Subject.CommonName},
		NotAfter:    now.Add(certificateTime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
		IPAddresses: addresses,
	}, authority, now)
}

// issue makes a certificate with a key of its own, signed by an authority, or by itself where that is nil.
func issue(template *x509.Certificate, by *tls.Certificate, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	template.NotBefore = now.Add(-clockSkew)
	parent, signer := template, any(key)
	pair := &tls.Certificate{PrivateKey: key}
	if by != nil {
		parent, signer, pair.Certificate = by.Leaf, by.PrivateKey, by.Certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	pair.Certificate = append([][]byte{der}, pair.Certificate...)
	pair.Leaf, err = x509.ParseCertificate(der)
	return pair, err
}

// readPair reads a certificate, those above it and its key from one PEM file.
func readPair(path string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(path, path)
	return &pair, err
}

func writePair(path string, pair *tls.Certificate) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var content []byte
	for _, der := range pair.Certificate {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	return datadir.Write(path, append(content, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...))
}

// Fingerprints are the SHA-256 of what a listener shows to browsers, for people to compare, and when it runs out. Authority
// is that of a certificate that was made, which can be installed on a tablet; empty for one that somebody else has signed.
type Fingerprints struct {
	Certificate, Authority string
	Until                  time.Time
	Useless                error // why clients refuse it, and the gate does not mend that; nil where they need not
}

func (f Fingerprints) String() string {
	text := fmt.Sprintf("certificate SHA-256 %s, until %s", f.Certificate, f.Until.Format(time.DateOnly))
	if f.Authority != "" {
		text += "; its authority (/certificate) SHA-256 " + f.Authority
	}
	return text
}

// fingerprint is written as browsers write it.
func fingerprint(sum [32]byte) string { return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":") }

package passcode

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
)

// MinNumberKey is the shortest number key, in characters.
const MinNumberKey = 32

// ParseSiteKey reads the site's first public key from PEM, as `openssl pkey -pubout` and MarshalSiteKey write it.
func ParseSiteKey(text string) (ed25519.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("the site's key is not an Ed25519 public key in PEM (openssl pkey -pubout)")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := parsed.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("the site's key is a PEM, but not of an Ed25519 public key (openssl genpkey -algorithm ed25519)")
	}
	return key, nil
}

// MarshalSiteKey writes the site's first public key as PEM.
func MarshalSiteKey(key ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// ParseNumberKey reads the key of Pseudonym: a secret text, whose characters are the key (openssl rand -hex 32).
func ParseNumberKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if len(text) < MinNumberKey {
		return nil, errors.New("the number key is shorter than 32 characters (openssl rand -hex 32)")
	}
	return []byte(text), nil
}

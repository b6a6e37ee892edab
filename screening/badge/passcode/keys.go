package passcode

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// MinNumberKey is the shortest number key, in characters.
const MinNumberKey = 32

// ParseSiteKey reads a site's public key from PEM, as `openssl pkey -pubout` and MarshalSiteKey write it.
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

// MarshalSiteKey writes a site's public key as PEM.
func MarshalSiteKey(key ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// Fingerprint is by what people compare a site's public key: the first half of the SHA-256 of what its PEM holds, in hex
// (openssl pkey -pubin -outform der | sha256sum).
func Fingerprint(key ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:len(sum)/2])
}

// Handover is a site's key saying which one comes after it. It is public, and good for ever: a gate that was off for years
// follows it.
type Handover struct {
	From      ed25519.PublicKey `json:"from"` // base64, as the others
	To        ed25519.PublicKey `json:"to"`
	Signature []byte            `json:"signature"` // Ed25519 by From of "thermogate site key", 0, site, 0, From, To
}

// HandOver has a site's key say that another comes after it.
func HandOver(from ed25519.PrivateKey, site string, to ed25519.PublicKey) Handover {
	h := Handover{From: from.Public().(ed25519.PublicKey), To: to}
	h.Signature = ed25519.Sign(from, h.signed(site))
	return h
}

func (h Handover) signed(site string) []byte {
	return append([]byte("thermogate site key\x00"+site+"\x00"), string(h.From)+string(h.To)...)
}

// follow returns the last key to which handovers lead from key, in their order. Those of other keys are passed over: a gate may
// have begun with a later one.
func follow(key ed25519.PublicKey, site string, handovers []Handover) (ed25519.PublicKey, error) {
	for _, h := range handovers {
		if !key.Equal(h.From) {
			continue
		}
		if len(h.To) != ed25519.PublicKeySize || !ed25519.Verify(key, h.signed(site), h.Signature) {
			return nil, errors.New("the site's key did not sign which one comes after it")
		}
		key = h.To
	}
	return key, nil
}

// NumberKeys are the secrets under which numbers on badges become pseudonyms: the site's first, and one more for each change.
// Each change makes pseudonyms of those before, so that whoever has all keys knows who is who, and who lacks the last knows nothing.
type NumberKeys [][]byte

// MaxNumberKeys is how many there can be: their file is as long as a password may be.
const MaxNumberKeys = 60

// ParseNumberKeys reads secret texts with spaces between, whose characters are the keys (openssl rand -hex 32).
func ParseNumberKeys(text string) (keys NumberKeys, err error) {
	for one := range strings.FieldsSeq(text) {
		if len(one) < MinNumberKey {
			return nil, errors.New("a number key is shorter than 32 characters (openssl rand -hex 32)")
		}
		keys = append(keys, []byte(one))
	}
	if len(keys) == 0 || len(keys) > MaxNumberKeys {
		return nil, fmt.Errorf("there are %d number keys, and there can be 1 to %d", len(keys), MaxNumberKeys)
	}
	return keys, nil
}

// Fingerprint is by what number keys are compared: half of the pseudonym of a text that is nobody's number. It tells no more of them
// than any pseudonym does.
func (k NumberKeys) Fingerprint() string {
	return k.Pseudonym("thermogate number keys")[:pseudonymSize]
}

// Pseudonym is what events call the person with this number on the badge, 32 hex digits. By the first key it is the first 16
// bytes of the number's HMAC-SHA256. Space around the number and the case of its letters do not matter.
func (k NumberKeys) Pseudonym(number string) string {
	return k.newest(pseudonym(k[0], strings.ToUpper(strings.TrimSpace(number))), 0)
}

// First is Pseudonym before any change.
func (k NumberKeys) First(number string) string { return k[:1].Pseudonym(number) }

// newest is what a pseudonym is by the last key that was made after so many changes; itself where these keys know of no later one.
func (k NumberKeys) newest(person string, changes int) string {
	if changes+1 < len(k) {
		later := k[changes:].After(HashOf(person))
		return later[len(later)-1]
	}
	return person
}

// Of are all pseudonyms of the person whose first one is given, that one first.
func (k NumberKeys) Of(first string) []string {
	return append([]string{first}, k.After(HashOf(first))...)
}

// After are the pseudonyms that by each change came after the first one, of which only the hash is known: so somebody of whom
// nothing else is kept is known by the new ones too. Each is the first 16 bytes of the HMAC-SHA256 of HashOf the one before.
func (k NumberKeys) After(hash string) (later []string) {
	for _, key := range k[min(1, len(k)):] {
		later = append(later, pseudonym(key, hash))
		hash = HashOf(later[len(later)-1])
	}
	return later
}

// HashOf is the SHA-256 of a pseudonym in hex.
func HashOf(pseudonym string) string {
	sum := sha256.Sum256([]byte(pseudonym))
	return hex.EncodeToString(sum[:])
}

func pseudonym(key []byte, of string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(of))
	return hex.EncodeToString(mac.Sum(nil)[:pseudonymSize])
}

// Package passcode makes and checks the pass codes of a site: short signed texts, printed as a QR code, which a gate verifies
// without a network. A code names nobody: it carries a pseudonym, and only the console knows whose that is.
//
// A code is the prefix TGPC and the base32 (RFC 4648, no padding) of these bytes, all numbers big-endian:
//
//	format          1 byte, 1 and how often the number key was changed before the pseudonym was made
//	key             4 bytes: the first of SHA-256("thermogate key", 0, site, 0, public key)
//	pseudonym      16 bytes
//	serial          8 bytes
//	from, to        4 bytes each: seconds since 1970, UTC; valid at from, no longer at to
//	company         1 byte, its length, and as many bytes
//	signature      64 bytes: Ed25519 of "thermogate pass code", 0, site, 0, and the bytes before
//
// With the longest company that is 193 characters of QR's alphanumeric mode: version 6, error correction L.
package passcode

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"
)

// Prefix begins every code.
const Prefix = "TGPC"

// MaxCompany is the longest Code.Company, in bytes.
const MaxCompany = 16

const (
	format        = 1
	pseudonymSize = 16
	serialSize    = 8
	companyAt     = 1 + keyIDSize + pseudonymSize + serialSize + 4 + 4
	keyIDSize     = 4
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Code is what a pass code says.
type Code struct {
	Person   string // the pseudonym, as NumberKeys gives it
	Changes  int    // of the number key before that was made
	Company  string // short: at most MaxCompany letters, digits, dots, dashes and underscores; may be empty
	Serial   Serial
	From, To time.Time // UTC, whole seconds; valid at From, no longer at To
}

// Serial tells one code from every other of its site.
type Serial [serialSize]byte

// NewSerial returns a serial that was never given before.
func NewSerial() (serial Serial) {
	rand.Read(serial[:])
	return serial
}

// String is the serial in hex.
func (s Serial) String() string { return hex.EncodeToString(s[:]) }

// MarshalText writes the serial in hex.
func (s Serial) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the serial in hex.
func (s *Serial) UnmarshalText(text []byte) error {
	read, err := hex.DecodeString(string(text))
	if err != nil || len(read) != serialSize {
		return fmt.Errorf("serial %q is not %d hex digits", text, 2*serialSize)
	}
	copy(s[:], read)
	return nil
}

// Refusal says why a code is not valid.
type Refusal string

// The reasons.
const (
	Cut         Refusal = "cut"           // not a whole code, or of a format that is not known here
	OtherSite   Refusal = "other-site"    // signed by no key of this site
	Forged      Refusal = "forged"        // the signature is not that of the key
	NotYetValid Refusal = "not-yet-valid" // before the code's time, or before its key's
	Expired     Refusal = "expired"       // after the code's time, or after its key's
	Revoked     Refusal = "revoked"
)

// Error makes a Refusal an error.
func (r Refusal) Error() string { return "pass code refused: " + string(r) }

// Is tells a pass code, whole or not, from a number on a badge.
func Is(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) >= len(Prefix) && strings.EqualFold(text[:len(Prefix)], Prefix)
}

// Sign returns the text of a code for site. It fails where code does not fit into one.
func Sign(key ed25519.PrivateKey, site string, code Code) (string, error) {
	person, err := hex.DecodeString(code.Person)
	switch {
	case err != nil || len(person) != pseudonymSize:
		return "", fmt.Errorf("sign pass code: person %q is not %d hex digits", code.Person, 2*pseudonymSize)
	case code.Changes < 0 || code.Changes >= MaxNumberKeys:
		return "", fmt.Errorf("sign pass code: %d changes of the number key", code.Changes)
	case !CompanyFits(code.Company):
		return "", fmt.Errorf("sign pass code: company %q is not at most %d letters, digits, dots, dashes and underscores",
			code.Company, MaxCompany)
	case code.From.Unix() < 0 || code.To.Unix() > math.MaxUint32 || !code.From.Before(code.To):
		return "", fmt.Errorf("sign pass code: valid from %v to %v is no time between 1970 and 2106", code.From, code.To)
	}
	id := keyID(site, key.Public().(ed25519.PublicKey))
	body := append([]byte{format + byte(code.Changes)}, id[:]...)
	body = append(body, person...)
	body = append(body, code.Serial[:]...)
	body = binary.BigEndian.AppendUint32(body, uint32(code.From.Unix()))
	body = binary.BigEndian.AppendUint32(body, uint32(code.To.Unix()))
	body = append(body, byte(len(code.Company)))
	body = append(body, code.Company...)
	body = append(body, ed25519.Sign(key, signed(site, body))...)
	return Prefix + encoding.EncodeToString(body), nil
}

// Verify returns what the code says, if it is valid now at site by what passes says. It fails with a Refusal; the code is returned
// with it where the signature holds. The site's key, which signs passes, may sign codes too, within the times that passes gives
// it, if any. Letters may be small, as a scanner types them with caps lock on.
func Verify(site string, passes Passes, text string, now time.Time) (Code, error) {
	body, signature, ok := split(text)
	if !ok {
		return Code{}, Cut
	}
	key, known := findKey(site, passes, [keyIDSize]byte(body[1:]))
	if !known {
		return Code{}, OtherSite
	}
	if !ed25519.Verify(key.Key, signed(site, body), signature) {
		return Code{}, Forged
	}
	code := read(body)
	switch {
	case passes.revokes(code):
		return code, Revoked
	case now.Before(code.From) || now.Before(key.From):
		return code, NotYetValid
	case !now.Before(code.To) || !key.To.IsZero() && !now.Before(key.To):
		return code, Expired
	}
	return code, nil
}

// split takes the text of a code apart, if it is one from end to end.
func split(text string) (body, signature []byte, ok bool) {
	text = strings.TrimSpace(text)
	if !Is(text) {
		return nil, nil, false
	}
	text = strings.ToUpper(text[len(Prefix):])
	all, err := encoding.DecodeString(text)
	if err != nil || len(all) <= companyAt || all[0] < format || all[0] >= format+MaxNumberKeys || encoding.EncodeToString(all) != text {
		return nil, nil, false
	}
	end := companyAt + 1 + int(all[companyAt])
	if len(all) != end+ed25519.SignatureSize || !CompanyFits(string(all[companyAt+1:end])) {
		return nil, nil, false
	}
	return all[:end], all[end:], true
}

func read(body []byte) (code Code) {
	code.Changes = int(body[0] - format)
	rest := body[1+keyIDSize:]
	code.Person = hex.EncodeToString(rest[:pseudonymSize])
	rest = rest[pseudonymSize:]
	copy(code.Serial[:], rest)
	rest = rest[serialSize:]
	code.From = time.Unix(int64(binary.BigEndian.Uint32(rest)), 0).UTC()
	code.To = time.Unix(int64(binary.BigEndian.Uint32(rest[4:])), 0).UTC()
	code.Company = string(body[companyAt+1:])
	return code
}

// NewestPerson is the pseudonym by the newest of a gate's number keys, whenever the code was printed. A gate without these keys, or
// with fewer than were there then, says it as it stands.
func (c Code) NewestPerson(keys NumberKeys) string { return keys.newest(c.Person, c.Changes) }

// CompanyFits says whether a text can be Code.Company.
func CompanyFits(company string) bool {
	return len(company) <= MaxCompany && strings.Trim(strings.ToLower(company), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == "" &&
		!strings.ContainsFunc(company, func(r rune) bool { return r <= ' ' || r > '~' })
}

func findKey(site string, passes Passes, id [keyIDSize]byte) (key Key, known bool) {
	for _, key := range passes.Keys {
		if len(key.Key) == ed25519.PublicKeySize && keyID(site, key.Key) == id {
			return key, true
		}
	}
	return Key{Key: passes.SiteKey}, len(passes.SiteKey) == ed25519.PublicKeySize && keyID(site, passes.SiteKey) == id
}

func keyID(site string, key ed25519.PublicKey) (id [keyIDSize]byte) {
	sum := sha256.Sum256([]byte("thermogate key\x00" + site + "\x00" + string(key)))
	copy(id[:], sum[:])
	return id
}

func signed(site string, body []byte) []byte {
	return append([]byte("thermogate pass code\x00"+site+"\x00"), body...)
}

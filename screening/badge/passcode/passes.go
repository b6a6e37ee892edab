package passcode

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Passes is what a site's gates have to know of its codes. The console publishes it, signed by the site's key, retained on
// thermogate/<site>/<gate>/passes. Version only rises, so that nobody can bring an older one back. Where the site has changed its
// key, Roots leads from each key that it had to that one, the first change first: so it also brings gates from one to the next.
type Passes struct {
	Version uint64    `json:"version"`
	Site    string    `json:"site"`
	Issued  time.Time `json:"issued"`
	Keys    []Key     `json:"keys"`    // that sign codes, beside the site's
	Revoked []Serial  `json:"revoked"` // in order; those whose codes have expired need not be here
	// Barred are companies none of whose codes is good now: one may have more people than Revoked could hold.
	Barred []string   `json:"barred,omitempty"`
	Roots  []Handover `json:"roots,omitempty"`

	SiteKey ed25519.PublicKey `json:"-"` // that has signed it, and signs whatever comes after it
}

// Key is a public key that signs codes.
type Key struct {
	Key  ed25519.PublicKey `json:"key"`  // base64
	From time.Time         `json:"from"` // its codes are valid from then on
	To   time.Time         `json:"to"`   // and no longer then; zero is for ever
}

func (p Passes) revokes(code Code) bool {
	_, revoked := slices.BinarySearchFunc(p.Revoked, code.Serial, Serial.Compare)
	return revoked || code.Company != "" && slices.Contains(p.Barred, code.Company)
}

// Compare orders serials.
func (s Serial) Compare(other Serial) int { return bytes.Compare(s[:], other[:]) }

const beforeSignature = `,"signature":"`

var (
	signatureLength = base64.StdEncoding.EncodedLen(ed25519.SignatureSize)
	tailLength      = len(beforeSignature) + signatureLength + len(`"}`)
)

// Sign returns p as it is published: JSON whose last member, signature, is the Ed25519 of "thermogate passes", 0, and all the
// bytes before that member and its comma. So what is added to Passes later is signed too, and gates that do not know it verify it.
func (p Passes) Sign(root ed25519.PrivateKey) ([]byte, error) {
	p.Revoked = slices.Clone(p.Revoked)
	slices.SortFunc(p.Revoked, Serial.Compare)
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("sign passes: %w", err)
	}
	body = body[:len(body)-1]
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(root, signedPasses(body)))
	return append(body, beforeSignature+signature+`"}`...), nil
}

// maxPasses is the length in bytes of the longest passes that are looked at: who signed them is known only after they are read.
const maxPasses = 1 << 20

// OpenPasses reads what Sign wrote, if it is of this site and signed by its key: the one given, or the last of those that its Roots
// lead to from there.
func OpenPasses(siteKey ed25519.PublicKey, site string, payload []byte) (Passes, error) {
	var p Passes
	cut := len(payload) - tailLength
	if len(payload) > maxPasses {
		return p, fmt.Errorf("passes: %d bytes are more than %d", len(payload), maxPasses)
	}
	if cut < 0 || !bytes.HasPrefix(payload[cut:], []byte(beforeSignature)) {
		return p, errors.New("passes: not signed")
	}
	body, encoded := payload[:cut], payload[cut+len(beforeSignature):][:signatureLength]
	signature, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil {
		return p, fmt.Errorf("passes: signature: %w", err)
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Passes{}, fmt.Errorf("passes: %w", err)
	}
	if p.SiteKey, err = follow(siteKey, site, p.Roots); err != nil {
		return Passes{}, fmt.Errorf("passes: %w", err)
	}
	if !ed25519.Verify(p.SiteKey, signedPasses(body), signature) {
		return Passes{}, errors.New("passes: not signed by the site's key")
	}
	if p.Site != site {
		return Passes{}, fmt.Errorf("passes: of site %q, not of %q", p.Site, site)
	}
	slices.SortFunc(p.Revoked, Serial.Compare)
	return p, nil
}

func signedPasses(body []byte) []byte { return append([]byte("thermogate passes\x00"), body...) }

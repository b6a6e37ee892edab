// Package passes is the office of a console that gives out pass codes: it keeps each site's keys, signs codes for people on its
// list, and the list of which codes are good that gates are told.
package passes

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/store"
)

// MaxValid is for how long a code is good at the most.
const MaxValid = 2 * 366 * 24 * time.Hour

// MaxList is the length in bytes of the longest list that gates are told: their own broker disconnects who sends more than 256 KiB.
const MaxList = 250 << 10

// Office gives out the pass codes of a console's sites.
type Office struct {
	store *store.Store

	making sync.Mutex // held over a site's list
}

// New returns the office of a store.
func New(s *store.Store) *Office { return &Office{store: s} }

// ring is the keys of a site.
type ring struct {
	site      ed25519.PrivateKey
	handovers []passcode.Handover // from those before, the first first
	numbers   passcode.NumberKeys
	codes     []store.SiteKey // in the order in which they were made

	kept map[store.KeyKind]store.SiteKey // the newest of each kind
}

// ring reads the keys of a site, and makes them when they are used first.
func (o *Office) ring(ctx context.Context, site string) (r ring, err error) {
	r, whole, err := o.read(ctx, site)
	if err != nil || whole {
		return r, err
	}
	var first []store.SiteKey
	for _, kind := range []store.KeyKind{store.RootKey, store.NumberKey, store.CodesKey} {
		first = append(first, store.SiteKey{Site: site, Kind: kind, Secret: newSecret(kind), MadeAt: time.Now()})
	}
	if err := o.store.AddFirstSiteKeys(ctx, first); err != nil {
		return r, err
	}
	r, _, err = o.read(ctx, site)
	return r, err
}

// newSecret is a seed of Ed25519, or the text of a number key.
func newSecret(kind store.KeyKind) []byte {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	if kind == store.NumberKey {
		return []byte(hex.EncodeToString(seed))
	}
	return seed
}

func (r ring) has(kind store.KeyKind) bool {
	switch kind {
	case store.RootKey:
		return r.site != nil
	case store.NumberKey:
		return r.numbers != nil
	}
	return len(r.codes) > 0
}

func (o *Office) read(ctx context.Context, site string) (r ring, whole bool, err error) {
	keys, err := o.store.SiteKeys(ctx, site)
	r.kept = map[store.KeyKind]store.SiteKey{}
	for _, k := range keys {
		r.kept[k.Kind] = k
		switch {
		case err != nil:
		case k.Kind == store.RootKey:
			if r.site, err = k.Private(); err == nil {
				r.handovers, err = k.Chain()
			}
		case k.Kind == store.NumberKey:
			r.numbers, err = passcode.ParseNumberKeys(string(k.Secret))
		case k.Kind == store.CodesKey:
			r.codes = append(r.codes, k)
		}
	}
	return r, r.has(store.RootKey) && r.has(store.NumberKey) && r.has(store.CodesKey), err
}

// Told is what a gate has to know of its site's keys: the public one, as PEM, and the secrets of the pseudonyms.
func (o *Office) Told(ctx context.Context, site string) (siteKey, numberKeys string, err error) {
	r, err := o.ring(ctx, site)
	if err == nil {
		siteKey, err = passcode.MarshalSiteKey(r.public())
	}
	if err != nil {
		return "", "", fmt.Errorf("the keys of site %s: %w", site, err)
	}
	return siteKey, string(r.kept[store.NumberKey].Secret), nil
}

func (r ring) public() ed25519.PublicKey { return r.site.Public().(ed25519.PublicKey) }

// Shown is what somebody may see of a site's keys, to compare them to those of a gate.
type Shown struct {
	SiteKey     string // PEM
	Fingerprint string // of that
	SiteKeyAt   time.Time
	NumberKeys  int
	NumberKeyAt time.Time
}

// Shown returns that of a site; ok is false where it has none yet.
func (o *Office) Shown(ctx context.Context, site string) (shown Shown, ok bool, err error) {
	r, whole, err := o.read(ctx, site)
	if err != nil || !whole {
		return shown, false, err
	}
	text, err := passcode.MarshalSiteKey(r.public())
	return Shown{text, passcode.Fingerprint(r.public()), r.kept[store.RootKey].MadeAt, len(r.numbers), r.kept[store.NumberKey].MadeAt}, err == nil, err
}

// Pseudonym returns what the list of a site calls the person with a number.
func (o *Office) Pseudonym(ctx context.Context, site string) (func(number string) string, error) {
	r, err := o.ring(ctx, site)
	if err != nil {
		return nil, fmt.Errorf("the keys of site %s: %w", site, err)
	}
	return r.numbers.First, nil
}

// ErrTime is the error for codes that would be good for too long, or never.
var ErrTime = errors.New("a code ends after it begins, at most two years later")

// Issue makes codes for people of a site, good from one time to another, and no longer than their company is. Those that they had
// are no longer good. It tells for how many it did: not for people whose company may not come in that time.
func (o *Office) Issue(ctx context.Context, site string, people []store.Person, from, to time.Time, by store.Author, at time.Time) (issued int, err error) {
	if !from.Before(to) || to.Sub(from) > MaxValid || !to.After(at) {
		return 0, ErrTime
	}
	r, err := o.ring(ctx, site)
	if err != nil {
		return 0, err
	}
	companies, err := o.store.Companies(ctx, site)
	if err != nil {
		return 0, err
	}
	ends := map[string]time.Time{"": to}
	zone := o.store.Zone(site)
	for _, c := range companies {
		if c.State != store.Approved {
			continue
		}
		ends[c.ID] = to
		if c.Until != 0 {
			if end := (c.Until + 1).Begin(zone); end.Before(to) {
				ends[c.ID] = end
			}
		}
	}
	key := r.codes[len(r.codes)-1]
	var codes []store.PassCode
	for _, p := range people {
		end := ends[p.Company]
		if !p.LeftAt.IsZero() || !end.After(from) || !end.After(at) {
			continue
		}
		codes = append(codes, store.PassCode{
			Serial: passcode.NewSerial().String(), Site: site, Person: p.ID, Company: p.Company, Key: key.ID,
			From: from.UTC().Truncate(time.Second), To: end.UTC().Truncate(time.Second),
		})
	}
	if len(codes) == 0 {
		return 0, nil
	}
	return len(codes), o.store.AddCodes(ctx, site, codes, by, at)
}

// Texts are the texts of codes of a site's people, by their serials.
func (o *Office) Texts(ctx context.Context, site string, people map[string]store.Person, codes []store.PassCode) (map[string]string, error) {
	r, err := o.ring(ctx, site)
	if err != nil {
		return nil, err
	}
	companies, err := o.store.Companies(ctx, site)
	if err != nil {
		return nil, err
	}
	short := map[string]string{}
	for _, c := range companies {
		short[c.ID] = c.Short
	}
	keys := map[string]ed25519.PrivateKey{}
	for _, k := range r.codes {
		if keys[k.ID], err = k.Private(); err != nil {
			return nil, err
		}
	}
	texts := map[string]string{}
	for _, c := range codes {
		names := r.numbers.Of(people[c.Person].Pseudonym)
		said := passcode.Code{Person: names[len(names)-1], Changes: len(names) - 1, Company: short[c.Company], From: c.From, To: c.To}
		if err := said.Serial.UnmarshalText([]byte(c.Serial)); err != nil {
			return nil, err
		}
		key, known := keys[c.Key]
		if !known {
			return nil, fmt.Errorf("the key of code %s is not there any more", c.Serial)
		}
		if texts[c.Serial], err = passcode.Sign(key, site, said); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// Rotate has codes signed by a new key from now on. Those of the keys before stay good as long as they are, or with end until then.
func (o *Office) Rotate(ctx context.Context, site string, end time.Time, by store.Author, at time.Time) error {
	if _, err := o.ring(ctx, site); err != nil {
		return err
	}
	return o.store.AddCodesKey(ctx, store.SiteKey{Site: site, Kind: store.CodesKey, Secret: newSecret(store.CodesKey), MadeAt: at}, end, by)
}

// ChangeSiteKey has the lists of a site signed by a new key from now on. Gates follow it as soon as they hear the next list, for it
// has the word of the key before, and take nothing of that one any more. Codes stay good: other keys sign them.
func (o *Office) ChangeSiteKey(ctx context.Context, site string, by store.Author, at time.Time) error {
	r, err := o.ring(ctx, site)
	if err != nil {
		return err
	}
	secret := newSecret(store.RootKey)
	next := ed25519.NewKeyFromSeed(secret).Public().(ed25519.PublicKey)
	handovers, err := json.Marshal(append(r.handovers, passcode.HandOver(r.site, site, next)))
	if err != nil {
		return err
	}
	return o.store.ChangeSiteKey(ctx, r.kept[store.RootKey], secret, handovers, by, at)
}

// ErrKeys is the error for a site that can have no further number key.
var ErrKeys = fmt.Errorf("a site has at most %d number keys", passcode.MaxNumberKeys)

// ChangeNumberKey has everybody have another pseudonym, at gates that are given the new key, and on codes whose text is made from
// now on. Who they are is known by the ones before, too.
func (o *Office) ChangeNumberKey(ctx context.Context, site string, by store.Author, at time.Time) error {
	r, err := o.ring(ctx, site)
	if err != nil {
		return err
	}
	if len(r.numbers) == passcode.MaxNumberKeys {
		return ErrKeys
	}
	before := r.kept[store.NumberKey]
	return o.store.ChangeSiteKey(ctx, before, slices.Concat(before.Secret, []byte(" "), newSecret(store.NumberKey)), nil, by, at)
}

// List is the signed list of which codes of a site are good, as gates are told it. It is another one only when it says something
// else.
func (o *Office) List(ctx context.Context, site string, now time.Time) ([]byte, error) {
	o.making.Lock()
	defer o.making.Unlock()
	r, err := o.ring(ctx, site) // as they are now: a newer list is never signed by a key from before
	if err != nil {
		return nil, err
	}
	list := passcode.Passes{Site: site, Keys: []passcode.Key{}, Revoked: []passcode.Serial{}, Roots: r.handovers}
	for _, k := range r.codes {
		key, err := k.Private()
		if err != nil {
			return nil, err
		}
		// Codes may be good from before their key was made: what begins today begins at midnight.
		list.Keys = append(list.Keys, passcode.Key{Key: key.Public().(ed25519.PublicKey), To: k.To})
	}
	if list.Barred, err = o.store.BarredCompanies(ctx, site, now); err != nil {
		return nil, err
	}
	bad, err := o.store.BadSerials(ctx, site, now)
	if err != nil {
		return nil, err
	}
	for _, text := range bad {
		var serial passcode.Serial
		if err := serial.UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
		list.Revoked = append(list.Revoked, serial)
	}
	said, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(said)
	content := hex.EncodeToString(sum[:])
	last, err := o.store.PassList(ctx, site)
	if err != nil || last.Content == content {
		return last.Signed, err
	}
	version := max(last.Version+1, now.UnixMilli()) // so a store that was restored from a backup does not go back
	list.Version, list.Issued = uint64(version), now.UTC().Truncate(time.Second)
	signed, err := list.Sign(r.site)
	if err != nil {
		return nil, err
	}
	return signed, o.store.SetPassList(ctx, site, store.PassList{Version: version, Content: content, Signed: signed})
}

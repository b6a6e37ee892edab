package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/mqtt"
)

// keysKnown is what of a site's keys the store goes by.
type keysKnown struct {
	numbers    passcode.NumberKeys // by which people are known
	numbersAt  time.Time           // when the newest was made
	root       string              // fingerprint of the site's key
	rootAt     time.Time
	rootBefore map[string]bool // fingerprints of those that it came after
}

// KeyState is how the keys that a gate has differ from those of its site; empty where they do not, or it has none.
type KeyState string

// The states. Of a gate that does not tell nobody knows whether it reads badges at all.
const (
	SiteKeyBefore   KeyState = "site-key-before"   // it has not heard of a change
	SiteKeyOther    KeyState = "site-key-other"    // the site never had it, as far as is known here
	NumberKeyBefore KeyState = "number-key-before" // it lacks the newest
	NumberKeyOther  KeyState = "number-key-other"  // it has more than there are here, or others
	KeysUntold      KeyState = "keys-untold"       // keys were changed, and it tells none
)

// For how long a gate that is connected may be without a key after a change. It hears of the site's key by itself. The number key is
// brought to it. Who tells no keys, and reads badges all the same, has a program that can follow no change.
const (
	siteKeyTime   = 10 * time.Minute
	numberKeyTime = 24 * time.Hour
	readingTime   = 24 * time.Hour // for how long after a read that is so
)

// readKeys reads the keys of all sites.
func (s *Store) readKeys(ctx context.Context) error {
	all, err := collect(ctx, s.read, scanSiteKey, selectSiteKeys+" WHERE kind IN ('number', 'root')")
	if err != nil {
		return err
	}
	known := map[string]keysKnown{}
	for _, k := range all {
		is := known[k.Site]
		if err := is.take(k); err != nil { // no reason to take no events
			s.log.Error("a key of a site is broken", "site", k.Site, "error", err)
		}
		known[k.Site] = is
	}
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	s.keys = known
	return nil
}

func (k *keysKnown) take(one SiteKey) (err error) {
	if one.Kind == NumberKey {
		k.numbersAt = one.MadeAt
		k.numbers, err = passcode.ParseNumberKeys(string(one.Secret))
		return err
	}
	root, err := one.Private()
	if err != nil {
		return err
	}
	k.root = passcode.Fingerprint(root.Public().(ed25519.PublicKey))
	k.rootAt, k.rootBefore = one.MadeAt, map[string]bool{}
	chain, err := one.Chain()
	for _, h := range chain {
		k.rootBefore[passcode.Fingerprint(h.From)] = true
	}
	return err
}

// keyState compares the keys that a gate of a site told, as they were kept, and says from when on it could have been otherwise.
func (s *Store) keyState(site, told string) (state KeyState, changed time.Time) {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	is, known := s.keys[site]
	var has mqtt.Keys
	_ = json.Unmarshal([]byte(told), &has) // none where it never said
	switch {
	case !known:
	case has == mqtt.Keys{} && (len(is.rootBefore) > 0 || len(is.numbers) > 1):
		changed = is.numbersAt
		if len(is.rootBefore) > 0 && is.rootAt.After(changed) {
			changed = is.rootAt
		}
		return KeysUntold, changed
	case has.Site != "" && has.Site != is.root && !is.rootBefore[has.Site]:
		return SiteKeyOther, time.Time{}
	case has.Numbers > len(is.numbers), has.Numbers > 0 && has.Newest != "" && has.Newest != is.numbers[:has.Numbers].Fingerprint():
		return NumberKeyOther, time.Time{}
	case has.Site != "" && has.Site != is.root:
		return SiteKeyBefore, is.rootAt
	case has.Numbers > 0 && has.Numbers < len(is.numbers):
		return NumberKeyBefore, is.numbersAt
	}
	return "", time.Time{}
}

// keyFaults are the states of the keys of gates that are online and had the time to follow.
func (s *Store) keyFaults(ctx context.Context, site string, now time.Time) (faults []State, err error) {
	s.peopleMu.RLock()
	none := len(s.keys) == 0
	s.peopleMu.RUnlock()
	if none {
		return nil, nil
	}
	type telling struct {
		State
		keys string
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (one telling, err error) {
		var since int64
		err = rows.Scan(&one.Gate.Site, &one.Gate.Name, &since, &one.keys)
		one.Part, one.Since = Keys, fromMilliseconds(since)
		return one, err
	}, `SELECT gates.site, gates.gate, since, badge_keys FROM gates JOIN gate_states ON gate_states.site = gates.site AND gate_states.gate = gates.gate
		WHERE part = 'link' AND value = 'online' AND until IS NULL AND (gates.site = $1 OR $1 = '') ORDER BY gates.site, gates.gate`, site)
	for _, one := range all {
		state, changed := s.keyState(one.Gate.Site, one.keys)
		one.Value = string(state)
		if changed.After(one.Since) {
			one.Since = changed
		}
		switch {
		case state == "", state == KeysUntold && !s.reads(one.Gate, now):
			continue
		case state == SiteKeyBefore, state == KeysUntold:
			one.Since = one.Since.Add(siteKeyTime)
		case state == NumberKeyBefore:
			one.Since = changed.Add(numberKeyTime) // connected or not: somebody has to see to it
		}
		if !now.Before(one.Since) {
			faults = append(faults, one.State)
		}
	}
	return faults, err
}

// noteReading notes which gates say of people who they are, or why they do not know.
func (s *Store) noteReading(bearers []bearer) {
	if len(bearers) == 0 {
		return
	}
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	for _, b := range bearers {
		s.reading[b.gate] = max(s.reading[b.gate], b.at)
	}
}

// reads tells whether a gate has lately done so.
func (s *Store) reads(gate mqtt.Gate, now time.Time) bool {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	return now.Sub(time.UnixMilli(s.reading[gate])) < readingTime
}

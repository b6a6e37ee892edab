package store

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestGatesThatHaveNotFollowed has a site change its keys, and gates that follow, lag behind, and have keys that nobody here knows.
func TestGatesThatHaveNotFollowed(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		seed := func(n byte) []byte { return bytes.Repeat([]byte{n}, ed25519.SeedSize) }
		of := func(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed(n)) }
		print := func(n byte) string { return passcode.Fingerprint(of(n).Public().(ed25519.PublicKey)) }
		first, second, third := strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("c", 32)
		at := morning
		say := func(gate mqtt.Gate, keys mqtt.Keys) {
			t.Helper()
			if err := s.SetStatus(t.Context(), gate, mqtt.StatusMessage{State: Online, Status: mqtt.Status{Camera: "ok", Keys: keys}}, at); err != nil {
				t.Fatal(err)
			}
		}
		want := func(lines ...string) {
			t.Helper()
			if diff := cmp.Diff(lines, faults(t, s, at)); diff != "" {
				t.Errorf("%s: %s", at.Format(time.TimeOnly), diff)
			}
			if counts, err := s.CountGates(t.Context(), at); err != nil || counts != (GateCounts{Well: 2 - len(lines), Faulty: len(lines)}) {
				t.Errorf("%s: they are counted as %+v, %v", at.Format(time.TimeOnly), counts, err)
			}
		}
		states := func(of ...KeyState) {
			t.Helper()
			gates, err := s.Gates(t.Context(), at)
			var got []KeyState
			for _, g := range gates {
				got = append(got, g.Keys)
			}
			if diff := cmp.Diff(of, got); err != nil || diff != "" {
				t.Errorf("%s: %s, %v", at.Format(time.TimeOnly), diff, err)
			}
		}
		say(north, mqtt.Keys{Site: print(1), Numbers: 1})
		say(south, mqtt.Keys{})
		states("", "")
		for kind, secret := range map[KeyKind][]byte{RootKey: seed(1), NumberKey: []byte(first)} {
			if err := s.AddFirstSiteKeys(t.Context(), []SiteKey{{Site: north.Site, Kind: kind, Secret: secret, MadeAt: at}}); err != nil {
				t.Fatal(err)
			}
		}
		states("", "")
		kept, err := s.SiteKeys(t.Context(), north.Site)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kept {
			secret, handovers := []byte(first+" "+second), []byte(nil)
			if k.Kind == RootKey {
				secret = seed(2)
				if handovers, err = json.Marshal([]passcode.Handover{passcode.HandOver(of(1), north.Site, of(2).Public().(ed25519.PublicKey))}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.ChangeSiteKey(t.Context(), k, secret, handovers, Author{}, at); err != nil {
				t.Fatal(err)
			}
		}
		states(SiteKeyBefore, KeysUntold)
		want()
		at = at.Add(siteKeyTime)
		want("north keys site-key-before since 07:05:00")
		read := screened(t, south, at, event.Pass, func(d *event.Data) { d.Unpaired = event.NoRead })
		if _, err := s.Append(t.Context(), []Event{read}); err != nil {
			t.Fatal(err)
		}
		want("north keys site-key-before since 07:05:00", "south keys keys-untold since 07:05:00") // an old program
		newest := func(of ...string) string {
			keys, err := passcode.ParseNumberKeys(strings.Join(of, " "))
			if err != nil {
				t.Fatal(err)
			}
			return keys.Fingerprint()
		}
		say(north, mqtt.Keys{Site: print(2), Numbers: 1, Newest: newest(second)}) // a file by hand
		states(NumberKeyOther, KeysUntold)
		say(north, mqtt.Keys{Site: print(2), Numbers: 1, Newest: newest(first)})
		states(NumberKeyBefore, KeysUntold)
		say(north, mqtt.Keys{Site: print(2), Numbers: 1}) // a program that tells no more
		states(NumberKeyBefore, KeysUntold)
		want("south keys keys-untold since 07:05:00")
		say(south, mqtt.Keys{Site: print(2)}) // the new one
		want()
		at = morning.Add(numberKeyTime)
		want("north keys number-key-before since 06:55:00")
		say(north, mqtt.Keys{Site: print(2), Numbers: 2})
		states("", "")
		want()
		say(north, mqtt.Keys{Site: print(2), Numbers: 2, Newest: newest(first, second)})
		states("", "")
		say(north, mqtt.Keys{Site: print(2), Numbers: 2, Newest: newest(first, third)}) // the console was restored from a backup, and the key changed again
		states(NumberKeyOther, "")
		say(north, mqtt.Keys{Site: print(2), Numbers: 3}) // the console was restored from a backup
		say(south, mqtt.Keys{Site: print(9)})             // or somebody else has led a gate away
		states(NumberKeyOther, SiteKeyOther)
		want("north keys number-key-other since 06:55:00", "south keys site-key-other since 06:55:00")
		if err := s.Shelve(t.Context(), south, Keys, Shelf{at.Add(time.Hour), "Li Na", "joins tomorrow"}, at); err != nil {
			t.Error(err)
		}
		want("north keys number-key-other since 06:55:00", "south keys site-key-other since 06:55:00, put aside by Li Na")
		if err := s.SetStatus(t.Context(), south, mqtt.StatusMessage{State: Offline}, at); err != nil {
			t.Fatal(err)
		}
		if got := faults(t, s, at); len(got) != 2 || !strings.HasPrefix(got[0], "south link offline") {
			t.Errorf("of a gate that is off nobody knows what it has: %q", got)
		}
	})
}

// TestFirstKeysAreMadeOnce has several of a console's parts need the keys of a new site at the same time.
func TestFirstKeysAreMadeOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		var making sync.WaitGroup
		for n := range byte(20) {
			making.Go(func() {
				var keys []SiteKey
				for _, kind := range []KeyKind{RootKey, NumberKey, CodesKey} {
					secret := bytes.Repeat([]byte{n}, ed25519.SeedSize)
					if kind == NumberKey {
						secret = []byte(strings.Repeat("a", 32))
					}
					keys = append(keys, SiteKey{Site: "plant", Kind: kind, Secret: secret, MadeAt: morning})
				}
				if err := s.AddFirstSiteKeys(t.Context(), keys); err != nil {
					t.Error(err)
				}
			})
		}
		making.Wait()
		keys, err := s.SiteKeys(t.Context(), "plant")
		if err != nil || len(keys) != 3 {
			t.Errorf("%d keys are kept, %v", len(keys), err)
		}
	})
}

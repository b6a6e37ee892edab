package ingest

import (
	"path/filepath"
	"testing"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
)

// TestGatesHearWhichCodesAreGood revokes a code, and has a broker lose what it was told.
func TestGatesHearWhichCodesAreGood(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, stop := run(t, b.address, s)
	eventually(t, "the console is there", func() bool { return i.State().Connected })
	p.online(0)
	office, by := passes.New(s), store.Author{Account: "hr"}
	siteKey, _, err := office.Told(t.Context(), "plant")
	if err != nil {
		t.Fatal(err)
	}
	root, err := passcode.ParseSiteKey(siteKey)
	if err != nil {
		t.Fatal(err)
	}
	heard := func() (list passcode.Passes, ok bool) {
		payload := p.last("passes")
		if payload == "" {
			return list, false
		}
		if list, err = passcode.OpenPasses(root, "plant", []byte(payload)); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
		return list, err == nil
	}
	eventually(t, "the gate hears of the keys", func() bool { list, ok := heard(); return ok && len(list.Keys) == 1 })
	now := time.Now()
	one := store.Person{ID: "01J00000000000000000000000", Site: "plant"}
	if issued, err := office.Issue(t.Context(), "plant", []store.Person{one}, now, now.Add(time.Hour), by, now); err != nil || issued != 1 {
		t.Fatal(issued, err)
	}
	first, _ := heard()
	if _, err := s.RevokeCodes(t.Context(), "plant", []string{one.ID}, by, time.Now()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "the gate hears that a code is revoked", func() bool {
		list, ok := heard()
		return ok && len(list.Revoked) == 1 && list.Version > first.Version
	})
	t.Logf("a gate hears that a code is revoked after %v", time.Since(began))
	if err := office.ChangeSiteKey(t.Context(), "plant", by, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gate hears of another key of the site", func() bool {
		list, ok := heard()
		return ok && !list.SiteKey.Equal(root) && len(list.Keys) == 1 && len(list.Revoked) == 1
	})
	// Another list for a gate that comes later, and for all after the broker has lost everything.
	stop()
	p.publish("passes", true, "")
	i, _ = run(t, b.address, s)
	eventually(t, "the gate is told anew", func() bool { list, ok := heard(); return ok && len(list.Revoked) == 1 && !list.SiteKey.Equal(root) })
	if state := i.State(); state.Refused != 0 {
		t.Errorf("%d messages were refused", state.Refused)
	}
}

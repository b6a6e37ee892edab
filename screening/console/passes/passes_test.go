package passes

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/store"
)

// TestNoListGoesBack has a site change its key while lists are made: whoever signs by a key from before has no newer list after it.
func TestNoListGoesBack(t *testing.T) {
	cfg := store.DefaultConfig()
	cfg.File = filepath.Join(t.TempDir(), "console.db")
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	office := New(s)
	var mu sync.Mutex
	changes := map[uint64]int{} // of the site's key, by the version of a list
	var making sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		making.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				signed, err := office.List(t.Context(), "plant", time.Now())
				var list passcode.Passes
				if err == nil {
					err = json.Unmarshal(signed, &list)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				changes[list.Version] = len(list.Roots)
				mu.Unlock()
			}
		})
	}
	for range 40 {
		if err := office.ChangeSiteKey(t.Context(), "plant", store.Author{}, time.Now()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	making.Wait()
	for version, n := range changes {
		for later, m := range changes {
			if later > version && m < n {
				t.Fatalf("list %d is signed after %d changes, and %d after %d", version, n, later, m)
			}
		}
	}
}

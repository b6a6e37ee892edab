package store

import (
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"
)

// shares is how many shares the sites of a district are in, each by its name. News of sites in different shares are stored at
// the same time.
const shares = 32

// share is what is remembered of some sites, as it is stored. Who has Store.appending shared holds mu as well, who has it alone
// need not.
type share struct {
	mu        sync.Mutex
	settings  map[settingOf]settingSeen // the newest, of those that were asked for
	settled   map[visitOf]bool          // visits of which an event was deleted, which stay counted as they were
	paces     paces
	uncounted uncounted
	told      map[string]int       // by table and site: rows since it was bounded
	heard     map[string]time.Time // sites, when that was noted last
}

func newShares() (all [shares]*share) {
	for i := range all {
		all[i] = &share{settings: map[settingOf]settingSeen{}, settled: map[visitOf]bool{}, paces: newPaces(), told: map[string]int{}, heard: map[string]time.Time{}}
	}
	return all
}

// ShareOf is the number of a site's share, from 0 on.
func ShareOf(site string) int {
	hash := fnv.New32a()
	hash.Write([]byte(site))
	return int(hash.Sum32() % shares)
}

func (s *Store) shareOf(site string) *share { return s.shares[ShareOf(site)] }

// sharesOf are the shares that events are of.
func (s *Store) sharesOf(events []*Event) map[int]*share {
	all := map[int]*share{}
	for _, e := range events {
		n := ShareOf(e.Gate.Site)
		all[n] = s.shares[n]
	}
	return all
}

// forget forgets what may be of a transaction that was rolled back.
func (h *share) forget() {
	clear(h.settings)
	clear(h.heard)
	h.paces.forget()
	h.uncounted = uncounted{}
}

func (s *Store) forgetAll() {
	for _, h := range s.shares {
		h.forget()
	}
}

// lockShares has nobody else store news of some shares until unlock is called, nor anything that has all.
func (s *Store) lockShares(numbers map[int]bool) (unlock func()) {
	s.appending.RLock()
	sorted := slices.Sorted(maps.Keys(numbers)) // so that no two wait for each other
	for _, n := range sorted {
		s.shares[n].mu.Lock()
	}
	return func() {
		for _, n := range sorted {
			s.shares[n].mu.Unlock()
		}
		s.appending.RUnlock()
	}
}

// shares are those of the sites that the news are of.
func (n News) shares() map[int]bool {
	all := map[int]bool{}
	for _, e := range n.Events {
		all[ShareOf(e.Gate.Site)] = true
	}
	for _, a := range n.Alerts {
		all[ShareOf(a.Gate.Site)] = true
	}
	for _, s := range n.Statuses {
		all[ShareOf(s.Gate.Site)] = true
	}
	for _, p := range n.Plants {
		all[ShareOf(p.Site)] = true
	}
	for _, t := range n.Shifts {
		all[ShareOf(t.Site)] = true
	}
	for _, d := range n.Deletions {
		all[ShareOf(d.Site)] = true
	}
	for site := range n.Heard {
		all[ShareOf(site)] = true
	}
	return all
}

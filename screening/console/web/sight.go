package web

import (
	"net/url"
	"slices"
	"sync"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// sightTime is for how long one line of the audit stands for all looks of one account, from one address, at the same thing:
// a page that is open asks for its parts every second.
const sightTime = 10 * time.Minute

// maxSights bounds how many of them are remembered; forgetting one costs a line more.
const maxSights = 10_000

// sights are what the audit has a line of.
type sights struct {
	mu    sync.Mutex
	noted map[sight]time.Time
}

type sight struct{ account, address, what string }

// again tells whether there is a line of it, and remembers that there will be.
func (s *sights) again(one sight, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, known := s.noted[one]; known && now.Sub(at) < sightTime {
		return true
	}
	if len(s.noted) >= maxSights {
		clear(s.noted)
	}
	s.noted[one] = now
	return false
}

func (s *sights) forget(one sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.noted, one)
}

// shows tells whether a page has what was measured of people, and of whom: of one event at its gate, or of many.
func shows(data any) (event string, gate mqtt.Gate, shows bool) {
	switch page := data.(type) {
	case nowPage:
		return "", mqtt.Gate{}, len(page.Alerts) > 0
	case historyPage:
		return "", mqtt.Gate{}, len(page.Rows) > 0
	case reportPage:
		return "", mqtt.Gate{}, len(page.Alerts) > 0
	case studyPage:
		return "", mqtt.Gate{}, !page.None()
	case gatePage: // whom a guard has tried a gate with
		tried := slices.ContainsFunc(page.Checks, func(c store.Check) bool { return c.TestCelsius != nil })
		return "", page.Gate.Gate, tried
	case alertPage:
		return page.Alert.Event, page.Gate, true
	case peoplePage:
		return "", mqtt.Gate{}, len(page.People) > 0
	case uploadPage:
		return "", mqtt.Gate{}, true
	case coveragePage:
		return "", mqtt.Gate{}, page.Names && page.Shift.Site != ""
	case personPage:
		return page.Person.ID, mqtt.Gate{Site: page.Person.Site}, true
	case eventPage:
		return page.ID, page.Gate, true
	}
	return "", mqtt.Gate{}, false
}

// noteSight has nobody see a temperature without a line in the audit.
func (v *visit) noteSight(data any) error {
	event, gate, shows := shows(data)
	if !shows {
		return nil
	}
	return v.saw(event, gate)
}

// saw notes what is looked at: one event, or many that the address of the page tells.
func (v *visit) saw(event string, gate mqtt.Gate) error {
	detail := v.r.URL.Path
	if event == "" && detail != "/" {
		detail = v.lookedAt()
	}
	line := store.AuditLine{At: v.now, By: accounts.AuthorOf(v.r, v.account), What: store.Saw, About: event, Scope: gate, Detail: detail}
	if event == "" {
		line.Scope = v.account.Scope
	}
	one := sight{line.By.Account, line.By.Address.String(), detail}
	if v.sights.again(one, v.now) {
		return nil
	}
	err := v.store.Note(v.ctx(), line)
	if err != nil {
		v.sights.forget(one)
	}
	return err
}

// lookedAt is the address of a page as people read it, with its filter and without what changes nothing of what it shows.
func (v *visit) lookedAt() string {
	values := v.r.URL.Query()
	for key, all := range values {
		if key == "text" || key == "after" { // a name or number is not kept longer than those on the list
			values.Set(key, "…")
		}
		if key == "lang" || key == "part" || len(all) == 1 && all[0] == "" {
			values.Del(key)
		}
	}
	detail := v.r.URL.Path
	if len(values) > 0 {
		query := values.Encode()
		if plain, err := url.QueryUnescape(query); err == nil {
			query = plain
		}
		detail += "?" + query
	}
	return detail
}

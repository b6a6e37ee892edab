package district

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// incoming is a message as it came.
type incoming struct {
	msg    jetstream.Msg
	site   string
	kind   Kind
	at     time.Time // when the stream had it
	number uint64    // in the stream
	news   store.News
	wrong  error // why it can't be stored
}

const (
	maxBytes = 64 << 10 // of a message
	maxWord  = 128      // bytes of a word in it
)

// read reads a message of a plant. Only the events of a site come on its subject, and so with all else.
func read(msg jetstream.Msg, now time.Time) incoming {
	one := incoming{msg: msg, at: now}
	if about, err := msg.Metadata(); err == nil {
		one.at, one.number = about.Timestamp, about.Sequence.Stream
	}
	if one.site, one.kind, one.wrong = ParseSubject(msg.Subject()); one.wrong == nil {
		one.news, one.wrong = readNews(one.site, one.kind, msg.Data(), one.at, now)
	}
	return one
}

// readNews reads what a plant told. What its clock says to be later than the stream had it is of then, so that a clock that is
// ahead does not make all that follows look old.
func readNews(site string, kind Kind, body []byte, had, now time.Time) (news store.News, err error) {
	if len(body) > maxBytes {
		return news, fmt.Errorf("the message has %d bytes, more than %d", len(body), maxBytes)
	}
	switch kind {
	case EventKind, AlertEventKind:
		e, err := store.NewPlantEvent(site, body, now)
		if err == nil && kind == AlertEventKind && e.Data.Outcome != event.Alert {
			err = fmt.Errorf("the event is %.40q and no alert", string(e.Data.Outcome))
		}
		return store.News{Events: []store.Event{e}}, err
	case AlertKind:
		var a Alert
		if err := decode(body, &a); err != nil {
			return news, err
		}
		return store.News{Alerts: []store.PlantAlert{a.heard(site, now)}}, a.check(site)
	case StatusKind:
		var s GateStatus
		if err := decode(body, &s); err != nil {
			return news, err
		}
		return store.News{Statuses: []store.PlantStatus{{Gate: mqtt.Gate{Site: site, Name: s.Gate}, At: earlier(s.At, had), Link: s.Link, Said: s.Said}}}, s.check(site)
	case SiteKind:
		var s Site
		if err := decode(body, &s); err != nil {
			return news, err
		}
		for i := range s.Plans {
			s.Plans[i].Site = site
		}
		plant := store.Plant{Site: site, At: earlier(s.At, had), TimeZone: s.TimeZone, OutcomeOnly: s.OutcomeOnly, KeepMonths: s.KeepMonths, Plans: s.Plans, Version: s.Version, Waiting: s.Waiting, Console: s.Console}
		if s.Waiting < 0 || !word(s.Version) || !word(s.Console) {
			return news, fmt.Errorf("the site has no console %.40q with %d messages to send", s.Version, s.Waiting)
		}
		return store.News{Plants: []store.Plant{plant}}, firstOf(checkTime(s.At), plant.Validate())
	case ShiftKind:
		var t ShiftTally
		if err := decode(body, &t); err != nil {
			return news, err
		}
		return store.News{Shifts: []store.PlantShift{{
			Site: site, Name: t.Name, From: t.From, To: t.To, Made: earlier(t.Made, had), People: t.People, Pass: t.Pass, Alert: t.Alert, Confirmed: t.Confirmed,
			Inconclusive: t.Inconclusive, Expected: t.Expected,
		}}}, t.check()
	case DeletionKind:
		var d Deletion
		if err := decode(body, &d); err != nil {
			return news, err
		}
		return store.News{Deletions: []store.PlantDeletion{{Site: site, Event: d.Event, At: d.At}}}, firstOf(checkID(d.Event), checkTime(d.At))
	}
	return news, fmt.Errorf("this console does not know messages about %.40q: it may be older than that of the plant", string(kind))
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the message is not as it should be: %w", err)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkID(id string) error {
	if parsed, err := ulid.ParseStrict(id); err != nil || parsed.String() != id {
		return fmt.Errorf("%.40q is the id of no event", id)
	}
	return nil
}

// checkTime refuses the time of a clock that was never set.
func checkTime(at time.Time) error {
	if at.Year() < 2000 || at.Year() > 9999 {
		return fmt.Errorf("%s is no time of a message", at.Format(time.RFC3339))
	}
	return nil
}

func word(s string) bool { return len(s) <= maxWord && !strings.ContainsFunc(s, unicode.IsControl) }

func (a Alert) check(site string) error {
	switch a.State {
	case store.New, store.Taken, store.Read:
		if a.Outcome != "" {
			return fmt.Errorf("an alert that is %s has no outcome %.40q yet", a.State, string(a.Outcome))
		}
	case store.Closed:
		if a.Outcome != mqtt.Confirmed && a.Outcome != mqtt.FalseAlert && a.Outcome != mqtt.Gone {
			return fmt.Errorf("%.40q is no outcome of an alert", string(a.Outcome))
		}
		if a.Closed == nil {
			return fmt.Errorf("the alert is closed at no time")
		}
	default:
		return fmt.Errorf("%.40q is no state of an alert", string(a.State))
	}
	if a.Version < 0 {
		return fmt.Errorf("an alert has no version %d", a.Version)
	}
	return firstOf(checkID(a.Event), mqtt.Gate{Site: site, Name: a.Gate}.Validate())
}

func (a Alert) heard(site string, now time.Time) store.PlantAlert {
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	}
	return store.PlantAlert{
		Event: a.Event, Gate: mqtt.Gate{Site: site, Name: a.Gate}, Version: a.Version, State: a.State, Outcome: a.Outcome,
		Taken: at(a.Taken), Escalated: at(a.Escalated), Read: at(a.Read), Closed: at(a.Closed), Received: now,
	}
}

func (s GateStatus) check(site string) error {
	switch s.Link {
	case store.Online, store.Offline, store.Doubled, store.Quiet, store.Unused, store.RevokedLink:
	default:
		return fmt.Errorf("%.40q is no state of a link", s.Link)
	}
	if said := s.Said; said != nil {
		for _, one := range []string{said.Version, said.Camera, said.Reference, said.Group} {
			if !word(one) {
				return fmt.Errorf("%.40q does not belong in a status", one)
			}
		}
		if _, err := ulid.ParseStrict(said.Journal); said.Journal != "" && err != nil || said.Sequence < 0 || said.Unconfirmed < 0 {
			return fmt.Errorf("the status has no journal %.40q that ends with %d", said.Journal, said.Sequence)
		}
	}
	return firstOf(mqtt.Gate{Site: site, Name: s.Gate}.Validate(), checkTime(s.At))
}

func (t ShiftTally) check() error {
	if t.Name == "" || !word(t.Name) {
		return fmt.Errorf("%.40q is the name of no shift", t.Name)
	}
	if !t.From.Before(t.To) || t.To.Sub(t.From) > 25*time.Hour {
		return fmt.Errorf("a shift from %s to %s can't be", t.From.Format(time.RFC3339), t.To.Format(time.RFC3339))
	}
	for _, n := range []int64{t.People, t.Pass, t.Alert, t.Confirmed, t.Inconclusive, t.Expected} {
		if n < 0 {
			return fmt.Errorf("%d people can't be", n)
		}
	}
	return firstOf(checkTime(t.From), checkTime(t.Made))
}

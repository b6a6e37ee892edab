package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// historyLimit is how many rows a page of the history has.
const historyLimit = 50

type historyPage struct {
	Query    historyQuery
	Gates    []mqtt.Gate
	Rows     []historyRow
	Next     string // address of the next page; empty where this is the last
	Outcomes []event.Outcome
	Reasons  []event.Reason
	States   []string
	Wrong    bool // something in the filter can't be read
}

type historyRow struct {
	store.Event
	Alert *store.Alert
}

// historyQuery is the filter as it stands in the address.
type historyQuery struct {
	From, To, Gate, Outcome, Reason, State, Least, Most string
}

func queryOf(values url.Values) historyQuery {
	return historyQuery{
		values.Get("from"), values.Get("to"), values.Get("gate"), values.Get("outcome"),
		values.Get("reason"), values.Get("state"), values.Get("least"), values.Get("most"),
	}
}

// filter is what the store is asked for. A visitor's scope bounds it, whatever the address says.
func (q historyQuery) filter(v *visit) (f store.Filter, ok bool) {
	gate, scope := gateOf(q.Gate), v.account.Scope
	f = store.Filter{Site: gate.Site, Gate: gate.Name, Outcome: event.Outcome(q.Outcome), Reason: event.Reason(q.Reason)}
	if scope.Site != "" {
		if f.Site != scope.Site {
			f.Site, f.Gate = scope.Site, ""
		}
		if scope.Name != "" {
			f.Gate = scope.Name
		}
	}
	zone := v.store.Zone(f.Site)
	ok = true
	for _, one := range []struct {
		text string
		to   *time.Time
	}{{q.From, &f.From}, {q.To, &f.To}} {
		if one.text == "" {
			continue
		}
		at, err := time.ParseInLocation("2006-01-02T15:04", one.text, zone)
		ok = ok && err == nil
		*one.to = at
	}
	for _, one := range []struct {
		text string
		to   **float64
	}{{q.Least, &f.BodyFrom}, {q.Most, &f.BodyTo}} {
		if one.text == "" {
			continue
		}
		celsius, err := strconv.ParseFloat(one.text, 64)
		ok = ok && err == nil
		*one.to = &celsius
	}
	return f, ok
}

func showHistory(v *visit) {
	query := queryOf(v.r.URL.Query())
	filter, ok := query.filter(v)
	page := historyPage{
		Query: query, Wrong: !ok, Outcomes: []event.Outcome{event.Pass, event.Alert, event.Inconclusive}, Reasons: reasons,
		States: []string{"open", string(mqtt.Confirmed), string(mqtt.FalseAlert), string(mqtt.Gone)},
	}
	var err error
	if page.Gates, err = v.gatesInScope(); err != nil {
		v.fail(err)
		return
	}
	if ok {
		if query.State != "" {
			err = v.alertRows(&page, filter)
		} else {
			err = v.eventRows(&page, filter)
		}
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.show("history", page)
}

var reasons = []event.Reason{
	event.AboveThreshold, event.AboveGroup, event.AboveThresholdAndGroup, event.BelowThreshold, event.BelowGroup, event.BelowThresholdAndGroup,
	event.TooClose, event.ColdArrival, event.Covered, event.NoReading, event.Left, event.WalkedThrough, event.SecondReading, event.GroupUnknown,
	event.ReferenceLost, event.ReferenceMissing, event.ReferenceUnstable, event.TooFar, event.CutOff, event.TurnedAway, event.Moving, event.TooCold,
	event.OutOfRange, event.Lifeless, event.WarmingUp, event.ShutterClosed, event.NotRadiometric, event.RangeChanged,
	event.CarrierMoving,
}

// eventRows are the events that the filter lets through.
func (v *visit) eventRows(page *historyPage, filter store.Filter) error {
	filter.Before = v.r.URL.Query().Get("before")
	events, err := v.store.Events(v.ctx(), filter, historyLimit+1)
	if err != nil {
		return err
	}
	if len(events) > historyLimit {
		events = events[:historyLimit]
		page.Next = v.next(events[historyLimit-1].ID)
	}
	for _, e := range events {
		row := historyRow{Event: e}
		if e.Data.Outcome == event.Alert {
			if a, _, err := v.store.Alert(v.ctx(), e.ID); err == nil {
				row.Alert = &a
			} else if !errors.Is(err, store.ErrUnknown) { // one that belongs to an alert before it
				return err
			}
		}
		page.Rows = append(page.Rows, row)
	}
	return nil
}

// alertsBack is how far the history of alerts goes where no time is given.
const alertsBack = 31 * 24 * time.Hour

// alertRows are the alerts in a state, of a month where no time is given.
func (v *visit) alertRows(page *historyPage, f store.Filter) error {
	if f.To.IsZero() {
		f.To = v.now.Add(time.Minute)
	}
	if f.From.IsZero() {
		f.From = f.To.Add(-alertsBack)
	}
	alerts, err := v.store.Alerts(v.ctx(), f.From, f.To)
	if err != nil {
		return err
	}
	before := v.r.URL.Query().Get("before")
	if i := slices.IndexFunc(alerts, func(a store.Alert) bool { return a.Event == before }); i >= 0 {
		alerts = alerts[i+1:]
	}
	for _, a := range alerts {
		state := string(a.Outcome)
		if a.State != store.Closed {
			state = "open"
		}
		if state != page.Query.State || f.Site != "" && a.Gate.Site != f.Site || f.Gate != "" && a.Gate.Name != f.Gate {
			continue
		}
		e, err := v.store.Event(v.ctx(), a.Event)
		if errors.Is(err, store.ErrNoEvent) {
			continue // older than events are kept
		}
		if err != nil {
			return err
		}
		if body := e.Data.BodyCelsius; f.BodyFrom != nil && (body == nil || *body < *f.BodyFrom) || f.BodyTo != nil && (body == nil || *body > *f.BodyTo) ||
			f.Reason != "" && e.Data.Reason != f.Reason {
			continue
		}
		if len(page.Rows) == historyLimit {
			page.Next = v.next(page.Rows[historyLimit-1].ID)
			break
		}
		page.Rows = append(page.Rows, historyRow{e, &a})
	}
	return nil
}

// next is the address of the page that begins after a row.
func (v *visit) next(id string) string {
	values := v.r.URL.Query()
	values.Set("before", id)
	values.Del("lang")
	return "/history?" + values.Encode()
}

type eventPage struct {
	store.Event
	Scale  *scale
	Steps  []string
	Visit  []store.Event // all about this person
	Alert  *store.Alert
	Read   *store.Reading
	Beside phrase
	JSON   string
}

func showEvent(v *visit) {
	e, err := v.store.Event(v.ctx(), v.r.PathValue("id"))
	if errors.Is(err, store.ErrNoEvent) || err == nil && !v.account.Sees(e.Gate) {
		v.missing()
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	page, err := v.eventPage(e)
	if err != nil {
		v.fail(err)
		return
	}
	v.show("event", page)
}

func (v *visit) eventPage(e store.Event) (eventPage, error) {
	page := eventPage{Event: e, Steps: v.tongue.reasoning(e), JSON: indented(e.Body)}
	var err error
	if page.Visit, err = v.store.Visit(v.ctx(), e.Visit); err != nil {
		return page, err
	}
	for _, one := range page.Visit {
		a, changes, err := v.store.Alert(v.ctx(), one.ID)
		if errors.Is(err, store.ErrUnknown) {
			continue
		}
		if err != nil {
			return page, err
		}
		page.Alert = &a
		for _, c := range changes {
			if c.Reading != nil {
				page.Read = c.Reading
			}
		}
	}
	var second *float64
	if page.Alert != nil {
		second = page.Alert.ReadCelsius
	}
	page.Scale = v.tongue.scaleOf(e.Data, second)
	rests, err := v.evidenceOf(v.ctx(), e.ID)
	page.Beside = rests.Side
	return page, err
}

// indented is an event as it came, to be read by people.
func indented(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}

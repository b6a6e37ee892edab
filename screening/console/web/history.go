package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// historyLimit is how many rows a page of the history has.
const historyLimit = 200

type historyPage struct {
	Query    historyQuery
	Gates    []mqtt.Gate
	Sites    []string // where there is more than one
	Zone     string   // of the times in the filter
	Rows     []store.Row
	Next     string // address of the next page; empty where this is the last
	Newest   string // address of the first page; empty on that
	Download string // what follows the address of a download
	Pairs    bool   // the filter is about second readings
	Outcomes []event.Outcome
	Reasons  []event.Reason
	States   []string
	Wrong    bool // something in the filter can't be read
}

// historyQuery is the filter as it stands in the address.
type historyQuery struct {
	From, To, Gate, Outcome, Reason, State, Least, Most, SkinLeast, SkinMost, Read, ReadLeast, ReadMost string
	People                                                                                              string // "yes" for one event of each person, "again" for those screened again
}

func queryOf(values url.Values) historyQuery {
	get := func(key string) string { return strings.TrimSpace(values.Get(key)) }
	return historyQuery{
		get("from"), get("to"), get("gate"), get("outcome"), get("reason"), get("state"), get("least"), get("most"),
		get("skin_least"), get("skin_most"), get("read"), get("read_least"), get("read_most"), get("people"),
	}
}

// More tells whether the filter has something that few look for.
func (q historyQuery) More() bool {
	return q.SkinLeast+q.SkinMost+q.Read+q.ReadLeast+q.ReadMost+q.Least+q.Most != ""
}

// filter is what the store is asked for. A visitor's scope bounds it, whatever the address says.
func (q historyQuery) filter(v *visit) (f store.Filter, ok bool) {
	gate, scope := gateOf(q.Gate), v.account.Scope
	f = store.Filter{Site: gate.Site, Gate: gate.Name, Outcome: event.Outcome(q.Outcome), Reason: event.Reason(q.Reason), Alert: q.State, People: q.People != "", Again: q.People == "again"}
	if scope.Site != "" {
		f.Site = scope.Site
		if scope.Name != "" {
			f.Gate = scope.Name
		}
	}
	zone := v.store.Zone(f.Site)
	ok = (f.Gate == "" || f.Site != "") && (q.People == "" || q.People == "yes" || q.People == "again")
	for _, values := range v.r.URL.Query() {
		for _, text := range values {
			ok = ok && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl) // which a database refuses
		}
	}
	for _, one := range []struct {
		text string
		to   *time.Time
	}{{q.From, &f.From}, {q.To, &f.To}} {
		if one.text == "" {
			continue
		}
		at, err := time.ParseInLocation(minuteForm, one.text, zone)
		if err != nil {
			at, err = time.Parse(minuteForm+"Z07:00", one.text)
		}
		ok = ok && err == nil
		*one.to = at
	}
	for _, one := range []struct {
		text string
		to   **float64
	}{
		{q.Least, &f.Body.Least}, {q.Most, &f.Body.Most}, {q.SkinLeast, &f.Skin.Least}, {q.SkinMost, &f.Skin.Most},
		{q.ReadLeast, &f.Reading.Least}, {q.ReadMost, &f.Reading.Most},
	} {
		if one.text == "" {
			continue
		}
		celsius, fine := decimal(one.text)
		ok = ok && fine
		*one.to = &celsius
	}
	switch q.Read {
	case "":
	case "yes", "no":
		read := q.Read == "yes"
		f.Read = &read
	default:
		ok = false
	}
	return f, ok
}

// minuteForm is how forms have a time.
const minuteForm = "2006-01-02T15:04"

// minute is a time for a filter, by the clock of a zone. One that the clock shows twice says which it is.
func minute(at time.Time, zone *time.Location) string {
	text := at.In(zone).Format(minuteForm)
	if read, err := time.ParseInLocation(minuteForm, text, zone); err != nil || !read.Equal(at) {
		return at.In(zone).Format(minuteForm + "Z07:00")
	}
	return text
}

// elsewhere tells whether a filter asks for a gate that is not within somebody's scope.
func (q historyQuery) elsewhere(scope mqtt.Gate) bool {
	gate := gateOf(q.Gate)
	return scope.Site != "" && gate.Site != "" && (gate.Site != scope.Site || scope.Name != "" && gate.Name != "" && gate.Name != scope.Name)
}

// decimal is a number that somebody entered, with a point or a comma.
func decimal(text string) (number float64, ok bool) {
	number, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", "."), 64)
	return number, err == nil && !math.IsNaN(number) && !math.IsInf(number, 0)
}

func showHistory(v *visit) {
	query := queryOf(v.r.URL.Query())
	if query.elsewhere(v.account.Scope) {
		v.missing()
		return
	}
	filter, ok := query.filter(v)
	page := historyPage{
		Query: query, Wrong: !ok, Zone: v.store.Zone(filter.Site).String(), Reasons: append([]event.Reason{store.AnyLeft}, reasons...),
		Outcomes: []event.Outcome{event.Pass, event.Alert, event.Inconclusive},
		States: []string{
			store.OpenAlert, string(store.New), string(store.Taken), string(store.Read),
			string(mqtt.Confirmed), string(mqtt.FalseAlert), string(mqtt.Gone),
		},
		Pairs: query.Read == "yes" || filter.Reading != store.Range{},
	}
	if err := page.choose(v); err != nil {
		v.fail(err)
		return
	}
	if ok {
		if err := page.read(v, filter); err != nil {
			v.fail(err)
			return
		}
	}
	v.show("history", page)
}

// choose reads what gates there are to choose from; of a district there are too many.
func (p *historyPage) choose(v *visit) (err error) {
	if p.Sites, err = v.sitesInScope(); err == nil && !v.cfg.District {
		p.Gates, err = v.gatesInScope()
	}
	return err
}

// read reads the rows of a page, and leads to those beside it.
func (p *historyPage) read(v *visit, filter store.Filter) error {
	filter.Before = v.r.URL.Query().Get("before")
	rows, err := v.store.History(v.ctx(), filter, historyLimit+1)
	if err != nil {
		return err
	}
	if len(rows) > historyLimit {
		rows = rows[:historyLimit]
		p.Next = v.historyAt(rows[historyLimit-1].ID)
	}
	if filter.Before != "" {
		p.Newest = v.historyAt("")
	}
	p.Rows, p.Download = rows, strings.TrimPrefix(v.historyAt(""), "/history")
	return nil
}

var reasons = []event.Reason{
	event.AboveThreshold, event.AboveGroup, event.AboveThresholdAndGroup, event.BelowThreshold, event.BelowGroup, event.BelowThresholdAndGroup,
	event.TooClose, event.ColdArrival, event.Covered, event.NoReading, event.Left, event.WalkedThrough, event.SecondReading, event.GroupUnknown, event.BaselineShift,
	event.ReferenceLost, event.ReferenceMissing, event.ReferenceUnstable, event.TooFar, event.CutOff, event.TurnedAway, event.Moving, event.TooCold,
	event.OutOfRange, event.Lifeless, event.WarmingUp, event.ShutterClosed, event.NotRadiometric, event.RangeChanged,
	event.CarrierMoving, event.RoomTooWarm,
}

// historyAt is the address of the same filter, with the rows that begin after one; empty is the first.
func (v *visit) historyAt(before string) string {
	values := v.r.URL.Query()
	for key, all := range values {
		if key == "lang" || key == "before" || strings.Join(all, "") == "" {
			values.Del(key)
		}
	}
	if before != "" {
		values.Set("before", before)
	}
	if len(values) == 0 {
		return "/history"
	}
	return "/history?" + values.Encode()
}

type eventPage struct {
	store.Event
	Scale  *scale
	Steps  []string
	Visit  []store.Event // all about this person
	Alert  *store.Alert  // the last one; nil where there is none
	Beside phrase
	JSON   string
	Spot   []store.Change // readings of somebody without an alert
	Form   *readingForm   // for another one; nil where none can be compared
	Holds  []store.Hold   // that keep it
	Known  string         // whether it is known who it was; empty where the gate does not say
}

func showEvent(v *visit) {
	e, ok := v.eventInScope()
	if !ok {
		return
	}
	v.showEventWith(http.StatusOK, "", e)
}

func (v *visit) showEventWith(status int, notice string, e store.Event) {
	page, err := v.eventPage(e)
	if err != nil {
		v.fail(err)
		return
	}
	v.showWith(status, "event", notice, page)
}

// addSpotReading notes what a thermometer says of somebody who had no alert.
func addSpotReading(v *visit) {
	e, err := v.store.Event(v.ctx(), v.r.PathValue("id"))
	if errors.Is(err, store.ErrNoEvent) || err == nil && !v.account.Sees(e.Gate) {
		v.missing()
		return
	}
	var reading store.Reading
	if err == nil {
		if reading, err = readingOf(v.r); err == nil {
			v.rememberHabit(reading)
			err = v.store.AddSpotReading(v.ctx(), e.ID, v.account.FullName, reading, v.now)
		}
		if err == nil {
			err = v.store.Note(v.ctx(), store.AuditLine{At: v.now, By: accounts.AuthorOf(v.r, v.account), What: store.AddedReading, About: e.ID, Scope: e.Gate})
		}
	}
	var unfit readingError
	switch {
	case err == nil:
		v.redirect("/events/" + e.ID)
	case errors.As(err, &unfit):
		v.showEventWith(http.StatusUnprocessableEntity, v.tongue.of(phrase(unfit)), e)
	case errors.Is(err, store.ErrSpotLate), errors.Is(err, store.ErrSpotAlert), errors.Is(err, store.ErrSpotEmpty):
		v.showEventWith(http.StatusConflict, v.tongue.Say("这条记录不能再记复测：超过 15 分钟、没有皮肤温度，或此人有告警（请记在告警上）。",
			"No reading can be noted here: it is more than 15 minutes ago, there is no skin temperature, or this person has an alert, which the reading belongs to."), e)
	default:
		v.fail(err)
	}
}

func (v *visit) eventPage(e store.Event) (eventPage, error) {
	page := eventPage{Event: e, Steps: v.tongue.reasoning(e), JSON: indented(e.Body)}
	var err error
	if page.Visit, err = v.store.Visit(v.ctx(), e.Gate, e.Visit); err != nil {
		return page, err
	}
	if page.Alert, err = v.store.AlertOf(v.ctx(), e); err != nil {
		return page, err
	}
	if page.Spot, err = v.store.SpotReadings(v.ctx(), e.ID); err != nil {
		return page, err
	}
	if page.Alert == nil && e.Data.SkinCelsius != nil && !v.store.OutcomeOnly(e.Gate.Site) && v.now.Sub(e.Time).Abs() <= store.SpotLimit {
		page.Form = &readingForm{Habit: habitOf(v.r), Entered: v.r.PostFormValue("value")}
	}
	if page.Holds, err = v.store.HoldsOn(v.ctx(), e); err != nil {
		return page, err
	}
	who, told, err := v.store.BearerOf(v.ctx(), e)
	switch {
	case err != nil:
		return page, err
	case told && who.Unpaired != "":
		page.Known = v.tongue.Say("不知道：", "not known: ") + v.tongue.WhyUnpaired(who.Unpaired)
	case told:
		page.Known = v.tongue.Say("知道，名字只有人事看得到；读取：", "known, by name to personnel alone; read by ") + who.By
	}
	var second *float64
	switch {
	case page.Alert != nil:
		second = page.Alert.ReadCelsius
	case len(page.Spot) > 0:
		second = &page.Spot[len(page.Spot)-1].Reading.Celsius
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

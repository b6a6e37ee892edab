package web

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// gateAddress is where the page of a gate is.
func gateAddress(gate mqtt.Gate) string {
	return "/gates/" + url.PathEscape(gate.Site) + "/" + url.PathEscape(gate.Name)
}

type gatesPage struct {
	Rows        []gateRow
	Versions    map[string]string
	Differences []difference
	Told        *Told // nil without a district, and for who sees one site alone
}

// gateRow is a gate and what its day came to so far.
type gateRow struct {
	tile
	People, Alerts, Inconclusive int64
	Check                        *store.Check // of today
}

func showGates(v *visit) {
	now, err := v.snapshot()
	if err != nil {
		v.fail(err)
		return
	}
	all := v.pageOf(now, v.account)
	today := store.DayOf(v.now.UTC())
	counts, err := v.store.Days(v.ctx(), today-1, today+1) // wherever the sites are
	if err != nil {
		v.fail(err)
		return
	}
	checks, err := v.checksToday(v.now)
	if err != nil {
		v.fail(err)
		return
	}
	page := gatesPage{Versions: all.Versions}
	for _, t := range all.Gates {
		row := gateRow{tile: t, Check: checks[t.Gate.Gate]}
		for _, c := range counts {
			if c.Gate != t.Gate.Gate || c.Day != v.today(t.Site) {
				continue
			}
			row.People += c.People
			switch c.Outcome {
			case event.Alert:
				row.Alerts += c.People
			case event.Inconclusive:
				row.Inconclusive += c.People
			}
		}
		page.Rows = append(page.Rows, row)
	}
	if page.Differences, err = v.differences(page.Rows); err != nil {
		v.fail(err)
		return
	}
	if v.cfg.Told != nil && v.account.Scope.Site == "" { // it is of all sites
		told := v.cfg.Told()
		page.Told = &told
	}
	v.show("gates", page)
}

// checksToday are the newest checks of gates, where there is one of the site's day.
func (v *visit) checksToday(now time.Time) (map[mqtt.Gate]*store.Check, error) {
	checks, err := v.store.Checks(v.ctx(), now.Add(-26*time.Hour), now.Add(time.Minute))
	today := map[mqtt.Gate]*store.Check{}
	for _, c := range checks { // the newest first
		if zone := v.store.Zone(c.Gate.Site); today[c.Gate] == nil && store.DayOf(c.At.In(zone)) == store.DayOf(now.In(zone)) {
			today[c.Gate] = &c
		}
	}
	return today, err
}

// gatePage is one gate and one of its days.
type gatePage struct {
	tile
	Date          time.Time // in the site's zone, as Zone says
	Zone          string
	Today         bool
	Before, After string // addresses of the days beside; empty where there is none
	Chart         dayChart
	Reasons       []reasonCount  // why people were not measured, the most first
	States        []store.State  // of that day, other than that all was well, the latest first
	Checks        []store.Check  // up to that day, the newest first
	Settings      []settingInUse // in force, each with what was before: those that were changed, and the ones that matter most
	Others        []settingInUse // the rest
	Told          bool           // by its status, not by its events
	Hash          string         // of all that its status tells
	Written       time.Time      // when the gate's configuration file was changed last
	Versions      map[string]string
	Key           string // "site/gate"
	From, To      string // the day, for the history
}

type reasonCount struct {
	Reason event.Reason
	People int64
}

const (
	checksShown  = 10
	checksWithin = 90 * 24 * time.Hour
	statesShown  = 200
	reasonsShown = 30
)

func showGate(v *visit) {
	gate := mqtt.Gate{Site: v.r.PathValue("site"), Name: v.r.PathValue("gate")}
	t, versions, ok := v.tileOfGate(gate)
	if !ok {
		return
	}
	page := gatePage{tile: t, Versions: versions, Key: keyOf(gate)}
	if err := page.read(v, gate); err != nil {
		v.fail(err)
		return
	}
	v.show("gate", page)
}

func (p *gatePage) read(v *visit, gate mqtt.Gate) error {
	begin, end := p.choose(v, v.store.Zone(gate.Site))
	counts, err := v.store.GateQuarters(v.ctx(), gate, begin, end)
	if err != nil {
		return err
	}
	p.Chart, p.Reasons = chartOf(counts, begin, end), whyNot(counts)
	if p.States, err = v.store.States(v.ctx(), gate, begin, end, statesShown); err != nil {
		return err
	}
	p.States = slices.DeleteFunc(p.States, func(s store.State) bool { return usual[s.Value] })
	checks, err := v.store.Checks(v.ctx(), end.Add(-checksWithin), end)
	if err != nil {
		return err
	}
	for _, c := range checks {
		if c.Gate == gate && len(p.Checks) < checksShown {
			p.Checks = append(p.Checks, c)
		}
	}
	settings, err := v.store.Settings(v.ctx(), gate, settingsShown)
	p.sort(inUse(told(settings)))
	return err
}

// usual are the states of parts that nobody need look at.
var usual = map[string]bool{store.Online: true, "ok": true, "off": true}

// choose takes the day that is asked for, or today.
func (p *gatePage) choose(v *visit, zone *time.Location) (begin, end time.Time) {
	p.Zone = zone.String()
	today := store.DayOf(v.now.In(zone))
	day := today
	if asked, err := time.Parse(time.DateOnly, v.r.URL.Query().Get("day")); err == nil {
		day = min(store.DayOf(asked), today)
	}
	begin, end = day.Begin(zone), (day + 1).Begin(zone)
	p.Date, p.Today = begin, day == today
	address := func(day store.Day) string { return "?day=" + day.Date().Format(time.DateOnly) }
	p.Before = address(day - 1)
	if !p.Today {
		p.After = address(day + 1)
	}
	const form = "2006-01-02T15:04"
	p.From, p.To = begin.Format(form), end.Format(form)
	return begin, end
}

func whyNot(counts []store.Count) []reasonCount {
	people := map[event.Reason]int64{}
	for _, c := range counts {
		if c.Outcome == event.Inconclusive {
			people[c.Reason] += c.People
		}
	}
	var all []reasonCount
	for reason, n := range people {
		if n > 0 {
			all = append(all, reasonCount{reason, n})
		}
	}
	sortReasons(all)
	return all[:min(len(all), reasonsShown)]
}

// dayChart is the people of a day by the quarter of an hour, in the units of its drawing.
type dayChart struct {
	Width, Height float64
	Bars          []dayBar
	Marks         []dayTick // at quarters with an alert
	Hours, Levels []dayTick
	Rows          []dayRow
	Total         dayRow
}

// Right and Bottom are the ends of the axes; Width and Height have room for their words.
func (dayChart) Right() float64  { return chartWidth }
func (dayChart) Bottom() float64 { return chartHeight }

// dayBar is one outcome of a quarter.
type dayBar struct {
	X, Y, Width, Height float64
	Outcome             event.Outcome
}

type dayTick struct {
	At   float64
	Text string
}

// dayRow is a quarter of an hour in the table beside the chart.
type dayRow struct {
	Begin                             time.Time
	People, Pass, Inconclusive, Alert int64
}

func (r *dayRow) add(outcome event.Outcome, people int64) {
	r.People += people
	switch outcome {
	case event.Pass:
		r.Pass += people
	case event.Inconclusive:
		r.Inconclusive += people
	case event.Alert:
		r.Alert += people
	}
}

const (
	chartWidth  = 768.0
	chartHeight = 180.0
	quarter     = 15 * time.Minute
)

// chartOf draws the counts of one gate and day. Alerts lie at the bottom, so that one is seen.
func chartOf(counts []store.Count, begin, end time.Time) dayChart {
	chart := dayChart{Width: chartWidth + 40, Height: chartHeight + 36}
	rows := make([]dayRow, int(end.Sub(begin)/quarter))
	for i := range rows {
		rows[i].Begin = begin.Add(time.Duration(i) * quarter)
	}
	for _, c := range counts {
		if i := int(c.Quarter.Sub(begin) / quarter); i >= 0 && i < len(rows) {
			rows[i].add(c.Outcome, c.People)
			chart.Total.add(c.Outcome, c.People)
		}
	}
	most := int64(4)
	for _, row := range rows {
		most = max(most, row.People)
	}
	step := levelStep(most)
	top := float64((most + step - 1) / step * step)
	y := func(people float64) float64 { return math.Round(10*chartHeight*(1-people/top)) / 10 }
	for level := step; float64(level) <= top; level += step {
		chart.Levels = append(chart.Levels, dayTick{y(float64(level)), strconv.FormatInt(level, 10)})
	}
	width := chartWidth / float64(len(rows))
	for i, row := range rows {
		x := math.Round(10*width*float64(i)) / 10
		if row.Begin.Minute() == 0 && row.Begin.Hour()%2 == 0 {
			chart.Hours = append(chart.Hours, dayTick{x, row.Begin.Format("15")})
		}
		below := 0.0
		for _, part := range []struct {
			outcome event.Outcome
			people  int64
		}{{event.Alert, row.Alert}, {event.Inconclusive, row.Inconclusive}, {event.Pass, row.Pass}} {
			if part.people > 0 {
				from, to := y(below+float64(part.people)), y(below)
				chart.Bars = append(chart.Bars, dayBar{x + 0.5, from, width - 1, to - from, part.outcome})
				below += float64(part.people)
			}
		}
		if row.Alert > 0 {
			chart.Marks = append(chart.Marks, dayTick{At: x + width/2})
		}
		if row.People > 0 {
			chart.Rows = append(chart.Rows, row)
		}
	}
	return chart
}

// levelStep is 1, 2 or 5 times a power of ten, of which most takes five at most.
func levelStep(most int64) int64 {
	for step := int64(1); ; step *= 10 {
		for _, times := range []int64{1, 2, 5} {
			if most <= 5*step*times {
				return step * times
			}
		}
	}
}

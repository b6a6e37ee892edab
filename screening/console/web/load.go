package web

import (
	"math"
	"slices"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// What EEMUA 191 says of alerts in ten minutes that one person is to see to.
const (
	loadWindow = 10 * time.Minute
	flood      = 10.0
	loadDay    = 24 * time.Hour
	loadWeek   = 7 * loadDay
	markEvery  = 4 * time.Hour
)

type loadPage struct {
	Windows []loadBar // of a day, the oldest first
	Marks   []loadMark
	Hours   []loadHour
	Gates   []gateLoad
	Total   gateLoad
	Limit   float64
	LimitY  float64
	FloodY  float64
	Width   float64
	Height  float64
	Top     float64
	Heavy   []mqtt.Gate // whose alerts are more than guards can take
}

// loadBar is ten minutes of the chart.
type loadBar struct {
	X, Y, Width, Height float64
	Kind                string // good, high or flood
}

// loadMark is a time below the chart.
type loadMark struct {
	X     float64
	Begin time.Time
}

// loadHour is a row beside the chart.
type loadHour struct {
	Begin  time.Time
	Alerts int
	Guards int
	Peak   float64 // alerts per guard in its worst ten minutes
	Kind   string
}

// gateLoad is a week of a gate.
type gateLoad struct {
	Gate             mqtt.Gate
	Alerts           int
	Confirmed, False int
	Gone, Open       int
	Peak             float64 // alerts per guard in its worst ten minutes
	Kind             string
	TakeSeconds      float64 // median from alert to taken; NaN where none was
	times            []time.Time
	takes            []float64
}

// Places are those of second readings.
func (loadPage) Places() []string { return places }

// FalseShare is the share of false alerts among those that had a second reading, in percent; -1 where none had.
func (g gateLoad) FalseShare() int {
	if g.False+g.Confirmed == 0 {
		return -1
	}
	return int(math.Round(100 * float64(g.False) / float64(g.False+g.Confirmed)))
}

// Taken is the median time from alert to taken.
func (g gateLoad) Taken() time.Duration {
	if math.IsNaN(g.TakeSeconds) {
		return -1
	}
	return time.Duration(g.TakeSeconds * float64(time.Second))
}

func showLoad(v *visit) {
	end := v.now.Truncate(loadWindow).Add(loadWindow)
	from := end.Add(-loadWeek)
	alerts, err := v.store.Alerts(v.ctx(), from, end)
	if err != nil {
		v.fail(err)
		return
	}
	changes, err := v.store.Changes(v.ctx(), from, end)
	if err != nil {
		v.fail(err)
		return
	}
	alerts = slices.DeleteFunc(alerts, func(a store.Alert) bool { return !v.account.Sees(a.Gate) })
	slices.Reverse(alerts) // the oldest first
	v.show("load", loadOf(alerts, guardsBy(changes), v.cfg.AlertsPerGuard, from, end))
}

// guards are those who did something with alerts, by ten minutes since 1970.
type guards map[int64]map[string]bool

func guardsBy(changes []store.Change) guards {
	at := guards{}
	for _, c := range changes {
		if c.Who == "" {
			continue
		}
		window := c.At.Unix() / int64(loadWindow/time.Second)
		if at[window] == nil {
			at[window] = map[string]bool{}
		}
		at[window][c.Who] = true
	}
	return at
}

// at is how many there were within half an hour of a time: one at least, for somebody is to be there.
func (g guards) at(t time.Time) int {
	window, all := t.Unix()/int64(loadWindow/time.Second), map[string]bool{}
	for near := window - 3; near <= window+3; near++ {
		for who := range g[near] {
			all[who] = true
		}
	}
	return max(1, len(all))
}

// peak is the most alerts for each guard that any ten minutes had, wherever they began.
func (g guards) peak(times []time.Time) (most float64) {
	first := 0
	for i, t := range times {
		for t.Sub(times[first]) >= loadWindow {
			first++
		}
		most = max(most, float64(i-first+1)/float64(g.at(t)))
	}
	return most
}

func kindOf(perGuard, limit float64) string {
	switch {
	case perGuard >= flood:
		return "flood"
	case perGuard > limit:
		return "high"
	}
	return "good"
}

func loadOf(alerts []store.Alert, at guards, limit float64, from, end time.Time) loadPage {
	page := loadPage{Limit: limit, Width: 432, Height: 160, Total: gateLoad{}}
	byGate := map[mqtt.Gate]*gateLoad{}
	for _, a := range alerts {
		g := byGate[a.Gate]
		if g == nil {
			g = &gateLoad{Gate: a.Gate}
			byGate[a.Gate] = g
		}
		g.add(a)
		page.Total.add(a)
	}
	page.Total.settle(at, limit)
	for _, g := range byGate {
		g.settle(at, limit)
		page.Gates = append(page.Gates, *g)
		if g.Kind != "good" {
			page.Heavy = append(page.Heavy, g.Gate)
		}
	}
	slices.SortFunc(page.Gates, func(a, b gateLoad) int { return b.Alerts - a.Alerts })
	slices.SortFunc(page.Heavy, func(a, b mqtt.Gate) int { return strings.Compare(a.Site+"/"+a.Name, b.Site+"/"+b.Name) })
	page.draw(page.Total.times, at, end)
	for begin := end.Add(-loadDay).Truncate(time.Hour); begin.Before(end); begin = begin.Add(time.Hour) {
		within := between(page.Total.times, begin, begin.Add(time.Hour))
		if len(within) == 0 {
			continue
		}
		hour := loadHour{Begin: begin, Alerts: len(within), Guards: at.at(begin.Add(time.Hour / 2)), Peak: at.peak(within)}
		hour.Kind = kindOf(hour.Peak, limit)
		page.Hours = append(page.Hours, hour)
	}
	slices.Reverse(page.Hours)
	return page
}

func (g *gateLoad) add(a store.Alert) {
	g.Alerts++
	g.times = append(g.times, a.Time)
	if !a.TakenAt.IsZero() {
		g.takes = append(g.takes, a.TakenAt.Sub(a.Received).Seconds())
	}
	switch {
	case a.State != store.Closed:
		g.Open++
	case a.Outcome == mqtt.Confirmed:
		g.Confirmed++
	case a.Outcome == mqtt.FalseAlert:
		g.False++
	default:
		g.Gone++
	}
}

func (g *gateLoad) settle(at guards, limit float64) {
	g.Peak = at.peak(g.times)
	g.Kind = kindOf(g.Peak, limit)
	g.TakeSeconds = math.NaN()
	if slices.Sort(g.takes); len(g.takes) > 0 {
		g.TakeSeconds = max(0, g.takes[len(g.takes)/2])
	}
}

// draw makes a bar of each ten minutes of a day.
func (p *loadPage) draw(times []time.Time, at guards, end time.Time) {
	n := int(loadDay / loadWindow)
	loads := make([]float64, n)
	p.Top = max(flood, p.Limit) * 1.2
	for i := range loads {
		begin := end.Add(-loadDay + time.Duration(i)*loadWindow)
		loads[i] = float64(len(between(times, begin, begin.Add(loadWindow)))) / float64(at.at(begin))
		p.Top = max(p.Top, loads[i])
	}
	y := func(load float64) float64 { return math.Round(10*p.Height*(1-load/p.Top)) / 10 }
	p.LimitY, p.FloodY = y(p.Limit), y(flood)
	begin := end.Add(-loadDay)
	for at := begin.Add(markEvery / 3).Truncate(markEvery).Add(markEvery); at.Before(end.Add(-markEvery / 3)); at = at.Add(markEvery) { // none at the edges
		p.Marks = append(p.Marks, loadMark{math.Round(p.Width * float64(at.Sub(begin)) / float64(loadDay)), at})
	}
	for i, load := range loads {
		if load > 0 {
			width := p.Width / float64(n)
			p.Windows = append(p.Windows, loadBar{X: float64(i) * width, Y: y(load), Width: width - 1, Height: p.Height - y(load), Kind: kindOf(load, p.Limit)})
		}
	}
}

// between are the times from one to before another, of times in order.
func between(times []time.Time, from, to time.Time) []time.Time {
	first, _ := slices.BinarySearchFunc(times, from, time.Time.Compare)
	last, _ := slices.BinarySearchFunc(times, to, time.Time.Compare)
	return times[first:last]
}

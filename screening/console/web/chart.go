package web

import (
	"fmt"
	"math"
	"slices"
	"time"

	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// reportChart is the people of a report, a strip for each gate, in the units of its drawing.
type reportChart struct {
	Width, Height float64
	Bottom        float64 // of the strips
	Strips        []strip
	Queues        *strip // the longest queues, below them; nil where there was none
	Ticks         []dayTick
	Gates         []mqtt.Gate // of the table behind it
	Rows          []chartRow
}

// Left and Right are the ends of the strips; what is beside them has room for names.
func (reportChart) Left() float64  { return stripLeft }
func (reportChart) Right() float64 { return stripLeft + stripWidth }

// strip is a gate in the chart. All have the same scale, but for the one of all others.
type strip struct {
	Name  string
	Base  float64
	Most  int64
	Bars  []chartBars
	Marks []dayTick // alerts, above their bars; or where the longest queue was
}

// chartBars are all bars of an outcome in a strip, as one path: there are hundreds in a drawing.
type chartBars struct {
	Outcome event.Outcome
	Path    string
}

// add puts another one on.
func (b *chartBars) add(x, y, width, height float64) {
	b.Path += fmt.Sprintf("M%g %gh%gv%gh%gz", round(x), round(y), round(width), round(height), -round(width))
}

// chartRow is a quarter of an hour, or a day, in the table behind the chart.
type chartRow struct {
	Begin time.Time
	Text  string
	Cells []chartCell // one a gate
	All   chartCell
}

type chartCell struct {
	dayRow
	Address string
}

const (
	stripLeft   = 120.0
	stripWidth  = 860.0
	stripsShown = 8 // the others are one strip
	stripsTall  = 170.0
	queueTall   = 30.0
	markTall    = 9.0
)

// buckets are the quarters of an hour of a report, or the days of a longer one, with the end of the last.
func buckets(span reports.Span) []time.Time {
	var all []time.Time
	if span.To.Sub(span.From) <= store.ShortPeriod {
		for at := span.From; at.Before(span.To); at = at.Add(quarter) {
			all = append(all, at)
		}
		return append(all, span.To)
	}
	for day := span.Day; day.Begin(span.Zone).Before(span.To); day++ {
		all = append(all, day.Begin(span.Zone))
	}
	return append(all, span.To)
}

// chartOfReport draws the people of each gate, and has the numbers in a table.
func chartOfReport(made reports.Made, queues []store.Queue, t tongue) reportChart {
	begins := buckets(made.Span)
	n := len(begins) - 1
	chart := reportChart{Width: stripLeft + stripWidth + 30}
	at := map[mqtt.Gate]int{}
	for i, gate := range made.Report.Gates {
		at[gate.Gate] = i
		chart.Gates = append(chart.Gates, gate.Gate)
	}
	counts := make([][]dayRow, len(chart.Gates))
	for i := range counts {
		counts[i] = make([]dayRow, n)
	}
	for _, c := range slices.Concat(made.Report.Quarters, made.Report.Days) {
		begin := c.Quarter
		if begin.IsZero() {
			begin = c.Day.Begin(made.Zone)
		}
		i, found := slices.BinarySearchFunc(begins, begin, time.Time.Compare)
		if !found {
			i--
		}
		if gate, known := at[c.Gate]; known && i >= 0 && i < n {
			counts[gate][i].add(c.Outcome, c.People)
		}
	}
	chart.table(made, counts, begins, t)
	chart.draw(made, counts, n, t)
	if made.Report.All.Queue > 0 && len(queues) > 0 {
		chart.queues(made, queues, n, t)
	}
	chart.ticks(made.Span, begins, t)
	return chart
}

func (c *reportChart) table(made reports.Made, counts [][]dayRow, begins []time.Time, t tongue) {
	var rows []reportRow
	for _, gate := range made.Report.Gates {
		rows = append(rows, rowOf(made.Span, gate, ""))
	}
	all := rowOf(made.Span, made.Report.All, "")
	for i, begin := range begins[:len(begins)-1] {
		row := chartRow{Begin: begin, Text: begin.Format("15:04")}
		if begins[1].Sub(begins[0]) > quarter {
			row.Text = t.LongDate(begin)
		}
		for gate := range counts {
			cell := chartCell{dayRow: counts[gate][i], Address: rows[gate].behind(everybody, begin, begins[i+1])}
			row.Cells = append(row.Cells, cell)
			row.All.People += cell.People
			row.All.Alert += cell.Alert
		}
		if row.All.People > 0 {
			row.All.Address = all.behind(everybody, begin, begins[i+1])
			c.Rows = append(c.Rows, row)
		}
	}
}

// draw puts the busiest gates into strips of their own, in order of their names, and all others into one.
func (c *reportChart) draw(made reports.Made, counts [][]dayRow, n int, t tongue) {
	own := made.Report.Gates
	if len(own) > stripsShown {
		own = slices.Clone(own)
		slices.SortStableFunc(own, func(a, b store.GateReport) int { return int(b.People - a.People) })
		own = own[:stripsShown-1]
	}
	shown := map[mqtt.Gate]bool{}
	for _, gate := range own {
		shown[gate.Gate] = true
	}
	var names []string
	var strips [][]dayRow
	others := make([]dayRow, n)
	for gate := range counts {
		if shown[c.Gates[gate]] {
			names, strips = append(names, c.Gates[gate].Name), append(strips, counts[gate])
			continue
		}
		for i, row := range counts[gate] {
			others[i].add(event.Pass, row.Pass)
			others[i].add(event.Inconclusive, row.Inconclusive)
			others[i].add(event.Alert, row.Alert)
		}
	}
	if rest := len(c.Gates) - len(names); rest > 0 {
		names, strips = append(names, fmt.Sprintf(t.Say("其他 %d 台", "%d others"), rest)), append(strips, others)
	}
	most := func(strips ...[]dayRow) int64 {
		people := int64(4)
		for _, row := range slices.Concat(strips...) {
			people = max(people, row.People)
		}
		return people
	}
	tall := min(44, stripsTall/float64(max(1, len(strips))))
	for i, rows := range strips {
		scale := most(strips[:len(own)]...)
		if i >= len(own) {
			scale = most(rows)
		}
		c.Strips = append(c.Strips, stripOf(names[i], rows, float64(i+1)*tall, tall-markTall-3, scale))
	}
	c.Bottom = tall * float64(len(strips))
	c.Height = c.Bottom + 20
}

func stripOf(name string, rows []dayRow, base, tall float64, most int64) strip {
	s := strip{Name: name, Base: base}
	width := stripWidth / float64(len(rows))
	y := func(people int64) float64 { return round(base - tall*float64(people)/float64(most)) }
	bars := []chartBars{{Outcome: event.Alert}, {Outcome: event.Inconclusive}, {Outcome: event.Pass}}
	for i, row := range rows {
		s.Most = max(s.Most, row.People)
		x, below := round(stripLeft+width*float64(i)), int64(0)
		for n, people := range []int64{row.Alert, row.Inconclusive, row.Pass} {
			if people > 0 {
				bars[n].add(x+0.5, y(below+people), width-1, y(below)-y(below+people))
				below += people
			}
		}
		if row.Alert > 0 {
			s.Marks = append(s.Marks, dayTick{x + round(width/2), fmt.Sprint(y(row.People) - 2)})
		}
	}
	s.Bars = slices.DeleteFunc(bars, func(b chartBars) bool { return b.Path == "" })
	return s
}

func round(number float64) float64 { return math.Round(10*number) / 10 }

// queues draws the longest queue of all gates in each quarter of an hour, and says how long the longest of all was, and where.
func (c *reportChart) queues(made reports.Made, queues []store.Queue, n int, t tongue) {
	longest := make([]store.Queue, n)
	most := store.Queue{}
	for _, q := range queues {
		if i := int(q.Quarter.Sub(made.From) / quarter); i >= 0 && i < n && q.People > longest[i].People {
			longest[i] = q
			if q.People > most.People {
				most = q
			}
		}
	}
	s := strip{Name: t.Say("最长排队", "Longest queue"), Base: c.Bottom + 20 + queueTall, Most: most.People, Bars: make([]chartBars, 1)}
	width := stripWidth / float64(n)
	for i, q := range longest {
		if q.People == 0 {
			continue
		}
		x, tall := round(stripLeft+width*float64(i)), round((queueTall-14)*float64(q.People)/float64(most.People))
		s.Bars[0].add(x+0.5, s.Base-tall, width-1, tall)
		if q == most {
			s.Marks = append(s.Marks, dayTick{x, q.Gate.Name})
		}
	}
	c.Queues, c.Height = &s, s.Base+4
}

// ticks are at full hours, or at days.
func (c *reportChart) ticks(span reports.Span, begins []time.Time, t tongue) {
	every, form := 1, "15"
	switch {
	case span.Kind == reports.Day:
		every = 2
	case span.Kind == reports.Week:
		form = t.Say("1月2日", "2 Jan")
	case span.Kind == reports.Month:
		form = "2"
	}
	for i, begin := range begins[:len(begins)-1] {
		x := stripLeft + stripWidth*float64(i)/float64(len(begins)-1)
		if begins[1].Sub(begins[0]) > quarter {
			c.Ticks = append(c.Ticks, dayTick{round(x + stripWidth/float64(len(begins)-1)/2), begin.Format(form)})
		} else if begin.Minute() == 0 && begin.Hour()%every == 0 {
			c.Ticks = append(c.Ticks, dayTick{round(x), begin.Format(form)})
		}
	}
}

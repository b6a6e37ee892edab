package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
)

// listedDays is how many days of shifts a page has.
const listedDays = 7

// shiftsPage is the shifts of some days of a site, the newest first.
type shiftsPage struct {
	Site           string
	Sites          []string
	Days           []shiftDay
	Earlier, Later string // addresses; empty where there is none
	MayPlan        bool
	Fault          string
	Listed         bool // there is a list of people, and the visitor may see how many of them came
}

type shiftDay struct {
	Date   time.Time
	Shifts []shiftLine
}

// shiftLine is a shift in the list.
type shiftLine struct {
	reportRow
	Address string
	Hours   string
	Running bool
	Covered string // address of how many of those on the list came
}

// Bounds beyond which a figure of a shift is marked.
const (
	leastCoverage = 95.0 // percent
	leastKnown    = 0.99
	mostSeconds   = 1.0 // to the verdict, for 95 % of people: what a gate is built for
	mostUnsure    = 0.1 // share of people who were not measurable
)

// Blank tells whether nothing at all is known of it.
func (l shiftLine) Blank() bool { return l.People == 0 && !(l.Known > 0) }

// Thin tells whether too few of those came who were expected.
func (l shiftLine) Thin() bool { return !l.Running && !l.Blank() && l.Coverage() < leastCoverage }

// Dark tells whether there is a time without data.
func (l shiftLine) Dark() bool { return l.Known < leastKnown }

// Slow tells whether people waited for their verdict.
func (l shiftLine) Slow() bool { return l.Seconds95 > mostSeconds }

// Unsure tells whether too many were not measurable.
func (l shiftLine) Unsure() bool {
	return float64(l.Inconclusive) > mostUnsure*float64(l.People)
}

func showShifts(v *visit) {
	site, sites, ok := v.site()
	if !ok {
		return
	}
	page := shiftsPage{Site: site, Sites: sites, MayPlan: v.account.Scope.Name == "" && !v.cfg.District, Fault: v.reportFault()}
	if site == "" {
		v.show("shifts", page)
		return
	}
	today := v.today(site)
	last := today
	if text := v.r.FormValue("day"); text != "" {
		asked, ok := v.dayAsked(text, site)
		if !ok {
			v.missing()
			return
		}
		last = min(asked, today)
	}
	if err := page.read(v, last); err != nil {
		v.fail(err)
		return
	}
	at := func(day store.Day) string {
		return "/shifts?" + url.Values{"site": {site}, "day": {dateText(day)}}.Encode()
	}
	page.Earlier = at(last - listedDays)
	if last < today {
		page.Later = at(min(last+listedDays, today))
	}
	v.show("shifts", page)
}

func (p *shiftsPage) read(v *visit, last store.Day) error {
	shifts, err := reports.ShiftsOf(v.ctx(), v.store, p.Site, last-listedDays+1, last)
	if err != nil {
		return err
	}
	if v.mayCover() && !v.cfg.District {
		people, err := v.store.CountPeople(v.ctx(), store.PeopleFilter{Site: p.Site}, v.now)
		if err != nil {
			return err
		}
		p.Listed = people > 0
	}
	for _, span := range slices.Backward(shifts) {
		if span.From.After(v.now) {
			continue
		}
		made, err := v.make(span)
		if err != nil {
			return err
		}
		if n := len(p.Days); n == 0 || store.DayOf(p.Days[n-1].Date) != span.Day {
			p.Days = append(p.Days, shiftDay{Date: span.Day.Date()})
		}
		day := &p.Days[len(p.Days)-1]
		day.Shifts = append(day.Shifts, shiftLine{
			reportRow: rowOf(made.Span, made.Report.All, v.tongue.ShiftName(span.Shift.Name)), Address: spanAddress(span),
			Hours: span.From.Format("15:04") + "–" + span.To.Format("15:04"), Running: v.now.Before(span.To), Covered: coverageAddress(span),
		})
	}
	return nil
}

// planPage is the plan of shifts of a site, to be changed.
type planPage struct {
	Site  string
	Sites []string
	From  string // the day from which a change is to hold
	Rows  []planRow
	Plans []store.ShiftPlan // the latest first
	Usual bool              // nobody gave one
	Based string            // the Sum that the form was filled in on; empty where that is the one on the page
}

// Sum tells the plans that a form was filled in on from those that somebody has put in force since.
func (p planPage) Sum() string { return store.PlansSum(p.Plans) }

// planRow is a shift in the form, as it was entered.
type planRow struct{ Name, Begin, End, Expected string }

// spareRows are for more shifts.
const spareRows = 2

func showPlan(v *visit) {
	site, sites, ok := v.planSite()
	if !ok {
		return
	}
	tomorrow := v.today(site) + 1
	plan, err := v.store.ShiftPlan(v.ctx(), site, tomorrow)
	if err != nil {
		v.fail(err)
		return
	}
	page := planPage{Site: site, Sites: sites, From: dateText(tomorrow)}
	for _, shift := range plan.Shifts {
		row := planRow{Name: shift.Name, Begin: clockText(shift.Begin), End: clockText(shift.End)}
		if shift.Expected > 0 {
			row.Expected = strconv.FormatInt(shift.Expected, 10)
		}
		page.Rows = append(page.Rows, row)
	}
	v.showPlan(http.StatusOK, "", page)
}

// clockText is a time of day as forms have it.
func clockText(at time.Duration) string {
	return fmt.Sprintf("%02d:%02d", at/time.Hour%24, at%time.Hour/time.Minute)
}

// planSite is the site whose plan somebody may change. Where it answers by itself, ok is false.
func (v *visit) planSite() (site string, sites []string, ok bool) {
	site, sites, ok = v.site()
	if ok && (site == "" || v.account.Scope.Name != "") {
		v.missing()
		return "", nil, false
	}
	return site, sites, ok
}

func (v *visit) showPlan(status int, notice string, page planPage) {
	var err error
	if page.Plans, err = v.store.ShiftPlans(v.ctx(), page.Site); err != nil {
		v.fail(err)
		return
	}
	page.Usual = len(page.Plans) == 0
	page.Rows = append(page.Rows, make([]planRow, spareRows)...)
	v.showWith(status, "plan", notice, page)
}

func changePlan(v *visit) {
	site, sites, ok := v.planSite()
	if !ok {
		return
	}
	page := planPage{Site: site, Sites: sites, From: v.r.PostFormValue("from"), Based: v.r.PostFormValue("version")}
	form := v.r.PostForm
	for i := range form["name"] {
		field := func(key string) string {
			if i >= len(form[key]) {
				return ""
			}
			return strings.TrimSpace(form[key][i])
		}
		if row := (planRow{field("name"), field("begin"), field("end"), field("expected")}); row != (planRow{}) {
			page.Rows = append(page.Rows, row)
		}
	}
	plan, wrong := planOf(page)
	if wrong != (phrase{}) {
		v.showPlan(http.StatusUnprocessableEntity, v.tongue.of(wrong), page)
		return
	}
	err := v.store.SetShiftPlan(v.ctx(), plan, page.Based, accounts.AuthorOf(v.r, v.account))
	switch {
	case errors.Is(err, store.ErrChanged):
		page.Based = ""
		v.showPlan(http.StatusConflict, v.tongue.Say("没有保存：这期间别人改了排班，见下表。要用您填的，请再点保存。", "Nothing was saved: somebody changed the plans meanwhile, see below. To put yours in force save it again."), page)
	case errors.Is(err, store.ErrShiftPlan): // which planOf does not know of
		v.showPlan(http.StatusUnprocessableEntity, err.Error(), page)
	case err != nil:
		v.fail(err)
	default:
		v.redirect("/shifts?" + url.Values{"site": {site}}.Encode())
	}
}

// planOf reads a plan, and says what of it can't be.
func planOf(page planPage) (plan store.ShiftPlan, wrong phrase) {
	wrongf := func(zh, en string, values ...any) phrase {
		return phrase{fmt.Sprintf(zh, values...), fmt.Sprintf(en, values...)}
	}
	from, ok := parseDay(page.From)
	if !ok {
		return plan, phrase{"请写明从哪一天起。", "Say from which day on."}
	}
	plan = store.ShiftPlan{Site: page.Site, From: from}
	if len(page.Rows) == 0 {
		return plan, phrase{"至少要有一个班次。", "A plan has one shift at least."}
	}
	var err error
	names := map[string]bool{}
	for _, row := range page.Rows {
		shift := store.Shift{Name: row.Name}
		if row.Name == "" || len(row.Name) > 64 {
			return plan, wrongf("%s–%s 的班次没有名称，或名称太长。", "The shift from %s to %s has no name, or too long a one.", row.Begin, row.End)
		}
		if row.Name == "." || row.Name == ".." { // which no browser takes for a part of an address
			return plan, wrongf("班次不能叫“%s”。", "A shift can't be called %q.", row.Name)
		}
		file := strings.ToLower(reports.FileName(row.Name))
		if names[file] {
			return plan, wrongf("有两个班次叫“%s”，或者它们的报表文件会同名。", "Two shifts are called %q, or the files of their reports would be.", row.Name)
		}
		names[file] = true
		for _, time := range []struct {
			text string
			to   *time.Duration
		}{{row.Begin, &shift.Begin}, {row.End, &shift.End}} {
			if *time.to, err = reports.ParseClock(time.text); err != nil || *time.to%quarter != 0 {
				return plan, wrongf("班次“%s”的时间“%s”不对：要整刻钟，例如 05:45，因为人数按刻钟统计。", "Shift %q: %q is no full quarter of an hour such as 05:45, by which people are counted.", row.Name, time.text)
			}
		}
		if row.Expected != "" {
			if shift.Expected, err = strconv.ParseInt(row.Expected, 10, 64); err != nil || shift.Expected < 0 || shift.Expected > 1_000_000 {
				return plan, wrongf("班次“%s”的应到人数“%s”不对。", "Shift %q: %q is no head-count.", row.Name, row.Expected)
			}
		}
		plan.Shifts = append(plan.Shifts, shift)
	}
	slices.SortStableFunc(plan.Shifts, func(a, b store.Shift) int { return int(a.Begin - b.Begin) })
	for i, shift := range plan.Shifts {
		next := plan.Shifts[(i+1)%len(plan.Shifts)]
		begin, end := next.Begin, shift.End
		if i+1 == len(plan.Shifts) {
			begin += 24 * time.Hour
		}
		if end <= shift.Begin {
			end += 24 * time.Hour
		}
		if end > begin {
			return plan, wrongf("班次“%s”到 %s 才结束，“%s”从 %s 就开始了：班次不能重叠。", "Shift %q ends at %s, after %q begins at %s: shifts can't overlap.",
				shift.Name, clockText(shift.End), next.Name, clockText(next.Begin))
		}
	}
	return plan, phrase{}
}

// Clock is a time of day of a plan.
func (planPage) Clock(at time.Duration) string { return clockText(at) }

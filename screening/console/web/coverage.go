package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// coveragePage is who was screened in a shift: with names for those who may know them, with numbers alone for managers.
type coveragePage struct {
	store.Coverage
	Site          string
	Sites         []string
	Title         string
	Before, After string // addresses of the shifts beside; empty where there is none
	Report        string // address of the shift's report, where the visitor may see it
	Names         bool
	Running       bool
	Missing       []store.Covered // expected and without a verdict, in the order of the list to print
	Alerts        []store.Covered
	NoCode        int
	Companies     map[string]string // names by id
	Reasons       []event.Unpaired  // why people are not known, at any gate
}

// mayCover tells whether somebody may see how many were screened, or who.
func (v *visit) mayCover() bool {
	return v.account.Role == store.Personnel || accounts.May(v.account.Role, store.Manager) && v.account.Scope.Name == ""
}

func showCoverage(v *visit) {
	if !v.mayCover() {
		v.problem(http.StatusForbidden, v.tongue.Say("此页面需要“人事”或“经理”的角色，范围为整个厂区。", "This page takes the role personnel or manager, for a whole site."))
		return
	}
	site, sites, ok := v.site()
	if !ok {
		return
	}
	page := coveragePage{Site: site, Sites: sites, Names: v.account.Role == store.Personnel}
	if site == "" {
		v.show("coverage", page)
		return
	}
	span, ok, err := v.shiftAsked(site)
	if err == nil && !ok {
		v.missing()
		return
	}
	if err == nil {
		err = page.read(v, span)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.show("coverage", page)
}

// shiftAsked is the shift that an address asks for, or the one that there is now, or was last.
func (v *visit) shiftAsked(site string) (span reports.Span, ok bool, err error) {
	day, name := v.r.FormValue("day"), v.r.FormValue("shift")
	if day != "" {
		asked, fits := v.dayAsked(day, site)
		if !fits {
			return span, false, nil
		}
		shifts, err := reports.ShiftsOf(v.ctx(), v.store, site, asked, asked)
		i := slices.IndexFunc(shifts, func(s reports.Span) bool { return s.Shift.Name == name })
		if err != nil || i < 0 {
			return span, false, err
		}
		return shifts[i], true, nil
	}
	today := v.today(site)
	shifts, err := reports.ShiftsOf(v.ctx(), v.store, site, today-7, today)
	for _, s := range slices.Backward(shifts) {
		if !s.From.After(v.now) {
			return s, true, err
		}
	}
	return span, false, err
}

func coverageAddress(span reports.Span) string {
	if span.Site == "" {
		return ""
	}
	return "/people/coverage?" + url.Values{"site": {span.Site}, "day": {dateText(span.Day)}, "shift": {span.Shift.Name}}.Encode()
}

// coverage is who was screened in a shift, up to now.
func (v *visit) coverage(span reports.Span) (store.Coverage, error) {
	at := store.ShiftAt{Shift: span.Shift, Site: span.Site, Day: span.Day, From: span.From, To: span.To}
	return v.store.Coverage(v.ctx(), at, v.now)
}

func (p *coveragePage) read(v *visit, span reports.Span) error {
	var err error
	if p.Coverage, err = v.coverage(span); err != nil {
		return err
	}
	before, after, err := span.Beside(v.ctx(), v.store)
	if err != nil {
		return err
	}
	p.Title, p.Running, p.Before = v.tongue.ShiftName(span.Shift.Name), v.now.Before(span.To), coverageAddress(before)
	if !after.From.After(v.now) {
		p.After = coverageAddress(after)
	}
	if accounts.May(v.account.Role, store.Manager) {
		p.Report = spanAddress(span)
	}
	companies, err := v.store.Companies(v.ctx(), span.Site)
	if err != nil {
		return err
	}
	p.Companies = map[string]string{}
	for _, c := range companies {
		p.Companies[c.ID] = c.Name
	}
	for _, one := range p.People {
		if !one.HasCode {
			p.NoCode++
		}
		if p.Unknown { // and so nobody is said to be missing
			continue
		}
		switch one.Cover {
		case store.NotSeen, store.NotMeasured:
			p.Missing = append(p.Missing, one)
		case store.HadAlert:
			p.Alerts = append(p.Alerts, one)
		}
	}
	slices.SortStableFunc(p.Missing, func(a, b store.Covered) int {
		return cmp.Or(cmp.Compare(p.Companies[a.Company], p.Companies[b.Company]), cmp.Compare(a.Department, b.Department), cmp.Compare(a.Number, b.Number))
	})
	all := p.All()
	for reason := range all.Reasons {
		p.Reasons = append(p.Reasons, reason)
	}
	slices.Sort(p.Reasons)
	return nil
}

// Screening is the outcome of somebody, in a word of the domain.
func (coveragePage) Screening(c store.Cover) event.Outcome {
	switch c {
	case store.Passed:
		return event.Pass
	case store.HadAlert:
		return event.Alert
	}
	return event.Inconclusive
}

// Gate is one of the site by its name.
func (p coveragePage) Gate(name string) mqtt.Gate { return mqtt.Gate{Site: p.Site, Name: name} }

// Cover is what came of somebody, in words.
func (t tongue) Cover(c store.Covered) string {
	switch c.Cover {
	case store.NotSeen:
		return t.Say("没有测", "not seen")
	case store.NotMeasured:
		return t.Say("来了，没测准", "came, not measured")
	case store.Passed:
		return t.Say("已测", "screened")
	}
	if c.AlertOutcome != "" {
		return t.Say("告警：", "alert: ") + t.Word(c.AlertOutcome)
	}
	return t.Say("告警", "alert") + t.Say("：", ": ") + t.Word(cmp.Or(c.AlertState, store.New))
}

// unpaired say why it is not known who somebody was.
var unpaired = map[event.Unpaired]phrase{
	event.NoRead: {"没有读到码", "no code was read"}, event.TwoReads: {"同时读到两个码", "two codes at once"}, event.TwoFaces: {"同时有两个人", "two people at once"},
	event.Refused: {"码无效", "the code is not good"}, event.Repeated: {"刚被别人用过的码", "a code used minutes ago"},
}

// WhyUnpaired says why it is not known who somebody was.
func (t tongue) WhyUnpaired(why event.Unpaired) string {
	if p, known := unpaired[why]; known {
		return t.of(p)
	}
	return string(why)
}

// Percentage is a share of a hundred.
func (tongue) Percentage(share float64) float64 { return 100 * share }

// ScreenedOf is how many of some people had a verdict.
func (tongue) ScreenedOf(people []store.Covered) (count int) {
	for _, p := range people {
		if p.Cover == store.Passed || p.Cover == store.HadAlert {
			count++
		}
	}
	return count
}

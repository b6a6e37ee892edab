package web

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// What of a report is printed, so that it is one page: gates, and lines below them.
const (
	printedGates = 10
	printedLines = 18
	listedAlerts = 500 // on the page
)

// reportPage is a shift, day, week or month of a site.
type reportPage struct {
	reports.Made
	Sites         []string
	Title         string
	Before, After string // addresses of the reports beside, and
	Compared      string // of what this one is seen against; empty where there is none
	Covered       string // of who was screened in a shift; empty where there is no list of people, or that is not for the visitor
	Cover         store.Coverage
	Running       bool // it is not over yet
	Empty         bool // nothing is known of it
	Sentences     [][]part
	All           reportRow
	Rows          []reportRow
	Against       *reportRow
	Chart         reportChart
	Alerts        []alertLine
	Bare          bool      // outcomes only are kept
	KeptSince     time.Time // where events of it are older than that, and gone; else zero
	MoreAlerts    string    // address of all alerts, where they are not listed
	Unknown       []unknownLine
	Download      string       // what follows the address of a download
	Fault         string       // of the files that are written by themselves
	Plant         *plantReport // what the plant's own report says; nil outside of a district
}

// part is a piece of a sentence, with an address where it is a figure with events behind it.
type part struct{ Text, Address string }

// weave puts figures into a sentence, each for a "%s".
func weave(sentence string, figures ...part) []part {
	var all []part
	for i, text := range strings.Split(sentence, "%s") {
		if i > 0 {
			all = append(all, figures[i-1])
		}
		if text != "" {
			all = append(all, part{Text: text})
		}
	}
	return all
}

// reportRow is a gate, or all of them, with the events behind its figures.
type reportRow struct {
	store.GateReport
	Title   string
	Why     []reasonCount
	Unprint bool // it is left out in print

	span reports.Span
	of   mqtt.Gate // or a site
}

func rowOf(span reports.Span, gate store.GateReport, title string) reportRow {
	row := reportRow{GateReport: gate, Title: title, span: span, of: mqtt.Gate{Site: span.Site, Name: cmp.Or(gate.Gate.Name, span.Gate)}}
	for reason, people := range gate.Reasons {
		row.Why = append(row.Why, reasonCount{reason, people})
	}
	sortReasons(row.Why)
	return row
}

// whyShown is how many reasons a row has room for.
const whyShown = 3

// WhyShown are the most frequent reasons, and MoreWhy tells whether another one follows the one of an index among them.
func (r reportRow) WhyShown() []reasonCount { return r.Why[:min(whyShown, len(r.Why))] }
func (r reportRow) MoreWhy(i int) bool      { return i < len(r.WhyShown())-1 }

// Behind is the address of the people whom a figure counts.
func (r reportRow) Behind(figure string) string {
	return r.behind(figure, r.span.From, r.span.To)
}

func (r reportRow) behind(figure string, from, to time.Time) string {
	return figureAddress(figure, keyOf(r.of), from, to)
}

// BehindReason is the address of the people who were not measured for a reason.
func (r reportRow) BehindReason(reason event.Reason) string { return r.Behind(string(reason)) }

// BehindBusiest is the address of the people in the busiest quarter.
func (r reportRow) BehindBusiest() string {
	return r.behind(everybody, r.BusiestQuarter, r.BusiestQuarter.Add(quarter))
}

// BehindQueue is the address of the people around the longest queue.
func (r reportRow) BehindQueue() string {
	begin := r.QueueAt.Truncate(quarter)
	return r.behind(everybody, begin, begin.Add(quarter))
}

// AlertPeople is how many have an alert.
func (r reportRow) AlertPeople() int { return int(r.Alert) }

// AMinute is how many people came a minute in the busiest quarter.
func (r reportRow) AMinute() float64 { return float64(r.BusiestPeople) / quarter.Minutes() }

// Clock is a time of day at the gate, with the day in a report of more than one.
func (r reportRow) Clock(at time.Time) string {
	if r.span.To.Sub(r.span.From) > store.ShortPeriod {
		return at.In(r.span.Zone).Format("01-02 15:04")
	}
	return at.In(r.span.Zone).Format("15:04")
}

// Coverage is how many of those who were expected came, in percent; NaN where nobody said how many that are.
func (r reportRow) Coverage() float64 {
	if r.Expected == 0 {
		return math.NaN()
	}
	return 100 * float64(r.People) / float64(r.Expected)
}

// alertLine is an alert of a report.
type alertLine struct {
	store.AlertReport
	Unprint bool
}

// unknownLine is a time without data, or something that was changed.
type unknownLine struct {
	Gate    mqtt.Gate
	Text    string
	Unprint bool
}

// sitesInScope are those of the gates that the visitor sees.
func (v *visit) sitesInScope() ([]string, error) {
	if v.cfg.District {
		if site := v.account.Scope.Site; site != "" {
			return []string{site}, nil
		}
		return v.store.SiteNames(v.ctx())
	}
	gates, err := v.gatesInScope()
	var sites []string
	for _, g := range gates { // which are in the order of sites
		if n := len(sites); n == 0 || sites[n-1] != g.Site {
			sites = append(sites, g.Site)
		}
	}
	return sites, err
}

// site is the one that is asked for, or the first. Where it answers by itself, ok is false.
func (v *visit) site() (site string, sites []string, ok bool) {
	sites, err := v.sitesInScope()
	if err != nil {
		v.fail(err)
		return "", nil, false
	}
	site = v.r.FormValue("site")
	switch {
	case site == "" && len(sites) > 0:
		return sites[0], sites, true
	case site != "" && !slices.Contains(sites, site):
		v.missing()
		return "", nil, false
	}
	return site, sites, true
}

// dayAsked reads a day; without one it is the one that ended last at a site.
func (v *visit) dayAsked(text, site string) (store.Day, bool) {
	if text == "" {
		return v.today(site) - 1, true
	}
	return parseDay(text)
}

// make counts a report of what the visitor sees.
func (v *visit) make(span reports.Span) (reports.Made, error) {
	span.Gate = v.account.Scope.Name
	report, err := v.store.Report(v.ctx(), span.Period)
	return reports.Made{Span: span, Report: report, At: v.now}, err
}

// asked is the report that an address asks for. Where it answers by itself, ok is false.
func (v *visit) asked(kind reports.Kind, day, shift string) (made reports.Made, sites []string, ok bool) {
	site, sites, ok := v.site()
	if !ok {
		return made, nil, false
	}
	date, ok := v.dayAsked(day, site)
	if !ok || site == "" {
		v.missing()
		return made, nil, false
	}
	span, err := reports.Find(v.ctx(), v.store, kind, site, date, shift)
	if err == nil {
		made, err = v.make(span)
	}
	switch {
	case errors.Is(err, reports.ErrNone):
		v.missing()
	case err != nil:
		v.fail(err)
	}
	return made, sites, err == nil
}

func showShift(v *visit) {
	v.showReport(reports.Shift, v.r.PathValue("day"), v.r.PathValue("shift"))
}

func showReports(v *visit) {
	query := v.r.URL.Query()
	kind := reports.Kind(query.Get("kind"))
	switch kind {
	case "":
		kind = reports.Day
	case reports.Shift:
		v.redirect("/shifts?" + url.Values{"site": query["site"], "day": query["day"]}.Encode())
		return
	}
	if sites, err := v.sitesInScope(); err == nil && len(sites) == 0 {
		v.show("shifts", shiftsPage{})
		return
	}
	v.showReport(kind, query.Get("day"), "")
}

func (v *visit) showReport(kind reports.Kind, day, shift string) {
	made, sites, ok := v.asked(kind, day, shift)
	if !ok {
		return
	}
	page, err := v.reportPage(made)
	if err != nil {
		v.fail(err)
		return
	}
	page.Sites = sites
	v.show("report", page)
}

func (v *visit) reportPage(made reports.Made) (reportPage, error) {
	page := reportPage{
		Made: made, Title: v.tongue.spanTitle(made.Span), Running: v.now.Before(made.To),
		All:      rowOf(made.Span, made.Report.All, v.tongue.Say("全部", "All gates")),
		Download: "?" + url.Values{"kind": {string(made.Kind)}, "day": {dateText(made.Day)}, "shift": {made.Shift.Name}, "site": {made.Site}}.Encode(),
		Fault:    v.reportFault(), Bare: v.store.OutcomeOnly(made.Site),
	}
	var queues []store.Queue
	if made.To.Sub(made.From) <= store.ShortPeriod {
		var err error
		if queues, err = v.store.Queues(v.ctx(), made.Period); err != nil {
			return page, err
		}
	}
	kept, err := v.store.KeptSince(v.ctx(), made.Site, v.now)
	if err != nil {
		return page, err
	}
	if made.From.Before(kept) {
		page.KeptSince = kept.In(made.Zone)
	}
	page.Chart = chartOfReport(made, queues, v.tongue)
	for i, gate := range made.Report.Gates {
		row := rowOf(made.Span, gate, gate.Gate.Name)
		row.Unprint = i >= printedGates
		page.Rows = append(page.Rows, row)
	}
	lines := printedLines - min(len(page.Rows), printedGates)
	page.Unknown = v.tongue.unknown(made)
	for i := range page.Unknown {
		page.Unknown[i].Unprint = i >= max(lines/3, lines-len(made.Report.Alerts))
	}
	lines -= min(len(page.Unknown), lines/3)
	for i, alert := range made.Report.Alerts[:min(len(made.Report.Alerts), listedAlerts)] {
		page.Alerts = append(page.Alerts, alertLine{alert, i >= lines})
	}
	if len(page.Alerts) < int(made.Report.All.Alert) {
		page.MoreAlerts = page.All.Behind(string(event.Alert))
	}
	page.Empty = made.Report.All.People == 0 && !(made.Report.All.Known > 0) // which may be NaN
	page.Sentences = v.tongue.sentences(page)
	if page.Plant, err = v.plantReport(made); err != nil {
		return page, err
	}
	return page, page.compare(v)
}

// compare leads to the reports beside, and counts the one that this is seen against.
func (p *reportPage) compare(v *visit) error {
	before, after, err := p.Beside(v.ctx(), v.store)
	if err != nil {
		return err
	}
	p.Before = spanAddress(before)
	if !after.From.After(v.now) {
		p.After = spanAddress(after)
	}
	if p.Kind == reports.Shift && v.mayCover() && !v.cfg.District {
		covered, err := v.coverage(p.Span)
		if err != nil {
			return err
		}
		if covered.Listed > 0 {
			p.Covered, p.Cover = coverageAddress(p.Span), covered
		}
	}
	span, err := p.Span.Compared(v.ctx(), v.store)
	if errors.Is(err, reports.ErrNone) {
		return nil // the plan was another one
	}
	if err != nil {
		return err
	}
	p.Compared = spanAddress(span)
	made, err := v.make(span)
	row := rowOf(made.Span, made.Report.All, v.tongue.comparedTitle(p.Kind))
	p.Against = &row
	return err
}

// spanAddress is where a report is; empty for none.
func spanAddress(span reports.Span) string {
	site := url.Values{"site": {span.Site}}
	switch span.Kind {
	case "":
		return ""
	case reports.Shift:
		return "/shifts/" + dateText(span.Day) + "/" + url.PathEscape(span.Shift.Name) + "?" + site.Encode()
	}
	site.Set("kind", string(span.Kind))
	site.Set("day", dateText(span.Day))
	return "/reports?" + site.Encode()
}

// reportFault is why files are not written that are to be.
func (v *visit) reportFault() string {
	if v.cfg.ReportFault == nil {
		return ""
	}
	switch err := v.cfg.ReportFault(); {
	case err == nil:
		return ""
	case v.account.Scope.Site != "": // it names other sites, too
		return v.tongue.Say("原因见控制台日志", "the console's log says why")
	default:
		return err.Error()
	}
}

// downloadReport sends the file that is asked for.
func downloadReport(v *visit) {
	query := v.r.URL.Query()
	made, _, ok := v.asked(reports.Kind(query.Get("kind")), query.Get("day"), query.Get("shift"))
	if !ok {
		return
	}
	name := made.Name()
	var err error
	switch v.r.URL.Path {
	case "/reports.csv":
		err = made.WriteCSV(v.attach(reports.FileName(name)+".csv", table.CSVType))
	case "/reports/summary.csv":
		err = made.WriteSummary(v.attach(reports.FileName(name)+"-summary.csv", table.CSVType), v.tongue.language())
	default:
		err = v.sendBook(reports.FileName(name)+".xlsx", func(book *table.Book) error {
			return made.WriteXLSX(book, v.tongue.language(), v.tongue.Word)
		})
	}
	if err != nil && v.ctx().Err() == nil {
		v.log.Warn("a download broke off", "path", v.r.URL.Path, "error", err)
	}
}

// asciiName is a name that every browser takes in a header.
func asciiName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, name)
}

func (t tongue) language() reports.Language { return reports.Language(t.Say("zh", "en")) }

// WordsFor is what people call the words of the domain and the store in a language.
func WordsFor(language reports.Language) reports.Words { return tongue(language).Word }

// ShiftName is what a shift is called.
func (t tongue) ShiftName(name string) string {
	if strings.Trim(name, "0123456789") == "" {
		return fmt.Sprintf(t.Say("第 %s 班", "Shift %s"), name)
	}
	return name
}

var weekdays = [7]phrase{{"周日", "Sun"}, {"周一", "Mon"}, {"周二", "Tue"}, {"周三", "Wed"}, {"周四", "Thu"}, {"周五", "Fri"}, {"周六", "Sat"}}

// LongDate is a day with its weekday.
func (t tongue) LongDate(at time.Time) string {
	weekday := t.of(weekdays[at.Weekday()])
	if t == "en" {
		return weekday + " " + t.Date(at)
	}
	return t.Date(at) + " " + weekday
}

// spanTitle names a report.
func (t tongue) spanTitle(span reports.Span) string {
	date := span.Day.Date()
	switch span.Kind {
	case reports.Shift:
		return fmt.Sprintf(t.Say("%s %s–%s，%s", "%s %s–%s, %s"), t.ShiftName(span.Shift.Name), span.From.Format("15:04"), span.To.Format("15:04"), t.LongDate(date))
	case reports.Week:
		year, week := date.ISOWeek()
		return fmt.Sprintf(t.Say("%d 年第 %d 周（%s – %s）", "%[2]d/%[1]d, the week of %[3]s – %[4]s"), year, week, t.Date(date), t.Date(date.AddDate(0, 0, 6)))
	case reports.Month:
		return date.Format(t.Say("2006年1月", "January 2006"))
	default:
		return t.LongDate(date)
	}
}

func (t tongue) comparedTitle(kind reports.Kind) string {
	return t.of(map[reports.Kind]phrase{
		reports.Shift: {"上周同班", "Same shift last week"}, reports.Day: {"上周同日", "Same day last week"},
		reports.Week: {"前一周", "The week before"}, reports.Month: {"前一个月", "The month before"},
	}[kind])
}

// Seconds is a time to a verdict.
func (tongue) Seconds(seconds float64) string {
	if math.IsNaN(seconds) {
		return "–"
	}
	return fmt.Sprintf("%.2f s", seconds)
}

// Percent is a share from 0 to 1. One that is not all never looks as if it were.
func (tongue) Percent(share float64) string {
	switch {
	case math.IsNaN(share):
		return "–"
	case share >= 0.9995 && share < 1:
		return "> 99.9 %"
	case share > 0 && share < 0.0005:
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// Drift is a change in °C with its sign.
func (tongue) Drift(celsius float64) string {
	if math.IsNaN(celsius) {
		return "–"
	}
	return fmt.Sprintf("%+.2f °C", celsius)
}

// Took is how long something took, in minutes and seconds.
func (t tongue) Took(d time.Duration) string {
	seconds := int(math.Round(d.Seconds()))
	switch {
	case d < 0:
		return "–"
	case seconds < 60:
		return fmt.Sprintf(t.Say("%d 秒", "%d s"), seconds)
	case seconds < 3600:
		return fmt.Sprintf(t.Say("%d 分 %02d 秒", "%d min %02d s"), seconds/60, seconds%60)
	}
	return fmt.Sprintf(t.Say("%d 小时 %02d 分", "%d h %02d min"), seconds/3600, seconds/60%60)
}

// Minutes is how long something took, for a narrow column.
func (tongue) Minutes(d time.Duration) string {
	seconds := int(math.Round(d.Seconds()))
	if d < 0 {
		return "–"
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// Initials are of somebody whose whole name is nothing for a printed page.
func (tongue) Initials(name string) string {
	var initials strings.Builder
	for _, word := range strings.Fields(name) {
		for _, r := range word { // the first
			initials.WriteRune(unicode.ToUpper(r))
			break
		}
	}
	return initials.String()
}

// sentences say what a report comes to.
func (t tongue) sentences(p reportPage) [][]part {
	if p.Empty {
		return [][]part{weave(t.Say("没有数据：这段时间没有任何闸机的记录，也不知道闸机是否在线。", "No data: there is no event of any gate in this time, and it is not known whether they were up."))}
	}
	a, row := p.Report.All, p.All
	figure := func(n int64, behind string) part { return part{fmt.Sprint(n), row.Behind(behind)} }
	text := func(text string) part { return part{Text: text} }
	count := func(n int, zh, one, many string) string { return t.Many(n, zh, one, many) }

	var all [][]part
	gates := count(len(p.Rows), "台闸机", "gate", "gates")
	if a.Expected > 0 {
		all = append(all, weave(t.Say("%s：筛查 %s 人，应到 %s 人（覆盖率 %s）。", "%s: %s people screened of %s expected (%s)."),
			text(gates), figure(a.People, "people"), text(fmt.Sprint(a.Expected)), text(t.Percent(row.Coverage()/100))))
	} else {
		all = append(all, weave(t.Say("%s：筛查 %s 人。", "%s: %s people screened."), text(gates), figure(a.People, "people")))
	}
	if a.Alert == 0 {
		all = append(all, weave(t.Say("没有告警。", "No alerts.")))
	} else {
		sentence := weave(t.Say("告警 %s 条：确认发热 %s，误报 %s，未复测就离开 %s", "%s with an alert: %s confirmed, %s false, %s gone without a reading"),
			figure(a.Alert, string(event.Alert)), figure(a.Confirmed, string(mqtt.Confirmed)), figure(a.False, string(mqtt.FalseAlert)), figure(a.Gone, string(mqtt.Gone)))
		if a.Open > 0 {
			sentence = append(sentence, weave(t.Say("，未关闭 %s", ", %s open"), figure(a.Open, store.OpenAlert))...)
		}
		if a.TakeMedian >= 0 {
			sentence = append(sentence, part{Text: t.Say("；接手用时中位 ", "; taken after ") + t.Took(a.TakeMedian)})
			if a.CloseMedian >= 0 {
				sentence = append(sentence, part{Text: t.Say("，关闭 ", ", closed after ") + t.Took(a.CloseMedian)})
			}
			sentence = append(sentence, part{Text: t.Say("", " (median)")})
		}
		all = append(all, append(sentence, part{Text: t.Say("。", ".")}))
	}
	all = append(all, weave(t.Say("未测准 %s 人，其中没测完就走 %s 人；重测 %s 人。", "%s not measurable, %s of them left before a reading; %s screened again."),
		figure(a.Inconclusive, string(event.Inconclusive)), figure(a.Left, string(store.AnyLeft)), figure(a.Again, "again")))
	if !math.IsNaN(a.Seconds95) {
		all = append(all, weave(t.Say("一半的人 %s 内有结果，95 % 的人 %s 内。", "Half had their verdict within %s, 95 % within %s."), text(t.Seconds(a.SecondsMedian)), text(t.Seconds(a.Seconds95))))
	}
	if a.BusiestPeople > 0 {
		all = append(all, weave(t.Say("最忙的一刻钟从 %s 起：%s 人，每分钟 %s 人。", "Busiest quarter of an hour from %s: %s people, %s a minute."),
			text(row.Clock(a.BusiestQuarter)), part{fmt.Sprint(a.BusiestPeople), row.BehindBusiest()}, text(fmt.Sprintf("%.1f", row.AMinute()))))
	}
	if a.Queue > 0 {
		where := ""
		for _, gate := range p.Report.Gates {
			if gate.Queue == a.Queue && gate.QueueAt.Equal(a.QueueAt) {
				where = t.Say("，", ", ") + gate.Gate.Name
			}
		}
		all = append(all, weave(t.Say("最长排队 %s 人，%s%s。", "Longest queue %s at %s%s."), text(fmt.Sprint(a.Queue)), part{row.Clock(a.QueueAt), row.BehindQueue()}, text(where)))
	}
	if a.Known < 1 {
		all = append(all, weave(t.Say("⚠ 只有 %s 的时间有数据。", "⚠ There is data for %s of the time."), text(t.Percent(a.Known))))
	}
	return all
}

// unknown says what a report does not know, and what was changed meanwhile.
func (t tongue) unknown(made reports.Made) []unknownLine {
	var all []unknownLine
	say := func(gate mqtt.Gate, zh, en string, values ...any) {
		all = append(all, unknownLine{Gate: gate, Text: fmt.Sprintf(t.Say(zh, en), values...)})
	}
	length := made.To.Sub(made.From)
	if made.At.Before(made.To) {
		length = max(0, made.At.Sub(made.From))
	}
	for _, g := range made.Report.Gates {
		if without := time.Duration((1 - g.Known) * float64(length)); g.Known < 1 && without >= time.Second {
			say(g.Gate, "%s没有数据", "no data for %s", t.Took(without))
		}
		if g.ClockWrong > 0 {
			say(g.Gate, "时钟不准 %s：这段时间的人和告警可能算错了班次", "its clock was wrong for %s: people and alerts of that time may count in another shift", t.Took(g.ClockWrong))
		}
		if g.Missing > 0 {
			say(g.Gate, "%d 条记录已无法取得", "%d events can't be had any more", g.Missing)
		}
		if g.Deleted > 0 {
			say(g.Gate, "%s被人删除：人数照算，链接里看不到", "deleted by hand: %s. The figures still count their people, and no link leads to them", t.Many(int(g.Deleted), "条记录", "event", "events"))
		}
		if g.CheckedBy == "" && made.Kind == reports.Shift {
			say(g.Gate, "班前没有点检", "not checked before the shift")
		}
	}
	for _, p := range made.Report.Pauses {
		by, until := p.By, t.Say("现在", "now")
		if by == "" {
			by = t.Say("命令没有写明的人", "somebody whom the command does not name")
		}
		if !p.To.IsZero() {
			until = t.Moment(p.To, made.From, made.Zone)
		}
		say(p.Gate, "%s 至 %s 暂停，暂停人：%s", "paused from %s to %s by %s", t.Moment(p.From, made.From, made.Zone), until, by)
	}
	for _, c := range made.Report.Settings {
		say(c.Gate, "%s 起设置变动：%s，%s → %s", "setting changed at %s: %s, %s → %s", t.Moment(c.At, made.From, made.Zone), t.Setting(c.Name), t.SettingValue(store.Setting{Name: c.Name, Value: c.From}), t.SettingValue(store.Setting{Name: c.Name, Value: c.To}))
	}
	return all
}

// LastChange is when the last of what the report counts came in or was done by a guard, where that was after its end.
func (p reportPage) LastChange() time.Time {
	if p.Report.Changed.After(p.To) {
		return p.Report.Changed
	}
	return time.Time{}
}

// Unprinted is how many rows are left out in print.
func (p reportPage) Unprinted() (n int) {
	for _, row := range p.Rows {
		if row.Unprint {
			n++
		}
	}
	for _, alert := range p.Alerts {
		if alert.Unprint {
			n++
		}
	}
	for _, line := range p.Unknown {
		if line.Unprint {
			n++
		}
	}
	return n
}

// Kinds are those of reports that are not shifts.
func (reportPage) Kinds() []reports.Kind { return reports.Kinds[1:] }

// KindAddress is where the report of another kind is.
func (p reportPage) KindAddress(kind reports.Kind) string {
	return spanAddress(reports.Span{Kind: kind, Day: p.Day, Period: store.Period{Site: p.Site}})
}

// Rules say how people are counted.
func (reportPage) Rules() phrase { return phrase(reports.Rules) }

func sortReasons(reasons []reasonCount) {
	slices.SortFunc(reasons, func(a, b reasonCount) int {
		if a.People != b.People {
			return int(b.People - a.People)
		}
		return strings.Compare(string(a.Reason), string(b.Reason))
	})
}

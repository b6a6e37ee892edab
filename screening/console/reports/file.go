package reports

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Made is a report that was counted, to be written into files.
type Made struct {
	Span
	Report store.Report
	At     time.Time // when it was
}

// Language is that of what people read in files, "zh" or "en".
type Language string

func (l Language) say(p event.Phrase) string {
	if l == "en" {
		return p.EN
	}
	return p.ZH
}

// Words turns a word of the domain or of the store into what people call it.
type Words func(any) string

func plain(word any) string { return fmt.Sprint(word) }

// gateRow is a gate in a table, or all of them.
type gateRow struct {
	Made
	store.GateReport
	word Words
}

func (m Made) rows(word Words) []gateRow {
	all := []gateRow{{m, m.Report.All, word}}
	for _, gate := range m.Report.Gates {
		all = append(all, gateRow{m, gate, word})
	}
	return all
}

func (m Made) moment(at time.Time) table.Cell {
	if at.IsZero() {
		return nil
	}
	return at.In(m.Zone)
}

func number(value float64) table.Cell {
	if math.IsNaN(value) {
		return nil
	}
	return event.Hundredths(value)
}

func share(value float64) table.Cell {
	if math.IsNaN(value) {
		return nil
	}
	return math.Round(value*1e4) / 1e4
}

func seconds(d time.Duration) table.Cell {
	if d < 0 {
		return nil
	}
	return math.Round(d.Seconds())
}

func known(n int64) table.Cell {
	if n == 0 {
		return nil
	}
	return n
}

func count(name, zh, en string, of func(store.GateReport) int64) table.Column[gateRow] {
	return table.NewColumn(name, zh, en, 10, func(r gateRow) table.Cell { return of(r.GateReport) })
}

func measured(name, zh, en string, of func(store.GateReport) table.Cell) table.Column[gateRow] {
	return table.NewColumn(name, zh, en, 13, func(r gateRow) table.Cell { return of(r.GateReport) })
}

// gateColumns are those of the table by gate. The row of all gates has no name.
var gateColumns = []table.Column[gateRow]{
	table.NewColumn("report", "报表", "Report", 9, func(r gateRow) table.Cell { return r.word(r.Kind) }),
	table.NewColumn("from", "从", "From", 20, func(r gateRow) table.Cell { return r.moment(r.From) }),
	table.NewColumn("to", "到", "To", 20, func(r gateRow) table.Cell { return r.moment(r.To) }),
	table.NewColumn("shift", "班次", "Shift", 9, func(r gateRow) table.Cell { return r.Shift.Name }),
	table.NewColumn("site", "厂区", "Site", 16, func(r gateRow) table.Cell { return r.Site }),
	table.NewColumn("gate", "闸机", "Gate", 16, func(r gateRow) table.Cell { return r.GateReport.Gate.Name }),
	count("people", "人数", "People", func(g store.GateReport) int64 { return g.People }),
	measured("expected", "应到", "Expected", func(g store.GateReport) table.Cell { return known(g.Expected) }),
	count("pass", "正常", "Pass", func(g store.GateReport) int64 { return g.Pass }),
	count("alert", "告警", "Alert", func(g store.GateReport) int64 { return g.Alert }),
	count("confirmed", "确认发热", "Confirmed", func(g store.GateReport) int64 { return g.Confirmed }),
	count("false", "误报", "False", func(g store.GateReport) int64 { return g.False }),
	count("gone", "未复测离开", "Gone, not read", func(g store.GateReport) int64 { return g.Gone }),
	count("open", "未关闭", "Open", func(g store.GateReport) int64 { return g.Open }),
	count("inconclusive", "未测准", "Inconclusive", func(g store.GateReport) int64 { return g.Inconclusive }),
	count("left", "没测完就走", "Left", func(g store.GateReport) int64 { return g.Left }),
	table.NewColumn("inconclusive_reasons", "未测准原因", "Why inconclusive", 30, func(r gateRow) table.Cell {
		var all []string
		for _, reason := range slices.Sorted(maps.Keys(r.Reasons)) {
			all = append(all, fmt.Sprintf("%s %d", r.word(reason), r.Reasons[reason]))
		}
		return strings.Join(all, ", ")
	}),
	count("again", "重测人数", "Screened again", func(g store.GateReport) int64 { return g.Again }),
	measured("seconds_median", "用时中位 s", "Median, s", func(g store.GateReport) table.Cell { return number(g.SecondsMedian) }),
	measured("seconds_95", "用时 95% s", "95 %, s", func(g store.GateReport) table.Cell { return number(g.Seconds95) }),
	table.NewColumn("busiest_quarter", "最忙一刻钟", "Busiest quarter", 20, func(r gateRow) table.Cell { return r.moment(r.BusiestQuarter) }),
	count("busiest_people", "其间人数", "People in it", func(g store.GateReport) int64 { return g.BusiestPeople }),
	count("queue", "最长排队", "Longest queue", func(g store.GateReport) int64 { return g.Queue }),
	table.NewColumn("queue_at", "排队时间", "Queue at", 20, func(r gateRow) table.Cell { return r.moment(r.QueueAt) }),
	measured("take_median_seconds", "接手中位 s", "Taken after, s", func(g store.GateReport) table.Cell { return seconds(g.TakeMedian) }),
	measured("close_median_seconds", "关闭中位 s", "Closed after, s", func(g store.GateReport) table.Cell { return seconds(g.CloseMedian) }),
	measured("known_ratio", "有数据", "Known", func(g store.GateReport) table.Cell { return share(g.Known) }),
	measured("link_ratio", "在线", "Link", func(g store.GateReport) table.Cell { return share(g.Link) }),
	measured("camera_ratio", "相机", "Camera", func(g store.GateReport) table.Cell { return share(g.Camera) }),
	measured("reference_ratio", "黑体", "Reference", func(g store.GateReport) table.Cell { return share(g.Reference) }),
	count("missing_events", "缺失记录", "Missing events", func(g store.GateReport) int64 { return g.Missing }),
	measured("drift_celsius", "人群漂移 °C", "Drift, °C", func(g store.GateReport) table.Cell { return number(g.DriftCelsius) }),
	measured("paused_seconds", "暂停 s", "Paused, s", func(g store.GateReport) table.Cell { return seconds(g.Paused) }),
	table.NewColumn("checked_by", "点检人", "Checked by", 14, func(r gateRow) table.Cell { return r.CheckedBy }),
	table.NewColumn("checked_at", "点检时间", "Checked at", 20, func(r gateRow) table.Cell { return r.moment(r.CheckedAt) }),
	table.NewColumn("made", "制作时间", "Made", 20, func(r gateRow) table.Cell { return r.moment(r.At) }),
}

// WriteCSV writes the table by gate, for programs.
func (m Made) WriteCSV(to io.Writer) error {
	file, err := table.NewCSV(to, gateColumns)
	if err != nil {
		return err
	}
	for _, row := range m.rows(plain) {
		if err := file.Add(row); err != nil {
			return err
		}
	}
	return file.End()
}

type alertRow struct {
	Made
	store.AlertReport
	word Words
}

func celsius(value *float64) table.Cell {
	if value == nil {
		return nil
	}
	return *value
}

var alertColumns = []table.Column[alertRow]{
	table.NewColumn("time", "时间", "Time", 20, func(r alertRow) table.Cell { return r.moment(r.Time) }),
	table.NewColumn("gate", "闸机", "Gate", 16, func(r alertRow) table.Cell { return r.AlertReport.Gate.Name }),
	table.NewColumn("body_celsius", "体温估计 °C", "Body estimate, °C", 14, func(r alertRow) table.Cell { return celsius(r.BodyCelsius) }),
	table.NewColumn("reading_celsius", "复测 °C", "It read, °C", 11, func(r alertRow) table.Cell { return celsius(r.ReadCelsius) }),
	table.NewColumn("state", "状态", "State", 12, func(r alertRow) table.Cell { return r.word(r.State) }),
	table.NewColumn("outcome", "去向", "Came to", 16, func(r alertRow) table.Cell {
		if r.Outcome == "" {
			return nil
		}
		return r.word(r.Outcome)
	}),
	table.NewColumn("taken_seconds", "接手用时 s", "Taken after, s", 13, func(r alertRow) table.Cell { return seconds(r.TakenAfter) }),
	table.NewColumn("taken_by", "接手人", "Taken by", 14, func(r alertRow) table.Cell { return r.TakenBy }),
	table.NewColumn("closed_seconds", "关闭用时 s", "Closed after, s", 13, func(r alertRow) table.Cell { return seconds(r.ClosedAfter) }),
	table.NewColumn("closed_by", "关闭人", "Closed by", 14, func(r alertRow) table.Cell { return r.ClosedBy }),
	table.NewColumn("event", "记录", "Event", 29, func(r alertRow) table.Cell { return r.Event }),
}

// countRow is how many people came to an outcome at a gate in a quarter of an hour, or on a day of a longer report.
type countRow struct {
	Made
	store.Count
	word Words
}

func (r countRow) begin() time.Time {
	if r.Quarter.IsZero() {
		return r.Count.Day.Begin(r.Zone)
	}
	return r.Quarter.In(r.Zone)
}

var countColumns = []table.Column[countRow]{
	table.NewColumn("from", "从", "From", 20, func(r countRow) table.Cell { return r.begin() }),
	table.NewColumn("gate", "闸机", "Gate", 16, func(r countRow) table.Cell { return r.Count.Gate.Name }),
	table.NewColumn("outcome", "结果", "Outcome", 14, func(r countRow) table.Cell { return r.word(r.Outcome) }),
	table.NewColumn("people", "人数", "People", 10, func(r countRow) table.Cell { return r.People }),
}

type unknownRow struct {
	gate     mqtt.Gate
	from, to table.Cell
	what     string
	by       string
}

var unknownColumns = []table.Column[unknownRow]{
	table.NewColumn("gate", "闸机", "Gate", 16, func(r unknownRow) table.Cell { return r.gate.Name }),
	table.NewColumn("from", "从", "From", 20, func(r unknownRow) table.Cell { return r.from }),
	table.NewColumn("to", "到", "To", 20, func(r unknownRow) table.Cell { return r.to }),
	table.NewColumn("what", "什么", "What", 50, func(r unknownRow) table.Cell { return r.what }),
	table.NewColumn("by", "谁", "Who", 16, func(r unknownRow) table.Cell { return r.by }),
}

// unknown are times of the report without all data, and what was changed meanwhile.
func (m Made) unknown(language Language, word Words) []unknownRow {
	say := func(zh, en string) string { return language.say(event.Phrase{ZH: zh, EN: en}) }
	var rows []unknownRow
	for _, gate := range m.Report.Gates {
		if gate.Known < 1 {
			rows = append(rows, unknownRow{gate: gate.Gate, what: fmt.Sprintf(say("%.1f %% 的时间没有数据", "no data for %.1f %% of the time"), 100*(1-gate.Known))})
		}
		if gate.ClockWrong > 0 {
			rows = append(rows, unknownRow{gate: gate.Gate, what: fmt.Sprintf(say("时钟不准 %d 分钟，人和告警可能算错了班次", "its clock was wrong for %d min: people and alerts may count in another shift"), int(math.Ceil(gate.ClockWrong.Minutes())))})
		}
		if gate.Missing > 0 {
			rows = append(rows, unknownRow{gate: gate.Gate, what: fmt.Sprintf(say("%d 条记录已无法取得", "%d events can't be had any more"), gate.Missing)})
		}
		if gate.Deleted > 0 {
			rows = append(rows, unknownRow{gate: gate.Gate, what: fmt.Sprintf(say("%d 条记录被人删除，人数照算", "%d events were deleted by hand, and still count"), gate.Deleted)})
		}
	}
	for _, p := range m.Report.Pauses {
		rows = append(rows, unknownRow{p.Gate, m.moment(p.From), m.moment(p.To), say("暂停", "paused"), p.By})
	}
	for _, c := range m.Report.Settings {
		rows = append(rows, unknownRow{gate: c.Gate, from: m.moment(c.At), what: fmt.Sprintf("%s: %s → %s", word(c.Name), c.From, c.To)})
	}
	return rows
}

// WriteXLSX writes everything, for people.
func (m Made) WriteXLSX(book *table.Book, language Language, word Words) error {
	say := func(zh, en string) string { return language.say(event.Phrase{ZH: zh, EN: en}) }
	var alerts []alertRow
	for _, a := range m.Report.Alerts {
		alerts = append(alerts, alertRow{m, a, word})
	}
	if err := addSheet(book, say("各闸机", "By gate"), gateColumns, language, m.rows(word)); err != nil {
		return err
	}
	var counts []countRow
	for _, c := range slices.Concat(m.Report.Quarters, m.Report.Days) {
		counts = append(counts, countRow{m, c, word})
	}
	if err := addSheet(book, say("人数", "People"), countColumns, language, counts); err != nil {
		return err
	}
	if err := addSheet(book, say("告警", "Alerts"), alertColumns, language, alerts); err != nil {
		return err
	}
	if err := addSheet(book, say("未知与变动", "Not known"), unknownColumns, language, m.unknown(language, word)); err != nil {
		return err
	}
	return book.AddFacts(say("说明", "About"), [][2]any{
		{say("报表", "Report"), m.Name()},
		{say("厂区", "Site"), m.Site},
		{say("闸机", "Gate"), m.Gate},
		{say("从", "From"), m.From.In(m.Zone).Format(time.RFC3339)},
		{say("到", "To"), m.To.In(m.Zone).Format(time.RFC3339)},
		{say("时区", "Time zone"), m.Zone.String()},
		{say("制作时间", "Made"), m.At.In(m.Zone).Format(time.RFC3339)},
		{say("怎么数", "How it is counted"), language.say(Rules)},
	})
}

func addSheet[R any](book *table.Book, name string, columns []table.Column[R], language Language, rows []R) error {
	sheet, err := table.AddSheet(book, name, columns, language.say)
	for _, row := range rows {
		if err == nil {
			err = sheet.Add(row)
		}
	}
	if err != nil {
		return err
	}
	return sheet.End()
}

// Rules say how people are counted, as the store does.
var Rules = event.Phrase{
	ZH: "一个人按一次到访算，不按记录条数算：对同一人的重测和修正并入这次到访，以最后的结果为准，计入第一条记录发生的那个时段。补发的记录计入它发生的时段，而不是到达的时段。",
	EN: "A person is a visit, not an event: what repeats or revises an event belongs to the same visit, which counts once, by its last outcome, in the period in which its first event happened. What came in late counts when it happened, not when it came.",
}

// summaryColumns are what an authority asks for, by the titles of a language.
var summaryColumns = []table.Column[Made]{
	table.NewColumn("date", "日期", "Date", 12, func(m Made) table.Cell { return m.Day.Date().Format(time.DateOnly) }),
	table.NewColumn("site", "单位", "Site", 16, func(m Made) table.Cell { return m.Site }),
	table.NewColumn("screened", "筛查人数", "Screened", 12, func(m Made) table.Cell { return m.Report.All.People }),
	table.NewColumn("alerts", "体温告警", "Alerts", 12, func(m Made) table.Cell { return m.Report.All.Alert }),
	table.NewColumn("confirmed", "确认发热", "Confirmed", 12, func(m Made) table.Cell { return m.Report.All.Confirmed }),
}

// WriteSummary writes the line that an authority asks for of each day.
func (m Made) WriteSummary(to io.Writer, language Language) error {
	columns := slices.Clone(summaryColumns)
	for i := range columns {
		columns[i].Name = language.say(columns[i].Title)
	}
	file, err := table.NewCSV(to, columns)
	if err == nil {
		err = file.Add(m)
	}
	if err != nil {
		return err
	}
	return file.End()
}

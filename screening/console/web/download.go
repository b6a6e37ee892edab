package web

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/xuri/excelize/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
)

// Bounds of downloads.
const (
	maxExports    = 1       // made at the same time: within a gate, more would cost it frames
	maxExportRows = 100_000 // of a file
	maxPairs      = 40_000  // of a file that study reads
	// Whoever takes nothing for so long is gone, and whoever is slower than downloadTime keeps others from theirs.
	downloadTimeout = 30 * time.Second
	downloadTime    = 5 * time.Minute
)

// cell is what a column has in a row: nil, string, float64, int64, bool or time.Time, which is in the site's zone.
type cell any

// column of a download. A program finds it by its name, whatever the language; a sheet has its title.
type column struct {
	name  string
	title phrase
	width float64
	of    func(exportedRow) cell
}

// exportedRow is a row of the history, with what a word is called and where it was.
type exportedRow struct {
	store.Row
	zone *time.Location
	word func(any) string // for a sheet what people call it, for a program the word itself
}

func (r exportedRow) at(at time.Time) cell {
	if at.IsZero() {
		return nil
	}
	return at.In(r.zone)
}

// ofAlert is nil where there is none.
func ofAlert(of func(exportedRow, *store.Alert) cell) func(exportedRow) cell {
	return func(r exportedRow) cell {
		if r.Alert == nil {
			return nil
		}
		return of(r, r.Alert)
	}
}

func number(value *float64) cell {
	if value == nil {
		return nil
	}
	return *value
}

// measured is what was measured of somebody, or says that it was not kept.
func (r exportedRow) measured(value *float64) cell {
	if value == nil && r.Data.OutcomeOnly {
		return r.word(notKept)
	}
	return number(value)
}

func hundredths(value *float64) cell {
	if value == nil {
		return nil
	}
	return event.Hundredths(*value)
}

func spoken[W ~string](r exportedRow, word W) cell {
	if word == "" {
		return nil
	}
	return r.word(string(word))
}

// exported are the columns of the history.
var exported = []column{
	{"time", phrase{"时间", "Time"}, 20, func(r exportedRow) cell { return r.at(r.Time) }},
	{"time_zone", phrase{"时区", "Time zone"}, 15, func(r exportedRow) cell { return r.zone.String() }},
	{"site", phrase{"厂区", "Site"}, 16, func(r exportedRow) cell { return r.Gate.Site }},
	{"gate", phrase{"闸机", "Gate"}, 16, func(r exportedRow) cell { return r.Gate.Name }},
	{"outcome", phrase{"结果", "Outcome"}, 14, func(r exportedRow) cell { return spoken(r, r.Data.Outcome) }},
	{"reason", phrase{"原因", "Reason"}, 26, func(r exportedRow) cell { return spoken(r, r.Data.Reason) }},
	{"skin_celsius", phrase{"皮肤 °C", "Skin, °C"}, 10, func(r exportedRow) cell { return r.measured(r.Data.SkinCelsius) }},
	{"skin_uncertainty_celsius", phrase{"± °C", "± °C"}, 8, func(r exportedRow) cell { return r.measured(r.Data.SkinUncertaintyCelsius) }},
	{"skin_site", phrase{"测温部位", "Measured at"}, 14, func(r exportedRow) cell { return spoken(r, r.Data.SkinSite) }},
	{"body_celsius", phrase{"体温估计 °C", "Body estimate, °C"}, 14, func(r exportedRow) cell { return r.measured(r.Data.BodyCelsius) }},
	{"body_uncertainty_celsius", phrase{"± °C", "± °C"}, 8, func(r exportedRow) cell { return r.measured(r.Data.BodyUncertaintyCelsius) }},
	{"offset_celsius", phrase{"体表补偿 °C", "Offset, °C"}, 11, func(r exportedRow) cell { return r.measured(r.Data.OffsetCelsius) }},
	{"threshold_celsius", phrase{"阈值 °C", "Threshold, °C"}, 12, func(r exportedRow) cell { return r.measured(r.Data.ThresholdCelsius) }},
	{"baseline_celsius", phrase{"人群 °C", "Group, °C"}, 10, func(r exportedRow) cell { return r.measured(r.Data.BaselineCelsius) }},
	{"policy", phrase{"规则", "Policy"}, 9, func(r exportedRow) cell { return spoken(r, r.Data.Policy) }},
	{"worn", phrase{"戴着", "Worn"}, 12, func(r exportedRow) cell {
		var worn []string
		for _, garment := range r.Data.Worn {
			worn = append(worn, r.word(garment))
		}
		return strings.Join(worn, " ")
	}},
	{"seconds_to_verdict", phrase{"用时 s", "Took, s"}, 9, func(r exportedRow) cell { return hundredths(r.Data.SecondsToVerdict) }},
	{"historical", phrase{"补发", "Sent late"}, 9, func(r exportedRow) cell { return r.Data.Historical }},
	{"alert_state", phrase{"告警状态", "Alert"}, 12, ofAlert(func(r exportedRow, a *store.Alert) cell { return spoken(r, a.State) })},
	{"alert_outcome", phrase{"告警去向", "Came to"}, 14, ofAlert(func(r exportedRow, a *store.Alert) cell { return spoken(r, a.Outcome) })},
	{"taken_at", phrase{"接手时间", "Taken"}, 20, ofAlert(func(r exportedRow, a *store.Alert) cell { return r.at(a.TakenAt) })},
	{"taken_by", phrase{"接手人", "By"}, 12, ofAlert(func(_ exportedRow, a *store.Alert) cell { return a.TakenBy })},
	{"read_at", phrase{"复测时间", "Second reading"}, 20, ofAlert(func(r exportedRow, a *store.Alert) cell { return r.at(a.ReadAt) })},
	{"reading_celsius", phrase{"复测 °C", "It read, °C"}, 11, ofAlert(func(r exportedRow, a *store.Alert) cell {
		if a.ReadCelsius == nil && !a.ReadAt.IsZero() {
			return r.word(notKept)
		}
		return number(a.ReadCelsius)
	})},
	{"closed_at", phrase{"关闭时间", "Closed"}, 20, ofAlert(func(r exportedRow, a *store.Alert) cell { return r.at(a.ClosedAt) })},
	{"closed_by", phrase{"关闭人", "By"}, 12, ofAlert(func(_ exportedRow, a *store.Alert) cell { return a.ClosedBy })},
	{"event", phrase{"记录", "Event"}, 29, func(r exportedRow) cell { return r.ID }},
	{"visit", phrase{"到访", "Visit"}, 29, func(r exportedRow) cell { return r.Event.Visit }},
	{"camera", phrase{"相机", "Camera"}, 16, func(r exportedRow) cell { return r.Data.Camera }},
	{"version", phrase{"程序", "Software"}, 12, func(r exportedRow) cell { return r.Data.Version }},
}

// download is a file of so many rows at most, or an answer that says why there is none.
func (v *visit) download(query historyQuery, most int, send func(store.Filter) error) {
	if query.elsewhere(v.account.Scope) {
		v.missing()
		return
	}
	filter, ok := query.filter(v)
	if !ok {
		v.problem(http.StatusUnprocessableEntity, v.tongue.Say("筛选条件里有不对的时间或数字。", "A time or a number in the filter can't be read."))
		return
	}
	select {
	case v.exports <- struct{}{}:
		defer func() { <-v.exports }()
	case <-v.ctx().Done():
		return
	}
	more, err := v.store.More(v.ctx(), filter, most)
	switch {
	case err != nil:
		v.fail(err)
	case more: // a file is whole, or there is none
		v.problem(http.StatusUnprocessableEntity, fmt.Sprintf(v.tongue.Say("符合的记录超过 %d 条，一个文件放不下。请缩短时间后再下载。",
			"More than %d events fit, too many for a file. Choose a shorter time."), most))
	default:
		if err := send(filter); err != nil && v.ctx().Err() == nil {
			v.log.Warn("a download broke off", "path", v.r.URL.Path, "error", err)
		}
	}
}

// attach names the file that follows.
func (v *visit) attach(name, kind string) io.Writer {
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="thermogate-%s-%s"`, v.now.In(v.store.Zone(v.account.Scope.Site)).Format(time.DateOnly), name))
	return patientWriter{v.w, http.NewResponseController(v.w), time.Now().Add(downloadTime)}
}

// patientWriter gives up on whoever takes nothing any more.
type patientWriter struct {
	to      io.Writer
	control *http.ResponseController
	until   time.Time
}

func (w patientWriter) Write(b []byte) (int, error) {
	deadline := time.Now().Add(downloadTimeout)
	if w.until.Before(deadline) {
		deadline = w.until
	}
	_ = w.control.SetWriteDeadline(deadline) // not every server has deadlines
	return w.to.Write(b)
}

const csvKind = "text/csv; charset=utf-8"

// byteOrderMark tells spreadsheets that a file is in UTF-8.
const byteOrderMark = "\ufeff"

func downloadCSV(v *visit) {
	v.download(queryOf(v.r.URL.Query()), maxExportRows, func(filter store.Filter) error {
		to := v.attach("history.csv", csvKind)
		if _, err := io.WriteString(to, byteOrderMark); err != nil {
			return err
		}
		file := csv.NewWriter(to)
		line := make([]string, len(exported))
		for i, c := range exported {
			line[i] = c.name
		}
		if err := file.Write(line); err != nil {
			return err
		}
		err := v.store.All(v.ctx(), filter, func(row store.Row) error {
			r := exportedRow{row, v.store.Zone(row.Gate.Site), func(word any) string { return fmt.Sprint(word) }}
			for i, c := range exported {
				line[i] = csvText(c.of(r))
			}
			return file.Write(line)
		})
		if err != nil {
			v.log.Warn("a download broke off", "path", v.r.URL.Path, "error", err)
			panic(http.ErrAbortHandler) // a file that is not whole must not look as if it were
		}
		file.Flush()
		return file.Error()
	})
}

// csvText is a cell as programs and spreadsheets read it. What a spreadsheet would take for a formula begins with an
// apostrophe, unless it is a number of ours.
func csvText(c cell) string {
	switch c := c.(type) {
	case nil:
		return ""
	case string:
		return harmless(c)
	case float64:
		return strconv.FormatFloat(c, 'f', -1, 64)
	case time.Time:
		return c.Format("2006-01-02T15:04:05.000Z07:00")
	}
	return fmt.Sprint(c)
}

func harmless(text string) string {
	text = printable(text)
	if trimmed := strings.TrimLeft(text, " \u00a0\u3000"); trimmed != "" && strings.ContainsRune("=+-@＝＋－＠|%", []rune(trimmed)[0]) {
		return "'" + text
	}
	return text
}

// printable leaves out what no file of a spreadsheet can hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

func downloadXLSX(v *visit) {
	v.download(queryOf(v.r.URL.Query()), maxExportRows, func(filter store.Filter) error {
		file := excelize.NewFile()
		defer file.Close()
		sheet := &sheet{file: file, name: v.tongue.Say("历史", "History")}
		if err := sheet.begin(v.tongue); err != nil {
			return v.failed(err)
		}
		err := v.store.All(v.ctx(), filter, func(row store.Row) error {
			return sheet.add(exportedRow{row, v.store.Zone(row.Gate.Site), v.tongue.Word})
		})
		if err == nil {
			err = sheet.end()
		}
		if err == nil {
			err = v.about(file, sheet.rows)
		}
		var whole bytes.Buffer
		if err == nil {
			err = file.Write(&whole)
		}
		if err != nil {
			return v.failed(err)
		}
		_, err = io.Copy(v.attach("history.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), &whole)
		return err
	})
}

func (v *visit) failed(err error) error {
	v.fail(err)
	return err
}

// sheet is a sheet of the history, which is written as it is read.
type sheet struct {
	file  *excelize.File
	name  string
	to    *excelize.StreamWriter
	rows  int
	times int // styles
	ones  int
	line  []any
}

func (s *sheet) begin(t tongue) error {
	style := func(format string) (int, error) { return s.file.NewStyle(&excelize.Style{CustomNumFmt: &format}) }
	var errs [4]error
	s.times, errs[0] = style("yyyy-mm-dd hh:mm:ss")
	s.ones, errs[1] = style("0.00")
	bold, err := s.file.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	errs[2] = err
	errs[3] = s.file.SetSheetName(s.file.GetSheetName(0), s.name)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if s.to, err = s.file.NewStreamWriter(s.name); err != nil {
		return err
	}
	s.line = make([]any, len(exported))
	for i, c := range exported {
		if err := s.to.SetColWidth(i+1, i+1, c.width); err != nil {
			return err
		}
		s.line[i] = excelize.Cell{StyleID: bold, Value: t.of(c.title)}
	}
	if err := s.to.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	return s.to.SetRow("A1", s.line)
}

func (s *sheet) add(r exportedRow) error {
	for i, c := range exported {
		switch value := c.of(r).(type) {
		case string: // which the sheet holds as a text, whatever it looks like
			s.line[i] = printable(value)
		case float64:
			s.line[i] = excelize.Cell{StyleID: s.ones, Value: value}
		case time.Time:
			s.line[i] = excelize.Cell{StyleID: s.times, Value: value}
		default:
			s.line[i] = value
		}
	}
	s.rows++
	return s.to.SetRow("A"+strconv.Itoa(s.rows+1), s.line)
}

func (s *sheet) end() error { return s.to.Flush() }

// about is a sheet that says what the file is.
func (v *visit) about(file *excelize.File, rows int) error {
	name := v.tongue.Say("说明", "About")
	if _, err := file.NewSheet(name); err != nil {
		return err
	}
	for i, line := range [][2]any{
		{v.tongue.Say("筛选", "Filter"), v.historyAt("")},
		{v.tongue.Say("行数", "Rows"), rows},
		{v.tongue.Say("制作人", "Made by"), printable(v.account.FullName)},
		{v.tongue.Say("制作时间", "Made at"), v.now.In(v.store.Zone(v.account.Scope.Site)).Format(time.RFC3339)},
	} {
		for j, value := range line {
			at, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err == nil {
				err = file.SetCellValue(name, at, value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// pairColumns are those that thermogate study reads, and some that people do.
var pairColumns = []string{"time", "camera", "skin_site", "skin_celsius", "oral_celsius", "place", "thermometer", "site", "gate", "event"}

// downloadPairs is second readings beside what they are compared to, for thermogate study, which takes each for what it
// calls oral: place chooses those of one place.
func downloadPairs(v *visit) {
	query, place := queryOf(v.r.URL.Query()), v.r.URL.Query().Get("place")
	query.Read = "yes"
	v.download(query, maxPairs, func(filter store.Filter) error {
		pairs, err := v.store.Pairs(v.ctx(), filter, place, maxPairs)
		if err != nil {
			return v.failed(err)
		}
		file := csv.NewWriter(v.attach("pairs.csv", csvKind))
		if err := file.Write(pairColumns); err != nil {
			return err
		}
		for _, p := range pairs {
			e := p.Screening
			if e.Data.SkinCelsius == nil {
				continue
			}
			var line []string
			for _, c := range []cell{
				e.Time.In(v.store.Zone(e.Gate.Site)), e.Data.Camera, string(e.Data.SkinSite), *e.Data.SkinCelsius, event.Hundredths(p.Reading.Celsius),
				p.Reading.Place, p.Reading.Thermometer, e.Gate.Site, e.Gate.Name, e.ID,
			} {
				line = append(line, csvText(c))
			}
			if err := file.Write(line); err != nil {
				return err
			}
		}
		file.Flush()
		return file.Error()
	})
}

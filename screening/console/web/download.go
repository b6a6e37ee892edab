package web

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/event"
)

// Bounds of downloads.
const (
	maxExports    = 1         // made at the same time: within a gate, more would cost it frames
	maxExportRows = 1_000_000 // of a file; a sheet holds some more
	maxPairs      = 40_000    // of a file that study reads
	// Whoever takes nothing for so long is gone, and whoever is slower than downloadTime keeps others from theirs.
	downloadTimeout = 30 * time.Second
	downloadTime    = 5 * time.Minute
)

// exportedRow is a row of the history, with what a word is called and where it was.
type exportedRow struct {
	store.Row
	zone *time.Location
	word func(any) string // for a sheet what people call it, for a program the word itself
}

func (r exportedRow) at(at time.Time) table.Cell {
	if at.IsZero() {
		return nil
	}
	return at.In(r.zone)
}

// ofAlert is nil where there is none.
func ofAlert(of func(exportedRow, *store.Alert) table.Cell) func(exportedRow) table.Cell {
	return func(r exportedRow) table.Cell {
		if r.Alert == nil {
			return nil
		}
		return of(r, r.Alert)
	}
}

func number(value *float64) table.Cell {
	if value == nil {
		return nil
	}
	return *value
}

// measured is what was measured of somebody, or says that it was not kept.
func (r exportedRow) measured(value *float64) table.Cell {
	if value == nil && r.Data.OutcomeOnly {
		return r.word(notKept)
	}
	return number(value)
}

func hundredths(value *float64) table.Cell {
	if value == nil {
		return nil
	}
	return event.Hundredths(*value)
}

func spoken[W ~string](r exportedRow, word W) table.Cell {
	if word == "" {
		return nil
	}
	return r.word(string(word))
}

// exported are the columns of the history.
var exported = []table.Column[exportedRow]{
	table.NewColumn("time", "时间", "Time", 20, func(r exportedRow) table.Cell { return r.at(r.Time) }),
	table.NewColumn("time_zone", "时区", "Time zone", 15, func(r exportedRow) table.Cell { return r.zone.String() }),
	table.NewColumn("site", "厂区", "Site", 16, func(r exportedRow) table.Cell { return r.Gate.Site }),
	table.NewColumn("gate", "闸机", "Gate", 16, func(r exportedRow) table.Cell { return r.Gate.Name }),
	table.NewColumn("outcome", "结果", "Outcome", 14, func(r exportedRow) table.Cell { return spoken(r, r.Data.Outcome) }),
	table.NewColumn("reason", "原因", "Reason", 26, func(r exportedRow) table.Cell { return spoken(r, r.Data.Reason) }),
	table.NewColumn("skin_celsius", "皮肤 °C", "Skin, °C", 10, func(r exportedRow) table.Cell { return r.measured(r.Data.SkinCelsius) }),
	table.NewColumn("skin_uncertainty_celsius", "± °C", "± °C", 8, func(r exportedRow) table.Cell { return r.measured(r.Data.SkinUncertaintyCelsius) }),
	table.NewColumn("skin_site", "测温部位", "Measured at", 14, func(r exportedRow) table.Cell { return spoken(r, r.Data.SkinSite) }),
	table.NewColumn("body_celsius", "体温估计 °C", "Body estimate, °C", 14, func(r exportedRow) table.Cell { return r.measured(r.Data.BodyCelsius) }),
	table.NewColumn("body_uncertainty_celsius", "± °C", "± °C", 8, func(r exportedRow) table.Cell { return r.measured(r.Data.BodyUncertaintyCelsius) }),
	table.NewColumn("offset_celsius", "体表补偿 °C", "Offset, °C", 11, func(r exportedRow) table.Cell { return r.measured(r.Data.OffsetCelsius) }),
	table.NewColumn("threshold_celsius", "阈值 °C", "Threshold, °C", 12, func(r exportedRow) table.Cell { return r.measured(r.Data.ThresholdCelsius) }),
	table.NewColumn("baseline_celsius", "人群 °C", "Group, °C", 10, func(r exportedRow) table.Cell { return r.measured(r.Data.BaselineCelsius) }),
	table.NewColumn("policy", "规则", "Policy", 9, func(r exportedRow) table.Cell { return spoken(r, r.Data.Policy) }),
	table.NewColumn("worn", "戴着", "Worn", 12, func(r exportedRow) table.Cell {
		var worn []string
		for _, garment := range r.Data.Worn {
			worn = append(worn, r.word(garment))
		}
		return strings.Join(worn, " ")
	}),
	table.NewColumn("seconds_to_verdict", "用时 s", "Took, s", 9, func(r exportedRow) table.Cell { return hundredths(r.Data.SecondsToVerdict) }),
	table.NewColumn("historical", "补发", "Sent late", 9, func(r exportedRow) table.Cell { return r.Data.Historical }),
	table.NewColumn("alert_state", "告警状态", "Alert", 12, ofAlert(func(r exportedRow, a *store.Alert) table.Cell { return spoken(r, a.State) })),
	table.NewColumn("alert_outcome", "告警去向", "Came to", 14, ofAlert(func(r exportedRow, a *store.Alert) table.Cell { return spoken(r, a.Outcome) })),
	table.NewColumn("taken_at", "接手时间", "Taken", 20, ofAlert(func(r exportedRow, a *store.Alert) table.Cell { return r.at(a.TakenAt) })),
	table.NewColumn("taken_by", "接手人", "By", 12, ofAlert(func(_ exportedRow, a *store.Alert) table.Cell { return a.TakenBy })),
	table.NewColumn("read_at", "复测时间", "Second reading", 20, ofAlert(func(r exportedRow, a *store.Alert) table.Cell { return r.at(a.ReadAt) })),
	table.NewColumn("reading_celsius", "复测 °C", "It read, °C", 11, ofAlert(func(r exportedRow, a *store.Alert) table.Cell {
		if a.ReadCelsius == nil && !a.ReadAt.IsZero() {
			return r.word(notKept)
		}
		return number(a.ReadCelsius)
	})),
	table.NewColumn("closed_at", "关闭时间", "Closed", 20, ofAlert(func(r exportedRow, a *store.Alert) table.Cell { return r.at(a.ClosedAt) })),
	table.NewColumn("closed_by", "关闭人", "By", 12, ofAlert(func(_ exportedRow, a *store.Alert) table.Cell { return a.ClosedBy })),
	table.NewColumn("event", "记录", "Event", 29, func(r exportedRow) table.Cell { return r.ID }),
	table.NewColumn("visit", "到访", "Visit", 29, func(r exportedRow) table.Cell { return r.Event.Visit }),
	table.NewColumn("camera", "相机", "Camera", 16, func(r exportedRow) table.Cell { return r.Data.Camera }),
	table.NewColumn("version", "程序", "Software", 12, func(r exportedRow) table.Cell { return r.Data.Version }),
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
	name = "thermogate-" + v.now.In(v.store.Zone(v.account.Scope.Site)).Format(time.DateOnly) + "-" + name
	v.w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, asciiName(name), strings.ReplaceAll(url.QueryEscape(name), "+", "%20")))
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

func downloadCSV(v *visit) {
	v.download(queryOf(v.r.URL.Query()), maxExportRows, func(filter store.Filter) error {
		file, err := table.NewCSV(v.attach("history.csv", table.CSVType), exported)
		if err != nil {
			return err
		}
		err = v.store.All(v.ctx(), filter, func(row store.Row) error {
			return file.Add(exportedRow{row, v.store.Zone(row.Gate.Site), func(word any) string { return fmt.Sprint(word) }})
		})
		if err != nil {
			v.log.Warn("a download broke off", "path", v.r.URL.Path, "error", err)
			panic(http.ErrAbortHandler) // a file that is not whole must not look as if it were
		}
		return file.End()
	})
}

func downloadXLSX(v *visit) {
	v.download(queryOf(v.r.URL.Query()), maxExportRows, func(filter store.Filter) error {
		return v.sendBook("history.xlsx", func(book *table.Book) error {
			sheet, err := table.AddSheet(book, v.tongue.Say("历史", "History"), exported, v.tongue.event)
			if err != nil {
				return err
			}
			err = v.store.All(v.ctx(), filter, func(row store.Row) error {
				return sheet.Add(exportedRow{row, v.store.Zone(row.Gate.Site), v.tongue.Word})
			})
			if err == nil {
				err = sheet.End()
			}
			if err != nil {
				return err
			}
			return book.AddFacts(v.tongue.Say("说明", "About"), [][2]any{
				{v.tongue.Say("筛选", "Filter"), v.historyAt("")},
				{v.tongue.Say("行数", "Rows"), sheet.Rows},
				{v.tongue.Say("制作人", "Made by"), v.account.FullName},
				{v.tongue.Say("制作时间", "Made at"), v.now.In(v.store.Zone(v.account.Scope.Site)).Format(time.RFC3339)},
			})
		})
	})
}

// sendBook sends a book once it is whole. It lies on disk until then: a large one would take the memory that frames need.
func (v *visit) sendBook(name string, fill func(*table.Book) error) error {
	whole, err := os.CreateTemp("", "thermogate-*.xlsx")
	if err != nil {
		return v.failed(err)
	}
	defer os.Remove(whole.Name())
	defer whole.Close()
	book, err := table.NewBook()
	if err != nil {
		return v.failed(err)
	}
	defer book.Close()
	if err = fill(book); err == nil {
		err = book.Write(whole)
	}
	if err == nil {
		_, err = whole.Seek(0, io.SeekStart)
	}
	if err != nil {
		return v.failed(err)
	}
	_, err = io.Copy(v.attach(name, table.XLSXType), whole)
	return err
}

func (v *visit) failed(err error) error {
	v.fail(err)
	return err
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
		file := csv.NewWriter(v.attach("pairs.csv", table.CSVType))
		if err := file.Write(pairColumns); err != nil {
			return err
		}
		for _, p := range pairs {
			e := p.Screening
			if e.Data.SkinCelsius == nil {
				continue
			}
			var line []string
			for _, c := range []table.Cell{
				e.Time.In(v.store.Zone(e.Gate.Site)), e.Data.Camera, string(e.Data.SkinSite), *e.Data.SkinCelsius, event.Hundredths(p.Reading.Celsius),
				p.Reading.Place, p.Reading.Thermometer, e.Gate.Site, e.Gate.Name, e.ID,
			} {
				line = append(line, table.Text(c))
			}
			if err := file.Write(line); err != nil {
				return err
			}
		}
		file.Flush()
		return file.Error()
	})
}

package web

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/study"
)

// handle has a guard take an alert, measure and close it.
func (c *console) handle(id, who string, reading store.Reading, outcome mqtt.AlertOutcome) {
	c.t.Helper()
	_, err := c.store.Take(c.t.Context(), id, 0, who, time.Now())
	if err == nil {
		_, err = c.store.AddReading(c.t.Context(), id, 1, who, reading, time.Now())
	}
	if err == nil {
		_, err = c.store.CloseAlert(c.t.Context(), id, 2, who, outcome, time.Now())
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestHistoryPages goes through a filtered history from page to page, by the addresses that the pages give.
func TestHistoryPages(t *testing.T) {
	c := start(t)
	c.online(north, south)
	var all []store.Event
	at := time.Now().Add(-24 * time.Hour)
	for n := range 2*historyLimit + 20 {
		all = append(all, c.make(north, at.Add(time.Duration(n)*time.Second), event.Pass, event.BelowThreshold),
			c.make(south, at.Add(time.Duration(n)*time.Second), event.Inconclusive, event.Moving))
	}
	c.addAll(all...)
	b := c.client("wang", c.account("wang", "Wang Wei", store.Manager, mqtt.Gate{}))
	next, link := "/history?gate="+url.QueryEscape(north.Site+"/"+north.Name)+"&outcome=pass&least=36", regexp.MustCompile(`rel="next" href="([^"]+)"`)
	seen := map[string]bool{}
	for page := range 3 {
		_, body := b.get(next)
		for _, found := range regexp.MustCompile(`href="/events/(\w+)"`).FindAllStringSubmatch(body, -1) {
			seen[found[1]] = true
		}
		if found := link.FindStringSubmatch(body); (found != nil) != (page < 2) {
			t.Fatalf("page %d leads to %v", page, found)
		} else if found != nil {
			next = strings.ReplaceAll(found[1], "&amp;", "&")
		}
		if strings.Contains(body, south.Name+" ·") && strings.Contains(body, `class="outcome inconclusive"`) {
			t.Error("the filter is lost")
		}
	}
	if len(seen) != 2*historyLimit+20 {
		t.Errorf("%d events on three pages", len(seen))
	}
	for _, wrong := range []string{"from=yesterday", "least=warm", "least=NaN", "read=perhaps", "gate=/x", "skin_most=1e999"} {
		if _, body := b.get("/history?" + wrong); !strings.Contains(body, "can&#39;t be read") {
			t.Errorf("%s is taken", wrong)
		}
	}
	for _, noText := range []string{"before=%00", "reason=%ff"} {
		if status, _ := b.get("/history?" + noText); status != http.StatusBadRequest {
			t.Errorf("%s: %d", noText, status)
		}
	}
	for _, strange := range []string{"state=%27%3B--", "outcome=x", "reason=" + strings.Repeat("x", 5000), "from=0001-01-01T00:00", "to=9999-12-31T23:59", "least=37,5"} {
		if status, _ := b.get("/history?" + strange); status != http.StatusOK {
			t.Errorf("%s: %d", strange, status)
		}
	}
}

const dangerous = `=HYPERLINK("http://evil.example","x")`

// danger is a history that holds what others could have put into it, and who reads it.
func danger(t *testing.T) (c *console, b *client, id string) {
	c = start(t)
	at := time.Date(2026, 3, 2, 14, 55, 7, 250e6, time.UTC)
	alert := c.make(north, at, event.Alert, event.AboveThreshold, func(d *event.Data) {
		d.Camera, d.Version, d.Worn = dangerous, "\x01@SUM(1)", []event.Garment{event.Glasses}
	})
	alert.Received = at.Add(time.Second)
	id = c.addAll(alert)[0]
	c.handle(id, "+1 Li Na", store.Reading{Celsius: 38.2, Unit: "°C", Place: store.Ear, Thermometer: "-T17"}, mqtt.Confirmed)
	c.add(north, at.Add(time.Hour), event.Inconclusive, event.NoReading, func(d *event.Data) { d.SkinCelsius, d.BodyCelsius, d.Camera = nil, nil, "＝1" })
	return c, c.client("wang", c.account("wang", "@Wang", store.Manager, mqtt.Gate{})), id
}

func TestDownloadCSV(t *testing.T) {
	_, b, id := danger(t)
	status, body := b.get("/history.csv?lang=zh")
	if status != http.StatusOK || !strings.HasPrefix(body, table.ByteOrderMark) {
		t.Fatalf("%d %.200q", status, body)
	}
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, table.ByteOrderMark))).ReadAll()
	if err != nil || len(lines) != 3 {
		t.Fatalf("%q, %v", lines, err)
	}
	row := map[string]string{}
	for i, name := range lines[0] {
		row[name] = lines[2][i]
	}
	for name, want := range map[string]string{
		"time": "2026-03-02T22:55:07.250+08:00", "time_zone": "Asia/Shanghai", "site": north.Site, "outcome": "alert", "reason": "above-threshold", "skin_celsius": "36.12",
		"alert_state": "closed", "alert_outcome": "confirmed", "reading_celsius": "38.2", "event": id, "worn": "glasses",
		"camera": "'" + dangerous, "version": "' @SUM(1)", "taken_by": "'+1 Li Na",
	} {
		if row[name] != want {
			t.Errorf("%s is %q, want %q", name, row[name], want)
		}
	}
	if first := lines[1]; first[slices.Index(lines[0], "skin_celsius")] != "" || first[slices.Index(lines[0], "camera")] != "'＝1" {
		t.Errorf("without a reading: %q", first)
	}
	for _, line := range lines {
		for _, cell := range line {
			if strings.IndexAny(cell, "=+-@\t\r") == 0 {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
	if _, body := b.get("/history.csv?outcome=pass"); strings.Count(body, "\n") != 1 {
		t.Errorf("without events: %q", body)
	}
}

func TestDownloadXLSX(t *testing.T) {
	_, b, id := danger(t)
	for lang, words := range map[string][]string{"zh": {"历史", "时间", "告警", "达到阈值", "确认发热"}, "en": {"History", "Time", "Alert", "at or above the threshold", "confirmed"}} {
		_, body := b.get("/history.xlsx?lang=" + lang)
		file, err := excelize.OpenReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		sheet := file.GetSheetName(0)
		shown, err := file.GetRows(sheet)
		if err != nil || len(shown) != 3 || sheet != words[0] || shown[0][0] != words[1] {
			t.Fatalf("%s: %q, %v", sheet, shown, err)
		}
		raw, err := file.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		column := func(name string) int {
			return slices.IndexFunc(exported, func(c table.Column[exportedRow]) bool { return c.Name == name })
		}
		for name, want := range map[string]string{
			"time": "2026-03-02 22:55:07", "outcome": words[2], "reason": words[3], "alert_outcome": words[4], "skin_celsius": "36.12",
			"reading_celsius": "38.20", "camera": dangerous, "version": " @SUM(1)", "event": id, "taken_by": "+1 Li Na",
		} {
			if got := shown[2][column(name)]; got != want {
				t.Errorf("%s: %s shows %q, want %q", lang, name, got, want)
			}
		}
		if got := raw[2][column("skin_celsius")]; got != "36.12" {
			t.Errorf("skin is kept as %q", got)
		}
		for i, want := range map[int]excelize.CellType{column("time"): excelize.CellTypeUnset, column("skin_celsius"): excelize.CellTypeUnset, column("camera"): excelize.CellTypeInlineString} {
			at, _ := excelize.CoordinatesToCellName(i+1, 3)
			if kind, err := file.GetCellType(sheet, at); err != nil || kind != want {
				t.Errorf("%s is of type %v, want %v, %v", at, kind, want, err)
			}
			if formula, err := file.GetCellFormula(sheet, at); err != nil || formula != "" {
				t.Errorf("%s has the formula %q, %v", at, formula, err)
			}
		}
	}
}

// TestDownloadIsWhole refuses a file that would have more rows than it may.
func TestDownloadIsWhole(t *testing.T) {
	c, b, _ := danger(t)
	v := &visit{Pages: c.pages, r: httptest.NewRequest(http.MethodGet, "/history.csv", nil), tongue: "en", now: time.Now()}
	for most, want := range map[int]int{1: http.StatusUnprocessableEntity, 2: http.StatusOK} {
		answer, sent := httptest.NewRecorder(), false
		v.w = answer
		v.download(historyQuery{}, most, func(store.Filter) error { sent = true; return nil })
		if answer.Code != want || sent != (want == http.StatusOK) {
			t.Errorf("at most %d: %d, %v", most, answer.Code, sent)
		}
	}
	if status, _ := b.get("/history.xlsx?least=warm"); status != http.StatusUnprocessableEntity {
		t.Errorf("a filter that can't be read: %d", status)
	}
}

// TestDownloadsTakeTurns has one file made at a time: within a gate, more would take what its frames need.
func TestDownloadsTakeTurns(t *testing.T) {
	c, _, _ := danger(t)
	v := &visit{Pages: c.pages, w: httptest.NewRecorder(), r: httptest.NewRequest(http.MethodGet, "/history.csv", nil), tongue: "en", now: time.Now()}
	made := 0
	v.download(historyQuery{}, maxExportRows, func(store.Filter) error {
		made++
		if free := cap(c.pages.exports) - len(c.pages.exports); free > 0 {
			t.Errorf("%d more could be made at the same time", free)
		}
		return nil
	})
	if made != 1 || len(c.pages.exports) != 0 {
		t.Errorf("%d were made, and %d places are taken", made, len(c.pages.exports))
	}
}

// TestPairsForStudy has thermogate study read second readings as they are downloaded.
func TestPairsForStudy(t *testing.T) {
	c, b, _ := danger(t)
	for n := range 6 {
		id := c.add(south, time.Now().Add(-time.Duration(n)*time.Hour), event.Alert, event.AboveThreshold)
		c.handle(id, "Li Na", store.Reading{Celsius: 37 + float64(n)/5, Unit: "°C", Place: store.Mouth, Thermometer: "T-17"}, mqtt.FalseAlert)
	}
	c.alert(south) // without a reading
	for address, want := range map[string]int{"/study/pairs.csv": 7, "/study/pairs.csv?place=mouth": 6, "/study/pairs.csv?place=ear": 1, "/study/pairs.csv?state=confirmed": 1, "/study/pairs.csv?place=armpit": 0} {
		_, body := b.get(address)
		pairs, leftOut, err := study.ReadPairs(strings.NewReader(body), study.Columns{Round: 1})
		if err != nil || len(leftOut) != 0 || len(pairs) != want {
			t.Errorf("%s: %d pairs, left out %v, %v", address, len(pairs), leftOut, err)
		}
		for _, p := range pairs {
			if p.SkinCelsius != 36.12 || p.Site != event.InnerCanthus || p.At.IsZero() || p.OralCelsius < 37 || p.OralCelsius > 38.2 {
				t.Errorf("%s: %+v", address, p)
			}
		}
	}
}

package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestGatePage has the page of a gate tell its day, who paused it, and its faults, which are put aside there.
func TestGatePage(t *testing.T) {
	c := start(t)
	yesterday := time.Now().In(c.store.Zone("")).AddDate(0, 0, -1)
	morning := time.Date(yesterday.Year(), yesterday.Month(), yesterday.Day(), 7, 50, 0, 0, yesterday.Location())
	for n := range 3 {
		c.add(north, morning.Add(time.Duration(n)*time.Minute), event.Pass, event.BelowThreshold)
	}
	c.add(north, morning.Add(20*time.Minute), event.Inconclusive, event.Moving)
	c.add(north, morning.Add(21*time.Minute), event.Alert, event.AboveThreshold)
	c.add(south, morning, event.Pass, event.BelowThreshold)
	status := mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{
		Camera: "stalled", Paused: true, PausedUntil: time.Now().Add(time.Hour), PausedBy: "李娜 <b>",
	}}
	if err := c.store.SetStatus(t.Context(), north, status, time.Now()); err != nil {
		t.Fatal(err)
	}
	b := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	_, body := b.get(gateAddress(north) + "?lang=en&day=" + morning.Format(time.DateOnly))
	for _, want := range []string{
		"5 people", "<td>07:45</td><td>3</td><td>3</td><td>0</td><td>0</td>", "<td>08:00</td><td>2</td><td>0</td><td>1</td><td><b>▲ 1</b></td>",
		"moving</a></td><td>1</td>", "Paused by 李娜 &lt;b&gt;", "The day after", "picture stalled", "offset to the body, inner canthus", "2.20 °C",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of a gate lacks %q", want)
		}
	}
	for _, day := range []string{"9999-12-31", "0001-01-01", "x"} {
		if status, _ := b.get(gateAddress(north) + "?day=" + day); status != 200 {
			t.Errorf("day %s: %d", day, status)
		}
	}
	_, body = b.post("/faults", url.Values{"gate": {north.Site + "/" + north.Name}, "part": {store.Camera}, "hours": {"1"}, "reason": {"being mended"}, "to": {gateAddress(north)}})
	if !strings.Contains(body, "being mended") || !strings.Contains(body, "Settings in force") {
		t.Error("a fault is not put aside on the gate's page")
	}
}

// TestChart has bars that add up, on days of every length.
// TestDistrictOnTheGatesPage has who sees the whole plant see how it stands with the district.
func TestDistrictOnTheGatesPage(t *testing.T) {
	c := start(t)
	c.add(north, time.Now(), event.Pass, event.BelowThreshold)
	told := Told{Connected: true}
	all := c.client("lina", c.account("lina", "Li Na", store.Guard, mqtt.Gate{}))
	one := c.client("wang", c.account("wang", "Wang", store.Guard, mqtt.Gate{Site: north.Site}))
	if _, body := all.get("/gates?lang=en"); strings.Contains(body, "District") {
		t.Error("a plant without a district has one")
	}
	c.pages.cfg.Told = func() Told { return told }
	for want, is := range map[string]Told{
		"Connected, and told of everything.":                         {Connected: true},
		"Connected; 7 messages are still to be sent.":                {Connected: true, Waiting: 7},
		"The district has not got everything; 9 messages wait here.": {Waiting: 9, Fault: "no <way>"},
	} {
		told = is
		if _, body := all.get("/gates?lang=en"); !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if _, body := all.get("/gates?lang=zh"); !strings.Contains(body, "片区") {
		t.Error("the page has no word in Chinese")
	}
	if _, body := one.get("/gates?lang=en"); strings.Contains(body, "District") {
		t.Error("who sees one site is told of all")
	}
}

func TestChart(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for date, quarters := range map[string]int{"2026-03-28": 96, "2026-03-29": 92, "2026-10-25": 100} {
		begin, err := time.ParseInLocation(time.DateOnly, date, berlin)
		if err != nil {
			t.Fatal(err)
		}
		end := begin.AddDate(0, 0, 1)
		last := end.Add(-quarter)
		chart := chartOf([]store.Count{
			{Quarter: begin, Outcome: event.Pass, People: 7}, {Quarter: last, Outcome: event.Pass, Reason: "a", People: 30},
			{Quarter: last, Outcome: event.Pass, Reason: "b", People: 20}, {Quarter: last, Outcome: event.Alert, People: 1}, {Quarter: end, Outcome: event.Pass, People: 5},
		}, begin, end)
		if len(chart.Rows) != 2 || chart.Rows[1].People != 51 || chart.Total.People != 58 || chart.Rows[1].Begin.Format("15:04") != "23:45" {
			t.Errorf("%s: %+v", date, chart.Rows)
		}
		for _, bar := range chart.Bars {
			if bar.Y < 0 || bar.Y+bar.Height > chart.Bottom()+0.1 || bar.X+bar.Width > chart.Right() || bar.Width < chart.Right()/float64(quarters)-1.1 {
				t.Errorf("%s: %+v reaches out", date, bar)
			}
		}
		if n := len(chart.Levels); n < 2 || n > 6 || len(chart.Marks) != 1 {
			t.Errorf("%s: %d levels, %d marks", date, n, len(chart.Marks))
		}
	}
}

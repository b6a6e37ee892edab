package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

func hear(t testing.TB, s *Store, news News) int {
	t.Helper()
	fresh, err := s.Hear(t.Context(), news)
	if err != nil {
		t.Fatal(err)
	}
	countHeard(t, s)
	return fresh
}

// countHeard has all be counted that was heard.
func countHeard(t testing.TB, s *Store) {
	t.Helper()
	for more, err := true, error(nil); more; {
		if more, err = s.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// word is what a plant says of an alert.
func word(e Event, version int64, state AlertState, at time.Time) PlantAlert {
	a := PlantAlert{Event: e.ID, Gate: e.Gate, Version: version, State: state, Received: at}
	switch state {
	case Taken:
		a.Taken = at
	case Closed:
		a.Outcome, a.Taken, a.Read, a.Closed = mqtt.FalseAlert, at, at, at
	}
	return a
}

// TestAlertsOfPlants has the words of plants on alerts come before and after their events, again, and in the wrong order.
func TestAlertsOfPlants(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		first := m.alert(morning)
		later := m.event(morning.Add(2*time.Minute), event.Alert, event.AboveThreshold, again(first))
		last := m.event(morning.Add(10*time.Minute), event.Alert, event.AboveThreshold, again(first))
		state := func(e Event) (AlertState, int64, int) {
			t.Helper()
			a, _, err := s.Alert(t.Context(), e.ID)
			if err != nil {
				t.Fatal(err)
			}
			return a.State, a.Version, a.Times
		}
		closed := word(first, 3, Closed, morning.Add(5*time.Minute))
		hear(t, s, News{Alerts: []PlantAlert{closed, word(first, 1, Taken, morning.Add(time.Minute))}})
		if open, err := s.OpenAlerts(t.Context()); err != nil || len(open) != 0 {
			t.Fatalf("a word without its event is an alert: %v, %v", open, err)
		}
		for range 2 { // a message may come again
			hear(t, s, News{Events: []Event{first}})
			hear(t, s, News{Alerts: []PlantAlert{word(first, 2, Taken, morning.Add(time.Minute)), closed}})
			if is, version, _ := state(first); is != Closed || version != 3 {
				t.Fatalf("the alert is %s by version %d", is, version)
			}
		}
		hear(t, s, News{Events: []Event{later}}) // which happened while the first one was open
		if open, _ := s.OpenAlerts(t.Context()); len(open) != 0 {
			t.Errorf("what came late is an alert of its own: %v", open)
		}
		if _, _, times := state(first); times != 2 {
			t.Errorf("the alert was there %d times", times)
		}
		hear(t, s, News{Events: []Event{last}})
		if is, _, _ := state(last); is != New {
			t.Errorf("what happened after the first was closed is %s", is)
		}
		if words, err := s.Words(t.Context(), morning); err != nil || len(words) != 0 {
			t.Errorf("gates are told %v, %v", words, err)
		}

		other := newMaker(t, mqtt.Gate{Site: "evil", Name: "north"})
		strange := other.alert(morning)
		stranger := word(last, 9, Closed, morning)
		stranger.Gate = strange.Gate
		hear(t, s, News{Alerts: []PlantAlert{stranger}})
		if is, _, _ := state(last); is != New {
			t.Errorf("another site's word made it %s", is)
		}
	})
}

// TestAlertThatCountedWithAnother has an alert that its plant had closed before the next one count with that at first.
func TestAlertThatCountedWithAnother(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		first := m.alert(morning)
		second := m.event(morning.Add(time.Minute), event.Alert, event.AboveThreshold, again(first))
		third := m.event(morning.Add(9*time.Minute), event.Alert, event.AboveThreshold, again(first))
		hear(t, s, News{Events: []Event{first, second, third}})
		hear(t, s, News{Alerts: []PlantAlert{word(third, 1, Taken, morning.Add(10*time.Minute)), word(first, 3, Closed, morning.Add(5*time.Minute))}})
		for _, want := range []struct {
			of     Event
			state  AlertState
			times  int
			latest string
		}{{first, Closed, 2, second.ID}, {third, Taken, 1, third.ID}} {
			a, _, err := s.Alert(t.Context(), want.of.ID)
			if err != nil || a.State != want.state || a.Times != want.times || a.Latest != want.latest {
				t.Errorf("%+v, %v; want %+v", a, err, want)
			}
		}
		report, err := s.Report(t.Context(), Period{Site: "plant", From: morning.Truncate(time.Hour), To: morning.Truncate(time.Hour).Add(time.Hour)})
		if err != nil || report.All.Alert != 1 || len(report.Alerts) != 2 || report.All.False != 0 || report.All.Open != 1 {
			t.Errorf("the report has %+v, %v", report.All, err)
		}
	})
}

// TestStatusesOfPlants has gates be as the newest of what their plants say.
func TestStatusesOfPlants(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		online := func(gate mqtt.Gate, at time.Time, reference string) PlantStatus {
			said := mqtt.StatusMessage{State: Online, Status: mqtt.Status{Version: "1", Camera: "ok", Reference: reference}}
			said.Journal, said.Sequence = newMaker(t, gate).journal, 7
			return PlantStatus{Gate: gate, At: at, Link: Online, Said: &said}
		}
		hear(t, s, News{Heard: map[string]time.Time{"plant": morning}, Statuses: []PlantStatus{
			{Gate: south, At: morning.Add(2 * time.Second), Link: Quiet},
			online(north, morning.Add(time.Second), string(event.ReferenceMissing)),
			online(north, morning, ""), online(south, morning, ""),
		}})
		hear(t, s, News{Statuses: []PlantStatus{online(south, morning.Add(time.Second), "")}}) // late
		gates, err := s.SiteGates(t.Context(), "plant", morning)
		if err != nil || len(gates) != 2 {
			t.Fatalf("%v, %v", gates, err)
		}
		n, q := gates[0], gates[1]
		if n.Parts[Reference].Value != string(event.ReferenceMissing) || n.Sequence != 7 || !n.Seen.Equal(morning.Add(time.Second)) {
			t.Errorf("north is %+v", n)
		}
		if q.Parts[Link].Value != Quiet || !q.Seen.Equal(morning) || q.Parts[Camera].Value != "ok" {
			t.Errorf("south is %+v", q)
		}
		if faults, err := s.SiteFaults(t.Context(), "plant", morning); err != nil || len(faults) != 2 {
			t.Errorf("faults: %v, %v", faults, err)
		}
		sites, err := s.PlantSites(t.Context())
		if err != nil || len(sites) != 1 || sites[0].Gates != 2 || sites[0].Bad != 2 || !sites[0].Heard.Equal(morning) {
			t.Errorf("the sites are %+v, %v", sites, err)
		}
		for i, link := range []string{RevokedLink, Unused} { // and what was wrong with it is nobody's business any more
			hear(t, s, News{Statuses: []PlantStatus{{Gate: south, At: morning.Add(3 * time.Second), Link: Unused},
				{Gate: north, At: morning.Add(time.Duration(i+1) * time.Minute), Link: link}}})
			if faults, err := s.SiteFaults(t.Context(), "plant", morning); err != nil || len(faults) != 0 {
				t.Errorf("%s: faults: %v, %v", link, faults, err)
			}
			sites, err = s.PlantSites(t.Context())
			if err != nil || sites[0].Gates != 0 || sites[0].Bad != 0 {
				t.Errorf("%s: the sites are %+v, %v", link, sites, err)
			}
			if counts, err := s.CountGates(t.Context(), morning); err != nil || counts != (GateCounts{}) {
				t.Errorf("%s: counted are %+v, %v", link, counts, err)
			}
		}
		states, err := s.States(t.Context(), north, morning, morning.Add(time.Minute), 10)
		if err != nil || len(states) != 6 { // the reference has two
			t.Errorf("north was %v, %v", states, err)
		}
	})
}

// TestPlantsSettings has a site counted and kept as its plant does it, and an older word of that change nothing.
func TestPlantsSettings(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plan := ShiftPlan{Site: "plant", From: DayOf(morning), Shifts: []Shift{{Name: "早班", Begin: 6 * time.Hour, End: 18 * time.Hour, Expected: 90}}}
		is := Plant{Site: "plant", At: morning, TimeZone: "Asia/Shanghai", OutcomeOnly: true, KeepMonths: 3, Plans: []ShiftPlan{plan}, Version: "1", Waiting: 12}
		before := is
		before.At, before.TimeZone, before.OutcomeOnly, before.Waiting = morning.Add(-time.Minute), "Europe/Berlin", false, 99
		e := newMaker(t, north).alert(morning)
		hear(t, s, News{Plants: []Plant{is, before}, Events: []Event{e}})
		hear(t, s, News{Plants: []Plant{before}})
		if zone := s.Zone("plant").String(); zone != "Asia/Shanghai" {
			t.Errorf("its zone is %s", zone)
		}
		kept, err := s.Event(t.Context(), e.ID)
		if err != nil || kept.Data.SkinCelsius != nil || strings.Contains(string(kept.Body), "celsius") {
			t.Errorf("a site that keeps outcomes only has %s, %v", kept.Body, err)
		}
		if keepings, err := s.Keepings(t.Context()); err != nil || keepings[0].Months != 3 || !keepings[0].OutcomeOnly {
			t.Errorf("kept is %+v, %v", keepings, err)
		}
		if got, err := s.ShiftPlan(t.Context(), "plant", DayOf(morning)); err != nil || got.String() != plan.String() {
			t.Errorf("its shifts are %v, %v", got, err)
		}
		if sites, err := s.PlantSites(t.Context()); err != nil || sites[0].Waiting != 12 {
			t.Errorf("%+v, %v", sites, err)
		}
		lines, err := s.Audit(t.Context(), AuditFilter{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		hear(t, s, News{Plants: []Plant{{Site: "plant", At: morning.Add(time.Minute), TimeZone: "Asia/Shanghai", OutcomeOnly: true, KeepMonths: 3, Plans: []ShiftPlan{plan}}}})
		if more, _ := s.Audit(t.Context(), AuditFilter{}, 100); len(more) != len(lines) {
			t.Errorf("a sign of life is %d lines of the audit", len(more)-len(lines))
		}
	})
}

// TestDeletionsOfPlants has events that were deleted in their plant go, or not come, with their person counted as before.
func TestDeletionsOfPlants(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		there, later, foreign := m.pass(morning), m.pass(morning.Add(time.Second)), m.pass(morning.Add(2*time.Second))
		hear(t, s, News{Events: []Event{there, foreign}})
		deletions := []PlantDeletion{{"plant", there.ID, morning}, {"plant", later.ID, morning}, {"elsewhere", foreign.ID, morning}}
		for range 2 {
			hear(t, s, News{Deletions: deletions})
		}
		if fresh := hear(t, s, News{Events: []Event{there, later}}); fresh != 0 {
			t.Errorf("%d deleted events are stored", fresh)
		}
		if _, err := s.Event(t.Context(), foreign.ID); err != nil {
			t.Errorf("another site deleted an event: %v", err)
		}
		if d, err := s.Deletion(t.Context(), there.ID); err != nil || d.Gate != north {
			t.Errorf("%+v, %v", d, err)
		}
		report, err := s.Report(t.Context(), Period{Site: "plant", From: morning.Truncate(time.Hour), To: morning.Truncate(time.Hour).Add(time.Hour)})
		if err != nil || report.All.People != 2 || report.All.Deleted != 2 {
			t.Errorf("the report has %+v, %v", report.All, err)
		}
	})
}

// TestShiftsOfPlants keeps the newest of a plant's own reports of a shift.
func TestShiftsOfPlants(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		made := PlantShift{Site: "plant", Name: "1", From: morning, To: morning.Add(8 * time.Hour), Made: morning.Add(9 * time.Hour), People: 12, Pass: 11, Alert: 1}
		older := made
		older.Made, older.People = morning.Add(8*time.Hour), 10
		hear(t, s, News{Shifts: []PlantShift{made, older}})
		if got, ok, err := s.PlantShift(t.Context(), "plant", morning); err != nil || !ok || got.People != 12 || !got.To.Equal(made.To) {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
	})
}

// TestNewPlantEvent refuses what no plant of the subject's site says.
func TestNewPlantEvent(t *testing.T) {
	good := newMaker(t, mqtt.Gate{Site: "north plant", Name: "a.b"}).pass(morning)
	if e, err := NewPlantEvent("north plant", good.Body, morning); err != nil || e.Gate != good.Gate {
		t.Errorf("%+v, %v", e.Gate, err)
	}
	if _, err := NewPlantEvent("plant", good.Body, morning); err == nil || !strings.Contains(err.Error(), "on whose subject it came") {
		t.Errorf("another site's event: %v", err)
	}
	for _, says := range []string{`"person":{"id":"LiNa"}`, `"PERSON":{"id":"LiNa"}`, `"person_name":"LiNa"`, `"person":{"id":"LiNa"},"person":null`, `"unpaired":"LiNa"`} {
		named := strings.Replace(string(good.Body), `"data":{`, `"data":{`+says+",", 1)
		e, err := NewPlantEvent("north plant", []byte(named), morning)
		if err != nil || strings.Contains(string(e.Body), "LiNa") || !json.Valid(e.Body) || e.Data.Person != nil {
			t.Errorf("it keeps %s, %v", e.Body, err)
		}
	}
}

// TestRefusedMessages keeps the newest of each site.
func TestRefusedMessages(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := RefusedMessage{At: morning, Site: "plant", Subject: "thermogate.district.plant.event", Reason: "no \x00 event", Payload: []byte("\x00\xff")}
		if err := s.Refuse(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		kept, err := s.RefusedMessages(t.Context(), "plant", 10)
		if err != nil || len(kept) != 1 || string(kept[0].Payload) != "\x00\xff" || !kept[0].At.Equal(morning) {
			t.Errorf("%+v, %v", kept, err)
		}
		var many []RefusedMessage
		for i := range maxRefused + 5 {
			many = append(many, RefusedMessage{At: morning.Add(time.Duration(i+1) * time.Millisecond), Site: "flood", Reason: "no event"})
		}
		if err := s.Refuse(t.Context(), many...); err != nil {
			t.Fatal(err)
		}
		all, err := s.RefusedMessages(t.Context(), "", 2*maxRefused)
		if err != nil || len(all) != maxRefused+1 || !all[0].At.Equal(many[len(many)-1].At) {
			t.Errorf("%d are kept, %v", len(all), err)
		}
		named := m
		named.Site, named.Payload = "named", []byte(`{"data":{"outcome":"named","PERSON":{"id":"LiNa"}}}`)
		if err := s.Refuse(t.Context(), named); err != nil {
			t.Fatal(err)
		}
		if got, err := s.RefusedMessages(t.Context(), "named", 1); err != nil || len(got) != 1 || len(got[0].Payload) > 0 {
			t.Errorf("of who an event is about it keeps %+v, %v", got, err)
		}
	})
}

// TestSignOfLife writes no line and has nothing looked through where it says what was known, and settings that change again and
// again do not hold up what others tell.
func TestSignOfLife(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		says := func(p Plant) {
			t.Helper()
			p.Site, p.KeepMonths = "plant", 6
			hear(t, s, News{Plants: []Plant{p}, Heard: map[string]time.Time{"plant": p.At}})
		}
		lines := func() int64 {
			t.Helper()
			var n int64
			if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM audit").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		says(Plant{At: morning, TimeZone: "Asia/Tokyo"})
		if !s.Due() {
			t.Error("another retention is not looked at")
		}
		before := lines()
		says(Plant{At: morning.Add(time.Minute), TimeZone: "Asia/Tokyo"})
		if s.Due() || lines() != before {
			t.Error("what was known is looked at again")
		}
		says(Plant{At: morning.Add(time.Minute + time.Second), TimeZone: "UTC", OutcomeOnly: true})
		if !s.OutcomeOnly("plant") || s.Zone("plant").String() != "Asia/Tokyo" {
			t.Errorf("outcomes only: %t; the zone is %s", s.OutcomeOnly("plant"), s.Zone("plant"))
		}
		s.followed["plant"] = time.Now().Add(-followPause)
		says(Plant{At: morning.Add(2 * time.Minute), TimeZone: "UTC", OutcomeOnly: true})
		if s.Zone("plant") != time.UTC {
			t.Errorf("the zone stays %s", s.Zone("plant"))
		}
	})
}

// TestSiteAfterFailure is known though the first that came from it could not be stored.
func TestSiteAfterFailure(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		news := News{Events: []Event{newMaker(t, north).pass(morning)}, Heard: map[string]time.Time{"plant": morning}}
		rename := func(from, to string) {
			t.Helper()
			if _, err := s.write.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
				t.Fatal(err)
			}
		}
		rename("uncounted", "away")
		if _, err := s.Hear(t.Context(), news); err == nil {
			t.Fatal("it is stored without a table")
		}
		rename("away", "uncounted")
		hear(t, s, news)
		if sites, err := s.PlantSites(t.Context()); err != nil || len(sites) != 1 {
			t.Errorf("%v, %v", sites, err)
		}
	})
}

// TestLoudSite does not hide an alert of another site behind its own, which its clock says to be of the year 9999.
func TestLoudSite(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		loud, quiet := newMaker(t, mqtt.Gate{Site: "loud", Name: "1"}), newMaker(t, north)
		var news News
		for i := range 30 {
			e := loud.alert(time.Date(9999, 1, 1, 0, i, 0, 0, time.UTC))
			e.Received = morning
			news.Events = append(news.Events, e)
		}
		late := quiet.alert(morning.Add(time.Minute))
		late.Received = morning.Add(time.Minute)
		news.Events = append(news.Events, late)
		hear(t, s, news)
		alerts, err := s.OpenAlertsOfSites(t.Context(), 20, 100)
		if err != nil || len(alerts) != 21 || alerts[0].Event != late.ID {
			t.Errorf("%d alerts, %v", len(alerts), err)
		}
	})
}

// TestPlantThatTellsTooMuch has a plant tell of alerts and deletions of events that nobody has, of which the newest are kept.
func TestPlantThatTellsTooMuch(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, mqtt.Gate{Site: "loud", Name: "1"})
		const all = mostTold + 2*mostTold/10
		var last Event
		for n := 0; n < all; n += 1000 {
			var news News
			for range 1000 {
				news.Alerts = append(news.Alerts, word(m.pass(morning), 1, Taken, morning.Add(time.Duration(n)*time.Millisecond)))
				last = m.pass(morning)
				news.Deletions = append(news.Deletions, PlantDeletion{Site: "loud", Event: last.ID, At: morning.Add(time.Duration(n) * time.Millisecond)})
			}
			hear(t, s, news)
		}
		for _, table := range []string{"plant_alerts", "deleted_events"} {
			var kept int
			if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&kept); err != nil || kept > mostTold+mostTold/10 || kept < mostTold {
				t.Errorf("%s has %d rows, %v", table, kept, err)
			}
		}
		if n := len(s.deleted); n > mostTold+mostTold/10 {
			t.Errorf("%d deletions are remembered", n)
		}
		if n := hear(t, s, News{Events: []Event{last}}); n != 0 {
			t.Error("the newest deletion is forgotten")
		}
		var lines int
		if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM audit WHERE what = $1", DeletedEvent).Scan(&lines); err != nil || lines != 0 {
			t.Errorf("%d lines of the audit tell of what was never there, %v", lines, err)
		}
	})
}

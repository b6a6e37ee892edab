package store

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

const hour = time.Hour

func dayOf(year int, month time.Month, day int) Day {
	return DayOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// shiftsOn is the shifts of some days as text: "1 06:00 CET to 14:00 CET, 8h0m0s".
func shiftsOn(t *testing.T, s *Store, from, to Day) (lines []string) {
	t.Helper()
	shifts, err := s.Shifts(t.Context(), "plant", from, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, shift := range shifts {
		lines = append(lines, fmt.Sprintf("%s %s to %s, %v", shift.Name, shift.From.Format("02 15:04 MST"), shift.To.Format("15:04 MST"), shift.To.Sub(shift.From)))
	}
	return lines
}

func TestShiftsOverClockChanges(t *testing.T) {
	s := open(t, config(t, "SQLite"))
	plan := func(shifts ...Shift) func() {
		return func() {
			if err := s.SetShiftPlan(t.Context(), ShiftPlan{Site: "plant", Shifts: shifts}, "", Author{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name, zone string
		plan       func()
		day        Day
		want       string
	}{
		{"to summer time, at night", "Europe/Berlin", func() {}, dayOf(2026, 3, 28), "1 28 06:00 CET to 14:00 CET, 8h0m0s|2 28 14:00 CET to 22:00 CET, 8h0m0s|3 28 22:00 CET to 06:00 CEST, 7h0m0s"},
		{"to winter time, at night", "Europe/Berlin", func() {}, dayOf(2026, 10, 24), "1 24 06:00 CEST to 14:00 CEST, 8h0m0s|2 24 14:00 CEST to 22:00 CEST, 8h0m0s|3 24 22:00 CEST to 06:00 CET, 9h0m0s"},
		{"a night that nobody changes", "Asia/Shanghai", func() {}, dayOf(2026, 3, 28), "1 28 06:00 CST to 14:00 CST, 8h0m0s|2 28 14:00 CST to 22:00 CST, 8h0m0s|3 28 22:00 CST to 06:00 CST, 8h0m0s"},
		{
			"an end that the clocks jump over", "Europe/Berlin", plan(Shift{Name: "night", Begin: 30 * time.Minute, End: 2*hour + 30*time.Minute}, Shift{Name: "early", Begin: 2*hour + 30*time.Minute, End: 4 * hour}),
			dayOf(2026, 3, 29), "night 29 00:30 CET to 03:00 CEST, 1h30m0s|early 29 03:00 CEST to 04:00 CEST, 1h0m0s",
		},
		{
			"a shift that the clocks jump over", "Europe/Berlin", plan(Shift{Name: "gone", Begin: 2 * hour, End: 3 * hour}), dayOf(2026, 3, 29), "",
		},
		{
			"a time that there is twice", "Europe/Berlin", plan(Shift{Name: "night", Begin: 30 * time.Minute, End: 2*hour + 30*time.Minute}, Shift{Name: "early", Begin: 2*hour + 30*time.Minute, End: 4 * hour}),
			dayOf(2026, 10, 25), "night 25 00:30 CEST to 02:30 CEST, 2h0m0s|early 25 02:30 CEST to 04:00 CET, 2h30m0s",
		},
		{"midnight that there is not", "America/Santiago", plan(Shift{Name: "day", Begin: 0, End: 0}), dayOf(2026, 9, 6), "day 06 01:00 -03 to 00:00 -03, 23h0m0s"},
	} {
		if err := s.SetZone(t.Context(), "plant", test.zone); err != nil {
			t.Fatal(err)
		}
		test.plan()
		if got := strings.Join(shiftsOn(t, s, test.day, test.day), "|"); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestShiftPlans(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		first := dayOf(2026, 3, 2)
		two := ShiftPlan{Site: "plant", From: first, Shifts: []Shift{{"夜班", 18 * hour, 3 * hour, 0}, {"早班", 3 * hour, 11 * hour, 930}}}
		if err := s.SetShiftPlan(t.Context(), two, "", Author{Account: "li"}); err != nil {
			t.Fatal(err)
		}
		if err := s.SetShiftPlan(t.Context(), ShiftPlan{Site: "plant", From: first + 7, Shifts: []Shift{{"day", 8 * hour, 17 * hour, 10}}}, "", Author{}); err != nil {
			t.Fatal(err)
		}
		want := []string{ // the plan before gives way, and time in which nobody works belongs to no shift
			"1 01 06:00 UTC to 14:00 UTC, 8h0m0s", "2 01 14:00 UTC to 22:00 UTC, 8h0m0s", "3 01 22:00 UTC to 03:00 UTC, 5h0m0s",
			"早班 02 03:00 UTC to 11:00 UTC, 8h0m0s", "夜班 02 18:00 UTC to 03:00 UTC, 9h0m0s",
		}
		if diff := cmp.Diff(want, shiftsOn(t, s, first-1, first)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"早班 08 03:00 UTC to 11:00 UTC, 8h0m0s", "夜班 08 18:00 UTC to 03:00 UTC, 9h0m0s", "day 09 08:00 UTC to 17:00 UTC, 9h0m0s"}, shiftsOn(t, s, first+6, first+7)); diff != "" {
			t.Error(diff)
		}
		if plan, err := s.ShiftPlan(t.Context(), "plant", first+6); err != nil || len(plan.Shifts) != 2 || plan.Shifts[0].Expected != 930 || plan.From != first {
			t.Errorf("%+v, %v", plan, err)
		}
		if plan, err := s.ShiftPlan(t.Context(), "elsewhere", first); err != nil || len(plan.Shifts) != 3 {
			t.Errorf("%+v, %v", plan, err)
		}
		lines, err := s.Audit(t.Context(), AuditFilter{What: ChangedShifts}, 10)
		if err != nil || len(lines) != 2 || lines[1].By.Account != "li" || lines[1].Scope.Site != "plant" || lines[1].Detail != "2026-03-02 早班 03:00–11:00 930 夜班 18:00–03:00" {
			t.Errorf("%+v, %v", lines, err)
		}
		for _, days := range []struct {
			from, to Day
			want     int64
		}{{first, first, 0}, {first + 7, first + 8, 20}, {first + 20, first + 20, 10}} { // with 夜班 nobody knows
			r, err := s.Report(t.Context(), Period{Site: "plant", From: days.from.Begin(time.UTC), To: (days.to + 1).Begin(time.UTC)})
			if err != nil || r.All.Expected != days.want {
				t.Errorf("%v: %d expected, %v", days, r.All.Expected, err)
			}
		}
		if _, err := s.Shifts(t.Context(), "plant", -700_000, 2_000_000); err == nil {
			t.Error("all shifts of all times are told")
		}
	})
}

// TestShiftPlanOfTwo has two managers fill in plans on the same ones, and save them one after the other.
func TestShiftPlanOfTwo(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plan := func(day Day, expected int64) ShiftPlan {
			return ShiftPlan{Site: "plant", From: dayOf(2026, 3, 2) + day, Shifts: []Shift{{"day", 8 * hour, 17 * hour, expected}}}
		}
		sum := func() string {
			t.Helper()
			plans, err := s.ShiftPlans(t.Context(), "plant")
			if err != nil {
				t.Fatal(err)
			}
			return PlansSum(plans)
		}
		none := sum()
		for _, test := range []struct {
			name string
			plan ShiftPlan
			sum  string
			want error
		}{
			{"the first", plan(0, 10), none, nil},
			{"by two clicks", plan(0, 10), none, nil},
			{"of another day", plan(1, 10), none, ErrChanged},
			{"of the same day", plan(0, 11), none, ErrChanged},
		} {
			if err := s.SetShiftPlan(t.Context(), test.plan, test.sum, Author{}); !errors.Is(err, test.want) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if err := s.SetShiftPlan(t.Context(), plan(1, 11), sum(), Author{}); err != nil {
			t.Error(err)
		}
		if err := s.SetShiftPlan(t.Context(), ShiftPlan{Site: "elsewhere", Shifts: usualShifts()}, none, Author{}); err != nil {
			t.Errorf("of another site: %v", err)
		}
		if lines, err := s.Audit(t.Context(), AuditFilter{What: ChangedShifts}, 10); err != nil || len(lines) != 3 {
			t.Errorf("the audit has %d lines, want 3; %v", len(lines), err)
		}
	})
}

// TestShiftPlanOfTwoConsoles has them save at the same moment, by a console each: the one waits for the other, and sees what it did.
func TestShiftPlanOfTwoConsoles(t *testing.T) {
	a, b := twoConsoles(t)
	busy, err := a.write.BeginTx(t.Context(), nil) // it keeps both from coming to an end
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Rollback()
	if _, err := busy.ExecContext(t.Context(), "UPDATE audit_end SET number = number"); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 2)
	for i, s := range []*Store{a, b} {
		go func() {
			saved <- s.SetShiftPlan(t.Context(), ShiftPlan{Site: "plant", From: DayOf(morning) + Day(i), Shifts: usualShifts()}, PlansSum(nil), Author{})
		}()
	}
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for n, deadline := 0, time.Now().Add(time.Minute); n < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 2 wait", n)
		}
		if err := a.read.QueryRowContext(t.Context(), waiting).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := busy.Rollback(); err != nil {
		t.Fatal(err)
	}
	if one, other := <-saved, <-saved; (one == nil) == (other == nil) || !errors.Is(errors.Join(one, other), ErrChanged) {
		t.Errorf("%v, and %v", one, other)
	}
	if plans, err := b.ShiftPlans(t.Context(), "plant"); err != nil || len(plans) != 1 {
		t.Errorf("%+v, %v", plans, err)
	}
}

func TestShiftPlanRefused(t *testing.T) {
	s := open(t, config(t, "SQLite"))
	for _, test := range []struct {
		want   string
		shifts []Shift
	}{
		{"1 to 24 shifts", nil},
		{"quarter of an hour", []Shift{{"1", 6*hour + 10*time.Minute, 14 * hour, 0}}},
		{"between 0:00 and 24:00", []Shift{{"1", 6 * hour, 25 * hour, 0}}},
		{"has a name", []Shift{{" ", 6 * hour, 14 * hour, 0}}},
		{"has a name", []Shift{{"a\x00", 6 * hour, 14 * hour, 0}}},
		{"can't be called ..", []Shift{{"..", 6 * hour, 14 * hour, 0}}},
		{"the name 1", []Shift{{"1", 6 * hour, 14 * hour, 0}, {"1", 14 * hour, 22 * hour, 0}}},
		{"shift 1 ends after shift 2 begins", []Shift{{"1", 6 * hour, 14 * hour, 0}, {"2", 13 * hour, 22 * hour, 0}}},
		{"shift 3 ends after shift 1 begins", []Shift{{"3", 22 * hour, 7 * hour, 0}, {"1", 6 * hour, 14 * hour, 0}}},
		{"shift 1 ends after shift 2 begins", []Shift{{"1", 6 * hour, 6 * hour, 0}, {"2", 14 * hour, 22 * hour, 0}}},
		{"head-count", []Shift{{"1", 6 * hour, 14 * hour, -1}}},
	} {
		err := s.SetShiftPlan(t.Context(), ShiftPlan{Site: "plant", Shifts: test.shifts}, "", Author{})
		if !errors.Is(err, ErrShiftPlan) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %s", test.shifts, err, test.want)
		}
	}
	from := dayOf(2026, 3, 2).Begin(time.UTC)
	for _, p := range []Period{{From: from, To: from.Add(hour)}, {Site: "plant", From: from, To: from}, {Site: "plant", From: from, To: from.Add(time.Minute)}, {Site: "plant", From: from, To: from.AddDate(9, 0, 0)}} {
		if _, err := s.Report(t.Context(), p); !errors.Is(err, ErrPeriod) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// TestReportOfWrongClocks has a gate whose clock was wrong: what it said then is in the shifts of that time, and in no other.
func TestReportOfWrongClocks(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		seen := func(e *event.Event) { e.Data.FirstSeen = morning.Add(-20 * time.Second) }
		var events []Event
		for _, at := range []time.Time{time.Unix(-1, 0), time.Unix(0, 0), time.Unix(100, 0), time.Date(2080, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)} {
			events = append(events, m.event(at, event.Pass, event.BelowThreshold, seen), m.event(at.Add(time.Second), event.Alert, event.AboveThreshold, seen))
		}
		events = append(events, m.event(morning, event.Pass, event.BelowThreshold, seen), m.event(morning.Add(time.Second), event.Alert, event.AboveThreshold, seen))
		for i := range events {
			events[i].Received = morning.Add(time.Minute)
		}
		add(t, s, events...)
		for _, year := range []int{1970, 2026, 2080} {
			day := dayOf(year, 1, 1)
			if year == 2026 {
				day = DayOf(morning)
			}
			for _, days := range []Day{1, 31} {
				r, err := s.Report(t.Context(), Period{Site: "plant", From: day.Begin(time.UTC), To: (day + days).Begin(time.UTC)})
				want := int64(2)
				if year == 1970 {
					want = 5
				}
				if err != nil || r.All.People != want || r.All.Alert != (want+1)/2 || r.All.Open+r.All.Gone != r.All.Alert || year == 2026 && r.All.Queue != 2 || year != 2026 && r.All.Queue != 0 {
					t.Errorf("%d, %d days: %+v, %v", year, days, r.All, err)
				}
			}
		}
	})
}

// TestReportKnows follows a gate through a day: when it was online, what came later and what never did.
func TestReportKnows(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		midnight := DayOf(morning).Begin(time.UTC)
		at := func(h float64) time.Time { return midnight.Add(time.Duration(h * float64(hour))) }
		set := func(h float64, state, camera, reference, pausedBy string) {
			t.Helper()
			status := mqtt.Status{Camera: camera, Reference: reference, Paused: pausedBy != "", PausedBy: pausedBy}
			if err := s.SetStatus(t.Context(), north, mqtt.StatusMessage{State: state, Status: status}, at(h)); err != nil {
				t.Fatal(err)
			}
		}
		set(-2, Online, "ok", "", "")
		set(6, Online, "stalled", "", "")
		set(9, Online, "ok", string(event.ReferenceMissing), "")
		set(12, Offline, "", "", "")
		set(18, Online, "ok", "", "")
		set(20, Online, "ok", "", "Li Na")
		set(21, Online, "ok", "", "")
		settings := func(threshold float64) func(*event.Event) {
			return func(e *event.Event) { e.Data.Policy, e.Data.ThresholdCelsius = "offset", &threshold }
		}
		add(t, s, m.event(at(5), event.Pass, event.BelowThreshold, settings(37.3)))
		late := m.event(at(13), event.Pass, event.BelowThreshold, settings(37.5))
		m.sequence += 4
		after := m.event(at(19), event.Pass, event.BelowThreshold, settings(37.5))
		add(t, s, after)
		for _, check := range []Check{{Gate: north, At: at(-1), Who: "Wang Wei", OK: true}, {Gate: north, At: at(-30), Who: "Zhao Min", OK: true}, {Gate: north, At: at(7), Who: "Li Na", OK: true}} {
			if err := s.AddCheck(t.Context(), check); err != nil {
				t.Fatal(err)
			}
		}
		day := Period{Site: "plant", From: midnight, To: at(24)}
		report := func(p Period, now time.Time) Report {
			t.Helper()
			r, err := s.report(t.Context(), p, now)
			if err != nil || len(r.Gates) != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			return r
		}
		shares := func(g GateReport) string {
			return fmt.Sprintf("link %.4f camera %.4f reference %.4f known %.4f missing %d paused %v", g.Link, g.Camera, g.Reference, g.Known, g.Missing, g.Paused)
		}
		expect := func(title string, r Report, want string) {
			t.Helper()
			if got := shares(r.Gates[0]); got != want || shares(r.All) != want {
				t.Errorf("%s: %s, want %s; of all %s", title, got, want, shares(r.All))
			}
		}
		// Of 24 hours 18 are online; 3 of these the camera is not well, and 3 the reference.
		const well = "link 0.7500 camera 0.6250 reference 0.6250 "
		expect("with a gap", report(day, at(48)), well+"known 0.7500 missing 0 paused 1h0m0s")
		if _, err := s.Missing(t.Context(), north, m.journal, []mqtt.Span{{From: 3, To: 6}}, Gone, at(20)); err != nil {
			t.Fatal(err)
		}
		add(t, s, late)
		// The events that are missing may be of any time from the one at 5, for that of 13 was not there yet, to the one at 19.
		expect("with a loss", report(day, at(48)), well+"known 0.4167 missing 4 paused 1h0m0s")
		if r := report(Period{Site: "plant", From: midnight.AddDate(0, 0, -1), To: midnight}, at(48)); r.All.Missing != 0 || r.All.Known < 0.08 || r.All.Known > 0.09 {
			t.Errorf("the day before: %s", shares(r.All))
		}
		m.sequence = 2
		add(t, s, m.pass(at(14)), m.pass(at(15)), m.pass(at(15.1)), m.pass(at(15.5))) // they came all the same
		expect("with everything", report(day, at(48)), well+"known 0.7917 missing 0 paused 1h0m0s")
		expect("so far", report(day, at(6)), "link 1.0000 camera 1.0000 reference 1.0000 known 1.0000 missing 0 paused 0s")

		for _, one := range []struct {
			h     float64
			clock string
		}{{-3, ClockAhead}, {30, ClockRight}} {
			if err := s.SetClock(t.Context(), north, one.clock, at(one.h)); err != nil {
				t.Fatal(err)
			}
		}
		r := report(day, at(48))
		if r.Gates[0].ClockWrong != 24*time.Hour {
			t.Errorf("a clock that was wrong since the day before was so for %v", r.Gates[0].ClockWrong)
		}
		if len(r.Pauses) != 1 || r.Pauses[0].By != "Li Na" || !r.Pauses[0].From.Equal(at(20)) || !r.Pauses[0].To.Equal(at(21)) {
			t.Errorf("%+v", r.Pauses)
		}
		if g := r.Gates[0]; g.CheckedBy != "Wang Wei" || !g.CheckedAt.Equal(at(-1)) {
			t.Errorf("checked by %s at %v", g.CheckedBy, g.CheckedAt)
		}
		want := []SettingChange{{Gate: north, Name: "threshold", From: "37.30 °C", To: "37.50 °C", At: at(13)}}
		if diff := cmp.Diff(want, slices.DeleteFunc(r.Settings, func(c SettingChange) bool { return c.Name != "threshold" })); diff != "" {
			t.Error(diff)
		}

		// A day on which nothing came: it is said so, for the gate is there.
		silent := report(Period{Site: "plant", From: at(24), To: at(48)}, at(72)).Gates[0]
		if silent.People != 0 || silent.Known != 1 || !math.IsNaN(silent.SecondsMedian) || silent.CheckedBy != "Li Na" {
			t.Errorf("a day without people: %+v", silent)
		}
		set(48, Offline, "", "", "")
		dark := report(Period{Site: "plant", From: at(48), To: at(72)}, at(96)).Gates[0]
		if dark.Link != 0 || dark.Known != 0 || !math.IsNaN(dark.DriftCelsius) || dark.TakeMedian >= 0 {
			t.Errorf("a day without data: %+v", dark)
		}
		if r, err := s.report(t.Context(), Period{Site: "plant", From: at(-240), To: at(-216)}, at(96)); err != nil || len(r.Gates) != 0 && r.Gates[0].Known != 0 {
			t.Errorf("before there was a gate: %+v, %v", r.Gates, err)
		}
	})
}

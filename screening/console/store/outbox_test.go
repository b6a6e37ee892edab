package store

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

func tell(t testing.TB, s *Store) {
	t.Helper()
	if err := s.TellDistrict(t.Context(), true, morning); err != nil {
		t.Fatal(err)
	}
}

// outgoing is all that waits, in the order in which it is to be sent.
func outgoing(t testing.TB, s *Store) []Outgoing {
	t.Helper()
	all, err := s.Outgoing(t.Context(), math.MaxInt32, nil, nil, true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// took empties the outbox and returns what was in it as text: "event plant/01…".
func took(t testing.TB, s *Store) string {
	t.Helper()
	var lines []string
	var numbers []int64
	for _, o := range outgoing(t, s) {
		lines = append(lines, fmt.Sprintf("%s %s/%s", o.Kind, o.Site, o.Key))
		numbers = append(numbers, o.Number)
	}
	if len(numbers) > 0 {
		if err := s.RemoveOutgoing(t.Context(), numbers); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(lines, ", ")
}

func TestNothingIsQueuedWithoutADistrict(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		add(t, s, m.pass(morning), m.alert(morning))
		if err := s.SetStatus(t.Context(), north, mqtt.StatusMessage{State: Online}, morning); err != nil {
			t.Fatal(err)
		}
		if got := took(t, s); got != "" {
			t.Errorf("the outbox has %s", got)
		}
	})
}

func TestOutbox(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		tell(t, s)
		m := newMaker(t, north)
		pass, alert := m.pass(morning), m.alert(morning.Add(time.Second))
		by := Author{Account: "li"}
		check := func(what, want string) {
			t.Helper()
			if got := took(t, s); got != want {
				t.Errorf("%s: the outbox has %q, not %q", what, got, want)
			}
		}
		add(t, s, pass, alert)
		check("new events of a new site", fmt.Sprintf("site plant/, event plant/%s, alert plant/%s, event plant/%s", alert.ID, alert.ID, pass.ID))
		add(t, s, pass, alert)
		check("events that came again", "")
		taken, err := s.Take(ctx, alert.ID, 0, "li", morning.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		gone, err := s.CloseAlert(ctx, alert.ID, taken.Version, "li", mqtt.Gone, morning.Add(2*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		check("an alert taken and closed", "alert plant/"+alert.ID)
		if _, err := s.Take(ctx, alert.ID, gone.Version, "li", morning.Add(3*time.Minute)); err == nil {
			t.Fatal("a closed alert can be taken")
		}
		check("a change that was refused", "")

		status := mqtt.StatusMessage{State: Online, Status: mqtt.Status{Version: "1", Camera: "ok"}}
		status.Journal, status.Sequence = "01J00000000000000000000000", 1
		steps := []struct {
			what, want string
			do         func() error
		}{
			{"a first status", "status plant/north", func() error { return s.SetStatus(ctx, north, status, morning) }},
			{"a status with a longer journal", "", func() error { status.Sequence = 9; return s.SetStatus(ctx, north, status, morning.Add(time.Second)) }},
			{"a camera that is lost", "status plant/north", func() error {
				status.Camera = "lost"
				return s.SetStatus(ctx, north, status, morning.Add(2*time.Second))
			}},
			{"a gate gone quiet", "status plant/north", func() error { return s.Hush(ctx, []mqtt.Gate{north}, morning.Add(3*time.Second)) }},
			{"a gate out of use", "status plant/north", func() error { return s.PutOutOfUse(ctx, north, morning.Add(4*time.Second)) }},
			{"months", "site plant/", func() error { return s.SetKeepMonths(ctx, "plant", 6, by) }},
			{"outcomes only", "site plant/", func() error { return s.SetOutcomeOnly(ctx, "plant", true, by) }},
			{"a time zone", "site plant/", func() error { return s.SetZone(ctx, "plant", "Asia/Shanghai") }},
			{"shifts", "site plant/", func() error {
				return s.SetShiftPlan(ctx, ShiftPlan{Site: "plant", From: DayOf(morning), Shifts: usualShifts()}, "", by)
			}},
			{"a deletion", "deletion plant/" + pass.ID, func() error {
				_, sum, err := s.Record(ctx, pass.ID)
				if err == nil {
					_, err = s.DeleteEvent(ctx, pass.ID, sum, "asked for", by, morning)
				}
				return err
			}},
		}
		for _, step := range steps {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			check(step.what, step.want)
		}
	})
}

func TestHistoryIsQueuedOnceAndBehindWhatIsNew(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if err := s.SetZone(t.Context(), "plant", "America/Los_Angeles"); err != nil { // where it still is yesterday
			t.Fatal(err)
		}
		m := newMaker(t, north)
		var old []Event
		for n := range historyBatch + 100 {
			old = append(old, m.pass(morning.Add(time.Duration(n)*time.Second)))
		}
		old[50] = m.alert(morning.Add(50 * time.Second))
		add(t, s, old...)
		tell(t, s)
		fresh := m.pass(morning.Add(time.Hour))
		add(t, s, fresh)
		if got, want := took(t, s), "site plant/, status plant/north, event plant/"+fresh.ID; got != want {
			t.Errorf("at first the outbox has %q, not %q", got, want)
		}
		waiting, err := s.OutgoingBySite(t.Context())
		if err != nil || waiting["plant"] != historyBatch+101 { // counted by the day
			t.Errorf("%v wait, %v", waiting, err)
		}
		var ids []string
		for _, batch := range []int{historyBatch, 100} {
			more, err := s.QueueHistory(t.Context())
			if err != nil || !more {
				t.Fatal(more, err)
			}
			got := strings.Split(took(t, s), ", ")
			events := 0
			for _, line := range got {
				if strings.HasPrefix(line, "event ") {
					events++
				}
			}
			if events != batch {
				t.Errorf("a step queues %d events", events)
			}
			ids = append(ids, got...)
		}
		var want []string
		for _, e := range old {
			want = append(want, "event plant/"+e.ID)
			if e.Data.Outcome == event.Alert {
				want = append(want, "alert plant/"+e.ID)
			}
		}
		if strings.Join(ids, ", ") != strings.Join(want, ", ") {
			t.Errorf("the history is not queued once in its order: %d of %d", len(ids), len(want))
		}
		tell(t, s) // as each start does
		if more, err := s.QueueHistory(t.Context()); err != nil || more || took(t, s) != "" {
			t.Error("the history is queued twice", more, err)
		}
		if err := s.TellDistrict(t.Context(), false, morning); err != nil {
			t.Fatal(err)
		}
		add(t, s, m.pass(morning.Add(2*time.Hour)))
		tell(t, s)
		took(t, s)
		if more, err := s.QueueHistory(t.Context()); err != nil || !more {
			t.Error("after a time without a district it is not told of what came meanwhile", more, err)
		}
	})
}

// TestRemovedIsWhatWasTold has something change while it is on its way.
func TestRemovedIsWhatWasTold(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		tell(t, s)
		if err := s.SetStatus(t.Context(), north, mqtt.StatusMessage{State: Online}, morning); err != nil {
			t.Fatal(err)
		}
		var sent []int64
		for _, o := range outgoing(t, s) {
			sent = append(sent, o.Number)
		}
		if err := s.Hush(t.Context(), []mqtt.Gate{north}, morning.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveOutgoing(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		if got := took(t, s); got != "status plant/north" {
			t.Errorf("the outbox has %q", got)
		}
	})
}

func TestOrderOfLanes(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		tell(t, s)
		m := newMaker(t, north)
		first, second := m.pass(morning), m.pass(morning.Add(time.Second))
		add(t, s, first)
		waiting := outgoing(t, s)
		cut := waiting[len(waiting)-1].QueuedAt().Add(liveFor).Add(time.Microsecond) // when the first one is of long ago
		add(t, s, second)
		alert := m.alert(morning.Add(2 * time.Second))
		add(t, s, alert)
		all, err := s.Outgoing(t.Context(), 3, map[int64]bool{waiting[0].Number: true}, nil, true, cut)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, o := range all {
			keys = append(keys, o.Kind+o.Key)
		}
		if want := []string{"event" + alert.ID, "alert" + alert.ID, "event" + second.ID}; strings.Join(keys, " ") != strings.Join(want, " ") {
			t.Errorf("%v come first, not %v", keys, want)
		}
		if rest, err := s.Outgoing(t.Context(), 9, nil, map[string]bool{"plant": true}, true, cut); err != nil || len(rest) != 0 {
			t.Errorf("of a site that is left out there are %v, %v", rest, err)
		}
	})
}

func TestShiftsAreQueuedWhenTheyAreOverAndWhenTheyChange(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		tell(t, s)
		m := newMaker(t, north)
		alert := m.alert(morning)
		add(t, s, alert, m.pass(morning))
		took(t, s)
		begin := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC) // of the first of the usual shifts, which ends at 14 o'clock
		shift := fmt.Sprintf("shift plant/%d", begin.UnixMilli())
		queue := func(now time.Time) string {
			t.Helper()
			if err := s.QueueShifts(ctx, now); err != nil {
				t.Fatal(err)
			}
			return took(t, s)
		}
		if got := queue(begin.Add(8*time.Hour + shiftSettled - time.Second)); got != "" {
			t.Errorf("before it is settled: %q", got)
		}
		settled := begin.Add(8*time.Hour + shiftSettled)
		if got := queue(settled); got != shift {
			t.Errorf("half an hour after its end: %q", got)
		}
		if got := queue(settled.Add(time.Minute)); got != "" {
			t.Errorf("again: %q", got)
		}
		late := m.pass(begin.Add(time.Hour))
		late.Received = settled.Add(time.Hour)
		add(t, s, late)
		if got := took(t, s); got != "event plant/"+late.ID+", "+shift {
			t.Errorf("with a late event: %q", got)
		}
		if _, err := s.Take(ctx, alert.ID, 0, "li", settled.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := took(t, s); got != "alert plant/"+alert.ID+", "+shift {
			t.Errorf("with an alert that changed: %q", got)
		}
		if err := s.SetShiftPlan(ctx, ShiftPlan{Site: "plant", From: DayOf(morning), Shifts: []Shift{{Name: "day", Begin: 5 * time.Hour, End: 15 * time.Hour}}}, "", Author{Account: "li"}); err != nil {
			t.Fatal(err)
		}
		took(t, s)
		if got, want := queue(begin.Add(10*time.Hour)), fmt.Sprintf("shift plant/%d, shift plant/%d", // the night before it is shorter, too
			begin.Add(-8*time.Hour).UnixMilli(), begin.Add(-time.Hour).UnixMilli()); got != want {
			t.Errorf("with another plan: %q, not %q", got, want)
		}
	})
}

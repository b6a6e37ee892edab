package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestClock has a console's clock go wrong and be put right.
func TestClock(t *testing.T) {
	const wrong = 10 * 365 * 24 * time.Hour
	for _, test := range []struct {
		name string
		says []time.Duration // after a time that is believed
		want string          // of each, whether it is believed
	}{
		{"a month off", []time.Duration{clockStep}, "y"},
		{"set back", []time.Duration{-wrong, 0}, "yy"},
		{"set back for some days", []time.Duration{-wrong, -wrong + clockProof - 1, 0, wrong}, "yyyn"},
		{"ahead at its first start, and years later", []time.Duration{-wrong, -wrong + clockProof, 0}, "yyn"},
		{"years ahead, and set right", []time.Duration{wrong, wrong + time.Hour, time.Hour, clockStep}, "nnyy"},
		{"started again and again while it is ahead", []time.Duration{wrong, wrong, wrong + clockProof - 1}, "nnn"},
		{"off for long", []time.Duration{2 * clockStep, 2*clockStep + clockProof - 1, 2*clockStep + clockProof, 3 * clockStep}, "nnyy"},
		{"ahead, and then further", []time.Duration{wrong, 2 * wrong, 2*wrong + clockProof - 1}, "nnn"},
		{"ahead, and then less", []time.Duration{2 * wrong, wrong, wrong + clockProof - 1}, "nnn"},
	} {
		clock, got := consoleClock{believed: morning.UnixMilli(), seen: morning.UnixMilli()}, ""
		for _, after := range test.says {
			if clock = clock.at(morning.Add(after).UnixMilli(), 0); clock.ahead() {
				got += "n"
			} else {
				got += "y"
			}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestConfirmedClock has a clock go on by far, and a time server be heard, or not.
func TestConfirmedClock(t *testing.T) {
	const weeks, wrong = 5 * 7 * 24 * time.Hour, 10 * 365 * 24 * time.Hour
	kernel := func(status int32, said, heard time.Duration) unix.Timex {
		k := unix.Timex{Status: status, Maxerror: heard.Microseconds() / 2000}
		k.Time.Sec = morning.Add(said).Unix()
		return k
	}
	for _, test := range []struct {
		name   string
		at     time.Duration // which the clock says, an hour after a first look at it
		kernel unix.Timex
		want   bool
	}{
		{"by itself", weeks, kernel(unix.STA_UNSYNC, weeks, 0), false},
		{"heard since", weeks, kernel(unix.STA_PLL, weeks, time.Minute), true},
		{"heard last before it was looked at", weeks, kernel(unix.STA_PLL, weeks, time.Hour), false},
		{"set right since it was read", weeks, kernel(unix.STA_PLL, 0, 0), false},
		{"a time server that is wrong", wrong, kernel(unix.STA_PLL, wrong, 0), false},
	} {
		now := morning.Add(test.at)
		clock := consoleClock{believed: morning.UnixMilli(), seen: morning.UnixMilli()}.at(now.Add(-time.Hour).UnixMilli(), 0)
		clock = clock.at(now.UnixMilli(), milliseconds(confirmed(test.kernel, now)))
		if got := clock.doubted == 0; got != test.want {
			t.Errorf("%s: believed %v, want %v", test.name, got, test.want)
		}
	}
}

// TestTrustedClock has an administrator say that a clock is right, which has been set by then or has not.
func TestTrustedClock(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if err := s.Believe(t.Context(), morning); err != nil {
			t.Fatal(err)
		}
		ahead, by := morning.AddDate(0, 2, 0), Author{Account: "chief"}
		if err := s.TrustClock(t.Context(), morning, morning, by); !errors.Is(err, ErrChanged) {
			t.Errorf("a clock that nobody doubts: %v", err)
		}
		if err := s.Believe(t.Context(), ahead); err == nil {
			t.Fatal("a clock is believed that is two months ahead")
		}
		for _, now := range []time.Time{morning.Add(hour), ahead.AddDate(1, 0, 0)} {
			if err := s.TrustClock(t.Context(), ahead, now, by); !errors.Is(err, ErrChanged) {
				t.Errorf("it was set to %v: %v", now, err)
			}
		}
		if s.ClockFault() == nil {
			t.Error("nothing is said of the clock")
		}
		if err := s.TrustClock(t.Context(), ahead, ahead.Add(hour), by); err != nil || s.ClockFault() != nil {
			t.Errorf("%v, and the clock is said to be %v", err, s.ClockFault())
		}
		if err := s.Believe(t.Context(), ahead.Add(2*hour)); err != nil {
			t.Error(err)
		}
		lines, err := s.Audit(t.Context(), AuditFilter{What: TrustedClock}, 10)
		if err != nil || len(lines) != 1 || lines[0].By.Account != "chief" || lines[0].Detail != "2026-03-02 06:55:00 → 2026-05-02 07:55:00" {
			t.Errorf("the audit has %+v, %v", lines, err)
		}
	})
}

// TestClockAfterAnUpgrade has a console that nobody has logged in to for months be brought up to date, with an alert open: its gates
// tell when it was at work last.
func TestClockAfterAnUpgrade(t *testing.T) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		cfg := config(t, kind)
		s := open(t, cfg)
		e := newMaker(t, north).alert(morning)
		add(t, s, e)
		err := s.Note(t.Context(), AuditLine{What: LoggedIn, At: morning.AddDate(0, -3, 0)})
		for _, statement := range []string{
			"DROP INDEX alerts_open", "CREATE INDEX alerts_open ON alerts (time) WHERE state <> 'closed'", "ALTER TABLE alerts DROP COLUMN raised",
			"ALTER TABLE receiving DROP COLUMN reports", "DROP TABLE console_clock", "DELETE FROM goose_db_version WHERE version_id = 19",
		} {
			if err == nil {
				_, err = s.write.ExecContext(t.Context(), statement)
			}
		}
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg)
		if a := theAlert(t, s); a.Event != e.ID || !a.Raised.Equal(morning) {
			t.Errorf("%s: the alert is %+v", kind, a)
		}
		if err := s.Believe(t.Context(), morning.Add(time.Hour)); err != nil {
			t.Errorf("%s: an hour later: %v", kind, err)
		}
		if err := s.Believe(t.Context(), morning.AddDate(10, 0, 0)); err == nil {
			t.Errorf("%s: a clock that is ten years ahead is believed", kind)
		}
	}
}

// TestNothingIsDeletedByAWrongClock has a console start with a clock that is years ahead, over and over.
func TestNothingIsDeletedByAWrongClock(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		add(t, s, m.pass(morning), m.pass(morning.Add(time.Minute)))
		if err := s.Believe(t.Context(), morning); err != nil {
			t.Fatal(err)
		}
		retire := func(now time.Time) int {
			t.Helper()
			s.retired.Store(nil) // as with a start
			if err := s.RetireWhenDue(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			return len(allEvents(t.Context(), t, s))
		}
		ahead := morning.AddDate(10, 0, 0)
		for range 3 {
			if left := retire(ahead); left != 2 {
				t.Fatalf("%d events are left of 2", left)
			}
			ahead = ahead.Add(retireEvery)
		}
		if fault := s.ClockFault(); fault == nil || !strings.Contains(fault.Error(), "from 2026-03-02 06:55:00 to 2036-03-02") {
			t.Errorf("the clock is said to be %v", fault)
		}
		wrong := (*ClockError)(nil)
		if err := s.Believe(t.Context(), ahead); !errors.As(err, &wrong) || !wrong.Believed.Equal(morning) {
			t.Errorf("the clock is believed: %v", err)
		}
		if left := retire(morning.Add(time.Hour)); left != 2 || s.ClockFault() != nil {
			t.Errorf("once it is right %d events are left, and it is said to be %v", left, s.ClockFault())
		}
		if retire(ahead); retire(ahead.Add(clockProof)) != 0 {
			t.Error("nothing is deleted once the clock is believed")
		}
	})
}

// TestRetireWhatIsAhead has a gate whose clock is years ahead: its events go when those do that came with them.
func TestRetireWhatIsAhead(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		ahead, right, hours := m.pass(morning.AddDate(40, 0, 0)), m.pass(morning), m.pass(morning.Add(20*time.Hour))
		for _, e := range []*Event{&ahead, &right, &hours} {
			e.Received = morning
		}
		add(t, s, ahead, right, hours)
		now := morning.AddDate(0, s.cfg.KeepMonths, 0)
		for _, step := range []struct {
			months int
			left   int
		}{{0, 3}, {1, 0}} {
			now := now.AddDate(0, step.months, 0)
			if count, _, err := s.CountOlder(t.Context(), north.Site, 0, now); err != nil || count != 3-step.left {
				t.Errorf("%d events are said to be old, %v", count, err)
			}
			if _, err := s.Retire(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if left := len(allEvents(t.Context(), t, s)); left != step.left {
				t.Errorf("%d months later than they are kept for %d events are left, want %d", step.months, left, step.left)
			}
		}
	})
}

// TestRetireWhatCameBeforeTheClockWasSet has a console begin with an empty battery, take what the broker kept for it, and be set:
// that is new, and so is what a guard read.
func TestRetireWhatCameBeforeTheClockWasSet(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		e := m.alert(morning)
		e.Received = morning.AddDate(-11, 0, 0)
		add(t, s, e)
		_, err := s.Take(t.Context(), e.ID, 0, "Li Na", e.Received)
		if err == nil {
			_, err = s.AddReading(t.Context(), e.ID, 1, "Li Na", Reading{Celsius: 38.2, Unit: "°C", Place: Ear}, e.Received)
		}
		if err != nil {
			t.Fatal(err)
		}
		if count, _, err := s.CountOlder(t.Context(), north.Site, 0, morning.Add(time.Hour)); err != nil || count != 0 {
			t.Errorf("%d events are said to be old, %v", count, err)
		}
		if _, err := s.Retire(t.Context(), morning.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if len(allEvents(t.Context(), t, s)) != 1 {
			t.Error("an event of an hour ago is deleted")
		}
		if a := theAlert(t, s); a.ReadCelsius == nil {
			t.Error("what a guard read an hour ago is forgotten")
		}
	})
}

// TestOldEventsAreFoundByIndexes keeps what is asked every few hours from going through all events.
func TestOldEventsAreFoundByIndexes(t *testing.T) {
	s := open(t, config(t, "SQLite"))
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN SELECT id FROM events WHERE site || '' = $1 AND "+older+" LIMIT 1", "plant", idAt(morning), idAt(morning.Add(time.Hour)), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			t.Fatal(err)
		}
		plan += fmt.Sprintln(line)
	}
	if strings.Contains(plan, "SCAN") {
		t.Errorf("the plan is\n%s", plan)
	}
}

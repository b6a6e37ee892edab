package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

func theAlert(t *testing.T, s *Store) Alert {
	t.Helper()
	alerts, err := s.OpenAlerts(t.Context())
	if err != nil || len(alerts) != 1 {
		t.Fatalf("%d alerts are open, %v", len(alerts), err)
	}
	return alerts[0]
}

func fever() Reading { return Reading{Celsius: 38.2, Unit: "°C", Place: Ear, Thermometer: "T-17"} }

func TestAlertToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		add(t, s, newMaker(t, north).alert(morning))
		a := theAlert(t, s)
		at := morning.Add(5 * time.Second)
		must := func(next Alert, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			a, at = next, at.Add(5*time.Second)
		}
		if _, err := s.CloseAlert(t.Context(), a.Event, a.Version, "Li Na", mqtt.Confirmed, at); !errors.Is(err, ErrState) {
			t.Errorf("an alert that nobody took can be confirmed: %v", err)
		}
		must(s.Take(t.Context(), a.Event, a.Version, "Li Na", at))
		if _, err := s.CloseAlert(t.Context(), a.Event, a.Version, "Li Na", mqtt.FalseAlert, at); !errors.Is(err, ErrState) {
			t.Errorf("an alert can be false without a reading: %v", err)
		}
		must(s.AddReading(t.Context(), a.Event, a.Version, "Li Na", fever(), at))
		must(s.CloseAlert(t.Context(), a.Event, a.Version, "Li Na", mqtt.Confirmed, at))
		if a.State != Closed || a.Outcome != mqtt.Confirmed || a.ClosedBy != "Li Na" || *a.ReadCelsius != 38.2 {
			t.Errorf("at the end it is %+v", a)
		}
		must(s.Undo(t.Context(), a.Event, a.Version, "Li Na", at))
		if a.State != Read || a.Outcome != "" || a.ReadCelsius == nil {
			t.Errorf("undone it is %+v", a)
		}
		must(s.CloseAlert(t.Context(), a.Event, a.Version, "Wang", mqtt.FalseAlert, at))
		if _, err := s.Undo(t.Context(), a.Event, a.Version, "Wang", at.Add(UndoLimit)); !errors.Is(err, ErrState) {
			t.Errorf("it can be undone after its time: %v", err)
		}
		_, changes, err := s.Alert(t.Context(), a.Event)
		var log string
		for _, c := range changes {
			log += fmt.Sprintf("%d %s %s %s→%s %s\n", c.Version, c.Who, c.What, c.From, c.To, c.Outcome)
		}
		want := "1 Li Na take new→taken \n2 Li Na read taken→read \n3 Li Na close read→closed confirmed\n4 Li Na undo closed→read \n5 Wang close read→closed false\n"
		if err != nil || log != want {
			t.Errorf("the log is\n%s, %v, want\n%s", log, err, want)
		}
		if got := changes[1].Reading; got == nil || *got != fever() {
			t.Errorf("the reading is %+v", got)
		}
	})
}

// TestTwoGuards has many reach for the same alerts: each is taken by one of them, and the others are told by whom.
func TestTwoGuards(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		for n := range 10 {
			add(t, s, m.alert(morning.Add(time.Duration(n)*time.Second)))
		}
		alerts, err := s.OpenAlerts(t.Context())
		if err != nil || len(alerts) != 10 {
			t.Fatal(len(alerts), err)
		}
		for _, a := range alerts {
			var mu sync.Mutex
			var winner string
			var losers []error
			var wg sync.WaitGroup
			for guard := range 8 {
				wg.Go(func() {
					who := fmt.Sprint("guard ", guard)
					_, err := s.Take(t.Context(), a.Event, a.Version, who, morning.Add(time.Minute))
					mu.Lock()
					defer mu.Unlock()
					if err == nil && winner == "" {
						winner = who
					} else {
						losers = append(losers, err)
					}
				})
			}
			wg.Wait()
			if winner == "" || len(losers) != 7 {
				t.Fatalf("%q has it, %d have not", winner, len(losers))
			}
			for _, err := range losers {
				var conflict *ConflictError
				if !errors.As(err, &conflict) || conflict.Alert.TakenBy != winner || conflict.Last.Who != winner || conflict.Last.What != "take" {
					t.Fatalf("whoever was slower than %s hears %v", winner, err)
				}
			}
			if got, _, err := s.Alert(t.Context(), a.Event); err != nil || got.TakenBy != winner || got.Version != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})
}

// TestEscalateAfterTheClockWentBack has a console whose clock was an hour ahead when somebody took an alert: nobody waits for
// that hour.
func TestEscalateAfterTheClockWentBack(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		add(t, s, m.alert(morning), m.alert(morning.Add(time.Second)))
		alerts, err := s.OpenAlerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Take(t.Context(), alerts[0].Event, 0, "Li Na", morning.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			back time.Duration
			want int
		}{{time.Minute, 0}, {time.Hour, 2}, {time.Hour, 0}} {
			if escalated, err := s.Escalate(t.Context(), morning.Add(-test.back)); err != nil || len(escalated) != test.want {
				t.Errorf("%v back %d alerts escalate, want %d, %v", test.back, len(escalated), test.want, err)
			}
		}
	})
}

func TestEscalate(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		add(t, s, m.alert(morning), m.alert(morning.Add(time.Second)), m.alert(morning.Add(2*time.Second)))
		alerts, err := s.OpenAlerts(t.Context()) // the newest first
		if err != nil {
			t.Fatal(err)
		}
		untaken, read, taken := alerts[0].Event, alerts[1].Event, alerts[2].Event
		for _, id := range []string{read, taken} {
			if _, err := s.Take(t.Context(), id, 0, "Li Na", morning.Add(2*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.AddReading(t.Context(), read, 1, "Li Na", fever(), morning.Add(3*time.Minute)); err != nil {
			t.Fatal(err)
		}
		received := morning.Add(3 * time.Second)
		for _, test := range []struct {
			now  time.Time
			want string // ids
		}{
			{received.Add(TakeLimit - time.Millisecond), ""},
			{received.Add(TakeLimit), untaken},
			{received.Add(TakeLimit), ""}, // once
			{morning.Add(5*time.Minute - time.Millisecond), ""},
			{morning.Add(5 * time.Minute), taken},
			{morning.Add(time.Hour), ""},
		} {
			escalated, err := s.Escalate(t.Context(), test.now)
			var got string
			for _, a := range escalated {
				got += a.Event
				if a.State != New || a.TakenBy != "" || !a.Escalated.Equal(test.now) {
					t.Errorf("escalated it is %+v", a)
				}
			}
			if err != nil || got != test.want {
				t.Errorf("at %v %q was escalated, %v, want %q", test.now, got, err, test.want)
			}
		}
		a, _, err := s.Alert(t.Context(), taken)
		if err != nil || a.Expired != 1 {
			t.Errorf("%+v, %v", a, err)
		}
		words, err := s.Untold(t.Context(), morning.Add(time.Hour))
		told := map[string]bool{}
		for _, word := range words {
			told[word.Events[0]] = word.Escalated
		}
		if err != nil || !told[untaken] || !told[taken] || told[read] {
			t.Errorf("the words are %+v, %v", words, err)
		}
		_, err = s.AddReading(t.Context(), taken, 1, "Li Na", fever(), morning.Add(5*time.Minute))
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Last.What != "expire" {
			t.Errorf("a reading on what has expired: %v", err)
		}
		if a, err := s.Take(t.Context(), taken, 2, "Wang", morning.Add(6*time.Minute)); err != nil || a.TakenBy != "Wang" {
			t.Errorf("%+v, %v", a, err)
		}
		if a, err := s.Undo(t.Context(), taken, 3, "Wang", morning.Add(6*time.Minute)); err != nil || a.State != New || a.TakenBy != "" || a.Escalated.IsZero() {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// TestUndo has a change undone by whoever made it, and a take-over give the alert back.
func TestUndo(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		add(t, s, newMaker(t, north).alert(morning))
		a, at := theAlert(t, s), morning
		var version int64
		step := func(what string, do func() (Alert, error), state AlertState, holder string) {
			t.Helper()
			at = at.Add(10 * time.Second)
			next, err := do()
			if err != nil || next.State != state || next.TakenBy != holder {
				t.Fatalf("%s: %s of %q, %v, want %s of %q", what, next.State, next.TakenBy, err, state, holder)
			}
			version++
		}
		take := func(who string) func() (Alert, error) {
			return func() (Alert, error) { return s.Take(t.Context(), a.Event, version, who, at) }
		}
		undo := func(who string) func() (Alert, error) {
			return func() (Alert, error) { return s.Undo(t.Context(), a.Event, version, who, at) }
		}
		refused := func(what string, do func() (Alert, error)) {
			t.Helper()
			if next, err := do(); !errors.Is(err, ErrState) {
				t.Fatalf("%s: %+v, %v", what, next, err)
			}
		}
		step("taken", take("Li Na"), Taken, "Li Na")
		refused("undone by another", undo("Wang"))
		step("taken over", take("Wang"), Taken, "Wang")
		refused("undone by who had it", undo("Li Na"))
		step("given back", undo("Wang"), Taken, "Li Na")
		if now := theAlert(t, s); !now.TakenAt.Equal(at) {
			t.Errorf("after it was given back Li Na has since %v, want %v", now.TakenAt, at)
		}
		refused("undone twice", undo("Wang"))
		step("taken over again", take("Wang"), Taken, "Wang")
		step("and by a third", take("Chen"), Taken, "Chen")
		step("given back to the second", undo("Chen"), Taken, "Wang")
		step("read", func() (Alert, error) { return s.AddReading(t.Context(), a.Event, version, "Wang", fever(), at) }, Read, "Wang")
		step("not read", undo("Wang"), Taken, "Wang")
		step("gone", func() (Alert, error) { return s.CloseAlert(t.Context(), a.Event, version, "Wang", mqtt.Gone, at) }, Closed, "Wang")
		step("not gone", undo("Wang"), Taken, "Wang")
		step("taken over at last", take("Li Na"), Taken, "Li Na")
		at = at.Add(UndoLimit)
		refused("undone too late", undo("Li Na"))
		if _, err := s.Undo(t.Context(), a.Event, version-1, "Li Na", at.Add(-UndoLimit)); err == nil {
			t.Error("it can be undone on an old version")
		}
		if _, changes, err := s.Alert(t.Context(), a.Event); err != nil || len(changes) != int(version) {
			t.Errorf("%d of %d changes are in the log, %v", len(changes), version, err)
		}
	})
}

// TestOneAlertAPerson has somebody with an alert look again: it stays one alert until it is closed.
func TestOneAlertAPerson(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		first := m.alert(morning)
		second := m.event(morning.Add(time.Minute), event.Alert, event.AboveThreshold, again(first))
		add(t, s, first)
		taken, err := s.Take(t.Context(), first.ID, 0, "Li Na", morning)
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, second)
		a := theAlert(t, s)
		if a.Event != first.ID || a.Latest != second.ID || a.Times != 2 || a.Version != taken.Version+1 || a.TakenBy != "Li Na" || !a.Escalated.IsZero() {
			t.Errorf("%+v", a)
		}
		if words, err := s.Untold(t.Context(), morning); err != nil || len(words) != 1 || !slices.Equal(words[0].Events, []string{first.ID, second.ID}) || words[0].State != Taken {
			t.Errorf("the gate is told %+v, %v", words, err)
		}
		if _, err := s.CloseAlert(t.Context(), a.Event, taken.Version-1, "Wang", mqtt.Gone, morning); err == nil {
			t.Error("closed by somebody who has not seen that it is taken")
		}
		back, err := s.Undo(t.Context(), a.Event, taken.Version, "Li Na", morning)
		if err != nil || back.State != New {
			t.Fatalf("the other event keeps somebody from what they began: %+v, %v", back, err)
		}
		if a, err = s.Take(t.Context(), a.Event, back.Version, "Li Na", morning); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CloseAlert(t.Context(), a.Event, a.Version, "Li Na", mqtt.Gone, morning); err != nil {
			t.Fatal(err)
		}
		third := m.event(morning.Add(3*time.Minute), event.Alert, event.AboveThreshold, again(second))
		add(t, s, third)
		if a := theAlert(t, s); a.Event != third.ID || a.State != New {
			t.Errorf("after it was closed, another look is %+v", a)
		}
	})
}

// TestAgainJustNow has somebody look again in the moment in which a guard changes the alert: that keeps the guard from nothing.
func TestAgainJustNow(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		first := m.alert(morning)
		add(t, s, first)
		looks := 0
		take := func(_ Alert, c *Change) error {
			if looks++; looks == 1 {
				add(t, s, m.event(morning.Add(time.Minute), event.Alert, event.AboveThreshold, again(first)))
			}
			c.What, c.To = "take", Taken
			return nil
		}
		a, err := s.change(t.Context(), first.ID, 0, "Li Na", morning, take)
		if err != nil || a.TakenBy != "Li Na" || a.Times != 2 || a.Version != 2 {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// TestLateAlert closes what comes in when the person is long gone, and says so.
func TestLateAlert(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		late, recent := m.alert(morning), m.alert(morning.Add(time.Hour))
		late.Received, recent.Received = morning.Add(lateLimit+time.Second), morning.Add(lateLimit)
		add(t, s, late, recent)
		if a := theAlert(t, s); a.Event != recent.ID {
			t.Errorf("%+v", a)
		}
		a, changes, err := s.Alert(t.Context(), late.ID)
		if err != nil || a.Outcome != mqtt.Gone || len(changes) != 1 || changes[0].What != "late" {
			t.Errorf("%+v %+v, %v", a, changes, err)
		}
	})
}

func TestWordsForGates(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		e := newMaker(t, north).alert(morning)
		add(t, s, e)
		untold := func(now time.Time) []Word {
			t.Helper()
			words, err := s.Untold(t.Context(), now)
			if err != nil {
				t.Fatal(err)
			}
			return words
		}
		tell := func(now time.Time) Word {
			t.Helper()
			words := untold(now)
			if len(words) != 1 {
				t.Fatalf("%d words are to be told", len(words))
			}
			if err := s.Told(t.Context(), words[0]); err != nil {
				t.Fatal(err)
			}
			return words[0]
		}
		now := morning.Add(time.Minute)
		if word := tell(now); word.State != New || word.Escalated || word.Gate != north {
			t.Errorf("of an alert that nobody has taken, %+v is told", word)
		}
		if got := untold(now); len(got) > 0 {
			t.Errorf("%+v is told twice", got)
		}
		if words, err := s.Words(t.Context(), now); err != nil || len(words) != 1 {
			t.Errorf("a broker without a memory is told %+v, %v", words, err)
		}
		a, err := s.Take(t.Context(), e.ID, 0, "Li Na", now)
		if err != nil {
			t.Fatal(err)
		}
		if word := tell(now); word.State != Taken || word.By != "Li Na" || word.Gate != north {
			t.Errorf("%+v", word)
		}
		if got := untold(now); len(got) > 0 {
			t.Errorf("%+v is told twice", got)
		}
		if _, err = s.CloseAlert(t.Context(), e.ID, a.Version, "Wang", mqtt.Gone, now); err != nil {
			t.Fatal(err)
		}
		if word := tell(now); word.State != Closed || word.Outcome != mqtt.Gone || word.By != "Wang" || word.Over {
			t.Errorf("%+v", word)
		}
		if words, err := s.Words(t.Context(), now); err != nil || len(words) != 1 {
			t.Errorf("a broker without a memory is told %+v, %v", words, err)
		}
		later := now.Add(keptWord)
		if word := tell(later); !word.Over {
			t.Errorf("%+v", word)
		}
		if got := untold(later); len(got) > 0 {
			t.Errorf("%+v after it is over", got)
		}
	})
}

func TestReadingOfNobody(t *testing.T) {
	for _, r := range []Reading{
		{Celsius: 29.9, Unit: "°C", Place: Ear}, {Celsius: 98.6, Unit: "°F", Place: Ear}, {Celsius: 37, Unit: "K", Place: Ear}, {Celsius: 37, Unit: "°C", Place: "hand"},
	} {
		if r.Validate() == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

func TestChecks(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		nominal, read := 35.0, 35.04
		want := Check{Gate: north, At: morning, Who: "Li Na", WarmedUp: true, ReferenceNominal: &nominal, ReferenceRead: &read, CertificateUntil: morning.AddDate(1, 0, 0), OK: true}
		if err := s.AddCheck(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if err := s.AddCheck(t.Context(), Check{Gate: north, At: morning, Who: "Li Na"}); err == nil {
			t.Error("a check that found a fault needs no word about it")
		}
		checks, err := s.Checks(t.Context(), morning, morning.Add(time.Hour))
		if err != nil || len(checks) != 1 {
			t.Fatal(checks, err)
		}
		got := checks[0]
		if *got.ReferenceRead != read || !got.WarmedUp || !got.CertificateUntil.Equal(want.CertificateUntil) || got.RoomCelsius != nil {
			t.Errorf("%+v", got)
		}
	})
}

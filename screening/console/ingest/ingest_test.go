package ingest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/postgrestest"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
)

func appendEvents(t testing.TB, j *journal.Journal, n int) {
	t.Helper()
	for range n {
		if err := j.Append(t.Context(), sample(event.Pass)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEverythingArrives has a console come late to a real gate, stay, and be away.
func TestEverythingArrives(t *testing.T) {
	b := startBroker(t)
	j := openJournal(t)
	runGate(t, b.address, j, nil)
	appendEvents(t, j, 40)
	eventually(t, "the broker has it all", func() bool { return j.Stats().Pending == 0 })
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	_, stop := run(t, b.address, s) // nobody has kept these for it
	eventually(t, "what was before the console is there", func() bool { return len(events(t, s)) == 40 })
	appendEvents(t, j, 30)
	eventually(t, "what comes is there", func() bool { return len(events(t, s)) == 70 })
	eventually(t, "the gate knows", func() bool { return j.Stats().Receivers == 1 && j.Stats().Unstored == 0 })
	stop()
	appendEvents(t, j, 20)
	eventually(t, "the broker has it all", func() bool { return j.Stats().Pending == 0 })
	i, _ := run(t, b.address, s)
	eventually(t, "what came meanwhile is there", func() bool { return len(events(t, s)) == 90 })
	eventually(t, "the gate knows", func() bool { return j.Stats().Unstored == 0 })
	eventually(t, "nothing is missing", func() bool { return i.State().Wanted == 0 })
	if state := i.State(); state.Refused > 0 || state.Lost > 0 {
		t.Errorf("%+v", state)
	}
}

// TestGapsAreAskedFor has a gate that does not hold all that it is asked for any more.
func TestGapsAreAskedFor(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	p.answer = func(asked mqtt.Resend) {
		if asked.Journal != p.journal {
			t.Errorf("asked for %+v", asked)
		}
		var missing []string
		for n := asked.From; n <= asked.To; n++ {
			if n == 2 || n == 9 {
				missing = append(missing, fmt.Sprintf(`{"from":%d,"to":%d}`, n, n))
			} else {
				p.event(n)
			}
		}
		p.publish("resent", false, fmt.Sprintf(`{"journal":%q,"from":%d,"to":%d,"missing":[%s]}`, p.journal, asked.From, asked.To, strings.Join(missing, ",")))
	}
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, _ := run(t, b.address, s)
	p.online(9)
	p.event(4)
	p.event(5)
	p.publish("screening/pass", false, fmt.Sprintf(`{"id":"nonsense","journal":%q,"sequence":"6"}`, p.journal))
	eventually(t, "all is settled", func() bool { return strings.Contains(p.last("stored"), `"through":9`) })
	if got := len(events(t, s)); got != 6 {
		t.Errorf("%d events are there, want 6", got)
	}
	losses, err := s.Losses(t.Context())
	reasons := map[int64]string{}
	for _, l := range losses {
		reasons[l.From] = l.Reason
	}
	if err != nil || len(losses) != 3 || reasons[2] != store.Gone || reasons[6] != store.Refused || reasons[9] != store.Gone {
		t.Errorf("%+v, %v", losses, err)
	}
	if state := i.State(); state.Lost != 3 || state.Refused != 1 {
		t.Errorf("%+v", state)
	}
}

// TestWhatIsNoneOfAGate has nonsense on every topic, which stops nothing.
func TestWhatIsNoneOfAGate(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, _ := run(t, b.address, s)
	for _, m := range []struct{ kind, payload string }{
		{"screening/pass", "{"}, {"screening/pass", strings.Repeat("x", 100_000)}, {"status", "{}"}, {"status", `{"state":"online","sequence":-1}`},
		{"status", `{"state":"online","camera":"\u0000"}`}, {"resent", "[]"}, {"resent", `{"journal":"x"}`},
		{"resent", fmt.Sprintf(`{"journal":%q,"from":1,"to":2,"missing":[{"from":1,"to":9}]}`, p.journal)},
	} {
		p.publish(m.kind, false, m.payload)
	}
	p.client.Publish("thermogate/../north/screening/pass", 1, false, "{}").Wait()
	p.event(1)
	eventually(t, "an event is stored, and the rest refused", func() bool { return len(events(t, s)) == 1 && i.State().Refused >= 9 })
	if state := i.State(); state.Refused != 9 {
		t.Errorf("%+v", state)
	}
}

func TestQuietGate(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	_, stop := run(t, b.address, s)
	p.online(0)
	eventually(t, "the gate is known", func() bool { gates, err := s.Gates(t.Context(), time.Now()); return err == nil && len(gates) == 1 })
	if got := faultsOf(t, s); got != "" {
		t.Errorf("a gate that was heard of has the fault %s", got)
	}
	stop()
	_, stop = run(t, b.address, s, func(timing *timing) { timing.quiet = 3 * time.Second })
	eventually(t, "a silent gate is a fault", func() bool { return faultsOf(t, s) == "link quiet" })
	stop()
	_, stop = run(t, b.address, s, func(timing *timing) { timing.quiet = 3 * time.Second })
	if got := faultsOf(t, s); got != "link quiet" { // what the broker has kept is no sign of life
		t.Errorf("after a restart the fault is %q", got)
	}
	eventually(t, "a gate that speaks is well", func() bool { p.online(0); return faultsOf(t, s) == "" })
	p.publish("status", true, `{"state":"offline","since":"2026-03-02T06:00:00Z"}`)
	eventually(t, "an offline gate is a fault", func() bool { return faultsOf(t, s) == "link offline" })
	stop()
}

// TestRealGateIsNotQuiet has a gate that has nothing to tell.
func TestRealGateIsNotQuiet(t *testing.T) {
	b := startBroker(t)
	runGate(t, b.address, openJournal(t), nil)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	run(t, b.address, s, func(timing *timing) { timing.quiet = defaultTiming().quiet })
	var began time.Time
	eventually(t, "the gate has been heard of for longer than that", func() bool {
		gates, err := s.Gates(t.Context(), time.Now())
		if err != nil || len(gates) == 0 {
			return false
		}
		if fault := faultsOf(t, s); fault != "" {
			t.Fatalf("a gate that is well has the fault %s", fault)
		}
		if began.IsZero() {
			began = gates[0].Seen
		}
		return gates[0].Seen.Sub(began) > defaultTiming().quiet
	})
}

// TestAlertsAreTold has a gate hear what guards do, also after the broker has lost its memory.
func TestAlertsAreTold(t *testing.T) {
	b := startBroker(t)
	j := openJournal(t)
	var mu sync.Mutex
	var last mqtt.Alert
	runGate(t, b.address, j, func(a mqtt.Alert) {
		mu.Lock()
		defer mu.Unlock()
		last = a
	})
	heard := func(want mqtt.Alert) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return last == want
		}
	}
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	run(t, b.address, s)
	e := sample(event.Alert)
	if err := j.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gate knows that it can be taken", heard(mqtt.Alert{Event: e.ID}))
	alerts, err := s.OpenAlerts(t.Context())
	if err != nil || len(alerts) != 1 {
		t.Fatalf("%+v, %v", alerts, err)
	}
	a, err := s.Take(t.Context(), e.ID, alerts[0].Version, "Li Na", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gate knows that it is taken", heard(mqtt.Alert{Event: e.ID, Taken: true}))
	b.kill()
	if a, err = s.AddReading(t.Context(), e.ID, a.Version, "Li Na", store.Reading{Celsius: 36.7, Unit: "°C", Place: store.Ear}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err = s.CloseAlert(t.Context(), e.ID, a.Version, "Li Na", mqtt.FalseAlert, time.Now()); err != nil {
		t.Fatal(err)
	}
	b.forget()
	b.start()
	closed := mqtt.Alert{Event: e.ID, Closed: true, Outcome: mqtt.FalseAlert}
	eventually(t, "the gate knows that it is false", heard(closed))
	eventually(t, "it is not told again", func() bool {
		words, err := s.Untold(context.Background(), time.Now())
		return err == nil && len(words) == 0
	})
}

func TestName(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("x", 65), "a\nb"} {
		if _, err := New(name, mqtt.DefaultConfig(), nil, quietLog); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

// TestServerThatRestarts has PostgreSQL end all connections in the middle of it.
func TestServerThatRestarts(t *testing.T) {
	server, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	cfg := store.DefaultConfig()
	if cfg.PostgreSQL, err = server.Database(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), cfg, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	admin, err := sql.Open("pgx", cfg.PostgreSQL)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	b := startBroker(t)
	j := openJournal(t)
	runGate(t, b.address, j, nil)
	i, _ := run(t, b.address, s)
	for range 5 {
		appendEvents(t, j, 20)
		if _, err := admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is stored", func() bool {
		stored, err := s.Events(t.Context(), store.Filter{}, 1000)
		return err == nil && len(stored) == 100
	})
	eventually(t, "the gate knows", func() bool { return j.Stats().Receivers == 1 && j.Stats().Unstored == 0 })
	eventually(t, "the store is well again", func() bool { return i.State().StoreError == "" && s.Ping(t.Context()) == nil })
	if second, err := store.Open(t.Context(), cfg, quietLog); err == nil {
		second.Close()
		t.Error("a second console opens the store of the first")
	}
}

// TestSettingsAreNoted has a gate tell its settings and others later, and somebody else what no gate has.
func TestSettingsAreNoted(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, _ := run(t, b.address, s)
	tell := func(values string) {
		p.publish("status", true, `{"state":"online","since":"2026-03-02T06:00:00Z","camera":"ok","settings":{"hash":"a","written":"2026-03-01T06:00:00Z","values":{`+values+`}}}`)
	}
	noted := func() string {
		all, err := s.Settings(t.Context(), north, 10)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, one := range all {
			text = append(text, one.Name+"="+one.Value+one.Written.Format(" 2006-01-02"))
		}
		return strings.Join(text, ", ")
	}
	tell(`"policy.kind":"both"`)
	eventually(t, "the settings are there", func() bool { return noted() == "hash=a 2026-03-01, policy.kind=both 2026-03-01" })
	eventually(t, "what changed is there", func() bool { // a gate takes longer than this to start anew
		tell(`"policy.kind":"group"`)
		return strings.HasPrefix(noted(), "policy.kind=group 2026-03-01")
	})
	refused := i.State().Refused
	for n, hostile := range []string{`"a\u0000":"b"`, `"":"b"`, `"policy.kind":"` + strings.Repeat("x", 1000) + `"`} {
		tell(hostile)
		eventually(t, "it is refused", func() bool { return i.State().Refused > refused+uint64(n) })
	}
	p.online(1)
	eventually(t, "the gate is heard all the same", func() bool { return faultsOf(t, s) == "" && i.State().StoreError == "" })
}

// TestRevokedGate has what a gate made before it was revoked counted whenever it comes, nothing of what it says after that, and all
// that is missing asked for once a box has joined as it anew.
func TestRevokedGate(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	const quiet = time.Second
	i, _ := run(t, b.address, s, func(timing *timing) { timing.quiet = quiet })
	link := func() string {
		gates, err := s.Gates(t.Context(), time.Now())
		if err != nil || len(gates) != 1 {
			return "none"
		}
		return gates[0].Parts[store.Link].Value
	}
	p.event(1)
	before := p.made(2)
	eventually(t, "the gate is online", func() bool { p.online(1); return link() == store.Online && len(events(t, s)) == 1 })
	by := store.Author{Account: "admin"}
	if err := s.Revoke(t.Context(), store.Revocation{Gate: north, At: time.Now(), Who: "Li Na", Reason: "stolen", Account: store.AccountByHand}, by); err != nil {
		t.Fatal(err)
	}
	after := p.made(3)
	p.publish("screening/pass", false, after)
	p.publish("screening/pass", false, before)
	p.online(3)
	eventually(t, "what was made before is stored", func() bool { return len(events(t, s)) == 2 && i.State().Refused == 1 })
	time.Sleep(2 * quiet) // as long as it takes to be called silent
	if got := link(); got != store.RevokedLink || faultsOf(t, s) != "" {
		t.Errorf("it is %s, with the faults %s", got, faultsOf(t, s))
	}
	if asked := p.last("command/resend"); asked != "" {
		t.Errorf("a revoked gate is asked for %s", asked)
	}

	p.mu.Lock()
	p.answer = func(mqtt.Resend) { p.publish("screening/pass", false, after) }
	p.mu.Unlock()
	if err := s.AddInvitation(t.Context(), store.Invitation{Token: "hash", Gate: north, MadeAt: time.Now(), Until: time.Now().Add(time.Hour)}, by); err != nil {
		t.Fatal(err)
	}
	invitation, err := s.Invitation(t.Context(), "hash")
	if err == nil {
		err = s.UseInvitation(t.Context(), invitation.ID, "box", by, time.Now(), func(context.Context) error { return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is missing is asked for", func() bool {
		p.online(3)
		return link() == store.Online && len(events(t, s)) == 3
	})
}

// TestAClockThatIsWrong has gates whose clocks were never set, or are ahead, make alerts that somebody has to see to, and the
// broker keep one from days ago that nobody has to.
func TestAClockThatIsWrong(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	sequence := int64(0)
	alert := func(at time.Time, historical bool) string {
		sequence++
		e := sample(event.Alert)
		e.ID, e.Time, e.Journal, e.Sequence, e.Data.Historical = ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), at, p.journal, fmt.Sprint(sequence), historical
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		p.publish("screening/alert", false, string(body))
		return e.ID
	}
	is := func(id string, state store.AlertState, ago time.Duration) func() bool {
		return func() bool {
			a, _, err := s.Alert(t.Context(), id)
			return err == nil && a.State == state && a.Received.Sub(a.Raised).Round(5*time.Minute) == ago
		}
	}
	heard := func() {
		p.beat(sequence)
		eventually(t, "the gate is heard again", func() bool {
			gates, _ := s.Gates(t.Context(), time.Now())
			return gates[0].Sequence == sequence
		})
	}
	_, stop := run(t, b.address, s)
	p.online(0)
	eventually(t, "the gate is heard", func() bool { gates, _ := s.Gates(t.Context(), time.Now()); return len(gates) == 1 })
	stop()
	const days = 72 * time.Hour
	p.online(0) // which the broker keeps as well
	queued := alert(time.Now().Add(-days), false)
	_, again := run(t, b.address, s)
	eventually(t, "what the broker kept for days is too late", is(queued, store.Closed, days))
	for _, step := range []struct {
		ahead time.Duration
		fault string
	}{
		{0, ""}, {-days, "clock behind"}, {-time.Minute - 30*time.Second, "clock behind"}, {0, ""}, {24 * 365 * time.Hour, "clock ahead"}, {-10 * time.Minute, "clock behind"}, {time.Minute + 30*time.Second, "clock behind"}, {days, "clock ahead"},
	} {
		heard()
		id := alert(time.Now().Add(step.ahead), false)
		eventually(t, fmt.Sprintf("an alert by a clock that is ahead by %v is new", step.ahead), is(id, store.New, 0))
		eventually(t, fmt.Sprintf("by a clock that is ahead by %v the fault is %q", step.ahead, step.fault), func() bool { return faultsOf(t, s) == step.fault })
	}
	alert(time.Now().Add(-days), false)
	eventually(t, "the clock is behind again", func() bool { return faultsOf(t, s) == "clock behind" })
	again()
	kept := alert(time.Now().Add(-days), false)
	run(t, b.address, s)
	eventually(t, "what comes before the gate is heard after a restart, by a clock that was behind before it, is new", is(kept, store.New, 0))
	heard()
	alert(time.Now(), false)
	eventually(t, "the clock is right", func() bool { return faultsOf(t, s) == "" })
	p.beat(sequence)
	waited := alert(time.Now().Add(-10*time.Minute), true)
	eventually(t, "what waited at the gate, whose clock was set meanwhile, is open", is(waited, store.New, 10*time.Minute))
	slow := alert(time.Now().Add(-90*time.Second), false)
	eventually(t, "what was under way for long is as old as it is", func() bool {
		a, _, err := s.Alert(t.Context(), slow)
		return err == nil && a.Raised.Equal(a.Time)
	})
	if err := s.PutOutOfUse(t.Context(), mqtt.Gate{Site: "plant", Name: "north"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.publish("status", true, `{"state":"offline"}`)
	p.online(sequence)
	eventually(t, "the gate is there again", func() bool {
		gates, _ := s.Gates(t.Context(), time.Now())
		return gates[0].Parts[store.Link].Value == store.Online
	})
	alert(time.Now().Add(days), false)
	eventually(t, "the clock of a gate that is there again is a fault again", func() bool { return faultsOf(t, s) == "clock ahead" })
}

package district

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to break what the store rests on
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/district/natstest"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// receiving has a store receive until stop is called.
func receiving(t *testing.T, url string, s *store.Store) (r *Receiver, stop func()) {
	t.Helper()
	return receivingFrom(t, connect(t, Config{Servers: []string{url}}, "district"), StreamConfig{Replicas: 1, MaxBytes: 1 << 30}, s)
}

// receivingFrom likewise, over a connection, from a stream that is kept so.
func receivingFrom(t *testing.T, conn *nats.Conn, cfg StreamConfig, s *store.Store) (r *Receiver, stop func()) {
	t.Helper()
	r = NewReceiver(conn, cfg, s, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	eventually(t, "receiver", func() bool { return r.State().Connected })
	return r, stop
}

// plant publishes what plants tell.
type plant struct {
	t  *testing.T
	js jetstream.JetStream
}

func newPlant(t *testing.T, url string) plant {
	t.Helper()
	return plant{t, asking(t, connect(t, Config{Servers: []string{url}}, "plant"))}
}

func (p plant) tells(site string, kind Kind, id string, what any) {
	p.t.Helper()
	body, err := json.Marshal(what)
	if err == nil {
		msg := &nats.Msg{Subject: Subject(site, kind), Data: body, Header: nats.Header{}}
		if id != "" {
			msg.Header.Set(jetstream.MsgIDHeader, id)
		}
		_, err = p.js.PublishMsg(p.t.Context(), msg, jetstream.WithRetryAttempts(1000)) // while the servers agree on who leads, nobody answers
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func eventOf(site, gate string, outcome event.Outcome, at time.Time) event.Event {
	return event.Event{
		SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(site, gate), Time: at,
		Type: "thermogate.screening." + string(outcome) + ".v1", DataContentType: "application/json",
		Data: event.Data{Outcome: outcome, Reason: event.AboveThreshold, Camera: "test", Version: "test"},
	}
}

// empty waits until all in the stream is stored.
func (p plant) empty() {
	p.t.Helper()
	eventually(p.t, "end of what waits", func() bool {
		s, err := p.js.Stream(p.t.Context(), Stream)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}

// TestAllKindsAreStored has a plant tell all that there is to tell, an alert's life before the alert, and something that
// can't be.
func TestAllKindsAreStored(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{})
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			s := openStore(t, storeConfig(t, kind))
			r, _ := receiving(t, c.URL(0), s)
			p := newPlant(t, c.URL(0))
			site, now := "north plant "+kind, time.Now().UTC()
			e, gone := eventOf(site, "a", event.Alert, now), eventOf(site, "a", event.Pass, now)
			life := Alert{Event: e.ID, Gate: "a", Version: 2, State: store.Closed, Outcome: mqtt.Confirmed, Taken: &now, Read: &now, Closed: &now}
			said := mqtt.StatusMessage{State: store.Online, Status: mqtt.Status{Version: "1", Camera: "ok"}}
			status := GateStatus{Gate: "a", At: now, Link: store.Online, Said: &said}
			tally := ShiftTally{Name: "1", From: now.Truncate(time.Hour), To: now.Truncate(time.Hour).Add(8 * time.Hour), Made: now, People: 2}
			p.tells(site, AlertKind, life.MessageID(), life)
			p.tells(site, SiteKind, "", Site{At: now, TimeZone: "Asia/Shanghai", KeepMonths: 6, Version: "1.2", Waiting: 3})
			p.tells(site, StatusKind, status.MessageID(site), status)
			p.tells(site, ShiftKind, tally.MessageID(site), tally)
			p.tells(site, EventKind, e.ID, e)
			p.tells(site, EventKind, gone.ID, gone)
			p.tells(site, DeletionKind, Deletion{Event: gone.ID}.MessageID(), Deletion{Event: gone.ID, At: now})
			p.tells(site, EventKind, "", eventOf("elsewhere", "a", event.Pass, now))
			p.empty()

			a, _, err := s.Alert(t.Context(), e.ID)
			if err != nil || a.State != store.Closed || a.Outcome != mqtt.Confirmed {
				t.Errorf("the alert is %+v, %v", a, err)
			}
			if _, err := s.Event(t.Context(), gone.ID); err == nil {
				t.Error("the deleted event is there")
			}
			sites, err := s.PlantSites(t.Context())
			if err != nil || len(sites) != 1 || sites[0].Waiting != 3 || sites[0].Gates != 1 || sites[0].Bad != 0 || time.Since(sites[0].Heard) > time.Minute {
				t.Errorf("the sites are %+v, %v", sites, err)
			}
			if _, ok, err := s.PlantShift(t.Context(), site, tally.From); err != nil || !ok {
				t.Errorf("the shift is not there: %v", err)
			}
			refused, err := s.RefusedMessages(t.Context(), site, 10)
			if err != nil || len(refused) != 1 || !strings.Contains(refused[0].Reason, "elsewhere") {
				t.Errorf("refused are %+v, %v", refused, err)
			}
			state := r.State()
			if state.Refused != 1 || state.Messages[EventKind] != 2 || state.Messages[AlertKind] != 1 || state.Events != 2 {
				t.Errorf("the state is %+v", state)
			}
		})
	}
}

// TestNextConsoleGoesOn ends a console amid its work: the next one stores the rest, and nothing twice.
func TestNextConsoleGoesOn(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{})
	cfg := storeConfig(t, "PostgreSQL")
	first := openStore(t, cfg)
	r, stop := receiving(t, c.URL(0), first)
	p := newPlant(t, c.URL(0))
	const all = 3000
	var telling sync.WaitGroup
	telling.Go(func() {
		for i := range all {
			site := fmt.Sprint("plant", i%7) // each has its room in the stream
			e := eventOf(site, "gate", event.Pass, time.Now())
			body, err := json.Marshal(e)
			if err == nil {
				_, err = p.js.PublishAsync(Subject(site, EventKind), body, jetstream.WithMsgID(e.ID))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
		<-p.js.PublishAsyncComplete()
	})
	eventually(t, "first event", func() bool { return r.State().Events > 0 })
	if _, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another console has it open") {
		t.Errorf("two consoles have the store: %v", err)
	}
	stop()
	first.Close()
	ended := time.Now()
	telling.Wait()
	var second *store.Store
	eventually(t, "way into the store", func() (is bool) { // the server notices in its own time that the first one is gone
		s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		second = s
		return err == nil
	})
	t.Cleanup(func() { second.Close() })
	receiving(t, c.URL(0), second)
	for _, name := range []string{urgentName, otherName} { // else what the first had not stored would wait for its acknowledgement
		consumer, err := p.js.Consumer(t.Context(), Stream, name)
		if err != nil || consumer.CachedInfo().Created.Before(ended) {
			t.Errorf("the second console has no consumer %s of its own: %v", name, err)
		}
	}
	p.empty()
	var events, people int64
	eventually(t, "count of all", func() bool {
		totals, err := second.GateTotals(t.Context(), store.DayOf(time.Now().UTC())-1, store.DayOf(time.Now().UTC()))
		if err != nil {
			t.Fatal(err)
		}
		events, people = 0, 0
		for _, one := range totals {
			events, people = events+one.Events, people+one.People
		}
		return events >= all
	})
	if events != all || people != all {
		t.Errorf("of %d events %d are there, as %d people", all, events, people)
	}
}

// TestStoreThatFails keeps everything in the stream while the store takes nothing, and keeps aside what it takes never.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{})
	cfg := storeConfig(t, "PostgreSQL")
	s := openStore(t, cfg)
	db, err := sql.Open("pgx", cfg.PostgreSQL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := receiving(t, c.URL(0), s)
	p := newPlant(t, c.URL(0))
	do("ALTER TABLE uncounted RENAME TO away")
	for range 5 {
		e := eventOf("plant", "a", event.Pass, time.Now())
		p.tells("plant", EventKind, e.ID, e)
	}
	eventually(t, "word of the failing store", func() bool { return r.State().StoreError != "" })
	info, err := p.js.Stream(t.Context(), Stream)
	if err != nil || info.CachedInfo().State.Msgs != 5 || r.State().Refused != 0 {
		t.Errorf("%d of 5 events are in the stream, %d are refused, %v", info.CachedInfo().State.Msgs, r.State().Refused, err)
	}
	do("ALTER TABLE away RENAME TO uncounted")
	p.empty()
	if state := r.State(); state.Events != 5 || state.StoreError != "" {
		t.Errorf("the state is %+v", state)
	}

	do("ALTER TABLE events ADD CHECK (gate <> 'poison')")
	bad := eventOf("plant", "poison", event.Pass, time.Now())
	p.tells("plant", EventKind, bad.ID, bad)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ { // of which the store takes each
			select {
			case <-done:
				return
			case <-time.After(300 * time.Millisecond):
			}
			body, _ := json.Marshal(eventOf("plant", "a", event.Pass, time.Now()))
			p.js.Publish(t.Context(), Subject("plant", EventKind), body)
		}
	}()
	eventually(t, "message aside", func() bool { return r.State().Refused == 1 })
	refused, err := s.RefusedMessages(t.Context(), "plant", 10)
	if err != nil || len(refused) != 1 || refused[0].ID != bad.ID {
		t.Errorf("refused are %+v, %v", refused, err)
	}
}

// TestClockAhead has what a plant's clock says to be of later be of when it came.
func TestClockAhead(t *testing.T) {
	had := time.Now()
	body, err := json.Marshal(Site{At: had.Add(24 * time.Hour), TimeZone: "UTC", KeepMonths: 1})
	if err != nil {
		t.Fatal(err)
	}
	if news, err := readNews("plant", SiteKind, body, had, had); err != nil || !news.Plants[0].At.Equal(had) {
		t.Errorf("%+v, %v", news.Plants, err)
	}
}

// TestReadRefuses what no plant says.
func TestReadRefuses(t *testing.T) {
	now := time.Now()
	for _, one := range []struct {
		kind Kind
		body any
		want string
	}{
		{EventKind, "no event", "not as it should be"},
		{AlertKind, Alert{Event: "x", Gate: "a", State: store.New}, "the id of no event"},
		{AlertKind, Alert{Event: ulid.Make().String(), Gate: "a/b", State: store.New}, "MQTT topics"},
		{AlertKind, Alert{Event: ulid.Make().String(), Gate: "a", State: store.Closed, Closed: &now}, "no outcome"},
		{AlertKind, Alert{Event: ulid.Make().String(), Gate: "a", State: "lost"}, "no state of an alert"},
		{StatusKind, GateStatus{Gate: "a", At: now, Link: "maybe"}, "no state of a link"},
		{StatusKind, GateStatus{Gate: "a", Link: store.Quiet}, "no time"},
		{SiteKind, Site{At: now, TimeZone: "Mars", KeepMonths: 1}, "no time zone"},
		{SiteKind, Site{At: now, TimeZone: "UTC", KeepMonths: 0}, "months"},
		{ShiftKind, ShiftTally{Name: "1", From: now, To: now, Made: now}, "can't be"},
		{ShiftKind, ShiftTally{Name: "1", From: now, To: now.Add(time.Hour), Made: now, People: -1}, "people"},
		{DeletionKind, Deletion{Event: "x", At: now}, "the id of no event"},
	} {
		body, err := json.Marshal(one.body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readNews("plant", one.kind, body, now, now); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s %s: %v", one.kind, body, err)
		}
	}
}

// TestPlantThatFloods gets so much room in the stream and no more, while others find theirs; all that it has comes in the end, once.
func TestPlantThatFloods(t *testing.T) {
	t.Parallel()
	c := servers(t, 3, natstest.Options{})
	conn := connect(t, Config{Servers: c.URLs()}, "district")
	cfg := StreamConfig{Replicas: 3, MaxBytes: 1 << 30}
	waits := stream(t, conn, cfg)
	const all = mostOfKind + 1000
	queue := NewQueue()
	for i := range all {
		m, err := encode(fmt.Sprint(i), eventOf("flood", fmt.Sprint(i%7), event.Pass, time.Now()), nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Site, m.Kind = "flood", EventKind
		queue.Add(m)
	}
	flood, _ := publish(t, connect(t, Config{Servers: c.URLs()}, "flood"), queue)
	eventually(t, "end of its room", func() bool { return strings.Contains(flood.State().LastError, "as much of") })
	eventually(t, "room that it has filled", func() bool { return streamed(t, waits) == mostOfKind })
	other := newPlant(t, c.URL(0))
	alert := eventOf("other", "a", event.Alert, time.Now())
	other.tells("other", EventKind, alert.ID, alert)
	if _, err := other.js.Publish(t.Context(), prefix+"flood.more", nil, jetstream.WithRetryAttempts(0)); err == nil {
		t.Error("a plant makes room for itself with a kind of its own")
	}
	r, _ := receivingFrom(t, conn, cfg, openStore(t, storeConfig(t, "SQLite")))
	eventually(t, "all of it", func() bool { return queue.Len() == 0 && r.State().Events == all+1 })
	if state := r.State(); state.Refused != 0 || flood.State().Refused != 0 {
		t.Errorf("%+v, %+v", state, flood.State())
	}
}

// TestSiteWithTooManyGates gets no more of them, and what comes from those that it has is stored.
func TestSiteWithTooManyGates(t *testing.T) {
	s := openStore(t, storeConfig(t, "SQLite"))
	r := newWorker(&Receiver{store: s})
	now := time.Now()
	status := func(gate string) incoming {
		return incoming{site: "plant", news: store.News{Statuses: []store.PlantStatus{{Gate: mqtt.Gate{Site: "plant", Name: gate}, At: now, Link: store.Quiet}}}}
	}
	if _, err := s.Hear(t.Context(), status("first").news); err != nil {
		t.Fatal(err)
	}
	r.readyGates(t.Context(), []incoming{status("first")})
	for i := range mostGates - 1 {
		if err := r.checkGates(status(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.checkGates(status("one more")); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("one more: %v", err)
	}
	for _, known := range []string{"first", "7"} {
		if err := r.checkGates(status(known)); err != nil {
			t.Error(err)
		}
	}
}

// TestTwoPlantsOfOneName have the word of one of them counted, and a console that is started again is no second one.
func TestTwoPlantsOfOneName(t *testing.T) {
	r := newWorker(&Receiver{})
	at := time.Now()
	for i, said := range []struct {
		by    string
		after time.Duration
		wrong bool
	}{
		{"a", 0, false}, {"a", time.Minute, false}, {"a again", time.Minute, false}, {"a again", time.Minute, false}, {"", 0, false},
		{"twin", 0, false}, {"a again", time.Minute, true}, {"twin", 0, false}, {"a again", time.Minute, true}, {"twin again", 0, false}, {"twin", 0, true},
		{"twin", twinPause, false},
	} {
		at = at.Add(said.after)
		one := incoming{site: "plant", news: store.News{Plants: []store.Plant{{Site: "plant", Console: said.by}}}}
		if err := r.checkConsole(one, at); (err != nil) != said.wrong {
			t.Errorf("%d, of %q: %v", i, said.by, err)
		}
	}
	elsewhere := incoming{site: "plant 2", news: store.News{Plants: []store.Plant{{Site: "plant 2", Console: "twin again"}}}}
	if err := r.checkConsole(elsewhere, at); err != nil {
		t.Errorf("another site of the same console: %v", err)
	}
}

// TestAlertsGoFirst has an alert behind events that nobody has stored yet.
func TestAlertsGoFirst(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{})
	conn := connect(t, Config{Servers: c.URLs()}, "district")
	cfg := StreamConfig{Replicas: 1, MaxBytes: 1 << 30}
	waits := stream(t, conn, cfg)
	p := newPlant(t, c.URL(0))
	const behind = 3 * maxBatch
	for i := range behind {
		e := eventOf("plant", fmt.Sprint(i%7), event.Pass, time.Now())
		p.tells("plant", EventKind, e.ID, e)
	}
	alert, pass := eventOf("plant", "a", event.Alert, time.Now()), eventOf("plant", "a", event.Pass, time.Now())
	p.tells("plant", AlertEventKind, alert.ID, alert)
	p.tells("plant", AlertEventKind, pass.ID, pass) // who calls all urgent gets nothing of it
	if n := streamed(t, waits); n != behind+2 {
		t.Fatalf("%d messages are in the stream", n)
	}
	r, _ := receivingFrom(t, conn, cfg, openStore(t, storeConfig(t, "SQLite")))
	eventually(t, "alert", func() bool { return r.State().Messages[AlertEventKind] == 1 })
	if first := r.State().Events; first > 2*maxBatch {
		t.Errorf("%d events were stored before an alert", first)
	}
	eventually(t, "all of it", func() bool { return r.State().Events == behind+1 && r.State().Refused == 1 })
}

// TestWayOfOneConsole has two consoles, each at a server of its own: where the one that receives is cut off, the other one
// receives, and where no stream is left neither says that it is well.
func TestWayOfOneConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
	c := servers(t, 3, natstest.Options{})
	cfg := storeConfig(t, "PostgreSQL")
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	var two [2]*Receiver
	for i := range two {
		s, err := store.OpenShared(t.Context(), cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		two[i] = NewReceiver(connect(t, Config{Servers: []string{c.URL(i)}}, fmt.Sprint("district", i)), StreamConfig{Replicas: 3, MaxBytes: 64 << 20}, s, log)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Lead(ctx, two[i].Run) })
		t.Cleanup(func() { cancel(); running.Wait(); s.Close() })
		eventually(t, "receiver", func() bool { return two[i].State().Connected })
	}
	p := newPlant(t, c.URL(1))
	kill := func(i int) {
		t.Helper()
		if err := c.KillNode(i); err != nil {
			t.Fatal(err)
		}
	}
	kill(0)
	eventually(t, "other receiver", func() bool { state := two[1].State(); return !state.Elsewhere && state.Connected })
	e := eventOf("plant", "a", event.Pass, time.Now())
	p.tells("plant", EventKind, e.ID, e)
	eventually(t, "event", func() bool { _, err := two[1].store.Event(t.Context(), e.ID); return err == nil })
	kill(2)
	eventually(t, "fault", func() bool { return !two[0].State().Connected && !two[1].State().Connected })
}

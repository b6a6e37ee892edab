package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestDeletionIsProvable exports and deletes one event, has the gate send it again, and proves what was deleted.
func TestDeletionIsProvable(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		e, other := secretAlert(m, morning), m.pass(morning.Add(time.Second))
		add(t, s, e, other)
		picture := Snapshot{Gate: north, Event: e.ID, PNG: []byte("a face"), Received: morning}
		if err := s.AddSnapshots(t.Context(), []Snapshot{picture}); err != nil {
			t.Fatal(err)
		}
		if _, sum, err := s.Record(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		} else if _, err := s.DeleteEvent(t.Context(), e.ID, sum, "asked for", admin, morning); !errors.Is(err, ErrOpen) {
			t.Errorf("with an open alert: %v", err)
		}
		_, before, err := s.Record(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		read(t, s, e.ID, 36.943, morning)
		var export bytes.Buffer
		if err := s.ExportEvent(t.Context(), e.ID, &export); err != nil {
			t.Fatal(err)
		}
		var whole struct {
			SHA256 string `json:"record_sha256"`
			Record struct {
				Event    event.Event
				Alert    struct{ Changes []struct{ Celsius *float64 } }
				Pictures []struct{ PNG []byte }
			}
			Audit []struct{ Number int64 }
		}
		if err := json.Unmarshal(export.Bytes(), &whole); err != nil {
			t.Fatal(err)
		}
		r := whole.Record
		if r.Event.ID != e.ID || *r.Event.Data.SkinCelsius != 34.567 || len(r.Alert.Changes) != 3 || *r.Alert.Changes[1].Celsius != 36.943 || string(r.Pictures[0].PNG) != "a face" {
			t.Errorf("the export has %+v", r)
		}
		id, sum, _, err := ReadExport(bytes.NewReader(export.Bytes()))
		line := sha256.Sum256([]byte(strings.SplitAfter(export.String(), "\n")[1])) // sed -n 2p | sha256sum
		if err != nil || id != e.ID || sum != whole.SHA256 || sum != hex.EncodeToString(line[:]) {
			t.Errorf("it is of %s with %s, says %s, %v", id, sum, whole.SHA256, err)
		}
		if _, err := s.DeleteEvent(t.Context(), e.ID, before, "asked for", admin, morning); !errors.Is(err, ErrChanged) {
			t.Errorf("what nobody has looked at is deleted: %v", err)
		}
		hold, err := s.AddHold(t.Context(), Hold{Gate: mqtt.Gate{Site: "plant"}, Reason: "a court"}, admin, morning)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeleteEvent(t.Context(), e.ID, sum, "asked for", admin, morning); !errors.Is(err, ErrHeld) {
			t.Errorf("what is held is deleted: %v", err)
		}
		if err := s.EndHold(t.Context(), hold, "over", admin, morning); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeleteEvent(t.Context(), e.ID, sum, "asked for", admin, morning); err != nil {
			t.Fatal(err)
		}
		if found := holds(t, s.cfg.File, secrets); !s.postgres && len(found) > 0 {
			t.Errorf("the store still has %v", found)
		}
		counted := func() (people, events int64) {
			t.Helper()
			days, err := s.Days(t.Context(), DayOf(morning), DayOf(morning))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range days {
				people, events = people+c.People, events+c.Events
			}
			return people, events
		}
		if people, events := counted(); people != 2 || events != 2 {
			t.Errorf("%d people and %d events are counted", people, events)
		}
		if err := s.AddSnapshots(t.Context(), []Snapshot{picture}); err != nil {
			t.Fatal(err)
		}
		done, err := s.Append(t.Context(), []Event{e})
		if err != nil || done.New != 0 || done.Holdings[0].Through() != 2 {
			t.Errorf("sent again: %+v, %v", done, err)
		}
		late := m.event(morning.Add(20*time.Minute), event.Pass, event.BelowThreshold, func(again *event.Event) { again.Data.RescreenOf = e.ID })
		add(t, s, late) // of the same person
		if people, events := counted(); people != 2 || events != 3 {
			t.Errorf("with another look at them %d people and %d events are counted", people, events)
		}
		if _, err := s.Event(t.Context(), e.ID); !errors.Is(err, ErrNoEvent) {
			t.Errorf("it is there: %v", err)
		}
		a, changes, err := s.Alert(t.Context(), e.ID)
		if err != nil || a.ReadCelsius != nil || a.Outcome != mqtt.FalseAlert || len(changes) != 3 || changes[1].Who != "李娜" || changes[1].Reading.Thermometer != "" {
			t.Errorf("of the alert there is %+v, %+v, %v", a, changes, err)
		}
		if _, err := s.Snapshot(t.Context(), a); !errors.Is(err, ErrNoSnapshot) {
			t.Errorf("its picture: %v", err)
		}
		d, err := s.Deletion(t.Context(), e.ID)
		if err != nil || d.SHA256 != sum || d.By != "admin" || d.Reason != "asked for" || !d.At.Equal(morning) {
			t.Errorf("%+v, %v", d, err)
		}
		lines, err := s.Audit(t.Context(), AuditFilter{What: DeletedEvent, Account: e.ID}, 10)
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0].Detail, sum) {
			t.Errorf("the audit has %+v, %v", lines, err)
		}
	})
}

// TestDeletionOutlivesARestart opens the store anew before the gate sends the event again.
func TestDeletionOutlivesARestart(t *testing.T) {
	cfg := config(t, "SQLite")
	s, err := Open(t.Context(), cfg, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	e := newMaker(t, north).pass(morning)
	add(t, s, e)
	_, sum, err := s.Record(t.Context(), e.ID)
	if err == nil {
		_, err = s.DeleteEvent(t.Context(), e.ID, sum, "asked for", admin, morning)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	add(t, s, e)
	if got := ids(t, s); len(got) != 0 {
		t.Errorf("%v is back", got)
	}
}

func TestNoExport(t *testing.T) {
	for _, text := range []string{"", "{}\n{}\n", "{\"format\":\"thermogate-event/1\",\"record\":\n", "{\"format\":\"thermogate-event/1\",\"record\":\nx\n"} {
		if id, _, _, err := ReadExport(strings.NewReader(text)); err == nil {
			t.Errorf("%q is an export of %q", text, id)
		}
	}
}

package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/mqtt"
)

func faults(t *testing.T, s *Store, now time.Time) []string {
	t.Helper()
	faults, err := s.Faults(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range faults {
		line := fmt.Sprintf("%s %s %s since %s", f.Gate.Name, f.Part, f.Value, f.Since.Format(time.TimeOnly))
		if f.Shelf != nil {
			line += ", put aside by " + f.Shelf.Who
		}
		lines = append(lines, line)
	}
	return lines
}

func TestFaults(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := morning
		say := func(gate mqtt.Gate, state string, status mqtt.Status) {
			t.Helper()
			if err := s.SetStatus(t.Context(), gate, mqtt.StatusMessage{State: state, Status: status}, at); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Minute)
		}
		want := func(lines ...string) {
			t.Helper()
			if diff := cmp.Diff(lines, faults(t, s, at)); diff != "" {
				t.Error(diff)
			}
		}
		say(north, Online, mqtt.Status{Camera: "ok", Version: "1"})
		say(south, Online, mqtt.Status{Camera: "ok", Paused: true, PausedUntil: at.Add(time.Hour)})
		want()
		say(north, Online, mqtt.Status{Camera: "lost", Reference: "reference-missing"})
		say(north, Online, mqtt.Status{Camera: "stalled", Reference: "reference-missing"})
		want("north camera stalled since 06:58:00", "north reference reference-missing since 06:57:00")
		if err := s.Shelve(t.Context(), north, Reference, Shelf{at.Add(time.Hour), "Li Na", "is being repaired"}, at); err != nil {
			t.Fatal(err)
		}
		want("north camera stalled since 06:58:00", "north reference reference-missing since 06:57:00, put aside by Li Na")
		if got := faults(t, s, at.Add(time.Hour)); len(got) != 2 || got[1] != "north reference reference-missing since 06:57:00" {
			t.Errorf("after its time %q", got)
		}
		if err := s.Shelve(t.Context(), north, Reference, Shelf{at, "Li Na", "is repaired"}, at.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		want("north camera stalled since 06:58:00", "north reference reference-missing since 06:57:00")
		for _, wrong := range []Shelf{{at.Add(time.Hour), "Li Na", " "}, {at.Add(time.Hour), "", "why"}, {at.Add(8 * 24 * time.Hour), "Li Na", "why"}} {
			if s.Shelve(t.Context(), north, Camera, wrong, at) == nil {
				t.Errorf("%+v is taken", wrong)
			}
		}
		at = morning.Add(4 * time.Minute)
		say(north, Offline, mqtt.Status{})
		want("north link offline since 06:59:00")
		if err := s.Hush(t.Context(), []mqtt.Gate{south}, at); err != nil {
			t.Fatal(err)
		}
		want("south link quiet since 07:00:00", "north link offline since 06:59:00")
		say(south, Online, mqtt.Status{Camera: "ok"})
		want("north link offline since 06:59:00")
		states, err := s.States(t.Context(), north, morning, at, 20)
		var camera []string
		for _, state := range slices.Backward(states) {
			if state.Part == Camera {
				camera = append(camera, fmt.Sprintf("%s %s-%s", state.Value, state.Since.Format(time.TimeOnly), state.Until.Format(time.TimeOnly)))
			}
		}
		if diff := cmp.Diff([]string{"ok 06:55:00-06:57:00", "lost 06:57:00-06:58:00", "stalled 06:58:00-00:00:00"}, camera); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if newest, err := s.States(t.Context(), north, morning, at, 1); err != nil || len(newest) != 1 || newest[0].Part != Link || newest[0].Value != Offline {
			t.Errorf("%+v, %v", newest, err)
		}
	})
}

func TestGates(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m, other := newMaker(t, north), newMaker(t, south)
		add(t, s, m.pass(morning.Add(-2*time.Minute)), m.pass(morning), m.alert(morning), other.pass(morning),
			other.pass(morning.Add(10*time.Minute)), other.pass(morning.Add(time.Hour))) // its clock went ahead
		status := mqtt.StatusMessage{State: Online, Status: mqtt.Status{Version: "1.2", Camera: "ok", Paused: true, PausedUntil: morning.Add(time.Hour)}}
		status.Journal, status.Sequence, status.Unconfirmed = m.journal, 17, 3
		if err := s.SetStatus(t.Context(), north, status, morning.Add(5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := s.Seen(t.Context(), map[mqtt.Gate]time.Time{north: morning.Add(8 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		gates, err := s.Gates(t.Context(), morning.Add(10*time.Second))
		if err != nil || len(gates) != 2 {
			t.Fatal(gates, err)
		}
		g := gates[0]
		if g.Gate != north || g.Open != 1 || g.LastMinute != 2 || g.Sequence != 17 || g.Unconfirmed != 3 || g.Version != "1.2" ||
			g.Parts[Pause].Value != on || !g.PausedUntil.Equal(morning.Add(time.Hour)) || !g.Seen.Equal(morning.Add(8*time.Second)) {
			t.Errorf("%+v", g)
		}
		if g := gates[1]; g.Gate != south || g.LastMinute != 1 || len(g.Parts) > 0 {
			t.Errorf("%+v", g)
		}
	})
}

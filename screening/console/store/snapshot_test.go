package store

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/mqtt"
)

func pictured(t testing.TB, gate mqtt.Gate, event string, side int, at time.Time) Snapshot {
	t.Helper()
	var body bytes.Buffer
	if err := png.Encode(&body, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	s, err := NewSnapshot(gate, event, body.Bytes(), at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keepPicture(t testing.TB, s *Store, snapshots ...Snapshot) {
	t.Helper()
	if err := s.AddSnapshots(t.Context(), snapshots); err != nil {
		t.Fatal(err)
	}
}

// side is how large the picture of an alert is, 0 where it has none.
func side(t testing.TB, s *Store, id string) int {
	t.Helper()
	a, _, err := s.Alert(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Snapshot(t.Context(), a)
	if errors.Is(err, ErrNoSnapshot) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	head, err := png.DecodeConfig(bytes.NewReader(found.PNG))
	if err != nil {
		t.Fatal(err)
	}
	return head.Width
}

func TestSnapshotOfAnAlert(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		m := newMaker(t, north)
		first := m.alert(morning)
		keepPicture(t, s, pictured(t, south, first.ID, 99, morning), pictured(t, north, first.ID, 10, morning)) // before the event
		keepPicture(t, s, pictured(t, north, first.ID, 20, morning))                                            // another for the same
		add(t, s, first)
		if got := side(t, s, first.ID); got != 10 {
			t.Errorf("the picture has a side of %d: not the gate's own first one", got)
		}
		second := m.event(morning.Add(time.Minute), "alert", "above-threshold", again(first))
		add(t, s, second)
		keepPicture(t, s, pictured(t, north, second.ID, 30, morning))
		if got := side(t, s, first.ID); got != 30 {
			t.Errorf("the picture has a side of %d: not that of the latest event", got)
		}
		other := m.alert(morning.Add(time.Hour))
		add(t, s, other)
		if got := side(t, s, other.ID); got != 0 {
			t.Errorf("an alert has the picture of another")
		}
	})
}

func TestSnapshotsAreDeleted(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		old, young := newMaker(t, north).alert(morning), newMaker(t, south).alert(morning.Add(time.Hour))
		add(t, s, old, young)
		keepPicture(t, s, pictured(t, north, old.ID, 10, old.Received), pictured(t, south, young.ID, 10, young.Received))
		if _, err := s.Retire(t.Context(), old.Received.AddDate(0, 0, 7).Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if side(t, s, old.ID) != 0 || side(t, s, young.ID) == 0 {
			t.Error("not the pictures older than a week are deleted")
		}
		s.cfg.KeepSnapshotDays, s.cfg.KeepMonths = 365, 1 // longer than the events
		if _, err := s.Retire(t.Context(), morning.AddDate(0, 3, 0)); err != nil {
			t.Fatal(err)
		}
		if side(t, s, young.ID) != 0 {
			t.Error("a picture is kept longer than its event")
		}
	})
}

func TestSnapshotsOfAGateAreBounded(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		kept := newMaker(t, south).alert(morning)
		add(t, s, kept)
		keepPicture(t, s, pictured(t, south, kept.ID, 10, morning))
		flood := pictured(t, north, ulid.Make().String(), 1, morning)
		var all []Snapshot
		for i := range maxSnapshots + 50 {
			flood.Event, flood.Received = ulid.Make().String(), morning.Add(time.Duration(i)*time.Second)
			all = append(all, flood)
		}
		keepPicture(t, s, all...)
		var n int
		if err := s.read.QueryRow("SELECT count(*) FROM snapshots").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != maxSnapshots+1 || side(t, s, kept.ID) == 0 {
			t.Errorf("%d pictures are kept, or another gate's are gone", n)
		}
		s.cfg.KeepSnapshotDays = 0
		flood.Event = kept.ID
		keepPicture(t, s, flood)
		if s.read.QueryRow("SELECT count(*) FROM snapshots").Scan(&n); n != maxSnapshots+1 {
			t.Error("a picture is kept though none is to be")
		}
	})
}

func TestWhatIsNoSnapshot(t *testing.T) {
	good := pictured(t, north, ulid.Make().String(), 10, morning)
	large := image.NewGray(image.Rect(0, 0, maxSnapshotSide+1, 1))
	var wide bytes.Buffer
	if err := png.Encode(&wide, large); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		event string
		body  []byte
	}{
		"no event":         {"../admin", good.PNG},
		"in small letters": {strings.ToLower(good.Event), good.PNG},
		"a page":           {good.Event, []byte("<html><script>alert(1)</script>")},
		"nothing":          {good.Event, nil},
		"much":             {good.Event, append(bytes.Clone(good.PNG), make([]byte, mqtt.MaxSnapshotBytes)...)},
		"a wide one":       {good.Event, wide.Bytes()},
	} {
		if _, err := NewSnapshot(north, bad.event, bad.body, morning); err == nil {
			t.Errorf("%s is taken for a picture", name)
		}
	}
}

package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestSpotReadings follows a reading of somebody without an alert to all that keeps it, and to all that deletes it.
func TestSpotReadings(t *testing.T) {
	reading := Reading{Celsius: 36.943, Unit: "°C", Place: Ear, Thermometer: "T-17"}
	for name, forget := range map[string]func(*testing.T, *Store, Event) error{
		"deleted": func(t *testing.T, s *Store, e Event) error {
			_, sum, err := s.Record(t.Context(), e.ID)
			if err == nil {
				_, err = s.DeleteEvent(t.Context(), e.ID, sum, "asked for", admin, morning)
			}
			return err
		},
		"outcome only": func(t *testing.T, s *Store, e Event) error {
			err := s.SetOutcomeOnly(t.Context(), e.Gate.Site, true, admin)
			if err == nil {
				_, err = s.Retire(t.Context(), morning)
			}
			return err
		},
		"old": func(t *testing.T, s *Store, _ Event) error {
			_, err := s.Retire(t.Context(), morning.AddDate(0, s.cfg.KeepMonths+2, 0))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store) {
				m := newMaker(t, north)
				e := m.event(morning, event.Pass, event.BelowThreshold, func(e *event.Event) {
					skin := 34.567
					e.Data.SkinCelsius = &skin
				})
				e.Received = morning
				add(t, s, e)
				_, before, err := s.Record(t.Context(), e.ID)
				if err == nil {
					err = s.AddSpotReading(t.Context(), e.ID, "李娜", reading, morning.Add(time.Minute))
				}
				if err != nil {
					t.Fatal(err)
				}
				if read, err := s.SpotReadings(t.Context(), e.ID); err != nil || len(read) != 1 || read[0].Reading == nil || *read[0].Reading != reading {
					t.Errorf("it read %+v, %v", read, err)
				}
				if pairs, err := s.Pairs(t.Context(), Filter{Site: e.Gate.Site}, Ear, 10); err != nil || len(pairs) != 1 || pairs[0].Reading.Celsius != reading.Celsius {
					t.Errorf("pairs are %+v, %v", pairs, err)
				}
				var export bytes.Buffer
				if err := s.ExportEvent(t.Context(), e.ID, &export); err != nil || !strings.Contains(export.String(), `"celsius":36.943`) {
					t.Errorf("the export is %s, %v", &export, err)
				}
				if _, err := s.DeleteEvent(t.Context(), e.ID, before, "asked for", admin, morning); !errors.Is(err, ErrChanged) {
					t.Errorf("what nobody has looked at is deleted: %v", err)
				}
				if err := forget(t, s, e); err != nil {
					t.Fatal(err)
				}
				if found := holds(t, s.cfg.File, map[string]float64{"34.567": 34.567, "36.943": 36.943}); !s.postgres && len(found) > 0 {
					t.Errorf("the store still has %v", found)
				}
				if read, err := s.SpotReadings(t.Context(), e.ID); err != nil || len(read) > 0 {
					t.Errorf("it still read %+v, %v", read, err)
				}
				if err := s.AddSpotReading(t.Context(), e.ID, "李娜", reading, morning.Add(time.Minute)); !errors.Is(err, ErrNoEvent) && !errors.Is(err, ErrSpotEmpty) {
					t.Errorf("another one: %v", err)
				}
			})
		})
	}
}

// TestSpotReadingOfHeld has a hold keep a reading, and none be added where outcomes only are kept.
func TestSpotReadingOfHeld(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		reading := Reading{Celsius: 36.9, Unit: "°C", Place: Ear}
		e := newMaker(t, north).event(morning, event.Pass, event.BelowThreshold, func(e *event.Event) {
			skin := 34.5
			e.Data.SkinCelsius = &skin
		})
		add(t, s, e)
		err := s.AddSpotReading(t.Context(), e.ID, "李娜", reading, morning)
		if err == nil {
			_, err = s.AddHold(t.Context(), Hold{Gate: mqtt.Gate{Site: "plant"}, Reason: "a court"}, admin, morning)
		}
		if err == nil {
			err = s.SetOutcomeOnly(t.Context(), "plant", true, admin)
		}
		if err == nil {
			_, err = s.Retire(t.Context(), morning)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddSpotReading(t.Context(), e.ID, "李娜", reading, morning); !errors.Is(err, ErrSpotEmpty) {
			t.Errorf("another one: %v", err)
		}
		if read, err := s.SpotReadings(t.Context(), e.ID); err != nil || len(read) != 1 || read[0].Reading.Celsius != 36.9 {
			t.Errorf("it read %+v, %v", read, err)
		}
	})
}

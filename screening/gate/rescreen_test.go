package gate

import (
	"errors"
	"io"
	"testing"

	"thermogate/camera"
	"thermogate/screening/event"
)

// TestRescreenLooksAtOneOfTwoAgain asks for the second person's event to be repeated while two stand there.
func TestRescreenLooksAtOneOfTwoAgain(t *testing.T) {
	source := simulate(t, "people: [{at: 1s, distance_metres: 0.9, side_metres: -0.22, skin_celsius: 35.3, hair: short, seed: 7, stand: 8s}, "+
		"{at: 1s, distance_metres: 1, side_metres: 0.2, skin_celsius: 35.4, hair: short, seed: 8, stand: 8s}]\n")
	defer source.Close()
	gate := newTestGate(t, source.Info())
	var frame camera.Frame
	var events []event.Event
	for asked := false; ; {
		if err := source.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		_, found, err := gate.Process(&frame)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, found...)
		if len(events) == 2 && !asked {
			asked = true
			if err := gate.Rescreen("01JQ8Z6Y5T2M3N4P5Q6R7S8T9V"); err == nil {
				t.Error("nobody has that event, and it is repeated")
			}
			if err := gate.Rescreen(events[1].ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(events) != 3 || events[2].Data.RescreenOf != events[1].ID {
		for _, e := range events {
			t.Errorf("%s %s, rescreen of %q", e.ID, e.Data.Outcome, e.Data.RescreenOf)
		}
	}
}

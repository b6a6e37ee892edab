package gate

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"thermogate/camera"
	"thermogate/screening/event"
)

// TestRoomAsWarmAsSkin is told before somebody walks through unseen, with a reference source that is seen in such a room, with
// one that is lost in it, and without any.
func TestRoomAsWarmAsSkin(t *testing.T) {
	for _, test := range []struct {
		ambient int
		source  string
		want    event.Reason
	}{
		{37, "celsius: 45", event.RoomTooWarm},
		{37, "celsius: 37", event.RoomTooWarm},
		{37, "present: false", event.RoomTooWarm},
		{34, "celsius: 37", event.RoomTooWarm},
		{30, "celsius: 37", event.NoProblem},
	} {
		source := simulate(t, fmt.Sprintf("seed: 31\nduration: 9s\nambient_celsius: %d\nreference: {%s}\n", test.ambient, test.source))
		gate := newTestGate(t, source.Info())
		var frame camera.Frame
		var last event.Reason
		for {
			if err := source.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			scene, _, err := gate.Process(&frame)
			if err != nil {
				t.Fatal(err)
			}
			last = scene.Reference.Problem
		}
		source.Close()
		if last != test.want {
			t.Errorf("at %d °C, source %s: %q, want %q", test.ambient, test.source, last, test.want)
		}
	}
}

package measure

import (
	"testing"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
)

// TestRoomAsWarmAsSkin is told once it lasts, and until it is over.
func TestRoomAsWarmAsSkin(t *testing.T) {
	var room Room
	meter := NewMeter(DefaultConfig())
	start := time.Unix(1000, 0)
	for _, moment := range []struct {
		second     int
		celsius    float32
		correction float64
		problem    event.Reason
		want       bool
	}{
		{0, 36, 0, "", false},
		{4, 36, 0, "", false},
		{5, 24, 0, "", false}, // somebody has leaned into the camera
		{9, 33.2, 0, "", false},
		{10, 33.2, 0, "", true},
		{11, 24, 0, event.ShutterClosed, false},
		{12, 36, 0, event.ReferenceMissing, true},
		{13, 32.8, 0, "", true},
		{16, 32, 0, "", true},
		{18, 32, 0, "", false},
		{19, 31, 3, "", false},
		{23, 31, 3, "", true},
		{24, 24, 0, "", true},
		{28, 24, 0, "", false},
		{40, 36, -4, "", false},
		{60, 36, -4, "", false},
		{61, 41, 0, event.ReferenceMissing, false},
		{66, 41, 0, event.ReferenceMissing, true}, // by the correction of before: 37 °C
		{70, 24, 0, "", true},
		{76, 24, 0, event.ShutterClosed, false},
		{77, 24, 0, "", true},
		{81, 24, 0, "", false},
		{90, 36, 0, event.RangeChanged, false},
		{91, 36, 0, "", false}, // one picture tells nothing
		{96, 36, 0, "", true},
	} {
		img := &radiometry.Image{Width: 120, Height: 160, Celsius: make([]float32, 120*160)}
		for i := range img.Celsius {
			img.Celsius[i] = moment.celsius
		}
		at := start.Add(time.Duration(moment.second) * time.Second)
		ref := room.Update(meter, img, event.ReferenceSource{CorrectionCelsius: moment.correction, Problem: moment.problem, Left: true}, at)
		if got := ref.Problem == event.RoomTooWarm; got != moment.want || got == ref.Left {
			t.Errorf("after %d s, at %v %+v °C: %q", moment.second, moment.celsius, moment.correction, ref.Problem)
		}
	}
}

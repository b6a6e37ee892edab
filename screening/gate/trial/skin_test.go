package trial

import (
	"testing"

	"thermogate/camera/simulator"
	"thermogate/screening/event"
)

// TestSkin holds published readings beside the truth: a camera that squeezes them towards 36.5 is found out by the slope.
func TestSkin(t *testing.T) {
	for _, test := range []struct {
		name    string
		publish func(float64) float64
		want    Skin
	}{
		{"honest", func(c float64) float64 { return c + 0.1 }, Skin{30, 0.1, 0, 1, 1}},
		{"squeezed", func(c float64) float64 { return 36.5 + (c-36.5)/2 }, Skin{30, 0.28, 0.44, 0.5, 0.67}},
	} {
		s := New("x.yaml", 1.5)
		half := 0.505
		for i := range 30 {
			truth := 34.5 + 0.1*float64(i)
			published := test.publish(truth)
			data := event.Data{SkinCelsius: &published, SkinUncertaintyCelsius: &half, SkinSite: event.InnerCanthus}
			people := []simulator.Person{{Who: 2, SkinCelsius: 30}, {Who: 1, SkinCelsius: truth}}
			s.readSkin(&data, 1, people)
			data.SkinSite = event.Forehead
			s.readSkin(&data, 1, people)
		}
		if got := s.Result().Skin; got == nil || *got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	if New("x.yaml", 1.5).Result().Skin != nil {
		t.Error("nothing was read, and it is told what that is worth")
	}
}

package gate

import (
	"math"
	"testing"
	"time"
)

func TestAmbient(t *testing.T) {
	now := time.Unix(1e9, 0)
	configured := 21.5
	told := ambient{told: 23, toldAt: now}
	both := ambient{configured: &configured, told: 23, toldAt: now}
	for _, test := range []struct {
		name    string
		ambient ambient
		after   time.Duration
		want    float64 // 0 for unknown
	}{
		{"nothing known", ambient{}, 0, 0},
		{"configured", ambient{configured: &configured}, 0, 21.5},
		{"told", told, ambientHolds, 23},
		{"told too long ago", told, ambientHolds + 1, 0},
		{"told before the config", both, time.Minute, 23},
		{"and the config again", both, ambientHolds + 1, 21.5},
	} {
		got := test.ambient.at(now.Add(test.after))
		if got != test.want && !(test.want == 0 && math.IsNaN(got)) {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestSetAmbient(t *testing.T) {
	g := &Gate{floor: newFloor(DefaultVisitConfig(), nil)}
	if err := g.SetAmbient(22); err == nil {
		t.Error("told before any frame, it would be forgotten without a word")
	}
	g.previous = time.Unix(1e9, 0)
	for _, celsius := range []float64{-3, 0, 80, math.NaN(), math.Inf(1)} {
		if err := g.SetAmbient(celsius); err == nil {
			t.Errorf("%v °C was taken", celsius)
		}
	}
	if err := g.SetAmbient(22); err != nil || g.floor.ambient.at(g.previous) != 22 {
		t.Errorf("%v, ambient %v", err, g.floor.ambient.at(g.previous))
	}
}

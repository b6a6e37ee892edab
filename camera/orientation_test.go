package camera

import (
	"slices"
	"strings"
	"testing"
)

func TestOrientations(t *testing.T) {
	picture := []uint16{
		1, 2, 3,
		4, 5, 6,
	}
	for orientation, want := range map[Orientation][]uint16{
		"":         {1, 2, 3, 4, 5, 6},
		Normal:     {1, 2, 3, 4, 5, 6},
		Mirror:     {3, 2, 1, 6, 5, 4},
		Flip:       {4, 5, 6, 1, 2, 3},
		Rotate180:  {6, 5, 4, 3, 2, 1},
		Rotate90:   {4, 1, 5, 2, 6, 3},
		Rotate270:  {3, 6, 2, 5, 1, 4},
		Transpose:  {1, 4, 2, 5, 3, 6},
		Transverse: {6, 3, 5, 2, 4, 1},
	} {
		got := make([]uint16, 6)
		orientation.turn(got, picture, 3, 2)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", orientation, got, want)
		}
	}
}

func TestUnknownOrientationNamesTheKnown(t *testing.T) {
	_, err := ParseOrientation("upside-down")
	if err == nil || !strings.Contains(err.Error(), "upside-down") || !strings.Contains(err.Error(), "rotate180") {
		t.Errorf("error is %v", err)
	}
}

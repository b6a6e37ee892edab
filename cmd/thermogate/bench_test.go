package main

import (
	"testing"

	"thermogate/screening/face"
)

func TestMoreRateIsMoreLoad(t *testing.T) {
	detector, err := face.New()
	if err != nil {
		t.Fatal(err)
	}
	defer detector.Close()
	l, err := measureLoad(t.Context(), 160, 120, detector)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.wall) != sizeFrames || l.wall[0] <= 0 || l.shareAt(30) <= 0 || l.shareAt(30) >= l.shareAt(60) {
		t.Errorf("%d frames, of one core %v at 30 and %v at 60 frames a second", len(l.wall), l.shareAt(30), l.shareAt(60))
	}
}

package main

import (
	"testing"

	"thermogate/camera/simulator"
)

func TestMoreRateIsMoreLoad(t *testing.T) {
	l, err := measureLoad(t.Context(), simulator.Demo(), defaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if len(l.wall) != sizeFrames || l.wall[0] <= 0 || l.shareAt(30) <= 0 || l.shareAt(30) >= l.shareAt(60) {
		t.Errorf("%d frames, of one core %v at 30 and %v at 60 frames a second", len(l.wall), l.shareAt(30), l.shareAt(60))
	}
}

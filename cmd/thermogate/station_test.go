package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/screening/metrics"
)

// TestWatchdogIsToldTheTruth has cameras that deliver nothing for 100 s: a restart helps only where a driver hangs.
func TestWatchdogIsToldTheTruth(t *testing.T) {
	for name, test := range map[string]struct {
		open   func(released <-chan struct{}) (camera.Source, error)
		moving bool
	}{
		"unplugged": {func(<-chan struct{}) (camera.Source, error) { return nil, errors.New("unplugged") }, true},
		"its driver hangs": {func(released <-chan struct{}) (camera.Source, error) {
			<-released
			return nil, errors.New("released")
		}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			released := make(chan struct{})
			s := station{metrics: metrics.New("test"), health: metrics.NewHealth(metrics.DefaultHealthConfig())}
			s.camera = camera.NewLive(func(context.Context) (camera.Source, error) { return test.open(released) },
				defaultConfig().Camera.live(func(status camera.Status) {
					s.health.SetCamera(event.CameraState(status.State), status.Hung)
				}))
			var before camera.Status
			for range 100 {
				before = s.watchCamera(before)
				time.Sleep(time.Second)
			}
			if got := s.health.Moving(); got != test.moving {
				t.Errorf("%s: the watchdog is told %t; the camera is %+v", name, got, before)
			}
			close(released)
			time.Sleep(time.Minute)
			s.watchCamera(before)
			if !s.health.Moving() {
				t.Errorf("%s: after the driver has returned it does not move", name)
			}
			s.camera.Close()
		})
	}
}

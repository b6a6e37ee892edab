package main

import (
	"context"
	"slices"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/thermogram"
)

// snapshotQueue is how many pictures of alerts may wait to be painted; more are not taken.
const snapshotQueue = 4

// snapshot is a picture of the moment of an alert.
type snapshot struct {
	event   string
	picture thermogram.Picture
}

// takeSnapshot copies the frame that an alert was made on, where the config wants a picture of it. It waits for nobody.
func (s *station) takeSnapshot(e *event.Event, scene *event.Scene) {
	if !s.config.MQTT.Snapshots || e.Data.Outcome != event.Alert {
		return
	}
	image := *scene.Image
	image.Celsius = slices.Clone(image.Celsius)
	picture := thermogram.Picture{Image: &image, Reference: scene.Reference}
	if e.Data.Face != nil {
		picture.Face = *e.Data.Face
	}
	select {
	case s.snapshots <- snapshot{e.ID, picture}:
	default:
	}
}

// publishSnapshots paints and publishes pictures of alerts until ctx ends.
func (s *station) publishSnapshots(ctx context.Context) {
	for {
		select {
		case one := <-s.snapshots:
			png, err := one.picture.Encode(mqtt.MaxSnapshotBytes)
			if err == nil {
				err = s.broker.PublishSnapshot(one.event, png)
			}
			if err != nil {
				s.log.Warn("an alert has no picture", "id", one.event, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

package mqtt

import (
	"context"
	"fmt"
)

// MaxSnapshotBytes bounds the picture of an alert.
const MaxSnapshotBytes = 64 << 10

// snapshotsWaiting is how many pictures wait for the broker; older ones are dropped.
const snapshotsWaiting = 4

// snapshot is the picture of an alert, a PNG.
type snapshot struct {
	event string
	png   []byte
}

// PublishSnapshot publishes the picture of the alert with this id, once. It does not wait. Nobody confirms a picture and no
// broker keeps one: who is away misses it.
func (c *Client) PublishSnapshot(event string, png []byte) error {
	if len(png) > MaxSnapshotBytes {
		return fmt.Errorf("the picture of %s has %d bytes, more than %d", event, len(png), MaxSnapshotBytes)
	}
	for {
		select {
		case c.snapshots <- snapshot{event, png}:
			return nil
		default:
		}
		select {
		case <-c.snapshots:
		default:
		}
	}
}

// publishSnapshots goes on until ctx ends.
func (s *session) publishSnapshots(ctx context.Context) {
	for {
		select {
		case one := <-s.c.snapshots:
			token := s.conn.Publish(s.c.gate.SnapshotTopic(one.event), 0, false, one.png)
			_ = wait(ctx, token, writeTimeout) // its loss is allowed
		case <-ctx.Done():
			return
		}
	}
}

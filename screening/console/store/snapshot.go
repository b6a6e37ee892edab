package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"image/png"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/mqtt"
)

const (
	// maxSnapshotSide bounds the width and the height of a picture, in pixels.
	maxSnapshotSide = 1024
	// maxSnapshots is how many pictures of one gate are kept, at most 32 MiB.
	maxSnapshots = 512
)

// Snapshot is the thermal picture of an alert. It is no event: nothing rests on it, and it may be lost.
type Snapshot struct {
	Gate     mqtt.Gate
	Event    string // id of the alert
	PNG      []byte
	Received time.Time
}

// NewSnapshot reads what came from a gate. What browsers could not show is an error.
func NewSnapshot(gate mqtt.Gate, event string, body []byte, received time.Time) (Snapshot, error) {
	if id, err := ulid.ParseStrict(event); err != nil || id.String() != event {
		return Snapshot{}, fmt.Errorf("%.40q is the id of no event", event)
	}
	if len(body) > mqtt.MaxSnapshotBytes {
		return Snapshot{}, fmt.Errorf("the picture has %d bytes, more than %d", len(body), mqtt.MaxSnapshotBytes)
	}
	head, err := png.DecodeConfig(bytes.NewReader(body))
	if err != nil {
		return Snapshot{}, fmt.Errorf("the picture is no PNG: %w", err)
	}
	if head.Width > maxSnapshotSide || head.Height > maxSnapshotSide {
		return Snapshot{}, fmt.Errorf("the picture has %d×%d pixels, more than %d×%d", head.Width, head.Height, maxSnapshotSide, maxSnapshotSide)
	}
	return Snapshot{Gate: gate, Event: event, PNG: body, Received: received}, nil
}

// AddSnapshots keeps pictures, of each gate the newest. An alert that has one already keeps that.
func (s *Store) AddSnapshots(ctx context.Context, snapshots []Snapshot) error {
	if len(snapshots) == 0 || s.cfg.KeepSnapshotDays == 0 {
		return nil
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		gates := map[mqtt.Gate]bool{}
		for _, one := range snapshots {
			if s.unwanted(one) {
				continue
			}
			gates[one.Gate] = true
			if _, err := tx.ExecContext(ctx, `INSERT INTO snapshots (site, gate, event, received, png) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (site, gate, event) DO NOTHING`, one.Gate.Site, one.Gate.Name, one.Event, one.Received.UnixMilli(), one.PNG); err != nil {
				return err
			}
		}
		for gate := range gates {
			if _, err := tx.ExecContext(ctx, `DELETE FROM snapshots WHERE site = $1 AND gate = $2 AND event NOT IN
				(SELECT event FROM snapshots WHERE site = $1 AND gate = $2 ORDER BY received DESC, event DESC LIMIT $3) AND NOT `+heldSnapshot,
				gate.Site, gate.Name, maxSnapshots); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing %d pictures: %w", len(snapshots), err)
	}
	return nil
}

// ErrNoSnapshot is the error for an alert without a picture.
var ErrNoSnapshot = errors.New("there is no picture of this alert")

// Snapshot returns the picture of an alert: of its last event, or of its first.
func (s *Store) Snapshot(ctx context.Context, a Alert) (Snapshot, error) {
	found, err := collect(ctx, s.read, func(rows *sql.Rows) (Snapshot, error) {
		one := Snapshot{Gate: a.Gate}
		var received int64
		err := rows.Scan(&one.Event, &received, &one.PNG)
		one.Received = fromMilliseconds(received)
		return one, err
	}, `SELECT event, received, png FROM snapshots WHERE site = $1 AND gate = $2 AND event IN ($3, $4) ORDER BY event DESC LIMIT 1`,
		a.Gate.Site, a.Gate.Name, a.Event, a.Latest)
	if err != nil {
		return Snapshot{}, fmt.Errorf("the picture of alert %s: %w", a.Event, err)
	}
	if len(found) == 0 {
		return Snapshot{}, ErrNoSnapshot
	}
	return found[0], nil
}

// retireSnapshots deletes pictures that are to be kept no longer, and in any case those of events that are not.
func (s *Store) retireSnapshots(ctx context.Context, now time.Time, sites []Keeping) error {
	from := now.AddDate(0, 0, -s.cfg.KeepSnapshotDays)
	if _, err := s.write.ExecContext(ctx, "DELETE FROM snapshots WHERE received < $1 AND NOT "+heldSnapshot, from.UnixMilli()); err != nil {
		return fmt.Errorf("deleting old pictures: %w", err)
	}
	for _, site := range sites {
		if _, err := s.write.ExecContext(ctx, "DELETE FROM snapshots WHERE site = $1 AND received < $2 AND NOT "+heldSnapshot,
			site.Site, site.horizon(now).UnixMilli()); err != nil {
			return fmt.Errorf("deleting old pictures of %s: %w", site.Site, err)
		}
	}
	return nil
}

// unwanted tells of a picture that its site keeps none, or that somebody has deleted its event.
func (s *Store) unwanted(p Snapshot) bool {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	return s.outcomeOnly[p.Gate.Site] || s.deleted[p.Event]
}

package event

import (
	"errors"
	"io"
	"time"

	"github.com/oklog/ulid/v2"
)

// IDs makes the ids of events: ULIDs, each greater than those before it within a millisecond.
type IDs struct{ entropy ulid.MonotonicReader }

// NewIDs returns ids that draw on entropy, which must not fail.
func NewIDs(entropy io.Reader) IDs { return IDs{ulid.Monotonic(entropy, 0)} }

// At returns a new id for an event of this time. A ULID counts milliseconds from 1970 to 10889; a time outside of that,
// from a clock that was never set, has the id of the nearest one inside, and stays what it is in the event.
func (ids IDs) At(at time.Time) string {
	ms := uint64(min(max(at.UnixMilli(), 0), int64(ulid.MaxTime())))
	for {
		id, err := ulid.New(ms, ids.entropy)
		switch {
		case err == nil:
			return id.String()
		case errors.Is(err, ulid.ErrMonotonicOverflow): // this millisecond is full
			ms = (ms + 1) % (ulid.MaxTime() + 1)
		default:
			panic("event id: " + err.Error())
		}
	}
}

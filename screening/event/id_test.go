package event

import (
	"bytes"
	"crypto/rand"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
)

func TestIDOfAnyTime(t *testing.T) {
	ids := NewIDs(rand.Reader)
	for _, test := range []struct{ at, want time.Time }{
		{time.Date(2026, 3, 1, 6, 0, 0, 5e6, time.UTC), time.Date(2026, 3, 1, 6, 0, 0, 5e6, time.UTC)},
		{time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC), time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC)},
		{time.Unix(0, 0), time.Unix(0, 0)},
		{time.Unix(0, -1), time.Unix(0, 0)},
		{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.Unix(0, 0)},
		{time.Time{}, time.Unix(0, 0)},
		{time.Unix(math.MaxInt32*1e6, 0), ulid.Time(ulid.MaxTime())},
	} {
		first, second := ids.At(test.at), ids.At(test.at)
		id, err := ulid.ParseStrict(first)
		if err != nil || !ulid.Time(id.Time()).Equal(test.want) {
			t.Errorf("%v has id %s of %v (%v), want %v", test.at, first, ulid.Time(id.Time()), err, test.want)
		}
		if second <= first {
			t.Errorf("%v: %s comes after %s", test.at, second, first)
		}
	}
}

// TestIDsOfAFullMillisecond begins with the last id there is in one.
func TestIDsOfAFullMillisecond(t *testing.T) {
	ids := NewIDs(io.MultiReader(bytes.NewReader(bytes.Repeat([]byte{0xFF}, 10)), rand.Reader))
	at := time.UnixMilli(1000)
	first, second := ids.At(at), ids.At(at)
	if second <= first || !strings.HasSuffix(first, "ZZZZZZZZZZZZZZZZ") {
		t.Errorf("%s comes after %s", second, first)
	}
}

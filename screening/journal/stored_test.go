package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"thermogate/screening/event"
)

// say notes a receiver's word on j and returns what the receiver has said before.
func say(t *testing.T, j *Journal, by string, through int64) int64 {
	t.Helper()
	before, err := j.Stored(t.Context(), Word{j.Tail().Journal, through, by})
	if err != nil {
		t.Fatal(err)
	}
	return before
}

func TestReceiversWord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 10)
	if got := j.Stats(); got.Receivers != 0 || got.Unstored != 0 {
		t.Errorf("before anybody spoke: %+v", got)
	}
	if before := say(t, j, "console", 7); before != 7 {
		t.Errorf("new, and has stored %d before", before)
	}
	say(t, j, "archive", 9)
	if got := j.Stats(); got.Receivers != 2 || got.Unstored != 3 || got.Pending != 10 {
		t.Errorf("stats %+v", got)
	}
	if before := say(t, j, "console", 4); before != 7 {
		t.Errorf("restored from a backup, and has stored %d before", before)
	}
	id := j.Tail().Journal
	for want, word := range map[error]Word{
		ErrBeyond:       {id, 11, "console"},
		ErrOtherJournal: {"01JQ8Z6Y5T2M3N4P5Q6R7S8T9V", 5, "console"},
	} {
		if _, err := j.Stored(t.Context(), word); !errors.Is(err, want) {
			t.Errorf("%+v: %v", word, err)
		}
	}
	for _, word := range []Word{
		{id, 5, ""}, {id, 5, strings.Repeat("x", 1<<20)}, {id, 5, "a\nb"}, {id, 5, "\xff"}, {id, -1, "console"}, {"", 5, "console"},
		{id, 1<<63 - 1, "console"},
	} {
		if _, err := j.Stored(t.Context(), word); err == nil {
			t.Errorf("%.60q is believed", fmt.Sprint(word))
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	if got := j.Stats(); got.Receivers != 2 || got.Unstored != 6 {
		t.Errorf("after a restart: %+v", got)
	}
	if got := j.Tail(); got != (Tail{id, 10}) {
		t.Errorf("after a restart the tail is %+v", got)
	}
	if err := j.ForgetReceivers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := j.Stats(); got.Receivers != 0 || got.Unstored != 0 {
		t.Errorf("after they are forgotten: %+v", got)
	}
}

func TestReceiversAreBounded(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	for n := range maxReceivers {
		say(t, j, fmt.Sprint(n), 0)
	}
	if _, err := j.Stored(t.Context(), Word{j.Tail().Journal, 0, "one more"}); !errors.Is(err, ErrReceivers) {
		t.Error(err)
	}
	appendAll(t, j, 1, 1)
	say(t, j, "7", 1) // who is known is heard all the same
}

func TestNobodysAgeCountsThatAReceiverHasNotStored(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	appendAll(t, j, 1, 20)
	j.Confirm(seqs(1, 15)...)
	left := func() int {
		t.Helper()
		err := j.do(t.Context(), func(*store) error {
			j.pruneAge(context.Background(), sample(20).Time.AddDate(1, 0, 0))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(listed(t, j))
	}
	say(t, j, "console", 18)
	say(t, j, "archive", 5)
	if got := left(); got != 15 {
		t.Errorf("%d left, want those after 5", got)
	}
	say(t, j, "archive", 18)
	if got := left(); got != 5 {
		t.Errorf("%d left, want the five that the broker has not confirmed", got)
	}
	j.Confirm(seqs(16, 20)...)
	if got := left(); got != 2 {
		t.Errorf("%d left, want the two that nobody has stored", got)
	}
	if err := j.ForgetReceivers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != 0 {
		t.Errorf("%d left, and no receiver is known", got)
	}
}

func TestSizeTakesWhatIsStoredFirst(t *testing.T) {
	logged := &strings.Builder{}
	j, err := Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), Config{MaxAgeDays: 1, MaxSizeMiB: 4}, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	long := func(from, to int) {
		for n := from; n <= to; n++ {
			e := sample(n)
			e.Data.Reason = event.Reason(strings.Repeat("x", 50_000))
			if err := j.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	prune := func() {
		t.Helper()
		if err := j.do(t.Context(), func(*store) error { j.pruneSize(context.Background()); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	long(1, 100)
	j.Confirm(seqs(1, 100)...)
	say(t, j, "console", 50)
	prune()
	if got := j.Stats(); got.DroppedUnstored != 0 || got.Unstored != 50 || len(listed(t, j)) != 50 {
		t.Errorf("%d left, stats %+v; want what is stored deleted", len(listed(t, j)), got)
	}
	if logged.Len() > 0 {
		t.Errorf("logged %s", logged)
	}
	long(101, 150)
	prune()
	if got := j.Stats(); got.DroppedUnstored != 50 || got.Dropped != 0 || got.Pending != 50 || got.Unstored != 50 {
		t.Errorf("stats %+v; want what the broker has confirmed deleted", got)
	}
	if !strings.Contains(logged.String(), "a receiver has not stored") {
		t.Errorf("logged %s", logged)
	}
}

func TestSequencesHaveNoGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 3)
	appendAll(t, j, 2, 3) // tried again
	appendAll(t, j, 4, 5)
	first := j.Tail()
	if first.Sequence != 5 {
		t.Errorf("the tail is %+v", first)
	}
	entries, _, err := j.Between(t.Context(), first.Journal, 1, 4, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if located := e.Located(); e.Sequence != int64(i+2) || located.Sequence != fmt.Sprint(i+2) || located.Journal != first.Journal || e.Event.ID != sample(i+2).ID {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	j.Confirm(1, 2, 3, 4) // and 5 is rescued
	var found error = damage("found by a test")
	if err := j.do(t.Context(), func(*store) error { err := found; found = nil; return err }); err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, 6, 6)
	second := j.Tail()
	if second.Journal == first.Journal || second.Sequence != 2 {
		t.Errorf("a file begun anew is %+v after %+v", second, first)
	}
	if _, _, err := j.Between(t.Context(), first.Journal, 0, 5, 10); !errors.Is(err, ErrOtherJournal) {
		t.Error(err)
	}
	entries, _, err = j.Between(t.Context(), second.Journal, 0, 1<<62, 10)
	if err != nil || len(entries) != 2 || entries[0].Sequence != 1 || entries[0].Event.ID != sample(5).ID {
		t.Errorf("%+v, %v", entries, err)
	}
	say(t, j, "console", 2)
	var stored []bool
	err = List(t.Context(), path, Filter{}, func(e Entry) error { stored = append(stored, e.Stored); return nil })
	if err != nil || fmt.Sprint(stored) != "[true true]" {
		t.Errorf("stored %v, %v", stored, err)
	}
}

func TestWhatIsHeldBackIsNotSentAgain(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	appendAll(t, j, 1, 2)
	hold(t, j, 3)
	appendAll(t, j, 4, 4)
	entries, _, err := j.Between(t.Context(), j.Tail().Journal, 0, 4, 10)
	if err != nil || len(entries) != 2 || j.Tail().Sequence != 2 {
		t.Errorf("%d events, %v, tail %+v", len(entries), err, j.Tail())
	}
}

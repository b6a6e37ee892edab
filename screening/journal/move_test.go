package journal

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"thermogate/screening/datadir"
)

// moved is a copy of the journal in a folder, taken while it is open, as it goes on at another machine.
func moved(t *testing.T, from string) string {
	t.Helper()
	file, dir := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
	_, err := datadir.Save(t.Context(), from, file, datadir.Plan{First: "journal.db", LeavesOut: func(name string) bool { return strings.HasSuffix(name, ".reserve") }})
	must(t, err)
	_, err = datadir.Restore(dir, "thermogate", file, "journal.db", func(_ datadir.Backup, folder string) error {
		_, err := Move(t.Context(), filepath.Join(folder, "journal.db"))
		return err
	})
	must(t, err)
	return filepath.Join(dir, "journal.db")
}

// place is where an event has its place.
type place struct {
	id, journal string
	sequence    int64
}

func places(t *testing.T, entries []Entry) (all []place) {
	t.Helper()
	for _, e := range entries {
		all = append(all, place{e.Event.ID, e.Journal, e.Sequence})
	}
	return all
}

func TestMovedJournalUsesNoNumberTwice(t *testing.T) {
	dir := t.TempDir()
	old := open(t, filepath.Join(dir, "journal.db"))
	appendAll(t, old, 1, 10)
	old.Confirm(seqs(1, 8)...)
	say(t, old, "console", 5)
	path := moved(t, dir)
	appendAll(t, old, 11, 14) // the old machine goes on for a while
	former := old.Tail().Journal

	j := open(t, path)
	if got := pendingIDs(t, j); !slices.Equal(got, ids(6, 10)) {
		t.Errorf("to be published: %v, want what no receiver is known to hold", got)
	}
	appendAll(t, j, 15, 16)
	now := j.Tail()
	if now.Journal == former || now.Sequence != 2 {
		t.Errorf("the tail is %+v; it was %s", now, former)
	}
	pending, err := j.Pending(t.Context(), 0, j.Last(), 100)
	must(t, err)
	want := []place{{ids(9, 9)[0], former, 9}, {ids(10, 10)[0], former, 10}, {ids(15, 15)[0], now.Journal, 1}, {ids(16, 16)[0], now.Journal, 2}}
	if got := places(t, pending)[3:]; !slices.Equal(got, want) {
		t.Errorf("places %v, want %v", got, want)
	}

	// What a receiver lacks of the former journal it still gets, and nothing else in its place.
	entries, reached, err := j.Between(t.Context(), former, 8, 14, 100)
	if got := places(t, entries); err != nil || reached != 14 || !slices.Equal(got, want[:2]) {
		t.Errorf("of the former journal: %v up to %d, %v", got, reached, err)
	}
	entries, _, err = j.Between(t.Context(), former, 12, 14, 100)
	if err != nil || len(entries) != 0 {
		t.Errorf("what only the old machine has: %v, %v", entries, err)
	}

	// The console has heard the old machine to its end.
	if before, err := j.Stored(t.Context(), Word{former, 14, "console"}); err != nil || before != 14 {
		t.Errorf("%d, %v", before, err)
	}
	if got := j.Stats(); got.Unstored != 2 {
		t.Errorf("stats %+v", got)
	}
	if before, err := j.Stored(t.Context(), Word{now.Journal, 1, "console"}); err != nil || before != 1 {
		t.Errorf("%d, %v", before, err)
	}
	if before, err := j.Stored(t.Context(), Word{former, 3, "console"}); err != nil || before != 10 {
		t.Errorf("a word that is late: %d, %v", before, err)
	}
	if got := j.Stats(); got.Unstored != 1 {
		t.Errorf("stats %+v", got)
	}

	// It keeps its places over a restart, and when it is moved on.
	again := open(t, moved(t, filepath.Dir(path)))
	appendAll(t, again, 17, 17)
	entries, _, err = again.Between(t.Context(), former, 8, 14, 100)
	if got := places(t, entries); err != nil || !slices.Equal(got, want[:2]) {
		t.Errorf("moved twice: %v, %v", got, err)
	}
	if tail := again.Tail(); tail.Sequence != 1 || tail.Journal == now.Journal || tail.Journal == former {
		t.Errorf("moved twice, the tail is %+v", tail)
	}
	var all []place
	must(t, List(t.Context(), again.path, Filter{}, func(e Entry) error { all = append(all, places(t, []Entry{e})...); return nil }))
	if got := all[8:12]; !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

func TestCopyThatBeganWithoutEvents(t *testing.T) {
	dir := t.TempDir()
	old := open(t, filepath.Join(dir, "journal.db"))
	j := open(t, moved(t, dir))
	appendAll(t, old, 1, 3)
	appendAll(t, j, 4, 4)
	if got := j.Tail(); got.Journal == old.Tail().Journal || got.Sequence != 1 {
		t.Errorf("the tail is %+v", got)
	}
	if entries, _, err := j.Between(t.Context(), old.Tail().Journal, 0, 3, 10); err != nil || len(entries) != 0 {
		t.Errorf("of the old machine: %v, %v", entries, err)
	}
}

func TestMoveRefuses(t *testing.T) {
	if _, err := Move(t.Context(), filepath.Join(t.TempDir(), "journal.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	path := filepath.Join(t.TempDir(), "journal.db")
	fill(t, path, 200)
	must(t, overwrite(path, 3*onePage, 2*onePage))
	if _, err := Move(t.Context(), path); !isDamage(err) {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestJournalOfANewerProgramIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	fill(t, path, 3)
	db, err := connect(path, "rw", "FULL")
	must(t, err)
	_, err = db.Exec("PRAGMA user_version = 3; PRAGMA journal_mode = DELETE")
	must(t, errors.Join(err, db.Close()))
	before, err := os.ReadFile(path)
	must(t, err)
	_, err = Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler))
	_, moving := Move(t.Context(), path)
	for _, err := range []error{err, moving} {
		if err == nil || !strings.Contains(err.Error(), "of a newer thermogate (version 3 of a journal, this program knows those up to 2)") {
			t.Error(err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}

// TestFirstJournalsAreBroughtUpToDate opens a file as the first version of the program left it, before journals had an id and
// receivers a say. What waits in it exists nowhere else.
func TestFirstJournalsAreBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	must(t, create(path))
	db, err := connect(path, "rw", "FULL")
	must(t, err)
	text, err := os.ReadFile("testdata/first.sql")
	must(t, err)
	_, err = db.ExecContext(context.Background(), string(text))
	must(t, errors.Join(err, db.Close()))
	must(t, List(t.Context(), path, Filter{}, func(Entry) error { return nil }))

	j := open(t, path)
	if got := pendingIDs(t, j); !slices.Equal(got, ids(3, 4)) {
		t.Errorf("to be published: %v", got)
	}
	if got := j.Tail(); got.Sequence != 3 || got.Journal == "" {
		t.Errorf("the tail is %+v, want all that are left counted from 1", got)
	}
	say(t, j, "console", 2)
	appendAll(t, j, 5, 5)
	must(t, j.Close())
	if got := listed(t, open(t, path)); !slices.Equal(got, ids(2, 5)) {
		t.Errorf("it holds %v", got)
	}
}

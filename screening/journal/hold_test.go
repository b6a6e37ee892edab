package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
)

// asked is event n as it is stored while its door has not answered, answered the same once it has.
func asked(n int) event.Event {
	e := sample(n)
	e.Data.Door = &event.Door{Output: "modbus", Error: "not known"}
	return e
}

func answered(n int) event.Event {
	e := sample(n)
	e.Data.Door = &event.Door{Output: "modbus", Commanded: new(true), Accepted: new(true)}
	return e
}

func hold(t *testing.T, j *Journal, n int) {
	t.Helper()
	if err := j.Hold(t.Context(), asked(n)); err != nil {
		t.Fatal(err)
	}
}

// publishable waits until so many events may be published and returns them.
func publishable(t *testing.T, j *Journal, count int) []event.Event {
	t.Helper()
	for deadline := time.After(time.Minute); ; {
		entries, err := j.Pending(t.Context(), 0, j.Last(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == count {
			var events []event.Event
			for _, e := range entries {
				events = append(events, e.Event)
			}
			return events
		}
		select {
		case <-j.Appended():
		case <-deadline:
			t.Fatalf("%d events may be published, want %d", len(entries), count)
		}
	}
}

func TestHeldEventKeepsItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 1)
	hold(t, j, 2)
	appendAll(t, j, 3, 3)
	hold(t, j, 4)
	if diff := cmp.Diff([]event.Event{sample(1)}, publishable(t, j, 1)); diff != "" {
		t.Error(diff)
	}
	if got := j.Stats().Pending; got != 4 {
		t.Errorf("%d pending, want 4: what is held is still to be published", got)
	}
	j.Release(answered(4))
	j.Release(answered(2))
	want := []event.Event{sample(1), answered(2), sample(3), answered(4)}
	if diff := cmp.Diff(want, publishable(t, j, 4)); diff != "" {
		t.Error(diff)
	}
	j.Release(asked(4)) // a second time it means nothing
	j.Confirm(1, 2, 3, 4)
	j.Close()
	j = open(t, path)
	if got := j.Stats().Pending; got != 0 {
		t.Errorf("%d pending after all was confirmed", got)
	}
	err := List(t.Context(), path, Filter{}, func(e Entry) error {
		if diff := cmp.Diff(want[e.Seq-1], e.Event); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReleaseIsWrittenBeforeClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	hold(t, j, 1)
	j.Release(answered(1))
	j.Close()
	if diff := cmp.Diff([]event.Event{answered(1)}, publishable(t, open(t, path), 1)); diff != "" {
		t.Error(diff)
	}
}

// holdUntilKilled is the other process of TestHoldEndsWithTheProcess.
func holdUntilKilled(path string) {
	j, err := Open(context.Background(), path, DefaultConfig(), slog.New(slog.DiscardHandler))
	for n := 1; n <= 4 && err == nil; n++ {
		err = j.Hold(context.Background(), asked(n))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	j.Release(answered(1))
	j.Release(answered(3))
	if err := j.Append(context.Background(), sample(5)); err != nil { // which comes after the releases
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("held")
	select {}
}

func TestHoldEndsWithTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_TEST_HOLD="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewScanner(out).Scan()
	cmd.Process.Kill()
	cmd.Wait()

	var held []string
	err = List(t.Context(), path, Filter{Pending: true}, func(e Entry) error { held = append(held, e.Event.ID); return nil })
	if diff := cmp.Diff(ids(1, 5), held); diff != "" || err != nil {
		t.Errorf("%v, listed as not confirmed: %s", err, diff)
	}
	want := []event.Event{answered(1), asked(2), answered(3), asked(4), sample(5)}
	if diff := cmp.Diff(want, publishable(t, open(t, path), 5)); diff != "" {
		t.Error(diff)
	}
}

func TestReleaseWaitsForRoomOnTheDisk(t *testing.T) {
	dir := smallDisk(t)
	j := open(t, filepath.Join(dir, "journal.db"))
	hold(t, j, 1)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("there still is room")
	}
	n := 2
	for ; j.Append(t.Context(), sample(n)) == nil; n++ { // the log may still have room
	}
	j.Release(answered(1))
	if err := j.Append(t.Context(), sample(n)); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("error %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if got := publishable(t, j, n)[0]; !cmp.Equal(got, answered(1)) {
		t.Errorf("published %+v", got)
	}
}

func TestHeldEventSurvivesDamageAndRetention(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 300)
	j.Confirm(seqs(1, 300)...)
	hold(t, j, 301)
	err := j.do(t.Context(), func(s *store) error {
		j.pruneAge(context.Background(), time.Now().AddDate(10, 0, 0))
		_, err := s.deleteConfirmed(context.Background())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var found error = damage("found by a test")
	if err := j.do(t.Context(), func(*store) error { err := found; found = nil; return err }); err != nil {
		t.Fatal(err)
	}
	if got := j.Stats(); got.SetAside == "" || got.Pending != 1 {
		t.Errorf("stats %+v", got)
	}
	publishable(t, j, 0)
	j.Release(answered(301))
	if diff := cmp.Diff([]event.Event{answered(301)}, publishable(t, j, 1)); diff != "" {
		t.Error(diff)
	}
}

package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("JOURNAL_TEST_APPEND"); path != "" {
		appendUntilKilled(path)
	}
	if path := os.Getenv("JOURNAL_TEST_REFUSED"); path != "" {
		appendRefusedUntilKilled(path)
	}
	if path := os.Getenv("JOURNAL_TEST_HOLD"); path != "" {
		holdUntilKilled(path)
	}
	os.Exit(m.Run())
}

var start = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

func sample(n int) event.Event {
	return event.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("EVENT%05d", n), Source: "/plant/gate", Type: "thermogate.screening.pass.v1",
		Time: start.Add(time.Duration(n) * time.Second), DataContentType: "application/json",
		Data: event.Data{Outcome: event.Pass, Reason: "below-threshold", Camera: "test", Version: "test"},
	}
}

func open(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func appendAll(t testing.TB, j *Journal, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := j.Append(t.Context(), sample(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// fill makes a journal of events that are still to be published.
func fill(t testing.TB, path string, count int) {
	t.Helper()
	s, err := openStore(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var rows []row
	for n := 1; n <= count; n++ {
		e := sample(n)
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{id: e.ID, outcome: string(e.Data.Outcome), unixMilli: e.Time.UnixMilli(), body: body})
	}
	if _, _, err := s.insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}

func pendingIDs(t testing.TB, j *Journal) []string {
	t.Helper()
	entries, err := j.Pending(t.Context(), 0, j.Last(), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Event.ID)
	}
	return ids
}

func ids(from, to int) []string {
	var ids []string
	for n := from; n <= to; n++ {
		ids = append(ids, sample(n).ID)
	}
	return ids
}

func TestPendingIsWhatTheBrokerHasNotConfirmedInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "新 folder", "a?mode=ro&b%23#c.db") // a name that is no valid part of a URI
	j := open(t, path)
	appendAll(t, j, 1, 5)
	appendAll(t, j, 3, 3) // tried again
	j.Confirm(1, 2, 4)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	if diff := cmp.Diff([]string{sample(3).ID, sample(5).ID}, pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
	if got := j.Stats(); got.Pending != 2 || got.Unclean {
		t.Errorf("stats %+v, want 2 pending after a clean close", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want it readable by the owner only", info.Mode(), err)
	}
}

func TestOrderIsThatOfArrivalWhenTheClockJumps(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	for n, shift := range []time.Duration{0, 50 * 365 * 24 * time.Hour, -30 * 365 * 24 * time.Hour, 0} {
		e := sample(n + 1)
		e.Time = start.Add(shift)
		if err := j.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(ids(1, 4), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
}

func TestReopenSendsTheNewestConfirmationsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 9)
	for seq := int64(1); seq <= 8; seq++ {
		j.Confirm(seq)
		if _, err := j.MarkBefore(t.Context(), 0, 1); err != nil { // waits until it is written, at a mark of its own
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	j.Close()
	j = open(t, path)
	mark, err := j.MarkBefore(t.Context(), time.Hour, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := j.Reopen(t.Context(), mark); n != 3 || err != nil {
		t.Fatalf("reopened %d, %v; want 3", n, err)
	}
	if diff := cmp.Diff(ids(6, 9), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
	if got := j.Stats().Pending; got != 4 {
		t.Errorf("%d pending, want 4", got)
	}
}

// appendUntilKilled is the other process of TestKilledProcessLosesNothing: it tells of an event once it is stored.
func appendUntilKilled(path string) {
	j, err := Open(context.Background(), path, DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for n := int(j.Last()) + 1; ; n++ {
		if err := j.Append(context.Background(), sample(n)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(sample(n).ID)
		j.Confirm(int64(n - 50))
	}
}

func TestKilledProcessLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var told []string
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "JOURNAL_TEST_APPEND="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			told = append(told, lines.Text())
			if n == 40+17*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
	}
	j := open(t, path)
	if !j.Stats().Unclean {
		t.Error("a killed process counts as a clean close")
	}
	var stored []string
	if err := List(t.Context(), path, Filter{}, func(e Entry) error { stored = append(stored, e.Event.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if extra := len(stored) - len(told); extra < 0 || extra > 5 {
		t.Fatalf("%d stored of %d", len(stored), len(told))
	}
	if diff := cmp.Diff(ids(1, len(stored)), stored); diff != "" {
		t.Error(diff)
	}
}

func TestSecondProcessIsKeptAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	open(t, path)
	_, err := Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "another thermogate has it open") {
		t.Errorf("error %v", err)
	}
}

// TestDiskThatDoesNotAnswer holds the writer up as a disk would that takes long over a sync.
func TestDiskThatDoesNotAnswer(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	release, held := make(chan struct{}), make(chan struct{})
	go j.do(t.Context(), func(*store) error { close(held); <-release; return nil })
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := j.Append(ctx, sample(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the caller's deadline", err)
	}
	var wg sync.WaitGroup
	for n := 2; n <= 100; n++ {
		wg.Go(func() {
			if err := j.Append(t.Context(), sample(n)); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	wg.Wait()
	if got := len(pendingIDs(t, j)); got != 100 {
		t.Errorf("%d events stored, want 100, the first of them too", got)
	}
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal.db")
	j := open(t, path)
	var stored []string
	n := 1
	for ; n < 5000; n++ {
		err := j.Append(t.Context(), sample(n))
		if errors.Is(err, ErrDiskFull) && errors.Is(err, ErrWaiting) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, sample(n).ID)
	}
	if n == 5000 {
		t.Fatal("the disk never was full")
	}
	if got := j.Stats(); got.Waiting != 1 || got.WaitingSince.IsZero() || !errors.Is(j.Err(), ErrDiskFull) {
		t.Errorf("stats %+v, error %v do not tell of the full disk", got, j.Err())
	}
	if diff := cmp.Diff(stored, pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	recovered(t, j)
	appendAll(t, j, n+1, n+1)
	if diff := cmp.Diff(append(stored, ids(n, n+1)...), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
	j.Close()
}

func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("skipped, a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestStartOnAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 3)
	j.Close()
	if err := os.WriteFile(filepath.Join(dir, "rest"), make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("there still is room")
	}
	j = open(t, path)
	if diff := cmp.Diff(ids(1, 3), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
}

func TestDamagedFileIsSetAside(t *testing.T) {
	for name, damage := range map[string]struct {
		do      func(path string) error
		rescued int // at least
	}{
		"not a database": {do: func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("rubbish ", 2000)), 0o600) }},
		"truncated":      {do: func(path string) error { return os.Truncate(path, 41<<10) }},
		"pages zeroed":   {do: func(path string) error { return overwrite(path, 100<<10, 8<<10) }, rescued: 200},
		"header zeroed":  {do: func(path string) error { return overwrite(path, 0, 4<<10) }},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			fill(t, path, 500)
			if err := damage.do(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil { // as after a power cut
				t.Fatal(err)
			}
			j := open(t, path)
			stats := j.Stats()
			if _, err := os.Stat(stats.SetAside); err != nil {
				t.Fatalf("set aside as %q: %v", stats.SetAside, err)
			}
			if stats.Salvaged < damage.rescued || stats.Pending != stats.Salvaged {
				t.Errorf("%d events rescued, %d pending; want at least %d", stats.Salvaged, stats.Pending, damage.rescued)
			}
			appendAll(t, j, 501, 502)
			if got := pendingIDs(t, j); len(got) != stats.Salvaged+2 || got[len(got)-1] != sample(502).ID {
				t.Errorf("%d events pending", len(got))
			}
		})
	}
}

func TestDamageWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	fill(t, path, 500)
	j := open(t, path)
	if err := overwrite(path, 8<<10, 300<<10); err != nil {
		t.Fatal(err)
	}
	pendingIDs(t, j)
	appendAll(t, j, 501, 501)
	stats := j.Stats()
	if stats.SetAside == "" {
		t.Fatal("nobody noticed")
	}
	got := pendingIDs(t, j)
	if len(got) != stats.Salvaged+1 || got[len(got)-1] != sample(501).ID {
		t.Errorf("%d events pending, %d rescued", len(got), stats.Salvaged)
	}
	if j.Last() <= 500 {
		t.Errorf("seq %d was used before", j.Last())
	}
}

func overwrite(path string, offset, length int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(make([]byte, length), offset)
	return err
}

func TestForeignDatabaseIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, "rw", "FULL")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE events (wages INTEGER)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "some other SQLite database") {
		t.Errorf("error %v", err)
	}
}

func TestUnreadableRowIsPassedOver(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	appendAll(t, j, 1, 3)
	err := j.do(t.Context(), func(s *store) error {
		_, err := execute(t.Context(), s.lazy, "UPDATE events SET body = x'7b22' WHERE seq = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := j.Pending(t.Context(), 0, j.Last(), 1)
	if err != nil || len(entries) != 1 || entries[0].Seq != 2 {
		t.Errorf("pending %v, %v; want the second event", entries, err)
	}
	if got := j.Stats(); got.Unreadable != 1 || got.Pending != 2 {
		t.Errorf("stats %+v", got)
	}
	if _, err := j.Reopen(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids(2, 3), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
}

func TestRetention(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	appendAll(t, j, 1, 20)
	j.Confirm(1, 2, 3, 4, 5, 11)
	err := j.do(t.Context(), func(*store) error {
		j.pruneAge(context.Background(), sample(10).Time.AddDate(0, 0, j.cfg.MaxAgeDays))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids(6, 20), listed(t, j)); diff != "" {
		t.Error(diff)
	}
}

func TestSizeLimitTakesConfirmedEventsFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(t.Context(), path, Config{MaxAgeDays: 1, MaxSizeMiB: 4}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	long := func(n int) event.Event {
		e := sample(n)
		e.Data.Reason = event.Reason(strings.Repeat("x", 8000))
		return e
	}
	var wg sync.WaitGroup
	for n := 1; n <= 900; n++ {
		wg.Go(func() {
			if err := j.Append(t.Context(), long(n)); err != nil {
				t.Error(err)
			}
		})
		if n == 400 || n == 900 {
			wg.Wait()
		}
		if n == 400 {
			j.Confirm(seqs(1, 200)...)
		}
	}
	if err := j.do(t.Context(), func(*store) error { j.pruneSize(context.Background()); return nil }); err != nil {
		t.Fatal(err)
	}
	stats := j.Stats()
	if stats.Dropped == 0 || stats.Pending+int(stats.Dropped) != 700 {
		t.Errorf("stats %+v: 700 were never confirmed", stats)
	}
	if got := len(listed(t, j)); got != stats.Pending {
		t.Errorf("%d events left, %d of them pending", got, stats.Pending)
	}
}

func seqs(from, to int64) []int64 {
	var seqs []int64
	for ; from <= to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

func listed(t *testing.T, j *Journal) []string {
	t.Helper()
	var ids []string
	if err := List(t.Context(), j.path, Filter{}, func(e Entry) error { ids = append(ids, e.Event.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestNobodyIsTooOldByAClockThatWasJustSet(t *testing.T) {
	clock := steadyClock{timeOfDay: start}
	steps := []struct {
		timeOfDay time.Time
		running   time.Duration
		steady    bool
	}{
		{start.Add(time.Hour), time.Hour, true},
		{start.AddDate(50, 0, 0), 2 * time.Hour, false},
		{start.AddDate(50, 0, 0).Add(time.Hour), 3 * time.Hour, true},
		{start.Add(4 * time.Hour), 4 * time.Hour, false},
	}
	for _, step := range steps {
		if got := clock.steady(step.timeOfDay, step.running); got != step.steady {
			t.Errorf("at %v: steady %v", step.timeOfDay, got)
		}
	}
}

func TestListFilters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	for n := 1; n <= 6; n++ {
		e := sample(n)
		if n%2 == 0 {
			e.Data.Outcome = event.Alert
		}
		if err := j.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	j.Confirm(1, 2)
	if _, err := j.MarkBefore(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		filter Filter
		want   []string
	}{
		"all":     {Filter{}, ids(1, 6)},
		"since":   {Filter{Since: sample(5).Time}, ids(5, 6)},
		"until":   {Filter{Until: sample(3).Time}, ids(1, 2)},
		"newest":  {Filter{Limit: 2}, ids(5, 6)},
		"pending": {Filter{Pending: true}, ids(3, 6)},
		"alerts":  {Filter{Outcome: event.Alert, Pending: true, Limit: 1}, ids(6, 6)},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := List(t.Context(), path, test.filter, func(e Entry) error {
				if e.Confirmed != (e.Seq <= 2) {
					t.Errorf("event %d confirmed %v", e.Seq, e.Confirmed)
				}
				got = append(got, e.Event.ID)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if err := List(t.Context(), filepath.Join(t.TempDir(), "none.db"), Filter{}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v for a journal that is not there", err)
	}
}

func FuzzStoredRow(f *testing.F) {
	f.Add("EVENT00001", []byte(`{"id":"EVENT00001"}`))
	f.Add("EVENT00001", []byte(`{"id":"other","data":null}`))
	f.Add("", []byte(`[1e999]`))
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		entry, err := row{seq: 1, id: id, body: body}.entry()
		if err == nil && entry.Event.ID != id {
			t.Errorf("row %q gave event %q", id, entry.Event.ID)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := open(b, filepath.Join(b.TempDir(), "journal.db"))
	for n := 0; b.Loop(); n++ {
		if err := j.Append(b.Context(), sample(n)); err != nil {
			b.Fatal(err)
		}
	}
}

package journal

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"thermogate/screening/datadir"
	"thermogate/screening/event"

	"github.com/google/go-cmp/cmp"
)

// recovered waits until the disk takes events again.
func recovered(t *testing.T, j *Journal) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); j.Err() != nil || j.Stats().Waiting > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not set right: %v", j.Err())
		}
	}
}

// appendRefused hands in events that the disk does not take.
func appendRefused(t *testing.T, j *Journal, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := j.Append(t.Context(), sample(n)); !errors.Is(err, ErrWaiting) {
			t.Fatalf("event %d: %v", n, err)
		}
	}
}

// lockOut has another program lock the journal at path, and returns what ends that.
func lockOut(t *testing.T, path string) (end func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_busy_timeout=60000")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback(); db.Close() }
}

// TestWhatTheDiskRefusesIsKept refuses in turn in each way that a disk can, and puts that right again.
func TestWhatTheDiskRefusesIsKept(t *testing.T) {
	for name, refuse := range map[string]func(t *testing.T, path string) (end func()){
		"locked by another program": lockOut,
		"full": func(t *testing.T, path string) func() {
			ballast := filepath.Join(filepath.Dir(path), "ballast")
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
				t.Fatal("there still is room")
			}
			return func() { os.Remove(ballast) }
		},
		"removed, with no room for another one": func(t *testing.T, path string) func() {
			ballast := filepath.Join(filepath.Dir(path), "ballast")
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
				t.Fatal("there still is room")
			}
			remove(t, path)
			return func() { os.Remove(ballast) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			path := filepath.Join(smallDisk(t), "journal.db")
			j := open(t, path)
			appendAll(t, j, 1, 3)
			end := refuse(t, path)
			n := 4
			for ; j.Append(t.Context(), sample(n)) == nil; n++ { // the log may still have room
			}
			appendRefused(t, j, n+1, n+5)
			hold := j.Hold(t.Context(), asked(n+6))
			appendRefused(t, j, n+7, n+7)
			if !errors.Is(hold, ErrWaiting) {
				t.Error(hold)
			}
			if got := j.Stats(); got.Waiting != 8 || got.Pending != n+7 {
				t.Errorf("%d wait, %d pending of %d", got.Waiting, got.Pending, n+7)
			}

			var waiting []string
			for _, e := range j.Waiting(0, 100) {
				waiting = append(waiting, e.Event.ID)
				j.Confirm(e.Seq)
			}
			if diff := cmp.Diff(ids(n, n+5), waiting); diff != "" {
				t.Errorf("to be published from memory: %s", diff)
			}
			if again := j.Waiting(0, 100); len(again) > 0 {
				t.Errorf("%d are to be published twice", len(again))
			}
			end()
			recovered(t, j)
			if diff := cmp.Diff(ids(1, n+5), pendingIDs(t, j)); diff != "" {
				t.Error(diff)
			}
			j.Release(answered(n + 6))
			if got := publishable(t, j, n+7); !cmp.Equal(got[n+5], answered(n+6)) {
				t.Errorf("published %+v", got[n+5])
			}
			if left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "thermogate", "*")); len(left) > 0 {
				t.Errorf("left in memory: %v, %v", left, err)
			}
		})
	}
}

func TestReleaseWhileTheDiskRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 1)
	end := lockOut(t, path)
	appendRefused(t, j, 2, 2)
	if err := j.Hold(t.Context(), asked(3)); !errors.Is(err, ErrWaiting) {
		t.Error(err)
	}
	j.Release(answered(3))
	for deadline := time.After(time.Minute); len(j.Waiting(0, 10)) < 2; {
		select {
		case <-j.Appended():
		case <-deadline:
			t.Fatal("it is not to be published")
		}
	}
	if got := j.Waiting(j.Waiting(0, 1)[0].Seq, 10); len(got) != 1 || !cmp.Equal(got[0].Event, answered(3)) {
		t.Errorf("%+v", got)
	}
	end()
	recovered(t, j)
	if got := publishable(t, j, 3)[2]; !cmp.Equal(got, answered(3)) {
		t.Errorf("published %+v", got)
	}
}

// appendRefusedUntilKilled is the other process of TestKilledWhileTheDiskRefuses.
func appendRefusedUntilKilled(path string) {
	j, err := Open(context.Background(), path, DefaultConfig(), slog.New(slog.DiscardHandler))
	for n := 1; n <= 3 && err == nil; n++ {
		err = j.Append(context.Background(), sample(n))
	}
	fmt.Println("stored", err)
	bufio.NewScanner(os.Stdin).Scan()
	for n := 4; n <= 6; n++ {
		err = j.Append(context.Background(), sample(n))
		fmt.Println(errors.Is(err, ErrWaiting))
	}
	err = j.Hold(context.Background(), asked(7))
	fmt.Println(errors.Is(err, ErrWaiting))
	select {}
}

// TestKilledWhileTheDiskRefuses kills a process that keeps in memory what the disk does not take.
func TestKilledWhileTheDiskRefuses(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "journal.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_TEST_REFUSED="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Scan()
	end := lockOut(t, path)
	fmt.Fprintln(in)
	for range 4 {
		if said.Scan(); said.Text() != "true" {
			t.Errorf("an event was not kept: %q", said.Text())
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	end()
	want := append(ids(1, 6), sample(7).ID)
	if diff := cmp.Diff(want, pendingIDs(t, open(t, path))); diff != "" {
		t.Error(diff)
	}
}

func TestSpareOfAnotherUserIsNotTaken(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "thermogate")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(folder))
	if err := os.Symlink(t.TempDir(), folder); err != nil {
		t.Fatal(err)
	}
	if _, err := datadir.InMemory(); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("error %v for a link", err)
	}
	os.Remove(folder)
	if err := os.Mkdir(folder, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := datadir.InMemory(); err == nil {
		t.Error("a folder that everybody can write to is taken")
	}
	given := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(t.TempDir(), given))
	t.Setenv("RUNTIME_DIRECTORY", given+":/elsewhere")
	if got, err := datadir.InMemory(); got != given || err != nil {
		t.Errorf("%s, %v; systemd's folder is a link where the user is made for the service", got, err)
	}
}

func TestMoreWaitThanThereIsRoomFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	end := lockOut(t, path)
	appendRefused(t, j, 1, maxWaiting)
	if err := j.Append(t.Context(), sample(maxWaiting+1)); err == nil || errors.Is(err, ErrWaiting) {
		t.Errorf("error %v for one too many", err)
	}
	if got := j.Stats().Failed; got != 1 {
		t.Errorf("%d failed", got)
	}
	for _, e := range j.Waiting(0, 2) {
		j.Confirm(e.Seq) // the broker has them: they make room
	}
	appendRefused(t, j, maxWaiting+2, maxWaiting+3)
	end()
	recovered(t, j)
	want := append(ids(3, maxWaiting), ids(maxWaiting+2, maxWaiting+3)...)
	got := pendingIDs(t, j)
	if diff := cmp.Diff(want, got[max(0, len(got)-len(want)):]); diff != "" {
		t.Error(diff)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalThatIsGoneIsMadeAnew takes the open file away in each way somebody could.
func TestJournalThatIsGoneIsMadeAnew(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, path string){
		"removed":     remove,
		"log removed": func(t *testing.T, path string) { must(t, os.Remove(path+"-wal")) },
		"renamed":     func(t *testing.T, path string) { must(t, os.Rename(path, path+".bak")) },
		"replaced": func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".other", []byte("not a journal"), 0o600))
			must(t, os.Rename(path+".other", path))
		},
		"folder removed": func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) },
		"folder renamed": func(t *testing.T, path string) { must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+"2")) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "journal.db")
			j := open(t, path)
			appendAll(t, j, 1, 20)
			j.Confirm(seqs(1, 10)...)
			if _, err := j.MarkBefore(t.Context(), 0, 1); err != nil {
				t.Fatal(err)
			}
			before := j.store
			take(t, path)
			appendAll(t, j, 21, 22) // before anybody notices, maybe
			for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
				j.mu.RLock()
				anew := j.store != before
				j.mu.RUnlock()
				if anew {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("nobody notices")
				}
			}
			appendAll(t, j, 23, 23)
			if got := j.Last(); got != 23 {
				t.Errorf("the newest is %d, want 23", got)
			}
			if _, err := Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another thermogate") {
				t.Errorf("a second one opens it: %v", err)
			}
			j.Close()
			j = open(t, path)
			if diff := cmp.Diff(ids(1, 23), listed(t, j)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(ids(11, 23), pendingIDs(t, j)); diff != "" {
				t.Error(diff)
			}
			if name == "replaced" {
				if found, _ := filepath.Glob(path + ".replaced-*"); len(found) != 1 {
					t.Errorf("set aside: %v", found)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCrashBeforeACopyIsInPlace starts where a process has made the copy and died.
func TestCrashBeforeACopyIsInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 5)
	must(t, j.store.copyTo(t.Context(), copyOf(path)))
	j.Close()
	must(t, os.Remove(path))
	must(t, os.WriteFile(path+"-wal", []byte("of the file that is gone"), 0o600))
	if diff := cmp.Diff(ids(1, 5), pendingIDs(t, open(t, path))); diff != "" {
		t.Error(diff)
	}
}

// TestNoSecondProcessWhateverIsDeleted deletes all that a lock could hang on.
func TestNoSecondProcessWhateverIsDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	open(t, path)
	left, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	for _, file := range left {
		must(t, os.Remove(filepath.Join(filepath.Dir(path), file.Name())))
	}
	if _, err := Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another thermogate has it open") {
		t.Errorf("error %v", err)
	}
}

// TestDamagedFileThatCannotBeSetAside mounts something over the folder's file, so that it can't be renamed.
func TestDamagedFileThatCannotBeSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	fill(t, path, 500)
	if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("skipped, nothing can be mounted here: %v", err)
	}
	unmount := func() { syscall.Unmount(path, syscall.MNT_DETACH) }
	t.Cleanup(unmount)
	j := open(t, path)
	must(t, overwrite(path, 8<<10, 300<<10))
	pending, err := j.Pending(t.Context(), 0, j.Last(), 1000)
	if err == nil {
		t.Fatalf("the damage is not noticed, %d pending", len(pending))
	}
	appendRefused(t, j, 501, 501)
	unmount()
	recovered(t, j)
	stats := j.Stats()
	if stats.SetAside == "" {
		t.Fatalf("%+v", stats)
	}
	got := pendingIDs(t, j)
	if len(got) != stats.Salvaged+1 || got[len(got)-1] != sample(501).ID {
		t.Errorf("%d events pending, %d rescued", len(got), stats.Salvaged)
	}
}

func TestDroppedTableIsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 1)
	must(t, j.do(t.Context(), func(s *store) error {
		_, err := s.synced.Exec("DROP TABLE events")
		return err
	}))
	appendAll(t, j, 2, 2)
	if got := j.Stats(); got.SetAside == "" {
		t.Error("nothing was set aside")
	}
	if diff := cmp.Diff(ids(2, 2), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
}

// TestEmptyFileBesideAFullLog is what a file system can leave that has lost a file and not its log.
func TestEmptyFileBesideAFullLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	appendAll(t, j, 1, 50)
	log, err := os.ReadFile(path + "-wal")
	must(t, err)
	j.Close()
	for _, left := range []string{"empty", "missing"} {
		t.Run(left, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			must(t, os.WriteFile(path+"-wal", log, 0o600))
			if left == "empty" {
				must(t, os.WriteFile(path, nil, 0o600))
			}
			j := open(t, path)
			aside := j.Stats().SetAside
			if kept, err := os.Stat(aside); aside == "" || err != nil || kept.Size() == 0 {
				t.Errorf("set aside as %q, %v", aside, err)
			}
			if diff := cmp.Diff(ids(1, 50), pendingIDs(t, j)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSlowDiskIsToldAndShared holds the writer up as a slow disk would.
func TestSlowDiskIsToldAndShared(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	release, held := make(chan struct{}), make(chan struct{})
	go j.do(t.Context(), func(*store) error { close(held); <-release; return nil })
	<-held
	var kept []<-chan error
	for n := 1; n <= 300; n++ {
		kept = append(kept, j.Keep(sample(n), false))
	}
	for deadline := time.Now().Add(2 * time.Minute); !errors.Is(j.Err(), ErrSlow); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("error %v", j.Err())
		}
	}
	if got := j.Waiting(0, 10); len(got) > 0 {
		t.Errorf("%d are to be published before they are on the slow disk", len(got))
	}
	close(release)
	for _, done := range kept {
		must(t, <-done)
	}
	if diff := cmp.Diff(ids(1, 300), pendingIDs(t, j)); diff != "" {
		t.Error(diff)
	}
	recovered(t, j)
}

// TestStartsOnADiskThatTakesNothing has the first process find its journal locked by another program, and one before that
// leave an event that is not confirmed.
func TestStartsOnADiskThatTakesNothing(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	path := filepath.Join(t.TempDir(), "journal.db")
	before := open(t, path)
	if err := before.Append(t.Context(), sample(1)); err != nil {
		t.Fatal(err)
	}
	before.Close()
	program, err := connect(path, "rw", "FULL")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if _, err := program.Exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM receivers"); err != nil {
		t.Fatal(err)
	}
	j := open(t, path)
	if err := j.Append(t.Context(), sample(2)); !errors.Is(err, ErrWaiting) {
		t.Fatalf("error %v", err)
	}
	if got := j.Waiting(0, 10); len(got) != 1 || got[0].Event.ID != sample(2).ID || j.Err() == nil || j.Last() != 0 {
		t.Errorf("%d events wait, error %v, last %d", len(got), j.Err(), j.Last())
	}
	j.Close()
	j = open(t, path)
	if waiting, _ := j.waiting.count(); waiting != 1 {
		t.Fatalf("%d events wait after a restart", waiting)
	}
	program.Close()
	recovered(t, j)
	if j.Found() != 1 || j.Last() != 2 {
		t.Errorf("found up to %d, last %d", j.Found(), j.Last())
	}
	if diff := cmp.Diff([]event.Event{sample(1), sample(2)}, publishable(t, j, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNotTheDisksFaultIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	open(t, path)
	if _, err := Open(t.Context(), path, DefaultConfig(), slog.New(slog.DiscardHandler)); err == nil || Refused(err) {
		t.Errorf("a second process: %v", err)
	}
}

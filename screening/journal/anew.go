package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"thermogate/screening/datadir"
)

// ensureFile sees to it that what is written goes to the file of the journal's name. One that was removed, renamed or
// replaced can still be read, as long as it is open: what is in it is copied to a new one.
func (j *Journal) ensureFile(ctx context.Context) error {
	if j.homeless != nil {
		return j.comeHome(ctx)
	}
	if j.aside != "" {
		return j.renew(ctx, nil)
	}
	dir := filepath.Dir(j.path)
	if now, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) && (err != nil || sameFile(now, j.lock)) && j.store.inPlace(j.path) {
		return nil
	}
	if time.Now().Before(j.madeNext) {
		return errMoved
	}
	began := time.Now()
	err := j.makeAnew(ctx, dir)
	j.madeNext = time.Now().Add(5 * time.Since(began)) // a large copy that finds no room is not made all the time
	if err != nil {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return nil
}

var errMoved = errors.New("the journal was removed, renamed or replaced while it was open, and can't be made anew")

func sameFile(info os.FileInfo, f *os.File) bool {
	held, err := f.Stat()
	return err == nil && os.SameFile(info, held)
}

// makeAnew puts a copy of the open file in its place. What lies there instead is set aside.
func (j *Journal) makeAnew(ctx context.Context, dir string) error {
	if now, err := os.Stat(dir); err != nil || !sameFile(now, j.lock) {
		lock, err := datadir.Lock(dir, "thermogate")
		if err != nil {
			return err
		}
		j.lock.Close()
		j.lock = lock
	}
	if err := j.store.copyTo(ctx, copyOf(j.path)); err != nil {
		if _, _, _, unreadable := j.store.summary(ctx); unreadable == nil {
			return err
		}
		return j.takeOver(ctx, err)
	}
	replaced, err := j.clear()
	if err != nil {
		return err
	}
	if err := putInPlace(j.path); err != nil {
		return err
	}
	if j.made, err = os.Stat(j.path); err != nil {
		return err
	}
	if err := j.change(ctx); err != nil {
		return err
	}
	j.log.Error("the journal was removed, renamed or replaced while it was open; it is made anew with all that was in it",
		"journal", j.path, "set_aside", replaced)
	return nil
}

// clear sets aside what lies in the file's place, and says as what.
func (j *Journal) clear() (replaced string, err error) {
	now, err := os.Lstat(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case os.SameFile(now, j.store.files[""]) || j.made != nil && os.SameFile(now, j.made):
		return "", nil // the one that was copied, or an earlier copy: the new one takes its place
	}
	replaced = asideName(j.path, "replaced")
	if err := os.Rename(j.path, replaced); err != nil {
		return "", err
	}
	if log, err := os.Stat(j.path + "-wal"); err != nil || os.SameFile(log, j.store.files["-wal"]) {
		return replaced, nil
	}
	return replaced, setAsideLog(j.path, replaced)
}

// takeOver opens what lies in the file's place, where the open one can't be read any more: a disk that has died and is
// mounted again.
func (j *Journal) takeOver(ctx context.Context, why error) error {
	if err := j.change(ctx); err != nil {
		return err
	}
	j.log.Error("the journal could not be read any more; the file that lies in its place now is used", "journal", j.path, "error", why)
	return nil
}

// change opens the file of the journal's name in place of the open one. Seqs go on from where they were.
func (j *Journal) change(ctx context.Context) error {
	s, err := openStore(ctx, j.path, false)
	if err != nil {
		return err
	}
	if err := s.skipTo(ctx, j.newest); err != nil {
		s.close()
		return err
	}
	before := j.store
	if err := j.adopt(ctx, s); err != nil {
		return err
	}
	before.close() // nothing to do about an error: it is not used any more
	return nil
}

// copyOf is the name of a copy that is whole and not in its place yet.
func copyOf(path string) string { return path + ".anew" }

// finishCopy puts a copy in its place that a crash has left before that.
func (j *Journal) finishCopy() error {
	os.Remove(copyOf(j.path) + ".part")
	if _, err := os.Stat(copyOf(j.path)); err != nil {
		return nil
	}
	replaced := asideName(j.path, "replaced")
	if err := os.Rename(j.path, replaced); err == nil {
		err = setAsideLog(j.path, replaced)
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return putInPlace(j.path)
}

func putInPlace(path string) error {
	for _, suffix := range []string{"-wal", "-shm"} { // of the file that is gone
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(copyOf(path), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// copyTo makes a whole and synced copy of the file.
func (s *store) copyTo(ctx context.Context, path string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := s.synced.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		os.Remove(part)
		return explain(err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// skipTo has seqs begin after last, if they do not already.
func (s *store) skipTo(ctx context.Context, last int64) error {
	n, err := execute(ctx, s.synced, "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'events'", last)
	if err == nil && n == 0 {
		_, err = execute(ctx, s.synced, "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", last)
	}
	return err
}

package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"thermogate/screening/datadir"

	"github.com/mattn/go-sqlite3"
)

// Refused tells whether it is the disk that refuses: it is full, broken, read-only or locked by another program. What is
// wrong in a configuration is not.
func Refused(err error) bool {
	for _, errno := range []error{syscall.EIO, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.ENXIO, syscall.ENODEV, syscall.ESTALE} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var e sqlite3.Error
	return errors.As(err, &e) && slices.Contains([]sqlite3.ErrNo{sqlite3.ErrIoErr, sqlite3.ErrFull, sqlite3.ErrReadonly, sqlite3.ErrBusy, sqlite3.ErrLocked}, e.Code)
}

// moveIn takes the folder and opens the file in it.
func (j *Journal) moveIn(ctx context.Context) error {
	if j.lock == nil {
		lock, err := datadir.Lock(filepath.Dir(j.path), "thermogate")
		if err != nil {
			return err
		}
		j.lock = lock
	}
	if _, err := os.Stat(j.path + "-wal"); err == nil {
		j.statsMu.Lock()
		j.stats.Unclean = true
		j.statsMu.Unlock()
	}
	if err := j.finishCopy(); err != nil {
		return err
	}
	if err := j.openStore(ctx); err != nil {
		return err
	}
	j.confirmClock = j.lastConfirmed.Load()
	j.found.Store(j.newest)
	return j.releaseHeld(ctx)
}

// doWithout has an empty file in memory stand in for one that can't be opened. Nothing is ever stored in it.
func (j *Journal) doWithout(ctx context.Context, why error) error {
	folder, err := datadir.InMemory()
	if err != nil {
		return why
	}
	if folder, err = os.MkdirTemp(folder, "journal-"); err != nil {
		return why
	}
	defer os.RemoveAll(folder) // it stays open
	s, err := openStore(ctx, filepath.Join(folder, "journal.db"), false)
	if err != nil {
		return why
	}
	if j.store != nil {
		j.store.close()
	}
	j.unlock() // a disk whose folder is in use can't be taken out
	j.homeless = why
	return j.adopt(ctx, s)
}

// comeHome opens the file once the disk has it again.
func (j *Journal) comeHome(ctx context.Context) error {
	standIn := j.store
	err := j.moveIn(ctx)
	if j.store == standIn {
		j.unlock() // a disk whose folder is in use can't be taken out
		return err
	}
	j.homeless = nil
	standIn.close() // nothing to do about an error: nothing was in it
	if err != nil {
		return err
	}
	j.log.Info("the journal could be opened", "journal", j.path, "events", j.newest)
	return nil
}

func (j *Journal) unlock() {
	if j.lock != nil {
		j.lock.Close()
		j.lock = nil
	}
}

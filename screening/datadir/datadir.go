// Package datadir looks after the folder in which a program keeps its data. It knows nothing of what that is.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Lock keeps a second program of its kind away from a folder, which it makes if need be, until the file it returns is
// closed. It is the folder itself that is locked: a file in it can be deleted, and then locked once more.
func Lock(dir, kind string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another %s has it open", kind)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the folder %s: %w", dir, err)
	}
	return f, nil
}

// Replace replaces the file at path whole by value as JSON, so that a power cut leaves the old one or the new one.
func Replace(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return Write(path, data)
}

// Write likewise replaces the file at path by data. Only the program's own user can read it.
func Write(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// InMemory returns a folder for this user alone that outlasts the process but no reboot: what systemd gives the service for such
// files, else the session, else shared memory.
func InMemory() (string, error) {
	if given, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); given != "" {
		return given, nil
	}
	folder := "/dev/shm/thermogate-" + strconv.Itoa(os.Geteuid())
	if given := os.Getenv("XDG_RUNTIME_DIR"); given != "" {
		folder = filepath.Join(given, "thermogate")
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(folder) // somebody else may have been there first
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder that only this user can write to", folder)
	}
	return folder, nil
}

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// Backup is a copy of an SQLite store, one file that is whole and was looked through.
type Backup struct {
	Path   string
	Bytes  int64
	SHA256 string // of the file, hexadecimal
	Events int64
	Audit  AuditEnd // zero for one of before the audit had numbers
}

// Backup copies the store to a new file, which only its owner can read, while the console goes on with its work. Nothing of
// what was deleted is in it. Who holds it can see all that the console keeps of people, so the audit has a line of it.
func (s *Store) Backup(ctx context.Context, to string, by Author) (Backup, error) {
	if s.postgres {
		return Backup{}, errors.New("PostgreSQL has its own backups: pg_dump --format=custom --file=FILE DATABASE makes one while the console runs, and pg_restore --create puts it into an empty server")
	}
	backup, err := s.backup(ctx, to, by)
	if err != nil {
		return Backup{}, fmt.Errorf("backing the store up to %s: %w", to, err)
	}
	return backup, nil
}

func (s *Store) backup(ctx context.Context, to string, by Author) (Backup, error) {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return Backup{}, errors.Join(err, errors.New("there is something of this name; a backup takes the place of nothing"))
	}
	part := to + ".part"
	file, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return Backup{}, err
	}
	defer os.Remove(part)
	defer file.Close()
	name, err := filepath.Abs(to)
	if err == nil {
		err = s.Note(ctx, AuditLine{By: by, What: BackedUp, Detail: name})
	}
	if err == nil {
		_, err = s.write.ExecContext(ctx, "VACUUM INTO $1", part)
	}
	var backup Backup
	if err == nil {
		backup, err = checkBackup(ctx, part)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(part, to)
	}
	if err == nil {
		err = syncDir(filepath.Dir(name))
	}
	backup.Path = to
	return backup, err
}

// checkBackup looks through a file that is to be a backup.
func checkBackup(ctx context.Context, path string) (backup Backup, err error) {
	backup.Path = path
	if backup.Bytes, backup.SHA256, err = digestOf(path); err != nil {
		return backup, err
	}
	s, err := openCopy(path)
	if err != nil {
		return backup, err
	}
	defer s.Close()
	var verdict string
	if err := s.read.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return backup, fmt.Errorf("it is no backup of a console: %w", err)
	}
	if verdict != "ok" {
		return backup, fmt.Errorf("it is damaged: %s", verdict)
	}
	var is int64
	if err := s.read.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&is); err != nil {
		return backup, fmt.Errorf("it is no backup of a console: %w", err)
	}
	provider, err := s.migrations()
	if err != nil {
		return backup, err
	}
	sources := provider.ListSources()
	if err := newer(is, sources[len(sources)-1].Version); err != nil {
		return backup, err
	}
	if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM events").Scan(&backup.Events); err != nil {
		return backup, err
	}
	if is >= chainedSince {
		backup.Audit, _, err = s.VerifyAudit(ctx)
	}
	return backup, err
}

// chainedSince is the version of the tables from which on the audit is a chain.
const chainedSince = 8

// openCopy opens a file that nobody changes.
func openCopy(path string) (*Store, error) {
	name, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: url.Values{"mode": {"ro"}, "immutable": {"true"}, "_query_only": {"true"}}.Encode()}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	s := newStore(Config{File: name}, slog.New(slog.DiscardHandler))
	s.read, s.write = db, db
	return s, nil
}

func digestOf(path string) (bytes int64, sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	digest := sha256.New()
	bytes, err = io.Copy(digest, file)
	return bytes, hex.EncodeToString(digest.Sum(nil)), err
}

// Restore puts a backup in the place of a store that is not there, and brings its tables up to date.
func Restore(ctx context.Context, cfg Config, from string, by Author, log *slog.Logger) (Backup, error) {
	backup, err := restore(ctx, cfg, from, by, log)
	if err != nil {
		return Backup{}, fmt.Errorf("restoring %s: %w", from, err)
	}
	return backup, nil
}

func restore(ctx context.Context, cfg Config, from string, by Author, log *slog.Logger) (Backup, error) {
	if err := cfg.Validate(); err != nil {
		return Backup{}, fmt.Errorf("store.%w", err)
	}
	if cfg.PostgreSQL != "" {
		return Backup{}, errors.New("PostgreSQL has its own backups: pg_restore --create --dbname=postgres FILE puts one into an empty server")
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(cfg.File + suffix); !errors.Is(err, fs.ErrNotExist) {
			return Backup{}, errors.Join(err, fmt.Errorf("%s is there already: stop the console, and move it and the files beside it away first", cfg.File+suffix))
		}
	}
	backup, err := checkBackup(ctx, from)
	if err != nil {
		return backup, err
	}
	if err := copyFile(from, cfg.File); err != nil {
		return backup, err
	}
	s, err := Open(ctx, cfg, log)
	if err != nil {
		return backup, err
	}
	defer s.Close()
	return backup, s.Note(ctx, AuditLine{By: by, What: Restored, Detail: from + " sha256=" + backup.SHA256})
}

// copyFile makes a copy that its owner alone can read, and that is whole once it is there. Made by root, it belongs to whom its
// folder belongs: the console runs as a user of its own.
func copyFile(from, to string) error {
	folder := filepath.Dir(to)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	part, err := os.OpenFile(to+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = io.Copy(part, source)
	if err == nil && os.Geteuid() == 0 {
		err = giveTo(folder, part)
	}
	if err := errors.Join(err, part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), to); err != nil {
		return err
	}
	return syncDir(folder)
}

// giveTo gives a file to the user and the group that a folder belongs to.
func giveTo(folder string, file *os.File) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}

func syncDir(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

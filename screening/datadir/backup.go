package datadir

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	_ "github.com/mattn/go-sqlite3" // opens what is copied
)

// A backup is one zip file: those of the folder by their names, SQLite databases as copies that are whole, and contentsName,
// which says what has to be in it.
const (
	contentsName     = "thermogate-backup.json"
	backupVersion    = 1
	maxContentsBytes = 16 << 20
	sqliteMagic      = "SQLite format 3\x00"
	ofTheDisk        = "lost+found" // lies in a folder that is a disk of its own
)

// Backup is what is in a backup, and of whom.
type Backup struct {
	Version int       `json:"version"` // of this form
	Of      string    `json:"of"`      // whose folder it is
	Program string    `json:"program"` // version of the program that made it
	Made    time.Time `json:"made"`
	Files   []File    `json:"files"`

	Bytes   int64    `json:"-"` // of the backup
	SHA256  string   `json:"-"` // of the backup
	LeftOut []string `json:"-"` // what lies in the folder and is not in it
}

// File is one of a backup.
type File struct {
	Name   string `json:"name"` // in the folder, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Plan says what of a folder is put into a backup.
type Plan struct {
	Of, Program string
	First       string                 // the file that is copied before all others
	LeavesOut   func(name string) bool // by its name in the folder, with slashes; true for a folder leaves out all in it
}

// Save copies a folder to a new file, which only its owner can read, while the program that the folder belongs to goes on with
// its work. It looks the file through before it gives it its name.
func Save(ctx context.Context, dir, to string, plan Plan) (Backup, error) {
	backup, err := save(ctx, dir, to, plan)
	if err != nil {
		return Backup{}, fmt.Errorf("backing %s up to %s: %w", dir, to, err)
	}
	return backup, nil
}

func save(ctx context.Context, dir, to string, plan Plan) (Backup, error) {
	if _, err := os.Lstat(to); err == nil {
		return Backup{}, errors.New("there is something of this name; a backup takes the place of nothing")
	}
	if inside, err := within(dir, to); err != nil {
		return Backup{}, err
	} else if inside {
		return Backup{}, errors.New("it would lie in the folder itself, and be lost with it; name a file elsewhere")
	}
	backup := Backup{Version: backupVersion, Of: plan.Of, Program: plan.Program, Made: time.Now().UTC().Truncate(time.Second)}
	names, leftOut, err := plan.names(dir)
	if err != nil {
		return Backup{}, err
	}
	if len(names) == 0 {
		return Backup{}, errors.New("there is nothing in it to copy")
	}
	work, err := os.MkdirTemp(filepath.Dir(to), ".thermogate-backup-*")
	if err != nil {
		return Backup{}, err
	}
	defer os.RemoveAll(work)
	part := filepath.Join(work, "backup")
	file, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return Backup{}, err
	}
	defer file.Close()
	if err := backup.write(ctx, file, dir, work, names); err != nil {
		return Backup{}, err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return Backup{}, err
	}
	looked, err := lookThrough(part, nil)
	if err != nil {
		return Backup{}, err
	}
	looked.LeftOut = leftOut
	if err := os.Rename(part, to); err != nil {
		return Backup{}, err
	}
	return looked, syncDir(filepath.Dir(to))
}

// within says whether the file to lies in a folder.
func within(dir, to string) (bool, error) {
	folder, err := realPath(dir)
	if err != nil {
		return false, err
	}
	parent, err := realPath(filepath.Dir(to))
	if err != nil {
		return false, err
	}
	relative, err := filepath.Rel(folder, parent)
	return err == nil && filepath.IsLocal(relative), err
}

func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// names are the files to be copied, in that order, and what is left out.
func (p Plan) names(dir string) (names, leftOut []string, err error) {
	root, err := realPath(dir)
	if err != nil {
		return nil, nil, err
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil // gone meanwhile
		}
		if err != nil || path == root {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		passing := name == ofTheDisk || strings.HasPrefix(entry.Name(), ".") || strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm")
		switch {
		case passing || p.LeavesOut(name) || !entry.IsDir() && !entry.Type().IsRegular():
			if !passing {
				leftOut = append(leftOut, name)
			}
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir():
			names = append(names, name)
		}
		return nil
	})
	if i := slices.Index(names, p.First); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, p.First)
	}
	return names, leftOut, err
}

func (b *Backup) write(ctx context.Context, to io.Writer, dir, work string, names []string) error {
	archive := zip.NewWriter(to)
	for _, name := range names {
		file, err := b.add(ctx, archive, filepath.Join(dir, filepath.FromSlash(name)), name, work)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.Files = append(b.Files, file)
	}
	contents, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	w, err := archive.Create(contentsName)
	if err == nil {
		_, err = w.Write(contents)
	}
	return errors.Join(err, archive.Close())
}

// add puts a file into the archive, of a database a copy.
func (b *Backup) add(ctx context.Context, archive *zip.Writer, path, name, work string) (File, error) {
	database, err := isDatabase(path)
	if err != nil {
		return File{}, err
	}
	if database {
		whole := filepath.Join(work, "database")
		if err := copyDatabase(ctx, path, whole); err != nil {
			return File{}, err
		}
		defer os.Remove(whole)
		path = whole
	}
	source, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer source.Close()
	w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.Made})
	if err != nil {
		return File{}, err
	}
	digest := sha256.New()
	copied, err := io.Copy(io.MultiWriter(w, digest), source)
	return File{name, copied, hex.EncodeToString(digest.Sum(nil))}, err
}

func isDatabase(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	begin := make([]byte, len(sqliteMagic))
	_, err = io.ReadFull(file, begin)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		_, err = os.Stat(path + "-wal") // all of a young one may be in its log
		return err == nil, nil
	}
	return string(begin) == sqliteMagic, err
}

// copyDatabase makes a whole copy of an SQLite database that others may be writing to, and looks it through.
func copyDatabase(ctx context.Context, from, to string) error {
	if err := onDatabase(from, url.Values{"mode": {"ro"}, "_busy_timeout": {"10000"}}, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "VACUUM INTO ?", to)
		return err
	}); err != nil {
		return err
	}
	return onDatabase(to, url.Values{"mode": {"ro"}, "immutable": {"true"}}, func(db *sql.DB) error {
		var verdict string
		err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict)
		if err == nil && verdict != "ok" {
			err = fmt.Errorf("it is damaged: %s", verdict)
		}
		return err
	})
}

func onDatabase(path string, how url.Values, do func(*sql.DB) error) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: absolute, RawQuery: how.Encode()}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	return do(db)
}

// Restore puts a backup into a folder, which must be empty or not be there yet, and keeps other programs of its kind away
// meanwhile. ready may look at the files, and change them, before they are put in their places, first before all others; where
// it fails, or the backup is damaged or was made by a newer program, the folder is left empty. Files belong to whom the folder belongs.
func Restore(dir, kind, from, first string, ready func(Backup, string) error) (Backup, error) {
	backup, err := restore(dir, kind, from, first, ready)
	if err != nil {
		return Backup{}, fmt.Errorf("restoring %s to %s: %w", from, dir, err)
	}
	return backup, nil
}

func restore(dir, kind, from, first string, ready func(Backup, string) error) (Backup, error) {
	if _, err := lookThrough(from, nil); err != nil { // before anything is made
		return Backup{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Backup{}, err
	}
	lock, err := Lock(dir, kind)
	if err != nil {
		return Backup{}, err
	}
	defer lock.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Backup{}, err
	}
	entries = slices.DeleteFunc(entries, func(entry fs.DirEntry) bool { return entry.Name() == ofTheDisk })
	if len(entries) > 0 {
		return Backup{}, fmt.Errorf("the folder is not empty (%s): stop the program that it belongs to, and move it away first", entries[0].Name())
	}
	work, err := os.MkdirTemp(dir, ".restore-*")
	if err != nil {
		return Backup{}, err
	}
	defer os.RemoveAll(work)
	backup, err := lookThrough(from, func(name string) (io.WriteCloser, error) {
		path := filepath.Join(work, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	})
	if err != nil {
		return Backup{}, err
	}
	if err := ready(backup, work); err != nil {
		return Backup{}, err
	}
	return backup, settle(work, dir, first)
}

// settle syncs what lies in the folder work and moves it to dir.
func settle(work, dir, first string) error {
	owner, err := os.Stat(dir)
	if err != nil {
		return err
	}
	uid, gid := -1, -1
	if is, ok := owner.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		uid, gid = int(is.Uid), int(is.Gid)
	}
	err = filepath.WalkDir(work, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(os.Lchown(path, uid, gid), syncDir(path))
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	names := []string{first}
	for _, entry := range entries {
		if entry.Name() != first {
			names = append(names, entry.Name())
		}
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(work, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// syncDir has the disk keep a folder, or a file, as it is.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// lookThrough reads a backup to its end and compares it to what it says of itself. Its files go to where put says, or nowhere
// where that is nil.
func lookThrough(path string, put func(name string) (io.WriteCloser, error)) (Backup, error) {
	file, err := os.Open(path)
	if err != nil {
		return Backup{}, err
	}
	defer file.Close()
	digest := sha256.New()
	size, err := io.Copy(digest, file)
	if err != nil {
		return Backup{}, err
	}
	archive, err := zip.NewReader(file, size)
	if err != nil {
		return Backup{}, fmt.Errorf("it is damaged, or no backup of a gate: %w", err)
	}
	backup, err := readContents(archive)
	if err != nil {
		return Backup{}, err
	}
	backup.Bytes, backup.SHA256 = size, hex.EncodeToString(digest.Sum(nil))
	if len(archive.File) != len(backup.Files)+1 {
		return Backup{}, fmt.Errorf("it is damaged: it has %d files beside its contents, and should have %d", len(archive.File)-1, len(backup.Files))
	}
	seen := map[string]bool{contentsName: true}
	for _, f := range backup.Files {
		if !fs.ValidPath(f.Name) || f.Name == "." || strings.Contains(f.Name, `\`) || strings.ContainsFunc(f.Name, unprintable) || seen[f.Name] {
			return Backup{}, fmt.Errorf("it is no backup: %.100q is the name of no file in it", f.Name)
		}
		seen[f.Name] = true
		if err := f.read(archive, put); err != nil {
			return Backup{}, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return backup, nil
}

func readContents(archive *zip.Reader) (backup Backup, err error) {
	f, err := archive.Open(contentsName)
	if err != nil {
		return backup, fmt.Errorf("it is no backup of a gate: %w", err)
	}
	defer f.Close()
	contents, err := io.ReadAll(io.LimitReader(f, maxContentsBytes))
	if err != nil {
		return backup, fmt.Errorf("it is damaged: %w", err)
	}
	if err := json.Unmarshal(contents, &backup); err != nil {
		return backup, fmt.Errorf("it is damaged: %s: %w", contentsName, err)
	}
	if strings.ContainsFunc(backup.Of+backup.Program, unprintable) {
		return backup, errors.New("it is no backup of a gate: no gate and no program has a name such as it tells")
	}
	if backup.Version > backupVersion {
		return backup, fmt.Errorf("it was made by a newer thermogate (%s): use that, or a later one", backup.Program)
	}
	return backup, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// read compares the file in the archive to what it should be.
func (f File) read(archive *zip.Reader, put func(name string) (io.WriteCloser, error)) error {
	source, err := archive.Open(f.Name)
	if err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	defer source.Close()
	digest := sha256.New()
	var to io.Writer = digest
	var kept io.WriteCloser
	if put != nil {
		if kept, err = put(f.Name); err != nil {
			return err
		}
		defer kept.Close()
		to = io.MultiWriter(digest, kept)
	}
	size, err := io.Copy(to, io.LimitReader(source, f.Bytes+1))
	var disk *fs.PathError
	switch {
	case errors.As(err, &disk):
		return err
	case err != nil:
		return fmt.Errorf("it is damaged: %w", err)
	case size != f.Bytes || hex.EncodeToString(digest.Sum(nil)) != f.SHA256:
		return errors.New("it is damaged: it is not what was copied")
	case kept != nil:
		return kept.Close()
	}
	return nil
}

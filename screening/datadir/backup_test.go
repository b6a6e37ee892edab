package datadir

import (
	"archive/zip"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// folder has a database that is being written to, files, and what is not to be copied.
func folder(t *testing.T) (dir string, db *sql.DB) {
	t.Helper()
	dir = t.TempDir()
	put(t, filepath.Join(dir, "memory.json"), "{}")
	put(t, filepath.Join(dir, "keys", "gate.pem"), "a key")
	put(t, filepath.Join(dir, "clips", "1.tiff"), "a picture")
	put(t, filepath.Join(dir, ".memory.json-123"), "half")
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: filepath.Join(dir, "journal.db"), RawQuery: "_journal_mode=WAL"}).String())
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	_, err = db.Exec("CREATE TABLE events (id TEXT); INSERT INTO events VALUES ('first')")
	must(t, err)
	return dir, db
}

var plan = Plan{Of: "plant/north", Program: "v1", First: "journal.db", LeavesOut: func(name string) bool { return name == "clips" }}

func asItIs(Backup, string) error { return nil }

func TestBackupOfAFolderInUse(t *testing.T) {
	dir, db := folder(t)
	lock, err := Lock(dir, "gate")
	must(t, err)
	defer lock.Close()
	file := filepath.Join(t.TempDir(), "backup")
	made, err := Save(t.Context(), dir, file, plan)
	must(t, err)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; it holds keys", info.Mode(), err)
	}
	if beside, err := os.ReadDir(filepath.Dir(file)); err != nil || len(beside) != 1 {
		t.Errorf("beside it are %v", beside)
	}
	if want := []string{"clips", "link"}; !slices.Equal(made.LeftOut, want) {
		t.Errorf("left out %v, want %v", made.LeftOut, want)
	}
	_, err = db.Exec("INSERT INTO events VALUES ('after the backup')")
	must(t, err)

	to := filepath.Join(t.TempDir(), "data")
	must(t, os.MkdirAll(filepath.Join(to, "lost+found"), 0o700)) // of a new disk
	got, err := Restore(to, "gate", file, "journal.db", asItIs)
	must(t, err)
	var names []string
	for _, f := range got.Files {
		names = append(names, f.Name)
	}
	if want := []string{"journal.db", "keys/gate.pem", "memory.json"}; !slices.Equal(names, want) || got.Of != "plant/north" || got.SHA256 != made.SHA256 {
		t.Errorf("restored %+v, made %+v", got, made)
	}
	if key, err := os.ReadFile(filepath.Join(to, "keys", "gate.pem")); err != nil || string(key) != "a key" {
		t.Errorf("%q, %v", key, err)
	}
	must(t, filepath.WalkDir(to, func(path string, _ fs.DirEntry, _ error) error {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	}))
	var events []string
	must(t, onDatabase(filepath.Join(to, "journal.db"), nil, func(db *sql.DB) error {
		rows, err := db.Query("SELECT id FROM events")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			must(t, rows.Scan(&id))
			events = append(events, id)
		}
		return rows.Err()
	}))
	if !slices.Equal(events, []string{"first"}) {
		t.Errorf("events %v", events)
	}
}

func TestBackupTakesThePlaceOfNothing(t *testing.T) {
	dir, _ := folder(t)
	there := filepath.Join(t.TempDir(), "there")
	put(t, there, "something")
	for _, to := range []string{there, filepath.Join(dir, "backup"), filepath.Join(dir, "keys", "backup"), filepath.Join(t.TempDir(), "no", "folder")} {
		if _, err := Save(t.Context(), dir, to, plan); err == nil {
			t.Errorf("backed up to %s", to)
		}
	}
	if text, _ := os.ReadFile(there); string(text) != "something" {
		t.Errorf("it holds %q", text)
	}
}

func TestDamagedDatabaseIsNoBackup(t *testing.T) {
	dir, db := folder(t)
	_, err := db.Exec("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n WHERE i < 5000) INSERT INTO events SELECT hex(randomblob(50)) FROM n; PRAGMA wal_checkpoint(TRUNCATE)")
	must(t, errors.Join(err, db.Close()))
	file, err := os.OpenFile(filepath.Join(dir, "journal.db"), os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt(make([]byte, 8192), 40960)
	must(t, errors.Join(err, file.Close()))
	if _, err := Save(t.Context(), dir, filepath.Join(t.TempDir(), "backup"), plan); err == nil || !strings.Contains(err.Error(), "journal.db") {
		t.Errorf("error %v", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir, _ := folder(t)
	good := filepath.Join(t.TempDir(), "backup")
	_, err := Save(t.Context(), dir, good, plan)
	must(t, err)
	whole, err := os.ReadFile(good)
	must(t, err)
	file := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "backup")
		must(t, os.WriteFile(path, data, 0o600))
		return path
	}
	flipped := slices.Clone(whole)
	flipped[100] ^= 1 // in the journal
	for name, c := range map[string]struct{ from, says string }{
		"cut short":         {file(whole[:len(whole)-100]), "damaged"},
		"one bit":           {file(flipped), "damaged"},
		"something else":    {file([]byte("hello")), "no backup"},
		"nothing":           {filepath.Join(t.TempDir(), "none"), "no such file"},
		"newer":             {rewritten(t, good, func(text string) string { return strings.Replace(text, `"version": 1`, `"version": 2`, 1) }, nil), "newer thermogate (v1)"},
		"other contents":    {rewritten(t, good, func(text string) string { return strings.Replace(text, `"sha256": "`, `"sha256": "0`, 1) }, nil), "damaged"},
		"a file too many":   {rewritten(t, good, nil, map[string]string{"more": "more"}), "damaged"},
		"out of the folder": {rewritten(t, good, func(text string) string { return strings.Replace(text, "keys/gate.pem", "../gate.pem", 1) }, nil), "name of no file"},
		"a file twice":      {rewritten(t, good, func(text string) string { return strings.Replace(text, "keys/gate.pem", "memory.json", 1) }, nil), "damaged"},
		"a file's name":     {rewritten(t, good, func(text string) string { return strings.Replace(text, "keys/gate.pem", `keys/\u001b[31m`, 1) }, nil), "name of no file"},
		"commands":          {rewritten(t, good, func(text string) string { return strings.Replace(text, `"v1"`, `"\u001b]0;x\u0007"`, 1) }, nil), "name such as"},
		"not a zip of ours": {rewritten(t, good, func(string) string { return "[]" }, nil), "damaged"},
	} {
		to := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(to, "gate", c.from, "journal.db", asItIs); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(to); len(left) > 0 {
			t.Errorf("%s leaves %v", name, left)
		}
	}
	if _, err := Restore(dir, "gate", good, "journal.db", asItIs); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with something in it: %v", err)
	}
	empty := t.TempDir()
	lock, err := Lock(empty, "gate")
	must(t, err)
	if _, err := Restore(empty, "gate", good, "journal.db", asItIs); err == nil || !strings.Contains(err.Error(), "another gate has it open") {
		t.Errorf("a folder in use: %v", err)
	}
	lock.Close()
	unready := errors.New("unready")
	if _, err := Restore(empty, "gate", good, "journal.db", func(Backup, string) error { return unready }); !errors.Is(err, unready) {
		t.Errorf("error %v", err)
	}
	_, err = Restore(empty, "gate", good, "journal.db", asItIs)
	must(t, err)
}

// rewritten is a backup with other contents, or more files.
func rewritten(t *testing.T, from string, contents func(string) string, more map[string]string) string {
	t.Helper()
	old, err := zip.OpenReader(from)
	must(t, err)
	defer old.Close()
	path := filepath.Join(t.TempDir(), "backup")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	archive := zip.NewWriter(file)
	add := func(name, text string) {
		w, err := archive.Create(name)
		must(t, err)
		_, err = io.WriteString(w, text)
		must(t, err)
	}
	for _, f := range old.File {
		r, err := f.Open()
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		if f.Name == contentsName && contents != nil {
			text = []byte(contents(string(text)))
		}
		add(f.Name, string(text))
	}
	for name, text := range more {
		add(name, text)
	}
	must(t, archive.Close())
	return path
}

func TestBackupEndsWithItsContext(t *testing.T) {
	dir, _ := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := Save(ctx, dir, to, plan); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(to)); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

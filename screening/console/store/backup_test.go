package store

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"thermogate/screening/console/postgrestest"
)

// TestBackupWhileItRuns copies a store into which events come, and restores it into an empty folder.
func TestBackupWhileItRuns(t *testing.T) {
	cfg := config(t, "SQLite")
	running := open(t, cfg)
	m := newMaker(t, north)
	add(t, running, m.pass(morning))
	stop := make(chan struct{})
	var coming sync.WaitGroup
	coming.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				if _, err := running.Append(t.Context(), []Event{m.pass(morning.Add(time.Duration(n) * time.Second))}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	beside, err := Look(t.Context(), cfg, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	file := filepath.Join(t.TempDir(), "backup.db")
	backup, err := beside.Backup(t.Context(), file, Author{Account: "$ root"})
	close(stop)
	coming.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() != backup.Bytes || backup.Events == 0 {
		t.Errorf("%+v, %v, %v", backup, info, err)
	}
	if _, err := beside.Backup(t.Context(), file, Author{}); err == nil {
		t.Error("a backup is written over")
	}
	elsewhere := cfg
	elsewhere.File = filepath.Join(t.TempDir(), "new", "console.db")
	restored, err := Restore(t.Context(), elsewhere, file, Author{Account: "$ root"}, quietLog)
	if err != nil || restored.SHA256 != backup.SHA256 || restored.Events != backup.Events {
		t.Fatalf("%+v, %v", restored, err)
	}
	if _, err := Restore(t.Context(), elsewhere, file, Author{}, quietLog); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over a store: %v", err)
	}
	again := open(t, elsewhere)
	if got := ids(t, again); int64(len(got)) != min(1000, backup.Events) {
		t.Errorf("%d of %d events", len(got), backup.Events)
	}
	if _, _, err := again.VerifyAudit(t.Context(), backup.Audit); err != nil {
		t.Error(err)
	}
	if lines, err := again.Audit(t.Context(), AuditFilter{What: Restored}, 2); err != nil || len(lines) != 1 || !strings.Contains(lines[0].Detail, backup.SHA256) {
		t.Errorf("%+v, %v", lines, err)
	}
}

func TestRefusedBackups(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.db")
	s := open(t, config(t, "SQLite"))
	add(t, s, newMaker(t, north).pass(morning))
	if _, err := s.Backup(t.Context(), good, admin); err != nil {
		t.Fatal(err)
	}
	edit := func(statement string) func(string) error {
		return func(path string) error {
			cfg := s.cfg
			cfg.File = path
			change, err := Look(t.Context(), cfg, quietLog)
			if err != nil {
				return err
			}
			defer change.Close()
			_, err = change.write.ExecContext(t.Context(), statement)
			return err
		}
	}
	for want, spoil := range map[string]func(string) error{
		"it is of a newer console (version 99 of its tables, this program knows those up to": edit("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"),
		"the audit was changed after it was written: line 1":                                 edit("UPDATE audit SET who = 'nobody'"),
		"it is no backup of a console": func(path string) error {
			return os.WriteFile(path, []byte("not a database, and long enough to be read as one"), 0o600)
		},
		"it is damaged": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := len(data) / 2; i < len(data)/2+8192; i++ {
				data[i] ^= 0x5a
			}
			return os.WriteFile(path, data, 0o600)
		},
		"no such file": os.Remove,
	} {
		cfg := s.cfg
		cfg.File = filepath.Join(t.TempDir(), "empty", "console.db")
		path := filepath.Join(t.TempDir(), "backup.db")
		if err := copyFile(good, path); err != nil {
			t.Fatal(err)
		}
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), cfg, path, admin, quietLog); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := os.Stat(cfg.File); err == nil {
			t.Errorf("%s: it is restored all the same", want)
		}
	}
}

// TestLookWhereNoStoreIs makes none, and says how the config names one.
func TestLookWhereNoStoreIs(t *testing.T) {
	cfg := config(t, "SQLite")
	if _, err := Look(t.Context(), cfg, quietLog); err == nil || !strings.Contains(err.Error(), cfg.File+": there is none; name it under store.file") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(cfg.File); err == nil {
		t.Error("looking has made a store")
	}
}

// TestNewerStore has a store that a newer console has opened.
func TestNewerStore(t *testing.T) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		cfg := config(t, kind)
		s := open(t, cfg)
		if _, err := s.write.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, TRUE)"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if _, err := Open(t.Context(), cfg, quietLog); err == nil || !strings.Contains(err.Error(), "newer console") {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := Look(t.Context(), cfg, quietLog); err == nil || !strings.Contains(err.Error(), "newer console") {
			t.Errorf("looking at %s: %v", kind, err)
		}
	}
}

// TestPostgreSQLByItsOwnTools does what the operators' page says: pg_dump while the console runs, pg_restore into an empty
// server that knows the console's user.
func TestPostgreSQLByItsOwnTools(t *testing.T) {
	old, err := server()
	if err != nil {
		t.Fatal(err)
	}
	empty, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(empty.Stop)
	onEmpty, err := empty.Database()
	if err != nil {
		t.Fatal(err)
	}
	onOld, err := old.Database()
	if err != nil {
		t.Fatal(err)
	}
	tool := func(name, at string, args ...string) {
		t.Helper()
		server, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", name, err)
		}
		command := exec.Command(found[len(found)-1], args...)
		command.Env = append(os.Environ(), "PGUSER=test", "PGHOST="+server.Query().Get("host"))
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	tool("createuser", onOld, "console")
	tool("createdb", onOld, "--owner=console", "console")
	as := func(at string) Config {
		server, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		cfg.PostgreSQL = "postgres://console@/console?host=" + url.QueryEscape(server.Query().Get("host"))
		return cfg
	}
	running := open(t, as(onOld))
	m := newMaker(t, north)
	add(t, running, m.pass(morning), m.alert(morning.Add(time.Minute)))
	if err := running.Note(t.Context(), AuditLine{By: Author{Account: "$ root"}, What: BackedUp, Detail: "pg_dump"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "console.dump")
	tool("pg_dump", onOld, "--format=custom", "--file="+file, "console")
	add(t, running, m.pass(morning.Add(time.Hour)))

	tool("createuser", onEmpty, "console")
	tool("pg_restore", onEmpty, "--create", "--dbname=postgres", file)
	restored := open(t, as(onEmpty))
	events, err := restored.Events(t.Context(), Filter{}, 10)
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if _, lines, err := restored.VerifyAudit(t.Context()); err != nil || lines == 0 {
		t.Errorf("%d lines of the audit, %v", lines, err)
	}
	add(t, restored, m.pass(morning.Add(2*time.Hour))) // and it goes on
}

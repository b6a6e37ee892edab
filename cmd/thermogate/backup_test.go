package main

import (
	"archive/zip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/testdata"
)

func unplugged(context.Context) (camera.Source, error) { return nil, errors.New("unplugged") }

// TestGateIsBackedUpAndRestored backs a gate up that works, with its own broker, and puts it into another folder.
func TestGateIsBackedUpAndRestored(t *testing.T) {
	dir := t.TempDir()
	config := func(gate, data string) string {
		return writeFile(t, "gate.yaml", fmt.Sprintf("site: plant\ngate: %s\ndata_dir: %s\nhttp:\n  listen: %s\nbroker:\n  listen: %s\n",
			gate, data, testdata.FreeAddress(t), testdata.FreeAddress(t)))
	}
	path := config("north", filepath.Join(dir, "data"))
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStation(t.Context(), c, unplugged, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.run(ctx) }()
	shown := []verdict{decided(event.Pass), decided(event.Alert)}
	for _, v := range shown {
		s.verdicts <- v
	}
	for s.journal.Stats().Stored < 2 {
		time.Sleep(time.Millisecond)
	}
	for _, name := range []string{"clips/1.tiff", "console/console.db", "journal.db.damaged-20260301T060000.000Z", "keys/gate.pem"} {
		path := filepath.Join(c.DataDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("something"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}

	file := filepath.Join(dir, "backup.zip")
	command := newRootCommand()
	out := new(testdata.Text)
	command.SetOut(out)
	command.SetErr(out)
	command.SetArgs([]string{"backup", "-c", path, file})
	if err := command.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"backed up to " + file, "of plant/north", "sha256 ", "not in it: " + filepath.Join(c.DataDir, "clips"), "thermogate console backup"} {
		if said := out.String(); !strings.Contains(said, want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
	names := namesIn(t, file)
	for name, want := range map[string]bool{
		"journal.db": true, "broker.db": true, "mqtt.json": false, "keys/gate.pem": true, "clips/1.tiff": false, "console/console.db": false,
		"journal.db.damaged-20260301T060000.000Z": false, "journal.db.reserve": false, "journal.db-wal": false,
	} {
		if slices.Contains(names, name) != want {
			t.Errorf("%s in the backup: %v, want %v", name, !want, want)
		}
	}
	if _, err := thermogate(t.Context(), "restore", "-c", path, file); err == nil || !strings.Contains(err.Error(), "another thermogate has it open") {
		t.Errorf("restored to a gate at work: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	former := s.journal.Tail()
	s.close()
	if _, err := thermogate(t.Context(), "restore", "-c", path, file); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored over what is there: %v", err)
	}
	if _, err := thermogate(t.Context(), "restore", "-c", config("south", filepath.Join(dir, "south")), file); err == nil || !strings.Contains(err.Error(), "it is of the gate plant/north, and the config is of plant/south") {
		t.Errorf("restored to another gate: %v", err)
	}
	if _, err := thermogate(t.Context(), "backup", "-c", config("south", filepath.Join(dir, "south")), filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "there is no journal") {
		t.Errorf("backed up what is not there: %v", err)
	}

	moved := config("north", filepath.Join(dir, "moved"))
	said, err := thermogate(t.Context(), "restore", "-c", moved, file)
	if err != nil || !strings.Contains(said, "restored to "+filepath.Join(dir, "moved")) {
		t.Fatalf("%q, %v", said, err)
	}
	var got []string
	if err := journal.List(t.Context(), filepath.Join(dir, "moved", journalName), journal.Filter{}, func(e journal.Entry) error {
		got = append(got, e.Event.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{shown[0].event.ID, shown[1].event.ID}; !slices.Equal(got, want) {
		t.Errorf("it holds %v, want %v", got, want)
	}
	c, err = loadConfig(moved)
	if err != nil {
		t.Fatal(err)
	}
	s, err = openStation(t.Context(), c, unplugged, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if now := s.journal.Tail(); now.Journal == former.Journal || now.Sequence != 0 {
		t.Errorf("the journal goes on as %+v; it was %+v", now, former)
	}
}

func namesIn(t *testing.T, file string) (names []string) {
	t.Helper()
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		names = append(names, f.Name)
	}
	return names
}

// TestRestoreTakesNoNewerGate has a backup in which a file is of a version that this program does not know.
func TestRestoreTakesNoNewerGate(t *testing.T) {
	for name, says := range map[string]string{journalName: "of a newer thermogate (version 99 of a journal", brokerName: "of a newer thermogate (version 99 of a broker's memory"} {
		c := gateConfig(t, "north")
		s, err := openStation(t.Context(), c, unplugged, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s.close()
		db, err := sql.Open("sqlite3", filepath.Join(c.DataDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
			t.Fatal(err)
		}
		db.Close()
		dir := t.TempDir()
		path := writeFile(t, "gate.yaml", "site: site\ngate: north\ndata_dir: "+c.DataDir+"\n")
		file := filepath.Join(dir, "backup.zip")
		if _, err := thermogate(t.Context(), "backup", "-c", path, file); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "data")
		_, err = thermogate(t.Context(), "restore", "-c", writeFile(t, "other.yaml", "site: site\ngate: north\ndata_dir: "+to+"\n"), file)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(to); len(left) > 0 {
			t.Errorf("it leaves %v", left)
		}
		if _, err := openStation(t.Context(), c, unplugged, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a gate with a newer %s starts: %v", name, err)
		}
	}
}

package main

import (
	"bytes"
	"encoding/csv"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/journal"
)

// storedEvents makes a journal with an alert and two passes, the first of them confirmed.
func storedEvents(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), journalName)
	j, err := journal.Open(t.Context(), path, journal.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	skin := 36.5
	for i, outcome := range []event.Outcome{event.Pass, event.Alert, event.Pass} {
		err := j.Append(t.Context(), event.Event{
			ID: "EVENT" + string(rune('1'+i)), Source: "/plant/north",
			Time: time.Date(2026, 3, 1+i, 11, 30, 0, 0, time.UTC), // the same day in every zone,
			Data: event.Data{Outcome: outcome, SkinCelsius: &skin, Camera: "a, \"b\""},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	j.Confirm(1)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func runEvents(args ...string) (string, error) {
	var out bytes.Buffer
	command := newEventsCommand()
	command.SetArgs(args)
	command.SetOut(&out)
	command.SilenceErrors, command.SilenceUsage = true, true
	err := command.Execute()
	return out.String(), err
}

func TestEventsSelects(t *testing.T) {
	path := storedEvents(t)
	for args, want := range map[string]string{
		"":                    "EVENT1 EVENT2 EVENT3",
		"--outcome alert":     "EVENT2",
		"--pending --limit 1": "EVENT3",
		"--since 2026-03-02":  "EVENT2 EVENT3",
		"--since 9999d":       "EVENT1 EVENT2 EVENT3",
		"--until 2026-03-02T11:30:00Z --pending=false": "EVENT1",
	} {
		out, err := runEvents(append([]string{"--journal", path, "--format", "csv"}, strings.Fields(args)...)...)
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, record := range records[1:] {
			got = append(got, record[1])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", args, got, want)
		}
	}
}

func TestEventsAsJSONLines(t *testing.T) {
	out, err := runEvents("--journal", storedEvents(t), "--limit", "1")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, `{"specversion":`) || !strings.Contains(out, `"id":"EVENT3"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %s", out)
	}
	if strings.Contains(out, "body_celsius") {
		t.Error("a number that was not measured is there")
	}
}

func TestEventsRefuses(t *testing.T) {
	path := storedEvents(t)
	for args, want := range map[string]string{
		"--since yesterday": "--since",
		"--outcome fever":   "--outcome",
		"--format xml":      "--format",
		"--limit -1":        "--limit",
	} {
		_, err := runEvents(append([]string{"--journal", path}, strings.Fields(args)...)...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", args, err)
		}
	}
	if _, err := runEvents("--journal", path+".none"); err == nil || !strings.Contains(err.Error(), path+".none") {
		t.Errorf("error %v", err)
	}
}

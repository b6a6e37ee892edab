package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/event"
	"thermogate/screening/journal"
)

func newEventsCommand() *cobra.Command {
	var configPath, journalPath, since, until, outcome, format string
	var filter journal.Filter
	command := &cobra.Command{
		Use:   "events",
		Short: "List and export the events that a gate has on disk",
		Long: `Events lists what is in the journal of a gate, oldest first, also while the gate runs.

A time is a date (2026-03-01), a time with its zone (2026-03-01T06:00:00+08:00) or how long ago (90m, 24h, 7d, 2w).`,
		Example: `  thermogate events -c /etc/thermogate/thermogate.yaml --since 24h --outcome alert
  thermogate events --journal journal.db --format csv > events.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := journalOf(configPath, journalPath)
			if err != nil {
				return err
			}
			now := time.Now()
			if filter.Since, err = parseWhen("--since", since, now); err != nil {
				return err
			}
			if filter.Until, err = parseWhen("--until", until, now); err != nil {
				return err
			}
			if filter.Outcome, err = parseOutcome(outcome); err != nil {
				return err
			}
			if filter.Limit < 0 {
				return program.Usage(fmt.Errorf("--limit %d: it must be above 0", filter.Limit))
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			write, err := eventWriter(format, out)
			if err != nil {
				return err
			}
			err = journal.List(cmd.Context(), path, filter, write)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("there is no journal %s; name the config of the gate with -c, or a journal with --journal", path)
			}
			return errors.Join(err, out.Flush())
		},
	}
	flags := command.Flags()
	flags.StringVarP(&configPath, "config", "c", "", "config file of the gate")
	flags.StringVar(&journalPath, "journal", "", "journal to read, instead of the one of the config")
	flags.StringVar(&since, "since", "", "only events at or after this time")
	flags.StringVar(&until, "until", "", "only events before this time")
	flags.StringVar(&outcome, "outcome", "", "only pass, alert, inconclusive, or person: who an earlier one is about")
	flags.BoolVar(&filter.Pending, "pending", false, "only events that the broker has not confirmed")
	flags.IntVar(&filter.Limit, "limit", 0, "only the newest so many")
	flags.StringVar(&format, "format", "json", "json (one CloudEvent a line) or csv (one table)")
	return command
}

// Files in the data folder.
const (
	journalName = "journal.db"
	brokerName  = "broker.db"
)

func journalOf(configPath, journalPath string) (string, error) {
	if journalPath != "" {
		return journalPath, nil
	}
	c, err := loadConfig(configPath)
	return filepath.Join(c.DataDir, journalName), err
}

// parseWhen reads a date (of this machine's zone), a time, or a duration before now. Empty is the zero time.
func parseWhen(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if ago, err := parseDuration(value); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, value, now.Location()); err == nil {
		return t, nil
	}
	return time.Time{}, program.Usage(fmt.Errorf("%s %q: write a date (2026-03-01), a time (2026-03-01T06:00:00+08:00) or how long ago (24h, 7d)", flag, value))
}

func parseOutcome(value string) (event.Outcome, error) {
	switch outcome := event.Outcome(value); outcome {
	case "", event.Pass, event.Alert, event.Inconclusive, event.Named:
		return outcome, nil
	}
	return "", program.Usage(fmt.Errorf("--outcome %q: it is %s, %s, %s or %s", value, event.Pass, event.Alert, event.Inconclusive, event.Named))
}

// eventWriter returns what writes one entry after the other in the given format.
func eventWriter(format string, out io.Writer) (func(journal.Entry) error, error) {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return func(e journal.Entry) error { return encoder.Encode(e.Located()) }, nil
	case "csv":
		table := csv.NewWriter(out)
		if err := table.Write(csvHeader); err != nil {
			return nil, err
		}
		return func(e journal.Entry) error {
			err := table.Write(csvRecord(e))
			table.Flush() // into out, which has a buffer of its own
			return errors.Join(err, table.Error())
		}, nil
	}
	return nil, program.Usage(fmt.Errorf("--format %q: it is json or csv", format))
}

var csvHeader = []string{
	"time", "id", "source", "outcome", "reason", "skin_celsius", "skin_uncertainty_celsius", "skin_site", "body_celsius",
	"offset_celsius", "policy", "threshold_celsius", "baseline_celsius", "reference_found", "reference_correction_celsius",
	"seconds_to_verdict", "rescreen_of", "camera", "version", "confirmed", "door_accepted",
	"journal", "sequence", "stored", "face_celsius", "ambient_celsius",
	"person", "company", "read_by", "unpaired", "person_of",
}

// csvRecord leaves a cell empty where nothing was measured.
func csvRecord(e journal.Entry) []string {
	d := e.Event.Data
	var person event.Bearer
	if d.Person != nil {
		person = *d.Person
	}
	return []string{
		e.Event.Time.Format(time.RFC3339Nano), e.Event.ID, e.Event.Source, string(d.Outcome), string(d.Reason),
		number(d.SkinCelsius), number(d.SkinUncertaintyCelsius), string(d.SkinSite), number(d.BodyCelsius),
		number(d.OffsetCelsius), d.Policy, number(d.ThresholdCelsius), number(d.BaselineCelsius),
		strconv.FormatBool(d.Reference.Found), number(d.Reference.CorrectionCelsius),
		number(d.SecondsToVerdict), d.RescreenOf, d.Camera, d.Version, strconv.FormatBool(e.Confirmed),
		doorAccepted(d.Door), e.Journal, strconv.FormatInt(e.Sequence, 10), strconv.FormatBool(e.Stored),
		number(d.FaceCelsius), number(d.AmbientCelsius),
		person.ID, person.Company, person.By, string(d.Unpaired), d.PersonOf,
	}
}

// doorAccepted is empty where there is no door, or where it is not known.
func doorAccepted(d *event.Door) string {
	if d == nil || d.Accepted == nil {
		return ""
	}
	return strconv.FormatBool(*d.Accepted)
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

package reports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/mqtt"
)

// Summary is the day's line that an authority asks for.
const Summary Kind = "summary"

// settled is how long after a shift its report is written: by then its last alerts are closed and late events are in.
const settled = 30 * time.Minute

// Config says which reports are written by themselves. It is the section "reports" of the configuration file.
type Config struct {
	// Folder is where they are written; it has to be there. Empty switches them off.
	Folder string `yaml:"folder"`
	// Write are those that are: shift, day, week, month and summary.
	Write []Kind `yaml:"write"`
	// Language is that of sheets and of the summary, "zh" or "en".
	Language Language `yaml:"language"`
	// At is how long after midnight, by the clock of each site, those of days, weeks and months that are over are written, such
	// as 06:30. Those of shifts are written half an hour after their end.
	At string `yaml:"at"`
}

// DefaultConfig writes none; with a folder, all of them.
func DefaultConfig() Config {
	return Config{Write: []Kind{Shift, Day, Week, Month, Summary}, Language: "zh", At: "06:30"}
}

// Validate names the first key that is wrong and what would be right, without its section. It opens no file.
func (c Config) Validate() error {
	for _, kind := range c.Write {
		if kind != Summary && !slices.Contains(Kinds, kind) {
			return fmt.Errorf("write has %q; it may have shift, day, week, month and summary", kind)
		}
	}
	if c.Language != "zh" && c.Language != "en" {
		return fmt.Errorf("language is %q; it must be zh or en", c.Language)
	}
	if _, err := ParseClock(c.At); err != nil {
		return fmt.Errorf("at: %w", err)
	}
	return nil
}

// ParseClock reads a time of day such as 06:30.
func ParseClock(text string) (time.Duration, error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%.20q is not a time of day such as 06:30", text)
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, nil
}

// Schedule writes reports into a folder, each once and whole. What was due while the console was off is written after it.
type Schedule struct {
	cfg   Config
	at    time.Duration
	store *store.Store
	words Words
	log   *slog.Logger

	mu    sync.Mutex
	fault error
}

// NewSchedule returns the schedule of a store, whose files have words for people.
func NewSchedule(cfg Config, s *store.Store, words Words, log *slog.Logger) (*Schedule, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("reports.%w", err)
	}
	at, _ := ParseClock(cfg.At) // which is valid
	return &Schedule{cfg: cfg, at: at, store: s, words: words, log: log}, nil
}

// Fault is what keeps reports from being written, at the console that does that; nil where nothing does.
func (s *Schedule) Fault() error {
	if other := s.store.Elsewhere(); other != nil {
		if other.Reports == "" {
			return nil
		}
		return errors.New(other.Reports)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// setFault notes the fault, and returns the one before.
func (s *Schedule) setFault(err error) (before error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.fault = s.fault, err
	return before
}

const (
	looksEvery  = time.Minute
	tellsEvery  = time.Hour // of a fault that lasts
	toldFaults  = 3         // of as many as there are: a district has a thousand sites
	reportsMode = 0o640
)

// Run writes what is due until ctx ends. A fault does not end it: what could not be written is tried again.
func (s *Schedule) Run(ctx context.Context) error {
	if s.cfg.Folder == "" {
		return nil
	}
	defer s.setFault(nil) // another console may write them from here on
	tick := time.NewTicker(looksEvery)
	defer tick.Stop()
	var told time.Time
	for {
		err := s.write(ctx, time.Now())
		if ctx.Err() != nil {
			return nil
		}
		recovered := s.setFault(err) != nil && err == nil
		if one := s.tellOthers(ctx, err); one != nil {
			s.log.Warn("consoles that stand by do not hear how reports are doing", "error", one)
		}
		switch {
		case recovered:
			told = time.Time{}
			s.log.Info("reports are written again", "folder", s.cfg.Folder)
		case err != nil && time.Since(told) >= tellsEvery:
			told = time.Now()
			s.log.Error("reports can't be written; they are tried again every minute", "folder", s.cfg.Folder, "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tellOthers has the consoles that stand by know of a fault.
func (s *Schedule) tellOthers(ctx context.Context, fault error) error {
	if fault == nil {
		return s.store.NoteReportFault(ctx, "")
	}
	return s.store.NoteReportFault(ctx, fault.Error())
}

// write writes all that is due and was not written yet.
func (s *Schedule) write(ctx context.Context, now time.Time) error {
	if err := s.store.Believe(ctx, now); err != nil {
		return err
	}
	if _, err := os.Stat(s.cfg.Folder); err != nil { // or what a thousand sites came to would be counted for nothing
		return err
	}
	gates, err := s.store.Gates(ctx, now)
	if err != nil {
		return err
	}
	var faults []error
	sites, names := map[string]bool{}, map[string]string{}
	for _, gate := range gates { // one site's fault keeps no other from its reports
		if site := gate.Gate.Site; !sites[site] {
			sites[site] = true
			name := strings.ToLower(FileName(site))
			if other, taken := names[name]; taken {
				faults = append(faults, fmt.Errorf("the reports of %q would have the names of those of %q", site, other))
				continue
			}
			names[name] = site
			for _, kind := range s.cfg.Write {
				if one := s.writeKind(ctx, site, kind, now); one != nil {
					faults = append(faults, fmt.Errorf("the %s report of %s: %w", kind, site, one))
				}
			}
		}
	}
	if n := len(faults); n > toldFaults {
		faults = append(faults[:toldFaults:toldFaults], fmt.Errorf("and %d more", n-toldFaults))
	}
	return errors.Join(faults...)
}

// writeKind writes the reports of a kind that ended after the last that was written. Without one it begins with the newest.
func (s *Schedule) writeKind(ctx context.Context, site string, kind Kind, now time.Time) error {
	through, err := s.store.ReportsThrough(ctx, site, string(kind))
	if err != nil {
		return err
	}
	if through.After(now) {
		return s.goBack(ctx, site, kind, now)
	}
	spans, err := s.due(ctx, site, kind, through, now)
	if err != nil {
		return err
	}
	if through.IsZero() && len(spans) > 0 {
		spans = spans[len(spans)-1:]
	}
	for _, span := range spans {
		if err := s.writeFiles(ctx, span, kind, now); err != nil {
			return err
		}
		if err := s.store.SetReportsThrough(ctx, site, string(kind), span.To); err != nil {
			return err
		}
	}
	return nil
}

// goBack has what was written by a clock that was ahead, before it was over, written again once it is.
func (s *Schedule) goBack(ctx context.Context, site string, kind Kind, now time.Time) error {
	spans, err := s.due(ctx, site, kind, time.Time{}, now)
	if err != nil || len(spans) == 0 {
		return err
	}
	s.log.Warn("the clock was set back: reports of what was not over by then are written again", "site", site, "kind", kind)
	return s.store.SetReportsThrough(ctx, site, string(kind), spans[len(spans)-1].To)
}

// due are the reports of a kind that begin at a time or later, and are to be there by now.
func (s *Schedule) due(ctx context.Context, site string, kind Kind, from, now time.Time) ([]Span, error) {
	zone := s.store.Zone(site)
	today := store.DayOf(now.In(zone))
	day := store.DayOf(from.In(zone)) - 1 // a night shift may have begun on the day before
	if from.IsZero() {
		day = today - 63 // two months
	}
	var all []Span
	for day <= today {
		some, next, err := s.spansAt(ctx, site, kind, day)
		if err != nil {
			return nil, err
		}
		for _, span := range some {
			if !span.From.Before(from) && !now.Before(s.dueAt(span)) {
				all = append(all, span)
			}
		}
		day = next
	}
	return all, nil
}

// spansAt are the reports of a kind that a day belongs to, and the first day that is in none of them.
func (s *Schedule) spansAt(ctx context.Context, site string, kind Kind, day store.Day) (spans []Span, next store.Day, err error) {
	switch kind {
	case Shift:
		spans, err = ShiftsOf(ctx, s.store, site, day, day)
		return spans, day + 1, err
	case Summary:
		kind = Day
	}
	span, err := Find(ctx, s.store, kind, site, day, "")
	return []Span{span}, store.DayOf(span.To), err
}

func (s *Schedule) dueAt(span Span) time.Time {
	if span.Kind == Shift {
		return span.To.Add(settled)
	}
	return span.To.Add(s.at)
}

func (s *Schedule) writeFiles(ctx context.Context, span Span, kind Kind, now time.Time) error {
	report, err := s.store.Report(ctx, span.Period)
	if err != nil {
		return err
	}
	made := Made{span, report, now}
	name := FileName(span.Site + "-" + span.Name())
	if kind == Summary {
		return s.writeFile(name+"-summary.csv", func(to io.Writer) error { return made.WriteSummary(to, s.cfg.Language) })
	}
	if err := s.writeFile(name+".csv", made.WriteCSV); err != nil {
		return err
	}
	if err := s.writeFile(name+".xlsx", func(to io.Writer) error {
		book, err := table.NewBook()
		if err != nil {
			return err
		}
		defer book.Close()
		if err := made.WriteXLSX(book, s.cfg.Language, s.words); err != nil {
			return err
		}
		return book.Write(to)
	}); err != nil {
		return err
	}
	return s.store.Note(ctx, store.AuditLine{At: now, What: store.Exported, Scope: mqtt.Gate{Site: span.Site}, Detail: name + ".xlsx"}) // which has alerts one by one
}

// writeFile has a whole file under a name, or none.
func (s *Schedule) writeFile(name string, fill func(io.Writer) error) error {
	whole := filepath.Join(s.cfg.Folder, name)
	part, err := os.CreateTemp(s.cfg.Folder, ".thermogate-*.part")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name()) // which is gone where all went well
	if err = fill(part); err == nil {
		err = part.Chmod(reportsMode)
	}
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), whole)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", whole, err)
	}
	folder, err := os.Open(s.cfg.Folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// FileName is a text as every file system takes it.
func FileName(text string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, text), ".")
}

package reports

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/xuri/excelize/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

var (
	shanghai, _ = time.LoadLocation("Asia/Shanghai")
	north       = mqtt.Gate{Site: "plant: 1", Name: "north"}
)

// open returns a store with a gate that one person went through at each time.
func open(t *testing.T, times ...time.Time) *store.Store {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.File, cfg.TimeZone = filepath.Join(t.TempDir(), "console.db"), "Asia/Shanghai"
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	come(t, s, times...)
	return s
}

// come has one person go through at each time.
func come(t *testing.T, s *store.Store, times ...time.Time) {
	t.Helper()
	for _, at := range times {
		seconds := 0.5
		e := event.Event{
			SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(north.Site, north.Name),
			Type: "thermogate.screening.pass.v1", Time: at, DataContentType: "application/json",
			Data: event.Data{Outcome: event.Pass, Reason: event.BelowThreshold, FirstSeen: at, SecondsToVerdict: &seconds},
		}
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := store.NewEvent(north, body, at)
		if err == nil {
			_, err = s.Append(t.Context(), []store.Event{stored})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func scheduled(t *testing.T, s *store.Store, change func(*Config)) *Schedule {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Folder = t.TempDir()
	change(&cfg)
	schedule, err := NewSchedule(cfg, s, plain, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return schedule
}

// files are the names in the folder, hidden ones as well.
func (s *Schedule) files(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(s.cfg.Folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimPrefix(entry.Name(), "plant__1-"))
	}
	return strings.Join(names, " ")
}

// TestSchedule has each report written once, when it is due, and what was due while the console was off after it.
func TestSchedule(t *testing.T) {
	monday := time.Date(2026, 3, 2, 0, 0, 0, 0, shanghai)
	at := func(day, hour, minute int) time.Time {
		return monday.AddDate(0, 0, day).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	}
	s := open(t, at(0, 7, 0), at(0, 7, 1), at(1, 15, 0))
	schedule := scheduled(t, s, func(c *Config) { c.Write = []Kind{Shift, Day, Summary} })
	for _, step := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"the newest that is over", at(0, 8, 0),
			"2026-03-01-shift-3.csv 2026-03-01-shift-3.xlsx 2026-03-01-summary.csv 2026-03-01.csv 2026-03-01.xlsx"},
		{"a shift that has just ended", at(0, 14, 29), ""},
		{"half an hour later", at(0, 14, 30), "2026-03-02-shift-1.csv 2026-03-02-shift-1.xlsx"},
		{"nothing twice", at(0, 14, 31), ""},
		{"a day off", at(1, 22, 0),
			"2026-03-02-shift-2.csv 2026-03-02-shift-2.xlsx 2026-03-02-shift-3.csv 2026-03-02-shift-3.xlsx 2026-03-02-summary.csv 2026-03-02.csv 2026-03-02.xlsx 2026-03-03-shift-1.csv 2026-03-03-shift-1.xlsx"},
		{"a clock that was set back", at(0, 14, 40), ""},
	} {
		if err := schedule.write(t.Context(), step.now); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := schedule.files(t); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
		if step.want != "" { // somebody takes them away
			if err := os.Rename(schedule.cfg.Folder, schedule.cfg.Folder+"-"+fmt.Sprint(step.now.Unix())); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(schedule.cfg.Folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	taken := schedule.cfg.Folder + "-" + fmt.Sprint(at(1, 22, 0).Unix())
	summary, err := os.ReadFile(filepath.Join(taken, "plant__1-2026-03-02-summary.csv"))
	if want := table.ByteOrderMark + "日期,单位,筛查人数,体温告警,确认发热\n2026-03-02,plant: 1,2,0,0\n"; err != nil || string(summary) != want {
		t.Errorf("the summary is %q, want %q, %v", summary, want, err)
	}
	book, err := excelize.OpenFile(filepath.Join(taken, "plant__1-2026-03-02.xlsx"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if sheets := strings.Join(book.GetSheetList(), " "); sheets != "各闸机 人数 告警 未知与变动 说明" {
		t.Errorf("sheets %s", sheets)
	}
	if people, err := book.GetCellValue("各闸机", "G3"); err != nil || people != "2" {
		t.Errorf("%s people, %v", people, err)
	}
	file, err := os.Open(filepath.Join(taken, "plant__1-2026-03-02.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil || len(lines) != 3 || lines[2][6] != "2" || lines[2][1] != "2026-03-02T00:00:00.000+08:00" {
		t.Errorf("%q, %v", lines, err)
	}
}

// TestWeeksAndMonths are written after their last day.
func TestWeeksAndMonths(t *testing.T) {
	s := open(t, time.Date(2026, 2, 20, 8, 0, 0, 0, shanghai))
	schedule := scheduled(t, s, func(c *Config) { c.Write, c.Language, c.At = []Kind{Week, Month}, "en", "00:10" })
	for _, step := range []struct {
		now  time.Time
		want string
	}{
		{time.Date(2026, 3, 1, 0, 9, 0, 0, shanghai), "2026-01.csv 2026-01.xlsx 2026-W08.csv 2026-W08.xlsx"},
		{time.Date(2026, 3, 1, 0, 10, 0, 0, shanghai), "2026-01.csv 2026-01.xlsx 2026-02.csv 2026-02.xlsx 2026-W08.csv 2026-W08.xlsx"},
		{time.Date(2026, 3, 2, 0, 10, 0, 0, shanghai), "2026-01.csv 2026-01.xlsx 2026-02.csv 2026-02.xlsx 2026-W08.csv 2026-W08.xlsx 2026-W09.csv 2026-W09.xlsx"},
	} {
		if err := schedule.write(t.Context(), step.now); err != nil {
			t.Fatal(err)
		}
		if got := schedule.files(t); got != step.want {
			t.Errorf("%v: %s, want %s", step.now, got, step.want)
		}
	}
}

// TestFullDisk leaves no file that is not whole, says what is wrong, and writes once there is room.
func TestFullDisk(t *testing.T) {
	schedule := scheduled(t, open(t, time.Date(2026, 3, 1, 8, 0, 0, 0, shanghai)), func(c *Config) { c.Write = []Kind{Summary} })
	err := schedule.writeFile("x.csv", func(to io.Writer) error {
		_, _ = io.WriteString(to, "half of it")
		return syscall.ENOSPC
	})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "x.csv") || schedule.files(t) != "" {
		t.Errorf("%v, and there is %q", err, schedule.files(t))
	}
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, shanghai)
	folder := schedule.cfg.Folder
	schedule.cfg.Folder = filepath.Join(folder, "away")
	if err := schedule.write(t.Context(), now); err == nil || !strings.Contains(err.Error(), "away: no such file") {
		t.Errorf("without its folder: %v", err)
	}
	schedule.cfg.Folder = folder
	if err := schedule.write(t.Context(), now); err != nil || schedule.files(t) != "2026-03-01-summary.csv" {
		t.Errorf("%v, %s", err, schedule.files(t))
	}
}

// TestSitesOfOneName has no site's reports take the place of another's.
func TestSitesOfOneName(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, shanghai)
	s := open(t, now.AddDate(0, 0, -1))
	for _, site := range []string{"a b", "A_b"} {
		if err := s.SetStatus(t.Context(), mqtt.Gate{Site: site, Name: "north"}, mqtt.StatusMessage{State: "online", Since: now}, now); err != nil {
			t.Fatal(err)
		}
	}
	schedule := scheduled(t, s, func(cfg *Config) { cfg.Write = []Kind{Day} })
	if err := schedule.write(t.Context(), now); err == nil || !strings.Contains(err.Error(), `the reports of "a b" would have the names of those of "A_b"`) {
		t.Errorf("two sites: %v", err)
	}
	if files := schedule.files(t); strings.Count(files, ".csv") != 2 {
		t.Errorf("there are %s", files)
	}
	for _, site := range []string{"A b", "a_b", "a_B"} {
		if err := s.SetStatus(t.Context(), mqtt.Gate{Site: site, Name: "north"}, mqtt.StatusMessage{State: "online", Since: now}, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := schedule.write(t.Context(), now); err == nil || strings.Count(err.Error(), "\n") != toldFaults || !strings.HasSuffix(err.Error(), "and 1 more") {
		t.Errorf("of five sites of one name: %v", err)
	}
	lines, err := s.Audit(t.Context(), store.AuditFilter{What: store.Exported}, 10)
	if err != nil || len(lines) != 3 || lines[0].By != (store.Author{}) {
		t.Errorf("the audit has %+v, %v", lines, err)
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{"../etc/x": "_etc_x", "苏州 一厂-2026-03-02": "苏州_一厂-2026-03-02", "a\x00b:c": "a_b_c", ".hidden": "hidden"} {
		if got := FileName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`write has "year"`:     func(c *Config) { c.Write = []Kind{"year"} },
		`language is ""`:       func(c *Config) { c.Language = "" },
		`at: "6.30"`:           func(c *Config) { c.At = "6.30" },
		`at: "24:00" is not a`: func(c *Config) { c.At = "24:00" },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestScheduleByAClockThatWasAhead has what was reported before it was over reported again, and nothing at all by a clock that is
// years ahead.
func TestScheduleByAClockThatWasAhead(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 3, 2+day, hour, 0, 0, 0, shanghai) }
	s := open(t, at(0, 7), at(1, 7))
	schedule := scheduled(t, s, func(c *Config) { c.Write = []Kind{Shift} })
	people := func() string {
		t.Helper()
		file, err := os.Open(filepath.Join(schedule.cfg.Folder, "plant__1-2026-03-03-shift-1.csv"))
		if err != nil {
			return "none"
		}
		defer file.Close()
		lines, err := csv.NewReader(file).ReadAll()
		if err != nil || len(lines) < 2 {
			t.Fatalf("%q, %v", lines, err)
		}
		return lines[1][6]
	}
	for _, step := range []struct {
		name  string
		now   time.Time
		fault bool
		want  string
	}{
		{"right", at(0, 15), false, "none"},
		{"two days ahead", at(2, 15), false, "1"},
		{"right again", at(0, 16), false, "1"},
		{"years ahead", at(4000, 15), true, "1"},
		{"right again, before the shift", at(0, 17), false, "1"},
		{"after it", at(1, 15), false, "2"},
	} {
		if step.name == "after it" {
			come(t, s, at(1, 8))
		}
		err := schedule.write(t.Context(), step.now)
		if (err != nil) != step.fault {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := people(); got != step.want {
			t.Errorf("%s: %s people, want %s; the folder has %s", step.name, got, step.want, schedule.files(t))
		}
	}
	if files := schedule.files(t); strings.Contains(files, "2026-03-05") {
		t.Errorf("the folder has %s", files)
	}
}

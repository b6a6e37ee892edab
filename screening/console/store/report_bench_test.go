package store

import (
	"context"
	"database/sql"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/oklog/ulid/v2"
)

// BenchmarkReport makes reports of a month of 50 gates of one site, in a store that comes from before there were any. It
// says how long that takes to be brought up to date.
func BenchmarkReport(b *testing.B) {
	for _, store := range []struct {
		kind   string
		events int
	}{{"SQLite", 200_000}, {"PostgreSQL", 4_000_000}} {
		b.Run(fmt.Sprintf("%s/%d", store.kind, store.events), func(b *testing.B) {
			s := open(b, config(b, store.kind))
			month := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
			downgrade(b, s)
			fillMonth(b, s, month, store.events)
			begun := time.Now()
			if err := s.transact(b.Context(), func(tx *sql.Tx) error { return s.addPaces(b.Context(), tx) }); err != nil {
				b.Fatal(err)
			}
			b.Logf("bringing it up to date took %v", time.Since(begun))
			if s.postgres { // as its daemon does in time
				if _, err := s.write.ExecContext(b.Context(), "VACUUM ANALYZE"); err != nil {
					b.Fatal(err)
				}
			}
			for _, period := range []struct {
				name     string
				from, to time.Time
			}{
				{"month", month, month.AddDate(0, 1, 0)},
				{"week", month.AddDate(0, 0, 7), month.AddDate(0, 0, 14)},
				{"day", month.AddDate(0, 0, 9), month.AddDate(0, 0, 10)},
				{"shift", month.AddDate(0, 0, 9).Add(6 * time.Hour), month.AddDate(0, 0, 9).Add(14 * time.Hour)},
			} {
				b.Run(period.name, func(b *testing.B) {
					before := cpuTime(b)
					n := 0
					for b.Loop() {
						n++
						r, err := s.Report(b.Context(), Period{Site: "plant", From: period.from, To: period.to})
						if err != nil || len(r.Gates) != 50 || r.All.People == 0 || r.All.Queue < 1 || r.All.Seconds95 < 1 || r.All.Confirmed == 0 {
							b.Fatalf("%+v, %v", r.All, err)
						}
					}
					b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(n), "cpu-ms/op") // of the console alone
				})
			}
		})
	}
}

// fillMonth stores made-up events as they would have been before reports, without what Append makes of them one by one.
func fillMonth(b *testing.B, s *Store, month time.Time, events int) {
	b.Helper()
	apart := month.AddDate(0, 1, 0).Sub(month) / time.Duration(events)
	random := newMaker(b, north).random
	ids := make([]string, events)
	row := func(n int) ([]any, error) {
		at := month.Add(time.Duration(n) * apart).Truncate(time.Millisecond)
		ids[n] = ulid.MustNew(uint64(at.UnixMilli()), random).String()
		visit, rescreen := ids[n], ""
		if n >= 50 && n%50 != n/50%50 && n%49 == 0 {
			visit, rescreen = ids[n-50], `,"rescreen_of":"`+ids[n-50]+`"`
			if again := n - 50; again >= 50 && again%49 == 0 {
				visit, rescreen = ids[n], ""
			}
		}
		outcome, reason := "pass", "below-threshold"
		switch {
		case n%103 == 7:
			outcome, reason = "alert", "above-threshold"
		case n%17 == 3:
			outcome, reason = "inconclusive", []string{"left", "moving", "turned-away", "covered"}[n%4]
		}
		gate, seconds := fmt.Sprint("gate-", n%50), 0.3+float64(n*7%130)/100
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%s","source":"/plant/%s","type":"thermogate.screening.%s.v1","time":"%s","datacontenttype":"application/json",`+
			`"journal":"01JZ0000000000000000000000","sequence":"%d","data":{"outcome":"%s","reason":"%s","skin_celsius":34.51,"skin_uncertainty_celsius":0.21,"skin_site":"inner-canthus",`+
			`"ambient_celsius":21.4,"body_celsius":36.71,"body_uncertainty_celsius":0.31,"offset_celsius":2.2,"policy":"both","threshold_celsius":37.3,"baseline_celsius":%.2f,`+
			`"reference":{"found":true,"nominal_celsius":35,"measured_celsius":35.2,"correction_celsius":-0.2},"face":{"x":44,"y":31,"w":31,"h":42},"frames_used":7,`+
			`"first_seen":"%s","measurable_since":"%s","seconds_to_verdict":%.2f%s,"camera":"v4l2:///dev/video0","version":"1.4.0"}}`,
			ids[n], gate, outcome, at.Format(time.RFC3339Nano), n/50+1, outcome, reason, 34+float64(n%60)/100,
			at.Add(-time.Duration(n%90_000)*time.Millisecond).Format(time.RFC3339Nano), at.Format(time.RFC3339Nano), seconds, rescreen)
		return []any{ids[n], "plant", gate, visit, "01JZ0000000000000000000000", int64(n/50 + 1), at.UnixMilli(), at.UnixMilli() + 900, outcome, reason, 34.51, 36.71, 37.3, seconds, false, body}, nil
	}
	if s.postgres {
		if err := s.readyMonths(b.Context(), []Event{newMaker(b, north).pass(month)}); err != nil {
			b.Fatal(err)
		}
		copyIn(b, s, pgx.CopyFromSlice(events, row))
	} else {
		err := s.transact(b.Context(), func(tx *sql.Tx) error {
			for n := range events {
				args, _ := row(n)
				rows, err := tx.StmtContext(b.Context(), s.insert[1]).QueryContext(b.Context(), args...)
				if err != nil {
					return err
				}
				rows.Next()
				rows.Close()
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, statement := range []string{
		"INSERT INTO gates (site, gate, seen) SELECT DISTINCT site, gate, 1780000000000 FROM events",
		`INSERT INTO quarters (site, gate, quarter, outcome, reason, people, events) SELECT site, gate, time / 900000, outcome, reason,
			sum(CASE WHEN visit = id THEN 1 ELSE 0 END), count(*) FROM events GROUP BY 1, 2, 3, 4, 5`,
		`INSERT INTO days (site, gate, day, outcome, reason, people, events) SELECT site, gate, quarter / 96, outcome, reason, sum(people), sum(events) FROM quarters GROUP BY 1, 2, 3, 4, 5`,
		`INSERT INTO alerts (event, latest, times, visit, site, gate, time, received, state, outcome, version, told, taken_by, taken_at, closed_by, closed_at, read_celsius, raised)
			SELECT id, id, 1, visit, site, gate, time, received, 'closed', CASE WHEN time % 3 = 0 THEN 'confirmed' ELSE 'false' END, 3, -1,
			'Li Na', time + 20000 + time % 40000, 'Li Na', time + 80000 + time % 70000, 37.6, time FROM events WHERE outcome = 'alert'`,
		`INSERT INTO gate_states (site, gate, part, since, value, until) SELECT site, gate, 'link', (quarter - quarter % 48) * 900000, CASE WHEN quarter % 48 = 0 THEN 'online' ELSE 'offline' END, NULL
			FROM quarters WHERE quarter % 48 = 0 GROUP BY site, gate, quarter`,
		`INSERT INTO gate_states (site, gate, part, since, value, until) SELECT site, gate, 'link', since + 42000000, 'offline', since + 43200000 FROM gate_states WHERE part = 'link'`,
		"UPDATE gate_states SET until = since + 42000000 WHERE value = 'online'",
		"INSERT INTO holdings (journal, site, gate, first, last) SELECT journal, site, gate, min(sequence), max(sequence) FROM events GROUP BY 1, 2, 3",
	} {
		if _, err := s.write.ExecContext(b.Context(), statement); err != nil {
			b.Fatalf("%v in %s", err, statement)
		}
	}
}

func copyIn(b *testing.B, s *Store, rows pgx.CopyFromSource) {
	b.Helper()
	conn, err := s.write.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(context.WithoutCancel(b.Context()), pgx.Identifier{"events"}, []string{
			"id", "site", "gate", "visit", "journal", "sequence", "time", "received", "outcome",
			"reason", "skin_celsius", "body_celsius", "threshold_celsius", "seconds_to_verdict", "historical", "body",
		}, rows)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// cpuTime is what this process has used of processors: on a busy machine the time by the clock says little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

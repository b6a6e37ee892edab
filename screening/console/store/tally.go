package store

import (
	"context"
	"database/sql"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// quarterMilliseconds is the length of what is counted together. Every time zone of today begins its days with one.
const quarterMilliseconds = 15 * 60 * 1000

// tallyKey is what is counted together.
type tallyKey struct {
	gate    mqtt.Gate
	quarter int64 // of an hour, since 1970
	outcome event.Outcome
	reason  event.Reason
}

func keyOf(gate mqtt.Gate, at int64, outcome event.Outcome, reason event.Reason) tallyKey {
	return tallyKey{gate, floorDiv(at, quarterMilliseconds), outcome, reason}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// counts are visits, events, and those of the visits that came again.
type counts struct{ people, events, again int64 }

func (c counts) plus(more counts) counts {
	return counts{c.people + more.people, c.events + more.events, c.again + more.again}
}

// tally is by how much counts change.
type tally map[tallyKey]counts

func (t tally) add(key tallyKey, more counts) { t[key] = t[key].plus(more) }

// Day is a day of a site's calendar, counted from 1970-01-01.
type Day int64

// DayOf is the day that at lies in, by its own time zone.
func DayOf(at time.Time) Day {
	year, month, day := at.Date()
	return Day(floorDiv(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix(), 24*60*60))
}

// Date is the day's midnight in UTC, for its year, month and day.
func (d Day) Date() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// count adds to the counts by quarter and by day.
func (s *Store) count(ctx context.Context, tx *sql.Tx, t tally) error {
	quarters := map[tallyRow]counts{}
	days := map[tallyRow]counts{}
	for key, more := range t {
		if more == (counts{}) {
			continue
		}
		quarters[tallyRow{key.gate, key.quarter, key.outcome, key.reason}] = more
		begin := time.UnixMilli(key.quarter * quarterMilliseconds).In(s.zone(key.gate.Site))
		row := tallyRow{key.gate, int64(DayOf(begin)), key.outcome, key.reason}
		days[row] = days[row].plus(more)
	}
	if err := s.addCounts(ctx, tx, "quarters", "quarter", quarters); err != nil {
		return err
	}
	return s.addCounts(ctx, tx, "days", "day", days)
}

type tallyRow struct {
	gate    mqtt.Gate
	time    int64
	outcome event.Outcome
	reason  event.Reason
}

func (s *Store) addCounts(ctx context.Context, tx *sql.Tx, table, column string, rows map[tallyRow]counts) error {
	var args []any
	for row, more := range rows {
		args = append(args, row.gate.Site, row.gate.Name, row.time, string(row.outcome), string(row.reason), more.people, more.events, more.again)
	}
	return s.inSteps(args, 8, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (site, gate, "+column+", outcome, reason, people, events, again) VALUES "+rows+
			" ON CONFLICT (site, gate, "+column+", outcome, reason) DO UPDATE SET people = "+
			table+".people + excluded.people, events = "+table+".events + excluded.events, again = "+table+".again + excluded.again", args...)
		return err
	})
}

// Count is how many people came to an outcome for a reason at a gate in a quarter of an hour, or on a day.
type Count struct {
	Gate    mqtt.Gate
	Quarter time.Time // its beginning; zero for a day
	Day     Day       // 0 for a quarter
	Outcome event.Outcome
	Reason  event.Reason
	People  int64 // visits that began then, by their last outcome
	Events  int64
}

// Quarters returns the counts from one time to before another, in order of time. What a reason came to is a row.
func (s *Store) Quarters(ctx context.Context, from, to time.Time) ([]Count, error) {
	return s.quarters(ctx, from, to, conditions{})
}

// GateQuarters are the Quarters of one gate.
func (s *Store) GateQuarters(ctx context.Context, gate mqtt.Gate, from, to time.Time) ([]Count, error) {
	var where conditions
	where.add("site = ? AND gate = ?", gate.Site, gate.Name)
	return s.quarters(ctx, from, to, where)
}

func (s *Store) quarters(ctx context.Context, from, to time.Time, where conditions) ([]Count, error) {
	where.add("quarter >= ? AND quarter < ?", floorDiv(from.UnixMilli(), quarterMilliseconds), floorDiv(to.UnixMilli()+quarterMilliseconds-1, quarterMilliseconds))
	where.add("events + people <> 0")
	return collect(ctx, s.read, func(rows *sql.Rows) (c Count, err error) {
		var quarter int64
		err = rows.Scan(&c.Gate.Site, &c.Gate.Name, &quarter, &c.Outcome, &c.Reason, &c.People, &c.Events)
		c.Quarter = time.UnixMilli(quarter * quarterMilliseconds).UTC()
		return c, err
	}, "SELECT site, gate, quarter, outcome, reason, people, events FROM quarters"+where.String()+
		" ORDER BY quarter, site, gate, outcome, reason", where.args...)
}

// Days returns the counts from one day to another, both included, in order of time.
func (s *Store) Days(ctx context.Context, from, to Day) ([]Count, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (c Count, err error) {
		err = rows.Scan(&c.Gate.Site, &c.Gate.Name, &c.Day, &c.Outcome, &c.Reason, &c.People, &c.Events)
		return c, err
	}, `SELECT site, gate, day, outcome, reason, people, events FROM days
		WHERE day >= $1 AND day <= $2 AND events + people <> 0 ORDER BY day, site, gate, outcome, reason`, from, to)
}

// GateTotals returns what each gate came to from one day to another, both included. Their Day is 0.
func (s *Store) GateTotals(ctx context.Context, from, to Day) ([]Count, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (c Count, err error) {
		err = rows.Scan(&c.Gate.Site, &c.Gate.Name, &c.Outcome, &c.Reason, &c.People, &c.Events)
		return c, err
	}, `SELECT site, gate, outcome, reason, CAST(sum(people) AS BIGINT), CAST(sum(events) AS BIGINT) FROM days
		WHERE day >= $1 AND day <= $2 GROUP BY site, gate, outcome, reason ORDER BY site, gate, outcome, reason`, from, to)
}

// DayTotals returns what all gates of a site came to on each day, from one to another, both included. Their Gate has no name.
func (s *Store) DayTotals(ctx context.Context, site string, from, to Day) ([]Count, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (c Count, err error) {
		c.Gate.Site = site
		err = rows.Scan(&c.Day, &c.Outcome, &c.Reason, &c.People, &c.Events)
		return c, err
	}, `SELECT day, outcome, reason, CAST(sum(people) AS BIGINT), CAST(sum(events) AS BIGINT) FROM days
		WHERE site = $1 AND day >= $2 AND day <= $3 GROUP BY day, outcome, reason ORDER BY day, outcome, reason`, site, from, to)
}

package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Period is what a report is about: some gates of a site from one time to before another, such as a shift, a day or a month.
// Both are full quarters of an hour.
type Period struct {
	Site     string
	Gate     string // empty for all gates of the site
	From, To time.Time
}

// ShortPeriod is the length of the longest period whose report goes into quarters of an hour and alerts one by one: a day
// on which clocks are set back.
const ShortPeriod = 25 * time.Hour

// Report is what a period came to.
//
// A person is a visit, not an event: what repeats or revises an event belongs to the visit of that event, which counts once,
// in the period in which its first event happened, with the outcome of its last; that somebody with an alert waits for the
// second reading is no outcome of its own. What comes late counts when it happened, and Changed tells that it came.
//
// Seconds and queue are of the first look of each visit, in the period in which its verdict was, or they stood there.
// An alert belongs to its visit, and so to the period of that. People in a quarter of an hour are visits that began in it.
// A median is the least number that half of them do not exceed, and the other share likewise.
//
// What is not known is not well: the shares of Link, Camera and Reference are of all of the period, or of what of it is over.
type Report struct {
	Period
	All      GateReport    // its Gate has no name
	Gates    []GateReport  // in order of their names: those that there were
	Quarters []Count       // people by quarter of an hour, gate and outcome, in order of time; none in a period longer than ShortPeriod
	Days     []Count       // people by day, gate and outcome, in order of time; only in a period longer than ShortPeriod
	Alerts   []AlertReport // in order of time; none in a period longer than ShortPeriod
	Pauses   []PauseReport // in order of time
	Settings []SettingChange
	Changed  time.Time // when the last of what it counts came in or was done by a guard; a print of before that is out of date
}

// GateReport is what a gate came to in a period, or all of them.
type GateReport struct {
	Gate         mqtt.Gate
	People       int64 // visits
	Pass         int64
	Alert        int64
	Confirmed    int64 // of Alert: by the last word of a guard
	False        int64
	Gone         int64
	Open         int64
	Inconclusive int64
	Reasons      map[event.Reason]int64 // of Inconclusive
	Left         int64                  // of Inconclusive: went or walked through without a reading
	Again        int64                  // visits with more than one event, but for those that say that a guard decides
	Expected     int64                  // of All: head-count of the shifts that begin in the period; 0 where one of them has none

	SecondsMedian, Seconds95 float64 // to the verdict; NaN where there was none
	BusiestQuarter           time.Time
	BusiestPeople            int64
	Queue                    int64 // most people in view and without a verdict at one time; of all gates the longest
	QueueAt                  time.Time
	TakeMedian, CloseMedian  time.Duration // from an alert to taken, and to closed; negative where there was none

	// Shares of the period, 0 to 1, in which link, camera and reference were well; NaN where nothing is known. Of all gates
	// the mean.
	Link, Camera, Reference float64
	Known                   float64       // share of the period for which there is data: the link was up, or what was missed came later
	Missing                 int64         // events that the gate has numbered and nobody can get any more, and that may be of this period
	Deleted                 int64         // events of this period that somebody has deleted; their people count as before
	DriftCelsius            float64       // by how much the baseline went up from the first to the last hour of people, or day in a long period; NaN where unknown, and for all gates
	Paused                  time.Duration // altogether
	ClockWrong              time.Duration // altogether in which its clock was: people and alerts count when it said they were
	CheckedBy               string        // who did the last check before the period, on the day before it at most, or else the first in it; empty for nobody
	CheckedAt               time.Time
}

// AlertReport is one alert of a period and what became of it.
type AlertReport struct {
	Event                    string
	Gate                     mqtt.Gate
	Time                     time.Time
	BodyCelsius, ReadCelsius *float64
	State                    AlertState
	Outcome                  string
	TakenAfter, ClosedAfter  time.Duration // from the alert; negative where that did not happen
	TakenBy, ClosedBy        string
	Counts                   bool // among GateReport.Alert; not if a later look was none, or the visit had another alert after it
}

// PauseReport is a time in which a gate was paused by somebody.
type PauseReport struct {
	Gate     mqtt.Gate
	From, To time.Time // To is zero while it lasts
	By       string
}

// SettingChange is a setting of a gate that became another one.
type SettingChange struct {
	Gate           mqtt.Gate
	Name, From, To string
	At             time.Time
}

// ErrPeriod is the error for a period that no report is made of.
var ErrPeriod = errors.New("there is no report of such a period")

// Validate says what is wrong with a period.
func (p Period) Validate() error {
	switch {
	case p.Site == "":
		return fmt.Errorf("%w: it is of one site", ErrPeriod)
	case !p.From.Before(p.To) || p.To.Sub(p.From) > maxShiftDays*wholeDay:
		return fmt.Errorf("%w: it ends after it begins, at most %d days later", ErrPeriod, maxShiftDays)
	case p.From.UnixMilli()%quarterMilliseconds != 0 || p.To.UnixMilli()%quarterMilliseconds != 0:
		return fmt.Errorf("%w: it begins and ends with a quarter of an hour", ErrPeriod)
	}
	return nil
}

// Report counts what a period came to. It reads counts that are kept, and so takes about as long however many events there
// were: several periods may be asked for, to compare them.
func (s *Store) Report(ctx context.Context, period Period) (Report, error) {
	return s.report(ctx, period, time.Now())
}

func (s *Store) report(ctx context.Context, period Period, now time.Time) (Report, error) {
	if err := period.Validate(); err != nil {
		return Report{}, err
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return Report{}, err
	}
	defer tx.Rollback()
	r := s.newReporter(tx, period, now)
	for _, step := range []func(context.Context) error{
		r.people, r.paces, r.alerts, r.states, r.missing, r.known, r.settings, r.checks, r.deletions,
	} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("the report of %s from %s to %s: %w", period.Site, period.From.Format(time.RFC3339), period.To.Format(time.RFC3339), err)
		}
	}
	report := r.finish()
	report.All.Expected, err = s.expected(ctx, period)
	return report, err
}

// expected is the head-count of the shifts that begin in a period.
func (s *Store) expected(ctx context.Context, p Period) (int64, error) {
	if p.Gate != "" {
		return 0, nil
	}
	zone := s.zone(p.Site)
	shifts, err := s.Shifts(ctx, p.Site, DayOf(p.From.In(zone)), DayOf(p.To.In(zone)))
	var sum int64
	for _, shift := range shifts {
		if shift.From.Before(p.From) || !shift.From.Before(p.To) {
			continue
		}
		if shift.Expected == 0 {
			return 0, nil
		}
		sum += shift.Expected
	}
	return sum, err
}

// reporter puts a report together.
type reporter struct {
	tx     *sql.Tx
	period Period
	short  bool
	parts  []part
	until  int64 // milliseconds since 1970: the end of the period, or now before that
	zone   *time.Location
	gates  map[string]*gateWork
	report Report
}

// part is a part of a period for which there are counts: by quarter of an hour, or by day.
type part struct {
	paceTable
	counts   string // the table of people by outcome
	from, to int64  // before to
}

// gateWork is what is known of one gate, or of all, before it is summed up.
type gateWork struct {
	GateReport
	pace
	ends          []numberedPace // with a baseline, in order of time
	taken, closed []int64        // milliseconds
	online        spans          // milliseconds
	wellFor       map[string]int64
	toldOf        map[string]bool // parts
	lost          spans           // milliseconds in which events may have been that are missing
	known         int64
}

func (s *Store) newReporter(tx *sql.Tx, p Period, now time.Time) *reporter {
	r := &reporter{
		tx: tx, period: p, short: p.To.Sub(p.From) <= ShortPeriod, zone: s.zone(p.Site),
		until: max(min(p.To.UnixMilli(), now.UnixMilli()), p.From.UnixMilli()), gates: map[string]*gateWork{}, report: Report{Period: p},
	}
	from, to := quartersOf(p.From, p.To)
	if r.short {
		r.parts = []part{{quarterPaces, "quarters", from, to}}
		return r
	}
	first, end := DayOf(p.From.In(r.zone)), DayOf(p.To.In(r.zone))
	if first.Begin(r.zone).Before(p.From) {
		first++
	}
	begin, _ := quartersOf(first.Begin(r.zone), p.To)
	_, last := quartersOf(p.From, end.Begin(r.zone))
	r.parts = []part{{quarterPaces, "quarters", from, begin}, {dayPaces, "days", int64(first), int64(end)}, {quarterPaces, "quarters", last, to}}
	r.parts = slices.DeleteFunc(r.parts, func(part part) bool { return part.from >= part.to })
	return r
}

// gate is the work on a gate of the period; without a name on all of them.
func (r *reporter) gate(name string) *gateWork {
	if r.gates[name] == nil {
		r.gates[name] = &gateWork{
			GateReport: GateReport{Gate: mqtt.Gate{Site: r.period.Site, Name: name}, Reasons: map[event.Reason]int64{}},
			wellFor:    map[string]int64{}, toldOf: map[string]bool{},
		}
	}
	return r.gates[name]
}

// where begins the conditions on rows of the period's site and gate.
func (r *reporter) where() (where conditions) {
	where.add("site = ?", r.period.Site)
	if r.period.Gate != "" {
		where.add("gate = ?", r.period.Gate)
	}
	return where
}

func (r *reporter) whereIn(p part) conditions {
	where := r.where()
	where.add(p.number+" >= ? AND "+p.number+" < ?", p.from, p.to)
	return where
}

// people counts by outcome and reason.
func (r *reporter) people(ctx context.Context) error {
	for _, part := range r.parts {
		where := r.whereIn(part)
		type row struct {
			gate          string
			outcome       event.Outcome
			reason        event.Reason
			people, again int64
		}
		rows, err := collect(ctx, r.tx, func(rows *sql.Rows) (one row, err error) {
			err = rows.Scan(&one.gate, &one.outcome, &one.reason, &one.people, &one.again)
			return one, err
		}, "SELECT gate, outcome, reason, CAST(sum(people) AS BIGINT), CAST(sum(again) AS BIGINT) FROM "+part.counts+where.String()+
			" GROUP BY gate, outcome, reason HAVING sum(people) <> 0", where.args...)
		if err != nil {
			return err
		}
		for _, one := range rows {
			r.gate(one.gate).count(one.outcome, one.reason, one.people, one.again)
			r.gate("").count(one.outcome, one.reason, one.people, one.again)
		}
	}
	return r.courses(ctx)
}

func (g *GateReport) count(outcome event.Outcome, reason event.Reason, people, again int64) {
	g.People += people
	g.Again += again
	switch outcome {
	case event.Pass:
		g.Pass += people
	case event.Alert:
		g.Alert += people
	case event.Inconclusive:
		g.Inconclusive += people
		g.Reasons[reason] += people
		if reason == event.Left || reason == event.WalkedThrough {
			g.Left += people
		}
	}
}

// courses counts by quarter of an hour in a short period, and by day in a long one.
func (r *reporter) courses(ctx context.Context) error {
	days := map[Count]int64{}
	for _, part := range r.parts {
		where := r.whereIn(part)
		counts, err := collect(ctx, r.tx, func(rows *sql.Rows) (c Count, err error) {
			c.Gate.Site = r.period.Site
			var number int64
			err = rows.Scan(&number, &c.Gate.Name, &c.Outcome, &c.People)
			if part.paceTable == dayPaces {
				c.Day = Day(number)
			} else {
				c.Quarter = time.UnixMilli(number * quarterMilliseconds).UTC()
			}
			return c, err
		}, "SELECT "+part.number+", gate, outcome, CAST(sum(people) AS BIGINT) FROM "+part.counts+where.String()+
			" GROUP BY 1, 2, 3 HAVING sum(people) <> 0 ORDER BY 1, 2, 3", where.args...)
		if err != nil {
			return err
		}
		if r.short {
			r.report.Quarters = counts
			return nil
		}
		for _, c := range counts {
			if !c.Quarter.IsZero() {
				c.Day, c.Quarter = DayOf(c.Quarter.In(r.zone)), time.Time{}
			}
			people := c.People
			c.People = 0
			days[c] += people
		}
	}
	for c, people := range days {
		c.People = people
		r.report.Days = append(r.report.Days, c)
	}
	slices.SortFunc(r.report.Days, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Gate.Name, b.Gate.Name), cmp.Compare(a.Outcome, b.Outcome))
	})
	return nil
}

// paces are seconds, queues, the busiest quarters and baselines.
func (r *reporter) paces(ctx context.Context) error {
	for _, part := range r.parts {
		where := r.whereIn(part)
		found, err := collect(ctx, r.tx, scanPace, "SELECT site, gate, "+part.number+", "+paceColumns+" FROM "+part.name+where.String()+
			" ORDER BY "+part.number, where.args...)
		if err != nil {
			return err
		}
		for _, one := range found {
			g := r.gate(one.gate.Name)
			g.pace.add(&one.pace)
			if one.baseline.count > 0 && (r.short || part.paceTable == dayPaces) {
				one.seconds = nil
				g.ends = append(g.ends, one)
			}
		}
	}
	all := r.gate("")
	for name, g := range r.gates {
		if name == "" {
			continue
		}
		more := g.pace
		if r.period.Gate == "" {
			more.busiest = 0 // all of the site has its own
		}
		all.pace.add(&more)
	}
	return nil
}

// drift is by how much the baseline went up from the first hour with one to the last, which do not overlap, or day.
func drift(ends []numberedPace, length int64) float64 {
	if len(ends) == 0 {
		return math.NaN()
	}
	first, last := ends[0].number, ends[len(ends)-1].number
	if first+length > last-length+1 {
		return math.NaN()
	}
	var from, to mean
	for _, one := range ends {
		if one.number < first+length {
			from.sum, from.count = from.sum+one.baseline.sum, from.count+one.baseline.count
		}
		if one.number > last-length {
			to.sum, to.count = to.sum+one.baseline.sum, to.count+one.baseline.count
		}
	}
	return to.celsius() - from.celsius()
}

// alerts are what became of them, and how long that took.
func (r *reporter) alerts(ctx context.Context) error {
	where := r.where()
	where.add("begun >= ? AND begun < ?", r.period.From.UnixMilli(), r.period.To.UnixMilli())
	type sum struct {
		gate          string
		state         AlertState
		outcome       mqtt.AlertOutcome
		counts        bool
		alerts        int64
		changed       int64
		taken, closed string
	}
	sums, err := collect(ctx, r.tx, func(rows *sql.Rows) (one sum, err error) {
		err = rows.Scan(&one.gate, &one.state, &one.outcome, &one.counts, &one.alerts, &one.changed, &one.taken, &one.closed)
		return one, err
	}, `SELECT gate, state, outcome, counts, count(*), max(changed),
		coalesce(string_agg(CASE WHEN taken_at > 0 THEN CAST(taken_at - raised AS TEXT) END, ','), ''),
		coalesce(string_agg(CASE WHEN closed_at > 0 AND closed_by <> '' THEN CAST(closed_at - raised AS TEXT) END, ','), '')
		FROM alerts`+where.String()+" GROUP BY gate, state, outcome, counts", where.args...)
	if err != nil {
		return err
	}
	for _, one := range sums {
		taken, closed := numbers(one.taken), numbers(one.closed)
		for _, g := range []*gateWork{r.gate(one.gate), r.gate("")} {
			g.received = max(g.received, one.changed)
			g.taken, g.closed = append(g.taken, taken...), append(g.closed, closed...)
			if one.counts {
				g.became(one.state, one.outcome, one.alerts)
			}
		}
	}
	if !r.short {
		return nil
	}
	r.report.Alerts, err = r.eachAlert(ctx, where)
	return err
}

func (g *GateReport) became(state AlertState, outcome mqtt.AlertOutcome, alerts int64) {
	switch {
	case state != Closed:
		g.Open += alerts
	case outcome == mqtt.Confirmed:
		g.Confirmed += alerts
	case outcome == mqtt.FalseAlert:
		g.False += alerts
	default:
		g.Gone += alerts
	}
}

// numbers reads those of a list: a clock that was set back has alerts taken before they are raised.
func numbers(list string) []int64 {
	var all []int64
	for one := range strings.SplitSeq(list, ",") {
		if n, err := strconv.ParseInt(one, 10, 64); err == nil { // there is one empty part of an empty list
			all = append(all, max(n, 0))
		}
	}
	return all
}

// median is the least duration that half of them do not exceed, negative of none.
func median(milliseconds []int64) time.Duration {
	if len(milliseconds) == 0 {
		return -1
	}
	slices.Sort(milliseconds)
	return time.Duration(milliseconds[(len(milliseconds)-1)/2]) * time.Millisecond
}

func (r *reporter) eachAlert(ctx context.Context, where conditions) ([]AlertReport, error) {
	return collect(ctx, r.tx, func(rows *sql.Rows) (a AlertReport, err error) {
		a.Gate.Site = r.period.Site
		var at, raised, taken, closed int64
		err = rows.Scan(&a.Event, &a.Gate.Name, &at, &raised, &a.State, &a.Outcome, &a.Counts, &a.TakenBy, &taken, &a.ReadCelsius, &a.ClosedBy, &closed, &a.BodyCelsius)
		a.Time, a.TakenAfter, a.ClosedAfter = time.UnixMilli(at).UTC(), since(raised, taken), since(raised, closed)
		return a, err
	}, `SELECT event, gate, time, raised, state, outcome, counts, taken_by, taken_at, read_celsius, closed_by, closed_at,
		(SELECT body_celsius FROM events WHERE events.id = alerts.event) FROM alerts`+where.String()+" ORDER BY time, event", where.args...)
}

func since(from, to int64) time.Duration {
	if to == 0 {
		return -1
	}
	return time.Duration(max(to-from, 0)) * time.Millisecond
}

// finish sums up what was found.
func (r *reporter) finish() Report {
	from := r.period.From.UnixMilli()
	length := int64(time.Hour / quarterHour)
	if !r.short {
		length = 1
	}
	for name, g := range r.gates {
		g.SecondsMedian, g.Seconds95 = g.seconds.quantile(0.5), g.seconds.quantile(0.95)
		g.Queue, g.BusiestPeople = g.queue, g.busiest
		if g.Queue > 0 {
			g.QueueAt = time.UnixMilli(g.queueAt).UTC()
		}
		if g.BusiestPeople > 0 {
			g.BusiestQuarter = time.UnixMilli(g.busiestAt * quarterMilliseconds).UTC()
		}
		g.TakeMedian, g.CloseMedian = median(g.taken), median(g.closed)
		g.DriftCelsius = drift(g.ends, length)
		if name == "" {
			r.report.Changed = fromMilliseconds(g.received)
			continue
		}
		over := float64(r.until - from)
		for _, share := range []struct {
			to   *float64
			part string
		}{{&g.Link, Link}, {&g.Camera, Camera}, {&g.Reference, Reference}} {
			*share.to = math.NaN()
			if g.toldOf[share.part] && over > 0 {
				*share.to = float64(g.wellFor[share.part]) / over
			}
		}
		if g.Known = math.NaN(); over > 0 {
			g.Known = float64(g.known) / over
		}
		r.report.Gates = append(r.report.Gates, g.GateReport)
	}
	slices.SortFunc(r.report.Gates, func(a, b GateReport) int { return cmp.Compare(a.Gate.Name, b.Gate.Name) })
	r.report.All = r.gate("").GateReport
	r.sumUp()
	return r.report
}

// sumUp makes the shares of all gates of those of each. Where one knows nothing and another something, nothing is well.
func (r *reporter) sumUp() {
	all := &r.report.All
	for _, share := range []func(*GateReport) *float64{
		func(g *GateReport) *float64 { return &g.Link }, func(g *GateReport) *float64 { return &g.Camera },
		func(g *GateReport) *float64 { return &g.Reference }, func(g *GateReport) *float64 { return &g.Known },
	} {
		sum, told := 0.0, 0
		for i := range r.report.Gates {
			if one := *share(&r.report.Gates[i]); !math.IsNaN(one) {
				sum, told = sum+one, told+1
			}
		}
		if *share(all) = math.NaN(); told > 0 {
			*share(all) = sum / float64(len(r.report.Gates))
		}
	}
	for _, g := range r.report.Gates {
		all.Missing += g.Missing
		all.Deleted += g.Deleted
		all.Paused += g.Paused
	}
	if r.period.Gate != "" && len(r.report.Gates) == 1 {
		all.DriftCelsius, all.CheckedBy, all.CheckedAt = r.report.Gates[0].DriftCelsius, r.report.Gates[0].CheckedBy, r.report.Gates[0].CheckedAt
	}
}

// settings are those that became others.
func (r *reporter) settings(ctx context.Context) error {
	where := r.where()
	var within conditions
	within.args = where.args
	within.add("event >= ? AND event < ? AND value_before IS NOT NULL", idAt(r.period.From), idAt(r.period.To))
	changes, err := collect(ctx, r.tx, func(rows *sql.Rows) (c SettingChange, err error) {
		c.Gate.Site = r.period.Site
		var first string
		if err := rows.Scan(&c.Gate.Name, &c.Name, &c.From, &c.To, &first); err != nil {
			return c, err
		}
		id, err := ulid.ParseStrict(first)
		c.At = ulid.Time(id.Time()).UTC()
		return c, err
	}, `SELECT gate, name, value_before, value, event FROM (SELECT gate, name, value, event,
		lag(value) OVER (PARTITION BY gate, name ORDER BY event) AS value_before FROM settings_seen`+where.String()+") AS seen"+
		within.String()+" ORDER BY event, name", within.args...)
	r.report.Settings = changes
	return err
}

// checks are who did them.
func (r *reporter) checks(ctx context.Context) error {
	where := r.where()
	where.add("at >= ? AND at < ?", r.period.From.Add(-wholeDay).UnixMilli(), r.period.To.UnixMilli())
	type check struct {
		gate, who string
		at        int64
	}
	checks, err := collect(ctx, r.tx, func(rows *sql.Rows) (c check, err error) {
		err = rows.Scan(&c.gate, &c.at, &c.who)
		return c, err
	}, "SELECT gate, at, who FROM checks"+where.String()+" ORDER BY at", where.args...)
	for _, c := range checks {
		g := r.gate(c.gate)
		if c.at <= r.period.From.UnixMilli() || g.CheckedBy == "" {
			g.CheckedBy, g.CheckedAt = c.who, time.UnixMilli(c.at).UTC()
		}
	}
	return err
}

// deletions are by hand; those by age are for all of a time.
func (r *reporter) deletions(ctx context.Context) error {
	where := r.where()
	where.add("event >= ? AND event < ?", idAt(r.period.From), idAt(r.period.To))
	type sum struct {
		gate    string
		deleted int64
	}
	sums, err := collect(ctx, r.tx, func(rows *sql.Rows) (one sum, err error) {
		err = rows.Scan(&one.gate, &one.deleted)
		return one, err
	}, "SELECT gate, count(*) FROM deleted_events"+where.String()+" GROUP BY gate", where.args...)
	for _, one := range sums {
		r.gate(one.gate).Deleted = one.deleted
	}
	return err
}

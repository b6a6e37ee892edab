package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"thermogate/screening/mqtt"
)

// Shift is one of a site's plan.
type Shift struct {
	Name string
	// Begin and End are the time of day by the site's clock, full quarters of an hour. A shift whose End is not after its
	// Begin ends on the next day.
	Begin, End time.Duration
	Expected   int64 // head-count; 0 where unknown
}

// ShiftPlan are the shifts of a site from a day on, in order of their beginning. No two overlap; there may be time between
// them.
type ShiftPlan struct {
	Site   string
	From   Day
	Shifts []Shift
}

// ShiftAt is a shift on a day.
type ShiftAt struct {
	Shift
	Site     string
	Day      Day       // on which it begins
	From, To time.Time // in the site's zone
}

// Period is the one of a shift, at all gates.
func (s ShiftAt) Period() Period { return Period{Site: s.Site, From: s.From, To: s.To} }

const (
	wholeDay    = 24 * time.Hour
	quarterHour = quarterMilliseconds * time.Millisecond
	// Bounds of a plan, and of what is asked of it at a time.
	maxShifts    = 24
	maxExpected  = 1_000_000
	maxShiftDays = 1100
)

// usualShifts are those of a site whose plan nobody gave.
func usualShifts() []Shift {
	return []Shift{
		{Name: "1", Begin: 6 * time.Hour, End: 14 * time.Hour},
		{Name: "2", Begin: 14 * time.Hour, End: 22 * time.Hour},
		{Name: "3", Begin: 22 * time.Hour, End: 6 * time.Hour},
	}
}

// length is how long a shift is by the clock.
func (s Shift) length() time.Duration {
	if s.End > s.Begin {
		return s.End - s.Begin
	}
	return s.End + wholeDay - s.Begin
}

func (s Shift) check() error {
	switch {
	case strings.TrimSpace(s.Name) == "" || len(s.Name) > maxWord || strings.ContainsFunc(s.Name, unicode.IsControl):
		return fmt.Errorf("a shift has a name of at most %d bytes, and %.80q is none", maxWord, s.Name)
	case s.Name == "." || s.Name == "..":
		return fmt.Errorf("a shift can't be called %s: addresses of pages take that for something else", s.Name)
	case s.Begin < 0 || s.Begin >= wholeDay || s.End < 0 || s.End > wholeDay:
		return fmt.Errorf("shift %s: it begins and ends between 0:00 and 24:00", s.Name)
	case s.Begin%quarterHour != 0 || s.End%quarterHour != 0:
		return fmt.Errorf("shift %s: it begins and ends with a quarter of an hour, such as 5:45, for people are counted by these", s.Name)
	case s.Expected < 0 || s.Expected > maxExpected:
		return fmt.Errorf("shift %s: a head-count is between 0 and %d", s.Name, maxExpected)
	}
	return nil
}

// Validate says which shift is wrong and what would be right.
func (p ShiftPlan) Validate() error {
	if p.Site == "" || len(p.Shifts) == 0 || len(p.Shifts) > maxShifts {
		return fmt.Errorf("a plan is for a site and has 1 to %d shifts", maxShifts)
	}
	names := map[string]bool{}
	for i, shift := range p.Shifts {
		if err := shift.check(); err != nil {
			return err
		}
		if names[shift.Name] {
			return fmt.Errorf("two shifts have the name %s", shift.Name)
		}
		names[shift.Name] = true
		next, at := p.Shifts[0], p.Shifts[0].Begin+wholeDay
		if i+1 < len(p.Shifts) {
			next, at = p.Shifts[i+1], p.Shifts[i+1].Begin
		}
		if at < shift.Begin {
			return fmt.Errorf("shift %s begins before shift %s: put them in order", next.Name, shift.Name)
		}
		if shift.Begin+shift.length() > at {
			return fmt.Errorf("shift %s ends after shift %s begins", shift.Name, next.Name)
		}
	}
	return nil
}

// ErrShiftPlan is the error for a plan that can't be.
var ErrShiftPlan = errors.New("this can't be a plan of shifts")

// SetShiftPlan puts a plan in force from its day on; an earlier plan holds up to the day before, and a later one from its own
// day on. What a shift of an earlier plan that goes past midnight would share with the first shift of this one belongs to
// this one. sum is the PlansSum of the site's plans that somebody has seen: with another one now the error is ErrChanged, unless
// the plan is in force already. Whoever has seen none gives an empty one.
func (s *Store) SetShiftPlan(ctx context.Context, plan ShiftPlan, sum string, by Author) error {
	plan.Shifts = slices.SortedStableFunc(slices.Values(plan.Shifts), func(a, b Shift) int { return cmp.Compare(a.Begin, b.Begin) })
	if err := plan.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrShiftPlan, err)
	}
	shifts, err := json.Marshal(plan.Shifts)
	if err != nil {
		return err
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if s.postgres { // in a file nobody else writes meanwhile
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", planLock); err != nil {
				return err
			}
		}
		plans, err := shiftPlans(ctx, tx, plan.Site)
		switch {
		case err != nil:
			return err
		case slices.ContainsFunc(plans, plan.is): // by two clicks, say
			return nil
		case sum != "" && sum != PlansSum(plans):
			return ErrChanged
		}
		if _, err := tx.ExecContext(ctx, addShiftPlans+values(1, 3)+replaceShiftPlan, plan.Site, plan.From, string(shifts)); err != nil {
			return err
		}
		if err := s.queueSite(ctx, tx, plan.Site, plan.From.Begin(s.zone(plan.Site))); err != nil {
			return err
		}
		return note(ctx, tx, plan.line(by))
	})
	if err != nil {
		return fmt.Errorf("storing the shifts of site %s: %w", plan.Site, err)
	}
	return nil
}

// planLock is the advisory lock of whoever changes a plan ("TGSP"): of two at a time one sees what the other has done.
const planLock = 0x54475350

const (
	addShiftPlans    = "INSERT INTO shift_plans (site, day, shifts) VALUES "
	replaceShiftPlan = " ON CONFLICT (site, day) DO UPDATE SET shifts = excluded.shifts"
)

// is tells whether a plan has the same shifts from the same day on.
func (p ShiftPlan) is(other ShiftPlan) bool {
	return p.Site == other.Site && p.From == other.From && slices.Equal(p.Shifts, other.Shifts)
}

// PlansSum tells the plans of a site from what they were before somebody changed one.
func PlansSum(plans []ShiftPlan) string {
	text, err := json.Marshal(plans)
	if err != nil {
		panic(err) // texts and numbers
	}
	return hashOf(string(text))
}

// line tells the audit that the plan is in force.
func (p ShiftPlan) line(by Author) AuditLine {
	return AuditLine{By: by, What: ChangedShifts, Scope: mqtt.Gate{Site: p.Site}, Detail: p.String()}
}

// String is the plan as the audit tells it: "2026-03-02 早班 06:00–14:00 930".
func (p ShiftPlan) String() string {
	var b strings.Builder
	b.WriteString(p.From.Date().Format(time.DateOnly))
	for _, shift := range p.Shifts {
		fmt.Fprintf(&b, " %s %s–%s", shift.Name, clockTime(shift.Begin), clockTime(shift.End))
		if shift.Expected > 0 {
			fmt.Fprintf(&b, " %d", shift.Expected)
		}
	}
	return b.String()
}

func clockTime(at time.Duration) string {
	return fmt.Sprintf("%02d:%02d", at/time.Hour, at%time.Hour/time.Minute)
}

// ShiftPlans returns all plans of a site that somebody gave, the latest first.
func (s *Store) ShiftPlans(ctx context.Context, site string) ([]ShiftPlan, error) {
	return shiftPlans(ctx, s.read, site)
}

func shiftPlans(ctx context.Context, q querier, site string) ([]ShiftPlan, error) {
	return collect(ctx, q, scanShiftPlan, "SELECT site, day, shifts FROM shift_plans WHERE site = $1 ORDER BY day DESC", site)
}

func scanShiftPlan(rows *sql.Rows) (plan ShiftPlan, err error) {
	var shifts string
	if err := rows.Scan(&plan.Site, &plan.From, &shifts); err != nil {
		return plan, err
	}
	return plan, json.Unmarshal([]byte(shifts), &plan.Shifts)
}

// ShiftPlan returns the shifts of a site that hold on a day: three from 6, 14 and 22 o'clock where nobody gave a plan.
func (s *Store) ShiftPlan(ctx context.Context, site string, on Day) (ShiftPlan, error) {
	plans, err := s.ShiftPlans(ctx, site)
	if err != nil {
		return ShiftPlan{}, fmt.Errorf("the shifts of site %s: %w", site, err)
	}
	return planOn(plans, site, on), nil
}

func planOn(plans []ShiftPlan, site string, on Day) ShiftPlan {
	if n := slices.IndexFunc(plans, func(p ShiftPlan) bool { return p.From <= on }); n >= 0 {
		return plans[n]
	}
	return ShiftPlan{Site: site, Shifts: usualShifts()}
}

// Shifts returns the shifts of a site that begin on the days from one to another, both included, in order of time.
func (s *Store) Shifts(ctx context.Context, site string, from, to Day) ([]ShiftAt, error) {
	if to-from >= maxShiftDays {
		return nil, fmt.Errorf("the shifts of more than %d days are too many at a time", maxShiftDays)
	}
	plans, err := s.ShiftPlans(ctx, site)
	if err != nil {
		return nil, fmt.Errorf("the shifts of site %s: %w", site, err)
	}
	zone := s.zone(site)
	var shifts []ShiftAt
	for day := from; day <= to; day++ {
		today, tomorrow := planOn(plans, site, day), planOn(plans, site, day+1)
		for _, shift := range today.Shifts {
			at := ShiftAt{Shift: shift, Site: site, Day: day, From: day.clock(shift.Begin, zone)}
			end := shift.Begin + shift.length()
			if end > wholeDay {
				end = min(end, wholeDay+tomorrow.Shifts[0].Begin)
			}
			at.To = (day + Day(end/wholeDay)).clock(end%wholeDay, zone)
			if at.From.Before(at.To) { // else the clocks jump over all of it
				shifts = append(shifts, at)
			}
		}
	}
	return shifts, nil
}

// Begin is the first instant of the day in a time zone.
func (d Day) Begin(zone *time.Location) time.Time { return d.clock(0, zone) }

// clock is the first instant of the day at which clocks show a time or a later one: the earlier one of a time that they
// show twice, and the end of the jump for one that they jump over.
func (d Day) clock(at time.Duration, zone *time.Location) time.Time {
	wall := d.Date().Add(at)
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before, after := offset(wall.Add(-wholeDay)), offset(wall.Add(wholeDay)) // clocks change once in two days at most
	early, late := wall.Add(-max(before, after)), wall.Add(-min(before, after))
	switch {
	case offset(early) == max(before, after):
		return early.In(zone)
	case offset(late) == min(before, after):
		return late.In(zone)
	}
	jump, _ := late.In(zone).ZoneBounds()
	return jump
}

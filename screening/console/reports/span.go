// Package reports names the shifts, days, weeks and months of a site, and makes files of what the store counted of them.
package reports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"thermogate/screening/console/store"
)

// Kind is how long a report is about.
type Kind string

// The kinds.
const (
	Shift Kind = "shift"
	Day   Kind = "day"
	Week  Kind = "week" // from Monday
	Month Kind = "month"
)

// Kinds are all of them.
var Kinds = []Kind{Shift, Day, Week, Month}

// ErrNone is the error for a shift that the plan of a day does not have, or a kind that there is not.
var ErrNone = errors.New("there is no such report")

// Span is a shift, day, week or month of a site.
type Span struct {
	Kind  Kind
	Day   store.Day   // its first
	Shift store.Shift // of a shift
	store.Period
	Zone *time.Location // of the site
}

// Find returns the report of a kind that a day belongs to; of a shift, the name tells which of the day.
func Find(ctx context.Context, s *store.Store, kind Kind, site string, day store.Day, shift string) (Span, error) {
	if kind == Shift {
		shifts, err := ShiftsOf(ctx, s, site, day, day)
		if err != nil {
			return Span{}, err
		}
		i := slices.IndexFunc(shifts, func(span Span) bool { return span.Shift.Name == shift })
		if i < 0 {
			return Span{}, fmt.Errorf("shift %.40q of %s: %w", shift, day.Date().Format(time.DateOnly), ErrNone)
		}
		return shifts[i], nil
	}
	date := day.Date()
	var after store.Day
	switch kind {
	case Day:
		after = day + 1
	case Week:
		day -= store.Day((int(date.Weekday()) + 6) % 7)
		after = day + 7
	case Month:
		day = store.DayOf(date.AddDate(0, 0, 1-date.Day()))
		after = store.DayOf(day.Date().AddDate(0, 1, 0))
	default:
		return Span{}, fmt.Errorf("%.40q: %w", string(kind), ErrNone)
	}
	zone := s.Zone(site)
	return Span{Kind: kind, Day: day, Zone: zone, Period: store.Period{Site: site, From: day.Begin(zone), To: after.Begin(zone)}}, nil
}

// ShiftsOf returns the shifts that begin on the days from one to another, both included, in order of time.
func ShiftsOf(ctx context.Context, s *store.Store, site string, from, to store.Day) ([]Span, error) {
	shifts, err := s.Shifts(ctx, site, from, to)
	var spans []Span
	for _, shift := range shifts {
		spans = append(spans, Span{Kind: Shift, Day: shift.Day, Shift: shift.Shift, Period: shift.Period(), Zone: s.Zone(site)})
	}
	return spans, err
}

// Beside returns the reports of the same kind before and after; the one after may not have begun. Where a plan of shifts
// has none on the days beside, they are the zero Span.
func (s Span) Beside(ctx context.Context, from *store.Store) (before, after Span, err error) {
	if s.Kind != Shift {
		if before, err = Find(ctx, from, s.Kind, s.Site, s.Day-1, ""); err == nil {
			after, err = Find(ctx, from, s.Kind, s.Site, store.DayOf(s.To), "")
		}
		return before, after, err
	}
	shifts, err := ShiftsOf(ctx, from, s.Site, s.Day-1, s.Day+1)
	for _, shift := range shifts {
		switch {
		case shift.From.Before(s.From):
			before = shift
		case shift.From.After(s.From) && after.Kind == "":
			after = shift
		}
	}
	return before, after, err
}

// Compared returns what a report is to be seen against: the same shift or day a week ago, the week or the month before.
func (s Span) Compared(ctx context.Context, from *store.Store) (Span, error) {
	back := store.Day(7)
	if s.Kind == Month {
		back = 1
	}
	return Find(ctx, from, s.Kind, s.Site, s.Day-back, s.Shift.Name)
}

// Name is a report's in the names of files: 2026-03-02-shift-1, 2026-03-02, 2026-W10 or 2026-03.
func (s Span) Name() string {
	date := s.Day.Date()
	switch s.Kind {
	case Shift:
		return date.Format(time.DateOnly) + "-shift-" + s.Shift.Name
	case Week:
		year, week := date.ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week)
	case Month:
		return date.Format("2006-01")
	default:
		return date.Format(time.DateOnly)
	}
}

package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Who was screened. A shift's people come some time before it begins, so what counts is what happened from comeEarly before its
// beginning to its end. A person is screened by a visit with a verdict: a pass or an alert.
const (
	comeEarly = 2 * time.Hour
	// twiceWithin is the time within which one code at two visits is worth a look: it may be somebody else's copy.
	twiceWithin = 10 * time.Minute
)

// Cover is how far somebody was screened.
type Cover string

// What came of somebody. The last one of these that there was counts.
const (
	NotSeen     Cover = "not-seen"
	NotMeasured Cover = "not-measured" // came, without a verdict
	Passed      Cover = "passed"
	HadAlert    Cover = "had-alert"
)

// Covered is somebody on the list and what came of them.
type Covered struct {
	Person
	Cover
	At           time.Time         // the last visit
	Gate         string            // of that
	AlertState   AlertState        // of the last alert
	AlertOutcome mqtt.AlertOutcome // of one that is closed
}

// Pairing is of how many of a gate's visits it is known who they were.
type Pairing struct {
	Gate    string
	Visits  int
	Paired  int
	Reasons map[event.Unpaired]int
}

// Unpaired is the share of visits of which it is not known.
func (p Pairing) Unpaired() float64 { return float64(p.Visits-p.Paired) / float64(max(p.Visits, 1)) }

// Twice is one code, or one number, at two visits within minutes.
type Twice struct {
	Person        *Person // nil for somebody who is not on the list
	First, Second Seen
}

// Seen is a visit to a gate.
type Seen struct {
	Event, Gate string
	At          time.Time
}

// Coverage is who of a site's list was screened in a shift.
type Coverage struct {
	Shift    ShiftAt
	From, To time.Time // of what counts; To is now while the shift lasts
	// People are those who are expected: on the list for this shift, of a company that may come that day, by number.
	People []Covered
	// Unassigned are those on the list for no certain shift.
	Unassigned []Covered
	// Elsewhere is how many came who are on the list for another shift, and Strangers how many who are not on it, or may not come.
	Elsewhere, Strangers int
	Gates                []Pairing
	Twice                []Twice
	Listed               int // on the site's list at all
	// Unknown is that who came is not known: people came and no gate told who, no gate was online, or it is kept no longer.
	Unknown bool
}

// Count is how many of the people expected there are of a kind.
func (c Coverage) Count(of Cover) (count int) {
	for _, p := range c.People {
		if p.Cover == of {
			count++
		}
	}
	return count
}

// Screened is how many of the people expected had a verdict.
func (c Coverage) Screened() int { return c.Count(Passed) + c.Count(HadAlert) }

// Share of the people expected who had a verdict; 0 where nobody is expected.
func (c Coverage) Share() float64 {
	return float64(c.Screened()) / float64(max(len(c.People), 1))
}

// All is the pairing at all gates that say who people are.
func (c Coverage) All() Pairing {
	all := Pairing{Reasons: map[event.Unpaired]int{}}
	for _, g := range c.Gates {
		all.Visits, all.Paired = all.Visits+g.Visits, all.Paired+g.Paired
		for reason, count := range g.Reasons {
			all.Reasons[reason] += count
		}
	}
	return all
}

// passing is a visit, with who it was.
type passing struct {
	member
	person   string // pseudonym
	unpaired event.Unpaired
	told     bool // the gate says who it was, or why it does not know
}

// Coverage tells who of a site's list was screened in a shift, up to now.
func (s *Store) Coverage(ctx context.Context, shift ShiftAt, now time.Time) (Coverage, error) {
	c := Coverage{Shift: shift, From: shift.From.Add(-comeEarly), To: shift.To}
	if now.Before(c.To) {
		c.To = now
	}
	err := s.cover(ctx, &c, now)
	if err != nil {
		return c, fmt.Errorf("who was screened at %s from %s on: %w", shift.Site, shift.From.Format(time.RFC3339), err)
	}
	return c, nil
}

func (s *Store) cover(ctx context.Context, c *Coverage, now time.Time) error {
	visits, err := s.passings(ctx, c)
	if err != nil {
		return err
	}
	online, err := s.anyOnline(ctx, c)
	if err != nil {
		return err
	}
	alerts, err := s.alerts(ctx, s.read, "WHERE site = $1 AND time >= $2 AND time < $3 ORDER BY event", c.Shift.Site, c.From.UnixMilli(), c.To.UnixMilli())
	if err != nil {
		return err
	}
	listed, err := listedPeople(ctx, s.read, now, " WHERE site = $1 AND added_at < $2 AND (left_at = 0 OR left_at >= $3) ORDER BY number", c.Shift.Site, c.To.UnixMilli(), c.From.UnixMilli())
	if err != nil {
		return err
	}
	companies, err := s.Companies(ctx, c.Shift.Site)
	if err != nil {
		return err
	}
	good := map[string]bool{"": true}
	for _, company := range companies {
		good[company.ID] = company.Good(c.Shift.Day)
	}
	c.Listed = len(listed)
	c.pair(visits)
	c.Unknown = len(c.Gates) == 0 && (len(visits) > 0 || !online) || c.From.Before(s.linksSince(now))
	ofVisit := map[visitOf]Alert{}
	for _, a := range alerts {
		ofVisit[visitOf{a.Gate, a.Visit}] = a
	}
	first := map[string]string{} // by every pseudonym of those listed
	for _, p := range listed {
		for _, pseudonym := range s.pseudonyms(p) {
			first[pseudonym] = p.Pseudonym
		}
	}
	came := map[string][]passing{}
	for _, p := range visits {
		if p.person != "" {
			known := cmp.Or(first[p.person], p.person)
			came[known] = append(came[known], p)
		}
	}
	known := map[string]*Person{}
	for i, p := range listed {
		known[p.Pseudonym] = &listed[i]
		their := came[p.Pseudonym]
		switch {
		case !good[p.Company]:
			if len(their) > 0 {
				c.Strangers++
			}
		case p.Shift == "":
			c.Unassigned = append(c.Unassigned, covered(p, their, ofVisit))
		case p.Shift == c.Shift.Name:
			c.People = append(c.People, covered(p, their, ofVisit))
		case len(their) > 0:
			c.Elsewhere++
		}
	}
	for pseudonym, their := range came {
		if known[pseudonym] == nil {
			c.Strangers++
		}
		c.Twice = append(c.Twice, twice(known[pseudonym], their)...)
	}
	slices.SortFunc(c.Twice, func(a, b Twice) int {
		return cmp.Or(a.Second.At.Compare(b.Second.At), cmp.Compare(a.Second.Event, b.Second.Event))
	})
	return nil
}

// anyOnline tells whether a gate was online at some time of a coverage.
func (s *Store) anyOnline(ctx context.Context, c *Coverage) (is bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM gate_states WHERE site = $1 AND part = 'link' AND value IN ('online', 'doubled')
		AND since < $2 AND coalesce(until, $2) > $3)`, c.Shift.Site, c.To.UnixMilli(), c.From.UnixMilli()).Scan(&is)
	return is, err
}

// passings are the visits in the time of a coverage, in order, each with what counts of it.
func (s *Store) passings(ctx context.Context, c *Coverage) ([]passing, error) {
	events, err := collect(ctx, s.read, func(rows *sql.Rows) (p passing, err error) {
		var said sql.NullString
		err = rows.Scan(&p.id, &p.visit, &p.gate.Site, &p.gate.Name, &p.at, &p.received, &p.outcome, &p.reason, &said, &p.person, &p.unpaired)
		p.told = said.Valid
		return p, err
	}, `SELECT events.id, events.visit, events.site, events.gate, events.time, events.received, events.outcome, events.reason,
		bearers.said, coalesce(bearers.person, ''), coalesce(bearers.unpaired, '') FROM events
		LEFT JOIN bearers ON bearers.event = events.id AND bearers.site = events.site AND bearers.gate = events.gate
		WHERE events.site || '' = $1 AND events.id >= $2 AND events.id < $3 AND events.time >= $4 AND events.time < $5 ORDER BY events.id`,
		c.Shift.Site, idAt(c.From.Add(-time.Minute)), idAt(c.To.Add(time.Minute)), c.From.UnixMilli(), c.To.UnixMilli())
	if err != nil {
		return nil, err
	}
	members := map[visitOf][]member{}
	at := map[visitOf]int{}
	var visits []passing
	for _, e := range events {
		of := e.visitOf()
		members[of] = append(members[of], e.member)
		i, seen := at[of]
		if !seen {
			at[of] = len(visits)
			visits = append(visits, e)
			continue
		}
		v := &visits[i]
		v.told = v.told || e.told
		if e.person != "" {
			v.person, v.unpaired = e.person, ""
		}
	}
	for i := range visits {
		v := &visits[i]
		first, last := ends(members[v.visitOf()])
		v.id, v.at, v.outcome = last.id, first.at, last.outcome
	}
	return visits, nil
}

// pair counts at each gate that tells so who visits were.
func (c *Coverage) pair(visits []passing) {
	tells := map[string]bool{}
	for _, v := range visits {
		tells[v.gate.Name] = tells[v.gate.Name] || v.told
	}
	gates := map[string]*Pairing{}
	for _, v := range visits {
		if !tells[v.gate.Name] {
			continue
		}
		g := gates[v.gate.Name]
		if g == nil {
			g = &Pairing{Gate: v.gate.Name, Reasons: map[event.Unpaired]int{}}
			gates[v.gate.Name] = g
		}
		g.Visits++
		switch {
		case v.person != "":
			g.Paired++
		case v.unpaired != "":
			g.Reasons[v.unpaired]++
		default: // nothing was said
			g.Reasons[event.NoRead]++
		}
	}
	for _, g := range gates {
		c.Gates = append(c.Gates, *g)
	}
	slices.SortFunc(c.Gates, func(a, b Pairing) int { return cmp.Compare(a.Gate, b.Gate) })
}

// covered is what came of somebody who was at some visits.
func covered(p Person, visits []passing, alerts map[visitOf]Alert) Covered {
	one := Covered{Person: p, Cover: NotSeen}
	rank := []Cover{NotSeen, NotMeasured, Passed, HadAlert}
	for _, v := range visits {
		is := NotMeasured
		if v.outcome == event.Pass {
			is = Passed
		}
		if a, had := alerts[v.visitOf()]; had || v.outcome == event.Alert {
			is, one.AlertState, one.AlertOutcome = HadAlert, a.State, a.Outcome
		}
		if slices.Index(rank, is) > slices.Index(rank, one.Cover) {
			one.Cover = is
		}
		one.At, one.Gate = time.UnixMilli(v.at).UTC(), v.gate.Name
	}
	return one
}

// twice are the visits of one person that came within minutes of the one before.
func twice(p *Person, visits []passing) (all []Twice) {
	slices.SortStableFunc(visits, func(a, b passing) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(visits); i++ {
		before, after := visits[i-1], visits[i]
		if after.at-before.at <= twiceWithin.Milliseconds() {
			all = append(all, Twice{p, before.seen(), after.seen()})
		}
	}
	return all
}

func (p passing) seen() Seen { return Seen{p.id, p.gate.Name, time.UnixMilli(p.at).UTC()} }

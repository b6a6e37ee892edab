package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// followPause is for how long settings of a site that have changed are not followed again. Another time zone has all days
// counted anew, and meanwhile no other plant is heard. What was left out the next sign of life brings.
const followPause = 10 * time.Second

// maxPlans is how many plans of shifts a site has here.
const maxPlans = 2000

// following is what a site is set to here, and what of its plant's word is new.
type following struct {
	plant       Plant
	known       bool // the site is in the store
	told        int64
	months      int
	outcomeOnly bool
	timeZone    string
	zone        *time.Location // that the plant says
	plans       []ShiftPlan    // that are not known here
	all         bool           // else no more than outcomeOnly may be followed now
}

// follow has sites counted and kept as their plants do it, all in one transaction: a thousand of them may be new at once. Most
// of what they say is what they said before.
func (s *Store) follow(ctx context.Context, plants []Plant) error {
	sites, err := s.readFollowing(ctx, newestPlants(plants))
	if err != nil {
		return fmt.Errorf("reading how sites are counted: %w", err)
	}
	sites = slices.DeleteFunc(sites, func(f following) bool { return !f.differs() })
	if len(sites) == 0 {
		return nil
	}
	touched := map[int]bool{}
	for _, f := range sites {
		touched[ShareOf(f.plant.Site)] = true
	}
	defer s.lockShares(touched)()
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.stillLeads(ctx, tx); err != nil {
			return err
		}
		return s.followAll(ctx, tx, sites)
	})
	for n := range touched {
		clear(s.shares[n].paces.days)
	}
	if err != nil {
		return fmt.Errorf("following the plants of %d sites: %w", len(sites), err)
	}
	s.noteFollowed(sites)
	return nil
}

// differs tells whether anything of what a plant says is to be followed.
func (f following) differs() bool {
	p := f.plant
	if f.told >= p.At.UnixMilli() {
		return false
	}
	return f.outcomeOnly != p.OutcomeOnly || f.all && (f.months != p.KeepMonths || f.timeZone != p.TimeZone || len(f.plans) > 0)
}

// readFollowing reads what is set of the sites of plants.
func (s *Store) readFollowing(ctx context.Context, plants []Plant) ([]following, error) {
	var sites []following
	for some := range slices.Chunk(plants, stepRows) {
		is := make(map[string]*following, len(some))
		var names []any
		for _, p := range some {
			is[p.Site] = &following{plant: p, timeZone: s.cfg.TimeZone, all: s.mayFollow(p.Site)}
			names = append(names, p.Site)
		}
		these := " IN (" + list(1, len(names)) + ")"
		found, err := collect(ctx, s.read, func(rows *sql.Rows) (f following, err error) {
			err = rows.Scan(&f.plant.Site, &f.told, &f.months, &f.outcomeOnly, &f.timeZone)
			return f, err
		}, "SELECT name, coalesce(told, 0), keep_months, outcome_only, time_zone FROM sites LEFT JOIN plants ON plants.site = sites.name WHERE name"+these, names...)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			of := is[f.plant.Site]
			of.known, of.told, of.months, of.outcomeOnly, of.timeZone = true, f.told, f.months, f.outcomeOnly, f.timeZone
		}
		plans, err := collect(ctx, s.read, scanShiftPlan, "SELECT site, day, shifts FROM shift_plans WHERE site"+these, names...)
		if err != nil {
			return nil, err
		}
		stored := map[string]map[string]bool{}
		for _, plan := range plans {
			if stored[plan.Site] == nil {
				stored[plan.Site] = map[string]bool{}
			}
			stored[plan.Site][plan.String()] = true
		}
		for _, p := range some {
			of, known := is[p.Site], stored[p.Site]
			if of.zone, err = time.LoadLocation(p.TimeZone); err != nil {
				return nil, err
			}
			for _, plan := range p.Plans {
				plan.Site = p.Site
				if !known[plan.String()] && len(known)+len(of.plans) < maxPlans {
					of.plans = append(of.plans, plan)
				}
			}
			sites = append(sites, *of)
		}
	}
	return sites, nil
}

func (s *Store) mayFollow(site string) bool {
	s.followedMu.Lock()
	defer s.followedMu.Unlock()
	return time.Since(s.followed[site]) >= followPause
}

// followAll stores what is new. What protects people it follows at once.
func (s *Store) followAll(ctx context.Context, tx *sql.Tx, sites []following) error {
	var rows, plans []any
	var lines []AuditLine
	zones := map[string]*time.Location{}
	for _, f := range sites {
		p := f.plant
		if f.outcomeOnly != p.OutcomeOnly {
			lines = append(lines, keptLine(p.Site, p.OutcomeOnly, Author{}))
		}
		if !f.all {
			p.KeepMonths, p.TimeZone = f.months, f.timeZone
		}
		rows = append(rows, p.Site, p.TimeZone, p.KeepMonths, p.OutcomeOnly, p.OutcomeOnly)
		if f.months != p.KeepMonths {
			lines = append(lines, s.retentionLine(p.Site, f.months, p.KeepMonths, Author{}))
		}
		if f.known && f.timeZone != p.TimeZone {
			zones[p.Site] = f.zone
		}
		if !f.all {
			continue
		}
		for _, plan := range f.plans {
			shifts, err := json.Marshal(plan.Shifts)
			if err != nil {
				return err
			}
			plans = append(plans, plan.Site, int64(plan.From), string(shifts))
			lines = append(lines, plan.line(Author{}))
		}
	}
	err := s.inSteps(rows, 5, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO sites (name, time_zone, keep_months, outcome_only, to_strip) VALUES "+rows+` ON CONFLICT (name) DO UPDATE SET
			time_zone = excluded.time_zone, keep_months = excluded.keep_months, outcome_only = excluded.outcome_only,
			to_strip = CASE WHEN sites.outcome_only = excluded.outcome_only THEN sites.to_strip ELSE excluded.to_strip END`, args...)
		return err
	})
	if err == nil {
		err = s.recount(ctx, tx, zones)
	}
	if err == nil {
		err = s.inSteps(plans, 3, func(rows string, args []any) error {
			_, err := tx.ExecContext(ctx, addShiftPlans+rows+replaceShiftPlan, args...)
			return err
		})
	}
	if err == nil {
		err = noteAll(ctx, tx, lines)
	}
	return err
}

// noteFollowed has in force what was stored of sites.
func (s *Store) noteFollowed(sites []following) {
	for _, f := range sites {
		s.peopleMu.Lock()
		s.outcomeOnly[f.plant.Site] = f.plant.OutcomeOnly
		s.peopleMu.Unlock()
		s.sitesMu.Lock()
		s.sited[f.plant.Site] = true
		if f.all {
			s.sites[f.plant.Site] = f.zone
		}
		s.sitesMu.Unlock()
		if f.all {
			s.followedMu.Lock()
			s.followed[f.plant.Site] = time.Now()
			s.followedMu.Unlock()
		}
		if f.outcomeOnly != f.plant.OutcomeOnly || f.all && f.months != f.plant.KeepMonths {
			s.due.Store(true)
		}
	}
}

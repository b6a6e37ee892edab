package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// seenOf is when anything came from the gates that events are of. Those of a plant may have waited there.
func seenOf(events []*Event, ofPlants bool) map[mqtt.Gate]time.Time {
	seen := map[mqtt.Gate]time.Time{}
	for _, e := range events {
		at := e.Received
		if ofPlants && e.Time.Before(at) {
			at = e.Time
		}
		if seen[e.Gate].IsZero() || at.After(seen[e.Gate]) {
			seen[e.Gate] = at
		}
	}
	return seen
}

// Seen notes when anything came from gates.
func (s *Store) Seen(ctx context.Context, seen map[mqtt.Gate]time.Time) error {
	if len(seen) == 0 {
		return nil
	}
	return s.transact(ctx, func(tx *sql.Tx) error { return s.see(ctx, tx, seen) })
}

func (s *Store) see(ctx context.Context, tx *sql.Tx, seen map[mqtt.Gate]time.Time) error {
	if err := s.knowSites(ctx, tx, sitesOf(maps.Keys(seen))); err != nil {
		return err
	}
	var args []any
	for gate, at := range seen {
		args = append(args, gate.Site, gate.Name, at.UnixMilli())
	}
	return s.inSteps(args, 3, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO gates (site, gate, seen) VALUES "+rows+
			" ON CONFLICT (site, gate) DO UPDATE SET seen = excluded.seen WHERE excluded.seen > gates.seen", args...)
		return err
	})
}

func (s *Store) readSites(ctx context.Context) error {
	type site struct{ name, zone string }
	sites, err := collect(ctx, s.read, func(rows *sql.Rows) (one site, err error) {
		err = rows.Scan(&one.name, &one.zone)
		return one, err
	}, "SELECT name, time_zone FROM sites")
	if err != nil {
		return err
	}
	s.sitesMu.Lock()
	defer s.sitesMu.Unlock()
	for _, site := range sites {
		if s.sites[site.name], err = time.LoadLocation(site.zone); err != nil {
			return fmt.Errorf("site %s: %w", site.name, err)
		}
		s.sited[site.name] = true
	}
	return nil
}

// knowSites has sites be in the store.
func (s *Store) knowSites(ctx context.Context, tx *sql.Tx, sites iter.Seq[string]) error {
	var args []any
	s.sitesMu.RLock()
	asked := map[string]bool{}
	for site := range sites {
		if !s.sited[site] && !asked[site] {
			asked[site] = true
			args = append(args, site, s.cfg.TimeZone)
		}
	}
	s.sitesMu.RUnlock()
	err := s.inSteps(args, 2, func(rows string, args []any) error {
		added, err := texts(ctx, tx, "INSERT INTO sites (name, time_zone) VALUES "+rows+" ON CONFLICT (name) DO NOTHING RETURNING name", args...)
		for _, site := range added {
			if err == nil {
				err = s.queueSite(ctx, tx, site, time.Time{})
			}
		}
		return err
	})
	if err == nil {
		s.sitesMu.Lock()
		maps.Copy(s.sited, asked) // until a transaction fails, which may be this one
		s.sitesMu.Unlock()
	}
	return err
}

func sitesOf(gates iter.Seq[mqtt.Gate]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for gate := range gates {
			if !yield(gate.Site) {
				return
			}
		}
	}
}

// zone is the time zone of a site.
func (s *Store) zone(site string) *time.Location {
	s.sitesMu.RLock()
	zone := s.sites[site]
	s.sitesMu.RUnlock()
	if zone != nil {
		return zone
	}
	zone, err := time.LoadLocation(s.cfg.TimeZone)
	if err != nil {
		panic(err) // Validate has loaded it
	}
	s.sitesMu.Lock()
	defer s.sitesMu.Unlock()
	s.sites[site] = zone
	return zone
}

// Zone is the time zone by which the days of a site begin.
func (s *Store) Zone(site string) *time.Location { return s.zone(site) }

// SetZone gives a site a time zone of its own, and counts its days anew by it.
func (s *Store) SetZone(ctx context.Context, site, name string) error {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return fmt.Errorf("%q is not a time zone such as Asia/Shanghai", name)
	}
	defer s.lockShares(map[int]bool{ShareOf(site): true})()
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sites (name, time_zone) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET time_zone = excluded.time_zone`, site, name); err != nil {
			return err
		}
		if err := s.recount(ctx, tx, map[string]*time.Location{site: zone}); err != nil {
			return err
		}
		return s.queueSite(ctx, tx, site, time.Now().AddDate(0, 0, -mostShiftDays))
	})
	clear(s.shareOf(site).paces.days)
	if err != nil {
		return fmt.Errorf("giving site %s the time zone %s: %w", site, name, err)
	}
	s.sitesMu.Lock()
	defer s.sitesMu.Unlock()
	s.sites[site] = zone
	return nil
}

// recount has all days of sites counted anew by other zones.
func (s *Store) recount(ctx context.Context, tx *sql.Tx, zones map[string]*time.Location) error {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(zones)), stepRows) {
		if err := s.recountDays(ctx, tx, some, zones); err != nil {
			return err
		}
		if err := s.recountPaces(ctx, tx, some, zones); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) recountDays(ctx context.Context, tx *sql.Tx, sites []string, zones map[string]*time.Location) error {
	these := "site IN (" + list(1, len(sites)) + ")"
	if _, err := tx.ExecContext(ctx, "DELETE FROM days WHERE "+these, anys(sites)...); err != nil {
		return err
	}
	days := map[tallyRow]counts{}
	rows, err := tx.QueryContext(ctx, "SELECT site, gate, quarter, outcome, reason, people, events, again FROM quarters WHERE "+these, anys(sites)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row tallyRow
		var more counts
		if err := rows.Scan(&row.gate.Site, &row.gate.Name, &row.time, &row.outcome, &row.reason, &more.people, &more.events, &more.again); err != nil {
			return err
		}
		row.time = int64(DayOf(time.UnixMilli(row.time * quarterMilliseconds).In(zones[row.gate.Site])))
		days[row] = days[row].plus(more)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return s.addCounts(ctx, tx, "days", "day", days)
}

// The parts of a gate that have a state.
const (
	Link      = "link"      // online, offline or quiet
	Camera    = "camera"    // as event.CameraState
	Reference = "reference" // ok, or what is wrong with it, an event.Reason
	Group     = "group"     // ok, or what is wrong with the readings of people together, an event.Reason
	Clock     = "clock"     // ok, ahead or behind
	Pause     = "pause"     // on or off
	Keys      = "keys"      // its fault is worked out from the keys that it tells; nothing is noted of it
)

// The states of a link.
const (
	Online  = "online"
	Offline = "offline" // by its own word, or its broker's
	Doubled = "doubled" // two machines have its name, and throw each other off the broker
	Quiet   = "quiet"   // nothing has come from it for longer than it is ever silent
	Unused  = "unused"  // nobody expects anything from it any more, until something comes
	// RevokedLink is that of a gate that is not let in any more, until a box joins as it anew.
	RevokedLink = "revoked"
)

// The states of a clock.
const (
	ClockRight  = well
	ClockAhead  = "ahead"
	ClockBehind = "behind"
)

const (
	well = "ok"
	on   = "on"
	off  = "off"
)

// SetStatus notes what a gate says of itself. Its State may also be Doubled, which no gate says.
func (s *Store) SetStatus(ctx context.Context, gate mqtt.Gate, status mqtt.StatusMessage, at time.Time) error {
	parts := map[string]string{Link: Offline}
	works := status.State == Online || status.State == Doubled
	if works {
		parts = partsOf(status.Status)
		parts[Link] = status.State
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.see(ctx, tx, map[mqtt.Gate]time.Time{gate: at}); err != nil {
			return err
		}
		changed, err := statusChanged(ctx, tx, gate, status)
		if err != nil {
			return err
		}
		if status.Journal != "" {
			if _, err := tx.ExecContext(ctx, "UPDATE gates SET journal = $1, sequence = $2, unconfirmed = $3 WHERE site = $4 AND gate = $5",
				status.Journal, status.Sequence, status.Unconfirmed, gate.Site, gate.Name); err != nil {
				return err
			}
		}
		if works {
			lacks, err := json.Marshal(status.Lacks)
			if err != nil {
				return err
			}
			keys, err := json.Marshal(status.Keys)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE gates SET version = $1, paused_until = $2, paused_by = $3, lacks = $4, badge_keys = $5 WHERE site = $6 AND gate = $7",
				status.Version, milliseconds(status.PausedUntil), status.PausedBy, string(lacks), string(keys), gate.Site, gate.Name); err != nil {
				return err
			}
		}
		for part, value := range parts {
			who := ""
			if part == Pause {
				who = status.PausedBy
			}
			other, err := setPart(ctx, tx, gate, part, value, who, at)
			if err != nil {
				return err
			}
			changed = changed || other
		}
		if !changed {
			return nil
		}
		return s.queue(ctx, tx, urgentLane, statusOf(gate))
	})
	if err != nil {
		return fmt.Errorf("noting the status of %s: %w", event.Source(gate.Site, gate.Name), err)
	}
	return nil
}

// SetClock notes how the clock of a gate is.
func (s *Store) SetClock(ctx context.Context, gate mqtt.Gate, value string, at time.Time) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		_, err := setPart(ctx, tx, gate, Clock, value, "", at)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting the clock of %s: %w", event.Source(gate.Site, gate.Name), err)
	}
	return nil
}

// partsOf are the states of the parts of a gate that is online.
func partsOf(status mqtt.Status) map[string]string {
	parts := map[string]string{Link: Online, Reference: cmp.Or(status.Reference, well), Group: cmp.Or(status.Group, well), Pause: off}
	if status.Camera != "" {
		parts[Camera] = status.Camera
	}
	if status.Paused {
		parts[Pause] = on
	}
	return parts
}

func statusOf(gate mqtt.Gate) Outgoing {
	return Outgoing{Kind: OutgoingStatus, Site: gate.Site, Key: gate.Name}
}

// statusChanged tells whether a status says something else than the one before, but for its parts and how far its journal goes.
func statusChanged(ctx context.Context, tx *sql.Tx, gate mqtt.Gate, status mqtt.StatusMessage) (changed bool, err error) {
	var version, journal string
	var paused int64
	err = tx.QueryRowContext(ctx, "SELECT version, paused_until, journal FROM gates WHERE site = $1 AND gate = $2", gate.Site, gate.Name).Scan(&version, &paused, &journal)
	changed = status.Journal != "" && status.Journal != journal ||
		status.State == Online && (status.Version != version || milliseconds(status.PausedUntil) != paused)
	return changed, err
}

// setPart begins another state of a part, unless it is as it was. A pause is somebody's.
func setPart(ctx context.Context, tx *sql.Tx, gate mqtt.Gate, part, value, who string, at time.Time) (changed bool, err error) {
	var before string
	err = tx.QueryRowContext(ctx, "SELECT value FROM gate_states WHERE site = $1 AND gate = $2 AND part = $3 AND until IS NULL",
		gate.Site, gate.Name, part).Scan(&before)
	if err == nil && before == value {
		return false, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE gate_states SET until = $1 WHERE site = $2 AND gate = $3 AND part = $4 AND until IS NULL",
		at.UnixMilli(), gate.Site, gate.Name, part); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO gate_states (site, gate, part, since, value, who) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (site, gate, part, since) DO UPDATE SET value = excluded.value, who = excluded.who, until = NULL`,
		gate.Site, gate.Name, part, at.UnixMilli(), value, who)
	return true, err
}

// Hush notes that nothing has come from gates that were online, for too long. Those revoked meanwhile it passes over.
func (s *Store) Hush(ctx context.Context, gates []mqtt.Gate, at time.Time) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	gates = slices.DeleteFunc(slices.Clone(gates), func(gate mqtt.Gate) bool { return !s.Revoked(gate).At.IsZero() })
	if len(gates) == 0 {
		return nil
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, gate := range gates {
			if _, err := setPart(ctx, tx, gate, Link, Quiet, "", at); err != nil {
				return err
			}
			if err := s.queue(ctx, tx, urgentLane, statusOf(gate)); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutOutOfUse notes that a gate is not there any more: that nothing comes from it is no fault, and of its parts nothing is known.
func (s *Store) PutOutOfUse(ctx context.Context, gate mqtt.Gate, at time.Time) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := endParts(ctx, tx, gate, at); err != nil {
			return err
		}
		if _, err := setPart(ctx, tx, gate, Link, Unused, "", at); err != nil {
			return err
		}
		return s.queue(ctx, tx, urgentLane, statusOf(gate))
	})
	if err != nil {
		return fmt.Errorf("putting %s out of use: %w", event.Source(gate.Site, gate.Name), err)
	}
	return nil
}

// endParts notes that of the parts of a gate nothing is known any more.
func endParts(ctx context.Context, tx *sql.Tx, gate mqtt.Gate, at time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE gate_states SET until = $1 WHERE site = $2 AND gate = $3 AND part <> 'link' AND until IS NULL",
		at.UnixMilli(), gate.Site, gate.Name)
	return err
}

// State is what a part of a gate was, from when until when.
type State struct {
	Gate  mqtt.Gate
	Part  string
	Value string
	Since time.Time
	Until time.Time // zero: it still is
}

// OutOfUse says that it is the link of a gate that nobody expects anything from.
func (s State) OutOfUse() bool {
	return s.Part == Link && (s.Value == Unused || s.Value == RevokedLink)
}

func scanState(rows *sql.Rows) (state State, err error) {
	var since, until int64
	err = rows.Scan(&state.Gate.Site, &state.Gate.Name, &state.Part, &state.Value, &since, &until)
	state.Since, state.Until = fromMilliseconds(since), fromMilliseconds(until)
	return state, err
}

// States returns the newest states of a gate's parts from one time to another, the latest first.
func (s *Store) States(ctx context.Context, gate mqtt.Gate, from, to time.Time, limit int) ([]State, error) {
	return collect(ctx, s.read, scanState, `SELECT site, gate, part, value, since, coalesce(until, 0) FROM gate_states
		WHERE site = $1 AND gate = $2 AND (until IS NULL OR until > $3) AND since < $4 ORDER BY since DESC, part LIMIT $5`,
		gate.Site, gate.Name, from.UnixMilli(), to.UnixMilli(), limit)
}

// Gate is how a gate is now.
type Gate struct {
	mqtt.Gate
	Seen        time.Time // when anything came from it
	Version     string
	PausedUntil time.Time
	PausedBy    string // empty where the gate was not told
	Journal     string // that it has now, and the end of that
	Sequence    int64
	Unconfirmed int64            // events that wait for the broker
	Parts       map[string]State // by Link, Camera, Reference, Group, Clock and Pause; none of what was never told
	Open        int              // alerts that are not closed
	Lacks       event.Lacks      // what it was not told yet
	Keys        KeyState         // how those that it has differ from the site's
	LastMinute  int              // people whose first event was within the minute before
}

// OutOfUse says that nobody expects anything from the gate: it was put out of use, or revoked.
func (g Gate) OutOfUse() bool { return g.Parts[Link].OutOfUse() }

// Gates returns all gates in the order of their names.
func (s *Store) Gates(ctx context.Context, now time.Time) ([]Gate, error) {
	return s.gates(ctx, "", now)
}

// SiteGates are the Gates of a site.
func (s *Store) SiteGates(ctx context.Context, site string, now time.Time) ([]Gate, error) {
	return s.gates(ctx, site, now)
}

func (s *Store) gates(ctx context.Context, site string, now time.Time) ([]Gate, error) {
	of := func(condition string, args ...any) (only conditions) {
		only.add(condition, args...)
		if site != "" {
			only.add("site = ?", site)
		}
		return only
	}
	known, open := of("seen >= 0"), of("state <> 'closed'")
	lately := of("id >= ? AND id < ? AND visit = id", idAt(now.Add(-time.Minute)), idAt(now.Add(time.Minute))) // clocks differ a little
	still := of("until IS NULL")
	gates, err := collect(ctx, s.read, func(rows *sql.Rows) (g Gate, err error) {
		var seen, paused int64
		var lacks, keys string
		err = rows.Scan(&g.Site, &g.Name, &seen, &g.Version, &paused, &g.PausedBy, &g.Journal, &g.Sequence, &g.Unconfirmed, &lacks, &keys)
		g.Keys, _ = s.keyState(g.Site, keys)
		_ = json.Unmarshal([]byte(lacks), &g.Lacks) // none where it never said
		g.Seen, g.PausedUntil, g.Parts = fromMilliseconds(seen), fromMilliseconds(paused), map[string]State{}
		return g, err
	}, "SELECT site, gate, seen, version, paused_until, paused_by, journal, sequence, unconfirmed, lacks, badge_keys FROM gates"+known.String()+" ORDER BY site, gate", known.args...)
	if err != nil {
		return nil, err
	}
	byName := map[mqtt.Gate]*Gate{}
	for i := range gates {
		byName[gates[i].Gate] = &gates[i]
	}
	states, err := collect(ctx, s.read, scanState, "SELECT site, gate, part, value, since, 0 FROM gate_states"+still.String(), still.args...)
	if err != nil {
		return nil, err
	}
	for _, state := range states {
		if g := byName[state.Gate]; g != nil {
			g.Parts[state.Part] = state
		}
	}
	for i := range gates { // whatever it still says
		if r := s.Revoked(gates[i].Gate); !r.At.IsZero() {
			gates[i].Parts = map[string]State{Link: {Gate: gates[i].Gate, Part: Link, Value: RevokedLink, Since: r.At}}
		}
	}
	for _, add := range []struct {
		to    func(*Gate) *int
		table string
		only  conditions
	}{
		{func(g *Gate) *int { return &g.Open }, "alerts", open},
		{func(g *Gate) *int { return &g.LastMinute }, "events", lately},
	} {
		type sum struct {
			gate mqtt.Gate
			n    int
		}
		sums, err := collect(ctx, s.read, func(rows *sql.Rows) (one sum, err error) {
			err = rows.Scan(&one.gate.Site, &one.gate.Name, &one.n)
			return one, err
		}, "SELECT site, gate, count(*) FROM "+add.table+add.only.String()+" GROUP BY site, gate", add.only.args...)
		if err != nil {
			return nil, err
		}
		for _, one := range sums {
			if g := byName[one.gate]; g != nil {
				*add.to(g) = one.n
			}
		}
	}
	return gates, nil
}

// Fault is a part of a gate that is not as it should be.
type Fault struct {
	State
	Shelf *Shelf // who put it aside until when, nil while nobody has
}

// Shelf puts a fault aside for a time.
type Shelf struct {
	Until  time.Time
	Who    string
	Reason string
}

// Faults returns what is wrong with gates now. What the parts of a gate are that is not online, nobody knows. A pause is
// none, for somebody wanted it, nor is a group that is still to come together.
func (s *Store) Faults(ctx context.Context, now time.Time) ([]Fault, error) {
	return s.faults(ctx, "", now)
}

// SiteFaults are the Faults of the gates of a site.
func (s *Store) SiteFaults(ctx context.Context, site string, now time.Time) ([]Fault, error) {
	return s.faults(ctx, site, now)
}

// isFault is the state of a part of a gate that is not as it should be, outOfUse that of the link of a gate that is not there any more.
const (
	outOfUse = `(part = 'link' AND value IN ('unused', 'revoked'))`
	isFault  = `(part = 'link' AND value <> 'online' AND NOT ` + outOfUse + ` OR part IN ('camera', 'reference', 'clock') AND value <> 'ok'
	OR part = 'group' AND value = 'baseline-shift')`
)

// inUse has a row for each gate that is in use: whether it is online, and how many of its parts are not as they should be.
const inUse = `(SELECT gates.site, gates.gate, paused_until, sum(CASE WHEN part = 'link' AND value = 'online' THEN 1 ELSE 0 END) AS online,
	sum(CASE WHEN ` + isFault + ` THEN 1 ELSE 0 END) AS bad
	FROM gates LEFT JOIN gate_states ON gate_states.site = gates.site AND gate_states.gate = gates.gate AND until IS NULL
	GROUP BY gates.site, gates.gate, paused_until HAVING sum(CASE WHEN ` + outOfUse + ` THEN 1 ELSE 0 END) = 0) AS one`

// GateCounts is how many of the gates that are in use are in each state.
type GateCounts struct{ Well, Faulty, Paused, Silent int }

// CountGates counts those of all sites. A gate that is silent counts as that alone, and a faulty one as no paused one.
func (s *Store) CountGates(ctx context.Context, now time.Time) (GateCounts, error) {
	type states struct {
		gate                mqtt.Gate
		online, bad, paused bool
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (one states, err error) {
		err = rows.Scan(&one.gate.Site, &one.gate.Name, &one.online, &one.bad, &one.paused)
		return one, err
	}, "SELECT site, gate, online > 0, bad > 0, paused_until > $1 FROM "+inUse, now.UnixMilli())
	behind := map[mqtt.Gate]bool{}
	if err == nil {
		var faults []State
		faults, err = s.keyFaults(ctx, "", now)
		for _, state := range faults {
			behind[state.Gate] = true
		}
	}
	if err != nil {
		return GateCounts{}, fmt.Errorf("counting the gates: %w", err)
	}
	var counts GateCounts
	for _, one := range all {
		switch {
		case !one.online:
			counts.Silent++
		case one.bad || behind[one.gate]:
			counts.Faulty++
		case one.paused:
			counts.Paused++
		default:
			counts.Well++
		}
	}
	return counts, nil
}

func (s *Store) faults(ctx context.Context, site string, now time.Time) ([]Fault, error) {
	var only conditions
	only.add("until IS NULL AND (" + isFault + " OR " + outOfUse + ")")
	if site != "" {
		only.add("site = ?", site)
	}
	states, err := collect(ctx, s.read, scanState, "SELECT site, gate, part, value, since, 0 FROM gate_states"+only.String()+" ORDER BY since DESC, site, gate, part", only.args...)
	if err != nil {
		return nil, err
	}
	behind, err := s.keyFaults(ctx, site, now)
	if err != nil {
		return nil, err
	}
	states = append(states, behind...)
	slices.SortStableFunc(states, func(a, b State) int { return b.Since.Compare(a.Since) })
	unknown := map[mqtt.Gate]bool{}
	for _, state := range states {
		unknown[state.Gate] = unknown[state.Gate] || state.Part == Link
	}
	type shelved struct {
		gate mqtt.Gate
		part string
		Shelf
	}
	shelves, err := collect(ctx, s.read, func(rows *sql.Rows) (one shelved, err error) {
		var until int64
		err = rows.Scan(&one.gate.Site, &one.gate.Name, &one.part, &until, &one.Who, &one.Reason)
		one.Until = fromMilliseconds(until)
		return one, err
	}, "SELECT site, gate, part, until, who, reason FROM shelved WHERE until > $1 ORDER BY at", now.UnixMilli())
	if err != nil {
		return nil, err
	}
	var faults []Fault
	for _, state := range states {
		if unknown[state.Gate] && state.Part != Link || state.OutOfUse() {
			continue
		}
		fault := Fault{State: state}
		for _, one := range shelves {
			if one.gate == state.Gate && one.part == state.Part {
				fault.Shelf = &one.Shelf
			}
		}
		faults = append(faults, fault)
	}
	return faults, nil
}

const (
	maxShelf = 7 * 24 * time.Hour
	maxNote  = 500 // bytes
)

// Shelve puts what is wrong with a part of a gate aside until a time, at most a week, for a reason that is kept. A time
// that is over takes it out again.
func (s *Store) Shelve(ctx context.Context, gate mqtt.Gate, part string, shelf Shelf, at time.Time) error {
	switch {
	case part != Link && part != Camera && part != Reference && part != Group && part != Clock && part != Keys:
		return fmt.Errorf("%.40q is no part of a gate that has faults", part)
	case shelf.Until.Sub(at) > maxShelf:
		return errors.New("a fault is put aside for a week at most")
	case strings.TrimSpace(shelf.Who) == "" || strings.TrimSpace(shelf.Reason) == "" || len(shelf.Reason) > maxNote:
		return fmt.Errorf("whoever puts a fault aside gives a reason, of at most %d bytes", maxNote)
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE shelved SET until = $1 WHERE site = $2 AND gate = $3 AND part = $4 AND until > $1",
			at.UnixMilli(), gate.Site, gate.Name, part); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO shelved (site, gate, part, at, until, who, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (site, gate, part, at) DO UPDATE SET until = excluded.until, who = excluded.who, reason = excluded.reason`,
			gate.Site, gate.Name, part, at.UnixMilli(), shelf.Until.UnixMilli(), shelf.Who, shelf.Reason)
		return err
	})
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// News is what plants have told the console of their district.
type News struct {
	Events    []Event
	Alerts    []PlantAlert
	Statuses  []PlantStatus
	Plants    []Plant
	Shifts    []PlantShift
	Deletions []PlantDeletion
	// Heard is when the newest of it came from each site.
	Heard map[string]time.Time
}

// PlantAlert is how far a plant is with one of its alerts. Its event may come later.
type PlantAlert struct {
	Event                          string
	Gate                           mqtt.Gate
	Version                        int64 // a later one counts, an earlier one does not any more
	State                          AlertState
	Outcome                        mqtt.AlertOutcome
	Taken, Escalated, Read, Closed time.Time // zero where that did not happen
	Received                       time.Time
}

// PlantStatus is what a gate said to its plant's console.
type PlantStatus struct {
	Gate mqtt.Gate
	At   time.Time // a later one counts, an earlier one does not any more
	Link string
	Said *mqtt.StatusMessage // nil of a gate that is quiet
}

// Plant is how a plant counts the people of one of its sites, and for how long it keeps what.
type Plant struct {
	Site        string
	At          time.Time // a later one counts, an earlier one does not any more
	TimeZone    string
	OutcomeOnly bool
	KeepMonths  int
	Plans       []ShiftPlan
	Version     string // of its console
	Waiting     int64  // messages that it has yet to send
	Console     string // which one that is, since its start; empty of an older one
}

// Validate says what of it can't be.
func (p Plant) Validate() error {
	if zone, err := time.LoadLocation(p.TimeZone); err != nil || p.TimeZone == "" || zone == time.Local {
		return fmt.Errorf("%.80q is no time zone", p.TimeZone)
	}
	if p.KeepMonths < 1 || p.KeepMonths > maxKeepMonths {
		return fmt.Errorf("%d months are not between 1 and %d", p.KeepMonths, maxKeepMonths)
	}
	for _, plan := range p.Plans {
		if err := plan.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrShiftPlan, err)
		}
	}
	return nil
}

// PlantShift is what a plant's own report of a shift says.
type PlantShift struct {
	Site, Name                     string
	From, To                       time.Time
	Made                           time.Time // a later one counts, an earlier one does not any more
	People, Pass, Alert, Confirmed int64
	Inconclusive, Expected         int64
}

// PlantDeletion is an event that somebody has deleted in its plant.
type PlantDeletion struct {
	Site, Event string
	At          time.Time
}

// NewPlantEvent reads an event that the plant of a site has told. Its source names the gate.
func NewPlantEvent(site string, body []byte, received time.Time) (Event, error) {
	e, err := readEvent(body, received)
	if err != nil {
		return e, err
	}
	source, gate := event.ParseSource(e.Source)
	e.Gate = mqtt.Gate{Site: site, Name: gate}
	if source != site {
		return e, fmt.Errorf("the event is of %.160q and not of site %s, on whose subject it came", e.Source, site)
	}
	if err := e.Gate.Validate(); err != nil {
		return e, err
	}
	if e.Data.Outcome == event.Named {
		return e, errors.New("it says who an event is about, which no plant tells")
	}
	if err := e.forgetBearer(); err != nil { // and no plant tells that of the event itself
		return e, err
	}
	return e, e.check()
}

// Hear stores what plants have told, in one transaction; what they say of a site's settings is in force before that. What is
// here already changes nothing, and so does what is older than what is here. It tells how many of the events are new, which
// Count counts. What is of different shares is stored at the same time.
func (s *Store) Hear(ctx context.Context, news News) (fresh int, err error) {
	if err := s.follow(ctx, news.Plants); err != nil {
		return 0, err
	}
	touched := news.shares()
	defer s.lockShares(touched)()
	var deleted []Deletion
	var forgotten []string
	var counted map[int]counting
	err = s.readyMonths(ctx, news.Events)
	if err == nil {
		err = s.transact(ctx, func(tx *sql.Tx) error {
			if err := s.stillLeads(ctx, tx); err != nil {
				return err
			}
			new, _, all, err := s.append(ctx, tx, news.Events, true)
			if err != nil {
				return err
			}
			fresh, counted = len(new), all.byShare()
			if err := s.noteUncounted(ctx, tx, counted); err != nil {
				return err
			}
			deleted, forgotten, err = s.hear(ctx, tx, news)
			return err
		})
	}
	if err != nil {
		for n := range touched {
			s.shares[n].forget()
			s.noteWaiting(n)
		}
		return 0, fmt.Errorf("storing what plants have told: %w", err)
	}
	for n, more := range counted {
		s.shares[n].uncounted.add(more)
		s.noteWaiting(n)
	}
	for _, d := range deleted {
		s.setDeleted(d.Event, true)
		s.settle(d)
	}
	for _, id := range forgotten {
		s.setDeleted(id, false)
	}
	if len(deleted) > 0 {
		err = s.sweep(ctx)
	}
	return fresh, err
}

// hear stores all but the events. It returns what is deleted with it, and of which deletions nothing is known any more.
func (s *Store) hear(ctx context.Context, tx *sql.Tx, news News) (deleted []Deletion, forgotten []string, err error) {
	if err := s.hearAlerts(ctx, tx, news); err != nil {
		return nil, nil, err
	}
	if err := s.hearStatuses(ctx, tx, news.Statuses); err != nil {
		return nil, nil, err
	}
	if err := s.hearShifts(ctx, tx, news.Shifts); err != nil {
		return nil, nil, err
	}
	if err := s.hearPlants(ctx, tx, news); err != nil {
		return nil, nil, err
	}
	sites := map[string]int{}
	for _, d := range news.Deletions {
		done, isNew, err := d.apply(ctx, tx)
		if err != nil {
			return nil, nil, err
		}
		if isNew {
			deleted = append(deleted, done)
			sites[d.Site]++
		}
	}
	forgotten, err = s.bound(ctx, tx, "deleted_events", "at, event", sites)
	return deleted, forgotten, err
}

// mostTold is how much a plant has the district keep of each of alerts without an event, deletions and reports of shifts: the
// newest, and at times a tenth more.
const mostTold = 10_000

// bound deletes the oldest rows of sites that have got so many more, by two columns of which the last is the row's own.
func (s *Store) bound(ctx context.Context, tx *sql.Tx, table, columns string, added map[string]int) (forgotten []string, err error) {
	for site, n := range added {
		told := s.shareOf(site).told
		if told[table+" "+site] += n; told[table+" "+site] <= mostTold/10 {
			continue
		}
		told[table+" "+site] = 0
		_, own, _ := strings.Cut(columns, ", ")
		some, err := texts(ctx, tx, "DELETE FROM "+table+" WHERE site = $1 AND ("+columns+") <= (SELECT "+columns+" FROM "+table+
			" WHERE site = $1 ORDER BY "+strings.ReplaceAll(columns, ",", " DESC,")+" DESC LIMIT 1 OFFSET $2) RETURNING "+own, site, mostTold)
		if err != nil {
			return nil, err
		}
		forgotten = append(forgotten, some...)
	}
	return forgotten, nil
}

// hearAlerts keeps the words on alerts, and has those that are here follow them.
func (s *Store) hearAlerts(ctx context.Context, tx *sql.Tx, news News) error {
	var args []any
	var ids []string
	sites := map[string]int{}
	for _, a := range newest(news.Alerts, func(a PlantAlert) (mqtt.Gate, string, int64) { return a.Gate, a.Event, a.Version }) {
		args = append(args, a.Event, a.Gate.Site, a.Gate.Name, a.Version, string(a.State), string(a.Outcome), milliseconds(a.Taken),
			milliseconds(a.Escalated), milliseconds(a.Read), milliseconds(a.Closed), a.Received.UnixMilli())
		ids = append(ids, a.Event)
		sites[a.Gate.Site]++
	}
	err := s.inSteps(args, 11, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO plant_alerts (event, site, gate, version, state, outcome, taken_at, escalated, read_at, closed_at, received)
			VALUES `+rows+` ON CONFLICT (event, site, gate) DO UPDATE SET version = excluded.version, state = excluded.state, outcome = excluded.outcome,
			taken_at = excluded.taken_at, escalated = excluded.escalated, read_at = excluded.read_at, closed_at = excluded.closed_at,
			received = excluded.received WHERE excluded.version > plant_alerts.version`, args...)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range news.Events {
		if e.Data.Outcome == event.Alert {
			ids = append(ids, e.ID)
		}
	}
	for some := range slices.Chunk(ids, stepRows) {
		if err := followAlerts(ctx, tx, anys(some)); err != nil {
			return err
		}
	}
	_, err = s.bound(ctx, tx, "plant_alerts", "received, event", sites)
	return err
}

// ofPlant are the alerts that a word of their plant is about.
const ofPlant = "alerts.event = plant_alerts.event AND alerts.site = plant_alerts.site AND alerts.gate = plant_alerts.gate"

// followAlerts has alerts be as the words on them say, which are not kept any longer then.
func followAlerts(ctx context.Context, tx *sql.Tx, ids []any) error {
	these := "(" + list(1, len(ids)) + ")"
	apart, err := collect(ctx, tx, scanMember, "SELECT "+memberColumns+` FROM events WHERE id IN `+these+` AND outcome = 'alert'
		AND EXISTS (SELECT 1 FROM plant_alerts WHERE plant_alerts.event = events.id AND plant_alerts.site = events.site AND plant_alerts.gate = events.gate)
		AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.event = events.id) ORDER BY id`, ids...)
	if err != nil {
		return err
	}
	for _, m := range apart {
		if err := m.splitAlert(ctx, tx); err != nil {
			return err
		}
	}
	// No gate is told of it.
	if _, err := tx.ExecContext(ctx, `UPDATE alerts SET version = plant_alerts.version, state = plant_alerts.state, outcome = plant_alerts.outcome,
		taken_at = plant_alerts.taken_at, escalated = plant_alerts.escalated, read_at = plant_alerts.read_at, closed_at = plant_alerts.closed_at,
		changed = plant_alerts.received, told = `+strconv.Itoa(toldByPlant)+` FROM plant_alerts WHERE plant_alerts.event IN `+these+" AND "+ofPlant+" AND plant_alerts.version > alerts.version",
		ids...); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM plant_alerts WHERE event IN "+these+" AND EXISTS (SELECT 1 FROM alerts WHERE "+ofPlant+")", ids...)
	return err
}

// splitAlert makes an alert of its own of an event that counted with the one before it, for its plant has closed that first.
func (m member) splitAlert(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO alerts (event, latest, times, visit, site, gate, time, received, state, begun, raised)
		SELECT $1, max(id), count(*), $2, $3, $4, $5, $6, 'new', $5, $7 FROM events WHERE id >= $1 AND outcome = 'alert' AND visit = $2 AND site = $3 AND gate = $4`,
		m.id, m.visit, m.gate.Site, m.gate.Name, m.at, m.received, min(m.at, m.received)); err != nil {
		return err
	}
	for _, statement := range []string{
		`UPDATE alerts SET latest = coalesce((SELECT max(id) FROM events WHERE id >= alerts.event AND id < $1 AND outcome = 'alert' AND visit = $2 AND site = $3 AND gate = $4), event),
			times = (SELECT count(*) FROM events WHERE id >= alerts.event AND id < $1 AND outcome = 'alert' AND visit = $2 AND site = $3 AND gate = $4)
			WHERE event = (SELECT max(event) FROM alerts AS other WHERE other.event < $1 AND other.visit = $2 AND other.site = $3 AND other.gate = $4)`,
		`UPDATE alerts SET counts = event >= $1, begun = (SELECT min(begun) FROM alerts AS other WHERE other.visit = $2 AND other.site = $3 AND other.gate = $4)
			WHERE visit = $2 AND site = $3 AND gate = $4 AND counts`,
	} {
		if _, err := tx.ExecContext(ctx, statement, m.id, m.visit, m.gate.Site, m.gate.Name); err != nil {
			return err
		}
	}
	return nil
}

// newest leaves of several words about the same the one with the greatest number.
func newest[T any](all []T, of func(T) (mqtt.Gate, string, int64)) []T {
	type key struct {
		gate mqtt.Gate
		name string
	}
	best := map[key]int{}
	for i, one := range all {
		gate, name, number := of(one)
		before, has := best[key{gate, name}]
		if has {
			_, _, least := of(all[before])
			has = least >= number
		}
		if !has {
			best[key{gate, name}] = i
		}
	}
	var left []T
	for _, i := range slices.Sorted(maps.Values(best)) {
		left = append(left, all[i])
	}
	return left
}

// hearStatuses notes what gates have said, in the order in which they said it.
func (s *Store) hearStatuses(ctx context.Context, tx *sql.Tx, statuses []PlantStatus) error {
	statuses = slices.SortedStableFunc(slices.Values(statuses), func(a, b PlantStatus) int { return a.At.Compare(b.At) })
	for some := range slices.Chunk(statuses, stepRows) {
		if err := s.hearSome(ctx, tx, some); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) hearSome(ctx context.Context, tx *sql.Tx, statuses []PlantStatus) error {
	var gates []any
	for _, status := range statuses {
		gates = append(gates, status.Gate.Site, status.Gate.Name)
	}
	these := "(site, gate) IN (VALUES " + values(len(statuses), 2) + ")"
	type toldAt struct {
		gate mqtt.Gate
		at   int64
	}
	all, err := collect(ctx, tx, func(rows *sql.Rows) (one toldAt, err error) {
		err = rows.Scan(&one.gate.Site, &one.gate.Name, &one.at)
		return one, err
	}, "SELECT site, gate, told FROM gates WHERE "+these, gates...)
	if err != nil {
		return err
	}
	told := map[mqtt.Gate]int64{}
	for _, one := range all {
		told[one.gate] = one.at
	}
	states, err := collect(ctx, tx, scanState, "SELECT site, gate, part, value, since, 0 FROM gate_states WHERE until IS NULL AND "+these, gates...)
	if err != nil {
		return err
	}
	type partOf struct {
		gate mqtt.Gate
		part string
	}
	is := map[partOf]string{}
	for _, state := range states {
		is[partOf{state.Gate, state.Part}] = state.Value
	}
	heard, said := map[mqtt.Gate]int64{}, map[mqtt.Gate]PlantStatus{}
	var first []any // parts that begin
	for _, status := range statuses {
		at := status.At.UnixMicro()
		if at <= told[status.Gate] {
			continue
		}
		told[status.Gate], heard[status.Gate] = at, at
		if status.Link == Online && status.Said != nil && status.Said.Journal != "" {
			said[status.Gate] = status
		}
		for part, value := range status.parts() {
			before, known := is[partOf{status.Gate, part}]
			if before == value {
				continue
			}
			is[partOf{status.Gate, part}] = value
			if !known {
				first = append(first, status.Gate.Site, status.Gate.Name, part, status.At.UnixMilli(), value, "")
				continue
			}
			if err := s.beginParts(ctx, tx, first); err != nil {
				return err
			}
			first = nil
			if _, err := setPart(ctx, tx, status.Gate, part, value, "", status.At); err != nil {
				return err
			}
		}
	}
	if err := s.beginParts(ctx, tx, first); err != nil {
		return err
	}
	return s.noteStatuses(ctx, tx, heard, said)
}

// beginParts has parts be as they are said to be of which nothing was said before.
func (s *Store) beginParts(ctx context.Context, tx *sql.Tx, parts []any) error {
	return s.inSteps(parts, 6, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO gate_states (site, gate, part, since, value, who) VALUES "+rows+
			" ON CONFLICT (site, gate, part, since) DO UPDATE SET value = excluded.value, who = excluded.who, until = NULL", args...)
		return err
	})
}

// noteStatuses notes until when statuses were heard, and what the last of them say of journal and pause.
func (s *Store) noteStatuses(ctx context.Context, tx *sql.Tx, heard map[mqtt.Gate]int64, said map[mqtt.Gate]PlantStatus) error {
	if err := s.knowSites(ctx, tx, sitesOf(maps.Keys(heard))); err != nil {
		return err
	}
	var times, tails []any
	for gate, at := range heard {
		times = append(times, gate.Site, gate.Name, int64(0), at)
		if is := said[gate].Said; is != nil {
			tails = append(tails, gate.Site, gate.Name, said[gate].At.UnixMilli(), is.Version, milliseconds(is.PausedUntil), is.Journal, is.Sequence, int64(is.Unconfirmed))
		}
	}
	err := s.inSteps(times, 4, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO gates (site, gate, seen, told) VALUES "+rows+
			" ON CONFLICT (site, gate) DO UPDATE SET told = excluded.told", args...)
		return err
	})
	if err != nil {
		return err
	}
	return s.inSteps(tails, 8, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO gates (site, gate, seen, version, paused_until, journal, sequence, unconfirmed) VALUES "+rows+
			` ON CONFLICT (site, gate) DO UPDATE SET seen = CASE WHEN excluded.seen > gates.seen THEN excluded.seen ELSE gates.seen END,
			version = excluded.version, paused_until = excluded.paused_until, journal = excluded.journal, sequence = excluded.sequence,
			unconfirmed = excluded.unconfirmed`, args...)
		return err
	})
}

// parts are the states of a gate's parts by its status; of one that is not online nothing is known but that.
func (p PlantStatus) parts() map[string]string {
	if p.Link == Online && p.Said != nil {
		return partsOf(p.Said.Status)
	}
	return map[string]string{Link: p.Link}
}

func (s *Store) hearShifts(ctx context.Context, tx *sql.Tx, shifts []PlantShift) error {
	sites := map[string]int{}
	for _, t := range shifts {
		sites[t.Site]++
		if _, err := tx.ExecContext(ctx, `INSERT INTO plant_shifts (site, begin_at, end_at, name, made, people, pass, alert, confirmed, inconclusive, expected)
			VALUES `+values(1, 11)+` ON CONFLICT (site, begin_at) DO UPDATE SET end_at = excluded.end_at, name = excluded.name, made = excluded.made,
			people = excluded.people, pass = excluded.pass, alert = excluded.alert, confirmed = excluded.confirmed, inconclusive = excluded.inconclusive,
			expected = excluded.expected WHERE excluded.made > plant_shifts.made`,
			t.Site, t.From.UnixMilli(), t.To.UnixMilli(), t.Name, t.Made.UnixMilli(), t.People, t.Pass, t.Alert, t.Confirmed, t.Inconclusive, t.Expected); err != nil {
			return err
		}
	}
	_, err := s.bound(ctx, tx, "plant_shifts", "made, begin_at", sites)
	return err
}

// heardStep is how far behind the time may be that is kept of when a site was heard.
const heardStep = 10 * time.Second

// hearPlants notes when sites were heard, and what their plants said of themselves.
func (s *Store) hearPlants(ctx context.Context, tx *sql.Tx, news News) error {
	var heard, facts []any
	if err := s.knowSites(ctx, tx, maps.Keys(news.Heard)); err != nil {
		return err
	}
	for site, at := range news.Heard {
		if last := s.shareOf(site).heard; at.Sub(last[site]) >= heardStep {
			last[site] = at
			heard = append(heard, site, at.UnixMilli())
		}
	}
	for _, p := range newestPlants(news.Plants) {
		facts = append(facts, p.Site, p.At.UnixMilli(), p.Waiting, p.Version)
	}
	err := s.inSteps(heard, 2, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO plants (site, heard) VALUES "+rows+
			" ON CONFLICT (site) DO UPDATE SET heard = excluded.heard WHERE excluded.heard > plants.heard", args...)
		return err
	})
	if err != nil {
		return err
	}
	return s.inSteps(facts, 4, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO plants (site, told, waiting, version) VALUES "+rows+
			" ON CONFLICT (site) DO UPDATE SET told = excluded.told, waiting = excluded.waiting, version = excluded.version WHERE excluded.told > plants.told", args...)
		return err
	})
}

func newestPlants(all []Plant) []Plant {
	return newest(all, func(p Plant) (mqtt.Gate, string, int64) { return mqtt.Gate{Site: p.Site}, "", p.At.UnixMilli() })
}

// apply deletes the event, or keeps it from being stored when it comes. It has no effect twice, nor on another site's event.
func (d PlantDeletion) apply(ctx context.Context, tx *sql.Tx) (done Deletion, isNew bool, err error) {
	done = Deletion{Event: d.Event, Gate: mqtt.Gate{Site: d.Site}, At: d.At, visit: d.Event}
	members, err := readMembers(ctx, tx, "id IN", []string{d.Event})
	if err != nil {
		return done, false, err
	}
	for _, m := range members {
		if m.gate.Site != d.Site {
			return done, false, nil
		}
		done.Gate, done.visit = m.gate, m.visit
	}
	added, err := execute(ctx, tx, "INSERT INTO deleted_events (event, site, gate, visit, at, who, reason, sha256) VALUES "+values(1, 8)+" ON CONFLICT (event) DO NOTHING",
		d.Event, done.Gate.Site, done.Gate.Name, done.visit, d.At.UnixMilli(), "", "", "")
	if err != nil || added == 0 {
		return done, false, err
	}
	for _, statement := range []string{"DELETE FROM events WHERE id = $1", "DELETE FROM plant_alerts WHERE event = $1"} {
		if _, err := tx.ExecContext(ctx, statement, d.Event); err != nil {
			return done, false, err
		}
	}
	if len(members) == 0 {
		return done, true, nil
	}
	return done, true, note(ctx, tx, AuditLine{What: DeletedEvent, About: d.Event, Scope: done.Gate, Detail: "plant"})
}

// PlantShift returns what the plant's own report of a shift says; false where it has not come.
func (s *Store) PlantShift(ctx context.Context, site string, from time.Time) (t PlantShift, ok bool, err error) {
	found, err := collect(ctx, s.read, func(rows *sql.Rows) (t PlantShift, err error) {
		var from, to, made int64
		err = rows.Scan(&t.Site, &from, &to, &t.Name, &made, &t.People, &t.Pass, &t.Alert, &t.Confirmed, &t.Inconclusive, &t.Expected)
		t.From, t.To, t.Made = fromMilliseconds(from), fromMilliseconds(to), fromMilliseconds(made)
		return t, err
	}, `SELECT site, begin_at, end_at, name, made, people, pass, alert, confirmed, inconclusive, expected FROM plant_shifts
		WHERE site = $1 AND begin_at = $2`, site, from.UnixMilli())
	if err != nil || len(found) == 0 {
		return t, false, err
	}
	return found[0], true, nil
}

// PlantSite is a site as its district sees it.
type PlantSite struct {
	Name    string
	Heard   time.Time // when anything came of it
	Waiting int64     // messages that its plant had yet to send then
	Version string    // of its plant's console
	Gates   int       // in use
	Bad     int       // of them: not online, or with a fault
	Refused int       // messages of it that could not be stored, of the newest
}

// GatesOf returns the gates of some sites, of which there is one at least.
func (s *Store) GatesOf(ctx context.Context, sites []string) ([]mqtt.Gate, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (gate mqtt.Gate, err error) {
		err = rows.Scan(&gate.Site, &gate.Name)
		return gate, err
	}, "SELECT site, gate FROM gates WHERE site IN ("+list(1, len(sites))+")", anys(sites)...)
}

// SiteNames returns the names of all sites, in order.
func (s *Store) SiteNames(ctx context.Context) ([]string, error) {
	return texts(ctx, s.read, "SELECT name FROM sites ORDER BY name")
}

// SiteState is how a site is.
type SiteState string

// The states of a site.
const (
	SiteSilent   SiteState = "silent" // nothing comes from its plant, which gives a sign of life each minute
	SiteDegraded SiteState = "degraded"
	SiteUnknown  SiteState = "unknown" // no gate was ever heard
	SiteWell     SiteState = "well"
)

// SiteStates are all of them, those first that need somebody.
var SiteStates = []SiteState{SiteSilent, SiteDegraded, SiteUnknown, SiteWell}

// silentAfter is after how long a plant is silent from which nothing comes.
const silentAfter = 3 * time.Minute

// State is how the site is.
func (p PlantSite) State(now time.Time) SiteState {
	switch {
	case now.Sub(p.Heard) > silentAfter:
		return SiteSilent
	case p.Bad > 0:
		return SiteDegraded
	case p.Gates == 0:
		return SiteUnknown
	}
	return SiteWell
}

// PlantSites returns all sites, in the order of their names.
func (s *Store) PlantSites(ctx context.Context) ([]PlantSite, error) {
	sites, err := collect(ctx, s.read, func(rows *sql.Rows) (p PlantSite, err error) {
		var heard int64
		err = rows.Scan(&p.Name, &heard, &p.Waiting, &p.Version)
		p.Heard = fromMilliseconds(heard)
		return p, err
	}, "SELECT name, coalesce(heard, 0), coalesce(waiting, 0), coalesce(version, '') FROM sites LEFT JOIN plants ON plants.site = sites.name ORDER BY name")
	if err != nil {
		return nil, err
	}
	byName := map[string]*PlantSite{}
	for i := range sites {
		byName[sites[i].Name] = &sites[i]
	}
	type counts struct {
		site     string
		all, bad int
	}
	scan := func(rows *sql.Rows) (c counts, err error) {
		err = rows.Scan(&c.site, &c.all, &c.bad)
		return c, err
	}
	for _, of := range []struct {
		add   func(*PlantSite, counts)
		query string
	}{
		{func(p *PlantSite, c counts) { p.Gates, p.Bad = c.all, c.bad }, "SELECT site, count(*), count(*) FILTER (WHERE bad > 0) FROM " + inUse + " GROUP BY site"},
		{func(p *PlantSite, c counts) { p.Refused = c.all }, "SELECT site, count(*), 0 FROM refused_messages GROUP BY site"},
	} {
		all, err := collect(ctx, s.read, scan, of.query)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			if p := byName[c.site]; p != nil {
				of.add(p, c)
			}
		}
	}
	return sites, nil
}

// SiteAlerts is how many alerts of each site are not closed.
func (s *Store) SiteAlerts(ctx context.Context) (map[string]int, error) {
	return s.bySite(ctx, "SELECT site, count(*) FROM alerts WHERE state <> 'closed' GROUP BY site")
}

// SitePeople is how many people began their visit at each site within the minute before.
func (s *Store) SitePeople(ctx context.Context, now time.Time) (map[string]int, error) {
	return s.bySite(ctx, "SELECT site, count(*) FROM events WHERE id >= $1 AND id < $2 AND visit = id GROUP BY site", idAt(now.Add(-time.Minute)), idAt(now.Add(time.Minute)))
}

func (s *Store) bySite(ctx context.Context, query string, args ...any) (map[string]int, error) {
	counts := map[string]int{}
	type sum struct {
		site string
		n    int
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (one sum, err error) {
		err = rows.Scan(&one.site, &one.n)
		return one, err
	}, query, args...)
	for _, one := range all {
		counts[one.site] = one.n
	}
	return counts, err
}

// RefusedMessage is a message of a plant that could not be stored.
type RefusedMessage struct {
	At      time.Time
	Site    string // empty where the subject names none
	Subject string
	ID      string // its own, where it has one
	Reason  string
	Payload []byte
}

// maxRefused is how many refused messages of a site are kept, the newest; maxRefusedBytes how much of each.
const (
	maxRefused      = 1000
	maxRefusedBytes = 64 << 10
)

// Refuse keeps messages that could not be stored, for whoever finds out why; of one that may say who an event is about, not
// what it says.
func (s *Store) Refuse(ctx context.Context, messages ...RefusedMessage) error {
	text := func(s string) string { return cut(strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")) }
	var args []any
	sites := map[string]bool{}
	for _, m := range messages {
		sites[m.Site] = true
		if saysPerson(m.Payload) {
			m.Payload = nil
		}
		args = append(args, ulid.MustNew(ulid.Timestamp(m.At), ulid.DefaultEntropy()).String(), m.Site, text(m.Subject), text(m.ID), text(m.Reason),
			append([]byte{}, m.Payload[:min(len(m.Payload), maxRefusedBytes)]...))
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.stillLeads(ctx, tx); err != nil {
			return err
		}
		err := s.inSteps(args, 6, func(rows string, args []any) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO refused_messages (id, site, subject, message, reason, payload) VALUES "+rows, args...)
			return err
		})
		for site := range sites {
			if err == nil {
				_, err = tx.ExecContext(ctx, `DELETE FROM refused_messages WHERE site = $1 AND id <=
					(SELECT id FROM refused_messages WHERE site = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`, site, maxRefused)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping %d refused messages: %w", len(messages), err)
	}
	return nil
}

// RefusedMessages returns the newest, of a site or of all where it is empty.
func (s *Store) RefusedMessages(ctx context.Context, site string, limit int) ([]RefusedMessage, error) {
	var where conditions
	if site != "" {
		where.add("site = ?", site)
	}
	where.args = append(where.args, limit)
	return collect(ctx, s.read, func(rows *sql.Rows) (m RefusedMessage, err error) {
		var id string
		if err := rows.Scan(&id, &m.Site, &m.Subject, &m.ID, &m.Reason, &m.Payload); err != nil {
			return m, err
		}
		at, err := ulid.ParseStrict(id)
		m.At = ulid.Time(at.Time()).UTC()
		return m, err
	}, "SELECT id, site, subject, message, reason, payload FROM refused_messages"+where.String()+" ORDER BY id DESC LIMIT "+list(len(where.args), 1), where.args...)
}

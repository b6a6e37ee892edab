package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// outboxSchema is of what a plant has yet to tell its district. A row says what it is about, and not what there is to tell:
// that is read when it is sent, and so of what was deleted or stripped meanwhile nothing is.
const outboxSchema = `
CREATE TABLE outbox (
	number NUMBER PRIMARY KEY, -- the lane, and in it the order
	kind   TEXT NOT NULL,
	site   TEXT NOT NULL,
	key    TEXT NOT NULL
);
CREATE UNIQUE INDEX outbox_newest ON outbox (kind, site, key) WHERE kind <> 'event';

-- How far a district was told of what was there before it, in one row; none while there is no district.
CREATE TABLE district (
	history        TEXT COLLATION NOT NULL, -- id of the last event from before
	history_end    TEXT COLLATION NOT NULL, -- and of the last one to be told; empty once all were
	shifts_through BIGINT NOT NULL          -- up to when tallies of shifts that ended were
);
`

// Kinds of what is told a district.
const (
	OutgoingEvent    = "event"    // Key is its id
	OutgoingAlert    = "alert"    // Key is the id of its first event
	OutgoingStatus   = "status"   // Key is the gate's name
	OutgoingSite     = "site"     // Key is empty
	OutgoingShift    = "shift"    // Key is when it begins, in milliseconds since 1970
	OutgoingDeletion = "deletion" // Key is the id of the event
)

// Outgoing is something to be told a district.
type Outgoing struct {
	Number int64 // another one when there is more to tell of the same thing
	Kind   string
	Site   string
	Key    string
}

// QueuedAt is when it was put into the outbox.
func (o Outgoing) QueuedAt() time.Time { return time.UnixMicro(o.Number & (laneSize - 1)).UTC() }

// lane is one of the queues of an outbox. Each is a range of numbers: the number of a row is the start of its lane and the
// microseconds since 1970 when it was queued, or what is next where two would be the same.
type lane int64

const laneSize = 1 << 56

const (
	urgentLane lane = iota // alerts, deletions, gates' states and sites: always few
	eventLane
	historyLane // what was stored before there was a district
	shiftLane
	lanes
)

func (l lane) start() int64 { return int64(l) * laneSize }

// Timing of an outbox.
const (
	// liveFor is for how long an event is sent before older ones, when a district was away.
	liveFor      = time.Minute
	historyBatch = 500 // events
	// shiftSettled is how long after its end a shift is tallied, and how long ago something is that may change a tally.
	shiftSettled = 30 * time.Minute
	// A console that was off for longer than mostShiftDays tallies no shifts from before.
	mostShiftDays = 31
)

// outbox is what of it is in memory.
type outbox struct {
	on   atomic.Bool
	last atomic.Int64 // microseconds of the last number
}

// number is greater than each before it, in this and all earlier processes.
func (o *outbox) number(l lane) int64 {
	for {
		last := o.last.Load()
		if next := max(time.Now().UnixMicro(), last+1); o.last.CompareAndSwap(last, next) {
			return l.start() + next
		}
	}
}

// TellDistrict says whether there is a district to be told of everything from now on. A new one is told of all events that are
// kept, too, and one that comes again after a time without as well: it knows by their ids which of them it has.
func (s *Store) TellDistrict(ctx context.Context, is bool, now time.Time) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	for l := range lanes {
		var highest sql.NullInt64
		if err := s.write.QueryRowContext(ctx, "SELECT max(number) FROM outbox WHERE number >= $1 AND number < $2", l.start(), (l + 1).start()).Scan(&highest); err != nil {
			return fmt.Errorf("reading what the district was told: %w", err)
		}
		s.outbox.last.Store(max(s.outbox.last.Load(), highest.Int64-l.start()))
	}
	s.outbox.on.Store(is)
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if !is {
			_, err := tx.ExecContext(ctx, "DELETE FROM outbox")
			if err == nil {
				_, err = tx.ExecContext(ctx, "DELETE FROM district")
			}
			return err
		}
		added, err := execute(ctx, tx, `INSERT INTO district (history, history_end, shifts_through)
			SELECT '', coalesce((SELECT max(id) FROM events), ''), CAST($1 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM district)`, now.UnixMilli())
		if err == nil && added > 0 {
			err = s.queueStates(ctx, tx)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("noting whether there is a district: %w", err)
	}
	return nil
}

// queueStates queues how all is now.
func (s *Store) queueStates(ctx context.Context, tx *sql.Tx) error {
	for _, what := range []struct{ kind, query string }{
		{OutgoingSite, "SELECT name, '' FROM sites ORDER BY name"},
		{OutgoingStatus, "SELECT site, gate FROM gates ORDER BY site, gate"},
		{OutgoingDeletion, "SELECT site, event FROM deleted_events ORDER BY event"},
	} {
		all, err := collect(ctx, tx, func(rows *sql.Rows) (Outgoing, error) {
			o := Outgoing{Kind: what.kind}
			return o, rows.Scan(&o.Site, &o.Key)
		}, what.query)
		if err == nil {
			err = s.queue(ctx, tx, urgentLane, all...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// queue puts things into the outbox, if there is a district. Of those but events the outbox has the newest row alone.
func (s *Store) queue(ctx context.Context, tx *sql.Tx, l lane, all ...Outgoing) error {
	if !s.outbox.on.Load() || len(all) == 0 {
		return nil
	}
	args := make([]any, 0, 4*len(all))
	for _, o := range all {
		args = append(args, s.outbox.number(l), o.Kind, o.Site, o.Key)
	}
	newest := "UPDATE SET number = excluded.number"
	if l == historyLane { // what is there is newer
		newest = "NOTHING"
	}
	return s.inSteps(args, 4, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO outbox (number, kind, site, key) VALUES "+rows+
			" ON CONFLICT (kind, site, key) WHERE kind <> 'event' DO "+newest, args...)
		return err
	})
}

// queueEvents queues events that are new here, alerts that they raised, and the shifts that are over and to which they belong.
func (s *Store) queueEvents(ctx context.Context, tx *sql.Tx, fresh []*Event, raised []Outgoing) error {
	if !s.outbox.on.Load() {
		return nil
	}
	var events, urgent []Outgoing
	late := map[string][]time.Time{}
	for _, e := range fresh {
		o := Outgoing{Kind: OutgoingEvent, Site: e.Gate.Site, Key: e.ID}
		if e.Data.Outcome == event.Alert {
			urgent = append(urgent, o)
		} else {
			events = append(events, o)
		}
		if e.Received.Sub(e.Time) > shiftSettled {
			late[e.Gate.Site] = append(late[e.Gate.Site], e.Time)
		}
		if began := idTime(e.Visit); e.Visit != e.ID && e.Received.Sub(began) > shiftSettled {
			late[e.Gate.Site] = append(late[e.Gate.Site], began)
		}
	}
	if err := s.queue(ctx, tx, eventLane, events...); err != nil {
		return err
	}
	if err := s.queue(ctx, tx, urgentLane, append(urgent, raised...)...); err != nil {
		return err
	}
	for _, site := range slices.Sorted(maps.Keys(late)) {
		if err := s.queueShiftsAt(ctx, tx, site, fresh[len(fresh)-1].Received, late[site]...); err != nil {
			return err
		}
	}
	return nil
}

// queueShiftsAt queues the shifts of a site that some times are in, where they were tallied already.
func (s *Store) queueShiftsAt(ctx context.Context, tx *sql.Tx, site string, now time.Time, times ...time.Time) error {
	if !s.outbox.on.Load() {
		return nil
	}
	zone := s.zone(site)
	ofDay := map[Day][]ShiftAt{}
	changed := map[int64]bool{}
	for _, at := range times {
		if now.Sub(at) < shiftSettled {
			continue
		}
		today := DayOf(at.In(zone))
		if ofDay[today] == nil {
			var err error
			if ofDay[today], err = s.Shifts(ctx, site, today-1, today); err != nil {
				return err
			}
		}
		for _, shift := range ofDay[today] {
			if !at.Before(shift.From) && at.Before(shift.To) && !now.Before(shift.To.Add(shiftSettled)) {
				changed[shift.From.UnixMilli()] = true
			}
		}
	}
	return s.queue(ctx, tx, shiftLane, shiftsOf(site, slices.Sorted(maps.Keys(changed)))...)
}

func shiftsOf(site string, begin []int64) []Outgoing {
	var all []Outgoing
	for _, at := range begin {
		all = append(all, Outgoing{Kind: OutgoingShift, Site: site, Key: fmt.Sprint(at)})
	}
	return all
}

// QueueShifts queues the shifts that ended half an hour ago and are not queued yet.
func (s *Store) QueueShifts(ctx context.Context, now time.Time) error {
	var through int64
	err := s.read.QueryRowContext(ctx, "SELECT shifts_through FROM district").Scan(&through)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	var sites []Keeping
	if err == nil {
		sites, err = s.Keepings(ctx)
	}
	var ended []Outgoing
	from, to := fromMilliseconds(max(through, now.AddDate(0, 0, -mostShiftDays).UnixMilli())), now.Add(-shiftSettled)
	for _, site := range sites {
		zone := s.zone(site.Site)
		var shifts []ShiftAt
		if err == nil {
			shifts, err = s.Shifts(ctx, site.Site, DayOf(from.In(zone))-1, DayOf(to.In(zone)))
		}
		var begin []int64
		for _, shift := range shifts {
			if shift.To.After(from) && !shift.To.After(to) {
				begin = append(begin, shift.From.UnixMilli())
			}
		}
		ended = append(ended, shiftsOf(site.Site, begin)...)
	}
	if err == nil && len(ended) > 0 {
		err = s.transact(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "UPDATE district SET shifts_through = $1 WHERE shifts_through = $2", to.UnixMilli(), through); err != nil {
				return err
			}
			return s.queue(ctx, tx, shiftLane, ended...)
		})
	}
	if err != nil {
		return fmt.Errorf("queuing the tallies of shifts: %w", err)
	}
	return nil
}

// queueSite queues how a site counts its people. From is when that changes what shifts have come to; zero for not at all.
func (s *Store) queueSite(ctx context.Context, tx *sql.Tx, site string, from time.Time) error {
	if !s.outbox.on.Load() {
		return nil
	}
	if !from.IsZero() {
		if _, err := tx.ExecContext(ctx, "UPDATE district SET shifts_through = $1 WHERE shifts_through > $1", from.UnixMilli()); err != nil {
			return err
		}
	}
	return s.queue(ctx, tx, urgentLane, Outgoing{Kind: OutgoingSite, Site: site})
}

// QueueHistory queues the next of the events from before there was a district, and their alerts, and tells whether there were any.
func (s *Store) QueueHistory(ctx context.Context) (queued bool, err error) {
	err = s.commit(ctx, func(tx *sql.Tx) error {
		var after, end string
		err := tx.QueryRowContext(ctx, "SELECT history, history_end FROM district").Scan(&after, &end)
		if errors.Is(err, sql.ErrNoRows) || err == nil && end == "" {
			return nil
		}
		if err != nil {
			return err
		}
		queued = true
		scan := func(kind string) func(*sql.Rows) (Outgoing, error) {
			return func(rows *sql.Rows) (Outgoing, error) {
				o := Outgoing{Kind: kind}
				return o, rows.Scan(&o.Key, &o.Site)
			}
		}
		events, err := collect(ctx, tx, scan(OutgoingEvent), "SELECT id, site FROM events WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3", after, end, historyBatch)
		if err != nil {
			return err
		}
		through, rest := end, ""
		if len(events) == historyBatch {
			through, rest = events[len(events)-1].Key, end
		}
		alerts, err := collect(ctx, tx, scan(OutgoingAlert), "SELECT event, site FROM alerts WHERE event > $1 AND event <= $2 ORDER BY event", after, through)
		if err != nil {
			return err
		}
		all := append(events, alerts...)
		slices.SortStableFunc(all, func(a, b Outgoing) int { return cmp.Compare(a.Key, b.Key) })
		if err := s.queue(ctx, tx, historyLane, all...); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE district SET history = $1, history_end = $2", through, rest)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("queuing what was stored before there was a district: %w", err)
	}
	return queued, nil
}

// Outgoing returns so many of the things to be told a district, at most, but for those with some numbers and those of some
// sites: what is urgent first, then the events of the last minute, then what waits for longer, then what was there
// before there was a district, and then, if they are wanted, tallies of shifts; each in the order in which it was queued.
func (s *Store) Outgoing(ctx context.Context, most int, but map[int64]bool, sites map[string]bool, shifts bool, now time.Time) ([]Outgoing, error) {
	live := eventLane.start() + now.Add(-liveFor).UnixMicro()
	ranges := [][2]int64{
		{urgentLane.start(), eventLane.start()}, {live, historyLane.start()}, {eventLane.start(), live}, {historyLane.start(), shiftLane.start()},
	}
	if shifts {
		ranges = append(ranges, [2]int64{shiftLane.start(), lanes.start()})
	}
	var next []Outgoing
	for _, r := range ranges {
		var where conditions
		where.add("number >= ? AND number < ?", r[0], r[1])
		for site := range sites {
			where.add("site <> ?", site)
		}
		args := append(where.args, most-len(next)+len(but))
		rows, err := collect(ctx, s.read, func(rows *sql.Rows) (o Outgoing, err error) {
			err = rows.Scan(&o.Number, &o.Kind, &o.Site, &o.Key)
			return o, err
		}, "SELECT number, kind, site, key FROM outbox"+where.String()+" ORDER BY number LIMIT "+list(len(args), 1), args...)
		if err != nil {
			return nil, fmt.Errorf("reading what the district is to be told: %w", err)
		}
		rows = slices.DeleteFunc(rows, func(o Outgoing) bool { return but[o.Number] })
		if next = append(next, rows...); len(next) >= most {
			return next[:most], nil
		}
	}
	return next, nil
}

// RemoveOutgoing removes what a district was told, unless there is more to tell of it by now.
func (s *Store) RemoveOutgoing(ctx context.Context, numbers []int64) error {
	if _, err := s.write.ExecContext(ctx, "DELETE FROM outbox WHERE number IN ("+list(1, len(numbers))+")", anys(numbers)...); err != nil {
		return fmt.Errorf("noting what the district was told: %w", err)
	}
	return nil
}

// OutgoingBySite counts what waits to be told, with about how many events there are from before there was a district.
func (s *Store) OutgoingBySite(ctx context.Context) (map[string]int64, error) {
	waiting := map[string]int64{}
	counts, err := s.bySite(ctx, "SELECT site, count(*) FROM outbox GROUP BY site")
	for site, n := range counts {
		waiting[site] = int64(n)
	}
	var after, end string
	if err == nil {
		err = s.read.QueryRowContext(ctx, "SELECT history, history_end FROM district").Scan(&after, &end)
	}
	if err == nil && end != "" {
		if after == "" { // the first one that is kept
			err = s.read.QueryRowContext(ctx, "SELECT coalesce(min(id), '') FROM events").Scan(&after)
		}
		if err == nil {
			err = s.addDays(ctx, waiting, idTime(after), idTime(end))
		}
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("counting what the district is to be told: %w", err)
	}
	return waiting, nil
}

// addDays adds to each site its events of the days in which from and to lie there, and of those in between.
func (s *Store) addDays(ctx context.Context, counts map[string]int64, from, to time.Time) error {
	type ofDay struct {
		site   string
		day    Day
		events int64
	}
	const anyZone = 1 // day that a site's may differ from that of UTC
	days, err := collect(ctx, s.read, func(rows *sql.Rows) (one ofDay, err error) {
		err = rows.Scan(&one.site, &one.day, &one.events)
		return one, err
	}, "SELECT site, day, CAST(sum(events) AS BIGINT) FROM days WHERE day >= $1 AND day <= $2 GROUP BY site, day", DayOf(from.UTC())-anyZone, DayOf(to.UTC())+anyZone)
	for _, one := range days {
		if zone := s.zone(one.site); one.day >= DayOf(from.In(zone)) && one.day <= DayOf(to.In(zone)) {
			counts[one.site] += one.events
		}
	}
	return err
}

// EventsByID returns those of some events that there still are.
func (s *Store) EventsByID(ctx context.Context, ids []string) (map[string]Event, error) {
	found := make(map[string]Event, len(ids))
	for some := range slices.Chunk(ids, stepRows) {
		events, err := s.events(ctx, " WHERE id IN ("+list(1, len(some))+")", anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("reading %d events: %w", len(some), err)
		}
		for _, e := range events {
			found[e.ID] = e
		}
	}
	return found, nil
}

// GateStatus is what a gate says of itself, as far as it is kept, and its link by what the console hears of it. Both are
// empty of a gate that is not known.
func (s *Store) GateStatus(ctx context.Context, gate mqtt.Gate) (said mqtt.StatusMessage, link string, err error) {
	var paused, unconfirmed int64
	err = s.read.QueryRowContext(ctx, "SELECT version, paused_until, paused_by, journal, sequence, unconfirmed FROM gates WHERE site = $1 AND gate = $2",
		gate.Site, gate.Name).Scan(&said.Version, &paused, &said.PausedBy, &said.Journal, &said.Sequence, &unconfirmed)
	if errors.Is(err, sql.ErrNoRows) {
		return said, "", nil
	}
	var states []State
	if err == nil {
		states, err = collect(ctx, s.read, scanState, "SELECT site, gate, part, value, since, 0 FROM gate_states WHERE site = $1 AND gate = $2 AND until IS NULL",
			gate.Site, gate.Name)
	}
	if err != nil {
		return said, "", fmt.Errorf("the status of %s: %w", event.Source(gate.Site, gate.Name), err)
	}
	said.PausedUntil, said.Unconfirmed = fromMilliseconds(paused), int(unconfirmed)
	for _, state := range states {
		switch value := state.Value; state.Part {
		case Link:
			said.State, said.Since, link = value, state.Since, value
		case Camera:
			said.Camera = value
		case Reference:
			if value != well {
				said.Reference = value
			}
		case Group:
			if value != well {
				said.Group = value
			}
		case Pause:
			said.Paused = value == on
		}
	}
	return said, link, nil
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"thermogate/screening/mqtt"
)

// paceOf names a quarter of an hour or a day of a gate. A gate without a name is all of the site, for which only the
// busiest quarter is kept: that of gates does not tell it.
type paceOf struct {
	gate   mqtt.Gate
	number int64
}

// quarterPace is a quarter of a gate.
type quarterPace struct {
	pace
	stored bool // there is a row of it
	looks  queue
	whole  bool // all looks that are stored are in it
}

// paces are those that events were counted in lately, as they are stored.
type paces struct {
	quarters map[paceOf]*quarterPace
	days     map[paceOf]*pace
	most     int // quarters; with more, old ones are forgotten
}

func newPaces() paces { return paces{map[paceOf]*quarterPace{}, map[paceOf]*pace{}, leastPaces} }

func (p *paces) forget() {
	clear(p.quarters)
	clear(p.days)
}

const (
	// leastPaces is how many quarters of a share are remembered in any case.
	leastPaces = 64
	// maxPaces is how many are at most: the last ones of ten thousand gates and their sites, and as many again for shares are not the
	// same size.
	maxPaces = 80_000 / shares
)

// forgetOld forgets what is before the newest quarter and day of each gate and the ones before these, or all where that
// leaves too many. Twice as many as are left have to come until it is to be done again.
func (p *paces) forgetOld() {
	forgetOld(p.quarters)
	forgetOld(p.days)
	if len(p.quarters) > maxPaces*3/4 {
		p.forget()
	}
	p.most = min(max(2*len(p.quarters), leastPaces), maxPaces)
}

func forgetOld[T any](paces map[paceOf]T) {
	newest := map[mqtt.Gate]int64{}
	for key := range paces {
		newest[key.gate] = max(newest[key.gate], key.number)
	}
	maps.DeleteFunc(paces, func(key paceOf, _ T) bool { return key.number < newest[key.gate]-1 })
}

// morePaces is what is new in quarters.
type morePaces struct {
	paces  map[paceOf]*pace // whose busiest is how many people more there are
	queues map[paceOf][]look
}

func (s *Store) pacesOf(key paceOf) paces { return s.shareOf(key.gate.Site).paces }

func newMorePaces() morePaces { return morePaces{map[paceOf]*pace{}, map[paceOf][]look{}} }

func (m morePaces) of(gate mqtt.Gate, quarter int64) *pace {
	key := paceOf{gate, quarter}
	if m.paces[key] == nil {
		m.paces[key] = &pace{}
	}
	return m.paces[key]
}

func pacesOf(fresh []*Event, people tally, visits *visits) morePaces {
	more := newMorePaces()
	for _, e := range fresh {
		more.event(e.Gate, e.at, e.Received.UnixMilli(), e.Data.SecondsToVerdict, lookDataOf(&e.Data))
	}
	for _, members := range visits.changed {
		more.visit(members)
	}
	for key, n := range people {
		if n.people != 0 {
			more.of(key.gate, key.quarter).busiest += n.people
			more.of(mqtt.Gate{Site: key.gate.Site}, key.quarter).busiest += n.people
		}
	}
	return more
}

func (m morePaces) event(gate mqtt.Gate, at, received int64, seconds *float64, data *lookData) {
	p := m.of(gate, floorDiv(at, quarterMilliseconds))
	p.events++
	p.received = max(p.received, received)
	if seconds != nil && *seconds >= 0 && *seconds <= maxSeconds && data.RescreenOf == "" && data.Revises == "" {
		p.seconds = p.seconds.with(int64(math.Round(*seconds*100)), 1)
	}
	if b := data.BaselineCelsius; b != nil && *b >= 0 && *b <= maxBaselineCelsius {
		p.baseline.sum += int64(math.Round(*b * 100))
		p.baseline.count++
	}
	if look, ok := lookOf(at, data); ok {
		for _, quarter := range look.quarters() {
			m.of(gate, quarter)
			key := paceOf{gate, quarter}
			m.queues[key] = append(m.queues[key], look)
		}
	}
}

// visit notes that each of its quarters changed with the newest of its events.
func (m morePaces) visit(members []member) {
	var newest int64
	for _, one := range members {
		newest = max(newest, one.received)
	}
	for _, one := range members {
		p := m.of(one.gate, floorDiv(one.at, quarterMilliseconds))
		p.received = max(p.received, newest)
	}
}

// readyQueues has all looks at hand of the quarters that have more of them, which are stored already.
func (s *Store) readyQueues(ctx context.Context, tx *sql.Tx, more morePaces) error {
	for key := range more.paces { // of shares that are locked: others may be changed meanwhile
		if p := &s.shareOf(key.gate.Site).paces; len(p.quarters) > p.most {
			p.forgetOld()
		}
	}
	if err := s.readyQuarters(ctx, tx, slices.Collect(maps.Keys(more.queues))); err != nil {
		return err
	}
	for key := range more.queues {
		q := s.pacesOf(key).quarters[key]
		if q.stored && !q.whole {
			looks, err := storedLooks(ctx, tx, key)
			if err != nil {
				return err
			}
			q.looks = looks
			delete(more.queues, key) // they are among those
		}
		q.whole = true
	}
	return nil
}

func storedLooks(ctx context.Context, tx *sql.Tx, of paceOf) (queue, error) {
	begin := time.UnixMilli(of.number * quarterMilliseconds)
	type found struct {
		look
		ok bool
	}
	looks, err := collect(ctx, tx, func(rows *sql.Rows) (one found, err error) {
		var at int64
		var body string
		if err := rows.Scan(&at, &body); err != nil {
			return one, err
		}
		data, err := readLook(body)
		one.look, one.ok = lookOf(at, data)
		return one, err
	}, "SELECT time, body FROM events WHERE site = $1 AND gate = $2 AND id >= $3 AND id < $4",
		of.gate.Site, of.gate.Name, idAt(begin), idAt(begin.Add(2*quarterHour)))
	var q queue
	for _, one := range looks {
		if one.ok && slices.Contains(one.quarters(), of.number) {
			q = q.with(one.look, of.number)
		}
	}
	return q, err
}

func readLook(body string) (*lookData, error) {
	var e struct{ Data lookData }
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return nil, fmt.Errorf("reading an event's look: %w", err)
	}
	return &e.Data, nil
}

// countPaces adds to the paces of quarters, and of the days that they are in.
func (s *Store) countPaces(ctx context.Context, tx *sql.Tx, more morePaces) error {
	days := map[paceOf]*pace{}
	var fewer []paceOf // days that may have another busiest quarter now
	for key, add := range more.paces {
		if add.busiest < 0 {
			fewer = append(fewer, paceOf{key.gate, s.dayOf(key)})
		}
	}
	if err := s.countQuarters(ctx, tx, more); err != nil {
		return err
	}
	for key, add := range more.paces {
		q := s.pacesOf(key).quarters[key]
		add.queue, add.queueAt, add.busiest, add.busiestAt = q.queue, q.queueAt, q.busiest, q.busiestAt
		day := paceOf{key.gate, s.dayOf(key)}
		if days[day] == nil {
			days[day] = &pace{queueAt: q.queueAt, busiestAt: q.busiestAt}
		}
		days[day].add(add)
	}
	return s.countDays(ctx, tx, days, fewer)
}

func (s *Store) countQuarters(ctx context.Context, tx *sql.Tx, more morePaces) error {
	if err := s.readyQuarters(ctx, tx, slices.Collect(maps.Keys(more.paces))); err != nil {
		return err
	}
	changed := map[paceOf]*pace{}
	for key, add := range more.paces {
		q := s.pacesOf(key).quarters[key]
		people := q.busiest + add.busiest
		q.add(add)
		q.busiest, q.busiestAt = people, key.number
		for _, look := range more.queues[key] {
			q.looks = q.looks.with(look, key.number)
		}
		if most, at := q.looks.longest(); most > q.queue || most == q.queue && at < q.queueAt {
			q.queue, q.queueAt = most, at
		}
		q.stored = true
		changed[key] = &q.pace
	}
	return s.writePaces(ctx, tx, quarterPaces, changed)
}

func (s *Store) dayOf(quarter paceOf) int64 {
	return int64(DayOf(time.UnixMilli(quarter.number * quarterMilliseconds).In(s.zone(quarter.gate.Site))))
}

func (s *Store) countDays(ctx context.Context, tx *sql.Tx, more map[paceOf]*pace, fewer []paceOf) error {
	if err := s.readyDays(ctx, tx, slices.Collect(maps.Keys(more))); err != nil {
		return err
	}
	now := map[paceOf]*pace{}
	for key, add := range more {
		s.pacesOf(key).days[key].add(add)
		now[key] = s.pacesOf(key).days[key]
	}
	for _, key := range fewer {
		day := s.pacesOf(key).days[key]
		zone := s.zone(key.gate.Site)
		from, to := quartersOf(Day(key.number).Begin(zone), Day(key.number+1).Begin(zone))
		if err := tx.QueryRowContext(ctx, `SELECT busiest, quarter FROM gate_quarters
			WHERE site = $1 AND quarter >= $2 AND quarter < $3 AND gate = $4 ORDER BY busiest DESC, quarter LIMIT 1`,
			key.gate.Site, from, to, key.gate.Name).Scan(&day.busiest, &day.busiestAt); err != nil {
			return err
		}
	}
	return s.writePaces(ctx, tx, dayPaces, now)
}

// quartersOf are the quarters from one time to before another.
func quartersOf(from, to time.Time) (first, end int64) {
	return floorDiv(from.UnixMilli(), quarterMilliseconds), floorDiv(to.UnixMilli()+quarterMilliseconds-1, quarterMilliseconds)
}

// readyQuarters has quarters at hand.
func (s *Store) readyQuarters(ctx context.Context, tx *sql.Tx, keys []paceOf) error {
	keys = slices.DeleteFunc(keys, func(key paceOf) bool { return s.pacesOf(key).quarters[key] != nil })
	found, err := readPaces(ctx, tx, quarterPaces, keys)
	for _, key := range keys {
		s.pacesOf(key).quarters[key] = &quarterPace{}
		if p := found[key]; p != nil {
			s.pacesOf(key).quarters[key] = &quarterPace{pace: *p, stored: true}
		}
	}
	return err
}

func (s *Store) readyDays(ctx context.Context, tx *sql.Tx, keys []paceOf) error {
	keys = slices.DeleteFunc(keys, func(key paceOf) bool { return s.pacesOf(key).days[key] != nil })
	found, err := readPaces(ctx, tx, dayPaces, keys)
	for _, key := range keys {
		if s.pacesOf(key).days[key] = found[key]; found[key] == nil {
			s.pacesOf(key).days[key] = &pace{}
		}
	}
	return err
}

// paceTable is where paces are kept, and the column that numbers them.
type paceTable struct{ name, number string }

var (
	quarterPaces = paceTable{"gate_quarters", "quarter"}
	dayPaces     = paceTable{"gate_days", "day"}
)

const paceColumns = "events, received, seconds, queue, queue_at, busiest, busiest_at, baseline_sum, baseline_count"

type numberedPace struct {
	paceOf
	pace
}

func scanPace(rows *sql.Rows) (one numberedPace, err error) {
	var packed []byte
	if err := rows.Scan(&one.gate.Site, &one.gate.Name, &one.number, &one.events, &one.received, &packed, &one.queue, &one.queueAt,
		&one.busiest, &one.busiestAt, &one.baseline.sum, &one.baseline.count); err != nil {
		return one, err
	}
	one.seconds, err = unpack(packed)
	return one, err
}

// readPaces returns those that are stored.
func readPaces(ctx context.Context, q querier, table paceTable, keys []paceOf) (map[paceOf]*pace, error) {
	found := map[paceOf]*pace{}
	for some := range slices.Chunk(keys, stepRows) {
		args := make([]any, 0, 3*len(some))
		for _, key := range some {
			args = append(args, key.gate.Site, key.number, key.gate.Name)
		}
		// Many conditions with OR in between a server would check on every row.
		all, err := collect(ctx, q, scanPace, "SELECT site, gate, "+table.number+", "+paceColumns+" FROM "+table.name+
			" WHERE (site, "+table.number+", gate) IN (VALUES "+strings.Replace(values(len(some), 3), "$2,", "CAST($2 AS BIGINT),", 1)+")", args...)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			found[one.paceOf] = &one.pace
		}
	}
	return found, nil
}

func (s *Store) writePaces(ctx context.Context, tx *sql.Tx, table paceTable, paces map[paceOf]*pace) error {
	args := make([]any, 0, 12*len(paces))
	for key, p := range paces {
		args = append(args, key.gate.Site, key.gate.Name, key.number, p.events, p.received, p.seconds.pack(), p.queue, p.queueAt,
			p.busiest, p.busiestAt, p.baseline.sum, p.baseline.count)
	}
	return s.inSteps(args, 12, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO "+table.name+" (site, gate, "+table.number+", "+paceColumns+") VALUES "+rows+
			" ON CONFLICT (site, "+table.number+`, gate) DO UPDATE SET events = excluded.events, received = excluded.received, seconds = excluded.seconds,
			queue = excluded.queue, queue_at = excluded.queue_at, busiest = excluded.busiest, busiest_at = excluded.busiest_at,
			baseline_sum = excluded.baseline_sum, baseline_count = excluded.baseline_count`, args...)
		return err
	})
}

// recountPaces makes the paces of the days of sites anew of those of their quarters.
func (s *Store) recountPaces(ctx context.Context, tx *sql.Tx, sites []string, zones map[string]*time.Location) error {
	these := "site IN (" + list(1, len(sites)) + ")"
	if _, err := tx.ExecContext(ctx, "DELETE FROM gate_days WHERE "+these, anys(sites)...); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT site, gate, quarter, "+paceColumns+" FROM gate_quarters WHERE "+these, anys(sites)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	days := map[paceOf]*pace{}
	for rows.Next() {
		one, err := scanPace(rows)
		if err != nil {
			return err
		}
		key := paceOf{one.gate, int64(DayOf(time.UnixMilli(one.number * quarterMilliseconds).In(zones[one.gate.Site])))}
		if days[key] == nil {
			days[key] = &pace{queueAt: one.queueAt, busiestAt: one.busiestAt}
		}
		days[key].add(&one.pace)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	return s.writePaces(ctx, tx, dayPaces, days)
}

package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// pace is how it went at a gate in a quarter of an hour or on a day, other than by outcome. It is kept as people and
// events are, with every event that comes.
//
// Only the first look of a visit waits: what repeats or revises an event has no seconds and stands in no queue.
type pace struct {
	events    int64
	received  int64 // when the newest event came in of a visit that has one then
	seconds   histogram
	queue     int64 // most people in view and without a verdict at one time
	queueAt   int64 // milliseconds since 1970
	busiest   int64 // people in the busiest quarter
	busiestAt int64 // the first such quarter
	baseline  mean
}

// add takes in more of the same time, or of another.
func (p *pace) add(more *pace) {
	p.events += more.events
	p.received = max(p.received, more.received)
	for _, bin := range more.seconds {
		p.seconds = p.seconds.with(bin.hundredths, bin.people)
	}
	p.baseline.sum, p.baseline.count = p.baseline.sum+more.baseline.sum, p.baseline.count+more.baseline.count
	if more.queue > p.queue || more.queue == p.queue && more.queueAt < p.queueAt {
		p.queue, p.queueAt = more.queue, more.queueAt
	}
	if more.busiest > p.busiest || more.busiest == p.busiest && more.busiestAt < p.busiestAt {
		p.busiest, p.busiestAt = more.busiest, more.busiestAt
	}
}

// mean is that of temperatures in hundredths of a degree.
type mean struct{ sum, count int64 }

func (m mean) celsius() float64 { return float64(m.sum) / float64(m.count) / 100 }

// What is told of a baseline or of seconds and lies beyond these is no measurement.
const (
	maxBaselineCelsius = 100
	maxSeconds         = 3600
)

// histogram is how many people took so many hundredths of a second, in order of these.
type histogram []bin

type bin struct{ hundredths, people int64 }

func (h histogram) with(hundredths, people int64) histogram {
	at, found := slices.BinarySearchFunc(h, hundredths, func(b bin, wanted int64) int { return cmp.Compare(b.hundredths, wanted) })
	if found {
		h[at].people += people
		return h
	}
	return slices.Insert(h, at, bin{hundredths, people})
}

// quantile is the least number of seconds within which a share of the people had their verdict; NaN of nobody.
func (h histogram) quantile(share float64) float64 {
	var all, sum int64
	for _, b := range h {
		all += b.people
	}
	for _, b := range h {
		if sum += b.people; float64(sum) >= share*float64(all) {
			return float64(b.hundredths) / 100
		}
	}
	return math.NaN()
}

// pack writes for each bin how much more it is than the one before, and its people.
func (h histogram) pack() []byte {
	packed := make([]byte, 0, 3*len(h))
	var last int64
	for _, b := range h {
		packed = binary.AppendUvarint(packed, uint64(b.hundredths-last))
		packed = binary.AppendUvarint(packed, uint64(b.people))
		last = b.hundredths
	}
	return packed
}

func unpack(packed []byte) (histogram, error) {
	var h histogram
	var last int64
	for len(packed) > 0 {
		more, n := binary.Uvarint(packed)
		people, m := binary.Uvarint(packed[max(n, 0):])
		if n <= 0 || m <= 0 {
			return nil, fmt.Errorf("a count of seconds in the store is broken")
		}
		packed, last = packed[n+m:], last+int64(more)
		h = append(h, bin{last, int64(people)})
	}
	return h, nil
}

// look is one from when somebody was first seen to before the verdict, in milliseconds since 1970.
type look struct{ from, to int64 }

// lookOf is the first look of a visit. One that is said to be longer than a quarter of an hour is that of a clock which
// was set meanwhile.
func lookOf(at int64, data *lookData) (l look, ok bool) {
	l = look{data.FirstSeen.UnixMilli(), at}
	return l, data.RescreenOf == "" && data.Revises == "" && !data.FirstSeen.IsZero() && l.from < l.to && l.to-l.from <= quarterMilliseconds
}

// lookData is what of an event is about its look.
type lookData struct {
	FirstSeen       time.Time `json:"first_seen"`
	RescreenOf      string    `json:"rescreen_of"`
	Revises         string    `json:"revises"`
	BaselineCelsius *float64  `json:"baseline_celsius"`
}

func lookDataOf(d *event.Data) *lookData {
	return &lookData{d.FirstSeen, d.RescreenOf, d.Revises, d.BaselineCelsius}
}

// quarters are those in which a look was.
func (l look) quarters() []int64 {
	from, to := floorDiv(l.from, quarterMilliseconds), floorDiv(l.to-1, quarterMilliseconds)
	if from == to {
		return []int64{from}
	}
	return []int64{from, to}
}

// queue is who looked into the camera during a quarter: when there was one more or less of them, in order.
type queue []step

type step struct {
	at   int64
	more int64 // 1 or -1
}

func (q queue) with(l look, quarter int64) queue {
	from, to := max(l.from, quarter*quarterMilliseconds), min(l.to, (quarter+1)*quarterMilliseconds)
	for _, s := range []step{{from, 1}, {to, -1}} {
		at, _ := slices.BinarySearchFunc(q, s, func(a, b step) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.more, b.more)) })
		q = slices.Insert(q, at, s)
	}
	return q
}

// longest is the most at one time, and when that was first.
func (q queue) longest() (most, at int64) {
	var now int64
	for _, s := range q {
		if now += s.more; now > most {
			most, at = now, s.at
		}
	}
	return most, at
}

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
}

func newPaces() paces { return paces{map[paceOf]*quarterPace{}, map[paceOf]*pace{}} }

func (p paces) forget() {
	clear(p.quarters)
	clear(p.days)
}

// maxPaces is how many quarters are remembered.
const maxPaces = 4096

// morePaces is what is new in quarters.
type morePaces struct {
	paces  map[paceOf]*pace // whose busiest is how many people more there are
	queues map[paceOf][]look
}

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

// readyQueues reads the looks that are stored already of the quarters in which events have theirs.
func (s *Store) readyQueues(ctx context.Context, tx *sql.Tx, events []*Event) error {
	if len(s.paces.quarters) > maxPaces {
		s.paces.forget()
	}
	wanted := map[paceOf]bool{}
	for _, e := range events {
		if look, ok := lookOf(e.at, lookDataOf(&e.Data)); ok {
			for _, quarter := range look.quarters() {
				wanted[paceOf{e.Gate, quarter}] = true
			}
		}
	}
	if err := s.readyQuarters(ctx, tx, slices.Collect(maps.Keys(wanted))); err != nil {
		return err
	}
	for key := range wanted {
		q := s.paces.quarters[key]
		if q.stored && !q.whole {
			looks, err := storedLooks(ctx, tx, key)
			if err != nil {
				return err
			}
			q.looks = looks
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
		q := s.paces.quarters[key]
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
		q := s.paces.quarters[key]
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
		s.paces.days[key].add(add)
		now[key] = s.paces.days[key]
	}
	for _, key := range fewer {
		day := s.paces.days[key]
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
	keys = slices.DeleteFunc(keys, func(key paceOf) bool { return s.paces.quarters[key] != nil })
	found, err := readPaces(ctx, tx, quarterPaces, keys)
	for _, key := range keys {
		s.paces.quarters[key] = &quarterPace{}
		if p := found[key]; p != nil {
			s.paces.quarters[key] = &quarterPace{pace: *p, stored: true}
		}
	}
	return err
}

func (s *Store) readyDays(ctx context.Context, tx *sql.Tx, keys []paceOf) error {
	keys = slices.DeleteFunc(keys, func(key paceOf) bool { return s.paces.days[key] != nil })
	found, err := readPaces(ctx, tx, dayPaces, keys)
	for _, key := range keys {
		if s.paces.days[key] = found[key]; found[key] == nil {
			s.paces.days[key] = &pace{}
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
		var where conditions
		for _, key := range some {
			where.add("site = ? AND "+table.number+" = ? AND gate = ?", key.gate.Site, key.number, key.gate.Name)
		}
		all, err := collect(ctx, q, scanPace, "SELECT site, gate, "+table.number+", "+paceColumns+" FROM "+table.name+" WHERE "+where.any(), where.args...)
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

// recountPaces makes the paces of a site's days anew of those of its quarters.
func (s *Store) recountPaces(ctx context.Context, tx *sql.Tx, site string, zone *time.Location) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM gate_days WHERE site = $1", site); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT site, gate, quarter, "+paceColumns+" FROM gate_quarters WHERE site = $1", site)
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
		key := paceOf{one.gate, int64(DayOf(time.UnixMilli(one.number * quarterMilliseconds).In(zone)))}
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

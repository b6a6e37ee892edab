package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// counting is what events come to beside themselves. It is what is added, so that that of several batches is added at once:
// an event changes a row in each of six tables, and so do a hundred of the same gate.
type counting struct {
	people tally
	paces  morePaces
	seen   map[mqtt.Gate]time.Time
	held   map[journalOf]spans
}

func newCounting() counting {
	return counting{tally{}, newMorePaces(), map[mqtt.Gate]time.Time{}, map[journalOf]spans{}}
}

func (c counting) add(more counting) {
	for key, n := range more.people {
		c.people.add(key, n)
	}
	for key, p := range more.paces.paces {
		mine := c.paces.of(key.gate, key.number)
		people := mine.busiest + p.busiest
		mine.add(p)
		mine.busiest = people
	}
	for key, looks := range more.paces.queues {
		c.paces.queues[key] = append(c.paces.queues[key], looks...)
	}
	for gate, at := range more.seen {
		if at.After(c.seen[gate]) {
			c.seen[gate] = at
		}
	}
	for of, runs := range more.held {
		c.held[of] = c.held[of].union(runs)
	}
}

// countAll adds it where it is counted, and returns what is held of the journals then.
func (s *Store) countAll(ctx context.Context, tx *sql.Tx, c counting) ([]Holding, error) {
	if err := s.see(ctx, tx, c.seen); err != nil {
		return nil, err
	}
	if err := s.count(ctx, tx, c.people); err != nil {
		return nil, err
	}
	if err := s.readyQueues(ctx, tx, c.paces); err != nil {
		return nil, err
	}
	if err := s.countPaces(ctx, tx, c.paces); err != nil {
		return nil, err
	}
	return s.hold(ctx, tx, c.held)
}

// uncounted is what the events of a share come to that are stored, and not counted yet: what its rows in the table say.
type uncounted struct {
	read   bool // the rows were read, or there were none
	since  time.Time
	rows   int64
	counts counting
}

func (u *uncounted) add(more counting) {
	if !u.read {
		return // it is among the rows
	}
	if u.rows == 0 {
		u.since, u.counts = time.Now(), newCounting()
	}
	u.rows++
	u.counts.add(more)
}

// countGates is of how many gates Count adds what events come to, so that whoever waits for it does not wait long.
const countGates = 300

// Count adds what the events that plants have told come to where they are counted: those that have waited longest. It
// tells whether there are more. What is not counted when a console ends the next one counts.
func (s *Store) Count(ctx context.Context) (more bool, err error) {
	numbers, more := s.waitLongest()
	if len(numbers) == 0 {
		return false, nil
	}
	defer s.lockShares(numbers)()
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.stillLeads(ctx, tx); err != nil {
			return err
		}
		if err := s.plan(ctx, tx); err != nil {
			return err
		}
		var in []int
		var rows int64
		all := newCounting()
		for n := range numbers {
			if err := s.readUncounted(ctx, tx, n); err != nil {
				return err
			}
			if s.shares[n].uncounted.rows > 0 {
				in = append(in, n)
				rows += s.shares[n].uncounted.rows
				all.add(s.shares[n].uncounted.counts)
			}
		}
		if len(in) == 0 {
			return nil
		}
		if _, err := s.countAll(ctx, tx, all); err != nil {
			return err
		}
		counted, err := execute(ctx, tx, "DELETE FROM uncounted WHERE share IN ("+list(1, len(in))+")", anys(in)...)
		if err == nil && counted != rows {
			err = fmt.Errorf("%d batches wait where this console knows of %d: is another one at work in this store?", counted, rows)
		}
		return err
	})
	for n := range numbers {
		if err != nil {
			s.shares[n].forget()
			s.putLast(n)
		} else {
			s.shares[n].uncounted = uncounted{read: true}
			s.noteWaiting(n)
		}
	}
	if err != nil {
		return true, fmt.Errorf("counting what plants have told: %w", err)
	}
	return more, nil
}

// waitingShare is how much of a share is not counted, for whoever has not locked it.
type waitingShare struct {
	share, gates int
	since        time.Time
}

func (s *Store) noteWaiting(n int) {
	s.waitingMu.Lock()
	defer s.waitingMu.Unlock()
	if u := s.shares[n].uncounted; !u.read {
		s.waiting[n] = waitingShare{n, countGates, s.waiting[n].since}
	} else if u.rows > 0 {
		s.waiting[n] = waitingShare{n, len(u.counts.seen), u.since}
	} else {
		delete(s.waiting, n)
	}
}

// putLast has a share that could not be counted wait anew, by itself: the others are not to wait for it.
func (s *Store) putLast(n int) {
	s.waitingMu.Lock()
	defer s.waitingMu.Unlock()
	s.waiting[n] = waitingShare{n, countGates, time.Now()}
}

// waitLongest are shares of which something is not counted, and whether there are more of them.
func (s *Store) waitLongest() (numbers map[int]bool, more bool) {
	s.waitingMu.Lock()
	all := slices.Collect(maps.Values(s.waiting))
	s.waitingMu.Unlock()
	slices.SortFunc(all, func(a, b waitingShare) int { return a.since.Compare(b.since) })
	numbers = map[int]bool{}
	gates := 0
	for _, one := range all {
		if gates > 0 && gates+one.gates > countGates {
			break
		}
		gates += one.gates
		numbers[one.share] = true
	}
	return numbers, len(numbers) < len(all)
}

// CountedUntil is a time up to which all that was heard of a site is counted.
func (s *Store) CountedUntil(ctx context.Context, site string, now time.Time) (time.Time, error) {
	until := now.UnixMilli()
	err := s.read.QueryRowContext(ctx, "SELECT coalesce(min(at), $1) FROM uncounted WHERE share = $2", until, ShareOf(site)).Scan(&until)
	return time.UnixMilli(until), err
}

// byShare divides it among the shares of its sites.
func (c counting) byShare() map[int]counting {
	parts := map[int]counting{}
	of := func(site string) counting {
		n := ShareOf(site)
		if parts[n].people == nil {
			parts[n] = newCounting()
		}
		return parts[n]
	}
	for key, n := range c.people {
		of(key.gate.Site).people[key] = n
	}
	for key, p := range c.paces.paces {
		of(key.gate.Site).paces.paces[key] = p
	}
	for key, looks := range c.paces.queues {
		of(key.gate.Site).paces.queues[key] = looks
	}
	for gate, at := range c.seen {
		of(gate.Site).seen[gate] = at
	}
	for journal, runs := range c.held {
		of(journal.gate.Site).held[journal] = runs
	}
	return parts
}

// noteUncounted notes what events come to that are not counted yet.
func (s *Store) noteUncounted(ctx context.Context, tx *sql.Tx, parts map[int]counting) error {
	var args []any
	for n, part := range parts {
		body, err := json.Marshal(part.rows())
		if err != nil {
			return err
		}
		events := int64(0)
		for _, more := range part.people {
			events += more.events
		}
		args = append(args, n, s.uncountedNumber.Add(1), events, string(body), time.Now().UnixMilli())
	}
	return s.inSteps(args, 5, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO uncounted (share, number, events, counts, at) VALUES "+rows, args...)
		return err
	})
}

// readUncounted has what is not counted of a share at hand.
func (s *Store) readUncounted(ctx context.Context, tx *sql.Tx, n int) error {
	u := &s.shares[n].uncounted
	if u.read {
		return nil
	}
	all, err := collect(ctx, tx, func(rows *sql.Rows) (c countedRows, err error) {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return c, err
		}
		return c, json.Unmarshal(body, &c)
	}, "SELECT counts FROM uncounted WHERE share = $1", n)
	if err != nil {
		return err
	}
	*u = uncounted{read: true}
	for _, one := range all {
		more, err := one.counting()
		if err != nil {
			return err
		}
		u.add(more)
	}
	return nil
}

// findUncounted finds out what a console before this has left uncounted.
func (s *Store) findUncounted(ctx context.Context) error {
	type left struct {
		share int
		last  int64
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (l left, err error) {
		err = rows.Scan(&l.share, &l.last)
		return l, err
	}, "SELECT share, max(number) FROM uncounted GROUP BY share")
	for _, h := range s.shares {
		h.uncounted.read = err == nil
	}
	for _, l := range all {
		s.shares[l.share].uncounted.read = false
		s.noteWaiting(l.share)
		s.uncountedNumber.Store(max(s.uncountedNumber.Load(), l.last))
	}
	return err
}

// countedRows is a counting as JSON.
type countedRows struct {
	People []peopleRow `json:"people"`
	Paces  []paceRow   `json:"paces"`
	Seen   []seenRow   `json:"seen"`
	Held   []heldRow   `json:"held"`
}

type peopleRow struct {
	Site    string        `json:"site"`
	Gate    string        `json:"gate"`
	Quarter int64         `json:"quarter"`
	Outcome event.Outcome `json:"outcome"`
	Reason  event.Reason  `json:"reason,omitempty"`
	People  int64         `json:"people,omitempty"`
	Events  int64         `json:"events,omitempty"`
	Again   int64         `json:"again,omitempty"`
}

type paceRow struct {
	Site          string     `json:"site"`
	Gate          string     `json:"gate,omitempty"`
	Quarter       int64      `json:"quarter"`
	Events        int64      `json:"events,omitempty"`
	Received      int64      `json:"received,omitempty"`
	Seconds       []byte     `json:"seconds,omitempty"`
	People        int64      `json:"people,omitempty"`
	BaselineSum   int64      `json:"baseline_sum,omitempty"`
	BaselineCount int64      `json:"baseline_count,omitempty"`
	Looks         [][2]int64 `json:"looks,omitempty"`
}

type seenRow struct {
	Site string `json:"site"`
	Gate string `json:"gate"`
	At   int64  `json:"at"`
}

type heldRow struct {
	Site    string `json:"site"`
	Gate    string `json:"gate"`
	Journal string `json:"journal"`
	Runs    spans  `json:"runs"`
}

func (c counting) rows() (r countedRows) {
	for key, n := range c.people {
		r.People = append(r.People, peopleRow{key.gate.Site, key.gate.Name, key.quarter, key.outcome, key.reason, n.people, n.events, n.again})
	}
	for key, p := range c.paces.paces {
		row := paceRow{key.gate.Site, key.gate.Name, key.number, p.events, p.received, p.seconds.pack(), p.busiest, p.baseline.sum, p.baseline.count, nil}
		for _, l := range c.paces.queues[key] {
			row.Looks = append(row.Looks, [2]int64{l.from, l.to})
		}
		r.Paces = append(r.Paces, row)
	}
	for gate, at := range c.seen {
		r.Seen = append(r.Seen, seenRow{gate.Site, gate.Name, at.UnixMilli()})
	}
	for of, runs := range c.held {
		r.Held = append(r.Held, heldRow{of.gate.Site, of.gate.Name, of.journal, runs})
	}
	return r
}

func (r countedRows) counting() (counting, error) {
	c := newCounting()
	for _, row := range r.People {
		c.people.add(tallyKey{mqtt.Gate{Site: row.Site, Name: row.Gate}, row.Quarter, row.Outcome, row.Reason}, counts{row.People, row.Events, row.Again})
	}
	for _, row := range r.Paces {
		seconds, err := unpack(row.Seconds)
		if err != nil {
			return c, err
		}
		key := paceOf{mqtt.Gate{Site: row.Site, Name: row.Gate}, row.Quarter}
		c.paces.paces[key] = &pace{events: row.Events, received: row.Received, seconds: seconds, busiest: row.People, baseline: mean{row.BaselineSum, row.BaselineCount}}
		for _, l := range row.Looks {
			c.paces.queues[key] = append(c.paces.queues[key], look{l[0], l[1]})
		}
	}
	for _, row := range r.Seen {
		c.seen[mqtt.Gate{Site: row.Site, Name: row.Gate}] = time.UnixMilli(row.At)
	}
	for _, row := range r.Held {
		c.held[journalOf{mqtt.Gate{Site: row.Site, Name: row.Gate}, row.Journal}] = row.Runs
	}
	return c, nil
}

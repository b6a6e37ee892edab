package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"time"

	"thermogate/screening/mqtt"
)

// pacesSchema is what shifts and reports need beside the counts by outcome.
const pacesSchema = `
CREATE TABLE shift_plans (
	site   TEXT NOT NULL,
	day    BIGINT NOT NULL, -- of the site's calendar since 1970, from which on it holds
	shifts TEXT NOT NULL,   -- JSON
	PRIMARY KEY (site, day)
);

ALTER TABLE quarters ADD COLUMN again BIGINT NOT NULL DEFAULT 0; -- of people: with more than one look
ALTER TABLE days ADD COLUMN again BIGINT NOT NULL DEFAULT 0;

-- How it went at a gate in a quarter of an hour since 1970; the gate without a name is all of the site.
CREATE TABLE gate_quarters (
	site           TEXT NOT NULL,
	gate           TEXT NOT NULL,
	quarter        BIGINT NOT NULL,
	events         BIGINT NOT NULL,
	received       BIGINT NOT NULL, -- when the newest event came in of a visit that has one then
	seconds        BYTEA NOT NULL DEFAULT '', -- to the verdict: how many people took how many hundredths, packed
	queue          BIGINT NOT NULL, -- most people in view and without a verdict at one time, and when that was
	queue_at       BIGINT NOT NULL,
	busiest        BIGINT NOT NULL, -- people, and the quarter: of a day the one with most of them
	busiest_at     BIGINT NOT NULL,
	baseline_sum   BIGINT NOT NULL, -- hundredths of °C
	baseline_count BIGINT NOT NULL,
	PRIMARY KEY (site, quarter, gate)
);
-- The same by day of the site's calendar since 1970.
CREATE TABLE gate_days (
	site           TEXT NOT NULL,
	gate           TEXT NOT NULL,
	day            BIGINT NOT NULL,
	events         BIGINT NOT NULL,
	received       BIGINT NOT NULL,
	seconds        BYTEA NOT NULL DEFAULT '',
	queue          BIGINT NOT NULL,
	queue_at       BIGINT NOT NULL,
	busiest        BIGINT NOT NULL,
	busiest_at     BIGINT NOT NULL,
	baseline_sum   BIGINT NOT NULL,
	baseline_count BIGINT NOT NULL,
	PRIMARY KEY (site, day, gate)
);

ALTER TABLE alerts ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;         -- time of the visit's first event
ALTER TABLE alerts ADD COLUMN counts BOOLEAN NOT NULL DEFAULT TRUE;    -- the visit ends with it
ALTER TABLE alerts ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;       -- when the last change was made
UPDATE alerts SET begun = time, changed = coalesce((SELECT max(at) FROM alert_changes WHERE alert_changes.event = alerts.event), 0);
CREATE INDEX alerts_of_sites ON alerts (site, begun);

ALTER TABLE gate_states ADD COLUMN who TEXT NOT NULL DEFAULT '';       -- of a pause
UPDATE gate_states SET who = (SELECT paused_by FROM gates WHERE gates.site = gate_states.site AND gates.gate = gate_states.gate)
	WHERE part = 'pause' AND value = 'on' AND until IS NULL AND EXISTS (SELECT 1 FROM gates WHERE gates.site = gate_states.site AND gates.gate = gate_states.gate);
CREATE INDEX gate_states_of_sites ON gate_states (site, since);

ALTER TABLE missing ADD COLUMN happened_after BIGINT NOT NULL DEFAULT 0; -- the events happened between these times
ALTER TABLE missing ADD COLUMN happened_before BIGINT NOT NULL DEFAULT 0;
`

// addPaces makes the tables and fills them from the events that there are.
func (s *Store) addPaces(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, pacesSchema); err != nil {
		return err
	}
	if err := s.readSites(ctx); err != nil {
		return err
	}
	defer s.forgetAll()
	for _, fill := range []func(context.Context, *sql.Tx) error{s.fillPaces, s.fillVisits, s.fillBusiest, fillMissing} {
		if err := fill(ctx, tx); err != nil {
			return fmt.Errorf("counting the events that are stored: %w", err)
		}
	}
	return nil
}

// fillStep is how many events are counted together.
const fillStep = 5000

// fillPaces counts all events in their order, so that no more than some hours of them are remembered.
func (s *Store) fillPaces(ctx context.Context, tx *sql.Tx) error {
	type stored struct {
		id           string
		gate         mqtt.Gate
		at, received int64
		seconds      *float64
		data         *lookData
	}
	passed := int64(math.MinInt64) // quarters from this one on were not written and forgotten again
	for last := ""; ; {
		events, err := collect(ctx, tx, func(rows *sql.Rows) (e stored, err error) {
			var body string
			if err := rows.Scan(&e.id, &e.gate.Site, &e.gate.Name, &e.at, &e.received, &e.seconds, &body); err != nil {
				return e, err
			}
			e.data, err = readLook(body)
			return e, err
		}, "SELECT id, site, gate, time, received, seconds_to_verdict, body FROM events WHERE id > $1 ORDER BY id LIMIT $2", last, fillStep)
		if err != nil || len(events) == 0 {
			return err
		}
		more := newMorePaces()
		for _, e := range events {
			more.event(e.gate, e.at, e.received, e.seconds, e.data)
		}
		for key := range more.paces {
			if key.number >= passed && s.pacesOf(key).quarters[key] == nil {
				s.pacesOf(key).quarters[key] = &quarterPace{}
			}
		}
		if err := s.countQuarters(ctx, tx, more); err != nil {
			return err
		}
		last = events[len(events)-1].id
		passed = max(passed, floorDiv(events[len(events)-1].at, quarterMilliseconds)-8)
		for _, h := range s.shares {
			maps.DeleteFunc(h.paces.quarters, func(key paceOf, _ *quarterPace) bool { return key.number < passed })
		}
	}
}

// fillVisits counts the visits of more than one event.
func (s *Store) fillVisits(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT "+memberColumns+` FROM events WHERE visit <> id
		UNION SELECT `+memberColumns+` FROM events WHERE id IN (SELECT visit FROM events WHERE visit <> id)`)
	if err != nil {
		return err
	}
	defer rows.Close()
	v := &visits{changed: map[visitOf][]member{}}
	for rows.Next() {
		m, err := scanMember(rows)
		if err != nil {
			return err
		}
		v.changed[m.visitOf()] = append(v.changed[m.visitOf()], m)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	more, people := newMorePaces(), tally{}
	for _, members := range v.changed {
		more.visit(members)
		people.add(counted(members), counts{again: cameAgain(members)})
	}
	if err := s.count(ctx, tx, people); err != nil {
		return err
	}
	if err := s.countQuarters(ctx, tx, more); err != nil {
		return err
	}
	return v.countAlerts(ctx, tx)
}

// fillBusiest takes how many people there were from what is counted already, and makes the days of the quarters.
func (s *Store) fillBusiest(ctx context.Context, tx *sql.Tx) error {
	for _, gate := range []string{"gate", "''"} {
		if _, err := tx.ExecContext(ctx, `INSERT INTO gate_quarters (site, gate, quarter, events, received, queue, queue_at,
			busiest, busiest_at, baseline_sum, baseline_count)
			SELECT site, `+gate+`, quarter, 0, 0, 0, 0, CAST(sum(people) AS BIGINT), quarter, 0, 0 FROM quarters WHERE true GROUP BY 1, 2, 3
			ON CONFLICT (site, quarter, gate) DO UPDATE SET busiest = excluded.busiest`); err != nil {
			return err
		}
	}
	sites, err := texts(ctx, tx, "SELECT DISTINCT site FROM gates")
	for _, site := range sites {
		if err := s.recountPaces(ctx, tx, []string{site}, map[string]*time.Location{site: s.zone(site)}); err != nil {
			return err
		}
	}
	return err
}

// fillMissing finds out between when the events that are missing happened.
func fillMissing(ctx context.Context, tx *sql.Tx) error {
	losses, err := collect(ctx, tx, func(rows *sql.Rows) (l Loss, err error) {
		var told int64
		err = rows.Scan(&l.Gate.Site, &l.Gate.Name, &l.Journal, &l.From, &l.To, &told)
		l.Told = time.UnixMilli(told)
		return l, err
	}, "SELECT site, gate, journal, first, last, told FROM missing")
	if err != nil {
		return err
	}
	for _, l := range losses {
		after, before, err := happened(ctx, tx, journalOf{l.Gate, l.Journal}, l.Span, l.Told)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE missing SET happened_after = $1, happened_before = $2 WHERE journal = $3 AND site = $4 AND gate = $5 AND first = $6",
			after, before, l.Journal, l.Gate.Site, l.Gate.Name, l.From); err != nil {
			return err
		}
	}
	return nil
}

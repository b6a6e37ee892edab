package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Appended is what came of a batch.
type Appended struct {
	New      int       // events that were not there before
	Holdings []Holding // of the journals that they are from
}

// Append stores events with all that they come to: visits, counts, alerts and what is held of their journals, in one
// transaction, synced to disk. An event whose id is there already is left as it was, and counts nowhere a second time.
func (s *Store) Append(ctx context.Context, events []Event) (Appended, error) {
	if len(events) == 0 {
		return Appended{}, nil
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	var done Appended
	err := s.readyMonths(ctx, events)
	if err == nil {
		err = s.transact(ctx, func(tx *sql.Tx) error {
			fresh, named, more, err := s.append(ctx, tx, events, false)
			if err == nil {
				done.New = len(fresh) + named
				done.Holdings, err = s.countAll(ctx, tx, more)
			}
			return err
		})
	}
	if err != nil {
		s.forgetAll()
		return Appended{}, fmt.Errorf("storing %d events: %w", len(events), err)
	}
	return done, nil
}

// append stores events of gates, or such that their plant has stored before. It returns those that are new, of how many
// it is told afterwards who they are about, and what is to be counted with them.
func (s *Store) append(ctx context.Context, tx *sql.Tx, events []Event, ofPlants bool) (fresh []*Event, named int, more counting, err error) {
	if err := s.plan(ctx, tx); err != nil {
		return nil, 0, more, err
	}
	once, bearers, err := takeBearers(distinct(events))
	if err != nil {
		return nil, 0, more, err
	}
	once = s.admit(once)
	seen := seenOf(once, ofPlants)
	if err := s.knowSites(ctx, tx, sitesOf(maps.Keys(seen))); err != nil {
		return nil, 0, more, err
	}
	visits, err := foldInto(ctx, tx, once)
	if err != nil {
		return nil, 0, more, err
	}
	visits.settled = s.isSettled
	if fresh, err = s.insertEvents(ctx, tx, once); err != nil {
		return nil, 0, more, err
	}
	if err := visits.join(ctx, tx); err != nil {
		return nil, 0, more, err
	}
	people := visits.tally(fresh)
	more = counting{people, pacesOf(fresh, people, visits), seen, heldOf(events)}
	raised, err := raiseAlerts(ctx, tx, fresh, ofPlants)
	if err != nil {
		return nil, 0, more, err
	}
	if err := visits.countAlerts(ctx, tx); err != nil {
		return nil, 0, more, err
	}
	if err := s.noteSettings(ctx, tx, fresh); err != nil {
		return nil, 0, more, err
	}
	if err := s.queueEvents(ctx, tx, fresh, raised); err != nil {
		return nil, 0, more, err
	}
	named, err = s.nameEvents(ctx, tx, bearers)
	return fresh, named, more, err
}

// plan has the server use its indexes: a young month has no statistics, and would be read whole for each batch. No plan here
// gets old.
func (s *Store) plan(ctx context.Context, tx *sql.Tx) error {
	if !s.postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = auto")
	return err
}

// distinct is a copy without repetitions, in the order of the ids, which is that of time.
func distinct(events []Event) []*Event {
	once := make([]*Event, 0, len(events))
	for i := range events {
		copied := events[i]
		once = append(once, &copied)
	}
	slices.SortStableFunc(once, func(a, b *Event) int { return compareIDs(a.ID, b.ID) })
	return slices.CompactFunc(once, func(a, b *Event) bool { return a.ID == b.ID })
}

func compareIDs(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

const eventColumns = 16

// insertSteps are how many events one statement takes.
var insertSteps = []int{128, 64, 32, 16, 8, 4, 2, 1}

func (s *Store) prepare(ctx context.Context) error {
	for _, rows := range insertSteps {
		statement, err := s.write.PrepareContext(ctx, `INSERT INTO events (id, site, gate, visit, journal, sequence, time, received, outcome,
			reason, skin_celsius, body_celsius, threshold_celsius, seconds_to_verdict, historical, body)
			VALUES `+values(rows, eventColumns)+` ON CONFLICT (id) DO NOTHING RETURNING id`)
		if err != nil {
			return err
		}
		s.insert[rows] = statement
	}
	return nil
}

// insertEvents returns those that were not there before.
func (s *Store) insertEvents(ctx context.Context, tx *sql.Tx, events []*Event) ([]*Event, error) {
	stored := make(map[string]bool, len(events))
	for rest := events; len(rest) > 0; {
		step := insertSteps[slices.IndexFunc(insertSteps, func(n int) bool { return n <= len(rest) })]
		args := make([]any, 0, step*eventColumns)
		for _, e := range rest[:step] {
			data := e.Data
			args = append(args, e.ID, e.Gate.Site, e.Gate.Name, e.Visit, e.Journal, e.sequence, e.at, e.Received.UnixMilli(), string(data.Outcome),
				string(data.Reason), data.SkinCelsius, data.BodyCelsius, data.ThresholdCelsius, data.SecondsToVerdict, data.Historical, string(e.Body))
		}
		if err := insertStep(ctx, tx.StmtContext(ctx, s.insert[step]), args, stored); err != nil {
			return nil, err
		}
		rest = rest[step:]
	}
	return slices.DeleteFunc(slices.Clone(events), func(e *Event) bool { return !stored[e.ID] }), nil
}

func insertStep(ctx context.Context, statement *sql.Stmt, args []any, stored map[string]bool) error {
	defer statement.Close()
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		stored[id] = true
	}
	return rows.Err()
}

// The years between which events have a partition for each month. Those of a clock that was never set share one.
const (
	firstYear = 2020
	lastYear  = 2100
)

// month is a partition: its name and the ids that it begins and ends with.
type month struct{ name, from, to string }

func monthOf(at time.Time) month {
	at = at.UTC()
	switch {
	case at.Year() < firstYear:
		return month{"events_before", "MINVALUE", "'" + idAt(time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)) + "'"}
	case at.Year() >= lastYear:
		return month{"events_after", "'" + idAt(time.Date(lastYear, 1, 1, 0, 0, 0, 0, time.UTC)) + "'", "MAXVALUE"}
	}
	begin := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return month{begin.Format("events_2006_01"), "'" + idAt(begin) + "'", "'" + idAt(begin.AddDate(0, 1, 0)) + "'"}
}

// readyMonths makes the partitions that events go to.
func (s *Store) readyMonths(ctx context.Context, events []Event) error {
	if !s.postgres {
		return nil
	}
	s.monthsMu.Lock()
	defer s.monthsMu.Unlock()
	for _, e := range events {
		id, err := ulid.ParseStrict(e.ID)
		if err != nil {
			return err
		}
		month := monthOf(ulid.Time(id.Time()))
		if s.months[month.name] {
			continue
		}
		if _, err := s.write.ExecContext(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF events FOR VALUES FROM (%s) TO (%s)",
			month.name, month.from, month.to)); err != nil {
			return fmt.Errorf("making the partition %s: %w", month.name, err)
		}
		s.months[month.name] = true
	}
	return nil
}

// heldOf are the places of their journals that events fill.
func heldOf(events []Event) map[journalOf]spans {
	got := map[journalOf]spans{}
	for _, e := range events {
		if e.sequence > 0 {
			of := journalOf{e.Gate, e.Journal}
			got[of] = got[of].with(e.sequence, e.sequence)
		}
	}
	return got
}

// hold notes which places of their journals are filled.
func (s *Store) hold(ctx context.Context, tx *sql.Tx, got map[journalOf]spans) ([]Holding, error) {
	holdings, err := readHoldings(ctx, tx, got, "")
	if err != nil {
		return nil, err
	}
	var changed []any
	for i, h := range holdings {
		before := h.held
		for _, span := range got[journalOf{h.Gate, h.Journal}] {
			h.held = h.held.with(span.From, span.To)
		}
		holdings[i] = h
		if err := h.forget(ctx, tx, before); err != nil {
			return nil, err
		}
		for _, now := range h.held {
			if !slices.Contains(before, now) {
				changed = append(changed, h.Journal, h.Gate.Site, h.Gate.Name, now.From, now.To)
			}
		}
	}
	return holdings, s.inSteps(changed, 5, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO holdings (journal, site, gate, first, last) VALUES "+rows+
			" ON CONFLICT (journal, site, gate, first) DO UPDATE SET last = excluded.last", args...)
		return err
	})
}

type journalOf struct {
	gate    mqtt.Gate
	journal string
}

// readHoldings returns what is held of the journals that are keys of wanted, or of all, or all of a site, where it is nil.
func readHoldings[T any](ctx context.Context, q querier, wanted map[journalOf]T, site string) ([]Holding, error) {
	if wanted != nil && len(wanted) == 0 {
		return nil, nil
	}
	found := map[journalOf]*Holding{}
	var only conditions
	if site != "" {
		only.add("site = ?", site)
	}
	if wanted != nil {
		var journals []string
		for of := range wanted {
			found[of] = &Holding{Gate: of.gate, Journal: of.journal}
			journals = append(journals, of.journal)
		}
		only.args = anys(journals)
		only.where = []string{"journal IN (" + list(1, len(journals)) + ")"}
	}
	type run struct {
		of       journalOf
		from, to int64
	}
	scan := func(rows *sql.Rows) (r run, err error) {
		err = rows.Scan(&r.of.gate.Site, &r.of.gate.Name, &r.of.journal, &r.from, &r.to)
		return r, err
	}
	for _, part := range []struct {
		table string
		of    func(*Holding) *spans
	}{{"holdings", func(h *Holding) *spans { return &h.held }}, {"missing", func(h *Holding) *spans { return &h.missing }}} {
		runs, err := collect(ctx, q, scan, "SELECT site, gate, journal, first, last FROM "+part.table+only.String()+" ORDER BY first", only.args...)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			h := found[r.of]
			if h == nil {
				if wanted != nil {
					continue // a copy of the journal at another gate
				}
				h = &Holding{Gate: r.of.gate, Journal: r.of.journal}
				found[r.of] = h
			}
			*part.of(h) = part.of(h).with(r.from, r.to)
		}
	}
	var holdings []Holding
	for _, h := range found {
		holdings = append(holdings, *h)
	}
	return holdings, nil
}

// forget deletes the runs that have become part of others.
func (h Holding) forget(ctx context.Context, tx *sql.Tx, before spans) error {
	for _, old := range before {
		if slices.ContainsFunc(h.held, func(now mqtt.Span) bool { return now.From == old.From }) {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM holdings WHERE journal = $1 AND site = $2 AND gate = $3 AND first = $4",
			h.Journal, h.Gate.Site, h.Gate.Name, old.From); err != nil {
			return err
		}
	}
	return nil
}

// Holdings returns what is held of every journal.
func (s *Store) Holdings(ctx context.Context) ([]Holding, error) {
	return readHoldings[struct{}](ctx, s.read, nil, "")
}

// Reasons why a part of a journal is missing.
const (
	Gone    = "gone"    // the gate does not hold it any more
	Refused = "refused" // it was no event
)

// Missing notes what nobody can get any more of a journal.
func (s *Store) Missing(ctx context.Context, gate mqtt.Gate, journal string, missing []mqtt.Span, reason string, at time.Time) (Holding, error) {
	s.appending.Lock()
	defer s.appending.Unlock()
	var holding Holding
	err := s.transact(ctx, func(tx *sql.Tx) error {
		for _, span := range missing {
			after, before, err := happened(ctx, tx, journalOf{gate, journal}, span, at)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO missing (journal, site, gate, first, last, reason, told, happened_after, happened_before) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
				ON CONFLICT (journal, site, gate, first) DO UPDATE SET last = CASE WHEN excluded.last > missing.last THEN excluded.last ELSE missing.last END,
				happened_before = excluded.happened_before`,
				journal, gate.Site, gate.Name, span.From, span.To, reason, at.UnixMilli(), after, before); err != nil {
				return err
			}
		}
		holdings, err := readHoldings(ctx, tx, map[journalOf]bool{{gate, journal}: true}, "")
		if err == nil {
			holding = holdings[0]
		}
		return err
	})
	if err != nil {
		return Holding{}, fmt.Errorf("noting what is missing of %s: %w", event.Source(gate.Site, gate.Name), err)
	}
	return holding, nil
}

// happened is between when the events of a span must have happened: from the event before them in their journal, or its
// beginning, to the one after them, or to when they were told to be missing. A clock that was never set tells nothing.
func happened(ctx context.Context, tx *sql.Tx, of journalOf, span mqtt.Span, told time.Time) (after, before int64, err error) {
	begin := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	if id, err := ulid.ParseStrict(of.journal); err == nil && ulid.Time(id.Time()).After(begin) && !ulid.Time(id.Time()).After(told) {
		begin = ulid.Time(id.Time())
	}
	after, before = begin.UnixMilli(), told.UnixMilli()
	for _, one := range []struct {
		at          *int64
		side, order string
		sequence    int64
	}{{&after, "sequence < ?", "DESC", span.From}, {&before, "sequence > ?", "ASC", span.To}} {
		var where conditions
		where.add("site = ? AND gate = ? AND id >= ? AND id < ? AND journal = ? AND sequence > 0",
			of.gate.Site, of.gate.Name, idAt(time.UnixMilli(after)), idAt(told), of.journal)
		where.add(one.side, one.sequence)
		err := tx.QueryRowContext(ctx, "SELECT time FROM events"+where.String()+" ORDER BY id "+one.order+" LIMIT 1", where.args...).Scan(one.at)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, 0, err
		}
	}
	return after, max(after, before), nil
}

// Loss is a run of events that nobody can get any more.
type Loss struct {
	Gate    mqtt.Gate
	Journal string
	mqtt.Span
	Reason string
	Told   time.Time // when that was heard
}

// Losses returns what is missing of all journals, and when that was heard, the latest first.
func (s *Store) Losses(ctx context.Context) ([]Loss, error) {
	holdings, err := s.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	held := map[journalOf]spans{}
	for _, h := range holdings {
		held[journalOf{h.Gate, h.Journal}] = h.held
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (l Loss, err error) {
		var told int64
		err = rows.Scan(&l.Gate.Site, &l.Gate.Name, &l.Journal, &l.From, &l.To, &l.Reason, &told)
		l.Told = fromMilliseconds(told)
		return l, err
	}, "SELECT site, gate, journal, first, last, reason, told FROM missing ORDER BY told DESC, first")
	var losses []Loss
	for _, l := range all {
		for _, span := range (spans{l.Span}).without(held[journalOf{l.Gate, l.Journal}]) { // some came all the same
			l.Span = span
			losses = append(losses, l)
		}
	}
	return losses, err
}

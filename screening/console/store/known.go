package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/mqtt"
)

// What of a period is known: whether the parts of gates were well, whether they were paused, and what of their journals is
// missing. Spans are of milliseconds since 1970 here.

// length is how many numbers are in s.
func (s spans) length() (sum int64) {
	for _, span := range s {
		sum += span.To - span.From + 1
	}
	return sum
}

// within is what is in s and in other.
func (s spans) within(other spans) spans { return s.without(s.without(other)) }

// all is all of the period that is over.
func (r *reporter) all() spans {
	if from := r.period.From.UnixMilli(); from < r.until {
		return spans{{From: from, To: r.until - 1}}
	}
	return nil
}

// partState is what a part of a gate was, from since to before until, or for good where until is 0.
type partState struct {
	gate, part, value string
	since, until      int64
	who               string
}

// partStates returns those that a period begins with and those that began in it.
func (r *reporter) partStates(ctx context.Context) ([]partState, error) {
	scan := func(rows *sql.Rows) (one partState, err error) {
		err = rows.Scan(&one.gate, &one.part, &one.value, &one.since, &one.until, &one.who)
		return one, err
	}
	from := r.period.From.UnixMilli()
	var before conditions
	before.add("seen.since = (SELECT max(since) FROM gate_states AS other WHERE other.site = gates.site AND other.gate = gates.gate AND other.part = parts.part AND other.since < ?)", from)
	before.add("gates.site = ?", r.period.Site)
	before.add("coalesce(seen.until, ?) > ?", r.until, from)
	in := r.where()
	in.add("since >= ? AND since < ?", from, r.until)
	if r.period.Gate != "" {
		before.add("gates.gate = ?", r.period.Gate)
	}
	states, err := collect(ctx, r.tx, scan, `SELECT seen.gate, seen.part, seen.value, seen.since, coalesce(seen.until, 0), seen.who FROM gates
		CROSS JOIN (SELECT 'link' AS part UNION ALL SELECT 'camera' UNION ALL SELECT 'reference' UNION ALL SELECT 'clock' UNION ALL SELECT 'pause') AS parts
		JOIN gate_states AS seen ON seen.site = gates.site AND seen.gate = gates.gate AND seen.part = parts.part`+before.String(), before.args...)
	if err != nil {
		return nil, err
	}
	more, err := collect(ctx, r.tx, scan, "SELECT gate, part, value, since, coalesce(until, 0), who FROM gate_states"+in.String()+
		" ORDER BY since, gate", in.args...)
	return append(states, more...), err
}

// states are shares in which parts were well, and pauses. What a camera or a reference is while the link is not online,
// nobody knows.
func (r *reporter) states(ctx context.Context) error {
	states, err := r.partStates(ctx)
	if err != nil {
		return err
	}
	wellIn := map[*gateWork]map[string]spans{}
	for _, one := range states {
		until := r.until
		if one.until != 0 {
			until = min(one.until, until)
		}
		since := max(one.since, r.period.From.UnixMilli())
		if since >= until {
			continue
		}
		g := r.gate(one.gate)
		if wellIn[g] == nil {
			wellIn[g] = map[string]spans{}
		}
		g.toldOf[one.part] = true
		switch {
		case one.part == Pause && one.value == on:
			g.Paused += time.Duration(until-since) * time.Millisecond
			r.report.Pauses = append(r.report.Pauses, PauseReport{g.Gate, time.UnixMilli(one.since).UTC(), fromMilliseconds(one.until), one.who})
		case one.part == Clock && one.value != well:
			g.ClockWrong += time.Duration(until-since) * time.Millisecond
		case one.part == Link && one.value == Online, one.part != Link && one.value == well:
			wellIn[g][one.part] = wellIn[g][one.part].with(since, until-1)
		}
	}
	for g, parts := range wellIn {
		g.online = parts[Link]
		for part, spans := range parts {
			g.wellFor[part] = spans.within(g.online).length()
		}
	}
	slices.SortStableFunc(r.report.Pauses, func(a, b PauseReport) int { return a.From.Compare(b.From) })
	return nil
}

// missing counts what nobody can get any more of what may have happened in the period.
func (r *reporter) missing(ctx context.Context) error {
	where := r.where()
	where.add("happened_after < ? AND happened_before >= ?", r.period.To.UnixMilli(), r.period.From.UnixMilli())
	type loss struct {
		of            journalOf
		span          mqtt.Span
		after, before int64
	}
	losses, err := collect(ctx, r.tx, func(rows *sql.Rows) (l loss, err error) {
		l.of.gate.Site = r.period.Site
		err = rows.Scan(&l.of.gate.Name, &l.of.journal, &l.span.From, &l.span.To, &l.after, &l.before)
		return l, err
	}, "SELECT gate, journal, first, last, happened_after, happened_before FROM missing"+where.String(), where.args...)
	if err != nil {
		return err
	}
	lost := map[journalOf]spans{}
	for _, l := range losses {
		lost[l.of] = lost[l.of].with(l.span.From, l.span.To)
	}
	holdings, err := readHoldings(ctx, r.tx, lost, "")
	held := map[journalOf]spans{}
	for _, h := range holdings { // some came all the same
		of := journalOf{h.Gate, h.Journal}
		held[of] = h.held
		r.gate(h.Gate.Name).Missing += lost[of].without(h.held).length()
	}
	for _, l := range losses {
		if g := r.gate(l.of.gate.Name); len(spans{l.span}.without(held[l.of])) > 0 {
			g.lost = g.lost.with(l.after, l.before)
		}
	}
	return err
}

// forgotten is how long before a period a gate has to be silent for good to be none of its gates any more.
const forgotten = 30 * wholeDay

// known is for how much of the period there is data of each gate that there was: its link was online, or its events of a
// quarter of an hour in which it was not came later, and none of its journals has a gap that may still be filled.
func (r *reporter) known(ctx context.Context) error {
	tails, err := r.findGates(ctx)
	if err != nil {
		return err
	}
	holdings, err := readHoldings[struct{}](ctx, r.tx, nil, r.period.Site)
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, h := range holdings {
		if len(h.Gaps(tails[journalOf{h.Gate, h.Journal}])) > 0 {
			waiting[h.Gate.Name] = true
		}
	}
	offline := map[string]spans{} // quarters in which a gate was not online
	for name, g := range r.gates {
		if name == "" || waiting[name] {
			continue
		}
		for _, span := range r.all().without(g.online) {
			offline[name] = append(offline[name], mqtt.Span{From: floorDiv(span.From, quarterMilliseconds), To: floorDiv(span.To, quarterMilliseconds)})
		}
	}
	later, err := r.cameLater(ctx, offline)
	if err != nil {
		return err
	}
	for name, g := range r.gates {
		known := later[name]
		for _, span := range g.online {
			known = known.with(span.From, span.To)
		}
		g.known = known.without(g.lost).within(r.all()).length()
	}
	return nil
}

// cameLater returns the milliseconds of those quarters of gates in which there are events.
func (r *reporter) cameLater(ctx context.Context, quarters map[string]spans) (map[string]spans, error) {
	type run struct {
		gate string // empty for all
		mqtt.Span
	}
	var runs []run
	var together spans // what is short many gates have at the same time
	for name, all := range quarters {
		for _, span := range all {
			if span.To-span.From > int64(wholeDay/quarterHour) {
				runs = append(runs, run{name, span})
			} else {
				together = together.with(span.From, span.To)
			}
		}
	}
	for _, span := range together {
		runs = append(runs, run{"", span})
	}
	later := map[string]spans{}
	for some := range slices.Chunk(runs, stepRows/4) {
		var where conditions
		for _, one := range some {
			where.add("site = ? AND quarter >= ? AND quarter <= ? AND (gate = ? OR CAST(? AS TEXT) = '') AND events > 0", r.period.Site, one.From, one.To, one.gate, one.gate)
		}
		found, err := collect(ctx, r.tx, func(rows *sql.Rows) (one paceOf, err error) {
			err = rows.Scan(&one.gate.Name, &one.number)
			return one, err
		}, "SELECT gate, quarter FROM gate_quarters WHERE "+where.any(), where.args...)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			name, from := one.gate.Name, one.number*quarterMilliseconds
			if slices.ContainsFunc(quarters[name], func(s mqtt.Span) bool { return s.From <= one.number && one.number <= s.To }) {
				later[name] = later[name].with(from, from+quarterMilliseconds-1)
			}
		}
	}
	return later, nil
}

// findGates adds the gates that there were and of which nothing else is known, and takes out those that nobody has any more.
// It returns how far their journals go by their own word.
func (r *reporter) findGates(ctx context.Context) (tails map[journalOf]int64, err error) {
	where := r.where()
	type row struct {
		name, journal, first string
		sequence, seen       int64
	}
	gates, err := collect(ctx, r.tx, func(rows *sql.Rows) (one row, err error) {
		err = rows.Scan(&one.name, &one.seen, &one.journal, &one.sequence, &one.first)
		return one, err
	}, `SELECT gates.gate, seen, gates.journal, sequence, coalesce((SELECT min(holdings.journal) FROM holdings
		WHERE holdings.site = gates.site AND holdings.gate = gates.gate), gates.journal) FROM gates`+where.String(), where.args...)
	tails = map[journalOf]int64{}
	for _, one := range gates {
		tails[journalOf{mqtt.Gate{Site: r.period.Site, Name: one.name}, one.journal}] = one.sequence
		alive := one.seen >= r.period.From.Add(-forgotten).UnixMilli()
		if g := r.gates[one.name]; g != nil {
			if g.events == 0 && g.People == 0 && !alive {
				delete(r.gates, one.name)
			}
		} else if id, err := ulid.ParseStrict(one.first); err == nil && alive && ulid.Time(id.Time()).Before(r.period.To) {
			r.gate(one.name)
		}
	}
	return tails, err
}

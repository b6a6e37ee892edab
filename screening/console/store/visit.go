package store

import (
	"context"
	"database/sql"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// A person is a visit, not an event. What says that it repeats or revises another event belongs to the same visit,
// whichever of them comes first; what a gate says of another gate's events counts for nothing. A visit counts once, when its
// first event happened, with the outcome of its last. One exception: that somebody with an alert waits for the second
// reading is no outcome of its own.

// visitOf names a visit to a gate.
type visitOf struct {
	gate mqtt.Gate
	id   string // of its first event
}

// member is what counts of an event in a visit.
type member struct {
	id, visit string
	gate      mqtt.Gate
	at        int64
	received  int64
	outcome   event.Outcome
	reason    event.Reason
}

func (e *Event) member() member {
	return member{e.ID, e.Visit, e.Gate, e.at, e.Received.UnixMilli(), e.Data.Outcome, e.Data.Reason}
}

const memberColumns = "id, visit, site, gate, time, received, outcome, reason"

func scanMember(rows *sql.Rows) (m member, err error) {
	err = rows.Scan(&m.id, &m.visit, &m.gate.Site, &m.gate.Name, &m.at, &m.received, &m.outcome, &m.reason)
	return m, err
}

func (m member) visitOf() visitOf { return visitOf{m.gate, m.visit} }

// visits are those that a batch adds to, other than events that are a visit by themselves.
type visits struct {
	before map[visitOf][]member // as these were stored, under the visit that they belong to now
	joined map[visitOf]visitOf  // visits that turned out to be part of another

	changed map[visitOf][]member // by tally: the visits as they are with what is new

	// settled are visits of which somebody has deleted an event. What they count as, only that event would say.
	settled func(visitOf) bool
}

// foldInto finds out which visit each event belongs to.
func foldInto(ctx context.Context, tx *sql.Tx, events []*Event) (*visits, error) {
	stored, err := readRelatives(ctx, tx, events)
	if err != nil {
		return nil, err
	}
	parents := map[visitOf]visitOf{}
	root := func(v visitOf) visitOf {
		for parent, has := parents[v]; has; parent, has = parents[v] {
			v = parent
		}
		return v
	}
	join := func(gate mqtt.Gate, id, origin string) { // which came of the origin
		if a, b := root(visitOf{gate, id}), root(visitOf{gate, origin}); a != b {
			parents[a] = b
		}
	}
	for _, m := range stored {
		join(m.gate, m.id, m.visit)
	}
	for _, e := range events {
		if origin := e.origin(); origin != "" {
			join(e.Gate, e.ID, origin)
		}
	}
	v := &visits{before: map[visitOf][]member{}, joined: map[visitOf]visitOf{}, changed: map[visitOf][]member{}}
	for _, e := range events {
		visit := root(visitOf{e.Gate, e.ID})
		e.Visit = visit.id
		if e.origin() != "" {
			v.before[visit] = nil
		}
	}
	for _, m := range stored {
		now := root(m.visitOf())
		if now != m.visitOf() {
			v.joined[m.visitOf()] = now
		}
		v.before[now] = nil
	}
	return v, v.readMembers(ctx, tx, stored, root)
}

// readRelatives returns the stored events that those of a batch name, and those that name one of the batch or belong to
// a visit that has its id.
func readRelatives(ctx context.Context, tx *sql.Tx, events []*Event) ([]member, error) {
	var origins, ids []string
	for _, e := range events {
		if origin := e.origin(); origin != "" {
			origins = append(origins, origin)
		}
		ids = append(ids, e.ID)
	}
	// An event that is not here yet has the visits of those that name it.
	found, err := readMembers(ctx, tx, "visit <> id AND visit IN", append(ids, origins...))
	if err != nil || len(origins) == 0 {
		return found, err
	}
	named, err := readMembers(ctx, tx, "id IN", origins)
	return append(found, named...), err
}

// readMembers returns the events for which a column is one of ids.
func readMembers(ctx context.Context, tx *sql.Tx, column string, ids []string) ([]member, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return collect(ctx, tx, scanMember, "SELECT "+memberColumns+" FROM events WHERE "+column+" ("+list(1, len(ids))+")", anys(ids)...)
}

// readMembers reads all of the visits that stored events belong to.
func (v *visits) readMembers(ctx context.Context, tx *sql.Tx, stored []member, root func(visitOf) visitOf) error {
	olds := map[string]bool{}
	for _, m := range stored {
		olds[m.visit] = true
	}
	for visit := range v.before {
		olds[visit.id] = true
	}
	var ids []string
	for old := range olds {
		ids = append(ids, old)
	}
	seen := map[string]bool{}
	for _, column := range []string{"id IN", "visit <> id AND visit IN"} {
		members, err := readMembers(ctx, tx, column, ids)
		if err != nil {
			return err
		}
		for _, m := range members {
			now := root(m.visitOf())
			if _, related := v.before[now]; related && !seen[m.id] {
				seen[m.id] = true
				v.before[now] = append(v.before[now], m)
			}
		}
	}
	return nil
}

// join makes parts of the visits that they belong to of those that turned out to be one.
func (v *visits) join(ctx context.Context, tx *sql.Tx) error {
	for part, whole := range v.joined {
		for _, statement := range []string{
			"UPDATE events SET visit = $1 WHERE visit = $2 AND visit <> id AND site = $3 AND gate = $4",
			"UPDATE events SET visit = $1 WHERE id = $2 AND site = $3 AND gate = $4",
			"UPDATE alerts SET visit = $1 WHERE visit = $2 AND site = $3 AND gate = $4",
		} {
			if _, err := tx.ExecContext(ctx, statement, whole.id, part.id, part.gate.Site, part.gate.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// tally is by how much the counts change with the events that are new.
func (v *visits) tally(fresh []*Event) tally {
	t := tally{}
	after := map[visitOf][]member{}
	for _, e := range fresh {
		t.add(keyOf(e.Gate, e.at, e.Data.Outcome, e.Data.Reason), counts{events: 1})
		m := e.member()
		if v.settled(m.visitOf()) {
			continue
		}
		if _, shared := v.before[m.visitOf()]; shared {
			after[m.visitOf()] = append(after[m.visitOf()], m)
		} else {
			t.add(keyOf(e.Gate, e.at, e.Data.Outcome, e.Data.Reason), counts{people: 1})
		}
	}
	for visit, before := range v.before {
		if v.settled(visit) {
			continue
		}
		parts := map[string][]member{} // those that counted apart so far
		for _, m := range before {
			parts[m.visit] = append(parts[m.visit], m)
		}
		for _, part := range parts {
			t.add(counted(part), counts{people: -1, again: -cameAgain(part)})
		}
		if all := append(after[visit], before...); len(all) > 0 {
			t.add(counted(all), counts{people: 1, again: cameAgain(all)})
			if len(after[visit]) > 0 || len(parts) > 1 {
				v.changed[visit] = all
			}
		}
	}
	return t
}

// cameAgain is 1 for a visit of more than one event, not counting those that say that a guard decides.
func cameAgain(members []member) int64 {
	events := 0
	for _, m := range members {
		if m.reason != event.SecondReading {
			events++
		}
	}
	if events > 1 {
		return 1
	}
	return 0
}

// counted is how the events of a visit, of which there is one at least, are counted as one person.
func counted(members []member) tallyKey {
	first, last := ends(members)
	return keyOf(first.gate, first.at, last.outcome, last.reason)
}

// ends are the first event of a visit and the one whose outcome counts.
func ends(members []member) (first, last member) {
	first, last = members[0], members[0]
	for _, m := range members[1:] {
		if m.at < first.at || m.at == first.at && m.id < first.id {
			first = m
		}
		waits, waited := m.reason == event.SecondReading, last.reason == event.SecondReading
		if waits == waited && (m.at > last.at || m.at == last.at && m.id > last.id) || waited && !waits {
			last = m
		}
	}
	return first, last
}

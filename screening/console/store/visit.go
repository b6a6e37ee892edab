package store

import (
	"context"
	"database/sql"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// A person is a visit, not an event. What says that it repeats or revises another event belongs to the same visit,
// whichever of them comes first. A visit counts once, when its first event happened, with the outcome of its last. One
// exception: that somebody with an alert waits for the second reading is no outcome of its own.

// member is what counts of an event in a visit.
type member struct {
	id, visit string
	gate      mqtt.Gate
	at        int64
	outcome   event.Outcome
	reason    event.Reason
}

func (e *Event) member() member {
	return member{e.ID, e.Visit, e.Gate, e.at, e.Data.Outcome, e.Data.Reason}
}

// visits are those that a batch adds to, other than events that are a visit by themselves.
type visits struct {
	before map[string][]member // by visit, as these were stored, under the visit that they belong to now
	joined map[string]string   // visits that turned out to be part of another
}

// foldInto finds out which visit each event belongs to.
func foldInto(ctx context.Context, tx *sql.Tx, events []*Event) (*visits, error) {
	stored, err := readRelatives(ctx, tx, events)
	if err != nil {
		return nil, err
	}
	parents := map[string]string{}
	root := func(id string) string {
		for parents[id] != "" {
			id = parents[id]
		}
		return id
	}
	join := func(a, b string) { // a came of b
		if a, b = root(a), root(b); a != b {
			parents[a] = b
		}
	}
	for _, m := range stored {
		if m.id != m.visit {
			join(m.id, m.visit)
		}
	}
	related := map[string]bool{}
	for _, e := range events {
		if origin := e.origin(); origin != "" {
			join(e.ID, origin)
		}
	}
	for _, e := range events {
		e.Visit = root(e.ID)
		if e.origin() != "" {
			related[e.Visit] = true
		}
	}
	v := &visits{before: map[string][]member{}, joined: map[string]string{}}
	for _, m := range stored {
		now := root(m.visit)
		if now != m.visit {
			v.joined[m.visit] = now
		}
		related[now] = true
	}
	for visit := range related {
		v.before[visit] = nil
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
	return collect(ctx, tx, func(rows *sql.Rows) (m member, err error) {
		err = rows.Scan(&m.id, &m.visit, &m.gate.Site, &m.gate.Name, &m.at, &m.outcome, &m.reason)
		return m, err
	}, "SELECT id, visit, site, gate, time, outcome, reason FROM events WHERE "+column+" ("+list(1, len(ids))+")", anys(ids)...)
}

// readMembers reads all of the visits that stored events belong to.
func (v *visits) readMembers(ctx context.Context, tx *sql.Tx, stored []member, root func(string) string) error {
	olds := map[string]bool{}
	for _, m := range stored {
		olds[m.visit] = true
	}
	for visit := range v.before {
		olds[visit] = true
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
			if now := root(m.visit); !seen[m.id] {
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
			"UPDATE events SET visit = $1 WHERE visit = $2 AND visit <> id",
			"UPDATE events SET visit = $1 WHERE id = $2",
			"UPDATE alerts SET visit = $1 WHERE visit = $2",
		} {
			if _, err := tx.ExecContext(ctx, statement, whole, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// tally is by how much the counts change with the events that are new.
func (v *visits) tally(fresh []*Event) tally {
	t := tally{}
	after := map[string][]member{}
	for _, e := range fresh {
		t.add(keyOf(e.Gate, e.at, e.Data.Outcome, e.Data.Reason), 0, 1)
		if _, shared := v.before[e.Visit]; shared {
			after[e.Visit] = append(after[e.Visit], e.member())
		} else {
			t.add(keyOf(e.Gate, e.at, e.Data.Outcome, e.Data.Reason), 1, 0)
		}
	}
	for visit, before := range v.before {
		parts := map[string][]member{} // those that counted apart so far
		for _, m := range before {
			parts[m.visit] = append(parts[m.visit], m)
		}
		for _, part := range parts {
			t.add(counted(part), -1, 0)
		}
		if all := append(after[visit], before...); len(all) > 0 {
			t.add(counted(all), 1, 0)
		}
	}
	return t
}

// counted is how the events of a visit, of which there is one at least, are counted as one person.
func counted(members []member) tallyKey {
	first, last := members[0], members[0]
	for _, m := range members[1:] {
		if m.at < first.at || m.at == first.at && m.id < first.id {
			first = m
		}
		waits, waited := m.reason == event.SecondReading, last.reason == event.SecondReading
		if waits == waited && (m.at > last.at || m.at == last.at && m.id > last.id) || waited && !waits {
			last = m
		}
	}
	return keyOf(first.gate, first.at, last.outcome, last.reason)
}

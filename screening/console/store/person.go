package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Person is somebody on a site's list. All else of the console knows them by their ID, and gates by their pseudonym.
type Person struct {
	ID         string `json:"id"`
	Site       string `json:"site"`
	Number     string `json:"number"`    // on the badge, unique within the site
	Pseudonym  string `json:"pseudonym"` // by the site's first number key
	Name       string `json:"name"`
	Company    string `json:"company,omitempty"` // id; empty for the site's own people
	Department string `json:"department,omitempty"`
	Shift      string `json:"shift,omitempty"` // of the site's plan; empty: any

	AddedAt   time.Time `json:"added_at"`
	LeftAt    time.Time `json:"left_at,omitzero"`
	AskedCode time.Time `json:"asked_code,omitzero"` // when their company asked for a code that nobody has issued yet
	HasCode   bool      `json:"-"`                   // one that is not revoked, up to now
}

// PeopleFilter says which people of a site are wanted. What is empty does not matter.
type PeopleFilter struct {
	Site    string
	Company *string // id; one that is empty is for the site's own people
	Shift   string
	Text    string // in number, name or department
	NoCode  bool   // only those without a code that is good now
	Asked   bool   // only those for whom a code is asked for
	Left    bool   // those who have left, and no others
	After   string // a number: those after it, for the next page
}

func (f PeopleFilter) conditions(now time.Time) conditions {
	var where conditions
	where.add("site = ?", f.Site)
	if f.Company != nil {
		where.add("company = ?", *f.Company)
	}
	if f.Shift != "" {
		where.add("shift = ?", f.Shift)
	}
	if f.Text != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(f.Text)) + "%"
		where.add(`(lower(number) LIKE ? ESCAPE '\' OR lower(name) LIKE ? ESCAPE '\' OR lower(department) LIKE ? ESCAPE '\')`, like, like, like)
	}
	if f.Left {
		where.add("left_at <> 0")
	} else {
		where.add("left_at = 0")
	}
	if f.NoCode {
		where.add("NOT EXISTS (SELECT 1 FROM pass_codes WHERE pass_codes.person = people.id AND revoked_at = 0 AND to_at > ?)", now.Unix())
	}
	if f.Asked {
		where.add("asked_code <> 0")
	}
	return where
}

// People returns those that a filter lets through, by number; a negative limit is all.
func (s *Store) People(ctx context.Context, f PeopleFilter, now time.Time, limit int) ([]Person, error) {
	where := f.conditions(now)
	if f.After != "" {
		where.add("number > ?", f.After)
	}
	rest := where.String() + " ORDER BY number"
	if limit >= 0 {
		where.args = append(where.args, limit)
		rest += " LIMIT " + list(len(where.args), 1)
	}
	return listedPeople(ctx, s.read, now, rest, where.args...)
}

// CountPeople tells how many a filter lets through.
func (s *Store) CountPeople(ctx context.Context, f PeopleFilter, now time.Time) (count int, err error) {
	where := f.conditions(now)
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM people"+where.String(), where.args...).Scan(&count)
	return count, err
}

// Person returns one of a site, or ErrNoPerson.
func (s *Store) Person(ctx context.Context, site, id string, now time.Time) (Person, error) {
	found, err := listedPeople(ctx, s.read, now, " WHERE site = $1 AND id = $2", site, id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("person %.40q: %w", id, ErrNoPerson)
	}
	if err != nil {
		return Person{}, err
	}
	return found[0], nil
}

// listedPeople reads those of a query whose parameters end with args. Of whether they have a code now decides.
func listedPeople(ctx context.Context, q querier, now time.Time, rest string, args ...any) ([]Person, error) {
	return collect(ctx, q, func(rows *sql.Rows) (p Person, err error) {
		var added, left, asked, until int64
		err = rows.Scan(&p.ID, &p.Site, &p.Number, &p.Pseudonym, &p.Name, &p.Company, &p.Department, &p.Shift, &added, &left, &asked, &until)
		p.AddedAt, p.LeftAt, p.AskedCode, p.HasCode = fromMilliseconds(added), fromMilliseconds(left), fromMilliseconds(asked), until > now.Unix()
		return p, err
	}, `SELECT id, site, number, pseudonym, name, company, department, shift, added_at, left_at, asked_code,
		coalesce((SELECT max(to_at) FROM pass_codes WHERE pass_codes.person = people.id AND revoked_at = 0), 0) FROM people`+rest, args...)
}

// Passage is one event that somebody has left at a gate. No temperature stands beside a name.
type Passage struct {
	Event   string    `json:"event"`
	Gate    string    `json:"gate"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"` // empty where the event is not here, or not any more
	Reader  string    `json:"reader"`
}

// Passages returns the newest of somebody at a site.
func (s *Store) Passages(ctx context.Context, p Person, limit int) ([]Passage, error) {
	known := s.pseudonyms(p)
	return collect(ctx, s.read, func(rows *sql.Rows) (one Passage, err error) {
		var at int64
		err = rows.Scan(&one.Event, &one.Gate, &at, &one.Outcome, &one.Reader)
		one.At = fromMilliseconds(at)
		return one, err
	}, `SELECT bearers.event, bearers.gate, bearers.at, coalesce(events.outcome, ''), bearers.reader FROM bearers
		LEFT JOIN events ON events.id = bearers.event AND events.site || '' = bearers.site AND events.gate = bearers.gate
		WHERE bearers.site = $1 AND bearers.person IN (`+list(2, len(known))+`) AND bearers.person <> '' ORDER BY bearers.at DESC, bearers.event LIMIT `+list(2+len(known), 1),
		slices.Concat([]any{p.Site}, anys(known), []any{limit})...)
}

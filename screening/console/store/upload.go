package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/mqtt"
)

// Upload is a list of people that somebody has sent. It is shown first, and applied once somebody says so.
type Upload struct {
	ID, Site string
	Company  string // id of the one whose people it lists alone; empty for a list of the site's
	At       time.Time
	By       string // account
	File     string // as it was called
	Whole    bool   // who is not in it has left; else it adds to the list
	State    UploadState

	Added, Changed, Gone, Refused int
	AppliedAt                     time.Time
	Undoable                      bool // while nothing else has changed the same list, for a day
}

// UploadState is what became of an upload.
type UploadState string

// The states.
const (
	Shown   UploadState = "shown"
	Applied UploadState = "applied"
	Undone  UploadState = "undone"
)

// undoTime is for how long an upload can be applied, and undone after it was.
const undoTime = 24 * time.Hour

// Listed is somebody in a line of an upload.
type Listed struct {
	Line       int    `json:"line"`
	Number     string `json:"number"`
	Name       string `json:"name"`
	Company    string `json:"company,omitempty"` // id
	Department string `json:"department,omitempty"`
	Shift      string `json:"shift,omitempty"`
}

// Unlisted is a line of an upload that is passed over.
type Unlisted struct {
	Line   int    `json:"line"`
	Why    Unfit  `json:"why"`
	Text   string `json:"text,omitempty"`   // of the cell
	Number string `json:"number,omitempty"` // whose line it is, if it has one: they have not left
}

// Unfit is why a line is passed over.
type Unfit string

// Why a line is passed over that is right by itself. The other reasons are the reader's.
const (
	NumberTaken Unfit = "taken" // of a person of another company, or of the site, who may have left; the site's list can take it from them
	NumberLeft  Unfit = "left"  // of a person of another name who has left: with the number this one would get what is kept of them
)

// Difference is what an upload makes of the list.
type Difference struct {
	Added   []Listed
	Changed []Replaced
	Gone    []Person
	Refused []Unlisted
	Same    int
}

// Replaced is what was there of somebody, and what comes.
type Replaced struct {
	Before Person
	After  Listed
}

// Sum tells one difference from another.
func (d Difference) Sum() string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts and numbers
	}
	return hashOf(string(text))
}

// Errors of uploads, to be told apart with errors.Is.
var (
	ErrNoUpload = errors.New("there is no such upload, or its time is over")
	ErrNotLast  = errors.New("the list was changed after it")
)

// uploadContent is what is kept of an upload for a day.
type uploadContent struct {
	Rows    []Listed   `json:"rows,omitempty"`
	Refused []Unlisted `json:"refused,omitempty"`
	// Of one that is applied: who was new, and what was there of the others.
	Added  []string `json:"added,omitempty"` // ids
	Before []Person `json:"before,omitempty"`
}

// AddUpload keeps a list to be looked at, in place of another one that nobody has applied, and returns its id.
func (s *Store) AddUpload(ctx context.Context, u Upload, rows []Listed, refused []Unlisted, at time.Time) (id string, err error) {
	content, err := json.Marshal(uploadContent{Rows: rows, Refused: refused})
	if err != nil {
		return "", err
	}
	id = ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String()
	err = s.commit(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM uploads WHERE site = $1 AND company = $2 AND state = 'shown'", u.Site, u.Company); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO uploads (id, site, company, at, who, file, whole, state, refused, content) VALUES "+values(1, 10),
			id, u.Site, u.Company, at.UnixMilli(), u.By, u.File, u.Whole, string(Shown), len(refused), content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keeping an upload of %d people: %w", len(rows), err)
	}
	return id, nil
}

// Uploads returns the newest of a site, or of one company of it.
func (s *Store) Uploads(ctx context.Context, site, company string, now time.Time, limit int) ([]Upload, error) {
	all, err := s.uploads(ctx, s.read, "WHERE site = $1 AND state <> 'shown' AND (company = $2 OR $2 = '') ORDER BY applied_at DESC LIMIT $3", site, company, limit)
	touched := map[string]bool{}
	for i := range all {
		u := &all[i]
		u.Undoable = u.State == Applied && now.Sub(u.AppliedAt) < undoTime && !touched[u.Company] && !touched[""] && (u.Company != "" || len(touched) == 0)
		if u.State == Applied {
			touched[u.Company] = true
		}
	}
	return all, err
}

func (s *Store) uploads(ctx context.Context, q querier, rest string, args ...any) ([]Upload, error) {
	return collect(ctx, q, func(rows *sql.Rows) (u Upload, err error) {
		var at, applied int64
		err = rows.Scan(&u.ID, &u.Site, &u.Company, &at, &u.By, &u.File, &u.Whole, &u.State, &u.Added, &u.Changed, &u.Gone, &u.Refused, &applied)
		u.At, u.AppliedAt = fromMilliseconds(at), fromMilliseconds(applied)
		return u, err
	}, "SELECT id, site, company, at, who, file, whole, state, added, changed, gone, refused, applied_at FROM uploads "+rest, args...)
}

// upload reads one that is in a state, with its content.
func (s *Store) upload(ctx context.Context, q querier, site, id string, is UploadState, now time.Time) (u Upload, content uploadContent, err error) {
	found, err := s.uploads(ctx, q, "WHERE site = $1 AND id = $2 AND state = $3", site, id, string(is))
	if err != nil {
		return u, content, err
	}
	bodies, err := collect(ctx, q, func(rows *sql.Rows) (body []byte, err error) {
		err = rows.Scan(&body)
		return body, err
	}, "SELECT content FROM uploads WHERE site = $1 AND id = $2 AND content IS NOT NULL", site, id)
	if err != nil {
		return u, content, err
	}
	if len(found) == 0 || len(bodies) == 0 || min(now.Sub(found[0].At), now.Sub(found[0].AppliedAt)) > undoTime {
		return u, content, ErrNoUpload
	}
	return found[0], content, json.Unmarshal(bodies[0], &content)
}

// ShowUpload tells what an upload would make of the list as it is now.
func (s *Store) ShowUpload(ctx context.Context, site, id string, now time.Time) (Upload, Difference, error) {
	u, content, err := s.upload(ctx, s.read, site, id, Shown, now)
	var d Difference
	if err == nil {
		d, err = compare(ctx, s.read, u, content, now)
	}
	if err != nil {
		return u, d, fmt.Errorf("upload %.40q: %w", id, err)
	}
	return u, d, nil
}

// compare tells what an upload makes of the list.
func compare(ctx context.Context, q querier, u Upload, content uploadContent, now time.Time) (d Difference, err error) {
	all, err := listedPeople(ctx, q, now, " WHERE site = $1", u.Site)
	if err != nil {
		return d, err
	}
	is := make(map[string]Person, len(all))
	for _, p := range all {
		is[p.Number] = p
	}
	d.Refused = content.Refused
	listed, touched := make(map[string]bool, len(content.Rows)), map[string]bool{u.Company: u.Company != ""}
	for _, row := range content.Rows {
		touched[row.Company] = true
		p, known := is[row.Number]
		switch {
		case known && u.Company != "" && p.Company != u.Company: // also of one who has left: with the number goes what happened
			d.Refused = append(d.Refused, Unlisted{row.Line, NumberTaken, row.Number, row.Number})
			continue
		case known && !p.LeftAt.IsZero() && p.Name != row.Name:
			d.Refused = append(d.Refused, Unlisted{row.Line, NumberLeft, row.Number, row.Number})
			continue
		case !known:
			d.Added = append(d.Added, row)
		case !p.LeftAt.IsZero() || p.Name != row.Name || p.Company != row.Company || p.Department != row.Department || p.Shift != row.Shift:
			d.Changed = append(d.Changed, Replaced{p, row})
		default:
			d.Same++
		}
		listed[row.Number] = true
	}
	for _, r := range content.Refused {
		listed[r.Number] = true
	}
	if u.Whole {
		for _, p := range all {
			if touched[p.Company] && !listed[p.Number] && p.LeftAt.IsZero() {
				d.Gone = append(d.Gone, p)
			}
		}
	}
	slices.SortFunc(d.Gone, func(a, b Person) int { return cmp.Compare(a.Number, b.Number) })
	slices.SortStableFunc(d.Refused, func(a, b Unlisted) int { return a.Line - b.Line })
	return d, nil
}

// ApplyUpload makes of the list what the upload says, if that is what somebody has seen: sum is that of the Difference, and
// with another one now the error is ErrChanged. The codes of those who are gone, or come to another company, are no longer good.
func (s *Store) ApplyUpload(ctx context.Context, site, id, sum string, pseudonym func(number string) string, by Author, at time.Time) (Upload, error) {
	var u Upload
	var anew []string
	err := s.transact(ctx, func(tx *sql.Tx) error {
		var content uploadContent
		var err error
		if u, content, err = s.upload(ctx, tx, site, id, Shown, at); err != nil {
			return err
		}
		d, err := compare(ctx, tx, u, content, at)
		if err != nil {
			return err
		}
		if d.Sum() != sum {
			return ErrChanged
		}
		u.Added, u.Changed, u.Gone, u.Refused, u.State, u.AppliedAt = len(d.Added), len(d.Changed), len(d.Gone), len(d.Refused), Applied, at
		before, err := s.replace(ctx, tx, u, d, pseudonym, by, at)
		if err != nil {
			return err
		}
		if anew, err = rememberAgain(ctx, tx, u.Site, d, pseudonym, at); err != nil {
			return err
		}
		kept, err := json.Marshal(before)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE uploads SET state = $1, added = $2, changed = $3, gone = $4, refused = $5, applied_at = $6, content = $7 WHERE id = $8",
			string(Applied), u.Added, u.Changed, u.Gone, u.Refused, at.UnixMilli(), kept, u.ID); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: ListedPeople, About: u.ID, Scope: mqtt.Gate{Site: u.Site},
			Detail: fmt.Sprintf("%s +%d ~%d -%d", u.File, u.Added, u.Changed, u.Gone)})
	})
	if err != nil {
		return u, fmt.Errorf("applying upload %.40q: %w", id, err)
	}
	s.passesChanged()
	s.remember(u.Site, anew, at.UnixMilli())
	return u, nil
}

// remember notes when people who were forgotten were put on the list again; 0 for those who are not on it.
func (s *Store) remember(site string, hashes []string, again int64) {
	s.peopleMu.Lock()
	defer s.peopleMu.Unlock()
	for _, hash := range hashes {
		s.rememberOne(site, hash, again)
	}
}

// rememberOne needs peopleMu.
func (s *Store) rememberOne(site, hash string, again int64) {
	s.forgotten[forgottenOf{site, hash}] = again
	for _, pseudonym := range s.keys[site].numbers.After(hash) {
		s.forgotten[forgottenOf{site, passcode.HashOf(pseudonym)}] = again
	}
}

// replace changes the list, and returns what it takes to change it back.
func (s *Store) replace(ctx context.Context, tx *sql.Tx, u Upload, d Difference, pseudonym func(string) string, by Author, at time.Time) (before uploadContent, err error) {
	args := make([]any, 0, 9*(len(d.Added)+len(d.Changed)))
	put := func(id string, row Listed) {
		args = append(args, id, u.Site, row.Number, pseudonym(row.Number), row.Name, row.Company, row.Department, row.Shift, at.UnixMilli())
	}
	for _, row := range d.Added {
		id := ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String()
		before.Added = append(before.Added, id)
		put(id, row)
	}
	for _, r := range d.Changed {
		before.Before = append(before.Before, r.Before)
		put(r.Before.ID, r.After)
		if err := revokeOfOthers(ctx, tx, by, at, r.Before.ID, r.After.Company); err != nil {
			return before, err
		}
	}
	if err := s.inSteps(args, 9, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO people (id, site, number, pseudonym, name, company, department, shift, added_at) VALUES "+rows+
			` ON CONFLICT (site, number) DO UPDATE SET name = excluded.name, company = excluded.company, department = excluded.department, shift = excluded.shift, left_at = 0`, args...)
		return err
	}); err != nil {
		return before, err
	}
	for _, p := range d.Gone {
		before.Before = append(before.Before, p)
		if _, err := tx.ExecContext(ctx, "UPDATE people SET left_at = $1, asked_code = 0 WHERE id = $2", at.UnixMilli(), p.ID); err != nil {
			return before, err
		}
		if _, err := revokeCodes(ctx, tx, by, at, "person = $3", p.ID); err != nil {
			return before, err
		}
	}
	return before, nil
}

// revokeOfOthers has codes let nobody in that somebody of a company has as one of another: whether they are good hangs on that one.
func revokeOfOthers(ctx context.Context, tx *sql.Tx, by Author, at time.Time, person, company string) error {
	_, err := revokeCodes(ctx, tx, by, at, "person = $3 AND company <> $4", person, company)
	return err
}

// UndoUpload changes the list back to what it was before an upload, for a day and while nobody has changed it after that. Who was
// new on it and has got a code is as one who has left. Codes that were revoked stay so.
func (s *Store) UndoUpload(ctx context.Context, site, id string, by Author, at time.Time) error {
	var gone []string
	err := s.transact(ctx, func(tx *sql.Tx) error {
		u, content, err := s.upload(ctx, tx, site, id, Applied, at)
		if err != nil {
			return err
		}
		later, err := s.uploads(ctx, tx, "WHERE site = $1 AND state = 'applied' AND (company = $2 OR company = '' OR $2 = '') AND applied_at >= $3 AND id <> $4",
			u.Site, u.Company, u.AppliedAt.UnixMilli(), u.ID)
		if err == nil && len(later) > 0 {
			err = ErrNotLast
		}
		if err != nil {
			return err
		}
		for some := range slices.Chunk(content.Added, stepRows) {
			hashes, err := s.forgetAgain(ctx, tx, u.Site, some)
			if err != nil {
				return err
			}
			gone = append(gone, hashes...)
			ids := list(1, len(some))
			if _, err := tx.ExecContext(ctx, "DELETE FROM people WHERE id IN ("+ids+") AND NOT EXISTS (SELECT 1 FROM pass_codes WHERE pass_codes.person = people.id)", anys(some)...); err != nil {
				return err
			}
			args := append([]any{at.UnixMilli()}, anys(some)...)
			if _, err := tx.ExecContext(ctx, "UPDATE people SET left_at = $1 WHERE id IN ("+list(2, len(some))+")", args...); err != nil {
				return err
			}
			for _, id := range some {
				if _, err := revokeCodes(ctx, tx, by, at, "person = $3", id); err != nil {
					return err
				}
			}
		}
		for _, p := range content.Before {
			if _, err := tx.ExecContext(ctx, "UPDATE people SET name = $1, company = $2, department = $3, shift = $4, left_at = $5 WHERE id = $6",
				p.Name, p.Company, p.Department, p.Shift, milliseconds(p.LeftAt), p.ID); err != nil {
				return err
			}
			if err := revokeOfOthers(ctx, tx, by, at, p.ID, p.Company); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE uploads SET state = $1, content = NULL WHERE id = $2", string(Undone), u.ID); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: UnlistedPeople, About: u.ID, Scope: mqtt.Gate{Site: u.Site}, Detail: u.File})
	})
	if err != nil {
		return fmt.Errorf("undoing upload %.40q: %w", id, err)
	}
	s.passesChanged()
	s.remember(site, gone, 0)
	return nil
}

// DropUpload forgets what an upload that was not applied holds.
func (s *Store) DropUpload(ctx context.Context, site, id string) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM uploads WHERE site = $1 AND id = $2 AND state = 'shown'", site, id)
	return err
}

// Upload returns one of a site in whatever state, or ErrNoUpload.
func (s *Store) Upload(ctx context.Context, site, id string) (Upload, error) {
	found, err := s.uploads(ctx, s.read, "WHERE site = $1 AND id = $2", site, id)
	if err == nil && len(found) == 0 {
		err = ErrNoUpload
	}
	if err != nil {
		return Upload{}, err
	}
	return found[0], nil
}

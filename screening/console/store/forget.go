package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/mqtt"
)

// Forgotten is what is left of somebody of whom nothing is kept any more. Events stay, and are of nobody.
type Forgotten struct {
	Site, ID string
	At       time.Time
	By       string // account; empty where it was their age
	Reason   string
	Links    int64 // to events, that there were
	// SHA256 of the record as it was then, hexadecimal. Who has an export of it proves by that what was deleted.
	SHA256 string

	hash  string
	again int64
}

// personRecord is all that is kept of somebody.
type personRecord struct {
	Person   Person     `json:"person"`
	Codes    []PassCode `json:"codes"`
	Passages []Passage  `json:"passages"`
}

// everyPassage is a limit that nobody's passages reach.
const everyPassage = 1 << 30

// PersonRecord is all that is kept of somebody, as one line of JSON, and its SHA-256 as a hexadecimal number.
func (s *Store) PersonRecord(ctx context.Context, site, id string, now time.Time) (line []byte, sum string, err error) {
	r := personRecord{Codes: []PassCode{}, Passages: []Passage{}}
	if r.Person, err = s.Person(ctx, site, id, now); err != nil {
		return nil, "", err
	}
	codes, err := s.CodesOf(ctx, site, id)
	if err == nil {
		r.Codes = append(r.Codes, codes...)
		var passages []Passage
		passages, err = s.Passages(ctx, r.Person, everyPassage)
		r.Passages = append(r.Passages, passages...)
	}
	if err == nil {
		line, err = json.Marshal(r)
	}
	if err != nil {
		return nil, "", fmt.Errorf("the record of person %s: %w", id, err)
	}
	line = append(line, '\n')
	return line, hashOf(string(line)), nil
}

// ExportPerson writes all that is kept of somebody. The second line is the record alone: its SHA-256 is that of Forgotten if the
// person is forgotten as they are.
func (s *Store) ExportPerson(ctx context.Context, site, id string, now time.Time, to io.Writer) error {
	line, sum, err := s.PersonRecord(ctx, site, id, now)
	if err == nil {
		_, err = fmt.Fprintf(to, "{\"format\":%q,\"record_sha256\":%q,\"record\":\n%s}\n", personFormat, sum, line)
	}
	return err
}

// ForgetPerson deletes somebody from the list, and from all events whom they are about. Their codes let nobody in. sum is the
// SHA-256 of the record that somebody wants deleted: with another one now the error is ErrChanged. What is not here yet of them
// is not taken in, until somebody puts the number on the list again. Where a hold keeps an event of theirs, the error is ErrHeld.
func (s *Store) ForgetPerson(ctx context.Context, site, id, sum, reason string, by Author, at time.Time) (Forgotten, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > maxNote {
		return Forgotten{}, UnfitError(fmt.Sprintf("whoever deletes a person says why, in at most %d bytes", maxNote))
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	_, now, err := s.PersonRecord(ctx, site, id, at)
	if err == nil && now != sum {
		err = ErrChanged
	}
	var p Person
	if err == nil {
		p, err = s.Person(ctx, site, id, at)
	}
	f := Forgotten{Site: site, ID: id, At: at, By: by.Account, Reason: reason, SHA256: sum}
	if err == nil {
		err = s.forget(ctx, p, &f, by)
	}
	if err != nil {
		return Forgotten{}, fmt.Errorf("deleting person %.40q: %w", id, err)
	}
	return f, s.sweep(ctx)
}

// forget does it, whoever wants it.
func (s *Store) forget(ctx context.Context, p Person, f *Forgotten, by Author) error {
	f.hash = passcode.HashOf(p.Pseudonym)
	known := s.pseudonyms(p)
	theirs := append([]any{p.Site}, anys(known)...)
	err := s.transact(ctx, func(tx *sql.Tx) error {
		var held int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM bearers JOIN events ON events.id = bearers.event AND events.gate = bearers.gate WHERE bearers.site = $1 AND bearers.person IN ("+list(2, len(known))+") AND "+
			heldEvent+" LIMIT 1) AS held", theirs...).Scan(&held); err != nil {
			return err
		}
		if held > 0 {
			return ErrHeld
		}
		var err error
		if f.Links, err = execute(ctx, tx, "DELETE FROM bearers WHERE site = $1 AND person IN ("+list(2, len(known))+")", theirs...); err != nil {
			return err
		}
		if _, err := revokeCodes(ctx, tx, by, f.At, "person = $3", p.ID); err != nil {
			return err
		}
		for _, one := range []struct {
			statement string
			arg       any
		}{
			{"UPDATE pass_codes SET person = '' WHERE person = $1", p.ID},
			{"DELETE FROM people WHERE id = $1", p.ID},
			{"DELETE FROM uploads WHERE state = 'shown' AND site = $1", p.Site}, // which may have them in a line
			{"UPDATE uploads SET content = NULL WHERE site = $1", p.Site},
		} {
			if _, err := tx.ExecContext(ctx, one.statement, one.arg); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO forgotten (site, person, id, at, who, reason, links, sha256) VALUES "+values(1, 8)+
			` ON CONFLICT (site, person) DO UPDATE SET id = excluded.id, at = excluded.at, again = 0, who = excluded.who, reason = excluded.reason, links = excluded.links, sha256 = excluded.sha256`,
			p.Site, f.hash, f.ID, f.At.UnixMilli(), f.By, f.Reason, f.Links, f.SHA256); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: f.At, By: by, What: ForgotPerson, About: f.ID, Scope: mqtt.Gate{Site: p.Site}, Detail: fmt.Sprintf("sha256=%s %d %s", f.SHA256, f.Links, f.Reason)})
	})
	if err != nil {
		return err
	}
	s.remember(p.Site, []string{f.hash}, 0)
	s.passesChanged()
	return nil
}

// Forgotten returns who is forgotten of a site, or of all where it is empty, the newest first.
func (s *Store) Forgotten(ctx context.Context, site string) ([]Forgotten, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (f Forgotten, err error) {
		var at int64
		err = rows.Scan(&f.Site, &f.hash, &f.ID, &at, &f.again, &f.By, &f.Reason, &f.Links, &f.SHA256)
		f.At = fromMilliseconds(at)
		return f, err
	}, "SELECT site, person, id, at, again, who, reason, links, sha256 FROM forgotten WHERE site = $1 OR $1 = '' ORDER BY at DESC, id", site)
}

// ForgottenAs returns what is left of the person who had an id, or ErrNoPerson.
func (s *Store) ForgottenAs(ctx context.Context, id string) (Forgotten, error) {
	all, err := s.Forgotten(ctx, "")
	if i := slices.IndexFunc(all, func(f Forgotten) bool { return f.ID == id }); err == nil && i >= 0 {
		return all[i], nil
	}
	return Forgotten{}, cmp.Or(err, ErrNoPerson)
}

// rememberAgain notes of people who are new on a list that more may be kept of them from now on, and returns their hashes.
func rememberAgain(ctx context.Context, tx *sql.Tx, site string, d Difference, pseudonym func(string) string, at time.Time) (anew []string, err error) {
	gone, err := texts(ctx, tx, "SELECT person FROM forgotten WHERE site = $1 AND again = 0", site)
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	is := map[string]bool{}
	for _, hash := range gone {
		is[hash] = true
	}
	for _, row := range d.Added {
		hash := passcode.HashOf(pseudonym(row.Number))
		if !is[hash] {
			continue
		}
		anew = append(anew, hash)
		if _, err := tx.ExecContext(ctx, "UPDATE forgotten SET again = $1 WHERE site = $2 AND person = $3", at.UnixMilli(), site, hash); err != nil {
			return nil, err
		}
	}
	return anew, nil
}

// forgetAgain takes back rememberAgain of people whose ids are on the list by mistake, with what came of them since, and returns
// their hashes.
func (s *Store) forgetAgain(ctx context.Context, tx *sql.Tx, site string, ids []string) (gone []string, err error) {
	pseudonyms, err := texts(ctx, tx, "SELECT pseudonym FROM people WHERE id IN ("+list(1, len(ids))+")", anys(ids)...)
	for _, pseudonym := range pseudonyms {
		hash := passcode.HashOf(pseudonym)
		again, err := execute(ctx, tx, "UPDATE forgotten SET again = 0 WHERE site = $1 AND person = $2 AND again <> 0", site, hash)
		if err != nil {
			return nil, err
		}
		if again == 0 {
			continue
		}
		gone = append(gone, hash)
		known := s.pseudonyms(Person{Site: site, Pseudonym: pseudonym})
		if _, err := tx.ExecContext(ctx, "DELETE FROM bearers WHERE site = $1 AND person IN ("+list(2, len(known))+") AND NOT EXISTS (SELECT 1 FROM events WHERE events.id = bearers.event AND "+heldEvent+")",
			append([]any{site}, anys(known)...)...); err != nil {
			return nil, err
		}
	}
	return gone, err
}

// retirePeople forgets who events were about that are as old as that may get, who left the list as long ago, and what uploads hold
// that can't be undone any more.
func (s *Store) retirePeople(ctx context.Context, now time.Time) error {
	since := s.linksSince(now).UnixMilli()
	left, err := listedPeople(ctx, s.read, now, " WHERE left_at <> 0 AND left_at < $1 ORDER BY id LIMIT 1000", since)
	if err != nil {
		return err
	}
	for _, p := range left {
		_, sum, err := s.PersonRecord(ctx, p.Site, p.ID, now)
		if err == nil {
			err = s.forget(ctx, p, &Forgotten{Site: p.Site, ID: p.ID, At: now, SHA256: sum}, Author{})
		}
		if err != nil && !errors.Is(err, ErrHeld) {
			return err
		}
	}
	day := now.Add(-undoTime).UnixMilli()
	for _, one := range []struct {
		statement string
		args      []any
	}{
		{"DELETE FROM bearers WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM events WHERE events.id = bearers.event AND " + heldEvent + ")", []any{since}},
		{"DELETE FROM uploads WHERE state = 'shown' AND at < $1", []any{day}},
		{"UPDATE uploads SET content = NULL WHERE content IS NOT NULL AND applied_at < $1", []any{day}},
		{"DELETE FROM uploads WHERE at < $1", []any{since}},
		{"DELETE FROM pass_codes WHERE to_at < $1", []any{since / 1000}},
	} {
		if _, err := s.write.ExecContext(ctx, one.statement, one.args...); err != nil {
			return err
		}
	}
	return nil
}

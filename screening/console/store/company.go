package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/mqtt"
)

// CompanyState is how far a company has come.
type CompanyState string

// The states: a company asks for its people to be let in, the site approves that, and may suspend it.
const (
	Asked     CompanyState = "asked"
	Approved  CompanyState = "approved"
	Suspended CompanyState = "suspended"
)

// Company is one whose people come to a site.
type Company struct {
	ID, Site string
	Name     string // no other company of the site has it
	Short    string // as pass codes have it: up to 16 letters, digits, dashes, dots and underscores
	Contact  string
	State    CompanyState
	// From and Until are the first and the last day on which its people come; an Until of 0 is open.
	From, Until        Day
	AskedAt, DecidedAt time.Time
	AskedBy, DecidedBy string
	Reason             string // of a suspension
	People             int    // on the list
}

// Good tells whether the people of the company may come on a day.
func (c Company) Good(on Day) bool {
	return c.State == Approved && on >= c.From && (c.Until == 0 || on <= c.Until)
}

// Errors of companies and people, to be told apart with errors.Is.
var (
	ErrNoCompany    = errors.New("there is no such company")
	ErrCompanyTaken = errors.New("there is a company of this name, or with this short name")
	ErrNoPerson     = errors.New("there is no such person")
)

// UnfitError says what of an entry can't be.
type UnfitError string

func (e UnfitError) Error() string { return string(e) }

// maxText is the length in bytes of the longest name of a person or a company.
const maxText = 120

// CheckText says whether a text can be the name of somebody or of something: printable, not too long, and no formula.
func CheckText(text string) bool {
	return text != "" && len(text) <= maxText && strings.TrimSpace(text) == text && !strings.ContainsRune("=+-@＝＋－＠|%'", []rune(text)[0]) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// AskCompany keeps a company whose people are to come, and returns its id. It may be that of a site's own administration.
func (s *Store) AskCompany(ctx context.Context, c Company, by Author, at time.Time) (id string, err error) {
	if !CheckText(c.Name) || c.Contact != "" && !CheckText(c.Contact) || c.Until != 0 && c.Until < c.From {
		return "", UnfitError("a company has a name, may have somebody to ask for, and a last day that is not before its first")
	}
	c.ID = ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String()
	if c.Short == "" {
		c.Short = c.ID[len(c.ID)-6:]
	} else if !passcode.CompanyFits(c.Short) {
		return "", UnfitError("the short name of a company has up to 16 letters, digits, dashes, dots and underscores")
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		added, err := execute(ctx, tx, "INSERT INTO companies (id, site, name, short, contact, state, from_day, until_day, asked_at, asked_by) VALUES "+values(1, 10)+" ON CONFLICT DO NOTHING",
			c.ID, c.Site, c.Name, c.Short, c.Contact, string(Asked), int64(c.From), int64(c.Until), at.UnixMilli(), by.Account)
		if err == nil && added == 0 {
			err = ErrCompanyTaken
		}
		if err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: AskedCompany, About: c.ID, Scope: mqtt.Gate{Site: c.Site}, Detail: c.Name})
	})
	if err != nil {
		return "", fmt.Errorf("the company %.80q: %w", c.Name, err)
	}
	return c.ID, nil
}

// DecideCompany approves a company from one day to another, or suspends it for a reason: its codes are good while it is approved.
func (s *Store) DecideCompany(ctx context.Context, c Company, by Author, at time.Time) error {
	if c.State != Approved && c.State != Suspended || c.Until != 0 && c.Until < c.From || len(c.Reason) > maxNote || c.State == Suspended && strings.TrimSpace(c.Reason) == "" {
		return UnfitError("a company is approved up to a day that is not before its first, or suspended for a reason")
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		var name string
		err := tx.QueryRowContext(ctx, "UPDATE companies SET state = $1, from_day = $2, until_day = $3, reason = $4, decided_at = $5, decided_by = $6 WHERE id = $7 AND site = $8 RETURNING name",
			string(c.State), int64(c.From), int64(c.Until), c.Reason, at.UnixMilli(), by.Account, c.ID, c.Site).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNoCompany
		}
		if err != nil {
			return err
		}
		detail := name + " " + string(c.State) + " " + c.From.Date().Format(time.DateOnly)
		if c.Until != 0 {
			detail += "–" + c.Until.Date().Format(time.DateOnly)
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: DecidedCompany, About: c.ID, Scope: mqtt.Gate{Site: c.Site}, Detail: strings.TrimSpace(detail + " " + c.Reason)})
	})
	if err != nil {
		return fmt.Errorf("the company %.40q: %w", c.ID, err)
	}
	s.passesChanged()
	return nil
}

// Companies returns those of a site by name, those that wait for somebody's word first.
func (s *Store) Companies(ctx context.Context, site string) ([]Company, error) {
	return companies(ctx, s.read, "WHERE site = $1 ORDER BY CASE WHEN state = 'asked' THEN 0 ELSE 1 END, name", site)
}

// Company returns one of a site, or ErrNoCompany.
func (s *Store) Company(ctx context.Context, site, id string) (Company, error) {
	found, err := companies(ctx, s.read, "WHERE site = $1 AND id = $2", site, id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("company %.40q: %w", id, ErrNoCompany)
	}
	if err != nil {
		return Company{}, err
	}
	return found[0], nil
}

func companies(ctx context.Context, q querier, rest string, args ...any) ([]Company, error) {
	return collect(ctx, q, func(rows *sql.Rows) (c Company, err error) {
		var asked, decided int64
		err = rows.Scan(&c.ID, &c.Site, &c.Name, &c.Short, &c.Contact, &c.State, &c.From, &c.Until, &asked, &c.AskedBy, &decided, &c.DecidedBy, &c.Reason, &c.People)
		c.AskedAt, c.DecidedAt = fromMilliseconds(asked), fromMilliseconds(decided)
		return c, err
	}, `SELECT id, site, name, short, contact, state, from_day, until_day, asked_at, asked_by, decided_at, decided_by, reason,
		(SELECT count(*) FROM people WHERE people.company = companies.id AND left_at = 0) FROM companies `+rest, args...)
}

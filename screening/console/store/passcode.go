package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/mqtt"
)

// KeyKind is what a secret of a site is for.
type KeyKind string

// The kinds. A site has one of each but of those that sign codes, of which the newest does.
const (
	RootKey   KeyKind = "root"   // Ed25519, signs the lists of what is good
	CodesKey  KeyKind = "codes"  // Ed25519, signs codes
	NumberKey KeyKind = "number" // passcode.NumberKeys, of the pseudonyms of numbers
)

// SiteKey is a secret of a site.
type SiteKey struct {
	ID, Site string
	Kind     KeyKind
	Secret   []byte
	MadeAt   time.Time
	To       time.Time // from which on its codes are no longer good; zero is never
	// Handovers are how each root before has named the next, as JSON; nil where there was none.
	Handovers []byte
}

// Private is one that signs.
func (k SiteKey) Private() (ed25519.PrivateKey, error) {
	if len(k.Secret) != ed25519.SeedSize {
		return nil, fmt.Errorf("the %s key of site %s in the store is broken", k.Kind, k.Site)
	}
	return ed25519.NewKeyFromSeed(k.Secret), nil
}

// Chain are the Handovers.
func (k SiteKey) Chain() (chain []passcode.Handover, err error) {
	if k.Handovers != nil {
		err = json.Unmarshal(k.Handovers, &chain)
	}
	return chain, err
}

// SiteKeys returns those of a site in the order in which they were made.
func (s *Store) SiteKeys(ctx context.Context, site string) ([]SiteKey, error) {
	return collect(ctx, s.read, scanSiteKey, selectSiteKeys+" WHERE site = $1 ORDER BY id", site)
}

const selectSiteKeys = "SELECT id, site, kind, secret, made_at, to_at, handovers FROM site_keys"

func scanSiteKey(rows *sql.Rows) (k SiteKey, err error) {
	var made, to int64
	err = rows.Scan(&k.ID, &k.Site, &k.Kind, &k.Secret, &made, &to, &k.Handovers)
	k.MadeAt, k.To = fromMilliseconds(made), fromSeconds(to)
	return k, err
}

// AddFirstSiteKeys keeps the first secrets of a site, its root before the others. Of a kind that it has by now, that one stays.
func (s *Store) AddFirstSiteKeys(ctx context.Context, keys []SiteKey) error {
	return s.addSiteKeys(ctx, func(tx *sql.Tx) error {
		for _, k := range keys { // who makes some at the same time waits at the root until these are kept
			var has bool
			if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM site_keys WHERE site = $1 AND kind = $2)", k.Site, string(k.Kind)).Scan(&has); err != nil {
				return err
			}
			if has {
				continue
			}
			if err := addSiteKey(ctx, tx, k, Author{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddCodesKey keeps another secret that signs codes. With end the site's others end then.
func (s *Store) AddCodesKey(ctx context.Context, k SiteKey, end time.Time, by Author) error {
	return s.addSiteKeys(ctx, func(tx *sql.Tx) error {
		if !end.IsZero() {
			if _, err := tx.ExecContext(ctx, "UPDATE site_keys SET to_at = $1 WHERE site = $2 AND kind = 'codes' AND (to_at = 0 OR to_at > $1)", end.Unix(), k.Site); err != nil {
				return err
			}
		}
		return addSiteKey(ctx, tx, k, by)
	})
}

func (s *Store) addSiteKeys(ctx context.Context, add func(*sql.Tx) error) error {
	if err := s.transact(ctx, add); err != nil {
		return err
	}
	s.passesChanged()
	return s.readKeys(ctx)
}

func addSiteKey(ctx context.Context, tx *sql.Tx, k SiteKey, by Author) error {
	id := ulid.MustNew(ulid.Timestamp(k.MadeAt), ulid.DefaultEntropy()).String()
	added, err := execute(ctx, tx, "INSERT INTO site_keys (id, site, kind, secret, made_at) VALUES "+values(1, 5)+" ON CONFLICT DO NOTHING",
		id, k.Site, string(k.Kind), k.Secret, k.MadeAt.UnixMilli())
	if err == nil && added > 0 {
		err = note(ctx, tx, AuditLine{At: k.MadeAt, By: by, What: MadeKey, Scope: mqtt.Gate{Site: k.Site}, Detail: string(k.Kind)})
	}
	if err != nil {
		return fmt.Errorf("keeping a key of site %s: %w", k.Site, err)
	}
	return nil
}

// ChangeSiteKey keeps another secret in the place of a root or a number key, and with a root how it was handed over to. The secret
// before is not kept. Where that is another one by now, the error is ErrChanged.
func (s *Store) ChangeSiteKey(ctx context.Context, before SiteKey, secret, handovers []byte, by Author, at time.Time) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		changed, err := execute(ctx, tx, "UPDATE site_keys SET secret = $1, handovers = $2, made_at = $3 WHERE id = $4 AND secret = $5",
			secret, handovers, at.UnixMilli(), before.ID, before.Secret)
		if err == nil && changed == 0 {
			err = ErrChanged
		}
		if err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: MadeKey, Scope: mqtt.Gate{Site: before.Site}, Detail: string(before.Kind)})
	})
	if err != nil {
		return fmt.Errorf("changing the %s key of site %s: %w", before.Kind, before.Site, err)
	}
	err = s.readPeople(ctx) // before gates hear of it, and tell that they have
	s.passesChanged()
	return errors.Join(err, s.sweep(ctx))
}

// pseudonyms are all that gates may call somebody, the one on the list first: a gate or a printed code may know of fewer changes
// of the number key than the site.
func (s *Store) pseudonyms(p Person) []string {
	s.peopleMu.RLock()
	defer s.peopleMu.RUnlock()
	return s.keys[p.Site].numbers.Of(p.Pseudonym)
}

// PassCode is what is kept of a pass code. Its text follows from that and its key.
type PassCode struct {
	Serial   string    `json:"serial"` // hexadecimal
	Site     string    `json:"-"`
	Person   string    `json:"-"` // id
	Company  string    `json:"company,omitempty"`
	Key      string    `json:"-"` // id
	From     time.Time `json:"from"`
	To       time.Time `json:"to"` // whole seconds
	IssuedAt time.Time `json:"issued_at"`
	IssuedBy string    `json:"issued_by"`

	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// Good tells whether it lets somebody in at a time, if the company does.
func (c PassCode) Good(at time.Time) bool {
	return c.RevokedAt.IsZero() && !at.Before(c.From) && at.Before(c.To)
}

// AddCodes keeps codes of people of a site. Others that these have are revoked: a card that is lost lets nobody in.
func (s *Store) AddCodes(ctx context.Context, site string, codes []PassCode, by Author, at time.Time) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		args := make([]any, 0, 9*len(codes))
		for _, c := range codes {
			if _, err := revokeCodes(ctx, tx, by, at, "person = $3", c.Person); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE people SET asked_code = 0 WHERE id = $1 AND asked_code <> 0", c.Person); err != nil {
				return err
			}
			args = append(args, c.Serial, site, c.Person, c.Company, c.Key, c.From.Unix(), c.To.Unix(), at.UnixMilli(), by.Account)
		}
		if err := s.inSteps(args, 9, func(rows string, args []any) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO pass_codes (serial, site, person, company, key, from_at, to_at, issued_at, issued_by) VALUES "+rows, args...)
			return err
		}); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: IssuedCodes, Scope: mqtt.Gate{Site: site}, Detail: fmt.Sprint(len(codes))})
	})
	if err != nil {
		return fmt.Errorf("keeping %d pass codes: %w", len(codes), err)
	}
	s.passesChanged()
	return nil
}

// RevokeCodes has the codes of people of a site let nobody in from now on, and tells how many there were.
func (s *Store) RevokeCodes(ctx context.Context, site string, people []string, by Author, at time.Time) (revoked int64, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		for _, id := range people {
			some, err := revokeCodes(ctx, tx, by, at, "person = $3 AND site = $4", id, site)
			if revoked += some; err != nil {
				return err
			}
		}
		if revoked == 0 {
			return nil
		}
		about := ""
		if len(people) == 1 {
			about = people[0]
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: RevokedCodes, About: about, Scope: mqtt.Gate{Site: site}, Detail: fmt.Sprint(revoked)})
	})
	if err != nil {
		return 0, fmt.Errorf("revoking the codes of %d people: %w", len(people), err)
	}
	s.passesChanged()
	return revoked, nil
}

// revokeCodes has those that fit a condition, whose arguments begin with $3, let nobody in.
func revokeCodes(ctx context.Context, tx *sql.Tx, by Author, at time.Time, condition string, args ...any) (int64, error) {
	return execute(ctx, tx, "UPDATE pass_codes SET revoked_at = $1, revoked_by = $2 WHERE "+condition+" AND person <> '' AND revoked_at = 0",
		append([]any{at.UnixMilli(), by.Account}, args...)...)
}

// AskCodes notes that a company wants codes for people of its own who have none.
func (s *Store) AskCodes(ctx context.Context, site, company string, people []string, at time.Time) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, id := range people {
			if _, err := tx.ExecContext(ctx, "UPDATE people SET asked_code = $1 WHERE id = $2 AND site = $3 AND company = $4 AND left_at = 0", at.UnixMilli(), id, site, company); err != nil {
				return err
			}
		}
		return nil
	})
}

// CodesOf returns the codes of somebody, the newest first.
func (s *Store) CodesOf(ctx context.Context, site, person string) ([]PassCode, error) {
	return s.codes(ctx, "WHERE site = $1 AND person = $2 AND person <> '' ORDER BY issued_at DESC, serial", site, person)
}

// GoodCodes returns the codes of a site that let somebody in, now or later, by the id of that person.
func (s *Store) GoodCodes(ctx context.Context, site string, now time.Time) (map[string]PassCode, error) {
	all, err := s.codes(ctx, "WHERE site = $1 AND person <> '' AND revoked_at = 0 AND to_at > $2 ORDER BY issued_at", site, now.Unix())
	good := make(map[string]PassCode, len(all))
	for _, c := range all {
		good[c.Person] = c
	}
	return good, err
}

func (s *Store) codes(ctx context.Context, rest string, args ...any) ([]PassCode, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (c PassCode, err error) {
		var from, to, issued, revoked int64
		err = rows.Scan(&c.Serial, &c.Site, &c.Person, &c.Company, &c.Key, &from, &to, &issued, &c.IssuedBy, &revoked, &c.RevokedBy)
		c.From, c.To, c.IssuedAt, c.RevokedAt = fromSeconds(from), fromSeconds(to), fromMilliseconds(issued), fromMilliseconds(revoked)
		return c, err
	}, "SELECT serial, site, person, company, key, from_at, to_at, issued_at, issued_by, revoked_at, revoked_by FROM pass_codes "+rest, args...)
}

// BadSerials returns those of codes of a site that are not over and were revoked.
func (s *Store) BadSerials(ctx context.Context, site string, now time.Time) ([]string, error) {
	return texts(ctx, s.read, // those of a key that has ended need not be told one by one
		`SELECT serial FROM pass_codes WHERE site = $1 AND to_at > $2 AND (revoked_at <> 0 OR person = '')
		AND NOT EXISTS (SELECT 1 FROM site_keys WHERE site_keys.id = pass_codes.key AND site_keys.to_at <> 0 AND site_keys.to_at <= $3) ORDER BY serial`,
		site, now.Unix(), now.Unix())
}

// BarredCompanies returns the short names of companies of a site that have codes, and are not approved, or not now.
func (s *Store) BarredCompanies(ctx context.Context, site string, now time.Time) ([]string, error) {
	today := int64(DayOf(now.In(s.Zone(site))))
	return texts(ctx, s.read, `SELECT short FROM companies WHERE site = $1 AND NOT (state = 'approved' AND from_day <= $2 AND (until_day = 0 OR until_day >= $3))
		AND id IN (SELECT company FROM pass_codes WHERE site = $4 AND to_at > $5) ORDER BY short`, site, today, today, site, now.Unix())
}

// texts reads a column of texts.
func texts(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	return collect(ctx, q, func(rows *sql.Rows) (text string, err error) {
		err = rows.Scan(&text)
		return text, err
	}, query, args...)
}

// PassList is the signed list of which codes of a site are good that gates were told last.
type PassList struct {
	Version int64
	Content string // SHA-256 of what it says
	Signed  []byte
}

// PassList returns that of a site; the zero one where there was none.
func (s *Store) PassList(ctx context.Context, site string) (l PassList, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT version, content, signed FROM pass_lists WHERE site = $1", site).Scan(&l.Version, &l.Content, &l.Signed)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return l, err
}

// SetPassList keeps one, whose version is higher than that of the one before.
func (s *Store) SetPassList(ctx context.Context, site string, l PassList) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO pass_lists (site, version, content, signed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (site) DO UPDATE SET version = excluded.version, content = excluded.content, signed = excluded.signed WHERE excluded.version > pass_lists.version`,
		site, l.Version, l.Content, l.Signed)
	return err
}

// PassNews is another number after every change of what the lists of codes say.
func (s *Store) PassNews() int64 { return s.passNews.Load() }

func (s *Store) passesChanged() { s.passNews.Add(1) }

func fromSeconds(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(at, 0).UTC()
}

// SitesWithCodes are the sites that have keys.
func (s *Store) SitesWithCodes(ctx context.Context) ([]string, error) {
	return texts(ctx, s.read, "SELECT DISTINCT site FROM site_keys ORDER BY site")
}

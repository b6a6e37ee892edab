package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"thermogate/screening/mqtt"
)

// Role is what somebody may do. Each may do what those before it may.
type Role string

// The roles.
const (
	Guard         Role = "guard"         // sees to alerts and faults
	Manager       Role = "manager"       // sees how many there were
	Administrator Role = "administrator" // makes accounts
)

// The roles beside these: what one of them may do, no other may, and they nothing else. Names of people are theirs alone.
const (
	Personnel Role = "hr"      // sees who the people of a site are, and lets companies and their people in
	OfCompany Role = "company" // sees and lists the people of one company
)

// Account is somebody who may log in.
type Account struct {
	Name     string
	FullName string // no other account has it
	Role     Role
	// Scope is the site, or the gate of it, that the account is for; empty names are for all.
	Scope    mqtt.Gate
	Password string // argon2id, encoded; empty for who has none here
	Once     bool   // the password is to be changed at the next log-in
	Mark     string // what browsers keep that were logged in
	Version  int64  // every change of password, role or lock makes another
	Locked   bool
	MadeAt   time.Time
	MadeBy   string
	// Subject is who it is at an OpenID Connect provider, as "issuer subject"; empty for an account that was made here.
	Subject string
	Company string // id of the one whose people an account of the role OfCompany is for
}

// Sees tells whether a gate is within the account's scope.
func (a Account) Sees(gate mqtt.Gate) bool {
	return (a.Scope.Site == "" || a.Scope.Site == gate.Site) && (a.Scope.Name == "" || a.Scope.Name == gate.Name)
}

// Errors of accounts, to be told apart with errors.Is.
var (
	ErrNoAccount    = errors.New("there is no such account")
	ErrAccountTaken = errors.New("there is an account of this name")
	ErrLastOne      = errors.New("it is the last administrator of all sites that can log in with a password")
	ErrElsewhere    = errors.New("the role of this account comes from the OpenID Connect provider")
)

const accountColumns = "name, full_name, role, site, gate, password, once, mark, version, locked, made_at, made_by, subject, company"

func (s *Store) accounts(ctx context.Context, q querier, rest string, args ...any) ([]Account, error) {
	return collect(ctx, q, func(rows *sql.Rows) (a Account, err error) {
		var made int64
		err = rows.Scan(&a.Name, &a.FullName, &a.Role, &a.Scope.Site, &a.Scope.Name, &a.Password, &a.Once, &a.Mark, &a.Version, &a.Locked, &made, &a.MadeBy, &a.Subject, &a.Company)
		a.MadeAt = fromMilliseconds(made)
		return a, err
	}, "SELECT "+accountColumns+" FROM accounts "+rest, args...)
}

// Accounts returns all of them by name.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	return s.accounts(ctx, s.read, "ORDER BY name")
}

// Account returns one, or ErrNoAccount.
func (s *Store) Account(ctx context.Context, name string) (Account, error) {
	found, err := s.accounts(ctx, s.read, "WHERE name = $1", name)
	if err == nil && len(found) == 0 {
		err = ErrNoAccount
	}
	if err != nil {
		return Account{}, fmt.Errorf("account %.40q: %w", name, err)
	}
	return found[0], nil
}

// AccountOf returns that of somebody at an OpenID Connect provider, or ErrNoAccount.
func (s *Store) AccountOf(ctx context.Context, subject string) (Account, error) {
	found, err := s.accounts(ctx, s.read, "WHERE subject = $1 AND subject <> ''", subject)
	if err == nil && len(found) == 0 {
		err = ErrNoAccount
	}
	if err != nil {
		return Account{}, fmt.Errorf("account of %.80q: %w", subject, err)
	}
	return found[0], nil
}

// AddAccount keeps a new account.
func (s *Store) AddAccount(ctx context.Context, a Account, by Author) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		added, err := execute(ctx, tx, "INSERT INTO accounts ("+accountColumns+") VALUES "+values(1, 14)+" ON CONFLICT DO NOTHING",
			a.Name, a.FullName, string(a.Role), a.Scope.Site, a.Scope.Name, a.Password, a.Once, a.Mark, 1, a.Locked, a.MadeAt.UnixMilli(), a.MadeBy, a.Subject, a.Company)
		if err == nil && added == 0 {
			err = ErrAccountTaken
		}
		if err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{By: by, What: MadeAccount, About: a.Name, Scope: a.Scope, Detail: a.may()})
	})
	if err != nil {
		return fmt.Errorf("account %.40q: %w", a.Name, err)
	}
	return nil
}

// may is what the account may do and where, as "manager plant/north".
func (a Account) may() string {
	text := string(a.Role)
	if a.Scope.Site != "" {
		text += " " + a.Scope.Site
	}
	if a.Scope.Name != "" {
		text += "/" + a.Scope.Name
	}
	return text
}

// SetPassword gives an account another password, and ends its sessions. Once says that it is for the next log-in only.
func (s *Store) SetPassword(ctx context.Context, name, password, mark string, once bool, by Author) error {
	what := ChangedPassword
	if once {
		what = RenewedPassword
	}
	return s.changeAccount(ctx, name, what, by, func(a *Account) error {
		a.Password, a.Mark, a.Once = password, mark, once
		return nil
	})
}

// SetLocked keeps somebody out, at once, or lets them in again.
func (s *Store) SetLocked(ctx context.Context, name string, locked bool, by Author) error {
	what := UnlockedAccount
	if locked {
		what = LockedAccount
	}
	return s.changeAccount(ctx, name, what, by, func(a *Account) error {
		a.Locked = locked
		return nil
	})
}

// SetRole has somebody do something else, or elsewhere, and ends their sessions. That of a provider's account is set by
// what the provider says alone.
func (s *Store) SetRole(ctx context.Context, name string, role Role, scope mqtt.Gate, by Author) error {
	return s.changeAccount(ctx, name, ChangedRole, by, func(a *Account) error {
		if a.Subject != "" && by != (Author{}) {
			return ErrElsewhere
		}
		a.Role, a.Scope = role, scope
		return nil
	})
}

// changeAccount makes a change with its line in the audit. It refuses what would leave nobody who can make accounts while
// no provider answers.
func (s *Store) changeAccount(ctx context.Context, name string, what Deed, by Author, change func(*Account) error) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.transact(ctx, func(tx *sql.Tx) error {
		found, err := s.accounts(ctx, tx, "WHERE name = $1", name)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNoAccount
		}
		a := found[0]
		line := AuditLine{By: by, What: what, About: name, Detail: a.may()}
		if err := change(&a); err != nil {
			return err
		}
		if line.Scope = a.Scope; what == ChangedRole {
			line.Detail += " → " + a.may()
		} else {
			line.Detail = ""
		}
		if _, err := tx.ExecContext(ctx, `UPDATE accounts SET role = $1, site = $2, gate = $3, password = $4, once = $5, mark = $6, locked = $7,
			version = version + 1 WHERE name = $8`,
			string(a.Role), a.Scope.Site, a.Scope.Name, a.Password, a.Once, a.Mark, a.Locked, name); err != nil {
			return err
		}
		if err := note(ctx, tx, line); err != nil { // for which others wait, of another console, too
			return err
		}
		var administrators int
		err = tx.QueryRowContext(ctx, "SELECT count(*) FROM accounts WHERE role = 'administrator' AND site = '' AND NOT locked AND password <> '' AND subject = ''").Scan(&administrators)
		if err == nil && administrators == 0 {
			err = ErrLastOne
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("account %.40q: %w", name, err)
	}
	return nil
}

// AddFailure notes a wrong password for an account, whether there is one of that name or not.
func (s *Store) AddFailure(ctx context.Context, account string, marked bool, address string, at time.Time) error {
	_, err := s.write.ExecContext(ctx, "INSERT INTO login_failures (account, marked, address, at) VALUES ($1, $2, $3, $4)",
		account, marked, address, at.UnixMilli())
	return err
}

// Failures counts the wrong passwords for an account since a time, those of marked browsers apart, and says when the
// first of them was.
func (s *Store) Failures(ctx context.Context, account string, marked bool, since time.Time) (n int, first time.Time, err error) {
	var ms int64
	err = s.read.QueryRowContext(ctx, "SELECT count(*), coalesce(min(at), 0) FROM login_failures WHERE account = $1 AND marked = $2 AND at > $3",
		account, marked, since.UnixMilli()).Scan(&n, &ms)
	return n, fromMilliseconds(ms), err
}

// ForgetFailures deletes those of an account, once its password was right, or all from before a time where account is empty.
func (s *Store) ForgetFailures(ctx context.Context, account string, marked bool, before time.Time) error {
	if account == "" {
		_, err := s.write.ExecContext(ctx, "DELETE FROM login_failures WHERE at < $1", before.UnixMilli())
		return err
	}
	_, err := s.write.ExecContext(ctx, "DELETE FROM login_failures WHERE account = $1 AND marked = $2", account, marked)
	return err
}

// Sessions keeps the sessions of browsers for scs.
type Sessions struct{ store *Store }

// Sessions are kept with the accounts.
func (s *Store) Sessions() Sessions { return Sessions{s} }

// FindCtx returns the data of a session that has not expired.
func (s Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	var encoded string
	err = s.store.read.QueryRowContext(ctx, "SELECT data FROM sessions WHERE token = $1 AND expiry > $2", token, time.Now().UnixMilli()).Scan(&encoded)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	data, err = base64.StdEncoding.DecodeString(encoded)
	return data, err == nil, err
}

// CommitCtx keeps a session, and drops those that have expired.
func (s Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	if _, err := s.store.write.ExecContext(ctx, "DELETE FROM sessions WHERE expiry < $1", time.Now().UnixMilli()); err != nil {
		return err
	}
	_, err := s.store.write.ExecContext(ctx, `INSERT INTO sessions (token, data, expiry) VALUES ($1, $2, $3)
		ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry`,
		token, base64.StdEncoding.EncodeToString(data), expiry.UnixMilli())
	return err
}

// DeleteCtx ends a session.
func (s Sessions) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.store.write.ExecContext(ctx, "DELETE FROM sessions WHERE token = $1", token)
	return err
}

// Find is FindCtx without a context, as scs.Store wants it.
func (s Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

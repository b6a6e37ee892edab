package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Invitation is a link by which one box joins as a gate.
type Invitation struct {
	ID       string
	Token    string // SHA-256 of what the link holds, hexadecimal
	Gate     mqtt.Gate
	MadeAt   time.Time
	MadeBy   string
	Until    time.Time
	Replaces bool   // the box that works as this gate, if one does
	Sealed   string // what only the link opens
	// UsedAt and UsedFrom are when and from which address a box joined by it, zero and empty before; UsedWith is the SHA-256 of
	// the secret of that box.
	UsedAt             time.Time
	UsedFrom, UsedWith string
	WithdrawnAt        time.Time // zero while it is not
	WithdrawnBy        string
}

// Open tells whether a box can join by it at a time.
func (i Invitation) Open(at time.Time) bool {
	return i.UsedAt.IsZero() && i.WithdrawnAt.IsZero() && at.Before(i.Until)
}

// Errors of invitations, to be told apart with errors.Is.
var (
	ErrNoInvitation = errors.New("there is no such invitation")
	ErrNotOpen      = errors.New("the invitation was used or withdrawn, or its time is over")
)

const invitationColumns = "id, token, site, gate, made_at, made_by, until, replaces, sealed, used_at, used_from, used_with, withdrawn_at, withdrawn_by"

func scanInvitation(rows *sql.Rows) (i Invitation, err error) {
	var made, until, used, withdrawn int64
	err = rows.Scan(&i.ID, &i.Token, &i.Gate.Site, &i.Gate.Name, &made, &i.MadeBy, &until, &i.Replaces, &i.Sealed,
		&used, &i.UsedFrom, &i.UsedWith, &withdrawn, &i.WithdrawnBy)
	i.MadeAt, i.Until, i.UsedAt, i.WithdrawnAt = fromMilliseconds(made), fromMilliseconds(until), fromMilliseconds(used), fromMilliseconds(withdrawn)
	return i, err
}

// AddInvitation keeps a new one, with its line in the audit. Those for the same gate that are still open end with it: two
// boxes can't both be the gate.
func (s *Store) AddInvitation(ctx context.Context, i Invitation, by Author) error {
	i.ID = ulid.Make().String()
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE invitations SET withdrawn_at = $1, withdrawn_by = $2, sealed = ''
			WHERE site = $3 AND gate = $4 AND used_at = 0 AND withdrawn_at = 0`, i.MadeAt.UnixMilli(), i.MadeBy, i.Gate.Site, i.Gate.Name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO invitations (id, token, site, gate, made_at, made_by, until, replaces, sealed) VALUES "+values(1, 9),
			i.ID, i.Token, i.Gate.Site, i.Gate.Name, i.MadeAt.UnixMilli(), i.MadeBy, i.Until.UnixMilli(), i.Replaces, i.Sealed); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: i.MadeAt, By: by, What: InvitedGate, About: i.Gate.Name, Scope: i.Gate})
	})
	if err != nil {
		return fmt.Errorf("inviting %s: %w", event.Source(i.Gate.Site, i.Gate.Name), err)
	}
	return nil
}

// Invitations returns the newest of all, so many at most.
func (s *Store) Invitations(ctx context.Context, limit int) ([]Invitation, error) {
	return collect(ctx, s.read, scanInvitation, "SELECT "+invitationColumns+" FROM invitations ORDER BY id DESC LIMIT $1", limit)
}

// Invitation returns the one with the SHA-256 of a token, or ErrNoInvitation.
func (s *Store) Invitation(ctx context.Context, token string) (Invitation, error) {
	found, err := collect(ctx, s.read, scanInvitation, "SELECT "+invitationColumns+" FROM invitations WHERE token = $1", token)
	if err == nil && len(found) == 0 {
		err = ErrNoInvitation
	}
	if err != nil {
		return Invitation{}, err
	}
	return found[0], nil
}

// UseInvitation notes that a box joins, with its line in the audit, unless the invitation is not open any more: that is
// ErrNotOpen. The gate is then not revoked. admit is called before anything is kept; where it fails, nothing is.
func (s *Store) UseInvitation(ctx context.Context, id, with string, by Author, at time.Time, admit func(context.Context) error) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	found, err := collect(ctx, s.read, scanInvitation, "SELECT "+invitationColumns+" FROM invitations WHERE id = $1", id)
	if err != nil {
		return err
	}
	if len(found) == 0 || !found[0].Open(at) {
		return ErrNotOpen
	}
	if err := admit(ctx); err != nil {
		return err
	}
	gate := found[0].Gate
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE invitations SET used_at = $1, used_from = $2, used_with = $3 WHERE id = $4",
			at.UnixMilli(), by.Address.String(), with, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM revocations WHERE site = $1 AND gate = $2", gate.Site, gate.Name); err != nil {
			return err
		}
		if !s.Revoked(gate).At.IsZero() {
			if _, err := setPart(ctx, tx, gate, Link, Unused, "", at); err != nil { // until something comes from it
				return err
			}
			if err := s.queue(ctx, tx, urgentLane, statusOf(gate)); err != nil {
				return err
			}
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: JoinedGate, About: gate.Name, Scope: gate})
	})
	if err != nil {
		return fmt.Errorf("noting that %s joins: %w", event.Source(gate.Site, gate.Name), err)
	}
	s.setRevoked(gate, Revocation{})
	return nil
}

// WithdrawInvitation ends one that is open, with its line in the audit; ErrNotOpen for any other.
func (s *Store) WithdrawInvitation(ctx context.Context, i Invitation, by Author, at time.Time) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	return s.transact(ctx, func(tx *sql.Tx) error {
		ended, err := execute(ctx, tx, "UPDATE invitations SET withdrawn_at = $1, withdrawn_by = $2, sealed = '' WHERE id = $3 AND used_at = 0 AND withdrawn_at = 0",
			at.UnixMilli(), by.Account, i.ID)
		if err == nil && ended == 0 {
			err = ErrNotOpen
		}
		if err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: at, By: by, What: WithdrewInvitation, About: i.Gate.Name, Scope: i.Gate})
	})
}

// Revocation is that a gate is not let in any more.
type Revocation struct {
	Gate        mqtt.Gate
	At          time.Time // zero for a gate that is not revoked
	Who, Reason string
	Account     AccountState
}

// AccountState is what has become of the account that a revoked gate had at the broker.
type AccountState string

// The states.
const (
	AccountDue     AccountState = "due" // the broker is still to be told
	AccountRemoved AccountState = "removed"
	AccountByHand  AccountState = "by-hand" // somebody has to remove it
	// AccountConfigured is one that the config of the gate whose broker it is gives: until that is mended and read, the gate comes in.
	AccountConfigured AccountState = "configured"
)

// Revoke has nothing counted any more that comes of a gate and was made after this, with its line in the audit.
func (s *Store) Revoke(ctx context.Context, r Revocation, by Author) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO revocations (site, gate, at, who, reason, account) VALUES `+values(1, 6)+`
			ON CONFLICT (site, gate) DO UPDATE SET at = excluded.at, who = excluded.who, reason = excluded.reason, account = excluded.account`,
			r.Gate.Site, r.Gate.Name, r.At.UnixMilli(), r.Who, r.Reason, string(r.Account)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE invitations SET withdrawn_at = $1, withdrawn_by = $2, sealed = ''
			WHERE site = $3 AND gate = $4 AND used_at = 0 AND withdrawn_at = 0`, r.At.UnixMilli(), by.Account, r.Gate.Site, r.Gate.Name); err != nil {
			return err
		}
		if err := endParts(ctx, tx, r.Gate, r.At); err != nil {
			return err
		}
		if _, err := setPart(ctx, tx, r.Gate, Link, RevokedLink, r.Who, r.At); err != nil {
			return err
		}
		if err := s.queue(ctx, tx, urgentLane, statusOf(r.Gate)); err != nil {
			return err
		}
		return note(ctx, tx, AuditLine{At: r.At, By: by, What: RevokedGate, About: r.Gate.Name, Scope: r.Gate, Detail: r.Reason})
	})
	if err != nil {
		return fmt.Errorf("revoking %s: %w", event.Source(r.Gate.Site, r.Gate.Name), err)
	}
	s.setRevoked(r.Gate, r)
	return nil
}

// SetAccount notes what has become of the account of a revoked gate.
func (s *Store) SetAccount(ctx context.Context, gate mqtt.Gate, account AccountState) error {
	s.joining.Lock()
	defer s.joining.Unlock()
	r := s.Revoked(gate)
	if r.At.IsZero() {
		return nil // it has joined anew meanwhile
	}
	if err := s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE revocations SET account = $1 WHERE site = $2 AND gate = $3", string(account), gate.Site, gate.Name)
		return err
	}); err != nil {
		return err
	}
	r.Account = account
	s.setRevoked(gate, r)
	return nil
}

// Revoked is that of a gate; its At is zero for one that is not revoked.
func (s *Store) Revoked(gate mqtt.Gate) Revocation {
	s.revokedMu.RLock()
	defer s.revokedMu.RUnlock()
	return s.revoked[gate]
}

// Revocations are all that hold now, in no order.
func (s *Store) Revocations() []Revocation {
	s.revokedMu.RLock()
	defer s.revokedMu.RUnlock()
	all := make([]Revocation, 0, len(s.revoked))
	for r := range maps.Values(s.revoked) {
		all = append(all, r)
	}
	return all
}

func (s *Store) setRevoked(gate mqtt.Gate, r Revocation) {
	s.revokedMu.Lock()
	defer s.revokedMu.Unlock()
	if r.At.IsZero() {
		delete(s.revoked, gate)
		s.passesChanged() // whoever is it now has them yet to get
		return
	}
	s.revoked[gate] = r
}

func (s *Store) readRevoked(ctx context.Context) error {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (r Revocation, err error) {
		var at int64
		err = rows.Scan(&r.Gate.Site, &r.Gate.Name, &at, &r.Who, &r.Reason, &r.Account)
		r.At = fromMilliseconds(at)
		return r, err
	}, "SELECT site, gate, at, who, reason, account FROM revocations")
	for _, r := range all {
		s.setRevoked(r.Gate, r)
	}
	return err
}

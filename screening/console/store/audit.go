package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/mqtt"
)

// Deed is what somebody did: with accounts and log-ins, with settings, and with what is kept of people, be it that they only
// looked at it.
type Deed string

// The deeds.
const (
	MadeAccount     Deed = "made-account"
	ChangedRole     Deed = "changed-role"
	LockedAccount   Deed = "locked-account"
	UnlockedAccount Deed = "unlocked-account"
	RenewedPassword Deed = "renewed-password" // gave somebody a password for one log-in
	ChangedPassword Deed = "changed-password" // their own
	LoggedIn        Deed = "logged-in"
	LoggedOut       Deed = "logged-out"
	FailedLogIn     Deed = "failed-log-in"
	RestedAccount   Deed = "rested-account" // after too many wrong passwords
	Exported        Deed = "exported"
	ChangedSettings Deed = "changed-settings"
	ChangedShifts   Deed = "changed-shifts"

	Saw              Deed = "saw" // what the console keeps of people; for a while after a line there is no further one on the same
	ChangedAlert     Deed = "changed-alert"
	AddedReading     Deed = "added-reading" // of somebody without an alert
	DeletedEvent     Deed = "deleted-event"
	ChangedRetention Deed = "changed-retention"
	ChangedKept      Deed = "changed-kept" // outcome-only mode on or off
	Stripped         Deed = "stripped"     // the console, of what was stored before outcome-only mode
	Retired          Deed = "retired"      // the console, of events as old as they may get
	RetiredAudit     Deed = "retired-audit"
	Held             Deed = "held"
	EndedHold        Deed = "ended-hold"
	BackedUp         Deed = "backed-up"
	Restored         Deed = "restored"
	TrustedClock     Deed = "trusted-clock" // said that the console's is right

	InvitedGate        Deed = "invited-gate"
	WithdrewInvitation Deed = "withdrew-invitation"
	JoinedGate         Deed = "joined-gate" // a box did, by an invitation
	RevokedGate        Deed = "revoked-gate"

	AskedCompany   Deed = "asked-company"
	DecidedCompany Deed = "decided-company" // approved or suspended it
	ListedPeople   Deed = "listed-people"   // changed a site's list by an upload
	UnlistedPeople Deed = "unlisted-people" // undid that
	IssuedCodes    Deed = "issued-codes"
	RevokedCodes   Deed = "revoked-codes"
	MadeKey        Deed = "made-key" // of pass codes
	ForgotPerson   Deed = "forgot-person"
)

// Deeds are all of them.
var Deeds = []Deed{
	Saw, ChangedAlert, AddedReading, Exported, DeletedEvent, LoggedIn, LoggedOut, FailedLogIn, RestedAccount, MadeAccount, ChangedRole,
	LockedAccount, UnlockedAccount, RenewedPassword, ChangedPassword, ChangedSettings, ChangedShifts, ChangedRetention, ChangedKept, Stripped,
	Retired, RetiredAudit, Held, EndedHold, BackedUp, Restored, TrustedClock,
	InvitedGate, WithdrewInvitation, JoinedGate, RevokedGate,
	AskedCompany, DecidedCompany, ListedPeople, UnlistedPeople, IssuedCodes, RevokedCodes, MadeKey, ForgotPerson,
}

// Author is who does something, and from where. The zero one is the console by itself.
type Author struct {
	Account string
	Address netip.Addr
}

// AuditLine tells of one deed. Nobody changes it, and who did can't hide it: see VerifyAudit.
type AuditLine struct {
	ID    string
	At    time.Time
	By    Author
	What  Deed
	About string // account that it was done to, or id of the event
	// Scope of that account or event, empty for what concerns all.
	Scope  mqtt.Gate
	Detail string
	Number int64  // from 1 on without gaps, in the order in which lines were noted
	Hash   string // over all of this and the hash of the line before, hexadecimal
}

// maxDetail is the length in bytes of the longest detail; more is cut off.
const maxDetail = 4096

const auditColumns = "id, at, who, address, what, about, site, gate, detail, number, hash"

// Note keeps a line of the audit.
func (s *Store) Note(ctx context.Context, line AuditLine) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("noting %s: %w", line.What, err)
	}
	defer tx.Rollback()
	if err := note(ctx, tx, line); err != nil {
		return err
	}
	return tx.Commit()
}

// note adds a line to the chain. Of several transactions each waits for the one before it.
func note(ctx context.Context, tx *sql.Tx, line AuditLine) error {
	return noteAll(ctx, tx, []AuditLine{line})
}

// noteAll adds lines to the chain, in their order.
func noteAll(ctx context.Context, tx *sql.Tx, lines []AuditLine) error {
	for some := range slices.Chunk(lines, stepRows) {
		if err := noteSome(ctx, tx, some); err != nil {
			return fmt.Errorf("noting %s: %w", some[0].What, err)
		}
	}
	return nil
}

func noteSome(ctx context.Context, tx *sql.Tx, lines []AuditLine) error {
	var end AuditEnd
	if err := tx.QueryRowContext(ctx, "UPDATE audit_end SET number = number + $1 RETURNING number, hash", len(lines)).Scan(&end.Number, &end.Hash); err != nil {
		return err
	}
	var args []any
	for i, line := range lines {
		if line.At.IsZero() {
			line.At = time.Now()
		}
		id, err := ulid.New(ulid.Timestamp(line.At), ulid.DefaultEntropy())
		if err != nil {
			return err
		}
		line.ID, line.Detail, line.Number = id.String(), cut(line.Detail), end.Number-int64(len(lines)-1-i)
		line.Hash = line.hashAfter(end.Hash)
		end.Hash = line.Hash
		args = append(args, line.columns()...)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO audit ("+auditColumns+") VALUES "+values(len(lines), 11), args...)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE audit_end SET hash = $1", end.Hash)
	}
	return err
}

// columns are what is stored of a line, in the order of auditColumns.
func (l AuditLine) columns() []any {
	var address string
	if l.By.Address.IsValid() {
		address = l.By.Address.String()
	}
	return []any{
		l.ID, l.At.UnixMilli(), l.By.Account, address, string(l.What), l.About, l.Scope.Site, l.Scope.Name, l.Detail, l.Number, l.Hash,
	}
}

func cut(detail string) string {
	return strings.ToValidUTF8(detail[:min(len(detail), maxDetail)], "")
}

// AuditFilter says which lines are wanted. What is empty does not matter.
type AuditFilter struct {
	Scope    mqtt.Gate // those of accounts within it
	What     Deed
	Account  string    // who did it, or the account or event that it was done to
	From, To time.Time // From and later, before To
	Before   string    // id of a line: those before it, for the next page
}

// Audit returns the newest lines that a filter lets through.
func (s *Store) Audit(ctx context.Context, f AuditFilter, limit int) ([]AuditLine, error) {
	var where conditions
	for _, one := range []struct{ condition, value string }{
		{"site = ?", f.Scope.Site}, {"gate = ?", f.Scope.Name}, {"what = ?", string(f.What)}, {"id < ?", f.Before},
	} {
		if one.value != "" {
			where.add(one.condition, one.value)
		}
	}
	if f.Account != "" {
		where.add("(who = ? OR about = ?)", f.Account, f.Account)
	}
	if !f.From.IsZero() {
		where.add("at >= ?", f.From.UnixMilli())
	}
	if !f.To.IsZero() {
		where.add("at < ?", f.To.UnixMilli())
	}
	args := append(where.args, limit)
	return collect(ctx, s.read, scanAuditLine, "SELECT "+auditColumns+" FROM audit"+where.String()+" ORDER BY id DESC LIMIT "+list(len(args), 1), args...)
}

func scanAuditLine(rows *sql.Rows) (l AuditLine, err error) {
	var at int64
	var address string
	var number sql.NullInt64
	err = rows.Scan(&l.ID, &at, &l.By.Account, &address, &l.What, &l.About, &l.Scope.Site, &l.Scope.Name, &l.Detail, &number, &l.Hash)
	l.At, l.Number = fromMilliseconds(at), number.Int64
	l.By.Address, _ = netip.ParseAddr(address) // the zero one for none
	return l, err
}

// NoteSettings notes the settings that differ from the defaults, where they are others than those noted last.
func (s *Store) NoteSettings(ctx context.Context, differing string) error {
	last, err := s.Audit(ctx, AuditFilter{What: ChangedSettings}, 1)
	if err != nil || len(last) > 0 && last[0].Detail == cut(differing) {
		return err
	}
	return s.Note(ctx, AuditLine{What: ChangedSettings, Detail: differing})
}

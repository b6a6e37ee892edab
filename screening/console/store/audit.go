package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/mqtt"
)

// Deed is what somebody did with accounts, log-ins, settings or what can be taken out of the console. What they do with
// alerts stands with these.
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
)

// Deeds are all of them.
var Deeds = []Deed{
	LoggedIn, LoggedOut, FailedLogIn, RestedAccount, MadeAccount, ChangedRole, LockedAccount, UnlockedAccount,
	RenewedPassword, ChangedPassword, Exported, ChangedSettings, ChangedShifts,
}

// Author is who does something, and from where. The zero one is the console by itself.
type Author struct {
	Account string
	Address netip.Addr
}

// AuditLine tells of one deed. Nobody changes it.
type AuditLine struct {
	ID    string
	At    time.Time
	By    Author
	What  Deed
	About string // account that it was done to
	// Scope of that account, empty for what concerns all.
	Scope  mqtt.Gate
	Detail string
}

// maxDetail is the length in bytes of the longest detail; more is cut off.
const maxDetail = 4096

const auditColumns = "id, at, who, address, what, about, site, gate, detail"

// Note keeps a line of the audit.
func (s *Store) Note(ctx context.Context, line AuditLine) error { return note(ctx, s.write, line) }

// executor is a transaction or a pool.
type executor interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

func note(ctx context.Context, e executor, line AuditLine) error {
	if line.At.IsZero() {
		line.At = time.Now()
	}
	id, err := ulid.New(ulid.Timestamp(line.At), ulid.DefaultEntropy())
	if err != nil {
		return fmt.Errorf("noting %s: %w", line.What, err)
	}
	var address string
	if line.By.Address.IsValid() {
		address = line.By.Address.String()
	}
	if _, err := e.ExecContext(ctx, "INSERT INTO audit ("+auditColumns+") VALUES "+values(1, 9),
		id.String(), line.At.UnixMilli(), line.By.Account, address, string(line.What), line.About, line.Scope.Site, line.Scope.Name, cut(line.Detail)); err != nil {
		return fmt.Errorf("noting %s: %w", line.What, err)
	}
	return nil
}

func cut(detail string) string {
	return strings.ToValidUTF8(detail[:min(len(detail), maxDetail)], "")
}

// AuditFilter says which lines are wanted. What is empty does not matter.
type AuditFilter struct {
	Scope    mqtt.Gate // those of accounts within it
	What     Deed
	Account  string    // who did it, or to whom it was done
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
	return collect(ctx, s.read, func(rows *sql.Rows) (l AuditLine, err error) {
		var at int64
		var address string
		err = rows.Scan(&l.ID, &at, &l.By.Account, &address, &l.What, &l.About, &l.Scope.Site, &l.Scope.Name, &l.Detail)
		l.At = fromMilliseconds(at)
		l.By.Address, _ = netip.ParseAddr(address) // the zero one for none
		return l, err
	}, "SELECT "+auditColumns+" FROM audit"+where.String()+" ORDER BY id DESC LIMIT "+list(len(args), 1), args...)
}

// NoteSettings notes the settings that differ from the defaults, where they are others than those noted last.
func (s *Store) NoteSettings(ctx context.Context, differing string) error {
	last, err := s.Audit(ctx, AuditFilter{What: ChangedSettings}, 1)
	if err != nil || len(last) > 0 && last[0].Detail == cut(differing) {
		return err
	}
	return s.Note(ctx, AuditLine{What: ChangedSettings, Detail: differing})
}

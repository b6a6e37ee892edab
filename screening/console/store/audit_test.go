package store

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"thermogate/screening/mqtt"
)

func TestAccountsLeaveATrace(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		admin := Author{"admin", netip.MustParseAddr("192.0.2.7")}
		plant := mqtt.Gate{Site: "plant"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.AddAccount(t.Context(), Account{Name: "admin", FullName: "Administrator", Role: Administrator, Password: "hash"}, Author{}))
		must(s.AddAccount(t.Context(), Account{Name: "wang", FullName: "王伟", Role: Guard, Scope: north, Password: "hash"}, admin))
		must(s.AddAccount(t.Context(), Account{Name: "li", FullName: "李娜", Role: Administrator, Subject: "https://login.example 7"}, Author{}))
		must(s.SetRole(t.Context(), "wang", Manager, plant, admin))
		must(s.SetPassword(t.Context(), "wang", "hash 2", "mark", true, admin))
		must(s.SetLocked(t.Context(), "wang", true, admin))
		if err := s.SetRole(t.Context(), "li", Guard, plant, admin); !errors.Is(err, ErrElsewhere) {
			t.Errorf("the role of a provider's account can be set here: %v", err)
		}
		for what, err := range map[string]error{
			"locked": s.SetLocked(t.Context(), "admin", true, admin), "demoted": s.SetRole(t.Context(), "admin", Guard, plant, admin),
		} {
			if !errors.Is(err, ErrLastOne) { // li may be unable to log in
				t.Errorf("the last administrator with a password can be %s: %v", what, err)
			}
		}
		lines := func(f AuditFilter) (all []string) {
			t.Helper()
			found, err := s.Audit(t.Context(), f, 100)
			must(err)
			for _, l := range found {
				if time.Since(l.At) > time.Minute {
					t.Errorf("it happened at %v", l.At)
				}
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s@%s %s %s %s", l.By.Account, l.By.Address, l.What, l.About, l.Detail)))
			}
			return all
		}
		want := []string{
			"admin@192.0.2.7 locked-account wang",
			"admin@192.0.2.7 renewed-password wang",
			"admin@192.0.2.7 changed-role wang guard plant/north → manager plant",
			"@invalid IP made-account li administrator",
			"admin@192.0.2.7 made-account wang guard plant/north",
			"@invalid IP made-account admin administrator",
		}
		same := func(what string, got, want []string) {
			t.Helper()
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		same("all", lines(AuditFilter{}), want)
		same("of the site", lines(AuditFilter{Scope: plant}), []string{want[0], want[1], want[2], want[4]})
		same("of the gate", lines(AuditFilter{Scope: north}), []string{want[4]})
		same("of a deed", lines(AuditFilter{What: MadeAccount, Account: "wang"}), []string{want[4]})
		same("by somebody", lines(AuditFilter{Account: "admin"}), []string{want[0], want[1], want[2], want[4], want[5]})
		same("of tomorrow", lines(AuditFilter{From: time.Now().Add(time.Hour)}), nil)
		first, err := s.Audit(t.Context(), AuditFilter{}, 4)
		must(err)
		same("the second page", lines(AuditFilter{Before: first[3].ID}), want[4:])
		if a, err := s.Account(t.Context(), "wang"); err != nil || a.Version != 4 || a.Role != Manager || a.Scope != plant || !a.Locked || a.Password != "hash 2" {
			t.Errorf("at last wang is %+v, %v", a, err)
		}
	})
}

func TestSettingsLeaveATrace(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for _, settings := range []string{"", "name: a", "name: a", strings.Repeat("温", maxDetail), strings.Repeat("温", maxDetail), ""} {
			if err := s.NoteSettings(t.Context(), settings); err != nil {
				t.Fatal(err)
			}
		}
		lines, err := s.Audit(t.Context(), AuditFilter{What: ChangedSettings}, 10)
		if err != nil || len(lines) != 4 {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	})
}

func TestAuditIsRetired(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for _, at := range []time.Time{morning.AddDate(-3, 0, 0), morning} {
			if err := s.Note(t.Context(), AuditLine{At: at, What: LoggedIn, By: Author{Account: "wang"}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Retire(t.Context(), morning); err != nil {
			t.Fatal(err)
		}
		if lines, err := s.Audit(t.Context(), AuditFilter{What: LoggedIn}, 10); err != nil || len(lines) != 1 || !lines[0].At.Equal(morning) {
			t.Errorf("%+v, %v", lines, err)
		}
		if end, kept, err := s.VerifyAudit(t.Context()); err != nil || end.Number != 3 || kept != 2 {
			t.Errorf("%d lines up to %v, %v", kept, end, err)
		}
	})
}

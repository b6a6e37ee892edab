package store

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestInvitationsAndRevocations are kept over a restart, with their lines in the audit.
func TestInvitationsAndRevocations(t *testing.T) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			cfg := config(t, kind)
			s := open(t, cfg)
			by, box := Author{"admin", netip.MustParseAddr("10.0.0.1")}, Author{"admin", netip.MustParseAddr("10.0.0.7")}
			gate := mqtt.Gate{Site: "plant", Name: "west"}
			invite := func(token string) Invitation {
				t.Helper()
				err := s.AddInvitation(t.Context(), Invitation{Token: token, Gate: gate, MadeAt: morning, MadeBy: "admin", Until: morning.Add(time.Hour), Sealed: "sealed"}, by)
				if err != nil {
					t.Fatal(err)
				}
				i, err := s.Invitation(t.Context(), token)
				if err != nil || !i.Open(morning) || i.Open(morning.Add(time.Hour)) {
					t.Fatalf("%+v, %v", i, err)
				}
				return i
			}
			admitted, away := 0, errors.New("the broker is away")
			use := func(i Invitation, err error) error {
				return s.UseInvitation(t.Context(), i.ID, "box", box, morning.Add(time.Minute), func(context.Context) error { admitted++; return err })
			}
			first := invite("1")
			second := invite("2")
			if err := use(first, nil); !errors.Is(err, ErrNotOpen) || admitted != 0 {
				t.Errorf("one that another was made after: %v", err)
			}
			if err := use(second, away); !errors.Is(err, away) {
				t.Error(err)
			}
			if err := use(second, nil); err != nil || admitted != 2 {
				t.Errorf("after the broker was away: %v", err)
			}
			if err := use(second, nil); !errors.Is(err, ErrNotOpen) {
				t.Errorf("used again: %v", err)
			}
			if err := s.WithdrawInvitation(t.Context(), second, by, morning); !errors.Is(err, ErrNotOpen) {
				t.Errorf("withdrawn after it was used: %v", err)
			}
			lacks := event.Lacks{Camera: true, Reference: true}
			if err := s.SetStatus(t.Context(), gate, mqtt.StatusMessage{State: Online, Status: mqtt.Status{Camera: "lost", Lacks: lacks}}, morning); err != nil {
				t.Fatal(err)
			}
			third := invite("3")
			revocation := Revocation{Gate: gate, At: morning.Add(time.Hour), Who: "Li Na", Reason: "stolen", Account: AccountDue}
			if err := s.Revoke(t.Context(), revocation, by); err != nil {
				t.Fatal(err)
			}
			if err := use(third, nil); !errors.Is(err, ErrNotOpen) {
				t.Errorf("a link from before the gate was revoked: %v", err)
			}
			if err := s.Hush(t.Context(), []mqtt.Gate{gate}, morning.Add(time.Hour)); err != nil { // seen to be quiet just before
				t.Fatal(err)
			}
			if got := faults(t, s, morning.Add(time.Hour)); len(got) > 0 {
				t.Errorf("a revoked gate has the faults %q", got)
			}
			if err := s.SetAccount(t.Context(), gate, AccountRemoved); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = open(t, cfg)
			revocation.Account = AccountRemoved
			got := s.Revoked(gate)
			if got.At = got.At.UTC(); got != revocation || len(s.Revocations()) != 1 {
				t.Errorf("after a restart: %+v", got)
			}
			gates, err := s.Gates(t.Context(), morning)
			if err != nil || len(gates) != 1 || gates[0].Lacks != lacks || gates[0].Parts[Link].Value != RevokedLink {
				t.Errorf("the gate is %+v, %v", gates, err)
			}
			if err := use(invite("4"), nil); err != nil || !s.Revoked(gate).At.IsZero() || len(s.Revocations()) != 0 {
				t.Errorf("joined anew: %v, %+v", err, s.Revoked(gate))
			}
			var deeds []Deed
			lines, err := s.Audit(t.Context(), AuditFilter{Scope: gate}, 100)
			for _, line := range lines {
				deeds = append(deeds, line.What)
			}
			if err != nil || len(deeds) != 7 {
				t.Errorf("the audit has %v, %v", deeds, err)
			}
			if _, _, err := s.VerifyAudit(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

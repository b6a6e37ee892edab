package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestTamperingShows has somebody who can write to the database change the audit in every way there is.
func TestTamperingShows(t *testing.T) {
	for name, tamper := range map[string][]string{
		"a word":            {"UPDATE audit SET detail = 'x' WHERE number = 3"},
		"who":               {"UPDATE audit SET who = 'wang' WHERE number = 3"},
		"when":              {"UPDATE audit SET at = at + 1 WHERE number = 3"},
		"a number":          {"UPDATE audit SET number = 9 WHERE number = 5"},
		"one deleted":       {"DELETE FROM audit WHERE number = 3"},
		"the last deleted":  {"DELETE FROM audit WHERE number = 5"},
		"the first deleted": {"DELETE FROM audit WHERE number <= 2"},
		"all deleted":       {"DELETE FROM audit"},
		"slipped in":        {"INSERT INTO audit (id, at, who, address, what, about, site, gate, detail) SELECT 'x', at, who, address, what, about, site, gate, detail FROM audit WHERE number = 2"},
		"two exchanged":     {"UPDATE audit SET detail = CASE number WHEN 2 THEN '3' ELSE '2' END WHERE number IN (2, 3)"},
		"end set back":      {"DELETE FROM audit WHERE number = 5", "UPDATE audit_end SET number = 4, hash = (SELECT hash FROM audit WHERE number = 4)"},
		"the end made anew": {"DELETE FROM audit WHERE number = 5", "INSERT INTO audit (id, at, who, address, what, about, site, gate, detail, number, hash) SELECT 'x', at, who, address, what, about, site, gate, detail, 5, hash FROM audit WHERE number = 4"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store) {
				for n := range 5 {
					if err := s.Note(t.Context(), AuditLine{What: Saw, By: Author{Account: "li"}, Detail: fmt.Sprint(n)}); err != nil {
						t.Fatal(err)
					}
				}
				end, lines, err := s.VerifyAudit(t.Context())
				if err != nil || lines != 5 || end.Number != 5 {
					t.Fatalf("untouched: %d lines up to %v, %v", lines, end, err)
				}
				for _, statement := range tamper {
					if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				var tampered *TamperError
				if _, _, err := s.VerifyAudit(t.Context(), end); !errors.As(err, &tampered) {
					t.Errorf("it does not show: %v", err)
				}
				if _, _, err := s.VerifyAudit(t.Context()); name != "end set back" && !errors.As(err, &tampered) {
					t.Errorf("without an end that was seen it does not show: %v", err)
				}
			})
		})
	}
}

// TestChainOfMany has several note at once, and an old part deleted by its age.
func TestChainOfMany(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if err := s.Note(t.Context(), AuditLine{What: Saw, At: morning.AddDate(-5, 0, 0)}); err != nil {
			t.Fatal(err)
		}
		before, err := s.AuditEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var noting sync.WaitGroup
		for n := range 8 {
			noting.Go(func() {
				for range 10 {
					if err := s.Note(t.Context(), AuditLine{What: Saw, At: morning, Detail: fmt.Sprint(n)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		noting.Wait()
		seen, err := s.AuditEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Retire(t.Context(), morning); err != nil {
				t.Fatal(err)
			}
		}
		end, lines, err := s.VerifyAudit(t.Context(), before, seen)
		if err != nil || lines != 81 || end.Number != 82 { // 80, and that one was deleted
			t.Errorf("%d lines up to %v, %v", lines, end, err)
		}
		var tampered *TamperError
		if _, _, err := s.VerifyAudit(t.Context(), AuditEnd{1, seen.Hash}); !errors.As(err, &tampered) {
			t.Errorf("an end that was seen and deleted by its age is not checked: %v", err)
		}
	})
}

// TestOldLinesAreChained has lines of before the audit was a chain.
func TestOldLinesAreChained(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for n := range 3 {
			if _, err := s.write.ExecContext(t.Context(), "INSERT INTO audit (id, at, who, address, what, about, site, gate, detail) VALUES ($1, $2, 'li', '', 'logged-in', '', '', '', 'password')",
				idAt(morning.Add(time.Duration(n)*time.Second)), morning.UnixMilli()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.chainAudit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if end, lines, err := s.VerifyAudit(t.Context()); err != nil || lines != 3 || end.Number != 3 {
			t.Errorf("%d lines up to %v, %v", lines, end, err)
		}
	})
}

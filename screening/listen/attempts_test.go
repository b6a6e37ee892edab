package listen

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func right() bool { return true }
func wrong() bool { return false }

func at(address string) Visitor { return Visitor{Address: netip.MustParseAddr(address)} }

func TestGuessingIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		a := NewAttempts(slog.New(slog.NewTextHandler(&logged, nil)))
		try := func(visitor Visitor, check func() bool) time.Duration {
			t.Helper()
			start := time.Now()
			if ok, err := a.Try(t.Context(), visitor, check); ok != check() || err != nil {
				t.Fatalf("%v, %v", ok, err)
			}
			return time.Since(start)
		}
		guesser, other := at("10.0.0.66"), at("10.0.0.7")
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 8, 8} {
			if took := try(guesser, wrong); took != want*time.Second {
				t.Errorf("guess %d is answered after %v, want %v s", i+1, took, int(want))
			}
		}
		if took := try(other, right); took != 0 {
			t.Errorf("the right password from another address waits %v", took)
		}
		if took := try(guesser, right); took != 8*time.Second {
			t.Errorf("the right password from the same address waits %v", took)
		}
		if took := try(guesser, wrong); took != 0 {
			t.Errorf("after a right one, a wrong one waits %v", took)
		}
		if a.Wrong() != 17 || strings.Count(logged.String(), "\n") != 1 || !strings.Contains(logged.String(), "address=10.0.0.66") {
			t.Errorf("%d counted, logged:\n%s", a.Wrong(), &logged)
		}
		time.Sleep(20 * time.Minute)
		for range 12 {
			try(guesser, wrong)
		}
		if strings.Count(logged.String(), "\n") != 2 {
			t.Errorf("the next burst, logged:\n%s", &logged)
		}
	})
}

// TestManyGuessesAtOnce has no more than those of one after the other looked at.
func TestManyGuessesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts(slog.New(slog.DiscardHandler))
		var looked, refused atomic.Int64
		var guesses sync.WaitGroup
		start := time.Now()
		for range 1000 {
			guesses.Go(func() {
				if _, err := a.Try(t.Context(), at("10.0.0.66"), func() bool { looked.Add(1); return false }); errors.Is(err, ErrTooManyTries) {
					refused.Add(1)
				}
			})
		}
		guesses.Wait()
		if looked.Load() != 13 || refused.Load() != 987 || time.Since(start) != 7*time.Second {
			t.Errorf("%d looked at and %d refused in %v", looked.Load(), refused.Load(), time.Since(start))
		}
	})
}

// TestGuessesFromManyAddresses are bound together, and cost no memory without end. Who was in before does not notice.
func TestGuessesFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts(slog.New(slog.DiscardHandler))
		known := at("10.0.0.7")
		if ok, err := a.Try(t.Context(), known, right); !ok || err != nil {
			t.Fatal(ok, err)
		}
		var looked atomic.Int64
		var guesses sync.WaitGroup
		address := netip.MustParseAddr("2001:db8::")
		for range 10_000 {
			address = address.Next()
			visitor := Visitor{Address: address}
			guesses.Go(func() { _, _ = a.Try(t.Context(), visitor, func() bool { looked.Add(1); return false }) })
		}
		synctest.Wait()
		start := time.Now()
		if ok, err := a.Try(t.Context(), known, right); !ok || err != nil || time.Since(start) != 0 {
			t.Errorf("who was in before: %v, %v after %v", ok, err, time.Since(start))
		}
		guesses.Wait()
		if n := len(a.strangers.young) + len(a.strangers.aging); n > 2*remembered {
			t.Errorf("%d addresses remembered", n)
		}
		if n := looked.Load(); n > triesAtOnce+triesPerSecond*8 {
			t.Errorf("%d guesses were looked at within 8 s", n)
		}
	})
}

func TestWhoGivesUpIsNotLookedAt(t *testing.T) {
	a := NewAttempts(slog.New(slog.DiscardHandler))
	for range freeTries {
		_, _ = a.Try(t.Context(), at("::1"), wrong)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := a.Try(ctx, at("::1"), func() bool { t.Error("looked at"); return true }); ok || !errors.Is(err, context.Canceled) {
		t.Error(ok, err)
	}
}

package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// leading has a store lead when it may, until stop is called. It sends each time in which it does.
func leading(t *testing.T, s *Store) (terms <-chan context.Context, stop func()) {
	t.Helper()
	begun := make(chan context.Context)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		s.Lead(ctx, func(term context.Context) {
			select {
			case begun <- term:
			case <-ctx.Done():
			}
			<-term.Done()
		})
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return begun, stop
}

func next(t *testing.T, terms <-chan context.Context) context.Context {
	t.Helper()
	select {
	case term := <-terms:
		return term
	case <-time.After(time.Minute):
		t.Fatal("no console leads")
		return nil
	}
}

// twoConsoles have a store that is new for both.
func twoConsoles(t *testing.T) (a, b *Store) {
	t.Helper()
	cfg := config(t, "PostgreSQL")
	var opening sync.WaitGroup
	errs := make([]error, 2)
	for i, s := range []**Store{&a, &b} {
		opening.Go(func() { *s, errs[i] = OpenShared(t.Context(), cfg, quietLog) })
	}
	opening.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestOneConsoleLeads has two on one database: one stores, and the other goes on where that stopped, and counts what it left.
func TestOneConsoleLeads(t *testing.T) {
	t.Parallel()
	a, b := twoConsoles(t)
	of := newMaker(t, north)
	events := []Event{of.pass(morning), of.pass(morning.Add(time.Minute)), of.alert(morning.Add(2 * time.Minute))}

	terms, stop := leading(t, a)
	next(t, terms)
	if _, err := b.Hear(t.Context(), News{Events: events}); !errors.Is(err, errLeads) {
		t.Errorf("a console that does not lead stores: %v", err)
	}
	if fresh, err := a.Hear(t.Context(), News{Events: events[:2], Heard: map[string]time.Time{north.Site: morning}}); err != nil || fresh != 2 {
		t.Fatalf("%d are new, %v", fresh, err)
	}
	if err := a.NoteReceiving(t.Context(), Receiving{Connected: true, Since: morning}); err != nil {
		t.Fatal(err)
	}
	const fault = "the folder of reports is away"
	if err := a.NoteReportFault(t.Context(), fault); err != nil {
		t.Fatal(err)
	}
	others, _ := leading(t, b)
	for deadline := time.Now().Add(time.Minute); b.Elsewhere() == nil || !b.Elsewhere().Connected || b.Elsewhere().Reports != fault; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a console that stands by does not know of the other")
		}
	}
	if _, err := Open(t.Context(), a.cfg, quietLog); err == nil || !strings.Contains(err.Error(), "another console has it open") {
		t.Errorf("a console of a plant has the store as well: %v", err)
	}

	stop()
	next(t, others)
	if _, err := a.Hear(t.Context(), News{Events: events}); !errors.Is(err, errLeads) {
		t.Errorf("a console that leads no more stores: %v", err)
	}
	if left := ""; b.read.QueryRowContext(t.Context(), "SELECT reports FROM receiving").Scan(&left) != nil || left != "" {
		t.Errorf("the console that goes on begins with a fault of the other's: %q", left)
	}
	if _, err := a.Count(t.Context()); !errors.Is(err, errLeads) {
		t.Errorf("it counts: %v", err)
	}
	if fresh := hear(t, b, News{Events: events, Heard: map[string]time.Time{north.Site: morning}}); fresh != 1 {
		t.Errorf("%d are new to the console that goes on", fresh)
	}
	totals, err := b.GateTotals(t.Context(), DayOf(morning), DayOf(morning))
	people := int64(0)
	for _, one := range totals {
		people += one.People
	}
	if err != nil || people != 3 {
		t.Errorf("3 people are counted as %d, %v", people, err)
	}
}

// TestLeadIsLost has a console go on that loses its connection and nobody has led since, and stop where another has.
func TestLeadIsLost(t *testing.T) {
	t.Parallel()
	a, b := twoConsoles(t)
	terms, _ := leading(t, a)
	first := next(t, terms)
	const held = " FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	cut := func() (process int) {
		t.Helper()
		var is bool
		if err := b.write.QueryRowContext(t.Context(), "SELECT pid, pg_terminate_backend(pid)"+held, leadLock).Scan(&process, &is); err != nil || !is {
			t.Fatalf("its connection is not cut, %v", err)
		}
		return process
	}
	before := cut()
	for deadline, leads := time.Now().Add(time.Minute), false; !leads; time.Sleep(10 * time.Millisecond) {
		if err := b.read.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT 1"+held+" AND pid <> $2)", leadLock, before).Scan(&leads); err != nil || time.Now().After(deadline) {
			t.Fatalf("it does not lead again, %v", err)
		}
	}
	if first.Err() != nil {
		t.Error("it began anew")
	}
	if _, err := b.write.ExecContext(t.Context(), "UPDATE receiving SET term = term + 1"); err != nil {
		t.Fatal(err)
	}
	cut()
	select {
	case <-first.Done():
	case <-time.After(time.Minute):
		t.Error("it goes on though another console has led")
	}
}

// TestConsoleThatHangs has a console lead that does nothing any more, while its machine keeps the connection up.
func TestConsoleThatHangs(t *testing.T) {
	t.Parallel()
	a, b := twoConsoles(t)
	hung, err := a.leadConn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	if err := a.standBy(t.Context(), hung); err != nil {
		t.Fatal(err)
	}
	terms, _ := leading(t, b)
	next(t, terms)
}

// TestLeadThatBeginsSlowly has a console take longer to read what is stored than the server waits for a word of it.
func TestLeadThatBeginsSlowly(t *testing.T) {
	t.Parallel()
	a, b := twoConsoles(t)
	a.appending.Lock() // which beginning waits for
	terms, _ := leading(t, a)
	for deadline, term := time.Now().Add(time.Minute), int64(0); term == 0; time.Sleep(10 * time.Millisecond) {
		if err := b.read.QueryRowContext(t.Context(), "SELECT term FROM receiving").Scan(&term); err != nil || time.Now().After(deadline) {
			t.Fatalf("it does not begin, %v", err)
		}
	}
	others, _ := leading(t, b)
	select {
	case <-others:
		t.Error("another console leads meanwhile")
	case <-time.After(leadLimit + 2*time.Second):
	}
	a.appending.Unlock()
	next(t, terms)
}

// TestLeadIsLeft has a console leave to others what it could not do.
func TestLeadIsLeft(t *testing.T) {
	t.Parallel()
	a, b := twoConsoles(t)
	others, err := a.OthersOpen(t.Context())
	if err != nil || !others {
		t.Errorf("the other console is not seen: %v", err)
	}
	gone, leave := context.WithCancel(t.Context())
	begun := make(chan bool)
	go a.Lead(t.Context(), func(context.Context) {
		begun <- true
		<-gone.Done()
	})
	<-begun
	terms, stop := leading(t, b)
	for deadline := time.Now().Add(time.Minute); b.Elsewhere() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the other console does not stand by")
		}
	}
	leave()
	next(t, terms)
	stop()
	b.Close()
	for deadline, others := time.Now().Add(time.Minute), true; others; time.Sleep(10 * time.Millisecond) {
		if others, err = a.OthersOpen(t.Context()); err != nil || time.Now().After(deadline) {
			t.Fatalf("a console that has ended is seen: %v", err)
		}
	}
}

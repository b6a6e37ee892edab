package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Several consoles of a district may have the same database open. All serve pages; one at a time, the one that leads, stores
// what plants tell and does what is done once: so what comes from a site is stored in its order, and what is remembered of it
// is as it is stored. Who leads has an advisory lock for as long as its connection lasts. Its term is checked with all that it
// stores, so that one that has lost the lock and does not know it yet stores nothing.

// leadLock is the advisory lock of the console that leads ("TGLE").
const leadLock = 0x54474c45

const (
	leadPause  = 250 * time.Millisecond // between two looks of a console that stands by
	leadCheck  = time.Second            // between two looks at whether a console still leads
	leadLimit  = 15 * time.Second       // within which the server answers that, and hears of it; by then another console may lead
	leadAside  = 5 * time.Second        // for which one that has left it to the others does not try again
	sitesPause = 5 * time.Second        // for which one that stands by does not read again how sites are counted
)

// Receiving is how the console is doing that leads, as it says itself.
type Receiving struct {
	Connected bool
	Since     time.Time // of the connection, or of its loss
	Fault     string
	Store     string // why nobody knows, nor leads: the store can't be reached
	Reports   string // why it can't write reports
}

// Lead has do run for as long as this console leads, and again when it does again, until ctx ends. Where do returns before that
// it is left to another console. In a store that no other console can have open it always leads.
func (s *Store) Lead(ctx context.Context, do func(context.Context)) {
	if !s.shared {
		do(ctx)
		return
	}
	for told := ""; ctx.Err() == nil; {
		left, err := s.leadOnce(ctx, do)
		if ctx.Err() != nil {
			return
		}
		nobody := Receiving{Since: time.Now(), Fault: "no console receives"}
		if before := s.elsewhere.Load(); before != nil && !before.Connected {
			nobody.Since = before.Since
		}
		if err == nil {
			told = ""
		} else if nobody.Store = err.Error(); told != nobody.Store {
			told = nobody.Store
			s.log.Warn("this console can't find out whether it is the one that receives", "error", err)
		}
		s.elsewhere.Store(&nobody)
		if left {
			pause(ctx, leadAside)
		} else {
			pause(ctx, leadPause)
		}
	}
}

// pause waits for a time, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// leadOnce waits until no other console leads, and leads. It tells whether it has left that to others.
func (s *Store) leadOnce(ctx context.Context, do func(context.Context)) (left bool, err error) {
	conn, err := s.leadConn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { discard(conn) }() // and the lock with it
	if err := s.standBy(ctx, conn); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { // beginning may take longer than leadLimit
		defer cancel()
		for s.keepsLead(ctx, &conn) {
			pause(ctx, leadCheck)
		}
	})
	if err := s.beginTerm(ctx); err != nil {
		return false, fmt.Errorf("beginning to lead: %w", err)
	}
	s.log.Info("this console receives what plants tell, and no other one")
	do(ctx)
	return ctx.Err() == nil, nil
}

// leadConn returns a connection for the lock. The server ends it where it hears nothing of this console for leadLimit: one that
// hangs, or whose machine does, would else have the lock for as long as its kernel keeps the connection up. Servers before
// PostgreSQL 14 can't.
func (s *Store) leadConn(ctx context.Context) (*sql.Conn, error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT set_config(name, $1, FALSE) FROM pg_settings WHERE name = 'idle_session_timeout'", fmt.Sprint(leadLimit.Milliseconds())); err != nil {
		discard(conn)
		return nil, err
	}
	return conn, nil
}

// OthersOpen tells whether other consoles have the store open.
func (s *Store) OthersOpen(ctx context.Context) (others bool, err error) {
	if !s.shared {
		return false, nil
	}
	err = s.read.QueryRowContext(ctx, "SELECT count(*) > 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
		consoleLock).Scan(&others)
	return others, err
}

// keepsLead tells whether this console still leads. Where its connection broke off, as with a server that is started again, it
// takes the lock anew if nobody has led since. While the server is away nobody leads.
func (s *Store) keepsLead(ctx context.Context, conn **sql.Conn) bool {
	ask, cancel := context.WithTimeout(ctx, leadLimit)
	defer cancel()
	if (*conn).PingContext(ask) == nil {
		return true
	}
	discard(*conn)
	anew, err := s.leadConn(ask)
	if err != nil {
		return ctx.Err() == nil
	}
	*conn = anew
	var leads bool
	var term int64
	if err := anew.QueryRowContext(ask, "SELECT pg_try_advisory_lock($1), term FROM receiving", leadLock).Scan(&leads, &term); err != nil {
		discard(anew)
		return ctx.Err() == nil
	}
	return leads && term == s.term.Load()
}

// discard closes a connection for good, where another one would get it from the pool.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close()
}

// standBy returns with the lock. Meanwhile it tells the watchers of what another console has stored.
func (s *Store) standBy(ctx context.Context, conn *sql.Conn) error {
	var stored string
	var read time.Time
	for {
		var leads bool
		var now string
		var other Receiving
		var since int64
		// How far the server's log is tells whether anything was stored anywhere.
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1), CAST(pg_current_wal_insert_lsn() AS TEXT), connected, since, fault, reports FROM receiving", leadLock).
			Scan(&leads, &now, &other.Connected, &since, &other.Fault, &other.Reports)
		if err != nil || leads {
			return err
		}
		other.Since = fromMilliseconds(since)
		s.elsewhere.Store(&other)
		if time.Since(read) >= sitesPause {
			read = time.Now()
			if err := errors.Join(s.readSites(ctx), s.readOutcomeOnly(ctx)); err != nil {
				return err
			}
		}
		if now != stored {
			stored = now
			s.changed()
		}
		if pause(ctx, leadPause); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// beginTerm has all that the console before stored be stored, and remembers nothing of before.
func (s *Store) beginTerm(ctx context.Context) error {
	var term int64
	if err := s.write.QueryRowContext(ctx, "UPDATE receiving SET term = term + 1, connected = FALSE, since = $1, fault = '', reports = '' RETURNING term",
		time.Now().UnixMilli()).Scan(&term); err != nil {
		return err
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	s.forgetAll()
	for _, h := range s.shares {
		clear(h.settled)
		clear(h.told)
	}
	s.monthsMu.Lock()
	clear(s.months)
	s.monthsMu.Unlock()
	s.waitingMu.Lock()
	clear(s.waiting)
	s.waitingMu.Unlock()
	s.peopleMu.Lock()
	clear(s.deleted)
	s.peopleMu.Unlock()
	s.retired.Store(nil)
	for _, read := range []func(context.Context) error{s.readSites, s.readPeople, s.findUncounted} {
		if err := read(ctx); err != nil {
			return err
		}
	}
	s.term.Store(term)
	s.elsewhere.Store(nil)
	return nil
}

var errLeads = errors.New("another console of the district receives by now")

// stillLeads fails where another console leads by now. None can begin to before the transaction has ended.
func (s *Store) stillLeads(ctx context.Context, tx *sql.Tx) error {
	if !s.shared {
		return nil
	}
	var term int64
	err := tx.QueryRowContext(ctx, "SELECT term FROM receiving WHERE term = $1 AND term > 0 FOR SHARE", s.term.Load()).Scan(&term)
	if errors.Is(err, sql.ErrNoRows) {
		return errLeads
	}
	return err
}

// Elsewhere is how another console is doing that leads; nil where this one does.
func (s *Store) Elsewhere() *Receiving { return s.elsewhere.Load() }

// NoteReceiving tells the consoles that stand by how this one is doing.
func (s *Store) NoteReceiving(ctx context.Context, now Receiving) error {
	if !s.shared {
		return nil
	}
	_, err := s.write.ExecContext(ctx, "UPDATE receiving SET connected = $1, since = $2, fault = $3 WHERE term = $4 AND (connected <> $1 OR since <> $2 OR fault <> $3)",
		now.Connected, milliseconds(now.Since), now.Fault, s.term.Load())
	return err
}

// NoteReportFault tells the consoles that stand by why this one can't write reports; an empty word that it can.
func (s *Store) NoteReportFault(ctx context.Context, fault string) error {
	if !s.shared {
		return nil
	}
	_, err := s.write.ExecContext(ctx, "UPDATE receiving SET reports = $1 WHERE term = $2 AND reports <> $1", fault, s.term.Load())
	return err
}

// Package store keeps what a console knows of its gates: their events, how many people these come to, alerts and what
// became of them, faults, and which events of each journal are held. It is an SQLite file or a PostgreSQL database, with
// the same SQL.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"thermogate/screening/datadir"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// Config says where the store is and how long it keeps events. It is the section "store" of the configuration file.
type Config struct {
	// File is the SQLite database. Its folder belongs to the store alone.
	File string `yaml:"file"`
	// PostgreSQL is a database to be used instead, such as postgres://console@db.example/console; the password belongs in
	// the file that PasswordFile names.
	PostgreSQL   string `yaml:"postgresql"`
	PasswordFile string `yaml:"password_file"`
	// TimeZone is that of sites that have not got one of their own, such as Asia/Shanghai; days begin by it.
	TimeZone string `yaml:"time_zone"`
	// KeepMonths is for how many whole months events are kept before the current one; counts are kept for good.
	KeepMonths int `yaml:"keep_months"`
	// KeepSnapshotDays is for how many days the pictures of alerts are kept; with 0 none is.
	KeepSnapshotDays int `yaml:"keep_snapshot_days"`
	// KeepPeopleDays is for how many days it is kept who an event is about, and of people who have left the list that they were
	// on it.
	KeepPeopleDays int `yaml:"keep_people_days"`
}

// DefaultConfig is a file in the current folder, two years, a week for pictures, and a month for who the people are.
func DefaultConfig() Config {
	return Config{File: "thermogate-console-data/console.db", TimeZone: "UTC", KeepMonths: 24, KeepSnapshotDays: 7, KeepPeopleDays: 31}
}

// Validate names the first key that is wrong and what would be right. It opens no file.
func (c Config) Validate() error {
	if c.PostgreSQL == "" && c.File == "" {
		return errors.New("file: name the file of the database, or give postgresql")
	}
	if c.PostgreSQL != "" {
		if u, err := url.Parse(c.PostgreSQL); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return errors.New("postgresql: it must be an address such as postgres://console@db.example/console")
		} else if _, secret := u.User.Password(); secret {
			return errors.New("postgresql: the password does not belong in the address; use password_file")
		}
	} else if c.PasswordFile != "" {
		return errors.New("password_file: only postgresql has a password")
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "" || c.TimeZone == "Local" {
		return fmt.Errorf("time_zone: %q is not a time zone such as Asia/Shanghai", c.TimeZone)
	}
	if c.KeepMonths < 1 || c.KeepMonths > 600 {
		return fmt.Errorf("keep_months: %d is not between 1 and 600", c.KeepMonths)
	}
	if c.KeepSnapshotDays < 0 || c.KeepSnapshotDays > 365 {
		return fmt.Errorf("keep_snapshot_days: %d is not between 0 and 365", c.KeepSnapshotDays)
	}
	if c.KeepPeopleDays < 1 || c.KeepPeopleDays > 3660 {
		return fmt.Errorf("keep_people_days: %d is not between 1 and 3660", c.KeepPeopleDays)
	}
	return nil
}

// Store is an open store. Its methods may be called from several goroutines.
type Store struct {
	cfg         Config
	log         *slog.Logger
	write, read *sql.DB
	postgres    bool
	lock        func() error // of the file: gives up what keeps a second console out

	heldMu sync.Mutex
	held   *sql.Conn // of the server: the connection that does so

	shared    bool                      // other consoles of the district may have it open
	term      atomic.Int64              // in which this one leads, or has
	elsewhere atomic.Pointer[Receiving] // how another one is doing that leads

	appending sync.RWMutex // held over Append: what an event comes to depends on those before it; Hear shares it
	shares    [shares]*share
	monthsMu  sync.Mutex
	months    map[string]bool
	insert    map[int]*sql.Stmt // of events, by how many rows

	uncountedNumber atomic.Int64 // of the newest row
	waitingMu       sync.Mutex
	waiting         map[int]waitingShare

	changing sync.Mutex // held over a change of an account: who may go depends on who stays

	joining   sync.Mutex // held over what makes of a gate another: one box joins by an invitation
	revokedMu sync.RWMutex
	revoked   map[mqtt.Gate]Revocation

	sitesMu sync.RWMutex
	sites   map[string]*time.Location // how their days are counted
	sited   map[string]bool           // those that are in the store

	followedMu sync.Mutex
	followed   map[string]time.Time // of Hear: when settings of sites were followed that had changed

	outbox   outbox
	passNews atomic.Int64

	due         atomic.Bool // Retire need not wait for its time
	retired     atomic.Pointer[time.Time]
	clockFault  atomic.Pointer[ClockError]
	peopleMu    sync.RWMutex
	outcomeOnly map[string]bool       // sites
	deleted     map[string]bool       // events
	forgotten   map[forgottenOf]int64 // people, by all of their pseudonyms, and when they were put on the list anew
	keys        map[string]keysKnown  // of sites
	reading     map[mqtt.Gate]int64   // when a gate last said who somebody is, or why not, in this process

	watchMu  sync.Mutex
	watchers map[chan struct{}]bool
}

// Open opens the store, makes it anew where there is none, and brings its tables up to date. A store is open in one
// console at a time.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	return openStore(ctx, cfg, false, log)
}

// OpenShared opens the store of a district, which on a PostgreSQL server several consoles may have open: see Lead.
func OpenShared(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	return openStore(ctx, cfg, cfg.PostgreSQL != "", log)
}

func openStore(ctx context.Context, cfg Config, shared bool, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("store.%w", err)
	}
	s := newStore(cfg, log)
	s.shared = shared
	open, name := s.openFile, cfg.File
	if cfg.PostgreSQL != "" {
		open, name = s.openServer, cfg.PostgreSQL
	}
	err := open(ctx)
	for _, step := range []func(context.Context) error{s.migrate, s.prepare, s.readSites, s.readPeople, s.readRevoked, s.findUncounted, s.chainAudit} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("opening the store %s: %w", name, err)
	}
	return s, nil
}

func newStore(cfg Config, log *slog.Logger) *Store {
	return &Store{
		cfg: cfg, log: log, months: map[string]bool{}, insert: map[int]*sql.Stmt{}, shares: newShares(), waiting: map[int]waitingShare{},
		sites: map[string]*time.Location{}, sited: map[string]bool{}, followed: map[string]time.Time{}, watchers: map[chan struct{}]bool{},
		outcomeOnly: map[string]bool{}, deleted: map[string]bool{}, forgotten: map[forgottenOf]int64{}, keys: map[string]keysKnown{}, reading: map[mqtt.Gate]int64{},
		revoked: map[mqtt.Gate]Revocation{},
	}
}

// Look opens a store that a console may have open at the same time: to look at it as a whole, and to note that somebody did.
func Look(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("store.%w", err)
	}
	s := newStore(cfg, log)
	name, err := cfg.PostgreSQL, error(nil)
	if name != "" {
		err = s.connectServer()
	} else {
		if name, err = filepath.Abs(cfg.File); err == nil { // which one that is depends on the folder that somebody is in
			if _, err = os.Stat(name); errors.Is(err, fs.ErrNotExist) {
				err = errors.New("there is none; name it under store.file: that of a console within a gate is DATA_DIR/console/console.db")
			}
		}
		if err == nil {
			err = s.connectFile(name)
		}
	}
	if err == nil {
		err = s.migrated(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("looking at the store %s: %w", name, err)
	}
	return s, nil
}

func (s *Store) openFile(context.Context) error {
	path, err := filepath.Abs(s.cfg.File)
	if err != nil {
		return err
	}
	lock, err := datadir.Lock(filepath.Dir(path), "console")
	if err != nil {
		return err
	}
	s.lock = lock.Close
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // before SQLite makes it readable for others
	if err != nil {
		return err
	}
	f.Close()
	return s.connectFile(path)
}

func (s *Store) connectFile(name string) error {
	path, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	connect := func(mode string, settings url.Values) (*sql.DB, error) {
		settings.Set("mode", mode)
		settings.Set("_busy_timeout", "10000")
		return sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}).String())
	}
	// What is said to be stored is on disk: synchronous=FULL. What is deleted is overwritten: secure_delete.
	s.write, err = connect("rw", url.Values{"_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_txlock": {"immediate"}, "_secure_delete": {"true"}, "_cache_size": {"-16384"}, "_stmt_cache_size": {"128"}})
	if err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	s.read, err = connect("ro", url.Values{"_query_only": {"true"}})
	return err
}

// consoleLock is the advisory lock of a console in its database ("TGCO").
const consoleLock = 0x5447434f

func (s *Store) openServer(ctx context.Context) error {
	if err := s.connectServer(); err != nil {
		return err
	}
	hold, wait := s.holdServerAgain, 3*time.Second // the server notices a while later that a console has ended: it may be the one before this
	if s.shared {
		hold, wait = s.holdUpToDate, time.Minute // another one may be making the tables
	}
	for until := time.Now().Add(wait); ; {
		err := hold(ctx)
		if !errors.Is(err, errOpenElsewhere) || time.Now().After(until) {
			return err
		}
		if pause(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return err
		}
	}
}

var errOpenElsewhere = errors.New("another console has it open")

// holdUpToDate holds the server with others. Where tables are to be brought up to date it does so alone.
func (s *Store) holdUpToDate(ctx context.Context) error {
	if err := s.holdServer(ctx, true); err != nil {
		return err
	}
	is, known, err := s.versions(ctx)
	if err != nil || is >= known {
		return err
	}
	s.letGo()
	err = s.holdServer(ctx, false)
	if errors.Is(err, errOpenElsewhere) {
		return fmt.Errorf("%w, and its tables are of an older version (%d, this program has %d): stop all consoles of that version, and start this one", err, is, known)
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	s.letGo()
	if err != nil {
		return err
	}
	return s.holdServer(ctx, true)
}

// holdServerAgain holds it as Open has.
func (s *Store) holdServerAgain(ctx context.Context) error { return s.holdServer(ctx, s.shared) }

// letGo lets others have the database.
func (s *Store) letGo() {
	s.heldMu.Lock()
	defer s.heldMu.Unlock()
	if s.held != nil {
		discard(s.held)
		s.held = nil
	}
}

func (s *Store) connectServer() error {
	config, err := pgx.ParseConfig(s.cfg.PostgreSQL)
	if err != nil {
		return err
	}
	if s.cfg.PasswordFile != "" {
		if config.Password, err = listen.ReadSecret(s.cfg.PasswordFile); err != nil {
			return fmt.Errorf("store.password_file: %w", err)
		}
	}
	// A plan that was made while a month was young reads all of it once it is not.
	config.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	if s.shared { // a console whose machine is gone keeps the others from its work for that long
		for name, value := range map[string]string{"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "idle_in_transaction_session_timeout": "30s"} {
			config.RuntimeParams[name] = value
		}
	}
	s.postgres = true
	s.write = stdlib.OpenDB(*config)
	s.write.SetMaxOpenConns(16)
	s.write.SetMaxIdleConns(4)
	s.read = s.write
	return nil
}

// holdServer keeps a second console out of the database, or one that does not share it, for as long as a connection lasts.
func (s *Store) holdServer(ctx context.Context, shared bool) error {
	s.heldMu.Lock()
	defer s.heldMu.Unlock()
	if s.held != nil {
		if s.held.PingContext(ctx) == nil {
			return nil
		}
		s.held.Close()
		s.held = nil
	}
	held, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	lock, holds := "pg_try_advisory_lock", false
	if shared {
		lock = "pg_try_advisory_lock_shared"
	}
	err = held.QueryRowContext(ctx, "SELECT "+lock+"($1)", consoleLock).Scan(&holds)
	if err == nil && !holds {
		err = errOpenElsewhere
	}
	if err != nil {
		held.Close()
		return err
	}
	s.held = held
	return nil
}

// Unsynced does what can be done again from the start: in a file nothing of it waits for the disk, and a power cut may leave
// the store broken.
func (s *Store) Unsynced(ctx context.Context, do func() error) error {
	if s.postgres {
		return do()
	}
	if _, err := s.write.ExecContext(ctx, "PRAGMA synchronous = OFF"); err != nil { // of the one connection there is
		return err
	}
	err := do()
	_, back := s.write.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = FULL")
	return errors.Join(err, back)
}

// Close closes the store.
func (s *Store) Close() error {
	var errs []error
	for _, statement := range s.insert {
		errs = append(errs, statement.Close())
	}
	if s.held != nil {
		s.held.Close() // one that is broken is given up, too
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock())
	}
	return errors.Join(errs...)
}

// Ping returns an error where the store can't be reached, or another console has it.
func (s *Store) Ping(ctx context.Context) error {
	if s.postgres {
		return s.holdServerAgain(ctx)
	}
	var one int
	return s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Watch returns a channel that gets a value after something was changed; several changes may share one. It ends with stop.
func (s *Store) Watch() (news <-chan struct{}, stop func()) {
	watcher := make(chan struct{}, 1)
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	s.watchers[watcher] = true
	return watcher, func() {
		s.watchMu.Lock()
		defer s.watchMu.Unlock()
		delete(s.watchers, watcher)
	}
}

func (s *Store) changed() {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	for watcher := range s.watchers {
		select {
		case watcher <- struct{}{}:
		default:
		}
	}
}

// transact does all of something or nothing, and tells the watchers.
func (s *Store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	err := s.commit(ctx, do)
	if err == nil {
		s.changed()
	}
	return err
}

// commit does all of something or nothing.
func (s *Store) commit(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err = do(tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		s.sitesMu.Lock()
		clear(s.sited)
		s.sitesMu.Unlock()
	}
	return err
}

// querier is a transaction or a pool.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// milliseconds is how times are kept: since 1970, 0 for none.
func milliseconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

func fromMilliseconds(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

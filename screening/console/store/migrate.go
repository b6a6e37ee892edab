package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrationFiles embed.FS

// eventsSchema is a table that is not the same on both: PostgreSQL keeps each month apart, so that a month is dropped
// at once. The first ten characters of an event's id, a ULID, are its time, and so the id tells the month, and stays unique.
const eventsSchema = `
CREATE TABLE events (
	id                 TEXT COLLATION PRIMARY KEY,
	site               TEXT NOT NULL,
	gate               TEXT NOT NULL,
	visit              TEXT COLLATION NOT NULL, -- id of the visit's first event: its own for most
	journal            TEXT NOT NULL, -- empty where it came without its place in one
	sequence           BIGINT NOT NULL,
	time               BIGINT NOT NULL,
	received           BIGINT NOT NULL,
	outcome            TEXT NOT NULL,
	reason             TEXT NOT NULL,
	skin_celsius       DOUBLE PRECISION,
	body_celsius       DOUBLE PRECISION,
	threshold_celsius  DOUBLE PRECISION,
	seconds_to_verdict DOUBLE PRECISION,
	historical         BOOLEAN NOT NULL,
	body               TEXT NOT NULL  -- the event as it came, JSON
) PARTITIONS;
CREATE INDEX events_by_gate ON events (site, gate, id);
CREATE INDEX events_of_visits ON events (visit) WHERE visit <> id;
`

// migrations are what brings the tables up to date.
func (s *Store) migrations() (*goose.Provider, error) {
	dialect, collation, partitions, number := goose.DialectSQLite3, "", "", "INTEGER" // which alone is the place of a row in SQLite
	if s.postgres {
		dialect, collation, partitions, number = goose.DialectPostgres, `COLLATE "C"`, "PARTITION BY RANGE (id)", "BIGINT"
	}
	words := strings.NewReplacer("COLLATION", collation, "PARTITIONS", partitions, "NUMBER", number)
	events := goose.NewGoMigration(1, &goose.GoFunc{RunTx: execSchema(words.Replace(eventsSchema))}, nil)
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	paces := goose.NewGoMigration(7, &goose.GoFunc{RunTx: s.addPaces}, nil)
	outbox := goose.NewGoMigration(11, &goose.GoFunc{RunTx: execSchema(words.Replace(outboxSchema))}, nil)
	return goose.NewProvider(dialect, s.write, files,
		goose.WithGoMigrations(events, paces, outbox), goose.WithDisableGlobalRegistry(true), goose.WithSlog(s.log))
}

func execSchema(schema string) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, schema)
		return err
	}
}

func (s *Store) migrate(ctx context.Context) error {
	provider, err := s.migrations()
	if err != nil {
		return err
	}
	if is, known, err := provider.GetVersions(ctx); err != nil || is > known {
		return errors.Join(err, newer(is, known))
	}
	_, err = provider.Up(ctx)
	return err
}

// versions are that of the tables, and that which this program knows.
func (s *Store) versions(ctx context.Context) (is, known int64, err error) {
	provider, err := s.migrations()
	if err != nil {
		return 0, 0, err
	}
	return provider.GetVersions(ctx)
}

// migrated refuses tables that are not up to date.
func (s *Store) migrated(ctx context.Context) error {
	is, known, err := s.versions(ctx)
	switch {
	case err != nil:
		return err
	case is < known:
		return fmt.Errorf("it is of an older console (version %d of its tables, this program has %d): start the console of this version once", is, known)
	}
	return newer(is, known)
}

// newer is an error where tables are of a version that this program does not know.
func newer(is, known int64) error {
	if is <= known {
		return nil
	}
	return fmt.Errorf("it is of a newer console (version %d of its tables, this program knows those up to %d): use that console, or a later one", is, known)
}

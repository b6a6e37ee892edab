package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// eventsSchema is the one table that is not the same on both: PostgreSQL keeps each month apart, so that a month is dropped
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

func (s *Store) migrate(ctx context.Context) error {
	dialect, collation, partitions := goose.DialectSQLite3, "", ""
	if s.postgres {
		dialect, collation, partitions = goose.DialectPostgres, `COLLATE "C"`, "PARTITION BY RANGE (id)"
	}
	schema := strings.NewReplacer("COLLATION", collation, "PARTITIONS", partitions).Replace(eventsSchema)
	events := goose.NewGoMigration(1, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, schema)
		return err
	}}, nil)
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	paces := goose.NewGoMigration(7, &goose.GoFunc{RunTx: s.addPaces}, nil)
	provider, err := goose.NewProvider(dialect, s.write, files,
		goose.WithGoMigrations(events, paces), goose.WithDisableGlobalRegistry(true), goose.WithSlog(s.log))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

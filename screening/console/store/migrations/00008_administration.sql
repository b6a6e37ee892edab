-- +goose Up
-- Every line of the audit has its number, from 1 on without gaps, and a hash over itself and the line before.
ALTER TABLE audit ADD COLUMN number BIGINT;
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX audit_by_number ON audit (number);
CREATE INDEX audit_by_about ON audit (about);
CREATE TABLE audit_end (
	number BIGINT NOT NULL, -- of the last line
	hash   TEXT NOT NULL
);
INSERT INTO audit_end (number, hash) VALUES (0, '');

ALTER TABLE sites ADD COLUMN keep_months BIGINT NOT NULL DEFAULT 0;            -- 0 is the console's
ALTER TABLE sites ADD COLUMN outcome_only BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sites ADD COLUMN to_strip BOOLEAN NOT NULL DEFAULT FALSE;          -- what came before that is still to be stripped

CREATE TABLE holds (
	id        TEXT PRIMARY KEY,          -- ULID
	site      TEXT NOT NULL,             -- empty is all, and so is an empty gate or event
	gate      TEXT NOT NULL,
	event     TEXT NOT NULL,
	from_time BIGINT NOT NULL,           -- 0 is from the beginning, and to_time 0 without an end
	to_time   BIGINT NOT NULL,
	reason    TEXT NOT NULL,
	who       TEXT NOT NULL,
	at        BIGINT NOT NULL,
	ended_by  TEXT NOT NULL DEFAULT '',
	ended_at  BIGINT NOT NULL DEFAULT 0, -- 0 while it is in force
	ended_why TEXT NOT NULL DEFAULT ''
);

-- Events that somebody has deleted. They are never stored again, and their people stay counted.
CREATE TABLE deleted_events (
	event  TEXT PRIMARY KEY,
	site   TEXT NOT NULL,
	gate   TEXT NOT NULL,
	visit  TEXT NOT NULL,
	at     BIGINT NOT NULL,
	who    TEXT NOT NULL,
	reason TEXT NOT NULL,
	sha256 TEXT NOT NULL                 -- of its record
);

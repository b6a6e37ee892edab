-- +goose Up
ALTER TABLE accounts ADD COLUMN subject TEXT NOT NULL DEFAULT ''; -- issuer and subject of an OpenID Connect provider's account
CREATE UNIQUE INDEX accounts_by_subject ON accounts (subject) WHERE subject <> '';

ALTER TABLE alerts ADD COLUMN escalated BIGINT NOT NULL DEFAULT 0; -- when it was last handed to the shift leader

CREATE TABLE audit (
	id      TEXT PRIMARY KEY, -- ULID, and so in order of time
	at      BIGINT NOT NULL,
	who     TEXT NOT NULL,    -- account, empty for the console by itself and for strangers
	address TEXT NOT NULL,
	what    TEXT NOT NULL,
	about   TEXT NOT NULL,    -- account that it was done to
	site    TEXT NOT NULL,    -- scope of that account: who administers it sees the line
	gate    TEXT NOT NULL,
	detail  TEXT NOT NULL
);

-- +goose Up
-- Links by which a box joins as a gate. Each is good once.
CREATE TABLE invitations (
	id           TEXT PRIMARY KEY,         -- ULID
	token        TEXT NOT NULL UNIQUE,     -- SHA-256 of what the link holds, hexadecimal
	site         TEXT NOT NULL,
	gate         TEXT NOT NULL,
	made_at      BIGINT NOT NULL,
	made_by      TEXT NOT NULL,
	until        BIGINT NOT NULL,
	replaces     BOOLEAN NOT NULL,         -- the box that works as this gate now, if one does
	sealed       TEXT NOT NULL,            -- an account at the broker that somebody typed in, for who has the link
	used_at      BIGINT NOT NULL DEFAULT 0,
	used_from    TEXT NOT NULL DEFAULT '', -- address
	used_with    TEXT NOT NULL DEFAULT '', -- SHA-256 of the secret that the box made for it, hexadecimal
	withdrawn_at BIGINT NOT NULL DEFAULT 0,
	withdrawn_by TEXT NOT NULL DEFAULT ''
);

-- Gates that are not let in any more, until a box joins as one of them anew.
CREATE TABLE revocations (
	site    TEXT NOT NULL,
	gate    TEXT NOT NULL,
	at      BIGINT NOT NULL,
	who     TEXT NOT NULL,
	reason  TEXT NOT NULL,
	account TEXT NOT NULL,                 -- at the broker: due, removed, or by-hand
	PRIMARY KEY (site, gate)
);

ALTER TABLE gates ADD COLUMN lacks TEXT NOT NULL DEFAULT ''; -- JSON, as its status has it

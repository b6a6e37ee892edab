-- +goose Up
-- Who the people screened are, as far as a badge or a code says so. Events are stored without that.
CREATE TABLE bearers (
	event    TEXT NOT NULL,
	site     TEXT NOT NULL,
	gate     TEXT NOT NULL,
	said     TEXT NOT NULL,            -- id of the event that says so: its own, or a later one; the last one counts
	at       BIGINT NOT NULL,          -- when the event was
	person   TEXT NOT NULL DEFAULT '', -- pseudonym
	company  TEXT NOT NULL DEFAULT '', -- of the pass code
	reader   TEXT NOT NULL DEFAULT '',
	unpaired TEXT NOT NULL DEFAULT '', -- why nobody is named
	PRIMARY KEY (event, site, gate)
);
CREATE INDEX bearers_by_person ON bearers (site, person, at) WHERE person <> '';
CREATE INDEX bearers_by_time ON bearers (site, at);

CREATE TABLE companies (
	id         TEXT PRIMARY KEY,         -- ULID
	site       TEXT NOT NULL,
	name       TEXT NOT NULL,
	short      TEXT NOT NULL,            -- as pass codes have it
	contact    TEXT NOT NULL,
	state      TEXT NOT NULL,            -- asked, approved or suspended
	from_day   BIGINT NOT NULL,          -- first and last day on which its people come; a last day of 0 is open
	until_day  BIGINT NOT NULL,
	asked_at   BIGINT NOT NULL,
	asked_by   TEXT NOT NULL,
	decided_at BIGINT NOT NULL DEFAULT 0,
	decided_by TEXT NOT NULL DEFAULT '',
	reason     TEXT NOT NULL DEFAULT '', -- of a suspension
	UNIQUE (site, name),
	UNIQUE (site, short)
);

CREATE TABLE people (
	id         TEXT PRIMARY KEY,          -- ULID; all else of the console knows somebody by it
	site       TEXT NOT NULL,
	number     TEXT NOT NULL,             -- on the badge
	pseudonym  TEXT NOT NULL,             -- of the number
	name       TEXT NOT NULL,
	company    TEXT NOT NULL DEFAULT '',  -- id; empty for the site's own people
	department TEXT NOT NULL DEFAULT '',
	shift      TEXT NOT NULL DEFAULT '',  -- empty: any
	added_at   BIGINT NOT NULL,
	left_at    BIGINT NOT NULL DEFAULT 0, -- 0 while on the list
	asked_code BIGINT NOT NULL DEFAULT 0, -- when their company asked for a code that nobody has issued yet
	UNIQUE (site, number)
);
CREATE INDEX people_of_companies ON people (company) WHERE company <> '';
CREATE INDEX people_by_pseudonym ON people (site, pseudonym);

CREATE TABLE uploads (
	id         TEXT PRIMARY KEY,          -- ULID
	site       TEXT NOT NULL,
	company    TEXT NOT NULL,             -- id of the one whose people it lists alone; empty for a site's
	at         BIGINT NOT NULL,
	who        TEXT NOT NULL,
	file       TEXT NOT NULL,
	whole      BOOLEAN NOT NULL,          -- who is not in it has left
	state      TEXT NOT NULL,             -- shown, applied, undone or dropped
	added      BIGINT NOT NULL DEFAULT 0,
	changed    BIGINT NOT NULL DEFAULT 0,
	gone       BIGINT NOT NULL DEFAULT 0,
	refused    BIGINT NOT NULL DEFAULT 0,
	applied_at BIGINT NOT NULL DEFAULT 0,
	content    BYTEA                      -- JSON: what it lists, or once applied what was there before; NULL when that is over
);
CREATE INDEX uploads_of_sites ON uploads (site, id);

-- People of whom nothing is kept any more, and nothing is to come back: by a hash of the pseudonym.
CREATE TABLE forgotten (
	site   TEXT NOT NULL,
	person TEXT NOT NULL,                 -- SHA-256 of the pseudonym, hexadecimal
	id     TEXT NOT NULL,                 -- that the person had
	at     BIGINT NOT NULL,
	again  BIGINT NOT NULL DEFAULT 0,     -- when somebody put the number on the list anew
	who    TEXT NOT NULL,                 -- empty: by their age
	reason TEXT NOT NULL,
	links  BIGINT NOT NULL,               -- to so many events
	sha256 TEXT NOT NULL,                 -- of the record
	PRIMARY KEY (site, person)
);

-- Pass codes. Their text follows from what is here and the key.
CREATE TABLE pass_codes (
	serial     TEXT PRIMARY KEY,          -- hexadecimal
	site       TEXT NOT NULL,
	person     TEXT NOT NULL,             -- id; empty once the person is forgotten
	company    TEXT NOT NULL,             -- id
	key        TEXT NOT NULL,             -- id of the one that it is signed by
	from_at    BIGINT NOT NULL,           -- seconds since 1970
	to_at      BIGINT NOT NULL,
	issued_at  BIGINT NOT NULL,
	issued_by  TEXT NOT NULL,
	revoked_at BIGINT NOT NULL DEFAULT 0,
	revoked_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX pass_codes_of_people ON pass_codes (person) WHERE person <> '';
CREATE INDEX pass_codes_of_sites ON pass_codes (site, to_at);

-- Secrets of sites, each made when it is used first.
CREATE TABLE site_keys (
	id      TEXT PRIMARY KEY,             -- ULID
	site    TEXT NOT NULL,
	kind    TEXT NOT NULL,                -- root: signs the lists of what is good; codes: signs codes; number: makes pseudonyms
	secret  BYTEA NOT NULL,
	made_at BIGINT NOT NULL,
	to_at   BIGINT NOT NULL DEFAULT 0     -- seconds since 1970 from which on its codes are no longer good; 0 is never
);
CREATE UNIQUE INDEX site_keys_alone ON site_keys (site, kind) WHERE kind <> 'codes';

-- The list of which codes are good that gates were told last.
CREATE TABLE pass_lists (
	site    TEXT PRIMARY KEY,
	version BIGINT NOT NULL,
	content TEXT NOT NULL,                -- SHA-256 of what it says
	signed  BYTEA NOT NULL
);

ALTER TABLE accounts ADD COLUMN company TEXT NOT NULL DEFAULT ''; -- id of the one whose log-in it is

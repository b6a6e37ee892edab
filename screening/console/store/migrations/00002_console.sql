-- +goose Up
CREATE TABLE sites (
	name      TEXT PRIMARY KEY,
	time_zone TEXT NOT NULL
);

CREATE TABLE gates (
	site         TEXT NOT NULL,
	gate         TEXT NOT NULL,
	seen         BIGINT NOT NULL,            -- when anything came from it
	version      TEXT NOT NULL DEFAULT '',
	paused_until BIGINT NOT NULL DEFAULT 0,
	journal      TEXT NOT NULL DEFAULT '',   -- the one that it has now
	sequence     BIGINT NOT NULL DEFAULT 0,  -- the end of that
	unconfirmed  BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (site, gate)
);

-- What the parts of a gate were, from when until when; until is NULL for what still is.
CREATE TABLE gate_states (
	site  TEXT NOT NULL,
	gate  TEXT NOT NULL,
	part  TEXT NOT NULL,  -- link, camera, reference or pause
	since BIGINT NOT NULL,
	value TEXT NOT NULL,
	until BIGINT,
	PRIMARY KEY (site, gate, part, since)
);
CREATE INDEX gate_states_now ON gate_states (site, gate, part) WHERE until IS NULL;

CREATE TABLE shelved (
	site   TEXT NOT NULL,
	gate   TEXT NOT NULL,
	part   TEXT NOT NULL,
	at     BIGINT NOT NULL,
	until  BIGINT NOT NULL,
	who    TEXT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (site, gate, part, at)
);

-- What is held of a journal, and what of it nobody can get any more, as runs of sequence numbers.
CREATE TABLE holdings (
	journal TEXT NOT NULL,
	site    TEXT NOT NULL,
	gate    TEXT NOT NULL,
	first   BIGINT NOT NULL,
	last    BIGINT NOT NULL,
	PRIMARY KEY (journal, site, gate, first)
);
CREATE TABLE missing (
	journal TEXT NOT NULL,
	site    TEXT NOT NULL,
	gate    TEXT NOT NULL,
	first   BIGINT NOT NULL,
	last    BIGINT NOT NULL,
	reason  TEXT NOT NULL,    -- gone: the gate has deleted it; refused: it was no event
	told    BIGINT NOT NULL,
	PRIMARY KEY (journal, site, gate, first)
);

-- How many people and events there were, by quarter of an hour since 1970 and by day of the site's calendar since 1970.
CREATE TABLE quarters (
	site    TEXT NOT NULL,
	gate    TEXT NOT NULL,
	quarter BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	reason  TEXT NOT NULL,
	people  BIGINT NOT NULL,
	events  BIGINT NOT NULL,
	PRIMARY KEY (site, gate, quarter, outcome, reason)
);
CREATE INDEX quarters_by_time ON quarters (quarter);
CREATE TABLE days (
	site    TEXT NOT NULL,
	gate    TEXT NOT NULL,
	day     BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	reason  TEXT NOT NULL,
	people  BIGINT NOT NULL,
	events  BIGINT NOT NULL,
	PRIMARY KEY (site, gate, day, outcome, reason)
);
CREATE INDEX days_by_time ON days (day);

CREATE TABLE alerts (
	event       TEXT PRIMARY KEY,           -- the first alert of the visit
	latest      TEXT NOT NULL,              -- the last one
	times       BIGINT NOT NULL,            -- how many there were
	visit       TEXT NOT NULL,
	site        TEXT NOT NULL,
	gate        TEXT NOT NULL,
	time        BIGINT NOT NULL,
	received    BIGINT NOT NULL,
	state       TEXT NOT NULL,              -- new, taken, read or closed
	outcome     TEXT NOT NULL DEFAULT '',   -- of one that is closed
	version     BIGINT NOT NULL DEFAULT 0,  -- counts the changes
	told        BIGINT NOT NULL DEFAULT 0,  -- the version that the gate was told of last; -1 once that is over
	taken_by    TEXT NOT NULL DEFAULT '',
	taken_at    BIGINT NOT NULL DEFAULT 0,
	expired     BIGINT NOT NULL DEFAULT 0,  -- how often a take was not followed up
	read_at     BIGINT NOT NULL DEFAULT 0,
	read_celsius DOUBLE PRECISION,
	closed_by   TEXT NOT NULL DEFAULT '',
	closed_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX alerts_to_tell ON alerts (told) WHERE told >= 0 AND version > 0;
CREATE INDEX alerts_open ON alerts (time) WHERE state <> 'closed';
CREATE INDEX alerts_by_visit ON alerts (visit);
CREATE INDEX alerts_by_time ON alerts (time);

CREATE TABLE alert_changes (
	event       TEXT NOT NULL,
	version     BIGINT NOT NULL,  -- that it made
	at          BIGINT NOT NULL,
	who         TEXT NOT NULL,    -- empty: the console by itself
	what        TEXT NOT NULL,    -- take, read, close, expire, undo
	from_state  TEXT NOT NULL,
	to_state    TEXT NOT NULL,
	outcome     TEXT NOT NULL DEFAULT '',
	celsius     DOUBLE PRECISION, -- of a reading
	unit        TEXT NOT NULL DEFAULT '',
	place       TEXT NOT NULL DEFAULT '',
	thermometer TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (event, version)
);
CREATE INDEX alert_changes_by_time ON alert_changes (at);

-- The list before a gate is used.
CREATE TABLE checks (
	site              TEXT NOT NULL,
	gate              TEXT NOT NULL,
	at                BIGINT NOT NULL,
	who               TEXT NOT NULL,
	warmed_up         BOOLEAN NOT NULL,
	reference_nominal DOUBLE PRECISION,
	reference_read    DOUBLE PRECISION,
	certificate_until BIGINT NOT NULL DEFAULT 0,
	room_celsius      DOUBLE PRECISION,
	humidity_percent  DOUBLE PRECISION,
	test_celsius      DOUBLE PRECISION,
	thermometer       TEXT NOT NULL DEFAULT '',
	ok                BOOLEAN NOT NULL,
	done              TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (site, gate, at)
);

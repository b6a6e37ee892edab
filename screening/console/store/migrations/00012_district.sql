-- +goose Up
-- Of a district's console: what it has heard of plants, whose own consoles know more.
CREATE TABLE plants (
	site    TEXT PRIMARY KEY,
	told    BIGINT NOT NULL DEFAULT 0, -- when the plant said the newest of its facts, by its own clock
	heard   BIGINT NOT NULL DEFAULT 0, -- when anything came of it
	waiting BIGINT NOT NULL DEFAULT 0, -- messages that it had yet to send then
	version TEXT NOT NULL DEFAULT ''
);

-- Words of plants on alerts whose events are not here yet.
CREATE TABLE plant_alerts (
	site      TEXT NOT NULL,
	gate      TEXT NOT NULL,
	event     TEXT NOT NULL,
	version   BIGINT NOT NULL,
	state     TEXT NOT NULL,
	outcome   TEXT NOT NULL,
	taken_at  BIGINT NOT NULL,
	escalated BIGINT NOT NULL,
	read_at   BIGINT NOT NULL,
	closed_at BIGINT NOT NULL,
	received  BIGINT NOT NULL,
	PRIMARY KEY (event, site, gate)
);

-- What the plants' own reports of their shifts say.
CREATE TABLE plant_shifts (
	site         TEXT NOT NULL,
	begin_at     BIGINT NOT NULL,
	end_at       BIGINT NOT NULL,
	name         TEXT NOT NULL,
	made         BIGINT NOT NULL, -- a later one counts
	people       BIGINT NOT NULL,
	pass         BIGINT NOT NULL,
	alert        BIGINT NOT NULL,
	confirmed    BIGINT NOT NULL,
	inconclusive BIGINT NOT NULL,
	expected     BIGINT NOT NULL,
	PRIMARY KEY (site, begin_at)
);

-- Messages that could not be stored, for whoever finds out why.
CREATE TABLE refused_messages (
	id      TEXT PRIMARY KEY, -- ULID of when they were refused
	site    TEXT NOT NULL,    -- empty where the subject names none
	subject TEXT NOT NULL,
	message TEXT NOT NULL,    -- its own id, where it has one
	reason  TEXT NOT NULL,
	payload BYTEA NOT NULL
);
CREATE INDEX refused_messages_of_sites ON refused_messages (site, id);

ALTER TABLE gates ADD COLUMN told BIGINT NOT NULL DEFAULT 0; -- microseconds since 1970: when its plant said the newest of its state

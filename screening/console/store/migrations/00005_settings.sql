-- +goose Up
-- All that the history filters by, in its order: what few events have is found without a look at all the others.
CREATE INDEX events_filter ON events (id, site, gate, outcome, reason, skin_celsius, body_celsius);

ALTER TABLE gates ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';

-- Settings of a gate as its events tell them, each by the first event that told it.
CREATE TABLE settings_seen (
	site  TEXT NOT NULL,
	gate  TEXT NOT NULL,
	name  TEXT NOT NULL,
	event TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (site, gate, name, event)
);

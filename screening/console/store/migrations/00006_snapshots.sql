-- +goose Up
CREATE TABLE snapshots (
	site     TEXT NOT NULL,
	gate     TEXT NOT NULL,
	event    TEXT NOT NULL,  -- the alert that it shows; it may be here before that is
	received BIGINT NOT NULL,
	png      BYTEA NOT NULL, -- which SQLite takes for bytes, too
	PRIMARY KEY (site, gate, event)
);
CREATE INDEX snapshots_by_time ON snapshots (received);
CREATE INDEX snapshots_of_gates ON snapshots (site, gate, received);

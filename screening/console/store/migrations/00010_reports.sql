-- +goose Up
-- Up to when reports of a kind were written into the folder for them.
CREATE TABLE reports_written (
	site    TEXT NOT NULL,
	kind    TEXT NOT NULL,  -- shift, day, week, month or summary
	through BIGINT NOT NULL,
	PRIMARY KEY (site, kind)
);

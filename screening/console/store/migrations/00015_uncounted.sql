-- +goose Up
-- What the events of plants come to that are stored, and not counted yet.
CREATE TABLE uncounted (
	share  BIGINT NOT NULL, -- of the sites, by their names
	number BIGINT NOT NULL,
	events BIGINT NOT NULL, -- how many there are
	counts TEXT NOT NULL,   -- JSON
	PRIMARY KEY (share, number)
);

CREATE INDEX plant_alerts_of_sites ON plant_alerts (site, received);
CREATE INDEX deleted_events_of_sites ON deleted_events (site, at);

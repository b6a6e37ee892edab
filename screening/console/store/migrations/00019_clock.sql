-- +goose Up
-- By which time things are deleted and reports are written: a console whose clock is years ahead would do away with everything.
CREATE TABLE console_clock (
	believed BIGINT NOT NULL, -- the latest time that was; 0 until the first
	seen     BIGINT NOT NULL, -- the last one that the clock said
	doubted  BIGINT NOT NULL  -- since when, by itself, the clock has said what is not believed; 0 where it is
);
INSERT INTO console_clock (believed, seen, doubted) SELECT coalesce(max(at), 0), 0, 0
	FROM (SELECT max(seen) AS at FROM gates WHERE seen > 0 UNION ALL SELECT max(at) FROM audit) AS known;

-- When an alert was raised by the console's clock. That of its gate may be another.
ALTER TABLE alerts ADD COLUMN raised BIGINT NOT NULL DEFAULT 0;
UPDATE alerts SET raised = CASE WHEN time > received THEN received ELSE time END;
DROP INDEX alerts_open;
CREATE INDEX alerts_open ON alerts (raised) WHERE state <> 'closed';

-- Why the console of a district that leads can't write reports; empty while it can.
ALTER TABLE receiving ADD COLUMN reports TEXT NOT NULL DEFAULT '';

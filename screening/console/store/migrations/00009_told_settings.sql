-- +goose Up
-- NULL for a setting that an event told. By the gate's status: when its file was changed last, 0 where that is not known.
ALTER TABLE settings_seen ADD COLUMN written BIGINT;

-- Readings of people who had no alert are changes, too, of no alert: there is none of their event.
CREATE INDEX spot_readings ON alert_changes (event) WHERE what = 'spot';

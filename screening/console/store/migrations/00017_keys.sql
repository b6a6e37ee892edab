-- +goose Up
-- The secret of a root is that of the last one, and the one of a number key all there were, with spaces between.
ALTER TABLE site_keys ADD COLUMN handovers BYTEA; -- of a root: JSON, how each one before has named the next

-- +goose Up
ALTER TABLE gates ADD COLUMN badge_keys TEXT NOT NULL DEFAULT ''; -- JSON, as its status has it

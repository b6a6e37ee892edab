-- +goose Up
CREATE TABLE accounts (
	name        TEXT PRIMARY KEY,
	full_name   TEXT NOT NULL UNIQUE,      -- as others read it, and as it stands with what was done
	role        TEXT NOT NULL,             -- guard, manager or administrator
	site        TEXT NOT NULL DEFAULT '',  -- all sites where it is empty
	gate        TEXT NOT NULL DEFAULT '',  -- all gates of the site where it is empty
	password    TEXT NOT NULL,             -- argon2id, encoded
	once        BOOLEAN NOT NULL,          -- the password is to be changed at the next log-in
	mark        TEXT NOT NULL,             -- of browsers that were logged in
	version     BIGINT NOT NULL DEFAULT 1, -- ends the sessions that began with another one
	locked      BOOLEAN NOT NULL DEFAULT FALSE,
	made_at     BIGINT NOT NULL,
	made_by     TEXT NOT NULL
);

CREATE TABLE sessions (
	token  TEXT PRIMARY KEY, -- hashed
	data   TEXT NOT NULL,    -- base64
	expiry BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expiry);

CREATE TABLE login_failures (
	account TEXT NOT NULL,
	marked  BOOLEAN NOT NULL, -- by a browser that had been logged in before
	address TEXT NOT NULL,
	at      BIGINT NOT NULL
);
CREATE INDEX login_failures_by_account ON login_failures (account, at);

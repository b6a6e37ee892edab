-- +goose Up
-- Which of a district's consoles stores what plants tell, the one of the newest term, and how it is doing.
CREATE TABLE receiving (
	term      BIGINT NOT NULL,
	connected BOOLEAN NOT NULL,
	since     BIGINT NOT NULL,
	fault     TEXT NOT NULL
);
INSERT INTO receiving (term, connected, since, fault) VALUES (0, FALSE, 0, '');

ALTER TABLE uncounted ADD COLUMN at BIGINT NOT NULL DEFAULT 0; -- when it was stored

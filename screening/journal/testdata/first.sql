-- A journal as the first version of the program made it. It had stored four events; the oldest was deleted by its age.
PRAGMA journal_mode = WAL;
BEGIN;
PRAGMA application_id = 1413958193;
PRAGMA user_version = 1;
CREATE TABLE events (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	id        TEXT    NOT NULL UNIQUE,
	outcome   TEXT    NOT NULL,
	time      INTEGER NOT NULL, -- of the event, milliseconds since 1970
	confirmed INTEGER,          -- NULL while the broker has not confirmed it, then the mark
	body      BLOB    NOT NULL  -- the event as JSON
);
CREATE INDEX pending ON events (seq) WHERE confirmed IS NULL;
CREATE INDEX confirmed ON events (confirmed) WHERE confirmed IS NOT NULL;
INSERT INTO events (seq, id, outcome, time, confirmed, body) VALUES
	(2, 'EVENT00002', 'pass', 1772344802000, 1500, CAST('{"specversion":"1.0","id":"EVENT00002","source":"/plant/gate","type":"thermogate.screening.pass.v1","time":"2026-03-01T06:00:02Z","datacontenttype":"application/json","data":{"outcome":"pass","reason":"below-threshold","camera":"test","version":"test"}}' AS BLOB)),
	(3, 'EVENT00003', 'pass', 1772344803000, NULL, CAST('{"specversion":"1.0","id":"EVENT00003","source":"/plant/gate","type":"thermogate.screening.pass.v1","time":"2026-03-01T06:00:03Z","datacontenttype":"application/json","data":{"outcome":"pass","reason":"below-threshold","camera":"test","version":"test"}}' AS BLOB)),
	(4, 'EVENT00004', 'pass', 1772344804000, NULL, CAST('{"specversion":"1.0","id":"EVENT00004","source":"/plant/gate","type":"thermogate.screening.pass.v1","time":"2026-03-01T06:00:04Z","datacontenttype":"application/json","data":{"outcome":"pass","reason":"below-threshold","camera":"test","version":"test"}}' AS BLOB));
COMMIT;

package mqtt

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/mochi-mqtt/server/v2/packets"
)

// brokerStore is the broker's memory: an SQLite file in WAL mode. Every change is with the kernel before a method
// returns, so a process that is killed loses nothing; a power cut may take what came after the last sync.
type brokerStore struct {
	db     *sql.DB
	newest int64 // of the messages' numbers
	// unsynced is set when something has changed since the last sync.
	unsynced bool
}

// A message lies there once, however many it waits for.
const brokerSchema = `
CREATE TABLE session (
	id    TEXT PRIMARY KEY,
	state BLOB    NOT NULL, -- keptSession, as JSON
	away  INTEGER NOT NULL  -- seconds, while the broker ran
) WITHOUT ROWID;
CREATE TABLE retained (
	topic   TEXT PRIMARY KEY,
	expires INTEGER NOT NULL, -- seconds since 1970, 0 for never
	body    BLOB    NOT NULL
) WITHOUT ROWID;
CREATE TABLE message (
	seq     INTEGER PRIMARY KEY,
	expires INTEGER NOT NULL,
	body    BLOB    NOT NULL
);
CREATE TABLE queue (
	session TEXT    NOT NULL,
	seq     INTEGER NOT NULL,
	retain  INTEGER NOT NULL, -- the flag it is sent with
	PRIMARY KEY (session, seq)
) WITHOUT ROWID;
CREATE INDEX waiting ON queue (seq);
`

const (
	brokerApplicationID = 0x54474231 // "TGB1"
	brokerSchemaVersion = 1
)

// keptSession is what is stored of a session.
type keptSession struct {
	User          string         `json:"user,omitempty"`
	Version       byte           `json:"version"`          // of the protocol
	Expiry        uint32         `json:"expiry,omitempty"` // seconds, with version 5
	Subscriptions []subscription `json:"subscriptions"`
}

type subscription struct {
	Filter            string `json:"filter"`
	QoS               byte   `json:"qos"`
	NoLocal           bool   `json:"no_local,omitempty"`
	RetainAsPublished bool   `json:"retain_as_published,omitempty"`
}

func openBrokerStore(file string, log *slog.Logger) (*brokerStore, error) {
	s, err := tryBrokerStore(file)
	var damage sqlite3.Error
	if errors.As(err, &damage) && (damage.Code == sqlite3.ErrCorrupt || damage.Code == sqlite3.ErrNotADB) {
		aside := fmt.Sprintf("%s.damaged-%s", file, time.Now().UTC().Format("20060102T150405.000Z"))
		if err := os.Rename(file, aside); err != nil {
			return nil, fmt.Errorf("setting the damaged file aside: %w", err)
		}
		os.Remove(file + "-wal")
		os.Remove(file + "-shm")
		log.Error("what the broker kept is damaged; it is set aside and the broker begins anew. Clients that are away miss what was kept for them",
			"file", file, "set_aside", aside, "error", err)
		s, err = tryBrokerStore(file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func tryBrokerStore(file string) (*brokerStore, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(absolute), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(absolute, os.O_CREATE|os.O_RDWR, 0o600) // before SQLite makes it for everybody's eyes
	if err != nil {
		return nil, err
	}
	f.Close()
	dsn := url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{
		"_journal_mode": {"WAL"}, "_synchronous": {"NORMAL"}, "_busy_timeout": {"10000"}, "_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(2) // one of them to sync
	s := &brokerStore{db: db}
	if err := s.prepare(); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

func (s *brokerStore) prepare() error {
	var id, version, tables int
	var state string
	err := errors.Join(
		s.db.QueryRow("PRAGMA application_id").Scan(&id),
		s.db.QueryRow("PRAGMA user_version").Scan(&version),
		s.db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables),
		s.db.QueryRow("PRAGMA quick_check(1)").Scan(&state),
	)
	switch {
	case err != nil:
		return err
	case state != "ok":
		return fmt.Errorf("%w: %s", sqlite3.Error{Code: sqlite3.ErrCorrupt}, state)
	case tables == 0:
		return s.change(func(tx *sql.Tx) error {
			_, err := tx.Exec(brokerSchema + fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", brokerApplicationID, brokerSchemaVersion))
			return err
		})
	case id != brokerApplicationID:
		return errors.New("it is some other SQLite database, not what a broker keeps; move it away")
	case version > brokerSchemaVersion:
		return newerBroker(version)
	}
	return errors.Join(
		s.change(func(tx *sql.Tx) error {
			_, err := tx.Exec(`DELETE FROM queue WHERE session NOT IN (SELECT id FROM session);
				DELETE FROM message WHERE seq NOT IN (SELECT seq FROM queue)`)
			return err
		}),
		s.db.QueryRow("SELECT coalesce(max(seq), 0) FROM message").Scan(&s.newest),
	)
}

func newerBroker(version int) error {
	return fmt.Errorf("it is of a newer thermogate (version %d of a broker's memory, this program knows those up to %d): use that thermogate, or a later one", version, brokerSchemaVersion)
}

// CheckBrokerFile is an error for a broker's memory that this program can't work with. It changes nothing in the file.
func CheckBrokerFile(file string) error {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: absolute, RawQuery: "mode=ro&immutable=true"}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	var version int
	err = db.QueryRow("PRAGMA user_version").Scan(&version)
	if err == nil && version > brokerSchemaVersion {
		err = newerBroker(version)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return nil
}

func (s *brokerStore) close() error { return s.db.Close() }

// change makes one transaction of what do does.
func (s *brokerStore) change(do func(*sql.Tx) error) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.unsynced = true
	return nil
}

// sync has the disk keep what was changed. It may be called while others change more, and take as long as the disk does.
func (s *brokerStore) sync() error {
	_, err := s.db.Exec("PRAGMA wal_checkpoint(PASSIVE)")
	return err
}

// recipient is a session that a message waits for, and whether it is sent marked as retained.
type recipient struct {
	id     string
	retain bool
}

// keep stores a message for the sessions it waits for, in a queue of each, and returns its number; as well, or instead,
// it stores the message as the one retained on its topic, or removes that where the payload is empty.
func (s *brokerStore) keep(pk packets.Packet, sessions []recipient, retain bool) (int64, error) {
	if len(sessions) == 0 && !retain {
		return 0, nil
	}
	body, err := encodeMessage(pk)
	if err != nil {
		return 0, err
	}
	seq := s.newest + 1
	err = s.change(func(tx *sql.Tx) error {
		switch {
		case retain && len(pk.Payload) == 0:
			if _, err := tx.Exec("DELETE FROM retained WHERE topic = ?", pk.TopicName); err != nil {
				return err
			}
		case retain:
			if _, err := tx.Exec("INSERT OR REPLACE INTO retained VALUES (?, ?, ?)", pk.TopicName, pk.Expiry, body); err != nil {
				return err
			}
		}
		if len(sessions) == 0 {
			return nil
		}
		if _, err := tx.Exec("INSERT INTO message VALUES (?, ?, ?)", seq, pk.Expiry, body); err != nil {
			return err
		}
		for _, session := range sessions {
			if _, err := tx.Exec("INSERT INTO queue VALUES (?, ?, ?)", session.id, seq, session.retain); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(sessions) > 0 {
		s.newest = seq
	}
	return seq, err
}

// queued is a message that waits for a session.
type queued struct {
	seq     int64
	cost    int64 // what it counts in the queue
	message packets.Packet
}

// next returns the first message after a number that waits for the session, false where there is none.
func (s *brokerStore) next(session string, after int64) (queued, bool, error) {
	return next(s.db, session, after)
}

func next(db interface {
	QueryRow(query string, args ...any) *sql.Row
}, session string, after int64) (queued, bool, error) {
	var q queued
	var body []byte
	var retain bool
	var expires int64
	err := db.QueryRow(`SELECT seq, retain, expires, body FROM queue JOIN message USING (seq)
		WHERE session = ? AND seq > ? ORDER BY seq LIMIT 1`, session, after).Scan(&q.seq, &retain, &expires, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return q, false, nil
	}
	if err != nil {
		return q, false, err
	}
	q.cost = cost(len(body))
	q.message, err = decodeMessage(body)
	q.message.Expiry, q.message.FixedHeader.Retain = expires, retain
	return q, err == nil, err
}

// done takes messages off the queue of a session.
func (s *brokerStore) done(session string, seqs []int64) error {
	return s.change(func(tx *sql.Tx) error {
		for _, seq := range seqs {
			if _, err := tx.Exec("DELETE FROM queue WHERE session = ? AND seq = ?", session, seq); err != nil {
				return err
			}
			if _, err := tx.Exec("DELETE FROM message WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM queue WHERE seq = ?1)", seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// topics counts the messages that wait for the session on each topic.
func (s *brokerStore) topics(session string) (map[string]int, error) {
	rows, err := s.db.Query("SELECT body FROM queue JOIN message USING (seq) WHERE session = ?", session)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		message, err := decodeMessage(body)
		if err != nil {
			return nil, err
		}
		counts[strings.Clone(message.TopicName)]++
	}
	return counts, rows.Err()
}

// claim moves what waits for nobody, on the topics that are wanted, to the queue of a session. It returns the first and
// the last of their numbers, and what they count.
func (s *brokerStore) claim(session string, wanted map[string]bool) (first, last, cost int64, err error) {
	err = s.change(func(tx *sql.Tx) error {
		for after := int64(0); ; {
			q, ok, err := next(tx, nobody, after)
			if err != nil || !ok {
				return err
			}
			after = q.seq
			if !wanted[q.message.TopicName] {
				continue
			}
			if _, err := tx.Exec("UPDATE queue SET session = ? WHERE session = ? AND seq = ?", session, nobody, q.seq); err != nil {
				return err
			}
			if first == 0 {
				first = q.seq
			}
			last, cost = q.seq, cost+q.cost
		}
	})
	if err != nil {
		return 0, 0, 0, err
	}
	return first, last, cost, nil
}

// put stores what is kept of a session beside its queue.
func (s *brokerStore) put(id string, k keptSession) error {
	state, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return s.change(func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT OR REPLACE INTO session VALUES (?, ?, 0)", id, state)
		return err
	})
}

// away notes how many seconds sessions have been away.
func (s *brokerStore) away(seconds map[string]int64) error {
	return s.change(func(tx *sql.Tx) error {
		for id, n := range seconds {
			if _, err := tx.Exec("UPDATE session SET away = ? WHERE id = ?", n, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// forget removes a session with its queue.
func (s *brokerStore) forget(id string) error {
	return s.change(func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM session WHERE id = ?", id); err != nil {
			return err
		}
		result, err := tx.Exec("DELETE FROM queue WHERE session = ?", id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec("DELETE FROM message WHERE NOT EXISTS (SELECT 1 FROM queue WHERE queue.seq = message.seq)")
		return err
	})
}

// forgetRetained removes what is retained on a topic.
func (s *brokerStore) forgetRetained(topic string) error {
	return s.change(func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM retained WHERE topic = ?", topic)
		return err
	})
}

// storedSession is a session as it was found.
type storedSession struct {
	id string
	keptSession
	away   int64 // seconds
	cost   int64 // of its queue
	newest int64 // of its queue
}

func (s *brokerStore) sessions() ([]storedSession, error) {
	rows, err := s.db.Query(`SELECT id, state, away, coalesce(sum(length(body) + ?), 0), coalesce(max(message.seq), 0)
		FROM session LEFT JOIN queue ON queue.session = session.id LEFT JOIN message USING (seq) GROUP BY id`, messageOverhead)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []storedSession
	for rows.Next() {
		var one storedSession
		var state []byte
		if err := rows.Scan(&one.id, &state, &one.away, &one.cost, &one.newest); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(state, &one.keptSession); err != nil {
			return nil, fmt.Errorf("session %q: %w", one.id, err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func (s *brokerStore) retained() ([]packets.Packet, error) {
	rows, err := s.db.Query("SELECT expires, body FROM retained")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []packets.Packet
	for rows.Next() {
		var expires int64
		var body []byte
		if err := rows.Scan(&expires, &body); err != nil {
			return nil, err
		}
		pk, err := decodeMessage(body)
		if err != nil {
			return nil, err
		}
		pk.FixedHeader.Retain, pk.Expiry = true, expires
		all = append(all, pk)
	}
	return all, rows.Err()
}

// cost is what a message counts that has so many bytes.
func cost(bytes int) int64 { return int64(bytes) + messageOverhead }

// encodeMessage is the message as MQTT 5 has it on the wire.
func encodeMessage(pk packets.Packet) ([]byte, error) {
	out := packets.Packet{
		ProtocolVersion: 5,
		FixedHeader:     packets.FixedHeader{Type: packets.Publish, Qos: min(1, pk.FixedHeader.Qos)},
		PacketID:        1, // one has to stand there
		TopicName:       pk.TopicName,
		Payload:         pk.Payload,
		Properties:      pk.Properties,
	}
	out.Properties.TopicAlias, out.Properties.TopicAliasFlag = 0, false
	out.Properties.SubscriptionIdentifier = nil
	out.Mods.AllowResponseInfo = true
	var buf bytes.Buffer
	err := out.PublishEncode(&buf)
	return buf.Bytes(), err
}

func decodeMessage(body []byte) (packets.Packet, error) {
	pk := packets.Packet{ProtocolVersion: 5}
	reader := bytes.NewReader(body)
	first, err := reader.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(reader); err != nil {
		return pk, err
	}
	err = pk.PublishDecode(body[len(body)-reader.Len():])
	pk.PacketID = 0
	return pk, err
}

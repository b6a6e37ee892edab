package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"thermogate/screening/datadir"
	"thermogate/screening/event"
)

// spare is a file, in memory that outlives the process but not the machine, for what the disk does not take. It is one
// line of JSON an event; of two with the same id the later one counts. Its zero value keeps nothing.
type spare struct {
	path   string
	used   bool     // there is a file
	file   *os.File // nil before the first event of this process
	failed bool     // and that has been told
}

// line is an event in it.
type line struct {
	Held  bool        `json:"held,omitempty"`
	Event event.Event `json:"event"`
}

// newSpare is the spare of the journal at path.
func newSpare(path string, log *slog.Logger) spare {
	absolute, err := filepath.Abs(path)
	if err == nil {
		var folder string
		if folder, err = datadir.InMemory(); err == nil {
			sum := sha256.Sum256([]byte(absolute))
			return spare{path: filepath.Join(folder, fmt.Sprintf("journal-%x.jsonl", sum[:8]))}
		}
	}
	log.Warn("while the disk takes nothing, a restart will lose events that the broker has not got", "error", err)
	return spare{}
}

// add appends a row. An error is told once; the row is then in the memory of the process only.
func (s *spare) add(log *slog.Logger, r row) {
	if s.path == "" {
		return
	}
	err := s.write(r)
	if err != nil && !s.failed {
		log.Error("while the disk takes nothing, a restart will lose events that the broker has not got", "error", err)
	}
	s.failed = err != nil
}

func (s *spare) write(r row) error {
	entry, err := r.entry()
	if err != nil {
		return err
	}
	text, err := json.Marshal(line{r.confirmed.Valid, entry.Event})
	if err != nil {
		return err
	}
	if s.file == nil {
		if s.file, err = os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600); err != nil {
			s.file = nil
			return err
		}
		s.used = true
	}
	_, err = s.file.Write(append(append([]byte{'\n'}, text...), '\n')) // after a line that was cut short, too
	return err
}

// read returns what an earlier process has left. A hold has ended with that process.
func (s *spare) read(log *slog.Logger) []row {
	file, err := os.Open(s.path)
	if err != nil {
		return nil
	}
	defer file.Close()
	s.used = true
	var rows []row
	place := map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 2*maxEventBytes)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil || l.Event.ID == "" { // one that was cut short was never shown
			continue
		}
		r, err := newRow(l.Event)
		if err != nil {
			continue
		}
		if i, known := place[r.id]; known {
			rows[i] = r
			continue
		}
		place[r.id] = len(rows)
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil {
		log.Error("not all that the disk did not take can be read", "file", s.path, "error", err)
	}
	if len(rows) > 0 {
		log.Warn("events of an earlier run that the disk did not take are here, to be stored once it does", "events", len(rows))
	}
	return rows
}

// drop deletes the file, once everything is on disk.
func (s *spare) drop() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	if s.used {
		os.Remove(s.path)
		s.used = false
	}
}

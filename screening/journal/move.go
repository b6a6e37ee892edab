package journal

import (
	"context"
	"fmt"
	"os"
)

// Move has the copy of a journal at path, which nobody has open, go on at another machine. The machine that it is from may have
// stored more since, under numbers that nobody may use for other events: so what is in the copy keeps its journal and
// sequence, and what comes after it belongs to a journal with an id of its own. What not every known receiver has said it
// holds is published again, for the broker may have died with that machine. It returns how many events are to be published.
// A damaged file, and one of a newer program, is an error.
func Move(ctx context.Context, path string) (pending int, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, fmt.Errorf("the journal: %w", err)
	}
	s, err := openStore(ctx, path, true)
	if err != nil {
		return 0, fmt.Errorf("the journal %s: %w", path, err)
	}
	err = s.move(ctx)
	if err == nil {
		_, _, pending, err = s.summary(ctx)
	}
	if closing := s.close(); err == nil {
		err = closing
	}
	if err != nil {
		return 0, fmt.Errorf("the journal %s: %w", path, err)
	}
	return pending, nil
}

func (s *store) move(ctx context.Context) error {
	if err := s.identify(ctx); err != nil {
		return err
	}
	if _, err := s.synced.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", movedVersion)); err != nil {
		return err
	}
	if err := s.begin(ctx, "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"); err != nil {
		return err
	}
	_, err := execute(ctx, s.synced, "UPDATE events SET confirmed = NULL WHERE confirmed > ? AND seq > "+storedByAll, passedOver)
	return err
}

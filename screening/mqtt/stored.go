package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/journal"
)

const (
	maxStoredBytes = 1024
	maxSpeakers    = 64 // whose words wait to be noted
)

// storedMessage is the JSON on the stored topic: the receiver By holds everything of Journal up to and including Through.
type storedMessage struct {
	Journal string `json:"journal"`
	Through *int64 `json:"through"`
	By      string `json:"by"`
}

// ParseStored reads a receiver's word. It may say more than is looked at here.
func ParseStored(payload []byte) (journal.Word, error) {
	if len(payload) > maxStoredBytes {
		return journal.Word{}, fmt.Errorf("a receiver's word has %d bytes, more than %d", len(payload), maxStoredBytes)
	}
	var m storedMessage
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if err := decoder.Decode(&m); err != nil {
		return journal.Word{}, fmt.Errorf("a receiver's word is not as it should be: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return journal.Word{}, errors.New("something follows a receiver's word")
	}
	if m.Through == nil {
		return journal.Word{}, errors.New("a receiver's word has no through")
	}
	word := journal.Word{Journal: m.Journal, Through: *m.Through, By: m.By}
	if err := word.Validate(); err != nil {
		return journal.Word{}, fmt.Errorf("a receiver's word: %w", err)
	}
	return word, nil
}

// words are what receivers have said and is not noted yet: of each the latest.
type words struct {
	mu     sync.Mutex
	latest map[string]journal.Word
	forget bool // everybody, before the latest are noted
	news   chan struct{}
}

// receiveStored takes a receiver's word, also one that the broker has kept: it is how things stand. Who empties the topic
// has every receiver forgotten. A broker that has nothing to keep sends no message.
func (s *session) receiveStored(m paho.Message) {
	if len(m.Payload()) == 0 {
		s.words.mu.Lock()
		clear(s.words.latest)
		s.words.forget = true
		s.words.mu.Unlock()
		wake(s.words.news)
		return
	}
	word, err := ParseStored(m.Payload())
	if err == nil {
		err = s.words.add(word)
	}
	if err != nil {
		s.c.refuse(err)
	}
}

func (w *words) add(word journal.Word) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.latest[word.By]; !known && len(w.latest) >= maxSpeakers {
		return fmt.Errorf("%d receivers speak at once", maxSpeakers)
	}
	w.latest[word.By] = word
	wake(w.news)
	return nil
}

func (w *words) take() (latest map[string]journal.Word, forget bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	latest, forget = w.latest, w.forget
	w.latest, w.forget = map[string]journal.Word{}, false
	return latest, forget
}

// noteWords brings what receivers say to the journal, at most once a second however often they say it.
func (s *session) noteWords(ctx context.Context) {
	for {
		select {
		case <-s.words.news:
		case <-ctx.Done():
			return
		}
		latest, forget := s.words.take()
		if forget {
			s.air.forgetWords()
			if err := s.c.journal.ForgetReceivers(ctx); err != nil {
				s.c.log.Error("receivers can't be forgotten", "error", err)
			} else {
				s.c.log.Info("receivers are forgotten, for their topic was emptied", "topic", s.c.gate.StoredTopic())
			}
		}
		for _, word := range latest {
			if err := s.noteWord(ctx, word); err != nil && ctx.Err() == nil {
				s.c.refuse(fmt.Errorf("receiver %q: %w", word.By, err))
			}
		}
		select {
		case <-time.After(statusEvery):
		case <-ctx.Done():
			return
		}
	}
}

// noteWord also sends again what a receiver held once and does not hold any more.
func (s *session) noteWord(ctx context.Context, word journal.Word) error {
	before, err := s.c.journal.Stored(ctx, word)
	if errors.Is(err, journal.ErrOtherJournal) { // this one was begun anew, and the receiver has yet to hear of it
		s.c.log.Debug("a receiver speaks of another journal", "receiver", word.By, "journal", word.Journal)
		return nil
	}
	if err != nil {
		return err
	}
	s.confirmStored(word)
	if before > word.Through {
		if s.c.tellRefused.Allow() { // it may say so every second
			s.c.log.Warn("a receiver has lost what it held; it is sent again", "receiver", word.By, "held", before, "holds", word.Through)
		}
		return s.resends.add(Resend{Journal: word.Journal, From: word.Through + 1, To: before})
	}
	return nil
}

package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/journal"
)

// maxResends bounds how many requests wait, and maxMissing how many spans one message tells of.
const (
	maxResends = 32
	maxMissing = 200
)

// Resend asks for the events of a journal from one sequence to another, both included, to be published again.
type Resend struct {
	Journal string `json:"journal"`
	From    int64  `json:"from"`
	To      int64  `json:"to"`
}

// Validate refuses what nobody can be sent.
func (r Resend) Validate() error {
	if _, err := ulid.ParseStrict(r.Journal); err != nil {
		return fmt.Errorf("%.40q is the id of no journal", r.Journal)
	}
	if r.From < 1 || r.To < r.From {
		return fmt.Errorf("from %d to %d: from is at least 1, and to at least from", r.From, r.To)
	}
	return nil
}

// Resent is the JSON on the resent topic: everything from From to To has been published again, except what is Missing,
// which this gate holds no longer.
type Resent struct {
	Journal string `json:"journal"`
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Missing []Span `json:"missing"`
}

// Span is a run of sequences, both ends included.
type Span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// resends are the requests that wait, the first of them under way.
type resends struct {
	mu      sync.Mutex
	waiting []*resending
	added   chan struct{}
}

// resending is a request, and how far it has come.
type resending struct {
	Resend
	at      int64 // done up to here; From-1 at first
	missing []Span
}

// add puts a request behind the others. One that another covers is done with that.
func (r *resends) add(request Resend) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, waiting := range r.waiting {
		if waiting.Journal == request.Journal && waiting.at < request.From && request.To <= waiting.To {
			return nil
		}
	}
	if len(r.waiting) >= maxResends {
		return fmt.Errorf("%d requests wait already; ask again later", maxResends)
	}
	r.waiting = append(r.waiting, &resending{Resend: request, at: request.From - 1})
	wake(r.added)
	return nil
}

func (r *resends) first() *resending {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return nil
	}
	return r.waiting[0]
}

// advance notes that the first request is done up to at, which finishes it where that is its end.
func (r *resends) advance(at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[0].at = at
	if at >= r.waiting[0].To {
		r.waiting = r.waiting[1:]
	}
}

// takeResend accepts a request, or says what is wrong with it.
func (s *session) takeResend(request Resend) error {
	if tail := s.c.journal.Tail(); request.Journal == tail.Journal {
		if request.From > tail.Sequence {
			return fmt.Errorf("this journal ends with %d", tail.Sequence)
		}
		request.To = min(request.To, tail.Sequence)
	}
	return s.resends.add(request)
}

// sendResends publishes again what was asked for, behind everything else and at the pace of the backlog.
func (s *session) sendResends(ctx context.Context) error {
	for {
		request, room := s.resends.first(), s.roomBehind()
		if request == nil || room <= 0 || time.Now().Before(s.readAgain) {
			return nil
		}
		entries, reached, err := s.c.journal.Between(ctx, request.Journal, request.at, request.To, room)
		switch {
		case errors.Is(err, journal.ErrOtherJournal):
			reached = request.To
		case err != nil:
			s.cannotRead(err)
			return nil
		}
		at := request.at
		for _, entry := range entries {
			request.lacks(at+1, entry.Sequence-1)
			at = entry.Sequence
			if err := s.publishBehind(entry); err != nil {
				return err
			}
		}
		request.lacks(at+1, reached)
		if reached >= request.To || len(request.missing) >= maxMissing {
			s.publishResent(request, reached)
		}
		s.resends.advance(reached)
	}
}

func (r *resending) lacks(from, to int64) {
	if from > to {
		return
	}
	if last := len(r.missing) - 1; last >= 0 && r.missing[last].To == from-1 {
		r.missing[last].To = to
		return
	}
	r.missing = append(r.missing, Span{from, to})
}

// publishResent does not wait: where it fails, the connection has broken off, and whoever asked has to ask again.
func (s *session) publishResent(r *resending, to int64) {
	message := Resent{Journal: r.Journal, From: r.From, To: to, Missing: r.missing}
	if message.Missing == nil {
		message.Missing = []Span{}
	}
	payload, err := json.Marshal(message)
	if err != nil {
		panic(err) // a string and numbers
	}
	s.conn.Publish(s.c.gate.ResentTopic(), 1, false, payload)
	if len(r.missing) > 0 && s.c.tellRefused.Allow() {
		s.c.log.Warn("a receiver asks for events that the journal does not hold any more",
			"journal", r.Journal, "from", r.From, "to", to, "spans", len(r.missing), "first", r.missing[0].From)
	}
	r.From, r.missing = to+1, nil
}

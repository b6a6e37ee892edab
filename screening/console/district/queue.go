package district

import (
	"context"
	"slices"
	"sync"
)

// Queue is an outbox in memory: what is in it is gone with the process.
type Queue struct {
	mu       sync.Mutex
	messages []Message // in order of their numbers
	last     int64
	news     chan struct{}
}

// NewQueue returns one that is empty.
func NewQueue() *Queue { return &Queue{news: make(chan struct{}, 1)} }

// Add adds messages, which get their numbers here.
func (q *Queue) Add(messages ...Message) {
	q.mu.Lock()
	for _, m := range messages {
		q.last++
		m.Number = q.last
		q.messages = append(q.messages, m)
	}
	q.mu.Unlock()
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// Len is how many wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Next returns the oldest.
func (q *Queue) Next(_ context.Context, most int, except Except) ([]Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var next []Message
	for _, m := range q.messages {
		if len(next) == most {
			break
		}
		if !except.Numbers[m.Number] && !except.Sites[m.Site] {
			next = append(next, m)
		}
	}
	return next, nil
}

// Remove removes messages.
func (q *Queue) Remove(_ context.Context, numbers []int64) error {
	slices.Sort(numbers)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = slices.DeleteFunc(q.messages, func(m Message) bool {
		_, found := slices.BinarySearch(numbers, m.Number)
		return found
	})
	return nil
}

// News gets a value after something was added.
func (q *Queue) News() <-chan struct{} { return q.news }

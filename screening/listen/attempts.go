package listen

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits on log-ins. An address that has used up its free tries waits for each further one, and each wait is twice the
// one before. Whoever changes addresses is bound by what all together may try.
const (
	freeTries      = 10
	firstWait      = time.Second
	longestWait    = 8 * time.Second // below requestTimeout, and below what monitoring waits for an answer
	slowestTry     = freeTries + 3   // the one that waits longestWait
	forgiveOne     = time.Minute
	triesPerSecond = 5
	triesAtOnce    = 300
	waitingAtOnce  = 256
	refusalTime    = time.Second
	refusedAtOnce  = 2 * maxConnections
	// A log line tells of wrong passwords when they come after such a silence, and as often while they go on.
	silence   = 10 * time.Minute
	tellAgain = time.Hour
)

// ErrTooManyTries is for a log-in that was not even looked at.
var ErrTooManyTries = errors.New("too many wrong passwords; try again in a while")

// Visitor is who tries to log in: an address, or a browser that was logged in before and has a mark of it.
type Visitor struct {
	Address netip.Addr
	Mark    string
}

// Attempts slows down whoever guesses passwords. All methods may be called from several goroutines at once.
type Attempts struct {
	log      *slog.Logger
	overall  *rate.Limiter
	waiting  chan struct{} // holds a token for each try that waits for its turn
	refusing chan struct{} // and for each that is refused, slowly

	mu           sync.Mutex
	wrong        uint64
	proven       records // of those who were right once; strangers can't push them out
	strangers    records
	slowed, told time.Time // when somebody was last made to wait, and when the log last said so
}

// NewAttempts returns Attempts that have seen nobody yet.
func NewAttempts(log *slog.Logger) *Attempts {
	return &Attempts{
		log:      log,
		overall:  rate.NewLimiter(triesPerSecond, triesAtOnce),
		waiting:  make(chan struct{}, waitingAtOnce),
		refusing: make(chan struct{}, refusedAtOnce),
	}
}

// Try asks whether a log-in is right, once it is the visitor's turn. Its error is ErrTooManyTries, or ctx's: then nobody
// has asked.
func (a *Attempts) Try(ctx context.Context, visitor Visitor, right func() bool) (bool, error) {
	wait, ok := a.turn(visitor, time.Now())
	if wait > 0 || !ok {
		a.tell(visitor, time.Now())
	}
	if !ok {
		_ = slowly(ctx, a.refusing, refusalTime)
		return false, ErrTooManyTries
	}
	if err := slowly(ctx, a.waiting, wait); err != nil {
		return false, err
	}
	ok = right()
	a.settle(visitor, ok)
	return ok, nil
}

func (a *Attempts) settle(visitor Visitor, right bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !right {
		a.wrong++
		return
	}
	if known := a.proven.get(visitor); known != nil {
		*known = record{}
	} else {
		a.proven.put(visitor, new(record))
	}
}

// Wrong counts the wrong passwords so far.
func (a *Attempts) Wrong() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

// turn says how long the visitor's next try has to wait, and false when too many wait already. The try counts as wrong
// until it turns out right, so that many at once gain nothing.
func (a *Attempts) turn(visitor Visitor, now time.Time) (wait time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, proven := a.proven.get(visitor), true
	if known == nil {
		known, proven = a.strangers.get(visitor), false
	}
	if known == nil {
		known = new(record)
		a.strangers.put(visitor, known)
	}
	known.forgive(now)
	turn := now
	if known.wrong >= freeTries {
		if known.next.After(now) {
			turn = known.next
		}
		turn = turn.Add(firstWait << (known.wrong - freeTries))
	}
	if turn.Sub(now) > longestWait {
		return 0, false
	}
	if !proven && visitor.Mark == "" {
		turns := a.overall.ReserveN(now, 1)
		delay := turns.DelayFrom(now)
		if delay > longestWait {
			turns.CancelAt(now)
			return 0, false
		}
		if shared := now.Add(delay); shared.After(turn) {
			turn = shared
		}
	}
	known.next = turn
	known.wrong = min(known.wrong+1, slowestTry)
	return turn.Sub(now), true
}

// tell writes one line where thousands could be.
func (a *Attempts) tell(visitor Visitor, now time.Time) {
	a.mu.Lock()
	due := now.Sub(a.slowed) > silence || now.Sub(a.told) > tellAgain
	a.slowed = now
	if due {
		a.told = now
	}
	wrong := a.wrong
	a.mu.Unlock()
	if due {
		a.log.Warn("wrong passwords: log-ins are slowed down", "address", visitor.Address, "wrong_since_start", wrong)
	}
}

// record is what is known of a visitor.
type record struct {
	wrong int       // tries less those forgiven and, at the next right one, all
	asOf  time.Time // wrong
	next  time.Time // when the last of the tries that wait has its turn
}

func (r *record) forgive(now time.Time) {
	minutes := int(now.Sub(r.asOf) / forgiveOne)
	if r.asOf.IsZero() || minutes >= r.wrong {
		r.wrong, r.asOf = 0, now
		return
	}
	r.wrong -= minutes
	r.asOf = r.asOf.Add(time.Duration(minutes) * forgiveOne)
}

// remembered is how many visitors records hold at least, and half of how many at most.
const remembered = 2048

// records are those of the visitors seen last.
type records struct{ young, aging map[Visitor]*record }

// get returns nil for somebody not known, or not any more.
func (r *records) get(visitor Visitor) *record {
	if known := r.young[visitor]; known != nil {
		return known
	}
	known := r.aging[visitor]
	if known != nil {
		r.put(visitor, known)
	}
	return known
}

func (r *records) put(visitor Visitor, known *record) {
	if r.young == nil || len(r.young) == remembered {
		r.young, r.aging = map[Visitor]*record{}, r.young
	}
	r.young[visitor] = known
}

// slowly waits, in one of the places if that takes time at all.
func slowly(ctx context.Context, places chan struct{}, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return ErrTooManyTries
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

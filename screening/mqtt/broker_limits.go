package mqtt

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// What one client may take of the broker. An event has about 1 kB.
const (
	brokerMaxPacket   = 256 << 10
	brokerMaxConnect  = 16 << 10 // bytes of a CONNECT, last will included: much of it is held while the client is there
	brokerMaxClientID = 256
	brokerMaxInbound  = 64 // messages with QoS 2 that a client has begun to send
	brokerMaxTopic    = 512
	brokerMaxLevels   = 16 // of a topic; each costs as much as a message
	brokerMaxFilters  = 50
	brokerMaxWaiting  = 8 << 20 // bytes that wait in memory for one client to read
	brokerWindow      = 256     // messages sent to a client and not acknowledged by it
	brokerHello       = 10 * time.Second
	brokerWrite       = 10 * time.Second

	// A client that sends more than this is read no faster. Each packet counts as brokerLeastCost at least.
	brokerBytesPerSecond = 4 << 20
	brokerLeastCost      = 2 << 10
)

// What all of them may take together.
const (
	brokerMaxRetained      = 2000
	brokerMaxRetainedBytes = 4 << 20
	brokerMaxAllWaiting    = 32 << 20
	brokerFiltersPerClient = 4    // times max_clients is how many subscriptions there may be
	brokerMaxNobodys       = 1000 // topics of events that nobody subscribes to
)

// messageOverhead is what a message takes beside its topic and payload, in memory and on disk, roughly.
const messageOverhead = 300

// packetBytes is what a message in memory takes as the library has it, roughly.
const packetBytes = 1 << 10

// limit is something that the broker would not or could not do.
type limit struct {
	text  string
	fault bool // it shows in Err; else it is the client's fault alone
}

var (
	limitConnections   = limit{"the broker has no room for more connections (broker.max_clients; half of them from one address)", true}
	limitSessions      = limit{"the broker refuses another lasting session (clean session false), it has as many as it may", true}
	limitSubscriptions = limit{"the broker refuses a subscription, there are too many or it is too long", true}
	limitRetained      = limit{"the broker retains as much as it may; a message is handed on but not retained", true}
	limitQueue         = limit{"the queues of clients that are away are full (broker.queue_mib), so one of them misses messages", true}
	limitSlow          = limit{"the broker cuts off a client that does not read", true}
	limitOwn           = limit{"the gate is sent more than it can take; messages to it are dropped", true}
	limitStore         = limit{"the broker can't keep messages on disk and does not confirm them", true}
	limitClosed        = limit{"the broker can't open its file and serves nobody until it can", true}
	refusedConnection  = limit{"the broker refuses a connection", false}
	refusedMessage     = limit{"the broker refuses a message, its sender may not write there", false}
	refusedFilter      = limit{"the broker refuses a subscription, its sender may not read there", false}
)

// Clients whose messages are kept while they are away, and for how long. Only the time counts that the broker runs.
const (
	brokerMaxSessions = 100
	sessionLife       = 14 * 24 * time.Hour
)

// tellEvery is how often the log says the same of a limit, and how long it shows in Err.
const tellEvery = time.Minute

// limits tells of limits that are hit, now and then and not each time.
type limits struct {
	log *slog.Logger

	mu  sync.Mutex
	hit map[limit]*hits
}

type hits struct {
	count        int // since the log told of it
	told, newest time.Time
}

func newLimits(log *slog.Logger) *limits { return &limits{log: log, hit: map[limit]*hits{}} }

// tell notes that a limit was hit.
func (l *limits) tell(limit limit, details ...any) {
	l.mu.Lock()
	h := l.hit[limit]
	if h == nil {
		h = new(hits)
		l.hit[limit] = h
	}
	h.count++
	h.newest = time.Now()
	count, silent := h.count, time.Since(h.told) < tellEvery
	if !silent {
		h.count, h.told = 0, h.newest
	}
	l.mu.Unlock()
	if !silent {
		l.log.Warn(limit.text, append(details, "times", count)...)
	}
}

// forget takes back what was told.
func (l *limits) forget(limit limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.hit, limit)
}

func (l *limits) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for limit, h := range l.hit {
		if age := time.Since(h.newest); limit.fault && age < tellEvery {
			errs = append(errs, fmt.Errorf("%s (%v ago)", limit.text, age.Round(time.Second)))
		}
	}
	return errors.Join(errs...)
}

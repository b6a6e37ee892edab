// Package ingest brings what gates publish into a console's store, so that nothing is missed and nothing counts twice, and
// tells the gates what of it is stored and what the guards do with alerts.
//
// A message is acknowledged once it is on disk. The broker keeps what comes while the console is away; what it loses all
// the same shows as a gap in the gate's own count, and is asked for until the gate has sent it or said that it is gone.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// maxBatch bounds how many messages share one commit.
const maxBatch = 500

// maxName is the length in bytes of the longest name of a console, as gates take it.
const maxName = 64

// timing is how long ingest waits for what.
type timing struct {
	quiet    time.Duration // a gate from which nothing comes for longer is a fault; each tells of itself every 5 seconds
	patience time.Duration // before what is missing is asked for: it may still be on its way
	askAgain time.Duration // a connection that breaks forgets what was asked
	say      time.Duration // between two words to a gate on what is stored
	retry    time.Duration // before the first attempt at what has failed, doubled with each
	retryMax time.Duration
	second   time.Duration // between looks at what is due
}

func defaultTiming() timing {
	return timing{
		quiet: 12 * time.Second, patience: 5 * time.Second, askAgain: 30 * time.Second, say: time.Second,
		retry: 100 * time.Millisecond, retryMax: 5 * time.Second, second: time.Second,
	}
}

// State is how ingest is doing, for health checks and metrics.
type State struct {
	Connected  bool
	Since      time.Time // of the connection, or of its loss
	LastError  string    // of the connection; empty while all is well
	StoreError string    // why events do not get into the store; empty while they do
	Events     uint64    // stored since the start
	Repeated   uint64    // that were in the store already
	Refused    uint64    // messages that were none of a gate
	Lost       uint64    // events since the start that nobody can get any more
	Wanted     int64     // events that are missing now and may still come
	Commits    uint64
	Committing time.Duration // in all
}

// Ingest feeds a store.
type Ingest struct {
	name   string
	cfg    mqtt.Config
	store  *store.Store
	passes *passes.Office
	log    *slog.Logger
	timing timing

	gates    map[mqtt.Gate]*gate // of Run
	newGates atomic.Int64        // how many of them were heard for the first time

	mu          sync.Mutex
	state       State
	refusalTold time.Time
}

// New makes what feeds the store from the broker of cfg. Gates know the console by its name, and so does the broker, where
// cfg has no client id; each console has its own.
func New(name string, cfg mqtt.Config, s *store.Store, log *slog.Logger) (*Ingest, error) {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return nil, fmt.Errorf("name: %q is not a name of 1 to %d printable bytes", name, maxName)
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("mqtt.%w", err)
	}
	if cfg.ClientID == "" {
		cfg.ClientID = mqtt.ConsoleClientID + name
	}
	return &Ingest{name: name, cfg: cfg, store: s, passes: passes.New(s), log: log, timing: defaultTiming(), gates: map[mqtt.Gate]*gate{}, state: State{Since: time.Now()}}, nil
}

// State returns how ingest is doing.
func (i *Ingest) State() State {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.state
}

func (i *Ingest) update(change func(*State)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(&i.state)
}

// Run connects, receives and reconnects until ctx ends.
func (i *Ingest) Run(ctx context.Context) error {
	if err := i.recall(ctx); err != nil {
		return err
	}
	var house sync.WaitGroup
	defer house.Wait()
	house.Go(func() { i.keepHouse(ctx) })
	for attempt := 0; ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := i.connectOnce(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > i.timing.retryMax {
			attempt = 0
		}
		i.disconnected(err)
		pause(ctx, i.backOff(attempt))
	}
	i.disconnected(nil)
	return nil
}

// recall reads what was known of gates and their journals.
func (i *Ingest) recall(ctx context.Context) error {
	holdings, err := i.store.Holdings(ctx)
	if err != nil {
		return err
	}
	for _, h := range holdings {
		i.gate(h.Gate).holdings[h.Journal] = h
	}
	gates, err := i.store.Gates(ctx, time.Now())
	if err != nil {
		return err
	}
	for _, known := range gates {
		g := i.gate(known.Gate)
		g.journal, g.link, g.clock = known.Journal, known.Parts[store.Link].Value, known.Parts[store.Clock].Value
		if known.Journal != "" {
			g.tails[known.Journal] = known.Sequence
		}
	}
	return nil
}

func (i *Ingest) backOff(attempt int) time.Duration {
	wait := i.timing.retry
	for ; attempt > 0 && wait < i.timing.retryMax; attempt-- {
		wait *= 2
	}
	return min(wait, i.timing.retryMax)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (i *Ingest) disconnected(err error) {
	was := i.State()
	i.update(func(s *State) {
		if s.Connected {
			s.Since = time.Now()
		}
		s.Connected, s.LastError = false, ""
		if err != nil {
			s.LastError = err.Error()
		}
	})
	if err != nil && (was.Connected || was.LastError != err.Error()) { // the same line again and again helps nobody
		i.log.Warn("no connection to the broker", "broker", i.cfg.Broker, "error", err)
	}
}

// keepHouse does what time brings, whether the broker is there or not.
func (i *Ingest) keepHouse(ctx context.Context) {
	second := time.NewTicker(i.timing.second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
		err := i.store.Ping(ctx)
		var escalated []store.Alert
		if err == nil {
			escalated, err = i.store.Escalate(ctx, time.Now())
		}
		for _, a := range escalated {
			i.log.Warn("nobody sees to an alert: the shift leader is to", "alert", a.Event, "gate", a.Gate.Site+"/"+a.Gate.Name, "taken_before", a.Expired)
		}
		if err == nil {
			err = i.store.RetireWhenDue(ctx, time.Now())
		}
		if err != nil && ctx.Err() == nil {
			i.log.Error("the store", "error", err)
			pause(ctx, i.timing.retryMax)
		}
	}
}

// refuse counts a message that is none of a gate. Whoever sends many does not get to fill the log.
func (i *Ingest) refuse(topic string, err error) {
	var silent bool
	i.update(func(s *State) {
		s.Refused++
		silent = time.Since(i.refusalTold) < time.Second
		if !silent {
			i.refusalTold = time.Now()
		}
	})
	if !silent {
		i.log.Warn("refused a message", "topic", topic, "error", err)
	}
}

// tellAlerts brings to gates what guards do with their alerts: at first all that counts, for the broker may have lost it,
// then what is new.
func (i *Ingest) tellAlerts(ctx context.Context, conn *mqtt.KeptSession) {
	news, stop := i.store.Watch()
	defer stop()
	words, err := i.store.Words(ctx, time.Now())
	for {
		if err == nil {
			err = i.tellWords(ctx, conn, words)
		}
		if err != nil && ctx.Err() == nil {
			i.log.Warn("gates are not told of alerts", "error", err)
			pause(ctx, i.timing.retryMax)
		} else {
			select {
			case <-news:
			case <-time.After(30 * i.timing.second): // what is over, too
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		words, err = i.store.Untold(ctx, time.Now())
	}
}

func (i *Ingest) tellWords(ctx context.Context, conn *mqtt.KeptSession, words []store.Word) error {
	var errs []error
	for _, word := range words {
		payload := wordPayload(word)
		var err error
		for _, id := range word.Events {
			err = errors.Join(err, conn.Send(word.Gate.AlertTopic(id), true, payload)(ctx))
		}
		if err == nil {
			err = i.store.Told(ctx, word)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

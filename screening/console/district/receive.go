package district

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"thermogate/screening/console/store"
)

const (
	// urgentName and otherName are the places in the stream, of UrgentKinds and OtherKinds, that all workers of a district's console
	// share. One console receives at a time, for it has the store; the next one goes on where it stopped.
	urgentName = "district-urgent"
	otherName  = "district"
	// maxWorkers is how many store at the same time at most, each on a core of its own.
	maxWorkers = 4
	// maxBatch bounds how many messages share one commit, and maxUnstored how many are on their way to it.
	maxBatch    = 500
	minBatch    = 50
	maxUnstored = 4000
	// batchTime is how long a commit may take before the next ones are smaller.
	batchTime = 500 * time.Millisecond
	// ackWait is after which time a message comes again that was not stored.
	ackWait = 30 * time.Second
	// patience is after how many attempts a message is looked at for itself that the store does not take.
	patience = 3
	// lateLimit is how old an event may be whose way counts as the delay of the district's own.
	lateLimit = time.Hour
	// mostGates is how many gates a site has. Each is looked at for the pages of all.
	mostGates = 2000

	second     = time.Second
	countPause = 500 * time.Millisecond
	// retirePause is for how long what is old is not looked for again. A thousand plants that come at once change how long it is kept.
	retirePause = 30 * time.Second
	retryPause  = 200 * time.Millisecond
	maxPause    = 5 * time.Second
	askLimit    = 10 * time.Second
	// heartbeat is of the stream: where two are missing it is asked anew, which may have another leader by then.
	heartbeat = 2 * time.Second
	// silence is after how long a stream that does not answer is as good as none, though a server is connected.
	silence = 15 * time.Second
	// handOver is after how long without a stream another console of the district may try. Where that was in vain it takes twice as
	// long the next time, and up to 1<<mostHandOvers times: consoles that all hear nothing need not take turns.
	handOver      = 30 * time.Second
	mostHandOvers = 2
)

var errStreamSilent = errors.New("the stream " + Stream + " does not answer: do two of three servers run, and reach each other?")

// Receiving is how a receiver is doing, for health checks and metrics.
type Receiving struct {
	Elsewhere  bool // another console of the district receives; Connected, Since and LastError are its
	Connected  bool
	Since      time.Time // of the connection, or of its loss
	LastError  string    // of the connection or the stream; empty while all is well
	StoreError string    // why messages do not get into the store; empty while they do
	CountError string    // why what is stored is not counted; empty while it is
	Messages   map[Kind]uint64
	Events     uint64 // that were new
	Refused    uint64 // messages that could not be stored
	Pending    uint64 // messages in the stream that are not stored yet
}

// Receiver brings what plants tell into a district's store. A message leaves the stream once it is stored, or, where it can't
// ever be, kept aside with the reason.
type Receiver struct {
	conn   *nats.Conn
	stream StreamConfig
	store  *store.Store
	log    *slog.Logger
	delays prometheus.Histogram

	workers []*worker

	mu          sync.Mutex
	state       Receiving
	receives    bool // a consumer is there
	refusalTold time.Time
	handOvers   int // since a stream was there last
}

// NewReceiver returns a receiver for a connection, which stays the caller's.
func NewReceiver(conn *nats.Conn, stream StreamConfig, s *store.Store, log *slog.Logger) *Receiver {
	r := &Receiver{
		conn: conn, stream: stream, store: s, log: log, state: Receiving{Since: time.Now(), Messages: map[Kind]uint64{}},
		delays: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "thermogate_district_delay_seconds", Help: "From an event to where it is stored here, of events no older than an hour.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600},
		}),
	}
	for range min(runtime.GOMAXPROCS(0), maxWorkers) {
		r.workers = append(r.workers, newWorker(r))
	}
	return r
}

// worker stores what is of some sites.
type worker struct {
	*Receiver
	suspects map[uint64]suspicion       // by their number in the stream
	gates    map[string]map[string]bool // of sites that were heard
	consoles map[string]consoles        // of sites
	came     [2]chan incoming           // what is urgent, and all else
}

func newWorker(r *Receiver) *worker {
	return &worker{Receiver: r, suspects: map[uint64]suspicion{}, gates: map[string]map[string]bool{}, consoles: map[string]consoles{}}
}

// workerOf has all that is of a site, so that it is stored in its order, and no two wait for the same rows.
func (r *Receiver) workerOf(site string) *worker {
	return r.workers[store.ShareOf(site)%len(r.workers)]
}

// Delays are the times from events to where they are stored, of those that are no older than an hour.
func (r *Receiver) Delays() prometheus.Collector { return r.delays }

// State returns how it is doing.
func (r *Receiver) State() Receiving {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.see()
	state := r.state
	state.Messages = maps.Clone(state.Messages)
	if other := r.store.Elsewhere(); other != nil {
		state.Elsewhere, state.Connected, state.Since, state.LastError = true, other.Connected, other.Since, other.Fault
		state.StoreError, state.CountError, state.Pending = other.Store, "", 0
	}
	return state
}

// see notes whether the connection is there.
func (r *Receiver) see() {
	if now := r.receives && r.conn.IsConnected(); now != r.state.Connected {
		r.state.Connected, r.state.Since = now, time.Now()
	}
	if err := r.conn.LastError(); err != nil && !r.state.Connected && r.state.LastError == "" {
		r.state.LastError = explain(err).Error()
	}
}

func (r *Receiver) update(change func(*Receiving)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.state)
}

// Run receives until ctx ends, or another console had better try: no stream has been there for a while.
func (r *Receiver) Run(ctx context.Context) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	defer r.update(func(s *Receiving) {
		r.receives = false
		s.StoreError, s.CountError = "", ""
	})
	for _, w := range r.workers { // another console may have received before
		clear(w.gates)
		clear(w.consoles)
		clear(w.suspects)
	}
	var house sync.WaitGroup
	defer house.Wait()
	house.Go(func() { r.keepHouse(ctx, leave) })
	house.Go(func() { r.count(ctx) })
	for wait := retryPause; ctx.Err() == nil; wait = min(2*wait, maxPause) {
		began := time.Now()
		err := r.receive(ctx)
		if ctx.Err() != nil {
			break
		}
		r.fail(err)
		if time.Since(began) > maxPause {
			wait = retryPause
		}
		pause(ctx, wait)
	}
}

// fail notes why nothing is received. The same line again and again helps nobody.
func (r *Receiver) fail(err error) {
	var told bool
	r.update(func(s *Receiving) {
		r.receives, told = false, s.LastError == err.Error()
		s.LastError = err.Error()
		r.see()
	})
	if !told {
		r.log.Warn("nothing is received from plants", "error", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// keepHouse does what time brings, whether plants are heard or not.
func (r *Receiver) keepHouse(ctx context.Context, leave func()) {
	tick := time.NewTicker(second)
	defer tick.Stop()
	began := time.Now()
	var retired time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var now store.Receiving
		r.update(func(s *Receiving) {
			r.see()
			now = store.Receiving{Connected: s.Connected, Since: s.Since, Fault: s.LastError}
		})
		err := r.store.Ping(ctx)
		if err == nil {
			err = r.store.NoteReceiving(ctx, now)
		}
		if err == nil && time.Since(retired) >= retirePause {
			retired = time.Now()
			err = r.store.RetireWhenDue(ctx, retired)
		}
		if now.Connected {
			r.handOvers = 0
		} else if err == nil && min(time.Since(began), time.Since(now.Since)) >= handOver<<min(r.handOvers, mostHandOvers) {
			var others bool
			if others, err = r.store.OthersOpen(ctx); others {
				r.handOvers++
				r.log.Warn("another console of the district may try to receive: this one has no stream", "error", now.Fault)
				leave()
				return
			}
		}
		if err != nil && ctx.Err() == nil {
			r.log.Error("the store", "error", err)
			pause(ctx, maxPause)
		}
	}
}

// count counts what is stored, for which it takes a quarter of the time at most: what is urgent waits for it.
func (r *Receiver) count(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		more, err := r.store.Count(ctx)
		if ctx.Err() != nil {
			return
		}
		r.update(func(s *Receiving) {
			if s.CountError = ""; err != nil {
				s.CountError = err.Error()
			}
		})
		switch {
		case err != nil:
			r.log.Error("what is stored is not counted yet", "error", err)
			pause(ctx, maxPause)
		case more:
			pause(ctx, 3*time.Since(began))
		default:
			pause(ctx, countPause)
		}
	}
}

// receive stores what is in the stream until that fails, what is urgent first.
func (r *Receiver) receive(ctx context.Context) error {
	if !r.conn.IsConnected() {
		return fmt.Errorf("no server of the district is connected: %w", explain(cmp.Or(r.conn.LastError(), nats.ErrDisconnected)))
	}
	consumers, err := r.consumers(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, w := range r.workers {
		w.came = [2]chan incoming{make(chan incoming, maxUnstored), make(chan incoming, maxUnstored)}
	}
	for i, consumer := range consumers {
		consuming, err := consume(ctx, consumer, func(one incoming) chan<- incoming { return r.workerOf(one.site).came[i] }, cancel)
		if err != nil {
			return fmt.Errorf("receiving from the stream %s: %w", Stream, err)
		}
		defer consuming.Stop()
	}
	r.update(func(s *Receiving) {
		r.receives, s.LastError = true, ""
		r.see()
	})
	r.log.Info("receives what plants tell", "stream", Stream)
	var working sync.WaitGroup
	working.Go(func() { r.countPending(ctx, consumers, cancel) })
	for _, w := range r.workers {
		working.Go(func() { w.work(ctx) })
	}
	working.Wait()
	return context.Cause(ctx)
}

// work stores what comes, until ctx ends.
func (r *worker) work(ctx context.Context) {
	room := maxBatch
	for {
		all := next(ctx, r.came[0], r.came[1], room)
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		r.storeAll(ctx, all)
		if time.Since(began) > batchTime { // what is urgent waits for it
			room = max(room/2, minBatch)
		} else if len(all) == room {
			room = min(2*room, maxBatch)
		}
	}
}

func consume(ctx context.Context, consumer jetstream.Consumer, to func(incoming) chan<- incoming, fail context.CancelCauseFunc) (jetstream.ConsumeContext, error) {
	return consumer.Consume(func(msg jetstream.Msg) {
		one := read(msg, time.Now())
		select {
		case to(one) <- one:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessages(maxUnstored/2), jetstream.PullHeartbeat(heartbeat), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConnectionClosed) {
			fail(err)
		}
	}))
}

// consumers are that of what is urgent, and the other one.
func (r *Receiver) consumers(ctx context.Context) (two [2]jetstream.Consumer, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	js, err := jetstream.New(r.conn)
	if err != nil {
		return two, err
	}
	stream, err := EnsureStream(ctx, js, r.stream)
	if err != nil {
		return two, err
	}
	// New places begin with what is not stored: what the console before had on its way would else come after ackWait only.
	for _, name := range []string{urgentName, otherName} {
		if err := stream.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return two, fmt.Errorf("removing the consumer %s of the stream %s: %w", name, Stream, err)
		}
	}
	for i, place := range []struct {
		name  string
		kinds []Kind
	}{{urgentName, UrgentKinds}, {otherName, OtherKinds}} {
		if two[i], err = stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: place.name, Description: "the console of the district", FilterSubjects: subjects(place.kinds...), AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: ackWait, MaxAckPending: maxUnstored,
		}); err != nil {
			return two, fmt.Errorf("making the consumer %s of the stream %s: %w", place.name, Stream, err)
		}
	}
	return two, nil
}

// countPending keeps count of what is not stored yet, and fails where the stream does not answer.
func (r *Receiver) countPending(ctx context.Context, consumers [2]jetstream.Consumer, fail context.CancelCauseFunc) {
	for answered := time.Now(); ctx.Err() == nil; {
		ask, cancel := context.WithTimeout(ctx, askLimit)
		pending, known := uint64(0), true
		for _, consumer := range consumers {
			info, err := consumer.Info(ask)
			if known = known && err == nil; known {
				pending += info.NumPending + uint64(info.NumAckPending)
			}
		}
		if cancel(); known {
			answered = time.Now()
			r.update(func(s *Receiving) { s.Pending = pending })
		} else if time.Since(answered) >= silence {
			fail(errStreamSilent)
		}
		pause(ctx, maxPause)
	}
}

// next waits for a message and returns what has come already, so many at most: what is urgent, and of the others what there is
// room for. A quarter is theirs, for a plant that has something urgent again and again must not hold them up for good.
func next(ctx context.Context, urgent, others <-chan incoming, room int) (all []incoming) {
	select {
	case one := <-urgent:
		all = append(all, one)
	default:
		select {
		case one := <-urgent:
			all = append(all, one)
		case one := <-others:
			all = append(all, one)
		case <-ctx.Done():
			return nil
		}
	}
	return take(others, room, take(urgent, room-room/4, all))
}

// take appends what has come, up to so many in all.
func take(from <-chan incoming, most int, all []incoming) []incoming {
	for len(all) < most {
		select {
		case one := <-from:
			all = append(all, one)
		default:
			return all
		}
	}
	return all
}

// storeAll stores messages and acknowledges them. While the store does not take them they stay in the stream.
func (r *worker) storeAll(ctx context.Context, all []incoming) {
	r.readyGates(ctx, all)
	var wrong []incoming
	fit := slices.DeleteFunc(all, func(one incoming) bool {
		if one.wrong == nil {
			one.wrong = firstOf(r.checkGates(one), r.checkConsole(one, time.Now()))
		}
		if one.wrong != nil {
			wrong = append(wrong, one)
		}
		return one.wrong != nil
	})
	r.refuse(ctx, wrong)
	for attempt, wait := 1, retryPause; ctx.Err() == nil && len(fit) > 0; attempt, wait = attempt+1, min(2*wait, maxPause) {
		err := r.hear(ctx, fit)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.update(func(s *Receiving) { s.StoreError = err.Error() })
		if attempt == 1 {
			r.log.Error("what plants tell is not stored; it stays in the stream", "messages", len(fit), "error", err)
		}
		if attempt >= patience && r.store.Ping(ctx) == nil {
			r.storeApart(ctx, fit, err)
			return
		}
		pause(ctx, wait)
	}
}

// readyGates has the gates at hand of the sites that messages are of.
func (r *worker) readyGates(ctx context.Context, all []incoming) {
	var sites []string
	for _, one := range all {
		if one.wrong == nil && r.gates[one.site] == nil && !slices.Contains(sites, one.site) {
			sites = append(sites, one.site)
		}
	}
	if len(sites) == 0 {
		return
	}
	gates, err := r.store.GatesOf(ctx, sites)
	if err != nil {
		return // the store tells, and stores nothing now
	}
	for _, site := range sites {
		r.gates[site] = map[string]bool{}
	}
	for _, gate := range gates {
		r.gates[gate.Site][gate.Name] = true
	}
}

// checkGates refuses gates of a site beyond so many.
func (r *worker) checkGates(one incoming) error {
	known := r.gates[one.site]
	if known == nil {
		return nil
	}
	check := func(gate string) error {
		if !known[gate] && len(known) >= mostGates {
			return fmt.Errorf("the site has %d gates, and no room for one more, %.80q", len(known), gate)
		}
		known[gate] = true
		return nil
	}
	for _, e := range one.news.Events {
		if err := check(e.Gate.Name); err != nil {
			return err
		}
	}
	for _, s := range one.news.Statuses {
		if err := check(s.Gate.Name); err != nil {
			return err
		}
	}
	return nil
}

// consoles are those that have told how a site is kept: the one whose word counts, when it came last, and the one before.
type consoles struct {
	now, before string
	at          time.Time
}

// twinPause is after what silence of the one another console may tell of a site, though that has told of it before.
const twinPause = 3 * time.Minute

// checkConsole refuses how a site is kept from a second console, else each would have the other's events deleted and counted anew.
// A console that is started again is another one, and goes on; the one before does not come back.
func (r *worker) checkConsole(one incoming, at time.Time) error {
	for _, p := range one.news.Plants {
		is := r.consoles[p.Site]
		switch {
		case p.Console == "":
			continue
		case p.Console == is.now:
			is.at = at
		case p.Console == is.before && at.Sub(is.at) < twinPause:
			return fmt.Errorf("two consoles tell of the site %s, and this one's word on how it is kept does not count: give one of two plants another name, or stop the copy of a console", p.Site)
		default:
			is = consoles{now: p.Console, before: is.now, at: at}
		}
		r.consoles[p.Site] = is
	}
	return nil
}

// storeApart finds the messages for which the others are not stored.
func (r *worker) storeApart(ctx context.Context, all []incoming, err error) {
	if len(all) == 1 {
		r.suspect(ctx, all[0], err)
		return
	}
	for _, half := range [][]incoming{all[:len(all)/2], all[len(all)/2:]} {
		if err := r.hear(ctx, half); err != nil && ctx.Err() == nil {
			r.storeApart(ctx, half, err)
		}
	}
}

// suspicion is how often the store did not take a message, and how many others of its kind it had taken before.
type suspicion struct {
	times  int
	before uint64
}

// suspect puts a message off that the store did not take. Where it takes others of the same kind, but never this one, the
// fault is the message's; else the store's, and the message waits.
func (r *worker) suspect(ctx context.Context, one incoming, err error) {
	taken := r.State().Messages[one.kind]
	is, known := r.suspects[one.number]
	if !known {
		is.before = taken
	}
	is.times++
	if is.times >= patience && taken > is.before {
		delete(r.suspects, one.number)
		one.wrong = err
		r.refuse(ctx, []incoming{one})
		return
	}
	if len(r.suspects) >= maxUnstored {
		clear(r.suspects) // they are put off again
	}
	r.suspects[one.number] = is
	if err := one.msg.NakWithDelay(maxPause); err != nil {
		r.log.Warn("a message waits for longer than it should", "error", err)
	}
}

// hear stores messages and acknowledges them.
func (r *Receiver) hear(ctx context.Context, all []incoming) error {
	var news store.News
	news.Heard = map[string]time.Time{}
	for _, one := range all {
		news.Events = append(news.Events, one.news.Events...)
		news.Alerts = append(news.Alerts, one.news.Alerts...)
		news.Statuses = append(news.Statuses, one.news.Statuses...)
		news.Plants = append(news.Plants, one.news.Plants...)
		news.Shifts = append(news.Shifts, one.news.Shifts...)
		news.Deletions = append(news.Deletions, one.news.Deletions...)
		if one.at.After(news.Heard[one.site]) {
			news.Heard[one.site] = one.at
		}
	}
	fresh, err := r.store.Hear(ctx, news)
	if err != nil {
		return err
	}
	r.update(func(s *Receiving) {
		s.StoreError = ""
		s.Events += uint64(fresh)
		for _, one := range all {
			s.Messages[one.kind]++
		}
	})
	now := time.Now()
	for _, e := range news.Events {
		if delay := now.Sub(e.Time); delay <= lateLimit {
			r.delays.Observe(max(0, delay.Seconds()))
		}
	}
	r.acknowledge(all)
	return nil
}

func (r *Receiver) acknowledge(all []incoming) {
	for _, one := range all {
		if err := one.msg.Ack(); err != nil {
			r.log.Warn("a message is stored and may come again", "error", err)
			return // so do the others, and it does no harm
		}
	}
}

// refuse keeps messages aside that can't be stored. Whoever sends many gets neither to fill the log nor to hold up the others.
func (r *Receiver) refuse(ctx context.Context, all []incoming) {
	if len(all) == 0 {
		return
	}
	aside := make([]store.RefusedMessage, len(all))
	for i, one := range all {
		aside[i] = store.RefusedMessage{
			At: time.Now(), Site: one.site, Subject: one.msg.Subject(), ID: one.msg.Headers().Get(jetstream.MsgIDHeader), Reason: one.wrong.Error(), Payload: one.msg.Data(),
		}
	}
	if err := r.store.Refuse(ctx, aside...); err != nil {
		if ctx.Err() == nil {
			r.log.Error("messages can't be stored, nor kept aside; they stay in the stream", "messages", len(all), "error", err)
		}
		return
	}
	var silent bool
	r.update(func(s *Receiving) {
		s.Refused += uint64(len(all))
		if silent = time.Since(r.refusalTold) < time.Second; !silent {
			r.refusalTold = time.Now()
		}
	})
	if !silent {
		r.log.Warn("refused messages, and keeps them aside", "messages", len(all), "subject", all[0].msg.Subject(), "error", all[0].wrong)
	}
	for _, one := range all {
		if err := one.msg.TermWithReason(one.wrong.Error()); err != nil {
			r.log.Warn("a refused message may come again", "error", err)
			return
		}
	}
}

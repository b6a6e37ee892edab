package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// gate is what ingest knows of a gate.
type gate struct {
	mqtt.Gate
	holdings map[string]store.Holding // by journal
	journal  string                   // that the gate has now
	tails    map[string]int64         // ends of its journals, by the gate's own word
	twinned  time.Time                // when a journal last came back that another one had followed
	flipped  time.Time                // when the log last told of that
	status   mqtt.StatusMessage       // as it was noted last
	settings mqtt.Settings            // as they were noted last, and when that was
	changed  time.Time
	link     string
	began    place         // where its journal ended when it was first heard on this connection
	ahead    time.Duration // of its clock, when it last made an event
	clock    string        // as it was noted last
	seen     time.Time     // when anything came from it, what the broker had kept aside
	noted    time.Time     // what of that the store knows
	late     time.Time     // when an event came late or again; as long as they do, more are on their way

	noticed map[gap]time.Time // since when something is missing
	asked   time.Time
	said    word
	saidAt  time.Time
}

// place is one in a journal.
type place struct {
	journal  string
	sequence int64
}

// gap is named by where it begins; while it is being filled, that moves.
type gap struct {
	journal string
	from    int64
}

// word is what was said to be stored.
type word struct {
	journal string
	through int64
}

func (i *Ingest) gate(of mqtt.Gate) *gate {
	g := i.gates[of]
	if g == nil {
		g = &gate{Gate: of, holdings: map[string]store.Holding{}, tails: map[string]int64{}, noticed: map[gap]time.Time{}}
		i.gates[of] = g
		i.newGates.Add(1)
	}
	return g
}

// inbox takes what the broker delivers. It is bounded by how much the broker delivers before it is acknowledged, and pictures,
// which nobody acknowledges, by how many may wait.
type inbox struct {
	mu       sync.Mutex
	waiting  []mqtt.Delivery
	pictures int // among those that wait
	news     chan struct{}
}

// maxPictures is how many pictures wait for the store; more are dropped.
const maxPictures = 64

func isPicture(d mqtt.Delivery) bool {
	_, kind, _ := mqtt.ParseTopic(d.Topic)
	return strings.HasPrefix(kind, snapshotKind)
}

func (b *inbox) add(d mqtt.Delivery) {
	picture := isPicture(d)
	b.mu.Lock()
	if picture && (b.pictures >= maxPictures || len(d.Payload) > mqtt.MaxSnapshotBytes) {
		b.mu.Unlock()
		return
	}
	if picture {
		b.pictures++
	}
	b.waiting = append(b.waiting, d)
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

func (b *inbox) take(most int) []mqtt.Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(most, len(b.waiting))
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	for _, d := range batch {
		if isPicture(d) {
			b.pictures--
		}
	}
	return batch
}

// session is one connection to the broker.
type session struct {
	*Ingest
	conn    *mqtt.KeptSession
	began   time.Time
	stalled time.Time // when the store last took something after it had not
	in      *inbox
}

// connectOnce lives through one connection and returns why it ended.
func (i *Ingest) connectOnce(ctx context.Context) error {
	s := &session{Ingest: i, in: &inbox{news: make(chan struct{}, 1)}}
	conn, err := mqtt.ConnectKept(ctx, i.cfg, i.cfg.ClientID, filters, s.in.add)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Listen(ctx, pictureFilter); err != nil {
		i.log.Warn("alerts will have no pictures", "error", err)
	}
	s.conn, s.began = conn, time.Now()
	for _, g := range i.gates { // the broker may have lost what was said and asked
		g.said, g.saidAt, g.asked, g.began = word{}, time.Time{}, time.Time{}, place{}
	}
	i.update(func(state *State) { state.Connected, state.Since, state.LastError = true, s.began, "" })
	i.log.Info("connected to the broker", "broker", i.cfg.Broker)
	over, stop := context.WithCancel(ctx)
	var telling sync.WaitGroup
	defer telling.Wait()
	defer stop()
	telling.Go(func() { i.tellAlerts(over, conn) })
	telling.Go(func() { i.tellPasses(over, conn) })
	return s.receive(ctx)
}

// takenOver is within what time a connection ends that somebody else takes.
const takenOver = 5 * time.Second

func (s *session) receive(ctx context.Context) error {
	due := time.NewTicker(s.timing.say)
	defer due.Stop()
	second := time.NewTicker(s.timing.second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.conn.Lost():
			hint := ""
			if time.Since(s.began) < takenOver {
				hint = fmt.Sprintf(" at once; is something else connected with the client id %q, another console of this name perhaps?", s.cfg.ClientID)
			}
			return fmt.Errorf("mqtt.broker %s: the connection broke off%s: %w", s.cfg.Broker, hint, err)
		case <-s.in.news:
		case <-due.C:
			s.say(time.Now())
			continue
		case <-second.C:
			if err := s.lookAround(ctx, time.Now()); err != nil {
				return err
			}
			continue
		}
		for batch := s.in.take(maxBatch); len(batch) > 0; batch = s.in.take(maxBatch) {
			if err := s.take(ctx, batch); err != nil {
				return err
			}
		}
	}
}

// take stores what a batch of messages says, and acknowledges it.
func (s *session) take(ctx context.Context, batch []mqtt.Delivery) error {
	now := time.Now()
	var events []store.Event
	var pictures []store.Snapshot
	var rest []func(context.Context) error
	for _, message := range batch {
		of, kind, ok := mqtt.ParseTopic(message.Topic)
		if err := of.Validate(); !ok && kind != "" && err != nil {
			s.refuse(message.Topic, err)
		}
		if !ok || len(message.Payload) == 0 || message.Retained && kind != "status" {
			continue // an empty message takes back what the broker kept; only a status is kept for good
		}
		revoked := s.store.Revoked(of).At
		if !revoked.IsZero() && !strings.HasPrefix(kind, "screening/") {
			s.gate(of).link = store.RevokedLink
			continue
		}
		switch {
		case strings.HasPrefix(kind, "screening/"):
			e, err := store.NewEvent(of, message.Payload, now)
			if err != nil {
				s.refuse(message.Topic, err)
				rest = append(rest, func(ctx context.Context) error { return s.passOver(ctx, of, message.Payload, now) })
				continue
			}
			if !revoked.IsZero() && e.Time.After(revoked) {
				s.refuse(message.Topic, errors.New("the gate is revoked, and made this event after that"))
				continue
			}
			if clock := s.time(&e, now); clock != s.gate(of).clock {
				rest = append(rest, func(ctx context.Context) error { return s.setClock(ctx, of, clock, now) })
			}
			events = append(events, e)
		case strings.HasPrefix(kind, snapshotKind):
			picture, err := store.NewSnapshot(of, strings.TrimPrefix(kind, snapshotKind), message.Payload, now)
			if err != nil {
				s.refuse(message.Topic, err)
				continue
			}
			pictures = append(pictures, picture)
		case kind == "status":
			rest = append(rest, func(ctx context.Context) error { return s.takeStatus(ctx, of, message.Message, now) })
		case kind == "resent":
			rest = append(rest, func(ctx context.Context) error { return s.takeResent(ctx, of, message.Message, now) })
		}
	}
	if err := s.persist(ctx, func(ctx context.Context) error { return s.keep(ctx, events, now) }); err != nil {
		return err
	}
	if err := s.store.AddSnapshots(ctx, pictures); err != nil && ctx.Err() == nil { // their loss is allowed
		s.log.Warn("alerts have no picture", "pictures", len(pictures), "error", err)
	}
	for _, do := range rest {
		if err := s.persist(ctx, do); err != nil {
			return err
		}
	}
	for _, message := range batch {
		message.Done()
	}
	s.say(time.Now())
	return nil
}

// persist does something with the store until it succeeds. Meanwhile the broker keeps what is not acknowledged.
func (s *session) persist(ctx context.Context, do func(context.Context) error) error {
	for attempt := 0; ; attempt++ {
		err := do(ctx)
		if err == nil {
			if attempt > 0 {
				s.stalled = time.Now()
				s.log.Info("the store takes events again")
				s.update(func(state *State) { state.StoreError = "" })
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt == 0 {
			s.log.Error("the store takes no events; they wait at the broker", "error", err)
		}
		s.update(func(state *State) { state.StoreError = err.Error() })
		select {
		case <-time.After(s.backOff(attempt)):
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.conn.Lost():
			return fmt.Errorf("mqtt.broker %s: the connection broke off: %w", s.cfg.Broker, err)
		}
	}
}

func (s *session) keep(ctx context.Context, events []store.Event, now time.Time) error {
	if len(events) == 0 {
		return nil
	}
	began := time.Now()
	done, err := s.store.Append(ctx, events)
	if err != nil {
		return err
	}
	s.update(func(state *State) {
		state.Commits++
		state.Committing += time.Since(began)
		state.Events += uint64(done.New)
		state.Repeated += uint64(len(events) - done.New)
	})
	for _, h := range done.Holdings {
		g := s.gate(h.Gate)
		g.holdings[h.Journal] = h
		if g.journal < h.Journal && g.status.Journal == "" { // until the gate says which one it has
			g.journal = h.Journal
		}
	}
	for _, e := range events {
		if e.Data.Historical {
			s.gate(e.Gate).late = now
		}
	}
	return nil
}

const (
	// clockLimit is by how much a gate's clock is wrong: as a box that joins, it may be off by less.
	clockLimit = 2 * time.Minute
	// afterStall is for how long after the store took nothing events may be older than a gate's clock makes them.
	afterStall = time.Minute
)

// time tells an event by how much its gate's clock is behind, where that is wrong, and returns how the clock is. What a gate has
// made since it was first heard on this connection is of now, whatever its clock says; what was made before may have waited anywhere.
func (s *session) time(e *store.Event, now time.Time) (clock string) {
	g := s.gate(e.Gate)
	clock = g.clock
	if !e.Data.Historical && e.After(g.began.journal, g.began.sequence) && now.Sub(s.stalled) > afterStall {
		switch g.ahead = e.Time.Sub(now); {
		case g.ahead > clockLimit:
			clock = store.ClockAhead
		case g.ahead < -clockLimit:
			clock = store.ClockBehind
		case clock == "" || g.ahead.Abs() < clockLimit/2:
			clock = store.ClockRight
		}
	}
	if clock == store.ClockBehind {
		e.Behind = max(-g.ahead, 0)
		if g.ahead == 0 { // known from before a restart, but not by how much
			e.Behind = max(now.Sub(e.Time), 0)
		}
	}
	return clock
}

func (s *session) setClock(ctx context.Context, of mqtt.Gate, clock string, now time.Time) error {
	g := s.gate(of)
	if g.clock == clock {
		return nil
	}
	if err := s.store.SetClock(ctx, of, clock, now); err != nil {
		return err
	}
	if clock != store.ClockRight {
		s.log.Warn("the clock of a gate is wrong", "gate", of.Site+"/"+of.Name, "ahead", g.ahead)
	}
	g.clock = clock
	return nil
}

// passOver notes the place of what is no event, so that it is not asked for again and again.
func (s *session) passOver(ctx context.Context, of mqtt.Gate, payload []byte, now time.Time) error {
	journal, sequence, ok := store.Place(payload)
	if !ok {
		return nil
	}
	return s.lose(ctx, of, journal, []mqtt.Span{{From: sequence, To: sequence}}, store.Refused, now)
}

func (s *session) lose(ctx context.Context, of mqtt.Gate, journal string, missing []mqtt.Span, reason string, now time.Time) error {
	g := s.gate(of)
	before := count(g.holdings[journal].Missing())
	h, err := s.store.Missing(ctx, of, journal, missing, reason, now)
	if err != nil {
		return err
	}
	g.holdings[journal] = h
	if more := count(h.Missing()) - before; more > 0 {
		s.update(func(state *State) { state.Lost += uint64(more) })
		s.log.Error("events are lost for good", "gate", of.Site+"/"+of.Name, "journal", journal, "events", more, "reason", reason)
	}
	return nil
}

func count(spans []mqtt.Span) (n int64) {
	for _, span := range spans {
		n += span.To - span.From + 1
	}
	return n
}

func (s *session) takeStatus(ctx context.Context, of mqtt.Gate, m mqtt.Message, now time.Time) error {
	status, err := parseStatus(m.Payload)
	if err != nil {
		s.refuse(m.Topic, err)
		return nil
	}
	g := s.gate(of)
	if !m.Retained {
		g.seen = now
	} else if g.link == store.Quiet { // the broker does not know better
		return nil
	}
	if told := status.Settings; told != nil {
		if err := s.noteSettings(ctx, g, *told, now); err != nil {
			return err
		}
		status.Settings = nil
	}
	if status.Journal != "" {
		s.noticeTwin(g, status.Journal, now)
		if m.QoS == 0 && !m.Retained && g.began.journal != status.Journal { // what the broker had kept may be old
			g.began = place{status.Journal, status.Sequence}
		}
		g.journal, g.tails[status.Journal] = status.Journal, status.Sequence
	}
	if now.Sub(g.twinned) < twinTime {
		if status.State == store.Offline { // the will of who was just thrown off
			return nil
		}
		status.State = store.Doubled
	}
	if g.link != status.State {
		g.clock = "" // with a gate that is not there any more that is forgotten
	}
	if status != g.status || g.link != status.State {
		if err := s.store.SetStatus(ctx, of, status, now); err != nil {
			return err
		}
		g.noted = now
	}
	g.status, g.link = status, status.State
	return nil
}

// twinPause is how often the log tells of two gates of one name, twinTime after what time without a turn they are one again.
const (
	twinPause = time.Minute
	twinTime  = 5 * time.Minute
)

// noticeTwin tells of a gate that has two journals by turns: it was moved to another machine, and the old one still runs.
func (s *session) noticeTwin(g *gate, journal string, now time.Time) {
	if _, known := g.tails[journal]; !known || journal == g.journal {
		return
	}
	g.twinned = now
	if now.Sub(g.flipped).Abs() < twinPause {
		return
	}
	g.flipped = now
	s.log.Error("two gates of one name are at work, and throw each other off the broker; switch off the one that was replaced, or give it another name",
		"gate", g.Site+"/"+g.Name, "journals", []string{g.journal, journal})
}

// settingsPause is how soon a gate can't have been started anew with other settings.
const settingsPause = 2 * time.Second

// noteSettings stores what a status says of settings, unless it says the same as the one before.
func (s *session) noteSettings(ctx context.Context, g *gate, told mqtt.Settings, now time.Time) error {
	same := told.Hash == g.settings.Hash && told.Written.Equal(g.settings.Written) && maps.Equal(told.Values, g.settings.Values)
	if same || now.Sub(g.changed).Abs() < settingsPause {
		return nil
	}
	if err := s.store.SetSettings(ctx, g.Gate, told, now); err != nil {
		return err
	}
	g.settings, g.changed = told, now
	return nil
}

func (s *session) takeResent(ctx context.Context, of mqtt.Gate, m mqtt.Message, now time.Time) error {
	resent, err := parseResent(m.Payload)
	if err != nil {
		s.refuse(m.Topic, err)
		return nil
	}
	if len(resent.Missing) == 0 {
		return nil
	}
	return s.lose(ctx, of, resent.Journal, resent.Missing, store.Gone, now)
}

// say tells gates up to where everything is stored.
func (s *session) say(now time.Time) {
	for _, g := range s.gates {
		if g.journal == "" {
			continue
		}
		is := word{g.journal, g.holdings[g.journal].Through()}
		if is == g.said || now.Sub(g.saidAt) < s.timing.say {
			continue
		}
		payload, err := json.Marshal(struct {
			Journal string `json:"journal"`
			Through int64  `json:"through"`
			By      string `json:"by"`
		}{is.journal, is.through, s.name})
		if err != nil {
			panic(err) // strings and a number
		}
		s.conn.Send(g.StoredTopic(), true, payload) // where it fails, the connection has, and the next one begins with it
		g.said, g.saidAt = is, now
	}
}

// lookAround sees which gates have gone quiet, and asks for what is missing.
func (s *session) lookAround(ctx context.Context, now time.Time) error {
	var quiet []mqtt.Gate
	seen := map[mqtt.Gate]time.Time{}
	wanted := int64(0)
	for _, g := range s.gates {
		heard := g.seen
		if heard.Before(s.began) {
			heard = s.began
		}
		if (g.link == store.Online || g.link == store.Doubled) && now.Sub(heard) > s.timing.quiet && s.store.Revoked(g.Gate).At.IsZero() {
			quiet = append(quiet, g.Gate)
		}
		if g.seen.After(g.noted) {
			seen[g.Gate] = g.seen
		}
		wanted += s.ask(g, now)
	}
	s.update(func(state *State) { state.Wanted = wanted })
	return s.persist(ctx, func(ctx context.Context) error {
		if err := s.store.Hush(ctx, quiet, now); err != nil {
			return err
		}
		if err := s.store.Seen(ctx, seen); err != nil {
			return err
		}
		for _, of := range quiet {
			s.gate(of).link = store.Quiet
			s.log.Warn("a gate has gone quiet", "gate", of.Site+"/"+of.Name)
		}
		for of, at := range seen {
			s.gate(of).noted = at
		}
		return nil
	})
}

// mostAsked bounds how many gaps are asked for at once; a gate takes 32.
const mostAsked = 16

// ask asks a gate for what is missing of its journals, and returns how many events that is.
func (s *session) ask(g *gate, now time.Time) (wanted int64) {
	var missing []mqtt.Resend
	for journal, h := range g.holdings {
		missing = append(missing, gapsOf(journal, h, g.tails[journal])...)
	}
	for journal, tail := range g.tails {
		if _, held := g.holdings[journal]; !held {
			missing = append(missing, gapsOf(journal, store.Holding{}, tail)...)
		}
	}
	before := g.noticed
	g.noticed = map[gap]time.Time{}
	var due []mqtt.Resend
	for _, m := range missing {
		wanted += m.To - m.From + 1
		is := gap{m.Journal, m.From}
		since, known := before[is]
		if !known {
			since = now
		}
		g.noticed[is] = since
		if now.Sub(since) >= s.timing.patience {
			due = append(due, m)
		}
	}
	if len(due) == 0 || g.link != store.Online || now.Sub(g.late) < s.timing.patience || now.Sub(g.asked) < s.timing.askAgain {
		return wanted
	}
	g.asked = now
	for _, m := range due[:min(len(due), mostAsked)] {
		payload, err := json.Marshal(m)
		if err != nil {
			panic(err) // a string and numbers
		}
		s.conn.Send(g.ResendTopic(), false, payload) // asked for again where it gets lost
	}
	s.log.Info("asked a gate for events that are missing", "gate", g.Site+"/"+g.Name, "events", wanted, "gaps", len(due))
	return wanted
}

func gapsOf(journal string, h store.Holding, tail int64) []mqtt.Resend {
	var gaps []mqtt.Resend
	for _, span := range h.Gaps(tail) {
		gaps = append(gaps, mqtt.Resend{Journal: journal, From: span.From, To: span.To})
	}
	return gaps
}

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"thermogate/cmd/internal/program"
	"thermogate/screening/console/district"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// plants are many consoles of plants in one process.
type plants struct {
	district district.Config
	count    int
	gates    int     // of each
	rate     float64 // events a second of each gate
	duration time.Duration
	idsFile  string
	sent     sent
}

// Of the alerts of simulated plants.
const (
	districtAlertIn = 200              // one event in so many is an alert
	alertStep       = 20 * time.Second // the most that it takes from one state of an alert to the next
)

const (
	sitePause   = time.Minute // between two signs of life of a plant
	idsPause    = time.Second / 10
	unsentLimit = time.Minute // how long a district may confirm nothing once all events were made
)

func (p *plants) validate() error {
	switch {
	case p.count < 1 || p.count > 1000:
		return fmt.Errorf("--plants %d: it is between 1 and 1000", p.count)
	case p.gates < 1 || p.gates > 1000 || p.gates*p.count > 10_000:
		return fmt.Errorf("--gates %d: with --district it is the gates of each plant, at most 10000 of all plants together", p.gates)
	case p.rate <= 0 || p.rate > 100:
		return fmt.Errorf("--rate %g: it is above 0 and at most 100", p.rate)
	case p.duration < time.Second || p.duration > 24*time.Hour:
		return fmt.Errorf("--duration %v: it is between 1s and 24h", p.duration)
	}
	if err := p.district.Validate(); err != nil {
		return fmt.Errorf("--district: %w", err)
	}
	return nil
}

func (p *plants) simulate(cmd *cobra.Command) error {
	if err := p.validate(); err != nil {
		return program.Usage(err)
	}
	if err := p.run(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), &p.sent)
	if p.sent.left > 0 {
		return fmt.Errorf("%d messages were not confirmed: %s", p.sent.left, cmp.Or(p.sent.problem, "no word why"))
	}
	return nil
}

// run has all plants send, and ends once the district has confirmed everything, or has confirmed nothing for unsentLimit.
func (p *plants) run(ctx context.Context) error {
	if p.idsFile != "" {
		file, err := os.Create(p.idsFile)
		if err != nil {
			return err
		}
		defer file.Close()
		p.sent.ids = bufio.NewWriter(file)
	}
	p.sent.began = time.Now()
	group, working := errgroup.WithContext(ctx)
	for i := range p.count {
		group.Go(func() error { return newPlant(p, i).run(working) })
	}
	over, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for sleep(over, idsPause) {
			_ = p.sent.flush() // the last one tells
		}
	}()
	if err := group.Wait(); err != nil {
		return err
	}
	return p.sent.flush()
}

// plant is the console of one plant, less all that does not reach the district.
type plant struct {
	*plants
	site   string
	gates  []simulatedGate
	outbox *outbox
	open   []openAlert
	tally  district.ShiftTally
	told   time.Time // when it told of its site last
}

type simulatedGate struct {
	mqtt.Gate
	journal  string
	sequence int64
}

// openAlert is an alert that goes on by itself.
type openAlert struct {
	district.Alert
	next time.Time
}

func newPlant(all *plants, number int) *plant {
	p := &plant{plants: all, site: fmt.Sprintf("%s-%04d", simulatedSite, number+1)}
	p.outbox = &outbox{Queue: district.NewQueue(), sent: &all.sent, added: map[int64]time.Time{}}
	for n := range all.gates {
		p.gates = append(p.gates, simulatedGate{Gate: mqtt.Gate{Site: p.site, Name: fmt.Sprintf("gate-%02d", n+1)}, journal: ulid.Make().String()})
	}
	return p
}

// run has people come for the duration and sees the alerts through, and waits until the district has confirmed it all.
func (p *plant) run(ctx context.Context) error {
	log := slog.New(slog.DiscardHandler)
	conn, err := district.Connect(p.district, p.site, log)
	if err != nil {
		return fmt.Errorf("--district: %w", err)
	}
	defer conn.Close()
	publisher, err := district.NewPublisher(conn, p.outbox, log)
	if err != nil {
		return err
	}
	sending, leave := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer leave()
	running.Go(func() { publisher.Run(sending) })
	p.work(ctx)
	for last, at := p.outbox.Len(), time.Now(); p.outbox.Len() > 0 && sleep(ctx, 50*time.Millisecond); {
		switch now := p.outbox.Len(); {
		case now != last:
			last, at = now, time.Now()
		case time.Since(at) > unsentLimit:
			p.sent.give(last, publisher.State(), conn.LastError())
			return nil
		}
	}
	p.sent.give(p.outbox.Len(), publisher.State(), conn.LastError())
	return nil
}

func (p *plant) work(ctx context.Context) {
	begin := time.Now()
	interval := time.Duration(float64(time.Second) / p.rate / float64(len(p.gates)))
	p.tally = district.ShiftTally{Name: simulatedSite, From: begin.UTC()}
	for i := range p.gates {
		p.tellStatus(&p.gates[i], begin)
	}
	next := begin.Add(mathrand.N(interval)) // out of step with the other plants
	for n := mathrand.IntN(len(p.gates)); next.Sub(begin) < p.duration && sleep(ctx, time.Until(next)); n++ {
		now := time.Now()
		if now.Sub(p.told) >= sitePause {
			p.tellSite(now)
		}
		p.screen(&p.gates[n%len(p.gates)], now)
		p.tend(now)
		next = next.Add(interval) // whatever this took
	}
	for len(p.open) > 0 {
		for i := range p.open {
			p.open[i].next = time.Time{} // the guards hurry
		}
		p.tend(time.Now())
	}
	p.tellShift(time.Now())
	p.tellSite(time.Now())
}

// screen is somebody at a gate.
func (p *plant) screen(gate *simulatedGate, now time.Time) {
	gate.sequence++
	e := madeUpEvent(gate.Gate, now, districtAlertIn)
	e.Journal, e.Sequence = gate.journal, strconv.FormatInt(gate.sequence, 10)
	p.sent.note("event", e.ID, p.site, string(e.Data.Outcome), now)
	kind := district.EventKind
	if e.Data.Outcome == event.Alert {
		kind = district.AlertEventKind
	}
	p.tell(kind, e.ID, e)
	p.tally.People++
	if e.Data.Outcome == event.Pass {
		p.tally.Pass++
		return
	}
	p.tally.Alert++
	p.open = append(p.open, openAlert{district.Alert{Event: e.ID, Gate: gate.Name, State: store.New}, now.Add(mathrand.N(alertStep))})
}

// tend has guards see to the open alerts.
func (p *plant) tend(now time.Time) {
	left := p.open[:0]
	for _, a := range p.open {
		if now.Before(a.next) {
			left = append(left, a)
			continue
		}
		a.step(now)
		if a.State != store.Closed {
			left = append(left, a)
		} else {
			p.tally.Confirmed++
			p.sent.note("alert", a.Event, p.site, string(a.Outcome), now)
		}
		p.tell(district.AlertKind, a.MessageID(), a.Alert)
	}
	p.open = left
}

func (a *openAlert) step(now time.Time) {
	at := now.UTC()
	a.Version++
	switch a.State {
	case store.New:
		a.State, a.Taken = store.Taken, &at
	case store.Taken:
		a.State, a.Read = store.Read, &at
	default:
		a.State, a.Outcome, a.Closed = store.Closed, mqtt.Confirmed, &at
	}
	a.next = now.Add(mathrand.N(alertStep))
}

func (p *plant) tellStatus(gate *simulatedGate, now time.Time) {
	status := district.GateStatus{Gate: gate.Name, At: now.UTC(), Link: store.Online, Said: &mqtt.StatusMessage{
		State: store.Online, Since: now.UTC(), Status: mqtt.Status{Version: program.Version(), Camera: string(event.CameraOK)},
	}}
	p.tell(district.StatusKind, status.MessageID(p.site), status)
}

func (p *plant) tellSite(now time.Time) {
	p.told = now
	p.tell(district.SiteKind, "", district.Site{At: now.UTC(), TimeZone: "Asia/Shanghai", KeepMonths: 12, Version: program.Version(), Waiting: int64(p.outbox.Len())})
}

func (p *plant) tellShift(now time.Time) {
	p.tally.To, p.tally.Made = now.UTC(), now.UTC()
	p.tell(district.ShiftKind, p.tally.MessageID(p.site), p.tally)
}

func (p *plant) tell(kind district.Kind, id string, body any) {
	payload, err := json.Marshal(body)
	if err != nil {
		panic(err) // plain fields
	}
	p.outbox.Add(district.Message{Site: p.site, Kind: kind, ID: id, Body: payload})
}

// outbox is one in memory that notes how long each message was in it: a thousand databases on one disk would measure the disk.
type outbox struct {
	*district.Queue
	sent *sent

	mu    sync.Mutex
	last  int64 // number of the newest message
	added map[int64]time.Time
}

func (o *outbox) Add(m district.Message) {
	o.mu.Lock()
	o.last++
	o.added[o.last] = time.Now()
	o.mu.Unlock()
	o.sent.made(m)
	o.Queue.Add(m)
}

func (o *outbox) Remove(ctx context.Context, numbers []int64) error {
	now := time.Now()
	o.mu.Lock()
	for _, n := range numbers {
		o.sent.confirmed(now.Sub(o.added[n]))
		delete(o.added, n)
	}
	o.mu.Unlock()
	return o.Queue.Remove(ctx, numbers)
}

// sent is what all plants have made, and what became of it.
type sent struct {
	mu       sync.Mutex
	ids      *bufio.Writer // nil where nobody wants them
	began    time.Time
	messages map[district.Kind]int
	bytes    int64
	took     latencies
	refused  uint64
	left     int    // messages that were never confirmed
	problem  string // what the plants say of that
	ended    time.Time
}

func (s *sent) made(m district.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages == nil {
		s.messages = map[district.Kind]int{}
	}
	s.messages[m.Kind]++
	s.bytes += int64(len(m.Body))
}

func (s *sent) confirmed(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, took)
	s.ended = time.Now()
}

// give is what a plant has left at its end, and what was wrong last with its connection.
func (s *sent) give(left int, state district.Sending, wrong error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left += left
	s.refused += state.Refused
	if s.problem = cmp.Or(s.problem, state.LastError); s.problem == "" && left > 0 && wrong != nil {
		s.problem = wrong.Error()
	}
}

// note writes a line for whoever checks what the district has.
func (s *sent) note(what, id, site, outcome string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids != nil {
		fmt.Fprintf(s.ids, "%s\t%s\t%s\t%s\t%d\n", what, id, site, outcome, at.UnixNano()) // flush has the error
	}
}

func (s *sent) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		return nil
	}
	return s.ids.Flush()
}

func (s *sent) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := 0
	for _, n := range s.messages {
		all += n
	}
	took := max(s.ended.Sub(s.began), 0) // nothing was confirmed where it has no end
	return fmt.Sprintf(`messages made       %d: %d events, %d of alerts, %d of gates, %d of sites, %d of shifts; %d bytes each on average
messages confirmed  %d in %v, %.0f a second
messages refused    %d times, and sent again
messages left       %d
from outbox to confirmation: %v
`, all, s.messages[district.EventKind]+s.messages[district.AlertEventKind], s.messages[district.AlertKind], s.messages[district.StatusKind], s.messages[district.SiteKind],
		s.messages[district.ShiftKind], s.bytes/int64(max(all, 1)), len(s.took), took.Round(time.Second),
		float64(len(s.took))/max(took.Seconds(), 1), s.refused, s.left, s.took)
}

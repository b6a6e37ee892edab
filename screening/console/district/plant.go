package district

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
)

// Plant tells a district what a plant's console stores.
type Plant struct {
	cfg     Config
	name    string
	version string
	store   *store.Store
	log     *slog.Logger
	told    *told

	mu        sync.Mutex
	publisher *Publisher // nil until there is a connection to be made
	fault     string     // why there is none
	waiting   map[string]int64
}

// PlantState is how a plant is doing with its district.
type PlantState struct {
	Sending
	Waiting int64 // messages that the district has yet to get
}

// Timing of a plant.
const (
	signOfLife = time.Minute
	countEvery = 10 * time.Second
	filesPause = 30 * time.Second // before the files that a connection needs are looked for again
)

// NewPlant has the store keep what a district is to be told; without a district in the config it is told nothing. name is
// the console's.
func NewPlant(ctx context.Context, cfg Config, name, version string, s *store.Store, log *slog.Logger) (*Plant, error) {
	p := &Plant{cfg: cfg, name: name, version: version, store: s, log: log, told: &told{log: log}}
	return p, s.TellDistrict(ctx, cfg.Enabled(), time.Now())
}

// State returns how the plant is doing, and false where it has no district.
func (p *Plant) State() (PlantState, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := PlantState{Sending: Sending{LastError: p.fault}}
	if p.publisher != nil {
		if state.Sending = p.publisher.State(); !state.Connected {
			state.LastError = p.told.fault()
		}
	}
	for _, n := range p.waiting {
		state.Waiting += n
	}
	return state, p.cfg.Enabled()
}

// Run tells the district until ctx ends. Nothing that fails with it is an error of the plant.
func (p *Plant) Run(ctx context.Context) error {
	if !p.cfg.Enabled() {
		return nil
	}
	conn := p.connect(ctx)
	if conn == nil {
		return nil
	}
	defer conn.Close()
	news, stop := p.store.Watch()
	defer stop()
	outbox := &plantOutbox{store: p.store, version: p.version, console: ulid.Make().String(), waiting: p.counted, news: news}
	publisher, err := NewPublisher(conn, outbox, p.log)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.publisher = publisher
	p.mu.Unlock()
	var house sync.WaitGroup
	defer house.Wait()
	house.Go(func() { p.keepHouse(ctx, conn, outbox) })
	publisher.Run(ctx)
	return nil
}

// connect waits for the files that the config names.
func (p *Plant) connect(ctx context.Context) *nats.Conn {
	for ctx.Err() == nil {
		conn, err := connectTelling(p.cfg, p.name, p.told)
		if err == nil {
			return conn
		}
		p.mu.Lock()
		if p.fault != "district."+err.Error() {
			p.fault = "district." + err.Error()
			p.log.Error("no way to the district; the plant works without it", "error", p.fault)
		}
		p.mu.Unlock()
		select {
		case <-time.After(filesPause):
		case <-ctx.Done():
		}
	}
	return nil
}

func (p *Plant) counted() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// keepHouse does what time brings.
func (p *Plant) keepHouse(ctx context.Context, conn *nats.Conn, outbox *plantOutbox) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for alive := (time.Time{}); ; {
		waiting, err := p.store.OutgoingBySite(ctx)
		if err == nil {
			p.mu.Lock()
			p.waiting = waiting
			p.mu.Unlock()
		}
		if now := time.Now(); err == nil && conn.IsConnected() && now.Sub(alive) >= signOfLife {
			alive = now
			if err = p.store.QueueShifts(ctx, now); err == nil {
				err = p.beat(ctx, conn, outbox)
			}
		}
		if err != nil && ctx.Err() == nil {
			p.log.Warn("the district is not told how the plant is doing", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// beat sends a sign of life for each site. It is not kept: the next one says the same.
func (p *Plant) beat(ctx context.Context, conn *nats.Conn, outbox *plantOutbox) error {
	sites, err := p.store.Keepings(ctx)
	if err != nil {
		return err
	}
	for _, site := range sites {
		told, err := outbox.site(ctx, site.Site)
		if err != nil {
			return err
		}
		body, err := json.Marshal(told)
		if err != nil {
			return err
		}
		if conn.Publish(Subject(site.Site, SiteKind), body) != nil {
			return nil // the connection tells
		}
	}
	return nil
}

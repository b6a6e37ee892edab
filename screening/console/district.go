package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/district"
	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/console/web"
	"thermogate/screening/listen"
)

// DistrictConfig is the one file of a district's console. deploy/thermogate-district.yaml explains every key.
type DistrictConfig struct {
	Name     string         `yaml:"name"` // what the servers know this console by
	Store    store.Config   `yaml:"store"`
	District StreamSource   `yaml:"district"`
	HTTP     listen.Guarded `yaml:"http"`
	Pages    web.Config     `yaml:"pages"`
	OIDC     accounts.OIDC  `yaml:"oidc"`
	Reports  reports.Config `yaml:"reports"`
	Identity Identity       `yaml:"-"` // as in Config
}

// StreamSource says which servers plants tell, and how these keep what is not stored yet.
type StreamSource struct {
	// Config is the way to the servers; without any the console brings its own, Own.
	district.Config `yaml:",inline"`
	// Replicas is on how many of the servers each message is. One's own is alone.
	Replicas int `yaml:"replicas"`
	// MaxGigabytes bounds what waits to be stored. Plants keep what is beyond it.
	MaxGigabytes int              `yaml:"max_gigabytes"`
	Own          district.OneNode `yaml:"own"`
}

// DefaultDistrictConfig is a district to try out, on this machine.
func DefaultDistrictConfig() DistrictConfig {
	plant := DefaultConfig()
	c := DistrictConfig{
		Name: "district", Store: plant.Store, HTTP: plant.HTTP, Pages: plant.Pages, OIDC: plant.OIDC, Reports: plant.Reports,
		District: StreamSource{Replicas: 3, MaxGigabytes: 20, Own: district.DefaultOneNode()},
	}
	c.Store.File, c.HTTP.Listen = "thermogate-district-data/district.db", "127.0.0.1:8091"
	return c
}

// Validate names the first key that is wrong and what would be right. It opens no file.
func (c DistrictConfig) Validate() error {
	if err := c.District.validate(); err != nil {
		return fmt.Errorf("district.%w", err)
	}
	return c.plant().Validate()
}

func (c StreamSource) validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		return fmt.Errorf("replicas: %d is not 1, 3 or 5", c.Replicas)
	}
	if c.MaxGigabytes < 1 || c.MaxGigabytes > 100_000 {
		return fmt.Errorf("max_gigabytes: %d is not between 1 and 100000", c.MaxGigabytes)
	}
	if c.Enabled() {
		return nil
	}
	if err := c.Own.Validate(); err != nil {
		return fmt.Errorf("own.%w", err)
	}
	return nil
}

// Stream is how the servers keep what is not stored yet.
func (c StreamSource) Stream() district.StreamConfig {
	stream := district.StreamConfig{Replicas: c.Replicas, MaxBytes: int64(c.MaxGigabytes) << 30}
	if !c.Enabled() {
		stream.Replicas = 1
	}
	return stream
}

// plant is what of it every console has.
func (c DistrictConfig) plant() Config {
	plant := DefaultConfig()
	plant.Name, plant.Store, plant.HTTP, plant.Pages, plant.OIDC, plant.Reports = c.Name, c.Store, c.HTTP, c.Pages, c.OIDC, c.Reports
	plant.Identity = c.Identity
	return plant
}

// OpenDistrict opens the console of a district, which hears its plants over a connection that stays the caller's. Nothing is
// received before Run.
func OpenDistrict(ctx context.Context, cfg DistrictConfig, conn *nats.Conn, version string, log *slog.Logger) (*Console, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Console{}
	open := store.OpenShared
	if !cfg.District.Enabled() { // a second console would bring a second server
		open = store.Open
	}
	var err error
	if c.store, err = open(ctx, cfg.Store, log); err != nil {
		return nil, err
	}
	named, err := c.store.NamesPeople(ctx)
	if err == nil && named {
		err = errors.New("store: it is that of a plant's console, and says who people are, which a district is not to know: give the district a store of its own")
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.receiver = district.NewReceiver(conn, cfg.District.Stream(), c.store, log)
	plant := cfg.plant()
	plant.Pages.District = true
	if err := c.serve(ctx, plant, version, log); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// lead does what one console of a district does, until ctx ends or its receiver leaves that to another one.
func (c *Console) lead(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var leading sync.WaitGroup
	defer leading.Wait()
	leading.Go(func() { defer end(); c.receiver.Run(ctx) })
	leading.Go(func() { c.reports.Run(ctx) })
}

// hears tells whether the gates, or the plants, are heard, and since when they are or are not.
func (c *Console) hears() (bool, time.Time) {
	if c.receiver != nil {
		state := c.receiver.State()
		return state.Connected, state.Since
	}
	state := c.ingest.State()
	return state.Connected, state.Since
}

// districtFaults are what keeps a district from having everything.
func (c *Console) districtFaults() (faults []fault) {
	state := c.receiver.State()
	if problem := cmp.Or(state.StoreError, state.CountError); problem != "" {
		faults = append(faults, fault{"store", problem})
	}
	if !state.Connected {
		faults = append(faults, fault{"district", "not connected: " + state.LastError})
	}
	return faults
}

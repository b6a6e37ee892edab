// Package console is what guards and managers have of all gates: it receives what gates publish, keeps it, and serves it.
package console

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/district"
	"thermogate/screening/console/ingest"
	"thermogate/screening/console/join"
	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/console/web"
	"thermogate/screening/listen"
	"thermogate/screening/settings"
)

// Console is a console that is open.
type Console struct {
	store    *store.Store
	ingest   *ingest.Ingest
	web      *listen.Listener
	live     *web.Pages
	reports  *reports.Schedule
	plant    *district.Plant
	receiver *district.Receiver // of a district, in place of ingest and plant
	desk     *join.Desk
	pages    http.Handler
	people   *accounts.Accounts
	taken    prometheus.Histogram // how long alerts waited for somebody
	once     string               // password of the first account, until somebody has chosen one
}

// Identity says which console answers.
type Identity struct {
	Console string `json:"console,omitempty"`
	// Config changes with the configuration that it was started with.
	Config  string    `json:"config,omitempty"`
	Started time.Time `json:"started,omitzero"`
}

// Open opens the store and takes the address to listen on. Nothing is received before Run.
func Open(ctx context.Context, cfg Config, version string, log *slog.Logger) (*Console, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Console{}
	var err error
	if c.store, err = store.Open(ctx, cfg.Store, log); err != nil {
		return nil, err
	}
	if err := c.open(ctx, cfg, version, log); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Console) open(ctx context.Context, cfg Config, version string, log *slog.Logger) (err error) {
	if c.plant, err = district.NewPlant(ctx, cfg.District, cfg.Name, version, c.store, log); err != nil {
		return err
	}
	if c.ingest, err = ingest.New(cfg.Name, cfg.MQTT.config(), c.store, log); err != nil {
		return err
	}
	return c.serve(ctx, cfg, version, log)
}

// serve makes the pages, and takes the address to listen on.
func (c *Console) serve(ctx context.Context, cfg Config, version string, log *slog.Logger) (err error) {
	if err := c.openPages(ctx, cfg, log); err != nil {
		return err
	}
	if c.pages, err = c.routes(cfg, version, listen.NewAttempts(log)); err != nil {
		return err
	}
	cfg.HTTP.Folder = CertificateFolder(cfg.Store)
	if c.web, err = listen.Open(cfg.HTTP.Config, log); err != nil {
		return fmt.Errorf("http.%w", err)
	}
	return nil
}

// CertificateFolder is where a console with this store keeps a certificate that it makes.
func CertificateFolder(c store.Config) string { return filepath.Join(filepath.Dir(c.File), "tls") }

// openPages makes the pages, and the first account of a new store, whose password the log tells.
func (c *Console) openPages(ctx context.Context, cfg Config, log *slog.Logger) error {
	people, err := accounts.New(c.store, cfg.HTTP.Secure(), cfg.OIDC, log)
	if err != nil {
		return err
	}
	c.people = people
	if c.once, err = people.First(ctx); err != nil {
		return fmt.Errorf("making the first account: %w", err)
	}
	if c.once != "" {
		log.Info("the first log-in; it asks for a password of your own", "name", accounts.FirstName, "password", c.once)
	}
	if err := c.store.NoteSettings(ctx, settings.Differing(cfg, DefaultConfig())); err != nil {
		return err
	}
	if c.reports, err = reports.NewSchedule(cfg.Reports, c.store, web.WordsFor(cfg.Reports.Language), log); err != nil {
		return err
	}
	cfg.Pages.ReportFault = c.reports.Fault
	if !cfg.Pages.District {
		if cfg.Join.URL == "" {
			cfg.Join.URL = cfg.OIDC.URL
		}
		c.desk = join.New(cfg.Join, cfg.Name, cfg.MQTT.config(), c.store, log)
		cfg.Pages.Desk = c.desk
		cfg.Pages.FingerprintAt = func(pages *url.URL, r *http.Request) string { return c.web.FingerprintAt(pages, r) }
	}
	if c.plant != nil {
		if _, has := c.plant.State(); has {
			cfg.Pages.Told = func() web.Told {
				state, _ := c.plant.State()
				return web.Told{Connected: state.Connected, Waiting: state.Waiting, Fault: state.LastError}
			}
		}
	}
	c.taken = newTakenHistogram()
	cfg.Pages.Taken = func(after time.Duration) { c.taken.Observe(after.Seconds()) }
	c.live, err = web.New(c.store, people, c.hears, cfg.Pages, log)
	return err
}

// FirstLogIn is the name and the one-time password of the account that Open made for a new store; empty for any other.
func (c *Console) FirstLogIn() (name, password string) {
	if c.once == "" {
		return "", ""
	}
	return accounts.FirstName, c.once
}

// LogIn is an account of a demonstration.
type LogIn struct{ Name, Password string }

// DemoLogIns makes an account for each role, beside the first one. Nobody is asked for a password of their own.
func (c *Console) DemoLogIns(ctx context.Context) ([]LogIn, error) {
	all := []LogIn{{accounts.FirstName, c.once}}
	for _, account := range []store.Account{{Name: "manager", FullName: "Manager", Role: store.Manager}, {Name: "guard", FullName: "Guard", Role: store.Guard}, {Name: "hr", FullName: "Personnel", Role: store.Personnel}} {
		password, err := c.people.Add(ctx, account, store.Author{Account: accounts.FirstName})
		if err != nil {
			return nil, err
		}
		all = append(all, LogIn{account.Name, password})
	}
	for _, one := range all {
		account, err := c.store.Account(ctx, one.Name)
		if err == nil {
			err = c.store.SetPassword(ctx, one.Name, account.Password, account.Mark, false, store.Author{Account: accounts.FirstName})
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Address is where it listens, with the port that was chosen where the config leaves it open.
func (c *Console) Address() string { return c.web.Addr().String() }

// Store is where everything is kept.
func (c *Console) Store() *store.Store { return c.store }

// Run receives and serves until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if c.receiver != nil {
		group.Go(func() error { c.store.Lead(ctx, c.lead); return nil })
	} else {
		group.Go(func() error { return c.ingest.Run(ctx) })
		group.Go(func() error { return c.plant.Run(ctx) })
		group.Go(func() error { return c.desk.Run(ctx) })
		group.Go(func() error { return c.reports.Run(ctx) })
	}
	group.Go(func() error { return c.live.Run(ctx) })
	group.Go(func() error { return c.web.Serve(ctx, c.pages) })
	return group.Wait()
}

// Close closes the store, and the address where Run has not.
func (c *Console) Close() error {
	if c.web != nil {
		c.web.Close()
	}
	return c.store.Close()
}

func (c *Console) routes(cfg Config, version string, attempts *listen.Attempts) (http.Handler, error) {
	private := http.NewServeMux()
	private.Handle("GET /metrics", c.metrics(version))
	private.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { writeFaults(w, c.faults(r.Context()), &cfg.Identity) })
	guarded, err := cfg.HTTP.Guard(private, attempts)
	if err != nil {
		return nil, err
	}
	public := http.NewServeMux()
	public.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { writeFaults(w, c.hung(r.Context()), nil) })
	public.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.URL.Query().Has("verbose") {
			guarded.ServeHTTP(w, r)
			return
		}
		writeFaults(w, c.faults(r.Context()), nil)
	})
	public.Handle("GET /metrics", guarded)
	public.Handle("/", c.live)
	return public, nil
}

// fault is a part of the console that does not work.
type fault struct {
	Part   string `json:"part"` // store, broker or district
	Detail string `json:"detail,omitempty"`
}

const pingLimit = 2 * time.Second

// hung returns what only a restart may help.
func (c *Console) hung(ctx context.Context) []fault {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	if err := c.store.Ping(ctx); err != nil {
		return []fault{{"store", err.Error()}}
	}
	return nil
}

// faults returns what keeps the console from having everything.
func (c *Console) faults(ctx context.Context) []fault {
	faults := c.hung(ctx)
	if c.receiver != nil {
		return append(faults, c.districtFaults()...)
	}
	state := c.ingest.State()
	if state.StoreError != "" && len(faults) == 0 {
		faults = append(faults, fault{"store", state.StoreError})
	}
	if !state.Connected {
		faults = append(faults, fault{"broker", "not connected: " + state.LastError})
	}
	return faults
}

// writeFaults tells of the faults; only with an identity also which console it is, and what is wrong with the parts.
func writeFaults(w http.ResponseWriter, faults []fault, identity *Identity) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	status := "ok"
	if len(faults) > 0 {
		status = "failing"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for i := range faults {
		if identity == nil {
			faults[i].Detail = ""
		}
	}
	_ = json.NewEncoder(w).Encode(struct { // a client that is gone needs no answer
		Status string `json:"status"`
		*Identity
		Faults []fault `json:"faults,omitempty"`
	}{status, identity, faults})
}

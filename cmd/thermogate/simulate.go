package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"thermogate/cmd/internal/program"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
)

func newSimulateCommand() *cobra.Command {
	fleet := fleet{config: mqtt.DefaultConfig()}
	var plants plants
	command := &cobra.Command{
		Use:   "simulate",
		Short: "Load a broker with many gates, to see what it carries",
		Long: `Simulate runs many gates without cameras in one process. Each has a journal and a connection of its own and sends
made-up events of the site "simulated". A subscriber receives them all, and at the end Simulate prints how many came and
how late. All gates start at once, as after a power cut, and have events from then on; how late those are that happen while
the fleet still connects is told apart. An event is late by the time from its verdict, before it is on disk, to the
subscriber. All journals lie on this machine, in the folder for temporary files, so its one disk does the work of as many
as there are gates.

With --district it runs many plants instead, each a connection to the district's NATS servers and the publisher that a plant's
console has. They send events, the alerts' lives, gates, sites and a shift, of the sites "simulated-0001" on. What waits to
be sent is kept in memory, where a plant has a database. A message is confirmed once the servers have it on disk; that it was
is noted within a quarter of a second. --ids writes what the district then has to hold: a line an event (event, id, site,
outcome, when in nanoseconds since 1970) and a line an alert that was closed.`,
		Example: `  thermogate simulate --gates 200 --rate 1 --duration 60s --broker mqtt://127.0.0.1:1883
  thermogate simulate --plants 1000 --gates 10 --rate 0.3333 --duration 10m --district nats://127.0.0.1:4222`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if plants.district.Enabled() {
				plants.gates, plants.rate, plants.duration = fleet.gates, fleet.rate, fleet.duration
				plants.district.User, plants.district.PasswordFile, plants.district.CAFile = fleet.config.User, fleet.config.PasswordFile, fleet.config.CAFile
				return plants.simulate(cmd)
			}
			if err := fleet.validate(); err != nil {
				return program.Usage(err)
			}
			if err := fleet.run(cmd.Context()); err != nil {
				return err
			}
			report := fleet.receiver.report()
			fmt.Fprint(cmd.OutOrStdout(), report)
			if report.missing > 0 {
				return fmt.Errorf("%d of %d events did not arrive", report.missing, report.sent)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&fleet.config.Broker, "broker", fleet.config.Broker, "broker to load")
	flags.StringVar(&fleet.config.User, "user", "", "user at the broker, or as which all plants of a district come")
	flags.StringVar(&fleet.config.PasswordFile, "password-file", "", "file that holds the user's password")
	flags.StringVar(&fleet.config.CAFile, "ca-file", "", "certificate authority of the broker or the district")
	flags.StringSliceVar(&plants.district.Servers, "district", nil, "NATS servers of a district to load instead of a broker")
	flags.IntVar(&plants.count, "plants", 100, "how many plants, with --district")
	flags.StringVar(&plants.idsFile, "ids", "", "file for what the plants have made, with --district")
	flags.IntVar(&fleet.gates, "gates", 200, "how many gates, with --district of each plant")
	flags.Float64Var(&fleet.rate, "rate", 1, "events a second of each gate")
	fleet.duration = time.Minute
	flags.Var((*duration)(&fleet.duration), "duration", "how long, such as 60s, 12h or 7d")
	return command
}

// fleet is many gates in one process.
type fleet struct {
	config   mqtt.Config
	gates    int
	rate     float64 // events a second of each gate
	duration time.Duration
	receiver receiver
}

func (f *fleet) validate() error {
	switch {
	case f.gates < 1 || f.gates > 2000:
		return fmt.Errorf("--gates %d: it is between 1 and 2000", f.gates)
	case f.rate <= 0 || f.rate > 100:
		return fmt.Errorf("--rate %g: it is above 0 and at most 100", f.rate)
	case f.duration < time.Second || f.duration > time.Hour:
		return fmt.Errorf("--duration %v: it is between 1s and 1h", f.duration)
	}
	if err := f.config.Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}

// stragglers is how long events may take after the last was sent.
const stragglers = 10 * time.Second

// run lets the gates work and gives the receiver time for what is still on its way.
func (f *fleet) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "thermogate-simulate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	group, ctx := errgroup.WithContext(ctx)
	over, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan struct{})
	group.Go(func() error {
		filters := []string{"thermogate/" + simulatedSite + "/+/screening/+"}
		return mqtt.Receive(over, f.config, "thermogate-simulate", filters, func() { close(ready) }, f.receiver.receive)
	})
	group.Go(func() error {
		defer stop()
		select {
		case <-ready:
		case <-ctx.Done():
			return nil
		}
		return f.work(ctx, dir)
	})
	return group.Wait()
}

// work starts all gates at once, has each send for the duration, and ends once the broker has confirmed their events.
func (f *fleet) work(ctx context.Context, dir string) error {
	gates := make([]mqtt.Gate, f.gates)
	journals := make([]*journal.Journal, f.gates)
	for i := range gates {
		gates[i] = mqtt.Gate{Site: simulatedSite, Name: fmt.Sprintf("gate-%04d", i+1)}
		var err error
		path := filepath.Join(dir, gates[i].Name, journalName)
		if journals[i], err = journal.Open(ctx, path, journal.DefaultConfig(), slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		defer journals[i].Close()
	}
	f.receiver.begin(f.gates)
	group, working := errgroup.WithContext(ctx)
	for i := range gates {
		group.Go(func() error { return f.gate(working, gates[i], journals[i]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(ctx, stragglers)
	defer cancel()
	for f.receiver.missing() > 0 && sleep(deadline, 20*time.Millisecond) {
	}
	return mqtt.Forget(context.WithoutCancel(ctx), f.config, gates)
}

// gate is one gate from its start to the confirmation of its last event. It has events before it is connected, too.
func (f *fleet) gate(ctx context.Context, gate mqtt.Gate, j *journal.Journal) error {
	client, err := mqtt.New(f.config, gate, j, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	client.SetStatus(mqtt.Status{Version: program.Version(), Camera: string(event.CameraOK)})
	connection, leave := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer leave()
	running.Go(func() { client.Run(connection) })
	running.Go(func() {
		for !client.State().Connected {
			if !sleep(connection, 20*time.Millisecond) {
				return
			}
		}
		f.receiver.connected()
	})
	if err := f.send(ctx, gate, j); err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stragglers)
	defer cancel()
	for client.State().Backlog > 0 && sleep(deadline, 20*time.Millisecond) {
	}
	return nil
}

// send stores events for the duration, out of step with the other gates.
func (f *fleet) send(ctx context.Context, gate mqtt.Gate, j *journal.Journal) error {
	interval := time.Duration(float64(time.Second) / f.rate)
	end := time.Now().Add(f.duration)
	for awake := sleep(ctx, mathrand.N(interval)); awake && time.Now().Before(end); awake = sleep(ctx, interval) {
		e := madeUpEvent(gate, time.Now(), 50)
		f.receiver.expect(e.ID)
		if err := j.Append(context.WithoutCancel(ctx), e); err != nil {
			return err
		}
		f.receiver.stored(time.Since(e.Time))
	}
	return nil
}

// simulatedSite keeps made-up events apart from those of people.
const simulatedSite = "simulated"

// madeUpEvent has what an event of a gate with a reference source has, so that it is as large. One in so many is an alert.
func madeUpEvent(gate mqtt.Gate, now time.Time, oneAlertIn int) event.Event {
	const offset, threshold, nominal = 1.9, 37.5, 40.0
	skin := 34.6 + mathrand.NormFloat64()*0.3
	outcome, reason := event.Pass, event.BelowThreshold
	if mathrand.IntN(oneAlertIn) == 0 {
		outcome, reason, skin = event.Alert, event.AboveThreshold, skin+2.5
	}
	begin := now.Add(-600 * time.Millisecond).UTC()
	return event.Event{
		SpecVersion: "1.0", ID: ulid.Make().String(), Source: event.Source(gate.Site, gate.Name),
		Type: outcome.EventType(), Time: now.UTC(), DataContentType: "application/json",
		Data: event.Data{
			Outcome: outcome, Reason: reason, Policy: "offset",
			SkinCelsius: new(event.Hundredths(skin)), SkinUncertaintyCelsius: new(0.24), SkinSite: event.InnerCanthus,
			BodyCelsius: new(event.Hundredths(skin + offset)), BodyUncertaintyCelsius: new(0.31),
			OffsetCelsius: new(offset), ThresholdCelsius: new(threshold), BaselineCelsius: new(34.61),
			Reference: event.Reference{
				Found: true, NominalCelsius: new(nominal), MeasuredCelsius: new(nominal + 0.2), CorrectionCelsius: new(-0.2),
			},
			Face: &event.Box{X: 44, Y: 31, W: 31, H: 42}, FramesUsed: 6, FirstSeen: begin, MeasurableSince: &begin,
			SecondsToVerdict: new(0.6), Camera: "none, simulated", Version: program.Version(),
		},
	}
}

// sleep is false where ctx ends before d is over.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// receiver notes what comes and how late.
type receiver struct {
	mu         sync.Mutex
	began      time.Time       // when all gates started
	connecting int             // gates that have not connected yet
	allBy      time.Time       // when the last one had; zero before
	expected   map[string]bool // by id: whether it has come
	late       []lateness
	repeated   int
	store      time.Duration // the longest that a journal took to have an event on disk
}

// lateness is how long after its verdict an event came.
type lateness struct {
	verdict time.Time
	took    time.Duration
}

func (r *receiver) begin(gates int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began, r.connecting, r.expected = time.Now(), gates, map[string]bool{}
}

func (r *receiver) connected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connecting--; r.connecting == 0 {
		r.allBy = time.Now()
	}
}

func (r *receiver) expect(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[id] = false
}

func (r *receiver) stored(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store = max(r.store, took)
}

func (r *receiver) receive(m mqtt.Message) {
	now := time.Now()
	var e event.Event
	if err := json.Unmarshal(m.Payload, &e); err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch come, known := r.expected[e.ID]; {
	case !known: // of another simulation
	case come:
		r.repeated++
	default:
		r.expected[e.ID] = true
		r.late = append(r.late, lateness{e.Time, now.Sub(e.Time)})
	}
}

// loadReport is how a broker did.
type loadReport struct {
	sent, missing, repeated int
	connecting              int           // gates that never connected
	connect                 time.Duration // until the last one had
	starting, after         latencies     // of events before and after that
	store                   time.Duration
}

func (r *receiver) missing() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.expected) - len(r.late)
}

func (r *receiver) report() loadReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := loadReport{
		sent: len(r.expected), missing: len(r.expected) - len(r.late), repeated: r.repeated,
		connecting: r.connecting, connect: r.allBy.Sub(r.began), store: r.store,
	}
	for _, l := range r.late {
		if r.connecting > 0 || l.verdict.Before(r.allBy) {
			report.starting = append(report.starting, l.took)
		} else {
			report.after = append(report.after, l.took)
		}
	}
	return report
}

func (r loadReport) String() string {
	connect := r.connect.Round(time.Millisecond).String()
	if r.connecting > 0 {
		connect = fmt.Sprintf("never, of %d", r.connecting)
	}
	return fmt.Sprintf(`events sent       %d
events missing    %d
events repeated   %d
longest store     %v
all gates online  %v
latency of events before that: %v
                  after that:  %v
`, r.sent, r.missing, r.repeated, r.store.Round(10*time.Microsecond), connect, r.starting, r.after)
}

// latencies say how they are spread.
type latencies []time.Duration

func (l latencies) String() string {
	if len(l) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(l))
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	onTime, _ := slices.BinarySearch(sorted, time.Second+1)
	return fmt.Sprintf("%d, median %v, 99 of 100 within %v, longest %v, %d over one second",
		len(l), round(sorted[len(l)/2]), round(sorted[len(l)*99/100]), round(sorted[len(l)-1]), len(l)-onTime)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/cmd/internal/program"
	"thermogate/screening/event"
	"thermogate/screening/gate"
	"thermogate/screening/gate/trial"
)

func newTrialCommand() *cobra.Command {
	var configPath string
	var asJSON bool
	command := &cobra.Command{
		Use:   "trial SCENARIO...",
		Short: "A gate against simulated people whose truth is known",
		Long: `Trial walks each scenario of the simulator through a gate of its own and tells who was judged rightly, wrongly or
not at all. The same scenario gives the same figures on any machine. camera/simulator/example.yaml explains every key.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			scenarios, err := loadTrials(paths)
			if err != nil {
				return err
			}
			t := trials{config: c, scenarios: scenarios, progress: progressOf(cmd.ErrOrStderr())}
			results, err := t.run(cmd.Context())
			if err != nil {
				return err
			}
			return writeTrials(cmd.OutOrStdout(), results, asJSON)
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a scenario")
	return command
}

// linger is how long a trial goes on after the last person has left: what is told of them then, counts too.
const linger = 10 * time.Second

// loadTrials reads the scenarios, each of which has to end.
func loadTrials(paths []string) ([]simulator.Scenario, error) {
	scenarios := make([]simulator.Scenario, len(paths))
	for i, path := range paths {
		s, err := simulator.Load(path)
		if err != nil {
			return nil, program.Usage(err)
		}
		if s.Endless() {
			return nil, program.Usage(fmt.Errorf("%s: the scenario never ends; %s", path, howToEnd(&s)))
		}
		scenarios[i] = s
	}
	return scenarios, nil
}

func howToEnd(s *simulator.Scenario) string {
	if s.Repeat {
		return "take out repeat"
	}
	return "set duration, such as duration: 10m, or queue.people"
}

// trials walks scenarios through gates, as many at a time as there are processors.
type trials struct {
	config    config
	scenarios []simulator.Scenario
	progress  io.Writer
}

func (t *trials) run(ctx context.Context) ([]trial.Result, error) {
	results := make([]trial.Result, len(t.scenarios))
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range t.scenarios {
		group.Go(func() (err error) {
			if results[i], err = t.walk(ctx, t.scenarios[i]); err == nil {
				fmt.Fprintf(t.progress, "\r%d of %d scenarios", done.Add(1), len(t.scenarios))
			}
			return err
		})
	}
	err := group.Wait()
	fmt.Fprint(t.progress, "\r\x1b[K")
	return results, err
}

// walk takes one scenario through a gate to its end.
func (t *trials) walk(ctx context.Context, scenario simulator.Scenario) (trial.Result, error) {
	name := filepath.Base(scenario.Name)
	detector, err := t.config.detector()
	if err != nil {
		return trial.Result{}, err
	}
	defer detector.Close()
	source, err := simulator.New(scenario, simulator.Options{Linger: linger})
	if err != nil {
		return trial.Result{}, err
	}
	defer source.Close()
	config := t.config.gate()
	config.Moving = config.Moving || scenario.Camera.OnCarrier()
	gate, err := gate.New(config, source.Info(), detector, seededBy(name))
	if err != nil {
		return trial.Result{}, err
	}
	score := trial.New(name, reachOf(t.config.Visit, scenario.Camera))
	err = walk(ctx, source, gate, func(_ *camera.Frame, scene *event.Scene, events []event.Event) error {
		score.Frame(source.Truth(), scene, events)
		return nil
	})
	return score.Result(), err
}

// reachOf is how far from the camera somebody may stand to be screened, in metres: the usual reach, or what the config
// says of the least width of a face.
func reachOf(c gate.VisitConfig, cam simulator.Camera) float64 {
	const faceMetres = 0.15 // ear to ear, the mean of adults
	if c.Near == gate.DefaultVisitConfig().Near || c.Near == 0 {
		return trial.DefaultReachMetres
	}
	pixels := c.Near * float64(min(cam.Width, cam.Height))
	focal := float64(max(cam.Width, cam.Height)) / 2 / math.Tan(cam.FieldOfViewDegrees/2*math.Pi/180)
	return faceMetres * focal / pixels
}

func writeTrials(out io.Writer, results []trial.Result, asJSON bool) error {
	if !asJSON {
		return trial.WriteTable(out, results...)
	}
	encoder := json.NewEncoder(out)
	for _, r := range results {
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("writing a result: %w", err)
		}
	}
	return nil
}

// progressOf is where progress is shown: a terminal, or nowhere.
func progressOf(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return f
		}
	}
	return io.Discard
}

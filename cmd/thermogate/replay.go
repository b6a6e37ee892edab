package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/gate"
)

func newReplayCommand() *cobra.Command {
	var configPath string
	var asJSON bool
	var source sourceFlags
	command := &cobra.Command{
		Use:   "replay RECORDING...",
		Short: "Verdicts of recordings, as fast as the machine allows",
		Long: `Replay walks each recording through a gate of its own and prints the verdicts in order.
Time is the recording's, so the verdicts are the same on any machine.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, recordings []string) error {
			options, err := source.options()
			if err != nil {
				return err
			}
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			r, err := newReplayer(c, options, cmd.OutOrStdout(), asJSON)
			if err != nil {
				return err
			}
			defer r.close()
			for _, recording := range recordings {
				if err := r.replay(cmd.Context(), recording); err != nil {
					return err
				}
			}
			return nil
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a verdict, with the event as it would be published")
	source.bind(command.Flags())
	return command
}

// replayer walks recordings through gates and writes down the verdicts.
type replayer struct {
	config   config
	options  camera.Options
	detector *face.Detector
	write    func(verdict replayedVerdict) error
}

// replayedVerdict is one line of replay --json.
type replayedVerdict struct {
	Recording string      `json:"recording"`
	Frame     int         `json:"frame"`
	Event     event.Event `json:"event"`
}

func newReplayer(c config, options camera.Options, out io.Writer, asJSON bool) (*replayer, error) {
	detector, err := c.detector()
	if err != nil {
		return nil, err
	}
	r := &replayer{config: c, options: options, detector: detector}
	r.write = func(v replayedVerdict) error {
		_, err := fmt.Fprintln(out, v)
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		r.write = func(v replayedVerdict) error { return encoder.Encode(v) }
	}
	return r, nil
}

func (r *replayer) close() { r.detector.Close() }

func (r *replayer) replay(ctx context.Context, recording string) error {
	source, err := openSource(ctx, recording, r.config.Camera.options(r.options))
	if err != nil {
		return err
	}
	defer source.Close()
	source = camera.Plausible(source, nil)
	name := filepath.Base(camera.Masked(recording))
	gate, err := gate.New(r.config.gate(), source.Info(), r.detector, seededBy(name))
	if err != nil {
		return err
	}
	return walk(ctx, source, gate, func(frame *camera.Frame, _ *event.Scene, events []event.Event) error {
		for _, e := range events {
			if err := r.write(replayedVerdict{name, frame.Index, r.config.leaves(e)}); err != nil {
				return fmt.Errorf("writing a verdict: %w", err)
			}
		}
		return nil
	})
}

// walk takes a source through a gate to its end and shows each step.
func walk(ctx context.Context, source camera.Source, gate *gate.Gate,
	show func(*camera.Frame, *event.Scene, []event.Event) error) error {
	var frame camera.Frame
	for ctx.Err() == nil {
		if err := source.Read(ctx, &frame); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		scene, events, err := gate.Process(&frame)
		if err != nil {
			return fmt.Errorf("%s: %w", source.Info().Name, err)
		}
		if err := show(&frame, scene, events); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// seededBy gives a replay the same event ids every time.
func seededBy(name string) io.Reader {
	hash := fnv.New64a()
	io.WriteString(hash, name)
	var seed [32]byte
	hash.Sum(seed[:0])
	return rand.NewChaCha8(seed)
}

// String is a verdict as people read it.
func (v replayedVerdict) String() string {
	d := v.Event.Data
	line := fmt.Sprintf("%s frame %d: %s, %s", v.Recording, v.Frame, d.Outcome, d.Reason)
	if d.SkinCelsius != nil && d.SkinUncertaintyCelsius != nil {
		line += fmt.Sprintf(", %s %.2f ± %.2f °C", d.SkinSite, *d.SkinCelsius, *d.SkinUncertaintyCelsius)
	}
	if d.BodyCelsius != nil {
		line += fmt.Sprintf(", body %.2f °C", *d.BodyCelsius)
	}
	if d.Reference.CorrectionCelsius != nil {
		line += fmt.Sprintf(", correction %+.2f °C", *d.Reference.CorrectionCelsius)
	}
	if d.Reference.NominalAssumed {
		line += fmt.Sprintf(" to an assumed %.1f °C", *d.Reference.NominalCelsius)
	}
	if d.SecondsToVerdict != nil {
		line += fmt.Sprintf(", after %.2f s and %d frames", *d.SecondsToVerdict, d.FramesUsed)
	}
	return line
}

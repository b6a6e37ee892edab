package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/gate"
)

// benchFrames is how many frames of the simulator are timed where no recording is given: a minute of a Lepton.
const benchFrames = 526

func newBenchCommand() *cobra.Command {
	var source sourceFlags
	command := &cobra.Command{
		Use:   "bench [RECORDING...]",
		Short: "Time of each stage on this machine, and what share of a core cameras take",
		Long: `Bench times the gate's work on each frame, stage by stage, on recordings or, without any, on simulated people. Then it
also prints what share of one core it takes with cameras of the usual sizes and rates, and with thirty people at once.`,
		RunE: func(cmd *cobra.Command, recordings []string) error {
			options, err := source.options()
			if err != nil {
				return err
			}
			detector, err := face.New()
			if err != nil {
				return err
			}
			defer detector.Close()
			simulated := len(recordings) == 0
			if simulated {
				recordings = []string{simulatorURI}
			}
			var times stageTimes
			for _, recording := range recordings {
				if err := times.take(cmd.Context(), recording, options, detector); err != nil {
					return err
				}
			}
			if err := times.print(cmd.OutOrStdout()); err != nil || !simulated {
				return err
			}
			return printLoads(cmd.Context(), cmd.OutOrStdout())
		},
	}
	source.bind(command.Flags())
	return command
}

// stageTimes holds what every stage took, frame by frame.
type stageTimes struct {
	stages []event.StageTimes
	read   []time.Duration
	total  []time.Duration
}

func (t *stageTimes) take(ctx context.Context, uri string, options camera.Options, detector *face.Detector) error {
	source, err := openSource(ctx, uri, options)
	if err != nil {
		return err
	}
	defer source.Close()
	c := defaultConfig()
	gate, err := gate.New(c.gate(), source.Info(), detector, seededBy(uri))
	if err != nil {
		return err
	}
	_, endless := source.(*simulator.Simulator)
	started := time.Now()
	enough := errors.New("enough frames")
	err = walk(ctx, source, gate, func(_ *camera.Frame, scene *event.Scene, _ []event.Event) error {
		total := time.Since(started)
		s := scene.Stages
		t.stages = append(t.stages, s)
		t.total = append(t.total, total)
		t.read = append(t.read, total-s.Radiometry-s.Reference-s.Face-s.Track-s.Measure-s.Policy)
		if endless && len(t.total) >= benchFrames {
			return enough
		}
		started = time.Now()
		return nil
	})
	if errors.Is(err, enough) {
		return nil
	}
	return err
}

func (t *stageTimes) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "stage\tmedian\tp99\tworst\t")
	row := func(name string, times []time.Duration) {
		slices.Sort(times)
		n := len(times)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", name, round(times[n/2]), round(times[n*99/100]), round(times[n-1]))
	}
	stage := func(name string, of func(event.StageTimes) time.Duration) {
		times := make([]time.Duration, len(t.stages))
		for i, s := range t.stages {
			times[i] = of(s)
		}
		row(name, times)
	}
	var sum time.Duration
	for _, d := range t.total {
		sum += d
	}
	row("read", t.read)
	stage("radiometry", func(s event.StageTimes) time.Duration { return s.Radiometry })
	stage("face", func(s event.StageTimes) time.Duration { return s.Face })
	stage("reference", func(s event.StageTimes) time.Duration { return s.Reference })
	stage("track", func(s event.StageTimes) time.Duration { return s.Track })
	stage("measure", func(s event.StageTimes) time.Duration { return s.Measure })
	stage("policy", func(s event.StageTimes) time.Duration { return s.Policy })
	row("all", t.total)
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d frames, %.0f frames a second\n", len(t.total), float64(len(t.total))/sum.Seconds())
	return err
}

func round(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

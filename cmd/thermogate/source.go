package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/camera/simulator"
	"thermogate/cmd/internal/program"
)

// sourceFlags say of a recording or camera what its file does not.
type sourceFlags struct {
	orientation string
	fps         float64
	units       string
	linear      radiometry.Linear
}

func (f *sourceFlags) bind(flags *pflag.FlagSet) {
	names := make([]string, 0, 8)
	for _, o := range camera.Orientations() {
		names = append(names, string(o))
	}
	flags.StringVar(&f.orientation, "orientation", "", "how the camera is mounted: "+strings.Join(names, ", "))
	flags.Float64Var(&f.fps, "fps", 0, "frames a second, where the file does not say")
	flags.StringVar(&f.units, "units", "", "scale of the counts, such as centikelvin, kelvin64 or counts")
	flags.Float64Var(&f.linear.KelvinPerCount, "kelvin-per-count", 0, "step of a scale without a name, instead of --units")
	flags.Float64Var(&f.linear.ZeroCelsius, "zero-celsius", radiometry.FromAbsoluteZero(0).ZeroCelsius, "temperature of the count 0 on such a scale")
}

// options checks the flags.
func (f *sourceFlags) options() (camera.Options, error) {
	options := camera.Options{FPS: f.fps, Units: f.units, Linear: f.linear}
	if f.fps < 0 {
		return options, program.Usage(fmt.Errorf("--fps %g: a rate is above 0", f.fps))
	}
	if f.units != "" {
		if _, err := radiometry.ScaleOf(f.units); err != nil {
			return options, program.Usage(fmt.Errorf("--units: %w", err))
		}
	}
	if f.linear.KelvinPerCount != 0 {
		if f.units != "" {
			return options, program.Usage(errors.New("--units and --kelvin-per-count both say what a count means; leave one out"))
		}
		if err := f.linear.Validate(); err != nil {
			return options, program.Usage(fmt.Errorf("--kelvin-per-count and --zero-celsius: %w", err))
		}
	}
	if f.orientation != "" {
		orientation, err := camera.ParseOrientation(f.orientation)
		if err != nil {
			return options, program.Usage(fmt.Errorf("--orientation: %w", err))
		}
		options.Orientation = orientation
	}
	return options, nil
}

// simulatorURI is the address of the built-in scenario; simulator:FILE names another.
const simulatorURI = "simulator:"

// openSource opens a camera, a recording or the simulator by its address. The simulator runs at the pace of its reader.
func openSource(ctx context.Context, uri string, options camera.Options) (camera.Source, error) {
	path, simulated := strings.CutPrefix(uri, simulatorURI)
	if !simulated {
		return camera.Open(ctx, uri, options)
	}
	scenario := simulator.Demo()
	if path != "" {
		var err error
		if scenario, err = simulator.Load(path); err != nil {
			return nil, program.Usage(err)
		}
	}
	return simulator.New(scenario, simulator.Options{})
}

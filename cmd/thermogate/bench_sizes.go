package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"thermogate/camera"
	"thermogate/camera/simulator"
	"thermogate/screening/face"
	"thermogate/screening/gate"
)

// sizeFrames is how many frames of each size are timed, of the demonstration's simulated people.
const sizeFrames = 150

// load is what frames of a size take.
type load struct {
	width, height int
	wall          []time.Duration // of each frame, in order of length
	processor     time.Duration   // of all of them, on all cores
}

// shareAt is the share of one core at so many frames a second.
func (l load) shareAt(fps float64) float64 {
	return fps * l.processor.Seconds() / float64(len(l.wall))
}

// printLoads prints what share of one core a gate takes with cameras of the usual sizes. A camera's own work, reading and
// decoding, is not in it.
func printLoads(ctx context.Context, out io.Writer, detector *face.Detector) error {
	fmt.Fprintln(out, "\nof one core, by the camera's picture and frames a second (people of the simulator; without reading the camera):")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "size\tmedian\tp99\t9/s\t30/s\t60/s\t")
	for _, size := range [][2]int{{160, 120}, {256, 192}, {384, 288}, {640, 512}, {1280, 1024}} {
		l, err := measureLoad(ctx, size[0], size[1], detector)
		if err != nil {
			return err
		}
		n := len(l.wall)
		fmt.Fprintf(table, "%d×%d\t%s\t%s\t%.1f %%\t%.1f %%\t%.1f %%\t\n", l.width, l.height, round(l.wall[n/2]), round(l.wall[n*99/100]),
			100*l.shareAt(9), 100*l.shareAt(30), 100*l.shareAt(60))
	}
	return table.Flush()
}

func measureLoad(ctx context.Context, width, height int, detector *face.Detector) (load, error) {
	l := load{width: width, height: height}
	scenario := simulator.Demo()
	scenario.Camera.Width, scenario.Camera.Height = width, height
	source, err := simulator.New(scenario, simulator.Options{})
	if err != nil {
		return l, err
	}
	defer source.Close()
	c := defaultConfig()
	screening, err := gate.New(c.gate(), source.Info(), detector, seededBy(simulatorURI))
	if err != nil {
		return l, err
	}
	var frame camera.Frame
	for range sizeFrames {
		if err := source.Read(ctx, &frame); err != nil {
			return l, err
		}
		began, before := time.Now(), processorTime()
		if _, _, err := screening.Process(&frame); err != nil {
			return l, err
		}
		l.processor += processorTime() - before
		l.wall = append(l.wall, time.Since(began))
	}
	slices.Sort(l.wall)
	return l, nil
}

// processorTime is what all threads of this process have taken since it began.
func processorTime() time.Duration {
	var spec unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &spec); err != nil {
		panic(err) // the clock is there
	}
	return time.Duration(spec.Nano())
}

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
	"thermogate/screening/gate"
)

// sizeFrames is how many frames of each size are timed, of the demonstration's simulated people.
const sizeFrames = 150

// load is what frames take.
type load struct {
	wall      []time.Duration // of each frame, in order of length
	processor time.Duration   // of all of them, on all cores
}

// shareAt is the share of one core at so many frames a second.
func (l load) shareAt(fps float64) float64 {
	return fps * l.processor.Seconds() / float64(len(l.wall))
}

// printLoads prints what share of one core a gate takes with cameras of the usual sizes. A camera's own work, reading and
// decoding, is not in it.
func printLoads(ctx context.Context, out io.Writer) error {
	fmt.Fprintln(out, "\nof one core, by the camera's picture and frames a second (people of the simulator; without reading the camera):")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "size\tmedian\tp99\t9/s\t30/s\t60/s\t")
	row := func(name string, scenario simulator.Scenario, c config) error {
		l, err := measureLoad(ctx, scenario, c)
		if err != nil {
			return err
		}
		n := len(l.wall)
		_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%.1f %%\t%.1f %%\t%.1f %%\t\n", name, round(l.wall[n/2]), round(l.wall[n*99/100]),
			100*l.shareAt(9), 100*l.shareAt(30), 100*l.shareAt(60))
		return err
	}
	for _, size := range [][2]int{{160, 120}, {256, 192}, {384, 288}, {640, 512}, {1280, 1024}} {
		scenario := simulator.Demo()
		scenario.Camera.Width, scenario.Camera.Height = size[0], size[1]
		if err := row(fmt.Sprintf("%d×%d", size[0], size[1]), scenario, defaultConfig()); err != nil {
			return err
		}
	}
	if err := row(fmt.Sprintf("640×512, %d people at a walkway", atOnce), walkway(), walkwayConfig()); err != nil {
		return err
	}
	return table.Flush()
}

// atOnce is how many people stand before a walkway's camera.
const atOnce = 30

// walkway has them in two rows, 3.2 and 3.8 m off, for longer than frames are timed.
func walkway() simulator.Scenario {
	s := simulator.DefaultScenario()
	s.Camera.Width, s.Camera.Height, s.Camera.FPS, s.Camera.HeightMetres = 640, 512, 30, 1.6
	s.Reference.X, s.Reference.Y, s.Reference.RadiusMillimetres, s.Reference.DistanceMetres = 0.5, 0.93, 20, 1
	for i := range atOnce {
		row, place := float64(i%2), float64(i/2)
		s.People = append(s.People, simulator.Visit{
			DistanceMetres: 3.2 + 0.6*row, SideMetres: (place - 7) * (0.2 + 0.04*row), HeightMetres: new(1.5 + 0.35*row),
			Stand: time.Minute, Appears: true,
		})
	}
	return s
}

// walkwayConfig is that of deploy/README.md, "Many people at once".
func walkwayConfig() config {
	c := defaultConfig()
	c.Visit.Near, c.Visit.Far = 0.036, 0.03
	return c
}

func measureLoad(ctx context.Context, scenario simulator.Scenario, c config) (load, error) {
	var l load
	detector, err := c.detector()
	if err != nil {
		return l, err
	}
	defer detector.Close()
	source, err := simulator.New(scenario, simulator.Options{})
	if err != nil {
		return l, err
	}
	defer source.Close()
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

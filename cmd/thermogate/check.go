package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/gate"
	"thermogate/screening/mqtt"
)

const (
	// lookTime is how long check watches the camera: a source of frames has to come and a reference to settle.
	lookTime = 5 * time.Second
	// leastFreeBytes holds years of events.
	leastFreeBytes = 100 << 20
)

func newCheckCommand() *cobra.Command {
	var configPath string
	var running bool
	command := &cobra.Command{
		Use:   "check",
		Short: "Doctor: config, disk, camera, reference, broker, door, pages; says what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			if running {
				return askRunning(cmd.Context(), c.HTTP.Listen, cmd.OutOrStdout())
			}
			d := doctor{config: c, out: cmd.OutOrStdout()}
			d.examine(cmd.Context())
			if d.faults > 0 {
				return fmt.Errorf("what says FAULT above needs attention (%d)", d.faults)
			}
			return nil
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	command.Flags().BoolVar(&running, "running", false, "ask the gate that runs with this config whether it is alive")
	return command
}

// askRunning asks the gate at an address for its health. What keeps it from screening people it prints; only a gate that
// a restart would help is an error.
func askRunning(ctx context.Context, address string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	alive, body, err := ask(ctx, address, "/healthz")
	if err != nil {
		return err
	}
	if !alive {
		return fmt.Errorf("the gate at %s is not well: %s", address, body)
	}
	if _, body, err = ask(ctx, address, "/readyz"); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, body)
	return err
}

// ask returns whether all is well at a path of the gate, and what it says.
func ask(ctx context.Context, address, path string) (bool, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+path, nil)
	if err != nil {
		return false, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, "", fmt.Errorf("no gate answers at %s: %w", address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return false, "", fmt.Errorf("asking the gate at %s: %w", address, err)
	}
	return response.StatusCode == http.StatusOK, strings.TrimSpace(string(body)), nil
}

// doctor looks at everything a gate needs, one part after the other, and goes on after a fault.
type doctor struct {
	config config
	out    io.Writer
	faults int
}

func (d *doctor) examine(ctx context.Context) {
	d.say("config", nil, "gate %s of site %s", d.config.Gate, d.config.Site)
	d.disk()
	if d.running(ctx) {
		return
	}
	d.camera(ctx)
	d.broker(ctx)
	d.door(ctx)
	d.pages()
}

// running reports on a gate that runs with this config already. It has camera and ports for itself, and is not disturbed.
func (d *doctor) running(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	address := d.config.HTTP.Listen
	well, body, err := ask(ctx, address, "/readyz")
	if err != nil || !strings.HasPrefix(body, `{"status"`) {
		return false
	}
	var fault error
	if !well {
		fault = fmt.Errorf("it runs already, at %s, and says: %s", address, body)
	}
	d.say("gate", fault, "it runs already, at %s, and all is well; stop it to have the rest looked at", address)
	return true
}

// say prints a line for one part.
func (d *doctor) say(part string, fault error, format string, args ...any) {
	verdict, text := "ok", fmt.Sprintf(format, args...)
	if fault != nil {
		d.faults++
		verdict, text = "FAULT", fault.Error()
	}
	fmt.Fprintf(d.out, "%-10s %-6s %s\n", part, verdict, text)
}

func (d *doctor) disk() {
	dir := d.config.DataDir
	free, err := freeBytes(dir)
	if err == nil && free < leastFreeBytes {
		err = fmt.Errorf("data_dir %s: only %d MiB free; make room, or events will be lost", dir, free>>20)
	}
	d.say("disk", err, "%s takes files, %.1f GiB free", dir, float64(free)/(1<<30))
}

// freeBytes says how much room a folder has, and whether it takes files. It leaves no trace in it, but makes the folder.
func freeBytes(dir string) (uint64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("data_dir: %w; make the folder and give it to the user that runs thermogate", err)
	}
	probe, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return 0, fmt.Errorf("data_dir: %w; give the folder to the user that runs thermogate", err)
	}
	probe.Close()
	os.Remove(probe.Name())
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Clean(dir), &fs); err != nil {
		return 0, fmt.Errorf("data_dir %s: %w", dir, err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}

func (d *doctor) camera(ctx context.Context) {
	c := d.config
	if c.Camera.URI == "" {
		d.say("camera", fmt.Errorf("camera.uri is not set; on this machine: %s", devices()), "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	source, err := openLive(ctx, c.Camera.URI, c.Camera.options(camera.Options{}))
	if err != nil {
		if strings.HasPrefix(c.Camera.URI, "/dev/") || strings.HasPrefix(c.Camera.URI, "v4l2:") {
			err = fmt.Errorf("%w; on this machine: %s", err, devices())
		}
		d.say("camera", err, "")
		return
	}
	defer source.Close()
	info := source.Info()
	view, err := d.look(ctx, source, info)
	d.say("camera", err, "%s, %d×%d pixels upright, %.1f frames a second, %s",
		info.Name, view.width, view.height, view.rate, info.Units)
	if err == nil {
		d.reference(info.ReferenceCelsius != nil || c.Measure.ReferenceCelsius != nil, view.reference)
	}
}

// devices lists the V4L2 cameras of this machine.
func devices() string {
	var list []string
	for _, device := range camera.Devices() {
		state := "no 16-bit pictures"
		if device.Err != nil {
			state = device.Err.Error()
		} else if device.Y16() {
			state = "16-bit"
		}
		list = append(list, fmt.Sprintf("%s %s (%s)", device.Path, device.Name, state))
	}
	if len(list) == 0 {
		return "no video device"
	}
	return strings.Join(list, ", ")
}

// view is what the doctor saw through the camera.
type view struct {
	width, height int
	rate          float64
	reference     event.ReferenceSource
}

func (d *doctor) look(ctx context.Context, source camera.Source, info camera.Info) (view, error) {
	var v view
	detector, err := face.New()
	if err != nil {
		return v, err
	}
	defer detector.Close()
	gate, err := gate.New(d.config.gate(), info, detector, seededBy(info.Name))
	if err != nil {
		return v, err
	}
	var first, last time.Time
	frames := 0
	err = walk(ctx, source, gate, func(frame *camera.Frame, scene *event.Scene, _ []event.Event) error {
		if frames++; frames == 1 {
			first = frame.Captured
		}
		last = frame.Captured
		v.width, v.height, v.reference = frame.Width, frame.Height, scene.Reference
		return nil
	})
	if err != nil && ctx.Err() == nil {
		return v, err
	}
	if frames < 2 {
		return v, fmt.Errorf("%s is open but no frames came within %s; look at its cable, and whether another program has it", info.Name, lookTime)
	}
	if v.reference.Problem == event.NotRadiometric {
		return v, fmt.Errorf("%s delivers %s, which are no temperatures: set camera.units, or camera.planck to the camera's calibration", info.Name, info.Units)
	}
	v.rate = float64(frames-1) / last.Sub(first).Seconds()
	return v, nil
}

func (d *doctor) reference(configured bool, r event.ReferenceSource) {
	switch {
	case !configured:
		d.say("reference", nil, "none configured (measure.reference_celsius): only the group policy applies")
	case r.Problem != event.NoProblem:
		d.say("reference", fmt.Errorf("%s; the source must be in view, uncovered, warm and %.1f °C", r.Problem, r.NominalCelsius), "")
	case r.Assumed:
		d.say("reference", fmt.Errorf("its %.1f °C is only assumed, and every temperature is off by as much as that is; measure it and set measure.reference_celsius", r.NominalCelsius), "")
	default:
		d.say("reference", nil, "at %.0f, %.0f, radius %.1f pixels, reads %.2f °C, correction %+.2f °C",
			r.X, r.Y, r.Radius, r.MeasuredCelsius, r.CorrectionCelsius)
	}
}

func (d *doctor) broker(ctx context.Context) {
	c := d.config
	if c.MQTT.Broker == "" {
		err := mqtt.CheckBroker(c.Broker, mqtt.Gate{Site: c.Site, Name: c.Gate})
		d.say("broker", err, "the gate brings its own, at %s", c.Broker.Listen)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d.say("broker", mqtt.Check(ctx, c.MQTT, mqtt.Gate{Site: c.Site, Name: c.Gate}), "%s lets this gate in", c.MQTT.Broker)
}

func (d *doctor) door(ctx context.Context) {
	if d.config.Door.Output == "" {
		d.say("door", nil, "none configured")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := door.Check(ctx, d.config.Door)
	d.say("door", err, "%s", found)
}

func (d *doctor) pages() {
	listener, err := net.Listen("tcp", d.config.HTTP.Listen)
	if err == nil {
		listener.Close()
	} else {
		err = fmt.Errorf("http.listen: %w; is the gate running already? Else choose another port", err)
	}
	if err == nil {
		_, err = d.config.HTTP.guard(nil)
	}
	d.say("pages", err, "%s is free", d.config.HTTP.Listen)
}

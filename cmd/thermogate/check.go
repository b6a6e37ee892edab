package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/cmd/internal/consolecmd"
	"thermogate/screening/badge"
	"thermogate/screening/badge/zbar"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/gate"
	"thermogate/screening/listen"
	"thermogate/screening/metrics"
	"thermogate/screening/mqtt"
)

const (
	// lookTime is how long check watches the camera once it delivers: a reference has to settle.
	lookTime = 5 * time.Second
	// askTime is how long a gate may take to say how it is.
	askTime = 2 * time.Second
	// leastFreeBytes holds years of events.
	leastFreeBytes = 100 << 20
)

func newCheckCommand() *cobra.Command {
	var configPath string
	var running bool
	command := &cobra.Command{
		Use:   "check",
		Short: "Doctor: config, disk, camera, reference, broker, door, pages; says what to do",
		Long: `Check looks at everything a gate needs, and says what to do. At a gate that runs it asks that instead, and whether it was
started with this config.

With --running it only asks the gate that runs with this config, as the health check of a container does. It ends with 0
while that gate is alive, also where people can't be screened for now: it prints why. That the file was changed since the
start, or is broken now, it prints as well, with the keys that are others; it is no failure, for the gate goes on as it was
started, and only a person knows when it may be restarted. It ends with 1 where no gate answers, another gate does, or a
restart would help.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(configPath)
			if running {
				return askFor(cmd.Context(), c, err, configPath, cmd.OutOrStdout())
			}
			if err != nil {
				return err
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

// askFor asks the gate of a config file, which may be broken. Where the gate is not found by what the file says now, it is
// asked by what that said when this user started it.
func askFor(ctx context.Context, c config, broken error, file string, out io.Writer) error {
	err := broken
	if err == nil {
		err = askRunning(ctx, c, out)
	}
	if err == nil || file == "" {
		return err
	}
	started, runs := asStarted(ctx, file)
	if !runs {
		return err
	}
	fmt.Fprintf(out, "warning: the gate runs with what %s said when it was started. By what that says now: %v\n", file, err)
	return askRunning(ctx, started, out)
}

// askRunning asks the gate of a config for its health. What keeps it from screening people it prints, and that it was started
// with another config than the file has now; only a gate that a restart would help is an error, and another gate than this.
func askRunning(ctx context.Context, c config, out io.Writer) error {
	alive, err := ask(ctx, c.HTTP, "/healthz", nil)
	if err != nil {
		return err
	}
	if !alive.well {
		return fmt.Errorf("the gate at %s is not well: %s", c.HTTP.Listen, alive.text)
	}
	ready, err := askInside(ctx, c.HTTP, "/readyz")
	if err != nil {
		return err
	}
	if other := ready.otherThan(c.identity()); other != nil {
		return other
	}
	if old := ready.outdated(ctx, c); old != nil {
		fmt.Fprintln(out, "warning:", old)
	}
	_, err = fmt.Fprintln(out, ready.text)
	return err
}

// answer is what a gate says of its health.
type answer struct {
	at   string
	well bool
	text string
	// gate is who answers; nil where that is not told, and secrecy is why.
	gate    *metrics.Identity
	secrecy error
}

// otherThan says which gate answers, if it is another one.
func (a answer) otherThan(own metrics.Identity) error {
	if a.gate == nil || a.gate.Site == own.Site && a.gate.Gate == own.Gate {
		return nil
	}
	return fmt.Errorf("another gate answers at %s: site %s gate %s, and not site %s gate %s", a.at, a.gate.Site, a.gate.Gate, own.Site, own.Gate)
}

// outdated says how a gate that answers differs from what a start with the file would make of it; nil where it does not.
func (a answer) outdated(ctx context.Context, c config) error {
	if a.gate == nil {
		return fmt.Errorf("a gate runs at %s, and whether it is this one is not known: %w", a.at, a.secrecy)
	}
	if a.gate.Config == c.identity().Config {
		return nil
	}
	since := "it was started with another one"
	if started := a.gate.Started; !started.IsZero() && c.written.After(started) {
		since = fmt.Sprintf("changed after it was started at %s", started.Local().Format("2006-01-02 15:04:05"))
	}
	return fmt.Errorf("the gate runs with another config than %s (%s): restart it to use this one. %s",
		cmp.Or(c.file, "the defaults"), since, a.changes(ctx, c))
}

// changes says which keys of the file are others than what the gate was started with.
func (a answer) changes(ctx context.Context, c config) string {
	const secret = "Which keys are others is not told, for their values may be secret"
	settings, err := askSettings(ctx, c.HTTP)
	if err != nil {
		return secret
	}
	was, is := settings.Values, c.told().Values
	var changes []string
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if old, told := was[key]; told && old != is[key] {
			changes = append(changes, fmt.Sprintf("%s: %q there, %q in the file", key, old, is[key]))
		}
	}
	if len(changes) == 0 {
		return secret
	}
	return strings.Join(changes, "; ")
}

// askInside asks as somebody who may know, and as anybody where that gets no answer.
func askInside(ctx context.Context, c httpConfig, path string) (answer, error) {
	login, err := c.LogIn()
	if err != nil {
		return askOutside(ctx, c, path, err)
	}
	a, err := ask(ctx, c, path+"?verbose", login)
	if err != nil {
		return askOutside(ctx, c, path, err)
	}
	if a.gate == nil {
		a.secrecy = errors.New("its version is an older one")
	}
	return a, nil
}

func askOutside(ctx context.Context, c httpConfig, path string, secrecy error) (answer, error) {
	a, err := ask(ctx, c, path, nil)
	a.secrecy = secrecy
	return a, err
}

// ask asks what listens at a gate's address for its health. Whatever is no gate's answer is an error.
func ask(ctx context.Context, c httpConfig, path string, login *url.Userinfo) (answer, error) {
	status, body, err := fetch(ctx, c, path, login)
	if err != nil {
		return answer{}, err
	}
	text := strings.TrimSpace(string(body))
	if !strings.HasPrefix(text, `{"status"`) {
		return answer{}, fmt.Errorf("what answers at %s is no gate: %d %s", c.Listen, status, http.StatusText(status))
	}
	a := answer{at: c.Listen, well: status == http.StatusOK, text: text}
	var gate metrics.Identity
	if json.Unmarshal(body, &gate) == nil && gate.Gate != "" {
		a.gate = &gate
	}
	return a, nil
}

// askSettings asks a gate what it was started with.
func askSettings(ctx context.Context, c httpConfig) (mqtt.Settings, error) {
	login, err := c.LogIn()
	if err != nil {
		return mqtt.Settings{}, err
	}
	_, body, err := fetch(ctx, c, "/settings", login)
	if err != nil {
		return mqtt.Settings{}, err
	}
	settings := mqtt.Settings{Values: map[string]string{}}
	return settings, json.Unmarshal(body, &settings)
}

func fetch(ctx context.Context, c httpConfig, path string, login *url.Userinfo) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return c.Ask(ctx, "gate", path, login)
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
	d.certificate()
	if d.running(ctx) {
		return
	}
	d.camera(ctx)
	d.broker(ctx)
	d.door(ctx)
	d.badges()
	d.pages()
	d.console()
}

// running reports on a gate that runs with this config already. It has camera and ports for itself, and is not disturbed.
func (d *doctor) running(ctx context.Context) bool {
	a, err := askInside(ctx, d.config.HTTP, "/readyz")
	if err != nil {
		return false
	}
	other, old := a.otherThan(d.config.identity()), a.outdated(ctx, d.config)
	var fault error
	switch {
	case other != nil:
		fault = fmt.Errorf("%w: give one of them another http.listen", other)
	case old != nil:
		fault = fmt.Errorf("%w. It says: %s", old, a.text)
	case !a.well:
		fault = fmt.Errorf("it runs already, at %s, and says: %s", a.at, a.text)
	}
	d.say("gate", fault, "it runs already, at %s, and all is well; stop it to have the rest looked at", a.at)
	return other == nil
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
		d.say("camera", fmt.Errorf("camera.uri is not set; on this machine: %s", devices(ctx)), "")
		return
	}
	view, info, err := d.look(ctx)
	opened := info.Name != ""
	if err != nil && !opened && (strings.HasPrefix(c.Camera.URI, "/dev/") || strings.HasPrefix(c.Camera.URI, "v4l2:")) {
		err = fmt.Errorf("%w; on this machine: %s", err, devices(ctx))
	}
	if view.span != nil {
		d.say("picture", nil, "%s", view.span)
	}
	d.say("camera", err, "%s, %d×%d pixels upright, %.1f frames a second, %s",
		cmp.Or(c.Camera.Name, info.Name), view.width, view.height, view.rate, info.Units)
	if err == nil {
		d.reference(info.ReferenceCelsius != nil || c.Measure.ReferenceCelsius != nil, view.reference)
	}
}

// devices lists the cameras of this machine.
func devices(ctx context.Context) string {
	var list []string
	found, _ := listCameras(ctx, nil) // what can't be looked for is not this gate's camera
	for _, found := range found {
		list = append(list, found.summary())
	}
	if len(list) == 0 {
		return "no camera"
	}
	return strings.Join(list, ", ")
}

// view is what the doctor saw through the camera.
type view struct {
	width, height int
	rate          float64
	reference     event.ReferenceSource
	span          *radiometry.Span // of the first picture that can be true; nil without temperatures
}

// look watches the camera as run does, until the first fault.
func (d *doctor) look(ctx context.Context) (v view, info camera.Info, err error) {
	detector, err := d.config.detector()
	if err != nil {
		return v, camera.Info{}, err
	}
	defer detector.Close()
	c := d.config.Camera
	ctx, fault := context.WithCancelCause(ctx)
	defer fault(nil)
	live := c.live(func(status camera.Status) {
		if status.Err != nil {
			fault(status.Err)
		}
	})
	var seen atomic.Pointer[radiometry.Span]
	source := camera.NewLive(func(ctx context.Context) (camera.Source, error) {
		source, err := openLive(ctx, c.URI, c.options(camera.Options{Loop: true}))
		if err != nil {
			return nil, err
		}
		return camera.Plausible(source, func(span radiometry.Span) { seen.Store(&span) }), nil
	}, live)
	defer source.Close()
	defer func() { v.span = seen.Load() }()
	var first, last camera.Frame
	if err := source.Read(ctx, &first); err != nil {
		return v, source.Info(), context.Cause(ctx)
	}
	info = source.Info()
	gate, err := gate.New(d.config.gate(), info, detector, seededBy(info.Name))
	if err != nil {
		return v, info, err
	}
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err = walk(looking, source, gate, func(frame *camera.Frame, scene *event.Scene, _ []event.Event) error {
		last.Index, last.Captured = frame.Index, frame.Captured
		v.width, v.height, v.reference = frame.Width, frame.Height, scene.Reference
		return nil
	})
	if looking.Err() == nil || ctx.Err() != nil {
		return v, info, cmp.Or(context.Cause(ctx), err)
	}
	if last.Captured.IsZero() {
		return v, info, fmt.Errorf("%s is open but only one frame came within %s; look at its cable, and whether another program has it", info.Name, lookTime)
	}
	if v.reference.Problem == event.NotRadiometric {
		return v, info, fmt.Errorf("%s delivers %s, which are no temperatures: set camera.units, or camera.planck to the camera's calibration", info.Name, info.Units)
	}
	v.rate = float64(last.Index-first.Index) / last.Captured.Sub(first.Captured).Seconds()
	return v, info, nil
}

func (d *doctor) reference(configured bool, r event.ReferenceSource) {
	switch {
	case !configured:
		d.say("reference", nil, "none configured (measure.reference_celsius): only the group policy applies")
	case r.Problem != event.NoProblem:
		d.say("reference", fmt.Errorf("%s; the source must be in view, uncovered, warm and %.1f °C, and no other warm disc in the picture, or outside measure.reference_area", r.Problem, r.NominalCelsius), "")
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
	err := mqtt.Check(ctx, c.MQTT, mqtt.Gate{Site: c.Site, Name: c.Gate})
	if mqtt.TurnsAway(err) && c.joined() {
		err = errors.New(turnedAway)
	}
	d.say("broker", err, "%s lets this gate in", c.MQTT.Broker)
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

// badges looks whether the readers are there, and for what they read keys. Of those on this machine that are not chosen it lists
// what types, so that one can be.
func (d *doctor) badges() {
	c := d.config
	for _, chosen := range c.Badge.Inputs {
		found, err := badge.CheckInput(chosen)
		if err != nil {
			err = fmt.Errorf("badge.inputs: %s: %w", chosen, err)
		}
		d.say("badge", err, "%s is there: %s (%s)", chosen, cmp.Or(found.Name, found.Path), found.ID())
	}
	kinds := c.badgeReaders()
	if len(kinds) == 0 {
		d.say("badges", nil, "no reader is configured%s", d.typing())
		return
	}
	desk, err := badge.Open(c.Badge, c.Site, filepath.Join(c.DataDir, passesName), slog.New(slog.DiscardHandler))
	if err == nil && c.Camera.Visible != "" {
		var scanner *zbar.Scanner
		if scanner, err = zbar.Open(); err == nil {
			scanner.Close()
		}
	}
	if err == nil && c.Badge.WebhookSecretFile != "" {
		_, err = badge.NewWebhook(c.Badge.WebhookSecretFile, nil)
	}
	if err != nil {
		d.say("badges", err, "")
		return
	}
	d.say("badges", nil, "read by %s; %s%s", strings.Trim(fmt.Sprint(kinds), "[]"), desk.Knows(), d.typing())
}

// typing lists what types on this machine and is not chosen.
func (d *doctor) typing() string {
	var all []string
	for _, found := range badge.InputDevices() {
		if !slices.ContainsFunc(d.config.Badge.Inputs, func(chosen string) bool {
			known, err := badge.CheckInput(chosen)
			return err == nil && known.ID() == found.ID()
		}) {
			all = append(all, fmt.Sprintf("%s %s", found.ID(), found.Name))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "; for badge.inputs there are: " + strings.Join(all, ", ")
}

// certificate tells by what to know the gate's certificate on a tablet. Only the gate makes one: its key belongs to its user.
func (d *doctor) certificate() {
	c := d.config.HTTP
	if !c.Encrypted() {
		return
	}
	shown, err := c.Fingerprints()
	if errors.Is(err, fs.ErrNotExist) && c.CertFile == "" {
		d.say("encryption", nil, "the gate makes one when it starts")
		return
	}
	switch {
	case err != nil:
		err = fmt.Errorf("http.%w", err)
	case shown.Useless != nil:
		err = fmt.Errorf("clients will refuse it: %w (%s)", shown.Useless, shown)
	}
	d.say("encryption", err, "%s", shown)
}

func (d *doctor) pages() {
	quiet := slog.New(slog.DiscardHandler)
	address := d.config.HTTP.Config
	if address.CertFile == "" {
		address.Unencrypted = true // is it free? A certificate is made by the gate itself
	}
	listener, err := listen.Open(address, quiet)
	if err == nil {
		listener.Close()
		_, err = d.config.HTTP.Guard(nil, listen.NewAttempts(quiet))
	} else {
		err = fmt.Errorf("http.%w", err)
	}
	d.say("pages", err, "%s is free", d.config.HTTP.Listen)
}

func (d *doctor) console() {
	if d.config.Console == "" {
		d.say("console", nil, "none within the gate")
		return
	}
	c, err := consolecmd.LoadConfig(d.config.Console)
	if err == nil {
		var listener *listen.Listener
		if c.HTTP.CertFile == "" {
			c.HTTP.Unencrypted = true
		}
		if listener, err = listen.Open(c.HTTP.Config, slog.New(slog.DiscardHandler)); err == nil {
			listener.Close()
		}
	}
	d.say("console", err, "within the gate, at %s", c.HTTP.Listen)
}

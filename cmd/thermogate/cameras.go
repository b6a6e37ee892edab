package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/camera/gige"
	"thermogate/camera/radiometry"
	"thermogate/camera/v4l2"
	"thermogate/cmd/internal/program"
)

func newCamerasCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "cameras [DEVICE...]",
		Short: "What cameras are plugged in, what they deliver, and the config lines for them",
		Long: `Cameras lists what is plugged in, looks through each for a moment, and prints a config for the first that measures:

    thermogate cameras >gate.yaml
    thermogate check -c gate.yaml

The lines of the others are there as comments, and so is what to do about one that delivers only pictures for eyes. A
camera that another program uses is not disturbed.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			cameras, err := listCameras(cmd.Context(), paths)
			if errors.As(err, &program.UsageError{}) {
				return err
			}
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), err)
			}
			for i, c := range cameras {
				cameras[i] = c.looked(cmd.Context())
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				encoder.SetEscapeHTML(false)
				return encoder.Encode(cameras)
			}
			printCameras(cmd.OutOrStdout(), cameras)
			return nil
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	return command
}

// foundCamera is a camera of this machine or its network.
type foundCamera struct {
	URI     string        `json:"uri,omitempty"`
	Name    string        `json:"name,omitempty"`
	USB     string        `json:"usb_id,omitempty"`
	Serial  string        `json:"serial,omitempty"`
	Address string        `json:"address,omitempty"` // in the network
	KnownAs string        `json:"known_as,omitempty"`
	Formats []foundFormat `json:"formats,omitempty"`
	// Mode is what is asked of it, such as "Y16 160x122"; empty where it delivers only pictures for eyes.
	Mode string `json:"mode,omitempty"`
	// Width, Height and Units are those of its frames, once they were looked at.
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Units  string `json:"units,omitempty"`
	// Celsius is how far its picture reached; missing where that is not known.
	Celsius *radiometry.Span `json:"celsius,omitempty"`
	// Says is what its telemetry says.
	Says   string `json:"telemetry,omitempty"`
	Config string `json:"config,omitempty"`
	// Problem is what is wrong with it, and what to do.
	Problem string `json:"problem,omitempty"`

	units string // that have to be asked for
}

type foundFormat struct {
	Code  string   `json:"code"`
	Sizes []string `json:"sizes"`
}

// listCameras lists the given devices, or all there are, those in the network among them. Its error says which could not be
// looked for.
func listCameras(ctx context.Context, paths []string) ([]foundCamera, error) {
	cameras := []foundCamera{}
	for _, path := range paths {
		if path = strings.TrimPrefix(path, "v4l2://"); !filepath.IsAbs(path) {
			return nil, program.Usage(errors.New("cameras takes devices such as /dev/video0; whether another camera works, thermogate check says with camera.uri in its config"))
		}
		cameras = append(cameras, usbCamera(query(ctx, path)))
	}
	if len(paths) > 0 {
		return cameras, nil
	}
	for _, path := range v4l2.Paths() {
		if device := query(ctx, path); !errors.Is(device.Err, v4l2.ErrNoPictures) {
			cameras = append(cameras, usbCamera(device))
		}
	}
	network, err := gige.List(ctx)
	for _, c := range network {
		cameras = append(cameras, foundCamera{
			URI: c.URI, Name: cmp.Or(c.UserName, c.Name), Serial: c.Serial, Address: c.Address, KnownAs: c.ID,
			units: c.Units, Config: c.Config(), Problem: c.Problem,
		})
	}
	return cameras, err
}

// answerTime is how long a driver may take to answer, and to notice that nobody waits for its pictures any more.
const answerTime = 5 * time.Second

// query asks a device what it is.
func query(ctx context.Context, path string) v4l2.Device {
	device, err := inTime(ctx, answerTime, func() v4l2.Device { return v4l2.Query(path) })
	if err != nil {
		return v4l2.Device{Path: path, Err: err}
	}
	return device
}

// inTime does what a driver may never return from. It is then left to do that until the program ends.
func inTime[T any](ctx context.Context, limit time.Duration, do func() T) (result T, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errHangs)
	defer cancel()
	done := make(chan T, 1)
	go func() { done <- do() }()
	select {
	case result = <-done:
		return result, nil
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
}

var errHangs = errors.New("its driver hangs; unplug the camera and plug it in again")

const onlyPictures = "it delivers pictures for eyes only, without temperatures. If it is a thermal camera, switch it to 16 bits " +
	`("Y16", "raw", "radiometric") in its maker's program, or by a newer firmware; else another camera is needed: ` +
	"camera/README.md lists those that measure"

func usbCamera(device v4l2.Device) foundCamera {
	c := foundCamera{URI: "v4l2://" + lastingPath(device.Path), Name: device.Name, USB: device.USB, KnownAs: device.KnownAs()}
	for _, format := range device.Formats {
		f := foundFormat{Code: format.Name()}
		for _, size := range format.Sizes {
			f.Sizes = append(f.Sizes, size.String())
		}
		c.Formats = append(c.Formats, f)
	}
	mode, _, measures := device.Best()
	switch {
	case device.Err != nil:
		c.Problem = device.Err.Error()
	case !measures:
		c.Problem = onlyPictures
	default:
		c.Mode = mode.String()
		c.Config = fmt.Sprintf("camera:\n  uri: %q\n  orientation: normal # as it is mounted: the picture on the status page is to be upright\n", c.URI)
	}
	return c
}

// lastingPath is the name of a device that stays when it is plugged in again, where it has one.
func lastingPath(path string) string {
	links, _ := filepath.Glob("/dev/v4l/by-id/*") // the pattern is valid
	for _, link := range links {
		if target, err := filepath.EvalSymlinks(link); err == nil && target == path {
			return link
		}
	}
	return path
}

// glance is how long a camera may take to show a picture.
const glance = 8 * time.Second

// looked is the camera with what its pictures are like.
func (c foundCamera) looked(ctx context.Context) foundCamera {
	if c.Config == "" {
		return c
	}
	looked, err := inTime(ctx, glance+answerTime, func() foundCamera {
		looked := c
		looked.look(ctx)
		return looked
	})
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	return looked
}

// look opens the camera and says what its pictures are like.
func (c *foundCamera) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	source, err := camera.Open(ctx, c.URI, camera.Options{Units: c.units})
	if err != nil {
		c.Problem = err.Error()
		return
	}
	defer source.Close()
	source = camera.Plausible(source, func(span radiometry.Span) { c.Celsius = &span })
	var frame camera.Frame
	if err := source.Read(ctx, &frame); err != nil {
		c.Problem = err.Error()
		return
	}
	c.Width, c.Height, c.Units = frame.Width, frame.Height, source.Info().Units
	if t := frame.Telemetry; t != nil {
		c.Says = fmt.Sprintf("sensor at %.1f °C, on for %s, shutter %s", t.SensorCelsius, t.Uptime.Round(time.Second), t.Shutter)
		if t.SinceFFC >= 0 {
			c.Says += fmt.Sprintf(", last closed %s ago", t.SinceFFC.Round(time.Second))
		}
	}
	if c.Units == "counts" && c.units == "" {
		c.Problem = "what its counts mean is not known: switch its output to temperatures (FLIR calls that TLinear), or set " +
			"camera.units or camera.planck to its calibration; until then faces are found and nobody is measured"
		c.Config += "  # units: centikelvin\n"
	}
}

// summary is the camera in a few words.
func (c foundCamera) summary() string {
	state := cmp.Or(c.Mode, "16 bits")
	if c.Problem != "" {
		state, _, _ = strings.Cut(c.Problem, ". ")
	}
	return fmt.Sprintf("%s %s (%s)", c.URI, c.Name, state)
}

// printCameras prints a config: the first camera that measures, and all else as comments.
func printCameras(out io.Writer, cameras []foundCamera) {
	if len(cameras) == 0 {
		fmt.Fprintln(out, "# No camera is plugged in that Linux knows (ls /dev/video*). Look at its cable; a camera on the network, or with a\n"+
			"# driver of its maker, comes in through GStreamer: camera.uri \"gst:PIPELINE\".")
	}
	chosen := slices.IndexFunc(cameras, func(c foundCamera) bool { return c.Width > 0 })
	if chosen < 0 {
		chosen = slices.IndexFunc(cameras, func(c foundCamera) bool { return c.Config != "" })
	}
	for i, c := range cameras {
		if i > 0 {
			fmt.Fprintln(out)
		}
		comment(out, strings.Join(c.describe(), "\n"))
		switch {
		case i == chosen:
			fmt.Fprint(out, c.Config)
		case c.Config != "":
			comment(out, c.Config)
		}
	}
}

func (c foundCamera) describe() []string {
	title := c.URI
	if c.Name != "" {
		title = strings.TrimPrefix(title+": "+c.Name, ": ")
	}
	if c.Serial != "" {
		title += ", serial number " + c.Serial
	}
	if c.Address != "" {
		title += ", at " + c.Address
	}
	if c.USB != "" {
		title += ", USB " + c.USB
	}
	if c.KnownAs != "" {
		title += ", known as " + c.KnownAs
	}
	lines := []string{title}
	for _, f := range c.Formats {
		lines = append(lines, "  "+f.Code+" "+strings.Join(f.Sizes, ", "))
	}
	if c.Width > 0 {
		lines = append(lines, fmt.Sprintf("Asked for %s it delivers %d×%d pixels in %s.", cmp.Or(c.Mode, "16 bits"), c.Width, c.Height, c.Units))
	}
	if c.Celsius != nil {
		lines = append(lines, fmt.Sprintf("Its picture: %s.", c.Celsius))
	}
	if c.Says != "" {
		lines = append(lines, "It says: "+c.Says+".")
	}
	if c.Problem != "" {
		lines = append(lines, "PROBLEM: "+c.Problem+".")
	}
	return lines
}

func comment(out io.Writer, text string) {
	for line := range strings.Lines(strings.TrimSuffix(text, "\n") + "\n") {
		fmt.Fprint(out, "# "+line)
	}
}

// Package camera delivers 16-bit infrared frames from devices, network
// pipelines, recordings and a simulator, all through OpenCV.
package camera

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"thermogate/camera/radiometry"
	"thermogate/camera/v4l2"
)

// Frame is one upright picture of raw sensor values.
type Frame struct {
	Width, Height int
	// Counts holds Width*Height sensor values, row by row. Temperatures of a file become counts in hundredths of a kelvin:
	// what rounding costs, 0.005 °C at most, is less than any camera resolves.
	Counts []uint16
	// Index counts the frames the camera delivered since it was opened, dropped ones included.
	Index int
	// Opening counts how often the camera was opened again before it took this frame: it may have been without power.
	Opening int
	// Captured is when the sensor delivered the frame.
	Captured time.Time
	// SinceFFC is the time since the last shutter event (flat-field correction); negative where the camera does not tell.
	SinceFFC time.Duration
	// Telemetry is what else the camera says of itself; nil where it does not.
	Telemetry *v4l2.Telemetry
}

// Info describes a source: what a sidecar, a device profile or the scenario says of it.
type Info struct {
	// Name is the address a camera was opened by, Masked, or a recording's file name.
	Name string
	// Model is the camera model, such as "lepton3.5"; empty where nobody said.
	Model string
	// Device is the name its owner gave the camera; empty where nobody said.
	Device string
	// FPS is the nominal rate in frames a second.
	FPS float64
	// Units names the scale of Frame.Counts as radiometry.ScaleOf knows it, such as "centikelvin", or says "linear" for the
	// scale in Linear and "planck" for the calibration in Planck.
	Units  string
	Linear radiometry.Linear
	Planck radiometry.Planck
	// ReferenceCelsius is the true temperature of the reference source in view; nil where nobody said.
	ReferenceCelsius *float64
	// ReferenceKnown is true where ReferenceCelsius was set or measured by somebody, and not merely assumed.
	ReferenceKnown bool
	// Live is true where frames come at their own pace and time passes between them.
	Live bool
}

// longestName is that of a camera, in bytes.
const longestName = 100

// CheckName says what of a camera's name is not to stand in every event.
func CheckName(name string) error {
	if len(name) > longestName || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("a name has at most %d bytes and is all in one line", longestName)
	}
	return nil
}

// Scale turns the counts of the source into temperatures.
func (i Info) Scale() (radiometry.Scale, error) {
	switch i.Units {
	case unitsLinear:
		return i.Linear.Scale()
	case unitsPlanck:
		return i.Planck.Scale()
	}
	return radiometry.ScaleOf(i.Units)
}

// SameAs reports whether a gate that was set up for one source may go on with the other: they have the same name, scale and
// reference.
func (i Info) SameAs(other Info) bool {
	reference := func(i Info) float64 {
		if i.ReferenceCelsius == nil {
			return 0 // no reference is as cold as ice
		}
		return *i.ReferenceCelsius
	}
	return i.Name == other.Name && i.Units == other.Units && i.Linear == other.Linear && i.Planck == other.Planck &&
		reference(i) == reference(other) && i.ReferenceKnown == other.ReferenceKnown
}

// Source delivers frames. Read blocks until the next frame, fills frame (reusing its Counts) and returns io.EOF at the
// end of a recording. A Source is used by one goroutine.
type Source interface {
	Info() Info
	Read(ctx context.Context, frame *Frame) error
	Close() error
}

// Options says of a source what it can't say itself. A field that is set wins over a recording's sidecar, which wins
// over the defaults.
type Options struct {
	// Orientation makes the picture upright; by default it is left as it comes.
	Orientation Orientation
	// FPS is the rate in frames a second; 8.77 by default. It replaces the capture times of a recording, and is asked of
	// a V4L2 camera.
	FPS float64
	// Units names the scale of the counts, see Info.Units. The default is what the camera or the file says, or what a camera is
	// known for, or "counts". Other units than the camera says are an error.
	Units string
	// Linear is the scale of the counts in place of Units, where its KelvinPerCount is not 0.
	Linear radiometry.Linear
	// Planck is the calibration of the counts in place of both, where its R1 is not 0.
	Planck radiometry.Planck
	// EightBit lets 8-bit pictures through, for finding faces only: Info.Units is then "grey8".
	EightBit bool
	// Loop starts a recording over at its end; capture times and indices go on.
	Loop bool
}

// Open opens a source of frames by its address:
//
//	recording.tiff, picture.png      a recording or a single picture; README.md lists the formats
//	folder/, folder/frame_%04d.png   a sequence of PNG files, also as a glob pattern, which may match other formats
//	v4l2:///dev/video0, /dev/video0  a camera on USB that delivers Y16 or one of the layouts that package v4l2 knows
//	gst:PIPELINE                     a GStreamer pipeline that ends in 16-bit grey
//
// A recording's sidecar (NAME.json beside NAME.tiff, FOLDER.json beside FOLDER) is read where there is one. Errors name
// the file or device, see Masked, and say what to do.
func Open(ctx context.Context, uri string, options Options) (Source, error) {
	source, err := open(ctx, uri, options)
	return source, masked(uri, err)
}

func open(ctx context.Context, uri string, options Options) (Source, error) {
	if _, err := ParseOrientation(string(options.Orientation)); err != nil {
		return nil, fmt.Errorf("opening camera %s: %w", uri, err)
	}
	if options.FPS != 0 {
		if err := checkFPS(options.FPS); err != nil {
			return nil, fmt.Errorf("opening camera %s: %w", uri, err)
		}
	}
	if path, ok := devicePath(uri); ok {
		return source(openV4L2(ctx, path, options))
	}
	scheme, rest, found := strings.Cut(uri, ":")
	switch {
	case uri == "":
		return nil, errors.New("no camera given: name a recording, v4l2:///dev/video0 or gst:PIPELINE")
	case found && scheme == "gst":
		return source(openPipeline(ctx, strings.TrimSpace(rest), options))
	case found && scheme == "simulator":
		return nil, fmt.Errorf("opening camera %s: the simulator is no device or file", uri)
	case found && strings.HasPrefix(rest, "//"):
		return nil, fmt.Errorf("opening camera %s: unknown scheme %q; use v4l2:///dev/video0, a file, or gst:PIPELINE, which also opens rtsp://, srt:// and GigE Vision (camera/README.md)", uri, scheme)
	}
	return source(openRecording(uri, options))
}

// source keeps a nil pointer out of the interface.
func source[S Source](s S, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

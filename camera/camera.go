// Package camera delivers 16-bit infrared frames from devices, network
// pipelines, recordings and a simulator, all through OpenCV.
package camera

import (
	"context"
	"time"
)

// Frame is one upright picture of raw sensor values.
type Frame struct {
	Width, Height int
	// Counts holds Width*Height sensor values, row by row.
	Counts []uint16
	// Index counts the frames the camera delivered since it was opened, dropped ones included.
	Index int
	// Captured is when the sensor delivered the frame.
	Captured time.Time
	// SinceFFC is the time since the last shutter event (flat-field correction); negative where the camera does not tell.
	SinceFFC time.Duration
}

// Info describes a source: what a sidecar, a device profile or the scenario says of it.
type Info struct {
	// Name is the camera model or, for a recording, its file name.
	Name string
	// FPS is the nominal rate in frames a second.
	FPS float64
	// Units names the scale of Frame.Counts as radiometry.ScaleOf knows it, such as "centikelvin".
	Units string
	// ReferenceCelsius is the true temperature of the reference source in view; nil where nobody said.
	ReferenceCelsius *float64
	// Live is true where frames come at their own pace and time passes between them.
	Live bool
}

// Source delivers frames. Read blocks until the next frame, fills frame (reusing its Counts) and returns io.EOF at the
// end of a recording. A Source is used by one goroutine.
type Source interface {
	Info() Info
	Read(ctx context.Context, frame *Frame) error
	Close() error
}

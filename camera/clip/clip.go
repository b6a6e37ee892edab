// Package clip writes what a camera delivers as recordings that replay to the same verdicts: a stack of 16-bit pages in a
// TIFF file and, beside it, a sidecar in JSON that says the rest.
package clip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"thermogate/camera"
	"thermogate/camera/radiometry"
)

// Description is what a sidecar says of a whole clip.
type Description struct {
	Info camera.Info
	// Orientation is the one that the frames were turned by. Pictures are stored as the camera delivered them.
	Orientation camera.Orientation
}

// Writer writes one clip. It is used by one goroutine.
type Writer struct {
	path        string
	description Description
	stack       *stack
	turned      []uint16
	start       time.Time
	last        time.Duration // of the newest frame since start
	timeMS      []float64
	sinceFFC    []*float64
	uptime      []*float64
	sensor      []*float64
	telling     bool // some frame has telemetry
	events      []string
}

// sidecar is the file beside the pictures, in the words that camera.Open reads. Before the end it has no times.
type sidecar struct {
	Width            int                `json:"width,omitempty"`
	Height           int                `json:"height,omitempty"`
	Frames           int                `json:"frames,omitempty"`
	FPS              float64            `json:"fps,omitempty"`
	Units            string             `json:"units,omitempty"`
	KelvinPerCount   *float64           `json:"kelvin_per_count,omitempty"` // in place of units
	ZeroCelsius      *float64           `json:"zero_celsius,omitempty"`
	Planck           *radiometry.Planck `json:"planck,omitempty"` // in place of both
	Orientation      camera.Orientation `json:"orientation,omitempty"`
	ReferenceCelsius *float64           `json:"reference_celsius,omitempty"`
	ReferenceKnown   bool               `json:"reference_known"`
	Camera           string             `json:"camera,omitempty"`
	Device           string             `json:"device,omitempty"`
	Events           []string           `json:"events,omitempty"` // ids of those the clip was kept for
	Start            string             `json:"start,omitempty"`
	TimeMS           []float64          `json:"time_ms,omitempty"`
	MSSinceFFC       []*float64         `json:"ms_since_ffc,omitempty"`
	UptimeMS         []*float64         `json:"uptime_ms,omitempty"`
	SensorCelsius    []*float64         `json:"sensor_celsius,omitempty"`
}

// Create begins a clip. The file's name ends in .tiff or .tif, the sidecar's in .json; neither may be there. Only this
// user may read them: they are pictures of people.
func Create(path string, d Description) (*Writer, error) {
	w := &Writer{path: path, description: d}
	if err := w.create(); err != nil {
		return nil, fmt.Errorf("clip %s: %w", path, err)
	}
	return w, nil
}

func (w *Writer) create() error {
	beside, err := SidecarPath(w.path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(beside); err == nil {
		return fmt.Errorf("%s is there already; give the clip another name, or move that away", beside)
	}
	file, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already; give the clip another name, or move that away")
	}
	if err != nil {
		return camera.WithoutPath(err)
	}
	if w.stack, err = newStack(file); err == nil {
		err = w.writeSidecar() // what is known now, should nothing be said at the end
	}
	if err != nil {
		return errors.Join(err, w.remove())
	}
	return nil
}

// SidecarPath is where the sidecar of a clip lies.
func SidecarPath(path string) (string, error) {
	extension := filepath.Ext(path)
	if lower := strings.ToLower(extension); lower != ".tiff" && lower != ".tif" {
		return "", errors.New("a clip is a TIFF file: its name must end in .tiff")
	}
	return strings.TrimSuffix(path, extension) + ".json", nil
}

// Add appends a frame. After an error the clip is what it was before, and to be closed.
func (w *Writer) Add(frame *camera.Frame) error {
	if cap(w.turned) < len(frame.Counts) {
		w.turned = make([]uint16, len(frame.Counts))
	}
	w.turned = w.turned[:len(frame.Counts)]
	width, height := w.description.Orientation.Undo(w.turned, frame.Counts, frame.Width, frame.Height)
	if err := w.stack.add(w.turned, width, height); err != nil {
		return fmt.Errorf("clip %s: %w", w.path, camera.WithoutPath(err))
	}
	if w.stack.pages == 1 {
		w.start = frame.Captured
	}
	w.last = max(w.last, frame.Captured.Sub(w.start)) // a clock that was set back
	w.timeMS = append(w.timeMS, milliseconds(w.last))
	var since *float64
	if frame.SinceFFC >= 0 {
		since = new(milliseconds(frame.SinceFFC))
	}
	w.sinceFFC = append(w.sinceFFC, since)
	var uptime, sensor *float64
	if told := frame.Telemetry; told != nil {
		uptime, sensor, w.telling = new(milliseconds(told.Uptime)), new(told.SensorCelsius), true
	}
	w.uptime, w.sensor = append(w.uptime, uptime), append(w.sensor, sensor)
	return nil
}

// milliseconds are exact to the nanosecond for a day and longer.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// About notes the id of an event that the clip is kept for.
func (w *Writer) About(id string) { w.events = append(w.events, id) }

// Frames is how many frames the clip has.
func (w *Writer) Frames() int { return w.stack.pages }

// Bytes is how large the file with the pictures is.
func (w *Writer) Bytes() int64 { return w.stack.size() }

// Length is the time from the first frame to the last.
func (w *Writer) Length() time.Duration { return w.last }

// Close makes the clip complete; one without a frame is removed. Where the disk has no room for the sidecar, the last
// frames make way for it.
func (w *Writer) Close() error {
	if w.stack.pages == 0 {
		return w.remove()
	}
	err := w.writeSidecar()
	for errors.Is(err, syscall.ENOSPC) && w.stack.pages > 1 {
		if dropErr := w.drop(); dropErr != nil {
			err = errors.Join(err, dropErr)
			break
		}
		err = w.writeSidecar()
	}
	if err := errors.Join(err, w.stack.file.Sync(), w.stack.file.Close()); err != nil {
		return fmt.Errorf("clip %s: %w", w.path, err)
	}
	return nil
}

// drop takes off as many frames as leave room for a sidecar.
func (w *Writer) drop() error {
	const entryBytes = 80 // of a frame in the sidecar, generously
	n := 1 + entryBytes*w.stack.pages/len(w.stack.page)
	n = min(n, w.stack.pages-1)
	if err := w.stack.drop(n); err != nil {
		return err
	}
	left := w.stack.pages
	w.timeMS, w.sinceFFC, w.uptime, w.sensor = w.timeMS[:left], w.sinceFFC[:left], w.uptime[:left], w.sensor[:left]
	return nil
}

// remove takes away a clip that holds nothing.
func (w *Writer) remove() error {
	beside, _ := SidecarPath(w.path)
	err := os.Remove(beside)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if w.stack != nil {
		err = errors.Join(err, w.stack.file.Close())
	}
	return errors.Join(err, os.Remove(w.path))
}

// writeSidecar writes the sidecar anew, so that at any time there is a whole one.
func (w *Writer) writeSidecar() error {
	text, err := json.Marshal(w.sidecar())
	if err != nil {
		return err
	}
	beside, _ := SidecarPath(w.path)
	file, err := os.CreateTemp(filepath.Dir(beside), "."+filepath.Base(beside)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), beside)
}

func (w *Writer) sidecar() sidecar {
	i := &w.description.Info
	s := sidecar{
		Width:            w.stack.width,
		Height:           w.stack.height,
		Frames:           w.stack.pages,
		FPS:              i.FPS,
		Units:            i.Units,
		Orientation:      w.description.Orientation,
		ReferenceCelsius: i.ReferenceCelsius,
		ReferenceKnown:   i.ReferenceKnown,
		Camera:           i.Model,
		Device:           i.Device,
		Events:           w.events,
		TimeMS:           w.timeMS,
		MSSinceFFC:       w.sinceFFC,
	}
	if s.Camera == "" {
		s.Camera = i.Name
	}
	if w.telling {
		s.UptimeMS, s.SensorCelsius = w.uptime, w.sensor
	}
	switch {
	case i.Planck.R1 != 0:
		s.Units, s.Planck = "", &i.Planck
	case i.Linear.KelvinPerCount != 0:
		s.Units, s.KelvinPerCount, s.ZeroCelsius = "", &i.Linear.KelvinPerCount, &i.Linear.ZeroCelsius
	}
	if w.stack.pages > 0 {
		s.Start = w.start.UTC().Format(time.RFC3339Nano)
	}
	return s
}

// Package v4l2 knows the thermal cameras of Linux's video devices (Video4Linux2): what is plugged in, in which formats
// and sizes it delivers, and where in its pictures temperatures and telemetry lie. It reads no pictures.
package v4l2

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"thermogate/camera/bounded"

	"golang.org/x/sys/unix"
)

// Size is that of a picture in pixels.
type Size struct{ Width, Height int }

func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// Format is a pixel format and the sizes it is delivered in.
type Format struct {
	// Code is the four-character code of linux/videodev2.h, such as "Y16 " or "YUYV".
	Code  string
	Sizes []Size
}

// Name is the code as it may be shown: a device is free to have any.
func (f Format) Name() string { return bounded.Printable(strings.TrimSpace(f.Code)) }

func (f Format) String() string {
	sizes := make([]string, len(f.Sizes))
	for i, size := range f.Sizes {
		sizes[i] = size.String()
	}
	return f.Name() + " " + strings.Join(sizes, ", ")
}

// Device is a video device that delivers pictures.
type Device struct {
	Path string // such as /dev/video0
	Name string // what the camera calls itself
	// USB is its vendor and product, such as "1e4e:0100"; empty where it is not on USB.
	USB     string
	Formats []Format
	// MaxZoom is the largest value that its zoom takes; 0 where it has none.
	MaxZoom int
	// Err is why Name and Formats are missing, such as a missing permission.
	Err error
}

// Offers lists the formats and sizes in one line.
func (d Device) Offers() string {
	formats := make([]string, len(d.Formats))
	for i, format := range d.Formats {
		formats[i] = format.String()
	}
	return strings.Join(formats, "; ")
}

// ErrNoPictures marks a node that delivers something else: the metadata of a camera, or pictures for a screen.
var ErrNoPictures = errors.New("it delivers no pictures")

// Paths are the video devices there are.
func Paths() []string {
	paths, _ := filepath.Glob("/dev/video[0-9]*") // the pattern is valid
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return paths
}

// Query asks a device what it is. A camera in use is not disturbed. A driver that hangs keeps it from returning.
func Query(path string) Device {
	device := Device{Path: path, USB: usbID(path)}
	h, err := open(path)
	if err != nil {
		device.Err = err
		return device
	}
	defer h.close()
	if device.Name, device.Err = h.name(); device.Err != nil {
		return device
	}
	if device.Formats = h.formats(); len(device.Formats) == 0 {
		device.Formats = h.probe()
	}
	device.MaxZoom = h.maxZoom()
	return device
}

// RowBytes says how many bytes from one row to the next the driver wants to use for a mode.
func RowBytes(path string, mode Mode) (int, error) {
	h, err := open(path)
	if err != nil {
		return 0, err
	}
	defer h.close()
	got, rowBytes, err := h.try(mode)
	switch {
	case errors.Is(err, syscall.EBUSY):
		return 0, errors.New("another program uses it")
	case err != nil:
		return 0, fmt.Errorf("asking it for %s: %w", mode, err)
	case got != mode:
		return 0, fmt.Errorf("it was asked for %s and would deliver %s", mode, got)
	}
	return rowBytes, nil
}

// probe finds the formats and sizes of a driver that does not list them: it asks for what thermal cameras deliver, and
// the driver answers with the nearest that it has.
func (h handle) probe() []Format {
	var formats []Format
	for _, mode := range commonModes() {
		got, _, err := h.try(mode)
		if err != nil {
			continue
		}
		formats = add(formats, got.Code, got.Size)
	}
	return formats
}

// probeSizes finds the sizes of one format in the same way.
func (h handle) probeSizes(code string) []Size {
	var formats []Format
	for _, mode := range commonModes() {
		if got, _, err := h.try(Mode{code, mode.Size}); err == nil && got.Code == code {
			formats = add(formats, code, got.Size)
		}
	}
	if len(formats) == 0 {
		return nil
	}
	return formats[0].Sizes
}

func add(formats []Format, code string, size Size) []Format {
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Code == code })
	if i < 0 {
		return append(formats, Format{code, []Size{size}})
	}
	if !slices.Contains(formats[i].Sizes, size) {
		formats[i].Sizes = append(formats[i].Sizes, size)
	}
	return formats
}

// usbID looks in sysfs for vendor and product of the USB device that a video device belongs to.
func usbID(path string) string {
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		return ""
	}
	const videoMajor = 81
	if unix.Major(stat.Rdev) != videoMajor {
		return ""
	}
	return usbIDOf(fmt.Sprintf("/sys/dev/char/%d:%d", videoMajor, unix.Minor(stat.Rdev)))
}

func usbIDOf(node string) string {
	// device is a link to the interface that streams; the USB device it is part of is its parent.
	vendor, err := os.ReadFile(node + "/device/../idVendor")
	if err != nil {
		return ""
	}
	product, err := os.ReadFile(node + "/device/../idProduct")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(vendor)) + ":" + strings.TrimSpace(string(product))
}

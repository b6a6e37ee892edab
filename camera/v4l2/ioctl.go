package v4l2

/*
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/videodev2.h>

// Go can call no C function with a variable number of arguments.
static int openDevice(const char *path) { return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); }

static int request(int fd, unsigned long code, void *argument) {
	int result;
	do
		result = ioctl(fd, code, argument);
	while (result < 0 && errno == EINTR);
	return result;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"thermogate/camera/bounded"
)

// maxEntries bounds the lists of a driver that never says where they end.
const maxEntries = 64

// handle is an open device. It is spoken to through the C library, like OpenCV does it, so that what stands in for a
// device there (libv4l's v4l2convert.so, a test) does so here.
type handle C.int

func open(path string) (handle, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	fd, err := C.openDevice(name)
	switch {
	case fd >= 0:
		return handle(fd), nil
	case errors.Is(err, fs.ErrNotExist):
		return -1, errors.New("there is no such device; is the camera plugged in?")
	case errors.Is(err, fs.ErrPermission):
		return -1, errors.New("permission denied; add this user to the group video")
	}
	return -1, err
}

func (h handle) close() { C.close(C.int(h)) }

func (h handle) request(code C.ulong, argument unsafe.Pointer) error {
	if result, err := C.request(C.int(h), code, argument); result < 0 {
		return err
	}
	return nil
}

// name asks what the camera calls itself, and whether it delivers pictures.
func (h handle) name() (string, error) {
	var capability C.struct_v4l2_capability
	if err := h.request(C.VIDIOC_QUERYCAP, unsafe.Pointer(&capability)); err != nil {
		return "", fmt.Errorf("it is no video device: %w", err)
	}
	can := capability.capabilities
	if can&C.V4L2_CAP_DEVICE_CAPS != 0 {
		can = capability.device_caps
	}
	if can&(C.V4L2_CAP_VIDEO_CAPTURE|C.V4L2_CAP_VIDEO_CAPTURE_MPLANE) == 0 {
		return "", ErrNoPictures
	}
	return bounded.Printable(C.GoString((*C.char)(unsafe.Pointer(&capability.card[0])))), nil
}

// maxZoom is the largest value that the zoom takes; 0 where there is none.
func (h handle) maxZoom() int {
	control := C.struct_v4l2_queryctrl{id: C.V4L2_CID_ZOOM_ABSOLUTE}
	if h.request(C.VIDIOC_QUERYCTRL, unsafe.Pointer(&control)) != nil {
		return 0
	}
	return int(control.maximum)
}

func (h handle) formats() []Format {
	var formats []Format
	for i := range C.__u32(maxEntries) {
		description := C.struct_v4l2_fmtdesc{index: i, _type: C.V4L2_BUF_TYPE_VIDEO_CAPTURE}
		if h.request(C.VIDIOC_ENUM_FMT, unsafe.Pointer(&description)) != nil {
			break
		}
		code := codeOf(description.pixelformat)
		formats = append(formats, Format{code, h.sizes(code)})
	}
	return formats
}

func (h handle) sizes(code string) []Size {
	var sizes []Size
	for i := range C.__u32(maxEntries) {
		entry := C.struct_v4l2_frmsizeenum{index: i, pixel_format: pixelFormat(code)}
		if h.request(C.VIDIOC_ENUM_FRAMESIZES, unsafe.Pointer(&entry)) != nil {
			break
		}
		if entry._type != C.V4L2_FRMSIZE_TYPE_DISCRETE {
			// A driver that scales says nothing of the sensor by its bounds; what it is set to, does.
			if set, _ := h.current(); set.Code == code {
				return []Size{set.Size}
			}
			bounds := (*C.struct_v4l2_frmsize_stepwise)(unsafe.Pointer(&entry.anon0))
			return []Size{{int(bounds.max_width), int(bounds.max_height)}}
		}
		discrete := (*C.struct_v4l2_frmsize_discrete)(unsafe.Pointer(&entry.anon0))
		sizes = append(sizes, Size{int(discrete.width), int(discrete.height)})
	}
	if len(sizes) == 0 {
		return h.probeSizes(code)
	}
	return sizes
}

// current is the mode that the device is set to.
func (h handle) current() (Mode, error) {
	got, _, err := h.format(C.VIDIOC_G_FMT, Mode{})
	return got, err
}

// try asks what the driver would deliver for a mode. A driver that can't be asked is told: it keeps the format until the
// next program asks for another.
func (h handle) try(mode Mode) (got Mode, rowBytes int, err error) {
	got, rowBytes, err = h.format(C.VIDIOC_TRY_FMT, mode)
	if err != nil {
		got, rowBytes, err = h.format(C.VIDIOC_S_FMT, mode)
	}
	return got, rowBytes, err
}

func (h handle) format(request C.ulong, mode Mode) (got Mode, rowBytes int, err error) {
	var format C.struct_v4l2_format
	format._type = C.V4L2_BUF_TYPE_VIDEO_CAPTURE
	pix := (*C.struct_v4l2_pix_format)(unsafe.Pointer(&format.fmt))
	pix.pixelformat = pixelFormat(mode.Code)
	pix.width, pix.height = C.__u32(mode.Width), C.__u32(mode.Height)
	pix.field = C.V4L2_FIELD_ANY
	if err := h.request(request, unsafe.Pointer(&format)); err != nil {
		return Mode{}, 0, err
	}
	return Mode{codeOf(pix.pixelformat), Size{int(pix.width), int(pix.height)}}, int(pix.bytesperline), nil
}

func pixelFormat(code string) C.__u32 {
	if len(code) != 4 {
		return 0
	}
	return C.__u32(code[0]) | C.__u32(code[1])<<8 | C.__u32(code[2])<<16 | C.__u32(code[3])<<24
}

func codeOf(format C.__u32) string {
	return string([]byte{byte(format), byte(format >> 8), byte(format >> 16), byte(format >> 24)})
}

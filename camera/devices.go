package camera

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"unsafe"
)

// Device is a V4L2 video device of this machine.
type Device struct {
	Path string // such as /dev/video0
	Name string // what the camera calls itself
	// Formats lists the four-character codes it delivers, such as "Y16 " and "YUYV".
	Formats []string
	// Err is why Name and Formats are missing, such as a missing permission.
	Err error
}

// Y16 reports whether the device delivers 16-bit grey.
func (d Device) Y16() bool { return slices.Contains(d.Formats, "Y16 ") }

// Devices lists the V4L2 devices. A camera in use is not disturbed.
func Devices() []Device {
	paths, _ := filepath.Glob("/dev/video[0-9]*") // the pattern is valid
	slices.SortFunc(paths, compareNumbered)
	var devices []Device
	for _, path := range paths {
		devices = append(devices, queryDevice(path))
	}
	return devices
}

// Requests and structures of linux/videodev2.h.
const (
	vidiocQueryCap = 0x80685600 // _IOR('V', 0, struct v4l2_capability)
	vidiocEnumFmt  = 0xc0405602 // _IOWR('V', 2, struct v4l2_fmtdesc)

	bufTypeVideoCapture = 1
)

type v4l2Capability struct {
	driver                            [16]byte
	card, bus                         [32]byte
	version, capabilities, deviceCaps uint32
	_                                 [3]uint32
}

type v4l2FmtDesc struct {
	index, bufType, flags uint32
	description           [32]byte
	pixelFormat           [4]byte
	_                     [4]uint32
}

func queryDevice(path string) Device {
	device := Device{Path: path}
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		device.Err = plain(err)
		return device
	}
	defer file.Close()
	var capability v4l2Capability
	if err := ioctl(file, vidiocQueryCap, unsafe.Pointer(&capability)); err != nil {
		device.Err = fmt.Errorf("it is no video device: %w", err)
		return device
	}
	name, _, _ := bytes.Cut(capability.card[:], []byte{0})
	device.Name = string(name)
	for i := range uint32(64) {
		format := v4l2FmtDesc{index: i, bufType: bufTypeVideoCapture}
		if ioctl(file, vidiocEnumFmt, unsafe.Pointer(&format)) != nil {
			break
		}
		device.Formats = append(device.Formats, string(format.pixelFormat[:]))
	}
	return device
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

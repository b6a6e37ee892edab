package badge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxTyped is the longest text that a reader types; a pass code has 193 characters at most.
	maxTyped = 256
	// typedWithin is how long a reader takes from one key to the next; a text that stops for longer is not whole.
	typedWithin = time.Second
	// inputAgain is how often a reader that is not there is looked for.
	inputAgain = time.Second
)

// inputName is how a reader is chosen that is not chosen by its path.
var inputName = regexp.MustCompile(`^([0-9a-f]{4}):([0-9a-f]{4})(?::(.+))?$`)

// parseInput is what a reader on this machine is chosen by.
func parseInput(text string) (input InputDevice, err error) {
	if filepath.IsAbs(text) {
		return InputDevice{Path: text}, nil
	}
	found := inputName.FindStringSubmatch(strings.ToLower(text))
	if found == nil {
		return InputDevice{}, fmt.Errorf("%q is neither the path of a device, such as /dev/input/by-id/usb-…-event-kbd, nor its vendor:product or vendor:product:serial, such as 05e0:1200", text)
	}
	vendor, _ := strconv.ParseUint(found[1], 16, 16)
	product, _ := strconv.ParseUint(found[2], 16, 16)
	return InputDevice{Vendor: uint16(vendor), Product: uint16(product), Serial: found[3]}, nil
}

// InputDevice is something on this machine that types.
type InputDevice struct {
	Path            string `json:"path"`
	Name            string `json:"name"` // as it calls itself
	Vendor, Product uint16 `json:"-"`
	Serial          string `json:"serial,omitempty"`
}

// ID is by what to choose it in badge.inputs.
func (d InputDevice) ID() string {
	id := fmt.Sprintf("%04x:%04x", d.Vendor, d.Product)
	if d.Serial != "" {
		id += ":" + d.Serial
	}
	return id
}

func (d InputDevice) matches(wanted InputDevice) bool {
	return d.Vendor == wanted.Vendor && d.Product == wanted.Product && (wanted.Serial == "" || strings.EqualFold(d.Serial, wanted.Serial))
}

// InputDevices lists what types on this machine: keyboards, and readers that pass for one.
func InputDevices() []InputDevice {
	paths, _ := filepath.Glob("/dev/input/event*") // the pattern is right
	var all []InputDevice
	for _, path := range paths {
		file, err := openInput(path)
		if err != nil {
			continue
		}
		if d := describeInput(file); d.Name != "" && types(file) {
			d.Path = path
			all = append(all, d)
		}
		file.Close()
	}
	return all
}

// RunInput reads what a device types, until ctx ends. It has the device to itself, so that nothing it types goes anywhere else,
// and waits for one that is not there.
func RunInput(ctx context.Context, chosen, name string, take func(Read), log *slog.Logger) {
	wanted, err := parseInput(chosen)
	told := ""
	for ; err == nil; err = pause(ctx, inputAgain) {
		file, err := findInput(wanted)
		if err == nil {
			log.Info("a badge reader is there", "reader", name, "device", file.Name())
			told = ""
			stop := context.AfterFunc(ctx, func() { file.Close() })
			err = readInput(file, func(text string, typed time.Time) {
				take(Read{At: time.Now(), Made: typed, Kind: Input, Reader: name, Text: text})
			})
			stop()
			file.Close()
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != told { // the same line again and again helps nobody
			told = err.Error()
			log.Warn("a badge reader can't be read", "reader", name, "device", chosen, "error", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// CheckInput looks whether a reader is there, without taking it from whoever has it.
func CheckInput(chosen string) (InputDevice, error) {
	wanted, err := parseInput(chosen)
	if err != nil {
		return wanted, err
	}
	if wanted.Path != "" {
		file, err := openInput(wanted.Path)
		if err != nil {
			return wanted, err
		}
		defer file.Close()
		found := describeInput(file)
		found.Path = wanted.Path
		return found, nil
	}
	all := InputDevices()
	if i := slices.IndexFunc(all, func(d InputDevice) bool { return d.matches(wanted) }); i >= 0 {
		return all[i], nil
	}
	return wanted, errNoInput
}

var errNoInput = errors.New("it is not plugged in, or this user may not read it: see thermogate check, and put the user into the group input")

func findInput(wanted InputDevice) (*os.File, error) {
	path := wanted.Path
	if path == "" {
		found, err := CheckInput(wanted.ID())
		if err != nil {
			return nil, err
		}
		path = found.Path
	}
	file, err := openInput(path)
	if err != nil {
		return nil, err
	}
	if err := control(file, func(fd uintptr) error { return unix.IoctlSetInt(int(fd), eviocgrab, 1) }); err != nil && !errors.Is(err, unix.ENOTTY) {
		file.Close()
		return nil, fmt.Errorf("%s: another program has it for itself: %w", path, err)
	}
	return file, nil
}

// openInput never waits, and its reads end when it is closed.
func openInput(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// The requests of linux/input.h that golang.org/x/sys/unix has no names for.
const (
	eviocgid   = 2<<30 | 8<<16 | 'E'<<8 | 0x02
	eviocgrab  = 1<<30 | 4<<16 | 'E'<<8 | 0x90
	nameLength = 256
)

// eviocg is a request for up to length bytes.
func eviocg(number, length uintptr) uintptr { return 2<<30 | length<<16 | 'E'<<8 | number }

func describeInput(file *os.File) (d InputDevice) {
	var id struct{ bus, vendor, product, version uint16 }
	if ioctl(file, eviocgid, unsafe.Pointer(&id)) != nil {
		return d
	}
	d.Vendor, d.Product = id.vendor, id.product
	text := func(number uintptr) string {
		var buffer [nameLength]byte
		if ioctl(file, eviocg(number, nameLength), unsafe.Pointer(&buffer)) != nil {
			return ""
		}
		return unix.ByteSliceToString(buffer[:])
	}
	d.Name, d.Serial = text(0x06), text(0x08)
	return d
}

// types says whether a device has the keys of digits and Enter.
func types(file *os.File) bool {
	var keys [96]byte
	if ioctl(file, eviocg(0x20+evKey, uintptr(len(keys))), unsafe.Pointer(&keys)) != nil {
		return false
	}
	has := func(key int) bool { return keys[key/8]&(1<<(key%8)) != 0 }
	return has(keyEnter) && has(2) && has(11)
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	return control(file, func(fd uintptr) error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
			return errno
		}
		return nil
	})
}

// control leaves the file as it is, which File.Fd would not.
func control(file *os.File, do func(fd uintptr) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(fd) }); err != nil {
		return err
	}
	return failed
}

// keyEvent is struct input_event of linux/input.h.
type keyEvent struct {
	Seconds, Microseconds int64
	Type, Code            uint16
	Value                 int32
}

const (
	evSyn      = 0
	synDropped = 3
	evKey      = 1
	keyEnter   = 28
	keyTab     = 15
	keyKPEnter = 96
)

// readInput hands on every line that a device types, and when it was typed, until it is gone.
func readInput(from io.Reader, take func(string, time.Time)) error {
	var typed typing
	for {
		var e keyEvent
		if err := binary.Read(from, binary.NativeEndian, &e); err != nil {
			return fmt.Errorf("it is gone: %w", err)
		}
		if text, whole := typed.key(e); whole {
			take(text, time.UnixMicro(e.Seconds*1e6+e.Microseconds))
		}
	}
}

// typing is a text that is being typed, on the layout that readers have when they come: US.
type typing struct {
	text    []byte
	at      time.Duration // of the newest key
	shifted bool
	broken  bool // too long, or not all of it came
}

func (t *typing) key(e keyEvent) (text string, whole bool) {
	if e.Type == evSyn && e.Code == synDropped {
		t.broken = true // some of it is missing
	}
	if e.Type != evKey {
		return "", false
	}
	if e.Code == 42 || e.Code == 54 { // shift
		t.shifted = e.Value != 0
		return "", false
	}
	if e.Value != 1 { // let go, or held
		return "", false
	}
	at := time.Duration(e.Seconds)*time.Second + time.Duration(e.Microseconds)*time.Microsecond
	if (at - t.at).Abs() > typedWithin { // or the clock was set back
		t.text, t.broken = t.text[:0], false
	}
	t.at = at
	if e.Code == keyEnter || e.Code == keyKPEnter || e.Code == keyTab {
		text, whole = string(t.text), len(t.text) > 0 && !t.broken
		t.text, t.broken = t.text[:0], false
		return text, whole
	}
	typed := keysPlain
	if t.shifted {
		typed = keysShifted
	}
	if int(e.Code) >= len(typed) || typed[e.Code] == 0 {
		return "", false
	}
	if len(t.text) == maxTyped {
		t.broken = true
		return "", false
	}
	t.text = append(t.text, typed[e.Code])
	return "", false
}

// keysPlain and keysShifted are what the keys of linux/input-event-codes.h type, 0 for nothing.
const (
	keysPlain = "\x00\x001234567890-=\x00\x00qwertyuiop[]\x00\x00asdfghjkl;'`\x00\\zxcvbnm,./\x00*\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"789-456+1230."
	keysShifted = "\x00\x00!@#$%^&*()_+\x00\x00QWERTYUIOP{}\x00\x00ASDFGHJKL:\"~\x00|ZXCVBNM<>?\x00*\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"789-456+1230."
)

package door

// The structures of the GPIO character device, version 2 of its interface (Linux 5.10).

// #include <linux/gpio.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// consumer is the name under which the line is taken, as gpioinfo shows it.
const consumer = "thermogate door"

// gpio is one line of a GPIO chip. It is taken with the level first asked for, so that it never is at another one
// between. When it is given back, at the latest when the process dies, its level is up to the chip.
type gpio struct {
	cfg  GPIOConfig
	line *os.File
}

func (g *gpio) set(_ context.Context, energised bool) error {
	if g.line == nil {
		return g.take(energised)
	}
	values := C.struct_gpio_v2_line_values{mask: 1, bits: bit(energised)}
	if err := ioctl(g.line, C.GPIO_V2_LINE_SET_VALUES_IOCTL, unsafe.Pointer(&values)); err != nil {
		g.close()
		return g.explain(err)
	}
	return nil
}

func (g *gpio) take(energised bool) error {
	chip, err := os.OpenFile(g.cfg.Chip, os.O_RDWR, 0)
	if err != nil {
		return g.explain(err)
	}
	defer chip.Close()
	var request C.struct_gpio_v2_line_request
	request.num_lines = 1
	request.offsets[0] = C.__u32(g.cfg.Line)
	for i, c := range []byte(consumer) {
		request.consumer[i] = C.char(c)
	}
	request.config.flags = C.GPIO_V2_LINE_FLAG_OUTPUT
	if g.cfg.ActiveLow {
		request.config.flags |= C.GPIO_V2_LINE_FLAG_ACTIVE_LOW
	}
	request.config.num_attrs = 1
	first := &request.config.attrs[0]
	first.mask = 1
	first.attr.id = C.GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES
	*(*C.__u64)(unsafe.Pointer(&first.attr.anon0)) = bit(energised)
	if err := ioctl(chip, C.GPIO_V2_GET_LINE_IOCTL, unsafe.Pointer(&request)); err != nil {
		return g.explain(err)
	}
	g.line = os.NewFile(uintptr(request.fd), g.cfg.Chip)
	return nil
}

// probe asks the chip for the line without taking it.
func (g *gpio) probe(context.Context) (string, error) {
	chip, err := os.OpenFile(g.cfg.Chip, os.O_RDWR, 0)
	if err != nil {
		return "", g.explain(err)
	}
	defer chip.Close()
	info := C.struct_gpio_v2_line_info{offset: C.__u32(g.cfg.Line)}
	if err := ioctl(chip, C.GPIO_V2_GET_LINEINFO_IOCTL, unsafe.Pointer(&info)); err != nil {
		return "", g.explain(err)
	}
	name, user := C.GoString(&info.name[0]), C.GoString(&info.consumer[0])
	switch {
	case info.flags&C.GPIO_V2_LINE_FLAG_USED == 0:
		return fmt.Sprintf("line %d (%s) of %s is free", g.cfg.Line, name, g.cfg.Chip), nil
	case user == consumer:
		return fmt.Sprintf("line %d (%s) of %s is held by the gate that runs", g.cfg.Line, name, g.cfg.Chip), nil
	}
	return "", fmt.Errorf("gpio.line: line %d (%s) of %s is already used, by %q; choose another one", g.cfg.Line, name, g.cfg.Chip, user)
}

func (g *gpio) close() {
	if g.line != nil {
		g.line.Close()
		g.line = nil
	}
}

// explain says what to do about an error. Whatever the kernel did not do has not moved the door.
func (g *gpio) explain(err error) error {
	what := "look at the wiring of the chip"
	switch {
	case errors.Is(err, os.ErrNotExist):
		what = "there is no such chip; ls /dev/gpiochip* lists those of this machine"
	case errors.Is(err, os.ErrPermission):
		what = "let the user that runs thermogate write it"
	case errors.Is(err, syscall.ENOTTY):
		what = "this is no GPIO chip, or the kernel is older than 5.10"
	case errors.Is(err, syscall.EBUSY):
		what = "another program uses this line; gpioinfo says which"
	case errors.Is(err, syscall.EINVAL):
		what = "the chip has no such line; gpioinfo lists them"
	}
	return refusal{fmt.Errorf("gpio.chip %s, gpio.line %d: %w; %s", g.cfg.Chip, g.cfg.Line, err, what)}
}

func bit(on bool) C.__u64 {
	if on {
		return 1
	}
	return 0
}

func ioctl(f *os.File, request uintptr, argument unsafe.Pointer) error {
	connection, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = connection.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return err
}

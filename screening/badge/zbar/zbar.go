// Package zbar finds QR codes in grey pictures with Debian's libzbar0, which it loads when it is first asked for: programs that
// read no codes run without that library.
//
// OpenCV's own detector is no alternative: as Debian builds it, without QUIRC, it finds codes and decodes none.
package zbar

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// Of zbar.h, version 0.23: the types are opaque there, too.
typedef struct scanner scanner;
typedef struct image image;
typedef struct symbol symbol;

static struct {
	scanner *(*create_scanner)(void);
	void (*destroy_scanner)(scanner *);
	int (*configure)(scanner *, int symbology, int key, int value);
	image *(*create_image)(void);
	void (*destroy_image)(image *);
	void (*set_format)(image *, unsigned long fourcc);
	void (*set_size)(image *, unsigned width, unsigned height);
	void (*set_data)(image *, const void *data, unsigned long length, void *cleanup);
	int (*scan)(scanner *, image *);
	const symbol *(*first)(const image *);
	const symbol *(*next)(const symbol *);
	const char *(*data)(const symbol *);
} zbar;

enum { enable = 0, every = 0, qrcode = 64, y800 = 0x30303859 };

// load returns what is missing, or NULL.
static const char *load(void) {
	void *library = dlopen("libzbar.so.0", RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return dlerror();
	struct { void **function; const char *name; } names[] = {
		{(void **)&zbar.create_scanner, "zbar_image_scanner_create"}, {(void **)&zbar.destroy_scanner, "zbar_image_scanner_destroy"},
		{(void **)&zbar.configure, "zbar_image_scanner_set_config"}, {(void **)&zbar.create_image, "zbar_image_create"},
		{(void **)&zbar.destroy_image, "zbar_image_destroy"}, {(void **)&zbar.set_format, "zbar_image_set_format"},
		{(void **)&zbar.set_size, "zbar_image_set_size"}, {(void **)&zbar.set_data, "zbar_image_set_data"},
		{(void **)&zbar.scan, "zbar_scan_image"}, {(void **)&zbar.first, "zbar_image_first_symbol"},
		{(void **)&zbar.next, "zbar_symbol_next"}, {(void **)&zbar.data, "zbar_symbol_get_data"},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((*names[i].function = dlsym(library, names[i].name)) == NULL)
			return names[i].name;
	return NULL;
}

static scanner *open_scanner(void) {
	scanner *s = zbar.create_scanner();
	if (s != NULL) {
		zbar.configure(s, every, enable, 0);
		zbar.configure(s, qrcode, enable, 1);
	}
	return s;
}

static void close_scanner(scanner *s) { zbar.destroy_scanner(s); }

// scan_picture returns the codes found, each ended by a 0, in memory that is the caller's.
static char *scan_picture(scanner *s, const void *grey, unsigned width, unsigned height, size_t *length) {
	char *all = NULL;
	*length = 0;
	image *i = zbar.create_image();
	if (i == NULL)
		return NULL;
	zbar.set_format(i, y800);
	zbar.set_size(i, width, height);
	zbar.set_data(i, grey, (unsigned long)width * height, NULL);
	if (zbar.scan(s, i) > 0) {
		for (const symbol *y = zbar.first(i); y != NULL; y = zbar.next(y)) {
			const char *text = zbar.data(y);
			size_t size = strlen(text) + 1;
			char *more = realloc(all, *length + size);
			if (more == NULL)
				break;
			all = more;
			memcpy(all + *length, text, size);
			*length += size;
		}
	}
	zbar.destroy_image(i);
	return all;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"
)

var load = sync.OnceValue(func() error {
	if missing := C.load(); missing != nil {
		return fmt.Errorf("libzbar0 is not installed (apt-get install libzbar0): %s", C.GoString(missing))
	}
	return nil
})

// Scanner finds QR codes. It is used by one goroutine.
type Scanner struct{ scanner *C.scanner }

// Open makes a scanner. It fails where the library is not installed.
func Open() (*Scanner, error) {
	if err := load(); err != nil {
		return nil, err
	}
	s := C.open_scanner()
	if s == nil {
		return nil, errors.New("libzbar0 has no memory for a scanner")
	}
	return &Scanner{s}, nil
}

// Close lets go of the scanner.
func (s *Scanner) Close() { C.close_scanner(s.scanner) }

// Scan returns what the QR codes in a picture say, one byte a pixel, row by row.
func (s *Scanner) Scan(grey []byte, width, height int) ([]string, error) {
	if width <= 0 || height <= 0 || len(grey) < width*height {
		return nil, fmt.Errorf("a picture of %d by %d has %d bytes", width, height, len(grey))
	}
	var length C.size_t
	found := C.scan_picture(s.scanner, unsafe.Pointer(&grey[0]), C.uint(width), C.uint(height), &length)
	if found == nil {
		return nil, nil
	}
	defer C.free(unsafe.Pointer(found))
	return strings.Split(strings.TrimSuffix(C.GoStringN(found, C.int(length)), "\x00"), "\x00"), nil
}

package clip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// ErrFull is that of a clip that has become as large as a TIFF file can: its offsets have 32 bits.
var ErrFull = errors.New("the clip is full: a TIFF file ends at 4 GiB")

const (
	// LargestBytes is where a clip ends.
	LargestBytes = 1<<32 - 1

	headerBytes    = 8
	entryBytes     = 12
	directoryBytes = 2 + len(pageTags)*entryBytes + 4
)

// The tags of a page, TIFF revision 6.0, section 4 (greyscale pictures), and what they hold.
var pageTags = [...]struct{ id, kind uint16 }{
	{256, long},  // width
	{257, long},  // height
	{258, short}, // bits of a pixel
	{259, short}, // compression: none
	{262, short}, // black is zero
	{273, long},  // offset of the pixels
	{277, short}, // channels
	{278, long},  // rows in one strip
	{279, long},  // bytes of the pixels
	{339, short}, // unsigned integers
}

const short, long uint16 = 3, 4

// stack is a file of 16-bit pages, all of one size. It is a whole TIFF file after every page, whatever ends the program.
type stack struct {
	file          *os.File
	width, height int // of the first page; 0 before it
	pages         int
	page          []byte
}

// PageBytes is what every frame takes in the file.
func PageBytes(width, height int) int64 { return int64(directoryBytes + 2*width*height) }

func newStack(file *os.File) (*stack, error) {
	_, err := file.WriteAt([]byte("II*\x00\x00\x00\x00\x00"), 0)
	return &stack{file: file}, err
}

// at is where a page begins.
func (s *stack) at(page int) int64 { return headerBytes + int64(page)*PageBytes(s.width, s.height) }

// linkTo is where it stands that a page begins there: in the header, or at the end of the directory before.
func (s *stack) linkTo(page int) int64 {
	if page == 0 {
		return headerBytes - 4
	}
	return s.at(page-1) + int64(directoryBytes) - 4
}

func (s *stack) size() int64 { return s.at(s.pages) }

// add appends a page. Only when all of it is in the file does the page before point at it.
func (s *stack) add(counts []uint16, width, height int) error {
	if s.pages == 0 {
		s.width, s.height = width, height
		s.page = make([]byte, PageBytes(width, height))
	}
	if width != s.width || height != s.height {
		return fmt.Errorf("the pictures changed from %d by %d pixels to %d by %d", s.width, s.height, width, height)
	}
	at := s.size()
	if at+int64(len(s.page)) > LargestBytes {
		return ErrFull
	}
	s.fill(counts, at)
	if _, err := s.file.WriteAt(s.page, at); err != nil {
		return errors.Join(err, s.file.Truncate(at))
	}
	if err := s.link(s.pages, uint32(at)); err != nil {
		return errors.Join(err, s.file.Truncate(at))
	}
	s.pages++
	return nil
}

// fill lays out a page that begins at an offset: its directory, then its pixels.
func (s *stack) fill(counts []uint16, at int64) {
	little := binary.LittleEndian
	pixels := s.page[directoryBytes:]
	values := [len(pageTags)]int{s.width, s.height, 16, 1, 1, int(at) + directoryBytes, 1, s.height, len(pixels), 1}
	little.PutUint16(s.page, uint16(len(pageTags)))
	for i, tag := range pageTags {
		entry := s.page[2+i*entryBytes:]
		little.PutUint16(entry, tag.id)
		little.PutUint16(entry[2:], tag.kind)
		little.PutUint32(entry[4:], 1)
		little.PutUint32(entry[8:], uint32(values[i]))
	}
	for i, c := range counts {
		little.PutUint16(pixels[2*i:], c)
	}
}

func (s *stack) link(page int, at uint32) error {
	_, err := s.file.WriteAt(binary.LittleEndian.AppendUint32(nil, at), s.linkTo(page))
	return err
}

// drop takes the last pages off.
func (s *stack) drop(pages int) error {
	left := s.pages - pages
	if err := s.link(left, 0); err != nil {
		return err
	}
	s.pages = left
	return s.file.Truncate(s.size())
}

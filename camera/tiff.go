package camera

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// TIFF tags and types, TIFF revision 6.0, sections 2 and 8.
const (
	tagImageWidth      = 256
	tagImageLength     = 257
	tagBitsPerSample   = 258
	tagCompression     = 259
	tagPhotometric     = 262
	tagFillOrder       = 266
	tagStripOffsets    = 273
	tagSamplesPerPixel = 277
	tagRowsPerStrip    = 278
	tagStripByteCounts = 279
	tagPlanarConfig    = 284
	tagPredictor       = 317
	tagColorMap        = 320
	tagTileWidth       = 322
	tagTileLength      = 323
	tagTileOffsets     = 324
	tagTileByteCounts  = 325
	tagSampleFormat    = 339

	typeShort = 3
	typeLong  = 4
)

// Limits that no thermal camera reaches, so that a broken or hostile file costs an error and not the machine.
const (
	maxSide      = 4096
	maxPixels    = 8 << 20 // 3840 by 2160
	maxSamples   = 4       // of a pixel
	maxPageBytes = maxSamples * maxPixels
	maxValues    = 1 << 16 // of one tag
)

// tiffStack cuts the pages of a TIFF stack out, one after the other, each as a TIFF file of its own: the decoder copies
// what it is given, and so copies one page and not the whole recording for every frame.
type tiffStack struct {
	file  *os.File
	size  int64
	order binary.ByteOrder
	magic [4]byte // byte order and version

	first, next uint32 // offsets of directories; 0 ends the list
	page        int    // 0-based page that next points at
	// Brent's cycle detection over the directories: constant memory however long the recording.
	mark             uint32
	sinceMark, limit int

	tags []tiffTag
	out  []byte
}

// tiffTag is one directory entry with values of type SHORT or LONG.
type tiffTag struct {
	id     uint16
	values []uint32
}

func openTIFFStack(file *os.File) (*tiffStack, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	s := &tiffStack{file: file, size: info.Size()}
	var header [8]byte
	if _, err := file.ReadAt(header[:], 0); err != nil {
		return nil, errors.New("the TIFF file ends within its header: it is cut off")
	}
	s.order = binary.LittleEndian
	if header[0] == 'M' {
		s.order = binary.BigEndian
	}
	copy(s.magic[:], header[:])
	if version := s.order.Uint16(header[2:]); version != 42 {
		return nil, fmt.Errorf("TIFF version %d (BigTIFF is 43) is not read; save it as classic TIFF", version)
	}
	s.first = s.order.Uint32(header[4:])
	s.rewind()
	return s, nil
}

func (s *tiffStack) rewind() {
	s.next, s.page = s.first, 0
	s.mark, s.sinceMark, s.limit = 0, 0, 1
}

// encoded returns the next page as a TIFF file, valid until the next call, and io.EOF after the last page.
func (s *tiffStack) encoded() ([]byte, error) {
	if s.next == 0 {
		return nil, io.EOF
	}
	if s.next == s.mark {
		return nil, fmt.Errorf("%s: the list of pages runs in a circle: the file is damaged", s.label())
	}
	if s.sinceMark == s.limit {
		s.mark, s.sinceMark, s.limit = s.next, 0, 2*s.limit
	}
	s.sinceMark++

	next, err := s.readDirectory(s.next)
	if err == nil {
		err = s.writePage()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.label(), err)
	}
	s.next = next
	s.page++
	return s.out, nil
}

// label names the page that is to come, for people: counted from 1.
func (s *tiffStack) label() string { return fmt.Sprintf("page %d", s.page+1) }

var errCutOff = errors.New("the file ends before the page does: it is cut off")

// read returns n bytes at offset.
func (s *tiffStack) read(buffer []byte, offset uint32) error {
	if int64(offset)+int64(len(buffer)) > s.size {
		return errCutOff
	}
	_, err := s.file.ReadAt(buffer, int64(offset))
	if err == io.EOF { // it became shorter meanwhile
		return errCutOff
	}
	return err
}

// readDirectory reads the tags that matter into s.tags and returns the offset of the next directory.
func (s *tiffStack) readDirectory(offset uint32) (next uint32, err error) {
	var word [4]byte
	if err := s.read(word[:2], offset); err != nil {
		return 0, err
	}
	count := int(s.order.Uint16(word[:2]))
	if int64(offset)+2+12*int64(count)+4 > math.MaxUint32 {
		return 0, errCutOff
	}
	entries := make([]byte, 12*count+4)
	if err := s.read(entries, offset+2); err != nil {
		return 0, err
	}
	s.tags = s.tags[:0]
	for ; len(entries) > 4; entries = entries[12:] {
		if err := s.readTag(entries[:12]); err != nil {
			return 0, err
		}
	}
	return s.order.Uint32(entries), nil
}

func (s *tiffStack) readTag(entry []byte) error {
	id := s.order.Uint16(entry)
	switch id {
	case tagImageWidth, tagImageLength, tagBitsPerSample, tagCompression, tagPhotometric, tagFillOrder, tagStripOffsets,
		tagSamplesPerPixel, tagRowsPerStrip, tagStripByteCounts, tagPlanarConfig, tagPredictor, tagColorMap,
		tagTileWidth, tagTileLength, tagTileOffsets, tagTileByteCounts, tagSampleFormat:
	default:
		return nil
	}
	size := 2
	kind, count := s.order.Uint16(entry[2:]), s.order.Uint32(entry[4:])
	if kind == typeLong {
		size = 4
	}
	if kind != typeShort && kind != typeLong || count == 0 || count > maxValues || s.values(id) != nil {
		return fmt.Errorf("TIFF tag %d is damaged", id)
	}
	raw := entry[8:12]
	if n := size * int(count); n > 4 {
		raw = make([]byte, n)
		if err := s.read(raw, s.order.Uint32(entry[8:])); err != nil {
			return err
		}
	}
	values := make([]uint32, count)
	for i := range values {
		if kind == typeShort {
			values[i] = uint32(s.order.Uint16(raw[2*i:]))
		} else {
			values[i] = s.order.Uint32(raw[4*i:])
		}
	}
	s.tags = append(s.tags, tiffTag{id, values})
	return nil
}

// values returns what a tag holds, nil where the page has none.
func (s *tiffStack) values(id uint16) []uint32 {
	for _, t := range s.tags {
		if t.id == id {
			return t.values
		}
	}
	return nil
}

func (s *tiffStack) value(id uint16, otherwise uint32) uint32 {
	if v := s.values(id); len(v) > 0 {
		return v[0]
	}
	return otherwise
}

// check refuses pages that the decoder can't turn into counts, and sizes it should not try.
func (s *tiffStack) check() error {
	if err := checkSize(s.value(tagImageWidth, 0), s.value(tagImageLength, 0)); err != nil {
		return err
	}
	if s.values(tagTileWidth) != nil && checkSize(s.value(tagTileWidth, 0), s.value(tagTileLength, 0)) != nil {
		return errors.New("its tiles are larger than any picture: the file is damaged")
	}
	if samples := s.value(tagSamplesPerPixel, 1); samples == 0 || samples > maxSamples {
		return fmt.Errorf("its pixels have %d channels; save one channel of unsigned 16-bit counts", samples)
	}
	bits := s.value(tagBitsPerSample, 1)
	if format := s.value(tagSampleFormat, 1); format != 1 || bits > 16 {
		kinds := map[uint32]string{1: "integers", 2: "signed integers", 3: "floating-point numbers"}
		return fmt.Errorf("its pixels are %d-bit %s; save them as unsigned 16-bit counts", bits, cmp.Or(kinds[format], "data"))
	}
	return nil
}

// checkSize refuses pictures that cost more memory than any camera's.
func checkSize(width, height uint32) error {
	if width == 0 || height == 0 || width > maxSide || height > maxSide || width*height > maxPixels {
		return fmt.Errorf("a picture %d by %d pixels is not read; up to %d a side and %d in all are", width, height, maxSide, maxPixels)
	}
	return nil
}

// writePage writes the page of s.tags as a TIFF file to s.out.
func (s *tiffStack) writePage() error {
	if err := s.check(); err != nil {
		return err
	}
	offsets, counts := s.values(tagStripOffsets), s.values(tagStripByteCounts)
	if tiles := s.values(tagTileOffsets); tiles != nil {
		offsets, counts = tiles, s.values(tagTileByteCounts)
	}
	if len(offsets) == 0 || len(offsets) != len(counts) {
		return errors.New("the list of its strips is damaged")
	}
	total := int64(0)
	for i := range offsets {
		total += int64(counts[i])
		if int64(offsets[i])+int64(counts[i]) > s.size {
			return errCutOff
		}
	}
	if total > maxPageBytes {
		return fmt.Errorf("its strips take %d bytes: the file is damaged", total)
	}

	// Header, directory, long values, then the strips.
	head := 8 + 2 + 12*len(s.tags) + 4
	data := head
	for _, t := range s.tags {
		if len(t.values) > 1 {
			data += 4 * len(t.values)
		}
	}
	if need := data + int(total); cap(s.out) < need {
		s.out = make([]byte, need)
	} else {
		s.out = s.out[:need]
	}
	at := data
	for i, offset := range offsets {
		if err := s.read(s.out[at:at+int(counts[i])], offset); err != nil {
			return err
		}
		offsets[i] = uint32(at)
		at += int(counts[i])
	}
	s.writeDirectory(head)
	return nil
}

// writeDirectory writes header and directory, every value a LONG, and lists of values from extra on.
func (s *tiffStack) writeDirectory(extra int) {
	copy(s.out, s.magic[:])
	s.order.PutUint32(s.out[4:], 8)
	s.order.PutUint16(s.out[8:], uint16(len(s.tags)))
	for i, t := range s.tags {
		entry := s.out[10+12*i:]
		s.order.PutUint16(entry, t.id)
		s.order.PutUint16(entry[2:], typeLong)
		s.order.PutUint32(entry[4:], uint32(len(t.values)))
		if len(t.values) == 1 {
			s.order.PutUint32(entry[8:], t.values[0])
			continue
		}
		s.order.PutUint32(entry[8:], uint32(extra))
		for _, v := range t.values {
			s.order.PutUint32(s.out[extra:], v)
			extra += 4
		}
	}
	s.order.PutUint32(s.out[10+12*len(s.tags):], 0)
}

func (s *tiffStack) close() error { return s.file.Close() }

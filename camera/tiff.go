package camera

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// TIFF tags and types, TIFF revision 6.0, sections 2 and 8.
const (
	tagNewSubfileType  = 254
	tagImageWidth      = 256
	tagImageLength     = 257
	tagBitsPerSample   = 258
	tagCompression     = 259
	tagPhotometric     = 262
	tagFillOrder       = 266
	tagDescription     = 270
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

	typeASCII = 2
	typeShort = 3
	typeLong  = 4
	typeLong8 = 16 // of BigTIFF

	uncompressed, lzw, deflate, oldDeflate = 1, 5, 8, 32946

	blackIsZero, horizontal = 1, 2 // of tagPhotometric and tagPredictor

	formatUnsigned, formatSigned, formatFloat = 1, 2, 3
)

// Bits of NewSubfileType.
const reducedResolution, transparencyMask = 1, 4

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
	big   bool    // BigTIFF: offsets and counts of 64 bits
	magic [4]byte // byte order and version of a classic TIFF file

	first, next int64 // offsets of directories; 0 ends the list
	page        int   // 0-based page that next points at
	// Brent's cycle detection over the directories: constant memory however long the recording.
	mark             int64
	sinceMark, limit int

	tags        []tiffTag
	description string
	strips      []uint64 // where those of the page lie
	// Pages that follow without a directory of their own, and of how many bytes each is.
	behind, behindLeft int
	pageBytes          int64
	differences        bool // see picture
	out                []byte
}

// tiffTag is one directory entry with values of type SHORT, LONG or LONG8.
type tiffTag struct {
	id     uint16
	values []uint64
}

func openTIFFStack(file *os.File) (*tiffStack, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	s := &tiffStack{file: file, size: info.Size()}
	var header [16]byte
	if n, _ := file.ReadAt(header[:], 0); n < 8 {
		return nil, errors.New("the TIFF file ends within its header: it is cut off")
	}
	s.order = binary.LittleEndian
	s.magic = [4]byte([]byte("II*\x00"))
	if header[0] == 'M' {
		s.order = binary.BigEndian
		s.magic = [4]byte([]byte("MM\x00*"))
	}
	s.first = int64(s.order.Uint32(header[4:]))
	if s.big = s.order.Uint16(header[2:]) == 43; s.big {
		s.first = int64(s.order.Uint64(header[8:]))
	}
	s.rewind()
	return s, nil
}

func (s *tiffStack) rewind() {
	s.next, s.page, s.behindLeft = s.first, 0, 0
	s.mark, s.sinceMark, s.limit = 0, 0, 1
}

// read returns the next page as a TIFF file, and io.EOF after the last. Thumbnails and masks are no pages.
func (s *tiffStack) read() (picture, error) {
	for s.behindLeft == 0 {
		if s.next == 0 {
			return picture{}, io.EOF
		}
		thumbnail, err := s.turnPage()
		if err != nil {
			return picture{}, fmt.Errorf("%s: %w", s.label(), err)
		}
		if !thumbnail {
			break
		}
	}
	if err := s.writePage(); err != nil {
		return picture{}, fmt.Errorf("%s: %w", s.label(), err)
	}
	s.page++
	return picture{encoded: s.out, differences: s.differences}, nil
}

// turnPage reads the next directory.
func (s *tiffStack) turnPage() (thumbnail bool, err error) {
	if s.next == s.mark {
		return false, errors.New("the list of pages runs in a circle: the file is damaged")
	}
	if s.sinceMark == s.limit {
		s.mark, s.sinceMark, s.limit = s.next, 0, 2*s.limit
	}
	s.sinceMark++
	next, err := s.readDirectory(s.next)
	if err != nil {
		return false, err
	}
	s.next = next
	if s.value(tagNewSubfileType, 0)&(reducedResolution|transparencyMask) != 0 {
		return true, nil
	}
	if err := s.check(); err != nil {
		return false, err
	}
	if err := s.findStrips(); err != nil {
		return false, err
	}
	s.keepDifferences()
	if s.page == 0 && s.next == 0 {
		return false, s.findBehind()
	}
	return false, nil
}

// label names the page that is to come, for people: counted from 1.
func (s *tiffStack) label() string { return fmt.Sprintf("page %d", s.page+1) }

var errCutOff = errors.New("the file ends before the page does: it is cut off")

// readAt fills buffer from an offset.
func (s *tiffStack) readAt(buffer []byte, offset int64) error {
	if offset < 0 || offset > s.size-int64(len(buffer)) {
		return errCutOff
	}
	_, err := s.file.ReadAt(buffer, offset)
	if err == io.EOF { // it became shorter meanwhile
		return errCutOff
	}
	return err
}

// number returns an unsigned integer of as many bytes as it is given: 2, 4 or 8.
func (s *tiffStack) number(bytes []byte) uint64 {
	switch len(bytes) {
	case 2:
		return uint64(s.order.Uint16(bytes))
	case 4:
		return uint64(s.order.Uint32(bytes))
	}
	return s.order.Uint64(bytes)
}

// readDirectory reads the tags that matter into s.tags and returns the offset of the next directory.
func (s *tiffStack) readDirectory(offset int64) (next int64, err error) {
	countBytes, entryBytes, offsetBytes := 2, 12, 4
	if s.big {
		countBytes, entryBytes, offsetBytes = 8, 20, 8
	}
	count := make([]byte, countBytes)
	if err := s.readAt(count, offset); err != nil {
		return 0, err
	}
	n := s.number(count)
	if n > math.MaxUint16 {
		return 0, errCutOff
	}
	entries := make([]byte, int(n)*entryBytes+offsetBytes)
	if err := s.readAt(entries, offset+int64(countBytes)); err != nil {
		return 0, err
	}
	s.tags, s.description = s.tags[:0], ""
	for ; len(entries) > offsetBytes; entries = entries[entryBytes:] {
		if err := s.readTag(entries[:entryBytes]); err != nil {
			return 0, err
		}
	}
	return int64(s.number(entries)), nil
}

// readTag reads a directory entry: tag, type, count, and the values or where they lie.
func (s *tiffStack) readTag(entry []byte) error {
	id := s.order.Uint16(entry)
	switch id {
	case tagNewSubfileType, tagImageWidth, tagImageLength, tagBitsPerSample, tagCompression, tagPhotometric, tagFillOrder,
		tagDescription, tagStripOffsets, tagSamplesPerPixel, tagRowsPerStrip, tagStripByteCounts, tagPlanarConfig, tagPredictor,
		tagColorMap, tagTileWidth, tagTileLength, tagTileOffsets, tagTileByteCounts, tagSampleFormat:
	default:
		return nil
	}
	half := len(entry[4:]) / 2
	size := map[uint16]int{typeASCII: 1, typeShort: 2, typeLong: 4, typeLong8: 8}[s.order.Uint16(entry[2:])]
	count, raw := s.number(entry[4:4+half]), entry[4+half:]
	if id == tagDescription && (size != 1 || count > maxValues) {
		return nil // of no use to anybody
	}
	if size == 0 || (size == 1) != (id == tagDescription) || count == 0 || count > maxValues || s.values(id) != nil {
		return fmt.Errorf("TIFF tag %d is damaged", id)
	}
	if n := size * int(count); n > len(raw) {
		at := int64(s.number(raw))
		raw = make([]byte, n)
		if err := s.readAt(raw, at); err != nil {
			return err
		}
	}
	if id == tagDescription {
		s.description = string(raw[:count])
		return nil
	}
	values := make([]uint64, count)
	for i := range values {
		values[i] = s.number(raw[size*i : size*(i+1)])
	}
	s.tags = append(s.tags, tiffTag{id, values})
	return nil
}

// values returns what a tag holds, nil where the page has none.
func (s *tiffStack) values(id uint16) []uint64 {
	for _, t := range s.tags {
		if t.id == id {
			return t.values
		}
	}
	return nil
}

func (s *tiffStack) value(id uint16, otherwise uint64) uint64 {
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
	samples, bits, format := s.value(tagSamplesPerPixel, 1), s.value(tagBitsPerSample, 1), s.value(tagSampleFormat, formatUnsigned)
	if samples == 0 || samples > maxSamples || samples > 1 && bits > 8 || samples == 2 {
		return fmt.Errorf("its pixels have %d channels of %d bits; save the one channel with the temperatures", samples, bits)
	}
	switch {
	case format == formatUnsigned && bits <= 16, format == formatSigned && bits == 16, format == formatFloat && (bits == 32 || bits == 64):
		return nil
	}
	kinds := map[uint64]string{formatUnsigned: "integers", formatSigned: "signed integers", formatFloat: "floating-point numbers"}
	return fmt.Errorf("its pixels are %d-bit %s; save counts as unsigned 16-bit integers, or °C as 32-bit floating-point numbers",
		bits, cmp.Or(kinds[format], "data"))
}

// checkSize refuses pictures that cost more memory than any camera's.
func checkSize(width, height uint64) error {
	if width == 0 || height == 0 || width > maxSide || height > maxSide || width*height > maxPixels {
		return fmt.Errorf("a picture %d by %d pixels is not read; up to %d a side and %d in all are", width, height, maxSide, maxPixels)
	}
	return nil
}

// offsetsAndCounts returns where the strips or tiles of the page are listed, and how long they are.
func (s *tiffStack) offsetsAndCounts() (offsets, counts []uint64) {
	if tiles := s.values(tagTileOffsets); tiles != nil {
		return tiles, s.values(tagTileByteCounts)
	}
	return s.values(tagStripOffsets), s.values(tagStripByteCounts)
}

// findStrips notes where the strips of the page lie.
func (s *tiffStack) findStrips() error {
	offsets, counts := s.offsetsAndCounts()
	s.strips = append(s.strips[:0], offsets...)
	s.pageBytes, s.behind = 0, 0
	for _, n := range counts {
		if s.pageBytes += int64(min(n, maxPageBytes+1)); s.pageBytes > maxPageBytes {
			return fmt.Errorf("its strips take more than %d bytes: the file is damaged", maxPageBytes)
		}
	}
	if len(offsets) != len(counts) || s.pageBytes == 0 {
		return errors.New("the list of its strips is damaged")
	}
	return nil
}

// keepDifferences has the decoder leave the differences of 16-bit counts as they are, where it would sum them up: libtiff
// does that pixel after pixel in memory, for a sixth of the time that a frame takes to read.
func (s *tiffStack) keepDifferences() {
	compression := s.value(tagCompression, uncompressed)
	s.differences = s.value(tagPredictor, 0) == horizontal && (compression == lzw || compression == deflate || compression == oldDeflate) &&
		s.value(tagBitsPerSample, 1) == 16 && s.value(tagSamplesPerPixel, 1) == 1 && s.values(tagTileOffsets) == nil &&
		s.value(tagSampleFormat, formatUnsigned) == formatUnsigned && s.value(tagPhotometric, 0) == blackIsZero
	if s.differences {
		s.values(tagPredictor)[0] = 1
	}
}

// sumRows makes counts of differences in rows of a width (TIFF revision 6.0, section 14).
func sumRows(counts []uint16, width int) {
	for ; len(counts) >= width; counts = counts[width:] {
		var sum uint16
		for x, difference := range counts[:width] {
			sum += difference
			counts[x] = sum
		}
	}
}

// findBehind looks for the pictures of a stack with only one directory, as ImageJ writes it when the stack is large and
// tifffile when told to: they lie one behind the other, and the description says how many they are.
func (s *tiffStack) findBehind() error {
	pictures := s.described()
	if pictures < 2 {
		return nil
	}
	_, counts := s.offsetsAndCounts()
	gapless := true
	for i, n := range counts[:len(counts)-1] {
		gapless = gapless && s.strips[i]+n == s.strips[i+1]
	}
	pixels := s.value(tagImageWidth, 0) * s.value(tagImageLength, 0)
	room := (s.size - int64(s.strips[0])) / s.pageBytes
	if !gapless || s.value(tagCompression, uncompressed) != uncompressed || s.values(tagTileOffsets) != nil ||
		uint64(s.pageBytes) != pixels*s.value(tagBitsPerSample, 1)/8 || pictures > room {
		return fmt.Errorf("its description speaks of %d pictures, but the file has one page and they do not lie behind it; "+
			"save the stack with one page a picture", pictures)
	}
	s.behindLeft = int(pictures)
	return nil
}

// described returns how many pictures the description says there are, 0 where it does not.
func (s *tiffStack) described() int64 {
	text := strings.TrimRight(s.description, "\x00")
	if strings.HasPrefix(text, "ImageJ=") {
		for line := range strings.Lines(text) {
			if number, is := strings.CutPrefix(strings.TrimSpace(line), "images="); is {
				pictures, _ := strconv.ParseInt(number, 10, 32)
				return pictures
			}
		}
	}
	var tifffile struct {
		Shape     []int64
		Truncated bool
	}
	if json.Unmarshal([]byte(text), &tifffile) != nil || !tifffile.Truncated {
		return 0
	}
	pictures := int64(1)
	for _, n := range tifffile.Shape[:max(0, len(tifffile.Shape)-2)] {
		pictures *= min(max(n, 0), math.MaxInt32/max(pictures, 1))
	}
	return pictures
}

// writePage writes the page of s.tags, or one behind it, as a TIFF file to s.out.
func (s *tiffStack) writePage() error {
	offsets, counts := s.offsetsAndCounts()
	// Header, directory, long values, then the strips.
	head := 8 + 2 + 12*len(s.tags) + 4
	data := head
	for _, t := range s.tags {
		if len(t.values) > 1 {
			data += 4 * len(t.values)
		}
	}
	if need := data + int(s.pageBytes); cap(s.out) < need {
		s.out = make([]byte, need)
	} else {
		s.out = s.out[:need]
	}
	at := data
	for i, offset := range s.strips {
		if offset > uint64(s.size) {
			return errCutOff
		}
		if err := s.readAt(s.out[at:at+int(counts[i])], int64(offset)+int64(s.behind)*s.pageBytes); err != nil {
			return err
		}
		offsets[i] = uint64(at)
		at += int(counts[i])
	}
	if s.behindLeft > 0 {
		s.behind, s.behindLeft = s.behind+1, s.behindLeft-1
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
			s.order.PutUint32(entry[8:], uint32(t.values[0]))
			continue
		}
		s.order.PutUint32(entry[8:], uint32(extra))
		for _, v := range t.values {
			s.order.PutUint32(s.out[extra:], uint32(v))
			extra += 4
		}
	}
	s.order.PutUint32(s.out[10+12*len(s.tags):], 0)
}

func (s *tiffStack) close() error { return s.file.Close() }

// Package flir reads the thermal pictures that FLIR cameras and programs write: radiometric JPEG, FFF and SEQ files.
//
// FLIR does not publish the format; this follows its documentation by ExifTool (https://exiftool.org/TagNames/FLIR.html and
// the notes of its module Image::ExifTool::FLIR). An FFF file is a header, a directory of records and the records. A SEQ
// file is one FFF file after the other. A radiometric JPEG carries one FFF file in its APP1 segments.
package flir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"math/bits"
	"strings"
	"time"

	"thermogate/camera/bounded"
)

// Picture is one thermal picture.
type Picture struct {
	Width, Height int
	// Counts holds Width*Height sensor values, row by row.
	Counts []uint16
	// Model is what the camera calls itself, Captured when it took the picture; empty and zero where the file does not say.
	Model    string
	Captured time.Time
	// Calibration turns counts into temperatures; R1 is 0 where the file has none.
	Calibration Calibration
}

// Calibration are the camera's Planck constants, and what lay between camera and object: a count of a black body at T
// kelvin is R1 / (R2 (exp(B/T) - F)) - O.
type Calibration struct {
	R1, B, F, O, R2                     float64
	Emissivity                          float64
	ReflectedCelsius, AtmosphereCelsius float64
	RelativeHumidity                    float64 // 0 to 1
	DistanceMeters                      float64
	// WindowTransmission is that of an infrared window before the camera, 0 to 1; 0 where none was set.
	WindowTransmission float64
}

// Magic begins an FFF file.
const Magic = "FFF\x00"

const (
	headerBytes = 0x40
	entryBytes  = 0x20
	maxEntries  = 1024
	maxBytes    = 64 << 20 // of one FFF file: the largest sensors' pictures with a photograph
	maxPixels   = 8 << 20

	recordRawData    = 0x01
	recordCameraInfo = 0x20
)

var errCutOff = errors.New("the thermal data end before they should: the file is cut off")

// FromJPEG returns the FFF file inside a JPEG file, nil where there is none.
func FromJPEG(data []byte) ([]byte, error) {
	const segmentHeader = 8 // FLIR, 0, 1, number of this segment, number of the last
	var fff []byte
	next, last := 0, -1
	for at := 2; at+4 <= len(data) && data[at] == 0xff && data[at+1] != 0xda; {
		marker, end := data[at+1], at+2+int(binary.BigEndian.Uint16(data[at+2:]))
		if end < at+4 || end > len(data) {
			break
		}
		segment := data[at+4 : end]
		at = end
		if marker != 0xe1 || len(segment) < segmentHeader || !bytes.HasPrefix(segment, []byte("FLIR\x00")) {
			continue
		}
		if int(segment[6]) != next || last >= 0 && int(segment[7]) != last {
			return nil, errors.New("the parts of its thermal data are out of order: the file is damaged")
		}
		next, last = next+1, int(segment[7])
		fff = append(fff, segment[segmentHeader:]...)
	}
	if next != last+1 {
		return nil, errCutOff
	}
	return fff, nil
}

// Sequence reads the pictures of a SEQ or FFF file.
type Sequence struct {
	file     io.ReaderAt
	at, size int64
}

// NewSequence returns the pictures of a file of so many bytes.
func NewSequence(file io.ReaderAt, size int64) *Sequence { return &Sequence{file: file, size: size} }

// Rewind makes Next begin with the first picture.
func (s *Sequence) Rewind() { s.at = 0 }

// Next returns the next picture, and io.EOF after the last.
func (s *Sequence) Next() (Picture, error) {
	if s.at >= s.size {
		return Picture{}, io.EOF
	}
	file := io.NewSectionReader(s.file, s.at, s.size-s.at)
	directory, length, err := readDirectory(file)
	if err != nil {
		return Picture{}, err
	}
	data := make([]byte, length)
	if _, err := file.ReadAt(data, 0); err != nil {
		return Picture{}, err
	}
	picture, err := directory.picture(data)
	if err != nil {
		return Picture{}, err
	}
	rest, err := gap(file, length)
	s.at += length + rest
	return picture, err
}

// gap returns how far the next FFF file lies behind offset, or the end where none follows.
func gap(file *io.SectionReader, offset int64) (int64, error) {
	const farthest = 1 << 20
	next := make([]byte, min(farthest, file.Size()-offset))
	if _, err := file.ReadAt(next, offset); err != nil && err != io.EOF {
		return 0, err
	}
	if at := bytes.Index(next, []byte(Magic)); at >= 0 {
		return int64(at), nil
	}
	if file.Size()-offset > farthest {
		return 0, errors.New("no picture follows this one: the file is damaged")
	}
	return file.Size() - offset, nil
}

// Parse returns the picture of an FFF file.
func Parse(data []byte) (Picture, error) {
	directory, _, err := readDirectory(io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))))
	if err != nil {
		return Picture{}, err
	}
	return directory.picture(data)
}

// directory says where in an FFF file the two records lie that matter.
type directory struct{ rawData, cameraInfo extent }

// extent is empty for a record that is missing.
type extent struct{ offset, length int64 }

func (e extent) of(data []byte) []byte { return data[e.offset : e.offset+e.length] }

// readDirectory returns the directory, and the length of the FFF file as its records say.
func readDirectory(file *io.SectionReader) (d directory, length int64, err error) {
	header := make([]byte, headerBytes)
	if _, err := file.ReadAt(header, 0); err != nil {
		return d, 0, errCutOff
	}
	if !bytes.HasPrefix(header, []byte(Magic)) {
		return d, 0, errors.New("the thermal data do not begin with FFF: the file is damaged")
	}
	var order binary.ByteOrder = binary.BigEndian
	// The version of the format is 100 and some; read in the wrong order it is huge.
	if version := func() uint32 { return order.Uint32(header[0x14:]) }; version() < 100 || version() >= 200 {
		if order = binary.LittleEndian; version() < 100 || version() >= 200 {
			return d, 0, fmt.Errorf("version %d of FLIR's format is not read; export the recording as TIFF or CSV", version())
		}
	}
	offset, count := int64(order.Uint32(header[0x18:])), int64(order.Uint32(header[0x1c:]))
	length = offset + entryBytes*count
	if count > maxEntries || length > file.Size() {
		return d, 0, errCutOff
	}
	entries := make([]byte, entryBytes*count)
	if _, err := file.ReadAt(entries, offset); err != nil && err != io.EOF {
		return d, 0, err
	}
	for ; len(entries) > 0; entries = entries[entryBytes:] {
		record := extent{int64(order.Uint32(entries[0x0c:])), int64(order.Uint32(entries[0x10:]))}
		switch order.Uint16(entries) {
		case 0:
			continue // an entry that is free
		case recordRawData:
			d.rawData = record
		case recordCameraInfo:
			d.cameraInfo = record
		}
		length = max(length, record.offset+record.length)
	}
	if length > file.Size() {
		return d, 0, errCutOff
	}
	if length > maxBytes {
		return d, 0, fmt.Errorf("its thermal data take %d bytes: the file is damaged", length)
	}
	return d, length, nil
}

// picture reads the records of an FFF file.
func (d directory) picture(data []byte) (Picture, error) {
	var p Picture
	if err := p.readRawData(d.rawData.of(data)); err != nil {
		return p, err
	}
	p.readCameraInfo(d.cameraInfo.of(data))
	return p, nil
}

// orderOf returns the byte order of a record: its first value is a small one.
func orderOf(record []byte) binary.ByteOrder {
	if binary.LittleEndian.Uint16(record) >= 0x100 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (p *Picture) readRawData(record []byte) error {
	const head = 0x20
	if len(record) < head {
		return errors.New("it holds no thermal picture")
	}
	order := orderOf(record)
	p.Width, p.Height = int(order.Uint16(record[2:])), int(order.Uint16(record[4:]))
	pixels := p.Width * p.Height
	if pixels == 0 || pixels > maxPixels {
		return fmt.Errorf("a thermal picture %d by %d pixels is not read", p.Width, p.Height)
	}
	data := record[head:]
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		return p.readPNG(data)
	case bytes.HasPrefix(data, []byte{0xff, 0xd8, 0xff}):
		return errors.New("its thermal picture is compressed as JPEG-LS, which is not read; export the recording as TIFF or CSV, or record it uncompressed")
	case len(data) < 2*pixels:
		return errCutOff
	}
	p.Counts = make([]uint16, pixels)
	for i := range p.Counts {
		p.Counts[i] = order.Uint16(data[2*i:])
	}
	p.orderBytes()
	return nil
}

func (p *Picture) readPNG(data []byte) error {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	if err == nil && (config.Width != p.Width || config.Height != p.Height) {
		err = fmt.Errorf("it has %d by %d pixels instead of %d by %d", config.Width, config.Height, p.Width, p.Height)
	}
	var decoded image.Image
	if err == nil {
		decoded, err = png.Decode(bytes.NewReader(data))
	}
	if err != nil {
		return fmt.Errorf("its thermal picture is damaged: %w", err)
	}
	grey, ok := decoded.(*image.Gray16)
	if !ok {
		return errors.New("its thermal picture has not the 16 bits that temperatures take")
	}
	p.Counts = make([]uint16, p.Width*p.Height)
	for i := range p.Counts {
		p.Counts[i] = binary.BigEndian.Uint16(grey.Pix[2*i:])
	}
	p.orderBytes()
	return nil
}

// orderBytes swaps the two bytes of every count where that makes the smoother picture. Most cameras write them into a PNG
// the wrong way round, some do not, and nothing in the file tells.
func (p *Picture) orderBytes() {
	var rough, swapped int
	for i := 1; i < len(p.Counts); i++ {
		a, b := p.Counts[i-1], p.Counts[i]
		rough += max(int(a), int(b)) - min(int(a), int(b))
		a, b = bits.ReverseBytes16(a), bits.ReverseBytes16(b)
		swapped += max(int(a), int(b)) - min(int(a), int(b))
	}
	if swapped < rough {
		for i, count := range p.Counts {
			p.Counts[i] = bits.ReverseBytes16(count)
		}
	}
}

func (p *Picture) readCameraInfo(record []byte) {
	const (
		model, modelBytes = 0xd4, 32
		planckO, planckR2 = 0x308, 0x30c
		captured          = 0x384
	)
	if len(record) < planckR2+4 {
		return
	}
	order := orderOf(record)
	value := func(offset int) float64 { return float64(math.Float32frombits(order.Uint32(record[offset:]))) }
	const zeroCelsius = 273.15
	p.Calibration = Calibration{
		R1: value(0x58), B: value(0x5c), F: value(0x60), O: float64(int32(order.Uint32(record[planckO:]))), R2: value(planckR2),
		Emissivity:         value(0x20),
		DistanceMeters:     value(0x24),
		ReflectedCelsius:   value(0x28) - zeroCelsius,
		AtmosphereCelsius:  value(0x2c) - zeroCelsius,
		WindowTransmission: value(0x34),
		RelativeHumidity:   value(0x3c),
	}
	if p.Calibration.RelativeHumidity > 2 { // some write per cent
		p.Calibration.RelativeHumidity /= 100
	}
	name, _, _ := strings.Cut(string(record[model:model+modelBytes]), "\x00")
	p.Model = strings.TrimSpace(bounded.Printable(strings.ToValidUTF8(name, "")))
	if len(record) >= captured+8 {
		if seconds := order.Uint32(record[captured:]); seconds != 0 {
			milliseconds := order.Uint32(record[captured+4:]) & 0xffff
			p.Captured = time.Unix(int64(seconds), int64(milliseconds)*int64(time.Millisecond)).UTC()
		}
	}
}

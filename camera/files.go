package camera

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"thermogate/camera/flir"
	"thermogate/camera/matrix"
	"thermogate/camera/radiometry"
)

// openFFF opens a file of FLIR's, of one picture or a sequence.
func openFFF(file *os.File, size int64) pictures {
	frames := flir.NewSequence(file, size)
	return &numbered{file: file, readNth: func(n int) (picture, error) {
		if n == 0 {
			frames.Rewind()
		}
		return ofFLIR(frames.Next())
	}}
}

// ofFLIR takes what a FLIR file says of a picture.
func ofFLIR(thermal flir.Picture, err error) (picture, error) {
	c := thermal.Calibration
	if w := c.WindowTransmission; err == nil && w > 0 && w < 1 {
		err = fmt.Errorf("the camera looked through an infrared window that passes %.2f, which is not reckoned with; "+
			"export the recording as °C (.csv, TIFF)", w)
	}
	p := picture{width: thermal.Width, height: thermal.Height, counts: thermal.Counts, model: thermal.Model, captured: thermal.Captured}
	p.planck = radiometry.Planck{
		R1: c.R1, B: c.B, F: c.F, O: c.O, R2: c.R2,
		Emissivity:        c.Emissivity,
		ReflectedCelsius:  c.ReflectedCelsius,
		AtmosphereCelsius: c.AtmosphereCelsius,
		RelativeHumidity:  c.RelativeHumidity,
		DistanceMeters:    c.DistanceMeters,
	}
	return p, err
}

func openNPY(file *os.File, size int64) (pictures, error) {
	array, err := matrix.OpenNPY(file, size)
	if err != nil {
		return nil, err
	}
	var m matrix.Picture
	return &numbered{file: file, readNth: func(n int) (picture, error) {
		err := array.Read(n, &m)
		return ofMatrix(&m), err
	}}, nil
}

func openCSV(file *os.File) pictures {
	table := matrix.NewCSV(file)
	var m matrix.Picture
	return &numbered{file: file, readNth: func(n int) (picture, error) {
		if n == 0 {
			if err := table.Rewind(); err != nil {
				return picture{}, err
			}
		}
		err := table.Next(&m)
		return ofMatrix(&m), err
	}}
}

func ofMatrix(m *matrix.Picture) picture {
	p := picture{width: m.Width, height: m.Height, counts: m.Counts, numbers: m.Numbers, meaning: celsius}
	switch {
	case m.Signed:
		p.meaning = centicelsius
	case m.Degrees == "F":
		p.meaning = fahrenheit
	case m.Degrees == "K":
		p.meaning = kelvin
	}
	return p
}

// pgmHeader is P5, width, height and largest value, with comments between them, and a single byte of space.
var pgmHeader = regexp.MustCompile(`^P5(?:\s+|#[^\n]*\n)+(\d{1,5})(?:\s+|#[^\n]*\n)+(\d{1,5})(?:\s+|#[^\n]*\n)+(\d{1,5})\s`)

// openPGM opens binary PGM pictures, one behind the other (Netpbm, pgm(5)).
func openPGM(file *os.File, size int64) pictures {
	const maxHeader = 1024
	var at int64 // where the next picture begins
	var data []byte
	var counts []uint16
	return &numbered{file: file, readNth: func(n int) (picture, error) {
		if n == 0 {
			at = 0
		} else if at == size {
			return picture{}, io.EOF
		}
		start := make([]byte, min(maxHeader, size-at))
		if _, err := file.ReadAt(start, at); err != nil {
			return picture{}, err
		}
		header := pgmHeader.FindSubmatch(start)
		if header == nil {
			return picture{}, errors.New("the PGM file is damaged")
		}
		width, _ := strconv.Atoi(string(header[1]))
		height, _ := strconv.Atoi(string(header[2]))
		largest, _ := strconv.Atoi(string(header[3]))
		if err := checkSize(uint64(width), uint64(height)); err != nil {
			return picture{}, err
		}
		bytes := 2
		if largest < 256 {
			bytes = 1
		}
		data = slices.Grow(data[:0], len(header[0])+bytes*width*height)[:len(header[0])+bytes*width*height]
		if _, err := file.ReadAt(data, at); err != nil {
			return picture{}, errCutOff
		}
		at += int64(len(data))
		if bytes == 1 {
			return picture{encoded: data}, nil
		}
		counts = countsOf(counts, data[len(header[0]):], binary.BigEndian)
		return picture{width: width, height: height, counts: counts}, nil
	}}
}

// openRaw opens bare counts, little-endian, picture after picture, whose size the sidecar says.
func openRaw(file *os.File, size int64, said *sidecar) (pictures, error) {
	if said.Width == nil || said.Height == nil {
		return nil, fmt.Errorf(`bare counts do not say how large their pictures are: write {"width": COLUMNS, "height": ROWS} to the sidecar, `+
			"%s for this file alone; all pictures in it together have %d pixels of 16 bits", filepath.Base(sidecarPath(file.Name())), size/2)
	}
	if err := checkSize(uint64(*said.Width), uint64(*said.Height)); err != nil {
		return nil, err
	}
	data := make([]byte, 2**said.Width**said.Height)
	if size%int64(len(data)) != 0 {
		return nil, fmt.Errorf("its %d bytes are no whole pictures of %d by %d pixels of 16 bits", size, *said.Width, *said.Height)
	}
	var counts []uint16
	return &numbered{file: file, readNth: func(n int) (picture, error) {
		at := int64(n) * int64(len(data))
		if at >= size {
			return picture{}, io.EOF
		}
		if _, err := file.ReadAt(data, at); err != nil {
			return picture{}, err
		}
		counts = countsOf(counts, data, binary.LittleEndian)
		return picture{width: *said.Width, height: *said.Height, counts: counts}, nil
	}}, nil
}

// countsOf returns the counts in data, in the memory of counts where that is large enough.
func countsOf(counts []uint16, data []byte, order binary.ByteOrder) []uint16 {
	counts = resize(counts, len(data)/2)
	for i := range counts {
		counts[i] = order.Uint16(data[2*i:])
	}
	return counts
}

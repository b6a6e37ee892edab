package matrix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// NPYMagic begins a NumPy file.
const NPYMagic = "\x93NUMPY"

// NPY is a NumPy file of one picture (rows, columns) or several (pictures, rows, columns).
type NPY struct {
	file          io.ReaderAt
	data          int64 // where the numbers begin
	order         binary.ByteOrder
	kind          string // as NumPy has it, without the byte order: f4, f8, i2 or u2
	width, height int
	pictures      int64
	raw           []byte
}

// The header is a Python dictionary, written always in the same way (NumPy Enhancement Proposal 1).
var (
	npyKind    = regexp.MustCompile(`'descr': *'([<>=|]?)(\w+)'`)
	npyFortran = regexp.MustCompile(`'fortran_order': *(True|False)`)
	npyShape   = regexp.MustCompile(`'shape': *\(([\d, ]*)\)`)
)

// OpenNPY reads the header of a file of so many bytes.
func OpenNPY(file io.ReaderAt, size int64) (*NPY, error) {
	header, data, err := npyHeader(file)
	if err != nil {
		return nil, err
	}
	kind, fortran, shape := npyKind.FindStringSubmatch(header), npyFortran.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if kind == nil || fortran == nil || shape == nil {
		return nil, errors.New("its header is no plain array's; save it with numpy.save(FILE, array.astype('float32'))")
	}
	n := &NPY{file: file, data: data, kind: kind[2], order: binary.LittleEndian}
	if kind[1] == ">" {
		n.order = binary.BigEndian
	}
	switch {
	case n.itemBytes() == 0:
		return nil, fmt.Errorf("its numbers are %s; save °C as float32 (array.astype('float32')) or counts as uint16", n.kind)
	case fortran[1] == "True":
		return nil, errors.New("its columns come before its rows; save it with numpy.save(FILE, numpy.ascontiguousarray(array))")
	}
	if err := n.setShape(shape[1]); err != nil {
		return nil, err
	}
	if n.pictures > (size-data)/n.pictureBytes() {
		return nil, errors.New("the file ends before its array does: it is cut off")
	}
	return n, nil
}

func npyHeader(file io.ReaderAt) (header string, data int64, err error) {
	const maxHeader = 4096
	start := make([]byte, maxHeader)
	read, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return "", 0, err
	}
	start = start[:read]
	if len(start) < 12 {
		return "", 0, errors.New("the file ends within its header: it is cut off")
	}
	length, at := int(binary.LittleEndian.Uint16(start[8:])), 10
	if start[6] > 1 { // versions 2 and 3 have room for longer ones
		length, at = int(min(binary.LittleEndian.Uint32(start[8:]), maxHeader)), 12
	}
	if at+length > len(start) {
		return "", 0, errors.New("its header is longer than that of any picture, or cut off")
	}
	return string(start[at : at+length]), int64(at + length), nil
}

// itemBytes is the size of a number; 0 for kinds that are not read.
func (n *NPY) itemBytes() int64 {
	return map[string]int64{"f4": 4, "f8": 8, "i2": 2, "u2": 2}[n.kind]
}

func (n *NPY) pictureBytes() int64 { return int64(n.width) * int64(n.height) * n.itemBytes() }

func (n *NPY) setShape(text string) error {
	var shape []int64
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		side, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return fmt.Errorf("its shape (%s) is damaged", text)
		}
		shape = append(shape, side)
	}
	if len(shape) == 2 {
		shape = append([]int64{1}, shape...)
	}
	if len(shape) != 3 {
		return fmt.Errorf("its shape is (%s); (rows, columns) or (pictures, rows, columns) is read", text)
	}
	if shape[1] < 1 || shape[2] < 1 || shape[1] > maxSide || shape[2] > maxSide || shape[1]*shape[2] > maxPixels {
		return fmt.Errorf("a picture %d by %d pixels is not read; its shape has to be (pictures, rows, columns)", shape[2], shape[1])
	}
	const fewColumns = 4
	if shape[2] <= fewColumns && shape[1] > fewColumns {
		return fmt.Errorf("its shape is (%s), as of one picture with %d channels; it has to be (pictures, rows, columns)", text, shape[2])
	}
	n.pictures, n.height, n.width = shape[0], int(shape[1]), int(shape[2])
	return nil
}

// Read reads picture i, counted from 0, into p, whose memory it reuses, and returns io.EOF after the last.
func (n *NPY) Read(i int, p *Picture) error {
	if int64(i) >= n.pictures {
		return io.EOF
	}
	n.raw = resize(n.raw, int(n.pictureBytes()))
	if _, err := n.file.ReadAt(n.raw, n.data+int64(i)*n.pictureBytes()); err != nil {
		return err
	}
	p.Width, p.Height, p.Signed = n.width, n.height, n.kind == "i2"
	pixels := n.width * n.height
	if n.kind == "u2" {
		p.Counts = resize(p.Counts, pixels)
		for i := range p.Counts {
			p.Counts[i] = n.order.Uint16(n.raw[2*i:])
		}
		return nil
	}
	p.Numbers = resize(p.Numbers, pixels)
	for i := range p.Numbers {
		switch n.kind {
		case "f4":
			p.Numbers[i] = math.Float32frombits(n.order.Uint32(n.raw[4*i:]))
		case "f8":
			p.Numbers[i] = float32(math.Float64frombits(n.order.Uint64(n.raw[8*i:])))
		case "i2":
			p.Numbers[i] = float32(int16(n.order.Uint16(n.raw[2*i:])))
		}
	}
	return nil
}

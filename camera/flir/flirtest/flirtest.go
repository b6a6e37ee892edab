// Package flirtest makes files as FLIR cameras write them, for tests.
package flirtest

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"time"
)

// Picture is what a file is to hold.
type Picture struct {
	Width, Height int
	Counts        []uint16
	Captured      time.Time
	// Order is that of header and records, little-endian where it is nil; Pixels is that of the counts.
	Order, Pixels binary.ByteOrder
	// PNG compresses the counts.
	PNG bool
	// Humidity is relative, in the camera's own way: as a fraction or in per cent.
	Humidity float32
	Window   float32
}

// Constants of a FLIR T300, published with the R package Thermimage: 18109 counts are 23.62 °C of a black body.
const R1, B, F, O, R2 = 21106.77, 1501, 1, -7340, 0.012545258

// FFF returns the picture as an FFF file, taken of a black body right before the camera.
func (p Picture) FFF() []byte {
	order, pixels := p.Order, p.Pixels
	if order == nil {
		order = binary.LittleEndian
	}
	if pixels == nil {
		pixels = order
	}
	raw := make([]byte, 0x20)
	order.PutUint16(raw, 2)
	order.PutUint16(raw[2:], uint16(p.Width))
	order.PutUint16(raw[4:], uint16(p.Height))
	if p.PNG {
		raw = append(raw, p.png(pixels)...)
	} else {
		for _, c := range p.Counts {
			raw = append(raw, 0, 0)
			pixels.PutUint16(raw[len(raw)-2:], c)
		}
	}
	info := p.cameraInfo(order)

	const header, entry, records = 0x40, 0x20, 3
	file := make([]byte, header+records*entry)
	copy(file, "FFF\x00test")
	order.PutUint32(file[0x14:], 101)
	order.PutUint32(file[0x18:], header)
	order.PutUint32(file[0x1c:], records)
	for i, record := range []struct {
		kind uint16
		data []byte
	}{{0x20, info}, {0, nil}, {1, raw}} {
		at := file[header+i*entry:]
		order.PutUint16(at, record.kind)
		order.PutUint32(at[0x0c:], uint32(len(file)))
		order.PutUint32(at[0x10:], uint32(len(record.data)))
		file = append(file, record.data...)
	}
	return file
}

func (p Picture) png(order binary.ByteOrder) []byte {
	picture := image.NewGray16(image.Rect(0, 0, p.Width, p.Height))
	for i, c := range p.Counts {
		var bytes [2]byte
		order.PutUint16(bytes[:], c)
		picture.SetGray16(i%p.Width, i/p.Width, color.Gray16{Y: binary.BigEndian.Uint16(bytes[:])})
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

func (p Picture) cameraInfo(order binary.ByteOrder) []byte {
	info := make([]byte, 0x400)
	order.PutUint16(info, 2)
	for offset, value := range map[int]float32{
		0x20: 1, 0x28: 295.15, 0x2c: 294.15, 0x34: p.Window, 0x3c: p.Humidity, 0x58: R1, 0x5c: B, 0x60: F, 0x30c: R2,
	} {
		order.PutUint32(info[offset:], math.Float32bits(value))
	}
	o := int32(O)
	order.PutUint32(info[0x308:], uint32(o))
	copy(info[0xd4:], "FLIR T300\x00rest")
	if !p.Captured.IsZero() {
		order.PutUint32(info[0x384:], uint32(p.Captured.Unix()))
		order.PutUint32(info[0x388:], uint32(p.Captured.Nanosecond()/1e6))
	}
	return info
}

// JPEG puts an FFF file into the APP1 segments of a JPEG file, of at most so many bytes each.
func JPEG(rendered, fff []byte, most int) []byte {
	parts := (len(fff) + most - 1) / most
	out := append([]byte(nil), rendered[:2]...)
	for i := range parts {
		part := fff[i*most : min((i+1)*most, len(fff))]
		out = append(out, 0xff, 0xe1)
		out = binary.BigEndian.AppendUint16(out, uint16(2+8+len(part)))
		out = append(out, "FLIR\x00\x01"...)
		out = append(out, byte(i), byte(parts-1))
		out = append(out, part...)
	}
	return append(out, rendered[2:]...)
}

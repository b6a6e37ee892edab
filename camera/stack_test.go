package camera

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// stack describes a TIFF stack that a test writes.
type stack struct {
	frames        int
	width, height int // 6 by 4 where not said
	order         binary.AppendByteOrder
	bits          int                   // 16 where not said
	sidecar       map[string]any        // none where nil
	count         func(n, i int) uint16 // pixel i of frame n; testCount where nil
}

// testCount is pixel i of frame n.
func testCount(n, i int) uint16 { return uint16(30000 + 1000*n + 7*i) }

// encode writes uncompressed pages of two strips each, every directory behind its strips.
func (s stack) encode() []byte {
	if s.width == 0 {
		s.width, s.height = 6, 4
	}
	if s.order == nil {
		s.order = binary.LittleEndian
	}
	if s.bits == 0 {
		s.bits = 16
	}
	if s.count == nil {
		s.count = testCount
	}
	magic := "II*\x00"
	if s.order == binary.AppendByteOrder(binary.BigEndian) {
		magic = "MM\x00*"
	}
	out := append([]byte(magic), 0, 0, 0, 0)
	link := 4 // where the offset of the next directory goes
	for n := range s.frames {
		strips := len(out)
		for i := range s.width * s.height {
			if s.bits == 8 {
				out = append(out, byte(s.count(n, i)))
			} else {
				out = s.order.AppendUint16(out, s.count(n, i))
			}
		}
		half := uint32(len(out)-strips) / 2
		lists := len(out)
		for _, v := range []uint32{uint32(strips), uint32(strips) + half, half, half} {
			out = s.order.AppendUint32(out, v)
		}
		s.order.(binary.ByteOrder).PutUint32(out[link:], uint32(len(out)))
		entries := [][3]uint32{
			{tagImageWidth, 1, uint32(s.width)}, {tagImageLength, 1, uint32(s.height)}, {tagBitsPerSample, 1, uint32(s.bits)},
			{tagCompression, 1, 1}, {tagPhotometric, 1, 1}, {tagStripOffsets, 2, uint32(lists)},
			{tagRowsPerStrip, 1, uint32(s.height / 2)}, {tagStripByteCounts, 2, uint32(lists) + 8},
		}
		out = s.order.AppendUint16(out, uint16(len(entries)))
		for _, e := range entries {
			out = s.order.AppendUint16(out, uint16(e[0]))
			out = s.order.AppendUint16(out, typeLong)
			out = s.order.AppendUint32(out, e[1])
			out = s.order.AppendUint32(out, e[2])
		}
		link = len(out)
		out = append(out, 0, 0, 0, 0)
	}
	return out
}

// writeStack writes a stack and its sidecar and returns the path.
func writeStack(t testing.TB, s stack) string {
	t.Helper()
	folder := t.TempDir()
	if s.sidecar != nil {
		text, err := json.Marshal(s.sidecar)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, "gate.json"), text)
	}
	path := filepath.Join(folder, "gate.tiff")
	writeFile(t, path, s.encode())
	return path
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

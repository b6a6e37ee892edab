package gst

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
)

// gdppay packs what a pipeline delivers: a header that says what follows and how long it is, then that (GStreamer Data
// Protocol 1.0).
const (
	headerBytes      = 62
	kindAt, lengthAt = 4, 6
	kindBuffer       = 1
	kindCaps         = 2
	maxPacketBytes   = 64 << 20 // no sensor's picture is larger
)

// relay hands packets on until there are no more. OpenCV 4.6 takes as many bytes of a picture as its format says, however
// few there are; so a picture that is too short is an error here.
func relay(to io.Writer, from io.Reader) error {
	var packet []byte
	var format pictureFormat
	for {
		packet = slices.Grow(packet[:0], headerBytes)[:headerBytes]
		if _, err := io.ReadFull(from, packet); err != nil {
			return nil // the pipeline is over, and knows why
		}
		kind, length := binary.BigEndian.Uint16(packet[kindAt:]), binary.BigEndian.Uint32(packet[lengthAt:])
		if length > maxPacketBytes {
			return fmt.Errorf("it delivers %d bytes at once, more than any picture has", length)
		}
		packet = slices.Grow(packet, int(length))[:headerBytes+int(length)]
		content := packet[headerBytes:]
		if _, err := io.ReadFull(from, content); err != nil {
			return nil
		}
		switch kind {
		case kindCaps:
			format = readFormat(content)
		case kindBuffer:
			if err := format.check(len(content)); err != nil {
				return err
			}
		}
		if _, err := to.Write(packet); err != nil {
			return nil // nobody takes them any more
		}
	}
}

// pictureFormat is that of pictures with two bytes a pixel; its zero value stands for all others, which are converted, and
// looked at before.
type pictureFormat struct{ width, height int64 }

var twoBytes = regexp.MustCompile(`^video/x-raw,.*format=\(string\)(?:GRAY16_LE|GRAY16_BE|YUY2)\b`)
var side = regexp.MustCompile(`\b(width|height)=\(int\)(\d+)`)

func readFormat(caps []byte) (f pictureFormat) {
	if !twoBytes.Match(caps) {
		return f
	}
	for _, found := range side.FindAllSubmatch(caps, -1) {
		pixels, _ := strconv.ParseInt(string(found[2]), 10, 32) // GStreamer has no larger ones
		if string(found[1]) == "width" {
			f.width = pixels
		} else {
			f.height = pixels
		}
	}
	return f
}

func (f pictureFormat) check(bytes int) error {
	rowBytes := (2*f.width + 3) &^ 3 // as GStreamer pads them
	if need := rowBytes * f.height; int64(bytes) < need {
		return fmt.Errorf("its pictures have %d bytes, %d by %d pixels take %d", bytes, f.width, f.height, need)
	}
	return nil
}

package camera

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gocv.io/x/gocv"

	"thermogate/camera/v4l2"
)

const (
	unitsCounts = "counts"
	unitsGrey8  = "grey8"
)

var errEightBit = errors.New("8-bit pictures carry no temperatures; the camera's 16-bit counts (Y16, GRAY16_LE) are needed")

// pixels is what the pictures of OpenCV hold.
type pixels int

const (
	counts16 pixels = iota
	// disguised is what passes for a picture of two bytes a pixel and holds 16-bit counts in some of its rows.
	disguised
	eightBit
)

// pixelsOf tells what a picture holds by its type and shape.
func pixelsOf(mat *gocv.Mat) (pixels, error) {
	switch mat.Type() {
	case gocv.MatTypeCV16UC1:
		return counts16, nil
	case gocv.MatTypeCV8UC2:
		if _, ok := yuyvLayout(mat); ok {
			return disguised, nil
		}
		return eightBit, nil
	case gocv.MatTypeCV8UC1, gocv.MatTypeCV8UC3, gocv.MatTypeCV8UC4:
		return eightBit, nil
	}
	return 0, fmt.Errorf("pixels of type %s are not read; one channel of unsigned 16-bit counts is", mat.Type())
}

// yuyvLayout tells where in a picture of two bytes a pixel the counts lie, if there are any.
func yuyvLayout(mat *gocv.Mat) (v4l2.Layout, bool) {
	return v4l2.LayoutOf(v4l2.Mode{Code: "YUYV", Size: v4l2.Size{Width: mat.Cols(), Height: mat.Rows()}})
}

// decoder writes pictures of OpenCV, turned upright, to frames.
type decoder struct {
	turn          Orientation
	allowEightBit bool
	asked         bool       // for rows of telemetry, by their size
	beside        *v4l2.Rows // rows of telemetry beside the picture, once the first picture told
	counts        []uint16   // scratch
}

// decode writes one picture to frame and tells what it held.
func (d *decoder) decode(mat *gocv.Mat, frame *Frame) (pixels, error) {
	held, err := pixelsOf(mat)
	if err != nil {
		return held, err
	}
	width, height := mat.Cols(), mat.Rows()
	var counts []uint16
	frame.Telemetry = nil
	switch held {
	case counts16:
		if counts, err = mat.DataPtrUint16(); err == nil {
			counts, height, frame.Telemetry = d.cut(counts, width, height)
		}
	case disguised:
		counts, height, err = d.undisguise(mat)
	case eightBit:
		if !d.allowEightBit {
			return held, errEightBit
		}
		counts, err = d.grey(mat)
	}
	if err != nil {
		return held, err
	}
	frame.Width, frame.Height = d.turn.size(width, height)
	frame.Counts = resize(frame.Counts, width*height)
	d.turn.turn(frame.Counts, counts, width, height)
	return held, nil
}

// undisguise returns the rows of a picture that hold little-endian counts.
func (d *decoder) undisguise(mat *gocv.Mat) (counts []uint16, height int, err error) {
	bytes, err := mat.DataPtrUint8()
	if err != nil {
		return nil, 0, err
	}
	layout, _ := yuyvLayout(mat) // pixelsOf found it
	bytes = bytes[2*layout.Width*layout.Top:]
	d.counts = resize(d.counts, layout.Width*layout.Height)
	for i := range d.counts {
		d.counts[i] = binary.LittleEndian.Uint16(bytes[2*i:])
	}
	return d.counts, layout.Height, nil
}

// grey returns the luminance of an 8-bit picture.
func (d *decoder) grey(mat *gocv.Mat) ([]uint16, error) {
	grey := gocv.NewMat()
	defer grey.Close()
	switch mat.Type() {
	case gocv.MatTypeCV8UC2:
		gocv.CvtColor(*mat, &grey, gocv.ColorYUVToGRAYYUY2)
	case gocv.MatTypeCV8UC3:
		gocv.CvtColor(*mat, &grey, gocv.ColorBGRToGray)
	case gocv.MatTypeCV8UC4:
		gocv.CvtColor(*mat, &grey, gocv.ColorBGRAToGray)
	default:
		mat.CopyTo(&grey)
	}
	luminance, err := grey.DataPtrUint8()
	if err != nil {
		return nil, err
	}
	d.counts = resize(d.counts, len(luminance))
	for i, l := range luminance {
		d.counts[i] = uint16(l)
	}
	return d.counts, nil
}

// resize returns counts with n elements, in the same memory where that is large enough.
func resize(counts []uint16, n int) []uint16 {
	if cap(counts) < n {
		return make([]uint16, n)
	}
	return counts[:n]
}

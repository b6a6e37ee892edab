package camera

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gocv.io/x/gocv"
)

const (
	unitsCounts   = "counts"
	unitsGrey8    = "grey8"
	unitsKelvin64 = "kelvin64"
)

var errEightBit = errors.New("8-bit pictures carry no temperatures; the camera's 16-bit counts (Y16, GRAY16_LE) are needed")

// pixels is what the pictures of OpenCV hold.
type pixels int

const (
	counts16 pixels = iota
	// twoPlane is a rendered picture of two bytes a pixel above the 16-bit temperatures of the same pixels.
	twoPlane
	eightBit
)

// pixelsOf tells what a picture holds by its type and shape.
func pixelsOf(mat *gocv.Mat) (pixels, error) {
	switch mat.Type() {
	case gocv.MatTypeCV16UC1:
		return counts16, nil
	case gocv.MatTypeCV8UC2:
		// A sensor of 4:3 or 5:4 makes two planes stand upright: 256x384 for 256x192 pixels. No other camera does.
		if w, h := mat.Cols(), mat.Rows(); h%2 == 0 && (2*h == 3*w || 5*h == 8*w) {
			return twoPlane, nil
		}
		return eightBit, nil
	case gocv.MatTypeCV8UC1, gocv.MatTypeCV8UC3, gocv.MatTypeCV8UC4:
		return eightBit, nil
	}
	return 0, fmt.Errorf("pixels of type %s are not read; one channel of unsigned 16-bit counts is", mat.Type())
}

// decoder writes pictures of OpenCV, turned upright, to frames.
type decoder struct {
	turn          Orientation
	allowEightBit bool
	counts        []uint16 // scratch
}

// decode writes one picture to frame and tells what it held.
func (d *decoder) decode(mat *gocv.Mat, frame *Frame) (pixels, error) {
	held, err := pixelsOf(mat)
	if err != nil {
		return held, err
	}
	width, height := mat.Cols(), mat.Rows()
	var counts []uint16
	switch held {
	case counts16:
		counts, err = mat.DataPtrUint16()
	case twoPlane:
		height /= 2
		counts, err = d.lowerPlane(mat)
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

// lowerPlane returns the lower half of a two-plane picture: little-endian counts.
func (d *decoder) lowerPlane(mat *gocv.Mat) ([]uint16, error) {
	planes, err := mat.DataPtrUint8()
	if err != nil {
		return nil, err
	}
	lower := planes[len(planes)/2:]
	d.counts = resize(d.counts, len(lower)/2)
	for i := range d.counts {
		d.counts[i] = binary.LittleEndian.Uint16(lower[2*i:])
	}
	return d.counts, nil
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

package camera

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"gocv.io/x/gocv"

	"thermogate/camera/radiometry"
	"thermogate/camera/v4l2"
)

const (
	unitsCounts = "counts"
	unitsGrey8  = "grey8"

	unitsCentikelvin = "centikelvin"
	unitsLinear      = "linear" // as Info.Linear has it
	unitsPlanck      = "planck" // as Info.Planck has it
)

// calibrate makes the scale of a source what somebody says of it, and reports whether anything was said.
func calibrate(info *Info, units string, linear radiometry.Linear, planck radiometry.Planck) (said bool) {
	switch {
	case planck.R1 != 0:
		info.Units, info.Planck = unitsPlanck, planck
	case linear.KelvinPerCount != 0:
		info.Units, info.Linear = unitsLinear, linear
	case units != "":
		info.Units = units
	default:
		return false
	}
	return true
}

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
	looks         int        // at pictures, for what counts can't be
	stretched     bool       // they are 8 bits after all
	counts        []uint16   // scratch
}

// firstLooks is how many pictures are looked at before a camera's counts are trusted: the first may show a closed shutter.
const firstLooks = 10

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
	return d.place(held, counts, width, height, frame)
}

// place writes counts to frame, less the rows of telemetry among them, and tells what they were.
func (d *decoder) place(held pixels, counts []uint16, width, height int, frame *Frame) (pixels, error) {
	frame.Telemetry = nil
	if held == counts16 {
		counts, height, frame.Telemetry = d.cut(counts, width, height)
	}
	if held != eightBit {
		var err error
		if held, err = d.look(held, counts, width); err != nil {
			return held, err
		}
	}
	d.upright(counts, width, height, frame)
	return held, nil
}

// look refuses what only passes for counts, and takes 8 stretched bits for what they are.
func (d *decoder) look(held pixels, counts []uint16, width int) (pixels, error) {
	if d.looks < firstLooks {
		d.looks++
		switch {
		case swapped(counts, width):
			return held, errSwapped
		case !stretched(counts):
		case !d.allowEightBit:
			return held, errStretched
		default:
			d.stretched = true
		}
	}
	if d.stretched {
		return eightBit, nil
	}
	return held, nil
}

// upright writes the counts of a picture, turned upright, to frame.
func (d *decoder) upright(counts []uint16, width, height int, frame *Frame) {
	frame.Width, frame.Height = d.turn.size(width, height)
	frame.Counts = resize(frame.Counts, width*height)
	d.turn.turn(frame.Counts, counts, width, height)
}

// countKelvin is a step of the counts that temperatures become, see Frame.Counts.
const countKelvin = 0.01

// round returns numbers, of a linear scale, as counts in centikelvin. What is no number becomes 0.
func (d *decoder) round(numbers []float32, scale radiometry.Linear) []uint16 {
	absolute := radiometry.FromAbsoluteZero(countKelvin)
	d.counts = resize(d.counts, len(numbers))
	for i, number := range numbers {
		count := math.Round((scale.Celsius(float64(number)) - absolute.ZeroCelsius) / countKelvin)
		d.counts[i] = 0
		if count > 0 {
			d.counts[i] = uint16(min(count, math.MaxUint16))
		}
	}
	return d.counts
}

// undisguise returns the rows of a picture that hold little-endian counts.
func (d *decoder) undisguise(mat *gocv.Mat) (counts []uint16, height int, err error) {
	bytes, err := mat.DataPtrUint8()
	if err != nil {
		return nil, 0, err
	}
	layout, _ := yuyvLayout(mat) // pixelsOf found it
	from := 2 * layout.Width * layout.Top
	d.counts = countsOf(d.counts, bytes[from:from+2*layout.Width*layout.Height], binary.LittleEndian)
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

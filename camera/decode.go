package camera

import (
	"errors"
	"fmt"

	"gocv.io/x/gocv"
)

const unitsGrey8 = "grey8"

var errEightBit = errors.New("8-bit pictures carry no temperatures; record the camera's 16-bit counts (Y16, GRAY16_LE)")

// frameOf writes a picture of OpenCV, turned upright, to frame and tells whether it had 8 bits only.
func frameOf(mat *gocv.Mat, turn Orientation, allowEightBit bool, frame *Frame) (eightBit bool, err error) {
	width, height := mat.Cols(), mat.Rows()
	frame.Width, frame.Height = turn.size(width, height)
	if n := width * height; cap(frame.Counts) < n {
		frame.Counts = make([]uint16, n)
	} else {
		frame.Counts = frame.Counts[:n]
	}
	switch mat.Type() {
	case gocv.MatTypeCV16UC1:
		counts, err := mat.DataPtrUint16()
		if err != nil {
			return false, err
		}
		turn.turn(frame.Counts, counts, width, height)
		return false, nil
	case gocv.MatTypeCV8UC1, gocv.MatTypeCV8UC3, gocv.MatTypeCV8UC4:
		if !allowEightBit {
			return true, errEightBit
		}
		return true, greyFrame(mat, turn, frame)
	}
	return false, fmt.Errorf("pixels of type %s are not read; one channel of unsigned 16-bit counts is", mat.Type())
}

// greyFrame writes the luminance of an 8-bit picture to frame, whose size is set.
func greyFrame(mat *gocv.Mat, turn Orientation, frame *Frame) error {
	grey := *mat
	if mat.Channels() > 1 {
		grey = gocv.NewMat()
		defer grey.Close()
		code := gocv.ColorBGRToGray
		if mat.Channels() == 4 {
			code = gocv.ColorBGRAToGray
		}
		gocv.CvtColor(*mat, &grey, code)
	}
	pixels, err := grey.DataPtrUint8()
	if err != nil {
		return err
	}
	counts := make([]uint16, len(pixels))
	for i, p := range pixels {
		counts[i] = uint16(p)
	}
	turn.turn(frame.Counts, counts, mat.Cols(), mat.Rows())
	return nil
}

package face

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"

	"gocv.io/x/gocv"

	"thermogate/camera/radiometry"
)

//go:embed marks.onnx
var marksModel []byte

// What the second network was trained with, see training/marks.py.
const (
	cutWidth, cutHeight = 32, 40
	cutMargin           = 0.15 // of the box, on every side
	cutCelsius          = 4    // temperature above the face's median that is 1 to the network
	cutBend             = 3
)

// closeWeight is the say of the close look in the score; the rest is that of the first network.
const closeWeight = 0.5

// marker looks closely at one face: landmarks, pose, what hides it.
type marker struct {
	net    gocv.Net
	blob   gocv.Mat
	input  []float32 // the memory of blob
	sorted []float32
}

func newMarker() (*marker, error) {
	net, err := gocv.ReadNetFromONNXBytes(marksModel)
	if err != nil {
		return nil, fmt.Errorf("reading the network of landmarks: %w", err)
	}
	if net.Empty() {
		return nil, errors.New("OpenCV can't read the network of landmarks")
	}
	m := &marker{net: net, blob: gocv.NewMatWithSizes([]int{1, 1, cutHeight, cutWidth}, gocv.MatTypeCV32F)}
	if m.input, err = m.blob.DataPtrFloat32(); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *marker) close() error { return errors.Join(m.net.Close(), m.blob.Close()) }

// mark fills in what the network sees in the box of f, and has its say in the score. A degree is gain°C to it, negative where hot is black.
func (m *marker) mark(img *radiometry.Image, f *Face, gain float32) error {
	stepX, stepY := f.W*(1+2*cutMargin)/cutWidth, f.H*(1+2*cutMargin)/cutHeight
	left, top := f.X+f.W/2-stepX*cutWidth/2, f.Y+f.H/2-stepY*cutHeight/2
	for v := range cutHeight {
		for u := range cutWidth {
			m.input[v*cutWidth+u] = cellMean(img, left+float32(u)*stepX, top+float32(v)*stepY, stepX, stepY)
		}
	}
	m.normalise(gain / cutCelsius)
	m.net.SetInput(m.blob, "")
	out := m.net.Forward("")
	defer out.Close()
	values, err := out.DataPtrFloat32()
	if err != nil {
		return err
	}
	if len(values) != 17 {
		return fmt.Errorf("the network of landmarks answers with %d values instead of 17", len(values))
	}
	f.Score = logistic((1-closeWeight)*logit(f.Score) + closeWeight*values[16])
	for i := range f.Landmarks {
		// Landmarks are counted from the centre of the first pixel, boxes from its corner.
		f.Landmarks[i] = Point{left + values[2*i]*cutWidth*stepX - 0.5, top + values[2*i+1]*cutHeight*stepY - 0.5}
	}
	poses := [...]Pose{Frontal, ThreeQuarter, Profile}
	f.Pose = poses[slices.Index(values[10:13], slices.Max(values[10:13]))]
	f.Glasses, f.Mask, f.ForeheadCovered = values[13] > 0, values[14] > 0, values[15] > 0
	return nil
}

// normalise brings the cut-out to what the network knows: around its median, bent softly.
func (m *marker) normalise(gain float32) {
	m.sorted = append(m.sorted[:0], m.input...)
	slices.Sort(m.sorted)
	median := m.sorted[len(m.sorted)/2]
	for i, c := range m.input {
		v := (c - median) * gain
		if v != v {
			v = 0
		}
		m.input[i] = v / float32(math.Sqrt(float64(1+v*v/(cutBend*cutBend))))
	}
}

// cellMean is the mean of a cell of the picture, between its pixels where the cell is small, over them where it is large.
func cellMean(img *radiometry.Image, x, y, w, h float32) float32 {
	nx, ny := max(1, int(w+0.5)), max(1, int(h+0.5))
	var sum float32
	for j := range ny {
		for i := range nx {
			sum += between(img, x+w*(float32(i)+0.5)/float32(nx)-0.5, y+h*(float32(j)+0.5)/float32(ny)-0.5)
		}
	}
	return sum / float32(nx*ny)
}

// between interpolates linearly between the centres of four pixels; beyond the border the picture goes on as it ends.
func between(img *radiometry.Image, x, y float32) float32 {
	x = min(max(x, 0), float32(img.Width-1))
	y = min(max(y, 0), float32(img.Height-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, img.Width-1), min(y0+1, img.Height-1)
	fx, fy := x-float32(x0), y-float32(y0)
	upper := img.At(x0, y0)*(1-fx) + img.At(x1, y0)*fx
	lower := img.At(x0, y1)*(1-fx) + img.At(x1, y1)*fx
	return upper*(1-fy) + lower*fy
}

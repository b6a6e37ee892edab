package face

import (
	_ "embed"
	"fmt"
	"math"

	"thermogate/camera/radiometry"
	"thermogate/screening/face/network"
	"thermogate/screening/rank"
)

//go:embed marks.onnx
var marksModel []byte

// What the second network was trained with, see training/marks.py.
const (
	cutWidth, cutHeight = 40, 48
	cutMargin           = 0.3 // of the box, on every side
	cutCelsius          = 4   // temperature above the face's median that is 1 to the network
	cutBend             = 3
)

const (
	// closeWeight is the say of the close look in the score; the rest is that of the first network.
	closeWeight = 0.3
	// hopefulScore is the score of the first network from which on there always is a close look: it makes one in five of those just
	// above it likely a face (FaintScore), mostly people who walk past and show one side, and of those just below it one in fifteen.
	hopefulScore = 0.3
	// hopedLogit is what a close look is hoped to say at best of a fainter proposal, where lower scores than a gate's are asked for.
	hopedLogit = 4
)

// marker looks closely at one face: landmarks, pose, whether the forehead is covered.
type marker struct {
	*network.Network
	middle []float32
	// What of the picture the cut-out is made from.
	columns, rows []tap
}

func newMarker() (*marker, error) {
	net, err := network.New(marksModel, cutWidth, cutHeight)
	if err != nil {
		return nil, fmt.Errorf("the network of landmarks: %w", err)
	}
	return &marker{Network: net}, nil
}

// mark fills in what the network sees in the box of f, and has its say in the score. A degree is gain°C to it, negative where hot is black.
func (m *marker) mark(img *radiometry.Image, f *Face, gain float32) error {
	stepX, stepY := f.W*(1+2*cutMargin)/cutWidth, f.H*(1+2*cutMargin)/cutHeight
	left, top := f.X+f.W/2-stepX*cutWidth/2, f.Y+f.H/2-stepY*cutHeight/2
	m.cutOut(img, left, top, stepX, stepY)
	m.normalise(gain / cutCelsius)
	if err := m.Run(); err != nil {
		return err
	}
	values := m.Output
	f.Score = logistic((1-closeWeight)*logit(f.Score) + closeWeight*values[16])
	for i := range f.Landmarks {
		// Landmarks are counted from the centre of the first pixel, boxes from its corner.
		f.Landmarks[i] = Point{left + values[2*i]*cutWidth*stepX - 0.5, top + values[2*i+1]*cutHeight*stepY - 0.5}
	}
	f.Pose = poseOf(float64(values[10]), float64(values[11]), float64(values[12]))
	f.ForeheadCovered = values[15] > 0 // of glasses and masks wearing knows more than values 13 and 14
	return nil
}

// poseOf takes the logits of the poses. A face is frontal where that is likelier than both other poses together: one that is half turned
// and is measured all the same reads too cold.
func poseOf(frontal, threeQuarter, profile float64) Pose {
	switch {
	case math.Exp(threeQuarter-frontal)+math.Exp(profile-frontal) < 1:
		return Frontal
	case threeQuarter >= profile:
		return ThreeQuarter
	}
	return Profile
}

// normalise brings the cut-out to what the network knows: around the median of its middle, bent softly.
func (m *marker) normalise(gain float32) {
	m.middle = m.middle[:0]
	for row := cutHeight / 4; row < cutHeight*3/4; row++ {
		m.middle = append(m.middle, m.Input[row*cutWidth+cutWidth/4:row*cutWidth+cutWidth*3/4]...)
	}
	bend(m.Input, m.Input, rank.Nth(m.middle, len(m.middle)/2), gain, cutBend)
}

// cutOut fills the input with the means of cells of the picture, the first of them at left and top: between its pixels
// where cells are small, over them where they are large.
func (m *marker) cutOut(img *radiometry.Image, left, top, stepX, stepY float32) {
	perColumn, perRow := max(1, int(stepX+0.5)), max(1, int(stepY+0.5))
	m.columns = appendTaps(m.columns[:0], left, stepX/float32(perColumn), cutWidth*perColumn, img.Width)
	m.rows = appendTaps(m.rows[:0], top, stepY/float32(perRow), cutHeight*perRow, img.Height)
	share := 1 / float32(perColumn*perRow)
	for v := range cutHeight {
		out := m.Input[v*cutWidth:][:cutWidth]
		clear(out)
		for _, row := range m.rows[v*perRow:][:perRow] {
			upper, lower := img.Celsius[row.at*img.Width:][:img.Width], img.Celsius[row.next*img.Width:][:img.Width]
			for u := range out {
				for _, c := range m.columns[u*perColumn:][:perColumn] {
					above := upper[c.at] + (upper[c.next]-upper[c.at])*c.weight
					below := lower[c.at] + (lower[c.next]-lower[c.at])*c.weight
					out[u] += (above + (below-above)*row.weight) * share
				}
			}
		}
	}
}

// tap is a place between the centres of two neighbouring pixels; weight is the say of the second.
type tap struct {
	at, next int
	weight   float32
}

// appendTaps appends n places, step apart, along a side of a picture; beyond its border it goes on as it ends.
func appendTaps(taps []tap, start, step float32, n, size int) []tap {
	for i := range n {
		x := min(max(start+step*(float32(i)+0.5)-0.5, 0), float32(size-1))
		at := int(x)
		taps = append(taps, tap{at, min(at+1, size-1), x - float32(at)})
	}
	return taps
}

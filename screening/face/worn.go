package face

import (
	_ "embed"
	"errors"
	"fmt"

	"gocv.io/x/gocv"
)

//go:embed worn.onnx
var wornModel []byte

// The logits above which something is told. They were chosen on faces of a camera whose faces the network had not learnt
// from, see training/MODEL_CARD.md: 2.2 % of those without glasses are called, 1.1 % of those without a mask. At 2 for the mask
// it is 1.8 %, and a tenth more masks are told.
const (
	glassesLogit = 1.25
	maskLogit    = 2.5
)

// wearing tells what a face wears, from the cut-out that the marker looked at. It is a network of its own so that scores
// and landmarks, on which the gate was tuned, stay as they are, and so that only faces that are kept pay for it.
type wearing struct{ net gocv.Net }

func newWearing() (*wearing, error) {
	net, err := gocv.ReadNetFromONNXBytes(wornModel)
	if err != nil {
		return nil, fmt.Errorf("reading the network of what is worn: %w", err)
	}
	if net.Empty() {
		return nil, errors.New("OpenCV can't read the network of what is worn")
	}
	return &wearing{net}, nil
}

func (w *wearing) close() error { return w.net.Close() }

// look fills in glasses and mask.
func (w *wearing) look(cutOut gocv.Mat, f *Face) error {
	w.net.SetInput(cutOut, "")
	out := w.net.Forward("")
	defer out.Close()
	values, err := out.DataPtrFloat32()
	if err != nil {
		return err
	}
	if len(values) != 2 {
		return fmt.Errorf("the network of what is worn answers with %d values instead of 2", len(values))
	}
	f.Glasses, f.Mask = values[0] > glassesLogit, values[1] > maskLogit
	return nil
}

package face

import (
	_ "embed"
	"fmt"

	"thermogate/screening/face/network"
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
type wearing struct{ *network.Network }

func newWearing() (*wearing, error) {
	net, err := network.New(wornModel, cutWidth, cutHeight)
	if err != nil {
		return nil, fmt.Errorf("the network of what is worn: %w", err)
	}
	return &wearing{net}, nil
}

// look fills in glasses and mask.
func (w *wearing) look(cutOut []float32, f *Face) error {
	copy(w.Input, cutOut)
	if err := w.Run(); err != nil {
		return err
	}
	f.Glasses, f.Mask = w.Output[0] > glassesLogit, w.Output[1] > maskLogit
	return nil
}

// Package network runs small convolutional networks on one core, by XNNPACK. It reads ONNX models as torch exports them, of
// the few kinds of steps that the networks of faces are made of.
package network

/*
#cgo LDFLAGS: -lXNNPACK
#include <stdlib.h>
#include <xnnpack.h>
#include "unfold.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Network is a network for pictures of one size. It is used by one goroutine.
type Network struct {
	// Input is the picture, row by row, and Output what Run makes of it: the channels of the first place of the first row,
	// those of the second, and so on. Both are valid until Close.
	Input, Output []float32

	width, height int
	together      int       // see unfold
	unfolded      []float32 // what XNNPACK takes
	runtime       C.xnn_runtime_t
	memory        unsafe.Pointer // of Input, unfolded and Output: XNNPACK keeps their addresses
}

// New makes the network of a model for pictures of one channel.
func New(model []byte, width, height int) (*Network, error) {
	g, err := readGraph(model)
	if err != nil {
		return nil, fmt.Errorf("reading the network: %w", err)
	}
	if err := check("starting XNNPACK", C.xnn_initialize(nil)); err != nil {
		return nil, err
	}
	b := builder{graph: g, values: map[string]value{}, layouts: g.layouts()}
	defer b.pinned.Unpin()
	if err := check("making a network", C.xnn_create_subgraph(2, 0, &b.subgraph)); err != nil {
		return nil, err
	}
	defer C.xnn_delete_subgraph(b.subgraph)
	output, err := b.build(value{rows: height, columns: width, channels: 1})
	if err != nil {
		return nil, fmt.Errorf("making a network: %w", err)
	}
	n := &Network{width: width, height: height, together: b.together}
	if err := check("making a network", C.xnn_create_runtime(b.subgraph, &n.runtime)); err != nil {
		return nil, err
	}
	if err := n.allocate(width*height, b.unfolded.size(), output.size()); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// allocate makes room for what goes in and comes out, with what XNNPACK may read beyond their ends.
func (n *Network) allocate(input, unfolded, output int) error {
	const spare = C.XNN_EXTRA_BYTES / 4
	size := input + unfolded + output + 2*spare
	n.memory = C.malloc(C.size_t(4 * size))
	all := unsafe.Slice((*float32)(n.memory), size)
	clear(all)
	n.Input, all = all[:input:input], all[input:]
	n.unfolded, n.Output = all[:unfolded], all[unfolded+spare:][:output:output]
	ends := [2]C.struct_xnn_external_value{{id: inputID, data: unsafe.Pointer(&n.unfolded[0])}, {id: outputID, data: unsafe.Pointer(&n.Output[0])}}
	return check("giving a network its memory", C.xnn_setup_runtime(n.runtime, 2, &ends[0]))
}

// Run fills Output.
func (n *Network) Run() error {
	C.unfold((*C.float)(&n.Input[0]), C.int(n.width), C.int(n.height), C.int(n.together), (*C.float)(&n.unfolded[0]))
	return check("running a network", C.xnn_invoke_runtime(n.runtime))
}

// Close frees the memory held outside Go.
func (n *Network) Close() error {
	n.Input, n.unfolded, n.Output = nil, nil, nil
	defer C.free(n.memory)
	return check("closing a network", C.xnn_delete_runtime(n.runtime))
}

func check(doing string, status C.enum_xnn_status) error {
	switch status {
	case C.xnn_status_success:
		return nil
	case C.xnn_status_unsupported_hardware:
		return fmt.Errorf("%s: XNNPACK does not run on this processor", doing)
	case C.xnn_status_out_of_memory:
		return fmt.Errorf("%s: no memory", doing)
	}
	return fmt.Errorf("%s: XNNPACK refuses it (status %d)", doing, status)
}

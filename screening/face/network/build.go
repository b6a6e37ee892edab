package network

/*
#include <xnnpack.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"unsafe"
)

// value is what one step hands to the next.
type value struct {
	id                      C.uint32_t
	rows, columns, channels int
	flat                    bool // a list of channels, without rows and columns
}

func (v value) size() int { return v.rows * v.columns * v.channels }

// layout is how places are told to XNNPACK. A sum adds a small value to each four places of a large one where both are told in
// pairs of rows and columns: XNNPACK repeats what has one of something where the other has two.
type layout int

const (
	plain    layout = iota
	paired          // two rows of each pair, two columns of each pair
	fourfold        // one row and one column for each pair
)

func (v value) shape(l layout) []C.size_t {
	rows, columns, channels := C.size_t(v.rows), C.size_t(v.columns), C.size_t(v.channels)
	switch {
	case v.flat:
		return []C.size_t{1, channels}
	case l == paired:
		return []C.size_t{rows / 2, 2, columns / 2, 2, channels}
	case l == fourfold:
		return []C.size_t{rows, 1, columns, 1, channels}
	}
	return []C.size_t{1, rows, columns, channels}
}

// layouts finds the sums of a value and an enlarged one. Both have to be of no other use.
func (g *graph) layouts() map[string]layout {
	uses, enlarged, found := map[string]int{}, map[string]string{}, map[string]layout{}
	for _, n := range g.nodes {
		for _, name := range n.inputs {
			uses[name]++
		}
		if n.kind == "Resize" {
			enlarged[n.output] = n.inputs[0]
		}
	}
	for _, n := range g.nodes {
		if n.kind != "Add" {
			continue
		}
		for i, name := range n.inputs {
			small, large := enlarged[name], n.inputs[1-i]
			if small != "" && uses[small] == 1 && uses[name] == 1 && uses[large] == 1 {
				found[small], found[large] = fourfold, paired
			}
		}
	}
	return found
}

// What XNNPACK calls the ends of a network.
const (
	inputID  = 0
	outputID = 1
)

// builder makes XNNPACK's network of a graph.
type builder struct {
	graph
	subgraph C.xnn_subgraph_t
	values   map[string]value
	layouts  map[string]layout
	together int            // places of the first convolution's output that are made at once
	unfolded value          // the picture as XNNPACK takes it
	pinned   runtime.Pinner // constants, until XNNPACK has copies of its own
}

// build makes all steps, and returns the value of the last one.
func (b *builder) build(input value) (value, error) {
	b.values[b.input] = input
	steps := map[string]func(n node, least C.float) error{
		"Conv": b.convolve, "Gemm": b.multiply, "Add": b.add, "Resize": b.enlarge, "Flatten": b.flatten,
	}
	for rest := b.nodes; len(rest) > 0; rest = rest[1:] {
		n, least := rest[0], C.float(math.Inf(-1))
		step := steps[n.kind]
		if step == nil {
			return value{}, fmt.Errorf("%s: a step %s is not known here", n.output, n.kind)
		}
		if len(rest) > 1 && rest[1].kind == "Relu" && rest[1].inputs[0] == n.output { // torch writes it behind what it is of, and nothing else reads that
			rest = rest[1:]
			n.output, least = rest[0].output, 0
		}
		if err := step(n, least); err != nil {
			return value{}, fmt.Errorf("%s: %w", n.output, err)
		}
	}
	if b.together == 0 {
		return value{}, errors.New("it does not begin with a convolution of the picture")
	}
	output, found := b.values[b.output]
	if !found {
		return value{}, fmt.Errorf("no step makes %s", b.output)
	}
	return output, nil
}

// define makes room for a value.
func (b *builder) define(name string, v value) error {
	external, flags := C.uint32_t(C.XNN_INVALID_VALUE_ID), C.uint32_t(0)
	switch name {
	case b.input:
		external, flags = inputID, C.XNN_VALUE_FLAG_EXTERNAL_INPUT
	case b.output:
		external, flags = outputID, C.XNN_VALUE_FLAG_EXTERNAL_OUTPUT
	}
	shape := v.shape(b.layouts[name])
	err := check("making room", C.xnn_define_tensor_value(b.subgraph, C.xnn_datatype_fp32, C.size_t(len(shape)), &shape[0], nil, external, flags, &v.id))
	b.values[name] = v
	return err
}

// constant gives XNNPACK weights of a shape.
func (b *builder) constant(values []float32, shape ...int) (id C.uint32_t, err error) {
	sides := make([]C.size_t, len(shape))
	for i, n := range shape {
		sides[i] = C.size_t(n)
	}
	b.pinned.Pin(&values[0])
	return id, check("taking weights", C.xnn_define_tensor_value(b.subgraph, C.xnn_datatype_fp32, C.size_t(len(sides)), &sides[0],
		unsafe.Pointer(&values[0]), C.XNN_INVALID_VALUE_ID, 0, &id))
}

// weights returns the two constants of a step, of which the first has so many dimensions.
func (b *builder) weights(n node, dimensions int) (weights, bias tensor, err error) {
	if len(n.inputs) != 3 {
		return weights, bias, fmt.Errorf("it has %d inputs instead of one, weights and bias", len(n.inputs))
	}
	weights, bias = b.constants[n.inputs[1]], b.constants[n.inputs[2]]
	if len(weights.shape) != dimensions || len(weights.values) == 0 || len(bias.values) != weights.shape[0] {
		return weights, bias, errors.New("its weights do not fit")
	}
	return weights, bias, nil
}

// lanes is how many channels the widest of XNNPACK's kernels make at once.
const lanes = 16

// begin is the convolution of the picture. XNNPACK spends most of one of a single channel on addresses, and as long on 8 channels as on
// 16. It is given what unfold makes of the picture instead, and as many places at once as fill its lanes; what it adds to what, and
// in which order, stays the same.
func (b *builder) begin(n node, least C.float) error {
	in := b.values[b.input]
	weights, bias, err := b.weights(n, 4)
	if err != nil {
		return err
	}
	outputs := weights.shape[0]
	b.together = 1
	if 2*outputs <= lanes {
		b.together = 2
	}
	if !slices.Equal(weights.shape[1:], []int{1, 3, 3}) || n.number("strides", 1) != 2 || n.number("pads", 0) != 1 ||
		in.rows%2 != 0 || in.columns%(2*b.together) != 0 {
		return fmt.Errorf("a network that begins with weights of %v for %d×%d pixels is not known here", weights.shape, in.columns, in.rows)
	}
	out := value{rows: in.rows / 2, columns: in.columns / 2, channels: outputs}
	stretch := 2*b.together + 1
	b.unfolded = value{rows: out.rows, columns: out.columns / b.together, channels: 3 * stretch}
	filter := make([]float32, b.together*outputs*3*stretch)
	for place := range b.together {
		for output := range outputs {
			for row := range 3 {
				copy(filter[((place*outputs+output)*3+row)*stretch+2*place:], weights.values[(output*3+row)*3:][:3])
			}
		}
	}
	if err := errors.Join(b.define(b.input, b.unfolded), b.define(n.output, out)); err != nil {
		return err
	}
	wide := b.together * outputs
	matrix, err := b.constant(filter, wide, 1, 1, 3*stretch)
	if err != nil {
		return err
	}
	biases, err := b.constant(slices.Repeat(bias.values, b.together), wide)
	if err != nil {
		return err
	}
	return check("a convolution", C.xnn_define_convolution_2d(b.subgraph, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, C.size_t(3*stretch), C.size_t(wide),
		least, C.float(math.Inf(1)), b.values[b.input].id, matrix, biases, b.values[n.output].id, 0))
}

// convolve is a convolution, over all channels or over each for itself.
func (b *builder) convolve(n node, least C.float) error {
	if n.inputs[0] == b.input {
		return b.begin(n, least)
	}
	in := b.values[n.inputs[0]]
	weights, bias, err := b.weights(n, 4)
	if err != nil {
		return err
	}
	outputs, inputs, kernel, groups := weights.shape[0], weights.shape[1], weights.shape[2], int(n.number("group", 1))
	stride, pad := int(n.number("strides", 1)), int(n.number("pads", 0))
	if weights.shape[3] != kernel || groups != 1 && (inputs != 1 || groups != outputs) || inputs*groups != in.channels || in.flat {
		return fmt.Errorf("a convolution of %d channels by weights of %v in %d groups is not known here", in.channels, weights.shape, groups)
	}
	out := value{rows: (in.rows+2*pad-kernel)/stride + 1, columns: (in.columns+2*pad-kernel)/stride + 1, channels: outputs}
	if err := b.define(n.output, out); err != nil {
		return err
	}
	to := b.values[n.output].id
	biases, err := b.constant(bias.values, outputs)
	if err != nil {
		return err
	}
	k, s, p, most := C.uint32_t(kernel), C.uint32_t(stride), C.uint32_t(pad), C.float(math.Inf(1))
	if groups == 1 {
		filter, err := b.constant(channelsLast(weights.values, outputs, inputs, kernel*kernel), outputs, kernel, kernel, inputs)
		if err != nil {
			return err
		}
		return check("a convolution", C.xnn_define_convolution_2d(b.subgraph, p, p, p, p, k, k, s, s, 1, 1, 1, C.size_t(inputs), C.size_t(outputs),
			least, most, in.id, filter, biases, to, 0))
	}
	filter, err := b.constant(channelsLast(weights.values, 1, outputs, kernel*kernel), 1, kernel, kernel, outputs)
	if err != nil {
		return err
	}
	return check("a depthwise convolution", C.xnn_define_depthwise_convolution_2d(b.subgraph, p, p, p, p, k, k, s, s, 1, 1, 1, C.size_t(outputs),
		least, most, in.id, filter, biases, to, 0))
}

// multiply is a matrix times all of a value.
func (b *builder) multiply(n node, least C.float) error {
	in := b.values[n.inputs[0]]
	weights, bias, err := b.weights(n, 2)
	if err != nil {
		return err
	}
	outputs, inputs := weights.shape[0], weights.shape[1]
	if n.number("transB", 0) != 1 || inputs != in.size() {
		return fmt.Errorf("a matrix of %v for %d values is not known here", weights.shape, in.size())
	}
	if err := b.define(n.output, value{rows: 1, columns: 1, channels: outputs, flat: true}); err != nil {
		return err
	}
	biases, err := b.constant(bias.values, outputs)
	if err != nil {
		return err
	}
	filter, err := b.constant(channelsLast(weights.values, outputs, in.channels, in.rows*in.columns), outputs, inputs)
	if err != nil {
		return err
	}
	return check("a matrix", C.xnn_define_fully_connected(b.subgraph, least, C.float(math.Inf(1)), in.id, filter, biases, b.values[n.output].id,
		C.XNN_FLAG_TENSORFLOW_RESHAPE_2D))
}

// add is the sum of two values of one shape.
func (b *builder) add(n node, least C.float) error {
	one, other := b.values[n.inputs[0]], b.values[n.inputs[1]]
	if one.rows != other.rows || one.columns != other.columns || one.channels != other.channels {
		return fmt.Errorf("a sum of %d×%d and %d×%d places is not known here", one.rows, one.columns, other.rows, other.columns)
	}
	if err := b.define(n.output, value{rows: one.rows, columns: one.columns, channels: one.channels, flat: one.flat}); err != nil {
		return err
	}
	return check("a sum", C.xnn_define_add2(b.subgraph, least, C.float(math.Inf(1)), one.id, other.id, b.values[n.output].id, 0))
}

// enlarge makes four of each place, for the sum behind it: see layout.
func (b *builder) enlarge(n node, _ C.float) error {
	in := b.values[n.inputs[0]]
	scales := b.constants[n.inputs[len(n.inputs)-1]].values
	if !slices.Equal(scales, []float32{1, 1, 2, 2}) || b.layouts[n.inputs[0]] != fourfold {
		return fmt.Errorf("a change of size by %v is not known here, but for a sum", scales)
	}
	in.rows, in.columns = 2*in.rows, 2*in.columns
	b.values[n.output] = in
	return nil
}

// flatten is what multiply does by itself.
func (b *builder) flatten(n node, _ C.float) error {
	b.values[n.output] = b.values[n.inputs[0]]
	return nil
}

// number is an attribute, or the first of several that are alike here.
func (n node) number(name string, otherwise int64) int64 {
	if list := n.numbers[name]; len(list) > 0 {
		return list[0]
	}
	return otherwise
}

// channelsLast brings weights of rows × channels × places to rows × places × channels: torch has the places of a channel
// together, XNNPACK the channels of a place.
func channelsLast(values []float32, rows, channels, places int) []float32 {
	out := make([]float32, 0, len(values))
	for row := range rows {
		of := values[row*channels*places:]
		for place := range places {
			for channel := range channels {
				out = append(out, of[channel*places+place])
			}
		}
	}
	return out
}

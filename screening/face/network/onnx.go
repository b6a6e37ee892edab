package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// graph is what is read of an ONNX model: its steps in order, and the constants among their inputs.
type graph struct {
	nodes         []node
	constants     map[string]tensor
	input, output string
}

// node is a step: Conv, Relu, Add and the like.
type node struct {
	kind    string
	inputs  []string
	output  string
	numbers map[string][]int64 // attributes: "strides", "pads"; a single number is a list of one
}

// tensor is a constant of 32-bit floats.
type tensor struct {
	shape  []int
	values []float32
}

// Numbers of the fields in ONNX's onnx.proto that are read, by the message in which they stand.
const (
	modelGraph = 7

	graphNode        = 1
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12

	nodeInput     = 1
	nodeOutput    = 2
	nodeKind      = 4
	nodeAttribute = 5

	attributeName   = 1
	attributeInt    = 3
	attributeTensor = 5
	attributeInts   = 8

	tensorShape = 1
	tensorKind  = 2
	tensorName  = 8
	tensorRaw   = 9

	valueName = 1

	kindFloat = 1 // of tensorKind
)

// readGraph reads a model as torch exports it.
func readGraph(model []byte) (graph, error) {
	g := graph{constants: map[string]tensor{}}
	err := fields(model, func(number protowire.Number, value []byte, _ uint64) error {
		if number != modelGraph {
			return nil
		}
		return fields(value, g.add)
	})
	if err == nil && (g.input == "" || g.output == "") {
		err = errors.New("it names no input and output")
	}
	return g, err
}

func (g *graph) add(number protowire.Number, value []byte, _ uint64) error {
	switch number {
	case graphNode:
		n, constant, err := readNode(value)
		if err != nil {
			return err
		}
		if n.kind == "Constant" {
			g.constants[n.output] = constant
			return nil
		}
		g.nodes = append(g.nodes, n)
	case graphInitializer:
		t, name, err := readTensor(value)
		if err != nil {
			return err
		}
		g.constants[name] = t
	case graphInput, graphOutput:
		name, err := nameOf(value)
		if err != nil {
			return err
		}
		if number == graphOutput {
			g.output = name
		} else {
			g.input = name
		}
	}
	return nil
}

func readNode(message []byte) (n node, constant tensor, err error) {
	n.numbers = map[string][]int64{}
	err = fields(message, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case nodeInput:
			n.inputs = append(n.inputs, string(value))
		case nodeOutput:
			n.output = string(value)
		case nodeKind:
			n.kind = string(value)
		case nodeAttribute:
			return n.addAttribute(value, &constant)
		}
		return nil
	})
	return n, constant, err
}

func (n *node) addAttribute(message []byte, constant *tensor) error {
	var name string
	var numbers []int64
	err := fields(message, func(number protowire.Number, value []byte, varint uint64) (err error) {
		switch number {
		case attributeName:
			name = string(value)
		case attributeInt:
			numbers = append(numbers, int64(varint))
		case attributeInts:
			numbers, err = appendNumbers(numbers, value, varint)
		case attributeTensor:
			*constant, _, err = readTensor(value)
		}
		return err
	})
	n.numbers[name] = numbers
	return err
}

func readTensor(message []byte) (t tensor, name string, err error) {
	var kind uint64
	var shape []int64
	var raw []byte
	err = fields(message, func(number protowire.Number, value []byte, varint uint64) (err error) {
		switch number {
		case tensorShape:
			shape, err = appendNumbers(shape, value, varint)
		case tensorKind:
			kind = varint
		case tensorName:
			name = string(value)
		case tensorRaw:
			raw = value
		}
		return err
	})
	size := 1
	for _, n := range shape {
		t.shape = append(t.shape, int(n))
		size *= int(n)
	}
	if err != nil || kind != kindFloat {
		return t, name, err // the few whole numbers among the constants are sizes that other attributes tell, too
	}
	if len(raw) != 4*size {
		return t, name, fmt.Errorf("the constant %s has %d bytes and not %d", name, len(raw), 4*size)
	}
	for ; len(raw) > 0; raw = raw[4:] {
		t.values = append(t.values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return t, name, nil
}

func nameOf(value []byte) (name string, err error) {
	err = fields(value, func(number protowire.Number, value []byte, _ uint64) error {
		if number == valueName {
			name = string(value)
		}
		return nil
	})
	return name, err
}

// appendNumbers takes one number, or a packed list of them.
func appendNumbers(numbers []int64, packed []byte, one uint64) ([]int64, error) {
	if packed == nil {
		return append(numbers, int64(one)), nil
	}
	for len(packed) > 0 {
		v, n := protowire.ConsumeVarint(packed)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		numbers, packed = append(numbers, int64(v)), packed[n:]
	}
	return numbers, nil
}

// fields calls do with each field of a protobuf message: with the bytes of one that has a length, else with nil and its
// number.
func fields(message []byte, do func(number protowire.Number, value []byte, varint uint64) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var value []byte
		var varint uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := do(number, value, varint); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

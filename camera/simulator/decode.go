package simulator

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"thermogate/camera/bounded"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Parse reads a scenario. An error names the file, the line, the key and what would be right.
func Parse(name string, data []byte) (Scenario, error) {
	s := DefaultScenario()
	s.Name = name
	if line, err := bounded.CheckYAML(data); err != nil {
		return Scenario{}, fmt.Errorf("%s:%d: %w", name, line, err)
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return Scenario{}, syntaxError(name, err)
	}
	if len(file.Docs) > 1 {
		return Scenario{}, fmt.Errorf("%s: there are %d documents; a scenario file holds one, without \"---\" in it", name, len(file.Docs))
	}
	d := decoder{name: name, lines: map[string]int{}}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		if err := d.decode(file.Docs[0].Body, "", reflect.ValueOf(&s).Elem()); err != nil {
			return Scenario{}, err
		}
	}
	if p := s.check(); p != nil {
		return Scenario{}, d.errorf(d.line(p.key), p.key, "%s", p.message)
	}
	return s, nil
}

func syntaxError(name string, err error) error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	message := y.GetMessage()
	if strings.Contains(message, "\t") {
		message = "a tab; indent with spaces"
	}
	return fmt.Errorf("%s:%d: %s", name, y.GetToken().Position.Line, message)
}

// decoder fills a struct from a parsed file, strictly. The library's own decoder rounds 3.5 to an integer and loses
// the line of a wrong duration.
type decoder struct {
	name  string
	lines map[string]int // of each key that was set
}

func (d *decoder) errorf(line int, key, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s: %s", d.name, line, key, fmt.Sprintf(format, args...))
}

// line is where a key was set or, where it was left out, the section it belongs to.
func (d *decoder) line(key string) int {
	for {
		if line, ok := d.lines[key]; ok || key == "" {
			return max(line, 1)
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
}

func (d *decoder) decode(node ast.Node, key string, v reflect.Value) error {
	d.lines[key] = lineOf(node)
	wrong := func(want string) error {
		return d.errorf(lineOf(node), orTop(key), "%s; write %s", describe(node), want)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(newValue(v.Type().Elem()))
		return d.decode(node, key, v.Elem())
	case reflect.Struct:
		return d.mapping(node, key, v)
	case reflect.Slice:
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			return wrong("a list, each entry beginning with \"- \"")
		}
		for i, item := range list.Values {
			element := newValue(v.Type().Elem()).Elem()
			if err := d.decode(item, fmt.Sprintf("%s[%d]", key, i), element); err != nil {
				return err
			}
			v.Set(reflect.Append(v, element))
		}
		return nil
	case reflect.Bool:
		b, ok := node.(*ast.BoolNode)
		if !ok {
			return wrong("true or false")
		}
		v.SetBool(b.Value)
		return nil
	case reflect.String:
		s, ok := node.(*ast.StringNode)
		if !ok {
			return wrong("a word")
		}
		v.SetString(s.Value)
		return nil
	case reflect.Float64:
		x, ok := number(node)
		if !ok {
			return wrong("a number")
		}
		v.SetFloat(x)
		return nil
	case reflect.Int64: // time.Duration, the only one
		s, ok := node.(*ast.StringNode)
		if !ok {
			return wrong("a time with its unit, such as 3s, 500ms or 2m")
		}
		t, err := time.ParseDuration(s.Value)
		if err != nil {
			return wrong("a time with its unit, such as 3s, 500ms or 2m")
		}
		v.SetInt(int64(t))
		return nil
	case reflect.Int:
		n, err := strconv.Atoi(text(node))
		if err != nil {
			return wrong("a whole number")
		}
		v.SetInt(int64(n))
		return nil
	case reflect.Uint64:
		n, err := strconv.ParseUint(text(node), 10, 64)
		if err != nil {
			return wrong("a whole number, 0 or more")
		}
		v.SetUint(n)
		return nil
	}
	panic("scenario field of kind " + v.Kind().String())
}

func (d *decoder) mapping(node ast.Node, key string, v reflect.Value) error {
	var pairs []*ast.MappingValueNode
	switch m := node.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		return d.errorf(lineOf(node), orTop(key), "%s; write keys below it, such as %s", describe(node), keys(v.Type())[0]+": …")
	}
	for _, pair := range pairs {
		name := text(pair.Key)
		field, ok := fieldOf(v, name)
		if !ok {
			return d.errorf(lineOf(pair.Key), orTop(key), "unknown key %q; %s", name, suggestion(name, keys(v.Type())))
		}
		path := name
		if key != "" {
			path = key + "." + name
		}
		if err := d.decode(pair.Value, path, field); err != nil {
			return err
		}
	}
	return nil
}

// newValue is a pointer to a fresh value of the type, with its defaults where it has some.
func newValue(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	switch x := p.Interface().(type) {
	case *Visit:
		*x = defaultVisit()
	case *Queue:
		*x = defaultQueue()
	case *Move:
		x.Over = 700 * time.Millisecond
	case *Freeze:
		x.For = 10 * time.Second
	case *Cover:
		x.For = 10 * time.Second
	case *Removal:
		x.X, x.Y = 0.22, 0.83
	case *Pan:
		x.Over = time.Second
	case *Step:
		x.Gain = 1
	case *Lamp:
		*x = Lamp{Celsius: 60, X: 0.15, Y: 0.1}
	}
	return p
}

func number(node ast.Node) (float64, bool) {
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		x, err := strconv.ParseFloat(text(node), 64)
		return x, err == nil && !math.IsInf(x, 0)
	}
	return 0, false
}

func text(node ast.Node) string {
	if node == nil || node.GetToken() == nil {
		return ""
	}
	return node.GetToken().Value
}

func lineOf(node ast.Node) int {
	if node == nil || node.GetToken() == nil {
		return 1
	}
	return node.GetToken().Position.Line
}

func describe(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys are not expected here"
	case *ast.SequenceNode:
		return "a list is not expected here"
	case *ast.NullNode:
		return "the value is missing"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		return "anchors, aliases and tags are not understood here"
	}
	return fmt.Sprintf("%.40q is not right", text(node))
}

func orTop(key string) string {
	if key == "" {
		return "scenario"
	}
	return key
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag == name && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "-" {
			names = append(names, tag)
		}
	}
	return names
}

func suggestion(name string, known []string) string {
	best, distance := "", len(name)/3+1
	for _, k := range known {
		n := levenshtein.ComputeDistance(name, k)
		if strings.HasPrefix(k, name+"_") { // the unit left out
			n = 0
		}
		if n < distance {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("is it %q?", best)
	}
	sort.Strings(known)
	return "known here: " + strings.Join(known, ", ")
}

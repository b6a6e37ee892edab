// Package settings reads configuration files: YAML over defaults, strictly, with the line and a hint for every mistake.
package settings

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"thermogate/camera/bounded"
)

const maxFileBytes = 256 << 10

// Load reads the file over the defaults in config, and has it validated. Its errors name the file, the line and what would be
// right; example is the file that lists all keys.
func Load[T any](path string, config *T, validate func() error, example string) error {
	data, err := bounded.ReadFile(path, maxFileBytes)
	if err != nil {
		return fmt.Errorf("reading config: %w", err)
	}
	if err := Parse(data, config, validate, example); err != nil {
		return fmt.Errorf("config %s%w", path, err)
	}
	return nil
}

// Parse is Load of what is read already. Its errors begin with ":LINE: ".
func Parse[T any](data []byte, config *T, validate func() error, example string) error {
	defaults := *config
	if line, err := bounded.CheckYAML(data); err != nil {
		return fmt.Errorf(":%d: %w", line, err)
	}
	if err := yaml.UnmarshalWithOptions(data, config, yaml.DisallowUnknownField()); err != nil {
		return located(err, data, Keys(reflect.TypeFor[T]()), example)
	}
	if reflect.ValueOf(*config).IsZero() { // what the decoder makes of a file of nothing but comments
		*config = defaults
	}
	if err := checkWhole(data, reflect.TypeFor[T](), ""); err != nil {
		return err
	}
	if err := validate(); err != nil {
		return fmt.Errorf(":%d: %w", lineOf(data, err), err)
	}
	return nil
}

// checkWhole refuses a fraction where a whole number stands: the decoder would cut it off without a word.
func checkWhole(data []byte, t reflect.Type, section string) error {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		key := section + name
		switch field.Type.Kind() {
		case reflect.Struct:
			if err := checkWhole(data, field.Type, key+"."); err != nil {
				return err
			}
		case reflect.Int:
			if fraction, ok := nodeOf(data, key).(*ast.FloatNode); ok {
				return fmt.Errorf(":%d: %s is %s; write a whole number", fraction.Token.Position.Line, key, fraction.Token.Value)
			}
		}
	}
	return nil
}

// located puts a YAML error in one line that begins with where it is.
func located(err error, data []byte, keys []string, example string) error {
	var unknown *yaml.UnknownFieldError
	var mistyped *yaml.TypeError
	var misplaced *yaml.UnexpectedNodeTypeError
	var at yaml.Error
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf(":%d: unknown key %q%s", unknown.Token.Position.Line, unknown.Token.Value, suggestion(unknown.Token.Value, keys, example))
	case errors.As(err, &mistyped) && mistyped.Token != nil:
		return fmt.Errorf(":%d: %q is not %s", mistyped.Token.Position.Line, mistyped.Token.Value, wanted(mistyped.DstType))
	case errors.As(err, &misplaced):
		return fmt.Errorf(":%d: %s is not expected here; write %s", misplaced.Token.Position.Line, inWords(misplaced.Actual), inWords(misplaced.Expected))
	case errors.As(err, &at) && at.GetToken() != nil:
		message := strings.ReplaceAll(at.GetMessage(), "\n", " ")
		return fmt.Errorf(":%d: %s", at.GetToken().Position.Line, message)
	default:
		// Only durations fail without a place; their message ends with the value.
		first, _, _ := strings.Cut(err.Error(), "\n")
		value := strings.Trim(first[strings.LastIndex(first, ` "`)+1:], `"`)
		before, _, _ := strings.Cut(string(data), value)
		return fmt.Errorf(":%d: %q is not %s", 1+strings.Count(before, "\n"), value, wanted(reflect.TypeFor[time.Duration]()))
	}
}

// inWords names a part of a YAML file for people who don't speak YAML.
func inWords(part ast.NodeType) string {
	switch part {
	case ast.MappingType:
		return "a group of keys"
	case ast.SequenceType:
		return "a list"
	case ast.StringType:
		return "a text"
	default:
		return "a " + part.YAMLName()
	}
}

// wanted says in words what a key of this type takes.
func wanted(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration, such as 2s or 500ms"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a group of keys"
	default:
		return "a number"
	}
}

// suggestion names the known key that is most like a misspelt one, if any is alike.
func suggestion(key string, keys []string, example string) string {
	best, distance := "", 1+len(key)/4
	for _, known := range keys {
		if d := levenshtein.ComputeDistance(key, known); d > 0 && d <= distance { // the key itself belongs to another section
			best, distance = known, d-1
		}
	}
	if best == "" {
		return "; " + example + " lists the keys there are"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// Keys are the names of all keys of a config and its sections.
func Keys(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for field := range t.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if field.Anonymous { // its keys stand among the others
			keys = append(keys, Keys(field.Type)...)
		} else if key != "" && key != "-" {
			keys = append(append(keys, key), Keys(field.Type)...)
		}
	}
	return keys
}

// Differing are the keys of a config that have other values than in another one, as lines "section.key: value".
func Differing[T any](config, other T) string {
	var lines []string
	differ(reflect.ValueOf(config), reflect.ValueOf(other), "", func(key string, value any) {
		lines = append(lines, fmt.Sprintf("%s: %+v", key, value))
	})
	return strings.Join(lines, "\n")
}

// Hash tells a configuration from others: it changes with each of its values.
func Hash(config any) string {
	canonical, err := yaml.Marshal(config)
	if err != nil {
		panic(err) // the types of configurations can all be written
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:8])
}

// Values are all keys of a config with what they are, by "section.key". What is empty has an empty value; a list is left out.
func Values[T any](config T) map[string]string {
	values := map[string]string{}
	spell(reflect.ValueOf(config), "", values)
	return values
}

func spell(config reflect.Value, section string, values map[string]string) {
	for field, value := range config.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		empty := value.Kind() == reflect.Pointer && value.IsNil()
		if value.Kind() == reflect.Pointer && !empty {
			value = value.Elem()
		}
		switch {
		case field.Anonymous:
			spell(value, section, values)
		case name == "" || name == "-" || value.Kind() == reflect.Slice:
		case empty:
			values[section+name] = ""
		case value.Kind() == reflect.Struct:
			spell(value, section+name+".", values)
		default:
			values[section+name] = fmt.Sprint(value.Interface())
		}
	}
}

func differ(config, other reflect.Value, section string, tell func(key string, value any)) {
	for field, value := range config.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch was := other.FieldByIndex(field.Index); {
		case field.Anonymous:
			differ(value, was, section, tell)
		case name == "" || name == "-":
		case value.Kind() == reflect.Struct:
			differ(value, was, section+name+".", tell)
		case !reflect.DeepEqual(value.Interface(), was.Interface()):
			tell(section+name, value.Interface())
		}
	}
}

var namedKey = regexp.MustCompile(`[a-z_]+(\.[a-z_]+)+|^[a-z_]+`)

// lineOf finds the line of the key that a validation error names; 1 where the file leaves it at its default.
func lineOf(data []byte, err error) int {
	if node := nodeOf(data, namedKey.FindString(err.Error())); node != nil {
		return node.GetToken().Position.Line
	}
	return 1
}

// nodeOf is what the file says of a key, nil where it says nothing.
func nodeOf(data []byte, key string) ast.Node {
	path, err := yaml.PathString("$." + key)
	if err != nil {
		return nil
	}
	node, err := path.ReadNode(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	return node
}

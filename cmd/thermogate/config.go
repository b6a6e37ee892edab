package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"thermogate/camera"
	"thermogate/camera/bounded"
	"thermogate/camera/radiometry"
	"thermogate/screening/door"
	"thermogate/screening/gate"
	"thermogate/screening/journal"
	"thermogate/screening/measure"
	"thermogate/screening/metrics"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

// config is the one file of a gate. deploy/thermogate.yaml explains every key.
type config struct {
	Site    string           `yaml:"site"`
	Gate    string           `yaml:"gate"`
	Camera  cameraConfig     `yaml:"camera"`
	Measure measure.Config   `yaml:"measure"`
	Policy  policy.Config    `yaml:"policy"`
	Track   track.Config     `yaml:"track"`
	Visit   gate.VisitConfig `yaml:"visit"`
	// DataDir holds the journal and what the group policy learnt.
	DataDir string            `yaml:"data_dir"`
	Journal journal.Config    `yaml:"journal"`
	MQTT    mqtt.Config       `yaml:"mqtt"`
	Broker  mqtt.BrokerConfig `yaml:"broker"`
	Door    door.Config       `yaml:"door"`
	HTTP    httpConfig        `yaml:"http"`
}

type cameraConfig struct {
	URI         string        `yaml:"uri"`
	Orientation string        `yaml:"orientation"`
	FPS         float64       `yaml:"fps"`
	Units       string        `yaml:"units"`
	Stall       time.Duration `yaml:"stall"`
	// Planck is the camera's own calibration, used instead of Units where R1 is given.
	Planck radiometry.Planck `yaml:"planck"`
}

func defaultConfig() config {
	return config{
		Site:    "site",
		Gate:    "gate",
		Camera:  cameraConfig{Stall: 2 * time.Second, Planck: radiometry.SkinPlanck()},
		Measure: measure.DefaultConfig(),
		Policy:  policy.DefaultConfig(),
		Track:   track.DefaultConfig(),
		Visit:   gate.DefaultVisitConfig(),
		DataDir: "thermogate-data",
		Journal: journal.DefaultConfig(),
		MQTT:    ownBroker(mqtt.DefaultConfig()),
		Broker:  mqtt.DefaultBrokerConfig(),
		Door:    door.DefaultConfig(),
		HTTP:    defaultHTTPConfig(),
	}
}

const maxConfigBytes = 256 << 10

// loadConfig reads the file over the defaults; an empty path leaves these. Its errors name the file, the line and what
// would be right.
func loadConfig(path string) (config, error) {
	c := defaultConfig()
	if path == "" {
		return c, nil
	}
	data, err := bounded.ReadFile(path, maxConfigBytes)
	if err != nil {
		return c, usageError{fmt.Errorf("reading config: %w", err)}
	}
	if err := c.parse(data); err != nil {
		return c, usageError{fmt.Errorf("config %s%w", path, err)}
	}
	return c, nil
}

// parse reads YAML over c. Its errors begin with ":LINE: ".
func (c *config) parse(data []byte) error {
	defaults := *c
	if line, err := bounded.CheckYAML(data); err != nil {
		return fmt.Errorf(":%d: %w", line, err)
	}
	if err := yaml.UnmarshalWithOptions(data, c, yaml.DisallowUnknownField()); err != nil {
		return located(err, data)
	}
	if reflect.ValueOf(*c).IsZero() { // what the decoder makes of a file of nothing but comments
		*c = defaults
	}
	if err := checkWhole(data, reflect.TypeFor[config](), ""); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
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

// validate reports the first value that can't be meant, by its key.
func (c *config) validate() error {
	for _, name := range []struct{ key, value string }{{"site", c.Site}, {"gate", c.Gate}} {
		if !plainName.MatchString(name.value) {
			return fmt.Errorf("%s is %q; a name is made of letters, digits, - and _, for it stands in topics and addresses", name.key, name.value)
		}
	}
	if _, err := camera.ParseOrientation(c.Camera.Orientation); err != nil {
		return fmt.Errorf("camera.orientation: %w", err)
	}
	if c.Camera.Units != "" {
		if _, err := radiometry.ScaleOf(c.Camera.Units); err != nil {
			return fmt.Errorf("camera.units: %w", err)
		}
	}
	if c.Camera.Planck.R1 != 0 {
		if err := c.Camera.Planck.Validate(); err != nil {
			return fmt.Errorf("camera.planck.%w", err)
		}
	}
	if c.Camera.Stall < 100*time.Millisecond {
		return fmt.Errorf("camera.stall is %s; it must be 100ms or more", c.Camera.Stall)
	}
	for _, section := range []struct {
		name     string
		validate func() error
	}{
		{"measure", c.Measure.Validate},
		{"policy", c.Policy.Validate},
		{"visit", c.Visit.Validate},
		{"track", c.Track.Validate},
		{"journal", c.Journal.Validate},
		{"broker", c.Broker.Validate},
		{"mqtt", c.mqtt().Validate},
		{"door", c.Door.Validate},
		{"http", c.HTTP.Validate},
	} {
		if err := section.validate(); err != nil {
			return fmt.Errorf("%s.%w", section.name, err)
		}
	}
	return nil
}

var plainName = regexp.MustCompile(`^[\pL\pN_-]+$`)

// located puts a YAML error in one line that begins with where it is.
func located(err error, data []byte) error {
	var unknown *yaml.UnknownFieldError
	var mistyped *yaml.TypeError
	var misplaced *yaml.UnexpectedNodeTypeError
	var at yaml.Error
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf(":%d: unknown key %q%s", unknown.Token.Position.Line, unknown.Token.Value, suggestion(unknown.Token.Value))
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
func suggestion(key string) string {
	best, distance := "", 1+len(key)/4
	for _, known := range configKeys() {
		if d := levenshtein.ComputeDistance(key, known); d <= distance {
			best, distance = known, d-1
		}
	}
	if best == "" {
		return "; deploy/thermogate.yaml lists the keys there are"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func configKeys() []string { return keysOf(reflect.TypeFor[config]()) }

func keysOf(t reflect.Type) []string {
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
			keys = append(keys, keysOf(field.Type)...)
		} else if key != "" && key != "-" {
			keys = append(append(keys, key), keysOf(field.Type)...)
		}
	}
	return keys
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

// options are what the config says of the camera, less what a flag says otherwise.
func (c cameraConfig) options(flags camera.Options) camera.Options {
	options := flags
	if options.Orientation == "" {
		options.Orientation = camera.Orientation(c.Orientation)
	}
	if options.FPS == 0 {
		options.FPS = c.FPS
	}
	if options.Units == "" {
		options.Units = c.Units
	}
	return options
}

// identity tells this gate from others, and whether it has another config than the one it was started with.
func (c config) identity() metrics.Identity {
	canonical, err := yaml.Marshal(c)
	if err != nil {
		panic(err) // these types can all be written
	}
	sum := sha256.Sum256(canonical)
	return metrics.Identity{Site: c.Site, Gate: c.Gate, Config: hex.EncodeToString(sum[:8])}
}

func (c config) gate() gate.Config {
	return gate.Config{
		Site:    c.Site,
		Name:    c.Gate,
		Version: version(),
		Planck:  c.Camera.Planck,
		Track:   c.Track,
		Measure: c.Measure,
		Policy:  c.Policy,
		Visit:   c.Visit,
	}
}

// ownBroker names no broker, which is the gate's own.
func ownBroker(c mqtt.Config) mqtt.Config {
	c.Broker = ""
	return c
}

// mqtt is how to reach the broker that the config names, or what the gate's own is called.
func (c config) mqtt() mqtt.Config {
	m := c.MQTT
	if m.Broker == "" {
		m.Broker = "mqtt://" + reachable(c.Broker.Listen)
	}
	return m
}

// reachable is the address at which this machine reaches what listens at another.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

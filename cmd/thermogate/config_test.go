package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"thermogate/screening/listen"
	"thermogate/screening/settings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func parseConfig(c *config, data string) error {
	return settings.Parse([]byte(data), c, c.validate, exampleConfig)
}

func TestConfigErrorsSayWhereAndWhat(t *testing.T) {
	tests := []struct {
		name, yaml, want string
	}{
		{"misspelt key", "site: a\npolicy:\n  treshold_celsius: 37.5\n", `:3: unknown key "treshold_celsius"; did you mean "threshold_celsius"?`},
		{"console without its scheme", "console_url: console.example\n", `:1: console_url is no address of pages`},
		{"console with a script", "console_url: 'javascript:alert(1)'\n", `:1: console_url is no address of pages`},
		{"unknown key", "colour: red\n", `:1: unknown key "colour"; deploy/thermogate.yaml lists the keys there are`},
		{"key of another section", "camera:\n  threshold_celsius: 37.5\n", `:2: unknown key "threshold_celsius"`},
		{"tab", "camera:\n\turi: /dev/video0\n", `:2: found character '	' that cannot start any token`},
		{"unit in a number", "policy:\n  threshold_celsius: 37.5 °C\n", `:2: "37.5 °C" is not a number`},
		{"number without a unit", "camera:\n  stall: 2 parsecs\n", `:2: `},
		{"text for a section", "camera: /dev/video0\n", `:1: a text is not expected here; write a group of keys`},
		{"text for a list", "mqtt:\n  commands: pause\n", `:2: a text is not expected here; write a list`},
		{"list for a number", "camera:\n  fps: [9]\n", `:2: "[" is not a number`},
		{"fraction of a whole number", "journal:\n  max_age_days: 1.5\n", `:2: journal.max_age_days is 1.5; write a whole number`},
		{"fraction further down", "door:\n  modbus: {coil: 7.0}\n", `:2: door.modbus.coil is 7.0; write a whole number`},
		{"nested without end", "site: a\ngate: " + strings.Repeat("[", 100_000), `:2: `},
		{"bomb of aliases", "a: &a [x]\n" + strings.Repeat("b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n", 9), `:3: more than 16 anchors, aliases and tags`},
		{"the same key twice", "site: a\nsite: b\n", `:2: mapping key "site" already defined`},
		{"Fahrenheit", "site: a\npolicy:\n  threshold_celsius: 99.5\n", `:3: policy.threshold_celsius`},
		{"name that can't stand in a topic", "gate: north/1\n", `:1: gate is "north/1"`},
		{"face larger than the picture", "visit:\n  near: 14\n", `:2: visit.near is 14`},
		{"people nobody remembers", "track:\n  memory: -1s\n", `:2: track.memory is -1s`},
		{"two scales", "camera:\n  units: centikelvin\n  kelvin_per_count: 0.1\n", `:2: camera.units and camera.kelvin_per_count both`},
		{"scale that runs backwards", "camera:\n  kelvin_per_count: -0.1\n", `:2: camera.kelvin_per_count is -0.1`},
		{"colder than absolute zero", "camera:\n  kelvin_per_count: 0.1\n  zero_celsius: -1000\n", `:3: camera.zero_celsius is -1000`},
		{"unknown orientation", "camera:\n  uri: x\n  orientation: sideways\n", `:3: camera.orientation`},
		{"door without an address", "door:\n  output: modbus\n", `:1: door.modbus.address`},
		{"door that is none", "door:\n  output: relay\n", `:2: door.output: "relay"`},
		{"webhook that can't keep a door locked", "door:\n  output: webhook\n  fail: safe\n", `:3: door.fail`},
		{"pages open to everybody", "http:\n  listen: 0.0.0.0:8080\n", `:2: http.listen is "0.0.0.0:8080", which others can reach`},
		{"key of another section", "camera:\n  url: /dev/video0\n", `:2: unknown key "url"; did you mean "uri"?`},
		{"misspelt key of a listener", "http:\n  cert_fil: cert.pem\n", `:2: unknown key "cert_fil"; did you mean "cert_file"?`},
		{"half a certificate", "http:\n  cert_file: cert.pem\n", `:2: http.cert_file and key_file`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := defaultConfig()
			err := parseConfig(&c, test.yaml)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("got  %v\nwant %s…", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "Go struct") {
				t.Errorf("not one plain line: %q", err)
			}
		})
	}
}

func TestEmptyConfigIsTheDefaults(t *testing.T) {
	for _, data := range []string{"", "# nothing yet\n", "camera:\npolicy:\n"} {
		c := defaultConfig()
		if err := parseConfig(&c, data); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if diff := cmp.Diff(defaultConfig(), c, cmpopts.IgnoreUnexported(config{}, listen.Config{})); diff != "" {
			t.Errorf("%q changed the defaults:\n%s", data, diff)
		}
	}
}

// TestExampleConfig proves that the commented example loads, explains every key there is and shows its default.
func TestExampleConfig(t *testing.T) {
	data, err := os.ReadFile("../../deploy/thermogate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	if err := parseConfig(&c, string(data)); err != nil {
		t.Fatalf("deploy/thermogate.yaml%v", err)
	}
	want := defaultConfig()
	want.Camera.URI, want.Camera.Orientation, want.MQTT.Commands = c.Camera.URI, c.Camera.Orientation, c.MQTT.Commands
	if diff := cmp.Diff(want, c, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(config{}, listen.Config{})); diff != "" {
		t.Errorf("deploy/thermogate.yaml does not show the defaults:\n%s", diff)
	}
	for _, key := range settings.Keys(reflect.TypeFor[config]()) {
		if !strings.Contains(string(data), key+":") {
			t.Errorf("deploy/thermogate.yaml does not explain %s", key)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("site: a\ncamera:\n  stall: 2s\n"))
	f.Add([]byte("policy: {threshold_celsius: 37.5}\n"))
	f.Add([]byte("camera: &c {uri: x}\nmeasure: *c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := defaultConfig()
		if err := parseConfig(&c, string(data)); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %q", err)
		}
	})
}

// TestToldSettings has others hear of what was set, and when, and of nothing that is secret.
func TestToldSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gate.yaml")
	const text = `policy: {threshold_celsius: 37.3}
measure: {reference_celsius: 35}
camera: {uri: "rtsp://user:hunter2@camera/stream?token=hunter2"}
door: {output: webhook, webhook: {url: "https://door.example/hunter2", secret_file: /etc/hunter2}}
mqtt: {broker: "mqtts://broker", user: hunter2, password_file: /etc/hunter2}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	told := c.told()
	for key, want := range map[string]string{"policy.threshold_celsius": "37.3", "policy.kind": "both", "measure.reference_celsius": "35", "door.output": "webhook", "policy.fused.canthi.celsius": "*"} {
		if got := told.Values[key]; got != want && (want != "*" || got == "") {
			t.Errorf("%s is told as %q, want %q", key, got, want)
		}
	}
	message, err := json.Marshal(told)
	if err != nil || strings.Contains(string(message), "hunter2") || len(message) > 8<<10 || time.Since(told.Written) > time.Minute {
		t.Errorf("%d bytes, written %v, %v: %s", len(message), told.Written, err, message)
	}
	c.Policy.ThresholdCelsius = 37.4
	if changed := c.told(); changed.Hash == told.Hash || len(changed.Hash) != 16 {
		t.Errorf("%s is told as %s", told.Hash, changed.Hash)
	}
}

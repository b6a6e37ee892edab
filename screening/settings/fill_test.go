package settings

import (
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	defaults := map[string]string{"gate": "gate", "mqtt.broker": "", "mqtt.user": ""}
	lines := []Line{{Key: "gate", Value: "north"}, {Key: "mqtt.broker", Value: "mqtts://b:8883"}, {Key: "mqtt.user", Value: "plant/north"}}
	for _, test := range []struct{ name, text, want, wrong string }{
		{"empty", "", "gate: north\nmqtt:\n  user: plant/north\n  broker: mqtts://b:8883\n", ""},
		{"defaults with comments", "# ours\ngate: gate # its name\nmqtt:\n    # where to\n    broker: \"\"   # none\n    snapshots: true\n",
			"# ours\ngate: north # its name\nmqtt:\n    # where to\n    user: plant/north\n    broker: mqtts://b:8883   # none\n    snapshots: true\n", ""},
		{"one key in the section", "mqtt:\n  snapshots: true", "mqtt:\n  user: plant/north\n  broker: mqtts://b:8883\n  snapshots: true\ngate: north\n", ""},
		{"empty section", "mqtt:\ngate: north\n", "mqtt:\n  user: plant/north\n  broker: mqtts://b:8883\ngate: north\n", ""},
		{"empty value", "gate:\nmqtt:\n  broker:  # which?\n", "gate: north\nmqtt:\n  user: plant/north\n  broker: mqtts://b:8883  # which?\n", ""},
		{"quoted", "gate: 'north'\nmqtt: \n  broker: ''\n", "gate: 'north'\nmqtt: \n  user: plant/north\n  broker: mqtts://b:8883\n", ""},
		{"another gate", "site: plant\ngate: south\n", "", ":2: gate is south, and the link says north"},
		{"another broker", "gate: north\nmqtt:\n  broker: mqtt://old\n", "", ":3: mqtt.broker is mqtt://old"},
		{"braces", "mqtt: {snapshots: true}\n", "", "in braces"},
		{"no section", "mqtt: 5\n", "", "not a group"},
		{"list", "gate: [a]\n", "", ":1: gate is"},
	} {
		got, err := Fill([]byte(test.text), lines, defaults)
		switch {
		case test.wrong == "" && (err != nil || string(got) != test.want):
			t.Errorf("%s: %v\n%s", test.name, err, got)
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
			t.Errorf("%s: %v\n%s", test.name, err, got)
		}
	}
	for _, value := range []string{"7", "no", "a: b", "#x", "true", "1.0", "~", "0x1F", "2026-01-01", "北门"} {
		got, err := Fill(nil, []Line{{Key: "gate", Value: value}}, nil)
		var c struct {
			Gate string `yaml:"gate"`
		}
		if err == nil {
			err = Parse(got, &c, func() error { return nil }, "example")
		}
		if err != nil || c.Gate != value {
			t.Errorf("%q: %s %v", value, got, err)
		}
	}
}

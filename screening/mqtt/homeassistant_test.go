package mqtt

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHomeAssistantFindsTheGateAndFindsItAgain(t *testing.T) {
	broker := startMosquitto(t)
	cfg := testConfig(broker.address())
	cfg.HomeAssistant.Enabled = true
	cfg.Commands = []Verb{Recalibrate}
	c := newClient(t, cfg, openJournal(t), func(context.Context, Command) error { return nil })
	c.SetStatus(Status{Version: "1.2.3"})
	start(t, c)
	subscribe(t, broker.address(), testGate.StatusTopic()).waitFor(t, atLeast(1)) // which follows the description
	sub := subscribe(t, broker.address(), "homeassistant/device/#")
	first := sub.waitFor(t, atLeast(1))[0]
	if first.topic != "homeassistant/device/"+testGate.discoveryID()+"/config" || !first.retained {
		t.Errorf("described on %s, retained %v", first.topic, first.retained)
	}
	var got discovery
	if err := json.Unmarshal(first.payload, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(discoveryMessage(cfg, testGate, "1.2.3"), got); diff != "" {
		t.Error(diff)
	}
	if _, ok := got.Components["command_rescreen"]; ok {
		t.Error("there is a button for a command that is not allowed")
	}
	if button := got.Components["command_recalibrate"]; button.CommandTopic != "thermogate/plant/north/command/recalibrate" {
		t.Errorf("the button of an allowed command publishes to %q", button.CommandTopic)
	}
	if got.Components["paused"].Platform != "binary_sensor" || got.Components["command_pause"].Platform != "" {
		t.Errorf("a pause is not told, or can be asked for and is not allowed: %+v", got.Components)
	}
	sub.client.Publish("homeassistant/status", 1, false, "online").Wait()
	sub.waitFor(t, atLeast(2))
}

func TestHomeAssistantSwitchesThePause(t *testing.T) {
	component := discoveryMessage(Config{Commands: []Verb{Pause}}, testGate, "").Components["command_pause"]
	if component.Platform != "switch" {
		t.Errorf("the pause is a %s", component.Platform)
	}
	for payload, want := range map[string]time.Duration{component.PayloadOn: 30 * time.Minute, component.PayloadOff: 0} {
		if command, err := ParseCommand(Pause, []byte(payload)); err != nil || command.Pause != want {
			t.Errorf("the switch sends %s, which means %+v, %v", payload, command, err)
		}
	}
}

// TestHomeAssistantForgetsAGate that has another name, and one where discovery is switched off.
func TestHomeAssistantForgetsAGate(t *testing.T) {
	broker := startMosquitto(t)
	file := filepath.Join(t.TempDir(), "mqtt.json")
	live := func(gate Gate, prefix string, enabled bool) {
		t.Helper()
		cfg := testConfig(broker.address())
		cfg.HomeAssistant = HomeAssistant{Enabled: enabled, Prefix: prefix}
		c, err := New(cfg, gate, openJournal(t), nil, quietLog)
		if err != nil {
			t.Fatal(err)
		}
		c.timing = quickTiming()
		if err := c.Keep(file); err != nil {
			t.Fatal(err)
		}
		end := start(t, c)
		defer end()
		sub := subscribe(t, broker.address(), gate.StatusTopic())
		sub.waitFor(t, func(messages []message) bool { return lastStatus(t, messages).State == "online" })
	}
	retained := func() (topics []string) {
		t.Helper()
		sub := subscribe(t, broker.address(), "#") // what is retained comes first
		sub.client.Publish("end", 1, false, "end").Wait()
		for _, m := range sub.waitFor(t, func(messages []message) bool {
			return len(messages) > 0 && messages[len(messages)-1].topic == "end"
		}) {
			if m.retained && strings.HasSuffix(m.topic, "/config") {
				topics = append(topics, m.topic)
			}
		}
		return topics
	}
	topic := func(prefix string, gate Gate) string { return prefix + "/device/" + gate.discoveryID() + "/config" }
	renamed := Gate{"plant", "south"}
	for _, step := range []struct {
		gate    Gate
		prefix  string
		enabled bool
		want    []string
	}{
		{testGate, "homeassistant", true, []string{topic("homeassistant", testGate)}},
		{renamed, "homeassistant", true, []string{topic("homeassistant", renamed)}},
		{renamed, "ha", true, []string{topic("ha", renamed)}},
		{renamed, "ha", false, nil},
		{testGate, "homeassistant", false, nil},
	} {
		live(step.gate, step.prefix, step.enabled)
		if diff := cmp.Diff(step.want, retained()); diff != "" {
			t.Errorf("%+v: %s", step, diff)
		}
	}
}

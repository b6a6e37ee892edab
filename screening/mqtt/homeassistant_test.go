package mqtt

import (
	"context"
	"encoding/json"
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
	waitConnected(t, c)
	sub := subscribe(t, broker.address(), "homeassistant/device/#")
	first := sub.waitFor(t, 5*time.Second, atLeast(1))[0]
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
	sub.waitFor(t, 5*time.Second, atLeast(2))
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

package mqtt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// isNews keeps events that come late, after an outage, from being shown as if they happened now, and leaves out those that only say
// who an earlier one is about.
const isNews = "value_json.data.historical is not defined and value_json.data.outcome != 'person'"

// discovery is the device-based discovery message of Home Assistant
// (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload).
type discovery struct {
	Device       discoveredDevice     `json:"device"`
	Origin       discoveredOrigin     `json:"origin"`
	Components   map[string]component `json:"components"`
	Availability availability         `json:"availability"`
	QoS          int                  `json:"qos"`
}

type discoveredDevice struct {
	Identifiers  []string `json:"identifiers"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer"`
	Model        string   `json:"model"`
	SWVersion    string   `json:"sw_version,omitempty"`
}

type discoveredOrigin struct {
	Name      string `json:"name"`
	SWVersion string `json:"sw_version,omitempty"`
}

type availability struct {
	Topic         string `json:"topic"`
	ValueTemplate string `json:"value_template"` // renders online or offline
}

type component struct {
	Platform          string   `json:"platform"`
	UniqueID          string   `json:"unique_id"`
	Name              string   `json:"name"`
	StateTopic        string   `json:"state_topic,omitempty"`
	ValueTemplate     string   `json:"value_template,omitempty"`
	DeviceClass       string   `json:"device_class,omitempty"`
	StateClass        string   `json:"state_class,omitempty"`
	UnitOfMeasurement string   `json:"unit_of_measurement,omitempty"`
	EntityCategory    string   `json:"entity_category,omitempty"`
	EventTypes        []string `json:"event_types,omitempty"`
	CommandTopic      string   `json:"command_topic,omitempty"`
	PayloadPress      string   `json:"payload_press,omitempty"`
	PayloadOn         string   `json:"payload_on,omitempty"`
	PayloadOff        string   `json:"payload_off,omitempty"`
	StateOn           string   `json:"state_on,omitempty"`
	StateOff          string   `json:"state_off,omitempty"`
}

// discoveryID names the gate in Home Assistant, where only ASCII letters, digits, - and _ are allowed.
func (g Gate) discoveryID() string {
	sum := sha256.Sum256([]byte(g.Site + "/" + g.Name))
	return "thermogate_" + hex.EncodeToString(sum[:6])
}

// discoveryMessage describes the gate: its verdicts, skin temperature, camera, reference source and pause, a switch for the
// pause where that is allowed, and a button for each allowed command that needs nothing more said.
func discoveryMessage(cfg Config, gate Gate, version string) discovery {
	id := gate.discoveryID()
	components := map[string]component{
		"screening": {
			Platform: "event", Name: "Screening", StateTopic: gate.topic("screening/+"),
			EventTypes:    []string{"pass", "alert", "inconclusive"},
			ValueTemplate: "{% if " + isNews + ` %}{{ {"event_type": value_json.data.outcome, "reason": value_json.data.reason} | to_json }}{% else %}{}{% endif %}`,
		},
		"skin_temperature": {
			Platform: "sensor", Name: "Skin temperature", StateTopic: gate.topic("screening/+"),
			ValueTemplate: "{{ value_json.data.skin_celsius if " + isNews + " and value_json.data.skin_celsius is defined else '' }}",
			DeviceClass:   "temperature", StateClass: "measurement", UnitOfMeasurement: "°C",
		},
		"camera": {
			Platform: "sensor", Name: "Camera", StateTopic: gate.StatusTopic(), EntityCategory: "diagnostic",
			ValueTemplate: "{{ value_json.camera | default('unknown') }}",
		},
		"reference_source": {
			Platform: "sensor", Name: "Reference source", StateTopic: gate.StatusTopic(), EntityCategory: "diagnostic",
			ValueTemplate: "{{ value_json.reference | default('ok') }}",
		},
		"group": {
			Platform: "sensor", Name: "Group", StateTopic: gate.StatusTopic(), EntityCategory: "diagnostic",
			ValueTemplate: "{{ value_json.group | default('ok') }}",
		},
	}
	if cfg.OutcomeOnly {
		delete(components, "skin_temperature")
	}
	paused := "{{ 'ON' if value_json.paused is defined else 'OFF' }}"
	components["paused"] = component{
		Platform: "binary_sensor", Name: "Paused", StateTopic: gate.StatusTopic(), EntityCategory: "diagnostic", ValueTemplate: paused,
	}
	if slices.Contains(cfg.Commands, Pause) {
		components["command_pause"] = component{
			Platform: "switch", Name: "Pause for 30 minutes", CommandTopic: gate.CommandTopic(Pause),
			PayloadOn: `{"seconds":1800}`, PayloadOff: `{"seconds":0}`,
			StateTopic: gate.StatusTopic(), ValueTemplate: paused, StateOn: "ON", StateOff: "OFF",
		}
	}
	for verb, name := range map[Verb]string{Rescreen: "Screen again", Recalibrate: "Find reference source", GroupReset: "Forget group baseline"} {
		if slices.Contains(cfg.Commands, verb) {
			components["command_"+string(verb)] = component{Platform: "button", Name: name, CommandTopic: gate.CommandTopic(verb), PayloadPress: "{}"}
		}
	}
	for key, c := range components {
		c.UniqueID = id + "_" + key
		components[key] = c
	}
	return discovery{
		Device:       discoveredDevice{[]string{id}, gate.Site + " " + gate.Name, "thermogate", "Fever screening gate", version},
		Origin:       discoveredOrigin{"thermogate", version},
		Components:   components,
		Availability: availability{gate.StatusTopic(), "{{ value_json.state }}"},
		QoS:          1,
	}
}

func (s *session) publishDiscovery() {
	payload, err := json.Marshal(discoveryMessage(s.c.cfg, s.c.gate, s.c.currentStatus().Version))
	if err != nil {
		s.c.log.Error("describing the gate for Home Assistant", "error", err)
		return
	}
	s.conn.Publish(s.discoveryTopic(), 1, true, payload)
}

func (s *session) discoveryTopic() string {
	return s.c.cfg.HomeAssistant.Prefix + "/device/" + s.c.gate.discoveryID() + "/config"
}

// takeDiscoveryBack takes off the broker how the gate has described itself before it had another name, or while this was
// switched on.
func (s *session) takeDiscoveryBack(ctx context.Context) {
	for _, topic := range s.c.kept.discovery() {
		if s.c.cfg.HomeAssistant.Enabled && topic == s.discoveryTopic() {
			continue
		}
		if err := wait(ctx, s.conn.Publish(topic, 1, true, []byte{}), s.c.timing.acks); err != nil {
			s.c.log.Warn("this gate's old description can't be taken back from Home Assistant now", "topic", topic, "error", err)
			continue
		}
		s.c.kept.takenBack(topic)
	}
}

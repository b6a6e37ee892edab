package mqtt

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"thermogate/screening/event"
)

// ONVIF has verdicts out once more as a thermal camera tells of fever, for video management systems: the event of the
// BodyTemperatureRule (ONVIF Analytics Service Specification 21.12, annex Radiometry) over MQTT in its JSON form
// (ONVIF Core Specification, "Event Broker").
type ONVIF struct {
	Enabled bool `yaml:"enabled"`
	// Prefix tells this gate from other producers; empty is thermogate/SITE/GATE.
	Prefix string `yaml:"prefix"`
}

// What the specification leaves to the device: the tokens of the picture and of the rule.
const (
	onvifVideoSource = "thermal"
	onvifRule        = "thermogate"
)

// onvifPatience is how late a verdict may be told in this form. It has no mark for what is late, and an alarm about
// somebody who has left long ago is a false one.
const onvifPatience = time.Minute

// kelvinOffset is 0 °C in kelvin, the unit of temperatures in ONVIF.
const kelvinOffset = 273.15

type onvifMessage struct {
	UTCTime time.Time   `json:"UtcTime"`
	Source  onvifSource `json:"Source"`
	Data    onvifData   `json:"Data"`
}

type onvifSource struct {
	VideoSource string `json:"VideoSource"`
	RuleName    string `json:"RuleName"`
}

type onvifData struct {
	State       bool     `json:"State"`                 // body temperature is above the threshold
	Temperature *float64 `json:"Temperature,omitempty"` // of the body, in kelvin
}

func (c Config) onvifTopic(gate Gate) string {
	prefix := c.ONVIF.Prefix
	if prefix == "" {
		prefix = strings.TrimSuffix(gate.topic(""), "/")
	}
	return fmt.Sprintf("%s/onvif-ej/RuleEngine/Radiometry/BodyTemperatureAlarm/&%s/%s", prefix, onvifVideoSource, onvifRule)
}

// newONVIFMessage returns false for an event that says neither that the temperature is too high nor that it is not, and
// for one that is too old.
func newONVIFMessage(e event.Event, now time.Time) (onvifMessage, bool) {
	data := e.Data
	if data.Outcome != event.Pass && data.Outcome != event.Alert || now.Sub(e.Time) > onvifPatience {
		return onvifMessage{}, false
	}
	m := onvifMessage{
		UTCTime: e.Time.UTC().Truncate(time.Millisecond),
		Source:  onvifSource{onvifVideoSource, onvifRule},
		Data:    onvifData{State: data.Outcome == event.Alert},
	}
	if data.BodyCelsius != nil {
		m.Data.Temperature = new(math.Round((*data.BodyCelsius+kelvinOffset)*100) / 100)
	}
	return m, true
}

// publishONVIF comes before the event itself on the same connection, whose PUBACK then stands for both: a broker
// acknowledges in the order of arrival.
func (s *session) publishONVIF(e event.Event) error {
	message, ok := newONVIFMessage(e, time.Now())
	if !ok {
		return nil
	}
	payload, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("event %s for ONVIF: %w", e.ID, err)
	}
	s.conn.Publish(s.c.cfg.onvifTopic(s.c.gate), 1, false, payload)
	return nil
}

package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"thermogate/screening/event"
)

// Gate is which gate of which site speaks.
type Gate struct {
	Site, Name string
}

// maxNameBytes bounds the name of a site or gate, so that no topic comes near the 65,535 bytes MQTT allows.
const maxNameBytes = 64

// Validate refuses names that can't stand in a topic.
func (g Gate) Validate() error {
	if err := validateName(g.Site); err != nil {
		return fmt.Errorf("site %q: %w", g.Site, err)
	}
	if err := validateName(g.Name); err != nil {
		return fmt.Errorf("gate %q: %w", g.Name, err)
	}
	return nil
}

// unprintable tells of what is nowhere to be seen, and of what turns round the text beside it.
func unprintable(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

func validateName(name string) error {
	switch {
	case name == "":
		return errors.New("it needs a name")
	case len(name) > maxNameBytes:
		return fmt.Errorf("a name has at most %d bytes", maxNameBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return errors.New("a name is made of printable characters")
	case name == "." || name == "..":
		return errors.New("addresses of pages take . and .. for something else, and it can't be called so")
	case strings.ContainsAny(name, "/+#"):
		return errors.New("/, + and # have a meaning in MQTT topics and can't stand in a name")
	}
	return nil
}

// ScreeningTopic is where events of this outcome are published, with QoS 1, not retained.
func (g Gate) ScreeningTopic(outcome event.Outcome) string {
	return g.topic("screening/" + string(outcome))
}

// StatusTopic holds the retained state of the gate; its last will is {"state":"offline", …}.
func (g Gate) StatusTopic() string { return g.topic("status") }

// StoredTopic takes, retained, what receivers say they hold.
func (g Gate) StoredTopic() string { return g.topic("stored") }

// ResentTopic tells what became of a resend.
func (g Gate) ResentTopic() string { return g.topic("resent") }

// CommandTopic takes a command.
func (g Gate) CommandTopic(verb Verb) string { return g.topic("command/" + string(verb)) }

// ResendTopic takes a Resend.
func (g Gate) ResendTopic() string { return g.CommandTopic(resend) }

// AcknowledgementTopic tells what became of a command.
func (g Gate) AcknowledgementTopic(verb Verb) string {
	return g.topic("acknowledgement/" + string(verb))
}

// AlertTopic holds the console's word on the alert with this id, retained; "+" is all of them.
func (g Gate) AlertTopic(id string) string { return g.topic("alert/" + id) }

// SnapshotTopic is where the picture of the alert with this id is published, with QoS 0, not retained.
func (g Gate) SnapshotTopic(id string) string { return g.topic("snapshot/" + id) }

// PassesTopic holds, retained, which pass codes are good: a passcode.Passes, signed, from the console.
func (g Gate) PassesTopic() string { return g.topic("passes") }

func (g Gate) topic(rest string) string { return "thermogate/" + g.Site + "/" + g.Name + "/" + rest }

// ParseTopic takes a topic of a gate apart: "thermogate/plant/north/screening/alert" is the gate north of plant and
// the rest "screening/alert". It is false for a topic that is not of a gate.
func ParseTopic(topic string) (gate Gate, rest string, ok bool) {
	parts := strings.SplitN(topic, "/", 4)
	if len(parts) != 4 || parts[0] != "thermogate" || parts[3] == "" {
		return Gate{}, "", false
	}
	gate = Gate{Site: parts[1], Name: parts[2]}
	return gate, parts[3], gate.Validate() == nil
}

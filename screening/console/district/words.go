package district

import (
	"regexp"
	"slices"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// A gate's messages have fields for words, in which whoever sets up or attacks a gate could write a name. What leaves the
// plant of them are words that this program knows; ids, times and numbers can be nothing else.

// eventToTell is what of an event leaves the plant.
func eventToTell(e event.Event) event.Event {
	d := &e.Data
	e.SpecVersion, e.Type, e.DataContentType = "1.0", d.Outcome.EventType(), "application/json"
	d.Reason, d.SkinSite, d.Policy = known(d.Reason), known(d.SkinSite), policyName(d.Policy)
	d.Worn = slices.DeleteFunc(slices.Clone(d.Worn), func(g event.Garment) bool { return known(g) == "" })
	d.Camera, d.Version = "", versionOf(d.Version)
	if d.Door != nil {
		door := *d.Door
		if door.Output != "webhook" && door.Output != "modbus" && door.Output != "gpio" {
			door.Output = ""
		}
		if door.Error != "" {
			door.Error = "its plant knows why"
		}
		d.Door = &door
	}
	return e
}

// statusToTell is what of a gate's status leaves the plant.
func statusToTell(said mqtt.StatusMessage) mqtt.StatusMessage {
	said.Settings, said.PausedBy, said.Keys = nil, "", mqtt.Keys{} // a fingerprint is a word that anybody could write
	said.Version, said.Camera, said.Reference, said.Group = versionOf(said.Version), knownOr(said.Camera), knownOr(said.Reference), known(said.Group)
	if _, err := ulid.ParseStrict(said.Journal); err != nil {
		said.Journal, said.Sequence = "", 0
	}
	return said
}

// known is a word of the domain, and empty for any other.
func known[W ~string](word W) W {
	if _, is := event.PhraseOf(string(word)); is {
		return word
	}
	return ""
}

// knownOr is another word for one that is not known: something is wrong all the same.
func knownOr(word string) string {
	if word != "" && known(word) == "" {
		return "other"
	}
	return word
}

func policyName(name string) string {
	switch name {
	case "offset", "group", "both", "fused":
		return name
	}
	return ""
}

var version = regexp.MustCompile(`^v?[0-9][0-9A-Za-z.+-]{0,63}$`)

// versionOf is that of a program, as it is built from a tag, a commit or a working tree; empty for what is none.
func versionOf(text string) string {
	if version.MatchString(text) || text == "(devel)" {
		return text
	}
	return ""
}

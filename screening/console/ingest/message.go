package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// filters are the topics of gates that are listened to.
var filters = []string{"thermogate/+/+/screening/+", "thermogate/+/+/status", "thermogate/+/+/resent"}

// pictureFilter is that of the pictures of alerts; snapshotKind is what such a topic has before the id of the alert.
const (
	pictureFilter = "thermogate/+/+/snapshot/+"
	snapshotKind  = "snapshot/"
)

const (
	maxStatusBytes = 16 << 10
	maxResentBytes = 64 << 10
	maxStatusWord  = 128
)

func parseStatus(payload []byte) (mqtt.StatusMessage, error) {
	var status mqtt.StatusMessage
	if len(payload) > maxStatusBytes {
		return status, fmt.Errorf("the status has %d bytes, more than %d", len(payload), maxStatusBytes)
	}
	if err := json.Unmarshal(payload, &status); err != nil {
		return status, fmt.Errorf("the status is not as it should be: %w", err)
	}
	if status.State != store.Online && status.State != store.Offline {
		return status, fmt.Errorf("the status is neither online nor offline: %.40q", status.State)
	}
	for _, word := range []string{status.Version, status.Camera, status.Reference, status.Group, status.PausedBy, status.Keys.Site, status.Keys.Newest} {
		if len(word) > maxStatusWord || strings.ContainsFunc(word, unicode.IsControl) {
			return status, fmt.Errorf("%.40q does not belong in a status", word)
		}
	}
	if _, err := ulid.ParseStrict(status.Journal); status.Journal != "" && err != nil || status.Sequence < 0 || status.Unconfirmed < 0 {
		return status, fmt.Errorf("the status has no journal %.40q that ends with %d", status.Journal, status.Sequence)
	}
	if status.Settings != nil {
		if err := store.CheckSettings(*status.Settings); err != nil {
			return status, fmt.Errorf("the status is not as it should be: %w", err)
		}
	}
	return status, nil
}

func parseResent(payload []byte) (mqtt.Resent, error) {
	var resent mqtt.Resent
	if len(payload) > maxResentBytes {
		return resent, fmt.Errorf("what was resent has %d bytes, more than %d", len(payload), maxResentBytes)
	}
	if err := json.Unmarshal(payload, &resent); err != nil {
		return resent, fmt.Errorf("what was resent is not as it should be: %w", err)
	}
	if _, err := ulid.ParseStrict(resent.Journal); err != nil {
		return resent, fmt.Errorf("%.40q is the id of no journal", resent.Journal)
	}
	for _, span := range resent.Missing {
		if span.From < 1 || span.To < span.From || span.From < resent.From || span.To > resent.To {
			return resent, errors.New("what is missing is not within what was asked for")
		}
	}
	return resent, nil
}

// wordPayload is the JSON of a word on an alert; nothing for one that the broker is to keep no longer.
func wordPayload(word store.Word) []byte {
	if word.Over {
		return nil
	}
	state := string(word.State)
	if word.Escalated {
		state = "escalated"
	}
	payload, err := json.Marshal(struct {
		State   string            `json:"state"`
		Outcome mqtt.AlertOutcome `json:"outcome,omitempty"`
		By      string            `json:"by,omitempty"`
	}{state, word.Outcome, word.By})
	if err != nil {
		panic(err) // strings
	}
	return payload
}

// Package district is what a plant's console tells the one of its district, and how: messages in a JetStream stream of NATS.
// A plant works whole without it. No name of anybody and no second reading leaves the plant; what sites, gates and
// shifts are called does.
//
// Each message has an id (the header Nats-Msg-Id). The stream drops one that it has had within its window, and the district
// stores none twice, so a plant sends again what was not confirmed to it.
//
// What is urgent goes before what is not, and what is new before what a plant could not send for a time. So an alert may come
// before its event, and a deletion of an event comes without it if the event was not sent before.
package district

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// Stream is the stream that holds the messages of all plants until the district has stored them; Subjects are
// where plants publish.
const (
	Stream   = "THERMOGATE"
	Subjects = prefix + ">"
	prefix   = "thermogate.district."
)

// Kind is what a message is about.
type Kind string

// The kinds. The payload of an Event is the CloudEvent as the plant has stored it, less who it was; those of the others are
// JSON of the type with their name.
const (
	EventKind Kind = store.OutgoingEvent // id: the event's
	// AlertEventKind is an event that is an alert. It has a subject of its own, so that it waits behind no others.
	AlertEventKind Kind = "alert-event"          // id: the event's
	AlertKind      Kind = store.OutgoingAlert    // id: Alert.MessageID
	StatusKind     Kind = store.OutgoingStatus   // id: GateStatus.MessageID
	SiteKind       Kind = store.OutgoingSite     // without an id: with each change, and once a minute as a sign of life
	ShiftKind      Kind = store.OutgoingShift    // id: ShiftTally.MessageID
	DeletionKind   Kind = store.OutgoingDeletion // id: Deletion.MessageID
)

// UrgentKinds are those that a district stores before the OtherKinds. Together they are all.
var (
	UrgentKinds = []Kind{AlertEventKind, AlertKind, StatusKind, SiteKind, DeletionKind}
	OtherKinds  = []Kind{EventKind, ShiftKind}
)

// subjects are those of kinds, of all sites.
func subjects(kinds ...Kind) []string {
	all := make([]string, len(kinds))
	for i, kind := range kinds {
		all[i] = prefix + "*." + string(kind)
	}
	return all
}

// Subject is where a plant publishes messages about a site: "thermogate.district.north%20plant.event". A server lets a plant
// publish to those of its own sites alone.
func Subject(site string, kind Kind) string { return prefix + token(site) + "." + string(kind) }

// token is a name as one part of a subject, where dots, spaces, * and > have a meaning.
func token(name string) string {
	return strings.NewReplacer(".", "%2E", "*", "%2A", ">", "%3E").Replace(url.PathEscape(name))
}

// ParseSubject takes a subject apart.
func ParseSubject(subject string) (site string, kind Kind, err error) {
	rest, found := strings.CutPrefix(subject, prefix)
	name, last, two := strings.Cut(rest, ".")
	if !found || !two || strings.Contains(last, ".") {
		return "", "", fmt.Errorf("%.200q is no subject of a plant", subject)
	}
	if site, err = url.PathUnescape(name); err != nil {
		return "", "", fmt.Errorf("the subject %.200q names no site: %w", subject, err)
	}
	if Subject(site, Kind(last)) != subject {
		return "", "", fmt.Errorf("%.200q is no subject of a plant", subject)
	}
	if err := (mqtt.Gate{Site: site, Name: "any"}).Validate(); err != nil {
		return "", "", err
	}
	return site, Kind(last), nil
}

// Alert is how far a plant is with an alert. Who did what stays in the plant.
type Alert struct {
	Event     string            `json:"event"` // id of its first event
	Gate      string            `json:"gate"`
	Version   int64             `json:"version"` // a later one counts, an earlier one does not any more
	State     store.AlertState  `json:"state"`
	Outcome   mqtt.AlertOutcome `json:"outcome,omitempty"`
	Taken     *time.Time        `json:"taken,omitempty"`
	Escalated *time.Time        `json:"escalated,omitempty"`
	Read      *time.Time        `json:"read,omitempty"`
	Closed    *time.Time        `json:"closed,omitempty"`
}

// MessageID is the id of the message with this state of the alert.
func (a Alert) MessageID() string { return a.Event + ".alert." + strconv.FormatInt(a.Version, 10) }

// GateStatus is what a gate said of itself, or that the plant hears nothing of it any more.
type GateStatus struct {
	Gate string    `json:"gate"`
	At   time.Time `json:"at"` // when the plant knew
	// Link is store.Online, store.Offline, store.Doubled, store.Quiet, store.Unused or store.RevokedLink.
	Link string `json:"link"`
	// Said is there of a gate that is online or offline alone. It has neither settings nor who paused the gate.
	Said *mqtt.StatusMessage `json:"said,omitempty"`
}

// MessageID is the id of the message of a gate of this site.
func (s GateStatus) MessageID(site string) string {
	return token(site) + "." + token(s.Gate) + ".status." + strconv.FormatInt(s.At.UnixMicro(), 10)
}

// Site is how a plant counts the people of one of its sites.
type Site struct {
	At          time.Time         `json:"at"`
	TimeZone    string            `json:"time_zone"`
	OutcomeOnly bool              `json:"outcome_only"`
	KeepMonths  int               `json:"keep_months"`
	Plans       []store.ShiftPlan `json:"plans,omitempty"`
	Version     string            `json:"version"` // of the plant's console
	Waiting     int64             `json:"waiting"` // messages of this site that the plant has yet to send
	// Console is of the plant's console since its start: two that tell of the same site are told apart by it.
	Console string `json:"console,omitempty"`
}

// ShiftTally is what the plant's own report of a shift says, so that the district sees whether it has the same.
type ShiftTally struct {
	Name         string    `json:"name"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Made         time.Time `json:"made"`
	People       int64     `json:"people"`
	Pass         int64     `json:"pass"`
	Alert        int64     `json:"alert"`
	Confirmed    int64     `json:"confirmed"`
	Inconclusive int64     `json:"inconclusive"`
	Expected     int64     `json:"expected,omitempty"`
}

// MessageID is the id of the message of a shift of this site.
func (t ShiftTally) MessageID(site string) string {
	return token(site) + ".shift." + strconv.FormatInt(t.From.UnixMilli(), 10) + "." + strconv.FormatInt(t.Made.UnixMilli(), 10)
}

// Deletion is an event that somebody has deleted in the plant; the district deletes it, too. Who and why stays in the plant.
type Deletion struct {
	Event string    `json:"event"`
	At    time.Time `json:"at"`
}

// MessageID is the id of the message.
func (d Deletion) MessageID() string { return d.Event + ".deletion" }

package event

import (
	"net/url"
	"strings"
	"time"
)

// Event is a CloudEvents 1.0 envelope in its structured JSON form.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"` // a ULID
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Journal         string    `json:"journal,omitempty"`  // id of the journal that it comes from, a ULID
	Sequence        string    `json:"sequence,omitempty"` // its place in that journal, from 1 on without gaps, decimal
	Data            Data      `json:"data"`
}

// Source is what the events of a gate have as their source, a URI reference whatever the names are made of.
func Source(site, gate string) string {
	return "/" + url.PathEscape(site) + "/" + url.PathEscape(gate)
}

// ParseSource is the site and the gate that a source names; both are empty where it names none.
func ParseSource(source string) (site, gate string) {
	first, last, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	site, err := url.PathUnescape(first)
	if err == nil {
		gate, err = url.PathUnescape(last)
	}
	if err != nil || Source(site, gate) != source {
		return "", ""
	}
	return site, gate
}

// Data is what one screening found. A number that was not measured is absent.
type Data struct {
	Outcome                Outcome    `json:"outcome"`
	Reason                 Reason     `json:"reason"`
	SkinCelsius            *float64   `json:"skin_celsius,omitempty"`
	SkinUncertaintyCelsius *float64   `json:"skin_uncertainty_celsius,omitempty"` // half width of the 95 % interval
	SkinSite               Site       `json:"skin_site,omitempty"`
	FaceCelsius            *float64   `json:"face_celsius,omitempty"` // the face's warmest spot; policy fused goes by it and by the ambient temperature
	AmbientCelsius         *float64   `json:"ambient_celsius,omitempty"`
	BodyCelsius            *float64   `json:"body_celsius,omitempty"`
	BodyUncertaintyCelsius *float64   `json:"body_uncertainty_celsius,omitempty"` // half width of the 95 % interval
	OffsetCelsius          *float64   `json:"offset_celsius,omitempty"`
	Policy                 string     `json:"policy"`
	ThresholdCelsius       *float64   `json:"threshold_celsius,omitempty"`
	BaselineCelsius        *float64   `json:"baseline_celsius,omitempty"`
	Reference              Reference  `json:"reference"`
	Face                   *Box       `json:"face,omitempty"`
	Worn                   []Garment  `json:"worn,omitempty"` // what was told of face and head
	FramesUsed             int        `json:"frames_used"`
	FirstSeen              time.Time  `json:"first_seen"`
	MeasurableSince        *time.Time `json:"measurable_since,omitempty"`
	SecondsToVerdict       *float64   `json:"seconds_to_verdict,omitempty"`
	RescreenOf             string     `json:"rescreen_of,omitempty"`  // id of the event this look repeats
	Revises                string     `json:"revises,omitempty"`      // id of the pass that later frames contradict
	Visit                  int        `json:"-"`                      // Person.ID of whoever it is about, in scenes of the same gate
	Person                 *Bearer    `json:"person,omitempty"`       // who a badge or a code says it is; absent where nobody does
	Unpaired               Unpaired   `json:"unpaired,omitempty"`     // why nobody is named, at a gate that has readers
	PersonOf               string     `json:"person_of,omitempty"`    // with the outcome Named: the event that Person, or Unpaired, is about
	Door                   *Door      `json:"door,omitempty"`         // absent at a gate that opens no door
	Historical             bool       `json:"historical,omitempty"`   // published late, after an outage
	OutcomeOnly            bool       `json:"outcome_only,omitempty"` // what was measured of the person was not kept; see WithOutcomeOnly
	Camera                 string     `json:"camera"`
	Version                string     `json:"version"`
}

// WithOutcomeOnly returns what says how the gate did, and of the person nothing but who a badge says they are, the outcome, its
// reason, when it was, and what kept a look from being taken. What is added to Data later stays out until it is named here.
func (d Data) WithOutcomeOnly() Data {
	return Data{
		OutcomeOnly: true,
		Outcome:     d.Outcome, Reason: d.Reason, Policy: d.Policy, Worn: d.Worn,
		Reference:  Reference{Found: d.Reference.Found, NominalAssumed: d.Reference.NominalAssumed},
		FramesUsed: d.FramesUsed, FirstSeen: d.FirstSeen, MeasurableSince: d.MeasurableSince, SecondsToVerdict: d.SecondsToVerdict,
		RescreenOf: d.RescreenOf, Revises: d.Revises, Visit: d.Visit, Person: d.Person, Unpaired: d.Unpaired, PersonOf: d.PersonOf, Door: d.Door, Historical: d.Historical, Camera: d.Camera, Version: d.Version,
	}
}

// WithoutPerson returns all but who it is about.
func (d Data) WithoutPerson() Data {
	d.Person, d.Unpaired, d.PersonOf = nil, "", ""
	return d
}

// Reference is the reference source as it was at the verdict.
type Reference struct {
	Found             bool     `json:"found"`
	NominalCelsius    *float64 `json:"nominal_celsius,omitempty"`
	NominalAssumed    bool     `json:"nominal_assumed,omitempty"` // a guess, and all temperatures are off by as much as it is
	MeasuredCelsius   *float64 `json:"measured_celsius,omitempty"`
	CorrectionCelsius *float64 `json:"correction_celsius,omitempty"`
}

// Bearer is who somebody says they are, without a name: names are known to the console alone.
type Bearer struct {
	ID      string `json:"id"`                // the pseudonym: an HMAC of the number on the badge under the site's number keys, or what the pass code says
	Company string `json:"company,omitempty"` // the company of the pass code
	By      string `json:"by"`                // the reader
	// Signed is true for a pass code, whose signature was verified here; a number on a badge is what it says.
	Signed bool `json:"-"`
}

// Door is what became of the door. What is not known is absent.
type Door struct {
	Output    string   `json:"output"`              // webhook, modbus or gpio
	Commanded *bool    `json:"commanded,omitempty"` // it was told to open
	Accepted  *bool    `json:"accepted,omitempty"`  // it has said that it does, or that it does not
	Error     string   `json:"error,omitempty"`     // why a pass did not open it, or may not have
	Seconds   *float64 `json:"seconds,omitempty"`   // from the verdict on disk to its answer
}

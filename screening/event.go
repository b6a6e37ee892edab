// Package screening is the gate: it walks each frame from the camera to a verdict and names what comes out.
package screening

import (
	"fmt"
	"math"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/measure"
	"thermogate/screening/policy"
	"thermogate/screening/track"
)

// Event is a CloudEvents 1.0 envelope in its structured JSON form.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"` // a ULID
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            Data      `json:"data"`
}

// Data is what one screening found. A number that was not measured is absent.
type Data struct {
	Outcome                policy.Outcome `json:"outcome"`
	Reason                 string         `json:"reason"`
	SkinCelsius            *float64       `json:"skin_celsius,omitempty"`
	SkinUncertaintyCelsius *float64       `json:"skin_uncertainty_celsius,omitempty"` // half width of the 95 % interval
	SkinSite               measure.Site   `json:"skin_site,omitempty"`
	BodyCelsius            *float64       `json:"body_celsius,omitempty"`
	OffsetCelsius          *float64       `json:"offset_celsius,omitempty"`
	Policy                 string         `json:"policy"`
	ThresholdCelsius       *float64       `json:"threshold_celsius,omitempty"`
	BaselineCelsius        *float64       `json:"baseline_celsius,omitempty"`
	Reference              Reference      `json:"reference"`
	Face                   *Box           `json:"face,omitempty"`
	FramesUsed             int            `json:"frames_used"`
	FirstSeen              time.Time      `json:"first_seen"`
	MeasurableSince        *time.Time     `json:"measurable_since,omitempty"`
	SecondsToVerdict       *float64       `json:"seconds_to_verdict,omitempty"`
	RescreenOf             string         `json:"rescreen_of,omitempty"` // id of the event this look repeats
	Door                   *Door          `json:"door,omitempty"`        // absent at a gate that opens no door
	Historical             bool           `json:"historical,omitempty"`  // published late, after an outage
	Camera                 string         `json:"camera"`
	Version                string         `json:"version"`
}

// Reference is the reference source as it was at the verdict.
type Reference struct {
	Found             bool     `json:"found"`
	NominalCelsius    *float64 `json:"nominal_celsius,omitempty"`
	NominalAssumed    bool     `json:"nominal_assumed,omitempty"` // a guess, and all temperatures are off by as much as it is
	MeasuredCelsius   *float64 `json:"measured_celsius,omitempty"`
	CorrectionCelsius *float64 `json:"correction_celsius,omitempty"`
}

// Box is a face in pixels of the upright picture.
type Box struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
	W float64 `json:"w"`
	H float64 `json:"h"`
}

// Door is what became of the door. What is not known is absent.
type Door struct {
	Output    string   `json:"output"`              // webhook, modbus or gpio
	Commanded *bool    `json:"commanded,omitempty"` // it was told to open
	Accepted  *bool    `json:"accepted,omitempty"`  // it has said that it does, or that it does not
	Error     string   `json:"error,omitempty"`     // why a pass did not open it, or may not have
	Seconds   *float64 `json:"seconds,omitempty"`   // from the verdict on disk to its answer
}

// newEvent tells what the verdict of a look rests on.
func (g *Gate) newEvent(v *visit, verdict policy.Verdict, at time.Time) Event {
	data := Data{
		Outcome:                verdict.Outcome,
		Reason:                 string(verdict.Reason),
		SkinCelsius:            verdict.SkinCelsius,
		SkinUncertaintyCelsius: verdict.UncertaintyCelsius,
		BodyCelsius:            verdict.BodyCelsius,
		OffsetCelsius:          verdict.OffsetCelsius,
		Policy:                 string(verdict.Policy),
		ThresholdCelsius:       verdict.ThresholdCelsius,
		BaselineCelsius:        verdict.BaselineCelsius,
		Reference:              newReference(g.scene.Reference),
		Face:                   rounded(boxOf(v.sightings[len(v.sightings)-1].face)),
		FirstSeen:              v.firstSeen,
		Camera:                 g.camera,
		Version:                g.config.Version,
	}
	if estimate := v.look.Estimate(); estimate.Frames > 0 {
		since, seconds := v.measurableSince, at.Sub(v.measurableSince).Seconds()
		data.SkinSite, data.FramesUsed = estimate.Site, estimate.Frames
		data.MeasurableSince, data.SecondsToVerdict = &since, &seconds
	}
	return Event{
		SpecVersion:     "1.0",
		ID:              ulid.MustNew(ulid.Timestamp(at), g.entropy).String(),
		Source:          fmt.Sprintf("/%s/%s", g.config.Site, g.config.Name),
		Type:            fmt.Sprintf("thermogate.screening.%s.v1", verdict.Outcome),
		Time:            at,
		DataContentType: "application/json",
		Data:            data,
	}
}

func newReference(r measure.Reference) Reference {
	if !r.Found {
		return Reference{}
	}
	return Reference{
		Found:             true,
		NominalCelsius:    hundredths(r.NominalCelsius),
		NominalAssumed:    r.Assumed,
		MeasuredCelsius:   hundredths(r.MeasuredCelsius),
		CorrectionCelsius: hundredths(r.CorrectionCelsius),
	}
}

func hundredths(celsius float64) *float64 { return new(math.Round(celsius*100) / 100) }

// rounded gives a box to the tenth of a pixel.
func rounded(b track.Box) *Box {
	tenths := func(v float64) float64 { return math.Round(v*10) / 10 }
	return &Box{X: tenths(b.X), Y: tenths(b.Y), W: tenths(b.W), H: tenths(b.H)}
}

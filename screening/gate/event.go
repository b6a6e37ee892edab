package gate

import (
	"fmt"
	"math"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/policy"
)

// newEvent tells what the verdict of a look rests on.
func (g *Gate) newEvent(v *visit, verdict policy.Verdict, at time.Time) event.Event {
	data := event.Data{
		Outcome:                verdict.Outcome,
		Reason:                 verdict.Reason,
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
	return event.Event{
		SpecVersion:     "1.0",
		ID:              ulid.MustNew(ulid.Timestamp(at), g.entropy).String(),
		Source:          fmt.Sprintf("/%s/%s", g.config.Site, g.config.Name),
		Type:            fmt.Sprintf("thermogate.screening.%s.v1", verdict.Outcome),
		Time:            at,
		DataContentType: "application/json",
		Data:            data,
	}
}

func newReference(r event.ReferenceSource) event.Reference {
	if !r.Found {
		return event.Reference{}
	}
	return event.Reference{
		Found:             true,
		NominalCelsius:    new(event.Hundredths(r.NominalCelsius)),
		NominalAssumed:    r.Assumed,
		MeasuredCelsius:   new(event.Hundredths(r.MeasuredCelsius)),
		CorrectionCelsius: new(event.Hundredths(r.CorrectionCelsius)),
	}
}

// rounded gives a box to the tenth of a pixel.
func rounded(b event.Box) *event.Box {
	tenths := func(v float64) float64 { return math.Round(v*10) / 10 }
	return &event.Box{X: tenths(b.X), Y: tenths(b.Y), W: tenths(b.W), H: tenths(b.H)}
}

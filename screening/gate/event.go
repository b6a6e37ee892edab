package gate

import (
	"math"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"
)

// publish tells what the verdict of a visit rests on.
func (g *Gate) publish(v *visit, verdict policy.Verdict, about relation, at time.Time) *event.Event {
	data := event.Data{
		Outcome:                verdict.Outcome,
		Reason:                 verdict.Reason,
		SkinCelsius:            verdict.SkinCelsius,
		SkinUncertaintyCelsius: verdict.UncertaintyCelsius,
		FaceCelsius:            verdict.FaceCelsius,
		AmbientCelsius:         verdict.AmbientCelsius,
		BodyCelsius:            verdict.BodyCelsius,
		BodyUncertaintyCelsius: verdict.BodyUncertaintyCelsius,
		OffsetCelsius:          verdict.OffsetCelsius,
		Policy:                 string(verdict.Policy),
		ThresholdCelsius:       verdict.ThresholdCelsius,
		BaselineCelsius:        verdict.BaselineCelsius,
		Reference:              newReference(g.scene.Reference),
		Face:                   rounded(v.box),
		Worn:                   v.worn,
		FirstSeen:              v.firstSeen,
		RescreenOf:             about.rescreenOf,
		Revises:                about.revises,
		Visit:                  v.id,
		Camera:                 g.camera,
		Version:                g.config.Version,
	}
	if !v.measurableSince.IsZero() {
		data.MeasurableSince, data.SecondsToVerdict = new(v.measurableSince), new(at.Sub(v.measurableSince).Seconds())
	}
	if verdict.SkinCelsius != nil {
		estimate := v.look.Estimate()
		data.SkinSite, data.FramesUsed = estimate.Site, estimate.Frames
	}
	e := event.Event{
		SpecVersion:     "1.0",
		ID:              g.ids.At(at),
		Source:          event.Source(g.config.Site, g.config.Name),
		Type:            verdict.Outcome.EventType(),
		Time:            at,
		DataContentType: "application/json",
		Data:            data,
	}
	g.policy.Learn(verdict, at)
	g.events = append(g.events, e)
	return &e
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

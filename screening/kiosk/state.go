package kiosk

import (
	"fmt"
	"time"

	"thermogate/screening/event"
)

// screenState is what the worker's page shows besides the picture. Words are by the code of their language.
type screenState struct {
	Tone tone              `json:"tone"`
	Icon string            `json:"icon"`
	Head map[string]string `json:"head"`
	Sub  map[string]string `json:"sub"`
	// ID is that of the verdict it speaks of: it tells one pass from the next.
	ID     string            `json:"id,omitempty"`
	Number map[string]string `json:"number,omitempty"`
	Sound  tone              `json:"sound,omitempty"` // pass, alert or code
	Say    map[string]string `json:"say,omitempty"`   // what is spoken then, where it is not the head
}

func (k *Kiosk) screenOf(c cue) screenState {
	m := c.message
	s := screenState{
		Tone: m.tone,
		Icon: m.icon,
		Head: k.words.in(func(w words) string { return w.head(m) }),
		Sub:  k.words.in(func(w words) string { return w.sub(m) }),
	}
	if c.verdict != nil {
		s.ID = c.verdict.ID
	} else if c.asked != 0 {
		s.ID = fmt.Sprint("visit-", c.asked)
	}
	switch {
	case c.verdict != nil && (m.tone == tonePass && c.opens || m.tone == toneAlert):
		s.Sound = m.tone
	case c.asked != 0:
		s.Sound, s.Say = toneCode, k.words.in(func(w words) string { return w[showCode] })
	}
	if c.verdict == nil {
		return s
	}
	if data := &c.verdict.Data; k.config.Page.Show == ShowBody && !k.config.OutcomeOnly && decidedBy(data) && !c.shared {
		s.Number = k.words.in(func(w words) string { return w.number(data) })
	}
	return s
}

// decidedBy says whether the body temperature has been compared with a level, and that has decided.
func decidedBy(data *event.Data) bool {
	return data.Outcome != event.Inconclusive && data.BodyCelsius != nil && data.ThresholdCelsius != nil
}

// gateState is the state line of the engineers' page.
type gateState struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Build       string            `json:"build"` // of the page itself: a page with another one reloads
	Camera      event.CameraState `json:"camera"`
	CameraLabel phrase            `json:"camera_label"`
	Reference   referenceState    `json:"reference"`
	Group       *phrase           `json:"group,omitempty"`   // what is wrong with the readings of people together
	Doubted     bool              `json:"doubted,omitempty"` // somebody's word on camera and reference source would help
	Broker      bool              `json:"broker"`
	Backlog     int               `json:"backlog"`
	TurnedAway  *phrase           `json:"turned_away,omitempty"` // by the broker, and what to do
	ToDo        []phrase          `json:"to_do,omitempty"`
	Journal     faultState        `json:"journal"`
	Door        *faultState       `json:"door,omitempty"` // of a gate that has one
	Faces       int               `json:"faces"`
	FPS         *float64          `json:"fps,omitempty"`
	Pages       int               `json:"pages"`
	Stages      stageMillis       `json:"stages"`
	PausedUntil time.Time         `json:"paused_until,omitzero"`
}

type faultState struct {
	OK    bool   `json:"ok"`
	Fault string `json:"fault,omitempty"` // as it is logged, in English
}

func faultStateOf(fault error) faultState {
	if fault == nil {
		return faultState{OK: true}
	}
	return faultState{Fault: fault.Error()}
}

type referenceState struct {
	OK                bool     `json:"ok"`
	Label             phrase   `json:"label"`
	NominalCelsius    *float64 `json:"nominal_celsius,omitempty"`
	Assumed           bool     `json:"assumed,omitempty"`
	MeasuredCelsius   *float64 `json:"measured_celsius,omitempty"`
	CorrectionCelsius *float64 `json:"correction_celsius,omitempty"`
}

func (g *gateState) observe(scene *event.Scene) {
	g.Faces = len(scene.People)
	g.Stages.observe(scene.Stages)
	g.Reference, g.Group = referenceStateOf(scene.Reference), nil
	if scene.Group != event.NoProblem {
		g.Group = new(groupPhrase(scene.Group))
	}
	g.Doubted = scene.Group == event.BaselineShift || scene.Reference.Problem != event.NoProblem && scene.Reference.Left
}

func (g *gateState) forgetScene() {
	g.Faces, g.Stages = 0, stageMillis{}
	g.Reference, g.Group, g.Doubted = referenceState{}, nil, false
}

// referenceStateOf knows a gate without a source by one that is not found and not missing.
func referenceStateOf(r event.ReferenceSource) referenceState {
	switch {
	case r.Problem != event.NoProblem && r.Left:
		return referenceState{Label: referenceLeft(r.Found)}
	case r.Problem != event.NoProblem:
		return referenceState{Label: label(r.Problem)}
	case !r.Found:
		return referenceState{OK: true, Label: label("none")}
	}
	return referenceState{OK: true, NominalCelsius: &r.NominalCelsius, Assumed: r.Assumed, MeasuredCelsius: &r.MeasuredCelsius,
		CorrectionCelsius: &r.CorrectionCelsius}
}

// verdictRow is one line of the engineers' table.
type verdictRow struct {
	Time    time.Time `json:"time"`
	Tone    tone      `json:"tone"`
	Outcome phrase    `json:"outcome"`
	Reason  phrase    `json:"reason"`
	Site    phrase    `json:"site"`
	// As in the event; nil where it was not measured.
	SkinCelsius            *float64 `json:"skin_celsius,omitempty"`
	SkinUncertaintyCelsius *float64 `json:"skin_uncertainty_celsius,omitempty"`
	BodyCelsius            *float64 `json:"body_celsius,omitempty"`
	CorrectionCelsius      *float64 `json:"correction_celsius,omitempty"`
	OffsetCelsius          *float64 `json:"offset_celsius,omitempty"`
	ThresholdCelsius       *float64 `json:"threshold_celsius,omitempty"`
	SecondsToVerdict       *float64 `json:"seconds_to_verdict,omitempty"`
}

func rowOf(e *event.Event) verdictRow {
	data := &e.Data
	return verdictRow{
		Time:                   e.Time,
		Tone:                   verdictOf(data).tone,
		Outcome:                label(data.Outcome),
		Reason:                 label(data.Reason),
		Site:                   label(data.SkinSite),
		SkinCelsius:            data.SkinCelsius,
		SkinUncertaintyCelsius: data.SkinUncertaintyCelsius,
		BodyCelsius:            data.BodyCelsius,
		CorrectionCelsius:      data.Reference.CorrectionCelsius,
		OffsetCelsius:          data.OffsetCelsius,
		ThresholdCelsius:       data.ThresholdCelsius,
		SecondsToVerdict:       data.SecondsToVerdict,
	}
}

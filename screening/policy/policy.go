// Package policy turns a skin temperature into a verdict.
//
// Two questions can be asked of a reading. The offset policy adds what oral temperature is above the skin and compares
// with a body temperature; it needs a reference source in view. The group policy compares with the people seen lately at
// the same gate, which survives a camera that has always been wrong by as much. Both asks both and alarms if either does.
// Fused asks the second of body temperature as estimated from all that was measured (FusedConfig), and the first of plain
// fevers. Whatever the policy, people together are a witness of camera and reference source (Witness).
//
// A Policy is not safe for concurrent use.
package policy

import (
	"fmt"
	"math"
	"time"

	"thermogate/screening/event"
)

// Kind names a rule.
type Kind string

// The kinds of policy.
const (
	Offset Kind = "offset"
	Group  Kind = "group"
	Both   Kind = "both"
	Fused  Kind = "fused"
)

// Estimate is what is known so far of one look at one person.
type Estimate struct {
	SkinCelsius float64
	// NoiseCelsius is the standard uncertainty of SkinCelsius that more frames make smaller, SystematicCelsius the one
	// they don't.
	NoiseCelsius, SystematicCelsius float64
	Site                            event.Site
	// FaceCelsius is the face's warmest spot, read like the canthi; AmbientCelsius is of the air. NaN where unknown. Only
	// the fused policy goes by them.
	FaceCelsius, AmbientCelsius float64
	// Masked is true where a mask hides nose and cheeks, which tell best of the cold.
	Masked bool
	// ChillCelsius is by how much the canthi seem to be colder than indoors, ChillUncertainty its standard uncertainty; NaN
	// where unknown.
	ChillCelsius, ChillUncertainty float64
	Bare                           bool          // nothing covers part of the site
	Frames                         int           // measured frames in this look
	Span                           time.Duration // from the first to the last of them
	Elapsed                        time.Duration // since the first measurable frame of the visit
	At                             time.Time     // capture time of the latest frame
	ReferenceOK                    bool          // a valid reference source corrected these frames
}

// Verdict is the answer to one look. What was not measured or does not apply is nil.
type Verdict struct {
	Outcome event.Outcome
	Reason  event.Reason
	// Policy is the rule that was applied. At a gate without a reference source this is Group whatever was asked for.
	Policy             Kind
	SkinCelsius        *float64
	UncertaintyCelsius *float64 // half width of the 95 % interval of SkinCelsius
	// BodyCelsius is SkinCelsius + OffsetCelsius, to the hundredth of a degree that all of these are rounded to.
	BodyCelsius, OffsetCelsius *float64
	// FaceCelsius and AmbientCelsius are what was known beside the skin; with Fused, BodyCelsius rests on them too.
	FaceCelsius, AmbientCelsius *float64
	// BodyUncertaintyCelsius is half the width of the 95 % interval of BodyCelsius.
	BodyUncertaintyCelsius *float64
	// ThresholdCelsius is the alarm level that was applied, a reading at it being an alert: on the scale of BodyCelsius
	// where that is given, otherwise on the scale of SkinCelsius.
	ThresholdCelsius *float64
	BaselineCelsius  *float64 // what the inner canthi of people at this gate read lately

	canthusCelsius float64 // the reading as an inner canthus, for Learn and Count
	chillCelsius   float64 // what of it the cold has surely taken
	bare           bool    // read where nothing covers the skin
}

// Policy decides and learns what is usual at one gate.
type Policy struct {
	config Config
	group  group
}

// New returns a policy that has seen nobody.
func New(config Config) (*Policy, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p := &Policy{config: config}
	p.Reset()
	return p, nil
}

// Decide returns the verdict of a look, or false while more frames are wanted and there is time for them.
//
// A pass or an alert comes as soon as the reading is earlySigma standard errors clear of the alarm level, or finalSigma
// when the time is over (README.md has the error rates). event.Inconclusive comes only then: another frame may help.
func (p *Policy) Decide(e Estimate) (Verdict, bool) {
	timeUp := e.Elapsed >= p.config.TimeLimit
	numbers := e.SkinCelsius + e.NoiseCelsius + e.SystematicCelsius
	if e.Frames == 0 || math.IsNaN(numbers) || math.IsInf(numbers, 0) {
		return p.Unmeasured(event.NoReading), timeUp
	}
	if p.config.Referenced && !e.ReferenceOK {
		return p.Unmeasured(event.ReferenceLost), timeUp
	}
	v, level := p.Compare(e)
	z := earlySigma
	if timeUp {
		z = finalSigma
	}
	switch {
	case e.Frames < minFrames || e.Span < minSpan:
		v.Outcome, v.Reason = event.Inconclusive, event.NoReading
	case v.Outcome == event.Inconclusive && !sure(e, level):
		v.Reason = event.Covered
	case v.Outcome == event.Inconclusive:
	case !(math.Abs(*v.SkinCelsius-level) >= z*p.doubt(e, v)):
		v.Outcome, v.Reason = event.Inconclusive, event.TooClose
	case v.Outcome == event.Pass && p.group.Witness.shifted():
		v.Outcome, v.Reason = event.Inconclusive, event.BaselineShift
	case v.Outcome == event.Pass && p.cold(e, v, level):
		v.Outcome, v.Reason = event.Inconclusive, event.ColdArrival
	case v.Outcome == event.Pass && !sure(e, level):
		v.Outcome, v.Reason = event.Inconclusive, event.Covered
	}
	return v, timeUp || v.Outcome != event.Inconclusive
}

// sure says whether a reading below the alarm level is one to let somebody pass on: of the canthi, or of a bare forehead
// that stays below it by the full uncertainty, the cold that may be in it among that. What hat, glasses and mask leave of
// a face is often not skin at all: it may show a fever, but not that there is none.
func sure(e Estimate, level float64) bool {
	switch e.Site {
	case event.InnerCanthus:
		return true
	case event.Forehead:
		doubt := math.Hypot(math.Hypot(e.NoiseCelsius, e.SystematicCelsius), foreheadChill*e.ChillUncertainty)
		return e.Bare && e.SkinCelsius+foreheadChill*max(0, e.ChillCelsius)+finalSigma*doubt < level // false where either is NaN
	}
	return false
}

// Compare gives the verdict as if the reading were exact, and the alarm level on the scale of the skin.
func (p *Policy) Compare(e Estimate) (v Verdict, level float64) {
	c := p.config
	skin := event.Hundredths(e.SkinCelsius)
	deviation := math.Hypot(e.NoiseCelsius, e.SystematicCelsius)
	half := event.Hundredths(finalSigma * deviation)
	v = Verdict{Policy: c.inEffect(), SkinCelsius: &skin, UncertaintyCelsius: &half}

	offset, margin, spread := c.Offset(e.Site), c.MarginCelsius, bodySpread
	bodyLevel := c.ThresholdCelsius - offset // on the scale of the skin, as all levels
	f := c.Fused.estimate(skin, e.FaceCelsius, e.AmbientCelsius)
	v.FaceCelsius, v.AmbientCelsius = f.faceCelsius, f.ambientCelsius
	if v.Policy == Fused {
		margin = c.Fused.MarginCelsius
		if e.Site == event.InnerCanthus {
			bodyLevel += plainFever
			offset, spread = event.Hundredths(f.bodyCelsius-skin), f.spreadCelsius
		}
	}
	toCanthus := offset - c.Offset(event.InnerCanthus)
	v.canthusCelsius, v.chillCelsius = event.Hundredths(skin+toCanthus), e.chill()
	v.bare = e.Site == event.InnerCanthus || e.Site == event.Forehead && e.Bare
	if p.group.known() {
		baseline := event.Hundredths(p.group.at(e.At).baseline())
		v.BaselineCelsius = &baseline
	}
	overBody, overGroup := false, false
	level = math.Inf(1)
	if v.Policy != Group {
		body := event.Hundredths(skin + offset)
		v.BodyCelsius, v.OffsetCelsius = &body, &offset
		v.BodyUncertaintyCelsius = new(event.Hundredths(finalSigma * math.Hypot(deviation, SpreadAt(body, spread))))
		level = event.Hundredths(bodyLevel)
		overBody = skin >= level
	}
	if v.Policy != Offset {
		if v.BaselineCelsius == nil {
			v.Outcome, v.Reason = event.Inconclusive, event.GroupUnknown
			return v, level
		}
		groupLevel := event.Hundredths(*v.BaselineCelsius + margin - toCanthus)
		overGroup = skin >= groupLevel
		level = math.Min(level, groupLevel)
	}
	threshold := level
	if v.BodyCelsius != nil {
		threshold = event.Hundredths(level + offset)
	}
	v.ThresholdCelsius = &threshold
	v.Outcome, v.Reason = rule(v.Policy, overBody, overGroup)
	return v, level
}

func rule(kind Kind, overBody, overGroup bool) (event.Outcome, event.Reason) {
	switch {
	case overBody && overGroup:
		return event.Alert, event.AboveThresholdAndGroup
	case overBody:
		return event.Alert, event.AboveThreshold
	case overGroup:
		return event.Alert, event.AboveGroup
	case kind == Offset:
		return event.Pass, event.BelowThreshold
	case kind == Group:
		return event.Pass, event.BelowGroup
	}
	return event.Pass, event.BelowThresholdAndGroup
}

// doubt is the standard uncertainty that counts against a decision. Systematic uncertainty does not so far as the
// threshold was found with it; and none of it does in the group policy, whose baseline was read through the same camera
// and reference, nor against an alert: who may read too warm, because nobody has measured the reference source, is read a
// second time rather than sent on.
func (p *Policy) doubt(e Estimate, v Verdict) float64 {
	doubt := math.Max(e.NoiseCelsius, frameNoise/math.Sqrt(float64(e.Frames)))
	if v.Policy == Group || v.Outcome == event.Alert {
		return doubt
	}
	shared := sharedSystematic
	if e.Site != event.InnerCanthus {
		shared = math.Hypot(shared, siteSpread)
	}
	excess := math.Max(0, e.SystematicCelsius*e.SystematicCelsius-shared*shared)
	return math.Sqrt(doubt*doubt + excess)
}

// chill is by how much the reading is surely colder than indoors, 0 where that is not sure.
func (e Estimate) chill() float64 {
	switch {
	case !(e.ChillCelsius > 0 && e.ChillCelsius >= chillSigma*e.ChillUncertainty):
		return 0
	case e.Site == event.Forehead:
		return foreheadChill * e.ChillCelsius
	}
	return e.ChillCelsius
}

// cold tells a face that has not warmed up since it came in, and that might be above the alarm level once it has.
func (p *Policy) cold(e Estimate, v Verdict, level float64) bool {
	below, doubt := p.config.ColdBelowGroupCelsius, bareDoubt
	if e.Masked {
		doubt = maskedDoubt
	}
	if e.Site != event.InnerCanthus {
		below += hiddenCold
	}
	if v.BaselineCelsius != nil {
		over := *v.BaselineCelsius - below - v.canthusCelsius
		if over > 0 && !(over <= baselineSigma*p.group.at(e.At).uncertainty() && e.restsBelow(level)) {
			return true
		}
	}
	return e.chill() > 0 && e.SkinCelsius+e.ChillCelsius+doubt*e.ChillUncertainty >= level
}

// restsBelow says whether nose and cheeks, which lose more than the canthi and win it back last, tell that the reading stays below
// the alarm level once the face is warm. If they are too warm for the canthi beside them, it was read beside the canthi; under
// a mask they are not seen, and its breath warms what is.
func (e Estimate) restsBelow(level float64) bool {
	return e.Site == event.InnerCanthus && !e.Masked && e.ChillCelsius >= -restSigma*e.ChillUncertainty &&
		e.SkinCelsius+max(0, e.ChillCelsius)+restSigma*e.ChillUncertainty < level // false where either is NaN
}

// Unmeasured is the verdict of a look that gave no reading.
func (p *Policy) Unmeasured(why event.Reason) Verdict {
	return Verdict{Outcome: event.Inconclusive, Reason: why, Policy: p.config.inEffect()}
}

// Learn lets the group baseline follow a verdict given at a time. Only people who passed teach it.
func (p *Policy) Learn(v Verdict, at time.Time) {
	if v.Outcome == event.Pass && p.group.known() {
		p.group.learn(v.canthusCelsius, at)
	}
}

// Reset forgets everybody and goes back to the stated prior.
func (p *Policy) Reset() {
	p.group = newGroup(p.config)
}

func (c Config) Offset(site event.Site) float64 {
	switch site {
	case event.Forehead:
		return event.Hundredths(c.ForeheadOffsetCelsius)
	case event.WholeFace:
		return event.Hundredths(c.FaceOffsetCelsius)
	}
	return event.Hundredths(c.OffsetCelsius)
}

// prior is what the group is taken to read before anybody was seen, as inner canthi.
func (c Config) prior() float64 {
	if c.inEffect() == Fused {
		return c.Fused.PriorCelsius - c.Offset(event.InnerCanthus)
	}
	return c.PriorCelsius
}

// inEffect is the rule that can be applied: without a reference skin temperatures mean something only beside each other.
func (c Config) inEffect() Kind {
	if !c.Referenced {
		return Group
	}
	return c.Kind
}

// Validate reports the first setting that can't be meant, by its key.
func (c Config) Validate() error {
	switch c.Kind {
	case Offset, Group, Both, Fused:
	default:
		return fmt.Errorf("kind: %q is not offset, group, both or fused", c.Kind)
	}
	if a := c.AmbientCelsius; a != nil && !(*a >= LeastAmbientCelsius && *a <= MostAmbientCelsius) {
		return fmt.Errorf("ambient_celsius: %g is outside %g to %g; leave it empty where it is not known", *a, LeastAmbientCelsius, MostAmbientCelsius)
	}
	if err := c.Fused.Validate(); err != nil {
		return fmt.Errorf("fused.%w", err)
	}
	for _, r := range []struct {
		key          string
		value        float64
		least, most  float64
		recommending string
	}{
		{"threshold_celsius", c.ThresholdCelsius, 35, 40, "37.3 and 37.5 are common"},
		{"offset_celsius", c.OffsetCelsius, -2, 6, "`thermogate study` finds it from a site's own pairs"},
		{"forehead_offset_celsius", c.ForeheadOffsetCelsius, -2, 6, "`thermogate study --site forehead` finds it"},
		{"face_offset_celsius", c.FaceOffsetCelsius, -2, 6, "`thermogate study --site face` finds it"},
		{"margin_celsius", c.MarginCelsius, 0.1, 3, "the default suits most gates"},
		{"prior_celsius", c.PriorCelsius, 28, 43, "it is a skin temperature at the inner canthi"},
		{"cold_below_group_celsius", c.ColdBelowGroupCelsius, 0.5, 15, "the default suits most gates"},
	} {
		if !(r.value >= r.least && r.value <= r.most) {
			return fmt.Errorf("%s: %g is outside %g to %g; %s", r.key, r.value, r.least, r.most, r.recommending)
		}
	}
	if c.Memory < time.Minute || c.Memory > 30*24*time.Hour {
		return fmt.Errorf("memory: %v is outside 1m to 720h", c.Memory)
	}
	if c.TimeLimit < 200*time.Millisecond || c.TimeLimit > 5*time.Second {
		return fmt.Errorf("time_limit: %v is outside 200ms to 5s", c.TimeLimit)
	}
	return nil
}

package study

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"

	"gonum.org/v1/gonum/stat"
)

// Options says what pairs are judged by.
type Options struct {
	Config         policy.Config // the policies in use
	FebrileCelsius float64       // oral temperature from which on a person counts as febrile
	PeoplePerDay   float64
	Prevalence     float64 // of fever among them, 0 to 1
	// People are how many there were by the gate's outcome where only some of them were read a second time, and by outcome
	// more or less of them: each pair then stands for its share. An outcome of which nobody was read is left out of
	// everything. Prevalence does not matter, it is what the pairs say. Nil where the pairs are a fair sample.
	People map[event.Outcome]int
}

// Study is what pairs of skin and oral temperature say about a gate. Intervals hold with 95 % confidence.
type Study struct {
	Pairs          int           `json:"pairs"`
	Febrile        int           `json:"febrile"`
	FebrileCelsius float64       `json:"febrile_celsius"`
	LeftOut        []LeftOut     `json:"left_out"`
	Untimed        int           `json:"untimed"` // pairs without a time that can be read; they keep their place in the file
	Offsets        []OffsetStudy `json:"offsets"`
	AmbientSlope   *Interval     `json:"ambient_slope,omitempty"` // of oral minus skin, °C per °C; nil without ambient temperatures
	AUC            *Interval     `json:"auc,omitempty"`           // nil unless there are febrile and other people
	ROC            []ROCPoint    `json:"roc,omitempty"`
	Policies       []PolicyStudy `json:"policies"`        // with the settings in use
	Suggested      []PolicyStudy `json:"suggested"`       // with policy.Config's, which were found on these very pairs: a little too good
	Fused          *FusedStudy   `json:"fused,omitempty"` // nil unless there are pairs of canthi
	Config         string        `json:"config"`          // lines for the configuration file
	Agreement      []Agreement   `json:"-"`               // of every pair, in order of time
}

// OffsetStudy is oral minus skin temperature at one site as one camera sees it, and how body temperature by the offset in
// use agrees with oral (Bland and Altman 1986): its bias and the limits within which 95 % of the differences lie.
type OffsetStudy struct {
	Camera        string     `json:"camera,omitempty"`
	Site          event.Site `json:"site"`
	Pairs         int        `json:"pairs"`
	OffsetCelsius Interval   `json:"offset_celsius"`
	SpreadCelsius float64    `json:"spread_celsius"` // standard deviation
	BiasCelsius   Interval   `json:"bias_celsius"`
	LowerLimit    Interval   `json:"lower_limit_of_agreement_celsius"`
	UpperLimit    Interval   `json:"upper_limit_of_agreement_celsius"`
}

// ROCPoint is what an alarm at and above a body temperature would do.
type ROCPoint struct {
	BodyCelsius       float64 `json:"body_celsius"`
	Sensitivity       float64 `json:"sensitivity"`
	FalsePositiveRate float64 `json:"false_positive_rate"`
}

// PolicyStudy is what a policy does with the pairs, and would do in a day.
type PolicyStudy struct {
	Policy      policy.Kind `json:"policy"`
	Sensitivity *Rate       `json:"sensitivity,omitempty"`
	Specificity *Rate       `json:"specificity,omitempty"`
	PerDay      *Day        `json:"per_day,omitempty"`
}

// Day is what to expect of one day at the gate.
type Day struct {
	Alerts      float64 `json:"alerts"`
	FalseAlerts float64 `json:"false_alerts"`
	Missed      float64 `json:"missed"`
}

// Agreement is a point of the Bland–Altman plot: body temperature by the offset in use, and oral.
type Agreement struct {
	MeanCelsius, DifferenceCelsius float64
	Outcome                        event.Outcome // the pair's
}

// Evaluate works out a study. The group policy meets the people camera by camera in order of time; those without a time
// keep their place in the file. Cold arrivals are not sorted out: people in a study have been indoors.
func Evaluate(pairs []Pair, leftOut []LeftOut, o Options) (Study, error) {
	if err := o.Validate(); err != nil {
		return Study{}, err
	}
	pairs, leftOut = withoutRare(pairs, leftOut)
	if len(pairs) < leastPairs {
		return Study{}, tooFew(len(pairs), leftOut)
	}
	s := Study{Pairs: len(pairs), FebrileCelsius: o.FebrileCelsius, LeftOut: leftOut}
	for _, p := range pairs {
		s.Untimed += count(p.At.IsZero())
	}
	pairs = inOrder(pairs)
	for _, p := range pairs {
		s.Febrile += count(o.febrile(p))
	}
	s.Agreement = Points(pairs, o.Config)
	s.Offsets = o.offsets(pairs)
	s.AmbientSlope = o.ambientSlope(pairs)
	s.ROC, s.AUC = o.roc(pairs)

	suggested := o
	suggested.Config, s.Config = suggest(pairs, o)
	var err error
	if s.Fused, err = studyFused(pairs, o); err != nil {
		return s, err
	}
	if s.Fused != nil && s.Fused.CrossValidated != nil {
		s.Fused.Better = s.Fused.Better && o.People == nil // its figures are of the pairs as they are
		suggested.Config.Fused = s.Fused.config
		s.Config += s.Fused.lines()
	}
	if s.Policies, err = o.policies(pairs); err != nil {
		return s, err
	}
	s.Suggested, err = suggested.policies(pairs)
	return s, err
}

// leastPairs of a camera and site are needed for an interval that means anything at all.
const leastPairs = 3

// withoutRare leaves out cameras and sites with too few pairs.
func withoutRare(pairs []Pair, leftOut []LeftOut) ([]Pair, []LeftOut) {
	counts := map[source]int{}
	for _, p := range pairs {
		counts[p.source()]++
	}
	rare := LeftOut{Reason: fmt.Sprintf("fewer than %d pairs of this camera and site", leastPairs)}
	kept := make([]Pair, 0, len(pairs))
	for _, p := range pairs {
		if counts[p.source()] < leastPairs {
			rare.Lines = append(rare.Lines, p.Line)
		} else {
			kept = append(kept, p)
		}
	}
	leftOut = append([]LeftOut{}, leftOut...)
	if rare.Lines != nil {
		leftOut = append(leftOut, rare)
	}
	return kept, leftOut
}

// source is what has an offset of its own.
type source struct {
	camera string
	site   event.Site
}

func (p Pair) source() source { return source{p.Camera, p.Site} }

func tooFew(pairs int, leftOut []LeftOut) error {
	var reasons strings.Builder
	for _, l := range leftOut {
		fmt.Fprintf(&reasons, "; left out %d from line %d on: %s", len(l.Lines), l.Lines[0], l.Reason)
	}
	return fmt.Errorf("pairs that can be used: %d; a study needs at least %d, and is worth little below 100%s", pairs, leastPairs, &reasons)
}

// Validate reports the first option that can't be meant.
func (o Options) Validate() error {
	if !(o.FebrileCelsius >= 36 && o.FebrileCelsius <= 40) {
		return fmt.Errorf("febrile from %g °C on: it is outside 36 to 40", o.FebrileCelsius)
	}
	if !(o.Prevalence >= 0 && o.Prevalence <= 1) {
		return fmt.Errorf("prevalence %g: it is a share from 0 to 1, such as 0.01", o.Prevalence)
	}
	if !(o.PeoplePerDay >= 0) {
		return fmt.Errorf("people per day %g: it can't be negative", o.PeoplePerDay)
	}
	return o.Config.Validate()
}

func (o Options) febrile(p Pair) bool { return p.OralCelsius >= o.FebrileCelsius }

// inOrder sorts by time. A row without one comes with the row before it; a file without any is spread over a minute each.
func inOrder(pairs []Pair) []Pair {
	pairs = slices.Clone(pairs)
	timed := slices.ContainsFunc(pairs, func(p Pair) bool { return !p.At.IsZero() })
	for i := range pairs {
		switch {
		case !timed:
			pairs[i].At = time.Unix(0, 0).Add(time.Duration(i) * time.Minute)
		case pairs[i].At.IsZero() && i > 0:
			pairs[i].At = pairs[i-1].At
		}
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return a.At.Compare(b.At) })
	return pairs
}

// policies judges every pair by every policy.
func (o Options) policies(pairs []Pair) ([]PolicyStudy, error) {
	var all []PolicyStudy
	for _, kind := range []policy.Kind{policy.Offset, policy.Group, policy.Both, policy.Fused} {
		config := o.Config
		config.Kind = kind
		alerted, err := alerts(pairs, config)
		if err != nil {
			return nil, err
		}
		s := PolicyStudy{Policy: kind}
		s.Sensitivity, s.Specificity = o.rates(pairs, alerted)
		if o.People != nil {
			o.extrapolate(&s, pairs, alerted)
		} else {
			s.PerDay = o.day(s)
		}
		all = append(all, s)
	}
	return all, nil
}

// rates are how many of the febrile pairs have an alert, and how many of the others have none.
func (o Options) rates(pairs []Pair, alerted []bool) (sensitivity, specificity *Rate) {
	var found, febrile, passed, well int
	for i, alert := range alerted {
		if o.febrile(pairs[i]) {
			febrile++
			found += count(alert)
		} else {
			well++
			passed += count(!alert)
		}
	}
	return wilson(found, febrile), wilson(passed, well)
}

// alerts says who has one, camera by camera in order of time. A pair that comes with its gate's baseline is compared with
// that, but not by the fused policy, whose baseline is on another scale.
func alerts(pairs []Pair, config policy.Config) ([]bool, error) {
	gates := map[string]*policy.Policy{}
	all := make([]bool, len(pairs))
	for i, p := range pairs {
		gate := gates[p.Camera]
		if gate == nil {
			var err error
			if gate, err = policy.New(config); err != nil {
				return nil, err
			}
			gates[p.Camera] = gate
		}
		if p.BaselineCelsius != 0 && config.Kind != policy.Fused {
			state := gate.State()
			state.LevelCelsius, state.DayCelsius, state.Updated = p.BaselineCelsius, 0, p.At
			if err := gate.Restore(state, p.At); err != nil {
				return nil, err
			}
		}
		v, _ := gate.Compare(policy.Estimate{SkinCelsius: p.SkinCelsius, FaceCelsius: p.FaceCelsius, AmbientCelsius: p.AmbientCelsius, Site: p.Site, At: p.At})
		gate.Learn(v, p.At)
		all[i] = v.Outcome == event.Alert
	}
	return all, nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (o Options) day(s PolicyStudy) *Day {
	if s.Sensitivity == nil || s.Specificity == nil {
		return nil
	}
	ill := o.PeoplePerDay * o.Prevalence
	caught := ill * s.Sensitivity.Value
	falseAlerts := (o.PeoplePerDay - ill) * (1 - s.Specificity.Value)
	return &Day{Alerts: caught + falseAlerts, FalseAlerts: falseAlerts, Missed: ill - caught}
}

// suggest takes offsets and prior from the pairs, and gives them as a configuration and as lines for its file.
func suggest(pairs []Pair, o Options) (policy.Config, string) {
	c := o.Config
	cameras := map[string]bool{}
	bySite := map[event.Site]*weighted{}
	weights := o.weights(pairs)
	for i, p := range pairs {
		cameras[p.Camera] = true
		if bySite[p.Site] == nil {
			bySite[p.Site] = &weighted{}
		}
		bySite[p.Site].add(p.OralCelsius-p.SkinCelsius, weights[i])
	}
	var b strings.Builder
	if len(cameras) > 1 {
		b.WriteString("# of all cameras together; where their offsets differ, study each by itself\n")
	}
	fmt.Fprintf(&b, "policy:\n  threshold_celsius: %g\n", c.ThresholdCelsius)
	for _, site := range []struct {
		name   event.Site
		key    string
		offset *float64
	}{
		{event.InnerCanthus, "offset_celsius", &c.OffsetCelsius},
		{event.Forehead, "forehead_offset_celsius", &c.ForeheadOffsetCelsius},
		{event.WholeFace, "face_offset_celsius", &c.FaceOffsetCelsius},
	} {
		if differences := bySite[site.name]; differences != nil {
			*site.offset = event.Hundredths(stat.Mean(differences.values, differences.weights))
			fmt.Fprintf(&b, "  %s: %.2f\n", site.key, *site.offset)
		}
	}
	var usual weighted
	for i, p := range pairs {
		if !o.febrile(p) {
			usual.add(p.SkinCelsius+c.Offset(p.Site)-c.Offset(event.InnerCanthus), weights[i])
		}
	}
	if usual.values != nil {
		c.PriorCelsius = event.Hundredths(usual.median())
	}
	fmt.Fprintf(&b, "  prior_celsius: %.2f\n  margin_celsius: %g\n", c.PriorCelsius, c.MarginCelsius)
	return c, b.String()
}

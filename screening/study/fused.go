package study

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"thermogate/screening/event"
	"thermogate/screening/policy"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// FusedStudy is what the fused policy is worth with pairs read at the canthi. Who was measured more than once counts as one
// person: together in or out of what a model is fitted on, and once in every interval.
type FusedStudy struct {
	Pairs   int  `json:"pairs"`
	Without int  `json:"without"` // pairs that lack what the others have, and are left out
	People  int  `json:"people"`
	Fevers  int  `json:"fevers"` // pairs at FeverCelsius and more
	Face    bool `json:"face"`   // what they have beside the canthi
	Ambient bool `json:"ambient"`
	// Fitted says that the models are of these pairs; where these are too few for that, those in use are shifted to them
	// or, Shifted neither, left alone.
	Fitted         bool          `json:"fitted"`
	Shifted        bool          `json:"shifted"`
	InUse          FusedFigures  `json:"in_use"`                    // with the models in use
	CrossValidated *FusedFigures `json:"cross_validated,omitempty"` // with models of everybody but the person
	Model          policy.Model  `json:"model"`                     // of all pairs
	Better         bool          `json:"better"`                    // cross-validated, beyond doubt, than the offset here
	config         policy.FusedConfig
}

// FusedFigures are those of an estimate and of the verdicts by it at the margin in use. Areas, rates and their sum are means
// over the cameras.
type FusedFigures struct {
	AUC         *Interval `json:"auc,omitempty"`
	AUCGain     *Interval `json:"auc_gain,omitempty"` // over the canthi alone
	Sensitivity *Interval `json:"sensitivity,omitempty"`
	Specificity *Interval `json:"specificity,omitempty"`
	Sum         *Interval `json:"sum,omitempty"`      // of both
	SumGain     *Interval `json:"sum_gain,omitempty"` // over the offset policy with the offset of these pairs
	// Estimate less oral temperature, of those at FeverCelsius and more and of the others; its slope against oral
	// temperature; and its spread.
	FeverError    *Interval `json:"fever_error_celsius,omitempty"`
	OthersError   *Interval `json:"others_error_celsius,omitempty"`
	Slope         *float64  `json:"slope,omitempty"` // nil where oral temperatures do not differ
	SpreadCelsius float64   `json:"spread_celsius"`
	// Share of the stated 95 % intervals of body temperature that hold the oral one.
	Covered float64       `json:"covered"`
	Cameras []FusedCamera `json:"cameras"`
}

// FusedCamera has the figures of one camera.
type FusedCamera struct {
	Camera      string  `json:"camera,omitempty"`
	Pairs       int     `json:"pairs"`
	CanthiAUC   float64 `json:"canthi_auc"`
	AUC         float64 `json:"auc"`
	Sensitivity float64 `json:"sensitivity"`
	Specificity float64 `json:"specificity"`
}

// FeverCelsius is the oral temperature from which on a model has to be right: the regression is weighted for it.
const FeverCelsius = 38.0

const (
	// A model of its own takes this many people, and this many pairs at FeverCelsius and more: coefficients are as good as
	// the fevers they are fitted on. Canthi and face are so much alike that it takes shareFevers to tell what is due to
	// which; fitted on one round of the 544 people, with 17 to 19, a face got 0.3 to 0.9, and the estimate was no better
	// than the canthi. A shift takes shiftPeople without a fever.
	fitPeople, fitFevers, shareFevers = 100, 10, 50

	shiftPeople = 30
	folds       = 10
	// othersHigh, °C, is how much too high the models in use estimate those without a fever on purpose.
	othersHigh = 0.09
)

// studyFused returns nil where fewer than leastPairs are of canthi.
func studyFused(pairs []Pair, o Options) (*FusedStudy, error) {
	inUse := o.Config.Fused
	s := &FusedStudy{config: inUse}
	var usable []Pair
	for _, p := range pairs {
		if p.Site == event.InnerCanthus {
			usable = append(usable, p)
		}
	}
	s.Face = mostly(usable, func(p Pair) bool { return p.knowsFace() })
	s.Ambient = mostly(usable, func(p Pair) bool { return p.knowsAmbient() }) && variesInAmbient(usable)
	all := len(usable)
	usable = kept(usable, func(p Pair) bool { return (p.knowsFace() || !s.Face) && (p.knowsAmbient() || !s.Ambient) })
	if len(usable) < leastPairs {
		return nil, nil
	}
	for i := range usable { // what some have alone is no input
		usable[i].Person = usable[i].person()
		if !s.Face {
			usable[i].FaceCelsius = math.NaN()
		}
		if !s.Ambient {
			usable[i].AmbientCelsius = math.NaN()
		}
	}
	s.Pairs, s.Without = len(usable), all-len(usable)
	var fold []int
	fold, s.People = foldsOf(usable)
	for _, p := range usable {
		s.Fevers += count(p.OralCelsius >= FeverCelsius)
	}
	s.Fitted = s.People >= fitPeople && s.Fevers >= fitFevers
	if s.Fitted { // unless what comes out is nonsense
		s.Fitted = s.fit(usable, inUse).Validate() == nil
	}
	s.Shifted = !s.Fitted && s.People-s.Fevers >= shiftPeople

	s.Model = inUse.Model(s.Face, s.Ambient)
	var err error
	if s.InUse, err = o.fusedFigures(usable, estimates(usable, func(int) policy.FusedConfig { return inUse }), s.Model.SpreadCelsius); err != nil {
		return nil, err
	}
	if !s.Fitted && !s.Shifted {
		return s, nil
	}
	var without [folds]policy.FusedConfig
	for k := range without {
		without[k] = s.fit(others(usable, fold, k), inUse)
	}
	crossed := estimates(usable, func(i int) policy.FusedConfig { return without[fold[i]] })
	s.config = s.fit(usable, inUse)
	s.Model = s.config.Model(s.Face, s.Ambient)
	cross, err := o.fusedFigures(usable, crossed, s.Model.SpreadCelsius)
	if err != nil {
		return nil, err
	}
	s.CrossValidated, s.Better = &cross, cross.AUCGain != nil && cross.AUCGain.Low > 0
	well := kept(usable, func(p Pair) bool { return !o.febrile(p) })
	if well != nil {
		s.config.PriorCelsius = event.Hundredths(weightless(estimates(well, func(int) policy.FusedConfig { return s.config })).median())
	}
	return s, nil
}

func (p Pair) knowsFace() bool { return math.Abs(p.FaceCelsius-p.SkinCelsius) <= policy.MostFaceApart }
func (p Pair) knowsAmbient() bool {
	return p.AmbientCelsius >= policy.LeastAmbientCelsius && p.AmbientCelsius <= policy.MostAmbientCelsius
}

// person is whom a pair is of.
func (p Pair) person() string {
	if p.Person != "" {
		return p.Person
	}
	return fmt.Sprint("line ", p.Line)
}

// variesInAmbient says whether pairs can tell what the air does.
func variesInAmbient(pairs []Pair) bool {
	const least = 0.2 // °C, standard deviation
	var known []float64
	for _, p := range pairs {
		if p.knowsAmbient() {
			known = append(known, policy.StudiedAmbient(p.AmbientCelsius))
		}
	}
	return len(known) > 1 && stat.StdDev(known, nil) >= least
}

func mostly(pairs []Pair, is func(Pair) bool) bool { return 4*len(kept(pairs, is)) >= 3*len(pairs) }

func kept(pairs []Pair, is func(Pair) bool) []Pair {
	var some []Pair
	for _, p := range pairs {
		if is(p) {
			some = append(some, p)
		}
	}
	return some
}

// foldsOf deals people into folds, the same ones every time, and says in which each pair is.
func foldsOf(pairs []Pair) (fold []int, people int) {
	known := map[string]int{}
	who := make([]int, len(pairs))
	for i, p := range pairs {
		n, seen := known[p.person()]
		if !seen {
			n = len(known)
			known[p.person()] = n
		}
		who[i] = n
	}
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(known))
	for _, n := range who {
		fold = append(fold, order[n]%folds)
	}
	return fold, len(known)
}

// others are the pairs that are not in a fold.
func others(pairs []Pair, fold []int, k int) []Pair {
	var some []Pair
	for i, p := range pairs {
		if fold[i] != k {
			some = append(some, p)
		}
	}
	return some
}

func estimates(pairs []Pair, by func(i int) policy.FusedConfig) []float64 {
	var bodies []float64
	for i, p := range pairs {
		bodies = append(bodies, by(i).Estimate(p.SkinCelsius, p.FaceCelsius, p.AmbientCelsius))
	}
	return bodies
}

// fit finds the models for what pairs have, and for less, or shifts those there are. A model for what they don't have goes
// without it.
func (s *FusedStudy) fit(pairs []Pair, c policy.FusedConfig) policy.FusedConfig {
	if !s.Fitted {
		var low []float64
		for _, p := range pairs {
			if p.OralCelsius < FeverCelsius {
				low = append(low, p.OralCelsius-c.Estimate(p.SkinCelsius, p.FaceCelsius, p.AmbientCelsius))
			}
		}
		return c.Shifted(stat.Mean(low, nil) + othersHigh)
	}
	for _, face := range []bool{false, true} {
		for _, ambient := range []bool{false, true} {
			share := math.NaN()
			if m := c.Model(face, ambient); s.Fevers < shareFevers {
				share = m.Face / (m.Canthi + m.Face)
			}
			c = c.With(fitModel(pairs, face && s.Face, ambient && s.Ambient, share), face, ambient)
		}
	}
	return c
}

// fitModel is a least squares regression of oral temperature in which those at FeverCelsius and more weigh together as much
// as all others: by itself a regression fits the many well people and estimates the few febrile ones near to them. The
// face gets this share of what skin is worth, or what it turns out to where share is NaN.
func fitModel(pairs []Pair, face, ambient bool, share float64) policy.Model {
	fevers := float64(len(kept(pairs, func(p Pair) bool { return p.OralCelsius >= FeverCelsius })))
	apart := face && math.IsNaN(share)
	columns := 2 + count(apart) + count(ambient)
	a, b := mat.NewDense(len(pairs), columns, nil), mat.NewVecDense(len(pairs), nil)
	for i, p := range pairs {
		root := 1.0
		if p.OralCelsius >= FeverCelsius {
			root = math.Sqrt((float64(len(pairs)) - fevers) / fevers)
		}
		warmest := max(p.FaceCelsius, p.SkinCelsius)
		row := []float64{root, root * p.SkinCelsius}
		switch {
		case apart:
			row = append(row, root*warmest)
		case face:
			row[1] = root * (p.SkinCelsius + share*(warmest-p.SkinCelsius))
		}
		if ambient {
			row = append(row, root*policy.StudiedAmbient(p.AmbientCelsius))
		}
		a.SetRow(i, row)
		b.SetVec(i, root*p.OralCelsius)
	}
	var x mat.VecDense
	if err := x.SolveVec(a, b); err != nil {
		return policy.Model{} // an input is the same for all
	}
	m := policy.Model{Celsius: rounded(x.AtVec(0)), Canthi: rounded(x.AtVec(1))}
	switch {
	case apart:
		m.Face = rounded(x.AtVec(2))
	case face:
		m.Canthi, m.Face = rounded(x.AtVec(1)*(1-share)), rounded(x.AtVec(1)*share)
	}
	if ambient {
		m.Ambient = rounded(x.AtVec(columns - 1))
	}
	var squares float64
	for _, p := range pairs {
		d := m.Celsius + m.Canthi*p.SkinCelsius - p.OralCelsius
		if face {
			d += m.Face * max(p.FaceCelsius, p.SkinCelsius)
		}
		if ambient {
			d += m.Ambient * policy.StudiedAmbient(p.AmbientCelsius)
		}
		squares += d * d
	}
	m.SpreadCelsius = event.Hundredths(math.Sqrt(squares / float64(len(pairs))))
	return m
}

func rounded(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// fusedFigures judges everybody by their estimate, whose model states this spread, and by the offset policy with the offset
// of these pairs.
func (o Options) fusedFigures(pairs []Pair, bodies []float64, spreadCelsius float64) (FusedFigures, error) {
	f := FusedFigures{}
	var oral, canthi, differences []float64
	var ill []bool
	for i, p := range pairs {
		oral, canthi = append(oral, p.OralCelsius), append(canthi, p.SkinCelsius)
		differences = append(differences, bodies[i]-p.OralCelsius)
		ill = append(ill, o.febrile(p))
	}
	if _, slope := stat.LinearRegression(oral, bodies, nil, false); !math.IsNaN(slope) {
		f.Slope = &slope
	}
	f.SpreadCelsius = math.Sqrt(stat.MomentAbout(2, differences, 0, nil))
	within := 0
	for i, d := range differences {
		within += count(math.Abs(d) <= 1.96*policy.SpreadAt(bodies[i], spreadCelsius))
	}
	f.Covered = float64(within) / float64(len(differences))
	c := newCohort(pairs, ill)
	f.FeverError = c.meanOf(differences, func(i int) bool { return oral[i] >= FeverCelsius })
	f.OthersError = c.meanOf(differences, func(i int) bool { return oral[i] < FeverCelsius })
	byFused, err := o.fusedAlerts(pairs, bodies)
	if err != nil {
		return f, err
	}
	byOffset, err := o.offsetAlerts(pairs)
	if err != nil {
		return f, err
	}
	area, alone, sensitivity, specificity, other := c.figure(), c.figure(), c.figure(), c.figure(), c.figure()
	for _, camera := range c.cameras {
		a := area.discriminate(camera, bodies)
		b := alone.discriminate(camera, canthi)
		se, sp := sensitivity.share(camera, byFused, true), specificity.share(camera, byFused, false)
		other.share(camera, byOffset, true)
		other.share(camera, byOffset, false)
		f.Cameras = append(f.Cameras, FusedCamera{camera.name, len(camera.pairs), b, a, se, sp})
	}
	if len(f.Cameras) == 0 {
		return f, nil
	}
	sum := sensitivity.plus(specificity, 1)
	f.AUC, f.AUCGain = area.interval(0, 1), area.plus(alone, -1).interval(-1, 1)
	f.Sensitivity, f.Specificity = sensitivity.interval(0, 1), specificity.interval(0, 1)
	f.Sum, f.SumGain = sum.interval(0, 2), sum.plus(other, -1).interval(-2, 2)
	return f, nil
}

// fusedAlerts are the verdicts by the fused policy on people whose estimates are given: as if their canthi read that, by
// the offset.
func (o Options) fusedAlerts(pairs []Pair, bodies []float64) ([]bool, error) {
	c := o.Config
	c.Kind = policy.Fused
	offset := c.Offset(event.InnerCanthus)
	c.Fused.Canthi = policy.Model{Celsius: offset, Canthi: 1, SpreadCelsius: 1}
	read := make([]Pair, len(pairs))
	for i, p := range pairs {
		read[i] = Pair{Camera: p.Camera, Site: event.InnerCanthus, SkinCelsius: bodies[i] - offset, FaceCelsius: math.NaN(), AmbientCelsius: math.NaN(), At: p.At}
	}
	return alerts(read, c)
}

func (o Options) offsetAlerts(pairs []Pair) ([]bool, error) {
	c, _ := suggest(pairs, o)
	c.Kind = policy.Offset
	return alerts(pairs, c)
}

// lines are what a configuration says of the fused policy.
func (s *FusedStudy) lines() string {
	var b strings.Builder
	if s.Better {
		b.WriteString("  kind: fused\n")
	}
	fmt.Fprintf(&b, "  fused:\n    prior_celsius: %.2f\n", s.config.PriorCelsius)
	for _, model := range []struct {
		key           string
		face, ambient bool
	}{{"canthi", false, false}, {"canthi_ambient", false, true}, {"canthi_face", true, false}, {"canthi_face_ambient", true, true}} {
		m := s.config.Model(model.face, model.ambient)
		fmt.Fprintf(&b, "    %s: {celsius: %.4f, canthi: %.4f, face: %.4f, ambient: %.4f, spread_celsius: %.2f}\n",
			model.key, m.Celsius, m.Canthi, m.Face, m.Ambient, m.SpreadCelsius)
	}
	return b.String()
}

package study

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"
	"thermogate/testdata"
)

// stream lets people drawn from the clinical data through a gate, three shifts of 300 a day.
type stream struct {
	*policy.Policy
	crowd
	random *rand.Rand
	people int
	tally
}

// crowd are readings of the canthi of people below 37.5 °C, and of those at 38 °C and more.
type crowd struct{ well, febrile []float64 }

// tally is what became of people since it was cleared.
type tally struct {
	met, febrilePassed, febrileMet, wellAlarmed, wellStopped, wellMet int
	spells                                                            int // of a shift or an unknown group
	noticed                                                           int // people until the first of them, 0 for none
}

// passage is one person at the gate: whether they have a fever, by how much the camera, or a day, reads too high, and by how
// much the cold has cooled the face.
type passage struct {
	febrile         bool
	celsius, cooled float64
}

const streamShift = 300

func clinicalCrowd(t *testing.T) (c crowd) {
	t.Helper()
	f, err := os.Open(testdata.Shared(t, "clinical", "FLIR_group1.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pairs, _, err := ReadPairs(f, Columns{Round: AllRounds})
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range pairs {
		switch {
		case pair.OralCelsius >= 38:
			c.febrile = append(c.febrile, pair.SkinCelsius)
		case pair.OralCelsius < 37.5:
			c.well = append(c.well, pair.SkinCelsius)
		}
	}
	return c
}

// now is when the next person comes: shifts begin at 6, 14 and 22 o'clock, and take three quarters of an hour to come in.
func (s *stream) now() time.Time {
	first := time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC)
	return first.Add(time.Duration(s.people/streamShift)*8*time.Hour + time.Duration(s.people%streamShift)*9*time.Second)
}

func (s *stream) meet(p passage) {
	from := s.well
	if p.febrile {
		from = s.febrile
	}
	e := policy.Estimate{
		SkinCelsius:  from[s.random.IntN(len(from))] + p.celsius - p.cooled + 0.03*s.random.NormFloat64(),
		NoiseCelsius: 0.03, SystematicCelsius: 0.15, Site: event.InnerCanthus, Bare: true,
		ChillCelsius: s.chill(p.cooled), ChillUncertainty: 0.25,
		Frames: 9, Span: time.Second, Elapsed: time.Second, At: s.now(), ReferenceOK: true,
	}
	before := s.Problem()
	v, _ := s.Decide(e)
	s.Count(v)
	s.Learn(v, e.At)
	s.people++
	s.met++
	if before == event.NoProblem && s.Problem() != event.NoProblem {
		if s.spells++; s.spells == 1 {
			s.noticed = s.met
		}
	}
	s.febrileMet += count(p.febrile)
	s.febrilePassed += count(p.febrile && v.Outcome == event.Pass)
	s.wellMet += count(!p.febrile)
	s.wellAlarmed += count(!p.febrile && v.Outcome == event.Alert)
	s.wellStopped += count(!p.febrile && v.Outcome == event.Inconclusive)
}

// chill is what nose and cheeks tell of the cold, each by itself: the lesser, and once both are sure the mean, as package measure
// has it.
func (s *stream) chill(celsius float64) float64 {
	nose, cheeks := celsius+0.25*s.random.NormFloat64(), celsius+0.25*s.random.NormFloat64()
	if least := min(nose, cheeks); least < 0.375 {
		return least
	}
	return (nose + cheeks) / 2
}

// run goes on with some people, of whom a share has a fever.
func (s *stream) run(people int, febrile float64, each func(n int, p *passage)) tally {
	s.tally = tally{}
	for n := range people {
		p := passage{febrile: s.random.Float64() < febrile}
		if each != nil {
			each(n, &p)
		}
		s.meet(p)
	}
	return s.tally
}

func (t tally) String() string {
	return fmt.Sprintf("noticed after %d; febrile passed %d of %d; well alarmed %d, stopped %d, of %d",
		t.noticed, t.febrilePassed, t.febrileMet, t.wellAlarmed, t.wellStopped, t.wellMet)
}

// forBoth runs a test at a gate with a reference source and at one without, with several sequences of people.
func forBoth(t *testing.T, seeds int, test func(s *stream) tally, most tally) {
	t.Helper()
	people := clinicalCrowd(t)
	for _, referenced := range []bool{true, false} {
		config := policy.DefaultConfig()
		config.Referenced = referenced
		var sum tally
		for seed := range seeds {
			p, err := policy.New(config)
			if err != nil {
				t.Fatal(err)
			}
			r := test(&stream{Policy: p, crowd: people, random: rand.New(rand.NewPCG(uint64(seed), 14))})
			sum.noticed = max(sum.noticed, r.noticed)
			sum.spells += r.spells
			sum.met += r.met
			sum.febrilePassed += r.febrilePassed
			sum.febrileMet += r.febrileMet
			sum.wellAlarmed += r.wellAlarmed
			sum.wellStopped += r.wellStopped
			sum.wellMet += r.wellMet
		}
		t.Logf("reference %v: %v, %d spells", referenced, sum, sum.spells)
		if sum.noticed > most.noticed || sum.spells > most.spells || sum.febrilePassed > most.febrilePassed ||
			sum.wellAlarmed > most.wellAlarmed || sum.wellStopped > most.wellStopped {
			t.Errorf("reference %v: %v, %d spells; at most %v, %d spells are expected", referenced, sum, sum.spells, most, most.spells)
		}
	}
}

const whatever = 1 << 30

// TestWrongCamera has camera or reference source go wrong at once, and a person in fifty have a fever.
func TestWrongCamera(t *testing.T) {
	for celsius, most := range map[float64]tally{
		-0.5: {noticed: 85, febrilePassed: 4, wellAlarmed: 200, wellStopped: whatever, spells: whatever},
		-1:   {noticed: 16, febrilePassed: 5, wellAlarmed: 25, wellStopped: whatever, spells: whatever},
		-2:   {noticed: 6, febrilePassed: 3, wellAlarmed: 25, wellStopped: whatever, spells: whatever},
		0.5:  {noticed: 161, wellAlarmed: whatever, wellStopped: whatever, spells: whatever},
		1:    {noticed: 22, wellAlarmed: whatever, wellStopped: whatever, spells: whatever},
		2:    {noticed: 17, wellAlarmed: whatever, wellStopped: whatever, spells: whatever},
	} {
		t.Run(fmt.Sprint(celsius), func(t *testing.T) {
			forBoth(t, 20, func(s *stream) tally {
				s.run(1000, 0.01, nil)
				return s.run(600, 0.02, func(_ int, p *passage) { p.celsius = celsius })
			}, most)
		})
	}
}

// TestAfterAWrongCamera: 1 of 20 is alarmed for in the clinic, and as many are too close to tell.
func TestAfterAWrongCamera(t *testing.T) {
	for _, celsius := range []float64{-1, 1} {
		forBoth(t, 20, func(s *stream) tally {
			s.run(1000, 0.01, nil)
			s.run(600, 0.02, func(_ int, p *passage) { p.celsius = celsius })
			s.run(20, 0, nil)
			return s.run(100, 0.02, nil)
		}, tally{wellAlarmed: 200, wellStopped: 250, spells: 1})
	}
}

// TestCreepingCamera has them go wrong by 0.3 °C an hour.
func TestCreepingCamera(t *testing.T) {
	for _, rate := range []float64{-0.3, 0.3} {
		forBoth(t, 20, func(s *stream) tally {
			s.run(1000, 0.01, nil)
			begin := s.now()
			return s.run(900, 0.02, func(_ int, p *passage) { p.celsius = rate * s.now().Sub(begin).Hours() })
		}, tally{noticed: streamShift + 20, febrilePassed: 2, wellAlarmed: whatever, wellStopped: whatever, spells: whatever})
	}
}

// TestStarts begins with people who are no measure.
func TestStarts(t *testing.T) {
	first := func(people int, change func(*passage)) func(int, *passage) {
		return func(n int, p *passage) {
			if n < people {
				change(p)
			}
		}
	}
	cold, ill := func(p *passage) { p.celsius = -2 }, func(p *passage) { p.febrile = true }
	tests := map[string]struct {
		febrile float64
		each    func(int, *passage)
		most    tally
	}{
		"as usual":                 {0.02, nil, tally{wellAlarmed: 1500, wellStopped: 2200}},
		"ten from the cold":        {0.02, first(10, cold), tally{febrilePassed: 5, wellAlarmed: 1700, wellStopped: 2500}},
		"a hundred from the cold":  {0.02, first(100, cold), tally{febrilePassed: 5, wellAlarmed: 1700, wellStopped: 4500}},
		"ten with a fever":         {0.02, first(10, ill), tally{wellAlarmed: 1700, wellStopped: 2500}},
		"half of all have a fever": {0.5, nil, tally{wellAlarmed: 800, wellStopped: 10_071}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.most.noticed, test.most.spells = whatever, whatever
			forBoth(t, 20, func(s *stream) tally { return s.run(1000, test.febrile, test.each) }, test.most)
		})
	}
}

// TestSoundGate is 120 winter days of a gate that is well: shifts differ by 0.1 °C (standard deviation), the night's read
// 0.1 °C lower, and half of the morning's come in cooled. A shift is seen once a week at most.
func TestSoundGate(t *testing.T) {
	forBoth(t, 4, func(s *stream) tally {
		var day float64
		return s.run(30*3*streamShift, 0.01, func(n int, p *passage) {
			shift := n / streamShift % 3
			if n%streamShift == 0 {
				if day = 0.1 * s.random.NormFloat64(); shift == 2 {
					day -= 0.1
				}
			}
			if p.celsius = day; shift == 0 && s.random.IntN(2) == 0 {
				p.cooled = 0.5 * s.random.ExpFloat64()
			}
		})
	}, tally{noticed: whatever, spells: 120 / 7, febrilePassed: 3, wellAlarmed: whatever, wellStopped: whatever})
}

package study

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
	"thermogate/screening/policy"
	"thermogate/testdata"
)

func options() Options {
	return Options{Config: policy.DefaultConfig(), FebrileCelsius: 37.5, PeoplePerDay: 1000, Prevalence: 0.01}
}

// TestClinicalFigures is what the default settings reach on 544 people, in every round and by either way of reading the
// canthi. One person of the 44 febrile is 0.023 of sensitivity.
func TestClinicalFigures(t *testing.T) {
	file := testdata.Shared(t, "clinical", "FLIR_group1.csv")
	for round := 1; round <= 4; round++ {
		for _, column := range []string{"canthiMax", "canthi4Max"} {
			column = fmt.Sprint(column, round)
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			pairs, leftOut, err := ReadPairs(f, Columns{Named: map[Input]string{Skin: column}})
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			s, err := Evaluate(pairs, leftOut, options())
			if err != nil {
				t.Fatal(err)
			}
			group := s.Policies[1]
			sum := group.Sensitivity.Value + group.Specificity.Value
			t.Logf("%s: %d pairs, AUC %.4f, group %.3f + %.3f = %.3f", column, s.Pairs, s.AUC.Value,
				group.Sensitivity.Value, group.Specificity.Value, sum)
			if s.AUC.Value < 0.948 || group.Sensitivity.Value < 0.85 || sum < 1.77 {
				t.Errorf("%s: AUC %.4f, group %.3f + %.3f = %.3f", column, s.AUC.Value,
					group.Sensitivity.Value, group.Specificity.Value, sum)
			}
			if lines := len(leftOut[0].Lines); s.Pairs+lines != 544 {
				t.Errorf("%s: %d pairs and %d left out of 544", column, s.Pairs, lines)
			}
		}
	}
}

// TestFusedFigures holds what the fused policy reaches on the same people, cross-validated, and that its models in use are
// those fitted on them. The models in use were found with another program (NumPy).
func TestFusedFigures(t *testing.T) {
	s := studyClinical(t, Columns{Round: AllRounds})
	f := s.Fused
	if f == nil || !f.Fitted || !f.Face || !f.Ambient || f.People != 544 || f.Pairs+f.Without != s.Pairs {
		t.Fatalf("%+v", f)
	}
	c := f.CrossValidated
	t.Logf("area %.4f (%+.4f), %.3f + %.3f = %.4f, fevers %+.3f, others %+.3f, slope %.2f, spread %.3f, covered %.3f", c.AUC.Value, c.AUCGain.Value,
		c.Sensitivity.Value, c.Specificity.Value, c.Sum.Value, c.FeverError.Value, c.OthersError.Value, *c.Slope, c.SpreadCelsius, c.Covered)
	if c.AUC.Value < 0.963 || c.Sum.Value < 1.81 || c.Sensitivity.Value < 0.88 || len(c.Cameras) != 4 {
		t.Errorf("area %.4f, %.3f + %.3f = %.4f", c.AUC.Value, c.Sensitivity.Value, c.Specificity.Value, c.Sum.Value)
	}
	if math.Abs(c.FeverError.Value) > 0.15 || math.Abs(c.OthersError.Value) > 0.15 || *c.Slope < 0.75 {
		t.Errorf("fevers %+.3f, others %+.3f °C, slope %.2f", c.FeverError.Value, c.OthersError.Value, *c.Slope)
	}
	if c.Covered < 0.93 || c.Covered > 0.97 {
		t.Errorf("%.3f of the intervals of 95 %% hold the oral temperature", c.Covered)
	}
	inUse := policy.DefaultFusedConfig()
	for _, face := range []bool{false, true} {
		for _, ambient := range []bool{false, true} {
			used, found := inUse.Model(face, ambient), f.config.Model(face, ambient)
			if math.Abs(used.Canthi-found.Canthi) > 0.002 || math.Abs(used.Face-found.Face) > 0.002 || math.Abs(used.Ambient-found.Ambient) > 0.001 ||
				math.Abs(used.Celsius-found.Celsius) > 0.03 || math.Abs(used.SpreadCelsius-found.SpreadCelsius) > 0.011 {
				t.Errorf("face %v, ambient %v: in use %+v, found %+v", face, ambient, used, found)
			}
		}
	}
}

// TestFusedOfOneRound: so few fevers do not tell what is due to canthi and what to the face, and each round finds an
// estimate that is as good as the canthi at least.
func TestFusedOfOneRound(t *testing.T) {
	for round := 1; round <= 4; round++ {
		c := studyClinical(t, Columns{Round: round}).Fused.CrossValidated
		t.Logf("round %d: area %.4f (%+.4f), sum %.3f, fevers %+.3f", round, c.AUC.Value, c.AUCGain.Value, c.Sum.Value, c.FeverError.Value)
		if c.Covered < 0.93 || c.Covered > 0.98 {
			t.Errorf("round %d: %.3f of the intervals of 95 %% hold the oral temperature", round, c.Covered)
		}
		if c.AUCGain.Value < 0 || math.Abs(c.FeverError.Value) > 0.15 {
			t.Errorf("round %d: area %.4f (%+.4f), fevers %+.3f °C", round, c.AUC.Value, c.AUCGain.Value, c.FeverError.Value)
		}
	}
}

func studyClinical(t *testing.T, choose Columns) Study {
	t.Helper()
	f, err := os.Open(testdata.Shared(t, "clinical", "FLIR_group1.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pairs, leftOut, err := ReadPairs(f, choose)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Evaluate(pairs, leftOut, options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFusedOfFewPairs: with too few pairs the models in use stay, or are shifted to the site's camera.
func TestFusedOfFewPairs(t *testing.T) {
	var pairs []Pair
	for i := range 60 {
		own := 0.3 * math.Sin(float64(i)*2.4)
		pairs = append(pairs, Pair{Line: i, Site: event.InnerCanthus, SkinCelsius: 34.5 + own, OralCelsius: 36.8 + own, FaceCelsius: math.NaN(), AmbientCelsius: 21 + float64(i%3)})
	}
	few, err := Evaluate(pairs[:20], nil, options())
	if err != nil {
		t.Fatal(err)
	}
	if f := few.Fused; f.Fitted || f.Shifted || f.CrossValidated != nil || strings.Contains(few.Config, "fused") {
		t.Errorf("of twenty pairs: %+v, %s", f, few.Config)
	}
	shifted, err := Evaluate(pairs, nil, options())
	if err != nil {
		t.Fatal(err)
	}
	f := shifted.Fused
	if f.Fitted || !f.Shifted || f.Face || !f.Ambient || f.Better || math.Abs(f.CrossValidated.OthersError.Value-othersHigh) > 0.02 {
		t.Errorf("of sixty pairs: %+v", f)
	}
	if was := policy.DefaultFusedConfig().Ambient; f.Model.Canthi != was.Canthi || f.Model.Celsius <= was.Celsius {
		t.Errorf("of sixty pairs that read 1 °C low: %+v", f.Model)
	}
}

// TestFusedOfOneHall: where the air is always the same the models go without it, and so where no face was read.
func TestFusedOfOneHall(t *testing.T) {
	var pairs []Pair
	for i := range 200 {
		own := 0.3 * math.Sin(float64(i)*2.4)
		fever := 1.6 * float64(i%10/9)
		pairs = append(pairs, Pair{Line: i, Site: event.InnerCanthus, SkinCelsius: 35.5 + own + fever, OralCelsius: 36.8 + own/2 + fever, FaceCelsius: math.NaN(), AmbientCelsius: 28})
	}
	s, err := Evaluate(pairs, nil, options())
	if err != nil {
		t.Fatal(err)
	}
	f := s.Fused
	alone, all := f.config.Model(false, false), f.config.Model(true, true)
	if !f.Fitted || f.Face || f.Ambient || all != alone || alone.Canthi < 0.8 {
		t.Errorf("%+v", f)
	}
}

// TestFusedWithoutVariety: what is the same for all tells nothing, and fits nothing.
func TestFusedWithoutVariety(t *testing.T) {
	var pairs []Pair
	for i := range 200 {
		pairs = append(pairs, Pair{Line: i, Site: event.InnerCanthus, SkinCelsius: 35.5, OralCelsius: 36.8 + 2*float64(i%10/9), FaceCelsius: 36, AmbientCelsius: 22})
	}
	s, err := Evaluate(pairs, nil, options())
	if err != nil {
		t.Fatal(err)
	}
	if s.Fused.Fitted || s.Fused.Better {
		t.Errorf("%+v", s.Fused)
	}
}

func TestReadPairs(t *testing.T) {
	clinical := "\ufeff,,Round 1:\n,,T_CE\nSubjectID,canthiMax1,T_FH_Max1,aveOralM,T_atm,Time,Date\n" +
		"a,35.4,34.9,36.8,24,9:05:00,16-11-17\nb,,34.0,36.9,24,9:10:00,16-11-17\n"
	tests := []struct {
		name, file string
		choose     Columns
		want       string // the pairs, the lines left out, or the error
	}{
		{"plain", "skin,oral\n35.4,36.8\n", Columns{}, "2 inner-canthus 35.4 36.8"},
		{"all columns, in another order", "Time,Camera,Oral_Celsius,Ambient,Site,Skin_Celsius\n2026-03-01 08:15,north,36.8,21,forehead,35\n",
			Columns{}, "2 north forehead 35 36.8 21 2026-03-01T08:15"},
		{"semicolons", "skin;oral\n35.4;36.8\n", Columns{}, "2 inner-canthus 35.4 36.8"},
		{"blank lines count", "skin,oral\n\n35.4,36.8\n", Columns{}, "3 inner-canthus 35.4 36.8"},
		{"clinical", clinical, Columns{}, "4 inner-canthus 35.4 36.8 24 2016-11-17T09:05 | no skin temperature [5]"},
		{"another site of it", clinical, Columns{Site: event.Forehead},
			"4 forehead 34.9 36.8 24 2016-11-17T09:05 | 5 forehead 34 36.9 24 2016-11-17T09:10"},
		{"one site of many", "skin,oral,site\n35,36.8,forehead\n35.4,36.8,\n", Columns{Site: "canthi"},
			"3 inner-canthus 35.4 36.8 | site is not inner-canthus [2]"},
		{"rows that hold no pair", "skin,oral,site,time\n35,,,\nx,37,,\n35,98.6,,\n350,37,,\nNaN,37,,\n35,37,ear,\n35,37,,noon\n35\n", Columns{},
			"8 inner-canthus 35 37 | no oral temperature [2 9] | skin temperature is not a number [3] | oral temperature is outside 33 to 43 °C [4] | " +
				"skin temperature is outside 25 to 45 °C [5] | no skin temperature [6] | " +
				"site is none of inner-canthus, forehead and face [7]"},
		{"no names", "35.4,36.8\n", Columns{}, "line 1 names no column skin_celsius or skin; it names 35.4, 36.8"},
		{"no oral", "skin,mouth\n35.4,36.8\n", Columns{}, "line 1 names no column oral_celsius or oral; it names skin, mouth"},
		{"empty", "", Columns{}, "the file is empty"},
		{"a stray quote", "skin,oral\n35.4,\"36.8\n", Columns{}, "reading CSV: parse error on line 2, column 12: extraneous or missing \" in quoted-field"},
		{"every column by its name", "a,b,c,d,e\n35.4,36.8,35.9,21,2026-03-01\n",
			Columns{Named: map[Input]string{Skin: "a", Oral: "b", Face: "c", Ambient: "d", Time: "e"}}, "2 inner-canthus 35.4 36.8 face 35.9 21 2026-03-01T00:00"},
		{"a column that isn't there", "skin,oral\n35.4,36.8\n", Columns{Named: map[Input]string{Face: "T_Max"}},
			"line 1 names no column T_Max; it names skin, oral"},
		{"another person's", "skin,oral,person,face\n35.4,36.8,Li,35.5\n", Columns{}, "2 Li inner-canthus 35.4 36.8 face 35.5"},
		{"no such site", clinical, Columns{Site: "ear"}, `site "ear" is none of inner-canthus, forehead and face`},
		{"no such round", clinical, Columns{Round: 5}, "round 5: a clinical file has rounds 1 to 4"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.choose.Round == 0 {
				test.choose.Round = 1
			}
			pairs, leftOut, err := ReadPairs(strings.NewReader(test.file), test.choose)
			var got []string
			for _, p := range pairs {
				got = append(got, describe(p))
			}
			for _, l := range leftOut {
				got = append(got, fmt.Sprint(l.Reason, " ", l.Lines))
			}
			if err != nil {
				got = append(got, err.Error())
			}
			if text := strings.Join(got, " | "); text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
		})
	}
}

func describe(p Pair) string {
	text := fmt.Sprint(p.Line, " ")
	if p.Camera != "" {
		text += p.Camera + " "
	}
	if p.Person != "" && p.Person != "a" && p.Person != "b" { // those of the clinical file above
		text += p.Person + " "
	}
	text += fmt.Sprint(p.Site, " ", p.SkinCelsius, " ", p.OralCelsius)
	if !math.IsNaN(p.FaceCelsius) {
		text += fmt.Sprint(" face ", p.FaceCelsius)
	}
	if !math.IsNaN(p.AmbientCelsius) {
		text += fmt.Sprint(" ", p.AmbientCelsius)
	}
	if !p.At.IsZero() {
		text += p.At.Format(" 2006-01-02T15:04")
	}
	return text
}

func TestPairsBeyondAnyUse(t *testing.T) {
	const names = "skin,oral,camera\n"
	for want, file := range map[string]string{
		"more than 8388608 bytes":          names + strings.Repeat("#", maxBytes),
		"line 2 has 8000001 columns":       names + strings.Repeat(",", 8_000_000),
		"line 100001: more than 100000":    names + strings.Repeat("35.4,36.8,a\n", maxRows),
		"it names a b, " + dots(40) + ", ": "\"a\n b\"," + dots(1_000_000) + ",c\n",
	} {
		if _, _, err := ReadPairs(strings.NewReader(file), Columns{Round: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func dots(n int) string { return strings.Repeat(".", n) }

// TestMostPairs studies as many pairs as are read, three of each camera.
func TestMostPairs(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, it has a time limit")
	}
	var file strings.Builder
	file.WriteString("skin,oral,camera\n")
	for i := range maxRows - 1 {
		fmt.Fprintf(&file, "%.2f,%.2f,%d\n", 34+float64(i%300)/100, 36+float64(i%307)/100, i%(maxRows/3-1))
	}
	pairs, leftOut, err := ReadPairs(strings.NewReader(file.String()), Columns{Round: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(pairs, leftOut, options()); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadPairs(f *testing.F) {
	f.Add("skin,oral,site,ambient,camera,time\n35.4,36.8,forehead,21,a,2026-03-01\n")
	f.Add("\ufeff,\n,,\nSubjectID,canthiMax1,aveOralM,Date,Time\na,35,37,16-11-17,9:00:00\n")
	f.Fuzz(func(t *testing.T, file string) {
		pairs, leftOut, err := ReadPairs(strings.NewReader(file), Columns{Round: 1})
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
				t.Errorf("not one line: %q", err)
			}
			return
		}
		for _, p := range pairs {
			if !(p.SkinCelsius >= leastSkin && p.SkinCelsius <= mostSkin && p.OralCelsius >= leastOral && p.OralCelsius <= mostOral) {
				t.Fatalf("took %+v for a pair", p)
			}
		}
		if s, err := Evaluate(pairs, leftOut, options()); err == nil && len(s.Agreement) != s.Pairs {
			t.Errorf("%d of %d pairs can be drawn", len(s.Agreement), s.Pairs)
		}
	})
}

// fewPairs are six people whose figures can be worked out by hand. Body by offset is 36.78, 37.18, 37.58, 36.98, 37.58
// and 38.38 °C; the last two are febrile.
func fewPairs() []Pair {
	var pairs []Pair
	for i, c := range [][2]float64{{35.4, 36.9}, {35.8, 36.9}, {36.2, 37.3}, {35.6, 37.1}, {36.2, 37.6}, {37.0, 38.6}} {
		pairs = append(pairs, Pair{Line: i + 2, Site: event.InnerCanthus, SkinCelsius: c[0], OralCelsius: c[1], AmbientCelsius: float64(20 + i%2)})
	}
	return pairs
}

func TestEvaluate(t *testing.T) {
	s, err := Evaluate(fewPairs(), nil, options())
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 5e-4 {
			t.Errorf("%s is %.4f, want %.4f", what, got, want)
		}
	}
	// Oral − skin is 1.5, 1.1, 1.1, 1.5, 1.4, 1.6: mean 1.3667, standard deviation 0.2160, t of 5 degrees 2.5706.
	o := s.Offsets[0]
	near("offset", o.OffsetCelsius.Value, 1.3667)
	near("its lower end", o.OffsetCelsius.Low, 1.3667-2.5706*0.21602/math.Sqrt(6))
	near("spread", o.SpreadCelsius, 0.2160)
	near("bias", o.BiasCelsius.Value, 0.0133)
	near("upper limit of agreement", o.UpperLimit.Value, 0.0133+1.96*0.2160)
	// Of 2 × 4 couples 7 are in order and one is a tie.
	near("AUC", s.AUC.Value, 7.5/8)
	near("AUC's lower end", s.AUC.Low, 7.5/8-1.96*math.Sqrt(0.0078125/2+0.015625/4))
	// The offsets at 20 °C are 1.5, 1.1, 1.4 and at 21 °C 1.1, 1.5, 1.6.
	near("ambient slope", s.AmbientSlope.Value, 0.0667)
	offset := s.Policies[0]
	if offset.Policy != policy.Offset || offset.Sensitivity.Count != 2 || offset.Specificity.Count != 3 || offset.Specificity.Of != 4 {
		t.Errorf("offset policy: %+v %+v", offset.Sensitivity, offset.Specificity)
	}
	near("alerts a day", offset.PerDay.Alerts, 10+990*0.25)
	near("false alerts", offset.PerDay.FalseAlerts, 990*0.25)
	want := "policy:\n  threshold_celsius: 37.5\n  offset_celsius: 1.37\n  prior_celsius: 35.70\n  margin_celsius: 0.58\n"
	if s.Config != want {
		t.Errorf("config lines:\n%s\nwant\n%s", s.Config, want)
	}
}

// TestWilson has the intervals of Newcombe (1998), table I.
func TestWilson(t *testing.T) {
	for _, test := range []struct {
		k, n      int
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {29, 29, 0.8830, 1}} {
		r := wilson(test.k, test.n)
		if math.Abs(r.Low-test.low) > 1e-4 || math.Abs(r.High-test.high) > 1e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", test.k, test.n, r.Low, r.High, test.low, test.high)
		}
	}
}

// TestOrderOfTime: the same people in another order of rows give the same study, and cameras don't learn from each other.
func TestOrderOfTime(t *testing.T) {
	var pairs []Pair
	for i := range 60 {
		at := time.Unix(0, 0).Add(time.Duration(i) * time.Minute)
		own := 0.3 * math.Sin(float64(i)*2.4)
		pairs = append(pairs,
			Pair{Camera: "warm", Site: event.InnerCanthus, SkinCelsius: 35.5 + own, OralCelsius: 36.9, At: at, AmbientCelsius: math.NaN()},
			Pair{Camera: "cold", Site: event.InnerCanthus, SkinCelsius: 34.7 + own, OralCelsius: 36.9, At: at, AmbientCelsius: math.NaN()})
	}
	backwards := make([]Pair, len(pairs))
	for i, p := range pairs {
		backwards[len(pairs)-1-i] = p
	}
	for _, order := range [][]Pair{pairs, backwards} {
		s, err := Evaluate(order, nil, options())
		if err != nil {
			t.Fatal(err)
		}
		if passed := s.Policies[1].Specificity; passed.Count != 120 {
			t.Errorf("the group policy passed %d of %d", passed.Count, passed.Of)
		}
		if s.AUC != nil || s.Policies[1].Sensitivity != nil || s.Policies[1].PerDay != nil {
			t.Error("nobody is febrile, and yet there is a sensitivity")
		}
		if len(s.Offsets) != 2 || s.Offsets[0].Camera != "cold" {
			t.Errorf("offsets of %+v", s.Offsets)
		}
	}
}

func TestTooFewPairs(t *testing.T) {
	_, err := Evaluate(fewPairs()[:2], []LeftOut{{"no skin temperature", []int{4, 5}}}, options())
	want := "pairs that can be used: 0; a study needs at least 3, and is worth little below 100; " +
		"left out 2 from line 4 on: no skin temperature; left out 2 from line 2 on: fewer than 3 pairs of this camera and site"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

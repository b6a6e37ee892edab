package picture

import (
	"bytes"
	"image/png"
	"math"
	"strings"
	"testing"

	"thermogate/screening/event"
	"thermogate/screening/policy"
	"thermogate/screening/study"
)

func TestWrite(t *testing.T) {
	var pairs []study.Pair
	for n := range 20 {
		own := 0.1 * float64(n)
		pairs = append(pairs, study.Pair{
			Site: event.InnerCanthus, SkinCelsius: 35 + own, OralCelsius: 36.4 + own, FaceCelsius: math.NaN(), AmbientCelsius: math.NaN(),
		})
	}
	s, err := study.Evaluate(pairs, nil, study.Options{Config: policy.DefaultConfig(), FebrileCelsius: 37.5, PeoplePerDay: 1000, Prevalence: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&b); err != nil {
		t.Errorf("not a PNG: %v", err)
	}
}

// FuzzWrite draws whatever can be studied.
func FuzzWrite(f *testing.F) {
	f.Add("skin,oral\n35.1,36.6\n35.2,36.8\n36.9,38.2\n")
	f.Add("skin,oral,camera\n35,37,a\n35,37,a\n35,37,a\n36,38,b\n36,38,b\n36,38,b\n")
	f.Fuzz(func(t *testing.T, file string) {
		pairs, leftOut, err := study.ReadPairs(strings.NewReader(file), study.Columns{Round: 1})
		if err != nil {
			return
		}
		s, err := study.Evaluate(pairs, leftOut, study.Options{Config: policy.DefaultConfig(), FebrileCelsius: 37.5})
		if err != nil {
			return
		}
		if err := Write(new(bytes.Buffer), s); err != nil {
			t.Fatal(err)
		}
	})
}

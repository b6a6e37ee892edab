package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thermogate/cmd/internal/program"
)

const pairsFile = `skin,oral,camera
35.4,36.9,north
35.8,36.9,north
36.2,37.3,north
35.6,,north
36.2,37.6,north
37.0,38.6,north
`

func runStudy(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := newStudyCommand()
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(&out)
	command.SilenceErrors, command.SilenceUsage = true, true
	err := command.Execute()
	return out.String(), err
}

func TestStudy(t *testing.T) {
	dir := t.TempDir()
	pairs, picture := filepath.Join(dir, "pairs.csv"), filepath.Join(dir, "study.png")
	if err := os.WriteFile(pairs, []byte(pairsFile), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := runStudy(t, pairs, "--plot", picture, "--people-per-day", "200")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"5 pairs, 2 febrile (oral ≥ 37.5 °C)",
		"Left out 1: no oral temperature (line 5)",
		"a day of 200 people, 1 % of them febrile",
		"  offset_celsius: 1.34\n",
		"The fused policy, from the canthi: 5 pairs of 5 people, 1 at 38 °C or more\nToo few people for that",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing from\n%s", want, text)
		}
	}
	if data, err := os.ReadFile(picture); err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("the plot is no PNG (%v)", err)
	}

	text, err = runStudy(t, pairs, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Pairs   int
		Offsets []struct {
			Camera string
			Offset struct{ Value, Low, High float64 } `json:"offset_celsius"`
		}
		ROC []struct {
			FalsePositiveRate *float64 `json:"false_positive_rate"`
		}
		Policies []struct {
			Policy      string
			Specificity struct {
				Of    int
				Value float64
			}
			PerDay struct {
				FalseAlerts *float64 `json:"false_alerts"`
			} `json:"per_day"`
		}
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	offset := result.Policies[0]
	if result.ROC[0].FalsePositiveRate == nil || offset.PerDay.FalseAlerts == nil || offset.Specificity.Of != 3 {
		t.Errorf("a figure is missing from %s", text)
	}
	if result.Pairs != 5 || len(result.Policies) != 4 || result.Offsets[0].Camera != "north" || result.Offsets[0].Offset.High == 0 {
		t.Errorf("got %+v", result)
	}
}

func TestStudyErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.csv")
	for _, test := range []struct {
		args  []string
		want  string
		usage bool
	}{
		{[]string{missing}, "studying " + missing + ": no such file or directory", false},
		{[]string{missing, "--prevalence", "5"}, "prevalence 5: it is a share from 0 to 1, such as 0.01", true},
		{[]string{missing, "--site", "ear"}, `site "ear" is none of inner-canthus, forehead and face`, true},
		{[]string{missing, "--round", "some"}, `round "some": it is 1 to 4, or all`, true},
		{[]string{missing, "--column", "face="}, `column "face=": name one, such as canthi4Max1 or face=T_Max1; inputs are skin, oral, face, ambient, site, camera, person, time`, true},
		{[]string{missing, "--round", "9"}, "round 9: a clinical file has rounds 1 to 4", true},
	} {
		_, err := runStudy(t, test.args...)
		if err == nil || err.Error() != test.want || errors.As(err, &program.UsageError{}) != test.usage {
			t.Errorf("%v: %v", test.args[1:], err)
		}
	}
}

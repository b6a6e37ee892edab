package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"thermogate/camera/simulator"
	"thermogate/screening/gate"
	"thermogate/screening/gate/trial"
)

// tryOut runs the command on scenarios.
func tryOut(t *testing.T, args ...string) string {
	t.Helper()
	root := newRootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"trial"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTrial(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	apart := file("apart.yaml", `
people:
  - {at: 1s, skin_celsius: 35.3, hair: short, seed: 7, height_metres: 1.7}
  - {at: 12s, skin_celsius: 37.6, glasses: true, hair: bald, seed: 9, height_metres: 1.7}
  - {at: 22s, walks_past: true, distance_metres: 1.4}
`)
	nobody := file("nobody.yaml", "duration: 1s\n")

	lines := strings.Split(strings.TrimSpace(tryOut(t, "--json", apart, nobody)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines for two scenarios:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	var r, none trial.Result
	for i, to := range []*trial.Result{&r, &none} {
		if err := json.Unmarshal([]byte(lines[i]), to); err != nil {
			t.Fatal(err)
		}
	}
	if r.Scenario != "apart.yaml" || r.People != 2 || r.Passers.People != 1 || r.Well.People != 1 || r.Febrile.People != 1 || r.WrongPersonFrames != 0 {
		t.Errorf("two people and a passer: %s", lines[0])
	}
	if r.Well.Pass != 1 || r.Febrile.Pass != 0 || r.By.Glasses.Febrile.People != 1 || r.By.Bare.People != 1 {
		t.Errorf("the well one passes and the febrile one does not: %s", lines[0])
	}
	if r.Seconds == nil || r.Seconds.Max > 1 {
		t.Errorf("waited %+v", r.Seconds)
	}
	if none.Scenario != "nobody.yaml" || none.People != 0 || none.Seconds != nil || strings.Contains(lines[1], "seconds") {
		t.Errorf("nobody: %s", lines[1])
	}
	if again := tryOut(t, "--json", apart, nobody); again != strings.Join(lines, "\n")+"\n" {
		t.Errorf("the second time it is\n%s", again)
	}
	if table := tryOut(t, apart); !strings.Contains(table, "apart.yaml") || strings.Contains(table, "\r") {
		t.Errorf("table\n%s", table)
	}
}

func TestReachFollowsTheConfig(t *testing.T) {
	c, cam := gate.DefaultVisitConfig(), simulator.DefaultScenario().Camera
	if reach := reachOf(c, cam); reach != trial.DefaultReachMetres {
		t.Errorf("reach %.2f m by default", reach)
	}
	c.Near = 0.25
	if reach := reachOf(c, cam); math.Abs(reach-0.737) > 0.01 { // 22.1 of 147 pixels at 1 m
		t.Errorf("reach %.3f m for faces of a quarter of the picture", reach)
	}
}

// TestScenariosEnd holds the scenarios of the published figures to what a trial asks.
func TestScenariosEnd(t *testing.T) {
	paths, err := filepath.Glob("../../camera/simulator/scenarios/*.yaml")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d scenarios, %v", len(paths), err)
	}
	slices.Sort(paths)
	if _, err := loadTrials(paths); err != nil {
		t.Error(err)
	}
}

package simulator

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestParseExample(t *testing.T) {
	s, err := Load("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.People) != 6 || s.People[0].Stand != 3*time.Second || *s.People[1].SkinCelsius != 37.2 || !s.People[4].WalksPast {
		t.Errorf("people read as %+v", s.People)
	}

	// What can't stand there together with something else is commented out.
	data, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	rare := regexp.MustCompile(`(?m)^  #(frozen|covered|moved):`).ReplaceAllString(text, "  $1:")
	if s, err = Parse("rare.yaml", []byte(rare)); err != nil {
		t.Fatal(err)
	}
	if s.Camera.Frozen == nil || s.Reference.Covered == nil || s.Reference.Moved == nil {
		t.Errorf("camera read as %+v and reference as %+v", s.Camera, s.Reference)
	}
	people, others, queue := strings.Index(text, "\npeople:\n"), strings.Index(text, "\n#people:\n"), strings.Index(text, "\n#queue:\n")
	commented := regexp.MustCompile(`(?m)^#(  |[a-z]+:)`)
	alternative := func(part string) Scenario {
		s, err := Parse("alternative.yaml", []byte(text[:people]+commented.ReplaceAllString(part, "$1")))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s = alternative(text[others:queue]); len(s.People) != 4 || len(s.People[0].Moves) != 2 || !s.People[3].Returns {
		t.Errorf("people read as %+v", s.People)
	}
	if s = alternative(text[queue:]); s.Queue == nil || s.Queue.ChillShare != 0.05 || s.Queue.People != 100 {
		t.Errorf("queue read as %+v", s.Queue)
	}

	for _, section := range []any{Scenario{}, Camera{}, FFC{}, Reference{}, Lamp{}, Visit{}, Queue{}, Freeze{}, Cover{}, Removal{}, Move{}} {
		for _, key := range keys(reflect.TypeOf(section)) {
			if !strings.Contains(text, key+":") {
				t.Errorf("example.yaml does not show the key %q of %T", key, section)
			}
		}
	}
}

func TestParseDefaults(t *testing.T) {
	s, err := Parse("empty.yaml", []byte("# nothing\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultScenario()
	want.Name = "empty.yaml"
	if !reflect.DeepEqual(s, want) {
		t.Errorf("an empty file gives %+v, want the defaults %+v", s, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ name, yaml, want string }{
		{"misspelt key", "camera:\n  netd_milikelvin: 50\n", `x.yaml:2: camera: unknown key "netd_milikelvin"; is it "netd_millikelvin"?`},
		{"key without its unit", "ambient: 20\n", `x.yaml:1: scenario: unknown key "ambient"; is it "ambient_celsius"?`},
		{"key of another section", "ffc:\n  glasses: true\n", `x.yaml:2: ffc: unknown key "glasses"; known here: drift_celsius, every, freeze, jump_celsius`},
		{"key of a person", "people:\n  - at: 1s\n    distance: 1\n", `x.yaml:3: people[0]: unknown key "distance"; is it "distance_metres"?`},
		{"time without unit", "people:\n  - at: 1s\n    stand: 3\n", `x.yaml:3: people[0].stand: "3" is not right; write a time with its unit, such as 3s, 500ms or 2m`},
		{"temperature as time", "ffc:\n  every: 3 °C\n", `x.yaml:2: ffc.every: "3 °C" is not right; write a time`},
		{"number with unit", "ambient_celsius: 20 °C\n", `x.yaml:1: ambient_celsius: "20 °C" is not right; write a number`},
		{"impossible body", "people:\n  - core_celsius: 98.6\n", `x.yaml:2: people[0].core_celsius: 98.6 is impossible; it must be 30 to 44 °C`},
		{"impossible distance", "people:\n  - distance_metres: 0\n", `x.yaml:2: people[0].distance_metres: 0 is impossible; it must be 0.3 to 4 m`},
		{"negative time", "\n\nduration: -3s\n", `x.yaml:3: duration: -3 is impossible; it must be 0 or more s`},
		{"not a number", "camera: {fps: .nan}\n", `x.yaml:1: camera.fps: ".nan" is not right; write a number`},
		{"infinite", "camera: {fps: .inf}\n", `x.yaml:1: camera.fps: ".inf" is not right; write a number`},
		{"fraction of a pixel", "camera:\n  width: 120.5\n", `x.yaml:2: camera.width: "120.5" is not right; write a whole number`},
		{"negative seed", "seed: -1\n", `x.yaml:1: seed: "-1" is not right; write a whole number, 0 or more`},
		{"not a switch", "people:\n  - glasses: sometimes\n", `x.yaml:2: people[0].glasses: "sometimes" is not right; write true or false`},
		{"no value", "camera:\n  width:\n", `x.yaml:2: camera.width: the value is missing; write a whole number`},
		{"number for a section", "camera: 3\n", `x.yaml:1: camera: "3" is not right; write keys below it, such as width: …`},
		{"list for a section", "camera: [1]\n", `x.yaml:1: camera: a list is not expected here; write keys below it`},
		{"section for a list", "people:\n  at: 1s\n", `people: keys are not expected here; write a list`},
		{"hair", "people:\n  - hair: red\n", `x.yaml:2: people[0].hair: "red" is not known; write bald, short, fringe or long`},
		{"two temperatures", "people:\n  - core_celsius: 37\n    skin_celsius: 36\n", `x.yaml:3: people[0].skin_celsius: core_celsius is set too; keep one of them`},
		{"people and queue", "people: [{at: 1s}]\nqueue:\n  stand: 3s\n", `queue: people is set too; keep one of them`},
		{"after the end", "duration: 5s\npeople:\n  - at: 9s\n", `x.yaml:3: people[0].at: 9s is after the end of the scenario; duration is 5s`},
		{"unknown way to follow", "people:\n  - {}\n  - follows: closely\n", `x.yaml:3: people[1].follows: "closely" is not known; write same-side, other-side, behind or at-once`},
		{"following nobody", "people:\n  - follows: behind\n", `x.yaml:2: people[0]: there is nobody before`},
		{"follower's time", "people:\n  - {}\n  - {follows: behind, at: 3s}\n", `x.yaml:3: people[1].at: it is set by the one before; use gap`},
		{"follower's place", "people:\n  - {}\n  - {follows: behind, side_metres: 0.1}\n", `x.yaml:3: people[1].distance_metres: who follows stands where the one before stood`},
		{"gap to nobody", "people:\n  - gap: 1s\n", `x.yaml:2: people[0].gap: there is nothing to wait for; set follows or returns too, or use at`},
		{"gap below zero", "people:\n  - {}\n  - {follows: at-once, gap: -1s}\n", `x.yaml:3: people[1].gap: -1s is impossible`},
		{"breath without mask", "people:\n  - breathing: true\n", `x.yaml:2: people[0].breathing: it is about the mask; set mask: true too`},
		{"move after the stay", "people:\n  - stand: 2s\n    moves: [{after: 3s}]\n", `x.yaml:3: people[0].moves[0].after: 3 is impossible; it must be 0 to 2 s, while the person stands`},
		{"moves in disorder", "people:\n  - moves: [{after: 2s}, {after: 1s}]\n", `x.yaml:2: people[0].moves[1].after: 1s is before the move above`},
		{"too many in line", "queue: {people: -1}\n", `x.yaml:1: queue.people: -1 is impossible; it must be 0 to 100000`},
		{"nobody to repeat", "repeat: true\n", `x.yaml:1: repeat: there are no people to repeat`},
		{"key twice", "seed: 1\nseed: 2\n", `x.yaml:2: `},
		{"tab", "camera:\n\twidth: 3\n", `x.yaml:2: a tab; indent with spaces`},
		{"two documents", "seed: 1\n---\nseed: 2\n", `a scenario file holds one`},
		{"alias", "camera: &c {width: 80}\nffc: *c\n", `x.yaml:1: camera: anchors, aliases and tags are not understood here`},
		{"nested without end", "seed: 1\npeople: " + strings.Repeat("[", 100_000), `x.yaml:2: `},
		{"deep", "seed: 1\npeople:\n" + strings.Repeat("- ", 100), `x.yaml:3: nested more than 32 deep`},
		{"not yaml", "{[}", `x.yaml:1: `},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(test.yaml))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxScenarioBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"no-such.yaml", t.TempDir(), big} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v does not name the file", path, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add(demo)
	f.Add([]byte("seed: 1\n---"))
	f.Add([]byte("people: [{at: 1s}, &a {core_celsius: 1e400}, *a, !!str x, <<: {}]\n---\n? [a]\n: |\n  b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz.yaml:") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is not one line that names the file: %q", err)
			}
			return
		}
		if p := s.check(); p != nil {
			t.Errorf("accepted an impossible value: %+v", p)
		}
	})
}

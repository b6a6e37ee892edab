package bounded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(path, 5); string(data) != "12345" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	for path, most := range map[string]int{path: 4, "/dev/zero": 1000} {
		if _, err := ReadFile(path, most); err == nil || !strings.Contains(err.Error(), path+": it has more than the "+fmt.Sprint(most)) {
			t.Errorf("%s: error %v", path, err)
		}
	}
	if _, err := ReadFile(path+".none", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// numbered repeats a text with a number in it.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestWhatIsBeyondAnyUse(t *testing.T) {
	const most = maxYAMLBytes
	bomb := "a0: &a0 [x]\n" + numbered("a%d: &a [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n", 9)
	for name, test := range map[string]struct{ yaml, want string }{
		"lists":           {strings.Repeat("[", 10_000), "nested more than 32 deep"},
		"groups":          {strings.Repeat("{a: ", 1000), "nested more than 32 deep"},
		"entries":         {strings.Repeat("- ", 10_000), "nested more than 32 deep"},
		"keys of keys":    {strings.Repeat("? ", 10_000), "nested more than 32 deep"},
		"indented":        {indented(100), "nested more than 32 deep"},
		"mixed":           {strings.Repeat("- ? ", 20), "nested more than 32 deep"},
		"bomb of aliases": {bomb, "more than 16 anchors, aliases and tags"},
		"tags":            {strings.Repeat("!!a ", 10_000), "more than 16 anchors, aliases and tags"},
		"keys":            {numbered("k%d: 1\n", 1000), "more than 256 keys"},
		"keys in braces":  {"a: {" + numbered("k%d: 1, ", 1000) + "}", "more than 256 keys"},
		"keys in a list":  {"a:\n- k: 1\n" + numbered("  k%d: 1\n", 1000), "more than 256 keys"},
		"words":           {strings.Repeat("- a\n", most/4), "the file holds too much"},
		"bytes":           {strings.Repeat("#", most+1), "262145 bytes are too many"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := CheckYAML([]byte(test.yaml)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func indented(levels int) string {
	var b strings.Builder
	for i := range levels {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

func TestWhatPeopleWrite(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"comments":       "# a\n\n  # b\n",
		"many people":    "people:\n" + strings.Repeat("  - at: 1s\n    stand: 3s\n    moves: [{after: 1s}, {after: 2s}]\n", 1000),
		"as JSON":        `{"people": [` + strings.Repeat(`{"at": "1s", "moves": [{"after": "1s"}]}, `, 1000) + `{}]}`,
		"alias":          "a: &a x\nb: *a\n",
		"back and forth": strings.Repeat("- a:\n    b:\n      - c: 1\n        d: 2\n  e: 3\n", 100),
	} {
		if line, err := CheckYAML([]byte(text)); err != nil {
			t.Errorf("%s: line %d: %v", name, line, err)
		}
	}
}

// TestMostThatIsLetThrough gives parser and decoder what is just within the limits.
func TestMostThatIsLetThrough(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, it has a time limit")
	}
	for _, text := range []string{
		strings.Repeat("- a: 1s\n", maxYAMLTokens/4), "[" + strings.Repeat("{},", maxYAMLTokens/3-1) + "]", numbered("k%d: 1\n", maxYAMLKeys),
		strings.Repeat("[", maxYAMLDepth-1), strings.Repeat("- ", maxYAMLDepth), indented(maxYAMLDepth), strings.Repeat("- a:\n", maxYAMLTokens/4),
		"a: &a [x, x, x]\n" + numbered("b%d: [*a, *a, *a]\n", 5),
	} {
		if line, err := CheckYAML([]byte(text)); err != nil {
			t.Errorf("%.20q: line %d: %v", text, line, err)
		}
		parse(t, []byte(text))
	}
}

// parse has a file parsed and decoded, in little memory and time.
func parse(t *testing.T, data []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	parser.ParseBytes(data, parser.ParseComments)
	var value any
	yaml.Unmarshal(data, &value)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 || took > time.Minute {
		t.Errorf("%d bytes took %v and %d MiB", len(data), took, used>>20)
	}
}

// FuzzYAML gives the parser and the decoder what is let through.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"a: 1\nb: [2, {c: d}]\n", "- - - a\n", "? [a]\n: |\n  b\n", "a: &a {b: 1}\nc:\n  <<: *a\n", "--- >-\n a\n...\n%YAML 1.2\n---\n!!str \"x\\u0041\"",
		"a:\n\tb: 1", "{[}", "'", "a: b: c", strings.Repeat("a:\r\n ", 5),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := CheckYAML(data); err != nil {
			return
		}
		parse(t, data)
	})
}

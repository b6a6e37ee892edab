package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.yaml": "# One\n# two.\nseed: 1\n", "mute.yaml": "seed: 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const result = `{"scenario":"a.yaml","people":3,"febrile":{"people":3,"alert":2,"pass":1},"wrong_person_frames":7,"seconds":{"median":0.5,"p99":1},"skin":{"error_celsius":-0.02,"deviation_celsius":0.1,"slope":0.99,"covered":0.97}}`
	var out bytes.Buffer
	if err := write(&out, strings.NewReader(result+"\n"), dir); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n| a | 2 of 3 | 0 | 1 | 0 |  | | |  |  | 0 | 7 | 0 | 0.50, 1.00 | -0.02 ± 0.10, 0.99, 0.97 |\n", "\n- **a**: One two.\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	for in, want := range map[string]string{
		"":                          "no results",
		"figures":                   "reading results",
		`{"scenario":"mute.yaml"}`:  "mute.yaml does not begin with a comment",
		`{"scenario":"other.yaml"}`: "other.yaml",
	} {
		if err := write(&out, strings.NewReader(in), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", in, err)
		}
	}
}

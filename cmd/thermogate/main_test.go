package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"thermogate/cmd/internal/program"
	"thermogate/testdata"
)

// TestBadInputIsToldInOneLine gives the commands what people give them by mistake.
func TestBadInputIsToldInOneLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	grey := gocv.NewMatWithSize(120, 160, gocv.MatTypeCV8U)
	defer grey.Close()
	eightBit := filepath.Join(dir, "grey.tiff")
	if !gocv.IMWrite(eightBit, grey) {
		t.Fatal("can't write a picture")
	}
	empty := file("empty.tiff", nil)
	text := file("notes.tiff", []byte("not a picture"))
	config := file("gate.yaml", []byte("site: a\npolcy: {}\n"))
	endless := file("endless.yaml", []byte("queue: {stand: 2s}\n"))
	again := file("again.yaml", []byte("repeat: true\npeople: [{at: 1s}]\n"))
	noCamera := file("nocamera.yaml", []byte("camera: {uri: /dev/video99}\ndata_dir: "+dir+"\nhttp: {listen: '127.0.0.1:0'}\n"))
	secret := file("secret.yaml", []byte("camera: {uri: 'simulator:'}\ndata_dir: "+dir+
		"\nhttp: {listen: '0.0.0.0:0', unencrypted: true, password_file: /nowhere}\nbroker: {listen: '127.0.0.1:0'}\n"))
	doorWithoutSecret := file("door.yaml", []byte("camera: {uri: 'simulator:'}\ndata_dir: "+dir+"\nhttp: {listen: '127.0.0.1:0'}\n"+
		"broker: {listen: '"+testdata.FreeAddress(t)+"'}\ndoor: {output: webhook, webhook: {url: 'http://door.example', secret_file: nowhere}}\n"))
	tests := []struct {
		name string
		args []string
		says []string
		code int
	}{
		{"no command", nil, []string{"demo"}, 2},
		{"unknown command", []string{"reply"}, []string{"reply"}, 2},
		{"unknown flag", []string{"replay", "--jsno", "x"}, []string{"--jsno"}, 2},
		{"no recording", []string{"replay"}, []string{"replay"}, 2},
		{"missing recording", []string{"replay", "nowhere.tiff"}, []string{"nowhere.tiff"}, 1},
		{"empty recording", []string{"replay", empty}, []string{"empty.tiff"}, 1},
		{"no picture", []string{"replay", text}, []string{"notes.tiff"}, 1},
		{"folder without pictures", []string{"replay", t.TempDir()}, []string{"PNG"}, 1},
		{"8-bit recording", []string{"replay", eightBit}, []string{"grey.tiff", "8-bit"}, 1},
		{"unknown orientation", []string{"replay", "--orientation", "sideways", empty}, []string{"sideways", "transpose"}, 2},
		{"unknown units", []string{"replay", "--units", "kelvins", eightBit}, []string{"kelvins", "centikelvin"}, 2},
		{"misspelt key", []string{"replay", "-c", config, empty}, []string{"gate.yaml:2", "polcy", "policy"}, 2},
		{"missing config", []string{"run", "-c", "nowhere.yaml"}, []string{"nowhere.yaml"}, 2},
		{"run without a camera", []string{"run"}, []string{"camera.uri"}, 2},
		{"check of a missing device", []string{"check", "-c", noCamera}, []string{"attention"}, 1},
		{"check without the password", []string{"check", "-c", secret}, []string{"attention"}, 1},
		{"misspelt command", []string{"chek"}, []string{"did you mean check"}, 2},
		{"no pairs", []string{"study"}, []string{"PAIRS.csv"}, 2},
		{"no journal", []string{"events", "--journal", "nowhere.db"}, []string{"nowhere.db", "--journal", "-c"}, 1},
		{"sheet of an unknown kind", []string{"detect", "--sheet", "sheet.gif", eightBit}, []string{"sheet.gif", ".png"}, 2},
		{"door without its secret", []string{"run", "-c", doorWithoutSecret}, []string{"door.webhook.secret_file", "nowhere"}, 1},
		{"no scenario", []string{"trial"}, []string{"SCENARIO"}, 2},
		{"trial of a missing scenario", []string{"trial", "nowhere.yaml"}, []string{"nowhere.yaml"}, 2},
		{"trial of a wrong scenario", []string{"trial", config}, []string{"gate.yaml:1", "site"}, 2},
		{"endless trial", []string{"trial", endless}, []string{"endless.yaml", "queue.people", "duration"}, 2},
		{"trial that begins again", []string{"trial", again}, []string{"again.yaml", "repeat"}, 2},
		{"missing scenario", []string{"bench", "simulator:nowhere.yaml"}, []string{"nowhere.yaml"}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := newRootCommand()
			var out bytes.Buffer
			root.SetOut(&out)
			root.SetErr(&out)
			root.SetArgs(test.args)
			err := root.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			code := 1
			if errors.As(err, &program.UsageError{}) {
				code = 2
			}
			if code != test.code {
				t.Errorf("%q ends with %d, want %d", err, code, test.code)
			}
		})
	}
}

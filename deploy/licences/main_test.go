package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestLicencesAreUpToDate(t *testing.T) {
	var now bytes.Buffer
	if err := write(&now); err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("../third-party-licences.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(now.Bytes(), shipped) {
		t.Error("deploy/third-party-licences.txt is out of date: make licences")
	}
	for _, part := range []string{"OpenCV", "SQLite", "*.onnx", "gocv.io/x/gocv ", "github.com/mochi-mqtt/server/v2 ", "Copyright 2009 The Go Authors"} {
		if !strings.Contains(now.String(), part) {
			t.Errorf("nothing of %s", part)
		}
	}
}

// TestEveryImageAndPackageHasTheLicences reads what is put beside the program where it is installed.
func TestEveryImageAndPackageHasTheLicences(t *testing.T) {
	for path, installs := range map[string][]string{
		"../../Dockerfile": {"COPY LICENSE deploy/README.md deploy/console.md deploy/kiosk.md deploy/security.md deploy/third-party-licences.txt /usr/share/doc/thermogate/"},
		"../package":       {"README.md console.md kiosk.md security.md third-party-licences.txt", "{src: LICENSE, dst: /usr/share/doc/$1/copyright,"},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		images := max(1, strings.Count(string(text), "ENTRYPOINT"))
		for _, install := range installs {
			if strings.Count(string(text), install) < images {
				t.Errorf("%s lacks: %s", path, install)
			}
		}
	}
}

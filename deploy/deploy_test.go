// Package deploy tests what is shipped beside the programs: packages, units, images, compose files and manifests.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestContainersFit has compose-go load the compose files, and every Kubernetes object fit its type.
func TestContainersFit(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", "-C", "validate", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, part := range []string{"compose.yaml: [gate prometheus]", "plant/compose.yaml:", "district/compose.yaml:", "kubernetes/sqlite:", "kubernetes/postgresql:"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("nothing of %q:\n%s", part, out)
		}
	}
}

// TestPackagesHaveTheirFiles reads what the packages are made of.
func TestPackagesHaveTheirFiles(t *testing.T) {
	made := regexp.MustCompile(`@(BUILD|WORK)@/`)
	for _, name := range []string{"thermogate", "thermogate-console", "thermogate-kiosk"} {
		text, err := os.ReadFile(filepath.Join("debian", name, "nfpm.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Contents []struct{ Src, Dst, Type string }
		}
		plain := regexp.MustCompile(`(?m)^@DOCUMENTS@$`).ReplaceAllString(string(text), "")
		plain = regexp.MustCompile(`@(\w+)@`).ReplaceAllString(plain, "at-$1")
		if err := yaml.Unmarshal([]byte(plain), &spec); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		unit, config := false, name == "thermogate-kiosk"
		for _, content := range spec.Contents {
			unit = unit || content.Dst == "/usr/lib/systemd/system/"+name+".service"
			config = config || content.Type == "config" && strings.HasPrefix(content.Dst, "/etc/thermogate/")
			if strings.HasPrefix(content.Src, "at-") || made.MatchString(content.Src) {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", content.Src)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !unit || !config {
			t.Errorf("%s has its unit: %v, its config: %v", name, unit, config)
		}
	}
}

// TestUnits has systemd look at the units, whose programs need not be installed here.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not installed")
	}
	units, err := filepath.Glob("systemd/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("units: %q, %v", units, err)
	}
	for _, unit := range units {
		out, _ := exec.CommandContext(t.Context(), "systemd-analyze", "verify", unit).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "is not executable: No such file") {
				t.Errorf("%s: %s", unit, line)
			}
		}
	}
}

// TestReleaseNeedsAChangelog asks for a release that nobody has described.
func TestReleaseNeedsAChangelog(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "./release", "987.0.0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CHANGELOG.md has no line '## 987.0.0, ") {
		t.Errorf("%v: %s", err, out)
	}
}

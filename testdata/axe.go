package testdata

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// AxeCore returns the script of the accessibility checker axe-core, which tests fetch with npm, once for each user of the machine.
var AxeCore = sync.OnceValues(func() (string, error) {
	const version = "4.14.1"
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "thermogate-axe-core-"+version)
	file := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if out, err := exec.Command("npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@"+version).CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm: %w: %s", err, out)
		}
	}
	script, err := os.ReadFile(file)
	return string(script), err
})

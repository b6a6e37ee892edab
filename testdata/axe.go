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
	file := filepath.Join(cache, "thermogate-axe-core-"+version+".js")
	if _, err := os.Stat(file); err != nil {
		if err := fetchAxeCore(cache, version, file); err != nil {
			return "", err
		}
	}
	script, err := os.ReadFile(file)
	return string(script), err
})

// fetchAxeCore leaves the file there in one piece: the tests of several packages may do so at the same time.
func fetchAxeCore(cache, version, file string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "thermogate-axe-core-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@"+version).CombinedOutput(); err != nil {
		return fmt.Errorf("npm: %w: %s", err, out)
	}
	return os.Rename(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"), file)
}

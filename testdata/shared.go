// Package testdata finds the real recordings and clinical data that tests run on. They are not part of the project:
// where they are missing, the test that needs them is skipped and says so.
package testdata

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Shared returns the path of a file or folder in the folder "shared" beside the project, or skips the test.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(self))
	path := filepath.Join(append([]string{root, "..", "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped, the real data is not beside the project: %v", err)
	}
	return path
}

// Package testdata finds the real recordings and clinical data that tests run on, and makes certificates for them. The
// recordings are not part of the project: where they are missing, the test that needs them is skipped and says so.
package testdata

import (
	"encoding/csv"
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

// Table reads a CSV file of the shared folder, every row by the names in the first, or skips the test.
func Table(t testing.TB, elem ...string) []map[string]string {
	t.Helper()
	file, err := os.Open(Shared(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var table []map[string]string
	for _, row := range rows[1:] {
		named := make(map[string]string, len(row))
		for i, name := range rows[0] {
			named[name] = row[i]
		}
		table = append(table, named)
	}
	return table
}

package event

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneWord has the pages of gate and console call one thing by one word.
func TestOneWord(t *testing.T) {
	others := map[string]string{"参考源": "黑体", "闸口": "闸机", "值班人员": "保安", "报警": "告警"}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && (entry.Name() == ".git" || entry.Name() == "bin" || entry.Name() == "shared") {
				return fs.SkipDir
			}
			return err
		}
		switch filepath.Ext(path) {
		case ".go", ".html", ".js", ".md", ".yaml":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.HasSuffix(path, "phrases_test.go") {
			return err
		}
		for other, word := range others {
			if strings.Contains(string(text), other) {
				t.Errorf("%s says %s, which everything else calls %s", path, other, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

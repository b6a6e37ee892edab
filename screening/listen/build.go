package listen

import (
	"hash/fnv"
	"io/fs"
	"strconv"
)

// BuildOf names the version of the pages that are made of these files.
func BuildOf(files fs.FS) string {
	sum := fnv.New64a()
	_ = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			content, _ := fs.ReadFile(files, path)
			sum.Write(content)
		}
		return err
	})
	return strconv.FormatUint(sum.Sum64(), 36)
}

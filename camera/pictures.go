package camera

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxFileBytes bounds what is read of a single picture.
const maxFileBytes = maxPageBytes

// openPictures opens what path names: a file, a folder of PNG files, a pattern such as frame_%04d.png, or a glob.
func openPictures(path string) (pictures, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return openFolder(path)
	case err == nil && !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file; devices are opened as v4l2:///dev/videoN")
	case err == nil:
		return openFile(path)
	case printfVerb.MatchString(filepath.Base(path)):
		return openNumbered(path)
	case strings.ContainsAny(path, "*?["):
		return openGlob(path)
	}
	return nil, plain(err)
}

// plain takes the operation and path off an error of package os: the caller names the path.
func plain(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// sidecarPath returns where the sidecar of a recording lies: beside the file, or beside the folder of the pictures.
func sidecarPath(path string) string {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
	}
	folder := path
	if err != nil { // a pattern
		folder = filepath.Dir(path)
	}
	if absolute, err := filepath.Abs(folder); err == nil { // "." has no name to go by
		folder = absolute
	}
	return folder + ".json"
}

// openFile opens a stack or a single picture, by its contents.
func openFile(path string) (pictures, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	kind, err := kindOf(file)
	if err == nil {
		err = checkName(path, kind)
	}
	if err == nil && kind == kindTIFF {
		stack, stackErr := openTIFFStack(file)
		if stackErr == nil {
			return stack, nil
		}
		err = stackErr
	}
	file.Close()
	if err != nil {
		return nil, err
	}
	return &sequence{paths: []string{path}}, nil
}

// kind is a file format, by its usual name.
type kind string

const (
	kindTIFF kind = "TIFF"
	kindPNG  kind = "PNG"
	kindJPEG kind = "JPEG"
)

// kindOf tells the format of a file from its first bytes.
func kindOf(file io.ReaderAt) (kind, error) {
	start := make([]byte, 8)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return "", plain(err)
	}
	start = start[:n]
	for _, known := range []struct {
		magic string
		kind  kind
	}{
		{"II*\x00", kindTIFF}, {"II+\x00", kindTIFF}, {"MM\x00*", kindTIFF}, {"MM\x00+", kindTIFF},
		{"\x89PNG\r\n\x1a\n", kindPNG}, {"\xff\xd8\xff", kindJPEG},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return known.kind, nil
		}
	}
	if n == 0 {
		return "", errors.New("the file is empty")
	}
	return "", errors.New("it is no TIFF or PNG file; record 16-bit counts as a TIFF stack or as PNG files")
}

// checkName refuses a file whose name promises another format than it holds: somebody mixed up files.
func checkName(path string, is kind) error {
	promised := map[string]kind{".tif": kindTIFF, ".tiff": kindTIFF, ".png": kindPNG, ".jpg": kindJPEG, ".jpeg": kindJPEG}
	if p := promised[strings.ToLower(filepath.Ext(path))]; p != "" && p != is {
		return fmt.Errorf("its name says %s, its contents are %s; give it the right name or take it out", p, is)
	}
	return nil
}

// sequence is a list of files with one picture each.
type sequence struct {
	paths []string
	next  int
	data  bytes.Buffer
}

func (s *sequence) rewind()      { s.next = 0 }
func (s *sequence) close() error { return nil }

func (s *sequence) label() string {
	if s.next < len(s.paths) {
		return filepath.Base(s.paths[s.next])
	}
	return "end"
}

func (s *sequence) encoded() ([]byte, error) {
	if s.next == len(s.paths) {
		return nil, io.EOF
	}
	if err := s.load(s.paths[s.next]); err != nil {
		return nil, fmt.Errorf("%s: %w", s.label(), err)
	}
	s.next++
	return s.data.Bytes(), nil
}

func (s *sequence) load(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return plain(err)
	}
	defer file.Close()
	is, err := kindOf(file)
	if err == nil {
		err = checkName(path, is)
	}
	if err != nil {
		return err
	}
	s.data.Reset()
	if n, err := s.data.ReadFrom(io.LimitReader(file, maxFileBytes+1)); err != nil || n > maxFileBytes {
		return cmp.Or(err, errors.New("the file is larger than any picture"))
	}
	return checkPicture(s.data.Bytes(), is)
}

// checkPicture looks at the size a picture claims before the decoder allocates it.
func checkPicture(data []byte, is kind) error {
	config := png.DecodeConfig
	switch is {
	case kindJPEG:
		config = jpeg.DecodeConfig
	case kindTIFF:
		return errors.New("it is a TIFF file among single pictures; open a TIFF stack by its own name")
	}
	size, err := config(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the picture is damaged: %w", err)
	}
	return checkSize(uint32(size.Width), uint32(size.Height))
}

// printfVerb is the counter in a file name such as frame_%04d.png.
var printfVerb = regexp.MustCompile(`%(0\d*)?d`)

func openFolder(folder string) (pictures, error) {
	names, err := filesIn(folder)
	if err != nil {
		return nil, err
	}
	var pngs []string
	tiffs := 0
	for _, name := range names {
		switch strings.ToLower(filepath.Ext(name)) {
		case ".png":
			pngs = append(pngs, name)
		case ".tif", ".tiff":
			tiffs++
		}
	}
	switch {
	case len(pngs) == 0 && tiffs > 0:
		return nil, errors.New("the folder holds TIFF files; name the recordings themselves, FOLDER/NAME.tiff")
	case len(pngs) == 0:
		return nil, errors.New("the folder holds no PNG files")
	case tiffs > 0:
		return nil, errors.New("the folder holds both PNG and TIFF files; keep one recording a folder")
	}
	return newSequence(folder, pngs), nil
}

func openNumbered(path string) (pictures, error) {
	folder, pattern := filepath.Split(path)
	parts := printfVerb.Split(pattern, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	matches := regexp.MustCompile(`^` + strings.Join(parts, `\d+`) + `$`)
	return openMatching(folder, func(name string) bool { return matches.MatchString(name) })
}

func openGlob(path string) (pictures, error) {
	folder, pattern := filepath.Split(path)
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%w: check the brackets", err)
	}
	return openMatching(folder, func(name string) bool {
		ok, _ := filepath.Match(pattern, name)
		return ok
	})
}

func openMatching(folder string, matches func(name string) bool) (pictures, error) {
	folder = filepath.Clean(folder)
	names, err := filesIn(folder)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", folder, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !matches(name) })
	if len(names) == 0 {
		return nil, fmt.Errorf("no file in %s matches", folder)
	}
	return newSequence(folder, names), nil
}

func filesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, plain(err)
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func newSequence(folder string, names []string) *sequence {
	slices.SortFunc(names, compareNumbered)
	s := new(sequence)
	for _, name := range names {
		s.paths = append(s.paths, filepath.Join(folder, name))
	}
	return s
}

// compareNumbered orders frame_9 before frame_10: numbers by value, all else by its letters.
func compareNumbered(a, b string) int {
	for a != "" && b != "" {
		numberA, numberB := leadingDigits(a), leadingDigits(b)
		if numberA == "" || numberB == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		valueA, valueB := strings.TrimLeft(numberA, "0"), strings.TrimLeft(numberB, "0")
		if c := cmp.Or(cmp.Compare(len(valueA), len(valueB)), cmp.Compare(valueA, valueB)); c != 0 {
			return c
		}
		a, b = a[len(numberA):], b[len(numberB):]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

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

	"thermogate/camera/flir"
	"thermogate/camera/matrix"
)

// maxFileBytes bounds what is read of a single picture.
const maxFileBytes = maxPageBytes

// openPictures opens what path names: a file, a folder of PNG files, a pattern such as frame_%04d.png, or a glob. What the
// sidecar said helps with files that don't say their size.
func openPictures(path string, said *sidecar) (pictures, error) {
	list := func(s *sequence, err error) (pictures, error) {
		if err != nil {
			return nil, err
		}
		s.said = said
		return s, nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return list(openFolder(path))
	case err == nil:
		return openFile(path, said)
	case printfVerb.MatchString(filepath.Base(path)):
		return list(openNumbered(path))
	case strings.ContainsAny(path, "*?["):
		return list(openGlob(path))
	}
	return nil, WithoutPath(err)
}

// WithoutPath takes the operation and path off an error of package os: the caller names the path.
func WithoutPath(err error) error {
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

// kind is a file format, by its usual name.
type kind string

const (
	kindTIFF kind = "TIFF"
	kindPNG  kind = "PNG"
	kindJPEG kind = "JPEG"
	kindFFF  kind = "FLIR FFF"
	kindNPY  kind = "NumPy"
	kindPGM  kind = "PGM"
	kindCSV  kind = "CSV"
	kindRaw  kind = "raw counts"
)

// kindOf tells the format of a file from its first bytes, and from its name where a format has none of its own.
func kindOf(file io.ReaderAt, path string) (kind, error) {
	start := make([]byte, 16)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return "", WithoutPath(err)
	}
	if n == 0 {
		return "", errors.New("the file is empty")
	}
	start = start[:n]
	for _, known := range []struct {
		magic string
		kind  kind
	}{
		{"II*\x00", kindTIFF}, {"II+\x00", kindTIFF}, {"MM\x00*", kindTIFF}, {"MM\x00+", kindTIFF},
		{"\x89PNG\r\n\x1a\n", kindPNG}, {"\xff\xd8\xff", kindJPEG},
		{flir.Magic, kindFFF}, {matrix.NPYMagic, kindNPY}, {"P5", kindPGM},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return known.kind, nil
		}
	}
	if err := unread(start); err != nil {
		return "", err
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv", ".tsv", ".txt", ".asc":
		if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
			return "", errors.New("it is text in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")
		}
		return kindCSV, nil
	case ".raw", ".bin", ".y16", ".gray16":
		return kindRaw, nil
	}
	return "", errors.New("it is no TIFF or PNG file, nor another that is read: FLIR JPEG, FFF and SEQ, NumPy .npy, .csv, PGM, " +
		"or .raw counts; save 16-bit counts as a TIFF stack or as PNG files, or °C as .npy or .csv")
}

// unread says what to do with files that people have and that are not read.
func unread(start []byte) error {
	for _, known := range []struct{ magic, do string }{
		{"AFF\x00", "it is a recording of FLIR ResearchIR; export it there as TIFF or CSV"},
		{"FPF ", "it is FLIR's public image format; export the picture as TIFF or CSV"},
		{"PK\x03\x04", "it is an archive; unpack it (unzip) and open what lies within, such as the .npy of an .npz"},
		{"\x1f\x8b", "it is compressed; unpack it with gunzip"},
		{"MATLAB", "it is a MATLAB file; save the matrix there with writematrix(m, 'NAME.csv')"},
		{"\x89HDF", "it is an HDF5 file; save the array as .npy (numpy.save) or as TIFF"},
		{"P2", "it is PGM written as text; save it as binary PGM, as convert does: convert OLD.pgm NEW.pgm"},
		{"RIFF", notFilm}, {"\x1a\x45\xdf\xa3", notFilm},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return errors.New(known.do)
		}
	}
	if len(start) >= 8 && string(start[4:8]) == "ftyp" {
		return errors.New(notFilm)
	}
	return nil
}

const notFilm = "it is a film: those are made for eyes and carry no temperatures; record the camera's 16-bit counts"

// checkName refuses a file whose name promises another format than it holds: somebody mixed up files.
func checkName(path string, is kind) error {
	promised := map[string]kind{".tif": kindTIFF, ".tiff": kindTIFF, ".png": kindPNG, ".jpg": kindJPEG, ".jpeg": kindJPEG,
		".npy": kindNPY, ".pgm": kindPGM, ".seq": kindFFF, ".fff": kindFFF}
	if p := promised[strings.ToLower(filepath.Ext(path))]; p != "" && p != is {
		return fmt.Errorf("its name says %s, its contents are %s; give it the right name or take it out", p, is)
	}
	return nil
}

// openFile opens one file by its contents.
func openFile(path string, said *sidecar) (pictures, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for who writes to it
		return nil, errors.New("it is no regular file; devices are opened as v4l2:///dev/videoN")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, WithoutPath(err)
	}
	is, err := kindOf(file, path)
	if err == nil {
		err = checkName(path, is)
	}
	var stored pictures
	if err == nil {
		stored, err = openKind(file, is, said)
	}
	if err != nil {
		file.Close()
		return nil, WithoutPath(err)
	}
	return stored, nil
}

func openKind(file *os.File, is kind, said *sidecar) (pictures, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	switch is {
	case kindTIFF:
		return openTIFFStack(file)
	case kindFFF:
		return openFFF(file, info.Size()), nil
	case kindNPY:
		return openNPY(file, info.Size())
	case kindCSV:
		return openCSV(file), nil
	case kindPGM:
		return openPGM(file, info.Size()), nil
	case kindRaw:
		return openRaw(file, info.Size(), said)
	}
	return &numbered{file: file, readNth: func(n int) (picture, error) {
		if n > 0 {
			return picture{}, io.EOF
		}
		return readStill(file, is)
	}}, nil
}

// numbered is a file that is read picture by picture.
type numbered struct {
	file    *os.File
	n       int
	readNth func(n int) (picture, error)
}

func (f *numbered) rewind()       { f.n = 0 }
func (f *numbered) close() error  { return f.file.Close() }
func (f *numbered) label() string { return fmt.Sprintf("picture %d", f.n+1) }

func (f *numbered) read() (picture, error) {
	p, err := f.readNth(f.n)
	if err == io.EOF {
		return p, err
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", f.label(), WithoutPath(err))
	}
	f.n++
	return p, nil
}

// readStill reads a PNG or JPEG file: of a radiometric JPEG its thermal picture, not the one for eyes.
func readStill(file *os.File, is kind) (picture, error) {
	var data bytes.Buffer
	if n, err := data.ReadFrom(io.NewSectionReader(file, 0, maxFileBytes+1)); err != nil || n > maxFileBytes {
		return picture{}, cmp.Or(err, errors.New("the file is larger than any picture"))
	}
	if is == kindJPEG {
		if fff, err := flir.FromJPEG(data.Bytes()); err != nil {
			return picture{}, err
		} else if fff != nil {
			return ofFLIR(flir.Parse(fff))
		}
	}
	return picture{encoded: data.Bytes()}, checkPicture(data.Bytes(), is)
}

// checkPicture looks at the size a picture claims before the decoder allocates it.
func checkPicture(data []byte, is kind) error {
	config := png.DecodeConfig
	if is == kindJPEG {
		config = jpeg.DecodeConfig
	}
	size, err := config(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the picture is damaged: %w", err)
	}
	return checkSize(uint64(size.Width), uint64(size.Height))
}

// sequence is a list of files, one recording together.
type sequence struct {
	paths   []string
	next    int
	current pictures // of the file before next; nil where there is none
	said    *sidecar // of all together
}

func (s *sequence) rewind() {
	s.close()
	s.next = 0
}

func (s *sequence) close() error {
	if s.current == nil {
		return nil
	}
	err := s.current.close()
	s.current = nil
	return err
}

func (s *sequence) label() string {
	switch {
	case s.current != nil:
		return filepath.Base(s.paths[s.next-1])
	case s.next < len(s.paths):
		return filepath.Base(s.paths[s.next])
	}
	return "end"
}

func (s *sequence) read() (picture, error) {
	for {
		if s.current == nil && s.next == len(s.paths) {
			return picture{}, io.EOF
		}
		if s.current == nil {
			file, err := openFile(s.paths[s.next], s.said)
			if err != nil {
				return picture{}, fmt.Errorf("%s: %w", s.label(), err)
			}
			s.current = file
			s.next++
			if _, is := file.(*tiffStack); is {
				return picture{}, fmt.Errorf("%s: its contents are TIFF; open a TIFF stack by its own name", s.label())
			}
		}
		p, err := s.current.read()
		if err == io.EOF {
			s.close()
			continue
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", s.label(), err)
		}
		return p, nil
	}
}

// printfVerb is the counter in a file name such as frame_%04d.png.
var printfVerb = regexp.MustCompile(`%(0\d*)?d`)

func openFolder(folder string) (*sequence, error) {
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
		return nil, errors.New("the folder holds no PNG files; name others by a pattern, such as 'FOLDER/*.jpg' or 'FOLDER/*.csv'")
	case tiffs > 0:
		return nil, errors.New("the folder holds both PNG and TIFF files; keep one recording a folder")
	}
	return newSequence(folder, pngs), nil
}

func openNumbered(path string) (*sequence, error) {
	folder, pattern := filepath.Split(path)
	parts := printfVerb.Split(pattern, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	matches := regexp.MustCompile(`^` + strings.Join(parts, `\d+`) + `$`)
	return openMatching(folder, func(name string) bool { return matches.MatchString(name) })
}

func openGlob(path string) (*sequence, error) {
	folder, pattern := filepath.Split(path)
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%w: check the brackets", err)
	}
	return openMatching(folder, func(name string) bool {
		ok, _ := filepath.Match(pattern, name)
		return ok
	})
}

func openMatching(folder string, matches func(name string) bool) (*sequence, error) {
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
		return nil, WithoutPath(err)
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

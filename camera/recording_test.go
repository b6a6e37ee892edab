package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"thermogate/testdata"
)

func mustOpen(t testing.TB, uri string, options Options) Source {
	t.Helper()
	source, err := Open(context.Background(), uri, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

// readAll reads a source to its end and returns the frames and the error that ended it.
func readAll(source Source) ([]Frame, error) {
	var frames []Frame
	for {
		var frame Frame
		if err := source.Read(context.Background(), &frame); err != nil {
			return frames, err
		}
		frames = append(frames, frame)
	}
}

func TestStackGivesExactCounts(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			path := writeStack(t, stack{frames: 30, order: order})
			frames, err := readAll(mustOpen(t, path, Options{Orientation: Mirror, FPS: 25}))
			if err != io.EOF || len(frames) != 30 {
				t.Fatalf("%d frames, then %v", len(frames), err)
			}
			for n, frame := range frames {
				for i, got := range frame.Counts {
					if want := testCount(n, i/6*6+5-i%6); got != want {
						t.Fatalf("frame %d: pixel %d is %d, want %d", n, i, got, want)
					}
				}
				if want := time.Unix(0, 0).Add(time.Duration(n) * 40 * time.Millisecond); !frame.Captured.Equal(want) {
					t.Errorf("frame %d captured at %v, want %v", n, frame.Captured, want)
				}
				if frame.Index != n || frame.SinceFFC != -1 {
					t.Errorf("frame %d has index %d, FFC %v", n, frame.Index, frame.SinceFFC)
				}
			}
		})
	}
}

func TestSidecarDescribesTheRecording(t *testing.T) {
	path := writeStack(t, stack{frames: 3, sidecar: map[string]any{
		"width": 6, "height": 4, "frames": 3, "fps": 8.77, "units": "centikelvin", "orientation": "transpose",
		"reference_celsius": 36.6, "reference_known": true, "camera": "lepton3.5", "device": "north gate",
		"start":   "2021-03-22T11:28:50+13:00",
		"time_ms": []float64{0, 114, 228.5}, "ms_since_ffc": []any{nil, 20, 134},
		"written_by": "another program",
	}})
	source := mustOpen(t, path, Options{})
	info := source.Info()
	if info.Name != "gate.tiff" || info.Model != "lepton3.5" || info.Device != "north gate" || info.FPS != 8.77 || info.Units != "centikelvin" || info.Live ||
		info.ReferenceCelsius == nil || *info.ReferenceCelsius != 36.6 || !info.ReferenceKnown {
		t.Errorf("info is %+v", info)
	}
	frames, err := readAll(source)
	if err != io.EOF || len(frames) != 3 {
		t.Fatalf("%d frames, then %v", len(frames), err)
	}
	if f := frames[0]; f.Width != 4 || f.Height != 6 || f.Counts[1] != testCount(0, 6) {
		t.Errorf("the picture is not transposed: %dx%d, %v", f.Width, f.Height, f.Counts)
	}
	start := time.Date(2021, 3, 21, 22, 28, 50, 0, time.UTC)
	for n, want := range []struct{ captured, sinceFFC time.Duration }{
		{0, -1}, {114 * time.Millisecond, 20 * time.Millisecond}, {228500 * time.Microsecond, 134 * time.Millisecond},
	} {
		if got := frames[n]; !got.Captured.Equal(start.Add(want.captured)) || got.SinceFFC != want.sinceFFC {
			t.Errorf("frame %d: captured %v, FFC %v", n, got.Captured, got.SinceFFC)
		}
	}
}

func TestOptionsWinOverTheSidecarAndItOverDefaults(t *testing.T) {
	path := writeStack(t, stack{frames: 2, sidecar: map[string]any{
		"fps": 9, "units": "centikelvin", "orientation": "transpose", "time_ms": []float64{0, 100}}})
	asked := Options{Orientation: Normal, FPS: 50, Units: "kelvin64"}
	source := mustOpen(t, path, asked)
	frames, _ := readAll(source)
	if info := source.Info(); info.FPS != 50 || info.Units != "kelvin64" || frames[1].Width != 6 ||
		frames[1].Captured.Sub(frames[0].Captured) != 20*time.Millisecond {
		t.Errorf("options did not win: %+v, %v", info, frames)
	}
	bare := mustOpen(t, writeStack(t, stack{frames: 1}), Options{})
	if info := bare.Info(); info.Units != "counts" || info.FPS != defaultFPS || info.ReferenceCelsius != nil {
		t.Errorf("defaults are %+v", info)
	}
}

func TestLoopGoesOnInTime(t *testing.T) {
	path := writeStack(t, stack{frames: 3, sidecar: map[string]any{"fps": 10, "time_ms": []float64{0, 90, 200}}})
	source := mustOpen(t, path, Options{Loop: true})
	var frame Frame
	for n, want := range []time.Duration{0, 90, 200, 300, 390, 500, 600} {
		if err := source.Read(context.Background(), &frame); err != nil {
			t.Fatal(err)
		}
		if at := frame.Captured.Sub(time.Unix(0, 0)); at != want*time.Millisecond || frame.Index != n {
			t.Errorf("frame %d: index %d at %v, want %v ms", n, frame.Index, at, int(want))
		}
		if got := frame.Counts[0]; got != testCount(n%3, 0) {
			t.Errorf("frame %d shows %d", n, got)
		}
	}
}

func TestPacedPlaysAtTheRecordedRate(t *testing.T) {
	path := writeStack(t, stack{frames: 4, sidecar: map[string]any{"time_ms": []float64{0, 30, 31, 90}}})
	source := Paced(mustOpen(t, path, Options{}))
	if !source.Info().Live {
		t.Error("a paced recording is not marked as live")
	}
	began := time.Now()
	frames, err := readAll(source)
	if err != io.EOF || len(frames) != 4 {
		t.Fatalf("%d frames, then %v", len(frames), err)
	}
	for n, due := range []time.Duration{0, 30, 31, 90} {
		if at := frames[n].Captured.Sub(began); at < due*time.Millisecond || at > due*time.Millisecond+time.Minute {
			t.Errorf("frame %d came after %v, due after %d ms", n, at, due)
		}
	}
}

func writePNG(t testing.TB, path string, kind gocv.MatType, n int) {
	t.Helper()
	mat := gocv.NewMatWithSize(4, 6, kind)
	defer mat.Close()
	for i := range 24 {
		if kind == gocv.MatTypeCV16UC1 {
			mat.SetShortAt(i/6, i%6, int16(testCount(n, i)))
		} else {
			mat.SetUCharAt(i/6, i%6, byte(testCount(n, i)))
		}
	}
	if !gocv.IMWrite(path, mat) {
		t.Fatalf("can't write %s", path)
	}
}

func TestPNGSequences(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "visit")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 11 { // frame_10 has to come last, not after frame_1
		writePNG(t, filepath.Join(folder, fmt.Sprintf("frame_%d.png", n)), gocv.MatTypeCV16UC1, n)
	}
	writeFile(t, folder+".json", []byte(`{"fps": 5, "units": "kelvin64"}`))
	for _, uri := range []string{folder, folder + "/", filepath.Join(folder, "frame_%d.png"), filepath.Join(folder, "*.png")} {
		source := mustOpen(t, uri, Options{})
		if info := source.Info(); info.FPS != 5 || info.Units != "kelvin64" {
			t.Errorf("%s: the sidecar was not read: %+v", uri, info)
		}
		frames, err := readAll(source)
		if err != io.EOF || len(frames) != 11 {
			t.Fatalf("%s: %d frames, then %v", uri, len(frames), err)
		}
		for n, frame := range frames {
			if frame.Counts[7] != testCount(n, 7) {
				t.Errorf("%s: frame %d shows %d, want %d", uri, n, frame.Counts[7], testCount(n, 7))
			}
		}
	}
	single := mustOpen(t, filepath.Join(folder, "frame_3.png"), Options{})
	if frames, err := readAll(single); err != io.EOF || len(frames) != 1 || frames[0].Counts[9] != testCount(3, 9) {
		t.Errorf("single picture: %v, %v", frames, err)
	}
}

func TestEightBitPicturesAreForFacesOnly(t *testing.T) {
	grey := filepath.Join(t.TempDir(), "grey.png")
	writePNG(t, grey, gocv.MatTypeCV8UC1, 0)
	tiff := writeStack(t, stack{frames: 2, bits: 8, sidecar: map[string]any{"units": "centikelvin"}})
	for _, path := range []string{grey, tiff} {
		if _, err := Open(context.Background(), path, Options{}); !errors.Is(err, errEightBit) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		source := mustOpen(t, path, Options{EightBit: true})
		if units := source.Info().Units; units != "grey8" {
			t.Errorf("%s: units are %s", path, units)
		}
		var frame Frame
		if err := source.Read(context.Background(), &frame); err != nil || frame.Counts[5] != testCount(0, 5)&0xff {
			t.Errorf("%s: pixel is %v, %v", path, frame.Counts, err)
		}
	}
}

func TestTruncatedStackGivesTheFramesBeforeTheCut(t *testing.T) {
	whole := stack{frames: 5}.encode()
	page := (len(whole) - 8) / 5
	for _, cut := range []int{3, page / 2, page - 2} {
		path := filepath.Join(t.TempDir(), "cut.tiff")
		writeFile(t, path, whole[:8+3*page+cut])
		frames, err := readAll(mustOpen(t, path, Options{}))
		if len(frames) != 3 || err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "page 4") {
			t.Errorf("cut %d bytes into page 4: %d frames, then %v", cut, len(frames), err)
		}
	}
}

func TestPageThatChangesSizeIsAnError(t *testing.T) {
	// Two stacks behind each other: the last directory of the first points at the first of the second.
	small, large := stack{frames: 2}.encode(), stack{frames: 1, width: 8, height: 4}.encode()
	joined := append(slices.Clone(small), make([]byte, len(large))...)
	copy(joined[len(small):], large)
	shift := func(at int) {
		binary.LittleEndian.PutUint32(joined[at:], binary.LittleEndian.Uint32(joined[at:])+uint32(len(small)))
	}
	shift(len(small) + 4)
	directory := int(binary.LittleEndian.Uint32(joined[len(small)+4:]))
	for i := range int(binary.LittleEndian.Uint16(joined[directory:])) {
		entry := directory + 2 + 12*i
		if binary.LittleEndian.Uint32(joined[entry+4:]) == 2 {
			list := entry + 8
			shift(list)
			if binary.LittleEndian.Uint16(joined[entry:]) == tagStripOffsets {
				shift(int(binary.LittleEndian.Uint32(joined[list:])))
				shift(int(binary.LittleEndian.Uint32(joined[list:])) + 4)
			}
		}
	}
	binary.LittleEndian.PutUint32(joined[len(small)-4:], uint32(directory))
	path := filepath.Join(t.TempDir(), "joined.tiff")
	writeFile(t, path, joined)
	frames, err := readAll(mustOpen(t, path, Options{}))
	if len(frames) != 2 || err == nil || !strings.Contains(err.Error(), "page 3") || !strings.Contains(err.Error(), "8 by 4") {
		t.Errorf("%d frames, then %v", len(frames), err)
	}
}

func TestBadRecordings(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, data)
		return path
	}
	good := stack{frames: 2}.encode()
	edit := func(edit func(data []byte)) []byte {
		data := slices.Clone(good)
		edit(data)
		return data
	}
	directory := int(binary.LittleEndian.Uint32(good[4:]))
	png := filepath.Join(folder, "good.png")
	writePNG(t, png, gocv.MatTypeCV16UC1, 0)
	pngData, err := os.ReadFile(png)
	if err != nil {
		t.Fatal(err)
	}
	write("mixed/a.png", pngData)
	write("mixed/b.tiff", good)
	write("tiffs/b.tiff", good)
	write("hidden/0.png", pngData)
	write("hidden/1.png", good)
	write("none/notes.txt", []byte("nothing"))
	for name, c := range map[string]struct{ uri, want string }{
		"missing file":         {filepath.Join(folder, "missing.tiff"), "no such file"},
		"missing folder":       {filepath.Join(folder, "missing", "*.png"), "no such file"},
		"empty file":           {write("empty.tiff", nil), "the file is empty"},
		"header only":          {write("header.tiff", good[:6]), "cut off"},
		"cut in first page":    {write("first.tiff", good[:20]), "page 1"},
		"text file":            {write("text.tiff", []byte("this is no picture")), "no TIFF or PNG"},
		"PNG among TIFFs":      {write("png.tiff", pngData), "contents are PNG"},
		"TIFF among PNGs":      {filepath.Join(folder, "hidden", "1.png"), "contents are TIFF"},
		"mixed folder":         {filepath.Join(folder, "mixed"), "both PNG and TIFF"},
		"folder of TIFFs":      {filepath.Join(folder, "tiffs"), "name the recordings"},
		"folder without PNGs":  {filepath.Join(folder, "none"), "no PNG files"},
		"nothing matches":      {filepath.Join(folder, "none", "frame_%04d.png"), "no file in"},
		"bad glob":             {filepath.Join(folder, "none", "[.png"), "brackets"},
		"damaged PNG":          {write("damaged.png", pngData[:len(pngData)/2]), "damaged"},
		"BigTIFF cut off":      {write("big.tiff", edit(func(d []byte) { d[2] = 43 })), "cut off"},
		"no pages":             {write("nopages.tiff", edit(func(d []byte) { clear(d[4:8]) })), "no pictures"},
		"wild first offset":    {write("wild.tiff", edit(func(d []byte) { d[7] = 0xff })), "cut off"},
		"huge picture":         {write("huge.tiff", edit(func(d []byte) { d[directory+2+10] = 0xff })), "is not read"},
		"square of a limit":    {write("square.tiff", edit(func(d []byte) { d[directory+2+9], d[directory+2+12+9] = 0x10, 0x10 })), "is not read"},
		"many channels":        {write("channels.tiff", edit(func(d []byte) { d[directory+2+4*12], d[directory+2+4*12+1], d[directory+2+4*12+9] = 21, 1, 1 })), "257 channels"},
		"huge PNG":             {write("huge.png", hugePNG()), "is not read"},
		"too many strips":      {write("strips.tiff", edit(func(d []byte) { d[directory+2+5*12+7] = 0xff })), "tag 273 is damaged"},
		"tag given twice":      {write("twice.tiff", edit(func(d []byte) { copy(d[directory+2:], d[directory+2+5*12:][:12]) })), "tag 273 is damaged"},
		"wild strip":           {write("strip.tiff", edit(func(d []byte) { d[directory-16+3] = 0xff })), "cut off"},
		"floating point":       {write("float.tiff", edit(func(d []byte) { d[directory+2+2*12+8] = 32 })), "unsigned 16-bit"},
		"device as file":       {"/dev/zero", "v4l2://"},
		"missing device":       {"v4l2:///dev/video99", "plugged in"},
		"bare missing device":  {"/dev/video99", "plugged in"},
		"file as device":       {"v4l2://" + png, "no device"},
		"no address":           {"", "no camera given"},
		"unknown scheme":       {"rtsp://10.0.0.1/thermal", "unknown scheme"},
		"simulator":            {"simulator:gate.yaml", "simulator"},
		"empty pipeline":       {"gst:", "pipeline is empty"},
		"pipeline of nonsense": {"gst:nonsensesrc", "no element \"nonsensesrc\"; is it spelt so? These packages have the elements: gstreamer1.0-tools, "},
		"not a picture":        {"gst:audiotestsrc", "GRAY16_LE"},
		"nobody sends":         {"gst:tcpclientsrc host=127.0.0.1 port=1", "is the camera on"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := Open(context.Background(), c.uri, Options{})
			if err == nil {
				source.Close()
				t.Fatal("opened")
			}
			text := err.Error()
			if !strings.Contains(text, c.want) || !strings.Contains(text, strings.TrimPrefix(c.uri, "v4l2://")) || strings.Contains(text, "\n") {
				t.Errorf("error is %q, want one line with %q and %q", text, c.uri, c.want)
			}
		})
	}
}

func TestBadSidecarsNameFileAndField(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "the file is empty",
		`{`:                                   "no valid JSON",
		`[]`:                                  "no valid JSON object, but array: it has to be one",
		`{"fps": "fast"}`:                     "fps",
		`{"fps": 0}`:                          "fps",
		`{"width": -1}`:                       "width",
		`{"width": 7}`:                        "width",
		`{"orientation": "sideways"}`:         "transpose",
		`{"time_ms": [0, "late"]}`:            "time_ms",
		`{"time_ms": [0, null, 5, 3]}`:        "time_ms[3]",
		`{"time_ms": [0, 1e300]}`:             "time_ms[1]",
		`{"time_ms": [0, 1, 2], "frames": 2}`: "time_ms",
		`{"time_ms": [-3e9, 0]}`:              "time_ms[0] is -3e+09",
		`{"start": "1969-12-31T23:59:59Z"}`:   "start",
		`{"start": "9999-12-31T23:59:59Z"}`:   "start",
		`{"start": "0000-01-01T00:00:00Z"}`:   "start",
		strings.Repeat("[", 20_000):           "no valid JSON",
		`{"time_ms": [` + strings.Repeat("0,", maxEntries+1) + `0]}`: "2097153 entries",
		strings.Repeat(" ", maxSidecarBytes+1):                       "more than the 16777216 bytes",
		`{"ms_since_ffc": [-5]}`:                                     "ms_since_ffc[0]",
		`{"reference_celsius": 3660}`:                                "reference_celsius",
		`{"start": "yesterday"}`:                                     "start",
		`{"device": "gate\n1"}`:                                      "device: a name",
		`{"camera": "` + strings.Repeat("x", 101) + `"}`:             "camera: a name",
	} {
		path := writeStack(t, stack{frames: 2})
		sidecar := sidecarPath(path)
		writeFile(t, sidecar, []byte(text))
		_, err := Open(context.Background(), path, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), strings.TrimSuffix(path, ".tiff")) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: error is %.300v, want the path and %q", text, err, want)
		}
	}
}

func TestMorePagesThanTimesIsAnError(t *testing.T) {
	path := writeStack(t, stack{frames: 3, sidecar: map[string]any{"time_ms": []float64{0, 100}}})
	frames, err := readAll(mustOpen(t, path, Options{}))
	if len(frames) != 2 || err == nil || !strings.Contains(err.Error(), "time_ms") {
		t.Errorf("%d frames, then %v", len(frames), err)
	}
}

func TestPagesInACircleEnd(t *testing.T) {
	data := stack{frames: 7}.encode()
	var directories []uint32
	for link := 4; ; {
		offset := binary.LittleEndian.Uint32(data[link:])
		if offset == 0 {
			break
		}
		directories = append(directories, offset)
		link = int(offset) + 2 + 12*8
	}
	last := int(directories[6]) + 2 + 12*8
	for _, back := range directories {
		binary.LittleEndian.PutUint32(data[last:], back)
		path := filepath.Join(t.TempDir(), "circle.tiff")
		writeFile(t, path, data)
		frames, err := readAll(mustOpen(t, path, Options{}))
		if err == nil || !strings.Contains(err.Error(), "circle") || len(frames) > 50 {
			t.Errorf("%d frames, then %v", len(frames), err)
		}
	}
}

func TestRealRecordingsReplayWhole(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testdata.Shared(t, "recordings"), "*.tiff"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			said, err := readSidecar(sidecarPath(path))
			if err != nil {
				t.Fatal(err)
			}
			source := mustOpen(t, path, Options{})
			var frame Frame
			frames := 0
			for ; ; frames++ {
				err := source.Read(context.Background(), &frame)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if want := time.Unix(0, 0).Add(milliseconds(said.TimeMS[frames])); !frame.Captured.Equal(want) {
					t.Errorf("frame %d captured at %v, want %v", frames, frame.Captured, want)
				}
				if w, h := said.Orientation.size(*said.Width, *said.Height); frame.Width != w || frame.Height != h {
					t.Fatalf("frame %d has %dx%d pixels, want %dx%d", frames, frame.Width, frame.Height, w, h)
				}
			}
			if frames != *said.Frames {
				t.Errorf("%d frames, sidecar says %d", frames, *said.Frames)
			}
		})
	}
}

func FuzzSidecar(f *testing.F) {
	f.Add([]byte(`{"width":6,"height":4,"frames":2,"fps":8.77,"orientation":"transpose","time_ms":[0,114],"ms_since_ffc":[null,7]}`))
	f.Add([]byte(`{"fps":1e-308,"time_ms":[1e12],"start":"9999-12-31T23:59:59Z"}`))
	recording := stack{frames: 3}.encode()
	f.Add([]byte(`{"start":"1969-12-31T23:59:59Z","time_ms":[-1,0,1]}`))
	path := filepath.Join(f.TempDir(), "gate.tiff")
	if err := os.WriteFile(path, recording, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		writeFile(t, sidecarPath(path), text)
		source, err := Open(context.Background(), path, Options{})
		if err != nil {
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "gate") {
				t.Errorf("not one line that names the file: %q", err)
			}
			return
		}
		defer source.Close()
		frames, _ := readAll(source)
		for i := range frames {
			if year := frames[i].Captured.UTC().Year(); year < firstYear || year > lastYear+100 {
				t.Errorf("frame %d was captured in %d", i, year)
			}
		}
		for i := 1; i < len(frames); i++ {
			if frames[i].Captured.Before(frames[i-1].Captured) {
				t.Errorf("frame %d was captured before the one ahead of it", i)
			}
		}
	})
}

// hugePNG claims 4096 by 4096 pixels.
func hugePNG() []byte {
	header := []byte("IHDR\x00\x00\x10\x00\x00\x00\x10\x00\x10\x00\x00\x00\x00")
	data := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(header))
}

// FuzzPicture opens single PNG and JPEG files.
func FuzzPicture(f *testing.F) {
	names := []string{"a.png", "b.jpg"}
	for i, kind := range []gocv.MatType{gocv.MatTypeCV16UC1, gocv.MatTypeCV8UC1, gocv.MatTypeCV8UC3, gocv.MatTypeCV8UC4, gocv.MatTypeCV16UC3} {
		for jpeg, name := range names {
			if jpeg == 1 && i != 1 && i != 2 {
				continue
			}
			path := filepath.Join(f.TempDir(), name)
			mat := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(30000, 3, 5, 7), 6, 8, kind)
			gocv.IMWrite(path, mat)
			mat.Close()
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, jpeg == 1)
		}
	}
	f.Add(hugePNG(), false)
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, jpeg bool) {
		path := filepath.Join(folder, names[0])
		if jpeg {
			path = filepath.Join(folder, names[1])
		}
		writeFile(t, path, data)
		readToEnd(t, path)
	})
}

// readToEnd checks that what can be opened has a count for every pixel.
func readToEnd(t *testing.T, path string) {
	source, err := Open(context.Background(), path, Options{EightBit: true})
	if err != nil {
		if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
			t.Errorf("not one line that names the file: %q", err)
		}
		return
	}
	defer source.Close()
	var frame Frame
	for range 10_000 {
		if err := source.Read(context.Background(), &frame); err != nil {
			return
		}
		if len(frame.Counts) != frame.Width*frame.Height {
			t.Fatalf("%d counts in a picture of %dx%d", len(frame.Counts), frame.Width, frame.Height)
		}
	}
}

func TestPredictedCountsAreThoseOfOpenCV(t *testing.T) {
	mat := gocv.NewMatWithSize(37, 31, gocv.MatTypeCV16UC1)
	defer mat.Close()
	want, err := mat.DataPtrUint16()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = uint16(random.Uint32())
	}
	encoded, err := gocv.IMEncode(".tiff", mat) // LZW with a predictor
	if err != nil {
		t.Fatal(err)
	}
	defer encoded.Close()
	path := filepath.Join(t.TempDir(), "gate.tiff")
	writeFile(t, path, encoded.GetBytes())
	source := mustOpen(t, path, Options{})
	if !source.(*recording).pictures.(*tiffStack).differences {
		t.Error("OpenCV sums up the differences itself")
	}
	frames, err := readAll(source)
	if err != io.EOF || len(frames) != 1 || !slices.Equal(frames[0].Counts, want) {
		t.Errorf("%d frames, %v, or other counts than were saved", len(frames), err)
	}
}

func FuzzStack(f *testing.F) {
	f.Add(stack{frames: 2}.encode())
	f.Add(stack{frames: 1, order: binary.BigEndian}.encode())
	f.Add(stack{frames: 1, bits: 8}.encode())
	for _, kind := range []gocv.MatType{gocv.MatTypeCV16UC1, gocv.MatTypeCV16UC3, gocv.MatTypeCV8UC4} { // LZW with a predictor
		mat := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(30000, 3, 5, 7), 6, 8, kind)
		compressed, err := gocv.IMEncode(".tiff", mat)
		mat.Close()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(compressed.GetBytes()))
		compressed.Close()
	}
	for _, page := range []tiffPage{
		{bits: 32, format: formatFloat, data: make([]byte, 96)},
		{bits: 16, format: formatSigned, data: make([]byte, 48)},
		{bits: 16, format: formatUnsigned, data: make([]byte, 96), description: "ImageJ=1\nimages=2\n"},
		{bits: 16, format: formatUnsigned, data: make([]byte, 48), more: map[uint16]uint64{tagNewSubfileType: 1}},
	} {
		for _, big := range []bool{false, true} {
			data, err := os.ReadFile(writeTIFF(f, binary.LittleEndian, big, []tiffPage{page}))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	path := filepath.Join(f.TempDir(), "gate.tiff")
	f.Fuzz(func(t *testing.T, data []byte) {
		writeFile(t, path, data)
		readToEnd(t, path)
	})
}

func BenchmarkReplay(b *testing.B) {
	// 300 noisy pages of 160x120, as a Lepton gives them.
	path := writeStack(b, stack{frames: 300, width: 160, height: 120})
	source := mustOpen(b, path, Options{Loop: true, Orientation: Transpose})
	var frame Frame
	b.ReportAllocs()
	for b.Loop() {
		if err := source.Read(context.Background(), &frame); err != nil {
			b.Fatal(err)
		}
	}
}

package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"thermogate/camera/flir/flirtest"
	"thermogate/camera/radiometry"
	"thermogate/testdata"
)

// tiffPage is a page of a test file: one strip of bytes, and what its directory says beside the ordinary.
type tiffPage struct {
	bits, format  uint64
	width, height int // 6 by 4 where not said
	data          []byte
	description   string
	more          map[uint16]uint64
}

// writeTIFF writes pages as classic TIFF or as BigTIFF.
func writeTIFF(t testing.TB, order binary.ByteOrder, big bool, pages []tiffPage) string {
	t.Helper()
	var out bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&out, order, v); err != nil {
			t.Fatal(err)
		}
	}
	number := func(v uint64) { // an offset, or a count
		if big {
			put(v)
		} else {
			put(uint32(v))
		}
	}
	out.WriteString(map[binary.ByteOrder]string{binary.LittleEndian: "II", binary.BigEndian: "MM"}[order])
	header := uint64(8)
	if big {
		header = 16
		put([]uint16{43, 8, 0})
	} else {
		put(uint16(42))
	}
	number(header + uint64(len(pages[0].data)))
	for n, page := range pages {
		strip := uint64(out.Len())
		out.Write(page.data)
		tags := [][2]uint64{
			{tagImageWidth, uint64(page.width)}, {tagImageLength, uint64(page.height)}, {tagBitsPerSample, page.bits}, {tagCompression, 1},
			{tagPhotometric, 1}, {tagStripOffsets, strip}, {tagSamplesPerPixel, 1}, {tagRowsPerStrip, uint64(page.height)},
			{tagStripByteCounts, uint64(page.width*page.height) * page.bits / 8}, {tagSampleFormat, page.format},
		}
		for i, otherwise := range []uint64{6, 4} {
			if tags[i][1] == 0 {
				tags[i][1] = otherwise
			}
		}
		if page.width == 0 {
			tags[7][1], tags[8][1] = 4, 6*4*page.bits/8
		}
		for tag, value := range page.more {
			for i := range tags {
				if tags[i][0] == uint64(tag) {
					tags[i][1] = value
					tag = 0
				}
			}
			if tag != 0 {
				tags = append(tags, [2]uint64{uint64(tag), value})
			}
		}
		entry, sizes := 12, 6 // of count and offset of a directory
		if big {
			entry, sizes = 20, 16
		}
		entries := len(tags)
		if page.description != "" {
			entries++
		}
		after := out.Len() + entries*entry + sizes
		if big {
			put(uint64(entries))
		} else {
			put(uint16(entries))
		}
		for _, tag := range tags {
			put([]uint16{uint16(tag[0]), map[bool]uint16{false: typeLong, true: typeLong8}[big]})
			number(1)
			number(tag[1])
		}
		if page.description != "" {
			put([]uint16{tagDescription, typeASCII})
			number(uint64(len(page.description)))
			number(uint64(after))
		}
		next := uint64(0)
		if n+1 < len(pages) {
			next = uint64(after + len(page.description) + len(pages[n+1].data))
		}
		number(next)
		out.WriteString(page.description)
	}
	path := filepath.Join(t.TempDir(), "gate.tiff")
	writeFile(t, path, out.Bytes())
	return path
}

// encode returns values of any one type as bytes.
func encode[T any](t testing.TB, order binary.ByteOrder, values []T) []byte {
	t.Helper()
	out, err := binary.Append(nil, order, values)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// testCelsius is pixel i of frame n in °C, with more digits than counts have.
func testCelsius(n, i int) float64 { return -1.5 + float64(n) + 1.7391*float64(i) }

// celsiusOf reads a source to its end and returns its frames in °C.
func celsiusOf(t testing.TB, source Source) [][]float32 {
	t.Helper()
	scale, err := source.Info().Scale()
	if err != nil {
		t.Fatal(err)
	}
	frames, err := readAll(source)
	if err != io.EOF {
		t.Fatalf("%d frames, then %v", len(frames), err)
	}
	var all [][]float32
	for _, frame := range frames {
		var image radiometry.Image
		scale.Convert(frame.Counts, frame.Width, frame.Height, &image)
		if image.Relative {
			t.Fatal("the pictures have no temperatures")
		}
		all = append(all, image.Celsius)
	}
	return all
}

func TestTemperaturesKeepTheirPrecision(t *testing.T) {
	const frames = 3
	var celsius32, kelvin32 []float32
	var celsius64 []float64
	var centi []int16
	var text strings.Builder
	for n := range frames {
		for i := range 24 {
			c := testCelsius(n, i)
			celsius32, celsius64 = append(celsius32, float32(c)), append(celsius64, c)
			kelvin32, centi = append(kelvin32, float32(c+273.15)), append(centi, int16(math.Round(100*c)))
			fmt.Fprintf(&text, "%.5f%c", c, ",,,,,\n"[i%6])
		}
		text.WriteString("\n")
	}
	little, big := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	write := func(name string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, data)
		return path
	}
	npy := func(kind string, data []byte) string {
		header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (3, 4, 6), }", kind)
		return write("gate.npy", append([]byte("\x93NUMPY\x01\x00"+string(rune(len(header)))+"\x00"+header), data...))
	}
	pages := func(bits, format uint64, data []byte) []tiffPage {
		var pages []tiffPage
		for n := range frames {
			pages = append(pages, tiffPage{bits: bits, format: format, data: data[n*len(data)/frames : (n+1)*len(data)/frames]})
		}
		return pages
	}
	for name, c := range map[string]struct {
		path    string
		options Options
	}{
		"float32 TIFF":              {path: writeTIFF(t, little, false, pages(32, formatFloat, encode(t, little, celsius32)))},
		"float32 TIFF, big-endian":  {path: writeTIFF(t, big, false, pages(32, formatFloat, encode(t, big, celsius32)))},
		"float64 TIFF":              {path: writeTIFF(t, little, false, pages(64, formatFloat, encode(t, little, celsius64)))},
		"float32 BigTIFF":           {path: writeTIFF(t, little, true, pages(32, formatFloat, encode(t, little, celsius32)))},
		"int16 TIFF":                {path: writeTIFF(t, little, false, pages(16, formatSigned, encode(t, little, centi)))},
		"int16 TIFF, big-endian":    {path: writeTIFF(t, big, false, pages(16, formatSigned, encode(t, big, centi)))},
		"float32 TIFF in kelvin":    {writeTIFF(t, little, false, pages(32, formatFloat, encode(t, little, kelvin32))), Options{Linear: radiometry.FromAbsoluteZero(1)}},
		"float32 NumPy":             {path: npy("<f4", encode(t, little, celsius32))},
		"float64 NumPy, big-endian": {path: npy(">f8", encode(t, big, celsius64))},
		"int16 NumPy":               {path: npy("<i2", encode(t, little, centi))},
		"CSV":                       {path: write("gate.csv", []byte(text.String()))},
	} {
		t.Run(name, func(t *testing.T) {
			all := celsiusOf(t, mustOpen(t, c.path, c.options))
			if len(all) != frames {
				t.Fatalf("%d frames, want %d", len(all), frames)
			}
			for n, celsius := range all {
				for i, got := range celsius {
					if want := testCelsius(n, i); math.Abs(float64(got)-want) > 0.0051 {
						t.Fatalf("frame %d: pixel %d is %.4f °C, want %.4f", n, i, got, want)
					}
				}
			}
		})
	}
}

// What is no temperature at all must not become a plausible one.
func TestImpossibleNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd.csv")
	writeFile(t, path, []byte("nan,inf,-inf,36.5\n1e30,-1e30,-300,400\n"))
	celsius := celsiusOf(t, mustOpen(t, path, Options{}))[0]
	for i, want := range []float32{-273.15, 382.2, -273.15, 36.5, 382.2, -273.15, -273.15, 382.2} {
		if math.Abs(float64(celsius[i]-want)) > 0.001 {
			t.Errorf("number %d became %v °C, want %v", i, celsius[i], want)
		}
	}
}

func TestCountsOfOtherFiles(t *testing.T) {
	little, big := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	var counts [][]uint16
	var all []uint16
	for n := range 3 {
		counts = append(counts, nil)
		for i := range 24 {
			counts[n] = append(counts[n], testCount(n, i))
		}
		all = append(all, counts[n]...)
	}
	write := func(name string, data ...[]byte) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, bytes.Join(data, nil))
		return path
	}
	raw := write("gate.raw", encode(t, little, all))
	writeFile(t, sidecarPath(raw), []byte(`{"width": 6, "height": 4}`))
	pgm := func(n int) []byte {
		return append([]byte("P5\n# a camera's\n6 4\n16383\n"), encode(t, big, counts[n])...)
	}
	pages := func(order binary.ByteOrder) []tiffPage {
		var pages []tiffPage
		for n := range 3 {
			pages = append(pages, tiffPage{bits: 16, format: 1, data: encode(t, order, counts[n])})
		}
		return pages
	}
	thumbnail := tiffPage{bits: 8, format: 1, width: 3, height: 2, data: make([]byte, 6), more: map[uint16]uint64{tagNewSubfileType: 1}}
	imageJ := tiffPage{bits: 16, format: 1, data: encode(t, big, all), description: "ImageJ=1.54f\nimages=3\nslices=3\n"}
	tifffile := tiffPage{bits: 16, format: 1, data: encode(t, little, all), description: `{"truncated": true, "shape": [3, 4, 6]}`}
	folder := filepath.Join(t.TempDir(), "visit")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		writeFile(t, filepath.Join(folder, fmt.Sprintf("%d.pgm", n)), pgm(n))
	}
	bare := filepath.Join(t.TempDir(), "bare")
	if err := os.Mkdir(bare, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, bare+".json", []byte(`{"width": 6, "height": 4}`))
	for n := range 3 {
		writeFile(t, filepath.Join(bare, fmt.Sprintf("%d.raw", n)), encode(t, little, counts[n]))
	}
	for name, path := range map[string]string{
		"raw counts":               raw,
		"files of raw counts":      filepath.Join(bare, "%d.raw"),
		"PGM":                      write("gate.pgm", pgm(0), pgm(1), pgm(2)),
		"PGM files":                filepath.Join(folder, "*.pgm"),
		"BigTIFF":                  writeTIFF(t, little, true, pages(little)),
		"BigTIFF, big-endian":      writeTIFF(t, big, true, pages(big)),
		"a thumbnail at the end":   writeTIFF(t, little, false, append(pages(little), thumbnail)),
		"a thumbnail before":       writeTIFF(t, little, false, append([]tiffPage{thumbnail}, pages(little)...)),
		"one directory, ImageJ":    writeTIFF(t, big, false, []tiffPage{imageJ}),
		"one directory, tifffile":  writeTIFF(t, little, false, []tiffPage{tifffile}),
		"one directory in BigTIFF": writeTIFF(t, little, true, []tiffPage{tifffile}),
		"NumPy": write("gate.npy", []byte("\x93NUMPY\x01\x00\x3f\x00{'descr': '<u2', 'fortran_order': False, 'shape': (3, 4, 6), } \n"[:10+0x3f]),
			encode(t, little, all)),
	} {
		t.Run(name, func(t *testing.T) {
			source := mustOpen(t, path, Options{Loop: true})
			if units := source.Info().Units; units != unitsCounts {
				t.Errorf("units are %s", units)
			}
			for n := range 7 { // the third round begins
				var frame Frame
				if err := source.Read(context.Background(), &frame); err != nil {
					t.Fatalf("frame %d: %v", n, err)
				}
				for i, got := range frame.Counts {
					if want := testCount(n%3, i); got != want || frame.Width != 6 {
						t.Fatalf("frame %d: pixel %d is %d, want %d", n, i, got, want)
					}
				}
			}
		})
	}
}

func TestFilesThatAreRefusedSayWhatToDo(t *testing.T) {
	little := binary.ByteOrder(binary.LittleEndian)
	write := func(name, data string) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, []byte(data))
		return path
	}
	promised := tiffPage{bits: 16, format: 1, data: make([]byte, 48), description: "ImageJ=1.54f\nimages=9\n"}
	channels := tiffPage{bits: 16, format: 1, data: make([]byte, 96), more: map[uint16]uint64{tagSamplesPerPixel: 2, tagStripByteCounts: 96}}
	lone := writeTIFF(t, little, false, []tiffPage{{bits: 16, format: 1, data: make([]byte, 48), more: map[uint16]uint64{tagNewSubfileType: 1}}})
	raw := write("short.raw", "12345")
	writeFile(t, sidecarPath(raw), []byte(`{"width": 6, "height": 4}`))
	for path, want := range map[string]string{
		write("bare.raw", strings.Repeat("x", 48)): `{"width": COLUMNS, "height": ROWS} to the sidecar, bare.json for this file`,
		raw: "no whole pictures of 6 by 4",
		write("a.seq", "FFF"+strings.Repeat("\x00", 90)):  "version 0 of FLIR's format",
		write("b.seq", "AFF\x00"):                         "ResearchIR",
		write("a.npz", "PK\x03\x04rest"):                  "unzip",
		write("a.csv", "no numbers\nat all"):              "line 2",
		write("a.mp4", "\x00\x00\x00\x20ftypisom"):        "it is a film",
		write("a.pgm", "P5 6 4 65535 short"):              "cut off",
		write("b.pgm", "P5 99999 4 65535 "):               "is not read",
		write("c.pgm", "P2 2 2 255\n1 2 3 4\n"):           "binary PGM",
		write("a.npy", "P5 6 4 65535 "):                   "its name says NumPy",
		write("a.xyz", "whatever it is"):                  "nor another that is read",
		writeTIFF(t, little, false, []tiffPage{promised}): "speaks of 9 pictures",
		writeTIFF(t, little, false, []tiffPage{channels}): "2 channels of 16 bits",
		lone:                                     "no pictures",
		write("k.csv", "296.3,297\n296,296.5\n"): "kelvin_per_count 1 and zero_celsius -273.15 would fit (median 23.4 °C)",
		write("h.csv", "2310,2320\n2290,2310\n"): "kelvin_per_count 0.01 and zero_celsius 0 would fit (median 23.1 °C)",
		write("u.csv", "\xff\xfe1\x00"):          "save it as UTF-8",
	} {
		source, err := Open(context.Background(), path, Options{})
		if err == nil {
			source.Close()
			t.Errorf("%s: opened", path)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestCSVInFahrenheit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	writeFile(t, path, []byte("Temperature [°F]\n68,98.6\n70,72\n"))
	frames, err := readAll(mustOpen(t, path, Options{}))
	if want := []uint16{29315, 31015, 29426, 29537}; err != io.EOF || len(frames) != 1 || !slices.Equal(frames[0].Counts, want) {
		t.Errorf("%+v, %v", frames, err)
	}
}

// A pipe among the files would be waited for until somebody writes to it.
func TestPipesAreRefused(t *testing.T) {
	folder := t.TempDir()
	pipe := func(name string) {
		if err := syscall.Mkfifo(filepath.Join(folder, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beside := writeStack(t, stack{frames: 1})
	if err := syscall.Mkfifo(sidecarPath(beside), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe("frame_1.png")
	for _, path := range []string{folder, filepath.Join(folder, "frame_%d.png"), filepath.Join(folder, "*.png"), filepath.Join(folder, "frame_1.png"), beside} {
		source, err := Open(t.Context(), path, Options{})
		if err == nil {
			source.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// flirPicture is of a black body that is 23.62 °C in its first row, and warmer below.
func flirPicture(n int) flirtest.Picture {
	p := flirtest.Picture{Width: 6, Height: 4, Humidity: 0.5, PNG: n%2 == 0,
		Captured: time.Date(2024, 3, 1, 10, 20, 30, 0, time.UTC).Add(time.Duration(n) * 40 * time.Millisecond)}
	for i := range 24 {
		p.Counts = append(p.Counts, uint16(18109+300*(i/6)+n))
	}
	return p
}

func TestFLIRFiles(t *testing.T) {
	grey := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(90, 0, 0, 0), 8, 12, gocv.MatTypeCV8UC1)
	defer grey.Close()
	rendered, err := gocv.IMEncode(".jpg", grey)
	if err != nil {
		t.Fatal(err)
	}
	defer rendered.Close()
	folder := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(folder, name)
		writeFile(t, path, data)
		return path
	}
	var sequence []byte
	for n := range 3 {
		sequence = append(sequence, flirPicture(n).FFF()...)
	}
	for path, frames := range map[string]int{
		write("a.jpg", flirtest.JPEG(rendered.GetBytes(), flirPicture(0).FFF(), 1000)): 1,
		write("a.fff", flirPicture(0).FFF()):                                           1,
		write("a.seq", sequence):                                                       3,
	} {
		source := mustOpen(t, path, Options{EightBit: true}) // detect takes the thermal picture, too, and not the one for eyes
		info := source.Info()
		if info.Units != unitsPlanck || info.Model != "FLIR T300" {
			t.Errorf("%s: %+v", path, info)
		}
		all := celsiusOf(t, source)
		if len(all) != frames || len(all[0]) != 24 {
			t.Fatalf("%s: %d frames of %d pixels", path, len(all), len(all[0]))
		}
		if got := all[0][0]; math.Abs(float64(got)-23.62) > 0.01 {
			t.Errorf("%s: 18109 counts are %.3f °C, want 23.62", path, got)
		}
	}
	again := mustOpen(t, filepath.Join(folder, "a.seq"), Options{})
	read, _ := readAll(again)
	for n, frame := range read {
		if want := flirPicture(n).Captured; !frame.Captured.Equal(want) {
			t.Errorf("frame %d was captured at %v, want %v", n, frame.Captured, want)
		}
	}
	said := mustOpen(t, filepath.Join(folder, "a.fff"), Options{Units: unitsCounts})
	if units := said.Info().Units; units != unitsCounts {
		t.Errorf("units that were asked for are %s", units)
	}
	window := flirPicture(0)
	window.Window = 0.8
	if _, err := Open(context.Background(), write("window.fff", window.FFF()), Options{}); err == nil || !strings.Contains(err.Error(), "window") {
		t.Errorf("behind an infrared window: %v", err)
	}
	other := flirPicture(1).FFF()
	at := bytes.Index(other, encode(t, binary.LittleEndian, []float32{flirtest.B}))
	copy(other[at:], encode(t, binary.LittleEndian, []float32{1400}))
	switched := mustOpen(t, write("switched.seq", append(flirPicture(0).FFF(), other...)), Options{})
	if frames, err := readAll(switched); len(frames) != 1 || err == nil || !strings.Contains(err.Error(), "range was switched") {
		t.Errorf("another calibration on the way: %d frames, %v", len(frames), err)
	}
	if _, err := Open(context.Background(), write("plain.jpg", rendered.GetBytes()), Options{}); !errors.Is(err, errEightBit) {
		t.Errorf("a JPEG without thermal picture: %v", err)
	}
}

func TestScaleOfItsOwn(t *testing.T) {
	path := writeStack(t, stack{frames: 1, sidecar: map[string]any{"kelvin_per_count": 0.02}})
	if got := celsiusOf(t, mustOpen(t, path, Options{}))[0][0]; math.Abs(float64(got)-(600-273.15)) > 0.001 {
		t.Errorf("30000 counts at 0.02 K are %v °C", got)
	}
	asked := Options{Linear: radiometry.Linear{KelvinPerCount: 0.001, ZeroCelsius: 6}}
	if got := celsiusOf(t, mustOpen(t, path, asked))[0][0]; math.Abs(float64(got)-36) > 0.001 {
		t.Errorf("30000 counts are %v °C on the scale asked for, want 36", got)
	}
	planck := map[string]any{"r1": flirtest.R1, "b": flirtest.B, "o": flirtest.O, "r2": flirtest.R2, "emissivity": 1, "distance_meters": 0}
	path = writeStack(t, stack{frames: 1, sidecar: map[string]any{"planck": planck, "units": "counts"}})
	scale, err := mustOpen(t, path, Options{}).Info().Scale()
	if err != nil {
		t.Fatal(err)
	}
	var image radiometry.Image
	scale.Convert([]uint16{18109}, 1, 1, &image)
	if math.Abs(float64(image.Celsius[0])-23.62) > 0.01 {
		t.Errorf("18109 counts are %v °C, want 23.62", image.Celsius[0])
	}
	for field, sidecar := range map[string]map[string]any{
		"kelvin_per_count": {"kelvin_per_count": -1}, "zero_celsius": {"kelvin_per_count": 1, "zero_celsius": -300}, "planck: b": {"planck": map[string]any{"r1": 1}},
	} {
		if _, err := Open(context.Background(), writeStack(t, stack{frames: 1, sidecar: sidecar}), Options{}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// The files that other programs wrote hold the same pictures as base.tiff, or as many.
func TestSharedFiles(t *testing.T) {
	for name, frames := range map[string]int{
		"base.tiff": 4, "bigtiff.tiff": 4, "float_celsius.tiff": 4, "int16_centicelsius.tiff": 4, "oneifd_truncate.tiff": 4,
		"resolution_page.tiff": 4, "celsius.npy": 4, "celsius.csv": 1, "frame.pgm": 1, "flir_raw_from_exiftool.tiff": 1,
		"two_channel_contig.tiff": 0, "counts.raw": 0, "video.seq": 0, "stretched8.png": 0, "swapped_flir_raw.png": 0,
	} {
		source, err := Open(context.Background(), testdata.Shared(t, "cases", "camera", name), Options{})
		if frames == 0 && err != nil {
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		read, err := readAll(source)
		source.Close()
		if len(read) != frames || err != io.EOF {
			t.Errorf("%s: %d frames, want %d, then %v", name, len(read), frames, err)
		}
	}
	if _, err := Open(context.Background(), testdata.Shared(t, "cases", "reports", "swapped-png", "swapped.png"), Options{EightBit: true}); !errors.Is(err, errSwapped) {
		t.Errorf("swapped.png: %v", err)
	}
	mustOpen(t, testdata.Shared(t, "cases", "reports", "swapped-png", "good.png"), Options{})
}

// FuzzFile opens the formats that no other fuzz test does.
func FuzzFile(f *testing.F) {
	extensions := []string{"pgm", "raw", "csv", "npy", "seq", "jpg"}
	f.Add([]byte("P5\n6 4\n65535\n"+strings.Repeat("ab", 24)), byte(0))
	f.Add([]byte(strings.Repeat("ab", 24)), byte(1))
	f.Add([]byte("20,21\n22,36.5\n"), byte(2))
	f.Add(flirPicture(1).FFF(), byte(4))
	f.Add(flirtest.JPEG([]byte{0xff, 0xd8, 0xff, 0xd9}, flirPicture(0).FFF(), 300), byte(5))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		path := filepath.Join(folder, "a."+extensions[int(kind)%len(extensions)])
		writeFile(t, path, data)
		writeFile(t, filepath.Join(folder, "a.json"), []byte(`{"width": 4, "height": 2}`))
		readToEnd(t, path)
	})
}

package matrix

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// npy returns a NumPy file with the header that numpy.save writes.
func npy(version byte, kind, order, shape string, data []byte) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", kind, order, shape)
	out := []byte(NPYMagic)
	out = append(out, version, 0)
	if version == 1 {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(header)))
	} else {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(header)))
	}
	return append(append(out, header...), data...)
}

func TestNPYKinds(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	values := []float64{20.25, 21, -3, 36.5, 36.75, 37}
	for kind, encode := range map[string]func(out []byte, v float64) []byte{
		"<f4": func(out []byte, v float64) []byte { return little.AppendUint32(out, math.Float32bits(float32(v))) },
		">f4": func(out []byte, v float64) []byte { return big.AppendUint32(out, math.Float32bits(float32(v))) },
		"<f8": func(out []byte, v float64) []byte { return little.AppendUint64(out, math.Float64bits(v)) },
		"<i2": func(out []byte, v float64) []byte { return little.AppendUint16(out, uint16(int16(100*v))) },
		">u2": func(out []byte, v float64) []byte { return big.AppendUint16(out, uint16(100*(v+273.15))) },
	} {
		var data []byte
		for range 2 { // pictures
			for _, v := range values {
				data = encode(data, v)
			}
		}
		for version := range byte(3) {
			file := npy(version+1, kind, "False", "(2, 2, 3)", data)
			array, err := OpenNPY(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			var p Picture
			for n := range 2 {
				if err := array.Read(n, &p); err != nil || p.Width != 3 || p.Height != 2 || p.Signed != (kind == "<i2") {
					t.Fatalf("%s: %+v, %v", kind, p, err)
				}
				for i, v := range values {
					switch {
					case kind == ">u2" && p.Counts[i] != uint16(100*(v+273.15)),
						kind == "<i2" && p.Numbers[i] != float32(100*v),
						strings.Contains(kind, "f") && p.Numbers[i] != float32(v):
						t.Errorf("%s: number %d of %+v should be %v", kind, i, p, v)
					}
				}
			}
			if err := array.Read(2, &p); err != io.EOF {
				t.Errorf("%s: after the last: %v", kind, err)
			}
		}
	}
}

func TestNPYRefused(t *testing.T) {
	data := make([]byte, 64)
	for want, file := range map[string][]byte{
		"are f2":              npy(1, "<f2", "False", "(2, 3)", data),
		"ascontiguousarray":   npy(1, "<f4", "True", "(2, 3)", data),
		"plain array":         npy(1, "[('a', '<f4')]", "False", "(2, 3)", data),
		"its shape is (6,)":   npy(1, "<f4", "False", "(6,)", data),
		"1 by 0 pixels":       npy(1, "<f4", "False", "(99, 0, 1)", data),
		"cut off":             npy(1, "<f4", "False", "(1000000000, 4, 4)", data),
		"not read":            npy(1, "<f4", "False", "(1, 65536, 65536)", data),
		"is damaged":          npy(1, "<f4", "False", "(1, 99999999999999999999, 2)", data),
		"with 3 channels":     npy(1, "<f4", "False", "(48, 64, 3)", data),
		"longer than that of": npy(2, "<f4", "False", "(2, 3)"+strings.Repeat(" ", 5000), data),
		"ends within":         []byte(NPYMagic),
	} {
		_, err := OpenNPY(bytes.NewReader(file), int64(len(file)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestCSVAsProgramsWriteIt(t *testing.T) {
	want := []float32{20.5, 21, -3, 36.5, 36.75, 37}
	for name, text := range map[string]string{
		"commas":                     "20.5,21,-3\n36.5,36.75,37\n",
		"semicolons":                 "20.5;21;-3\r\n36.5;36.75;37\r\n",
		"trailing semicolons":        "20.5;21;-3;\n36.5;36.75;37;\n",
		"decimal commas":             "\ufeffDatei;x.jpg\n\n20,5;21;-3\n36,5;36,75;37",
		"tabs":                       "20.5\t21\t-3\n36.5\t36.75\t37",
		"spaces":                     "  20.5   21 -3\n 36.5 36.75 37\n",
		"quoted, below headings":     "File,\"a.jpg\"\nEmissivity,0.98\n\nFrame 1\n\"20.5\",\"21\",\"-3\"\n\"36.5\",\"36.75\",\"37\"\n",
		"exponents, as numpy has it": "2.05e+01 2.1e+01 -3.0e+00\n3.65e+01 3.675e+01 3.7e+01\n",
	} {
		table := NewCSV(strings.NewReader(text))
		for range 2 {
			var p Picture
			if err := table.Rewind(); err != nil {
				t.Fatal(err)
			}
			if err := table.Next(&p); err != nil || p.Width != 3 || p.Height != 2 || !slices.Equal(p.Numbers, want) {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
			if err := table.Next(&p); err != io.EOF {
				t.Errorf("%s: after the last picture: %v", name, err)
			}
		}
	}
}

func TestCSVOfSeveralPictures(t *testing.T) {
	table := NewCSV(strings.NewReader("Frame 1\n1,2\n3,4\nFrame 2\n5,6\n7,8\n\n9,10\n11,12\n\n\n"))
	if err := table.Rewind(); err != nil {
		t.Fatal(err)
	}
	var p Picture
	for n := range 3 {
		first := float32(4*n + 1)
		if err := table.Next(&p); err != nil || !slices.Equal(p.Numbers, []float32{first, first + 1, first + 2, first + 3}) {
			t.Errorf("picture %d: %+v, %v", n, p, err)
		}
	}
	if err := table.Next(&p); err != io.EOF {
		t.Errorf("after the last picture: %v", err)
	}
}

func TestCSVSaysWhatDegrees(t *testing.T) {
	for heading, want := range map[string]string{
		"Temperature (°C)": "", "Temp [°F]": "F", "Unit: \xb0 F": "F", "in Fahrenheit": "F", "T (K)": "K", "Kelvin": "K", "Frame F 12": "",
	} {
		table := NewCSV(strings.NewReader("File: x.jpg\n" + heading + "\n1,2\n3,4\n"))
		if err := table.Rewind(); err != nil {
			t.Fatal(err)
		}
		var p Picture
		if err := table.Next(&p); err != nil || p.Degrees != want {
			t.Errorf("%s: %+v, %v", heading, p, err)
		}
	}
}

// counting is a line over and over, with its number.
func counting(line string) (lines string) {
	for n := range 9 {
		lines += fmt.Sprintf(line, n)
	}
	return lines
}

func TestCSVNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"1,2\n3,4,5\n":                                            "line 2: it has 3 numbers",
		"1,2\n3,x4\n":                                             `line 2: "x4" in column 2`,
		"all words\nno numbers":                                   "line 2: it begins with a word",
		strings.Repeat("words\n", 200):                            "line 101",
		strings.Repeat("1,", 100_000):                             "line 1",
		strings.Repeat("1\n", maxSide+1):                          "an empty line ends a picture",
		"1,2\n" + strings.Repeat(" ", 1<<20):                      "line 2: it is longer",
		",0,1\n" + counting("%d,20.5,21.5\n"):                     "counts the others",
		"0,1,2,3,4,5,6,7\n" + strings.Repeat("20.5,", 7) + "21\n": "index=False",
	} {
		table := NewCSV(strings.NewReader(text))
		if err := table.Rewind(); err != nil {
			t.Fatal(err)
		}
		var p Picture
		if err := table.Next(&p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzNPY(f *testing.F) {
	f.Add(npy(1, "<f4", "False", "(1, 2, 3)", make([]byte, 24)))
	f.Add(npy(2, ">u2", "False", "(2, 3)", make([]byte, 12)))
	f.Fuzz(func(t *testing.T, data []byte) {
		array, err := OpenNPY(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var p Picture
		for n := range 10 {
			if array.Read(n, &p) == nil && len(p.Numbers)+len(p.Counts) != p.Width*p.Height {
				t.Fatalf("%d numbers, %d counts in a picture of %dx%d", len(p.Numbers), len(p.Counts), p.Width, p.Height)
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add("Frame 1\n1,2\n3,4\n\n5,6\n")
	f.Add("20,5;21\n36,5;-1e3;\n")
	f.Add("1 2\tnan;inf,0x1p-2")
	f.Fuzz(func(t *testing.T, text string) {
		table := NewCSV(strings.NewReader(text))
		if err := table.Rewind(); err != nil {
			t.Fatal(err)
		}
		var p Picture
		for range len(text) + 1 {
			if err := table.Next(&p); err != nil {
				return
			}
			if len(p.Numbers) != p.Width*p.Height || p.Height == 0 {
				t.Fatalf("%d numbers in a picture of %dx%d", len(p.Numbers), p.Width, p.Height)
			}
		}
		t.Fatal("it does not end")
	})
}

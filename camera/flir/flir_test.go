package flir_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"thermogate/camera/flir"
	"thermogate/camera/flir/flirtest"
)

var orders = map[string]binary.ByteOrder{"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian}

// sample is a picture of 12 by 9 pixels, warmer to the right and below.
func sample() flirtest.Picture {
	p := flirtest.Picture{Width: 12, Height: 9, Humidity: 0.4, Captured: time.Date(2024, 3, 1, 10, 20, 30, 250e6, time.UTC)}
	for i := range p.Width * p.Height {
		p.Counts = append(p.Counts, uint16(17000+40*i))
	}
	return p
}

func TestCountsAreExactInEveryByteOrder(t *testing.T) {
	for records, order := range orders {
		for pixels, pixelOrder := range orders {
			for _, png := range []bool{false, true} {
				p := sample()
				p.Order, p.Pixels, p.PNG = order, pixelOrder, png
				got, err := flir.Parse(p.FFF())
				if err != nil {
					t.Fatalf("records %s, pixels %s, PNG %v: %v", records, pixels, png, err)
				}
				if got.Width != p.Width || got.Height != p.Height || !slices.Equal(got.Counts, p.Counts) {
					t.Errorf("records %s, pixels %s, PNG %v: %dx%d, %v", records, pixels, png, got.Width, got.Height, got.Counts)
				}
				if got.Model != "FLIR T300" || !got.Captured.Equal(p.Captured) {
					t.Errorf("records %s: model %q at %v", records, got.Model, got.Captured)
				}
				c := got.Calibration
				if c.R1 != float64(float32(flirtest.R1)) || c.B != flirtest.B || c.F != flirtest.F || c.O != flirtest.O ||
					c.R2 != float64(float32(flirtest.R2)) || c.Emissivity != 1 || c.DistanceMeters != 0 ||
					math.Abs(c.ReflectedCelsius-22) > 1e-4 || math.Abs(c.AtmosphereCelsius-21) > 1e-4 || math.Abs(c.RelativeHumidity-0.4) > 1e-6 {
					t.Errorf("records %s: calibration is %+v", records, c)
				}
			}
		}
	}
}

func TestHumidityInPerCent(t *testing.T) {
	p := sample()
	p.Humidity = 55
	if got, err := flir.Parse(p.FFF()); err != nil || got.Calibration.RelativeHumidity != 0.55 {
		t.Errorf("humidity is %v, %v", got.Calibration.RelativeHumidity, err)
	}
}

func TestJPEGInParts(t *testing.T) {
	fff := sample().FFF()
	rendered := []byte{0xff, 0xd8, 0xff, 0xe1, 0, 8, 'E', 'x', 'i', 'f', 0, 0, 0xff, 0xda, 0, 4, 1, 2, 0xff, 0xd9}
	whole := flirtest.JPEG(rendered, fff, 500)
	if got, err := flir.FromJPEG(whole); err != nil || !bytes.Equal(got, fff) {
		t.Errorf("%d of %d bytes, %v", len(got), len(fff), err)
	}
	if got, err := flir.FromJPEG(rendered); err != nil || got != nil {
		t.Errorf("a JPEG without thermal data: %v, %v", got, err)
	}
	second := bytes.Index(whole, []byte("FLIR\x00\x01\x01"))
	lost := slices.Concat(whole[:second-4], whole[second+508:])
	for name, damaged := range map[string][]byte{"a part is lost": lost, "cut off": whole[:second+100]} {
		if _, err := flir.FromJPEG(damaged); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSequence(t *testing.T) {
	var file []byte
	var want []flirtest.Picture
	for i := range 4 {
		p := sample()
		p.Captured = p.Captured.Add(time.Duration(i) * 33 * time.Millisecond)
		for j := range p.Counts {
			p.Counts[j] += uint16(i)
		}
		p.PNG = i%2 == 1 // of various lengths
		want = append(want, p)
		file = append(append(file, p.FFF()...), make([]byte, 10*i)...) // some programs leave gaps
	}
	frames := flir.NewSequence(bytes.NewReader(file), int64(len(file)))
	for range 2 {
		for i, p := range want {
			got, err := frames.Next()
			if err != nil || !slices.Equal(got.Counts, p.Counts) || !got.Captured.Equal(p.Captured) {
				t.Fatalf("picture %d: %v, %v, %v", i, got.Counts, got.Captured, err)
			}
		}
		if _, err := frames.Next(); err != io.EOF {
			t.Errorf("after the last picture: %v", err)
		}
		frames.Rewind()
	}
}

func TestDamagedFilesAreErrors(t *testing.T) {
	whole := sample().FFF()
	for n := range whole {
		if p, err := flir.Parse(whole[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes: %+v", n, len(whole), p)
		}
	}
	edit := func(at int, with ...byte) []byte {
		data := slices.Clone(whole)
		copy(data[at:], with)
		return data
	}
	raw := len(whole) - 2*12*9 - 0x20
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"another version":  {edit(0x14, 0xff, 0xff), "version"},
		"many records":     {edit(0x1c, 0xff, 0xff), "cut off"},
		"no picture":       {edit(0x40+2*0x20, 0x30), "no thermal picture"},
		"huge picture":     {edit(raw+2, 0xff, 0xff, 0xff, 0xff), "65535 by 65535"},
		"JPEG-LS":          {edit(raw+0x20, 0xff, 0xd8, 0xff, 0xf7), "JPEG-LS"},
		"half a PNG":       {edit(raw+0x20, []byte("\x89PNG")...), "damaged"},
		"no FFF":           {edit(0, 'A'), "FFF"},
		"nothing but FFF":  {[]byte(flir.Magic), "cut off"},
		"wild record":      {edit(0x40+2*0x20+0x0c, 0xff, 0xff, 0xff, 0xff), "cut off"},
		"picture too high": {edit(raw+4, 0xff, 0), "cut off"},
	} {
		if _, err := flir.Parse(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestNoCalibrationWithoutTheRecord(t *testing.T) {
	data := sample().FFF()
	data[0x40] = 0x30 // another kind of record than camera information
	if p, err := flir.Parse(data); err != nil || p.Calibration.R1 != 0 || len(p.Counts) == 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzSequence(f *testing.F) {
	for _, order := range orders {
		p := sample()
		p.Order = order
		f.Add(p.FFF())
		p.PNG = true
		f.Add(append(p.FFF(), p.FFF()...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frames := flir.NewSequence(bytes.NewReader(data), int64(len(data)))
		for range 100 {
			p, err := frames.Next()
			if err != nil {
				return
			}
			if len(p.Counts) != p.Width*p.Height {
				t.Fatalf("%d counts in a picture of %dx%d", len(p.Counts), p.Width, p.Height)
			}
		}
	})
}

func FuzzJPEG(f *testing.F) {
	f.Add(flirtest.JPEG([]byte{0xff, 0xd8, 0xff, 0xd9}, sample().FFF(), 300))
	f.Fuzz(func(t *testing.T, data []byte) {
		if fff, err := flir.FromJPEG(data); err == nil && len(fff) > len(data) {
			t.Fatalf("%d bytes out of %d", len(fff), len(data))
		}
	})
}

package zbar

import (
	"crypto/ed25519"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"

	"thermogate/screening/badge/passcode"
)

// print is a code as a camera sees it: modules of so many pixels, turned, blurred by so many pixels, in less contrast, with noise.
type print struct{ module, degrees, blur, contrast float64 }

const width, height = 480, 360

// picture looks up for each of its points which module is there, several times, so that edges are grey.
func (p print) picture(t testing.TB, text string, r *rand.Rand) []byte {
	t.Helper()
	code, err := qr.Encode(text, qr.L, qr.AlphaNumeric)
	if err != nil {
		t.Fatal(err)
	}
	modules := code.Bounds().Dx()
	sin, cos := math.Sincos((p.degrees + 4*r.Float64()) * math.Pi / 180)
	atX, atY := float64(width)/2+r.Float64(), float64(height)/2+r.Float64()
	lit := func(x, y float64) float64 {
		u := ((x-atX)*cos+(y-atY)*sin)/p.module + float64(modules)/2
		v := (-(x-atX)*sin+(y-atY)*cos)/p.module + float64(modules)/2
		column, row := int(math.Floor(u)), int(math.Floor(v))
		switch {
		case column < -4 || row < -4 || column >= modules+4 || row >= modules+4:
			return 0.55 // whatever is behind the card
		case column < 0 || row < 0 || column >= modules || row >= modules:
			return 1
		}
		if dark, _, _, _ := code.At(column, row).RGBA(); dark == 0 {
			return 0
		}
		return 1
	}
	grey := make([]byte, width*height)
	const samples = 6
	for y := range height {
		for x := range width {
			sum := 0.0
			for range samples {
				sum += lit(float64(x)+r.Float64()+p.blur*r.NormFloat64(), float64(y)+r.Float64()+p.blur*r.NormFloat64())
			}
			value := 128 + 255*(sum/samples-0.5)*p.contrast + 4*r.NormFloat64()
			grey[y*width+x] = byte(max(0, min(255, value)))
		}
	}
	return grey
}

// TestPrintedCodesAreRead reads pass codes as they are printed and held before a camera.
func TestPrintedCodesAreRead(t *testing.T) {
	scanner, err := Open()
	if err != nil {
		t.Skip(err)
	}
	defer scanner.Close()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	const each = 6
	for name, test := range map[string]struct {
		print print
		least int // of each
	}{
		"straight":     {print{4, 0, 0, 1}, each},
		"turned":       {print{4, 33, 0.3, 1}, each},
		"upside down":  {print{4, 170, 0.3, 1}, each},
		"small":        {print{3, 5, 0.3, 1}, each - 1},
		"blurred":      {print{4, 5, 0.8, 1}, each - 1},
		"low contrast": {print{4, 5, 0.4, 0.3}, each - 1},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		found, took := 0, time.Duration(0)
		for n := range each {
			text, err := passcode.Sign(key, "plant", passcode.Code{
				Person: passcode.NumberKeys{[]byte("a key")}.Pseudonym(string(rune(r.IntN(1e6)))), Company: "haitian-build", Serial: passcode.Serial{byte(n)},
				From: time.Unix(1e9, 0), To: time.Unix(2e9, 0)})
			if err != nil {
				t.Fatal(err)
			}
			picture := test.print.picture(t, text, r)
			began := time.Now()
			codes, err := scanner.Scan(picture, width, height)
			took += time.Since(began)
			if err != nil {
				t.Fatal(err)
			}
			if len(codes) == 1 && codes[0] == text {
				found++
			}
		}
		t.Logf("%-12s %d of %d, %v each", name, found, each, took/each)
		if found < test.least {
			t.Errorf("%s: read %d of %d, want %d", name, found, each, test.least)
		}
	}
}

func TestNoPicture(t *testing.T) {
	scanner, err := Open()
	if err != nil {
		t.Skip(err)
	}
	defer scanner.Close()
	if codes, err := scanner.Scan(make([]byte, width*height), width, height); len(codes) != 0 || err != nil {
		t.Errorf("%q, %v", codes, err)
	}
	if _, err := scanner.Scan(make([]byte, 10), width, height); err == nil {
		t.Error("a picture without pixels is taken")
	}
}

package radiometry

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestLinearScales(t *testing.T) {
	// Counts of skin at 34.6 °C and of melting ice on each scale.
	for _, c := range []struct {
		units string
		count uint16
		want  float64
	}{
		{"centikelvin", 30775, 34.60},
		{"centikelvin", 27315, 0},
		{"decikelvin", 3078, 34.65},
		{"kelvin64", 19696, 34.60},
		{"kelvin16", 4924, 34.60},
	} {
		scale, err := ScaleOf(c.units)
		if err != nil {
			t.Fatal(err)
		}
		var image Image
		scale.Convert([]uint16{c.count}, 1, 1, &image)
		if got := float64(image.At(0, 0)); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%s: %d counts are %.4f °C, want %.4f", c.units, c.count, got, c.want)
		}
		if image.Relative {
			t.Errorf("%s: the picture is marked as relative", c.units)
		}
	}
}

func TestUnknownUnitsNameTheKnown(t *testing.T) {
	_, err := ScaleOf("celsius")
	for _, want := range []string{"celsius", "centikelvin", "kelvin64", "counts"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not name %s", err, want)
		}
	}
}

func TestRelativeScaleKeepsTheOrderAndIgnoresAHotLamp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	counts := make([]uint16, 160*120)
	for i := range counts {
		counts[i] = 3000 + uint16(random.NormFloat64()*20+float64(i%160))
	}
	scale, err := ScaleOf("counts")
	if err != nil {
		t.Fatal(err)
	}
	var plain, lamp Image
	scale.Convert(counts, 160, 120, &plain)
	if !plain.Relative {
		t.Error("the picture is not marked as relative")
	}
	order := make([]int, len(counts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(counts[a]) - int(counts[b]) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; plain.Celsius[a] > plain.Celsius[b] {
			t.Fatalf("%d counts became %v, %d counts %v", counts[a], plain.Celsius[a], counts[b], plain.Celsius[b])
		}
	}
	for _, p := range []struct {
		quantile float64
		want     float32
	}{{lowPercentile, roomCelsius}, {highPercentile, skinCelsius}} {
		if got := plain.Celsius[order[int(p.quantile*float64(len(order)))]]; math.Abs(float64(got-p.want)) > 0.2 {
			t.Errorf("percentile %v is at %v, want %v", p.quantile, got, p.want)
		}
	}
	for i := range 20 {
		counts[i] = 16000
	}
	scale.Convert(counts, 160, 120, &lamp)
	if a, b := plain.Celsius[5000], lamp.Celsius[5000]; math.Abs(float64(a-b)) > 0.5 {
		t.Errorf("a lamp moved another pixel from %v to %v", a, b)
	}
}

func TestRelativeScaleOfAnEvenPicture(t *testing.T) {
	scale, err := ScaleOf("grey8")
	if err != nil {
		t.Fatal(err)
	}
	var image Image
	scale.Convert(make([]uint16, 12), 4, 3, &image)
	for _, c := range image.Celsius {
		if c != roomCelsius {
			t.Fatalf("a pixel of an even picture is %v", c)
		}
	}
}

func TestConvertReusesMemory(t *testing.T) {
	for _, units := range []string{"centikelvin", "counts"} {
		scale, err := ScaleOf(units)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]uint16, 160*120)
		var image Image
		scale.Convert(counts, 160, 120, &image)
		if n := testing.AllocsPerRun(10, func() { scale.Convert(counts, 160, 120, &image) }); n > 0 {
			t.Errorf("%s: %v allocations a picture", units, n)
		}
	}
}

// flirT300 is the calibration of a real camera, as published in Thermimage.
func flirT300() Planck {
	p := SkinPlanck()
	p.R1, p.B, p.F, p.O, p.R2 = 21106.77, 1501, 1, -7340, 0.012545258
	return p
}

func TestPlanckKnownValues(t *testing.T) {
	black := flirT300()
	black.Emissivity, black.DistanceMeters = 1, 0
	// B / ln(R1 / (R2 (18109 + O)) + F) by hand: 1501 / ln(157.23) = 296.77 K.
	if got := black.Celsius(18109); math.Abs(got-23.62) > 0.01 {
		t.Errorf("18109 counts of a black body are %.3f °C, want 23.62", got)
	}
	// By hand for 20 °C and half humidity at a metre: 8.56 mm of water, 1.9 × 1.00009 - 0.9 × 1.00692.
	air := black
	air.AtmosphereCelsius, air.RelativeHumidity, air.DistanceMeters = 20, 0.5, 1
	if got := air.Transmission(); math.Abs(got-0.9939) > 0.0002 {
		t.Errorf("a metre of air passes %.4f, want 0.9939", got)
	}
	// Skin is a little warmer than it seems where the room is cooler: about (1-0.98) × 14 K × (295/309)³ = 0.24 K, and
	// the air of a metre adds a third of that.
	skin := flirT300()
	seen := black.Celsius(skin.Counts(36))
	if loss := 36 - seen; loss < 0.2 || loss > 0.45 {
		t.Errorf("skin of 36 °C seems to be %.3f °C", seen)
	}
}

func TestPlanckInverse(t *testing.T) {
	lepton := SkinPlanck()
	lepton.R1, lepton.B, lepton.O, lepton.DistanceMeters, lepton.RelativeHumidity = 366545, 1428, 342, 3, 0.9
	for _, p := range []Planck{flirT300(), lepton} {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		for celsius := -20.0; celsius <= 120; celsius += 0.7 {
			if got := p.Celsius(p.Counts(celsius)); math.Abs(got-celsius) > 1e-9 {
				t.Fatalf("%.2f °C came back as %.12f", celsius, got)
			}
		}
	}
}

func TestPlanckScaleIsTheTabulatedFormula(t *testing.T) {
	p := flirT300()
	scale, err := p.Scale()
	if err != nil {
		t.Fatal(err)
	}
	counts := []uint16{0, 9000, 18109, 20000, 65535}
	var image Image
	scale.Convert(counts, 5, 1, &image)
	for i, c := range counts {
		if got, want := image.Celsius[i], float32(p.Celsius(float64(c))); got != want {
			t.Errorf("%d counts are %v °C, want %v", c, got, want)
		}
	}
	if !slices.IsSorted(image.Celsius) {
		t.Errorf("temperatures are not in the order of counts: %v", image.Celsius)
	}
}

func TestPlanckNamesTheImpossibleField(t *testing.T) {
	for field, spoil := range map[string]func(*Planck){
		"r1":                func(p *Planck) { p.R1 = 0 },
		"b":                 func(p *Planck) { p.B = math.NaN() },
		"f":                 func(p *Planck) { p.F = 100 },
		"emissivity":        func(p *Planck) { p.Emissivity = 98 },
		"relative_humidity": func(p *Planck) { p.RelativeHumidity = 50 },
		"distance_meters":   func(p *Planck) { p.DistanceMeters = -1 },
	} {
		p := flirT300()
		spoil(&p)
		if _, err := p.Scale(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error is %v", field, err)
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	counts := make([]uint16, 160*120)
	for i := range counts {
		counts[i] = uint16(29000 + i%2000)
	}
	for _, units := range []string{"centikelvin", "counts"} {
		b.Run(units, func(b *testing.B) {
			scale, err := ScaleOf(units)
			if err != nil {
				b.Fatal(err)
			}
			var image Image
			b.ReportAllocs()
			for b.Loop() {
				scale.Convert(counts, 160, 120, &image)
			}
		})
	}
}

func TestSpanNamesTheUnitsThatFit(t *testing.T) {
	// A room of 22 °C with a person in it, in the counts of each scale, read by another.
	celsius := []float64{20, 21, 22, 22, 23, 34}
	for want, linear := range map[string]Linear{
		"units centikelvin": FromAbsoluteZero(0.01),
		"units decikelvin":  FromAbsoluteZero(0.1),
		"units kelvin64":    FromAbsoluteZero(1.0 / 64),
		"units kelvin16":    FromAbsoluteZero(1.0 / 16),
		"kelvin_per_count 0.02 and zero_celsius -273.15": FromAbsoluteZero(0.02),
		"kelvin_per_count 0.1 and zero_celsius -100":     {0.1, -100},
		"kelvin_per_count 0.01 and zero_celsius 0":       {0.01, 0},
	} {
		var counts []uint16
		for _, c := range celsius {
			counts = append(counts, uint16(math.Round((c-linear.ZeroCelsius)/linear.KelvinPerCount)))
		}
		for _, by := range []string{"centikelvin", "decikelvin", "kelvin64", "kelvin16"} {
			if "units "+by == want {
				continue
			}
			scale, err := ScaleOf(by)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := scale.Span(counts); err == nil || !strings.Contains(err.Error(), want+" would fit (median 22") || !strings.Contains(err.Error(), by) {
				t.Errorf("%s read as %s: %v", want, by, err)
			}
		}
		own, err := linear.Scale()
		if err != nil {
			t.Fatal(err)
		}
		if span, err := own.Span(counts); err != nil || math.Abs(span.LowestCelsius-20) > 0.05 || math.Abs(span.MedianCelsius-22) > 0.05 || math.Abs(span.HighestCelsius-34) > 0.05 {
			t.Errorf("%s: %v, %v", want, span, err)
		}
	}
	raw, err := ScaleOf("decikelvin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Span([]uint16{60000, 60010, 60020}); err == nil || !strings.Contains(err.Error(), "camera.planck") {
		t.Errorf("counts of no known scale: %v", err)
	}
}

// A fire in a corner, or dead pixels, are no reason to doubt the units.
func TestSpanMindsMostOfThePicture(t *testing.T) {
	scale, err := ScaleOf("centikelvin")
	if err != nil {
		t.Fatal(err)
	}
	counts := []uint16{0, 65535, 65535, 29500, 29500, 29500}
	if span, err := scale.Span(counts); err != nil || span.LowestCelsius > -273 || span.HighestCelsius < 382 {
		t.Errorf("%v, %v", span, err)
	}
}

package radiometry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Scale turns sensor counts into temperatures by a table of all 65,536 counts.
type Scale struct {
	units    string
	relative bool
	table    *[1 << 16]float32 // nil for a relative scale
}

// absoluteZeroCelsius is 0 K (BIPM, SI Brochure, 9th edition, 2.3.1).
const absoluteZeroCelsius = -273.15

// Linear is a scale of even steps.
type Linear struct {
	// KelvinPerCount is one step; 0 is no scale.
	KelvinPerCount float64 `yaml:"kelvin_per_count"`
	// ZeroCelsius is the temperature of the count 0.
	ZeroCelsius float64 `yaml:"zero_celsius"`
}

// FromAbsoluteZero returns the scale of counts that are a temperature in kelvin, in steps of so many kelvin.
func FromAbsoluteZero(kelvinPerCount float64) Linear {
	return Linear{kelvinPerCount, absoluteZeroCelsius}
}

// Celsius returns the temperature of a value, which need not be a whole count.
func (l Linear) Celsius(value float64) float64 { return l.ZeroCelsius + l.KelvinPerCount*value }

// Validate says which field is impossible.
func (l Linear) Validate() error {
	if !(l.KelvinPerCount > 0 && l.KelvinPerCount <= 10) {
		return fmt.Errorf("kelvin_per_count is %v, it has to be above 0, and up to 10", l.KelvinPerCount)
	}
	if !(l.ZeroCelsius >= absoluteZeroCelsius && l.ZeroCelsius <= maxKelvin) {
		return fmt.Errorf("zero_celsius is %v, it has to be the temperature of the count 0, %v °C or more", l.ZeroCelsius, absoluteZeroCelsius)
	}
	return nil
}

// Scale tabulates the steps for the conversion of pictures.
func (l Linear) Scale() (Scale, error) {
	if err := l.Validate(); err != nil {
		return Scale{}, err
	}
	return tabulate(l.String(), l.Celsius), nil
}

func (l Linear) String() string {
	return fmt.Sprintf("kelvin_per_count %g and zero_celsius %g", l.KelvinPerCount, l.ZeroCelsius)
}

// named are the linear scales with a name: FLIR Lepton Engineering Datasheet, TLinear at high (0.01 K) and low (0.1 K)
// resolution; 1/64 K is the temperature plane of the InfiRay P2 and Topdon TC001, 1/16 K of other InfiRay cores.
func named() map[string]Linear {
	return map[string]Linear{
		"centikelvin": FromAbsoluteZero(0.01),
		"decikelvin":  FromAbsoluteZero(0.1),
		"kelvin64":    FromAbsoluteZero(1.0 / 64),
		"kelvin16":    FromAbsoluteZero(1.0 / 16),
	}
}

// LinearOf returns the steps of a scale with a name that is no relative one.
func LinearOf(units string) (linear Linear, known bool) {
	linear, known = named()[units]
	return linear, known
}

// ScaleOf returns the scale of a name: centikelvin (FLIR TLinear, 0.01 K), decikelvin, kelvin64 (1/64 K), kelvin16
// (1/16 K), and the relative scales counts and grey8, which order pixels and give no temperature.
func ScaleOf(units string) (Scale, error) {
	if units == "counts" || units == "grey8" {
		return Scale{units: units, relative: true}, nil
	}
	linear, known := LinearOf(units)
	if !known {
		names := append(slices.Collect(maps.Keys(named())), "counts", "grey8")
		slices.Sort(names)
		return Scale{}, fmt.Errorf("unknown units %q; known are %s", units, strings.Join(names, ", "))
	}
	return tabulate(units, linear.Celsius), nil
}

func tabulate(units string, celsius func(count float64) float64) Scale {
	var table [1 << 16]float32
	for count := range table {
		table[count] = float32(celsius(float64(count)))
	}
	return Scale{units: units, table: &table}
}

// Relative reports whether the scale has no temperatures, see Image.Relative.
func (s Scale) Relative() bool { return s.relative }

// Convert writes the temperatures of a picture of width by height counts to into, whose memory it reuses.
func (s Scale) Convert(counts []uint16, width, height int, into *Image) {
	into.Width, into.Height, into.Relative = width, height, s.relative
	if cap(into.Celsius) < len(counts) {
		into.Celsius = make([]float32, len(counts))
	}
	into.Celsius = into.Celsius[:len(counts)]
	if s.relative {
		spread(counts, into.Celsius)
		return
	}
	celsius, table := into.Celsius, s.table
	for i, count := range counts {
		celsius[i] = table[count]
	}
}

// A picture without temperatures is spread so that its 5th to 99th percentile looks like a room with people in it:
// what finds faces was made for that, and a hot lamp or a dead pixel does not move it.
const (
	lowPercentile, highPercentile = 0.05, 0.99
	roomCelsius, skinCelsius      = 20, 35
)

func spread(counts []uint16, celsius []float32) {
	low, high := quantile(counts, lowPercentile), quantile(counts, highPercentile)
	perCount := float32(skinCelsius-roomCelsius) / float32(max(high-low, 1))
	for i, c := range counts {
		celsius[i] = roomCelsius + perCount*float32(int(c)-low)
	}
}

// quantile returns the count of which the fraction q of all counts lies below. It counts the high bytes first and then
// the low bytes of those that matter: two small tables on the stack instead of a large one for every picture.
func quantile(counts []uint16, q float64) int {
	var highs, lows [256]int
	for _, c := range counts {
		highs[c>>8]++
	}
	high, rest := pick(&highs, int(q*float64(len(counts))))
	for _, c := range counts {
		if int(c>>8) == high {
			lows[c&0xff]++
		}
	}
	low, _ := pick(&lows, rest)
	return high<<8 | low
}

// pick returns the value that the element of a rank has, and its rank among the elements of this value.
func pick(histogram *[256]int, rank int) (value, rest int) {
	for value, n := range histogram {
		if rank < n {
			return value, rank
		}
		rank -= n
	}
	return len(histogram) - 1, 0
}

package radiometry

import (
	"fmt"
	"math"
)

// Planck is the camera's own calibration, as FLIR cameras store it, and what lies between camera and skin.
//
// A count S of a black body at T kelvin is
//
//	S = R1 / (R2 (exp(B/T) - F)) - O
//
// Planck's law integrated over the band of the sensor (Horny, "FPA camera standardisation", Infrared Physics &
// Technology 44 (2003) 109). Cameras that state R, B, F and O, such as the FLIR Lepton and A-series, mean
// S = R / (exp(B/T) - F) + O: there R1 is R, R2 is 1 and O changes its sign.
//
// What the camera receives is the sum of three parts (Minkina and Dudzik, Infrared Thermography: Errors and
// Uncertainties, Wiley 2009; the same in FLIR's user manuals, "Thermographic measurement techniques"): of the object,
// weighed with emissivity ε times transmission τ; of the surroundings it reflects, (1-ε) τ; and of the air, 1-τ.
type Planck struct {
	R1 float64 `yaml:"r1" json:"r1"`
	B  float64 `yaml:"b" json:"b"`
	F  float64 `yaml:"f" json:"f"`
	O  float64 `yaml:"o" json:"o"`
	R2 float64 `yaml:"r2" json:"r2"`

	// Emissivity of the surface; human skin is 0.98 (Steketee, Phys. Med. Biol. 18 (1973) 686).
	Emissivity float64 `yaml:"emissivity" json:"emissivity"`
	// ReflectedCelsius is the apparent temperature of the surroundings, AtmosphereCelsius that of the air.
	ReflectedCelsius  float64 `yaml:"reflected_celsius" json:"reflected_celsius"`
	AtmosphereCelsius float64 `yaml:"atmosphere_celsius" json:"atmosphere_celsius"`
	// RelativeHumidity is a fraction, 0 to 1.
	RelativeHumidity float64 `yaml:"relative_humidity" json:"relative_humidity"`
	DistanceMeters   float64 `yaml:"distance_meters" json:"distance_meters"`
}

// SkinPlanck returns a Planck without calibration for skin in a room of 22 °C, one metre away.
func SkinPlanck() Planck {
	return Planck{F: 1, R2: 1, Emissivity: 0.98, ReflectedCelsius: 22, AtmosphereCelsius: 22, RelativeHumidity: 0.5, DistanceMeters: 1}
}

// Validate says which field is impossible.
func (p Planck) Validate() error {
	for _, field := range []struct {
		name       string
		value      float64
		ok         bool
		constraint string
	}{
		{"r1", p.R1, p.R1 > 0, "above 0"},
		{"b", p.B, p.B > 0, "above 0"},
		{"f", p.F, p.F > 0 && p.F < math.Exp(p.B/maxKelvin), "above 0, and below exp(b / 1000 K)"},
		{"r2", p.R2, p.R2 > 0, "above 0"},
		{"o", p.O, !math.IsNaN(p.O) && !math.IsInf(p.O, 0), "a number"},
		{"emissivity", p.Emissivity, p.Emissivity >= 0.01 && p.Emissivity <= 1, "0.01 to 1"},
		{"reflected_celsius", p.ReflectedCelsius, p.ReflectedCelsius > -100 && p.ReflectedCelsius < 500, "a temperature in °C"},
		{"atmosphere_celsius", p.AtmosphereCelsius, p.AtmosphereCelsius > -60 && p.AtmosphereCelsius < 100, "a temperature in °C"},
		{"relative_humidity", p.RelativeHumidity, p.RelativeHumidity >= 0 && p.RelativeHumidity <= 1, "a fraction, 0 to 1"},
		{"distance_meters", p.DistanceMeters, p.DistanceMeters >= 0 && p.DistanceMeters <= 1000, "0 to 1000"},
	} {
		if !field.ok {
			return fmt.Errorf("%s is %v, it has to be %s", field.name, field.value, field.constraint)
		}
	}
	return nil
}

// maxKelvin bounds what a count can mean: a count beyond the curve is that hot.
const maxKelvin = 1000

// Transmission returns the part of the radiation that passes the air, by FLIR's model for the band of 7.5 to 13 µm with
// the constants its cameras store (listed in Tattersall, Thermimage, doi 10.5281/zenodo.1069704): water vapour from
// temperature and relative humidity, then two absorption bands that fade with the root of the distance.
func (p Planck) Transmission() float64 {
	const (
		x              = 1.9
		alpha1, alpha2 = 0.006569, 0.01262
		beta1, beta2   = -0.002276, -0.00667
		h1, h2, h3, h4 = 1.5587, 6.939e-2, -2.7816e-4, 6.8455e-7
	)
	t := p.AtmosphereCelsius
	water := p.RelativeHumidity * math.Exp(h1+h2*t+h3*t*t+h4*t*t*t)
	root := math.Sqrt(p.DistanceMeters)
	return x*math.Exp(-root*(alpha1+beta1*math.Sqrt(water))) + (1-x)*math.Exp(-root*(alpha2+beta2*math.Sqrt(water)))
}

// blackBody returns the count of a black body, without the offset O.
func (p Planck) blackBody(celsius float64) float64 {
	return p.R1 / (p.R2 * (math.Exp(p.B/(celsius-absoluteZeroCelsius)) - p.F))
}

// parts returns what of the count comes from elsewhere than the object, and the weight of the object's own radiation.
func (p Planck) parts() (others, weight float64) {
	tau := p.Transmission()
	others = (1-p.Emissivity)*tau*p.blackBody(p.ReflectedCelsius) + (1-tau)*p.blackBody(p.AtmosphereCelsius)
	return others, p.Emissivity * tau
}

// Counts returns the sensor value of an object at a temperature: the inverse of Celsius.
func (p Planck) Counts(celsius float64) float64 {
	others, weight := p.parts()
	return weight*p.blackBody(celsius) + others - p.O
}

// Celsius returns the temperature of an object from its sensor value. A count too low for any temperature gives absolute
// zero, one too high 1000 K.
func (p Planck) Celsius(counts float64) float64 {
	others, weight := p.parts()
	own := (counts + p.O - others) / weight
	if own <= 0 {
		return absoluteZeroCelsius
	}
	kelvin := p.B / math.Log(p.R1/(p.R2*own)+p.F)
	if !(kelvin > 0 && kelvin <= maxKelvin) {
		kelvin = maxKelvin
	}
	return kelvin + absoluteZeroCelsius
}

// Scale tabulates the calibration for the conversion of pictures.
func (p Planck) Scale() (Scale, error) {
	if err := p.Validate(); err != nil {
		return Scale{}, fmt.Errorf("planck calibration: %w", err)
	}
	return tabulate("planck", p.Celsius), nil
}

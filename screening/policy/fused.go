package policy

import (
	"fmt"
	"math"

	"thermogate/screening/event"
)

// FusedConfig is how the fused policy estimates body temperature.
//
// Its models are fitted on 2139 pictures of 544 people indoors at 20 to 24 °C, in four rounds (Wang et al. 2023,
// PhysioNet, doi 10.13026/3bhc-9065): oral temperature on canthi, the face's warmest spot and ambient temperature, by
// least squares in which those at 38 °C and more weigh together as much as all others. A regression draws towards its
// mean; so weighted, people at 38 °C and more are estimated 0.07 °C too low on average and all others 0.09 °C too high,
// with a slope of 0.79 against oral temperature (cross-validated by person; README.md has all figures).
type FusedConfig struct {
	// MarginCelsius above what people here are estimated at lately is where the fused policy alarms.
	MarginCelsius float64 `yaml:"margin_celsius"`
	// PriorCelsius is what well people are estimated at before anybody was seen, a body temperature.
	PriorCelsius float64 `yaml:"prior_celsius"`
	// A model for each of what may be known beside the canthi.
	Canthi      Model `yaml:"canthi"`
	Ambient     Model `yaml:"canthi_ambient"`
	Face        Model `yaml:"canthi_face"`
	FaceAmbient Model `yaml:"canthi_face_ambient"`
}

// Model is body temperature as Celsius + Canthi × canthi + Face × the face's warmest spot + Ambient × ambient, all in °C.
type Model struct {
	Celsius float64 `yaml:"celsius" json:"celsius"`
	Canthi  float64 `yaml:"canthi" json:"canthi"`
	Face    float64 `yaml:"face" json:"face"`
	Ambient float64 `yaml:"ambient" json:"ambient"`
	// SpreadCelsius is how far people are from it, a standard deviation.
	SpreadCelsius float64 `yaml:"spread_celsius" json:"spread_celsius"`
}

// DefaultFusedConfig holds where DefaultConfig does. Standard errors of the last model, by resampling people: 2.7 °C, 0.09,
// 0.08 and 0.05; with so few febrile people the coefficients are known less well than what they come to together.
func DefaultFusedConfig() FusedConfig {
	return FusedConfig{
		MarginCelsius: 0.48,
		PriorCelsius:  36.95,
		Canthi:        Model{Celsius: 3.7938, Canthi: 0.9330, SpreadCelsius: 0.36},
		Ambient:       Model{Celsius: 5.4624, Canthi: 0.9417, Ambient: -0.0858, SpreadCelsius: 0.35},
		Face:          Model{Celsius: 3.0802, Canthi: 0.6329, Face: 0.3171, SpreadCelsius: 0.35},
		FaceAmbient:   Model{Celsius: 4.8465, Canthi: 0.6345, Face: 0.3253, Ambient: -0.0917, SpreadCelsius: 0.34},
	}
}

const (
	// MostFaceApart is how far from the canthi the face's warmest spot may be to be skin, °C: of 544 people in four rounds one
	// in a hundred was further above them than 0.78, 0.98, 0.94 and 1.77 °C.
	MostFaceApart = 2.0
	// LeastAmbientCelsius and MostAmbientCelsius are the ambient temperatures that people can be screened in.
	LeastAmbientCelsius, MostAmbientCelsius = 5.0, 45.0
	// See StudiedAmbient.
	leastFitted, mostFitted = 20.0, 24.0
	// plainFever is how far above the threshold the canthi alone, with their offset, are an alert whatever the estimate and
	// the group say.
	plainFever = 0.5
	// See SpreadAt.
	feverish, feverishSpread = 37.5, 1.25
)

// SpreadAt is how far people are from an estimate of body temperature, whose usual spread is given: more for those that read
// feverish. Of 544 people in four rounds 96 % of the 95 % intervals below 37.5 °C hold the oral temperature, and without
// this 86 % of those above.
func SpreadAt(bodyCelsius, spreadCelsius float64) float64 {
	if bodyCelsius >= feverish {
		return feverishSpread * spreadCelsius
	}
	return spreadCelsius
}

// StudiedAmbient is an ambient temperature as models take it: nobody was studied beyond 20 to 24 °C, and what is beyond
// counts as the nearer of these.
func StudiedAmbient(celsius float64) float64 { return clamp(celsius, leastFitted, mostFitted) }

// estimated is a body temperature and what it rests on beside the canthi, to the hundredth of a degree; nil is not known.
type estimated struct {
	bodyCelsius, spreadCelsius  float64
	faceCelsius, ambientCelsius *float64
}

// Estimate applies the model for what is known; NaN, and what can't be true, is not known. A face never counts as
// colder than the canthi in it.
func (c FusedConfig) Estimate(canthi, face, ambient float64) (bodyCelsius float64) {
	return c.estimate(canthi, face, ambient).bodyCelsius
}

func (c FusedConfig) estimate(canthi, face, ambient float64) estimated {
	var e estimated
	canthi = event.Hundredths(canthi)
	face, ambient = event.Hundredths(face), event.Hundredths(ambient)
	if math.Abs(face-canthi) <= MostFaceApart {
		e.faceCelsius = &face
	}
	if ambient >= LeastAmbientCelsius && ambient <= MostAmbientCelsius {
		e.ambientCelsius = &ambient
	}
	m := c.of(e.faceCelsius != nil, e.ambientCelsius != nil)
	body := m.Celsius + m.Canthi*canthi
	if e.faceCelsius != nil {
		body += m.Face * max(face, canthi)
	}
	if e.ambientCelsius != nil {
		body += m.Ambient * StudiedAmbient(ambient)
	}
	e.bodyCelsius, e.spreadCelsius = event.Hundredths(body), m.SpreadCelsius
	return e
}

func (c *FusedConfig) of(face, ambient bool) *Model {
	switch {
	case face && ambient:
		return &c.FaceAmbient
	case face:
		return &c.Face
	case ambient:
		return &c.Ambient
	}
	return &c.Canthi
}

// Model is the one for what is known beside the canthi.
func (c FusedConfig) Model(face, ambient bool) Model { return *c.of(face, ambient) }

// With returns the config with another model for the same inputs.
func (c FusedConfig) With(m Model, face, ambient bool) FusedConfig {
	*c.of(face, ambient) = m
	return c
}

// Shifted returns the config for a camera at whose readings all estimates are too low by so much.
func (c FusedConfig) Shifted(celsius float64) FusedConfig {
	for _, m := range []*Model{&c.Canthi, &c.Ambient, &c.Face, &c.FaceAmbient} {
		m.Celsius += celsius
	}
	return c
}

// Validate reports the first setting that can't be meant, by its key.
func (c FusedConfig) Validate() error {
	if !(c.MarginCelsius >= 0.1 && c.MarginCelsius <= 3) {
		return fmt.Errorf("margin_celsius: %g is outside 0.1 to 3; the default suits most gates", c.MarginCelsius)
	}
	if !(c.PriorCelsius >= 35 && c.PriorCelsius <= 38.5) {
		return fmt.Errorf("prior_celsius: %g is outside 35 to 38.5; it is a body temperature", c.PriorCelsius)
	}
	for _, named := range []struct {
		key string
		Model
	}{{"canthi", c.Canthi}, {"canthi_ambient", c.Ambient}, {"canthi_face", c.Face}, {"canthi_face_ambient", c.FaceAmbient}} {
		if err := named.Validate(); err != nil {
			return fmt.Errorf("%s: %w", named.key, err)
		}
	}
	return nil
}

// Validate asks of a model that a warmer face is a warmer body, and that usual people are alive.
func (m Model) Validate() error {
	const canthi, ambient, farthest = 35.5, 22, 5
	usual := m.Celsius + (m.Canthi+m.Face)*canthi + m.Ambient*ambient
	switch {
	case !(m.Canthi > 0 && m.Face >= 0 && m.Canthi+m.Face >= 0.5 && m.Canthi+m.Face <= 1.5):
		return fmt.Errorf("canthi %g and face %g: canthi is above 0, face not below it, and both together are 0.5 to 1.5", m.Canthi, m.Face)
	case !(math.Abs(m.Ambient) <= 0.5):
		return fmt.Errorf("ambient: %g is outside -0.5 to 0.5", m.Ambient)
	case !(m.SpreadCelsius > 0 && m.SpreadCelsius <= 2):
		return fmt.Errorf("spread_celsius: %g is not above 0, up to 2", m.SpreadCelsius)
	case !(math.Abs(usual-36.9) <= farthest):
		return fmt.Errorf("skin of %g °C at %d °C is estimated at %.1f °C; `thermogate study` finds a model from a site's own pairs", canthi, ambient, usual)
	}
	return nil
}

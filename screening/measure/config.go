package measure

import (
	"errors"
	"fmt"
	"time"

	"thermogate/screening/event"
)

// Config of the measurement at one gate. Lengths in the picture are fractions of its shorter side, so that they hold
// for every resolution.
type Config struct {
	// ReferenceCelsius is the true temperature of the reference source; nil where there is none.
	ReferenceCelsius *float64 `yaml:"reference_celsius"`
	// ReferenceAssumed is true where that is a guess, which widens the uncertainty.
	ReferenceAssumed bool `yaml:"-"`
	// ReferenceUncertaintyCelsius is the standard uncertainty of that temperature: half of the ± in a certificate.
	ReferenceUncertaintyCelsius float64 `yaml:"reference_uncertainty_celsius"`
	// ReferenceArea is where in the upright picture the centre of the source may be; nil for anywhere.
	ReferenceArea *Area `yaml:"reference_area"`
	// SecondReference is another source in view; nil where there is none.
	SecondReference *SecondReference `yaml:"second_reference"`
	// ReferenceMinRadius and ReferenceMaxRadius bound the radius of the disc.
	ReferenceMinRadius float64 `yaml:"reference_min_radius"`
	ReferenceMaxRadius float64 `yaml:"reference_max_radius"`
	// MaxCorrectionCelsius is the largest error of the camera that is believed. A disc further from the nominal
	// temperature is something else, such as a lamp.
	MaxCorrectionCelsius float64 `yaml:"max_correction_celsius"`
	// WarmUp is the time after the camera's power-on in which nothing is measured. Recordings need none.
	WarmUp time.Duration `yaml:"warm_up"`
	// FFCDeadTime after a shutter event (flat-field correction) in which nothing is measured.
	FFCDeadTime time.Duration `yaml:"ffc_dead_time"`
	// MinFacePixels is the least width of a face in pixels of the camera.
	MinFacePixels float64 `yaml:"min_face_pixels"`
	// MaxSpeed of a face in face widths a second. People are measured once they stand: while they walk up, every frame
	// is better than the one before, and the landmarks lag.
	MaxSpeed float64 `yaml:"max_speed"`
	// CameraUncertaintyCelsius is the standard uncertainty of the camera itself, which counts where no reference is
	// configured.
	CameraUncertaintyCelsius float64 `yaml:"camera_uncertainty_celsius"`
}

// SecondReference is a source beside the first. The two tell which of them is wrong, and whether it is the room that has changed.
type SecondReference struct {
	Celsius            float64 `yaml:"celsius"`
	UncertaintyCelsius float64 `yaml:"uncertainty_celsius"` // standard uncertainty
	Area               Area    `yaml:"area"`                // where its centre is, apart from Config.ReferenceArea
}

// Area is a part of the upright picture, in fractions of its width and height.
type Area struct {
	Left   float64 `yaml:"left"`
	Top    float64 `yaml:"top"`
	Right  float64 `yaml:"right"`
	Bottom float64 `yaml:"bottom"`
}

// DefaultConfig fits a FLIR Lepton (57° over 160 pixels) with a source of 3 to 8 cm at arm's length, and cameras of
// more pixels at the same view.
func DefaultConfig() Config {
	return Config{
		ReferenceUncertaintyCelsius: 0.1,
		ReferenceMinRadius:          0.02,
		ReferenceMaxRadius:          0.12,
		MaxCorrectionCelsius:        10,
		FFCDeadTime:                 time.Second,
		MinFacePixels:               14,
		MaxSpeed:                    0.6,
		// Lepton datasheet (500-0659-00-09): ±5 °C in high gain, taken as a rectangular distribution.
		CameraUncertaintyCelsius: 2.9,
	}
}

// Needs is what the measurement needs of a picture whose shorter side has so many pixels.
func (c Config) Needs(shorter int) event.Needs {
	needs := event.Needs{FaceWidth: max(c.MinFacePixels, smallFace)}
	if c.ReferenceCelsius != nil {
		needs.MinReferenceRadius = max(leastRadius*float64(searchScale(shorter)), c.ReferenceMinRadius*float64(shorter))
		needs.MaxReferenceRadius = c.ReferenceMaxRadius * float64(shorter)
	}
	return needs
}

// Validate names the first impossible value and what would be right.
func (c Config) Validate() error {
	for _, check := range []struct {
		key       string
		value     float64
		low, high float64
	}{
		{"reference_uncertainty_celsius", c.ReferenceUncertaintyCelsius, 0, 2},
		{"reference_min_radius", c.ReferenceMinRadius, 0.005, 0.5},
		{"reference_max_radius", c.ReferenceMaxRadius, c.ReferenceMinRadius, 0.5},
		{"max_correction_celsius", c.MaxCorrectionCelsius, 0.1, 50},
		{"warm_up", c.WarmUp.Seconds(), 0, 7200},
		{"ffc_dead_time", c.FFCDeadTime.Seconds(), 0, 60},
		{"min_face_pixels", c.MinFacePixels, 8, 1000},
		{"max_speed", c.MaxSpeed, 0.1, 100},
		{"camera_uncertainty_celsius", c.CameraUncertaintyCelsius, 0, 20},
	} {
		if !(check.value >= check.low && check.value <= check.high) {
			return fmt.Errorf("%s is %v; it must be between %v and %v", check.key, check.value, check.low, check.high)
		}
	}
	if t := c.ReferenceCelsius; t != nil {
		if err := checkReference("reference_celsius", *t); err != nil {
			return err
		}
	}
	if a := c.ReferenceArea; a != nil {
		if err := a.check("reference_area"); err != nil {
			return err
		}
	}
	return c.checkSecond()
}

func (c Config) checkSecond() error {
	s := c.SecondReference
	if s == nil {
		return nil
	}
	if err := errors.Join(checkReference("second_reference.celsius", s.Celsius), s.Area.check("second_reference.area")); err != nil {
		return err
	}
	switch a := c.ReferenceArea; {
	case !(s.UncertaintyCelsius >= 0 && s.UncertaintyCelsius <= 2):
		return fmt.Errorf("second_reference.uncertainty_celsius is %v; it must be between 0 and 2", s.UncertaintyCelsius)
	case c.ReferenceCelsius == nil:
		return errors.New("second_reference is set and reference_celsius is not; a single source is the first")
	case a == nil || a.Left < s.Area.Right && s.Area.Left < a.Right && a.Top < s.Area.Bottom && s.Area.Top < a.Bottom:
		return errors.New("second_reference needs an area of its own; set reference_area beside it so that the two do not overlap")
	}
	return nil
}

func checkReference(key string, celsius float64) error {
	if !(celsius >= 0 && celsius <= 80) {
		return fmt.Errorf("%s is %v; it must be between 0 and 80 °C", key, celsius)
	}
	return nil
}

func (a Area) check(key string) error {
	if !(0 <= a.Left && a.Left < a.Right && a.Right <= 1 && 0 <= a.Top && a.Top < a.Bottom && a.Bottom <= 1) {
		return fmt.Errorf("%s is %+v; its sides must be fractions of the picture, 0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1", key, a)
	}
	return nil
}

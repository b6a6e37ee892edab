package camera

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"thermogate/camera/bounded"
	"thermogate/camera/radiometry"
	"thermogate/camera/v4l2"
)

// sidecar is what the JSON file beside a recording says of it. Every field may be missing; others are ignored.
type sidecar struct {
	Width            *int              `json:"width"`  // of the pictures as they are stored
	Height           *int              `json:"height"` // of the pictures as they are stored
	Frames           *int              `json:"frames"`
	FPS              *float64          `json:"fps"`
	Units            string            `json:"units"`
	KelvinPerCount   float64           `json:"kelvin_per_count"` // in place of units
	ZeroCelsius      float64           `json:"zero_celsius"`
	Planck           radiometry.Planck `json:"planck"` // in place of both
	Orientation      Orientation       `json:"orientation"`
	ReferenceCelsius *float64          `json:"reference_celsius"`
	ReferenceKnown   bool              `json:"reference_known"`
	Camera           string            `json:"camera"`
	Device           string            `json:"device"`
	Start            string            `json:"start"` // RFC 3339
	TimeMS           []float64         `json:"time_ms"`
	MSSinceFFC       []*float64        `json:"ms_since_ffc"` // null where unknown
	UptimeMS         []*float64        `json:"uptime_ms"`
	SensorCelsius    []*float64        `json:"sensor_celsius"`

	start time.Time // Start, or the Unix epoch
}

const (
	maxSidecarBytes = 16 << 20
	maxEntries      = 2 << 20 // of its lists together: a day at 8.77 frames a second with two entries a frame
	minFPS, maxFPS  = 0.01, 1000
	maxMS           = 1e12 // 31 years: keeps times far from overflow
	// Recordings begin within these years. A camera whose clock was not set says 1970 or, by an overflow, 2106.
	firstYear, lastYear = 1970, 2200
)

// readSidecar reads the sidecar at path. A missing file is an empty sidecar.
func readSidecar(path string) (sidecar, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return sidecar{}, fmt.Errorf("reading sidecar %s: it is no regular file", path)
	}
	text, err := bounded.ReadFile(path, maxSidecarBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return sidecar{start: time.Unix(0, 0).UTC()}, nil
	}
	err = WithoutPath(err)
	var s sidecar
	if err == nil {
		s, err = parseSidecar(text)
	}
	if err != nil {
		return sidecar{}, fmt.Errorf("reading sidecar %s: %w", path, err)
	}
	return s, nil
}

func parseSidecar(text []byte) (sidecar, error) {
	s := sidecar{ZeroCelsius: radiometry.FromAbsoluteZero(0).ZeroCelsius, Planck: radiometry.SkinPlanck()}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // the byte-order mark some editors write
	if len(text) == 0 {
		return s, errors.New("the file is empty; write it again, or delete it and say --fps, --units and --orientation")
	}
	if n := bytes.Count(text, []byte{','}); n > maxEntries {
		return s, fmt.Errorf("it has %d entries, more than any recording needs", n)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		var wrong *json.UnmarshalTypeError
		switch is := errors.As(err, &wrong); {
		case is && wrong.Field != "":
			return s, fmt.Errorf("%s can't be a %s", wrong.Field, wrong.Value)
		case is:
			return s, fmt.Errorf(`no valid JSON object, but %s: it has to be one, such as {"fps": 9, "units": "centikelvin"}`, wrong.Value)
		}
		return s, fmt.Errorf("no valid JSON object: %w", err)
	}
	return s, s.check()
}

func (s *sidecar) linear() radiometry.Linear {
	return radiometry.Linear{KelvinPerCount: s.KelvinPerCount, ZeroCelsius: s.ZeroCelsius}
}

func (s *sidecar) check() error {
	if s.KelvinPerCount != 0 {
		if err := s.linear().Validate(); err != nil {
			return err
		}
	}
	if s.Planck.R1 != 0 {
		if err := s.Planck.Validate(); err != nil {
			return fmt.Errorf("planck: %w", err)
		}
	}
	for _, size := range []struct {
		field string
		value *int
	}{{"width", s.Width}, {"height", s.Height}, {"frames", s.Frames}} {
		if size.value != nil && *size.value < 1 {
			return fmt.Errorf("%s is %d, it has to be positive", size.field, *size.value)
		}
	}
	for _, name := range []struct{ field, value string }{{"camera", s.Camera}, {"device", s.Device}} {
		if err := CheckName(name.value); err != nil {
			return fmt.Errorf("%s: %w", name.field, err)
		}
	}
	if s.FPS != nil {
		if err := checkFPS(*s.FPS); err != nil {
			return err
		}
	}
	if _, err := ParseOrientation(string(s.Orientation)); err != nil {
		return fmt.Errorf("orientation: %w", err)
	}
	if r := s.ReferenceCelsius; r != nil && !(*r > -50 && *r < 200) {
		return fmt.Errorf("reference_celsius is %v, no temperature of a reference source", *r)
	}
	return s.checkTimes()
}

func checkFPS(fps float64) error {
	if !(fps >= minFPS && fps <= maxFPS) {
		return fmt.Errorf("fps is %v, it has to be %v to %v", fps, minFPS, maxFPS)
	}
	return nil
}

// telemetry is what the camera said of itself at a frame, nil where that is not known.
func (s *sidecar) telemetry(frame int) *v4l2.Telemetry {
	if frame >= min(len(s.UptimeMS), len(s.SensorCelsius)) || s.UptimeMS[frame] == nil || s.SensorCelsius[frame] == nil {
		return nil
	}
	return &v4l2.Telemetry{Uptime: milliseconds(*s.UptimeMS[frame]), SensorCelsius: *s.SensorCelsius[frame]}
}

func (s *sidecar) checkTimes() error {
	s.start = time.Unix(0, 0).UTC()
	if s.Start != "" {
		start, err := time.Parse(time.RFC3339, s.Start)
		if err != nil {
			return fmt.Errorf("start is %q, it has to look like 2021-03-22T11:28:50+13:00", s.Start)
		}
		if year := start.UTC().Year(); year < firstYear || year > lastYear {
			return fmt.Errorf("start is %q, it has to lie in the years %d to %d", s.Start, firstYear, lastYear)
		}
		s.start = start.UTC()
	}
	for i, ms := range s.TimeMS {
		if !(ms >= 0 && ms <= maxMS) {
			return fmt.Errorf("time_ms[%d] is %v, it counts milliseconds from the start of the recording on", i, ms)
		}
		if i > 0 && ms < s.TimeMS[i-1] {
			return fmt.Errorf("time_ms[%d] is %v, before the frame that came earlier (%v)", i, ms, s.TimeMS[i-1])
		}
	}
	for i, ms := range s.UptimeMS {
		if ms != nil && !(*ms >= 0 && *ms <= maxMS) {
			return fmt.Errorf("uptime_ms[%d] is %v; use null where it is unknown", i, *ms)
		}
	}
	for i, ms := range s.MSSinceFFC {
		if ms != nil && !(*ms >= 0 && *ms <= maxMS) {
			return fmt.Errorf("ms_since_ffc[%d] is %v; use null where it is unknown", i, *ms)
		}
	}
	for _, list := range []struct {
		field  string
		length int
	}{{"time_ms", len(s.TimeMS)}, {"ms_since_ffc", len(s.MSSinceFFC)}} {
		if s.Frames != nil && list.length > 0 && list.length != *s.Frames {
			return fmt.Errorf("%s has %d entries, frames is %d", list.field, list.length, *s.Frames)
		}
	}
	return nil
}

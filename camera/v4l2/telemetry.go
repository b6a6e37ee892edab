package v4l2

import (
	"time"
)

// Rows counts the rows of telemetry above and below a picture.
type Rows struct{ Above, Below int }

// Telemetry is what a camera says of itself beside a picture.
type Telemetry struct {
	// Uptime is how long the camera has been on.
	Uptime time.Duration
	// SinceFFC is the time since its shutter last closed (flat-field correction), 0 while it is closed, and negative where
	// it never did.
	SinceFFC time.Duration
	Shutter  Shutter
	// SensorCelsius is the temperature of the sensor itself.
	SensorCelsius float64
	// Units names the scale of the counts: "centikelvin" or "decikelvin" where the camera computes temperatures, "counts"
	// where it does not, empty where it does not say.
	Units string
}

// Shutter is what the shutter does.
type Shutter string

// The states of a shutter.
const (
	ShutterOpen   Shutter = "open"
	ShutterCloses Shutter = "about to close"
	ShutterClosed Shutter = "closed"
)

// Lepton and Boson count the same four states.
const (
	ffcNever = iota
	ffcImminent
	ffcInProgress
	ffcComplete
)

// shutterOf translates the state of a flat-field correction, and the time since the last one.
func shutterOf(state uint16, since time.Duration) (Shutter, time.Duration) {
	switch state {
	case ffcNever:
		return ShutterOpen, -1
	case ffcImminent:
		return ShutterCloses, since
	case ffcInProgress:
		return ShutterClosed, 0
	}
	return ShutterOpen, since
}

// GuessTelemetry says where rows of telemetry lie that a camera was asked for and FindTelemetry does not understand: on the
// side on which the picture breaks off.
func GuessTelemetry(counts []uint16, width, height int) Rows {
	for _, s := range sensors {
		rows := s.rows.Above + s.rows.Below
		if width != s.Width || height != s.Height+rows || len(counts) != width*height {
			continue
		}
		above, below := breakAt(counts, width, rows), breakAt(counts, width, s.Height)
		switch {
		case above > below:
			return Rows{Above: rows}
		case above < below:
			return Rows{Below: rows}
		}
		return s.rows
	}
	return Rows{}
}

// breakAt is how much a row differs from the one above it.
func breakAt(counts []uint16, width, row int) (difference int) {
	above, below := counts[(row-1)*width:row*width], counts[row*width:(row+1)*width]
	for i := range above {
		difference += max(int(above[i])-int(below[i]), int(below[i])-int(above[i]))
	}
	return difference
}

// FindTelemetry looks for rows of telemetry beside a picture of 16-bit counts, by their contents: what only looks like a
// picture with telemetry by its size has none.
func FindTelemetry(counts []uint16, width, height int) (Telemetry, Rows, bool) {
	if len(counts) != width*height {
		return Telemetry{}, Rows{}, false
	}
	for _, s := range sensors {
		rows := s.rows.Above + s.rows.Below
		if width != s.Width || height != s.Height+rows {
			continue
		}
		parse := parseBoson
		if s.Width <= leptonWidth {
			parse = parseLepton
		}
		// Both makers let telemetry be moved to the other side of the picture.
		if t, ok := parse(counts[s.Height*width:], s.Size); ok {
			return t, Rows{Below: rows}, true
		}
		if t, ok := parse(counts[:rows*width], s.Size); ok {
			return t, Rows{Above: rows}, true
		}
	}
	return Telemetry{}, Rows{}, false
}

// A Lepton's words are those of table 2 of the "Lepton Engineering Datasheet" (500-0659-00-09 Rev 203): rows A, B and C of
// 80 words each; numbers of two words have the lower one first.
const (
	leptonWidth = 160 // of the largest
	leptonRow   = 80

	leptonUptime         = 1 // ms, two words
	leptonStatus         = 3 // two words, table 3
	leptonSensor         = 24
	leptonSensorAtFFC    = 29
	leptonUptimeAtFFC    = 30 // ms, two words
	leptonROIBottom      = 36 // of the gain control
	leptonROIRight       = 37
	leptonTLinear        = 2*leptonRow + 48
	leptonTLinearResolve = 2*leptonRow + 49 // 0 is 0.1 K, 1 is 0.01 K

	leptonStateShift = 4
	leptonGain       = 1 << 12 // gain control is on: a picture for eyes
)

func parseLepton(words []uint16, size Size) (Telemetry, bool) {
	sensor, atFFC := words[leptonSensor], words[leptonSensorAtFFC]
	if !plausible(sensor, 100) || atFFC != 0 && !plausible(atFFC, 100) ||
		int(words[leptonROIBottom]) >= size.Height || int(words[leptonROIRight]) >= size.Width ||
		words[leptonTLinear] > 1 || words[leptonTLinearResolve] > 1 {
		return Telemetry{}, false
	}
	double := func(word int) uint32 { return uint32(words[word]) | uint32(words[word+1])<<16 }
	uptime, status := double(leptonUptime), words[leptonStatus]
	t := Telemetry{Uptime: milliseconds(uptime), SensorCelsius: float64(sensor)/100 - zeroCelsius}
	// The counter of 32 bits starts over after 49 days; the difference does not mind.
	t.Shutter, t.SinceFFC = shutterOf(status>>leptonStateShift&3, milliseconds(uptime-double(leptonUptimeAtFFC)))
	switch {
	case words[leptonTLinear] == 0 || status&leptonGain != 0:
		t.Units = "counts"
	case words[leptonTLinearResolve] == 0:
		t.Units = "decikelvin"
	default:
		t.Units = "centikelvin"
	}
	return t, true
}

// A Boson's words are those of the telemetry line in FLIR's "Boson Thermal Imaging Core" datasheet (102-2013-40); numbers of
// two words have the higher one first. Programs that read them agree: Elphel's Boson640Telemetry.java has their places,
// FLIR's own byte offsets halved. The line does not say whether the counts are temperatures.
const (
	bosonRevision    = 0
	bosonRate        = 28 // frames a second
	bosonStatus      = 38 // four words, of which one holds the bits
	bosonFrame       = 42 // two words
	bosonFrameAtFFC  = 44 // two words
	bosonSensor      = 47 // 0.1 K
	bosonSensorAtFFC = 48 // 0.1 K
	bosonUptime      = 140

	bosonStatusBits = 0x3ff // that are used
	bosonMaxRate    = 120   // no Boson is faster
	bosonFullRate   = 60    // at which it counts its frames where it does not say
)

func parseBoson(words []uint16, _ Size) (Telemetry, bool) {
	double := func(word int) uint32 { return uint32(words[word])<<16 | uint32(words[word+1]) }
	sensor, atFFC := words[bosonSensor], words[bosonSensorAtFFC]
	frame, frameAtFFC := double(bosonFrame), double(bosonFrameAtFFC)
	var status uint16
	for _, word := range words[bosonStatus:bosonFrame] {
		status |= word
	}
	if words[bosonRevision] == 0 || status > bosonStatusBits || !plausible(sensor, 10) || atFFC != 0 && !plausible(atFFC, 10) ||
		frameAtFFC > frame {
		return Telemetry{}, false
	}
	rate := time.Duration(words[bosonRate])
	if rate == 0 || rate > bosonMaxRate {
		rate = bosonFullRate
	}
	t := Telemetry{Uptime: milliseconds(double(bosonUptime)), SensorCelsius: float64(sensor)/10 - zeroCelsius}
	state := status & 3
	if state == ffcNever && frameAtFFC > 0 {
		state = ffcComplete // it did
	}
	t.Shutter, t.SinceFFC = shutterOf(state, time.Duration(frame-frameAtFFC)*time.Second/rate)
	return t, true
}

const zeroCelsius = 273.15

// plausible reports whether a sensor can be that warm: −50 to 120 °C.
func plausible(temperature uint16, perKelvin float64) bool {
	celsius := float64(temperature)/perKelvin - zeroCelsius
	return celsius > -50 && celsius < 120
}

func milliseconds(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

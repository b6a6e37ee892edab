package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"time"

	"gocv.io/x/gocv"

	"thermogate/camera/radiometry"
)

// defaultFPS is the rate of the FLIR Lepton (export-compliant 60 Hz / 6.84), for recordings that don't say theirs.
const defaultFPS = 8.77

// pictures is the stored form of a recording: a file, or a list of files.
type pictures interface {
	// read returns the next picture, valid until the next call, and io.EOF after the last.
	read() (picture, error)
	// label names the picture that read returns next.
	label() string
	rewind()
	close() error
}

// picture is one picture as it is stored, in one of three forms.
type picture struct {
	// encoded is a file for OpenCV to decode.
	encoded []byte
	// differences is true where OpenCV is to see 16-bit counts as TIFF stores them with a predictor: each but the first of a
	// row as what it is more than the one before.
	differences bool

	width, height int
	// counts holds width*height sensor values, row by row.
	counts []uint16
	// numbers holds as many numbers instead, and meaning what they are in °C where nobody says otherwise.
	numbers []float32
	meaning radiometry.Linear

	// planck, model and captured are what the file says; R1 is 0, and the others are zero, where it does not.
	planck   radiometry.Planck
	model    string
	captured time.Time
}

// celsius and centicelsius are what numbers mean that a program saved as floating point, or as 16 bits with a sign;
// fahrenheit and kelvin where a heading says so.
var (
	celsius      = radiometry.Linear{KelvinPerCount: 1}
	centicelsius = radiometry.Linear{KelvinPerCount: 0.01}
	fahrenheit   = radiometry.Linear{KelvinPerCount: 5.0 / 9, ZeroCelsius: -160.0 / 9}
	kelvin       = radiometry.FromAbsoluteZero(1)
)

// recording plays pictures as frames, as fast as it is read.
type recording struct {
	path     string
	pictures pictures
	options  Options
	sidecar  sidecar
	info     Info
	decoder  decoder
	said     bool              // somebody said what the scale is
	settled  bool              // the first picture was seen
	numbers  radiometry.Linear // what numbers that are no counts mean in °C
	planck   radiometry.Planck // of the first picture

	width, height int           // as stored; 0 until the first picture
	began         time.Time     // when the file says the first picture was taken
	index         int           // of the next frame in this round
	delivered     int           // over all rounds
	start         time.Time     // of this round
	last          time.Duration // capture time of the last frame since start
}

func openRecording(path string, options Options) (*recording, error) {
	r := &recording{path: path, options: options}
	if err := r.open(); err != nil {
		if r.pictures != nil {
			r.pictures.close()
		}
		return nil, err
	}
	return r, nil
}

func (r *recording) open() error {
	var err error
	if r.sidecar, err = readSidecar(sidecarPath(r.path)); err != nil {
		return err
	}
	if r.pictures, err = openPictures(r.path, &r.sidecar); err != nil {
		return fmt.Errorf("opening recording %s: %w", r.path, err)
	}
	r.describe()
	// The first picture tells whether this recording is of any use; better now than after the gate was set up.
	var first Frame
	if err := r.Read(context.Background(), &first); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("recording %s holds no pictures", r.path)
		}
		return err
	}
	r.pictures.rewind()
	r.index, r.delivered, r.last = 0, 0, 0
	return nil
}

// describe merges options, sidecar and defaults.
func (r *recording) describe() {
	o, s := &r.options, &r.sidecar
	var fps float64
	if s.FPS != nil {
		fps = *s.FPS
	}
	r.info = Info{
		Name:             filepath.Base(r.path),
		Model:            s.Camera,
		Device:           s.Device,
		FPS:              cmp.Or(o.FPS, fps, defaultFPS),
		ReferenceCelsius: s.ReferenceCelsius,
		ReferenceKnown:   s.ReferenceKnown && s.ReferenceCelsius != nil,
	}
	r.said = calibrate(&r.info, o.Units, o.Linear, o.Planck) || calibrate(&r.info, s.Units, s.linear(), s.Planck)
	r.decoder = decoder{turn: cmp.Or(o.Orientation, s.Orientation), allowEightBit: o.EightBit}
	r.start = s.start
}

func (r *recording) Info() Info { return r.info }

func (r *recording) Close() error { return r.pictures.close() }

func (r *recording) Read(ctx context.Context, frame *Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	label := r.pictures.label()
	stored, err := r.pictures.read()
	if err == io.EOF && r.options.Loop && r.index > 0 {
		r.startOver()
		label = r.pictures.label()
		stored, err = r.pictures.read()
	}
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("recording %s: %w", r.path, err)
	}
	if err := r.decode(&stored, frame); err != nil {
		return fmt.Errorf("recording %s: %s: %w", r.path, label, err)
	}
	return r.stamp(stored.captured, frame)
}

func (r *recording) startOver() {
	r.pictures.rewind()
	r.start = r.start.Add(r.last + seconds(1/r.info.FPS))
	r.index = 0
}

// decode writes one picture, upright, to frame.
func (r *recording) decode(stored *picture, frame *Frame) error {
	if stored.encoded == nil {
		return r.place(stored, nil, frame)
	}
	mat, err := gocv.IMDecode(stored.encoded, gocv.IMReadUnchanged)
	if err != nil {
		return err
	}
	defer mat.Close()
	if mat.Empty() {
		return errors.New("the picture is damaged, it can't be decoded")
	}
	stored.width, stored.height = mat.Cols(), mat.Rows()
	if stored.differences {
		counts, err := mat.DataPtrUint16()
		if err != nil {
			return err
		}
		sumRows(counts, stored.width)
	}
	if err := stored.takeNumbers(&mat); err != nil {
		return err
	}
	return r.place(stored, &mat, frame)
}

// place writes one picture to frame, from mat where it has neither counts nor numbers of its own.
func (r *recording) place(stored *picture, mat *gocv.Mat, frame *Frame) error {
	if err := r.checkSize(stored.width, stored.height); err != nil {
		return err
	}
	if err := r.settle(stored); err != nil {
		return err
	}
	held, err := counts16, error(nil)
	switch {
	case stored.numbers != nil:
		frame.Telemetry = nil
		r.decoder.upright(r.decoder.round(stored.numbers, r.numbers), stored.width, stored.height, frame)
	case stored.counts != nil:
		held, err = r.decoder.place(held, stored.counts, stored.width, stored.height, frame)
	default:
		held, err = r.decoder.decode(mat, frame)
	}
	if held == eightBit {
		r.info.Units = unitsGrey8
	} else if err == nil {
		r.info.Units, err = agreeUnits(r.info.Units, frame.Telemetry)
	}
	return err
}

// takeNumbers takes the numbers of a decoded picture that are no counts.
func (p *picture) takeNumbers(mat *gocv.Mat) error {
	switch mat.Type() {
	case gocv.MatTypeCV64FC1:
		mat.ConvertTo(mat, gocv.MatTypeCV32F)
		fallthrough
	case gocv.MatTypeCV32FC1:
		numbers, err := mat.DataPtrFloat32()
		p.numbers, p.meaning = numbers, celsius
		return err
	case gocv.MatTypeCV16SC1:
		values, err := mat.DataPtrInt16()
		p.numbers, p.meaning = make([]float32, len(values)), centicelsius
		for i, v := range values {
			p.numbers[i] = float32(v)
		}
		return err
	}
	return nil
}

// settle decides by the first picture what is still open of the scale, and refuses pictures that were calibrated otherwise.
func (r *recording) settle(stored *picture) error {
	if r.settled {
		now, first := stored.planck, r.planck
		if now.R1 != first.R1 || now.B != first.B || now.F != first.F || now.O != first.O || now.R2 != first.R2 {
			return errors.New("the camera's calibration is another from here on: its range was switched; split the recording there")
		}
		return nil
	}
	r.settled, r.planck, r.began = true, stored.planck, stored.captured
	r.info.Model = cmp.Or(r.info.Model, stored.model)
	if r.sidecar.Start == "" && !r.began.IsZero() {
		r.start = r.began
	}
	if stored.numbers != nil {
		return r.settleNumbers(stored)
	}
	if !r.said && stored.planck.R1 != 0 {
		if err := stored.planck.Validate(); err != nil {
			return fmt.Errorf("the calibration in the file can't be right: %w; give the camera's own in camera.planck of the config", err)
		}
		r.info.Units, r.info.Planck = unitsPlanck, stored.planck
	}
	return nil
}

// settleNumbers says what numbers that are no counts mean: what the units say, °C where nobody says. They become counts in
// hundredths of a kelvin, unless their scale is one that needs counts.
func (r *recording) settleNumbers(stored *picture) error {
	asCounts := radiometry.FromAbsoluteZero(countKelvin)
	linear, named := radiometry.LinearOf(r.info.Units)
	switch {
	case !r.said:
		if err := checkMeaning(stored); err != nil {
			return err
		}
		r.numbers = stored.meaning
	case r.info.Units == unitsLinear:
		r.numbers = r.info.Linear
	case named:
		r.numbers = linear
	default: // raw counts, or with a calibration
		r.numbers = asCounts
		return nil
	}
	r.info.Units = unitsCentikelvin
	return r.numbers.Validate()
}

// checkMeaning refuses numbers that can't be what they are taken for, where it knows what would fit.
func checkMeaning(stored *picture) error {
	sorted := slices.DeleteFunc(slices.Clone(stored.numbers), func(n float32) bool { return n != n })
	if len(sorted) == 0 {
		return nil
	}
	slices.Sort(sorted)
	median := float64(sorted[len(sorted)/2])
	if stored.meaning == celsius && !radiometry.Ordinary(celsius.Celsius(median)) {
		for _, scale := range []radiometry.Linear{kelvin, centicelsius, radiometry.FromAbsoluteZero(countKelvin)} {
			if celsius := scale.Celsius(median); radiometry.Ordinary(celsius) {
				return fmt.Errorf("most of its numbers can't be °C (median %.6g); %s would fit (median %.1f °C)", median, scale, celsius)
			}
		}
	}
	return nil
}

func (r *recording) checkSize(width, height int) error {
	s := &r.sidecar
	switch {
	case r.width == 0:
		if s.Width != nil && *s.Width != width || s.Height != nil && *s.Height != height {
			return fmt.Errorf("the picture has %d by %d pixels, width and height in the sidecar say otherwise", width, height)
		}
		r.width, r.height = width, height
	case r.width != width || r.height != height:
		return fmt.Errorf("the picture has %d by %d pixels, those before had %d by %d; split the recording there",
			width, height, r.width, r.height)
	}
	return nil
}

// stamp writes what the sidecar knows of the frame, or the file.
func (r *recording) stamp(captured time.Time, frame *Frame) error {
	i, s := r.index, &r.sidecar
	at := seconds(float64(i) / r.info.FPS)
	switch {
	case r.options.FPS != 0: // a rate that was asked for explicitly wins over the recorded times
	case len(s.TimeMS) > 0:
		if i >= len(s.TimeMS) {
			return fmt.Errorf("recording %s has more pictures than the %d times in time_ms of its sidecar", r.path, len(s.TimeMS))
		}
		at = milliseconds(s.TimeMS[i])
	case s.FPS == nil && !captured.IsZero():
		if at = captured.Sub(r.began); i > 0 && (at <= r.last || at > maxMS*time.Millisecond) { // a clock that was set
			at = r.last + seconds(1/r.info.FPS)
		}
	}
	frame.SinceFFC = sinceFFC(frame.Telemetry)
	if i < len(s.MSSinceFFC) && s.MSSinceFFC[i] != nil {
		frame.SinceFFC = milliseconds(*s.MSSinceFFC[i])
	}
	if told := s.telemetry(i); told != nil && frame.Telemetry == nil {
		told.SinceFFC = frame.SinceFFC
		frame.Telemetry = told
	}
	frame.Captured = r.start.Add(at)
	frame.Index = r.delivered
	r.last = at
	r.index++
	r.delivered++
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

func milliseconds(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}

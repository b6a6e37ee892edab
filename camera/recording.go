package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"

	"gocv.io/x/gocv"
)

// defaultFPS is the rate of the FLIR Lepton (export-compliant 60 Hz / 6.84), for recordings that don't say theirs.
const defaultFPS = 8.77

// pictures is the stored form of a recording: a TIFF stack or a list of files.
type pictures interface {
	// encoded returns the next picture as a file in memory, valid until the next call, and io.EOF after the last.
	encoded() ([]byte, error)
	// label names the picture that encoded returns next.
	label() string
	rewind()
	close() error
}

// recording plays pictures as frames, as fast as it is read.
type recording struct {
	path     string
	pictures pictures
	options  Options
	sidecar  sidecar
	info     Info
	decoder  decoder

	width, height int           // as stored; 0 until the first picture
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
	if r.pictures, err = openPictures(r.path); err != nil {
		return fmt.Errorf("opening recording %s: %w", r.path, err)
	}
	if r.sidecar, err = readSidecar(sidecarPath(r.path)); err != nil {
		return err
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
		Units:            cmp.Or(o.Units, s.Units),
		ReferenceCelsius: s.ReferenceCelsius,
		ReferenceKnown:   s.ReferenceKnown && s.ReferenceCelsius != nil,
	}
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
	data, err := r.pictures.encoded()
	if err == io.EOF && r.options.Loop && r.index > 0 {
		r.startOver()
		label = r.pictures.label()
		data, err = r.pictures.encoded()
	}
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("recording %s: %w", r.path, err)
	}
	if err := r.decode(data, frame); err != nil {
		return fmt.Errorf("recording %s: %s: %w", r.path, label, err)
	}
	return r.stamp(frame)
}

func (r *recording) startOver() {
	r.pictures.rewind()
	r.start = r.start.Add(r.last + seconds(1/r.info.FPS))
	r.index = 0
}

// decode decodes one picture and writes it, upright, to frame.
func (r *recording) decode(data []byte, frame *Frame) error {
	mat, err := gocv.IMDecode(data, gocv.IMReadUnchanged)
	if err != nil {
		return err
	}
	defer mat.Close()
	if mat.Empty() {
		return errors.New("the picture is damaged, it can't be decoded")
	}
	if err := r.checkSize(mat.Cols(), mat.Rows()); err != nil {
		return err
	}
	held, err := r.decoder.decode(&mat, frame)
	if held == eightBit {
		r.info.Units = unitsGrey8
	} else if err == nil {
		r.info.Units, err = agreeUnits(r.info.Units, frame.Telemetry)
	}
	return err
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

// stamp writes what the sidecar knows of the frame.
func (r *recording) stamp(frame *Frame) error {
	i, s := r.index, &r.sidecar
	at := seconds(float64(i) / r.info.FPS)
	// A rate that was asked for explicitly wins over the recorded times.
	if len(s.TimeMS) > 0 && r.options.FPS == 0 {
		if i >= len(s.TimeMS) {
			return fmt.Errorf("recording %s has more pictures than the %d times in time_ms of its sidecar", r.path, len(s.TimeMS))
		}
		at = milliseconds(s.TimeMS[i])
	}
	frame.SinceFFC = sinceFFC(frame.Telemetry)
	if i < len(s.MSSinceFFC) && s.MSSinceFFC[i] != nil {
		frame.SinceFFC = milliseconds(*s.MSSinceFFC[i])
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

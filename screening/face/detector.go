package face

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"slices"

	"gocv.io/x/gocv"

	"thermogate/camera/radiometry"
	"thermogate/screening/rank"
)

//go:embed face.onnx
var model []byte

// What the network was trained with, see training/model.py and training/data.py.
const (
	stride       = 4  // input pixels a cell of the output
	multiple     = 16 // the input's sides are multiples of this
	levelCelsius = 8  // temperature above the scene's level that is 1 to the network
	mostBent     = 4  // where hot and cold things are bent to
	// relativeRange is what the range from the 1st to the 99th percentile of a picture without a scale is taken for.
	relativeRange = 16
)

// Something hot leaves people few levels of a picture without a scale. Where middleRange times what lies between the 10th
// and the 90th percentile is less than wideShare of its range, it is looked at with that taken for relativeRange as well, but
// with no more than mostContrast times as much contrast.
const (
	middleRange  = 1.2
	wideShare    = 0.5
	mostContrast = 6
)

// Channels of the output.
const (
	heatChannel = 0
	boxChannel  = 1
	channels    = 5
)

// cells, two by two, are told of at each place of the output.
const cells = 4

// Working sizes. A picture with a longer side than maxSide is reduced to it, but not so far that the least face gets
// narrower than smallFace: of the recordings' faces 13 to 19 pixels wide the networks find 89 in 100, of wider ones 97; one
// with a shorter side than minSide is enlarged; above pyramidSide a second look at half that size finds the faces that are
// larger than largeFace in the first: recordings to train on have no sharper ones.
const (
	minSide     = 120
	maxSide     = 416
	smallFace   = 20
	pyramidSide = 240
	largeFace   = 90
)

const (
	// sameFace is the overlap (intersection over union) above which two boxes are one face.
	sameFace = 0.4
	// proposalScore is the score of the first network from which on the second looks.
	proposalScore = 0.2
	// defaultMinScore is where a gate whose camera was not trained on gave the fewest verdicts on nobody (MODEL_CARD.md).
	defaultMinScore = 0.7
	// FaintScore is the least score of what is likely a face. People who walk past a simulated gate, seen from the side,
	// reach it in all but one of 24 cases, what is labelled no face on 30 recordings without people to screen in one frame of 20.
	FaintScore = 0.45
	// A picture without a scale may be inverted (hot is black). It is looked at both ways where the plain one shows no
	// face above sureScore, and taken as inverted where that is better by invertedMargin.
	sureScore      = 0.5
	invertedMargin = 0.05
)

// CheckSize refuses pictures in which no face can be read at any distance at which somebody stands. A face, 15 cm wide, has
// to be 14 pixels wide; at 57 ° over 80 pixels it is from 0.8 m on, and on fewer it fills the picture by then.
func CheckSize(width, height int) error {
	const leastShort, leastLong = 60, 80
	if min(width, height) >= leastShort && max(width, height) >= leastLong {
		return nil
	}
	return fmt.Errorf("a picture of %d by %d pixels is too small to read a face in: %d by %d are the least, for people within 0.8 m, "+
		"and 160 by 120 or more are right", width, height, leastLong, leastShort)
}

// Detector finds faces. It is used by one goroutine.
type Detector struct {
	// MinScore is the score below which a face is not returned. New sets it for the gate, where everything returned is
	// used; lower it to draw a precision-recall curve.
	MinScore float32
	// LeastFace is the width of the least face that has to be found in large pictures, as a part of their shorter side; the
	// smaller it is, the longer they take. 0 stands for any that the usual working size shows.
	LeastFace float64

	passes  []*pass
	marker  *marker
	wearing *wearing
	source  gocv.Mat
	scaled  gocv.Mat
	smaller shrinker
	skin    radiometry.Image
	sample  []float32
	found   []Face
	faint   []Face
	other   []Face
}

// New loads the networks and warms them for pictures of 120 by 160 pixels.
func New() (*Detector, error) {
	marker, err := newMarker()
	if err != nil {
		return nil, err
	}
	wearing, err := newWearing()
	if err != nil {
		return nil, errors.Join(err, marker.Close())
	}
	d := &Detector{MinScore: defaultMinScore, marker: marker, wearing: wearing,
		source: gocv.NewMat(), scaled: gocv.NewMat()}
	if err := d.warm(); err != nil {
		return nil, errors.Join(fmt.Errorf("warming the face detector: %w", err), d.Close())
	}
	return d, nil
}

// warm has all networks look once, so that the gate's first frame takes no longer than the next.
func (d *Detector) warm() error {
	const room = 20
	img := radiometry.Image{Width: 120, Height: 160, Celsius: slices.Repeat([]float32{room}, 120*160)}
	if _, err := d.Detect(&img); err != nil {
		return err
	}
	f := Face{W: 30, H: 40}
	if err := d.marker.mark(&img, &f, 1); err != nil {
		return err
	}
	return d.wearing.look(d.marker.Input, &f)
}

// Close frees the memory held outside Go.
func (d *Detector) Close() error {
	errs := []error{d.source.Close(), d.scaled.Close(), d.marker.Close(), d.wearing.Close()}
	for _, p := range d.passes {
		errs = append(errs, p.Close())
	}
	d.passes = nil
	return errors.Join(errs...)
}

// Detect returns the faces of a picture, best first, in its own pixels; boxes end at its border. The slice is valid
// until the next call.
func (d *Detector) Detect(img *radiometry.Image) ([]Face, error) {
	if img.Width <= 0 || img.Height <= 0 || len(img.Celsius) != img.Width*img.Height {
		return nil, fmt.Errorf("finding faces: a picture of %dx%d pixels can't have %d temperatures",
			img.Width, img.Height, len(img.Celsius))
	}
	if err := CheckSize(img.Width, img.Height); err != nil {
		return nil, err
	}
	level, gain, contrast := d.scale(img)
	var err error
	if d.found, err = d.look(img, level, gain, d.found[:0]); err == nil && img.Relative {
		err = d.lookOtherwise(img, level, gain, contrast)
	}
	if err != nil {
		return nil, fmt.Errorf("finding faces: %w", err)
	}
	return d.found, nil
}

// lookOtherwise looks at a picture without a scale as if it were inverted, where it shows no face as it is, and with more
// contrast.
func (d *Detector) lookOtherwise(img *radiometry.Image, level, gain, contrast float32) (err error) {
	if best(d.found) < sureScore {
		if d.other, err = d.look(img, level, -gain, d.other[:0]); err != nil {
			return err
		}
		if best(d.other) > best(d.found)+invertedMargin {
			d.found, d.other = d.other, d.found
			gain = -gain
		}
	}
	if contrast == 1 {
		return nil
	}
	if d.other, err = d.look(img, level, gain*contrast, d.other[:0]); err != nil {
		return err
	}
	d.found = distinct(append(d.found, d.other...))
	return nil
}

// Faint returns what in the picture of the last Detect is likely a face, but not sure enough to be measured: a profile,
// somebody far away. Best first, down to FaintScore, valid until the next Detect.
func (d *Detector) Faint() []Face { return d.faint }

func best(faces []Face) float32 {
	if len(faces) == 0 {
		return 0
	}
	return faces[0].Score
}

// scale returns the level of the scene, what a degree above it is to the network, and with how many times as much contrast
// the picture is to be looked at once more; 1 is not at all. It looks at some of the pixels: a thousand give the level to a
// fraction of what the network was trained to bear, the tails take more.
func (d *Detector) scale(img *radiometry.Image) (level, gain, contrast float32) {
	pixels := 1024
	if img.Relative {
		pixels = 4096
	}
	step := max(1, len(img.Celsius)/pixels)
	if step%2 == 0 {
		step++ // not a divisor of the usual widths
	}
	d.sample = d.sample[:0]
	for i := 0; i < len(img.Celsius); i += step {
		c := img.Celsius[i]
		if !img.Relative && noSkin(c) {
			c = coldestSkin
		}
		if c == c {
			d.sample = append(d.sample, c)
		}
	}
	if len(d.sample) == 0 {
		return 0, 1, 1
	}
	at := func(q float64) float32 { return rank.Nth(d.sample, int(q*float64(len(d.sample)-1))) }
	gain, contrast = 1.0/levelCelsius, 1
	if img.Relative {
		full := max(at(0.99)-at(0.01), 1e-3)
		gain *= relativeRange / full
		if middle := middleRange * (at(0.9) - at(0.1)); middle < wideShare*full {
			contrast = min(full/middle, mostContrast)
		}
	}
	return at(0.5), gain, contrast
}

// look finds the faces of a picture at one or two sizes and appends them to faces.
func (d *Detector) look(img *radiometry.Image, level, gain float32, faces []Face) ([]Face, error) {
	scale := d.workingScale(img.Width, img.Height)
	skin := d.onlySkin(img, level)
	faces, err := d.lookAt(skin, scale, level, gain, faces)
	if err == nil && scale*float64(max(img.Width, img.Height)) > pyramidSide {
		large := float32(largeFace / scale)
		faces = slices.DeleteFunc(faces, func(f Face) bool { return max(f.W, f.H) > large })
		faces, err = d.lookAt(skin, scale/2, level, gain, faces)
	}
	if err != nil {
		return nil, err
	}
	faces = slices.DeleteFunc(faces, func(f Face) bool { return !showsSkin(img, &f) })
	return d.examine(skin, distinct(faces), gain)
}

// workingScale is by how much a picture is made smaller or larger to be looked at.
func (d *Detector) workingScale(width, height int) float64 {
	long := max(width, height)
	switch {
	case long < minSide:
		return 2
	case long <= maxSide:
		return 1
	}
	scale := maxSide / float64(long)
	if least := d.LeastFace * float64(min(width, height)); least > 0 {
		scale = max(scale, min(1, smallFace/least))
	}
	return scale
}

// examine has the second network look closely at what the first proposed, and keeps what both take for a face, best first.
// The third looks at those alone.
func (d *Detector) examine(img *radiometry.Image, faces []Face, gain float32) ([]Face, error) {
	hopeless := min(logit(hopefulScore), (logit(d.MinScore)-closeWeight*hopedLogit)/(1-closeWeight))
	faces = slices.DeleteFunc(faces, func(f Face) bool { return logit(f.Score) < hopeless })
	for i := range faces {
		if err := d.marker.mark(img, &faces[i], gain*levelCelsius); err != nil {
			return nil, err
		}
		if faces[i].Score < min(d.MinScore, FaintScore) {
			continue
		}
		if err := d.wearing.look(d.marker.Input, &faces[i]); err != nil {
			return nil, err
		}
		faces[i].clip(float32(img.Width), float32(img.Height))
	}
	slices.SortFunc(faces, bestFirst)
	d.faint = d.faint[:0]
	for _, f := range faces {
		if f.Score < d.MinScore && f.Score >= FaintScore {
			d.faint = append(d.faint, f)
		}
	}
	return slices.DeleteFunc(faces, func(f Face) bool { return f.Score < d.MinScore }), nil
}

func bestFirst(a, b Face) int { return cmp.Compare(b.Score, a.Score) }

func (d *Detector) lookAt(img *radiometry.Image, scale float64, level, gain float32, faces []Face) ([]Face, error) {
	width, height := int(math.Round(scale*float64(img.Width))), int(math.Round(scale*float64(img.Height)))
	width, height = max(width, 1), max(height, 1)
	pixels := img.Celsius
	if width != img.Width || height != img.Height {
		var err error
		if pixels, err = d.resize(img, width, height); err != nil {
			return nil, err
		}
	}
	p, err := d.passFor(width, height)
	if err != nil {
		return nil, err
	}
	p.load(pixels, width, height, level, gain)
	sx, sy := float32(img.Width)/float32(width), float32(img.Height)/float32(height)
	start := len(faces)
	if faces, err = p.run(faces); err != nil {
		return nil, err
	}
	for i := range faces[start:] {
		faces[start+i].enlarge(sx, sy)
	}
	return faces, nil
}

// resize brings a picture to another size.
func (d *Detector) resize(img *radiometry.Image, width, height int) ([]float32, error) {
	if width <= img.Width && height <= img.Height {
		return d.smaller.shrink(img, width, height), nil
	}
	if d.source.Cols() != img.Width || d.source.Rows() != img.Height {
		d.source.Close()
		d.source = gocv.NewMatWithSize(img.Height, img.Width, gocv.MatTypeCV32F)
	}
	pixels, err := d.source.DataPtrFloat32()
	if err != nil {
		return nil, err
	}
	copy(pixels, img.Celsius)
	gocv.Resize(d.source, &d.scaled, imagePoint(width, height), 0, 0, gocv.InterpolationLinear)
	return d.scaled.DataPtrFloat32()
}

// distinct keeps the best box of each face, best face first.
func distinct(faces []Face) []Face {
	slices.SortFunc(faces, bestFirst)
	kept := faces[:0]
next:
	for _, f := range faces {
		for i := range kept {
			if overlap(&f, &kept[i]) > sameFace {
				continue next
			}
		}
		kept = append(kept, f)
	}
	return kept
}

// overlap is the intersection over union of two boxes, or over the smaller one where it lies in the other.
func overlap(a, b *Face) float32 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	both, small := w*h, min(a.W*a.H, b.W*b.H)
	if both > 0.85*small {
		return both / small
	}
	return both / (a.W*a.H + b.W*b.H - both)
}

func (f *Face) enlarge(sx, sy float32) {
	f.X, f.W = f.X*sx, f.W*sx
	f.Y, f.H = f.Y*sy, f.H*sy
}

func (f *Face) clip(width, height float32) {
	right, bottom := min(f.X+f.W, width), min(f.Y+f.H, height)
	f.X, f.Y = max(f.X, 0), max(f.Y, 0)
	f.W, f.H = max(right-f.X, 0), max(bottom-f.Y, 0)
}

func logit(p float32) float32 { return float32(math.Log(float64(p) / (1 - float64(p)))) }

func logistic(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

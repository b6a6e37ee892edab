package measure

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/face"
)

const (
	// settleTime is how long a disc that was not there from the start must stand still before it counts: a cup in a hand
	// and a head don't.
	settleTime = time.Second
	// startTime is how long after the first frame a disc beyond doubt counts at once.
	startTime = time.Second
	// anchorMemory is how long the place of a covered source is kept before another place is believed.
	anchorMemory = 3 * time.Second
	// drift is the random walk of the camera's error, °C in a second; steadily it drifts by up to 0.1 °C/s, which the
	// filter then follows 0.02 °C behind.
	drift = 0.03
	// settleRange is how long after a step of the camera's range or gain nothing is measured: shutter and filters of cameras
	// need two to three seconds.
	settleRange = 3 * time.Second
	// rampTime is how long after a shutter event the whole picture still climbs, by up to 0.6 °C/s.
	rampTime = 3 * time.Second
	// jumpSigma is how far off, in standard uncertainties, a measured correction is no noise.
	jumpSigma = 2.5
	// oddStep, °C, is how far the disc may go alone.
	oddStep = 0.15
	// assumedUncertainty, °C, is the standard uncertainty of a temperature that nobody has measured or set: of a source at 35 to
	// 37 °C, as a rectangular distribution. On the recordings one that was assumed at 37.0 was later measured at 35.8 °C.
	assumedUncertainty = 0.58
	// discsApart, °C, is how far the picture is off between two sources, as a standard uncertainty; after a shutter event its
	// top has moved by 0.15 and its bottom by 0.8 °C on the recordings.
	discsApart = 0.15
	// discBlur is what the blur of the camera takes from the inside of the disc, over its contrast, as a standard
	// uncertainty. Of 5 to 10 °C, two pixels inside a sharp edge, 1 % is lost (Pušnik and Geršak, Sensors 2021, 21, 607,
	// ask for 10×10 pixels on the source and average the inner 3×3).
	discBlur = 0.01
)

// ReferenceFinder finds the reference source, follows it and filters the correction that it gives. A source that stood
// there for a minute, at a steady distance to the picture around it, is confirmed: from then on another place or another
// temperature is no source any more, until it is back or Recalibrate is called. It is used by one goroutine, frame after
// frame.
type ReferenceFinder struct {
	config Config
	discs  *discFinder
	scene  *sceneChange     // one for both sources
	second *ReferenceFinder // of another source in view; nil where there is none

	first, last   time.Time
	on            time.Time // when the camera was switched on, as far as that is known
	began         time.Time // when the source was first looked for
	shutter       time.Time // the last event
	stepped       time.Time // the camera last went to another range
	width, height int

	anchor     disc // where the source is, once it counts
	anchored   bool
	proven     bool      // the anchor stood still for the settle time
	confirmed  bool      // the source is known, and never moves by itself
	seen       time.Time // last time at the anchor
	strays     int       // frames in a row in which the disc was off its anchor
	pending    disc      // a disc that may become the anchor
	hasPending bool
	since      time.Time // when pending was first seen

	correction, variance float64
	started              bool      // the filter holds a value
	odd                  time.Time // since when the disc disagrees with the filter; zero while it agrees

	usual    usual
	errors   errorsOf
	restored *Known // not compared with a picture yet
	former   *Known // of a source of another temperature: the camera's errors are what they were
}

// NewReferenceFinder returns a finder for a source of the configured temperature, and for the second one where there is
// one. Without a source, every Reference is not Found, has no Problem and corrects nothing.
func NewReferenceFinder(config Config) *ReferenceFinder {
	r := &ReferenceFinder{config: config, discs: newDiscFinder(config), scene: new(sceneChange)}
	if s := config.SecondReference; s != nil && config.ReferenceCelsius != nil {
		config.ReferenceCelsius, config.ReferenceAssumed, config.SecondReference = &s.Celsius, false, nil
		config.ReferenceUncertaintyCelsius, config.ReferenceArea = s.UncertaintyCelsius, &s.Area
		r.second = NewReferenceFinder(config)
		r.second.scene = r.scene
	}
	return r
}

// PoweredOn tells when the camera was switched on. Who is not told takes it for the first frame.
func (r *ReferenceFinder) PoweredOn(at time.Time) {
	r.on = at
	if r.second != nil {
		r.second.PoweredOn(at)
	}
}

// Recalibrate takes the source for right wherever and however warm it now is: it is found and learnt anew.
func (r *ReferenceFinder) Recalibrate() {
	r.anchored, r.proven, r.confirmed, r.hasPending, r.started = false, false, false, false, false
	r.began, r.errors, r.restored, r.former = time.Time{}, errorsOf{}, nil, nil
	r.usual.forget()
	if r.second != nil {
		r.second.Recalibrate()
	}
}

// Known returns what is to outlive a restart of each source: nothing of one that is not confirmed.
func (r *ReferenceFinder) Known() []Known {
	var all []Known
	for ; r != nil; r = r.second {
		switch {
		case r.restored != nil:
			all = append(all, *r.restored)
		case r.proved():
			all = append(all, r.remember())
		case r.former != nil:
			all = append(all, *r.former)
		}
	}
	return all
}

// KnownSources counts the sources of which something is known, without copying it.
func (r *ReferenceFinder) KnownSources() (n int) {
	for ; r != nil; r = r.second {
		if r.restored != nil || r.proved() || r.former != nil {
			n++
		}
	}
	return n
}

func (r *ReferenceFinder) proved() bool { return r.confirmed && r.usual.known() }

func (r *ReferenceFinder) remember() Known {
	k := Known{At: r.last, AllowanceCelsius: r.usual.allowance, NominalCelsius: *r.config.ReferenceCelsius, Width: r.width, Height: r.height,
		X: r.anchor.x, Y: r.anchor.y, Radius: r.anchor.radius, Corrections: r.errors}
	k.BackgroundCelsius = make([]*float64, len(r.scene.now))
	for _, p := range r.usual.points {
		if p.frames >= learnFrames {
			k.BackgroundCelsius[p.index] = new(math.Round(float64(p.celsius)*1000) / 1000)
		}
	}
	return k
}

// Restore goes on with what was known before a restart. It refuses what can't be true. Of a source of another temperature it takes
// over how far off the camera usually is: a temperature that was set wrong makes that another.
func (r *ReferenceFinder) Restore(all []Known) error {
	for ; r != nil && r.config.ReferenceCelsius != nil; r = r.second {
		for _, k := range all {
			if err := k.validate(); err != nil {
				return fmt.Errorf("a reference source that can't be: %w", err)
			}
			switch {
			case !r.inArea(&k):
			case k.NominalCelsius == *r.config.ReferenceCelsius:
				r.restored = &k
			default:
				r.former, r.errors = &k, k.Corrections
			}
		}
	}
	return nil
}

func (r *ReferenceFinder) inArea(k *Known) bool {
	return r.discs.inArea(disc{x: k.X, y: k.Y}, &radiometry.Image{Width: k.Width, Height: k.Height})
}

// resume compares what was restored with the first picture: that of another camera says nothing.
func (r *ReferenceFinder) resume(img *radiometry.Image, at time.Time) {
	k := r.restored
	r.restored = nil
	d := disc{x: k.X, y: k.Y, radius: k.Radius}
	if k.Width != img.Width || k.Height != img.Height || len(k.BackgroundCelsius) != len(r.scene.now) {
		return
	}
	points := r.scene.around(nil, d)
	for i := range points {
		if t := k.BackgroundCelsius[points[i].index]; t != nil {
			points[i].celsius, points[i].frames = float32(*t), learnFrames
		}
	}
	r.anchorAt(d, true, at.Add(-anchorMemory))
	r.confirmed, r.errors = true, k.Corrections
	r.usual = usual{points: points, trusted: confirmFor, left: true, allowance: k.AllowanceCelsius}
	away := at.Sub(k.At)
	if away < 0 { // a clock that was wrong
		away = math.MaxInt64
	}
	r.usual.pass(max(away, absent))
}

// Update reads the reference in the next frame, captured at the given time, sinceFFC after the last shutter event
// (negative where unknown), moving while a carrier takes camera and source elsewhere. A disc inside one of the faces of the
// same frame is not taken for the source.
func (r *ReferenceFinder) Update(img *radiometry.Image, at time.Time, sinceFFC time.Duration, faces []face.Face, moving bool) event.ReferenceSource {
	change := r.scene.next(img, at)
	ref := r.update(img, change, at, sinceFFC, faces, moving)
	if r.second == nil {
		return ref
	}
	return r.agree(ref, r.second.update(img, change, at, sinceFFC, faces, moving))
}

// agree takes two sources together. Either is enough while the other is hidden. Two that agree can't both have gone wrong:
// it is what is around them that has changed.
func (r *ReferenceFinder) agree(first, second event.ReferenceSource) event.ReferenceSource {
	switch {
	case !first.Found && second.Found && second.Problem == event.NoProblem:
		return second
	case !first.Found || !second.Found:
		return first
	}
	limit := 2 * math.Sqrt(sq(first.UncertaintyCelsius)+sq(second.UncertaintyCelsius)+sq(discsApart))
	if math.Abs(first.CorrectionCelsius-second.CorrectionCelsius) > limit {
		if first.Problem == event.NoProblem {
			first.Problem = event.ReferenceUnstable
		}
		first.Left = true
		return first
	}
	for _, f := range []*ReferenceFinder{r, r.second} {
		if f.usual.left && f.usual.judged && f.odd.IsZero() {
			f.usual.vouch()
		}
	}
	return first
}

func (r *ReferenceFinder) update(img *radiometry.Image, change change, at time.Time, sinceFFC time.Duration, faces []face.Face, moving bool) event.ReferenceSource {
	if r.first.IsZero() {
		r.first, r.last = at, at
	}
	if r.on.IsZero() {
		r.on = at
	}
	if r.began.IsZero() {
		r.began = at
	}
	elapsed := max(0, at.Sub(r.last))
	r.setBack(at)
	r.last = at
	if r.width != 0 && (r.width != img.Width || r.height != img.Height) { // no place in it is what it was
		r.Recalibrate()
		r.began = at
	}
	r.width, r.height = img.Width, img.Height
	if r.restored != nil && !img.Relative {
		r.resume(img, at)
	}
	if moving { // what is seen changes, and says nothing of camera and source
		change.jumped = false
		if !r.usual.left || r.usual.blind >= blindFor { // or the next place would make good what is wrong with it
			r.usual.forget()
		}
	}
	if change.stepped && !img.Relative { // or a hand or a film is before the lens: what the source was still holds
		r.stepped, r.started, r.usual.judged = at, false, false
	}
	if change.frozen || change.jumped && sinceFFC < 0 {
		r.shutter = at
	} else if sinceFFC >= 0 {
		r.shutter = at.Add(-sinceFFC)
	}
	if elapsed >= absent {
		r.usual.pass(elapsed)
	}

	ref := event.ReferenceSource{UncertaintyCelsius: r.config.CameraUncertaintyCelsius}
	switch {
	case img.Relative:
		ref.Problem = event.NotRadiometric
		return ref
	case at.Sub(r.on) < r.config.WarmUp:
		ref.Problem = event.WarmingUp
	case !r.stepped.IsZero() && at.Sub(r.stepped) < settleRange:
		ref.Problem = event.RangeChanged
	case !change.plausible:
		ref.Problem = event.NotRadiometric
	case moving:
		ref.Problem = event.CarrierMoving
	case !r.shutter.IsZero() && at.Sub(r.shutter) < r.config.FFCDeadTime:
		ref.Problem = event.ShutterClosed
	}
	if r.config.ReferenceCelsius == nil {
		return ref
	}
	ref.NominalCelsius, ref.Assumed = *r.config.ReferenceCelsius, r.config.ReferenceAssumed
	d, ok := r.follow(img, at, faces)
	if !ok {
		r.variance += sq(drift) * elapsed.Seconds()
		r.started = r.started && at.Sub(r.seen) < anchorMemory
		r.usual.judged = r.usual.judged && r.started
		r.usual.pass(elapsed)
		if ref.Problem == event.NoProblem {
			ref.Problem = event.ReferenceMissing
			ref.Left = r.confirmed && at.Sub(r.seen) >= anchorMemory
		}
		return ref
	}
	steady, jumped := r.filter(d, elapsed, at, change)
	same := r.same(d, elapsed, at, faces, steady, jumped, moving)
	ref.Found, ref.Left = true, r.usual.left && (r.confirmed || r.former != nil)
	ref.X, ref.Y, ref.Radius = d.x, d.y, d.radius
	ref.MeasuredCelsius = d.celsius
	ref.CorrectionCelsius = r.correction
	ref.UncertaintyCelsius = math.Sqrt(r.variance + sq(r.nominalUncertainty()) + sq(discBlur*d.contrast) + sq(d.lost/2))
	if !(steady && same) && ref.Problem == event.NoProblem {
		ref.Problem = event.ReferenceUnstable
	}
	return ref
}

// setBack takes what would be yet to come for as old as it was, where a clock was set back. Nothing then waits for it to get there.
func (r *ReferenceFinder) setBack(at time.Time) {
	by := r.last.Sub(at)
	for _, t := range []*time.Time{&r.on, &r.began, &r.shutter, &r.stepped, &r.seen, &r.since, &r.odd} {
		if by > 0 && t.After(at) {
			*t = t.Add(-by)
		}
	}
}

// nominalUncertainty is how well the temperature of the source is known.
func (r *ReferenceFinder) nominalUncertainty() float64 {
	if r.config.ReferenceAssumed {
		return math.Hypot(r.config.ReferenceUncertaintyCelsius, assumedUncertainty)
	}
	return r.config.ReferenceUncertaintyCelsius
}

// same reports whether the source is still what it was, and learns what that is.
func (r *ReferenceFinder) same(d disc, elapsed time.Duration, at time.Time, faces []face.Face, steady, jumped, moving bool) bool {
	if !r.proven || moving || !steady {
		return !r.usual.left && r.former == nil
	}
	shutter := at.Sub(r.shutter)
	if r.shutter.IsZero() {
		shutter = math.MaxInt64
	}
	power := at.Sub(r.on)
	r.usual.look(r.scene, d, faces)
	fits := r.errors.holds(r.correction, power, shutter, r.usual.allowance)
	if !r.usual.judge(r.scene, d, elapsed, jumped, shutter < rampTime, fits) {
		return false
	}
	if r.usual.trusted >= confirmFor {
		r.confirmed, r.former = true, nil
	}
	if r.confirmed && shutter >= rampTime {
		r.errors.at(power, shutter).take(r.correction, elapsed)
	}
	return true
}

// follow returns the source as it is in this picture. One that is confirmed is looked for nowhere else.
func (r *ReferenceFinder) follow(img *radiometry.Image, at time.Time, faces []face.Face) (disc, bool) {
	if !r.anchored {
		return r.acquire(img, at, faces)
	}
	d, ok := r.discs.fit(img, r.anchor.x, r.anchor.y, r.anchor.radius)
	hidden := at.Sub(r.seen) >= anchorMemory
	if ok && d.fair() && (!hidden || d.good()) && r.believable(d.celsius) && r.atAnchor(d) {
		r.seen, r.strays, r.hasPending = at, 0, false
		r.proven = r.proven || at.Sub(r.since) >= settleTime
		r.settle(d)
		return d, true
	}
	if !ok || d.good() {
		r.strays++
	}
	switch {
	case r.confirmed:
	case !r.proven && r.strays > 1:
		r.anchored = false
	case hidden || ok && r.strays > 2:
		return r.acquire(img, at, faces)
	}
	return disc{}, false
}

// acquire looks all over the picture. At the start a disc beyond doubt counts at once, later it has to stand still.
func (r *ReferenceFinder) acquire(img *radiometry.Image, at time.Time, faces []face.Face) (disc, bool) {
	d, ok := r.discs.search(img, faces, r.believable)
	if !ok {
		r.hasPending = false
		return disc{}, false
	}
	if !r.hasPending || apart(d, r.pending) > stillPixels(r.pending) {
		r.pending, r.hasPending, r.since = d, true, at
	}
	proven := at.Sub(r.since) >= settleTime
	atStart := at.Sub(r.began) <= startTime && d.beyondDoubt()
	if !proven && !atStart {
		return disc{}, false
	}
	r.anchorAt(d, proven, at)
	return d, true
}

func (r *ReferenceFinder) anchorAt(d disc, proven bool, at time.Time) {
	r.anchor, r.anchored, r.proven, r.seen, r.strays = d, true, proven, at, 0
	r.started, r.usual.judged = false, false
}

func (r *ReferenceFinder) believable(celsius float64) bool {
	return math.Abs(*r.config.ReferenceCelsius-celsius) <= r.config.MaxCorrectionCelsius
}

func apart(a, b disc) float64 { return math.Hypot(a.x-b.x, a.y-b.y) }

// stillPixels is how far the centre of a source that stands still may seem to move: on the recordings by 0.1 pixels,
// and somebody close behind it draws its edge by some more.
func stillPixels(d disc) float64 { return max(0.3, 0.05*d.radius) }

func (r *ReferenceFinder) atAnchor(d disc) bool {
	reach := stillPixels(r.anchor)
	if r.proven {
		reach *= 3
	}
	return apart(d, r.anchor) <= reach && math.Abs(d.radius-r.anchor.radius) <= 0.3*r.anchor.radius
}

// settle lets the anchor follow a mount that creeps with heat.
func (r *ReferenceFinder) settle(d disc) {
	const share = 0.02
	r.anchor.x += share * (d.x - r.anchor.x)
	r.anchor.y += share * (d.y - r.anchor.y)
	r.anchor.radius += share * (d.radius - r.anchor.radius)
}

// filter takes the disc's temperature into the correction (a Kalman filter of one state) and reports whether it can be
// trusted in this frame. A jump is followed at once when the whole picture made it, as after a shutter event; a disc
// that jumps alone was touched, lit or half covered, and once it has settled is said to have jumped.
func (r *ReferenceFinder) filter(d disc, elapsed time.Duration, at time.Time, change change) (steady, jumped bool) {
	measured := *r.config.ReferenceCelsius - d.celsius
	noise := sq(d.spread)/float64(d.pixels) + sq(0.005)
	if !r.started {
		r.correction, r.variance, r.started, r.odd = measured, noise, true, time.Time{}
		return true, false
	}
	r.variance += sq(drift) * elapsed.Seconds()
	off := measured - r.correction
	real := math.Abs(off) > jumpSigma*math.Sqrt(r.variance+noise)
	settled := !r.odd.IsZero() && at.Sub(r.odd) > settleTime
	switch {
	case real && (change.with(-off) || settled || at.Sub(r.shutter) < rampTime):
		r.correction, r.variance, r.odd = measured, noise, time.Time{}
		return true, settled
	case real && math.Abs(off) > oddStep:
		if r.odd.IsZero() {
			r.odd = at
		}
		return false, false
	}
	r.odd = time.Time{}
	gain := r.variance / (r.variance + noise)
	r.correction += gain * off
	r.variance *= 1 - gain
	return true, false
}

func sq(v float64) float64 { return v * v }

// sceneChange compares a coarse grid of pixels from frame to frame.
type sceneChange struct {
	before, now []float32
	width       int
	height      int
	earlier     []float32 // a grid of half a second to a second ago
	later       []float32 // the next of these
	laterAt     time.Time
	scratch     []float32
}

// change is what happened to the whole picture since the frame before.
type change struct {
	frozen bool // not one pixel changed: the camera repeats itself behind its shutter
	jumped bool // nearly all pixels moved the same way, as no person can make them
	// stepped is true where all temperatures are others, though the scene is the same: another range or gain.
	stepped   bool
	plausible bool // most of the picture has temperatures that a camera for people can see
	steps     []float32
}

const (
	gridPixels = 400
	jumpLeast  = 0.2 // °C; drift is below 0.02 °C a frame
	// A step of the range or gain moves the middle of the picture by stepLeast °C or more, steppedAlike of it by as much, give
	// or take stepSlack or, where it is steepStep or more, stepPart of it, and steppedMost of it the same way. People who come
	// near do not: they are warm and cold. On the recordings nothing moves the mean by more than 0.64 °C from frame to frame.
	stepLeast, steppedAlike, steppedMost = 2, 0.5, 0.7
	stepSlack, steepStep, stepPart       = 0.4, 20, 0.2
	// Or it stretches the picture by stretchLeast or more and leaves what is warm and cold in it where it was. Pictures as
	// alike as surelySame are stretched by 1.19 at most on the recordings; uneven is the least standard deviation that tells.
	stretchLeast, surelySame, unevenCelsius = 1.4, 0.95, 1.0
	// earlierAge is how far back pictures are compared, because a camera may get there in small steps.
	earlierAge = 500 * time.Millisecond
	// What a picture of people can't mostly be: counts in another unit. A cold store can be -30 °C.
	minSceneCelsius, maxSceneCelsius = -60, 150
)

func (s *sceneChange) next(img *radiometry.Image, at time.Time) change {
	stride := gridStride(img.Width, img.Height)
	s.before, s.now = s.now, s.before[:0]
	for y := stride / 2; y < img.Height; y += stride {
		for x := stride / 2; x < img.Width; x += stride {
			s.now = append(s.now, img.At(x, y))
		}
	}
	if len(s.before) != len(s.now) || s.width != img.Width {
		s.width, s.height = img.Width, img.Height
		s.earlier, s.later = s.earlier[:0], append(s.later[:0], s.now...)
		s.laterAt = at
		return change{plausible: plausible(s.now)}
	}
	c := change{frozen: slices.Equal(s.before, s.now), plausible: plausible(s.now)}
	c.stepped = !c.frozen && (s.stepped(s.before) || s.stepped(s.earlier))
	if age := at.Sub(s.laterAt); c.stepped || age < 0 || age >= earlierAge {
		s.earlier, s.later, s.laterAt = s.later, append(s.earlier[:0], s.now...), at
		if c.stepped {
			s.earlier = s.earlier[:0]
		}
	}
	for i, t := range s.now {
		s.before[i] = t - s.before[i]
	}
	c.steps = s.before
	c.jumped = c.share(jumpLeast) > 0.85 || c.share(-jumpLeast) > 0.85
	return c
}

func gridStride(width, height int) int {
	return max(1, int(math.Sqrt(float64(width*height)/gridPixels)))
}

// around adds the points of the grid, those nearest to a disc first, but none on its edge.
func (s *sceneChange) around(points []point, d disc) []point {
	pitch := gridStride(s.width, s.height)
	columns := (s.width - pitch/2 + pitch - 1) / pitch
	away := func(p point) float64 { return math.Hypot(float64(p.x)-d.x, float64(p.y)-d.y) }
	for i := range s.now {
		p := point{index: i, x: float32(pitch/2 + i%columns*pitch), y: float32(pitch/2 + i/columns*pitch)}
		if away(p) >= 2*d.radius {
			points = append(points, p)
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(away(a), away(b)) })
	return points
}

// stepped says whether the camera has gone to another range or gain since one picture, in which the scene was the same.
func (s *sceneChange) stepped(before []float32) bool {
	if len(before) != len(s.now) {
		return false
	}
	n := float64(len(before))
	var meanBefore, meanNow float64
	for i, t := range s.now {
		meanBefore += float64(before[i]) / n
		meanNow += float64(t) / n
	}
	if math.Abs(meanNow-meanBefore) >= stepLeast/2 && s.shifted(before) {
		return true
	}
	var both, varianceBefore, varianceNow float64
	for i, t := range s.now {
		a, b := float64(before[i])-meanBefore, float64(t)-meanNow
		both += a * b / n
		varianceBefore += a * a / n
		varianceNow += b * b / n
	}
	alike := both / math.Sqrt(varianceBefore*varianceNow+1e-9)
	stretch := both / max(varianceBefore, 1e-9)
	return alike >= surelySame && max(varianceBefore, varianceNow) >= sq(unevenCelsius) && max(stretch, 1/stretch) >= stretchLeast
}

// shifted says whether most of the picture has moved by the same step.
func (s *sceneChange) shifted(before []float32) bool {
	s.scratch = s.scratch[:0]
	for i, t := range s.now {
		s.scratch = append(s.scratch, t-before[i])
	}
	slices.Sort(s.scratch)
	n := len(s.scratch)
	step := s.scratch[n/2]
	if step < 0 { // downwards is the same
		for i := range s.scratch {
			s.scratch[i] = -s.scratch[i]
		}
		slices.Reverse(s.scratch)
		step = s.scratch[n/2]
	}
	slack := float32(stepSlack)
	if step >= steepStep {
		slack = stepPart * step
	}
	from, _ := slices.BinarySearch(s.scratch, step-slack)
	to, _ := slices.BinarySearch(s.scratch, step+slack)
	sameWay, _ := slices.BinarySearch(s.scratch, stepLeast/2)
	return step >= stepLeast && float64(to-from) >= steppedAlike*float64(n) && float64(n-sameWay) >= steppedMost*float64(n)
}

func plausible(grid []float32) bool {
	n := 0
	for _, t := range grid {
		if t >= minSceneCelsius && t <= maxSceneCelsius {
			n++
		}
	}
	return 2*n >= len(grid)
}

// share returns the part of the picture that moved at least this far, up or down by its sign.
func (c change) share(step float64) float64 {
	if len(c.steps) == 0 {
		return 0
	}
	n := 0
	for _, s := range c.steps {
		if step > 0 && float64(s) >= step || step < 0 && float64(s) <= step {
			n++
		}
	}
	return float64(n) / float64(len(c.steps))
}

// with reports whether most of the picture moved the same way as the disc. The lens shades: at a shutter event the top
// of a picture can move by a fifth of what its bottom does.
func (c change) with(step float64) bool { return c.share(step/5) > 0.6 }

package measure

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"thermogate/screening/face"
)

// A source is known again by what stands still around it: camera and shutter move both alike. On the recordings the picture
// near the source keeps its distance to it within 0.12 °C, from frame to frame, across shutter events and whoever walks by.
const (
	// usualSlack is how far that distance may go, °C. What is off is trusted again from usualBack of it on.
	usualSlack, usualBack = 0.17, 0.6
	// roomRate, °C/s, is how fast a room becomes warmer or colder, 1.2 °C an hour. Whatever goes faster is the source.
	roomRate = 0.02 / 60
	// hiddenSlack is what the distance may have gone by while the source was hidden, °C; absentSlack, while it was for longer
	// than hiddenLong, or the camera or the gate was switched off for long.
	hiddenSlack, absentSlack = 0.13, 3
	hiddenLong               = time.Hour
	// absent is how far apart two frames are between which nobody has looked.
	absent = 10 * time.Second
	// unevenStep, °C, is how far parts of a picture may be apart for rampTime after a shutter event: 0.62 on the recordings.
	unevenStep = 0.8
	// usualSettle is over what time the distance is smoothed, takeUp how fast what it may have gone by is taken up.
	usualSettle, takeUp = 2 * time.Second, 10 * time.Second
	// confirmFor is how long a source has to be steady until it stays what and where it is.
	confirmFor = time.Minute
	// What drifts before it was ever confirmed is a source that warms up. It is learnt anew once it has kept within
	// warmSlack for warmFor.
	warmSlack, warmFor = 0.1, 10 * time.Minute
	// One that comes back after long at another distance than before is used once it has kept within warmSlack for backFor: it
	// may just have been switched on, and warm up.
	backFor = 5 * time.Minute
	// blindFor is how long the picture may be too full of people to tell anything.
	blindFor = 2 * time.Minute
	// The distance is read on so many points, those nearest to the source that no known person hides, and fewPoints at least. It
	// is that of the densest third of them, which lie within dense of each other, °C, or they tell nothing. What is within
	// denser of where it was may lie denser still.
	nearPoints, fewPoints, densePart = 120, 45, 3
	dense, denser                    = 0.35, 0.12
	// Unless the source itself has jumped, the distance goes no further than stride from where it was, and by strideRate, °C/s,
	// while it could not be told. Whatever is further off is somebody's coat.
	stride, strideRate = 0.25, 0.03
	// learnFrames are averaged at every point. Until the source is confirmed, one that is then off from the others for oddFrames
	// is learnt anew: somebody walked by.
	learnFrames, oddFrames = 9, 18
	// A point that goes another way than the others is followed slowly: a chair was moved, the sun has come round.
	pointRate = 0.3 / 60 // °C/s for one that is 1 °C off
)

// usual is what a source is known again by. Its zero value knows nothing.
type usual struct {
	points []point // nearest to the source first
	hidden []bool  // of these, behind somebody in the newest picture

	trusted   time.Duration // how long the source was what it is
	off       float64       // how far the picture has come off what it was, °C
	judged    bool          // off holds a value
	left      bool          // the source is not what it was
	stepped   bool          // it jumped before it was confirmed
	blind     time.Duration // for how long the picture has told nothing
	unseen    time.Duration // for how long the source could not be compared
	allowance float64       // what off may be beside usualSlack, °C
	steady    time.Duration // for how long off has been near steadyAt, while the source is not what it was
	steadyAt  float64

	scratch []float32
}

// point of the grid of the picture.
type point struct {
	index   int
	x, y    float32 // pixels
	celsius float32 // it is usually so much warmer than the source
	frames  int     // averaged so far
	odd     int     // frames in a row that it was off from the others
}

// known says whether enough of the picture around the source is learnt.
func (u *usual) known() bool {
	n := 0
	for i := range u.points {
		if u.points[i].frames >= learnFrames {
			n++
		}
	}
	return n >= fewPoints
}

// forget leaves nothing to compare with.
func (u *usual) forget() { *u = usual{points: u.points[:0], hidden: u.hidden, scratch: u.scratch} }

// pass lets time go by in which the source could not be compared.
func (u *usual) pass(elapsed time.Duration) {
	u.unseen += elapsed
	most := hiddenSlack
	if elapsed >= absent || u.unseen >= hiddenLong {
		most = absentSlack
	}
	u.judged = u.judged && elapsed < absent
	u.allowance = max(u.allowance, min(u.allowance+roomRate*elapsed.Seconds(), most))
	u.left = u.left || u.allowance > hiddenSlack && u.known() // until it is seen to be what it was
}

// look finds the points that people hide.
func (u *usual) look(s *sceneChange, d disc, faces []face.Face) {
	if len(u.points) == 0 {
		u.points = s.around(u.points, d)
	}
	u.hidden = u.hidden[:0]
	for _, p := range u.points {
		u.hidden = append(u.hidden, slices.ContainsFunc(faces, func(f face.Face) bool { return hides(f, p.x, p.y) }))
	}
}

// hides says whether somebody with this face hides a point: with head and shoulders, and all below.
func hides(f face.Face, x, y float32) bool {
	return x >= f.X-0.4*f.W && x <= f.X+1.4*f.W && y >= f.Y-0.6*f.H && y <= f.Y+f.H ||
		x >= f.X-1.3*f.W && x <= f.X+2.3*f.W && y >= f.Y+0.7*f.H
}

// shift is how much farther above the source the picture is than it was, looked for within reach of where it was last;
// false where it is too full of other things. People come and go, and their clothes may lie closer together than the wall
// behind: what is dense enough where the picture was goes before.
func (u *usual) shift(s *sceneChange, d disc, reach float64) (float64, bool) {
	u.scratch = u.scratch[:0]
	for i := range u.points {
		if p := &u.points[i]; !u.hidden[i] && p.frames >= learnFrames && len(u.scratch) < nearPoints {
			u.scratch = append(u.scratch, s.now[p.index]-float32(d.celsius)-p.celsius)
		}
	}
	slices.Sort(u.scratch)
	if len(u.scratch) < fewPoints {
		return 0, false
	}
	n := len(u.scratch) / densePart
	nearest, found := math.Inf(1), false
	for i := range len(u.scratch) - n {
		low, high := u.scratch[i], u.scratch[i+n]
		if middle := float64(low+high) / 2; high-low <= dense && math.Abs(middle-u.off) <= min(reach, math.Abs(nearest-u.off)) {
			nearest, found = middle, true
		}
	}
	width, shift := float32(dense), nearest
	for i := range len(u.scratch) - n {
		low, high := u.scratch[i], u.scratch[i+n]
		if middle := float64(low+high) / 2; high-low <= width && math.Abs(middle-nearest) <= denser {
			width, shift = high-low, middle
		}
	}
	return shift, found
}

// judge compares the source with the picture around it. It says whether the source is what it was. Shaken is true where
// it has just jumped alone, uneven for a moment after a shutter event; fits says of the correction that it is a usual one.
func (u *usual) judge(s *sceneChange, d disc, elapsed time.Duration, shaken, uneven, fits bool) bool {
	if !u.known() {
		u.left = !fits
		u.follow(s, d, 0)
		return fits
	}
	reach := math.Inf(1)
	if u.judged && !shaken && !uneven {
		reach = stride + strideRate*u.blind.Seconds()
	}
	shift, ok := u.shift(s, d, reach)
	if !ok {
		u.pass(elapsed)
		u.blind += elapsed
		u.left = u.left || u.blind >= blindFor
		return !u.left
	}
	u.blind = 0
	if uneven && math.Abs(shift) <= unevenStep+u.allowance {
		u.judged = false // what is then left of it comes at once
		return !u.left && math.Abs(shift) <= usualSlack+u.allowance
	}
	if uneven || shaken || !u.judged {
		u.off, u.judged = shift, true
	} else {
		u.off += min(1, elapsed.Seconds()/usualSettle.Seconds()) * (shift - u.off)
	}
	limit := usualSlack + u.allowance
	if u.left {
		limit = usualBack*usualSlack + u.allowance
	}
	cold := u.left && u.allowance > hiddenSlack && math.Abs(u.off) > usualSlack && u.steady < backFor
	u.left = math.Abs(u.off) > limit || !fits || cold
	if u.left {
		u.stepped = u.stepped || shaken
		u.wait(elapsed)
		return false
	}
	u.trusted += elapsed
	u.unseen, u.steady = 0, 0
	u.take(elapsed)
	u.follow(s, d, elapsed)
	return true
}

// take lets the picture become what it usually is, as fast as a room changes.
func (u *usual) take(elapsed time.Duration) {
	taken := u.allowance * min(1, elapsed.Seconds()/takeUp.Seconds())
	u.allowance -= taken
	most := roomRate*elapsed.Seconds() + taken
	u.rebase(min(max(u.off, -most), most))
}

// rebase takes a part of what the picture is off for usual.
func (u *usual) rebase(step float64) {
	for i := range u.points {
		u.points[i].celsius += float32(step)
	}
	u.off -= step
}

// follow learns the points that are in view: each apart from what all of them are off by, so that no source that drifts
// is followed.
func (u *usual) follow(s *sceneChange, d disc, elapsed time.Duration) {
	slow := float32(pointRate * elapsed.Seconds())
	for i := range u.points {
		p := &u.points[i]
		if u.hidden[i] {
			continue
		}
		own := s.now[p.index] - float32(d.celsius+u.off) - p.celsius
		if p.odd++; own >= -dense && own <= dense || u.trusted >= confirmFor {
			p.odd = 0
		}
		switch {
		case p.frames < learnFrames:
			p.frames, p.odd = p.frames+1, 0
			p.celsius += own / float32(p.frames)
		case p.odd >= oddFrames:
			p.frames, p.odd = 0, 0
		default:
			p.celsius += slow * min(max(own, -1), 1)
		}
	}
}

// wait looks for a source that has warmed up by now.
func (u *usual) wait(elapsed time.Duration) {
	if math.Abs(u.off-u.steadyAt) > warmSlack {
		u.steadyAt, u.steady = u.off, 0
	}
	u.steady += elapsed
	if u.trusted < confirmFor && !u.stepped && u.steady >= warmFor {
		u.forget()
	}
}

// vouch takes the source for what it now is.
func (u *usual) vouch() {
	u.rebase(u.off)
	u.left, u.stepped, u.allowance = false, false, 0
}

// span is from where to where the correction went, and for how long it was seen to.
type span struct {
	LowCelsius  float64 `json:"low_celsius"`
	HighCelsius float64 `json:"high_celsius"`
	Seconds     float64 `json:"seconds"`
}

const (
	// A correction is no usual one that is further than spanMargin from all that were, °C, once these were seen for spanLong,
	// or spanShort where the picture can't tell, after the camera or the gate was off.
	spanMargin          = 0.5
	spanLong, spanShort = 8 * time.Hour, 10 * time.Minute
	spanRate            = 0.25 / 3600 // °C/s by which a long one still grows
)

// errorsOf is how the camera's error, the correction, was, by the time since power-on and since the shutter event.
type errorsOf [len(sincePower) * 2]span

var sincePower = [...]time.Duration{2 * time.Minute, 10 * time.Minute, 30 * time.Minute, math.MaxInt64}

// sinceShutter is how long a camera still settles after a shutter event.
const sinceShutter = 15 * time.Second

// at is the span of a time; a camera without a shutter event has settled.
func (e *errorsOf) at(power, shutter time.Duration) *span {
	i := 2 * slices.IndexFunc(sincePower[:], func(limit time.Duration) bool { return power < limit })
	if shutter < sinceShutter {
		i++
	}
	return &e[max(i, 0)]
}

// holds says whether a correction is a usual one at a time, or at any where little is known of that one.
func (e *errorsOf) holds(celsius float64, power, shutter time.Duration, allowance float64) bool {
	enough := spanLong
	if allowance > hiddenSlack {
		enough = spanShort
	}
	s := *e.at(power, shutter)
	if s.Seconds < enough.Seconds() {
		s = span{LowCelsius: math.Inf(1), HighCelsius: math.Inf(-1)}
		for _, other := range e {
			if other.Seconds > 0 {
				s.LowCelsius, s.HighCelsius = min(s.LowCelsius, other.LowCelsius), max(s.HighCelsius, other.HighCelsius)
				s.Seconds += other.Seconds
			}
		}
	}
	return s.Seconds < enough.Seconds() || celsius >= s.LowCelsius-spanMargin && celsius <= s.HighCelsius+spanMargin
}

// take adds a correction that was trusted.
func (s *span) take(celsius float64, elapsed time.Duration) {
	switch {
	case s.Seconds == 0:
		s.LowCelsius, s.HighCelsius = celsius, celsius
	case s.Seconds < spanLong.Seconds():
		s.LowCelsius, s.HighCelsius = min(s.LowCelsius, celsius), max(s.HighCelsius, celsius)
	default:
		grow := spanRate * elapsed.Seconds()
		s.LowCelsius, s.HighCelsius = max(min(s.LowCelsius, celsius), s.LowCelsius-grow), min(max(s.HighCelsius, celsius), s.HighCelsius+grow)
	}
	s.Seconds += elapsed.Seconds()
}

// Known is what a gate keeps of its reference source over a restart.
type Known struct {
	At             time.Time `json:"at"`
	NominalCelsius float64   `json:"nominal_celsius"`
	// Width and Height are those of the picture, X, Y and Radius those of the source in it, pixels.
	Width  int     `json:"width"`
	Height int     `json:"height"`
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Radius float64 `json:"radius"`
	// BackgroundCelsius is by how much points of the picture are warmer than the source, nil where that was not seen.
	BackgroundCelsius []*float64 `json:"background_celsius"`
	// AllowanceCelsius is what the background may have gone by while the source was not seen, up to At.
	AllowanceCelsius float64 `json:"allowance_celsius,omitempty"`
	// Corrections are those that were usual.
	Corrections errorsOf `json:"corrections"`
}

// validate refuses what can't have been saved.
func (k *Known) validate() error {
	usable := func(v float64) bool { return math.Abs(v) < 1000 }
	switch {
	case k.At.IsZero() || k.Width <= 0 || k.Height <= 0 || k.Width > maxSide || k.Height > maxSide:
		return fmt.Errorf("it is of %v, of pictures of %d × %d", k.At, k.Width, k.Height)
	case !(k.X >= 0 && k.X < float64(k.Width) && k.Y >= 0 && k.Y < float64(k.Height) && k.Radius > 0 && k.Radius < float64(k.Width)):
		return fmt.Errorf("a source at %v, %v with a radius of %v", k.X, k.Y, k.Radius)
	case len(k.BackgroundCelsius) == 0 || slices.ContainsFunc(k.BackgroundCelsius, func(v *float64) bool { return v != nil && !usable(*v) }):
		return errors.New("the background is no temperatures")
	}
	if !(k.AllowanceCelsius >= 0 && k.AllowanceCelsius <= absentSlack) {
		return fmt.Errorf("a background that may have changed by %v °C", k.AllowanceCelsius)
	}
	for _, s := range k.Corrections {
		if !(usable(s.LowCelsius) && usable(s.HighCelsius) && s.LowCelsius <= s.HighCelsius && s.Seconds >= 0 && s.Seconds <= math.MaxUint32) {
			return fmt.Errorf("a correction from %v to %v °C", s.LowCelsius, s.HighCelsius)
		}
	}
	return nil
}

// maxSide is that of a picture, in pixels.
const maxSide = 1 << 14

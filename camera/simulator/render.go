package simulator

import (
	"math"
	"math/rand/v2"
)

// renderer draws the scene in °C on a fine raster and looks at it through the lens and the sensor's pixels.
type renderer struct {
	width, height int // of the sensor
	fine          int // samples to a pixel, each way
	focal         float64
	scenario      *Scenario

	cols, rows int // of the fine raster
	margin     sight
	background []float64 // with the margin on each side
	scene      []float64
	half       []float64 // scene after the pass down the columns
	kernel     []float64
	optical    []float64 // what falls on the pixels
	box        refBox
	drawn      emptyScene // what optical holds
}

// emptyScene tells pictures without people apart.
type emptyScene struct {
	empty                  bool
	referenceCelsius, x, y float64
	sight                  sight
}

// sight is how far a carrier has turned the camera from where it looked at the beginning, to the right and down, in samples.
type sight struct{ x, y float64 }

func newRenderer(s *Scenario) *renderer {
	c := s.Camera
	r := &renderer{width: c.Width, height: c.Height, scenario: s, fine: 3}
	if c.Width*c.Height > 50_000 {
		r.fine = 2
	}
	r.focal = float64(max(c.Width, c.Height)) / 2 / math.Tan(radians(c.FieldOfViewDegrees)/2) * float64(r.fine)
	r.cols, r.rows = c.Width*r.fine, c.Height*r.fine
	r.margin = r.widest()
	r.background = make([]float64, (r.cols+2*int(r.margin.x))*(r.rows+2*int(r.margin.y)))
	r.scene = make([]float64, r.cols*r.rows)
	r.half = make([]float64, r.cols*c.Height)
	r.optical = make([]float64, c.Width*c.Height)
	r.kernel = pointSpread(c.BlurPixels, r.fine)
	r.paintBackground()
	r.box = newRefBox(r)
	return r
}

// pointSpread is a Gaussian lens over a square pixel that is sensitive all over, sampled about a pixel's centre.
func pointSpread(sigmaPixels float64, fine int) []float64 {
	sigma := max(sigmaPixels, 1e-3) * math.Sqrt2
	reach := int(math.Ceil((0.5 + 2.5*sigmaPixels) * float64(fine)))
	n := 2*reach + fine%2
	kernel := make([]float64, n)
	sum := 0.0
	for i := range kernel {
		x := (float64(i) - float64(n-1)/2) / float64(fine)
		kernel[i] = math.Erf((x+0.5)/sigma) - math.Erf((x-0.5)/sigma)
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	return kernel
}

// view is half the width of the view at a distance, in metres.
func (r *renderer) view(distance float64) float64 {
	return distance * float64(r.cols) / 2 / r.focal
}

// widest is how far the camera ever looks beyond where it began, in whole samples.
func (r *renderer) widest() sight {
	c := &r.scenario.Camera
	pan := 0.0
	for _, p := range c.Pans {
		pan = max(pan, math.Abs(p.Degrees))
	}
	if !c.OnCarrier() {
		return sight{}
	}
	return sight{math.Ceil(r.focal*radians(pan+c.SwayDegrees)) + 1, math.Ceil(r.focal*radians(c.SwayDegrees)/2) + 1}
}

// sightAt is where the camera looks at a time. A turn moves the whole picture, as if it were painted on a cylinder.
func (r *renderer) sightAt(t float64) sight {
	c := &r.scenario.Camera
	pan := 0.0
	for _, p := range c.Pans {
		pan = mix(pan, p.Degrees, smooth((t-p.At.Seconds())/p.Over.Seconds()))
	}
	phase := 2 * math.Pi * t / c.SwayPeriod.Seconds()
	return sight{
		r.focal * radians(pan+c.SwayDegrees*math.Sin(phase)),
		r.focal * radians(c.SwayDegrees/2*math.Sin(1.37*phase)),
	}
}

// figure is a person placed in the picture.
type figure struct {
	look       *look
	pose       pose
	scale      float64 // samples a metre
	x, y       float64 // of the point between the eyes, samples
	sinY, cosY float64
	sinP, cosP float64
	sinR, cosR float64
	cup        *float64
}

func (r *renderer) place(l *look, p pose, cup *float64, s sight) figure {
	f := figure{look: l, pose: p, scale: r.focal / p.distance, cup: cup}
	f.x = float64(r.cols)/2 + p.side*f.scale - s.x
	f.y = float64(r.rows)/2 - (p.up-r.scenario.Camera.HeightMetres)*f.scale - s.y
	f.sinY, f.cosY = math.Sincos(p.yaw)
	f.sinP, f.cosP = math.Sincos(p.pitch)
	f.sinR, f.cosR = math.Sincos(p.roll)
	return f
}

// project gives the sample position of a point of the head, and how far it is to the front.
func (f *figure) project(p point3) (x, y, z float64) {
	xs := p.x*f.cosY + p.z*f.sinY
	z = -p.x*f.sinY + p.z*f.cosY
	ys := p.y*f.cosP + (z-f.faceDepth())*f.sinP
	return f.x + f.scale*(xs*f.cosR-ys*f.sinR), f.y + f.scale*(xs*f.sinR+ys*f.cosR), z
}

// faceDepth is where the nod turns about: pictures are placed by the eyes, so a nod leaves them where they are.
func (f *figure) faceDepth() float64 { return 0.095 * max(f.cosY, 0) }

// local is the point of the picture in metres from between the eyes, upright with the head.
func (f *figure) local(px, py float64) (xs, ys float64) {
	dx, dy := (px-f.x)/f.scale, (py-f.y)/f.scale
	return dx*f.cosR + dy*f.sinR, -dx*f.sinR + dy*f.cosR
}

// render draws the people, farthest first, and fills optical.
func (r *renderer) render(figures []figure, referenceCelsius float64, s sight) {
	if len(figures) == 0 && r.drawn == (emptyScene{true, referenceCelsius, r.box.x, r.box.y, s}) {
		return // nothing has changed
	}
	r.drawn = emptyScene{len(figures) == 0, referenceCelsius, r.box.x, r.box.y, s}
	r.drawBackground(s)
	for i := range figures {
		r.drawPerson(&figures[i])
	}
	r.drawReference(referenceCelsius)
	r.image()
}

// drawBackground draws what of the background the camera looks at.
func (r *renderer) drawBackground(s sight) {
	if r.margin == (sight{}) {
		copy(r.scene, r.background)
		return
	}
	x, y := r.margin.x+s.x, r.margin.y+s.y
	i, j := int(x), int(y)
	fx, fy := x-float64(i), y-float64(j)
	wide := r.cols + 2*int(r.margin.x)
	for row := range r.rows {
		upper := r.background[(j+row)*wide+i:]
		lower := upper[wide:]
		out := r.scene[row*r.cols : (row+1)*r.cols]
		for k := range out {
			out[k] = mix(mix(upper[k], upper[k+1], fx), mix(lower[k], lower[k+1], fx), fy)
		}
	}
}

// span calls draw for every row of the rectangle with its samples in the picture; px is the position of the first.
func (r *renderer) span(x0, y0, x1, y1 float64, draw func(row []float64, px, py float64)) {
	i0, i1 := max(0, int(math.Floor(x0))), min(r.cols, int(math.Ceil(x1)))
	j0, j1 := max(0, int(math.Floor(y0))), min(r.rows, int(math.Ceil(y1)))
	if i0 >= i1 {
		return
	}
	for j := j0; j < j1; j++ {
		draw(r.scene[j*r.cols+i0:j*r.cols+i1], float64(i0)+0.5, float64(j)+0.5)
	}
}

// cover lays something of a temperature over the scene, as thick as weight (0 to 1) says at a position relative to
// its centre in units of its half width and height.
func (r *renderer) cover(x, y, wide, tall, celsius float64, weight func(u, v float64) float64) {
	r.span(x-1.2*wide, y-1.2*tall, x+1.2*wide, y+1.2*tall, func(row []float64, px, py float64) {
		for i := range row {
			w := weight((px+float64(i)-x)/wide, (py-y)/tall)
			row[i] = mix(row[i], celsius, w)
		}
	})
}

// oval is a weight for cover: an ellipse with a soft rim.
func oval(u, v float64) float64 { return smooth((1.1 - u*u - v*v) / 0.35) }

// block is a weight for cover: a rectangle with round corners and a soft rim.
func block(u, v float64) float64 {
	return smooth((1.1 - square(square(u)) - square(square(v))) / 0.4)
}

func (r *renderer) drawPerson(f *figure) {
	if f.look.hair == long {
		r.drawLongHair(f)
	}
	r.drawTorso(f)
	r.drawEar(f, -1, false)
	r.drawEar(f, 1, false)
	r.drawHead(f)
	r.drawEar(f, -1, true)
	r.drawEar(f, 1, true)
	if f.cosY > -0.1 {
		r.drawNose(f)
	}
	if f.look.glasses && f.cosY > 0.2 {
		r.drawGlasses(f)
	}
	if f.look.hat && f.look.cap && f.cosY > 0.2 {
		r.drawBrim(f)
	}
	if f.cup != nil {
		r.drawCup(f)
	}
}

func (r *renderer) drawHead(f *figure) {
	l := f.look
	reach := (0.115 + l.worn()) * f.scale
	up := (l.headTop() - 0.02) * f.scale
	down := (l.headBottom() + 0.02) * f.scale
	r.span(f.x-reach, f.y+up, f.x+reach, f.y+down, func(row []float64, px, py float64) {
		for i := range row {
			if t, ok := f.headAt(px+float64(i), py); ok {
				row[i] = t
			}
		}
	})
}

// headAt is the temperature of the head where the line of sight meets it.
func (f *figure) headAt(px, py float64) (celsius float64, hit bool) {
	l := f.look
	xs, ys := f.local(px, py)
	y, z := ys, 0.08
	var sin, cos, cosq float64
	// The height on the head depends on the depth there, which depends on the height: two rounds are near enough.
	for range 2 {
		y = (ys - (z-f.faceDepth())*f.sinP) / f.cosP
		a, b := l.shell(y)
		a2, b2 := square(a*f.cosY), square(b*f.sinY)
		radius := a2 + b2
		if xs*xs >= radius {
			return 0, false
		}
		radius = math.Sqrt(radius)
		q := xs / radius
		cosq = math.Sqrt(1 - q*q)
		ca, sa := a*f.cosY/radius, b*f.sinY/radius
		sin, cos = q*ca-cosq*sa, cosq*ca+q*sa // of the longitude
		z = -a*sin*f.sinY + b*cos*f.cosY
	}
	if y > l.chin() {
		return 0, false
	}
	longitude := math.Atan2(sin, cos)
	v := (y - l.headTop()) / (l.headBottom() - l.headTop()) * headRows
	u := (longitude/math.Pi + 1) / 2 * headCols
	t := l.head.at(u, v)
	if l.breathing {
		t = mix(t, l.warm.at(u, v), l.exhaled)
	}
	return mix(t, l.air, grazing(cosq)), true
}

// grazing is the share of the surroundings in what comes from a surface seen at an angle: emissivity falls steeply
// beyond 60°.
func grazing(cosine float64) float64 {
	k := 1 - cosine
	return 0.45 * k * k * k
}

func (r *renderer) drawEar(f *figure, side float64, near bool) {
	l := f.look
	if l.hair == long {
		return
	}
	a, _ := l.section(0.01, 0)
	x, y, z := f.project(point3{side * (a + 0.001), 0.012, -0.008})
	if near != (z > 0.02) {
		return
	}
	wide := (earOut*math.Abs(f.cosY) + 0.017*math.Abs(f.sinY)) * f.scale
	r.cover(x, y, wide, 0.031*f.scale, l.skin-l.gain()*l.ear, oval)
}

func (r *renderer) drawNose(f *figure) {
	l := f.look
	if l.mask {
		return
	}
	const bridge = -0.002
	tip := l.noseTip()
	cold := l.skin - l.gain()*l.nose
	warm := l.skin - l.gain()*(0.55*l.forehead+0.25*l.nose)
	reach := 0.14 * f.scale
	r.span(f.x-reach, f.y-reach/4, f.x+reach, f.y+0.09*f.scale, func(row []float64, px, py float64) {
		for i := range row {
			xs, ys := f.local(px+float64(i), py)
			v := (ys - bridge) / (tip - bridge)
			if v < 0 || v > 1.25 {
				continue
			}
			wide := 0.006 + 0.011*v*v
			if v > 1 {
				wide *= math.Sqrt(max(0, 1-square((v-1)/0.25)))
			}
			_, b := l.shell(max(ys, 0.03))
			axis := (b + noseOut*min(v, 1) - wide*math.Abs(f.sinY)) * f.sinY
			w := smooth((wide - math.Abs(xs-axis)) / 0.006)
			if w > 0 {
				w *= smooth(v/0.3) * smooth((1.25-v)/0.1)
				row[i] = mix(row[i], mix(warm, cold, smooth(v/0.9)), w)
			}
		}
	})
}

func (r *renderer) drawGlasses(f *figure) {
	l := f.look
	cold := l.through(0.16, l.skin)
	_, b := l.section(0, 0)
	for _, centre := range []float64{-0.033, 0.033} {
		x, y, _ := f.project(point3{centre, 0.004, b + 0.012})
		r.cover(x, y, 0.028*f.scale*f.cosY, 0.020*f.scale, cold, block)
	}
	x, y, _ := f.project(point3{0, -0.004, b + 0.012})
	r.cover(x, y, 0.012*f.scale*f.cosY, 0.004*f.scale, cold, block)
}

func (r *renderer) drawBrim(f *figure) {
	l := f.look
	x, y, _ := f.project(point3{0, l.hairline() + 0.012, 0.098 + 0.05})
	r.cover(x, y, 0.078*f.scale, 0.017*f.scale, l.through(0.2, l.skin), oval)
}

// bodyHalf is half the width of neck, trunk and legs at a height below the chin.
func bodyHalf(y float64) float64 {
	const neck = 0.058
	switch {
	case y < -0.005:
		return neck
	case y < 0.08:
		k := (y + 0.005) / 0.085
		return neck + 0.122*k*(0.45+0.55*k)
	case y < 0.14:
		k := (y - 0.08) / 0.06
		return 0.18 + 0.045*math.Sqrt(k*(2-k))
	case y < 0.62:
		return 0.225 + 0.02*smooth((y-0.14)/0.3)
	default:
		return 0.245 - 0.09*smooth((y-0.62)/0.15)
	}
}

func (r *renderer) drawTorso(f *figure) {
	l := f.look
	turn := math.Sqrt(square(f.cosY) + square(0.55*f.sinY))
	// The trunk follows the head, but does not nod or tilt with it.
	x0 := f.x + 0.02*f.sinY*f.scale
	y0 := f.y + l.chin()*f.scale
	const rowsPerMetre = torsoRows / (torsoBottom - torsoTop)
	r.span(x0-torsoHalf*f.scale, y0+torsoTop*f.scale, x0+torsoHalf*f.scale, y0+torsoBottom*f.scale, func(row []float64, px, py float64) {
		y := (py - y0) / f.scale
		half := bodyHalf(y) * l.build
		narrow := 1 / (half * mix(1, turn, smooth((y+0.02)/0.08)) * f.scale)
		v := (y - torsoTop) * rowsPerMetre
		for i := range row {
			q := (px + float64(i) - x0) * narrow
			if q*q >= 1 || y > 0.8 && math.Abs(q) < 0.12 {
				continue
			}
			t := l.torso.at((q*half/torsoHalf+1)/2*torsoCols, v)
			row[i] = mix(t, l.air, grazing(math.Sqrt(1-q*q)))
		}
	})
}

// drawLongHair draws what hangs down behind the face.
func (r *renderer) drawLongHair(f *figure) {
	l := f.look
	noise := mottling(l.texture + 2)
	top, bottom := l.crown(), l.chin()+0.09
	reach := 0.13 * f.scale
	r.span(f.x-reach, f.y+top*f.scale, f.x+reach, f.y+bottom*f.scale, func(row []float64, px, py float64) {
		y := (py - f.y) / f.scale
		half := 0.09 * math.Sqrt(1-square(max(0, 1-(y-top)/0.1)))
		halves := [2]float64{half + 0.012*noise.at(y*12, 3), half + 0.012*noise.at(y*12, 8)}
		warmth := l.hairCover * 0.6 * (1 + 0.2*noise.at(y*30, 1))
		tip := smooth((bottom - y) / 0.08)
		for i := range row {
			x := (px + float64(i) - f.x) / f.scale
			side := 0
			if x > 0 {
				side = 1
			}
			edge := smooth((halves[side]-math.Abs(x))/0.025) * tip
			if edge > 0 {
				row[i] = mix(row[i], l.through(warmth, l.skin-1), edge)
			}
		}
	})
}

func (r *renderer) drawCup(f *figure) {
	l := f.look
	x := f.x - 0.10*f.scale
	y := f.y + (l.chin()+0.24)*f.scale
	wide, tall := 0.04*f.scale, 0.05*f.scale
	r.cover(x, y, wide, tall, *f.cup, block)
	r.cover(x-0.5*wide, y+0.4*tall, 1.1*wide, 0.45*tall, l.skin-2.5*l.gain(), oval)
}

// paintBackground draws a wall with a door frame, panels and a lamp, all a little off the ambient temperature.
func (r *renderer) paintBackground() {
	s := r.scenario
	g := rand.New(rand.NewPCG(s.Seed, 1<<40))
	noise := mottling(g.Uint64())
	w, h := float64(r.cols), float64(r.rows)
	door := w * (0.05 + 0.25*g.Float64())
	doorWide := w * (0.4 + 0.2*g.Float64())
	doorTop := h * (0.1 + 0.1*g.Float64())
	inside := -0.2 - 0.6*g.Float64()
	panel := h * (0.5 + 0.2*g.Float64())
	slope := 0.8 * normal(g)
	left, above := int(r.margin.x), int(r.margin.y)
	wide, tall := r.cols+2*left, r.rows+2*above
	for j := range tall {
		for i := range wide {
			x, y := float64(i-left), float64(j-above)
			t := s.AmbientCelsius + slope*(x/w-0.5) - 0.6*(y/h-0.5)
			t += 0.25*noise.at(x/w*3, y/h*4) + 0.1*noise.at(x/w*15, y/h*20)
			within := smooth((min(x-door, door+doorWide-x, y-doorTop))/(0.006*w) + 0.5)
			frame := smooth((min(x-door, door+doorWide-x, y-doorTop)+0.03*w)/(0.006*w) + 0.5)
			t += 0.5*frame + (inside-0.5)*within
			t -= 0.3 * within * smooth((y-panel)/(0.01*h))
			t += 0.4 * math.Exp(-square((x-w*0.93)/(0.012*w)))
			if l := s.Lamp; l != nil {
				q := square((x-l.X*w)/(0.035*w)) + square((y-l.Y*h)/(0.06*h))
				t = mix(t, l.Celsius, smooth((1.3-q)/0.6))
				t += 0.03 * (l.Celsius - t) * math.Exp(-q/8)
			}
			r.background[j*wide+i] = t
		}
	}
}

// refBox is the reference disc on its box, in samples. Each sample of the box is base plus share of the disc's
// temperature.
type refBox struct {
	x, y, radius             float64
	left, top, right, bottom float64
	base, share              []float64
}

func newRefBox(r *renderer) refBox {
	ref := &r.scenario.Reference
	scale := r.focal / ref.DistanceMetres
	b := refBox{x: ref.X * float64(r.cols), y: ref.Y * float64(r.rows), radius: ref.RadiusMillimetres / 1000 * scale}
	unit := b.radius / 6.2 // the proportions of the boxes in the gate recordings, where the disc's radius is 6.2 pixels
	b.left, b.right = b.x-18*unit, b.x+18*unit
	b.top, b.bottom = b.y-42*unit, b.y+13*unit
	air := r.scenario.AmbientCelsius
	r.span(b.left, b.top, b.right, b.bottom, func(row []float64, px, py float64) {
		for i := range row {
			x := px + float64(i)
			rim := min(x-b.left, b.right-x, py-b.top, b.bottom-py) / unit
			t := air + 0.4
			if rim > 3 {
				t += 0.8 + 1.6*bump(x-b.x, py-b.y+24*unit, 9*unit, 12*unit)
			}
			d := math.Hypot(x-b.x, py-b.y) / b.radius
			glow := 0.06 * math.Exp(-square(d/1.8))
			disc := smooth((1-d)/0.3 + 0.5)
			b.base = append(b.base, mix(t-glow*air, 0, disc))
			b.share = append(b.share, mix(glow, 1, disc))
		}
	})
	return b
}

func (r *renderer) drawReference(celsius float64) {
	if !r.scenario.Reference.Present {
		return
	}
	b := &r.box
	k := 0
	r.span(b.left, b.top, b.right, b.bottom, func(row []float64, _, _ float64) {
		for i := range row {
			row[i] = b.base[k] + b.share[k]*celsius
			k++
		}
	})
}

// image throws the scene through the lens onto the pixels.
func (r *renderer) image() {
	n := len(r.kernel)
	before := (n - r.fine) / 2
	for j := range r.height {
		out := r.half[j*r.cols : (j+1)*r.cols]
		clear(out)
		for k, w := range r.kernel {
			row := min(max(j*r.fine-before+k, 0), r.rows-1)
			for i, v := range r.scene[row*r.cols : (row+1)*r.cols] {
				out[i] += w * v
			}
		}
	}
	for j := range r.height {
		row := r.half[j*r.cols : (j+1)*r.cols]
		out := r.optical[j*r.width : (j+1)*r.width]
		for i := range out {
			first := i*r.fine - before
			sum := 0.0
			if first >= 0 && first+n <= r.cols {
				for k, v := range row[first : first+n] {
					sum += r.kernel[k] * v
				}
			} else {
				for k, w := range r.kernel {
					sum += w * row[min(max(first+k, 0), r.cols-1)]
				}
			}
			out[i] = sum
		}
	}
}

package measure

import (
	"math"
	"slices"

	"thermogate/camera/radiometry"
	"thermogate/screening/face"
)

// disc is a round spot hotter than what is around it.
type disc struct {
	x, y, radius float64
	// celsius is the robust mean of its inside, spread the standard deviation there and pixels their number.
	celsius, spread float64
	pixels          int
	// contrast is how much hotter the inside is than the ring around it, lost what of it was lost to blur and is added again.
	contrast, lost float64
	// rays is the part of the rays from the centre, as far as they lie in the picture, that meet an edge on the circle;
	// visible the part that lies in the picture; roughness the scatter of those edges around the circle, over the radius.
	rays, visible, roughness float64
}

const (
	rayCount = 32
	// plateau is the part of the radius whose pixels are averaged. The rest is the size-of-source margin: the blur of
	// optics and pixels reaches about two pixels inwards on the Lepton recordings (radius 6).
	plateau = 0.5
	// leastRadius is that of the smallest disc that is looked for, in pixels of the picture made smaller.
	leastRadius = 2.5
	// Where on a ray the surroundings are read, in radii.
	ringFrom, ringTo = 1.4, 1.9
	// A ray has to reach past the disc by edgeRoom, in radii, and edgePixels, where the picture ends before ringFrom: the blur of
	// a small disc reaches further.
	edgeRoom, edgePixels = 0.2, 3
	// sameSource, °C, is how far two discs may be apart for it not to matter which of them is the source.
	sameSource = 0.3
)

// discFinder finds and refines discs. It keeps its memory from call to call.
type discFinder struct {
	minRadius, maxRadius float64 // parts of the shorter side
	area                 *Area

	small      radiometry.Image // picture averaged down to about 120 pixels
	votes      [][]float32      // one plane a radius, cells of votePitch pixels
	candidates []vote
	certain    []disc // of these
	inside     []float32
	edges      [rayCount]float64
	cos, sin   [rayCount]float64
}

type vote struct {
	x, y, radius, weight float64
}

func newDiscFinder(c Config) *discFinder {
	d := &discFinder{minRadius: c.ReferenceMinRadius, maxRadius: c.ReferenceMaxRadius, area: c.ReferenceArea}
	for i := range rayCount {
		d.sin[i], d.cos[i] = math.Sincos(2 * math.Pi * float64(i) / rayCount)
	}
	return d
}

// beyondDoubt reports whether one picture is enough to know a disc. On the recordings all of the reference's are below
// 0.063 in roughness and 0.045 in spread; of 650 other round spots, heads and foreheads mostly, none is on all counts.
func (d *disc) beyondDoubt() bool {
	return d.good() && d.rays >= 0.95 && d.roughness <= 0.08 && d.contrast >= 2 && d.spread <= 0.055*d.contrast
}

// good reports whether the spot is round and even enough to be a disc, if it also stands still.
func (d *disc) good() bool {
	return d.rays >= 0.9 && d.visible >= 0.6 && d.roughness <= d.roughest() && d.contrast >= 1.5 && d.spread <= 0.07*d.contrast
}

// roughest is the most that the edge of a disc scatters, over its radius. On the recordings it is 0.4 pixels. Hands and sleeves
// that the border of a large picture cuts leave a round end in it, so a disc that is cut there has to be as round as that.
func (d *disc) roughest() float64 {
	const most = 0.12
	if d.visible < 1 {
		return min(0.4/d.radius, most)
	}
	return min(max(0.08, 0.3/d.radius), most)
}

// fair reports whether a spot known to be the reference is still there, perhaps with somebody close behind it.
func (d *disc) fair() bool {
	return d.rays >= 0.6 && d.visible >= 0.5 && d.roughness <= 0.2 && d.contrast >= 0.6 && d.spread <= 0.15*d.contrast
}

// search returns the best disc of the picture that no face holds. Where another one, of another temperature, is a disc beyond doubt
// as well, either may be the source, and none is returned.
func (f *discFinder) search(img *radiometry.Image, faces []face.Face, believable func(celsius float64) bool) (disc, bool) {
	scale := searchScale(min(img.Width, img.Height))
	small := f.reduce(img, scale)
	f.vote(small)
	var best disc
	found := false
	f.certain = f.certain[:0]
	for _, c := range f.candidates {
		s := float64(scale)
		d, ok := f.fit(img, (c.x+0.5)*s-0.5, (c.y+0.5)*s-0.5, c.radius*s)
		if !ok || !d.good() || !believable(d.celsius) || !f.inArea(d, img) || inFace(d, faces) {
			continue
		}
		if !found || d.quality() > best.quality() {
			best, found = d, true
		}
		if d.beyondDoubt() {
			f.certain = append(f.certain, d)
		}
	}
	return best, found && !slices.ContainsFunc(f.certain, func(d disc) bool {
		return apart(d, best) > best.radius && math.Abs(d.celsius-best.celsius) > sameSource
	})
}

// searchScale is by how much a picture is made smaller to look for discs in it.
func searchScale(shorter int) int { return max(1, int(math.Round(float64(shorter)/120))) }

func (d *disc) quality() float64 {
	return d.rays - 2*d.roughness - 4*d.spread/d.contrast
}

func (f *discFinder) inArea(d disc, img *radiometry.Image) bool {
	if f.area == nil {
		return true
	}
	x, y := d.x/float64(img.Width), d.y/float64(img.Height)
	return x >= f.area.Left && x <= f.area.Right && y >= f.area.Top && y <= f.area.Bottom
}

func inFace(d disc, faces []face.Face) bool {
	for _, f := range faces {
		if d.x >= float64(f.X) && d.x <= float64(f.X+f.W) && d.y >= float64(f.Y) && d.y <= float64(f.Y+f.H) {
			return true
		}
	}
	return false
}

// reduce averages blocks of scale by scale pixels.
func (f *discFinder) reduce(img *radiometry.Image, scale int) *radiometry.Image {
	if scale == 1 {
		return img
	}
	w, h := img.Width/scale, img.Height/scale
	f.small.Width, f.small.Height = w, h
	f.small.Celsius = slices.Grow(f.small.Celsius[:0], w*h)[:w*h]
	for y := range h {
		for x := range w {
			var sum float32
			for j := range scale {
				row := img.Celsius[(y*scale+j)*img.Width+x*scale:]
				for i := range scale {
					sum += row[i]
				}
			}
			f.small.Celsius[y*w+x] = sum / float32(scale*scale)
		}
	}
	return &f.small
}

const (
	votePitch    = 2
	minGradient  = 0.25 // °C a pixel: an edge of 1.5 °C over a few pixels of blur
	maxCandidate = 12
)

// vote fills candidates with the likeliest centres: every edge pixel votes, for each radius, for the point that far up
// its gradient (radial symmetry, Loy and Zelinsky 2003).
func (f *discFinder) vote(img *radiometry.Image) {
	w, h := img.Width, img.Height
	short := float64(min(w, h))
	low, high := max(leastRadius, f.minRadius*short), f.maxRadius*short
	planes := 0
	cw, ch := w/votePitch+1, h/votePitch+1
	var radii [16]float64
	for r := low; r <= high+0.5 && planes < len(radii); r *= 1.22 {
		radii[planes] = r
		planes++
	}
	for len(f.votes) < planes {
		f.votes = append(f.votes, nil)
	}
	for p := range planes {
		f.votes[p] = slices.Grow(f.votes[p][:0], cw*ch)[:cw*ch]
		clear(f.votes[p])
	}
	for y := 1; y < h-1; y++ {
		row := img.Celsius[y*w : (y+1)*w]
		above, below := img.Celsius[(y-1)*w:y*w], img.Celsius[(y+1)*w:(y+2)*w]
		for x := 1; x < w-1; x++ {
			gx, gy := (row[x+1]-row[x-1])/2, (below[x]-above[x])/2
			g := gx*gx + gy*gy
			if g < minGradient*minGradient {
				continue
			}
			n := 1 / float32(math.Sqrt(float64(g)))
			gx, gy = gx*n, gy*n
			for p := range planes {
				r := float32(radii[p])
				cx, cy := (float32(x)+gx*r)/votePitch, (float32(y)+gy*r)/votePitch
				if cx >= 0 && cy >= 0 && int(cx) < cw && int(cy) < ch {
					f.votes[p][int(cy)*cw+int(cx)]++
				}
			}
		}
	}
	f.candidates = f.candidates[:0]
	for p := range planes {
		f.peaks(f.votes[p], cw, ch, radii[p])
	}
}

// peaks adds the cells where at least a third of a circle's edge voted alike.
func (f *discFinder) peaks(plane []float32, cw, ch int, radius float64) {
	least := float32(2 * math.Pi * radius / 3)
	for y := 0; y < ch-1; y++ {
		for x := 0; x < cw-1; x++ {
			i := y*cw + x
			sum := plane[i] + plane[i+1] + plane[i+cw] + plane[i+cw+1]
			if sum >= least {
				f.propose(vote{float64((x+1)*votePitch) - 0.5, float64((y+1)*votePitch) - 0.5, radius, float64(sum) / radius})
			}
		}
	}
}

// propose keeps the best candidates, one for each place.
func (f *discFinder) propose(v vote) {
	for i := range f.candidates {
		c := &f.candidates[i]
		if math.Hypot(c.x-v.x, c.y-v.y) < max(c.radius, v.radius)/2 {
			if v.weight > c.weight {
				*c = v
			}
			return
		}
	}
	if len(f.candidates) < maxCandidate {
		f.candidates = append(f.candidates, v)
		return
	}
	least := 0
	for i := range f.candidates {
		if f.candidates[i].weight < f.candidates[least].weight {
			least = i
		}
	}
	if v.weight > f.candidates[least].weight {
		f.candidates[least] = v
	}
}

// fit refines a disc to a fraction of a pixel: the edge on each ray is where the temperature falls half way from the
// inside to the surroundings on that ray, and a circle is laid through these edges.
func (f *discFinder) fit(img *radiometry.Image, x, y, radius float64) (disc, bool) {
	short := float64(min(img.Width, img.Height))
	d := disc{x: x, y: y, radius: radius}
	for range 4 {
		if d.radius < max(2, 0.7*f.minRadius*short) || d.radius > 1.4*f.maxRadius*short || !inside(img, d.x, d.y) {
			return d, false
		}
		if !f.readInside(img, &d) || !f.readEdges(img, &d) {
			return d, false
		}
	}
	if d.radius < f.minRadius*short || d.radius > f.maxRadius*short {
		return d, false
	}
	if !f.readInside(img, &d) {
		return d, false
	}
	d.lost = d.contrast * lostInside(d.radius)
	d.celsius += d.lost
	return d, true
}

// lostInside is the part of its contrast that a small disc loses to blur where it is read: what a lens that is neither
// sharp nor soft, and a pixel, spread over a straight edge, at the mean distance of the plateau from it.
func lostInside(radius float64) float64 {
	const (
		large = 5.0 // pixels; nothing is lost from there on
		blur  = 0.85
		rings = 8
	)
	if radius >= large {
		return 0
	}
	reach := max(1.5, plateau*radius)
	var sum, weights float64
	for i := range rings {
		r := (float64(i) + 0.5) / rings * reach
		sum += r * math.Erfc((radius-r)/(blur*math.Sqrt2)) / 2
		weights += r
	}
	return sum / weights
}

// readInside takes the robust mean of the plateau: without a tenth at either end. It fails on a saturated disc.
func (f *discFinder) readInside(img *radiometry.Image, d *disc) bool {
	reach := max(1.5, plateau*d.radius)
	x0, x1 := max(0, int(math.Ceil(d.x-reach))), min(img.Width-1, int(d.x+reach))
	y0, y1 := max(0, int(math.Ceil(d.y-reach))), min(img.Height-1, int(d.y+reach))
	step := max(1, int(reach/6))
	f.inside = f.inside[:0]
	for y := y0; y <= y1; y += step {
		for x := x0; x <= x1; x += step {
			if dx, dy := float64(x)-d.x, float64(y)-d.y; dx*dx+dy*dy <= reach*reach {
				f.inside = append(f.inside, img.At(x, y))
			}
		}
	}
	d.pixels = len(f.inside)
	if d.pixels < 5 {
		return false
	}
	slices.Sort(f.inside)
	if f.inside[0] == f.inside[d.pixels-1] {
		return false // saturated: no sensor is without noise
	}
	d.celsius = mean(f.inside[d.pixels/10 : d.pixels-d.pixels/10])
	d.spread = deviation(f.inside)
	return true
}

func (f *discFinder) readEdges(img *radiometry.Image, d *disc) bool {
	inPicture, met := 0, 0
	room := d.room()
	var contrast float64
	for i := range rayCount {
		f.edges[i] = math.NaN()
		if !inside(img, d.x+f.cos[i]*room, d.y+f.sin[i]*room) {
			continue
		}
		inPicture++
		outer := f.ring(img, d, i)
		contrast += d.celsius - outer
		if edge := f.edge(img, d, i, (d.celsius+outer)/2); d.celsius-outer > 0.3 && edge > 0 {
			f.edges[i] = edge
			met++
		}
	}
	if inPicture < rayCount/2 || met < rayCount/3 {
		return false
	}
	d.contrast = contrast / float64(inPicture)
	d.visible = float64(inPicture) / rayCount
	kept := f.circle(d)
	d.rays = float64(kept) / float64(inPicture)
	return kept >= rayCount/3
}

// room is how far from the centre a ray has to reach, in pixels.
func (d *disc) room() float64 {
	return min(ringFrom*d.radius, d.radius+max(edgeRoom*d.radius, edgePixels))
}

// ring is the mean temperature of the surroundings on one ray, or as far as it has to reach where the picture ends before them.
func (f *discFinder) ring(img *radiometry.Image, d *disc, ray int) float64 {
	var sum float64
	n := 0
	for part := ringFrom; part <= ringTo; part += 0.125 {
		x, y := d.x+f.cos[ray]*part*d.radius, d.y+f.sin[ray]*part*d.radius
		if inside(img, x, y) {
			sum += interpolate(img, x, y)
			n++
		}
	}
	if n == 0 {
		return interpolate(img, d.x+f.cos[ray]*d.room(), d.y+f.sin[ray]*d.room())
	}
	return sum / float64(n)
}

// edge returns the radius at which the temperature on a ray first falls below the level, 0 where it does not.
func (f *discFinder) edge(img *radiometry.Image, d *disc, ray int, level float64) float64 {
	step := max(0.5, d.radius/10)
	from := plateau * d.radius
	before := interpolate(img, d.x+f.cos[ray]*from, d.y+f.sin[ray]*from)
	if before < level {
		return 0
	}
	for r := from + step; r <= ringTo*d.radius; r += step {
		x, y := d.x+f.cos[ray]*r, d.y+f.sin[ray]*r
		if !inside(img, x, y) {
			return 0
		}
		t := interpolate(img, x, y)
		if t < level {
			return r - step*(level-t)/(before-t)
		}
		before = t
	}
	return 0
}

// circle lays a circle through the edges that lie near the middle one and returns how many these are. The centre moves
// little at a time, so the circle is linear in its unknowns: r(φ) = R + a cos φ + b sin φ.
func (f *discFinder) circle(d *disc) int {
	middle := f.middleEdge()
	near := func(r float64) bool { return math.Abs(r-middle) <= max(0.75, 0.25*d.radius) } // false for NaN
	var n, sumX, sumY, xx, yy, xy, sum, sumXR, sumYR float64
	for i, r := range f.edges {
		if near(r) {
			c, s := f.cos[i], f.sin[i]
			n, sumX, sumY = n+1, sumX+c, sumY+s
			xx, yy, xy = xx+c*c, yy+s*s, xy+c*s
			sum, sumXR, sumYR = sum+r, sumXR+c*r, sumYR+s*r
		}
	}
	a, b, radius, ok := solve3([3][3]float64{{n, sumX, sumY}, {sumX, xx, xy}, {sumY, xy, yy}}, [3]float64{sum, sumXR, sumYR})
	if !ok || n < rayCount/3 {
		return 0
	}
	var squares float64
	for i, r := range f.edges {
		if near(r) {
			off := r - radius - a*f.cos[i] - b*f.sin[i]
			squares += off * off
		}
	}
	d.x, d.y, d.radius = d.x+a, d.y+b, radius
	d.roughness = math.Sqrt(squares/n) / radius
	return int(n)
}

func (f *discFinder) middleEdge() float64 {
	var found [rayCount]float64
	n := 0
	for _, r := range f.edges {
		if !math.IsNaN(r) {
			found[n] = r
			n++
		}
	}
	slices.Sort(found[:n])
	return found[n/2]
}

// solve3 returns (x1, x2, x0) of the symmetric system m·(x0, x1, x2) = v.
func solve3(m [3][3]float64, v [3]float64) (x1, x2, x0 float64, ok bool) {
	det := func(a, b, c [3]float64) float64 {
		return a[0]*(b[1]*c[2]-b[2]*c[1]) - b[0]*(a[1]*c[2]-a[2]*c[1]) + c[0]*(a[1]*b[2]-a[2]*b[1])
	}
	all := det(m[0], m[1], m[2])
	if math.Abs(all) < 1e-9 {
		return 0, 0, 0, false
	}
	return det(m[0], v, m[2]) / all, det(m[0], m[1], v) / all, det(v, m[1], m[2]) / all, true
}

func inside(img *radiometry.Image, x, y float64) bool {
	return x >= 0 && y >= 0 && x <= float64(img.Width-1) && y <= float64(img.Height-1)
}

// interpolate reads between the pixels; x and y must be inside.
func interpolate(img *radiometry.Image, x, y float64) float64 {
	ix, iy := min(int(x), img.Width-2), min(int(y), img.Height-2)
	fx, fy := float32(x-float64(ix)), float32(y-float64(iy))
	i := iy*img.Width + ix
	top := img.Celsius[i] + fx*(img.Celsius[i+1]-img.Celsius[i])
	i += img.Width
	bottom := img.Celsius[i] + fx*(img.Celsius[i+1]-img.Celsius[i])
	return float64(top + fy*(bottom-top))
}

func mean(v []float32) float64 {
	var sum float64
	for _, t := range v {
		sum += float64(t)
	}
	return sum / float64(len(v))
}

func deviation(v []float32) float64 {
	m := mean(v)
	var sum float64
	for _, t := range v {
		sum += (float64(t) - m) * (float64(t) - m)
	}
	return math.Sqrt(sum / float64(len(v)))
}

package measure

import (
	"math"
	"slices"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/face"
)

const (
	// groundCells of the picture's shorter side are compared; each is the mean of some pixels.
	groundCells = 60
	// groundAge is how long ago the picture is that the newest is compared with. A move of most of a cell over that time, 1.5 °
	// a second at 57 °, is a carrier that moves; one that sways by some tenths of a degree stands.
	groundAge = 400 * time.Millisecond
	// groundSettle is how long the ground has to have stood still: what stops, swings.
	groundSettle = 500 * time.Millisecond
	// Moves up to so many cells are looked for; a faster one leaves nothing where it was.
	reachX, reachY = 4, 2
	// The picture is looked at in so many parts, because people who are not seen as such move, too.
	partsX, partsY = 4, 2
	// leastCells of a part have to show the ground, and what is on it has to differ from cell to cell by textured times the
	// noise for the part to tell anything.
	leastCells, textured = 60, 2
	// betterElsewhere is how much better a part fits where it has moved to than where it was. One that has moved on out of
	// reach differs by muchWorse times the noise, and no less than fromNext of what a cell makes.
	betterElsewhere, worse, muchWorse, fromNext = 0.5, 1.5, 3.5, 0.6
	// noisyPixel, °C, is the noise of a pixel of a poor camera. The least that was seen counts, and twice as much after quiet.
	noisyPixel = 0.1
	quiet      = time.Minute
)

// Ground is what a camera on a carrier sees behind the people: it tells whether the carrier stands. Its zero value has seen
// nothing. A wall with nothing on it tells nothing; then the carrier counts as standing, and it is the face that moves.
type Ground struct {
	recent []groundPicture // oldest first
	noise  float64         // mean square of the difference between two pictures of the same, °C²
	moved  time.Time       // when last seen to
}

// groundPicture is a picture in cells.
type groundPicture struct {
	at         time.Time
	cell       int // side of one, pixels
	cols, rows int
	celsius    []float32
	people     []bool // cells that show people
}

// Moves takes the next picture and its faces, and says whether the carrier moves, or has just done so.
func (g *Ground) Moves(img *radiometry.Image, at time.Time, faces []face.Face) bool {
	var now groundPicture
	for len(g.recent) > 1 && at.Sub(g.recent[1].at) >= groundAge {
		now = g.recent[0] // its memory
		g.recent = slices.Delete(g.recent, 0, 1)
	}
	now.draw(img, at, faces)
	if n := len(g.recent); n > 0 && (g.recent[n-1].cols != now.cols || g.recent[n-1].rows != now.rows || at.Before(g.recent[n-1].at)) {
		*g = Ground{}
	}
	if len(g.recent) == 0 {
		g.noise = 2 * sq(noisyPixel) / sq(float64(now.cell))
		g.moved = at // nobody knows yet
	} else if g.compare(&g.recent[0], &now, at.Sub(g.recent[len(g.recent)-1].at)) {
		g.moved = at
	}
	g.recent = append(g.recent, now)
	return at.Sub(g.moved) < groundSettle
}

// draw averages a picture down to cells, and marks those that show people: head and shoulders, and all below.
func (p *groundPicture) draw(img *radiometry.Image, at time.Time, faces []face.Face) {
	p.at, p.cell = at, max(1, min(img.Width, img.Height)/groundCells)
	p.cols, p.rows = img.Width/p.cell, img.Height/p.cell
	p.celsius = slices.Grow(p.celsius[:0], p.cols*p.rows)[:p.cols*p.rows]
	p.people = slices.Grow(p.people[:0], p.cols*p.rows)[:p.cols*p.rows]
	clear(p.people)
	n := float32(p.cell * p.cell)
	for y := range p.rows {
		for x := range p.cols {
			var sum float32
			for j := range p.cell {
				for _, t := range img.Celsius[(y*p.cell+j)*img.Width+x*p.cell:][:p.cell] {
					sum += t
				}
			}
			p.celsius[y*p.cols+x] = sum / n
		}
	}
	for _, f := range faces {
		p.mark(f.X-0.4*f.W, f.Y-0.6*f.H, f.X+1.4*f.W, f.Y+f.H)
		p.mark(f.X-1.3*f.W, f.Y+0.7*f.H, f.X+2.3*f.W, float32(img.Height))
	}
}

func (p *groundPicture) mark(left, top, right, bottom float32) {
	cell := float32(p.cell)
	for y := max(0, int(top/cell)); y < min(p.rows, int(bottom/cell)+1); y++ {
		for x := max(0, int(left/cell)); x < min(p.cols, int(right/cell)+1); x++ {
			p.people[y*p.cols+x] = true
		}
	}
}

// compare says whether at least half of the parts that can tell have moved since an earlier picture.
func (g *Ground) compare(then, now *groundPicture, elapsed time.Duration) bool {
	var stood []float64 // what the parts differ by where they were
	known, moved := 0, 0
	g.noise *= math.Exp2(elapsed.Seconds() / quiet.Seconds())
	for part := range partsX * partsY {
		here, next, best, ok := misfits(then, now, part%partsX, part/partsX)
		if !ok {
			continue
		}
		stood = append(stood, here)
		if next < textured*g.noise {
			continue
		}
		known++
		if here > worse*g.noise && best < betterElsewhere*here || here > muchWorse*g.noise && here > fromNext*next {
			moved++
		}
	}
	if len(stood) > 0 {
		slices.Sort(stood)
		if least := stood[len(stood)/2]; least > 0 { // a picture that is repeated has none
			g.noise = min(g.noise, least)
		}
	}
	return 2*moved >= max(known, 1)
}

// misfits are the mean square differences of a part from an earlier picture: where it was, a cell further, and where they
// are least. They are not known of a part that people hide.
func misfits(then, now *groundPicture, column, row int) (here, next, best float64, ok bool) {
	best = math.Inf(1)
	for dy := -reachY; dy <= reachY; dy++ {
		for dx := -reachX; dx <= reachX; dx++ {
			m, cells := misfit(then, now, column, row, dx, dy)
			if cells < leastCells {
				return 0, 0, 0, false
			}
			switch {
			case dx == 0 && dy == 0:
				here = m
				continue
			case dx*dx+dy*dy == 1:
				next += m / 4
			}
			best = min(best, m)
		}
	}
	return here, next, best, true
}

// misfit is the mean square difference of a part from an earlier picture some cells away, but for what all of it became
// warmer or colder by.
func misfit(then, now *groundPicture, column, row, dx, dy int) (meanSquare float64, cells int) {
	x0, x1 := max(column*now.cols/partsX, reachX), min((column+1)*now.cols/partsX, now.cols-reachX)
	y0, y1 := max(row*now.rows/partsY, reachY), min((row+1)*now.rows/partsY, now.rows-reachY)
	var sum, squares float32
	for y := y0; y < y1; y++ {
		i, k := y*now.cols, (y+dy)*now.cols+dx
		for x := x0; x < x1; x++ {
			if now.people[i+x] || then.people[k+x] {
				continue
			}
			d := now.celsius[i+x] - then.celsius[k+x]
			sum += d
			squares += d * d
			cells++
		}
	}
	n := float64(max(cells, 1))
	return float64(squares)/n - sq(float64(sum)/n), cells
}

// newest copies the newest picture.
func (g *Ground) newest(into *groundPicture) {
	p := g.recent[len(g.recent)-1]
	p.celsius, p.people = append(into.celsius[:0], p.celsius...), append(into.people[:0], p.people...)
	*into = p
}

// shift is how many pixels the ground has moved since an earlier picture, and its standard error.
func (g *Ground) shift(then *groundPicture) (x, y, noise float64) {
	now := &g.recent[len(g.recent)-1]
	if then.cols != now.cols || then.rows != now.rows {
		return 0, 0, 0
	}
	var f flow
	seen := func(i int) bool { return !now.people[i] && !then.people[i] }
	for i, t := range now.celsius {
		if seen(i) {
			f.mean += float64(t - then.celsius[i])
			f.n++
		}
	}
	f.mean /= max(f.n, 1)
	for y := 1; y < now.rows-1; y++ {
		for i := y*now.cols + 1; i < (y+1)*now.cols-1; i++ {
			if seen(i) {
				f.add(then.celsius, i, now.cols, now.celsius[i])
			}
		}
	}
	x, y, noise = f.solve()
	cell := float64(now.cell)
	return x * cell, y * cell, noise * cell
}

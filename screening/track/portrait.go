package track

import (
	"math"
	"slices"

	"thermogate/screening/event"
	"thermogate/screening/rank"
)

// A portrait is drawn from a fine grid over a face and what is below it, in widths and heights of the face's box. Cells
// are squares of fine ones; hair, ears and what is behind them stay out, for they outshout a face and are alike.
const (
	gridLeft, gridTop    = -0.3, -0.3
	gridWidth, gridTall  = 1.6, 2.2
	gridColumns          = 48
	gridRows             = 96
	facePool, trunkPool  = 2, 3
	faceStep, trunkStep  = 1, 2 // how far, in fine cells, a portrait is moved to lie upon another
	portraitSpan         = 4    // °C around its median that a portrait tells apart
	faceSpread           = 0.13 // °C: how far the cells of one person's face differ between two looks, one of three
	trunkSpread          = 0.30
	shifts               = 9
	faceColumns, faceRow = 10, 17
	trunkColumns         = 12
	trunkRow             = 8
	browRow              = 9 // of the face's rows are above a mask
)

// part is a part of the grid: its first fine cell and its size in cells.
type part struct{ column, row, pool, columns, rows, step int }

var (
	facePart  = part{column: 14, row: 18, pool: facePool, columns: faceColumns, rows: faceRow, step: faceStep}
	trunkPart = part{column: 6, row: 62, pool: trunkPool, columns: trunkColumns, rows: trunkRow, step: trunkStep}
)

// Portrait is what tells one person from another in the infrared for some minutes: the pattern of warm and cold over the
// middle of the face and over neck and shoulders, free of its level. It says nothing of a person's temperature.
type Portrait struct {
	face      [faceColumns * faceRow]float32
	brow      [faceColumns * browRow]float32 // its upper part by itself, for a mask changes with every breath
	masked    bool
	trunk     [trunkColumns * trunkRow]float32
	trunkSeen bool
}

// View is a portrait as it may be moved by a little, since a box never lies upon a face twice in the same way.
type View [shifts]Portrait

// Portrait is the view as it was drawn.
func (v *View) Portrait() Portrait { return v[shifts/2] }

// Sketcher draws views. It is used by one goroutine.
type Sketcher struct {
	grid    [gridRows * gridColumns]float32
	scratch []float32
}

// Draw draws the face in box, which may be masked, from a picture of width × height temperatures, row by row.
func (s *Sketcher) Draw(celsius []float32, width, height int, box event.Box, masked bool, view *View) {
	s.sample(celsius, width, height, box)
	trunkSeen := box.Y+box.H*(gridTop+gridTall*float64(trunkPart.row+trunkPart.rows*trunkPool)/gridRows) <= float64(height)
	for i := range view {
		dx, dy := i%3-1, i/3-1
		s.pool(facePart, dx, dy, view[i].face[:])
		copy(view[i].brow[:], view[i].face[:])
		s.level(view[i].face[:])
		s.level(view[i].brow[:])
		view[i].masked = masked
		view[i].trunkSeen = trunkSeen
		if trunkSeen {
			s.pool(trunkPart, dx, dy, view[i].trunk[:])
			s.level(view[i].trunk[:])
		}
	}
}

// sample reads the picture at the parts of the grid that are used, between its pixels; beyond its border it goes on as it
// ends.
func (s *Sketcher) sample(celsius []float32, width, height int, box event.Box) {
	for _, p := range []part{facePart, trunkPart} {
		for row := p.row - p.step; row < p.row+p.rows*p.pool+p.step; row++ {
			y := box.Y + box.H*(gridTop+gridTall*(float64(row)+0.5)/gridRows) - 0.5
			y = min(max(y, 0), float64(height-1))
			above := int(y)
			below, fy := min(above+1, height-1), float32(y-float64(above))
			for column := p.column - p.step; column < p.column+p.columns*p.pool+p.step; column++ {
				x := box.X + box.W*(gridLeft+gridWidth*(float64(column)+0.5)/gridColumns) - 0.5
				x = min(max(x, 0), float64(width-1))
				left := int(x)
				right, fx := min(left+1, width-1), float32(x-float64(left))
				a := celsius[above*width+left]*(1-fx) + celsius[above*width+right]*fx
				b := celsius[below*width+left]*(1-fx) + celsius[below*width+right]*fx
				s.grid[row*gridColumns+column] = a*(1-fy) + b*fy
			}
		}
	}
}

// pool fills cells with a part of the grid, moved by dx and dy steps.
func (s *Sketcher) pool(p part, dx, dy int, cells []float32) {
	share := 1 / float32(p.pool*p.pool)
	for row := range p.rows {
		for column := range p.columns {
			first := (p.row+dy*p.step+row*p.pool)*gridColumns + p.column + dx*p.step + column*p.pool
			var sum float32
			for y := range p.pool {
				for x := range p.pool {
					sum += s.grid[first+y*gridColumns+x]
				}
			}
			cells[row*p.columns+column] = sum * share
		}
	}
}

// level takes cells around their median and free of their mean.
func (s *Sketcher) level(cells []float32) {
	if slices.Max(cells)-slices.Min(cells) > portraitSpan { // else none is further from the median, wherever that is
		s.scratch = append(s.scratch[:0], cells...)
		median := rank.Nth(s.scratch, len(s.scratch)/2)
		for i, c := range cells {
			cells[i] = max(median-portraitSpan, min(median+portraitSpan, c))
		}
	}
	var mean float32
	for _, c := range cells {
		mean += c
	}
	mean /= float32(len(cells))
	for i := range cells {
		cells[i] -= mean
	}
}

// Difference is how much a person in view differs from a portrait, in standard deviations of what one person differs by
// between two looks. On 45 visits at real gates one person a few seconds later: 1.0 in the median, below 1.9 nine times in
// ten; two people: 10 in the median, below 3.0 one time in a thousand. On simulated people 0.6, 1.4 and after a while away
// 1.9; two people 5.9 and 2.3.
func (v *View) Difference(p *Portrait) float64 {
	face, trunk := math.Inf(1), math.Inf(1)
	for i := range v {
		if v[i].masked || p.masked {
			face = min(face, meanSquare(v[i].brow[:], p.brow[:], face))
		} else {
			face = min(face, meanSquare(v[i].face[:], p.face[:], face))
		}
		if v[i].trunkSeen && p.trunkSeen {
			trunk = min(trunk, meanSquare(v[i].trunk[:], p.trunk[:], trunk))
		}
	}
	face = math.Sqrt(face) / faceSpread
	if math.IsInf(trunk, 1) {
		return math.Sqrt2 * face
	}
	return math.Hypot(face, math.Sqrt(trunk)/trunkSpread)
}

// meanSquare is that of the differences of two lists, or more than most once it is sure to be.
func meanSquare(a, b []float32, most float64) float64 {
	var sum float32
	enough := float32(most * float64(len(a)))
	for i, x := range a {
		d := x - b[i]
		if sum += d * d; sum > enough {
			break
		}
	}
	return float64(sum) / float64(len(a))
}

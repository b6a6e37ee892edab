package camera

import (
	"fmt"
	"strings"
)

// Orientation names the turn that makes the picture of a mounted camera upright. The empty Orientation is Normal.
type Orientation string

// The eight ways a camera can be mounted.
const (
	Normal     Orientation = "normal"
	Rotate90   Orientation = "rotate90" // clockwise
	Rotate180  Orientation = "rotate180"
	Rotate270  Orientation = "rotate270"
	Mirror     Orientation = "mirror"     // left and right swapped
	Flip       Orientation = "flip"       // top and bottom swapped
	Transpose  Orientation = "transpose"  // rows become columns, the top left corner stays
	Transverse Orientation = "transverse" // rows become columns, the top right corner stays
)

// Orientations lists the names ParseOrientation takes.
func Orientations() []Orientation {
	return []Orientation{Normal, Rotate90, Rotate180, Rotate270, Mirror, Flip, Transpose, Transverse}
}

// ParseOrientation checks a name; the empty name is Normal.
func ParseOrientation(name string) (Orientation, error) {
	if name == "" {
		return Normal, nil
	}
	known := make([]string, 0, 8)
	for _, o := range Orientations() {
		if string(o) == name {
			return o, nil
		}
		known = append(known, string(o))
	}
	return "", fmt.Errorf("unknown orientation %q; known are %s", name, strings.Join(known, ", "))
}

// size returns the width and height of a turned picture of w by h pixels.
func (o Orientation) size(w, h int) (int, int) {
	switch o {
	case Rotate90, Rotate270, Transpose, Transverse:
		return h, w
	}
	return w, h
}

// turn writes the picture of w by h pixels in counts, turned, to out.
func (o Orientation) turn(out, counts []uint16, w, h int) {
	// Where the turned picture's first pixel lies in counts, and how far its neighbours to the right and below are.
	first, right, down := 0, 1, w
	switch o {
	case Rotate90:
		first, right, down = (h-1)*w, -w, 1
	case Rotate180:
		first, right, down = h*w-1, -1, -w
	case Rotate270:
		first, right, down = w-1, w, -1
	case Mirror:
		first, right, down = w-1, -1, w
	case Flip:
		first, right, down = (h-1)*w, 1, -w
	case Transpose:
		first, right, down = 0, w, 1
	case Transverse:
		first, right, down = h*w-1, -w, -1
	}
	width, height := o.size(w, h)
	for y := range height {
		from := first + y*down
		row := out[y*width : (y+1)*width]
		if right == 1 {
			copy(row, counts[from:])
			continue
		}
		for x := range row {
			row[x] = counts[from]
			from += right
		}
	}
}

// Undo writes an upright picture of w by h pixels to out as the mounted camera delivered it, and returns its size.
func (o Orientation) Undo(out, upright []uint16, w, h int) (width, height int) {
	back := o
	switch o {
	case Rotate90:
		back = Rotate270
	case Rotate270:
		back = Rotate90
	}
	back.turn(out, upright, w, h)
	return back.size(w, h)
}

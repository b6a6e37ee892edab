package measure

import (
	"math"
	"time"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
)

const (
	// alivePixels is how far a face has to have moved to be a living one. A head sways by some millimetres a second; a
	// face that stands still in a picture with the noise of a Lepton seems to move by a hundredth of a pixel.
	alivePixels = 0.04
	// aliveSigma is how many times a movement has to be what the noise of the picture feigns.
	aliveSigma = 2
	// anchorFor bounds the time over which a movement is taken.
	anchorFor = 3 * time.Second
)

// Life tells a living face, which is never still, from a frozen picture, a photograph or a dummy. Its zero value has seen
// nothing.
type Life struct {
	anchor        []float32 // the face when it last moved
	x, y, w, h    int       // where in the picture that is
	since         time.Time
	width, height int // of the picture
}

// Moved takes the face in box in the next picture, and says whether it has moved since it last did.
func (l *Life) Moved(img *radiometry.Image, box event.Box, at time.Time) bool {
	if l.anchor == nil || l.width != img.Width || l.height != img.Height || at.Sub(l.since) > anchorFor {
		l.remember(img, box, at)
		return false
	}
	shift, noise := l.shift(img)
	moved := shift >= alivePixels && shift >= aliveSigma*noise
	if moved {
		l.remember(img, box, at)
	}
	return moved
}

func (l *Life) remember(img *radiometry.Image, box event.Box, at time.Time) {
	x0, y0 := max(0, int(box.X)), max(0, int(box.Y))
	x1, y1 := min(img.Width, int(box.X+box.W)), min(img.Height, int(box.Y+box.H))
	l.x, l.y, l.w, l.h = x0, y0, max(0, x1-x0), max(0, y1-y0)
	l.width, l.height, l.since = img.Width, img.Height, at
	l.anchor = l.anchor[:0]
	for y := range l.h {
		l.anchor = append(l.anchor, img.Celsius[(y0+y)*img.Width+x0:][:l.w]...)
	}
}

// shift is how many pixels the remembered face has moved, by least squares over its slopes (Lucas and Kanade 1981). What
// the whole face became warmer or colder by is left out: that may be the camera. noise is the shift's standard error, from
// what is left of the difference.
func (l *Life) shift(img *radiometry.Image) (pixels, noise float64) {
	var n, mean float64
	for y := range l.h {
		row := img.Celsius[(l.y+y)*img.Width+l.x:]
		for x := range l.w {
			mean += float64(row[x] - l.anchor[y*l.w+x])
			n++
		}
	}
	mean /= max(n, 1)
	var xx, xy, yy, xt, yt, tt float64
	for y := 1; y < l.h-1; y++ {
		row := img.Celsius[(l.y+y)*img.Width+l.x:]
		for x := 1; x < l.w-1; x++ {
			i := y*l.w + x
			gx := float64(l.anchor[i+1]-l.anchor[i-1]) / 2
			gy := float64(l.anchor[i+l.w]-l.anchor[i-l.w]) / 2
			d := float64(row[x]-l.anchor[i]) - mean
			xx, xy, yy, xt, yt, tt = xx+gx*gx, xy+gx*gy, yy+gy*gy, xt+gx*d, yt+gy*d, tt+d*d
		}
	}
	determinant := xx*yy - xy*xy
	if !(determinant > 1e-6) {
		return 0, 0
	}
	u, v := (yy*xt-xy*yt)/determinant, (xx*yt-xy*xt)/determinant
	variance := max(0, tt-u*xt-v*yt) / max(n, 1)
	return math.Hypot(u, v), math.Sqrt(variance * (xx + yy) / determinant)
}

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
	// ownShare is how far, over that of a ground that moves, a movement has to be the face's own: the camera's noise makes the
	// ground of weak contrasts seem to move less than a face.
	ownShare = 0.6
	// anchorFor bounds the time over which a movement is taken.
	anchorFor = 3 * time.Second
)

// Life tells a living face, which is never still, from a frozen picture, a photograph or a dummy. Its zero value has seen
// nothing.
type Life struct {
	anchor        []float32 // the face when it last moved
	x, y, w, h    int       // where in the picture that is
	since         time.Time
	width, height int           // of the picture
	ground        groundPicture // behind the face, where that can move
}

// Moved takes the face in box in the next picture, and says whether it has moved since it last did. With a camera on a
// carrier, whose ground is not nil, it is the movement before the ground that counts.
func (l *Life) Moved(img *radiometry.Image, box event.Box, at time.Time, ground *Ground) bool {
	if l.anchor == nil || l.width != img.Width || l.height != img.Height || at.Sub(l.since) > anchorFor {
		l.remember(img, box, at, ground)
		return false
	}
	x, y, noise := l.shift(img)
	least := alivePixels
	if ground != nil {
		groundX, groundY, groundNoise := ground.shift(&l.ground)
		x, y, noise = x-groundX, y-groundY, math.Hypot(noise, groundNoise)
		least = max(least, ownShare*math.Hypot(groundX, groundY))
	}
	shift := math.Hypot(x, y)
	moved := shift >= least && shift >= aliveSigma*noise
	if moved {
		l.remember(img, box, at, ground)
	}
	return moved
}

func (l *Life) remember(img *radiometry.Image, box event.Box, at time.Time, ground *Ground) {
	if ground != nil {
		ground.newest(&l.ground)
	}
	x0, y0 := max(0, int(box.X)), max(0, int(box.Y))
	x1, y1 := min(img.Width, int(box.X+box.W)), min(img.Height, int(box.Y+box.H))
	l.x, l.y, l.w, l.h = x0, y0, max(0, x1-x0), max(0, y1-y0)
	l.width, l.height, l.since = img.Width, img.Height, at
	l.anchor = l.anchor[:0]
	for y := range l.h {
		l.anchor = append(l.anchor, img.Celsius[(y0+y)*img.Width+x0:][:l.w]...)
	}
}

// shift is how many pixels the remembered face has moved, and its standard error. What the whole face became warmer or
// colder by is left out: that may be the camera.
func (l *Life) shift(img *radiometry.Image) (x, y, noise float64) {
	var f flow
	for y := range l.h {
		row := img.Celsius[(l.y+y)*img.Width+l.x:]
		for x := range l.w {
			f.mean += float64(row[x] - l.anchor[y*l.w+x])
			f.n++
		}
	}
	f.mean /= max(f.n, 1)
	for y := 1; y < l.h-1; y++ {
		row := img.Celsius[(l.y+y)*img.Width+l.x:]
		for x := 1; x < l.w-1; x++ {
			f.add(l.anchor, y*l.w+x, l.w, row[x])
		}
	}
	return f.solve()
}

// flow is by how much a picture has moved, by least squares over its slopes (Lucas and Kanade 1981).
type flow struct {
	n, mean                float64 // how many pixels there are, and how much warmer they all became
	xx, xy, yy, xt, yt, tt float64
}

// add takes the pixel at i of a picture so many columns wide, which has become this warm.
func (f *flow) add(before []float32, i, columns int, now float32) {
	gx := float64(before[i+1]-before[i-1]) / 2
	gy := float64(before[i+columns]-before[i-columns]) / 2
	d := float64(now-before[i]) - f.mean
	f.xx, f.xy, f.yy, f.xt, f.yt, f.tt = f.xx+gx*gx, f.xy+gx*gy, f.yy+gy*gy, f.xt+gx*d, f.yt+gy*d, f.tt+d*d
}

// solve returns the movement, and its standard error from what is left of the differences.
func (f *flow) solve() (x, y, noise float64) {
	determinant := f.xx*f.yy - f.xy*f.xy
	if !(determinant > 1e-6) {
		return 0, 0, 0
	}
	u, v := (f.yy*f.xt-f.xy*f.yt)/determinant, (f.xx*f.yt-f.xy*f.xt)/determinant
	variance := max(0, f.tt-u*f.xt-v*f.yt) / max(f.n, 1)
	return u, v, math.Sqrt(variance * (f.xx + f.yy) / determinant)
}

package thermogram

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/inconsolata"
	"golang.org/x/image/math/fixed"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
)

// Picture is what a PNG shows.
type Picture struct {
	Image *radiometry.Image
	// Face is marked; the zero Box is none.
	Face event.Box
	// Reference is marked where it was found. Its correction is in the temperatures of the scale.
	Reference event.ReferenceSource
}

const (
	longSide    = 480 // pixels of a PNG at most, its scale aside
	shortest    = 120 // a long side below this shows nothing any more
	scaleHeight = 32  // with its numbers
	barHeight   = 10
	minSpan     = 8  // °C, so that noise is not blown up
	levels      = 96 // colours of temperatures; more of them cost bytes and tell nothing
)

// The colours that follow those of temperatures.
const (
	ground = levels + iota
	ink
	shade
	faceMark
	referenceMark
)

// Encode paints a picture as a PNG of at most so many bytes. It is small enough to be made a few times a second.
func (p Picture) Encode(most int) ([]byte, error) {
	if p.Image.Width < 1 || p.Image.Height < 1 {
		return nil, errors.New("a picture without pixels")
	}
	for long := longSide; long >= shortest; long = long * 3 / 4 {
		var out bytes.Buffer
		if err := png.Encode(&out, p.paint(long)); err != nil {
			return nil, err
		}
		if out.Len() <= most {
			return out.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("a picture of %d×%d pixels does not fit into %d bytes", p.Image.Width, p.Image.Height, most)
}

// canvas is a PNG in the making.
type canvas struct {
	*image.Paletted
	picture image.Rectangle // the part of it above the scale
	zoom    float64         // its pixels for one of the camera's
}

func (p Picture) paint(long int) *image.Paletted {
	w, h := p.Image.Width, p.Image.Height
	zoom := float64(long) / float64(max(w, h))
	size := image.Rect(0, 0, max(1, int(float64(w)*zoom)), max(1, int(float64(h)*zoom)))
	c := canvas{image.NewPaletted(size.Union(image.Rect(0, 0, 1, size.Max.Y+scaleHeight)), palette()), size, zoom}
	low, high := Range(p.Image)
	if missing := minSpan - (high - low); missing > 0 && !p.Image.Relative {
		low, high = low-missing*3/4, high+missing/4
	}
	c.temperatures(p.Image, low, high)
	if p.Reference.Found {
		c.ring(p.Reference)
	}
	if p.Face != (event.Box{}) {
		c.corners(p.Face)
	}
	if p.Reference.Found && p.Reference.Problem == event.NoProblem {
		low, high = low+p.Reference.CorrectionCelsius, high+p.Reference.CorrectionCelsius
	}
	c.scale(low, high, p.Image.Relative)
	return c.Paletted
}

// temperatures fills in the picture, smoothly between the camera's pixels.
func (c canvas) temperatures(img *radiometry.Image, low, high float64) {
	per := (levels - 1) / max(high-low, 1e-6)
	for y := range c.picture.Max.Y {
		for x := range c.picture.Max.X {
			t := between(img, (float64(x)+0.5)/c.zoom-0.5, (float64(y)+0.5)/c.zoom-0.5)
			if level := (t - low) * per; level > 0 { // NaN is not
				c.SetColorIndex(x, y, uint8(min(level+0.5, levels-1)))
			}
		}
	}
}

// between reads between the pixels.
func between(img *radiometry.Image, x, y float64) float64 {
	x, y = min(max(x, 0), float64(img.Width-1)), min(max(y, 0), float64(img.Height-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, img.Width-1), min(y0+1, img.Height-1)
	fx, fy := x-float64(x0), y-float64(y0)
	top := float64(img.At(x0, y0))*(1-fx) + float64(img.At(x1, y0))*fx
	bottom := float64(img.At(x0, y1))*(1-fx) + float64(img.At(x1, y1))*fx
	return top*(1-fy) + bottom*fy
}

// ring goes around the reference source.
func (c canvas) ring(r event.ReferenceSource) {
	const dashes = 12
	x, y, radius := (r.X+0.5)*c.zoom, (r.Y+0.5)*c.zoom, 1.5*r.Radius*c.zoom
	for dash := range dashes {
		for part := 0.0; part < 0.6; part += 0.04 {
			sin, cos := math.Sincos(2 * math.Pi * (float64(dash) + part) / dashes)
			c.dot(int(x+radius*cos), int(y+radius*sin), 2, referenceMark)
		}
	}
}

// corners hide less of a face than a box.
func (c canvas) corners(b event.Box) {
	x0, y0, x1, y1 := int(b.X*c.zoom), int(b.Y*c.zoom), int((b.X+b.W)*c.zoom), int((b.Y+b.H)*c.zoom)
	arm := min(x1-x0, y1-y0) / 4
	for _, pass := range []struct {
		width int
		index uint8
	}{{6, shade}, {3, faceMark}} {
		for i := range arm {
			for _, at := range [][2]int{{x0 + i, y0}, {x0, y0 + i}, {x1 - i, y0}, {x1, y0 + i}, {x0 + i, y1}, {x0, y1 - i}, {x1 - i, y1}, {x1, y1 - i}} {
				c.dot(at[0], at[1], pass.width, pass.index)
			}
		}
	}
}

// dot is a square in the picture.
func (c canvas) dot(x, y, width int, index uint8) {
	for j := y - width/2; j < y-width/2+width; j++ {
		for i := x - width/2; i < x-width/2+width; i++ {
			if (image.Point{X: i, Y: j}).In(c.picture) {
				c.SetColorIndex(i, j, index)
			}
		}
	}
}

// scale is a bar of all colours with the temperatures of its ends, under the picture.
func (c canvas) scale(low, high float64, relative bool) {
	under := image.Rect(0, c.picture.Max.Y, c.Rect.Max.X, c.Rect.Max.Y)
	draw.Draw(c, under, image.NewUniform(c.Palette[ground]), image.Point{}, draw.Src)
	for x := range under.Dx() {
		for y := range barHeight {
			c.SetColorIndex(x, under.Min.Y+3+y, uint8(x*levels/under.Dx()))
		}
	}
	if relative {
		return
	}
	write := func(celsius, part float64) {
		text := fmt.Sprintf("%.1f °C", celsius)
		pen := font.Drawer{Dst: c, Src: image.NewUniform(c.Palette[ink]), Face: inconsolata.Regular8x16}
		x := part * float64(under.Dx()-pen.MeasureString(text).Ceil())
		pen.Dot = fixed.P(int(x), under.Max.Y-5)
		pen.DrawString(text)
	}
	write(low, 0)
	write(high, 1)
}

// palette runs from black over violet and orange to white, as the pages' does: brightness alone tells the order, also to the
// colour-blind.
func palette() color.Palette {
	stops := []struct{ at, r, g, b float64 }{
		{0, 4, 4, 16}, {.22, 52, 16, 98}, {.45, 138, 34, 106}, {.65, 214, 72, 62}, {.82, 250, 150, 30}, {.94, 252, 222, 112}, {1, 255, 255, 240},
	}
	var colours color.Palette
	for s := 0; len(colours) < levels; {
		at := float64(len(colours)) / (levels - 1)
		if at > stops[s+1].at {
			s++
			continue
		}
		from, to := stops[s], stops[s+1]
		part := (at - from.at) / (to.at - from.at)
		mix := func(a, b float64) uint8 { return uint8(a + part*(b-a) + 0.5) }
		colours = append(colours, color.RGBA{mix(from.r, to.r), mix(from.g, to.g), mix(from.b, to.b), 255})
	}
	return append(colours, color.RGBA{16, 20, 26, 255}, color.RGBA{232, 238, 243, 255}, color.RGBA{0, 0, 0, 255},
		color.RGBA{255, 255, 255, 255}, color.RGBA{127, 231, 255, 255})
}

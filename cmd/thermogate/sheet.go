package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"gocv.io/x/gocv"

	"thermogate/camera/radiometry"
	"thermogate/screening/face"
)

// A sheet shows at most this many frames, evenly chosen, each this wide.
const (
	sheetFrames  = 60
	sheetColumns = 10
	tileWidth    = 180
	tileHeight   = 240

	captionLength = 30
)

// sheet is a picture of frames and the faces found on them. While it is filled it keeps every n-th frame and doubles n
// whenever it is full, so that a long recording shows from begin to end.
type sheet struct {
	every, seen int
	tiles       []tile
}

// tile is a frame as it is drawn, in grey, with the faces in its pixels; scale is that of the frame.
type tile struct {
	caption       string
	width, height int
	scale         float64
	grey          []byte
	faces         []face.Face
}

func (s *sheet) add(source string, frame int, img *radiometry.Image, faces []face.Face) error {
	s.every = max(s.every, 1)
	if s.seen++; (s.seen-1)%s.every != 0 {
		return nil
	}
	if len(s.tiles) == sheetFrames {
		for i := range sheetFrames / 2 {
			s.tiles[i] = s.tiles[2*i]
		}
		s.tiles = s.tiles[:sheetFrames/2]
		s.every *= 2
	}
	caption := fmt.Sprintf("%s %d", source, frame)
	caption = caption[max(0, len(caption)-captionLength):] // the end tells frames apart
	t := tile{caption: caption, faces: slices.Clone(faces)}
	if err := t.shrink(img); err != nil {
		return fmt.Errorf("drawing on the sheet: %w", err)
	}
	s.tiles = append(s.tiles, t)
	return nil
}

// shrink takes a picture over at the size in which it is drawn.
func (t *tile) shrink(img *radiometry.Image) error {
	grey, err := gocv.NewMatFromBytes(img.Height, img.Width, gocv.MatTypeCV8UC1, greyOf(img.Celsius))
	if err != nil {
		return err
	}
	defer grey.Close()
	t.scale = min(float64(tileWidth)/float64(img.Width), float64(tileHeight)/float64(img.Height))
	t.width, t.height = max(1, int(t.scale*float64(img.Width))), max(1, int(t.scale*float64(img.Height)))
	gocv.Resize(grey, &grey, image.Pt(t.width, t.height), 0, 0, gocv.InterpolationLinear)
	t.grey = grey.ToBytes()
	return nil
}

func (s *sheet) save(path string) error {
	if len(s.tiles) == 0 {
		return errors.New("nothing to draw on the sheet: there was no frame")
	}
	columns := min(sheetColumns, len(s.tiles))
	rows := (len(s.tiles) + columns - 1) / columns
	page := gocv.NewMatWithSize(rows*tileHeight, columns*tileWidth, gocv.MatTypeCV8UC3)
	defer page.Close()
	for i, t := range s.tiles {
		x, y := i%columns*tileWidth, i/columns*tileHeight
		place := page.Region(image.Rect(x, y, x+tileWidth, y+tileHeight))
		err := t.draw(&place)
		place.Close()
		if err != nil {
			return fmt.Errorf("drawing the sheet: %w", err)
		}
	}
	if !gocv.IMWrite(path, page) {
		return fmt.Errorf("can't write the sheet %s: is there such a folder, and may files be written there?", path)
	}
	return nil
}

func (t *tile) draw(place *gocv.Mat) error {
	grey, err := gocv.NewMatFromBytes(t.height, t.width, gocv.MatTypeCV8UC1, t.grey)
	if err != nil {
		return err
	}
	defer grey.Close()
	picture := place.Region(image.Rect(0, 0, t.width, t.height))
	defer picture.Close()
	gocv.CvtColor(grey, &picture, gocv.ColorGrayToBGR)
	at := func(x, y float32) image.Point { return image.Pt(int(t.scale*float64(x)), int(t.scale*float64(y))) }
	for _, f := range t.faces {
		box := image.Rectangle{Min: at(f.X, f.Y), Max: at(f.X+f.W, f.Y+f.H)}
		gocv.Rectangle(place, box, color.RGBA{G: 220, A: 255}, 1)
		gocv.PutText(place, fmt.Sprintf("%.2f", f.Score), box.Min.Add(image.Pt(2, 10)), gocv.FontHersheySimplex, 0.3, color.RGBA{R: 255, G: 220, A: 255}, 1)
		for _, p := range f.Landmarks {
			gocv.Circle(place, at(p.X, p.Y), 1, color.RGBA{R: 255, G: 60, B: 60, A: 255}, -1)
		}
	}
	gocv.PutText(place, t.caption, image.Pt(2, tileHeight-4), gocv.FontHersheySimplex, 0.3, color.RGBA{R: 200, G: 200, B: 200, A: 255}, 1)
	return nil
}

// greyOf stretches temperatures to 8 bits between their 1st and 99th percentile.
func greyOf(celsius []float32) []byte {
	sorted := slices.Clone(celsius)
	slices.Sort(sorted)
	low, high := sorted[len(sorted)/100], sorted[len(sorted)-1-len(sorted)/100]
	grey := make([]byte, len(celsius))
	for i, c := range celsius {
		grey[i] = byte(math.Round(255 * float64(min(max((c-low)/max(high-low, 0.1), 0), 1))))
	}
	return grey
}

package face

import "thermogate/camera/radiometry"

// What a camera that reads up to 10 °C wrong can read of skin: from a face in from the frost, at 15 °C, to a fever.
const (
	coldestSkin = 5
	hottestSkin = 50
)

func noSkin(celsius float32) bool { return celsius < coldestSkin || celsius > hottestSkin }

// onlySkin returns the picture with all that can be no skin as cold as skin can be, or, where it is too hot, at the scene's
// level: so neither that level nor what the network sees around a face hangs on a lamp, a radiator or the sky, and a cup
// before a face leaves no hole in it that is colder than all else. It is the picture itself where there is nothing of the kind
// or no temperatures, and valid until the next call.
func (d *Detector) onlySkin(img *radiometry.Image, level float32) *radiometry.Image {
	if img.Relative || !beyond(img.Celsius, coldestSkin, hottestSkin) {
		return img
	}
	d.skin.Width, d.skin.Height = img.Width, img.Height
	d.skin.Celsius = append(d.skin.Celsius[:0], img.Celsius...)
	for i, c := range d.skin.Celsius {
		switch {
		case c > hottestSkin:
			d.skin.Celsius[i] = level
		case c < coldestSkin:
			d.skin.Celsius[i] = coldestSkin
		}
	}
	return &d.skin
}

// showsSkin reports whether the middle of a box can be a face: at most a quarter of it is too hot, a cup before the mouth,
// and half is neither that nor too cold, as glasses in from the frost are. A picture without temperatures may show skin anywhere.
func showsSkin(img *radiometry.Image, f *Face) bool {
	if img.Relative {
		return true
	}
	within := func(v float32, size int) int { return min(max(int(v), 0), size) }
	left, right := within(f.X+f.W/4, img.Width), within(f.X+f.W*3/4+1, img.Width)
	top, bottom := within(f.Y+f.H/4, img.Height), within(f.Y+f.H*3/4+1, img.Height)
	pixels, hot, no := 0, 0, 0
	for y := top; y < bottom; y++ {
		for _, c := range img.Celsius[y*img.Width+left : y*img.Width+right] {
			pixels++
			if noSkin(c) {
				no++
			}
			if c > hottestSkin {
				hot++
			}
		}
	}
	return 4*hot <= pixels && 2*no <= pixels
}

// Package thermogram is a thermal picture for people's eyes: its range, its coldest and hottest spot, how sharp it is, and the
// picture itself as a PNG in which a face and the reference source are marked.
package thermogram

import (
	"math"

	"thermogate/camera/radiometry"
)

// The range leaves out a fiftieth of the coldest pixels and one in five hundred of the hottest.
const (
	coldPart = 0.02
	hotPart  = 0.002
)

// Range returns the temperatures between which a picture lies, without its outermost parts; 0 and 1 where there is none.
func Range(img *radiometry.Image) (low, high float64) {
	least, most := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, c := range img.Celsius { // comparisons that NaN, a pixel without a temperature, never passes
		if c < least {
			least = c
		}
		if c > most {
			most = c
		}
	}
	span := most - least
	if !(span > 0) || math.IsInf(float64(span), 0) {
		return 0, 1
	}
	const bins = 512
	var histogram [bins]int
	count := 0
	for _, c := range img.Celsius {
		if c == c {
			histogram[int((c-least)/span*(bins-1))]++
			count++
		}
	}
	at := func(part float64) float64 {
		left := int(part * float64(count))
		for i, n := range histogram {
			if left -= n; left < 0 {
				return float64(least) + float64(span)*float64(i)/(bins-1)
			}
		}
		return float64(most)
	}
	return at(coldPart), at(1 - hotPart)
}

// Spot is one pixel, and its temperature as the camera has it.
type Spot struct {
	X, Y    int
	Celsius float64
}

// Extremes returns the coldest and the hottest spot, false for a picture without a temperature.
func Extremes(img *radiometry.Image) (coldest, hottest Spot, ok bool) {
	low, high := -1, -1
	for i, c := range img.Celsius {
		if c != c {
			continue
		}
		if low < 0 || c < img.Celsius[low] {
			low = i
		}
		if high < 0 || c > img.Celsius[high] {
			high = i
		}
	}
	if low < 0 {
		return Spot{}, Spot{}, false
	}
	spot := func(i int) Spot { return Spot{i % img.Width, i / img.Width, float64(img.Celsius[i])} }
	return spot(low), spot(high), true
}

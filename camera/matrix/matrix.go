// Package matrix reads pictures that other programs saved as numbers: NumPy arrays (.npy) and tables of text (.csv).
package matrix

// Picture is one matrix of numbers. Exactly one of the slices is not nil.
type Picture struct {
	Width, Height int
	// Numbers holds Width*Height floating-point or signed numbers, Counts as many unsigned 16-bit ones, row by row.
	Numbers []float32
	Counts  []uint16
	// Signed is true where Numbers were 16-bit integers.
	Signed bool
	// Degrees is "F" or "K" where a heading says that Numbers are °F or kelvin.
	Degrees string
}

// Limits that no thermal camera reaches, so that a broken or hostile file costs an error and not the machine.
const (
	maxSide   = 4096
	maxPixels = 8 << 20
)

// resize returns values with n elements, in the same memory where that is large enough.
func resize[T any](values []T, n int) []T {
	if cap(values) < n {
		return make([]T, n)
	}
	return values[:n]
}

// Package radiometry turns sensor counts into temperatures.
package radiometry

// Image is one picture in degrees Celsius.
type Image struct {
	Width, Height int
	// Celsius holds Width*Height temperatures, row by row.
	Celsius []float32
	// Relative is true where the counts have no absolute scale (raw counts, 8-bit pictures): Celsius then only
	// orders and roughly spaces the pixels, good for finding faces and never for measuring.
	Relative bool
}

// At returns the temperature of one pixel.
func (m *Image) At(x, y int) float32 { return m.Celsius[y*m.Width+x] }

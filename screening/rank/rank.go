// Package rank finds what stands at a place in order, without putting all the rest in order.
package rank

// Nth returns the value that would stand at place n if values were sorted as slices.Sort does it, what is no number first
// (Hoare's selection). It puts them in another order.
func Nth[F ~float32 | ~float64](values []F, n int) F {
	none := 0
	for i, v := range values {
		if v != v {
			values[none], values[i] = v, values[none]
			none++
		}
	}
	if n < none {
		return values[n]
	}
	values, n = values[none:], n-none
	for len(values) > 1 {
		pivot := values[len(values)/2]
		low, high := 0, len(values)-1
		for low <= high {
			for values[low] < pivot {
				low++
			}
			for values[high] > pivot {
				high--
			}
			if low <= high {
				values[low], values[high] = values[high], values[low]
				low++
				high--
			}
		}
		switch {
		case n <= high:
			values = values[:high+1]
		case n >= low:
			values, n = values[low:], n-low
		default:
			return values[n]
		}
	}
	return values[0]
}

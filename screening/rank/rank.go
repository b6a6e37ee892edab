// Package rank finds what stands at a place in order, without putting all the rest in order.
package rank

import "slices"

// Nth returns the value that would stand at place n if values were sorted as slices.Sort does it, what is no number first
// (Hoare's selection). It puts them in another order: before that place none is greater, behind it none is less.
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
	for values, n = values[none:], n-none; ; {
		pivot := middle(values[0], values[len(values)/2], values[len(values)-1])
		below := 0
		for i, v := range values {
			values[i], values[below] = values[below], v
			below += one(v < pivot)
		}
		if n < below {
			values = values[:below]
			continue
		}
		values, n = values[below:], n-below
		same := 0
		for i, v := range values {
			values[i], values[same] = values[same], v
			same += one(v <= pivot)
		}
		if n < same {
			return pivot
		}
		values, n = values[same:], n-same
	}
}

// From returns the values that would stand at place n and behind, in order. It puts the others in another order.
func From[F ~float32 | ~float64](values []F, n int) []F {
	if n < len(values) {
		Nth(values, n)
	}
	slices.Sort(values[n:])
	return values[n:]
}

func middle[F ~float32 | ~float64](a, b, c F) F { return max(min(a, b), min(max(a, b), c)) }

// one is 1 for true. The compiler makes no jump of it, which a processor would foretell wrongly every other time.
func one(is bool) int {
	n := 0
	if is {
		n = 1
	}
	return n
}

package face

// nth returns the value that would stand at place n if values were sorted (Hoare's selection); it puts them in another order.
func nth(values []float32, n int) float32 {
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

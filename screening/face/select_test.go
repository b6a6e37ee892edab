package face

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		values := make([]float32, 1+random.IntN(40))
		for i := range values {
			values[i] = float32(random.IntN(1 + random.IntN(30)))
		}
		n := random.IntN(len(values))
		if want, got := slices.Sorted(slices.Values(values))[n], nth(slices.Clone(values), n); got != want {
			t.Fatalf("place %d of %v: %v instead of %v", n, values, got, want)
		}
	}
}

package rank

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		values := make([]float32, 1+random.IntN(40))
		for i := range values {
			if values[i] = float32(random.IntN(1 + random.IntN(30))); random.IntN(20) == 0 {
				values[i] = float32(math.NaN())
			}
		}
		n := random.IntN(len(values))
		want, got := slices.Sorted(slices.Values(values))[n], Nth(slices.Clone(values), n)
		if got != want && !(got != got && want != want) {
			t.Fatalf("place %d of %v: %v instead of %v", n, values, got, want)
		}
		n = random.IntN(len(values) + 1)
		if got, want := From(slices.Clone(values), n), slices.Sorted(slices.Values(values))[n:]; slices.Compare(got, want) != 0 {
			t.Fatalf("from place %d of %v: %v instead of %v", n, values, got, want)
		}
	}
}

package store

import (
	"math/rand/v2"
	"slices"
	"testing"

	"thermogate/screening/mqtt"
)

// TestSpansInOneGo: runs added one by one, in whatever order, are those of their union.
func TestSpansInOneGo(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var one, other, all spans
		for range dice.IntN(20) {
			from := dice.Int64N(60)
			span := mqtt.Span{From: from, To: from + dice.Int64N(5)}
			all = all.with(span.From, span.To)
			if dice.IntN(2) == 0 {
				one = one.with(span.From, span.To)
			} else {
				other = other.with(span.From, span.To)
			}
		}
		if got := one.union(other); !slices.Equal(got, all) {
			t.Fatalf("%v and %v are %v, want %v", one, other, got, all)
		}
		for n := range int64(70) { // what is left is what the one has and the other has not
			in := func(s spans) bool {
				return slices.ContainsFunc(s, func(span mqtt.Span) bool { return span.From <= n && n <= span.To })
			}
			if in(one.without(other)) != (in(one) && !in(other)) {
				t.Fatalf("%v without %v is %v", one, other, one.without(other))
			}
		}
	}
}

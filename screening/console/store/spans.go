package store

import (
	"cmp"
	"slices"

	"thermogate/screening/mqtt"
)

// spans are runs of sequence numbers in ascending order, which neither overlap nor touch.
type spans []mqtt.Span

// with adds a run. What comes in ascending order is appended, so that many take no long time; s itself stays as it was.
func (s spans) with(from, to int64) spans {
	if n := len(s); n == 0 || s[n-1].To < from-1 {
		return append(s, mqtt.Span{From: from, To: to})
	}
	first, _ := slices.BinarySearchFunc(s, from, func(span mqtt.Span, from int64) int {
		if span.To < from-1 {
			return -1
		}
		return 1
	})
	last := first
	for ; last < len(s) && s[last].From <= to+1; last++ {
		from, to = min(from, s[last].From), max(to, s[last].To)
	}
	return slices.Replace(slices.Clone(s), first, last, mqtt.Span{From: from, To: to})
}

// union is what is in either: as with, run by run, but in one go.
func (s spans) union(other spans) spans {
	all := slices.Concat(s, other)
	slices.SortFunc(all, func(a, b mqtt.Span) int { return cmp.Compare(a.From, b.From) })
	joined := all[:0]
	for _, span := range all {
		if n := len(joined); n > 0 && span.From <= joined[n-1].To+1 {
			joined[n-1].To = max(joined[n-1].To, span.To)
		} else {
			joined = append(joined, span)
		}
	}
	return joined
}

// without is what is in s and not in other.
func (s spans) without(other spans) spans {
	var rest spans
	for _, span := range s {
		from := span.From
		for _, cut := range other {
			if cut.From > span.To {
				break
			}
			if cut.To < from {
				continue
			}
			if cut.From > from {
				rest = append(rest, mqtt.Span{From: from, To: cut.From - 1})
			}
			from = cut.To + 1
		}
		if from <= span.To {
			rest = append(rest, mqtt.Span{From: from, To: span.To})
		}
	}
	return rest
}

// Holding is what the store has of one journal of a gate.
type Holding struct {
	Gate    mqtt.Gate
	Journal string
	held    spans
	missing spans // nobody can get them any more; less what came all the same
}

// Through is the sequence up to which everything is held that can be had.
func (h Holding) Through() int64 {
	if settled := h.settled(); len(settled) > 0 && settled[0].From == 1 {
		return settled[0].To
	}
	return 0
}

// End is the highest sequence that is held.
func (h Holding) End() int64 {
	if len(h.held) == 0 {
		return 0
	}
	return h.held[len(h.held)-1].To
}

// Gaps are the runs up to tail that are neither held nor known to be gone.
func (h Holding) Gaps(tail int64) []mqtt.Span {
	tail = max(tail, h.End())
	if tail < 1 {
		return nil
	}
	return spans{{From: 1, To: tail}}.without(h.settled())
}

// Missing are the runs that nobody can get any more.
func (h Holding) Missing() []mqtt.Span { return h.missing.without(h.held) }

func (h Holding) settled() spans { return h.held.union(h.missing) }

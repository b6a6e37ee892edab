package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"thermogate/screening/event"
)

// pace is how it went at a gate in a quarter of an hour or on a day, other than by outcome. It is kept as people and
// events are, with every event that comes.
//
// Only the first look of a visit waits: what repeats or revises an event has no seconds and stands in no queue.
type pace struct {
	events    int64
	received  int64 // when the newest event came in of a visit that has one then
	seconds   histogram
	queue     int64 // most people in view and without a verdict at one time
	queueAt   int64 // milliseconds since 1970
	busiest   int64 // people in the busiest quarter
	busiestAt int64 // the first such quarter
	baseline  mean
}

// add takes in more of the same time, or of another.
func (p *pace) add(more *pace) {
	p.events += more.events
	p.received = max(p.received, more.received)
	for _, bin := range more.seconds {
		p.seconds = p.seconds.with(bin.hundredths, bin.people)
	}
	p.baseline.sum, p.baseline.count = p.baseline.sum+more.baseline.sum, p.baseline.count+more.baseline.count
	if more.queue > p.queue || more.queue == p.queue && more.queueAt < p.queueAt {
		p.queue, p.queueAt = more.queue, more.queueAt
	}
	if more.busiest > p.busiest || more.busiest == p.busiest && more.busiestAt < p.busiestAt {
		p.busiest, p.busiestAt = more.busiest, more.busiestAt
	}
}

// mean is that of temperatures in hundredths of a degree.
type mean struct{ sum, count int64 }

func (m mean) celsius() float64 { return float64(m.sum) / float64(m.count) / 100 }

// What is told of a baseline or of seconds and lies beyond these is no measurement.
const (
	maxBaselineCelsius = 100
	maxSeconds         = 600
)

// histogram is how many people took so many hundredths of a second, in order of these.
type histogram []bin

type bin struct{ hundredths, people int64 }

func (h histogram) with(hundredths, people int64) histogram {
	at, found := slices.BinarySearchFunc(h, hundredths, func(b bin, wanted int64) int { return cmp.Compare(b.hundredths, wanted) })
	if found {
		h[at].people += people
		return h
	}
	return slices.Insert(h, at, bin{hundredths, people})
}

// quantile is the least number of seconds within which a share of the people had their verdict; NaN of nobody.
func (h histogram) quantile(share float64) float64 {
	var all, sum int64
	for _, b := range h {
		all += b.people
	}
	for _, b := range h {
		if sum += b.people; float64(sum) >= share*float64(all) {
			return float64(b.hundredths) / 100
		}
	}
	return math.NaN()
}

// pack writes for each bin how much more it is than the one before, and its people.
func (h histogram) pack() []byte {
	packed := make([]byte, 0, 3*len(h))
	var last int64
	for _, b := range h {
		packed = binary.AppendUvarint(packed, uint64(b.hundredths-last))
		packed = binary.AppendUvarint(packed, uint64(b.people))
		last = b.hundredths
	}
	return packed
}

func unpack(packed []byte) (histogram, error) {
	var h histogram
	var last int64
	for len(packed) > 0 {
		more, n := binary.Uvarint(packed)
		people, m := binary.Uvarint(packed[max(n, 0):])
		if n <= 0 || m <= 0 {
			return nil, fmt.Errorf("a count of seconds in the store is broken")
		}
		packed, last = packed[n+m:], last+int64(more)
		h = append(h, bin{last, int64(people)})
	}
	return h, nil
}

// look is one from when somebody was first seen to before the verdict, in milliseconds since 1970.
type look struct{ from, to int64 }

// lookOf is the first look of a visit. One that is said to be longer than a quarter of an hour is that of a clock which
// was set meanwhile.
func lookOf(at int64, data *lookData) (l look, ok bool) {
	l = look{data.FirstSeen.UnixMilli(), at}
	return l, data.RescreenOf == "" && data.Revises == "" && !data.FirstSeen.IsZero() && l.from < l.to && l.to-l.from <= quarterMilliseconds
}

// lookData is what of an event is about its look.
type lookData struct {
	FirstSeen       time.Time `json:"first_seen"`
	RescreenOf      string    `json:"rescreen_of"`
	Revises         string    `json:"revises"`
	BaselineCelsius *float64  `json:"baseline_celsius"`
}

func lookDataOf(d *event.Data) *lookData {
	return &lookData{d.FirstSeen, d.RescreenOf, d.Revises, d.BaselineCelsius}
}

// quarters are those in which a look was.
func (l look) quarters() []int64 {
	from, to := floorDiv(l.from, quarterMilliseconds), floorDiv(l.to-1, quarterMilliseconds)
	if from == to {
		return []int64{from}
	}
	return []int64{from, to}
}

// queue is who looked into the camera during a quarter: when there was one more or less of them, in order.
type queue []step

type step struct {
	at   int64
	more int64 // 1 or -1
}

func (q queue) with(l look, quarter int64) queue {
	from, to := max(l.from, quarter*quarterMilliseconds), min(l.to, (quarter+1)*quarterMilliseconds)
	for _, s := range []step{{from, 1}, {to, -1}} {
		at, _ := slices.BinarySearchFunc(q, s, func(a, b step) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.more, b.more)) })
		q = slices.Insert(q, at, s)
	}
	return q
}

// longest is the most at one time, and when that was first.
func (q queue) longest() (most, at int64) {
	var now int64
	for _, s := range q {
		if now += s.more; now > most {
			most, at = now, s.at
		}
	}
	return most, at
}

package badge

import (
	"path/filepath"
	"testing"
	"time"
)

// TestRequestsThatWereHeldUp: a request says when it was sent by a clock that may be wrong. One that was under way for seconds is
// taken for nobody's, for whoever has read is gone by then.
func TestRequestsThatWereHeldUp(t *testing.T) {
	type request struct {
		came float64 // seconds
		lag  float64 // by how much the sender's clock says that it was sent before
		want Result
	}
	for name, requests := range map[string][]request{
		"in time":                          {{0, 0.3, Taken}, {10, 1.2, Taken}, {20, 1.9, Taken}},
		"held up":                          {{0, 0.3, Taken}, {10, 8, Late}, {11, 0.4, Taken}},
		"the first":                        {{0, 8, Late}, {1, 0.4, Taken}, {10, 8, Late}},
		"a slow clock":                     {{0, 20.3, Late}, {10, 20.9, Taken}, {20, 21.2, Taken}, {30, 27, Late}},
		"a fast clock":                     {{0, -20.3, Taken}, {10, -19.5, Taken}, {20, -12, Late}, {30, -20.2, Taken}},
		"a clock that is set back":         {{0, 0.3, Taken}, {10, 15.3, Late}, {300, 15.8, Late}, {615, 15.4, Late}, {616, 15.2, Taken}},
		"a clock that is put right":        {{0, 15.3, Late}, {10, 15.3, Taken}, {20, 0.3, Taken}, {30, 15, Late}},
		"in time after all, again and ago": {{0, 0.3, Taken}, {10, 9, Late}, {500, 0.2, Taken}, {615, 9, Late}, {616, 9, Late}},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
			for _, r := range requests {
				came := start.Add(time.Duration(r.came * float64(time.Second)))
				read := Read{At: came, Sent: came.Add(-time.Duration(r.lag * float64(time.Second))), Kind: Webhook, Reader: "turnstile", Text: "1047"}
				if got, _ := d.Take(read); got != r.want {
					t.Errorf("after %v s, sent %v s before: %s, want %s", r.came, r.lag, got, r.want)
				}
				read.Reader, read.Made = "another", came
				if got, _ := d.Take(read); got != Taken {
					t.Errorf("after %v s another reader's with a time of its own is %s", r.came, got)
				}
			}
		})
	}
}

// TestClockThatGoesSlow: nobody sets the clock of a turnstile, which loses two seconds a day, and nobody reads from Saturday on.
func TestClockThatGoesSlow(t *testing.T) {
	d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
	reads, late := 0, 0
	for day := range 14 {
		for minute := 8 * 60; minute < 18*60 && day%7 < 5; minute++ {
			came := start.Add(time.Duration(day*24*60+minute)*time.Minute + time.Duration(minute%10)*100*time.Millisecond)
			lost := time.Duration(float64(came.Sub(start)) * 2 / 86400)
			read := Read{At: came, Sent: came.Add(-lost - 200*time.Millisecond).Truncate(time.Second), Kind: Webhook, Reader: "turnstile", Text: "1047"}
			got, _ := d.Take(read)
			if reads++; got == Late {
				late++
			}
		}
	}
	if late > 1 { // after the weekend
		t.Errorf("%d of %d that came at once are said to be late", late, reads)
	}
}

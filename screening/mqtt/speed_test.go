package mqtt

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkVerdictToSubscriber is the way from Append, with its sync to disk, to a subscriber of a mosquitto on this
// machine, one event at a time.
func BenchmarkVerdictToSubscriber(b *testing.B) {
	broker := startMosquitto(b)
	sub := subscribe(b, broker.address(), "thermogate/plant/north/screening/#")
	j := openJournal(b)
	c, _ := run(b, testConfig(broker.address()), j, nil)
	waitConnected(b, c)
	var took []time.Duration
	for n := 1; b.Loop(); n++ {
		began := time.Now()
		if err := j.Append(b.Context(), sample(n)); err != nil {
			b.Fatal(err)
		}
		messages := sub.waitFor(b, atLeast(n))
		took = append(took, messages[n-1].at.Sub(began))
	}
	reportPercentiles(b, took)
}

func reportPercentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	milliseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(milliseconds(took[len(took)/2]), "ms-median")
	b.ReportMetric(milliseconds(took[len(took)*99/100]), "ms-p99")
	b.ReportMetric(milliseconds(took[len(took)-1]), "ms-most")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOutageDrain is what follows an outage of 8 hours: 30,000 events wait, and fresh ones keep coming.
func BenchmarkOutageDrain(b *testing.B) {
	const waiting = 30_000
	for b.Loop() {
		b.StopTimer()
		broker := startMosquitto(b)
		sub := subscribe(b, broker.address(), "thermogate/plant/north/screening/#")
		j := openJournal(b)
		appendEvents(b, j, 1, waiting)
		c, err := New(testConfig(broker.address()), testGate, j, nil, quietLog)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		began := time.Now()
		end := start(b, c)
		waitConnected(b, c)
		added := 0
		for c.State().Backlog > 0 {
			added++
			if err := j.Append(b.Context(), sample(waiting+added)); err != nil {
				b.Fatal(err)
			}
			time.Sleep(250 * time.Millisecond)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-drain")
		messages := sub.waitFor(b, atLeast(waiting+added))
		fresh, backlog := screenings(messages)
		if len(fresh) != added || len(backlog) != waiting {
			b.Errorf("%d of %d fresh, %d of %d from the backlog", len(fresh), added, len(backlog), waiting)
		}
		var took []time.Duration
		for _, m := range messages {
			if !m.event.Data.Historical {
				took = append(took, m.at.Sub(m.event.Time))
			}
		}
		reportPercentiles(b, took)
		end()
	}
}

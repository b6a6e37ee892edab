package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// TestAlertsAreThereWithinASecond has 50 gates with an event a second each and 20 browsers, which fetch the alerts when
// the stream says that they have changed.
func TestAlertsAreThereWithinASecond(t *testing.T) {
	if testing.Short() {
		t.Skip("a limit on time")
	}
	const browsers, gates, seconds = 20, 50, 10
	c := start(t)
	password := c.account("lina", "Li Na", store.Guard, mqtt.Gate{})
	raised := map[string]time.Time{}
	var mu sync.Mutex
	var delays []time.Duration
	var all sync.WaitGroup
	first := c.client("lina", password)
	for range browsers {
		b := &client{c, &http.Client{Jar: first.Jar}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server.URL+"/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := b.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		events := &stream{t: t, body: answer.Body}
		all.Go(func() {
			seen, version := map[string]bool{}, ""
			for len(seen) < seconds {
				kind, data := events.next()
				if kind == "" {
					return
				}
				var message struct{ Parts map[string]string }
				if kind != "now" || json.Unmarshal([]byte(data), &message) != nil || message.Parts["alerts"] == version {
					continue
				}
				version = message.Parts["alerts"]
				_, body := b.get("/?part=alerts")
				now := time.Now()
				mu.Lock()
				for id, at := range raised {
					if !seen[id] && strings.Contains(body, id) {
						seen[id] = true
						delays = append(delays, now.Sub(at))
					}
				}
				mu.Unlock()
			}
		})
	}
	tick := time.NewTicker(time.Second / gates)
	defer tick.Stop()
	for n := range gates * seconds {
		<-tick.C
		gate := mqtt.Gate{Site: "plant", Name: fmt.Sprint("gate ", n%gates)}
		if n%gates != gates/2 {
			c.add(gate, time.Now(), event.Pass, event.BelowThreshold)
			continue
		}
		e := c.make(gate, time.Now(), event.Alert, event.AboveThreshold)
		mu.Lock()
		raised[e.ID] = time.Now()
		mu.Unlock()
		c.addAll(e)
	}
	all.Wait()
	if len(delays) != browsers*seconds {
		t.Fatalf("%d of %d alerts reached browsers", len(delays), browsers*seconds)
	}
	slices.Sort(delays)
	p50, p99 := delays[len(delays)/2], delays[len(delays)*99/100]
	t.Logf("from the event to its alert in %d browsers: p50 %v, p99 %v", browsers, p50.Round(time.Millisecond), p99.Round(time.Millisecond))
	if p99 > time.Second {
		t.Errorf("p99 is %v", p99)
	}
}

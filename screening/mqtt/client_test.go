package mqtt

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func screenings(messages []message) (fresh, backlog []string) {
	seen := map[string]bool{}
	for _, m := range messages {
		e := m.event
		switch {
		case seen[e.ID]:
		case e.Data.Historical:
			backlog = append(backlog, e.ID)
		default:
			fresh = append(fresh, e.ID)
		}
		seen[e.ID] = true
	}
	return fresh, backlog
}

func TestEventsReachASubscriberUnchanged(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), "thermogate/plant/+/screening/#")
	j := openJournal(t)
	c, _ := run(t, testConfig(broker.address()), j, nil)
	waitConnected(t, c)
	want := sample(1)
	skin := 35.25
	want.Data.SkinCelsius = &skin
	if err := j.Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got := sub.waitFor(t, atLeast(1))[0]
	if got.topic != "thermogate/plant/north/screening/pass" || got.retained {
		t.Errorf("came on %s, retained %v", got.topic, got.retained)
	}
	want.Journal, want.Sequence = j.Tail().Journal, "1"
	payload, _ := json.Marshal(want)
	if string(got.payload) != string(payload) {
		t.Errorf("published %s\nwant %s", got.payload, payload)
	}
	eventually(t, func() bool { return c.State().Backlog == 0 && c.State().Confirmed == 1 })
}

func waitConnected(t testing.TB, c *Client) {
	t.Helper()
	eventually(t, func() bool { return c.State().Connected })
}

func eventually(t testing.TB, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited a minute in vain")
		}
	}
}

func TestFreshEventsPassTheBacklog(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	j := openJournal(t)
	for n := 1; n <= 300; n++ {
		appendEvents(t, j, n, n)
	}
	cfg := testConfig(broker.address())
	cfg.BacklogPerSecond = 200
	c, _ := run(t, cfg, j, nil)
	sub.waitFor(t, atLeast(50)) // in the midst of the backlog
	appendEvents(t, j, 301, 302)
	before := len(sub.all())
	messages := sub.waitFor(t, atLeast(302))
	fresh, backlog := screenings(messages)
	if len(fresh) != 2 || len(backlog) != 300 {
		t.Errorf("%d fresh, %d from the backlog", len(fresh), len(backlog))
	}
	if !slices.IsSorted(backlog) {
		t.Error("the backlog is out of order")
	}
	if at := slices.IndexFunc(messages, func(m message) bool { return !m.event.Data.Historical }); at > before+100 {
		t.Errorf("%d events of the backlog came before the fresh one, which was made after %d", at, before)
	}
	eventually(t, func() bool { return c.State().Backlog == 0 })
}

// TestFreshEventIsNotBacklogToo has an event on its way to the broker at the moment the backlog is opened.
func TestFreshEventIsNotBacklogToo(t *testing.T) {
	broker := startMosquitto(t)
	link := newLink(t, broker.address())
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	j := openJournal(t)
	c := newClient(t, testConfig(link.address()), j, nil)
	start(t, c)
	waitConnected(t, c)
	link.freeze()
	appendEvents(t, j, 1, 1)
	<-time.After(2 * c.timing.settle) // the backlog opens meanwhile
	link.mend()
	appendEvents(t, j, 2, 2)
	eventually(t, func() bool { return c.State().Backlog == 0 })
	for i, m := range sub.waitFor(t, atLeast(2)) {
		if m.event.ID != sample(i+1).ID || m.event.Data.Historical {
			t.Errorf("event %d came as %s, historical %v", i+1, m.event.ID, m.event.Data.Historical)
		}
	}
}

func TestSubscriberThatComesBackLateToABrokerWithoutMemory(t *testing.T) {
	broker := startMosquitto(t)
	j := openJournal(t)
	c := newClient(t, testConfig(broker.address()), j, nil)
	c.timing.again = 3 * time.Second
	start(t, c)
	waitConnected(t, c)
	appendEvents(t, j, 1, 5)
	eventually(t, func() bool { return c.State().Confirmed == 5 })
	broker.kill() // it keeps nothing on disk
	broker.start()
	eventually(t, func() bool { return c.State().Confirmed == 10 }) // sent again, and nobody there yet
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	sub.waitFor(t, func(messages []message) bool {
		_, backlog := screenings(messages)
		return len(backlog) == 5
	})
}

func TestLastEventBeforeTheEndIsConfirmed(t *testing.T) {
	broker := startMosquitto(t)
	link := newLink(t, broker.address())
	j := openJournal(t)
	c, end := run(t, testConfig(link.address()), j, nil)
	waitConnected(t, c)
	appendEvents(t, j, 1, 1)
	eventually(t, func() bool { return c.State().Confirmed == 1 })
	link.delay.Store(int64(20 * time.Millisecond))
	appendEvents(t, j, 2, 20)
	end()
	eventually(t, func() bool { return j.Stats().Pending == 0 }) // the journal notes it in its own time
}

func TestStatusAndLastWill(t *testing.T) {
	broker := startMosquitto(t)
	link := newLink(t, broker.address())
	j := openJournal(t)
	c := newClient(t, testConfig(link.address()), j, nil)
	c.SetStatus(Status{Version: "1.2.3", Camera: "ok", Reference: "ok"})
	c.TellSettings(Settings{Hash: "abcd", Written: time.Now(), Values: map[string]string{"policy.kind": "both"}})
	end := start(t, c)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/status")
	status := func(want StatusMessage) func([]message) bool {
		return func(messages []message) bool {
			if len(messages) == 0 {
				return false
			}
			var got StatusMessage
			if err := json.Unmarshal(messages[len(messages)-1].payload, &got); err != nil {
				t.Fatal(err)
			}
			return got.State == want.State && got.Status == want.Status && time.Since(got.Since) < time.Minute
		}
	}
	online := StatusMessage{State: "online", Status: Status{Version: "1.2.3", Camera: "ok", Reference: "ok"}}
	offline := StatusMessage{State: "offline", Status: Status{Version: "1.2.3"}}
	sub.waitFor(t, status(online))
	c.SetStatus(Status{Version: "1.2.3", Camera: "lost"})
	sub.waitFor(t, status(StatusMessage{State: "online", Status: Status{Version: "1.2.3", Camera: "lost"}}))
	link.cut() // the broker publishes the last will
	sub.waitFor(t, status(offline))
	link.mend()
	sub.waitFor(t, status(StatusMessage{State: "online", Status: Status{Version: "1.2.3", Camera: "lost"}}))
	soon := subscribe(t, broker.address(), "thermogate/plant/north/status")
	var kept StatusMessage
	if m := soon.waitFor(t, atLeast(1))[0]; json.Unmarshal(m.payload, &kept) != nil || kept.Settings == nil || kept.Settings.Values["policy.kind"] != "both" {
		t.Errorf("the retained status does not tell the settings: %s", m.payload)
	}
	end()
	sub.waitFor(t, status(offline))
	late := subscribe(t, broker.address(), "thermogate/plant/north/status")
	if m := late.waitFor(t, atLeast(1))[0]; !m.retained {
		t.Error("the status is not retained")
	}
}

// TestTwoMachinesOfOneName: both say so while they throw each other off, and not only at the moment of that.
func TestTwoMachinesOfOneName(t *testing.T) {
	m := startMosquitto(t)
	one, _ := run(t, testConfig(m.address()), openJournal(t), nil)
	waitConnected(t, one)
	if one.State().Doubled {
		t.Error("one machine counts as two")
	}
	other, stop := run(t, testConfig(m.address()), openJournal(t), nil)
	eventually(t, func() bool { return one.State().Doubled && other.State().Doubled })
	stop()
	waitConnected(t, one)
	if !one.State().Doubled {
		t.Error("it is forgotten with the next connection")
	}
}

// TestABrokerThatStartsAgainMakesNoTwo: the will of one's own earlier connection is nobody else's word.
func TestABrokerThatStartsAgainMakesNoTwo(t *testing.T) {
	m := startMosquitto(t)
	path := newLink(t, m.address())
	c, _ := run(t, testConfig(path.address()), openJournal(t), nil)
	for n := range 3 {
		waitConnected(t, c)
		path.cut()
		eventually(t, func() bool { return !c.State().Connected })
		path.mend()
		if c.State().Doubled {
			t.Fatalf("after cut %d one machine counts as two", n+1)
		}
	}
}

package mqtt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"thermogate/screening/event"
	"thermogate/testdata"
)

// rules starts a mosquitto with these access rules for everybody, and returns how to change them while it runs.
func rules(t *testing.T, lines string) (broker *mosquitto, change func(lines string)) {
	t.Helper()
	acl := filepath.Join(t.TempDir(), "acl")
	write := func(lines string) {
		if err := os.WriteFile(acl, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(lines)
	broker = startMosquitto(t, "allow_anonymous true", "acl_file "+acl,
		"max_queued_messages 1000") // with 0, mosquitto 2.0.11 hangs up on whoever publishes what it denies
	return broker, func(lines string) {
		write(lines)
		broker.process.Process.Signal(syscall.SIGHUP) // reads them again
	}
}

// TestBrokerThatDeniesTheEventsOnly lets a gate write its status and throws its alerts away, until somebody sees to it.
func TestBrokerThatDeniesTheEventsOnly(t *testing.T) {
	const own = "topic readwrite thermogate/plant/north/status\ntopic read thermogate/plant/north/screening/#\ntopic write thermogate/plant/north/screening/pass\n"
	broker, change := rules(t, own)
	j := openJournal(t)
	c := newClient(t, testConfig(broker.address()), j, nil)
	c.timing.proof, c.timing.again = 500*time.Millisecond, time.Second
	end := start(t, c)
	waitConnected(t, c)
	for n := 1; n <= 10; n++ {
		e := sample(n)
		if n%2 == 0 {
			e.Data.Outcome = event.Alert
		}
		if err := j.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var kept []string
	eventually(t, func() bool { // it says so while passes are still on their way
		pending, err := j.Pending(t.Context(), 0, j.Last(), 100)
		if err != nil {
			t.Fatal(err)
		}
		kept = nil
		for _, entry := range pending {
			kept = append(kept, entry.Event.ID)
		}
		return strings.Contains(c.State().LastError, "thermogate/plant/north/screening/alert") && len(kept) <= 5
	})
	if want := []string{sample(2).ID, sample(4).ID, sample(6).ID, sample(8).ID, sample(10).ID}; !slices.Equal(kept, want) {
		t.Errorf("alerts that the broker threw away count as delivered: %v are kept", kept)
	}
	if got := c.State(); !strings.Contains(got.LastError, `allow user ""`) {
		t.Errorf("it says %q", got.LastError)
	}
	change(own + "topic write thermogate/plant/north/screening/alert\n")
	eventually(t, func() bool { return c.State().Backlog == 0 && c.State().LastError == "" })
	change(own)
	e := sample(11)
	e.Data.Outcome = event.Alert
	if err := j.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	end()
	status := subscribe(t, broker.address(), testGate.StatusTopic())
	if got := lastStatus(t, status.waitFor(t, atLeast(1))); got.State != "offline" {
		t.Errorf("after the end the status is %+v", got)
	}
}

// TestReceiverProvesWhatTheGateMayNotRead has a broker that does hand on what a gate publishes, though not to the gate.
func TestReceiverProvesWhatTheGateMayNotRead(t *testing.T) {
	broker, _ := rules(t, "topic readwrite thermogate/plant/north/status\ntopic readwrite thermogate/plant/north/stored\ntopic write thermogate/plant/north/screening/#\n")
	j := openJournal(t)
	c, _ := run(t, testConfig(broker.address()), j, nil)
	waitConnected(t, c)
	appendEvents(t, j, 1, 5)
	receiver := subscribe(t, broker.address(), "none")
	receiver.client.Publish(testGate.StoredTopic(), 1, true, word(j, "console", 4)).Wait()
	eventually(t, func() bool { return c.State().Confirmed == 4 })
	if got := c.State(); got.Backlog < 1 {
		t.Errorf("state %+v", got)
	}
}

// noReading is a broker's rule that nobody may subscribe to events; mosquitto grants what it then does not hand on.
type noReading struct {
	mochi.HookBase
	status atomic.Bool // may be read
}

func (*noReading) ID() string { return "no reading" }

func (*noReading) Provides(method byte) bool {
	return method == mochi.OnConnectAuthenticate || method == mochi.OnACLCheck
}

func (*noReading) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (r *noReading) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	switch {
	case write:
		return true
	case topic == testGate.StatusTopic():
		return r.status.Load()
	}
	return !strings.Contains(topic, "/screening/")
}

// TestBrokerThatRefusesTheSubscription leaves a gate with the proof that its status gives, which it says.
func TestBrokerThatRefusesTheSubscription(t *testing.T) {
	for _, status := range []bool{true, false} {
		t.Run(fmt.Sprint("status ", status), func(t *testing.T) {
			server := mochi.New(&mochi.Options{Logger: quietLog})
			rule := new(noReading)
			rule.status.Store(status)
			server.AddHook(rule, nil)
			address := testdata.FreeAddress(t)
			if err := server.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: address})); err != nil {
				t.Fatal(err)
			}
			go server.Serve()
			t.Cleanup(func() { server.Close() })
			j := openJournal(t)
			c := newClient(t, testConfig(address), j, nil)
			c.timing.proof = 300 * time.Millisecond
			start(t, c)
			waitConnected(t, c)
			if !status {
				appendEvents(t, j, 1, 1)
				eventually(t, func() bool { return strings.Contains(c.State().LastError, "events stay in the journal") })
				if got := c.State(); got.Confirmed != 0 || got.Backlog != 1 {
					t.Errorf("state %+v", got)
				}
				return
			}
			eventually(t, func() bool { return strings.Contains(c.State().LastError, "nobody knows whether it hands them on") })
			appendEvents(t, j, 1, 1)
			eventually(t, func() bool { return c.State().Confirmed == 1 })
		})
	}
}

// TestFirstConnectionSendsAgain has a gate and its broker killed together, and what the broker held lost.
func TestFirstConnectionSendsAgain(t *testing.T) {
	broker := startMosquitto(t)
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openJournalAt(t, path)
	c, end := run(t, testConfig(broker.address()), j, nil)
	waitConnected(t, c)
	appendEvents(t, j, 1, 5)
	eventually(t, func() bool { return c.State().Confirmed == 5 })
	end()
	if err := j.Close(); err != nil { // orderly, so that nothing about the journal tells of it
		t.Fatal(err)
	}
	broker.kill()
	broker.start()
	sub := subscribe(t, broker.address(), testGate.ScreeningTopic("+"))
	run(t, testConfig(broker.address()), openJournalAt(t, path), nil)
	sub.waitFor(t, func(messages []message) bool {
		_, backlog := screenings(messages)
		return len(backlog) == 5
	})
}

// TestForgedEventIsRefused has somebody leave a pass on the broker.
func TestForgedEventIsRefused(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), testGate.ScreeningTopic("+"))
	sub.client.Publish(testGate.ScreeningTopic("pass"), 1, true, `{"id":"forged"}`).Wait()
	c, _ := run(t, testConfig(broker.address()), openJournal(t), nil)
	eventually(t, func() bool { return c.State().Refused == 1 })
}

package mqtt

import (
	"fmt"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// TestSnapshotsAreForWhoIsThere publishes pictures before there is a broker, and while a subscriber with a kept session is
// away.
func TestSnapshotsAreForWhoIsThere(t *testing.T) {
	b := startBroker(t, localBroker())
	j := openJournal(t)
	c := newClient(t, ownConfig(b), j, nil)
	for i := range 10 { // more than wait
		if err := c.PublishSnapshot(fmt.Sprint("early-", i), []byte("picture")); err != nil {
			t.Fatal(err)
		}
	}
	there := subscribe(t, b.Address, testGate.SnapshotTopic("+"))
	away := join(t, b.Address, "away", lastingSession)
	var missed inbox
	done(t, away.Subscribe("#", 1, missed.receive))
	away.Disconnect(0)
	start(t, c)
	waitConnected(t, c)
	messages := there.waitFor(t, atLeast(snapshotsWaiting))
	if messages[0].topic != testGate.SnapshotTopic("early-6") || string(messages[3].payload) != "picture" {
		t.Errorf("the newest do not come: %s, %s", messages[0].topic, messages[3].payload)
	}
	if late := subscribe(t, b.Address, testGate.SnapshotTopic("+")); len(late.all()) > 0 {
		t.Error("a picture is retained")
	}
	if err := c.PublishSnapshot("large", []byte(strings.Repeat("x", MaxSnapshotBytes+1))); err == nil {
		t.Error("a picture of any size is published")
	}
	appendEvents(t, j, 1, 1)
	eventually(t, func() bool { return c.State().Confirmed == 1 })
	join(t, b.Address, "away", lastingSession, func(o *paho.ClientOptions) { o.SetDefaultPublishHandler(missed.receive) })
	eventually(t, func() bool { return strings.Contains(strings.Join(missed.all(), " "), sample(1).ID) })
	if got := strings.Join(missed.all(), " "); strings.Contains(got, "picture") {
		t.Errorf("the broker has kept a picture: %s", got)
	}
}

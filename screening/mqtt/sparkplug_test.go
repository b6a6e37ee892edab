package mqtt

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// edge returns what the edge node of the test gate has published.
func edge(t testing.TB, messages []message) []decoded {
	t.Helper()
	var published []decoded
	for _, m := range messages {
		if strings.HasPrefix(m.topic, "spBv1.0/STATE/") || strings.HasPrefix(m.topic, "spBv1.0/plant/NCMD/") {
			continue // of hosts
		}
		kind := strings.Split(m.topic, "/")[2]
		device := ""
		if kind[0] == 'D' {
			device = "/screening"
		}
		if want := "spBv1.0/plant/" + kind + "/north" + device; m.topic != want || m.retained {
			t.Errorf("published to %s, retained %v; want %s", m.topic, m.retained, want)
		}
		d := decode(t, m.payload)
		d.Kind = kind
		published = append(published, d)
	}
	return published
}

func kinds(published []decoded) string {
	var kinds []string
	for _, d := range published {
		kinds = append(kinds, d.Kind)
	}
	return strings.Join(kinds, " ")
}

// newEdge returns a client that is an edge node whose camera works, and a host's view of it.
func newEdge(t testing.TB, address, gateAddress string) (*Client, *subscriber) {
	t.Helper()
	host := subscribe(t, address, "spBv1.0/#")
	cfg := testConfig(gateAddress)
	cfg.Sparkplug.Enabled = true
	c := newClient(t, cfg, openJournal(t), nil)
	c.SetStatus(Status{Version: "1.2.3", Camera: "ok"})
	return c, host
}

func TestSparkplugLife(t *testing.T) {
	broker := startMosquitto(t)
	c, host := newEdge(t, broker.address(), broker.address())
	end := start(t, c)
	step := func(count int) []decoded {
		t.Helper()
		return edge(t, host.waitFor(t, atLeast(count)))
	}

	born := step(2)
	if diff := cmp.Diff(decoded{
		Kind: "NBIRTH",
		Metrics: map[string]any{"bdSeq": uint64(0), "Node Control/Rebirth": false, "Properties/Version": "1.2.3",
			"camera": "ok", "reference": "ok", "paused": false},
		Datatypes: map[string]uint32{"bdSeq": 4, "Node Control/Rebirth": 11, "Properties/Version": 12,
			"camera": 12, "reference": 12, "paused": 11},
	}, born[0]); diff != "" {
		t.Error(diff)
	}
	if device := born[1]; device.Kind != "DBIRTH" || device.Seq != 1 || device.Metrics["skin_celsius"] != nil || device.Datatypes["skin_celsius"] != 10 {
		t.Errorf("born as %+v", device)
	}

	waitConnected(t, c) // what was decided before is told as historical
	e := sample(1)
	skin := 35.25
	e.Data.SkinCelsius = &skin
	if err := c.journal.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	told := step(3)[2]
	if told.Kind != "DDATA" || told.Historical || len(told.Datatypes) > 0 || told.Metrics["id"] != e.ID ||
		told.Metrics["outcome"] != "pass" || told.Metrics["skin_celsius"] != 35.25 || told.Metrics["body_celsius"] != nil {
		t.Errorf("told %+v", told)
	}
	for name := range told.Metrics {
		if _, ok := born[1].Datatypes[name]; !ok {
			t.Errorf("%s was not in the birth", name)
		}
	}

	host.client.Publish("spBv1.0/plant/NCMD/north", 0, false, rebirthRequest()).Wait()
	again := step(6)[3:]
	if kinds(again) != "NBIRTH DBIRTH" || again[0].Metrics["bdSeq"] != uint64(0) || again[1].Metrics["skin_celsius"] != 35.25 {
		t.Errorf("a rebirth gave %+v", again)
	}

	c.SetStatus(Status{Version: "1.2.3", Camera: "lost"})
	if lost := step(8)[5:]; kinds(lost) != "NDATA DDEATH" || lost[0].Metrics["camera"] != "lost" {
		t.Errorf("without a camera: %+v", lost)
	}
	appendEvents(t, c.journal, 2, 2) // decided just before that
	if late := step(11)[7:]; kinds(late) != "DBIRTH DDATA DDEATH" || late[1].Metrics["id"] != sample(2).ID {
		t.Errorf("an event without a camera: %+v", late)
	}

	end()
	all := step(12)
	if death := all[10]; death.Kind != "NDEATH" || death.Seq != -1 || death.Metrics["bdSeq"] != uint64(0) {
		t.Errorf("died as %+v", death)
	}
	for i, d := range all[3:10] { // since the rebirth
		if d.Seq != i {
			t.Errorf("message %d after the rebirth, %s, has number %d", i, d.Kind, d.Seq)
		}
	}
}

func TestSparkplugDeathOfABrokenConnection(t *testing.T) {
	broker := startMosquitto(t)
	link := newLink(t, broker.address())
	c, host := newEdge(t, broker.address(), link.address())
	start(t, c)
	host.waitFor(t, atLeast(2))
	appendEvents(t, c.journal, 1, 1)
	host.waitFor(t, atLeast(3))
	link.cut()
	cut := edge(t, host.waitFor(t, atLeast(4)))
	if death := cut[3]; death.Kind != "NDEATH" || death.Metrics["bdSeq"] != cut[0].Metrics["bdSeq"] {
		t.Errorf("died as %+v", death)
	}
	eventually(t, func() bool { return !c.State().Connected }) // what it publishes before it sees that is not told as historical
	for n := 2; n <= 5; n++ {
		appendEvents(t, c.journal, n, n)
	}
	link.mend()
	var after []decoded
	host.waitFor(t, func(messages []message) bool {
		after = edge(t, messages)[4:]
		return len(after) >= 2+5 // and event 1 once more, for the broker may have lost it
	})
	if after[0].Kind != "NBIRTH" || after[0].Seq != 0 || after[0].Metrics["bdSeq"] == cut[0].Metrics["bdSeq"] || after[1].Kind != "DBIRTH" {
		t.Errorf("born again as %+v", after[:2])
	}
	var ids []any
	for _, d := range after[2:] {
		ids = append(ids, d.Metrics["id"])
		if d.Kind != "DDATA" || !d.Historical {
			t.Errorf("what waited came as %+v", d)
		}
	}
	if diff := cmp.Diff([]any{sample(1).ID, sample(2).ID, sample(3).ID, sample(4).ID, sample(5).ID}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestSparkplugNumbersMessagesFrom0To255(t *testing.T) {
	broker := startMosquitto(t)
	c, host := newEdge(t, broker.address(), broker.address())
	start(t, c)
	host.waitFor(t, atLeast(2))
	appendEvents(t, c.journal, 1, 300)
	for i, d := range edge(t, host.waitFor(t, atLeast(302))) {
		if d.Seq != i%256 {
			t.Fatalf("message %d has number %d", i, d.Seq)
		}
	}
}

// TestSparkplugHoldsNothingUp has a gate whose edge node never gets a connection.
func TestSparkplugHoldsNothingUp(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	c, _ := newEdge(t, broker.address(), broker.address())
	c.timing.sparkplug = time.Second
	const waiting = sparkplugQueue + 100
	appendEvents(t, c.journal, 1, waiting)
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { c.reconnecting(ctx, c.connectOnce, c.disconnected) })
	t.Cleanup(func() { cancel(); ended.Wait() })
	sub.waitFor(t, atLeast(waiting))
	eventually(t, func() bool { return c.State().Backlog == 0 })
	if got := c.State().Skipped; got != waiting-sparkplugQueue {
		t.Errorf("%d events are counted as not told", got)
	}
}

func TestSparkplugWaitsForItsPrimaryHost(t *testing.T) {
	broker := startMosquitto(t)
	c, host := newEdge(t, broker.address(), broker.address())
	c.cfg.Sparkplug.PrimaryHostID = "scada"
	c.timing.sparkplug = 0 // what waits for the broker does not wait for the host, too
	state := func(payload string) {
		host.client.Publish("spBv1.0/STATE/scada", 1, true, payload).Wait()
	}
	node := func(count int) (published []decoded) {
		t.Helper()
		host.waitFor(t, func(messages []message) bool {
			published = edge(t, messages)
			return len(published) >= count
		})
		return published
	}
	state(`{"online":false,"timestamp":100}`)
	start(t, c)
	waitConnected(t, c)
	appendEvents(t, c.journal, 1, 1)
	eventually(t, func() bool { return c.State().Confirmed == 1 })
	if before := node(0); len(before) > 0 {
		t.Errorf("before the host is online: %s", kinds(before))
	}
	state(`{"online":true,"timestamp":200}`)
	if born := node(3); kinds(born) != "NBIRTH DBIRTH DDATA" || born[2].Metrics["id"] != sample(1).ID {
		t.Errorf("once the host is online: %s", kinds(born))
	}
	state(`{"online":false,"timestamp":150}`) // of the host's last life
	appendEvents(t, c.journal, 2, 2)
	node(4)
	state(`{"online":false,"timestamp":200}`)
	if dead := node(5)[3:]; kinds(dead) != "DDATA NDEATH" {
		t.Errorf("after the host went offline: %s", kinds(dead))
	}
	appendEvents(t, c.journal, 3, 3)
	eventually(t, func() bool { return c.State().Confirmed == 3 })
	state(`{"online":true,"timestamp":300}`)
	if again := node(8)[5:]; kinds(again) != "NBIRTH DBIRTH DDATA" || again[2].Metrics["id"] != sample(3).ID {
		t.Errorf("once the host is back: %s", kinds(again))
	}
}

func TestSparkplugIsNotBornAsOftenAsHostsAsk(t *testing.T) {
	broker := startMosquitto(t)
	c, host := newEdge(t, broker.address(), broker.address())
	start(t, c)
	host.waitFor(t, atLeast(2))
	began := time.Now()
	for range 500 {
		host.client.Publish("spBv1.0/plant/NCMD/north", 0, false, rebirthRequest())
	}
	eventually(t, func() bool { return c.State().Commands == 500 })
	births, took := strings.Count(kinds(edge(t, host.all())), "NBIRTH"), time.Since(began)
	if most := 3 + int(took/statusEvery); births > most {
		t.Errorf("born %d times within %v", births, took)
	}
}

// TestSparkplugIsNotKilledByATimeFarAhead has somebody send what would outdo every true STATE.
func TestSparkplugIsNotKilledByATimeFarAhead(t *testing.T) {
	broker := startMosquitto(t)
	c, host := newEdge(t, broker.address(), broker.address())
	c.cfg.Sparkplug.PrimaryHostID = "scada"
	state := func(online bool, timestamp int64) {
		host.client.Publish("spBv1.0/STATE/scada", 1, true, fmt.Sprintf(`{"online":%v,"timestamp":%d}`, online, timestamp)).Wait()
	}
	node := func(want string) {
		t.Helper()
		host.waitFor(t, func(messages []message) bool { return kinds(edge(t, messages)) == want })
	}
	start(t, c)
	waitConnected(t, c)
	now := func() int64 { return time.Now().UnixMilli() }
	state(true, math.MaxInt64)
	eventually(t, func() bool { return c.State().Refused == 1 })
	state(true, now())
	node("NBIRTH DBIRTH")
	state(false, math.MaxInt64)
	state(false, now()+24*time.Hour.Milliseconds())
	eventually(t, func() bool { return c.State().Refused == 3 })
	far := marshalPayload("NCMD", 0, time.UnixMilli(math.MaxInt64), []metric{{name: rebirthMetric, kind: typeBoolean, value: true, at: time.UnixMilli(math.MaxInt64)}})
	host.client.Publish("spBv1.0/plant/NCMD/north", 1, false, far).Wait()
	node("NBIRTH DBIRTH NBIRTH DBIRTH")
	state(false, now())
	node("NBIRTH DBIRTH NBIRTH DBIRTH NDEATH")
	state(true, now())
	node("NBIRTH DBIRTH NBIRTH DBIRTH NDEATH NBIRTH DBIRTH")
}

// TestSparkplugBelievesATimeOnceItHasCome is of a gate whose clock was behind.
func TestSparkplugBelievesATimeOnceItHasCome(t *testing.T) {
	c := newClient(t, testConfig("127.0.0.1:1"), openJournal(t), nil)
	c.cfg.Sparkplug.Enabled = true
	synctest.Test(t, func(t *testing.T) {
		n := newEdgeNode(c)
		if n.see(hostState{true, time.Now().Add(hostAhead + time.Second).UnixMilli()}) {
			t.Error("it lies ahead, and is believed")
		}
		if _, news := n.inTime(); news {
			t.Error("its time has not come")
		}
		time.Sleep(time.Second)
		if state, news := n.inTime(); !news || !state.online {
			t.Error("its time has come")
		}
		if _, news := n.inTime(); news {
			t.Error("it is news once only")
		}
	})
}

func TestSparkplugNumbersConnectionsAcrossRestarts(t *testing.T) {
	broker := startMosquitto(t)
	file := filepath.Join(t.TempDir(), "mqtt.json")
	host := subscribe(t, broker.address(), "spBv1.0/plant/NBIRTH/#")
	for want := range uint64(3) {
		cfg := testConfig(broker.address())
		cfg.Sparkplug.Enabled = true
		c := newClient(t, cfg, openJournal(t), nil)
		if err := c.Keep(file); err != nil {
			t.Fatal(err)
		}
		end := start(t, c)
		born := edge(t, host.waitFor(t, atLeast(int(want)+1)))
		if got := born[want].Metrics["bdSeq"]; got != want {
			t.Errorf("born as %v, want %d", got, want)
		}
		end()
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, testConfig(broker.address()), openJournal(t), nil)
	if err := c.Keep(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a damaged file: %v", err)
	}
	if got := []uint8{c.kept.nextBdSeq(), c.kept.nextBdSeq()}; got[0] != 0 || got[1] != 1 {
		t.Errorf("after a damaged file: %v", got)
	}
	for range 254 {
		c.kept.nextBdSeq()
	}
	if got := c.kept.nextBdSeq(); got != 0 {
		t.Errorf("%d follows 255", got)
	}
}

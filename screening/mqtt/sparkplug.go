package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/event"
)

// Sparkplug makes the gate an edge node for SCADA systems, as Sparkplug B 3.0 has it.
type Sparkplug struct {
	Enabled bool `yaml:"enabled"`
	// GroupID is the Sparkplug group; empty is the name of the site. The edge node has the name of the gate.
	GroupID string `yaml:"group_id"`
	// PrimaryHostID is the host that the edge node waits for: while its STATE is not online, the node is dead and events
	// wait for it. Empty waits for none.
	PrimaryHostID string `yaml:"primary_host_id"`
}

// sparkplugDevice is the one device of the edge node: the camera and what is decided by it.
const sparkplugDevice = "screening"

const (
	// sparkplugQueue is how many events wait while the edge node is away.
	sparkplugQueue = 1024
	// sparkplugFresh is how long an event may wait before it is told as historical.
	sparkplugFresh = time.Second
)

// edgeNode tells Sparkplug hosts of the gate, over a connection of its own. A connection has one last will, and both
// sides need it: the gate's own topics for the retained "offline", Sparkplug for the NDEATH that goes with the birth on
// the same connection. It also keeps whatever becomes of this one away from the events' way to the broker.
//
// Sparkplug sends its data with QoS 0, so nothing that happens here confirms an event: only the broker's PUBACK for the
// CloudEvent does. The node is told every event as that is published, and so also again, as historical, what is sent
// again.
type edgeNode struct {
	c       *Client
	group   string
	events  chan waiting
	changed chan struct{} // the status of the gate
	rebirth chan struct{} // a host asks for a rebirth
	host    chan hostState
	skipped atomic.Uint64

	// All below is of run and what it calls.
	conn   *connection
	bdSeq  uint8 // of the connection, the same in its births and its death
	spent  bool  // bdSeq belongs to a connection that came about
	seq    uint8 // of the next message
	device bool  // it is born
	status Status
	newest event.Event // the newest that is not historical
	hostAt int64       // timestamp of the newest STATE
	early  *hostState  // the newest whose time has not come

	mu        sync.Mutex
	connected bool
	awaySince time.Time
	lastError string
}

// waiting is an event that the node is to tell, and since when.
type waiting struct {
	event event.Event
	since time.Time
}

func newEdgeNode(c *Client) *edgeNode {
	group := c.cfg.Sparkplug.GroupID
	if group == "" {
		group = c.gate.Site
	}
	return &edgeNode{
		c: c, group: group, spent: true,
		events:  make(chan waiting, sparkplugQueue),
		changed: make(chan struct{}, 1), rebirth: make(chan struct{}, 1), host: make(chan hostState, 16),
		awaySince: time.Now(),
	}
}

// tell hands over an event that is published. It never waits: while the connection is away for long, the oldest are
// dropped and counted.
func (n *edgeNode) tell(e event.Event) {
	for {
		select {
		case n.events <- waiting{e, time.Now()}:
			return
		default:
		}
		select {
		case <-n.events:
			n.skipped.Add(1)
		default:
		}
	}
}

// room is how many events of the backlog may be handed over. The backlog waits for a node that is at work or has not
// had the time to come back, but not for one that does not come.
func (n *edgeNode) room(since time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.awaySince.After(since) {
		since = n.awaySince
	}
	if !n.connected && time.Since(since) > n.c.timing.sparkplug {
		return backlogWindow
	}
	return backlogWindow - len(n.events)
}

// run keeps the edge node alive until ctx ends.
func (n *edgeNode) run(ctx context.Context) {
	n.c.reconnecting(ctx, n.connectOnce, func(err error) {
		n.mu.Lock()
		before := n.lastError
		if n.connected {
			n.connected, n.awaySince, before = false, time.Now(), ""
		}
		n.lastError = err.Error()
		n.mu.Unlock()
		if err.Error() != before {
			n.c.log.Warn("no Sparkplug connection", "broker", n.c.cfg.Broker, "error", err)
		}
	})
}

func (n *edgeNode) topic(kind string) string {
	topic := "spBv1.0/" + n.group + "/" + kind + "/" + n.c.gate.Name
	if kind[0] == 'D' {
		topic += "/" + sparkplugDevice
	}
	return topic
}

// connectOnce lives through one connection and returns why it ended.
func (n *edgeNode) connectOnce(ctx context.Context) error {
	if n.spent {
		n.bdSeq, n.spent = n.c.kept.nextBdSeq(), false
	}
	death := &will{topic: n.topic("NDEATH"), payload: n.death()}
	conn, err := connect(ctx, n.c.cfg, n.c.cfg.clientID(n.c.gate)+"-sparkplug", death, n.receive)
	if err != nil {
		return fmt.Errorf("as an edge node that writes %s: %w", death.topic, err)
	}
	defer conn.Disconnect(0)
	n.conn, n.spent = conn, true
	if err := n.subscribe(ctx); err != nil {
		return err
	}
	if err := n.awaitHost(ctx); err != nil {
		return err
	}
	n.birth()
	n.mu.Lock()
	n.connected, n.lastError = true, ""
	n.mu.Unlock()
	n.c.log.Info("born as a Sparkplug edge node", "topic", n.topic("NBIRTH"))
	return n.publishing(ctx)
}

func (n *edgeNode) subscribe(ctx context.Context) error {
	filters := map[string]byte{n.topic("NCMD"): 1}
	if n.c.cfg.Sparkplug.PrimaryHostID != "" {
		filters[n.hostTopic()] = 1
	}
	_, err := n.c.subscribe(ctx, n.conn, filters)
	return err
}

func (n *edgeNode) hostTopic() string { return "spBv1.0/STATE/" + n.c.cfg.Sparkplug.PrimaryHostID }

// awaitHost returns once the primary host is online, at once where there is none.
func (n *edgeNode) awaitHost(ctx context.Context) error {
	online := n.c.cfg.Sparkplug.PrimaryHostID == ""
	look := time.NewTicker(statusEvery)
	defer look.Stop()
	for !online {
		select {
		case <-look.C:
			state, news := n.inTime()
			online = news && state.online
		case <-ctx.Done():
			return errors.Join(ctx.Err(), n.die())
		case err := <-n.conn.lost:
			return err
		case state := <-n.host:
			online = n.see(state) && state.online
		}
	}
	return nil
}

// hostAhead is how far the clock of the primary host may be ahead of the gate's. A STATE from beyond that would otherwise
// outdo every true one for as long.
const hostAhead = time.Hour

// see returns whether a STATE is news. One that overtook a newer one is not, nor one whose time has not come.
func (n *edgeNode) see(state hostState) bool {
	switch {
	case state.timestamp < n.hostAt:
		return false
	case state.timestamp > time.Now().Add(hostAhead).UnixMilli():
		n.early = &state
		n.c.refuse(fmt.Errorf("the STATE of the primary host has a time that lies ahead, %d ms since 1970; is the clock of this gate or the host's right?", state.timestamp))
		return false
	}
	n.hostAt = state.timestamp
	return true
}

// inTime returns whether the STATE that came early is news by now, for the clock of this gate was set.
func (n *edgeNode) inTime() (state hostState, news bool) {
	if n.early == nil || n.early.timestamp > time.Now().Add(hostAhead).UnixMilli() {
		return hostState{}, false
	}
	state, n.early = *n.early, nil
	return state, n.see(state)
}

// publishing goes on until the connection breaks off, the primary host goes away or ctx ends.
func (n *edgeNode) publishing(ctx context.Context) error {
	pause := time.NewTicker(statusEvery)
	defer pause.Stop()
	rebirth, changed := n.rebirth, n.changed
	for {
		select {
		case <-ctx.Done():
			return n.farewell()
		case err := <-n.conn.lost:
			return err
		case w := <-n.events:
			n.publishEvent(w)
		case state := <-n.host:
			if n.see(state) && !state.online {
				return errors.Join(errHostAway, n.die())
			}
		case <-rebirth:
			n.birth()
			rebirth = nil // however often hosts ask
		case <-changed:
			n.publishStatus()
			changed = nil // however often it changes
		case <-pause.C:
			if state, news := n.inTime(); news && !state.online {
				return errors.Join(errHostAway, n.die())
			}
			rebirth, changed = n.rebirth, n.changed
		}
		n.liveOrDie()
	}
}

// birth introduces the node and its device, with all that they will ever tell.
func (n *edgeNode) birth() {
	n.seq, n.device, n.status = 0, false, n.c.currentStatus()
	now := time.Now()
	metrics := append([]metric{
		{name: "bdSeq", kind: typeInt64, value: int64(n.bdSeq), at: now},
		{name: rebirthMetric, kind: typeBoolean, value: false, at: now},
		{name: "Properties/Version", kind: typeString, value: n.status.Version, at: now},
	}, nodeMetrics(n.status, now)...)
	n.publish("NBIRTH", now, metrics)
	n.liveOrDie()
}

// liveOrDie has the device alive while the camera works, and as long as there are events to tell.
func (n *edgeNode) liveOrDie() {
	switch alive := n.status.Camera == string(event.CameraOK) || len(n.events) > 0; {
	case alive && !n.device:
		n.deviceBirth()
	case !alive && n.device:
		n.publish("DDEATH", time.Now(), nil)
		n.device = false
	}
}

func (n *edgeNode) deviceBirth() {
	now := time.Now()
	at := now
	if n.newest.ID != "" {
		at = n.newest.Time
	}
	n.publish("DBIRTH", now, deviceMetrics(n.newest, at))
	n.device = true
}

func (n *edgeNode) publishEvent(w waiting) {
	if !n.device {
		n.deviceBirth()
	}
	e, now := w.event, time.Now()
	if now.Sub(w.since) > sparkplugFresh {
		e.Data.Historical = true
	}
	n.publish("DDATA", now, deviceMetrics(e, e.Time))
	if !e.Data.Historical {
		n.newest = e
	}
}

func (n *edgeNode) publishStatus() {
	status := n.c.currentStatus()
	if status == n.status {
		return
	}
	n.status = status
	now := time.Now()
	n.publish("NDATA", now, nodeMetrics(status, now))
}

// publish does not wait: where it fails, the connection has broken off.
func (n *edgeNode) publish(kind string, now time.Time, metrics []metric) {
	n.conn.Publish(n.topic(kind), 0, false, marshalPayload(kind, n.seq, now, metrics))
	n.seq++ // 0 follows 255
}

func (n *edgeNode) death() []byte {
	now := time.Now()
	return marshalPayload("NDEATH", 0, now, []metric{{name: "bdSeq", kind: typeInt64, value: int64(n.bdSeq), at: now}})
}

// farewell tells what is left to tell, as far as there is time.
func (n *edgeNode) farewell() error {
	for end := time.Now().Add(n.c.timing.farewell); len(n.events) > 0 && time.Now().Before(end); {
		n.publishEvent(<-n.events)
	}
	return n.die()
}

// die ends the connection. One that ends as it should has no last will, so the death is sent before.
func (n *edgeNode) die() error {
	err := wait(context.Background(), n.conn.Publish(n.topic("NDEATH"), 1, false, n.death()), n.c.timing.farewell)
	n.conn.Disconnect(250)
	return err
}

// receive takes what hosts send. It must not block.
func (n *edgeNode) receive(_ paho.Client, m paho.Message) {
	var err error
	switch m.Topic() {
	case n.topic("NCMD"):
		err = n.receiveCommand(m)
	case n.hostTopic():
		err = n.receiveState(m.Payload())
	default:
		err = fmt.Errorf("%.100q was not asked for", m.Topic())
	}
	if err != nil {
		n.c.refuse(err)
	}
}

func (n *edgeNode) receiveCommand(m paho.Message) error {
	if err := parseRebirth(m.Payload()); err != nil {
		return err
	}
	if m.Retained() {
		return errors.New("an NCMD must not be retained")
	}
	n.c.obeyed.Add(1)
	wake(n.rebirth)
	return nil
}

func (n *edgeNode) receiveState(payload []byte) error {
	state, err := parseHostState(payload)
	if err != nil {
		return err
	}
	select {
	case n.host <- state:
		return nil
	default:
		return errors.New("the primary host changes its state too often")
	}
}

// errHostAway ends a connection; the next waits until the primary host is back.
var errHostAway = errors.New("the primary host is offline")

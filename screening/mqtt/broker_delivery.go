package mqtt

import (
	"errors"
	"slices"
	"strings"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// OnPublish hands a message on, and tells the library to confirm it and do no more.
func (h *brokerSessions) OnPublish(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	if err := h.publish(cl.ID, pk); err != nil {
		return pk, packets.ErrRejectPacket // unconfirmed; its sender tries again
	}
	return pk, packets.CodeSuccessIgnore
}

// publish puts a message where it is sent from to each subscriber, and retains it if it is to be.
func (h *brokerSessions) publish(from string, pk packets.Packet) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.all[from] != nil && h.all[from].own
	retain := pk.FixedHeader.Retain && h.mayRetain(pk, own)
	subscribers := h.server.Topics.Subscribers(pk.TopicName)
	subscribers.SelectShared()
	subscribers.MergeSharedSelected()
	var lasting []recipient
	var others []delivery
	for id, sub := range subscribers.Subscriptions {
		s := h.all[id]
		if s == nil || sub.NoLocal && id == from {
			continue
		}
		d := delivery{s, min(1, sub.Qos, pk.FixedHeader.Qos), pk.FixedHeader.Retain && sub.RetainAsPublished}
		switch {
		case !s.lasting || d.qos == 0:
			others = append(others, d)
		case h.hasRoom(s, pk):
			lasting = append(lasting, recipient{id, d.retain})
		default:
			h.limits.tell(limitQueue, "client", clip(id))
		}
	}
	if len(lasting) == 0 && pk.FixedHeader.Qos > 0 && isEvent(pk.TopicName) {
		if h.makeRoom(pk) {
			lasting = append(lasting, recipient{id: nobody})
		}
	}
	seq, err := h.store.keep(pk, lasting, retain)
	for _, d := range others { // they get it even if the disk is full
		h.wait(d.session, outgoing{&pk, d.qos, d.retain, messageCost(pk)})
	}
	if err != nil {
		h.failed(err)
		return err
	}
	for _, r := range lasting {
		s := h.all[r.id]
		if r.id == nobody {
			s = &h.nobodys
			h.topics[pk.TopicName]++
		}
		s.newest = seq
		s.stored += messageCost(pk)
		h.stored += messageCost(pk)
		if s.client != nil {
			wake(s.wake)
		}
	}
	if retain {
		h.retain(pk)
	}
	return nil
}

// isEvent says whether a topic is that of events of a gate.
func isEvent(topic string) bool {
	_, rest, ok := ParseTopic(topic)
	return ok && strings.HasPrefix(rest, "screening/")
}

// makeRoom drops the oldest events that nobody subscribes to, so that another one takes none that others need, and all
// of them half of the queues' room at most. It is false where there is no room for it. The caller holds mu.
func (h *brokerSessions) makeRoom(pk packets.Packet) bool {
	if h.topics[pk.TopicName] == 0 && len(h.topics) >= brokerMaxNobodys {
		h.limits.tell(limitQueue, "topic", clip(pk.TopicName))
		return false
	}
	cost, most := messageCost(pk), int64(h.cfg.QueueMiB)<<20
	for h.nobodys.stored+cost > most/2 || h.stored+cost > most {
		oldest, ok, err := h.store.next(nobody, 0)
		if err == nil && ok {
			err = h.store.done(nobody, []int64{oldest.seq})
		}
		if err != nil {
			h.failed(err)
		}
		if err != nil || !ok {
			return false
		}
		h.nobodys.stored -= oldest.cost
		h.stored -= oldest.cost
		if h.topics[oldest.message.TopicName]--; h.topics[oldest.message.TopicName] <= 0 {
			delete(h.topics, oldest.message.TopicName)
		}
	}
	return true
}

// claim gives a session the events on some filters that nobody subscribed to before. The caller holds mu.
func (h *brokerSessions) claim(s *brokerSession, filters []string) {
	wanted := map[string]bool{}
	for topic := range h.topics {
		if slices.ContainsFunc(filters, func(filter string) bool { return matches(filter, topic) }) {
			wanted[topic] = true
		}
	}
	if len(wanted) == 0 {
		return
	}
	h.settle(s)
	first, last, cost, err := h.store.claim(s.id, wanted)
	if err != nil {
		h.failed(err)
		return
	}
	for topic := range wanted {
		delete(h.topics, topic)
	}
	if cost == 0 {
		return
	}
	h.nobodys.stored -= cost
	s.stored += cost
	s.newest, s.sentTo = max(s.newest, last), min(s.sentTo, first-1)
	wake(s.wake)
}

// matches says whether a topic is one that a filter names.
func matches(filter, topic string) bool {
	parts := strings.Split(topic, "/")
	for level := range strings.SplitSeq(filter, "/") {
		switch {
		case level == "#":
			return true
		case len(parts) == 0 || level != "+" && level != parts[0]:
			return false
		}
		parts = parts[1:]
	}
	return len(parts) == 0
}

// delivery is how one subscriber gets a message.
type delivery struct {
	session *brokerSession
	qos     byte
	retain  bool
}

// messageCost is what a message counts; what it takes on disk to a few bytes.
func messageCost(pk packets.Packet) int64 {
	n := len(pk.TopicName) + len(pk.Payload) + len(pk.Properties.ContentType) + len(pk.Properties.ResponseTopic) + len(pk.Properties.CorrelationData)
	for _, property := range pk.Properties.User {
		n += len(property.Key) + len(property.Val)
	}
	return cost(n)
}

// hasRoom says whether the queue of a session may take a message: it has a share that is its own whatever the others
// take, and beyond it as long as all together have room. The caller holds mu.
func (h *brokerSessions) hasRoom(s *brokerSession, pk packets.Packet) bool {
	n, all := messageCost(pk), int64(h.cfg.QueueMiB)<<20
	return s.stored+n <= all/brokerMaxSessions || h.stored+n <= all
}

// retainedCost counts the levels of the topic, too, each of which the library holds by itself.
func retainedCost(pk packets.Packet) int64 {
	return messageCost(pk) + int64(strings.Count(pk.TopicName, "/"))*messageOverhead
}

// mayRetain says whether there is room for a retained message; there always is for those of the gate. The caller holds mu.
func (h *brokerSessions) mayRetain(pk packets.Packet, own bool) bool {
	if own || len(pk.Payload) == 0 {
		return true
	}
	all := h.retained + retainedCost(pk)
	count := h.server.Topics.Retained.Len()
	if before, ok := h.server.Topics.Retained.Get(pk.TopicName); ok {
		all -= retainedCost(before)
		count--
	}
	if count >= brokerMaxRetained || all > brokerMaxRetainedBytes {
		h.limits.tell(limitRetained, "topic", clip(pk.TopicName))
		return false
	}
	return true
}

// retain has the library hold the message. The caller holds mu.
func (h *brokerSessions) retain(pk packets.Packet) {
	if before, ok := h.server.Topics.Retained.Get(pk.TopicName); ok {
		h.retained -= retainedCost(before)
	}
	if len(pk.Payload) > 0 {
		h.retained += retainedCost(pk)
	}
	h.server.Topics.RetainMessage(packets.Packet{
		ProtocolVersion: 5, FixedHeader: pk.FixedHeader, TopicName: pk.TopicName, Payload: pk.Payload,
		Properties: pk.Properties, Created: pk.Created, Expiry: pk.Expiry,
	})
}

// OnRetainedExpired forgets a message whose sender gave it a time.
func (h *brokerSessions) OnRetainedExpired(topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retained = 0
	for _, pk := range h.server.Topics.Retained.GetAll() {
		h.retained += retainedCost(pk)
	}
	if err := h.store.forgetRetained(topic); err != nil {
		h.failed(err)
	}
}

// wait puts a message into the memory of a session that is connected. Whoever has too much there is not reading, and is
// cut off. The caller holds mu.
func (h *brokerSessions) wait(s *brokerSession, o outgoing) {
	if s.client == nil || s.cutOff {
		return
	}
	if s.bytes+o.cost > brokerMaxWaiting {
		h.overrun(s)
		return
	}
	s.waiting = append(s.waiting, o)
	s.bytes += o.cost
	h.waiting += o.cost
	wake(s.wake)
	for h.waiting > brokerMaxAllWaiting {
		most := s
		for _, other := range h.all {
			if other.bytes > most.bytes {
				most = other
			}
		}
		h.overrun(most)
	}
}

// overrun cuts off a client that does not read; the gate itself only misses what waits for it. The caller holds mu.
func (h *brokerSessions) overrun(s *brokerSession) {
	h.drop(s)
	if s.own {
		h.limits.tell(limitOwn)
		return
	}
	h.limits.tell(limitSlow, "client", clip(s.id), "from", s.client.Net.Remote)
	s.cutOff = true
	s.conn.Close()
}

// send sends what waits for a session until its connection ends.
func (h *brokerSessions) send(s *brokerSession, cl *broker.Client, wake, gone <-chan struct{}) {
	for {
		pk, ok := h.next(s, cl)
		if ok {
			if err := cl.WritePacket(pk); errors.Is(err, packets.ErrPacketTooLarge) {
				h.confirmed(cl, pk.PacketID) // the client wants none that long
			}
			continue
		}
		select {
		case <-wake:
		case <-gone:
			return
		}
	}
}

// next takes the next message for a session, from memory or from disk, as far as the client has confirmed earlier ones.
func (h *brokerSessions) next(s *brokerSession, cl *broker.Client) (packets.Packet, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.client != cl {
		return packets.Packet{}, false
	}
	for {
		pk, f, ok := h.take(s)
		if !ok {
			return pk, false
		}
		if pk.FixedHeader.Qos > 0 {
			pk.PacketID = s.newPacketID()
			s.flying[pk.PacketID] = f
		}
		if pk.Expiry == 0 || pk.Expiry > time.Now().Unix() {
			return pk, true
		}
		if f.seq > 0 {
			s.stored -= f.cost
			h.stored -= f.cost
			s.done = append(s.done, f.seq)
		}
		delete(s.flying, pk.PacketID)
	}
}

func (h *brokerSessions) take(s *brokerSession) (packets.Packet, flying, bool) {
	full := len(s.flying) >= s.window
	if len(s.waiting) > 0 && !(full && s.waiting[0].qos > 0) {
		o := s.waiting[0]
		s.waiting[0] = outgoing{}
		s.waiting = s.waiting[1:]
		s.bytes -= o.cost
		h.waiting -= o.cost
		pk := *o.message
		pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.FixedHeader.Dup, pk.PacketID = o.qos, o.retain, false, 0
		return pk, flying{}, true
	}
	if full || s.sentTo >= s.newest {
		return packets.Packet{}, flying{}, false
	}
	q, ok, err := h.store.next(s.id, s.sentTo)
	for ok && s.isFlying(q.seq) { // from before it claimed older ones
		q, ok, err = h.store.next(s.id, q.seq)
	}
	if err != nil {
		h.failed(err)
	}
	if !ok {
		s.sentTo = s.newest
		return packets.Packet{}, flying{}, false
	}
	s.sentTo = q.seq
	q.message.FixedHeader.Qos = 1
	return q.message, flying{q.seq, q.cost}, true
}

func (s *brokerSession) isFlying(seq int64) bool {
	for _, f := range s.flying {
		if f.seq == seq {
			return true
		}
	}
	return false
}

// newPacketID is one that no message on its way to the client has.
func (s *brokerSession) newPacketID() uint16 {
	for {
		s.packetID++
		if _, taken := s.flying[s.packetID]; !taken && s.packetID != 0 {
			return s.packetID
		}
	}
}

// retainHandled keeps the library from sending retained messages at a subscription; OnSubscribed does that.
const retainHandled = 2

// OnSubscribe grants QoS 1 at most, and takes over the sending of retained messages.
func (h *brokerSessions) OnSubscribe(cl *broker.Client, pk packets.Packet) packets.Packet {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.of(cl)
	if s == nil {
		return pk
	}
	s.wanted = s.wanted[:0]
	for i := range pk.Filters {
		filter := &pk.Filters[i]
		_, known := cl.State.Subscriptions.Get(filter.Filter)
		if filter.RetainHandling == 0 || filter.RetainHandling == 1 && !known {
			s.wanted = append(s.wanted, filter.Filter)
		}
		filter.Qos, filter.RetainHandling = min(1, filter.Qos), retainHandled
	}
	return pk
}

// OnSubscribed keeps what a lasting session subscribes to, and sends what is retained there.
func (h *brokerSessions) OnSubscribed(cl *broker.Client, pk packets.Packet, codes []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.of(cl)
	if s == nil {
		return
	}
	h.put(s)
	var kept []string // filters of which it misses nothing from here on
	for i, sub := range pk.Filters {
		if codes[i] == 1 && s.lasting {
			kept = append(kept, sub.Filter)
		}
		if codes[i] <= 1 && slices.Contains(s.wanted, sub.Filter) && !broker.IsSharedFilter(sub.Filter) {
			h.sendRetained(s, sub)
		}
	}
	h.claim(s, kept)
}

// sendRetained sends what is retained on a filter, at the client's expense. The caller holds mu.
func (h *brokerSessions) sendRetained(s *brokerSession, sub packets.Subscription) {
	if s.cutOff {
		return
	}
	messages := h.server.Topics.Messages(sub.Filter) // a copy for this client alone
	for i := range messages {
		message := &messages[i]
		cost := messageCost(*message) + packetBytes
		s.charge(cost)
		h.wait(s, outgoing{message, min(sub.Qos, message.FixedHeader.Qos), true, cost})
	}
}

// OnUnsubscribed likewise.
func (h *brokerSessions) OnUnsubscribed(cl *broker.Client, _ packets.Packet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.of(cl); s != nil {
		h.put(s)
	}
}

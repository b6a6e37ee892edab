package mqtt

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/storage"
	"github.com/mochi-mqtt/server/v2/packets"
)

// brokerSessions is the broker's side of its clients: who is let in, what waits for each, in memory or on disk, and sending
// it. The library below speaks the protocol and knows the subscriptions; what it would send by itself it would hold in
// memory without bounds, drop for a slow reader, and confirm to the sender before it is kept.
//
// A message is confirmed to its sender once it is on disk for every lasting session that subscribes to it, and has been
// put into the memory of the others. What is on disk for a session is read from there, in order, as fast as the client
// confirms it; it does not matter whether it came before the connection or during it.
type brokerSessions struct {
	broker.HookBase
	cfg    BrokerConfig
	access *access
	server *broker.Server
	limits *limits

	stop    chan struct{}
	stopped sync.WaitGroup

	mu       sync.Mutex
	store    *brokerStore
	all      map[string]*brokerSession // by client id
	nobodys  brokerSession             // events that no lasting session subscribed to, for the first that does
	topics   map[string]int            // of those, how many
	here     int                       // how many are connected
	waiting  int64                     // bytes that wait in memory, of all
	stored   int64                     // likewise on disk
	retained int64                     // bytes of retained messages
}

// brokerSession is a client that is connected, or one that is away and comes back.
type brokerSession struct {
	id      string
	user    string
	lasting bool // what it subscribes to with QoS 1 is kept on disk
	own     bool // the gate itself

	client *broker.Client // nil while it is away
	conn   *brokerConn    // the innermost of client
	ready  chan struct{}  // closed once the library knows that the session is of this client
	gone   chan struct{}  // closed with the connection
	wake   chan struct{}  // there is something to send
	will   broker.Will
	window int // how many messages may be on their way
	cutOff bool
	read   time.Time // when as much as was read of it may have come, at the pace it is read at most

	waiting  []outgoing // in memory, to be sent
	bytes    int64      // of waiting
	flying   map[uint16]flying
	packetID uint16

	onDisk         bool  // something of it is
	sentTo, newest int64 // numbers in the queue on disk
	stored         int64 // bytes of that queue
	done           []int64
	away           time.Duration
	wanted         []string // filters just subscribed to whose retained messages are wanted
}

// outgoing is a message and how it is sent to one client; the message may be shared.
type outgoing struct {
	message *packets.Packet
	qos     byte
	retain  bool
	cost    int64 // what it counts while it waits
}

// flying is a message sent with QoS 1; its seq is 0 unless it is on disk.
type flying struct {
	seq, cost int64
}

// nobody is a client id that no lasting session can have.
const nobody = ""

func newBrokerSessions(cfg BrokerConfig, access *access, server *broker.Server, store *brokerStore, limits *limits) (*brokerSessions, error) {
	h := &brokerSessions{
		cfg: cfg, access: access, server: server, limits: limits, store: store,
		stop: make(chan struct{}), all: map[string]*brokerSession{},
	}
	found, err := store.sessions()
	if err != nil {
		return nil, err
	}
	for _, one := range found {
		h.stored += one.cost
		if one.id == nobody {
			h.nobodys = brokerSession{id: nobody, onDisk: true, stored: one.cost, newest: one.newest}
			continue
		}
		h.all[one.id] = &brokerSession{
			id: one.id, user: one.User, lasting: true, onDisk: true,
			stored: one.cost, newest: one.newest, away: time.Duration(one.away) * time.Second,
		}
	}
	if h.topics, err = store.topics(nobody); err != nil {
		return nil, err
	}
	return h, store.put(nobody, keptSession{})
}

// ID names the hook.
func (h *brokerSessions) ID() string { return "sessions" }

// Provides tells what the library has to ask or tell.
func (h *brokerSessions) Provides(method byte) bool {
	switch method {
	case broker.OnConnect, broker.OnConnectAuthenticate, broker.OnACLCheck,
		broker.OnSessionEstablish, broker.OnSessionEstablished, broker.OnDisconnect, broker.OnClientExpired,
		broker.OnPacketRead, broker.OnPublish, broker.OnRetainedExpired,
		broker.OnSubscribe, broker.OnSubscribed, broker.OnUnsubscribed, broker.OnPacketEncode,
		broker.StoredClients, broker.StoredSubscriptions, broker.StoredRetainedMessages:
		return true
	}
	return false
}

// Init has nothing to do.
func (h *brokerSessions) Init(any) error { return nil }

// Stop has nothing to do; close comes after it.
func (h *brokerSessions) Stop() error { return nil }

// StoredClients gives the library the sessions that were found.
func (h *brokerSessions) StoredClients() ([]storage.Client, error) {
	found, err := h.store.sessions()
	var clients []storage.Client
	for _, one := range found {
		if one.id == nobody {
			continue
		}
		clients = append(clients, storage.Client{
			ID: one.id, Listener: networkName, Username: []byte(one.User), ProtocolVersion: one.Version,
			Properties: storage.ClientProperties{SessionExpiryInterval: one.Expiry, SessionExpiryIntervalFlag: true},
		})
	}
	return clients, err
}

// StoredSubscriptions gives the library what they subscribe to.
func (h *brokerSessions) StoredSubscriptions() ([]storage.Subscription, error) {
	found, err := h.store.sessions()
	var subscriptions []storage.Subscription
	for _, one := range found {
		for _, s := range one.Subscriptions {
			subscriptions = append(subscriptions, storage.Subscription{
				Client: one.id, Filter: s.Filter, Qos: s.QoS, NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished,
				RetainHandling: retainHandled,
			})
		}
	}
	h.server.Info.Subscriptions = int64(len(subscriptions)) // it counts what comes and goes from here on
	return subscriptions, err
}

// StoredRetainedMessages has the library hold what is retained.
func (h *brokerSessions) StoredRetainedMessages() ([]storage.Message, error) {
	found, err := h.store.retained()
	for _, pk := range found { // as packets, for a message for storage leaves some of their properties out
		h.server.Topics.RetainMessage(pk)
		h.retained += retainedCost(pk)
	}
	return nil, err
}

// start has the sessions looked after until close.
func (h *brokerSessions) start() {
	h.stopped.Go(h.flushing)
	h.stopped.Go(h.syncing)
}

func (h *brokerSessions) close() error {
	close(h.stop)
	h.stopped.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.all {
		h.settle(s)
	}
	return h.store.close()
}

// awayStep is how often it is written down how long sessions have been away.
const awayStep = time.Minute

// flushing writes down now and then what need not be written at once.
func (h *brokerSessions) flushing() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		h.mu.Lock()
		for _, s := range h.all {
			h.settle(s)
		}
		h.mu.Unlock()
		if step := time.Since(last); step >= awayStep {
			last = time.Now()
			h.age(step)
		}
	}
}

// syncing has the disk keep what was written, once a second; nobody waits for it.
func (h *brokerSessions) syncing() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		h.mu.Lock()
		due := h.store.unsynced
		h.store.unsynced = false
		h.mu.Unlock()
		if !due {
			continue
		}
		if err := h.store.sync(); err != nil {
			h.failed(err)
		}
	}
}

// age ends the sessions that have been away for their life. The time of day has no say in it.
func (h *brokerSessions) age(step time.Duration) {
	seconds, ended := map[string]int64{}, []string{}
	h.mu.Lock()
	for id, s := range h.all {
		if s.client != nil {
			continue
		}
		s.away += step
		seconds[id] = int64(s.away / time.Second)
		if s.away > sessionLife {
			ended = append(ended, id)
		}
	}
	if len(seconds) > 0 {
		if err := h.store.away(seconds); err != nil {
			h.failed(err)
		}
	}
	h.mu.Unlock()
	for _, id := range ended {
		h.end(id, nil)
	}
}

// end forgets a session that is away, or only if it is still of client.
func (h *brokerSessions) end(id string, client *broker.Client) {
	h.mu.Lock()
	s := h.all[id]
	away := s != nil && s.client == nil
	if away {
		h.forget(s)
		h.limits.log.Info("the broker forgets a client that was away for long", "client", id)
	}
	h.mu.Unlock()
	if known, ok := h.server.Clients.Get(id); away && ok && (client == nil || known == client) {
		h.server.UnsubscribeClient(known)
		h.server.Clients.Delete(id)
	}
}

// cut ends the connections of a user, however it came in.
func (h *brokerSessions) cut(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.all {
		if s.user == user && s.client != nil && !s.own {
			s.cutOff = true
			s.conn.Close()
		}
	}
}

// forget drops a session with all that waits for it. The caller holds mu.
func (h *brokerSessions) forget(s *brokerSession) {
	delete(h.all, s.id)
	h.stored -= s.stored
	s.stored = 0
	if s.onDisk {
		if err := h.store.forget(s.id); err != nil {
			h.failed(err)
		}
	}
}

// settle takes what a client has confirmed off the disk. The caller holds mu.
func (h *brokerSessions) settle(s *brokerSession) {
	if len(s.done) == 0 {
		return
	}
	if err := h.store.done(s.id, s.done); err != nil { // it is sent again after the next connection
		h.failed(err)
		if len(s.done) < brokerWindow {
			return
		}
	}
	s.done = s.done[:0]
}

func (h *brokerSessions) failed(err error) { h.limits.tell(limitStore, slog.Any("error", err)) }

// OnConnect decides who is let in.
func (h *brokerSessions) OnConnect(cl *broker.Client, pk packets.Packet) error {
	cl.Properties.Props.TopicAliasMaximum = 0 // it is ours to use or not
	refused := h.refuses(cl, pk)
	if refused == nil {
		return nil
	}
	h.limits.tell(refused.limit, "client", clip(cl.ID), "user", clip(string(cl.Properties.Username)), "from", cl.Net.Remote, "why", refused.why)
	if refused.code == packets.ErrBadUsernameOrPassword {
		select { // guessing takes its time
		case <-time.After(time.Second):
		case <-h.stop:
		}
	}
	h.server.SendConnack(cl, refused.code, false, nil)
	return refused.code
}

// clip keeps what a stranger sends from filling the log.
func clip(text string) string { return text[:min(len(text), 64)] }

// refusal is what a client is told, and why.
type refusal struct {
	code  packets.Code
	limit limit
	why   string
}

// refuses is nil for a client that may come in.
func (h *brokerSessions) refuses(cl *broker.Client, pk packets.Packet) *refusal {
	if isOwn(cl) {
		return nil
	}
	user := string(cl.Properties.Username)
	switch {
	case !h.access.admits(user, pk.Connect.Password):
		return &refusal{packets.ErrBadUsernameOrPassword, refusedConnection, "wrong user or password"}
	case pk.FixedHeader.Remaining > brokerMaxConnect:
		return &refusal{packets.ErrServerUnavailable, refusedConnection, "last will or names too long"}
	case len(cl.ID) > brokerMaxClientID:
		return &refusal{packets.ErrClientIdentifierNotValid, refusedConnection, "client id too long"}
	case pk.Connect.WillFlag && !(affordable(pk.Connect.WillTopic) && h.access.mayWrite(cl, pk.Connect.WillTopic)):
		return &refusal{packets.ErrBadUsernameOrPassword, refusedMessage, "its last will is for " + clip(pk.Connect.WillTopic)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.all[cl.ID]
	switch {
	case s != nil && (s.own || s.user != user && (s.client != nil || h.access.of(s.user).role != "")):
		return &refusal{packets.ErrClientIdentifierNotValid, refusedConnection, "another user has this client id"}
	case h.here >= h.cfg.MaxClients && (s == nil || s.client == nil):
		return &refusal{packets.ErrServerUnavailable, limitConnections, "too many clients"}
	case lasting(cl) && (s == nil || !s.lasting) && h.lastingSessions() >= brokerMaxSessions:
		return &refusal{packets.ErrServerUnavailable, limitSessions, "too many lasting sessions"}
	}
	return nil
}

// lasting says whether a client wants what it misses to be kept.
func lasting(cl *broker.Client) bool {
	if cl.Properties.ProtocolVersion == 5 {
		return cl.Properties.Props.SessionExpiryInterval > 0
	}
	return !cl.Properties.Clean
}

func (h *brokerSessions) lastingSessions() int {
	n := 0
	for _, s := range h.all {
		if s.lasting {
			n++
		}
	}
	return n
}

// OnConnectAuthenticate has been answered by OnConnect.
func (h *brokerSessions) OnConnectAuthenticate(*broker.Client, packets.Packet) bool { return true }

// OnACLCheck says whether a client may publish to a topic or subscribe to a filter.
func (h *brokerSessions) OnACLCheck(cl *broker.Client, topic string, write bool) bool {
	if isOwn(cl) {
		return true
	}
	if write {
		may := affordable(topic) && h.access.mayWrite(cl, topic)
		if !may {
			h.limits.tell(refusedMessage, "topic", clip(topic), "client", clip(cl.ID), "user", clip(string(cl.Properties.Username)), "from", cl.Net.Remote)
		}
		return may
	}
	if strings.HasPrefix(topic, broker.SysPrefix) {
		return false // the library's own figures, which are not gathered
	}
	if !h.access.mayRead(cl, topic) {
		h.limits.tell(refusedFilter, "filter", clip(topic), "client", clip(cl.ID), "user", clip(string(cl.Properties.Username)), "from", cl.Net.Remote)
		return false
	}
	_, known := cl.State.Subscriptions.Get(topic)
	may := known || cl.State.Subscriptions.Len() < brokerMaxFilters &&
		h.server.Info.Clone().Subscriptions < int64(brokerFiltersPerClient*h.cfg.MaxClients)
	if !may || !affordable(topic) {
		h.limits.tell(limitSubscriptions, "filter", clip(topic), "client", clip(cl.ID), "from", cl.Net.Remote)
		return false
	}
	return true
}

// OnSessionEstablish begins a session or takes up an old one, before the client is answered.
func (h *brokerSessions) OnSessionEstablish(cl *broker.Client, pk packets.Packet) {
	var left broker.Will
	var stale bool
	h.mu.Lock()
	user := string(cl.Properties.Username)
	s := h.all[cl.ID]
	if s != nil && s.client != nil {
		left = s.will
		h.detach(s)
	}
	if s != nil && (pk.Connect.Clean || !s.lasting || s.user != user) {
		stale = !pk.Connect.Clean && s.lasting // else the library sees that, too
		h.forget(s)
		s = nil
	}
	if s == nil {
		s = &brokerSession{id: cl.ID}
		h.all[cl.ID] = s
	}
	s.user, s.own = user, isOwn(cl)
	s.client, s.conn = cl, innermost(cl.Net.Conn)
	s.conn.greeted()
	s.ready, s.gone, s.wake = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	s.will, cl.Properties.Will = cl.Properties.Will, broker.Will{} // sent by OnDisconnect
	s.window = brokerWindow
	if most := int(cl.Properties.Props.ReceiveMaximum); most > 0 {
		s.window = min(s.window, most)
	}
	s.lasting = lasting(cl) && !s.own
	s.flying, s.sentTo, s.cutOff, s.away = map[uint16]flying{}, 0, false, 0
	h.here++
	h.mu.Unlock()
	if known, ok := h.server.Clients.Get(cl.ID); ok && stale {
		h.server.UnsubscribeClient(known)
		h.server.Clients.Delete(cl.ID)
	}
	h.publishWill(cl.ID, left)
}

// OnSessionEstablished begins to send, once the client is answered.
func (h *brokerSessions) OnSessionEstablished(cl *broker.Client, _ packets.Packet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.of(cl); s != nil {
		close(s.ready)
		h.put(s)
		go h.send(s, cl, s.wake, s.gone)
	}
}

// of is the session that the connection belongs to, nil if it has another one by now. The caller holds mu.
func (h *brokerSessions) of(cl *broker.Client) *brokerSession {
	if s := h.all[cl.ID]; s != nil && s.client == cl {
		return s
	}
	return nil
}

// put stores what a lasting session subscribes to. The caller holds mu.
func (h *brokerSessions) put(s *brokerSession) {
	if !s.lasting {
		return
	}
	k := keptSession{User: s.user, Version: s.client.Properties.ProtocolVersion, Expiry: s.client.Properties.Props.SessionExpiryInterval}
	for _, sub := range s.client.State.Subscriptions.GetAll() {
		k.Subscriptions = append(k.Subscriptions, subscription{sub.Filter, sub.Qos, sub.NoLocal, sub.RetainAsPublished})
	}
	s.onDisk = true
	if err := h.store.put(s.id, k); err != nil {
		h.failed(err)
	}
}

// detach ends what belongs to the connection of a session. The caller holds mu.
func (h *brokerSessions) detach(s *brokerSession) {
	s.conn.Close()
	close(s.gone)
	h.drop(s)
	h.settle(s)
	s.client, s.conn, s.wanted = nil, nil, nil
	h.here--
}

// drop forgets what waits in memory. The caller holds mu.
func (h *brokerSessions) drop(s *brokerSession) {
	h.waiting -= s.bytes
	s.waiting, s.bytes = nil, 0
}

// OnDisconnect ends a session that does not last, and sends the last will of a client that did not take its leave.
func (h *brokerSessions) OnDisconnect(cl *broker.Client, err error, expire bool) {
	h.mu.Lock()
	s := h.of(cl)
	if s == nil {
		successor := h.all[cl.ID]
		h.mu.Unlock()
		h.await(successor)
		return
	}
	will := s.will
	h.detach(s)
	if expire || !s.lasting {
		h.forget(s)
	}
	h.mu.Unlock()
	if err != nil {
		h.publishWill(cl.ID, will)
	}
}

// await keeps the goroutine of a connection whose session another one has taken over from cleaning up, until the library
// knows of that: it would take the subscriptions of the successor, which has the same client id.
func (h *brokerSessions) await(successor *brokerSession) {
	if successor == nil {
		return
	}
	h.mu.Lock()
	ready, gone := successor.ready, successor.gone
	h.mu.Unlock()
	if ready == nil { // of an earlier run
		return
	}
	select {
	case <-ready:
	case <-gone:
	case <-time.After(brokerHello):
	}
}

func (h *brokerSessions) publishWill(from string, will broker.Will) {
	if will.Flag == 0 {
		return
	}
	h.publish(from, packets.Packet{ // what it could not do it has told
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: will.Qos, Retain: will.Retain},
		TopicName:   will.TopicName, Payload: will.Payload, Properties: packets.Properties{User: will.User},
		Created: time.Now().Unix(),
	})
}

// OnClientExpired ends a session that wanted to be kept for a shorter time.
func (h *brokerSessions) OnClientExpired(cl *broker.Client) { h.end(cl.ID, cl) }

// OnPacketRead hears what a client confirms, and reads nobody faster than the broker is made for.
func (h *brokerSessions) OnPacketRead(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	switch {
	case pk.FixedHeader.Type == packets.Puback:
		h.confirmed(cl, pk.PacketID)
	case pk.FixedHeader.Type != packets.Connect && !isOwn(cl):
		h.pace(cl, pk.FixedHeader.Remaining)
	}
	return pk, nil
}

func (h *brokerSessions) confirmed(cl *broker.Client, id uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.of(cl)
	if s == nil {
		return
	}
	f, ok := s.flying[id]
	if !ok {
		return
	}
	delete(s.flying, id)
	if f.seq > 0 {
		s.stored -= f.cost
		h.stored -= f.cost
		if s.done = append(s.done, f.seq); len(s.done) >= brokerWindow/2 {
			h.settle(s)
		}
	}
	wake(s.wake)
}

func (h *brokerSessions) pace(cl *broker.Client, bytes int) {
	h.mu.Lock()
	s := h.of(cl)
	if s == nil {
		h.mu.Unlock()
		return
	}
	s.charge(int64(max(bytes, brokerLeastCost)))
	ahead, gone := time.Until(s.read), s.gone
	h.mu.Unlock()
	if ahead > 0 {
		select {
		case <-time.After(ahead):
		case <-gone:
		}
	}
}

// charge has the client wait, before more is read of it, for as long as so many bytes take. The caller holds mu.
func (s *brokerSession) charge(bytes int64) {
	if burst := time.Now().Add(-time.Second); s.read.Before(burst) {
		s.read = burst
	}
	s.read = s.read.Add(time.Duration(bytes) * time.Second / brokerBytesPerSecond)
}

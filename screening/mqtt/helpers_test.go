package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/testdata"
)

var (
	testGate = Gate{Site: "plant", Name: "north"}
	quietLog = slog.New(slog.DiscardHandler)

	subscribers atomic.Int32 // so that each has a client id of its own
)

func sample(n int) event.Event {
	return event.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("EVENT%06d", n), Source: "/plant/north", Type: "thermogate.screening.pass.v1",
		Time: time.Now().UTC(), DataContentType: "application/json",
		Data: event.Data{Outcome: event.Pass, Reason: "below-threshold", Camera: "test", Version: "test"},
	}
}

func openJournal(t testing.TB) *journal.Journal {
	t.Helper()
	return openJournalAt(t, filepath.Join(t.TempDir(), "journal.db"))
}

func openJournalAt(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), path, journal.DefaultConfig(), quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func appendEvents(t testing.TB, j *journal.Journal, from, to int) {
	t.Helper()
	var wg sync.WaitGroup
	for n := from; n <= to; n++ {
		wg.Go(func() {
			if err := j.Append(t.Context(), sample(n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// mosquitto is a real broker on a free port of this machine; it keeps its state in a folder of its own.
type mosquitto struct {
	t       testing.TB
	port    int
	conf    string
	process *exec.Cmd
}

// startMosquitto starts one that lets everyone in, or one with these settings.
func startMosquitto(t testing.TB, settings ...string) *mosquitto {
	t.Helper()
	if len(settings) == 0 {
		settings = []string{"allow_anonymous true"}
	}
	port := testdata.FreePort(t)
	conf := fmt.Sprintf("listener %d 127.0.0.1\nuser root\nmax_queued_messages 0\n%s\n",
		port, strings.Join(settings, "\n"))
	return startMosquittoWith(t, port, conf)
}

func startMosquittoWith(t testing.TB, port int, conf string) *mosquitto {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/mosquitto"); err != nil {
		t.Skip("skipped, mosquitto is not installed")
	}
	m := &mosquitto{t: t, port: port, conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	if err := os.WriteFile(m.conf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	m.start()
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.process = exec.Command("/usr/sbin/mosquitto", "-c", m.conf)
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, func() bool {
		conn, err := net.Dial("tcp", m.address())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (m *mosquitto) address() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }

// kill ends the broker as a crash would.
func (m *mosquitto) kill() {
	if m.process == nil {
		return
	}
	m.process.Process.Signal(syscall.SIGKILL)
	m.process.Wait()
	m.process = nil
}

// subscriber is a receiver that stays subscribed through everything.
type subscriber struct {
	client paho.Client

	mu       sync.Mutex
	messages []message
	arrived  chan struct{}
}

type message struct {
	topic    string
	payload  []byte
	retained bool
	at       time.Time
	event    event.Event // on a screening topic
}

func subscribe(t testing.TB, address, filter string) *subscriber {
	t.Helper()
	s := &subscriber{arrived: make(chan struct{}, 1)}
	ready := make(chan struct{}, 100)
	options := paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(fmt.Sprintf("subscriber-%d", subscribers.Add(1))).
		SetCleanSession(false).SetConnectRetry(true).SetConnectRetryInterval(20 * time.Millisecond).
		SetMaxReconnectInterval(100 * time.Millisecond).SetKeepAlive(keepAlive).SetPingTimeout(keepAlive).
		SetOnConnectHandler(func(c paho.Client) {
			if c.Subscribe(filter, 1, s.receive).WaitTimeout(time.Minute) {
				ready <- struct{}{}
			}
		})
	s.client = paho.NewClient(options)
	connecting := s.client.Connect()
	t.Cleanup(func() { s.client.Disconnect(0) })
	select {
	case <-ready:
		connecting.Wait() // only then paho has looked for what a connection before may have left unsent
	case <-time.After(time.Minute):
		t.Fatal("the subscriber can't connect")
	}
	return s
}

func (s *subscriber) receive(_ paho.Client, m paho.Message) {
	received := message{topic: m.Topic(), payload: m.Payload(), retained: m.Retained(), at: time.Now()}
	if _, rest, _ := ParseTopic(m.Topic()); strings.HasPrefix(rest, "screening/") {
		if err := json.Unmarshal(m.Payload(), &received.event); err != nil {
			panic(err)
		}
	}
	s.mu.Lock()
	s.messages = append(s.messages, received)
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (s *subscriber) all() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages[:len(s.messages):len(s.messages)]
}

// waitFor returns the messages once enough says so.
func (s *subscriber) waitFor(t testing.TB, enough func([]message) bool) []message {
	t.Helper()
	const limit = time.Minute // without a message, of a machine that does much else
	for {
		messages := s.all()
		if enough(messages) {
			return messages
		}
		select {
		case <-s.arrived:
		case <-time.After(limit):
			t.Fatalf("waited %v in vain, %d messages came", limit, len(messages))
		}
	}
}

func atLeast(n int) func([]message) bool {
	return func(messages []message) bool { return len(messages) >= n }
}

// keepAlive is longer than a machine with much else to do takes to say that a client is there.
const keepAlive = 30 * time.Second

func testConfig(address string) Config {
	cfg := DefaultConfig()
	cfg.Broker = "mqtt://" + address
	cfg.KeepAlive = keepAlive
	return cfg
}

// run starts a client and returns it with a function that ends it and waits for that.
func run(t testing.TB, cfg Config, j *journal.Journal, handle Handler) (*Client, func()) {
	t.Helper()
	c := newClient(t, cfg, j, handle)
	return c, start(t, c)
}

func newClient(t testing.TB, cfg Config, j *journal.Journal, handle Handler) *Client {
	t.Helper()
	c, err := New(cfg, testGate, j, handle, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	c.timing = quickTiming()
	return c
}

func start(t testing.TB, c *Client) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	end := func() { cancel(); <-done }
	t.Cleanup(end)
	return end
}

// link is a TCP proxy that can be cut, slowed and frozen.
type link struct {
	listener net.Listener
	target   string
	delay    atomic.Int64 // of every chunk, in nanoseconds

	mu     sync.Mutex
	conns  map[net.Conn]bool
	down   bool
	thawed chan struct{} // closed while data passes
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target, conns: map[net.Conn]bool{}, thawed: make(chan struct{})}
	close(l.thawed)
	t.Cleanup(func() { listener.Close(); l.cut(); l.mend() })
	go l.serve()
	return l
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) serve() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		l.mu.Lock()
		if err != nil || l.down {
			near.Close()
			if far != nil {
				far.Close()
			}
			l.mu.Unlock()
			continue
		}
		l.conns[near], l.conns[far] = true, true
		l.mu.Unlock()
		go l.copy(near, far)
		go l.copy(far, near)
	}
}

func (l *link) copy(to, from net.Conn) {
	defer func() {
		to.Close()
		from.Close()
		l.mu.Lock()
		delete(l.conns, to)
		delete(l.conns, from)
		l.mu.Unlock()
	}()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(l.delay.Load()))
		l.mu.Lock()
		thawed := l.thawed
		l.mu.Unlock()
		<-thawed
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut breaks every connection and lets no new one through until mend.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for conn := range l.conns {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// freeze lets nothing through until mend, and tells nobody.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.thawed = make(chan struct{})
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	l.delay.Store(0)
	select {
	case <-l.thawed:
	default:
		close(l.thawed)
	}
}

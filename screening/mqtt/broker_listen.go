package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"thermogate/screening/listen"
)

// The listeners by the names that the broker knows them by.
const (
	networkName = "network"
	ownName     = "own"
)

// acceptAgain is how long a listener waits that can't take a connection.
const acceptAgain = 100 * time.Millisecond

// networkListener takes connections from the network. It hangs up on those beyond the room of their address, and gives
// each only brokerHello to make itself known: the broker itself counts and times clients only from their CONNECT on. As
// long as a connection has not, a newer one may take its place, so nobody keeps others out who is not let in himself.
type networkListener struct {
	net.Listener
	limits    *limits
	tls       *tls.Config // nil without TLS
	most      int         // connections from one address
	strangers *listen.Places

	mu    sync.Mutex
	conns map[*brokerConn]netip.Addr
	from  map[netip.Addr]int
}

func (c BrokerConfig) listen(limits *limits) (*networkListener, error) {
	var config *tls.Config
	if c.CertFile != "" {
		certificate, err := listen.LoadCertificate(c.CertFile, c.KeyFile, limits.log)
		if err != nil {
			return nil, fmt.Errorf("broker.%w", err)
		}
		config = certificate.TLS()
	}
	listener, err := net.Listen("tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("broker.listen: %s is in use, perhaps by another broker: stop that, or choose another port", c.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("broker.listen: %w", err)
	}
	return &networkListener{
		Listener: listener, limits: limits, tls: config,
		most:      max(1, c.MaxClients/2),
		strangers: listen.NewPlaces(c.MaxClients),
		conns:     map[*brokerConn]netip.Addr{}, from: map[netip.Addr]int{},
	}, nil
}

// Accept returns the next connection for which there is room.
func (l *networkListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil { // no descriptors left, say; the library would never listen again
			l.limits.tell(limitConnections, "error", err)
			time.Sleep(acceptAgain)
			continue
		}
		admitted := l.admit(conn)
		if admitted == nil {
			l.limits.tell(limitConnections, "from", conn.RemoteAddr())
			conn.Close()
			continue
		}
		admitted.SetDeadline(time.Now().Add(brokerHello))
		if l.tls != nil {
			return tls.Server(admitted, l.tls), nil
		}
		return admitted, nil
	}
}

// admit counts the connection; it is nil where there is no room for it.
func (l *networkListener) admit(conn net.Conn) *brokerConn {
	address := listen.Remote(conn.RemoteAddr().String())
	l.mu.Lock()
	full := l.from[address] >= l.most
	l.mu.Unlock()
	if full {
		return nil
	}
	admitted := newBrokerConn(conn, l.leave)
	admitted.greeted = l.strangers.Take(address, func() { // without mu, because it closes another
		l.limits.tell(limitConnections, "from", conn.RemoteAddr())
		admitted.Close()
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[admitted] = address
	l.from[address]++
	return admitted
}

func (l *networkListener) leave(conn *brokerConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	address := l.conns[conn]
	delete(l.conns, conn)
	if l.from[address]--; l.from[address] <= 0 {
		delete(l.from, address)
	}
}

func (l *networkListener) hangUp() { hangUp(&l.mu, l.conns) }

// hangUp closes every connection, without mu, because each leaves conns as it is closed.
func hangUp[V any](mu *sync.Mutex, conns map[*brokerConn]V) {
	mu.Lock()
	all := slices.Collect(maps.Keys(conns))
	mu.Unlock()
	for _, conn := range all {
		conn.Close()
	}
}

// brokerConn gives every write its own deadline. A write that fails ends the connection, and the broker learns of it
// from the next read: that is where it cleans up, whatever it was about to write.
type brokerConn struct {
	net.Conn
	leave   func(*brokerConn)
	greeted func() // to be called once the client is let in
	once    sync.Once
}

func newBrokerConn(conn net.Conn, leave func(*brokerConn)) *brokerConn {
	return &brokerConn{Conn: conn, leave: leave, greeted: func() {}}
}

// Write takes at most brokerWrite, and never returns an error.
func (c *brokerConn) Write(p []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(brokerWrite))
	if _, err := c.Conn.Write(p); err != nil {
		c.Close()
	}
	return len(p), nil
}

// SetDeadline is for reads alone: the broker sets it by the client's keep-alive, which may be none.
func (c *brokerConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Close makes room for another connection.
func (c *brokerConn) Close() error {
	c.once.Do(func() { c.leave(c); c.greeted() })
	return c.Conn.Close()
}

// innermost is the connection below TLS, which can be closed whoever is writing to it.
func innermost(conn net.Conn) *brokerConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return conn.(*brokerConn) // both listeners make nothing else
}

// ownListener takes the connections of the gate itself. They are socket pairs, which nobody outside this process can
// have an end of, so whoever comes through here is the gate.
type ownListener struct {
	pending chan net.Conn
	closed  chan struct{}
	once    sync.Once

	mu    sync.Mutex
	conns map[*brokerConn]bool
}

func newOwnListener() *ownListener {
	return &ownListener{pending: make(chan net.Conn), closed: make(chan struct{}), conns: map[*brokerConn]bool{}}
}

func (l *ownListener) dial(ctx context.Context) (net.Conn, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connecting to the gate's own broker: %w", err)
	}
	near, nearErr := socket(pair[0])
	far, farErr := socket(pair[1])
	if err = errors.Join(nearErr, farErr); err == nil {
		select {
		case l.pending <- far:
			return near, nil
		case <-l.closed:
			err = net.ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	for _, end := range []net.Conn{near, far} {
		if end != nil {
			end.Close()
		}
	}
	return nil, fmt.Errorf("connecting to the gate's own broker: %w", err)
}

func socket(descriptor int) (net.Conn, error) {
	file := os.NewFile(uintptr(descriptor), "socket")
	defer file.Close() // FileConn has a duplicate
	return net.FileConn(file)
}

// Accept returns the next connection of the gate.
func (l *ownListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.pending:
		l.mu.Lock()
		defer l.mu.Unlock()
		admitted := newBrokerConn(conn, l.leave)
		l.conns[admitted] = true
		return admitted, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *ownListener) leave(conn *brokerConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}

func (l *ownListener) hangUp() { hangUp(&l.mu, l.conns) }

// Close ends Accept.
func (l *ownListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr names no place in any network.
func (l *ownListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

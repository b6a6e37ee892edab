package mqtt

import (
	"log/slog"
	"net"
	"sync"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// brokerListener hands connections to the library. The library must not be given another one once it stops, so this one
// ends all of them before.
type brokerListener struct {
	net.Listener
	name    string
	hangUp  func() // closes every connection
	serving sync.WaitGroup

	mu      sync.Mutex
	stopped bool
}

// Serve accepts connections until stop.
func (s *brokerListener) Serve(establish listeners.EstablishFn) {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.stopped {
			conn.Close()
		} else {
			s.serving.Go(func() { _ = establish(s.name, conn) }) // limits has what matters of why it ended
		}
		s.mu.Unlock()
	}
}

// stop ends every connection, whether anybody reads on it or not, and returns once the library knows.
func (s *brokerListener) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.Listener.Close()
	s.hangUp()
	s.serving.Wait()
}

// Close has nothing to do after stop.
func (s *brokerListener) Close(listeners.CloseFn) {}

// Init has nothing to do.
func (s *brokerListener) Init(*slog.Logger) error { return nil }

// ID is the name that the library knows the listener by.
func (s *brokerListener) ID() string { return s.name }

// Address is where it listens.
func (s *brokerListener) Address() string { return s.Addr().String() }

// Protocol is that of the address.
func (s *brokerListener) Protocol() string { return s.Addr().Network() }

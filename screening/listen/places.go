package listen

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// AddressOf is where a request comes from; the zero Addr where that is no IP address.
func AddressOf(r *http.Request) netip.Addr { return Remote(r.RemoteAddr) }

// Remote is the address in HOST:PORT, the zero Addr where that is no IP address. Of IPv6 it is the first of the /64,
// for one host may have all of that.
func Remote(hostPort string) netip.Addr {
	parsed, _ := netip.ParseAddrPort(hostPort)
	address := parsed.Addr().Unmap().WithZone("")
	if address.Is4() || address.IsLoopback() {
		return address
	}
	network, _ := address.Prefix(64) // the zero one of no address
	return network.Addr()
}

// Places are a number of places that everybody finds one in: whoever comes when all are taken gets the one that the
// address with most places has had longest.
type Places struct {
	size int

	mu    sync.Mutex
	taken []*place // the one taken first comes first
}

type place struct {
	address netip.Addr
	evict   func()
}

// NewPlaces returns places that are all free.
func NewPlaces(size int) *Places { return &Places{size: size} }

// Take takes a place until leave is called, or until another needs it: then evict is, once. Calling leave again does
// nothing.
func (p *Places) Take(address netip.Addr, evict func()) (leave func()) {
	mine := &place{address, evict}
	p.mu.Lock()
	p.taken = append(p.taken, mine)
	var loser *place
	if len(p.taken) > p.size {
		loser = p.largest()
		p.remove(loser)
	}
	p.mu.Unlock()
	if loser != nil {
		loser.evict()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.remove(mine)
	}
}

// largest is the oldest place of the address with most.
func (p *Places) largest() *place {
	count := map[netip.Addr]int{}
	for _, place := range p.taken {
		count[place.address]++
	}
	largest := p.taken[0]
	for _, place := range p.taken {
		if count[place.address] > count[largest.address] {
			largest = place
		}
	}
	return largest
}

func (p *Places) remove(gone *place) {
	if i := slices.Index(p.taken, gone); i >= 0 {
		p.taken = slices.Delete(p.taken, i, i+1)
	}
}

// Taken counts the places that are taken.
func (p *Places) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}

// boundedListener keeps a number of connections at most, those of this machine and of proxies apart from the others.
type boundedListener struct {
	net.Listener
	near, far *Places
	proxies   proxies
	proxied   *Places
}

// Accept returns the next connection, which may cost the address with most of them its oldest.
func (l boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	places, address := l.far, Remote(conn.RemoteAddr().String())
	if l.proxies.have(peer(conn.RemoteAddr().String())) {
		places = l.proxied
	} else if address.IsLoopback() {
		places = l.near
	}
	return &boundedConn{Conn: conn, leave: places.Take(address, func() { conn.Close() })}, nil
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close makes room for another connection.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

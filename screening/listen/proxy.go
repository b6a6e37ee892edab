package listen

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the networks of those that may say whom a request comes from.
type proxies []netip.Prefix

func parseProxies(texts []string) (proxies, error) {
	var all proxies
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			var address netip.Addr
			if address, err = netip.ParseAddr(text); err != nil {
				return nil, fmt.Errorf("tls_proxies: %q is neither an address such as 192.0.2.7 nor a network such as 192.0.2.0/28", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if network.Bits() == 0 {
			return nil, fmt.Errorf("tls_proxies: with %q everybody could say whom they come from; name the proxy alone", text)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

func (p proxies) have(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(address) })
}

// peer is the address in HOST:PORT or of a HOST alone; the zero Addr where it is none.
func peer(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	address, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap().WithZone("")
}

type proxiedKey struct{}

// Encrypted tells whether a request came over TLS, to this listener or to a proxy before it.
func Encrypted(r *http.Request) bool {
	return r.TLS != nil || r.Context().Value(proxiedKey{}) != nil
}

// unwrap gives requests that come through a proxy the address of whom they come from. What somebody else says of that
// counts for nothing: each proxy adds, on the right, who spoke to it.
func (p proxies) unwrap(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := peer(r.RemoteAddr)
		if !p.have(from) {
			next.ServeHTTP(w, r)
			return
		}
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			before := peer(hop)
			if !before.IsValid() {
				break
			}
			if from = before; !p.have(from) {
				break
			}
		}
		r = r.WithContext(context.WithValue(r.Context(), proxiedKey{}, true))
		r.RemoteAddr = net.JoinHostPort(from.String(), "0")
		next.ServeHTTP(w, r)
	})
}

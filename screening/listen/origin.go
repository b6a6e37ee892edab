package listen

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// hosts are the names under which this machine is asked for its pages. A name that is none of them is another site's,
// which its owner has pointed here so that his pages count as ours (DNS rebinding).
type hosts struct {
	names       map[string]bool
	certificate *Certificate // its names count, too; nil for none
}

// ownNames are those that the machine and the config give.
func (c Config) ownNames() map[string]bool {
	names := map[string]bool{"localhost": true}
	for _, name := range c.Hosts {
		names[plain(name)] = true
	}
	if listen, _, err := net.SplitHostPort(c.Listen); err == nil && listen != "" {
		names[plain(listen)] = true
	}
	if machine, err := os.Hostname(); err == nil && hostname.MatchString(plain(machine)) {
		names[plain(machine)] = true
		names[plain(machine)+".local"] = true
	}
	return names
}

// hostname is a name that browsers can ask for and certificates can have; that of a machine may be anything.
var hostname = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

// plain is how a name is compared: without its case and the dot that ends a full one.
func plain(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// know tells whether the host of a request is one of ours. An IP address always is: nobody else can point it here.
func (h hosts) know(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
			return false // such as 10.0.0.1:80@elsewhere
		}
		host = name
	}
	host = plain(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return h.names[host] || h.certificate != nil && h.certificate.names(host)
}

// OwnPath is to where that is a path of these pages, and / where it leads elsewhere. Browsers take a backslash for a slash,
// and leave out what is unprintable.
func OwnPath(to string) string {
	u, err := url.Parse(to) // which refuses control characters
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return to
}

// pagePolicy is for what is not made to be shown as a page; handlers of pages set their own.
const pagePolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// sameOrigin lets through what no other site's page has sent, and tells browsers to keep it from them.
func sameOrigin(hosts hosts, next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !hosts.know(r.Host) {
			http.Error(w, fmt.Sprintf("%q is not a name of this machine; if it should be, add it to hosts in the config", r.Host),
				http.StatusMisdirectedRequest)
			return
		}
		if err := fromElsewhere(protection, r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromElsewhere is an error for a request of another site's page. The library lets such a page read (GET, HEAD) and
// trusts browsers to hide the answer; here it may only follow a link.
func fromElsewhere(protection *http.CrossOriginProtection, r *http.Request) error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reads && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" {
		return nil
	}
	strict := r.WithContext(r.Context())
	strict.Method = http.MethodPost
	return protection.Check(strict)
}

package listen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// plainListener answers those that come to a TLS address without TLS, which somebody does who types http or no scheme at all.
type plainListener struct {
	net.Listener
	hosts hosts
}

func (l plainListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &plainConn{Conn: conn, hosts: l.hosts}, nil
}

// plainConn looks at how a connection begins.
type plainConn struct {
	net.Conn
	hosts hosts
	begun bool
}

// handshake is the first byte of every TLS connection.
const handshake = 0x16

// Read is called by one goroutine at a time until TLS has begun, under its time limit.
func (c *plainConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.begun || n == 0 {
		return n, err
	}
	c.begun = true
	if p[0] == handshake {
		return n, err
	}
	c.sendOn(p[:n])
	return 0, io.EOF
}

// sendOn leads a browser to the same page over TLS, and tells others.
func (c *plainConn) sendOn(begin []byte) {
	all := io.LimitReader(io.MultiReader(bytes.NewReader(begin), c.Conn), maxHeaderBytes)
	request, err := http.ReadRequest(bufio.NewReader(all))
	if err != nil {
		return
	}
	address := (&url.URL{Scheme: "https", Host: request.Host, Path: request.URL.Path, RawQuery: request.URL.RawQuery}).String()
	said := fmt.Sprintf("This address takes https only: %s\n这个地址只用 https：%[1]s\n", address)
	proxied := throughTLS(request)
	if proxied {
		said += "A proxy asks here without TLS: have it ask https, or name it in tls_proxies and set unencrypted: true.\n" +
			"代理在用 http 访问这里：请让它改用 https，或把它写进 tls_proxies 并设 unencrypted: true。\n"
	}
	answer := http.Response{
		StatusCode: http.StatusBadRequest, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header:        http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}},
		Body:          io.NopCloser(strings.NewReader(said)),
		ContentLength: int64(len(said)),
		Request:       request,
	}
	if !proxied && c.hosts.know(request.Host) && (request.Method == http.MethodGet || request.Method == http.MethodHead) {
		answer.StatusCode = http.StatusTemporaryRedirect
		answer.Header.Set("Location", address)
	}
	_ = answer.Write(c.Conn) // a browser that is gone needs no answer
}

// throughTLS tells whether a request has come over TLS to a proxy, which sends it on without: whoever asks would be led back here
// each time.
func throughTLS(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") || strings.Contains(strings.ToLower(r.Header.Get("Forwarded")), "proto=https")
}

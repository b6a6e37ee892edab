package testdata

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// FreeAddress is HOST:PORT of this machine, where nothing listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}

// FreePort is one of 127.0.0.1, for TCP and UDP, that is the test's until its process ends.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := TakePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TakePort is FreePort for what outlasts a test. A port that the system chooses is nobody's: once it is closed, the next connection or
// listener of any test may have it.
func TakePort() (int, error) {
	const first, end, tries = 10_000, 32_000, 1_000 // below those that the system chooses
	var err error
	for range tries {
		port := first + rand.IntN(end-first)
		if err = take(port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

// take keeps a port from the tests of all packages, by a name that the kernel gives to one process and takes back at its end.
func take(port int) error {
	claim, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err = unix.Bind(claim, &unix.SockaddrUnix{Name: fmt.Sprintf("@thermogate test port %d", port)}); err == nil {
		err = isFree(fmt.Sprintf("127.0.0.1:%d", port))
	}
	if err != nil {
		unix.Close(claim)
	}
	return err
}

func isFree(address string) error {
	stream, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer stream.Close()
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	return packets.Close()
}

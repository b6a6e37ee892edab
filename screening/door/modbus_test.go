package door

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
)

// coils is a Modbus TCP server with one coil, number 7 of unit 3.
type coils struct {
	t        *testing.T
	listener net.Listener
	changed  chan bool

	mu      sync.Mutex
	on, was bool
	conns   []net.Conn
	spoil   func([]byte) []byte // of answers; nil is not at all
	quiet   bool                // takes requests and answers nothing
	broken  bool                // breaks the connection over each request
	served  int
}

func startCoils(t *testing.T) *coils {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &coils{t: t, listener: listener, changed: make(chan bool, 100)}
	t.Cleanup(func() { listener.Close(); c.drop() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
			go c.serve(conn)
		}
	}()
	return c
}

func (c *coils) config(fail Fail) Config {
	cfg := DefaultConfig()
	cfg.Output, cfg.Fail = Modbus, fail
	cfg.Modbus = ModbusConfig{Address: c.listener.Addr().String(), Unit: 3, Coil: 7}
	return cfg
}

func (c *coils) serve(conn net.Conn) {
	for {
		var header [7]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		pdu := make([]byte, binary.BigEndian.Uint16(header[4:])-1)
		if _, err := io.ReadFull(conn, pdu); err != nil {
			return
		}
		c.mu.Lock()
		broken := c.broken
		c.mu.Unlock()
		if broken {
			conn.Close()
			return
		}
		if answer := c.answer(header[6], pdu); answer != nil {
			frame := append(header[:4:4], 0, byte(len(answer)+1), header[6])
			conn.Write(c.spoilt(append(frame, answer...)))
		}
	}
}

func (c *coils) answer(unit byte, pdu []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served++
	switch {
	case c.quiet:
		return nil
	case unit != 3:
		return []byte{pdu[0] | 0x80, 0x0B}
	case pdu[0] != 1 && pdu[0] != 5:
		return []byte{pdu[0] | 0x80, 0x01}
	case binary.BigEndian.Uint16(pdu[1:]) != 7:
		return []byte{pdu[0] | 0x80, 0x02}
	case pdu[0] == 1 && c.on:
		return []byte{1, 1, 1}
	case pdu[0] == 1:
		return []byte{1, 1, 0}
	}
	on := pdu[3] == 0xFF
	if on != c.on {
		c.changed <- on
	}
	c.on, c.was = on, c.was || on
	return pdu
}

func (c *coils) spoilt(answer []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spoil == nil {
		return answer
	}
	return c.spoil(answer)
}

func (c *coils) wasOn() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.was }
func (c *coils) isOn() bool  { c.mu.Lock(); defer c.mu.Unlock(); return c.on }
func (c *coils) hang()       { c.mu.Lock(); c.quiet = true; c.mu.Unlock() }
func (c *coils) breakOff()   { c.mu.Lock(); c.broken = true; c.mu.Unlock() }
func (c *coils) recover()    { c.mu.Lock(); c.quiet, c.broken = false, false; c.mu.Unlock() }

// drop breaks every connection, as a device does that restarts.
func (c *coils) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// becomes waits until the coil is switched.
func (c *coils) becomes(on bool) {
	c.t.Helper()
	select {
	case got := <-c.changed:
		if got != on {
			c.t.Fatalf("the coil is switched to %v, want %v", got, on)
		}
	case <-time.After(time.Minute):
		c.t.Fatalf("the coil is not switched to %v", on)
	}
}

func TestPulseOfACoil(t *testing.T) {
	for _, fail := range []Fail{Secure, Safe} {
		t.Run(string(fail), func(t *testing.T) {
			server := startCoils(t)
			server.on = fail == Secure // left so by a gate that was killed
			cfg := server.config(fail)
			cfg.Pulse = 300 * time.Millisecond
			d := newDoor(t, cfg)
			answers, moves := make(chan event.Event, 1), make(chan Move, 10)
			d.calls.Answered = func(e event.Event) { answers <- e }
			d.calls.Moved = func(m Move) { moves <- m }
			ended := make(chan struct{})
			go func() { defer close(ended); d.Run() }()
			locked := fail == Safe
			server.becomes(locked) // at the start
			began := time.Now()
			d.Open(sample(event.Pass))
			server.becomes(!locked)
			if got := answer(t, answers); got.Accepted == nil || !*got.Accepted || got.Seconds == nil {
				t.Errorf("%+v", got)
			}
			server.drop() // a connection that breaks costs nothing
			server.becomes(locked)
			if took := time.Since(began); took < cfg.Pulse {
				t.Errorf("locked again after %v, want %v", took, cfg.Pulse)
			}
			if first, then := <-moves, <-moves; first != Opened || then != Locked {
				t.Errorf("told of %s and %s", first, then)
			}
			d.Open(sample(event.Pass))
			server.becomes(!locked)
			d.Close()
			<-ended
			if server.isOn() {
				t.Error("left energised at the end")
			}
		})
	}
}

// TestLockEndsAPulse has somebody step before the one who passed, on every kind of lock.
func TestLockEndsAPulse(t *testing.T) {
	for _, fail := range []Fail{Secure, Safe} {
		t.Run(string(fail), func(t *testing.T) {
			server := startCoils(t)
			server.on = fail == Secure
			cfg := server.config(fail)
			cfg.Pulse = time.Minute
			d := newDoor(t, cfg)
			moves := make(chan Move, 10)
			d.calls.Moved = func(m Move) { moves <- m }
			answers := work(t, d)
			locked := fail == Safe
			server.becomes(locked) // at the start
			d.Lock()               // nothing to end
			for range 2 {
				d.Open(sample(event.Pass))
				server.becomes(!locked)
				if got := answer(t, answers); got.Accepted == nil || !*got.Accepted {
					t.Errorf("%+v", got)
				}
				d.Lock()
				d.Lock()
				server.becomes(locked)
				if first, then := <-moves, <-moves; first != Opened || then != Cut {
					t.Errorf("told of %s and %s", first, then)
				}
			}
			if len(moves) > 0 || d.Err() != nil {
				t.Errorf("also told of %s, error %v", <-moves, d.Err())
			}
		})
	}
}

// TestLockThatFailsIsTriedAgain has each connection break to a device that has to end a pulse.
func TestLockThatFailsIsTriedAgain(t *testing.T) {
	server := startCoils(t)
	cfg := server.config(Secure)
	cfg.Pulse = time.Minute
	d := newDoor(t, cfg)
	moves := make(chan Move, 10)
	d.calls.Moved = func(m Move) { moves <- m }
	answers := work(t, d)
	d.Open(sample(event.Pass))
	server.becomes(true)
	answer(t, answers)
	server.breakOff()
	d.Lock()
	if first, then := <-moves, <-moves; first != Opened || then != Cut {
		t.Errorf("told of %s and %s", first, then)
	}
	if err := d.Err(); err == nil || !strings.Contains(err.Error(), "may stand open") {
		t.Errorf("error %v of a door that may stand open", err)
	}
	server.recover()
	server.becomes(false)
}

func TestWhatACoilAnswers(t *testing.T) {
	spoil := func(spoil func([]byte) []byte) func(*coils, *Config) {
		return func(c *coils, _ *Config) { c.spoil = spoil }
	}
	yes, no := new(true), new(false)
	for name, test := range map[string]struct {
		change   func(*coils, *Config)
		accepted *bool
		says     string
	}{
		"echo":              {func(*coils, *Config) {}, yes, ""},
		"no such coil":      {func(_ *coils, c *Config) { c.Modbus.Coil = 8 }, no, "no such coil (Modbus exception 2)"},
		"silent unit":       {func(_ *coils, c *Config) { c.Modbus.Unit = 4 }, nil, "the unit does not answer the gateway"},
		"nobody listens":    {func(_ *coils, c *Config) { c.Modbus.Address = "127.0.0.1:1" }, no, "refused"},
		"no answer":         {func(s *coils, _ *Config) { s.hang() }, nil, "no answer in time"},
		"other value":       {spoil(func(b []byte) []byte { b[10] ^= 0xFF; return b }), nil, "does not confirm"},
		"other coil":        {spoil(func(b []byte) []byte { b[9]++; return b }), nil, "does not confirm"},
		"other transaction": {spoil(func(b []byte) []byte { b[1]++; return b }), nil, "another request"},
		"other unit":        {spoil(func(b []byte) []byte { b[6]++; return b }), nil, "another request"},
		"other function":    {spoil(func(b []byte) []byte { b[7] = 15; return b }), nil, "another function"},
		"other protocol":    {spoil(func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }), nil, "no Modbus answer"},
		"cut off":           {func(s *coils, _ *Config) { s.spoil = func(b []byte) []byte { go s.drop(); return b[:9] } }, nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := startCoils(t)
			cfg := server.config(Secure)
			test.change(server, &cfg)
			d := newDoor(t, cfg)
			if name == "no answer" {
				d.cfg.Timeout = time.Second
			}
			got := *d.carryOut(command{sample(event.Pass), time.Now()}).Data.Door
			if diff := cmp.Diff(test.accepted, got.Accepted); diff != "" || !*got.Commanded {
				t.Errorf("%+v: %s", got, diff)
			}
			if !strings.Contains(got.Error, test.says) || (got.Error == "") != (test.says == "") || strings.Contains(got.Error, "\n") {
				t.Errorf("says %q, want %q", got.Error, test.says)
			}
		})
	}
}

// TestRequestThatMayHaveArrived breaks a kept connection once a request has gone out over it.
func TestRequestThatMayHaveArrived(t *testing.T) {
	server := startCoils(t)
	d := newDoor(t, server.config(Secure))
	open := func() event.Door { return *d.carryOut(command{sample(event.Pass), time.Now()}).Data.Door }
	if got := open(); got.Accepted == nil || !*got.Accepted {
		t.Fatalf("%+v", got)
	}
	server.mu.Lock()
	server.spoil = func([]byte) []byte { server.listener.Close(); go server.drop(); return nil }
	server.mu.Unlock()
	if got := open(); got.Accepted != nil || !strings.Contains(got.Error, "refused"+notKnown) {
		t.Errorf("obeyed, then gone: %+v", got)
	}
	if got := open(); got.Accepted == nil || *got.Accepted || strings.Contains(got.Error, notKnown) {
		t.Errorf("gone: %+v", got)
	}
}

// TestDeadDeviceIsToldOnce logs each way in which a device is gone once, with its unit, until it obeys again.
func TestDeadDeviceIsToldOnce(t *testing.T) {
	server := startCoils(t)
	server.hang()
	d := newDoor(t, server.config(Secure))
	var log bytes.Buffer
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	tend := func() { d.note(d.within(time.Now(), d.output.tend)) }
	listening := d.cfg.Modbus.Address
	for range 10 {
		d.cfg.Timeout = 300 * time.Millisecond // in which it does not answer
		tend()
		d.output.(*lock).wire.(*modbus).cfg.Address = "127.0.0.1:1"
		d.cfg.Timeout = time.Minute // in which it refuses
		tend()
		d.output.(*lock).wire.(*modbus).cfg.Address = listening
	}
	const gone = "level=ERROR"
	if text := log.String(); strings.Count(text, gone) != 2 || strings.Count(text, "modbus.unit 3: ") != 2 {
		t.Errorf("logged\n%s", text)
	}
	server.recover()
	tend()
	server.drop()
	d.output.(*lock).wire.(*modbus).cfg.Address = "127.0.0.1:1"
	tend()
	tend()
	if text := log.String(); strings.Count(text, "obeys again") != 1 || strings.Count(text, gone) != 3 {
		t.Errorf("logged\n%s", text)
	}
}

func TestCheckOfACoilMovesNothing(t *testing.T) {
	server := startCoils(t)
	cfg := server.config(Safe)
	server.on = true
	found, err := Check(t.Context(), cfg)
	if err != nil || !strings.Contains(found, "coil 7 of unit 3") || !strings.HasSuffix(found, "is on") || !server.isOn() {
		t.Errorf("%q, %v", found, err)
	}
	cfg.Modbus.Coil = 8
	if _, err := Check(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "door.modbus") || !strings.Contains(err.Error(), "no such coil") {
		t.Errorf("error %v", err)
	}
	select {
	case on := <-server.changed:
		t.Errorf("switched to %v", on)
	default:
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 6, 3, 5, 0, 7, 0xFF, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 3, 3, 0x85, 2})
	f.Add([]byte{0, 1, 0, 0, 0xFF, 0xFF, 3, 5})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		pdu, err := readAnswer(r, 1, 3, writeSingleCoil)
		if err == nil && (pdu[0] != writeSingleCoil || len(pdu) > maxPDU || !bytes.HasPrefix(stream[7:], pdu)) {
			t.Errorf("% x was read as % x", stream, pdu)
		}
		if no := exception(0); errors.As(err, &no) && stream[7] != writeSingleCoil|exceptionBit {
			t.Errorf("% x was read as exception %d", stream, no)
		}
	})
}

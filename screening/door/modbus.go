package door

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// Function codes of the Modbus Application Protocol V1.1b3, 6.1 and 6.5.
const (
	readCoils       = 0x01
	writeSingleCoil = 0x05
	exceptionBit    = 0x80
)

// maxPDU is the longest protocol data unit (4.1 there).
const maxPDU = 253

// exceptions are what a server may answer instead (7 there); certain is that the coil has not moved.
var exceptions = map[byte]struct {
	text    string
	certain bool
}{
	0x01: {"the device has no such function", true},
	0x02: {"the device has no such coil", true},
	0x03: {"the device does not take this value", true},
	0x04: {"the device has failed", false},
	0x05: {"the device needs longer", false},
	0x06: {"the device is busy", true},
	0x0A: {"the gateway has no path to the unit", true},
	0x0B: {"the unit does not answer the gateway", false},
}

// exception is an answer that says no.
type exception byte

func (e exception) Error() string {
	text := exceptions[byte(e)].text
	if text == "" {
		text = "the device says no"
	}
	return fmt.Sprintf("%s (Modbus exception %d)", text, byte(e))
}

// modbus is a coil of a Modbus TCP server (MODBUS Messaging on TCP/IP Implementation Guide V1.0b).
type modbus struct {
	cfg         ModbusConfig
	conn        net.Conn
	transaction uint16
}

func (m *modbus) set(ctx context.Context, energised bool) error {
	pdu := []byte{writeSingleCoil, byte(m.cfg.Coil >> 8), byte(m.cfg.Coil), 0x00, 0x00}
	if energised {
		pdu[3] = 0xFF
	}
	answer, err := m.exchange(ctx, pdu)
	if err == nil && !bytes.Equal(answer, pdu) { // the normal response is an echo of the request
		m.close()
		err = fmt.Errorf("modbus.address %s, modbus.unit %d: the answer % x does not confirm % x", m.cfg.Address, m.cfg.Unit, answer, pdu)
	}
	return err
}

func (m *modbus) probe(ctx context.Context) (string, error) {
	answer, err := m.exchange(ctx, []byte{readCoils, byte(m.cfg.Coil >> 8), byte(m.cfg.Coil), 0, 1})
	if err != nil {
		return "", fmt.Errorf("%w; look at door.modbus and the device. Many devices talk to one program at a time: of a gate that runs, /readyz tells", err)
	}
	if len(answer) != 3 || answer[1] != 1 {
		return "", fmt.Errorf("modbus.address %s: % x is no answer to reading a coil; is this a Modbus TCP device?", m.cfg.Address, answer)
	}
	state := "off"
	if answer[2]&1 == 1 {
		state = "on"
	}
	return fmt.Sprintf("coil %d of unit %d at %s is %s", m.cfg.Coil, m.cfg.Unit, m.cfg.Address, state), nil
}

// exchange sends a request and returns the answer, over a new connection if the one there was has gone meanwhile. To
// write a coil twice does no harm. An error is a refusal only if no request can have been obeyed.
func (m *modbus) exchange(ctx context.Context, pdu []byte) ([]byte, error) {
	reused := m.conn != nil
	answer, sent, err := m.try(ctx, pdu)
	sentBefore := false
	if reused && err != nil && !errors.Is(err, errSilent) && !errors.As(err, new(exception)) {
		sentBefore = sent
		answer, sent, err = m.try(ctx, pdu)
	}
	if err == nil {
		return answer, nil
	}
	no := exception(0)
	certain := !sent || errors.As(err, &no) && exceptions[byte(no)].certain
	err = fmt.Errorf("modbus.address %s, modbus.unit %d: %w", m.cfg.Address, m.cfg.Unit, err)
	if certain && !sentBefore {
		err = refusal{err}
	}
	return nil, err
}

// try also says whether the device may have got the request.
func (m *modbus) try(ctx context.Context, pdu []byte) (answer []byte, sent bool, err error) {
	if m.conn == nil {
		if m.conn, err = new(net.Dialer).DialContext(ctx, "tcp", m.cfg.Address); err != nil {
			m.conn = nil
			return nil, false, plain(err)
		}
	}
	deadline, _ := ctx.Deadline()
	m.conn.SetDeadline(deadline)
	m.transaction++
	request := binary.BigEndian.AppendUint16(nil, m.transaction)
	request = append(request, 0, 0, 0, byte(len(pdu)+1), byte(m.cfg.Unit))
	if n, err := m.conn.Write(append(request, pdu...)); err != nil {
		m.close()
		return nil, n > 0, plain(err)
	}
	answer, err = readAnswer(m.conn, m.transaction, byte(m.cfg.Unit), pdu[0])
	if err != nil && !errors.As(err, new(exception)) {
		m.close() // what comes after it can't be told apart
	}
	return answer, true, plain(err)
}

func (m *modbus) close() {
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

// readAnswer reads one frame and returns its protocol data unit, the answer to function in this transaction.
func readAnswer(r io.Reader, transaction uint16, unit, function byte) ([]byte, error) {
	var header [7]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(header[4:])) - 1 // the unit is part of it
	switch {
	case header[2] != 0 || header[3] != 0 || length < 2 || length > maxPDU:
		return nil, fmt.Errorf("% x begins no Modbus answer", header)
	case binary.BigEndian.Uint16(header[:]) != transaction || header[6] != unit:
		return nil, fmt.Errorf("% x begins the answer to another request", header)
	}
	pdu := make([]byte, length)
	if _, err := io.ReadFull(r, pdu); err != nil {
		return nil, err
	}
	switch {
	case pdu[0] == function|exceptionBit && length == 2:
		return nil, exception(pdu[1])
	case pdu[0] != function:
		return nil, fmt.Errorf("the answer % x belongs to another function", pdu)
	}
	return pdu, nil
}

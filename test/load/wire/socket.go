package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Socket is one WebSocket connection (RFC 6455). One goroutine reads and answers pings; nobody else writes after the first message.
type Socket struct {
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
}

// ErrClosed says that the server ended the socket with a close frame.
var ErrClosed = errors.New("the server closed the socket")

// key is any 16 bytes in base64: this client meets no proxy that would have to be fooled.
const key = "bG9hZCBnZW5lcmF0b3IhIQ=="

// DialSocket opens ws://addr/path. From is the local address to connect from, or nil: with some of 127.0.0.0/8 one machine has ports for more
// connections than one address has.
func DialSocket(ctx context.Context, addr, host, path string, from net.IP) (*Socket, error) {
	d := net.Dialer{Timeout: patience}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Socket{conn: conn, reader: bufio.NewReaderSize(conn, 512)}
	if err := s.upgrade(host, path); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("open the live socket: %w", err)
	}
	return s, nil
}

func (s *Socket) upgrade(host, path string) error {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", path, host, host, key)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return fmt.Errorf("%s %s", resp.Status, text)
	}
	return s.conn.SetDeadline(time.Time{})
}

const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa

	longestFrame = 4 << 20
)

// Send writes one text message.
func (s *Socket) Send(text []byte) error { return s.write(opText, text) }

// write masks with zeros, which leaves the text as it is: masks protect proxies, and there is none.
func (s *Socket) write(op byte, payload []byte) error {
	out := make([]byte, 0, 14+len(payload))
	switch n := len(payload); {
	case n < 126:
		out = append(out, 0x80|op, 0x80|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|op, 0x80|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|op, 0x80|127), uint64(n))
	}
	out = append(out, 0, 0, 0, 0)
	_, err := s.conn.Write(append(out, payload...))
	return err
}

// Next waits for the next text message and answers pings meanwhile. The text is valid until the next call.
func (s *Socket) Next() ([]byte, error) {
	for {
		op, payload, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opText:
			return payload, nil
		case opPing:
			if err := s.write(opPong, payload); err != nil {
				return nil, err
			}
		case opPong:
		case opClose:
			return nil, fmt.Errorf("%w: %q", ErrClosed, payload)
		default:
			return nil, fmt.Errorf("a frame of the unexpected kind %#x", op)
		}
	}
}

func (s *Socket) frame() (op byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(s.reader, head[:2]); err != nil {
		return 0, nil, err
	}
	final, masked, n := head[0]&0x80 != 0, head[1]&0x80 != 0, uint64(head[1]&0x7f)
	op = head[0] & 0x0f
	switch n {
	case 126:
		_, err = io.ReadFull(s.reader, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(s.reader, head[:8])
		n = binary.BigEndian.Uint64(head[:8])
	}
	if err != nil {
		return 0, nil, err
	}
	if !final || masked || n > longestFrame {
		return 0, nil, fmt.Errorf("a frame that is in parts, masked or too long: %#x, %d bytes", op, n)
	}
	if uint64(cap(s.buffer)) < n {
		s.buffer = make([]byte, n)
	}
	s.buffer = s.buffer[:n]
	_, err = io.ReadFull(s.reader, s.buffer)
	return op, s.buffer, err
}

// Wait bounds the reads from now on; zero is for ever.
func (s *Socket) Wait(d time.Duration) error {
	if d == 0 {
		return s.conn.SetReadDeadline(time.Time{})
	}
	return s.conn.SetReadDeadline(time.Now().Add(d))
}

// IsTimeout reports whether an error is the end of what Wait set.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Release gives back the memory that the last message took: for sockets that are idle.
func (s *Socket) Release() { s.buffer = nil }

// Close ends the connection at once, as a network that fails does: by a reset, after which its port is free for another. A Next that waits returns an error.
func (s *Socket) Close() {
	if tcp, ok := s.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails on one that has ended
	}
	_ = s.conn.Close()
}

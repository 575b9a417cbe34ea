package systemtest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// line is a live socket down to the bytes on the wire, for what no library sends.
type line struct {
	conn net.Conn
	in   *bufio.Reader
	read strings.Builder // the texts that came so far
}

// dial opens the live socket of a host, whose port is the stack's. It ends with the test, or after patience.
func (a *attacked) dial(host string) (*line, error) {
	l := a.at(host, handshake())
	conn, err := (&net.Dialer{}).DialContext(a.t.Context(), "tcp", strings.Replace(l.host, host, "127.0.0.1", 1))
	if err != nil {
		return nil, err
	}
	a.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(a.t.Context(), l.method, "http://"+l.host+l.path, nil)
	if err != nil {
		return nil, err
	}
	req.Header = l.header
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // which is empty, and nothing of what follows
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("the handshake is answered %s", resp.Status)
	}
	return &line{conn: conn, in: in}, nil
}

func (l *line) write(frames string) error {
	_, err := io.WriteString(l.conn, frames)
	return err
}

// The opcodes of RFC 6455.
const (
	opContinuation, opText, opBinary = 0, 1, 2
	opClose, opPing, opPong          = 8, 9, 10
)

func text(message string) string { return fragment(true, opText, message) }

func binaryFrame(message string) string { return fragment(true, opBinary, message) }

// fragment is a frame as a client sends it, under a mask that changes nothing.
func fragment(final bool, opcode byte, payload string) string {
	const masked, two, eight = 0x80, 126, 127
	head := []byte{opcode}
	if final {
		head[0] |= 0x80
	}
	switch n := len(payload); {
	case n < two:
		head = append(head, masked|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, masked|two), uint16(n)) //nolint:gosec // checked above
	default:
		head = binary.BigEndian.AppendUint64(append(head, masked|eight), uint64(n)) //nolint:gosec // a length
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

// next is the server's next frame; texts are remembered.
func (l *line) next() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(l.in, head[:]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1])
	switch size {
	case 126:
		var n uint16
		err = binary.Read(l.in, binary.BigEndian, &n)
		size = uint64(n)
	case 127:
		err = binary.Read(l.in, binary.BigEndian, &size)
	}
	if err != nil || size > 4<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes: %w", size, err)
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(l.in, payload); err != nil {
		return 0, nil, err
	}
	if opcode = head[0] & 0x0f; opcode == opText {
		l.read.Write(payload)
		l.read.WriteByte('\n')
	}
	return opcode, payload, nil
}

// waitFor reads up to a text with word in it.
func (l *line) waitFor(word string) error {
	for {
		opcode, payload, err := l.next()
		switch {
		case err != nil:
			return fmt.Errorf("wait for %s after %s: %w", word, l.read.String(), err)
		case opcode == opClose:
			return fmt.Errorf("closed by %q after %s", payload, l.read.String())
		case opcode == opText && strings.Contains(string(payload), word):
			return nil
		}
	}
}

// ending reads up to the close frame and returns its status and reason, and the code of the error frame that came before it.
func (l *line) ending() (status int, reason, code string, err error) {
	for {
		opcode, payload, err := l.next()
		if err != nil {
			return 0, "", "", err
		}
		switch opcode {
		case opText:
			var f struct{ Type, Code string }
			if err := json.Unmarshal(payload, &f); err != nil {
				return 0, "", "", fmt.Errorf("a frame that is no JSON: %q", payload)
			}
			code = f.Code
		case opClose:
			if len(payload) < 2 {
				return 0, "", "", errors.New("a close frame without a status")
			}
			return int(binary.BigEndian.Uint16(payload)), string(payload[2:]), code, nil
		}
	}
}

// requireEnd opens a socket, sends what is given, and wants it to end with one of the codes, as docs/errors.md says it.
func (a *attacked) requireEnd(what, host, frames string, codes ...string) {
	a.t.Helper()
	l, err := a.dial(host)
	if err != nil {
		a.t.Errorf("%s: %v", what, err)
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = l.write(frames) // a long one is not read to its end
	}()
	status, reason, code, err := l.ending()
	_ = l.conn.Close()
	<-sent
	switch {
	case err != nil:
		a.t.Errorf("%s: no good end: %v, after %s", what, err, l.read.String())
	case reason != code || !slices.Contains(codes, code):
		a.t.Errorf("%s: ended with %q and closed with %q, not with %v", what, code, reason, codes)
	case !strings.Contains(page(a.t, "errors.md"), fmt.Sprintf("\n| %d | `%s` |", status, code)):
		a.t.Errorf("%s: docs/errors.md does not know that %s closes with %d", what, code, status)
	case leaks.MatchString(l.read.String()):
		a.t.Errorf("%s: tells of its insides by %q: %s", what, leaks.FindString(l.read.String()), l.read.String())
	}
}

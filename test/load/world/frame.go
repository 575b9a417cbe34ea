package world

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"noteworks.dev/test/load/wire"
)

// Frame is what the load suite reads of a live frame.
type Frame struct {
	Type, Event, Code, Cursor, Note string
	Version                         int
	// Stamp is the time at the beginning of the body, zero without one.
	Stamp time.Time
}

// NextFrame waits for the next frame.
func NextFrame(s *wire.Socket) (Frame, error) {
	text, err := s.Next()
	if err != nil {
		return Frame{}, err
	}
	return readFrame(text)
}

// readFrame looks for the fields it needs. To decode each of some thousand frames a second in full costs more than to write them.
func readFrame(text []byte) (f Frame, err error) {
	f = Frame{
		Type: field(text, `"type":"`), Event: field(text, `"event":"`), Code: field(text, `"code":"`), Cursor: field(text, `"cursor":"`),
		Note: field(text, `"noteId":"`),
	}
	if f.Event != "note.v1.NoteChanged" {
		return f, nil
	}
	if f.Version, err = strconv.Atoi(number(text, `"version":`)); err != nil {
		return f, fmt.Errorf("a change without a version: %.200s", text)
	}
	if nanos, err := strconv.ParseInt(number(text, `"body":"`), 10, 64); err == nil {
		f.Stamp = time.Unix(0, nanos)
	}
	return f, nil
}

func field(text []byte, key string) string {
	at := bytes.Index(text, []byte(key))
	if at < 0 {
		return ""
	}
	value, _, _ := bytes.Cut(text[at+len(key):], []byte{'"'})
	return string(value)
}

func number(text []byte, key string) string {
	at := bytes.Index(text, []byte(key))
	if at < 0 {
		return ""
	}
	value := text[at+len(key):]
	n := 0
	for n < len(value) && value[n] >= '0' && value[n] <= '9' {
		n++
	}
	return string(value[:n])
}

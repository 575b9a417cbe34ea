package live

import (
	"encoding/binary"
	"math"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"noteworks.dev/services/internal/errs"
)

// Frame is one message to browsers, encoded once and shared by all sockets that get it: an unmasked text message of RFC 6455, ready
// to be written. A Frame never changes.
type Frame struct {
	wire []byte
	note string // whose content this is, if of a note

	quiet bool
}

// Wire is what goes onto the socket. It must not be changed.
func (f *Frame) Wire() []byte { return f.wire }

// Quiet reports whether nothing has happened that the frame tells of: a ping, a pong, a cursor.
func (f *Frame) Quiet() bool { return f.quiet || f.wire[0]&0x08 != 0 }

// Why a client was ended. All but CodeRestart are codes of error frames.
const (
	CodeSessionEnded    = "session-ended"
	CodeTokenExpired    = "token-expired"
	CodeUnauthenticated = "unauthenticated"
	CodeWrongWorkspace  = "wrong-workspace"
	CodeOtherPerson     = "other-person"
	CodeMalformedFrame  = "malformed-frame"
	CodeBinaryFrame     = "binary-frame"
	CodeFrameTooLarge   = "frame-too-large"
	CodeTooManyFrames   = "too-many-frames"
	CodeTooSlow         = "too-slow"
	CodeUnavailable     = "unavailable"
	CodeRestart         = "restart"
	// CodeWorkspaceSuspended is no ending: the same session comes in again when the workspace is resumed.
	CodeWorkspaceSuspended = "workspace-suspended"
)

// MaxClientFrame is the longest frame a client may send: a token has up to 4 kB less what surrounds it.
const MaxClientFrame = 4 << 10

// ClientFrame is a frame from a client. Types other than "auth" are ignored, so that new ones need no new servers.
type ClientFrame struct {
	Type  string `json:"type"`
	Token string `json:"token"`
	Since string `json:"since"`
}

// TypeAuth is the one type of client frame there is.
const TypeAuth = "auth"

// ParseClientFrame reads a client's frame; what is no JSON object with a type is refused, and so is a key that stands there twice.
func ParseClientFrame(b []byte) (ClientFrame, error) {
	var head struct {
		Type string `json:"type"`
	}
	if len(b) > MaxClientFrame {
		return ClientFrame{}, errs.Invalid(CodeFrameTooLarge, "A frame has at most %d bytes.", MaxClientFrame)
	}
	if err := json.Unmarshal(b, &head); err != nil || head.Type == "" {
		return ClientFrame{}, errs.Invalid(CodeMalformedFrame, "A frame is a JSON object with a type.").WithCause(err)
	}
	if head.Type != TypeAuth {
		return ClientFrame{Type: head.Type}, nil
	}
	var f ClientFrame
	if err := json.Unmarshal(b, &f); err != nil {
		return ClientFrame{}, errs.Invalid(CodeMalformedFrame, "An auth frame has a token and may have since, both texts.").WithCause(err)
	}
	return f, nil
}

func readyFrame(at Cursor) *Frame {
	return newFrame("", []byte(`{"type":"ready","cursor":"`+at.String()+`"}`))
}

// cursorFrame lets a client to which nothing happens come back with a cursor that is young enough to be continued.
func cursorFrame(at Cursor) *Frame {
	f := newFrame("", []byte(`{"type":"cursor","cursor":"`+at.String()+`"}`))
	f.quiet = true
	return f
}

func resyncFrame() *Frame { return newFrame("", []byte(`{"type":"resync"}`)) }

func errorFrame(code string) *Frame {
	return newFrame("", []byte(`{"type":"error","code":`), quoted(code), []byte{'}'})
}

func eventFrame(e *Event, note string, at Cursor) *Frame {
	if e.Withdrawn != (Withdrawal{}) {
		note = "" // it says that the note is gone, and nothing of the note: never taken back
	}
	return newFrame(note,
		[]byte(`{"type":"event","event":`), quoted(e.Type), []byte(`,"id":`), quoted(e.ID), []byte(`,"cursor":"`+at.String()+`","data":`), e.Data, []byte{'}'})
}

// quoted is s as JSON; encoding a string cannot fail.
func quoted(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s) // what is no UTF-8 is replaced
	return b
}

// newFrame puts the header of a final, unmasked text message before what the parts are together.
func newFrame(note string, parts ...[]byte) *Frame {
	const finalText, two, eight, longest = 0x81, 126, 127, 10
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	wire := append(make([]byte, 0, longest+n), finalText)
	switch {
	case n < two:
		wire = append(wire, byte(n))
	case n <= math.MaxUint16:
		wire = binary.BigEndian.AppendUint16(append(wire, two), uint16(n)) //nolint:gosec // checked above
	default:
		wire = binary.BigEndian.AppendUint64(append(wire, eight), uint64(n)) //nolint:gosec // a length
	}
	for _, part := range parts {
		wire = append(wire, part...)
	}
	return &Frame{wire: wire, note: note}
}

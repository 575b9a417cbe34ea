package rpc

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON is Connect's JSON without its leniency: a field or a name that the message does not have is refused. Whoever writes JSON does so by hand, and what is
// misspelt must not pass for what was left out. Our services speak the binary form, in which one may know more than the other.
type strictJSON struct{ name string }

// strictly makes a handler take no other JSON.
func strictly() connect.HandlerOption {
	return connect.WithHandlerOptions(connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}))
}

// Name is connect.Codec's.
func (c strictJSON) Name() string { return c.name }

// Marshal is connect.Codec's.
func (strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", message)
	}
	return protojson.Marshal(m)
}

// Unmarshal is connect.Codec's.
func (strictJSON) Unmarshal(text []byte, message any) error {
	m, ok := message.(proto.Message)
	switch {
	case !ok:
		return fmt.Errorf("%T is no message", message)
	case len(text) == 0:
		return errors.New("nothing is no JSON object")
	}
	return protojson.Unmarshal(text, m)
}

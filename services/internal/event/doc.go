// Package event carries facts between the parts: what an event is, how it looks on the wire, and the one way in and out of
// JetStream. Names are the protobuf messages' own; attributes are CloudEvents' in NATS headers; the trace context travels with each.
//
// It promises:
//   - a Bus that reconnects for ever, also after refused credentials, and may be connected while NATS is away;
//   - a Writer whose chain of publishes is either an unbroken continuation of the stream or refused, so that a relay that was
//     overtaken by another can neither double nor reorder nor skip (see Chain);
//   - a Reader and a Tail that notice when the stream they read is no longer the one they were reading (deleted, truncated and refilled),
//     and start again instead of missing what took the place of what they had seen.
//
// JetStream is transport here and Postgres the truth: nothing in this package relies on a message that was acknowledged being
// there after a crash. Only this package and the ones that run a server import nats.go.
package event

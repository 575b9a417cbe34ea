package event

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// PingSubject is where replicas of a service tell the one that relays that there is something to relay.
func PingSubject(service string) string { return "relay." + service }

// Ping wakes the relay of service in another process. Nothing is promised: the relay also looks by itself. A nil Bus pings nobody.
func (b *Bus) Ping(service string) {
	if b == nil { // a process that only writes
		return
	}
	_ = b.nc.Publish(PingSubject(service), nil) // while disconnected nobody could hear it
}

// OnPing calls fn for each ping until stop is called. fn must not block.
func (b *Bus) OnPing(service string, fn func()) (stop func(), err error) {
	sub, err := b.nc.Subscribe(PingSubject(service), func(*nats.Msg) { fn() })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", PingSubject(service), err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // only fails when the connection is closed for good
}

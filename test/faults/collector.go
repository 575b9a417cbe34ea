package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"noteworks.dev/test/faults/history"
	"noteworks.dev/test/local"
)

// collectorFaults are of where traces go.
func collectorFaults() []scenario {
	c := &collector{}
	return []scenario{
		{
			name: "the trace collector down, slow, flooded", row: "the trace collector down, slow, flooded", own: true, shape: c.shape,
			lasts: 40 * time.Second, lastsShort: 12 * time.Second, breaks: nothing, during: c.suffers, holds: writesWentOn,
		},
	}
}

// collector stands for one that takes traces by OTLP.
type collector struct {
	behaves atomic.Pointer[http.HandlerFunc]
	served  atomic.Int64
	server  *http.Server
}

// shape starts it and tells the services of it: every request is traced.
func (c *collector) shape(w *world, o *local.SpreadOptions) error {
	c.behave(takes)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		c.served.Add(1)
		(*c.behaves.Load())(rw, req)
	})}
	go func() { _ = c.server.Serve(listener) }() // until it is closed
	addr, err := w.links.Via("services to collector", listener.Addr().String())
	if err != nil {
		return err
	}
	o.Settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + addr
	return nil
}

func (c *collector) behave(as http.HandlerFunc) { c.behaves.Store(&as) }

func takes(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func tooMany(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusTooManyRequests)
}

// never answers as long as the client waits.
func never(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// suffers goes through its troubles, a part of the time each, and compares how long writes take.
func (c *collector) suffers(ctx context.Context, r *round) error {
	defer func() { _ = c.server.Close() }()
	part := r.lasts() / 4
	wait(ctx, part)
	well, before := r.shift.Now(), r.measure(ctx)
	r.check(c.served.Load() > 0, "it took %d batches before", c.served.Load())
	r.links.Cut(r.links.Match("services to collector"))
	wait(ctx, part)
	if err := r.links.Heal(); err != nil {
		return err
	}
	c.behave(never)
	wait(ctx, part)
	c.behave(tooMany)
	wait(ctx, part)
	var good, bad []history.Write
	for _, w := range r.shift.History.Writes() {
		if w.Begin < well && w.Begin > r.broken {
			good = append(good, w)
		} else if w.Begin >= well {
			bad = append(bad, w)
		}
	}
	was, is := percentile(good, history.Acknowledged, 0.5), percentile(bad, history.Acknowledged, 0.5)
	r.check(is < was+2*time.Millisecond*r.leniency(), "a write in the middle took %v, and %v in trouble", was.Round(100*time.Microsecond), is.Round(100*time.Microsecond))
	grown := r.grown(ctx, before)
	r.check(grown < 48<<20, "memory grew by %.0f MB at most", grown/(1<<20))
	return nil
}

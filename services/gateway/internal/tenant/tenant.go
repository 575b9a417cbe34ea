// Package tenant knows which workspace a host names. It asks the user service and remembers the answer for a while.
//
// It promises: an answer that is known is given at once, also while the user service is away; what was answered before a change is not
// given after it was heard of; memory is bounded whatever hosts are asked for; a flood of unknown hosts reaches the user service only a
// few at a time.
package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"noteworks.dev/services/internal/errs"
)

// Workspace is what a host names.
type Workspace struct {
	ID    string `json:"id"`
	Slug  string `json:"slug"`
	Title string `json:"title"`
	// Suspended workspaces let nobody in for the time being.
	Suspended bool `json:"suspended"`
	// RequestsPerMinute is what is let through; 0 is everything.
	RequestsPerMinute int `json:"requestsPerMinute"`
}

const (
	knownFor   = 30 * time.Second
	unknownFor = 5 * time.Second
	maxKnown   = 10_000
	maxUnknown = 1_000
	maxLookups = 16
	lookupTime = 2 * time.Second
	maxAnswer  = 64 << 10
)

// ErrUnknown is errs.NotFound "workspace-not-found".
func ErrUnknown() *errs.Error {
	return errs.NotFound("workspace-not-found", "There is no workspace at this address.")
}

// ErrSuspended is errs.Unavailable "workspace-suspended".
func ErrSuspended() *errs.Error {
	return errs.Unavailable("workspace-suspended",
		"This workspace is suspended. Nothing in it is lost. Whoever administers it can say why and for how long.").
		WithRetryAfter(time.Minute)
}

// Directory answers by host. Every method may be called by any goroutine.
type Directory struct {
	url    string
	client *http.Client
	now    func() time.Time
	flight singleflight.Group
	places chan struct{}

	mu      sync.Mutex
	known   map[string]entry
	unknown map[string]time.Time // until when
	asking  map[*question]struct{}
	closed  bool
	renewal sync.WaitGroup
}

type entry struct {
	workspace Workspace
	until     time.Time
}

// question is one that is under way, and the workspaces that have changed since it was asked.
type question struct{ changed []string }

// New asks the user service at base through transport.
func New(base string, transport http.RoundTripper, now func() time.Time) *Directory {
	return &Directory{
		url:     strings.TrimSuffix(base, "/") + "/api/v1/workspace",
		client:  &http.Client{Transport: transport, Timeout: lookupTime},
		now:     now,
		places:  make(chan struct{}, maxLookups),
		known:   make(map[string]entry),
		unknown: make(map[string]time.Time),
		asking:  make(map[*question]struct{}),
	}
}

// Find is the workspace that host, as in a Host header, names. The error is ErrUnknown, or errs.Unavailable when nothing is
// known of this host and the user service cannot be asked.
func (d *Directory) Find(ctx context.Context, host string) (Workspace, error) {
	name, ok := hostName(host)
	if !ok {
		return Workspace{}, ErrUnknown()
	}
	w, state := d.look(name)
	switch state {
	case fresh:
		return w, nil
	case stale:
		d.renew(ctx, name)
		return w, nil
	case refused:
		return Workspace{}, ErrUnknown()
	}
	return d.lookup(ctx, name)
}

// Changed forgets what was remembered of a workspace, and of hosts that had none, and what questions under way will be answered about them.
func (d *Directory) Changed(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, e := range d.known {
		if e.workspace.ID == id {
			delete(d.known, name)
		}
	}
	clear(d.unknown)
	for q := range d.asking {
		q.changed = append(q.changed, id)
	}
}

// Close waits for what is under way.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.renewal.Wait()
	d.client.CloseIdleConnections()
}

// hostName is host without its port, in lower case, if it could be one of ours at all.
func hostName(host string) (string, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || len(host) > 253 || strings.HasSuffix(host, ".") {
		return "", false
	}
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != ':' {
			return "", false
		}
	}
	return host, true
}

type state uint8

const (
	missing state = iota
	fresh
	stale
	refused
)

func (d *Directory) look(name string) (Workspace, state) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if e, ok := d.known[name]; ok {
		if now.Before(e.until) {
			return e.workspace, fresh
		}
		return e.workspace, stale
	}
	if until, ok := d.unknown[name]; ok && now.Before(until) {
		return Workspace{}, refused
	}
	return Workspace{}, missing
}

// renew asks again beside. While that fails, what is known stays good.
func (d *Directory) renew(ctx context.Context, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.known[name]
	if !ok {
		return // it has changed since it was looked at; the next one asks
	}
	e.until = d.now().Add(time.Second) // one question at a time, and not every request's
	d.known[name] = e
	if d.closed {
		return
	}
	d.renewal.Go(func() {
		_, _ = d.lookup(context.WithoutCancel(ctx), name) // the next one gets to know; this one is not waiting
	})
}

func (d *Directory) lookup(ctx context.Context, name string) (Workspace, error) {
	answer := d.flight.DoChan(name, func() (any, error) {
		return d.askAndKeep(context.WithoutCancel(ctx), name) // shared: one who leaves must not end it; ends after lookupTime
	})
	select {
	case r := <-answer:
		w, _ := r.Val.(Workspace)
		return w, r.Err
	case <-ctx.Done():
		return Workspace{}, ctx.Err()
	}
}

func (d *Directory) askAndKeep(ctx context.Context, name string) (Workspace, error) {
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	default:
		return Workspace{}, unavailable(errors.New("too many lookups at once"))
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	for {
		q := d.begin()
		w, err := d.ask(ctx, name)
		if d.keep(name, q, w, err) {
			return w, err
		}
	}
}

func (d *Directory) begin() *question {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := &question{}
	d.asking[q] = struct{}{}
	return q
}

// keep remembers the answer to q. False means that the workspace changed meanwhile: the answer may be from before that, and others may be
// waiting for it who came after.
func (d *Directory) keep(name string, q *question, w Workspace, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.asking, q)
	switch {
	case err == nil && slices.Contains(q.changed, w.ID), errs.KindOf(err) == errs.KindNotFound && len(q.changed) > 0:
		return false
	case err == nil:
		delete(d.unknown, name)
		makeRoom(d.known, maxKnown)
		d.known[name] = entry{w, d.now().Add(knownFor)}
	case errs.KindOf(err) == errs.KindNotFound:
		delete(d.known, name)
		makeRoom(d.unknown, maxUnknown)
		d.unknown[name] = d.now().Add(unknownFor)
	}
	d.flight.Forget(name) // whoever comes after the next change must not be given this answer
	return true
}

// makeRoom drops any one entry of a full map: none is worth more than another.
func makeRoom[V any](m map[string]V, limit int) {
	for name := range m {
		if len(m) < limit {
			return
		}
		delete(m, name)
	}
}

func (d *Directory) ask(ctx context.Context, name string) (Workspace, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return Workspace{}, fmt.Errorf("workspace request: %w", err)
	}
	req.Host = name
	if strings.Contains(name, ":") {
		req.Host = "[" + name + "]"
	}
	res, err := d.client.Do(req)
	if err != nil {
		return Workspace{}, unavailable(err)
	}
	defer func() { _ = res.Body.Close() }() // read, or of no interest
	switch {
	case res.StatusCode == http.StatusNotFound:
		return Workspace{}, ErrUnknown()
	case res.StatusCode != http.StatusOK:
		return Workspace{}, unavailable(fmt.Errorf("the user service answers %s", res.Status))
	}
	var w Workspace
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&w); err != nil {
		return Workspace{}, unavailable(fmt.Errorf("the user service's workspace: %w", err))
	}
	if w.ID == "" {
		return Workspace{}, unavailable(errors.New("the user service's workspace has no id"))
	}
	return w, nil
}

func unavailable(cause error) error {
	return errs.Unavailable("upstream-unavailable", "Part of the service is away at the moment. Please try again.").
		WithCause(cause).WithRetryAfter(time.Second)
}
